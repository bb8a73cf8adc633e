//! The only place that turns what the rollout core wants into effects. One task; it makes no choice.
//!
//! Its contract:
//! - it compares what the journal says is wanted with what is served, and does the difference; doing
//!   it twice changes nothing, so a restart simply begins again;
//! - a ticket is recorded durably before anybody can fetch it, and its decision before that;
//! - where the policy names gate verifiers, a ticket waits for them before any of that;
//! - a ticket that is not wanted any more (halt, freeze, replaced) leaves the index in the same pass;
//! - an effect that fails is told to the core, which holds;
//! - the shards of an explicit order are there before the first ticket that names it, and those of
//!   ceilings before each ticket that commits to them;
//! - everything listed is on disk and on the shelf before the index names it, and the index before
//!   the bell rings.
use crate::app::{App, Core, Kicks};
use crate::attested;
use crate::ceilings;
use crate::cosign::Waiting;
use crate::deliver::Cache;
use crate::group_order;
use crate::issue::{self, Next, Wanted};
use crate::member::Passed;
use crate::pooled;
use crate::record::Record;
use crate::rollout_state::{Place, RolloutState, Wish};
use crate::state::State;
use crate::stops;
use crate::store::StoreError;
use crate::tally;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::index::{Index, IndexTicket};
use andon_model::order::Commitment;
use andon_model::text::Text;
use andon_model::ticket::Ticket;
use andon_model::{Digest, Millis, RolloutId, Time};
use andon_rollout::{Event, HaltReason};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// How long the freeze that the server itself issues holds: long enough for a host that was away a
/// month; a person confirms or lifts it meanwhile.
pub const LINE_FREEZE_VALID: Millis = andon_model::limits::FREEZE_ALONE_MAX;
/// Pause after an effect that failed.
const RETRY_AFTER: Millis = Millis::from_secs(30);
/// How long a halted rollout is still observed: hosts that died whole come back and say why.
pub(crate) const AFTERWARDS: Millis = Millis::from_secs(3600);
/// Most rounds in one pass: one effect may make the next one due (ticket, completion), not more.
const ROUNDS_MAX: u32 = 16;

#[derive(Clone, Debug)]
struct Served {
    wanted: Wanted,
    digest: Digest,
    renew_at: Time,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Driver {
    app: Arc<App>,
    kicks: Kicks,
    served: BTreeMap<RolloutId, Served>,
    /// rollouts whose last effect failed, and until when nothing is tried for them
    paused: BTreeMap<RolloutId, Time>,
    /// confirmed and fallen back, as last told of rollouts that are over
    outcomes: BTreeMap<RolloutId, (u32, u32)>,
    /// what vendor lines have signed, for our hosts
    passed: Passed,
    /// shards of ceilings that tickets commit to
    shown: ceilings::Shown,
    index: Index,
}

/// One thing to do.
enum Job {
    Ticket { rollout: RolloutId, next: Next },
    Freeze { rollout: RolloutId, reason: HaltReason },
}

impl Driver {
    /// A driver that has served nothing yet. The index goes on from where `data` left it, so that
    /// its version never goes back.
    #[must_use]
    pub fn new(app: Arc<App>, kicks: Kicks) -> Driver {
        let file = app.inputs.data.join("static/v1").join(line_path(&app, "index.json"));
        let before = std::fs::read(file).ok().and_then(|bytes| Index::parse(&bytes).ok());
        let seq = app.core().state.seq;
        let version = before.map_or(0, |index| index.version).max(seq);
        let index = Index { version, ..Index::default() };
        Driver {
            app,
            kicks,
            served: BTreeMap::new(),
            paused: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            passed: Passed::default(),
            shown: ceilings::Shown::default(),
            index,
        }
    }

    /// Runs until the server closes or the journal stops.
    pub async fn run(mut self) {
        let mut tick = tokio::time::interval(self.app.inputs.tick.std());
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut closing = self.app.closing.subscribe();
        loop {
            tokio::select! {
                _ = closing.changed() => return,
                _ = tick.tick() => {
                    if self.tick().await.is_err() {
                        return;
                    }
                }
                kick = self.kicks.recv() => {
                    let Some(done) = kick else { return };
                    if self.reconcile().await.is_err() {
                        return;
                    }
                    let _ = done.send(());
                }
            }
        }
    }

