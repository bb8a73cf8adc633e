//! Proof bundles: a stranger with an anchor believes a release offline, in a small file, and nothing else
//! than what a host would believe.
use crate::typical::*;
use crate::world::{self, World, resigned};
use andon_model::envelope::{Envelope, EnvelopeSignature, PayloadType};
use andon_model::limits::{PROOF_BUNDLE_BYTES_MAX, PROOF_BUNDLE_PLAIN_BYTES_MAX};
use andon_model::log_entry::LogEntry;
use andon_model::policy::Policy;
use andon_model::proof_bundle::{Believed, ProofBundle, SignedRoot};
use andon_model::release::Version;
use andon_model::*;
use andon_trust::attestation::{AttestationRefusal, Standing};
use andon_trust::proof_bundle::{
    FileError, Logging, ProofRefusal, ProvenRelease, Terms, open, pack, verify,
};
use andon_trust::repository as signing;
use andon_trust::view::RefusalCode;
use std::error::Error;

const SOON: Time = Time(NOW.0 + 20_000);
const DAY: Millis = Millis(86_400_000);
/// What a proof bundle of a typical release may take: one request, small enough for any medium.
const TYPICAL_MAX: usize = 16 * 1024;

fn judged(
    typical: &Typical,
    bundle: &ProofBundle,
    now: Time,
    believed: &Believed,
) -> Result<ProvenRelease, ProofRefusal> {
    let policy = seal(&typical.policy);
    verify(bundle, &Terms { anchor: &typical.anchor, policy: Some(&policy), now, believed })
}

fn soon(typical: &Typical, bundle: &ProofBundle) -> Result<ProvenRelease, ProofRefusal> {
    judged(typical, bundle, SOON, &Believed::default())
}

fn chain(error: &dyn Error) -> String {
    let below = error.source().map(chain);
    below.map_or(error.to_string(), |below| format!("{error}: {below}"))
}

/// Fails unless it is refused with this code, in words that hold these.
fn refused<T: std::fmt::Debug>(result: Result<T, ProofRefusal>, code: RefusalCode, words: &str) {
    let why = result.unwrap_err();
    let said = chain(&why);
    assert!(why.code() == code && said.contains(words), "{:?}, {said}", why.code());
}

/// Mutant: proof-bundle-unpacked.
#[test]
fn a_typical_release_is_proven_offline_by_a_file_of_at_most_16_kib() {
    let typical = Typical::new();
    let bundle = typical.bundle();
    let file = pack(&bundle).unwrap();
    let proof = pack(&ProofBundle { manifest: String::new(), ..bundle.clone() }).unwrap();
    println!(
        "{VENDORS} vendors, 3 witnesses: file {} bytes, without the manifest {}, unpacked {}",
        file.len(),
        proof.len(),
        bundle.to_bytes().len()
    );
    assert!(file.len() <= TYPICAL_MAX, "{} bytes", file.len());
    assert_eq!(file, pack(&typical.bundle()).unwrap(), "the same bundle gives the same bytes");
    let read = open(&file).unwrap();
    assert_eq!(read, bundle, "every signed byte is kept");
    let proven = soon(&typical, &read).unwrap();
    assert_eq!(proven.release, Digest::of(&typical.manifest));
    assert_eq!((proven.vendor(), proven.component().as_str()), (&vendor(7), "rules"));
    assert_eq!((proven.manifest.version, proven.newest), (Version(9), Version(10)));
    assert_eq!((proven.expires, proven.judged_at), (NOW.plus(DAY), SOON));
    let Logging::Logged(logged) = &proven.logging else { panic!("{:?}", proven.logging) };
    let names: Vec<_> = logged.checkpoint().cosigned().iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["witness-1.example", "witness-2.example", "witness-3.example"]);
    assert_eq!((logged.index(), logged.checkpoint().head().size), (0, 1 << 20));
    let believed = &proven.believed;
    assert_eq!((believed.root, believed.timestamp, believed.policy), (1, 1, 3));
    assert_eq!(believed.roles[&vendor(7)], 1);
}

