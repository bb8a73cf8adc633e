//! The fleet rewritten in the random order, as one stream of words that every scan reads forwards.
//!
//! A host is two words and its groups: its index, then how many groups follow (low byte) and its
//! stratum (the bytes above). Groups that can never run out of room are left out, and the others
//! are renamed with the largest first: most memberships then fall into the few cells of room that
//! stay in the nearest cache. Hosts are moved twice, each time within what a cache holds: into
//! buckets by the first bits of their hash, then into order inside each bucket.
use super::{CanaryShare, Fleet, OrderKey, Rules};

/// Words of a host before its groups.
pub(super) const HEAD: usize = 2;
/// The same while it lies in a bucket: its hash's next bits come first.
const BUCKET_HEAD: usize = HEAD + 1;
/// A group that is not renamed: it never runs out of room.
const NEVER_FULL: u32 = u32::MAX >> 1;
/// Marks, in a renamed group or in a host's second word, that the host waits for everybody else.
const WAITS: u32 = 1 << 31;
/// Hosts per bucket, about: a bucket's words fit the second-level cache twice.
const BUCKET_HOSTS: usize = 1 << 14;
/// Bits that choose a host's place in its bucket, about.
const SLOT_BITS: u32 = 14;
/// Most bits that choose a bucket: more streams of writes than this and each host costs a page walk.
const BUCKET_BITS_MAX: u32 = 11;

/// Hosts that are left, in order: `words[start..]`.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) words: Vec<u32>,
    pub(super) start: usize,
}

impl Stream {
    pub(super) fn is_empty(&self) -> bool {
        self.start >= self.words.len()
    }

    /// After a scan up to `at` that kept `start..kept`: closes the gap.
    pub(super) fn pass(&mut self, kept: usize, at: usize) {
        let stay = kept - self.start;
        self.words.copy_within(self.start..kept, at - stay);
        self.start = at - stay;
    }
}

/// A renamed group: what the planner still needs of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub(super) budget: u32,
    pub(super) canaries: CanaryShare,
}

/// Everything the planner scans.
#[derive(Debug)]
pub(super) struct Streams {
    /// those who go first; who are somebody's only member; the holdback
    pub(super) phases: [Stream; 3],
    pub(super) bounds: Vec<Bound>,
}

/// Rewrites a checked fleet; `members` are its hosts per group.
pub(super) fn rewrite(
    fleet: &Fleet<'_>,
    rules: &Rules,
    key: &OrderKey,
    members: &[u32],
) -> Streams {
    let (names, bounds) = rename(fleet, members);
    let buckets = Buckets::of(fleet.hosts());
    let mut ends = vec![0_usize; buckets.count()];
    for (at, number) in fleet.numbers.iter().enumerate() {
        ends[buckets.of_hash(key.hash(*number))] += BUCKET_HEAD + fleet.row(at).len();
    }
    let mut sum = 0;
    for end in &mut ends {
        (*end, sum) = (sum, sum + *end);
    }
    let starts = ends.clone();
    let mut words = vec![0_u32; sum];
    for (at, number) in fleet.numbers.iter().enumerate() {
        let hash = key.hash(*number);
        let end = &mut ends[buckets.of_hash(hash)];
        let row = fleet.row(at);
        let place = &mut words[*end..*end + BUCKET_HEAD + row.len()];
        let (head, groups) = place.split_at_mut(BUCKET_HEAD);
        let (mut length, mut waits) = (0, 0);
        for group in row {
            let name = names[*group as usize];
            waits |= name & WAITS;
            if name & NEVER_FULL != NEVER_FULL {
                groups[length as usize] = name;
                length += 1;
            }
        }
        head[0] = buckets.next_bits(hash);
        head[1] = low(at as u64);
        head[2] = waits | u32::from(fleet.strata[at]) << 8 | length;
        *end += BUCKET_HEAD + length as usize;
    }
    let phases = in_order(fleet, rules, key, words, &starts, &ends);
    Streams { phases, bounds }
}

/// New names of the groups, the largest first, and what is left of them.
fn rename(fleet: &Fleet<'_>, members: &[u32]) -> (Vec<u32>, Vec<Bound>) {
    let mut names = vec![NEVER_FULL; members.len()];
    let mut bound: Vec<u64> = Vec::new();
    for ((group, members), at) in fleet.groups.iter().zip(members).zip(0_u64..) {
        if *members > group.budget() || group.canaries == CanaryShare::Capped {
            bound.push(u64::from(u32::MAX - members) << 32 | at);
        } else if group.waits() {
            names[low(at) as usize] |= WAITS;
        }
    }
    bound.sort_unstable();
    let mut bounds = Vec::with_capacity(bound.len());
    for (packed, name) in bound.iter().zip(0..) {
        let at = low(*packed) as usize;
        let group = &fleet.groups[at];
        names[at] = name | if group.waits() { WAITS } else { 0 };
        bounds.push(Bound { budget: group.budget(), canaries: group.canaries });
    }
    (names, bounds)
}

