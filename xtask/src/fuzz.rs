//! `./x fuzz`: builds the targets of `crates/fuzz` with libFuzzer and runs each from its corpus, with
//! bounds on time, memory and length. What it finds is kept where it says; nothing here judges inputs.
use crate::run::{self, cargo};
use anyhow::{Context as _, Result, bail, ensure};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a round of all targets gets each, seconds: what the slow suite spends.
const SECONDS: u64 = 60;
/// Longest input, bytes; a target may stop sooner.
const LENGTH_MAX: u32 = 16 * 1024;
/// Longest that one input may take, seconds: the slowest honest one takes some 50 ms.
const INPUT_SECONDS_MAX: u32 = 10;
/// Most memory, MiB: parsers hold a few times the largest input.
const MEMORY_MIB_MAX: u32 = 1024;

/// Coverage by LLVM's own counters, which stable Rust can be told to insert.
const FLAGS: &[&str] = &[
    "--cfg",
    "fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Asked<'a> {
    targets: Vec<&'a str>,
    seconds: u64,
    input: Option<&'a str>,
}

/// What came of one target.
#[derive(Debug, Default, PartialEq, Eq)]
struct Row {
    target: String,
    executions: u64,
    inputs: u64,
    edges: u64,
    /// files that make it fail
    found: Vec<String>,
    well: bool,
}

/// Builds, runs the targets that are named (all of them when none is), prints a table; true when none
/// failed.
/// # Errors
/// When a word is unknown, or something cannot be built or started.
pub fn report(root: &Path, words: &[&str]) -> Result<bool> {
    let all = targets(root)?;
    let asked = read(words, &all)?;
    let program = build(root)?;
    if let Some(input) = asked.input {
        let [target] = asked.targets.as_slice() else { bail!("--input needs one target") };
        return run::passes(started(&program, target).current_dir(root).arg(input));
    }
    let mut rows = Vec::new();
    for target in &asked.targets {
        eprintln!("== fuzz {target}, {} s", asked.seconds);
        rows.push(one(root, &program, target, asked.seconds)?);
    }
    print!("{}", table(&rows));
    Ok(rows.iter().all(|row| row.well))
}

/// Names of the targets: a test holds the folders of the corpus against the list in `crates/fuzz`.
fn targets(root: &Path) -> Result<Vec<String>> {
    let folder = root.join("fuzz/corpus");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("list {}", folder.display()))? {
        let entry = entry.with_context(|| format!("list {}", folder.display()))?;
        names.extend(entry.file_name().into_string().ok());
    }
    names.sort();
    Ok(names)
}

fn read<'a>(words: &[&'a str], all: &'a [String]) -> Result<Asked<'a>> {
    let mut asked = Asked { targets: Vec::new(), seconds: SECONDS, input: None };
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match *word {
            "--seconds" => {
                let count = rest.next().and_then(|text| text.parse().ok());
                asked.seconds =
                    count.filter(|n| *n > 0).context("--seconds needs a number over 0")?;
            }
            "--input" => asked.input = Some(rest.next().context("--input needs a file")?),
            name => {
                let known = all.iter().any(|target| target == name);
                ensure!(known, "no target is named {name:?}; there are: {}", all.join(", "));
                asked.targets.push(name);
            }
        }
    }
    if asked.targets.is_empty() {
        asked.targets = all.iter().map(String::as_str).collect();
    }
    Ok(asked)
}

/// Builds libFuzzer's program beside the other builds, never into them: its flags are its own.
fn build(root: &Path) -> Result<PathBuf> {
    let version = run::output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc -vV names no host")?;
    let place = root.join("target/fuzz");
    let mut command = cargo(root);
    command.args(["build", "--release", "--locked", "--manifest-path", "fuzz/Cargo.toml"]);
    command.arg("--target-dir").arg(&place).args(["--target", host]);
    command.env_remove("RUSTFLAGS").env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\u{1f}"));
    ensure!(run::passes(&mut command)?, "the targets do not build");
    Ok(place.join(host).join("release/andon-fuzz"))
}

fn started(program: &Path, target: &str) -> Command {
    let mut command = Command::new(program);
    command.env("ANDON_FUZZ", target);
    command
}

