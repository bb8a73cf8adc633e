//! Gate verifiers: no host obeys a ticket that they have not cosigned, and they cosign only what the
//! journal, the signed policy and the gate call for.
use crate::rig::*;
use crate::rollouts::{get, second_without, ticket};
use andon_model::command::Verb;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::policy::Policy;
use andon_model::position::Position;
use andon_model::text::Text;
use andon_model::ticket::{Newcomers, Ticket};
use andon_model::verifiers::Verifier as Named;
use andon_model::{Digest, Millis, RolloutId, Time, VerifierId};
use andon_rollout::{Event, Plan};
use andon_server::record::Record;
use andon_server::serve::Server;
use andon_server::verifier::record::{Asked, AskedTicket, Memory};
use andon_server::verifier::{Doubt, Refused, Verifier};
use andon_trust::sign::SigningKey;
use andon_trust::ticket::{TicketRefusal, verify};

const TICKET: &str = "/v1/lines/operator:clinic/tickets/r1.json";
const WAITING: &str = "/v1/lines/operator:clinic/waiting";
const COSIGN: &str = "/v1/lines/operator:clinic/cosignatures";

fn verifier_key(number: u8) -> SigningKey {
    key(100 + number)
}

/// A line with three verifiers, of whom `needed` must cosign.
fn line(needed: u32) -> Line {
    Line::made("operator:clinic", |policy| {
        policy.verifiers.needed = needed;
        policy.verifiers.keys = (1..=3)
            .map(|number| Named {
                name: VerifierId::new(&format!("v{number}")).unwrap(),
                key: verifier_key(number).public(),
            })
            .collect();
    })
}

fn at(second: u64) -> Time {
    Time(START.0 + second * 1000)
}

async fn begin(line: &Line, hosts: u64) -> (Server, Digest) {
    let mut server = line.open(START).await.unwrap();
    enrol(&mut server, hosts).await;
    let release = line.publish(&mut server, 1).await;
    let command = line.command("1", START, start("r1", release));
    assert_eq!(post(&mut server, "/v1/commands", &command).await.0, 200);
    (server, release)
}

async fn asked(server: &mut Server) -> Vec<AskedTicket> {
    let asked: Asked = serde_json::from_slice(&get(server, WAITING).await).unwrap();
    asked.tickets
}

async fn rows(server: &mut Server, after: u64) -> Vec<String> {
    let page = get(server, &format!("/v1/journal?after={after}")).await;
    String::from_utf8(page).unwrap().lines().map(str::to_owned).collect()
}

struct Watcher {
    verifier: Verifier,
    key: SigningKey,
}

impl Watcher {
    fn new(line: &Line, number: u8) -> Watcher {
        Watcher::remembering(line, number, Memory::new(line.policy.line.clone()))
    }

    fn remembering(line: &Line, number: u8, memory: Memory) -> Watcher {
        let verifier = Verifier::new(line.inputs.anchor.clone(), memory);
        Watcher { verifier, key: verifier_key(number) }
    }

    async fn follow(&mut self, server: &mut Server, until: Option<u64>) -> Result<(), Doubt> {
        let now = server.app.now();
        loop {
            let page = rows(server, self.verifier.seq()).await;
            if page.is_empty() {
                return self.verifier.at_end();
            }
            for row in page {
                if until.is_some_and(|until| self.verifier.seq() >= until) {
                    return Ok(());
                }
                self.verifier.follow(&row, now)?;
            }
        }
    }

    fn signed(&self, ticket: &AskedTicket) -> Envelope {
        let mut envelope = ticket.envelope.clone();
        envelope.signatures.clear();
        self.key.add(&mut envelope);
        envelope
    }

    /// Looks at whatever waits; cosigns or says why not.
    async fn look(&mut self, server: &mut Server) -> Vec<Result<Ticket, Refused>> {
        let mut said = Vec::new();
        for ticket in asked(server).await {
            self.follow(server, Some(ticket.seq)).await.unwrap();
            let judged = self.verifier.judge(&ticket, server.app.now());
            if judged.is_ok() {
                let (status, answer) = post(server, COSIGN, &self.signed(&ticket)).await;
                assert_eq!(status, 200, "{answer}");
            }
            said.push(judged);
        }
        self.follow(server, None).await.unwrap();
        said
    }
}

