//! The commands: each reads its options, calls `ops`, and shows the result. No decisions here.
use crate::args::{Cli, Command};
use crate::context::Context;
use crate::exit::Outcome;
use crate::{demo, fleet};

pub(crate) mod adopt;
pub(crate) mod attest;
pub(crate) mod directive;
pub(crate) mod host;
pub(crate) mod init;
pub(crate) mod keys;
pub(crate) mod line;
pub(crate) mod log;
pub(crate) mod picture;
pub(crate) mod plan;
pub(crate) mod platform;
pub(crate) mod policy;
pub(crate) mod proof;
pub(crate) mod pull;
pub(crate) mod release;
pub(crate) mod replay;
pub(crate) mod rig;
pub(crate) mod rollout;
pub(crate) mod simulate;
pub(crate) mod trust;
mod trust_show;
pub(crate) mod tuf_client;
pub(crate) mod verifier;
pub(crate) mod why;
pub(crate) mod witness;
pub(crate) mod words;

/// What must run before this process has a second thread: the walls of a rig's child are around one.
/// `None`: it is another command.
pub(crate) fn before_threads(cli: &Cli) -> Option<Outcome> {
    match &cli.command {
        Command::Rig(rig::Command::Inside(inside)) => Some(crate::rig::inside::run(inside)),
        _ => None,
    }
}

/// Runs one command.
/// # Errors
/// Whatever ends it, with its exit code.
pub(crate) async fn run(cli: Cli) -> Outcome {
    let context = Context::new(cli.global);
    match cli.command {
        Command::Init(args) => init::run(&context, args),
        Command::Release(command) => release::run(&context, command).await,
        Command::Adopt(args) => adopt::run(&context, *args).await,
        Command::Rig(command) => tokio::task::block_in_place(|| rig::run(&context, command)),
        Command::Rollout(command) => rollout::run(&context, command).await,
        Command::Line(command) => line::run(&context, command).await,
        Command::Pull(args) => pull::run(&context, args).await,
        Command::Recall(args) => directive::recall(&context, args).await,
        Command::Park(args) => directive::park(&context, args).await,
        Command::Minimum(args) => directive::minimum(&context, args).await,
        Command::Directive(command) => directive::run(&context, command).await,
        Command::Why(command) => why::run(&context, command).await,
        Command::Host(command) => host::run(&context, command).await,
        Command::Alerts => host::alerts(&context).await,
        Command::Platform(command) => platform::run(&context, command).await,
        Command::Policy(command) => policy::run(&context, command).await,
        Command::Plan(args) => plan::run(&context, *args),
        Command::Keys(command) => keys::run(&context, command).await,
        Command::Fleet(args) => fleet::run(&context, args).await,
        Command::Trust(command) => trust::run(&context, command).await,
        Command::Simulate(args) => simulate::run(&context, &args),
        Command::Replay(args) => replay::run(&context, args).await,
        // Blocking by nature: one request after the other, one file after the other.
        Command::TufClient(args) => {
            tokio::task::block_in_place(|| tuf_client::run(&context, &args))
        }
        Command::Log(command) => log::run(&context, command).await,
        Command::Verifier(args) => verifier::run(&context, args).await,
        Command::Witness(args) => witness::run(&context, args).await,
        Command::Demo(args) => demo::run(args, context.form()).await,
    }
}
