//! What the sensor sees and what an engine says of it. Engines are behind [`Detect`], so that one
//! can be replaced without touching the sensor.

/// One program start. Texts are as the kernel gave them, invalid UTF-8 replaced; empty means unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcessEvent {
    /// path of the executable
    pub image: String,
    /// arguments, joined by single spaces
    pub command_line: String,
    /// the parent's executable
    pub parent_image: String,
    /// the parent's arguments, joined by single spaces
    pub parent_command_line: String,
    /// user name, or the number where the host knows no name
    pub user: String,
    /// working directory
    pub current_directory: String,
    /// process id (thread group)
    pub pid: u32,
    /// the parent's process id
    pub parent_pid: u32,
    /// user id
    pub uid: u32,
}

/// A rule that matched.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Detection {
    /// the rule's title
    pub title: String,
    /// the rule's id; empty where it has none
    pub id: String,
    /// informational, low, medium, high or critical; `unknown` where the rule says nothing
    pub level: String,
}

/// An engine loaded with rules.
pub trait Detect {
    /// Every rule that matches, sorted by title. Never fails: a field that an event lacks is no match.
    fn detect(&self, event: &ProcessEvent) -> Vec<Detection>;
    /// What is loaded.
    fn counts(&self) -> Counts;
}

/// How much of a rule set is at work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// rules that are evaluated on program starts
    pub active: u32,
    /// rules that compile but are for event kinds that this version does not see
    pub inert: u32,
    /// files that hold no rules (a licence, a readme) and were left alone
    pub skipped_files: u32,
}
