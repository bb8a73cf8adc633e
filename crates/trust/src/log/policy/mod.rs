//! Log policies: which logs, which witnesses, which quorum of them (C2SP tlog-policy). The text is
//! read in `parse`; here is what it means. It names no key for what is inside an entry.
mod parse;

pub use parse::{PolicyError, PolicyFault};

use super::key::VerifierKey;

/// A policy as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    logs: Vec<Party>,
    witnesses: Vec<Party>,
    groups: Vec<Group>,
    /// `None`: cosignatures are not required
    quorum: Option<Member>,
}

/// A log or a witness.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Party {
    key: VerifierKey,
    /// opaque octets, as the rest of the file
    url: Option<Vec<u8>>,
}

/// `threshold` of `members`, all of which stand before the group itself.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    threshold: usize,
    members: Vec<Member>,
}

/// What can witness, by its place in the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    Witness(usize),
    Group(usize),
}

impl Policy {
    /// These logs, and no witness required: for whoever watches a log or feeds a witness.
    #[must_use]
    pub fn unwitnessed(logs: Vec<VerifierKey>) -> Policy {
        let logs = logs.into_iter().map(|key| Party { key, url: None }).collect();
        Policy { logs, witnesses: Vec::new(), groups: Vec::new(), quorum: None }
    }
    /// Keys of the logs; the key's name is the log's origin.
    pub fn logs(&self) -> impl Iterator<Item = &VerifierKey> {
        self.logs.iter().map(|log| &log.key)
    }
    /// Keys of the witnesses, in the order in which [`Policy::is_quorum`] numbers them.
    pub fn witnesses(&self) -> impl Iterator<Item = &VerifierKey> {
        self.witnesses.iter().map(|witness| &witness.key)
    }
    /// Where witnesses can be asked, for those whose line says so.
    pub fn witness_urls(&self) -> impl Iterator<Item = (&VerifierKey, &[u8])> {
        self.witnesses.iter().filter_map(|w| Some((&w.key, w.url.as_deref()?)))
    }
    /// Whether the witnesses for which `cosigned` holds are a quorum. A group witnesses when its
    /// threshold of members does; groups stand in the order in which they are defined, each after
    /// its members, so one pass answers.
    #[must_use]
    pub fn is_quorum(&self, cosigned: impl Fn(usize) -> bool) -> bool {
        let mut groups: Vec<bool> = Vec::with_capacity(self.groups.len());
        let holds = |groups: &[bool], member: &Member| match member {
            Member::Witness(at) => cosigned(*at),
            Member::Group(at) => groups.get(*at).copied().unwrap_or(false),
        };
        for group in &self.groups {
            let got = group.members.iter().filter(|member| holds(&groups, member)).count();
            groups.push(got >= group.threshold);
        }
        self.quorum.as_ref().is_none_or(|member| holds(&groups, member))
    }
}
