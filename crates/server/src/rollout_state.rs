//! One rollout as the journal tells it: the core's machine, the hosts' random order, who was counted
//! when, and what the core wants done (so that a restarted driver knows what is still to do).
use crate::group_order;
use crate::noted;
use crate::pooled::members::{self, Members};
use crate::pooled::seats::Seats;
use crate::pooled::start::pools;
use crate::record::{Counted, HostChange};
use crate::state::{HostState, column, host_at};
use andon_model::beat::ComponentStatus;
use andon_model::envelope::Envelope;
use andon_model::order::{self, Commitment};
use andon_model::policy::Policy;
use andon_model::position::Position;
use andon_model::ticket::Newcomers;
use andon_model::{HostId, Time, VendorId};
use andon_rollout::{Action, Event, Explanation, Exposure, HaltReason, Plan, PlanReport, Rollout};

/// What a rollout wants of the driver.
#[derive(Clone, Debug, PartialEq)]
pub enum Wish {
    /// its ticket stands as the last exposure says
    Serve,
    /// no ticket, and (unless a freeze was the reason) the line's freeze
    Stop(HaltReason),
    /// done: the last ticket stands, newcomers included
    Complete,
}

/// One generation whose ticket was issued.
#[derive(Clone, Debug, PartialEq)]
pub struct Wave {
    /// counts up
    pub generation: u32,
    /// hosts covered in all, per stratum of the plan
    pub handed: Vec<u32>,
    /// when its ticket was issued
    pub at: Time,
}

/// What is known of one host in one rollout; bits, because there may be millions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(u8);

impl Marks {
    /// first silence was counted, or it was silent before the start
    pub const SILENT: Marks = Marks(1);
    /// first report was counted
    pub const REPORTED: Marks = Marks(2);
    /// first failing probe was counted, or it failed before the start
    pub const UNWELL: Marks = Marks(4);
    /// bad in some channel
    pub const BAD: Marks = Marks(8);
    /// runs the release and has confirmed it
    pub const CONFIRMED: Marks = Marks(16);
    /// went back from it
    pub const FELL_BACK: Marks = Marks(32);
    /// reported; the next observation counts it
    pub const REPORT_WAITING: Marks = Marks(64);

    /// Whether a mark is there.
    #[must_use]
    pub const fn has(self, mark: Marks) -> bool {
        self.0 & mark.0 != 0
    }
    /// Sets a mark.
    pub const fn set(&mut self, mark: Marks) {
        self.0 |= mark.0;
    }
}

/// A host's place in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// index of its stratum in the plan
    pub stratum: u16,
    /// 0 for the first host of the stratum
    pub rank: u32,
}

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct RolloutState {
    /// the plan
    pub plan: Plan,
    /// what the gate can not see here
    pub report: PlanReport,
    /// who made the release
    pub vendor: VendorId,
    /// number of the record that started it
    pub started_seq: u64,
    /// the core
    pub machine: Rollout,
    /// signed approvals, for the tickets
    pub approvals: Vec<Envelope>,
    /// the ticket that the core wants; on hold, the one issued last
    pub exposure: Option<Exposure>,
    /// the ticket that was issued last
    pub issued: Option<Exposure>,
    /// generations whose ticket was issued
    pub waves: Vec<Wave>,
    /// what the core wants
    pub wish: Wish,
    /// the newest ticket of the vendor line that it was told of, if it goes inside one
    pub permitted: Option<(u32, Newcomers)>,
    /// when it was over
    pub ended: Option<Time>,
    /// hosts of each stratum in order of their positions
    pub order: Vec<Vec<HostId>>,
    /// the commitment to an explicit order as it came out when this state was made: without the plan's
    /// own there are no places and no tickets
    pub recomputed: Option<Commitment>,
    /// each host's place, by column; `None`: not in the plan
    pub places: Vec<Option<Place>>,
    /// each host's marks, by column
    pub marks: Vec<Marks>,
    /// when each host said for the first time that it has confirmed, by column; meaningful with
    /// [`Marks::CONFIRMED`] only
    pub confirmed_at: Vec<Time>,
    /// when the fleet was counted last; before that, when the plan was made
    pub observed: Time,
    /// failures that rigs have attested while it ran, and of which the core has not been told: until then
    /// it has no ticket
    pub failures: Vec<Event>,
    /// on a vendor line: who takes part. `order` is then of seats, and hosts have no columns here
    pub members: Option<Box<Members>>,
}