/// Hundreds of releases of one vendor still fit.
#[test]
fn a_vendor_with_a_hundred_releases_fits_too() {
    let mut typical = Typical::new();
    let more: Vec<_> = (11..=100).map(manifest).collect();
    publish_role(&mut typical.repository, 7, &more, NOW.plus(Millis(365 * DAY.0)));
    typical.files = publish(&mut typical.repository, NOW);
    let bundle = typical.bundle();
    let file = pack(&bundle).unwrap();
    println!("100 releases of the vendor: file {} bytes", file.len());
    assert!(file.len() <= TYPICAL_MAX, "{} bytes", file.len());
    assert_eq!(soon(&typical, &bundle).unwrap().newest, Version(100));
}

#[test]
fn no_bit_of_the_file_can_be_changed_and_no_byte_be_missing() {
    let file = pack(&Typical::new().bundle()).unwrap();
    for at in 0..file.len() {
        let mut bad = file.clone();
        for bit in 0..8 {
            bad[at] ^= 1 << bit;
            let why = open(&bad).unwrap_err();
            assert!(matches!(why, FileError::Header | FileError::Damaged), "{at}: {why}");
            bad[at] ^= 1 << bit;
        }
        let why = open(&file[..at]).unwrap_err();
        assert!(matches!(why, FileError::Header | FileError::Damaged), "{at}: {why}");
    }
    let longer = [file.as_slice(), b"x"].concat();
    assert!(matches!(open(&longer), Err(FileError::Damaged)));
}

/// The digest of the file keeps nobody from writing another one: each text by itself must not bear a change.
#[test]
fn no_bit_of_what_is_signed_can_be_changed() {
    let mut typical = Typical::new();
    let ninth = manifest(9);
    let entry = LogEntry::release(Digest::of(&typical.manifest), &ninth);
    // As few cosignatures as it takes.
    typical.log_proof = proof(&entry, NOW, &[1, 3]);
    let bundle = typical.bundle();
    let good = soon(&typical, &bundle).unwrap();
    let mut other_spellings = 0;
    for (name, text, step) in texts(&bundle) {
        for at in (0..text.len()).step_by(step) {
            let mut bytes = text.clone().into_bytes();
            bytes[at] ^= 1 << (at / step % 7);
            // What is no UTF-8 cannot even be written into a bundle.
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            let mut bad = bundle.clone();
            *slot(&mut bad, name) = changed;
            if let Ok(proven) = soon(&typical, &bad) {
                // A hexadecimal digit of a signature in capitals is the same signature.
                assert_eq!((name, proven.release), ("timestamp", good.release), "at {at}");
                assert_eq!((&proven.logging, &proven.believed), (&good.logging, &good.believed));
                other_spellings += 1;
            }
        }
    }
    assert!(other_spellings < 40, "{other_spellings}");
}

/// The signed texts, and how many bytes on the next bit is changed: what is pinned by a digest fails alike.
fn texts(bundle: &ProofBundle) -> Vec<(&'static str, String, usize)> {
    let names = [
        ("timestamp", 1),
        ("snapshot", 41),
        ("targets", 97),
        ("role", 11),
        ("manifest", 3),
        ("log_proof", 1),
    ];
    let text = |(name, step)| (name, slot(&mut bundle.clone(), name).clone(), step);
    names.into_iter().map(text).collect()
}

fn slot<'b>(bundle: &'b mut ProofBundle, name: &str) -> &'b mut String {
    match name {
        "timestamp" => &mut bundle.timestamp,
        "snapshot" => &mut bundle.snapshot,
        "targets" => &mut bundle.targets,
        "role" => &mut bundle.role,
        "manifest" => &mut bundle.manifest,
        "log_proof" => bundle.log_proof.as_mut().unwrap(),
        other => panic!("{other}"),
    }
}

