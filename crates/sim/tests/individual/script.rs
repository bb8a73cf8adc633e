//! A controller that covers by a script and keeps what it was shown.
use andon_rollout::{ArmTally, Observation};
use andon_sim::controller::{Controller, Pace, Seen, Shape, Sight, Standing};
use andon_sim::scenario::Scenario;

/// Hosts covered in all from so many seconds on.
pub(crate) type Step = (f64, u32);

pub(crate) struct Script {
    pub(crate) shape: Shape,
    pub(crate) pace: Option<Pace>,
    pub(crate) steps: Vec<Step>,
    pub(crate) halts_at: Option<u32>,
    /// when it halts anyway
    pub(crate) halts_s: f64,
    pub(crate) ends_when_covered: bool,
    handed: Vec<u32>,
    begun_ms: Option<u64>,
    standing: Standing,
    pub(crate) shown: Vec<(f64, Observation)>,
    pub(crate) seen: Vec<Vec<Seen>>,
}

impl Script {
    pub(crate) fn new(sizes: &[u32], steps: &[Step]) -> Script {
        let shape = Shape {
            strata: sizes.to_vec(),
            beat_s: 5.0,
            silent_after_s: 15.0,
            window_s: 10.0,
            horizons_s: vec![0.0, 60.0],
            budget: vec![u64::MAX, u64::MAX],
            controls: sizes.iter().map(|size| size / 2).collect(),
            gauge_every: vec![2; sizes.len()],
        };
        Script {
            handed: vec![0; sizes.len()],
            shape,
            pace: None,
            steps: steps.to_vec(),
            halts_at: None,
            halts_s: f64::INFINITY,
            ends_when_covered: false,
            begun_ms: None,
            standing: Standing::Running,
            shown: Vec::new(),
            seen: Vec::new(),
        }
    }
    pub(crate) fn last_seen(&self) -> &[Seen] {
        self.seen.last().unwrap()
    }
}

impl Controller for Script {
    fn shape(&self) -> Option<Shape> {
        Some(self.shape.clone())
    }
    fn pace(&self) -> Option<Pace> {
        self.pace
    }
    fn reads_tallies(&self) -> bool {
        true
    }
    fn tick(&mut self, sight: &Sight<'_>) -> &[u32] {
        let begun = *self.begun_ms.get_or_insert(sight.now.0);
        let at_s = (sight.now.0 - begun) as f64 / 1000.0;
        self.shown.push((at_s, sight.tallies.unwrap().clone()));
        self.seen.push(sight.seen.to_vec());
        let silent: u32 = sight.seen.iter().map(|seen| seen.silent).sum();
        if self.halts_at.is_some_and(|most| silent >= most) || at_s >= self.halts_s {
            self.standing = Standing::Halted;
        }
        let covered = self.steps.iter().filter(|step| step.0 <= at_s).map(|step| step.1).max();
        self.handed = spread(covered.unwrap_or(0), &self.shape.strata);
        let last = self.steps.last().unwrap();
        if self.ends_when_covered && at_s > last.0 {
            self.standing = Standing::Done;
        }
        &self.handed
    }
    fn standing(&self) -> Standing {
        self.standing
    }
}

/// So many hosts in all, in proportion to the strata.
pub(crate) fn spread(hosts: u32, sizes: &[u32]) -> Vec<u32> {
    let all: u64 = sizes.iter().map(|size| u64::from(*size)).sum();
    let share = |size: &u32| (u64::from(hosts) * u64::from(*size)).div_ceil(all);
    sizes.iter().map(|size| u32::try_from(share(size)).unwrap().min(*size)).collect()
}

/// A quiet fleet of so many hosts, and what else the scenario's text says.
pub(crate) fn scenario(hosts: u32, text: &str) -> Scenario {
    let quiet = if text.contains("background_per_h") { "" } else { "background_per_h = 0.0\n" };
    toml::from_str(&format!("name = 'test'\nabout = ''\nhosts = {hosts}\n{quiet}{text}")).unwrap()
}

/// Every arm of an observation.
pub(crate) fn arms(seen: &Observation) -> impl Iterator<Item = &ArmTally> {
    seen.strata.iter().flat_map(|s| s.waves.iter().chain([&s.controls, &s.gauge]))
}
