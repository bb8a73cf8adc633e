//! What may be acted on now, out of what was verified: time passes even when nothing changes.
use super::{
    DirectiveInForce, FreezeInForce, HeldDirective, HeldStop, HeldTicket, Offer, Outcome,
    RefusalCode, Round, View, Wave,
};
use crate::attestation::{Standing, Words};
use crate::fast_lane;
use andon_model::eligible::{Eligibility, ReleaseFacts};
use andon_model::envelope::Envelope;
use andon_model::limits::{INDEX_ITEMS_MAX, MESSAGE_SKEW_MAX};
use andon_model::policy::Lane;
use andon_model::release::{ComponentKind, Version};
use andon_model::{Digest, RolloutId, Time, VendorId};
use std::collections::BTreeSet;

/// A clock that is ahead makes everything expire: whoever reads of that is told the day.
fn today(now: Time) -> String {
    let moment = now.to_string();
    let day = moment.split('T').next().unwrap_or_default();
    format!("on {day}, as this host takes it to be")
}

impl View {
    /// Ends a round.
    pub(super) fn conclude(&mut self, round: Round) {
        let now = round.now.max(self.witnessed);
        self.prune(now);
        let mut outcome = round.refusals;
        for refusal in self.refused.values() {
            outcome.push(refusal.clone());
        }
        if self.witnessed > round.clock.plus(MESSAGE_SKEW_MAX) {
            // In days: what is said again and again in other words fills a host's journal.
            let days = self.witnessed.since(round.clock).0 / 86_400_000;
            let why = format!(
                "it is {days} days behind {}, for which witnesses have vouched: set it; until then that \
                 is taken for now",
                self.witnessed
            );
            outcome.refuse("clock", RefusalCode::Clock, &why);
        }
        outcome.index_version = self.index_version();
        outcome.policy = self.policy().filter(|policy| policy.expires > now).cloned();
        let holds = self.stops.values().filter(|held| self.holds(held, now));
        outcome.freezes = holds.map(in_force).collect();
        let demanded = self.directives.values().filter(|held| self.demands(held, now));
        outcome.directives = demanded.map(demanded_now).collect();
        if outcome.policy.is_none() {
            let why = format!("no policy is in force {}; nothing new is activated", today(now));
            outcome.refuse("policy", RefusalCode::Expired, &why);
        } else if self.catalogue.expires() <= now {
            let today = today(now);
            let why =
                format!("TUF metadata has expired or is missing {today}; nothing new is activated");
            outcome.refuse("timestamp", RefusalCode::Expired, &why);
        } else {
            for (rollout, held) in &self.tickets {
                self.offer(now, rollout, held, &mut outcome);
            }
        }
        outcome.offers.sort_by(|a, b| {
            (&a.manifest.component, a.manifest.version)
                .cmp(&(&b.manifest.component, b.manifest.version))
        });
        self.outcome = outcome;
    }

    fn offer(&self, now: Time, rollout: &RolloutId, held: &HeldTicket, outcome: &mut Outcome) {
        if held.not_after <= now || held.not_before > now.plus(MESSAGE_SKEW_MAX) {
            let why = "ticket is not in force now";
            return outcome.refuse(&format!("ticket {rollout}"), RefusalCode::Expired, why);
        }
        if !held.covered {
            return;
        }
        let what = format!("release {}", held.release.short());
        let found = self.catalogue.find(&held.release, &held.component, held.version);
        let Some(listed) = found else {
            let why = "no vendor's metadata in force lists this release";
            return outcome.refuse(&what, RefusalCode::Signature, why);
        };
        if listed.expires <= now {
            let why = format!("metadata of vendor {} has expired", listed.vendor);
            return outcome.refuse(&what, RefusalCode::Expired, &why);
        }
        let frozen = |stop: &&HeldStop| {
            stop.freeze.concerns(&listed.vendor, &held.release) && self.holds(stop, now)
        };
        if let Some(stop) = self.stops.values().find(frozen) {
            let why = format!("frozen by {}: {}", stop.freeze.by, stop.freeze.reason);
            return outcome.refuse(&what, RefusalCode::Frozen, &why);
        }
        let bars = |one: &&HeldDirective| {
            one.directive.bars() == Some(&held.release) && self.demands(one, now)
        };
        if let Some(one) = self.directives.values().find(bars) {
            let why = format!("taken back by {}: {}", one.directive.by, one.directive.reason);
            return outcome.refuse(&what, RefusalCode::Frozen, &why);
        }
        if let Some(why) = self.too_fast(now, &listed.vendor, held) {
            return outcome.refuse(&what, RefusalCode::Policy, &why);
        }
        if let Some(why) = self.outside(now, &listed.vendor, &held.release) {
            return outcome.refuse(&what, RefusalCode::VendorLine, &why);
        }
        let Some(manifest) = self.manifests.get(&held.release) else { return };
        if let Some(why) = self.ineligible(now, held, manifest.kind, listed.newest) {
            return outcome.refuse(&what, RefusalCode::Ineligible, &why);
        }
        if self.lacks_proof(&held.release) {
            // Why there is none, the round has said.
            return;
        }
        if let Some((code, why)) = self.unattested(now, held, manifest.kind) {
            return outcome.refuse(&what, code, &why);
        }
        outcome.offers.push(Offer {
            rollout: rollout.clone(),
            generation: held.generation,
            release: held.release,
            lane: held.lane,
            begun: held.begun,
            manifest: manifest.clone(),
        });
    }

