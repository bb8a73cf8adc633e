//! The cord, whatever is pulled: adding any set of freezes never enlarges what may be activated, and it
//! takes away exactly what somebody who may stop it has stopped, for as long as it holds.
use crate::world::*;
use andon_model::envelope::PayloadType;
use andon_model::limits::FREEZE_ALONE_MAX;
use andon_model::stop::{Freeze, FreezeOverride, Party, Scope};
use andon_model::text::Text;
use andon_model::{Digest, Millis, OperatorId, Time, VendorId};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use std::collections::BTreeSet;

/// One pull: who says it, what, by whose keys, and for how long, in days from now.
#[derive(Clone, Debug)]
struct Pull {
    by: usize,
    scope: usize,
    keys: Vec<u8>,
    from: i64,
    to: i64,
}

const DAY: i64 = 86_400_000;

fn vendor(name: &str) -> VendorId {
    VendorId::new(name).unwrap()
}

/// Parties, and the keys that speak for each (`World`'s numbers).
fn parties() -> Vec<(Party, Vec<u8>)> {
    let operator = |name| Party::Operator(OperatorId::new(name).unwrap());
    vec![
        (Party::Platform, vec![10]),
        (Party::Vendor(vendor("acme")), vec![20, 21]),
        (Party::Vendor(vendor("zeta")), vec![30, 31]),
        (operator("hospital"), vec![1, 2, 3]),
        (operator("clinic"), vec![]),
    ]
}

struct Known {
    world: World,
    /// releases of acme and of zeta
    releases: [Digest; 2],
}

impl Known {
    fn new() -> Known {
        let mut world = World::new();
        let (_, first) = world.release("acme", 1, &[20, 21]);
        let (_, second) = world.release("zeta", 2, &[30]);
        let forever = |mut ticket: andon_model::ticket::Ticket| {
            ticket.not_after = NOW.plus(YEAR);
            ticket
        };
        world.issue(&forever(world.ticket("r1", first, 1, &[(16, 0)])));
        world.issue(&forever(world.ticket("r2", second, 2, &[(16, 0)])));
        Known { world, releases: [first, second] }
    }

    fn scope(&self, number: usize) -> Scope {
        match number {
            0 => Scope::Release(self.releases[0]),
            1 => Scope::Release(self.releases[1]),
            2 => Scope::Vendor(vendor("acme")),
            3 => Scope::Vendor(vendor("zeta")),
            4 => Scope::All,
            _ => Scope::Release(Digest::of(b"of nobody")),
        }
    }

    fn freeze(&self, pull: &Pull) -> Freeze {
        let at = |days: i64| Time(NOW.0.saturating_add_signed(days * DAY));
        Freeze {
            schema: 1,
            by: parties()[pull.by].0.clone(),
            scope: self.scope(pull.scope),
            reason: Text::clipped("a test pulls"),
            issued: at(pull.from),
            expires: at(pull.to),
        }
    }

    /// Who may stop what, told once more and differently than by the code under test.
    fn stops(&self, pull: &Pull, of: usize, now: Time) -> bool {
        let freeze = self.freeze(pull);
        let keys = &parties()[pull.by].1;
        let signed: BTreeSet<u8> =
            pull.keys.iter().copied().filter(|key| keys.contains(key)).collect();
        // The online key signs freezes too, but makes none of them last.
        let lasting = signed.iter().filter(|key| **key != 3).count() >= 2;
        let alone = freeze.issued.plus(FREEZE_ALONE_MAX);
        let ends = if lasting { freeze.expires } else { freeze.expires.min(alone) };
        let may = matches!((pull.by, pull.scope), (0 | 3, _) | (1, 0 | 2) | (2, 1 | 3));
        let own = self.releases[of];
        let concerns = match &freeze.scope {
            Scope::Release(release) => *release == own,
            Scope::Vendor(name) => *name == vendor(["acme", "zeta"][of]),
            Scope::All => true,
        };
        !signed.is_empty() && may && concerns && freeze.issued <= now && now < ends
    }

    /// What host 7 is offered while these are listed.
    fn offered(&mut self, pulls: &[Pull], now: Time) -> BTreeSet<Digest> {
        self.world.index.stops.clear();
        self.world.bump();
        for pull in pulls {
            let envelope = seal(&pull.keys, PayloadType::Freeze, &self.freeze(pull));
            self.world.put_stop(&envelope);
        }
        let outcome = self.world.sync(&mut view(7), now);
        outcome.offers.iter().map(|offer| offer.release).collect()
    }
}

