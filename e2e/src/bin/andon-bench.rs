//! Measures the figures of docs/benchmarks.md on this machine. Everything is a real program on
//! loopback; client and server share the machine, so the ratio to a trivial request says more than
//! the figure alone.
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "its tables are what this program is for")]
use andon_e2e::host::{Caller, key};
use andon_e2e::http::Http;
use andon_e2e::line::Line;
use andon_e2e::server::Server;
use anyhow::{Context as _, Result, ensure};
use std::time::Instant;

/// Hosts that beat.
const HOSTS: u32 = 400;
/// Beats of each.
const BEATS: usize = 25;
/// Connections at the same time.
const CALLERS: usize = 8;

fn main() -> Result<()> {
    let line = Line::new()?;
    let server = Server::start(&line)?;
    let http = server.http();
    let began = Instant::now();
    let mut hosts = Vec::new();
    for number in 0..HOSTS {
        hosts.push(Caller::enrol(&http, &line.token, key(u64::from(number)))?);
    }
    let enrolled = per_second(u64::from(HOSTS), began);

    // signed before the clock runs: the cost of signing is the hosts', not the server's
    let mut beats: Vec<Vec<Vec<u8>>> = (0..CALLERS).map(|_| Vec::new()).collect();
    for _ in 0..BEATS {
        for (number, host) in hosts.iter_mut().enumerate() {
            let beat = host.beat();
            beats[number % CALLERS].push(host.seal(&beat).to_bytes());
        }
    }
    let trivial: Vec<Vec<()>> =
        (0..CALLERS).map(|_| vec![(); HOSTS as usize * BEATS / CALLERS]).collect();
    let health = rate(&http, &trivial, |http, ()| Ok(http.get("/healthz")?.well()))?;
    let taken = rate(&http, &beats, |http, body| Ok(http.post("/v1/beats", body)?.well()))?;

    println!("{:<44} {:>10}", "figure", "value");
    println!("{:<44} {enrolled:>10.0}", "enrolments per second, one after another");
    println!("{:<44} {health:>10.0}", "GET /healthz per second");
    println!("{:<44} {taken:>10.0}", "check-ins per second, verified and accepted");
    println!("{:<44} {:>10.2}", "check-ins as a share of GET /healthz", taken / health);
    println!("{:<44} {:>10.1}", "server's resident memory, MiB", resident(server.id())? / 1024.0);
    Ok(())
}

/// Requests per second over all callers; every one must be well.
fn rate<T: Sync>(
    http: &Http,
    work: &[Vec<T>],
    send: impl Fn(&Http, &T) -> Result<bool> + Sync,
) -> Result<f64> {
    let began = Instant::now();
    let well: Result<usize> = std::thread::scope(|scope| {
        let callers: Vec<_> = work
            .iter()
            .map(|part| {
                let (http, send) = (http.clone(), &send);
                scope.spawn(move || -> Result<usize> {
                    let mut well = 0;
                    for one in part {
                        well += usize::from(send(&http, one)?);
                    }
                    Ok(well)
                })
            })
            .collect();
        let ends = callers.into_iter().map(|c| c.join().ok().context("a caller panicked")?);
        ends.sum()
    });
    let asked: usize = work.iter().map(Vec::len).sum();
    let well = well?;
    ensure!(well == asked, "only {well} of {asked} requests were taken");
    Ok(per_second(asked as u64, began))
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^53")]
fn per_second(count: u64, began: Instant) -> f64 {
    count as f64 / began.elapsed().as_secs_f64()
}

/// Resident memory of a process in KiB.
fn resident(id: u32) -> Result<f64> {
    let path = format!("/proc/{id}/status");
    let text = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let word = line.and_then(|line| line.split_whitespace().next()).context("find VmRSS")?;
    word.parse().context("read VmRSS")
}
