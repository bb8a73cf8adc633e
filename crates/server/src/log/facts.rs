//! What of the journal is public: the entries that a record stands for. Not in which order or when they
//! are logged.
use crate::record::{Record, ReleaseFacts};
use andon_model::Digest;
use andon_model::directive::Directive;
use andon_model::log_entry::LogEntry;
use andon_model::policy::Policy;
use andon_model::stop::Freeze;
use andon_model::waiver::Waiver;

/// Entries that the line's log must hold once this record is in the journal.
#[must_use]
pub fn entries(record: &Record) -> Vec<LogEntry> {
    match record {
        Record::RolePublished { releases, .. } => {
            releases.iter().map(ReleaseFacts::log_entry).collect()
        }
        Record::PolicyAccepted { envelope } => {
            let policy = Policy::parse(&envelope.payload).ok();
            let entry = policy.map(|policy| LogEntry::Policy {
                line: policy.line,
                version: policy.version,
                policy: Digest::of(&envelope.payload),
            });
            entry.into_iter().collect()
        }
        Record::FreezeAccepted { stop, envelope, .. } => {
            let freeze = Freeze::parse(&envelope.payload).ok();
            let entry = freeze.map(|freeze| LogEntry::Stop {
                stop: *stop,
                by: freeze.by,
                of: freeze.scope.into(),
            });
            entry.into_iter().collect()
        }
        Record::DirectiveAccepted { envelope } => {
            let stop = Digest::of(&envelope.to_bytes());
            let directive = Directive::parse(&envelope.payload).ok();
            let entry =
                directive.map(|said| LogEntry::Stop { stop, by: said.by, of: said.demand.into() });
            entry.into_iter().collect()
        }
        Record::WaiverAccepted { release, envelope } => {
            let waiver = Waiver::parse(&envelope.payload).ok();
            let entry = waiver.map(|waiver| LogEntry::Waiver {
                line: waiver.line,
                release: *release,
                waiver: Digest::of(&envelope.payload),
            });
            entry.into_iter().collect()
        }
        _ => Vec::new(),
    }
}
