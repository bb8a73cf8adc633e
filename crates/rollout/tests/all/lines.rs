//! Two lines composed: pooled tallies, shares, coverage by both, coupled halts, honest blindness.
use crate::world::{Trouble, World, at, exposures, person, plan, plan_with, policy};
use andon_model::policy::{Lane, Watch};
use andon_model::position::Position;
use andon_model::release::Version;
use andon_model::text::Text;
use andon_model::ticket::{Ceiling, Newcomers, Step, Ticket};
use andon_model::{
    ComponentId, Digest, HostId, LineId, Millis, OperatorId, RolloutId, StratumId, Time, VendorId,
};
use andon_rollout::lines::{
    Covered, Lines, OperatorTally, Order, Permit, Pool, PoolDoubt, PoolError, Seat, Standing,
    Waits, by_order, canary_cap, cannot_see, covered, hosts_to_halt, on_halt, share, share_canary,
    unseen_rate,
};
use andon_rollout::windows;
use andon_rollout::{
    Action, ArmTally, Count, Event, HaltReason, HoldReason, Reason, Rollout, StateName,
    StratumTally,
};
use std::collections::{BTreeMap, BTreeSet};

fn operator(number: usize) -> OperatorId {
    OperatorId::new(&format!("o{number:04}")).unwrap()
}

fn stratum(number: usize) -> StratumId {
    StratumId::new(&format!("s{number:03}")).unwrap()
}

fn vendor_line() -> LineId {
    LineId::Vendor(VendorId::new("acme").unwrap())
}

fn arm(hosts: u32, bad: u32) -> ArmTally {
    let risk = Count::of(0, hosts);
    ArmTally {
        silence: Count::of(bad, hosts),
        report: risk,
        probe: risk,
        bad_new: bad,
        confirmed: hosts - bad,
        hosts,
        ..ArmTally::default()
    }
}

/// Operators with the same number of hosts in one stratum each, and the vendor line over them.
struct VendorLine {
    pool: Pool,
    rollout: Rollout,
    hosts: BTreeMap<OperatorId, u32>,
    /// per ticket, hosts of each operator, not cumulative
    waves: Vec<BTreeMap<OperatorId, u32>>,
}

impl VendorLine {
    fn new(operators: usize, hosts_each: u32) -> VendorLine {
        let hosts: BTreeMap<OperatorId, u32> =
            (0..operators).map(|number| (operator(number), hosts_each)).collect();
        let joined = hosts.iter().map(|(name, hosts)| (name.clone(), vec![*hosts])).collect();
        let pool = Pool::new(vec![stratum(0)], joined).unwrap();
        let size = pool.sizes()[&stratum(0)];
        let (rollout, first) = Rollout::start(plan(&[size]), at(0));
        let mut line = VendorLine { pool, rollout, hosts, waves: Vec::new() };
        line.issue(&first, 0);
        line
    }

    fn issue(&mut self, actions: &[Action], ms: u64) {
        for exposure in exposures(actions) {
            let before = self.rollout.waves().last().map_or(0, |wave| wave[0]);
            let mut left = self.hosts.clone();
            for wave in &self.waves {
                for (name, hosts) in wave {
                    *left.get_mut(name).unwrap() -= hosts;
                }
            }
            self.waves.push(share(exposure.handed[0] - before, &left));
            let event = Event::TicketIssued { generation: exposure.generation, at: at(ms) };
            self.rollout.apply(at(ms), event);
        }
    }

    /// What an operator reports; `bad`: all its hosts of the latest wave fall silent.
    fn report(&self, name: &OperatorId, bad: bool) -> OperatorTally {
        let last = self.waves.len() - 1;
        let one = |(at, wave): (usize, &BTreeMap<OperatorId, u32>)| {
            arm(wave[name], if bad && at == last { wave[name] } else { 0 })
        };
        let waves: Vec<ArmTally> = self.waves.iter().enumerate().map(one).collect();
        let handed: u32 = waves.iter().map(|arm| arm.hosts).sum();
        let controls = ArmTally { confirmed: 0, ..arm(self.hosts[name] - handed, 0) };
        OperatorTally {
            round: self.pool.round(),
            strata: vec![StratumTally { waves, controls, ..StratumTally::default() }],
        }
    }

    fn reports(&self, bad: bool) -> BTreeMap<OperatorId, OperatorTally> {
        self.hosts.keys().map(|name| (name.clone(), self.report(name, bad))).collect()
    }

    /// One round of the vendor line: merged and observed, or held.
    fn see(&mut self, ms: u64, reports: &BTreeMap<OperatorId, OperatorTally>) -> Vec<Action> {
        let event = match self.pool.merge(&self.rollout.waves(), reports) {
            Ok(mut seen) => {
                windows::by_wave(&self.rollout, at(ms), &mut seen);
                Event::Observed(seen)
            }
            Err(doubt) => doubt.event(),
        };
        let actions = self.rollout.apply(at(ms), event);
        self.issue(&actions, ms);
        actions
    }

