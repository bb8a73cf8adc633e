//! The policy as people write it (`policy.toml`) and as machines obey it (`model::policy::Policy`).
//! It is not the signing: that is `ops::policy`. Version and expiry are counted there, never typed.
use crate::policy_attestations;
use crate::policy_fast_lane::{self, FastLaneForm};
use crate::policy_lines::{self, MemberForm, VendorLineForm};
use crate::policy_log::{self, PolicyLogError};
use crate::policy_override::{self, OverrideForm};
use crate::policy_rules::{self, RulesForm};
use crate::span::Span;
use andon_model::limits::HOSTS_MAX;
use andon_model::policy::{
    Horizon, LanePolicy, Person, Policy, PolicyError, Timing, Watch, restart_missed_ppm,
};
use andon_model::release::{ComponentKind, Hook, Probe, ProbeCheck};
use andon_model::rigs::Attestations;
use andon_model::verifiers::{Verifier, Verifiers};
use andon_model::{ComponentId, LineId, Millis, PersonId, PublicKey, Time};
use andon_rollout::defaults;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Everything in a policy that a person decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicyForm {
    /// whose line
    pub(crate) line: LineId,
    /// how long one signed version holds
    pub(crate) valid_for: Span,
    /// the line's online key
    pub(crate) online: PublicKey,
    /// false-alarm bound, in millionths
    pub(crate) alpha_ppm: u32,
    /// budget-overrun bound, in millionths
    pub(crate) delta_ppm: u32,
    /// kept back until the last soak ends, in thousandths of a stratum …
    pub(crate) holdback_permille: u32,
    /// … and at least so many
    pub(crate) holdback_min: u32,
    /// how long a ticket is valid
    pub(crate) ticket_valid: Span,
    /// who may act, and their daily keys
    pub(crate) people: BTreeMap<PersonId, PublicKey>,
    /// how hosts are observed
    pub(crate) watch: WatchForm,
    /// time constants of the gate
    pub(crate) timing: TimingForm,
    /// the usual lane
    pub(crate) routine: LaneForm,
    /// the fast lane
    pub(crate) emergency: LaneForm,
    /// who may take what when
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) rules: RulesForm,
    /// who must cosign tickets
    #[serde(default, skip_serializing_if = "Verifiers::is_none")]
    pub(crate) verifiers: Verifiers,
    /// operator's probes
    #[serde(default, rename = "probe")]
    pub(crate) probes: Vec<ProbeForm>,
    /// of a vendor line: whose hosts it counts
    #[serde(default, rename = "member")]
    pub(crate) members: Vec<MemberForm>,
    /// of a vendor line: most seats whose members may be away, in millionths
    #[serde(default, skip_serializing_if = "is_nobody")]
    pub(crate) absent_max_ppm: u32,
    /// what may use the emergency lane here
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fast_lane: Option<FastLaneForm>,
    /// freezes that do not hold here
    #[serde(default, rename = "override", skip_serializing_if = "Vec::is_empty")]
    pub(crate) overrides: Vec<OverrideForm>,
    /// the logs in which hosts must find a release (C2SP tlog-policy)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) log: Option<String>,
    /// what rigs must have signed before hosts install a release
    #[serde(default, skip_serializing_if = "Attestations::is_none")]
    pub(crate) attestations: Attestations,
    /// of an operator's line: the vendor lines it takes part in
    #[serde(default, rename = "vendor_line")]
    pub(crate) vendor_lines: Vec<VendorLineForm>,
}

/// See [`Watch`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WatchForm {
    /// between two beats
    pub(crate) beat: Span,
    /// no beat for so long: silent
    pub(crate) silent_after: Span,
    /// of announced restarts, the share that is not back in time for reasons of their own
    #[serde(default = "restart_missed_ppm", skip_serializing_if = "is_usual_missed")]
    pub(crate) restart_missed_ppm: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_usual_missed(ppm: &u32) -> bool {
    *ppm == restart_missed_ppm()
}

/// See [`Timing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TimingForm {
    /// ticket to activation
    pub(crate) delivery: Span,
    /// load and soak
    pub(crate) window: Span,
}

