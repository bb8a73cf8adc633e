//! A line as far as it is about keys: read from a folder of `andon init`, from a server below an anchor,
//! or made up like the demo's. Everything read is verified from the anchor down; nothing is written.
use crate::client::{Client, ClientError};
use crate::files::{self, FileError};
use crate::layout::Layout;
use crate::policy_attestations;
use crate::policy_form::{PolicyForm, PolicyFormError};
use andon_model::enrol::Anchor;
use andon_model::envelope::{Envelope, EnvelopeError};
use andon_model::id::IdError;
use andon_model::limits::{ENVELOPE_BYTES_MAX, TUF_BYTES_MAX, TUF_ROOT_ROTATIONS_MAX};
use andon_model::policy::Person;
use andon_model::rigs::{Attestations, Rig};
use andon_model::verifiers::{Verifier, Verifiers};
use andon_model::{Digest, LineId, PersonId, PublicKey, RigId, Time, VendorId, VerifierId};
use andon_trust::policy::PolicyRefusal;
use andon_trust::repository::{Delegation, Role, TopRoles};
use andon_trust::sign::SigningKey;
use andon_trust::theft::{Line, LineError};
use andon_trust::tuf::{MetadataSet, TufError, TufSet};

/// Age does not matter for who holds which key: a folder may have lain in a safe.
const AGELESS: Time = Time(0);

