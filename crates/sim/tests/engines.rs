//! Both engines on the same scenarios: what is played by counts comes to the same, on average, as what is
//! played host by host. Means of many runs of each on small fleets; they may differ by 4.5 standard errors
//! of their difference, and by what a case names where one engine rounds and the other does not.
#![expect(clippy::unwrap_used, reason = "a test stops where it is wrong")]
use andon_sim::controller::Controller as _;
use andon_sim::engine::{self, Mode};
use andon_sim::outcome::RunOutcome;
use andon_sim::peers::Peer;
use andon_sim::policy::{self, PolicySpec};
use andon_sim::runs::Runs;
use andon_sim::scenario::Scenario;
use andon_sim::{catalogue, scenario_file};

const ERRORS_MAX: f64 = 4.5;

fn scenario(hosts: u64, text: &str) -> Scenario {
    let head = format!("name = \"test\"\nabout = \"x\"\nhosts = {hosts}\n");
    scenario_file::parse("test.toml", &format!("{head}{text}")).unwrap()
}

fn ours(numbers: &str) -> PolicySpec {
    policy::parse("p.toml", &format!("name = \"p\"\nabout = \"x\"\n[kind.andon]\n{numbers}"))
        .unwrap()
}

fn named(name: &str) -> PolicySpec {
    catalogue::policy(name).unwrap()
}

fn outcomes(scenario: &Scenario, policy: &PolicySpec, mode: Mode, runs: u64) -> Vec<RunOutcome> {
    Runs { scenario, policy, mode, seed: 11, runs, threads: 2 }.play(&|_| {})
}

/// Mean, and the square of its standard error.
fn mean(figures: &[f64]) -> (f64, f64) {
    let n = figures.len() as f64;
    let mean = figures.iter().sum::<f64>() / n;
    let squares: f64 = figures.iter().map(|x| (x - mean).powi(2)).sum();
    (mean, squares / (n - 1.0) / n)
}

/// Outcomes of both engines: by counts, and host by host.
struct Both {
    counts: Vec<RunOutcome>,
    individual: Vec<RunOutcome>,
    /// between two ticks
    tick_s: f64,
    /// hosts that fall silent by themselves in a tick: one engine takes them before the activations
    silent_per_tick: f64,
}

impl Both {
    fn play(scenario: &Scenario, policy: &PolicySpec, runs: u64) -> Both {
        let peer = Peer::new(&policy.kind, &scenario.sizes());
        let tick_s = peer.and_then(|peer| peer.shape()).map_or(5.0, |shape| shape.beat_s);
        Both {
            counts: outcomes(scenario, policy, Mode::Counts, runs),
            individual: outcomes(scenario, policy, Mode::Individual, runs),
            tick_s,
            silent_per_tick: scenario.hosts as f64 * scenario.background_per_h * tick_s / 3600.0,
        }
    }

    /// The means of a figure; they must be alike.
    fn alike(&self, what: &str, rounding: f64, figure: fn(&RunOutcome) -> f64) -> (f64, f64) {
        let of = |outcomes: &[RunOutcome]| mean(&outcomes.iter().map(figure).collect::<Vec<_>>());
        let ((counts, own), (individual, other)) = (of(&self.counts), of(&self.individual));
        let (apart, error) = ((counts - individual).abs(), (own + other).sqrt());
        assert!(
            apart <= ERRORS_MAX * error + rounding,
            "{what}: {counts} by counts, {individual} host by host, standard error {error}"
        );
        (counts, individual)
    }

    fn all_alike(&self) {
        self.alike("exposed", self.silent_per_tick, |one| one.exposed as f64);
        self.alike("crashed", 0.0, |one| one.crashed as f64);
        self.alike("infected", 0.5, |one| one.infected as f64);
        self.alike("halted", 0.0, |one| f64::from(u8::from(one.halted_s.is_some())));
        self.alike("violations", 0.0, |one| one.violations as f64);
        // One engine knows the millisecond of an activation, the other its tick; both look at ticks.
        self.alike("t99", 2.0 * self.tick_s, |one| one.t99_s.unwrap_or(0.0));
        self.alike("confirmed99", 2.0 * self.tick_s, |one| one.confirmed99_s.unwrap_or(0.0));
    }
}

#[test]
fn a_campaign_hits_as_many_by_counts_as_host_by_host() {
    let fleet = scenario(20_000, "attack = { hazard = { per_min = 0.02 } }\n");
    for policy in ["andon", "all-at-once"] {
        let both = Both::play(&fleet, &named(policy), 40);
        both.all_alike();
        let (infected, _) = both.alike("infected", 0.5, |one| one.infected as f64);
        assert!((30.0..6000.0).contains(&infected), "{policy}: {infected}");
    }
}

/// The individual engine plays the mean of the law; a worm of few hosts has a mean below it, by a share of
/// the order of one in as many as it began with.
#[test]
fn a_worm_spreads_by_counts_as_host_by_host() {
    let fleet = scenario(20_000, "attack = { spreads = { per_min = 0.6, infected = 400 } }\n");
    for policy in ["andon", "all-at-once"] {
        let both = Both::play(&fleet, &named(policy), 40);
        both.all_alike();
        let (infected, _) = both.alike("infected", 0.5, |one| one.infected as f64);
        assert!((410.0..15_000.0).contains(&infected), "{policy}: {infected}");
    }
}

