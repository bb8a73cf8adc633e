//! The journal and its fold: the production rollout after so many records. Journals are shared and
//! remember what follows them, so that each is folded once however many states refer to it.
use andon_model::text::Text;
use andon_model::{PersonId, Time};
use andon_rollout::windows;
use andon_rollout::{
    Action, ArmTally, Count, Event, Exposure, Observation, Plan, Rollout, StateName, StratumTally,
};
use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

/// Time between two records: any soak is over.
const STEP_MS: u64 = 60_000;
/// E above which the gate asks again and below which it lets widen, as the gate documents it.
const SUSPICIOUS: f64 = 100.0;

/// What the gate is made to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Look {
    /// widen
    Pass,
    /// ask again
    Wait,
    /// halt
    Fail,
}

/// One record, short enough to list all that may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Record {
    /// a person approves
    Approved(u8),
    /// tallies that lead to this verdict
    Saw(Look),
    /// the ticket of this generation is signed
    Issued(u32),
    /// a person holds
    Held,
    /// a person resumes
    Resumed,
    /// a person halts
    Halted,
    /// an effect failed
    ActionFailed,
}

/// Records so far and the production rollout that follows from them.
pub struct Journal {
    records: Vec<Record>,
    events: Vec<(Time, Event)>,
    key: u64,
    rollout: Rollout,
    /// hosts gone bad, per wave
    bad: Vec<u32>,
    controls_bad: u32,
    /// hosts handed at the latest observation
    vouched: u32,
    state: StateName,
    due: Option<Exposure>,
    stays_halted: bool,
    replays: bool,
    next: Mutex<BTreeMap<Record, Option<Arc<Journal>>>>,
}

impl Journal {
    pub(crate) fn started(plan: Plan) -> Arc<Journal> {
        let now = plan.created;
        let (rollout, _) = Rollout::start(plan, now);
        let (state, due) = (rollout.explain(now).state, due(&rollout));
        Arc::new(Journal {
            records: Vec::new(),
            events: vec![(now, Event::Started)],
            key: 0,
            rollout,
            bad: Vec::new(),
            controls_bad: 0,
            vouched: 0,
            state,
            due,
            stays_halted: true,
            replays: true,
            next: Mutex::new(BTreeMap::new()),
        })
    }

    /// The journal with one more record; `None` when no counts lead to the verdict asked for.
    #[must_use]
    pub fn append(&self, record: Record) -> Option<Arc<Journal>> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.entry(record).or_insert_with(|| self.grown(record).map(Arc::new)).clone()
    }

    fn grown(&self, record: Record) -> Option<Journal> {
        let now = self.now();
        let look = match record {
            Record::Saw(look) => Some(self.look(look)?),
            _ => None,
        };
        let (mut bad, mut controls_bad, mut vouched) =
            (self.bad.clone(), self.controls_bad, self.vouched);
        let event = match (look, record) {
            (Some(counts), _) => {
                if let Some(last) = bad.last_mut() {
                    *last += counts.treated;
                }
                controls_bad += counts.controls;
                vouched = self.handed();
                Event::Observed(self.observation(counts))
            }
            (None, record) => event(record, now),
        };
        let mut rollout = self.rollout.clone();
        rollout.apply(now, event.clone());
        bad.resize(rollout.waves().len(), 0);
        let (mut records, mut events) = (self.records.clone(), self.events.clone());
        records.push(record);
        events.push((now, event));
        let mut hasher = DefaultHasher::new();
        (self.key, record).hash(&mut hasher);
        let again = Rollout::replay(rollout.plan().clone(), &events);
        let explained = rollout.explain(now);
        let replays = again.explain(now) == explained && again.pending() == rollout.pending();
        let stays_halted = self.stays_halted && (!self.halted() || halted(&rollout));
        let key = hasher.finish();
        let next = Mutex::new(BTreeMap::new());
        Some(Journal {
            records,
            events,
            key,
            state: explained.state,
            due: due(&rollout),
            rollout,
            bad,
            controls_bad,
            vouched,
            stays_halted,
            replays,
            next,
        })
    }

    /// Records so far, the start left out.
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The production rollout after them.
    #[must_use]
    pub fn rollout(&self) -> &Rollout {
        &self.rollout
    }

    /// Where the rollout stands.
    #[must_use]
    pub fn state(&self) -> StateName {
        self.state
    }

    /// Whether it is over by a halt.
    #[must_use]
    pub fn halted(&self) -> bool {
        self.state == StateName::Halted
    }

    /// The exposure whose ticket is asked for.
    #[must_use]
    pub fn due(&self) -> Option<&Exposure> {
        self.due.as_ref()
    }

    /// Distinct people who approved, by the records themselves.
    #[must_use]
    pub fn people(&self) -> usize {
        let approver = |record: &Record| match record {
            Record::Approved(person) => Some(*person),
            _ => None,
        };
        self.records.iter().filter_map(approver).collect::<std::collections::BTreeSet<_>>().len()
    }

    /// Records for which `wanted` holds.
    #[must_use]
    pub fn count(&self, wanted: fn(&Record) -> bool) -> usize {
        self.records.iter().filter(|record| wanted(record)).count()
    }

    /// Hosts known to have taken the release at the latest observation, harmed or not.
    #[must_use]
    pub fn vouched(&self) -> u32 {
        self.vouched
    }

    /// Treated hosts gone bad, and controls gone bad.
    #[must_use]
    pub fn bad(&self) -> (u32, u32) {
        (self.bad.iter().sum(), self.controls_bad)
    }

    /// Whether no record ever led out of a halt.
    #[must_use]
    pub fn stays_halted(&self) -> bool {
        self.stays_halted
    }

    /// Whether a leader that reads the journal afresh knows what the one that wrote it knew.
    #[must_use]
    pub fn replays(&self) -> bool {
        self.replays
    }

    fn now(&self) -> Time {
        Time(self.rollout.plan().created.0 + STEP_MS * (self.events.len() as u64))
    }

    fn handed(&self) -> u32 {
        self.rollout.waves().last().map_or(0, |wave| wave[0])
    }

    /// The fewest failures that lead the production gate to `look`.
    fn look(&self, look: Look) -> Option<Counts> {
        let last = self.rollout.waves().len().checked_sub(1)?;
        let before = last.checked_sub(1).map_or(0, |before| self.rollout.waves()[before][0]);
        let alive = self.handed() - before - self.bad[last];
        let controls = self.rollout.plan().strata[0].size - self.handed();
        let tries: Vec<Counts> = match look {
            // Controls that fall silent speak for the update: after a wait they make it pass.
            Look::Pass => [0, 1, 2, 4, 8, 16, 32, 64]
                .into_iter()
                .filter(|bad| bad + self.controls_bad <= controls)
                .map(|controls| Counts { treated: 0, controls })
                .collect(),
            Look::Wait => (0..=alive).map(|treated| Counts { treated, controls: 0 }).collect(),
            Look::Fail => vec![Counts { treated: alive, controls: 0 }],
        };
        tries.into_iter().find(|counts| self.says(*counts) == look)
    }

    fn says(&self, counts: Counts) -> Look {
        let (now, mut rollout) = (self.now(), self.rollout.clone());
        rollout.apply(now, Event::Observed(self.observation(counts)));
        if halted(&rollout) {
            Look::Fail
        } else if rollout.explain(now).evidence.e > SUSPICIOUS {
            Look::Wait
        } else {
            Look::Pass
        }
    }

    fn observation(&self, counts: Counts) -> Observation {
        let waves = self.rollout.waves();
        let mut before = 0;
        let mut arms = Vec::new();
        for (at, wave) in waves.iter().enumerate() {
            let new = if at + 1 == waves.len() { counts.treated } else { 0 };
            arms.push(arm(wave[0] - before, self.bad[at], new, true));
            before = wave[0];
        }
        let rest = self.rollout.plan().strata[0].size - before;
        let controls = arm(rest, self.controls_bad.min(rest), counts.controls, false);
        let mut seen = observation(arms, controls);
        windows::by_wave(&self.rollout, self.now(), &mut seen);
        seen
    }
}

