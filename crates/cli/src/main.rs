//! `andon`: what people type. This file only takes the command line apart and turns the outcome into
//! an exit code; commands are in `commands`, what they do in `ops`.
#![forbid(unsafe_code)]

mod args;
mod client;
mod clock;
mod commands;
mod context;
mod demo;
mod exit;
mod files;
mod fleet;
mod keys;
mod layout;
mod ops;
mod output;
mod own_folder;
mod policy_attestations;
mod policy_budgets;
mod policy_fast_lane;
mod policy_form;
mod policy_lines;
mod policy_log;
mod policy_override;
mod policy_rules;
mod rig;
mod sources;
mod span;
mod tuf;
mod witness;

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    // clap prints and exits by itself: 0 after --help and --version, 2 (Usage) otherwise.
    let cli = args::Cli::parse();
    let form = output::Form::of(cli.global.json);
    if let Some(outcome) = commands::before_threads(&cli) {
        return ended(form, outcome);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::note(format_args!("andon: start threads: {error}"));
            return exit::Exit::Failed.into();
        }
    };
    let outcome = runtime.block_on(commands::run(cli));
    ended(form, outcome)
}

fn ended(form: output::Form, outcome: exit::Outcome) -> ExitCode {
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output::failure(form, &failure);
            failure.exit.into()
        }
    }
}
