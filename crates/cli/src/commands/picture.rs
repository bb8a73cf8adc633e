//! A rollout as a picture in text: a tree of generations, a bar of evidence, the worst case. It reads
//! an explanation and decides nothing.
use crate::output::{self, Paint, clean};
use andon_model::Time;
use andon_rollout::explain::{Cosignatures, Explanation, Reason, StateName};
use andon_rollout::gate::RestartEvidence;
use andon_rollout::{Decision, HaltReason, HoldReason};
use std::fmt::Write as _;

/// Width of a bar in characters.
const BAR: usize = 24;
/// Most generations shown; the middle ones are left out.
const GENERATIONS_SHOWN: usize = 14;

/// The whole picture.
pub(crate) fn rollout(it: &Explanation, paint: Paint) -> String {
    let mut out = String::new();
    let mut put = |line: String| {
        let _never_fails = writeln!(out, "{}", line.trim_end());
    };
    let state = state_word(it.state);
    let state = match it.state {
        StateName::Halted => paint.bad(state),
        StateName::Held | StateName::AwaitingApproval => paint.warn(state),
        StateName::Completed => paint.good(state),
        StateName::Planned | StateName::Exposing => paint.strong(state),
    };
    put(format!("{}  {state}  {}", paint.strong(&it.rollout), reason(it)));
    put(format!(
        "release     {} version {} ({}), {} lane, {}",
        it.component,
        it.version,
        it.release.short(),
        lane_word(it.lane),
        it.line
    ));
    put(format!(
        "hosts       {} handed {} of {}, {} confirmed, {} bad, {} fell back",
        bar(it.handed as f64, it.hosts as f64),
        it.handed,
        it.hosts,
        it.confirmed,
        if it.crashed > 0 { paint.bad(it.crashed) } else { it.crashed.to_string() },
        it.fell_back
    ));
    put(evidence(it, paint));
    if let Some(told) = &it.evidence.restarts {
        put(format!("restarts    {}", restarts(told)));
    }
    put(format!("worst case  {}", clean(&it.worst_case.text)));
    for line in &it.budget {
        put(format!(
            "budget      {} after {} s: {:.1} spent, failure rate at most {:.3} %",
            line.hosts,
            line.after_ms / 1000,
            line.spent,
            line.ucb * 100.0
        ));
    }
    if !matches!(it.state, StateName::Halted | StateName::Completed) {
        for line in &it.cannot_see {
            put(format!("cannot see  {}", clean(line)));
        }
    }
    for line in tree(it, paint) {
        put(line);
    }
    if it.evidence.strata.len() > 1 {
        put(strata(it));
    }
    out
}

fn evidence(it: &Explanation, paint: Paint) -> String {
    let (e, threshold) = (it.evidence.e.max(1.0), it.evidence.threshold.max(1.0));
    // E multiplies: equal steps of the bar are equal factors.
    let picture = bar(e.log10(), threshold.log10().max(f64::MIN_POSITIVE));
    let text = format!("{picture} E = {:.3} of {:.0}", it.evidence.e, threshold);
    let text = match e {
        e if e >= threshold => paint.bad(text),
        e if e * e >= threshold => paint.warn(text),
        _ => text,
    };
    format!("evidence    {text}")
}

/// What announced restarts have shown, in a line.
fn restarts(told: &RestartEvidence) -> String {
    let RestartEvidence { due, missed, controls_due, controls_missed, .. } = told;
    let against = if told.refuted {
        "controls' own restarts only; the policy's share is refuted".to_owned()
    } else {
        format!("at most {} % by themselves", f64::from(told.assumed_ppm) / 10_000.0)
    };
    format!(
        "{missed} of {due} handed hosts did not come back, {controls_missed} of {controls_due} controls \
         (held against: {against}): E = {:.3} of {:.0}",
        told.e, told.threshold
    )
}

/// One line per generation, then what ended it.
fn tree(it: &Explanation, paint: Paint) -> Vec<String> {
    let begun = it.decisions.first().map_or(it.at, |first| first.at);
    let mut lines = Vec::new();
    let mut before = 0;
    let last = it.decisions.len().saturating_sub(1);
    for (index, dated) in it.decisions.iter().enumerate() {
        let branch = if index == last { "└─" } else { "├─" };
        let after = paint.faint(format!("+{:>5.1} s", dated.at.since(begun).as_secs_f64()));
        let text = match &dated.decision {
            Decision::Widened { generation, handed, asked_again } => {
                let more = handed.saturating_sub(before);
                before = *handed;
                let why = if *asked_again { "  asked again" } else { "" };
                format!(
                    "generation {generation:<3} {} +{more} hosts, {handed} in all{why}",
                    bar(*handed as f64, it.hosts as f64)
                )
            }
            Decision::Held { .. } => paint.warn(decision(&dated.decision)),
            Decision::LateWidened { .. } | Decision::Resumed { .. } => decision(&dated.decision),
            Decision::Halted { .. } => paint.bad(decision(&dated.decision)),
            Decision::Completed { .. } => paint.good(decision(&dated.decision)),
        };
        lines.push(format!("{branch} {after}  {text}"));
    }
    if lines.len() > GENERATIONS_SHOWN {
        let left_out = lines.len() - GENERATIONS_SHOWN;
        let middle = GENERATIONS_SHOWN / 2;
        lines.splice(middle..middle + left_out, [format!("│  … {left_out} more")]);
    }
    lines
}

