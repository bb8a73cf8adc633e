//! `andon-guard`: the layer above the kernel's risky parts. Early in every boot it charges the end of the
//! last one, decides what may run, makes that durable, and only then loads it (docs/spec/boot.md).
//!
//! What it is not: it meets no TLS, reads no TUF metadata, fetches no release, and keeps nobody waiting:
//! without a charge it is done or gone within five seconds. Whatever fails in it, the host boots.
#![forbid(unsafe_code)]
mod config;
mod disk;
mod evidence;
mod net;
mod report;
mod revoked;
mod run;
mod shell;
mod stops;

use crate::config::Config;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

const USAGE: &str = "usage: andon-guard --config FILE";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let path = match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--config", path] => (*path).to_owned(),
        _ => {
            say(USAGE);
            return ExitCode::from(2);
        }
    };
    match Config::read(Path::new(&path)) {
        Ok(config) => run::boot(&config),
        Err(why) => {
            say(&format!("{path}: {why}; nothing risky is loaded"));
            ExitCode::FAILURE
        }
    }
}

/// On the console, for whoever stands before it, and in whatever keeps the boot's log.
pub(crate) fn say(words: &str) {
    let _best_effort = writeln!(std::io::stderr(), "andon-guard: {words}");
}
