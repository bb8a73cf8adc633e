//! `andon release`: create, sign, publish; proof bundles are in [`proof`].
use crate::clock;
use crate::commands::attest;
use crate::commands::proof;
use crate::commands::words::{HookArgs, split};
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::files::{self, Access};
use crate::ops::release::{self, Draft, Release};
use crate::ops::role::{self, Standing};
use crate::output;
use crate::sources::{self, SourceFile};
use crate::span::Span;
use andon_model::limits::TUF_BYTES_MAX;
use andon_model::release::{Activation, ComponentKind, Mode, Version};
use andon_model::text::Text;
use andon_model::{ComponentId, VendorId};
use andon_trust::repository::SignedMetadata;
use serde_json::json;
use std::path::{Path, PathBuf};

/// What `andon release` does.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a release of files: DIR/manifest.json and DIR/bundle
    Create(Box<Create>),
    /// Sign it under the vendor's role: DIR/role.json
    Sign(Sign),
    /// Upload it to the server
    Publish {
        /// folder of the release
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Bring what rigs have signed about it to the server
    Attest(attest::Attest),
    /// Two people let it into the canary waves of a class that no rig has run it on
    Waive(attest::Waive),
    /// Releases that the server has
    List,
    /// Fetch a published release's proof bundle: manifest and everything that proves it, in one file
    Prove(proof::Prove),
    /// Check a proof bundle offline, by the anchor alone
    Verify(proof::Verify),
}

/// Options of `andon release create`.
#[derive(Debug, clap::Args)]
pub(crate) struct Create {
    /// Files and folders
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[arg(long)]
    vendor: VendorId,
    #[arg(long)]
    component: ComponentId,
    #[arg(long, value_enum)]
    kind: Kind,
    /// Counts up with every release of the component
    #[arg(long)]
    version: u32,
    /// The service that interprets it (kind content)
    #[arg(long, value_name = "SERVICE")]
    consumer: Option<ComponentId>,
    /// How the consumer gets new content
    #[arg(long, value_enum, default_value = "restart")]
    activation: ActivationWord,
    /// Program below the slot and its arguments (kind service)
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,
    /// Take effect, or only be staged, validated and reported
    #[arg(long, value_enum, default_value = "enforce")]
    mode: ModeWord,
    #[command(flatten)]
    hooks: HookArgs,
    /// How long it must run well before a host confirms it
    #[arg(long, default_value_t = Span(release::SOAK), value_name = "TIME")]
    soak: Span,
    /// Machine architectures it fits (`uname -m`), comma-separated; all if absent
    #[arg(long, value_delimiter = ',', value_name = "ARCH")]
    architectures: Vec<String>,
    /// Where it comes from, for people
    #[arg(long, default_value = "")]
    origin: String,
    /// Refuse files that this engine would not load
    #[arg(long, value_enum, value_name = "ENGINE")]
    validate_as: Option<Engine>,
    /// Folder to make
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
}

