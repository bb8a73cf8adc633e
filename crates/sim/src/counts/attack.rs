//! The attack among hosts without the update, in whole hosts. An attack asks neither for a stratum nor
//! whether a host is in contact, so at any moment every host without the update is as likely infected
//! as any other: one pool of the whole fleet is enough, and those that get the update are a draw
//! without replacement from it. Being infected changes nothing else about a host: it beats, is watched
//! and takes the update like any other, and the update does not clean it.
use super::Play;
use crate::random::Random;
use crate::scenario::{Attack, Scenario};

/// Who is infected, by number.
#[derive(Debug)]
pub(super) struct Infection {
    attack: Attack,
    /// a stream of its own: an attack moves no draw of anything else
    random: Random,
    hosts: u32,
    /// without the update
    without: u32,
    /// of these, not infected
    open: u32,
    infected: u32,
}

impl Infection {
    /// `None` where nobody attacks.
    pub(super) fn new(
        scenario: &Scenario,
        sizes: &[u32],
        seed: u64,
        run: u64,
    ) -> Option<Infection> {
        let attack = scenario.attack?;
        let hosts = sizes.iter().fold(0_u32, |sum, size| sum.saturating_add(*size));
        let infected = match attack {
            Attack::Hazard { .. } => 0,
            Attack::Spreads { infected, .. } => u32::try_from(infected).unwrap_or(hosts).min(hosts),
        };
        let random = Random::new(seed, run, 3);
        let open = hosts - infected;
        Some(Infection { attack, random, hosts, without: hosts, open, infected })
    }

    /// Hosts infected so far.
    pub(super) fn infected(&self) -> u32 {
        self.infected
    }

    /// `exposed` hosts have the update by now; so many minutes go by. Answers the newly infected.
    fn spread(&mut self, exposed: u64, minutes: f64) -> u32 {
        let without = self.hosts - u32::try_from(exposed).unwrap_or(self.hosts).min(self.hosts);
        let safe = self.without - without.min(self.without);
        self.open -= self.random.hypergeometric(self.without, self.open, safe);
        self.without -= safe;
        let per_min = match self.attack {
            Attack::Hazard { per_min } => per_min,
            Attack::Spreads { per_min, .. } => {
                per_min * f64::from(self.infected) / f64::from(self.hosts.max(1))
            }
        };
        let lost = self.random.binomial(self.open, -(-per_min * minutes).exp_m1());
        self.open -= lost;
        self.infected += lost;
        lost
    }
}

impl Play<'_> {
    /// The attack goes on for a tick.
    pub(super) fn infect(&mut self, tick: usize) {
        let (exposed, minutes) = (self.out.exposed, self.beat_s / 60.0);
        if let Some(infection) = &mut self.infection {
            let lost = infection.spread(exposed, minutes);
            self.event(tick, 10, 0, lost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;

    fn infection(attack: Attack, hosts: u32, run: u64) -> Infection {
        let scenario = Scenario { attack: Some(attack), ..catalogue::scenario("good").unwrap() };
        Infection::new(&scenario, &[hosts - 1, 1], 1, run).unwrap()
    }

    /// Mean within five standard errors of N (1 - exp(-h t)), with a third of the fleet safe half-way.
    #[test]
    fn a_hazard_takes_its_share_of_those_without_the_update() {
        let (hosts, runs) = (3000_u32, 400_u64);
        let mut sum = 0_u64;
        for run in 0..runs {
            let mut it = infection(Attack::Hazard { per_min: 0.01 }, hosts, run);
            for minute in 0..100 {
                it.spread(if minute < 50 { 0 } else { 1000 }, 1.0);
            }
            sum += u64::from(it.infected());
        }
        let (half, all) = (-(-0.5_f64).exp_m1(), -(-1.0_f64).exp_m1());
        let mean = 1000.0 * half + 2000.0 * all;
        let error = ((1000.0 * half * (1.0 - half) + 2000.0 * all * (1.0 - all)) / 400.0).sqrt();
        let found = sum as f64 / runs as f64;
        assert!((found - mean).abs() < 5.0 * error, "{found} for {mean} (standard error {error})");
    }

    #[test]
    fn a_worm_without_a_host_or_without_a_victim_stands_still() {
        let worm = |infected| Attack::Spreads { per_min: 1.0, infected };
        let mut nobody = infection(worm(0), 100, 1);
        let mut everybody = infection(worm(1000), 100, 1);
        let mut safe = infection(worm(7), 100, 1);
        for _ in 0..50 {
            assert_eq!((nobody.spread(0, 1.0), everybody.spread(0, 1.0)), (0, 0));
            assert_eq!(safe.spread(100, 1.0), 0);
        }
        assert_eq!((nobody.infected(), everybody.infected(), safe.infected()), (0, 100, 7));
    }
}
