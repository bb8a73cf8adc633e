//! andon-sensor: sees programs start, judges them by rules, writes alerts.
//!
//! What it is: the part of the endpoint that is allowed to crash. It runs under the supervisor
//! (sd_notify words over `NOTIFY_SOCKET`), reads rules from a folder, and keeps nothing of value.
//! What it is not: it uses no network, downloads nothing and decides nothing about updates.
mod args;
mod canary;
mod notify;
mod proc_fs;
mod rules;
mod run;
mod sink;
mod source;
mod sys;
mod table;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|word| word == canary::WORD) {
        return ExitCode::SUCCESS;
    }
    let asked = match args::parse(&arguments) {
        Ok(args::Asked::Run(options)) => run::run(&options),
        Ok(args::Asked::Help) => {
            eprint!("{}", args::HELP);
            return ExitCode::SUCCESS;
        }
        Err(wrong) => {
            eprintln!("andon-sensor: {wrong}\n{}", args::HELP);
            return ExitCode::from(2);
        }
    };
    match asked {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            eprintln!("andon-sensor: {failed:#}");
            ExitCode::FAILURE
        }
    }
}
