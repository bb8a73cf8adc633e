//! Known answers: the cases an operator would ask about, and two that can be solved on paper.
use andon_rollout::tradeoff::{Advice, Attack, FixedPolicy, Inputs, Weighted, World, advise};

/// The fleet of July 2024.
const HOSTS: u64 = 8_500_000;

fn hazard_per_hour(rate: f64) -> Attack {
    Attack::Hazard { rate_per_min: rate / 60.0 }
}

fn worm(per_hour: f64, infected: f64) -> Attack {
    Attack::Spread { rate_per_min: per_hour / 60.0, infected_share: infected / HOSTS as f64 }
}

fn advice(change: impl FnOnce(&mut Inputs)) -> Advice {
    let mut inputs = Inputs::of_fleet(HOSTS);
    change(&mut inputs);
    advise(&World::new(&inputs).unwrap())
}

fn against(attack: Attack) -> Advice {
    advice(|inputs| inputs.attack = attack)
}

fn ratio(advice: &Advice, policy: FixedPolicy) -> f64 {
    advice.alternatives.iter().find(|a| a.policy == policy).unwrap().ratio.unwrap()
}

#[test]
fn a_routine_vulnerability_is_met_slowly() {
    let plan = against(hazard_per_hour(1e-6));
    assert!((240.0..1440.0).contains(&plan.t99_min), "{plan:#?}");
    assert!(ratio(&plan, FixedPolicy::AtOnce) > 300.0, "{plan:#?}");
    assert!(ratio(&plan, FixedPolicy::Rings24h) > 4.0, "{plan:#?}");
    assert!(plan.waves().len() > 2, "{plan:#?}");
}

#[test]
fn the_faster_the_attack_the_faster_the_plan() {
    let rates = [1e-6, 1e-4, 1e-2];
    let t99 = rates.map(|rate| against(hazard_per_hour(rate)).t99_min);
    assert!(t99[0] > 3.0 * t99[1] && t99[1] > 3.0 * t99[2], "{t99:?}");
}

#[test]
fn mass_exploitation_gets_canaries_and_then_everybody() {
    let plan = against(hazard_per_hour(1e-2));
    assert!((0.5..10.0).contains(&plan.t99_min), "{plan:#?}");
    let first = plan.waves()[0].hosts_total;
    assert!(first < 0.01 * HOSTS as f64, "{plan:#?}");
    assert!(ratio(&plan, FixedPolicy::AtOnce) > 2.0, "{plan:#?}");
    assert!(ratio(&plan, FixedPolicy::Rings24h) > 100.0, "{plan:#?}");
}

#[test]
fn a_fast_worm_is_met_at_once_and_a_slow_one_by_waves() {
    // one that doubles every 83 seconds: enough hosts at once to break its growth, none to wait for
    let fast = against(worm(30.0, 100.0));
    let soon = fast.waves().iter().rev().find(|wave| wave.at_min < 0.1).unwrap();
    assert!(soon.hosts_total > 0.7 * HOSTS as f64, "{fast:#?}");
    assert!(ratio(&fast, FixedPolicy::AtOnce) < 2.0, "{fast:#?}");
    assert!(ratio(&fast, FixedPolicy::Rings24h) > 100.0, "{fast:#?}");
    // one that doubles every eight: everybody at once, whatever the update may do
    let faster = against(worm(300.0, 75_000.0));
    assert_eq!((faster.waves().len(), faster.t99_min), (1, 0.0), "{faster:#?}");
    // a worm of Code Red's speed, early
    let slow = against(worm(1.8, 1000.0));
    assert!((4.0..60.0).contains(&slow.t99_min), "{slow:#?}");
    assert!(ratio(&slow, FixedPolicy::AtOnce) > 5.0, "{slow:#?}");
    assert!(ratio(&slow, FixedPolicy::Rings24h) > 1000.0, "{slow:#?}");
}

#[test]
fn hosts_that_heal_themselves_are_updated_faster_but_only_as_far_as_healing_is_sure() {
    let healing = |heal: &[(f64, f64)]| {
        advice(|inputs| {
            inputs.heal = heal.iter().map(|(share, p)| Weighted::new(*share, *p)).collect();
        })
    };
    let (none, mostly) = (healing(&[(0.0, 1.0)]), healing(&[(0.99, 0.9), (0.0, 0.1)]));
    assert!(2.0 * mostly.t99_min < none.t99_min, "{none:#?} {mostly:#?}");
    assert!(2.0 * mostly.outcome.loss_host_hours < none.outcome.loss_host_hours);
    // The same expected share, but never all or nothing: 0.891 of the crashes, always.
    let evenly = healing(&[(0.891, 1.0)]);
    assert!(evenly.outcome.loss_host_hours < mostly.outcome.loss_host_hours);
}

#[test]
fn a_vendor_with_clean_updates_goes_faster() {
    let t99 = |faulty| advice(|inputs| inputs.faulty_probability = faulty).t99_min;
    let times = [0.1, 0.01, 0.001].map(t99);
    assert!(times[0] > times[1] && times[1] > times[2], "{times:?}");
}

