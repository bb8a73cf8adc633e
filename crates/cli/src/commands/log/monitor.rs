//! `andon log monitor`: a vendor's own eye on a line's log. Whoever steals a vendor's keys can sign a release,
//! and hosts that demand logging take it only if it is in the log: there the vendor finds it. It reads the
//! log's history again as an audit does; it stops nothing (`andon pull` does).
use super::Served;
use super::rebuild::Rebuilt;
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::files::{self, Access};
use crate::output;
use andon_model::log_entry::LogEntry;
use andon_model::{Digest, VendorId};
use andon_trust::log::VerifierKey;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Largest file of announced releases, bytes: 65 a line, a quarter of a million of them.
const ANNOUNCED_BYTES_MAX: u64 = 16 * 1024 * 1024;

const AFTER_HELP: &str = "\
FILE of --announced: the SHA-256 of each manifest that the vendor has released, one a line; # begins a
comment. `andon release create` prints it. Exit code 7: the log holds a release under the vendor's name that
is not in it. Pull the cord first (andon pull), then ask whose key signed it.";

/// Options of `andon log monitor`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Address of the log: of a line's server, http://SERVER/v1/log
    #[arg(long, value_name = "URL")]
    url: String,
    /// Its verifier key
    #[arg(long, value_name = "VKEY")]
    log: VerifierKey,
    /// Demand the quorum of this policy too
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Checkpoint of the last look: the log must continue it; replaced by the new one
    #[arg(long, value_name = "FILE")]
    known: PathBuf,
    /// Whose releases to look for
    #[arg(long, value_name = "NAME")]
    vendor: VendorId,
    /// What that vendor has released
    #[arg(long, value_name = "FILE")]
    announced: PathBuf,
    /// Go on until there is an alarm
    #[arg(long)]
    follow: bool,
    /// Seconds between two looks
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "follow",
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    every: u64,
}

/// Why a file of announced releases is none.
#[derive(Debug, thiserror::Error)]
#[error("line {line} of {path} is no SHA-256")]
struct AnnouncedError {
    path: PathBuf,
    line: usize,
}

/// A release of the vendor as the log has it.
#[derive(Clone, Debug)]
struct Logged {
    place: u64,
    name: String,
    manifest: Digest,
    bundle: Digest,
}

/// What was seen of the log so far.
#[derive(Debug, Default)]
struct Seen {
    rebuilt: Rebuilt,
    releases: Vec<Logged>,
    /// entries of kinds that this version does not know
    unread: u64,
}

pub(super) async fn run(context: &Context, args: Args) -> Outcome {
    let served = Served::new(&args.url, args.log.clone(), args.policy.as_deref())?;
    let mut seen = Seen::default();
    loop {
        let exit = match look(context, &args, &served, &mut seen).await {
            Err(why) if args.follow && why.exit == Exit::Unreachable => {
                output::note(format_args!("{:#}; looks again in {} s", why.cause, args.every));
                Exit::Ok
            }
            exit => exit?,
        };
        if !args.follow || exit != Exit::Ok {
            return Ok(exit);
        }
        tokio::time::sleep(Duration::from_secs(args.every)).await;
    }
}

async fn look(context: &Context, args: &Args, log: &Served, seen: &mut Seen) -> Outcome {
    let announced = announced(&args.announced)?;
    let (served, checkpoint, cosigned) = log.checkpoint().await?;
    let head = checkpoint.head();
    let news = head != seen.rebuilt.head() || !args.known.exists();
    if news {
        let known = log.known(Some(&args.known))?;
        let Seen { rebuilt, releases, unread } = seen;
        let note = |place: u64, entry: &[u8]| match LogEntry::parse(entry) {
            Ok(LogEntry::Release { vendor, component, version, manifest, bundle })
                if vendor == args.vendor =>
            {
                let name = format!("{component} {version}");
                releases.push(Logged { place, name, manifest, bundle });
            }
            Ok(_) => {}
            Err(_) => *unread += 1,
        };
        rebuilt.grow(&log.client, head, known, note).await?;
        files::replace(&args.known, served.to_text().as_bytes(), Access::Public)?;
    }
    let strange = |logged: &&Logged| !announced.contains(&logged.manifest);
    let alarms: Vec<&Logged> = seen.releases.iter().filter(strange).collect();
    if news || !args.follow || !alarms.is_empty() {
        show(context, args, seen, (head.size, cosigned), &alarms)?;
    }
    Ok(if alarms.is_empty() { Exit::Ok } else { Exit::Alarm })
}

fn show(
    context: &Context,
    args: &Args,
    seen: &Seen,
    (size, cosigned): (u64, usize),
    alarms: &[&Logged],
) -> Result<(), Failure> {
    let alarm = |logged: &&Logged| {
        json!({
            "index": logged.place, "release": logged.name, "manifest": logged.manifest,
            "bundle": logged.bundle,
        })
    };
    let value = json!({
        "log": args.log.name(), "size": size, "witnesses": cosigned, "vendor": args.vendor,
        "releases": seen.releases.len(), "unread": seen.unread,
        "alarms": alarms.iter().map(alarm).collect::<Vec<_>>(),
    });
    output::either(context.form(), &value, || {
        for Logged { place, name, manifest, .. } in alarms {
            output::line(format_args!(
                "ALARM: entry {place} is {name} of {}, which {} does not list: {manifest}",
                args.vendor,
                args.announced.display()
            ));
        }
        output::line(format_args!(
            "{}: {size} entries, {} releases of {}, {} not announced, {} entries of unknown kinds",
            args.log.name(),
            seen.releases.len(),
            args.vendor,
            alarms.len(),
            seen.unread
        ));
    })
}

fn announced(path: &Path) -> Result<BTreeSet<Digest>, Failure> {
    let bytes = files::read(path, ANNOUNCED_BYTES_MAX)?;
    let mut digests = BTreeSet::new();
    for (at, text) in String::from_utf8_lossy(&bytes).lines().enumerate() {
        let text = text.split('#').next().unwrap_or_default().trim();
        if !text.is_empty() {
            let wrong = || AnnouncedError { path: path.to_owned(), line: at + 1 };
            digests.insert(text.parse().map_err(|_| wrong())?);
        }
    }
    Ok(digests)
}
