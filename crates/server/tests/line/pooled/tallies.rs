//! A gate verifier of a vendor line adds the members' tallies up again: the server's word for a sum is
//! not enough.
use super::world::World;
use crate::rig::*;
use andon_model::envelope::{Envelope, PayloadType};
use andon_model::text::Text;
use andon_model::{Digest, OperatorId};
use andon_rollout::lines::{LineTally, MemberStanding};
use andon_rollout::{Event, Observation};
use andon_server::pooled::kept::TallyRefusal;
use andon_server::record::Record;
use andon_server::store::Entry;
use andon_server::verifier::record::Memory;
use andon_server::verifier::{Doubt, Named, TallyDoubt, Verifier};
use axum::http::Method;

/// Some rounds of two members, of which the second has halted in the last but one.
async fn pooled() -> World {
    let mut world = World::two().await;
    for _ in 0..6 {
        world.second(&[0, 1]).await;
    }
    let why = Text::clipped("its gate halted it");
    world.members[1].standing = MemberStanding::Halted { why };
    world.second(&[0, 1]).await;
    world.second(&[0, 1]).await;
    world
}

fn memory(world: &World) -> Memory {
    Memory::new(world.line.policy.line.clone())
}

fn kept(world: &World, named: &Named) -> Option<Vec<u8>> {
    std::fs::read(world.line.tally_file(named)).ok()
}

fn read(world: &World, rows: &[Entry]) -> Result<Verifier, (u64, Doubt)> {
    world.line.verify(rows, memory(world), |named| kept(world, named))
}

/// The same rows with one record told differently; the first that `change` answers true for.
fn told(world: &World, mut change: impl FnMut(&mut Record) -> bool) -> Vec<Entry> {
    let mut rows = world.line.journal.rows();
    let mut changed = rows.iter_mut().filter_map(|row| {
        let mut record: Record = serde_json::from_str(&row.json).unwrap();
        change(&mut record).then(|| row.json = serde_json::to_string(&record).unwrap())
    });
    assert!(changed.next().is_some(), "no record was changed");
    drop(changed);
    rows
}

/// The same rows but for the first such record, numbered again.
fn without(world: &World, is_it: impl Fn(&Record) -> bool) -> Vec<Entry> {
    let mut rows = world.line.journal.rows();
    let read = |row: &Entry| serde_json::from_str::<Record>(&row.json).unwrap();
    let at = rows.iter().position(|row| is_it(&read(row))).unwrap();
    rows.remove(at);
    for (seq, row) in (1..).zip(&mut rows) {
        row.seq = seq;
    }
    rows
}

fn observed(record: &mut Record) -> Option<&mut Observation> {
    match record {
        Record::Rollout { event: Event::Observed(seen), .. } => Some(seen),
        _ => None,
    }
}

type Lie = fn(&mut Observation) -> bool;

/// Mutant: verifier-tallies-unchecked.
#[tokio::test]
async fn a_sum_that_is_not_what_the_members_have_told_is_doubted() {
    let world = pooled().await;
    read(&world, &world.line.journal.rows()).unwrap();
    let lies: [(&str, Lie); 5] = [
        ("one more has confirmed", |seen| {
            let wave = seen.strata[0].waves.first_mut();
            wave.is_some_and(|wave| {
                wave.confirmed += 1;
                true
            })
        }),
        ("more are through", |seen| {
            let window = seen.strata[0].windows.first_mut().filter(|it| it.at_risk > 0);
            window.is_some_and(|window| {
                (window.clean, window.at_risk) = (window.clean + window.at_risk, 0);
                true
            })
        }),
        ("fewer controls", |seen| {
            seen.strata[1].controls.hosts -= 1;
            true
        }),
        ("one was silent", |seen| {
            seen.strata[1].controls.silence.new += 1;
            true
        }),
        ("one went back", |seen| {
            let wave = seen.strata[0].waves.first_mut();
            wave.is_some_and(|wave| {
                wave.fell_back += 1;
                true
            })
        }),
    ];
    for (what, lie) in lies {
        let rows = told(&world, |record| observed(record).is_some_and(lie));
        let (_, doubt) = read(&world, &rows).unwrap_err();
        let sum = "they are not what the members' tallies add up to";
        assert!(matches!(doubt, Doubt::Counts { what, .. } if what == sum), "{what}: {doubt:?}");
    }
}

