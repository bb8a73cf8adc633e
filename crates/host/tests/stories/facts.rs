//! What a host says of what it runs: its kernel, the build of its sensor, what that can do.
use crate::story::{World, config, digest, id, manifest};
use andon_host::{Found, Host, HostConfig, Input, Previous};
use andon_model::beat::{Presence, SensorSource, SensorStatus};
use andon_model::facts::{FactName, Facts};
use andon_model::release::{ComponentKind, Manifest};
use andon_model::time::Millis;
use std::sync::Arc;

fn word(word: &str) -> Option<FactName> {
    FactName::new(word).ok()
}

fn said(build: &str) -> SensorStatus {
    let (source, build) = (SensorSource::Ebpf, word(build));
    SensorStatus { source, events: 0, drops: 0, rules: 1, canary_seen: None, build }
}

/// A release of the sensor, which needs no content.
fn sensor(version: u32) -> Arc<Manifest> {
    let service = manifest("sensor", version, ComponentKind::Service);
    Arc::new(Manifest { exec: vec!["f".to_owned()], ..(*service).clone() })
}

fn beat(world: &mut World) -> Option<Facts> {
    world.host.beat(world.now, Presence::Alive).unwrap().facts
}

/// Mutant: facts-said-once.
#[test]
fn what_a_host_runs_is_said_until_it_was_heard_and_again_when_it_changed() {
    let mut world = World::new();
    world.host = Host::new(HostConfig { kernel: word("6.1.0"), ..config(2) });
    world.tell(Input::Booted { found: Vec::<Found>::new(), previous: Previous::HostEnded });
    let booted = Facts { kernel: word("6.1.0"), ..Facts::default() };
    assert_eq!(beat(&mut world), Some(booted.clone()));
    assert_eq!(beat(&mut world), Some(booted), "nobody has answered yet");
    world.tell(Input::ChargesStored { up_to: 0 });
    assert_eq!(beat(&mut world), None);
    world.tell(Input::SensorSeen { status: said("b1") });
    let whole = Facts { kernel: word("6.1.0"), sensor: word("b1"), rung: word("ebpf") };
    assert_eq!(beat(&mut world), Some(whole.clone()), "news");
    // The answer is to the beat before: that one is lost, and said again in a while.
    world.tell(Input::ChargesStored { up_to: 0 });
    let again = (0..200).filter_map(|_| beat(&mut world)).collect::<Vec<Facts>>();
    assert!(!again.is_empty() && again.len() < 5 && again.iter().all(|one| *one == whole));
}

/// Of a sensor that its vendor ships the digest of the release counts, whatever it says of itself.
#[test]
fn the_build_of_the_sensor_is_its_active_release_and_goes_back_with_it() {
    let mut world = World::new();
    world.tell(Input::SensorSeen { status: said("b1") });
    assert_eq!(world.host.facts().sensor, word("b1"), "from the host's own packages");
    let good = sensor(1);
    world.offer(&good, "r1");
    world.pass(Millis::from_secs(120));
    assert_eq!(world.host.facts().sensor, word(&digest(&good).to_string()));
    world.crashes.push((id("sensor"), 2));
    let bad = sensor(2);
    world.offer(&bad, "r2");
    assert_eq!(world.state("sensor").1.unwrap().0, 1, "it went back");
    assert_eq!(world.host.facts().sensor, word(&digest(&good).to_string()));
}
