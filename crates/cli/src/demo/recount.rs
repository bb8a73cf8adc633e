//! Figures, counted from the journals that the hosts wrote: nothing else is believed here, least of
//! all what the demo itself remembers. The same counts can be made with the commands in [`Recipe`].
use crate::fleet::board::{CALM, letter};
use andon_model::host_journal::{Entry, Fact, Which};
use andon_model::{Digest, HostId, Time};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Largest journal read, bytes: a host of this demo writes a few kilobytes.
const JOURNAL_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The full host's journal among the others'.
pub(crate) const FULL_HOST: &str = "full.jsonl";

/// Why the journals could not be counted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecountError {
    /// file trouble
    #[error("read journal {path}")]
    Read {
        /// which
        path: PathBuf,
        /// why
        source: std::io::Error,
    },
    /// a line that is no fact
    #[error("read line {line} of {path}")]
    Line {
        /// which file
        path: PathBuf,
        /// counted from 1
        line: usize,
        /// why
        source: serde_json::Error,
    },
    /// too large
    #[error("journal {0} is over {JOURNAL_BYTES_MAX} bytes")]
    TooLarge(PathBuf),
}

/// Every fact of every host, by host, in the order written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journals {
    hosts: BTreeMap<HostId, Vec<Entry>>,
}

impl Journals {
    /// Reads every `.jsonl` file of a folder. A last line that is still being written is left out.
    /// # Errors
    /// [`RecountError`].
    pub(crate) fn read(folder: &Path) -> Result<Journals, RecountError> {
        let failed = |path: &Path, source| RecountError::Read { path: path.to_owned(), source };
        let mut journals = Journals::default();
        for file in fs::read_dir(folder).map_err(|source| failed(folder, source))? {
            let path = file.map_err(|source| failed(folder, source))?.path();
            if path.extension().is_none_or(|extension| extension != "jsonl") {
                continue;
            }
            let size = match fs::metadata(&path) {
                Ok(facts) => facts.len(),
                // A link to a journal that its host has not begun.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(source) => return Err(failed(&path, source)),
            };
            if size > JOURNAL_BYTES_MAX {
                return Err(RecountError::TooLarge(path));
            }
            let text = fs::read_to_string(&path).map_err(|source| failed(&path, source))?;
            journals.take(&path, &text)?;
        }
        Ok(journals)
    }

    fn take(&mut self, path: &Path, text: &str) -> Result<(), RecountError> {
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for (at, line) in whole.lines().enumerate() {
            let entry: Entry = serde_json::from_str(line).map_err(|source| RecountError::Line {
                path: path.to_owned(),
                line: at + 1,
                source,
            })?;
            if let Some(host) = entry.host {
                self.hosts.entry(host).or_default().push(entry);
            }
        }
        Ok(())
    }

