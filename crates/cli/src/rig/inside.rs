//! The child on the bench: goes behind the walls, says so, and becomes the component's program, or loads
//! content with the engine that hosts load it with. Not meant to be typed.
use super::sandbox::{self, Limits};
use crate::exit::{Exit, Failure, Outcome};
use crate::sources;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

/// What the child writes once it is confined; before, nothing of the component has run.
pub(super) const CONFINED: &[u8] = b"confined";

/// Options of the child.
#[derive(Debug, clap::Args)]
pub(crate) struct Inside {
    /// folder of the release's files
    #[arg(long)]
    pub(super) slot: PathBuf,
    /// folder that the component may write
    #[arg(long)]
    pub(super) state: PathBuf,
    /// file that says that the walls stand
    #[arg(long)]
    pub(super) confined: PathBuf,
    /// address space, bytes
    #[arg(long)]
    pub(super) memory: u64,
    /// processor time, seconds
    #[arg(long)]
    pub(super) processor: u64,
    /// load the slot's files with the sensor's engine instead of running a program
    #[arg(long)]
    pub(super) load_rules: bool,
    /// the program and its arguments
    #[arg(last = true)]
    pub(super) argv: Vec<String>,
}

pub(crate) fn run(inside: &Inside) -> Outcome {
    // The rig's end is ours: nothing of a component outlives it.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    let mut confined = std::fs::File::options().write(true).open(&inside.confined)?;
    let limits = Limits { memory: inside.memory, processor: inside.processor };
    sandbox::enter(limits, &inside.slot, &inside.state)?;
    confined.write_all(CONFINED)?;
    drop(confined);
    if inside.load_rules {
        let files = sources::gather(std::slice::from_ref(&inside.slot))?;
        let pairs = files.iter().map(|file| (file.path.as_str(), file.bytes.as_slice()));
        let report = andon_content::preflight::validate(pairs)?;
        crate::output::line(format_args!("{} rules active", report.counts.active));
        return Ok(Exit::Ok);
    }
    let (program, arguments) =
        inside.argv.split_first().ok_or_else(|| Failure::usage("no program to run"))?;
    let failed = Command::new(program).args(arguments).exec();
    Err(anyhow::Error::new(failed).context(format!("start {program}")).into())
}
