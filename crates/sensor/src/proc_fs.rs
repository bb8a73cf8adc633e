//! Reading /proc about one process, every read bounded. A process may be gone by then: all answers
//! are optional and none is an error.
use std::fs::File;
use std::io::Read;

/// Most bytes of arguments looked at; the same bound as in the kernel program.
pub(crate) const ARGS_BYTES_MAX: usize = 4095;
/// Most bytes of `/proc/PID/status`, about three times its usual size.
const STATUS_BYTES_MAX: u64 = 8 * 1024;
/// Most bytes of the user list.
const PASSWD_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Path of the executable.
pub(crate) fn image(pid: u32) -> Option<String> {
    let path = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    Some(path.to_string_lossy().trim_end_matches(" (deleted)").to_owned())
}

/// Working directory.
pub(crate) fn current_directory(pid: u32) -> Option<String> {
    let path = std::fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
    Some(path.to_string_lossy().into_owned())
}

/// Arguments as the kernel keeps them: each followed by a zero byte.
pub(crate) fn arguments(pid: u32) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(format!("/proc/{pid}/cmdline")).ok()?;
    file.take(ARGS_BYTES_MAX as u64).read_to_end(&mut bytes).ok()?;
    (!bytes.is_empty()).then_some(bytes)
}

/// Parent and real user id.
pub(crate) fn parent_and_user(pid: u32) -> Option<(u32, u32)> {
    let mut text = String::new();
    let file = File::open(format!("/proc/{pid}/status")).ok()?;
    file.take(STATUS_BYTES_MAX).read_to_string(&mut text).ok()?;
    let field = |name: &str| -> Option<u32> {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some((field("PPid:")?, field("Uid:")?))
}

/// Arguments joined by single spaces, as Sigma rules expect a command line.
pub(crate) fn command_line(arguments: &[u8]) -> String {
    let end = arguments.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let words = arguments[..end].split(|byte| *byte == 0);
    words.map(String::from_utf8_lossy).collect::<Vec<_>>().join(" ")
}

/// The host's user names by number, from `/etc/passwd`; an unreadable file is an empty list.
pub(crate) fn users() -> Vec<(u32, String)> {
    let mut text = String::new();
    let Ok(file) = File::open("/etc/passwd") else { return Vec::new() };
    if file.take(PASSWD_BYTES_MAX).read_to_string(&mut text).is_err() {
        return Vec::new();
    }
    let mut users: Vec<(u32, String)> = text
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            Some((fields.nth(1)?.parse().ok()?, name.to_owned()))
        })
        .collect();
    users.sort_by_key(|(uid, _)| *uid);
    users.dedup_by_key(|(uid, _)| *uid);
    users
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_become_a_command_line_whatever_they_hold() {
        for (bytes, want) in [
            (&b"ls\0-l\0"[..], "ls -l"),
            (b"ls", "ls"),
            (b"sh\0-c\0\0x\0", "sh -c  x"),
            (b"a\xff\0", "a\u{fffd}"),
            (b"\0\0", ""),
            (b"", ""),
        ] {
            assert_eq!(command_line(bytes), want);
        }
    }

    #[test]
    fn this_process_is_found_and_a_missing_one_is_not() {
        let me = std::process::id();
        assert!(image(me).unwrap().contains("andon_sensor"));
        assert!(!command_line(&arguments(me).unwrap()).is_empty());
        assert!(parent_and_user(me).is_some());
        assert_eq!((image(u32::MAX), arguments(u32::MAX)), (None, None));
    }
}
