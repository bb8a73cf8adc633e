//! Who may take a release when: rings, windows, holds, pins, one behind.
#![expect(clippy::unwrap_used, reason = "a test stops where it is wrong")]
use andon_model::class::HostClass;
use andon_model::eligible::{
    Behind, Eligibility, Hold, KindRules, No, NotYet, Pin, ReleaseFacts, Ring, Rules, RulesError,
    Schedule, Weekly, WindowRule,
};
use andon_model::policy::Lane;
use andon_model::release::{ComponentKind, Version};
use andon_model::{ComponentId, GroupId, Millis, StratumId, Time};

/// Monday 2024-07-15T00:00:00Z.
const MONDAY: u64 = 1_721_001_600_000;
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;

fn group(name: &str) -> Option<GroupId> {
    Some(GroupId::new(name).unwrap())
}

fn sensor() -> ComponentId {
    ComponentId::new("sensor").unwrap()
}

fn window(name: &str, opens: u64, open: u64) -> WindowRule {
    let minutes = |span: u64| u32::try_from(span / MINUTE).unwrap();
    let weekly = Weekly { opens_minute: minutes(opens), open_minutes: minutes(open) };
    WindowRule { group: group(name), weekly }
}

fn hold(component: Option<ComponentId>, until: Option<Time>) -> Hold {
    Hold { group: group("till"), component, until }
}

fn rings() -> Rules {
    let ring = |name, after| Ring { group: group(name).unwrap(), after: Millis(after) };
    Rules { rings: vec![ring("ring-1", HOUR), ring("ring-2", DAY)], ..Rules::default() }
}

/// A host of group `till` and of a ring; 0: of none.
fn host(ring: usize) -> HostClass {
    let name = |text| StratumId::new(text).unwrap();
    let mut groups = vec![group("till").unwrap(), group("rack-4").unwrap()];
    groups.extend((ring > 0).then(|| group(&format!("ring-{ring}")).unwrap()));
    groups.sort();
    HostClass { arch: name("x86_64"), os: name("debian12"), model: name("edge"), groups }
}

/// Version 7, the newest, in the routine lane, from Monday 00:00; a host of ring 0 in group `till`.
fn ask(rules: &Rules, ring: usize, lane: Lane, version: u32, now: u64) -> Eligibility {
    rules.check().unwrap();
    let component = sensor();
    let release = ReleaseFacts {
        component: &component,
        version: Version(version),
        newest: Version(7),
        lane,
        started: Time(MONDAY),
    };
    rules.decide(&host(ring), &release, Time(now))
}

fn later(at: u64, why: NotYet) -> Eligibility {
    Eligibility::Later { at: Time(at), why }
}