/// See [`LanePolicy`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LaneForm {
    /// B(D)
    pub(crate) budget: Vec<HorizonForm>,
    /// most hosts in the canary wave
    pub(crate) first_wave_max: u32,
    /// in thousandths
    pub(crate) growth_max_permille: u64,
    /// between two widening tickets
    pub(crate) soak_min: Span,
    /// distinct people
    pub(crate) approvals_min: u32,
}

/// See [`Horizon`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HorizonForm {
    /// D
    pub(crate) after: Span,
    /// at most so many hosts; absent: no such limit
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hosts_max: Option<u64>,
    /// at most this share, in millionths; absent: no such limit
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) share_max_ppm: Option<u32>,
}

/// See [`Probe`]: either `file_readable` or `command`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProbeForm {
    /// its name
    pub(crate) name: ComponentId,
    /// a file that must open
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) file_readable: Option<String>,
    /// a command that must exit with 0
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<Vec<String>>,
    /// it has failed when it has not ended by then
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) timeout: Option<Span>,
}

/// Why a form is no policy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PolicyFormError {
    /// not the TOML we expect
    #[error("read policy form")]
    Parse(#[from] toml::de::Error),
    /// a value that makes no sense
    #[error("check policy form")]
    Policy(#[from] PolicyError),
    /// the log policy in it cannot be read, or names no log
    #[error("check log policy of the policy form")]
    Log(#[from] PolicyLogError),
    /// a probe with none or both of its ways
    #[error("probe {0} needs either file_readable or command")]
    Probe(ComponentId),
}

const fn secs(seconds: u64) -> Span {
    Span(Millis::from_secs(seconds))
}

impl PolicyForm {
    /// The promises of SPECIFICATION.md as defaults: routine lane B = {0 s: min(100, 1 %),
    /// 10 min: 0.1 %}, emergency lane {0 s: 100} by two people; a generation takes 35 s.
    pub(crate) fn defaults(line: LineId, online: PublicKey) -> PolicyForm {
        PolicyForm {
            absent_max_ppm: policy_lines::absent_default(&line),
            log: None,
            fast_lane: None,
            overrides: Vec::new(),
            attestations: Attestations::default(),
            line,
            valid_for: secs(365 * 86_400),
            online,
            alpha_ppm: 1000,
            delta_ppm: 1000,
            holdback_permille: 5,
            holdback_min: 1,
            ticket_valid: secs(24 * 3600),
            people: BTreeMap::new(),
            watch: WatchForm {
                beat: Span(defaults::BEAT),
                silent_after: Span(defaults::SILENT_AFTER),
                restart_missed_ppm: restart_missed_ppm(),
            },
            timing: TimingForm {
                delivery: Span(defaults::DELIVERY),
                window: Span(defaults::LOAD_AND_SOAK),
            },
            routine: LaneForm::of(&defaults::routine(ComponentKind::Content)),
            emergency: LaneForm::of(&defaults::emergency()),
            rules: RulesForm::default(),
            verifiers: Verifiers::default(),
            probes: Vec::new(),
            members: Vec::new(),
            vendor_lines: Vec::new(),
        }
    }

    /// Reads `policy.toml`.
    /// # Errors
    /// [`PolicyFormError::Parse`].
    pub(crate) fn parse(text: &str) -> Result<PolicyForm, PolicyFormError> {
        Ok(toml::from_str(text)?)
    }

    /// The policy that this form asks for, checked.
    /// # Errors
    /// [`PolicyFormError`].
    pub(crate) fn policy(&self, version: u64, now: Time) -> Result<Policy, PolicyFormError> {
        let person =
            |(person, key): (&PersonId, &PublicKey)| Person { person: person.clone(), key: *key };
        let policy = Policy {
            members: policy_lines::members(&self.members),
            absent_max_ppm: self.absent_max_ppm,
            log: self.log.clone(),
            fast_lane: self.fast_lane.as_ref().map(FastLaneForm::list),
            overrides: self.overrides.iter().map(OverrideForm::of).collect(),
            attestations: policy_attestations::sorted(&self.attestations),
            vendor_lines: policy_lines::vendor_lines(&self.vendor_lines),
            verifiers: self.sorted_verifiers(),
            schema: 1,
            line: self.line.clone(),
            version,
            expires: now.plus(self.valid_for.0),
            online: self.online,
            people: self.people.iter().map(person).collect(),
            routine: self.routine.lane(),
            emergency: self.emergency.lane(),
            alpha_ppm: self.alpha_ppm,
            delta_ppm: self.delta_ppm,
            holdback_permille: self.holdback_permille,
            holdback_min: self.holdback_min,
            watch: Watch {
                beat: self.watch.beat.0,
                silent_after: self.watch.silent_after.0,
                restart_missed_ppm: self.watch.restart_missed_ppm,
            },
            timing: Timing { delivery: self.timing.delivery.0, window: self.timing.window.0 },
            background_ppm_per_h: andon_model::policy::background_ppm_per_h(),
            controls_max: andon_model::policy::controls_max(),
            ticket_valid: self.ticket_valid.0,
            probes: self.probes.iter().map(ProbeForm::probe).collect::<Result<_, _>>()?,
            eligibility: self.rules.rules(),
            budgets: self.rules.budgets(),
        };
        policy.check()?;
        policy_log::check(&policy)?;
        Ok(policy)
    }

    fn sorted_verifiers(&self) -> Verifiers {
        let mut verifiers = self.verifiers.clone();
        verifiers.keys.sort_by(|a, b| a.name.cmp(&b.name));
        verifiers
    }

    /// `policy.toml`, commented.
    pub(crate) fn write(&self) -> String {
        let mut out = String::from(HEAD);
        let mut put = |line: std::fmt::Arguments<'_>| {
            let _never_fails = writeln!(out, "{line}");
        };
        put(format_args!("line = \"{}\"", self.line));
        put(format_args!(
            "# A signed version holds for so long; sign again before.\nvalid_for = \"{}\"",
            self.valid_for
        ));
        put(format_args!(
            "# The server's key for tickets. It can widen only inside this policy.\nonline = \"{}\"",
            self.online
        ));
        put(format_args!(
            "# At most this share of good rollouts is halted by mistake, in millionths.\nalpha_ppm = {}",
            self.alpha_ppm
        ));
        put(format_args!(
            "# A bad one exceeds its budget with at most this chance, in millionths.\ndelta_ppm = {}",
            self.delta_ppm
        ));
        put(format_args!(
            "# Hosts that stay back until the last soak has ended, in thousandths of a stratum.\nholdback_permille = {}\nholdback_min = {}",
            self.holdback_permille, self.holdback_min
        ));
        put(format_args!(
            "# A ticket covers nobody after this time; the server renews it.\nticket_valid = \"{}\"",
            self.ticket_valid
        ));
        put(format_args!("{}", policy_log::write(self.log.as_deref())));
        let of_vendor = matches!(self.line, LineId::Vendor(_));
        if of_vendor {
            put(format_args!("{}{}", policy_lines::ABSENT, self.absent_max_ppm));
        }
        put(format_args!(
            "\n# Who may start, hold, resume, halt, approve and pull the cord, and their daily keys.\n[people]"
        ));
        for (person, key) in &self.people {
            put(format_args!("{person:?} = \"{key}\"", person = person.as_str()));
        }
        put(format_args!(
            "\n# A host beats this often; after this long without a beat it counts as silent.\n[watch]\nbeat = \"{}\"\nsilent_after = \"{}\"",
            self.watch.beat, self.watch.silent_after
        ));
        put(format_args!(
            "\n# Longest from ticket to activation; load and soak until a fault shows.\n[timing]\ndelivery = \"{}\"\nwindow = \"{}\"",
            self.timing.delivery, self.timing.window
        ));
        put(format_args!("{ROUTINE}{}", self.routine.write()));
        put(format_args!("{EMERGENCY}{}", self.emergency.write()));
        put(format_args!("{}", policy_fast_lane::write(self.fast_lane.as_ref())));
        put(format_args!("{}", policy_override::write(&self.overrides)));
        put(format_args!("{}", policy_rules::COMMENT));
        put(format_args!("{}", self.rules.write()));
        put(format_args!("{VERIFIERS}"));
        if !self.verifiers.is_none() {
            put(format_args!("{}", write_verifiers(&self.verifiers)));
        }
        put(format_args!("{}", policy_attestations::write(&self.attestations)));
        let lines = policy_lines::write(of_vendor, &self.members, &self.vendor_lines);
        put(format_args!("{lines}"));
        put(format_args!("{PROBES}"));
        for probe in &self.probes {
            put(format_args!(
                "\n[[probe]]\n{}",
                toml::to_string(probe).unwrap_or_default().trim_end()
            ));
        }
        out
    }
}

const HEAD: &str = "\
# The operator's policy. Edit, then run: andon --dir . policy sign --key PERSON --key PERSON
# Server and hosts obey the signed form only (server/policy.json); its version never goes back.
";
const ROUTINE: &str = "
# The usual lane. budget is the blast radius: of faults that show within `after`, at most
# `hosts_max` hosts crash, and at most `share_max_ppm` millionths of the line (never under one).
[routine]
";
const EMERGENCY: &str = "
# The fast lane: minutes to the whole line. Needs at least two people.
[emergency]
";
const PROBES: &str = "
# Health questions asked on every host. Exit status 0 is well. For example:
#   [[probe]]
#   name = \"sshd\"
#   command = [\"systemctl\", \"is-active\", \"--quiet\", \"ssh\"]
#   timeout = \"5s\"";

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
const fn is_nobody(ppm: &u32) -> bool {
    *ppm == 0
}

const VERIFIERS: &str = "
# Gate verifiers: machines other than the server's that recompute each ticket from its journal. Hosts
# obey no ticket that fewer than `needed` of them have cosigned, so a stolen online key moves nobody.
# `andon keys verifier` makes a key, `andon verifier` is the program. For example:
#   [verifiers]
#   needed = 1
#   keys = [ { name = \"v1\", key = \"…\" } ]";

fn write_verifiers(verifiers: &Verifiers) -> String {
    let line = |it: &Verifier| format!("  {{ name = \"{}\", key = \"{}\" }},\n", it.name, it.key);
    let keys: String = verifiers.keys.iter().map(line).collect();
    format!("[verifiers]\nneeded = {}\nkeys = [\n{keys}]", verifiers.needed)
}

fn is_default(rules: &RulesForm) -> bool {
    *rules == RulesForm::default()
}

impl LaneForm {
    fn of(lane: &LanePolicy) -> LaneForm {
        let point = |point: &Horizon| HorizonForm {
            after: Span(point.after),
            hosts_max: Some(point.hosts_max).filter(|most| *most < HOSTS_MAX),
            share_max_ppm: Some(point.share_max_ppm).filter(|share| *share < 1_000_000),
        };
        LaneForm {
            budget: lane.budget.iter().map(point).collect(),
            first_wave_max: lane.first_wave_max,
            growth_max_permille: lane.growth_max_permille,
            soak_min: Span(lane.soak_min),
            approvals_min: lane.approvals_min,
        }
    }

    fn lane(&self) -> LanePolicy {
        let horizon = |point: &HorizonForm| Horizon {
            after: point.after.0,
            hosts_max: point.hosts_max.unwrap_or(HOSTS_MAX),
            share_max_ppm: point.share_max_ppm.unwrap_or(1_000_000),
        };
        LanePolicy {
            budget: self.budget.iter().map(horizon).collect(),
            first_wave_max: self.first_wave_max,
            growth_max_permille: self.growth_max_permille,
            soak_min: self.soak_min.0,
            approvals_min: self.approvals_min,
        }
    }

    fn write(&self) -> String {
        let points: String = self.budget.iter().map(|p| format!("  {},\n", p.write())).collect();
        format!(
            "budget = [\n{points}]\n# Most hosts in the first wave.\nfirst_wave_max = {}\n\
             # A wave covers at most this many thousandths of the one before.\n\
             growth_max_permille = {}\n# Least time between two waves.\nsoak_min = \"{}\"\n\
             # Distinct people who must approve.\napprovals_min = {}",
            self.first_wave_max, self.growth_max_permille, self.soak_min, self.approvals_min
        )
    }
}

impl HorizonForm {
    fn write(&self) -> String {
        let mut out = format!("{{ after = \"{}\"", self.after);
        if let Some(hosts) = self.hosts_max {
            let _never_fails = write!(out, ", hosts_max = {hosts}");
        }
        if let Some(share) = self.share_max_ppm {
            let _never_fails = write!(out, ", share_max_ppm = {share}");
        }
        out + " }"
    }
}

impl ProbeForm {
    fn probe(&self) -> Result<Probe, PolicyFormError> {
        let timeout = self.timeout.unwrap_or(secs(5)).0;
        let check = match (&self.file_readable, &self.command) {
            (Some(path), None) => ProbeCheck::FileReadable(path.clone()),
            (None, Some(argv)) => ProbeCheck::Command(Hook { argv: argv.clone(), timeout }),
            _ => return Err(PolicyFormError::Probe(self.name.clone())),
        };
        Ok(Probe { name: self.name.clone(), check })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form() -> PolicyForm {
        let key = PublicKey([7; 32]);
        let mut form = PolicyForm::defaults("operator:hospital".parse().unwrap(), key);
        form.people.insert(PersonId::new("a.lice").unwrap(), key);
        form.probes.push(ProbeForm {
            name: ComponentId::new("sshd").unwrap(),
            file_readable: None,
            command: Some(vec!["true".to_owned(), "quo\"te".to_owned()]),
            timeout: Some(secs(3)),
        });
        form
    }

    #[test]
    fn the_commented_file_reads_back_as_the_same_form() {
        assert_eq!(PolicyForm::parse(&form().write()).unwrap(), form());
    }

    #[test]
    fn verifiers_read_back_and_stand_sorted_in_the_policy() {
        let mut form = form();
        let verifier = |name: &str, at: u8| Verifier {
            name: andon_model::VerifierId::new(name).unwrap(),
            key: PublicKey([at; 32]),
        };
        form.verifiers = Verifiers { needed: 1, keys: vec![verifier("b", 1), verifier("a", 2)] };
        assert_eq!(PolicyForm::parse(&form.write()).unwrap(), form);
        let policy = form.policy(1, Time(0)).unwrap();
        assert_eq!(policy.verifiers.keys, [verifier("a", 2), verifier("b", 1)]);
        form.verifiers.needed = 3;
        let error = form.policy(1, Time(0)).unwrap_err();
        let field = matches!(error, PolicyFormError::Policy(PolicyError::Field("verifiers", _)));
        assert!(field, "{error}");
    }

    #[test]
    fn rigs_and_demands_read_back_and_stand_sorted_in_the_policy() {
        let mut form = form();
        let rig = |name: &str, at: u8| andon_model::rigs::Rig {
            name: name.parse().unwrap(),
            key: PublicKey([at; 32]),
        };
        let mut demand = policy_attestations::demand();
        demand.kind = Some(ComponentKind::Service);
        demand.alike = andon_model::rigs::Alike::Model;
        let demands = vec![policy_attestations::demand(), demand];
        form.attestations =
            Attestations { needed: 1, rigs: vec![rig("b", 1), rig("a", 2)], demands };
        assert_eq!(PolicyForm::parse(&form.write()).unwrap(), form);
        let policy = form.policy(1, Time(0)).unwrap();
        assert_eq!(policy.attestations.rigs, [rig("a", 2), rig("b", 1)]);
        assert_eq!(policy.attestations.demands, form.attestations.demands);
        form.attestations.needed = 3;
        let error = form.policy(1, Time(0)).unwrap_err();
        let field = matches!(error, PolicyFormError::Policy(PolicyError::Field("attestations", _)));
        assert!(field, "{error}");
    }

    #[test]
    fn defaults_are_the_promised_blast_radius() {
        let policy = form().policy(1, Time(0)).unwrap();
        let at = |lane: &LanePolicy, hosts| -> Vec<u64> {
            lane.budget.iter().map(|point| point.budget(hosts)).collect()
        };
        assert_eq!(at(&policy.routine, 1000), [10, 1]);
        assert_eq!(at(&policy.routine, 8_500_000), [100, 8500]);
        assert_eq!(at(&policy.emergency, 1000), [100]);
        assert_eq!(policy.emergency.approvals_min, 2);
        assert_eq!(policy.generation(), Millis::from_secs(35));
        assert_eq!(policy.emergency, defaults::emergency());
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        let mut wrong = form();
        wrong.emergency.approvals_min = 1;
        let error = wrong.policy(1, Time(0)).unwrap_err();
        assert!(matches!(error, PolicyFormError::Policy(PolicyError::Field(field, _))
            if field == "emergency.approvals_min"));
        wrong = form();
        wrong.probes[0].command = None;
        assert!(matches!(wrong.policy(1, Time(0)), Err(PolicyFormError::Probe(_))));
        assert!(PolicyForm::parse(&(form().write() + "\nsurprise = 1\n")).is_err());
    }
}