#[tokio::test]
async fn a_ticket_is_served_once_enough_verifiers_have_cosigned_it_and_hosts_ask_for_no_less() {
    let line = line(2);
    let (mut server, _) = begin(&line, 60).await;
    let waiting = asked(&mut server).await;
    assert_eq!(waiting.len(), 1);
    let told = async |server: &mut Server| -> serde_json::Value {
        serde_json::from_slice(&get(server, "/v1/rollouts/r1").await).unwrap()
    };
    let cosignatures = |told: serde_json::Value| told["cosignatures"].clone();
    let missing = send(&mut server, axum::http::Method::GET, TICKET, vec![]).await;
    assert_eq!(missing.0, 404, "nobody has cosigned it");
    let by = |number| Watcher::new(&line, number).signed(&waiting[0]);
    for (envelope, status) in [(by(1), 200), (by(1), 200), (by(9), 401)] {
        assert_eq!(post(&mut server, COSIGN, &envelope).await.0, status);
        let missing = send(&mut server, axum::http::Method::GET, TICKET, vec![]).await;
        assert_eq!(missing.0, 404, "one verifier is not two, however often it signs");
    }
    let mut forged = by(2);
    forged.signatures[0].sig = by(1).signatures[0].sig;
    assert_eq!(post(&mut server, COSIGN, &forged).await.0, 401);
    let now = told(&mut server).await;
    assert_eq!(cosignatures(now)["have"], serde_json::json!(["v1"]));
    let (status, answer) = post(&mut server, COSIGN, &by(3)).await;
    assert_eq!((status.as_u16(), answer["have"].as_array().unwrap().len()), (200, 2), "{answer}");
    let served = Envelope::parse(&get(&mut server, TICKET).await).unwrap();
    assert_eq!(served.payload, waiting[0].envelope.payload);
    assert!(cosignatures(told(&mut server).await).is_null(), "nothing waits any more");
    assert_eq!(post(&mut server, COSIGN, &by(2)).await.0, 409);
    verify(&served, &line.policy, at(0), None).unwrap();
    for left in 1..served.signatures.len() {
        let mut fewer = served.clone();
        fewer.signatures.remove(left);
        let refused = verify(&fewer, &line.policy, at(0), None).unwrap_err();
        assert!(matches!(refused, TicketRefusal::Cosignatures { got: 1, want: 2 }), "{refused}");
    }
    let mut twice = served.clone();
    twice.signatures[2] = twice.signatures[1].clone();
    assert!(matches!(
        verify(&twice, &line.policy, at(0), None),
        Err(TicketRefusal::Cosignatures { got: 1, want: 2 })
    ));
}

#[tokio::test]
async fn two_verifiers_follow_a_whole_rollout_through_restarts_and_cosign_every_ticket() {
    let line = line(2);
    let (mut server, release) = begin(&line, 60).await;
    let mut watchers = [Watcher::new(&line, 1), Watcher::new(&line, 2)];
    for watcher in &mut watchers {
        watcher.look(&mut server).await;
    }
    let mut waves = 0;
    for second in 1..200 {
        second_without(&mut server, 60, &[], (release, "r1"), second).await;
        for watcher in &mut watchers {
            for judged in watcher.look(&mut server).await {
                let ticket = judged.unwrap();
                waves = waves.max(ticket.generation);
            }
        }
        if second % 7 == 0 {
            server = line.restart(server).await;
            let memory = watchers[0].verifier.memory().clone();
            watchers[0] = Watcher::remembering(&line, 1, memory);
            server.driver.tick().await.unwrap();
            for watcher in &mut watchers {
                watcher.look(&mut server).await;
            }
        }
        if server.app.core().state.rollouts.values().all(|rollout| rollout.completed()) {
            break;
        }
    }
    let last = ticket(&mut server, "r1").await;
    assert_eq!(last.newcomers, Newcomers::Included, "it reached everybody");
    assert!(waves > 2, "{waves}");
}

