//! The client workflow against a repository in memory.
use crate::world::*;
use andon_model::envelope::PayloadType;
use andon_model::order::Commitment;
use andon_model::policy::Lane;
use andon_model::stop::{Party, Scope};
use andon_model::ticket::Newcomers;
use andon_model::{Digest, Millis, StratumId, Time, VendorId};
use andon_trust::repository as tuf;
use andon_trust::view::{RefusalCode, View};

fn later(seconds: u64) -> Time {
    NOW.plus(Millis::from_secs(seconds))
}

fn codes(world: &mut World, view: &mut View, now: Time) -> Vec<RefusalCode> {
    world.sync(view, now).refusals.iter().map(|r| r.code).collect()
}

#[test]
fn a_covered_host_is_offered_a_release_that_both_sides_signed() {
    let mut world = World::new();
    let (manifest, digest) = world.release("acme", 1, &[20, 21]);
    world.issue(&world.ticket("r1", digest, 1, &[(16, 0)]));
    let mut view = view(7);
    let outcome = world.sync(&mut view, later(1));
    assert_eq!(outcome.refusals, []);
    assert_eq!(outcome.offers.len(), 1);
    assert_eq!((outcome.offers[0].release, &outcome.offers[0].manifest), (digest, &manifest));
    // An unchanged world costs one request, and the offer stands.
    let again = world.sync(&mut view, later(2));
    assert_eq!(again.offers.len(), 1);
    assert_eq!(world.fetched, ["/v1/lines/operator:hospital/index.json"]);
}

#[test]
fn ticket_ceiling_is_checked_on_the_host() {
    let mut world = World::new();
    let (_, digest) = world.release("acme", 1, &[20, 21]);
    let mut ticket = world.ticket("r1", digest, 1, &[(16, 0)]);
    let mut places: Vec<_> = (1..=100)
        .map(|n| andon_model::position::Position::of(&ticket.seed, &digest, host(n)))
        .collect();
    places.sort();
    ticket.ceilings[0].position_max = Some(places[15]);
    world.issue(&ticket);
    let offered: Vec<u64> =
        (1..=100).filter(|n| !world.sync(&mut view(*n), later(1)).offers.is_empty()).collect();
    assert_eq!(offered.len(), 16, "16 means 16");
}

#[test]
fn newcomers_are_covered_only_when_the_ticket_says_so() {
    let mut world = World::new();
    let (_, digest) = world.release("acme", 1, &[20, 21]);
    let mut ticket = world.ticket("r1", digest, 1, &[(16, 0)]);
    world.issue(&ticket);
    assert!(world.sync(&mut view(101), later(1)).offers.is_empty());
    ticket.newcomers = Newcomers::Included;
    world.issue(&ticket);
    let seen = codes(&mut world, &mut view(101), later(1));
    assert_eq!(seen, [RefusalCode::Policy], "nothing has soaked");
    soaked(&mut ticket);
    world.issue(&ticket);
    assert_eq!(world.sync(&mut view(101), later(1)).offers.len(), 1);
}

#[test]
fn a_first_release_needs_no_hosts_that_soaked() {
    let mut world = World::new();
    let (_, digest) = world.release("acme", 1, &[20, 21]);
    let mut ticket = world.ticket("r1", digest, 1, &[(0, 0)]);
    ticket.newcomers = Newcomers::Included;
    ticket.ceilings.clear();
    for (known, offers) in [(Some(host(100)), 0), (None, 1)] {
        ticket.enrolled_max = known;
        world.issue(&ticket);
        assert_eq!(world.sync(&mut view(101), later(1)).offers.len(), offers, "{known:?}");
    }
}

/// Hosts 101 to 116 enrolled after the plan; a ceiling of 108 is for eight of them, first come first.
#[test]
fn a_late_host_beyond_the_ceiling_refuses() {
    let mut world = World::new();
    let (_, digest) = world.release("acme", 1, &[20, 21]);
    let mut ticket = world.ticket("r1", digest, 1, &[(16, 0)]);
    soaked(&mut ticket);
    ticket.ceilings[0].late_max = Some(host(108));
    let mut other = ticket.ceilings[0].clone();
    other.stratum = StratumId::new("zzz").unwrap();
    other.handed = 0;
    other.late_max = Some(host(116));
    ticket.ceilings.push(other);
    world.issue(&ticket);
    let offered: Vec<u64> =
        (101..=117).filter(|n| !world.sync(&mut view(*n), later(1)).offers.is_empty()).collect();
    assert_eq!(offered, (101..=108).collect::<Vec<u64>>(), "of its own stratum");
    ticket.ceilings[0].late_max = None;
    world.issue(&ticket);
    assert!(world.sync(&mut view(101), later(1)).offers.is_empty());
}

