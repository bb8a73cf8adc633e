//! What vendor lines have signed, passed on to this line's hosts: each checks for itself that the
//! vendor's line covers it too (`docs/spec/vendor-line.md` §5). Shown as it was verified and journalled,
//! to the byte; nothing is signed here.
use super::state::LineState;
use crate::app::{App, Core};
use crate::ceilings::Shown;
use crate::driver::{line_path, put, say};
use andon_model::envelope::Envelope;
use andon_model::index::{IndexVendorLine, IndexVendorTicket};
use andon_model::ticket::{Ceiling, Ticket};
use andon_model::{Digest, RolloutId, VendorId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is on the shelf.
#[derive(Debug, Default)]
pub struct Passed {
    lines: BTreeMap<VendorId, Line>,
    /// shards of ceilings that tickets of theirs commit to
    shown: BTreeMap<VendorId, Shown>,
}

/// One vendor line there, and of what it was made.
#[derive(Debug)]
struct Line {
    revision: u64,
    releases: BTreeSet<Digest>,
    listed: IndexVendorLine,
}

/// What is to be shown of one.
struct Wanted {
    vendor: VendorId,
    revision: u64,
    releases: BTreeSet<Digest>,
    policy: Envelope,
    seats: Option<Envelope>,
    tickets: Vec<WantedTicket>,
}

/// A ticket, and all its ceilings if it commits to them.
struct WantedTicket {
    rollout: RolloutId,
    release: Digest,
    envelope: Envelope,
    ceilings: Vec<Ceiling>,
}

impl Passed {
    /// Puts on the shelf what has changed, takes away what nobody needs, and says what there is for the
    /// index. `served`: rollouts of our own that have a ticket; other releases' tickets are no use.
    pub async fn show<'s>(
        &mut self,
        app: &Arc<App>,
        served: impl Iterator<Item = &'s RolloutId>,
    ) -> Vec<IndexVendorLine> {
        let (named, wanted) = {
            let core = app.core();
            let named = named(&core, app);
            (named.clone(), self.wanted(&core, named, served))
        };
        let gone: Vec<VendorId> =
            self.lines.keys().filter(|vendor| !named.contains(vendor)).cloned().collect();
        for vendor in gone {
            if let Some(line) = self.lines.remove(&vendor) {
                let tickets = line.listed.tickets.iter().map(|ticket| ticket.rollout.clone());
                self.take_away(app, &vendor, tickets);
                app.shelf.remove(&path(app, &vendor, "seats.json"));
                app.shelf.remove(&path(app, &vendor, "policy.json"));
            }
        }
        for line in wanted {
            let vendor = line.vendor.clone();
            match self.put(app, line).await {
                Ok(line) => {
                    self.lines.insert(vendor, line);
                }
                Err(why) => say(&format!("write what vendor line {vendor} has signed: {why}")),
            }
        }
        self.lines.values().map(|line| line.listed.clone()).collect()
    }

    fn wanted<'s>(
        &self,
        core: &Core,
        named: BTreeSet<VendorId>,
        served: impl Iterator<Item = &'s RolloutId>,
    ) -> Vec<Wanted> {
        let served = served.filter_map(|name| core.state.rollouts.get(name));
        let served: Vec<_> = served.map(|own| (&own.vendor, own.plan.release)).collect();
        let wanted = named.into_iter().filter_map(|vendor| {
            let line = core.state.lines.get(&andon_model::LineId::Vendor(vendor.clone()))?;
            let of = served.iter().filter(|(whose, _)| **whose == vendor);
            let releases: BTreeSet<Digest> = of.map(|(_, release)| *release).collect();
            let shown = self.lines.get(&vendor);
            let same = |shown: &Line| shown.revision == line.revision && shown.releases == releases;
            if shown.is_some_and(same) {
                return None;
            }
            wanted(vendor, line, releases)
        });
        wanted.collect()
    }

    async fn put(&mut self, app: &Arc<App>, wanted: Wanted) -> std::io::Result<Line> {
        let Wanted { vendor, revision, releases, policy, seats, tickets } = wanted;
        let policy = put(app, path(app, &vendor, "policy.json"), policy.to_bytes()).await?;
        let seats = match seats {
            Some(seats) => {
                Some(put(app, path(app, &vendor, "seats.json"), seats.to_bytes()).await?)
            }
            None => None,
        };
        let mut listed = IndexVendorLine { vendor, policy, seats, tickets: Vec::new() };
        for WantedTicket { rollout, release, envelope, ceilings } in tickets {
            self.show_ceilings(app, &listed.vendor, &envelope, &ceilings).await?;
            let path = path(app, &listed.vendor, &format!("tickets/{rollout}.json"));
            let digest = put(app, path, envelope.to_bytes()).await?;
            listed.tickets.push(IndexVendorTicket { rollout, release, digest });
        }
        let before = self.lines.get(&listed.vendor).map(|line| &line.listed.tickets);
        let gone = before.into_iter().flatten().map(|ticket| &ticket.rollout);
        let gone = gone.filter(|name| !listed.tickets.iter().any(|it| it.rollout == **name));
        let gone: Vec<_> = gone.cloned().collect();
        self.take_away(app, &listed.vendor, gone.into_iter());
        Ok(Line { revision, releases, listed })
    }

    /// The shards in which our hosts find their ceilings there, before the ticket that commits to them.
    async fn show_ceilings(
        &mut self,
        app: &Arc<App>,
        vendor: &VendorId,
        envelope: &Envelope,
        ceilings: &[Ceiling],
    ) -> std::io::Result<()> {
        if ceilings.is_empty() {
            return Ok(());
        }
        let unread = |why: &dyn std::fmt::Display| std::io::Error::other(why.to_string());
        let ticket = Ticket::parse(&envelope.payload).map_err(|why| unread(&why))?;
        let (_, shards) = andon_model::ceilings::commit(ceilings).map_err(|why| unread(&why))?;
        let shown = self.shown.entry(vendor.clone()).or_default();
        shown.show(app, &folder(vendor), &ticket, shards).await
    }

    fn take_away(
        &mut self,
        app: &App,
        vendor: &VendorId,
        tickets: impl Iterator<Item = RolloutId>,
    ) {
        for rollout in tickets {
            app.shelf.remove(&path(app, vendor, &format!("tickets/{rollout}.json")));
            if let Some(shown) = self.shown.get_mut(vendor) {
                shown.take_away(app, &folder(vendor), &rollout);
            }
        }
    }
}

