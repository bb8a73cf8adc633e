//! The list of targets: name, function, longest input, seeds. A new parser of untrusted bytes gets a row.
use crate::{Fate, host, logs, metadata, objects, payloads, records, seeds};

/// One target.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// its name, and its corpus's folder
    pub name: &'static str,
    /// what is done with bytes; panics when something does not hold
    pub run: fn(&[u8]) -> Fate,
    /// longest input that is worth trying, bytes; the limits themselves are for tests
    pub length_max: usize,
    /// inputs that are taken
    pub seeds: fn() -> Vec<Vec<u8>>,
}

const fn entry(
    name: &'static str,
    run: fn(&[u8]) -> Fate,
    length_max: usize,
    seeds: fn() -> Vec<Vec<u8>>,
) -> Entry {
    Entry { name, run, length_max, seeds }
}

/// All of them.
pub const ALL: &[Entry] = &[
    entry("envelope", objects::envelope, 8192, seeds::envelopes),
    entry("ticket", payloads::ticket, 8192, seeds::tickets),
    entry("stop", payloads::stop, 2048, seeds::stops),
    entry("directive", payloads::directive, 2048, seeds::directives),
    entry("policy", payloads::policy, 8192, seeds::policies),
    entry("command", payloads::command, 4096, seeds::commands),
    entry("manifest", objects::manifest, 8192, seeds::manifests),
    entry("index", objects::index, 8192, seeds::indices),
    entry("shard", objects::shard, 4096, seeds::shards),
    entry("ceilings", objects::ceilings, 4096, seeds::ceilings),
    entry("vendor-line", payloads::vendor_line, 4096, seeds::vendor_lines),
    entry("attestation", payloads::attestation, 8192, seeds::attestations),
    entry("beat", payloads::beat, 8192, seeds::beats),
    entry("enrolment", payloads::enrolment, 4096, seeds::enrolments),
    entry("handover", objects::handover, 8192, seeds::handovers),
    entry("note", logs::note, 4096, seeds::notes),
    entry("log-proof", logs::proof, 8192, seeds::log_proofs),
    entry("log-policy", logs::policy, 4096, seeds::log_policies),
    entry("log-entry", logs::entry, 1024, seeds::log_entries),
    entry("log-tile", logs::tile, 4096, seeds::log_tiles),
    entry("witness-request", logs::witness_request, 4096, seeds::witness_requests),
    entry("tuf-root", metadata::root, 8192, seeds::roots),
    entry("tuf-timestamp", metadata::timestamp, 4096, seeds::timestamps),
    entry("tuf-snapshot", metadata::snapshot, 4096, seeds::snapshots),
    entry("tuf-targets", metadata::targets, 8192, seeds::targets),
    entry("tuf-role", metadata::role, 4096, seeds::roles),
    entry("tuf-client", metadata::client, 8192, seeds::client_targets),
    entry("proof-bundle", metadata::bundle, 16_384, seeds::bundles),
    entry("view", host::view, 8192, seeds::answers),
    entry("record", records::copy, 1024, records::copies),
    entry("crash-record", records::crash, 4096, records::crashes),
];

/// The target of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Entry> {
    ALL.iter().find(|entry| entry.name == name)
}
