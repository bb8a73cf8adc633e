//! The project's chores: house rules, mutants, the steps of `./x test`.
//!
//! What it is: whatever would be more than a few lines of shell.
//! What it is not: part of anything that is installed.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "summaries and tables are what these programs are for")]

pub mod fuzz;
pub mod mutants;
pub mod run;
pub mod steps;
pub mod tidy;

use std::path::PathBuf;

/// The folder of the checkout that this program was built from, unless `ANDON_ROOT` names another.
#[must_use]
pub fn root() -> PathBuf {
    if let Some(root) = std::env::var_os("ANDON_ROOT") {
        return PathBuf::from(root);
    }
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or(here.clone(), std::path::Path::to_path_buf)
}
