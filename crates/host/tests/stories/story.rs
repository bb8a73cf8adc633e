//! A whole host driven by inputs, its shell played by the test: every command is obeyed at once.
use andon_host::machine::Event;
use andon_host::record::{FILE_BYTES, newest};
use andon_host::storage::Stored as _;
use andon_host::{Command, Exit, Found, Host, HostConfig, Input, Previous};
use andon_model::Digest;
use andon_model::beat::{Charge, ComponentState, Presence, Strength};
use andon_model::handover::FreezeSeen;
use andon_model::host_journal::Fact;
use andon_model::id::{ComponentId, HostId, OperatorId, RolloutId, VendorId};
use andon_model::release::{Activation, ComponentKind, FileEntry, Hooks, Manifest, Mode, Version};
use andon_model::stop::{Freeze, Party, Scope};
use andon_model::text::Text;
use andon_model::time::{Millis, Time};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

pub(crate) fn id(name: &str) -> ComponentId {
    ComponentId::new(name).unwrap()
}

pub(crate) fn manifest(component: &str, version: u32, kind: ComponentKind) -> Arc<Manifest> {
    let content = kind == ComponentKind::Content;
    let file = FileEntry { path: "f".into(), digest: Digest::of(b""), length: 0, executable: true };
    Arc::new(Manifest {
        schema: 1,
        vendor: VendorId::new("acme").unwrap(),
        component: id(component),
        version: Version(version),
        kind,
        mode: Mode::Enforce,
        consumer: content.then(|| id("tool")),
        activation: Activation::Restart,
        exec: if content { vec![] } else { vec!["f".into(), "{content:rules}".into()] },
        hooks: Hooks::default(),
        probes: vec![],
        soak: Millis(1000),
        architectures: vec![],
        origin: Text::default(),
        files: vec![file],
        bundle: Digest::of(b""),
    })
}

pub(crate) fn digest(manifest: &Manifest) -> Digest {
    Digest::of(format!("{} {}", manifest.component, manifest.version).as_bytes())
}

/// A host and a shell without a network: fetches are answered only while `online`.
pub(crate) struct World {
    pub(crate) host: Host,
    pub(crate) now: Time,
    pub(crate) online: bool,
    pub(crate) crashes: Vec<(ComponentId, u32)>,
    pub(crate) disk: BTreeMap<ComponentId, Vec<u8>>,
    pub(crate) manifests: Vec<(Digest, Arc<Manifest>)>,
    pub(crate) started: Vec<Vec<Digest>>,
    pub(crate) fetched: usize,
    pub(crate) facts: Vec<Fact>,
}

pub(crate) fn config(boot: u32) -> HostConfig {
    HostConfig { host: Some(HostId::new(1).unwrap()), boot, builtin: vec![], kernel: None }
}

