//! What thresholds demand of healthy hosts: a recall, a PARK, a minimum version.
use crate::story::{World, config, digest, id, manifest, rules};
use andon_host::record::newest;
use andon_host::{Found, Host, Input, Previous};
use andon_model::Digest;
use andon_model::beat::ComponentState;
use andon_model::directive::{Demand, Directive};
use andon_model::handover::DirectiveSeen;
use andon_model::host_journal::Fact;
use andon_model::id::{HostId, OperatorId, RolloutId, VendorId};
use andon_model::release::{ComponentKind, Version};
use andon_model::stop::Party;
use andon_model::text::Text;
use andon_model::time::{Millis, Time};

fn operator() -> Party {
    Party::Operator(OperatorId::new("hospital").unwrap())
}

fn seen(by: Party, demand: Demand, issued: Time, expires: Time) -> DirectiveSeen {
    let digest = Digest::of(format!("{by} {demand:?}").as_bytes());
    let reason = Text::default();
    DirectiveSeen {
        digest,
        directive: Directive { schema: 1, by, demand, reason, issued, expires },
    }
}

impl World {
    fn directs(&mut self, demands: &[Demand]) {
        let now = self.now;
        let of = |demand: &Demand| seen(operator(), demand.clone(), now, Time(u64::MAX));
        let directives = demands.iter().map(of).collect();
        self.tell(Input::DirectivesSeen { directives });
    }
    /// Version 2 runs well everywhere, version 1 lies in the other slot.
    fn on_second() -> World {
        let mut world = World::new();
        world.offer(&rules(2), "second");
        world.pass(Millis(5000));
        assert_eq!(world.state("rules"), (ComponentState::Confirmed, Some(Version(2))));
        world
    }
    fn tool_runs(&self) -> bool {
        let parked = |fact: &Fact| matches!(fact, Fact::Parked { .. });
        let unparked = |fact: &Fact| matches!(fact, Fact::Unparked { .. });
        let last = self.facts.iter().rposition(parked);
        last.is_none_or(|at| self.facts[at..].iter().any(unparked))
    }
}

fn recall(release: u32, to: u32) -> Demand {
    Demand::Recall { release: digest(&rules(release)), to: digest(&rules(to)) }
}
fn park(version: u32, over: Millis) -> Demand {
    Demand::Park { release: digest(&rules(version)), over }
}
fn minimum(version: u32) -> Demand {
    Demand::Minimum { component: id("rules"), version: Version(version) }
}

#[test]
fn without_a_recall_nothing_brings_an_older_release_back() {
    let mut world = World::on_second();
    let before = world.fetched;
    world.offer(&rules(1), "back");
    world.directs(&[recall(3, 1), recall(2, 3), park(3, Millis(0)), minimum(1)]);
    world.offer(&rules(1), "back");
    world.pass(Millis(5000));
    assert_eq!((world.fetched, world.state("rules").1), (before, Some(Version(2))));
}

#[test]
fn a_recall_takes_a_healthy_host_back_once_a_ticket_covers_it_and_no_earlier() {
    let mut world = World::on_second();
    world.directs(&[recall(2, 1)]);
    world.pass(Millis::from_secs(3600));
    assert_eq!(world.state("rules"), (ComponentState::Confirmed, Some(Version(2))));
    world.offer(&rules(1), "back");
    assert_eq!(world.state("rules"), (ComponentState::Probation, Some(Version(1))));
    world.pass(Millis(2000));
    assert_eq!(world.state("rules"), (ComponentState::Confirmed, Some(Version(1))));
    // It stays there: the recalled release is not welcome, a fix is.
    world.offer(&rules(2), "second");
    world.offer(&rules(1), "back");
    world.pass(Millis(5000));
    assert_eq!(world.state("rules"), (ComponentState::Confirmed, Some(Version(1))));
    world.offer(&rules(3), "fix");
    world.pass(Millis(5000));
    assert_eq!(world.state("rules"), (ComponentState::Confirmed, Some(Version(3))));
}

