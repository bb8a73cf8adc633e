//! Why a refresh or a search ended without what was asked for.
use andon_model::limits::{TUF_DELEGATIONS_MAX, TUF_ROOT_ROTATIONS_MAX};

/// What a transport or a disk reports.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Why metadata or a file is not believed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// transport
    #[error("fetch {0}")]
    Fetch(String, #[source] Fault),
    /// disk
    #[error("read the kept {0}")]
    Read(String, #[source] Fault),
    /// disk
    #[error("keep {0}")]
    Keep(String, #[source] Fault),
    /// the server has no such file
    #[error("{0} is not on the server")]
    Missing(String),
    /// nothing to begin with
    #[error("no trusted root is kept here; init puts one here")]
    NoRoot,
    /// the core refused it
    #[error("verify {0}")]
    Core(String, #[source] Box<sigstore_tuf::Error>),
    /// endless data
    #[error("{name} has over {limit} bytes")]
    TooLarge {
        /// which file
        name: String,
        /// most bytes taken
        limit: usize,
    },
    /// a role that nobody need sign
    #[error("role {0} has threshold 0: anybody could write it")]
    Threshold(String),
    /// one physical key under two ids would count twice
    #[error("role {0} lists one key's material under two ids")]
    AliasedKey(String),
    /// named twice by one delegator, or with two kinds of paths
    #[error("{delegator} delegates to {role} ambiguously: {why}")]
    Ambiguous {
        /// who delegates
        delegator: String,
        /// to whom
        role: String,
        /// in which way
        why: &'static str,
    },
    /// a name that a delegated role must not have
    #[error("{0:?} cannot be the name of a delegated role")]
    RoleName(String),
    /// the snapshot went back
    #[error("the snapshot takes {name} from version {trusted} to {got}")]
    Rollback {
        /// which file
        name: String,
        /// version seen before
        trusted: u64,
        /// version now, 0 when it is gone
        got: u64,
    },
    /// more roots than one refresh walks
    #[error(
        "over {TUF_ROOT_ROTATIONS_MAX} new roots; those verified are kept, another refresh goes on"
    )]
    Rotations,
    /// more roles than one search visits
    #[error("no role lists {0} among the first {TUF_DELEGATIONS_MAX} roles searched")]
    Delegations(String),
    /// nobody speaks for it
    #[error("no role lists {0}")]
    NotFound(String),
    /// listed, but not in a way that can be used
    #[error("use the entry of {0}")]
    File(String, #[source] super::FileError),
    /// a clock outside the calendar
    #[error("the time is outside what can be written as a date")]
    Clock,
}

pub(super) fn refused(what: &str, error: sigstore_tuf::Error) -> ClientError {
    ClientError::Core(what.to_owned(), Box::new(error))
}
