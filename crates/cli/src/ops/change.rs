//! Several files changed as one: all are written beside their places first, then renamed one after another, and all renames are taken back if one
//! fails. A power cut between two renames leaves some done; no step destroys what another one needs, so nothing is lost then.
use crate::files::{self, Access, FileError};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs;
use std::path::{Path, PathBuf};

/// What becomes of one file.
#[derive(Clone, Debug)]
enum Step {
    /// a new file, where nothing is
    Create { path: PathBuf, bytes: Vec<u8>, access: Access },
    /// other content for a file that is there
    Replace { path: PathBuf, bytes: Vec<u8>, access: Access },
    /// another name for a file that is there
    Rename { from: PathBuf, to: PathBuf },
}

/// Steps in the order in which they are taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Change(Vec<Step>);

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    /// a file
    #[error("change files; nothing was changed")]
    File(#[from] FileError),
    /// and the files could not be put back
    #[error("change files, and put {0} back; look at the folder")]
    Stuck(PathBuf, #[source] FileError),
}

impl Change {
    /// A new file, if there is none of that name.
    pub(crate) fn create(&mut self, path: &Path, bytes: Vec<u8>, access: Access) {
        self.0.push(Step::Create { path: path.to_owned(), bytes, access });
    }
    /// Other content for a file that is there.
    pub(crate) fn replace(&mut self, path: &Path, bytes: Vec<u8>, access: Access) {
        self.0.push(Step::Replace { path: path.to_owned(), bytes, access });
    }
    /// A file that is there gets a name that nothing has.
    pub(crate) fn rename(&mut self, from: &Path, to: &Path) {
        self.0.push(Step::Rename { from: from.to_owned(), to: to.to_owned() });
    }
    /// The files that will have been written or renamed.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.iter().map(|step| match step {
            Step::Create { path, .. } | Step::Replace { path, .. } => path.as_path(),
            Step::Rename { to, .. } => to.as_path(),
        })
    }

    /// Does it all, or nothing.
    /// # Errors
    /// [`ChangeError`].
    pub(crate) fn apply(self) -> Result<(), ChangeError> {
        let mut staged = Vec::new();
        let written = self.stage(&mut staged);
        let done = written.and_then(|()| self.take_all(&staged));
        for fresh in staged.iter().flatten() {
            // What is left are old contents that were exchanged, or everything after a failure.
            let _best_effort = fs::remove_file(fresh);
        }
        done
    }

    /// Writes what each step needs, beside its place.
    fn stage(&self, staged: &mut Vec<Option<PathBuf>>) -> Result<(), ChangeError> {
        for step in &self.0 {
            staged.push(match step {
                Step::Create { path, bytes, access } | Step::Replace { path, bytes, access } => {
                    Some(files::stage(path, bytes, *access)?)
                }
                Step::Rename { .. } => None,
            });
        }
        Ok(())
    }

    fn take_all(&self, staged: &[Option<PathBuf>]) -> Result<(), ChangeError> {
        let steps: Vec<_> = self.0.iter().zip(staged).collect();
        for (at, (step, fresh)) in steps.iter().enumerate() {
            let taken = match (step, fresh) {
                (Step::Create { path, .. }, Some(fresh)) => files::place_new(fresh, path),
                (Step::Replace { path, .. }, Some(fresh)) => exchange(fresh, path),
                (Step::Rename { from, to }, _) => files::place_new(from, to),
                _ => Ok(()),
            };
            if let Err(why) = taken {
                return Err(take_back(&steps[..at], why));
            }
        }
        Ok(())
    }
}

/// Undoes steps, the last one first.
fn take_back(taken: &[(&Step, &Option<PathBuf>)], why: FileError) -> ChangeError {
    for (step, fresh) in taken.iter().rev() {
        let (place, undone) = match (step, fresh) {
            (Step::Create { path, .. }, Some(fresh)) => (path, files::place_new(path, fresh)),
            (Step::Replace { path, .. }, Some(fresh)) => (path, exchange(fresh, path)),
            (Step::Rename { from, to }, _) => (from, files::place_new(to, from)),
            _ => continue,
        };
        if let Err(why) = undone {
            return ChangeError::Stuck(place.clone(), why);
        }
    }
    ChangeError::File(why)
}

/// Two files change places at one instant.
fn exchange(one: &Path, other: &Path) -> Result<(), FileError> {
    let failed = |source| FileError::Write { path: other.to_owned(), source };
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).map_err(|why| failed(why.into()))?;
    files::sync_folder(other).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(dir: &Path) -> Vec<(String, String)> {
        let mut found: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                (name, fs::read_to_string(path).unwrap())
            })
            .collect();
        found.sort();
        found
    }

    /// A step that cannot be taken, in every place among those that can: everything is as it was.
    /// Mutant: change-half-applied.
    #[test]
    fn a_change_is_made_whole_or_not_at_all() {
        let steps = |dir: &Path| {
            vec![
                Step::Rename { from: dir.join("key"), to: dir.join("key.retired") },
                Step::Create {
                    path: dir.join("key"),
                    bytes: b"new".into(),
                    access: Access::Secret,
                },
                Step::Replace {
                    path: dir.join("policy"),
                    bytes: b"2".into(),
                    access: Access::Public,
                },
            ]
        };
        let fails: [fn(&Path) -> Step; 3] = [
            |dir| Step::Create { path: dir.join("there"), bytes: vec![], access: Access::Public },
            |dir| Step::Replace { path: dir.join("none"), bytes: vec![], access: Access::Public },
            |dir| Step::Rename { from: dir.join("none"), to: dir.join("other") },
        ];
        let folder = || {
            let dir = tempfile::tempdir().unwrap();
            for (name, text) in [("key", "old"), ("policy", "1"), ("there", "it is")] {
                fs::write(dir.path().join(name), text).unwrap();
            }
            dir
        };
        for fail in fails {
            for at in 0..=3 {
                let dir = folder();
                let before = tree(dir.path());
                let mut all = steps(dir.path());
                all.insert(at, fail(dir.path()));
                let failed = Change(all).apply();
                assert!(matches!(failed, Err(ChangeError::File(_))), "{failed:?}");
                assert_eq!(tree(dir.path()), before, "failed at step {at}");
            }
        }
        let dir = folder();
        Change(steps(dir.path())).apply().unwrap();
        let text = |pair: &(String, String)| format!("{}={}", pair.0, pair.1);
        let after: Vec<String> = tree(dir.path()).iter().map(text).collect();
        assert_eq!(after, ["key=new", "key.retired=old", "policy=2", "there=it is"]);
    }
}
