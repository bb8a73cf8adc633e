//! What one host does: activates, crashes, boots, falls back, confirms, is heard of again or is not.
//! Its [`Machine`] is told what a supervisor would tell it and alone decides whether it falls back.
use super::draws::{Chance, Purpose};
use super::engine::{Engine, Mark};
use super::fleet::State;
use super::grid::{Ms, ms, time};
use super::wheel::Kind;
use crate::random::Random;
use crate::scenario::{Place, Rate, Scenario, Shows, Theft};
use andon_host::machine::{Event, Phase};
use andon_host::{Evidence, Machine, Slot, SlotState, machine::Outcome};
use andon_model::{Millis, Time};

/// What is wrong with the update in this run, and with whom.
#[derive(Clone, Debug)]
pub(super) struct Faulty {
    /// per stratum: which hosts crash
    susceptible: Vec<Chance>,
    shows: Shows,
    reports: Chance,
    heals: Chance,
    /// a crashed host is back after two boots of this length
    boot_ms: Ms,
    sybils: Chance,
    fake_crashes: bool,
}

impl Faulty {
    pub(super) fn new(scenario: &Scenario, sizes: &[u32], random: &mut Random) -> Faulty {
        let fault = scenario.fault.as_ref();
        let healing = scenario.healing;
        let (sybils, fake_crashes) = match scenario.theft {
            Some(Theft::Sybils { share, fake_crashes }) => (Chance::of(share), fake_crashes),
            _ => (Chance::NEVER, false),
        };
        Faulty {
            susceptible: susceptible(scenario, sizes, random),
            shows: fault.map_or(Shows::AtLoad, |fault| fault.shows),
            reports: Chance::of(fault.map_or(0.0, |fault| fault.reports_share)),
            heals: Chance::of(if healing.broken { 0.0 } else { healing.share }),
            boot_ms: (ms(healing.after_s) / 2).max(1),
            sybils,
            fake_crashes,
        }
    }
}

fn susceptible(scenario: &Scenario, sizes: &[u32], random: &mut Random) -> Vec<Chance> {
    let Some(fault) = &scenario.fault else { return vec![Chance::NEVER; sizes.len()] };
    let rate = match fault.rate {
        Rate::Fixed(rate) => rate,
        Rate::LogUniform { low, high } => (low.ln() + random.unit() * (high / low).ln()).exp(),
    };
    let everywhere = vec![true; sizes.len()];
    let only = |stratum: Option<usize>| match stratum {
        Some(stratum) => (0..sizes.len()).map(|at| at == stratum).collect(),
        None => everywhere.clone(),
    };
    let concerned: Vec<bool> = match fault.place {
        Place::Everywhere => only(None),
        Place::StratumRank(rank) => {
            let mut order: Vec<usize> = (0..sizes.len()).collect();
            order.sort_by_key(|at| (std::cmp::Reverse(sizes[*at]), *at));
            let at = order.get(usize::from(rank).saturating_sub(1));
            // A rank that the fleet does not have concerns nobody.
            only(Some(at.copied().unwrap_or(usize::MAX)))
        }
        Place::AnyStratumOrAll { hosts_min } => {
            let large = |at: &usize| u64::from(sizes[*at]) >= hosts_min;
            let large: Vec<usize> = (0..sizes.len()).filter(large).collect();
            let drawn = usize::try_from(random.below(large.len() as u64 + 1)).unwrap_or(usize::MAX);
            only(large.get(drawn).copied())
        }
    };
    let chance = |concerned: bool| if concerned { Chance::of(rate) } else { Chance::NEVER };
    concerned.into_iter().map(chance).collect()
}

/// Whether a machine runs the update and has confirmed it. The release before it is in slot A.
pub(super) fn runs_update(machine: &Machine) -> bool {
    machine.active() == Some(Slot::B) && machine.slot(Slot::B) == SlotState::Confirmed
}

