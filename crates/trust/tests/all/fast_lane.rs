//! The emergency lane is for what is listed: by the platform in its targets, by the operator in its policy.
use crate::world::*;
use andon_model::Digest;
use andon_model::envelope::PayloadType;
use andon_model::fast_lane::{FastLane, FastLaneEntry};
use andon_model::limits::FAST_LANE_MAX;
use andon_model::policy::{Lane, Policy};
use andon_model::{ComponentId, Millis, Time, VendorId};
use andon_trust::fast_lane::ATTRIBUTE;
use andon_trust::view::RefusalCode;
use serde_json::{Value, json};

fn listed(names: &[(&str, &str)], expires: Time) -> FastLane {
    let entry = |(vendor, component): &(&str, &str)| FastLaneEntry {
        vendor: VendorId::new(vendor).unwrap(),
        component: ComponentId::new(component).unwrap(),
    };
    FastLane { expires, components: names.iter().map(entry).collect() }
}

fn until_next_year(names: &[(&str, &str)]) -> Value {
    json!(listed(names, NOW.plus(YEAR)))
}

/// A world that hands out a release of acme in this lane; two people have approved it.
fn world(lane: Lane, platform: Option<Value>, operator: Option<FastLane>) -> World {
    let mut world = World::new();
    world.policy.fast_lane = operator;
    world.put_policy(&seal(&[1, 2], PayloadType::Policy, &world.policy));
    world.tamper = platform.map(|list| -> (&'static str, Tamper) {
        let says = move |bytes| resigned(bytes, &[13], |signed| signed[ATTRIBUTE] = list.clone());
        ("targets", Box::new(says))
    });
    let (_, digest) = world.release("acme", 1, &[20, 21]);
    let mut ticket = world.ticket("r1", digest, 1, &[(16, 0)]);
    ticket.lane = lane;
    let sealed = |name, n| seal(&[n], PayloadType::Approval, &approval(name, digest, lane));
    ticket.approvals = vec![sealed("alice", 1), sealed("bob", 2)];
    world.issue(&ticket);
    world
}

/// Mutant: fast-lane-unchecked.
#[test]
fn what_no_list_has_takes_the_routine_lane() {
    let ours = [("acme", "rules")];
    let others = [("acme", "service"), ("zeta", "rules")];
    let over = json!(listed(&ours, NOW));
    let operators = |names: &[(&str, &str)]| Some(listed(names, NOW.plus(YEAR)));
    let unlisted = "it is not on the fast-lane list";
    for (what, platform, operator, refused) in [
        ("no list at all", None, None, None),
        ("on the platform's", Some(until_next_year(&ours)), None, None),
        ("on both", Some(until_next_year(&ours)), operators(&ours), None),
        ("not on the platform's", Some(until_next_year(&others)), operators(&ours), Some(unlisted)),
        ("not on the operator's", Some(until_next_year(&ours)), operators(&others), Some(unlisted)),
        ("nothing is on it", Some(until_next_year(&[])), None, Some(unlisted)),
        ("the platform's is over", Some(over), None, Some("has expired")),
        ("the operator's is over", None, Some(listed(&ours, NOW)), Some("has expired")),
        ("it is no list", Some(json!("acme/rules")), None, Some("read the platform's")),
        (
            "unsorted",
            Some(until_next_year(&[("zeta", "x"), ("acme", "rules")])),
            None,
            Some("is not sorted"),
        ),
    ] {
        let seen =
            world(Lane::Emergency, platform.clone(), operator.clone()).sync(&mut view(7), NOW);
        assert_eq!(
            seen.offers.len(),
            usize::from(refused.is_none()),
            "{what}: {:?}",
            seen.refusals
        );
        if let Some(why) = refused {
            let told = &seen.refusals[0];
            assert_eq!(told.code, RefusalCode::Policy, "{what}");
            assert!(told.why.contains(why), "{what}: {}", told.why);
        }
        let seen = world(Lane::Routine, platform, operator).sync(&mut view(7), NOW);
        assert_eq!((seen.offers.len(), seen.refusals), (1, vec![]), "{what}, routine");
    }
}

#[test]
fn a_list_that_ends_takes_the_lane_away_from_a_rollout_that_runs() {
    let soon = NOW.plus(Millis::from_secs(60));
    let mut world = world(Lane::Emergency, Some(json!(listed(&[("acme", "rules")], soon))), None);
    let mut view = view(7);
    assert_eq!(world.sync(&mut view, NOW).offers.len(), 1);
    assert_eq!(world.sync(&mut view, soon).offers, []);
}

#[test]
fn a_list_has_a_limit_and_a_policy_without_one_has_the_bytes_it_always_had() {
    let names: Vec<String> = (0..=FAST_LANE_MAX).map(|n| format!("c{n:05}")).collect();
    for (many, fine) in [(FAST_LANE_MAX, true), (FAST_LANE_MAX + 1, false)] {
        let names: Vec<(&str, &str)> =
            names[..many].iter().map(|name| ("acme", name.as_str())).collect();
        let list = listed(&names, NOW);
        assert_eq!(list.is_sane(), fine, "{many}");
        let policy = Policy { fast_lane: Some(list), ..policy() };
        assert_eq!(policy.check().is_ok(), fine, "{many}");
    }
    let none = serde_json::to_string(&policy()).unwrap();
    assert!(!none.contains("fast_lane"));
    let some = Policy { fast_lane: Some(listed(&[("acme", "rules")], Time(5))), ..policy() };
    let some = serde_json::to_string(&some).unwrap();
    let text = r#","fast_lane":{"expires":5,"components":[{"vendor":"acme","component":"rules"}]}"#;
    assert_eq!(some.replace(text, ""), none);
    assert_ne!(Digest::of(some.as_bytes()), Digest::of(none.as_bytes()));
}

/// As the platform's own tools write it, and as any TUF client reads it.
#[test]
fn a_repository_that_says_it_is_read_back_and_its_targets_are_signed_anew() {
    use andon_trust::repository as tuf;
    let roles = tuf::TopRoles {
        root: role(&[10], 1),
        timestamp: role(&[15], 1),
        snapshot: role(&[14], 1),
        targets: role(&[13], 1),
    };
    let far = NOW.plus(YEAR);
    let mut repository = tuf::Repository::create(&roles, &[], far, far).unwrap();
    repository.sign_root(&key(10)).unwrap();
    repository.sign_targets(&key(13)).unwrap();
    let list = listed(&[("acme", "rules")], far);
    repository.set_fast_lane(&list).unwrap();
    let valid = tuf::Validity { snapshot: Millis(1 << 30), timestamp: Millis(1 << 30) };
    assert!(
        repository.clone().publish(NOW, valid, &key(14), &key(15)).is_err(),
        "nobody signed it"
    );
    repository.sign_targets(&key(13)).unwrap();
    let files = repository.publish(NOW, valid, &key(14), &key(15)).unwrap();
    let (_, targets) = files.iter().find(|(name, _)| name == "2.targets.json").unwrap();
    assert_eq!(andon_trust::fast_lane::of_platform(targets).unwrap(), Some(list));
}
