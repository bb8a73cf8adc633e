//! What every case needs: a stock Debian kernel, the vendor's signed module, a firmware whose variable store
//! holds the vendor's certificate, and one initial file system. Made once, below `target/july19/kit`.
use anyhow::{Context as _, Result, bail, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Owner of the certificate in the variable store: any number does.
const OWNER: &str = "7d9c0000-0000-4000-8000-000000000001";
const FIRMWARE: &str = "/usr/share/OVMF";
/// In the order in which they are loaded: the kernel does not look for what is missing.
const MODULES: [&str; 11] = [
    "efivarfs",
    "efi-pstore",
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "virtio_blk",
    "failover",
    "net_failover",
    "virtio_net",
];

/// Files that all machines share.
#[derive(Debug)]
pub(crate) struct Kit {
    pub(crate) kernel: PathBuf,
    pub(crate) initrd: PathBuf,
    /// the vendor's module, signed
    pub(crate) module: Vec<u8>,
    /// variable store with the vendor's certificate
    pub(crate) vars: PathBuf,
    /// the same, and the certificate revoked in it
    pub(crate) vars_revoked: PathBuf,
    pub(crate) firmware: PathBuf,
}

/// Runs a program to its end; what it said is in the error.
pub(crate) fn run(command: &mut Command) -> Result<String> {
    let ended = command.output().with_context(|| format!("start {command:?}"))?;
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    ensure!(ended.status.success(), "{command:?} ends with {}: {said}", ended.status);
    Ok(String::from_utf8_lossy(&ended.stdout).into_owned())
}

/// A path as the report names it: from the checkout, the same on every machine.
pub(crate) fn from_checkout(path: &Path) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let below = root.and_then(|root| path.strip_prefix(root).ok()).unwrap_or(path);
    below.display().to_string()
}

impl Kit {
    pub(crate) fn make(root: &Path, guard: &Path) -> Result<Kit> {
        let folder = std::path::absolute(root.join("target/july19/kit"))?;
        std::fs::create_dir_all(&folder)?;
        let kernel = newest_kernel()?;
        let unpacked = packages(&folder, &kernel)?;
        let signed = signed_module(root, &folder, &unpacked, &kernel)?;
        let module = std::fs::read(&signed).context("read the signed module")?;
        let (vars, vars_revoked) = variables(&folder)?;
        let initrd = initial(root, &folder, &unpacked, &kernel, guard)?;
        let kernel = unpacked.join(format!("boot/vmlinuz-{kernel}"));
        let firmware = Path::new(FIRMWARE).join("OVMF_CODE_4M.fd");
        Ok(Kit { kernel, initrd, module, vars, vars_revoked, firmware })
    }
}

/// `6.1.0-56-cloud-amd64`: whatever Debian's cloud kernel is today.
fn newest_kernel() -> Result<String> {
    let ask = || run(Command::new("apt-cache").args(["depends", "linux-image-cloud-amd64"]));
    // A fresh container has no list of packages yet.
    let said = ask().or_else(|_| {
        run(Command::new("apt-get").args(["update", "-qq"]))?;
        ask()
    })?;
    let name = said.lines().find_map(|line| line.trim().strip_prefix("Depends: linux-image-"));
    let name = name.context("apt knows no linux-image-cloud-amd64: this needs Debian")?;
    Ok(name.to_owned())
}

fn packages(folder: &Path, kernel: &str) -> Result<PathBuf> {
    let unpacked = folder.join(kernel);
    if unpacked.join("complete").exists() {
        return Ok(unpacked);
    }
    let debs = folder.join("debs");
    for folder in [&debs, &unpacked] {
        std::fs::create_dir_all(folder)?;
    }
    let version = kernel.strip_suffix("-cloud-amd64").context("the kernel's name is unusual")?;
    let series = version.split('.').take(2).collect::<Vec<_>>().join(".");
    let compiler =
        run(Command::new("apt-cache").args(["depends", &format!("linux-headers-{kernel}")]))?;
    let compiler =
        compiler.lines().find_map(|line| line.trim().strip_prefix("Depends: linux-compiler-"));
    let mut download = Command::new("apt-get");
    download.current_dir(&debs).args(["download", "-qq"]).args([
        format!("linux-image-{kernel}"),
        format!("linux-headers-{kernel}"),
        format!("linux-headers-{version}-common"),
        format!("linux-kbuild-{series}"),
        format!("linux-compiler-{}", compiler.context("the headers name no compiler")?),
    ]);
    run(&mut download)?;
    for entry in std::fs::read_dir(&debs)? {
        run(Command::new("dpkg").arg("-x").arg(entry?.path()).arg(&unpacked))?;
    }
    // The headers name each other by where a package would lie.
    let makefile = unpacked.join(format!("usr/src/linux-headers-{kernel}/Makefile"));
    let text = std::fs::read_to_string(&makefile)?;
    let here = unpacked.join("usr/src").display().to_string();
    std::fs::write(&makefile, text.replace("/usr/src", &here))?;
    std::fs::write(unpacked.join("complete"), b"")?;
    Ok(unpacked)
}

