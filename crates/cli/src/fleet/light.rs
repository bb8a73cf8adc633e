//! One light host: a thin shell around `andon_host::Host` and `andon_trust::view::View`, as the
//! supervisor is on a full host. It carries out commands and tells what happened; it decides nothing
//! but when its simulated power fails.
use super::disk::Disk;
use super::service::{Doing, Running};
use super::{Shared, clock, reports, sync};
use andon_host::{Exit, Host, HostConfig, Input, Previous};
use andon_model::beat::{BeatAnswer, ComponentStatus, Presence};
use andon_model::envelope::PayloadType;
use andon_model::handover::{DirectiveSeen, FreezeSeen};
use andon_model::host_journal::Fact;
use andon_model::text::Text;
use andon_model::{ComponentId, Digest, HostId, Millis};
use andon_trust::view::{DirectiveInForce, View};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// News waiting for one host.
const NEWS_MAX: usize = 64;
/// Before a policy is known.
const BEAT_FIRST: Millis = Millis(1000);
/// Hosts look again without a bell every so many beats: the bell is a hint, the poll the truth.
const BEATS_PER_LOOK: u32 = 15;
/// Most distinct refusals that one boot writes down.
const REFUSALS_MAX: usize = 64;

/// What reaches a host from outside its core.
#[derive(Debug)]
pub(super) enum News {
    /// a service did something
    Service(ComponentId, u64, Doing),
    /// a round is over
    Looked(Box<View>),
    /// a bundle came, or not
    Fetched(Digest, Result<Vec<u8>, String>),
    /// a beat was answered, or not
    Beaten(Option<BeatAnswer>),
    /// something for the core as it is
    Told(Box<Input>),
}

/// How a boot ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// the whole host died
    Died,
    /// the fleet ends
    Stopped,
}

/// What a host holds in memory: gone when it dies.
pub(super) struct Light<'d> {
    pub(super) shared: Arc<Shared>,
    pub(super) number: u32,
    pub(super) id: HostId,
    pub(super) disk: &'d mut Disk,
    pub(super) host: Host,
    pub(super) services: BTreeMap<ComponentId, Running>,
    pub(super) starts: u64,
    pub(super) bundles: BTreeMap<Digest, Vec<u8>>,
    pub(super) tell: mpsc::Sender<News>,
    pub(super) inputs: VecDeque<Input>,
    pub(super) died: bool,
    view: Option<Box<View>>,
    look_again: bool,
    beating: bool,
    beat: Millis,
    told: Vec<ComponentStatus>,
    refused: BTreeSet<(String, String)>,
    jitter: clock::Jitter,
}

/// Runs one boot of an enrolled host.
pub(super) async fn boot(shared: &Arc<Shared>, number: u32, disk: &mut Disk, id: HostId) -> End {
    disk.boots = disk.boots.saturating_add(1);
    let Some(view) = view(shared, disk, id) else { return End::Stopped };
    let (tell, mut told) = mpsc::channel(NEWS_MAX);
    let config = HostConfig {
        host: Some(id),
        boot: disk.boots,
        builtin: shared.builtin.clone(),
        kernel: shared.kernel.clone(),
    };
    let mut light = Light {
        shared: shared.clone(),
        number,
        id,
        host: Host::new(config),
        services: BTreeMap::new(),
        starts: u64::from(disk.boots) << 32,
        bundles: BTreeMap::new(),
        tell,
        inputs: VecDeque::new(),
        died: false,
        view: Some(view),
        look_again: true,
        beating: false,
        beat: BEAT_FIRST,
        told: Vec::new(),
        refused: BTreeSet::new(),
        jitter: clock::Jitter::new(shared.seed, number),
        disk,
    };
    let found = light.disk.found();
    light.apply(Input::Booted { found, previous: Previous::HostEnded }).await;
    light.live(&mut told).await
}

