//! RECALL, PARK, raise minimum: whose threshold may say them, and what they do to what is offered.
use crate::world::*;
use andon_model::directive::{Demand, Directive};
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::limits::STOP_BYTES_MAX;
use andon_model::policy::Policy;
use andon_model::release::Version;
use andon_model::stop::{FreezeOverride, Party};
use andon_model::text::Text;
use andon_model::{ComponentId, Digest, Millis, OperatorId, Time, VendorId};
use andon_trust::view::{RefusalCode, View};

const DAY: Millis = Millis::from_secs(86_400);

fn operator() -> Party {
    Party::Operator(OperatorId::new("hospital").unwrap())
}
fn vendor(name: &str) -> Party {
    Party::Vendor(VendorId::new(name).unwrap())
}
fn directive(by: Party, demand: Demand) -> Directive {
    let reason = Text::clipped("leaks memory after a day of use");
    Directive { schema: 1, by, demand, reason, issued: NOW, expires: NOW.plus(DAY) }
}
fn signed(keys: &[u8], directive: &Directive) -> Envelope {
    seal(keys, PayloadType::Directive, directive)
}

/// Versions 1 and 2 of acme's rules, both rolled out to everybody; and one of zeta's.
struct Known {
    world: World,
    old: Digest,
    new: Digest,
    zeta: Digest,
}

fn known() -> Known {
    let mut world = World::new();
    let (_, zeta) = world.release("zeta", 7, &[30]);
    let (first, old) = world.release("acme", 1, &[20, 21]);
    let (second, new) = world.release("acme", 2, &[20, 21]);
    let role = world.vendor_role("acme", &[first, second], &[20, 21]);
    world.roles.insert("acme".to_owned(), role);
    world.publish();
    for (id, release, version) in [("r1", old, 1), ("r2", new, 2)] {
        let mut ticket = world.ticket(id, release, version, &[(16, 0)]);
        ticket.not_after = NOW.plus(YEAR);
        world.issue(&ticket);
    }
    Known { world, old, new, zeta }
}

impl Known {
    /// What a host is offered and which directives it holds to be in force, with this one listed.
    fn listed(
        &mut self,
        envelope: &Envelope,
        now: Time,
    ) -> (Vec<Digest>, usize, Option<RefusalCode>) {
        self.world.index.stops.clear();
        self.world.put_stop(envelope);
        let outcome = self.world.sync(&mut view(7), now);
        let refused = outcome.refusals.iter().find(|one| one.what.starts_with("stop"));
        let offers = outcome.offers.iter().map(|offer| offer.release).collect();
        (offers, outcome.directives.len(), refused.map(|one| one.code))
    }
    fn recall(&self) -> Demand {
        Demand::Recall { release: self.new, to: self.old }
    }
    fn park(&self) -> Demand {
        Demand::Park { release: self.new, over: Millis(0) }
    }
}

#[test]
fn a_recalled_release_is_offered_no_more_and_the_older_one_is() {
    let mut known = known();
    let (old, new) = (known.old, known.new);
    let none = signed(&[1], &directive(operator(), known.recall()));
    let (offers, held, why) = known.listed(&none, NOW);
    assert_eq!((offers, held), (vec![old, new], 0), "one of two people recalled it");
    assert_eq!(why, Some(RefusalCode::Signature));
    for (by, keys) in [(operator(), [1, 2]), (vendor("acme"), [20, 21])] {
        let envelope = signed(&keys, &directive(by, known.recall()));
        assert_eq!(known.listed(&envelope, NOW), (vec![old], 1, None));
    }
}

