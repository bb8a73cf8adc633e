//! Sizes, and the ratchet: what is over a limit today is listed and may shrink, never grow; nothing
//! new may join the list unseen, because the list is in the repository.
use super::Finding;
use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::path::Path;

/// Most code lines of a function: one screen.
pub const FUNCTION_LINES_MAX: usize = 70;
/// Most code lines of a file, its trailing test module left out.
pub const FILE_LINES_MAX: usize = 500;
/// Most lines of a file with everything in it, ratchet or not.
pub const FILE_LINES_NEVER: usize = 1000;
/// Most lines of a `main.rs` with everything in it: parse, build, run, map the error.
pub const MAIN_LINES_MAX: usize = 100;

/// What was measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Size {
    /// a file's code lines, and all its lines
    File {
        /// path
        path: String,
        /// code lines before the test module
        code: usize,
        /// everything
        all: usize,
    },
    /// a function's code lines
    Function {
        /// path
        path: String,
        /// its name
        name: String,
        /// where it begins
        line: usize,
        /// code lines of its body
        code: usize,
    },
}

/// `xtask/ratchet.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ratchet {
    /// files over the limit
    #[serde(default)]
    pub file: Vec<Entry>,
    /// functions over the limit
    #[serde(default)]
    pub function: Vec<Entry>,
}

/// One thing over its limit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    path: String,
    #[serde(default)]
    name: String,
    lines: usize,
}

impl Ratchet {
    /// Reads the list of a checkout.
    /// # Errors
    /// When the file is missing or says something unknown.
    pub fn read(root: &Path) -> Result<Ratchet> {
        let path = root.join("xtask/ratchet.toml");
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("parse {}", path.display()))
    }
}

/// Compares sizes with limits and ratchet.
#[must_use]
pub fn check(ratchet: &Ratchet, sizes: &[Size]) -> Vec<Finding> {
    let mut found: Vec<Finding> = sizes.iter().flat_map(|size| judge(ratchet, size)).collect();
    let lists = [(&ratchet.file, FILE_LINES_MAX), (&ratchet.function, FUNCTION_LINES_MAX)];
    for (entry, max) in lists.iter().flat_map(|(list, max)| list.iter().map(|e| (e, *max))) {
        let still = sizes.iter().any(|size| match size {
            Size::File { path, code, .. } => {
                entry.name.is_empty() && *path == entry.path && *code > max
            }
            Size::Function { path, name, code, .. } => {
                *name == entry.name && *path == entry.path && *code > max
            }
        });
        if !still {
            let message = format!("{} is within its limit: take it off the ratchet", entry.name);
            found.push(Finding::new(&entry.path, 0, message.trim_start()));
        }
    }
    found
}

fn judge(ratchet: &Ratchet, size: &Size) -> Vec<Finding> {
    let mut found = Vec::new();
    match size {
        Size::File { path, code, all } => {
            if path.ends_with("main.rs") && *all > MAIN_LINES_MAX {
                let message = format!("has {all} lines; a main has at most {MAIN_LINES_MAX}");
                found.push(Finding::new(path, 0, message));
            }
            if *all > FILE_LINES_NEVER {
                let message = format!("has {all} lines; {FILE_LINES_NEVER} is the end: split it");
                found.push(Finding::new(path, 0, message));
            }
            let listed = ratchet.file.iter().find(|entry| entry.path == *path);
            let verdict = over(*code, FILE_LINES_MAX, listed);
            found.extend(verdict.map(|said| Finding::new(path, 0, format!("file {said}"))));
        }
        Size::Function { path, name, line, code } => {
            let same = |entry: &&Entry| entry.path == *path && entry.name == *name;
            let verdict = over(*code, FUNCTION_LINES_MAX, ratchet.function.iter().find(same));
            found.extend(
                verdict.map(|said| Finding::new(path, *line, format!("function {name} {said}"))),
            );
        }
    }
    found
}

fn over(code: usize, max: usize, listed: Option<&Entry>) -> Option<String> {
    match listed {
        None if code > max => Some(format!("has {code} code lines, at most {max} are allowed")),
        Some(entry) if code > max && code > entry.lines => Some(format!(
            "grew from {} to {code} code lines; the ratchet only shrinks",
            entry.lines
        )),
        Some(entry) if code > max && code < entry.lines => {
            Some(format!("shrank from {} to {code} code lines: write that down", entry.lines))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(ratchet: &str, size: Size) -> Vec<String> {
        let ratchet: Ratchet = toml::from_str(ratchet).unwrap();
        check(&ratchet, &[size]).iter().map(Finding::to_string).collect()
    }

    #[test]
    fn a_long_file_may_shrink_and_not_grow() {
        let file = |code| Size::File { path: "a.rs".to_owned(), code, all: code };
        let listed = "[[file]]\npath = 'a.rs'\nlines = 600\n";
        assert!(said("", file(500)).is_empty());
        assert_eq!(said("", file(501)), ["a.rs: file has 501 code lines, at most 500 are allowed"]);
        assert!(said(listed, file(600)).is_empty());
        assert!(said(listed, file(601))[0].contains("grew from 600 to 601"));
        assert!(said(listed, file(599))[0].contains("write that down"));
        assert!(said(listed, file(400))[0].contains("take it off"));
        assert_eq!(said("[[file]]\npath = 'a.rs'\nlines = 1200\n", file(1200)).len(), 1);
    }

    #[test]
    fn long_functions_and_thick_mains_are_found() {
        let function =
            |code| Size::Function { path: "a.rs".to_owned(), name: "f".to_owned(), line: 7, code };
        assert!(said("", function(70)).is_empty());
        assert!(said("", function(71))[0].starts_with("a.rs:7: function f has 71"));
        assert!(
            said("[[function]]\npath = 'a.rs'\nname = 'f'\nlines = 71\n", function(71)).is_empty()
        );
        let main = Size::File { path: "x/main.rs".to_owned(), code: 90, all: 101 };
        assert!(said("", main)[0].contains("a main has at most 100"));
    }
}
