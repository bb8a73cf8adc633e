//! A host's own journal: JSON lines, one fact each, from which a stranger can recount every report.
use crate::digest::Digest;
use crate::id::{ComponentId, HostId, RolloutId};
use crate::release::Version;
use crate::text::Text;
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// when, by the host's clock
    pub at: Time,
    /// who; absent before enrolment
    pub host: Option<HostId>,
    /// what
    #[serde(flatten)]
    pub fact: Fact,
}

/// Which release of which component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Which {
    /// component
    pub component: ComponentId,
    /// version
    pub version: Version,
    /// manifest's digest
    pub release: Digest,
}

/// What happened, past tense.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "snake_case")]
pub enum Fact {
    /// got its id
    Enrolled,
    /// came up; `boot` counts
    Booted {
        /// which boot
        boot: u32,
    },
    /// a ticket that covers this host was accepted
    TicketAccepted {
        /// which rollout
        rollout: RolloutId,
        /// its generation
        generation: u32,
        /// for which release
        which: Which,
    },
    /// something was refused; the host stays as it was
    Refused {
        /// what: a path, an object
        what: Text,
        /// why
        why: Text,
    },
    /// verified and put into the inactive slot
    Staged {
        /// which
        which: Which,
    },
    /// became the active slot
    Activated {
        /// which
        which: Which,
    },
    /// its process says it is ready
    Ready {
        /// which
        which: Which,
    },
    /// its process ended; exactly one of `signal` and `code` is there
    Exited {
        /// the release charged: newest change among the process and its content
        which: Which,
        /// ended by this signal
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signal: Option<i32>,
        /// ended with this status
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<i32>,
    },
    /// its process lives but says nothing
    Hung {
        /// which
        which: Which,
    },
    /// charged with a crash
    Charged {
        /// which
        which: Which,
        /// what was seen
        cause: Text,
    },
    /// the host went back by itself
    FellBack {
        /// from which
        from: Which,
        /// to which
        to: Which,
    },
    /// soaked well
    Confirmed {
        /// which
        which: Which,
    },
    /// both slots bad
    SafeMode {
        /// which
        which: Which,
    },
    /// a hook of a `files` release ran
    Hook {
        /// which release
        which: Which,
        /// validate, reload, health
        hook: Text,
        /// exit status 0
        well: bool,
    },
    /// a probe changed its answer
    Probe {
        /// which probe
        name: ComponentId,
        /// well or not
        well: bool,
    },
    /// a freeze in force was seen
    FreezeSeen {
        /// digest of its payload
        freeze: Digest,
    },
    /// a directive in force was seen
    DirectiveSeen {
        /// digest of its payload
        directive: Digest,
    },
    /// switched off, as a PARK asks; the host stays up
    Parked {
        /// which
        which: Which,
    },
    /// a PARK has ended or was lifted: it starts again
    Unparked {
        /// which
        which: Which,
    },
    /// no older version is installed or fallen back to from now on
    MinimumRaised {
        /// of which component
        component: ComponentId,
        /// the oldest from now on
        version: Version,
    },
    /// the whole host died (fleet runner: no report; `back` says when it returns)
    Died {
        /// when it will be back
        back: Time,
    },
    /// a person had to help; never written by software that helped itself
    Hands {
        /// what was done
        what: Text,
    },
    /// a detection
    Alert {
        /// the rule
        rule: Text,
        /// the command line
        command_line: Text,
    },
    /// said goodbye
    Goodbye,
}
