//! SIGKILL, as a power cut does it, at random instants.

use crate::faults::{FAST, books, fast_house, ids, publish_beside, wait_until_drained, wait_until_heard};
use crate::house::{House, order};
use branchline::demo::api::Fault;
use std::time::{Duration, Instant};

/// Which instants: printed, so that a failure can be tried again (`BRANCHLINE_SEED=…`). The instants are as exact as the machine's
/// scheduling.
pub fn seeded() -> fastrand::Rng {
    let seed =
        std::env::var("BRANCHLINE_SEED").ok().map(|seed| seed.parse().unwrap()).unwrap_or_else(|| fastrand::u64(..));
    println!("BRANCHLINE_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

/// Lives of the daemon, each given its part of the events and killed at a random instant: a random time after it was started (so
/// that starting, recovering and subscribing are hit too), or a random number of messages later.
fn lives(house: &mut House, random: &mut fastrand::Rng, lives: u32, each: u32) {
    let control = house.control();
    for life in 0..lives {
        house.launch();
        let events = (life * each..(life + 1) * each).map(order).collect();
        let published = publish_beside(house.broker.port(), events);
        let before = control.counters().accepted;
        let (time, count) = if life % 2 == 0 {
            (Duration::from_micros(random.u64(0..600_000)), u64::MAX)
        } else {
            (Duration::from_secs(3), random.u64(1..u64::from(each)))
        };
        let until = Instant::now() + time;
        while Instant::now() < until && control.counters().accepted < before.saturating_add(count) {
            std::thread::park_timeout(Duration::from_micros(200));
        }
        house.kill();
        published.join().unwrap();
    }
}

/// The session exists before the first event: a broker keeps nothing for who never subscribed.
fn subscribed_once(house: &mut House) {
    house.start();
    house.kill();
}

/// Twenty kills, or as many as `BRANCHLINE_KILLS` says; 250 events for each.
fn wanted() -> u32 {
    std::env::var("BRANCHLINE_KILLS").map_or(20, |kills| kills.parse().unwrap())
}

/// 5,000 events and twenty kills.
#[test]
fn killed_twenty_times_nothing_acknowledged_is_lost() {
    const EACH: u32 = 250;
    let kills = wanted();
    let mut random = seeded();
    let mut house = fast_house(FAST);
    subscribed_once(&mut house);
    let began = Instant::now();
    lives(&mut house, &mut random, kills, EACH);
    let killed = began.elapsed();
    house.start();
    // An alarm that is published last has left. One message may be unknown twice, and is not sent a third time: the books say.
    wait_until_heard(&mut house, 1, Duration::from_secs(120));
    wait_until_drained(&mut house, Duration::from_secs(60));
    let memory = house.memory();
    assert!(house.stop().success(), "{}", house.log());
    let sum = books::audit(&house, &ids(0..kills * EACH));
    println!("{sum:?} memory {memory:?} KiB, kills took {killed:?}, all {:?}", began.elapsed());
    assert!(sum.unknown <= (kills * 32) as usize, "more than what was in flight at the kills: {sum:?}");
}

/// The uplink is away: nothing is attempted, so nothing is unknown, and everything arrives exactly once.
#[test]
fn killed_while_the_uplink_is_away() {
    const LIVES: u32 = 6;
    const EACH: u32 = 200;
    let mut random = seeded();
    let mut house = fast_house(FAST);
    let control = house.control();
    subscribed_once(&mut house);
    control.fault(Fault::RefuseConnections, None);
    lives(&mut house, &mut random, LIVES, EACH);
    control.clear_faults().unwrap();
    house.start();
    house.wait_for_accepted(u64::from(LIVES * EACH), Duration::from_secs(60));
    wait_until_drained(&mut house, Duration::from_secs(60));
    assert!(house.stop().success(), "{}", house.log());
    let sum = books::audit(&house, &ids(0..LIVES * EACH));
    assert_eq!((sum.unknown, sum.repeats, control.repeats().len()), (0, 0, 0), "{sum:?}");
}
