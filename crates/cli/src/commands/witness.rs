//! `andon witness`: a server that cosigns checkpoints of public logs (C2SP tlog-witness).
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::files::{self, Access};
use crate::keys;
use crate::output;
use crate::witness::{Store, Witness, http};
use andon_model::limits::WITNESS_LOGS_MAX;
use andon_trust::log::{KeyKind, Policy, VerifierKey};
use serde_json::json;
use std::path::PathBuf;

const AFTER_HELP: &str = "\
Prints its verifier key, for policies. `andon keys note --for witness` makes the key file.
One key belongs to one data folder: a folder that is lost, or is brought back from a backup, lets a log
show another history. Take a new key then.";

/// Options of `andon witness`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// File with the witness's private key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Verifier key of a log to watch; may be given several times
    #[arg(long = "log", value_name = "VKEY", required = true)]
    logs: Vec<VerifierKey>,
    /// Address and port to serve on; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:7080")]
    listen: String,
    /// Folder that remembers what was cosigned
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Write the bound address to this file once the witness serves
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

pub(crate) async fn run(context: &Context, args: Args) -> Outcome {
    if args.logs.len() > WITNESS_LOGS_MAX {
        return Err(Failure::usage(format_args!("at most {WITNESS_LOGS_MAX} logs are watched")));
    }
    if args.logs.iter().any(|log| log.kind() != KeyKind::Log) {
        return Err(Failure::usage("--log needs the verifier key of a log (signature type 0x01)"));
    }
    let key = keys::read_note(&args.key, &context.passphrases())?;
    if key.verifier().kind() != KeyKind::Witness {
        return Err(Failure::usage("--key is not a witness's key")
            .next("andon keys note --for witness --name NAME --out FILE"));
    }
    let verifier = key.verifier().to_string();
    let witness = Witness::open(key, Policy::unwitnessed(args.logs), Store::open(&args.data)?)?;
    let (listener, bound) = http::bind(&args.listen).await?;
    let value = json!({"verifier": verifier, "listen": bound.to_string()});
    output::either(context.form(), &value, || {
        output::line(format_args!("witness {verifier}"));
        output::line(format_args!("listens on {bound}"));
    })?;
    if let Some(file) = &args.ready_file {
        files::replace(file, format!("{bound}\n").as_bytes(), Access::Public)?;
    }
    http::serve(witness, listener).await?;
    Ok(Exit::Ok)
}
