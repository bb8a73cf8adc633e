//! One table over everything signed that a host reads, and everything that can be wrong with it:
//! each is refused with its own reason, and what the host held before stays as it was.
use crate::world::*;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::limits::{ENVELOPE_BYTES_MAX, STOP_BYTES_MAX, TUF_BYTES_MAX};
use andon_model::policy::{Lane, Policy};
use andon_model::stop::{Freeze, Party, Scope};
use andon_model::ticket::Ticket;
use andon_model::{Digest, Millis, Time};
use andon_trust::view::{RefusalCode, View};
use serde::Serialize;
use serde_json::{Value, json};

const AT: Time = Time(NOW.0 + 20_000);

struct Case {
    what: String,
    fault: &'static str,
    code: RefusalCode,
    why: &'static str,
    world: World,
    view: View,
}

/// A host that holds a policy, a first ticket and metadata; nothing is wrong yet.
fn settled() -> (World, View, Digest) {
    let mut world = World::new();
    let (_, digest) = world.release("acme", 1, &[20, 21]);
    world.issue(&world.ticket("r1", digest, 1, &[(16, 0), (32, 6)]));
    let mut view = view(7);
    assert_eq!(world.sync(&mut view, AT).refusals, []);
    assert_eq!(view.outcome().offers.len(), 1);
    (world, view, digest)
}

fn case(
    what: &str,
    fault: &'static str,
    code: RefusalCode,
    why: &'static str,
    change: impl FnOnce(&mut World, Digest),
) -> Case {
    let (mut world, view, digest) = settled();
    world.careless = true;
    change(&mut world, digest);
    Case { what: what.to_owned(), fault, code, why, world, view }
}

fn with_field(value: &impl Serialize) -> Value {
    let mut value = serde_json::to_value(value).unwrap();
    value["surprise"] = json!(1);
    value
}

/// One key's signature twice: what a careless counter would take for two people.
fn doubled(mut envelope: Envelope) -> Envelope {
    envelope.signatures.truncate(1);
    envelope.signatures.push(envelope.signatures[0].clone());
    envelope
}

fn policies() -> Vec<Case> {
    use RefusalCode::{Expired, Malformed, Rollback, Signature, TooLarge};
    let next = || Policy { version: 4, ..policy() };
    let kind = PayloadType::Policy;
    let put = |change: fn(Vec<u8>) -> Vec<u8>| {
        move |w: &mut World, _| {
            let next = Policy { version: 4, ..policy() };
            w.put_policy_bytes(change(seal(&[1, 2], PayloadType::Policy, &next).to_bytes()));
        }
    };
    let sealed = |envelope: Envelope| move |w: &mut World, _| w.put_policy(&envelope);
    let expired = Policy { expires: AT, ..next() };
    let old = Policy { version: 2, ..policy() };
    let other = Policy { holdback_min: 9, ..policy() };
    let line = Policy { line: "operator:other".parse().unwrap(), ..next() };
    vec![
        case("policy", "truncated", Malformed, "parse envelope", put(half)),
        case("policy", "oversized", TooLarge, "bytes", put(|b| padded(b, ENVELOPE_BYTES_MAX))),
        case("policy", "unknown field in envelope", Malformed, "unknown field", put(extra)),
        case(
            "policy",
            "wrongly signed",
            Signature,
            "0 distinct people",
            sealed(seal(&[98, 99], kind, &next())),
        ),
        case("policy", "expired", Expired, "has expired", sealed(seal(&[1, 2], kind, &expired))),
        case("policy", "replayed", Rollback, "version 2", sealed(seal(&[1, 2], kind, &old))),
        case("policy", "same version, other text", Rollback, "version 3", {
            sealed(seal(&[1, 2], kind, &other))
        }),
        case("policy", "other line", RefusalCode::Policy, "another line", {
            sealed(seal(&[1, 2], kind, &line))
        }),
        case("policy", "unknown field", Malformed, "unknown field", {
            sealed(seal(&[1, 2], kind, &with_field(&next())))
        }),
        case("policy", "wrong payload type", Signature, "envelope holds", {
            sealed(seal(&[1, 2], PayloadType::Command, &next()))
        }),
        case("policy", "one key twice", Signature, "1 distinct people", {
            sealed(doubled(seal(&[1], kind, &next())))
        }),
        case("policy", "threshold short", Signature, "1 distinct people", {
            sealed(seal(&[1], kind, &next()))
        }),
    ]
}

