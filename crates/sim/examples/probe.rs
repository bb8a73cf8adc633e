//! Runs one kind of rollout many times by counts and prints what came of it.
use andon_sim::andon::{Andon, AndonPolicy, Point};
use andon_sim::counts;
use andon_sim::scenario::{Fault, Outage, Place, Rate, Scenario, Shows};

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let which = args.get(1).map_or("good", String::as_str);
    let runs: u64 = args.get(2).and_then(|n| n.parse().ok()).unwrap_or(5);
    let mut scenario: Scenario = toml::from_str("name='x'\nabout='x'\nhosts=8500000\n").unwrap();
    let mut policy = AndonPolicy::default();
    let fault = |rate: f64| {
        Some(Fault {
            rate: Rate::Fixed(rate),
            place: Place::Everywhere,
            shows: Shows::AtLoad,
            reports_share: 0.0,
        })
    };
    let point =
        |after_s: f64, hosts_max: u64| Point { after_s, hosts_max, share_max_ppm: 1_000_000 };
    match which {
        "july" => scenario.fault = fault(1.0),
        "law" => {
            scenario.fault = Some(Fault {
                rate: Rate::LogUniform { low: 1e-6, high: 1.0 },
                place: Place::AnyStratumOrAll { hosts_min: 20_000 },
                shows: Shows::AtLoad,
                reports_share: 0.0,
            });
            scenario.ends_s = 900.0;
        }
        "lawall" => {
            scenario.fault = Some(Fault {
                rate: Rate::LogUniform { low: 8e-6, high: 4e-5 },
                place: Place::Everywhere,
                shows: Shows::AtLoad,
                reports_share: 0.0,
            });
            scenario.ends_s = 900.0;
        }
        "outage" => scenario.outages = vec![Outage::Common { at_s: -300.0, share: 0.05 }],
        "sites" => scenario.outages = vec![Outage::Sites { sites: 1000, per_h: 1e-3 }],
        "850" => policy.budget = vec![point(0.0, 850)],
        "10min-8500" => policy.budget = vec![point(0.0, 100), point(60.0, 850), point(600.0, 8500)],
        "10min-850" => policy.budget = vec![point(0.0, 100), point(600.0, 850)],
        _ => {}
    }
    if let Some(gap) = args.get(3).and_then(|n| n.parse().ok()) {
        policy.soak_min_s = gap;
    }
    if let Some(c) = args.get(4).and_then(|n| n.parse().ok()) {
        policy.controls_max = c;
    }
    if let Some(b) = args.get(5).and_then(|n| n.parse().ok()) {
        policy.beat_s = b;
        policy.silent_after_s = 3.0 * b;
    }
    if let Some(w) = args.get(6).and_then(|n| n.parse().ok()) {
        policy.window_s = w;
        policy.soak_min_s = policy.delivery_s + w + policy.silent_after_s;
    }
    let sizes = scenario.sizes();
    let started = std::time::Instant::now();
    let mut all = Vec::new();
    for run in 0..runs {
        let mut andon = Andon::new(&policy, &sizes, run);
        let out = counts::run(&scenario, &mut andon, 1, run, runs == 1);
        if runs <= 10 {
            println!(
                "crashed {} exposed {} handed {} halted {:?} t99 {:?} conf {:?} viol {}",
                out.crashed,
                out.exposed,
                out.handed,
                out.halted_s,
                out.t99_s,
                out.confirmed99_s,
                out.violations
            );
        }
        if out.t99_s.is_none() && scenario.fault.is_none() && !out.false_halt {
            let e = andon.rollout().explain(andon_sim::andon::START);
            println!(
                "stuck run {run} handed {} {:?} e {:.1} {:?}",
                e.handed,
                e.reason,
                e.evidence.e,
                e.decisions.iter().map(|d| (d.at.0 - 1_000_000_000) / 1000).collect::<Vec<_>>()
            );
            println!("   {:?}", e.evidence.horizons);
        }
        if out.false_halt {
            let e = andon.rollout().explain(andon_sim::andon::START);
            println!(
                "{:?} {:?}",
                e.reason,
                e.decisions.iter().map(|d| (d.at.0 - 1_000_000_000) / 1000).collect::<Vec<_>>()
            );
            for c in &e.evidence.channels {
                println!("  {c:?}");
            }
            let mut st = e.evidence.strata.clone();
            st.sort_by(|a, b| b.e.total_cmp(&a.e));
            for s in st.iter().take(4) {
                println!("  {s:?}");
            }
        }
        if runs == 1 {
            let e = andon.rollout().explain(andon_sim::andon::START);
            for d in &e.decisions {
                println!("{} {:?}", (d.at.0 - 1_000_000_000) / 1000, d.decision);
            }
            println!("{:?}\n{:?}", e.reason, e.budget);
        }
        all.push(out);
    }
    let mut t: Vec<f64> = all.iter().filter_map(|o| o.t99_s).collect();
    t.sort_by(f64::total_cmp);
    let mut c: Vec<u64> = all.iter().map(|o| o.crashed).collect();
    c.sort_unstable();
    println!(
        "runs {} t99 n {} median {:?} max {:?}; crashed median {} p999 {} max {}; halted {} viol {}; {:.1} ms per run",
        runs,
        t.len(),
        t.get(t.len() / 2),
        t.last(),
        c[c.len() / 2],
        c[(c.len() * 999) / 1000],
        c[c.len() - 1],
        all.iter().filter(|o| o.halted_s.is_some()).count(),
        all.iter().filter(|o| o.violations > 0).count(),
        started.elapsed().as_secs_f64() * 1000.0 / runs as f64
    );
}
