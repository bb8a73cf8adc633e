//! `andon line`: a vendor line's members, and whose tallies are due.
use crate::clock;
use crate::context::Context;
use crate::exit::{Exit, Outcome};
use crate::ops::rollout;
use crate::output;
use andon_model::command::Verb;
use andon_model::text::Text;
use andon_model::{OperatorId, RolloutId};
use serde_json::{Value, json};

/// What `andon line` does.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Members of the vendor line, and which of them every rollout waits for
    Status,
    /// Let a rollout go on without a member; its hosts stand unvouched for good
    Withdraw {
        /// the member
        operator: OperatorId,
        /// from which rollout
        #[arg(long, value_name = "ID")]
        rollout: RolloutId,
        /// why; people will read it
        #[arg(long)]
        reason: String,
        /// key of a person of the vendor line
        #[arg(long, value_name = "KEY")]
        key: String,
    },
}

pub(crate) async fn run(context: &Context, command: Command) -> Outcome {
    match command {
        Command::Status => status(context).await,
        Command::Withdraw { operator, rollout, reason, key } => {
            let verb = Verb::Withdraw {
                rollout: rollout.clone(),
                operator: operator.clone(),
                reason: Text::try_from(reason)?,
            };
            let client = context.client()?;
            rollout::ask(&client, &context.signer(&key)?, verb, clock::now()).await?;
            let value = json!({"rollout": rollout, "withdrawn": operator, "accepted": true});
            output::either(context.form(), &value, || {
                output::line(format_args!("{rollout}: goes on without {operator}."));
                output::note(format_args!("next: andon rollout get {rollout}"));
            })?;
            Ok(Exit::Ok)
        }
    }
}

async fn status(context: &Context) -> Outcome {
    let value: Value = context.client()?.json("/v1/line").await?;
    output::either(context.form(), &value, || {
        output::line(format_args!("{}\n", output::clean(value["line"].as_str().unwrap_or("-"))));
        let members = rows(&value["members"], |it| {
            vec![text(&it["operator"]), text(&it["hosts"]), text(&it["hosts_max"])]
        });
        output::line(output::table(&["member", "hosts", "at most"], members));
        let rollouts = rows(&value["rollouts"], |it| {
            vec![
                text(&it["rollout"]),
                text(&it["generation"]),
                text(&it["round"]),
                names(&it["due"]),
                names(&it["absent"]),
                names(&it["withdrawn"]),
            ]
        });
        let header = ["rollout", "generation", "round", "waits for", "absent", "withdrawn"];
        output::line(output::table(&header, rollouts));
    })?;
    Ok(Exit::Ok)
}

fn rows(list: &Value, row: impl Fn(&Value) -> Vec<String>) -> Vec<Vec<String>> {
    list.as_array().into_iter().flatten().map(row).collect()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A few names; how many more, where they would fill the terminal.
fn names(list: &Value) -> String {
    const SHOWN: usize = 5;
    let names: Vec<String> = list.as_array().into_iter().flatten().map(text).collect();
    let more = names.len().saturating_sub(SHOWN);
    let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match (shown.is_empty(), more) {
        (true, _) => "-".to_owned(),
        (false, 0) => shown,
        (false, more) => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_are_cut_and_none_is_a_dash() {
        assert_eq!(names(&json!([])), "-");
        assert_eq!(names(&json!(["a", "b"])), "a, b");
        assert_eq!(names(&json!(["a", "b", "c", "d", "e", "f", "g"])), "a, b, c, d, e and 2 more");
    }
}