/// Hosts that fall silent at one look: of the latest wave, of the controls.
#[derive(Clone, Copy)]
struct Counts {
    treated: u32,
    controls: u32,
}

/// The one place that builds a tally.
fn observation(waves: Vec<ArmTally>, controls: ArmTally) -> Observation {
    let tally = StratumTally { waves, controls, ..StratumTally::default() };
    Observation { strata: vec![tally] }
}

fn arm(hosts: u32, bad: u32, new: u32, treated: bool) -> ArmTally {
    let silence = Count::of(new, (hosts - bad).max(new));
    let others = Count::of(0, hosts);
    ArmTally {
        silence,
        report: others,
        probe: others,
        bad_new: new,
        confirmed: if treated { hosts - bad - new } else { 0 },
        hosts,
        ..ArmTally::default()
    }
}

/// Halted, and whoever takes over is told to freeze.
fn halted(rollout: &Rollout) -> bool {
    matches!(&rollout.pending()[..], [Action::Freeze { .. }])
}

fn due(rollout: &Rollout) -> Option<Exposure> {
    let exposure = |action| match action {
        Action::Expose(exposure) => Some(exposure),
        _ => None,
    };
    rollout.pending().into_iter().find_map(exposure)
}

fn event(record: Record, at: Time) -> Event {
    let person = |number: u8| {
        PersonId::new(&format!("p{number}")).unwrap_or_else(|why| panic!("fixed name: {why}"))
    };
    match record {
        Record::Approved(number) => Event::ApprovalGranted { person: person(number) },
        Record::Issued(generation) => Event::TicketIssued { generation, at },
        Record::Held => Event::Held { by: person(0), reason: Text::default() },
        Record::Resumed => Event::Resumed { by: person(0) },
        Record::Halted => Event::HaltedByPerson { by: person(0), reason: Text::default() },
        Record::ActionFailed => {
            Event::ActionFailed { generation: 1, what: Text::clipped("disk full") }
        }
        Record::Saw(_) => Event::Observed(Observation::default()),
    }
}

impl PartialEq for Journal {
    fn eq(&self, other: &Journal) -> bool {
        self.records == other.records
    }
}
impl Eq for Journal {}
impl Hash for Journal {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        hasher.write_u64(self.key);
    }
}
impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.records)
    }
}
