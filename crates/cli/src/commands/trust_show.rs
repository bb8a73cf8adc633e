//! `andon trust show`: who may do what on a line, as a tree.
use crate::context::Context;
use crate::exit::{Exit, Outcome};
use crate::output;
use andon_model::PublicKey;
use andon_model::policy::LanePolicy;
use andon_trust::policy::demanded_log;
use andon_trust::repository::{Delegation, Role};
use andon_trust::theft::{Key, Line};
use serde_json::{Value, json};

/// Something that may be done, who may do it, and what hangs below.
struct Branch {
    may: String,
    /// how many of the keys it takes
    needed: u32,
    keys: Vec<String>,
    below: Vec<Branch>,
}

/// Shows the tree.
/// # Errors
/// When nothing can be written.
pub(super) fn show(context: &Context, line: &Line) -> Outcome {
    let keys = line.keys();
    let tree = tree(line, &keys);
    let value = json!({
        "line": line.line,
        "may": tree.iter().map(value).collect::<Vec<_>>(),
        "keys": keys.iter().map(|key| json!({
            "key": key.name, "id": key.public.id(), "public": key.public,
            "for": key.holds.iter().map(ToString::to_string).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    });
    output::either(context.form(), &value, || {
        output::line(format_args!("Line {}", line.line));
        for (at, branch) in tree.iter().enumerate() {
            draw(branch, "", at + 1 == tree.len());
        }
        let rows = keys.iter().map(|key| {
            let holds: Vec<String> = key.holds.iter().map(ToString::to_string).collect();
            vec![key.name.clone(), key.public.id().0.short(), holds.join("; ")]
        });
        output::line(format_args!("\n{}", output::table(&["key", "id", "for"], rows.collect())));
        output::note("next: andon trust what-if --all says what a thief of each of them reaches");
    })?;
    Ok(Exit::Ok)
}

fn value(branch: &Branch) -> Value {
    json!({"may": branch.may, "needed": branch.needed, "of": branch.keys,
        "below": branch.below.iter().map(value).collect::<Vec<_>>()})
}

fn draw(branch: &Branch, indent: &str, last: bool) {
    let corner = if last { "└─ " } else { "├─ " };
    let who = match (branch.needed, branch.keys.len()) {
        (_, 0) => String::new(),
        (0, _) => ": nobody has to".to_owned(),
        (_, 1) => format!(": {}", branch.keys[0]),
        (needed, _) => format!(": {needed} of {}", branch.keys.join(", ")),
    };
    output::line(output::clean(&format!("{indent}{corner}{}{who}", branch.may)));
    let indent = format!("{indent}{}", if last { "   " } else { "│  " });
    for (at, below) in branch.below.iter().enumerate() {
        draw(below, &indent, at + 1 == branch.below.len());
    }
}

fn tree(line: &Line, keys: &[Key]) -> Vec<Branch> {
    vec![platform(line, keys), operator(line, keys), cord(line, keys)]
}

fn names(keys: &[Key], of: &[PublicKey]) -> Vec<String> {
    let name = |public: &PublicKey| keys.iter().find(|key| key.public == *public);
    let mut names: Vec<String> = of.iter().filter_map(name).map(|key| key.name.clone()).collect();
    names.dedup();
    names
}

fn leaf(may: &str, needed: u32, keys: Vec<String>) -> Branch {
    Branch { may: may.to_owned(), needed, keys, below: Vec::new() }
}

fn platform(line: &Line, keys: &[Key]) -> Branch {
    let role = |may: &str, role: &Role| leaf(may, role.threshold, names(keys, &role.keys));
    let mut delegations = role("delegate to vendors", &line.top.targets);
    delegations.below = line
        .vendors
        .iter()
        .map(|Delegation { vendor, role: its }| role(&format!("sign releases of {vendor}"), its))
        .collect();
    let mut root = role("platform: replace any key below", &line.top.root);
    root.below = vec![
        delegations,
        role("list what is current (snapshot)", &line.top.snapshot),
        role("say how new that is (timestamp)", &line.top.timestamp),
    ];
    root
}

fn operator(line: &Line, keys: &[Key]) -> Branch {
    let policy = &line.policy;
    let roots: Vec<PublicKey> = line.operators.iter().map(|it| it.key).collect();
    let people: Vec<PublicKey> = policy.people.iter().map(|it| it.key).collect();
    let consent = |name: &str, lane: &LanePolicy| {
        let may = format!("consent to a rollout in the {name} lane, with whoever starts it");
        leaf(&may, lane.approvals_min, names(keys, &people))
    };
    let mut ticket = leaf(
        &format!(
            "sign wave tickets: at first {} hosts, then at most x{} every {}",
            policy.routine.first_wave_max,
            policy.routine.growth_max_permille as f64 / 1000.0,
            policy.routine.soak_min
        ),
        1,
        names(keys, &[policy.online]),
    );
    let verifiers: Vec<PublicKey> = policy.verifiers.keys.iter().map(|it| it.key).collect();
    ticket.below.push(if verifiers.is_empty() {
        leaf("cosign every ticket: nobody (the online key alone moves everybody)", 0, vec![])
    } else {
        leaf("cosign every ticket", policy.verifiers.needed, names(keys, &verifiers))
    });
    if let Ok(Some(log)) = demanded_log(policy) {
        let logs: Vec<PublicKey> = log.logs().map(|key| key.public()).collect();
        let witnesses: Vec<PublicKey> = log.witnesses().map(|key| key.public()).collect();
        let mut logged = leaf("log every release in public", 1, names(keys, &logs));
        let enough = (0..=witnesses.len()).find(|count| log.is_quorum(|at| at < *count));
        let enough = u32::try_from(enough.unwrap_or(0)).unwrap_or(u32::MAX);
        logged.below.push(leaf("witness the log", enough, names(keys, &witnesses)));
        ticket.below.push(logged);
    }
    let mut root = leaf("operator: sign the policy", line.operators_threshold, names(keys, &roots));
    root.below = vec![
        leaf("start, hold, resume, halt a rollout", 1, names(keys, &people)),
        consent("routine", &policy.routine),
        consent("emergency", &policy.emergency),
        ticket,
    ];
    root.below.extend(outsiders(line, keys));
    root
}

/// Who the operator's policy believes beside its own people: rigs, and vendor lines.
fn outsiders(line: &Line, keys: &[Key]) -> Vec<Branch> {
    let policy = &line.policy;
    let mut believed = Vec::new();
    if !policy.attestations.is_none() {
        let rigs = policy.attestations.rigs.iter().map(|rig| format!("rigs/{}", rig.name));
        let may = "attest that a release ran on a class of hosts; any one, that it failed";
        let mut attest = leaf(may, policy.attestations.needed, rigs.collect());
        let people: Vec<PublicKey> = policy.people.iter().map(|it| it.key).collect();
        let may = "waive what is missing, for canary waves only";
        attest.below.push(leaf(may, 2, names(keys, &people)));
        believed.push(attest);
    }
    for vendor in &policy.vendor_lines {
        let people = vendor.people.iter().map(|it| it.person.to_string()).collect();
        let may =
            format!("say how far {}'s own line has come: hosts need its ticket too", vendor.vendor);
        believed.push(leaf(&may, vendor.threshold, people));
    }
    believed
}

fn cord(line: &Line, keys: &[Key]) -> Branch {
    let policy = &line.policy;
    let operators = line.operators.iter().chain(&policy.people).map(|it| it.key);
    let operators: Vec<PublicKey> = operators.chain([policy.online]).collect();
    let mut any =
        leaf("pull the cord (a freeze; for over 30 days two keys of one party)", 0, vec![]);
    any.below = vec![
        leaf("of everything, as the platform", 1, names(keys, &line.cord)),
        leaf("of everything on this line, as the operator", 1, names(keys, &operators)),
    ];
    for Delegation { vendor, role } in &line.vendors {
        let may = format!("of what is {vendor}'s, as {vendor}");
        any.below.push(leaf(&may, 1, names(keys, &role.keys)));
    }
    any
}
