//! Limits of the signed policy: its lists, one by one, and its numbers.
use crate::{Case, bytes, case, limit, many, put, said, sample};
use andon_model::limits::*;
use andon_model::policy::Policy;
use serde_json::{Value, json};

fn read(value: &Value) -> Result<(), String> {
    said(Policy::parse(&bytes(value)))
}

/// The operator's policy with so many of these there.
fn with(path: &'static str, one: fn(u64) -> Value) -> impl Fn(u64) -> Result<(), String> {
    move |n| read(&put(sample("policy", 0), path, many(n, one)))
}

/// Keys of nobody else in the policy.
fn key(n: u64) -> Value {
    json!(format!("{:064x}", n + 1000))
}

fn group(n: u64) -> Value {
    json!(format!("g{n:05}"))
}

pub(crate) fn cases() -> Vec<Case> {
    [people(), rules(), lines()].into_iter().flatten().collect()
}

fn people() -> Vec<Case> {
    let person = |n| json!({"person": format!("p{n}"), "key": key(n)});
    let verifiers = |n| {
        let keys = many(n, |n| json!({"name": format!("v{n:02}"), "key": key(n)}));
        read(&put(sample("policy", 0), "/verifiers", json!({"needed": 1, "keys": keys})))
    };
    let rig = |n| json!({"name": format!("r{n:02}"), "key": key(n)});
    let demand = |_| json!({"predicates": ["svr"]});
    let approvals = |n| read(&put(sample("policy", 0), "/routine/approvals_min", json!(n)));
    vec![
        case(limit!(KEYS_MAX), "people is empty or too long", with("/people", person)),
        case(limit!(VERIFIERS_MAX), "has over 16 keys", verifiers),
        case(limit!(RIGS_MAX), "has over 16 rigs", with("/attestations/rigs", rig)),
        case(limit!(DEMANDS_MAX), "has over 64 demands", with("/attestations/demands", demand)),
        case(limit!(APPROVALS_MAX), "approvals_min is too large", approvals),
    ]
}

fn rules() -> Vec<Case> {
    let probe = |n| json!({"name": format!("p{n}"), "check": {"file_readable": "/x"}});
    let horizon = |n| json!({"after": n, "hosts_max": 1, "share_max_ppm": 1});
    let text = |n| "x".repeat(usize::try_from(n).expect("a length"));
    let log = move |n| read(&put(sample("policy", 0), "/log", json!(text(n))));
    let held = |n| json!({"freeze": key(n), "reason": "x", "until": 1});
    let budget = |n| json!({"group": group(n), "limit": "quorum"});
    let listed = |n| {
        let components = many(n, |n| json!({"vendor": format!("v{n:05}"), "component": "c"}));
        read(&put(
            sample("policy", 0),
            "/fast_lane",
            json!({"expires": 1, "components": components}),
        ))
    };
    let ring = |n| json!({"group": group(n), "after": n});
    let window = |_| json!({"weekly": {"opens_minute": 0, "open_minutes": 10}});
    let hold = |n| json!({"group": group(n)});
    vec![
        case(limit!(PROBES_MAX), "probes is too long", with("/probes", probe)),
        case(limit!(HORIZONS_MAX), "budget is empty or too long", with("/routine/budget", horizon)),
        case(limit!(POLICY_LOG_BYTES_MAX), "log is empty or over 32 KiB", log),
        case(limit!(OVERRIDES_MAX), "overrides is too long", with("/overrides", held)),
        case(limit!(GROUP_BUDGETS_MAX), "1024 are allowed", with("/budgets", budget)),
        case(limit!(FAST_LANE_MAX), "fast_lane is not sorted", listed),
        case(limit!(RINGS_MAX), "rings", with("/eligibility/rings", ring)),
        case(limit!(WINDOWS_MAX), "windows", with("/eligibility/windows", window)),
        case(limit!(ELIGIBILITY_RULES_MAX), "holds", with("/eligibility/holds", hold)),
    ]
}

fn lines() -> Vec<Case> {
    let line = |n| {
        let people = json!([{"person": "p", "key": key(n)}]);
        json!({"vendor": format!("v{n:05}"), "people": people, "threshold": 1, "pace": "own"})
    };
    let member = |n| json!({"operator": format!("o{n:05}"), "key": key(n), "hosts_max": 1});
    let members = move |n| read(&put(sample("policy", 2), "/members", many(n, member)));
    let absent = |n| read(&put(sample("policy", 2), "/absent_max_ppm", json!(n)));
    vec![
        case(limit!(VENDOR_LINES_MAX), "vendor_lines is too long", with("/vendor_lines", line)),
        case(limit!(MEMBERS_MAX), "members is too long", members),
        case(limit!(ABSENT_MAX_PPM), "absent_max_ppm is over", absent),
    ]
}
