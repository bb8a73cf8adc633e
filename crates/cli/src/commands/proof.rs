//! `andon release prove` and `andon release verify`: a release and everything that proves it in one file,
//! fetched by one request; believed anywhere else without a network. They install nothing: whether a host
//! may, stands in tickets.
use crate::clock;
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::files::{self, Access};
use crate::ops::release::Release;
use crate::output;
use andon_model::attestation::AttestedClass;
use andon_model::class::HostClass;
use andon_model::envelope::Envelope;
use andon_model::limits::{ENVELOPE_BYTES_MAX, PROOF_BUNDLE_BYTES_MAX};
use andon_model::proof_bundle::{Believed, ProofBundle};
use andon_model::{Digest, Time};
use andon_trust::attestation::Standing;
use andon_trust::proof_bundle::{Logging, ProvenRelease, Terms, open, verify as believe};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Largest file of what was believed, bytes: a version for each of 256 vendors with long names.
const BELIEVED_BYTES_MAX: u64 = 64 * 1024;

const VERIFY_HELP: &str = "\
Exit code 0: proven; 3: not believed; 1: the file is damaged or no proof bundle. Without --policy the operator's
demands on public logs are not judged. A proof bundle lasts as long as the metadata in it, a day by default:
fetch it anew then. It says that a release is its vendor's, not that it may be installed, or that nobody has
stopped it since. With --class exit code 3 too where such a host would install it in no wave.";

/// Options of `andon release prove`.
#[derive(Debug, clap::Args)]
pub(crate) struct Prove {
    /// Folder of the release, or its digest
    release: String,
    /// Where to write the proof bundle
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    by: JudgedBy,
}

/// Options of `andon release verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = VERIFY_HELP)]
pub(crate) struct Verify {
    /// The proof bundle
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Believe it only if it is of this release
    #[arg(long, value_name = "SHA256")]
    release: Option<Digest>,
    /// Judge as of this moment (RFC 3339); now if absent
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<Time>,
    #[command(flatten)]
    by: JudgedBy,
}

/// What a proof bundle is judged by, beside the anchor.
#[derive(Debug, clap::Args)]
struct JudgedBy {
    /// The operator's signed policy: which public logs must hold the release
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// What was believed last: nothing older is; replaced by what is believed now
    #[arg(long, value_name = "FILE")]
    known: Option<PathBuf>,
    /// Judge what rigs and people have signed about it, too, as a host of this class does:
    /// ARCH/OS/MODEL[/kernel=…][/sensor=…][/rung=…]
    #[arg(long, value_name = "CLASS", requires = "policy")]
    class: Option<AttestedClass>,
}

/// A moment as people write it.
fn moment(text: &str) -> Result<Time, String> {
    clock::parse(text).ok_or_else(|| "write it as 2026-11-27T12:00:00Z".to_owned())
}

pub(crate) async fn prove(context: &Context, args: Prove) -> Outcome {
    let release = match args.release.parse() {
        Ok(digest) => digest,
        Err(_) => Release::read(Path::new(&args.release))?.digest(),
    };
    let path = format!("/v1/proof-bundles/{release}");
    let bytes = context.client()?.bytes(&path, PROOF_BUNDLE_BYTES_MAX).await?;
    let bundle = open(&bytes)?;
    let (proven, host) = judge(context, &args.by, &bundle, clock::now(), Some(release))?;
    files::replace(&args.output, &bytes, Access::Public)?;
    shown(context, &args.output, bytes.len(), &proven, host.as_ref())
}

pub(crate) fn verify(context: &Context, args: &Verify) -> Outcome {
    let bytes = files::read(&args.file, PROOF_BUNDLE_BYTES_MAX as u64)?;
    let bundle = open(&bytes)?;
    let at = args.at.unwrap_or_else(clock::now);
    let (proven, host) = judge(context, &args.by, &bundle, at, args.release)?;
    shown(context, &args.file, bytes.len(), &proven, host.as_ref())
}

/// What follows for a host of the class that was asked about.
type Asked<'a> = (&'a AttestedClass, Standing);

/// A release that such a host would install in no wave is refused.
fn host<'a>(by: &'a JudgedBy, proven: &ProvenRelease) -> Result<Option<Asked<'a>>, Failure> {
    let Some(asked) = &by.class else { return Ok(None) };
    let AttestedClass { arch, os, model, facts } = asked.clone();
    let class = HostClass { arch, os, model, groups: Vec::new() };
    let standing = proven.standing((&class, &facts)).map_err(|why| refused(why.into()))?;
    match standing {
        Some(Standing::Missing(why) | Standing::Failed(why)) => {
            Err(refused(anyhow::anyhow!("hosts of {asked} do not install it: {why}")))
        }
        standing => Ok(standing.map(|standing| (asked, standing))),
    }
}

