//! Exit codes of `andon`: stable, for scripts. Only here a failure becomes a number.
//! It is not where failures are described: each module has its own error, and says what to do next.

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
    /// a public log holds a release that its vendor has not announced, or passes a vendor over
    Alarm = 7,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> std::process::ExitCode {
        std::process::ExitCode::from(exit as u8)
    }
}

/// The outer coat of an error: which code it ends with, and what to type next.
#[derive(Debug)]
pub(crate) struct Failure {
    /// the code
    pub(crate) exit: Exit,
    /// what went wrong, in full
    pub(crate) cause: anyhow::Error,
    /// what to do about it
    pub(crate) next: Option<String>,
}

impl Failure {
    /// The command line, or a file named by it, is wrong.
    pub(crate) fn usage(message: impl std::fmt::Display) -> Failure {
        Failure { exit: Exit::Usage, cause: anyhow::anyhow!("{message}"), next: None }
    }
    /// There is no such thing.
    pub(crate) fn not_found(message: impl std::fmt::Display) -> Failure {
        Failure { exit: Exit::NotFound, cause: anyhow::anyhow!("{message}"), next: None }
    }
    /// Adds what to do next, unless the cause itself already said something closer.
    #[must_use]
    pub(crate) fn next(mut self, next: impl Into<String>) -> Failure {
        self.next.get_or_insert_with(|| next.into());
        self
    }
}

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Failure {
        let cause: anyhow::Error = error.into();
        let (exit, next) = judge(&cause);
        Failure { exit, cause, next }
    }
}

/// What every command returns.
pub(crate) type Outcome = Result<Exit, Failure>;

/// The code and the advice that a known error carries somewhere in its chain.
fn judge(error: &anyhow::Error) -> (Exit, Option<String>) {
    for cause in error.chain() {
        if let Some(client) = cause.downcast_ref::<crate::client::ClientError>() {
            return (client.exit(), client.next());
        }
        if let Some(source) = cause.downcast_ref::<crate::sources::SourceError>() {
            return (Exit::Failed, source.next());
        }
    }
    (Exit::Failed, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_stay_what_scripts_know() {
        let codes = [
            (Exit::Ok, 0),
            (Exit::Failed, 1),
            (Exit::Usage, 2),
            (Exit::Refused, 3),
            (Exit::NotFound, 4),
            (Exit::Unreachable, 5),
            (Exit::Halted, 6),
        ];
        for (exit, code) in codes {
            assert_eq!(exit as u8, code, "{exit:?}");
        }
    }
}
