//! What the supervisor and its sandboxed child `andon-check` say to each other: one JSON object per
//! line over stdin and stdout. The child meets the network; the supervisor believes only what these
//! types can hold, and checks every digest again.
//!
//! The child is started as `andon-check --server URL --anchor FILE --state STATE`. It writes below
//! `STATE/inbox` and `STATE/check` only, and can read nothing else of STATE. It ends when its
//! standard input does; ended otherwise, it is started again.
//!
//! Files are handed over in `STATE/inbox/RELEASE/` (RELEASE = the manifest's digest in hexadecimal):
//! `manifest.json` holds the manifest's exact bytes, `files/PATH` each file it lists.
use crate::beat::BeatAnswer;
use crate::class::HostClass;
use crate::digest::Digest;
use crate::directive::Directive;
use crate::enrol::EnrolAnswer;
use crate::envelope::Envelope;
use crate::facts::Facts;
use crate::id::{HostId, RolloutId};
use crate::limits::{COMPONENTS_MAX, HANDOVER_LINE_BYTES_MAX, INDEX_ITEMS_MAX, PROBES_MAX};
use crate::policy::{Timing, Watch};
use crate::release::{Manifest, Probe};
use crate::stop::Freeze;
use crate::text::Text;
use crate::time::Time;
use serde::{Deserialize, Serialize};

/// What the supervisor asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cmd", rename_all = "snake_case", deny_unknown_fields)]
pub enum ToCheck {
    /// Look for something new now; answered by [`FromCheck::Offers`] or [`FromCheck::Failed`].
    Sync {
        /// who this host is
        host: HostId,
        /// what it is
        class: HostClass,
        /// what it runs now
        #[serde(default, skip_serializing_if = "Facts::is_unknown")]
        facts: Facts,
    },
    /// Deliver a signed beat; answered by [`FromCheck::Answer`] or [`FromCheck::Failed`].
    PostBeat {
        /// signed by the supervisor; the child cannot make one
        envelope: Envelope,
    },
    /// Fetch an offered release's files into the inbox; answered by [`FromCheck::Fetched`] or
    /// [`FromCheck::FetchFailed`].
    Fetch {
        /// digest of its manifest
        release: Digest,
    },
    /// Enrol; answered by [`FromCheck::Enrolled`] or [`FromCheck::Failed`].
    Enrol {
        /// signed by the supervisor with the host's own new key
        envelope: Envelope,
    },
}

/// What the child says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case", deny_unknown_fields)]
pub enum FromCheck {
    /// everything in force for this host; replaces what was said before
    Offers {
        /// verified objects
        offers: Box<Offers>,
    },
    /// a release lies in the inbox
    Fetched {
        /// digest of its manifest
        release: Digest,
        /// name of its folder below `STATE/inbox`: the digest in hexadecimal
        folder: String,
    },
    /// a release could not be fetched
    FetchFailed {
        /// digest of its manifest
        release: Digest,
        /// why
        why: Text,
    },
    /// the server has taken the beat
    Answer {
        /// its answer
        answer: BeatAnswer,
    },
    /// the server has enrolled this host
    Enrolled {
        /// its answer
        answer: EnrolAnswer,
    },
    /// metadata of this version exists: a reason to sync
    Bell {
        /// version of the line's index
        version: u64,
    },
    /// something asked for could not be done; the supervisor asks again later
    Failed {
        /// what: `sync`, `post_beat`, `enrol`; `sandbox` when the kernel lacks a part of it
        what: Text,
        /// why
        why: Text,
    },
}

/// Everything that verification allows this host at this moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offers {
    /// version of the line's index this comes from
    pub index_version: u64,
    /// releases whose tickets cover this host
    pub offers: Vec<Offer>,
    /// freezes in force
    pub freezes: Vec<FreezeSeen>,
    /// directives in force
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub directives: Vec<DirectiveSeen>,
    /// facts of the verified policy; absent while there is none
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyFacts>,
    /// what was refused, and why
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refusals: Vec<Refused>,
}

/// One release this host may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// digest of the manifest
    pub release: Digest,
    /// the rollout that covers this host
    pub rollout: RolloutId,
    /// generation of its ticket
    pub generation: u32,
    /// when the rollout first handed out
    #[serde(default)]
    pub begun: Time,
    /// the verified manifest
    pub manifest: Manifest,
}

