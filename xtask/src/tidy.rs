//! House rules that a machine can judge (docs: CONTRIBUTING, STYLE). Each module judges one kind and
//! returns findings; nothing is changed. The rules' tables are data: `xtask/tidy.toml`.
//!
//! What it is not: a linter for what clippy already denies (unwrap, dbg, todo, printing).
pub mod budget;
pub mod layers;
pub mod pure;
pub mod ratchet;
pub mod source;
pub mod words;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// One broken rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// file or package
    pub place: String,
    /// line, where there is one; 0 otherwise
    pub line: usize,
    /// what is wrong and what to do
    pub message: String,
}

impl Finding {
    fn new(place: impl Into<String>, line: usize, message: impl Into<String>) -> Finding {
        Finding { place: place.into(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.place, self.message),
            line => write!(f, "{}:{line}: {}", self.place, self.message),
        }
    }
}

/// `xtask/tidy.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// package → what it may import
    pub layers: BTreeMap<String, layers::Layer>,
    /// package → most crates in its tree
    pub budget: BTreeMap<String, usize>,
    /// words and where they may stand all the same
    pub source: source::SourceRules,
}

impl Rules {
    /// Reads the tables of a checkout.
    /// # Errors
    /// When the file is missing or says something unknown.
    pub fn read(root: &Path) -> Result<Rules> {
        let path = root.join("xtask/tidy.toml");
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("parse {}", path.display()))
    }
}

/// One file of the checkout, by its path relative to the root.
#[derive(Clone, Debug)]
pub struct File {
    /// relative, with `/`
    pub path: String,
    /// its text
    pub text: String,
}

/// Every text file that belongs to the project, sorted by path.
/// # Errors
/// When a folder or file cannot be read.
pub fn files(root: &Path) -> Result<Vec<File>> {
    let mut out = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let full = root.join(&folder);
        let entries =
            std::fs::read_dir(&full).with_context(|| format!("list {}", full.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("list {}", full.display()))?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let path = folder.join(name);
            let kind = entry.file_type().with_context(|| format!("look at {}", path.display()))?;
            if kind.is_dir() && !foreign(name) {
                folders.push(path);
            } else if kind.is_file() && name != "Cargo.lock" && !foreign(name) {
                let bytes = std::fs::read(root.join(&path))
                    .with_context(|| format!("read {}", path.display()))?;
                // binary files (a built eBPF object, an archive) have no rules
                if let Ok(text) = String::from_utf8(bytes) {
                    out.push(File { path: path.to_string_lossy().into_owned(), text });
                }
            }
        }
    }
    out.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(out)
}

/// Left behind by builds and demos, or git's own: what `.gitignore` lists.
fn foreign(name: &str) -> bool {
    let beginnings =
        ["target", "andon-demo", "mutants.out", "demo-report.json", "july19-report.json"];
    name == ".git"
        || name.ends_with(".profraw")
        || beginnings.iter().any(|start| name.starts_with(start))
}

/// All findings of a checkout, sorted.
/// # Errors
/// When the rules, the sources or the workspace graph cannot be read.
pub fn check(root: &Path) -> Result<Vec<Finding>> {
    let rules = Rules::read(root)?;
    let files = files(root)?;
    let mut found = layers::check(&rules.layers, &layers::Graph::read(root)?);
    found.extend(budget::check(root, &rules.budget)?);
    found.extend(pure::check(&rules.layers, &files));
    found.extend(words::check(&files));
    let (sizes, more) = source::check(&rules.source, &files);
    found.extend(more);
    found.extend(ratchet::check(&ratchet::Ratchet::read(root)?, &sizes));
    found.sort();
    Ok(found)
}

/// Prints the findings; true when there are none.
/// # Errors
/// As [`check`].
pub fn report(root: &Path) -> Result<bool> {
    let found = check(root)?;
    for finding in &found {
        eprintln!("{finding}");
    }
    eprintln!("tidy: {} findings", found.len());
    Ok(found.is_empty())
}
