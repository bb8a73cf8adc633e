//! `andon why`: reason, evidence, and the command to type next.
use crate::commands::picture;
use crate::context::Context;
use crate::exit::{Exit, Outcome};
use crate::ops::rollout;
use crate::output::{self, Paint};
use andon_model::{HostId, Millis, RolloutId};
use serde_json::Value;

/// What is asked about.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Why a rollout is where it is
    Rollout {
        /// which
        id: RolloutId,
    },
    /// Why a host runs what it runs
    Host {
        /// which
        id: HostId,
    },
}

pub(crate) async fn run(context: &Context, command: Command) -> Outcome {
    match command {
        Command::Rollout { id } => {
            let it = rollout::get(&context.client()?, &id).await?;
            output::either(context.form(), &it, || {
                output::line(picture::rollout(&it, Paint::stdout()).trim_end());
                for channel in &it.evidence.channels {
                    output::line(format_args!(
                        "channel     {:?}: E = {:.3} (pooled {:.3}, strata {:.3}, fresh {:.3})",
                        channel.channel, channel.e, channel.pooled, channel.strata, channel.fresh
                    ));
                }
                for stratum in &it.evidence.strata {
                    output::line(format_args!(
                        "stratum     {}: E = {:.3}, x = {} of k = {} bad, U = {} treated, C = {} controls, rate at most {:.3} %",
                        stratum.stratum,
                        stratum.e,
                        stratum.x,
                        stratum.k,
                        stratum.u,
                        stratum.c,
                        stratum.ucb * 100.0
                    ));
                }
                for command in &it.next {
                    output::note(format_args!("next: {}", output::clean(command)));
                }
            })?;
            // A halted rollout is answered in full; asking why is no failure.
            Ok(Exit::Ok)
        }
        Command::Host { id } => {
            let value: Value = context.client()?.json(&format!("/v1/hosts/{id}")).await?;
            output::either(context.form(), &value, || host(&value))?;
            Ok(Exit::Ok)
        }
    }
}

/// A host as the server knows it: what it runs, then its place in every rollout and why.
fn host(value: &Value) {
    let paint = Paint::stdout();
    let text = |from: &Value, key: &str| words(&from[key]);
    let presence = text(value, "presence");
    let seen = value["last_heard"].as_u64().map_or("never".to_owned(), |ms| Millis(ms).to_string());
    let presence = if presence == "alive" { paint.good(presence) } else { paint.warn(presence) };
    output::line(format_args!(
        "{}  {presence}, heard {seen} ago",
        paint.strong(text(value, "host"))
    ));
    output::line(format_args!("stratum     {}", text(value, "stratum")));
    output::line(format_args!("charges     {}", text(value, "charges")));
    for (key, label) in [("unwell", "unwell      "), ("freezes", "freezes     ")] {
        let items: Vec<String> = value[key].as_array().into_iter().flatten().map(words).collect();
        if !items.is_empty() {
            output::line(format_args!("{label}{}", paint.warn(items.join(", "))));
        }
    }
    let rows = |key: &str| value[key].as_array().cloned().unwrap_or_default();
    let parts = rows("components")
        .iter()
        .map(|part| {
            let release: String = text(part, "release").chars().take(8).collect();
            vec![text(part, "component"), text(part, "version"), text(part, "state"), release]
        })
        .collect();
    output::line(format_args!(
        "\n{}",
        output::table(&["component", "version", "state", "release"], parts)
    ));
    let places = rows("rollouts")
        .iter()
        .map(|place| {
            let rank = text(place, "rank");
            let e = place["evidence"]["e"].as_f64().map_or(String::new(), |e| format!("{e:.2}"));
            let why = reason(&place["reason"]);
            vec![text(place, "rollout"), text(place, "component"), rank, e, why]
        })
        .collect();
    output::line(output::table(&["rollout", "component", "rank", "E", "why"], places));
    let mut said = std::collections::BTreeSet::new();
    for command in
        rows("rollouts").iter().flat_map(|p| p["next"].as_array().cloned().unwrap_or_default())
    {
        if said.insert(words(&command)) {
            output::note(format_args!("next: {}", words(&command)));
        }
    }
}

/// The server's reason in a sentence; a reason of a newer server is shown as it came.
fn reason(value: &Value) -> String {
    let number = |key: &str| value[key].as_u64().unwrap_or_default();
    match value["why"].as_str().unwrap_or_default() {
        "not_covered_yet" => {
            format!("its turn has not come; {} of its stratum have it", number("handed"))
        }
        "holdback" => "held back until everybody else has soaked".to_owned(),
        "newcomer_waiting" => {
            "it enrolled after the plan: it follows at its stratum's pace, at the latest at the end"
                .to_owned()
        }
        "silent" => "covered, and it does not answer".to_owned(),
        "covered" => format!("covered since generation {}; on its way", number("generation")),
        "probation" => "runs it on probation".to_owned(),
        "confirmed" => "runs it well".to_owned(),
        "observed" => "staged and validated; only observed here".to_owned(),
        "fell_back" => "went back by itself".to_owned(),
        "safe_mode" => "both slots were bad: the component is off, the host is up".to_owned(),
        "parked" => "switched off by a directive (PARK); the host is up".to_owned(),
        "frozen" => format!("frozen by {}", words(&value["by"])),
        "halted" => "the rollout was halted".to_owned(),
        _ => words(value),
    }
}

fn words(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => output::clean(text),
        other => output::clean(&other.to_string()),
    }
}
