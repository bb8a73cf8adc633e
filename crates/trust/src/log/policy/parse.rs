//! The text of a log policy (C2SP tlog-policy, "Policy file syntax and structure"): octets, one thing
//! a line; names are opaque. Every error names its line. It decides nothing.
use super::{Group, Member, Party, Policy};
use crate::log::key::{KeyKind, VerifierKey, VerifierKeyError};
use andon_model::limits::{LOG_POLICY_BYTES_MAX, LOG_POLICY_ENTRIES_MAX};
use std::collections::{BTreeMap, BTreeSet};

/// The name that stands for no quorum.
const NONE: &[u8] = b"none";

/// Why a text is no policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// larger than allowed
    #[error("log policy has {0} bytes, at most {LOG_POLICY_BYTES_MAX} are allowed")]
    TooLarge(usize),
    /// one line is wrong
    #[error("line {line} of the log policy")]
    Line {
        /// counted from 1
        line: usize,
        /// what is wrong
        source: PolicyFault,
    },
    /// nothing says who must cosign
    #[error("log policy has no quorum line; without witnesses it must say: quorum none")]
    NoQuorum,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFault {
    /// an octet below space, or DEL
    #[error("has a control character")]
    Character,
    /// the file was cut off
    #[error("does not end in a newline")]
    Unterminated,
    /// another first word
    #[error("is none of log, witness, group, quorum")]
    Keyword,
    /// too few or too many words
    #[error("has {got} words, the form is: {form}")]
    Words {
        /// how many there are
        got: usize,
        /// what there should be
        form: &'static str,
    },
    /// the key
    #[error("has a verifier key that cannot be read")]
    Key(#[source] VerifierKeyError),
    /// a witness's key for a log, or the reverse
    #[error("has a key of the wrong signature type: logs have 0x01, witnesses 0x04")]
    KeyKind,
    /// the same key twice, whatever its name
    #[error("has the key of an earlier line")]
    DuplicateKey,
    /// a name is taken, or is `none`
    #[error("defines the name {0:?}, which is taken")]
    NameTaken(String),
    /// not defined above
    #[error("names {0:?}, which no line above defines")]
    NameUnknown(String),
    /// a name is a member of two groups, or twice of one
    #[error("lists {0:?}, which is already a member of a group")]
    MemberTwice(String),
    /// not 1 to the number of members
    #[error("has a threshold that is not all, any, or 1 to {members}")]
    Threshold {
        /// how many there are
        members: usize,
    },
    /// a second quorum line
    #[error("is a second quorum line")]
    SecondQuorum,
    /// too many of one kind
    #[error("is one more than {LOG_POLICY_ENTRIES_MAX} logs, witnesses or groups")]
    TooMany,
}

impl Policy {
    /// Reads a policy.
    /// # Errors
    /// [`PolicyError`].
    pub fn parse(bytes: &[u8]) -> Result<Policy, PolicyError> {
        if bytes.len() > LOG_POLICY_BYTES_MAX {
            return Err(PolicyError::TooLarge(bytes.len()));
        }
        let mut draft = Draft::default();
        for (at, line) in bytes.split_inclusive(|b| *b == b'\n').enumerate() {
            let read = draft.line(line);
            read.map_err(|source| PolicyError::Line { line: at + 1, source })?;
        }
        let Draft { logs, witnesses, groups, quorum, .. } = draft;
        let quorum = quorum.ok_or(PolicyError::NoQuorum)?;
        Ok(Policy { logs, witnesses, groups, quorum })
    }
}

/// What the lines so far have said.
#[derive(Default)]
struct Draft {
    logs: Vec<Party>,
    witnesses: Vec<Party>,
    groups: Vec<Group>,
    /// outer `None`: no such line yet
    quorum: Option<Option<Member>>,
    names: BTreeMap<Vec<u8>, Member>,
    /// names that are a member of some group: each may contribute in one way only
    taken: BTreeSet<Vec<u8>>,
}

impl Draft {
    fn line(&mut self, line: &[u8]) -> Result<(), PolicyFault> {
        let line = line.strip_suffix(b"\n").ok_or(PolicyFault::Unterminated)?;
        if line.iter().any(|b| (*b < 0x20 && *b != b'\t') || *b == 0x7f) {
            return Err(PolicyFault::Character);
        }
        let words: Vec<&[u8]> =
            line.split(|b| b" \t".contains(b)).filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with(b"#") => Ok(()),
            [b"log", rest @ ..] => self.log(rest),
            [b"witness", rest @ ..] => self.witness(rest),
            [b"group", rest @ ..] => self.group(rest),
            [b"quorum", rest @ ..] => self.quorum(rest),
            _ => Err(PolicyFault::Keyword),
        }
    }

    fn log(&mut self, words: &[&[u8]]) -> Result<(), PolicyFault> {
        let party = match words {
            [key] => party(key, None, KeyKind::Log)?,
            [key, url] => party(key, Some(url), KeyKind::Log)?,
            _ => return Err(words_fault(words, "log VKEY [URL]")),
        };
        add(&mut self.logs, party)
    }

    fn witness(&mut self, words: &[&[u8]]) -> Result<(), PolicyFault> {
        let (name, party) = match words {
            [name, key] => (name, party(key, None, KeyKind::Witness)?),
            [name, key, url] => (name, party(key, Some(url), KeyKind::Witness)?),
            _ => return Err(words_fault(words, "witness NAME VKEY [URL]")),
        };
        self.define(name, Member::Witness(self.witnesses.len()))?;
        add(&mut self.witnesses, party)
    }

    fn group(&mut self, words: &[&[u8]]) -> Result<(), PolicyFault> {
        let [name, threshold, names @ ..] = words else {
            return Err(words_fault(words, "group NAME all|any|NUMBER NAME..."));
        };
        if names.is_empty() {
            return Err(words_fault(words, "group NAME all|any|NUMBER NAME..."));
        }
        if self.groups.len() == LOG_POLICY_ENTRIES_MAX {
            return Err(PolicyFault::TooMany);
        }
        let threshold =
            count(threshold, names.len()).ok_or(PolicyFault::Threshold { members: names.len() })?;
        let mut members = Vec::new();
        for member in names {
            members.push(self.known(member)?);
            if !self.taken.insert(member.to_vec()) {
                return Err(PolicyFault::MemberTwice(shown(member)));
            }
        }
        self.define(name, Member::Group(self.groups.len()))?;
        self.groups.push(Group { threshold, members });
        Ok(())
    }

    fn quorum(&mut self, words: &[&[u8]]) -> Result<(), PolicyFault> {
        let [name] = words else {
            return Err(words_fault(words, "quorum NAME"));
        };
        if self.quorum.is_some() {
            return Err(PolicyFault::SecondQuorum);
        }
        self.quorum = Some(if *name == NONE { None } else { Some(self.known(name)?) });
        Ok(())
    }

    fn define(&mut self, name: &[u8], member: Member) -> Result<(), PolicyFault> {
        if name == NONE || self.names.contains_key(name) {
            return Err(PolicyFault::NameTaken(shown(name)));
        }
        self.names.insert(name.to_vec(), member);
        Ok(())
    }

    fn known(&self, name: &[u8]) -> Result<Member, PolicyFault> {
        self.names.get(name).copied().ok_or_else(|| PolicyFault::NameUnknown(shown(name)))
    }
}

