//! `andon keys create`.
use crate::clock;
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::ops::keyring::{self, NewKey, Place};
use crate::ops::office::Office;
use crate::output;
use serde_json::{Value, json};

const AFTER_HELP: &str = "\
Each key is a file of its own, NAME.age, with its public half beside it in NAME.pub; age -d opens it, too.
Of the folder of andon init (--dir) each role has its own folder below keys/. Programs (online, snapshot,
timestamp, verifier, rig) have nobody to type a passphrase: their keys are plain, at mode 0600.";

/// Options of `andon keys create`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Names of the keys; a vendor's are VENDOR/NUMBER
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
    /// What the keys are for
    #[arg(long, value_enum, default_value = "person", value_name = "WHAT")]
    role: Office,
    /// Leave the keys unencrypted
    #[arg(long)]
    plain: bool,
}

pub(super) fn run(context: &Context, args: &Args) -> Outcome {
    let Some(layout) = context.layout() else {
        return Err(Failure::usage("andon keys create needs a folder for the keys")
            .next("give --dir DIR, of andon init or any other"));
    };
    let place = Place { dir: layout.dir(), office: args.role };
    keyring::check(place, &args.names)?;
    let passphrase = match args.plain || args.role.is_online() {
        true => None,
        false => Some(context.new_passphrase(&args.names.join(", "))?),
    };
    let made = keyring::create(place, &args.names, passphrase.as_ref(), clock::now())?;
    let sealed = passphrase.is_some();
    let values: Vec<Value> = made.iter().map(|key| value(key, args.role, sealed)).collect();
    output::either(context.form(), &values, || {
        let row = |key: &NewKey| {
            let public = key.held.key.public();
            let file = key.file.display().to_string();
            vec![key.held.name.clone(), public.id().0.short(), public.to_string(), file]
        };
        output::line(output::table(
            &["name", "id", "public key", "file"],
            made.iter().map(row).collect(),
        ));
        if !sealed {
            output::note(
                "these files are plain: whoever reads one has the key. They are at mode 0600",
            );
        }
        output::note(format_args!("next: {}", next(args.role)));
    })?;
    Ok(Exit::Ok)
}

fn value(key: &NewKey, role: Office, sealed: bool) -> Value {
    let public = key.held.key.public();
    json!({"name": key.held.name, "role": role.words(), "keyid": public.id(), "public": public,
        "algorithm": "ed25519", "encrypted": sealed, "file": key.file, "public_file": key.public})
}

/// A key that nobody names is nobody's.
fn next(office: Office) -> &'static str {
    match office {
        Office::Person => {
            "put the public key under [people] in policy.toml, and andon policy sign; or andon keys rotate"
        }
        Office::OperatorRoot | Office::PlatformCord => {
            "put the public key into the anchor that hosts are given (docs/operate/key-loss.md)"
        }
        Office::Online | Office::Verifier | Office::Rig => {
            "put the public key into policy.toml, and andon policy sign"
        }
        _ => "a new TUF root or new targets must name it: andon keys rotate, or a ceremony",
    }
}
