//! Bad files: a program that cannot trust what it reads at its start says which file, and does not
//! start. Repaired, it starts as if nothing had been.
use andon_e2e::line::Line;
use andon_e2e::programs;
use andon_e2e::server::Server;
use anyhow::{Context as _, Result, bail, ensure};
use std::path::Path;
use std::process::Command;

/// Ways to spoil a file; `None` where a way does not fit.
fn spoiled(good: &[u8], name: &str) -> Vec<(&'static str, Vec<u8>)> {
    let mut large = good.to_vec();
    large.resize(20 * 1024 * 1024, b' ');
    let mut unknown = good.to_vec();
    if name.ends_with(".toml") {
        unknown.extend_from_slice(b"\nsurprise = 1\n");
    } else if let Some(brace) = unknown.iter().position(|byte| *byte == b'{') {
        unknown.splice(brace..=brace, *b"{\"surprise\":1,");
    }
    vec![
        ("empty", vec![]),
        // before the last thing that must be there: nothing tells a shorter file without the rest
        ("truncated", good[..good.len() / 3].to_vec()),
        ("no text", vec![0xff, 0x00, 0x7b]),
        ("oversized", large),
        ("with an unknown field", unknown),
    ]
}

/// The start fails, and its words name the file.
fn refuses(line: &Line, what: &str, name: &str) -> Result<()> {
    let log = line.aside().join("andond.log");
    std::fs::write(&log, b"").context("empty the log")?;
    let Err(error) = Server::start(line) else { bail!("{what}: andond started all the same") };
    let said = format!("{error:#}");
    ensure!(said.contains(name), "{what}: the error does not name {name}: {said}");
    ensure!(!said.contains("panicked"), "{what}: andond panicked: {said}");
    Ok(())
}

fn check(line: &Line, path: &Path) -> Result<Vec<String>> {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let good = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    let mut wrong = Vec::new();
    for (how, bytes) in spoiled(&good, &name) {
        std::fs::write(path, bytes).with_context(|| format!("spoil {}", path.display()))?;
        wrong.extend(
            refuses(line, &format!("{name}, {how}"), &name).err().map(|e| format!("{e:#}")),
        );
    }
    std::fs::remove_file(path).with_context(|| format!("remove {}", path.display()))?;
    wrong.extend(refuses(line, &format!("{name}, missing"), &name).err().map(|e| format!("{e:#}")));
    std::fs::write(path, good).with_context(|| format!("repair {}", path.display()))?;
    Ok(wrong)
}

#[test]
fn andond_starts_on_no_file_that_it_cannot_trust() -> Result<()> {
    let line = Line::new()?;
    let mut wrong = Vec::new();
    for name in [
        "server/andond.toml",
        "anchor.json",
        "server/policy.json",
        "server/keys/online.json",
        "server/keys/timestamp.json",
        "server/keys/snapshot.json",
    ] {
        wrong.extend(check(&line, &line.folder.join(name))?);
    }
    ensure!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    Server::start(&line).context("start after all files are repaired")?;
    Ok(())
}

#[test]
fn andond_starts_on_no_policy_that_one_person_signed_alone() -> Result<()> {
    let line = Line::new()?;
    let path = line.folder.join("server/policy.json");
    let mut policy = line.sign_policy(&line.policy()?)?;
    policy.signatures.truncate(1);
    std::fs::write(&path, policy.to_bytes()).context("write policy")?;
    refuses(&line, "a policy signed by one of two", "policy")
}

#[test]
fn andond_starts_on_no_journal_that_is_damaged() -> Result<()> {
    let line = Line::new()?;
    Server::start(&line)?.stop()?;
    // the log may hold the very page that is spoiled in the database: both are
    let files = [line.journal(), line.journal().with_extension("db-wal")];
    let mut good = Vec::new();
    for path in files.into_iter().filter(|path| path.exists()) {
        let bytes = std::fs::read(&path).context("read the journal")?;
        let mut bad = bytes.clone();
        let end = bad.len().min(100);
        bad[..end].fill(0x41);
        std::fs::write(&path, bad).context("spoil the journal")?;
        good.push((path, bytes));
    }
    refuses(&line, "a damaged journal", "journal")?;
    for (path, bytes) in good {
        std::fs::write(path, bytes).context("repair the journal")?;
    }
    Server::start(&line).context("start on the repaired journal")?;
    Ok(())
}

/// A host's own files: the supervisor says which one is wrong, ends with 2, and makes nothing.
#[test]
fn a_host_starts_on_no_configuration_that_it_cannot_read() -> Result<()> {
    let folder = tempfile::tempdir().context("make folder")?;
    let path = folder.path().join("host.toml");
    let good = b"server = \"http://127.0.0.1:9\"\nanchor = \"anchor.json\"\nstate = \"state\"\n\
        join_token = \"t\"\nmodel = \"test\"\n";
    let mut cases = spoiled(good, "host.toml");
    cases.push(("of a wrong type", b"server = 1\nanchor = \"a\"\nstate = \"s\"\n".to_vec()));
    cases.push(("with an unknown field in a service", {
        let service = b"[[service]]\ncomponent = \"x\"\nexec = [\"/bin/true\"]\nsurprise = 1\n";
        [&good[..], service].concat()
    }));
    for (how, bytes) in cases {
        std::fs::write(&path, bytes).context("write host.toml")?;
        let mut command = Command::new(programs::path("andon-supervisor")?);
        let out = command.arg("--config").arg(&path).output().context("start the supervisor")?;
        let said = String::from_utf8_lossy(&out.stderr);
        ensure!(out.status.code() == Some(2), "{how}: ended with {}: {said}", out.status);
        ensure!(said.contains("host.toml"), "{how}: the error does not name the file: {said}");
        let made = std::fs::read_dir(folder.path()).context("list folder")?.count();
        ensure!(made == 1, "{how}: {made} files there, only host.toml was");
    }
    Ok(())
}

/// What a host keeps of itself: damaged, it is named, and left as it is for whoever repairs it.
#[test]
fn a_host_goes_on_with_no_identity_that_is_damaged() -> Result<()> {
    let folder = tempfile::tempdir().context("make folder")?;
    let path = folder.path().join("host.toml");
    let config = "server = \"http://127.0.0.1:9\"\nanchor = \"anchor.json\"\nstate = \"state\"\n";
    std::fs::write(&path, config).context("write host.toml")?;
    let state = folder.path().join("state");
    for name in ["key.json", "host.json", "boot.json"] {
        for (how, bytes) in [("no text", vec![0xff, 0x00]), ("truncated", b"{\"schema\":".to_vec())]
        {
            std::fs::create_dir_all(&state).context("make the state folder")?;
            std::fs::write(state.join(name), &bytes).context("spoil a file")?;
            let mut command = Command::new(programs::path("andon-supervisor")?);
            let out = command.arg("--config").arg(&path).output().context("start it")?;
            let said = String::from_utf8_lossy(&out.stderr);
            ensure!(out.status.code() == Some(1), "{name}, {how}: {}: {said}", out.status);
            ensure!(said.contains(name), "{name}, {how}: not named: {said}");
            let left = std::fs::read(state.join(name)).context("read it again")?;
            ensure!(left == bytes, "{name}, {how}: the damaged file was changed");
            std::fs::remove_dir_all(&state).context("clear the state folder")?;
        }
    }
    Ok(())
}
