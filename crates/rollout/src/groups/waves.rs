//! The greedy scan: in each generation, walk the hosts that are left in the random order and take
//! each one whose groups all have room.
use super::assignment::Taken;
use super::stream::{Bound, HEAD, Stream, Streams, length, rewrite};
use super::{Assignment, CanaryShare, Fleet, GroupsError, OrderKey};
use andon_model::limits::{GENERATIONS_MAX, STRATA_MAX, UNVOUCHED_GENERATIONS_MAX};
use std::collections::VecDeque;

/// Marks a group's cell of room: one of its members must go in this generation.
const URGENT: u8 = 1 << URGENT_BIT;
const URGENT_BIT: u32 = 7;
/// Marks it: one must go in the next generation unless enough go in this one.
const SOON: u8 = 1 << SOON_BIT;
const SOON_BIT: u32 = 6;
/// Marks it: there is more room in reserve, because a cell of one byte holds only so much.
const RESERVE: u8 = 1 << 5;
/// The rest of the cell: how many more members this generation takes.
const ROOM: u8 = RESERVE - 1;
/// Generations beyond the least possible, ⌈m / k⌉, that a plan allows itself before members of the
/// groups that need longest go first. The growth law spends four on its first hundredth of a large
/// fleet; one less leaves one for what the greedy scan packs badly at the end.
const SLACK: u32 = 3;
/// Hosts that are looked at before the first of them is taken: their cells are then in the nearest
/// cache, and nobody waits for memory to learn whether a host fits.
const AHEAD: usize = 256;
/// A wave of less than this part of the fleet takes nobody out of turn: it is a random sample.
const SAMPLE_DIVISOR: u64 = 16;

/// What the plan must keep to besides the groups' own budgets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// for so many generations a member counts as un-vouched: ⌈(D + window) / generation⌉, at least 1
    pub unvouched_generations: u32,
    /// most of the first wave in one group whose canaries are capped, in thousandths, at least one
    pub canary_share_permille: u16,
    /// most hosts of each stratum in the first wave; one entry per stratum
    pub first_wave: Vec<u32>,
    /// hosts of each stratum handed the release after everybody else; one entry per stratum
    pub holdback: Vec<u32>,
}

impl Rules {
    fn check(&self) -> Result<(), GroupsError> {
        let rule = |holds: bool, field, problem| {
            if holds { Ok(()) } else { Err(GroupsError::Rule(field, problem)) }
        };
        let generations = 1..=UNVOUCHED_GENERATIONS_MAX;
        rule(
            generations.contains(&self.unvouched_generations),
            "unvouched_generations",
            "is 0 or too large",
        )?;
        let share = (1..=1000).contains(&self.canary_share_permille);
        rule(share, "canary_share_permille", "is not within 1 to 1000")?;
        rule(self.first_wave.len() <= STRATA_MAX, "first_wave", "is too long")?;
        let alike = self.holdback.len() == self.first_wave.len();
        rule(alike, "holdback", "has not one entry per stratum")
    }
}

/// Assigns every host of `fleet` to a generation. `growth` says how many hosts may have been handed
/// in all by the end of a generation (from 1) when so many were before it ([`super::Growth::total`]).
/// # Errors
/// [`GroupsError`] when columns or rules make no sense, or the plan would never end.
pub fn assign(
    fleet: &Fleet<'_>,
    rules: &Rules,
    key: &OrderKey,
    growth: &dyn Fn(u32, u64) -> u64,
) -> Result<Assignment, GroupsError> {
    rules.check()?;
    let members = fleet.check(rules.first_wave.len())?;
    let Streams { phases, bounds, members } = rewrite(fleet, rules, key, &members);
    let mut walk = Walk {
        rules,
        groups: Groups::new(bounds, members, rules.unvouched_generations),
        deadline: deadline(fleet),
        handed: vec![0; rules.first_wave.len()],
        total: 0,
        hosts: fleet.hosts() as u64,
        taken: Taken::new(fleet.hosts()),
        ceilings: vec![],
    };
    let [first, alone, holdback] = phases;
    walk.groups.leave_out(&alone);
    walk.groups.leave_out(&holdback);
    walk.phase(first, growth)?;
    for later in [alone, holdback] {
        walk.groups.begin(&later);
        walk.phase(later, growth)?;
    }
    Ok(Assignment { places: walk.taken.places(fleet.strata), ceilings: walk.ceilings })
}

