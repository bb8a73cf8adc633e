//! `andon plan`: how fast should an update go out, weighing an attack against a faulty update? Needs no
//! server and changes nothing.
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::files;
use crate::ops::plan::{Said, WorldError, document};
use crate::output::{self, Paint};
use andon_rollout::tradeoff::{Advice, Inputs, World, advise};
use std::path::PathBuf;

/// Largest world file, bytes: every field with a full mixture is under 4 KiB.
const WORLD_BYTES_MAX: u64 = 64 * 1024;

/// Options of `andon plan`.
#[derive(Clone, Debug, clap::Args)]
#[command(allow_negative_numbers = true)] // so that the refusal names the option
#[command(after_help = "Equations, units, sources and limits: docs/spec/tradeoff.md.")]
pub(crate) struct Args {
    #[command(flatten)]
    said: Said,
    /// TOML file with any of these options as keys (fault_delays = [[0, 0.9], [10, 0.1]]); options
    /// on the command line win
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,
}

pub(crate) fn run(context: &Context, args: Args) -> Outcome {
    let file = match &args.world {
        None => Said::default(),
        Some(path) => {
            let bytes = files::read(path, WORLD_BYTES_MAX)?;
            let text = String::from_utf8(bytes).map_err(|_| {
                Failure::usage(format_args!("world file {} is not UTF-8 text", path.display()))
            })?;
            Said::parse(&text).map_err(wrong)?
        }
    };
    let (inputs, upper) = args.said.over(file).inputs().map_err(wrong)?;
    let world = World::new(&inputs).map_err(|e| wrong(WorldError::Input(e)))?;
    let advice = advise(&world);
    output::either(context.form(), &document(&inputs, upper, &advice), || {
        people(&inputs, upper, &advice);
    })?;
    Ok(Exit::Ok)
}

/// A world that makes no sense is a wrong command line, whether it came from options or a file.
fn wrong(error: WorldError) -> Failure {
    let cause = anyhow::Error::new(error);
    Failure {
        exit: Exit::Usage,
        cause,
        next: Some("andon plan --help names units and defaults".to_owned()),
    }
}

fn people(inputs: &Inputs, upper: Option<f64>, advice: &Advice) {
    let paint = Paint::stdout();
    let waves = advice.waves();
    output::line(format_args!(
        "{}",
        paint.strong(format_args!(
            "{} hosts in {} wave{}, 99 % after {}",
            count(inputs.hosts as f64),
            waves.len(),
            if waves.len() == 1 { "" } else { "s" },
            minutes(advice.t99_min)
        ))
    ));
    let mut before = 0.0;
    let rows = waves.iter().enumerate().map(|(at, wave)| {
        let hosts = wave.hosts_total - before;
        before = wave.hosts_total;
        let share = 100.0 * wave.hosts_total / inputs.hosts as f64;
        let (number, when) = ((at + 1).to_string(), minutes(wave.at_min));
        vec![number, when, count(hosts), count(wave.hosts_total), format!("{share:.3} %")]
    });
    let header = ["wave", "after", "hosts", "in all", "share"];
    output::line(output::table(&header, rows.collect()));
    let budget = advice.budget.iter().map(|(after_s, hosts)| {
        format!("{}: {}", minutes(*after_s as f64 / 60.0), count(*hosts as f64))
    });
    let out = advice.outcome;
    output::line(format_args!("\nbudget B(D)  {}", budget.collect::<Vec<_>>().join(", ")));
    output::line(format_args!(
        "expected     {} host-hours lost: {} to the attack, {} to crashes",
        count(out.loss_host_hours),
        count(out.attack_host_hours),
        count(out.crash_host_hours)
    ));
    output::line(format_args!(
        "if faulty    {} hosts crash; over {} in all with probability {}",
        count(out.crashed_if_faulty),
        count(inputs.budget_hosts as f64),
        probability(out.over_budget_probability)
    ));
    let record = upper.map_or(String::new(), |upper| {
        format!(" from the vendor's record, under {} with 95 % certainty", probability(upper))
    });
    let prior = probability(inputs.faulty_probability);
    output::line(format_args!("prior        faulty with probability {prior}{record}"));
    output::line(format_args!(
        "a minute     of waiting before the start costs {} host-hours\n",
        count(advice.minute_host_hours)
    ));
    others(advice);
}

fn others(advice: &Advice) {
    let alternatives = advice.alternatives.iter().map(|other| {
        vec![other.policy.name().to_owned(), count(other.loss_host_hours), times(other.ratio)]
    });
    let header = ["policy instead", "host-hours", "of the plan's"];
    output::line(output::table(&header, alternatives.collect()));
    let sensitivity = advice.sensitivity.iter().map(|there| {
        vec![
            format!("{} x{}", there.input.name(), there.factor),
            count(there.loss_host_hours),
            count(there.best_loss_host_hours),
            times(there.ratio),
        ]
    });
    let header = ["if in truth", "this plan", "best plan there", "ratio"];
    output::line(format_args!("\n{}", output::table(&header, sensitivity.collect())));
}

/// Three digits or so, thousands grouped: 0.0412, 17.3, 1,234,567.
fn count(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if size >= 1e15 || (size > 0.0 && size < 0.001) => format!("{value:.1e}"),
        _ if size >= 100.0 || value.fract() == 0.0 => grouped(&format!("{value:.0}")),
        _ if size >= 10.0 => format!("{value:.1}"),
        _ if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

fn grouped(digits: &str) -> String {
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        let left = digits.len() - at;
        if at > 0 && left.is_multiple_of(3) && !out.ends_with('-') {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn times(ratio: Option<f64>) -> String {
    ratio.map_or("-".to_owned(), |ratio| format!("x{}", count(ratio)))
}

fn probability(value: f64) -> String {
    format!("{} %", count(100.0 * value))
}

/// The two largest units of a time given in minutes.
fn minutes(value: f64) -> String {
    let seconds = (value * 60.0).round();
    let units = [(86_400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s")];
    let first = units.iter().position(|(size, _)| seconds >= *size).unwrap_or(3);
    let mut left = seconds;
    let mut words = Vec::new();
    for (size, unit) in units.iter().skip(first).take(2) {
        let whole = (left / size).floor();
        left -= whole * size;
        if whole > 0.0 || words.is_empty() {
            words.push(format!("{whole:.0} {unit}"));
        }
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_read_well() {
        let numbers = [
            (0.0, "0"),
            (16.0, "16"),
            (0.0412, "0.0412"),
            (17.34, "17.3"),
            (999.6, "1,000"),
            (-1234.0, "-1,234"),
            (8_500_000.0, "8,500,000"),
            (0.00002, "2.0e-5"),
        ];
        for (value, want) in numbers {
            assert_eq!(count(value), want);
        }
        let times = [
            (0.0, "0 s"),
            (0.0167, "1 s"),
            (1.0, "1 min"),
            (1.5, "1 min 30 s"),
            (72.0, "1 h 12 min"),
            (8640.0, "6 d"),
            (1501.0, "1 d 1 h"),
        ];
        for (value, want) in times {
            assert_eq!(minutes(value), want);
        }
    }
}
