//! Files that must be refused: with the line and the field that are wrong, and before anything is played.
use andon_model::policy::{Timing, Watch};
use andon_model::release::ComponentKind;
use andon_rollout::defaults;
use andon_sim::policy::Kind;
use andon_sim::{catalogue, policy, scenario_file};

const SCENARIO: &str = "name = \"x\"\nabout = \"a test\"\nhosts = 1000\n";
const HEAD: &str = "name = \"x\"\nabout = \"a test\"\n";

/// Text, line and field of the complaint, a word of it.
type Case = (&'static str, usize, &'static str, &'static str);

fn scenario(cases: &[Case]) {
    for (more, line, field, word) in cases {
        let text = format!("{SCENARIO}{more}");
        let error = scenario_file::parse("x.toml", &text).expect_err(more);
        assert_eq!((error.line, error.field.as_str()), (*line, *field), "{more}: {error}");
        let said = error.to_string();
        let begin = format!("read scenario x.toml, line {line}, field {field}: ");
        assert!(said.starts_with(&begin) && said.contains(word) && !said.contains('\n'), "{said}");
    }
}

fn policies(head: &str, cases: &[Case]) {
    for (more, line, field, word) in cases {
        let error = policy::parse("p.toml", &format!("{head}{more}")).expect_err(more);
        assert_eq!((error.line, error.field.as_str()), (*line, *field), "{more}: {error}");
        assert!(error.to_string().contains(word), "{error}");
    }
}

#[test]
fn numbers_out_of_range_are_refused_by_line_and_field() {
    scenario(&[
        ("operators = 0", 4, "operators", "1 to 1000"),
        ("operators = 1001", 4, "operators", "1 to 1000"),
        ("strata = { count = 0, exponent = 1.0 }", 4, "strata.count", "1 to 4096"),
        ("strata = { count = 5000, exponent = 1.0 }", 4, "strata.count", "1 to 4096"),
        ("strata = { count = 5, exponent = -1.0 }", 4, "strata.exponent", "is -1"),
        ("background_per_h = inf", 4, "background_per_h", "is inf"),
        ("background_per_h = nan", 4, "background_per_h", "is NaN"),
        ("background_per_h = -0.1", 4, "background_per_h", "is -0.1"),
        ("\n\n[delivery]\nhosts_per_s = 0\nwithin_s = 1.0", 7, "delivery.hosts_per_s", "is 0"),
        ("delivery = { hosts_per_s = 9, within_s = 1e300 }", 4, "delivery.within_s", "2592000"),
        ("fault = { rate = 1.5 }", 4, "fault.rate", "from 0 to 1"),
        ("[fault]\nrate = { low = 0.0, high = 1.0 }", 5, "fault.rate.low", "is 0"),
        ("[fault]\nrate = { low = 0.5, high = 0.1 }", 5, "fault.rate.high", "from 0.5 to 1"),
        ("[fault]\nrate = 1.0\nplace = { stratum_rank = 65 }", 6, "fault.place.stratum_rank", "64"),
        ("[fault]\nrate = 1.0\nshows = { after = -1.0 }", 6, "fault.shows.after", "is -1"),
        ("[[outages]]\ncommon = { at_s = 0.0, share = 2.0 }", 5, "outages[0].common.share", "is 2"),
        (
            "outages = [\n {common = {at_s = 0.0, share = 0.1}},\n {sites = {sites = 0, per_h = 1.0}}]",
            6,
            "outages[1].sites.sites",
            "is 0",
        ),
        ("presence = { asleep_share = 1.0 }", 4, "presence.asleep_share", "0.99"),
        ("[healing]\nshare = 1.1\nafter_s = 1.0\nbroken = false", 5, "healing.share", "is 1.1"),
        ("attack = { hazard = { per_min = inf } }", 4, "attack.hazard.per_min", "is inf"),
        (
            "attack = { spreads = { per_min = 1.0, infected = 1001 } }",
            4,
            "attack.spreads.infected",
            "1000",
        ),
        (
            "theft = { sybils = { share = -0.5, fake_crashes = true } }",
            4,
            "theft.sybils.share",
            "-0.5",
        ),
        ("ends_s = 0.0", 4, "ends_s", "is 0"),
        ("ends_s = inf", 4, "ends_s", "is inf"),
    ]);
}

#[test]
fn what_is_no_scenario_is_refused_by_line_and_field() {
    scenario(&[
        ("hosst = 7", 4, "hosst", "unknown field"),
        ("[fault]\nrate = 1.0\nrates = 2", 6, "rates", "unknown field"),
        ("[fault]\nplace = \"everywhere\"", 4, "rate", "missing field"),
        ("operators = -1", 4, "operators", "-1"),
        ("operators = 99999999999999999999", 4, "operators", "expected u32"),
        ("operators = 5000000000", 4, "operators", "5000000000"),
        ("vendor_line = \"yes\"", 4, "vendor_line", "boolean"),
        ("ends_s = ", 4, "ends_s", "value"),
        ("about = \"twice\"", 4, "about", "duplicate"),
    ]);
    let parse = |text: &str| scenario_file::parse("x.toml", text).unwrap_err();
    assert_eq!(parse("name = \"x\"\nabout = \"y\"\n").field, "hosts");
    assert_eq!(parse("name = \"X y\"\nabout = \"y\"\nhosts = 1").field, "name");
    assert_eq!(parse("name = \"x\"\nabout = \"\"\nhosts = 1").field, "about");
    assert_eq!(parse("name = \"x\"\nabout = \"y\"\nhosts = 50_000_001").field, "hosts");
    let long = format!("name = \"x\"\n# {}", "a".repeat(300 * 1024));
    assert!(parse(&long).problem.contains("longer than"));
}

#[test]
fn andons_numbers_out_of_range_are_refused_by_line_and_field() {
    policies(
        &format!("{HEAD}[kind.andon]\n"),
        &[
            ("budget = []", 4, "kind.andon.budget", "0 points"),
            (
                "budget = [{ after_s = 0.0, hosts_max = 0 }]",
                4,
                "kind.andon.budget[0].hosts_max",
                "is 0",
            ),
            (
                "budget = [\n{after_s = 9.0, hosts_max = 1},\n{after_s = 9.0, hosts_max = 2}]",
                6,
                "kind.andon.budget[1].after_s",
                "sort",
            ),
            (
                "budget = [{ after_s = inf, hosts_max = 1 }]",
                4,
                "kind.andon.budget[0].after_s",
                "inf",
            ),
            ("alpha_ppm = 0", 4, "kind.andon.alpha_ppm", "1 to 500000"),
            ("delta_ppm = 500001", 4, "kind.andon.delta_ppm", "is 500001"),
            ("growth_max_permille = 1000", 4, "kind.andon.growth_max_permille", "1001"),
            ("beat_s = 10.0", 3, "kind.andon.silent_after_s", "two beats"),
            ("soak_min_s = nan", 4, "kind.andon.soak_min_s", "NaN"),
            ("holdback_permille = 501", 4, "kind.andon.holdback_permille", "is 501"),
            ("alhpa_ppm = 1", 4, "alhpa_ppm", "unknown field"),
        ],
    );
}

#[test]
fn peers_numbers_out_of_range_are_refused_by_line_and_field() {
    policies(
        HEAD,
        &[
            ("kind = \"andon\"", 3, "kind", "such as [kind.andon]"),
            ("[kind.magic]\nx = 1", 3, "kind.magic", "unknown variant"),
            (
                "[kind.rings]\nrings = []\nperson = { reaction_s = 1.0 }",
                4,
                "kind.rings.rings",
                "1 to 1000",
            ),
            (
                "[kind.rings]\nperson = {reaction_s = 1.0}\n[[kind.rings.rings]]\nafter_s = 5.0\npercent = 101.0",
                7,
                "kind.rings.rings[0].percent",
                "100",
            ),
            (
                "[kind.all-at-once]\nperson = { reaction_s = -1.0 }",
                4,
                "kind.all-at-once.person.reaction_s",
                "is -1",
            ),
            (
                "[kind.hawkbit]\ngroups = 0\nsuccess_percent = 50.0\nerror_percent = 50.0",
                4,
                "kind.hawkbit.groups",
                "is 0",
            ),
            (
                "[kind.linear]\nduration_s = 0.0\nperson = { reaction_s = 1.0 }",
                4,
                "kind.linear.duration_s",
                "is 0",
            ),
            (
                "[kind.nebraska]\npercent_per_period = 0.0\nperiod_s = 1.0\ntimeout_s = 1.0",
                4,
                "kind.nebraska.percent_per_period",
                "is 0",
            ),
        ],
    );
}

#[test]
fn another_number_of_hosts_is_held_against_the_same_ranges() {
    let given = scenario_file::parse("x.toml", &format!("{SCENARIO}operators = 900")).unwrap();
    let fewer = scenario_file::resized(&given, Some(50), None).unwrap();
    assert_eq!((fewer.hosts, fewer.operators), (50, 50));
    for (hosts, operators, field) in [
        (Some(0), None, "hosts"),
        (Some(u64::MAX), None, "hosts"),
        (Some(50), Some(51), "operators"),
        (None, Some(0), "operators"),
    ] {
        let error = scenario_file::resized(&given, hosts, operators).unwrap_err();
        assert_eq!(error.field, field, "{error}");
    }
}

/// What is simulated under these names is what `andon init` writes.
#[test]
fn policies_without_numbers_are_the_defaults_of_production() {
    let lane = |name: &str| {
        let Kind::Andon(numbers) = catalogue::policy(name).unwrap().kind else { panic!("{name}") };
        numbers.policy("vendor:simulated".parse().unwrap())
    };
    let emergency = lane("andon");
    assert_eq!(emergency.emergency, defaults::emergency());
    assert_eq!(lane("andon-routine").routine, defaults::routine(ComponentKind::Content));
    let Watch { beat, silent_after, restart_missed_ppm } = emergency.watch;
    assert_eq!(restart_missed_ppm, andon_model::policy::restart_missed_ppm());
    assert_eq!((beat, silent_after), (defaults::BEAT, defaults::SILENT_AFTER));
    let Timing { delivery, window } = emergency.timing;
    assert_eq!((delivery, window), (defaults::DELIVERY, defaults::LOAD_AND_SOAK));
}
