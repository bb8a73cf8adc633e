//! Exit codes of `andon`: stable, for scripts. Only here a failure becomes a number.

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// it worked
    Ok = 0,
    /// it failed: see standard error
    Failed = 1,
    /// the command line was wrong
    Usage = 2,
    /// the server or a policy refused
    Refused = 3,
    /// no such rollout, host, release
    NotFound = 4,
    /// the server did not answer
    Unreachable = 5,
    /// the rollout was halted, or a promise of the demo was broken
    Halted = 6,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> std::process::ExitCode {
        std::process::ExitCode::from(exit as u8)
    }
}
