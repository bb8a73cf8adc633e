//! Inputs that make no sense are refused by name; those at the ends of their ranges are not, and give
//! finite answers.
use andon_rollout::tradeoff::{Attack, InputError, Inputs, MIXTURE_MAX, Weighted, World, advise};

type Change = fn(&mut Inputs, f64);

fn hazard(inputs: &mut Inputs, rate_per_min: f64) {
    inputs.attack = Attack::Hazard { rate_per_min };
}
fn spread(inputs: &mut Inputs, rate_per_min: f64) {
    inputs.attack = Attack::Spread { rate_per_min, infected_share: 0.1 };
}
fn infected(inputs: &mut Inputs, infected_share: f64) {
    inputs.attack = Attack::Spread { rate_per_min: 0.1, infected_share };
}

const FIELDS: [(&str, Change, f64, f64); 16] = [
    ("attack_rate_per_min", hazard, 0.0, 1e6),
    ("spread_per_min", spread, 0.0, 1e6),
    ("infected_share", infected, 0.0, 1.0),
    ("infected_cost_host_hours", |i, v| i.infected_cost_host_hours = v, 0.0, 1e9),
    ("faulty_probability", |i, v| i.faulty_probability = v, 0.0, 1.0),
    ("fault_delays", |i, v| i.fault_delays[0].value = v, 0.0, 1e6),
    ("fault_delays", |i, v| i.fault_delays[0].weight = v, 0.0, 1e9),
    ("kill_fractions", |i, v| i.kill_fractions[0].value = v, 1e-9, 1.0),
    ("heal", |i, v| i.heal[0].value = v, 0.0, 1.0),
    ("repairs_per_min", |i, v| i.repairs_per_min = v, 1e-6, 1e9),
    ("repair_host_hours", |i, v| i.repair_host_hours = v, 0.0, 1e6),
    ("fallback_min", |i, v| i.fallback_min = v, 0.0, 1e6),
    ("detection_min", |i, v| i.detection_min = v, 0.001, 1e6),
    ("fix_min", |i, v| i.fix_min = v, 0.0, 1e7),
    ("alpha", |i, v| i.alpha = v, 1e-9, 0.5),
    ("delta", |i, v| i.delta = v, 1e-9, 0.5),
];

fn made(hosts: u64, change: Change, value: f64) -> Result<World, InputError> {
    let mut inputs = Inputs::of_fleet(hosts);
    change(&mut inputs, value);
    World::new(&inputs)
}

#[test]
fn infinite_missing_negative_and_overflowing_numbers_are_refused_by_name() {
    for (name, change, least, most) in FIELDS {
        for value in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            let want = Err(InputError::NotFinite { field: name });
            assert_eq!(made(1000, change, value), want, "{name} = {value}");
        }
        for value in [-1.0, -f64::MIN_POSITIVE, f64::MAX, most * 1.001, least - 1e-12] {
            let want = Err(InputError::Range { field: name, value, least, most });
            assert_eq!(made(1000, change, value), want, "{name} = {value}");
        }
    }
}

#[test]
fn numbers_at_the_ends_of_their_ranges_give_finite_advice() {
    for hosts in [1, 2, 50_000_000] {
        for (name, change, least, most) in FIELDS {
            for value in [least, most] {
                let advice = advise(&made(hosts, change, value).unwrap());
                let out = advice.outcome;
                let figures = [
                    out.loss_host_hours,
                    out.crashed_if_faulty,
                    advice.t99_min,
                    advice.minute_host_hours,
                    advice.sensitivity.iter().map(|s| s.best_loss_host_hours).sum(),
                ];
                let fine = figures.iter().all(|f| f.is_finite()) && out.loss_host_hours >= 0.0;
                assert!(fine, "{hosts} hosts, {name} = {value}: {advice:?}");
                assert!(advice.waves().iter().all(|w| w.at_min >= 0.0 && w.at_min.is_finite()));
            }
        }
    }
}

#[test]
fn fleets_and_budgets_of_no_or_too_many_hosts_are_refused() {
    for hosts in [0, 50_000_001, u64::MAX] {
        let refused = World::new(&Inputs::of_fleet(hosts)).unwrap_err();
        assert!(matches!(refused, InputError::Range { field: "hosts", .. }), "{refused}");
    }
    for budget_hosts in [0, u64::MAX] {
        let refused = World::new(&Inputs { budget_hosts, ..Inputs::of_fleet(10) }).unwrap_err();
        assert!(matches!(refused, InputError::Range { field: "budget_hosts", .. }), "{refused}");
    }
}

#[test]
fn mixtures_that_are_empty_too_long_or_without_weight_are_refused() {
    type Mixture = fn(&mut Inputs) -> &mut Vec<Weighted>;
    let mixtures: [(&'static str, Mixture); 3] = [
        ("fault_delays", |i| &mut i.fault_delays),
        ("kill_fractions", |i| &mut i.kill_fractions),
        ("heal", |i| &mut i.heal),
    ];
    for (field, of) in mixtures {
        for count in [0, MIXTURE_MAX + 1] {
            let mut inputs = Inputs::of_fleet(10);
            *of(&mut inputs) = vec![Weighted::new(0.5, 1.0); count];
            let want = Err(InputError::Entries { field, count, most: MIXTURE_MAX });
            assert_eq!(World::new(&inputs), want);
        }
        let mut inputs = Inputs::of_fleet(10);
        *of(&mut inputs) = vec![Weighted::new(0.5, 0.0); 2];
        assert_eq!(World::new(&inputs), Err(InputError::Weightless { field }));
        *of(&mut inputs) = vec![Weighted::new(0.5, f64::NAN)];
        assert_eq!(World::new(&inputs), Err(InputError::NotFinite { field }));
    }
}
