//! What happened, out of the serial logs alone: a stranger who greps them finds the same.
use anyhow::{Context as _, Result};
use std::path::Path;

/// One boot as its console tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Boot {
    /// the kernel fell
    pub(crate) panicked: bool,
    /// because it hung
    pub(crate) hung: bool,
    /// the host came up
    pub(crate) up: bool,
    /// the sensor is loaded
    pub(crate) sensor: bool,
    /// the sensor looks at this input
    pub(crate) input: Option<u32>,
    /// the guard's own number of this boot
    pub(crate) number: Option<u64>,
    /// how long the guard took, milliseconds, and how much of that it waited for the network
    pub(crate) guard_ms: Option<(u64, u64)>,
    /// the most memory that it held, KiB
    pub(crate) guard_kib: Option<u64>,
    /// what the guard said
    pub(crate) said: Vec<String>,
}

impl Boot {
    pub(crate) fn read(log: &Path) -> Result<Boot> {
        let bytes = std::fs::read(log).with_context(|| format!("read {}", log.display()))?;
        Ok(Boot::parse(&String::from_utf8_lossy(&bytes)))
    }

    fn parse(text: &str) -> Boot {
        let mut boot = Boot::default();
        for line in text.lines() {
            let line = line.trim_end();
            boot.panicked |= line.contains("Kernel panic - not syncing");
            boot.hung |= line.contains("Kernel panic - not syncing: softlockup");
            boot.up |= line.contains("july19: host is up");
            boot.sensor |= line.contains("july19: sensor is loaded");
            if let Some((_, rest)) = line.split_once("vendor_sensor: watches input ") {
                boot.input = rest.split(',').next().and_then(|number| number.parse().ok());
            }
            if let Some((_, said)) = line.split_once("andon-guard: ") {
                boot.said.push(said.to_owned());
                boot.number = number(said, "boot ").or(boot.number);
                let done = said.split_once("done in ").map(|(_, rest)| rest);
                let took = done.and_then(|rest| number(rest, ""));
                let network = said.split_once("of which ").and_then(|(_, rest)| number(rest, ""));
                boot.guard_ms = took.zip(network).or(boot.guard_ms);
                let most =
                    said.split_once("for the network, ").and_then(|(_, rest)| number(rest, ""));
                boot.guard_kib = most.or(boot.guard_kib);
            }
        }
        boot
    }

    /// The first of the guard's sentences with these words.
    pub(crate) fn said(&self, words: &str) -> Option<&str> {
        self.said.iter().map(String::as_str).find(|said| said.contains(words))
    }

    /// It runs on content that works.
    pub(crate) fn recovered(&self) -> bool {
        self.up && self.sensor && self.input == Some(5)
    }
}

fn number(text: &str, before: &str) -> Option<u64> {
    text.strip_prefix(before)?.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_is_counted_as_it_reads() {
        let boot = Boot::parse(
            "[    3.5] vendor_sensor: watches input 5, 0 events so far\r\n\
             andon-guard: vendor-rules (module vendor_sensor) version 2 (ab): charged (strong): x\r\n\
             andon-guard: boot 2 after crash: 1 loaded, 0 off, mode enforce; done in 41 ms, of which 7 for the network, 1024 KiB at most\r\n\
             july19: sensor is loaded\r\njuly19: host is up at 3.9 s\r\n",
        );
        assert!(boot.recovered() && !boot.panicked);
        assert_eq!((boot.number, boot.guard_ms, boot.input), (Some(2), Some((41, 7)), Some(5)));
        assert_eq!(boot.guard_kib, Some(1024));
        assert!(boot.said("charged (strong)").is_some());
        let fell = Boot::parse("Kernel panic - not syncing: Fatal exception");
        assert!(fell.panicked && !fell.hung);
        assert!(Boot::parse("Kernel panic - not syncing: softlockup: hung tasks").hung);
    }
}
