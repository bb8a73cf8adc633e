//! Signatures and hashes for the verification core. What it is not: a key store, or a way to sign.
use crate::envelope::signature_is_valid;
use andon_model::{PublicKey, Signature};
use sigstore_crypto::{CryptoProvider, HashContext, SigningScheme};
use sigstore_types::HashAlgorithm;

/// Ed25519 by `ed25519-dalek`, SHA-2 by `sha2`: pure Rust, and the same code as our own envelopes use.
#[derive(Debug)]
struct OurCrypto;

static OUR_CRYPTO: OurCrypto = OurCrypto;

/// The core wants one provider per process. The first one stays: a program that reads other people's
/// repositories may have put a wider one in place (docs/adr/0009).
pub(crate) fn provide_crypto() {
    let _already_there = sigstore_crypto::provider::install_default_provider(&OUR_CRYPTO);
}

struct Hash<D>(D);

impl<D: sha2::Digest + Send> HashContext for Hash<D> {
    fn update(&mut self, bytes: &[u8]) {
        sha2::Digest::update(&mut self.0, bytes);
    }
    fn finalize(self: Box<Self>) -> Vec<u8> {
        self.0.finalize().to_vec()
    }
}

/// SHA-2 for the core, whichever provider asks.
/// # Errors
/// When it is another hash.
pub fn hash(algorithm: HashAlgorithm) -> sigstore_crypto::Result<Box<dyn HashContext>> {
    use sha2::Digest as _;
    Ok(match algorithm {
        HashAlgorithm::Sha2256 => Box::new(Hash(sha2::Sha256::new())),
        HashAlgorithm::Sha2384 => Box::new(Hash(sha2::Sha384::new())),
        HashAlgorithm::Sha2512 => Box::new(Hash(sha2::Sha512::new())),
        other => {
            let text = format!("hash {other:?} is not read by this version");
            return Err(sigstore_crypto::Error::UnsupportedAlgorithm(text));
        }
    })
}

impl CryptoProvider for OurCrypto {
    fn hash(&self, algorithm: HashAlgorithm) -> sigstore_crypto::Result<Box<dyn HashContext>> {
        hash(algorithm)
    }

    fn verify_raw(
        &self,
        scheme: SigningScheme,
        key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> sigstore_crypto::Result<()> {
        let wrong = |what: &str| sigstore_crypto::Error::Verification(what.to_owned());
        if scheme != SigningScheme::Ed25519 {
            let text = format!("{scheme:?} is not read by this version; sign with Ed25519");
            return Err(sigstore_crypto::Error::UnsupportedAlgorithm(text));
        }
        let key = PublicKey(key.try_into().map_err(|_| wrong("key is not 32 bytes"))?);
        let signature = signature.try_into().map_err(|_| wrong("signature is not 64 bytes"))?;
        if signature_is_valid(&key, message, &Signature(signature)) {
            return Ok(());
        }
        Err(wrong("signature does not fit"))
    }

    fn verify_prehashed(
        &self,
        scheme: SigningScheme,
        _key: &[u8],
        _digest: &[u8],
        _signature: &[u8],
    ) -> sigstore_crypto::Result<()> {
        let text = format!("{scheme:?} over digests is not read by this version");
        Err(sigstore_crypto::Error::UnsupportedAlgorithm(text))
    }
}
