//! The lanes that a line begins with.
use crate::world::policy;
use andon_model::release::ComponentKind;
use andon_rollout::defaults;

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
