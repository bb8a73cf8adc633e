//! What a thief of keys reaches: the measured table, for several ways to lay out a line. Every mutant
//! `whatif-*` takes one check out of the verification and must make a figure here rise.
use crate::world::*;
use andon_model::attestation::PredicateKind;
use andon_model::policy::{Person, Policy};
use andon_model::rigs::{Alike, Attestations, Demand, Rig};
use andon_model::verifiers::{Verifier, Verifiers};
use andon_model::{RigId, StratumId, VendorId, VerifierId};
use andon_trust::log::{KeyKind, VerifierKey};
use andon_trust::repository::{Delegation, TopRoles};
use andon_trust::sign::SigningKey;
use andon_trust::theft::{Breach, HOSTS, Lab, Line, Reach, breaches, needs_also};

const WAVE: u64 = 16;
/// Everybody but the wave that honest parties have signed for them.
const ALL: u64 = HOSTS - WAVE;
/// Hosts of the wave's plan, of which every tenth knows its anchor only.
const PLANNED: u64 = 9_500;

fn delegation(vendor: &str, keys: &[u8], threshold: u32) -> Delegation {
    Delegation { vendor: VendorId::new(vendor).unwrap(), role: role(keys, threshold) }
}

/// Keys: 1, 2, 4 operator root (2 of 3); 5, 6, 7 people; 3 online; 10, 11, 12 platform root (2 of 3);
/// 13 targets, 14 snapshot, 15 timestamp, 16 cord; 20, 21, 22 acme (2 of 3); 30 zeta.
fn line() -> Line {
    let people = |keys: [u8; 3]| -> Vec<Person> {
        ["alice", "bob", "carol"].iter().zip(keys).map(|(name, key)| person(name, key)).collect()
    };
    let policy = Policy { people: people([5, 6, 7]), ..policy() };
    Line {
        line: policy.line.clone(),
        operators: people([1, 2, 4]),
        operators_threshold: 2,
        cord: vec![key(16).public()],
        top: TopRoles {
            root: role(&[10, 11, 12], 2),
            targets: role(&[13], 1),
            snapshot: role(&[14], 1),
            timestamp: role(&[15], 1),
        },
        vendors: vec![delegation("acme", &[20, 21, 22], 2), delegation("zeta", &[30], 1)],
        policy,
        older: None,
    }
}

/// With one gate verifier, key 40.
fn verified() -> Line {
    let mut line = line();
    let verifier = Verifier { name: VerifierId::new("v1").unwrap(), key: key(40).public() };
    line.policy.verifiers = Verifiers { needed: 1, keys: vec![verifier] };
    line
}

fn note(name: &str, kind: KeyKind, seed: u8) -> VerifierKey {
    VerifierKey::new(name, kind, SigningKey::from_seed([seed; 32]).public()).unwrap()
}

/// Releases must be in a log (key 60) that two of three witnesses (61, 62, 63) have seen.
fn logged(mut line: Line) -> Line {
    let mut text = format!("log {}\n", note("log.example", KeyKind::Log, 60));
    for number in 1..=3 {
        let name = format!("w{number}.example");
        text += &format!("witness w{number} {}\n", note(&name, KeyKind::Witness, 60 + number));
    }
    line.policy.log = Some(text + "group two 2 w1 w2 w3\nquorum two\n");
    line
}

/// Releases must have been run by one of two rigs (keys 50, 51).
fn attested(mut line: Line) -> Line {
    let rig = |name: &str, n| Rig { name: RigId::new(name).unwrap(), key: key(n).public() };
    let demand = Demand {
        kind: None,
        arch: Some(StratumId::new("x86_64").unwrap()),
        os: None,
        model: None,
        alike: Alike::Model,
        same: vec![],
        predicates: vec![PredicateKind::TestResult, PredicateKind::Svr],
    };
    let rigs = vec![rig("lab-1", 50), rig("lab-2", 51)];
    line.policy.attestations = Attestations { needed: 1, rigs, demands: vec![demand] };
    line
}

fn measure(line: Line, stolen: &[&str]) -> Reach {
    Lab::new(line).unwrap().measure(stolen).unwrap()
}

