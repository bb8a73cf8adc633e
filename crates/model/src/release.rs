//! A release: immutable, versioned set of files for one component, described by its manifest.
//!
//! The manifest is a TUF target, signed through its vendor's delegated role. It names every file by
//! digest. The *bundle* is nothing but the files' bytes one after the other in the manifest's order:
//! there is no archive format to parse, so no archive parser to attack.
use crate::digest::Digest;
use crate::id::{ComponentId, VendorId};
use crate::limits::{
    ARGV_MAX, FILES_MAX, HOOK_TIMEOUT_MAX, MANIFEST_BYTES_MAX, MODULE_NAME_MAX, PATH_LENGTH_MAX,
    PROBES_MAX, RELEASE_BYTES_MAX, TEXT_LENGTH_MAX,
};
use crate::text::Text;
use crate::time::Millis;
use serde::{Deserialize, Serialize};

/// A release's version: counts up per component, never back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(pub u32);

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a component is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ComponentKind {
    /// rules and data that a service of ours or a vendor's interprets
    Content,
    /// a supervised program
    Service,
    /// any other tool's data, with validate, reload and health hooks
    Files,
    /// a kernel module; the guard loads it at boot, and nobody else does
    Kmod,
}

/// Whether the release takes effect or is only staged, validated and reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// stage, validate, report; the tool in place is not touched
    Observe,
    /// put into effect
    Enforce,
}

/// How new content reaches the service that interprets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// stop and start the consumer
    Restart,
    /// SIGHUP; the consumer says `RELOADING=1`, then `READY=1`
    Reload,
}

/// One file of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// relative path with `/`, no `.` or `..`
    pub path: String,
    /// digest of its bytes
    pub digest: Digest,
    /// its length in bytes
    pub length: u64,
    /// whether it is made executable
    pub executable: bool,
}

/// A command line run on the host. `{slot}` in a word stands for the slot's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// program and arguments; no shell
    pub argv: Vec<String>,
    /// it has failed when it has not ended by then
    pub timeout: Millis,
}

/// Commands for a tool that does not know us.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hooks {
    /// run on the staged slot before it takes effect
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validate: Option<Hook>,
    /// run after the slot has become the active one
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload: Option<Hook>,
    /// run while soaking and after; failing means unhealthy
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Hook>,
}

/// A health question asked by operator or vendor on each host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {
    /// its name in beats and evidence
    pub name: ComponentId,
    /// exit status 0 means well; `{state}` in a word stands for the host's state folder
    pub check: ProbeCheck,
}

/// What a probe looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ProbeCheck {
    /// a regular file that can be opened; `{state}` stands for the host's state folder
    FileReadable(String),
    /// a command that exits with 0
    Command(Hook),
}

/// Everything about a release but its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// format of this object; 1
    pub schema: u32,
    /// who made it; must be the TUF role that lists it
    pub vendor: VendorId,
    /// what it updates
    pub component: ComponentId,
    /// counts up
    pub version: Version,
    /// what it is made of
    pub kind: ComponentKind,
    /// takes effect or is only observed
    pub mode: Mode,
    /// the service that interprets it (kind content)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<ComponentId>,
    /// how the consumer gets it
    pub activation: Activation,
    /// program and arguments below the slot (kind service); `{content:NAME}` stands for the active
    /// folder of content component NAME, `{state}` for the service's state folder. Kind kmod: the
    /// module's parameters, `name=value`, with the same `{content:NAME}`
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exec: Vec<String>,
    /// commands for a tool that does not know us (kind files)
    #[serde(default)]
    pub hooks: Hooks,
    /// vendor's probes
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<Probe>,
    /// how long it must run well before a host confirms it
    pub soak: Millis,
    /// architectures it fits (`uname -m`); empty: all
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub architectures: Vec<String>,
    /// where it comes from, for people
    #[serde(default)]
    pub origin: Text,
    /// the files, sorted by path
    pub files: Vec<FileEntry>,
    /// digest of the bundle: all files' bytes in this order
    pub bundle: Digest,
}

