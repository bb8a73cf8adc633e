//! `andon keys`: keys of people and roles made, listed and replaced; the checklist of a ceremony; new keys of
//! gate verifiers, logs and witnesses.
mod ceremony;
mod create;
mod list;
mod rotate;

use crate::context::Context;
use crate::exit::{Exit, Outcome};
use crate::keys;
use crate::output;
use andon_model::VerifierId;
use andon_trust::log::KeyKind;
use serde_json::json;
use std::path::{Path, PathBuf};

/// What `andon keys` does.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make keys, encrypted by a passphrase in the age format
    Create(create::Args),
    /// List keys: whose, what they may sign, encrypted or plain; opens none of the encrypted ones
    #[command(visible_alias = "show")]
    List(list::Args),
    /// Replace one key of a role by a new one, and sign what says so
    Rotate(rotate::Args),
    /// Print the checklist of a key ceremony
    Ceremony(ceremony::Args),
    /// Make the key of a gate verifier; prints what the policy has to name
    Verifier {
        /// Its name in the policy
        #[arg(long)]
        name: VerifierId,
        /// File to make, for the private key
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Make the key of a public log or of a witness; prints its verifier key
    Note {
        /// What the key is for
        #[arg(long = "for", value_name = "USE")]
        kind: Use,
        /// Its name, by rule an address without scheme: witness.example/w1
        #[arg(long)]
        name: String,
        /// File to make, for the private key
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// What a note key is for.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Use {
    /// signs checkpoints
    Log,
    /// cosigns them
    Witness,
}

pub(crate) async fn run(context: &Context, command: Command) -> Outcome {
    match command {
        Command::Create(args) => create::run(context, &args),
        Command::List(args) => list::run(context, &args).await,
        Command::Rotate(args) => rotate::run(context, &args).await,
        Command::Ceremony(args) => ceremony::run(context, &args),
        Command::Verifier { name, out } => verifier(context, &name, &out),
        Command::Note { kind, name, out } => note(context, kind, &name, &out),
    }
}

fn verifier(context: &Context, name: &VerifierId, out: &Path) -> Outcome {
    let public = keys::make(out, name.as_str(), keys::VERIFIER)?.key.public();
    output::either(context.form(), &json!({"name": name, "key": public, "file": out}), || {
        output::line(format_args!("{{ name = \"{name}\", key = \"{public}\" }}"));
        output::note("next: put it among the keys of [verifiers] in policy.toml, and sign that");
    })?;
    Ok(Exit::Ok)
}

fn note(context: &Context, kind: Use, name: &str, out: &Path) -> Outcome {
    let kind = match kind {
        Use::Log => KeyKind::Log,
        Use::Witness => KeyKind::Witness,
    };
    let key = keys::make_note(out, name, kind)?;
    let verifier = key.verifier().to_string();
    output::either(context.form(), &json!({"verifier": verifier, "file": out}), || {
        output::line(&verifier);
    })?;
    Ok(Exit::Ok)
}