#[test]
fn late_hosts_beyond_what_has_soaked_are_refused() {
    let mut world = World::new();
    let (_, digest) = world.release("acme", 1, &[20, 21]);
    let wide = |steps: &[(u64, u64)], last: u64, not_before: u64| {
        let mut ticket = world.ticket("r1", digest, 1, steps);
        ticket.ceilings[0].late_max = Some(host(100 + last));
        ticket.not_before = later(not_before);
        ticket
    };
    let tickets = [
        (wide(&[(16, 0)], 1, 4), 0, "in the first wave's own soak"),
        (wide(&[(16, 0)], 16, 5), 1, "as many as have soaked"),
        (wide(&[(16, 0)], 17, 5), 0, "one more"),
        (wide(&[(16, 0), (200, 8)], 17, 8), 0, "the second wave has not soaked"),
        (wide(&[(16, 0), (200, 8)], 200, 13), 1, "it has"),
        (wide(&[(16, 0), (200, 8)], 201, 13), 0, "one more again"),
        (wide(&[(16, 0)], 40_000_000, 50), 0, "everybody"),
    ];
    for (ticket, offers, what) in tickets {
        world.issue(&ticket);
        let mut late = view(101);
        let seen = world.sync(&mut late, ticket.not_before);
        assert_eq!(seen.offers.len(), offers, "{what}: {:?}", seen.refusals);
        let codes: Vec<_> = seen.refusals.iter().map(|refusal| refusal.code).collect();
        let want = if offers == 0 { vec![RefusalCode::Policy] } else { vec![] };
        assert_eq!(codes, want, "{what}");
        let mut known = view(7);
        assert_eq!(world.sync(&mut known, ticket.not_before).offers.len(), offers, "{what}");
    }
}

#[test]
fn a_ticket_from_before_late_ceilings_reads_as_one_without() {
    let mut world = World::new();
    let (_, digest) = world.release("acme", 1, &[20, 21]);
    let mut ticket = world.ticket("r1", digest, 1, &[(16, 0)]);
    let text = serde_json::to_string(&ticket).unwrap();
    assert!(!text.contains("late"), "{text}");
    let read = andon_model::ticket::Ticket::parse(text.as_bytes()).unwrap();
    assert_eq!((&read, read.late_hosts()), (&ticket, 0));
    // What contradicts the rest is no ticket at all.
    let mut late = |last: u64, order: Option<Commitment>| {
        ticket.ceilings[0].late_max = Some(host(last));
        ticket.order = order;
        andon_model::ticket::Ticket::parse(&serde_json::to_vec(&ticket).unwrap()).is_ok()
    };
    assert!(late(101, None));
    assert!(!late(100, None), "a host of the plan");
    assert!(!late(101, Some(Commitment { root: digest, hosts: 100 })), "beside an order");
}

#[test]
fn pace_beyond_the_policy_is_refused() {
    let mut world = World::new();
    let (_, digest) = world.release("acme", 1, &[20, 21]);
    for (steps, why) in [
        (&[(17, 0)][..], "first wave too large"),
        (&[(16, 0), (249, 8)], "growth over 15.5"),
        (&[(16, 0), (100, 4)], "soak under 5 s"),
    ] {
        world.issue(&world.ticket("r1", digest, 1, steps));
        let mut view = view(7);
        assert_eq!(codes(&mut world, &mut view, later(10)), [RefusalCode::Policy], "{why}");
    }
    world.issue(&world.ticket("r1", digest, 1, &[(16, 0), (248, 8)]));
    assert_eq!(codes(&mut world, &mut view(7), later(10)), []);
}

#[test]
fn tickets_never_go_back() {
    let mut world = World::new();
    let (_, digest) = world.release("acme", 1, &[20, 21]);
    let first = world.ticket("r1", digest, 1, &[(16, 0)]);
    let second = world.ticket("r1", digest, 1, &[(16, 0), (100, 8)]);
    let other_past = world.ticket("r1", digest, 1, &[(10, 0), (100, 8), (101, 20)]);
    let mut view = view(7);
    world.issue(&second);
    assert_eq!(codes(&mut world, &mut view, later(10)), []);
    for ticket in [&first, &other_past] {
        world.issue(ticket);
        assert_eq!(codes(&mut world, &mut view, later(30)), [RefusalCode::Rollback]);
    }
    // A restart does not forget.
    let record = view.record();
    let mut view = View::restore(anchor(), host(7), class(), &record).unwrap();
    world.issue(&first);
    assert_eq!(codes(&mut world, &mut view, later(30)), [RefusalCode::Rollback]);
}

