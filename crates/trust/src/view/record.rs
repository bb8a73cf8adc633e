//! What a view must remember over a restart, so that nobody can show it yesterday's world.
use super::catalogue::Files;
use super::vendor::HeldLine;
use super::{HeldDirective, HeldStop, View, ViewError};
use crate::policy;
use crate::ticket::SeenTicket;
use crate::tuf::{Pin, TufError, VendorRole};
use andon_model::class::HostClass;
use andon_model::directive::Directive;
use andon_model::enrol::Anchor;
use andon_model::envelope::Envelope;
use andon_model::limits::TUF_BYTES_MAX;
use andon_model::stop::Freeze;
use andon_model::{Digest, HostId, RolloutId, Time, VendorId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Largest record, bytes: four metadata files at their limit, and as much again for the rest.
const RECORD_BYTES_MAX: usize = 8 * TUF_BYTES_MAX;

/// Why a record was refused.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// larger than any record
    #[error("view record has {0} bytes, at most {RECORD_BYTES_MAX} are allowed")]
    TooLarge(usize),
    /// not the JSON we expect
    #[error("parse view record")]
    Parse(#[source] serde_json::Error),
    /// format of another time
    #[error("view record has schema {0}, this version reads 1")]
    Schema(u32),
    /// metadata that does not verify
    #[error("verify metadata in view record")]
    Tuf(#[from] TufError),
    /// the anchor cannot begin
    #[error("begin view")]
    View(#[from] ViewError),
}

/// TUF files are JSON text and kept as such: the signed bytes, never re-serialised.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    schema: u32,
    policy: Option<Envelope>,
    policy_version_seen: u64,
    /// of the anchor's TUF root under which the files below were believed
    #[serde(default, skip_serializing_if = "Option::is_none")]
    anchored: Option<Digest>,
    root: String,
    timestamp: String,
    snapshot: String,
    targets: String,
    roles: BTreeMap<VendorId, (Pin, VendorRole)>,
    releases: BTreeMap<Digest, VendorId>,
    seen: BTreeMap<RolloutId, SeenTicket>,
    stops: Vec<(Digest, Envelope)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    directives: Vec<(Digest, Envelope)>,
    #[serde(default, skip_serializing_if = "is_never")]
    witnessed: Time,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    lines: BTreeMap<VendorId, LineRecord>,
}

/// What must not be older of a vendor line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LineRecord {
    policy_version_seen: u64,
    seen: BTreeMap<RolloutId, SeenTicket>,
}

fn is_never(time: &Time) -> bool {
    *time == Time(0)
}

fn remembered(held: &HeldLine) -> LineRecord {
    LineRecord { policy_version_seen: held.version_seen, seen: held.seen.clone() }
}

fn anchored(anchor: &Anchor) -> Digest {
    Digest::of(&serde_json::to_vec(&anchor.tuf_root).unwrap_or_default())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl View {
    /// To be stored durably after each round that changed it.
    #[must_use]
    pub fn record(&self) -> Vec<u8> {
        let files = &self.catalogue.files;
        let stops = self.stops.iter().map(|(digest, held)| (*digest, held.envelope.clone()));
        let held = self.directives.iter();
        let directives = held.map(|(digest, held)| (*digest, held.envelope.clone()));
        let record = Record {
            schema: 1,
            policy: self.policy_envelope.clone(),
            policy_version_seen: self.policy_version_seen,
            anchored: Some(anchored(&self.anchor)),
            root: text(&files.root),
            timestamp: text(&files.timestamp),
            snapshot: text(&files.snapshot),
            targets: text(&files.targets),
            roles: self.catalogue.roles(),
            releases: self.catalogue.releases().clone(),
            seen: self.seen.clone(),
            stops: stops.collect(),
            directives: directives.collect(),
            witnessed: self.witnessed,
            lines: self
                .lines
                .iter()
                .map(|(vendor, held)| (vendor.clone(), remembered(held)))
                .collect(),
        };
        serde_json::to_vec(&record).unwrap_or_default()
    }

    /// A view that remembers. What the record holds is verified again, its age apart: old
    /// metadata still says what must not be older. The record itself is the host's own: whoever
    /// can write it can also replace this program.
    /// # Errors
    /// [`RecordError`]. Beginning without it is possible with [`View::new`], and gives up the
    /// protection against being shown an older world.
    pub fn restore(
        anchor: Anchor,
        host: HostId,
        class: HostClass,
        bytes: &[u8],
    ) -> Result<View, RecordError> {
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(RecordError::TooLarge(bytes.len()));
        }
        let record: Record = serde_json::from_slice(bytes).map_err(RecordError::Parse)?;
        if record.schema != 1 {
            return Err(RecordError::Schema(record.schema));
        }
        let mut view = View::new(anchor, host, class)?;
        view.policy_version_seen = record.policy_version_seen;
        if let Some(envelope) = record.policy
            && let Ok(policy) = policy::verify(&envelope, &view.anchor, Time(0), 0)
        {
            view.policy = Some((Digest::of(&envelope.to_bytes()), policy));
            view.policy_envelope = Some(envelope);
        }
        view.seen = record.seen;
        view.witnessed = record.witnessed;
        for (vendor, line) in record.lines {
            let held = HeldLine::remembering(line.policy_version_seen, line.seen);
            view.lines.insert(vendor, held);
        }
        let files = Files {
            root: record.root.into_bytes(),
            timestamp: record.timestamp.into_bytes(),
            snapshot: record.snapshot.into_bytes(),
            targets: record.targets.into_bytes(),
        };
        // A host that was given another TUF root begins there: what the old platform signed counts no more.
        if record.anchored.is_none_or(|root| root == anchored(&view.anchor)) {
            view.catalogue.restore(files, record.roles, record.releases)?;
        }
        for (digest, envelope) in record.stops {
            if let Ok(freeze) = Freeze::parse(&envelope.payload) {
                let freeze = view.authorities().while_it_holds(&envelope, freeze);
                view.stops.insert(digest, HeldStop { envelope, freeze });
            }
        }
        for (digest, envelope) in record.directives {
            if let Ok(directive) = Directive::parse(&envelope.payload) {
                view.directives.insert(digest, HeldDirective { envelope, directive });
            }
        }
        Ok(view)
    }
}
