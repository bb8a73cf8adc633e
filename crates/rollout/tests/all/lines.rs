//! Two lines composed: pooled tallies, doubt, coupled halts.
use crate::world::{at, exposures, person, plan, plan_with, policy};
use andon_model::policy::Lane;
use andon_model::text::Text;
use andon_model::{Digest, LineId, OperatorId, StratumId, VendorId};
use andon_rollout::lines::{
    Lines, OperatorTally, Order, Pool, PoolDoubt, PoolError, Standing, on_halt, share,
};
use andon_rollout::windows;
use andon_rollout::{
    Action, ArmTally, Count, Event, HaltReason, HoldReason, Reason, Rollout, StateName,
    StratumTally,
};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) fn operator(number: usize) -> OperatorId {
    OperatorId::new(&format!("o{number:04}")).unwrap()
}

pub(crate) fn stratum(number: usize) -> StratumId {
    StratumId::new(&format!("s{number:03}")).unwrap()
}

pub(crate) fn vendor_line() -> LineId {
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
    for left in [Standing::Withdrawn, Standing::Absent] {
        others_go_on_without(left);
    }
}

fn others_go_on_without(left: Standing) {
    let mut line = VendorLine::new(4, 50);
    assert!(line.pool.set_standing(&operator(2), left));
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
