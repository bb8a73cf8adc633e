//! Hosts that are not there all the time, and hosts whose clocks are wrong: who sleeps at the start, who
//! wakes, and how long after its turn a host activates.
use super::Play;
use super::stratum::Stratum;
use crate::random::Random;
use crate::scenario::Scenario;

/// How long after its turn a host activates: the share of the remaining hosts that does so in each of the
/// next ticks. The last share is 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Delay {
    shares: Vec<f64>,
}

impl Delay {
    /// Even over `within_s` from its turn on. A host whose clock is behind believes in the ticket only
    /// once that has begun by its own clock, at whatever time it wakes up to it; of clocks that differ
    /// by up to `skew_s` to either side, half are behind. A clock that is constantly wrong measures
    /// periods rightly: it changes nothing else.
    pub(super) fn new(scenario: &Scenario, beat_s: f64) -> Delay {
        let within_s = scenario.delivery.within_s;
        let skew_s = scenario.presence.clock_skew_s.abs();
        let evenly = super::ticks_of(within_s, beat_s).max(1);
        if skew_s <= 0.0 {
            let share = |step: usize| 1.0 / f64::from(u32::try_from(evenly - step).unwrap_or(1));
            return Delay { shares: (0..evenly).map(share).collect() };
        }
        let steps = evenly.max(super::ticks_of(skew_s, beat_s));
        let part = |at_s: f64, of_s: f64| if of_s > 0.0 { (at_s / of_s).min(1.0) } else { 1.0 };
        let mut before = 0.0;
        let mut shares = Vec::with_capacity(steps);
        for step in 1..=steps {
            let at_s = super::seconds(step, beat_s);
            let by_now = part(at_s, within_s) * (0.5 + 0.5 * part(at_s, skew_s));
            shares.push(if before < 1.0 { (by_now - before) / (1.0 - before) } else { 1.0 });
            before = by_now;
        }
        Delay { shares }
    }

    /// Deals hosts out to the next ticks: (ticks from now, hosts).
    pub(super) fn deal<'a>(
        &'a self,
        hosts: u32,
        random: &'a mut Random,
    ) -> impl Iterator<Item = (usize, u32)> + 'a {
        let mut left = hosts;
        let one = move |(step, share): (usize, &f64)| {
            let now = random.binomial(left, *share);
            left -= now;
            (step, now)
        };
        self.shares.iter().enumerate().map(one).filter(|(_, now)| *now > 0)
    }
}

impl Stratum {
    /// Before the first ticket: so many of its hosts say goodbye.
    pub(super) fn put_to_sleep(&mut self, share: f64, random: &mut Random) {
        let [controls, gauge] = &mut self.controls;
        for pool in [&mut self.idle, controls, gauge] {
            pool.asleep = random.binomial(pool.alive, share);
            pool.alive -= pool.asleep;
        }
    }

    /// Of the sleeping ones this share wakes. Answers, per wave, those whose turn has come and gone: they
    /// are among the pending again.
    fn wake(&mut self, share: f64, random: &mut Random) -> Vec<(usize, u32)> {
        let [controls, gauge] = &mut self.controls;
        let waves = self.waves.iter_mut().map(|wave| &mut wave.pending);
        for pool in [&mut self.idle, controls, gauge].into_iter().chain(waves) {
            let woken = random.binomial(pool.asleep, share);
            pool.asleep -= woken;
            pool.alive += woken;
        }
        let mut late = Vec::new();
        for (at, wave) in self.waves.iter_mut().enumerate() {
            let woken = random.binomial(wave.missed.asleep, share);
            wave.missed.asleep -= woken;
            wave.pending.alive += woken;
            if woken > 0 {
                late.push((at, woken));
            }
        }
        late
    }
}

impl Play<'_> {
    /// Sleeping hosts wake. One that is covered fetches at once, as if its turn were now.
    pub(super) fn wake(&mut self, tick: usize) {
        let per_h = self.scenario.presence.wakes_per_h;
        if per_h <= 0.0 || self.scenario.presence.asleep_share <= 0.0 {
            return;
        }
        let share = -(-per_h * self.beat_s / 3600.0).exp_m1();
        for stratum in 0..self.strata.len() {
            for (wave, hosts) in self.strata[stratum].wake(share, &mut self.random) {
                self.release_later(tick, stratum, wave, hosts);
            }
        }
    }

    /// Whether anybody sleeps who may wake.
    pub(super) fn anybody_wakes(&self) -> bool {
        let presence = &self.scenario.presence;
        let asleep = |stratum: &Stratum| stratum.asleep() > 0;
        presence.wakes_per_h > 0.0 && presence.asleep_share > 0.0 && self.strata.iter().any(asleep)
    }
}
