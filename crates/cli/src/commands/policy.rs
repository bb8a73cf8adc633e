//! `andon policy`: show the signed policy; change its rules by a verb; sign an edited one and hand it to the
//! server.
use crate::client::Client;
use crate::clock;
use crate::context::Context;
use crate::exit::{Exit, Failure, Outcome};
use crate::files::{self, Access};
use crate::layout::Layout;
use crate::ops::plan::kind;
use crate::ops::policy;
use crate::ops::policy_edit::{self, Edit, Reach};
use crate::output;
use crate::policy_budgets;
use crate::policy_fast_lane;
use crate::policy_form::PolicyForm;
use crate::policy_lines;
use crate::policy_override;
use crate::policy_rules::{self, Moment};
use andon_model::enrol::Anchor;
use andon_model::envelope::Envelope;
use andon_model::limits::ENVELOPE_BYTES_MAX;
use andon_model::policy::{LanePolicy, Policy};
use andon_model::release::{ComponentKind, Version};
use andon_model::{ComponentId, GroupId, Time};
use andon_trust::envelope::signers;
use serde_json::{Value, json};

/// What `andon policy` does.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Show the policy in force
    Show,
    /// Sign policy.toml with the offline keys, one version up; with --send also hand it to the server
    Sign {
        /// offline key of a person: a file, or a name such as alice; repeat it for the threshold
        #[arg(long = "key", required = true, value_name = "KEY")]
        keys: Vec<String>,
        /// Give it to the running server, which then offers it to the hosts
        #[arg(long)]
        send: bool,
    },
    /// Nothing new for these hosts: a hold. What they run, they keep
    Pause {
        #[command(flatten)]
        reach: ReachArgs,
        /// The pause ends by itself then, for example 2026-12-27T00:00:00Z
        #[arg(long, value_name = "TIME")]
        until: Option<Moment>,
        #[command(flatten)]
        signing: Signing,
    },
    /// Ends the pause of exactly these
    Allow {
        #[command(flatten)]
        reach: ReachArgs,
        #[command(flatten)]
        signing: Signing,
    },
    /// This version of a component and no other. It takes no newer one away: that is andon recall's
    Pin {
        #[command(flatten)]
        reach: ReachArgs,
        /// The version
        #[arg(long, value_name = "N")]
        version: u32,
        /// The pin ends by itself then
        #[arg(long, value_name = "TIME")]
        until: Option<Moment>,
        #[command(flatten)]
        signing: Signing,
    },
    /// Takes the pin of exactly these out
    Unpin {
        #[command(flatten)]
        reach: ReachArgs,
        #[command(flatten)]
        signing: Signing,
    },
}

/// Which hosts and components a verb is for. Without any: every host, every component.
#[derive(Debug, clap::Args)]
pub(crate) struct ReachArgs {
    /// Components of this kind: content, service, files or kmod
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Option<ComponentKind>,
    /// This component
    #[arg(long, value_name = "NAME")]
    component: Option<ComponentId>,
    /// Hosts of this group
    #[arg(long, value_name = "NAME")]
    group: Option<GroupId>,
}

/// Signs at once; without, policy.toml is changed and waits for `andon policy sign`.
#[derive(Debug, clap::Args)]
pub(crate) struct Signing {
    /// Sign at once with this offline key of a person: a file, or a name such as alice; repeat it for the
    /// threshold
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<String>,
    /// Give it to the running server, which then offers it to the hosts
    #[arg(long, requires = "keys")]
    send: bool,
}

impl From<ReachArgs> for Reach {
    fn from(args: ReachArgs) -> Reach {
        Reach { kind: args.kind, component: args.component, group: args.group }
    }
}

pub(crate) async fn run(context: &Context, command: Command) -> Outcome {
    match command {
        Command::Show => show(context).await,
        Command::Sign { keys, send } => sign(context, &keys, send).await,
        Command::Pause { reach, until, signing } => {
            change(context, reach, &Edit::Pause(until), &signing).await
        }
        Command::Allow { reach, signing } => change(context, reach, &Edit::Allow, &signing).await,
        Command::Pin { reach, version, until, signing } => {
            if reach.component.is_none() {
                return Err(Failure::usage("a pin is of one component: give --component NAME"));
            }
            change(context, reach, &Edit::Pin(Version(version), until), &signing).await
        }
        Command::Unpin { reach, signing } => change(context, reach, &Edit::Unpin, &signing).await,
    }
}

