//! What the command line asks for.
use crate::cases::CASES;
use anyhow::{Context as _, Result, bail};
use std::path::PathBuf;

const REPORT: &str = "july19-report.json";
const USAGE: &str = "./x july19 [--seed N] [--case NAME] [--report FILE]";

pub(crate) struct Args {
    pub(crate) guard: PathBuf,
    pub(crate) report: PathBuf,
    pub(crate) seed: u64,
    pub(crate) cases: Vec<&'static str>,
}

pub(crate) fn args() -> Result<Args> {
    let cases = CASES.map(|(name, _)| name).to_vec();
    let mut args = Args { guard: PathBuf::new(), report: REPORT.into(), seed: 19, cases };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("{word} needs a value; {USAGE}"));
        match word.as_str() {
            "--guard" => args.guard = PathBuf::from(value()?),
            "--report" => args.report = PathBuf::from(value()?),
            "--seed" => args.seed = value()?.parse().context("--seed is a number")?,
            "--case" => {
                let wanted = value()?;
                let known = CASES.iter().find(|(name, _)| *name == wanted);
                let names: Vec<&str> = CASES.iter().map(|(name, _)| *name).collect();
                args.cases = vec![
                    known
                        .with_context(|| {
                            format!("no case {wanted}; there are {}", names.join(", "))
                        })?
                        .0,
                ];
            }
            _ => bail!("{word} is unknown; {USAGE}"),
        }
    }
    Ok(args)
}