    /// Answers calls while `work` runs; for tests, which own the ticks.
    /// # Errors
    /// [`StoreError`]: the server must restart.
    pub async fn during<T>(&mut self, work: impl Future<Output = T>) -> Result<T, StoreError> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                Some(done) = self.kicks.recv() => {
                    self.reconcile().await?;
                    let _ = done.send(());
                }
            }
        }
    }

    /// Observes the fleet once and does what follows.
    /// # Errors
    /// [`StoreError`]: the server must restart.
    pub async fn tick(&mut self) -> Result<(), StoreError> {
        let receipt = {
            let app = Arc::clone(&self.app);
            let mut core = app.core();
            let mut records = self.observations(&core, app.now());
            records.extend(pooled::round::look(&mut core, app.now()));
            records.extend(attested::failures(&core.state));
            if records.is_empty() { None } else { Some(app.stage(&mut core, &records)?) }
        };
        if let Some(receipt) = receipt {
            receipt.durable().await?;
        }
        self.renew_timestamp().await;
        self.reconcile().await
    }

    /// One observation per live rollout; of halted ones only what is new.
    fn observations(&mut self, core: &Core, now: Time) -> Vec<Record> {
        let mut records = Vec::new();
        let own_hosts = core.state.rollouts.values().filter(|rollout| rollout.members.is_none());
        for rollout in own_hosts {
            // Before the first ticket nothing is observed; a first wave that waits for a window of
            // its hosts is asked for again when one opens.
            let due = || rollout.machine.deadline().is_some_and(|at| at <= now);
            if rollout.waves.is_empty() && (rollout.exposure.is_some() || !due()) {
                continue;
            }
            let afterwards = rollout.halted()
                && rollout.ended.is_some_and(|ended| now.since(ended) <= AFTERWARDS)
                && !core.state.followed(rollout);
            if !rollout.live() && !afterwards {
                continue;
            }
            let heard = core.fleet.rows();
            let (seen, counted) = tally::observe_own(rollout, &core.state.hosts, heard, now);
            let name = rollout.plan.rollout.clone();
            let outcome = tally::outcome(&seen);
            let known = self.outcomes.insert(name.clone(), outcome) == Some(outcome);
            if rollout.live() || !counted.is_empty() || !known {
                let event = Event::Observed(seen);
                records.push(Record::Rollout { rollout: name, event, counted, approval: None });
            }
        }
        records
    }

    /// Does the difference between what is wanted and what is served.
    /// # Errors
    /// [`StoreError`]: the server must restart.
    pub async fn reconcile(&mut self) -> Result<(), StoreError> {
        for _ in 0..ROUNDS_MAX {
            // Whatever the jobs are derived from is durable before the first of them is done.
            let (jobs, receipt) = {
                let mut core = self.app.core();
                self.clear_desk(&mut core);
                (self.jobs(&core), self.app.stage(&mut core, &[])?)
            };
            receipt.durable().await?;
            if jobs.is_empty() {
                break;
            }
            for job in jobs {
                self.carry_out(job).await?;
            }
        }
        self.publish_index().await;
        pooled::bulletin::post(&self.app).await
    }

    /// Nobody cosigns what is not wanted any more: its rollout has halted, or is over.
    fn clear_desk(&self, core: &mut Core) {
        let now = self.app.now();
        let Core { state, desk, .. } = core;
        let rollouts = &state.rollouts;
        let wanted = |name: &RolloutId| {
            rollouts.get(name).is_some_and(|rollout| wants_ticket(state, rollout, now))
        };
        if desk.keep(wanted) {
            self.app.asked.send_modify(|version| *version += 1);
        }
    }

    fn jobs(&self, core: &Core) -> Vec<Job> {
        let now = self.app.now();
        let mut jobs = Vec::new();
        for (name, rollout) in &core.state.rollouts {
            if let Wish::Stop(reason) = &rollout.wish {
                let ours = !stops::was_pulled_here(core, rollout, reason);
                let paused = self.paused.get(name).is_some_and(|until| now < *until);
                if ours && !paused && !stops::line_freeze_exists(core, rollout) {
                    let rollout = name.clone();
                    jobs.push(Job::Freeze { rollout, reason: reason.clone() });
                }
            } else if let Some(policy) = core.policy(now)
                && wants_ticket(&core.state, rollout, now)
            {
                let paused = self.paused.get(name).is_some_and(|until| now < *until);
                let served = self.served.get(name);
                let served = served.map(|served| (&served.wanted, served.renew_at));
                let online = self.app.inputs.online.public();
                let next = if paused {
                    None
                } else {
                    issue::next(core, (name, rollout), &policy.policy, (served, &online), now)
                };
                jobs.extend(next.map(|next| Job::Ticket { rollout: name.clone(), next }));
            }
        }
        jobs
    }

    async fn carry_out(&mut self, job: Job) -> Result<(), StoreError> {
        match job {
            Job::Ticket { rollout, next: Next::Issue { ticket, cosigned, wanted, fresh } } => {
                if fresh {
                    let (generation, at) = (ticket.generation, ticket.not_before);
                    let event = Event::TicketIssued { generation, at };
                    self.app.record(&[Record::event(&rollout, event)]).await?;
                }
                self.serve(rollout, *ticket, cosigned, wanted).await
            }
            Job::Ticket { rollout, next: Next::Ask { ticket, wanted, seq } } => {
                // Too many strata make no plan; what cannot be sealed waits for nobody's cosignature.
                let sealed = ticket.as_ref().clone().sealed();
                let envelope = match sealed {
                    Ok((sealed, _)) => self.sign(&sealed),
                    Err(why) => {
                        let what = format!("commit to ceilings: {why}");
                        return self.fail(&rollout, wanted.generation, &what).await;
                    }
                };
                let since = ticket.not_before;
                let asked = Waiting { seq, ticket: *ticket, envelope, wanted, since };
                self.app.core().desk.ask(&rollout, asked);
                self.app.asked.send_modify(|version| *version += 1);
                Ok(())
            }
            Job::Ticket { rollout, next: Next::Fail { generation, what } } => {
                self.fail(&rollout, generation, &what).await
            }
            Job::Freeze { rollout, reason } => self.freeze(&rollout, &reason).await,
        }
    }

    fn sign(&self, ticket: &Ticket) -> Envelope {
        let payload = serde_json::to_vec(ticket).unwrap_or_default();
        self.app.inputs.online.seal(PayloadType::Ticket, &payload)
    }

    async fn serve(
        &mut self,
        rollout: RolloutId,
        ticket: Ticket,
        cosigned: Option<Envelope>,
        wanted: Wanted,
    ) -> Result<(), StoreError> {
        let all = ticket.ceilings.clone();
        let (ticket, shards) = match ticket.sealed() {
            Ok(sealed) => sealed,
            Err(why) => {
                let what = format!("commit to ceilings: {why}");
                return self.fail(&rollout, wanted.generation, &what).await;
            }
        };
        let envelope = cosigned.unwrap_or_else(|| self.sign(&ticket));
        if let Err(why) = self.shown.show(&self.app, "", &ticket, shards).await {
            let what = format!("write shards of ceilings: {why}");
            return self.fail(&rollout, wanted.generation, &what).await;
        }
        if let Some(signed) = &ticket.order
            && let Err(why) = self.show_order(&rollout, signed).await
        {
            let what = format!("write the order's shards: {why}");
            return self.fail(&rollout, wanted.generation, &what).await;
        }
        // A member compares each generation's ticket with what it has handed out: the first one stays.
        if let Err(why) = pooled::kept::keep_ticket(&self.app, &ticket, &envelope, &all).await {
            return self.fail(&rollout, wanted.generation, &format!("keep ticket: {why}")).await;
        }
        let path = line_path(&self.app, &format!("tickets/{rollout}.json"));
        match put(&self.app, path, envelope.to_bytes()).await {
            Ok(digest) => {
                self.app.counters.tickets_signed.fetch_add(1, Ordering::Relaxed);
                let valid = ticket.not_after.since(ticket.not_before);
                // Renewed after half its life, so that a host always holds a valid one.
                let renew_at = ticket.not_before.plus(Millis(valid.0 / 2));
                self.app.core().desk.keep(|name| *name != rollout);
                self.served.insert(rollout, Served { wanted, digest, renew_at });
                Ok(())
            }
            Err(why) => {
                self.fail(&rollout, wanted.generation, &format!("write ticket: {why}")).await
            }
        }
    }

    /// The shards in which hosts find their places; written once, and again after a restart.
    async fn show_order(&self, rollout: &RolloutId, signed: &Commitment) -> std::io::Result<()> {
        let path = |number: u64| order_path(&self.app, rollout, number);
        if self.app.shelf.get(&path(0)).is_some() {
            return Ok(());
        }
        let shards = {
            let core = self.app.core();
            let places = |state: &RolloutState| {
                let place = |place: &Option<Place>| place.map(|place| (place.stratum, place.rank));
                let places: Vec<_> = state.places.iter().map(place).collect();
                group_order::shards(&state.plan, &places, signed)
            };
            core.state.rollouts.get(rollout).and_then(places)
        };
        let differs = || std::io::Error::other("it is not the one that the plan committed to");
        let shards = shards.ok_or_else(differs)?;
        // The first one last: while it is missing they are written again.
        for shard in shards.iter().rev() {
            let bytes = serde_json::to_vec(shard).unwrap_or_default();
            put(&self.app, path(shard.number), bytes).await?;
        }
        Ok(())
    }

    async fn fail(
        &mut self,
        rollout: &RolloutId,
        generation: u32,
        what: &str,
    ) -> Result<(), StoreError> {
        say(&format!("rollout {rollout}: generation {generation} failed: {what}"));
        self.pause(rollout);
        let event = Event::ActionFailed { generation, what: Text::clipped(what) };
        self.app.record(&[Record::event(rollout, event)]).await
    }

    /// What has failed is tried again in a while, not in a loop.
    fn pause(&mut self, rollout: &RolloutId) {
        self.paused.insert(rollout.clone(), self.app.now().plus(RETRY_AFTER));
    }

    async fn freeze(&mut self, rollout: &RolloutId, reason: &HaltReason) -> Result<(), StoreError> {
        let now = self.app.now();
        let release = {
            let core = self.app.core();
            core.state.rollouts.get(rollout).map(|rollout| rollout.plan.release)
        };
        let Some(release) = release else { return Ok(()) };
        let envelope = stops::line_freeze(&self.app, rollout, release, reason, now);
        match stops::accept(&self.app, &envelope, now).await {
            Ok(_) => Ok(()),
            Err(stops::AcceptError::Store(why)) => Err(why),
            Err(why) => {
                say(&format!("rollout {rollout}: the line's own freeze is refused: {why}"));
                self.pause(rollout);
                Ok(())
            }
        }
    }

    async fn renew_timestamp(&mut self) {
        let mut repository = self.app.repository.lock().await;
        let now = self.app.now();
        if repository.renewal_due(now)
            && let Err(why) = repository.publish(&self.app.shelf, now)
        {
            say(&format!("renew TUF timestamp: {why}"));
        }
    }

    /// Lists what is served, if it is not what was listed before, and rings the bell.
    async fn publish_index(&mut self) {
        let timestamp = self.app.shelf.get("tuf/timestamp.json").map(|item| item.digest);
        let (withdrawn, policy, stops) = self.wanted_lists();
        for rollout in withdrawn {
            self.served.remove(&rollout);
            self.shown.take_away(&self.app, "", &rollout);
            self.app.shelf.remove(&line_path(&self.app, &format!("tickets/{rollout}.json")));
            let paths = (0..).map(|number| order_path(&self.app, &rollout, number));
            for path in paths.take_while(|path| self.app.shelf.get(path).is_some()) {
                self.app.shelf.remove(&path);
            }
        }
        for (digest, envelope) in &stops {
            let path = line_path(&self.app, &format!("stops/{digest}.json"));
            if self.app.shelf.get(&path).is_none()
                && let Err(why) = put(&self.app, path, envelope.to_bytes()).await
            {
                say(&format!("write stop {digest}: {why}"));
            }
        }
        let policy = match policy {
            Some(envelope) => self.show_policy(&envelope).await,
            None => None,
        };
        let vendor_lines = self.passed.show(&self.app, self.served.keys()).await;
        let releases: Vec<Digest> = self.served_releases();
        let attestations = attested::show(&self.app, releases.into_iter()).await;
        let tickets = self.served.iter();
        let mut next = Index {
            vendor_lines,
            version: self.index.version,
            policy,
            timestamp,
            tickets: tickets
                .map(|(rollout, served)| IndexTicket {
                    rollout: rollout.clone(),
                    digest: served.digest,
                })
                .collect(),
            stops: stops.into_iter().map(|(digest, _)| digest).collect(),
            attestations,
        };
        if next == self.index && self.app.bell.borrow().ge(&1) {
            return;
        }
        next.version += 1;
        let bytes = serde_json::to_vec(&next).unwrap_or_default();
        match put(&self.app, line_path(&self.app, "index.json"), bytes).await {
            Ok(_) => {
                self.app.bell.send_replace(next.version);
                self.index = next;
            }
            Err(why) => say(&format!("write index: {why}")),
        }
    }

    fn served_releases(&self) -> Vec<Digest> {
        let core = self.app.core();
        let rollouts = self.served.keys().filter_map(|name| core.state.rollouts.get(name));
        rollouts.map(|rollout| rollout.plan.release).collect()
    }

    fn wanted_lists(&self) -> (Vec<RolloutId>, Option<Envelope>, Vec<(Digest, Envelope)>) {
        let core = self.app.core();
        let now = self.app.now();
        let unwanted = |name: &&RolloutId| {
            let rollout = core.state.rollouts.get(*name);
            rollout.is_none_or(|rollout| !wants_ticket(&core.state, rollout, now))
        };
        let withdrawn = self.served.keys().filter(unwanted).cloned().collect();
        let policy = core.state.policy.as_ref().map(|policy| policy.envelope.clone());
        let freezes = core.state.freezes.iter().filter(|(_, f)| f.freeze.expires > now);
        let freezes = freezes.map(|(name, f)| (*name, f.envelope.clone()));
        let directives = core.state.directives.iter().filter(|(_, d)| d.directive.expires > now);
        let directives = directives.map(|(name, d)| (*name, d.envelope.clone()));
        let stops = freezes.chain(directives).collect();
        (withdrawn, policy, stops)
    }

    async fn show_policy(&self, envelope: &Envelope) -> Option<Digest> {
        let path = line_path(&self.app, "policy.json");
        let bytes = envelope.to_bytes();
        let digest = Digest::of(&bytes);
        if self.app.shelf.get(&path).is_some_and(|item| item.digest == digest) {
            return Some(digest);
        }
        match put(&self.app, path, bytes).await {
            Ok(digest) => Some(digest),
            Err(why) => {
                say(&format!("write policy: {why}"));
                None
            }
        }
    }
}