#[test]
fn parts_that_are_missing_or_belong_to_another_release_prove_nothing() {
    let typical = Typical::new();
    let bundle = typical.bundle();
    for (name, _, _) in texts(&bundle) {
        let mut bad = bundle.clone();
        slot(&mut bad, name).clear();
        soon(&typical, &bad).unwrap_err();
    }
    let with = |change: &dyn Fn(&mut ProofBundle)| {
        let mut bad = bundle.clone();
        change(&mut bad);
        soon(&typical, &bad)
    };
    use RefusalCode::{Malformed, Signature, Unlogged};
    refused(with(&|b| b.vendor = vendor(8)), RefusalCode::Digest, "role of vendor vendor-08");
    let nobody = VendorId::new("nobody").unwrap();
    refused(with(&|b| b.vendor = nobody.clone()), Malformed, "role of vendor nobody");
    let eighths = typical.file("vendor-08.json");
    refused(with(&|b| b.role = eighths.clone()), RefusalCode::Digest, "role of vendor vendor-07");
    let tenth = String::from_utf8(serde_json::to_vec(&manifest(10)).unwrap()).unwrap();
    // Listed too, but the log was not shown to hold it.
    refused(with(&|b| b.manifest = tenth.clone()), Unlogged, "at index 0");
    let eleventh = String::from_utf8(serde_json::to_vec(&manifest(11)).unwrap()).unwrap();
    refused(with(&|b| b.manifest = eleventh.clone()), Signature, "does not list this manifest");
    refused(with(&|b| b.schema = 2), Malformed, "schema 2");
    refused(with(&|b| b.log_proof = None), Unlogged, "has none");
}

/// Whatever makes hosts refuse a release makes its proof bundle worth nothing.
#[test]
fn what_a_host_does_not_believe_no_bundle_proves() {
    type Change = fn(&mut World) -> Digest;
    let publish: Change = |w| w.release("acme", 1, &[20, 21]).1;
    let cases: [(&str, Change); 10] = [
        ("one key of two", |w| w.release("acme", 1, &[20]).1),
        ("keys of strangers", |w| w.release("acme", 1, &[98, 99]).1),
        ("another vendor's keys", |w| w.release("acme", 1, &[30, 31]).1),
        ("an expired role", |w| w.release_until("acme", 1, &[20, 21], NOW).1),
        ("an expired timestamp", |w| {
            let digest = w.release("acme", 1, &[20, 21]).1;
            w.publish_with(&delegations(2), NOW);
            digest
        }),
        ("a threshold that one key meets under two ids", |w| {
            w.tamper = Some(("targets", Box::new(|bytes| resigned(bytes, &[13], alias))));
            w.release("acme", 1, &[20, 21]).1
        }),
        ("a threshold of nobody", |w| {
            let digest = w.release("acme", 1, &[20, 21]).1;
            w.publish_with(&delegations(0), NOW.plus(world::YEAR));
            digest
        }),
        ("a snapshot by a stranger", |w| {
            w.tamper = Some(("snapshot", Box::new(|bytes| resigned(bytes, &[99], |_| ()))));
            w.release("acme", 1, &[20, 21]).1
        }),
        ("a timestamp by a stranger", |w| {
            w.tamper = Some(("timestamp", Box::new(|bytes| resigned(bytes, &[99], |_| ()))));
            w.release("acme", 1, &[20, 21]).1
        }),
        ("another manifest under the name", |w| {
            let digest = w.release("acme", 1, &[20, 21]).1;
            let place = w.files.keys().find(|path| path.contains(&digest.to_string()));
            let place = place.unwrap().clone();
            let other = serde_json::to_vec(&world::manifest("zeta", 1)).unwrap();
            w.files.insert(place, other);
            digest
        }),
    ];
    for (what, change) in [("nothing", publish)].into_iter().chain(cases) {
        let mut world = World::new();
        let digest = change(&mut world);
        world.issue(&world.ticket("r1", digest, 1, &[(16, 0)]));
        let offers = world.sync(&mut world::view(7), SOON).offers.len();
        let believed = Believed::default();
        let anchor = world::anchor();
        let terms = Terms { anchor: &anchor, policy: None, now: SOON, believed: &believed };
        let proven = verify(&of_world(&world, digest), &terms);
        let expected = usize::from(what == "nothing");
        assert_eq!((offers, proven.iter().count()), (expected, expected), "{what}: {proven:?}");
    }
}

