//! The expected loss against a second implementation that walks through time in small steps and
//! follows the equations of `docs/spec/tradeoff.md` as they stand there, one (D, q) after the other.
use super::worlds::{Random, inputs};
use andon_rollout::tradeoff::{Attack, Inputs, Schedule, ScheduleError, Wave, World, outcome};

/// Minutes per step while hosts are open to attack.
const STEP_MIN: f64 = 0.05;

struct Walk<'a> {
    inputs: &'a Inputs,
    schedule: &'a Schedule,
}

impl Walk<'_> {
    fn updated(&self, time: f64, halt: f64) -> f64 {
        let out = |wave: &&Wave| wave.at_min <= time && wave.at_min < halt - 1e-6;
        self.schedule.waves().iter().rev().find(out).map_or(0.0, |wave| wave.hosts_total)
    }

    /// Share infected anew by the end, if hand-outs stop at `halt` and the fix comes at `fixed`.
    fn infected(&self, halt: f64, fixed: f64) -> f64 {
        let (hazard, spread, start) = match self.inputs.attack {
            Attack::Hazard { rate_per_min } => (rate_per_min, 0.0, 0.0),
            Attack::Spread { rate_per_min, infected_share } => (0.0, rate_per_min, infected_share),
        };
        let hosts = self.inputs.hosts as f64;
        let end =
            self.schedule.last().at_min.min(fixed).max(if halt.is_finite() { fixed } else { 0.0 });
        let (mut open, mut infected, mut updated) = (1.0 - start, start, 0.0);
        let mut at = 0.0;
        loop {
            let now = if at >= fixed { hosts } else { self.updated(at, halt) };
            if now > updated {
                open *= (hosts - now) / (hosts - updated);
                updated = now;
            }
            if at >= end || open <= 0.0 {
                return infected - start;
            }
            // A step ends where something happens.
            let events = self.schedule.waves().iter().map(|w| w.at_min).chain([fixed, end]);
            let next = events.filter(|event| *event > at).fold(at + STEP_MIN, f64::min);
            let dt = next - at;
            let slope = |s: f64, i: f64| s * (hazard + spread * i);
            // Runge and Kutta, fourth order
            let moved = |fallen: f64| dt * slope(open - fallen, infected + fallen);
            let one = moved(0.0);
            let two = moved(0.5 * one);
            let three = moved(0.5 * two);
            let four = moved(three);
            let fallen = (one + 2.0 * two + 2.0 * three + four) / 6.0;
            (open, infected, at) = (open - fallen, infected + fallen, next);
        }
    }

    fn crash_hours(&self, crashed: f64) -> f64 {
        let sum: f64 = self.inputs.heal.iter().map(|h| h.weight).sum();
        let one = |share: f64| {
            let by_hand = crashed * (1.0 - share);
            self.inputs.repair_host_hours * by_hand
                + by_hand * by_hand / (2.0 * self.inputs.repairs_per_min) / 60.0
                + crashed * share * self.inputs.fallback_min / 60.0
        };
        self.inputs.heal.iter().map(|h| h.weight / sum * one(h.value)).sum()
    }

    fn loss(&self, crashes: f64) -> f64 {
        let weight = |list: &[andon_rollout::tradeoff::Weighted]| -> f64 {
            list.iter().map(|entry| entry.weight).sum()
        };
        let per_share = self.inputs.infected_cost_host_hours * self.inputs.hosts as f64;
        let good = per_share * self.infected(f64::INFINITY, f64::INFINITY);
        let mut faulty = 0.0;
        for kill in &self.inputs.kill_fractions {
            let seen = |wave: &&Wave| wave.hosts_total * kill.value >= crashes * (1.0 - 1e-9);
            let seen = self.schedule.waves().iter().find(seen);
            for delay in &self.inputs.fault_delays {
                let lag = delay.value + self.inputs.detection_min;
                let halt = seen.map_or(f64::INFINITY, |wave| wave.at_min + lag);
                let crashed = kill.value * self.updated(f64::INFINITY, halt);
                let fixed = halt + self.inputs.fix_min;
                let loss = self.crash_hours(crashed) + per_share * self.infected(halt, fixed);
                faulty += kill.weight * delay.weight * loss;
            }
        }
        faulty /= weight(&self.inputs.kill_fractions) * weight(&self.inputs.fault_delays);
        let faulty_probability = self.inputs.faulty_probability;
        (1.0 - faulty_probability) * good + faulty_probability * faulty
    }
}

#[test]
fn expected_loss_agrees_with_small_steps_on_random_worlds_and_schedules() {
    let mut random = Random::new(21);
    for at in 0..60 {
        let mut inputs = inputs(&mut random);
        // small steps take long where faults hide for days
        for delay in &mut inputs.fault_delays {
            delay.value = delay.value.min(100.0);
        }
        inputs.fix_min = inputs.fix_min.min(200.0);
        let world = World::new(&inputs).unwrap();
        let hosts = inputs.hosts as f64;
        let mut waves: Vec<Wave> = Vec::new();
        let mut at_min = 0.0;
        for _ in 0..random.below(6) {
            let before = waves.last().map_or(0.0, |w| w.hosts_total);
            let hosts_total = random.log(1.0, hosts).floor();
            if hosts_total > before && hosts_total < hosts {
                waves.push(Wave { hosts_total, at_min });
                at_min += random.log(0.01, 100.0);
            }
        }
        waves.push(Wave { hosts_total: hosts, at_min });
        let schedule = Schedule::new(&waves).unwrap();
        let got = outcome(&world, &schedule).unwrap().loss_host_hours;
        let want = Walk { inputs: &inputs, schedule: &schedule }.loss(world.verdict_crashes());
        assert!((got / want - 1.0).abs() < 1e-6, "{at}: {got} {want}\n{inputs:?}\n{schedule:?}");
    }
}

#[test]
fn a_schedule_of_another_fleet_is_refused() {
    let world = World::new(&Inputs::of_fleet(100)).unwrap();
    assert_eq!(outcome(&world, &Schedule::at_once(99.0)), Err(ScheduleError::Fleet));
}

#[test]
fn verdicts_need_more_crashes_at_a_smaller_alpha() {
    let crashes =
        |alpha| World::new(&Inputs { alpha, ..Inputs::of_fleet(100) }).unwrap().verdict_crashes();
    assert_eq!([crashes(0.05), crashes(0.001), crashes(1e-6)], [2.0, 3.0, 4.0]);
}
