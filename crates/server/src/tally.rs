//! One tick's observation of one rollout: counts per stratum and arm, and the hosts behind them.
//! Every host is judged by the same [`andon_rollout::watch`], whichever arm it is in; only a host's
//! first event of a channel counts. It decides nothing.
use crate::fleet::Heard;
use crate::late;
use crate::record::Counted;
use crate::rollout_state::{Marks, Place, RolloutState, Wave};
use crate::state::{HostState, host_at};
use andon_model::beat::Presence;
use andon_model::policy::Watch;
use andon_model::{HostId, Time};
use andon_rollout::{
    ArmTally, Count, Observation, Plan, RestartTally, StratumTally, Window, watch,
};

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
    /// when its hosts were last counted for good, or its plan was made: restarts that should have been
    /// over by then are counted, or none of its business
    pub since: Time,
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
            since: rollout.observed,
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
        let (mut restarts, mut away) = (Count::default(), 0);
        let restarts = (&mut restarts, &mut away);
        let mut into = Into { arm: &mut arm, restarts, counted: &mut counted };
        let host = Looked { id, marks, host: &hosts[at], heard: &heard[at] };
        // Not through either: whoever is away, or restarted and is not due.
        let row = &heard[at];
        let pending = watch::away(&policy, row.at, row.presence, now)
            || now < watch::restart_due(&policy, row.promised);
        pending | marks.has(Marks::BAD) | into.count(host, &policy, rollout.observed, now)
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
    let (mut waiting_restarts, mut waiting_away) = (Count::default(), 0);
    let handed: &[u32] = rollout.waves.last().map_or(&[], |wave| &wave.handed);
    for (at, (host, heard)) in hosts.iter().zip(heard).enumerate() {
        let Some(Some(place)) = rollout.places.get(at) else { continue };
        let Some(id) = host_at(at) else { continue };
        let stratum = usize::from(place.stratum);
        let (tally, sizes) = (&mut strata[stratum], &plan.strata[stratum]);
        let wave = rollout.waves.iter().position(|wave| place.rank < wave.handed[stratum]);
        let RestartTally { treated, treated_away, controls, controls_away } = &mut tally.restarts;
        let (arm, restarts) = match wave {
            Some(wave) => (&mut tally.waves[wave], (treated, treated_away)),
            None if place.rank < sizes.sampled_from(handed.get(stratum).copied().unwrap_or(0)) => {
                (&mut waiting, (&mut waiting_restarts, &mut waiting_away))
            }
            None if sizes.gauges(place.rank) => (&mut tally.gauge, (controls, controls_away)),
            None => (&mut tally.controls, (controls, controls_away)),
        };
        let policy = watch::of_arm(&plan.watch, wave);
        let marks = rollout.marks[at];
        let mut into = Into { arm, restarts, counted: &mut counted };
        let bad = into.count(Looked { id, marks, host, heard }, &policy, rollout.since, now);
        if let Some(wave) = wave {
            let row = tally.wave_windows.iter_mut().skip(wave).step_by(rollout.waves.len());
            let confirmed = rollout.confirmed_at[at];
            let host = InWindow { marks, confirmed, heard, bad };
            count_windows(tally.windows.iter_mut().zip(row), plan, host, now);
        }
    }
    (Observation { strata }, counted)
}

/// What a window asks of a covered host.
#[derive(Clone, Copy)]
struct InWindow<'a> {
    marks: Marks,
    /// when it confirmed; see [`Marks::CONFIRMED`]
    confirmed: Time,
    heard: &'a Heard,
    /// whether its first bad event came now
    bad: bool,
}