impl Engine<'_> {
    /// Whether the update crashes this host sooner or later. A host that lies is no real host.
    #[inline]
    pub(super) fn dooms(&self, stratum: usize, host: u32) -> bool {
        let chance = self.faulty.susceptible[stratum];
        self.draws.hit(host, Purpose::Susceptible, chance) && !self.is_sybil(host)
    }

    #[inline]
    fn is_sybil(&self, host: u32) -> bool {
        self.draws.hit(host, Purpose::Sybil, self.faulty.sybils)
    }

    /// Time by the host's own clock.
    #[inline]
    pub(super) fn host_time(&self, host: u32, at: Ms) -> Time {
        let skew = self.delivery.skew(&self.draws, host);
        let by = Millis(skew.unsigned_abs());
        if skew < 0 { time(at).minus(by) } else { time(at).plus(by) }
    }

    /// Its turn has come: the content is there, the slots change over, it loads.
    pub(super) fn activate(&mut self, host: u32, at: Ms) {
        let state = &mut self.fleet.states[host as usize];
        // Whoever is not there when its turn comes takes it with its next contact.
        if self.halted || state.has(State::ACTIVATED) || state.has(State::OFF) {
            return;
        }
        let before = *state;
        state.set(State::ACTIVATED);
        if before.has(State::BAD) {
            state.set(State::BAD_BEFORE);
        }
        self.fleet.heard[host as usize] = at;
        self.fleet.activated[host as usize] = at;
        let place = self.fleet.place(host);
        let (stratum, rank) = (place.stratum, place.rank(host));
        if !self.tallies.covered(stratum, rank) {
            self.fleet.states[host as usize].set(State::STOLEN);
        }
        self.tallies.activate(self.tick, stratum, rank, before);
        self.waiting -= 1;
        self.out.exposed += 1;
        self.first_activation = Some(self.first_activation.map_or(at, |first| first.min(at)));
        self.note(Mark::Activated, host);
        let dooms = self.dooms(stratum, host);
        let at_load = dooms && self.faulty.shows == Shows::AtLoad;
        self.doomed += u64::from(dooms);
        let now = self.host_time(host, at);
        let soak = Millis(u64::from(self.soak_ms));
        let machine = self.fleet.machines.of(host);
        for event in [Event::Cleared, Event::Staged, Event::Activated { soak }, Event::Started] {
            machine.apply(now, event);
        }
        if at_load {
            return self.crash(host, at);
        }
        machine.apply(now, Event::Ready);
        self.wheel.push(at + self.soak_ms, host, Kind::Confirm);
        if dooms && let Shows::After(after_s) = self.faulty.shows {
            self.wheel.push(at + ms(after_s), host, Kind::Crash);
        }
        if self.faulty.fake_crashes && self.is_sybil(host) {
            self.report(host, at);
        }
    }

    /// The fault shows on a host that runs the update.
    pub(super) fn crash(&mut self, host: u32, at: Ms) {
        let state = self.fleet.states[host as usize];
        if state.has(State::GONE) || state.has(State::FELL_BACK) {
            return;
        }
        self.count_crash(host, at);
        if !state.has(State::OFF) && self.draws.hit(host, Purpose::Reports, self.faulty.reports) {
            return self.crash_component(host, at);
        }
        self.fleet.states[host as usize].set(State::DOWN);
        if !state.has(State::OFF) {
            // A crash at load comes with the contact that said: I am about to load it.
            self.go_off(host, self.last_contact(host, at), self.silent_after_ms);
        }
        self.wheel.push(at.saturating_add(self.faulty.boot_ms), host, Kind::Boot);
    }

    fn count_crash(&mut self, host: u32, at: Ms) {
        self.note(Mark::Crashed, host);
        let state = &mut self.fleet.states[host as usize];
        if state.has(State::CRASHED) {
            return;
        }
        state.set(State::CRASHED);
        self.out.crashed += 1;
        self.doomed -= 1;
        let age = at.saturating_sub(self.fleet.activated[host as usize]);
        for (after, _, crashed) in &mut self.budget {
            *crashed += u64::from(age <= *after);
        }
    }

    /// Only the component dies: the host stays up and says so at once.
    fn crash_component(&mut self, host: u32, at: Ms) {
        let now = self.host_time(host, at);
        let charged = Event::Charged { evidence: Evidence::Crash, frozen: self.halted };
        let machine = self.fleet.machines.of(host);
        let outcome = machine.apply(now, charged);
        if outcome == Outcome::Noted {
            // Not enough against a confirmed release: it starts again.
            machine.apply(now, Event::Started);
            machine.apply(now, Event::Ready);
        }
        if !self.draws.hit(host, Purpose::Heals, self.faulty.heals) || outcome.is_off() {
            self.need_hands(host);
        } else if outcome == Outcome::FellBack {
            self.fall_back(host);
        }
        self.report(host, at);
    }

    fn need_hands(&mut self, host: u32) {
        let state = &mut self.fleet.states[host as usize];
        if !state.has(State::HANDS) {
            state.set(State::HANDS);
            self.out.hands += 1;
        }
    }

    fn fall_back(&mut self, host: u32) {
        let place = self.fleet.place(host);
        let state = &mut self.fleet.states[host as usize];
        if !state.has(State::FELL_BACK) {
            self.tallies.fall_back(place.stratum, place.rank(host), *state);
            state.set(State::FELL_BACK);
        }
    }

    /// It boots after a crash. What was being risked is charged, exactly as `andon_host::Host` does:
    /// a release that was loading or soaking, not one that ran confirmed.
    pub(super) fn boot(&mut self, host: u32, at: Ms) {
        if self.fleet.states[host as usize].has(State::GONE) {
            return;
        }
        self.note(Mark::Booted, host);
        let now = self.host_time(host, at);
        let charged = Event::Charged { evidence: Evidence::HostDied, frozen: self.halted };
        let machine = self.fleet.machines.of(host);
        let risked = matches!(machine.phase(), Phase::Loading | Phase::Soaking);
        let outcome = if risked { machine.apply(now, charged) } else { Outcome::Noted };
        let healed = self.draws.hit(host, Purpose::Heals, self.faulty.heals);
        match outcome {
            Outcome::FellBack if healed => {
                self.fall_back(host);
                self.wheel.push(at.saturating_add(self.faulty.boot_ms), host, Kind::Up);
            }
            // Off, and the host up: somebody has to look, but it beats.
            Outcome::SafeMode | Outcome::Parked if healed => {
                self.need_hands(host);
                self.wheel.push(at, host, Kind::Up);
            }
            // What should go back does not: nobody hears of it any more.
            Outcome::FellBack | Outcome::SafeMode | Outcome::Parked => self.need_hands(host),
            // Nothing decided yet: the same release loads again.
            Outcome::Ignored | Outcome::Noted | Outcome::Confirmed => self.up(host, at),
        }
    }

    /// It is up and starts its release, after a crash or a restart.
    pub(super) fn up(&mut self, host: u32, at: Ms) {
        let state = self.fleet.states[host as usize];
        if state.has(State::GONE) || !state.has(State::OFF) {
            return;
        }
        if state.has(State::ACTIVATED) {
            let now = self.host_time(host, at);
            let stratum = self.fleet.place(host).stratum;
            let at_boot = matches!(self.faulty.shows, Shows::NextBoot { .. });
            let crashes = at_boot && !state.has(State::FELL_BACK) && self.dooms(stratum, host);
            let machine = self.fleet.machines.of(host);
            machine.apply(now, Event::Stopped);
            machine.apply(now, Event::Started);
            if crashes {
                return self.crash(host, at);
            }
            machine.apply(now, Event::Ready);
        }
        self.contact(host, at);
    }

    /// A silence that was none of the host's own doing is over.
    pub(super) fn come_back(&mut self, host: u32, at: Ms) {
        let state = self.fleet.states[host as usize];
        if state.has(State::OFF) && !state.has(State::DOWN) && !state.has(State::GONE) {
            self.contact(host, at);
        }
    }

    /// A host that was not heard of is.
    pub(super) fn contact(&mut self, host: u32, at: Ms) {
        let place = self.fleet.place(host);
        let (stratum, rank) = (place.stratum, place.rank(host));
        let state = &mut self.fleet.states[host as usize];
        let was_away = state.has(State::AWAY) || state.has(State::ASLEEP);
        for bits in [State::OFF, State::DOWN, State::AWAY, State::ASLEEP] {
            state.clear(bits);
        }
        let state = *state;
        self.fleet.heard[host as usize] = at.max(1);
        if was_away && !state.has(State::SILENT) {
            self.tallies.away(stratum, rank, true);
        }
        self.note(Mark::Back, host);
        if state.has(State::FELL_BACK) {
            self.report(host, at);
        }
        if !state.has(State::ACTIVATED) {
            self.waiting += 1;
            if self.is_covered(stratum, rank) {
                let at = self.delivery.activation(&self.draws, host, at, at);
                self.wheel.push(at.max(1), host, Kind::Activate);
            }
        } else if let Some(end) = self.fleet.machines.of(host).soak_ends() {
            let left = end.since(self.host_time(host, at));
            let left = Ms::try_from(left.0).unwrap_or(Ms::MAX);
            self.wheel.push(at.saturating_add(left), host, Kind::Confirm);
        }
    }

    /// Its watch period is over, if it still runs.
    pub(super) fn confirm(&mut self, host: u32, at: Ms) {
        let state = self.fleet.states[host as usize];
        if state.has(State::OFF) || state.has(State::CONFIRMED) {
            return;
        }
        let now = self.host_time(host, at);
        if self.fleet.machines.of(host).apply(now, Event::Tick) != Outcome::Confirmed {
            return;
        }
        self.fleet.states[host as usize].set(State::CONFIRMED);
        let place = self.fleet.place(host);
        self.tallies.confirm(place.stratum, place.rank(host));
        self.confirmed += 1;
        self.note(Mark::Confirmed, host);
    }

    /// A charge or a fallback reaches the server.
    fn report(&mut self, host: u32, at: Ms) {
        let state = self.fleet.states[host as usize];
        if state.has(State::REPORTED) {
            return;
        }
        self.fleet.states[host as usize].set(State::REPORTED);
        let place = self.fleet.place(host);
        let first_bad = !state.has(State::BAD);
        self.tallies.report(place.stratum, place.rank(host), first_bad);
        self.see_bad((place.stratum, place.rank(host)), host, at, first_bad);
        self.note(Mark::Reported, host);
    }

    fn see_bad(&mut self, place: (usize, u32), host: u32, at: Ms, first_bad: bool) {
        let state = self.fleet.states[host as usize];
        if first_bad && state.has(State::ACTIVATED) {
            let activated = self.fleet.activated[host as usize];
            self.tallies.bad(self.tick, place, activated, at, state.has(State::STOLEN));
        }
    }

    /// Whose silence has lasted. Stale looks are harmless: the host was heard of since.
    pub(super) fn look_for_silence(&mut self) {
        for host in self.wheel.take_looks() {
            let state = self.fleet.states[host as usize];
            let away = if state.has(State::AWAY) { self.restart_ms() } else { 0 };
            let heard = self.fleet.heard[host as usize];
            let declared = heard.saturating_add(self.silent_after_ms).saturating_add(away);
            let silent = state.has(State::OFF) && declared <= self.now();
            if !silent || state.has(State::SILENT) || state.has(State::ASLEEP) {
                continue;
            }
            let place = self.fleet.place(host);
            let rank = place.rank(host);
            if state.has(State::AWAY) {
                self.tallies.away(place.stratum, rank, true);
                self.fleet.states[host as usize].clear(State::AWAY);
            }
            self.fleet.states[host as usize].set(State::SILENT);
            let first_bad = !state.has(State::BAD);
            self.tallies.silence(place.stratum, rank, first_bad);
            self.see_bad((place.stratum, place.rank(host)), host, declared, first_bad);
            self.note(Mark::Silent, host);
        }
    }
}
