//! Two lines: a release of a vendor on whose line the policy has this line take part is offered only
//! where a ticket of either line covers this host. Here the host's own line covers everybody, unless said
//! otherwise: what bounds is the vendor's.
use crate::world::*;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::index::{IndexVendorLine, IndexVendorTicket};
use andon_model::line::{Pace, SeatBlock, Seating, VendorLine};
use andon_model::policy::Policy;
use andon_model::position::Position;
use andon_model::ticket::{Newcomers, Ticket};
use andon_model::verifiers::{Verifier, Verifiers};
use andon_model::*;
use andon_trust::view::{Outcome, RefusalCode, View};
use std::collections::BTreeSet;

/// Keys: 50, 51 people of acme's line; 52 its online key; 53 a gate verifier of it.
const PEOPLE: [u8; 2] = [50, 51];
const ONLINE: u8 = 52;
/// Seats of hosts 1 to 90; hosts 91 to 100 have none.
const FIRST_SEAT: u64 = 201;
const SEATED: u32 = 90;

struct Lines {
    world: World,
    release: Digest,
    policy: Policy,
    seating: Seating,
    ticket: Ticket,
}

fn acme() -> VendorId {
    VendorId::new("acme").unwrap()
}

fn consent() -> VendorLine {
    let people = vec![person("vera", PEOPLE[0]), person("vic", PEOPLE[1])];
    VendorLine { vendor: acme(), people, threshold: 2, pace: Pace::Own }
}

fn seat(n: u64) -> HostId {
    host(FIRST_SEAT + n - 1)
}

/// The first sixteen hosts by their seats, and the position of the last of them.
fn first(ticket: &Ticket) -> (Vec<u64>, Position) {
    let at = |n: u64| Position::of(&ticket.seed, &ticket.release, seat(n));
    let mut order: Vec<(Position, u64)> = (1..=u64::from(SEATED)).map(|n| (at(n), n)).collect();
    order.sort_unstable();
    let mut hosts: Vec<u64> = order[..16].iter().map(|(_, n)| *n).collect();
    hosts.sort_unstable();
    (hosts, order[15].0)
}

impl Lines {
    fn new() -> Lines {
        let mut world = World::new();
        world.policy.vendor_lines = vec![consent()];
        world.put_policy(&seal(&[1, 2], PayloadType::Policy, &world.policy));
        let (_, release) = world.release("acme", 1, &[20, 21]);
        world.issue(&world.ticket("own", release, 1, &[(16, 0)]));
        let line: LineId = "vendor:acme".parse().unwrap();
        let policy = Policy {
            line: line.clone(),
            version: 7,
            online: key(ONLINE).public(),
            people: consent().people,
            vendor_lines: vec![],
            ..policy()
        };
        let block = SeatBlock { host_first: 1, seat_first: FIRST_SEAT, count: SEATED };
        let operator = OperatorId::new("hospital").unwrap();
        let seating = Seating { schema: 1, line: line.clone(), operator, seats: vec![block] };
        let mut ticket = world.ticket("theirs", release, 1, &[(16, 0)]);
        ticket.line = line;
        ticket.policy_version = 7;
        ticket.enrolled_max = Some(host(9999));
        ticket.ceilings[0].position_max = Some(first(&ticket).1);
        let index = IndexVendorLine {
            vendor: acme(),
            policy: Digest([0; 32]),
            seats: None,
            tickets: vec![],
        };
        world.index.vendor_lines = vec![index];
        let mut lines = Lines { world, release, policy, seating, ticket };
        lines.show_policy(&PEOPLE);
        lines.show_seats(ONLINE);
        lines.show_ticket(&[ONLINE]);
        lines
    }

    fn listed(&mut self) -> &mut IndexVendorLine {
        &mut self.world.index.vendor_lines[0]
    }

    fn put(&mut self, file: &str, envelope: &Envelope) -> Digest {
        let bytes = envelope.to_bytes();
        let digest = Digest::of(&bytes);
        self.world.files.insert(self.world.line_path(&format!("vendor/acme/{file}")), bytes);
        digest
    }

    fn show_policy(&mut self, signers: &[u8]) {
        let envelope = seal(signers, PayloadType::Policy, &self.policy);
        self.listed().policy = self.put("policy.json", &envelope);
        self.world.bump();
    }

