//! Kernel modules whose signing certificate the platform has revoked. A kernel without a revocation list
//! of its own loads them all the same (measured on Debian's 6.1: `docs/july19.md`), so the guard looks.
//!
//! Read are the X.509 certificates of the firmware's forbidden signatures (`dbx`, UEFI specification
//! 32.4.1), and the signer that a module's signature names (kernel, scripts/sign-file.c; RFC 5652 5.3).
//! What it is not: it verifies no signature. That is the kernel's part (`module.sig_enforce=1`).
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

/// Largest `dbx`, bytes: firmware has 64 KB of variables or less.
const DBX_BYTES_MAX: u64 = 256 * 1024;
/// Largest signature on a module, bytes.
const SIGNATURE_BYTES_MAX: u64 = 64 * 1024;
/// At the end of every signed module.
const MARK: &[u8] = b"~Module signature appended~\n";
/// `struct module_signature`.
const TRAILER_BYTES: usize = 12;
/// EFI_CERT_X509_GUID a5c059a1-94e4-4aa7-87b5-ab155c2bf072, as it lies in memory.
const X509: [u8; 16] = [
    0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a, 0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72,
];
/// `dbx` of the image security database.
const DBX: &str = "dbx-d719b2cb-3d3a-4596-a3bc-dad00e67656f";

/// Who signs, as a certificate and a signature both name it: issuer and serial number, in DER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signer {
    issuer: Vec<u8>,
    serial: Vec<u8>,
}

/// Certificates that the platform has revoked.
#[derive(Debug, Default)]
pub(crate) struct Revoked(Vec<Signer>);

impl Revoked {
    /// What the firmware forbids; nothing where there is no such firmware.
    pub(crate) fn read(efivars: &Path) -> Revoked {
        crate::evidence::mount("efivarfs", efivars);
        let bytes = crate::disk::bounded(&efivars.join(DBX), DBX_BYTES_MAX).unwrap_or_default();
        // Four bytes of attributes come first (efivarfs).
        Revoked(certificates(bytes.get(4..).unwrap_or_default()))
    }

    /// The module's signer, if it is revoked: its serial number in hexadecimal.
    pub(crate) fn names(&self, module: &File) -> io::Result<Option<String>> {
        let Some(signer) = signature(module)?.as_deref().and_then(signer) else { return Ok(None) };
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        Ok(self.0.contains(&signer).then(|| hex(&signer.serial)))
    }
}

/// Of `EFI_SIGNATURE_LIST`s: type (16), list size, header size, signature size (4 each), header, then
/// signatures of an owner (16) and the rest.
fn certificates(mut lists: &[u8]) -> Vec<Signer> {
    let mut found = Vec::new();
    while let Some((head, _)) = lists.split_at_checked(28) {
        let number = |at: usize| {
            let bytes = head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            bytes.map_or(0, u32::from_le_bytes) as usize
        };
        let (length, header, size) = (number(16), number(20), number(24));
        if length < 28 || size <= 16 {
            break;
        }
        let Some((list, rest)) = lists.split_at_checked(length) else { break };
        if head.starts_with(&X509) {
            let entries = list.get(28 + header..).unwrap_or_default();
            let certificates = entries.chunks_exact(size).filter_map(|entry| entry.get(16..));
            found.extend(certificates.filter_map(issued));
        }
        lists = rest;
    }
    found
}

/// The signature at the end of a module; `None`: it has none.
fn signature(module: &File) -> io::Result<Option<Vec<u8>>> {
    let end = module.metadata()?.len();
    let mut tail = [0; TRAILER_BYTES + MARK.len()];
    let Some(at) = end.checked_sub(tail.len() as u64) else { return Ok(None) };
    module.read_exact_at(&mut tail, at)?;
    let (trailer, mark) = tail.split_at(TRAILER_BYTES);
    if mark != MARK {
        return Ok(None);
    }
    let length =
        trailer.get(8..12).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes);
    let from =
        at.checked_sub(u64::from(length)).filter(|_| u64::from(length) <= SIGNATURE_BYTES_MAX);
    let Some(from) = from else { return Ok(None) };
    let mut signature = vec![0; length as usize];
    module.read_exact_at(&mut signature, from)?;
    Ok(Some(signature))
}

/// Of `SignedData`: the first `SignerInfo`'s issuer and serial number (RFC 5652 5.1, 5.3).
fn signer(content: &[u8]) -> Option<Signer> {
    let mut content = Der(content).inside(0x30)?;
    content.next()?;
    let mut data = content.inside(0xa0)?.inside(0x30)?;
    let mut last = None;
    while let Some((tag, value)) = data.next() {
        last = (tag == 0x31).then_some(value).or(last);
    }
    let mut info = Der(last?).inside(0x30)?;
    info.next()?;
    let mut id = info.inside(0x30)?;
    Some(Signer { issuer: id.next_of(0x30)?.to_vec(), serial: id.next_of(0x02)?.to_vec() })
}

