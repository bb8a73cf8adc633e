//! `./x test` and `./x bench`, step by step. Every step runs even when one before it failed, so that
//! one run tells everything; the summary comes last.
use crate::run::{self, cargo};
use crate::{mutants, tidy};
use anyhow::{Context as _, Result, bail};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// How one step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    Passed,
    Failed,
    Skipped(&'static str),
}

/// Packages whose programs the demo and the end-to-end tests start.
pub const PROGRAMS: &[&str] =
    &["andon-cli", "andon-server", "andon-supervisor", "andon-check", "andon-sensor"];

type Step = (&'static str, fn(&Path) -> Result<End>);

const STEPS: &[Step] = &[
    ("format", format),
    ("tidy", |root| end(tidy::report(root)?)),
    ("clippy", clippy),
    ("build", build),
    ("tests", tests),
    ("mutants apply", |root| mutants::check(root).map(|_| End::Passed)),
    ("licences and bans", deny),
    ("demo", demo),
    ("july19", july19),
];

/// All steps, or those named; true when none failed.
/// # Errors
/// When a name is unknown.
pub fn test(root: &Path, names: &[&str]) -> Result<bool> {
    if let Some(unknown) = names.iter().find(|name| STEPS.iter().all(|(s, _)| s != *name)) {
        let all: Vec<&str> = STEPS.iter().map(|(name, _)| *name).collect();
        bail!("no step is named {unknown:?}; there are: {}", all.join(", "));
    }
    let mut rows = Vec::new();
    for (name, step) in STEPS {
        if !names.is_empty() && !names.contains(name) {
            continue;
        }
        eprintln!("\n== {name}");
        let began = Instant::now();
        let end = step(root).unwrap_or_else(|error| {
            eprintln!("{name}: {error:#}");
            End::Failed
        });
        rows.push((*name, end, began.elapsed()));
    }
    print!("{}", summary(&rows));
    Ok(rows.iter().all(|(_, end, _)| *end != End::Failed))
}

fn summary(rows: &[(&str, End, Duration)]) -> String {
    let mut out = String::from("\n== summary\n");
    for (name, end, time) in rows {
        let word = match end {
            End::Passed => "ok".to_owned(),
            End::Failed => "FAILED".to_owned(),
            End::Skipped(why) => format!("skipped: {why}"),
        };
        let _ = writeln!(out, "{name:<18} {:>7.1} s  {word}", time.as_secs_f64());
    }
    let count = |wanted: fn(&End) -> bool| rows.iter().filter(|(_, end, _)| wanted(end)).count();
    let failed = count(|end| *end == End::Failed);
    let skipped = count(|end| matches!(end, End::Skipped(_)));
    let word = if failed == 0 { "ok" } else { "FAILED" };
    let passed = rows.len() - failed - skipped;
    let _ = writeln!(out, "steps: {word}. {passed} passed; {failed} failed; {skipped} skipped");
    out
}

fn end(well: bool) -> Result<End> {
    Ok(if well { End::Passed } else { End::Failed })
}

fn format(root: &Path) -> Result<End> {
    end(run::passes(cargo(root).args(["fmt", "--all", "--check"]))?)
}

fn clippy(root: &Path) -> Result<End> {
    let words = ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
    end(run::passes(cargo(root).args(words))?)
}

/// The tests, and with them the programs that the demo and the end-to-end tests start: one build,
/// because building the programs apart from the tests, with fewer features of some libraries, would
/// compile every crate of ours twice.
fn build(root: &Path) -> Result<End> {
    end(run::passes(tests_command(root).arg("--no-run"))?)
}

fn tests(root: &Path) -> Result<End> {
    let mut command = tests_command(root);
    // the programs were built by the step before, from this very tree
    command.env("ANDON_E2E_PREBUILT", "1");
    end(run::passes(&mut command)?)
}

/// nextest where it is installed, cargo's own runner elsewhere.
fn tests_command(root: &Path) -> Command {
    let nextest = run::there("cargo", &["nextest", "--version"]);
    let words: &[&str] = if nextest { &["nextest", "run"] } else { &["test", "--no-fail-fast"] };
    let targets: &[&str] = if nextest { &[] } else { &["--lib", "--bins", "--tests"] };
    let mut command = cargo(root);
    command.args(words).args(["--locked", "--workspace"]).args(targets);
    command
}

/// The programs alone, as `./x demo` builds them.
fn programs_only(root: &Path) -> Result<End> {
    let mut command = cargo(root);
    command.args(["build", "--locked", "--bins"]);
    for package in PROGRAMS {
        command.args(["-p", package]);
    }
    end(run::passes(&mut command)?)
}

fn deny(root: &Path) -> Result<End> {
    if !run::there("cargo", &["deny", "--version"]) {
        return Ok(End::Skipped("cargo-deny is not installed (cargo install --locked cargo-deny)"));
    }
    end(run::passes(cargo(root).args([
        "deny",
        "--offline",
        "check",
        "bans",
        "licenses",
        "sources",
    ]))?)
}

fn demo(root: &Path) -> Result<End> {
    let program = programs(root).join("andon");
    let mut command = Command::new(&program);
    command.current_dir(root).arg("demo");
    end(run::passes(&mut command)?)
}

/// One case of `./x july19`: a kernel that really falls, and the host that is back by itself. Its report
/// lies beside the logs, so that the whole run's stays.
fn july19(root: &Path) -> Result<End> {
    if !run::there("apt-get", &["--version"]) || !run::there("dpkg", &["--version"]) {
        return Ok(End::Skipped("the virtual machine's kernel comes from Debian: no apt-get here"));
    }
    let may_install = run::there("sh", &["-c", "test \"$(id -u)\" = 0"]);
    if !may_install && !run::there("qemu-system-x86_64", &["--version"]) {
        return Ok(End::Skipped("QEMU is not installed (./x july19 says what to type)"));
    }
    let kit = std::fs::read_dir(root.join("target/july19/kit"));
    let kept = kit.is_ok_and(|all| all.flatten().any(|it| it.path().join("complete").exists()));
    let update = ["update", "-qq", "-o", "APT::Update::Error-Mode=any"];
    let there = kept || (may_install && run::there("apt-get", &update));
    if !there {
        return Ok(End::Skipped("no Debian kernel is kept here and no package server answers"));
    }
    let mut command = Command::new(root.join("x"));
    command.current_dir(root).args(["july19", "--case", "with"]);
    command.args(["--report", "target/july19/test-report.json"]);
    end(run::passes(&mut command)?)
}

/// Where cargo puts the development profile's programs.
fn programs(root: &Path) -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| root.join("target"), PathBuf::from)
        .join("debug")
}

/// Builds and runs the benchmark program; its words pass through.
/// # Errors
/// When something cannot be started.
pub fn bench(root: &Path, words: &[&str]) -> Result<bool> {
    if programs_only(root)? == End::Failed {
        bail!("the programs do not build");
    }
    let mut command = cargo(root);
    command.args(["run", "--locked", "--quiet", "-p", "andon-e2e", "--bin", "andon-bench", "--"]);
    command.args(words).env("ANDON_E2E_PREBUILT", "1");
    run::passes(&mut command).context("run the benchmark")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_closes_with_a_line_that_tells_the_outcome() {
        let rows = [
            ("a", End::Passed, Duration::from_millis(1500)),
            ("b", End::Skipped("no tool"), Duration::ZERO),
        ];
        let text = summary(&rows);
        assert!(text.contains("a                      1.5 s  ok\n"), "{text}");
        assert!(text.ends_with("steps: ok. 1 passed; 0 failed; 1 skipped\n"), "{text}");
        let text = summary(&[("a", End::Failed, Duration::ZERO)]);
        assert!(text.ends_with("steps: FAILED. 0 passed; 1 failed; 0 skipped\n"), "{text}");
    }
}
