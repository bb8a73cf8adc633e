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
