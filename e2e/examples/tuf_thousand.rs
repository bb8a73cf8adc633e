//! 1,000 files of 10 KB under 111 roles (10 vendors × 10 products), from nothing: `andon tuf-client`
//! and python-tuf's `ngclient`, in turns, from one loopback server. Not a test: it prints milliseconds.
//!
//! `cargo build --release -p andon-cli && cargo run --release -p andon-e2e --example tuf_thousand PYTHON [RUNS]`,
//! where PYTHON is an interpreter that has `tuf==7.0.0` and `securesystemslib[crypto]==1.4.0`.
#![expect(clippy::print_stdout, reason = "its figures are its result")]
use andon_e2e::zoo::{Client, Zoo};
use anyhow::{Context as _, Result, ensure};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// What python-tuf does: trust the root, then each file in turn, through one updater.
const SCRIPT: &str = "
import os, sys
from tuf.ngclient import Updater, UpdaterConfig
folder, address, root = sys.argv[1:4]
for name in ('trusted', 'files'):
    os.makedirs(os.path.join(folder, name))
updater = Updater(os.path.join(folder, 'trusted'), address + '/metadata/', os.path.join(folder, 'files'),
    address + '/files/', config=UpdaterConfig(max_delegations=1000), bootstrap=open(root, 'rb').read())
updater.refresh()
for name in sys.stdin.read().split():
    updater.download_target(updater.get_targetinfo(name))
";

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let python = words.first().context("name a Python that has python-tuf")?;
    let runs: usize = words.get(1).map_or(Ok(5), |word| word.parse()).context("read RUNS")?;
    let (zoo, names) = Zoo::thousand()?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // Kept to the end: ext4 passes over inodes that were deleted a moment ago, one after the other, so
    // that clearing away one run's files would be charged to the next.
    let mut kept = Vec::new();
    for _ in 0..runs {
        let client = Client::new(&zoo)?;
        ours.push(andon(&client, &zoo, &names)?);
        let folder = tempfile::tempdir().context("make a folder")?;
        theirs.push(reference(folder.path(), &zoo, &names, python)?);
        kept.push((client, folder));
    }
    let ratio = median(&mut ours) / median(&mut theirs);
    println!("andon tuf-client, ms: {}", spread(&ours));
    println!("python-tuf 7.0.0, ms: {}", spread(&theirs));
    println!("ratio of the medians: {ratio:.2}");
    Ok(())
}

fn andon(client: &Client, zoo: &Zoo, names: &[String]) -> Result<f64> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let began = Instant::now();
    let ran = client.download(zoo, &names)?;
    let took = began.elapsed().as_secs_f64() * 1e3;
    ensure!(ran.well(), "{}", ran.said);
    Ok(took)
}

fn reference(folder: &Path, zoo: &Zoo, names: &[String], python: &str) -> Result<f64> {
    let root = folder.join("root.json");
    std::fs::write(&root, zoo.root_bytes()).context("write a root")?;
    let wanted = folder.join("names");
    std::fs::write(&wanted, names.join("\n")).context("write the names")?;
    let began = Instant::now();
    let stdin = std::fs::File::open(&wanted).context("open the names")?;
    let status = Command::new(Path::new(python))
        .args(["-c", SCRIPT])
        .arg(folder.join("client"))
        .args([zoo.served.address.as_str()])
        .arg(&root)
        .stdin(Stdio::from(stdin))
        .status()
        .context("start Python")?;
    let took = began.elapsed().as_secs_f64() * 1e3;
    ensure!(status.success(), "python-tuf failed");
    Ok(took)
}

fn median(ms: &mut [f64]) -> f64 {
    ms.sort_by(f64::total_cmp);
    ms[ms.len() / 2]
}

fn spread(sorted: &[f64]) -> String {
    let (least, most) = (sorted[0], sorted[sorted.len() - 1]);
    format!("{least:.0} {:.0} {most:.0} (least, median, most)", sorted[sorted.len() / 2])
}
