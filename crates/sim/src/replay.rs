//! Steps through a recorded rollout: every event again, with what the production core makes of it. It
//! decides nothing itself and believes nothing but the events.
//!
//! Two forms, one JSON document per line:
//! - the simulator's (`andon simulate --trace`): the plan, then `[milliseconds, event]`;
//! - a server's (`GET /v1/rollouts/{id}/journal`): `{"seq":…,"at":…,"kind":…,"record":{…}}`; records that
//!   are no events of the rollout (its seed's commitment, people's commands) are passed over.
use andon_model::Time;
use andon_rollout::{Action, Event, Explanation, Plan, Rollout};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::io::BufRead;

/// Longest line, bytes: an observation of 4,096 strata and their waves has a few MiB.
pub const LINE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Why a journal cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// file trouble
    #[error("read line {line} of the journal")]
    Read {
        /// counted from 1
        line: usize,
        /// why
        source: std::io::Error,
    },
    /// a line that is no plan, event or record
    #[error("read line {line} of the journal as {what}")]
    Line {
        /// counted from 1
        line: usize,
        /// what it should have been
        what: &'static str,
        /// why
        source: serde_json::Error,
    },
    /// longer than a line may be
    #[error("line {line} of the journal is longer than {LINE_BYTES_MAX} bytes")]
    TooLong {
        /// counted from 1
        line: usize,
    },
    /// nothing to start from
    #[error(
        "find the plan: the journal ends before it; give a file of andon simulate --trace, or what \
         GET /v1/rollouts/ID/journal answers"
    )]
    NoPlan,
    /// two rollouts in one file
    #[error(
        "line {line} of the journal belongs to rollout {other}, not {rollout}: give one rollout's"
    )]
    Another {
        /// counted from 1
        line: usize,
        /// whose journal it is
        rollout: String,
        /// whose line it is
        other: String,
    },
}

/// One event and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Step {
    /// counts up from 1
    pub number: u64,
    /// when, as recorded
    pub at: Time,
    /// since the first event, seconds
    pub after_s: f64,
    /// what the core was told
    pub event: Event,
    /// what it wants done
    pub actions: Vec<Action>,
    /// where the rollout stands now, and why
    pub explanation: Explanation,
}

/// A journal being read.
#[derive(Debug)]
pub struct Replay<R> {
    lines: R,
    line: usize,
    rollout: Rollout,
    began: Option<Time>,
    number: u64,
}

/// A server's line. What else it says is not needed here.
#[derive(Debug, Deserialize)]
struct Row {
    at: Time,
    record: Value,
}

/// What a line says that matters.
enum Said {
    Plan(Box<Plan>),
    Event(Time, Event),
    Nothing,
}

impl<R: BufRead> Replay<R> {
    /// Reads up to the plan.
    /// # Errors
    /// [`ReplayError`].
    pub fn open(mut lines: R) -> Result<Replay<R>, ReplayError> {
        let mut line = 0;
        while let Some(text) = next_line(&mut lines, &mut line)? {
            if let Said::Plan(plan) = said(&text, line, None)? {
                let rollout = Rollout::replay(*plan, &[]);
                return Ok(Replay { lines, line, rollout, began: None, number: 0 });
            }
        }
        Err(ReplayError::NoPlan)
    }

    /// What the rollout is bound to.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        self.rollout.plan()
    }

    /// The next event, applied; `None` at the end.
    /// # Errors
    /// [`ReplayError`].
    pub fn step(&mut self) -> Result<Option<Step>, ReplayError> {
        while let Some(text) = next_line(&mut self.lines, &mut self.line)? {
            let own = self.rollout.plan().rollout.as_str();
            let (at, event) = match said(&text, self.line, Some(own))? {
                Said::Event(at, event) => (at, event),
                Said::Nothing => continue,
                Said::Plan(plan) => {
                    return Err(ReplayError::Another {
                        line: self.line,
                        rollout: own.to_owned(),
                        other: plan.rollout.to_string(),
                    });
                }
            };
            let began = *self.began.get_or_insert(at);
            self.number += 1;
            let actions = self.rollout.apply(at, event.clone());
            let explanation = self.rollout.explain(at);
            let (number, after_s) = (self.number, at.since(began).as_secs_f64());
            return Ok(Some(Step { number, at, after_s, event, actions, explanation }));
        }
        Ok(None)
    }
}

/// The next line that is not blank.
fn next_line(lines: &mut impl BufRead, line: &mut usize) -> Result<Option<String>, ReplayError> {
    use std::io::Read as _;
    loop {
        *line += 1;
        let mut text = String::new();
        let read = lines.by_ref().take(LINE_BYTES_MAX).read_line(&mut text);
        let bytes = read.map_err(|source| ReplayError::Read { line: *line, source })?;
        if bytes == 0 {
            return Ok(None);
        }
        if bytes as u64 == LINE_BYTES_MAX {
            return Err(ReplayError::TooLong { line: *line });
        }
        if !text.trim().is_empty() {
            return Ok(Some(text));
        }
    }
}

