//! Reads an operator's script line by line, plays hosts and server, and writes down what is told.
use crate::fleet::Fleet;
use crate::world::{at, exposures, person, plan_with, policy};
use andon_model::policy::Lane;
use andon_model::text::Text;
use andon_model::{Digest, Millis};
use andon_rollout::windows;
use andon_rollout::{
    Action, Decision, Event, Explanation, HaltReason, HoldReason, Reason, Rollout, StateName,
};
use std::fmt::Write as _;

/// The answer to a script.
/// # Errors
/// The answer so far and why it ends: the script expects what is not so, or cannot be understood.
pub(crate) fn run(name: &str, script: &str) -> Result<String, (String, String)> {
    let mut stage = Stage { out: String::new(), now: 0, fleet: None, signer_down: false };
    for (number, line) in (1..).zip(script.lines()) {
        if line.starts_with('#') || line.is_empty() {
            let _ = writeln!(stage.out, "{line}");
            continue;
        }
        let _ = writeln!(stage.out, "> {line}");
        if let Err(why) = stage.obey(line) {
            return Err((stage.out, format!("script {name}, line {number}: {why}")));
        }
    }
    Ok(stage.out)
}

struct Stage {
    out: String,
    now: u64,
    fleet: Option<Fleet>,
    signer_down: bool,
}

type Done = Result<(), String>;

impl Stage {
    fn obey(&mut self, line: &str) -> Done {
        let words: Vec<&str> = line.split_whitespace().collect();
        let quoted = line.split('"').nth(1).unwrap_or_default();
        match words[..] {
            ["given", ..] => return self.given(line),
            ["start"] => self.start()?,
            ["tick", time, ..] => self.tick(duration(time)?)?,
            [count, "of", "wave", wave, "in", "stratum", stratum, ..] => {
                let stratum = number(stratum)? as usize - 1;
                self.trouble(count, wave, Some(stratum), line)?;
            }
            [count, "of", "wave", wave, ..] => self.trouble(count, wave, None, line)?,
            ["a", "power", "cut", "takes", percent, "%", ..] => {
                let percent = number(percent)?;
                self.fleet()?.power_cut(percent);
            }
            ["the", "tally", "of", "stratum", stratum, "is", "missing"] => {
                let stratum = number(stratum)? as usize - 1;
                self.fleet()?.lose(stratum);
            }
            ["the", "signer", "is", state] => self.signer_down = state == "down",
            ["ticket", generation, "arrives", ..] => {
                let generation = number(generation)?;
                self.say(Event::TicketIssued { generation, at: at(self.now) })?;
            }
            ["the", "server", "restarts"] => self.restart()?,
            ["the", "clock", "steps", "back", time] => self.now -= duration(time)?.0,
            [who, "approves"] => self.say(Event::ApprovalGranted { person: person(who) })?,
            [who, "resumes"] => self.say(Event::Resumed { by: person(who) })?,
            [who, "holds", ..] => {
                let reason = Text::clipped(quoted);
                self.say(Event::Held { by: person(who), reason })?;
            }
            [who, "halts", ..] => {
                let reason = Text::clipped(quoted);
                self.say(Event::HaltedByPerson { by: person(who), reason })?;
            }
            [.., "pulls", "the", "cord"] => {
                let by = line.trim_end_matches(" pulls the cord").to_owned();
                self.say(Event::Frozen { by, digest: Digest::of(b"freeze") })?;
            }
            ["show"] => self.show()?,
            ["expect", ..] => self.expect(line)?,
            _ => return Err(format!("{line:?} is no command")),
        }
        Ok(())
    }

    fn fleet(&mut self) -> Result<&mut Fleet, String> {
        self.fleet.as_mut().ok_or_else(|| "nothing was given yet".to_owned())
    }

    /// `given 1000 hosts in 2 strata, budget 0s:100 10m:850, emergency lane`
    fn given(&mut self, line: &str) -> Done {
        let mut sizes = Vec::new();
        let (mut budget, mut lane) = (Vec::new(), Lane::Routine);
        for part in line.trim_start_matches("given ").split(", ") {
            let words: Vec<&str> = part.split_whitespace().collect();
            match words[..] {
                [hosts, "hosts", "in", strata, "strata" | "stratum"] => {
                    let (hosts, strata) = (number(hosts)?, number(strata)?);
                    sizes.extend((0..strata).map(|at| (hosts + strata - 1 - at) / strata));
                }
                [hosts, "hosts", "in", "a", "rare", "stratum"] => sizes.push(number(hosts)?),
                ["budget", ..] => {
                    for point in &words[1..] {
                        let (after, hosts) = point.split_once(':').ok_or("no D:hosts")?;
                        budget.push((duration(after)?.0, u64::from(number(hosts)?)));
                    }
                }
                ["emergency", "lane"] => lane = Lane::Emergency,
                _ => return Err(format!("{part:?} cannot be given")),
            }
        }
        let (plan, _) = plan_with(&policy(&budget), lane, &sizes);
        self.fleet = Some(Fleet::new(plan));
        Ok(())
    }

