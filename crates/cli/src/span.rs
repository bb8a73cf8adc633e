//! Durations as people write them: `500ms`, `3s`, `10m`, `24h`, `90d`.
use andon_model::Millis;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A duration with a unit; on the wire of a configuration file a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Span(pub(crate) Millis);

/// Why a text is no duration.
#[derive(Debug, thiserror::Error)]
#[error("duration {0:?} is not a whole number with ms, s, m, h or d, for example 10m")]
pub(crate) struct SpanError(String);

const UNITS: [(&str, u64); 5] =
    [("ms", 1), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)];

impl FromStr for Span {
    type Err = SpanError;
    fn from_str(text: &str) -> Result<Span, SpanError> {
        let wrong = || SpanError(text.chars().take(40).collect());
        let text = text.trim();
        let (digits, factor) = UNITS
            .iter()
            .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))
            .ok_or_else(wrong)?;
        let number: u64 = digits.trim().parse().map_err(|_| wrong())?;
        number.checked_mul(factor).map(|ms| Span(Millis(ms))).ok_or_else(wrong)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = self.0.0;
        let fits = |factor: &u64| ms != 0 && ms.is_multiple_of(*factor);
        let largest = UNITS.iter().filter(|(_, factor)| fits(factor)).max_by_key(|(_, f)| *f);
        let (unit, factor) = largest.copied().unwrap_or(("s", 1000));
        write!(f, "{}{unit}", ms / factor)
    }
}
impl TryFrom<String> for Span {
    type Error = SpanError;
    fn try_from(text: String) -> Result<Span, SpanError> {
        text.parse()
    }
}
impl From<Span> for String {
    fn from(span: Span) -> String {
        span.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_back_as_written() {
        for (text, ms) in
            [("500ms", 500), ("3s", 3000), ("10m", 600_000), ("24h", 86_400_000), ("0s", 0)]
        {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.0, Millis(ms), "{text}");
            assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
        }
        assert_eq!(Span(Millis(90_000)).to_string(), "90s");
        for bad in ["", "3", "s", "-1s", "1.5s", "3 weeks", "99999999999999999999d"] {
            assert!(bad.parse::<Span>().is_err(), "{bad:?} was accepted");
        }
    }
}
