//! Waiting for a condition of another process: the one place here that sleeps, between two looks.
use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// Looks until `look` gives something, at most for `limit`.
/// # Errors
/// When the limit has passed; the message names `what`.
pub fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> Result<T> {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if began.elapsed() > limit {
            bail!("waited {} s for {what}", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
