//! What the demo plays with: names, folders, and the one clock that is faster than production.
//! Only times are scaled, by the policy alone: α, δ, budget, growth rule, first wave and holdback
//! are the defaults of `andon init`.
use crate::policy_form::{PolicyForm, ProbeForm};
use crate::span::Span;
use andon_model::{ComponentId, Digest, Millis};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// Beat of every host.
pub(super) const BEAT: Millis = Millis(1000);
/// No beat for so long: silent.
pub(super) const SILENT_AFTER: Millis = Millis(4000);
/// Ticket to activation.
pub(super) const DELIVERY: Millis = Millis(1000);
/// Load and soak: the horizon within which a fault must show.
pub(super) const WINDOW: Millis = Millis(3000);
/// Least time between two waves: three quarters of a generation, so that the story fits its time (production: a whole one).
pub(super) const SOAK_MIN: Millis = Millis(6000);
/// The server's tick.
pub(super) const TICK: Millis = Millis(500);
/// Share of crashing hosts that die as a whole, and for how long.
pub(super) const DIE_SHARE: f64 = 0.5;
/// How long a host that died as a whole is away.
pub(super) const DIE_FOR: Duration = Duration::from_secs(15);
/// The gate verifier that cosigns every ticket.
pub(super) const VERIFIER: &str = "v1";
/// Witnesses of the line's public log; two of them must cosign.
pub(super) const WITNESSES: usize = 3;
/// The rig that must have run content before it reaches more than the canary wave.
pub(super) const RIG: &str = "bench";
/// Hardware models among the light hosts.
pub(super) const MODELS: u32 = 3;
/// Longest the whole story may take.
pub(super) const WALL_MAX: Duration = Duration::from_secs(150);
/// B: most hosts that a fault within the horizon may crash.
pub(super) const BUDGET: u64 = 100;
/// What the demo promises to stay under: the size of the first wave.
pub(super) const CRASHED_MAX: usize = 16;
/// Until then the last living host has seen the cord: sooner than silence could show anything.
pub(super) const FREEZE_SEEN_MAX_S: f64 = 4.0;

/// Which fault release 2 has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// a good release
    None,
    /// input 21 of 20, at once
    Crash,
    /// lives, says nothing
    Hang,
    /// input 21 of 20 after so many seconds
    Late(u64),
    /// takes the business file away
    Probe,
}

impl FromStr for Fault {
    type Err = String;
    fn from_str(text: &str) -> Result<Fault, String> {
        let seconds = |s: &str| s.parse().ok().filter(|s| (1..=60).contains(s)).map(Fault::Late);
        match text {
            "none" => Ok(Fault::None),
            "crash" => Ok(Fault::Crash),
            "hang" => Ok(Fault::Hang),
            "probe" => Ok(Fault::Probe),
            _ => text.strip_prefix("late:").and_then(seconds).ok_or_else(|| {
                "give none, crash, hang, probe or late:SECONDS (1 to 60)".to_owned()
            }),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::None => f.write_str("none"),
            Fault::Crash => f.write_str("crash"),
            Fault::Hang => f.write_str("hang"),
            Fault::Late(seconds) => write!(f, "late:{seconds}"),
            Fault::Probe => f.write_str("probe"),
        }
    }
}

impl Fault {
    /// Whether the promise B(D) speaks of it: it shows within load and soak.
    pub(super) fn within_horizon(self) -> bool {
        !matches!(self, Fault::Late(seconds) if Millis::from_secs(seconds) > WINDOW)
    }
    /// Whether a service dies of it by signal.
    pub(super) fn crashes(self) -> bool {
        matches!(self, Fault::Crash | Fault::Late(_))
    }
    /// Whether silence alone can show it: only a host that dies whole falls silent.
    pub(super) fn can_silence(self) -> bool {
        self.crashes() && self.within_horizon()
    }
    /// What it is, for people.
    pub(super) fn words(self) -> String {
        match self {
            Fault::None => "nothing wrong with it".to_owned(),
            Fault::Crash => "the 2024 fault: input 21 of 20".to_owned(),
            Fault::Hang => "a rule that waits for ever".to_owned(),
            Fault::Late(seconds) => format!("the 2024 fault, asleep for {seconds} s"),
            Fault::Probe => "a false positive that takes the business file away".to_owned(),
        }
    }
}

/// Settings as told in the report.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Settings {
    seed: u64,
    fault: String,
    lane: &'static str,
    approvals: u32,
    budget: [BudgetPoint; 1],
    alpha: f64,
    delta: f64,
    first_wave_max: u32,
    growth_max: f64,
    holdback_permille: u32,
    holdback_min: u32,
    beat_s: f64,
    silent_after_s: f64,
    delivery_s: f64,
    load_and_soak_s: f64,
    generation_s: f64,
    soak_min_s: f64,
    tick_s: f64,
    verifiers: u32,
    models: u32,
    die_whole_share: f64,
    die_for_s: u64,
    rules: String,
    full_host: &'static str,
    light_hosts: &'static str,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct BudgetPoint {
    after_s: u64,
    hosts: u64,
}

