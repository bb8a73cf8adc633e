//! `guard.json` in the run folder: what the guard did in this boot, for the supervisor, `andon doctor` and
//! people.
use andon_host::boot::{Carried, Decision, Ending};
use serde::Serialize;

/// The file.
#[derive(Debug, Serialize)]
pub(crate) struct Told<'t> {
    pub(crate) schema: u32,
    /// boots counted so far
    pub(crate) boots: u32,
    /// `observe` or `enforce`
    pub(crate) mode: &'t str,
    /// `clean`, `crash`, `watchdog`, `unexplained`
    pub(crate) ending: &'t str,
    /// modules that the crash names, innermost first
    pub(crate) modules: &'t [String],
    pub(crate) loaded: Vec<&'t str>,
    pub(crate) off: Vec<Off<'t>>,
    /// in words, as on the console
    pub(crate) said: &'t [String],
    /// from the guard's start to its end, milliseconds
    pub(crate) took_ms: u64,
    /// of these, waiting for the network
    pub(crate) fetch_ms: u64,
    /// most memory it held (`VmHWM`), KiB
    pub(crate) peak_kib: u64,
}

/// A unit that stays off.
#[derive(Debug, Serialize)]
pub(crate) struct Off<'t> {
    pub(crate) unit: &'t str,
    pub(crate) why: String,
}

impl<'t> Told<'t> {
    pub(crate) fn new(
        decision: &'t Decision,
        carried: &'t Carried,
        seen: &'t Ending,
        said: &'t [String],
    ) -> Told<'t> {
        let (ending, modules) = match seen {
            Ending::Clean => ("clean", &[][..]),
            Ending::Crash(crash) => ("crash", crash.modules.as_slice()),
            Ending::Watchdog => ("watchdog", &[][..]),
            Ending::Unexplained => ("unexplained", &[][..]),
        };
        let off = decision.off.iter().chain(&carried.off);
        Told {
            schema: 1,
            boots: decision.boot.boots,
            mode: crate::run::mode(decision.mode),
            ending,
            modules,
            loaded: carried.loaded.iter().map(|unit| unit.as_str()).collect(),
            off: off.map(|(unit, why)| Off { unit: unit.as_str(), why: why.to_string() }).collect(),
            said,
            took_ms: 0,
            fetch_ms: 0,
            peak_kib: 0,
        }
    }
}
