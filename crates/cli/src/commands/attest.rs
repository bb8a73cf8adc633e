//! `andon release attest` and `waive`: bring what rigs have signed to the server, or two people's word
//! that a release may go into canary waves without.
use crate::clock;
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::files::{self, Access};
use crate::ops::release::Release;
use crate::output;
use crate::span::Span;
use andon_model::attestation::AttestedClass;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::limits::{ATTESTATION_BYTES_MAX, ATTESTATIONS_BYTES_MAX};
use andon_model::text::Text;
use andon_model::waiver::Waiver;
use andon_model::{Digest, Millis};
use andon_trust::attestation::{envelopes, to_file};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Options of `andon release attest`.
#[derive(Debug, clap::Args)]
pub(crate) struct Attest {
    /// folder of the release, or its digest
    #[arg(value_name = "DIR|DIGEST")]
    release: String,
    /// what rigs have signed, as `andon rig run` writes it
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Options of `andon release waive`.
#[derive(Debug, clap::Args)]
pub(crate) struct Waive {
    /// folder of the release, or its digest
    #[arg(value_name = "DIR|DIGEST")]
    release: String,
    /// class of the hosts, ARCH/OS/MODEL
    #[arg(long, value_name = "CLASS", required_unless_present = "add")]
    class: Option<AttestedClass>,
    /// For hosts of that architecture and system, whatever their model
    #[arg(long)]
    every_model: bool,
    /// Why; it is signed and public
    #[arg(long, required_unless_present = "add")]
    reason: Option<String>,
    /// How long it holds, 7 days at most
    #[arg(long, default_value_t = Span(Millis::from_secs(86_400)), value_name = "TIME")]
    valid: Span,
    /// key of a person; two people are needed
    #[arg(long = "key", required = true, value_name = "KEY")]
    keys: Vec<String>,
    /// Sign what somebody else has begun: the file that -o wrote
    #[arg(long, value_name = "FILE", conflicts_with_all = ["class", "reason"])]
    add: Option<PathBuf>,
    /// Write it here for another person to sign, and send nothing
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) async fn attest(context: &Context, args: &Attest) -> Outcome {
    let release = named(&args.release)?;
    let mut bytes = Vec::new();
    for path in &args.files {
        bytes.extend(files::read(path, ATTESTATIONS_BYTES_MAX as u64)?);
        bytes.push(b'\n');
    }
    let all = envelopes(&bytes)?;
    send(context, release, &all).await
}

pub(crate) async fn waive(context: &Context, args: &Waive) -> Outcome {
    let release = named(&args.release)?;
    let mut held = context.keys(&args.keys)?.into_iter();
    let mut envelope = match &args.add {
        Some(path) => begun(path, &release)?,
        None => {
            let waiver = waiver(context, args, release)?;
            let first = held.next().ok_or_else(|| Failure::usage("give a person's key"))?;
            first.key.seal(PayloadType::Waiver, &serde_json::to_vec(&waiver)?)
        }
    };
    held.for_each(|other| other.key.add(&mut envelope));
    match &args.output {
        None => send(context, release, &[envelope]).await,
        Some(path) => {
            files::replace(path, &to_file([&envelope]), Access::Public)?;
            let value = json!({"release": release, "file": path});
            output::either(context.form(), &value, || {
                let (word, path) = (&args.release, path.display());
                output::note(format_args!(
                    "next: andon release waive {word} --add {path} --key ANOTHER"
                ));
            })?;
            Ok(Exit::Ok)
        }
    }
}

/// What somebody else has signed, shown to be about this release.
fn begun(path: &Path, release: &Digest) -> Result<Envelope, Failure> {
    let bytes = files::read(path, ATTESTATION_BYTES_MAX as u64)?;
    let mut all = envelopes(&bytes)?;
    let envelope = all.pop().filter(|_| all.is_empty());
    let envelope = envelope.ok_or_else(|| Failure::usage("the file does not hold one waiver"))?;
    let waiver = Waiver::parse(&envelope.payload)?;
    if envelope.payload_type != PayloadType::Waiver || waiver.release != *release {
        return Err(Failure::usage("the file holds no waiver of this release"));
    }
    let class = [Some(&waiver.arch), Some(&waiver.os), waiver.model.as_ref()];
    let class: Vec<&str> = class.into_iter().flatten().map(|name| name.as_str()).collect();
    output::note(format_args!(
        "you sign: release {release} into the canary waves of {} until {}: {}",
        class.join("/"),
        waiver.expires,
        output::clean(waiver.reason.as_str())
    ));
    Ok(envelope)
}

fn waiver(context: &Context, args: &Waive, release: Digest) -> Result<Waiver, Failure> {
    let (Some(class), Some(reason)) = (args.class.clone(), args.reason.clone()) else {
        return Err(Failure::usage("--class and --reason are needed"));
    };
    let issued = clock::now();
    let waiver = Waiver {
        schema: 1,
        line: context.line()?,
        release,
        arch: class.arch,
        os: class.os,
        model: (!args.every_model).then_some(class.model),
        reason: Text::try_from(reason)?,
        issued,
        expires: issued.plus(args.valid.0),
    };
    waiver.check()?;
    Ok(waiver)
}

fn named(word: &str) -> Result<Digest, Failure> {
    match word.parse::<Digest>() {
        Ok(digest) => Ok(digest),
        Err(_) if Path::new(word).is_dir() => Ok(Release::read(Path::new(word))?.digest()),
        Err(_) => Err(Failure::usage(format!("release {word:?} is neither a folder nor a digest"))
            .next("andon release list shows what is published")),
    }
}

async fn send(context: &Context, release: Digest, all: &[Envelope]) -> Outcome {
    let client = context.client()?;
    let path = format!("/v1/attestations/{release}");
    let answer: serde_json::Value = client.post_bytes(&path, to_file(all)).await?;
    output::either(context.form(), &answer, || {
        output::line(format_args!(
            "release {release}: {} taken, {} known before",
            answer["taken"], answer["known"]
        ));
    })?;
    Ok(Exit::Ok)
}
