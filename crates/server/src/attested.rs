//! Attestations on the server: what the journal holds of them, what they mean for a plan, and the files
//! that hosts fetch. It believes what `andon_trust::attestation` believes. What it is not: the guard; each
//! host judges for itself, and whatever is withheld from it keeps it where it is.
use crate::api::Refusal;
use crate::app::{App, Core};
use crate::driver::{line_path, put, say};
use crate::record::{Record, ReleaseFacts};
use crate::rollout_state::RolloutState;
use crate::state::{HostState, State};
use andon_model::class::HostClass;
use andon_model::envelope::Envelope;
use andon_model::facts::HostNow;
use andon_model::index::IndexAttestations;
use andon_model::policy::Policy;
use andon_model::release::ComponentKind;
use andon_model::text::Text;
use andon_model::{Digest, RolloutId, StratumId, Time};
use andon_rollout::{Event, Terms};
use andon_trust::attestation::{Standing, Words, to_file};
use andon_trust::envelope::signed_with;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What became of one stratum, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    hosts: u64,
    standing: Standing,
}

/// Most kinds of hosts, of one class and running the same, that are judged for one plan; a fleet has dozens.
const KINDS_MAX: usize = 65_536;
/// Most strata of a plan that tells hosts apart by what they run, the smallest left out. What hosts say they
/// run is their own word, and nobody's word shall fill a plan.
const CUT_STRATA_MAX: usize = 1024;
/// Most strata of which people are told one by one.
const TOLD_MAX: usize = 64;

/// What demands for attestations leave of a plan.
#[derive(Debug, Default)]
pub(crate) struct Narrowed {
    /// strata that may be in it, where it tells hosts apart by what they run; `None`: what the terms leave
    strata: Option<BTreeSet<StratumId>>,
    /// what people are to be told
    pub(crate) said: Vec<String>,
}

impl Narrowed {
    pub(crate) fn has(&self, stratum: &StratumId) -> bool {
        self.strata.as_ref().is_none_or(|strata| strata.contains(stratum))
    }
}

/// Takes the strata out of a plan whose hosts will not install this release, and keeps those to the first
/// wave whose hosts obey canary waves only: nobody is waited for who says no. Where a demand looks at what
/// hosts run, those that run something else are strata of their own. `hosts`: the first so many are in the
/// plan.
/// # Errors
/// [`Refusal`] when there are hosts, and no class of them may install it.
pub(crate) fn narrow(
    core: &Core,
    policy: &Policy,
    facts: &ReleaseFacts,
    hosts: usize,
    now: Time,
    terms: &mut Terms,
) -> Result<Narrowed, Refusal> {
    if policy.attestations.is_none() {
        return Ok(Narrowed::default());
    }
    let words = words(&core.state, policy, &facts.release);
    let hosts = &core.state.hosts[..hosts.min(core.state.hosts.len())];
    terms.told_apart = policy.attestations.told_apart(facts.kind);
    let kept = by_stratum(policy, facts, &words, hosts, now, terms);
    let of = |wanted: fn(&Standing) -> bool| {
        let strata = kept.iter().filter(move |(_, kept)| wanted(&kept.standing));
        strata.map(|(stratum, _)| stratum.clone()).collect::<Vec<StratumId>>()
    };
    let refusing = of(|it| matches!(it, Standing::Missing(_) | Standing::Failed(_)));
    let nobody = !kept.is_empty() && refusing.len() == kept.len();
    terms.canary_only = of(|it| matches!(it, Standing::CanaryOnly(_)));
    let said = all_said(&kept);
    if nobody {
        let message = format!("no host may install release {}: {}", facts.release, said.join("; "));
        let next = "have a rig run it (andon rig run, andon release attest), or let two people waive \
                    it (andon release waive)";
        return Err(Refusal::conflict(&message, next));
    }
    if terms.told_apart.is_empty() {
        terms.unattested = refusing;
        return Ok(Narrowed { strata: None, said });
    }
    let strata = largest(&kept);
    terms.canary_only.retain(|stratum| strata.contains(stratum));
    Ok(Narrowed { strata: Some(strata), said })
}

