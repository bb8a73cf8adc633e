//! The loop: wait for events or signals, judge, write, say that we live.
use crate::args::Options;
use crate::canary::Canary;
use crate::notify::Notifier;
use crate::sink::{self, Alerts};
use crate::source::{self, Source, chain};
use crate::table::Table;
use crate::{rules, sys};
use andon_content::sigma::RuleSet;
use andon_content::{Detect, ProcessEvent};
use andon_model::Digest;
use andon_model::beat::{Alert, SensorStatus};
use andon_model::facts::FactName;
use andon_model::text::Text;
use andon_model::time::Time;
use anyhow::Context as _;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Most events judged before signals, watchdog and status get their turn.
const EVENTS_PER_TURN: usize = 4096;
/// How often the status file is replaced.
const STATUS_EVERY: Duration = Duration::from_secs(1);
/// Largest program of ours, bytes: ten times what it has.
const PROGRAM_BYTES_MAX: u64 = 256 * 1024 * 1024;

struct Sensor {
    options: Options,
    rules: Option<RuleSet>,
    table: Table,
    alerts: Alerts,
    canary: Canary,
    notifier: Notifier,
    build: Option<FactName>,
    events: u64,
    alerts_failed: bool,
    status_last: Option<Instant>,
}

/// Runs until SIGTERM or SIGINT.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let signals = sys::signal_descriptor(&[libc::SIGHUP, libc::SIGTERM, libc::SIGINT])
        .context("take signals")?;
    let notifier = Notifier::from_environment();
    let rules = first_rules(&options.rules)?;
    let mut source = source::open(options.source)?;
    let mut sensor = Sensor {
        alerts: Alerts::open(options.alerts.as_deref())?,
        options: options.clone(),
        rules,
        table: Table::new(),
        canary: Canary::default(),
        notifier,
        build: build(),
        events: 0,
        alerts_failed: false,
        status_last: None,
    };
    sensor.say_ready(&mut *source);
    while sensor.turn(&mut *source, &signals)? {}
    sensor.notifier.say("STOPPING=1");
    if let Some(path) = sensor.options.status.clone() {
        sink::write_status(&path, &sensor.status(&mut *source))?;
    }
    Ok(())
}

/// Rules that are there must be good. A folder that is not there yet is no fault of the content: the
/// sensor starts without rules, says so, and takes them on SIGHUP.
fn first_rules(folder: &Path) -> anyhow::Result<Option<RuleSet>> {
    if !folder.exists() {
        eprintln!("andon-sensor: {} is not there yet; starting without rules", folder.display());
        return Ok(None);
    }
    Ok(Some(rules::load(folder)?))
}

impl Sensor {
    /// One round; `false` when asked to stop.
    fn turn(&mut self, source: &mut dyn Source, signals: &OwnedFd) -> anyhow::Result<bool> {
        let mut batch = Vec::new();
        let more = source.drain(EVENTS_PER_TURN, &mut |raw| batch.push(raw));
        for raw in batch {
            if let Some(event) = self.table.take(raw) {
                self.judge(&event);
            }
        }
        while let Some(signal) = sys::next_signal(signals) {
            if signal != libc::SIGHUP {
                return Ok(false);
            }
            self.reload(source);
        }
        let now = Instant::now();
        self.notifier.watchdog(now);
        self.canary.tick(now);
        self.write_status(source, now);
        if !more {
            let wait = STATUS_EVERY.min(self.notifier.sleep_max());
            sys::wait_readable(&[source.descriptor(), signals.as_fd()], wait)
                .context("wait for events")?;
        }
        Ok(true)
    }

    fn judge(&mut self, event: &ProcessEvent) {
        self.events += 1;
        let at = clock();
        if self.canary.is(event, at) {
            return;
        }
        let Some(rules) = &self.rules else { return };
        for found in rules.detect(event) {
            let alert = Alert {
                at,
                rule: Text::clipped(&found.title),
                rule_id: Text::clipped(&found.id),
                level: Text::clipped(&found.level),
                command_line: Text::clipped(&event.command_line),
                pid: event.pid,
            };
            // said once, not per alert: a full disk must not fill the log as well
            match self.alerts.write(&alert) {
                Ok(()) => self.alerts_failed = false,
                Err(failed) if !self.alerts_failed => {
                    self.alerts_failed = true;
                    eprintln!("andon-sensor: {}", chain(&failed));
                    self.notifier.say("STATUS=alerts cannot be written");
                }
                Err(_) => {}
            }
        }
    }

    fn reload(&mut self, source: &mut dyn Source) {
        self.notifier.say("RELOADING=1");
        self.table.refresh_users();
        match rules::load(&self.options.rules) {
            Ok(rules) => {
                self.rules = Some(rules);
                self.say_ready(source);
            }
            Err(refused) => {
                let why = Text::clipped(&chain(&refused));
                eprintln!("andon-sensor: new rules refused, the old ones stay: {why}");
                self.notifier.say(&format!("STATUS=new rules refused, the old ones stay: {why}"));
            }
        }
    }

    fn say_ready(&mut self, source: &mut dyn Source) {
        let counts = self.rules.as_ref().map(Detect::counts).unwrap_or_default();
        let kind = source.kind().name();
        let status =
            format!("{} rules active, {} inert, source {kind}", counts.active, counts.inert);
        eprintln!("andon-sensor: ready: {status}");
        self.status_last = None;
        self.write_status(source, Instant::now());
        self.notifier.say(&format!("READY=1\nSTATUS={status}"));
    }

    fn status(&self, source: &mut dyn Source) -> SensorStatus {
        SensorStatus {
            source: source.kind(),
            events: self.events,
            drops: source.drops(),
            rules: self.rules.as_ref().map_or(0, |rules| rules.counts().active),
            canary_seen: self.canary.seen(),
            build: self.build.clone(),
        }
    }

    fn write_status(&mut self, source: &mut dyn Source, now: Instant) {
        if self.status_last.is_some_and(|last| now.duration_since(last) < STATUS_EVERY) {
            return;
        }
        self.status_last = Some(now);
        let status = self.status(source);
        if let Some(path) = &self.options.status
            && let Err(failed) = sink::write_status(path, &status)
        {
            eprintln!("andon-sensor: {}", chain(&failed));
        }
    }
}

/// The digest of this program. Without one hosts do not know which sensor they run; no reason to end.
fn build() -> Option<FactName> {
    let mut program = Vec::new();
    let read = File::open("/proc/self/exe")
        .and_then(|file| file.take(PROGRAM_BYTES_MAX).read_to_end(&mut program));
    match read {
        Ok(length) if (length as u64) < PROGRAM_BYTES_MAX => {
            FactName::new(&Digest::of(&program).to_string()).ok()
        }
        Ok(_) => None,
        Err(failed) => {
            eprintln!("andon-sensor: read own program: {failed}");
            None
        }
    }
}

/// Milliseconds since 1970 by this host's clock.
fn clock() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
