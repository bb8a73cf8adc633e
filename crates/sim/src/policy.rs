//! What a policy file says: Andon's rollout core with numbers, or a peer's way with numbers. It decides
//! nothing: see [`crate::andon`] and [`crate::peers`].
use crate::andon::AndonPolicy;
use crate::file::{Check, FileError, Origin};
use crate::peers::{
    AllAtOnce, AppConfig, Bottlerocket, Hawkbit, Linear, Nebraska, PersonSpec, Rings, Sign,
};
use crate::scenario_file::TIME_S_MAX;
use andon_model::limits::{HORIZONS_MAX, HOSTS_MAX, TEXT_LENGTH_MAX};
use serde::{Deserialize, Serialize};

/// Most rings or waves in a peer's policy: an hour each for over a month.
pub const STEPS_MAX: usize = 1_000;

/// One policy file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySpec {
    /// its name: the file's, without ending
    pub name: String,
    /// what it does, one line
    pub about: String,
    /// whose way, and its numbers
    pub kind: Kind,
}

/// Whose way of handing out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Kind {
    /// the production core
    Andon(AndonPolicy),
    /// everybody at once
    AllAtOnce(AllAtOnce),
    /// fixed shares at fixed times
    Rings(Rings),
    /// groups that open each other
    Hawkbit(Hawkbit),
    /// waves by seed
    Bottlerocket(Bottlerocket),
    /// doubling shares with an alarm
    AppConfig(AppConfig),
    /// evenly over time
    Linear(Linear),
    /// one host, then so many per period
    Nebraska(Nebraska),
}

/// Reads and checks a policy; `file` is its name in messages.
/// # Errors
/// [`FileError`]: the first thing that is wrong, with line and field.
pub fn parse(file: &str, text: &str) -> Result<PolicySpec, FileError> {
    let origin = Origin { kind: "policy", file, text };
    let policy: PolicySpec = origin.parse().map_err(|mut error| {
        if error.field == "kind" {
            error.problem.push_str("; write its kind as a table, such as [kind.andon]");
        }
        error
    })?;
    let mut check = origin.check();
    let c = &mut check;
    c.name(&policy.name);
    c.text("about", &policy.about, TEXT_LENGTH_MAX);
    match &policy.kind {
        Kind::Andon(andon) => check_andon(andon, c),
        Kind::AllAtOnce(it) => check_person("kind.all-at-once", &it.person, c),
        Kind::Rings(it) => check_rings(it, c),
        Kind::Hawkbit(it) => {
            c.whole("kind.hawkbit.groups", u64::from(it.groups), 1, 500);
            c.real("kind.hawkbit.success_percent", it.success_percent, 0.0, 100.0);
            c.real("kind.hawkbit.error_percent", it.error_percent, 0.0, 100.0);
        }
        Kind::Bottlerocket(it) => check_bottlerocket(it, c),
        Kind::AppConfig(it) => {
            c.real("kind.app-config.growth_percent", it.growth_percent, 1.0, 100.0);
            c.real("kind.app-config.duration_s", it.duration_s, 0.0, 86_400.0);
            c.real("kind.app-config.bake_s", it.bake_s, 0.0, 86_400.0);
            check_sign("kind.app-config.alarm", &it.alarm, c);
        }
        Kind::Linear(it) => {
            c.real("kind.linear.duration_s", it.duration_s, 1.0, TIME_S_MAX);
            check_person("kind.linear", &it.person, c);
        }
        Kind::Nebraska(it) => {
            c.real("kind.nebraska.percent_per_period", it.percent_per_period, 1e-6, 100.0);
            c.real("kind.nebraska.period_s", it.period_s, 1.0, TIME_S_MAX);
            c.real("kind.nebraska.timeout_s", it.timeout_s, 1.0, TIME_S_MAX);
        }
    }
    check.done()?;
    Ok(policy)
}