fn delegations(threshold: u32) -> [signing::Delegation; 1] {
    let role = world::role(&[20, 21], threshold);
    [signing::Delegation { vendor: VendorId::new("acme").unwrap(), role }]
}

/// Vendor acme's first key once more, under an id of its own.
fn alias(signed: &mut serde_json::Value) {
    let public = world::key(20).public().to_string();
    let key = serde_json::json!({"keytype": "ed25519", "scheme": "ed25519",
        "keyval": {"public": public}, "x-owner": "somebody else"});
    signed["delegations"]["keys"]["ab"] = key;
}

fn of_world(world: &World, digest: Digest) -> ProofBundle {
    let file = |path: &str| String::from_utf8(world.files[path].clone()).unwrap();
    let version = world.versions;
    let mut manifests = world.files.keys().filter(|path| path.contains(&format!("{digest}.1")));
    ProofBundle {
        schema: 1,
        vendor: VendorId::new("acme").unwrap(),
        roots: vec![],
        timestamp: file("/v1/tuf/timestamp.json"),
        snapshot: file(&format!("/v1/tuf/{version}.snapshot.json")),
        targets: file(&format!("/v1/tuf/{version}.targets.json")),
        role: file("/v1/tuf/1.acme.json"),
        manifest: file(manifests.next().unwrap()),
        log_proof: None,
        attestations: vec![],
    }
}

/// Mutant: proof-bundle-expiry-unchecked.
#[test]
fn nothing_counts_after_it_has_expired() {
    let typical = Typical::new();
    let bundle = typical.bundle();
    let at = |now| judged(&typical, &bundle, now, &Believed::default());
    let end = NOW.plus(DAY);
    at(end.minus(Millis(1))).unwrap();
    // The timestamp's last moment is none any more, as for a host.
    refused(at(end), RefusalCode::Expired, "expired at");
    refused(at(end.plus(Millis(1))), RefusalCode::Expired, "timestamp");
    let mut strict = Typical::new();
    strict.policy = Policy { expires: SOON, ..strict.policy };
    refused(soon(&strict, &bundle), RefusalCode::Expired, "policy");
    // A clock that is behind what a quorum has vouched for revives nothing, now or by what was kept.
    let mut late = Typical::new();
    let entry = LogEntry::release(Digest::of(&late.manifest), &manifest(9));
    late.log_proof = proof(&entry, end, &[1, 2]);
    refused(soon(&late, &late.bundle()), RefusalCode::Expired, "expired at");
    let believed = Believed { witnessed: end, ..Believed::default() };
    refused(judged(&typical, &bundle, SOON, &believed), RefusalCode::Expired, "expired at");
    let proven = judged(&typical, &bundle, Time(1000), &Believed::default()).unwrap();
    assert_eq!((proven.judged_at, proven.believed.witnessed), (NOW, NOW));
}

/// Mutant: proof-bundle-without-floor.
#[test]
fn nothing_older_than_what_was_believed_is_believed() {
    let mut typical = Typical::new();
    let old = typical.bundle();
    let first = soon(&typical, &old).unwrap().believed;
    publish_role(&mut typical.repository, 7, &[manifest(11)], NOW.plus(Millis(365 * DAY.0)));
    typical.files = publish(&mut typical.repository, SOON);
    let new = typical.bundle();
    let second = judged(&typical, &new, SOON, &first).unwrap().believed;
    assert_eq!((second.timestamp, second.snapshot, second.roles[&vendor(7)]), (2, 2, 2));
    judged(&typical, &new, SOON, &second).unwrap();
    use RefusalCode::Rollback;
    refused(judged(&typical, &old, SOON, &second), Rollback, "timestamp has version 1, version 2");
    type Floor = fn(&mut Believed) -> &mut u64;
    let floors: [(&str, Floor); 5] = [
        ("root has version 1", |b| &mut b.root),
        ("snapshot has version 1", |b| &mut b.snapshot),
        ("targets has version 1", |b| &mut b.targets),
        ("role of vendor vendor-07 has version 1", |b| b.roles.get_mut(&vendor(7)).unwrap()),
        ("policy has version 3", |b| &mut b.policy),
    ];
    for (words, floor) in floors {
        let mut believed = first.clone();
        judged(&typical, &old, SOON, &believed).unwrap();
        *floor(&mut believed) += 1;
        refused(judged(&typical, &old, SOON, &believed), Rollback, words);
    }
}

