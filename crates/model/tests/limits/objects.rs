//! Limits of names, envelopes, tickets, manifests, beats, the index, shards, lines of all kinds.
use crate::{Case, bytes, case, limit, many, padded, put, said, sample, sample_bytes};
use andon_model::beat::Beat;
use andon_model::ceilings;
use andon_model::enrol::EnrolRequest;
use andon_model::envelope::Envelope;
use andon_model::facts::FactName;
use andon_model::handover::FromCheck;
use andon_model::index::Index;
use andon_model::limits::*;
use andon_model::line::{Roster, Rounds, Seating};
use andon_model::log_entry::{LogEntry, LogEntryError};
use andon_model::order::Shard;
use andon_model::release::Manifest;
use andon_model::text::Text;
use andon_model::ticket::Ticket;
use andon_model::{HostId, VendorId};
use serde_json::{Value, json};

pub(crate) fn cases() -> Vec<Case> {
    let all = [small(), tickets(), ceilings_apart(), manifests(), served(), between()];
    all.into_iter().flatten().collect()
}

fn word(length: u64) -> String {
    "x".repeat(usize::try_from(length).expect("a length"))
}

fn digest(number: u64) -> Value {
    json!(format!("{number:064x}"))
}

fn small() -> Vec<Case> {
    let envelope = |length| Envelope::parse(&padded(sample_bytes("envelope", 0), length));
    let signatures = |count| {
        let good = sample("envelope", 0);
        let one = good["signatures"][0].clone();
        said(Envelope::parse(&bytes(&put(good, "/signatures", many(count, |_| one.clone())))))
    };
    vec![
        case(limit!(NAME_LENGTH_MAX), "1 to 63", |n| said(VendorId::new(&word(n)))),
        case(limit!(FACT_LENGTH_MAX), "1 to 64", |n| said(FactName::new(&word(n)))),
        case(limit!(TEXT_LENGTH_MAX), "at most 512", |n| said(Text::try_from(word(n)))),
        case(limit!(HOSTS_MAX), "within 1 to 50000000", |n| said(HostId::new(n))),
        case(limit!(ENVELOPE_BYTES_MAX), "at most 524288", move |n| said(envelope(n))),
        case(limit!(STOP_BYTES_MAX), "at most 1024", |n| {
            let freeze = sample_bytes("envelope", 9);
            said(Envelope::parse_limited(&padded(freeze, n), STOP_BYTES_MAX))
        }),
        case(limit!(SIGNATURES_MAX), "1 to 32", signatures),
        case(limit!(LINE_ENTRY_BYTES_MAX), "at most 1024", |n| {
            match LogEntry::parse(&padded(sample_bytes("log-entry", 0), n)) {
                // An entry has one spelling, without room to pad: of the limit nothing is said.
                Err(LogEntryError::Spelling) => Ok(()),
                read => said(read),
            }
        }),
    ]
}

fn tickets() -> Vec<Case> {
    let read = |value: Value| said(Ticket::parse(&bytes(&value)));
    let with = move |path: &'static str, one: fn(u64) -> Value| {
        move |n| read(put(sample("ticket", 0), path, many(n, one)))
    };
    let ceiling = |n| {
        let handed = if n == 0 { 32 } else { 0 };
        json!({"stratum": format!("s{n:05}"), "position_max": null, "handed": handed})
    };
    let step = |n| json!({"generation": n + 1, "handed": n + 1, "at": 0});
    let steps = move |n| {
        let ticket = put(sample("ticket", 0), "/ceilings/0/handed", json!(n));
        read(put(put(ticket, "/generation", json!(n)), "/steps", many(n, step)))
    };
    let approvals = move |n| {
        let one = sample("ticket", 2)["approvals"][0].clone();
        read(put(sample("ticket", 0), "/approvals", many(n, |_| one.clone())))
    };
    let name = |n| json!(format!("g{n}"));
    let scheduled = ("RINGS_MAX", (RINGS_MAX + WINDOWS_MAX) as u64);
    let excluded = ("ELIGIBILITY_RULES_MAX", 3 * ELIGIBILITY_RULES_MAX as u64);
    vec![
        case(limit!(STRATA_MAX), "ceilings is too long", with("/ceilings", ceiling)),
        case(limit!(GENERATIONS_MAX), "steps is too long", steps),
        case(limit!(APPROVALS_MAX), "approvals is too long", approvals),
        case(scheduled, "scheduled is too long", with("/scheduled", name)),
        case(excluded, "excluded is too long", with("/excluded", name)),
        case(limit!(SEAT_BLOCKS_MAX), "seats is too long", with("/seats", block)),
    ]
}