/// What a thief of the online key would rather have signed.
fn forge(
    online: &SigningKey,
    asked: &AskedTicket,
    change: impl FnOnce(&mut Ticket),
) -> AskedTicket {
    let mut ticket = Ticket::parse(&asked.envelope.payload).unwrap();
    change(&mut ticket);
    let envelope = online.seal(PayloadType::Ticket, &serde_json::to_vec(&ticket).unwrap());
    AskedTicket { envelope, ..asked.clone() }
}

#[tokio::test]
async fn tickets_that_the_journal_does_not_call_for_are_not_cosigned() {
    let line = line(1);
    let (mut server, _) = begin(&line, 60).await;
    let mut watcher = Watcher::new(&line, 1);
    let ticket = asked(&mut server).await.remove(0);
    let early = watcher.verifier.judge(&ticket, at(0)).unwrap_err();
    assert!(matches!(early, Refused::Behind { have: 0, .. }), "{early}");
    watcher.follow(&mut server, None).await.unwrap();
    watcher.verifier.judge(&ticket, at(0)).unwrap();
    let forged = |change: fn(&mut Ticket)| forge(&line.inputs.online, &ticket, change);
    // The highest position with as many hosts as before: hosts alone cannot tell.
    let everybody = forged(|ticket| ticket.ceilings[0].position_max = Some(Position(u64::MAX)));
    let mut bare = line.policy.clone();
    bare.verifiers = Default::default();
    verify(&everybody.envelope, &bare, at(0), None).unwrap();
    let refused = watcher.verifier.judge(&everybody, at(0)).unwrap_err();
    assert!(matches!(refused, Refused::Differs("ceilings")), "{refused}");
    for (what, forged) in [
        ("steps", forged(|ticket| ticket.steps[0].at = Time(ticket.steps[0].at.0 - 1))),
        ("seed", forged(|ticket| ticket.seed = Digest::of(b"mine"))),
        ("release", forged(|ticket| ticket.release = Digest::of(b"mine"))),
        ("evidence", forged(|ticket| ticket.evidence = Digest::of(b"none"))),
        ("time", forged(|ticket| ticket.not_after = Time(u64::MAX))),
    ] {
        let refused = watcher.verifier.judge(&forged, at(0)).unwrap_err();
        assert!(matches!(refused, Refused::Differs(named) if named == what), "{what}: {refused}");
    }
    let many = forged(|ticket| {
        ticket.ceilings[0].handed = 60;
        ticket.steps[0].handed = 60;
    });
    let refused = watcher.verifier.judge(&many, at(0)).unwrap_err();
    assert!(matches!(refused, Refused::Ticket(TicketRefusal::Growth(1))), "{refused}");
    let stranger = forge(&key(9), &ticket, |_| ());
    let refused = watcher.verifier.judge(&stranger, at(0)).unwrap_err();
    assert!(matches!(refused, Refused::Ticket(TicketRefusal::Signature(_))), "{refused}");
    let refused = watcher.verifier.judge(&ticket, at(90)).unwrap_err();
    assert!(matches!(refused, Refused::Stale(_)), "{refused}");
    let halt =
        Verb::Halt { rollout: RolloutId::new("r1").unwrap(), reason: Text::clipped("enough") };
    let command = line.command("2", START, halt);
    assert_eq!(post(&mut server, "/v1/commands", &command).await.0, 200);
    assert!(asked(&mut server).await.is_empty(), "nobody is asked for what has halted");
    watcher.follow(&mut server, None).await.unwrap();
    let refused = watcher.verifier.judge(&ticket, at(0)).unwrap_err();
    assert!(matches!(refused, Refused::NotWanted), "{refused}");
}

/// Until a ticket of this generation waits; hosts beat every second.
async fn until_asked(
    server: &mut Server,
    watcher: &mut Watcher,
    (release, generation): (Digest, u32),
) -> (AskedTicket, u64) {
    for second in 1..100 {
        second_without(server, 60, &[], (release, "r1"), second).await;
        for ticket in asked(server).await {
            let parsed = Ticket::parse(&ticket.envelope.payload).unwrap();
            if parsed.generation == generation {
                return (ticket, second);
            }
        }
        watcher.look(server).await;
    }
    panic!("no ticket of generation {generation}");
}

