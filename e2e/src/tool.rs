//! The command line as people use it: the real `andon` with a line's folder and a server's address.
use crate::line::{Line, PEOPLE};
use crate::programs;
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::process::{Command, Stdio};

/// How a command ended.
#[derive(Clone, Debug)]
pub struct Ran {
    /// exit status; `None`: ended by a signal
    pub code: Option<i32>,
    /// standard output
    pub shown: String,
    /// standard error
    pub said: String,
}

/// Runs `andon`, however it ends.
/// # Errors
/// When it cannot be started.
pub fn run(line: &Line, address: &str, words: &[&str]) -> Result<Ran> {
    let mut command = Command::new(programs::path("andon")?);
    command.arg("--dir").arg(&line.folder).args(words);
    command.env("ANDON_SERVER", format!("http://{address}"));
    let out = command.stdin(Stdio::null()).output().context("start andon")?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Ran { code: out.status.code(), shown: text(&out.stdout), said: text(&out.stderr) })
}

/// Runs `andon --json`, which must end well, and gives what it shows.
/// # Errors
/// When it ends otherwise, or shows no JSON.
pub fn json(line: &Line, address: &str, words: &[&str]) -> Result<Value> {
    let ran = run(line, address, &[words, &["--json"]].concat())?;
    ensure!(ran.code == Some(0), "andon {words:?} ended with {:?}: {}", ran.code, ran.said);
    serde_json::from_str(&ran.shown).with_context(|| format!("read what andon {words:?} said"))
}

/// Signs `policy.toml` by two people, and sends it to the running server, if there is one.
/// # Errors
/// When it is refused.
pub fn sign_policy(line: &Line, server: Option<&str>) -> Result<()> {
    let mut words = vec!["policy", "sign", "--key", PEOPLE[0], "--key", PEOPLE[1]];
    words.extend(server.map(|_| "--send"));
    json(line, server.unwrap_or("127.0.0.1:1"), &words)?;
    Ok(())
}
