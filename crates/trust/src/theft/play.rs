//! Plays what a thief serves against the code that runs on hosts, and counts.
use super::attack::{CODES, Code, Rules, Thief};
use super::deny::Denial;
use super::fleet::{Group, Knows, class};
use super::lab::{Lab, LabError, NOW};
use super::metadata::Served;
use super::report::{Reach, Tried};
use super::tickets::Forged;
use crate::ticket;
use crate::view::{Answer, DirectiveInForce, Fetch, Offer, Outcome, Step, View};
use andon_model::directive::Demand;
use andon_model::{Digest, Millis, Time};
use std::collections::{BTreeMap, BTreeSet};

/// A freeze of one key alone has ended by then.
pub(super) const LATER: Time = NOW.plus(Millis::from_secs(31 * 86_400));

/// One round of a host against these files.
pub(super) fn sync(view: &mut View, served: &Served, now: Time) -> Outcome {
    view.begin(now);
    while let Step::Fetch(fetch) = view.next() {
        view.supply(answer(served, &fetch));
    }
    view.outcome().clone()
}

fn answer(served: &Served, fetch: &Fetch) -> Answer {
    match served.get(&fetch.path) {
        None => Answer::Missing,
        Some(bytes) if fetch.known == Some(Digest::of(bytes)) => Answer::NotModified,
        Some(bytes) if bytes.len() > fetch.limit => Answer::Failed("too large".to_owned()),
        Some(bytes) => Answer::Bytes(bytes.clone()),
    }
}

/// What one thief's attacks came to.
#[derive(Default)]
struct Score {
    /// nothing more need be played once more hosts than these are reached
    enough: Option<u64>,
    reached: u64,
    foreign: u64,
    unprotected: [u64; 2],
    tried: u64,
    by: BTreeMap<String, Tried>,
}

impl Score {
    fn is_enough(&self) -> bool {
        self.enough.is_some_and(|enough| self.reached > enough)
    }
    fn note(&mut self, attack: &str, hosts: u64, foreign: u64, unprotected: u64) {
        if hosts + unprotected == 0 {
            return;
        }
        let none =
            || Tried { attack: attack.to_owned(), hosts: 0, foreign_code: 0, unprotected: 0 };
        let tried = self.by.entry(attack.to_owned()).or_insert_with(none);
        tried.hosts = tried.hosts.max(hosts);
        tried.foreign_code = tried.foreign_code.max(foreign);
        tried.unprotected = tried.unprotected.max(unprotected);
    }
}

/// Hosts that one ticket reached; of these with foreign code.
#[derive(Clone, Copy, Debug, Default)]
struct Hosts {
    all: u64,
    foreign: u64,
}

impl Lab {
    /// What a thief of the keys with these names reaches.
    /// # Errors
    /// [`LabError`].
    pub fn measure(&self, stolen: &[&str]) -> Result<Reach, LabError> {
        let thief = Thief::new(self, stolen)?;
        let mut score = Score::default();
        // What needs no key is open to everybody, and no different for who holds one.
        let nobody = thief.holds_none();
        if nobody {
            self.swap(&thief, &mut score)?;
        }
        let mut open = false;
        for rules in [Rules::Honest, Rules::Older, Rules::Open] {
            let believed = self.under(&thief, rules, &mut score)?;
            open |= believed && rules == Rules::Open;
        }
        let freezes = self.frozen(&thief)?;
        self.left_unprotected(&thief, open, !freezes.is_empty(), &mut score)?;
        if let Some(floor) = self.nobody.as_ref().filter(|_| !nobody) {
            score.reached = score.reached.max(floor.hosts_reached_max);
            score.foreign = score.foreign.max(floor.hosts_foreign_code_max);
            score.tried += floor.attacks_tried;
            for it in &floor.attacks {
                score.note(&it.attack, it.hosts, it.foreign_code, it.unprotected);
            }
        }
        let mut attacks: Vec<Tried> = score.by.into_values().collect();
        let most = |it: &Tried| u64::MAX - it.hosts.max(it.unprotected);
        attacks.sort_by(|a, b| (most(a), &a.attack).cmp(&(most(b), &b.attack)));
        Ok(Reach {
            stolen: thief.names(),
            hosts_reached_max: score.reached,
            hosts_foreign_code_max: score.foreign,
            wave_signed: self.wave_signed,
            within_signed_wave: score.reached <= self.wave_signed,
            can_freeze: !freezes.is_empty(),
            freezes,
            hosts_parked_max: self.parked(&thief)?,
            hosts_unprotected_max: score.unprotected[0],
            hosts_unprotected_after_rotation: score.unprotected[1],
            attacks,
            attacks_tried: score.tried,
        })
    }