/// The same ranges as a signed policy has ([`andon_model::policy::Policy`]), checked where the field is.
fn check_andon(it: &AndonPolicy, c: &mut Check<'_>) {
    let path = |field: &str| format!("kind.andon.{field}");
    let points = it.budget.len();
    let problem = format!("has {points} points; give 1 to {HORIZONS_MAX}, such as 0 s: 100 hosts");
    c.rule((1..=HORIZONS_MAX).contains(&points), &path("budget"), problem);
    for (at, point) in it.budget.iter().enumerate() {
        c.real(&path(&format!("budget[{at}].after_s")), point.after_s, 0.0, TIME_S_MAX);
        c.whole(&path(&format!("budget[{at}].hosts_max")), point.hosts_max, 1, HOSTS_MAX);
        let share = u64::from(point.share_max_ppm);
        c.whole(&path(&format!("budget[{at}].share_max_ppm")), share, 1, 1_000_000);
        let later = at == 0 || it.budget[at - 1].after_s < point.after_s;
        let problem = "is not later than the point before it; sort the points by after_s";
        c.rule(later, &path(&format!("budget[{at}].after_s")), problem);
    }
    c.whole(&path("first_wave"), u64::from(it.first_wave), 1, HOSTS_MAX);
    c.whole(&path("growth_max_permille"), it.growth_max_permille, 1_001, 1_000_000_000);
    c.real(&path("soak_min_s"), it.soak_min_s, 0.0, TIME_S_MAX);
    c.real(&path("beat_s"), it.beat_s, 1.0, 3_600.0);
    let silent = "is under two beats; a single lost beat would be silence";
    c.rule(it.silent_after_s >= 2.0 * it.beat_s, &path("silent_after_s"), silent);
    c.real(&path("silent_after_s"), it.silent_after_s, 2.0, 86_400.0);
    c.real(&path("delivery_s"), it.delivery_s, 0.001, TIME_S_MAX);
    c.real(&path("window_s"), it.window_s, 0.0, TIME_S_MAX);
    c.whole(&path("alpha_ppm"), u64::from(it.alpha_ppm), 1, 500_000);
    c.whole(&path("delta_ppm"), u64::from(it.delta_ppm), 1, 500_000);
    c.whole(&path("holdback_permille"), u64::from(it.holdback_permille), 0, 500);
    c.whole(&path("holdback_min"), u64::from(it.holdback_min), 0, HOSTS_MAX);
    c.whole(&path("controls_max"), it.controls_max, 1, HOSTS_MAX);
    c.real(&path("background_per_h"), it.background_per_h, 0.0, 1.0);
}

fn check_person(path: &str, person: &PersonSpec, c: &mut Check<'_>) {
    c.real(&format!("{path}.person.reaction_s"), person.reaction_s, 0.0, TIME_S_MAX);
    check_sign(&format!("{path}.person.notices"), &person.notices, c);
}

fn check_sign(path: &str, sign: &Sign, c: &mut Check<'_>) {
    c.real(&format!("{path}.share"), sign.share, 1e-9, 1.0);
    c.whole(&format!("{path}.hosts_min"), sign.hosts_min, 1, HOSTS_MAX);
    c.real(&format!("{path}.window_s"), sign.window_s, 1.0, 86_400.0);
}

fn check_rings(it: &Rings, c: &mut Check<'_>) {
    let path = |at: usize, field: &str| format!("kind.rings.rings[{at}].{field}");
    let some = (1..=STEPS_MAX).contains(&it.rings.len());
    c.rule(some, "kind.rings.rings", format_args!("give 1 to {STEPS_MAX} rings"));
    for (at, ring) in it.rings.iter().enumerate() {
        c.real(&path(at, "after_s"), ring.after_s, 0.0, TIME_S_MAX);
        c.real(&path(at, "percent"), ring.percent, 1e-6, 100.0);
        let before = at.checked_sub(1).map(|before| it.rings[before]);
        let later = before.is_none_or(|before| before.after_s < ring.after_s);
        c.rule(later, &path(at, "after_s"), "is not later than the ring before it");
        let more = before.is_none_or(|before| before.percent < ring.percent);
        c.rule(more, &path(at, "percent"), "is not more than the ring before it");
    }
    check_person("kind.rings", &it.person, c);
}

fn check_bottlerocket(it: &Bottlerocket, c: &mut Check<'_>) {
    let path = |at: usize, field: &str| format!("kind.bottlerocket.waves[{at}].{field}");
    let some = (1..=STEPS_MAX).contains(&it.waves.len());
    c.rule(some, "kind.bottlerocket.waves", format_args!("give 1 to {STEPS_MAX} waves"));
    for (at, wave) in it.waves.iter().enumerate() {
        c.real(&path(at, "start_after_s"), wave.start_after_s, 0.0, TIME_S_MAX);
        c.whole(&path(at, "fleet_percentage"), u64::from(wave.fleet_percentage), 1, 100);
        let before = at.checked_sub(1).map(|before| it.waves[before]);
        let later = before.is_none_or(|before| before.start_after_s < wave.start_after_s);
        c.rule(later, &path(at, "start_after_s"), "is not later than the wave before it");
        let more = before.is_none_or(|before| before.fleet_percentage < wave.fleet_percentage);
        c.rule(more, &path(at, "fleet_percentage"), "is not more than the wave before it");
    }
    check_person("kind.bottlerocket", &it.person, c);
}
