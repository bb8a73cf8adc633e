//! The command line of andon-supervisor. See the library for what it does.
use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "\
usage: andon-supervisor --config host.toml

Starts, watches, updates and, where one crashes, falls back the components of this host.
exit: 0 asked to stop, 1 failed, 2 wrong command line or configuration
";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let path = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--config", path] => PathBuf::from(path),
        ["--help" | "-h"] => {
            eprint!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("andon-supervisor: --config FILE is needed\n{HELP}");
            return ExitCode::from(2);
        }
    };
    let config = match andon_supervisor::config::Config::read(&path) {
        Ok(config) => config,
        Err(wrong) => {
            eprintln!("andon-supervisor: {}", andon_supervisor::told(&wrong));
            return ExitCode::from(2);
        }
    };
    match andon_supervisor::run(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            eprintln!("andon-supervisor: {}", andon_supervisor::told(&failed));
            ExitCode::FAILURE
        }
    }
}
