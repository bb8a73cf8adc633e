//! Names as they stand in addresses and on disk. A role's or file's name comes from metadata, so that
//! it may be anything: `../x`, `?`, an empty word.
use super::FileError;
use andon_model::limits::PATH_LENGTH_MAX;
use std::fmt::Write as _;

/// Longest file name on usual disks, bytes.
const SEGMENT_LENGTH_MAX: usize = 255;

/// The file name of a role's metadata, all but letters, digits and `_.-~` percent-encoded: no name
/// leads out of its folder. With a version for consistent snapshots (specification 6.2).
#[must_use]
pub fn metadata_name(role: &str, version: Option<u64>) -> String {
    let quoted = quoted(role);
    version.map_or_else(|| format!("{quoted}.json"), |version| format!("{version}.{quoted}.json"))
}

/// A path for an address: percent-encoded, slashes kept.
#[must_use]
pub fn quoted_path(path: &str) -> String {
    path.split('/').map(quoted).collect::<Vec<_>>().join("/")
}

/// The path below a folder under which a file of this name is kept: the name itself, if every word
/// between its slashes is a plain file name.
/// # Errors
/// [`FileError::Name`] for a name that is absolute, climbs (`..`), has empty or hidden words, control
/// characters or backslashes, or is too long. A hidden word is refused because partial downloads live
/// in a hidden folder.
pub fn local_path(name: &str) -> Result<&str, FileError> {
    let plain = |word: &str| {
        !word.is_empty()
            && !word.starts_with('.')
            && word.len() <= SEGMENT_LENGTH_MAX
            && !word.chars().any(|c| c.is_control() || c == '\\')
    };
    if name.len() <= 4 * PATH_LENGTH_MAX && name.split('/').all(plain) {
        return Ok(name);
    }
    Err(FileError::Name(name.chars().take(PATH_LENGTH_MAX).collect()))
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"_.-~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_names_stay_in_their_folder() {
        for (role, want) in [
            ("targets", "7.targets.json"),
            ("?", "7.%3F.json"),
            ("#", "7.%23.json"),
            ("/delegatedrole", "7.%2Fdelegatedrole.json"),
            ("../delegatedrole", "7...%2Fdelegatedrole.json"),
            ("ä b", "7.%C3%A4%20b.json"),
            ("", "7..json"),
        ] {
            assert_eq!(metadata_name(role, Some(7)), want);
        }
        assert_eq!(metadata_name("timestamp", None), "timestamp.json");
        assert_eq!(quoted_path("a b/c?d#e"), "a%20b/c%3Fd%23e");
    }

    #[test]
    fn file_names_that_climb_hide_or_end_nowhere_are_refused() {
        for good in ["a", "a/b.tar.gz", "a b/ü", "x..y/%2e%2e"] {
            assert_eq!(local_path(good).unwrap(), good);
        }
        let long = "x".repeat(256);
        for bad in [
            "", "/a", "a/", "a//b", "..", "../a", "a/../b", ".", "./a", ".x/a", "a\\b", "a\0",
            &long,
        ] {
            assert!(local_path(bad).is_err(), "{bad:?} was taken");
        }
    }
}