/// Peers have the same hosts: a day of rings, a worm that takes all who come late.
#[test]
fn an_attack_goes_on_under_slow_peers_to_their_end() {
    let fleet = scenario(5000, "attack = { spreads = { per_min = 0.01, infected = 50 } }\n");
    let both = Both::play(&fleet, &named("rings-24h"), 12);
    both.all_alike();
    let (infected, _) = both.alike("infected", 0.5, |one| one.infected as f64);
    assert!(infected > 2000.0, "{infected}");
    // After a halt too: whoever has not got it by then is open to the end.
    let halted = scenario(5000, "attack = { hazard = { per_min = 0.005 } }\n[fault]\nrate = 1.0\n");
    let both = Both::play(&halted, &named("andon"), 30);
    both.all_alike();
    let (infected, _) = both.alike("infected", 0.5, |one| one.infected as f64);
    // 4,984 hosts (1 - exp(-0.6)).
    assert!((2150.0..2350.0).contains(&infected), "{infected}");
}

/// Without a pace a thief moves everybody; against the pace of a signed policy nobody.
#[test]
fn a_thief_reaches_by_counts_whom_a_thief_reaches_host_by_host() {
    for fault in ["", "[fault]\nrate = 0.3\n", "[fault]\nrate = 0.3\nshows = { after = 600.0 }\n"] {
        let fleet = scenario(4000, &format!("theft = \"online_key\"\n{fault}"));
        let both = Both::play(&fleet, &named("rings-24h"), 16);
        both.all_alike();
        assert!(both.counts.iter().all(|one| one.violations == 1 && one.exposed > 3900), "{fault}");
        let both = Both::play(
            &scenario(20_000, &format!("theft = \"online_key\"\n{fault}")),
            &named("andon"),
            30,
        );
        both.all_alike();
        assert!(both.counts.iter().all(|one| one.violations == 0));
    }
}

/// Paces that let a thief's ticket through, always and sometimes; and a gate that then has hosts among its
/// controls that obeyed the thief.
#[test]
fn a_thief_within_the_pace_is_believed_by_counts_as_host_by_host() {
    let always = "soak_min_s = 20.0\nfirst_wave = 100\ngrowth_max_permille = 1000000\n\
                  budget = [{ after_s = 120.0, hosts_max = 500 }]\n";
    let sometimes = "soak_min_s = 5.0\n";
    for fault in
        ["", "rate = 0.3\nshows = { after = 70.0 }\n", "rate = 0.3\nshows = { after = 600.0 }\n"]
    {
        let fault = if fault.is_empty() { String::new() } else { format!("[fault]\n{fault}") };
        let fleet = "theft = \"online_key\"\nstrata = { count = 4, exponent = 1.0 }\n";
        let fleet = scenario(60_000, &format!("{fleet}{fault}"));
        let both = Both::play(&fleet, &ours(always), 20);
        both.all_alike();
        assert!(both.counts.iter().all(|one| one.violations > 0 && one.exposed > 59_900));
        let both = Both::play(&fleet, &ours(sometimes), 40);
        both.all_alike();
        let (believed, _) = both.alike("violations", 0.0, |one| one.violations as f64);
        assert!(believed > 0.2, "{believed}");
    }
}

#[test]
fn sybils_lie_by_counts_as_host_by_host() {
    let healthy =
        "theft = { sybils = { share = 0.3, fake_crashes = false } }\n[fault]\nrate = 0.2\n";
    let crying = "theft = { sybils = { share = 0.3, fake_crashes = true } }\n";
    let few =
        "theft = { sybils = { share = 0.001, fake_crashes = true } }\n[fault]\nrate = 0.0005\n";
    for text in [healthy, crying, few] {
        for policy in ["andon", "all-at-once"] {
            let noisy = format!("background_per_h = 0.5\nends_s = 1800.0\n{text}");
            let both = Both::play(&scenario(20_000, &noisy), &named(policy), 40);
            both.all_alike();
        }
    }
}

#[test]
fn laptops_wake_by_counts_as_host_by_host() {
    let asleep = "presence = { asleep_share = 0.4, wakes_per_h = 2.0, clock_skew_s = 60.0 }\n";
    for (policy, more) in [
        ("all-at-once", ""),
        ("andon", ""),
        ("andon", "outages = [{ common = { at_s = 60.0, share = 0.3 } }]\n"),
        ("all-at-once", "[fault]\nrate = 0.1\n"),
    ] {
        let fleet = scenario(20_000, &format!("ends_s = 3600.0\n{asleep}{more}"));
        let both = Both::play(&fleet, &named(policy), 30);
        both.all_alike();
        let (exposed, _) = both.alike("exposed", 0.0, |one| one.exposed as f64);
        // 8,000 e^-2 sleep on.
        assert!(exposed < 19_200.0, "{policy}: {exposed}");
    }
}

/// The same seed, the same run; another seed, another; and none of it hangs on the number of threads.
#[test]
fn attacks_thefts_and_sleepers_are_drawn_from_the_seed() {
    for text in [
        "attack = { spreads = { per_min = 0.5, infected = 100 } }\n",
        "attack = { hazard = { per_min = 0.01 } }\n",
        "theft = { sybils = { share = 0.1, fake_crashes = true } }\n",
        "presence = { asleep_share = 0.4, wakes_per_h = 2.0, clock_skew_s = 30.0 }\n",
    ] {
        let (fleet, policy) = (scenario(3000, text), named("andon"));
        let play = |seed, threads| {
            Runs { scenario: &fleet, policy: &policy, mode: Mode::Counts, seed, runs: 6, threads }
                .play(&|_| {})
        };
        assert_eq!(play(1, 1), play(1, 3), "{text}");
        assert_ne!(play(1, 1), play(2, 1), "{text}");
        let traced = |trace| engine::play(&fleet, &policy, Mode::Counts, 1, 0, trace).trace_hash;
        assert_eq!(traced(true), traced(false), "{text}");
    }
}