    /// Whether a thief of these keys reaches further than the wave that is signed: as [`Lab::measure`], but
    /// nothing else is asked, and the first attack that does is enough.
    /// # Errors
    /// [`LabError`].
    pub fn is_beyond(&self, stolen: &[&str]) -> Result<bool, LabError> {
        let thief = Thief::new(self, stolen)?;
        let floor = self.nobody.as_ref().map_or(0, |nobody| nobody.hosts_reached_max);
        let enough = Some(self.wave_signed);
        let mut score = Score { reached: floor, enough, ..Score::default() };
        for rules in [Rules::Honest, Rules::Older, Rules::Open] {
            self.under(&thief, rules, &mut score)?;
        }
        Ok(score.is_enough())
    }

    /// Other bytes under an honest release's name: no key is needed to serve them.
    fn swap(&self, thief: &Thief<'_>, score: &mut Score) -> Result<(), LabError> {
        let served = thief.swapped()?;
        let class = class()?;
        let covered = |it: &&Group| ticket::covers(&self.waves[0], it.host, &class);
        let groups: Vec<&Group> = self.groups.iter().filter(covered).collect();
        self.play(&served, "honest rules / other bytes", &[], &groups, score)?;
        Ok(())
    }

    /// All forgeries under some rules. Answers whether any host believes in these rules.
    fn under(&self, thief: &Thief<'_>, rules: Rules, score: &mut Score) -> Result<bool, LabError> {
        let Some((policy, base)) = thief.rules(rules)? else { return Ok(false) };
        if score.is_enough() {
            return Ok(false);
        }
        if rules != Rules::Honest {
            score.tried += 1;
            let mut believed = false;
            for knows in Knows::EVERY {
                let mut view = self.view(self.any(knows)?)?;
                sync(&mut view, &base.clone().listed(10)?, NOW);
                believed |= view.policy() == Some(&policy);
            }
            // Whoever refuses the rules is where the honest ones are: that was played.
            if !believed {
                return Ok(false);
            }
        }
        let tickets = thief.tickets(rules, &policy)?;
        let forged: Vec<Forged> = tickets.iter().map(|(forged, _)| forged.clone()).collect();
        let groups = if thief.starts() { &self.groups_started } else { &self.groups };
        let mut open = thief.holds_none();
        for code in CODES {
            if score.is_enough() {
                break;
            }
            let mut served = base.clone();
            if !thief.code(code, &mut served)? {
                continue;
            }
            for (forged, envelope) in &tickets {
                served.ticket(&forged.ticket.rollout, envelope);
            }
            let served = served.listed(11)?;
            if code == Code::Honest && !open {
                open = self.is_any_believed(&served, &forged)?;
            }
            // No ticket of the thief's is believed: then all is as it is for a thief without keys, but
            // that other code may come under the honest wave.
            let played: Vec<&Group> = match (open, code) {
                (true, _) => groups.iter().collect(),
                (false, Code::Honest) => Vec::new(),
                (false, _) => self.in_wave.iter().collect(),
            };
            self.play(&served, &format!("{rules} / {code}"), &forged, &played, score)?;
        }
        Ok(true)
    }