/// (key, hosts reached, freezes, unprotected, unprotected after rotation)
type Row = (&'static str, u64, &'static [&'static str], u64, u64);

const BOTH: &[&str] = &["acme", "zeta"];

/// With a gate verifier: what each key alone reaches.
const SINGLES: [Row; 23] = [
    ("operator-root/alice", 0, BOTH, 0, 0),
    ("operator-root/bob", 0, BOTH, 0, 0),
    ("operator-root/carol", 0, BOTH, 0, 0),
    ("people/alice", WAVE, BOTH, 0, 0),
    ("people/bob", WAVE, BOTH, 0, 0),
    ("people/carol", WAVE, BOTH, 0, 0),
    ("online", 0, BOTH, 0, 0),
    ("snapshot", 0, &[], 0, 0),
    ("timestamp", 0, &[], HOSTS, 0),
    ("verifiers/v1", 0, &[], 0, 0),
    ("platform/root-1", 0, &[], 0, 0),
    ("platform/root-2", 0, &[], 0, 0),
    ("platform/root-3", 0, &[], 0, 0),
    ("platform/targets", 0, &[], 0, 0),
    ("platform/cord", 0, BOTH, 0, 0),
    ("vendors/acme/1", 0, &["acme"], 0, 0),
    ("vendors/acme/2", 0, &["acme"], 0, 0),
    ("vendors/acme/3", 0, &["acme"], 0, 0),
    ("vendors/zeta/1", 0, &["zeta"], 0, 0),
    ("log/log.example", 0, &[], 0, 0),
    ("witness/w1.example", 0, &[], 0, 0),
    ("a host's own key", 0, &[], 0, 0),
    ("join token", 0, &[], 0, 0),
];

#[test]
fn no_single_key_reaches_more_than_the_wave_that_is_signed() {
    let lab = Lab::new(logged(verified())).unwrap();
    assert_eq!(lab.wave_signed(), WAVE);
    let nobody = lab.measure(&[]).unwrap();
    assert_eq!((nobody.hosts_reached_max, nobody.hosts_unprotected_max), (0, 0), "{nobody:?}");
    assert!(!nobody.can_freeze && nobody.attacks_tried > 60, "{nobody:?}");
    for (name, hosts, freezes, unprotected, after) in SINGLES {
        let reach = lab.measure(&[name]).unwrap();
        let got = (
            reach.hosts_reached_max,
            reach.freezes.iter().map(String::as_str).collect::<Vec<_>>(),
            reach.hosts_unprotected_max,
            reach.hosts_unprotected_after_rotation,
        );
        assert_eq!(got, (hosts, freezes.to_vec(), unprotected, after), "{name}: {reach:?}");
        assert!(reach.within_signed_wave && reach.hosts_foreign_code_max == 0, "{name}");
        assert_eq!(reach.can_freeze, !freezes.is_empty(), "{name}");
        assert_eq!(reach.hosts_parked_max, 0, "{name} alone switches off what runs well");
    }
}

/// A rig keeps releases from hosts, as it is there to do, until a policy without it is signed; it lets nothing
/// through.
#[test]
fn a_stolen_rig_denies_and_reaches_nobody() {
    let lab = Lab::new(attested(logged(verified()))).unwrap();
    let nobody = lab.measure(&[]).unwrap();
    assert_eq!((nobody.hosts_reached_max, nobody.hosts_unprotected_max), (0, 0), "{nobody:?}");
    for rigs in [&["rigs/lab-1"][..], &["rigs/lab-1", "rigs/lab-2"]] {
        let reach = lab.measure(rigs).unwrap();
        assert_eq!((reach.hosts_reached_max, reach.hosts_foreign_code_max), (0, 0), "{reach:?}");
        assert_eq!(reach.hosts_unprotected_max, HOSTS, "{reach:?}");
        assert_eq!(reach.hosts_unprotected_after_rotation, 0, "{reach:?}");
    }
    // What reaches everybody without rigs reaches nobody with one that has not run the code.
    let code = ["vendors/acme/1", "vendors/acme/2", "online", "verifiers/v1", "log/log.example"];
    let witnesses = ["witness/w1.example", "witness/w2.example"];
    let thief = [&code[..], &witnesses].concat();
    let without = measure(logged(verified()), &thief);
    assert_eq!(without.hosts_foreign_code_max, HOSTS, "{without:?}");
    let reach = lab.measure(&thief).unwrap();
    assert_eq!(reach.hosts_foreign_code_max, 0, "{reach:?}");
    let with_rig = lab.measure(&[&thief[..], &["rigs/lab-2"]].concat()).unwrap();
    assert_eq!(with_rig.hosts_foreign_code_max, HOSTS, "{with_rig:?}");
}

/// Who holds the threshold of the operator's root is the operator; nobody else takes protection away.
#[test]
fn only_the_operators_threshold_parks() {
    let lab = Lab::new(verified()).unwrap();
    let parked = |stolen: &[&str]| lab.measure(stolen).unwrap().hosts_parked_max;
    assert_eq!(parked(&["operator-root/alice", "operator-root/bob"]), HOSTS);
    let vendor = ["vendors/acme/1", "vendors/acme/2", "vendors/acme/3"];
    for others in [&vendor[..], &["operator-root/alice", "online"], &["people/alice", "people/bob"]]
    {
        assert_eq!(parked(others), 0, "{others:?}");
    }
}

/// Without gate verifiers the online key alone reaches everybody: a host cannot count the others. What each
/// of its own checks still holds back is told attack by attack; each line has its mutant.
#[test]
fn each_check_of_a_host_holds_something_back_from_a_thief_of_the_online_key() {
    let reach = measure(line(), &["online"]);
    assert_eq!((reach.hosts_reached_max, reach.hosts_foreign_code_max), (ALL, 0), "{reach:?}");
    let told = |attack: &str| reach.by(attack);
    assert_eq!(told("/ a line's first release"), ALL);
    assert_eq!(told("/ a first wave that covers more than it says"), PLANNED - WAVE);
    assert_eq!(told("/ steps that never were, dated back"), PLANNED - WAVE);
    // Who has seen the wave remembers its past; every tenth host knows its anchor only, every tenth its
    // rules.
    let past = told("/ the past told anew");
    assert!((PLANNED / 5 - WAVE..=PLANNED / 5).contains(&past), "{past}");
    for held_back in [
        "a first wave of everybody",
        "a second generation beyond the growth",
        "all generations without a soak",
        "late hosts before anything has soaked",
        "newcomers before anything has soaked",
        "the emergency lane without its people",
        "a ticket of another line",
        "a ticket that has expired",
        "other bytes",
    ] {
        assert_eq!(told(held_back), 0, "{held_back}: {reach:?}");
    }
}

#[test]
fn a_verifier_makes_it_two_keys_and_every_smallest_set_is_found() {
    let lab = Lab::new(verified()).unwrap();
    let found = breaches(&lab).unwrap();
    let set = |keys: &[(&str, usize)]| {
        Breach(keys.iter().map(|(class, count)| ((*class).to_owned(), *count)).collect())
    };
    assert_eq!(found, [set(&[("Online", 1), ("gate verifier", 1)]), set(&[("operator root", 2)])]);
    let also = |stolen: &[&str]| needs_also(&found, lab.keys(), stolen);
    let root = |name: &str| format!("operator-root/{name}");
    let gate = vec!["online".to_owned(), "verifiers/v1".to_owned()];
    let roots = [vec![root("bob")], vec![root("carol")], gate];
    assert_eq!(also(&["operator-root/alice"]), roots);
    assert_eq!(also(&["online"])[0], ["verifiers/v1"]);
    assert!(also(&["online", "verifiers/v1"]).is_empty());
    let pair = lab.measure(&["online", "verifiers/v1"]).unwrap();
    assert_eq!((pair.hosts_reached_max, pair.hosts_foreign_code_max), (ALL, 0), "{pair:?}");
    let pair = lab.measure(&["operator-root/alice", "operator-root/carol"]).unwrap();
    assert_eq!((pair.hosts_reached_max, pair.hosts_foreign_code_max), (ALL, 0), "{pair:?}");
    assert_eq!(pair.hosts_unprotected_after_rotation, HOSTS, "rules of the far future stay");
}

/// Code that no vendor has signed takes a vendor's threshold, whoever else is robbed, and the log's quorum.
#[test]
fn foreign_code_needs_its_vendors_threshold_and_the_log() {
    let most = ["online", "verifiers/v1", "snapshot", "timestamp", "vendors/acme/1"];
    let with = |lab: &Lab, more: &[&str]| {
        let reach = lab.measure(&[&most[..], more].concat()).unwrap();
        assert!(reach.hosts_reached_max >= ALL, "{reach:?}");
        reach.hosts_foreign_code_max
    };
    let open = Lab::new(verified()).unwrap();
    assert_eq!(with(&open, &[]), 0, "one of the vendor's two");
    assert_eq!(with(&open, &["platform/root-1"]), 0, "one of the platform's two");
    assert_eq!(with(&open, &["vendors/acme/2"]), HOSTS);
    assert_eq!(with(&open, &["platform/targets"]), HOSTS);
    assert_eq!(with(&open, &["platform/root-1", "platform/root-2"]), HOSTS);
    let logged = Lab::new(logged(verified())).unwrap();
    assert_eq!(with(&logged, &["vendors/acme/2"]), 0, "no log holds it");
    let log = ["vendors/acme/2", "log/log.example", "witness/w1.example"];
    assert_eq!(with(&logged, &log), 0, "one witness of two");
    assert_eq!(with(&logged, &[&log[..], &["witness/w3.example"]].concat()), HOSTS);
}

/// A wave that stolen people's keys start goes through the gate: at first it is one wave.
#[test]
fn stolen_people_start_no_more_than_a_first_wave_of_foreign_code() {
    let lab = Lab::new(verified()).unwrap();
    let reach = lab.measure(&["people/bob", "vendors/zeta/1"]).unwrap();
    assert_eq!((reach.hosts_reached_max, reach.hosts_foreign_code_max), (WAVE, WAVE));
    assert_eq!(reach.by("of foreign code"), WAVE);
    let mut careful = verified();
    careful.policy.routine.approvals_min = 2;
    let lab = Lab::new(careful).unwrap();
    assert_eq!(lab.measure(&["people/bob"]).unwrap().hosts_reached_max, 0);
    assert_eq!(lab.measure(&["people/bob", "people/carol"]).unwrap().hosts_reached_max, WAVE);
}

/// One key that two people share is one key, and counts for one person.
#[test]
fn one_key_in_two_hands_signs_no_policy() {
    let mut line = verified();
    line.operators[1].key = line.operators[0].key;
    let lab = Lab::new(line).unwrap();
    let key = lab.keys().iter().find(|key| key.name == "operator-root/alice").unwrap();
    assert_eq!(key.holds.len(), 2);
    assert_eq!(lab.measure(&["operator-root/alice"]).unwrap().hosts_reached_max, 0);
}

/// Rules that were in force before there were verifiers can be shown to those alone who have seen none.
#[test]
fn older_rules_are_believed_by_those_alone_who_have_seen_none() {
    let mut before = verified();
    before.older = Some(line().policy);
    let reach = measure(before, &["online"]);
    assert!((HOSTS / 10 - WAVE..=HOSTS / 10).contains(&reach.hosts_reached_max), "{reach:?}");
    assert!(reach.attacks.iter().all(|tried| tried.attack.starts_with("older rules")));
}

/// A freeze of one key alone ends; one of two keys of a party does not.
#[test]
fn it_takes_two_keys_of_a_party_to_freeze_for_good() {
    let lab = Lab::new(verified()).unwrap();
    for (stolen, unprotected) in [
        (["people/alice", "platform/cord"], 0),
        (["people/alice", "online"], 0),
        (["people/alice", "people/bob"], HOSTS),
        (["people/alice", "operator-root/bob"], HOSTS),
        (["vendors/acme/1", "vendors/acme/3"], HOSTS),
        (["vendors/acme/1", "vendors/zeta/1"], 0),
    ] {
        let reach = lab.measure(&stolen).unwrap();
        assert_eq!(reach.hosts_unprotected_max, unprotected, "{reach:?}");
    }
}

/// One host is played for all that no check tells apart. More of them give the same figures.
#[test]
fn hosts_of_a_group_are_reached_alike() {
    let one = Lab::new(line()).unwrap();
    let seven = Lab::divided(line(), 7).unwrap();
    for stolen in [&["online"][..], &["people/alice", "vendors/zeta/1"]] {
        assert_eq!(one.measure(stolen).unwrap(), seven.measure(stolen).unwrap());
    }
}
