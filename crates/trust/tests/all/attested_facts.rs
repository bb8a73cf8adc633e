//! Attestations and what hosts run: a demand that names kernel, sensor or rung, a failure on another one,
//! and a host that changes it in mid-rollout (docs/spec/attestations.md, sections 2 and 4).
use crate::attested::*;
use crate::world::*;
use andon_model::Digest;
use andon_model::envelope::Envelope;
use andon_model::facts::{self, FactKind, FactName, Facts};
use andon_model::policy::Policy;
use andon_model::release::ComponentKind;
use andon_model::rigs::*;
use andon_trust::attestation::{Standing, Words};

fn fact(word: &str) -> Option<FactName> {
    FactName::new(word).ok()
}
fn running(kernel: &str, sensor: &str) -> Facts {
    Facts { kernel: fact(kernel), sensor: fact(sensor), rung: None }
}
/// Standing of the host of a class that runs this, under these demands by one rig.
fn standing(demands_: &[Demand], facts: &Facts, envelopes: &[Envelope]) -> &'static str {
    let release = Digest::of(b"release");
    let policy = Policy { attestations: demands(1, demands_.to_vec()), ..policy() };
    policy.check().unwrap();
    let words = Words::of(envelopes, &release, &policy).unwrap();
    match words.judge(&policy, Some(ComponentKind::Content), (&class(), facts), SOON) {
        Standing::Attested => "attested",
        Standing::CanaryOnly(_) => "canary",
        Standing::Missing(_) => "missing",
        Standing::Failed(_) => "failed",
    }
}
fn same(kinds: &[FactKind]) -> Demand {
    Demand { same: kinds.to_vec(), ..demand(Alike::Platform) }
}

/// What a demand wants to be the same must be known on both sides and be the same: else the class is
/// unknown. What it does not name does not matter. Mutants: kernel-not-compared, unknown-kernel-is-any.
#[test]
fn what_a_demand_names_must_run_here_as_it_ran_there() {
    use FactKind::{Kernel, KernelSeries, Rung, Sensor};
    let release = Digest::of(b"release");
    let ran = passed(&[40], release, &own().running(running("6.1.0-18-amd64", "s1")));
    for (kinds, kernel, sensor, want) in [
        (&[][..], "6.6.9", "s2", "attested"),
        (&[Kernel], "6.1.0-18-amd64", "s2", "attested"),
        (&[Kernel], "6.1.0-19-amd64", "s1", "canary"),
        (&[Kernel], "?", "s1", "canary"),
        (&[KernelSeries], "6.1.0-19-amd64", "s1", "attested"),
        (&[KernelSeries], "6.10.0-1-amd64", "s1", "canary"),
        (&[Sensor], "?", "s1", "attested"),
        (&[Kernel, Sensor], "6.1.0-18-amd64", "s1", "attested"),
        (&[Kernel, Sensor], "6.1.0-18-amd64", "s2", "canary"),
        (&[Rung], "6.1.0-18-amd64", "s1", "canary"),
    ] {
        let got = standing(&[same(kinds)], &running(kernel, sensor), &ran);
        assert_eq!(got, want, "{kinds:?} {kernel} {sensor}");
    }
    let here = running("6.1.0-18-amd64", "s1");
    let silent = passed(&[40], release, &own());
    assert_eq!(standing(&[same(&[Kernel])], &here, &silent), "canary", "never said");
    assert_eq!(standing(&[same(&[])], &here, &silent), "attested");
    let by_two = |first: &str| {
        let policy = Policy { attestations: demands(2, vec![same(&[Kernel])]), ..policy() };
        let of = |rig, kernel| passed(&[rig], release, &own().running(running(kernel, "s1")));
        let all = [of(40, first), of(41, "6.6.9")].concat();
        let words = Words::of(&all, &release, &policy).unwrap();
        words.judge(&policy, None, (&class(), &here), SOON)
    };
    let apart = by_two("6.1.0-18-amd64");
    assert!(
        matches!(apart, Standing::Missing(_)),
        "two rigs on two kernels are one each: {apart:?}"
    );
    let elsewhere = by_two("6.6.9");
    assert!(matches!(elsewhere, Standing::CanaryOnly(_)), "both on another kernel: {elsewhere:?}");
}

