//! That every limit is held by some test: by the table here, by a test elsewhere, or by none because no
//! bytes of others are held against it.
use crate::{objects, policies};

/// Limits of readers elsewhere, and the test that holds them at the limit and one beyond.
const ELSEWHERE: &[(&str, &str, &str)] = &[
    (
        "CEILINGS_LISTED_MAX",
        "crates/trust/tests/all/ceilings.rs",
        "the_same_hosts_are_covered_whether_ceilings_are_listed_or_committed_to",
    ),
    ("MERKLE_PROOF_MAX", "crates/trust/tests/log/limits.rs", "proofs_have_limits"),
    (
        "NOTE_BYTES_MAX",
        "crates/trust/tests/log/limits.rs",
        "notes_have_a_limit_of_bytes_that_fits_sixteen_post_quantum_signatures",
    ),
    ("NOTE_SIGNATURES_MAX", "crates/trust/tests/log/limits.rs", "notes_have_a_limit_of_signatures"),
    ("NOTE_NAME_LENGTH_MAX", "crates/trust/tests/log/limits.rs", "names_and_origins_have_a_limit"),
    ("LOG_EXTRA_BYTES_MAX", "crates/trust/tests/log/limits.rs", "proofs_have_limits"),
    ("LOG_PROOF_BYTES_MAX", "crates/trust/tests/log/limits.rs", "proofs_have_limits"),
    (
        "LOG_POLICY_ENTRIES_MAX",
        "crates/trust/tests/log/limits.rs",
        "policies_have_a_limit_of_logs_witnesses_and_groups",
    ),
    (
        "LOG_POLICY_BYTES_MAX",
        "crates/trust/tests/log/limits.rs",
        "policies_have_a_limit_of_logs_witnesses_and_groups",
    ),
    ("LOG_NUMBER_MAX", "crates/trust/src/log/text.rs", "numbers_have_one_spelling_and_a_limit"),
    (
        "LOG_ENTRY_BYTES_MAX",
        "crates/trust/tests/log/tiles.rs",
        "entries_have_a_limit_and_a_refused_one_changes_nothing",
    ),
    (
        "WITNESS_REQUEST_BYTES_MAX",
        "crates/trust/tests/log/witness.rs",
        "what_is_no_request_is_refused_each_for_its_reason",
    ),
    ("TUF_BYTES_MAX", "crates/trust/tests/all/limits.rs", "metadata_has_a_limit_of_bytes"),
    (
        "TUF_TIMESTAMP_BYTES_MAX",
        "crates/trust/tests/all/limits.rs",
        "a_strangers_repository_has_limits_of_bytes",
    ),
    (
        "TUF_TARGETS_BYTES_MAX",
        "crates/trust/tests/all/limits.rs",
        "a_strangers_repository_has_limits_of_bytes",
    ),
    (
        "TUF_DELEGATIONS_MAX",
        "crates/trust/tests/all/limits.rs",
        "a_search_visits_so_many_roles_and_no_more",
    ),
    (
        "TUF_ROOT_ROTATIONS_MAX",
        "crates/trust/tests/all/limits.rs",
        "a_refresh_walks_so_many_roots_and_no_more",
    ),
    (
        "VENDORS_MAX",
        "crates/trust/tests/all/limits.rs",
        "targets_delegate_to_so_many_vendors_and_no_more",
    ),
    (
        "MESSAGE_AGE_MAX",
        "crates/trust/tests/all/limits.rs",
        "a_command_is_fresh_for_so_long_and_no_longer",
    ),
    (
        "MESSAGE_SKEW_MAX",
        "crates/trust/tests/all/limits.rs",
        "a_command_is_fresh_for_so_long_and_no_longer",
    ),
    (
        "FREEZE_ALONE_MAX",
        "crates/trust/tests/all/view.rs",
        "a_freeze_of_one_key_ends_and_one_of_two_holds",
    ),
    (
        "DIRECTIVE_BYTES_MAX",
        "crates/model/src/directive.rs",
        "fields_are_held_to_their_limits_and_not_below",
    ),
    (
        "DIRECTIVE_REASON_MAX",
        "crates/model/src/directive.rs",
        "fields_are_held_to_their_limits_and_not_below",
    ),
    (
        "DIRECTIVE_VALID_MAX",
        "crates/model/src/directive.rs",
        "fields_are_held_to_their_limits_and_not_below",
    ),
    (
        "PARK_OVER_MAX",
        "crates/model/src/directive.rs",
        "fields_are_held_to_their_limits_and_not_below",
    ),
    (
        "PLATFORM_BYTES_MAX",
        "crates/server/tests/line/platform.rs",
        "what_a_host_would_refuse_is_refused_and_changes_nothing",
    ),
    (
        "ATTESTATIONS_MAX",
        "crates/trust/tests/all/attested.rs",
        "limits_hold_at_the_limit_and_not_beyond",
    ),
    (
        "ATTESTATIONS_BYTES_MAX",
        "crates/trust/tests/all/attested.rs",
        "limits_hold_at_the_limit_and_not_beyond",
    ),
    ("ATTESTATION_BYTES_MAX", "crates/model/tests/attestation.rs", "lists_and_bytes_have_limits"),
    ("ATTESTATION_ITEMS_MAX", "crates/model/tests/attestation.rs", "lists_and_bytes_have_limits"),
    ("ATTESTATION_TESTS_MAX", "crates/model/tests/attestation.rs", "lists_and_bytes_have_limits"),
    (
        "WAIVER_MAX",
        "crates/model/tests/attestation.rs",
        "a_waiver_holds_for_a_week_at_most_and_says_why",
    ),
    ("PINS_BYTES_MAX", "crates/model/src/pins.rs", "every_limit_holds_at_the_limit_and_not_beyond"),
    (
        "MODULE_NAME_MAX",
        "crates/model/src/release.rs",
        "a_kernel_module_is_one_file_with_a_name_that_the_kernel_takes",
    ),
    (
        "PROOF_BUNDLE_PLAIN_BYTES_MAX",
        "crates/model/src/proof_bundle.rs",
        "every_limit_holds_at_the_limit_and_not_beyond",
    ),
    (
        "PROOF_BUNDLE_BYTES_MAX",
        "crates/trust/tests/all/bundle.rs",
        "a_file_is_unpacked_to_what_it_announces_and_not_a_byte_more",
    ),
];

