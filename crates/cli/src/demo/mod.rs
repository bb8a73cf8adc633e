//! `andon demo`: the whole line on one machine, told live.
use crate::exit::Exit;

/// Options of `andon demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the story and judges the promises.
/// # Errors
/// What went wrong, for people.
pub(crate) async fn run(_args: Args) -> anyhow::Result<Exit> {
    anyhow::bail!("the demo is not built yet")
}
