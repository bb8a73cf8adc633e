//! A host as the server sees one: a key, an id, signed messages. It runs nothing.
use crate::http::{Answer, Http};
use crate::now;
use andon_model::beat::{Beat, Charge, ComponentState, ComponentStatus, Presence, Strength};
use andon_model::class::HostClass;
use andon_model::enrol::{EnrolAnswer, EnrolRequest};
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::release::Version;
use andon_model::text::Text;
use andon_model::{ComponentId, Digest, HostId, StratumId, Time};
use andon_trust::sign::SigningKey;
use anyhow::{Context as _, Result, ensure};

/// Speaks for one host.
#[derive(Clone, Debug)]
pub struct Caller {
    /// its own key
    pub key: SigningKey,
    /// its id
    pub id: HostId,
    /// number of its latest beat
    pub sequence: u64,
}

/// A key that depends on nothing but this number.
#[must_use]
pub fn key(number: u64) -> SigningKey {
    SigningKey::from_seed(Digest::of(&number.to_be_bytes()).0)
}

/// What the test hosts are.
/// # Panics
/// Never: the names are valid.
#[must_use]
pub fn class() -> HostClass {
    let name = |text| StratumId::new(text).expect("a valid name");
    HostClass {
        arch: name("x86_64"),
        os: name("debian12"),
        model: name("test"),
        groups: Vec::new(),
    }
}

/// An enrolment request, signed with the key it brings.
#[must_use]
pub fn enrol_request(key: &SigningKey, token: &str, at: Time) -> Envelope {
    let (token, key_there) = (token.to_owned(), key.public());
    let request = EnrolRequest { schema: 1, token, key: key_there, class: class(), at };
    key.seal(PayloadType::Enrol, &serde_json::to_vec(&request).unwrap_or_default())
}

impl Caller {
    /// Enrols over HTTP.
    /// # Errors
    /// When the server does not take it.
    pub fn enrol(http: &Http, token: &str, key: SigningKey) -> Result<Caller> {
        let request = enrol_request(&key, token, now());
        let answer = http.post("/v1/enrol", &request.to_bytes())?;
        ensure!(answer.well(), "enrolment refused with {}: {}", answer.status, answer.text());
        let granted: EnrolAnswer =
            serde_json::from_slice(&answer.body).context("parse the enrolment's answer")?;
        Ok(Caller { key, id: granted.host, sequence: 0 })
    }

    /// The next beat: alive, with nothing to say.
    pub fn beat(&mut self) -> Beat {
        self.sequence += 1;
        Beat {
            schema: 1,
            host: self.id,
            sequence: self.sequence,
            at: now(),
            presence: Presence::Alive,
            components: vec![],
            charges: vec![],
            probes: vec![],
            alerts: vec![],
            alerts_left_out: 0,
            sensor: None,
            facts: None,
            freezes: vec![],
        }
    }

    /// The next beat, with one charge that nobody has heard before: news that must be kept.
    /// # Panics
    /// Never: the names are valid.
    pub fn beat_with_charge(&mut self) -> Beat {
        let mut beat = self.beat();
        let component = ComponentId::new("legacy").expect("a valid name");
        let release = Digest::of(b"some release");
        beat.charges.push(Charge {
            number: beat.sequence,
            component: component.clone(),
            version: Version(1),
            release,
            strength: Strength::Strong,
            cause: Text::clipped("signal 11"),
            at: beat.at,
        });
        let state = ComponentState::FellBack;
        let (version, release) = (Some(Version(1)), Some(release));
        beat.components.push(ComponentStatus { component, version, release, state });
        beat
    }

    /// A beat signed by this host.
    #[must_use]
    pub fn seal(&self, beat: &Beat) -> Envelope {
        self.key.seal(PayloadType::Beat, &serde_json::to_vec(beat).unwrap_or_default())
    }

    /// Sends a beat.
    /// # Errors
    /// When there is no answer.
    pub fn send(&self, http: &Http, beat: &Beat) -> Result<Answer> {
        http.post("/v1/beats", &self.seal(beat).to_bytes())
    }
}
