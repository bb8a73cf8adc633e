//! `andon rig`: run a release on this machine as hosts of its class would, and sign what came of it.
use crate::clock;
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::files::{self, Access};
use crate::keys;
use crate::ops::release::Release;
use crate::output;
use crate::rig::{self, Means, inside};
use crate::span::Span;
use andon_model::attestation::AttestedClass;
use andon_model::envelope::PayloadType;
use andon_model::facts::FactName;
use andon_model::limits::SIGNATURES_MAX;
use andon_model::{Millis, RigId};
use andon_trust::attestation::to_file;
use serde_json::json;
use std::path::{Path, PathBuf};

const AFTER_HELP: &str = "\
Runs what hosts would run: the validate hook, the sensor's engine over rules, a service until it has been
well for its soak. Behind walls: no network, no file beside the release's and its own folder's can be
written, a limit on memory and time. Needs Linux 6.7 or newer with Landlock; better not as root.
Exit code 1: the component failed; that is signed, too, and keeps hosts of the class from it.";

/// What `andon rig` does.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make a rig's key; prints what the policy has to name
    Keys {
        /// Its name in the policy
        #[arg(long)]
        name: RigId,
        /// File to make, for the private key
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Run a release here and sign what came of it, as JSON lines of in-toto attestations
    #[command(after_help = AFTER_HELP)]
    Run(Run),
    #[command(hide = true)]
    Inside(inside::Inside),
}

/// Options of `andon rig run`.
#[derive(Debug, clap::Args)]
pub(crate) struct Run {
    /// folder of the release
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// key of the rig
    #[arg(long = "key", required = true, value_name = "KEY")]
    keys: Vec<String>,
    /// Class of this machine, ARCH/OS/MODEL as `andon host` shows it; refused if it is another one. The
    /// kernel that runs here is signed with it
    #[arg(long, value_name = "CLASS")]
    class: AttestedClass,
    /// Build of the sensor that runs here, as hosts with it say it; signed with the class
    #[arg(long, value_name = "DIGEST")]
    sensor: Option<FactName>,
    /// Rung of capabilities that the sensor finds here; signed with the class
    #[arg(long, value_name = "NAME")]
    rung: Option<FactName>,
    /// Most memory that the component may use, in MiB
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u64).range(64..=1_048_576))]
    memory: u64,
    /// Longest for each command of the component
    #[arg(long, default_value_t = Span(Millis::from_secs(60)), value_name = "TIME")]
    time: Span,
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

pub(crate) fn run(context: &Context, command: Command) -> Outcome {
    match command {
        Command::Keys { name, out } => make_key(context, &name, &out),
        Command::Run(args) => bench(context, &args),
        Command::Inside(inside) => inside::run(&inside),
    }
}

fn make_key(context: &Context, name: &RigId, out: &Path) -> Outcome {
    let public = keys::make(out, name.as_str(), keys::RIG)?.key.public();
    output::either(context.form(), &json!({"name": name, "key": public, "file": out}), || {
        output::line(format_args!("{{ name = \"{name}\", key = \"{public}\" }}"));
        output::note("next: put it among the rigs of [attestations] in policy.toml, and sign that");
    })?;
    Ok(Exit::Ok)
}

fn bench(context: &Context, args: &Run) -> Outcome {
    let held = context.keys(&args.keys)?;
    let Some((first, others)) = held.split_first().filter(|_| held.len() <= SIGNATURES_MAX) else {
        return Err(Failure::usage(format!("give 1 to {SIGNATURES_MAX} keys")));
    };
    let class = rig::class(&args.class, (&args.sensor, &args.rung))
        .map_err(|e| Failure::from(e).next("run it on a machine of that class"))?;
    let release = Release::read(&args.folder)?;
    let means = Means { memory: args.memory.saturating_mul(1024 * 1024), time: args.time.0.std() };
    let report = rig::run(&release, &class, means)?;
    let statements = rig::statements(&release, &class, &report, &first.name, clock::now());
    let envelopes: Vec<_> = statements
        .iter()
        .map(|statement| {
            let mut envelope = first.key.seal(PayloadType::Statement, &statement.to_bytes());
            others.iter().for_each(|other| other.key.add(&mut envelope));
            envelope
        })
        .collect();
    files::replace(&args.output, &to_file(&envelopes), Access::Public)?;
    let (result, exit) = match report.failed {
        None => ("PASSED", Exit::Ok),
        Some(_) => ("FAILED", Exit::Failed),
    };
    let value = json!({
        "release": release.digest(), "class": class.to_string(), "result": result,
        "passed": report.passed, "failed": report.failed, "file": args.output,
    });
    output::either(context.form(), &value, || {
        output::line(format_args!("{result} on {class}: release {}", release.digest()));
        for name in &report.passed {
            output::line(format_args!("  passed  {name}"));
        }
        if let Some((name, why)) = &report.failed {
            output::line(format_args!("  failed  {name}: {}", output::clean(why)));
        }
        let (folder, file) = (args.folder.display(), args.output.display());
        output::note(format_args!("next: andon release attest {folder} {file}"));
    })?;
    Ok(exit)
}
