//! Bytes under a passphrase, in the age format (<https://c2sp.org/age>, scrypt recipient, ASCII armour): `age -d`
//! opens what is written here, and what `age -p` has written is read here. It knows nothing of keys or files.
use super::passphrase::Passphrase;
use age::DecryptError;
use std::io;

/// scrypt's work factor on writing: N = 2^18, 256 MiB and about a second for every guess. The same on every
/// machine, as the reference implementation has it, so that a slow one does not make a weak file.
const WORK_FACTOR: u8 = 18;

/// Largest work factor on reading: 2^20, 1 GiB and some seconds. A file can ask for any; beyond this one it
/// would only tie up the machine that opens it.
pub(super) const WORK_FACTOR_MAX: u8 = 20;

/// How a file in the age format begins, in its two forms.
const BEGINNINGS: [&[u8]; 2] = [b"age-encryption.org/", b"-----BEGIN AGE ENCRYPTED FILE-----"];

/// Why nothing could be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    /// another passphrase
    #[error("the passphrase does not open it")]
    Passphrase,
    /// it costs too much to try
    #[error(
        "it asks for scrypt work factor {0}, at most {WORK_FACTOR_MAX} is accepted; encrypt it anew with age -p"
    )]
    Work(u8),
    /// made for a key, not for a passphrase
    #[error("it is encrypted to an age recipient, not by a passphrase; decrypt it with age -d -i")]
    Recipient,
    /// not what was written
    #[error("it is damaged")]
    Damaged(#[source] DecryptError),
    /// it could not be written
    #[error("encrypt it")]
    Encrypt(#[source] age::EncryptError),
}

/// Whether a file's content is in the age format.
pub(super) fn is_sealed(bytes: &[u8]) -> bool {
    BEGINNINGS.iter().any(|beginning| bytes.starts_with(beginning))
}

/// Encrypts.
/// # Errors
/// [`SealError::Encrypt`].
pub(super) fn seal(bytes: &[u8], passphrase: &Passphrase) -> Result<Vec<u8>, SealError> {
    seal_with(bytes, passphrase, WORK_FACTOR)
}

fn seal_with(bytes: &[u8], passphrase: &Passphrase, work: u8) -> Result<Vec<u8>, SealError> {
    let mut recipient = age::scrypt::Recipient::new(passphrase.secret());
    recipient.set_work_factor(work);
    let text = age::encrypt_and_armor(&recipient, bytes).map_err(SealError::Encrypt)?;
    Ok(text.into_bytes())
}

/// Decrypts.
/// # Errors
/// [`SealError`].
pub(super) fn open(bytes: &[u8], passphrase: &Passphrase) -> Result<Vec<u8>, SealError> {
    let mut identity = age::scrypt::Identity::new(passphrase.secret());
    identity.set_max_work_factor(WORK_FACTOR_MAX);
    age::decrypt(&identity, bytes).map_err(|why| match why {
        DecryptError::DecryptionFailed => SealError::Passphrase,
        DecryptError::ExcessiveWork { required, .. } => SealError::Work(required),
        DecryptError::NoMatchingKeys => SealError::Recipient,
        DecryptError::Io(why) if why.kind() == io::ErrorKind::OutOfMemory => {
            SealError::Work(WORK_FACTOR_MAX)
        }
        why => SealError::Damaged(why),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::from(text.to_owned())
    }

    /// By the crate's own words, not by ours: what others write is read, in both forms, and the other way round.
    #[test]
    fn what_the_format_says_is_read_and_written() {
        let words = passphrase("correct horse battery");
        let secret = || age::secrecy::SecretString::from("correct horse battery".to_owned());
        let mut theirs = age::scrypt::Recipient::new(secret());
        theirs.set_work_factor(3);
        let binary = age::encrypt(&theirs, b"key").unwrap();
        let armoured = age::encrypt_and_armor(&theirs, b"key").unwrap();
        for bytes in [binary.as_slice(), armoured.as_bytes()] {
            assert!(is_sealed(bytes));
            assert_eq!(open(bytes, &words).unwrap(), b"key");
        }
        let ours = seal_with(b"key", &words, 3).unwrap();
        assert!(is_sealed(&ours));
        assert_eq!(age::decrypt(&age::scrypt::Identity::new(secret()), &ours).unwrap(), b"key");
        assert!(!is_sealed(b"{\"schema\": 1}"));
    }

    #[test]
    fn a_wrong_passphrase_a_recipients_file_and_a_damaged_one_are_told_apart() {
        let words = passphrase("correct horse battery");
        let sealed = seal_with(b"key", &words, 3).unwrap();
        let wrong = open(&sealed, &passphrase("correct horse batterie"));
        assert!(matches!(wrong, Err(SealError::Passphrase)), "{wrong:?}");
        let identity = age::x25519::Identity::generate();
        let theirs = age::encrypt(&identity.to_public(), b"key").unwrap();
        assert!(matches!(open(&theirs, &words), Err(SealError::Recipient)));
        for at in (0..sealed.len()).step_by(3) {
            let mut bytes = sealed.clone();
            bytes[at] ^= 1;
            assert!(open(&bytes, &words).is_err(), "a changed byte {at} was not noticed");
        }
        assert!(matches!(open(&sealed[..sealed.len() / 2], &words), Err(SealError::Damaged(_))));
    }

    /// The header alone decides: the body is garbage, so that at the limit the work is done and fails, and one
    /// beyond it is not even begun. Mutant: age-work-factor-unlimited.
    #[test]
    fn the_work_factor_has_a_ceiling() {
        let words = passphrase("correct horse battery");
        let with = |work: u8| {
            let salt = "A".repeat(22);
            let body = "E".repeat(43);
            let mac = "I".repeat(43);
            format!(
                "age-encryption.org/v1\n-> scrypt {salt} {work}\n{body}\n--- {mac}\n0123456789abcdef"
            )
        };
        let at_limit = open(with(WORK_FACTOR_MAX).as_bytes(), &words);
        assert!(matches!(at_limit, Err(SealError::Passphrase)), "{at_limit:?}");
        for work in [WORK_FACTOR_MAX + 1, 63] {
            let beyond = open(with(work).as_bytes(), &words);
            assert!(matches!(beyond, Err(SealError::Work(asked)) if asked == work), "{beyond:?}");
        }
    }

    #[test]
    fn what_is_written_takes_the_promised_work() {
        let sealed = seal(b"key", &passphrase("correct horse battery")).unwrap();
        let mut reader = age::armor::ArmoredReader::new(sealed.as_slice());
        let mut binary = Vec::new();
        io::Read::read_to_end(&mut reader, &mut binary).unwrap();
        let header = String::from_utf8_lossy(&binary[..100]).into_owned();
        let line = header.lines().nth(1).unwrap();
        assert!(line.starts_with("-> scrypt ") && line.ends_with(" 18"), "{line}");
    }
}
