//! What a stranger counts from one server's journal: who was handed a release when, who ran it, whom it
//! killed. It shares no code with the server: records are read as plain JSON.
use crate::journal::{self, Row};
use andon_model::beat::{Charge, ComponentState, ComponentStatus};
use andon_model::class::HostClass;
use andon_model::order::Shard;
use andon_model::{Digest, GroupId, HostId, Time};
use anyhow::{Context as _, Result};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// One server's journal, read.
#[derive(Clone, Debug)]
pub struct Recount {
    records: Vec<Record>,
}

/// One record.
#[derive(Clone, Debug)]
struct Record {
    at: Time,
    kind: String,
    subject: String,
    value: Value,
}

/// A ticket that was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issued {
    /// its generation
    pub generation: u64,
    /// when
    pub at: Time,
}

impl Recount {
    /// Reads the journal, also of a server that runs.
    /// # Errors
    /// When it is damaged.
    pub fn read(path: &Path) -> Result<Recount> {
        let rows = journal::rows(path)?;
        Ok(Recount { records: rows.into_iter().map(record).collect::<Result<_>>()? })
    }

    /// All records of a kind, with when they were taken down.
    fn of<'r>(&'r self, kind: &'r str) -> impl DoubleEndedIterator<Item = &'r Record> {
        self.records.iter().filter(move |record| record.kind == kind)
    }

    /// What the rollout's core was told, oldest first.
    pub fn events<'r>(&'r self, rollout: &'r str) -> impl DoubleEndedIterator<Item = &'r Value> {
        let told = self.of("rollout").filter(move |record| record.subject == rollout);
        told.map(|record| &record.value["event"])
    }

    /// What was verified of a vendor line, oldest first.
    pub fn line_facts(&self) -> impl DoubleEndedIterator<Item = &Value> {
        self.of("vendor_line").map(|record| &record.value["fact"])
    }

    /// Rounds that a vendor line has pooled: whose tallies, by their digests.
    /// # Errors
    /// When a record is none.
    pub fn pooled(&self) -> Result<Vec<(String, Digest)>> {
        let all = self.of("tallies_pooled").map(|record| field(&record.value, "tallies"));
        Ok(all.collect::<Result<Vec<Vec<_>>>>()?.concat())
    }

    /// All hosts, and what each was when it enrolled.
    /// # Errors
    /// When a record is none.
    pub fn classes(&self) -> Result<BTreeMap<HostId, HostClass>> {
        let enrolled = self.of("host_enrolled");
        enrolled.map(|it| Ok((field(&it.value, "host")?, field(&it.value, "class")?))).collect()
    }

    /// Hosts in a group.
    /// # Errors
    /// When a record is none.
    pub fn members(&self, group: &str) -> Result<BTreeSet<HostId>> {
        let group = GroupId::new(group).context("name a group")?;
        let classes = self.classes()?.into_iter();
        Ok(classes.filter(|(_, class)| class.groups.contains(&group)).map(|it| it.0).collect())
    }

    /// The plan that the rollout is bound to.
    /// # Errors
    /// When it has not started.
    pub fn plan(&self, rollout: &str) -> Result<&Value> {
        let mut started = self.of("rollout_started").map(|record| &record.value["plan"]);
        started.find(|plan| plan["rollout"] == rollout).with_context(|| format!("find {rollout}"))
    }

    /// Tickets in the order in which they were issued.
    /// # Errors
    /// When a record is none.
    pub fn tickets(&self, rollout: &str) -> Result<Vec<Issued>> {
        let issued =
            |it: &Value| Ok(Issued { generation: field(it, "generation")?, at: field(it, "at")? });
        self.events(rollout).filter(|it| it["event"] == "ticket_issued").map(issued).collect()
    }

