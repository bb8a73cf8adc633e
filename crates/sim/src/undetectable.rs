//! What a policy cannot see on a fleet, in words: the other half of every figure.
use crate::andon;
use crate::policy::{Kind, PolicySpec};
use crate::scenario::Scenario;

/// A sentence or a few.
#[must_use]
pub fn text(scenario: &Scenario, policy: &PolicySpec) -> String {
    let word = match &policy.kind {
        Kind::Andon(numbers) => {
            let sizes = scenario.sizes();
            return andon::report(numbers, &sizes).cannot_see(sizes.len()).join("; ");
        }
        Kind::AllAtOnce(_) => "everything: everybody has it before anybody looks",
        Kind::Bottlerocket(_) | Kind::Linear(_) => {
            "everything: it reads no health; a person sees what takes 15 % of the covered hosts, or of \
             one kind of them, within four hours"
        }
        Kind::Rings(_) => {
            "what takes less than 15 % of the covered hosts, of the fleet or of one kind, within four \
             hours, as far as a person sees it"
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
