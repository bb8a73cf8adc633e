//! Policies and whole proofs against `sigsum`, whose policy files are the same but for the keys, and
//! whose tree heads are checkpoints of an origin made from the log's key.
use andon_model::Digest;
use andon_model::digest::to_hex;
use andon_model::merkle::{Head, Tree, leaf};
use andon_trust::log::{Checkpoint, KeyKind, LogProof, NoteKey, Policy};
use andon_trust::sign::SigningKey;
use proptest::prelude::*;
use sigsum::Hash;
use std::fmt::Write as _;

fn secret(kind: u8, number: usize) -> SigningKey {
    let mut seed = [kind; 32];
    seed[1] = u8::try_from(number).unwrap();
    SigningKey::from_seed(seed)
}

fn witness(number: usize) -> NoteKey {
    NoteKey::new(&format!("w{number}"), KeyKind::Witness, secret(2, number)).unwrap()
}

/// The name by which sigsum's checkpoints call a log.
fn origin() -> String {
    format!("sigsum.org/v1/tree/{}", Digest::of(&secret(1, 0).public().0))
}

fn log() -> NoteKey {
    NoteKey::new(&origin(), KeyKind::Log, secret(1, 0)).unwrap()
}

/// The same policy in both spellings.
#[derive(Clone, Debug, Default)]
struct Pair {
    ours: String,
    theirs: String,
}

impl Pair {
    fn same(&mut self, line: &str) {
        self.ours += line;
        self.theirs += line;
    }
}

/// How many witnesses; groups as (threshold, members taken); which name is the quorum; a fault.
#[derive(Clone, Debug)]
struct Shape {
    witnesses: usize,
    groups: Vec<(usize, Vec<usize>)>,
    quorum: usize,
    fault: usize,
}

fn shape() -> impl Strategy<Value = Shape> {
    let group = (0..5_usize, prop::collection::vec(any::<u8>().prop_map(usize::from), 1..5));
    (1..8_usize, prop::collection::vec(group, 0..6), any::<u8>(), 0..40_usize).prop_map(
        |(witnesses, groups, quorum, fault)| Shape {
            witnesses,
            groups,
            quorum: quorum.into(),
            fault,
        },
    )
}

/// Faults that both specifications forbid.
const FAULTS: [&str; 7] = [
    "group f 1 nobody\n",
    "group w0 1 w0\n",
    "group f x w0\n",
    "group f 1\n",
    "quorum w0\nquorum w0\n",
    "quorum nobody\n",
    "what w0\n",
];

fn write(shape: &Shape) -> Pair {
    let mut pair = Pair::default();
    let key = secret(1, 0).public();
    let _infallible = writeln!(pair.ours, "log {} https://log", log().verifier());
    let _infallible = writeln!(pair.theirs, "log {key} https://log");
    let mut free: Vec<String> = Vec::new();
    for number in 0..shape.witnesses {
        let key = secret(2, number).public();
        let _infallible = writeln!(pair.ours, "witness w{number} {}", witness(number).verifier());
        let _infallible = writeln!(pair.theirs, "witness w{number} {key}");
        free.push(format!("w{number}"));
    }
    let mut names = free.clone();
    for (at, (threshold, picks)) in shape.groups.iter().enumerate() {
        let mut members = Vec::new();
        for pick in picks {
            if !free.is_empty() {
                members.push(free.remove(pick % free.len()));
            }
        }
        if members.is_empty() {
            break;
        }
        let threshold = match threshold {
            0 => "any".to_owned(),
            1 => "all".to_owned(),
            number => (1 + number % members.len()).to_string(),
        };
        pair.same(&format!(" group\tg{at} {threshold} {}\n", members.join("  ")));
        free.push(format!("g{at}"));
        names.push(format!("g{at}"));
    }
    names.push("none".to_owned());
    if let Some(fault) = FAULTS.get(shape.fault) {
        pair.same(fault);
    }
    pair.same(&format!("# chosen\n\nquorum {}\n", names[shape.quorum % names.len()]));
    pair
}

fn keyhash(number: usize) -> Hash {
    Hash::new(secret(2, number).public().0)
}

fn hex(bytes: &[u8]) -> String {
    to_hex(bytes)
}

/// One logged thing: our proof and their signature, made from the same parts.
struct Logged {
    leaf: Digest,
    proof: LogProof,
    theirs: String,
}

