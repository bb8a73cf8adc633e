//! Stops: from disk, then from the network. Each is believed by its signature under the pinned keys;
//! where it came from does not matter.
use andon_host::stops::Stops;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::handover::{DirectiveSeen, FreezeSeen};
use andon_model::index::Index;
use andon_model::limits::{DIRECTIVE_BYTES_MAX, INDEX_BYTES_MAX, INDEX_ITEMS_MAX, PINS_BYTES_MAX};
use andon_model::pins::Pins;
use andon_model::{Digest, Time, VendorId};
use andon_trust::stop::Authorities;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Verified stops, and whose are obeyed.
pub(crate) struct Known {
    pins: Option<Pins>,
    who: Authorities,
    now: Time,
    freezes: Vec<FreezeSeen>,
    directives: Vec<DirectiveSeen>,
    seen: BTreeSet<Digest>,
    /// what was there and is not obeyed, and why
    pub(crate) refused: Vec<String>,
}

impl Known {
    /// Reads pinned keys and the stops beside them. What cannot be read stops nothing.
    pub(crate) fn read(state: &Path, clock: Time, releases: BTreeMap<Digest, VendorId>) -> Known {
        let mut refused = Vec::new();
        let pins = match crate::disk::bounded(&state.join("pins.json"), PINS_BYTES_MAX as u64) {
            Ok(bytes) => Pins::parse(&bytes).map_err(|why| refused.push(said(&why))).ok(),
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => None,
            Err(why) => {
                refused.push(format!("pins.json: {why}"));
                None
            }
        };
        let now = pins.as_ref().map_or(clock, |pins| clock.max(pins.vouched));
        let who = pins.as_ref().map(|pins| Authorities::pinned(pins, releases)).unwrap_or_default();
        let (freezes, directives, seen) = (Vec::new(), Vec::new(), BTreeSet::new());
        let mut known = Known { pins, who, now, freezes, directives, seen, refused };
        for entry in
            std::fs::read_dir(state.join("stops")).into_iter().flatten().take(INDEX_ITEMS_MAX)
        {
            let Ok(path) = entry.map(|entry| entry.path()) else { continue };
            match crate::disk::bounded(&path, DIRECTIVE_BYTES_MAX as u64) {
                Ok(bytes) => known.take(&bytes),
                Err(why) => known.refused.push(format!("{}: {why}", path.display())),
            }
        }
        known
    }

    /// No earlier than witnesses have vouched for.
    pub(crate) fn now(&self) -> Time {
        self.now
    }

    pub(crate) fn pins(&self) -> Option<&Pins> {
        self.pins.as_ref()
    }

    pub(crate) fn in_force(&self) -> Stops<'_> {
        Stops { freezes: &self.freezes, directives: &self.directives }
    }

    /// Takes a stop whose signature counts; another one is told and dropped.
    fn take(&mut self, bytes: &[u8]) {
        let Some(pins) = &self.pins else { return };
        let envelope = match Envelope::parse(bytes) {
            Ok(envelope) => envelope,
            Err(why) => return self.refused.push(format!("a stop: {}", said(&why))),
        };
        let digest = Digest::of(&envelope.payload);
        if pins.overridden(&digest, self.now) || !self.seen.insert(digest) {
            return;
        }
        let (who, now) = (&self.who, self.now);
        let taken = match envelope.payload_type {
            PayloadType::Directive => andon_trust::directive::verify(&envelope, who, now)
                .map(|directive| self.directives.push(DirectiveSeen { digest, directive }))
                .map_err(|why| said(&why)),
            _ => andon_trust::stop::verify(&envelope, who, now)
                .map(|freeze| self.freezes.push(FreezeSeen { digest, freeze }))
                .map_err(|why| said(&why)),
        };
        if let Err(why) = taken {
            // The same words under signatures that count may still come.
            self.seen.remove(&digest);
            self.refused.push(format!("stop {}: {why}", digest.short()));
        }
    }

    /// Asks the line's server for what is in force. Answers that do not verify change nothing.
    pub(crate) fn fetch(
        &mut self,
        get: impl Fn(&str, usize) -> Result<Vec<u8>, String>,
    ) -> Result<usize, String> {
        let Some(pins) = &self.pins else { return Err("there are no pinned keys".to_owned()) };
        let line = format!("/v1/lines/{}", pins.line);
        let bytes = get(&format!("{line}/index.json"), INDEX_BYTES_MAX)?;
        let index = Index::parse(&bytes).map_err(|why| said(&why))?;
        let before = self.freezes.len() + self.directives.len();
        for stop in &index.stops {
            let bytes = get(&format!("{line}/stops/{stop}.json"), DIRECTIVE_BYTES_MAX)?;
            self.take(&bytes);
        }
        Ok(self.freezes.len() + self.directives.len() - before)
    }
}

/// An error and its causes in one line.
pub(crate) fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(why) = cause {
        text = format!("{text}: {why}");
        cause = why.source();
    }
    text
}
