//! The tasks that attend to vendor lines, turn after turn, and how long they rest in between.
use super::client::{Member, Turn, TurnError};
use crate::api::in_words;
use crate::app::App;
use crate::config::VendorLineAt;
use crate::driver::say;
use andon_model::limits::BELL_WAIT_MAX;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Pause after a turn that failed: doubles from the first to the second.
const PAUSE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

/// Least time between two turns, whatever the line answers.
const SPACING: Duration = Duration::from_millis(20);

/// Attends to all configured vendor lines until the server closes.
pub async fn run(app: Arc<App>) {
    let mut lines = JoinSet::new();
    for at in &app.inputs.vendor_lines {
        lines.spawn(attend(Arc::clone(&app), at.clone()));
    }
    while lines.join_next().await.is_some() {}
}

async fn attend(app: Arc<App>, at: VendorLineAt) {
    let mut member = match Member::new(Arc::clone(&app), &at) {
        Ok(Some(member)) => member,
        Ok(None) => return,
        Err(why) => return say(&format!("vendor line {}: {}", at.vendor, in_words(&why))),
    };
    let mut closing = app.closing.subscribe();
    let mut said = String::new();
    let mut pause = PAUSE[0];
    loop {
        let turn = tokio::select! {
            _ = closing.wait_for(|closing| *closing) => return,
            turn = member.turn(BELL_WAIT_MAX) => turn,
        };
        let well = turn.is_ok();
        let rest = match turn {
            Ok(Turn::News) => SPACING,
            // A line that answers at once what it said before is not asked in a loop.
            Ok(Turn::Quiet) => app.inputs.tick.std(),
            Ok(Turn::NoConsent) => PAUSE[1],
            Err(TurnError::Store(_)) => return,
            Err(why) => {
                let words = in_words(&why);
                if said != words {
                    say(&format!("vendor line {}: {words}", at.vendor));
                    said = words;
                }
                pause
            }
        };
        pause = if well { PAUSE[0] } else { (pause * 2).min(PAUSE[1]) };
        tokio::select! {
            _ = closing.wait_for(|closing| *closing) => return,
            // A policy that names the line, or a release that may begin now, does not wait.
            () = member.woken(), if well => {}
            () = tokio::time::sleep(rest) => {}
        }
    }
}
