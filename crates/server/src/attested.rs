//! Attestations on the server: what the journal holds of them, what they mean for a plan, and the files
//! that hosts fetch. It believes what `andon_trust::attestation` believes. What it is not: the guard; each
//! host judges for itself, and whatever is withheld from it keeps it where it is.
use crate::api::Refusal;
use crate::app::{App, Core};
use crate::driver::{line_path, put, say};
use crate::record::ReleaseFacts;
use crate::state::{HostState, State};
use andon_model::class::HostClass;
use andon_model::index::IndexAttestations;
use andon_model::policy::Policy;
use andon_model::{Digest, StratumId, Time};
use andon_rollout::Terms;
use andon_trust::attestation::{Standing, Words, to_file};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What became of one stratum, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    hosts: u64,
    standing: Standing,
}

/// Takes the strata out of a plan whose hosts will not install this release, and keeps those to the first
/// wave whose hosts obey canary waves only: nobody is waited for who says no. Returns what people are to
/// be told. `hosts`: the first so many are in the plan.
/// # Errors
/// [`Refusal`] when there are hosts, and no class of them may install it.
pub(crate) fn narrow(
    core: &Core,
    policy: &Policy,
    facts: &ReleaseFacts,
    hosts: usize,
    now: Time,
    terms: &mut Terms,
) -> Result<Vec<String>, Refusal> {
    if policy.attestations.is_none() {
        return Ok(Vec::new());
    }
    let words = words(&core.state, policy, &facts.release);
    let hosts = &core.state.hosts[..hosts.min(core.state.hosts.len())];
    let kept = by_stratum(policy, facts, &words, hosts, now, terms);
    let of = |wanted: fn(&Standing) -> bool| {
        let strata = kept.iter().filter(move |(_, kept)| wanted(&kept.standing));
        strata.map(|(stratum, _)| stratum.clone()).collect::<Vec<StratumId>>()
    };
    terms.unattested = of(|it| matches!(it, Standing::Missing(_) | Standing::Failed(_)));
    terms.canary_only = of(|it| matches!(it, Standing::CanaryOnly(_)));
    let said: Vec<String> = kept.iter().filter_map(|(name, kept)| said(name, kept)).collect();
    if !kept.is_empty() && terms.unattested.len() == kept.len() {
        let message = format!("no host may install release {}: {}", facts.release, said.join("; "));
        let next = "have a rig run it (andon rig run, andon release attest), or let two people waive \
                    it (andon release waive)";
        return Err(Refusal::conflict(&message, next));
    }
    Ok(said)
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
    let mut known: BTreeMap<HostClass, Standing> = BTreeMap::new();
    let mut kept: BTreeMap<StratumId, Kept> = BTreeMap::new();
    for host in hosts {
        let Some(stratum) = host.stratum_in(terms) else { continue };
        let class = HostClass { groups: Vec::new(), ..host.class.clone() };
        let standing = known.entry(class).or_insert_with_key(|class| {
            let kind = facts.kind;
            words.judge(policy, kind, class, now)
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
