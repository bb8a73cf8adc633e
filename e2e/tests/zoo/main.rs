//! The zoo: what TUF clients got wrong between 2020 and 2026, played against the real
//! `andon tuf-client` over loopback (docs/spec/tuf-client.md §6).
#![expect(clippy::unwrap_used, reason = "a test stops where it is wrong")]
mod advisories;
mod attacks;
mod downloads;
mod isolation;
mod suite;

use andon_e2e::zoo::{Signer, Zoo};

/// A zoo whose targets delegate `NAME/*` to each vendor, which lists `NAME/tool`.
fn vendors(names: &[&str]) -> Zoo {
    let mut zoo = Zoo::new().unwrap();
    for (name, n) in names.iter().zip(20..) {
        zoo.delegate("targets", name, &[&format!("{name}/*")], &[Signer::new(n)], 1);
        zoo.add_file(name, &format!("{name}/tool"), format!("tool of {name}").as_bytes());
    }
    zoo.bump("targets");
    zoo.publish();
    zoo
}
