//! The late queue: no credit for missed exposure, the stratum's pace, the budget's room.
use andon_model::Time;
use andon_rollout::late::{Late, LateError, LateQueue, Meanwhile, Pace};

fn pace(vouched: u32, size: u32) -> Pace {
    Pace { vouched, size }
}

/// Hosts 1 … 100 of stratum 0, in order, and 101 … 150 of stratum 1.
fn queue() -> LateQueue {
    let mut queue = LateQueue::new(2);
    for host in 1..=100 {
        queue.join(host, 0, Late::Slept, Time(u64::from(host))).unwrap();
    }
    for host in 101..=150 {
        queue.join(host, 1, Late::Returned, Time(u64::from(host))).unwrap();
    }
    queue
}

fn release(queue: &mut LateQueue, paces: [Pace; 2], room: u64) -> Vec<u32> {
    queue.release(&paces, room, &mut |_| true).unwrap()
}

#[test]
fn late_hosts_go_at_their_stratums_vouched_pace_first_come_first_served() {
    let mut queue = queue();
    let table: [([Pace; 2], u64, Vec<u32>); 8] = [
        ([pace(0, 1000), pace(0, 1000)], 1000, vec![]),
        ([pace(3, 1000), pace(0, 1000)], 1000, vec![1, 2, 3]),
        ([pace(3, 1000), pace(1, 1000)], 1000, vec![101]),
        // a tally that goes back and comes again earns nothing twice
        ([pace(1, 1000), pace(0, 1000)], 1000, vec![]),
        ([pace(3, 1000), pace(2, 1000)], 1000, vec![102]),
        // room for six, in proportion to what each stratum's pace would give
        ([pace(11, 1000), pace(6, 1000)], 6, vec![4, 5, 6, 7, 103, 104]),
        // what there was no room for is not made up for
        ([pace(12, 1000), pace(6, 1000)], 1000, vec![8]),
        // the holding rollout
        ([pace(500, 1000), pace(500, 1000)], 0, vec![]),
    ];
    for (paces, room, released) in table {
        let before = queue.len();
        assert_eq!(release(&mut queue, paces, room), released, "{paces:?}, room {room}");
        assert_eq!(queue.len(), before - released.len());
    }
}

#[test]
fn nobody_who_waits_for_nothing_saves_up_credit() {
    let mut queue = LateQueue::new(1);
    assert!(queue.release(&[pace(900, 1000)], 1000, &mut |_| true).unwrap().is_empty());
    for host in 1..=1000 {
        queue.join(host, 0, Late::Slept, Time(9)).unwrap();
    }
    assert_eq!(queue.release(&[pace(901, 1000)], 1000, &mut |_| true).unwrap(), [1]);
}

#[test]
fn once_the_whole_stratum_is_vouched_only_the_room_bounds_the_pace() {
    let mut queue = queue();
    release(&mut queue, [pace(1000, 1000), pace(0, 10)], 0);
    let table = [(30, 30), (30, 30), (1000, 40), (1000, 0)];
    for (room, released) in table {
        let hosts = release(&mut queue, [pace(1000, 1000), pace(0, 10)], room);
        assert_eq!(hosts.len(), released, "room {room}");
    }
    // a stratum without hosts of the plan vouches for nobody
    assert!(release(&mut queue, [pace(0, 0), pace(0, 0)], 1000).is_empty());
}

#[test]
fn who_does_not_fit_the_groups_budget_keeps_its_place() {
    let mut queue = queue();
    let mut asked = 0;
    let mut odd = |host: u32| {
        asked += 1;
        host % 2 == 1
    };
    let released = queue.release(&[pace(3, 1000), pace(0, 10)], 1000, &mut odd).unwrap();
    assert_eq!(released, [1, 3, 5]);
    assert_eq!(asked, 5, "nobody's groups are charged beyond the last who goes");
    assert_eq!(release(&mut queue, [pace(5, 1000), pace(0, 10)], 1000), [2, 4]);
}

#[test]
fn a_host_waits_once_and_a_newcomer_runs_the_last_vouched_release_meanwhile() {
    let mut queue = LateQueue::new(2);
    assert_eq!(queue.join(1, 0, Late::Slept, Time(1)), Ok(Meanwhile::Keeps));
    assert_eq!(queue.join(2, 0, Late::Enrolled, Time(2)), Ok(Meanwhile::LastVouched));
    assert_eq!(queue.join(3, 0, Late::Returned, Time(3)), Ok(Meanwhile::Keeps));
    // back again, later: still first
    assert_eq!(queue.join(1, 0, Late::Slept, Time(9)), Ok(Meanwhile::Keeps));
    assert_eq!(queue.len(), 3);
    // another stratum: the end of the other line
    queue.join(2, 1, Late::Returned, Time(9)).unwrap();
    queue.leave(3);
    queue.leave(77);
    assert_eq!(release(&mut queue, [pace(9, 90), pace(0, 90)], 90), [1]);
    assert_eq!(release(&mut queue, [pace(18, 90), pace(9, 90)], 90), [2]);
    assert!(queue.is_empty());
    assert_eq!(queue.join(4, 2, Late::Slept, Time(1)), Err(LateError::Stratum(2)));
    let paces = queue.release(&[pace(1, 1)], 1, &mut |_| true);
    assert_eq!(paces, Err(LateError::Paces { strata: 2, paces: 1 }));
}