/// The generation by which the plan wants to have ended.
fn deadline(fleet: &Fleet<'_>) -> u32 {
    let needs = fleet.groups.iter().map(|group| group.size.div_ceil(group.budget()));
    needs.max().unwrap_or(1).saturating_add(SLACK)
}

/// One planning run.
struct Walk<'a> {
    rules: &'a Rules,
    groups: Groups,
    deadline: u32,
    /// hosts taken, per stratum
    handed: Vec<u32>,
    total: u64,
    hosts: u64,
    taken: Taken,
    ceilings: Vec<Vec<u32>>,
}

/// The groups' sums. Only the cells of room are read at random; all else goes forwards.
struct Groups {
    bounds: Vec<Bound>,
    /// how many more members this generation takes
    room: Room,
    /// the same at the generation's start, without marks
    granted: Vec<u32>,
    /// members of this phase that wait
    waiting: Vec<u32>,
    /// members taken in the earlier generations that still count
    unvouched: Vec<u32>,
    /// those members, generation by generation, oldest first; unused when only one counts
    taken: VecDeque<Vec<u32>>,
    unvouched_generations: u32,
}

/// Room per group and generation: what every scan reads at random, so a cell has one byte only.
struct Room {
    /// how many more members, and the marks
    cells: Vec<u8>,
    /// what does not fit into the cell
    reserve: Vec<u32>,
}

impl Walk<'_> {
    fn phase(
        &mut self,
        mut left: Stream,
        growth: &dyn Fn(u32, u64) -> u64,
    ) -> Result<(), GroupsError> {
        let mut tight = Stream::default();
        let mut sorted = false;
        while !(left.is_empty() && tight.is_empty()) {
            if self.ceilings.len() >= GENERATIONS_MAX {
                return Err(GroupsError::Generations);
            }
            let generation = u16::try_from(self.ceilings.len() + 1).unwrap_or(u16::MAX);
            let total = growth(u32::from(generation), self.total);
            if total <= self.total {
                return Err(GroupsError::Growth { generation: u32::from(generation) });
            }
            let urgent = self.groups.open(self.deadline, u32::from(generation))
                && (total - self.total) >= self.hosts / SAMPLE_DIVISOR;
            if generation == 1 {
                self.canaries(&mut left, total);
            } else {
                // `tight` holds every member of a group that must hurry, once a scan has seen all
                let mut passed = Stream::default();
                if urgent && !sorted {
                    self.scan::<1>(&mut left, Some(&mut passed), total, generation);
                }
                if urgent {
                    self.scan::<2>(&mut tight, None, total, generation);
                    self.scan::<1>(&mut tight, None, total, generation);
                }
                tight.append(passed);
                self.scan::<0>(&mut tight, None, total, generation);
                sorted = self.scan::<0>(&mut left, Some(&mut tight), total, generation);
            }
            self.groups.close();
            self.ceilings.push(self.handed.clone());
        }
        Ok(())
    }

    /// Takes hosts whose groups all have room until `total` are handed: any host, or those with at
    /// least `RUSH` groups of which a member must go now. Of those passed over, members of groups
    /// that must hurry move to `tight`, if there is one, and the others stay, in their order. Says
    /// whether it saw every host.
    fn scan<const RUSH: u8>(
        &mut self,
        left: &mut Stream,
        mut tight: Option<&mut Stream>,
        total: u64,
        generation: u16,
    ) -> bool {
        left.scan(|block| self.scan_block::<RUSH>(block, tight.as_deref_mut(), total, generation))
    }

    fn scan_block<const RUSH: u8>(
        &mut self,
        words: &mut Vec<u32>,
        mut tight: Option<&mut Stream>,
        total: u64,
        generation: u16,
    ) -> bool {
        let hurried = if tight.is_some() { URGENT | SOON } else { 0 };
        let room = &mut self.groups.room;
        let mut leaving = [0_usize; AHEAD];
        // those that stay are moved stretch by stretch, when somebody after them leaves
        let (mut kept, mut stretch, mut seen) = (0, 0, 0);
        while seen < words.len() && self.total < total {
            let (count, next) = room.look_ahead::<RUSH>(words, seen, hurried, &mut leaving);
            seen = next;
            for at in &leaving[..count] {
                let (at, second) = (*at, words[*at + 1]);
                let end = at + HEAD + length(second);
                let row = &words[at + HEAD..end];
                if room.sum(row).fits::<RUSH>() {
                    row.iter().for_each(|group| room.take(*group));
                    let rank = &mut self.handed[(second >> 8) as usize];
                    self.taken.push(words[at], generation, *rank);
                    *rank += 1;
                    self.total += 1;
                } else if room.sum(row).marks & hurried == 0 {
                    continue;
                } else if let Some(tight) = tight.as_mut() {
                    tight.push(&words[at..end]);
                }
                words.copy_within(stretch..at, kept);
                kept += at - stretch;
                stretch = end;
                if self.total >= total {
                    seen = end;
                    break;
                }
            }
        }
        let all = seen >= words.len();
        words.copy_within(stretch.., kept);
        words.truncate(kept + words.len() - stretch);
        if let Some(tight) = tight.filter(|_| words.is_empty()) {
            tight.reuse(words);
        }
        all
    }

    /// The first wave: spread over the strata, and no tenant or site with more than its share.
    fn canaries(&mut self, left: &mut Stream, total: u64) {
        let mut open = self.rules.first_wave.clone();
        let spread: u64 = open.iter().map(|hosts| u64::from(*hosts)).sum();
        let wave = spread.min(total).min(self.hosts);
        self.groups.cap_canaries(wave, self.rules.canary_share_permille);
        left.scan(|words| {
            let (mut kept, mut at) = (0, 0);
            while at < words.len() && self.total < wave {
                let second = words[at + 1];
                let end = at + HEAD + length(second);
                let row = &words[at + HEAD..end];
                let stratum = (second >> 8) as usize;
                if open[stratum] > 0 && self.groups.room.sum(row).fits::<0>() {
                    open[stratum] -= 1;
                    row.iter().for_each(|group| self.groups.room.take(*group));
                    let rank = &mut self.handed[stratum];
                    self.taken.push(words[at], 1, *rank);
                    *rank += 1;
                    self.total += 1;
                } else {
                    words.copy_within(at..end, kept);
                    kept += end - at;
                }
                at = end;
            }
            words.drain(kept..at);
            self.total < wave
        });
    }
}

