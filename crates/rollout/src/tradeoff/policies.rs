//! Six fixed policies that fleets use today, as schedules: what the planner is measured against.
//! They are models of published plans; feedback that a peer may have beyond the halt is not modelled.
use super::schedule::{Schedule, Wave};

/// A policy that knows nothing of attack and fault prior.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FixedPolicy {
    /// everybody at once, as content went out in July 2024
    AtOnce,
    /// rings of 1, 10 and 100 %, a day each
    Rings24h,
    /// 5, 25 and 100 %, an hour each (Bottlerocket's emergency waves)
    Timed3h,
    /// 1, 5, 10, 25 and 100 % at 1 h, 4 h, 1 d, 3 d and 6 d (Bottlerocket's default waves)
    SixDays,
    /// 16 hosts, then twice as many every hour
    HourlyDoubling,
    /// 20 hosts for ten minutes, then everybody
    CanaryThenAll,
}

const HOUR: f64 = 60.0;
const DAY: f64 = 24.0 * HOUR;

impl FixedPolicy {
    /// All six.
    pub const ALL: [FixedPolicy; 6] = [
        FixedPolicy::AtOnce,
        FixedPolicy::Rings24h,
        FixedPolicy::Timed3h,
        FixedPolicy::SixDays,
        FixedPolicy::HourlyDoubling,
        FixedPolicy::CanaryThenAll,
    ];

    /// A stable name for scripts.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            FixedPolicy::AtOnce => "all-at-once",
            FixedPolicy::Rings24h => "rings-24h",
            FixedPolicy::Timed3h => "timed-3h",
            FixedPolicy::SixDays => "six-days",
            FixedPolicy::HourlyDoubling => "hourly-doubling",
            FixedPolicy::CanaryThenAll => "canary-then-all",
        }
    }

    /// Its waves on a fleet of `hosts` (a whole number, at least 1).
    pub(crate) fn schedule(self, hosts: f64) -> Schedule {
        let day = |n: f64| n * DAY;
        match self {
            FixedPolicy::AtOnce => Schedule::at_once(hosts),
            FixedPolicy::Rings24h => {
                shares(hosts, &[(0.01, 0.0), (0.1, day(1.0)), (1.0, day(2.0))])
            }
            FixedPolicy::Timed3h => shares(hosts, &[(0.05, 0.0), (0.25, HOUR), (1.0, 2.0 * HOUR)]),
            FixedPolicy::SixDays => shares(
                hosts,
                &[
                    (0.01, HOUR),
                    (0.05, 4.0 * HOUR),
                    (0.1, day(1.0)),
                    (0.25, day(3.0)),
                    (1.0, day(6.0)),
                ],
            ),
            FixedPolicy::HourlyDoubling => Schedule::geometric(hosts, 16.0, 2.0, HOUR)
                .unwrap_or_else(|| Schedule::at_once(hosts)),
            FixedPolicy::CanaryThenAll => shares(hosts, &[(20.0 / hosts, 0.0), (1.0, 10.0)]),
        }
    }
}

/// (share of the hosts so far, minute). Shares are rounded up; a wave that adds nobody is left out.
fn shares(hosts: f64, steps: &[(f64, f64)]) -> Schedule {
    let total = |share: f64| (share * hosts * (1.0 - 1e-12)).ceil().clamp(1.0, hosts);
    let mut waves = steps.iter().map(|(share, at_min)| (total(*share), *at_min));
    let mut out = Schedule::at_once(hosts);
    if let Some((hosts_total, at_min)) = waves.next() {
        out.resize(0, hosts_total);
        out.retime(0, at_min);
    }
    for (hosts_total, at_min) in waves {
        if hosts_total > out.last().hosts_total {
            out.push(Wave { hosts_total, at_min });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_end_with_every_host_on_fleets_of_any_size() {
        for hosts in [1.0, 2.0, 3.0, 17.0, 99.0, 1001.0, 8.5e6, 5e7] {
            for policy in FixedPolicy::ALL {
                let schedule = policy.schedule(hosts);
                assert_eq!(Schedule::new(schedule.waves()), Ok(schedule), "{policy:?} of {hosts}");
                assert_eq!(schedule.last().hosts_total, hosts, "{policy:?}");
            }
        }
    }

    #[test]
    fn waves_are_as_published() {
        let shape = |policy: FixedPolicy| {
            let schedule = policy.schedule(1000.0);
            schedule.waves().iter().map(|w| (w.hosts_total, w.at_min)).collect::<Vec<_>>()
        };
        assert_eq!(shape(FixedPolicy::Rings24h), [(10.0, 0.0), (100.0, 1440.0), (1000.0, 2880.0)]);
        assert_eq!(shape(FixedPolicy::Timed3h), [(50.0, 0.0), (250.0, 60.0), (1000.0, 120.0)]);
        let six_days =
            [(10.0, 60.0), (50.0, 240.0), (100.0, 1440.0), (250.0, 4320.0), (1000.0, 8640.0)];
        assert_eq!(shape(FixedPolicy::SixDays), six_days);
        assert_eq!(shape(FixedPolicy::CanaryThenAll), [(20.0, 0.0), (1000.0, 10.0)]);
        assert_eq!(shape(FixedPolicy::HourlyDoubling)[6], (1000.0, 360.0));
    }
}