/// A decision in a few words.
pub(crate) fn decision(decision: &Decision) -> String {
    match decision {
        Decision::Widened { generation, handed, asked_again } => {
            let why = if *asked_again { ", asked again" } else { "" };
            format!("generation {generation}: {handed} hosts in all{why}")
        }
        Decision::LateWidened { generation, late } => {
            format!("generation {generation}: {late} hosts that enrolled later")
        }
        Decision::Held { reason } => format!("held: {}", hold(reason)),
        Decision::Resumed { by } => format!("resumed by {by}"),
        Decision::Halted { reason } => format!("halted: {}", halt(reason)),
        Decision::Completed { confirmed, hosts } => {
            format!("completed: {confirmed} of {hosts} hosts confirmed")
        }
    }
}

fn strata(it: &Explanation) -> String {
    let rows = it.evidence.strata.iter().map(|s| {
        vec![
            s.stratum.to_string(),
            format!("{:.2}", s.e),
            format!("{:.3} %", s.ucb * 100.0),
            s.x.to_string(),
            s.k.to_string(),
            s.u.to_string(),
            s.c.to_string(),
        ]
    });
    let header = ["stratum", "E", "at most", "bad", "bad in all", "treated", "controls"];
    output::table(&header, rows.collect())
}

fn bar(part: f64, whole: f64) -> String {
    let share = if whole > 0.0 { (part / whole).clamp(0.0, 1.0) } else { 0.0 };
    let filled = (0..BAR).filter(|cell| (*cell as f64) < share * BAR as f64).count();
    format!("{}{}", "█".repeat(filled), "░".repeat(BAR - filled))
}

/// The state in a word.
pub(crate) fn state_word(state: StateName) -> &'static str {
    match state {
        StateName::Planned => "planned",
        StateName::AwaitingApproval => "awaiting approval",
        StateName::Exposing => "exposing",
        StateName::Held => "held",
        StateName::Halted => "HALTED",
        StateName::Completed => "completed",
    }
}

fn lane_word(lane: andon_model::policy::Lane) -> &'static str {
    match lane {
        andon_model::policy::Lane::Routine => "routine",
        andon_model::policy::Lane::Emergency => "emergency",
    }
}

/// Who has cosigned a ticket that waits, and for how long it has been waiting.
fn waiting(generation: u32, cosigned: &Cosignatures, now: Time) -> String {
    let have: Vec<&str> = cosigned.have.iter().map(andon_model::VerifierId::as_str).collect();
    let have = if have.is_empty() { "nobody".to_owned() } else { have.join(", ") };
    let since = now.since(cosigned.since).as_secs_f64();
    let (needed, s) = (cosigned.needed, if cosigned.needed == 1 { "" } else { "s" });
    format!(
        "ticket {generation} waits for {needed} gate verifier{s} since {since:.0} s; cosigned by {have}"
    )
}

/// The reason in a sentence.
pub(crate) fn reason(it: &Explanation) -> String {
    match &it.reason {
        Reason::NotStarted => "not started".to_owned(),
        Reason::ApprovalsMissing { missing } => format!("{missing} more people must approve"),
        Reason::TicketPending { generation } => match &it.cosignatures {
            Some(cosigned) => waiting(*generation, cosigned, it.at),
            None => format!("ticket {generation} is being issued"),
        },
        Reason::ObservationMissing { since } => format!("no tallies for {since}"),
        Reason::Soaking { until } => {
            format!("soaking for {:.1} s more", until.since(it.at).as_secs_f64())
        }
        Reason::OutsideWindow { until } => {
            format!("whoever is left may not change now; next from {until}")
        }
        Reason::AwaitingVendorLine { generation: 0 } => {
            "the vendor line has issued no ticket yet".to_owned()
        }
        Reason::AwaitingVendorLine { generation } => {
            format!("the vendor line's ticket {generation} covers no more hosts of this line")
        }
        Reason::AskingAgain { probes } => {
            format!("evidence is suspicious: asking again with {probes} hosts")
        }
        Reason::Restarting { hosts } => {
            format!("{hosts} handed hosts restart: waiting until they are back, or should be")
        }
        Reason::NobodyVouched => "no handed host is known to run it well yet".to_owned(),
        Reason::BudgetLeavesNoRoom { after_ms } => {
            format!("the budget for faults within {} s leaves no room", after_ms / 1000)
        }
        Reason::AwaitingConfirmations { missing } => {
            format!("everybody is covered; {missing} confirmations are awaited")
        }
        Reason::Ready => "widens at the next observation".to_owned(),
        Reason::Held(reason) => hold(reason),
        Reason::Halted(reason) => halt(reason),
        Reason::Completed => "reached everybody".to_owned(),
    }
}