/// One verb: policy.toml is written last, so that whatever is refused on the way changes nothing.
async fn change(context: &Context, reach: ReachArgs, edit: &Edit, signing: &Signing) -> Outcome {
    let layout = context.folder()?;
    let (text, form) = policy_edit::edited(&written(layout)?, &reach.into(), edit)?;
    let signed = match signing.keys.is_empty() {
        true => None,
        false => Some(signed(context, &form, &signing.keys, signing.send).await?),
    };
    files::replace(&layout.policy_form(), text.as_bytes(), Access::Public)?;
    let Some(policy) = signed else {
        let value = json!({"version": Value::Null, "sent": false, "form": layout.policy_form()});
        output::either(context.form(), &value, || {
            output::line(format_args!("{} is changed", layout.policy_form().display()));
            output::note("next: andon policy sign --key … --send: nothing is in force before");
        })?;
        return Ok(Exit::Ok);
    };
    told(context, layout, &policy, signing.send)
}

/// `policy.toml` as people have written it.
fn written(layout: &Layout) -> Result<String, Failure> {
    let text = files::read(&layout.policy_form(), ENVELOPE_BYTES_MAX as u64)?;
    String::from_utf8(text)
        .map_err(|why| Failure::from(why).next(format!("edit {}", layout.policy_form().display())))
}

async fn show(context: &Context) -> Outcome {
    let anchor = context.anchor()?;
    let client = context.client();
    let path = format!("/v1/lines/{}/policy.json", anchor.line);
    let served = match client {
        Ok(client) => client.bytes(&path, ENVELOPE_BYTES_MAX).await.map_err(Failure::from),
        Err(failure) => Err(failure),
    };
    let (bytes, source) = match (served, context.layout()) {
        (Ok(bytes), _) => (bytes, "server"),
        (Err(failure), Some(layout)) if failure.exit == Exit::Unreachable => {
            (files::read(&layout.policy(), ENVELOPE_BYTES_MAX as u64)?, "folder")
        }
        (Err(failure), _) => return Err(failure),
    };
    let envelope = Envelope::parse(&bytes)?;
    let policy = andon_trust::policy::verify(&envelope, &anchor, Time(0), 0)?;
    let expired = policy.expires <= clock::now();
    let by = signers(&envelope, &anchor.operators);
    let value = json!({"source": source, "expired": expired, "signed_by": by, "policy": policy});
    output::either(context.form(), &value, || {
        output::line(format_args!(
            "Policy version {} of line {}, from the {source}",
            policy.version, policy.line
        ));
        let names: Vec<&str> = by.iter().map(|person| person.as_str()).collect();
        let state = if expired { "EXPIRED: sign again" } else { "in force" };
        output::line(format_args!("Signed by {}; {state}\n", names.join(", ")));
        people(&policy);
    })?;
    Ok(Exit::Ok)
}

