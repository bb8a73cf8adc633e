//! The command line of andon-check, started by the supervisor. See the library for what it does.
use andon_check::{http, sandbox, serve, store};
use std::path::PathBuf;
use std::process::ExitCode;

const HELP: &str = "\
usage: andon-check --server URL --anchor FILE --state DIR

Speaks JSON lines with andon-supervisor over standard input and output; not meant to be typed.
exit: 0 standard input ended, 1 failed, 2 wrong command line, 75 start me again
";

struct Options {
    server: String,
    anchor: PathBuf,
    state: PathBuf,
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Options, String> {
    let (mut server, mut anchor, mut state) = (None, None, None);
    while let Some(word) = words.next() {
        let place = match word.as_str() {
            "--server" => &mut server,
            "--anchor" => &mut anchor,
            "--state" => &mut state,
            other => return Err(format!("unknown word {other:?}")),
        };
        *place = Some(words.next().ok_or(format!("{word} needs a value"))?);
    }
    let need = |value: Option<String>, name| value.ok_or(format!("{name} is missing"));
    Ok(Options {
        server: need(server, "--server")?,
        anchor: need(anchor, "--anchor")?.into(),
        state: need(state, "--state")?.into(),
    })
}

fn run(options: &Options) -> Result<(), String> {
    let told = |error: &dyn std::error::Error| http::chain(error);
    let base = http::Base::parse(&options.server).map_err(|e| told(&e))?;
    let anchor = store::read_anchor(&options.anchor).map_err(|e| told(&e))?;
    let folders = store::Folders::create(&options.state).map_err(|e| told(&e))?;
    let lacking = sandbox::enter(&[&folders.inbox, &folders.own], base.port());
    serve::serve(serve::Setup { base, anchor, folders, lacking }).map_err(|e| told(&e))
}

fn main() -> ExitCode {
    let options = match parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(wrong) => {
            eprint!("andon-check: {wrong}\n{HELP}");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            eprintln!("andon-check: {failed}");
            ExitCode::FAILURE
        }
    }
}