impl RolloutState {
    /// A plan over the hosts enrolled when it was made.
    #[must_use]
    pub fn new(
        plan: Plan,
        report: PlanReport,
        vendor: VendorId,
        started_seq: u64,
        hosts: &[HostState],
    ) -> RolloutState {
        let known = plan.enrolled_max.map_or(0, |last| column(last) + 1).min(hosts.len());
        let (order, recomputed) = ordered(&plan, &hosts[..known]);
        let mut places = vec![None; known];
        let mut marks = vec![Marks::default(); known];
        for (stratum, hosts) in order.iter().enumerate() {
            for (rank, host) in hosts.iter().enumerate() {
                places[column(*host)] = Some(Place {
                    stratum: u16::try_from(stratum).unwrap_or(u16::MAX),
                    rank: u32::try_from(rank).unwrap_or(u32::MAX),
                });
            }
        }
        for (mark, host) in marks.iter_mut().zip(hosts) {
            if !host.unwell.is_empty() {
                mark.set(Marks::UNWELL);
            }
        }
        let machine = Rollout::replay(plan.clone(), &[]);
        RolloutState {
            observed: plan.created,
            plan,
            report,
            vendor,
            started_seq,
            machine,
            approvals: Vec::new(),
            exposure: None,
            issued: None,
            waves: Vec::new(),
            wish: Wish::Serve,
            permitted: None,
            ended: None,
            order,
            recomputed,
            places,
            marks,
            confirmed_at: vec![Time(0); known],
            failures: Vec::new(),
            members: None,
        }
    }

    /// The same plan over the seats of these members; nothing changes if there are none.
    #[must_use]
    pub fn over_seats(self, seats: &Seats, policy: Option<&Policy>) -> RolloutState {
        let Some(policy) = policy.filter(|policy| pools(policy)) else { return self };
        match members::seated(&self.plan, seats, policy) {
            Ok((order, members)) => {
                RolloutState { order, members: Some(Box::new(members)), ..self }
            }
            // More hosts than can be counted: without an order nothing is ever handed out.
            Err(_) => RolloutState { order: Vec::new(), ..self },
        }
    }

    /// Why it is where it is, and what its gate cannot see.
    #[must_use]
    pub fn explain(&self, now: Time) -> Explanation {
        let cannot_see = self.report.cannot_see(self.plan.strata.len());
        Explanation { cannot_see, ..self.machine.explain(now) }
    }

    /// Tells the core, and keeps what it wants.
    pub fn apply(
        &mut self,
        at: Time,
        event: &Event,
        counted: &Counted,
        approval: Option<&Envelope>,
    ) {
        self.approvals.extend(approval.cloned());
        let lists = [&counted.silent, &counted.reported, &counted.unwell, &counted.missed];
        let hosts = lists.into_iter().flatten();
        for host in hosts {
            self.make_known(*host);
        }
        let observed = matches!(event, Event::Observed(_));
        noted::counted(&mut self.marks, counted, observed);
        if observed {
            self.observed = at;
        }
        self.failures.retain(|failure| failure != event);
        if let Event::Permitted { generation, newcomers, .. } = event {
            self.permitted = Some((*generation, *newcomers));
        }
        if let Event::TicketIssued { generation, at } = event {
            self.note_ticket(*generation, *at);
        }
        for action in self.machine.apply(at, event.clone()) {
            match action {
                Action::Expose(exposure) => self.exposure = Some(exposure),
                Action::Withdraw => self.exposure = self.issued.clone(),
                Action::Freeze { reason } => self.end(at, Wish::Stop(reason)),
                Action::Complete => self.end(at, Wish::Complete),
                Action::AskApproval { .. } | Action::Notify(_) => {}
            }
        }
    }

    fn end(&mut self, at: Time, wish: Wish) {
        self.wish = wish;
        self.ended.get_or_insert(at);
    }

    fn note_ticket(&mut self, generation: u32, at: Time) {
        let Some(exposure) = &self.exposure else { return };
        if exposure.generation != generation {
            return;
        }
        self.issued = Some(exposure.clone());
        let last = self.waves.last();
        if last.is_none_or(|wave| wave.generation < generation) {
            let at = last.map_or(at, |wave| at.max(wave.at));
            self.waves.push(Wave { generation, handed: exposure.handed.clone(), at });
        }
    }

