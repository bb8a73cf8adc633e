//! Notes and keys against `signed_note`.
use crate::world::log_key;
use andon_trust::log::note::Seen;
use andon_trust::log::{KeyKind, Note, NoteKey, VerifierKey};
use andon_trust::sign::SigningKey;
use proptest::prelude::*;
use signed_note::{
    NoteError, Signer as _, StandardSigner, StandardVerifier, Verifier, VerifierList,
};

const TEXT: &str = "text\n";

fn key(seed: u8) -> NoteKey {
    let key = SigningKey::from_seed([seed; 32]);
    NoteKey::new(&format!("k{seed}"), KeyKind::Log, key).unwrap()
}

fn theirs(key: &NoteKey) -> StandardVerifier {
    StandardVerifier::new(&key.verifier().to_string()).unwrap()
}

/// Pieces of which notes are made: right ones, and what breaks them.
fn piece() -> impl Strategy<Value = String> {
    let line = |seed: u8, text: &str| key(seed).sign(text, 0).to_line();
    let fixed = [
        "a",
        "\n",
        "\n\n",
        "\u{2014} ",
        "name ",
        " ",
        "AAAAAAA=",
        "\t",
        "\r",
        "\u{e9}",
        "\u{7f}",
        "\u{a0}",
        "+",
    ];
    prop_oneof![
        4 => prop::sample::select(fixed.map(str::to_owned).to_vec()),
        2 => (1..4_u8).prop_map(move |seed| line(seed, TEXT)),
        1 => (1..4_u8).prop_map(move |seed| line(seed, "other\n")),
        2 => Just(format!("{TEXT}\n")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn the_same_bytes_are_notes_with_the_same_parts(pieces in prop::collection::vec(piece(), 0..8)) {
        let bytes = pieces.concat();
        let ours = Note::parse(bytes.as_bytes());
        let theirs = signed_note::Note::from_bytes(bytes.as_bytes());
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", ours, theirs);
        if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
            prop_assert_eq!(ours.text().as_bytes(), theirs.text());
            prop_assert_eq!(ours.to_text().into_bytes(), theirs.to_bytes());
        }
    }

    #[test]
    fn the_same_notes_are_signed_by_the_same_keys(
        lines in prop::collection::btree_map(1..6_u8, any::<bool>(), 1..5)
    ) {
        // one line a key: of several, signed_note looks at the first and we at all
        let mut note = Note::unsigned(TEXT).unwrap();
        for (seed, right) in &lines {
            note.add(key(*seed).sign(if *right { TEXT } else { "other\n" }, 0));
        }
        let known = [1, 2, 3];
        let list = known.map(|seed| Box::new(theirs(&key(seed))) as Box<dyn Verifier>);
        let parsed = signed_note::Note::from_bytes(note.to_text().as_bytes()).unwrap();
        let theirs = parsed.verify(&VerifierList::new(list.into()));
        let ours: Result<Vec<Seen>, _> =
            known.iter().map(|seed| note.seen_by(key(*seed).verifier())).collect();
        match (ours, theirs) {
            (Ok(seen), Ok((verified, _))) => {
                prop_assert_eq!(seen.iter().filter(|s| **s == Seen::Signed).count(), verified.len());
            }
            (Ok(seen), Err(NoteError::UnverifiedNote)) => {
                prop_assert!(seen.iter().all(|seen| *seen == Seen::No));
            }
            (Err(_), Err(NoteError::InvalidSignature { .. })) => {}
            (ours, theirs) => prop_assert!(false, "{:?} {:?}", ours, theirs),
        }
    }

    #[test]
    fn keys_and_signatures_are_the_same(seed in any::<u8>(), text in "[a-z\n]{0,30}\n") {
        let ours = key(seed);
        let signer = StandardSigner::new(&ours.to_secret_text()).unwrap();
        prop_assert_eq!(signer.name(), ours.verifier().name());
        prop_assert_eq!(signer.key_id().to_be_bytes(), ours.verifier().id());
        prop_assert_eq!(signer.sign(text.as_bytes()).unwrap(), ours.sign(&text, 0).bytes);
        let verifier = theirs(&ours);
        prop_assert_eq!(verifier.key_id().to_be_bytes(), ours.verifier().id());
        prop_assert!(verifier.verify(text.as_bytes(), &ours.sign(&text, 0).bytes));
    }

    #[test]
    fn damaged_keys_are_refused_alike(at in any::<prop::sample::Index>(), by in 33..127_u8) {
        let mut text = log_key().verifier().to_string().into_bytes();
        let at = at.index(text.len());
        text[at] = by;
        let text = String::from_utf8(text).unwrap();
        let ours = text.parse::<VerifierKey>();
        // the one difference: hexadecimal has one spelling with us
        let upper = text.split('+').nth(1).is_some_and(|id| id.bytes().any(|b| b.is_ascii_uppercase() || b == b'+'));
        let theirs = StandardVerifier::new(&text);
        prop_assert!(upper || ours.is_ok() == theirs.is_ok(), "{} {:?}", text, ours);
    }
}
