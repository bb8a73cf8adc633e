//! `andon adopt`: the operator as vendor of record. A third party's files become a release signed by
//! the operator's own threshold of people, observe-only unless enforced on purpose.
use crate::clock;
use crate::commands::release::{Engine, validate};
use crate::commands::words::HookArgs;
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::files::{self, Access};
use crate::ops::init::vendor_of_record;
use crate::ops::release::{self, Draft, Release};
use crate::ops::role::{self, Standing};
use crate::output;
use crate::sources;
use crate::span::Span;
use andon_model::enrol::Anchor;
use andon_model::release::{ComponentKind, Mode, Version};
use andon_model::text::Text;
use andon_model::{ComponentId, LineId, VendorId};
use serde_json::json;
use std::path::PathBuf;

/// Options of `andon adopt`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the component on the hosts
    name: ComponentId,
    /// A folder, a .tar, .tar.gz, .tar.zst, or a Debian package
    #[arg(long, value_name = "PATH")]
    from: PathBuf,
    /// Only what is below this folder in it
    #[arg(long, value_name = "PREFIX")]
    path: Option<String>,
    /// Counts up; by default one more than the server has
    #[arg(long)]
    version: Option<u32>,
    #[command(flatten)]
    hooks: HookArgs,
    /// Take effect; without it hosts stage, validate and report only
    #[arg(long)]
    enforce: bool,
    /// The service that interprets it, if it is content for one of ours (such as the sensor)
    #[arg(long, value_name = "SERVICE")]
    consumer: Option<ComponentId>,
    /// Refuse files that this engine would not load
    #[arg(long, value_enum, value_name = "ENGINE")]
    validate_as: Option<Engine>,
    /// How long it must run well before a host confirms it
    #[arg(long, default_value_t = Span(release::SOAK), value_name = "TIME")]
    soak: Span,
    /// A person's key; repeat it for the threshold
    #[arg(long = "key", required = true, value_name = "KEY")]
    keys: Vec<String>,
    /// Sign without a server; for a component's first release
    #[arg(long)]
    offline: bool,
    /// Folder to make
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
}

pub(crate) async fn run(context: &Context, args: Args) -> Outcome {
    let anchor = context.anchor()?;
    let LineId::Operator(operator) = &anchor.line else {
        return Err(Failure::usage("only an operator's line can adopt, as vendor of record"));
    };
    let vendor = vendor_of_record(operator).map_err(anyhow::Error::new)?;
    let keys = context.keys(&args.keys)?;
    let collected = sources::collect(&args.from, args.path.as_deref())?;
    let report = validate(args.validate_as, &collected.files)?;
    let standing = standing(context, &args, &anchor, &vendor).await?;

    let version = args.version.unwrap_or_else(|| next_version(&standing, &vendor, &args.name));
    let kind = if args.consumer.is_some() { ComponentKind::Content } else { ComponentKind::Files };
    let mut draft = Draft::new(vendor, args.name.clone(), Version(version), kind);
    draft.mode = if args.enforce { Mode::Enforce } else { Mode::Observe };
    draft.consumer = args.consumer.clone();
    draft.hooks = args.hooks.hooks()?;
    draft.soak = args.soak.0;
    draft.origin = Text::clipped(&format!("adopted from {}", collected.origin));
    let made = release::make(draft, collected.files)?;

    let mut role = standing.extend(&made, clock::now())?;
    for held in &keys {
        let next = format!("adopting is signed by {} of the operator's people", standing.threshold);
        standing.sign(&mut role, &held.key).map_err(|e| Failure::from(e).next(next))?;
    }
    made.write(&args.output).map_err(|e| Failure::from(e).next("choose another -o folder"))?;
    let bytes = role.to_bytes();
    files::replace(&args.output.join("role.json"), &bytes, Access::Public)?;
    show(context, &args, &made, (role::signatures(&bytes), standing.threshold), report)?;
    Ok(Exit::Ok)
}

async fn standing(
    context: &Context,
    args: &Args,
    anchor: &Anchor,
    vendor: &VendorId,
) -> Result<Standing, Failure> {
    if args.offline {
        let mut standing = Standing::offline(vendor, None)?;
        standing.threshold = anchor.operators_threshold;
        return Ok(standing);
    }
    let client = context.client()?;
    role::standing(&client, &anchor.tuf_root, vendor, clock::now())
        .await
        .map_err(|e| Failure::from(e).next("start the server, or --offline for a first release"))
}

/// One more than the newest release of this component.
fn next_version(standing: &Standing, vendor: &VendorId, component: &ComponentId) -> u32 {
    let folder = format!("releases/{vendor}/{component}/");
    let number = |path: &String| path.strip_prefix(&folder)?.strip_suffix(".json")?.parse().ok();
    let newest: Option<u32> = standing.targets.keys().filter_map(number).max();
    newest.unwrap_or(0).saturating_add(1)
}

fn show(
    context: &Context,
    args: &Args,
    made: &Release,
    (have, need): (usize, u32),
    report: Option<String>,
) -> Result<(), Failure> {
    let manifest = &made.manifest;
    let value = json!({
        "dir": args.output, "release": made.digest(), "vendor": manifest.vendor,
        "component": manifest.component, "version": manifest.version, "mode": manifest.mode,
        "files": manifest.files.len(), "bytes": manifest.bundle_length(),
        "origin": manifest.origin, "signatures": have, "threshold": need, "validation": report,
    });
    output::either(context.form(), &value, || {
        output::line(format_args!(
            "{} version {}: {} files, {} bytes, {}",
            manifest.component,
            manifest.version,
            manifest.files.len(),
            manifest.bundle_length(),
            manifest.origin
        ));
        if let Some(report) = &report {
            output::line(report);
        }
        let effect = match manifest.mode {
            Mode::Observe => {
                "observe only: hosts stage, validate and report, the tool is not touched"
            }
            Mode::Enforce => "enforced: hosts put it into effect",
        };
        output::line(effect);
        output::line(format_args!("release {}", made.digest()));
        let dir = args.output.display();
        if (have as u64) < u64::from(need) {
            output::line(format_args!("{have} of {need} signatures"));
            output::note(format_args!("next: andon release sign --add {dir} --key ANOTHER"));
        } else {
            output::note(format_args!("next: andon release publish {dir}"));
        }
    })
}
