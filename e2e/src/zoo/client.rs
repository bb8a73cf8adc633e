//! The real `andon tuf-client`, in folders of its own.
use super::Zoo;
use crate::programs;
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A machine that reads one repository.
#[derive(Debug)]
pub struct Client {
    folder: tempfile::TempDir,
}

/// How one run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// exit code; -1 when there is none
    pub code: i32,
    /// standard error
    pub said: String,
}

impl Ran {
    /// Exit code 0.
    #[must_use]
    pub fn well(&self) -> bool {
        self.code == 0
    }

    /// Exit code 1, and these words among what was said.
    #[must_use]
    pub fn refused(&self, words: &str) -> bool {
        self.code == 1 && self.said.contains(words)
    }
}

impl Client {
    /// Trusts the zoo's root as it is now.
    /// # Errors
    /// When the program cannot be started or refuses.
    pub fn new(zoo: &Zoo) -> Result<Client> {
        let client = Client::empty()?;
        let ran = client.init(&zoo.root_bytes())?;
        anyhow::ensure!(ran.well(), "init: {}", ran.said);
        Ok(client)
    }

    /// Trusts nobody yet.
    /// # Errors
    /// When there is no folder to be had.
    pub fn empty() -> Result<Client> {
        let folder = tempfile::tempdir().context("make a folder")?;
        std::fs::create_dir(folder.path().join("trusted")).context("make a folder")?;
        Ok(Client { folder })
    }

    /// The folder around both folders.
    #[must_use]
    pub fn outside(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of trusted metadata.
    #[must_use]
    pub fn trusted(&self) -> PathBuf {
        self.folder.path().join("trusted")
    }

    /// A downloaded file's bytes.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.folder.path().join("files").join(name)).ok()
    }

    /// `init` with these bytes.
    /// # Errors
    /// When the program cannot be started.
    pub fn init(&self, root: &[u8]) -> Result<Ran> {
        let path = self.folder.path().join("given-root.json");
        std::fs::write(&path, root).context("write a root")?;
        let mut command = self.command()?;
        command.arg("init").arg(path);
        run(&mut command)
    }

    /// `refresh`.
    /// # Errors
    /// When the program cannot be started.
    pub fn refresh(&self, zoo: &Zoo) -> Result<Ran> {
        let mut command = self.command()?;
        command.args(["--metadata-url", &format!("{}/metadata/", zoo.served.address), "refresh"]);
        run(&mut command)
    }

    /// `download` of these names, in this order.
    /// # Errors
    /// When the program cannot be started.
    pub fn download(&self, zoo: &Zoo, names: &[&str]) -> Result<Ran> {
        let mut command = self.command()?;
        command.args(["--metadata-url", &format!("{}/metadata", zoo.served.address)]);
        command.args(["--target-base-url", &format!("{}/files/", zoo.served.address)]);
        command.arg("--target-dir").arg(self.folder.path().join("files"));
        command.args(names.iter().map(|name| format!("--target-name={name}"))).arg("download");
        run(&mut command)
    }

    fn command(&self) -> Result<Command> {
        let mut command = Command::new(programs::path("andon")?);
        command.arg("tuf-client").arg("--metadata-dir").arg(self.trusted());
        command.stdin(Stdio::null());
        Ok(command)
    }
}

fn run(command: &mut Command) -> Result<Ran> {
    let Output { status, stderr, .. } = command.output().context("start andon")?;
    let said = String::from_utf8_lossy(&stderr).into_owned();
    Ok(Ran { code: status.code().unwrap_or(-1), said })
}
