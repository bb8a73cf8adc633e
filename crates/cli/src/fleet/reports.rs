//! Reports switched off: a host that crashed says nothing of it. Its beats go on, without charges,
//! and with what it told of its components before. This is how the demo shows that the gate does not
//! live off honest reports.
use super::control::Switch;
use andon_model::beat::{Beat, ComponentState, ComponentStatus};

/// Filters a beat. `told` is what was told of components last, and is kept up to date.
pub(super) fn filter(reports: Switch, beat: &mut Beat, told: &mut Vec<ComponentStatus>) {
    if reports == Switch::On {
        told.clone_from(&beat.components);
        return;
    }
    let charges = std::mem::take(&mut beat.charges);
    beat.probes.clear();
    let before = std::mem::take(told);
    let silent = |status: &ComponentStatus| {
        matches!(status.state, ComponentState::FellBack | ComponentState::SafeMode)
            || charges.iter().any(|charge| charge.component == status.component)
    };
    beat.components = std::mem::take(&mut beat.components)
        .into_iter()
        .filter_map(|status| match silent(&status) {
            true => before.iter().find(|old| old.component == status.component).cloned(),
            false => Some(status),
        })
        .collect();
    told.clone_from(&beat.components);
}

#[cfg(test)]
mod tests {
    use super::*;
    use andon_model::beat::{Charge, Presence, Strength};
    use andon_model::release::Version;
    use andon_model::text::Text;
    use andon_model::{ComponentId, Digest, HostId, Time};

    fn beat(state: ComponentState, charged: bool) -> Beat {
        let component = ComponentId::new("content").unwrap();
        let charge = Charge {
            number: 1,
            component: component.clone(),
            version: Version(2),
            release: Digest([0; 32]),
            strength: Strength::Strong,
            cause: Text::clipped("signal 11"),
            at: Time(1),
        };
        Beat {
            schema: 1,
            host: HostId::new(1).unwrap(),
            sequence: 1,
            at: Time(1),
            presence: Presence::Alive,
            components: vec![ComponentStatus {
                component,
                version: Some(Version(2)),
                release: Some(Digest([0; 32])),
                state,
            }],
            charges: charged.then_some(charge).into_iter().collect(),
            probes: Vec::new(),
            alerts: Vec::new(),
            alerts_left_out: 0,
            sensor: None,
            facts: None,
            freezes: Vec::new(),
        }
    }

    #[test]
    fn with_reports_off_a_crash_leaves_no_trace_in_the_beat() {
        let mut told = Vec::new();
        filter(Switch::Off, &mut beat(ComponentState::Probation, false), &mut told);
        let mut crashed = beat(ComponentState::FellBack, true);
        filter(Switch::Off, &mut crashed, &mut told);
        assert!(crashed.charges.is_empty());
        assert_eq!(crashed.components[0].state, ComponentState::Probation);
        let mut told = Vec::new();
        let mut rebooted = beat(ComponentState::FellBack, true);
        filter(Switch::Off, &mut rebooted, &mut told);
        assert!(rebooted.components.is_empty(), "nothing was told before");
    }

    #[test]
    fn with_reports_on_nothing_is_left_out() {
        let mut crashed = beat(ComponentState::FellBack, true);
        let before = crashed.clone();
        filter(Switch::On, &mut crashed, &mut Vec::new());
        assert_eq!(crashed, before);
    }
}
