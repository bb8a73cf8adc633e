//! What the gate is shown: counts add up, windows lose nobody, both arms are seen alike.
use crate::script::{Script, arms, scenario};
use crate::{HOSTS, SIZES, play, two_steps};
use andon_rollout::{ArmTally, Count, Observation, Window};
use andon_sim::individual::{Played, played};

const EVERYTHING: &str = "background_per_h = 0.5\nends_s = 900.0\n\
    outages = [{ common = { at_s = 90.0, share = 0.05 } }]\n\
    [fault]\nrate = 0.05\nreports_share = 0.3\nshows = { next_boot = { boots_per_h = 20.0 } }\n\
    [presence]\nflapping_share = 0.3\nflapping_every_s = 200.0\nasleep_share = 0.1\nwakes_per_h = 9.0\n";

/// The rules that the core holds every observation against, and that no host is in two arms.
#[test]
fn counts_of_every_tick_add_up() {
    let mut script = two_steps();
    let Played { census, .. } = play(EVERYTHING, &mut script);
    let sizes = SIZES;
    let mut sums = (0, 0, 0);
    for (at_s, seen) in &script.shown {
        for (stratum, size) in seen.strata.iter().zip(sizes) {
            let waves: u32 = stratum.waves.iter().map(|arm| arm.hosts).sum();
            let sampled = size - (size / 2 + size % 2).max(waves);
            let controls = stratum.controls.hosts + stratum.gauge.hosts;
            assert_eq!(controls, sampled, "{at_s} s");
            assert!(stratum.controls.hosts.abs_diff(stratum.gauge.hosts) <= 1);
        }
        for arm in arms(seen) {
            for Count { at_risk, new } in [arm.silence, arm.report, arm.probe] {
                assert!(new <= at_risk && at_risk <= arm.hosts, "{at_s} s: {arm:?}");
            }
            assert!(arm.bad_new <= arm.silence.new + arm.report.new, "{at_s} s: {arm:?}");
            assert!(arm.bad_new >= arm.silence.new.max(arm.report.new) || census.bad_before > 0);
            assert!(arm.confirmed <= arm.hosts && arm.fell_back <= arm.hosts, "{at_s} s: {arm:?}");
            sums = (sums.0 + arm.silence.new, sums.1 + arm.report.new, sums.2 + arm.bad_new);
        }
    }
    assert!(sums.0 > 1000 && sums.1 > 100 && sums.2 > 1000, "{sums:?}");
}

/// At risk of a first silence at the end: everybody in the arm that was neither silent nor is away.
#[test]
fn everybody_counts_as_silent_once_and_only_once() {
    let mut script = Script::new(&SIZES, &[(0.0, HOSTS)]);
    script.shape.controls = SIZES.to_vec();
    let text = "ends_s = 3600.0\n[presence]\nflapping_share = 1.0\nflapping_every_s = 120.0\n";
    let Played { census, .. } = play(text, &mut script);
    let new: u32 =
        script.shown.iter().flat_map(|(_, seen)| arms(seen)).map(|a| a.silence.new).sum();
    assert_eq!(u64::from(new), census.silent);
    assert!(census.silent > 9990, "{}", census.silent);
    let (_, last) = script.shown.last().unwrap();
    let (at_risk, hosts) = total(last, |arm| arm.silence);
    assert_eq!(u64::from(at_risk), u64::from(hosts) - census.silent + u64::from(news(last)));
    // Each of them was silent again and again.
    assert!(play(text, &mut Script::new(&SIZES, &[(0.0, 16)])).outcome.events > 200_000);
}

fn total(seen: &Observation, of: fn(&ArmTally) -> Count) -> (u32, u32) {
    arms(seen).fold((0, 0), |sum, arm| (sum.0 + of(arm).at_risk, sum.1 + arm.hosts))
}

fn news(seen: &Observation) -> u32 {
    arms(seen).map(|arm| arm.silence.new).sum()
}

