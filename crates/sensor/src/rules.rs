//! The rules folder, read anew each time: the path may be a link that now points to another slot.
use andon_content::sigma::{LoadError, RuleSet};
use andon_model::limits::{FILES_MAX, RULE_FILE_BYTES_MAX};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Deepest folder below the rules folder: public sets have five levels.
const DEPTH_MAX: usize = 16;

/// Why a folder was refused; the rules in force stay in force.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RulesError {
    /// a file or folder that cannot be read
    #[error("read rules at {}", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// more files or levels than allowed
    #[error("rules folder {} has over {FILES_MAX} files or {DEPTH_MAX} levels", .0.display())]
    TooMany(PathBuf),
    /// something in it is not a rule
    #[error("rules folder {}", .0.display())]
    Rules(PathBuf, #[source] LoadError),
}

/// Compiles all rules below `folder`. Links below it are not followed.
pub(crate) fn load(folder: &Path) -> Result<RuleSet, RulesError> {
    let root =
        folder.canonicalize().map_err(|failed| RulesError::Read(folder.to_owned(), failed))?;
    let mut files = Vec::new();
    let mut folders = vec![(root.clone(), 0)];
    while let Some((at, depth)) = folders.pop() {
        let failed = |failed| RulesError::Read(at.clone(), failed);
        for entry in std::fs::read_dir(&at).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let kind = entry.file_type().map_err(failed)?;
            if kind.is_dir() {
                folders.push((entry.path(), depth + 1));
            } else if kind.is_file() {
                files.push(entry.path());
            }
            if files.len() + folders.len() > FILES_MAX || depth >= DEPTH_MAX {
                return Err(RulesError::TooMany(root));
            }
        }
    }
    files.sort();
    let mut contents = Vec::with_capacity(files.len());
    for path in files {
        let bytes = read(&path).map_err(|failed| RulesError::Read(path.clone(), failed))?;
        let name = path.strip_prefix(&root).unwrap_or(&path).to_string_lossy().into_owned();
        contents.push((name, bytes));
    }
    RuleSet::load(contents).map_err(|refused| RulesError::Rules(root, refused))
}

/// One byte more than allowed is enough for the engine to refuse the file.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(RULE_FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
