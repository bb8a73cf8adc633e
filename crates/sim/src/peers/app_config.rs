//! AWS AppConfig's exponential deployment: G·2^N percent in equal steps, then a bake; an alarm in either
//! ends it.
use super::person::{Sign, Watch};
use super::{Look, Way, Wish, share_of};
use serde::{Deserialize, Serialize};

/// The policy's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppConfig {
    /// G, percent of the fleet in the first step
    pub growth_percent: f64,
    /// over so long, seconds
    pub duration_s: f64,
    /// watched for so long afterwards, seconds
    pub bake_s: f64,
    /// what ends it
    pub alarm: Sign,
}

impl AppConfig {
    pub(super) fn start(&self) -> Started {
        Started { spec: *self, watch: Watch::new(self.alarm, false) }
    }

    /// Percent of the fleet that has it then. Steps begin evenly over the duration.
    fn percent(&self, elapsed_s: f64) -> f64 {
        let steps = (100.0 / self.growth_percent).log2().ceil() + 1.0;
        let step = (elapsed_s * steps / self.duration_s.max(f64::MIN_POSITIVE)).floor();
        (self.growth_percent * step.min(steps).exp2()).min(100.0)
    }
}

#[derive(Debug)]
pub(super) struct Started {
    spec: AppConfig,
    watch: Watch,
}

impl Way for Started {
    fn look(&mut self, look: &Look<'_>) -> Wish {
        let watched = look.elapsed_s <= self.spec.duration_s + self.spec.bake_s;
        if self.watch.sees(look) && watched {
            return Wish::Stop;
        }
        Wish::Cover(share_of(self.spec.percent(look.elapsed_s) / 100.0, look.all.hosts))
    }
}