/// Every activated host leaves each window once: bad or clean. Until then it is inside.
#[test]
fn windows_lose_nobody() {
    let mut script = two_steps();
    let Played { census, .. } = play(EVERYTHING, &mut script);
    for horizon in 0..2 {
        let (mut left, mut bad) = (0, 0);
        for ((at_s, seen), counts) in script.shown.iter().zip(&script.seen) {
            let windows = || seen.strata.iter().filter_map(|s| s.windows.get(horizon));
            bad += windows().map(|w| w.bad).sum::<u32>();
            left = bad + windows().map(|w| w.clean).sum::<u32>();
            let at_risk: u32 = windows().map(|w| w.at_risk).sum();
            let activated: u32 = counts.iter().map(|seen| seen.delivered).sum();
            assert!(left <= activated && at_risk <= activated, "{at_s} s");
        }
        // The last to wake are still inside.
        let inside = |at_s: f64| script.seen[(at_s / 5.0) as usize].iter();
        let long_ago = 900.0 - [25.0, 85.0][horizon] - 5.0;
        let old: u32 = inside(long_ago).map(|seen| seen.delivered).sum();
        assert!(u64::from(left) <= census.exposed - census.bad_before);
        assert!(u64::from(left) + census.bad_before >= u64::from(old), "{left} of {old}");
        assert!(census.bad_before > 10 && left > 8000);
    }
    // Nobody is late: all have left in the end.
    let mut quiet = two_steps();
    let census = play("background_per_h = 1.0\nends_s = 900.0\n", &mut quiet).census;
    let of = |seen: &Observation, count: fn(&Window) -> u32| -> u32 {
        seen.strata.iter().filter_map(|s| s.windows.get(1)).map(count).sum()
    };
    let bad: u32 = quiet.shown.iter().map(|(_, seen)| of(seen, |w| w.bad)).sum();
    let clean = quiet.shown.last().map_or(0, |(_, seen)| of(seen, |w| w.clean));
    assert_eq!(u64::from(bad + clean), census.exposed - census.bad_before);
}

/// What a wave's hosts do in its window is told wave by wave, and nobody is in two.
#[test]
fn windows_of_the_waves_are_those_of_all() {
    let mut script = two_steps();
    play(EVERYTHING, &mut script);
    let told = script.shown.iter().flat_map(|(_, seen)| &seen.strata);
    let (mut waves, mut bad) = (0, 0);
    let mut handed = true;
    for stratum in told {
        for (horizon, whole) in stratum.windows.iter().enumerate() {
            let each = stratum.by_wave(horizon).unwrap_or_default();
            assert_eq!(each.len(), stratum.waves.len());
            let sum = |of: fn(&Window) -> u32| each.iter().map(of).sum::<u32>();
            let mut arms = each.iter().zip(&stratum.waves);
            handed &= arms.all(|(w, arm)| w.at_risk.max(w.clean) <= arm.hosts);
            assert_eq!(sum(|w| w.at_risk), whole.at_risk);
            assert_eq!((sum(|w| w.bad), sum(|w| w.clean)), (whole.bad, whole.clean));
            (waves, bad) = (each.len().max(waves), bad + whole.bad);
        }
    }
    assert!(waves == 2 && bad > 100, "{waves} {bad}");
    assert!(handed, "a wave's window has more hosts than the wave");
}

/// With nothing wrong, first silences per host and tick at risk are alike in waves, controls, gauge
/// and windows.
#[test]
fn treated_hosts_and_controls_fall_silent_alike() {
    let mut rates = [(0_u64, 0_u64); 4];
    for seed in 0..10 {
        let mut script = Script::new(&[30_000, 10_000], &[(0.0, 13_000)]);
        script.shape.horizons_s = vec![0.0, 600.0];
        let text = "background_per_h = 0.5\nends_s = 600.0\n[presence]\nflapping_share = 0.1\n\
                    flapping_every_s = 600.0\n";
        played(&scenario(40_000, text), &mut script, seed, 0, false);
        for (_, seen) in &script.shown {
            for stratum in &seen.strata {
                let mut add = |at: usize, new: u32, at_risk: u32| {
                    rates[at].0 += u64::from(new);
                    rates[at].1 += u64::from(at_risk);
                };
                stratum.waves.iter().for_each(|a| add(0, a.silence.new, a.silence.at_risk));
                add(1, stratum.controls.silence.new, stratum.controls.silence.at_risk);
                add(2, stratum.gauge.silence.new, stratum.gauge.silence.at_risk);
                stratum.windows.get(1).into_iter().for_each(|w| add(3, w.bad, w.at_risk));
            }
        }
    }
    let rate = |(new, at_risk): (u64, u64)| new as f64 / at_risk as f64;
    for (at, one) in rates.iter().enumerate() {
        let error = (one.0 as f64).sqrt() / one.1 as f64;
        let apart = (rate(*one) - rate(rates[1])).abs();
        assert!(one.0 > 5000, "{rates:?}");
        assert!(apart < 4.5 * error, "arm {at}: {} {} {error}", rate(*one), rate(rates[1]));
    }
}

