//! The three workers: relay, sync, download.
use super::{Offered, Say, next};
use crate::http::{Fetch, chain};
use crate::inbox::{Inbox, InboxError};
use crate::store::{self, Folders};
use crate::sync;
use andon_model::beat::BeatAnswer;
use andon_model::class::HostClass;
use andon_model::enrol::{Anchor, EnrolAnswer};
use andon_model::facts::Facts;
use andon_model::handover::{FromCheck, Offers, ToCheck};
use andon_model::text::Text;
use andon_model::{Digest, HostId, Time};
use andon_trust::view::View;
use std::sync::PoisonError;
use std::sync::mpsc::Receiver;
use std::time::{SystemTime, UNIX_EPOCH};

/// Largest answer to a beat or an enrolment, bytes.
const ANSWER_BYTES_MAX: usize = 4096;

/// Carries beats and enrolments; their signatures are the supervisor's, nothing is added.
pub(super) fn relay(mut http: impl Fetch, asked: &Receiver<ToCheck>, say: &Say) {
    while let Some(asked) = next(asked, false) {
        let (what, path, envelope) = match &asked {
            ToCheck::PostBeat { envelope } => ("post_beat", "/v1/beats", envelope),
            ToCheck::Enrol { envelope } => ("enrol", "/v1/enrol", envelope),
            ToCheck::Sync { .. } | ToCheck::Fetch { .. } => continue,
        };
        let body = match http.post(path, &envelope.to_bytes(), ANSWER_BYTES_MAX) {
            Ok(body) => body,
            Err(failed) => {
                say.failed(what, &chain(&failed));
                continue;
            }
        };
        let answer = match asked {
            ToCheck::PostBeat { .. } => serde_json::from_slice::<BeatAnswer>(&body)
                .map(|answer| FromCheck::Answer { answer }),
            _ => serde_json::from_slice::<EnrolAnswer>(&body)
                .map(|answer| FromCheck::Enrolled { answer }),
        };
        match answer {
            Ok(said) => say.say(&said),
            Err(refused) => say.failed(what, &format!("parse server's answer: {refused}")),
        }
    }
}

/// The view and where its memory lies.
pub(super) struct Syncer {
    anchor: Anchor,
    folders: Folders,
    offered: Offered,
    view: Option<(HostId, HostClass, View)>,
    written: Option<Digest>,
}

impl Syncer {
    pub(super) fn new(anchor: Anchor, folders: Folders, offered: Offered) -> Syncer {
        Syncer { anchor, folders, offered, view: None, written: None }
    }

    /// One round. What is told is on disk before: a restart can never forget what was obeyed.
    fn round(
        &mut self,
        host: HostId,
        (class, facts): (&HostClass, Facts),
        server: &mut dyn Fetch,
    ) -> Result<Offers, String> {
        let mut view = match self.view.take() {
            Some((of, like, view)) if of == host && like == *class => view,
            _ => self.open(host, class)?,
        };
        view.runs(facts);
        let ended = sync::round(&mut view, server, clock());
        let (record, outcome) = (view.record(), sync::told(view.outcome()));
        self.view = Some((host, class.clone(), view));
        let digest = Digest::of(&record);
        if self.written != Some(digest) {
            store::write_record(&self.folders, &record).map_err(|failed| chain(&failed))?;
            self.written = Some(digest);
        }
        ended.map_err(|failed| chain(&failed))?;
        let mut offered = self.offered.lock().unwrap_or_else(PoisonError::into_inner);
        offered.clone_from(&outcome.offers);
        Ok(outcome)
    }

    /// A record that does not verify is set aside, loudly: the anchor still holds, but what was seen
    /// before is forgotten.
    fn open(&self, host: HostId, class: &HostClass) -> Result<View, String> {
        let record = store::read_record(&self.folders).map_err(|failed| chain(&failed))?;
        if let Some(record) = record {
            match View::restore(self.anchor.clone(), host, class.clone(), &record) {
                Ok(view) => return Ok(view),
                Err(refused) => {
                    eprintln!("andon-check: record set aside as damaged: {}", chain(&refused));
                    store::set_record_aside(&self.folders).map_err(|failed| chain(&failed))?;
                }
            }
        }
        View::new(self.anchor.clone(), host, class.clone()).map_err(|refused| chain(&refused))
    }
}

/// Looks for something new each time it is asked.
pub(super) fn sync(mut http: impl Fetch, mut syncer: Syncer, asked: &Receiver<ToCheck>, say: &Say) {
    while let Some(asked) = next(asked, true) {
        let ToCheck::Sync { host, class, facts } = asked else { continue };
        match syncer.round(host, (&class, facts), &mut http) {
            Ok(offers) => say.say(&FromCheck::Offers { offers: Box::new(offers) }),
            Err(why) => say.failed("sync", &why),
        }
    }
}

/// Downloads what the last sync offered and nothing else.
pub(super) fn fetch(
    mut http: impl Fetch,
    inbox: &Inbox,
    asked: &Receiver<ToCheck>,
    offered: &Offered,
    say: &Say,
) {
    while let Some(asked) = next(asked, false) {
        let ToCheck::Fetch { release } = asked else { continue };
        let offers = offered.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let wanted: Vec<Digest> = offers.iter().map(|offer| offer.release).collect();
        let fetched = match offers.iter().find(|offer| offer.release == release) {
            None => Err(InboxError::NotOffered(release)),
            Some(offer) => {
                inbox.clean(&wanted).and_then(|()| inbox.fetch(&mut http, release, &offer.manifest))
            }
        };
        say.say(&match fetched {
            Ok(folder) => FromCheck::Fetched { release, folder },
            Err(failed) => FromCheck::FetchFailed { release, why: Text::clipped(&chain(&failed)) },
        });
    }
}

/// Milliseconds since 1970 by this host's clock.
fn clock() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
