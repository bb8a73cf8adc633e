//! Everything that can happen in a state, and what follows from it.
use crate::Line;
use crate::journal::{Journal, Look, Record};
use crate::plan::{BUDGET, DELTA_PPM, FIRST_WAVE};
use crate::properties;
use crate::state::{Heard, Host, Leader, Past, Signed, State};
use andon_rollout::{Exposure, StateName};
use stateright::{Model, Property};
use std::sync::Arc;

/// One thing that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// this leader takes the lease: by the store's clock the old one is over
    Lead(usize),
    /// this leader's process ends
    Crash(usize),
    /// this leader writes a record and acts on it
    Write(usize, Record),
    /// this leader publishes the freeze that its journal asks for
    Freeze(usize),
    /// nothing more is written; what was published still travels
    Close,
    /// a message arrives at an edge
    ToEdge(usize, Message),
    /// a message arrives at a host: from this edge, or out of the blue if there are none
    ToHost(usize, Option<usize>, Message),
    /// a host that holds a covering ticket starts the release
    Activate(usize),
}

/// What travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// the ticket of this number, from 1
    Ticket(u8),
    /// the freeze
    Freeze,
}

impl Model for Line {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            journal: Arc::clone(&self.root),
            token: 0,
            leaders: [Leader::default(), Leader::default()],
            crashes: 0,
            tickets: Vec::new(),
            frozen: false,
            edges: vec![Heard::default(); self.limits.edges],
            hosts: vec![Host::default(); self.ranks.len()],
            open: true,
            past: Past::default(),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.open {
            self.leaders_act(state, actions);
        }
        if self.limits.interleaved || !state.open {
            self.network_acts(state, actions);
        } else {
            actions.push(Action::Close);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        match action {
            Action::Lead(leader) => self.lead(&mut state, leader),
            Action::Crash(leader) => {
                state.leaders[leader].view = None;
                state.crashes += 1;
                Some(())
            }
            Action::Write(leader, record) => self.write(&mut state, leader, record),
            Action::Freeze(_) => (!std::mem::replace(&mut state.frozen, true)).then_some(()),
            Action::Close => self.close(&mut state),
            Action::ToEdge(edge, message) => hear(&mut state.edges[edge], message, true),
            Action::ToHost(host, _, message) => self.to_host(&mut state, host, message),
            Action::Activate(host) => self.activate(&mut state, host),
        }?;
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Line>> {
        properties::all()
    }
}

impl Line {
    fn leaders_act(&self, state: &State, actions: &mut Vec<Action>) {
        for (number, leader) in state.leaders.iter().enumerate() {
            let newest = leader.token == state.token && leader.view.is_some();
            if state.token < self.limits.leases && !newest {
                actions.push(Action::Lead(number));
            }
            let Some(view) = &leader.view else { continue };
            if state.crashes < self.limits.crashes {
                actions.push(Action::Crash(number));
            }
            if view.halted() {
                actions.push(Action::Freeze(number));
            }
            let records = self.records(view).into_iter();
            actions.extend(records.map(|record| Action::Write(number, record)));
        }
    }

    /// What a leader that knows `view` may write next. People are alike: a new one has the next number.
    fn records(&self, view: &Journal) -> Vec<Record> {
        let mut out = Vec::new();
        let (limits, state) = (&self.limits, view.state());
        let people = u8::try_from(view.people()).unwrap_or(u8::MAX);
        let room = |limit: u8, wanted: fn(&Record) -> bool| view.count(wanted) < usize::from(limit);
        if state == StateName::AwaitingApproval
            && room(limits.approvals, |record| matches!(record, Record::Approved(_)))
        {
            out.push(Record::Approved(people));
            out.extend((people > 0).then_some(Record::Approved(0)));
        }
        if let Some(exposure) = view.due() {
            out.push(Record::Issued(exposure.generation));
        }
        let live = matches!(state, StateName::Exposing | StateName::Held);
        let looked = !view.rollout().waves().is_empty() && live;
        if looked && room(limits.looks, |record| matches!(record, Record::Saw(_))) {
            out.extend([Look::Pass, Look::Wait, Look::Fail].map(Record::Saw));
        }
        if room(limits.acts, is_act) {
            match state {
                StateName::Held => out.extend([Record::Resumed, Record::Halted]),
                StateName::Exposing | StateName::AwaitingApproval => {
                    out.extend([Record::Held, Record::Halted, Record::ActionFailed]);
                }
                // Nothing leads out of a halt, so somebody must try.
                StateName::Halted => out.push(Record::Resumed),
                _ => (),
            }
        }
        out
    }

    fn lead(&self, state: &mut State, leader: usize) -> Option<()> {
        state.token += 1;
        let view = Some(Arc::clone(&state.journal));
        state.leaders[leader] = Leader { token: state.token, view };
        Some(())
    }