    fn show_seats(&mut self, signer: u8) {
        let envelope = seal(&[signer], PayloadType::Seating, &self.seating);
        self.listed().seats = Some(self.put("seats.json", &envelope));
        self.world.bump();
    }

    fn show_ticket(&mut self, signers: &[u8]) {
        let envelope = seal(signers, PayloadType::Ticket, &self.ticket);
        let digest = self.put("tickets/theirs.json", &envelope);
        let (rollout, release) = (RolloutId::new("theirs").unwrap(), self.ticket.release);
        self.listed().tickets = vec![IndexVendorTicket { rollout, release, digest }];
        self.world.bump();
    }

    /// Hosts that are offered the release, each with a view of its own.
    fn offered(&mut self) -> Vec<u64> {
        let offered = |n: &u64| !self.world.sync(&mut view(*n), NOW).offers.is_empty();
        (1..=105).filter(offered).collect()
    }

    /// What one host that the vendor line's first wave covers is told.
    fn told(&mut self) -> Outcome {
        let covered = first(&self.ticket).0[0];
        self.world.sync(&mut view(covered), NOW)
    }

    fn told_at(&mut self, view: &mut View, now: Time) -> Outcome {
        self.world.sync(view, now)
    }

    /// Nothing is offered; the file is refused so, or the release for want of it.
    fn refused(&mut self, what: &str, code: RefusalCode, why: &str) {
        let outcome = self.told();
        assert_eq!(outcome.offers, [], "{why}");
        let told = outcome.refusals.iter().find(|told| told.what == what);
        let told = told.unwrap_or_else(|| panic!("{what}: {:?}", outcome.refusals));
        assert!(told.code == code && told.why.contains(why), "{told:?}, not {code:?} {why}");
        let release = format!("release {}", self.release.short());
        let of_release = outcome.refusals.iter().find(|told| told.what == release).unwrap();
        assert_eq!(of_release.code, RefusalCode::VendorLine);
    }
}

/// Mutants: vendor-ticket-unchecked-by-host, seat-of-the-own-line.
#[test]
fn only_hosts_that_either_lines_ticket_covers_are_offered_a_release() {
    let mut lines = Lines::new();
    let want = first(&lines.ticket).0;
    assert_eq!(lines.offered(), want);
    // And the other way round: the vendor's line is through, the own one has begun.
    let mut own = lines.world.ticket("own", lines.release, 1, &[(16, 0)]);
    own.seats = lines.seating.seats.clone();
    own.ceilings[0].position_max = lines.ticket.ceilings[0].position_max;
    lines.world.issue(&own);
    lines.ticket.ceilings[0].position_max = Some(Position::MAX);
    lines.show_ticket(&[ONLINE]);
    assert_eq!(lines.offered(), want);
    // By their own numbers, or by seats as their own line has them, others would be covered.
    own.seats[0].seat_first += 1000;
    own.ceilings[0].position_max = Some(Position::MAX);
    lines.world.issue(&own);
    lines.ticket.ceilings[0].position_max = Some(first(&lines.ticket).1);
    lines.show_ticket(&[ONLINE]);
    assert_eq!(lines.offered(), want);
}

#[test]
fn who_has_no_seat_follows_when_the_vendor_line_covers_newcomers() {
    let mut lines = Lines::new();
    lines.ticket.newcomers = Newcomers::Included;
    soaked(&mut lines.ticket);
    lines.show_ticket(&[ONLINE]);
    let want: Vec<u64> = first(&lines.ticket).0.into_iter().chain(91..=100).collect();
    assert_eq!(lines.offered(), want);
    lines.listed().seats = None;
    lines.world.bump();
    assert_eq!(lines.offered(), (1..=100).collect::<Vec<_>>(), "nobody's seat is shown");
}

