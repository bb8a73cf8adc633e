//! `andon replay`: a recorded rollout, event by event, with what the rollout core makes of it.
use crate::commands::picture;
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{self, Form, Paint};
use andon_model::RolloutId;
use andon_rollout::{Action, Decision, Event, Observation};
use andon_sim::replay::{Replay, Step};
use serde_json::json;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

const AFTER_HELP: &str = "\
JOURNAL is a file of `andon simulate --trace`, what GET /v1/rollouts/ID/journal answers, or rollout:ID to ask
the server for it. With --step: Enter shows the next event, q and Enter end.
Exit codes: 0 replayed; 1 the journal is broken; 2 wrong options; 4 no such rollout; 5 no server.";

/// Options of `andon replay`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// File of JSON lines, or rollout:ID
    #[arg(value_name = "JOURNAL")]
    journal: String,
    /// Wait for Enter after each event
    #[arg(long)]
    step: bool,
}

/// Largest page of a server's journal, bytes: a thousand rows, of which few are observations.
const PAGE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Why a journal was not opened.
#[derive(Debug, thiserror::Error)]
#[error("open journal {path}")]
struct OpenError {
    path: PathBuf,
    source: std::io::Error,
}

/// Replays.
/// # Errors
/// A journal that cannot be read.
pub(crate) async fn run(context: &Context, args: Args) -> Outcome {
    let lines: Box<dyn BufRead> = match args.journal.strip_prefix("rollout:") {
        Some(id) => {
            let id: RolloutId =
                id.parse().map_err(|_| Failure::usage("rollout:ID needs a name"))?;
            Box::new(std::io::Cursor::new(fetched(context, &id).await?))
        }
        None => {
            let path = PathBuf::from(&args.journal);
            let file = std::fs::File::open(&path);
            Box::new(BufReader::new(file.map_err(|source| OpenError { path, source })?))
        }
    };
    let mut replay = Replay::open(lines)?;
    let form = context.form();
    if form == Form::People {
        let plan = replay.plan();
        output::line(format_args!(
            "{}  {} version {} ({}), {} hosts in {} strata",
            Paint::stdout().strong(&plan.rollout),
            plan.component,
            plan.version,
            plan.release.short(),
            plan.hosts(),
            plan.strata.len()
        ));
    }
    let mut last = None;
    while let Some(step) = replay.step()? {
        show(form, &step)?;
        last = Some(step);
        if args.step && !onward() {
            return Ok(Exit::Ok);
        }
    }
    if let (Form::People, Some(step)) = (form, last) {
        output::line(format_args!(
            "\n{}",
            picture::rollout(&step.explanation, Paint::stdout()).trim_end()
        ));
    }
    Ok(Exit::Ok)
}

/// The whole journal of a rollout, page after page.
async fn fetched(context: &Context, id: &RolloutId) -> Result<Vec<u8>, Failure> {
    let client = context.client()?;
    let (mut text, mut after) = (Vec::new(), 0_u64);
    loop {
        let path = format!("/v1/rollouts/{id}/journal?after={after}");
        let page = client.bytes(&path, PAGE_BYTES_MAX).await?;
        let seq = |line: &[u8]| {
            serde_json::from_slice::<serde_json::Value>(line)
                .ok()
                .and_then(|row| row["seq"].as_u64())
        };
        let last = page.split(|byte| *byte == b'\n').filter_map(seq).max();
        text.extend(page);
        match last {
            Some(last) if last > after => after = last,
            _ => return Ok(text),
        }
    }
}

/// Whether to go on: Enter does, `q` does not, nor does the end of the input.
fn onward() -> bool {
    let mut line = String::new();
    match std::io::stdin().read_line(&mut line) {
        Ok(0) | Err(_) => false,
        Ok(_) => !line.trim().eq_ignore_ascii_case("q"),
    }
}

