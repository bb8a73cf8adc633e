//! Two lines over one host: whose ticket covers it, and whose hosts a wave of the vendor's consists of.
use crate::lines::{operator, stratum, vendor_line};
use crate::world::at;
use andon_model::policy::{Lane, Watch};
use andon_model::position::Position;
use andon_model::release::Version;
use andon_model::ticket::{Ceiling, Newcomers, Step, Ticket};
use andon_model::{ComponentId, Digest, HostId, LineId, Millis, OperatorId, RolloutId, Time};
use andon_rollout::lines::{
    Covered, Permit, Seat, Waits, by_order, canary_cap, covered, share, share_canary,
};
use std::collections::BTreeMap;

fn ticket(line: &LineId, release: &[u8], seats: u64) -> Ticket {
    let (seed, release) = (Digest::of(line.to_string().as_bytes()), Digest::of(release));
    let mut order: Vec<Position> =
        (1..=100).map(|n| Position::of(&seed, &release, HostId::new(n).unwrap())).collect();
    order.sort_unstable();
    let handed = usize::try_from(seats).unwrap();
    Ticket {
        seats: Vec::new(),
        schema: 1,
        line: line.clone(),
        rollout: RolloutId::new("r1").unwrap(),
        release,
        component: ComponentId::new("content").unwrap(),
        version: Version(2),
        lane: Lane::Routine,
        generation: 1,
        seed,
        enrolled_max: HostId::new(100).ok(),
        newcomers: Newcomers::Excluded,
        planned: None,
        scheduled: vec![],
        told_apart: vec![],
        excluded: vec![],
        order: None,
        committed: None,
        ceilings: vec![Ceiling {
            late_max: None,
            stratum: stratum(0),
            position_max: handed.checked_sub(1).map(|last| order[last]),
            handed: u32::try_from(seats).unwrap(),
        }],
        steps: vec![Step { generation: 1, handed: seats, at: at(0) }],
        watch: Watch {
            beat: Millis(1000),
            silent_after: Millis(4000),
            restart_missed_ppm: andon_model::policy::restart_missed_ppm(),
        },
        not_before: at(0),
        not_after: Time(u64::MAX),
        evidence: Digest::of(b""),
        policy_version: 1,
        approvals: vec![],
    }
}

#[test]
fn a_host_activates_only_where_both_tickets_cover_it() {
    let operator_line = LineId::Operator(operator(1));
    let place = stratum(0);
    let (all, none, half) = (100, 0, 50);
    let (mut by_both, mut by_one) = (0, 0);
    for host in 1..=100 {
        let seat = |number| Seat { host: HostId::new(number).unwrap(), stratum: &place };
        // On the vendor line the same host has another number.
        let (own, pooled) = (seat(host), seat(101 - host));
        let ask = |vendor: Option<u64>, operator: u64| {
            let own_ticket = ticket(&operator_line, b"release", operator);
            let pooled_ticket = vendor.map(|seats| ticket(&vendor_line(), b"release", seats));
            let vendor =
                pooled_ticket.as_ref().map_or(Permit::NoLine, |t| Permit::Ticket(t, pooled));
            covered(vendor, Permit::Ticket(&own_ticket, own))
        };
        assert_eq!(ask(Some(all), all), Covered::ByBoth);
        assert_eq!(ask(Some(none), all), Covered::Not(Waits::VendorWave));
        assert_eq!(ask(Some(all), none), Covered::Not(Waits::OperatorWave));
        assert_eq!(ask(None, all), Covered::ByOperatorAlone);
        assert_eq!(ask(None, none), Covered::Not(Waits::OperatorWave));
        let (one, other) = (ask(Some(half), all).allows(), ask(Some(all), half).allows());
        assert_eq!(ask(Some(half), half).allows(), one && other, "exactly the intersection");
        by_both += u32::from(one && other);
        by_one += u32::from(one);
    }
    assert_eq!(by_one, 50, "16 means 16 on the vendor line too");
    assert!(by_both > 0 && by_both < 50, "{by_both}: the two orders are different ones");
}

#[test]
fn without_the_operators_ticket_nothing_activates() {
    let place = stratum(0);
    let seat = Seat { host: HostId::new(1).unwrap(), stratum: &place };
    let pooled = ticket(&vendor_line(), b"release", 100);
    let own = ticket(&LineId::Operator(operator(1)), b"release", 100);
    let other = ticket(&LineId::Operator(operator(1)), b"another", 100);
    for (vendor, operator, wanted) in [
        (Permit::Ticket(&pooled, seat), Permit::NoTicket, Waits::OperatorTicket),
        (Permit::Ticket(&pooled, seat), Permit::NoLine, Waits::OperatorTicket),
        (Permit::NoTicket, Permit::Ticket(&own, seat), Waits::VendorTicket),
        (Permit::Ticket(&pooled, seat), Permit::Ticket(&other, seat), Waits::SameRelease),
    ] {
        assert_eq!(covered(vendor, operator), Covered::Not(wanted));
    }
}

#[test]
fn shares_are_exact_in_sum_proportional_and_never_taken_back() {
    let names: Vec<OperatorId> = (0..4).map(operator).collect();
    let hosts = [10_u32, 1, 0, 989];
    let all: BTreeMap<OperatorId, u32> = names.iter().cloned().zip(hosts).collect();
    for step in [1_u32, 7, 16, 33, 250] {
        let mut left = all.clone();
        let mut handed = 0;
        while handed < 1000 {
            let wave = share(step, &left);
            let sum: u32 = wave.values().sum();
            assert_eq!(sum, step.min(1000 - handed), "exact in sum");
            handed += sum;
            for (name, part) in wave {
                let before = left[&name];
                let exact = f64::from(sum) * f64::from(before) / f64::from(1000 - handed + sum);
                assert!(f64::from(part) <= exact.ceil() && f64::from(part) >= exact.floor());
                *left.get_mut(&name).unwrap() -= part;
            }
        }
        assert!(left.values().all(|hosts| *hosts == 0), "{left:?}");
    }
    let order: Vec<OperatorId> = [0, 3, 3, 0, 1].into_iter().map(operator).collect();
    let counts: Vec<u32> = by_order(&order, 4).into_values().collect();
    assert_eq!(counts, [2, 0, 2], "the order itself says whose hosts stand in front");
    assert_eq!(by_order(&order, 99).into_values().sum::<u32>(), 5);
}

#[test]
fn no_operator_owns_the_canary_wave() {
    let left = |hosts: &[u32]| -> BTreeMap<OperatorId, u32> {
        hosts.iter().enumerate().map(|(at, hosts)| (operator(at), *hosts)).collect()
    };
    for (hosts, wave, permille, wanted) in [
        (&[9000, 500, 500][..], 16, 250, vec![4, 4, 4]),
        (&[9000, 500, 500], 16, 500, vec![8, 4, 4]),
        (&[9000, 500, 500], 16, 1000, vec![14, 1, 1]),
        (&[9000, 1, 500], 16, 400, vec![6, 1, 6]),
        (&[9000], 16, 100, vec![1]),
        (&[0, 5], 16, 1000, vec![0, 5]),
    ] {
        let parts: Vec<u32> = share_canary(wave, &left(hosts), permille).into_values().collect();
        let cap = canary_cap(wave, permille);
        assert!(parts.iter().all(|part| *part <= cap), "{parts:?} over {cap}");
        assert_eq!(parts, wanted, "{hosts:?} {permille}");
    }
}
