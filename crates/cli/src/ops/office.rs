//! What a key is for, where it lies in a folder of `andon init`, and whether a person or a program signs with it.
use crate::keys;
use crate::layout::Layout;
use std::path::PathBuf;

/// An office that a key can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Office {
    /// a person's daily key: commands, approvals, the cord
    Person,
    /// a person's offline key: the operator's policy
    OperatorRoot,
    /// replaces the TUF root
    PlatformRoot,
    /// delegates to vendors
    PlatformTargets,
    /// pulls the cord as the platform
    PlatformCord,
    /// signs a vendor's releases; its name is VENDOR/NUMBER
    Vendor,
    /// the server's key for tickets
    Online,
    /// the server's key for TUF snapshots
    Snapshot,
    /// the server's key for TUF timestamps
    Timestamp,
    /// a gate verifier's
    Verifier,
    /// a rig's
    Rig,
}

impl Office {
    /// What its key files say they are for.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Office::Person => "person: commands, approvals, adopted releases, the cord",
            Office::OperatorRoot => "operator root: policy only; keep offline",
            Office::PlatformRoot => "platform root; keep offline",
            Office::PlatformTargets => "platform: delegations to vendors; keep offline",
            Office::PlatformCord => "the platform's cord",
            Office::Vendor => "vendor: releases and own freezes",
            Office::Online => "tickets of the line",
            Office::Snapshot => "TUF snapshot",
            Office::Timestamp => "TUF timestamp",
            Office::Verifier => keys::VERIFIER,
            Office::Rig => keys::RIG,
        }
    }

    /// Whether a program signs with it, with nobody there to type a passphrase.
    pub(crate) fn is_online(self) -> bool {
        use Office::{Online, Rig, Snapshot, Timestamp, Verifier};
        matches!(self, Online | Snapshot | Timestamp | Verifier | Rig)
    }

    /// The folder for its keys in a folder of `andon init`.
    pub(crate) fn folder(self, layout: &Layout) -> PathBuf {
        let keys = layout.keys();
        match self {
            Office::Person => keys.join("people"),
            Office::OperatorRoot => keys.join("operator-root"),
            Office::PlatformRoot | Office::PlatformTargets | Office::PlatformCord => {
                keys.join("platform")
            }
            Office::Vendor => keys.join("vendors"),
            Office::Verifier => keys.join("verifiers"),
            Office::Rig => keys.join("rigs"),
            Office::Online | Office::Snapshot | Office::Timestamp => layout.server().join("keys"),
        }
    }
}