/// Why a line could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustError {
    /// a file of the folder
    #[error("read the line's folder")]
    File(#[from] FileError),
    /// the server
    #[error("read the line's public files")]
    Client(#[from] ClientError),
    /// a file that should be there
    #[error("find {0} of the line")]
    Missing(String),
    /// metadata that does not verify from the anchor down
    #[error("verify TUF metadata of the line")]
    Tuf(#[from] TufError),
    /// not an envelope
    #[error("read the line's policy")]
    Envelope(#[from] EnvelopeError),
    /// a policy that the anchor's people have not signed
    #[error("verify the line's policy")]
    Policy(#[from] PolicyRefusal),
    /// what it says cannot be measured
    #[error("read who holds which key")]
    Line(#[from] LineError),
    /// the made-up line
    #[error("make up a line")]
    Form(#[from] PolicyFormError),
    /// a name of the made-up line
    #[error("name something of the made-up line")]
    Name(#[from] IdError),
    /// the anchor's root cannot be written
    #[error("encode the anchor's root")]
    Encode(#[from] serde_json::Error),
}

/// Where a line's public files come from.
enum Source<'s> {
    Folder(&'s Layout),
    Server(&'s Client, &'s LineId),
}

impl Source<'_> {
    /// A file below `/v1/tuf/`, if there is one.
    async fn tuf(&self, name: &str) -> Result<Option<Vec<u8>>, TrustError> {
        match self {
            Source::Folder(layout) => {
                let path = layout.tuf().join(name);
                let there = path.try_exists().unwrap_or(true);
                Ok(there.then(|| files::read(&path, TUF_BYTES_MAX as u64)).transpose()?)
            }
            Source::Server(client, _) => {
                Ok(client.bytes_if_there(&format!("/v1/tuf/{name}"), TUF_BYTES_MAX).await?)
            }
        }
    }

    async fn need(&self, name: &str) -> Result<Vec<u8>, TrustError> {
        self.tuf(name).await?.ok_or_else(|| TrustError::Missing(name.to_owned()))
    }

    async fn policy(&self) -> Result<Vec<u8>, TrustError> {
        match self {
            Source::Folder(layout) => Ok(files::read(&layout.policy(), ENVELOPE_BYTES_MAX as u64)?),
            Source::Server(client, line) => {
                let path = format!("/v1/lines/{line}/policy.json");
                Ok(client.bytes(&path, ENVELOPE_BYTES_MAX).await?)
            }
        }
    }
}

/// The line of a folder.
/// # Errors
/// [`TrustError`].
pub(crate) async fn of_folder(layout: &Layout, anchor: &Anchor) -> Result<Line, TrustError> {
    read(&Source::Folder(layout), anchor).await
}

/// The line that a server serves, as the anchor's root and people vouch for it.
/// # Errors
/// [`TrustError`].
pub(crate) async fn of_server(client: &Client, anchor: &Anchor) -> Result<Line, TrustError> {
    read(&Source::Server(client, &anchor.line), anchor).await
}

async fn read(source: &Source<'_>, anchor: &Anchor) -> Result<Line, TrustError> {
    let mut root = serde_json::to_vec(&anchor.tuf_root)?;
    let mut set = TufSet::from_root(&root)?;
    for _ in 0..TUF_ROOT_ROTATIONS_MAX {
        match source.tuf(&format!("{}.root.json", set.root_version() + 1)).await? {
            Some(bytes) => {
                set.update_root(&bytes)?;
                root = bytes;
            }
            None => break,
        }
    }
    let snapshot = set.update_timestamp(&source.need("timestamp.json").await?, AGELESS)?;
    set.update_snapshot(&source.need(&format!("{snapshot}.snapshot.json")).await?, AGELESS)?;
    let targets = source.need(&format!("{}.targets.json", set.targets_version()?)).await?;
    set.update_targets(&targets, AGELESS)?;
    let envelope = Envelope::parse(&source.policy().await?)?;
    let policy = andon_trust::policy::verify(&envelope, anchor, AGELESS, 0)?;
    Ok(Line::of(anchor, &root, &targets, policy)?)
}

/// A line such as `andon init --verifier v1` and the demo lay out, with one vendor more: three people, two
/// of whom must agree; three keys of the platform's root and of the vendor's, of which two.
/// # Errors
/// [`TrustError`].
pub(crate) fn made_up() -> Result<Line, TrustError> {
    let line: LineId = "operator:operator".parse()?;
    let key = |name: &str| {
        SigningKey::from_seed(Digest::of_parts(&[b"andon.made-up.v1\0", name.as_bytes()]).0)
            .public()
    };
    let names = ["alice", "bob", "carol"];
    let people = |office: &str| -> Result<Vec<Person>, IdError> {
        let person = |name: &&str| {
            let key = key(&format!("{office}/{name}"));
            Ok(Person { person: PersonId::new(name)?, key })
        };
        names.iter().map(person).collect()
    };
    let three = |office: &str| -> Vec<PublicKey> {
        (1..=3).map(|number| key(&format!("{office}/{number}"))).collect()
    };
    let role = |keys, threshold| Role { keys, threshold };
    let daily = people("people")?;
    let mut form = PolicyForm::defaults(line.clone(), key("online"));
    form.people = daily.iter().map(|it| (it.person.clone(), it.key)).collect();
    let verifier = Verifier { name: VerifierId::new("v1")?, key: key("verifiers/v1") };
    form.verifiers = Verifiers { needed: 1, keys: vec![verifier] };
    let rig = Rig { name: RigId::new("lab")?, key: key("rigs/lab") };
    let demands = vec![policy_attestations::demand()];
    form.attestations = Attestations { needed: 1, rigs: vec![rig], demands };
    let own = role(daily.iter().map(|it| it.key).collect(), 2);
    Ok(Line {
        policy: form.policy(1, AGELESS)?,
        line,
        operators: people("operator-root")?,
        operators_threshold: 2,
        cord: vec![key("platform/cord")],
        top: TopRoles {
            root: role(three("platform/root"), 2),
            timestamp: role(vec![key("timestamp")], 1),
            snapshot: role(vec![key("snapshot")], 1),
            targets: role(vec![key("platform/targets")], 1),
        },
        vendors: vec![
            Delegation { vendor: VendorId::new("operator")?, role: own },
            Delegation { vendor: VendorId::new("acme")?, role: role(three("vendors/acme"), 2) },
        ],
        older: None,
    })
}