/// An entry at `index` of `size` with cosignatures by `cosigners`; `lies` signs another text.
fn logged(index: usize, size: usize, cosigners: &[usize], lies: Option<usize>) -> Logged {
    let (signer, message) = (secret(3, 0), Digest::of(b"message"));
    let checksum = Digest::of(&message.0);
    let signed = [b"sigsum.org/v1/tree-leaf\0".as_slice(), &checksum.0].concat();
    let (signature, signer_hash) = (signer.sign(&signed), Digest::of(&signer.public().0));
    let entry = [checksum.0.as_slice(), &signature.0, &signer_hash.0].concat();
    let mut leaves: Vec<Digest> = (0..size).map(|at| leaf(&at.to_be_bytes())).collect();
    leaves[index] = leaf(&entry);
    let tree = Tree::new(leaves);
    let head = Head { size: size as u64, root: tree.root() };
    let checkpoint = Checkpoint { origin: origin(), head, extensions: vec![] };
    let mut sealed = log().seal(&checkpoint, 0).unwrap();
    let text = sealed.note().text().to_owned();
    let mut theirs = format!(
        "version=2\nlog={}\nleaf={signer_hash} {signature}\n\nsize={size}\nroot_hash={}\nsignature={}\n",
        Digest::of(&secret(1, 0).public().0),
        head.root,
        hex(&sealed.note().signatures()[0].bytes),
    );
    for number in cosigners {
        let time = 1_790_000_000 + *number as u64;
        let said = if lies == Some(*number) { "other\n" } else { &text };
        let line = witness(*number).sign(said, time);
        let key = Digest::of(&secret(2, *number).public().0);
        let _infallible = writeln!(theirs, "cosignature={key} {time} {}", hex(&line.bytes[8..]));
        sealed.add(line);
    }
    let hashes = tree.proof(index).unwrap();
    if size > 1 {
        let _infallible = writeln!(theirs, "\nleaf_index={index}");
        for hash in &hashes {
            let _infallible = writeln!(theirs, "node_hash={hash}");
        }
    }
    let proof = LogProof { extra: None, index: index as u64, hashes, checkpoint: sealed };
    Logged { leaf: leaf(&entry), proof, theirs }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_same_sets_of_witnesses_are_a_quorum(shape in shape()) {
        let pair = write(&shape);
        let (ours, theirs) =
            (Policy::parse(pair.ours.as_bytes()), sigsum::Policy::parse(&pair.theirs));
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{} {:?} {:?}", pair.ours, ours, theirs);
        let (Ok(ours), Ok(theirs)) = (ours, theirs) else { return Ok(()) };
        for set in 0..1_u32 << shape.witnesses {
            let cosigned = |at: usize| set >> at & 1 == 1;
            let hashes: Vec<Hash> =
                (0..shape.witnesses).filter(|at| cosigned(*at)).map(keyhash).collect();
            prop_assert_eq!(ours.is_quorum(cosigned), theirs.check_quorum(&hashes), "{}", pair.ours);
        }
    }

    #[test]
    fn the_same_proofs_are_believed(
        shape in shape(), size in 2..40_usize, index in any::<prop::sample::Index>(),
        cosigners in prop::collection::btree_set(0..9_usize, 0..9), lie in 0..30_usize,
        other in 0..8_u8
    ) {
        let pair = write(&Shape { fault: FAULTS.len(), ..shape });
        let ours = Policy::parse(pair.ours.as_bytes()).unwrap();
        let theirs = sigsum::Policy::parse(&pair.theirs).unwrap();
        let cosigners: Vec<usize> = cosigners.into_iter().collect();
        let mut logged = logged(index.index(size), size, &cosigners, Some(lie));
        // the same damage to both
        if other == 0 {
            logged.proof.index ^= 1;
            let (from, to) = (index.index(size), index.index(size) ^ 1);
            logged.theirs = logged
                .theirs
                .replace(&format!("leaf_index={from}\n"), &format!("leaf_index={to}\n"));
        }
        let text = logged.proof.to_text();
        let proof = LogProof::parse(text.as_bytes()).unwrap();
        let judged = proof.verify(logged.leaf, &ours);
        let signature = sigsum::SigsumSignature::from_ascii(&logged.theirs).unwrap();
        let signers = [sigsum::PublicKey::from(secret(3, 0).public().0)];
        let message = Hash::new(b"message");
        let their = sigsum::verify(&message, &signature, &signers, &theirs);
        prop_assert_eq!(judged.is_ok(), their.is_ok(), "{:?} {:?}", judged, their);
    }
}

#[test]
fn where_sigsum_is_laxer_we_follow_c2sp() {
    let pair = write(&Shape { witnesses: 2, groups: vec![], quorum: 0, fault: FAULTS.len() });
    for line in ["group f 3 w0 w1\n", "group f 0 w0\n", "group f 2 w0 w0\n"] {
        let with = |text: &str| text.replace("# chosen\n", line);
        assert!(Policy::parse(with(&pair.ours).as_bytes()).is_err(), "{line}");
        assert!(sigsum::Policy::parse(&with(&pair.theirs)).is_ok(), "{line}");
    }
}