#[test]
fn what_is_missing_is_said_by_name_and_other_vendors_go_on() {
    let mut lines = Lines::new();
    let (_, other) = lines.world.release("zeta", 2, &[30]);
    lines.world.issue(&lines.world.ticket("other", other, 2, &[(16, 0)]));
    let offers = |outcome: &Outcome| -> BTreeSet<Digest> {
        outcome.offers.iter().map(|offer| offer.release).collect()
    };
    let release = lines.release;
    assert_eq!(offers(&lines.told()), BTreeSet::from([release, other]));
    let whole = lines.world.index.vendor_lines.clone();
    let said = |lines: &mut Lines, why: &str| {
        let outcome = lines.told();
        assert_eq!(offers(&outcome), BTreeSet::from([other]), "{why}");
        let told: Vec<_> =
            outcome.refusals.iter().map(|told| (told.code, told.why.as_str())).collect();
        let (code, said) = told.last().unwrap();
        assert_eq!((*code, *said), (RefusalCode::VendorLine, why));
    };
    lines.world.index.vendor_lines.clear();
    lines.world.bump();
    said(&mut lines, "policy of vendor:acme is missing or has expired");
    lines.world.index.vendor_lines = whole.clone();
    lines.listed().tickets.clear();
    lines.world.bump();
    said(&mut lines, "no ticket of vendor:acme for it is here");
    lines.world.index.vendor_lines = whole;
    lines.ticket.ceilings[0].position_max = None;
    lines.show_ticket(&[ONLINE]);
    said(&mut lines, "vendor:acme has not reached this host");
    // What is not for this host is not fetched.
    lines.world.index.tickets.retain(|ticket| ticket.rollout.as_str() == "other");
    lines.world.bump();
    assert_eq!(offers(&lines.told()), BTreeSet::from([other]));
    let of_acme = lines.world.fetched.iter().find(|path| path.contains("/vendor/"));
    assert_eq!(of_acme, None);
}

/// Mutant: seats-signed-by-anybody.
#[test]
fn seats_that_the_vendor_line_did_not_sign_for_this_line_are_refused() {
    let mut lines = Lines::new();
    let what = "seats of vendor:acme";
    lines.show_seats(3);
    lines.refused(what, RefusalCode::Signature, "verify seats");
    let good = lines.seating.clone();
    lines.seating.operator = OperatorId::new("clinic").unwrap();
    lines.show_seats(ONLINE);
    lines.refused(what, RefusalCode::Policy, "another operator's");
    lines.seating = Seating { line: "vendor:zeta".parse().unwrap(), ..good.clone() };
    lines.show_seats(ONLINE);
    lines.refused(what, RefusalCode::Policy, "another line");
    let twice = SeatBlock { host_first: 100, seat_first: FIRST_SEAT, count: 1 };
    lines.seating = good.clone();
    lines.seating.seats.push(twice);
    lines.show_seats(ONLINE);
    lines.refused(what, RefusalCode::Malformed, "gives a seat twice");
    lines.seating = good;
    lines.show_seats(ONLINE);
    assert_eq!(lines.told().offers.len(), 1);
}