/// The strata of a plan that tells hosts apart by what they run: those that are attested before those for
/// canary waves, large ones before small ones.
fn largest(kept: &BTreeMap<StratumId, Kept>) -> BTreeSet<StratumId> {
    let willing = |it: &Standing| matches!(it, Standing::Attested | Standing::CanaryOnly(_));
    let mut all: Vec<_> = kept.iter().filter(|(_, kept)| willing(&kept.standing)).collect();
    all.sort_by_key(|(_, kept)| (rank(&kept.standing), std::cmp::Reverse(kept.hosts)));
    all.into_iter().take(CUT_STRATA_MAX).map(|(stratum, _)| stratum.clone()).collect()
}

fn all_said(kept: &BTreeMap<StratumId, Kept>) -> Vec<String> {
    let untold: Vec<&Kept> =
        kept.values().filter(|kept| kept.standing != Standing::Attested).skip(TOLD_MAX).collect();
    let told = kept.iter().filter_map(|(name, kept)| said(name, kept)).take(TOLD_MAX);
    let hosts: u64 = untold.iter().map(|kept| kept.hosts).sum();
    let rest = (hosts > 0).then(|| {
        format!("{hosts} hosts of {} more strata keep the old version, or do later", untold.len())
    });
    told.chain(rest).collect()
}

/// The worst that the classes of each stratum have to say: of two classes that share a name none is handed
/// more than both take.
fn by_stratum(
    policy: &Policy,
    facts: &ReleaseFacts,
    words: &Words,
    hosts: &[HostState],
    now: Time,
    terms: &Terms,
) -> BTreeMap<StratumId, Kept> {
    let mut known: BTreeMap<(HostClass, String), Standing> = BTreeMap::new();
    let mut kept: BTreeMap<StratumId, Kept> = BTreeMap::new();
    for host in hosts {
        let Some(stratum) = host.stratum_in(terms) else { continue };
        let class = HostClass { groups: Vec::new(), ..host.class.clone() };
        let runs = host.facts.told(&terms.told_apart);
        let full = known.len() >= KINDS_MAX;
        let standing = known.entry((class, runs)).or_insert_with_key(|(class, _)| {
            if full {
                return Standing::Missing(format!("there are over {KINDS_MAX} kinds of hosts"));
            }
            let host = HostNow { class, facts: &host.facts };
            words.judge(policy, facts.kind, host, now)
        });
        let entry = kept.entry(stratum);
        let one = entry.or_insert_with(|| Kept { hosts: 0, standing: standing.clone() });
        one.hosts += 1;
        if rank(standing) > rank(&one.standing) {
            one.standing = standing.clone();
        }
    }
    kept
}

const fn rank(standing: &Standing) -> u8 {
    match standing {
        Standing::Attested => 0,
        Standing::CanaryOnly(_) => 1,
        Standing::Missing(_) => 2,
        Standing::Failed(_) => 3,
    }
}

fn said(stratum: &StratumId, kept: &Kept) -> Option<String> {
    let hosts = kept.hosts;
    match &kept.standing {
        Standing::Attested => None,
        Standing::CanaryOnly(why) => Some(format!(
            "{hosts} hosts of {stratum} keep the old version after the canary wave: {why}"
        )),
        Standing::Missing(why) | Standing::Failed(why) => {
            Some(format!("{hosts} hosts of {stratum} keep the old version: {why}"))
        }
    }
}

/// What is signed about a release and counts under this policy. What the journal holds was judged when it
/// came; under another policy some of it may count for nothing, or spoil the rest, as on a host.
fn words(state: &State, policy: &Policy, release: &Digest) -> Words {
    let envelopes = state.attestations.get(release);
    let read = Words::of(envelopes.into_iter().flatten(), release, policy);
    read.unwrap_or_default()
}

