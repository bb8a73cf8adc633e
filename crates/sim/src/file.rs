//! Reads our TOML files and says where one is wrong: file, line, field, what to do. What the fields
//! mean is for [`crate::scenario_file`] and [`crate::policy`].
use serde::de::DeserializeOwned;
use std::fmt::Display;
use toml::de::{DeTable, DeValue};

/// Largest scenario or policy file, bytes: the longest of ours has three KiB.
pub const FILE_BYTES_MAX: usize = 256 * 1024;

/// Why a file was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read {kind} {file}, line {line}, field {field}: {problem}")]
pub struct FileError {
    /// what it should have been: scenario or policy
    pub kind: &'static str,
    /// name or path, as it was asked for
    pub file: String,
    /// counted from 1
    pub line: usize,
    /// path of the field, as in `fault.rate` or `outages[1].share`
    pub field: String,
    /// what is wrong with it, and what it may be
    pub problem: String,
}

/// Where a text came from, for messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin<'a> {
    pub(crate) kind: &'static str,
    pub(crate) file: &'a str,
    pub(crate) text: &'a str,
}

impl<'a> Origin<'a> {
    /// The text as a value; its ranges are not checked yet.
    pub(crate) fn parse<T: DeserializeOwned>(self) -> Result<T, FileError> {
        if self.text.len() > FILE_BYTES_MAX {
            return Err(self.wrong(1, "-", format!("is longer than {FILE_BYTES_MAX} bytes")));
        }
        toml::from_str(self.text).map_err(|error: toml::de::Error| {
            let message = error.message().to_owned();
            let at = error.span().map_or(0, |span| span.start);
            // A missing field has no place of its own: the message names it in backticks.
            let named = message.split('`').nth(1).unwrap_or_default();
            let missing = message.starts_with("missing field");
            let field = if missing { named.to_owned() } else { self.field_at(at, named) };
            self.wrong(self.line(at), &field, message)
        })
    }

    /// Begins to check the ranges.
    pub(crate) fn check(self) -> Check<'a> {
        Check { origin: self, found: None }
    }

    fn wrong(self, line: usize, field: &str, problem: String) -> FileError {
        let (kind, file) = (self.kind, self.file.to_owned());
        // Messages of the parser may hold several lines; ours have one.
        let problem = problem.lines().collect::<Vec<_>>().join("; ");
        FileError { kind, file, line, field: field.to_owned(), problem }
    }

    fn line(self, at: usize) -> usize {
        self.text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
    }

    /// The key on the line of this byte; else the word that the message names.
    fn field_at(self, at: usize, named: &str) -> String {
        let line = self.text.lines().nth(self.line(at) - 1).unwrap_or_default();
        let key = line.split('=').next().unwrap_or_default().trim().trim_matches(['[', ']', '"']);
        let plain = |word: &str| {
            !word.is_empty() && word.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c))
        };
        let words = [key, named];
        words.into_iter().find(|word| plain(word)).unwrap_or("-").to_owned()
    }

    /// The line of a field such as `outages[1].share`; of its nearest parent if it is not there.
    fn line_of(self, path: &str) -> usize {
        let Ok(root) = DeTable::parse(self.text) else { return 1 };
        let mut at = 0;
        let mut value: Option<&DeValue<'_>> = None;
        for step in path.split(['.', '[']).map(|step| step.trim_end_matches(']')) {
            let table = match value {
                None => Some(root.get_ref()),
                Some(DeValue::Table(table)) => Some(table),
                Some(_) => None,
            };
            let next = match (table, value) {
                (Some(table), _) => table.get(step),
                (None, Some(DeValue::Array(list))) => {
                    step.parse::<usize>().ok().and_then(|number| list.get(number))
                }
                _ => None,
            };
            let Some(found) = next else { break };
            at = found.span().start;
            value = Some(found.get_ref());
        }
        self.line(at)
    }
}

/// Checks ranges and keeps the first field that is out of range.
#[derive(Debug)]
pub(crate) struct Check<'a> {
    origin: Origin<'a>,
    found: Option<FileError>,
}

impl Check<'_> {
    /// A rule about a field, with what it wants.
    pub(crate) fn rule(&mut self, holds: bool, path: &str, problem: impl Display) {
        if !holds && self.found.is_none() {
            let line = self.origin.line_of(path);
            self.found = Some(self.origin.wrong(line, path, problem.to_string()));
        }
    }
    /// A number within `low` to `high`, both allowed. Infinite ones and what is no number are outside.
    pub(crate) fn real(&mut self, path: &str, value: f64, low: f64, high: f64) {
        let holds = (low..=high).contains(&value);
        self.rule(holds, path, format_args!("is {value}; give a number from {low} to {high}"));
    }
    /// A whole number within `low` to `high`, both allowed.
    pub(crate) fn whole(&mut self, path: &str, value: u64, low: u64, high: u64) {
        let holds = (low..=high).contains(&value);
        self.rule(
            holds,
            path,
            format_args!("is {value}; give a whole number from {low} to {high}"),
        );
    }
    /// A text that is not empty, has one line and is not too long.
    pub(crate) fn text(&mut self, path: &str, value: &str, length_max: usize) {
        let holds = (1..=length_max).contains(&value.chars().count())
            && !value.chars().any(char::is_control);
        self.rule(holds, path, format_args!("give one line of 1 to {length_max} characters"));
    }
    /// A name as scenarios and policies have: lower-case letters, digits, `-` and `.`.
    pub(crate) fn name(&mut self, value: &str) {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.".contains(c);
        let max = andon_model::limits::NAME_LENGTH_MAX;
        let holds = (1..=max).contains(&value.len()) && value.chars().all(plain);
        self.rule(holds, "name", format_args!("give 1 to {max} of a to z, 0 to 9, - and ."));
    }
    /// The verdict.
    pub(crate) fn done(self) -> Result<(), FileError> {
        self.found.map_or(Ok(()), Err)
    }
}