    fn start(&mut self) -> Done {
        let plan = self.fleet()?.plan.clone();
        let (rollout, actions) = Rollout::start(plan, at(0));
        let fleet = self.fleet()?;
        fleet.rollout = Some(rollout);
        fleet.journal = vec![(at(0), Event::Started)];
        self.carry_out(&actions)
    }

    fn say(&mut self, event: Event) -> Done {
        let now = at(self.now);
        let fleet = self.fleet()?;
        fleet.journal.push((now, event.clone()));
        let actions = fleet.rollout()?.apply(now, event);
        self.carry_out(&actions)
    }

    /// Tells what is decided, and signs tickets as the server would.
    fn carry_out(&mut self, actions: &[Action]) -> Done {
        for action in actions {
            let told = match action {
                Action::Notify(decision) => words(decision),
                Action::AskApproval { missing } => format!("asks {missing} more to approve"),
                Action::Freeze { .. } => "no host activates it any more".to_owned(),
                Action::Withdraw => "nobody beyond the current ticket".to_owned(),
                Action::Expose(_) | Action::Complete => continue,
            };
            let seconds = Millis(self.now).as_secs_f64();
            let _ = writeln!(self.out, "  {seconds:>4} s  {told}");
        }
        for exposure in exposures(actions) {
            let generation = exposure.generation;
            let event = if self.signer_down {
                Event::ActionFailed { generation, what: Text::clipped("sign ticket: no key") }
            } else {
                let now = self.now;
                self.fleet()?.hand(&exposure.handed, now);
                Event::TicketIssued { generation, at: at(self.now) }
            };
            self.say(event)?;
        }
        Ok(())
    }

    /// The fleet is tallied every second.
    fn tick(&mut self, time: Millis) -> Done {
        for _ in 0..time.0 / 1000 {
            self.now += 1000;
            let now = self.now;
            let mut seen = self.fleet()?.observe(now);
            windows::by_wave(self.fleet()?.rollout()?, at(now), &mut seen);
            if !self.fleet()?.rollout()?.ended() {
                self.say(Event::Observed(seen))?;
            }
        }
        Ok(())
    }

    fn trouble(&mut self, count: &str, wave: &str, stratum: Option<usize>, line: &str) -> Done {
        let wave = number(wave)? as usize - 1;
        let count = if count == "all" { u32::MAX } else { number(count)? };
        let channel = match line {
            _ if line.ends_with("fall silent") => 0,
            _ if line.ends_with("report a crash") => 1,
            _ if line.ends_with("fail their probe") => 2,
            _ => return Err(format!("{line:?} says not what befalls them")),
        };
        self.fleet()?.trouble(channel, wave, stratum, count)
    }

    /// The server forgets everything but its journal.
    fn restart(&mut self) -> Done {
        let fleet = self.fleet()?;
        let again = Rollout::replay(fleet.plan.clone(), &fleet.journal);
        *fleet.rollout()? = again;
        Ok(())
    }

    fn explain(&mut self) -> Result<Explanation, String> {
        let now = at(self.now);
        Ok(self.fleet()?.rollout()?.explain(now))
    }

    fn show(&mut self) -> Done {
        let e = self.explain()?;
        let _ = writeln!(
            self.out,
            "  {}: {}\n  {} of {} handed, {} confirmed, {} failed",
            state(e.state),
            why(&e.reason),
            e.handed,
            e.hosts,
            e.confirmed,
            e.crashed
        );
        Ok(())
    }

