//! Every schedule against its documentation, and what stops it, on fleets that the tests make up.
use super::Peer;
use crate::catalogue;
use crate::controller::{Controller as _, Seen, Sight, Standing};
use andon_model::Time;

/// A fleet in which every covered host is reached at once. `fate` says of a stratum's covered hosts how
/// many confirm, complain and fall silent, in thousandths, and after how many seconds.
struct Fleet {
    peer: Peer,
    sizes: Vec<u32>,
    fate: fn(usize) -> [u32; 3],
    answers_after_s: u64,
    /// (when, handed per stratum)
    past: Vec<(u64, Vec<u32>)>,
}

const HEALTHY: fn(usize) -> [u32; 3] = |_| [1000, 0, 0];
const DEAD: fn(usize) -> [u32; 3] = |_| [0, 0, 1000];
const START: u64 = 1_000_000;

impl Fleet {
    fn new(policy: &str, sizes: &[u32], fate: fn(usize) -> [u32; 3]) -> Fleet {
        let policy = catalogue::policy(policy).unwrap();
        let peer = Peer::new(&policy.kind, sizes).unwrap();
        Fleet { peer, sizes: sizes.to_vec(), fate, answers_after_s: 20, past: Vec::new() }
    }
    fn look(&mut self, at_s: u64) -> u64 {
        let handed =
            self.past.last().map_or(vec![0; self.sizes.len()], |(_, handed)| handed.clone());
        let answered = self.past.iter().rfind(|(at, _)| at + self.answers_after_s <= at_s);
        let seen: Vec<Seen> = (0..self.sizes.len())
            .map(|at| {
                let answered = answered.map_or(0, |(_, handed)| handed[at]);
                let [confirmed, reported, silent] = (self.fate)(at)
                    .map(|permille| answered / 1000 * permille + answered % 1000 * permille / 1000);
                let (hosts, handed) = (self.sizes[at], handed[at]);
                Seen { hosts, handed, delivered: handed, confirmed, reported, silent }
            })
            .collect();
        let sight = Sight { now: Time(START + at_s * 1000), seen: &seen, tallies: None };
        let handed = self.peer.tick(&sight).to_vec();
        if let Some((_, before)) = self.past.last() {
            assert!(before.iter().zip(&handed).all(|(before, now)| before <= now), "coverage fell");
        }
        assert!(handed.iter().zip(&self.sizes).all(|(handed, size)| handed <= size));
        let all = handed.iter().map(|hosts| u64::from(*hosts)).sum();
        self.past.push((at_s, handed));
        all
    }
    /// Looks every `step` seconds up to `until_s`; hosts covered then.
    fn run(&mut self, until_s: u64, step: usize) -> u64 {
        let from = self.past.last().map_or(0, |(at, _)| at + 1);
        (from..=until_s).step_by(step).for_each(|at_s| {
            self.look(at_s);
        });
        self.look(until_s)
    }
    fn standing(&self) -> Standing {
        self.peer.standing()
    }
}

/// Counts at a tick.
type Course = fn(usize) -> [u32; 3];

