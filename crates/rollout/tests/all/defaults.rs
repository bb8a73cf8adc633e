//! The lanes that a line begins with.
use crate::world::{plan_with, policy};
use andon_model::policy::Lane;
use andon_model::release::ComponentKind;
use andon_rollout::{Finding, defaults};

#[test]
fn defaults_are_the_promised_blast_radius() {
    for (kind, hosts, wanted) in [
        (ComponentKind::Content, 8_500_000, vec![(0, 100), (600_000, 8500)]),
        (ComponentKind::Files, 1000, vec![(0, 10), (600_000, 1)]),
        (ComponentKind::Files, 7, vec![(0, 1), (600_000, 1)]),
        (ComponentKind::Service, 8_500_000, vec![(0, 100), (600_000, 8500), (86_400_000, 8500)]),
    ] {
        let lane = defaults::routine(kind);
        let curve: Vec<(u64, u64)> =
            lane.budget.iter().map(|point| (point.after.0, point.budget(hosts))).collect();
        assert_eq!((curve, lane.approvals_min), (wanted, 0), "{kind:?}");
        let mut whole = policy(&[(0, 100)]);
        (whole.routine, whole.emergency) = (lane, defaults::emergency());
        whole.check().unwrap();
    }
    let emergency = defaults::emergency();
    assert_eq!(emergency.budget.len(), 1);
    assert_eq!((emergency.budget[0].budget(8_500_000), emergency.approvals_min), (100, 2));
}

/// A budget of one host can be kept only by going on nearly one by one, and people are told so.
#[test]
fn small_fleets_are_told_how_long_the_routine_lane_takes() {
    let slow = |size: u32, lane: Lane| {
        let mut line = policy(&[(0, 100)]);
        line.routine = defaults::routine(ComponentKind::Content);
        line.emergency = defaults::emergency();
        let (_, report) = plan_with(&line, lane, &[size]);
        let words = report.cannot_see(1);
        let said = words.iter().any(|word| word.contains("even a good update takes"));
        let slow = report.findings.iter().find_map(|finding| match finding {
            Finding::Slow { after_ms, hosts, takes_at_least_ms } => {
                Some((*after_ms, *hosts, takes_at_least_ms / 3_600_000))
            }
            _ => None,
        });
        assert_eq!(said, slow.is_some(), "{words:?}");
        slow
    };
    let (after_ms, hosts, hours) = slow(200, Lane::Routine).unwrap();
    assert_eq!((after_ms, hosts), (600_000, 1));
    assert!((24..40).contains(&hours), "{hours} h"); // one by one
    assert_eq!(slow(200_000, Lane::Routine), None);
    assert_eq!(slow(8_500_000, Lane::Routine), None);
    assert_eq!(slow(200, Lane::Emergency), None);
}
