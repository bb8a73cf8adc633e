//! One key of a line replaced by a new one: in every document that names it, signed by those who must, the old file kept under another name. All
//! of it is made and verified in memory first; then it is written as one change, or not at all.
//!
//! What it is not: a way to replace keys without those who may. Below a threshold it says who must sign, and changes nothing.
mod metadata;
mod rules;

use crate::files::{Access, FileError};
use crate::keys::{self, HeldKey, KeyError, Passphrase, PublicHalf, RETIRED};
use crate::layout::Layout;
use crate::ops::change::{Change, ChangeError};
use crate::ops::office::Office;
use crate::ops::policy::PolicyOpError;
use crate::policy_form::PolicyFormError;
use andon_model::enrol::Anchor;
use andon_model::envelope::EnvelopeError;
use andon_model::{PublicKey, Time};
use andon_trust::policy::PolicyRefusal;
use andon_trust::repository::RepositoryError;
use andon_trust::theft::{Holder, Key, Line};
use andon_trust::tuf::TufError;
use std::fmt;
use std::path::{Path, PathBuf};

/// Most keys of one name retired on one day.
const RETIRED_MAX: u32 = 100;

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) struct Order<'o> {
    /// where
    pub(crate) layout: &'o Layout,
    /// what hosts trust
    pub(crate) anchor: &'o Anchor,
    /// who may do what, verified from the anchor down
    pub(crate) line: &'o Line,
    /// the key that goes
    pub(crate) old: Key,
    /// those who sign
    pub(crate) signers: &'o [HeldKey],
    /// for the new key's file; programs' have none
    pub(crate) passphrase: Option<Passphrase>,
    /// the time
    pub(crate) now: Time,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RotateError {
    /// too few signers
    #[error("replacing {key} takes signatures that are missing: {}", needs(.missing))]
    Unsigned {
        /// which key
        key: String,
        /// what is missing
        missing: Vec<Need>,
    },
    /// a key that stands in no document of this folder
    #[error("{0} is replaced where it is made, not here")]
    Elsewhere(String),
    /// the form says more than was signed
    #[error(
        "policy.toml asks for other things than the signed policy: sign them, or take them back, first"
    )]
    Pending,
    /// the form does not name the key
    #[error("policy.toml does not name the old key")]
    Unnamed,
    /// a file of that name would be a third one
    #[error("{0} was retired {RETIRED_MAX} times today")]
    Worn(PathBuf),
    /// the key on disk is another one than the line's
    #[error("{0} is another key than the one that the line names; look at andon keys list")]
    Strange(PathBuf),
    /// a file
    #[error("read the line's files")]
    File(#[from] FileError),
    /// a key
    #[error("make or read keys")]
    Key(#[from] KeyError),
    /// the policy
    #[error("sign policy")]
    Policy(#[from] PolicyOpError),
    /// the form
    #[error("read policy form")]
    Form(#[from] PolicyFormError),
    /// the signed policy
    #[error("read signed policy")]
    Envelope(#[from] EnvelopeError),
    /// a policy that hosts would refuse
    #[error("check policy as a host does")]
    Refused(#[from] PolicyRefusal),
    /// metadata
    #[error("make TUF metadata")]
    Repository(#[from] RepositoryError),
    /// metadata that hosts would refuse
    #[error("check TUF metadata as a host does")]
    Tuf(#[from] TufError),
    /// JSON
    #[error("encode anchor")]
    Encode(#[from] serde_json::Error),
    /// not text
    #[error("policy.toml is not text")]
    Text(#[from] std::string::FromUtf8Error),
    /// the disk
    #[error("write files")]
    Change(#[from] ChangeError),
}

/// A document, and who must sign it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Need {
    /// which
    pub(crate) document: String,
    /// whose signatures count
    pub(crate) by: Vec<String>,
    /// how many of them it takes
    pub(crate) needed: u32,
    /// those that are there
    pub(crate) have: Vec<String>,
}

impl Need {
    fn is_met(&self) -> bool {
        self.have.len() >= self.needed as usize
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Need { document, by, needed, have } = self;
        let have = if have.is_empty() { "none".to_owned() } else { have.join(", ") };
        write!(f, "{document}: {needed} of {} (there: {have})", by.join(", "))
    }
}

fn needs(missing: &[Need]) -> String {
    missing.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// What was done.
#[derive(Clone, Debug)]
pub(crate) struct Rotated {
    /// the key's name
    pub(crate) key: String,
    /// that went
    pub(crate) old: PublicKey,
    /// that came
    pub(crate) new: PublicKey,
    /// its file
    pub(crate) file: PathBuf,
    /// the old key's file, if it was there
    pub(crate) retired: Option<PathBuf>,
    /// what was signed by whom
    pub(crate) signed: Vec<Need>,
    /// every file that is new or has changed
    pub(crate) written: Vec<PathBuf>,
    /// what is left to do, in order
    pub(crate) next: Vec<String>,
}

/// What a rotation comes to, while it is put together.
struct Sheet<'o> {
    order: &'o Order<'o>,
    /// all names of the line's keys
    keys: Vec<Key>,
    new: HeldKey,
    needs: Vec<Need>,
    change: Change,
    next: Vec<String>,
}

/// Replaces the key, or says what is missing.
/// # Errors
/// [`RotateError`]; nothing was changed.
pub(crate) fn rotate(order: &Order<'_>) -> Result<Rotated, RotateError> {
    let (office, path) = seat(order.layout, &order.old)?;
    let held = on_disk(&path, order.old.public)?;
    let name = match &held {
        Some((_, Some(half))) => half.name.clone(),
        _ => order.old.name.rsplit('/').next().unwrap_or_default().to_owned(),
    };
    let mut sheet = Sheet {
        order,
        keys: order.line.keys(),
        new: HeldKey::draw(&name, office.words())?,
        needs: Vec::new(),
        change: Change::default(),
        next: Vec::new(),
    };
    let passphrase = order.passphrase.as_ref().filter(|_| !office.is_online());
    let file = keys::place(&path, passphrase.is_some());
    let retired = sheet.swap_files(&path, held.map(|(file, _)| file), passphrase)?;
    sheet.rules()?;
    sheet.metadata()?;
    let missing: Vec<Need> = sheet.needs.iter().filter(|need| !need.is_met()).cloned().collect();
    if !missing.is_empty() {
        return Err(RotateError::Unsigned { key: order.old.name.clone(), missing });
    }
    let written = sheet.change.paths().map(Path::to_owned).collect();
    sheet.change.apply()?;
    Ok(Rotated {
        key: order.old.name.clone(),
        old: order.old.public,
        new: sheet.new.key.public(),
        file,
        retired,
        signed: sheet.needs,
        written,
        next: sheet.next,
    })
}

/// Whether a person or a program signs with it.
pub(crate) fn is_online(layout: &Layout, key: &Key) -> Result<bool, RotateError> {
    Ok(seat(layout, key)?.0.is_online())
}

/// A key's office, and where it lies as a plain file.
fn seat(layout: &Layout, key: &Key) -> Result<(Office, PathBuf), RotateError> {
    let elsewhere = || RotateError::Elsewhere(key.name.clone());
    let office = match key.holds.first().ok_or_else(elsewhere)? {
        Holder::OperatorRoot(_) => Office::OperatorRoot,
        Holder::Person(_) => Office::Person,
        Holder::Online => Office::Online,
        Holder::Snapshot => Office::Snapshot,
        Holder::Timestamp => Office::Timestamp,
        Holder::Verifier(_) => Office::Verifier,
        Holder::Rig(_) => Office::Rig,
        Holder::PlatformRoot => Office::PlatformRoot,
        Holder::Delegations => Office::PlatformTargets,
        Holder::Cord => Office::PlatformCord,
        Holder::Vendor(_) => Office::Vendor,
        Holder::Log(_) | Holder::Witness(_) | Holder::Nothing(_) => return Err(elsewhere()),
    };
    let short = match office {
        Office::Vendor => key.name.strip_prefix("vendors/").unwrap_or(&key.name),
        _ => key.name.rsplit('/').next().unwrap_or(&key.name),
    };
    Ok((office, office.folder(layout).join(format!("{short}.json"))))
}

/// The old key's file and its public half, if they are here.
fn on_disk(
    path: &Path,
    public: PublicKey,
) -> Result<Option<(PathBuf, Option<PublicHalf>)>, RotateError> {
    let found = [false, true].map(|sealed| keys::place(path, sealed));
    let Some(file) = found.into_iter().find(|file| file.is_file()) else { return Ok(None) };
    let half = PublicHalf::read(&PublicHalf::beside(&file));
    let known = keys::public_of(&file)?.or(half.as_ref().map(|half| half.public));
    match known {
        Some(other) if other != public => Err(RotateError::Strange(file)),
        _ => Ok(Some((file, half))),
    }
}

impl Sheet<'_> {
    /// The old key's files under other names, the new key's in their place.
    fn swap_files(
        &mut self,
        path: &Path,
        old: Option<PathBuf>,
        passphrase: Option<&Passphrase>,
    ) -> Result<Option<PathBuf>, RotateError> {
        let retired = old.as_deref().map(|file| retired(file, self.order.now)).transpose()?;
        if let (Some(file), Some(retired)) = (&old, &retired) {
            self.change.rename(file, retired);
            if PublicHalf::beside(file).is_file() {
                self.change.rename(&PublicHalf::beside(file), &PublicHalf::beside(retired));
            }
        }
        let half = PublicHalf::of(&self.new, self.order.now).to_bytes();
        self.change.create(&PublicHalf::beside(path), half, Access::Public);
        let file = keys::place(path, passphrase.is_some());
        self.change.create(&file, self.new.content(passphrase)?, Access::Secret);
        Ok(retired)
    }

    fn holds(&self, office: impl Fn(&Holder) -> bool) -> bool {
        self.order.old.holds.iter().any(office)
    }

    /// The key that stands where `key` stood.
    fn replaced(&self, key: PublicKey) -> PublicKey {
        if key == self.order.old.public { self.new.key.public() } else { key }
    }

    /// Those who sign: the new key, too, where it counts.
    fn hands(&self) -> impl Iterator<Item = &HeldKey> {
        self.order.signers.iter().chain([&self.new])
    }

    /// Notes that a document takes so many of these keys. Keys that count twice are counted once.
    fn need(&mut self, document: String, by: &[PublicKey], needed: u32) {
        let name = |public: &PublicKey| {
            let known = self.keys.iter().find(|key| key.public == *public);
            match known {
                Some(key) => key.name.clone(),
                None => format!("{} (new)", self.order.old.name),
            }
        };
        let has = |public: &&PublicKey| self.hands().any(|held| held.key.public() == **public);
        let have = by.iter().filter(has).map(name).collect();
        let by = by.iter().map(name).collect();
        self.needs.push(Need { document, by, needed, have });
    }
}

/// A name for a key file that is kept: the first of this day's that is free.
fn retired(file: &Path, now: Time) -> Result<PathBuf, RotateError> {
    let day: String = now.to_string().chars().take(10).collect();
    let stamp = |path: &Path, number: u32| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let number = if number == 1 { String::new() } else { format!("-{number}") };
        path.with_file_name(format!("{name}{RETIRED}{day}{number}"))
    };
    // Under no ending: a public half must not come to stand beside another key.
    let alike = [keys::place(file, false), keys::place(file, true), PublicHalf::beside(file)];
    let is_free = |number: &u32| !alike.iter().any(|path| stamp(path, *number).exists());
    let free = (1..=RETIRED_MAX).find(is_free).map(|number| stamp(file, number));
    free.ok_or_else(|| RotateError::Worn(file.to_owned()))
}