    /// Whether the wanted ticket is one that the core has not been told of yet.
    #[must_use]
    pub fn issue_due(&self) -> bool {
        fn key(exposure: &Exposure) -> (u32, Newcomers, &[u32]) {
            (exposure.generation, exposure.newcomers, &exposure.late)
        }
        self.exposure.as_ref().map(key) != self.issued.as_ref().map(key)
    }

    /// Whether a host enrolled after the plan.
    fn late(&self, host: HostId) -> bool {
        self.plan.enrolled_max.is_none_or(|last| host > last)
    }

    /// Late hosts are known from their first news on, while the rollout may still hand them something.
    fn make_known(&mut self, host: HostId) {
        let at = column(host);
        if at >= self.marks.len() && self.live() && self.late(host) && self.plan.order.is_none() {
            self.marks.resize(at + 1, Marks::default());
            self.confirmed_at.resize(at + 1, Time(0));
        }
    }

    /// What a host's news means here. `bad`: it counts as a report, were the host treated or not.
    pub fn host_changed(
        &mut self,
        at: Time,
        before: &[ComponentStatus],
        change: &HostChange,
        bad: bool,
    ) {
        self.make_known(change.host);
        let late = self.late(change.host);
        let at_column = column(change.host);
        let marks = self.marks.get_mut(at_column).zip(self.confirmed_at.get_mut(at_column));
        let of = (&self.plan.component, self.plan.release);
        if let Some(marks) = marks {
            // What befell a late host before it took the release is no report: it is in no arm.
            let counts = !late || marks.0.has(Marks::CONFIRMED);
            noted::changed(marks, of, at, before, change, bad && counts);
        }
    }

    /// Hosts covered by the issued tickets, per stratum.
    #[must_use]
    pub fn handed(&self) -> &[u32] {
        self.waves.last().map_or(&[], |wave| &wave.handed)
    }

    /// Whether it may still widen.
    #[must_use]
    pub fn live(&self) -> bool {
        self.wish == Wish::Serve
    }
    /// Whether it reached everybody.
    #[must_use]
    pub fn completed(&self) -> bool {
        self.wish == Wish::Complete
    }
    /// Whether it is over for good.
    #[must_use]
    pub fn halted(&self) -> bool {
        matches!(self.wish, Wish::Stop(_))
    }
}

/// Hosts of each stratum in order of their positions, and the commitment to it if groups made it.
fn ordered(plan: &Plan, hosts: &[HostState]) -> (Vec<Vec<HostId>>, Option<Commitment>) {
    let Some(bound) = &plan.order else { return (by_hash(plan, hosts), None) };
    let made = group_order::of(plan, &bound.budgets, hosts).ok().flatten();
    match made.filter(|made| made.order == *bound) {
        Some(made) => (by_place(plan, &made.places), Some(made.order.commitment)),
        // Another order than was promised: nobody has a place, so nothing is handed out.
        None => (vec![Vec::new(); plan.strata.len()], None),
    }
}

fn by_place(plan: &Plan, places: &[Option<order::Place>]) -> Vec<Vec<HostId>> {
    let mut order: Vec<Vec<(u32, HostId)>> = vec![Vec::new(); plan.strata.len()];
    for (at, place) in places.iter().enumerate() {
        if let (Some((stratum, rank)), Some(id)) = (place, host_at(at))
            && let Some(hosts) = order.get_mut(usize::from(*stratum))
        {
            hosts.push((*rank, id));
        }
    }
    order.into_iter().map(sorted).collect()
}

fn by_hash(plan: &Plan, hosts: &[HostState]) -> Vec<Vec<HostId>> {
    let mut order: Vec<Vec<(Position, HostId)>> = vec![Vec::new(); plan.strata.len()];
    for (at, host) in hosts.iter().enumerate() {
        let Some(stratum) = host.stratum_in(&plan.terms) else { continue };
        let stratum = plan.strata.binary_search_by(|s| s.stratum.cmp(&stratum));
        if let (Ok(stratum), Some(id)) = (stratum, host_at(at))
            && let Some(position) = plan.position(id)
        {
            order[stratum].push((position, id));
        }
    }
    order.into_iter().map(sorted).collect()
}

fn sorted<K: Ord>(mut hosts: Vec<(K, HostId)>) -> Vec<HostId> {
    hosts.sort_unstable();
    hosts.into_iter().map(|(_, host)| host).collect()
}