    /// Per stratum, in the plan's order: how many hosts each ticket added, as the last observation says.
    /// # Errors
    /// When nothing was observed.
    pub fn waves(&self, rollout: &str) -> Result<Vec<Vec<u64>>> {
        let observed = self.events(rollout).rfind(|event| event["event"] == "observed");
        let observed = observed.with_context(|| format!("find an observation of {rollout}"))?;
        let strata = observed["strata"].as_array().context("read the strata")?;
        let hosts = |wave: &Value| wave["hosts"].as_u64().context("read a wave's hosts");
        let waves = |stratum: &Value| {
            let waves = stratum["waves"].as_array().context("read the waves")?;
            waves.iter().map(hosts).collect()
        };
        strata.iter().map(waves).collect()
    }

    /// Hosts on which the release was active, and when the server first heard of it.
    /// # Errors
    /// When a record is none.
    pub fn ran(&self, release: Digest) -> Result<BTreeMap<HostId, Time>> {
        self.first(|components, charges| {
            let active = components.iter().any(|component| component.release == Some(release));
            active || charges.iter().any(|charge| charge.release == release)
        })
    }

    /// Hosts that confirmed the release, and when the server first heard of it.
    /// # Errors
    /// When a record is none.
    pub fn confirmed(&self, release: Digest) -> Result<BTreeMap<HostId, Time>> {
        self.first(|components, _| {
            let well = |it: &ComponentStatus| it.state == ComponentState::Confirmed;
            components.iter().any(|it| it.release == Some(release) && well(it))
        })
    }

    /// Hosts that charged the release with a crash, and when the server first heard of it.
    /// # Errors
    /// When a record is none.
    pub fn charged(&self, release: Digest) -> Result<BTreeMap<HostId, Time>> {
        self.first(|_, charges| charges.iter().any(|charge| charge.release == release))
    }

    fn first(
        &self,
        like: impl Fn(&[ComponentStatus], &[Charge]) -> bool,
    ) -> Result<BTreeMap<HostId, Time>> {
        let mut hosts = BTreeMap::new();
        for record in self.of("host_changed") {
            let components: Vec<ComponentStatus> = field(&record.value, "components")?;
            let charges: Vec<Charge> = match record.value.get("charges") {
                Some(_) => field(&record.value, "charges")?,
                None => Vec::new(),
            };
            if like(&components, &charges) {
                hosts.entry(field(&record.value, "host")?).or_insert(record.at);
            }
        }
        Ok(hosts)
    }

    /// Which ticket first covered each host, counted from 0: its rank in the order that the plan is
    /// bound to, against the hosts that each ticket added. Hosts that are in no wave are left out.
    /// # Errors
    /// When the shard does not belong to that order.
    pub fn handed_by(&self, rollout: &str, shard: &Shard) -> Result<BTreeMap<HostId, usize>> {
        let plan = self.plan(rollout)?;
        let signed = field(&plan["order"], "commitment")?;
        let strata = plan["strata"].as_array().context("read the strata")?;
        let waves = self.waves(rollout)?;
        let mut handed = BTreeMap::new();
        for host in self.classes()?.into_keys() {
            let Some((stratum, rank)) = shard.place(&signed, host)? else { continue };
            let mut until = 0;
            let at = strata.iter().position(|it| it["stratum"] == stratum.as_str());
            let mut waves = at.and_then(|at| waves.get(at)).context("find the stratum")?.iter();
            let covering = waves.position(|hosts| {
                until += hosts;
                rank.0 < until
            });
            handed.extend(covering.map(|wave| (host, wave)));
        }
        Ok(handed)
    }
}

fn record(row: Row) -> Result<Record> {
    let Row { seq, at, kind, subject, json } = row;
    let value = serde_json::from_str(&json).with_context(|| format!("read record {seq}"))?;
    Ok(Record { at, kind, subject, value })
}

fn field<T: DeserializeOwned>(value: &Value, name: &str) -> Result<T> {
    let read = serde_json::from_value(value[name].clone());
    read.with_context(|| format!("read {name} of {value}"))
}