fn show(form: Form, step: &Step) -> Result<(), Failure> {
    let it = &step.explanation;
    if form == Form::Json {
        let document = json!({
            "number": step.number, "at": step.at, "after_s": step.after_s, "event": step.event,
            "actions": step.actions, "state": it.state, "reason": it.reason, "e": it.evidence.e,
            "threshold": it.evidence.threshold, "handed": it.handed, "hosts": it.hosts,
            "crashed": it.crashed, "confirmed": it.confirmed,
        });
        output::line(serde_json::to_string(&document)?);
        return Ok(());
    }
    let paint = Paint::stdout();
    output::line(format_args!(
        "{:>5} {} {}",
        step.number,
        paint.faint(format!("+{:>7.1} s", step.after_s)),
        event(&step.event)
    ));
    for action in &step.actions {
        if let Some(text) = decision(action, paint) {
            output::line(format_args!("{:>17} {text}", "→"));
        }
    }
    output::line(paint.faint(format!(
        "{:>17} E = {:.3} of {:.0}, handed {} of {}, {} bad, {}: {}",
        "",
        it.evidence.e,
        it.evidence.threshold,
        it.handed,
        it.hosts,
        it.crashed,
        picture::state_word(it.state),
        picture::reason(it)
    )));
    Ok(())
}

/// The event in a few words.
fn event(event: &Event) -> String {
    match event {
        Event::Started => "started".to_owned(),
        Event::ApprovalGranted { person } => format!("{person} approves"),
        Event::Observed(seen) => observed(seen),
        Event::Held { by, reason } => format!("{by} holds it: {}", output::clean(reason.as_str())),
        Event::Resumed { by } => format!("{by} lets it go on"),
        Event::HaltedByPerson { by, reason } => {
            format!("{by} halts it: {}", output::clean(reason.as_str()))
        }
        Event::Frozen { by, digest } => {
            format!("{} pulls the cord ({})", output::clean(by), digest.short())
        }
        Event::TicketIssued { generation, .. } => format!("ticket {generation} issued"),
        Event::Permitted { generation, handed, .. } => {
            let hosts: u64 = handed.iter().map(|hosts| u64::from(*hosts)).sum();
            format!("the vendor line's ticket {generation} covers {hosts} hosts of this line")
        }
        Event::TestFailed { rig, class, test } => {
            let (class, test) = (output::clean(class.as_str()), output::clean(test.as_str()));
            format!("rig {rig} saw it fail on {class}: {test}")
        }
        Event::ActionFailed { generation, what } => {
            format!("action of generation {generation} failed: {}", output::clean(what.as_str()))
        }
    }
}

fn observed(seen: &Observation) -> String {
    let arms = || seen.strata.iter().flat_map(|stratum| &stratum.waves);
    let sum = |numbers: &mut dyn Iterator<Item = u32>| numbers.map(u64::from).sum::<u64>();
    let bad = sum(&mut arms().map(|arm| arm.bad_new));
    let treated = sum(&mut arms().map(|arm| arm.silence.at_risk));
    let others = || seen.strata.iter().map(|stratum| &stratum.controls);
    let silent = sum(&mut others().map(|arm| arm.silence.new));
    let controls = sum(&mut others().map(|arm| arm.silence.at_risk));
    format!("observed: {bad} bad of {treated} treated, {silent} silent of {controls} controls")
}

/// What of an action people want to read: decisions; the rest repeats them.
fn decision(action: &Action, paint: Paint) -> Option<String> {
    let Action::Notify(decision) = action else { return None };
    Some(match decision {
        Decision::Widened { .. } | Decision::LateWidened { .. } | Decision::Resumed { .. } => {
            picture::decision(decision)
        }
        Decision::Held { .. } => paint.warn(picture::decision(decision)),
        Decision::Halted { .. } => paint.bad(picture::decision(decision)),
        Decision::Completed { .. } => paint.good(picture::decision(decision)),
    })
}
