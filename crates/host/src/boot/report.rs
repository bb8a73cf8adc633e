//! What people and the server are told of a boot: always which component and which release, never only
//! that something happened.
use andon_model::digest::Digest;
use andon_model::id::ComponentId;
use andon_model::release::Version;
use std::fmt;

/// Why a unit is not loaded and not allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Off {
    /// nothing lies in its slots that could run
    NotInstalled,
    /// the host's own record cannot be read: nothing risky in this boot
    BootRecord,
    /// this component's record cannot be read
    Record(ComponentId),
    /// this component is in safe mode: no slot is left, or too many fallbacks in a day
    SafeMode(ComponentId),
    /// this component's release is frozen, was never confirmed here, and there is no other one
    Frozen(ComponentId),
    /// a PARK of this component's release
    Parked(ComponentId),
    /// what would run of this component is older than its minimum
    BelowMinimum(ComponentId),
    /// its record could not be written
    Unwritten(ComponentId),
    /// the host's own record could not be written
    BootUnwritten,
    /// it could not be loaded
    Unloadable,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// this release is charged with the end of the last boot, or with not being loadable
    Charged {
        /// strong or weak
        strength: andon_model::beat::Strength,
        /// what was seen
        cause: String,
    },
    /// this release is given up for that one
    FellBack {
        /// what takes its place
        to: Option<Digest>,
        /// its version
        version: Option<Version>,
    },
    /// this release is given up and nothing is left: the component is off
    SafeMode,
    /// given up for the third time within a day: the component is off
    TooManyFallbacks,
    /// this release takes effect in this boot
    Activated,
    /// the minimum rose
    MinimumRaised(Version),
    /// the unit stays off
    Off(Off),
}

/// One line of what is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// the component, or the unit that stays off
    pub component: ComponentId,
    /// the kernel module of its unit
    pub module: Option<String>,
    /// digest of the release's manifest
    pub release: Option<Digest>,
    /// its version
    pub version: Option<Version>,
    /// what
    pub what: What,
}

impl fmt::Display for Off {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Off::NotInstalled => write!(f, "nothing is installed"),
            Off::BootRecord => write!(f, "the host's boot record cannot be read"),
            Off::Record(of) => write!(f, "record of {of} cannot be read"),
            Off::SafeMode(of) => write!(f, "{of} is in safe mode until a new release comes"),
            Off::Frozen(of) => write!(f, "{of} is frozen and was never confirmed here"),
            Off::Parked(of) => write!(f, "{of} is parked by its vendor or operator"),
            Off::BelowMinimum(of) => write!(f, "{of} is older than its minimum version"),
            Off::Unwritten(of) => write!(f, "record of {of} cannot be written"),
            Off::BootUnwritten => write!(f, "the host's boot record cannot be written"),
            Off::Unloadable => write!(f, "it cannot be loaded"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.component)?;
        if let Some(module) = &self.module {
            write!(f, " (module {module})")?;
        }
        if let (Some(version), Some(release)) = (self.version, self.release) {
            write!(f, " version {version} ({release})")?;
        }
        match &self.what {
            What::Charged { strength, cause } => {
                let strength = match strength {
                    andon_model::beat::Strength::Strong => "strong",
                    andon_model::beat::Strength::Weak => "weak",
                };
                write!(f, ": charged ({strength}): {cause}")
            }
            What::FellBack { to: Some(to), version: Some(version) } => {
                write!(f, ": given up, back to version {version} ({to})")
            }
            What::FellBack { .. } => write!(f, ": given up, back to the other slot"),
            What::SafeMode => write!(f, ": given up, and no slot is left: off"),
            What::TooManyFallbacks => write!(f, ": given up, third time within a day: off"),
            What::Activated => write!(f, ": takes effect"),
            What::MinimumRaised(version) => write!(f, ": nothing older than version {version}"),
            What::Off(off) => write!(f, ": off: {off}"),
        }
    }
}
