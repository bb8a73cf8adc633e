//! Which keys are one and the same: by their material, whatever id, scheme or spelling they have.
use andon_model::digest::to_hex;
use sigstore_tuf::Key;
use std::collections::{BTreeMap, BTreeSet};

/// A key's material, alike for every way of writing it: an Ed25519 key in hexadecimal of either case
/// or as PEM; a PEM key with other line ends or other algorithm parameters. Scheme and further fields
/// of the key do not make it another key. A key that nobody could verify with is its own text.
pub(crate) fn material(key: &Key) -> String {
    match key.verification_key() {
        Ok(read) => to_hex(read.as_bytes()),
        Err(_) => key.keyval.public.trim().to_ascii_lowercase(),
    }
}

/// How many physical keys these ids name; ids that name none count for nothing.
pub(crate) fn distinct_material(ids: &[String], keys: &BTreeMap<String, Key>) -> usize {
    let named = ids.iter().collect::<BTreeSet<_>>();
    named.into_iter().filter_map(|id| keys.get(id)).map(material).collect::<BTreeSet<_>>().len()
}