impl World {
    pub(crate) fn new() -> World {
        let mut world = World {
            host: Host::new(config(1)),
            now: Time(1000),
            online: true,
            crashes: vec![],
            disk: BTreeMap::new(),
            manifests: vec![],
            started: vec![],
            fetched: 0,
            facts: vec![],
        };
        world.tell(Input::Booted { found: vec![], previous: Previous::HostEnded });
        for (name, kind) in [("rules", ComponentKind::Content), ("tool", ComponentKind::Service)] {
            world.offer(&manifest(name, 1, kind), "base");
        }
        world.pass(Millis(5000));
        assert_eq!(world.state("rules"), (ComponentState::Confirmed, Some(Version(1))));
        assert_eq!(world.state("tool"), (ComponentState::Confirmed, Some(Version(1))));
        world
    }
    pub(crate) fn offer(&mut self, manifest: &Arc<Manifest>, rollout: &str) {
        self.manifests.push((digest(manifest), manifest.clone()));
        self.tell(Input::Offered {
            release: digest(manifest),
            rollout: RolloutId::new(rollout).unwrap(),
            generation: 1,
            begun: self.now,
            manifest: manifest.clone(),
        });
    }
    pub(crate) fn tell(&mut self, input: Input) {
        let mut waiting = VecDeque::from([input]);
        while let Some(input) = waiting.pop_front() {
            for command in self.host.apply(self.now, input) {
                waiting.extend(self.obey(command));
            }
        }
    }
    fn obey(&mut self, command: Command) -> Option<Input> {
        match command {
            Command::Fetch { release, .. } => {
                self.fetched += 1;
                self.online.then_some(Input::Fetched { release })
            }
            Command::Stage { component, release, .. } => Some(Input::Staged { component, release }),
            Command::WriteRecord { component, bytes, .. } => {
                let file = self.disk.entry(component).or_insert_with(|| vec![0; FILE_BYTES]);
                andon_host::storage::write(file, &bytes).unwrap();
                None
            }
            Command::StartService(launch) => {
                let releases = launch.contents.iter().map(|one| one.release);
                let releases: Vec<_> =
                    launch.program.iter().map(|own| own.1).chain(releases).collect();
                let crash = self.crashes.iter().any(|(name, version)| {
                    let bad = Digest::of(format!("{name} {version}").as_bytes());
                    releases.contains(&bad)
                });
                self.started.push(releases);
                let component = launch.component;
                Some(match crash {
                    true => Input::ServiceExited { component, exit: Exit::Signal(11) },
                    false => Input::ServiceReady { component },
                })
            }
            Command::Journal(fact) => {
                self.facts.push(fact);
                None
            }
            Command::StopService { component, .. } => {
                Some(Input::ServiceExited { component, exit: Exit::Signal(15) })
            }
            _ => None,
        }
    }
    /// Lets time pass, tick by tick as the host asks.
    pub(crate) fn pass(&mut self, time: Millis) {
        let end = self.now.plus(time);
        while let Some(next) = self.host.deadline().filter(|at| *at <= end) {
            self.now = next.max(self.now);
            self.tell(Input::Tick);
        }
        self.now = end;
    }
    pub(crate) fn state(&mut self, name: &str) -> (ComponentState, Option<Version>) {
        let beat = self.host.beat(self.now, Presence::Alive).unwrap();
        let status = beat.components.iter().find(|one| one.component == id(name)).unwrap();
        (status.state, status.version)
    }
    pub(crate) fn dies_and_boots(&mut self) {
        self.boots_after(Previous::HostEnded);
    }
    pub(crate) fn boots_after(&mut self, previous: Previous) {
        self.host = Host::new(config(2));
        let found = self.disk.iter().map(|(component, file)| Found {
            component: component.clone(),
            record: newest(file, component),
            manifests: self.manifests.clone(),
        });
        let found = found.collect();
        self.tell(Input::Booted { found, previous });
    }
    pub(crate) fn freeze(&mut self, release: Digest) {
        self.freeze_all(&[Scope::Release(release)]);
    }
    fn freeze_all(&mut self, scopes: &[Scope]) {
        let operator = || Party::Operator(OperatorId::new("hospital").unwrap());
        let parties = [operator(), Party::Platform, Party::Vendor(VendorId::new("acme").unwrap())];
        let freeze = |(at, scope): (usize, &Scope)| Freeze {
            schema: 1,
            by: parties[at % 3].clone(),
            scope: scope.clone(),
            reason: Text::default(),
            issued: Time(0),
            expires: Time(u64::MAX),
        };
        let seen = |(at, scope)| {
            let digest = Digest::of(format!("freeze {at}").as_bytes());
            FreezeSeen { digest, freeze: freeze((at, scope)) }
        };
        let freezes = scopes.iter().enumerate().map(seen).collect();
        self.tell(Input::FreezesSeen { freezes });
    }
}

pub(crate) fn rules(version: u32) -> Arc<Manifest> {
    manifest("rules", version, ComponentKind::Content)
}