/// The older release's own rollout is long over and covers everybody: its ticket is no way back.
#[test]
fn a_rollout_from_before_the_recall_takes_nobody_back() {
    let mut world = World::on_second();
    let before = world.now;
    world.now = before.plus(Millis(1));
    world.directs(&[recall(2, 1)]);
    for (begun, version) in [(before, 2), (world.now, 1)] {
        world.tell(Input::Offered {
            release: digest(&rules(1)),
            rollout: RolloutId::new("first").unwrap(),
            generation: 9,
            begun,
            manifest: rules(1),
        });
        world.pass(Millis(5000));
        assert_eq!(world.state("rules").1, Some(Version(version)));
    }
}

#[test]
fn a_host_whose_older_release_crashes_now_stays_on_the_recalled_one() {
    let mut world = World::on_second();
    world.directs(&[recall(2, 1)]);
    world.crashes.push((id("rules"), 1));
    world.offer(&rules(1), "back");
    world.pass(Millis(5000));
    assert_eq!(world.state("rules").1, Some(Version(2)));
    assert_eq!(world.state("tool").0, ComponentState::Confirmed);
}

#[test]
fn a_fix_does_not_wait_for_a_frozen_release_that_lies_staged() {
    let mut world = World::new();
    // Fetched before the freeze, staged after it.
    world.online = false;
    world.offer(&rules(2), "second");
    world.freeze(digest(&rules(2)));
    world.online = true;
    world.tell(Input::Fetched { release: digest(&rules(2)) });
    assert_eq!(world.state("rules"), (ComponentState::Confirmed, Some(Version(1))));
    world.offer(&rules(3), "fix");
    world.pass(Millis(5000));
    assert_eq!(world.state("rules"), (ComponentState::Confirmed, Some(Version(3))));
}

#[test]
fn a_park_switches_off_and_its_end_or_another_release_switches_on() {
    let mut world = World::on_second();
    world.directs(&[park(2, Millis(0))]);
    assert_eq!(world.state("rules"), (ComponentState::Parked, Some(Version(2))));
    assert!(!world.tool_runs());
    let started = world.started.len();
    world.pass(Millis::from_secs(600));
    world.dies_and_boots();
    world.directs(&[park(2, Millis(0))]);
    world.pass(Millis::from_secs(600));
    assert_eq!(world.state("rules").0, ComponentState::Parked);
    world.directs(&[]);
    world.pass(Millis::from_secs(60));
    assert_eq!(world.state("rules"), (ComponentState::Confirmed, Some(Version(2))));
    assert!(world.tool_runs() && world.started.len() > started);
    world.directs(&[park(2, Millis(0))]);
    world.offer(&rules(3), "fix");
    world.pass(Millis(5000));
    assert_eq!(world.state("rules"), (ComponentState::Confirmed, Some(Version(3))));
    assert_eq!(world.state("tool"), (ComponentState::Confirmed, Some(Version(1))));
    assert!(!world.facts.iter().any(|fact| matches!(fact, Fact::Charged { .. })));
}

/// Known from disk before anything is started: nothing parked runs for a moment.
#[test]
fn a_parked_release_is_not_started_at_boot() {
    let mut world = World::on_second();
    world.directs(&[park(2, Millis(0))]);
    let started = world.started.len();
    world.host = Host::new(config(2));
    world.directs(&[park(2, Millis(0))]);
    let found = world.disk.iter().map(|(component, file)| Found {
        component: component.clone(),
        record: newest(file, component),
        manifests: world.manifests.clone(),
    });
    let found = found.collect();
    world.tell(Input::Booted { found, previous: Previous::HostEnded });
    world.pass(Millis::from_secs(60));
    assert_eq!(world.started.len(), started);
    assert_eq!(world.state("rules").0, ComponentState::Parked);
}

