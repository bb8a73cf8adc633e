//! Plays what a thief serves against the code that runs on hosts, and counts.
use super::attack::{CODES, Code, Rules, Thief};
use super::fleet::{Group, Knows, class};
use super::lab::{Lab, LabError, NOW};
use super::metadata::Served;
use super::report::{Reach, Tried};
use super::tickets::Forged;
use crate::ticket;
use crate::view::{Answer, Fetch, Offer, Outcome, Step, View};
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
    reached: u64,
    foreign: u64,
    unprotected: [u64; 2],
    tried: u64,
    by: BTreeMap<String, Tried>,
}

impl Score {
    fn note(&mut self, attack: &str, hosts: u64, foreign: u64, unprotected: u64) {
        if hosts + unprotected == 0 {
            return;
        }
        let none = || Tried { attack: attack.to_owned(), hosts: 0, foreign_code: 0, unprotected: 0 };
        let tried = self.by.entry(attack.to_owned()).or_insert_with(none);
        tried.hosts = tried.hosts.max(hosts);
        tried.foreign_code = tried.foreign_code.max(foreign);
        tried.unprotected = tried.unprotected.max(unprotected);
    }
}

/// Hosts that one ticket, or one whole world, reached; of these with foreign code.
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
        self.swap(&thief, &mut score)?;
        for rules in [Rules::Honest, Rules::Older, Rules::Open] {
            self.under(&thief, rules, &mut score)?;
        }
        let freezes = self.frozen(&thief)?;
        self.left_unprotected(&thief, &mut score)?;
        let mut attacks: Vec<Tried> = score.by.into_values().collect();
        attacks.sort_by_key(|tried| (u64::MAX - tried.hosts.max(tried.unprotected), tried.attack.clone()));
        Ok(Reach {
            stolen: thief.names(),
            hosts_reached_max: score.reached,
            hosts_foreign_code_max: score.foreign,
            wave_signed: self.wave_signed,
            within_signed_wave: score.reached <= self.wave_signed,
            can_freeze: !freezes.is_empty(),
            freezes,
            hosts_unprotected_max: score.unprotected[0],
            hosts_unprotected_after_rotation: score.unprotected[1],
            attacks,
            attacks_tried: score.tried,
        })
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

    /// All forgeries under some rules, if any host believes in these.
    fn under(&self, thief: &Thief<'_>, rules: Rules, score: &mut Score) -> Result<(), LabError> {
        let Some((policy, base)) = thief.rules(rules)? else { return Ok(()) };
        if rules != Rules::Honest {
            score.tried += 1;
            let mut believed = false;
            for knows in Knows::EVERY {
                let mut view = self.view(self.any(knows)?)?;
                sync(&mut view, &base.clone().listed(10)?, NOW);
                believed |= view.policy() == Some(&policy);
            }
            // Whoever refuses the rules is where the honest ones are: that was, or will be, played.
            if !believed {
                return Ok(());
            }
        }
        let tickets = thief.tickets(rules, &policy)?;
        let forged: Vec<Forged> = tickets.iter().map(|(forged, _)| forged.clone()).collect();
        let mut open = true;
        for code in CODES {
            let mut served = base.clone();
            if !thief.code(code, &mut served)? {
                continue;
            }
            for (forged, envelope) in &tickets {
                served.ticket(&forged.ticket.rollout, envelope);
            }
            let served = served.listed(11)?;
            // No ticket of the thief's was believed: other code concerns the honest wave alone.
            let groups: Vec<&Group> = match open || code == Code::Honest {
                true => self.groups.iter().collect(),
                false => self.in_wave.iter().collect(),
            };
            let name = format!("{rules} / {code}");
            let believed = self.play(&served, &name, &forged, &groups, score)?;
            if code == Code::Honest {
                open = believed;
            }
        }
        Ok(())
    }

    /// Plays one world on one host of each group. Answers whether any ticket of the thief's was believed.
    fn play(
        &self,
        served: &Served,
        world: &str,
        forged: &[Forged],
        groups: &[&Group],
        score: &mut Score,
    ) -> Result<bool, LabError> {
        score.tried += forged.len().max(1) as u64;
        let mut total = Hosts::default();
        let mut by: BTreeMap<String, Hosts> = BTreeMap::new();
        let mut believed = false;
        for group in groups {
            let mut view = self.view(group)?;
            let outcome = sync(&mut view, served, NOW);
            let refused: BTreeSet<&str> =
                outcome.refusals.iter().map(|it| it.what.as_str()).collect();
            let taken = |it: &Forged| {
                !refused.contains(format!("ticket {}", it.ticket.rollout).as_str())
            };
            believed |= forged.iter().any(taken);
            let bad: Vec<&Offer> =
                outcome.offers.iter().filter(|offer| !self.authorised(offer, group)).collect();
            let mut of: BTreeMap<String, bool> = BTreeMap::new();
            for offer in bad {
                let ticket = forged.iter().find(|it| it.ticket.rollout == offer.rollout);
                let name = ticket.map_or("what honest parties signed", |it| it.name.as_str());
                *of.entry(format!("{world} / {name}")).or_insert(false) |= self.is_foreign(offer);
            }
            let add = |hosts: &mut Hosts, foreign: bool| {
                hosts.all += group.hosts;
                hosts.foreign += if foreign { group.hosts } else { 0 };
            };
            if !of.is_empty() {
                add(&mut total, of.values().any(|foreign| *foreign));
            }
            for (name, foreign) in of {
                add(by.entry(name).or_default(), foreign);
            }
        }
        score.reached = score.reached.max(total.all);
        score.foreign = score.foreign.max(total.foreign);
        for (name, hosts) in by {
            score.note(&name, hosts.all, hosts.foreign, 0);
        }
        Ok(believed)
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

    /// Whom one attack keeps from a fix that is published a month later.
    fn left_unprotected(&self, thief: &Thief<'_>, score: &mut Score) -> Result<(), LabError> {
        for (name, served, stops) in thief.denials()? {
            score.tried += 1;
            let mut hosts = [0; 2];
            for knows in Knows::EVERY {
                let mut honest = self.view(self.any(knows)?)?;
                sync(&mut honest, &self.served, NOW);
                let mut view = self.view(self.any(knows)?)?;
                sync(&mut view, &served, NOW);
                let record = view.record();
                if record == honest.record() {
                    continue;
                }
                for (at, later) in self.later.iter().enumerate() {
                    let mut later = later.clone();
                    stops.iter().for_each(|stop| later.stop(stop));
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
            Some(record) => {
                View::restore(self.anchor.clone(), group.host, class()?, record)?
            }
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
