//! What a line of so many hosts cannot see: said in hosts, and true of the gate itself.
use crate::lines::stratum;
use crate::world::{Trouble, World, plan};
use andon_model::StratumId;
use andon_rollout::StateName;
use andon_rollout::lines::{cannot_see, hosts_to_halt, unseen_rate};

/// Figures of research (gate, 3.3): background 5e-5 per look, α = 0.001.
#[test]
fn what_a_line_cannot_see_is_said_in_hosts() {
    for (rate, wanted) in
        [(1.0, 1), (0.1, 11), (0.01, 161), (0.001, 3376), (1e-4, 358_000), (5e-5, u64::MAX)]
    {
        let hosts = hosts_to_halt(rate, 5e-5, 1e-3);
        let close = hosts.abs_diff(wanted) as f64 <= 0.002 * wanted as f64;
        assert!(close, "{rate}: {hosts} instead of {wanted}");
    }
    let strata = [(stratum(0), 1000), (stratum(1), 40)];
    let said: Vec<String> =
        cannot_see(&strata, 5e-5, 1000).iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "this line alone (1040 hosts) would sooner miss than see a fault that fails 0.23 % of \
             hosts; to see 1 % takes 161 hosts",
            "stratum s000 alone (1000 hosts) would sooner miss than see a fault that fails 0.24 % \
             of hosts; to see 1 % takes 161 hosts",
            "stratum s001 alone (40 hosts) would sooner miss than see a fault that fails 3.16 % of \
             hosts; to see 1 % takes 161 hosts",
        ]
    );
    assert_eq!(unseen_rate(0, 5e-5, 1e-3), 1.0, "nobody sees nothing");
    assert_eq!(unseen_rate(5, 0.3, 1e-3), 1.0, "too noisy for five hosts");
    let (own, pooled) = (unseen_rate(40, 5e-5, 1e-3), unseen_rate(68_000, 5e-5, 1e-3));
    assert!(pooled < own / 100.0, "1,700 such operators together see {pooled}, one {own}");
}

/// The floor is honest: at half the printed rate the real gate misses most often, and well above it
/// it does not.
#[test]
fn the_real_gate_is_as_blind_as_printed() {
    let sizes = [150, 50];
    let strata: Vec<(StratumId, u32)> =
        sizes.iter().enumerate().map(|(n, s)| (stratum(n), *s)).collect();
    let rate = cannot_see(&strata, 5e-5, 1000)[0].unseen_rate_max;
    let halts = |q: f64| {
        let run = |seed| {
            let trouble = Trouble { q, mute: 1.0, ..Trouble::NONE };
            let mut world = World::new(plan(&sizes), trouble, seed);
            world.run(300);
            world.rollout.explain(world.now()).state == StateName::Halted
        };
        (0..40).filter(|seed| run(*seed)).count()
    };
    let (below, above) = (halts(rate / 2.0), halts(rate * 30.0));
    assert!(below < 20, "{below} of 40 halted at half of {rate}");
    assert!(above > 20, "{above} of 40 halted at thirty times {rate}");
}
