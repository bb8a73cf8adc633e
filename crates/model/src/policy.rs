//! The operator's policy: signed offline by a threshold of people, enforced by server and host.
use crate::budget::{self, BudgetError, GroupBudget};
use crate::digest::Digest;
use crate::eligible::{Rules, RulesError};
use crate::fast_lane::FastLane;
use crate::id::{LineId, PersonId};
use crate::key::PublicKey;
use crate::limits::{
    ABSENT_MAX_PPM, APPROVALS_MAX, HORIZONS_MAX, KEYS_MAX, MEMBERS_MAX, OVERRIDES_MAX,
    POLICY_LOG_BYTES_MAX, PROBES_MAX, VENDOR_LINES_MAX,
};
use crate::line::{Member, VendorLine};
use crate::release::Probe;
use crate::rigs::Attestations;
use crate::stop::FreezeOverride;
use crate::time::{Millis, Time};
use crate::verifiers::Verifiers;
use serde::{Deserialize, Serialize};

/// Speed class of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lane {
    /// the usual one
    Routine,
    /// minutes to the whole fleet; needs distinct people's approvals
    Emergency,
}

/// A person and the key that speaks for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// who
    pub person: PersonId,
    /// their key
    pub key: PublicKey,
}

/// One point of the blast-radius curve B(D): of faults that show within `after` of activation, at
/// most so many hosts crash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Horizon {
    /// D: how long a fault may hide after activation
    pub after: Millis,
    /// at most this many hosts …
    pub hosts_max: u64,
    /// … and at most this share of the line's hosts, in millionths (1,000,000: no limit), but never
    /// under one host
    pub share_max_ppm: u32,
}

/// What one lane allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanePolicy {
    /// B(D), sorted by `after`, no two alike
    pub budget: Vec<Horizon>,
    /// most hosts in the canary wave
    pub first_wave_max: u32,
    /// a ticket may cover at most this multiple of the hosts of the ticket before it, in thousandths
    pub growth_max_permille: u64,
    /// least time between two tickets that widen
    pub soak_min: Millis,
    /// distinct people who must approve before the first hand-out
    pub approvals_min: u32,
}

/// How hosts of this line are observed; the same for treated hosts and controls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// time between two beats
    pub beat: Millis,
    /// no beat for so long: silent
    pub silent_after: Millis,
    /// of hosts that announce a restart, at most so many millionths are not back in time though nothing
    /// is wrong with an update (default 20,000: 2 %); the gate takes it as given
    #[serde(default = "restart_missed_ppm", skip_serializing_if = "is_default_missed")]
    pub restart_missed_ppm: u32,
}

impl Watch {
    fn check(&self) -> Result<(), PolicyError> {
        let rule = |holds: bool, field, problem| {
            if holds { Ok(()) } else { Err(PolicyError::Field(field, problem)) }
        };
        rule(self.beat.0 >= 100, "watch.beat", "is under 100 ms")?;
        let patient = self.silent_after.0 >= self.beat.0.saturating_mul(2);
        rule(patient, "watch.silent_after", "is under two beats")?;
        let share = (1..=500_000).contains(&self.restart_missed_ppm);
        rule(share, "watch.restart_missed_ppm", "is not within 1 to 500000")
    }
}

/// Assumed where the policy does not say: one restart in fifty.
#[must_use]
pub const fn restart_missed_ppm() -> u32 {
    20_000
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
const fn is_default_missed(ppm: &u32) -> bool {
    *ppm == restart_missed_ppm()
}

/// Time constants of the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// longest from ticket to activation on an online host
    pub delivery: Millis,
    /// load and soak: a fault with D = 0 has shown by then
    pub window: Millis,
}

