//! People's words: commands and approvals, each refused for its own reason.
use crate::world::*;
use andon_model::command::{Approval, Command, Verb};
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::policy::Lane;
use andon_model::text::Text;
use andon_model::{Digest, Millis, PersonId, RolloutId, Time};
use andon_trust::command::{CommandRefusal, verify, verify_approval};
use serde_json::json;

fn command(person: &str) -> Command {
    Command {
        schema: 1,
        line: policy().line,
        person: PersonId::new(person).unwrap(),
        nonce: Digest::of(b"nonce"),
        issued: NOW,
        verb: Verb::Hold { rollout: RolloutId::new("r1").unwrap(), reason: Text::clipped("lunch") },
    }
}

#[test]
fn a_threshold_counts_people_not_keys_and_not_signatures() {
    use andon_trust::envelope::{VerifyError, verify_threshold};
    let alice_twice = [person("alice", 1), person("alice", 4), person("bob", 2)];
    let shared = [person("alice", 1), person("bob", 1)];
    let two_people = [person("alice", 1), person("bob", 2)];
    let kind = PayloadType::Policy;
    let twice = |keys: &[u8]| {
        let mut envelope = seal(keys, kind, &1);
        let again = envelope.signatures.clone();
        envelope.signatures.extend(again);
        envelope
    };
    for (people, keys, got) in [
        (&two_people[..], &[1, 2][..], 2),
        (&two_people, &[1], 1),
        (&two_people, &[1, 99], 1),
        (&alice_twice, &[1, 4], 1),
        (&alice_twice, &[4, 2], 2),
        (&shared, &[1], 1),
    ] {
        let want =
            if got == 2 { Ok(&b"1"[..]) } else { Err(VerifyError::Threshold { got, want: 2 }) };
        assert_eq!(verify_threshold(&seal(keys, kind, &1), kind, people, 2), want, "{keys:?}");
        assert_eq!(verify_threshold(&twice(keys), kind, people, 2), want, "{keys:?} twice");
    }
    let zero = verify_threshold(&seal(&[1], kind, &1), kind, &two_people, 0).unwrap_err();
    assert_eq!(zero, VerifyError::ThresholdZero);
}

fn text(result: Result<impl Sized, CommandRefusal>) -> String {
    match result {
        Ok(_) => "taken".to_owned(),
        Err(why) => {
            let cause = std::error::Error::source(&why).map(|c| format!(": {c}"));
            format!("{why}{}", cause.unwrap_or_default())
        }
    }
}

#[test]
fn a_command_is_taken_from_the_person_it_names_while_it_is_fresh() {
    let check = |envelope: Envelope, now: Time, want: &str| {
        let got = text(verify(&envelope, &policy(), now));
        assert!(got.contains(want), "wanted {want:?}, got {got:?}");
    };
    let kind = PayloadType::Command;
    let good = || seal(&[1], kind, &command("alice"));
    check(good(), NOW, "taken");
    check(good(), NOW.plus(Millis::from_secs(300)), "taken");
    check(good(), NOW.plus(Millis::from_secs(301)), "outside the allowed time");
    check(good(), NOW.minus(Millis::from_secs(61)), "outside the allowed time");
    check(seal(&[2], kind, &command("alice")), NOW, "signature of alice: no valid signature");
    check(seal(&[3], kind, &command("alice")), NOW, "signature of alice: no valid signature");
    check(seal(&[1], kind, &command("mallory")), NOW, "no person named mallory");
    check(seal(&[1], PayloadType::Approval, &command("alice")), NOW, "envelope holds");
    check(seal(&[1], kind, &Command { schema: 2, ..command("alice") }), NOW, "schema 2");
    let line = "operator:other".parse().unwrap();
    check(seal(&[1], kind, &Command { line, ..command("alice") }), NOW, "another line");
    let mut value = serde_json::to_value(command("alice")).unwrap();
    value["surprise"] = json!(1);
    check(seal(&[1], kind, &value), NOW, "unknown field");
    let mut cut = good();
    cut.payload.truncate(20);
    check(cut, NOW, "parse payload");
}

#[test]
fn an_approval_counts_for_the_person_who_signed_it_until_it_expires() {
    let release = Digest::of(b"release");
    let check = |envelope: Envelope, now: Time, want: &str| {
        let got = text(verify_approval(&envelope, &policy(), now));
        assert!(got.contains(want), "wanted {want:?}, got {got:?}");
    };
    let kind = PayloadType::Approval;
    let good = || approval("bob", release, Lane::Emergency);
    check(seal(&[2], kind, &good()), NOW, "taken");
    check(seal(&[2], kind, &good()), good().expires, "outside the allowed time");
    check(seal(&[2], kind, &good()), NOW.minus(Millis::from_secs(61)), "outside the allowed time");
    check(seal(&[1], kind, &good()), NOW, "signature of bob");
    check(seal(&[2], PayloadType::Command, &good()), NOW, "envelope holds");
    check(seal(&[2], kind, &Approval { schema: 9, ..good() }), NOW, "schema 9");
}
