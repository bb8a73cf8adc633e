//! `andon keys rotate`.
use crate::clock;
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::ops::rotate::{self, Need, Order, RotateError, Rotated};
use crate::ops::trust;
use crate::output;
use andon_trust::theft::{Holder, Key};
use serde_json::{Value, json};

const AFTER_HELP: &str = "\
Works on the folder of andon init (--dir), without a server: whatever names the key is made anew and signed
(policy and policy.toml, anchor, TUF root, targets, a vendor's role), by the keys given with --key, and by the
new key where it counts. Below a threshold it says who must sign, and changes nothing (exit code 3). Keys of
snapshot and timestamp are taken from the folder. The old key file is kept, as NAME.retired-DATE.";

/// Options of `andon keys rotate`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The key that goes, as andon trust show names it: alice, operator-root/bob, platform/root-2, online,
    /// timestamp, vendors/acme/1
    #[arg(value_name = "KEY")]
    old: String,
    /// A key that signs: a file, or a name (alice is the offline one, people/alice the daily one); repeat it
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<String>,
    /// Leave the new key unencrypted
    #[arg(long)]
    plain: bool,
}

pub(super) async fn run(context: &Context, args: &Args) -> Outcome {
    let (layout, anchor) = (context.folder()?, context.anchor()?);
    let line = trust::of_folder(layout, &anchor).await?;
    let old = known(line.keys(), &args.old)?;
    if is_metadata(&old) && context.server_answers() {
        return Err(Failure::usage("andond is running, and would write over new TUF metadata")
            .next("stop andond, rotate, start it again"));
    }
    let signers = args.keys.iter().map(|word| context.root_key(word));
    let signers = signers.collect::<Result<Vec<_>, _>>()?;
    let passphrase = match args.plain || rotate::is_online(layout, &old)? {
        true => None,
        false => Some(context.new_passphrase(&format!("the new key {}", old.name))?),
    };
    let now = clock::now();
    let order =
        Order { layout, anchor: &anchor, line: &line, old, signers: &signers, passphrase, now };
    let done = rotate::rotate(&order).map_err(refused)?;
    show(context, &done)
}

/// A key of the line; `alice` is her daily one, as everywhere.
fn known(keys: Vec<Key>, word: &str) -> Result<Key, Failure> {
    let person = format!("people/{word}");
    keys.into_iter().find(|key| key.name == word || key.name == person).ok_or_else(|| {
        Failure::not_found(format!("this line has no key {word:?}"))
            .next("andon trust show lists the names; keys of rigs stand in policy.toml")
    })
}

/// Whether the server serves what it stands in, and renews it while it runs.
fn is_metadata(key: &Key) -> bool {
    use Holder::{Delegations, PlatformRoot, Snapshot, Timestamp, Vendor};
    let metadata =
        |it: &Holder| matches!(it, PlatformRoot | Delegations | Snapshot | Timestamp | Vendor(_));
    key.holds.iter().any(metadata)
}

fn refused(error: RotateError) -> Failure {
    let next = match &error {
        RotateError::Unsigned { .. } => "give a --key for each of them; nothing was changed",
        RotateError::Elsewhere(_) => {
            "docs/operate/key-loss.md says what to do for each kind of key"
        }
        RotateError::Pending => "andon policy sign, or undo the edit",
        _ => "nothing was changed",
    };
    let unsigned = matches!(error, RotateError::Unsigned { .. });
    let mut failure = Failure::from(error).next(next);
    if unsigned {
        failure.exit = Exit::Refused;
    }
    failure
}

fn show(context: &Context, done: &Rotated) -> Outcome {
    let signed = |need: &Need| -> Value {
        json!({"document": need.document, "needed": need.needed, "of": need.by, "by": need.have})
    };
    let value = json!({
        "key": done.key, "old": done.old, "new": done.new, "file": done.file,
        "retired": done.retired, "signed": done.signed.iter().map(signed).collect::<Vec<_>>(),
        "written": done.written, "next": done.next, "destroy": DESTROY,
    });
    output::either(context.form(), &value, || {
        let (old, new) = (done.old.id().0.short(), done.new.id().0.short());
        output::line(format_args!("{}: key {old} is replaced by {new}\n", done.key));
        for need in &done.signed {
            let (by, of) = (need.have.join(", "), need.by.len());
            let needed = need.needed;
            output::line(format_args!(
                "signed   {} by {by} ({needed} of {of} needed)",
                need.document
            ));
        }
        for path in &done.written {
            output::line(format_args!("written  {}", path.display()));
        }
        for step in &done.next {
            output::note(format_args!("next: {step}"));
        }
        if let Some(retired) = &done.retired {
            output::note(format_args!("{} is the old key. {DESTROY}", retired.display()));
        }
    })?;
    Ok(Exit::Ok)
}

/// What is signed already needs the old key no more; what goes wrong meanwhile might.
const DESTROY: &str = "Destroy it when the steps above are done, every host has what was signed (andon host list), and \
     the new key has been opened once from its own storage; a stolen one at once";
