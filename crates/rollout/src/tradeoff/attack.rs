//! The attack on hosts without the update, in closed form between two waves.
//! It knows nothing of faults and waves; those are in `loss`.
use super::world::World;

/// Shares of the fleet, each 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Shares {
    /// without the update and not infected
    pub(crate) open: f64,
    /// infected, before or after the start; an update cures nobody
    pub(crate) infected: f64,
    /// infected since the start. Kept apart: the difference of two large shares would lose it
    pub(crate) fresh: f64,
}

impl Shares {
    /// Before the first wave.
    pub(crate) fn at_start(world: &World) -> Shares {
        let infected = world.infected_share;
        Shares { open: 1.0 - infected, infected, fresh: 0.0 }
    }

    /// After `minutes` in which nobody gets the update.
    ///
    /// With λ the hazard, β the spread and A = S + I constant, dS/dt = −S (λ + β (A − S)) is
    /// Bernoulli's equation; with h = λ + β I and a = λ + β A its loss over x minutes is
    /// S h (e^{a x} − 1) / (a + h (e^{a x} − 1)).
    pub(crate) fn after(self, world: &World, minutes: f64) -> Shares {
        let force = world.hazard + world.spread * self.infected;
        if force <= 0.0 || self.open <= 0.0 {
            return self;
        }
        let growth = world.hazard + world.spread * (self.open + self.infected);
        // Divided by the exponential, so that an overflow means "everybody" and 0 means "nobody".
        let fallen = self.open * force / (growth / (growth * minutes).exp_m1() + force);
        Shares {
            open: self.open - fallen,
            infected: self.infected + fallen,
            fresh: self.fresh + fallen,
        }
    }

    /// A wave reaches hosts in random order: of the open ones only `left` (a share) stay open.
    pub(crate) fn protect(self, left: f64) -> Shares {
        Shares { open: self.open * left, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tradeoff::{Attack, Inputs};

    fn world(attack: Attack) -> World {
        World::new(&Inputs { attack, ..Inputs::of_fleet(1000) }).unwrap()
    }

    /// Heun's method with small steps: shares no formula with the closed form.
    fn stepped(world: &World, mut at: Shares, minutes: f64) -> f64 {
        let steps = 200_000;
        let dt = minutes / f64::from(steps);
        let slope = |open: f64, infected: f64| open * (world.hazard + world.spread * infected);
        for _ in 0..steps {
            let first = slope(at.open, at.infected) * dt;
            let second = slope(at.open - first, at.infected + first) * dt;
            let fallen = f64::midpoint(first, second);
            at = Shares {
                open: at.open - fallen,
                infected: at.infected + fallen,
                fresh: at.fresh + fallen,
            };
        }
        at.fresh
    }

    #[test]
    fn closed_form_agrees_with_small_steps() {
        let spread = |rate_per_min, infected_share| Attack::Spread { rate_per_min, infected_share };
        let cases = [
            (Attack::Hazard { rate_per_min: 1e-8 }, 500.0),
            (Attack::Hazard { rate_per_min: 0.01 }, 500.0),
            (spread(0.03, 1e-4), 100.0),
            (spread(0.03, 1e-4), 600.0),
            (spread(0.5, 1e-6), 60.0),
        ];
        for (attack, minutes) in cases {
            let world = world(attack);
            let start = Shares::at_start(&world).protect(0.6);
            let (got, want) = (start.after(&world, minutes).fresh, stepped(&world, start, minutes));
            assert!((got / want - 1.0).abs() < 1e-6, "{attack:?}: {got} {want}");
        }
    }

    #[test]
    fn extreme_times_end_at_nobody_or_everybody() {
        let world = world(Attack::Spread { rate_per_min: 1e6, infected_share: 0.25 });
        let start = Shares::at_start(&world);
        assert_eq!(start.after(&world, 1e9).fresh, 0.75);
        assert_eq!(start.after(&world, 0.0), start);
        let still = self::world(Attack::Spread { rate_per_min: 1.0, infected_share: 0.0 });
        assert_eq!(Shares::at_start(&still).after(&still, 1e9).fresh, 0.0);
    }
}