/// A host's groups together.
struct Sum {
    /// room of the group that has least
    room: u8,
    marks: u8,
    /// groups of which a member must go now
    rush: u8,
}

impl Sum {
    fn fits<const RUSH: u8>(&self) -> bool {
        (self.room > 0) & (self.rush >= RUSH)
    }
}

impl Groups {
    fn new(bounds: Vec<Bound>, waiting: Vec<u32>, unvouched_generations: u32) -> Groups {
        let zeros = || vec![0; bounds.len()];
        Groups {
            room: Room { cells: vec![0; bounds.len()], reserve: zeros() },
            granted: zeros(),
            waiting,
            unvouched: zeros(),
            taken: VecDeque::new(),
            unvouched_generations,
            bounds,
        }
    }

    /// Members of a later phase do not wait in the first.
    fn leave_out(&mut self, later: &Stream) {
        later.rows().flatten().for_each(|group| self.waiting[*group as usize] -= 1);
    }

    /// Members of a phase that begins after the first wait from now on; nobody else is left to.
    fn begin(&mut self, left: &Stream) {
        left.rows().flatten().for_each(|group| self.waiting[*group as usize] += 1);
    }

    /// Grants every group its room; says whether some member must go now.
    fn open(&mut self, deadline: u32, generation: u32) -> bool {
        let spaced = self.unvouched_generations;
        // the most turns that a group still needs; one turn is its budget of members
        let mut turns = 0;
        for (waiting, bound) in self.waiting.iter().zip(&self.bounds) {
            if more_than(*waiting, bound, turns) {
                turns = waiting.div_ceil(bound.budget);
            }
        }
        let longest = turns.saturating_sub(1).saturating_mul(spaced).saturating_add(1);
        let until = deadline.saturating_sub(generation).saturating_add(1).max(longest).max(2);
        // a group needs so many generations if it needs more turns than this
        let turns = |generations: u32| (generations - 1).div_ceil(spaced);
        // nobody hurries for the last turn
        let (now, soon) = (turns(until), turns((until - 1).max(2)));
        let mut urgent = false;
        let columns = self.waiting.iter().zip(&self.unvouched).zip(&mut self.granted);
        for (at, (bound, ((waiting, unvouched), granted))) in
            self.bounds.iter().zip(columns).enumerate()
        {
            *granted = bound.budget.saturating_sub(*unvouched);
            let now = more_than(*waiting, bound, now);
            let soon = !now & more_than(*waiting, bound, soon);
            urgent |= now;
            self.room.fill(at, *granted, u8::from(now) << URGENT_BIT | u8::from(soon) << SOON_BIT);
        }
        urgent
    }

