//! Where the programs under test are, and that they are built from this very tree.
use anyhow::{Context as _, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

const PACKAGES: &[&str] =
    &["andon-cli", "andon-server", "andon-supervisor", "andon-check", "andon-sensor"];

/// The root of the checkout.
#[must_use]
pub fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or(here.clone(), Path::to_path_buf)
}

/// The folder of the built programs: two above this test's or example's own file (`…/debug/deps/test`).
fn folder() -> Result<PathBuf> {
    let own = std::env::current_exe().context("find own file")?;
    let beside = own.parent().context("find own folder")?;
    let above = if beside.ends_with("deps") || beside.ends_with("examples") {
        beside.parent()
    } else {
        Some(beside)
    };
    Ok(above.context("find the build folder")?.to_path_buf())
}

/// Builds the programs once per process, unless `./x test` has done so (`ANDON_E2E_PREBUILT`), so
/// that a test never runs yesterday's server.
fn built() -> Result<()> {
    static DONE: OnceLock<bool> = OnceLock::new();
    let done = DONE.get_or_init(|| {
        if std::env::var_os("ANDON_E2E_PREBUILT").is_some() {
            return true;
        }
        let Ok(folder) = folder() else { return false };
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(root()).args(["build", "--quiet", "--bins"]);
        command.args(PACKAGES.iter().flat_map(|package| ["-p", package]));
        if let Some(builds) = folder.parent() {
            command.arg("--target-dir").arg(builds);
        }
        command.stdin(Stdio::null()).status().is_ok_and(|status| status.success())
    });
    ensure!(*done, "build the programs under test");
    Ok(())
}

/// The path of one program.
/// # Errors
/// When it is not there or does not build.
pub fn path(name: &str) -> Result<PathBuf> {
    built()?;
    let path = folder()?.join(name);
    ensure!(path.is_file(), "no {}: build it first", path.display());
    Ok(path)
}

/// Whether an outside program is installed.
#[must_use]
pub fn installed(name: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(name).is_file())
}
