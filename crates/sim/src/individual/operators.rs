//! Whose the hosts are: operators of Pareto sizes, every host drawn by size.
use super::draws::{Draws, Purpose};
use crate::random::Random;

/// Sizes fall as in most counts of firms: a few own half of all hosts (Axtell 2001 finds 1.06 for
/// firms of the United States; a little steeper keeps the largest below a half of the fleet).
const PARETO_SHAPE: f64 = 1.16;

/// Cumulative shares.
#[derive(Debug)]
pub(super) struct Operators {
    up_to: Vec<f64>,
}

impl Operators {
    pub(super) fn new(operators: u32, random: &mut Random) -> Operators {
        let mut sum = 0.0;
        let mut up_to = Vec::with_capacity(operators as usize);
        for _ in 0..operators.max(1) {
            sum += (1.0 - random.unit()).powf(-1.0 / PARETO_SHAPE);
            up_to.push(sum);
        }
        up_to.iter_mut().for_each(|share| *share /= sum);
        Operators { up_to }
    }
    pub(super) fn count(&self) -> usize {
        self.up_to.len()
    }
    /// Whose a host is.
    #[expect(clippy::cast_precision_loss, reason = "a share, to 53 bits")]
    pub(super) fn of(&self, draws: &Draws, host: u32) -> usize {
        let at = draws.bits(host, Purpose::Operator) as f64 / 18_446_744_073_709_551_616.0;
        self.up_to.partition_point(|share| *share <= at).min(self.up_to.len() - 1)
    }
}