    /// Hosts that wrote a journal.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = HostId> + '_ {
        self.hosts.keys().copied()
    }

    /// The first moment, per host, of a fact that `wanted` accepts.
    fn first(&self, wanted: impl Fn(&Fact) -> bool) -> BTreeMap<HostId, Time> {
        let moment = |(host, entries): (&HostId, &Vec<Entry>)| {
            entries.iter().find(|entry| wanted(&entry.fact)).map(|entry| (*host, entry.at))
        };
        self.hosts.iter().filter_map(moment).collect()
    }

    /// Hosts that put the release into effect, and when first.
    pub(crate) fn activated(&self, release: &Digest) -> BTreeMap<HostId, Time> {
        self.first(|fact| matches!(fact, Fact::Activated { which } if which.release == *release))
    }

    /// Hosts with a recorded exit by signal of the release, and when first.
    pub(crate) fn crashed(&self, release: &Digest) -> BTreeMap<HostId, Time> {
        self.first(|fact| {
            matches!(fact, Fact::Exited { which, signal: Some(_), .. } if which.release == *release)
        })
    }

    /// Hosts whose service crashed or hung with the release, and when first.
    pub(crate) fn hurt(&self, release: &Digest) -> BTreeMap<HostId, Time> {
        let mut out = self.hung(release);
        for (host, at) in self.crashed(release) {
            let first = out.entry(host).or_insert(at);
            *first = at.min(*first);
        }
        out
    }

    /// The full host and its letter in the picture, by its latest word since `from`.
    pub(crate) fn full_host(folder: &Path, from: Time) -> Option<(HostId, u8)> {
        let mut journals = Journals::default();
        let path = folder.join(FULL_HOST);
        journals.take(&path, &fs::read_to_string(&path).ok()?).ok()?;
        let (host, entries) = journals.hosts.pop_first()?;
        let letters = entries.iter().filter(|entry| entry.at >= from);
        let letter = letters.filter_map(|entry| letter(&entry.fact)).next_back();
        Some((host, letter.unwrap_or(CALM)))
    }

    /// Hosts whose service hung with the release.
    pub(crate) fn hung(&self, release: &Digest) -> BTreeMap<HostId, Time> {
        self.first(|fact| matches!(fact, Fact::Hung { which } if which.release == *release))
    }

    /// Hosts that died as a whole after they had crashed with the release.
    pub(crate) fn died(&self, release: &Digest) -> BTreeSet<HostId> {
        let crashed = self.crashed(release);
        let died = |host: &HostId, at: &Time| {
            self.hosts[host].iter().any(|e| {
                matches!(e.fact, Fact::Died { .. }) && e.at >= *at && e.at.since(*at).0 < 1000
            })
        };
        crashed.iter().filter(|(host, at)| died(host, at)).map(|(host, _)| *host).collect()
    }

    /// Hosts that went back from the release by themselves, and when first.
    pub(crate) fn fell_back(&self, release: &Digest) -> BTreeMap<HostId, Time> {
        self.first(|fact| matches!(fact, Fact::FellBack { from, .. } if from.release == *release))
    }

    /// Hosts whose last word on the release's component is that it confirmed this release.
    pub(crate) fn settled(&self, which: &Which) -> BTreeMap<HostId, Time> {
        let last = |(host, entries): (&HostId, &Vec<Entry>)| {
            let mut settled = None;
            for entry in entries {
                match &entry.fact {
                    Fact::Confirmed { which: w } if w.component == which.component => {
                        settled = (w.release == which.release).then_some(entry.at);
                    }
                    Fact::FellBack { from, .. } | Fact::SafeMode { which: from }
                        if from.release == which.release =>
                    {
                        settled = None;
                    }
                    _ => {}
                }
            }
            settled.map(|at| (*host, at))
        };
        self.hosts.iter().filter_map(last).collect()
    }

    /// Hosts whose probe failed at any time between two moments.
    pub(crate) fn probes_failed(&self, from: Time, to: Time) -> BTreeSet<HostId> {
        let failed = |entries: &Vec<Entry>| {
            entries.iter().any(|entry| {
                matches!(entry.fact, Fact::Probe { well: false, .. })
                    && entry.at >= from
                    && entry.at <= to
            })
        };
        self.hosts.iter().filter(|(_, e)| failed(e)).map(|(host, _)| *host).collect()
    }

    /// When each host first saw the freeze.
    pub(crate) fn freeze_seen(&self, freeze: &Digest) -> BTreeMap<HostId, Time> {
        self.first(|fact| matches!(fact, Fact::FreezeSeen { freeze: f } if f == freeze))
    }

    /// Hosts that were up at a moment: they did not die before it with a return after it.
    pub(crate) fn up_at(&self, moment: Time) -> BTreeSet<HostId> {
        let dead = |entries: &Vec<Entry>| {
            entries.iter().any(|entry| {
                matches!(entry.fact, Fact::Died { back } if entry.at <= moment && back >= moment)
            })
        };
        self.hosts.iter().filter(|(_, e)| !dead(e)).map(|(host, _)| *host).collect()
    }

    /// Of `hurt`, the hosts that need a person: no service was ready since the last crash or hang, or
    /// a person's hand is in the journal. A host that became ready again helped itself.
    pub(crate) fn hands(&self, hurt: &BTreeMap<HostId, Time>) -> BTreeSet<HostId> {
        let helpless = |host: &&HostId| {
            let entries = &self.hosts[*host];
            let fell = |entry: &Entry| match &entry.fact {
                Fact::Exited { signal, .. } => signal.is_some(),
                Fact::Hung { .. } => true,
                _ => false,
            };
            let since = entries.iter().rposition(fell).unwrap_or(0);
            let ready = entries[since..].iter().any(|e| matches!(e.fact, Fact::Ready { .. }));
            !ready || entries.iter().any(|e| matches!(e.fact, Fact::Hands { .. }))
        };
        hurt.keys().filter(helpless).copied().collect()
    }
}

