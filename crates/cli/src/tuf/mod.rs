//! The outside of the TUF client: HTTP, the folder of trusted metadata, files that stream to disk,
//! and the key types that other people's repositories use. The workflow itself is
//! `andon_trust::client`; here nothing is believed or refused for its content.
mod crypto;
mod download;
mod http;
mod names;
mod shelf;

pub(crate) use crypto::provide_all;
pub(crate) use download::{Downloads, Obtained};
pub(crate) use http::{Address, Http};
pub(crate) use shelf::{Folder, hold};
