//! What is served to hosts: TUF metadata, honest and forged, and the files beside it.
use super::lab::LabError;
use crate::attestation::to_file;
use crate::repository::{self, SignedMetadata};
use crate::sign::SigningKey;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::index::{Index, IndexAttestations, IndexTicket};
use andon_model::limits::SIGNATURES_MAX;
use andon_model::{Digest, LineId, RolloutId, Time, VendorId};
use serde::Serialize;
use std::collections::BTreeMap;

/// A server's static files, and the index that names them.
#[derive(Clone, Debug)]
pub(super) struct Served {
    line: LineId,
    files: BTreeMap<String, Vec<u8>>,
    index: Index,
}

impl Served {
    pub(super) fn new(line: LineId) -> Served {
        Served { line, files: BTreeMap::new(), index: Index { version: 1, ..Index::default() } }
    }
    pub(super) fn file(&mut self, path: String, bytes: Vec<u8>) {
        self.files.insert(path, bytes);
    }
    pub(super) fn get(&self, path: &str) -> Option<&Vec<u8>> {
        self.files.get(path)
    }
    fn of_line(&self, rest: &str) -> String {
        format!("/v1/lines/{}/{rest}", self.line)
    }
    pub(super) fn policy(&mut self, envelope: &Envelope) {
        let bytes = envelope.to_bytes();
        self.index.policy = Some(Digest::of(&bytes));
        self.file(self.of_line("policy.json"), bytes);
    }
    pub(super) fn ticket(&mut self, rollout: &RolloutId, envelope: &Envelope) {
        let bytes = envelope.to_bytes();
        self.index.tickets.retain(|listed| listed.rollout != *rollout);
        let digest = Digest::of(&bytes);
        self.index.tickets.push(IndexTicket { rollout: rollout.clone(), digest });
        self.file(self.of_line(&format!("tickets/{rollout}.json")), bytes);
    }
    pub(super) fn no_tickets(&mut self) {
        self.index.tickets.clear();
    }
    pub(super) fn stop(&mut self, envelope: &Envelope) {
        let bytes = envelope.to_bytes();
        let digest = Digest::of(&bytes);
        self.index.stops.push(digest);
        self.file(self.of_line(&format!("stops/{digest}.json")), bytes);
    }
    /// What is signed about a release, after what is served of it already.
    pub(super) fn attested(&mut self, release: Digest, envelopes: &[Envelope]) {
        if envelopes.is_empty() {
            return;
        }
        let path = self.of_line(&format!("attestations/{release}.jsonl"));
        let mut bytes = self.get(&path).cloned().unwrap_or_default();
        bytes.extend(to_file(envelopes));
        let digest = Digest::of(&bytes);
        self.index.attestations.retain(|listed| listed.release != release);
        self.index.attestations.push(IndexAttestations { release, digest });
        self.file(path, bytes);
    }
    fn tuf(&mut self, name: &str, bytes: Vec<u8>) {
        self.file(format!("/v1/tuf/{name}.json"), bytes);
    }
    /// The next root.
    pub(super) fn root(&mut self, root: &SignedMetadata) {
        self.tuf(&format!("{}.root", root.version()), root.to_bytes());
    }
    pub(super) fn timestamp(&mut self, bytes: Vec<u8>) {
        self.index.timestamp = Some(Digest::of(&bytes));
        self.tuf("timestamp", bytes);
    }
    /// The index as its own file; counts up with every call, as a server's does.
    pub(super) fn listed(mut self, version: u64) -> Result<Served, LabError> {
        self.index.version = version;
        let bytes = serde_json::to_vec(&self.index).map_err(LabError::Encode)?;
        self.file(self.of_line("index.json"), bytes);
        Ok(self)
    }
}

/// Signed metadata below a root, and what a new version of it is made of.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    /// of snapshot and timestamp
    pub(super) version: u64,
    /// version and bytes of the top-level targets
    pub(super) targets: (u64, Vec<u8>),
    /// of each vendor's role
    pub(super) roles: BTreeMap<VendorId, (u64, Vec<u8>)>,
}

impl Tree {
    /// Serves it under a new snapshot and a new timestamp.
    pub(super) fn put(
        &self,
        served: &mut Served,
        expires: Time,
        snapshot_keys: &[SigningKey],
        timestamp_keys: &[SigningKey],
    ) -> Result<(), LabError> {
        let (version, targets) = &self.targets;
        served.tuf(&format!("{version}.targets"), targets.clone());
        let mut rows = vec![("targets.json".to_owned(), *version, targets.as_slice())];
        for (name, (version, bytes)) in &self.roles {
            served.tuf(&format!("{version}.{name}"), bytes.clone());
            rows.push((format!("{name}.json"), *version, bytes));
        }
        let snapshot = repository::snapshot(self.version, expires, &rows)?;
        let snapshot = signed(snapshot, snapshot_keys)?;
        served.tuf(&format!("{}.snapshot", self.version), snapshot.clone());
        let stamp = repository::timestamp(self.version, expires, self.version, &snapshot)?;
        served.timestamp(signed(stamp, timestamp_keys)?);
        Ok(())
    }
}

/// Metadata with the signatures of all these keys.
pub(super) fn signed(
    mut metadata: SignedMetadata,
    keys: &[SigningKey],
) -> Result<Vec<u8>, LabError> {
    keys.iter().try_for_each(|key| metadata.sign(key))?;
    Ok(metadata.to_bytes())
}

/// An object in an envelope with the signatures of these keys, as many as one may carry.
pub(super) fn sealed<T: Serialize>(
    kind: PayloadType,
    value: &T,
    keys: &[SigningKey],
) -> Result<Envelope, LabError> {
    let payload = serde_json::to_vec(value).map_err(LabError::Encode)?;
    let mut envelope = Envelope { payload_type: kind, payload, signatures: Vec::new() };
    keys.iter().take(SIGNATURES_MAX).for_each(|key| key.add(&mut envelope));
    Ok(envelope)
}