/// Sorts each bucket in place by all bits of the hash, and sets apart who goes later.
fn in_order(
    fleet: &Fleet<'_>,
    rules: &Rules,
    key: &OrderKey,
    mut words: Vec<u32>,
    starts: &[usize],
    ends: &[usize],
) -> [Stream; 3] {
    let mut open = open(fleet, rules);
    let mut later = [Vec::new(), Vec::new()];
    let mut kept = 0;
    let mut order: Vec<u64> = Vec::new();
    let mut bucket: Vec<u32> = Vec::new();
    for (start, end) in starts.iter().zip(ends) {
        bucket.clear();
        bucket.extend_from_slice(&words[*start..*end]);
        sort(&bucket, &mut order);
        let full =
            |packed: &u64| key.hash(fleet.numbers[bucket[low(*packed) as usize + 1] as usize]);
        for tied in order.chunk_by_mut(|a, b| a >> 32 == b >> 32).filter(|run| run.len() > 1) {
            tied.sort_by_key(full);
        }
        for packed in &order {
            let at = low(*packed) as usize + 1;
            let host = &bucket[at..at + HEAD + length(bucket[at + 1])];
            let second = host[1] & !WAITS;
            let open = &mut open[(second >> 8) as usize];
            let to = if *open == 0 {
                &mut later[1]
            } else {
                *open -= 1;
                if host[1] & WAITS == 0 {
                    words[kept..kept + host.len()].copy_from_slice(host);
                    kept += host.len();
                    continue;
                }
                &mut later[0]
            };
            to.extend_from_slice(host);
            let head = to.len() - host.len() + 1;
            to[head] = second;
        }
    }
    words.truncate(kept);
    let [alone, holdback] = later;
    [words, alone, holdback].map(|words| Stream { words, start: 0 })
}

/// Where the hosts of a bucket begin, below their 32 bits of hash, sorted by these. The bits are
/// uniform, so each host first goes to about its final place, and few are in another's way there.
fn sort(bucket: &[u32], order: &mut Vec<u64>) {
    let mut slots = vec![0_u32; 1 << SLOT_BITS];
    let slot = |hash: u32| (hash >> (u32::BITS - SLOT_BITS)) as usize;
    let hosts = || {
        let mut next = 0;
        std::iter::from_fn(move || {
            let (at, hash) = (next, *bucket.get(next)?);
            next += BUCKET_HEAD + length(bucket[at + 2]);
            Some((at, hash))
        })
    };
    for (_, hash) in hosts() {
        slots[slot(hash)] += 1;
    }
    let mut sum = 0;
    for count in &mut slots {
        (*count, sum) = (sum, sum + *count);
    }
    order.clear();
    order.resize(sum as usize, 0);
    for (at, hash) in hosts() {
        let place = &mut slots[slot(hash)];
        order[*place as usize] = u64::from(hash) << 32 | at as u64;
        *place += 1;
    }
    for at in 1..order.len() {
        let host = order[at];
        let mut to = at;
        while to > 0 && order[to - 1] > host {
            order[to] = order[to - 1];
            to -= 1;
        }
        order[to] = host;
    }
}

/// Hosts of each stratum that are not held back.
fn open(fleet: &Fleet<'_>, rules: &Rules) -> Vec<u32> {
    let mut open: Vec<u32> = vec![0; rules.holdback.len()];
    for stratum in fleet.strata {
        open[usize::from(*stratum)] += 1;
    }
    for (open, holdback) in open.iter_mut().zip(&rules.holdback) {
        *open = open.saturating_sub(*holdback);
    }
    open
}

/// Which bits of the hash choose the bucket.
#[derive(Clone, Copy)]
struct Buckets {
    bits: u32,
}

impl Buckets {
    fn of(hosts: usize) -> Buckets {
        Buckets { bits: (hosts / BUCKET_HOSTS + 1).ilog2().min(BUCKET_BITS_MAX) }
    }

    fn count(self) -> usize {
        1 << self.bits
    }

    fn of_hash(self, hash: u64) -> usize {
        // no bits: a shift by the whole width is refused, so it is made in two
        usize::try_from(hash >> 1 >> (63 - self.bits)).unwrap_or(0)
    }

    fn next_bits(self, hash: u64) -> u32 {
        low(hash >> (32 - self.bits))
    }
}

/// Groups that follow a host's head.
pub(super) fn length(second: u32) -> usize {
    (second & 0xff) as usize
}

fn low(word: u64) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is asked for")]
    let low = word as u32;
    low
}
