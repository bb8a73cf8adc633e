//! What happens to hosts whatever the update does: background silence, hosts that come and go,
//! outages, restarts, the attack. Drawn for the whole fleet at the boundary of a tick, by number and
//! then by host, so that it costs what happens and not what might. Treated hosts and controls are
//! drawn alike: nothing here asks which of both a host is.
use super::draws::{Chance, Draws, Purpose};
use super::engine::{Engine, Mark};
use super::fleet::{Fleet, State};
use super::grid::{Ms, ms, seconds};
use super::wheel::Kind;
use crate::random::Random;
use crate::scenario::{Attack, Outage, Scenario, Shows};
use andon_host::machine::Event;

/// A flapping host is silent for one to two minutes: longer than any patience.
const FLAP_S: f64 = 60.0;
/// A restarting host says that it will be back within so many seconds, and takes half of it at least.
const RESTART_S: f64 = 60.0;

/// Trouble's own state.
#[derive(Debug)]
pub(super) struct Trouble {
    random: Random,
    /// hosts that come and go
    flapping: Vec<u32>,
    asleep: Vec<u32>,
    common: Vec<Common>,
    attack: Infection,
    restart_ms: Ms,
}

/// An outage of a share of all hosts.
#[derive(Clone, Copy, Debug)]
struct Common {
    after_ms: Ms,
    share: Chance,
    /// its number: two outages take different hosts
    salt: u32,
    done: bool,
}

/// Hosts without the update, by number.
#[derive(Clone, Copy, Debug, Default)]
struct Infection {
    hosts: f64,
    /// without the update and not infected
    open: f64,
    infected: f64,
    exposed: f64,
}

impl Trouble {
    pub(super) fn new(
        scenario: &Scenario,
        fleet: &mut Fleet,
        draws: &Draws,
        mut random: Random,
    ) -> Trouble {
        let presence = scenario.presence;
        let hosts = fleet.hosts();
        let flaps =
            Chance::of(if presence.flapping_every_s > 0.0 { presence.flapping_share } else { 0.0 });
        let sleeps = Chance::of(asleep_share(scenario, hosts));
        let having = |purpose, chance: Chance| -> Vec<u32> {
            let none = chance == Chance::NEVER;
            let all = if none { 0..0 } else { 0..hosts };
            all.filter(|host| draws.hit(*host, purpose, chance)).collect()
        };
        let asleep = having(Purpose::Asleep, sleeps);
        for host in &asleep {
            fleet.states[*host as usize].set(State::ASLEEP);
            fleet.states[*host as usize].set(State::OFF);
        }
        let infected = match scenario.attack {
            Some(Attack::Spreads { infected, .. }) => f64::from(clamped(infected, hosts)),
            _ => 0.0,
        };
        Trouble {
            flapping: having(Purpose::Flaps, flaps),
            asleep,
            common: commons(&scenario.outages, &mut random),
            attack: Infection {
                hosts: f64::from(hosts),
                open: f64::from(hosts) - infected,
                infected,
                exposed: 0.0,
            },
            random,
            restart_ms: ms(RESTART_S),
        }
    }
    pub(super) fn asleep(&self) -> usize {
        self.asleep.len()
    }
    /// One of the first `hosts` hosts.
    fn any(&mut self, hosts: u32) -> u32 {
        clamped(self.random.below(u64::from(hosts)), hosts)
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rounded, positive"
    )]
    pub(super) fn infected(&self) -> u64 {
        self.attack.infected.round().max(0.0) as u64
    }
}

/// Share of the plan's hosts that sleep: a plan that leaves the sleeping out has none.
#[expect(clippy::cast_precision_loss, reason = "hosts are far below 2^53")]
fn asleep_share(scenario: &Scenario, planned: u32) -> f64 {
    let share = scenario.presence.asleep_share;
    let awake = scenario.hosts as f64 * (1.0 - share);
    (1.0 - awake / f64::from(planned.max(1))).clamp(0.0, share.clamp(0.0, 1.0))
}

fn clamped(number: u64, most: u32) -> u32 {
    u32::try_from(number).unwrap_or(most).min(most)
}