/// The policy: production's, with the demo's times and one operator's probe.
pub(super) fn policy(form: &mut PolicyForm) {
    form.watch.beat = Span(BEAT);
    form.watch.silent_after = Span(SILENT_AFTER);
    form.timing.delivery = Span(DELIVERY);
    form.timing.window = Span(WINDOW);
    form.emergency.soak_min = Span(SOAK_MIN);
    if let Ok(name) = ComponentId::new("business-file") {
        form.probes = vec![ProbeForm {
            name,
            file_readable: Some("{state}/business.db".to_owned()),
            command: None,
            timeout: None,
        }];
    }
}

impl Settings {
    /// As used.
    pub(super) fn new(seed: u64, fault: Fault, form: &PolicyForm, rules: String) -> Settings {
        let generation = DELIVERY.plus(WINDOW).plus(SILENT_AFTER);
        Settings {
            seed,
            fault: fault.to_string(),
            lane: "emergency",
            approvals: form.emergency.approvals_min,
            budget: [BudgetPoint { after_s: 0, hosts: BUDGET }],
            alpha: f64::from(form.alpha_ppm) / 1e6,
            delta: f64::from(form.delta_ppm) / 1e6,
            first_wave_max: form.emergency.first_wave_max,
            #[expect(clippy::cast_precision_loss, reason = "a factor for people")]
            growth_max: form.emergency.growth_max_permille as f64 / 1000.0,
            holdback_permille: form.holdback_permille,
            holdback_min: form.holdback_min,
            beat_s: BEAT.as_secs_f64(),
            silent_after_s: SILENT_AFTER.as_secs_f64(),
            delivery_s: DELIVERY.as_secs_f64(),
            load_and_soak_s: WINDOW.as_secs_f64(),
            generation_s: generation.as_secs_f64(),
            soak_min_s: SOAK_MIN.as_secs_f64(),
            tick_s: TICK.as_secs_f64(),
            verifiers: 1,
            models: MODELS,
            die_whole_share: DIE_SHARE,
            die_for_s: DIE_FOR.as_secs(),
            rules,
            full_host: "supervisor, check and sensor as real processes",
            light_hosts: "real protocol, signatures, slots and legacy processes; no eBPF; rules are \
                          loaded by the real engine once per process and digest",
        }
    }
}

/// Where the demo keeps what it leaves behind.
#[derive(Clone, Debug)]
pub(super) struct Places {
    root: PathBuf,
}

impl Places {
    /// Below `root`.
    pub(super) fn new(root: &Path) -> Places {
        Places { root: root.to_owned() }
    }
    /// The folder itself.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }
    /// Keys, policy, server.
    pub(super) fn operator(&self) -> PathBuf {
        self.root.join("operator")
    }
    /// Journals of all hosts.
    pub(super) fn journals(&self) -> PathBuf {
        self.root.join("journals")
    }
    /// The server's journals and explanations, exported.
    pub(super) fn exports(&self) -> PathBuf {
        self.root.join("server-journals")
    }
    /// The full host's configuration and state.
    pub(super) fn full_host(&self) -> PathBuf {
        self.root.join("full-host")
    }
    /// The light hosts' slots; removed at the end.
    pub(super) fn light_hosts(&self) -> PathBuf {
        self.root.join("light-hosts")
    }
    /// The legacy vendor's program.
    pub(super) fn legacy(&self) -> PathBuf {
        self.root.join("legacy-vendor")
    }
    /// Proof bundles of all releases.
    pub(super) fn proofs(&self) -> PathBuf {
        self.root.join("proofs")
    }
    /// What the processes wrote.
    pub(super) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }
}

/// The seed of a rollout's random order: from the demo's seed and the rollout's name, so that
/// `--seed` repeats a run and no two acts share an order.
pub(super) fn order_seed(seed: u64, rollout: &str) -> Digest {
    Digest::of_parts(&[b"andon.demo.v1\0", &seed.to_be_bytes(), rollout.as_bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_read_as_written_and_know_the_horizon() {
        for text in ["none", "crash", "hang", "probe", "late:20"] {
            assert_eq!(text.parse::<Fault>().unwrap().to_string(), text);
        }
        for text in ["", "late", "late:", "late:0", "late:61", "Crash"] {
            assert!(text.parse::<Fault>().is_err(), "{text} was accepted");
        }
        assert!(Fault::Late(3).within_horizon());
        assert!(!Fault::Late(4).within_horizon());
    }
}
