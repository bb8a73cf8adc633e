//! The tables of `docs/spec/boot.md`, row by row.
use crate::world::{ENFORCE, SOAK, confirmed, directive, freeze, part, release, stage, unit};
use andon_host::boot::{
    Allow, Crash, Decision, Ending, Fetching, Off, OnDisk, Part, Policy, Seen, Starts, Unit, What,
    decide,
};
use andon_host::boot_record::{BootId, BootPhase, BootRecord, GuardMode};
use andon_host::machine::{Event, Evidence, Outcome, Phase};
use andon_host::record::{CrashMark, Record};
use andon_host::stops::Stops;
use andon_host::{Machine, Slot, SlotState};
use andon_model::beat::Strength::{self, Strong, Weak};
use andon_model::directive::Demand;
use andon_model::id::ComponentId;
use andon_model::limits::{
    FALLBACK_WINDOW, FETCH_AFTER_CRASH_MAX, FETCH_AT_BOOT_MAX, HOST_CRASH_WINDOW,
};
use andon_model::time::{Millis, Time};

const NOW: Time = Time(86_400_000 * 400);
const EARLIER: Time = Time(86_400_000 * 300);

fn id(name: &str) -> ComponentId {
    ComponentId::new(name).unwrap()
}

fn crash(modules: &[&str]) -> Ending {
    let modules = modules.iter().map(|name| (*name).to_owned()).collect();
    Ending::Crash(Crash { modules, mark: CrashMark([9; 16]) })
}

/// In probation at version 2, above version 1; in the given phase.
fn tried(name: &str, phase: Phase) -> Record {
    let mut record = confirmed(name, 1, EARLIER);
    assert!(stage(&mut record, 2, EARLIER));
    let events = match phase {
        Phase::Loading => vec![Event::Activated { soak: SOAK }, Event::Started],
        _ => vec![Event::Activated { soak: SOAK }, Event::Started, Event::Ready],
    };
    let ends = (phase == Phase::Idle).then_some(Event::Stopped);
    for event in events.into_iter().chain(ends) {
        record.machine.apply(EARLIER.plus(Millis(1)), event);
    }
    assert_eq!(record.machine.phase(), phase);
    record
}

/// Version 1 confirmed, in the given phase.
fn old(name: &str, phase: Phase) -> Record {
    let mut record = confirmed(name, 1, EARLIER);
    match phase {
        Phase::Loading => record.machine.apply(EARLIER, Event::Started),
        Phase::Idle => record.machine.apply(EARLIER, Event::Stopped),
        _ => Outcome::Noted,
    };
    assert_eq!(record.machine.phase(), phase);
    record
}

struct Case<'c> {
    units: Vec<Unit>,
    ending: Ending,
    stops: Stops<'c>,
    policy: Policy,
    boot: Option<BootRecord>,
}

impl<'c> Case<'c> {
    fn new(units: Vec<Unit>, ending: Ending) -> Case<'c> {
        let running =
            BootRecord { phase: BootPhase::Running, sequence: 4, boots: 2, ..BootRecord::NEW };
        Case { units, ending, stops: Stops::default(), policy: ENFORCE, boot: Some(running) }
    }
    fn decide(&self) -> Decision {
        let disk = OnDisk { boot: self.boot, units: self.units.clone() };
        let seen = Seen {
            ending: self.ending.clone(),
            now: NOW,
            boot: BootId([1; 16]),
            stops: self.stops,
        };
        decide(&disk, &seen, &self.policy)
    }
}

fn charges(decision: &Decision) -> Vec<(String, Strength)> {
    let charged = decision.reports.iter().filter_map(|report| match &report.what {
        What::Charged { strength, .. } => Some((report.component.to_string(), *strength)),
        _ => None,
    });
    charged.collect()
}

/// One module of its own with a content, and another module.
fn units(sensor: Record, rules: Record, driver: Record) -> Vec<Unit> {
    vec![
        unit("sensor", "fbsensor", vec![part(sensor), part(rules)]),
        unit("driver", "fb-driver", vec![part(driver)]),
    ]
}

