//! Every limit of a log's texts: what is at it passes, what is one over it is refused.
use crate::world::*;
use andon_model::Digest;
use andon_model::limits::*;
use andon_trust::log::note::NoteError;
use andon_trust::log::policy::{PolicyError, PolicyFault};
use andon_trust::log::proof::LogProofError;
use andon_trust::log::{KeyKind, LogProof, Note, NoteKey, NoteSignature, Policy};
use andon_trust::sign::SigningKey;

#[test]
fn notes_have_a_limit_of_signatures() {
    let note = |count: usize| {
        let lines = "\u{2014} a AAAAAAA=\n".repeat(count);
        Note::parse(format!("t\n\n{lines}").as_bytes()).map(|note| note.signatures().len())
    };
    assert_eq!(note(NOTE_SIGNATURES_MAX), Ok(NOTE_SIGNATURES_MAX));
    assert_eq!(note(NOTE_SIGNATURES_MAX + 1), Err(NoteError::Signatures(NOTE_SIGNATURES_MAX + 1)));
}

#[test]
fn notes_have_a_limit_of_bytes_that_fits_sixteen_post_quantum_signatures() {
    let bytes = |bytes: usize| {
        let tail = "\n\n\u{2014} a AAAAAAA=\n";
        let text = "t".repeat(bytes - tail.len());
        Note::parse(format!("{text}{tail}").as_bytes()).map(|_| ())
    };
    assert_eq!(bytes(NOTE_BYTES_MAX), Ok(()));
    assert_eq!(bytes(NOTE_BYTES_MAX + 1), Err(NoteError::TooLarge(NOTE_BYTES_MAX + 1)));
    let mut note = Note::unsigned("t\n").unwrap();
    for at in 0..16 {
        note.add(NoteSignature { name: "n".repeat(255), id: [at; 4], bytes: vec![at; 5000] });
    }
    assert!(Note::parse(note.to_text().as_bytes()).is_ok());
}

#[test]
fn names_and_origins_have_a_limit() {
    let key = || SigningKey::from_seed([9; 32]);
    let named = |length| NoteKey::new(&"n".repeat(length), KeyKind::Log, key());
    let mut checkpoint = checkpoint(1);
    checkpoint.origin = "n".repeat(NOTE_NAME_LENGTH_MAX);
    let log = named(NOTE_NAME_LENGTH_MAX).unwrap();
    assert!(log.seal(&checkpoint, 0).is_ok());
    assert!(named(NOTE_NAME_LENGTH_MAX + 1).is_err());
    checkpoint.origin.push('n');
    assert!(log.seal(&checkpoint, 0).is_err());
}

#[test]
fn proofs_have_limits() {
    let with = |hashes: usize, extra: usize| {
        let mut proof = proof(0, 1, &[]);
        proof.hashes = vec![Digest([0; 32]); hashes];
        proof.extra = Some(vec![1; extra]);
        LogProof::parse(proof.to_text().as_bytes()).map(|_| ())
    };
    let (hashes, extra) = (MERKLE_PROOF_MAX, LOG_EXTRA_BYTES_MAX);
    assert_eq!(with(hashes, extra), Ok(()));
    assert_eq!(with(hashes + 1, extra), Err(LogProofError::Hashes));
    assert_eq!(with(hashes, extra + 1), Err(LogProofError::Extra));
    let large = vec![b'x'; LOG_PROOF_BYTES_MAX + 1];
    assert_eq!(LogProof::parse(&large), Err(LogProofError::TooLarge(large.len())));
    assert_eq!(LogProof::parse(&large[1..]), Err(LogProofError::Header));
    // the largest of each part fit together
    let mut largest = proof(0, 1, &[]);
    largest.hashes = vec![Digest([0; 32]); hashes];
    largest.extra = Some(vec![1; extra]);
    let rest = NOTE_BYTES_MAX - largest.checkpoint.to_text().len() - 30;
    let line = NoteSignature { name: "x".to_owned(), id: [0; 4], bytes: vec![0; rest / 4 * 3] };
    largest.checkpoint.add(line);
    assert!(largest.to_text().len() > NOTE_BYTES_MAX);
    assert_eq!(LogProof::parse(largest.to_text().as_bytes()), Ok(largest));
}

fn key(kind: KeyKind, at: usize) -> String {
    let mut seed = [u8::try_from(at).unwrap(); 32];
    seed[0] = match kind {
        KeyKind::Log => 1,
        KeyKind::Witness => 2,
    };
    NoteKey::new("n", kind, SigningKey::from_seed(seed)).unwrap().verifier().to_string()
}

#[test]
fn policies_have_a_limit_of_logs_witnesses_and_groups() {
    let max = LOG_POLICY_ENTRIES_MAX;
    let log = |at: usize| format!("log {}\n", key(KeyKind::Log, at));
    let witness = |at: usize| format!("witness w{at} {}\n", key(KeyKind::Witness, at));
    let group = |at: usize| format!("group g{at} any w{at}\n");
    let lines = |make: &dyn Fn(usize) -> String| (0..max).map(make).collect::<String>();
    let full = lines(&log) + &lines(&witness) + &lines(&group);
    let with = |more: &str| Policy::parse(format!("{full}{more}quorum g0\n").as_bytes());
    assert_eq!(with("").map(|policy| policy.witnesses().count()), Ok(max));
    for more in [log(max), witness(max), "group more any g0\n".to_owned()] {
        let want = PolicyError::Line { line: 3 * max + 1, source: PolicyFault::TooMany };
        assert_eq!(with(&more), Err(want), "{more}");
    }
    let bytes = |bytes: usize| {
        let text = format!("quorum none\n#{}\n", "x".repeat(bytes - 14));
        assert_eq!(text.len(), bytes);
        Policy::parse(text.as_bytes()).map(|_| ())
    };
    assert_eq!(bytes(LOG_POLICY_BYTES_MAX), Ok(()));
    let over = LOG_POLICY_BYTES_MAX + 1;
    assert_eq!(bytes(over), Err(PolicyError::TooLarge(over)));
}
