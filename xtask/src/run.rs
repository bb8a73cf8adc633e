//! Running other programs, and nothing else: output passes through, or is captured for reading.
use anyhow::{Context as _, Result, bail};
use std::path::Path;
use std::process::{Command, Stdio};

/// Cargo as it called us, or the one on the path.
#[must_use]
pub fn cargo(root: &Path) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root);
    command
}

/// Whether a program answers to these words with success; its output is dropped.
#[must_use]
pub fn there(program: &str, words: &[&str]) -> bool {
    Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs to the end with output passed through.
/// # Errors
/// When the program cannot be started.
pub fn passes(command: &mut Command) -> Result<bool> {
    let status = command.stdin(Stdio::null()).status();
    let status = status.with_context(|| format!("start {}", command.get_program().display()))?;
    Ok(status.success())
}

/// Runs to the end and gives standard output.
/// # Errors
/// When the program cannot be started, fails, or writes what is not UTF-8.
pub fn output(command: &mut Command) -> Result<String> {
    let out = command.stdin(Stdio::null()).output();
    let out = out.with_context(|| format!("start {}", command.get_program().display()))?;
    if !out.status.success() {
        let said = String::from_utf8_lossy(&out.stderr);
        bail!("{:?} ended with {}: {}", command, out.status, said.trim());
    }
    String::from_utf8(out.stdout).context("read standard output as UTF-8")
}
