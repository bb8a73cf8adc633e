//! One tick's observation of one rollout: counts per stratum and arm, and the hosts behind them.
//! Every host is judged by the same [`andon_rollout::watch`], whichever arm it is in; only a host's
//! first event of a channel counts. It decides nothing.
use crate::fleet::Heard;
use crate::late;
use crate::record::Counted;
use crate::rollout_state::{Marks, Place, RolloutState, Wave};
use crate::state::{HostState, host_at};
use andon_model::policy::Watch;
use andon_model::{HostId, Time};
use andon_rollout::{ArmTally, Count, Observation, Plan, StratumTally, Window, watch};

/// Which host is in which arm of a rollout, on this line or on a vendor line that it takes part in,
/// and what is noted of each; by column.
#[derive(Clone, Copy, Debug)]
pub struct Arms<'a> {
    /// the plan
    pub plan: &'a Plan,
    /// each host's place in it; `None`: not in the plan
    pub places: &'a [Option<Place>],
    /// the tickets issued
    pub waves: &'a [Wave],
    /// each host's marks
    pub marks: &'a [Marks],
    /// when each host confirmed
    pub confirmed_at: &'a [Time],
}

impl<'a> Arms<'a> {
    /// Of a rollout of this line.
    #[must_use]
    pub fn of(rollout: &'a RolloutState) -> Arms<'a> {
        Arms {
            plan: &rollout.plan,
            places: &rollout.places,
            waves: &rollout.waves,
            marks: &rollout.marks,
            confirmed_at: &rollout.confirmed_at,
        }
    }
}

/// Looks at the whole fleet once, for a rollout of this line: its late hosts too.
#[must_use]
pub fn observe_own(
    rollout: &RolloutState,
    hosts: &[HostState],
    heard: &[Heard],
    now: Time,
) -> (Observation, Counted) {
    let (mut seen, mut counted) = observe(Arms::of(rollout), hosts, heard, now);
    // Late hosts are in no arm; they are watched as everybody is.
    let policy = watch::of_arm(&rollout.plan.watch, None);
    let late = late::observe(rollout, hosts, now, |at, id, marks| {
        let mut arm = ArmTally::default();
        let told = (&hosts[at], &heard[at]);
        marks.has(Marks::BAD) | count_host(&mut arm, &mut counted, &policy, marks, id, told, now)
    });
    for (tally, late) in seen.strata.iter_mut().zip(late) {
        tally.late = late;
    }
    (seen, counted)
}

/// Looks once at all hosts that are in an arm.
#[must_use]
pub fn observe(
    rollout: Arms<'_>,
    hosts: &[HostState],
    heard: &[Heard],
    now: Time,
) -> (Observation, Counted) {
    let plan = rollout.plan;
    let empty = StratumTally {
        waves: vec![ArmTally::default(); rollout.waves.len()],
        windows: vec![Window::default(); plan.budget.len()],
        wave_windows: vec![Window::default(); plan.budget.len() * rollout.waves.len()],
        ..StratumTally::default()
    };
    let mut strata = vec![empty; plan.strata.len()];
    let mut counted = Counted::default();
    // Hosts beyond the sample are in no arm; what befalls them is noted all the same, so that none
    // brings an old silence into the wave that it will belong to.
    let mut waiting = ArmTally::default();
    let handed: &[u32] = rollout.waves.last().map_or(&[], |wave| &wave.handed);
    for (at, (host, heard)) in hosts.iter().zip(heard).enumerate() {
        let Some(Some(place)) = rollout.places.get(at) else { continue };
        let Some(id) = host_at(at) else { continue };
        let stratum = usize::from(place.stratum);
        let (tally, sizes) = (&mut strata[stratum], &plan.strata[stratum]);
        let wave = rollout.waves.iter().position(|wave| place.rank < wave.handed[stratum]);
        let arm = match wave {
            Some(wave) => &mut tally.waves[wave],
            None if place.rank < sizes.sampled_from(handed.get(stratum).copied().unwrap_or(0)) => {
                &mut waiting
            }
            None if sizes.gauges(place.rank) => &mut tally.gauge,
            None => &mut tally.controls,
        };
        let policy = watch::of_arm(&plan.watch, wave);
        let marks = rollout.marks[at];
        let bad = count_host(arm, &mut counted, &policy, marks, id, (host, heard), now);
        if let Some(wave) = wave {
            let row = tally.wave_windows.iter_mut().skip(wave).step_by(rollout.waves.len());
            let confirmed = rollout.confirmed_at[at];
            count_windows(tally.windows.iter_mut().zip(row), plan, marks, confirmed, bad, now);
        }
    }
    (Observation { strata }, counted)
}

/// A covered host is within a horizon's window until silence would have shown that it failed at that
/// age: `silent_after` and D after it confirmed, and confirming is the end of its load and soak.
fn count_windows<'a>(
    windows: impl Iterator<Item = (&'a mut Window, &'a mut Window)>,
    plan: &Plan,
    marks: Marks,
    confirmed_at: Time,
    bad: bool,
    now: Time,
) {
    if marks.has(Marks::BAD) {
        return;
    }
    let confirmed = marks.has(Marks::CONFIRMED) && !marks.has(Marks::FELL_BACK);
    for ((all, wave), (after, _)) in windows.zip(&plan.budget) {
        let through = confirmed && now >= confirmed_at.plus(plan.watch.silent_after).plus(*after);
        for window in [all, wave] {
            if through {
                window.clean += 1;
            } else {
                window.at_risk += 1;
                window.alike += 1;
                window.bad += u32::from(bad);
            }
        }
    }
}