/// Seconds from `from` until `permille` of `hosts` hosts had their moment; `None` if fewer had.
pub(crate) fn quantile_s(
    moments: &BTreeMap<HostId, Time>,
    from: Time,
    hosts: usize,
    permille: usize,
) -> Option<f64> {
    let mut times: Vec<Time> = moments.values().copied().collect();
    times.sort_unstable();
    let needed = (hosts * permille).div_ceil(1000).max(1);
    times.get(needed - 1).map(|at| at.since(from).as_secs_f64())
}

/// A command that a stranger can type to make the same count.
pub(crate) struct Recipe;

impl Recipe {
    /// Distinct hosts with a fact about a release, in `journals`.
    pub(crate) fn hosts_with(journals: &Path, condition: &str) -> String {
        format!(
            "jq -s '[.[] | select({condition}) | .host] | unique | length' {}/*.jsonl",
            journals.display()
        )
    }

    /// Seconds from `from` until the `needed`th host had activated a release.
    pub(crate) fn reached_s(journals: &Path, release: &str, from: Time, needed: usize) -> String {
        let (at, from) = (needed.saturating_sub(1), from.0);
        format!(
            "jq -s '[.[] | select(.fact == \"activated\" and .which.release == \"{release}\")] | \
             group_by(.host) | map(map(.at) | min) | sort | (.[{at}] - {from}) / 1000' {}/*.jsonl",
            journals.display()
        )
    }

    /// Seconds from the first activation in the hosts' journals to the halt in the server's.
    pub(crate) fn halted_s(journals: &Path, explained: &Path, release: &str) -> String {
        format!(
            "jq -s --argjson halt \"$(jq '[.decisions[] | select(.decision == \"halted\") | .at][0]' {})\" \
             '[.[] | select(.fact == \"activated\" and .which.release == \"{release}\") | .at] | \
             ($halt - min) / 1000' {}/*.jsonl",
            explained.display(),
            journals.display()
        )
    }

    /// Seconds from the cord to the last host that was up and saw it.
    pub(crate) fn freeze_seen_s(journals: &Path, freeze: &Digest, pulled: Time) -> String {
        let at = pulled.0;
        format!(
            "jq -s '[.[] | select(.fact == \"died\" and .at <= {at} and .back >= {at}) | .host] as $dead | \
             [.[] | select(.fact == \"freeze_seen\" and .freeze == \"{freeze}\")] | group_by(.host) | \
             map(select(.[0].host as $h | $dead | index($h) | not) | map(.at) | min) | \
             (max - {at}) / 1000' {}/*.jsonl",
            journals.display()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journals(lines: &[&str]) -> Journals {
        let mut out = Journals::default();
        out.take(Path::new("test.jsonl"), &(lines.join("\n") + "\n")).unwrap();
        out
    }

    fn line(host: u64, at: u64, rest: &str) -> String {
        let digest = "0".repeat(64);
        let which = format!(r#"{{"component":"c","version":2,"release":"{digest}"}}"#);
        let id = HostId::new(host).unwrap();
        format!(r#"{{"at":{at},"host":"{id}",{}}}"#, rest.replace('@', &which))
    }

    #[test]
    fn a_host_that_crashed_three_times_is_one_host() {
        let exit = r#""fact":"exited","which":@,"signal":11"#;
        let lines: Vec<String> = [
            line(1, 5, exit),
            line(1, 6, exit),
            line(2, 7, r#""fact":"exited","which":@,"code":1"#),
        ]
        .into();
        let journals = journals(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        let crashed = journals.crashed(&Digest([0; 32]));
        assert_eq!(crashed.len(), 1);
        assert_eq!(journals.hands(&crashed).len(), 1, "never became ready again");
    }

    #[test]
    fn a_host_that_fell_back_and_is_ready_needs_no_hand() {
        let lines = [
            line(1, 5, r#""fact":"exited","which":@,"signal":11"#),
            line(1, 6, r#""fact":"fell_back","from":@,"to":@"#),
            line(1, 7, r#""fact":"ready","which":@"#),
        ];
        let journals = journals(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        let release = Digest([0; 32]);
        assert!(journals.hands(&journals.crashed(&release)).is_empty());
        assert_eq!(journals.fell_back(&release).len(), 1);
    }

    #[test]
    fn quantiles_need_enough_hosts() {
        let moments: BTreeMap<HostId, Time> =
            (1..=100).map(|n| (HostId::new(n).unwrap(), Time(n * 1000))).collect();
        assert_eq!(quantile_s(&moments, Time(0), 100, 990), Some(99.0));
        assert_eq!(quantile_s(&moments, Time(0), 101, 990), Some(100.0));
        assert_eq!(quantile_s(&moments, Time(0), 200, 990), None);
    }
}