fn one(root: &Path, program: &Path, target: &str, seconds: u64) -> Result<Row> {
    let place = root.join("target/fuzz");
    let (grown, found) = (place.join("grown").join(target), place.join("found").join(target));
    for folder in [&grown, &found] {
        fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
    }
    let before = files(&found)?;
    let log = place.join(format!("{target}.log"));
    let words = File::create(&log).with_context(|| format!("create {}", log.display()))?;
    let mut command = started(program, target);
    // The first folder grows; the corpus of the checkout is only read.
    command.current_dir(root).arg(&grown).arg(root.join("fuzz/corpus").join(target));
    command.arg(format!("-artifact_prefix={}/", found.display()));
    command.arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-max_len={LENGTH_MAX}"));
    command.arg(format!("-timeout={INPUT_SECONDS_MAX}"));
    command.arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"));
    command.arg("-print_final_stats=1").stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(words);
    let status = command.status().with_context(|| format!("start {}", program.display()))?;
    let said = fs::read(&log).with_context(|| format!("read {}", log.display()))?;
    let mut row = counted(target, &String::from_utf8_lossy(&said));
    let new = files(&found)?.into_iter().filter(|file| !before.contains(file));
    row.found = new.collect();
    row.well = status.success() && row.executions > 0;
    if !row.well {
        eprintln!("fuzz: {target} ended with {status}; its last words are in {}", log.display());
    }
    Ok(row)
}

fn files(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("list {}", folder.display()))?;
    Ok(entries.filter_map(|entry| Some(entry.ok()?.path().display().to_string())).collect())
}

/// The last counts in what libFuzzer said.
fn counted(target: &str, said: &str) -> Row {
    let mut row = Row { target: target.to_owned(), ..Row::default() };
    for line in said.lines() {
        let after = |word: &str| {
            let mut words = line.split_whitespace().skip_while(|w| *w != word).skip(1);
            words.next().and_then(|text| text.split('/').next()).and_then(|n| n.parse().ok())
        };
        if line.starts_with('#') {
            row.edges = after("cov:").unwrap_or(row.edges);
            row.inputs = after("corp:").unwrap_or(row.inputs);
        }
        row.executions = after("stat::number_of_executed_units:").unwrap_or(row.executions);
    }
    row
}

fn table(rows: &[Row]) -> String {
    let mut out = String::from("\n== fuzz\n");
    let _ = writeln!(
        out,
        "{:<16} {:>11} {:>7} {:>7}  result",
        "target", "executions", "inputs", "edges"
    );
    for row in rows {
        let Row { target, executions, inputs, edges, .. } = row;
        let word = if row.well { "ok" } else { "FAILED" };
        let _ = writeln!(out, "{target:<16} {executions:>11} {inputs:>7} {edges:>7}  {word}");
        for file in &row.found {
            let _ = writeln!(out, "  once more: ./x fuzz {target} --input {file}");
        }
    }
    let failed = rows.iter().filter(|row| !row.well).count();
    let _ = writeln!(out, "fuzz: {} targets, {failed} failed", rows.len());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_counts_are_read_and_a_failure_says_how_to_see_it_again() {
        let said = "INFO: Loaded 1 modules\n#8\tINITED cov: 70 ft: 80 corp: 2/7b exec/s: 0\n\
                    #901\tDONE cov: 81 ft: 90 corp: 12/70b lim: 9\nstat::number_of_executed_units: 901\n";
        let mut row = counted("note", said);
        let counts = (row.executions, row.inputs, row.edges);
        assert_eq!((counts, row.well), ((901, 12, 81), false));
        row.found = vec!["f/crash-1".to_owned()];
        let text = table(&[row]);
        assert!(text.contains("note                     901      12      81  FAILED\n"), "{text}");
        assert!(text.contains("  once more: ./x fuzz note --input f/crash-1\n"), "{text}");
        assert!(text.ends_with("fuzz: 1 targets, 1 failed\n"), "{text}");
    }

    #[test]
    fn words_are_targets_and_two_options() {
        let all = ["beat".to_owned(), "note".to_owned()];
        let asked = read(&["note", "--seconds", "5"], &all).unwrap();
        assert_eq!(asked, Asked { targets: vec!["note"], seconds: 5, input: None });
        assert_eq!(read(&[], &all).unwrap().targets, ["beat", "note"]);
        for bad in [&["nothing"][..], &["--seconds", "0"], &["--seconds"], &["--input"]] {
            assert!(read(bad, &all).is_err(), "{bad:?}");
        }
    }
}