#[test]
fn emergency_needs_two_people() {
    let mut world = World::new();
    let (_, digest) = world.release("acme", 1, &[20, 21]);
    let mut ticket = world.ticket("r1", digest, 1, &[(16, 0)]);
    ticket.lane = Lane::Emergency;
    let sealed =
        |name, n| seal(&[n], PayloadType::Approval, &approval(name, digest, Lane::Emergency));
    let other =
        seal(&[2], PayloadType::Approval, &approval("bob", Digest::of(b"x"), Lane::Emergency));
    for approvals in [
        vec![],
        vec![sealed("alice", 1)],
        vec![sealed("alice", 1), sealed("alice", 1)],
        vec![sealed("alice", 1), sealed("bob", 1)],
        vec![sealed("alice", 1), other],
    ] {
        ticket.approvals = approvals;
        world.issue(&ticket);
        assert_eq!(codes(&mut world, &mut view(7), later(1)), [RefusalCode::Signature]);
    }
    ticket.approvals = vec![sealed("alice", 1), sealed("bob", 2)];
    world.issue(&ticket);
    assert_eq!(world.sync(&mut view(7), later(1)).offers.len(), 1);
}

#[test]
fn any_one_party_freezes_and_a_vendor_only_its_own() {
    let acme = VendorId::new("acme").unwrap();
    let zeta = VendorId::new("zeta").unwrap();
    let hospital = andon_model::OperatorId::new("hospital").unwrap();
    let mut world = World::new();
    let (_, digest) = world.release("acme", 1, &[20, 21]);
    world.issue(&world.ticket("r1", digest, 1, &[(16, 0)]));
    for (by, scope, signer, obeyed) in [
        (Party::Platform, Scope::Release(digest), 10, true),
        (Party::Vendor(acme.clone()), Scope::Release(digest), 21, true),
        (Party::Vendor(acme.clone()), Scope::Vendor(acme.clone()), 20, true),
        (Party::Operator(hospital.clone()), Scope::All, 2, true),
        (Party::Operator(hospital.clone()), Scope::Release(digest), 3, true),
        (Party::Vendor(zeta.clone()), Scope::Release(digest), 30, false),
        (Party::Vendor(zeta), Scope::Vendor(acme.clone()), 30, false),
        (Party::Vendor(acme.clone()), Scope::All, 20, false),
        (Party::Vendor(acme), Scope::Release(digest), 30, false),
        (Party::Platform, Scope::All, 99, false),
    ] {
        let envelope = seal(&[signer], PayloadType::Freeze, &freeze(by.clone(), scope.clone()));
        assert!(envelope.to_bytes().len() <= andon_model::limits::STOP_BYTES_MAX);
        world.index.stops.clear();
        world.put_stop(&envelope);
        let outcome = world.sync(&mut view(7), later(1));
        assert_eq!(outcome.offers.is_empty(), obeyed, "{by} {scope:?} by key {signer}");
        assert_eq!(outcome.freezes.len(), usize::from(obeyed));
    }
}