#[test]
fn charges_follow_the_table() {
    use Phase::{Idle, Loading, Running, Soaking};
    let check = |rules: Record, driver: Record, ending: Ending, expected: &[(&str, Strength)]| {
        let sensor = old("sensor", Idle);
        let decision = Case::new(units(sensor, rules, driver), ending.clone()).decide();
        let expected: Vec<_> =
            expected.iter().map(|(name, it)| ((*name).to_owned(), *it)).collect();
        assert_eq!(charges(&decision), expected, "{ending:?}");
        assert!(decision.writes.iter().all(|record| record.machine.phase() != Loading));
    };
    let rules = |phase| tried("rules", phase);
    let driver = |phase| old("driver", phase);
    // What is named is charged, even if another was loading, and whatever it was doing.
    check(rules(Loading), driver(Running), crash(&["fbsensor"]), &[("rules", Strong)]);
    check(rules(Soaking), driver(Loading), crash(&["fbsensor"]), &[("rules", Strong)]);
    check(rules(Loading), driver(Running), crash(&["fb_driver"]), &[("driver", Strong)]);
    check(rules(Idle), driver(Running), crash(&["ext4", "fb_driver"]), &[("driver", Strong)]);
    check(old("rules", Running), driver(Idle), crash(&["fbsensor"]), &[("rules", Strong)]);
    // What names nothing of ours is charged to what was being risked.
    check(rules(Loading), driver(Running), crash(&[]), &[("rules", Strong)]);
    check(rules(Soaking), driver(Loading), crash(&[]), &[("driver", Strong)]);
    check(rules(Loading), driver(Running), crash(&["ext4"]), &[("rules", Weak)]);
    check(rules(Soaking), driver(Running), Ending::Watchdog, &[("rules", Strong)]);
    check(rules(Loading), driver(Running), Ending::Unexplained, &[("rules", Weak)]);
    check(rules(Soaking), driver(Running), Ending::Unexplained, &[("rules", Weak)]);
    // What runs confirmed is charged with nothing that does not name it.
    for ending in [crash(&[]), crash(&["ext4"]), Ending::Watchdog, Ending::Unexplained] {
        check(old("rules", Running), driver(Running), ending, &[]);
    }
    check(rules(Loading), driver(Loading), Ending::Clean, &[]);
}

#[test]
fn a_shutdown_in_order_and_a_crash_already_charged_charge_nothing() {
    let sensor = || old("sensor", Phase::Idle);
    let made = |ending| {
        let driver = old("driver", Phase::Idle);
        Case::new(units(sensor(), tried("rules", Phase::Loading), driver), ending)
    };
    let mut ended = made(Ending::Unexplained);
    ended.boot = ended.boot.map(|boot| boot.at(BootPhase::Ended));
    assert_eq!(charges(&ended.decide()), []);
    assert_eq!(ended.decide().boot.unexplained, 0);
    let mut again = made(crash(&["fbsensor"]));
    let first = again.decide();
    assert_eq!(first.boot.crashes, 1);
    let charged = first.writes.iter().find(|one| one.component == id("rules")).unwrap().clone();
    assert_eq!(charged.charge.as_ref().map(|one| (one.number, one.strength)), Some((0, Strong)));
    again.units = units(sensor(), charged, old("driver", Phase::Idle));
    assert_eq!(charges(&again.decide()), [], "found again, charged again");
}

/// Two strong on a confirmed release, four weak on any, one strong on a new one.
#[test]
fn fallbacks_follow_the_table() {
    let both = |phase| {
        let mut record = tried("sensor", Phase::Soaking);
        record.machine.apply(EARLIER.plus(Millis::from_secs(3600)), Event::Tick);
        if phase == Phase::Loading {
            record.machine.apply(EARLIER.plus(Millis::from_secs(3601)), Event::Started);
        }
        record
    };
    let check = |mut record: Record, ending: &Ending, boots: usize| {
        for boot in 1..=boots {
            let units = vec![unit("sensor", "fbsensor", vec![part(record)])];
            let decision = Case::new(units, ending.clone()).decide();
            let version = decision.steps[0].members[0].version.0;
            assert_eq!(version, if boot == boots { 1 } else { 2 }, "{ending:?} boot {boot}");
            record = decision.steps[0].intent[0].clone();
            record.crash = CrashMark::NONE;
        }
    };
    check(tried("sensor", Phase::Loading), &crash(&["fbsensor"]), 1);
    check(tried("sensor", Phase::Loading), &Ending::Watchdog, 1);
    check(tried("sensor", Phase::Loading), &Ending::Unexplained, 4);
    check(both(Phase::Running), &crash(&["fbsensor"]), 2);
    check(both(Phase::Loading), &Ending::Watchdog, 2);
    check(both(Phase::Loading), &Ending::Unexplained, 4);
}