fn party(key: &[u8], url: Option<&&[u8]>, kind: KeyKind) -> Result<Party, PolicyFault> {
    let key = std::str::from_utf8(key).map_err(|_| PolicyFault::Key(VerifierKeyError::Form))?;
    let key: VerifierKey = key.parse().map_err(PolicyFault::Key)?;
    if key.kind() != kind {
        return Err(PolicyFault::KeyKind);
    }
    Ok(Party { key, url: url.map(|url| url.to_vec()) })
}

fn add(parties: &mut Vec<Party>, party: Party) -> Result<(), PolicyFault> {
    if parties.iter().any(|other| other.key.public() == party.key.public()) {
        return Err(PolicyFault::DuplicateKey);
    }
    if parties.len() == LOG_POLICY_ENTRIES_MAX {
        return Err(PolicyFault::TooMany);
    }
    parties.push(party);
    Ok(())
}

/// How many of `members`: `all`, `any`, or a decimal number without leading zeroes.
fn count(word: &[u8], members: usize) -> Option<usize> {
    match word {
        b"all" => Some(members),
        b"any" => Some(1),
        [b'1'..=b'9', ..] => {
            let digits = word.iter().all(u8::is_ascii_digit);
            let number = digits.then_some(word).and_then(|word| std::str::from_utf8(word).ok());
            number?.parse().ok().filter(|number| *number <= members)
        }
        _ => None,
    }
}

fn words_fault(words: &[&[u8]], form: &'static str) -> PolicyFault {
    PolicyFault::Words { got: words.len() + 1, form }
}

fn shown(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}