/// One freeze whose signature was verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FreezeSeen {
    /// digest of its payload
    pub digest: Digest,
    /// what it says
    pub freeze: Freeze,
}

/// One directive whose signatures were verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectiveSeen {
    /// digest of its payload
    pub digest: Digest,
    /// what it says
    pub directive: Directive,
}

/// What of the policy a supervisor needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyFacts {
    /// its version
    pub version: u64,
    /// how often to beat
    pub watch: Watch,
    /// time constants of the gate
    pub timing: Timing,
    /// operator's probes
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<Probe>,
}

/// Something refused; the host stays as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// what: a path, an object
    pub what: Text,
    /// why
    pub why: Text,
}

/// Why a line was refused.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    /// longer than allowed
    #[error("handover line has {0} bytes, at most {HANDOVER_LINE_BYTES_MAX} are allowed")]
    TooLong(usize),
    /// not the JSON we expect
    #[error("parse handover line")]
    Parse(#[source] serde_json::Error),
    /// a list beyond its limit, or a manifest that is inconsistent in itself
    #[error("handover field {0} is too long or inconsistent")]
    Field(&'static str),
}

impl ToCheck {
    /// One line, newline included.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        line(self)
    }
    /// Reads one line (the newline may be there or not).
    /// # Errors
    /// [`HandoverError`].
    pub fn parse(line: &[u8]) -> Result<ToCheck, HandoverError> {
        bounded(line)?;
        serde_json::from_slice(line).map_err(HandoverError::Parse)
    }
}

impl FromCheck {
    /// One line, newline included.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        line(self)
    }
    /// Reads one line (the newline may be there or not) and checks every limit in it.
    /// # Errors
    /// [`HandoverError`].
    pub fn parse(line: &[u8]) -> Result<FromCheck, HandoverError> {
        bounded(line)?;
        let said: FromCheck = serde_json::from_slice(line).map_err(HandoverError::Parse)?;
        if let FromCheck::Offers { offers } = &said {
            offers.check()?;
        }
        Ok(said)
    }
}

impl Offers {
    fn check(&self) -> Result<(), HandoverError> {
        let probes = self.policy.as_ref().map_or(0, |facts| facts.probes.len());
        let lists = [
            ("offers", self.offers.len(), COMPONENTS_MAX),
            ("freezes", self.freezes.len(), INDEX_ITEMS_MAX),
            ("directives", self.directives.len(), INDEX_ITEMS_MAX),
            ("refusals", self.refusals.len(), INDEX_ITEMS_MAX),
            ("probes", probes, PROBES_MAX),
        ];
        if let Some((field, ..)) = lists.into_iter().find(|(_, count, max)| count > max) {
            return Err(HandoverError::Field(field));
        }
        match self.offers.iter().all(|offer| offer.manifest.check().is_ok()) {
            true => Ok(()),
            false => Err(HandoverError::Field("manifest")),
        }
    }
}

fn line<T: Serialize>(said: &T) -> Vec<u8> {
    let mut bytes = serde_json::to_vec(said).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

fn bounded(line: &[u8]) -> Result<(), HandoverError> {
    match line.len() > HANDOVER_LINE_BYTES_MAX {
        true => Err(HandoverError::TooLong(line.len())),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_read_back_and_strange_ones_are_refused() {
        let said = FromCheck::Bell { version: 7 };
        assert_eq!(FromCheck::parse(&said.to_line()).unwrap(), said);
        let asked = ToCheck::Fetch { release: Digest::of(b"x") };
        assert_eq!(ToCheck::parse(&asked.to_line()).unwrap(), asked);
        for bad in [r#"{"say":"bell"}"#, r#"{"say":"bell","version":1,"x":2}"#, "", "[]", "{"] {
            assert!(FromCheck::parse(bad.as_bytes()).is_err(), "{bad} was accepted");
        }
        let long = vec![b' '; HANDOVER_LINE_BYTES_MAX + 1];
        assert!(matches!(FromCheck::parse(&long), Err(HandoverError::TooLong(_))));
    }
}
