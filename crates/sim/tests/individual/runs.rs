//! Sums, faults, delivery, thieves, the attack: what a run comes to.
use crate::core::Core;
use crate::script::{Script, scenario};
use crate::{HOSTS, play, two_steps};
use andon_sim::controller::Pace;
use andon_sim::individual::{Played, played, run};

/// Sums kept while a run is played, against a look at every host afterwards.
#[test]
fn sums_of_a_run_are_what_a_recount_of_all_hosts_finds() {
    let noise = "[presence]\nflapping_share = 0.2\nflapping_every_s = 300.0\nasleep_share = 0.1\n\
                 wakes_per_h = 3.0\nclock_skew_s = 20.0\n";
    for text in [
        "",
        "[fault]\nrate = 1.0\n",
        "[fault]\nrate = 0.3\nreports_share = 0.5\n",
        "[fault]\nrate = 0.2\nshows = { after = 120.0 }\n",
        "[fault]\nrate = 0.5\nshows = { next_boot = { boots_per_h = 2.0 } }\n",
        "[fault]\nrate = { low = 0.001, high = 0.5 }\nplace = { stratum_rank = 2 }\n",
        "[healing]\nshare = 0.5\nafter_s = 60.0\nbroken = false\n[fault]\nrate = 0.3\n",
        "[healing]\nshare = 1.0\nafter_s = 60.0\nbroken = true\n[fault]\nrate = 0.3\n",
        "theft = { sybils = { share = 0.2, fake_crashes = true } }\n[fault]\nrate = 0.3\n",
    ] {
        let outages = "background_per_h = 0.2\noutages = [{ common = { at_s = 90.0, share = 0.05 } }, \
                       { sites = { sites = 50, per_h = 0.5 } }]\n";
        let Played { outcome, census } = play(&format!("{outages}{text}{noise}"), &mut two_steps());
        assert_eq!(outcome.crashed, census.crashed + census.doomed, "{text}");
        assert_eq!(outcome.exposed, census.exposed, "{text}");
        assert_eq!(outcome.hands, census.hands, "{text}");
        assert!(census.exposed > 7000 && census.silent > 500, "{text}: {census:?}");
        assert_eq!(census.crashed > 0, text.contains("[fault]"), "{text}");
    }
}

#[test]
fn rates_and_places_of_faults_are_as_asked() {
    let crashed = |fault: &str| {
        let text = format!("ends_s = 1200.0\n[fault]\n{fault}");
        play(&text, &mut two_steps()).outcome.crashed
    };
    assert_eq!(crashed("rate = 1.0\n"), u64::from(HOSTS));
    assert_eq!(crashed("rate = 1.0\nplace = { stratum_rank = 2 }\n"), 3000);
    assert_eq!(crashed("rate = 1.0\nplace = { stratum_rank = 9 }\n"), 0);
    assert_eq!(crashed("rate = 1.0\nshows = { after = 700.0 }\n"), u64::from(HOSTS));
    // Standard error 46 hosts.
    let third = crashed("rate = 0.3\n");
    assert!((2770..3230).contains(&third), "{third}");
}

/// What the machine decides: two boots at load, four in a confirmed release.
#[test]
fn machines_fall_back_and_hands_are_needed_where_the_fallback_is_broken() {
    let all = u64::from(HOSTS);
    let at_load = "[fault]\nrate = 1.0\n";
    let Played { outcome, census } = play(at_load, &mut two_steps());
    assert_eq!((outcome.hands, census.fell_back, census.running), (0, all, 0));
    let broken = "healing = { share = 1.0, after_s = 180.0, broken = true }\n";
    let Played { outcome, census } = play(&format!("{broken}{at_load}"), &mut two_steps());
    assert_eq!((outcome.hands, census.fell_back), (all, 0));

    let mut once = Script::new(&[50], &[(0.0, 50)]);
    let boots =
        "ends_s = 20000.0\n[fault]\nrate = 1.0\nshows = { next_boot = { boots_per_h = 4.0 } }\n";
    let Played { outcome, census } = play(boots, &mut once);
    assert_eq!(
        (census.crashed, census.fell_back, census.confirmed, outcome.hands),
        (50, 50, 50, 0)
    );

    // Nothing was being risked when it died: it comes back with what it had confirmed.
    let late = "[fault]\nrate = 1.0\nshows = { after = 120.0 }\n";
    let late = play(late, &mut two_steps()).census;
    assert_eq!((late.crashed, late.running, late.fell_back), (all, all, 0));
    // Not even a freeze sends a host back that holds nothing against the release.
    let mut frozen = two_steps();
    frozen.halts_s = 200.0;
    let text = "[fault]\nrate = 1.0\nshows = { after = 120.0 }\n";
    let frozen = play(text, &mut frozen).census;
    assert_eq!((frozen.crashed, frozen.running, frozen.fell_back), (all, all, 0));
    let soaking = "[fault]\nrate = 1.0\nshows = { after = 5.0 }\n";
    let soaking = play(soaking, &mut two_steps()).census;
    assert_eq!((soaking.crashed, soaking.confirmed, soaking.fell_back), (all, 0, all));

    let good = play("", &mut two_steps()).census;
    assert_eq!((good.running, good.confirmed, good.fell_back), (all, all, 0));
}