/// Counts a host in its arm. Answers whether its first bad event of any channel came now.
fn count_host(
    arm: &mut ArmTally,
    counted: &mut Counted,
    policy: &Watch,
    marks: Marks,
    id: HostId,
    (host, heard): (&HostState, &Heard),
    now: Time,
) -> bool {
    let silent = watch::silent(policy, heard.at, heard.presence, now);
    let away = watch::away(policy, heard.at, heard.presence, now);
    let news = [
        channel(&mut arm.silence, !marks.has(Marks::SILENT) && !away, silent),
        channel(&mut arm.report, !marks.has(Marks::REPORTED), marks.has(Marks::REPORT_WAITING)),
        channel(
            &mut arm.probe,
            !marks.has(Marks::UNWELL) && host.answered,
            !host.unwell.is_empty(),
        ),
    ];
    let lists = [&mut counted.silent, &mut counted.reported, &mut counted.unwell];
    for (list, new) in lists.into_iter().zip(news) {
        if new {
            list.push(id);
        }
    }
    arm.hosts += 1;
    let bad = news.contains(&true) && !marks.has(Marks::BAD);
    arm.bad_new += u32::from(bad);
    // A host that has gone back is no confirmation, whatever it said before.
    let fell_back = marks.has(Marks::FELL_BACK);
    arm.fell_back += u32::from(fell_back);
    arm.confirmed += u32::from(marks.has(Marks::CONFIRMED) && !fell_back);
    bad
}

fn channel(count: &mut Count, at_risk: bool, bad: bool) -> bool {
    count.at_risk += u32::from(at_risk);
    count.new += u32::from(at_risk && bad);
    at_risk && bad
}

/// Hosts that are silent already: a rollout that starts now never counts their silence.
#[must_use]
pub fn silent_before(watch: &Watch, heard: &[Heard], now: Time) -> Vec<HostId> {
    let silent = |row: &Heard| watch::silent(watch, row.at, row.presence, now);
    let rows = heard.iter().enumerate();
    rows.filter(|(_, row)| silent(row)).filter_map(|(at, _)| host_at(at)).collect()
}

/// Confirmed and fallen back over all arms.
#[must_use]
pub fn outcome(seen: &Observation) -> (u32, u32) {
    let arms = seen.strata.iter().flat_map(|s| s.waves.iter().chain([&s.controls, &s.gauge]));
    arms.fold((0, 0), |(confirmed, back), arm| (confirmed + arm.confirmed, back + arm.fell_back))
}