/// Two roots after the anchor's own, signed as a rotation asks.
fn rotated(typical: &Typical) -> Vec<SignedRoot> {
    let rotation = |version: u64| {
        let bytes = typical.repository.root_bytes();
        let bytes = resigned(bytes, &[10, 11], |signed| signed["version"] = version.into());
        SignedRoot { version, root: String::from_utf8(bytes).unwrap() }
    };
    vec![rotation(2), rotation(3)]
}

#[test]
fn roots_lead_on_from_whatever_root_the_anchor_has() {
    let typical = Typical::new();
    let roots = rotated(&typical);
    let bundle = ProofBundle { roots: roots.clone(), ..typical.bundle() };
    assert_eq!(soon(&typical, &bundle).unwrap().believed.root, 3);
    for (at, newer) in [(0, 1), (1, 0)] {
        let mut later = Typical::new();
        later.anchor.tuf_root = serde_json::from_str(&roots[at].root).unwrap();
        assert_eq!(soon(&later, &bundle).unwrap().believed.root, 3, "{newer} newer");
        assert_eq!(soon(&later, &typical.bundle()).unwrap().believed.root, at as u64 + 2);
    }
    let with = |roots| soon(&typical, &ProofBundle { roots, ..typical.bundle() });
    refused(with(vec![roots[1].clone()]), RefusalCode::Missing, "lacks root 2");
    let mut early = roots.clone();
    early[1].version = 2;
    // What is said to be known already is passed over, never believed.
    assert_eq!(with(early.clone()).unwrap().believed.root, 2);
    early.swap(0, 1);
    refused(with(early), RefusalCode::Rollback, "root 2");
    let strange = resigned(typical.repository.root_bytes(), &[98, 99], |signed| {
        signed["version"] = 2.into();
    });
    let strange = SignedRoot { version: 2, root: String::from_utf8(strange).unwrap() };
    refused(with(vec![strange]), RefusalCode::Signature, "root 2");
}

/// Mutant: proof-bundle-log-not-demanded.
#[test]
fn logging_is_judged_by_the_operators_policy_and_by_nothing_else() {
    let mut typical = Typical::new();
    let bundle = typical.bundle();
    let without = ProofBundle { log_proof: None, ..bundle.clone() };
    let believed = Believed::default();
    for (bundle, carried) in [(&bundle, true), (&without, false)] {
        let anchor = &typical.anchor;
        let terms = Terms { anchor, policy: None, now: SOON, believed: &believed };
        let proven = verify(bundle, &terms).unwrap();
        assert_eq!(proven.logging, Logging::NotJudged { carried });
        assert_eq!((proven.judged_at, proven.believed.policy), (SOON, 0));
    }
    use RefusalCode::Unlogged;
    refused(soon(&typical, &without), Unlogged, "has none");
    let entry = LogEntry::release(Digest::of(&typical.manifest), &manifest(9));
    for (shown, words) in [
        (proof(&entry, NOW, &[2]), "1 of 3 witnesses"),
        (proof(&LogEntry::release(Digest::of(b"x"), &manifest(9)), NOW, &[1, 2]), "at index 0"),
    ] {
        let log_proof = Some(shown.to_text());
        refused(soon(&typical, &ProofBundle { log_proof, ..bundle.clone() }), Unlogged, words);
    }
    // Signed by one person of two it is no policy, and not as if there was none.
    let text = serde_json::to_vec(&typical.policy).unwrap();
    let alone = key(1).seal(PayloadType::Policy, &text);
    let anchor = &typical.anchor;
    let terms = Terms { anchor, policy: Some(&alone), now: SOON, believed: &believed };
    refused(verify(&bundle, &terms), RefusalCode::Signature, "believe the policy");
    typical.policy.log = None;
    assert_eq!(soon(&typical, &without).unwrap().logging, Logging::NotDemanded);
}

