//! A fleet in numbers for scripts: arms that are well unless the script says otherwise. It judges
//! nothing, and every host's first failure counts once.
use andon_model::Time;
use andon_rollout::{ArmTally, Count, Event, Observation, Plan, Rollout, StratumTally};

/// From ticket to confirmation, milliseconds.
const CONFIRM_MS: u64 = 3000;

/// One wave in one stratum, or the controls of a stratum.
#[derive(Clone, Default)]
struct Arm {
    hosts: u32,
    born: u64,
    /// failed before the next tally
    bad: u32,
    /// fails in the next tally, per channel
    due: [u32; 3],
    silent: u32,
    fell_back: u32,
}

/// See the module's documentation.
pub(crate) struct Fleet {
    pub(crate) plan: Plan,
    pub(crate) rollout: Option<Rollout>,
    pub(crate) journal: Vec<(Time, Event)>,
    /// per wave, per stratum
    waves: Vec<Vec<Arm>>,
    controls: Vec<Arm>,
    lost: Option<usize>,
}

impl Fleet {
    pub(crate) fn new(plan: Plan) -> Fleet {
        let controls =
            plan.strata.iter().map(|s| Arm { hosts: s.size, ..Arm::default() }).collect();
        Fleet { plan, rollout: None, journal: Vec::new(), waves: Vec::new(), controls, lost: None }
    }

    pub(crate) fn rollout(&mut self) -> Result<&mut Rollout, String> {
        self.rollout.as_mut().ok_or_else(|| "nothing was started yet".to_owned())
    }

    /// A ticket is served: hosts change from controls to a wave, and the dead among them with them,
    /// in proportion: the order is random.
    pub(crate) fn hand(&mut self, handed: &[u32], now: u64) {
        let before = |at: usize| self.waves.iter().map(|wave| wave[at].hosts).sum::<u32>();
        let mut wave = Vec::new();
        for (at, handed) in handed.iter().enumerate() {
            let hosts = handed - before(at);
            let dead = self.controls[at].silent * hosts / self.controls[at].hosts.max(1);
            wave.push(Arm { hosts, born: now, silent: dead, bad: dead, ..Arm::default() });
        }
        for (controls, arm) in self.controls.iter_mut().zip(&wave) {
            controls.hosts -= arm.hosts;
            controls.silent -= arm.silent;
        }
        if wave.iter().any(|arm| arm.hosts > 0) {
            self.waves.push(wave);
        }
    }

    /// `count` hosts of a wave fail in one channel; of one stratum, or of the largest parts first.
    pub(crate) fn trouble(
        &mut self,
        channel: usize,
        wave: usize,
        stratum: Option<usize>,
        count: u32,
    ) -> Result<(), String> {
        let number = wave + 1;
        let arms = self.waves.get_mut(wave).ok_or(format!("there is no wave {number}"))?;
        let mut left = count;
        for (at, arm) in arms.iter_mut().enumerate() {
            if stratum.is_none_or(|only| only == at) {
                let hosts = left.min(arm.hosts - arm.bad);
                arm.due[channel] += hosts;
                left -= hosts;
            }
        }
        let some = left < count;
        if some { Ok(()) } else { Err(format!("wave {number} has no such host left")) }
    }

    /// So many per cent of every arm fall silent, whoever has the release; remainders add up.
    pub(crate) fn power_cut(&mut self, percent: u32) {
        let mut rest = 0;
        for arm in self.waves.iter_mut().flatten().chain(&mut self.controls) {
            let share = (arm.hosts - arm.bad) * percent + rest;
            (arm.due[0], rest) = (arm.due[0] + share / 100, share % 100);
        }
    }

    /// The next tally comes without this stratum.
    pub(crate) fn lose(&mut self, stratum: usize) {
        self.lost = Some(stratum);
    }

    pub(crate) fn observe(&mut self, now: u64) -> Observation {
        let mut strata = Vec::new();
        for (at, controls) in self.controls.iter_mut().enumerate() {
            let waves = self.waves.iter_mut().map(|wave| wave[at].tally(Some(now))).collect();
            strata.push(tally(waves, controls.tally(None)));
        }
        if let Some(lost) = self.lost.take() {
            strata.remove(lost);
        }
        observation(strata)
    }
}

/// The one place that builds a stratum's tally.
fn tally(waves: Vec<ArmTally>, controls: ArmTally) -> StratumTally {
    StratumTally { waves, controls, ..StratumTally::default() }
}

fn observation(strata: Vec<StratumTally>) -> Observation {
    Observation { strata }
}

impl Arm {
    /// This arm's counts at a tally; `now`: it is a wave and confirms in time.
    fn tally(&mut self, now: Option<u64>) -> ArmTally {
        let [silence, report, probe] = self.due;
        let new = silence + report + probe;
        let risk = self.hosts - self.silent;
        self.silent += silence;
        self.bad += new;
        self.fell_back += report;
        self.due = [0; 3];
        let confirms = now.is_some_and(|now| now >= self.born + CONFIRM_MS);
        ArmTally {
            silence: Count::of(silence, risk),
            report: Count::of(report, self.hosts),
            probe: Count::of(probe, self.hosts),
            bad_new: new,
            confirmed: if confirms { self.hosts - self.bad.min(self.hosts) } else { 0 },
            fell_back: self.fell_back,
            hosts: self.hosts,
        }
    }
}