#[test]
fn schedules_are_as_documented() {
    const H: u64 = 3600;
    const D: u64 = 24 * H;
    let close = |share: f64, want: f64| (share - want).abs() < 0.0006;
    // (policy, [(seconds after the release, share of the fleet)])
    let cases: [(&str, &[(u64, f64)]); 7] = [
        ("all-at-once", &[(0, 1.0)]),
        ("rings-24h", &[(0, 0.01), (D - 1, 0.01), (D, 0.1), (2 * D - 1, 0.1), (2 * D, 1.0)]),
        (
            "vendor-rings-now",
            &[(0, 0.001), (H, 0.01), (4 * H - 1, 0.01), (4 * H, 0.1), (12 * H, 1.0)],
        ),
        // default-waves.toml: a percentage is reached by the end of its wave, the last opens whole. From
        // the third wave on the absolute seed lets nobody through before the end.
        (
            "bottlerocket-default",
            &[
                (H - 1, 1.0 / 2048.0),
                (4 * H, 0.01),
                (D, 0.05),
                (2 * D, 0.15),
                (4 * D, 0.4),
                (5 * D, 0.6),
                (6 * D - 1, 0.6),
                (6 * D, 1.0),
            ],
        ),
        // ohno.toml; at 78 minutes the absolute seed has let 6 % through, not the 11 % of a line.
        (
            "bottlerocket-ohno",
            &[
                (1799, 1.0 / 2048.0),
                (H, 0.05),
                (78 * 60, 0.06),
                (2 * H, 0.25),
                (9_000, 0.5),
                (3 * H - 1, 0.5),
                (3 * H, 1.0),
            ],
        ),
        // G·2^N in five equal steps over 20 minutes.
        (
            "aws-exponential",
            &[(0, 0.1), (239, 0.1), (240, 0.2), (480, 0.4), (720, 0.8), (959, 0.8), (960, 1.0)],
        ),
        ("fcos-linear", &[(0, 0.0), (H, 1.0 / 48.0), (24 * H, 0.5), (48 * H, 1.0)]),
    ];
    for (policy, points) in cases {
        let mut fleet = Fleet::new(policy, &[1_000_000, 900_000, 148_000], HEALTHY);
        fleet.look(0);
        for (at_s, want) in points {
            let share = fleet.look(*at_s) as f64 / 2_048_000.0;
            assert!(close(share, *want), "{policy} at {at_s} s: {share}, not {want}");
        }
        assert_ne!(fleet.standing(), Standing::Halted, "{policy}");
    }
}

#[test]
fn hands_come_evenly_and_to_the_host() {
    let kind = catalogue::policy("all-at-once").unwrap().kind;
    let mut peer = Peer::new(&kind, &[600, 300, 100]).unwrap();
    peer.cover(1);
    assert_eq!(peer.handed.iter().sum::<u32>(), 1);
    peer.cover(100);
    assert_eq!(peer.handed, [60, 30, 10]);
    peer.cover(99);
    assert_eq!(peer.handed, [60, 30, 10]);
    for hosts in 101..1_200 {
        peer.cover(hosts);
        assert_eq!(peer.handed.iter().sum::<u32>(), u32::try_from(hosts.min(1000)).unwrap());
    }
    assert_eq!(peer.handed, [600, 300, 100]);
}

#[test]
fn everybody_answering_is_done() {
    let mut fleet = Fleet::new("all-at-once", &[1000], HEALTHY);
    fleet.run(15, 5);
    assert_eq!(fleet.standing(), Standing::Running);
    fleet.run(60, 5);
    assert_eq!(fleet.standing(), Standing::Done);
}

#[test]
fn a_person_of_2024_stops_it_78_minutes_after_the_first_sign() {
    // Dead hosts are seen 20 s after the release: stopped 78 minutes later.
    let mut fleet = Fleet::new("fcos-linear", &[1_000_000], DEAD);
    fleet.run(4_690, 10);
    assert_eq!(fleet.standing(), Standing::Running);
    let covered = fleet.run(4_720, 10);
    assert_eq!(fleet.standing(), Standing::Halted);
    assert_eq!(fleet.run(20_000, 100), covered, "handed out after the stop");
    assert!((0.026..0.028).contains(&(covered as f64 / 1e6)), "{covered}");
}

#[test]
fn a_person_sees_one_kind_of_host_die_but_not_one_in_a_thousand_nor_a_power_cut() {
    let cases: [(&str, Course, bool); 4] = [
        ("small kind", |at| if at == 1 { [0, 0, 1000] } else { [1000, 0, 0] }, true),
        ("one in a thousand", |_| [999, 0, 1], false),
        ("5 % power cut", |_| [950, 0, 50], false),
        ("reports", |_| [800, 200, 0], true),
    ];
    for (what, fate, stopped) in cases {
        let mut fleet = Fleet::new("all-at-once", &[1_000_000, 20_000], fate);
        fleet.run(6_000, 10);
        assert_eq!(fleet.standing() == Standing::Halted, stopped, "{what}");
    }
}

