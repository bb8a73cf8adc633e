//! Every state that a component can come into, and every event in each of them. Since every event leads
//! to a state that is examined too, every sequence of events is covered, of whatever length; those of at
//! most six from nothing are walked one by one besides, without taking two states for one.
use crate::world::{ALL, Boot, ENFORCE, Life, NAMED, World};
use andon_host::boot::{Ending, Fetching, Off, Policy, What};
use andon_host::machine::Phase;
use andon_host::{Slot, SlotState};
use std::collections::{BTreeSet, VecDeque};

const LENGTH: u32 = 6;

/// What one event led to.
struct Step<'s> {
    before: &'s World,
    life: Life,
    after: &'s World,
    boot: Option<&'s Boot>,
}

/// Every state and event; how many states and steps there were.
fn explore(judge: impl Fn(&Step<'_>)) -> (usize, usize) {
    let first = World::new();
    let mut seen = BTreeSet::from([first.key()]);
    let (mut waiting, mut steps) = (VecDeque::from([first]), 0);
    while let Some(before) = waiting.pop_front() {
        for life in ALL {
            let mut after = before.clone();
            let boot = after.apply(life);
            judge(&Step { before: &before, life, after: &after, boot: boot.as_ref() });
            steps += 1;
            if seen.insert(after.key()) {
                waiting.push_back(after);
            }
        }
    }
    (seen.len(), steps)
}

fn walk(before: &World, left: u32, judge: &impl Fn(&Step<'_>)) -> usize {
    if left == 0 {
        return 0;
    }
    let mut steps = 0;
    for life in NAMED {
        let mut after = before.clone();
        let boot = after.apply(life);
        judge(&Step { before, life, after: &after, boot: boot.as_ref() });
        steps += 1 + walk(&after, left - 1, judge);
    }
    steps
}

fn boots_or_says_why(step: &Step<'_>) {
    let machine = &step.after.record.machine;
    assert!(machine.consistent(), "{step:?}");
    let Some(boot) = step.boot else { return };
    let off = boot.decision.off.first().map(|(_, why)| why);
    assert_eq!(off.is_some(), boot.loaded.is_none(), "{step:?}");
    let other = machine.slot(machine.inactive());
    match off {
        None => {}
        Some(Off::NotInstalled) => assert_eq!(machine.active(), None, "{step:?}"),
        Some(Off::SafeMode(_)) => {
            let parked = step.after.fallbacks >= 3;
            assert!(machine.phase() == Phase::Safe, "{step:?}");
            assert!(parked || other != SlotState::Confirmed, "{step:?}");
        }
        Some(Off::Frozen(_)) => assert_ne!(other, SlotState::Confirmed, "{step:?}"),
        Some(other) => panic!("{other}: {step:?}"),
    }
    let told = boot.decision.reports.iter().any(|report| matches!(report.what, What::Off(_)));
    assert_eq!(told, off.is_some_and(|why| *why != Off::NotInstalled), "not said loudly: {step:?}");
}

/// Boots until nothing is loaded any more, each time with the same end.
fn boots_until_off(mut world: World, life: Life) -> usize {
    (0..100).find(|_| world.apply(life).is_some_and(|boot| boot.loaded.is_none())).unwrap()
}

#[test]
fn some_slot_always_boots_or_safe_mode() {
    let (states, steps) = explore(|step| {
        boots_or_says_why(step);
        if step.life != Life::PowerCutLoading {
            return;
        }
        // Whatever crashes whenever it is loaded is off after a few boots, and the host is up.
        let crashes = boots_until_off(step.before.clone(), Life::CrashNamed);
        assert!(crashes <= 4, "{crashes} crashes: {step:?}");
        let unexplained = boots_until_off(step.before.clone(), Life::CrashUnexplained);
        assert!(unexplained <= 14, "{unexplained} boots: {step:?}");
    });
    println!("{states} states, {steps} steps");
    assert!(states >= 5000, "{states} states");
}

#[test]
fn every_sequence_of_six_events_from_nothing_holds_to_all_of_it() {
    let walked = walk(&World::new(), LENGTH, &|step| {
        boots_or_says_why(step);
        network_changes_nothing(step);
        frozen_stays_out(step);
        minimum_is_kept(step);
        cut_charges_nothing(step);
        one_fallback(step);
        healthy_runs_on(step);
    });
    println!("{walked} steps in sequences of {LENGTH}");
    assert_eq!(walked, (1..=LENGTH).map(|length| NAMED.len().pow(length)).sum::<usize>());
}

fn network_changes_nothing(step: &Step<'_>) {
    if step.boot.is_none() {
        return;
    }
    let asked = |fetch| step.before.decide(&Policy { fetch, ..ENFORCE });
    let (mut without, with) = (asked(Fetching::Never), asked(Fetching::Always));
    assert!(without.fetch.is_none() && with.fetch.is_some());
    without.fetch = with.fetch;
    assert_eq!(without, with, "an answer that did not come changes something: {step:?}");
}

#[test]
fn fallback_needs_no_network() {
    explore(|step| {
        network_changes_nothing(step);
        let Some(boot) = step.boot else { return };
        let machine = &boot.before.machine;
        let crashed = matches!(step.before.ending, Ending::Crash(_)) && machine.probation();
        if crashed && machine.can_fall_back() && step.before.fallbacks < 2 {
            let back = machine.active().unwrap().other();
            let version = boot.before.slot(back).unwrap().version;
            assert_eq!(boot.loaded, Some(version), "{step:?}");
        }
    });
}

fn frozen_stays_out(step: &Step<'_>) {
    let Some(version) = step.boot.and_then(|boot| boot.loaded) else { return };
    let frozen = step.before.frozen.contains(&version.0);
    assert!(!frozen || step.before.confirmed.contains(&version.0), "{step:?}");
}

/// Mutant: frozen-starts-anew-at-boot.
#[test]
fn frozen_never_starts_anew() {
    explore(frozen_stays_out);
}

fn minimum_is_kept(step: &Step<'_>) {
    let (min, before) = (step.after.record.version_min, step.before.record.version_min);
    let confirmed = step.after.confirmed.last().copied().unwrap_or(0);
    assert!(min.0 <= confirmed, "a minimum above what was confirmed: {step:?}");
    assert!(min == before || (step.before.minimum && min > before), "{step:?}");
    assert!(step.after.active().is_none_or(|version| version >= min.0), "gone back: {step:?}");
    let Some(version) = step.boot.and_then(|boot| boot.loaded) else { return };
    assert!(version >= min, "{step:?}");
}

/// Mutants: guard-falls-back-below-the-minimum, guard-raises-minimum-beyond-confirmed.
#[test]
fn never_below_minimum_version() {
    explore(minimum_is_kept);
}

fn cut_charges_nothing(step: &Step<'_>) {
    if step.life != Life::PowerCutRunning || !step.after.runs_confirmed() {
        return;
    }
    let (mut next, score) = (step.after.clone(), step.after.record.machine.score());
    let boot = next.apply(Life::Good).unwrap();
    let charged = |what: &What| matches!(what, What::Charged { .. } | What::FellBack { .. });
    assert!(!boot.decision.reports.iter().any(|one| charged(&one.what)), "{step:?}");
    assert_eq!(next.record.machine.score(), score, "{step:?}");
    let active = step.after.active();
    let staged = step.after.record.machine.slot(step.after.record.machine.inactive());
    let stays = staged != SlotState::Staged && score == 0;
    assert!(!stays || boot.loaded.map(|it| it.0) == active, "{step:?}");
}

/// Mutant: power-cut-while-running-charged.
#[test]
fn power_cuts_while_running_charge_nothing() {
    explore(cut_charges_nothing);
}

fn one_fallback(step: &Step<'_>) {
    assert!(step.after.unexplained_fallbacks <= 1, "{step:?}");
}

#[test]
fn one_unexplained_fallback_per_change() {
    let most = std::cell::Cell::new(0);
    explore(|step| {
        one_fallback(step);
        most.set(most.get().max(step.after.unexplained_fallbacks));
    });
    assert_eq!(most.get(), 1, "unexplained ends never make a confirmed release fall back");
}

fn healthy_runs_on(step: &Step<'_>) {
    let Some(boot) = step.boot else { return };
    let machine = &boot.before.machine;
    let Some(active) = machine.active() else { return };
    let charged = |what: &What| matches!(what, What::Charged { .. });
    let unwell =
        machine.score() > 0 || boot.decision.reports.iter().any(|report| charged(&report.what));
    let replaced = boot.decision.reports.iter().any(|one| one.what == What::Activated);
    if machine.slot(active) == SlotState::Confirmed && !unwell && !replaced {
        let version = boot.before.slot(active).map(|held| held.version);
        assert_eq!(boot.loaded, version, "{step:?}");
    }
}

/// Mutant: guard-freeze-stops-a-healthy-component.
#[test]
fn a_freeze_never_stops_a_healthy_confirmed_component() {
    explore(healthy_runs_on);
}

/// Counting never stops: what was confirmed is charged like everything else, and left after two crashes.
/// Mutant: counting-off-after-the-first-success.
#[test]
fn what_was_confirmed_is_counted_for_ever() {
    let both = std::cell::Cell::new(0);
    explore(|step| {
        let machine = &step.after.record.machine;
        let healthy = step.life == Life::Good && machine.score() == 0;
        if !healthy || !machine.can_fall_back() || step.after.fallbacks >= 2 {
            return;
        }
        for crash in [Life::CrashNamed, Life::CrashNamedRunning, Life::Hang] {
            let (mut world, before) = (step.after.clone(), step.after.active());
            let other = machine.active().map(Slot::other).and_then(|it| step.after.version(it));
            world.apply(crash);
            let frozen = before.is_some_and(|version| world.frozen.contains(&version));
            let second = world.apply(crash).unwrap();
            let expected = match (frozen, crash) {
                // A hang names nobody: what runs confirmed is charged only while it is being loaded.
                (true, _) => other,
                (false, _) => before,
            };
            assert_eq!(second.loaded.map(|version| version.0), expected, "{crash:?} {step:?}");
            let third = world.apply(Life::Good).unwrap();
            assert_eq!(third.loaded.map(|version| version.0), other, "{crash:?} {step:?}");
            both.set(both.get() + 1);
        }
    });
    assert!(both.get() > 0);
}

impl std::fmt::Debug for Step<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let world = |world: &World| {
            let (machine, ending) = (&world.record.machine, &world.ending);
            let slots = [Slot::A, Slot::B].map(|slot| world.version(slot));
            let (frozen, min) = (&world.frozen, world.record.version_min);
            format!("{machine:?} holds {slots:?} frozen {frozen:?} min {min} ended {ending:?}")
        };
        writeln!(f, "{:?}", self.life)?;
        writeln!(f, "before: {}\nafter: {}", world(self.before), world(self.after))?;
        let Some(boot) = self.boot else { return Ok(()) };
        write!(f, "loaded {:?}, off {:?}", boot.loaded, boot.decision.off)?;
        boot.decision.reports.iter().try_for_each(|report| write!(f, "\n{report}"))
    }
}
