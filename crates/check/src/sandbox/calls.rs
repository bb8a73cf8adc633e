//! The system calls that are left: a list of what is needed, everything else answers EPERM. EPERM
//! rather than a kill, so that a C library that tries something new loses a feature, not the host
//! its updates.
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};
use std::collections::BTreeMap;

/// Why the filter could not be made or put in force.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallsError {
    #[error("no filter for this architecture")]
    Architecture,
    #[error("build filter")]
    Build(#[source] seccompiler::BackendError),
    #[error("apply filter")]
    Apply(#[source] seccompiler::Error),
}

/// Files below the folders that Landlock leaves, memory, threads, clocks, and client sockets.
const ALLOWED: &[i64] = &[
    // descriptors and files
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_close,
    libc::SYS_lseek,
    libc::SYS_fcntl,
    libc::SYS_dup,
    libc::SYS_openat,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat,
    libc::SYS_renameat2,
    libc::SYS_fchmod,
    libc::SYS_ftruncate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    // memory
    libc::SYS_brk,
    libc::SYS_mmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_madvise,
    // threads, time, randomness, ending
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sigaltstack,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_restart_syscall,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_uname,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_clone3, // answered by a filter of its own
    // client sockets
    libc::SYS_connect,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_setsockopt,
    libc::SYS_getsockopt,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_shutdown,
    libc::SYS_ppoll,
];

/// Calls that only this architecture still has.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[i64] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_poll,
    libc::SYS_time,
];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[i64] = &[];

/// `PR_SET_VMA`: the C library names its heaps with it.
const PR_SET_VMA: u64 = 0x5356_4d41;

/// Puts the filter in force for this thread and all it will start.
pub(super) fn restrict() -> Result<(), CallsError> {
    // the list goes last: it does not allow the call that adds filters
    let filters = [clone3_is_unknown()?, list()?];
    filters.iter().try_for_each(|filter| apply_filter(filter).map_err(CallsError::Apply))
}

fn list() -> Result<BpfProgram, CallsError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().chain(ALLOWED_HERE).map(|call| (*call, Vec::new())).collect();
    let families = [libc::AF_INET, libc::AF_INET6];
    rules.insert(libc::SYS_socket, any_of(0, families.map(|family| family.unsigned_abs().into()))?);
    let names = [libc::PR_SET_NAME.unsigned_abs().into(), PR_SET_VMA];
    rules.insert(libc::SYS_prctl, any_of(0, names)?);
    // FIONBIO: non-blocking sockets; FIONREAD: the resolver asks how much waits
    rules.insert(libc::SYS_ioctl, any_of(1, [libc::FIONBIO, libc::FIONREAD])?);
    // threads, never processes
    let thread = libc::CLONE_THREAD.unsigned_abs().into();
    let clone = condition(0, SeccompCmpOp::MaskedEq(thread), thread)?;
    rules.insert(libc::SYS_clone, vec![rule(clone)?]);
    build(rules, SeccompAction::Errno(errno(libc::EPERM)), SeccompAction::Allow)
}

/// clone3's flags lie in memory where a filter cannot look; ENOSYS makes the C library use clone.
fn clone3_is_unknown() -> Result<BpfProgram, CallsError> {
    let rules = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    build(rules, SeccompAction::Allow, SeccompAction::Errno(errno(libc::ENOSYS)))
}

fn build(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    listed: SeccompAction,
) -> Result<BpfProgram, CallsError> {
    let architecture = std::env::consts::ARCH.try_into().map_err(|_| CallsError::Architecture)?;
    let filter = SeccompFilter::new(rules, otherwise, listed, architecture);
    filter.and_then(TryInto::try_into).map_err(CallsError::Build)
}

fn any_of<const N: usize>(argument: u8, values: [u64; N]) -> Result<Vec<SeccompRule>, CallsError> {
    values.into_iter().map(|value| rule(condition(argument, SeccompCmpOp::Eq, value)?)).collect()
}

fn condition(
    argument: u8,
    operation: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, CallsError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operation, value)
        .map_err(CallsError::Build)
}

fn rule(condition: SeccompCondition) -> Result<SeccompRule, CallsError> {
    SeccompRule::new(vec![condition]).map_err(CallsError::Build)
}

fn errno(number: i32) -> u32 {
    number.unsigned_abs()
}
