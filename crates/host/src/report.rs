//! What is told: the beat, and what waits in it until the server has stored it.
use crate::component::Component;
use crate::health::Answer;
use crate::host::Host;
use andon_model::beat::{Alert, Beat, Charge, Presence, ProbeResult, SensorStatus};
use andon_model::digest::Digest;
use andon_model::facts::Facts;
use andon_model::handover::FreezeSeen;
use andon_model::host_journal::Fact;
use andon_model::limits::{
    ALERTS_KEPT_MAX, ALERTS_PER_BEAT_MAX, CHARGES_PER_BEAT_MAX, COMPONENTS_MAX,
    FREEZES_PER_BEAT_MAX,
};
use std::collections::VecDeque;

/// Charges and alerts on their way to the server.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    charges: VecDeque<Charge>,
    charges_made: u32,
    alerts: VecDeque<Alert>,
    alerts_in_flight: usize,
    alerts_left_out: u64,
    beats_made: u32,
    /// what the host runs, as the server has it; `None`: nothing was heard since the start
    facts_told: Option<Facts>,
    facts_in_flight: Option<Facts>,
    pub(crate) sensor: Option<SensorStatus>,
}

/// What the host runs is said again every so many beats, news or not: an answer may have been to the beat
/// before the one that got lost.
const FACTS_EVERY: u32 = 64;
/// Charges kept for the next beats; what is beyond stands in the journal.
const CHARGES_KEPT_MAX: usize = 4 * CHARGES_PER_BEAT_MAX;

impl Outbox {
    /// Rises over restarts too: the start's number is in the high bits.
    pub(crate) fn next_charge_number(&mut self, boot: u32) -> u64 {
        self.charges_made += 1;
        (u64::from(boot) << 20) + u64::from(self.charges_made)
    }

    pub(crate) fn unreported(&mut self, charge: Option<Charge>) {
        let Some(charge) = charge else { return };
        let at = self.charges.partition_point(|known| known.number < charge.number);
        self.charges.insert(at, charge);
        if self.charges.len() > CHARGES_KEPT_MAX {
            self.charges.pop_front();
        }
    }

    /// The server has stored the last beat.
    pub(crate) fn stored(&mut self, up_to: u64) {
        self.charges.retain(|charge| charge.number > up_to);
        self.alerts.drain(..self.alerts_in_flight.min(self.alerts.len()));
        self.alerts_in_flight = 0;
        if let Some(facts) = self.facts_in_flight.take() {
            self.facts_told = Some(facts);
        }
    }

    /// What the next beat says of what the host runs: `None` if the server knows.
    fn facts_due(&mut self, facts: Facts) -> Option<Facts> {
        let again = self.beats_made.is_multiple_of(FACTS_EVERY);
        let due = (again || self.facts_told.as_ref() != Some(&facts)).then_some(facts);
        self.facts_in_flight.clone_from(&due);
        due
    }

    fn add_alert(&mut self, alert: Alert) {
        if self.alerts.len() >= ALERTS_KEPT_MAX {
            self.alerts_left_out += 1;
            // The oldest one that is not already on its way makes room.
            self.alerts.remove(self.alerts_in_flight.min(self.alerts.len() - 1));
        }
        self.alerts.push_back(alert);
    }
}

impl Host {
    /// The next beat, to be signed and sent; `None` before enrolment. Every call takes a new sequence
    /// number; charges and alerts stay until `ChargesStored`.
    pub fn beat(&mut self, now: andon_model::Time, presence: Presence) -> Option<Beat> {
        let host = self.id?;
        let facts = self.facts();
        self.outbox.beats_made += 1;
        let facts = self.outbox.facts_due(facts);
        self.outbox.alerts_in_flight = self.outbox.alerts.len().min(ALERTS_PER_BEAT_MAX);
        let answers = self.probes.iter().filter(|(_, seen)| seen.answer != Answer::None);
        Some(Beat {
            schema: 1,
            host,
            sequence: (u64::from(self.boot) << 32) + u64::from(self.outbox.beats_made),
            at: now,
            presence,
            components: self
                .components
                .values()
                .take(COMPONENTS_MAX)
                .map(Component::status)
                .collect(),
            charges: self.outbox.charges.iter().take(CHARGES_PER_BEAT_MAX).cloned().collect(),
            probes: answers
                .map(|(name, seen)| ProbeResult {
                    name: name.clone(),
                    well: seen.answer == Answer::Well,
                })
                .collect(),
            alerts: self.outbox.alerts.iter().take(ALERTS_PER_BEAT_MAX).cloned().collect(),
            alerts_left_out: self.outbox.alerts_left_out,
            sensor: self.outbox.sensor.clone(),
            facts,
            freezes: self.stops_in_force(now).take(FREEZES_PER_BEAT_MAX).collect(),
        })
    }

    fn stops_in_force(&self, now: andon_model::Time) -> impl Iterator<Item = Digest> {
        let freezes = self.freezes.iter().filter(move |seen| now < seen.freeze.expires);
        let directives = self.directives.iter().filter(move |seen| now < seen.directive.expires);
        freezes.map(|seen| seen.digest).chain(directives.map(|seen| seen.digest))
    }

    pub(crate) fn alert_seen(&mut self, alert: Alert) {
        self.journal(Fact::Alert {
            rule: alert.rule.clone(),
            command_line: alert.command_line.clone(),
        });
        self.outbox.add_alert(alert);
    }

    pub(crate) fn freezes_seen(&mut self, freezes: Vec<FreezeSeen>) {
        let new: Vec<_> = freezes
            .iter()
            .filter(|seen| !self.freezes.iter().any(|known| known.digest == seen.digest))
            .map(|seen| seen.digest)
            .collect();
        for freeze in new {
            self.journal(Fact::FreezeSeen { freeze });
        }
        self.freezes = freezes;
        self.obey_freezes();
    }
}