fn pull() -> impl Strategy<Value = Pull> {
    let keys = select(vec![1_u8, 2, 3, 10, 20, 21, 30, 31, 99]);
    let by = 0..parties().len();
    (by, 0..6_usize, vec(keys, 1..3), -40_i64..5, 1_i64..90).prop_map(
        |(by, scope, keys, from, long)| {
            let keys: BTreeSet<u8> = keys.into_iter().collect();
            Pull { by, scope, keys: keys.into_iter().collect(), from, to: from + long }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn adding_any_set_of_freezes_never_enlarges_what_may_run_and_takes_exactly_what_was_stopped(
        pulls in vec(pull(), 0..5),
        days in select(vec![0_u64, 3, 29, 31, 100]),
    ) {
        let now = NOW.plus(Millis(days * DAY.unsigned_abs()));
        let mut known = Known::new();
        let all = known.offered(&[], now);
        prop_assert_eq!(all.len(), 2);
        let left = known.offered(&pulls, now);
        prop_assert!(left.is_subset(&all));
        for (of, release) in known.releases.into_iter().enumerate() {
            let stopped = pulls.iter().any(|pull| known.stops(pull, of, now));
            prop_assert_eq!(left.contains(&release), !stopped, "{:?}", pulls);
        }
        // One more takes away, and gives nothing back; that all are over gives everything back.
        if let Some((_, fewer)) = pulls.split_last() {
            let more = known.offered(fewer, now);
            prop_assert!(left.is_subset(&more));
        }
    }
}

/// The operator lets go of a cord, whoever pulled it, by the threshold that signs its policy.
/// Mutant: override-ignored-by-host.
#[test]
fn a_policy_overrides_any_partys_freeze_on_its_own_line_until_it_says() {
    let mut known = Known::new();
    let all: BTreeSet<Digest> = known.releases.into();
    let [acme, zeta] = known.releases;
    let over = NOW.plus(Millis::from_secs(3600));
    for (by, keys) in [(0, vec![10]), (1, vec![20]), (3, vec![1]), (3, vec![3])] {
        let pull = |scope| Pull { by, scope, keys: keys.clone(), from: 0, to: 20 };
        let (one, other) = (pull(0), Pull { scope: 5, ..pull(0) });
        let payload = serde_json::to_vec(&known.freeze(&one)).unwrap();
        let held = FreezeOverride {
            freeze: Digest::of(&payload),
            reason: Text::clipped("checked"),
            until: over,
        };
        let says = |known: &mut Known, overrides| {
            known.world.policy.version += 1;
            known.world.policy.overrides = overrides;
            let signed = seal(&[1, 2], PayloadType::Policy, &known.world.policy);
            known.world.put_policy(&signed);
        };
        says(&mut known, vec![]);
        assert_eq!(known.offered(std::slice::from_ref(&one), NOW), BTreeSet::from([zeta]));
        says(&mut known, vec![FreezeOverride { freeze: Digest::of(b"another"), ..held.clone() }]);
        assert_eq!(known.offered(std::slice::from_ref(&one), NOW), BTreeSet::from([zeta]));
        says(&mut known, vec![held.clone()]);
        assert_eq!(known.offered(&[one.clone(), other], NOW), all, "{by}");
        // The other one holds; but it is no vendor's to pull.
        let others = usize::from(by != 1);
        assert_eq!(known.world.sync(&mut view(7), NOW).freezes.len(), others);
        assert_eq!(known.offered(std::slice::from_ref(&one), over), BTreeSet::from([zeta]));
        // A new freeze is another one.
        let again = Pull { to: 21, ..one };
        assert_eq!(known.offered(&[again], NOW), BTreeSet::from([zeta]));
    }
    assert_ne!(acme, zeta);
}

#[test]
fn overrides_have_a_limit_and_a_policy_without_one_has_the_bytes_it_always_had() {
    use andon_model::limits::OVERRIDES_MAX;
    let held = FreezeOverride { freeze: Digest::of(b"f"), reason: Text::default(), until: NOW };
    for (many, fine) in [(OVERRIDES_MAX, true), (OVERRIDES_MAX + 1, false)] {
        let mut policy = policy();
        policy.overrides = vec![held.clone(); many];
        assert_eq!(policy.check().is_ok(), fine, "{many}");
    }
    assert!(!serde_json::to_string(&policy()).unwrap().contains("overrides"));
}