#[test]
fn one_vendors_fault_never_denies_another() {
    let huge: Vec<_> = (1..=3000).map(|n| manifest("acme", n)).collect();
    let wrong = manifest("zeta", 9);
    type Break = Box<dyn Fn(&mut World)>;
    let replace = |bytes: Vec<u8>| -> Break {
        Box::new(move |w| {
            w.roles.insert("acme".to_owned(), bytes.clone());
            w.publish();
        })
    };
    let mut maker = World::new();
    let expired = {
        let mut role = tuf::vendor_role(None, Time(1000), &[]).unwrap();
        [20, 21].iter().for_each(|n| role.sign(&key(*n)).unwrap());
        role.to_bytes()
    };
    let sha512 = resigned(maker.vendor_role("acme", &huge[..1], &[]), &[20, 21], |signed| {
        let file = &mut signed["targets"]["releases/acme/rules/1.json"];
        file["hashes"] = serde_json::json!({"sha512": "00"});
    });
    let cases: Vec<(&str, Break)> = vec![
        ("lists another vendor's path", replace(maker.vendor_role("acme", &[wrong], &[20, 21]))),
        ("expired", replace(expired)),
        ("wrong signature", replace(maker.vendor_role("acme", &[], &[30, 31]))),
        (
            "missing",
            Box::new(|w| {
                w.roles.insert("acme".to_owned(), b"{}".to_vec());
                w.publish();
                w.files.remove("/v1/tuf/1.acme.json");
            }),
        ),
        ("corrupt JSON", replace(b"{\"signatures\":".to_vec())),
        ("sha512 only", replace(sha512)),
        ("huge", replace(maker.vendor_role("acme", &huge, &[20, 21]))),
    ];
    for (fault, broken) in cases {
        let mut world = World::new();
        let (_, digest) = world.release("zeta", 1, &[30]);
        world.issue(&world.ticket("r1", digest, 1, &[(16, 0)]));
        broken(&mut world);
        let outcome = world.sync(&mut view(7), later(1));
        let own: Vec<_> = outcome.refusals.iter().map(|refusal| refusal.what.as_str()).collect();
        match fault {
            "expired" | "wrong signature" | "missing" | "corrupt JSON" => {
                assert_eq!(own, ["vendor acme"], "{fault}");
            }
            _ => assert!(own.is_empty(), "{fault}: {own:?}"),
        }
        let read = world.fetched.iter().any(|path| path.ends_with("acme.json"));
        assert!(read, "{fault}: the broken vendor comes first and was not even looked at");
        assert_eq!(
            outcome.offers.len(),
            1,
            "{fault} denied another vendor: {:?}",
            outcome.refusals
        );
    }
}

#[test]
fn a_vendor_cannot_speak_for_anothers_paths() {
    let mut world = World::new();
    let (_, digest) = world.release("acme", 1, &[20, 21]);
    let stolen = manifest("acme", 1);
    let role = world.vendor_role("zeta", &[stolen], &[30]);
    world.roles.insert("zeta".to_owned(), role);
    world.roles.remove("acme");
    world.publish();
    world.issue(&world.ticket("r1", digest, 1, &[(16, 0)]));
    assert_eq!(codes(&mut world, &mut view(7), later(1)), [RefusalCode::Signature]);
}

#[test]
fn one_physical_key_does_not_count_twice() {
    let mut world = World::new();
    let (_, digest) = world.release("acme", 1, &[20, 20]);
    world.issue(&world.ticket("r1", digest, 1, &[(16, 0)]));
    assert!(world.sync(&mut view(7), later(1)).offers.is_empty(), "one key met a threshold of two");
    // The same material under a second id, in root and in a delegation.
    let honest = root(&root_roles(), &[10, 11]);
    let mut value: serde_json::Value = serde_json::from_slice(&honest).unwrap();
    let keys = value["signed"]["keys"].as_object_mut().unwrap();
    let first = keys.values().next().unwrap().clone();
    keys.insert("00".repeat(32), first);
    let mut anchor = anchor();
    anchor.tuf_root = value;
    let refused = View::new(anchor, host(1), class()).unwrap_err().to_string();
    assert!(refused.contains("root"), "{refused}");
}

#[test]
fn threshold_zero_is_refused() {
    let mut roles = root_roles();
    roles[1].1.threshold = 0;
    let mut bad = anchor();
    bad.tuf_root = serde_json::from_slice(&root(&roles, &[10, 11])).unwrap();
    assert!(View::new(bad, host(1), class()).is_err());
    let mut bad = anchor();
    bad.operators_threshold = 0;
    assert!(View::new(bad, host(1), class()).is_err());
    let mut world = World::new();
    let (_, digest) = world.release("acme", 1, &[20, 21]);
    let delegation =
        tuf::Delegation { vendor: VendorId::new("acme").unwrap(), role: role(&[20], 0) };
    world.publish_with(&[delegation], NOW.plus(YEAR));
    world.issue(&world.ticket("r1", digest, 1, &[(16, 0)]));
    assert!(world.sync(&mut view(7), later(1)).offers.is_empty());
}

#[test]
fn expired_things_offer_nothing_and_say_so() {
    let mut world = World::new();
    let (_, digest) = world.release("acme", 1, &[20, 21]);
    world.issue(&world.ticket("r1", digest, 1, &[(16, 0)]));
    let mut view = view(7);
    assert_eq!(world.sync(&mut view, later(1)).offers.len(), 1);
    assert_eq!(codes(&mut world, &mut view, later(700)), [RefusalCode::Expired]);
    let after = NOW.plus(YEAR).plus(Millis(1));
    assert_eq!(codes(&mut world, &mut view, after), [RefusalCode::Expired]);
}