/// The operator's (or vendor line's) signed rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// format of this object; 1
    pub schema: u32,
    /// whose line
    pub line: LineId,
    /// counts up, never back
    pub version: u64,
    /// not valid from then on
    pub expires: Time,
    /// the line's online key: signs tickets and this line's freezes, nothing else
    pub online: PublicKey,
    /// who recomputes the gate's verdicts, and how many of them must have cosigned a ticket before a
    /// host obeys it
    #[serde(default, skip_serializing_if = "Verifiers::is_none")]
    pub verifiers: Verifiers,
    /// who may start, hold, resume, halt, approve and pull the cord
    pub people: Vec<Person>,
    /// routine lane
    pub routine: LanePolicy,
    /// emergency lane
    pub emergency: LanePolicy,
    /// false-alarm bound α, in millionths
    pub alpha_ppm: u32,
    /// budget-overrun bound δ, in millionths
    pub delta_ppm: u32,
    /// hosts never handed the release before the last soak has ended, in thousandths of a stratum …
    pub holdback_permille: u32,
    /// … and at least so many per stratum
    pub holdback_min: u32,
    /// how hosts are observed
    pub watch: Watch,
    /// hosts expected to fall silent for reasons of their own, millionths per hour: tunes the gate,
    /// never its promises (default 7,200: 0.72 %)
    #[serde(default = "background_ppm_per_h", skip_serializing_if = "is_default_background")]
    pub background_ppm_per_h: u32,
    /// most hosts observed as controls at the cadence of a rollout (default 1,000,000)
    #[serde(default = "controls_max", skip_serializing_if = "is_default_controls")]
    pub controls_max: u64,
    /// time constants of the gate
    pub timing: Timing,
    /// how long one ticket is valid
    pub ticket_valid: Millis,
    /// operator's probes, asked on every host
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<Probe>,
    /// who may take what when: rings, windows, holds, pins, one behind
    #[serde(default, skip_serializing_if = "Rules::is_empty")]
    pub eligibility: Rules,
    /// how many members of a group may be un-vouched at once
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<GroupBudget>,
    /// on a vendor line: the operators whose hosts it counts, sorted by name; with members it has no
    /// hosts of its own
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Member>,
    /// on a vendor line: most of the seats in a plan whose members' servers may be away before the line
    /// holds for a person, in millionths (default 0: nobody's)
    #[serde(default, skip_serializing_if = "is_nobody")]
    pub absent_max_ppm: u32,
    /// the public logs, and their witnesses, in which this line's hosts must find a release before they
    /// install it: the text of a log policy (C2SP tlog-policy)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// the components that may use the emergency lane here; none: all that the platform's list lets
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fast_lane: Option<FastLane>,
    /// freezes that do not hold on this line
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<FreezeOverride>,
    /// what rigs must have signed about a release before hosts of a class install it, and who they are
    #[serde(default, skip_serializing_if = "Attestations::is_none")]
    pub attestations: Attestations,
    /// on an operator's line: the vendor lines that its hosts take part in, sorted by name
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vendor_lines: Vec<VendorLine>,
}

