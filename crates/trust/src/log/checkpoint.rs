//! Checkpoints: the signed note in which a log names its size and root (C2SP tlog-checkpoint). What
//! is parsed here is believed by nobody yet ([`super::verified`]).
use super::note::{Note, NoteError};
use super::text;
use andon_model::limits::NOTE_NAME_LENGTH_MAX;
use andon_model::merkle::Head;
use std::fmt::Write as _;

/// The text of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// which log
    pub origin: String,
    /// how many entries, and the root over them
    pub head: Head,
    /// further lines, opaque; nothing audits them
    pub extensions: Vec<String>,
}

/// A checkpoint in its note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

/// Why a note is no checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// no note
    #[error("read note of the checkpoint")]
    Note(#[from] NoteError),
    /// no first line, or one over the limit
    #[error("origin of the checkpoint is empty or over {NOTE_NAME_LENGTH_MAX} bytes")]
    Origin,
    /// the second line
    #[error("size of the checkpoint is not a decimal number below 2^63")]
    Size,
    /// the third line
    #[error("root of the checkpoint is not 32 bytes in base 64")]
    Root,
    /// an empty line among the rest
    #[error("extension line of the checkpoint is empty")]
    Extension,
}

impl Checkpoint {
    /// Reads the text of a note.
    /// # Errors
    /// [`CheckpointError`].
    pub fn parse(text: &str) -> Result<Checkpoint, CheckpointError> {
        let mut lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
        let origin = lines.next().filter(|line| is_origin(line)).ok_or(CheckpointError::Origin)?;
        let size = lines.next().and_then(text::decimal).ok_or(CheckpointError::Size)?;
        let root = lines.next().and_then(text::hash).ok_or(CheckpointError::Root)?;
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(CheckpointError::Extension);
        }
        let head = Head { size, root };
        Ok(Checkpoint { origin: origin.to_owned(), head, extensions })
    }
    /// The text as signed.
    #[must_use]
    pub fn to_text(&self) -> String {
        let root = text::encode(&self.head.root.0);
        let mut out = format!("{}\n{}\n{root}\n", self.origin, self.head.size);
        for line in &self.extensions {
            let _infallible = writeln!(out, "{line}");
        }
        out
    }
}

fn is_origin(line: &str) -> bool {
    !line.is_empty() && line.len() <= NOTE_NAME_LENGTH_MAX
}

impl SignedCheckpoint {
    /// Reads a note with a checkpoint as its text; checks no signature.
    /// # Errors
    /// [`CheckpointError`].
    pub fn parse(bytes: &[u8]) -> Result<SignedCheckpoint, CheckpointError> {
        let note = Note::parse(bytes)?;
        let checkpoint = Checkpoint::parse(note.text())?;
        Ok(SignedCheckpoint { checkpoint, note })
    }
    /// What the log says.
    #[must_use]
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }
    /// The text and its signatures.
    #[must_use]
    pub fn note(&self) -> &Note {
        &self.note
    }
    /// The same with a further signature line.
    pub fn add(&mut self, signature: super::NoteSignature) {
        self.note.add(signature);
    }
    /// Keeps the signature lines of these keys only.
    pub fn retain(&mut self, keys: &[&super::VerifierKey]) {
        self.note.retain(keys);
    }
    /// As written.
    #[must_use]
    pub fn to_text(&self) -> String {
        self.note.to_text()
    }
}