#[test]
fn rings_stop_at_a_boundary_when_the_person_was_alarmed_before_it() {
    // Fewer than 78 minutes before the boundary: the look before the ring stops it.
    let mut fleet = Fleet::new("vendor-rings-now", &[1_000_000], HEALTHY);
    fleet.run(3_500, 10);
    fleet.fate = DEAD;
    let covered = fleet.run(3_590, 10);
    assert_eq!(fleet.standing(), Standing::Running);
    assert_eq!(fleet.run(3_600, 10), covered);
    assert_eq!((fleet.standing(), covered), (Standing::Halted, 1_000));
}

#[test]
fn hawkbit_opens_at_half_success_pauses_above_half_errors_and_waits_for_the_dead() {
    // (fate, looks, groups covered, standing)
    let cases: [(Course, u64, Standing); 5] = [
        (HEALTHY, 10, Standing::Done),
        (DEAD, 1, Standing::Running),
        (|_| [500, 0, 500], 10, Standing::Done),
        (|_| [499, 0, 501], 1, Standing::Running),
        (|_| [400, 600, 0], 1, Standing::Held),
    ];
    for (at, (fate, groups, standing)) in cases.into_iter().enumerate() {
        let mut fleet = Fleet::new("hawkbit", &[700_000, 300_000], fate);
        let covered = fleet.run(2_000, 5);
        assert_eq!((covered, fleet.standing()), (groups * 100_000, standing), "case {at}");
    }
    // Exactly half of a group in error is not above half.
    let mut fleet = Fleet::new("hawkbit", &[1_000_000], |_| [500, 500, 0]);
    assert_eq!(fleet.run(2_000, 5), 1_000_000);
}

#[test]
fn the_alarm_of_app_config_rolls_back_at_one_percent_and_ends_with_the_bake() {
    let mut fleet = Fleet::new("aws-exponential", &[1_000_000], |_| [980, 0, 20]);
    assert_eq!(fleet.run(200, 5), 100_000);
    assert_eq!(fleet.standing(), Standing::Halted);
    let mut fleet = Fleet::new("aws-exponential", &[1_000_000], |_| [995, 0, 5]);
    assert_eq!(fleet.run(1_801, 5), 1_000_000);
    // Nobody looks any more after 20 + 10 minutes.
    fleet.fate = DEAD;
    fleet.run(1_900, 5);
    assert_eq!(fleet.standing(), Standing::Done);
}

#[test]
fn nebraska_begins_with_one_host_and_stops_when_it_times_out() {
    let mut fleet = Fleet::new("nebraska-safe", &[600_000, 400_000], DEAD);
    assert_eq!(fleet.run(3_590, 10), 1);
    assert_eq!(fleet.standing(), Standing::Running);
    assert_eq!(fleet.run(3_700, 10), 1);
    assert_eq!(fleet.standing(), Standing::Halted);
}

#[test]
fn nebraska_grants_one_percent_per_period_after_the_first_host_answered() {
    let mut fleet = Fleet::new("nebraska-safe", &[600_000, 400_000], HEALTHY);
    assert_eq!(fleet.run(10, 10), 1);
    assert_eq!(fleet.run(890, 10), 10_000);
    let covered = fleet.run(1_780, 10);
    assert!((10_001..=20_000).contains(&covered), "{covered}");
    let day = fleet.run(90_000, 10);
    assert!(day > 950_000, "{day}");
    // A tenth of every grant dies: time-outs add up to 1 % of the fleet after ten periods.
    let mut fleet = Fleet::new("nebraska-safe", &[1_000_000], HEALTHY);
    fleet.run(100, 10);
    fleet.fate = |_| [900, 0, 100];
    let covered = fleet.run(40_000, 10);
    assert_eq!(fleet.standing(), Standing::Halted);
    assert!((100_000..160_000).contains(&covered), "{covered}");
}
