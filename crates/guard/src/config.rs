//! `guard.conf`: lines `name = value`. What this host is told by hand, because at boot there is nothing else.
use andon_host::boot::Fetching;
use andon_host::boot_record::GuardMode;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Largest file, bytes.
const BYTES_MAX: u64 = 16 * 1024;

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// the supervisor's state folder
    pub(crate) state: PathBuf,
    /// a folder in memory, for whoever starts later in this boot
    pub(crate) run: PathBuf,
    pub(crate) mode: GuardMode,
    pub(crate) fetch: Fetching,
    /// the line's server: an address, for there is no resolver yet
    pub(crate) server: Option<SocketAddr>,
    /// how this host reaches it, if nobody has set that up by then
    pub(crate) link: Option<Link>,
    /// where the kernel shows what it kept of its crash
    pub(crate) pstore: PathBuf,
    /// where it shows its watchdogs
    pub(crate) watchdogs: PathBuf,
    /// where it shows the firmware's variables
    pub(crate) efivars: PathBuf,
}

/// A network interface and what it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) interface: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) prefix: u8,
    pub(crate) gateway: Option<Ipv4Addr>,
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("read {0}: {1}")]
    Read(String, std::io::Error),
    #[error("line {0} {1}")]
    Line(usize, String),
    #[error("{0} is missing")]
    Missing(&'static str),
}

impl Config {
    pub(crate) fn read(path: &Path) -> Result<Config, ConfigError> {
        let bytes = crate::disk::bounded(path, BYTES_MAX);
        let bytes = bytes.map_err(|why| ConfigError::Read(path.display().to_string(), why))?;
        Config::parse(&String::from_utf8_lossy(&bytes))
    }

    fn parse(text: &str) -> Result<Config, ConfigError> {
        let mut config = Config {
            state: PathBuf::new(),
            run: PathBuf::from("/run/andon"),
            mode: GuardMode::Observe,
            fetch: Fetching::AfterCharge,
            server: None,
            link: None,
            pstore: PathBuf::from("/sys/fs/pstore"),
            watchdogs: PathBuf::from("/sys/class/watchdog"),
            efivars: PathBuf::from("/sys/firmware/efi/efivars"),
        };
        let (mut interface, mut address, mut gateway) = (None, None, None);
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |what: &str| ConfigError::Line(at + 1, what.to_owned());
            let (name, value) = line.split_once('=').ok_or_else(|| wrong("is not NAME = VALUE"))?;
            let (name, value) = (name.trim(), value.trim());
            match name {
                "state" => config.state = PathBuf::from(value),
                "run" => config.run = PathBuf::from(value),
                "pstore" => config.pstore = PathBuf::from(value),
                "watchdogs" => config.watchdogs = PathBuf::from(value),
                "efivars" => config.efivars = PathBuf::from(value),
                "mode" => {
                    config.mode = match value {
                        "observe" => GuardMode::Observe,
                        "enforce" => GuardMode::Enforce,
                        _ => return Err(wrong("mode is observe or enforce")),
                    }
                }
                "fetch" => {
                    config.fetch = match value {
                        "never" => Fetching::Never,
                        "after-charge" => Fetching::AfterCharge,
                        "always" => Fetching::Always,
                        _ => return Err(wrong("fetch is never, after-charge or always")),
                    }
                }
                "server" => {
                    config.server = Some(parsed(value).ok_or_else(|| {
                        wrong("server is ADDRESS:PORT; there is no resolver at boot")
                    })?)
                }
                "interface" => {
                    interface = Some(named(value).ok_or_else(|| wrong("is no interface"))?)
                }
                "address" => {
                    address = Some(network(value).ok_or_else(|| wrong("is not A.B.C.D/N"))?)
                }
                "gateway" => gateway = Some(parsed(value).ok_or_else(|| wrong("is not A.B.C.D"))?),
                other => return Err(wrong(&format!("has an unknown name {other}"))),
            }
        }
        if !config.state.is_absolute() {
            return Err(ConfigError::Missing("state, an absolute path,"));
        }
        config.link = match (interface, address) {
            (Some(interface), Some((address, prefix))) => {
                Some(Link { interface, address, prefix, gateway })
            }
            (None, None) => None,
            _ => return Err(ConfigError::Missing("one of interface and address")),
        };
        Ok(config)
    }
}

fn parsed<T: FromStr>(value: &str) -> Option<T> {
    value.parse().ok()
}

fn named(value: &str) -> Option<String> {
    let letters = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    (letters && (1..16).contains(&value.len())).then(|| value.to_owned())
}

fn network(value: &str) -> Option<(Ipv4Addr, u8)> {
    let (address, prefix) = value.split_once('/')?;
    let IpAddr::V4(address) = address.parse().ok()? else { return None };
    let prefix = prefix.parse().ok().filter(|prefix| (1..=32).contains(prefix))?;
    Some((address, prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "# a host\nstate = /var/lib/andon\nmode = enforce\nfetch = always\n\
        server = 10.0.2.2:8080\ninterface = eth0\naddress = 10.0.2.15/24\ngateway = 10.0.2.2\n";

    #[test]
    fn a_whole_file_is_read_and_the_shortest_one_only_observes() {
        let config = Config::parse(WHOLE).unwrap();
        assert_eq!((config.mode, config.fetch), (GuardMode::Enforce, Fetching::Always));
        assert_eq!(config.server, "10.0.2.2:8080".parse().ok());
        assert_eq!(config.link.unwrap().prefix, 24);
        let config = Config::parse("state=/s").unwrap();
        assert_eq!((config.mode, config.run), (GuardMode::Observe, PathBuf::from("/run/andon")));
    }

    #[test]
    fn what_is_wrong_is_named_by_its_line() {
        for (text, want) in [
            ("state", "line 1 is not NAME = VALUE"),
            ("state = /s\nserver = line.example:80", "line 2 server is ADDRESS:PORT"),
            ("state = /s\nmode = on", "line 2 mode is observe or enforce"),
            ("state = /s\nmoed = enforce", "line 2 has an unknown name moed"),
            ("state = /s\naddress = 10.0.0.1/33", "line 2 is not A.B.C.D/N"),
            ("state = /s\ninterface = eth0", "one of interface and address is missing"),
            ("mode = enforce", "state, an absolute path, is missing"),
        ] {
            let why = Config::parse(text).unwrap_err().to_string();
            assert!(why.starts_with(want), "{text:?}: {why}");
        }
    }
}
