//! How long it takes to believe a typical release offline, from the file's bytes to a proven release: twenty
//! vendors with two keys each, a policy that demands two of three witnesses. Not a test: it prints figures.
//!
//! `cargo run --release -p andon-trust --example proof_bundle [RUNS]`
#![expect(clippy::print_stdout, reason = "its purpose")]
#![expect(clippy::unwrap_used, reason = "a run stops where it is wrong")]
#![expect(clippy::disallowed_methods, reason = "it measures time; the crate itself has none")]
#![expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/all/typical.rs"]
mod typical;

use andon_model::proof_bundle::{Believed, ProofBundle};
use andon_trust::proof_bundle::{Terms, open, pack, verify};
use std::time::{Duration, Instant};
use typical::{NOW, Typical, VENDORS, seal};

fn main() {
    let runs = std::env::args().nth(1).map_or(2000, |runs| runs.parse().unwrap());
    let typical = Typical::new();
    let bundle = typical.bundle();
    let (file, policy, believed) =
        (pack(&bundle).unwrap(), seal(&typical.policy), Believed::default());
    let terms =
        Terms { anchor: &typical.anchor, policy: Some(&policy), now: NOW, believed: &believed };
    let proof = pack(&ProofBundle { manifest: String::new(), ..bundle }).unwrap();
    println!(
        "{VENDORS} vendors: file {} bytes, without the manifest {} bytes",
        file.len(),
        proof.len()
    );
    let measured = |what: &str, run: &dyn Fn()| {
        let mut times: Vec<Duration> = (0..runs)
            .map(|_| {
                let since = Instant::now();
                run();
                since.elapsed()
            })
            .collect();
        times.sort_unstable();
        let (median, late) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        println!("{what}: least {:?}, median {median:?}, 99 % {late:?} of {runs} runs", times[0]);
    };
    measured("opened", &|| drop(open(&file).unwrap()));
    measured("opened and verified", &|| drop(verify(&open(&file).unwrap(), &terms).unwrap()));
}