#[test]
fn a_ticket_that_the_vendor_lines_own_policy_does_not_allow_permits_nothing() {
    let good = Lines::new().ticket;
    let what = "ticket theirs of vendor:acme";
    let own_key = |lines: &mut Lines| lines.show_ticket(&[3]);
    let wide = |lines: &mut Lines| {
        lines.ticket.steps[0].handed = 17;
        lines.ticket.ceilings[0].handed = 17;
        lines.show_ticket(&[ONLINE]);
    };
    let fast = |lines: &mut Lines| {
        let mut step = lines.ticket.steps[0];
        (step.generation, step.handed) = (2, 32);
        lines.ticket.steps.push(step);
        (lines.ticket.generation, lines.ticket.ceilings[0].handed) = (2, 32);
        lines.show_ticket(&[ONLINE]);
    };
    let own_line = |lines: &mut Lines| {
        lines.ticket.line = lines.world.policy.line.clone();
        lines.show_ticket(&[ONLINE]);
    };
    let early = |lines: &mut Lines| {
        for step in &mut lines.ticket.steps {
            step.at = step.at.plus(Millis::from_secs(3600));
        }
        lines.ticket.not_before = lines.ticket.steps[0].at;
        lines.ticket.not_after = lines.ticket.not_before.plus(Millis::from_secs(600));
        lines.show_ticket(&[ONLINE]);
    };
    let other_name = |lines: &mut Lines| {
        lines.ticket.rollout = RolloutId::new("elsewhere").unwrap();
        lines.show_ticket(&[ONLINE]);
    };
    type Change<'c> = &'c dyn Fn(&mut Lines);
    let bad: [(Change<'_>, RefusalCode, &str); 6] = [
        (&own_key, RefusalCode::Signature, "verify ticket"),
        (&wide, RefusalCode::Policy, "widens more"),
        (&fast, RefusalCode::Policy, "sooner"),
        (&own_line, RefusalCode::Policy, "another line"),
        (&early, RefusalCode::Expired, "in the future"),
        (&other_name, RefusalCode::Policy, "another rollout"),
    ];
    for (change, code, why) in bad {
        let mut lines = Lines::new();
        change(&mut lines);
        lines.refused(what, code, why);
        lines.ticket = good.clone();
        lines.show_ticket(&[ONLINE]);
        assert_eq!(lines.told().offers.len(), 1, "{why}");
    }
}

#[test]
fn its_gate_verifiers_must_have_cosigned_where_its_policy_says_so() {
    let mut lines = Lines::new();
    let verifier = Verifier { name: VerifierId::new("v").unwrap(), key: key(53).public() };
    lines.policy.verifiers = Verifiers { keys: vec![verifier], needed: 1 };
    lines.show_policy(&PEOPLE);
    let what = "ticket theirs of vendor:acme";
    lines.refused(what, RefusalCode::Signature, "cosigned by 0 distinct gate verifiers");
    lines.show_ticket(&[ONLINE, 53]);
    assert_eq!(lines.told().offers.len(), 1);
}

#[test]
fn its_policy_is_its_own_peoples_and_never_goes_back_over_restarts_too() {
    let mut lines = Lines::new();
    let what = "policy of vendor:acme";
    for (signers, why) in [(&[1, 2][..], "verify policy"), (&[50], "verify policy")] {
        lines.show_policy(signers);
        lines.refused(what, RefusalCode::Signature, why);
    }
    lines.policy.expires = NOW;
    lines.show_policy(&PEOPLE);
    lines.refused(what, RefusalCode::Expired, "expired");
    lines.policy.expires = NOW.plus(YEAR);
    lines.policy.version = 8;
    lines.show_policy(&PEOPLE);
    let covered = first(&lines.ticket).0[0];
    let mut view = view(covered);
    assert_eq!(lines.told_at(&mut view, NOW).offers.len(), 1);
    // Its time passes while nothing new is said.
    let late = lines.told_at(&mut view, NOW.plus(YEAR).plus(Millis(1)));
    assert_eq!(late.offers, []);
    let record = view.record();
    lines.policy.version = 7;
    lines.show_policy(&PEOPLE);
    let mut again = View::restore(anchor(), host(covered), class(), &record).unwrap();
    let outcome = lines.told_at(&mut again, NOW);
    assert_eq!(outcome.offers, []);
    let told = outcome.refusals.iter().find(|told| told.what == what).unwrap();
    assert_eq!(told.code, RefusalCode::Rollback);
}

#[test]
fn its_tickets_never_go_back_and_what_was_covered_stays_covered() {
    let mut lines = Lines::new();
    let covered = first(&lines.ticket).0[0];
    let mut view = view(covered);
    let first = lines.ticket.clone();
    let mut step = first.steps[0];
    (step.generation, step.handed) = (2, 32);
    step.at = step.at.plus(Millis::from_secs(5));
    lines.ticket.steps.push(step);
    (lines.ticket.generation, lines.ticket.ceilings[0].handed) = (2, 32);
    lines.ticket.not_before = step.at;
    lines.show_ticket(&[ONLINE]);
    let now = NOW.plus(Millis::from_secs(10));
    assert_eq!(lines.told_at(&mut view, now).offers.len(), 1);
    // Its own time is over long before this host's own ticket's, which is renewed.
    lines.world.issue(&Ticket {
        not_before: NOW.plus(Millis::from_secs(7000)),
        not_after: NOW.plus(Millis::from_secs(9000)),
        ..lines.world.ticket("own", lines.release, 1, &[(16, 0)])
    });
    let later = NOW.plus(Millis::from_secs(8000));
    assert_eq!(lines.told_at(&mut view, later).offers.len(), 1);
    let record = view.record();
    let mut again = View::restore(anchor(), host(covered), class(), &record).unwrap();
    assert_eq!(lines.told_at(&mut again, later).offers.len(), 1, "after a restart too");
    lines.ticket = first;
    lines.show_ticket(&[ONLINE]);
    let outcome = lines.told_at(&mut again, later);
    let what = "ticket theirs of vendor:acme";
    let told = outcome.refusals.iter().find(|told| told.what == what).unwrap();
    assert_eq!(told.code, RefusalCode::Rollback);
    // A ticket that is not listed any more is withdrawn.
    lines.listed().tickets.clear();
    lines.world.bump();
    assert_eq!(lines.told_at(&mut again, later).offers, []);
}

#[test]
fn a_policy_that_names_the_vendor_line_no_more_asks_for_nothing() {
    let mut lines = Lines::new();
    let mut view = view(100);
    assert_eq!(lines.told_at(&mut view, NOW).offers, [], "it has no seat");
    lines.world.policy.version += 1;
    lines.world.policy.vendor_lines.clear();
    let envelope = seal(&[1, 2], PayloadType::Policy, &lines.world.policy);
    lines.world.put_policy(&envelope);
    let outcome = lines.told_at(&mut view, NOW);
    assert_eq!((outcome.offers.len(), outcome.refusals), (1, vec![]));
    assert!(!lines.world.fetched.iter().any(|path| path.contains("/vendor/")));
}

#[test]
fn an_index_without_vendor_lines_has_the_bytes_it_always_had_and_too_many_are_refused() {
    use andon_model::index::Index;
    use andon_model::limits::VENDOR_LINES_MAX;
    let text = serde_json::to_string(&Index::default()).unwrap();
    assert!(!text.contains("vendor"), "{text}");
    let line = Lines::new().world.index.vendor_lines.remove(0);
    for (many, fine) in [(VENDOR_LINES_MAX, true), (VENDOR_LINES_MAX + 1, false)] {
        let index = Index { vendor_lines: vec![line.clone(); many], ..Index::default() };
        let read = Index::parse(&serde_json::to_vec(&index).unwrap());
        assert_eq!(read.is_ok(), fine, "{many}");
    }
}

/// Mutant: ceiling-shard-unchecked.
#[test]
fn a_vendor_lines_ceiling_is_looked_up_below_its_own_folder() {
    let mut lines = Lines::new();
    let want = first(&lines.ticket).0;
    let other = |n: usize| andon_model::ticket::Ceiling {
        stratum: StratumId::new(&format!("x86_64.other.m{n:04}")).unwrap(),
        position_max: None,
        handed: 0,
        late_max: None,
    };
    lines.ticket.ceilings.extend((1..70).map(other));
    lines.ticket.ceilings.sort_by(|a, b| a.stratum.cmp(&b.stratum));
    let (sealed, shards) = lines.ticket.clone().sealed().unwrap();
    let open = std::mem::replace(&mut lines.ticket, sealed);
    lines.show_ticket(&[ONLINE]);
    let signed = lines.ticket.committed.unwrap();
    let number = andon_model::ceilings::shard_of(&class().stratum(), signed.shards);
    let below = andon_model::ceilings::path(&open.rollout, &signed.root, number);
    let path = lines.world.line_path(&format!("vendor/acme/{below}"));
    let own = shards[number as usize].clone();
    let mut forged = own.clone();
    forged.ceilings.iter_mut().for_each(|it| it.position_max = Some(Position::MAX));
    let covered = *want.first().unwrap();
    let put = |lines: &mut Lines, shard: &andon_model::ceilings::Shard| {
        lines.world.files.insert(path.clone(), serde_json::to_vec(shard).unwrap());
    };
    let refusals = |lines: &mut Lines| -> Vec<(String, RefusalCode)> {
        let told = lines.world.sync(&mut view(covered), NOW);
        assert_eq!(told.offers, []);
        told.refusals.into_iter().map(|told| (told.what, told.code)).collect()
    };
    let what = "ceiling of theirs of vendor:acme".to_owned();
    let missing = refusals(&mut lines);
    assert!(missing.contains(&(what.clone(), RefusalCode::Missing)), "{missing:?}");
    put(&mut lines, &forged);
    let wrong = refusals(&mut lines);
    assert!(wrong.contains(&(what, RefusalCode::Digest)), "{wrong:?}");
    put(&mut lines, &own);
    assert_eq!(lines.offered(), want);
}