/// Activation within 15 s of the turn; no more turns in a second than the network carries.
#[test]
fn delivery_keeps_its_delay_and_its_capacity() {
    let mut script = Script::new(&[20_000], &[(0.0, 20_000)]);
    let text = "delivery = { hosts_per_s = 100, within_s = 15.0 }\nends_s = 400.0\n";
    let out = play(text, &mut script).outcome;
    let mut before = 0;
    for (tick, seen) in script.seen.iter().enumerate() {
        let delivered = seen[0].delivered;
        assert!(delivered <= 500 * tick as u32, "tick {tick}: {delivered}");
        assert!(delivered + 500 * 3 >= 500 * (tick as u32).min(40), "tick {tick}: {delivered}");
        assert!(delivered >= before);
        before = delivered;
    }
    assert_eq!(out.exposed, 20_000);
    let t99 = out.t99_s.unwrap();
    assert!((195.0..=215.0).contains(&t99), "{t99}");
}

#[test]
fn hosts_whose_clocks_are_behind_wait_until_the_ticket_begins() {
    let late = |skew: &str| {
        let mut script = Script::new(&[4000], &[(0.0, 4000)]);
        play(&format!("ends_s = 300.0\n[presence]\nclock_skew_s = {skew}\n"), &mut script);
        let by = |s: f64| script.seen[(s / 5.0) as usize][0].delivered;
        (by(20.0), by(60.0), by(130.0))
    };
    assert_eq!(late("0.0").0, 4000);
    let (soon, later, end) = late("120.0");
    // Half of the clocks are behind, evenly by up to two minutes.
    assert!((2100..2600).contains(&soon) && (2800..3200).contains(&later), "{soon} {later}");
    assert_eq!(end, 4000);
}

#[test]
fn nobody_activates_after_a_halt() {
    let mut script = Script::new(&[50_000], &[(0.0, 16), (40.0, 50_000)]);
    script.halts_at = Some(3);
    let out = play("[fault]\nrate = 1.0\n", &mut script).outcome;
    assert_eq!((out.exposed, out.crashed, out.hands, out.false_halt), (16, 16, 0, false));
    assert!(out.halted_s.unwrap() <= 30.0, "{:?}", out.halted_s);

    let mut script = Script::new(&[50_000], &[(0.0, 50_000)]);
    script.halts_s = 20.0;
    let text = "delivery = { hosts_per_s = 100, within_s = 15.0 }\n";
    let out = play(text, &mut script).outcome;
    let at_halt = script.last_seen()[0].delivered;
    assert_eq!(out.exposed, u64::from(at_halt), "hosts that were fetching went on after the halt");
    assert!(at_halt > 500 && out.false_halt);
}

#[test]
fn a_thief_of_the_online_key_reaches_nobody_beyond_the_pace() {
    let theft = "theft = \"online_key\"\nends_s = 200.0\n";
    let pace = Pace { first_wave_max: 16, growth_max: 25.0, soak_min_s: 25.0 };
    for (pace, covered, reached) in [
        (Some(pace), 16, 0),
        (Some(Pace { soak_min_s: 90.0, ..pace }), 400, 0),
        (Some(pace), 400, 9600),
        (None, 16, 9984),
    ] {
        let mut script = Script::new(&[10_000], &[(0.0, covered)]);
        script.pace = pace;
        let Played { outcome, census } = play(theft, &mut script);
        assert_eq!(census.reached_by_thief, reached, "{pace:?} {covered}");
        assert_eq!(outcome.exposed, u64::from(covered) + reached);
        assert_eq!(outcome.violations, u64::from(reached > 0));
    }
}

#[test]
fn sybils_that_fake_health_hide_crashes_and_such_as_fake_crashes_report() {
    let seen = |text: &str| {
        let mut script = two_steps();
        let out = play(&format!("ends_s = 300.0\n{text}"), &mut script).outcome;
        let reported: u32 = script.last_seen().iter().map(|seen| seen.reported).sum();
        (out.crashed, reported)
    };
    let sybils =
        "theft = { sybils = { share = 0.5, fake_crashes = false } }\n[fault]\nrate = 1.0\n";
    let (crashed, _) = seen(sybils);
    assert!((4800..5200).contains(&crashed), "{crashed}");
    let (crashed, reported) = seen("theft = { sybils = { share = 0.5, fake_crashes = true } }\n");
    assert_eq!(crashed, 0);
    assert!((4800..5200).contains(&reported), "{reported}");
}