    /// Whether hosts believe a ticket of the thief's, whomever it covers: one host of each kind is asked,
    /// for what it has seen is all that a verdict on a ticket depends on.
    fn is_any_believed(&self, served: &Served, forged: &[Forged]) -> Result<bool, LabError> {
        for knows in Knows::EVERY {
            let outcome = sync(&mut self.view(self.any(knows)?)?, served, NOW);
            let refused: BTreeSet<&str> =
                outcome.refusals.iter().map(|it| it.what.as_str()).collect();
            let is_refused =
                |it: &Forged| refused.contains(format!("ticket {}", it.ticket.rollout).as_str());
            if !forged.iter().all(is_refused) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Plays one world on one host of each group.
    fn play(
        &self,
        served: &Served,
        world: &str,
        forged: &[Forged],
        groups: &[&Group],
        score: &mut Score,
    ) -> Result<(), LabError> {
        score.tried += forged.len().max(1) as u64;
        let mut by: BTreeMap<String, Hosts> = BTreeMap::new();
        for group in groups {
            let outcome = sync(&mut self.view(group)?, served, NOW);
            let bad = outcome.offers.iter().filter(|offer| !self.authorised(offer, group));
            let mut of: BTreeMap<String, bool> = BTreeMap::new();
            for offer in bad {
                let ticket = forged.iter().find(|it| it.ticket.rollout == offer.rollout);
                let name = ticket.map_or("what honest parties signed", |it| it.name.as_str());
                *of.entry(format!("{world} / {name}")).or_insert(false) |= self.is_foreign(offer);
            }
            for (name, foreign) in of {
                let hosts = by.entry(name).or_default();
                hosts.all += group.hosts;
                hosts.foreign += if foreign { group.hosts } else { 0 };
            }
        }
        for (name, hosts) in by {
            score.reached = score.reached.max(hosts.all);
            score.foreign = score.foreign.max(hosts.foreign);
            score.note(&name, hosts.all, hosts.foreign, 0);
        }
        Ok(())
    }

    /// Whether honest parties have signed this release for these hosts.
    fn authorised(&self, offer: &Offer, group: &Group) -> bool {
        let wave = |ticket: &&andon_model::ticket::Ticket| ticket.release == offer.release;
        let Ok(class) = class() else { return false };
        let covered =
            self.waves.iter().filter(wave).any(|it| ticket::covers(it, group.host, &class));
        covered && !self.is_foreign(offer)
    }

    /// Whether it is code that no honest vendor has signed.
    fn is_foreign(&self, offer: &Offer) -> bool {
        let honest = self.works.iter().flat_map(|works| [&works.wave, &works.idle, &works.fix]);
        let mut honest = honest.filter(|made| made.digest == offer.release);
        !honest.any(|made| made.manifest == offer.manifest)
    }

    pub(super) fn any(&self, knows: Knows) -> Result<&Group, LabError> {
        self.groups.iter().find(|group| group.knows == knows).ok_or(LabError::Steps)
    }

    /// Vendors whose wave a forged freeze stops.
    fn frozen(&self, thief: &Thief<'_>) -> Result<Vec<String>, LabError> {
        let served = thief.freezing()?;
        let mut out = Vec::new();
        for (works, group) in self.works.iter().zip(&self.in_wave) {
            let outcome = sync(&mut self.view(group)?, &served, NOW);
            if !outcome.offers.iter().any(|offer| offer.release == works.wave.digest) {
                out.push(works.vendor.to_string());
            }
        }
        Ok(out)
    }

    /// Hosts that believe a forged PARK of what runs there.
    fn parked(&self, thief: &Thief<'_>) -> Result<u64, LabError> {
        let served = thief.parking()?;
        let mut hosts = 0;
        for knows in Knows::EVERY {
            let outcome = sync(&mut self.view(self.any(knows)?)?, &served, NOW);
            let park =
                |seen: &DirectiveInForce| matches!(seen.directive.demand, Demand::Park { .. });
            if outcome.directives.iter().any(park) {
                hosts += knows.hosts();
            }
        }
        Ok(hosts)
    }

    /// Whom one attack keeps from a fix that is published a month later.
    fn left_unprotected(
        &self,
        thief: &Thief<'_>,
        open: bool,
        freezes: bool,
        score: &mut Score,
    ) -> Result<(), LabError> {
        for Denial { name, served, stops, words } in thief.denials(open, freezes)? {
            score.tried += 1;
            let mut hosts = [0; 2];
            for (knows, honest) in Knows::EVERY.into_iter().zip(&self.records_honest) {
                let mut view = self.view(self.any(knows)?)?;
                sync(&mut view, &served, NOW);
                let record = view.record();
                // Nothing of it was believed: the host is where it would be anyway.
                if record == *honest && words.is_empty() {
                    continue;
                }
                for (at, later) in self.later.iter().enumerate() {
                    let mut later = later.clone();
                    stops.iter().for_each(|stop| later.stop(stop));
                    for (release, word) in &words {
                        later.attested(*release, std::slice::from_ref(word));
                    }
                    if !self.is_fixed(knows, Some(&record), &later.listed(40)?)? {
                        hosts[at] += knows.hosts();
                    }
                }
            }
            score.note(&name, 0, 0, hosts[0].max(hosts[1]));
            score.unprotected = [0, 1].map(|at| score.unprotected[at].max(hosts[at]));
        }
        Ok(())
    }

    /// Whether a host that remembers this is offered every vendor's fix.
    fn is_fixed(
        &self,
        knows: Knows,
        record: Option<&[u8]>,
        served: &Served,
    ) -> Result<bool, LabError> {
        let group = self.any(knows)?;
        let mut view = match record {
            Some(record) => View::restore(self.anchor.clone(), group.host, class()?, record)?,
            None => self.view(group)?,
        };
        let outcome = sync(&mut view, served, LATER);
        let offered = |digest| outcome.offers.iter().any(|offer| offer.release == digest);
        Ok(self.works.iter().all(|works| offered(works.fix.digest)))
    }

    /// Without a thief the wave is offered, and later the fix: else figures would mean nothing.
    pub(super) fn honest_parties_get_through(&self) -> Result<(), LabError> {
        for (works, group) in self.works.iter().zip(&self.in_wave) {
            let outcome = sync(&mut self.view(group)?, &self.served, NOW);
            if !outcome.offers.iter().any(|offer| offer.release == works.wave.digest) {
                let why = format!("wave of {}: {:?}", works.vendor, outcome.refusals);
                return Err(LabError::Honest(why));
            }
        }
        for (at, later) in self.later.iter().enumerate() {
            for knows in Knows::EVERY {
                if !self.is_fixed(knows, None, later)? {
                    return Err(LabError::Honest(format!("fix, world {at}, host {knows:?}")));
                }
            }
        }
        Ok(())
    }
}