/// (what, rules, ring, version, now, expected), all in the routine lane.
type Row = (&'static str, Rules, usize, u32, u64, Eligibility);

fn check(table: &[Row]) {
    for (what, rules, ring, version, now, expected) in table {
        assert_eq!(ask(rules, *ring, Lane::Routine, *version, *now), *expected, "{what}");
    }
}

fn held(until: Option<Time>) -> Rules {
    Rules { holds: vec![hold(None, until)], ..rings() }
}

#[test]
fn rings_begin_one_after_the_other() {
    use Eligibility::Now;
    check(&[
        ("no rules", rings(), 0, 7, MONDAY, Now),
        ("a clock that is a little late", rings(), 0, 7, MONDAY - 1, Now),
        ("ring 1", rings(), 1, 7, MONDAY, later(MONDAY + HOUR, NotYet::Ring)),
        ("ring 1 in time", rings(), 1, 7, MONDAY + HOUR, Now),
        ("ring 2", rings(), 2, 7, MONDAY + HOUR, later(MONDAY + DAY, NotYet::Ring)),
        ("a group without a rule", rings(), 3, 7, MONDAY, Now),
    ]);
}

#[test]
fn holds_pins_and_one_behind_say_no_or_until_when() {
    use Eligibility::{Never, Now};
    let day = Some(Time(MONDAY + DAY));
    let tomorrow = |why| later(MONDAY + DAY, why);
    let of = |name| {
        let component = ComponentId::new(name).unwrap();
        Rules { holds: vec![hold(Some(component), None)], ..rings() }
    };
    let pin = |version, until| {
        let (group, version) = (group("till"), Version(version));
        Rules { pins: vec![Pin { group, component: sensor(), version, until }], ..rings() }
    };
    let behind = |until| {
        let behind = Behind { group: None, component: Some(sensor()), until };
        Rules { behind: vec![behind], ..rings() }
    };
    let elsewhere = Rules {
        holds: vec![Hold { group: group("bank"), component: None, until: None }],
        pins: vec![Pin {
            group: None,
            component: ComponentId::new("rules").unwrap(),
            version: Version(1),
            until: None,
        }],
        windows: vec![window("bank", 0, HOUR)],
        ..rings()
    };
    let (six, seven) = (Version(6), Version(7));
    check(&[
        ("others' rules", elsewhere, 0, 7, MONDAY + 3 * HOUR, Now),
        ("held", held(None), 0, 7, MONDAY, Never(No::Held)),
        ("held for a day", held(day), 0, 7, MONDAY, tomorrow(NotYet::Held)),
        ("hold is over", held(Some(Time(MONDAY))), 0, 7, MONDAY, Now),
        ("this component held", of("sensor"), 0, 7, MONDAY, Never(No::Held)),
        ("another component held", of("rules"), 0, 7, MONDAY, Now),
        ("pinned to 6", pin(6, None), 0, 7, MONDAY, Never(No::Pinned(six))),
        ("pinned to this", pin(7, None), 0, 7, MONDAY, Now),
        ("pinned for a day", pin(6, day), 0, 7, MONDAY, tomorrow(NotYet::Pinned)),
        ("one behind", behind(None), 0, 7, MONDAY, Never(No::OneBehind(seven))),
        ("one behind, older", behind(None), 0, 6, MONDAY, Now),
        ("one behind for a day", behind(day), 0, 7, MONDAY, tomorrow(NotYet::OneBehind)),
    ]);
}

#[test]
fn windows_open_every_week_and_after_whatever_else_is_in_the_way() {
    use Eligibility::Now;
    let evening = 6 * DAY + 23 * HOUR;
    let night = Rules { windows: vec![window("till", evening, 3 * HOUR)], ..rings() };
    let windows = vec![window("till", DAY, HOUR), window("rack-4", 3 * DAY, HOUR)];
    let two = Rules { windows, ..rings() };
    let thursday = vec![window("till", 3 * DAY, HOUR)];
    let after_hold = Rules { windows: thursday, ..held(Some(Time(MONDAY + DAY))) };
    let shut = |at| later(MONDAY + at, NotYet::Window);
    let ring = |at| later(MONDAY + at, NotYet::Ring);
    check(&[
        ("over the week's end", night.clone(), 0, 7, MONDAY, Now),
        ("its last moment", night.clone(), 0, 7, MONDAY + 2 * HOUR - 1, Now),
        ("just closed", night.clone(), 0, 7, MONDAY + 2 * HOUR, shut(evening)),
        ("just before it opens", night.clone(), 0, 7, MONDAY + evening - 1, shut(evening)),
        ("the next of two", two.clone(), 0, 7, MONDAY + 2 * DAY, shut(3 * DAY)),
        ("the ring, then a window that is open", two, 2, 7, MONDAY, ring(DAY)),
        ("the same at night", night, 1, 7, MONDAY - DAY, ring(HOUR)),
        ("the hold, then the window", after_hold, 0, 7, MONDAY, shut(3 * DAY)),
    ]);
}

#[test]
fn the_emergency_lane_ignores_windows_and_rings_but_no_hold_pin_or_one_behind() {
    let shut = Rules { windows: vec![window("till", 3 * DAY, HOUR)], ..rings() };
    assert_eq!(ask(&shut, 2, Lane::Emergency, 7, MONDAY), Eligibility::Now);
    let held = Rules { holds: vec![hold(None, None)], ..shut.clone() };
    assert_eq!(ask(&held, 0, Lane::Emergency, 7, MONDAY), Eligibility::Never(No::Held));
    let pin = Pin { group: None, component: sensor(), version: Version(6), until: None };
    let pinned = Rules { pins: vec![pin], ..shut.clone() };
    let no = Eligibility::Never(No::Pinned(Version(6)));
    assert_eq!(ask(&pinned, 0, Lane::Emergency, 7, MONDAY), no);
    let behind = Behind { group: None, component: Some(sensor()), until: Some(Time(MONDAY + DAY)) };
    let behind = Rules { behind: vec![behind], ..shut };
    let not_yet = later(MONDAY + DAY, NotYet::OneBehind);
    assert_eq!(ask(&behind, 0, Lane::Emergency, 7, MONDAY), not_yet);
}

#[test]
fn later_is_the_first_moment_that_is_now() {
    let rules = Rules {
        windows: vec![
            window("till", 2 * HOUR, 30 * MINUTE),
            window("till", 6 * DAY + 23 * HOUR, 2 * HOUR),
            window("bank", 0, WEEK),
        ],
        holds: vec![hold(Some(sensor()), Some(Time(MONDAY + 5 * HOUR + 1)))],
        pins: vec![Pin {
            group: None,
            component: sensor(),
            version: Version(5),
            until: Some(Time(MONDAY + WEEK + 10 * MINUTE)),
        }],
        ..rings()
    };
    let mut waited = 0;
    for now in (MONDAY - DAY..MONDAY + 2 * WEEK).step_by(usize::try_from(17 * MINUTE + 11).unwrap())
    {
        for (ring, version) in [(0, 7), (1, 7), (2, 7), (0, 5), (2, 5)] {
            let asked = |at| ask(&rules, ring, Lane::Routine, version, at);
            if let Eligibility::Later { at, .. } = asked(now) {
                assert!(at.0 > now);
                assert_eq!(asked(at.0), Eligibility::Now, "ring {ring}, asked at {now}");
                assert_ne!(asked(at.0 - 1), Eligibility::Now, "ring {ring}, asked at {now}");
                waited += 1;
            }
        }
    }
    assert!(waited > 1000, "{waited}");
}

#[test]
fn rules_that_make_no_sense_are_refused_by_name() {
    type Change = fn(&mut Rules);
    let table: [(&str, Change); 7] = [
        ("rings", |r| r.rings = (0..17).map(|_| r.rings[0].clone()).collect()),
        ("rings", |r| r.rings.push(r.rings[0].clone())),
        ("windows", |r| r.windows = vec![window("x", 0, HOUR); 65]),
        ("windows", |r| r.windows = vec![window("x", WEEK, HOUR)]),
        ("windows", |r| r.windows = vec![window("x", 0, 0)]),
        ("windows", |r| r.windows = vec![window("x", 0, WEEK + MINUTE)]),
        ("holds, pins or behind", |r| r.holds = vec![hold(None, None); 1025]),
    ];
    for (field, change) in table {
        let mut rules = rings();
        change(&mut rules);
        assert!(matches!(rules.check(), Err(RulesError(name, _)) if name == field), "{field}");
    }
}

/// Whoever waits for a time of its own is no control for the others: a stratum of its own.
#[test]
fn groups_on_a_schedule_are_strata_of_their_own_except_in_the_emergency_lane() {
    let rules = Rules { windows: vec![window("till", 0, HOUR)], ..rings() };
    let scheduled = rules.scheduled(Lane::Routine);
    let names: Vec<&str> = scheduled.iter().map(GroupId::as_str).collect();
    assert_eq!(names, ["ring-1", "ring-2", "till"]);
    assert_eq!(host(2).stratum_on(&scheduled).as_str(), "x86_64.debian12.edge..ring-2.till");
    assert_eq!(host(2).stratum_on(&[]), host(2).stratum());
    let weekly = Weekly { opens_minute: 0, open_minutes: 60 };
    let schedule = Schedule { after: Millis(DAY), windows: vec![weekly] };
    assert_eq!(rules.schedule(&host(2), Lane::Routine), schedule);
    assert_eq!(rules.schedule(&host(2), Lane::Emergency), Schedule::default());
    assert_eq!(rules.scheduled(Lane::Emergency), []);
    // Names that do not fit are cut, and still differ.
    let long = |last| {
        let name = format!("{}{last}", "g".repeat(62));
        let groups = vec![GroupId::new(&name).unwrap()];
        HostClass { groups: groups.clone(), ..host(0) }.stratum_on(&groups)
    };
    assert_ne!(long("a"), long("b"));
    assert!(long("a").as_str().starts_with("x86_64.debian12.edge.."), "{}", long("a"));
}

#[test]
fn groups_that_a_rule_says_no_for_are_left_out_of_the_plan() {
    let component = sensor();
    let facts = |version| ReleaseFacts {
        component: &component,
        version: Version(version),
        newest: Version(7),
        lane: Lane::Emergency,
        started: Time(MONDAY),
    };
    let rules = Rules {
        pins: vec![Pin {
            group: group("lab"),
            component: sensor(),
            version: Version(6),
            until: None,
        }],
        behind: vec![Behind { group: group("bank"), component: Some(sensor()), until: None }],
        ..held(Some(Time(MONDAY + DAY)))
    };
    let out = |version, now| {
        let groups = rules.excluded(&facts(version), Time(now)).unwrap();
        groups.iter().map(|group| group.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(out(7, MONDAY), ["bank", "lab", "till"]);
    assert_eq!(out(6, MONDAY), ["till"]);
    assert_eq!(out(6, MONDAY + DAY), [""; 0]);
    let all = Rules { holds: vec![Hold { group: None, component: None, until: None }], ..rings() };
    assert_eq!(all.excluded(&facts(7), Time(MONDAY)), None);
}

/// What content may do at once, a service may have to wait for.
#[test]
fn rules_of_a_kind_hold_beside_those_for_all_and_for_no_other_kind() {
    let of = |kind, rules| KindRules { kind, rules };
    let (content, service) = (ComponentKind::Content, ComponentKind::Service);
    let late = Rules { delay: Millis(2 * HOUR), ..Rules::default() };
    let no = Rules { holds: vec![hold(None, None)], ..Rules::default() };
    let rules = Rules { kinds: vec![of(content, no), of(service, late)], ..rings() };
    rules.check().unwrap();
    let ask = |kind, ring, lane| ask(&rules.of(kind), ring, lane, 7, MONDAY);
    assert_eq!(ask(content, 0, Lane::Emergency), Eligibility::Never(No::Held));
    assert_eq!(ask(service, 0, Lane::Emergency), Eligibility::Now);
    assert_eq!(ask(service, 0, Lane::Routine), later(MONDAY + 2 * HOUR, NotYet::Ring));
    assert_eq!(
        ask(service, 1, Lane::Routine),
        later(MONDAY + 2 * HOUR, NotYet::Ring),
        "ring 1: 1 h"
    );
    assert_eq!(ask(service, 2, Lane::Routine), later(MONDAY + DAY, NotYet::Ring));
    assert_eq!(ask(ComponentKind::Files, 0, Lane::Routine), Eligibility::Now);
    let component = ComponentId::new("other").unwrap();
    let facts = ReleaseFacts {
        component: &component,
        version: Version(7),
        newest: Version(7),
        lane: Lane::Routine,
        started: Time(MONDAY),
    };
    let any = Behind { group: None, component: None, until: None };
    let rules = Rules { behind: vec![any], ..Rules::default() };
    assert_eq!(
        rules.decide(&host(0), &facts, Time(MONDAY)),
        Eligibility::Never(No::OneBehind(Version(7)))
    );
}

#[test]
fn rules_of_kinds_are_sorted_not_nested_and_within_the_limits_together() {
    use andon_model::limits::ELIGIBILITY_RULES_MAX;
    let of = |kind, rules| KindRules { kind, rules };
    let plain = |kind| of(kind, Rules::default());
    let kinds = |kinds| Rules { kinds, ..Rules::default() }.check().map_err(|why| why.0);
    let (content, service) = (ComponentKind::Content, ComponentKind::Service);
    assert_eq!(kinds(vec![plain(content), plain(service)]), Ok(()));
    assert_eq!(kinds(vec![plain(service), plain(content)]), Err("kinds"));
    assert_eq!(kinds(vec![plain(content), plain(content)]), Err("kinds"));
    let nested = Rules { kinds: vec![plain(service)], ..Rules::default() };
    assert_eq!(kinds(vec![of(content, nested)]), Err("kinds"));
    let many = |count| Rules { holds: vec![hold(None, None); count], ..Rules::default() };
    for (more, fine) in [(ELIGIBILITY_RULES_MAX - 1, true), (ELIGIBILITY_RULES_MAX, false)] {
        let rules = Rules { kinds: vec![of(content, many(more))], ..many(1) };
        assert_eq!(rules.check().is_ok(), fine, "{more} and 1");
    }
    // Policies that were signed before the fields were known stay what they are, to the byte.
    let text = serde_json::to_string(&rings()).unwrap();
    assert!(!text.contains("delay") && !text.contains("kind"), "{text}");
}