    /// In the first wave, a group whose canaries are capped takes no more than its share.
    fn cap_canaries(&mut self, wave: u64, share_permille: u16) {
        let share = (wave * u64::from(share_permille)).div_ceil(1000).max(1);
        let share = u32::try_from(share).unwrap_or(u32::MAX);
        for (at, bound) in self.bounds.iter().enumerate() {
            if bound.canaries == CanaryShare::Capped {
                self.granted[at] = self.granted[at].min(share);
            }
            self.room.fill(at, self.granted[at], 0);
        }
    }

    /// Counts what the generation took, and forgets the one that is vouched from now on.
    fn close(&mut self) {
        let spaced = self.unvouched_generations as usize;
        let mut taken = Vec::new();
        for at in 0..self.bounds.len() {
            let now = self.granted[at] - self.room.left(at);
            self.waiting[at] -= now;
            if spaced > 1 {
                self.unvouched[at] += now;
                taken.push(now);
            }
        }
        if spaced > 1 {
            self.taken.push_back(taken);
            if self.taken.len() >= spaced {
                let vouched = self.taken.pop_front().unwrap_or_default();
                for (unvouched, vouched) in self.unvouched.iter_mut().zip(vouched) {
                    *unvouched -= vouched;
                }
            }
        }
    }
}

/// Whether members that wait need more than so many turns, each as large as the budget.
fn more_than(waiting: u32, bound: &Bound, turns: u32) -> bool {
    u64::from(waiting) > u64::from(turns) * u64::from(bound.budget)
}

impl Room {
    /// Grants a group room, what does not fit into its cell in reserve.
    fn fill(&mut self, at: usize, granted: u32, marks: u8) {
        let cell = u8::try_from(granted).unwrap_or(ROOM).min(ROOM);
        self.reserve[at] = granted - u32::from(cell);
        self.cells[at] = cell | marks | if self.reserve[at] > 0 { RESERVE } else { 0 };
    }

    /// Takes one member of a group that has room.
    #[inline]
    fn take(&mut self, group: u32) {
        let at = group as usize;
        let cell = self.cells[at] - 1;
        self.cells[at] = cell;
        if cell & (ROOM | RESERVE) == RESERVE {
            self.fill(at, self.reserve[at], cell & (URGENT | SOON));
        }
    }

    /// Room that is left.
    fn left(&self, at: usize) -> u32 {
        u32::from(self.cells[at] & ROOM) + self.reserve[at]
    }

    /// What a host's groups have.
    #[inline]
    fn sum(&self, row: &[u32]) -> Sum {
        let mut sum = Sum { room: ROOM, marks: 0, rush: 0 };
        let mut add = |group: u32| {
            let cell = self.cells[group as usize];
            sum.room = sum.room.min(cell & ROOM);
            sum.marks |= cell;
            sum.rush += cell >> URGENT_BIT;
        };
        // Most hosts have a service and a rack: without the loop a scan takes a fifth less.
        if let [first, second] = row {
            add(*first);
            add(*second);
        } else {
            row.iter().for_each(|group| add(*group));
        }
        sum
    }

    /// Where those of the next hosts begin that may leave: there is room as yet, or a mark is
    /// `hurried`. Room only shrinks within a generation, so the others stay. Says how many they are,
    /// and where it stopped.
    fn look_ahead<const RUSH: u8>(
        &self,
        words: &[u32],
        mut at: usize,
        hurried: u8,
        leaving: &mut [usize; AHEAD],
    ) -> (usize, usize) {
        let mut count = 0;
        for _ in 0..AHEAD {
            if at >= words.len() {
                break;
            }
            let end = at + HEAD + length(words[at + 1]);
            let sum = self.sum(&words[at + HEAD..end]);
            leaving[count] = at;
            count += usize::from(sum.fits::<RUSH>() | (sum.marks & hurried != 0));
            at = end;
        }
        (count, at)
    }
}
