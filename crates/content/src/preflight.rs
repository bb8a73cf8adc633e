//! The check before content takes effect: load it with the very engine that will run it, then run
//! that engine on events, because content that compiles may still fault when it meets input.
use crate::event::{Counts, Detect, ProcessEvent};
use crate::sigma::{LoadError, RuleSet};

/// What a rule set did on the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// what was loaded
    pub counts: Counts,
    /// events it was run on
    pub events: u32,
    /// detections on ordinary events: above zero means noise on every host
    pub noise: u32,
}

/// Loads `files` (relative path, bytes) and runs them on a small bench of ordinary and odd events.
/// # Errors
/// [`LoadError`] exactly when the sensor would refuse the same files.
pub fn validate<P, B>(files: impl IntoIterator<Item = (P, B)>) -> Result<Report, LoadError>
where
    P: AsRef<str>,
    B: AsRef<[u8]>,
{
    let rules = RuleSet::load(files)?;
    let (ordinary, odd) = (ordinary_events(), odd_events());
    let noise: usize = ordinary.iter().map(|event| rules.detect(event).len()).sum();
    for event in &odd {
        rules.detect(event);
    }
    Ok(Report {
        counts: rules.counts(),
        events: u32::try_from(ordinary.len() + odd.len()).unwrap_or(u32::MAX),
        noise: u32::try_from(noise).unwrap_or(u32::MAX),
    })
}

/// What every Linux host does all day.
fn ordinary_events() -> Vec<ProcessEvent> {
    let start = |image: &str, command_line: &str| ProcessEvent {
        image: image.to_owned(),
        command_line: command_line.to_owned(),
        parent_image: "/usr/lib/systemd/systemd".to_owned(),
        parent_command_line: "/sbin/init".to_owned(),
        user: "root".to_owned(),
        current_directory: "/".to_owned(),
        pid: 4242,
        parent_pid: 1,
        uid: 0,
    };
    vec![
        start("/usr/bin/true", "true"),
        start("/usr/bin/sleep", "sleep 5"),
        start("/usr/sbin/logrotate", "/usr/sbin/logrotate /etc/logrotate.conf"),
        start("/usr/sbin/sshd", "/usr/sbin/sshd -D"),
    ]
}

/// What no rule's author thought of: nothing at all, very long, not ASCII, only separators.
fn odd_events() -> Vec<ProcessEvent> {
    let with = |text: String| ProcessEvent {
        image: text.clone(),
        command_line: text.clone(),
        parent_image: text.clone(),
        parent_command_line: text.clone(),
        user: text.clone(),
        current_directory: text,
        pid: u32::MAX,
        parent_pid: u32::MAX,
        uid: u32::MAX,
    };
    vec![
        ProcessEvent::default(),
        with("a".repeat(128 * 1024)),
        with("\u{fffd}\u{1f9ea}é".repeat(64)),
        with(" / ".repeat(64)),
        with("'\"\\*?[](){}$^|".repeat(64)),
    ]
}
