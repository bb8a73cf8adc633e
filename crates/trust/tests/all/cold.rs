//! A host that trusts nothing yet: one proof bundle instead of a file after the other, and nothing
//! believed by it that the files would not have proven.
use crate::logged::{self, log, put_proof};
use crate::world::*;
use andon_model::proof_bundle::{ProofBundle, SignedRoot};
use andon_model::release::Manifest;
use andon_model::*;
use andon_trust::proof_bundle::pack;
use andon_trust::repository as signing;
use andon_trust::view::{Outcome, RefusalCode, View};

fn later(seconds: u64) -> Time {
    NOW.plus(Millis::from_secs(seconds))
}

/// A logged release of acme beside one of zeta's, its ticket, and the world's second root.
fn world() -> (World, Manifest, Digest) {
    let mut world = logged::world();
    world.release("zeta", 1, &[30]);
    let (manifest, release) = world.release("acme", 1, &[20, 21]);
    put_proof(&mut world, release, &logged::proof(&log(), release, &manifest, &[1, 2]));
    let mut second = signing::root(2, NOW.plus(YEAR), &root_roles()).unwrap();
    [10, 12].iter().for_each(|n| second.sign(&key(*n)).unwrap());
    world.files.insert("/v1/tuf/2.root.json".to_owned(), second.to_bytes());
    world.issue(&world.ticket("r1", release, 1, &[(16, 0)]));
    (world, manifest, release)
}

/// What a server makes of the files that it serves.
fn bundle(world: &World, manifest: &Manifest, release: Digest) -> ProofBundle {
    let text = |path: &str| String::from_utf8(world.files[path].clone()).unwrap();
    let newest = world.versions;
    ProofBundle {
        schema: 1,
        vendor: manifest.vendor.clone(),
        roots: vec![SignedRoot { version: 2, root: text("/v1/tuf/2.root.json") }],
        timestamp: text("/v1/tuf/timestamp.json"),
        snapshot: text(&format!("/v1/tuf/{newest}.snapshot.json")),
        targets: text(&format!("/v1/tuf/{newest}.targets.json")),
        role: text("/v1/tuf/1.acme.json"),
        manifest: serde_json::to_string(manifest).unwrap(),
        log_proof: Some(text(&format!("/v1/log/proofs/{release}"))),
        attestations: vec![],
    }
}

fn serve(world: &mut World, release: Digest, file: Vec<u8>) {
    world.files.insert(format!("/v1/proof-bundles/{release}?root=1"), file);
}

fn offered(outcome: &Outcome, release: Digest) -> bool {
    outcome.offers.iter().any(|offer| offer.release == release)
}

/// What a host without the bundle comes to.
fn by_files(world: &mut World) -> (View, Outcome) {
    let mut view = view(7);
    let outcome = world.sync(&mut view, later(1));
    (view, outcome)
}

#[test]
fn one_proof_bundle_takes_the_place_of_nine_files() {
    let (mut world, manifest, release) = world();
    let (plain, expected) = by_files(&mut world);
    assert!(offered(&expected, release), "{:?}", expected.refusals);
    let before = world.fetched.len();
    let file = pack(&bundle(&world, &manifest, release)).unwrap();
    serve(&mut world, release, file);
    let mut cold = view(7);
    assert_eq!(world.sync(&mut cold, later(1)), expected);
    let line = |name: &str| world.line_path(name);
    let bundle = format!("/v1/proof-bundles/{release}?root=1");
    let asked = [line("index.json"), line("policy.json"), line("tickets/r1.json"), bundle];
    assert_eq!(world.fetched, asked);
    assert!(before > asked.len() + 6, "{before} requests without a bundle");
    assert!(cold.record() == plain.record(), "another thing is remembered");
    // Who trusts metadata asks for what has changed, over a restart too.
    let mut again = View::restore(anchor(), host(7), class(), &cold.record()).unwrap();
    let (_, second) = world.release("acme", 2, &[20, 21]);
    world.issue(&world.ticket("r2", second, 2, &[(16, 0)]));
    for view in [&mut cold, &mut again] {
        world.sync(view, later(2));
        assert!(!world.fetched.iter().any(|path| path.contains("bundle")), "{:?}", world.fetched);
    }
}

