//! One state of everything: store, leaders, what was published, edges, hosts. It does not move.
use crate::journal::Journal;
use std::sync::Arc;

/// See the module's documentation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// what is durable
    pub journal: Arc<Journal>,
    /// the newest token given out with a lease
    pub token: u8,
    /// both leaders
    pub leaders: [Leader; 2],
    /// crashes of leaders so far
    pub crashes: u8,
    /// every ticket ever signed; once published, it may reach anybody at any later time
    pub tickets: Vec<Signed>,
    /// a freeze was published
    pub frozen: bool,
    /// what each edge holds
    pub edges: Vec<Heard>,
    /// each played host
    pub hosts: Vec<Host>,
    /// whether leaders still act
    pub open: bool,
    /// what happened that must not be forgotten
    pub past: Past,
}

/// One leader. It crashes, comes back, and may think that it leads after it does not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Leader {
    /// its latest token; 0: it never led
    pub token: u8,
    /// what it knows, while it thinks that it leads
    pub view: Option<Arc<Journal>>,
}

/// One signed ticket, with what must have been true when it was signed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Signed {
    /// its generation
    pub generation: u32,
    /// hosts covered
    pub handed: u32,
    /// distinct people who had approved
    pub people: usize,
    /// within what the signed budget allows, by a rule of its own
    pub within_budget: bool,
    /// a halt had been decided before
    pub after_halt: bool,
}

/// What an edge or host has heard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Heard {
    /// number of the ticket it holds, from 1; 0: none
    pub ticket: u8,
    /// a freeze
    pub frozen: bool,
}

/// One host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Host {
    /// what it has heard
    pub heard: Heard,
    /// it runs the release
    pub active: bool,
}

/// Flags that only ever rise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Past {
    /// some leader decided a halt
    pub halted: bool,
    /// the store refused an old token
    pub refused: bool,
    /// the store took a record under an old token
    pub stale_written: bool,
    /// a host activated although it had seen a freeze
    pub activated_frozen: bool,
    /// a host activated beyond its ticket's ceiling
    pub activated_beyond: bool,
    /// a host took an older ticket for a newer one
    pub went_back: bool,
}
