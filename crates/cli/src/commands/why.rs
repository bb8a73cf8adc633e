//! `andon why`: reason, evidence, and the command to type next.
use crate::clock;
use crate::commands::picture;
use crate::context::Context;
use crate::exit::{Exit, Outcome};
use crate::ops::rollout;
use crate::output::{self, Paint};
use andon_model::{HostId, RolloutId, Time};
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
                        stratum.stratum, stratum.e, stratum.x, stratum.k, stratum.u, stratum.c,
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

/// A host as the server knows it: its reason first, then every fact, then what to type.
fn host(value: &Value) {
    let now = clock::now();
    let text = |key: &str| value[key].as_str().map(output::clean);
    let head = text("host").or_else(|| text("id")).unwrap_or_default();
    let reason = match &value["reason"] {
        Value::Object(map) => map.get("why").or_else(|| map.get("text")).cloned(),
        Value::Null => None,
        other => Some(other.clone()),
    };
    let reason = reason.map(|r| words(&r)).unwrap_or_default();
    output::line(format_args!("{}  {reason}", Paint::stdout().strong(head)));
    let skip = ["host", "id", "next"];
    for (key, fact) in value.as_object().into_iter().flatten() {
        if skip.contains(&key.as_str()) || fact.is_null() {
            continue;
        }
        match fact {
            Value::Array(items) if items.iter().all(Value::is_object) => {
                if !items.is_empty() {
                    output::line(format_args!("{key}:\n{}", picture::generic_table(fact)));
                }
            }
            Value::Number(number) if is_time(key, number.as_u64()) => {
                let then = Time(number.as_u64().unwrap_or_default());
                output::line(format_args!("{key:<14} {}", picture::ago(then, now)));
            }
            other => output::line(format_args!("{key:<14} {}", words(other))),
        }
    }
    for command in value["next"].as_array().into_iter().flatten() {
        output::note(format_args!("next: {}", words(command)));
    }
}

/// A moment is a number after 2001 under a name that says so.
fn is_time(key: &str, number: Option<u64>) -> bool {
    let named = ["at", "seen", "heard", "enrolled", "since"].iter().any(|word| key.contains(word));
    named && number.is_some_and(|n| n > 1_000_000_000_000)
}

fn words(value: &Value) -> String {
    match value {
        Value::String(text) => output::clean(text),
        other => output::clean(&other.to_string()),
    }
}
