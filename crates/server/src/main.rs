//! `andond`: parse, build, run, map the error.
use andon_server::config::Inputs;
use andon_server::serve::{Server, bind};
use anyhow::Context as _;
use clap::Parser;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// The line's server: enrolment, beats, commands, stops, releases, and signed files.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Args {
    /// configuration file; `andon init` writes one
    #[arg(long)]
    config: PathBuf,
    /// address and port to serve on, instead of the configured one; port 0 picks a free one
    #[arg(long)]
    listen: Option<String>,
    /// write the bound address to this file once the server serves
    #[arg(long)]
    ready_file: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let inputs = Inputs::read(&args.config).context("read configuration")?;
    let address = args.listen.unwrap_or_else(|| inputs.listen.clone());
    let server = Server::open(inputs).await.context("start")?;
    let (listener, bound) = bind(&address).await?;
    let mut terminate = signal(SignalKind::terminate()).context("watch for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("watch for SIGINT")?;
    if let Some(file) = args.ready_file {
        andon_server::durable::write(&file, format!("{bound}\n").as_bytes())
            .with_context(|| format!("write {}", file.display()))?;
    }
    let end = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    server.serve(listener, end).await?;
    Ok(())
}