/// A failure speaks for every kernel of its platform, but where every demand tells kernels apart and both
/// are known. Mutant: failure-read-narrower.
#[test]
fn a_failure_is_never_read_narrower_than_it_was_meant() {
    use FactKind::{Kernel, KernelSeries, Sensor};
    let release = Digest::of(b"release");
    let here = running("6.1.0-18-amd64", "s1");
    let (other, sister) = (running("6.6.9", "s1"), running("6.1.0-19-amd64", "s1"));
    let unknown = Facts::default();
    let fails = |facts: &Facts| {
        let passes = passed(&[40], release, &own().running(here.clone()));
        let class = own().running(facts.clone());
        [passes, vec![failed(41, release, &class)]].concat()
    };
    let (any, kernel, series) = (same(&[]), same(&[Kernel]), same(&[KernelSeries]));
    for (row, demands_, failed_on, want) in [
        ("this very kernel", vec![kernel.clone()], &here, "failed"),
        ("another one", vec![kernel.clone()], &other, "attested"),
        ("not said which", vec![kernel.clone()], &unknown, "failed"),
        ("nobody demands a kernel", vec![any.clone()], &other, "failed"),
        ("one demand of two does not", vec![kernel.clone(), any], &other, "failed"),
        ("one tells the sensor only", vec![kernel.clone(), same(&[Sensor])], &other, "failed"),
        ("both tell the series", vec![kernel.clone(), series.clone()], &other, "attested"),
        ("not the very kernel", vec![kernel.clone(), series.clone()], &sister, "failed"),
        ("a patch is no series", vec![series], &sister, "failed"),
        ("but another release", vec![kernel.clone()], &sister, "attested"),
    ] {
        assert_eq!(standing(&demands_, &here, &fails(failed_on)), want, "{row}");
    }
    assert_eq!(standing(&[kernel], &unknown, &fails(&other)), "failed", "a host in the dark");
}

/// Where a plan tells hosts apart by what they run, a host that runs something else than its ticket's
/// plan knows is not covered: nobody has counted it there. Mutant: stratum-of-any-kernel.
#[test]
fn a_host_that_runs_something_else_leaves_its_place_in_the_plan() {
    let here = running("6.1.0-18-amd64", "s1");
    let mut world = World::new();
    seal_policy(&mut world, |policy| {
        policy.attestations = demands(1, vec![same(&[FactKind::KernelSeries])]);
    });
    let (_, release) = world.release("acme", 1, &[20, 21]);
    let mut ticket = world.ticket("r1", release, 1, SECOND);
    ticket.told_apart = vec![FactKind::Kernel];
    ticket.ceilings[0].stratum = facts::stratum_by(class().stratum(), &here, &ticket.told_apart);
    world.issue(&ticket);
    put(&mut world, release, &passed(&[40], release, &own().running(here.clone())));
    let mut view = view(7);
    let mut offers = |facts: &Facts| {
        view.runs(facts.clone());
        let outcome = world.sync(&mut view, at(SECOND));
        (outcome.offers.len(), told(&outcome))
    };
    assert_eq!(offers(&Facts::default()), (0, vec![]), "of no stratum of the plan");
    assert_eq!(offers(&here), (1, vec![]));
    // Attested there too, but the plan has counted nobody with this kernel.
    assert_eq!(offers(&running("6.1.0-19-amd64", "s1")), (0, vec![]));
    assert_eq!(offers(&running("6.1.0-18-amd64", "s2")), (1, vec![]), "the same kernel again");
}
