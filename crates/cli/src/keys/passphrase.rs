//! Passphrases of key files: from files that were named, or typed at the terminal; never from the command
//! line or the environment, which other processes can read. It does not know what they open.
use super::sealed::SealError;
use super::terminal::{self, TerminalError};
use crate::files::{self, FileError};
use age::secrecy::{ExposeSecret, SecretString};
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Shortest passphrase that a new file is sealed with, in characters: the least that NIST SP 800-63B-4 accepts
/// where nothing else protects. Whoever has the file guesses offline, as often as they like.
const CHARS_MIN: usize = 15;
/// Fewest different characters in it: `aaaaaaaaaaaaaaa` is long and weak.
const DISTINCT_MIN: usize = 6;
/// Longest passphrase, bytes: a whole sentence, and no file that was named by mistake.
const BYTES_MAX: usize = 1024;
/// How often somebody at the terminal may mistype.
const TRIES: usize = 3;
/// Most passphrase files: as many as people whose keys one command takes.
const FILES_MAX: usize = 16;

/// A passphrase. Never printed, wiped from memory when dropped.
#[derive(Clone, Debug)]
pub(crate) struct Passphrase(SecretString);

impl Passphrase {
    /// For the `age` crate.
    pub(super) fn secret(&self) -> SecretString {
        self.0.clone()
    }

    /// Whether a new file may be sealed with it.
    fn check(&self) -> Result<(), PassphraseError> {
        let text = self.0.expose_secret();
        let mut distinct: Vec<char> = text.chars().collect();
        let chars = distinct.len();
        distinct.sort_unstable();
        distinct.dedup();
        match (chars, distinct.len()) {
            (chars, _) if chars < CHARS_MIN => Err(PassphraseError::Short(chars)),
            (_, distinct) if distinct < DISTINCT_MIN => Err(PassphraseError::Monotonous(distinct)),
            _ => Ok(()),
        }
    }
}

impl From<String> for Passphrase {
    fn from(text: String) -> Passphrase {
        Passphrase(SecretString::from(text))
    }
}

/// Why there is no passphrase.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PassphraseError {
    /// neither a file nor a person
    #[error(
        "a passphrase is needed, and there is no terminal to ask at; give --passphrase-file FILE"
    )]
    Nobody,
    /// the terminal
    #[error("ask for a passphrase")]
    Terminal(#[from] TerminalError),
    /// the file
    #[error("read passphrase file")]
    File(#[from] FileError),
    /// a passphrase that everybody can read is none
    #[error("passphrase file {0} can be read by others; chmod 600 it")]
    Exposed(PathBuf),
    /// no first line
    #[error("passphrase file {0} has no first line of text")]
    Empty(PathBuf),
    /// which of several would seal?
    #[error("a new key is sealed with one passphrase, and {0} files are named")]
    Several(usize),
    /// more than anybody needs
    #[error("{0} passphrase files are named, at most {FILES_MAX} are taken")]
    TooMany(usize),
    /// guessed within hours
    #[error(
        "the passphrase has {0} characters, at least {CHARS_MIN} are needed: four random words, for example"
    )]
    Short(usize),
    /// guessed first
    #[error("the passphrase has {0} different characters, at least {DISTINCT_MIN} are needed")]
    Monotonous(usize),
    /// mistyped
    #[error("the two passphrases differ; nothing was written")]
    Differ,
}

/// Where passphrases come from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Passphrases {
    files: Vec<PathBuf>,
}

impl Passphrases {
    /// From these files; without any, from the terminal.
    pub(crate) fn new(files: &[PathBuf]) -> Passphrases {
        Passphrases { files: files.to_owned() }
    }

    /// The passphrase for new key files: from the one file, or typed twice.
    /// # Errors
    /// [`PassphraseError`]; too weak a one is refused.
    pub(crate) fn for_new(&self, what: &str) -> Result<Passphrase, PassphraseError> {
        let passphrase = match self.files.as_slice() {
            [] => {
                let first = ask(&format!("New passphrase for {what}: "))?;
                first.check()?;
                let again = ask("The same again: ")?;
                if first.0.expose_secret() != again.0.expose_secret() {
                    return Err(PassphraseError::Differ);
                }
                first
            }
            [file] => read(file)?,
            several => return Err(PassphraseError::Several(several.len())),
        };
        passphrase.check()?;
        Ok(passphrase)
    }

    /// What `open` makes of the right passphrase: of one of the files, or typed, at most three times.
    /// # Errors
    /// [`PassphraseError`]; within, what `open` said last.
    pub(super) fn open<T>(
        &self,
        path: &Path,
        open: impl Fn(&Passphrase) -> Result<T, SealError>,
    ) -> Result<Result<T, SealError>, PassphraseError> {
        if self.files.len() > FILES_MAX {
            return Err(PassphraseError::TooMany(self.files.len()));
        }
        for file in &self.files {
            match open(&read(file)?) {
                Err(SealError::Passphrase) => {}
                other => return Ok(other),
            }
        }
        let tries = if self.files.is_empty() { TRIES } else { 0 };
        for _ in 0..tries {
            match open(&ask(&format!("Passphrase of {}: ", path.display()))?) {
                Err(SealError::Passphrase) => {}
                other => return Ok(other),
            }
        }
        Ok(Err(SealError::Passphrase))
    }
}

fn ask(prompt: &str) -> Result<Passphrase, PassphraseError> {
    let text = terminal::ask_unseen(prompt, BYTES_MAX).map_err(|why| match why {
        TerminalError::None => PassphraseError::Nobody,
        why => PassphraseError::Terminal(why),
    })?;
    Ok(Passphrase::from(text))
}

/// The first line of a file. What a shell gives as `<(…)` is a pipe of the caller's own.
fn read(path: &Path) -> Result<Passphrase, PassphraseError> {
    let exposed = fs::metadata(path)
        .is_ok_and(|facts| !facts.file_type().is_fifo() && facts.permissions().mode() & 0o077 != 0);
    if exposed {
        return Err(PassphraseError::Exposed(path.to_owned()));
    }
    let bytes = files::read(path, BYTES_MAX as u64)?;
    let text = String::from_utf8(bytes).map_err(|_| PassphraseError::Empty(path.to_owned()))?;
    match text.lines().next().filter(|line| !line.is_empty()) {
        Some(line) => Ok(Passphrase::from(line.to_owned())),
        None => Err(PassphraseError::Empty(path.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weak_passphrases_are_refused_for_new_files() {
        let cases = [
            ("", "0 characters"),
            ("hunter2", "7 characters"),
            ("abcdefghijklmn", "14 characters"),
            ("aaaaaaaaaaaaaaaaaaaa", "1 different"),
            ("abcdeabcdeabcde", "5 different"),
            ("abcdefabcdefabc", ""),
            ("übergroß äöü 15", ""),
        ];
        for (text, refused) in cases {
            let said = Passphrase::from(text.to_owned()).check();
            match (refused, said) {
                ("", said) => assert!(said.is_ok(), "{text:?}: {said:?}"),
                (why, said) => assert!(said.unwrap_err().to_string().contains(why), "{text:?}"),
            }
        }
    }

    #[test]
    fn it_is_never_shown() {
        let shown = format!("{:?}", Passphrase::from("correct horse battery".to_owned()));
        assert!(!shown.contains("horse"), "{shown}");
    }
}
