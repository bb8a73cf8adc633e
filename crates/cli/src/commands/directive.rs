//! `andon recall`, `andon park`, `andon minimum`: what healthy hosts obey too, so a threshold signs it.
//! `andon directive sign|send`: when its people are not in one room.
use crate::clock;
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::files::{self, Access};
use crate::ops::directive::{self, Saying};
use crate::output;
use crate::span::Span;
use andon_model::directive::{Demand, Directive};
use andon_model::envelope::Envelope;
use andon_model::limits::{DIRECTIVE_BYTES_MAX, DIRECTIVE_VALID_MAX};
use andon_model::release::Version;
use andon_model::{ComponentId, Digest, Millis};
use andon_trust::sign::SigningKey;
use clap::Subcommand;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Options of all three.
#[derive(Debug, clap::Args)]
pub(crate) struct Common {
    /// Who says it: operator (default), operator:NAME or vendor:NAME
    #[arg(long = "as", default_value = "operator", value_name = "PARTY")]
    party: String,
    /// Keys of that party, as many as its threshold: operator-root/NAME, or vendors/NAME/N. May be repeated
    #[arg(long = "key", value_name = "KEY", required = true)]
    keys: Vec<String>,
    /// Why; people will read it (at most 120 bytes)
    #[arg(long)]
    reason: String,
    /// How long it holds
    #[arg(long, default_value = "30d", value_name = "SPAN")]
    valid: Span,
    /// Write it to this file for others to sign, instead of sending it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Options of `andon recall`.
#[derive(Debug, clap::Args)]
pub(crate) struct Recall {
    /// What is recalled, by the digest of its manifest
    release: Digest,
    /// The older release that takes its place
    #[arg(long, value_name = "RELEASE")]
    to: Digest,
    #[command(flatten)]
    common: Common,
}

/// Options of `andon park`.
#[derive(Debug, clap::Args)]
pub(crate) struct Park {
    /// What is switched off, by the digest of its manifest
    release: Digest,
    /// In how much time all hosts have obeyed, each at its own moment; at most 24h
    #[arg(long, default_value = "10m", value_name = "SPAN")]
    over: Span,
    #[command(flatten)]
    common: Common,
}

/// Options of `andon minimum`.
#[derive(Debug, clap::Args)]
pub(crate) struct Minimum {
    /// The component
    component: ComponentId,
    /// Its oldest version from now on
    version: u32,
    #[command(flatten)]
    common: Common,
}

/// `andon directive …`
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Add signatures to a directive in a file
    Sign {
        /// the file
        file: PathBuf,
        /// With which keys. May be repeated
        #[arg(long = "key", value_name = "KEY", required = true)]
        keys: Vec<String>,
    },
    /// Send a directive that enough people have signed
    Send {
        /// the file
        file: PathBuf,
    },
}

pub(crate) async fn recall(context: &Context, args: Recall) -> Outcome {
    let demand = Demand::Recall { release: args.release, to: args.to };
    say(context, demand, args.common).await
}

pub(crate) async fn park(context: &Context, args: Park) -> Outcome {
    let demand = Demand::Park { release: args.release, over: args.over.0 };
    say(context, demand, args.common).await
}

pub(crate) async fn minimum(context: &Context, args: Minimum) -> Outcome {
    let demand = Demand::Minimum { component: args.component, version: Version(args.version) };
    say(context, demand, args.common).await
}

pub(crate) async fn run(context: &Context, command: Command) -> Outcome {
    match command {
        Command::Sign { file, keys } => sign(context, &file, &keys),
        Command::Send { file } => {
            let (envelope, directive) = read(&file)?;
            send(context, &envelope, &directive).await
        }
    }
}

async fn say(context: &Context, demand: Demand, common: Common) -> Outcome {
    let Common { party, keys, reason, valid: Span(valid), out } = common;
    if valid == Millis(0) || valid > DIRECTIVE_VALID_MAX {
        return Err(Failure::usage("a directive holds for 366 days at most, and not for no time"));
    }
    let by = super::pull::party(context, &party)?;
    let keys = signing(context, &keys)?;
    let envelope = directive::make(Saying { by, demand, reason, valid }, &keys, clock::now())?;
    let (_, directive) = directive::read(&envelope.to_bytes())?;
    match out {
        None => send(context, &envelope, &directive).await,
        Some(file) => {
            files::create(&file, &envelope.to_bytes(), Access::Public)?;
            written(context, &file, &envelope)
        }
    }
}

fn sign(context: &Context, file: &Path, words: &[String]) -> Outcome {
    let (envelope, directive) = read(file)?;
    let keys = signing(context, words)?;
    let envelope = directive::cosign(envelope, &keys)?;
    files::replace(file, &envelope.to_bytes(), Access::Public)?;
    output::note(format_args!("what you have signed: {}", in_words(&directive)));
    written(context, file, &envelope)
}

fn written(context: &Context, file: &Path, envelope: &Envelope) -> Outcome {
    let signed = envelope.signatures.len();
    let value =
        json!({"file": file, "signatures": signed, "directive": Digest::of(&envelope.payload)});
    output::either(context.form(), &value, || {
        output::line(format_args!("{} holds it, signed with {signed} keys.", file.display()));
        output::note(
            "the next signs: andon directive sign FILE --key NAME; then: andon directive send FILE",
        );
    })?;
    Ok(Exit::Ok)
}

fn read(file: &Path) -> Result<(Envelope, Directive), Failure> {
    let bytes = files::read(file, DIRECTIVE_BYTES_MAX as u64)?;
    Ok(directive::read(&bytes)?)
}

fn signing(context: &Context, words: &[String]) -> Result<Vec<SigningKey>, Failure> {
    Ok(context.keys(words)?.into_iter().map(|held| held.key).collect())
}

async fn send(context: &Context, envelope: &Envelope, directive: &Directive) -> Outcome {
    let name = directive::send(&context.client()?, envelope).await?;
    let digest = Digest::of(&envelope.payload);
    let value = json!({
        "stop": name, "directive": digest, "by": directive.by, "demand": directive.demand,
        "expires": directive.expires,
    });
    output::either(context.form(), &value, || {
        output::line(format_args!("In force: {}.", in_words(directive)));
        output::note(next(directive));
        output::note(format_args!(
            "to let it go again: [[override]] freeze = \"{digest}\" in policy.toml"
        ));
    })?;
    Ok(Exit::Ok)
}

fn in_words(directive: &Directive) -> String {
    let Directive { by, demand, expires, .. } = directive;
    match demand {
        Demand::Recall { release, to } => {
            format!("{by} recalls {} to {}, until {expires}", release.short(), to.short())
        }
        Demand::Park { release, over } => {
            let over = Span(*over);
            format!("{by} parks {} over {over}, until {expires}", release.short())
        }
        Demand::Minimum { component, version } => {
            format!("{by} raises the minimum of {component} to {version}")
        }
    }
}

fn next(directive: &Directive) -> String {
    match &directive.demand {
        Demand::Recall { to, .. } => format!(
            "no host starts it any more; those that run it go back wave by wave, gated, once you type: \
             andon rollout start --release {to} --key NAME"
        ),
        Demand::Park { .. } => {
            "hosts that run it switch it off, each at its own moment; another release starts again"
                .to_owned()
        }
        Demand::Minimum { .. } => {
            "a host takes it over once it has itself confirmed that version, \
                                   and forgets what is older in its other slot"
                .to_owned()
        }
    }
}