#[test]
fn a_host_that_no_ticket_covers_asks_for_no_bundle() {
    let (mut world, _, release) = world();
    let mut ticket = world.ticket("r1", release, 1, &[(16, 0), (17, 5)]);
    ticket.ceilings[0].position_max = None;
    world.issue(&ticket);
    let (_, outcome) = by_files(&mut world);
    assert_eq!(outcome.offers, []);
    assert!(!world.fetched.iter().any(|path| path.contains("bundle")), "{:?}", world.fetched);
}

/// Every part is judged as if it had come by itself; the files heal in the next round at the latest.
/// Mutants: cold-part-unlimited, cold-bundle-again.
#[test]
fn no_part_of_a_bundle_is_believed_for_coming_in_one() {
    type Break = fn(&mut ProofBundle);
    fn flip(text: &mut String) {
        // one digit of the signature
        let at = text.find("\"sig\":\"").unwrap() + 9;
        let other = if &text[at..=at] == "0" { "1" } else { "0" };
        text.replace_range(at..=at, other);
    }
    let breaks: [(&str, RefusalCode, Break); 8] = [
        ("root", RefusalCode::Signature, |b| {
            flip(&mut b.roots[0].root);
        }),
        ("timestamp", RefusalCode::Signature, |b| flip(&mut b.timestamp)),
        ("snapshot", RefusalCode::Digest, |b| b.snapshot += " "),
        ("targets", RefusalCode::Digest, |b| b.targets += " "),
        ("vendor acme", RefusalCode::Digest, |b| b.role += " "),
        ("release", RefusalCode::Digest, |b| b.manifest += " "),
        ("release", RefusalCode::Unlogged, |b| {
            let proof = b.log_proof.as_mut().unwrap();
            let cut = proof.rfind("\u{2014} w1.example").unwrap();
            proof.truncate(cut);
        }),
        ("timestamp", RefusalCode::TooLarge, |b| {
            let limit = andon_model::limits::TUF_BYTES_MAX;
            b.timestamp += &" ".repeat(limit + 1 - b.timestamp.len());
        }),
    ];
    for (what, code, broken) in breaks {
        let (mut world, manifest, release) = world();
        let mut parts = bundle(&world, &manifest, release);
        broken(&mut parts);
        serve(&mut world, release, pack(&parts).unwrap());
        let mut view = view(7);
        let outcome = world.sync(&mut view, later(1));
        let said = |what: &str| outcome.refusals.iter().find(|why| why.what.starts_with(what));
        assert!(!offered(&outcome, release), "{what} {code:?}");
        let told = said(what).unwrap_or_else(|| panic!("{what} {code:?}: {outcome:?}"));
        // a part that is too large never came
        let expected = if code == RefusalCode::TooLarge { RefusalCode::Missing } else { code };
        assert_eq!(told.code, expected, "{what}: {}", told.why);
        // What is refused by its digest stays refused until what it was judged by changes.
        world.stamp_again(&[15]);
        let outcome = world.sync(&mut view, later(2));
        assert!(offered(&outcome, release), "{what} {code:?}: {:?}", outcome.refusals);
    }
}

#[test]
fn what_is_no_proof_bundle_costs_one_request() {
    let (mut world, manifest, release) = world();
    let (_, expected) = by_files(&mut world);
    let requests = world.fetched.len();
    let whole = pack(&bundle(&world, &manifest, release)).unwrap();
    for garbage in [Vec::new(), b"{}".to_vec(), whole[..whole.len() - 1].to_vec()] {
        serve(&mut world, release, garbage);
        let mut view = view(7);
        assert_eq!(world.sync(&mut view, later(1)), expected);
        assert_eq!(world.fetched.len(), requests);
        assert!(world.fetched.iter().any(|path| path.contains("/proof-bundles/")));
    }
    // One of another release, or of another vendor's: its metadata serve, the rest is fetched.
    let zeta = Manifest::parse(&serde_json::to_vec(&crate::world::manifest("zeta", 1)).unwrap());
    let mut other = bundle(&world, &zeta.unwrap(), release);
    other.role = String::from_utf8(world.files["/v1/tuf/1.zeta.json"].clone()).unwrap();
    serve(&mut world, release, pack(&other).unwrap());
    let mut view = view(7);
    let outcome = world.sync(&mut view, later(1));
    assert!(!offered(&outcome, release), "{outcome:?}");
    world.stamp_again(&[15]);
    assert!(offered(&world.sync(&mut view, later(2)), release));
}
