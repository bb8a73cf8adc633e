//! The canary: each minute the sensor starts a program of its own and must see it start. A sensor
//! that is alive but blind is worse than a dead one, because it looks well.
use andon_content::ProcessEvent;
use andon_model::time::Time;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// First word of the command line: the sensor's own binary then ends at once.
pub(crate) const WORD: &str = "--canary";
/// How often the canary sings.
const EVERY: Duration = Duration::from_secs(60);
/// How long the sensor may take to see it; far above any queueing on a loaded host.
const SEEN_WITHIN: Duration = Duration::from_secs(10);

/// What is known of the canary.
#[derive(Default)]
pub(crate) struct Canary {
    /// started and not yet seen
    waiting: Option<(Instant, String)>,
    started_last: Option<Instant>,
    seen: Option<Time>,
    child: Option<Child>,
    count: u64,
}

impl Canary {
    /// Starts it when it is due; forgets the last sight when it was not seen in time.
    pub(crate) fn tick(&mut self, now: Instant) {
        if self.child.as_mut().is_some_and(|child| !matches!(child.try_wait(), Ok(None))) {
            self.child = None;
        }
        if self.waiting.as_ref().is_some_and(|(since, _)| now.duration_since(*since) > SEEN_WITHIN)
        {
            self.waiting = None;
            self.seen = None;
            eprintln!("andon-sensor: its own canary program was not seen: events are being missed");
        }
        let due = self.started_last.is_none_or(|last| now.duration_since(last) >= EVERY);
        if due && self.child.is_none() {
            self.started_last = Some(now);
            self.start(now);
        }
    }

    fn start(&mut self, now: Instant) {
        self.count += 1;
        let word = format!("{}-{}", std::process::id(), self.count);
        let mut command = Command::new("/proc/self/exe");
        command.arg(WORD).arg(&word);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        match command.spawn() {
            Ok(child) => self.child = Some(child),
            Err(failed) => eprintln!("andon-sensor: start canary program: {failed}"),
        }
        // a canary that cannot even be started is one that is not seen
        self.waiting = Some((now, word));
    }

    /// Whether this event is the canary; rules do not judge it.
    pub(crate) fn is(&mut self, event: &ProcessEvent, now: Time) -> bool {
        let Some((_, word)) = &self.waiting else { return false };
        if event.parent_pid != std::process::id() {
            return false;
        }
        // the connector may be too late for the arguments; the parent alone is proof enough then
        let ours = event.command_line.is_empty() || event.command_line.ends_with(word.as_str());
        if ours {
            self.waiting = None;
            self.seen = Some(now);
        }
        ours
    }

    /// When it was last seen; `None` when the last one was not.
    pub(crate) fn seen(&self) -> Option<Time> {
        self.seen
    }
}