#[test]
fn tuf_metadata_and_policy_never_go_back() {
    let mut world = World::new();
    let (_, digest) = world.release("acme", 1, &[20, 21]);
    let old_files = world.files.clone();
    let old_timestamp = world.index.timestamp;
    world.release("acme", 2, &[20, 21]);
    let mut view = view(7);
    assert_eq!(codes(&mut world, &mut view, later(1)), []);
    let record = view.record();
    world
        .files
        .insert("/v1/tuf/timestamp.json".into(), old_files["/v1/tuf/timestamp.json"].clone());
    world.index.timestamp = old_timestamp;
    let mut older = policy();
    older.version = 2;
    world.put_policy(&seal(&[1, 2], PayloadType::Policy, &older));
    let restored = View::restore(anchor(), host(7), class(), &record).unwrap();
    for mut view in [view, restored] {
        let outcome = world.sync(&mut view, later(2));
        let codes: Vec<_> = outcome.refusals.iter().map(|r| (r.what.as_str(), r.code)).collect();
        let want = [("timestamp", RefusalCode::Rollback), ("policy", RefusalCode::Rollback)];
        assert_eq!(codes, want);
        assert!(outcome.policy.is_some_and(|p| p.version == 3), "the newer policy stays in force");
    }
    let _ = digest;
}

#[test]
fn a_role_that_did_not_arrive_is_asked_for_again() {
    let mut world = World::new();
    let (_, digest) = world.release("acme", 1, &[20, 21]);
    world.issue(&world.ticket("r1", digest, 1, &[(16, 0)]));
    let role = world.files.remove("/v1/tuf/1.acme.json").unwrap();
    let mut view = view(7);
    assert!(world.sync(&mut view, later(1)).offers.is_empty());
    world.files.insert("/v1/tuf/1.acme.json".to_owned(), role);
    assert_eq!(world.sync(&mut view, later(2)).offers.len(), 1);
}

/// One stolen key stops a fleet for a while; for good it takes a second one of the same party, and an
/// online key is nobody. Mutant: one-key-freezes-for-good.
#[test]
fn a_freeze_of_one_key_ends_and_one_of_two_holds() {
    let hospital = andon_model::OperatorId::new("hospital").unwrap();
    let acme = VendorId::new("acme").unwrap();
    let alone = andon_model::limits::FREEZE_ALONE_MAX;
    for (by, signers, holds) in [
        (Party::Operator(hospital.clone()), &[1][..], false),
        (Party::Operator(hospital.clone()), &[3, 1], false),
        (Party::Operator(hospital.clone()), &[1, 1], false),
        (Party::Operator(hospital), &[1, 2], true),
        (Party::Platform, &[10], false),
        (Party::Vendor(acme.clone()), &[20], false),
        (Party::Vendor(acme.clone()), &[20, 30], false),
        (Party::Vendor(acme.clone()), &[20, 21], true),
    ] {
        let mut world = World::new();
        let (_, digest) = world.release("acme", 1, &[20, 21]);
        world.issue(&world.ticket("r1", digest, 1, &[(16, 0)]));
        let mut text = freeze(by.clone(), Scope::Release(digest));
        text.expires = NOW.plus(andon_model::Millis(2 * alone.0));
        let envelope = seal(signers, PayloadType::Freeze, &text);
        assert!(envelope.to_bytes().len() <= andon_model::limits::STOP_BYTES_MAX);
        world.put_stop(&envelope);
        let mut view = view(7);
        let end = if holds { text.expires } else { NOW.plus(alone) };
        let told = |outcome: &andon_trust::view::Outcome| {
            outcome.freezes.iter().map(|held| held.freeze.expires).collect::<Vec<_>>()
        };
        assert_eq!(told(&world.sync(&mut view, later(1))), [end], "{by} {signers:?}");
        // The same after a restart, and over when it is over.
        let mut again = View::restore(anchor(), host(7), class(), &view.record()).unwrap();
        assert_eq!(told(&world.sync(&mut again, later(2))), [end], "{by} {signers:?}");
        let outcome = world.sync(&mut again, NOW.plus(alone));
        assert_eq!(outcome.freezes.is_empty(), !holds, "{by} {signers:?}");
    }
}
