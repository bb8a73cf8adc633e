//! Every limit, with its reason. A file, message, list, wait or retry without a limit is a defect.
use crate::time::Millis;

/// Longest name (vendor, component, person …): fits a file name with a prefix and a DNS label.
pub const NAME_LENGTH_MAX: usize = 63;
/// Longest fact of what a host runs, bytes: `uname -r` has 64 at most, a digest in hexadecimal has 64.
pub const FACT_LENGTH_MAX: usize = 64;
/// Longest free text (a reason, a cause): one terminal screen line or two, never a log file.
pub const TEXT_LENGTH_MAX: usize = 512;
/// Largest signed object of ours (ticket, policy, stop, beat, command), bytes: a policy of 3,200 members,
/// or a ticket that lists 4,096 ceilings, as those did that were made before [`CEILINGS_LISTED_MAX`].
pub const ENVELOPE_BYTES_MAX: usize = 512 * 1024;
/// Largest freeze, bytes: it must fit where nothing else does (early boot, one datagram).
pub const STOP_BYTES_MAX: usize = 1024;
/// Largest directive, bytes: with two signatures it is below 1 KB, six fit.
pub const DIRECTIVE_BYTES_MAX: usize = 2 * 1024;
/// Longest reason of a directive, bytes.
pub const DIRECTIVE_REASON_MAX: usize = 120;
/// Longest that a directive holds: whoever still means it in a year signs it again.
pub const DIRECTIVE_VALID_MAX: Millis = Millis::from_secs(366 * 86_400);
/// Longest time over which hosts park: whoever has longer publishes a fix.
pub const PARK_OVER_MAX: Millis = Millis::from_secs(86_400);
/// Most signatures on one object: more people than any threshold has, and a bound on CPU per object.
pub const SIGNATURES_MAX: usize = 32;
/// Largest TUF metadata file, bytes (python-tuf's default for targets is 5 MB).
pub const TUF_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Largest root and top-level targets that a server is given together, bytes: 256 vendors with their keys and
/// a fast-lane list at its limit. They are kept in its journal.
pub const PLATFORM_BYTES_MAX: usize = 1024 * 1024;
/// Largest TUF timestamp of anybody's repository, bytes: one pin and a few signatures (python-tuf's
/// default is 16 KB).
pub const TUF_TIMESTAMP_BYTES_MAX: usize = 16 * 1024;
/// Largest TUF targets role of anybody's repository, bytes: 100,000 files of about 150 bytes each.
/// Our own roles stay below [`TUF_BYTES_MAX`].
pub const TUF_TARGETS_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most roles visited in the search for one file (python-tuf's default).
pub const TUF_DELEGATIONS_MAX: usize = 32;
/// Most root rotations walked in one refresh.
pub const TUF_ROOT_ROTATIONS_MAX: u32 = 64;
/// Most vendors (delegated roles) looked at in one refresh.
pub const VENDORS_MAX: usize = 256;
/// Largest release manifest, bytes.
pub const MANIFEST_BYTES_MAX: usize = 1024 * 1024;
/// Most files in a release. A manifest's own limit in bytes ends sooner: it lists some 5,000 files with
/// usual paths, and the whole public Sigma set (3,757 files) fits once.
pub const FILES_MAX: usize = 20_000;
/// Longest path of a file inside a release, bytes.
pub const PATH_LENGTH_MAX: usize = 255;
/// Largest release, bytes of all files together.
pub const RELEASE_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// Most words in a hook's command line, and the longest of them.
pub const ARGV_MAX: usize = 64;
/// Longest a hook (validate, reload, health) or probe may run.
pub const HOOK_TIMEOUT_MAX: Millis = Millis::from_secs(300);
/// Most components on one host.
pub const COMPONENTS_MAX: usize = 64;
/// Most probes in a policy or manifest.
pub const PROBES_MAX: usize = 16;
/// Largest beat, bytes: 64 components, 16 charges, 32 alerts fit twice.
pub const BEAT_BYTES_MAX: usize = 64 * 1024;
/// Most alerts carried by one beat; the rest wait for the next one and are counted.
pub const ALERTS_PER_BEAT_MAX: usize = 32;
/// Most charges carried by one beat.
pub const CHARGES_PER_BEAT_MAX: usize = 16;
/// Most strata in one ticket.
pub const STRATA_MAX: usize = 4096;
/// Most ceilings that a server's ticket lists; with more it commits to them. A ticket with so many has
/// 6.6 KB and comes in the first flight of a connection (10 segments); a second request would cost more
/// than it saves. A ticket that lists more, up to [`STRATA_MAX`], is read.
pub const CEILINGS_LISTED_MAX: usize = 64;
/// Ceilings per shard in the mean: of 4,096 ceilings a shard then has 1.6 KB, a third of it the proof,
/// and a new wave writes 256 files.
pub const CEILINGS_PER_SHARD: usize = 16;
/// Largest shard of ceilings, and largest list of all of a ticket's, bytes: 4,096 with the longest names
/// and numbers. Names lead to shards by their digests, so that many only come together on purpose.
pub const CEILINGS_BYTES_MAX: usize = 1024 * 1024;
/// Most generations (steps) in one rollout: at growth 1 % a step covers 10^17 hosts.
pub const GENERATIONS_MAX: usize = 4096;
/// Most tickets, stops and policies listed by one line's index.
pub const INDEX_ITEMS_MAX: usize = 4096;
/// Largest index, bytes.
pub const INDEX_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Longest name of a kernel module (`MODULE_NAME_LEN` less its last byte), bytes.
pub const MODULE_NAME_MAX: usize = 55;
/// Largest file of pinned keys, bytes: 256 vendors with a few keys each.
pub const PINS_BYTES_MAX: usize = 256 * 1024;
/// Most people or keys in one role.
pub const KEYS_MAX: usize = 64;
/// Most approvals on one ticket.
pub const APPROVALS_MAX: usize = 8;
/// Most points on a blast-radius curve B(D).
pub const HORIZONS_MAX: usize = 8;
/// Longest a signed message may lie before it is refused as stale (clock skew plus transport).
pub const MESSAGE_AGE_MAX: Millis = Millis::from_secs(300);
/// How far in the future a signed message may lie.
pub const MESSAGE_SKEW_MAX: Millis = Millis::from_secs(60);
/// Longest the bell (long poll) keeps a caller waiting.
pub const BELL_WAIT_MAX: Millis = Millis::from_secs(30);
/// Most hosts enrolled on one line in this version.
pub const HOSTS_MAX: u64 = 50_000_000;
/// Largest file of detection rules, bytes: public Sigma files have a few KiB each.
pub const RULE_FILE_BYTES_MAX: usize = 256 * 1024;
/// Most opening brackets (`[`, `{`) in one rule file: the YAML parser's time grows with the square
/// of their nesting; 4,096 levels cost about 30 ms.
pub const RULE_NESTING_MAX: usize = 4096;
/// Most bytes of detection rules in one set: thousands of files of a few KiB fit several times.
pub const RULES_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most detection rules in one set; files may hold several.
pub const RULES_MAX: usize = 20_000;
/// Longest line between supervisor and check, bytes: eight of the largest manifests in one message.
/// What does not fit is left out by the child and named as a refusal.
pub const HANDOVER_LINE_BYTES_MAX: usize = 8 * MANIFEST_BYTES_MAX + ENVELOPE_BYTES_MAX;
/// Most (release, rollout) pairs a host remembers having fallen back from, per component: more than
/// one line's concurrent rollouts of one component ever are.
pub const BAD_MARKS_MAX: usize = 8;
/// Points of failures (a crash 2, an unexplained end 1) at which a slot is given up although it was
/// confirmed, when the other slot holds a confirmed release: two crashes, or four unexplained ends.
pub const CRASH_SCORE_FALLBACK: u8 = 4;
/// The same with nothing to fall back to: five crashes, then the component is off and the host up.
pub const CRASH_SCORE_PARK: u8 = 10;
/// A confirmed release that ran well for so long starts with no points held against it.
pub const CRASH_WINDOW: Millis = Millis::from_secs(600);
/// The same for crashes that took the whole host down: a day, as hosts are seldom started.
pub const HOST_CRASH_WINDOW: Millis = Millis::from_secs(86_400);
/// The third fallback of a component within this time switches it off: what keeps going wrong is no
/// matter of one release.
pub const FALLBACK_WINDOW: Millis = Millis::from_secs(86_400);
/// Longest a service may take from its start or reload to `READY=1`.
pub const READY_WAIT_MAX: Millis = Millis::from_secs(5);
/// Pause before a crashed service is started again: doubles from the first to the second value.
pub const RESTART_PAUSE: [Millis; 2] = [Millis::from_secs(1), Millis::from_secs(60)];
/// Pause before a fetch that failed is asked for again.
pub const FETCH_PAUSE: Millis = Millis::from_secs(5);
/// Longest that the guard looks for stops in the network before it loads anything, where nothing or only
/// an unexplained end was charged: people wait for the boot.
pub const FETCH_AT_BOOT_MAX: Millis = Millis::from_secs(2);
/// The same once a crash was charged: a stop or a fix is worth more by then than a quick boot.
pub const FETCH_AFTER_CRASH_MAX: Millis = Millis::from_secs(30);
/// Most alerts a host keeps for its next beats; older ones are counted and dropped.
pub const ALERTS_KEPT_MAX: usize = 256;
/// Most freezes named by one beat.
pub const FREEZES_PER_BEAT_MAX: usize = 64;
/// Most groups (services, racks, quorums, sites, tenants) in one plan: one for every third host.
pub const GROUPS_MAX: usize = 16_000_000;
/// Most groups one host is in: a rack, a site, a tenant, a quorum and a dozen services.
pub const GROUPS_PER_HOST_MAX: usize = 16;
/// Most generations for which a member stays un-vouched: ten minutes of 10 s generations fit.
pub const UNVOUCHED_GENERATIONS_MAX: u32 = 64;
/// Hosts per shard of an explicit order: a power of two, so that a shard is a whole subtree; about
/// 50 KiB of JSON, less on the wire.
pub const SHARD_HOSTS: usize = 4096;
/// Largest shard, bytes: 4,096 places of 20 digits, 4,096 names of strata, a proof.
pub const SHARD_BYTES_MAX: usize = 512 * 1024;
/// Most hashes in a Merkle proof: 2^63 leaves, more than any log can name (C2SP tlog-witness).
pub const MERKLE_PROOF_MAX: usize = 63;
/// Largest signed note (checkpoint), bytes: 32 post-quantum signatures of 5 KB fit (C2SP signed-note
/// asks for 16).
pub const NOTE_BYTES_MAX: usize = 256 * 1024;
/// Most signatures on one note: every witness of the largest policy, and the log's.
pub const NOTE_SIGNATURES_MAX: usize = LOG_POLICY_ENTRIES_MAX + 8;
/// Longest name of a note key, longest origin of a log, bytes: what a cosignature can commit to
/// (C2SP tlog-cosignature, `cosigner_name` and `log_origin`).
pub const NOTE_NAME_LENGTH_MAX: usize = 255;
/// Largest tree size, index or POSIX time in a log's texts (C2SP tlog-cosignature).
pub const LOG_NUMBER_MAX: u64 = (1 << 63) - 1;
/// Largest entry of a log, bytes: what its length can say in a bundle (C2SP tlog-tiles).
pub const LOG_ENTRY_BYTES_MAX: usize = 65_535;
/// Most bytes of unauthenticated extra data in a log proof: a VRF proof or a file name fits.
pub const LOG_EXTRA_BYTES_MAX: usize = 16 * 1024;
/// Largest log proof, bytes: a note, 63 hashes of 45 bytes and the extra data in base64.
pub const LOG_PROOF_BYTES_MAX: usize = NOTE_BYTES_MAX + 32 * 1024;
/// Most entries that an audit downloads: at 1 KiB each 16 GiB, hours of one connection.
pub const LOG_AUDIT_ENTRIES_MAX: u64 = 1 << 24;
/// Largest request to a witness, bytes: a note and 63 hashes of 45 bytes.
pub const WITNESS_REQUEST_BYTES_MAX: usize = NOTE_BYTES_MAX + 4 * 1024;
/// Most log keys that one witness watches; each is an option on its command line.
pub const WITNESS_LOGS_MAX: usize = 4096;
/// Most logs, most witnesses and most groups in a log policy (C2SP tlog-policy asks for 32).
pub const LOG_POLICY_ENTRIES_MAX: usize = 64;
/// Largest log policy, bytes: that many lines of a name, a key and an address each.
pub const LOG_POLICY_BYTES_MAX: usize = 128 * 1024;
/// Longest that a freeze holds which one key alone has signed; a second key of the same party makes it
/// hold until it expires by its own text.
pub const FREEZE_ALONE_MAX: Millis = Millis::from_secs(30 * 86_400);
/// Largest log policy inside a line's signed policy, bytes: a log and 64 witnesses with their addresses
/// fit; the whole policy goes over the pipe to the supervisor.
pub const POLICY_LOG_BYTES_MAX: usize = 32 * 1024;
/// Largest entry of a line's own log, bytes: three names, two digests and the words around them.
pub const LINE_ENTRY_BYTES_MAX: usize = 1024;
/// Most entries of a line's own log, whose hashes its server holds in memory: a release every minute
/// for two years.
pub const LINE_LOG_ENTRIES_MAX: u64 = 1 << 20;
/// Most witnesses that a line's server asks: as many as a policy can name.
pub const LINE_WITNESSES_MAX: usize = LOG_POLICY_ENTRIES_MAX;
/// Most rings of one line.
pub const RINGS_MAX: usize = 16;
/// Most maintenance windows in one policy: every day of the week for a handful of sites.
pub const WINDOWS_MAX: usize = 64;
/// Most holds, pins or "one behind" rules each: people write them, one exception at a time.
pub const ELIGIBILITY_RULES_MAX: usize = 1024;
/// Most groups with a disruption budget in one policy: with long names they fit a signed policy twice.
pub const GROUP_BUDGETS_MAX: usize = 1024;
/// Most member operators of one vendor line: 1,700 owned the hosts of July 2024; thrice that.
pub const MEMBERS_MAX: usize = 5000;
/// Largest share of a plan's seats that a vendor line may go on without, in millionths. Of a fault that
/// takes members' servers with it nothing is heard but that they are away: a fifth is a lot to lose.
pub const ABSENT_MAX_PPM: u32 = 200_000;
/// Most freezes that one policy overrides: each is a decision of several people.
pub const OVERRIDES_MAX: usize = 256;
/// Most components on a fast-lane list: what is security-critical is few, or nothing is.
pub const FAST_LANE_MAX: usize = 4096;
/// Most vendor lines that one operator takes part in.
pub const VENDOR_LINES_MAX: usize = 64;
/// Most hosts in one roster: with indices of four digits the envelope stays under its limit.
pub const ROSTER_HOSTS_MAX: usize = 65_536;
/// Most directives that a line keeps, and that a vendor line names to its members: people sign them, one
/// occasion at a time.
pub const DIRECTIVES_MAX: usize = 1000;
/// Most blocks of seats of one operator on one vendor line: one a day for ten years.
pub const SEAT_BLOCKS_MAX: usize = 4096;
/// Largest tally of one member, bytes: 4,096 strata with sixteen waves each.
pub const TALLY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Largest list of a member's places, bytes: two million hosts of 20 digits each.
pub const PLACES_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Most gate verifiers of one line.
pub const VERIFIERS_MAX: usize = 16;
/// Most rigs accredited in one policy: a handful of parties, a few classes of machines each.
pub const RIGS_MAX: usize = 16;
/// Most demands for attestations in one policy: one per kind of component and group of classes.
pub const DEMANDS_MAX: usize = 64;
/// Largest attestation or waiver as signed, bytes: hundreds of names of tests fit.
pub const ATTESTATION_BYTES_MAX: usize = 16 * 1024;
/// Most attestations and waivers of one release: two predicates by two rigs for sixteen classes.
pub const ATTESTATIONS_MAX: usize = 64;
/// Largest file of a release's attestations, bytes: that many of a usual size, or a quarter as many of
/// the largest. A host fetches it once per change.
pub const ATTESTATIONS_BYTES_MAX: usize = 256 * 1024;
/// Most subjects, configurations, annotations' classes or properties in one attestation.
pub const ATTESTATION_ITEMS_MAX: usize = 64;
/// Most names of tests in each of a test result's lists.
pub const ATTESTATION_TESTS_MAX: usize = 256;
/// Longest time that a waiver may hold: it bridges the time until a rig has run, and no longer.
pub const WAIVER_MAX: Millis = Millis::from_secs(7 * 86_400);
/// Largest proof bundle once unpacked, bytes: the largest manifest with its escapes, and metadata of 256
/// vendors under threshold keys with thousands of releases. A typical one has 20 KiB.
pub const PROOF_BUNDLE_PLAIN_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Largest proof bundle as a file, bytes: half of the largest unpacked, which is JSON about digests. A
/// typical one stays below 16 KiB.
pub const PROOF_BUNDLE_BYTES_MAX: usize = PROOF_BUNDLE_PLAIN_BYTES_MAX / 2;
/// Most vendors whose role's version is remembered beside a proof bundle that was believed.
pub const PROOF_BUNDLE_VENDORS_MAX: usize = VENDORS_MAX;
