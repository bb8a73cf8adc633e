//! How large operators are: Pareto, as counts of firms are, at fixed quantiles, so that it takes no
//! draws. Used where every operator plays on a line of its own.

/// Axtell 2001 finds 1.06 for firms of the United States; a little steeper keeps the largest operator
/// at an eighth of a fleet of 1,700.
const PARETO_SHAPE: f64 = 1.16;

/// Hosts per operator, largest first, every operator at least one, together `hosts` (or as many
/// operators as there are hosts).
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "shares of hosts")]
#[expect(clippy::cast_precision_loss, reason = "hosts are far below 2^53")]
pub fn sizes(hosts: u64, operators: u32) -> Vec<u64> {
    let operators = u64::from(operators).clamp(1, hosts.max(1));
    let weight = |rank: u64| ((rank as f64 + 0.5) / operators as f64).powf(-1.0 / PARETO_SHAPE);
    let all: f64 = (0..operators).map(weight).sum();
    // One host each first; the rest by weight, what does not divide to the largest.
    let rest = hosts.saturating_sub(operators);
    let own = |rank: u64| 1 + (rest as f64 * weight(rank) / all).floor() as u64;
    let mut sizes: Vec<u64> = (0..operators).map(own).collect();
    let given: u64 = sizes.iter().sum();
    sizes[0] += hosts.saturating_sub(given);
    sizes
}

#[cfg(test)]
mod tests {
    use super::sizes;

    #[test]
    fn every_host_has_one_operator_and_every_operator_a_host() {
        for (hosts, operators) in [(8_500_000, 1_700), (1_700, 1_700), (50, 7), (3, 9), (1, 1)] {
            let sizes = sizes(hosts, operators);
            assert_eq!(sizes.iter().sum::<u64>(), hosts, "{hosts} {operators}");
            assert_eq!(sizes.len() as u64, u64::from(operators).min(hosts));
            assert!(sizes.iter().all(|size| *size >= 1));
            assert!(sizes.is_sorted_by(|a, b| a >= b), "{hosts} {operators}");
        }
        let sizes = sizes(8_500_000, 1_700);
        assert!((1_000_000..1_100_000).contains(&sizes[0]), "{}", sizes[0]);
        assert!(sizes[1_699] < 1_000, "{}", sizes[1_699]);
    }
}