#[test]
fn the_network_is_asked_after_a_charge_and_longer_after_a_crash() {
    let check = |ending: Ending, fetch, expected: Option<Millis>| {
        let units = vec![unit("sensor", "fbsensor", vec![part(tried("sensor", Phase::Loading))])];
        let mut case = Case::new(units, ending);
        case.policy.fetch = fetch;
        assert_eq!(case.decide().fetch, expected);
    };
    let (short, long) = (Some(FETCH_AT_BOOT_MAX), Some(FETCH_AFTER_CRASH_MAX));
    check(Ending::Clean, Fetching::AfterCharge, None);
    check(Ending::Clean, Fetching::Always, short);
    check(Ending::Unexplained, Fetching::AfterCharge, short);
    check(crash(&["fbsensor"]), Fetching::AfterCharge, long);
    check(Ending::Watchdog, Fetching::Always, long);
    check(crash(&["fbsensor"]), Fetching::Never, None);
    assert_eq!((short, long), (Some(Millis(2000)), Some(Millis(30_000))));
}

#[test]
fn stops_decide_what_starts() {
    let version =
        |decision: &Decision| decision.steps.first().map(|step| step.members[0].version.0);
    let case = |record: Record| {
        Case::new(vec![unit("sensor", "fbsensor", vec![part(record)])], Ending::Clean)
    };
    let frozen = [freeze(2)];
    let stops = Stops { freezes: &frozen, directives: &[] };
    // Staged and frozen: not activated. Tried and frozen: back, or off where there is nothing to go to.
    let mut staged = confirmed("sensor", 1, EARLIER);
    stage(&mut staged, 2, EARLIER);
    assert_eq!(version(&case(staged.clone()).decide()), Some(2));
    assert_eq!(version(&Case { stops, ..case(staged) }.decide()), Some(1));
    assert_eq!(version(&Case { stops, ..case(tried("sensor", Phase::Soaking)) }.decide()), Some(1));
    let mut only = Record::new(id("sensor"));
    stage(&mut only, 2, EARLIER);
    for event in [Event::Activated { soak: SOAK }, Event::Started, Event::Ready] {
        only.machine.apply(EARLIER, event);
    }
    let off = Case { stops, ..case(only) }.decide();
    assert_eq!(off.off, [(id("sensor"), Off::Frozen(id("sensor")))]);
    // A PARK switches off what runs confirmed.
    let park = [directive(Demand::Park { release: release(1), over: Millis::ZERO })];
    let stops = Stops { freezes: &[], directives: &park };
    let parked = Case { stops, ..case(old("sensor", Phase::Running)) }.decide();
    assert_eq!(parked.off, [(id("sensor"), Off::Parked(id("sensor")))]);
    assert!(parked.reports.iter().any(|report| report.to_string().contains("parked")));
}

/// The third fallback within a day parks; the confirmed release stays for the next one to fall back to.
/// Mutant: fallbacks-uncounted.
#[test]
fn three_fallbacks_in_a_day_park() {
    let run = |apart: Millis| -> Vec<Outcome> {
        let mut record = confirmed("sensor", 1, EARLIER);
        let mut now = NOW;
        let one = |version| {
            now = now.plus(apart);
            stage(&mut record, version, now);
            record.machine.apply(now, Event::Activated { soak: SOAK });
            let charged = Event::Charged { evidence: Evidence::HostCrashed, frozen: false };
            let outcome = record.machine.apply(now, charged);
            assert!(record.machine.consistent());
            assert_eq!(record.machine.slot(Slot::A), SlotState::Confirmed);
            outcome
        };
        (2..6).map(one).collect()
    };
    use Outcome::{FellBack, Parked};
    let half = Millis(FALLBACK_WINDOW.0 / 2);
    assert_eq!(run(Millis(60_000)), [FellBack, FellBack, Parked, Parked]);
    assert_eq!(run(half), [FellBack, FellBack, Parked, Parked]);
    assert_eq!(run(half.plus(Millis(60_000))), [FellBack; 4]);
}

#[test]
fn a_day_of_running_well_forgives_and_less_does_not() {
    let score_after = |ran: Millis| {
        let mut record = old("sensor", Phase::Running);
        let charged = Event::Charged { evidence: Evidence::HostCrashed, frozen: false };
        record.machine.apply(NOW, charged);
        record.machine.apply(NOW, Event::Started);
        record.machine.apply(NOW, Event::Ready);
        record.machine.apply(NOW.plus(ran), charged);
        record.machine.score()
    };
    assert_eq!(score_after(HOST_CRASH_WINDOW.plus(Millis(1))), 2);
    // The second one within a day is too many where there is nothing to go back to: off.
    assert_eq!(score_after(HOST_CRASH_WINDOW), 0);
}

