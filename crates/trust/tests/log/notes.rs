//! Notes, checkpoints and cosignatures: the specifications' own examples, and what is refused.
use crate::world::*;
use andon_model::limits::LOG_NUMBER_MAX;
use andon_trust::log::checkpoint::CheckpointError;
use andon_trust::log::note::{NoteError, Seen};
use andon_trust::log::{
    Checkpoint, Note, NoteSignature, SignedCheckpoint, VerifierKey, cosignature,
};
use proptest::prelude::*;

/// C2SP signed-note, "Example".
const EXAMPLE_KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
const EXAMPLE: &str = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

#[test]
fn the_specifications_example_verifies() {
    let key: VerifierKey = EXAMPLE_KEY.parse().unwrap();
    let note = Note::parse(EXAMPLE.as_bytes()).unwrap();
    assert_eq!(note.text(), "This is an example message.\n");
    assert_eq!(note.seen_by(&key), Ok(Seen::Signed));
    assert_eq!(note.to_text(), EXAMPLE);
    let changed = Note::parse(EXAMPLE.replace("message", "massage").as_bytes()).unwrap();
    assert!(changed.seen_by(&key).is_err());
}

#[test]
fn the_specifications_checkpoint_reads_back() {
    // C2SP tlog-cosignature, the first example
    let text = "example.com/behind-the-sofa\n20852163\n\
        CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\
        \u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n\
        \u{2014} witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";
    let signed = SignedCheckpoint::parse(text.as_bytes()).unwrap();
    assert_eq!(signed.checkpoint().origin, "example.com/behind-the-sofa");
    assert_eq!(signed.checkpoint().head.size, 20_852_163);
    assert_eq!(signed.to_text(), text);
    assert_eq!(signed.checkpoint().to_text(), signed.note().text());
    // its time is the one of the text beside it
    let message = cosignature::message(1_679_315_147, signed.note().text());
    assert!(message.starts_with(b"cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n"));
    assert_eq!(signed.note().signatures()[1].bytes[..8], 1_679_315_147_u64.to_be_bytes());
}

#[test]
fn what_is_no_note_is_refused_each_for_its_reason() {
    use NoteError::{Characters, Parts, SignatureLine, Signatures};
    let line = "\u{2014} a AAAAAAA=\n";
    assert!(Note::parse(format!("t\n\n{line}").as_bytes()).is_ok());
    let cases = [
        (String::new(), Parts),
        ("t\n".to_owned(), Parts),
        (format!("t\n{line}"), Parts),
        ("t\n\n".to_owned(), Signatures(0)),
        (format!("t\r\n\n{line}"), Characters),
        (format!("t\0\n\n{line}"), Characters),
        (format!("t\n\n{}", line.trim_end()), Signatures(0)),
        (format!("t\n\n{line}{}", line.trim_end()), SignatureLine(2)),
        (format!("t\n\n{line}x\n"), SignatureLine(2)),
        (format!("t\n\n{}", line.replace('\u{2014}', "-")), SignatureLine(1)),
        (format!("t\n\n{}", line.replace(" a ", "  ")), SignatureLine(1)),
        (format!("t\n\n{}", line.replace(" a ", " a+b ")), SignatureLine(1)),
        (format!("t\n\n{}", line.replace("AAAAAAA=", "AAAAAA==")), SignatureLine(1)),
        (format!("t\n\n{}", line.replace("AAAAAAA=", "AAAAAAA")), SignatureLine(1)),
        (format!("t\n\n{}", line.replace("AAAAAAA=", "AAAAAAB=")), SignatureLine(1)),
    ];
    for (text, why) in cases {
        assert_eq!(Note::parse(text.as_bytes()), Err(why), "{text:?}");
    }
    assert_eq!(Note::parse(b"t\xff\n\n"), Err(Characters));
    assert_eq!(Note::unsigned("t"), Err(Parts));
    assert_eq!(Note::unsigned("t\t\n"), Err(Characters));
}

#[test]
fn text_ends_at_the_last_empty_line() {
    let text = "one\n\ntwo\n\n";
    let mut note = Note::unsigned(text).unwrap();
    note.add(log_key().sign(text, 0));
    let again = Note::parse(note.to_text().as_bytes()).unwrap();
    assert_eq!(again.text(), text);
    assert_eq!(again.seen_by(log_key().verifier()), Ok(Seen::Signed));
}

#[test]
fn lines_of_strangers_are_ignored_and_wrong_ones_of_friends_refuse_the_note() {
    let text = "text\n";
    let key = log_key();
    let good = key.sign(text, 0);
    let other_name = NoteSignature { name: "other".to_owned(), ..good.clone() };
    let other_id = NoteSignature { id: [0; 4], ..good.clone() };
    let wrong = NoteSignature { bytes: vec![0; 64], ..good.clone() };
    let short = NoteSignature { bytes: good.bytes[..63].to_vec(), ..good.clone() };
    let seen = |lines: &[&NoteSignature]| {
        let mut note = Note::unsigned(text).unwrap();
        lines.iter().for_each(|line| note.add((*line).clone()));
        note.seen_by(key.verifier())
    };
    assert_eq!(seen(&[&other_name, &other_id]), Ok(Seen::No));
    assert_eq!(seen(&[&other_name, &good, &other_id]), Ok(Seen::Signed));
    for bad in [&wrong, &short] {
        assert!(seen(&[bad]).is_err());
        assert!(seen(&[&good, bad]).is_err());
        assert!(seen(&[bad, &good]).is_err());
    }
}

