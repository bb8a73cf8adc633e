//! The shards in which hosts find their stratum's ceiling, where a ticket only commits to its ceilings:
//! on the shelf before the ticket is, and there as long as a host may still hold that ticket.
//! What is in them is [`andon_model::ceilings`]'.
use crate::app::App;
use crate::deliver::Cache;
use crate::driver::line_path;
use andon_model::ceilings::{self, Shard};
use andon_model::ticket::Ticket;
use andon_model::{Digest, RolloutId};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

/// Roots of one rollout whose shards are kept: what is served now, and what hosts have just fetched.
const ROOTS_KEPT: usize = 2;

/// What is on the shelf below one folder, by rollout: roots with the number of their shards, newest last.
#[derive(Debug, Default)]
pub struct Shown {
    roots: BTreeMap<RolloutId, Vec<(Digest, u32)>>,
}

impl Shown {
    /// Puts the shards of a ticket there; `folder`: below the line's, empty or with a slash at its end.
    /// Nothing to do for a ticket that lists its ceilings, or whose shards are there.
    /// # Errors
    /// The disk's; the ticket must not be served then.
    pub async fn show(
        &mut self,
        app: &Arc<App>,
        folder: &str,
        ticket: &Ticket,
        shards: Vec<Shard>,
    ) -> io::Result<()> {
        let Some(signed) = ticket.committed else { return Ok(()) };
        let rollout = &ticket.rollout;
        let known = self.roots.get(rollout);
        if known.and_then(|roots| roots.last()).is_some_and(|(root, _)| *root == signed.root) {
            return Ok(());
        }
        let below = below(app, folder, rollout);
        let fresh = known.is_none().then(|| below.clone());
        let path = {
            let (app, folder, rollout) = (Arc::clone(app), folder.to_owned(), rollout.clone());
            move |root: &Digest, number: u32| {
                let path = ceilings::path(&rollout, root, number);
                line_path(&app, &format!("{folder}{path}"))
            }
        };
        let files: Vec<_> = shards
            .iter()
            .map(|shard| {
                let bytes = serde_json::to_vec(shard).unwrap_or_default();
                (path(&signed.root, shard.number), bytes)
            })
            .collect();
        let task = Arc::clone(app);
        let write = move || {
            // Whatever an earlier run of this server has left there.
            if let Some(folder) = fresh {
                task.shelf.remove_below(&folder);
            }
            files.into_iter().try_for_each(|(path, bytes)| {
                task.shelf.put(&path, bytes, Cache::Immutable).map(|_| ())
            })
        };
        let written = tokio::task::spawn_blocking(write).await;
        written.unwrap_or_else(|why| Err(io::Error::other(why)))?;
        let roots = self.roots.entry(rollout.clone()).or_default();
        roots.retain(|(root, _)| *root != signed.root);
        roots.push((signed.root, signed.shards));
        while roots.len() > ROOTS_KEPT {
            let (root, shards) = roots.remove(0);
            (0..shards).for_each(|number| app.shelf.remove(&path(&root, number)));
        }
        Ok(())
    }

    /// Takes away all shards of a rollout: its ticket is not served any more.
    pub fn take_away(&mut self, app: &App, folder: &str, rollout: &RolloutId) {
        if self.roots.remove(rollout).is_some() {
            app.shelf.remove_below(&below(app, folder, rollout));
        }
    }
}

/// The folder of one rollout's shards.
fn below(app: &App, folder: &str, rollout: &RolloutId) -> String {
    line_path(app, &format!("{folder}ceilings/{rollout}/"))
}
