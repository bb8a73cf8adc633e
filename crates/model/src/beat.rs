//! What a host says of itself. Its absence is evidence too.
use crate::digest::Digest;
use crate::facts::{FactName, Facts};
use crate::id::{ComponentId, HostId};
use crate::limits::{
    ALERTS_PER_BEAT_MAX, BEAT_BYTES_MAX, CHARGES_PER_BEAT_MAX, COMPONENTS_MAX,
    FREEZES_PER_BEAT_MAX, PROBES_MAX,
};
use crate::release::Version;
use crate::text::Text;
use crate::time::{Millis, Time};
use serde::{Deserialize, Serialize};

/// Whether the host will be heard of again soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Presence {
    /// next beat follows in time
    Alive,
    /// planned quiet: for so long its absence is no silence
    Goodbye {
        /// how long it expects to be away
        back_within: Millis,
    },
    /// planned quiet, and a promise: the host restarts and will be back. One that does not come back is
    /// compared with other restarts, not with hosts that never left.
    Restart {
        /// how long the restart may take
        back_within: Millis,
    },
}

impl Presence {
    /// How long the host is away by its own word; `None`: it is here.
    #[must_use]
    pub const fn away_for(self) -> Option<Millis> {
        match self {
            Presence::Alive => None,
            Presence::Goodbye { back_within } | Presence::Restart { back_within } => {
                Some(back_within)
            }
        }
    }
}

/// What state a component is in on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComponentState {
    /// nothing installed
    Empty,
    /// the new version runs and soaks
    Probation,
    /// it soaked well
    Confirmed,
    /// the host went back to the other slot by itself
    FellBack,
    /// both slots bad: the component is off, the host is up
    SafeMode,
    /// staged and validated only (mode observe)
    Observed,
    /// switched off by a threshold of the operator's people (PARK)
    Parked,
}

/// One component as it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComponentStatus {
    /// which
    pub component: ComponentId,
    /// active version, if any
    pub version: Option<Version>,
    /// digest of its manifest
    pub release: Option<Digest>,
    /// its state
    pub state: ComponentState,
}

/// How sure the host is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// seen: exit by signal, named by pstore, watchdog
    Strong,
    /// inferred: a boot that ended unexplained while loading
    Weak,
}

/// The host charges a release with a crash or hang.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charge {
    /// counts up per host over all charges; the server acknowledges by number
    pub number: u64,
    /// component charged
    pub component: ComponentId,
    /// version charged
    pub version: Version,
    /// its manifest's digest
    pub release: Digest,
    /// how sure
    pub strength: Strength,
    /// what was seen, e.g. `signal 11`
    pub cause: Text,
    /// when
    pub at: Time,
}

/// One probe's latest answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbeResult {
    /// which
    pub name: ComponentId,
    /// well or not
    pub well: bool,
}

/// One detection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alert {
    /// when the event happened
    pub at: Time,
    /// the rule's title
    pub rule: Text,
    /// the rule's id
    #[serde(default)]
    pub rule_id: Text,
    /// how bad, in Sigma's words
    pub level: Text,
    /// command line, cut
    pub command_line: Text,
    /// process id
    pub pid: u32,
}

/// Where the sensor gets its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SensorSource {
    /// eBPF programs
    Ebpf,
    /// the kernel's process event connector (fallback)
    ProcConnector,
}

/// The sensor's own health: drops are evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SensorStatus {
    /// where events come from
    pub source: SensorSource,
    /// events seen since its start
    pub events: u64,
    /// events lost since its start
    pub drops: u64,
    /// rules loaded
    pub rules: u32,
    /// when it last saw a canary program that it started itself; absent: it does not see now
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary_seen: Option<Time>,
    /// digest of the program that runs, by its own word
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<FactName>,
}

impl SensorSource {
    /// The rung of capabilities that it is.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            SensorSource::Ebpf => "ebpf",
            SensorSource::ProcConnector => "proc_connector",
        }
    }
}

/// A signed message of life and state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beat {
    /// format of this object; 1
    pub schema: u32,
    /// who
    pub host: HostId,
    /// counts up over the host's life: replays are refused
    pub sequence: u64,
    /// the host's clock
    pub at: Time,
    /// alive or leaving
    pub presence: Presence,
    /// components, sorted by name
    pub components: Vec<ComponentStatus>,
    /// charges not yet acknowledged
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charges: Vec<Charge>,
    /// probes' answers
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<ProbeResult>,
    /// newest alerts
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alerts: Vec<Alert>,
    /// alerts that did not fit
    #[serde(default)]
    pub alerts_left_out: u64,
    /// the sensor, where there is one
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sensor: Option<SensorStatus>,
    /// what it runs, when that is news to the server
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Facts>,
    /// freezes and directives in force on this host, by digest of their payload
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub freezes: Vec<Digest>,
}

/// The server's answer to a beat that it has taken (and, where it said something new, stored).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BeatAnswer {
    /// every charge up to this number is stored
    pub charges_stored: u64,
    /// version of the line's index: fetch it if it is newer than yours
    pub index_version: u64,
}

/// Why a beat's own text was refused.
#[derive(Debug, thiserror::Error)]
pub enum BeatError {
    /// larger than allowed
    #[error("beat has {0} bytes, at most {BEAT_BYTES_MAX} are allowed")]
    TooLarge(usize),
    /// not the JSON we expect
    #[error("parse beat")]
    Parse(#[source] serde_json::Error),
    /// a field outside its range
    #[error("beat field {0} {1}")]
    Field(&'static str, &'static str),
}

impl Beat {
    /// Reads a beat payload.
    /// # Errors
    /// [`BeatError`].
    pub fn parse(bytes: &[u8]) -> Result<Beat, BeatError> {
        if bytes.len() > BEAT_BYTES_MAX {
            return Err(BeatError::TooLarge(bytes.len()));
        }
        let beat: Beat = serde_json::from_slice(bytes).map_err(BeatError::Parse)?;
        let lists = [
            ("components", beat.components.len(), COMPONENTS_MAX),
            ("charges", beat.charges.len(), CHARGES_PER_BEAT_MAX),
            ("probes", beat.probes.len(), PROBES_MAX * 2),
            ("alerts", beat.alerts.len(), ALERTS_PER_BEAT_MAX),
            ("freezes", beat.freezes.len(), FREEZES_PER_BEAT_MAX),
        ];
        if beat.schema != 1 {
            return Err(BeatError::Field("schema", "is not 1"));
        }
        match lists.into_iter().find(|(_, count, max)| count > max) {
            Some((field, _, _)) => Err(BeatError::Field(field, "is too long")),
            None => Ok(beat),
        }
    }
}