#[test]
fn lines_of_strangers_can_be_left_out() {
    let mut checkpoint = signed(3);
    let lines = [1, 2].map(|number| cosignature(&checkpoint, number));
    lines.into_iter().for_each(|line| checkpoint.add(line));
    checkpoint.retain(&[log_key().verifier(), witness(2).verifier()]);
    let names: Vec<&str> = checkpoint.note().signatures().iter().map(|s| s.name.as_str()).collect();
    assert_eq!(names, [ORIGIN, "witness.example/w2"]);
    checkpoint.retain(&[]);
    assert_eq!(checkpoint.note().signatures(), []);
}

#[test]
fn of_two_cosignatures_by_one_witness_the_newer_time_counts() {
    let signed = signed(3);
    let (text, key) = (signed.note().text(), witness(1));
    for times in [[5, 9], [9, 5]] {
        let mut note = Note::unsigned(text).unwrap();
        times.iter().for_each(|time| note.add(key.sign(text, *time)));
        assert_eq!(note.seen_by(key.verifier()), Ok(Seen::Cosigned(9)));
    }
}

#[test]
fn a_cosignature_counts_for_its_time_text_and_key_only() {
    let signed = signed(3);
    let (text, key) = (signed.note().text(), witness(1));
    let public = key.verifier().public();
    let bytes = key.sign(text, SEEN).bytes;
    assert_eq!(cosignature::verify(&public, text, &bytes), Some(SEEN));
    assert_eq!(cosignature::verify(&witness(2).verifier().public(), text, &bytes), None);
    assert_eq!(cosignature::verify(&public, &text.replace('3', "4"), &bytes), None);
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1;
        assert_eq!(cosignature::verify(&public, text, &bad), None, "byte {at}");
    }
    assert_eq!(cosignature::verify(&public, text, &bytes[..71]), None);
    assert_eq!(cosignature::verify(&public, text, &[bytes.as_slice(), &[0]].concat()), None);
    assert_eq!(cosignature::verify(&public, text, &[]), None);
    // a log's signature over the very message is no cosignature of the checkpoint, nor the reverse
    assert!(Checkpoint::parse(&format!("cosignature/v1\ntime 5\n{text}")).is_err());
}

#[test]
fn times_of_cosignatures_end_at_two_to_the_63() {
    let text = "text\n";
    let key = andon_trust::sign::SigningKey::from_seed([3; 32]);
    let cosign = |time: u64| {
        let signature = key.sign(&cosignature::message(time, text));
        let bytes = [time.to_be_bytes().as_slice(), &signature.0].concat();
        cosignature::verify(&key.public(), text, &bytes)
    };
    assert_eq!(cosign(LOG_NUMBER_MAX), Some(LOG_NUMBER_MAX));
    assert_eq!(cosign(LOG_NUMBER_MAX + 1), None);
    let clamped = witness(1).sign(text, u64::MAX).bytes;
    let public = witness(1).verifier().public();
    assert_eq!(cosignature::verify(&public, text, &clamped), Some(LOG_NUMBER_MAX));
}

#[test]
fn what_is_no_checkpoint_is_refused_each_for_its_reason() {
    use CheckpointError::{Extension, Origin, Root, Size};
    let root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
    let good = format!("o\n1\n{root}\n");
    assert_eq!(Checkpoint::parse(&good).unwrap().to_text(), good);
    let more = format!("{good}one\ntwo\n");
    assert_eq!(Checkpoint::parse(&more).unwrap().extensions, ["one", "two"]);
    assert_eq!(Checkpoint::parse(&more).unwrap().to_text(), more);
    let cases = [
        (format!("\n1\n{root}\n"), Origin),
        (format!("{}\n1\n{root}\n", "x".repeat(256)), Origin),
        ("o\n".to_owned(), Size),
        (format!("o\n01\n{root}\n"), Size),
        (format!("o\n-1\n{root}\n"), Size),
        (format!("o\n9223372036854775808\n{root}\n"), Size),
        ("o\n1\n".to_owned(), Root),
        (format!("o\n1\n{}\n", &root[1..]), Root),
        (format!("o\n1\n {root}\n"), Root),
        (format!("{good}\n"), Extension),
        (format!("{good}one\n\ntwo\n"), Extension),
    ];
    for (text, why) in cases {
        assert_eq!(Checkpoint::parse(&text), Err(why), "{text:?}");
    }
    // a line break in an origin would be another checkpoint
    let broken = Checkpoint { origin: "a\n7".to_owned(), ..checkpoint(1) };
    assert!(log_key().seal(&broken, 0).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn notes_read_back_whatever_their_text(
        text in "([\\PC\n]{0,80})\n", seeds in prop::collection::vec(any::<u8>(), 1..5)
    ) {
        let mut note = Note::unsigned(&text).unwrap();
        for seed in &seeds {
            note.add(witness(seed % 100).sign(&text, u64::from(*seed)));
        }
        let bytes = note.to_text();
        let again = Note::parse(bytes.as_bytes()).unwrap();
        prop_assert_eq!(&again, &note);
        for seed in &seeds {
            let seen = again.seen_by(witness(seed % 100).verifier()).unwrap();
            prop_assert!(matches!(seen, Seen::Cosigned(time) if time >= u64::from(*seed)));
        }
    }

    #[test]
    fn whatever_parses_has_one_spelling(bytes in "([a-z\n]{0,9}\n\n)?(\u{2014} [a-z+]{1,2} [AQ=]{4,12}\n?){0,3}") {
        if let Ok(note) = Note::parse(bytes.as_bytes()) {
            prop_assert_eq!(note.to_text(), bytes);
        }
    }

    #[test]
    fn no_bytes_make_a_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _refused = Note::parse(&bytes);
        let _refused = SignedCheckpoint::parse(&bytes);
        let _refused = andon_trust::log::LogProof::parse(&bytes);
        let _refused = andon_trust::log::Policy::parse(&bytes);
    }
}