fn judge<'a>(
    context: &Context,
    by: &'a JudgedBy,
    bundle: &ProofBundle,
    now: Time,
    wanted: Option<Digest>,
) -> Result<(ProvenRelease, Option<Asked<'a>>), Failure> {
    let anchor = context.anchor()?;
    let policy = match &by.policy {
        Some(path) => {
            let bytes = files::read(path, ENVELOPE_BYTES_MAX as u64)?;
            Some(Envelope::parse(&bytes).map_err(|why| unread(why.into(), path))?)
        }
        None => None,
    };
    let believed = match by.known.as_ref().filter(|path| path.exists()) {
        Some(path) => {
            let bytes = files::read(path, BELIEVED_BYTES_MAX)?;
            serde_json::from_slice(&bytes).map_err(|why| unread(why.into(), path))?
        }
        None => Believed::default(),
    };
    let terms = Terms { anchor: &anchor, policy: policy.as_ref(), now, believed: &believed };
    let proven = believe(bundle, &terms).map_err(|why| refused(why.into()))?;
    if let Some(other) = wanted.filter(|wanted| *wanted != proven.release) {
        let text = format!("the proof bundle is of release {}, not of {other}", proven.release);
        return Err(refused(anyhow::anyhow!("{text}")));
    }
    let host = host(by, &proven)?;
    if let Some(path) = &by.known {
        let mut bytes = serde_json::to_vec(&proven.believed)?;
        bytes.push(b'\n');
        files::replace(path, &bytes, Access::Public)?;
    }
    Ok((proven, host))
}

fn unread(why: anyhow::Error, path: &Path) -> Failure {
    why.context(format!("read {}", path.display())).into()
}

fn refused(cause: anyhow::Error) -> Failure {
    let failure = Failure { exit: Exit::Refused, cause, next: None };
    failure.next("do not install it; fetch a new proof bundle with andon release prove")
}

fn shown(
    context: &Context,
    file: &Path,
    bytes: usize,
    proven: &ProvenRelease,
    host: Option<&Asked<'_>>,
) -> Outcome {
    let manifest = &proven.manifest;
    let unverified = if host.is_some() { 0 } else { proven.attestations.len() };
    let value = json!({
        "file": file, "bytes": bytes, "release": proven.release, "vendor": proven.vendor(),
        "component": proven.component(), "version": manifest.version, "newest": proven.newest,
        "bundle": manifest.bundle, "expires": proven.expires, "judged_at": proven.judged_at,
        "log": logging(&proven.logging), "attestations_unverified": unverified,
        "attested": host.map(attested),
    });
    output::either(context.form(), &value, || {
        let (vendor, component) = (proven.vendor(), proven.component());
        let version = manifest.version;
        output::line(format_args!("Proven: {vendor} {component} version {version}"));
        output::line(format_args!("release {}", proven.release));
        output::line(format_args!("until {}; {bytes} bytes", proven.expires));
        output::line(logging_words(&proven.logging));
        output::line(match host {
            Some((class, Standing::CanaryOnly(why))) => {
                format!("Hosts of {class} install it in canary waves only: {why}")
            }
            Some((class, _)) => format!("Attested for hosts of {class}, as the policy demands"),
            None => format!("{unverified} attestations; give --class to have them judged"),
        });
        if proven.newest > version {
            output::line(format_args!("The vendor lists a newer version: {}", proven.newest));
        }
    })?;
    Ok(Exit::Ok)
}

fn attested((class, standing): &Asked<'_>) -> Value {
    match standing {
        Standing::CanaryOnly(why) => json!({"class": class, "waves": "canary", "why": why}),
        _ => json!({"class": class, "waves": "all"}),
    }
}

fn logging(logging: &Logging) -> Value {
    match logging {
        Logging::NotJudged { carried } => json!({"judged": false, "carried": carried}),
        Logging::NotDemanded => json!({"judged": true, "demanded": false}),
        Logging::Logged(verified) => {
            let checkpoint = verified.checkpoint();
            let names: Vec<&String> = checkpoint.cosigned().iter().map(|(name, _)| name).collect();
            json!({
                "judged": true, "demanded": true, "log": checkpoint.origin(),
                "index": verified.index(), "size": checkpoint.head().size, "witnesses": names,
                "quorum_time": checkpoint.quorum_time(),
            })
        }
    }
}

fn logging_words(logging: &Logging) -> String {
    match logging {
        Logging::NotJudged { carried: true } => {
            "Carries a proof of logging; give --policy to have it judged".to_owned()
        }
        Logging::NotJudged { carried: false } => {
            "Carries no proof of logging; --policy says whether one is demanded".to_owned()
        }
        Logging::NotDemanded => "The policy demands no public log".to_owned(),
        Logging::Logged(verified) => format!(
            "Logged: entry {} of {} in {}, seen by {} of the policy's witnesses",
            verified.index(),
            verified.checkpoint().head().size,
            verified.checkpoint().origin(),
            verified.checkpoint().cosigned().len()
        ),
    }
}
