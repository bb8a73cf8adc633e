//! `andon simulate`: plays a scenario under a policy and says what came of it. It decides nothing: see
//! `andon_sim`.
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::{self, Paint};
use andon_model::limits::HOSTS_MAX;
use andon_sim::catalogue::{self, FindError, POLICIES, SCENARIOS};
use andon_sim::engine::{self, Mode};
use andon_sim::policy::PolicySpec;
use andon_sim::report::{self, Wanted};
use andon_sim::runs::{RUNS_MAX, Runs, THREADS_MAX};
use andon_sim::scenario::Scenario;
use andon_sim::scenario_file;
use andon_sim::summary::{self, Asked, Summary};
use serde_json::json;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

const AFTER_HELP: &str = "\
Exit codes: 0 played, whatever came of it; 1 a file could not be written; 2 an option, scenario or policy is
wrong. T99 is first activation to 99 % of the online hosts handed out. p999 is the nearest rank.
Formats and what is modelled: docs/spec/simulator.md.";

/// Options of `andon simulate`.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// Name of a scenario, or path of a .toml file
    #[arg(required_unless_present = "list", value_name = "SCENARIO")]
    scenario: Option<String>,
    /// Name of a policy, or path of a .toml file
    #[arg(long, default_value = "andon")]
    policy: String,
    /// Hosts, if not the scenario's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=HOSTS_MAX))]
    hosts: Option<u64>,
    /// Operators that own them, if not the scenario's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    operators: Option<u32>,
    /// How often to play it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=RUNS_MAX))]
    runs: u64,
    /// Seed of all chance
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// By counts per stratum, or host by host
    #[arg(long, value_enum, default_value_t = ModeArg::Counts)]
    mode: ModeArg,
    /// Threads, if not as many as there are cores; results do not depend on it
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=THREADS_MAX as i64))]
    threads: Option<u16>,
    /// Also write a page with all policies on the same scenarios
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Also write the first run as JSON lines: the journal for `andon replay`; for a policy without a
    /// rollout core, hosts over time
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,
    /// List scenarios and policies
    #[arg(long, conflicts_with_all = ["scenario", "report", "trace"])]
    list: bool,
}

/// The engine, as typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum ModeArg {
    Counts,
    Individual,
}

impl From<ModeArg> for Mode {
    fn from(mode: ModeArg) -> Mode {
        match mode {
            ModeArg::Counts => Mode::Counts,
            ModeArg::Individual => Mode::Individual,
        }
    }
}

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
#[error("write {path}")]
struct WriteError {
    path: PathBuf,
    source: io::Error,
}

/// Plays.
/// # Errors
/// A wrong option or file; a report or trace that cannot be written.
pub(crate) fn run(context: &Context, args: &Args) -> Outcome {
    let Some(word) = &args.scenario else { return list(context) };
    let (scenario, policy) = read(word, args)?;
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.map_or_else(cores, usize::from);
    let (mode, seed) = (Mode::from(args.mode), args.seed);
    let (scenario, policy) = (&scenario, &policy);
    let began = Instant::now();
    let runs = Runs { scenario, policy, mode, seed, runs: args.runs, threads };
    let outcomes = runs.play(&|done| progress("runs", done, args.runs));
    let wall_s = began.elapsed().as_secs_f64();
    let summary = summary::of(Asked { scenario, policy, mode, seed }, &outcomes, wall_s);
    if let Some(path) = &args.trace {
        written(path, |file| trace(file, scenario, policy, mode, seed))?;
    }
    if let Some(path) = &args.report {
        let wanted = Wanted { scenario, policy, mode, seed, threads, asked: &summary };
        let report = report::gather(wanted, &|done, parts| progress("parts", done, parts))?;
        written(path, |file| file.write_all(report::html(&report).as_bytes()))?;
    }
    output::either(context.form(), &summary, || people(&summary))?;
    Ok(Exit::Ok)
}

/// Scenario and policy as they will be played.
fn read(word: &str, args: &Args) -> Result<(Scenario, PolicySpec), Failure> {
    let scenario = catalogue::scenario(word).map_err(refused)?;
    let scenario = scenario_file::resized(&scenario, args.hosts, args.operators)
        .map_err(|error| refused(FindError::File(error)))?;
    Ok((scenario, catalogue::policy(&args.policy).map_err(refused)?))
}

/// A file or name that is wrong is a wrong command line.
fn refused(error: FindError) -> Failure {
    let next = match &error {
        FindError::Unknown { .. } => "andon simulate --list",
        FindError::Read { .. } => "check the path",
        FindError::File(_) => "mend the field; docs/spec/simulator.md describes all of them",
    };
    Failure { exit: Exit::Usage, cause: error.into(), next: Some(next.to_owned()) }
}

