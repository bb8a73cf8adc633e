//! Proof bundles as files: `andon-proof-bundle/1`, newline, SHA-256 of what follows; the unpacked length,
//! four bytes, most significant first; a zlib stream (RFC 1950) of [`ProofBundle`]'s JSON.
//!
//! [`open`] reads such a file and believes nothing; [`verify`] does, offline. The digest is there so that
//! a damaged copy is told from a forged one: it authenticates nothing.
pub use crate::view::bundle::{Logging, ProofRefusal, ProvenRelease, Terms, verify};
pub use crate::view::release::{ManifestRefusal, Unlogged};

use andon_model::Digest;
use andon_model::limits::{PROOF_BUNDLE_BYTES_MAX, PROOF_BUNDLE_PLAIN_BYTES_MAX};
use andon_model::proof_bundle::{ProofBundle, ProofBundleError};
use miniz_oxide::deflate::compress_to_vec_zlib;
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

const HEADER: &[u8] = b"andon-proof-bundle/1\n";
/// zlib's own middle between speed and size; higher levels gain under 1 % here.
const LEVEL: u8 = 6;

/// Why a file is no proof bundle, or none can be written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// larger than allowed
    #[error("proof bundle has {0} bytes, at most {PROOF_BUNDLE_BYTES_MAX} are allowed")]
    TooLarge(usize),
    /// something else
    #[error("file does not begin with andon-proof-bundle/1: it is no proof bundle of this version")]
    Header,
    /// not as it was written
    #[error("proof bundle is damaged or cut off: its digest does not fit; copy or fetch it again")]
    Damaged,
    /// more than is allowed when unpacked
    #[error(
        "proof bundle says that it has {0} bytes unpacked, at most {PROOF_BUNDLE_PLAIN_BYTES_MAX} are \
         allowed"
    )]
    Unpacked(usize),
    /// no zlib stream of exactly that length
    #[error("unpack proof bundle: it is not {0} bytes packed by zlib")]
    Zlib(usize),
    /// what was packed
    #[error("read proof bundle")]
    Text(#[from] ProofBundleError),
}

/// Reads a file; checks form and limits only.
/// # Errors
/// [`FileError`].
pub fn open(bytes: &[u8]) -> Result<ProofBundle, FileError> {
    if bytes.len() > PROOF_BUNDLE_BYTES_MAX {
        return Err(FileError::TooLarge(bytes.len()));
    }
    let rest = bytes.strip_prefix(HEADER).ok_or(FileError::Header)?;
    let (digest, body) = rest.split_first_chunk::<32>().ok_or(FileError::Damaged)?;
    if Digest::of(body).0 != *digest {
        return Err(FileError::Damaged);
    }
    let (length, packed) = body.split_first_chunk::<4>().ok_or(FileError::Damaged)?;
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    if length > PROOF_BUNDLE_PLAIN_BYTES_MAX {
        return Err(FileError::Unpacked(length));
    }
    Ok(ProofBundle::parse(&unpack(packed, length)?)?)
}

/// All of `packed`, and exactly so many bytes out of it: never more memory than was announced.
fn unpack(packed: &[u8], length: usize) -> Result<Vec<u8>, FileError> {
    let mut plain = vec![0; length];
    let flags = inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER
        | inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let mut inflater = Box::new(DecompressorOxide::new());
    let (status, read, written) = decompress(&mut inflater, packed, &mut plain, 0, flags);
    if status != TINFLStatus::Done || read != packed.len() || written != length {
        return Err(FileError::Zlib(length));
    }
    Ok(plain)
}

/// The file of a bundle. The same bundle gives the same bytes.
/// # Errors
/// [`FileError`] when a limit is passed.
pub fn pack(bundle: &ProofBundle) -> Result<Vec<u8>, FileError> {
    bundle.check()?;
    let plain = bundle.to_bytes();
    let length = plain.len();
    if length > PROOF_BUNDLE_PLAIN_BYTES_MAX {
        return Err(FileError::Unpacked(length));
    }
    let mut body =
        u32::try_from(length).map_err(|_| FileError::Unpacked(length))?.to_be_bytes().to_vec();
    body.extend_from_slice(&compress_to_vec_zlib(&plain, LEVEL));
    let file = [HEADER, &Digest::of(&body).0, &body].concat();
    if file.len() > PROOF_BUNDLE_BYTES_MAX {
        return Err(FileError::TooLarge(file.len()));
    }
    Ok(file)
}
