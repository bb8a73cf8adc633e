//! Promises of the engine that plays host by host, on fleets small enough to count.
#![expect(clippy::unwrap_used, reason = "a test stops where it is wrong")]
#![expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small numbers")]
mod core;
mod runs;
mod script;
mod tallies;

use andon_sim::individual::{Played, played};
use script::{Script, scenario};

const SIZES: [u32; 3] = [6000, 3000, 1001];
const HOSTS: u32 = 10_001;

fn play(text: &str, script: &mut Script) -> Played {
    let hosts = script.shape.strata.iter().sum();
    played(&scenario(hosts, text), script, 7, 1, true)
}

/// Everybody in two steps.
fn two_steps() -> Script {
    Script::new(&SIZES, &[(0.0, 100), (60.0, HOSTS)])
}