#[test]
fn an_update_that_cannot_be_faulty_goes_everywhere_at_once_and_others_are_priced_against_it() {
    let plan = advice(|inputs| inputs.faulty_probability = 0.0);
    assert_eq!((plan.waves().len(), plan.t99_min), (1, 0.0));
    assert_eq!(plan.outcome.loss_host_hours, 0.0);
    assert_eq!(plan.alternatives[0].ratio, Some(1.0));
    assert_eq!(plan.alternatives[1].ratio, None);
    assert!(plan.minute_host_hours > 0.0);
}

#[test]
fn a_minute_costs_what_the_attack_takes_in_it() {
    // (1 − ε) and ε alike: N λ c_i, less the few hosts already taken.
    let plan = against(hazard_per_hour(1e-4));
    let want = HOSTS as f64 * 1e-4 / 60.0 * 80.0;
    assert!((plan.minute_host_hours / want - 1.0).abs() < 0.01, "{}", plan.minute_host_hours);
}

/// Crash cost linear: the plan is bang-bang. Canaries, then everybody once the density of faults
/// still hidden is too small to pay for another minute (Beattie and others 2002: risk curves cross).
/// Waiting from D_k to the next delay D costs (1 − ε) λ c_i (D − D_k), and saves ε c_c q π(D), both
/// per host.
#[test]
fn linear_crash_cost_gives_canaries_then_everybody_where_the_risk_curves_cross() {
    let delays = [(0.0, 0.6), (2.0, 0.2), (10.0, 0.1), (50.0, 0.07), (300.0, 0.03)];
    let (faulty, cost, crash_hours, lambda) = (0.01, 80.0, 5.0, 2e-7);
    let plan = advice(|inputs| {
        inputs.attack = Attack::Hazard { rate_per_min: lambda };
        inputs.faulty_probability = faulty;
        inputs.infected_cost_host_hours = cost;
        inputs.fault_delays = delays.map(|(delay, p)| Weighted::new(delay, p)).to_vec();
        inputs.kill_fractions = vec![Weighted::new(1.0, 1.0)];
        inputs.repair_host_hours = crash_hours;
        inputs.repairs_per_min = 1e9;
        inputs.fix_min = 0.0;
    });
    let worth = |pair: &&[(f64, f64)]| {
        let wait = (1.0 - faulty) * lambda * cost * (pair[1].0 - pair[0].0);
        wait < faulty * crash_hours * pair[1].1
    };
    let last = delays.windows(2).take_while(worth).last().unwrap()[1].0;
    assert!(last > 0.0 && last < 300.0, "the case is trivial: {last}");
    assert_eq!(plan.waves().len(), 2, "{plan:#?}");
    assert_eq!(plan.waves()[0].hosts_total, 3.0, "{plan:#?}");
    assert_eq!(plan.waves()[1].at_min, last + 1.0, "{plan:#?}");
}

/// Crash cost quadratic (a repair queue): exposure is inversely proportional to the density of
/// faults still hidden. While the fault delay D is awaited for ΔD minutes, n = (1 − ε) λ c_i ΔD ·
/// 60 ρ / (ε q² π(D)) hosts, at most all.
#[test]
fn quadratic_crash_cost_gives_exposure_inverse_to_the_hidden_faults() {
    let delays = [(0.0, 0.39), (2.0, 0.25), (5.0, 0.17), (9.0, 0.10), (14.0, 0.06), (20.0, 0.03)];
    let (faulty, cost, repairs, lambda) = (0.01, 80.0, 9500.0, 1e-5);
    let plan = advice(|inputs| {
        inputs.attack = Attack::Hazard { rate_per_min: lambda };
        inputs.faulty_probability = faulty;
        inputs.infected_cost_host_hours = cost;
        inputs.fault_delays = delays.map(|(delay, p)| Weighted::new(delay, p)).to_vec();
        inputs.kill_fractions = vec![Weighted::new(1.0, 1.0)];
        inputs.repair_host_hours = 0.0;
        inputs.repairs_per_min = repairs;
        inputs.fix_min = 0.0;
    });
    let exposed = |time: f64| {
        let out = plan.waves().iter().rev().find(|wave| wave.at_min <= time + 1e-6);
        out.map_or(0.0, |wave| wave.hosts_total)
    };
    let sum: f64 = delays.iter().map(|(_, p)| p).sum();
    let mut off = Vec::new();
    for pair in delays.windows(2) {
        let ((from, _), (to, p)) = (pair[0], pair[1]);
        let want =
            (1.0 - faulty) * lambda * cost * (to - from) * repairs * 60.0 / (faulty * p / sum);
        let want = want.min(HOSTS as f64);
        let got = exposed(from + 1.0);
        off.extend(((got / want - 1.0).abs() > 0.05).then_some((from, got, want)));
    }
    // one wave is worth so little that a simpler plan goes without it
    assert!(off.len() <= 1, "{off:?}\n{plan:#?}");
}