/// Ceilings that a ticket commits to: a shard of them, and the list of all.
fn ceilings_apart() -> Vec<Case> {
    vec![
        case(limit!(STRATA_MAX), "ceilings is too long", |n| {
            let one = |n| json!({"stratum": format!("s{n:05}"), "position_max": null, "handed": 0});
            let shard = put(sample("ceilings", 0), "/ceilings", many(n, one));
            said(ceilings::Shard::parse(&bytes(&shard)))
        }),
        case(limit!(CEILINGS_BYTES_MAX), "1048576 are allowed", |n| {
            said(ceilings::Shard::parse(&padded(sample_bytes("ceilings", 0), n)))
        }),
        case(limit!(CEILINGS_BYTES_MAX), "1048576 are allowed", |n| {
            said(ceilings::parse_list(&padded(sample_bytes("ceilings", 1), n)))
        }),
    ]
}

fn block(n: u64) -> Value {
    json!({"host_first": n + 1, "seat_first": n + 1, "count": 1})
}

fn manifests() -> Vec<Case> {
    let read = |value: Value| said(Manifest::parse(&bytes(&value)));
    let with = move |path: &'static str, make: fn(u64) -> Value| {
        move |n| read(put(sample("manifest", 0), path, make(n)))
    };
    // Beyond what a manifest's bytes can list: the list's own limit.
    let files = |n: u64| {
        let mut manifest = Manifest::parse(&sample_bytes("manifest", 0)).expect("a seed");
        let one = manifest.files[0].clone();
        let file = |n| andon_model::release::FileEntry { path: format!("f{n:06}"), ..one.clone() };
        manifest.files = (0..n).map(file).collect();
        said(manifest.check())
    };
    let hook = |n| json!({"argv": many(n, |_| json!("x")), "timeout": 1});
    let probe = |n| json!({"name": format!("p{n}"), "check": {"file_readable": "/x"}});
    let timeout = ("HOOK_TIMEOUT_MAX", HOOK_TIMEOUT_MAX.0);
    let argument = |n| json!({"argv": [word(n)], "timeout": 1});
    vec![
        case(limit!(MANIFEST_BYTES_MAX), "at most 1048576", |n| {
            said(Manifest::parse(&padded(sample_bytes("manifest", 0), n)))
        }),
        case(limit!(FILES_MAX), "1 to 20000", files),
        case(limit!(PATH_LENGTH_MAX), "file path", with("/files/0/path", |n| json!(word(n)))),
        case(
            limit!(RELEASE_BYTES_MAX),
            "at most 1073741824",
            with("/files/0/length", |n| json!(n)),
        ),
        case(limit!(ARGV_MAX), "command line of validate", with("/hooks/validate", hook)),
        case(limit!(TEXT_LENGTH_MAX), "command line of reload", with("/hooks/reload", argument)),
        case(
            timeout,
            "timeout is over",
            with("/hooks/health", |n| json!({"argv": ["x"], "timeout": n})),
        ),
        case(limit!(PROBES_MAX), "command line of probes", move |n| {
            read(put(sample("manifest", 0), "/probes", many(n, probe)))
        }),
    ]
}

