//! `andon keys`: which keys the folder holds, without their private halves; a new key of a gate
//! verifier, a log or a witness. Keys of people and roles are made by `andon init`.
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::keys;
use crate::output;
use andon_model::VerifierId;
use andon_trust::log::KeyKind;
use serde_json::json;
use std::path::{Path, PathBuf};

/// What `andon keys` does.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// List the keys of the folder by the name that --key takes
    Show,
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

pub(crate) fn run(context: &Context, command: Command) -> Outcome {
    match command {
        Command::Show => show(context),
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

fn show(context: &Context) -> Outcome {
    let layout = context.folder()?;
    let mut found = Vec::new();
    list(&layout.keys(), 0, &mut found)?;
    let mut values = Vec::new();
    let mut rows = Vec::new();
    for path in found {
        let held = keys::read(&path)?;
        let short = path.strip_prefix(layout.keys()).unwrap_or(&path).with_extension("");
        let short = short.strip_prefix("people").unwrap_or(&short).display().to_string();
        let public = held.key.public();
        let id = public.id().0;
        values.push(json!({"key": short, "name": held.name, "role": held.role,
            "public": public, "id": id, "file": path}));
        rows.push(vec![short, id.short(), held.role]);
    }
    output::either(context.form(), &values, || {
        output::line(output::table(&["key", "id", "for"], rows));
    })?;
    Ok(Exit::Ok)
}

/// Key files below `dir`, three folders deep at most.
fn list(dir: &Path, depth: u32, found: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let failed = |e| anyhow::Error::new(e).context(format!("read {}", dir.display()));
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    for path in paths {
        if path.is_dir() && depth < 3 {
            list(&path, depth + 1, found)?;
        } else if path.extension().is_some_and(|e| e == "json") {
            found.push(path);
        }
    }
    Ok(())
}
