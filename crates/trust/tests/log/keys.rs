//! Verifier keys and private keys as text: one spelling each, and each fault by its name.
use crate::world::*;
use andon_trust::log::key::VerifierKeyError;
use andon_trust::log::{KeyKind, NoteKey, VerifierKey};
use andon_trust::sign::SigningKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

#[test]
fn keys_read_back_as_written() {
    for key in [log_key(), witness(1)] {
        let text = key.verifier().to_string();
        assert_eq!(text.parse::<VerifierKey>().unwrap(), *key.verifier());
        let secret = key.to_secret_text();
        let again: NoteKey = secret.parse().unwrap();
        assert_eq!(again.to_secret_text(), secret);
        assert_eq!(again.verifier(), key.verifier());
        let shown = format!("{key:?}");
        assert!(shown.contains(&text) && !shown.contains("PRIVATE"), "{shown}");
    }
}

#[test]
fn one_key_has_another_id_for_each_name_and_use() {
    let key = || SigningKey::from_seed([7; 32]);
    let id = |name: &str, kind| {
        *NoteKey::new(name, kind, key())
            .unwrap()
            .verifier()
            .id()
            .as_slice()
            .first_chunk::<4>()
            .unwrap()
    };
    assert_ne!(id("a", KeyKind::Log), id("a", KeyKind::Witness));
    assert_ne!(id("a", KeyKind::Log), id("b", KeyKind::Log));
}

#[test]
fn malformed_keys_are_refused_each_for_its_reason() {
    use VerifierKeyError::{Form, Id, Key, Kind, Name};
    let good = log_key().verifier().to_string();
    let (name_and_id, key) = good.rsplit_once('+').map_or(("", ""), |parts| parts);
    let with = |bytes: &[u8]| format!("{name_and_id}+{}", STANDARD.encode(bytes));
    let bytes = STANDARD.decode(key).unwrap();
    let small_order = [&[1], [0; 32].as_slice()].concat();
    let no_point = [&[1, 2], [0; 31].as_slice()].concat();
    let cases = [
        (String::new(), Form),
        (name_and_id.to_owned(), Form),
        (good.replacen(ORIGIN, "", 1), Name),
        (good.replacen(ORIGIN, "a b", 1), Name),
        (good.replacen(ORIGIN, &"x".repeat(256), 1), Name),
        (good.replacen(ORIGIN, "other", 1), Id),
        (good.replacen(ORIGIN, &"x".repeat(255), 1), Id),
        (good.to_uppercase(), Form),
        (format!("{good}="), Form),
        (with(&[]), Form),
        (with(&bytes[..32]), Key),
        (with(&[bytes.as_slice(), &[0]].concat()), Key),
        (with(&[&[2], &bytes[1..]].concat()), Kind(2)),
        (with(&[&[6], &bytes[1..]].concat()), Kind(6)),
        (with(&[&[4], &bytes[1..]].concat()), Id),
        (with(&small_order), Key),
        (with(&no_point), Key),
    ];
    for (text, why) in cases {
        assert_eq!(text.parse::<VerifierKey>(), Err(why), "{text}");
    }
    let secret = log_key().to_secret_text();
    assert_eq!(good.parse::<NoteKey>().map(|_| ()), Err(Form));
    assert_eq!(secret.replacen(ORIGIN, "other", 1).parse::<NoteKey>().map(|_| ()), Err(Id));
    assert_eq!(secret[..secret.len() - 4].parse::<NoteKey>().map(|_| ()), Err(Key));
}