#[test]
fn budgets_overdrawn_are_violations() {
    let violations = |fault: &str| {
        let mut script = two_steps();
        script.shape.budget = vec![100, 5000];
        play(&format!("ends_s = 400.0\n[fault]\n{fault}"), &mut script).outcome.violations
    };
    assert_eq!(violations("rate = 1.0\n"), 2);
    assert_eq!(violations("rate = 0.1\n"), 1);
    assert_eq!(violations("rate = 1.0\nshows = { after = 30.0 }\n"), 1);
    assert_eq!(violations("rate = 1.0\nshows = { after = 90.0 }\n"), 0);
}

#[test]
fn the_attack_takes_more_of_a_fleet_that_is_protected_later() {
    let infected = |text: &str, at_s: f64| {
        let mut script = Script::new(&[100_000], &[(at_s, 100_000)]);
        play(&format!("ends_s = 3600.0\n{text}"), &mut script).outcome.infected
    };
    // Half of the hosts in ln 2 / 0.02 = 34.7 minutes.
    let hazard = "attack = { hazard = { per_min = 0.02 } }\n";
    let lost = infected(hazard, 34.657 * 60.0);
    assert!((50_000..50_700).contains(&lost), "{lost}");
    let worm = "attack = { spreads = { per_min = 0.5, infected = 10 } }\n";
    let [early, late, never] = [60.0, 600.0, 9999.0].map(|at_s| infected(worm, at_s));
    assert!(early < 25 && (1000..3000).contains(&late) && never > 99_000, "{early} {late} {never}");
}

#[test]
fn the_same_seed_plays_the_same_run_and_another_another() {
    let text = "background_per_h = 0.1\noperators = 1700\noutages = [{ common = { at_s = -300.0, share \
                = 0.05 } }]\n[fault]\nrate = 0.01\n[presence]\nflapping_share = 0.1\n\
                flapping_every_s = 300.0\n";
    let hash = |seed, number| {
        run(&scenario(HOSTS, text), &mut two_steps(), seed, number, false).trace_hash
    };
    assert_eq!(hash(1, 1), hash(1, 1));
    assert_ne!(hash(1, 1), hash(2, 1));
    assert_ne!(hash(1, 1), hash(1, 2));
    // In a quiet fleet too: then only the hosts' own draws differ.
    let quiet = |number| run(&scenario(HOSTS, ""), &mut two_steps(), 1, number, false).trace_hash;
    assert_eq!(quiet(1), quiet(1));
    assert_ne!(quiet(1), quiet(2));
    let traced = |trace| run(&scenario(HOSTS, text), &mut two_steps(), 1, 1, trace);
    assert_eq!(traced(true).trace_hash, traced(false).trace_hash);
    assert!(traced(false).trace.is_empty() && !traced(true).trace.is_empty());
}

#[test]
fn operators_are_many_and_of_very_different_sizes() {
    let mut script = Script::new(&[100_000], &[(0.0, 16)]);
    script.ends_when_covered = true;
    let census = play("operators = 1700\n[fault]\nrate = 1.0\n", &mut script).census;
    assert!((1500..=1700).contains(&census.operators), "{}", census.operators);
    assert!((5..=16).contains(&census.operators_crashed), "{}", census.operators_crashed);
}

/// The production core, unchanged: July 2024 and a good update on 200,000 hosts.
#[test]
fn the_core_stops_july_2024_and_lets_a_good_update_through() {
    let sizes = [100_000, 60_000, 30_000, 10_000];
    let fleet = |text: &str| scenario(200_000, &format!("background_per_h = 0.0072\n{text}"));
    for seed in 0..5 {
        let mut core = Core::new(&sizes);
        let out = run(&fleet("[fault]\nrate = 1.0\n"), &mut core, seed, 0, false);
        assert!(out.crashed <= 16 && out.hands == 0 && out.violations == 0, "{out:?}");
        assert!(out.halted_s.is_some_and(|s| s <= 30.0), "{out:?}");
    }
    let mut core = Core::new(&sizes);
    let out = run(&fleet(""), &mut core, 1, 0, false);
    assert!(!out.false_halt && out.crashed == 0, "{out:?}");
    assert!(out.t99_s.is_some() && out.confirmed99_s > out.t99_s, "{out:?}");
    assert!(core.rollout.ended(), "{:?}", core.rollout.pending());

    let stolen = fleet("theft = \"online_key\"\n[fault]\nrate = 0.001\n");
    let played = played(&stolen, &mut Core::new(&sizes), 1, 0, false);
    assert_eq!(played.census.reached_by_thief, 0);
}

/// Every few seconds a site of 2,000 hosts falls silent. Each has hosts in both arms.
#[test]
fn whole_sites_that_fall_silent_halt_no_good_update() {
    let text = "ends_s = 600.0\noutages = [{ sites = { sites = 100, per_h = 1.2 } }]\n";
    for seed in 0..8 {
        let mut core = Core::new(&[100_000, 60_000, 30_000, 10_000]);
        let played = played(&scenario(200_000, text), &mut core, seed, 0, false);
        assert!(played.census.silent > 5000, "{}", played.census.silent);
        assert!(!played.outcome.false_halt, "seed {seed}: E = {}", core.rollout.e());
    }
}
