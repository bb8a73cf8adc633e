//! `andon fleet`: many light hosts in one process.
use crate::exit::Exit;

/// Options of `andon fleet`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

/// Runs the fleet until it is told to stop.
/// # Errors
/// What went wrong, for people.
pub(crate) async fn run(_args: Args) -> anyhow::Result<Exit> {
    anyhow::bail!("the fleet runner is not built yet")
}
