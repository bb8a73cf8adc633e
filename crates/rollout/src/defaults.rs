//! The blast radius promised when nobody has asked for another: promise 1 of the design as values.
//! Not a policy: watch, timing, people and keys are the operator's, and only a signed policy binds.
use andon_model::Millis;
use andon_model::limits::HOSTS_MAX;
use andon_model::policy::{Horizon, LanePolicy};
use andon_model::release::ComponentKind;

/// Most hosts in a canary wave: one in each of the sixteen largest strata.
pub const FIRST_WAVE_MAX: u32 = 16;
/// What hosts let a ticket grow by, in thousandths. The bound decides, and never asks for more than
/// this: from 100 hosts through with nothing bad, B = 100 and δ = 0.001 allow 20 times as many.
pub const GROWTH_MAX_PERMILLE: u64 = 25_000;
/// Least time between two tickets of the routine lane: three generations of 40 s, so that a person
/// has a chance to look.
pub const ROUTINE_SOAK_MIN: Millis = Millis::from_secs(120);
/// Least time between two tickets of the emergency lane: one generation.
pub const EMERGENCY_SOAK_MIN: Millis = Millis::from_secs(35);
/// Hosts on probation, and the controls beside them, beat so often …
pub const BEAT: Millis = Millis::from_secs(5);
/// … and are silent after so long.
pub const SILENT_AFTER: Millis = Millis::from_secs(15);
/// Longest from ticket to activation.
pub const DELIVERY: Millis = Millis::from_secs(15);
/// Load and soak together; what happens in it is held against the budget's first point. Short, for
/// what hosts do by chance in it hides a rare fault (`docs/adr/0007-exact-bound.md`).
pub const LOAD_AND_SOAK: Millis = Millis::from_secs(5);
/// Stands for "the next boot": nearly every host that is in use is started once a day. A boot that
/// comes later than this is outside the promise, as any fault beyond the last horizon is.
pub const NEXT_BOOT: Millis = Millis::from_secs(24 * 3600);
/// No share: a limit in hosts alone.
const SHARE_NONE_PPM: u32 = 1_000_000;

/// The routine lane for a component of this kind: of faults that show at once, at most 100 hosts
/// and at most 1 % of the line (never under one host); within 10 minutes at most 0.1 %; until the
/// next boot at most 0.1 % where the component takes part in booting. Nobody need approve.
///
/// What it costs: the holdback, and so the end, waits for the longest horizon, a day for services.
#[must_use]
pub fn routine(kind: ComponentKind) -> LanePolicy {
    let mut budget =
        vec![horizon(Millis::ZERO, 100, 10_000), horizon(Millis::from_secs(600), HOSTS_MAX, 1000)];
    if shows_at_boot(kind) {
        budget.push(horizon(NEXT_BOOT, HOSTS_MAX, 1000));
    }
    lane(budget, ROUTINE_SOAK_MIN, 0)
}

/// The emergency lane: of faults that show at once, at most 100 hosts, whatever the size of the
/// line; later faults are outside the promise. Two people approve.
#[must_use]
pub fn emergency() -> LanePolicy {
    lane(vec![horizon(Millis::ZERO, 100, SHARE_NONE_PPM)], EMERGENCY_SOAK_MIN, 2)
}

/// Whether a fault may wait for the next start of the host. Kernel modules and BPF objects will
/// belong here too; the match is exhaustive so that whoever adds a kind must say so.
const fn shows_at_boot(kind: ComponentKind) -> bool {
    match kind {
        ComponentKind::Service | ComponentKind::Kmod => true,
        ComponentKind::Content | ComponentKind::Files => false,
    }
}

const fn horizon(after: Millis, hosts_max: u64, share_max_ppm: u32) -> Horizon {
    Horizon { after, hosts_max, share_max_ppm }
}

const fn lane(budget: Vec<Horizon>, soak_min: Millis, approvals_min: u32) -> LanePolicy {
    LanePolicy {
        budget,
        first_wave_max: FIRST_WAVE_MAX,
        growth_max_permille: GROWTH_MAX_PERMILLE,
        soak_min,
        approvals_min,
    }
}
