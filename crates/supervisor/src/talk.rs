//! With the server, through the child: enrol, beat, look for something new, hear the answers.
use crate::looped::Supervisor;
use crate::state::Identity;
use crate::{now, told};
use andon_host::Input;
use andon_model::beat::{BeatAnswer, Presence};
use andon_model::enrol::{EnrolAnswer, EnrolRequest};
use andon_model::envelope::PayloadType;
use andon_model::handover::{DirectiveSeen, FreezeSeen, FromCheck, Offers, ToCheck};
use andon_model::host_journal::Fact;
use andon_model::id::HostId;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Between two requests to enrol.
const ENROL_PAUSE: Duration = Duration::from_secs(2);
/// Without a bell, metadata is asked for so often (in beats).
const SYNC_BEATS: u32 = 10;

impl Supervisor {
    pub(crate) fn host_id(&self) -> Option<HostId> {
        self.identity.as_ref().map(|identity| identity.host)
    }

    /// Says what is due.
    pub(crate) fn talk(&mut self) {
        let here = Instant::now();
        if self.check.is_none() || self.leaving.is_some() {
            return;
        }
        if self.identity.is_none() {
            if self.enrol_next <= here {
                self.enrol_next = here + ENROL_PAUSE;
                self.enrol();
            }
            return;
        }
        if self.beat_next <= here {
            // From the planned time on, so that beats do not drift; never in a burst.
            self.beat_next = (self.beat_next + self.beat_every).max(here + self.beat_every / 2);
            self.beat(Presence::Alive);
        }
        if self.sync_next <= here {
            self.sync();
        }
    }

    fn enrol(&mut self) {
        let request = EnrolRequest {
            schema: 1,
            token: self.token.clone(),
            key: self.key.public(),
            class: self.class.clone(),
            at: now(),
        };
        let payload = serde_json::to_vec(&request).unwrap_or_default();
        let envelope = self.key.seal(PayloadType::Enrol, &payload);
        if let Some(check) = &mut self.check {
            check.say(&ToCheck::Enrol { envelope });
        }
    }

    /// Signs and hands over one beat, if there is one, and somebody to hand it to.
    pub(crate) fn beat(&mut self, presence: Presence) {
        let Some(beat) = self.host.beat(now(), presence) else { return };
        let Some(check) = &mut self.check else { return };
        let payload = serde_json::to_vec(&beat).unwrap_or_default();
        check.say(&ToCheck::PostBeat { envelope: self.key.seal(PayloadType::Beat, &payload) });
        self.beats_out += 1;
    }

    fn sync(&mut self) {
        self.sync_next = Instant::now() + self.beat_every * SYNC_BEATS;
        let Some(host) = self.host_id() else { return };
        let (class, facts) = (self.class.clone(), self.host.facts());
        if let Some(check) = &mut self.check {
            check.say(&ToCheck::Sync { host, class, facts });
        }
    }

    pub(crate) fn heard(&mut self, said: FromCheck) {
        self.check_losses = 0;
        match said {
            FromCheck::Offers { offers } => self.offered(*offers),
            FromCheck::Fetched { release, .. } => {
                self.fetching.remove(&release);
                self.feed(Input::Fetched { release });
            }
            FromCheck::FetchFailed { release, why } => {
                self.fetching.remove(&release);
                self.feed(Input::FetchFailed { release, why: why.as_str().to_owned() });
            }
            FromCheck::Answer { answer } => self.answered(answer),
            FromCheck::Enrolled { answer } => self.enrolled(answer),
            FromCheck::Bell { version } => self.bell(version),
            FromCheck::Failed { what, why } => {
                eprintln!("andon-supervisor: {what}: {why}");
                if what.as_str() == "post_beat" {
                    self.beats_out = self.beats_out.saturating_sub(1);
                }
            }
        }
    }

    fn bell(&mut self, version: u64) {
        if version > self.index_version && self.identity.is_some() {
            self.sync();
        }
    }

    fn answered(&mut self, answer: BeatAnswer) {
        self.feed(Input::ChargesStored { up_to: answer.charges_stored });
        self.beats_out = self.beats_out.saturating_sub(1);
        if self.leaving.is_none() {
            self.bell(answer.index_version);
        }
    }

    fn enrolled(&mut self, answer: EnrolAnswer) {
        if self.identity.is_some() {
            return;
        }
        let identity = Identity { schema: 1, host: answer.host, line: answer.line };
        if let Err(failed) = self.state.set_identity(&identity) {
            // Asked again later: the same key gets the same id.
            return eprintln!("andon-supervisor: {}", told(&failed));
        }
        self.identity = Some(identity);
        self.feed(Input::Enrolled { host: answer.host });
        self.beat_next = Instant::now();
        self.sync_next = Instant::now();
    }

    /// Freezes before offers: what is frozen is not even looked at.
    fn offered(&mut self, said: Offers) {
        self.index_version = self.index_version.max(said.index_version);
        self.remember_freezes(said.freezes);
        self.remember_directives(said.directives);
        if let Some(policy) = said.policy {
            self.beat_every = policy.watch.beat.std();
            let soon = Instant::now() + self.beat_every;
            self.beat_next = self.beat_next.min(soon);
            self.feed(Input::PolicySeen { watch: policy.watch, probes: policy.probes });
        }
        for refused in said.refusals {
            // The same refusal comes with every look; it is told once.
            if self.refusals.len() < 1024
                && self.refusals.insert((refused.what.clone(), refused.why.clone()))
            {
                let fact = Fact::Refused { what: refused.what, why: refused.why };
                self.journal.write(self.host_id(), fact);
            }
        }
        for offer in said.offers {
            let manifest = Arc::new(offer.manifest);
            let (release, rollout, generation) = (offer.release, offer.rollout, offer.generation);
            let begun = offer.begun;
            self.feed(Input::Offered { release, rollout, generation, begun, manifest });
        }
    }

    /// On disk first: a freeze seen once is obeyed after a crash too, network or not.
    fn remember_freezes(&mut self, freezes: Vec<FreezeSeen>) {
        if freezes != self.freezes {
            if let Err(failed) = self.state.set_freezes(&freezes) {
                eprintln!("andon-supervisor: {}", told(&failed));
            }
            self.freezes.clone_from(&freezes);
        }
        self.feed(Input::FreezesSeen { freezes });
    }

    /// The same: what is parked stays so over a restart without a network.
    fn remember_directives(&mut self, directives: Vec<DirectiveSeen>) {
        if directives != self.directives {
            if let Err(failed) = self.state.set_directives(&directives) {
                eprintln!("andon-supervisor: {}", told(&failed));
            }
            self.directives.clone_from(&directives);
        }
        self.feed(Input::DirectivesSeen { directives });
    }
}