/// Beats and enrolments to a server; index and shards from it.
fn served() -> Vec<Case> {
    let beat = |path: &'static str| {
        move |n| {
            let one = sample("beat", 0)[&path[1..]][0].clone();
            said(Beat::parse(&bytes(&put(sample("beat", 0), path, many(n, |_| one.clone())))))
        }
    };
    let probes = ("PROBES_MAX", 2 * PROBES_MAX as u64);
    let enrolment = |path: &'static str, make: fn(u64) -> Value| {
        move |n| said(EnrolRequest::parse(&bytes(&put(sample("enrolment", 0), path, make(n)))))
    };
    let index = |path: &'static str, one: fn(u64) -> Value| {
        move |n| {
            let none = ["/stops", "/tickets", "/attestations"];
            let bare = none.into_iter().fold(sample("index", 0), |i, at| put(i, at, json!([])));
            said(Index::parse(&bytes(&put(bare, path, many(n, one)))))
        }
    };
    let line = |n| json!({"vendor": format!("v{n}"), "policy": digest(n), "tickets": []});
    let shard = |path: &'static str, one: fn(u64) -> Value| {
        move |n| said(Shard::parse(&bytes(&put(sample("shard", 0), path, many(n, one)))))
    };
    let stratum = |n| json!(format!("s{n:05}"));
    vec![
        case(limit!(COMPONENTS_MAX), "components is too long", beat("/components")),
        case(limit!(CHARGES_PER_BEAT_MAX), "charges is too long", beat("/charges")),
        case(limit!(ALERTS_PER_BEAT_MAX), "alerts is too long", beat("/alerts")),
        case(limit!(BEAT_BYTES_MAX), "at most 65536", |n| {
            said(Beat::parse(&padded(sample_bytes("beat", 0), n)))
        }),
        case(limit!(FREEZES_PER_BEAT_MAX), "freezes is too long", beat("/freezes")),
        case(probes, "probes is too long", beat("/probes")),
        case(limit!(TEXT_LENGTH_MAX), "join token", enrolment("/token", |n| json!(word(n)))),
        case(
            limit!(GROUPS_PER_HOST_MAX),
            "over 16 groups",
            enrolment("/class/groups", |n| many(n, |n| json!(format!("g{n:02}")))),
        ),
        case(limit!(INDEX_ITEMS_MAX), "over 2097152 bytes or 4096 items", index("/stops", digest)),
        case(limit!(VENDOR_LINES_MAX), "index is over", index("/vendor_lines", line)),
        case(limit!(INDEX_BYTES_MAX), "index is over", |n| {
            said(Index::parse(&padded(sample_bytes("index", 0), n)))
        }),
        case(
            limit!(SHARD_HOSTS),
            "places is empty or too long",
            shard("/places", |n| json!([0, n])),
        ),
        case(limit!(STRATA_MAX), "strata is too long", shard("/strata", stratum)),
        case(limit!(SHARD_BYTES_MAX), "524288 are allowed", |n| {
            said(Shard::parse(&padded(sample_bytes("shard", 0), n)))
        }),
        case(limit!(HOSTS_MAX), "number is too large", |n| {
            said(Shard::parse(&bytes(&put(sample("shard", 0), "/number", json!(n)))))
        }),
    ]
}

/// What servers of two lines say to each other, and a child to its supervisor.
fn between() -> Vec<Case> {
    let roster = |path: &'static str, one: fn(u64) -> Value| {
        move |n| said(Roster::parse(&bytes(&put(sample("vendor-line", 1), path, many(n, one)))))
    };
    let seats =
        |n| said(Seating::parse(&bytes(&put(sample("vendor-line", 0), "/seats", many(n, block)))));
    let directives = |n| {
        let rounds = put(sample("vendor-line", 2), "/directives", many(n, digest));
        said(Rounds::parse(&bytes(&rounds)))
    };
    let offers = |path: &'static str, one: fn(u64) -> Value| {
        move |n| said(FromCheck::parse(&bytes(&put(sample("handover", 0), path, many(n, one)))))
    };
    let offer = |_| sample("handover", 0)["offers"]["offers"][0].clone();
    let freeze = |n| json!({"digest": digest(n), "freeze": sample("stop", 0)});
    let refusal = |_| json!({"what": "x", "why": "y"});
    let probe = |n| json!({"name": format!("p{n}"), "check": {"file_readable": "/x"}});
    let stratum = |n| json!(format!("s{n:05}"));
    vec![
        case(
            limit!(ROSTER_HOSTS_MAX),
            "hosts is empty or too long",
            roster("/hosts", |_| json!(0)),
        ),
        case(limit!(STRATA_MAX), "strata is too long", roster("/strata", stratum)),
        case(limit!(SEAT_BLOCKS_MAX), "seats is too long", seats),
        case(limit!(DIRECTIVES_MAX), "directives is too long", directives),
        case(limit!(HANDOVER_LINE_BYTES_MAX), "at most 8912896", |n| {
            said(FromCheck::parse(&padded(sample_bytes("handover", 1), n)))
        }),
        case(limit!(COMPONENTS_MAX), "field offers", offers("/offers/offers", offer)),
        case(limit!(INDEX_ITEMS_MAX), "field freezes", offers("/offers/freezes", freeze)),
        case(limit!(INDEX_ITEMS_MAX), "field refusals", offers("/offers/refusals", refusal)),
        case(limit!(PROBES_MAX), "field probes", offers("/offers/policy/probes", probe)),
    ]
}
