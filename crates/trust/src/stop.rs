//! FREEZE: any one key of a party that may stop what it names.
use crate::envelope::{VerifyError, signed_with, verify_any};
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::limits::{FREEZE_ALONE_MAX, MESSAGE_SKEW_MAX, STOP_BYTES_MAX};
use andon_model::pins::Pins;
use andon_model::policy::Person;
use andon_model::stop::{Freeze, FreezeError, Party, Scope};
use andon_model::{Digest, OperatorId, PublicKey, Time, VendorId};
use std::collections::BTreeMap;

/// Who may stop what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authorities {
    /// keys of the platform: may stop anything
    pub platform: Vec<PublicKey>,
    /// each vendor's delegated keys: may stop what is theirs
    pub vendors: BTreeMap<VendorId, Vec<PublicKey>>,
    /// digests of each vendor's releases
    pub releases: BTreeMap<Digest, VendorId>,
    /// this fleet's operator, if its line is an operator's
    pub operator: Option<OperatorId>,
    /// keys of the operator's people and the line's online key: may stop anything on this line
    pub operators: Vec<PublicKey>,
    /// keys of the operator's people alone: two of them make a freeze last
    pub people: Vec<PublicKey>,
    /// the people of the operator's own root: so many of them sign its policy, and its directives
    pub roots: Vec<Person>,
    /// how many
    pub roots_threshold: u32,
    /// each vendor's delegated keys and how many of them publish for it, nobody else's among them
    pub vendor_roles: BTreeMap<VendorId, (Vec<PublicKey>, usize)>,
}

impl Authorities {
    /// Of a host that has no verified metadata at hand: its pinned keys, and the releases that lie in its
    /// slots. It obeys stops of what it has, and needs no others.
    #[must_use]
    pub fn pinned(pins: &Pins, releases: BTreeMap<Digest, VendorId>) -> Authorities {
        let vendors = pins.vendors.iter().map(|one| (one.vendor.clone(), one.keys.clone()));
        let roles = pins.vendors.iter().map(|one| {
            let threshold = usize::try_from(one.threshold).unwrap_or(usize::MAX);
            (one.vendor.clone(), (one.role.clone(), threshold))
        });
        Authorities {
            platform: pins.platform.clone(),
            vendors: vendors.collect(),
            releases,
            operator: pins.operator.clone(),
            operators: pins.operators.clone(),
            people: pins.people.clone(),
            roots: pins.roots.clone(),
            roots_threshold: pins.roots_threshold,
            vendor_roles: roles.collect(),
        }
    }

    /// The freeze as long as it holds: beyond [`FREEZE_ALONE_MAX`] only if two distinct keys of its party
    /// have signed it, and for an operator these are people's. Else one stolen key could keep a fleet
    /// from its updates for good.
    #[must_use]
    pub fn while_it_holds(&self, envelope: &Envelope, mut freeze: Freeze) -> Freeze {
        let keys = match &freeze.by {
            Party::Platform => self.platform.as_slice(),
            Party::Vendor(name) => self.vendors.get(name).map_or(&[][..], Vec::as_slice),
            Party::Operator(_) => self.people.as_slice(),
        };
        let alone = freeze.issued.plus(FREEZE_ALONE_MAX);
        if freeze.expires > alone && signed_with(envelope, keys).len() < 2 {
            freeze.expires = alone;
        }
        freeze
    }
}

/// Why a freeze is not obeyed.
#[derive(Debug, thiserror::Error)]
pub enum StopRefusal {
    /// larger than a freeze may be
    #[error("freeze has {0} bytes, at most {STOP_BYTES_MAX} are allowed")]
    TooLarge(usize),
    /// nobody who may stop this signed it
    #[error("verify freeze")]
    Signature(#[from] VerifyError),
    /// its own text is wrong
    #[error("read freeze")]
    Text(#[from] FreezeError),
    /// a vendor stopping somebody else's releases, or another fleet's operator
    #[error("{0} may not freeze this")]
    Scope(String),
    /// over
    #[error("freeze has expired")]
    Expired,
    /// not yet
    #[error("freeze is dated in the future")]
    Future,
}

/// The freeze for as long as it holds, if one key of the party it names signed it, that party may stop what it names, and it
/// is in force.
/// # Errors
/// [`StopRefusal`].
pub fn verify(
    envelope: &Envelope,
    authorities: &Authorities,
    now: Time,
) -> Result<Freeze, StopRefusal> {
    let size = envelope.to_bytes().len();
    if size > STOP_BYTES_MAX {
        return Err(StopRefusal::TooLarge(size));
    }
    let freeze = Freeze::parse(&envelope.payload)?;
    let keys = match &freeze.by {
        Party::Platform => authorities.platform.as_slice(),
        Party::Vendor(name) => authorities.vendors.get(name).map_or(&[][..], Vec::as_slice),
        Party::Operator(_) => authorities.operators.as_slice(),
    };
    verify_any(envelope, PayloadType::Freeze, keys)?;
    let may = match (&freeze.by, &freeze.scope) {
        (Party::Platform, _) => true,
        (Party::Operator(name), _) => authorities.operator.as_ref() == Some(name),
        (Party::Vendor(name), Scope::Vendor(whose)) => name == whose,
        (Party::Vendor(name), Scope::Release(digest)) => {
            authorities.releases.get(digest) == Some(name)
        }
        (Party::Vendor(_), Scope::All) => false,
    };
    if !may {
        return Err(StopRefusal::Scope(freeze.by.to_string()));
    }
    let freeze = authorities.while_it_holds(envelope, freeze);
    if freeze.expires <= now {
        return Err(StopRefusal::Expired);
    }
    if freeze.issued > now.plus(MESSAGE_SKEW_MAX) {
        return Err(StopRefusal::Future);
    }
    Ok(freeze)
}