fn people(policy: &Policy) {
    let lane = |name: &str, lane: &LanePolicy| {
        let points = lane.budget.iter().map(|h| {
            let share = f64::from(h.share_max_ppm) / 10_000.0;
            match (h.hosts_max >= andon_model::limits::HOSTS_MAX, h.share_max_ppm >= 1_000_000) {
                (false, false) => format!("{}: min({} hosts, {share} %)", h.after, h.hosts_max),
                (true, false) => format!("{}: {share} %", h.after),
                _ => format!("{}: {} hosts", h.after, h.hosts_max),
            }
        });
        vec![
            name.to_owned(),
            points.collect::<Vec<_>>().join(", "),
            lane.first_wave_max.to_string(),
            format!("x{}", lane.growth_max_permille as f64 / 1000.0),
            lane.soak_min.to_string(),
            lane.approvals_min.to_string(),
        ]
    };
    let rows = vec![lane("routine", &policy.routine), lane("emergency", &policy.emergency)];
    let header = ["lane", "blast radius", "first wave", "growth", "soak", "approvals"];
    output::line(output::table(&header, rows));
    let names: Vec<&str> = policy.people.iter().map(|p| p.person.as_str()).collect();
    output::line(format_args!("people     {}", names.join(", ")));
    output::line(format_args!(
        "beat       every {}, silent after {}",
        policy.watch.beat, policy.watch.silent_after
    ));
    output::line(format_args!(
        "alpha      {} ppm; delta {} ppm",
        policy.alpha_ppm, policy.delta_ppm
    ));
    for rule in policy_rules::words(&policy.eligibility) {
        output::line(format_args!("rule       {rule}"));
    }
    for held in &policy.overrides {
        output::line(format_args!("override   {}", policy_override::words(held)));
    }
    if let Some(list) = &policy.fast_lane {
        output::line(format_args!("fast lane  {}", policy_fast_lane::words(list)));
    }
    for budget in policy_budgets::words(&policy.budgets) {
        output::line(format_args!("budget     {budget}"));
    }
    if !policy.verifiers.is_none() {
        let names: Vec<&str> = policy.verifiers.keys.iter().map(|it| it.name.as_str()).collect();
        let needed = policy.verifiers.needed;
        let names = names.join(", ");
        output::line(format_args!("verifiers  {needed} of {names} must cosign every ticket"));
    }
    for (what, text) in policy_lines::words(policy) {
        output::line(format_args!("{what:<10} {text}"));
    }
    output::line(format_args!(
        "holdback   {} permille, at least {}",
        policy.holdback_permille, policy.holdback_min
    ));
}

async fn sign(context: &Context, words: &[String], send: bool) -> Outcome {
    let layout = context.folder()?;
    let form = PolicyForm::parse(&written(layout)?).map_err(|why| {
        Failure::from(why).next(format!("edit {}", layout.policy_form().display()))
    })?;
    let policy = signed(context, &form, words, send).await?;
    told(context, layout, &policy, send)
}

/// Signs the form, one version up; it becomes the folder's once the server, if it is asked, has taken it.
async fn signed(
    context: &Context,
    form: &PolicyForm,
    words: &[String],
    send: bool,
) -> Result<Policy, Failure> {
    let layout = context.folder()?;
    let anchor = context.anchor()?;
    let edit = format!("edit {}", layout.policy_form().display());
    if form.line != anchor.line {
        return Err(Failure::usage("policy.toml is for another line than the anchor").next(edit));
    }
    let held = words.iter().map(|word| context.root_key(word)).collect::<Result<Vec<_>, _>>()?;
    let before = version(layout, &anchor)?;
    let signers: Vec<_> = held.iter().collect();
    let envelope = policy::sign(form, before + 1, clock::now(), &signers)
        .map_err(|e| Failure::from(e).next(edit))?;
    let policy = andon_trust::policy::verify(&envelope, &anchor, clock::now(), before + 1)
        .map_err(|e| {
            let mut failure = Failure::from(e);
            failure.exit = Exit::Refused;
            let need = anchor.operators_threshold;
            failure.next(format!("sign with {need} distinct people's operator-root keys"))
        })?;
    // The server first: a policy that it refuses must not become this folder's newest.
    if send {
        let client: Client = context.client()?;
        let path = format!("/v1/lines/{}/policy", anchor.line);
        let _version: Value = client.post(&path, &envelope).await?;
    }
    files::replace(&layout.policy(), &envelope.to_bytes(), Access::Public)?;
    Ok(policy)
}

fn told(context: &Context, layout: &Layout, policy: &Policy, send: bool) -> Outcome {
    let value = json!({"version": policy.version, "expires": policy.expires, "sent": send,
        "policy": layout.policy()});
    output::either(context.form(), &value, || {
        output::line(format_args!(
            "Policy version {} is signed: {}",
            policy.version,
            layout.policy().display()
        ));
        if !send {
            output::note(
                "next: andon policy sign --send … hands it to a running server; a stopped one reads it at its start",
            );
        }
    })?;
    Ok(Exit::Ok)
}

/// The version that the folder has; an unbelievable file counts as none would: it is an error.
fn version(layout: &Layout, anchor: &Anchor) -> Result<u64, Failure> {
    let bytes = files::read(&layout.policy(), ENVELOPE_BYTES_MAX as u64)?;
    let envelope = Envelope::parse(&bytes)?;
    Ok(andon_trust::policy::verify(&envelope, anchor, Time(0), 0)?.version)
}
