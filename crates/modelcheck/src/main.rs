//! Explores further than a test has time for, prints what it found, fails if anything is broken.
use andon_modelcheck::explore::explore;
use andon_modelcheck::{Limits, Safeguards};
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;

const BASE: Limits = Limits {
    hosts: 210,
    played: 4,
    looks: 4,
    approvals: 3,
    acts: 2,
    leases: 2,
    crashes: 1,
    edges: 0,
    interleaved: false,
};

fn main() -> ExitCode {
    let runs = [
        ("leaders at length, hosts last", Limits { acts: 2, leases: 3, crashes: 2, ..BASE }),
        (
            "two edges that lag, hosts last",
            Limits { hosts: 42, edges: 2, looks: 2, approvals: 2, leases: 1, crashes: 0, ..BASE },
        ),
        (
            "everything interleaved",
            Limits { hosts: 42, looks: 1, approvals: 2, acts: 1, interleaved: true, ..BASE },
        ),
    ];
    let mut out = std::io::stdout();
    let mut well = true;
    for (name, limits) in runs {
        let began = Instant::now();
        let found = explore(limits, Safeguards::ALL);
        let seconds = began.elapsed().as_secs_f64();
        // What must be reachable is asked where there are looks enough to complete.
        well &= found.broken.is_empty() && (limits.looks < BASE.looks || found.missing.is_empty());
        let _closed_pipe = writeln!(out, "{name}: {found}\n  {limits:?}\n  {seconds:.1} s");
    }
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
