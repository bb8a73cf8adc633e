//! Promises, judged by the figures of a report. It counts nothing itself.
use super::report::{Alert, Bad, LogFigures, Promise, Report, RigFigures, Update};
use super::setting::{BUDGET, CRASHED_MAX, FREEZE_SEEN_MAX_S, Fault, WALL_MAX};

/// Everything this demo promises for that fault.
pub(super) fn promises(report: &Report, fault: Fault) -> Vec<Promise> {
    let mut out = Vec::new();
    out.extend(
        report
            .good
            .as_ref()
            .map(|good| everybody("a good update reaches everybody", good, report.hosts)),
    );
    out.extend(report.alert.as_ref().map(seen));
    if let Some(bad) = &report.bad {
        match fault {
            Fault::None => out.push(harmless(bad)),
            _ if fault.within_horizon() => stopped(&mut out, report, bad, fault),
            _ => out.push(outside(bad)),
        }
        let hurt = bad.crashed + bad.hung;
        // With a fault beyond the horizon a host may have confirmed it, and waits for the fix.
        let back = bad.fell_back == hurt || !fault.within_horizon();
        out.push(Promise::new(
            "crashed hosts come back by themselves",
            back && bad.hands == 0,
            format!("{} of {hurt} fell back, {} need hands", bad.fell_back, bad.hands),
        ));
        out.push(Promise::new(
            "no healthy host is touched",
            bad.healthy_touched == 0,
            format!("{} hosts left the release without cause", bad.healthy_touched),
        ));
    }
    if let Some(silent) = &report.bad_silent {
        out.push(Promise::new(
            "silence alone halts it",
            silent.channel.as_deref() == Some("silence") && within_budget(silent),
            format!(
                "reports off: halted by {} {}, {} crashed, {} of them fell back",
                silent.channel.as_deref().unwrap_or("nobody"),
                after(silent),
                silent.crashed,
                silent.fell_back
            ),
        ));
    }
    out.extend(unattested(report));
    out.extend(report.log.as_ref().map(|log| {
        let LogFigures { releases, proven, bytes_max } = log;
        let figure = format!("{proven} of {releases} proven offline, {bytes_max} bytes at most");
        Promise::new("every release is public", proven == releases && *releases > 0, figure)
    }));
    out.extend(
        report.fix.as_ref().map(|fix| everybody("the fix reaches everybody", fix, report.hosts)),
    );
    out.extend(report.fix.as_ref().map(|fix| {
        let held = fix.held_back.is_some_and(|hosts| hosts > 0 && hosts < 100);
        let last = fix.held_back.unwrap_or(0);
        Promise::new("the holdback comes last", held, format!("{last} hosts in the last wave"))
    }));
    let goods = [&report.good, &report.fix];
    let alarms = goods.iter().filter(|u| u.as_ref().is_some_and(|u| !u.completed)).count();
    out.push(Promise::new(
        "no false alarm",
        alarms == 0,
        format!("{alarms} good updates not completed"),
    ));
    let wall = WALL_MAX.as_secs();
    let figure = format!("{:.0} s of {wall} s", report.wall_s);
    out.push(Promise::new(
        "the story fits its time",
        report.wall_s <= WALL_MAX.as_secs_f64(),
        figure,
    ));
    out
}

/// What no rig has run reaches the canary wave at most, whoever waives it.
fn unattested(report: &Report) -> Option<Promise> {
    let RigFigures { left_out, attested, waived, waived_hosts_max } = &report.rig;
    if left_out.is_some() || report.bad.is_none() {
        return None;
    }
    let figure = format!(
        "{} releases run by a rig; {} waived by two people, on {waived_hosts_max} hosts at most",
        attested.len(),
        waived.len()
    );
    let held = !attested.is_empty() && !waived.is_empty() && *waived_hosts_max <= CRASHED_MAX;
    Some(Promise::new("what no rig ran stays with the canaries", held, figure))
}

fn seen(alert: &Alert) -> Promise {
    let figure = match (&alert.rule, alert.seen_s) {
        (Some(rule), Some(seconds)) => format!("rule {rule:?}, {seconds:.1} s after the command"),
        _ => format!("no alert with marker {} within the time", alert.marker),
    };
    Promise::new("a detection arrives with its marker", alert.seen, figure)
}

fn everybody(name: &str, update: &Update, hosts: usize) -> Promise {
    let t99 = update.t99_s.map_or("not reached".to_owned(), |t| format!("{t:.1} s"));
    let figure = format!("{} of {hosts} hosts, 99 % after {t99}", update.updated);
    Promise::new(name, update.updated == hosts && update.t99_s.is_some(), figure)
}

fn within_budget(bad: &Bad) -> bool {
    bad.crashed as u64 <= bad.budget && bad.fell_back == bad.crashed && bad.hands == 0
}

fn after(bad: &Bad) -> String {
    bad.halted_after_s.map_or(String::new(), |s| format!("{s:.1} s after the first activation"))
}

fn harmless(bad: &Bad) -> Promise {
    let figure = format!("{} hosts run it, {} crashed", bad.activated, bad.crashed);
    Promise::new("a release without a fault is not halted", !bad.detected, figure)
}

fn outside(bad: &Bad) -> Promise {
    let found = if bad.detected { "halted all the same" } else { "not halted" };
    let figure = format!(
        "{} crashed; {found} by the gate; outside the promise: it shows after the horizon",
        bad.crashed
    );
    Promise::new("what is outside the promise is called so", true, figure)
}

fn stopped(out: &mut Vec<Promise>, report: &Report, bad: &Bad, fault: Fault) {
    let by = bad.channel.as_deref().unwrap_or("nobody");
    let figure = format!("halted by {by} {}", after(bad));
    out.push(Promise::new("a faulty update is stopped", bad.detected, figure));
    let hurt = if fault.crashes() { bad.crashed } else { bad.activated };
    let word = if fault.crashes() { "crashed" } else { "ran it" };
    let fits = hurt <= CRASHED_MAX && (!fault.crashes() || bad.crashed >= 1);
    let figure = format!("{hurt} hosts {word}; first wave {CRASHED_MAX}, budget {BUDGET}");
    out.push(Promise::new("the blast radius is kept", fits, figure));
    let seen = report.freeze_seen_s;
    let figure =
        seen.map_or("not seen by all".to_owned(), |s| format!("last living host after {s:.2} s"));
    let held = seen.is_some_and(|s| s <= FREEZE_SEEN_MAX_S);
    out.push(Promise::new("the cord reaches every living host", held, figure));
}
