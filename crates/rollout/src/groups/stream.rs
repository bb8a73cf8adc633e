//! The fleet rewritten in the random order, as one stream of words that every scan reads forwards.
//!
//! A host is two words and its groups: its index, then how many groups follow (low byte) and its
//! stratum (the bytes above). Groups that can never run out of room are left out, and the others
//! are renamed with the largest first: most memberships then fall into the few cells of room that
//! stay in the nearest cache. Hosts are moved twice, each time within what a cache holds: into
//! buckets by the first bits of their hash, then into order inside each bucket.
use super::{CanaryShare, Fleet, Group, OrderKey, Rules};

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
/// Hosts that are hashed at a time: hashing keeps the processor busy, so that writing the hosts down
/// right after would wait for memory once per host.
const HASHES: usize = 256;
/// Words of a block that hosts are appended to, at most.
const BLOCK_WORDS: usize = 1 << 16;
/// Bits that choose a host's place in its bucket, about.
const SLOT_BITS: u32 = 14;
/// Most bits that choose a bucket: more streams of writes than this and each host costs a page walk.
const BUCKET_BITS_MAX: u32 = 11;

/// Hosts that are left, in order, in blocks that a cache holds.
#[derive(Debug, Default)]
pub(super) struct Stream {
    blocks: Vec<Vec<u32>>,
    /// empty ones: memory that was used before is faster
    spare: Vec<Vec<u32>>,
}

impl Stream {
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// Appends a host.
    pub(super) fn push(&mut self, host: &[u32]) {
        match self.blocks.last_mut() {
            Some(block) if block.len() + host.len() <= BLOCK_WORDS => block.extend_from_slice(host),
            _ => {
                let new = || Vec::with_capacity(BLOCK_WORDS);
                let mut block = self.spare.pop().unwrap_or_else(new);
                block.extend_from_slice(host);
                self.blocks.push(block);
            }
        }
    }

    /// Appends the hosts of another stream.
    pub(super) fn append(&mut self, mut other: Stream) {
        self.blocks.append(&mut other.blocks);
        self.spare.append(&mut other.spare);
    }

    /// Takes over the memory of another stream's block that has no hosts left.
    pub(super) fn reuse(&mut self, block: &mut Vec<u32>) {
        self.spare.push(std::mem::take(block));
    }

    /// Shows every block to `scan`, which takes hosts out of it and says whether to go on. Says
    /// whether it always did.
    pub(super) fn scan(&mut self, mut scan: impl FnMut(&mut Vec<u32>) -> bool) -> bool {
        let all = self.blocks.iter_mut().all(&mut scan);
        self.blocks.retain(|block| !block.is_empty());
        all
    }

