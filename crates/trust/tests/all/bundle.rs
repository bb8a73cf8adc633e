//! Proof bundles: a stranger with an anchor believes a release offline, and nothing else than what a host
//! would believe.
use crate::typical::*;
use crate::world;
use andon_model::limits::{PROOF_BUNDLE_BYTES_MAX, PROOF_BUNDLE_PLAIN_BYTES_MAX};
use andon_model::log_entry::LogEntry;
use andon_model::policy::Policy;
use andon_model::proof_bundle::{Believed, ProofBundle, SignedRoot};
use andon_model::release::{Manifest, Version};
use andon_model::*;
use andon_trust::proof_bundle::{
    FileError, Logging, ProofRefusal, ProvenRelease, Terms, open, pack, verify,
};
use andon_trust::repository;
use andon_trust::view::RefusalCode;

#[test]
fn sizes() {
    let typical = Typical::new();
    let bundle = typical.bundle();
    let plain = bundle.to_bytes();
    let file = pack(&bundle).unwrap();
    println!("plain {} file {}", plain.len(), file.len());
    for (n, t) in [("ts",&bundle.timestamp),("snap",&bundle.snapshot),("targets",&bundle.targets),("role",&bundle.role),("manifest",&bundle.manifest),("proof",bundle.log_proof.as_ref().unwrap())] { println!("{n} {}", t.len()); }
    let mut without = bundle.clone(); without.manifest = String::new();
    println!("without manifest {}", pack(&without).unwrap().len());
    let policy = seal(&typical.policy);
    let proven = verify(&open(&file).unwrap(), &Terms { anchor: &typical.anchor, policy: Some(&policy), now: NOW, believed: &Believed::default() }).unwrap();
    println!("{proven:#?}");
}
