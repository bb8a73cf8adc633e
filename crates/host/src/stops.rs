//! What stops a release on this host: freezes and what thresholds demand. Guard and supervisor judge by
//! the same functions.
use andon_model::digest::Digest;
use andon_model::directive::Demand;
use andon_model::handover::{DirectiveSeen, FreezeSeen};
use andon_model::id::{ComponentId, HostId, VendorId};
use andon_model::position::Position;
use andon_model::release::Version;
use andon_model::time::{Millis, Time};

/// Stops whose signatures were verified.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stops<'s> {
    /// freezes
    pub freezes: &'s [FreezeSeen],
    /// directives
    pub directives: &'s [DirectiveSeen],
}

impl<'s> Stops<'s> {
    /// Those in force that may speak for components of this vendor.
    pub(crate) fn demanded(
        self,
        now: Time,
        vendor: &VendorId,
    ) -> impl Iterator<Item = &'s DirectiveSeen> {
        let speaks = move |seen: &&DirectiveSeen| {
            now < seen.directive.expires && seen.directive.speaks_for(vendor)
        };
        self.directives.iter().filter(speaks)
    }

    /// Whether a freeze concerns this release, or a directive that it is to run nowhere: nobody starts it
    /// anew.
    #[must_use]
    pub fn frozen(self, now: Time, vendor: &VendorId, release: &Digest) -> bool {
        let in_force = |seen: &&FreezeSeen| now < seen.freeze.expires;
        let barred =
            || self.demanded(now, vendor).any(|seen| seen.directive.bars() == Some(release));
        self.freezes.iter().filter(in_force).any(|seen| seen.freeze.concerns(vendor, release))
            || barred()
    }

    /// Whether a PARK has switched this release off on this host by now.
    #[must_use]
    pub fn parked(
        self,
        now: Time,
        host: Option<HostId>,
        vendor: &VendorId,
        release: &Digest,
    ) -> bool {
        self.demanded(now, vendor).any(|seen| {
            parks_at(seen, host).is_some_and(|(parks, at)| parks == release && at <= now)
        })
    }

    /// The highest minimum that is demanded for this component.
    #[must_use]
    pub fn minimum(self, now: Time, vendor: &VendorId, component: &ComponentId) -> Option<Version> {
        let asked = self.demanded(now, vendor).filter_map(|seen| match &seen.directive.demand {
            Demand::Minimum { component: of, version } if of == component => Some(*version),
            _ => None,
        });
        asked.max()
    }
}

/// When this host parks: every host at its own moment, so that a PARK given in error can be lifted before
/// it has reached all.
pub(crate) fn parks_at(seen: &DirectiveSeen, host: Option<HostId>) -> Option<(&Digest, Time)> {
    let Demand::Park { release, over } = &seen.directive.demand else { return None };
    let place = host.map_or(Position::MAX, |id| Position::of(&seen.digest, release, id));
    // over < 2^27 ms: the product has no room to overflow.
    let after = (u128::from(over.0) * u128::from(place.0)) >> 64;
    let after = Millis(u64::try_from(after).unwrap_or(over.0));
    Some((release, seen.directive.issued.plus(after)))
}
