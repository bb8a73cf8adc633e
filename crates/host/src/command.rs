//! What the shell around the host core has to do: imperative, one closed enum, executed in order.
use crate::input::HookKind;
use crate::machine::Slot;
use andon_model::digest::Digest;
use andon_model::host_journal::Fact;
use andon_model::id::ComponentId;
use andon_model::release::{Hook, Manifest, Probe};
use std::sync::Arc;

/// Content as a service gets to see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentInUse {
    /// which content
    pub component: ComponentId,
    /// its active slot
    pub slot: Slot,
    /// the release in it
    pub release: Digest,
}

/// How to stop a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopHow {
    /// SIGTERM, then SIGKILL after a bounded time
    Gently,
    /// SIGKILL: it hangs
    AtOnce,
}

/// A service and everything needed to run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// which service
    pub component: ComponentId,
    /// its slot and release; `None` for a service that came with the host's own packages
    pub program: Option<(Slot, Digest)>,
    /// program and arguments with `{slot}`, `{content:NAME}` and `{state}` still in them
    pub exec: Vec<String>,
    /// the content it consumes
    pub contents: Vec<ContentInUse>,
}

/// What to do. A batch is executed in order. When `WriteRecord` fails, the rest of the batch is
/// dropped (journal entries excepted) and [`crate::Input::RecordFailed`] is applied: nothing risky
/// happens that the next boot would not know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Get a release's files; answered by `Fetched` or `FetchFailed`.
    Fetch {
        /// digest of the manifest
        release: Digest,
        /// what it is made of
        manifest: Arc<Manifest>,
    },
    /// Check every digest again and write the files into the slot, durably; answered by `Staged` or
    /// `StageFailed`.
    Stage {
        /// which component
        component: ComponentId,
        /// into which slot
        slot: Slot,
        /// digest of the manifest
        release: Digest,
        /// what it is made of
        manifest: Arc<Manifest>,
    },
    /// Overwrite the older copy in the component's record file, durably ([`crate::storage::write`]).
    WriteRecord {
        /// whose
        component: ComponentId,
        /// counts up; [`crate::Input::RecordFailed`] names it
        sequence: u64,
        /// one copy
        bytes: Box<[u8; crate::record::COPY_BYTES]>,
    },
    /// Let the component's `current` name this slot from now on, atomically.
    SwitchCurrent {
        /// whose
        component: ComponentId,
        /// to which
        slot: Slot,
    },
    /// Start; answered by `ServiceReady`, `ServiceExited` or `StartFailed`.
    StartService(Launch),
    /// Tell a running service to read its content again; answered by `ServiceReady` or an exit.
    ReloadService(Launch),
    /// Stop; answered by `ServiceExited`.
    StopService {
        /// which
        component: ComponentId,
        /// how
        how: StopHow,
    },
    /// Run a hook on a slot; answered by `HookEnded` within its timeout.
    RunHook {
        /// whose
        component: ComponentId,
        /// on which slot
        slot: Slot,
        /// which
        hook: HookKind,
        /// the command line
        command: Hook,
    },
    /// Ask a probe; answered by `ProbeAnswered` within its timeout.
    RunProbe {
        /// which
        probe: Probe,
    },
    /// Append to the host's journal.
    Journal(Fact),
}
