//! The blast-radius curve B(D) under which the gate would let a schedule keep its pace.
//! It is a translation; the gate's own arithmetic, on what it counts, is in `gate::bound`.
use super::schedule::Schedule;
use super::world::World;

/// Two waves nearer than this stand at the same minute (60 microseconds).
const INSTANT_MIN: f64 = 1e-6;

/// (D in seconds, hosts): for each fault delay of the world the least whole B(D).
///
/// While nothing crashes, of v hosts past age D + d the gate infers that a fault crashes at most
/// the share min(1, ln(1/δ) / v), and hands the update to as many more as keep that share of the
/// hosts that are still unproven within B(D).
pub(crate) fn curve(world: &World, schedule: &Schedule) -> Vec<(u64, u64)> {
    let waves = schedule.waves();
    let mut out: Vec<(u64, u64)> = Vec::with_capacity(world.lags.len());
    for (lag, _) in &world.lags {
        let needed = waves.iter().map(|wave| {
            let proven = |w: &&super::Wave| w.at_min + lag <= wave.at_min + INSTANT_MIN;
            let v = waves.iter().rev().find(proven).map_or(0.0, |w| w.hosts_total);
            (world.doubt / v).min(1.0) * (wave.hosts_total - v)
        });
        let hosts = whole(needed.fold(1.0, f64::max).ceil());
        let after_s = whole(((lag - world.detection) * 60.0 - INSTANT_MIN).max(0.0).ceil());
        match out.last_mut() {
            Some(point) if point.0 == after_s => point.1 = point.1.max(hosts),
            _ => out.push((after_s, hosts)),
        }
    }
    out
}

/// A whole number of hosts or seconds as such.
#[expect(
    clippy::cast_possible_truncation,
    reason = "whole, at least 0 and far below 2^53: inputs are bounded by World::new"
)]
pub(crate) fn whole(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tradeoff::{Inputs, Wave, Weighted};

    #[test]
    fn curve_is_what_the_growth_law_asks() {
        let inputs = Inputs {
            fault_delays: vec![Weighted::new(0.0, 1.0), Weighted::new(10.0, 1.0)],
            delta: 0.001,
            ..Inputs::of_fleet(10_000)
        };
        let world = World::new(&inputs).unwrap();
        let wave = |hosts_total, at_min| Wave { hosts_total, at_min };
        let schedule =
            Schedule::new(&[wave(16.0, 0.0), wave(100.0, 1.0), wave(10_000.0, 11.0)]).unwrap();
        // D = 0: 16 unproven; then ln(1000)/16 of 84; then ln(1000)/100 of 9,900 = 683.9.
        // D = 10 min: at minute 1 nothing is proven, 100 may crash; at 11 the first 16 are:
        // ln(1000)/16 of 9,984 = 4,310.4.
        assert_eq!(curve(&world, &schedule), [(0, 684), (600, 4311)]);
        assert_eq!(curve(&world, &Schedule::at_once(10_000.0)), [(0, 10_000), (600, 10_000)]);
    }
}
