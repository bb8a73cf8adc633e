//! The command line.
use std::path::PathBuf;

/// Shown on request and after a mistake.
pub(crate) const HELP: &str = "\
usage: andon-sensor --rules DIR [--alerts FILE] [--status FILE] [--source auto|ebpf|proc]

  --rules DIR     folder with Sigma rules; SIGHUP reads it again
  --alerts FILE   JSON lines, at most 16 MiB and one older file (default: standard output)
  --status FILE   JSON, replaced every second
  --source WHICH  ebpf: kernel programs; proc: process connector and /proc; auto: the first that works
exit: 0 asked to stop, 1 failed, 2 wrong command line
";

/// Where events may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SourceWish {
    /// eBPF, else the connector
    Auto,
    /// eBPF or fail
    Ebpf,
    /// the connector or fail
    Proc,
}

/// What to run with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) rules: PathBuf,
    pub(crate) alerts: Option<PathBuf>,
    pub(crate) status: Option<PathBuf>,
    pub(crate) source: SourceWish,
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Run(Options),
    Help,
}

/// Why the command line was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ArgsError {
    #[error("unknown word {0:?}")]
    Unknown(String),
    #[error("{0} needs a value")]
    NoValue(&'static str),
    #[error("--source {0:?} is none of auto, ebpf, proc")]
    Source(String),
    #[error("--rules DIR is missing")]
    NoRules,
}

/// Reads the words after the program's name.
pub(crate) fn parse(words: &[String]) -> Result<Asked, ArgsError> {
    let (mut rules, mut alerts, mut status, mut source) = (None, None, None, SourceWish::Auto);
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        let mut value = |name| rest.next().cloned().ok_or(ArgsError::NoValue(name));
        match word.as_str() {
            "--rules" => rules = Some(PathBuf::from(value("--rules")?)),
            "--alerts" => alerts = Some(PathBuf::from(value("--alerts")?)),
            "--status" => status = Some(PathBuf::from(value("--status")?)),
            "--source" => {
                source = match value("--source")?.as_str() {
                    "auto" => SourceWish::Auto,
                    "ebpf" => SourceWish::Ebpf,
                    "proc" => SourceWish::Proc,
                    other => return Err(ArgsError::Source(other.to_owned())),
                }
            }
            "--help" | "-h" => return Ok(Asked::Help),
            other => return Err(ArgsError::Unknown(other.to_owned())),
        }
    }
    let rules = rules.ok_or(ArgsError::NoRules)?;
    Ok(Asked::Run(Options { rules, alerts, status, source }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_command_line_is_refused_with_the_word_that_is_wrong() {
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let refused = |text| parse(&words(text)).unwrap_err();
        assert_eq!(refused(""), ArgsError::NoRules);
        assert_eq!(refused("--rules"), ArgsError::NoValue("--rules"));
        assert_eq!(refused("--rules d --source x"), ArgsError::Source("x".to_owned()));
        assert_eq!(refused("--rules d more"), ArgsError::Unknown("more".to_owned()));
        let Asked::Run(options) = parse(&words("--rules d --source proc")).unwrap() else {
            panic!("not run");
        };
        assert_eq!((options.rules, options.source), (PathBuf::from("d"), SourceWish::Proc));
    }
}