    fn state(&self) -> StateName {
        self.rollout.explain(at(0)).state
    }
}

/// 2024 over 1,700 operators: none of them has enough hosts to see anything, all together do.
#[test]
fn the_vendor_line_halts_after_one_canary_wave_over_1700_small_operators() {
    let mut line = VendorLine::new(1700, 5);
    let canaries: u32 = line.waves[0].values().sum();
    assert_eq!(canaries, 16);
    let reports = line.reports(true);
    let actions = line.see(5000, &reports);
    let Action::Freeze { reason } = &actions[0] else { panic!("{actions:?}") };
    let lines = Lines {
        vendor: Some(VendorId::new("acme").unwrap()),
        operators: line.hosts.keys().cloned().collect(),
    };
    let orders = on_halt(&vendor_line(), reason, Digest::of(b"freeze"), &lines);
    assert_eq!(orders.len(), 1700);
    for order in &orders {
        let (mut own, _) = Rollout::start(plan(&[5]), at(0));
        own.apply(at(1), Event::TicketIssued { generation: 1, at: at(1) });
        own.apply(at(2), order.event().unwrap());
        assert_eq!(own.explain(at(2)).state, StateName::Halted);
        assert!(own.apply(at(3), Event::Resumed { by: person("ada") }).is_empty());
    }
    let (_, alone) = plan_with(&policy(&[(0, 100)]), Lane::Routine, &[5]);
    assert_eq!(alone.crashes_to_halt, None, "an operator of five hosts would never have seen it");
}

#[test]
fn a_good_update_completes_over_the_pool() {
    let mut line = VendorLine::new(40, 25);
    for second in 1..200 {
        let reports = line.reports(false);
        line.see(second * 1000, &reports);
    }
    assert_eq!(line.state(), StateName::Completed);
    let handed: u32 = line.waves.iter().flat_map(BTreeMap::values).sum();
    assert_eq!(handed, 1000);
    for (name, hosts) in &line.hosts {
        assert_eq!(line.waves.iter().map(|wave| wave[name]).sum::<u32>(), *hosts);
    }
}

/// A sum that leaves somebody out would look healthier than the fleet is.
#[test]
fn a_missing_operator_is_doubt_and_doubt_holds() {
    type Spoil = fn(&mut BTreeMap<OperatorId, OperatorTally>);
    let cases: Vec<(Spoil, PoolDoubt)> = vec![
        (|all| drop(all.remove(&operator(3))), PoolDoubt::OperatorMissing(operator(3))),
        (
            |all| drop(all.insert(operator(9), OperatorTally::default())),
            PoolDoubt::OperatorUnknown(operator(9)),
        ),
        (
            |all| all.get_mut(&operator(1)).unwrap().round = 7,
            PoolDoubt::Round { operator: operator(1), got: 7, want: 1 },
        ),
        (
            |all| all.get_mut(&operator(1)).unwrap().strata.clear(),
            PoolDoubt::StrataMissing { operator: operator(1), got: 0, want: 1 },
        ),
        (
            |all| all.get_mut(&operator(1)).unwrap().strata[0].waves.clear(),
            PoolDoubt::WavesMissing { operator: operator(1), stratum: stratum(0), got: 0, want: 1 },
        ),
        (
            |all| all.get_mut(&operator(1)).unwrap().strata[0].controls.hosts += 1,
            PoolDoubt::HostsExceed {
                operator: operator(1),
                stratum: stratum(0),
                got: 51,
                want: 50,
            },
        ),
        (
            |all| {
                all.get_mut(&operator(0)).unwrap().strata[0].controls.probe.at_risk = u32::MAX;
            },
            PoolDoubt::Overflow,
        ),
    ];
    for (spoil, wanted) in cases {
        let mut line = VendorLine::new(4, 50);
        let mut reports = line.reports(false);
        spoil(&mut reports);
        assert_eq!(line.pool.merge(&line.rollout.waves(), &reports), Err(wanted.clone()));
        let actions = line.see(8000, &reports);
        assert_eq!(actions[0], Action::Withdraw, "{wanted}");
        assert_eq!((line.state(), line.pool.round()), (StateName::Held, 1), "{wanted}");
        let Reason::Held(HoldReason::ActionFailed { what, .. }) =
            line.rollout.explain(at(1)).reason
        else {
            panic!("{wanted}")
        };
        assert_eq!(what.as_str(), format!("pool tallies: {wanted}"));
        let whole = line.reports(false);
        assert!(line.see(9000, &whole).is_empty(), "held means held");
        line.rollout.apply(at(9000), Event::Resumed { by: person("ada") });
        let whole = line.reports(false);
        assert_eq!(exposures(&line.see(9001, &whole)).len(), 1, "{wanted}");
    }
}

