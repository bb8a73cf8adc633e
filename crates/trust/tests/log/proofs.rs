//! Proofs of logging: what verifies, in which order it is refused, and that no byte can be changed.
use crate::world::*;
use andon_model::Time;
use andon_trust::log::note::SignatureError;
use andon_trust::log::proof::LogProofError;
use andon_trust::log::{LogProof, LogRefusal, Policy, SignedCheckpoint, verified};

#[test]
fn a_proof_verifies_offline_and_says_what_it_proved() {
    for size in [1, 2, 3, 7, 8, 9] {
        for index in 0..size {
            let text = proof(index, size, &[1, 2, 3]).to_text();
            let read = LogProof::parse(text.as_bytes()).unwrap();
            assert_eq!(read.to_text(), text);
            let verified = read.verify(entry_hash(index), &everybody()).unwrap();
            assert_eq!((verified.index(), verified.leaf()), (index, entry_hash(index)));
            let checkpoint = verified.checkpoint();
            assert_eq!((checkpoint.origin(), checkpoint.head().size), (ORIGIN, size));
            assert_eq!(checkpoint.cosigned().len(), 3);
            assert_eq!(verified.newest_cosigned(), Some(Time((SEEN + 180) * 1000)));
            assert_eq!(checkpoint.quorum_time(), Some(Time((SEEN + 60) * 1000)));
        }
    }
}

#[test]
fn every_bit_of_a_proof_matters() {
    let policy = everybody();
    let text = proof(5, 11, &[1, 2, 3]).to_text().into_bytes();
    assert!(LogProof::parse(&text).unwrap().verify(entry_hash(5), &policy).is_ok());
    for at in 0..text.len() {
        for bit in 0..8 {
            let mut bad = text.clone();
            bad[at] ^= 1 << bit;
            let verified =
                LogProof::parse(&bad).ok().and_then(|p| p.verify(entry_hash(5), &policy).ok());
            assert_eq!(verified, None, "bit {bit} of byte {at}");
        }
        let cut = LogProof::parse(&text[..at]);
        let verified = cut.ok().and_then(|p| p.verify(entry_hash(5), &policy).ok());
        assert_eq!(verified, None, "cut off at byte {at}");
    }
}

#[test]
fn another_entry_or_another_index_is_not_proven() {
    let good = proof(5, 11, &[1, 2, 3]);
    for at in 0..12 {
        let wrong = good.verify(entry_hash(at), &everybody());
        assert_eq!(wrong.is_ok(), at == 5, "entry {at}");
        let moved = LogProof { index: at, ..good.clone() };
        let verified = moved.verify(entry_hash(5), &everybody());
        assert_eq!(verified.is_ok(), at == 5, "index {at}");
    }
    let refused = good.verify(entry_hash(6), &everybody());
    assert_eq!(refused, Err(LogRefusal::Inclusion { index: 5, size: 11 }));
}

#[test]
fn without_the_quorum_nothing_is_proven() {
    let two = policy("group g 2 w1 w2 w3\nquorum g");
    for (witnesses, enough) in [
        (&[][..], false),
        (&[1], false),
        (&[3], false),
        (&[1, 3], true),
        (&[2, 3], true),
        (&[1, 2, 3], true),
        // a stranger, and one witness twice, are no second witness
        (&[1, 9], false),
        (&[1, 1], false),
    ] {
        let verified = proof(0, 4, witnesses).verify(entry_hash(0), &two);
        assert_eq!(verified.is_ok(), enough, "{witnesses:?}");
        if let Err(why) = verified {
            let got = witnesses.iter().filter(|w| **w <= 3).collect::<Vec<_>>();
            let got = if witnesses == [1, 1] { 1 } else { got.len() };
            assert_eq!(why, LogRefusal::Quorum { got, known: 3 });
        }
    }
}

#[test]
fn one_witness_with_two_cosignatures_is_one_witness() {
    let two = policy("group g 2 w1 w2 w3\nquorum g");
    let mut twice = proof(0, 4, &[1]);
    let text = twice.checkpoint.note().text().to_owned();
    twice.checkpoint.add(witness(1).sign(&text, SEEN + 999));
    assert_eq!(twice.verify(entry_hash(0), &two), Err(LogRefusal::Quorum { got: 1, known: 3 }));
}