#[test]
fn fallback_needs_no_network_and_the_same_ticket_is_not_tried_again() {
    let mut world = World::new();
    world.crashes.push((id("rules"), 2));
    let before = world.fetched;
    world.offer(&rules(2), "second");
    world.online = false;
    assert_eq!(world.fetched, before + 1);
    assert_eq!(world.state("rules"), (ComponentState::FellBack, Some(Version(1))));
    assert_eq!(world.state("tool"), (ComponentState::Confirmed, Some(Version(1))));
    let beat = world.host.beat(world.now, Presence::Alive).unwrap();
    assert_eq!((beat.charges.len(), beat.charges[0].version), (1, Version(2)));
    world.online = true;
    world.offer(&rules(2), "second");
    assert_eq!(world.fetched, before + 1, "given up under this ticket");
    world.offer(&rules(3), "third");
    assert_eq!(world.state("rules"), (ComponentState::Probation, Some(Version(3))));
    world.pass(Millis(2000));
    assert_eq!(world.state("rules"), (ComponentState::Confirmed, Some(Version(3))));
}

#[test]
fn a_host_that_dies_in_the_watch_period_boots_with_the_old_release() {
    let mut world = World::new();
    world.offer(&rules(2), "second");
    assert_eq!(world.state("rules"), (ComponentState::Probation, Some(Version(2))));
    world.dies_and_boots();
    assert_eq!(world.state("rules"), (ComponentState::FellBack, Some(Version(1))));
    assert!(world.started.last().unwrap().contains(&digest(&rules(1))));
    let after = world.fetched;
    world.offer(&rules(2), "second");
    assert_eq!(world.fetched, after, "remembered over the crash");
}

/// What the guard has charged is told to the server once, with a number of the supervisor's, and nothing is
/// charged a second time. Mutant: judged-twice.
#[test]
fn what_the_guard_has_charged_is_told_and_not_charged_again() {
    let mut world = World::new();
    world.offer(&rules(2), "second");
    assert_eq!(world.state("rules"), (ComponentState::Probation, Some(Version(2))));
    let mut record = newest(&world.disk[&id("rules")], &id("rules")).unwrap();
    record.sequence += 1;
    // The guard loads it; that it was loaded could not be written any more.
    record.machine.apply(world.now, Event::Started);
    record.charge = Some(Charge {
        number: 0,
        component: id("rules"),
        version: Version(2),
        release: digest(&rules(2)),
        strength: Strength::Weak,
        cause: Text::clipped("the host went down unexplained"),
        at: world.now,
    });
    let file = world.disk.get_mut(&id("rules")).unwrap();
    andon_host::storage::write(file, &record.encode()).unwrap();
    world.boots_after(Previous::Judged);
    assert_eq!(world.state("rules"), (ComponentState::Probation, Some(Version(2))));
    let beat = world.host.beat(world.now, Presence::Alive).unwrap();
    let [charge] = &beat.charges[..] else { panic!("{:?}", beat.charges) };
    assert!(charge.number > 0 && charge.strength == Strength::Weak);
    let number = charge.number;
    world.tell(Input::ChargesStored { up_to: number });
    world.boots_after(Previous::Judged);
    let again = newest(&world.disk[&id("rules")], &id("rules")).unwrap();
    assert_eq!(again.charge.map(|charge| charge.number), Some(number), "numbered once");
}

/// Mutant: failed-write-leaves-its-place.
#[test]
fn after_a_failed_write_the_host_takes_the_same_number_again() {
    let mut host = Host::new(config(1));
    host.apply(Time(1), Input::Booted { found: vec![], previous: Previous::Judged });
    let offered = |host: &mut Host, version: u32, rollout: &str| {
        let manifest = rules(version);
        let release = digest(&manifest);
        let rollout = RolloutId::new(rollout).unwrap();
        let begun = Time(1);
        host.apply(Time(2), Input::Offered { release, rollout, generation: 1, begun, manifest });
        let batch = host.apply(Time(3), Input::Fetched { release });
        let writes = batch.into_iter().filter_map(|command| match command {
            Command::WriteRecord { sequence, bytes, .. } => Some((sequence, bytes)),
            _ => None,
        });
        writes.collect::<Vec<_>>()
    };
    let first = offered(&mut host, 1, "a");
    let (sequence, why) = (Some(first[0].0), "no space".to_owned());
    host.apply(Time(4), Input::RecordFailed { component: id("rules"), sequence, why });
    let second = offered(&mut host, 2, "b");
    assert_eq!((first[0].0, second[0].0), (1, 1));
}

