//! What a line of a given size cannot see, in numbers: printed, not hidden. It changes no decision.
//!
//! Theory: a test that keeps false alarms at α whenever it looks needs, on average, at least
//! ln(1/α) / KL(q ‖ p) hosts to tell a failure rate q from the background rate p (Wald 1945; KL is
//! the Kullback-Leibler divergence of two Bernoulli variables). A floor: no gate does better, and
//! ours, which learns p from controls instead of knowing it, does somewhat worse. Beside it stands
//! plain luck: with (1 − q)^n > ½ the more likely outcome is that no host fails at all.
use andon_model::StratumId;
use std::fmt;

/// Steps of the bisection: finer than any printed digit.
const STEPS: u32 = 60;

/// What a finding is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// the whole line, a fault that strikes every stratum alike
    Line,
    /// one stratum, a fault of that stratum alone
    Stratum(StratumId),
}

/// Faults that a line, or one stratum of it, would sooner let pass than see.
#[derive(Clone, Debug, PartialEq)]
pub struct Blind {
    /// where
    pub place: Place,
    /// hosts there
    pub hosts: u64,
    /// a fault of this rate or less passes unseen with probability over one half; 1: any fault
    pub unseen_rate_max: f64,
    /// hosts that would be needed to see a fault of 1 %
    pub hosts_for_one_percent: u64,
}

impl fmt::Display for Blind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Blind { place, hosts, unseen_rate_max, hosts_for_one_percent } = self;
        match place {
            Place::Line => write!(f, "this line alone ({hosts} hosts)")?,
            Place::Stratum(name) => write!(f, "stratum {name} alone ({hosts} hosts)")?,
        }
        if *unseen_rate_max >= 1.0 {
            write!(f, " cannot tell even a fault that fails every host from chance")?;
        } else {
            let percent = unseen_rate_max * 100.0;
            write!(f, " would sooner miss than see a fault that fails {percent:.2} % of hosts")?;
        }
        write!(f, "; to see 1 % takes {hosts_for_one_percent} hosts")
    }
}

/// What a line with these strata cannot see: the whole line first, then its strata in their order.
/// `background`: rate at which a host fails within one look without any update; `alpha_ppm` as in
/// the policy, in millionths. A line without hosts has one finding: it sees nothing.
#[must_use]
pub fn cannot_see(strata: &[(StratumId, u32)], background: f64, alpha_ppm: u32) -> Vec<Blind> {
    let alpha = f64::from(alpha_ppm.clamp(1, 999_999)) / 1e6;
    let blind = |place: Place, hosts: u64| Blind {
        place,
        hosts,
        unseen_rate_max: unseen_rate(hosts, background, alpha),
        hosts_for_one_percent: hosts_to_halt(0.01, background, alpha),
    };
    let all = strata.iter().map(|(_, hosts)| u64::from(*hosts)).sum();
    let mut out = vec![blind(Place::Line, all)];
    let one =
        |(name, hosts): &(StratumId, u32)| blind(Place::Stratum(name.clone()), u64::from(*hosts));
    out.extend(strata.iter().map(one));
    out
}

/// Hosts that a fault of rate `rate` must reach, on average, before any valid test halts it:
/// ln(1/α) / KL, rounded up. `u64::MAX` when it cannot be told from the background at all.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "compared before")]
pub fn hosts_to_halt(rate: f64, background: f64, alpha: f64) -> u64 {
    let information = divergence(rate, background);
    let hosts = (-alpha.ln() / information).ceil();
    if rate <= background || !hosts.is_finite() || hosts >= 1e18 { u64::MAX } else { hosts as u64 }
}

/// The largest failure rate that would sooner pass unseen on `hosts` hosts than be seen there.
/// 1.0: not even a fault that fails every host is told from chance.
#[must_use]
pub fn unseen_rate(hosts: u64, background: f64, alpha: f64) -> f64 {
    if hosts == 0 || hosts_to_halt(1.0, background, alpha) > hosts {
        return 1.0;
    }
    let (mut low, mut high) = (background, 1.0);
    for _ in 0..STEPS {
        let middle = f64::midpoint(low, high);
        if hosts_to_halt(middle, background, alpha) > hosts {
            low = middle;
        } else {
            high = middle;
        }
    }
    // Whatever the test: a rate at which most likely nothing happens at all shows nothing.
    #[expect(clippy::cast_precision_loss, reason = "counts of hosts are far below 2^53")]
    let luck = 1.0 - 0.5_f64.powf(1.0 / hosts as f64);
    low.max(luck)
}

/// Kullback-Leibler divergence of Bernoulli(`q`) from Bernoulli(`p`), in nats.
fn divergence(q: f64, p: f64) -> f64 {
    let part = |a: f64, b: f64| if a > 0.0 { a * (a / b).ln() } else { 0.0 };
    part(q, p) + part(1.0 - q, 1.0 - p)
}
