//! The releases of the story: a real Sigma set, the legacy service, and its content, good and bad.
use super::attested::present;
use super::setting::Fault;
use crate::ops::release::Draft;
use crate::sources::{self, SourceFile};
use andon_model::id::IdError;
use andon_model::release::{Activation, ComponentKind, Version};
use andon_model::text::Text;
use andon_model::{ComponentId, VendorId};
use anyhow::Context;
use std::path::{Path, PathBuf};

/// Where a public rule set lies when there is one.
const PUBLIC_RULES: &str = "../shared/data/sigma-linux/rules";
/// What the legacy vendor's program is made of.
const LEGACY_SOURCE: &str = include_str!("../../../../examples/legacy-vendor/legacy.c");

macro_rules! example {
    ($folder:literal, $($name:literal),+) => {
        [$(($name, include_str!(concat!("../../../../examples/", $folder, "/", $name)))),+]
    };
}

/// The small rule set that is always at hand.
const OWN_RULES: [(&str, &str); 8] = example!(
    "rules",
    "firewall_off.yml",
    "history_erased.yml",
    "kernel_thread_look.yml",
    "ld_preload_file.yml",
    "pipe_to_shell.yml",
    "reverse_shell_tcp.yml",
    "shadow_copy.yml",
    "whoami_with_marker.yml"
);
const CONTENT: [(&str, &str); 6] = example!(
    "legacy-vendor/content",
    "crash.txt",
    "fix.txt",
    "good.txt",
    "hang.txt",
    "late.txt",
    "probe.txt"
);

/// Harmless commands, and the rule that each of them matches (public SigmaHQ rules first).
const MARKED_COMMANDS: [(&str, &str, &str); 2] = [
    ("746c86fb-ccda-4816-8997-01386263acc4", "head", "/proc/2/andon-demo-"),
    ("5b1f6f0e-3a53-4c52-9f0c-6d1de29a4f01", "id", "andon-demo-"),
];

/// A rule set, and a command that one of its rules matches.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// its files
    pub(super) files: Vec<SourceFile>,
    /// where it comes from, for people
    pub(super) origin: String,
    /// program and the argument's beginning; a marker is added to it
    pub(super) command: Option<(PathBuf, &'static str)>,
}

/// The rules of `folder`, else the public ones if they are there, else our own.
/// # Errors
/// When the folder cannot be read.
pub(super) fn rules(folder: Option<&Path>) -> anyhow::Result<Rules> {
    let public = Path::new(PUBLIC_RULES);
    let from = folder.or_else(|| public.is_dir().then_some(public));
    let (files, origin) = match from {
        Some(folder) => {
            let mut files = sources::gather(&[folder.to_owned()])?;
            files.retain(|file| file.path.ends_with(".yml"));
            (files, folder.display().to_string())
        }
        None => {
            let own = OWN_RULES.map(|(name, text)| file(name, text.as_bytes().to_vec()));
            (own.into(), "examples/rules (built in)".to_owned())
        }
    };
    let command = marked_command(&files);
    Ok(Rules { files, origin, command })
}

fn marked_command(files: &[SourceFile]) -> Option<(PathBuf, &'static str)> {
    let has = |id: &str| {
        files.iter().any(|file| file.bytes.windows(id.len()).any(|part| part == id.as_bytes()))
    };
    MARKED_COMMANDS.iter().filter(|(id, ..)| has(id)).find_map(|(_, program, argument)| {
        let place = |folder: &str| Path::new(folder).join(program);
        let path = [place("/usr/bin"), place("/bin")].into_iter().find(|path| path.is_file())?;
        Some((path, *argument))
    })
}

fn file(path: &str, bytes: Vec<u8>) -> SourceFile {
    SourceFile { path: path.to_owned(), bytes, executable: false }
}

/// Who makes the rules.
pub(super) fn rules_vendor() -> Result<VendorId, IdError> {
    VendorId::new("rulesmith")
}

/// Who makes the legacy service.
pub(super) fn legacy_vendor() -> Result<VendorId, IdError> {
    VendorId::new("legacy")
}

