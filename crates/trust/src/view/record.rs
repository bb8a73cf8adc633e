//! What a view must remember over a restart, so that nobody can show it yesterday's world.
use super::{HeldStop, View, ViewError};
use crate::policy;
use crate::ticket::SeenTicket;
use crate::tuf::{MetadataSet as _, TufSet};
use andon_model::class::HostClass;
use andon_model::enrol::Anchor;
use andon_model::envelope::Envelope;
use andon_model::stop::Freeze;
use andon_model::{Digest, HostId, RolloutId, Time, VendorId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Why a record was refused.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// not the JSON we expect
    #[error("parse view record")]
    Parse(#[source] serde_json::Error),
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
    root: String,
    timestamp: String,
    snapshot: String,
    targets: String,
    roles: BTreeMap<VendorId, String>,
    seen: BTreeMap<RolloutId, SeenTicket>,
    stops: Vec<Envelope>,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl View {
    /// To be stored durably after each round that changed something.
    #[must_use]
    pub fn record(&self) -> Vec<u8> {
        let files = &self.catalogue;
        let record = Record {
            schema: 1,
            policy: self.policy_envelope.clone(),
            policy_version_seen: self.policy_version_seen,
            root: text(&files.root),
            timestamp: text(&files.timestamp),
            snapshot: text(&files.snapshot),
            targets: text(&files.targets),
            roles: files.roles.iter().map(|(name, bytes)| (name.clone(), text(bytes))).collect(),
            seen: self.seen.clone(),
            stops: self.stops.values().map(|held| held.envelope.clone()).collect(),
        };
        serde_json::to_vec(&record).unwrap_or_default()
    }

    /// A view that remembers. What the record holds is verified again, its age apart: old
    /// metadata still says what must not be older.
    /// # Errors
    /// [`RecordError`].
    pub fn restore(
        anchor: Anchor,
        host: HostId,
        class: HostClass,
        bytes: &[u8],
    ) -> Result<View, RecordError> {
        let record: Record = serde_json::from_slice(bytes).map_err(RecordError::Parse)?;
        let mut view = View::new(anchor, host, class)?;
        view.policy_version_seen = record.policy_version_seen;
        if let Some(envelope) = record.policy
            && let Ok(policy) = policy::verify(&envelope, &view.anchor, Time(0), 0)
        {
            view.policy = Some((Digest::of(&envelope.to_bytes()), policy));
            view.policy_envelope = Some(envelope);
        }
        view.seen = record.seen;
        // The root chain was verified when it was walked; the record is the host's own.
        if !record.root.is_empty() && TufSet::from_root(record.root.as_bytes()).is_ok() {
            view.catalogue.root = record.root.into_bytes();
        }
        let files = [&record.timestamp, &record.snapshot, &record.targets];
        let [timestamp, snapshot, targets] = files.map(|file| file.as_bytes());
        view.reload(timestamp, snapshot, targets, &record.roles);
        for envelope in record.stops {
            if let Ok(freeze) = Freeze::parse(&envelope.payload) {
                let digest = Digest::of(&envelope.to_bytes());
                view.stops.insert(digest, HeldStop { envelope, freeze });
            }
        }
        Ok(view)
    }

    fn reload(
        &mut self,
        timestamp: &[u8],
        snapshot: &[u8],
        targets: &[u8],
        roles: &BTreeMap<VendorId, String>,
    ) {
        let Ok(mut set) = TufSet::from_root(&self.catalogue.root) else { return };
        let ancient = Time(0);
        if set.update_timestamp(timestamp, ancient).is_err() {
            return;
        }
        self.catalogue.timestamp = timestamp.to_vec();
        if set.update_snapshot(snapshot, ancient).is_err() {
            return;
        }
        self.catalogue.snapshot = snapshot.to_vec();
        if set.update_targets(targets, ancient).is_err() {
            return;
        }
        self.catalogue.targets = targets.to_vec();
        for (vendor, bytes) in roles {
            if let Ok(role) = set.update_vendor(vendor, bytes.as_bytes(), ancient) {
                self.catalogue.roles.insert(vendor.clone(), bytes.clone().into_bytes());
                self.catalogue.vendors.insert(vendor.clone(), role);
            }
        }
        self.catalogue.expires = set.expires();
    }
}
