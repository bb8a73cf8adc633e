//! The command line. Options of a command stand beside it, in `commands`.
use crate::commands::{
    adopt, directive, host, init, keys, line, log, plan, platform, policy, pull, release, replay,
    rig, rollout, simulate, trust, tuf_client, verifier, why, witness,
};
use crate::{demo, fleet};
use andon_model::LineId;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Fast security updates that stop themselves before they take the fleet down.
#[derive(Debug, Parser)]
#[command(name = "andon", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 wrong command line, 3 refused by server or policy, 4 not found,
5 server not reachable, 6 rollout halted or promise broken.
Keys: --key takes a file, or with --dir a name: alice, vendors/acme/1, platform/cord.";

/// Options that every command knows.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// Folder made by `andon init`: server address, line and keys are found there
    #[arg(long, global = true, env = "ANDON_DIR", value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Address of andond, if not the one in the folder
    #[arg(long, global = true, env = "ANDON_SERVER", value_name = "URL")]
    pub(crate) server: Option<String>,
    /// Line, where there is no folder: operator:NAME or vendor:NAME
    #[arg(long, global = true, env = "ANDON_LINE", value_name = "LINE")]
    pub(crate) line: Option<LineId>,
    /// Anchor file, where there is no folder
    #[arg(long, global = true, env = "ANDON_ANCHOR", value_name = "FILE")]
    pub(crate) anchor: Option<PathBuf>,
    /// Opens encrypted key files: the file's first line is the passphrase; repeat it where keys have
    /// different ones. Without it the terminal is asked
    #[arg(long, global = true, env = "ANDON_PASSPHRASE_FILE", value_name = "FILE")]
    pub(crate) passphrase_file: Vec<PathBuf>,
    /// Print one JSON document instead of text for people
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make keys, anchor, policy, update repository and server configuration
    Init(init::Args),
    /// Make, sign and publish a release
    #[command(subcommand)]
    Release(release::Command),
    /// Wrap a third party's folder, archive or .deb into a signed release, observe-only first
    Adopt(Box<adopt::Args>),
    /// Run releases on this machine before hosts do, and sign what came of it
    #[command(subcommand)]
    Rig(rig::Command),
    /// Start, watch and steer rollouts
    #[command(subcommand)]
    Rollout(rollout::Command),
    /// A vendor line's members: whose tallies are due, and going on without one
    #[command(subcommand)]
    Line(line::Command),
    /// Pull the cord: freeze a release, a vendor, or everything
    Pull(pull::Args),
    /// Let hosts go back from a release to an older one, gated like any rollout; a threshold signs
    Recall(directive::Recall),
    /// Switch a release off where it runs, hosts stay up; a threshold of the operator signs
    Park(directive::Park),
    /// Let no host go below a version that it has confirmed; a threshold signs
    Minimum(directive::Minimum),
    /// Sign or send a directive that lies in a file
    #[command(subcommand)]
    Directive(directive::Command),
    /// Why a rollout or a host is where it is, and what to type next
    #[command(subcommand)]
    Why(why::Command),
    /// Hosts of the line
    #[command(subcommand)]
    Host(host::Command),
    /// Newest detections
    Alerts,
    /// The platform's next TUF root or top-level targets, on a line that runs
    #[command(subcommand)]
    Platform(platform::Command),
    /// The operator's policy
    #[command(subcommand)]
    Policy(policy::Command),
    /// Weigh speed against care: the wave plan of least expected loss, and what others would cost
    Plan(Box<plan::Args>),
    /// Make, list and replace keys, plan a key ceremony
    #[command(subcommand)]
    Keys(keys::Command),
    /// Who may do what with which key, and what a thief of each would reach
    #[command(subcommand)]
    Trust(trust::Command),
    /// Run many light hosts in one process
    Fleet(fleet::Args),
    /// Play a scenario under a policy, with millions of hosts if need be
    Simulate(simulate::Args),
    /// Step through a recorded rollout, real or simulated
    Replay(replay::Args),
    /// Fetch files from any TUF repository, as its roles vouch for them
    TufClient(Box<tuf_client::Args>),
    /// Check public logs: a proof offline, or a whole log
    #[command(subcommand)]
    Log(log::Command),
    /// Watch public logs: cosign checkpoints that continue what was cosigned before
    Witness(witness::Args),
    /// Verify the gate: recompute a server's tickets from its journal and cosign what is right
    Verifier(verifier::Args),
    /// The whole story on this machine: good update, faulty update, fix
    Demo(demo::Args),
}