#[test]
fn hosts_park_one_after_another_within_the_time_given() {
    const HOSTS: u64 = 200;
    let over = Millis::from_secs(600);
    let mut off_at = Vec::new();
    for host in 1..=HOSTS {
        let mut world = World::on_second();
        world.host.apply(world.now, Input::Enrolled { host: HostId::new(host).unwrap() });
        let issued = world.now;
        world.directs(&[park(2, over)]);
        while world.tool_runs() {
            world.now = world.host.deadline().unwrap().max(world.now);
            assert!(world.now <= issued.plus(over), "host {host} parks too late");
            world.tell(Input::Tick);
        }
        off_at.push(world.now.since(issued).0);
    }
    for quarter in 0..4 {
        let of = |at: &&u64| **at / (over.0 / 4) == quarter;
        let share = off_at.iter().filter(of).count();
        assert!((25..=75).contains(&share), "{share} of {HOSTS} in quarter {quarter}");
    }
}

#[test]
fn a_minimum_rises_to_what_is_confirmed_here_and_no_higher() {
    let mut world = World::on_second();
    world.directs(&[minimum(9)]);
    assert!(
        world.facts.contains(&Fact::MinimumRaised { component: id("rules"), version: Version(2) })
    );
    // Nothing older comes back, recalled or not, and there is nothing older to fall back to.
    world.directs(&[minimum(9), recall(2, 1)]);
    world.offer(&rules(1), "back");
    world.pass(Millis(5000));
    assert_eq!(world.state("rules"), (ComponentState::Confirmed, Some(Version(2))));
    world.crashes.push((id("rules"), 2));
    world.dies_and_boots();
    world.pass(Millis::from_secs(1200));
    assert_eq!(world.state("rules").0, ComponentState::SafeMode, "it fell below the minimum");
    // It outlives the statement, and a fix heals.
    world.directs(&[]);
    world.offer(&rules(1), "again");
    world.pass(Millis(5000));
    assert_eq!(world.state("rules").0, ComponentState::SafeMode);
    world.offer(&rules(3), "fix");
    world.pass(Millis(5000));
    assert_eq!(world.state("rules"), (ComponentState::Confirmed, Some(Version(3))));
}

#[test]
fn a_minimum_waits_for_the_release_to_be_confirmed() {
    let mut world = World::new();
    world.directs(&[minimum(2)]);
    world.crashes.push((id("rules"), 2));
    world.offer(&rules(2), "second");
    assert_eq!(world.state("rules"), (ComponentState::FellBack, Some(Version(1))), "in probation");
    world.pass(Millis::from_secs(60));
    assert_eq!(world.state("tool"), (ComponentState::Confirmed, Some(Version(1))));
}

#[test]
fn a_vendor_speaks_for_its_own_components_only() {
    let mut world = World::on_second();
    let other = Party::Vendor(VendorId::new("zeta").unwrap());
    for (by, raised) in [(other, false), (Party::Vendor(VendorId::new("acme").unwrap()), true)] {
        let demand = seen(by, minimum(2), world.now, Time(u64::MAX));
        world.tell(Input::DirectivesSeen { directives: vec![demand] });
        let facts = world.facts.iter();
        let rose = facts.filter(|fact| matches!(fact, Fact::MinimumRaised { .. })).count();
        assert_eq!(rose, usize::from(raised));
    }
}

/// A minimum for the tool itself does not touch its content, and the other way round.
#[test]
fn a_minimum_of_one_component_is_not_anothers() {
    let mut world = World::on_second();
    world.directs(&[Demand::Minimum { component: id("tool"), version: Version(5) }]);
    let tool = manifest("tool", 1, ComponentKind::Service);
    let raised = Fact::MinimumRaised { component: id("tool"), version: tool.version };
    assert!(world.facts.contains(&raised));
    world.crashes.push((id("rules"), 2));
    world.dies_and_boots();
    world.pass(Millis::from_secs(600));
    assert_eq!(world.state("rules"), (ComponentState::FellBack, Some(Version(1))));
}
