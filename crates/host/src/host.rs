//! A host: all components and services together.
use crate::command::Command;
use crate::input::Input;
use andon_model::beat::{Beat, Presence};
use andon_model::id::{ComponentId, HostId};
use andon_model::time::Time;

/// A service that comes with the host's own packages: watched, not updated by us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Builtin {
    /// its name: contents name it as their consumer
    pub component: ComponentId,
    /// program and arguments
    pub exec: Vec<String>,
}

/// What a host is told once.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// its id, once it has one
    pub host: Option<HostId>,
    /// counts up with every start, stored by the caller: keeps beat and charge numbers rising
    pub boot: u32,
    /// services that are not components
    pub builtin: Vec<Builtin>,
}

/// The core. One per host.
#[derive(Debug)]
pub struct Host {
    config: HostConfig,
}

impl Host {
    /// A host that has not booted yet.
    #[must_use]
    pub fn new(config: HostConfig) -> Host {
        Host { config }
    }
    /// Takes one input and says what to do. Total: never fails, whatever the input.
    pub fn apply(&mut self, _now: Time, _input: Input) -> Vec<Command> {
        Vec::new()
    }
    /// When to apply `Tick` at the latest.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        None
    }
    /// The next beat, to be signed and sent; `None` before enrolment.
    pub fn beat(&mut self, _now: Time, _presence: Presence) -> Option<Beat> {
        let _ = self.config.host?;
        None
    }
}
