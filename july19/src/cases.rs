//! The cases: what lies on the disk, what the machine is, and what must come of it.
use crate::disk::{BAD, Content, Disk, GOOD, HANGS};
use crate::kit::{self, Kit};
use crate::recount::Boot;
use crate::serve::Line;
use crate::vm::{Build, Cut, Ended, Vm};
use crate::{judge, readback, story};
use anyhow::{Context as _, Result, ensure};
use rand::{RngExt as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A case's name in the report, what it is, and what a person reads about it.
pub(crate) const CASES: [(&str, &str); 13] = [
    ("without", "the same host without Andon"),
    ("with", "bad content, with Andon"),
    ("freeze_on_disk", "the vendor's freeze had reached the host"),
    ("freeze_on_network", "the freeze is on the network only"),
    ("no_network", "no network at all"),
    ("hang", "the content hangs the kernel"),
    ("both_bad", "the old content crashes too"),
    ("state_unreadable", "the guard's own record is spoiled"),
    ("no_evidence", "the kernel's last words are lost"),
    ("power_cuts", "power cut at ten random instants"),
    ("late_panic", "confirmed an hour ago, crashes now"),
    ("revoked_cert", "the platform has revoked the vendor's certificate"),
    ("lost_once", "a power cut while it runs well"),
];
/// Most boots of one machine: one that loops is stopped then.
const BOOTS_MAX: u32 = 8;

/// Machines that lose their power.
const CUTS: usize = 10;

/// How a case went.
pub(crate) struct Outcome {
    pub(crate) name: &'static str,
    pub(crate) value: Value,
    /// what it had to hold
    pub(crate) held: bool,
    pub(crate) story: Vec<String>,
}

/// One case's folder, machine and clock.
struct Play<'k> {
    vm: Vm<'k>,
    began: Instant,
    /// when the kernel first fell
    fell: Option<Instant>,
    /// boots by the host's own record, read out of its disk after each boot
    counted: Vec<Option<u32>>,
    story: Vec<String>,
}

impl<'k> Play<'k> {
    fn new(kit: &'k Kit, folder: &Path, build: Build) -> Result<Play<'k>> {
        Ok(Play {
            vm: Vm::new(kit, folder, build)?,
            began: Instant::now(),
            fell: None,
            counted: Vec::new(),
            story: Vec::new(),
        })
    }

    fn boot(&mut self, cut: Option<Cut>) -> Result<(Ended, Boot)> {
        let ended = self.vm.boot(cut)?;
        let boot = Boot::read(&self.vm.log(self.vm.boots()))?;
        if boot.panicked && self.fell.is_none() {
            self.fell = Some(Instant::now());
        }
        let record = readback::boot_record(&self.vm.folder)?;
        self.counted.push(record.map(|record| record.boots));
        let what = match (ended, boot.panicked) {
            (Ended::Up, _) if boot.sensor => "up, sensor runs",
            (Ended::Up, _) => "up, sensor is off",
            (Ended::Cut, _) => "power cut",
            (Ended::Down, true) => "kernel panic",
            (Ended::Down, false) => "went down",
            (Ended::Late, _) => "neither up nor down",
        };
        let at = self.began.elapsed().as_secs();
        self.story.push(format!("{at:4} s  boot {}: {what}", self.vm.boots()));
        let told = boot.said.iter().filter(|said| !said.starts_with("boot "));
        self.story.extend(told.map(|said| format!("          {}", story::shortened(said))));
        Ok((ended, boot))
    }

    /// Boots until the host is up, at most [`BOOTS_MAX`] times.
    fn until_up(&mut self) -> Result<()> {
        while self.vm.boots() < BOOTS_MAX {
            if self.boot(None)?.0 == Ended::Up {
                break;
            }
        }
        Ok(())
    }

    fn boots(&self) -> Result<Vec<Boot>> {
        (1..=self.vm.boots()).map(|boot| Boot::read(&self.vm.log(boot))).collect()
    }

    fn logs(&self) -> Vec<String> {
        (1..=self.vm.boots()).map(|boot| kit::from_checkout(&self.vm.log(boot))).collect()
    }
}

/// What is counted of a case, for every case alike.
fn counted(play: &Play<'_>) -> Result<(Value, Vec<Boot>)> {
    let boots = play.boots()?;
    let last = boots.last().cloned().unwrap_or_default();
    let crashes = boots.iter().filter(|boot| boot.panicked).count();
    // How long the guard itself takes; waiting for the network is bounded apart.
    let guard =
        boots.iter().filter_map(|boot| boot.guard_ms.map(|(took, network)| took - network)).max();
    let named = boots.iter().find_map(|boot| boot.said("charged (strong)"));
    let value = json!({
        "boots": boots.len(),
        "crashes": crashes,
        "recovered": last.recovered(),
        "host_up": last.up,
        "recovery_s": play.fell.filter(|_| last.recovered()).map(|fell| (fell.elapsed().as_secs_f64() * 10.0).round() / 10.0),
        "guard_ms_per_boot": guard,
        "guard_kib": boots.iter().filter_map(|boot| boot.guard_kib).max(),
        "named": named,
        "hands": u32::from(!last.up),
        "logs": play.logs(),
        "record": readback::shown(&play.vm.folder)?,
    });
    Ok((value, boots))
}

fn folder_of(root: &Path, name: &str) -> Result<PathBuf> {
    let folder = std::path::absolute(root.join("target/july19").join(name))?;
    let _old = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    Ok(folder)
}

const STAGED: Content = Content { old: GOOD, new: BAD, confirmed: false };
const GUARDED: Build = Build { guard: true, pstore: true, network: false, revoked: false };

pub(crate) fn play(kit: &Kit, root: &Path, name: &'static str, seed: u64) -> Result<Outcome> {
    let folder = folder_of(root, name)?;
    match name {
        "power_cuts" => return power_cuts(kit, &folder, seed),
        "revoked_cert" => return revoked(kit, &folder),
        "lost_once" => return lost_once(kit, &folder),
        _ => {}
    }
    let content = match name {
        "hang" => Content { new: HANGS, ..STAGED },
        "both_bad" => Content { old: BAD, ..STAGED },
        "late_panic" => Content { confirmed: true, ..STAGED },
        _ => STAGED,
    };
    let disk = Disk::lay_out(kit, &folder, content)?;
    if name == "freeze_on_disk" {
        disk.knows(&disk.freeze()?)?;
    }
    if name == "state_unreadable" {
        disk.spoil()?;
    }
    let line = (name == "freeze_on_network").then(|| Line::start(&disk.freeze()?)).transpose()?;
    let fetch = if line.is_some() { "always" } else { "after-charge" };
    let new = disk.image(fetch, line.as_ref().map(Line::port))?;
    let build = match name {
        "without" => Build { guard: false, ..GUARDED },
        "no_evidence" => Build { pstore: false, ..GUARDED },
        "freeze_on_network" => Build { network: true, ..GUARDED },
        _ => GUARDED,
    };
    let mut play = Play::new(kit, &folder, build)?;
    if name == "without" {
        for _ in 0..3 {
            play.boot(None)?;
        }
    } else {
        play.until_up()?;
    }
    let (mut value, boots) = counted(&play)?;
    let held = judge::held(name, &mut value, &boots, &new)?;
    Ok(Outcome { name, value, held, story: play.story })
}

/// The bad content again, with the power cut at an instant that the seed chooses, ten times: no boot that
/// the guard has counted is forgotten, and every host comes up in the end.
fn power_cuts(kit: &Kit, folder: &Path, seed: u64) -> Result<Outcome> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let (mut lost, mut undecided, mut story, mut logs) = (0, 0, Vec::new(), Vec::new());
    for run in 0..CUTS {
        let folder = folder.join(format!("run-{run}"));
        std::fs::create_dir_all(&folder)?;
        Disk::lay_out(kit, &folder, STAGED)?.image("never", None)?;
        let mut play = Play::new(kit, &folder, GUARDED)?;
        // Most cuts fall where the guard works, in the boot that crashes or the one that falls back.
        let in_userspace = random.random_range(0..4) > 0;
        let longest = if in_userspace { 3_000 } else { 16_000 };
        let cut =
            Cut { in_userspace, wait: Duration::from_millis(random.random_range(0..longest)) };
        let second = random.random_range(0..2) == 1;
        let from = if in_userspace { "the first program's start" } else { "switching on" };
        let wait = cut.wait.as_secs_f64();
        let boot = if second { 2 } else { 1 };
        story.push(format!("run {run}: boot {boot} loses power {wait:.2} s after {from}"));
        if second {
            play.boot(None)?;
        }
        play.boot(Some(cut))?;
        play.until_up()?;
        let (value, boots) = counted(&play)?;
        lost += judge::lost(&boots, &play.counted);
        let decided = value["recovered"] == true && value["record"]["fell_back"] == true;
        undecided += usize::from(!decided);
        story.extend(play.story.iter().map(|line| format!("  {line}")));
        logs.extend(play.logs());
    }
    let value = json!({"runs": CUTS, "lost": lost, "undecided": undecided, "logs": logs});
    Ok(Outcome { name: "power_cuts", value, held: lost == 0 && undecided == 0, story })
}