    fn write(&self, state: &mut State, leader: usize, record: Record) -> Option<()> {
        let view = state.leaders[leader].view.clone()?;
        let stale = state.leaders[leader].token < state.token;
        if stale && self.safeguards.fencing {
            // Refused: it knows now that it does not lead.
            state.leaders[leader].view = None;
            state.past.refused = true;
            return Some(());
        }
        let grown = view.append(record)?;
        let halts = grown.halted() && !view.halted();
        if self.safeguards.journal_first || !halts {
            let same = state.journal == view;
            state.journal = if same { Arc::clone(&grown) } else { state.journal.append(record)? };
            state.past.stale_written |= stale;
        }
        if let (Record::Issued(_), Some(exposure)) = (record, view.due()) {
            let ticket = self.sign(&view, exposure, state.past.halted);
            state.tickets.push(ticket);
        }
        state.past.halted |= halts;
        state.leaders[leader].view = Some(grown);
        Some(())
    }

    /// Signs, and notes by rules of the model's own whether it should have been.
    fn sign(&self, view: &Journal, exposure: &Exposure, after_halt: bool) -> Signed {
        let handed: u32 = exposure.handed.iter().sum();
        Signed {
            generation: exposure.generation,
            handed,
            people: view.people(),
            within_budget: within_budget(view, handed),
            after_halt,
        }
    }

    fn close(&self, state: &mut State) -> Option<()> {
        state.open = false;
        state.journal = Arc::clone(&self.root);
        state.leaders = [Leader::default(), Leader::default()];
        (state.token, state.crashes) = (0, 0);
        Some(())
    }

    fn network_acts(&self, state: &State, actions: &mut Vec<Action>) {
        let count = u8::try_from(state.tickets.len()).unwrap_or(u8::MAX);
        let published: Vec<Message> = (1..=count)
            .map(Message::Ticket)
            .chain(state.frozen.then_some(Message::Freeze))
            .collect();
        for edge in 0..state.edges.len() {
            actions.extend(published.iter().map(|message| Action::ToEdge(edge, *message)));
        }
        for (host, _) in state.hosts.iter().enumerate() {
            if state.edges.is_empty() {
                let all = published.iter().map(|message| Action::ToHost(host, None, *message));
                actions.extend(all);
            }
            for (edge, held) in state.edges.iter().enumerate() {
                let from = |message| Action::ToHost(host, Some(edge), message);
                actions.extend((held.ticket > 0).then(|| from(Message::Ticket(held.ticket))));
                actions.extend(held.frozen.then(|| from(Message::Freeze)));
            }
            actions.push(Action::Activate(host));
        }
    }

    fn to_host(&self, state: &mut State, host: usize, message: Message) -> Option<()> {
        let heard = &mut state.hosts[host].heard;
        let before = heard.ticket;
        hear(heard, message, self.safeguards.host_refuses_stale)?;
        state.past.went_back |= heard.ticket < before;
        Some(())
    }

    fn activate(&self, state: &mut State, number: usize) -> Option<()> {
        let host = &mut state.hosts[number];
        let held = usize::from(host.heard.ticket).checked_sub(1)?;
        let covered = self.ranks[number] < state.tickets[held].handed;
        let stopped = host.heard.frozen && self.safeguards.host_obeys_freeze;
        if host.active || stopped || (!covered && self.safeguards.host_checks_ceiling) {
            return None;
        }
        host.active = true;
        state.past.activated_frozen |= host.heard.frozen;
        state.past.activated_beyond |= !covered;
        Some(())
    }
}

/// Takes a message in; `None` if nothing is new.
fn hear(heard: &mut Heard, message: Message, refuses_stale: bool) -> Option<()> {
    let before = *heard;
    match message {
        Message::Ticket(number) if number > heard.ticket || !refuses_stale => {
            heard.ticket = number;
        }
        Message::Ticket(_) => return None,
        Message::Freeze => heard.frozen = true,
    }
    (*heard != before).then_some(())
}

fn is_act(record: &Record) -> bool {
    matches!(record, Record::Held | Record::Resumed | Record::Halted | Record::ActionFailed)
}

/// The budget by a rule that shares nothing with the gate: no bound on the failure rate can be below
/// 1 − δ^(1/v) after v vouched hosts, even if none of them failed. So of those not vouched, at most
/// (B − failed so far) over that may be out. Controls that failed too may explain the failures.
fn within_budget(view: &Journal, handed: u32) -> bool {
    let (treated, controls) = view.bad();
    if view.vouched() == 0 {
        return handed <= FIRST_WAVE;
    }
    #[expect(clippy::cast_precision_loss, reason = "a few dozen")]
    let budget = BUDGET as f64;
    let left = budget - if controls == 0 { f64::from(treated) } else { 0.0 };
    let delta = f64::from(DELTA_PPM) / 1e6;
    let rate = 1.0 - delta.powf(1.0 / f64::from(view.vouched()));
    f64::from(handed) <= f64::from(view.vouched()) + left.max(0.0) / rate
}