/// Mutant: verifier-tallies-unnamed.
#[tokio::test]
async fn every_round_names_the_tallies_of_those_that_are_awaited() {
    let world = pooled().await;
    let what = |rows: &[Entry]| match read(&world, rows) {
        Err((_, Doubt::Counts { what, .. })) => what,
        other => panic!("{other:?}"),
    };
    let names = |change: fn(&mut Vec<(OperatorId, Digest)>)| {
        told(&world, |record| match record {
            Record::TalliesPooled { tallies, .. } => {
                change(tallies);
                true
            }
            _ => false,
        })
    };
    let awaited = "they are not those of the members that are awaited";
    assert_eq!(what(&names(|it| drop(it.pop()))), awaited);
    assert_eq!(what(&names(|it| it.reverse())), awaited);
    let numbers = |change: fn(&mut u64, &mut u32)| {
        told(&world, |record| match record {
            Record::TalliesPooled { round, generation, .. } => {
                change(round, generation);
                true
            }
            _ => false,
        })
    };
    // Before any file of theirs is asked for.
    for rows in [numbers(|round, _| *round += 1), numbers(|_, generation| *generation += 1)] {
        let (_, doubt) = world.line.verify(&rows, memory(&world), |_| None).unwrap_err();
        let due = "they are of another round than the one that is due";
        assert!(matches!(doubt, Doubt::Counts { what, .. } if what == due), "{doubt:?}");
    }
    // Told of no tallies at all.
    let rows = without(&world, |record| matches!(record, Record::TalliesPooled { .. }));
    assert_eq!(what(&rows), "no tallies are named for them");
}

/// Mutant: verifier-halt-unheard.
#[tokio::test]
async fn a_halt_that_a_members_tally_tells_is_in_the_journal_with_the_hold_before_it() {
    let world = pooled().await;
    let is_halt = |record: &Record| matches!(record, Record::MemberHalted { .. });
    let is_hold = |record: &Record| {
        matches!(record, Record::Rollout { event: Event::ActionFailed { .. }, .. })
    };
    let (unheard, no_hold) = (without(&world, is_halt), without(&world, is_hold));
    for rows in [unheard, no_hold] {
        let (_, doubt) = read(&world, &rows).unwrap_err();
        let halt = "a member's halt in them was not heard";
        assert!(matches!(doubt, Doubt::Counts { what, .. } if what == halt), "{doubt:?}");
    }
}

