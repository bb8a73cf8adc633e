//! Members that are away, and members whose own line has halted. Within the share of seats that the
//! vendor's policy allows, a rollout goes on without members that do not answer; beyond it the line
//! holds and says who. A halt is heard whoever says it. It decides as values; [`crate::driver`] and
//! [`crate::api`] write them down.
use crate::pooled::intake::{Due, Open};
use crate::pooled::members::Members;
use crate::record::Record;
use crate::state::State;
use andon_model::text::Text;
use andon_model::{Digest, LineId, OperatorId, RolloutId};
use andon_rollout::Event;
use andon_rollout::lines::{
    LineOrder, LineTally, MemberStanding, PoolDoubt, Standing, on_member_halt,
};

/// Most members that a hold names: what it says is one or two lines on a screen. `GET /v1/line` has all.
const NAMED_MAX: usize = 5;
/// What stands before and after the names of several members that do not answer.
const SEVERAL: [&str; 2] = ["pool tallies: operators ", " have not reported"];

/// What becomes of a round that members have not answered in time.
#[must_use]
pub fn late(name: &RolloutId, due: Due, members: &Members, open: &Open) -> Record {
    let told = |operator: &OperatorId| open.tally(operator).is_some();
    let (told, missing): (Vec<OperatorId>, Vec<OperatorId>) =
        members.awaited().cloned().partition(told);
    // With nobody's word there is nothing to go on with.
    if told.is_empty() || !may_be_absent(members, &missing) {
        return Record::event(name, hold(&missing));
    }
    Record::MembersAbsent {
        rollout: name.clone(),
        round: due.round,
        generation: due.generation,
        operators: missing,
    }
}

/// Whether the line may go on without these members too. Who has left by a person's decision is no
/// longer in the account; whose line has halted is never left out by a machine.
fn may_be_absent(members: &Members, missing: &[OperatorId]) -> bool {
    let absent = members.pool.standings().filter(|(_, how)| *how == Standing::Absent);
    let absent = absent.map(|(operator, _)| operator);
    let seats: u64 = absent.chain(missing).map(|operator| members.seats_of(operator)).sum();
    let within = seats <= members.absent_max;
    within && !missing.iter().any(|operator| members.halted.contains_key(operator))
}

/// The line holds for members that have not answered, and names them.
fn hold(missing: &[OperatorId]) -> Event {
    if let [one] = missing {
        return PoolDoubt::OperatorMissing(one.clone()).event();
    }
    let named: Vec<&str> = missing.iter().take(NAMED_MAX).map(OperatorId::as_str).collect();
    let more = match missing.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(", and {more} more,"),
    };
    let [before, after] = SEVERAL;
    let what = Text::clipped(&format!("{before}{}{more}{after}", named.join(", ")));
    Event::ActionFailed { generation: 0, what }
}

/// Whether a hold with these words names this member as one that has not answered.
#[must_use]
pub fn names(what: &Text, operator: &OperatorId) -> bool {
    let alone = hold(std::slice::from_ref(operator));
    let [before, after] = SEVERAL;
    let several = what.as_str().strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    let among = several.is_some_and(|names| names.split(", ").any(|it| it == operator.as_str()));
    among || matches!(alone, Event::ActionFailed { what: alone, .. } if alone == *what)
}

/// What the vendor line is told when a member's line has halted: it holds, for that member's sake.
#[must_use]
pub fn halts(line: &LineId, operator: &OperatorId, why: &Text) -> Vec<Event> {
    let orders = match line {
        LineId::Vendor(vendor) => on_member_halt(vendor, operator, why.as_str()),
        LineId::Operator(_) => Vec::new(),
    };
    orders.iter().filter_map(LineOrder::event).collect()
}

/// What follows when a verified tally says for the first time that its member's own line has halted. It
/// is heard as soon as it comes, for it may be the member's last word; absent members are heard too.
#[must_use]
pub fn heard(state: &State, tally: &LineTally, digest: Digest) -> Vec<Record> {
    let MemberStanding::Halted { why } = &tally.standing else { return Vec::new() };
    let (name, operator) = (&tally.rollout, &tally.operator);
    let rollout = state.rollouts.get(name).filter(|rollout| rollout.live());
    let Some(rollout) = rollout else { return Vec::new() };
    let Some(members) = rollout.members.as_deref() else { return Vec::new() };
    let counts = match members.standing(operator) {
        Some(Standing::Consenting | Standing::Halted | Standing::Absent) => true,
        Some(Standing::Withdrawn) | None => false,
    };
    if !counts || members.halted.contains_key(operator) {
        return Vec::new();
    }
    let events = halts(&rollout.plan.line, operator, why).into_iter();
    let mut records: Vec<Record> = events.map(|event| Record::event(name, event)).collect();
    records.push(Record::MemberHalted {
        rollout: name.clone(),
        operator: operator.clone(),
        why: why.clone(),
        tally: digest,
    });
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operator(name: &str) -> OperatorId {
        OperatorId::new(name).unwrap()
    }

    #[test]
    fn a_hold_names_members_and_withdrawing_finds_them_by_their_whole_name() {
        let all: Vec<OperatorId> = ["a", "b", "more", "d", "e", "f", "g"].map(operator).to_vec();
        let what = |missing: &[OperatorId]| match hold(missing) {
            Event::ActionFailed { generation: 0, what } => what,
            event => panic!("{event:?}"),
        };
        let (one, two, many) = (what(&all[1..2]), what(&all[..2]), what(&all));
        assert_eq!(one.as_str(), "pool tallies: operator b has not reported");
        assert_eq!(two.as_str(), "pool tallies: operators a, b have not reported");
        let said = "pool tallies: operators a, b, more, d, e, and 2 more, have not reported";
        assert_eq!(many.as_str(), said);
        for (what, wanted) in [(&one, "b"), (&two, "a b"), (&many, "a b more d e")] {
            let named = all.iter().filter(|it| names(what, it)).map(OperatorId::as_str);
            assert_eq!(named.collect::<Vec<_>>().join(" "), wanted, "{}", what.as_str());
        }
        assert!(!names(&two, &operator("ab")) && !names(&Text::clipped("lunch"), &operator("a")));
    }

    /// The longest names that there can be are not cut where they stand.
    #[test]
    fn five_of_the_longest_names_fit_a_hold() {
        let long = |at: usize| operator(&format!("{}{at}", "x".repeat(62)));
        let all: Vec<OperatorId> = (0..9).map(long).collect();
        let Event::ActionFailed { what, .. } = hold(&all) else { panic!("no hold") };
        assert!(what.as_str().ends_with("and 4 more, have not reported"), "{}", what.as_str());
    }
}
