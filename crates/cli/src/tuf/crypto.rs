//! ECDSA and RSA beside Ed25519, for repositories of others. Our own repository and every program on
//! a host read Ed25519 only; these crates are linked by `andon` alone (docs/adr/0009).
use andon_model::{PublicKey, Signature};
use andon_trust::envelope::signature_is_valid;
use rsa::pkcs1::DecodeRsaPublicKey as _;
use rsa::signature::Verifier as _;
use sha2::{Sha256, Sha384, Sha512};
use sigstore_crypto::{CryptoProvider, Error, HashContext, Result, SigningScheme};
use sigstore_types::HashAlgorithm;

/// Verifies every scheme that the TUF specification names (section 4.2.1) and ECDSA P-384.
#[derive(Debug)]
struct AllSchemes;

static ALL_SCHEMES: AllSchemes = AllSchemes;

/// Puts this provider in place, before the core verifies anything in this process.
pub(crate) fn provide_all() {
    let _already_there = sigstore_crypto::provider::install_default_provider(&ALL_SCHEMES);
}

impl CryptoProvider for AllSchemes {
    fn hash(&self, algorithm: HashAlgorithm) -> Result<Box<dyn HashContext>> {
        andon_trust::tuf::hash(algorithm)
    }

    fn verify_raw(&self, scheme: SigningScheme, key: &[u8], said: &[u8], sig: &[u8]) -> Result<()> {
        let fits = match scheme {
            SigningScheme::Ed25519 => ed25519(key, said, sig),
            SigningScheme::EcdsaP256Sha256 => ecdsa_p256(key, said, sig),
            SigningScheme::EcdsaP384Sha384 => ecdsa_p384(key, said, sig),
            SigningScheme::RsaPssSha256 => rsa_pss::<Sha256>(key, said, sig),
            SigningScheme::RsaPssSha384 => rsa_pss::<Sha384>(key, said, sig),
            SigningScheme::RsaPssSha512 => rsa_pss::<Sha512>(key, said, sig),
            other => return Err(unread(&format!("{other:?}"))),
        };
        fits.ok_or_else(|| Error::Verification(format!("{scheme:?}: signature does not fit")))
    }

    fn verify_prehashed(
        &self,
        scheme: SigningScheme,
        _key: &[u8],
        _digest: &[u8],
        _sig: &[u8],
    ) -> Result<()> {
        Err(unread(&format!("{scheme:?} over digests")))
    }
}

fn unread(what: &str) -> Error {
    Error::UnsupportedAlgorithm(format!("{what} is not read by this version"))
}

fn ed25519(key: &[u8], said: &[u8], sig: &[u8]) -> Option<()> {
    let key = PublicKey(key.try_into().ok()?);
    signature_is_valid(&key, said, &Signature(sig.try_into().ok()?)).then_some(())
}

fn ecdsa_p256(key: &[u8], said: &[u8], sig: &[u8]) -> Option<()> {
    use p256::ecdsa::{Signature, VerifyingKey};
    let key = VerifyingKey::from_sec1_bytes(key).ok()?;
    key.verify(said, &Signature::from_der(sig).ok()?).ok()
}

fn ecdsa_p384(key: &[u8], said: &[u8], sig: &[u8]) -> Option<()> {
    use p384::ecdsa::{Signature, VerifyingKey};
    let key = VerifyingKey::from_sec1_bytes(key).ok()?;
    key.verify(said, &Signature::from_der(sig).ok()?).ok()
}

/// The salt is as long as the digest, as securesystemslib writes it.
fn rsa_pss<D>(key: &[u8], said: &[u8], sig: &[u8]) -> Option<()>
where
    D: sha2::Digest + sha2::digest::FixedOutputReset,
{
    let key = rsa::PublicKey::from_pkcs1_der(key).ok()?;
    let key = rsa::pss::VerifyingKey::<D>::new(key);
    key.verify(said, &rsa::pss::Signature::try_from(sig).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sigstore_crypto::VerificationKey;
    use sigstore_types::DerPublicKey;

    /// Signatures over "a release" by python's `cryptography`, one of each scheme.
    const SIGNATURES: &str = include_str!("signatures.json");

    #[test]
    fn every_scheme_takes_a_strangers_signature_and_no_other() {
        let rows: serde_json::Value = serde_json::from_str(SIGNATURES).unwrap();
        let schemes = [
            SigningScheme::EcdsaP256Sha256,
            SigningScheme::EcdsaP384Sha384,
            SigningScheme::RsaPssSha256,
            SigningScheme::RsaPssSha384,
            SigningScheme::RsaPssSha512,
            SigningScheme::Ed25519,
        ];
        for (row, scheme) in rows.as_array().unwrap().iter().zip(schemes) {
            let der = DerPublicKey::from_pem(row["public"].as_str().unwrap()).unwrap();
            let key = VerificationKey::from_spki_with_scheme(&der, scheme).unwrap();
            let digits = row["sig"].as_str().unwrap();
            let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
            let sig: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect();
            let check = |scheme, key: &[u8], said: &[u8], sig: &[u8]| {
                ALL_SCHEMES.verify_raw(scheme, key, said, sig).is_ok()
            };
            let raw = key.as_bytes();
            assert!(check(scheme, raw, b"a release", &sig), "{scheme:?}");
            assert!(!check(scheme, raw, b"a Release", &sig), "{scheme:?}: another message");
            for at in [0, sig.len() / 2, sig.len() - 1] {
                let mut bad = sig.clone();
                bad[at] ^= 1;
                assert!(!check(scheme, raw, b"a release", &bad), "{scheme:?}: byte {at}");
            }
            assert!(!check(scheme, raw, b"a release", &sig[..sig.len() - 1]), "{scheme:?}: short");
            assert!(!check(scheme, &raw[1..], b"a release", &sig), "{scheme:?}: broken key");
            let other = schemes.iter().filter(|other| **other != scheme);
            for other in other {
                assert!(!check(*other, raw, b"a release", &sig), "{scheme:?} as {other:?}");
            }
        }
        let unread = ALL_SCHEMES.verify_raw(SigningScheme::MlDsa44, &[], b"", &[]);
        assert!(matches!(unread, Err(Error::UnsupportedAlgorithm(_))));
    }
}