    /// `expect STATE`, `expect STATE by WHAT`, `expect at least|at most N handed|failed|confirmed`
    fn expect(&mut self, line: &str) -> Done {
        let e = self.explain()?;
        let wanted = line.trim_start_matches("expect ");
        let words: Vec<&str> = wanted.split_whitespace().collect();
        let (met, is) = match words[..] {
            ["at", bound @ ("least" | "most"), count, what] => {
                let is = match what {
                    "handed" => e.handed,
                    "failed" => e.crashed,
                    "confirmed" => e.confirmed,
                    _ => return Err(format!("{what:?} is not counted")),
                };
                let count = u64::from(number(count)?);
                (if bound == "least" { is >= count } else { is <= count }, is.to_string())
            }
            _ => {
                let (name, reason) = (state(e.state), why(&e.reason));
                let met = match wanted.split_once(" by ") {
                    Some((state, by)) => name == state && reason.contains(by),
                    None => name == wanted,
                };
                let by = wanted.contains(" by ");
                (met, if by { format!("{name}: {reason}") } else { name.to_owned() })
            }
        };
        if met { Ok(()) } else { Err(format!("expected {wanted}, it is {is}")) }
    }
}

fn number(word: &str) -> Result<u32, String> {
    word.parse().map_err(|_| format!("{word:?} is no number"))
}

fn duration(word: &str) -> Result<Millis, String> {
    let none = || format!("{word:?} is no duration");
    let digits = word.trim_end_matches(['s', 'm']);
    let count: u64 = digits.parse().map_err(|_| none())?;
    match &word[digits.len()..] {
        "s" => Ok(Millis::from_secs(count)),
        "m" => Ok(Millis::from_secs(60 * count)),
        _ => Err(none()),
    }
}

fn state(state: StateName) -> &'static str {
    match state {
        StateName::Planned => "planned",
        StateName::AwaitingApproval => "awaiting approval",
        StateName::Exposing => "exposing",
        StateName::Held => "held",
        StateName::Halted => "halted",
        StateName::Completed => "completed",
    }
}

fn words(decision: &Decision) -> String {
    match decision {
        Decision::Widened { generation, handed, asked_again: false } => {
            format!("wave {generation}: {handed} hosts covered")
        }
        Decision::Widened { generation, handed, asked_again: true } => {
            format!("asks again, wave {generation}: {handed} hosts covered")
        }
        Decision::LateWidened { generation, late } => {
            format!("wave {generation}: {late} late hosts covered")
        }
        Decision::Held { reason } => format!("held: {}", held(reason)),
        Decision::Resumed { by } => format!("resumed by {by}"),
        Decision::Halted { reason } => format!("halted: {}", halted(reason)),
        Decision::Completed { confirmed, hosts } => {
            format!("completed: {confirmed} of {hosts} confirmed")
        }
    }
}

fn held(reason: &HoldReason) -> String {
    match reason {
        HoldReason::Person { by, reason } => format!("{by}, {:?}", reason.as_str()),
        HoldReason::ActionFailed { what, .. } => format!("failed: {}", what.as_str()),
        HoldReason::StrataMissing { got, want } => format!("tallies of {got} strata of {want}"),
        HoldReason::UnknownTicket { generation } => {
            format!("ticket {generation}, which nobody asked for")
        }
        HoldReason::ClockBackwards { back } => format!("the clock stepped back {back}"),
        other => format!("{other:?}"),
    }
}

fn halted(reason: &HaltReason) -> String {
    match reason {
        HaltReason::Gate { channel, stratum, .. } => {
            let place = stratum.as_ref().map(|name| format!(", above all in {name}"));
            format!("{channel:?}{}", place.unwrap_or_default()).to_lowercase()
        }
        HaltReason::Person { by, reason } => format!("{by}, {:?}", reason.as_str()),
        HaltReason::Frozen { by, .. } => format!("freeze of {by}"),
    }
}

fn why(reason: &Reason) -> String {
    match reason {
        Reason::Held(reason) => held(reason),
        Reason::Halted(reason) => halted(reason),
        Reason::ApprovalsMissing { missing } => format!("{missing} approvals missing"),
        Reason::Soaking { .. } => "the latest wave has not shown its faults yet".to_owned(),
        Reason::AskingAgain { .. } => "suspicious: the question is asked again".to_owned(),
        Reason::ObservationMissing { .. } => "no tallies".to_owned(),
        Reason::BudgetLeavesNoRoom { .. } => "the budget leaves no room".to_owned(),
        Reason::Restarting { .. } => "handed hosts restart".to_owned(),
        Reason::NobodyVouched => "nobody is known to have taken it".to_owned(),
        Reason::Ready => "widens at the next tally".to_owned(),
        Reason::Completed => "everybody has it".to_owned(),
        other => format!("{other:?}"),
    }
}
