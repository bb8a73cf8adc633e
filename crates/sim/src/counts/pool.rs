//! Hosts that are all alike for the tallies: a part of a stratum of which only numbers are kept.
use crate::random::Random;

/// Most ticks from a host's last contact to the verdict that it is silent.
pub(crate) const LAG_MAX: usize = 16;

/// Hosts without an activation of their own: waiting, sampled as controls, or covered and not yet
/// reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pool {
    /// in contact
    pub alive: u32,
    /// gone, by the tick (modulo [`LAG_MAX`]) at which that will be seen
    pub unseen: [u32; LAG_MAX],
    /// seen to be silent
    pub silent: u32,
    /// away by their own word, and sooner or later back
    pub asleep: u32,
    /// the same, but an outage took them meanwhile: nobody will ever know
    pub asleep_gone: u32,
}

impl Pool {
    pub(crate) fn of(alive: u32) -> Pool {
        Pool { alive, ..Pool::default() }
    }
    pub(crate) fn hosts(&self) -> u32 {
        self.alive + self.unseen.iter().sum::<u32>() + self.silent + self.away()
    }
    /// Hosts that said goodbye: not at risk of a first silence.
    pub(crate) fn away(&self) -> u32 {
        self.asleep + self.asleep_gone
    }
    /// Hosts of which silence is still to be seen.
    pub(crate) fn at_risk(&self) -> u32 {
        self.hosts() - self.silent - self.away()
    }
    /// Takes `hosts` at random out of it, as a prefix of a random order does.
    pub(crate) fn take(&mut self, hosts: u32, random: &mut Random) -> Pool {
        let mut total = self.hosts();
        let mut left = hosts.min(total);
        let mut out = Pool::default();
        let mut draw = |from: &mut u32, into: &mut u32| {
            let taken = random.hypergeometric(total, *from, left);
            total -= *from;
            left -= taken;
            *from -= taken;
            *into += taken;
        };
        draw(&mut self.silent, &mut out.silent);
        for (from, into) in self.unseen.iter_mut().zip(&mut out.unseen) {
            if *from > 0 {
                draw(from, into);
            }
        }
        if self.away() > 0 {
            draw(&mut self.asleep, &mut out.asleep);
            draw(&mut self.asleep_gone, &mut out.asleep_gone);
        }
        self.alive -= left;
        out.alive = left;
        out
    }
    pub(crate) fn add(&mut self, other: &Pool) {
        self.alive += other.alive;
        self.silent += other.silent;
        self.asleep += other.asleep;
        self.asleep_gone += other.asleep_gone;
        for (own, more) in self.unseen.iter_mut().zip(other.unseen) {
            *own += more;
        }
    }
    /// So many fall silent; it is seen at tick `seen`.
    pub(crate) fn lose(&mut self, hosts: u32, seen: usize) {
        self.alive -= hosts;
        self.unseen[seen % LAG_MAX] += hosts;
    }
    /// So many of the sleeping will not wake.
    pub(crate) fn lose_asleep(&mut self, hosts: u32) {
        self.asleep -= hosts;
        self.asleep_gone += hosts;
    }
    /// Those whose silence is seen at `tick`.
    pub(crate) fn see(&mut self, tick: usize) -> u32 {
        let new = std::mem::take(&mut self.unseen[tick % LAG_MAX]);
        self.silent += new;
        new
    }
}