/// The next ticket of a line that is all right.
const STEPS: &[(u64, u64)] = &[(16, 0), (32, 6), (64, 12)];

fn tickets() -> Vec<Case> {
    use RefusalCode::{Expired, Malformed, Signature, TooLarge};
    let kind = PayloadType::Ticket;
    let next = |w: &World, digest| w.ticket("r1", digest, 1, STEPS);
    let bytes = |change: fn(Vec<u8>) -> Vec<u8>| {
        move |w: &mut World, digest| {
            let good = seal(&[3], PayloadType::Ticket, &w.ticket("r1", digest, 1, STEPS));
            w.put_ticket("r1", change(good.to_bytes()));
        }
    };
    let edited = |edit: fn(&mut Ticket)| {
        move |w: &mut World, digest| {
            let mut ticket = w.ticket("r1", digest, 1, STEPS);
            edit(&mut ticket);
            w.issue(&ticket);
        }
    };
    let what = "ticket r1";
    vec![
        case(what, "truncated", Malformed, "parse envelope", bytes(half)),
        case(what, "oversized", TooLarge, "bytes", bytes(|b| padded(b, ENVELOPE_BYTES_MAX))),
        case(what, "unknown field in envelope", Malformed, "unknown field", bytes(extra)),
        case(what, "wrongly signed", Signature, "no valid signature", move |w, d| {
            let bad = seal(&[1], kind, &next(w, d));
            w.put_ticket("r1", bad.to_bytes());
        }),
        case(what, "expired", Expired, "has expired", edited(|t| t.not_after = AT)),
        case(
            what,
            "from the future",
            Expired,
            "future",
            edited(|t| {
                t.not_before = AT.plus(Millis::from_secs(61));
            }),
        ),
    ]
}

fn tickets_out_of_line() -> Vec<Case> {
    use RefusalCode::{Malformed, Rollback};
    let edited = |edit: fn(&mut Ticket)| {
        move |w: &mut World, digest| {
            let mut ticket = w.ticket("r1", digest, 1, STEPS);
            edit(&mut ticket);
            w.issue(&ticket);
        }
    };
    let steps = |steps: &'static [(u64, u64)]| {
        move |w: &mut World, digest| w.issue(&w.ticket("r1", digest, 1, steps))
    };
    let what = "ticket r1";
    vec![
        case(what, "replayed", Rollback, "goes back", steps(&[(16, 0)])),
        case(what, "another past", Rollback, "goes back", steps(&[(15, 0), (32, 6), (64, 12)])),
        case(
            what,
            "another release",
            Rollback,
            "goes back",
            edited(|t| {
                t.release = Digest::of(b"other");
            }),
        ),
        case(
            what,
            "wrong generation",
            Malformed,
            "is not the last step's",
            edited(|t| {
                t.generation = 7;
            }),
        ),
        case(
            what,
            "ceilings unlike steps",
            Malformed,
            "does not add up",
            edited(|t| {
                t.ceilings[0].handed += 1;
            }),
        ),
        case(what, "too wide", RefusalCode::Policy, "generation 3 widens", {
            steps(&[(16, 0), (32, 6), (497, 12)])
        }),
        case(what, "too soon", RefusalCode::Policy, "generation 3 comes sooner", {
            steps(&[(16, 0), (32, 6), (64, 10)])
        }),
    ]
}

