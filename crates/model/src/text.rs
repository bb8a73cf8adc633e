//! Bounded free text: a reason, a cause. Control characters are refused, so that a host cannot
//! write escape sequences to an operator's terminal.
use crate::limits::TEXT_LENGTH_MAX;
use serde::{Deserialize, Serialize};

/// At most [`TEXT_LENGTH_MAX`] bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Text(String);

/// Why a text was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// longer than the limit
    #[error("text has {0} bytes, at most {TEXT_LENGTH_MAX} are allowed")]
    TooLong(usize),
    /// a control character
    #[error("text has a control character at byte {0}")]
    Control(usize),
}

impl Text {
    /// Cuts and cleans instead of refusing: for texts made on this machine.
    #[must_use]
    pub fn clipped(text: &str) -> Text {
        let mut out = String::new();
        for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
            if out.len() + c.len_utf8() > TEXT_LENGTH_MAX {
                break;
            }
            out.push(c);
        }
        Text(out)
    }
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Text {
    type Error = TextError;
    fn try_from(text: String) -> Result<Text, TextError> {
        if text.len() > TEXT_LENGTH_MAX {
            return Err(TextError::TooLong(text.len()));
        }
        match text.char_indices().find(|(_, c)| c.is_control()) {
            Some((at, _)) => Err(TextError::Control(at)),
            None => Ok(Text(text)),
        }
    }
}

impl From<Text> for String {
    fn from(text: Text) -> String {
        text.0
    }
}

impl std::fmt::Display for Text {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