    /// The groups of every host.
    pub(super) fn rows(&self) -> impl Iterator<Item = &[u32]> {
        self.blocks.iter().flat_map(|block| {
            let mut at = 0;
            std::iter::from_fn(move || {
                let row = at + HEAD..at + HEAD + length(*block.get(at + 1)?);
                at = row.end;
                Some(&block[row])
            })
        })
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
    /// hosts of each renamed group in all phases
    pub(super) members: Vec<u32>,
}

/// Rewrites a checked fleet; `members` are its hosts per group.
pub(super) fn rewrite(
    fleet: &Fleet<'_>,
    rules: &Rules,
    key: &OrderKey,
    members: &[u32],
) -> Streams {
    let (names, bounds, members) = rename(fleet, members);
    let buckets = Buckets::of(fleet.hosts());
    let mut blocks = buckets.empty(BUCKET_HEAD * fleet.hosts() + fleet.memberships.len());
    let mut hashes = Vec::with_capacity(HASHES);
    for (numbers, chunk) in fleet.numbers.chunks(HASHES).zip(0..) {
        hashes.clear();
        hashes.extend(numbers.iter().map(|number| key.hash(*number)));
        for (hash, at) in hashes.iter().zip(chunk * HASHES..) {
            let block = &mut blocks[buckets.of_hash(*hash)];
            let begin = block.len() + BUCKET_HEAD;
            block.extend([buckets.next_bits(*hash), low(at as u64), 0]);
            let mut waits = 0;
            for group in fleet.row(at) {
                let name = names[*group as usize];
                waits |= name & WAITS;
                if name & NEVER_FULL != NEVER_FULL {
                    block.push(name);
                }
            }
            let length = low((block.len() - begin) as u64);
            block[begin - 1] = waits | u32::from(fleet.strata[at]) << 8 | length;
        }
    }
    Streams { phases: in_order(fleet, rules, key, blocks), bounds, members }
}

/// New names of the groups, the largest first by the power of two, and what is left of them.
fn rename(fleet: &Fleet<'_>, members: &[u32]) -> (Vec<u32>, Vec<Bound>, Vec<u32>) {
    let bound = |group: &Group, members: u32| {
        members > group.budget() || members > 0 && group.canaries == CanaryShare::Capped
    };
    let class = |members: u32| members.leading_zeros() as usize;
    let groups = || fleet.groups.iter().zip(members);
    let mut next = [0_u32; u32::BITS as usize + 1];
    for (group, members) in groups() {
        next[class(*members)] += u32::from(bound(group, *members));
    }
    let mut sum = 0;
    for next in &mut next {
        (*next, sum) = (sum, sum + *next);
    }
    let none = Bound { budget: 0, canaries: CanaryShare::Free };
    let mut bounds = vec![none; sum as usize];
    let mut kept = vec![0; sum as usize];
    let name = |(group, members): (&Group, &u32)| {
        let waits = if group.waits() { WAITS } else { 0 };
        if !bound(group, *members) {
            return NEVER_FULL | waits;
        }
        let name = next[class(*members)];
        next[class(*members)] += 1;
        let (budget, canaries) = (group.budget(), group.canaries);
        bounds[name as usize] = Bound { budget, canaries };
        kept[name as usize] = *members;
        name | waits
    };
    let names = groups().map(name).collect();
    (names, bounds, kept)
}

/// Sorts each bucket by all bits of the hash, and sets apart who goes later.
fn in_order(
    fleet: &Fleet<'_>,
    rules: &Rules,
    key: &OrderKey,
    mut blocks: Vec<Vec<u32>>,
) -> [Stream; 3] {
    let mut open = open(fleet, rules);
    let [mut alone, mut holdback] = [Stream::default(), Stream::default()];
    let mut order: Vec<u64> = Vec::new();
    let mut bucket: Vec<u32> = Vec::new();
    for block in &mut blocks {
        // the sorted bucket goes into the memory of the one before
        bucket.clear();
        std::mem::swap(block, &mut bucket);
        sort(&bucket, &mut order);
        let full =
            |packed: &u64| key.hash(fleet.numbers[bucket[low(*packed) as usize + 1] as usize]);
        for tied in order.chunk_by_mut(|a, b| a >> 32 == b >> 32).filter(|run| run.len() > 1) {
            tied.sort_by_key(full);
        }
        for packed in &order {
            let at = low(*packed) as usize + 1;
            let end = at + HEAD + length(bucket[at + 1]);
            let host = &mut bucket[at..end];
            let waits = host[1] & WAITS != 0;
            if waits {
                host[1] &= !WAITS;
            }
            let open = &mut open[(host[1] >> 8) as usize];
            if *open == 0 {
                holdback.push(host);
                continue;
            }
            *open -= 1;
            if waits {
                alone.push(host);
            } else {
                block.extend_from_slice(host);
            }
        }
    }
    blocks.retain(|block| !block.is_empty());
    [Stream { blocks, spare: vec![] }, alone, holdback]
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

    /// Buckets with room for this many words in all; few need more.
    fn empty(self, words: usize) -> Vec<Vec<u32>> {
        let share = (words >> self.bits) + (words >> self.bits >> 4) + 1;
        (0..1 << self.bits).map(|_| Vec::with_capacity(share)).collect()
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