/// Who may not: one key of a threshold, the same person twice, the online key, the platform, another
/// vendor, another operator; and of a vendor, what takes protection away.
#[test]
fn nobody_else_takes_anything_from_a_healthy_host() {
    let mut known = known();
    let (old, new, zeta) = (known.old, known.new, known.zeta);
    let clinic = Party::Operator(OperatorId::new("clinic").unwrap());
    let (recall, park) = (known.recall(), known.park());
    let minimum =
        Demand::Minimum { component: ComponentId::new("rules").unwrap(), version: Version(2) };
    let theirs = Demand::Recall { release: zeta, to: old };
    let cases: Vec<(Party, &[u8], Demand)> = vec![
        (operator(), &[1, 3], park.clone()),
        (operator(), &[2], minimum.clone()),
        (operator(), &[3], recall.clone()),
        (vendor("acme"), &[20], recall.clone()),
        (vendor("acme"), &[1, 2], recall.clone()),
        (vendor("acme"), &[20, 21], park.clone()),
        (vendor("acme"), &[20, 21], theirs.clone()),
        (vendor("zeta"), &[30], recall.clone()),
        (vendor("zeta"), &[30], theirs),
        (Party::Platform, &[10, 11], recall),
        (Party::Platform, &[10, 11], minimum),
        (clinic, &[1, 2], park),
    ];
    for (by, keys, demand) in cases {
        let what = format!("{by} with {keys:?}: {demand:?}");
        let (offers, held, why) = known.listed(&signed(keys, &directive(by, demand)), NOW);
        assert_eq!((offers, held), (vec![old, new], 0), "{what} was obeyed");
        assert!(why.is_some(), "{what} was not refused");
    }
}

#[test]
fn a_directive_signed_as_something_else_or_out_of_its_time_is_refused() {
    let mut known = known();
    let both = vec![known.old, known.new];
    let park = directive(operator(), known.park());
    let as_freeze = seal(&[1, 2], PayloadType::Freeze, &park);
    let (offers, held, why) = known.listed(&as_freeze, NOW);
    assert_eq!((offers, held, why), (both.clone(), 0, Some(RefusalCode::Malformed)));
    let park = signed(&[1, 2], &park);
    assert_eq!(known.listed(&park, NOW).1, 1);
    let (offers, held, why) = known.listed(&park, NOW.plus(DAY));
    assert_eq!((offers, held, why), (both.clone(), 0, Some(RefusalCode::Expired)));
    let soon = Directive { issued: NOW.plus(DAY), ..directive(operator(), known.park()) };
    let soon = Directive { expires: NOW.plus(Millis(2 * DAY.0)), ..soon };
    let (offers, held, why) = known.listed(&signed(&[1, 2], &soon), NOW);
    assert_eq!((offers, held, why), (both, 0, Some(RefusalCode::Expired)));
}

#[test]
fn the_operators_people_let_a_directive_go_again_by_policy() {
    let mut known = known();
    let envelope = signed(&[1, 2], &directive(operator(), known.park()));
    known.world.put_stop(&envelope);
    let mut host = view(7);
    assert_eq!(known.world.sync(&mut host, NOW).directives.len(), 1);
    let lifted = FreezeOverride {
        freeze: Digest::of(&envelope.payload),
        reason: Text::clipped("it was the other release"),
        until: NOW.plus(DAY),
    };
    let policy = Policy { version: 4, overrides: vec![lifted], ..known.world.policy.clone() };
    known.world.put_policy(&seal(&[1, 2], PayloadType::Policy, &policy));
    let outcome = known.world.sync(&mut host, NOW);
    let offers: Vec<Digest> = outcome.offers.iter().map(|offer| offer.release).collect();
    assert_eq!((offers, outcome.directives.len()), (vec![known.old, known.new], 0));
}

#[test]
fn what_thresholds_demand_is_remembered_over_a_restart_without_a_network() {
    let mut known = known();
    known.world.put_stop(&signed(&[1, 2], &directive(operator(), known.recall())));
    let mut host = view(7);
    known.world.sync(&mut host, NOW);
    let record = host.record();
    let mut host =
        View::restore(anchor(), andon_model::HostId::new(7).unwrap(), class(), &record).unwrap();
    known.world.files.clear();
    assert_eq!(known.world.sync(&mut host, NOW).directives.len(), 1);
}

/// Early boot reads it: it must fit where nothing else does.
#[test]
fn a_directive_of_two_people_with_a_usual_reason_is_below_a_kilobyte() {
    let known = known();
    for demand in [known.recall(), known.park()] {
        let bytes = signed(&[1, 2], &directive(operator(), demand)).to_bytes().len();
        assert!(bytes < STOP_BYTES_MAX, "{bytes} bytes");
    }
}
