//! What is fed to fuzzers: for each kind of bytes that is parsed before a signature on it is checked, a
//! function that gives them to the entry that hosts, servers and clients use, and says what must hold.
//!
//! What it is: functions of bytes, and seeds made by our own signing code. The same functions run under
//! libFuzzer (`fuzz/`, `./x fuzz`) and, over the corpus in `fuzz/corpus`, as an ordinary test. What it is
//! not: part of anything that is installed. A function panics when something does not hold that must.
#![forbid(unsafe_code)]

mod host;
mod list;
mod logs;
mod metadata;
mod objects;
mod payloads;
mod records;
pub mod seeds;
pub mod world;

pub use list::{ALL, Entry, find};

use serde::Serialize;
use std::fmt::Debug;

/// What became of an input. A corpus in which nothing is taken would test refusals only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// some entry took it
    Taken,
    /// every entry refused it
    Refused,
}

impl Fate {
    fn of<T>(taken: Option<T>) -> Fate {
        if taken.is_some() { Fate::Taken } else { Fate::Refused }
    }
    fn or(self, other: Fate) -> Fate {
        if self == Fate::Taken { self } else { other }
    }
}

/// What was read is written and read again as the same value, and the second writing is the first.
fn reads_back<T, E>(value: &T, parse: impl Fn(&[u8]) -> Result<T, E>)
where
    T: Serialize + PartialEq + Debug,
    E: Debug,
{
    let written = serde_json::to_vec(value).expect("what was read can be written");
    let again = parse(&written).expect("what was written can be read");
    assert_eq!(again, *value, "reads back as something else");
    assert_eq!(serde_json::to_vec(&again).expect("JSON"), written, "has two spellings");
}
