//! `andon log monitor`: a vendor's own eye on a line's log. Whoever steals a vendor's keys can sign a release,
//! and hosts that demand logging take it only if it is in the log: there the vendor finds it. It reads the
//! log's history again as an audit does; it stops nothing (`andon pull` does).
use super::Served;
use super::fairness::{self, ALARM_AT, Finding, HandedIn};
use super::rebuild::Rebuilt;
use super::times::Times;
use crate::clock;
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::files::{self, Access};
use crate::output;
use andon_model::log_entry::{LogEntry, Stopped};
use andon_model::stop::Party;
use andon_model::{Digest, Time, VendorId};
use andon_trust::log::VerifierKey;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Largest file of announced releases, bytes: 65 a line, a quarter of a million of them.
const ANNOUNCED_BYTES_MAX: u64 = 16 * 1024 * 1024;

const AFTER_HELP: &str = "\
FILE of --announced: the SHA-256 of each manifest that the vendor has released, one a line; # begins a
comment. `andon release create` prints it. Exit code 7: the log holds a release under the vendor's name that
is not in it. Pull the cord first (andon pull), then ask whose key signed it.
It is 7 too when the platform stops this vendor, or one of its releases, and not everybody: once you know why,
add the stop's SHA-256 to FILE.
With --peer it also looks whether the line passes this vendor over: others that handed in well after it are
logged before it, too often for chance. For that the lines of both files go on with the time at which the server
had everything (RFC 3339). Exit code 7 too; an even-handed line is accused at most once in a thousand.";

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
    /// What another vendor has released, and when it handed that in; repeat it for each
    #[arg(long = "peer", value_name = "NAME=FILE", value_parser = peer)]
    peers: Vec<(VendorId, PathBuf)>,
    /// When the log was first seen with how many entries; kept by this command. With it more is noticed
    #[arg(long, value_name = "FILE", requires = "peers")]
    times: Option<PathBuf>,
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
enum AnnouncedError {
    #[error("line {line} of {path} is no SHA-256")]
    Digest { path: PathBuf, line: usize },
    #[error("line {line} of {path}: write the time as 2026-11-27T12:00:00Z")]
    Time { path: PathBuf, line: usize },
}

/// A vendor and the file of its list.
fn peer(text: &str) -> Result<(VendorId, PathBuf), String> {
    let (name, file) = text.split_once('=').ok_or("write it as NAME=FILE")?;
    Ok((name.parse().map_err(|why| format!("vendor {why}"))?, PathBuf::from(file)))
}

/// A release of the vendor as the log has it.
#[derive(Clone, Debug)]
struct Logged {
    place: u64,
    name: String,
    manifest: Digest,
    bundle: Digest,
}

/// A stop of the platform's as the log has it.
#[derive(Clone, Debug)]
struct Pulled {
    place: u64,
    stop: Digest,
    of: Stopped,
}

/// What was seen of the log so far.
#[derive(Debug, Default)]
struct Seen {
    rebuilt: Rebuilt,
    releases: Vec<Logged>,
    /// by the platform
    stops: Vec<Pulled>,
    /// first place of every release, whosever it is
    places: BTreeMap<Digest, u64>,
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
    let list = announced(&args.announced)?;
    let (served, checkpoint, cosigned) = log.checkpoint().await?;
    let head = checkpoint.head();
    let news = head != seen.rebuilt.head() || !args.known.exists();
    if news {
        let known = log.known(Some(&args.known))?;
        let Seen { rebuilt, releases, stops, places, unread } = seen;
        let note = |place: u64, entry: &[u8]| match LogEntry::parse(entry) {
            Ok(LogEntry::Release { vendor, component, version, manifest, bundle }) => {
                places.entry(manifest).or_insert(place);
                if vendor == args.vendor {
                    let name = format!("{component} {version}");
                    releases.push(Logged { place, name, manifest, bundle });
                }
            }
            Ok(LogEntry::Stop { stop, by: Party::Platform, of }) => {
                stops.push(Pulled { place, stop, of });
            }
            Ok(_) => {}
            Err(_) => *unread += 1,
        };
        rebuilt.grow(&log.client, head, known, note).await?;
        files::replace(&args.known, served.to_text().as_bytes(), Access::Public)?;
    }
    let vouched = log.vouched(&served)?.unwrap_or_else(clock::now);
    let order = fairness(args, seen, &list, head.size, vouched)?;
    let announced: BTreeSet<Digest> = list.iter().map(|(digest, _)| *digest).collect();
    let strange = |logged: &&Logged| !announced.contains(&logged.manifest);
    let alarms: Vec<&Logged> = seen.releases.iter().filter(strange).collect();
    let frozen: Vec<&Pulled> = frozen(args, seen, &announced);
    let passed_over = order.as_ref().is_some_and(Finding::is_alarm);
    let alarmed = !alarms.is_empty() || !frozen.is_empty() || passed_over;
    if news || !args.follow || alarmed {
        let found = Found { alarms: &alarms, frozen: &frozen, order: order.as_ref() };
        show(context, args, seen, (head.size, cosigned), &found)?;
    }
    Ok(if alarmed { Exit::Alarm } else { Exit::Ok })
}

