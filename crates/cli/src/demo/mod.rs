//! `andon demo`: the whole line on one machine, told live.
//!
//! What it is: a server, a full host, a thousand light hosts, a vendor with the 2024 fault, and people
//! who act; all real processes with real keys on loopback. Time alone is scaled, by policy. What it is
//! not: a simulation. Every figure of its report is counted afterwards from the journals it leaves.
mod acts;
mod attested;
mod bundles;
mod judge;
mod line;
mod picture;
mod play;
mod public;
mod recount;
mod report;
mod setting;
mod stage;
mod story;

use crate::exit::{Exit, Outcome};
use crate::output::Form;
use picture::Screen;
use report::Report;
use setting::{Fault, Places};
use std::path::PathBuf;

/// Most light hosts: each is a process of its own on this machine.
const HOSTS_MAX: u32 = 5000;

/// Options of `andon demo`.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Varies who stands where and who dies whole
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// What is wrong with release 2: none, crash, hang, late:SECONDS, probe
    #[arg(long, value_name = "FAULT", default_value = "crash")]
    fault: Fault,
    /// Light hosts beside the full one
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(40..=i64::from(HOSTS_MAX)))]
    pub(crate) hosts: u32,
    /// Keep everything in this new folder; default: a new one below the system's temporary folder
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,
    /// Sigma rules of release 1; default: ../shared/data if there, else a small built-in set
    #[arg(long, value_name = "DIR")]
    pub(crate) rules: Option<PathBuf>,
}

/// Runs the story and judges the promises.
/// # Errors
/// What went wrong, for people.
pub(crate) async fn run(args: Args, form: Form) -> Outcome {
    let json = form == Form::Json;
    let here = std::env::current_dir()?;
    report::delete_old(&here)?;
    let root = folder(&args)?;
    let places = Places::new(&root);
    let mut screen = Screen::new(json);
    story::prologue(&mut screen, &args, &root);
    // Dropped on Ctrl-C and SIGTERM: every process of the play dies with its handle.
    let report = tokio::select! {
        report = story::tell(screen, &places, &args) => report?,
        _ = tokio::signal::ctrl_c() => return interrupted(&places),
        () = terminated() => return interrupted(&places),
    };
    // Slots are copies of what the releases hold; journals are what a stranger needs.
    let _leftover = std::fs::remove_dir_all(places.light_hosts());
    report.write(&here)?;
    story::epilogue(&report, json)?;
    Ok(if report.all_held() { Exit::Ok } else { Exit::Halted })
}

fn interrupted(places: &Places) -> Outcome {
    let _leftover = std::fs::remove_dir_all(places.light_hosts());
    crate::output::note("andon: interrupted; the demo's processes are ended");
    Ok(Exit::Failed)
}

async fn terminated() {
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

fn folder(args: &Args) -> anyhow::Result<PathBuf> {
    let path = match &args.keep {
        Some(path) => path.clone(),
        None => {
            let name = format!("andon-demo-{}-{}", crate::clock::now().0, std::process::id());
            std::env::temp_dir().join(name)
        }
    };
    let path = std::path::absolute(path)?;
    let empty = std::fs::read_dir(&path).map(|mut entries| entries.next().is_none());
    anyhow::ensure!(
        empty.unwrap_or(true),
        "{} is not empty; give --keep a new folder",
        path.display()
    );
    crate::files::make_private_folder(&path)?;
    Ok(path)
}

impl Report {
    /// Nothing yet.
    fn blank(args: &Args, places: &Places, rules: String) -> anyhow::Result<Report> {
        let form = acts::opening::form()?;
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        Ok(Report {
            hosts: args.hosts as usize + 1,
            settings: setting::Settings::new(args.seed, args.fault, &form, rules),
            good: None,
            detected: false,
            bad: None,
            bad_silent: None,
            bad_silent_left_out: None,
            freeze_seen_s: None,
            fix: None,
            alert: None,
            log: None,
            rig: report::RigFigures::default(),
            promises: Vec::new(),
            error: None,
            wall_s: 0.0,
            fleet: report::FleetFigures::default(),
            journals: report::Journals {
                folder: text(places.root().to_owned()),
                hosts: text(places.journals()),
                server: text(places.exports()),
            },
            recount: std::collections::BTreeMap::new(),
        })
    }
}