/// Options of `andon release sign`.
#[derive(Debug, clap::Args)]
pub(crate) struct Sign {
    /// folder of the release
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// key of the vendor; repeat it for the threshold
    #[arg(long = "key", required = true, value_name = "KEY")]
    keys: Vec<String>,
    /// Add a signature to what somebody else has begun
    #[arg(long)]
    add: bool,
    /// Sign without a server: the vendor's present role from a file, or the word new
    #[arg(long, value_name = "FILE|new")]
    role: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Kind {
    Content,
    Service,
    Files,
    Kmod,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum ActivationWord {
    Restart,
    Reload,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum ModeWord {
    Observe,
    Enforce,
}

/// Engines that validate before anything is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Engine {
    /// Sigma rules, by the sensor's own engine
    Sigma,
}

pub(crate) async fn run(context: &Context, command: Command) -> Outcome {
    match command {
        Command::Create(args) => create(context, *args),
        Command::Sign(args) => sign(context, args).await,
        Command::Publish { folder } => publish(context, &folder).await,
        Command::Attest(args) => attest::attest(context, &args).await,
        Command::Waive(args) => attest::waive(context, &args).await,
        Command::List => list(context).await,
        Command::Prove(args) => proof::prove(context, args).await,
        Command::Verify(args) => proof::verify(context, &args),
    }
}

fn create(context: &Context, args: Create) -> Outcome {
    let kind = match args.kind {
        Kind::Content => ComponentKind::Content,
        Kind::Service => ComponentKind::Service,
        Kind::Files => ComponentKind::Files,
        Kind::Kmod => ComponentKind::Kmod,
    };
    let mut draft = Draft::new(args.vendor, args.component, Version(args.version), kind);
    draft.consumer = args.consumer;
    draft.activation = match args.activation {
        ActivationWord::Restart => Activation::Restart,
        ActivationWord::Reload => Activation::Reload,
    };
    if let Some(text) = &args.exec {
        let wrong =
            || Failure::usage(format_args!("--exec {text:?} is empty or has an open quote"));
        draft.exec = split(text).ok_or_else(wrong)?;
    }
    draft.mode = match args.mode {
        ModeWord::Observe => Mode::Observe,
        ModeWord::Enforce => Mode::Enforce,
    };
    draft.hooks = args.hooks.hooks()?;
    draft.soak = args.soak.0;
    draft.architectures = args.architectures;
    draft.origin = Text::try_from(args.origin)?;
    let files = sources::gather(&args.paths)?;
    let consumer = draft.consumer.as_ref().map(ComponentId::as_str);
    let report = validate(engine_for(args.validate_as, consumer, &files), &files)?;
    let made = release::make(draft, files)?;
    made.write(&args.output).map_err(|e| Failure::from(e).next("choose another -o folder"))?;
    shown(context, &made, &args.output, report)
}

fn shown(context: &Context, made: &Release, dir: &Path, report: Option<String>) -> Outcome {
    let manifest = &made.manifest;
    let value = json!({
        "dir": dir, "release": made.digest(), "vendor": manifest.vendor,
        "component": manifest.component, "version": manifest.version, "kind": manifest.kind,
        "mode": manifest.mode, "files": manifest.files.len(), "bytes": manifest.bundle_length(),
        "origin": manifest.origin, "validation": report,
    });
    output::either(context.form(), &value, || {
        output::line(format_args!(
            "{} {} version {}: {} files, {} bytes",
            manifest.vendor,
            manifest.component,
            manifest.version,
            manifest.files.len(),
            manifest.bundle_length()
        ));
        if let Some(report) = &report {
            output::line(report);
        }
        output::line(format_args!("release {}", made.digest()));
        let vendor = &manifest.vendor;
        let dir = dir.display();
        output::note(format_args!(
            "next: andon release sign {dir} --key vendors/{vendor}/1 --key vendors/{vendor}/2"
        ));
    })?;
    Ok(Exit::Ok)
}

/// Asked for, or obvious: rules for our sensor.
fn engine_for(
    asked: Option<Engine>,
    consumer: Option<&str>,
    files: &[SourceFile],
) -> Option<Engine> {
    let rules = |file: &SourceFile| file.path.ends_with(".yml") || file.path.ends_with(".yaml");
    let obvious = consumer.is_some_and(|name| name.contains("sensor")) && files.iter().any(rules);
    asked.or(obvious.then_some(Engine::Sigma))
}

/// Loads the files with the engine that will run them; what it says, for people.
pub(crate) fn validate(
    engine: Option<Engine>,
    files: &[SourceFile],
) -> Result<Option<String>, Failure> {
    let Some(Engine::Sigma) = engine else { return Ok(None) };
    let pairs = files.iter().map(|file| (file.path.as_str(), file.bytes.as_slice()));
    let report = andon_content::preflight::validate(pairs).map_err(|e| {
        Failure::from(anyhow::Error::new(e).context("load rules with the sensor's engine"))
            .next("mend or leave out the file named; hosts would refuse it too")
    })?;
    Ok(Some(format!(
        "checked by the sensor's engine: {} rules active, {} for other event kinds, {} files \
         without rules, {} detections on ordinary events",
        report.counts.active, report.counts.inert, report.counts.skipped_files, report.noise
    )))
}

async fn sign(context: &Context, args: Sign) -> Outcome {
    let made = Release::read(&args.folder)?;
    let standing = standing(context, &args, &made).await?;
    let place = args.folder.join("role.json");
    let mut draft = if args.add {
        let bytes = files::read(&place, TUF_BYTES_MAX as u64)
            .map_err(|e| Failure::from(e).next("sign without --add first"))?;
        standing.review(&bytes, &made)?;
        SignedMetadata::parse(&bytes)?
    } else {
        standing.extend(&made, clock::now())?
    };
    for held in context.keys(&args.keys)? {
        let next = format!("use the keys of vendor {}", made.manifest.vendor);
        standing.sign(&mut draft, &held.key).map_err(|e| Failure::from(e).next(next))?;
    }
    let bytes = draft.to_bytes();
    files::replace(&place, &bytes, Access::Public)?;
    let (have, need) = (role::signatures(&bytes), standing.threshold);
    let value = json!({"release": made.digest(), "role": place, "role_version": draft.version(),
        "signatures": have, "threshold": (need > 0).then_some(need)});
    output::either(context.form(), &value, || {
        output::line(format_args!(
            "{} signed: role version {}",
            made.manifest.target_path(),
            draft.version()
        ));
        let dir = args.folder.display();
        if need == 0 {
            output::line(format_args!(
                "{have} signatures; only the server knows how many are needed"
            ));
        } else if (have as u64) < u64::from(need) {
            output::line(format_args!("{have} of {need} signatures"));
            output::note(format_args!("next: andon release sign --add {dir} --key ANOTHER"));
        } else {
            output::note(format_args!("next: andon release publish {dir}"));
        }
    })?;
    Ok(Exit::Ok)
}

async fn standing(context: &Context, args: &Sign, made: &Release) -> Result<Standing, Failure> {
    let vendor = &made.manifest.vendor;
    if let Some(path) = &args.role {
        let bytes = if path.as_os_str() == "new" {
            None
        } else {
            Some(files::read(path, TUF_BYTES_MAX as u64)?)
        };
        return Ok(Standing::offline(vendor, bytes)?);
    }
    let anchor = context.anchor()?;
    Ok(role::standing(&context.client()?, &anchor.tuf_root, vendor, clock::now()).await?)
}

async fn publish(context: &Context, dir: &Path) -> Outcome {
    let made = Release::read(dir)?;
    let bytes = files::read(&dir.join("role.json"), TUF_BYTES_MAX as u64)
        .map_err(|e| Failure::from(e).next(format!("andon release sign {}", dir.display())))?;
    let version = role::publish(&context.client()?, &made, &bytes).await?;
    let value = json!({"release": made.digest(), "role_version": version, "published": true});
    output::either(context.form(), &value, || {
        output::line(format_args!("Published {}: {}", made.manifest.target_path(), made.digest()));
        let dir = dir.display();
        output::note(format_args!(
            "next: andon rollout start --release {dir} --lane routine --key alice"
        ));
    })?;
    Ok(Exit::Ok)
}

async fn list(context: &Context) -> Outcome {
    let value: serde_json::Value = context.client()?.json("/v1/releases").await?;
    output::either(context.form(), &value, || {
        let text = |item: &serde_json::Value, key: &str| match &item[key] {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Null => "-".to_owned(),
            other => other.to_string(),
        };
        let header = ["vendor", "component", "version", "frozen", "release"];
        let row = |item| header.iter().map(|key| text(item, key)).collect();
        let rows = value.as_array().into_iter().flatten().map(row).collect();
        output::line(output::table(&header, rows));
    })?;
    Ok(Exit::Ok)
}
