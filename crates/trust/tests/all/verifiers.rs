//! Gate verifiers, as hosts see them: what a thief of the online key reaches with and without them.
use crate::world::*;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::ticket::{Newcomers, Ticket};
use andon_model::verifiers::{Verifier, Verifiers};
use andon_model::{Millis, PublicKey, Time, VerifierId};
use andon_trust::ticket::{TicketRefusal, cosigners, verify};
use andon_trust::view::RefusalCode;

fn later(seconds: u64) -> Time {
    NOW.plus(Millis::from_secs(seconds))
}

/// Keys 40, 41, 42.
fn verifiers(needed: u32) -> Verifiers {
    let verifier = |(at, name): (u8, &str)| Verifier {
        name: VerifierId::new(name).unwrap(),
        key: key(40 + at).public(),
    };
    Verifiers { needed, keys: (0..).zip(["v0", "v1", "v2"]).map(verifier).collect() }
}

/// What a thief of the online key would sign: the highest position for sixteen hosts; and a line's
/// first release, for whom everybody is a newcomer.
fn forged(world: &mut World) -> [Ticket; 2] {
    let (_, digest) = world.release("acme", 1, &[20, 21]);
    let canary = world.ticket("r1", digest, 1, &[(16, 0)]);
    let mut first = world.ticket("r1", digest, 1, &[(0, 0)]);
    (first.newcomers, first.enrolled_max) = (Newcomers::Included, None);
    first.ceilings.clear();
    [canary, first]
}

fn reached(needed: u32, signers: &[u8], which: usize) -> (usize, Vec<RefusalCode>) {
    let mut world = World::new();
    world.policy.verifiers = if needed == 0 { Verifiers::default() } else { verifiers(needed) };
    world.policy.version += 1;
    world.put_policy(&seal(&[1, 2], PayloadType::Policy, &world.policy));
    let ticket = forged(&mut world)[which].clone();
    world.put_ticket("r1", seal(signers, PayloadType::Ticket, &ticket).to_bytes());
    let mut codes = Vec::new();
    let mut offered = 0;
    for number in 1..=100 {
        let outcome = world.sync(&mut view(number), later(1));
        offered += usize::from(!outcome.offers.is_empty());
        codes = outcome.refusals.iter().map(|refusal| refusal.code).collect();
    }
    (offered, codes)
}

#[test]
fn a_stolen_online_key_moves_nobody_where_verifiers_cosign_and_everybody_where_none_do() {
    for which in [0, 1] {
        assert_eq!(reached(0, &[3], which), (100, vec![]), "the gap that verifiers close");
        for signers in [&[3][..], &[3, 40], &[3, 40, 1], &[3, 40, 13]] {
            let refused = (0, vec![RefusalCode::Signature]);
            assert_eq!(reached(2, signers, which), refused, "{signers:?}");
        }
        assert_eq!(reached(2, &[40, 41, 42], which).0, 0, "verifiers alone sign nothing");
        assert_eq!(reached(2, &[3, 40, 42], which).0, 100, "it takes both");
    }
}

fn check(envelope: &Envelope, world: &World) -> Result<(), (usize, u32)> {
    match verify(envelope, &world.policy, later(1), None) {
        Ok(_) => Ok(()),
        Err(TicketRefusal::Cosignatures { got, want }) => Err((got, want)),
        Err(why) => panic!("{why}"),
    }
}

#[test]
fn verifiers_are_counted_by_name_and_valid_signature() {
    let mut world = World::new();
    world.policy.verifiers = verifiers(2);
    let ticket = forged(&mut world)[0].clone();
    let one = seal(&[3, 40], PayloadType::Ticket, &ticket);
    assert_eq!(check(&one, &world), Err((1, 2)));
    let mut twice = one.clone();
    twice.signatures.push(one.signatures[1].clone());
    assert_eq!(check(&twice, &world), Err((1, 2)), "one key twice");
    let mut claimed = one.clone();
    let mut other = one.signatures[1].clone();
    other.keyid = key(41).public().id();
    claimed.signatures.push(other);
    assert_eq!(check(&claimed, &world), Err((1, 2)), "its signature under another's id");
    let mut both = one;
    key(41).add(&mut both);
    assert_eq!(check(&both, &world), Ok(()));
    assert_eq!(cosigners(&both, &world.policy).len(), 2);
    let mut changed = both;
    changed.payload.push(b' ');
    assert!(cosigners(&changed, &world.policy).is_empty());
}

#[test]
fn verifiers_that_make_no_sense_are_refused_in_the_policy() {
    let said = |change: &dyn Fn(&mut Verifiers)| {
        let mut policy = policy();
        policy.verifiers = verifiers(2);
        change(&mut policy.verifiers);
        policy.check().map_err(|why| why.to_string())
    };
    assert_eq!(said(&|_| ()), Ok(()));
    assert_eq!(said(&|it| it.needed = 3), Ok(()));
    type Change = fn(&mut Verifiers);
    let cases: [(Change, &str); 7] = [
        (|it| it.needed = 4, "needs more verifiers than it names"),
        (|it| it.needed = 0, "names verifiers and needs none of them"),
        (|it| it.keys.swap(0, 1), "is not sorted by name, or names one twice"),
        (
            |it| it.keys[1].name = it.keys[0].name.clone(),
            "is not sorted by name, or names one twice",
        ),
        (|it| it.keys[1].key = it.keys[0].key, "names one key twice"),
        (
            |it| it.keys[1].key = key(3).public(),
            "has the online key or a person's key among its keys",
        ),
        (
            |it| it.keys[1].key = key(2).public(),
            "has the online key or a person's key among its keys",
        ),
    ];
    for (change, problem) in cases {
        assert_eq!(said(&change), Err(format!("policy field verifiers {problem}")));
    }
    for (count, fine) in [(16, true), (17, false)] {
        let many = said(&|it| {
            it.keys = (0..count)
                .map(|at: u8| Verifier {
                    name: VerifierId::new(&format!("v{at:02}")).unwrap(),
                    key: PublicKey([at + 100; 32]),
                })
                .collect();
        });
        assert_eq!(many.is_ok(), fine, "{count}");
    }
}
