//! The small texts that all formats of a log share: numbers, hashes, names. Each has one spelling.
use andon_model::Digest;
use andon_model::limits::{LOG_NUMBER_MAX, NOTE_NAME_LENGTH_MAX};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// ASCII decimal without leading zeroes, at most [`LOG_NUMBER_MAX`].
pub(super) fn decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let canonical = digits && (text == "0" || !text.starts_with('0'));
    let number: u64 = canonical.then_some(text)?.parse().ok()?;
    (number <= LOG_NUMBER_MAX).then_some(number)
}

/// Base 64 (RFC 4648, section 4), padded, without stray bits.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// The same, written.
pub(super) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// A SHA-256 hash in base 64.
pub(super) fn hash(text: &str) -> Option<Digest> {
    if text.len() != 44 {
        return None;
    }
    decode(text)?.try_into().ok().map(Digest)
}

/// Whether a key may have this name (C2SP signed-note, "Format").
pub(super) fn is_key_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= NOTE_NAME_LENGTH_MAX
        && !name.chars().any(|c| c.is_whitespace() || c < ' ' || c == '+')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_spelling_and_a_limit() {
        for good in ["0", "7", "10", "9223372036854775807"] {
            assert_eq!(decimal(good).unwrap().to_string(), good);
        }
        let bad = ["", "00", "01", "+1", "-1", " 1", "1 ", "1a", "9223372036854775808", "٣"];
        for bad in bad {
            assert_eq!(decimal(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn hashes_have_one_spelling() {
        let text = encode(&[7; 32]);
        assert_eq!(hash(&text), Some(Digest([7; 32])));
        // one stray bit behind the last byte
        let stray = text.replace("c=", "d=");
        assert_ne!(text, stray);
        let short = encode(&[7; 31]);
        for bad in ["", &stray, &short, text.trim_end_matches('='), &format!("{text}\n")] {
            assert_eq!(hash(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn names_have_no_space_no_plus_and_a_limit() {
        assert!(is_key_name("example.com/log42"));
        assert!(is_key_name(&"x".repeat(NOTE_NAME_LENGTH_MAX)));
        let long = "x".repeat(NOTE_NAME_LENGTH_MAX + 1);
        for bad in ["", "a b", "a+b", "a\u{a0}b", "a\u{2003}b", "a\nb", "a\u{85}b", &long] {
            assert!(!is_key_name(bad), "{bad:?}");
        }
    }
}
