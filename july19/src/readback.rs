//! What the host's disk says after its power was cut: the records, read out of the image from outside.
use crate::kit::{from_checkout, run};
use andon_host::boot_record::BootRecord;
use andon_host::machine::{Slot, SlotState};
use andon_host::record::{self, Record};
use andon_host::storage::FILE_BYTES;
use andon_model::id::ComponentId;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;

/// The host's own record in this machine's image; `None` when neither copy is whole.
pub(crate) fn boot_record(folder: &Path) -> Result<Option<BootRecord>> {
    let bytes = file(folder, "boot.record")?;
    Ok(bytes.as_slice().try_into().ok().and_then(BootRecord::newest))
}

/// The content's record.
pub(crate) fn rules(folder: &Path) -> Result<Record> {
    let name = ComponentId::new("vendor-rules").context("name a component")?;
    let bytes = file(folder, "records/vendor-rules")?;
    record::newest(&bytes, &name).with_context(|| format!("a record in {}", folder.display()))
}

/// Whether the host has left the new content for the old one, by its record.
pub(crate) fn fell_back(rules: &Record) -> bool {
    rules.machine.active() == Some(Slot::A) && rules.machine.slot(Slot::B) == SlotState::Bad
}

/// Both, as the report shows them.
pub(crate) fn shown(folder: &Path) -> Result<Value> {
    let rules = rules(folder)?;
    let boot = boot_record(folder)?.map(
        |it| json!({"boots": it.boots, "after_crash": it.crashes, "unexplained": it.unexplained}),
    );
    let image = from_checkout(&folder.join("disk.img"));
    let active = rules.machine.active().map(Slot::name);
    Ok(json!({"boot": boot, "active": active, "fell_back": fell_back(&rules), "image": image}))
}

/// As the next boot's mount would find it: out of a copy of the image whose journal is replayed. A record's
/// second copy lies in a hole of the file until it is first written; where it lies is in the journal then.
fn file(folder: &Path, name: &str) -> Result<Vec<u8>> {
    let (image, copy) = (folder.join("disk.img"), folder.join("read-back.img"));
    let out = folder.join("read-back");
    let _old = std::fs::remove_file(&out);
    std::fs::copy(&image, &copy).with_context(|| format!("copy {}", image.display()))?;
    let mut replay = Command::new("e2fsck");
    let said = replay.args(["-y", "-E", "journal_only"]).arg(&copy).output();
    let said = said.context("start e2fsck (e2fsprogs)")?;
    // 1: there was something to replay
    ensure!(matches!(said.status.code(), Some(0 | 1)), "{replay:?} ends with {}", said.status);
    run(Command::new("debugfs")
        .arg("-R")
        .arg(format!("dump /andon/{name} {}", out.display()))
        .arg(&copy))?;
    // debugfs ends with success even when there is no such file
    let bytes = std::fs::read(&out).with_context(|| format!("{name} in {}", image.display()))?;
    for done in [&out, &copy] {
        std::fs::remove_file(done).with_context(|| format!("remove {}", done.display()))?;
    }
    ensure!(bytes.len() == FILE_BYTES, "{name} in {}: {} bytes", image.display(), bytes.len());
    Ok(bytes)
}