/// The vendor lines that the policy in force names.
fn named(core: &Core, app: &App) -> BTreeSet<VendorId> {
    let policy = core.policy(app.now());
    let lines = policy.into_iter().flat_map(|policy| &policy.policy.vendor_lines);
    lines.map(|line| line.vendor.clone()).collect()
}

fn wanted(vendor: VendorId, line: &LineState, releases: BTreeSet<Digest>) -> Option<Wanted> {
    let policy = line.policy.as_ref()?.envelope.clone();
    let tickets = line.rollouts.iter().filter(|(_, of)| releases.contains(&of.plan.release));
    let tickets = tickets.filter_map(|(name, followed)| {
        Some(WantedTicket {
            rollout: name.clone(),
            release: followed.plan.release,
            envelope: followed.newest.clone()?,
            ceilings: followed.ceilings.clone(),
        })
    });
    let vouched = line.vouched.iter().filter(|(_, of)| releases.contains(&of.release));
    // It covers newcomers, and our hosts are newcomers to it: no ceiling matters.
    let vouched = vouched.map(|(name, of)| WantedTicket {
        rollout: name.clone(),
        release: of.release,
        envelope: of.ticket.clone(),
        ceilings: Vec::new(),
    });
    let (tickets, seats) = (tickets.chain(vouched).collect(), line.signed_seats.clone());
    Some(Wanted { vendor, revision: line.revision, releases, policy, seats, tickets })
}

fn path(app: &App, vendor: &VendorId, rest: &str) -> String {
    line_path(app, &format!("{}{rest}", folder(vendor)))
}

/// Below this line's own folder.
fn folder(vendor: &VendorId) -> String {
    format!("vendor/{vendor}/")
}
