//! The bell: a long poll that says that something new exists, never what. Losing it costs time only.
use super::Say;
use crate::http::{Fetch, Http};
use andon_model::LineId;
use andon_model::handover::FromCheck;
use andon_model::index::Bell;
use andon_model::limits::BELL_WAIT_MAX;
use std::io;
use std::time::Duration;

/// Largest answer of the bell, bytes: one number in JSON.
const BELL_BYTES_MAX: usize = 256;
/// Shortest and longest pause after an answer that brought nothing new or no answer at all.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// `EX_TEMPFAIL`: the supervisor starts us again.
const START_AGAIN: i32 = 75;

/// Listens for ever.
pub(super) fn listen(mut http: Http, line: &LineId, say: &Say) {
    let mut heard = 0;
    let mut pause = PAUSE_MIN;
    loop {
        let path = format!("/v1/lines/{line}/bell?since={heard}");
        let rung = http
            .wait(&path, BELL_WAIT_MAX.std(), BELL_BYTES_MAX)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<Bell>(&bytes).ok());
        match rung {
            Some(bell) if bell.version > heard => {
                heard = bell.version;
                pause = PAUSE_MIN;
                say.say(&FromCheck::Bell { version: heard });
            }
            // the wait ran out; a server that does not wait must not be asked in a tight loop
            Some(_) => {
                pause = PAUSE_MIN;
                std::thread::sleep(pause);
            }
            None => {
                leave_if_names_are_out_of_reach();
                std::thread::sleep(pause);
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

/// The sandbox allows the resolver's file as it was at the start. Where it has been replaced since,
/// only a new start can reach it.
fn leave_if_names_are_out_of_reach() {
    if let Err(failed) = std::fs::File::open("/etc/resolv.conf")
        && failed.kind() == io::ErrorKind::PermissionDenied
    {
        eprintln!("andon-check: /etc/resolv.conf was replaced; asking to be started again");
        std::process::exit(START_AGAIN);
    }
}