/// The kernel loads a module whose certificate is in the firmware's revocation list; the guard does not.
fn revoked(kit: &Kit, folder: &Path) -> Result<Outcome> {
    let content = Content { new: GOOD, ..STAGED };
    let mut loads = Vec::new();
    let (mut story, mut logs) = (Vec::new(), Vec::new());
    for guard in [false, true] {
        let folder = folder.join(if guard { "guard" } else { "kernel" });
        std::fs::create_dir_all(&folder)?;
        Disk::lay_out(kit, &folder, content)?.image("never", None)?;
        let mut play = Play::new(kit, &folder, Build { guard, revoked: true, ..GUARDED })?;
        let (ended, boot) = play.boot(None)?;
        ensure!(ended == Ended::Up, "the host is not up: {}", play.logs().join(" "));
        let said = boot.said("revoked the certificate").is_some();
        loads.push((boot.sensor, said));
        story.extend(play.story.iter().cloned());
        logs.extend(play.logs());
    }
    let [(kernel, _), (guard, said)] = loads.try_into().unwrap_or_default();
    let value = json!({"kernel_loads_it": kernel, "guard_loads_it": guard, "logs": logs});
    Ok(Outcome { name: "revoked_cert", value, held: kernel && !guard && said, story })
}

/// Power cuts of a host that runs well charge nothing, however many there are.
fn lost_once(kit: &Kit, folder: &Path) -> Result<Outcome> {
    let content = Content { new: GOOD, confirmed: true, ..STAGED };
    Disk::lay_out(kit, folder, content)?.image("never", None)?;
    let mut play = Play::new(kit, folder, GUARDED)?;
    for _ in 0..3 {
        play.boot(None)?;
    }
    let (value, boots) = counted(&play)?;
    let charged = boots.iter().any(|boot| boot.said("charged").is_some())
        || readback::rules(folder)?.machine.score() > 0;
    let held = value["recovered"] == true && !charged && judge::lost(&boots, &play.counted) == 0;
    Ok(Outcome { name: "lost_once", value, held, story: play.story })
}
