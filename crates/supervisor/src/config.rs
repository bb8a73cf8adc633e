//! `host.toml`: what this host is told by hand. Unknown fields are refused.
use andon_model::class::HostClass;
use andon_model::id::{ComponentId, GroupId, StratumId};
use andon_model::limits::{ARGV_MAX, COMPONENTS_MAX};
use serde::Deserialize;
use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Largest configuration file, bytes.
const CONFIG_BYTES_MAX: usize = 64 * 1024;

/// The file as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// the line's server, `http://…`
    pub server: String,
    /// the anchor file, given out of band; relative to this file
    pub anchor: PathBuf,
    /// where everything of this host lies; relative to this file
    pub state: PathBuf,
    /// admits this host once
    #[serde(default)]
    pub join_token: String,
    /// hardware or image model: hosts of one model fail alike
    #[serde(default = "generic")]
    pub model: String,
    /// groups that it is in: a ring, a site, a service; the operator's rules name them
    #[serde(default)]
    pub groups: Vec<GroupId>,
    /// the child, if not beside this program; relative to this file
    #[serde(default)]
    pub check: Option<PathBuf>,
    /// services that came with the host's own packages
    #[serde(default)]
    pub service: Vec<BuiltinService>,
}

/// A service that is watched, not updated.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BuiltinService {
    /// contents name it as their consumer
    pub component: ComponentId,
    /// program (an absolute path) and arguments
    pub exec: Vec<String>,
}

fn generic() -> String {
    "generic".to_owned()
}

/// Why a configuration was refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// not there, or not readable
    #[error("read configuration {}", .0.display())]
    Read(PathBuf, #[source] std::io::Error),
    /// larger than any
    #[error("configuration {} has over {CONFIG_BYTES_MAX} bytes", .0.display())]
    TooLarge(PathBuf),
    /// not the form we expect
    #[error("parse configuration {}", .0.display())]
    Parse(PathBuf, #[source] Box<toml::de::Error>),
    /// a field outside its range
    #[error("configuration field {0} {1}")]
    Field(&'static str, &'static str),
}

impl Config {
    /// Reads `host.toml`; paths in it become relative to its folder.
    /// # Errors
    /// [`ConfigError`].
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        let unreadable = |failed| ConfigError::Read(path.to_owned(), failed);
        let mut text = String::new();
        // Never more than one byte beyond the limit is read, whatever the path names.
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mut bounded = file.take(CONFIG_BYTES_MAX as u64 + 1);
        bounded.read_to_string(&mut text).map_err(unreadable)?;
        if text.len() > CONFIG_BYTES_MAX {
            return Err(ConfigError::TooLarge(path.to_owned()));
        }
        let mut config: Config = toml::from_str(&text)
            .map_err(|wrong| ConfigError::Parse(path.to_owned(), Box::new(wrong)))?;
        let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
        let folder = std::path::absolute(&folder)
            .map_err(|failed| ConfigError::Read(path.to_owned(), failed))?;
        config.anchor = folder.join(&config.anchor);
        config.state = folder.join(&config.state);
        config.check = config.check.map(|check| folder.join(check));
        config.checked()
    }

    fn checked(self) -> Result<Config, ConfigError> {
        if self.service.len() > COMPONENTS_MAX {
            return Err(ConfigError::Field("service", "is listed too often"));
        }
        let empty = |one: &BuiltinService| one.exec.is_empty() || one.exec.len() > ARGV_MAX;
        if self.service.iter().any(empty) {
            return Err(ConfigError::Field("service.exec", "is empty or too long"));
        }
        if self.service.iter().any(|one| !Path::new(&one.exec[0]).is_absolute()) {
            return Err(ConfigError::Field("service.exec", "does not begin with an absolute path"));
        }
        if self.class().check().is_err() {
            return Err(ConfigError::Field("groups", "has too many names"));
        }
        if StratumId::new(&self.model).is_err() {
            return Err(ConfigError::Field("model", "has other characters than a-z0-9-_."));
        }
        Ok(self)
    }

    /// What this host reports itself to be.
    #[must_use]
    pub fn class(&self) -> HostClass {
        let named = |text: &str| {
            let lower = text.to_ascii_lowercase();
            let fine = |c: &char| c.is_ascii_alphanumeric() || "-_.".contains(*c);
            let clean: String = lower.chars().filter(fine).take(40).collect();
            StratumId::new(&clean)
        };
        let unknown = || StratumId::new("unknown").expect("a fixed name of letters");
        let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
        let field = |name: &str| {
            let line = release.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim_matches('"').to_owned())
        };
        let version = field("VERSION_ID=").unwrap_or_default();
        let os = format!(
            "{}{}",
            field("ID=").unwrap_or_default(),
            version.split('.').next().unwrap_or_default()
        );
        let arch = rustix::system::uname().machine().to_string_lossy().into_owned();
        HostClass {
            arch: named(&arch).unwrap_or_else(|_| unknown()),
            os: named(&os).unwrap_or_else(|_| unknown()),
            model: named(&self.model).unwrap_or_else(|_| unknown()),
            groups: self.groups.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect(),
        }
    }
}