/// The expected background when the policy says nothing: 0.72 % of the hosts per hour.
#[must_use]
pub const fn background_ppm_per_h() -> u32 {
    7200
}
/// Most controls when the policy says nothing: at one beat in five seconds 200,000 beats per second.
#[must_use]
pub const fn controls_max() -> u64 {
    1_000_000
}
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
const fn is_default_background(ppm: &u32) -> bool {
    *ppm == background_ppm_per_h()
}
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
const fn is_default_controls(hosts: &u64) -> bool {
    *hosts == controls_max()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
const fn is_nobody(ppm: &u32) -> bool {
    *ppm == 0
}

/// Why a policy was refused.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// not the JSON we expect
    #[error("parse policy")]
    Parse(#[source] serde_json::Error),
    /// a value outside its range
    #[error("policy field {0} {1}")]
    Field(&'static str, &'static str),
    /// a rule on who may take what when that makes no sense
    #[error("check policy")]
    Rules(#[from] RulesError),
    /// a group's budget that makes no sense
    #[error("check policy")]
    Budgets(#[from] BudgetError),
}

impl Policy {
    /// Reads and checks a policy payload; its signatures are for `andon-trust`.
    /// # Errors
    /// [`PolicyError`].
    pub fn parse(bytes: &[u8]) -> Result<Policy, PolicyError> {
        let policy: Policy = serde_json::from_slice(bytes).map_err(PolicyError::Parse)?;
        policy.check()?;
        Ok(policy)
    }

    /// The rules that JSON cannot express.
    /// # Errors
    /// [`PolicyError::Field`] naming the first field that is wrong.
    pub fn check(&self) -> Result<(), PolicyError> {
        let rule = |holds: bool, field, problem| {
            if holds { Ok(()) } else { Err(PolicyError::Field(field, problem)) }
        };
        rule(self.schema == 1, "schema", "is not 1")?;
        rule(
            !self.people.is_empty() && self.people.len() <= KEYS_MAX,
            "people",
            "is empty or too long",
        )?;
        rule(self.probes.len() <= PROBES_MAX, "probes", "is too long")?;
        for probe in &self.probes {
            rule(probe.check.check().is_ok(), "probes", "has a command beyond the limits")?;
        }
        rule((1..=500_000).contains(&self.alpha_ppm), "alpha_ppm", "is not within 1 to 500000")?;
        rule((1..=500_000).contains(&self.delta_ppm), "delta_ppm", "is not within 1 to 500000")?;
        rule(self.holdback_permille <= 500, "holdback_permille", "is over 500")?;
        let background = 1..=1_000_000;
        rule(
            background.contains(&self.background_ppm_per_h),
            "background_ppm_per_h",
            "is not within 1 to 1000000",
        )?;
        rule(self.controls_max >= 1000, "controls_max", "is under 1000")?;
        self.watch.check()?;
        rule(self.timing.delivery.0 > 0, "timing.delivery", "is 0")?;
        rule(self.ticket_valid.0 > 0, "ticket_valid", "is 0")?;
        let length = self.log.as_ref().map_or(1, String::len);
        rule((1..=POLICY_LOG_BYTES_MAX).contains(&length), "log", "is empty or over 32 KiB")?;
        let fast = self.fast_lane.as_ref().is_none_or(FastLane::is_sane);
        rule(fast, "fast_lane", "is not sorted, names one twice, or is too long")?;
        rule(self.overrides.len() <= OVERRIDES_MAX, "overrides", "is too long")?;
        self.eligibility.check()?;
        budget::check(&self.budgets)?;
        self.check_lines()?;
        let verifiers = self.verifiers.check(self);
        verifiers.map_err(|problem| PolicyError::Field("verifiers", problem))?;
        let attestations = self.attestations.check(self);
        attestations.map_err(|problem| PolicyError::Field("attestations", problem))?;
        for lane in [&self.routine, &self.emergency] {
            lane.check()?;
        }
        rule(self.emergency.approvals_min >= 2, "emergency.approvals_min", "is under two people")
    }

    fn check_lines(&self) -> Result<(), PolicyError> {
        let rule = |holds: bool, field, problem| {
            if holds { Ok(()) } else { Err(PolicyError::Field(field, problem)) }
        };
        let pooled = matches!(self.line, LineId::Vendor(_));
        rule(pooled || self.members.is_empty(), "members", "is for vendor lines only")?;
        rule(!pooled || self.vendor_lines.is_empty(), "vendor_lines", "is for operators only")?;
        rule(self.members.len() <= MEMBERS_MAX, "members", "is too long")?;
        let sorted = self.members.windows(2).all(|pair| pair[0].operator < pair[1].operator);
        rule(sorted, "members", "is not sorted by name, or names one twice")?;
        rule(pooled || self.absent_max_ppm == 0, "absent_max_ppm", "is for vendor lines only")?;
        rule(self.absent_max_ppm <= ABSENT_MAX_PPM, "absent_max_ppm", "is over 200000")?;
        rule(self.vendor_lines.len() <= VENDOR_LINES_MAX, "vendor_lines", "is too long")?;
        let sorted = self.vendor_lines.windows(2).all(|pair| pair[0].vendor < pair[1].vendor);
        rule(sorted, "vendor_lines", "is not sorted by name, or names one twice")?;
        let sane = self.vendor_lines.iter().all(VendorLine::is_sane);
        rule(sane, "vendor_lines", "has a threshold that does not fit its people")
    }

    /// Whether a freeze, by the digest of its payload, does not hold on this line now.
    #[must_use]
    pub fn overrides(&self, freeze: &Digest, now: Time) -> bool {
        self.overrides.iter().any(|held| held.freeze == *freeze && held.until > now)
    }

    /// The rules of one lane.
    #[must_use]
    pub fn lane(&self, lane: Lane) -> &LanePolicy {
        match lane {
            Lane::Routine => &self.routine,
            Lane::Emergency => &self.emergency,
        }
    }

    /// Most seats that may stand absent in a plan of `seats` seats. Rounded down: a share under one seat
    /// is nobody's.
    #[must_use]
    pub fn absent_max(&self, seats: u64) -> u64 {
        let most = u128::from(seats) * u128::from(self.absent_max_ppm) / 1_000_000;
        u64::try_from(most).unwrap_or(u64::MAX)
    }

    /// From hand-out to the moment when a host without a fault of horizon D = 0 counts as vouched:
    /// delivery, load and soak, and the time silence needs to show.
    #[must_use]
    pub fn generation(&self) -> Millis {
        self.timing.delivery.plus(self.timing.window).plus(self.watch.silent_after)
    }
}

impl LanePolicy {
    fn check(&self) -> Result<(), PolicyError> {
        let rule = |holds: bool, field, problem| {
            if holds { Ok(()) } else { Err(PolicyError::Field(field, problem)) }
        };
        let points = 1..=HORIZONS_MAX;
        rule(points.contains(&self.budget.len()), "budget", "is empty or too long")?;
        let sorted = self.budget.windows(2).all(|pair| pair[0].after < pair[1].after);
        rule(sorted, "budget", "is not sorted by after")?;
        let sane = |h: &Horizon| h.hosts_max >= 1 && (1..=1_000_000).contains(&h.share_max_ppm);
        rule(
            self.budget.iter().all(sane),
            "budget",
            "has a point of no hosts or of over 1000000 ppm",
        )?;
        rule(self.first_wave_max >= 1, "first_wave_max", "is 0")?;
        rule(self.growth_max_permille > 1000, "growth_max_permille", "is not over 1000")?;
        rule(self.approvals_min as usize <= APPROVALS_MAX, "approvals_min", "is too large")
    }
}

impl Horizon {
    /// B at this horizon for a line of `hosts` hosts: the smaller of both limits, at least one host.
    #[must_use]
    pub fn budget(&self, hosts: u64) -> u64 {
        let share = u128::from(hosts) * u128::from(self.share_max_ppm) / 1_000_000;
        self.hosts_max.min(u64::try_from(share).unwrap_or(u64::MAX)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane(approvals_min: u32) -> LanePolicy {
        LanePolicy {
            budget: vec![Horizon { after: Millis::ZERO, hosts_max: 9, share_max_ppm: 1_000_000 }],
            first_wave_max: 1,
            growth_max_permille: 2000,
            soak_min: Millis(1000),
            approvals_min,
        }
    }

    fn policy(line: &str, absent_max_ppm: u32) -> Policy {
        let key = PublicKey([7; 32]);
        Policy {
            verifiers: Verifiers::default(),
            schema: 1,
            line: line.parse().unwrap(),
            version: 1,
            expires: Time(1),
            online: key,
            people: vec![Person { person: PersonId::new("ada").unwrap(), key }],
            routine: lane(0),
            emergency: lane(2),
            alpha_ppm: 1000,
            delta_ppm: 1000,
            holdback_permille: 5,
            holdback_min: 1,
            watch: Watch {
                beat: Millis(1000),
                silent_after: Millis(4000),
                restart_missed_ppm: restart_missed_ppm(),
            },
            background_ppm_per_h: background_ppm_per_h(),
            controls_max: controls_max(),
            timing: Timing { delivery: Millis(1000), window: Millis(3000) },
            ticket_valid: Millis(1000),
            probes: vec![],
            eligibility: Rules::default(),
            budgets: vec![],
            members: vec![],
            absent_max_ppm,
            log: None,
            fast_lane: None,
            overrides: vec![],
            attestations: Attestations::default(),
            vendor_lines: vec![],
        }
    }

    #[test]
    fn a_share_of_absent_members_is_for_vendor_lines_and_within_its_range() {
        for (line, ppm, problem) in [
            ("vendor:acme", 0, None),
            ("vendor:acme", 200_000, None),
            ("vendor:acme", 200_001, Some("is over 200000")),
            ("operator:clinic", 0, None),
            ("operator:clinic", 1, Some("is for vendor lines only")),
        ] {
            let problem = problem.map(|why| format!("policy field absent_max_ppm {why}"));
            let said = policy(line, ppm).check().err().map(|why| why.to_string());
            assert_eq!(said, problem, "{line} {ppm}");
        }
    }

    /// Digests of policies that were signed before the field was known stay what they are.
    #[test]
    fn a_policy_that_lets_nobody_be_absent_has_the_bytes_it_always_had() {
        let nobody = serde_json::to_string(&policy("vendor:acme", 0)).unwrap();
        assert!(!nobody.contains("absent"), "{nobody}");
        assert_eq!(Policy::parse(nobody.as_bytes()).unwrap(), policy("vendor:acme", 0));
        let some = serde_json::to_string(&policy("vendor:acme", 50_000)).unwrap();
        assert_eq!(some.replace(",\"absent_max_ppm\":50000", ""), nobody);
        assert_eq!(Policy::parse(some.as_bytes()).unwrap(), policy("vendor:acme", 50_000));
    }

    #[test]
    fn a_policy_that_demands_no_log_has_the_bytes_it_always_had() {
        let mut policy = policy("operator:clinic", 0);
        let none = serde_json::to_string(&policy).unwrap();
        assert!(!none.contains("log"), "{none}");
        assert_eq!(Policy::parse(none.as_bytes()).unwrap(), policy);
        policy.log = Some("quorum none\n".to_owned());
        let some = serde_json::to_string(&policy).unwrap();
        assert_eq!(some.replace(",\"log\":\"quorum none\\n\"", ""), none);
        for (length, fine) in [(0, false), (32 * 1024, true), (32 * 1024 + 1, false)] {
            policy.log = Some("#".repeat(length));
            assert_eq!(policy.check().is_ok(), fine, "{length}");
        }
    }

    #[test]
    fn a_policy_that_demands_no_attestation_has_the_bytes_it_always_had_and_rigs_stand_apart() {
        use crate::attestation::PredicateKind;
        use crate::facts::FactKind;
        use crate::rigs::{Alike, Demand, Rig};
        let mut policy = policy("operator:clinic", 0);
        let none = serde_json::to_string(&policy).unwrap();
        assert!(!none.contains("attest"), "{none}");
        assert_eq!(Policy::parse(none.as_bytes()).unwrap(), policy);
        let rig = |name: &str, n: u8| Rig { name: name.parse().unwrap(), key: PublicKey([n; 32]) };
        let predicates = vec![PredicateKind::TestResult, PredicateKind::Svr];
        let (kind, arch, os, model, alike) = (None, None, None, None, Alike::Platform);
        let same = vec![FactKind::Kernel, FactKind::Rung];
        let demand = Demand { kind, arch, os, model, alike, same, predicates };
        let rigs = vec![rig("a", 1), rig("b", 2)];
        let good = Attestations { needed: 2, rigs, demands: vec![demand.clone()] };
        let many = |count| (0..count).map(|n| rig(&format!("r{n:02}"), n + 100)).collect();
        let mut rows: Vec<(Attestations, Option<&str>)> = vec![(good.clone(), None)];
        let mut row = |change: &dyn Fn(&mut Attestations), why| {
            let mut other = good.clone();
            change(&mut other);
            rows.push((other, why));
        };
        row(&|it| it.rigs = many(16), None);
        row(&|it| it.rigs = many(17), Some("has over 16 rigs"));
        row(&|it| it.demands = vec![demand.clone(); 64], None);
        row(&|it| it.demands = vec![demand.clone(); 65], Some("has over 64 demands"));
        row(&|it| it.rigs.reverse(), Some("is not sorted by name of rig, or names one twice"));
        row(&|it| it.rigs[1].key = it.rigs[0].key, Some("names one key twice"));
        let apart = "has the online key, a person's or a verifier's among its rigs' keys";
        row(&|it| it.rigs[1].key = PublicKey([7; 32]), Some(apart));
        row(&|it| it.needed = 3, Some("needs more rigs than it names"));
        row(&|it| it.needed = 0, Some("names rigs or demands and needs no rig"));
        row(&|it| it.demands.clear(), Some("names rigs and demands nothing of them"));
        let unsorted = "has a demand whose predicates are none, not sorted, or there twice";
        row(&|it| it.demands[0].predicates.clear(), Some(unsorted));
        row(&|it| it.demands[0].predicates.reverse(), Some(unsorted));
        let unsorted = "has a demand whose `same` is not sorted, or names something twice";
        row(&|it| it.demands[0].same.clear(), None);
        row(&|it| it.demands[0].same = FactKind::ALL.to_vec(), None);
        row(&|it| it.demands[0].same.reverse(), Some(unsorted));
        row(&|it| it.demands[0].same = vec![FactKind::Rung; 2], Some(unsorted));
        for (attestations, why) in rows {
            policy.attestations = attestations;
            let why = why.map(|why| format!("policy field attestations {why}"));
            let said = policy.check().err().map(|said| said.to_string());
            assert_eq!(said, why, "{:?}", policy.attestations);
        }
    }

    #[test]
    fn the_share_of_absent_seats_is_exact_and_rounded_down() {
        let most = |ppm, seats| policy("vendor:acme", ppm).absent_max(seats);
        assert_eq!([most(0, u64::MAX), most(50_000, 19), most(50_000, 20)], [0, 0, 1]);
        assert_eq!([most(50_000, 8_500_000), most(1, 999_999)], [425_000, 0]);
        assert_eq!(most(200_000, u64::MAX), u64::MAX / 5, "no overflow");
    }
}