/// Stops by which the platform stops this vendor and not everybody, and which the vendor's list does not
/// name as known.
fn frozen<'s>(args: &Args, seen: &'s Seen, announced: &BTreeSet<Digest>) -> Vec<&'s Pulled> {
    let ours = |release| seen.releases.iter().any(|logged| logged.manifest == release);
    let singled_out = |pulled: &&Pulled| match &pulled.of {
        Stopped::Release(release) => announced.contains(release) || ours(*release),
        Stopped::Vendor(vendor) => *vendor == args.vendor,
        // the platform signs no directive, and what stops everything stops everybody alike
        Stopped::Component(_) | Stopped::All => false,
    };
    let unknown = |pulled: &&Pulled| !announced.contains(&pulled.stop);
    seen.stops.iter().filter(singled_out).filter(unknown).collect()
}

/// Whether the line passes the vendor over; `None` without others to compare it with.
fn fairness(
    args: &Args,
    seen: &Seen,
    ours: &[(Digest, Option<Time>)],
    size: u64,
    now: Time,
) -> Result<Option<Finding>, Failure> {
    if args.peers.is_empty() {
        return Ok(None);
    }
    let mut times = match &args.times {
        Some(path) => Times::read(path)?,
        None => Times::default(),
    };
    if let (true, Some(path)) = (times.note(size, now), &args.times) {
        times.write(path)?;
    }
    let mut handed_in = Vec::new();
    let mut list = |vendor: &VendorId, list: &[(Digest, Option<Time>)]| {
        let timed = list.iter().filter_map(|(manifest, at)| Some((*manifest, (*at)?)));
        handed_in.extend(timed.map(|(manifest, at)| HandedIn {
            vendor: vendor.clone(),
            at,
            manifest,
        }));
    };
    list(&args.vendor, ours);
    for (vendor, path) in &args.peers {
        list(vendor, &announced(path)?);
    }
    let latest = |place| times.latest(place);
    Ok(Some(fairness::judge(&args.vendor, &handed_in, &seen.places, latest)))
}

/// What a look has found.
struct Found<'f> {
    alarms: &'f [&'f Logged],
    frozen: &'f [&'f Pulled],
    order: Option<&'f Finding>,
}

fn show(
    context: &Context,
    args: &Args,
    seen: &Seen,
    (size, cosigned): (u64, usize),
    found: &Found<'_>,
) -> Result<(), Failure> {
    let Found { alarms, frozen, order } = found;
    let alarm = |logged: &&Logged| {
        json!({
            "index": logged.place, "release": logged.name, "manifest": logged.manifest,
            "bundle": logged.bundle,
        })
    };
    let stop =
        |pulled: &&Pulled| json!({"index": pulled.place, "stop": pulled.stop, "of": pulled.of});
    let mut value = json!({
        "log": args.log.name(), "size": size, "witnesses": cosigned, "vendor": args.vendor,
        "releases": seen.releases.len(), "unread": seen.unread,
        "alarms": alarms.iter().map(alarm).collect::<Vec<_>>(),
        "frozen": frozen.iter().map(stop).collect::<Vec<_>>(),
    });
    if let Some(found) = order {
        value["fairness"] = json!({
            "evidence": found.evidence, "alarm_at": ALARM_AT, "draws": found.draws,
            "passed_over": found.passed_over, "waits_since": found.waits_since,
            "alarm": found.is_alarm(),
        });
    }
    output::either(context.form(), &value, || {
        for Logged { place, name, manifest, .. } in *alarms {
            output::line(format_args!(
                "ALARM: entry {place} is {name} of {}, which {} does not list: {manifest}",
                args.vendor,
                args.announced.display()
            ));
        }
        for pulled in *frozen {
            output::line(stop_words(args, pulled));
        }
        if let Some(found) = order {
            output::line(order_words(args, found));
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

/// Each manifest, and when it was handed in, where the line says so.
fn announced(path: &Path) -> Result<Vec<(Digest, Option<Time>)>, Failure> {
    let bytes = files::read(path, ANNOUNCED_BYTES_MAX)?;
    let mut list = Vec::new();
    for (at, text) in String::from_utf8_lossy(&bytes).lines().enumerate() {
        let mut words = text.split('#').next().unwrap_or_default().split_whitespace();
        let Some(digest) = words.next() else { continue };
        let (path, line) = (path.to_owned(), at + 1);
        let Ok(digest) = digest.parse() else {
            return Err(AnnouncedError::Digest { path, line }.into());
        };
        let time = words.next().map(crate::clock::parse);
        if time == Some(None) || words.next().is_some() {
            return Err(AnnouncedError::Time { path, line }.into());
        }
        list.push((digest, time.flatten()));
    }
    Ok(list)
}

fn stop_words(args: &Args, Pulled { place, stop, of }: &Pulled) -> String {
    let what = match of {
        Stopped::Release(release) => format!("release {release}"),
        _ => "everything".to_owned(),
    };
    let (vendor, list) = (&args.vendor, args.announced.display());
    format!(
        "ALARM: by entry {place} the platform stops {what} of {vendor} and not everybody: stop {stop}. Once \
         you know why, add it to {list}"
    )
}

fn order_words(args: &Args, found: &Finding) -> String {
    let Finding { draws, passed_over, evidence, .. } = found;
    let waits = found.waits_since.map(|since| format!("; something of it waits since {since}"));
    let told = format!(
        "{passed_over} of {draws} times another vendor was logged first that came after {}, evidence {evidence:.1} \
         of {ALARM_AT}{}",
        args.vendor,
        waits.unwrap_or_default()
    );
    if found.is_alarm() {
        return format!("ALARM: the line passes {} over: {told}", args.vendor);
    }
    told
}