/// A dead host is seen to be so 12 s after its last contact, and that follows from its cadence: an
/// own phase before the update, the moment of activation after it.
#[test]
fn silence_shows_when_the_last_contact_is_long_enough_ago() {
    let mut script = Script::new(&[4000], &[(0.0, 2000)]);
    script.shape.silent_after_s = 12.0;
    script.shape.controls = vec![2000];
    let text = "ends_s = 200.0\ndelivery = { hosts_per_s = 50000, within_s = 0.0 }\n\
                outages = [{ common = { at_s = 60.0, share = 1.0 } }]\n";
    play(text, &mut script);
    let silent = |at_s: f64| {
        let (_, seen) = script.shown.iter().find(|(shown, _)| *shown == at_s).unwrap();
        let s = &seen.strata[0];
        (s.waves[0].silence.new, s.controls.silence.new + s.gauge.silence.new)
    };
    let loud = (1..40).map(|tick| f64::from(tick) * 5.0);
    let loud: Vec<f64> = loud.filter(|at_s| silent(*at_s) != (0, 0)).collect();
    // First activation just after 0: the outage comes at the first boundary after 60 s, at 65 s.
    // Treated hosts were last heard of just after 60 s; controls at any time from then on, and three
    // in five of them before 63 s.
    assert_eq!(loud, vec![75.0, 80.0]);
    assert_eq!(silent(75.0).0, 2000);
    let (_, early) = silent(75.0);
    assert!((1100..1300).contains(&early) && early + silent(80.0).1 == 2000, "{early}");
}

#[test]
fn announced_restarts_are_not_silence_and_a_host_that_stays_away_is() {
    let text = |rate: &str| {
        format!(
            "ends_s = 1200.0\n[fault]\nrate = {rate}\nshows = {{ next_boot = {{ boots_per_h = 20.0 }} }}\n"
        )
    };
    let mut script = Script::new(&[3000], &[(0.0, 1000)]);
    let Played { outcome, census } = play(&text("0.0"), &mut script);
    assert!(outcome.events > 10_000, "nobody restarted");
    assert_eq!(census.silent, 0);
    let away = |seen: &Observation| total(seen, |arm| arm.silence);
    let (at_risk, hosts) = away(&script.shown.last().unwrap().1);
    assert!(at_risk < hosts && at_risk > hosts / 2, "{at_risk} of {hosts}");

    let mut script = Script::new(&[3000], &[(0.0, 1000)]);
    let census = play(&text("1.0"), &mut script).census;
    assert_eq!(census.silent, census.crashed, "only hosts that crashed stayed away");
    assert!(census.crashed > 990);
}

#[test]
fn sleeping_hosts_are_away_and_take_the_update_when_they_wake() {
    let mut script = Script::new(&[10_000], &[(0.0, 10_000)]);
    let text = "ends_s = 3600.0\n[presence]\nasleep_share = 0.4\nwakes_per_h = 2.0\n";
    let out = play(text, &mut script).outcome;
    let at = |tick: usize| {
        let wave = script.shown[tick].1.strata[0].waves[0];
        (wave.silence.at_risk, script.seen[tick][0].delivered)
    };
    let (at_risk, delivered) = at(5);
    assert!((5800..6300).contains(&at_risk) && delivered.abs_diff(at_risk) < 60, "{:?}", at(5));
    // 4000 e^-2 sleep on.
    let (at_risk, delivered) = at(720);
    assert!((9300..9600).contains(&at_risk) && delivered.abs_diff(at_risk) < 60, "{:?}", at(720));
    assert!(out.t99_s.is_some_and(|s| s < 20.0), "those asleep are not online: {:?}", out.t99_s);
}

#[test]
fn outages_take_their_share_everywhere_at_once() {
    let silent = |text: &str| {
        let mut script = Script::new(&SIZES, &[(0.0, 16)]);
        let census = play(&format!("ends_s = 300.0\n{text}"), &mut script).census;
        census.silent
    };
    let common = silent("outages = [{ common = { at_s = 60.0, share = 0.05 } }]\n");
    assert!((400..600).contains(&common), "{common}");
    let twice = "outages = [{ common = { at_s = 60.0, share = 0.05 } }, \
                 { common = { at_s = 60.0, share = 0.05 } }]\n";
    let twice = silent(twice);
    assert!((850..1100).contains(&twice), "two outages take different hosts: {twice}");
    // 50 sites, 295 seconds that show, 6 per site and hour: 24.6 outages, 50 (1 - e^-0.49) = 19 sites.
    let sites = silent("outages = [{ sites = { sites = 50, per_h = 6.0 } }]\n");
    assert!((2400..5400).contains(&sites), "{sites}");
}
