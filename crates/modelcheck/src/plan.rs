//! The plan that is explored, and which of its hosts are played one by one.
use crate::Safeguards;
use crate::journal::{Journal, Look, Record};
use andon_model::policy::{Lane, Timing, Watch};
use andon_model::release::Version;
use andon_model::{ComponentId, Digest, HostId, LineId, Millis, OperatorId, RolloutId, Time};
use andon_model::{StratumId, id::IdError};
use andon_rollout::{Plan, StratumPlan};

/// B at horizon 0: small enough that the budget binds before the growth limit does.
pub(crate) const BUDGET: u64 = 30;
/// Hosts of the first wave.
pub(crate) const FIRST_WAVE: u32 = 8;
/// δ, in millionths.
pub(crate) const DELTA_PPM: u32 = 1000;
/// Wave after wave, more than any run of the model needs.
const WAVES_MAX: usize = 12;

/// The emergency lane over one stratum of `hosts`.
pub(crate) fn plan(hosts: u32, safeguards: Safeguards) -> Plan {
    let names = names().unwrap_or_else(|why| panic!("fixed names are names: {why}"));
    let (line, rollout, component, stratum) = names;
    Plan {
        inside: None,
        rollout,
        line: LineId::Operator(line),
        release: Digest::of(b"release"),
        component,
        version: Version(2),
        lane: Lane::Emergency,
        seed: Digest::of(b"seed"),
        enrolled_max: HostId::new(u64::from(hosts)).ok(),
        terms: andon_rollout::Terms::default(),
        order: None,
        strata: vec![StratumPlan {
            stratum,
            size: hosts,
            holdback: 1,
            sample: hosts,
            gauge_every: 2,
        }],
        budget: vec![(Millis::ZERO, if safeguards.budget { BUDGET } else { u64::from(hosts) })],
        first_wave_max: FIRST_WAVE,
        growth_max_permille: 100_000,
        soak_min: Millis::from_secs(4),
        approvals_min: if safeguards.approvals { 2 } else { 0 },
        alpha_ppm: 1000,
        delta_ppm: DELTA_PPM,
        timing: Timing { delivery: Millis::from_secs(1), window: Millis::from_secs(3) },
        watch: Watch {
            beat: Millis::from_secs(1),
            silent_after: Millis::from_secs(4),
            restart_missed_ppm: andon_model::policy::restart_missed_ppm(),
        },
        background_ppm_per_h: andon_model::policy::background_ppm_per_h(),
        policy_version: 1,
        generation_base: 0,
        parent: None,
        created: Time(1_000_000),
    }
}

fn names() -> Result<(OperatorId, RolloutId, ComponentId, StratumId), IdError> {
    Ok((
        OperatorId::new("clinic")?,
        RolloutId::new("r1")?,
        ComponentId::new("content")?,
        StratumId::new("s0")?,
    ))
}

/// The first host of each wave of a rollout that goes well, then the second of each, and so on.
pub(crate) fn ranks(hosts: u32, played: usize) -> Vec<u32> {
    let mut journal = Journal::started(plan(hosts, Safeguards::ALL));
    for person in [0, 1] {
        journal = journal.append(Record::Approved(person)).unwrap_or(journal);
    }
    for _ in 0..WAVES_MAX {
        if let Some(next) =
            journal.due().and_then(|exposure| journal.append(Record::Issued(exposure.generation)))
        {
            journal = next;
        }
        journal = journal.append(Record::Saw(Look::Pass)).unwrap_or(journal);
    }
    let handed: Vec<u32> = journal.rollout().waves().iter().map(|wave| wave[0]).collect();
    let starts: Vec<u32> = [0].into_iter().chain(handed).filter(|rank| *rank < hosts).collect();
    let nth = |at: usize| {
        let (wave, row) = (at % starts.len(), at / starts.len());
        (starts[wave] + u32::try_from(row).unwrap_or(0)).min(hosts - 1)
    };
    (0..played).map(nth).collect()
}