/// Whose hosts are missing cannot be told from a sum; that some are, the vendor's rollout notices.
#[test]
fn an_operator_that_counts_too_few_hosts_makes_the_vendor_line_hold() {
    let mut line = VendorLine::new(4, 50);
    let mut reports = line.reports(false);
    reports.get_mut(&operator(1)).unwrap().strata[0].controls = arm(3, 0);
    line.see(8000, &reports);
    let reason = line.rollout.explain(at(8000)).reason;
    assert!(matches!(reason, Reason::Held(HoldReason::CountsDoNotAddUp { .. })), "{reason:?}");
}

#[test]
fn a_round_told_twice_counts_once() {
    let mut line = VendorLine::new(3, 50);
    let reports = line.reports(false);
    assert!(line.pool.merge(&line.rollout.waves(), &reports).is_ok());
    let doubt = line.pool.merge(&line.rollout.waves(), &reports).unwrap_err();
    assert_eq!(doubt, PoolDoubt::Round { operator: operator(0), got: 1, want: 2 });
}

#[test]
fn pools_that_cannot_be_counted_are_refused() {
    let pool = |hosts: &[&[u32]]| {
        let joined = hosts.iter().enumerate().map(|(at, hosts)| (operator(at), hosts.to_vec()));
        Pool::new(vec![stratum(0)], joined.collect()).map(|pool| pool.sizes()[&stratum(0)])
    };
    assert_eq!(pool(&[&[3], &[4]]), Ok(7));
    assert_eq!(
        pool(&[&[3], &[4, 5]]),
        Err(PoolError::Strata { operator: operator(1), got: 2, want: 1 })
    );
    assert_eq!(pool(&[&[u32::MAX], &[1]]), Err(PoolError::Hosts(stratum(0))));
}