fn tickets_from_elsewhere() -> Vec<Case> {
    use RefusalCode::{Malformed, Signature};
    let kind = PayloadType::Ticket;
    let next = |w: &World, digest| w.ticket("r1", digest, 1, STEPS);
    let edited = |edit: fn(&mut Ticket)| {
        move |w: &mut World, digest| {
            let mut ticket = w.ticket("r1", digest, 1, STEPS);
            edit(&mut ticket);
            w.issue(&ticket);
        }
    };
    let what = "ticket r1";
    vec![
        case(
            what,
            "newer policy",
            RefusalCode::Policy,
            "policy version 4",
            edited(|t| {
                t.policy_version = 4;
            }),
        ),
        case(
            what,
            "other line",
            RefusalCode::Policy,
            "another line",
            edited(|t| {
                t.line = "operator:other".parse().unwrap();
            }),
        ),
        case("ticket r9", "other rollout", RefusalCode::Policy, "another rollout", |w, d| {
            let other = w.ticket("r2", d, 1, &[(16, 0)]);
            w.put_ticket("r9", seal(&[3], PayloadType::Ticket, &other).to_bytes());
        }),
        case(what, "unknown field", Malformed, "unknown field", move |w, d| {
            let bad = seal(&[3], kind, &with_field(&next(w, d)));
            w.put_ticket("r1", bad.to_bytes());
        }),
        case(what, "wrong payload type", Signature, "envelope holds", move |w, d| {
            let bad = seal(&[3], PayloadType::Policy, &next(w, d));
            w.put_ticket("r1", bad.to_bytes());
        }),
        case(what, "one key twice under two people", Signature, "of 1 distinct people", |w, d| {
            emergency(w, d, &[("alice", 1), ("alice", 1)]);
        }),
        case(what, "threshold short", Signature, "of 1 distinct people", |w, d| {
            emergency(w, d, &[("alice", 1), ("bob", 1)]);
        }),
    ]
}

fn emergency(world: &mut World, digest: Digest, people: &[(&str, u8)]) {
    let mut ticket = world.ticket("r1", digest, 1, &[(16, 0), (32, 6), (64, 12)]);
    ticket.lane = Lane::Emergency;
    let sealed = |(name, key): &(&str, u8)| {
        seal(&[*key], PayloadType::Approval, &approval(name, digest, Lane::Emergency))
    };
    ticket.approvals = people.iter().map(sealed).collect();
    world.issue(&ticket);
}

fn stops() -> Vec<Case> {
    use RefusalCode::{Expired, Malformed, Signature, TooLarge};
    let good = || freeze(Party::Platform, Scope::All);
    let kind = PayloadType::Freeze;
    let stop = |fault, code, why, bytes: Vec<u8>| {
        let what = format!("stop {}", Digest::of(&bytes).short());
        case(&what, fault, code, why, move |w, _| w.put_stop_bytes(bytes))
    };
    let sealed = |keys: &[u8], freeze: &Freeze| seal(keys, kind, freeze).to_bytes();
    let plain = sealed(&[10], &good());
    let expired = Freeze { expires: AT, ..good() };
    let future = Freeze { issued: AT.plus(Millis::from_secs(61)), ..good() };
    let long = Freeze { reason: andon_model::text::Text::clipped(&"x".repeat(201)), ..good() };
    let foreign = Party::Operator(andon_model::OperatorId::new("other").unwrap());
    vec![
        stop("truncated", Malformed, "parse envelope", half(plain.clone())),
        stop("oversized", TooLarge, "bytes", padded(plain.clone(), STOP_BYTES_MAX)),
        stop("unknown field in envelope", Malformed, "unknown field", extra(plain)),
        stop("wrongly signed", Signature, "no valid signature", sealed(&[99], &good())),
        stop("expired (and so replayed)", Expired, "has expired", sealed(&[10], &expired)),
        stop("from the future", Expired, "in the future", sealed(&[10], &future)),
        stop("reason too long", Malformed, "is over 200 bytes", sealed(&[10], &long)),
        stop("another fleet's operator", RefusalCode::Policy, "may not freeze", {
            sealed(&[1], &freeze(foreign, Scope::All))
        }),
        stop("unknown field", Malformed, "unknown field", {
            seal(&[10], kind, &with_field(&good())).to_bytes()
        }),
        stop("wrong payload type", Signature, "envelope holds", {
            seal(&[10], PayloadType::Approval, &good()).to_bytes()
        }),
    ]
}

