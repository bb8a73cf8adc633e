//! The planner's result: each host's generation and place. Not the handing out, which the gate may
//! always make smaller.

/// Where one host stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// place in its stratum's order, from 0
    pub rank: u32,
    /// index of its stratum
    pub stratum: u16,
    /// generation in which it may be handed the release, from 1
    pub generation: u16,
}

/// Who is handed the release when. In every stratum the hosts of a generation are a stretch of its
/// order, so a wave is still "the first n hosts of each stratum".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    /// each host's place, by its index in the fleet's columns
    pub places: Vec<Place>,
    /// per generation, hosts of each stratum handed by its end; a generation may add none (it waits)
    pub ceilings: Vec<Vec<u32>>,
}

impl Assignment {
    /// Generations until everybody is handed the release.
    #[must_use]
    pub fn generations(&self) -> usize {
        self.ceilings.len()
    }

    /// What may be handed out next when `handed` hosts of each stratum were and the gate wants
    /// `wanted`: never beyond the end of the generation that is under way, because half of one and
    /// half of the next, handed at once, may be more of one group than its budget.
    #[must_use]
    pub fn clamp(&self, handed: &[u32], wanted: &[u32]) -> Vec<u32> {
        let open = |ceilings: &&Vec<u32>| ceilings.iter().zip(handed).any(|(end, now)| now < end);
        let ends = self.ceilings.iter().find(open);
        let clamped = |(at, wanted): (usize, &u32)| {
            let now = handed.get(at).copied().unwrap_or(0);
            let end = ends.and_then(|ends| ends.get(at)).copied().unwrap_or(now);
            (*wanted).min(end).max(now)
        };
        wanted.iter().enumerate().map(clamped).collect()
    }
}

/// Hosts per drawer: a place in it fits 16 bits, its places fit a cache, and there are few enough that
/// writing to all of them leaves room in the nearest one.
const DRAWER_BITS: u32 = 16;

/// Places in the order in which hosts are taken, sorted into drawers by host: written at random into
/// [`Assignment::places`], each would wait for memory.
#[derive(Debug)]
pub(super) struct Taken {
    /// where a stratum belongs, the host's place in its drawer
    entries: Vec<Place>,
    /// where each drawer's next entry goes
    ends: Vec<u32>,
}

impl Taken {
    pub(super) fn new(hosts: usize) -> Taken {
        let starts = (0..hosts).step_by(1 << DRAWER_BITS);
        let starts = starts.map(|at| u32::try_from(at).unwrap_or(u32::MAX));
        let none = Place { rank: 0, stratum: 0, generation: 0 };
        Taken { entries: vec![none; hosts], ends: starts.collect() }
    }

    /// Notes where the host with this index stands. Once per host.
    #[inline]
    pub(super) fn push(&mut self, host: u32, generation: u16, rank: u32) {
        let end = &mut self.ends[(host >> DRAWER_BITS) as usize];
        let inside = (host & ((1 << DRAWER_BITS) - 1)) as u16;
        self.entries[*end as usize] = Place { rank, stratum: inside, generation };
        *end += 1;
    }

    /// The places, by host.
    pub(super) fn places(self, strata: &[u16]) -> Vec<Place> {
        let mut places = self.entries;
        let mut entries = Vec::new();
        let drawers = places.chunks_mut(1 << DRAWER_BITS);
        for (drawer, strata) in drawers.zip(strata.chunks(1 << DRAWER_BITS)) {
            entries.clear();
            entries.extend_from_slice(drawer);
            for entry in &entries {
                let inside = usize::from(entry.stratum);
                drawer[inside] = Place { stratum: strata[inside], ..*entry };
            }
        }
        places
    }
}