/// Of a certificate: whoever issued it, and its serial number there (RFC 5280 4.1).
fn issued(certificate: &[u8]) -> Option<Signer> {
    let mut tbs = Der(certificate).inside(0x30)?.inside(0x30)?;
    let (mut tag, mut value) = tbs.next()?;
    if tag == 0xa0 {
        (tag, value) = tbs.next()?;
    }
    let serial = (tag == 0x02).then(|| value.to_vec())?;
    tbs.next_of(0x30)?;
    Some(Signer { issuer: tbs.next_of(0x30)?.to_vec(), serial })
}

/// Tag, length, value, one after the other (X.690, definite lengths). Total: what does not fit is `None`.
struct Der<'b>(&'b [u8]);

impl<'b> Der<'b> {
    fn next(&mut self) -> Option<(u8, &'b [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match *first {
            short @ 0..0x80 => (usize::from(short), rest),
            0x80 | 0x85.. => return None,
            long => {
                let (bytes, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
                (bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
            }
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, value))
    }

    fn next_of(&mut self, tag: u8) -> Option<&'b [u8]> {
        self.next().filter(|(got, _)| *got == tag).map(|(_, value)| value)
    }

    /// Goes on inside the next value, of this tag.
    fn inside(&mut self, tag: u8) -> Option<Der<'b>> {
        self.next_of(tag).map(Der)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DER by hand, as small as it gets.
    fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let value = parts.concat();
        let mut out = vec![tag];
        match u8::try_from(value.len()) {
            Ok(length) if length < 0x80 => out.push(length),
            _ => {
                out.push(0x82);
                out.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
            }
        }
        out.extend(value);
        out
    }

    fn certificate(issuer: &[u8], serial: &[u8]) -> Vec<u8> {
        let version = der(0xa0, &[&der(0x02, &[&[2]])]);
        let tbs = [version, der(0x02, &[serial]), der(0x30, &[]), der(0x30, &[issuer])].concat();
        der(0x30, &[&der(0x30, &[&tbs, &der(0x04, &[&[7; 200]])])])
    }

    fn signed_by(issuer: &[u8], serial: &[u8]) -> Vec<u8> {
        let id = der(0x30, &[&der(0x30, &[issuer]), &der(0x02, &[serial])]);
        let info = der(0x30, &[&der(0x02, &[&[1]]), &id, &der(0x04, &[&[9; 300]])]);
        let data =
            [der(0x02, &[&[1]]), der(0x31, &[]), der(0x30, &[]), der(0x31, &[&info])].concat();
        let content = der(0xa0, &[&der(0x30, &[&data])]);
        let signature = der(0x30, &[&der(0x06, &[&[1, 2]]), &content]);
        let mut module = b"ELF".repeat(100);
        module.extend(&signature);
        module.extend([0, 0, 2, 0, 0, 0, 0, 0]);
        module.extend(u32::try_from(signature.len()).unwrap().to_be_bytes());
        module.extend(MARK);
        module
    }

    fn file(name: &str, bytes: &[u8]) -> File {
        let path = std::env::temp_dir().join(format!("andon-guard-{name}-{}", std::process::id()));
        std::fs::write(&path, bytes).unwrap();
        let file = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file
    }

    fn dbx(kind: [u8; 16], certificate: &[u8]) -> Vec<u8> {
        let size = u32::try_from(certificate.len() + 16).unwrap();
        let mut out = kind.to_vec();
        for number in [28 + size, 0, size] {
            out.extend(number.to_le_bytes());
        }
        out.extend([0; 16]);
        out.extend(certificate);
        out
    }

    #[test]
    fn a_module_whose_signer_is_revoked_is_named_and_no_other() {
        let other = dbx([1; 16], b"a hash, not a certificate");
        let lists = [other, dbx(X509, &certificate(b"vendor", &[0x71, 0x5e]))].concat();
        let revoked = Revoked(certificates(&lists));
        let names = |bytes: &[u8]| revoked.names(&file("module", bytes)).unwrap();
        assert_eq!(names(&signed_by(b"vendor", &[0x71, 0x5e])).as_deref(), Some("715e"));
        assert_eq!(names(&signed_by(b"vendor", &[0x71, 0x5f])), None);
        assert_eq!(names(&signed_by(b"another", &[0x71, 0x5e])), None);
        assert_eq!(names(b"no signature at all, and long enough to have one at its end"), None);
    }

    /// Firmware and modules are whatever somebody wrote: nothing makes the guard fall.
    #[test]
    fn bytes_cut_anywhere_are_read_without_harm() {
        let whole = dbx(X509, &certificate(b"vendor", &[1]));
        for length in 0..whole.len() {
            assert!(certificates(&whole[..length]).is_empty(), "{length}");
        }
        let module = signed_by(b"vendor", &[1]);
        for from in (0..module.len()).step_by(7) {
            let _ = Revoked::default().names(&file("cut", &module[from..])).unwrap();
        }
        for (at, byte) in [(16, 0xff), (24, 0), (24, 0xff), (29, 0xff), (46, 0x84)] {
            let mut spoiled = whole.clone();
            spoiled[at] = byte;
            let _ = certificates(&spoiled);
        }
    }
}