fn hold(reason: &HoldReason) -> String {
    match reason {
        HoldReason::Person { by, reason } => format!("{by}: {}", clean(reason.as_str())),
        HoldReason::StrataMissing { got, want } => format!("tallies of {got} of {want} strata"),
        HoldReason::WavesMissing { stratum, got, want } => {
            format!("stratum {stratum} has tallies of {got} of {want} waves")
        }
        HoldReason::CountsDoNotAddUp { stratum, rule } => {
            format!("counts of stratum {stratum} break the rule {rule:?}")
        }
        HoldReason::ClockBackwards { back } => format!("the server's clock went back by {back}"),
        HoldReason::Overflow => "a number left its range".to_owned(),
        HoldReason::ActionFailed { generation, what } => {
            format!("generation {generation} could not be issued: {}", clean(what.as_str()))
        }
        HoldReason::UnknownTicket { generation } => format!("unknown ticket {generation}"),
        HoldReason::PlanUnsound => "the plan contradicts itself".to_owned(),
        HoldReason::TestFailed { rig, class, test } => {
            let (class, test) = (clean(class.as_str()), clean(test.as_str()));
            format!("rig {rig} saw it fail on {class}: {test}")
        }
    }
}

fn halt(reason: &HaltReason) -> String {
    match reason {
        HaltReason::Gate { e, threshold, channel, stratum } => {
            let place = stratum.as_ref().map(|s| format!(" in {s}")).unwrap_or_default();
            format!("E = {e:.0} reached {threshold:.0}, most by {channel:?}{place}").to_lowercase()
        }
        HaltReason::Person { by, reason } => format!("{by}: {}", clean(reason.as_str())),
        HaltReason::Frozen { by, digest } => {
            format!("{} pulled the cord ({})", clean(by), digest.short())
        }
    }
}

/// A line for whoever watches without a terminal: changes only when something happened.
pub(crate) fn one_line(it: &Explanation) -> String {
    format!(
        "{} generation {} handed {}/{} confirmed {} bad {} E {:.2}: {}",
        state_word(it.state),
        it.generation,
        it.handed,
        it.hosts,
        it.confirmed,
        it.crashed,
        it.evidence.e,
        reason(it)
    )
}

/// A table of whatever JSON list of objects: the columns are the keys of the first object.
pub(crate) fn generic_table(value: &serde_json::Value) -> String {
    let list = value.as_array().or_else(|| value.as_object()?.values().find_map(|v| v.as_array()));
    let Some(list) = list else { return serde_json::to_string_pretty(value).unwrap_or_default() };
    let Some(first) = list.first().and_then(|v| v.as_object()) else { return "none".to_owned() };
    let keys: Vec<&str> = first.keys().map(String::as_str).collect();
    let cell = |v: &serde_json::Value| match v {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    let rows = list.iter().map(|item| keys.iter().map(|key| cell(&item[*key])).collect());
    output::table(&keys, rows.collect())
}

/// How long ago, for people.
pub(crate) fn ago(then: Time, now: Time) -> String {
    match now.since(then).0 / 1000 {
        seconds @ 0..120 => format!("{seconds} s ago"),
        seconds @ 120..7200 => format!("{} min ago", seconds / 60),
        seconds => format!("{} h ago", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restarts_are_told_with_what_they_are_held_against() {
        let told = RestartEvidence {
            e: 5.3e16,
            threshold: 10_000.0,
            due: 16,
            missed: 15,
            controls_due: 2,
            controls_missed: 0,
            assumed_ppm: 25_000,
            refuted: false,
        };
        let text = restarts(&told);
        assert!(text.starts_with("15 of 16 handed hosts did not come back, 0 of 2 controls"));
        assert!(text.contains("at most 2.5 % by themselves"), "{text}");
        assert!(restarts(&RestartEvidence { refuted: true, ..told }).contains("refuted"));
    }
}
