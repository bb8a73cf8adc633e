//! Memory of beats: one row per host, in columns, lost with every restart and never in the database.
//! A host not heard since the restart counts as heard at the restart, so that a restart of ours is
//! nobody's silence.
use crate::state::{State, column};
use andon_model::beat::{Beat, Presence};
use andon_model::{HostId, Millis, Time};

/// Longest planned absence that is believed: a longer goodbye would hide a dead host from the gate.
pub const GOODBYE_MAX: Millis = Millis::from_secs(900);

/// Most restarts that are counted together. Each has a line in the journal, and a host that announces one
/// after the other before the first is due must not fill it.
const RESTARTS_MAX: u16 = 16;

/// What is remembered of one host, 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// when it was last heard, by the server's clock
    pub at: Time,
    /// number of its last beat
    pub sequence: u64,
    /// its last words
    pub presence: Presence,
    /// when it was here again after it had said that it leaves; 0: it has not left
    pub back: Time,
    /// when it announced its last restart; 0: it has announced none. One that is announced before the
    /// one before it was due is known with that one only: the first of them then
    pub announced: Time,
    /// when it promised to be back from the last
    pub promised: Time,
    /// restarts that are known then
    pub restarts: u16,
    /// whether it was heard since the restart of the server
    pub since_restart: bool,
}

impl Heard {
    /// A host of which nothing is known but that it was here.
    #[must_use]
    pub fn here(at: Time, sequence: u64, since_restart: bool) -> Heard {
        let (presence, never) = (Presence::Alive, Time::default());
        let (back, announced, promised) = (never, never, never);
        Heard { at, sequence, presence, back, announced, promised, restarts: 0, since_restart }
    }

    /// Its next words.
    fn says(&mut self, presence: Presence, now: Time) {
        if self.presence.away_for().is_some() && presence.away_for().is_none() {
            self.back = now;
        }
        if let Presence::Restart { back_within } = presence {
            let repeats = matches!(self.presence, Presence::Restart { .. });
            if now >= self.promised {
                (self.announced, self.restarts) = (now, 1);
            } else if !repeats {
                self.restarts = self.restarts.saturating_add(1).min(RESTARTS_MAX);
            }
            self.promised = now.plus(back_within);
        }
        (self.at, self.presence) = (now, presence);
    }
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
        let row = |host: &crate::state::HostState| {
            let mut row = Heard::here(now, host.sequence, false);
            row.says(host.presence, now);
            row
        };
        Fleet { rows: state.hosts.iter().map(row).collect(), beats: 0 }
    }

    /// A new host.
    pub fn enrolled(&mut self, host: HostId, now: Time) {
        if column(host) == self.rows.len() {
            self.rows.push(Heard::here(now, 0, true));
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
        row.says(believed(beat.presence), now);
        (row.sequence, row.since_restart) = (beat.sequence, true);
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
        Presence::Restart { back_within } => {
            Presence::Restart { back_within: back_within.min(GOODBYE_MAX) }
        }
        Presence::Alive => Presence::Alive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_announces_restarts_again_and_again_does_not_fill_the_journal() {
        let mut row = Heard::here(Time(1000), 0, true);
        let restart = Presence::Restart { back_within: Millis::from_secs(300) };
        let mut told = Vec::new();
        for second in 1..=100_u64 {
            let now = Time(second * 1000);
            row.says(if second % 2 == 1 { restart } else { Presence::Alive }, now);
            told.push(row.restarts);
        }
        assert_eq!((told[0], told[2], told[99]), (1, 2, RESTARTS_MAX));
        assert_eq!((row.announced, row.back), (Time(1000), Time(100_000)));
        // The same announcement told twice is one restart.
        row.says(restart, Time(900_000));
        row.says(restart, Time(901_000));
        assert_eq!((row.restarts, row.promised), (1, Time(1_201_000)));
    }
}
