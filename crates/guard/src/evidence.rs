//! How the last boot ended: what the dead kernel and the watchdog have left. What was read is put by and
//! cleared away, so that the next crash finds room; it is charged once all the same (`CrashMark`).
use andon_host::boot::{Crash, Ending};
use std::path::Path;

/// Most bytes of crash records read; a record is some 10 KB.
const BYTES_MAX: u64 = 1024 * 1024;
/// Most files of crash records looked at.
const FILES_MAX: usize = 512;
/// `WDIOF_CARDRESET` (Linux, include/uapi/linux/watchdog.h): the last reset came from this watchdog.
const CARD_RESET: u32 = 0x20;

/// What was found.
#[derive(Debug)]
pub(crate) struct Evidence {
    pub(crate) ending: Ending,
    /// the kernel's words, in its order
    pub(crate) text: Vec<u8>,
    /// the files that they were in
    pub(crate) files: Vec<std::path::PathBuf>,
}

/// Reads; changes nothing but mounting what is not mounted yet.
pub(crate) fn read(pstore: &Path, watchdogs: &Path) -> Evidence {
    mount("pstore", pstore);
    let mut files = dumps(pstore);
    files.sort_by_key(|path| std::cmp::Reverse(name(path)));
    let mut text = Vec::new();
    for path in &files {
        let room = BYTES_MAX.saturating_sub(text.len() as u64);
        text.extend(body(&crate::disk::bounded(path, room).unwrap_or_default()));
    }
    let ending = match files.is_empty() {
        false => Ending::Crash(Crash::read(&text)),
        true if was_reset(watchdogs) => Ending::Watchdog,
        true => Ending::Unexplained,
    };
    Evidence { ending, text, files }
}

/// Keeps the words and clears the store. Only once they are kept safe.
pub(crate) fn put_by(evidence: &Evidence, state: &Path) -> std::io::Result<()> {
    if evidence.files.is_empty() {
        return Ok(());
    }
    let folder = state.join("log");
    std::fs::create_dir_all(&folder)?;
    let path = folder.join("last-crash");
    let beside = folder.join("last-crash.new");
    std::fs::write(&beside, &evidence.text)?;
    std::fs::File::open(&beside)?.sync_data()?;
    std::fs::rename(&beside, path)?;
    evidence.files.iter().try_for_each(std::fs::remove_file)
}

/// Below `/sys` only: anywhere else a folder is a copy that somebody has laid out, and the machine's own
/// records are not to appear in it, nor be cleared away from there.
pub(crate) fn mount(kind: &str, at: &Path) {
    let empty = std::fs::read_dir(at).is_ok_and(|mut entries| entries.next().is_none());
    if empty && at.starts_with("/sys") {
        let flags = rustix::mount::MountFlags::NOSUID | rustix::mount::MountFlags::NODEV;
        // Mounted already, or not to be had: then nothing is there to be read.
        let _best_effort = rustix::mount::mount(kind, at, kind, flags, None);
    }
}

/// Dumps of the kernel's log (`dmesg-BACKEND-ID`, systemd names them alike). Of one crash a backend that
/// writes in parts has part 1 as the newest words: read downwards they stand as they were said.
fn dumps(pstore: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(pstore) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path())).take(FILES_MAX);
    paths.filter(|path| name(path).starts_with("dmesg-")).collect()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Without the first line that the kernel puts before each part (`Panic#1 Part2`): a part may end in the
/// middle of a word.
fn body(part: &[u8]) -> &[u8] {
    let Some(end) = part.iter().position(|byte| *byte == b'\n') else { return part };
    let (first, rest) = part.split_at(end);
    if first.windows(5).any(|word| word == b" Part") {
        return rest.get(1..).unwrap_or_default();
    }
    part
}

fn was_reset(watchdogs: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(watchdogs) else { return false };
    entries.take(FILES_MAX).filter_map(Result::ok).any(|entry| {
        let status = crate::disk::bounded(&entry.path().join("bootstatus"), 64).unwrap_or_default();
        let status = String::from_utf8_lossy(&status).trim().parse::<u32>().unwrap_or(0);
        status & CARD_RESET != 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_as_they_were_said_and_put_by() {
        let folder =
            std::env::temp_dir().join(format!("andon-guard-evidence-{}", std::process::id()));
        let (pstore, state) = (folder.join("pstore"), folder.join("state"));
        std::fs::create_dir_all(&pstore).unwrap();
        std::fs::write(
            pstore.join("dmesg-efi-179585767902001"),
            "Panic#2 Part2\nRIP: 0010:vendor_sen",
        )
        .unwrap();
        std::fs::write(
            pstore.join("dmesg-efi-179585767901001"),
            "Panic#2 Part1\nsor_init+0x127/0x1000 [vendor_sensor]\n",
        )
        .unwrap();
        std::fs::write(pstore.join("console-ramoops-0"), "x+0x1/0x2 [other]\n").unwrap();
        let found = read(&pstore, &folder.join("none"));
        let Ending::Crash(crash) = &found.ending else { panic!("{found:?}") };
        assert_eq!(crash.modules, ["vendor_sensor"]);
        put_by(&found, &state).unwrap();
        assert_eq!(read(&pstore, &folder.join("none")).ending, Ending::Unexplained);
        let kept = std::fs::read_to_string(state.join("log/last-crash")).unwrap();
        assert!(kept.contains("vendor_sensor_init+0x127"), "{kept}");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_watchdog_that_reset_the_host_says_so() {
        let folder =
            std::env::temp_dir().join(format!("andon-guard-watchdog-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("watchdog0")).unwrap();
        for (said, want) in
            [("0\n", Ending::Unexplained), ("32\n", Ending::Watchdog), ("x", Ending::Unexplained)]
        {
            std::fs::write(folder.join("watchdog0/bootstatus"), said).unwrap();
            assert_eq!(read(&folder.join("none"), &folder).ending, want, "{said}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