/// Why a manifest, or a bundle under it, was refused.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// larger than allowed
    #[error("manifest has {0} bytes, at most {MANIFEST_BYTES_MAX} are allowed")]
    TooLarge(usize),
    /// not the JSON we expect
    #[error("parse manifest")]
    Parse(#[source] serde_json::Error),
    /// from another time
    #[error("manifest has schema {0}, this version reads 1")]
    Schema(u32),
    /// too many files, or none
    #[error("manifest lists {0} files, 1 to {FILES_MAX} are allowed")]
    Files(usize),
    /// a path that could leave the slot, or is not in order
    #[error("file path {0:?} is not relative, clean, sorted and unique")]
    Path(String),
    /// more bytes than allowed
    #[error("release has {0} bytes, at most {RELEASE_BYTES_MAX} are allowed")]
    Bytes(u64),
    /// a command line beyond the limits
    #[error("command line of {0} is empty, too long, or its timeout is over {HOOK_TIMEOUT_MAX}")]
    Command(&'static str),
    /// a field that this kind needs, or must not have
    #[error("a release of kind {kind:?} {problem}")]
    Kind {
        /// the kind
        kind: ComponentKind,
        /// what is wrong
        problem: &'static str,
    },
    /// the bundle is not what the manifest says
    #[error("bundle has {got} bytes, the manifest says {want}")]
    BundleLength {
        /// bytes there
        got: u64,
        /// bytes promised
        want: u64,
    },
    /// some bytes are not what the manifest says
    #[error("digest of {0} is not what the manifest says")]
    Digest(String),
}

impl Manifest {
    /// Reads and checks a manifest; whether it is authentic is for `andon-trust` to say.
    /// # Errors
    /// [`ReleaseError`].
    pub fn parse(bytes: &[u8]) -> Result<Manifest, ReleaseError> {
        if bytes.len() > MANIFEST_BYTES_MAX {
            return Err(ReleaseError::TooLarge(bytes.len()));
        }
        let manifest: Manifest = serde_json::from_slice(bytes).map_err(ReleaseError::Parse)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The rules that JSON cannot express.
    /// # Errors
    /// [`ReleaseError`].
    pub fn check(&self) -> Result<(), ReleaseError> {
        if self.schema != 1 {
            return Err(ReleaseError::Schema(self.schema));
        }
        if self.files.is_empty() || self.files.len() > FILES_MAX {
            return Err(ReleaseError::Files(self.files.len()));
        }
        for (at, file) in self.files.iter().enumerate() {
            let sorted = at == 0 || self.files[at - 1].path < file.path;
            if !clean(&file.path) || !sorted {
                return Err(ReleaseError::Path(file.path.chars().take(PATH_LENGTH_MAX).collect()));
            }
        }
        if self.bundle_length() > RELEASE_BYTES_MAX {
            return Err(ReleaseError::Bytes(self.bundle_length()));
        }
        self.check_commands()?;
        self.check_kind()
    }

    fn check_commands(&self) -> Result<(), ReleaseError> {
        let hooks = [
            ("validate", &self.hooks.validate),
            ("reload", &self.hooks.reload),
            ("health", &self.hooks.health),
        ];
        for (name, hook) in hooks {
            if let Some(hook) = hook {
                hook.check(name)?;
            }
        }
        if self.probes.len() > PROBES_MAX {
            return Err(ReleaseError::Command("probes"));
        }
        for probe in &self.probes {
            probe.check.check()?;
        }
        if self.exec.len() > ARGV_MAX || self.exec.iter().any(|word| word.len() > TEXT_LENGTH_MAX) {
            return Err(ReleaseError::Command("exec"));
        }
        if self.soak > HOOK_TIMEOUT_MAX.plus(Millis::from_secs(86_400)) {
            return Err(ReleaseError::Command("soak"));
        }
        Ok(())
    }

    fn check_kind(&self) -> Result<(), ReleaseError> {
        let problem = match self.kind {
            ComponentKind::Service if self.exec.is_empty() => Some("needs exec"),
            ComponentKind::Content if self.consumer.is_none() => Some("needs a consumer"),
            ComponentKind::Content | ComponentKind::Files if !self.exec.is_empty() => {
                Some("must not have exec")
            }
            ComponentKind::Kmod if self.module().is_none() => {
                Some("needs exactly one file NAME.ko")
            }
            ComponentKind::Kmod if self.exec.iter().any(|word| word.contains([' ', '"', '\0'])) => {
                Some("must not have blanks or quotes in its parameters")
            }
            ComponentKind::Service | ComponentKind::Files | ComponentKind::Kmod
                if self.consumer.is_some() =>
            {
                Some("must not have a consumer")
            }
            _ => None,
        };
        match problem {
            Some(problem) => Err(ReleaseError::Kind { kind: self.kind, problem }),
            None => Ok(()),
        }
    }

    /// The kernel module of kind kmod, and its name as the kernel writes it.
    #[must_use]
    pub fn module(&self) -> Option<(&FileEntry, String)> {
        let mut modules = self.files.iter().filter_map(|file| {
            let name = file.path.rsplit('/').next()?.strip_suffix(".ko")?;
            let letters = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
            let fits = (1..=MODULE_NAME_MAX).contains(&name.len()) && name.bytes().all(letters);
            fits.then(|| (file, name.replace('-', "_")))
        });
        let first = modules.next()?;
        modules.next().is_none().then_some(first)
    }

    /// Bytes of all files together.
    #[must_use]
    pub fn bundle_length(&self) -> u64 {
        self.files.iter().fold(0, |sum, file| sum.saturating_add(file.length))
    }

    /// The TUF target path of this release's manifest.
    #[must_use]
    pub fn target_path(&self) -> String {
        target_path(&self.vendor, &self.component, self.version)
    }

    /// Cuts a bundle into the files it is made of, every digest checked.
    /// # Errors
    /// [`ReleaseError`] when a length or digest differs; nothing is handed out then.
    pub fn split<'b>(&self, bundle: &'b [u8]) -> Result<Vec<(&FileEntry, &'b [u8])>, ReleaseError> {
        let (got, want) = (bundle.len() as u64, self.bundle_length());
        if got != want {
            return Err(ReleaseError::BundleLength { got, want });
        }
        if Digest::of(bundle) != self.bundle {
            return Err(ReleaseError::Digest("the bundle".to_owned()));
        }
        let mut rest = bundle;
        let mut out = Vec::with_capacity(self.files.len());
        for file in &self.files {
            let length = usize::try_from(file.length).map_err(|_| ReleaseError::Bytes(want))?;
            let (bytes, after) =
                rest.split_at_checked(length).ok_or(ReleaseError::BundleLength { got, want })?;
            if Digest::of(bytes) != file.digest {
                return Err(ReleaseError::Digest(file.path.clone()));
            }
            out.push((file, bytes));
            rest = after;
        }
        Ok(out)
    }
}

/// The TUF target path of a release's manifest; the vendor's role is delegated `releases/VENDOR/*/*`.
#[must_use]
pub fn target_path(vendor: &VendorId, component: &ComponentId, version: Version) -> String {
    format!("releases/{vendor}/{component}/{version}.json")
}

impl Hook {
    /// Limits of a command line.
    /// # Errors
    /// [`ReleaseError::Command`] naming `what`.
    pub fn check(&self, what: &'static str) -> Result<(), ReleaseError> {
        let words = 1..=ARGV_MAX;
        let long = self.argv.iter().any(|word| word.len() > TEXT_LENGTH_MAX || word.contains('\0'));
        if !words.contains(&self.argv.len()) || long || self.timeout > HOOK_TIMEOUT_MAX {
            return Err(ReleaseError::Command(what));
        }
        Ok(())
    }
}

impl ProbeCheck {
    /// Limits of a probe.
    /// # Errors
    /// [`ReleaseError::Command`].
    pub fn check(&self) -> Result<(), ReleaseError> {
        match self {
            ProbeCheck::FileReadable(path) if path.len() > TEXT_LENGTH_MAX => {
                Err(ReleaseError::Command("probe"))
            }
            ProbeCheck::FileReadable(_) => Ok(()),
            ProbeCheck::Command(hook) => hook.check("probe"),
        }
    }
}

/// Whether a path stays inside the slot on every file system: relative, no empty, `.` or `..` part.
fn clean(path: &str) -> bool {
    !path.is_empty()
        && path.len() <= PATH_LENGTH_MAX
        && path.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
        && path.chars().all(|c| !c.is_control() && c != '\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(files: &[(&str, &[u8])]) -> Manifest {
        let bundle: Vec<u8> = files.iter().flat_map(|(_, bytes)| bytes.to_vec()).collect();
        Manifest {
            schema: 1,
            vendor: VendorId::new("acme").unwrap(),
            component: ComponentId::new("rules").unwrap(),
            version: Version(1),
            kind: ComponentKind::Content,
            mode: Mode::Enforce,
            consumer: Some(ComponentId::new("sensor").unwrap()),
            activation: Activation::Reload,
            exec: vec![],
            hooks: Hooks::default(),
            probes: vec![],
            soak: Millis::from_secs(3),
            architectures: vec![],
            origin: Text::default(),
            files: files
                .iter()
                .map(|(path, bytes)| FileEntry {
                    path: (*path).to_owned(),
                    digest: Digest::of(bytes),
                    length: bytes.len() as u64,
                    executable: false,
                })
                .collect(),
            bundle: Digest::of(&bundle),
        }
    }

    #[test]
    fn a_bundle_splits_into_its_files_or_not_at_all() {
        let release = manifest(&[("a", b"one"), ("b/c", b""), ("d", b"three")]);
        release.check().unwrap();
        let files = release.split(b"onethree").unwrap();
        assert_eq!(files.iter().map(|f| f.1).collect::<Vec<_>>(), [&b"one"[..], b"", b"three"]);
        assert!(matches!(release.split(b"onethre"), Err(ReleaseError::BundleLength { .. })));
        assert!(matches!(release.split(b"onethreE"), Err(ReleaseError::Digest(_))));
    }

    #[test]
    fn paths_that_could_leave_the_slot_are_refused() {
        for bad in ["/etc/passwd", "../x", "a/../b", "a//b", ".", "a\\b", "a\nb", ""] {
            assert!(manifest(&[(bad, b"x")]).check().is_err(), "{bad:?} was accepted");
        }
        assert!(manifest(&[("b", b"x"), ("a", b"y")]).check().is_err(), "unsorted was accepted");
        assert!(manifest(&[("a", b"x"), ("a", b"y")]).check().is_err(), "twice was accepted");
    }

    #[test]
    fn unknown_fields_in_a_manifest_are_refused() {
        let release = manifest(&[("a", b"x")]);
        let mut value = serde_json::to_value(&release).unwrap();
        assert_eq!(Manifest::parse(&serde_json::to_vec(&value).unwrap()).unwrap(), release);
        value["surprise"] = 1.into();
        let refused = Manifest::parse(&serde_json::to_vec(&value).unwrap());
        assert!(matches!(refused, Err(ReleaseError::Parse(_))));
    }

    fn kmod(files: &[&str], exec: &[&str]) -> Manifest {
        let file = |path: &&str| FileEntry {
            path: (*path).to_owned(),
            digest: Digest::of(b""),
            length: 0,
            executable: false,
        };
        Manifest {
            schema: 1,
            vendor: VendorId::new("acme").unwrap(),
            component: ComponentId::new("sensor").unwrap(),
            version: Version(1),
            kind: ComponentKind::Kmod,
            mode: Mode::Enforce,
            consumer: None,
            activation: Activation::Restart,
            exec: exec.iter().map(|word| (*word).to_owned()).collect(),
            hooks: Hooks::default(),
            probes: vec![],
            soak: Millis(0),
            architectures: vec![],
            origin: Text::default(),
            files: files.iter().map(file).collect(),
            bundle: Digest::of(b""),
        }
    }

    #[test]
    fn a_kernel_module_is_one_file_with_a_name_that_the_kernel_takes() {
        let named = |length: usize| kmod(&[&format!("{}.ko", "m".repeat(length))], &[]);
        named(MODULE_NAME_MAX).check().unwrap();
        assert!(named(MODULE_NAME_MAX + 1).check().is_err());
        let good = kmod(&["lib/my-sensor.ko", "readme"], &["content={content:rules}/x", "debug=1"]);
        good.check().unwrap();
        assert_eq!(good.module().unwrap().1, "my_sensor");
        for files in [&["readme"][..], &["a.ko", "b.ko"], &["sen sor.ko"], &[".ko"]] {
            assert!(kmod(files, &[]).check().is_err(), "{files:?}");
        }
        for word in ["a=1 b=2", "a=\"x\"", "a=\0"] {
            assert!(kmod(&["a.ko"], &[word]).check().is_err(), "{word:?}");
        }
    }
}
