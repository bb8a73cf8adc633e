//! The walls around a component on the bench: limits on memory, time, files and descriptors; Landlock for
//! files and TCP; a filter for system calls that open other sockets, leave the process group or touch the
//! machine. All are inherited and can never be undone. A kernel that lacks them tests nothing here.
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};
use rustix::process::{Resource, Rlimit, setrlimit};
use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};
use std::collections::BTreeMap;
use std::path::Path;

/// What every program needs to read and run: libraries, interpreters, names of users.
const READABLE: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/passwd",
    "/etc/group",
    "/etc/nsswitch.conf",
    "/etc/localtime",
    "/etc/os-release",
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
    "/proc/self",
];
const WRITABLE: &[&str] = &["/dev/null"];
/// Largest file that a component may write, bytes.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Most open files.
const FILES_MAX: u64 = 256;

/// Refused with EPERM: other sockets than local ones (see the filter), other process groups (a child that
/// left ours would outlive the bench), and what changes or watches the machine.
const REFUSED: &[i64] = &[
    libc::SYS_setsid,
    libc::SYS_setpgid,
    libc::SYS_io_uring_setup,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_open_by_handle_at,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_request_key,
    libc::SYS_kexec_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_acct,
    libc::SYS_quotactl,
];

/// Why the walls do not stand.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SandboxError {
    /// a limit
    #[error("limit {0}")]
    Limit(&'static str, #[source] rustix::io::Errno),
    /// files and TCP
    #[error("confine files with Landlock")]
    Files(#[from] RulesetError),
    /// there is no Landlock
    #[error("this kernel has no Landlock that confines files and TCP (Linux 6.7 or newer)")]
    NoLandlock,
    /// no filter for this architecture
    #[error("no filter of system calls for this architecture")]
    Architecture,
    /// the filter of system calls
    #[error("filter system calls")]
    Calls(#[source] seccompiler::Error),
    /// the same
    #[error("build filter of system calls")]
    Filter(#[from] seccompiler::BackendError),
}

/// What is allowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// address space, bytes
    pub(crate) memory: u64,
    /// time on the processor, seconds
    pub(crate) processor: u64,
}

/// Puts this process, and all that it will start, behind the walls. Call before any thread is started.
/// # Errors
/// [`SandboxError`]: then nothing may be run.
pub(crate) fn enter(limits: Limits, slot: &Path, state: &Path) -> Result<(), SandboxError> {
    let limit = |what, resource, most: u64| {
        let limit = Rlimit { current: Some(most), maximum: Some(most) };
        setrlimit(resource, limit).map_err(|why| SandboxError::Limit(what, why))
    };
    limit("memory", Resource::As, limits.memory)?;
    limit("processor time", Resource::Cpu, limits.processor)?;
    limit("files' size", Resource::Fsize, FILE_BYTES_MAX)?;
    limit("open files", Resource::Nofile, FILES_MAX)?;
    limit("core dumps", Resource::Core, 0)?;
    confine_files(slot, state)?;
    filter_calls()
}

fn confine_files(slot: &Path, state: &Path) -> Result<(), SandboxError> {
    let run: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::Execute;
    let device: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::WriteFile;
    let own = AccessFs::from_all(ABI::V5) & !BitFlags::from(AccessFs::Execute);
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V4))?
        .handle_access(AccessNet::from_all(ABI::V4))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V5))?
        .scope(Scope::from_all(ABI::V6))?
        .create()?
        .add_rules(path_beneath_rules(READABLE, run))?
        .add_rules(path_beneath_rules(WRITABLE, device))?
        .add_rules(path_beneath_rules([slot], run))?
        .add_rules(path_beneath_rules([state], own))?
        .restrict_self()?;
    match status.ruleset {
        RulesetStatus::NotEnforced => Err(SandboxError::NoLandlock),
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
    }
}

fn filter_calls() -> Result<(), SandboxError> {
    let local = libc::AF_UNIX.unsigned_abs().into();
    let other = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, local)?;
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        REFUSED.iter().map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_socket, vec![SeccompRule::new(vec![other])?]);
    let architecture = std::env::consts::ARCH.try_into().map_err(|_| SandboxError::Architecture)?;
    let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, architecture)?;
    let program: seccompiler::BpfProgram = filter.try_into()?;
    apply_filter(&program).map_err(SandboxError::Calls)
}