/// Built against the kernel's headers and signed with a key that the platform vouches for.
fn signed_module(root: &Path, folder: &Path, unpacked: &Path, kernel: &str) -> Result<PathBuf> {
    let build = folder.join("module");
    std::fs::create_dir_all(&build)?;
    std::fs::copy(root.join("july19/guest/vendor_sensor.c"), build.join("vendor_sensor.c"))?;
    std::fs::write(build.join("Makefile"), "obj-m := vendor_sensor.o\n")?;
    let headers = unpacked.join(format!("usr/src/linux-headers-{kernel}"));
    let place = format!("M={}", build.display());
    run(Command::new("make").arg("-C").arg(&headers).args([&place, "modules"]))?;
    let key = folder.join("vendor.key");
    if !folder.join("vendor.der").exists() {
        let mut ask = Command::new("openssl");
        ask.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-sha256"]);
        ask.args(["-subj", "/CN=Example Security Inc, kernel code signing/"]);
        ask.args([
            "-addext",
            "extendedKeyUsage=codeSigning",
            "-addext",
            "keyUsage=digitalSignature",
        ]);
        ask.args(["-addext", "basicConstraints=CA:FALSE"]);
        run(ask.arg("-keyout").arg(&key).arg("-out").arg(folder.join("vendor.pem")))?;
        let mut der = Command::new("openssl");
        der.args(["x509", "-outform", "DER", "-in"]).arg(folder.join("vendor.pem"));
        run(der.arg("-out").arg(folder.join("vendor.der")))?;
    }
    let signed = folder.join("vendor_sensor.ko");
    std::fs::copy(build.join("vendor_sensor.ko"), &signed)?;
    let series = kernel.split('.').take(2).collect::<Vec<_>>().join(".");
    let tool = unpacked.join(format!("usr/lib/linux-kbuild-{series}/scripts/sign-file"));
    run(Command::new(tool).arg("sha256").arg(&key).arg(folder.join("vendor.der")).arg(&signed))?;
    Ok(signed)
}

fn variables(folder: &Path) -> Result<(PathBuf, PathBuf)> {
    let (venv, vars, revoked) =
        (folder.join("venv"), folder.join("vars.fd"), folder.join("vars-revoked.fd"));
    let tool = venv.join("bin/virt-fw-vars");
    if !tool.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        run(Command::new(venv.join("bin/pip")).args(["-q", "install", "virt-firmware==26.10"]))?;
    }
    let empty = Path::new(FIRMWARE).join("OVMF_VARS_4M.fd");
    for (out, lists) in [(&vars, &["--add-db"][..]), (&revoked, &["--add-db", "--add-dbx-cert"])] {
        let mut make = Command::new(&tool);
        make.arg("--input").arg(&empty).arg("--output").arg(out);
        for list in lists {
            make.args([list, OWNER]).arg(folder.join("vendor.pem"));
        }
        run(&mut make)?;
    }
    Ok((vars, revoked))
}

fn initial(
    root: &Path,
    folder: &Path,
    unpacked: &Path,
    kernel: &str,
    guard: &Path,
) -> Result<PathBuf> {
    let tree = folder.join("initrd");
    for name in ["bin", "proc", "sys", "dev", "run", "state", "modules"] {
        std::fs::create_dir_all(tree.join(name))?;
    }
    std::fs::copy("/bin/busybox", tree.join("bin/busybox"))
        .context("copy busybox (busybox-static)")?;
    std::fs::copy(root.join("july19/guest/init"), tree.join("init"))?;
    std::fs::copy(guard, tree.join("andon-guard"))
        .with_context(|| format!("copy {}", guard.display()))?;
    let modules = unpacked.join(format!("lib/modules/{kernel}/kernel"));
    for name in MODULES {
        let file = format!("{name}.ko");
        let found = run(Command::new("find").arg(&modules).args(["-name", &file]))?;
        let Some(path) = found.lines().next() else { bail!("the kernel has no module {file}") };
        std::fs::copy(path, tree.join("modules").join(&file))?;
    }
    let initrd = folder.join("initrd.gz");
    let pack =
        "chmod +x init andon-guard && find . | cpio --quiet -o -H newc | gzip -1 > ../initrd.gz";
    run(Command::new("sh").args(["-c", pack]).current_dir(&tree))?;
    Ok(initrd)
}
