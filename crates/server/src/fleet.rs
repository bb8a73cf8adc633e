//! Memory of beats: one row per host, in columns, lost with every restart and never in the database.
//! A host not heard since the restart counts as heard at the restart, so that a restart of ours is
//! nobody's silence.
use crate::state::{State, column};
use andon_model::beat::{Beat, Presence};
use andon_model::{HostId, Millis, Time};

/// Longest planned absence that is believed: a longer goodbye would hide a dead host from the gate.
pub const GOODBYE_MAX: Millis = Millis::from_secs(900);

/// What is remembered of one host, 40 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// when it was last heard, by the server's clock
    pub at: Time,
    /// number of its last beat
    pub sequence: u64,
    /// its last words
    pub presence: Presence,
    /// whether it was heard since the restart
    pub since_restart: bool,
}

/// The fleet's memory.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    rows: Vec<Heard>,
    /// beats taken since the restart
    pub beats: u64,
}

impl Fleet {
    /// After a restart at `now`: everybody the journal knows has just been heard.
    #[must_use]
    pub fn restarted(state: &State, now: Time) -> Fleet {
        let row = |host: &crate::state::HostState| Heard {
            at: now,
            sequence: host.sequence,
            presence: host.presence,
            since_restart: false,
        };
        Fleet { rows: state.hosts.iter().map(row).collect(), beats: 0 }
    }

    /// A new host.
    pub fn enrolled(&mut self, host: HostId, now: Time) {
        if column(host) == self.rows.len() {
            let presence = Presence::Alive;
            self.rows.push(Heard { at: now, sequence: 0, presence, since_restart: true });
        }
    }

    /// A host's row.
    #[must_use]
    pub fn row(&self, host: HostId) -> Option<&Heard> {
        self.rows.get(column(host))
    }

    /// All rows by column.
    #[must_use]
    pub fn rows(&self) -> &[Heard] {
        &self.rows
    }

    /// Takes a beat down, if its number has grown.
    /// # Errors
    /// The number of the last beat, when this one is a replay.
    pub fn heard(&mut self, beat: &Beat, now: Time) -> Result<(), u64> {
        let Some(row) = self.rows.get_mut(column(beat.host)) else { return Err(0) };
        if beat.sequence <= row.sequence {
            return Err(row.sequence);
        }
        let presence = believed(beat.presence);
        *row = Heard { at: now, sequence: beat.sequence, presence, since_restart: true };
        self.beats += 1;
        Ok(())
    }
}

/// A goodbye, cut to what is believed.
#[must_use]
pub fn believed(presence: Presence) -> Presence {
    match presence {
        Presence::Goodbye { back_within } => {
            Presence::Goodbye { back_within: back_within.min(GOODBYE_MAX) }
        }
        Presence::Alive => Presence::Alive,
    }
}