/// An operator that halted goes on being counted; one that left stays unvouched and is no control.
#[test]
fn an_operators_halt_holds_the_vendor_line_and_its_tally_still_counts() {
    let mut line = VendorLine::new(4, 50);
    let lines = Lines {
        vendor: Some(VendorId::new("acme").unwrap()),
        operators: line.hosts.keys().cloned().collect(),
    };
    let reason = HaltReason::Person { by: person("ada"), reason: Text::clipped("printers") };
    let orders = on_halt(&LineId::Operator(operator(2)), &reason, Digest::of(b"f"), &lines);
    assert!(orders.iter().all(|order| order.line == vendor_line()), "{orders:?}");
    for order in orders {
        match (&order.order, order.event()) {
            (Order::Count { operator, standing }, None) => {
                assert_eq!(*standing, Standing::Halted);
                assert!(line.pool.set_standing(operator, *standing));
            }
            (Order::Hold { why }, Some(event)) => {
                assert_eq!(why.as_str(), "operator o0002 has halted: ada: printers");
                line.rollout.apply(at(1000), event);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(line.state(), StateName::Held);
    let mut without = line.reports(false);
    without.remove(&operator(2));
    let doubt = line.pool.merge(&line.rollout.waves(), &without).unwrap_err();
    assert_eq!(doubt, PoolDoubt::OperatorMissing(operator(2)), "missing, not forgotten");
    let mut bad = line.reports(false);
    bad.insert(operator(2), line.report(&operator(2), true));
    line.see(5000, &bad);
    let seen = line.rollout.explain(at(5000));
    assert_eq!(seen.crashed, u64::from(line.waves[0][&operator(2)]), "evidence as it comes");
}

#[test]
fn an_operator_that_left_is_neither_control_nor_vouched() {
    let mut line = VendorLine::new(4, 50);
    assert!(line.pool.set_standing(&operator(2), Standing::Withdrawn));
    let mut reports = line.reports(false);
    reports.remove(&operator(2));
    let mut seen = line.pool.merge(&line.rollout.waves(), &reports).unwrap();
    let (wave, controls) = (seen.strata[0].waves[0], seen.strata[0].controls);
    assert_eq!((wave.hosts, wave.confirmed, wave.silence), (16, 12, Count::of(0, 12)));
    assert_eq!((controls.hosts, controls.silence), (184, Count::of(0, 138)));
    windows::by_wave(&line.rollout, at(8000), &mut seen);
    let actions = line.rollout.apply(at(8000), Event::Observed(seen));
    assert_eq!(exposures(&actions).len(), 1, "the others go on: {actions:?}");
}

#[test]
fn halts_go_where_they_must_and_nowhere_else() {
    let gate = HaltReason::Gate {
        e: 2000.0,
        threshold: 1000.0,
        channel: andon_rollout::gate::Channel::Silence,
        stratum: None,
    };
    let person = HaltReason::Person { by: person("ada"), reason: Text::clipped("wrong file") };
    let frozen = HaltReason::Frozen { by: "platform".to_owned(), digest: Digest::of(b"other") };
    let operators: BTreeSet<OperatorId> = [operator(1), operator(2)].into();
    let vendor = Some(VendorId::new("acme").unwrap());
    let both = Lines { vendor: vendor.clone(), operators: operators.clone() };
    let digest = Digest::of(b"freeze");
    let halt = |by: &str, digest| Order::Halt { by: by.to_owned(), digest };
    let hold = |why: &str| Order::Hold { why: Text::clipped(why) };
    for (reason, wanted) in [
        (&gate, halt("gate of vendor:acme", digest)),
        (&frozen, halt("platform", Digest::of(b"other"))),
        (&person, hold("vendor:acme has halted: ada: wrong file")),
    ] {
        let orders = on_halt(&vendor_line(), reason, digest, &both);
        let lines: Vec<String> = orders.iter().map(|order| order.line.to_string()).collect();
        assert_eq!(lines, ["operator:o0001", "operator:o0002"]);
        assert!(orders.iter().all(|order| order.order == wanted), "{orders:?}");
    }
    let alone = Lines { vendor: None, operators };
    let from = LineId::Operator(operator(1));
    assert!(on_halt(&from, &gate, digest, &alone).is_empty(), "operators alone are alone");
    assert!(on_halt(&LineId::Operator(operator(7)), &gate, digest, &both).is_empty());
    let stranger = LineId::Vendor(VendorId::new("other").unwrap());
    assert!(on_halt(&stranger, &gate, digest, &both).is_empty());
    assert_eq!(on_halt(&from, &gate, digest, &both).len(), 2);
}

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
        excluded: vec![],
        order: None,
        ceilings: vec![Ceiling {
            stratum: stratum(0),
            position_max: handed.checked_sub(1).map(|last| order[last]),
            handed: u32::try_from(seats).unwrap(),
            late_max: None,
        }],
        steps: vec![Step { generation: 1, handed: seats, at: at(0) }],
        watch: Watch { beat: Millis(1000), silent_after: Millis(4000) },
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

/// Figures of research (gate, 3.3): background 5e-5 per look, α = 0.001.
#[test]
fn what_a_line_cannot_see_is_said_in_hosts() {
    for (rate, wanted) in
        [(1.0, 1), (0.1, 11), (0.01, 161), (0.001, 3376), (1e-4, 358_000), (5e-5, u64::MAX)]
    {
        let hosts = hosts_to_halt(rate, 5e-5, 1e-3);
        let close = hosts.abs_diff(wanted) as f64 <= 0.002 * wanted as f64;
        assert!(close, "{rate}: {hosts} instead of {wanted}");
    }
    let strata = [(stratum(0), 1000), (stratum(1), 40)];
    let said: Vec<String> =
        cannot_see(&strata, 5e-5, 1000).iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "this line alone (1040 hosts) would sooner miss than see a fault that fails 0.23 % of \
             hosts; to see 1 % takes 161 hosts",
            "stratum s000 alone (1000 hosts) would sooner miss than see a fault that fails 0.24 % \
             of hosts; to see 1 % takes 161 hosts",
            "stratum s001 alone (40 hosts) would sooner miss than see a fault that fails 3.16 % of \
             hosts; to see 1 % takes 161 hosts",
        ]
    );
    assert_eq!(unseen_rate(0, 5e-5, 1e-3), 1.0, "nobody sees nothing");
    assert_eq!(unseen_rate(5, 0.3, 1e-3), 1.0, "too noisy for five hosts");
    let (own, pooled) = (unseen_rate(40, 5e-5, 1e-3), unseen_rate(68_000, 5e-5, 1e-3));
    assert!(pooled < own / 100.0, "1,700 such operators together see {pooled}, one {own}");
}

/// The floor is honest: at half the printed rate the real gate misses most often, and well above it
/// it does not.
#[test]
fn the_real_gate_is_as_blind_as_printed() {
    let sizes = [150, 50];
    let strata: Vec<(StratumId, u32)> =
        sizes.iter().enumerate().map(|(n, s)| (stratum(n), *s)).collect();
    let rate = cannot_see(&strata, 5e-5, 1000)[0].unseen_rate_max;
    let halts = |q: f64| {
        let run = |seed| {
            let trouble = Trouble { q, mute: 1.0, ..Trouble::NONE };
            let mut world = World::new(plan(&sizes), trouble, seed);
            world.run(300);
            world.rollout.explain(world.now()).state == StateName::Halted
        };
        (0..40).filter(|seed| run(*seed)).count()
    };
    let (below, above) = (halts(rate / 2.0), halts(rate * 30.0));
    assert!(below < 20, "{below} of 40 halted at half of {rate}");
    assert!(above > 20, "{above} of 40 halted at thirty times {rate}");
}
