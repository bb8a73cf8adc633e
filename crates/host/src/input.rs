//! What a host learns: past tense, one closed enum. The supervisor and the fleet runner both speak it.
use crate::machine::Slot;
use crate::record::{Record, RecordError};
use andon_model::beat::{Alert, SensorStatus};
use andon_model::digest::Digest;
use andon_model::handover::{DirectiveSeen, FreezeSeen};
use andon_model::id::{ComponentId, HostId, RolloutId};
use andon_model::policy::Watch;
use andon_model::release::{Manifest, Probe};
use andon_model::time::Time;
use std::sync::Arc;

/// How a service ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// by this signal
    Signal(i32),
    /// with this status
    Code(i32),
}

/// Which hook of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HookKind {
    /// on the staged slot, before it takes effect
    Validate,
    /// after the slot has become the active one
    Reload,
    /// while soaking and after
    Health,
}

impl HookKind {
    /// Its name in journal and beat.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            HookKind::Validate => "validate",
            HookKind::Reload => "reload",
            HookKind::Health => "health",
        }
    }
}

/// What ended when the host was up last, if it was not stopped in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Previous {
    /// the whole host: another boot than the one that wrote the records
    HostEnded,
    /// only the supervisor; the host stayed up
    SupervisorEnded,
    /// the whole host, and the guard has charged whom it had to already
    Judged,
}

/// One component's record and manifests as found on disk at start.
#[derive(Clone, Debug)]
pub struct Found {
    /// which
    pub component: ComponentId,
    /// its record, or why there is none to go by
    pub record: Result<Record, RecordError>,
    /// manifests lying in its slots, each under the digest of its bytes as read
    pub manifests: Vec<(Digest, Arc<Manifest>)>,
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// The host (or its supervisor) came up. First input, apart from `FreezesSeen` and
    /// `DirectivesSeen` from disk.
    Booted {
        /// every component with a record on disk
        found: Vec<Found>,
        /// what ended before
        previous: Previous,
    },
    /// The server assigned an id.
    Enrolled {
        /// the id
        host: HostId,
    },
    /// A verified policy's facts.
    PolicySeen {
        /// how often to beat and to probe
        watch: Watch,
        /// operator's probes
        probes: Vec<Probe>,
    },
    /// A release whose ticket covers this host; repeated with every look, harmless when repeated.
    Offered {
        /// digest of the manifest
        release: Digest,
        /// which rollout
        rollout: RolloutId,
        /// generation of its ticket
        generation: u32,
        /// when that rollout first handed out
        begun: Time,
        /// the verified manifest
        manifest: Arc<Manifest>,
    },
    /// The files of a release are at hand.
    Fetched {
        /// digest of the manifest
        release: Digest,
    },
    /// They could not be fetched; the host asks again after a while.
    FetchFailed {
        /// digest of the manifest
        release: Digest,
        /// why
        why: String,
    },
    /// Every file lies in the slot, digests checked, durable.
    Staged {
        /// which component
        component: ComponentId,
        /// digest of the manifest
        release: Digest,
    },
    /// The slot could not be filled.
    StageFailed {
        /// which component
        component: ComponentId,
        /// digest of the manifest
        release: Digest,
        /// why
        why: String,
    },
    /// A record could not be written; nothing that depends on it was started.
    RecordFailed {
        /// whose
        component: ComponentId,
        /// which write; `None`: what failed came after it
        sequence: Option<u64>,
        /// why
        why: String,
    },
    /// `READY=1` after a start or a reload.
    ServiceReady {
        /// which service
        component: ComponentId,
    },
    /// Its process ended, asked or not.
    ServiceExited {
        /// which service
        component: ComponentId,
        /// how
        exit: Exit,
    },
    /// It lives but missed its watchdog.
    ServiceHung {
        /// which service
        component: ComponentId,
    },
    /// It could not be started at all (no such program, not executable …).
    StartFailed {
        /// which service
        component: ComponentId,
        /// why
        why: String,
    },
    /// A hook ended or was stopped after its timeout.
    HookEnded {
        /// which component
        component: ComponentId,
        /// the slot it ran on
        slot: Slot,
        /// which hook
        hook: HookKind,
        /// exit status 0 in time
        well: bool,
    },
    /// A probe answered.
    ProbeAnswered {
        /// which
        name: ComponentId,
        /// well or not
        well: bool,
    },
    /// The freezes in force, all of them: replaces what was known.
    FreezesSeen {
        /// verified by the child
        freezes: Vec<FreezeSeen>,
    },
    /// The directives in force, all of them: replaces what was known.
    DirectivesSeen {
        /// verified by the child
        directives: Vec<DirectiveSeen>,
    },
    /// The server has stored the last beat.
    ChargesStored {
        /// every charge up to this number
        up_to: u64,
    },
    /// The sensor detected something.
    AlertSeen {
        /// what
        alert: Box<Alert>,
    },
    /// The sensor's own health.
    SensorSeen {
        /// as it says
        status: SensorStatus,
    },
    /// Time passes.
    Tick,
    /// The host or its supervisor is asked to stop: everything is stopped in order.
    Leaving,
}