/// A covered host is within a horizon's window until silence would have shown that it failed at that
/// age: `silent_after` and D after it confirmed, and confirming is the end of its load and soak. It must
/// have been heard at that age; if it announced a restart before it was through, it is when those are
/// known that did not come back from theirs: survivors are not counted before the dead.
fn count_windows<'a>(
    windows: impl Iterator<Item = (&'a mut Window, &'a mut Window)>,
    plan: &Plan,
    host: InWindow<'_>,
    now: Time,
) {
    let InWindow { marks, confirmed, heard, bad } = host;
    if marks.has(Marks::BAD) {
        return;
    }
    let has_it = marks.has(Marks::CONFIRMED) && !marks.has(Marks::FELL_BACK);
    let watch = &plan.watch;
    let at_risk = watch::at_risk(watch, heard.at, heard.presence, heard.back, now);
    let over = now >= watch::restart_due(watch, heard.promised);
    // Away since before the server's own restart: when it was last heard is not known.
    let unknown = heard.presence.away_for().is_some() && !heard.since_restart;
    for ((all, wave), (after, _)) in windows.zip(&plan.budget) {
        let age = confirmed.plus(*after);
        let shown = age.plus(watch.silent_after);
        let through = has_it && now >= shown && heard.at >= age && !unknown;
        let through = through && (over || heard.announced >= shown);
        for window in [all, wave] {
            if through {
                window.clean += 1;
            } else if at_risk || bad {
                window.at_risk += 1;
                window.alike += 1;
                window.bad += u32::from(bad);
            }
        }
    }
}

/// A host as it is looked at.
#[derive(Clone, Copy)]
struct Looked<'a> {
    id: HostId,
    marks: Marks,
    host: &'a HostState,
    heard: &'a Heard,
}

/// Where a host is counted.
struct Into<'a> {
    arm: &'a mut ArmTally,
    /// announced restarts of its arm: those that are due, and hosts that are away for one
    restarts: (&'a mut Count, &'a mut u32),
    counted: &'a mut Counted,
}

impl Into<'_> {
    /// Counts a host. Answers whether its first bad event of any channel came now. `since`: see [`Arms`].
    fn count(&mut self, host: Looked<'_>, watch: &Watch, since: Time, now: Time) -> bool {
        let Looked { id, marks, host, heard } = host;
        let silent = watch::silent(watch, heard.at, heard.presence, now);
        let at_risk = watch::at_risk(watch, heard.at, heard.presence, heard.back, now);
        let quiet = marks.has(Marks::SILENT);
        let due = watch::restart_due(watch, heard.promised);
        let missed = !quiet && watch::missed(watch, heard.at, heard.presence, now);
        let restarts = matches!(heard.presence, Presence::Restart { .. });
        *self.restarts.1 += u32::from(restarts && !silent);
        let restarted = missed || (!quiet && since < due && due <= now);
        if restarted {
            // All but the last of them have ended.
            let ended = heard.restarts.saturating_sub(1);
            self.restarts.0.at_risk += u32::from(ended);
            self.counted.restarted.extend(std::iter::repeat_n(id, usize::from(ended) + 1));
        }
        let news = [
            channel(self.restarts.0, restarted, missed),
            channel(&mut self.arm.silence, !quiet && at_risk && !missed, silent),
            channel(
                &mut self.arm.report,
                !marks.has(Marks::REPORTED),
                marks.has(Marks::REPORT_WAITING),
            ),
            channel(
                &mut self.arm.probe,
                !marks.has(Marks::UNWELL) && host.answered,
                !host.unwell.is_empty(),
            ),
        ];
        let counted = &mut *self.counted;
        let lists =
            [&mut counted.missed, &mut counted.silent, &mut counted.reported, &mut counted.unwell];
        for (list, new) in lists.into_iter().zip(news) {
            if new {
                list.push(id);
            }
        }
        self.arm.hosts += 1;
        let bad = news.contains(&true) && !marks.has(Marks::BAD);
        self.arm.bad_new += u32::from(bad);
        // A host that has gone back is no confirmation, whatever it said before.
        let fell_back = marks.has(Marks::FELL_BACK);
        self.arm.fell_back += u32::from(fell_back);
        self.arm.confirmed += u32::from(marks.has(Marks::CONFIRMED) && !fell_back);
        bad
    }
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