#[test]
fn attestations_are_carried_byte_for_byte_and_believed_by_none_for_that() {
    let typical = Typical::new();
    let signature = EnvelopeSignature { keyid: key(9).public().id(), sig: key(9).sign(b"?") };
    let attestation = Envelope {
        payload_type: PayloadType::Approval,
        payload: vec![0, 159, 146, 150],
        signatures: vec![signature],
    };
    let bundle = ProofBundle { attestations: vec![attestation.clone()], ..typical.bundle() };
    let read = open(&pack(&bundle).unwrap()).unwrap();
    let proven = soon(&typical, &read).unwrap();
    assert_eq!(proven.attestations, [attestation]);
    // As on a host: what is no attestation at all spoils them, a stranger's is passed over.
    let why = proven.standing(&crate::world::class()).unwrap_err();
    assert!(matches!(why, AttestationRefusal::Kind(_)), "{why}");
    let stranger = key(9).seal(PayloadType::Statement, b"{}");
    let bundle = ProofBundle { attestations: vec![stranger], ..typical.bundle() };
    let standing = soon(&typical, &bundle).unwrap().standing(&crate::world::class()).unwrap();
    assert_eq!(standing, Some(Standing::Attested), "nothing is demanded");
}

/// A file around this body, as whoever writes it would make it.
fn file(length: u32, packed: &[u8]) -> Vec<u8> {
    let body = [&length.to_be_bytes()[..], packed].concat();
    [&b"andon-proof-bundle/1\n"[..], &Digest::of(&body).0, &body].concat()
}

/// Mutant: proof-bundle-trailing-bytes.
#[test]
fn a_file_is_unpacked_to_what_it_announces_and_not_a_byte_more() {
    let bundle = Typical::new().bundle();
    let plain = bundle.to_bytes();
    let length = u32::try_from(plain.len()).unwrap();
    let packed = &pack(&bundle).unwrap()[21 + 32 + 4..];
    assert_eq!(open(&file(length, packed)).unwrap(), bundle);
    for wrong in [0, 1, length - 1, length + 1] {
        assert!(matches!(open(&file(wrong, packed)), Err(FileError::Zlib(_))), "{wrong}");
    }
    let trailing = [packed, b"\0"].concat();
    assert!(matches!(open(&file(length, &trailing)), Err(FileError::Zlib(_))));
    assert!(matches!(open(&file(length, &packed[..100])), Err(FileError::Zlib(_))));
    assert!(matches!(open(&file(length, &plain)), Err(FileError::Zlib(_))));
    assert!(matches!(open(&file(length, b"")), Err(FileError::Zlib(_))));
    // A thousandfold: refused by what it says of itself, before anything is unpacked.
    let max = u32::try_from(PROOF_BUNDLE_PLAIN_BYTES_MAX).unwrap();
    let said = open(&file(max + 1, packed)).unwrap_err();
    assert!(matches!(said, FileError::Unpacked(_)), "{said}");
    assert!(matches!(open(&file(max, packed)), Err(FileError::Zlib(_))));
    // A larger file is no proof bundle, whatever is in it.
    let mut large = file(length, packed);
    large.resize(PROOF_BUNDLE_BYTES_MAX, 0);
    assert!(matches!(open(&large), Err(FileError::Damaged)));
    large.push(0);
    assert!(matches!(open(&large), Err(FileError::TooLarge(_))));
    let mut bundle = bundle;
    bundle.manifest = " ".repeat(PROOF_BUNDLE_PLAIN_BYTES_MAX);
    assert!(matches!(pack(&bundle), Err(FileError::Unpacked(_))));
}
