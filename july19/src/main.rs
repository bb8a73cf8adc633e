//! `./x july19`: July 19 in a box. A stock Debian kernel in a virtual machine, a vendor's validly signed
//! kernel module, and a content file that makes it follow a pointer that was never there. Once without
//! Andon, then with it, in every way that it can go wrong.
//!
//! The report is counted from the serial consoles' logs, whose paths it names.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "what it prints is its result")]
mod args;
mod cases;
mod disk;
mod judge;
mod kit;
mod play;
mod readback;
mod recount;
mod serve;
mod story;
mod vm;

use crate::kit::Kit;
use crate::play::{AT_ONCE, play_all, told};
use anyhow::{Context as _, Result, ensure};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    match all() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("july19: {why:#}");
            ExitCode::from(2)
        }
    }
}

fn all() -> Result<bool> {
    let args = args::args()?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("find the checkout")?;
    let report = root.join(&args.report);
    if let Err(why) = std::fs::remove_file(&report) {
        let gone = why.kind() == std::io::ErrorKind::NotFound;
        ensure!(gone, "remove the old {}: {why}", report.display());
    }
    println!("{}", story::PROLOGUE);
    let began = Instant::now();
    let kit = Kit::make(root, &args.guard).context("put the machine together")?;
    let kernel = kit.kernel.file_name().unwrap_or_default();
    println!("  kernel {}, seed {}, {AT_ONCE} machines at a time", kernel.display(), args.seed);
    let (outcomes, broken) = play_all(&kit, root, &args);
    let bytes = std::fs::metadata(&args.guard).context("measure the guard")?.len();
    let told = told(&outcomes, args.seed, bytes);
    std::fs::write(&report, serde_json::to_vec_pretty(&told)?)
        .with_context(|| format!("write {}", report.display()))?;
    print!("{}", story::table(&outcomes));
    let held = outcomes.iter().filter(|outcome| outcome.held).count();
    let seconds = began.elapsed().as_secs();
    println!("\n{held} of {} cases held, in {seconds} s", args.cases.len());
    println!("not built yet, so not in the report: fleet (such a host at a line's own server)");
    println!(
        "counted from the consoles' logs and the records on the disks; each case names its own"
    );
    println!("report: {}", report.display());
    for why in &broken {
        eprintln!("july19: {why:#}");
    }
    Ok(held == args.cases.len())
}