/// Content for the sensor.
/// # Errors
/// Never: the names are plain.
pub(super) fn rules_draft(version: u32, origin: &str) -> Result<Draft, IdError> {
    let component = ComponentId::new("sigma-rules")?;
    let kind = ComponentKind::Content;
    let mut draft = Draft::new(rules_vendor()?, component, Version(version), kind);
    draft.consumer = Some(ComponentId::new("andon-sensor")?);
    draft.activation = Activation::Reload;
    draft.origin = Text::clipped(origin);
    Ok(draft)
}

/// The legacy program as a release.
/// # Errors
/// When it cannot be read.
pub(super) fn legacy_service(program: &Path) -> anyhow::Result<(Draft, Vec<SourceFile>)> {
    let component = ComponentId::new("legacy-sensor")?;
    let kind = ComponentKind::Service;
    let mut draft = Draft::new(legacy_vendor()?, component, Version(1), kind);
    draft.exec = vec!["legacy-sensor".to_owned(), "{content:legacy-content}".to_owned()];
    draft.origin = Text::clipped("examples/legacy-vendor, deliberately broken");
    let bytes = std::fs::read(program).with_context(|| format!("read {}", program.display()))?;
    let file = SourceFile { path: "legacy-sensor".to_owned(), bytes, executable: true };
    Ok((draft, vec![file]))
}

/// Content of the legacy service, by the name of its file in `examples/legacy-vendor/content`.
/// # Errors
/// Never: the names are plain.
pub(super) fn legacy_content(
    version: u32,
    name: &str,
    seconds: u64,
) -> anyhow::Result<(Draft, Vec<SourceFile>)> {
    let component = ComponentId::new("legacy-content")?;
    let kind = ComponentKind::Content;
    let mut draft = Draft::new(legacy_vendor()?, component, Version(version), kind);
    draft.consumer = Some(ComponentId::new("legacy-sensor")?);
    draft.hooks.validate = Some(present("channel.txt"));
    let text = CONTENT.iter().find(|(file, _)| *file == name).map_or("", |(_, text)| *text);
    let text = text.replace("SECONDS", &seconds.to_string());
    Ok((draft, vec![file("channel.txt", text.into_bytes())]))
}

/// Which content has that fault, and its seconds.
pub(super) fn fault_content(fault: Fault) -> (&'static str, u64) {
    match fault {
        Fault::None => ("good.txt", 0),
        Fault::Crash => ("crash.txt", 0),
        Fault::Hang => ("hang.txt", 0),
        Fault::Late(seconds) => ("late.txt", seconds),
        Fault::Probe => ("probe.txt", 0),
    }
}

/// Builds the legacy program with the machine's own C compiler; static where the C library allows.
/// # Errors
/// What to install, or the compiler's words.
pub(super) async fn build_legacy(folder: &Path) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let (source, program) = (folder.join("legacy.c"), folder.join("legacy-sensor"));
    std::fs::write(&source, LEGACY_SOURCE)?;
    let mut words = String::new();
    for link in ["-static", "-O0"] {
        let built = tokio::process::Command::new("cc")
            .args(["-O0", "-s", link, "-o"])
            .arg(&program)
            .arg(&source)
            .output()
            .await
            .context("run the C compiler cc (Debian: apt-get install gcc libc6-dev)")?;
        if built.status.success() {
            return Ok(program);
        }
        words = String::from_utf8_lossy(&built.stderr).into_owned();
    }
    anyhow::bail!("build legacy.c: {}", words.lines().next().unwrap_or("cc failed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_rules_load_and_one_of_them_knows_a_command() {
        let files = OWN_RULES.map(|(name, text)| file(name, text.as_bytes().to_vec()));
        let loaded = andon_content::preflight::validate(
            files.iter().map(|file| (file.path.as_str(), file.bytes.as_slice())),
        );
        assert_eq!(loaded.unwrap().counts.active, 8);
        assert!(marked_command(&files).is_some());
    }

    #[test]
    fn every_fault_has_content_of_its_own() {
        for fault in [Fault::None, Fault::Crash, Fault::Hang, Fault::Late(5), Fault::Probe] {
            let (name, seconds) = fault_content(fault);
            let (_, files) = legacy_content(2, name, seconds).unwrap();
            assert!(files[0].bytes.starts_with(b"#"), "{name}");
            assert!(!String::from_utf8_lossy(&files[0].bytes).contains("SECONDS"));
        }
    }
}
