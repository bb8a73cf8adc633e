//! What a policy cannot see on a fleet, in words: the other half of every figure.
use crate::andon;
use crate::policy::{Kind, PolicySpec};
use crate::scenario::Scenario;
use andon_rollout::plan::{Finding, PlanReport};
use std::fmt::Write as _;

/// A sentence or a few.
#[must_use]
pub fn text(scenario: &Scenario, policy: &PolicySpec) -> String {
    let word = match &policy.kind {
        Kind::Andon(numbers) => {
            let sizes = scenario.sizes();
            return andon_text(&andon::report(numbers, &sizes), sizes.len());
        }
        Kind::AllAtOnce(_) => "everything: everybody has it before anybody looks",
        Kind::Bottlerocket(_) | Kind::Linear(_) => {
            "everything: it reads no health; a person sees what takes a tenth of the covered hosts, or \
             of one kind of them, within ten minutes"
        }
        Kind::Rings(_) => {
            "what takes less than a tenth of the covered hosts, of the fleet or of one kind, within ten \
             minutes, as far as a person sees it"
        }
        Kind::Hawkbit(_) => {
            "silence: a host that dies without a word is neither success nor error; whatever shows \
             after a host reported success"
        }
        Kind::AppConfig(it) => {
            return format!(
                "what takes less than {} % of the covered hosts within {} s, or shows later than {} s \
                 after the release; a power cut looks like a fault",
                it.alarm.share * 100.0,
                it.alarm.window_s,
                it.duration_s + it.bake_s
            );
        }
        Kind::Nebraska(it) => {
            return format!(
                "what shows after a host reported success; failures of less than {} % of the hosts",
                it.percent_per_period
            );
        }
    };
    word.to_owned()
}

fn andon_text(report: &PlanReport, strata: usize) -> String {
    let mut out = match report.crashes_to_halt {
        Some(crashes) => format!(
            "fewer than {crashes} of the first {} hosts failing at once halt nothing by themselves",
            report.first_wave
        ),
        None => format!("even all of the first {} hosts failing halt nothing", report.first_wave),
    };
    let blind = |finding: &&Finding| matches!(finding, Finding::StratumBlind { .. });
    let blind = report.findings.iter().filter(blind).count();
    if blind > 0 {
        let _never_fails =
            write!(out, "; a fault of one stratum alone in {blind} of {strata} strata (too small)");
    }
    for finding in &report.findings {
        let _never_fails = match finding {
            Finding::BudgetCoversAll { after_ms, hosts } => write!(
                out,
                "; anything within {} s (its budget of {hosts} hosts covers everybody)",
                after_ms / 1000
            ),
            Finding::HorizonEnds { after_ms } => {
                write!(
                    out,
                    "; faults that show later than {} s after load and soak",
                    after_ms / 1000
                )
            }
            _ => Ok(()),
        };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::{self, POLICIES};

    fn of(scenario: &str, policy: &str) -> String {
        text(&catalogue::scenario(scenario).unwrap(), &catalogue::policy(policy).unwrap())
    }

    #[test]
    fn small_fleets_are_told_what_their_gate_does_not_see() {
        let small = of("small-50", "andon");
        assert!(small.contains("covers everybody"), "{small}");
        let large = of("july-2024", "andon");
        assert!(!large.contains("covers everybody") && !large.contains("too small"), "{large}");
        assert!(large.contains("later than 0 s"), "{large}");
        assert!(of("july-2024", "andon-10min-850").contains("later than 600 s"));
    }

    #[test]
    fn every_policy_has_something_that_it_cannot_see() {
        for (name, _) in POLICIES {
            assert!(of("good", name).len() > 20, "{name}");
        }
        assert!(of("good", "hawkbit").contains("silence"));
    }
}