fn said(text: &str, line: usize, rollout: Option<&str>) -> Result<Said, ReplayError> {
    let wrong = |what| move |source| ReplayError::Line { line, what, source };
    if text.trim_start().starts_with('[') {
        let (at, event) = serde_json::from_str(text).map_err(wrong("a time and an event"))?;
        return Ok(Said::Event(at, event));
    }
    let value: Value = serde_json::from_str(text).map_err(wrong("JSON"))?;
    if value.get("record").is_none() {
        let plan = serde_json::from_value(value).map_err(wrong("a plan"))?;
        return Ok(Said::Plan(Box::new(plan)));
    }
    let Row { at, mut record } = serde_json::from_value(value).map_err(wrong("a record"))?;
    let kind = record["record"].as_str().unwrap_or_default().to_owned();
    match (kind.as_str(), rollout) {
        ("rollout_started", _) => {
            let plan = serde_json::from_value(record["plan"].take()).map_err(wrong("a plan"))?;
            Ok(Said::Plan(Box::new(plan)))
        }
        ("rollout", Some(own)) => {
            let other = record["rollout"].as_str().unwrap_or_default();
            if other != own {
                let (rollout, other) = (own.to_owned(), other.to_owned());
                return Err(ReplayError::Another { line, rollout, other });
            }
            let event =
                serde_json::from_value(record["event"].take()).map_err(wrong("an event"))?;
            Ok(Said::Event(at, event))
        }
        _ => Ok(Said::Nothing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue;
    use crate::engine::{Mode, played};
    use andon_rollout::StateName;

    fn journal(policy: &str) -> (Vec<String>, crate::outcome::RunOutcome) {
        let scenario = catalogue::scenario("small-5000").unwrap();
        let policy = catalogue::policy(policy).unwrap();
        let played = played(&scenario, &policy, Mode::Counts, 1, 0, true);
        (played.journal, played.outcome)
    }

    fn steps(text: &str) -> Result<Vec<Step>, ReplayError> {
        let mut replay = Replay::open(text.as_bytes())?;
        let mut steps = Vec::new();
        while let Some(step) = replay.step()? {
            steps.push(step);
        }
        Ok(steps)
    }

    /// The same journal as a server writes it, with what stands between the events there.
    fn as_a_server(lines: &[String]) -> String {
        let plan: Value = serde_json::from_str(&lines[0]).unwrap();
        let rollout = plan["rollout"].clone();
        let mut rows = vec![
            serde_json::json!({"record": "seed_committed", "rollout": rollout, "commitment": "00"}),
            serde_json::json!({"record": "rollout_started", "by": "alice", "vendor": "acme", "plan": plan,
                "report": {}}),
        ];
        let mut times = vec![1, 2];
        for line in &lines[1..] {
            let (at, event): (u64, Value) = serde_json::from_str(line).unwrap();
            rows.push(serde_json::json!({"record": "rollout", "rollout": rollout, "event": event}));
            times.push(at);
        }
        rows.push(serde_json::json!({"record": "command_accepted", "rollout": rollout}));
        times.push(9);
        let row = |(record, at): (Value, u64)| serde_json::json!({"seq": at, "at": at, "kind": record["record"], "record": record});
        rows.into_iter().zip(times).map(|pair| row(pair).to_string() + "\n").collect()
    }

    #[test]
    fn a_replay_comes_to_what_the_run_came_to() {
        let (lines, outcome) = journal("andon");
        let replayed = steps(&lines.join("\n")).unwrap();
        assert_eq!(replayed.len(), lines.len() - 1);
        let last = replayed.last().unwrap();
        assert!(outcome.halted_s.is_some());
        assert_eq!(last.explanation.state, StateName::Halted);
        assert_eq!(last.explanation.handed, outcome.handed);
        let freezes =
            |step: &&Step| step.actions.iter().any(|a| matches!(a, Action::Freeze { .. }));
        let halt = replayed.iter().find(freezes).unwrap();
        assert_eq!(Some(halt.after_s), outcome.halted_s);
    }

    #[test]
    fn a_servers_journal_reads_like_the_simulators() {
        let (lines, _) = journal("andon");
        assert_eq!(steps(&as_a_server(&lines)).unwrap(), steps(&lines.join("\n")).unwrap());
    }

    #[test]
    fn peers_keep_no_journal_and_broken_ones_are_refused_with_their_line() {
        assert!(journal("hawkbit").0.is_empty());
        let (lines, _) = journal("andon");
        let cases = [
            (String::new(), "find the plan"),
            ("{}".to_owned(), "line 1 of the journal as a plan"),
            ("no json".to_owned(), "line 1 of the journal as JSON"),
            (format!("{}\n[1,{{}}]", lines[0]), "line 2 of the journal as a time and an event"),
            (format!("{}\n\n[1,2]", lines[0]), "line 3 of"),
            (format!("{}\n{}", lines[0], lines[0]), "belongs to rollout simulated"),
            (
                as_a_server(&lines)
                    + "{\"at\":1,\"record\":{\"record\":\"rollout\",\"rollout\":\"r2\"}}",
                "belongs to rollout r2",
            ),
        ];
        for (text, want) in cases {
            let error = steps(&text).unwrap_err().to_string();
            assert!(error.contains(want), "{error}, not {want}");
        }
    }
}