#[test]
fn a_host_that_dies_later_charges_nothing() {
    let mut world = World::new();
    world.offer(&rules(2), "second");
    world.pass(Millis(5000));
    world.dies_and_boots();
    assert_eq!(world.state("rules"), (ComponentState::Confirmed, Some(Version(2))));
}

#[test]
fn frozen_never_activates_and_a_healthy_host_is_left_alone() {
    let mut world = World::new();
    world.offer(&rules(2), "second");
    world.pass(Millis(5000));
    world.freeze(digest(&rules(2)));
    assert_eq!(world.state("rules"), (ComponentState::Confirmed, Some(Version(2))));
    world.freeze(digest(&rules(3)));
    let before = world.fetched;
    world.offer(&rules(3), "third");
    assert_eq!(world.fetched, before);
    assert_eq!(world.state("rules"), (ComponentState::Confirmed, Some(Version(2))));
}

/// Every set of freezes over what this host runs and what it could run next, whoever has signed them.
/// Mutants: freeze-stopping-a-healthy-host, freeze-that-lets-through.
#[test]
fn any_set_of_freezes_leaves_a_healthy_host_alone_and_never_enlarges_what_starts() {
    let tool = digest(&manifest("tool", 1, ComponentKind::Service));
    let acme = VendorId::new("acme").unwrap();
    let scopes = [
        Scope::Release(digest(&rules(1))),
        Scope::Release(digest(&rules(2))),
        Scope::Release(digest(&rules(3))),
        Scope::Release(tool),
        Scope::Vendor(acme),
        Scope::All,
    ];
    let mut starts = Vec::new();
    for set in 0..1_usize << scopes.len() {
        let chosen = scopes.iter().enumerate().filter(|(at, _)| set >> at & 1 == 1);
        let chosen: Vec<Scope> = chosen.map(|(_, scope)| scope.clone()).collect();
        let mut world = World::new();
        world.offer(&rules(2), "second");
        world.pass(Millis(5000));
        let (before, confirmed) = (world.started.len(), ComponentState::Confirmed);
        let healthy = |world: &mut World| {
            assert_eq!(world.state("rules"), (confirmed, Some(Version(2))), "{chosen:?}");
            assert_eq!(world.state("tool"), (confirmed, Some(Version(1))), "{chosen:?}");
        };
        world.freeze_all(&chosen);
        world.pass(Millis::from_secs(60));
        healthy(&mut world);
        assert_eq!(world.started.len(), before, "something was started again: {chosen:?}");
        // It still runs what it has confirmed after the next start.
        world.dies_and_boots();
        world.freeze_all(&chosen);
        world.pass(Millis::from_secs(60));
        healthy(&mut world);
        world.offer(&rules(3), "third");
        world.pass(Millis(5000));
        starts.push(world.state("rules") == (confirmed, Some(Version(3))));
    }
    for (more, starts_more) in starts.iter().enumerate() {
        for (fewer, starts_fewer) in starts.iter().enumerate().filter(|(of, _)| of & more == *of) {
            assert!(*starts_fewer || !starts_more, "{more:b} lets through what {fewer:b} stops");
        }
        let stopped = more & 0b11_0100 != 0;
        assert_eq!(*starts_more, !stopped, "{more:b}");
    }
}

#[test]
fn with_both_slots_bad_the_component_is_off_until_a_fix_comes() {
    let mut world = World::new();
    world.crashes = vec![(id("rules"), 1), (id("rules"), 2)];
    world.offer(&rules(2), "second");
    world.pass(Millis::from_secs(600));
    assert_eq!(world.state("rules"), (ComponentState::SafeMode, None));
    world.offer(&rules(3), "fix");
    world.pass(Millis(5000));
    assert_eq!(world.state("rules"), (ComponentState::Confirmed, Some(Version(3))));
}