fn commons(outages: &[Outage], random: &mut Random) -> Vec<Common> {
    let mut out = Vec::new();
    for (salt, outage) in (1..).zip(outages) {
        if let Outage::Common { at_s, share } = *outage {
            let after_s = if at_s < 0.0 { random.unit() * -at_s } else { at_s };
            out.push(Common { after_ms: ms(after_s), share: Chance::of(share), salt, done: false });
        }
    }
    out
}

impl Engine<'_> {
    /// Everything of a tick's boundary.
    pub(super) fn strike(&mut self) {
        let at = self.grid.at(self.tick - 1);
        self.background(at);
        self.flap(at);
        self.wake(at);
        self.restart(at);
        self.common_outages(at);
        self.site_outages(at);
    }

    /// Number of hosts of `hosts` to which something of this rate per hour happens in a tick.
    fn happenings(&mut self, hosts: u32, per_h: f64) -> u32 {
        let p = self.grid.chance(per_h / 3600.0);
        self.trouble.random.binomial(hosts, p)
    }

    fn background(&mut self, at: Ms) {
        for stratum in 0..self.tallies.seen.len() {
            let (first, size) = (self.fleet.first(stratum), self.fleet.size(stratum));
            for _ in 0..self.happenings(size, self.scenario.background_per_h) {
                let host = first + self.trouble.any(size);
                if !self.fleet.states[host as usize].has(State::OFF) {
                    self.leave_for_good(host, at);
                }
            }
        }
    }

    fn flap(&mut self, at: Ms) {
        let flapping = clamped(self.trouble.flapping.len() as u64, u32::MAX);
        if flapping == 0 {
            return;
        }
        let per_h = 3600.0 / self.scenario.presence.flapping_every_s;
        for _ in 0..self.happenings(flapping, per_h) {
            let which = self.trouble.any(flapping);
            let host = self.trouble.flapping[which as usize];
            if !self.fleet.states[host as usize].has(State::OFF) {
                self.go_off(host, self.last_contact(host, at), self.silent_after_ms);
                let back = at + ms(FLAP_S * (1.0 + self.trouble.random.unit()));
                self.wheel.push(back, host, Kind::Return);
            }
        }
    }

    fn wake(&mut self, at: Ms) {
        let asleep = clamped(self.trouble.asleep.len() as u64, u32::MAX);
        for _ in 0..self.happenings(asleep, self.scenario.presence.wakes_per_h) {
            let left = clamped(self.trouble.asleep.len() as u64, u32::MAX);
            let which = self.trouble.any(left);
            let host = self.trouble.asleep.swap_remove(which as usize);
            if !self.fleet.states[host as usize].has(State::GONE) {
                self.contact(host, at);
            }
        }
    }

    /// Hosts restart on their own and announce it; only faults that show at a boot care.
    fn restart(&mut self, at: Ms) {
        let fault = self.scenario.fault.as_ref();
        let Some(Shows::NextBoot { boots_per_h }) = fault.map(|fault| fault.shows) else { return };
        for stratum in 0..self.tallies.seen.len() {
            let (first, size) = (self.fleet.first(stratum), self.fleet.size(stratum));
            for _ in 0..self.happenings(size, boots_per_h) {
                let host = first + self.trouble.any(size);
                if !self.fleet.states[host as usize].has(State::OFF) {
                    self.say_goodbye(host, at);
                }
            }
        }
    }

    fn say_goodbye(&mut self, host: u32, at: Ms) {
        let place = self.fleet.place(host);
        let state = &mut self.fleet.states[host as usize];
        if !state.has(State::SILENT) {
            self.tallies.away(place.stratum, place.rank(host), false);
        }
        state.set(State::AWAY);
        let now = self.host_time(host, at);
        if state_of(self, host).has(State::ACTIVATED) {
            self.fleet.machines.of(host).apply(now, Event::Stopped);
        }
        self.go_off(host, at, self.restart_ms() + self.silent_after_ms);
        let back = at + ms(RESTART_S * (0.5 + 0.5 * self.trouble.random.unit()));
        self.wheel.push(back, host, Kind::Up);
    }

    /// How long a restarting host asked for.
    pub(super) fn restart_ms(&self) -> Ms {
        self.trouble.restart_ms
    }

    fn common_outages(&mut self, at: Ms) {
        let Some(first) = self.first_activation else { return };
        for which in 0..self.trouble.common.len() {
            let Common { after_ms, share, salt, done } = self.trouble.common[which];
            if done || at < first.saturating_add(after_ms) {
                continue;
            }
            self.trouble.common[which].done = true;
            for host in 0..self.fleet.hosts() {
                // Another outage is another draw: shifted by its number, within 32 bits.
                let drawn = host.wrapping_add(salt.wrapping_mul(0x9e37_79b9));
                if self.draws.hit(drawn, Purpose::Outage, share) {
                    self.leave_for_good(host, at);
                }
            }
        }
    }

    fn site_outages(&mut self, at: Ms) {
        for which in 0..self.scenario.outages.len() {
            let Outage::Sites { sites, per_h } = self.scenario.outages[which] else { continue };
            let mean = f64::from(sites) * per_h * seconds(self.grid.tick_ms) / 3600.0;
            let struck = self.trouble.random.poisson(mean);
            let mut dark: Vec<u32> = (0..struck).map(|_| self.trouble.any(sites)).collect();
            dark.sort_unstable();
            if dark.is_empty() {
                continue;
            }
            for host in 0..self.fleet.hosts() {
                let site = self.draws.below(host, Purpose::Site, sites);
                if dark.binary_search(&site).is_ok() {
                    self.leave_for_good(host, at);
                }
            }
        }
    }

    /// A host falls silent for reasons of its own and is not heard of again in this run.
    fn leave_for_good(&mut self, host: u32, at: Ms) {
        let state = state_of(self, host);
        if state.has(State::GONE) {
            return;
        }
        if !state.has(State::OFF) {
            self.go_off(host, self.last_contact(host, at), self.silent_after_ms);
        }
        self.fleet.states[host as usize].set(State::GONE);
        if state.has(State::ACTIVATED) && !state.has(State::CRASHED) {
            let stratum = self.fleet.place(host).stratum;
            self.doomed -= u64::from(self.dooms(stratum, host));
        }
    }

    /// A host is not in contact any more; `heard` is its last contact.
    pub(super) fn go_off(&mut self, host: u32, heard: Ms, patience: Ms) {
        let state = &mut self.fleet.states[host as usize];
        state.set(State::OFF);
        self.waiting -= u64::from(!state.has(State::ACTIVATED));
        self.fleet.heard[host as usize] = heard;
        self.wheel.look(heard.saturating_add(patience), host);
        self.note(Mark::Gone, host);
    }

    /// The last beat up to `at` of a host in contact.
    pub(super) fn last_contact(&self, host: u32, at: Ms) -> Ms {
        let from = match self.fleet.heard[host as usize] {
            0 => self.phase(host),
            heard => heard,
        };
        // Before its first beat of the run it was heard of before the run: at its beginning, for us.
        at.checked_sub(from).map_or(0, |since| at - since % self.beat_ms)
    }

    /// The attack goes on among hosts without the update. Those that got it are drawn at random: of
    /// the infected ones too, which the update does not clean.
    pub(super) fn spread(&mut self) {
        let Some(attack) = self.scenario.attack else { return };
        #[expect(clippy::cast_precision_loss, reason = "hosts are far below 2^53")]
        let exposed = self.out.exposed as f64;
        let minutes = seconds(self.grid.tick_ms) / 60.0;
        let state = &mut self.trouble.attack;
        let without = state.hosts - state.exposed;
        if without > 0.0 {
            state.open *= (1.0 - (exposed - state.exposed) / without).max(0.0);
        }
        state.exposed = exposed;
        let force = match attack {
            Attack::Hazard { per_min } => per_min,
            Attack::Spreads { per_min, .. } => per_min * state.infected / state.hosts.max(1.0),
        };
        let lost = state.open * -(-force * minutes).exp_m1();
        state.open -= lost;
        state.infected += lost;
    }
}

fn state_of(engine: &Engine<'_>, host: u32) -> State {
    engine.fleet.states[host as usize]
}
