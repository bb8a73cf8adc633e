//! Policies: the specification's example, every fault with its line, nested quorums.
use crate::world::*;
use andon_trust::log::Policy;
use andon_trust::log::key::VerifierKeyError;
use andon_trust::log::policy::{PolicyError, PolicyFault};

fn w(number: u8) -> String {
    witness(number).verifier().to_string()
}

/// Which of the witnesses numbered from 0 cosigned.
fn holds(policy: &Policy, cosigned: &[usize]) -> bool {
    policy.is_quorum(|at| cosigned.contains(&at))
}

/// C2SP tlog-policy, "Example policy", with keys.
fn example() -> String {
    let mut text = format!("log {}\n\n", log_key().verifier());
    for (group, first) in [("X", 1), ("Y", 4)] {
        for at in 0..3 {
            text += &format!("witness {group}{} {}\n", at + 1, w(first + at));
        }
        let members = format!("{group}1 {group}2 {group}3");
        let threshold = if group == "X" { "2" } else { "any" };
        text += &format!("group {group}-witnesses {threshold} {members}\n\n");
    }
    text + "group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"
}

#[test]
fn the_specifications_example_means_what_it_says() {
    let policy = Policy::parse(example().as_bytes()).unwrap();
    assert_eq!((policy.logs().count(), policy.witnesses().count()), (1, 6));
    for set in 0..64_u32 {
        let cosigned: Vec<usize> = (0..6).filter(|at| set >> at & 1 == 1).collect();
        let x = cosigned.iter().filter(|at| **at < 3).count();
        let y = cosigned.len() - x;
        assert_eq!(holds(&policy, &cosigned), x >= 2 && y >= 1, "{cosigned:?}");
    }
}

#[test]
fn a_quorum_may_be_one_witness_or_none() {
    let one = policy("quorum w2");
    assert!(holds(&one, &[1]) && !holds(&one, &[0, 2]));
    assert!(holds(&policy("quorum none"), &[]));
    // the quorum may stand before groups that it does not need
    let early = policy("quorum w1\ngroup g all w1 w2");
    assert!(holds(&early, &[0]));
}

#[test]
fn spaces_tabs_comments_and_foreign_octets_are_allowed_where_the_specification_says() {
    let key = log_key().verifier().to_string();
    let mut text =
        format!("\t# a comment\n \t \nlog \t{key}\thttps://l\u{f6}g.example \n").into_bytes();
    text.extend(format!("witness \u{e9} {} http://w\n", w(1)).into_bytes());
    text.extend(b"witness \xff\xfe ".iter().chain(w(2).as_bytes()).chain(b"\n"));
    text.extend(b"#\xff\ngroup g any \xff\xfe \xc3\xa9\nquorum g\n");
    let policy = Policy::parse(&text).unwrap();
    assert!(holds(&policy, &[0]) && holds(&policy, &[1]) && !holds(&policy, &[]));
    let urls: Vec<&[u8]> = policy.witness_urls().map(|(_, url)| url).collect();
    assert_eq!(urls, [b"http://w".as_slice()]);
    // the Kelvin sign is not the letter K
    let kelvin = format!("witness K {}\nquorum \u{212a}\n", w(1));
    assert!(Policy::parse(kelvin.as_bytes()).is_err());
}

#[test]
fn every_fault_is_named_with_its_line() {
    use PolicyFault::*;
    let (log, other) = (log_key().verifier().to_string(), w(9));
    let head = format!("log {log}\nwitness a {}\nwitness b {}\n", w(1), w(2));
    let renamed = {
        let key = andon_trust::sign::SigningKey::from_seed([1; 32]);
        let kind = andon_trust::log::KeyKind::Log;
        andon_trust::log::NoteKey::new("renamed", kind, key).unwrap().verifier().to_string()
    };
    let words = |got, form| Words { got, form };
    let name = |name: &str| name.to_owned();
    let cases = [
        ("logs x".to_owned(), Keyword),
        ("quorum\u{a0}a".to_owned(), Keyword),
        ("quorum a\r".to_owned(), Character),
        ("quorum a\u{7f}".to_owned(), Character),
        ("# \u{1b}".to_owned(), Character),
        ("log".to_owned(), words(1, "log VKEY [URL]")),
        (format!("log {log} u v"), words(4, "log VKEY [URL]")),
        ("log x".to_owned(), Key(VerifierKeyError::Form)),
        (
            format!("log {}", log.replacen("log.example", "lag.example", 1)),
            Key(VerifierKeyError::Id),
        ),
        (format!("log {other}"), KeyKind),
        (format!("witness c {log}"), KeyKind),
        (format!("log {renamed}"), DuplicateKey),
        (format!("witness c {}", w(1)), DuplicateKey),
        ("witness c".to_owned(), words(2, "witness NAME VKEY [URL]")),
        (format!("witness a {other}"), NameTaken(name("a"))),
        (format!("witness none {other}"), NameTaken(name("none"))),
        ("group none any a".to_owned(), NameTaken(name("none"))),
        ("group a any a b".to_owned(), NameTaken(name("a"))),
        ("group g any".to_owned(), words(3, "group NAME all|any|NUMBER NAME...")),
        ("group g".to_owned(), words(2, "group NAME all|any|NUMBER NAME...")),
        ("group g any c".to_owned(), NameUnknown(name("c"))),
        ("group g any none".to_owned(), NameUnknown(name("none"))),
        ("group g any g".to_owned(), NameUnknown(name("g"))),
        ("group g any a a".to_owned(), MemberTwice(name("a"))),
        ("group g 0 a b".to_owned(), Threshold { members: 2 }),
        ("group g 3 a b".to_owned(), Threshold { members: 2 }),
        ("group g 02 a b".to_owned(), Threshold { members: 2 }),
        ("group g +1 a b".to_owned(), Threshold { members: 2 }),
        ("group g 1x a b".to_owned(), Threshold { members: 2 }),
        ("group g 99999999999999999999999 a b".to_owned(), Threshold { members: 2 }),
        ("quorum c".to_owned(), NameUnknown(name("c"))),
        ("quorum".to_owned(), words(1, "quorum NAME")),
        ("quorum a b".to_owned(), words(3, "quorum NAME")),
    ];
    for (line, source) in cases {
        let text = format!("{head}{line}\nquorum a\n");
        let want = Err(PolicyError::Line { line: 4, source });
        assert_eq!(Policy::parse(text.as_bytes()), want, "{line}");
    }
    let twice = format!("{head}quorum a\n\nquorum a\n");
    let want = Err(PolicyError::Line { line: 6, source: SecondQuorum });
    assert_eq!(Policy::parse(twice.as_bytes()), want);
    let again = format!("{head}group g any a\ngroup h any b a\nquorum a\n");
    let want = Err(PolicyError::Line { line: 5, source: MemberTwice(name("a")) });
    assert_eq!(Policy::parse(again.as_bytes()), want);
    let cut = format!("{head}quorum a");
    let want = Err(PolicyError::Line { line: 4, source: Unterminated });
    assert_eq!(Policy::parse(cut.as_bytes()), want);
    assert_eq!(Policy::parse(head.as_bytes()), Err(PolicyError::NoQuorum));
    assert_eq!(Policy::parse(b""), Err(PolicyError::NoQuorum));
}
