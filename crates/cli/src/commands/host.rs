//! `andon host list` and `andon alerts`.
use crate::client::Client;
use crate::commands::picture::{ago, generic_table};
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::{clock, output};
use andon_model::{HostId, Time};
use serde_json::Value;

/// What `andon host` does.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Hosts in the order of their enrolment
    List {
        /// Begin after this host
        #[arg(long)]
        after: Option<HostId>,
        /// At most so many
        #[arg(long, default_value_t = 100)]
        limit: usize,
    },
}

pub(crate) async fn run(context: &Context, command: Command) -> Outcome {
    let Command::List { after, limit } = command;
    let hosts = hosts(&context.client()?, after, limit).await?;
    let hosts = Value::Array(hosts);
    output::either(context.form(), &hosts, || output::line(generic_table(&flat(&hosts))))?;
    Ok(Exit::Ok)
}

/// Page after page, up to `limit` hosts.
async fn hosts(
    client: &Client,
    after: Option<HostId>,
    limit: usize,
) -> Result<Vec<Value>, Failure> {
    let mut out: Vec<Value> = Vec::new();
    let mut after = after.map(|id| id.to_string());
    while out.len() < limit {
        let query = after.as_ref().map(|id| format!("?after={id}")).unwrap_or_default();
        let page: Value = client.json(&format!("/v1/hosts{query}")).await?;
        let items = page.as_array().or_else(|| page["hosts"].as_array()).cloned();
        let items = items.unwrap_or_default();
        let id =
            |item: &Value| item["host"].as_str().or_else(|| item["id"].as_str()).map(str::to_owned);
        let last = items.last().and_then(id);
        out.extend(items);
        // A page that does not lead further is the last one.
        if last.is_none() || last <= after {
            break;
        }
        after = last;
    }
    out.truncate(limit);
    Ok(out)
}

/// Lists inside become short words, so that a host fits in a line.
fn flat(hosts: &Value) -> Value {
    let short = |value: &Value| match value {
        Value::Array(items) => {
            let words = items.iter().map(|item| {
                let part = |key: &str| item[key].as_str().map(str::to_owned);
                let version = item["version"].as_u64().map_or("-".to_owned(), |v| v.to_string());
                match (part("component"), part("state")) {
                    (Some(name), Some(state)) => format!("{name} {version} {state}"),
                    _ => item.to_string(),
                }
            });
            Value::String(words.collect::<Vec<_>>().join(", "))
        }
        Value::Object(map) => {
            let words = map.values().map(|v| v.as_str().map_or(v.to_string(), str::to_owned));
            Value::String(words.collect::<Vec<_>>().join("."))
        }
        other => other.clone(),
    };
    let each = |host: &Value| match host {
        Value::Object(map) => {
            Value::Object(map.iter().map(|(k, v)| (k.clone(), short(v))).collect())
        }
        other => other.clone(),
    };
    Value::Array(hosts.as_array().into_iter().flatten().map(each).collect())
}

/// `andon alerts`: newest detections.
pub(crate) async fn alerts(context: &Context) -> Outcome {
    let value: Value = context.client()?.json("/v1/alerts").await?;
    output::either(context.form(), &value, || {
        let now = clock::now();
        let items = value.as_array().or_else(|| value["alerts"].as_array());
        let rows = items.into_iter().flatten().map(|item| {
            let alert = if item["alert"].is_object() { &item["alert"] } else { item };
            let text = |from: &Value, key: &str| from[key].as_str().unwrap_or("-").to_owned();
            let at = alert["at"].as_u64().map_or("-".to_owned(), |at| ago(Time(at), now));
            vec![
                at,
                text(item, "host"),
                text(alert, "level"),
                text(alert, "rule"),
                text(alert, "command_line"),
            ]
        });
        let header = ["when", "host", "level", "rule", "command line"];
        output::line(output::table(&header, rows.collect()));
    })?;
    Ok(Exit::Ok)
}