#[test]
fn time_of_a_quorum_is_not_set_by_one_witness_alone() {
    let two = policy("group g 2 w1 w2 w3\nquorum g");
    let mut checkpoint = signed(4);
    let text = checkpoint.note().text().to_owned();
    for (number, time) in [(1, 100), (2, 200), (3, u64::MAX)] {
        checkpoint.add(witness(number).sign(&text, time));
    }
    let verified = verified::checkpoint(&checkpoint, &two).unwrap();
    assert_eq!(verified.quorum_time(), Some(Time(200_000)));
    assert!(verified.newest_cosigned() > verified.quorum_time());
    let none = verified::checkpoint(&signed(4), &policy("quorum none")).unwrap();
    assert_eq!((none.quorum_time(), none.newest_cosigned()), (None, None));
}

#[test]
fn refusals_come_in_the_order_of_the_specification() {
    let policy = everybody();
    let good = proof(5, 11, &[1, 2, 3]);
    let replaced = |find: &str, by: &str| {
        let text = good.checkpoint.to_text().replace(find, by);
        LogProof { checkpoint: SignedCheckpoint::parse(text.as_bytes()).unwrap(), ..good.clone() }
    };
    let wrong = |proof: &LogProof| proof.verify(entry_hash(0), &policy).unwrap_err();
    // every one of these has the wrong entry too; what comes first is said
    assert_eq!(
        wrong(&replaced(&format!("{ORIGIN}\n11"), "other\n11")),
        LogRefusal::Origin("other".to_owned())
    );
    let line = log_key().sign(good.checkpoint.note().text(), 0).to_line();
    assert_eq!(wrong(&replaced(&line, "")), LogRefusal::Unsigned(ORIGIN.to_owned()));
    assert_eq!(
        wrong(&replaced("\n11\n", "\n12\n")),
        LogRefusal::Signature(SignatureError(ORIGIN.to_owned()))
    );
    let cosigned = good.checkpoint.note().signatures()[1].to_line();
    assert_eq!(wrong(&replaced(&cosigned, "")), LogRefusal::Quorum { got: 2, known: 3 });
    assert_eq!(wrong(&good), LogRefusal::Inclusion { index: 5, size: 11 });
}

#[test]
fn a_wrong_cosignature_refuses_even_where_the_quorum_would_stand() {
    let any = policy("group g any w1 w2 w3\nquorum g");
    let mut bad = proof(0, 4, &[1]);
    let other = signed(3);
    bad.checkpoint.add(cosignature(&other, 2));
    let refused = bad.verify(entry_hash(0), &any);
    let by = witness(2).verifier().name().to_owned();
    assert_eq!(refused, Err(LogRefusal::Signature(SignatureError(by))));
}

#[test]
fn a_policy_without_logs_accepts_no_checkpoint() {
    let nobody = Policy::parse(b"quorum none\n").unwrap();
    let refused = proof(0, 1, &[]).verify(entry_hash(0), &nobody);
    assert_eq!(refused, Err(LogRefusal::Origin(ORIGIN.to_owned())));
    let ours = Policy::unwitnessed(vec![log_key().verifier().clone()]);
    assert!(proof(0, 1, &[]).verify(entry_hash(0), &ours).is_ok());
}

#[test]
fn extra_data_is_carried_and_authenticates_nothing() {
    let mut with = proof(0, 2, &[1, 2, 3]);
    with.extra = Some(b"context".to_vec());
    let read = LogProof::parse(with.to_text().as_bytes()).unwrap();
    assert_eq!(read, with);
    assert!(read.verify(entry_hash(0), &everybody()).is_ok());
    with.extra = Some(b"other".to_vec());
    assert!(with.verify(entry_hash(0), &everybody()).is_ok());
}

#[test]
fn what_is_no_proof_is_refused_each_for_its_reason() {
    use LogProofError::{Characters, Extra, Hash, Header, Index};
    let text = proof(1, 4, &[1]).to_text();
    let cases = [
        (String::new(), Header),
        (text.replace("@v1", "@v2"), Header),
        (text.replace("index", "extra \nindex"), Extra),
        (text.replace("index", "extra ????\nindex"), Extra),
        (text.replace("index 1", "index 01"), Index),
        (text.replace("index 1", "index"), Index),
        (text.replace("index 1\n", ""), Index),
        (text.replace("index 1\n", "index 1\nx\n"), Hash(1)),
        (text.replace("\n\nlog", "\nlog"), Hash(3)),
    ];
    for (text, why) in cases {
        assert_eq!(LogProof::parse(text.as_bytes()), Err(why), "{text}");
    }
    assert_eq!(LogProof::parse(b"\xff\n"), Err(Characters));
    assert!(matches!(
        LogProof::parse(text.replace("\n4\n", "\nfour\n").as_bytes()),
        Err(LogProofError::Checkpoint(_))
    ));
}
