//! `cargo xtask`, called by `./x`: reads the verb, runs it, maps the error to an exit code.
#![forbid(unsafe_code)]
use std::process::ExitCode;

const HELP: &str = "\
xtask test            everything CI checks; the summary comes last
xtask tidy            the house rules alone
xtask mutants [NAME]  remove one safeguard at a time; its test must fail
xtask fuzz [TARGET]   libFuzzer over fuzz/corpus; --seconds N each, --input FILE once
xtask bench           the figures of docs/benchmarks.md, measured here";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let root = xtask::root();
    let outcome = match words.as_slice() {
        ["test", rest @ ..] => xtask::steps::test(&root, rest),
        ["tidy"] => xtask::tidy::report(&root),
        ["mutants", names @ ..] => xtask::mutants::report(&root, names),
        ["fuzz", rest @ ..] => xtask::fuzz::report(&root, rest),
        ["bench", rest @ ..] => xtask::steps::bench(&root, rest),
        ["help" | "--help" | "-h"] | [] => {
            eprintln!("{HELP}");
            return ExitCode::SUCCESS;
        }
        [other, ..] => {
            eprintln!("xtask: unknown verb {other}\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::from(2)
        }
    }
}
