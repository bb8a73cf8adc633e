//! Signed notes: a text and signature lines (C2SP signed-note). Parsing checks form and limits; what
//! a signature is worth is asked with a key: [`Note::seen_by`].
use super::cosignature;
use super::key::{KeyKind, NoteKeyId, VerifierKey};
use super::text;
use crate::envelope::signature_is_valid;
use andon_model::Signature;
use andon_model::limits::{NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX};
use std::fmt::Write as _;

/// What a signature line begins with: an em dash and a space.
const DASH: &str = "\u{2014} ";

/// A text and what claims to be signatures over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line: `— <name> base64(key id || signature)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// name of the key that it claims to be by
    pub name: String,
    /// id of that key
    pub id: NoteKeyId,
    /// the signature in the form of its type, one byte at least
    pub bytes: Vec<u8>,
}

/// Why bytes are no signed note.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// larger than allowed
    #[error("note has {0} bytes, at most {NOTE_BYTES_MAX} are allowed")]
    TooLarge(usize),
    /// not UTF-8, or with a control character other than newline
    #[error("note is not UTF-8 text without control characters")]
    Characters,
    /// no empty line between text and signatures, or a text that does not end in a newline
    #[error("note has no text, empty line and signatures")]
    Parts,
    /// a line below the text that is no signature line; counted from 1
    #[error("signature line {0} of the note is malformed")]
    SignatureLine(usize),
    /// none, or more than allowed
    #[error("note has {0} signatures, 1 to {NOTE_SIGNATURES_MAX} are allowed")]
    Signatures(usize),
}

/// What a key has to do with a note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// no line names this key
    No,
    /// a log's key signed it
    Signed,
    /// a witness's key cosigned it; the newest of its times, POSIX seconds
    Cosigned(u64),
}

/// A line names a key that we know, and the signature on it does not verify. The whole note is then
/// refused (C2SP signed-note, "Signatures").
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("signature by {0} does not verify")]
pub struct SignatureError(pub String);

impl Note {
    /// Reads a note; checks form and limits, no signature.
    /// # Errors
    /// [`NoteError`].
    pub fn parse(bytes: &[u8]) -> Result<Note, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLarge(bytes.len()));
        }
        let whole = std::str::from_utf8(bytes).map_err(|_| NoteError::Characters)?;
        if whole.bytes().any(|b| b < 0x20 && b != b'\n') {
            return Err(NoteError::Characters);
        }
        let end = whole.rfind("\n\n").ok_or(NoteError::Parts)?;
        let (text, rest) = whole.split_at(end + 1);
        Ok(Note { text: text.to_owned(), signatures: NoteSignature::parse_lines(&rest[1..])? })
    }
    /// A text that nobody has signed yet.
    /// # Errors
    /// [`NoteError::Characters`], or [`NoteError::Parts`] when it does not end in a newline.
    pub fn unsigned(text: &str) -> Result<Note, NoteError> {
        if text.bytes().any(|b| b < 0x20 && b != b'\n') {
            return Err(NoteError::Characters);
        }
        if !text.ends_with('\n') {
            return Err(NoteError::Parts);
        }
        Ok(Note { text: text.to_owned(), signatures: Vec::new() })
    }
    /// The text, its last newline included.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
    /// The signature lines.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }
    /// Adds a line, unless the same is there already.
    pub fn add(&mut self, signature: NoteSignature) {
        if !self.signatures.contains(&signature) {
            self.signatures.push(signature);
        }
    }
    /// Keeps the lines of these keys only.
    pub fn retain(&mut self, keys: &[&VerifierKey]) {
        self.signatures
            .retain(|line| keys.iter().any(|key| line.name == key.name() && line.id == key.id()));
    }
    /// As written; without signatures it is no note, only a text and an empty line.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut out = format!("{}\n", self.text);
        for signature in &self.signatures {
            signature.write(&mut out);
        }
        out
    }
    /// Whether `key` signed this text. Lines of other keys are ignored, also when they share either
    /// name or id; every line that names this key must verify.
    /// # Errors
    /// [`SignatureError`].
    pub fn seen_by(&self, key: &VerifierKey) -> Result<Seen, SignatureError> {
        let mut seen = Seen::No;
        let named = |line: &&NoteSignature| line.name == key.name() && line.id == key.id();
        for line in self.signatures.iter().filter(named) {
            let wrong = || SignatureError(key.name().to_owned());
            let this = match key.kind() {
                KeyKind::Log => {
                    let bytes = line.bytes.as_slice().try_into().map_err(|_| wrong())?;
                    let valid =
                        signature_is_valid(&key.public(), self.text.as_bytes(), &Signature(bytes));
                    if valid { Seen::Signed } else { return Err(wrong()) }
                }
                KeyKind::Witness => {
                    let time = cosignature::verify(&key.public(), &self.text, &line.bytes);
                    Seen::Cosigned(time.ok_or_else(wrong)?)
                }
            };
            seen = match (seen, this) {
                (Seen::Cosigned(old), Seen::Cosigned(new)) => Seen::Cosigned(old.max(new)),
                (_, this) => this,
            };
        }
        Ok(seen)
    }
}

impl NoteSignature {
    /// Reads one or more signature lines, each ending in a newline: the tail of a note, or a
    /// witness's answer.
    /// # Errors
    /// [`NoteError::SignatureLine`], [`NoteError::Signatures`].
    pub fn parse_lines(lines: &str) -> Result<Vec<NoteSignature>, NoteError> {
        let count = lines.matches('\n').count();
        if count == 0 || count > NOTE_SIGNATURES_MAX {
            return Err(NoteError::Signatures(count));
        }
        let mut signatures = Vec::with_capacity(count);
        for (at, line) in lines.split_inclusive('\n').enumerate() {
            let line = line.strip_suffix('\n').and_then(NoteSignature::parse_line);
            signatures.push(line.ok_or(NoteError::SignatureLine(at + 1))?);
        }
        Ok(signatures)
    }
    fn parse_line(line: &str) -> Option<NoteSignature> {
        let (name, encoded) = line.strip_prefix(DASH)?.split_once(' ')?;
        let bytes = text::decode(encoded)?;
        let (id, bytes) = bytes.split_first_chunk::<4>()?;
        let whole = text::is_key_name(name) && !bytes.is_empty();
        whole.then(|| NoteSignature { name: name.to_owned(), id: *id, bytes: bytes.to_vec() })
    }
    /// As a line, with its newline.
    #[must_use]
    pub fn to_line(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }
    fn write(&self, out: &mut String) {
        let bytes = [self.id.as_slice(), &self.bytes].concat();
        let _infallible = writeln!(out, "{DASH}{} {}", self.name, text::encode(&bytes));
    }
}
