//! One boot of one machine: QEMU from its start until the host is up, has gone down, or its power is cut.
use crate::kit::Kit;
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Longest boot: a machine in translation, beside another one, on a busy host.
const BOOT_MAX: Duration = Duration::from_secs(150);

/// How a machine is put together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Build {
    /// with the guard; else an agent that loads the newest content
    pub(crate) guard: bool,
    /// the firmware keeps the kernel's last words
    pub(crate) pstore: bool,
    /// the host's loopback is at 10.0.2.2
    pub(crate) network: bool,
    /// the vendor's certificate is revoked
    pub(crate) revoked: bool,
}

/// When the power is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// counted from the first program's start, where the guard works; else from switching on
    pub(crate) in_userspace: bool,
    pub(crate) wait: Duration,
}

/// How a boot ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// the host went down by itself
    Down,
    /// it is up
    Up,
    /// its power was cut
    Cut,
    /// neither up nor down in time
    Late,
}

/// A machine: its disk and firmware outlive its boots.
#[derive(Debug)]
pub(crate) struct Vm<'k> {
    kit: &'k Kit,
    pub(crate) folder: PathBuf,
    build: Build,
    boots: u32,
}

struct Running(Child);

impl Drop for Running {
    /// The power goes: nothing is flushed, nobody is asked.
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

impl<'k> Vm<'k> {
    /// A machine with this disk image in a folder of its own.
    pub(crate) fn new(kit: &'k Kit, folder: &Path, build: Build) -> Result<Vm<'k>> {
        let from = if build.revoked { &kit.vars_revoked } else { &kit.vars };
        std::fs::copy(from, folder.join("vars.fd")).context("copy the firmware's variables")?;
        Ok(Vm { kit, folder: folder.to_owned(), build, boots: 0 })
    }

    pub(crate) fn log(&self, boot: u32) -> PathBuf {
        self.folder.join(format!("boot-{boot:02}.log"))
    }

    pub(crate) fn boots(&self) -> u32 {
        self.boots
    }

    /// Boots, with the power cut at an instant if at all.
    pub(crate) fn boot(&mut self, cut: Option<Cut>) -> Result<Ended> {
        self.boots += 1;
        let log = self.log(self.boots);
        let began = Instant::now();
        let mut userspace = None;
        let mut running = Running(self.start(&log)?);
        loop {
            let gone = running.0.try_wait().context("wait for QEMU")?.is_some();
            let text = std::fs::read(&log).unwrap_or_default();
            if contains(&text, b"july19: host is up") {
                return Ok(Ended::Up);
            }
            if gone {
                return Ok(Ended::Down);
            }
            if userspace.is_none() && contains(&text, b"july19: userspace at") {
                userspace = Some(Instant::now());
            }
            let from = |cut: Cut| if cut.in_userspace { userspace } else { Some(began) };
            let due = |cut| from(cut).is_some_and(|from| from.elapsed() >= cut.wait);
            if cut.is_some_and(due) {
                return Ok(Ended::Cut);
            }
            if began.elapsed() > BOOT_MAX {
                return Ok(Ended::Late);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn start(&self, log: &Path) -> Result<Child> {
        let _old = std::fs::remove_file(log);
        let mut words = "console=ttyS0 panic=1 oops=panic softlockup_panic=1 watchdog_thresh=1 \
            module.sig_enforce=1 pstore.kmsg_bytes=6144"
            .to_owned();
        let flags = [
            (self.build.guard, " july19.guard"),
            (self.build.pstore, " july19.pstore"),
            (self.build.network, " july19.net"),
        ];
        for (_, word) in flags.iter().filter(|(on, _)| *on) {
            words.push_str(word);
        }
        let drive = |path: &Path, rest: &str| format!("file={},format=raw,{rest}", path.display());
        // However the harness ends, the kernel ends the machine with it.
        let mut qemu = Command::new("setpriv");
        qemu.args(["--pdeathsig", "KILL", "--", "qemu-system-x86_64"]);
        qemu.args(["-accel", "tcg", "-M", "q35", "-m", "256", "-smp", "1"]);
        qemu.args(["-nodefaults", "-display", "none", "-monitor", "none", "-no-reboot"]);
        qemu.arg("-drive").arg(drive(&self.kit.firmware, "if=pflash,readonly=on"));
        qemu.arg("-drive").arg(drive(&self.folder.join("vars.fd"), "if=pflash"));
        qemu.arg("-drive").arg(drive(&self.folder.join("disk.img"), "if=virtio"));
        if self.build.network {
            qemu.args(["-netdev", "user,id=n", "-device", "virtio-net-pci,netdev=n,romfile="]);
        }
        qemu.arg("-kernel").arg(&self.kit.kernel).arg("-initrd").arg(&self.kit.initrd);
        qemu.arg("-append").arg(words);
        qemu.arg("-serial").arg(format!("file:{}", log.display()));
        let said = std::fs::File::create(self.folder.join("qemu.err"))?;
        let child = qemu.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said).spawn();
        child.context("start setpriv (util-linux) with qemu-system-x86_64")
    }
}

fn contains(text: &[u8], words: &[u8]) -> bool {
    text.windows(words.len()).any(|part| part == words)
}