/// Limits of what our own programs do, keep or wait for; no bytes of others are held against them.
const OWN: &[&str] = &[
    "ALERTS_KEPT_MAX",
    "BAD_MARKS_MAX",
    "BELL_WAIT_MAX",
    "CEILINGS_PER_SHARD",
    "CRASH_SCORE_FALLBACK",
    "CRASH_SCORE_PARK",
    "CRASH_WINDOW",
    "FALLBACK_WINDOW",
    "FETCH_AFTER_CRASH_MAX",
    "FETCH_AT_BOOT_MAX",
    "FETCH_PAUSE",
    "GROUPS_MAX",
    "HOST_CRASH_WINDOW",
    "LINE_LOG_ENTRIES_MAX",
    "LINE_WITNESSES_MAX",
    "LOG_AUDIT_ENTRIES_MAX",
    "PLACES_BYTES_MAX",
    "PROOF_BUNDLE_VENDORS_MAX",
    "READY_WAIT_MAX",
    "RESTART_PAUSE",
    "RULES_BYTES_MAX",
    "RULES_MAX",
    "RULE_FILE_BYTES_MAX",
    "RULE_NESTING_MAX",
    "TALLY_BYTES_MAX",
    "UNVOUCHED_GENERATIONS_MAX",
    "WITNESS_LOGS_MAX",
];

#[test]
fn a_new_limit_has_a_row_or_a_test() {
    let text = include_str!("../../src/limits.rs");
    let names = text.lines().filter_map(|line| line.strip_prefix("pub const "));
    let all: Vec<&str> = names.filter_map(|rest| rest.split(':').next()).collect();
    assert!(all.len() > 90, "{} limits found", all.len());
    let rows = objects::cases().into_iter().chain(policies::cases()).map(|case| case.limit);
    let elsewhere = ELSEWHERE.iter().map(|(limit, ..)| *limit);
    let known: Vec<&str> = rows.chain(elsewhere).chain(OWN.iter().copied()).collect();
    for name in &all {
        assert!(known.contains(name), "{name} has no row in crates/model/tests/limits");
    }
    for name in known {
        assert!(all.contains(&name), "{name} is no limit any more");
    }
    for (limit, file, test) in ELSEWHERE {
        let path = format!("{}/../../{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{path}: {why}"));
        assert!(text.contains(&format!("fn {test}(")), "{limit}: no test {test} in {file}");
    }
}
