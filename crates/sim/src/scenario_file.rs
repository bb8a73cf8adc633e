//! Reads a scenario file and holds its numbers against their ranges. It plays nothing.
use crate::file::{Check, FileError, Origin};
use crate::scenario::{Attack, Fault, Outage, Place, Presence, Rate, Scenario, Shows, Theft};
use andon_model::limits::{HOSTS_MAX, STRATA_MAX, TEXT_LENGTH_MAX};

/// Longest time in a scenario, seconds: thirty days. A tick is at least a second, so a run stays
/// below three million ticks.
pub const TIME_S_MAX: f64 = 2_592_000.0;
/// Most outages in one scenario: each is looked at in every tick.
pub const OUTAGES_MAX: usize = 64;
/// Highest rate of anything per hour: once a second.
const PER_H_MAX: f64 = 3600.0;
/// Most operators: each has a line of its own where lines are not pooled.
pub const OPERATORS_MAX: u64 = 100_000;

/// Reads and checks a scenario; `file` is its name in messages.
/// # Errors
/// [`FileError`]: the first thing that is wrong, with line and field.
pub fn parse(file: &str, text: &str) -> Result<Scenario, FileError> {
    let origin = Origin { kind: "scenario", file, text };
    let scenario: Scenario = origin.parse()?;
    check(&scenario, origin.check())?;
    Ok(scenario)
}

/// The same scenario with another number of hosts and operators.
/// # Errors
/// [`FileError`] if they are out of range; line 0, since they come from elsewhere.
pub fn resized(
    scenario: &Scenario,
    hosts: Option<u64>,
    operators: Option<u32>,
) -> Result<Scenario, FileError> {
    let hosts = hosts.unwrap_or(scenario.hosts);
    // Whoever asks for fewer hosts did not ask for more operators than hosts.
    let fitting = u32::try_from(hosts).unwrap_or(u32::MAX).min(scenario.operators);
    let operators = operators.unwrap_or(fitting);
    let sized = Scenario { hosts, operators, ..scenario.clone() };
    let origin = Origin { kind: "scenario", file: &scenario.name, text: "" };
    check(&sized, origin.check()).map_err(|error| FileError { line: 0, ..error })?;
    Ok(sized)
}

fn check(it: &Scenario, mut check: Check<'_>) -> Result<(), FileError> {
    let c = &mut check;
    c.name(&it.name);
    c.text("about", &it.about, TEXT_LENGTH_MAX);
    c.whole("hosts", it.hosts, 1, HOSTS_MAX);
    c.whole("operators", u64::from(it.operators), 1, it.hosts.min(OPERATORS_MAX));
    c.whole("strata.count", u64::from(it.strata.count), 1, STRATA_MAX as u64);
    c.real("strata.exponent", it.strata.exponent, 0.0, 10.0);
    c.real("background_per_h", it.background_per_h, 0.0, PER_H_MAX);
    c.whole("delivery.hosts_per_s", u64::from(it.delivery.hosts_per_s), 1, HOSTS_MAX);
    c.real("delivery.within_s", it.delivery.within_s, 0.0, TIME_S_MAX);
    if let Some(fault) = &it.fault {
        check_fault(fault, it.strata.count, c);
    }
    c.rule(
        it.outages.len() <= OUTAGES_MAX,
        "outages",
        format_args!("are more than {OUTAGES_MAX}; leave some out"),
    );
    for (at, outage) in it.outages.iter().enumerate() {
        check_outage(at, outage, c);
    }
    check_presence(&it.presence, c);
    c.real("healing.share", it.healing.share, 0.0, 1.0);
    c.real("healing.after_s", it.healing.after_s, 0.0, TIME_S_MAX);
    match it.attack {
        None => {}
        Some(Attack::Hazard { per_min }) => c.real("attack.hazard.per_min", per_min, 0.0, 1000.0),
        Some(Attack::Spreads { per_min, infected }) => {
            c.real("attack.spreads.per_min", per_min, 0.0, 1000.0);
            c.whole("attack.spreads.infected", infected, 0, it.hosts);
        }
    }
    if let Some(Theft::Sybils { share, .. }) = it.theft {
        c.real("theft.sybils.share", share, 0.0, 1.0);
    }
    c.real("ends_s", it.ends_s, 1.0, TIME_S_MAX);
    check.done()
}

fn check_fault(fault: &Fault, strata: u16, c: &mut Check<'_>) {
    match fault.rate {
        Rate::Fixed(rate) => c.real("fault.rate", rate, 0.0, 1.0),
        Rate::LogUniform { low, high } => {
            c.real("fault.rate.low", low, 1e-12, 1.0);
            c.real("fault.rate.high", high, low, 1.0);
        }
    }
    match fault.place {
        Place::Everywhere => {}
        Place::StratumRank(rank) => {
            c.whole("fault.place.stratum_rank", u64::from(rank), 1, u64::from(strata));
        }
        Place::AnyStratumOrAll { hosts_min } => {
            c.whole("fault.place.any_stratum_or_all.hosts_min", hosts_min, 0, HOSTS_MAX);
        }
    }
    match fault.shows {
        Shows::AtLoad => {}
        Shows::After(after_s) => c.real("fault.shows.after", after_s, 0.0, TIME_S_MAX),
        Shows::NextBoot { boots_per_h } => {
            c.real("fault.shows.next_boot.boots_per_h", boots_per_h, 0.0, PER_H_MAX);
        }
    }
    c.real("fault.reports_share", fault.reports_share, 0.0, 1.0);
}

fn check_outage(at: usize, outage: &Outage, c: &mut Check<'_>) {
    match *outage {
        Outage::Common { at_s, share } => {
            c.real(&format!("outages[{at}].common.at_s"), at_s, -TIME_S_MAX, TIME_S_MAX);
            c.real(&format!("outages[{at}].common.share"), share, 0.0, 1.0);
        }
        Outage::Sites { sites, per_h } => {
            c.whole(&format!("outages[{at}].sites.sites"), u64::from(sites), 1, 1_000_000);
            c.real(&format!("outages[{at}].sites.per_h"), per_h, 0.0, PER_H_MAX);
        }
    }
}

fn check_presence(presence: &Presence, c: &mut Check<'_>) {
    c.real("presence.flapping_share", presence.flapping_share, 0.0, 1.0);
    c.real("presence.flapping_every_s", presence.flapping_every_s, 0.0, TIME_S_MAX);
    // Somebody has to be awake for a rollout to begin with.
    c.real("presence.asleep_share", presence.asleep_share, 0.0, 0.99);
    c.real("presence.wakes_per_h", presence.wakes_per_h, 0.0, PER_H_MAX);
    c.real("presence.clock_skew_s", presence.clock_skew_s, 0.0, TIME_S_MAX);
}