#[tokio::test]
async fn a_widening_takes_its_soak_on_the_verifiers_own_clock() {
    let line = line(1);
    let (mut server, release) = begin(&line, 60).await;
    let mut watcher = Watcher::new(&line, 1);
    watcher.look(&mut server).await;
    let (ticket, second) = until_asked(&mut server, &mut watcher, (release, 2)).await;
    watcher.follow(&mut server, Some(ticket.seq)).await.unwrap();
    watcher.verifier.judge(&ticket, at(second)).unwrap();
    // One that hears of it all at once does not take the journal's word for the time.
    let mut late = Watcher::new(&line, 2);
    late.follow(&mut server, Some(ticket.seq)).await.unwrap();
    let refused = late.verifier.judge(&ticket, at(second)).unwrap_err();
    assert!(matches!(refused, Refused::TooSoon(Millis(1000))), "{refused}");
    late.verifier.judge(&ticket, at(second + 1)).unwrap();
}

#[tokio::test]
async fn a_ticket_that_waited_for_long_is_made_again() {
    let line = line(1);
    let (mut server, release) = begin(&line, 60).await;
    let first = asked(&mut server).await.remove(0);
    second_without(&mut server, 60, &[], (release, "r1"), 9).await;
    assert_eq!(asked(&mut server).await, std::slice::from_ref(&first));
    second_without(&mut server, 60, &[], (release, "r1"), 10).await;
    let again = asked(&mut server).await.remove(0);
    let times = [&first, &again].map(|t| Ticket::parse(&t.envelope.payload).unwrap().not_before);
    assert_eq!(times, [at(0), at(10)]);
    let told = get(&mut server, "/v1/rollouts/r1").await;
    let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
    assert_eq!(told["cosignatures"]["since"], serde_json::json!(at(0)), "it waits since then");
    let old = Watcher::new(&line, 1).signed(&first);
    assert_eq!(post(&mut server, COSIGN, &old).await.0, 409);
    let new = Watcher::new(&line, 1).signed(&again);
    assert_eq!(post(&mut server, COSIGN, &new).await.0, 200);
    assert_eq!(ticket(&mut server, "r1").await.not_before, at(10));
}

/// The journal of a rollout in its second wave, line by line.
async fn journal() -> (Line, Vec<String>) {
    let line = line(1);
    let (mut server, release) = begin(&line, 60).await;
    let mut watcher = Watcher::new(&line, 1);
    watcher.look(&mut server).await;
    until_asked(&mut server, &mut watcher, (release, 2)).await;
    let mut all = Vec::new();
    loop {
        let page = rows(&mut server, all.len() as u64).await;
        if page.is_empty() {
            return (line, all);
        }
        all.extend(page);
    }
}

fn read(line: &Line, memory: Option<Memory>, rows: &[String]) -> Result<Memory, Doubt> {
    let memory = memory.unwrap_or_else(|| Memory::new(line.policy.line.clone()));
    let mut verifier = Verifier::new(line.inputs.anchor.clone(), memory);
    rows.iter().try_for_each(|row| verifier.follow(row, at(100)))?;
    verifier.at_end()?;
    Ok(verifier.memory().clone())
}

/// The same rows with one record told differently; the first that `change` answers true for.
fn told(rows: &[String], mut change: impl FnMut(&mut Record) -> bool) -> Vec<String> {
    let mut done = false;
    let tell = |row: &String| {
        let mut value: serde_json::Value = serde_json::from_str(row).unwrap();
        let mut record: Record = serde_json::from_value(value["record"].clone()).unwrap();
        if !done && change(&mut record) {
            done = true;
            value["record"] = serde_json::to_value(&record).unwrap();
            return value.to_string();
        }
        row.clone()
    };
    let told = rows.iter().map(tell).collect();
    assert!(done, "no record was changed");
    told
}