    /// Whether it comes by the emergency lane and may not, by the platform's list or the operator's.
    fn too_fast(&self, now: Time, vendor: &VendorId, held: &HeldTicket) -> Option<String> {
        if held.lane == Lane::Routine {
            return None;
        }
        let platform = fast_lane::of_platform(&self.catalogue.files.targets);
        fast_lane::against(&platform, self.policy()?, (vendor, &held.component), now)
    }

    /// Whether a freeze holds: the operator may override any for its own line, by a policy in force.
    fn holds(&self, held: &HeldStop, now: Time) -> bool {
        !self.lifted(&held.envelope, now)
    }

    /// The same of a directive: so its people let a PARK go again.
    fn demands(&self, held: &HeldDirective, now: Time) -> bool {
        !self.lifted(&held.envelope, now)
    }

    fn lifted(&self, envelope: &Envelope, now: Time) -> bool {
        let policy = self.policy().filter(|policy| policy.expires > now);
        policy.is_some_and(|policy| policy.overrides(&Digest::of(&envelope.payload), now))
    }

    /// What the policy's demands on rigs have against it here, for hosts of this class.
    fn unattested(
        &self,
        now: Time,
        held: &HeldTicket,
        kind: ComponentKind,
    ) -> Option<(RefusalCode, String)> {
        let policy = self.policy().filter(|policy| !policy.attestations.is_none())?;
        let none = Words::default();
        let words = self.attested.get(&held.release).map_or(&none, |held| &held.words);
        match words.judge(policy, Some(kind), self.host_now(), now) {
            Standing::Attested => None,
            Standing::CanaryOnly(_) if held.wave == Wave::Canary => None,
            Standing::CanaryOnly(why) => {
                let why = format!("{why}; so it is for canary waves only, and this is a later one");
                Some((RefusalCode::Unattested, why))
            }
            Standing::Missing(why) => Some((RefusalCode::Unattested, why)),
            Standing::Failed(why) => Some((RefusalCode::FailedTest, why)),
        }
    }

    /// What the operator's rules have against it now: a hold, a pin, one behind, a ring, a window. The
    /// server planned by them; a host that believed it blindly would obey whoever holds its key.
    fn ineligible(
        &self,
        now: Time,
        held: &HeldTicket,
        kind: ComponentKind,
        newest: Version,
    ) -> Option<String> {
        let rules = self.policy()?.eligibility.of(kind);
        let release = ReleaseFacts {
            component: &held.component,
            version: held.version,
            newest,
            lane: held.lane,
            started: held.started,
        };
        match rules.decide(&self.class, &release, now) {
            Eligibility::Now => None,
            Eligibility::Later { at, why } => Some(format!("not before {at}: {why}")),
            Eligibility::Never(why) => Some(why.to_string()),
        }
    }

    /// Forgets what can no longer matter.
    fn prune(&mut self, now: Time) {
        self.stops.retain(|_, held| held.freeze.expires > now);
        self.directives.retain(|_, held| held.directive.expires > now);
        let covered = self.tickets.values().filter(|held| held.covered);
        let releases: BTreeSet<Digest> = covered.map(|held| held.release).collect();
        self.manifests.retain(|digest, _| releases.contains(digest));
        self.logged.retain(|digest| releases.contains(digest));
        self.prune_lines();
        self.attested.retain(|digest, _| releases.contains(digest));
        let Some((_, index)) = &self.index else { return };
        let listed = |rollout: &RolloutId| index.tickets.iter().any(|t| t.rollout == *rollout);
        self.places.retain(|rollout, _| listed(rollout));
        self.ceilings.retain(|rollout, _| listed(rollout));
        let mut named: BTreeSet<Digest> = index.tickets.iter().map(|t| t.digest).collect();
        named.extend(index.stops.iter().chain(&index.policy).copied());
        named.extend(View::line_digests(index));
        self.refused.retain(|digest, _| named.contains(digest) || releases.contains(digest));
        // What was seen of a rollout outlives its listing, so that an old ticket cannot come back;
        // beyond the limit the rollouts seen longest ago go first.
        while self.seen.len() > INDEX_ITEMS_MAX {
            let listed = |id: &RolloutId| index.tickets.iter().any(|t| t.rollout == *id);
            let gone = self.seen.iter().filter(|(id, _)| !listed(id));
            match gone.min_by_key(|(_, seen)| seen.not_before).map(|(id, _)| id.clone()) {
                Some(id) => self.seen.remove(&id),
                None => break,
            };
        }
    }
}

fn in_force(held: &HeldStop) -> FreezeInForce {
    FreezeInForce { digest: Digest::of(&held.envelope.payload), freeze: held.freeze.clone() }
}

fn demanded_now(held: &HeldDirective) -> DirectiveInForce {
    let digest = Digest::of(&held.envelope.payload);
    DirectiveInForce { digest, directive: held.directive.clone() }
}