/// A failure that came while rollouts of the release run, for a class that has hosts in their plans, is
/// noted with them until the core has been told. A fold over the journal: a gate verifier notes the same, and
/// cosigns nothing before.
pub(crate) fn note_failure(state: &mut State, release: &Digest, envelope: &Envelope) {
    let State { policy, rollouts, releases, hosts, .. } = state;
    let Some(policy) = policy.as_ref().map(|known| &known.policy) else { return };
    let kind = releases.get(release).and_then(|facts| facts.kind);
    let running = rollouts.values_mut().filter(|it| it.live() && it.plan.release == *release);
    for rollout in running {
        rollout.failures.extend(failed(policy, kind, envelope, rollout, hosts));
    }
}

/// What the core of a rollout is to be told of this envelope.
fn failed(
    policy: &Policy,
    kind: Option<ComponentKind>,
    envelope: &Envelope,
    rollout: &RolloutState,
    hosts: &[HostState],
) -> Option<Event> {
    let words = Words::of([envelope], &rollout.plan.release, policy).ok()?;
    let (class, tests) = words.failed()?;
    let judged = |host: &HostState| {
        let now = HostNow { class: &host.class, facts: &host.facts };
        matches!(words.judge(policy, kind, now, Time(0)), Standing::Failed(_))
    };
    let placed = hosts.iter().zip(&rollout.places).filter(|(_, place)| place.is_some());
    // A vendor line knows of its members' hosts no more than the names of their strata.
    let platform = format!("{}.{}.", class.arch, class.os);
    let there = match rollout.members {
        Some(_) => {
            let mut strata = rollout.plan.strata.iter();
            strata.any(|it| it.stratum.as_str().starts_with(&platform))
        }
        None => placed.map(|(host, _)| host).any(judged),
    };
    let mut rigs = policy.attestations.rigs.iter();
    let rig = rigs.find(|rig| !signed_with(envelope, &[rig.key]).is_empty())?.name.clone();
    let test = tests.first().map_or("it does not say which test", String::as_str);
    let (class, test) = (Text::clipped(&class.to_string()), Text::clipped(test));
    there.then_some(Event::TestFailed { rig, class, test })
}

/// What cores are to be told of failures.
pub(crate) fn failures(state: &State) -> Vec<Record> {
    let of = |(name, rollout): (&RolloutId, &RolloutState)| {
        let name = name.clone();
        let events = if rollout.live() { rollout.failures.clone() } else { Vec::new() };
        events.into_iter().map(move |event| Record::event(&name, event))
    };
    state.rollouts.iter().flat_map(of).collect()
}

/// Puts the attestations of these releases on the static plane; what the index is to list.
pub(crate) async fn show(
    app: &Arc<App>,
    releases: impl Iterator<Item = Digest>,
) -> Vec<IndexAttestations> {
    let releases: BTreeSet<Digest> = releases.collect();
    let mut files = Vec::new();
    {
        let core = app.core();
        let demanded = core.state.policy.as_ref();
        if demanded.is_none_or(|known| known.policy.attestations.is_none()) {
            return Vec::new();
        }
        for release in releases {
            if let Some(envelopes) = core.state.attestations.get(&release) {
                files.push((release, to_file(envelopes)));
            }
        }
    }
    let mut listed = Vec::new();
    for (release, bytes) in files {
        let path = line_path(app, &format!("attestations/{release}.jsonl"));
        let digest = Digest::of(&bytes);
        let there = app.shelf.get(&path).is_some_and(|item| item.digest == digest);
        match there {
            true => listed.push(IndexAttestations { release, digest }),
            false => match put(app, path, bytes).await {
                Ok(digest) => listed.push(IndexAttestations { release, digest }),
                Err(why) => say(&format!("write attestations of {release}: {why}")),
            },
        }
    }
    listed
}