fn metadata(file: &'static str) -> Vec<Case> {
    use RefusalCode::{Expired, Malformed, Signature, TooLarge};
    let tampered = |fault, code, why, change: fn(Vec<u8>) -> Vec<u8>| {
        case(file, fault, code, why, move |w, _| {
            w.tamper = Some((file, Box::new(change)));
            w.publish();
        })
    };
    let mut cases = vec![
        tampered("truncated", Malformed, "parse JSON", half),
        tampered("oversized", TooLarge, "bytes", |b| padded(b, TUF_BYTES_MAX)),
        tampered("wrongly signed", Signature, "", |b| resigned(b, &[99], |_| {})),
        tampered("changed after signing", Signature, "", |b| {
            String::from_utf8(b).unwrap().replace("1.0.31", "1.0.30").into_bytes()
        }),
        tampered("one key twice", Signature, "", |b| {
            let mut value: Value = serde_json::from_slice(&b).unwrap();
            let first = value["signatures"][0].clone();
            value["signatures"].as_array_mut().unwrap().push(first);
            serde_json::to_vec(&value).unwrap()
        }),
        tampered("wrong type", Malformed, "_type", |b| {
            resigned(b, &[13, 14, 15], |signed| signed["_type"] = json!("root"))
        }),
        tampered("another specification", Malformed, "spec_version", |b| {
            resigned(b, &[13, 14, 15], |signed| signed["spec_version"] = json!("2.0"))
        }),
    ];
    cases.push(tampered("expired", Expired, "expired", |b| {
        resigned(b, &[13, 14, 15], |signed| signed["expires"] = json!("2020-01-01T00:00:00Z"))
    }));
    cases
}

fn half(bytes: Vec<u8>) -> Vec<u8> {
    bytes[..bytes.len() / 2].to_vec()
}

fn padded(mut bytes: Vec<u8>, limit: usize) -> Vec<u8> {
    bytes.resize(limit + 1, b' ');
    bytes
}

fn extra(bytes: Vec<u8>) -> Vec<u8> {
    let value: Value = serde_json::from_slice(&bytes).unwrap();
    serde_json::to_vec(&with_field(&value)).unwrap()
}

#[test]
fn what_is_wrong_is_refused_for_its_own_reason_and_changes_nothing() {
    let mut cases = policies();
    cases.extend(tickets());
    cases.extend(tickets_out_of_line());
    cases.extend(tickets_from_elsewhere());
    cases.extend(stops());
    cases.extend(["timestamp", "snapshot", "targets"].into_iter().flat_map(metadata));
    for Case { what, fault, code, why, mut world, mut view } in cases {
        let before = view.record();
        let offers = view.outcome().offers.clone();
        let outcome = world.sync(&mut view, AT);
        let label = format!("{what}, {fault}");
        assert_eq!(outcome.refusals.len(), 1, "{label}: {:?}", outcome.refusals);
        let refusal = &outcome.refusals[0];
        assert_eq!((&refusal.what, refusal.code), (&what, code), "{label}: {}", refusal.why);
        assert!(refusal.why.contains(why), "{label}: {}", refusal.why);
        assert!(view.record() == before, "{label}: the record changed");
        assert_eq!(outcome.offers, offers, "{label}: the last good state went away");
    }
}

#[test]
fn refused_bytes_are_fetched_once_and_refused_in_every_round() {
    let (mut world, mut view, digest) = settled();
    let bad = seal(&[1], PayloadType::Ticket, &world.ticket("r1", digest, 1, &[(16, 0)]));
    world.put_ticket("r1", bad.to_bytes());
    world.put_stop(&seal(&[99], PayloadType::Freeze, &freeze(Party::Platform, Scope::All)));
    assert_eq!(world.sync(&mut view, AT).refusals.len(), 2);
    assert_eq!(world.fetched.len(), 3);
    assert_eq!(world.sync(&mut view, AT).refusals.len(), 2);
    assert_eq!(world.fetched.len(), 1, "asked again: {:?}", world.fetched);
}