#[test]
fn what_is_new_or_charged_is_loaded_last_and_orders_are_kept() {
    let solo =
        |name: &str, order, record: Record| Unit { order, ..unit(name, name, vec![part(record)]) };
    let mut charged = old("charged", Phase::Idle);
    let weak = Event::Charged { evidence: Evidence::Unexplained, frozen: false };
    charged.machine.apply(EARLIER, weak);
    let units = vec![
        solo("new", 1, tried("new", Phase::Soaking)),
        solo("charged", 1, charged),
        solo("old", 1, old("old", Phase::Running)),
        solo("first", 0, tried("first", Phase::Soaking)),
    ];
    let decision = Case::new(units, Ending::Clean).decide();
    let order: Vec<&str> = decision.steps.iter().map(|step| step.unit.as_str()).collect();
    assert_eq!(order, ["first", "old", "charged", "new"]);
}

#[test]
fn services_are_allowed_and_charged_but_started_by_the_supervisor() {
    let service =
        |record: Record| Unit { starts: Starts::Later, ..unit("tool", "", vec![part(record)]) };
    let mut staged = old("tool", Phase::Running);
    stage(&mut staged, 2, EARLIER);
    let decision = Case::new(vec![service(staged)], Ending::Unexplained).decide();
    assert_eq!(decision.allowed, [Allow { unit: id("tool"), components: vec![id("tool")] }]);
    assert_eq!((decision.writes.len(), decision.steps.len()), (0, 0), "nothing to write");
    let decision =
        Case::new(vec![service(tried("tool", Phase::Loading))], Ending::Watchdog).decide();
    assert_eq!(charges(&decision), [("tool".to_owned(), Strong)]);
    assert_eq!(decision.writes[0].machine.active(), Some(Slot::A));
}

#[test]
fn observing_reports_what_would_be_done_and_changes_nothing() {
    let record = tried("sensor", Phase::Loading);
    let mut case =
        Case::new(vec![unit("sensor", "fbsensor", vec![part(record)])], crash(&["fbsensor"]));
    let enforced = case.decide();
    case.policy.mode = GuardMode::Observe;
    let observed = case.decide();
    assert_eq!(observed.reports, enforced.reports);
    assert_eq!((observed.writes.len(), observed.off.len(), observed.fetch), (0, 0, None));
    assert_eq!((observed.boot.boots, observed.boot.crashes), (3, 1));
    assert!(enforced.boot.judged(BootId([1; 16])) && !observed.boot.judged(BootId([1; 16])));
    assert!(!enforced.boot.judged(BootId([2; 16])));
    let step = &observed.steps[0];
    assert_eq!((step.members[0].version.0, step.intent.len()), (2, 0));
    assert_eq!((step.loaded(NOW).len(), step.failed(NOW, "x").0.len()), (0, 0));
}

#[test]
fn reports_name_module_version_and_content() {
    let rules = tried("rules", Phase::Loading);
    let units = units(old("sensor", Phase::Loading), rules, old("driver", Phase::Idle));
    let decision = Case::new(units, crash(&["fbsensor"])).decide();
    let lines: Vec<String> = decision.reports.iter().map(ToString::to_string).collect();
    let named = format!("rules (module fbsensor) version 2 ({})", release(2));
    assert_eq!(
        lines,
        [
            format!("{named}: charged (strong): kernel crash in module fbsensor"),
            format!("{named}: given up, back to version 1 ({})", release(1)),
        ]
    );
}

#[test]
fn where_a_record_cannot_be_read_nobody_else_pays_for_it() {
    let broken = |name: &str| Part {
        record: Err(andon_host::record::RecordError::Unreadable),
        ..part(Record::new(id(name)))
    };
    let made = |ending| {
        let sensor =
            unit("sensor", "fbsensor", vec![part(old("sensor", Phase::Idle)), broken("rules")]);
        let driver = unit("driver", "fb_driver", vec![part(tried("driver", Phase::Soaking))]);
        Case::new(vec![sensor, driver], ending).decide()
    };
    let named = made(crash(&["fbsensor"]));
    assert_eq!((charges(&named), named.settled), (vec![], false), "its record waits");
    assert_eq!(charges(&made(Ending::Watchdog)), [], "perhaps it was what was loading");
    let other = made(crash(&["fb_driver"]));
    assert_eq!((charges(&other).len(), other.settled), (1, true));
    assert_eq!(other.off[0], (id("sensor"), Off::Record(id("rules"))));
}

#[test]
fn a_machine_stays_small() {
    assert!(size_of::<Machine>() <= 32);
}