/// Mutant: verifier-tally-key-unchecked.
#[tokio::test]
async fn a_tally_that_is_missing_altered_or_a_strangers_is_named() {
    let world = pooled().await;
    let rows = world.line.journal.rows();
    let b = |named: &Named| named.operator.as_str() == "b" && named.due.round == 3;
    let doubt = |rows: &[Entry], change: &dyn Fn(Option<Vec<u8>>) -> Option<Vec<u8>>| {
        let tally = |named: &Named| match kept(&world, named) {
            bytes if b(named) => change(bytes),
            bytes => bytes,
        };
        match world.line.verify(rows, memory(&world), tally) {
            Err((_, Doubt::Tally { named, why })) if b(&named) => why,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(doubt(&rows, &|_| None), TallyDoubt::Missing));
    let cut = |bytes: Option<Vec<u8>>| bytes.map(|mut bytes| bytes.split_off(1));
    assert!(matches!(doubt(&rows, &cut), TallyDoubt::Digest));
    // Other tallies that the journal names: by a stranger, of another round, of other hosts; or signed by
    // the member, and with another sum than was observed.
    let folders = std::fs::read_dir(world.line.folder.path().join("tallies/r1")).unwrap();
    let mut folders = folders.map(|folder| folder.unwrap().path());
    let third = folders.find(|it| it.file_name().unwrap().to_string_lossy().starts_with("3-"));
    let honest = std::fs::read(third.unwrap().join("b.json")).unwrap();
    let honest = Envelope::parse(&honest).unwrap();
    let tally: LineTally = serde_json::from_slice(&honest.payload).unwrap();
    let instead = |number: u8, change: fn(&mut LineTally)| {
        let mut tally = tally.clone();
        change(&mut tally);
        let text = serde_json::to_vec(&tally).unwrap();
        let bytes = key(number).seal(PayloadType::Tally, &text).to_bytes();
        let digest = Digest::of(&bytes);
        let rows = told(&world, |record| match record {
            Record::TalliesPooled { round: 3, tallies, .. } => {
                tallies[1].1 = digest;
                true
            }
            _ => false,
        });
        (rows, bytes)
    };
    let doubted = |number: u8, change: fn(&mut LineTally)| {
        let (rows, bytes) = instead(number, change);
        doubt(&rows, &move |_| Some(bytes.clone()))
    };
    let stranger = doubted(21, |_| ());
    let refused = matches!(stranger, TallyDoubt::Refused(TallyRefusal::Signature(..)));
    assert!(refused, "a's key, not b's: {stranger:?}");
    assert!(matches!(doubted(22, |tally| tally.round = 2), TallyDoubt::Elsewhere));
    let hosts = doubted(22, |tally| tally.strata[0].tally.controls.hosts -= 1);
    assert!(matches!(hosts, TallyDoubt::Counts(_)), "{hosts:?}");
    let (rows, bytes) = instead(22, |tally| tally.strata[0].tally.controls.confirmed += 1);
    let tally = |named: &Named| if b(named) { Some(bytes.clone()) } else { kept(&world, named) };
    let (_, doubt) = world.line.verify(&rows, memory(&world), tally).unwrap_err();
    let sum = "they are not what the members' tallies add up to";
    assert!(matches!(doubt, Doubt::Counts { what, .. } if what == sum), "{doubt:?}");
}

#[tokio::test]
async fn what_was_added_up_before_a_restart_is_not_fetched_again() {
    let world = pooled().await;
    let rows = world.line.journal.rows();
    let memory = read(&world, &rows).unwrap().memory().clone();
    let nothing = |named: &Named| -> Option<Vec<u8>> { panic!("{named:?}") };
    world.line.verify(&rows, memory, nothing).unwrap();
}

#[tokio::test]
async fn pooled_tallies_are_served_as_they_came_and_those_of_an_open_round_are_not() {
    let mut world = World::two().await;
    world.second(&[0, 1]).await;
    world.wait(1000);
    let round = world.round().await;
    assert_eq!(world.answer(0).await.0, 200);
    let path = |round: u64, generation: u32, operator: &str| {
        format!("/v1/line/tallies/r1/{round}-{generation}/{operator}")
    };
    let open = path(round.round, round.generation, "a");
    let get = async |world: &mut World, path: &str| {
        let (status, body) = send(&mut world.server, Method::GET, path, vec![]).await;
        (status.as_u16(), body)
    };
    assert_eq!(get(&mut world, &open).await.0, 404, "not counted yet");
    assert_eq!(world.answer(1).await.0, 200);
    world.tick().await;
    let sent = world.members[0].sent().unwrap().to_bytes();
    assert_eq!(get(&mut world, &open).await, (200, sent));
    for (path, status) in [
        (path(round.round, round.generation, "c"), 404),
        (path(round.round, round.generation + 1, "a"), 404),
        (path(u64::MAX, 1, "a"), 404),
        ("/v1/line/tallies/r1/1/a".to_owned(), 400),
        ("/v1/line/tallies/r1/x-1/a".to_owned(), 400),
        ("/v1/line/tallies/other/1-1/a".to_owned(), 404),
        ("/v1/line/tallies/r1/1-1/..%2Fa".to_owned(), 400),
    ] {
        assert_eq!(get(&mut world, &path).await.0, status, "{path}");
    }
}