#[tokio::test]
async fn a_journal_that_is_rewritten_or_loses_its_end_is_not_believed() {
    let (line, rows) = journal().await;
    let memory = read(&line, None, &rows).unwrap();
    assert_eq!(memory.seq, rows.len() as u64);
    assert_eq!(read(&line, Some(memory.clone()), &rows).unwrap(), memory, "nothing new");
    let doubt = read(&line, Some(memory.clone()), &rows[..rows.len() - 1]).unwrap_err();
    assert!(matches!(doubt, Doubt::Shorter { .. }), "{doubt}");
    // As good a journal by itself; not the one that was seen.
    let other = told(&rows, |record| match record {
        Record::HostEnrolled { token, .. } => {
            *token = Digest::of(b"another");
            true
        }
        _ => false,
    });
    read(&line, None, &other).unwrap();
    let doubt = read(&line, Some(memory), &other).unwrap_err();
    assert!(matches!(doubt, Doubt::Rewritten(seq) if seq == rows.len() as u64), "{doubt}");
    let mut gap = rows.clone();
    gap.remove(3);
    assert!(matches!(read(&line, None, &gap), Err(Doubt::Gap { last: 3, got: 5 })));
    let mut verifier =
        Verifier::new(line.inputs.anchor.clone(), Memory::new(line.policy.line.clone()));
    let early = verifier.follow(&rows[0], Time(START.0 - 61_000)).unwrap_err();
    assert!(matches!(early, Doubt::Time(1)), "{early}");
}

fn plan(record: &mut Record, change: impl FnOnce(&mut Plan)) -> bool {
    match record {
        Record::RolloutStarted { plan, .. } => {
            change(plan);
            true
        }
        _ => false,
    }
}

#[tokio::test]
async fn plans_counts_and_policies_that_do_not_follow_from_the_journal_are_not_believed() {
    let (line, rows) = journal().await;
    let lies: [(&str, Vec<String>); 6] = [
        (
            "few hosts",
            told(&rows, |record| {
                plan(record, |plan| {
                    plan.enrolled_max = Some(andon_model::HostId::new(20).unwrap());
                    plan.strata[0].size = 20;
                })
            }),
        ),
        ("a large budget", told(&rows, |record| plan(record, |plan| plan.budget[0].1 = 1000))),
        ("no soak", told(&rows, |record| plan(record, |plan| plan.soak_min = Millis(0)))),
        (
            "another seed",
            told(&rows, |record| plan(record, |plan| plan.seed = Digest::of(b"chosen later"))),
        ),
        (
            "a first wave of all",
            told(&rows, |record| plan(record, |plan| plan.first_wave_max = 60)),
        ),
        ("dated ahead", told(&rows, |record| plan(record, |plan| plan.created = at(1)))),
    ];
    for (what, rows) in lies {
        let doubt = read(&line, None, &rows).unwrap_err();
        assert!(matches!(doubt, Doubt::Plan { .. }), "{what}: {doubt}");
    }
    let counts = |change: fn(&mut andon_rollout::StratumTally) -> bool| {
        told(&rows, move |record| match record {
            Record::Rollout { event: Event::Observed(seen), .. } => change(&mut seen.strata[0]),
            _ => false,
        })
    };
    let confirmed = counts(|tally| {
        tally.controls.confirmed += 1;
        true
    });
    let through = counts(|tally| {
        let window = &mut tally.windows[0];
        window.at_risk > 0 && {
            (window.clean, window.at_risk) = (window.clean + window.at_risk, 0);
            true
        }
    });
    let fewer = counts(|tally| {
        tally.controls.hosts -= 1;
        true
    });
    for (what, rows) in [("confirmed", confirmed), ("through", through), ("fewer", fewer)] {
        let doubt = read(&line, None, &rows).unwrap_err();
        assert!(matches!(doubt, Doubt::Counts { .. }), "{what}: {doubt}");
    }
    let policy = told(&rows, |record| match record {
        Record::PolicyAccepted { envelope } => {
            let mut policy = Policy::parse(&envelope.payload).unwrap();
            policy.routine.first_wave_max = 60;
            *envelope =
                line.inputs.online.seal(PayloadType::Policy, &serde_json::to_vec(&policy).unwrap());
            true
        }
        _ => false,
    });
    let doubt = read(&line, None, &policy).unwrap_err();
    assert!(matches!(doubt, Doubt::Policy(1, _)), "{doubt}");
}
