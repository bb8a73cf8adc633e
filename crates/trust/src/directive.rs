//! RECALL, PARK, raise minimum: a threshold of the party, for healthy hosts obey these too.
use crate::envelope::{VerifyError, signed_with, verify_threshold};
use crate::stop::Authorities;
use andon_model::Time;
use andon_model::directive::{Demand, Directive, DirectiveError};
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::limits::{DIRECTIVE_BYTES_MAX, MESSAGE_SKEW_MAX};
use andon_model::stop::Party;

/// Why a directive is not obeyed.
#[derive(Debug, thiserror::Error)]
pub enum DirectiveRefusal {
    /// larger than a directive may be
    #[error("directive has {0} bytes, at most {DIRECTIVE_BYTES_MAX} are allowed")]
    TooLarge(usize),
    /// not signed by enough of those who may
    #[error("verify directive")]
    Signature(#[from] VerifyError),
    /// its own text is wrong
    #[error("read directive")]
    Text(#[from] DirectiveError),
    /// somebody who may not ask for this
    #[error("{0} may not ask for this")]
    Scope(String),
    /// over
    #[error("directive has expired")]
    Expired,
    /// not yet
    #[error("directive is dated in the future")]
    Future,
}

/// The directive, if the threshold of the party it names signed it, that party may ask for it, and it
/// is in force.
/// # Errors
/// [`DirectiveRefusal`].
pub fn verify(
    envelope: &Envelope,
    authorities: &Authorities,
    now: Time,
) -> Result<Directive, DirectiveRefusal> {
    let size = envelope.to_bytes().len();
    if size > DIRECTIVE_BYTES_MAX {
        return Err(DirectiveRefusal::TooLarge(size));
    }
    let directive = Directive::parse(&envelope.payload)?;
    signed(envelope, &directive.by, authorities)?;
    if !may(&directive, authorities) {
        return Err(DirectiveRefusal::Scope(directive.by.to_string()));
    }
    if directive.expires <= now {
        return Err(DirectiveRefusal::Expired);
    }
    if directive.issued > now.plus(MESSAGE_SKEW_MAX) {
        return Err(DirectiveRefusal::Future);
    }
    Ok(directive)
}

/// Whether as many distinct keys of the party have signed it as publish for it: a policy of the
/// operator, a release of a vendor.
fn signed(envelope: &Envelope, by: &Party, who: &Authorities) -> Result<(), DirectiveRefusal> {
    match by {
        Party::Operator(_) => {
            let (people, threshold) = (&who.roots, who.roots_threshold);
            verify_threshold(envelope, PayloadType::Directive, people, threshold)?;
        }
        Party::Vendor(name) => {
            let none = (Vec::new(), 1);
            let (keys, threshold) = who.vendor_roles.get(name).unwrap_or(&none);
            if envelope.payload_type != PayloadType::Directive {
                let (got, want) = (envelope.payload_type.as_str(), PayloadType::Directive.as_str());
                return Err(VerifyError::PayloadType { got, want }.into());
            }
            let want = u32::try_from(*threshold).unwrap_or(u32::MAX);
            let got = signed_with(envelope, keys).len();
            if want == 0 {
                return Err(VerifyError::ThresholdZero.into());
            }
            if got < *threshold {
                return Err(VerifyError::Threshold { got, want }.into());
            }
        }
        // Whoever delegates may stop, and that is all: what runs is the operator's and the vendor's.
        Party::Platform => return Err(DirectiveRefusal::Scope(by.to_string())),
    }
    Ok(())
}

/// Only the operator takes protection away (PARK). A vendor recalls its own releases, to its own.
fn may(directive: &Directive, who: &Authorities) -> bool {
    match (&directive.by, &directive.demand) {
        (Party::Operator(name), _) => who.operator.as_ref() == Some(name),
        (Party::Vendor(name), Demand::Recall { release, to }) => {
            [release, to].into_iter().all(|digest| who.releases.get(digest) == Some(name))
        }
        // Hosts hold it against the vendor of the component that they run.
        (Party::Vendor(_), Demand::Minimum { .. }) => true,
        (Party::Vendor(_), Demand::Park { .. }) | (Party::Platform, _) => false,
    }
}