fn view(shared: &Shared, disk: &Disk, id: HostId) -> Option<Box<View>> {
    let (anchor, class) = (shared.anchor.clone(), shared.class_of(disk));
    let remembered = disk.trust.as_deref();
    let restored =
        remembered.and_then(|bytes| View::restore(anchor.clone(), id, class.clone(), bytes).ok());
    match restored.map_or_else(|| View::new(anchor, id, class), Ok) {
        Ok(view) => Some(Box::new(view)),
        Err(error) => {
            crate::output::note(format_args!("fleet: {id}: {}", super::chain(&error)));
            None
        }
    }
}

impl Light<'_> {
    async fn live(&mut self, news: &mut mpsc::Receiver<News>) -> End {
        let mut bell = self.shared.bell.subscribe();
        let mut ending = self.shared.ending.subscribe();
        let mut beat_at = Instant::now() + self.jitter.up_to(self.beat.std());
        let mut look_at = Some(Instant::now());
        let mut beats = 0_u32;
        while !self.died {
            let tick_at = self.tick_at();
            tokio::select! {
                biased;
                _ = ending.changed() => return End::Stopped,
                Some(one) = news.recv() => self.take(one).await,
                () = sleep_until(tick_at) => self.apply(Input::Tick).await,
                () = sleep_until(beat_at) => {
                    beats = beats.wrapping_add(1);
                    beat_at += self.beat.std();
                    if beats.is_multiple_of(BEATS_PER_LOOK) {
                        self.look_again = true;
                    }
                    self.send_beat();
                }
                Ok(()) = bell.changed() => {
                    bell.mark_unchanged();
                    // Spread: a thousand hosts behind one bell shall not be one burst.
                    let spread = self.jitter.up_to(Duration::from_millis(300));
                    look_at.get_or_insert(Instant::now() + spread);
                }
                () = sleep_until(look_at.unwrap_or(beat_at)), if look_at.is_some() => {
                    look_at = None;
                    self.look_again = true;
                }
            }
            self.look();
        }
        End::Died
    }

    fn tick_at(&self) -> Instant {
        let now = clock::now();
        let wait = self.host.deadline().map_or(Millis(3_600_000), |at| at.since(now));
        Instant::now() + wait.std()
    }

    /// Starts a round, if one is wanted and none is under way.
    fn look(&mut self) {
        if !self.look_again || self.died {
            return;
        }
        let Some(mut view) = self.view.take() else { return };
        self.look_again = false;
        view.runs(self.host.facts());
        let (net, tell) = (self.shared.net.clone(), self.tell.clone());
        tokio::spawn(async move {
            sync::round(&mut view, &net).await;
            let _died_meanwhile = tell.send(News::Looked(view)).await;
        });
    }

    async fn take(&mut self, news: News) {
        match news {
            News::Service(component, start, doing) => self.service(component, start, doing).await,
            News::Looked(view) => self.looked(view).await,
            News::Fetched(release, Ok(bytes)) => {
                self.bundles.insert(release, bytes);
                self.apply(Input::Fetched { release }).await;
            }
            News::Fetched(release, Err(why)) => {
                self.apply(Input::FetchFailed { release, why }).await;
            }
            News::Beaten(answer) => self.beaten(answer).await,
            News::Told(input) => self.apply(*input).await,
        }
    }

    async fn service(&mut self, component: ComponentId, start: u64, doing: Doing) {
        if self.services.get(&component).is_none_or(|running| running.start != start) {
            return;
        }
        match doing {
            Doing::Ready => self.apply(Input::ServiceReady { component }).await,
            Doing::Hung => self.apply(Input::ServiceHung { component }).await,
            Doing::Exited { signal, code } => {
                let asked = self.services.remove(&component).is_some_and(|r| r.asked());
                if let (Some(signal), false) = (signal, asked)
                    && self.dies_of(&component, signal)
                {
                    return;
                }
                let exit = signal.map_or(Exit::Code(code.unwrap_or(127)), Exit::Signal);
                self.apply(Input::ServiceExited { component, exit }).await;
            }
        }
    }

    /// Some crashes take the whole host along: no beat, no report, only what is on disk. The journal
    /// is on disk, and as pstore would, it keeps the last words.
    fn dies_of(&mut self, service: &ComponentId, signal: i32) -> bool {
        let Some(which) = self.disk.newest.get(service).cloned() else { return false };
        if !self.shared.dies_whole(self.id, which.release) {
            return false;
        }
        self.journal(&Fact::Exited { which, signal: Some(signal), code: None });
        let back = clock::now().plus(self.shared.die_for);
        self.journal(&Fact::Died { back });
        self.died = true;
        true
    }

    async fn looked(&mut self, view: Box<View>) {
        self.disk.trust = Some(view.record());
        let outcome = view.outcome().clone();
        self.view = Some(view);
        if let Some(policy) = outcome.policy {
            self.beat = policy.watch.beat;
            let seen = Input::PolicySeen { watch: policy.watch, probes: policy.probes };
            self.apply(seen).await;
        }
        let freezes = outcome.freezes.into_iter();
        let freezes = freezes.map(|f| FreezeSeen { digest: f.digest, freeze: f.freeze }).collect();
        self.apply(Input::FreezesSeen { freezes }).await;
        let seen = |d: DirectiveInForce| DirectiveSeen { digest: d.digest, directive: d.directive };
        let directives = outcome.directives.into_iter().map(seen).collect();
        self.apply(Input::DirectivesSeen { directives }).await;
        for offer in outcome.offers {
            let manifest = self.shared.pool.manifest(&offer.release, &offer.manifest);
            self.apply(Input::Offered {
                release: offer.release,
                rollout: offer.rollout,
                generation: offer.generation,
                begun: offer.begun,
                manifest,
            })
            .await;
        }
        for refusal in outcome.refusals {
            let known = (refusal.what, refusal.why);
            if self.refused.len() < REFUSALS_MAX && self.refused.insert(known.clone()) {
                let (what, why) = (Text::clipped(&known.0), Text::clipped(&known.1));
                self.journal(&Fact::Refused { what, why });
            }
        }
    }

    fn send_beat(&mut self) {
        if self.beating {
            return;
        }
        let Some(mut beat) = self.host.beat(clock::now(), Presence::Alive) else { return };
        reports::filter(self.shared.reports(), &mut beat, &mut self.told);
        let Ok(payload) = serde_json::to_vec(&beat) else { return };
        let envelope = self.disk.key.seal(PayloadType::Beat, &payload);
        self.beating = true;
        let (net, tell, shared) = (self.shared.net.clone(), self.tell.clone(), self.shared.clone());
        tokio::spawn(async move {
            let answer = net.beat(&envelope).await;
            shared.board.count(answer.as_ref().err().map(|error| super::chain(error)));
            let _died_meanwhile = tell.send(News::Beaten(answer.ok())).await;
        });
    }

    async fn beaten(&mut self, answer: Option<BeatAnswer>) {
        self.beating = false;
        let Some(answer) = answer else { return };
        self.apply(Input::ChargesStored { up_to: answer.charges_stored }).await;
        let behind = self.view.as_ref().is_some_and(|v| v.index_version() < answer.index_version);
        self.look_again |= behind;
    }

    /// Writes a fact down, and remembers what is the newest change of each service.
    pub(super) fn journal(&mut self, fact: &Fact) {
        let newest = match fact {
            Fact::Activated { which } | Fact::FellBack { to: which, .. } => Some(which),
            _ => None,
        };
        if let Some(which) = newest {
            let service = self.shared.pool.consumer(&which.release);
            let service = service.unwrap_or_else(|| which.component.clone());
            self.disk.newest.insert(service, which.clone());
        }
        self.shared.board.paint(self.number, fact);
        self.shared.write_down(self.id, fact);
    }
}
