//! What the guard does to the host: records, modules, allow files, words on the console.
use crate::disk::{Manifests, State};
use crate::revoked::Revoked;
use andon_host::boot::{Member, RecordOf, Report, Shell, Step};
use andon_host::storage::COPY_BYTES;
use andon_model::Digest;
use andon_model::digest::Digesting;
use andon_model::id::ComponentId;
use andon_model::release::{ComponentKind, Manifest};
use std::ffi::CString;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Largest file that is hashed before it is loaded, bytes: modules and contents of boot are smaller, and
/// the boot waits.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Of a file's bytes, and how many there are; at most one more than the limit is read, little at a time.
fn digest_of(path: &Path, limit: u64) -> std::io::Result<(Digest, u64)> {
    let mut file = File::open(path)?.take(limit.saturating_add(1));
    let (mut digest, mut length, mut chunk) = (Digesting::default(), 0, [0; 16 * 1024]);
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok((digest.done(), length)),
            count => {
                digest.take(chunk.get(..count).unwrap_or_default());
                length += count as u64;
            }
        }
    }
}

/// A host that boots.
pub(crate) struct Booting<'b> {
    pub(crate) state: &'b State,
    pub(crate) run: &'b Path,
    pub(crate) manifests: &'b Manifests,
    pub(crate) revoked: &'b Revoked,
    pub(crate) said: Vec<String>,
}

impl Shell for Booting<'_> {
    fn save(&mut self, of: RecordOf<'_>, copy: &[u8; COPY_BYTES]) -> Result<(), String> {
        self.state.save(of, copy)
    }

    fn load(&mut self, step: &Step) -> Result<(), String> {
        for member in &step.members {
            self.whole(member)?;
        }
        let (manifest, folder) = self.kmod(step)?;
        let (entry, _) = manifest.module().ok_or("its release has no module")?;
        let path = folder.join(&entry.path);
        let failed = |why: std::io::Error| format!("{}: {why}", path.display());
        let module = File::open(&path).map_err(failed)?;
        if let Some(serial) = self.revoked.names(&module).map_err(failed)? {
            return Err(format!(
                "the platform has revoked the certificate that signed it (serial {serial})"
            ));
        }
        let words = self.parameters(step, manifest)?;
        let words = CString::new(words).map_err(|_| "a parameter has a zero byte")?;
        rustix::system::finit_module(&module, &words, 0).map_err(|why| failed(why.into()))
    }

    fn allow(&mut self, unit: &ComponentId) {
        let folder = self.run.join("allow");
        let made = std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::write(folder.join(unit.as_str()), b""));
        if let Err(why) = made {
            self.say(&format!("{unit}: stays off: {}: {why}", folder.display()));
        }
    }

    fn report(&mut self, report: &Report) {
        self.say(&report.to_string());
    }
}

impl Booting<'_> {
    pub(crate) fn say(&mut self, words: &str) {
        crate::say(words);
        self.said.push(words.to_owned());
    }

    fn manifest(&self, member: &Member) -> Result<&Manifest, String> {
        let key = (member.component.clone(), member.slot.name());
        match self.manifests.get(&key) {
            Some((digest, manifest)) if *digest == member.release => Ok(manifest),
            Some(_) => Err(format!(
                "slot {} of {} holds another release",
                member.slot.name(),
                member.component
            )),
            None => {
                Err(format!("slot {} of {} has no manifest", member.slot.name(), member.component))
            }
        }
    }

    fn files(&self, member: &Member) -> PathBuf {
        self.state.slot(&member.component, member.slot).join("files")
    }

    /// Every byte is what was signed: a file that a crash has torn is not given to the kernel.
    fn whole(&self, member: &Member) -> Result<(), String> {
        for entry in &self.manifest(member)?.files {
            let path = self.files(member).join(&entry.path);
            let whole = digest_of(&path, entry.length.min(FILE_BYTES_MAX));
            let (digest, length) = whole.map_err(|why| format!("{}: {why}", path.display()))?;
            if length != entry.length || digest != entry.digest {
                return Err(format!("{} is not what its release says", path.display()));
            }
        }
        Ok(())
    }

    fn kmod(&self, step: &Step) -> Result<(&Manifest, PathBuf), String> {
        for member in &step.members {
            let manifest = self.manifest(member)?;
            if manifest.kind == ComponentKind::Kmod {
                return Ok((manifest, self.files(member)));
            }
        }
        Err("its module is not installed".to_owned())
    }

    /// The module's parameters, with the folders of its contents put in.
    fn parameters(&self, step: &Step, manifest: &Manifest) -> Result<String, String> {
        let mut words = manifest.exec.join(" ");
        for member in &step.members {
            let name = format!("{{content:{}}}", member.component);
            words = words.replace(&name, &self.files(member).to_string_lossy());
        }
        match words.contains("{content:") {
            true => Err(format!("a content that it reads is not installed: {words}")),
            false => Ok(words),
        }
    }
}