fn list(context: &Context) -> Outcome {
    let mut scenarios = Vec::new();
    for (name, _) in SCENARIOS {
        let it = catalogue::scenario(name)?;
        scenarios.push((it.name, it.about, it.hosts));
    }
    let mut policies = Vec::new();
    for (name, _) in POLICIES {
        let it = catalogue::policy(name)?;
        policies.push((it.name, it.about));
    }
    let document = json!({
        "scenarios": scenarios.iter().map(|(name, about, hosts)| {
            json!({"name": name, "about": about, "hosts": hosts})
        }).collect::<Vec<_>>(),
        "policies": policies.iter().map(|(name, about)| json!({"name": name, "about": about}))
            .collect::<Vec<_>>(),
    });
    output::either(context.form(), &document, || {
        let rows = scenarios.iter().map(|(name, about, _)| vec![name.clone(), about.clone()]);
        output::line(output::table(&["scenario", "what happens"], rows.collect()));
        let rows = policies.iter().map(|(name, about)| vec![name.clone(), about.clone()]);
        output::line(format_args!(
            "\n{}",
            output::table(&["policy", "what it does"], rows.collect())
        ));
    })?;
    Ok(Exit::Ok)
}

/// The figures, a line each.
fn people(it: &Summary) {
    let paint = Paint::stdout();
    let hosts =
        |h: &summary::Hosts| format!("{} median  {} p999  {} worst", h.median, h.p999, h.max);
    let time = |seconds: Option<f64>| seconds.map_or("-".to_owned(), |s| format!("{s:.1} s"));
    let moment = |m: &summary::Moment| {
        format!(
            "{} median  {} worst  ({} of {} runs)",
            time(m.median),
            time(m.max),
            m.reached,
            it.runs
        )
    };
    let halts = format!(
        "{} of {} runs  {} median  {} latest",
        it.halted.count,
        it.runs,
        time(it.halted.median_s),
        time(it.halted.max_s)
    );
    let bad = |number: u64| {
        if number > 0 { paint.bad(number) } else { number.to_string() }
    };
    output::line(format_args!(
        "{} under {}: {} hosts, {} operators, {} runs, seed {}, {}",
        paint.strong(&it.scenario),
        paint.strong(&it.policy),
        it.hosts,
        it.operators,
        it.runs,
        it.seed,
        it.mode.word()
    ));
    let mut rows = vec![
        ("crashed", hosts(&it.crashed)),
        ("exposed", hosts(&it.exposed)),
        ("halted", halts),
        ("false halts", bad(it.false_halts)),
        ("t99", moment(&it.t99_s)),
        ("confirmed99", moment(&it.confirmed99_s)),
        ("hands", format!("{} worst", it.hands.max)),
        ("violations", bad(it.violations)),
        ("undetectable", output::clean(&it.undetectable)),
    ];
    if it.infected.max > 0 {
        rows.push(("infected", hosts(&it.infected)));
    }
    if !it.not_played.is_empty() {
        rows.push((
            "not played",
            paint.warn(it.not_played.join(", ") + " (try --mode individual)"),
        ));
    }
    rows.push(("trace", format!("{}  {} events  {:.1} s", it.trace_hash, it.events, it.wall_s)));
    for (name, value) in rows {
        output::line(format_args!("{name:<13} {value}"));
    }
}

/// The first run: its journal, or hosts over time where there is none.
fn trace(
    file: &mut dyn Write,
    scenario: &Scenario,
    policy: &PolicySpec,
    mode: Mode,
    seed: u64,
) -> io::Result<()> {
    let played = engine::played(scenario, policy, mode, seed, 0, true);
    for line in &played.journal {
        writeln!(file, "{line}")?;
    }
    if played.journal.is_empty() {
        for point in &played.outcome.trace {
            writeln!(file, "{}", serde_json::to_string(point)?)?;
        }
    }
    Ok(())
}

fn written(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    let wrong = |source| WriteError { path: path.to_owned(), source };
    let mut file = BufWriter::new(std::fs::File::create(path).map_err(wrong)?);
    write(&mut file).and_then(|()| file.flush()).map_err(wrong)?;
    Ok(())
}

/// On a terminal, a line that is drawn over; about a hundred times in all.
fn progress(what: &str, done: u64, all: u64) {
    let mut screen = io::stderr();
    let step = (all / 100).max(1);
    if all < 2 || !screen.is_terminal() || (!done.is_multiple_of(step) && done != all) {
        return;
    }
    let end = if done == all { "\r\x1b[K" } else { "" };
    let _closed = write!(screen, "\r{done} of {all} {what}{end}");
}