/// Whether a rollout's ticket may be served: not over, not frozen, not replaced by a newer one, and told of
/// what rigs saw fail.
#[must_use]
pub fn wants_ticket(state: &State, rollout: &RolloutState, now: Time) -> bool {
    let frozen = state.frozen(&rollout.vendor, &rollout.plan.release, now).is_some();
    let replaced = rollout.completed() && state.replaced(rollout);
    let told = rollout.failures.is_empty();
    !rollout.halted() && !frozen && !replaced && told && rollout.exposure.is_some()
}

/// Where a shard of a rollout's order lies.
fn order_path(app: &App, rollout: &RolloutId, shard: u64) -> String {
    line_path(app, &format!("orders/{rollout}/{shard}.json"))
}

/// A path on the shelf below this line.
#[must_use]
pub fn line_path(app: &App, rest: &str) -> String {
    format!("lines/{}/{rest}", app.line())
}

pub(crate) async fn put(app: &Arc<App>, path: String, bytes: Vec<u8>) -> std::io::Result<Digest> {
    let app = Arc::clone(app);
    let written =
        tokio::task::spawn_blocking(move || app.shelf.put(&path, bytes, Cache::Revalidate));
    written.await.unwrap_or_else(|why| Err(std::io::Error::other(why)))
}

/// One line on standard error, for the service's log.
pub fn say(text: &str) {
    // A closed log must not stop the line.
    let _ = writeln!(std::io::stderr(), "andond: {text}");
}
