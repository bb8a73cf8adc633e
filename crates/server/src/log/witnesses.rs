//! Asking witnesses to cosign (C2SP tlog-witness, `add-checkpoint`). A witness that knows an older
//! checkpoint than we thought says so and is asked once more. What it answers counts only if it is its
//! cosignature; how many are needed is the policy's.
use super::book::Book;
use crate::config::WitnessInputs;
use crate::member::http::{HttpError, LineHttp};
use andon_trust::log::note::{NoteError, Seen, SignatureError};
use andon_trust::log::tile_tree::TileTreeError;
use andon_trust::log::witness::AddCheckpoint;
use andon_trust::log::{NoteSignature, VerifierKey};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Longest that one call may take: a vendor waits for all of them, twice at most.
const CALL_TIME_MAX: Duration = Duration::from_secs(5);
/// Largest answer, bytes: a few signature lines, or a refusal's words.
const TEXT: &str = "text/plain; charset=utf-8";

/// One witness.
#[derive(Debug)]
pub struct Witness {
    vkey: VerifierKey,
    url: String,
    http: LineHttp,
    /// size of what it cosigned last, as far as we know
    known: AtomicU64,
}

/// Why there is no cosignature.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// nobody there, or it refuses
    #[error("ask it")]
    Http(#[from] HttpError),
    /// a refusal without a size
    #[error("it has another checkpoint and does not say which")]
    Conflict,
    /// it has seen more than we have
    #[error(
        "it has cosigned {known} entries of this log and here are {size}: the log's folder is older \
         than the log; take a new log key and folder"
    )]
    Ahead {
        /// its size
        known: u64,
        /// ours
        size: u64,
    },
    /// our own tiles
    #[error("make consistency proof")]
    Proof(#[from] TileTreeError),
    /// no signature lines
    #[error("read its answer")]
    Answer(#[from] NoteError),
    /// a line by its key that is not its cosignature
    #[error("check its answer")]
    Signature(#[from] SignatureError),
    /// lines by others
    #[error("its answer has no cosignature by its key")]
    Nothing,
}

impl Witness {
    /// A witness to ask.
    /// # Errors
    /// [`HttpError::Client`].
    pub fn new(inputs: &WitnessInputs) -> Result<Witness, HttpError> {
        let http = LineHttp::new(&inputs.url)?;
        let (vkey, url) = (inputs.vkey.clone(), inputs.url.clone());
        Ok(Witness { vkey, url, http, known: AtomicU64::new(0) })
    }

    /// For people.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} at {}", self.vkey.name(), self.url)
    }

    /// Whether it has cosigned the book's checkpoint already.
    #[must_use]
    pub fn has_cosigned(&self, book: &Book) -> bool {
        matches!(book.sealed().note().seen_by(&self.vkey), Ok(Seen::Cosigned(_)))
    }

    /// Its cosignature of the book's newest checkpoint.
    /// # Errors
    /// [`AskError`].
    pub async fn ask(&self, book: &Book) -> Result<Vec<NoteSignature>, AskError> {
        let known = self.known.load(Ordering::Relaxed);
        let size = book.sealed().checkpoint().head.size;
        let (taken, answer) = self.call(book, known.min(size)).await?;
        if taken {
            return self.check(book, &answer);
        }
        let known = said(&answer).ok_or(AskError::Conflict)?;
        if known > size {
            return Err(AskError::Ahead { known, size });
        }
        match self.call(book, known).await? {
            (true, answer) => self.check(book, &answer),
            (false, _) => Err(AskError::Conflict),
        }
    }

    async fn call(&self, book: &Book, old: u64) -> Result<(bool, Vec<u8>), AskError> {
        let proof = book.consistency(old)?;
        let body = AddCheckpoint { old, proof, checkpoint: book.sealed().clone() }.to_text();
        Ok(self.http.post_as(TEXT, "/add-checkpoint", body.into_bytes(), CALL_TIME_MAX).await?)
    }

    fn check(&self, book: &Book, answer: &[u8]) -> Result<Vec<NoteSignature>, AskError> {
        let lines = NoteSignature::parse_lines(&String::from_utf8_lossy(answer))?;
        let ours =
            |line: &NoteSignature| line.name == self.vkey.name() && line.id == self.vkey.id();
        let lines: Vec<NoteSignature> = lines.into_iter().filter(ours).collect();
        let mut note = book.sealed().note().clone();
        lines.iter().for_each(|line| note.add(line.clone()));
        if !matches!(note.seen_by(&self.vkey)?, Seen::Cosigned(_)) {
            return Err(AskError::Nothing);
        }
        self.known.store(book.sealed().checkpoint().head.size, Ordering::Relaxed);
        Ok(lines)
    }
}

/// The size in a refusal.
fn said(answer: &[u8]) -> Option<u64> {
    std::str::from_utf8(answer).ok()?.trim_end().parse().ok()
}
