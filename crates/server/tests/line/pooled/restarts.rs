//! The vendor line's server loses power in the middle of a round.
use super::world::World;
use crate::rig::{post, words};

#[tokio::test]
async fn after_a_restart_the_same_round_is_due_and_no_tally_counts_twice() {
    let mut world = World::two().await;
    for _ in 0..4 {
        world.second(&[0, 1]).await;
    }
    world.wait(1000);
    assert_eq!(world.answer(0).await.0, 200);
    let (due, fold) = (world.round().await, words(&world.server));
    let seen = world.observations();
    world = world.restart().await;
    assert_eq!(words(&world.server), fold, "replay differs");
    assert_eq!(world.round().await, due);
    // Sent again it is the same tally; what was acknowledged is on disk and was not forgotten.
    assert_eq!(world.answer(0).await.0, 200);
    assert_eq!(world.answer(1).await.0, 200);
    world.tick().await;
    assert_eq!(world.round().await.round, due.round + 1);
    assert_eq!(world.observations(), seen + 1);
    world.tick().await;
    assert_eq!(world.observations(), seen + 1, "a round was pooled twice");
}

#[tokio::test]
async fn a_member_need_not_know_of_the_vendor_lines_restart() {
    let mut world = World::two().await;
    world.second(&[0, 1]).await;
    world.wait(1000);
    assert_eq!(world.answer(0).await.0, 200);
    let due = world.round().await.round;
    world = world.restart().await;
    assert_eq!(world.answer(1).await.0, 200);
    world.tick().await;
    assert_eq!(world.round().await.round, due + 1, "an acknowledged tally was lost");
}

#[tokio::test]
async fn a_tally_that_stands_on_disk_and_was_pooled_is_late_after_a_restart() {
    let mut world = World::two().await;
    for _ in 0..3 {
        world.second(&[0, 1]).await;
    }
    let late = world.members[0].sent().unwrap();
    world = world.restart().await;
    let (status, answer) = post(&mut world.server, "/v1/line/tallies", &late).await;
    assert_eq!(status, 409, "{answer}");
    assert_eq!(answer["due"]["round"], world.round().await.round, "{answer}");
}

#[tokio::test]
async fn a_tally_that_cannot_be_kept_is_not_acknowledged() {
    let mut world = World::two().await;
    world.second(&[0, 1]).await;
    world.wait(1000);
    let round = world.round().await;
    let folder = world.line.folder.path().join("tallies/r1");
    // A file stands where the round's folder should be.
    let path = folder.join(format!("{}-{}", round.round, round.generation));
    std::fs::write(&path, b"in the way").unwrap();
    assert_eq!(world.answer(0).await.0, 500);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(world.answer(0).await.0, 200, "it may be sent again");
    assert_eq!(world.answer(1).await.0, 200);
    world.tick().await;
    assert_eq!(world.round().await.round, round.round + 1);
}
