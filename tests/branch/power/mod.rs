//! The power of an emulated board is cut at random instants while events flow: nothing acknowledged is lost, nothing is sent twice
//! but after `unknown`. `tests/power-cut` prepares what this needs and cuts as often as it is asked to.

mod board;
mod stick;

use crate::faults::{FAST, books, fast_house, ids, publish_beside, seeded};
use crate::house::{alarm, order};
use board::{Board, Parts};
use std::time::{Duration, Instant};

/// Events for each life. The emulated processor is some twenty times slower than a real one.
const EACH: u32 = 60;

/// What is left, once no power is cut any more.
const REST: Duration = Duration::from_secs(240);

/// The daemon's first words, when it has the store. A command that asks before reads the store itself, and the daemon finds it taken.
const STARTED: &str = "started";

/// `cuts` of the power at random instants: a random time after power-on, so that the kernel's start, recovery and subscription are
/// hit too, or a random number of messages later.
fn cut(cuts: u32) {
    let parts = match Parts::found(&[]) {
        Ok(parts) => parts,
        Err(missing) => {
            println!("not run: {missing}; tests/power-cut --help says what it takes");
            return;
        }
    };
    let mut random = seeded();
    let mut house = fast_house(FAST);
    let control = house.control();
    let began = Instant::now();
    let mut board = Board::new(&house, parts);
    // A broker keeps nothing for who never subscribed; and who sets a box up knows the time.
    board.start(true);
    board.wait_for("the board is up");
    let boot = began.elapsed();
    board.wait_for(STARTED);
    house.wait_for("broker and uplink are up", REST, |_| {
        board.status()["links"].as_array().is_some_and(|links| links.iter().all(|link| link["up"] == true))
    });
    house.publish([order(0)]);
    house.wait_for_accepted(1, REST);
    board.cut();
    for life in 0..cuts {
        board.start(false);
        let published =
            publish_beside(house.broker.port(), (1 + life * EACH..1 + (life + 1) * EACH).map(order).collect());
        let before = control.counters().accepted;
        let (time, count) = if life % 2 == 0 {
            (boot.mul_f64(random.f64() * 2.0), u64::MAX)
        } else {
            (boot * 10, random.u64(1..u64::from(EACH)))
        };
        let until = Instant::now() + time;
        while Instant::now() < until && control.counters().accepted < before.saturating_add(count) {
            std::thread::park_timeout(Duration::from_micros(200));
        }
        board.cut();
        published.join().unwrap();
        let counters = control.counters();
        println!("cut {} of {cuts}: {} messages in this life", life + 1, counters.accepted - before);
    }
    let killed = began.elapsed();
    board.start(false);
    board.wait_for(STARTED);
    // An alarm that is published last has left: the broker has nothing more, and all before it is stored.
    house.publish([alarm(1)]);
    house.wait_for("the last event was heard", REST, |_| {
        control.accepted().iter().rev().any(|seen| seen.data.as_deref().unwrap_or_default().ends_with("/a1"))
    });
    house.wait_for("the backlog is empty", REST, |_| {
        let status = board.status();
        status["backlog"].as_array().is_some_and(|states| states.iter().all(|state| state["messages"] == 0))
    });
    assert!(board.stop().success(), "{}", board.console());
    board.take_out(&["outbox.db", "outbox.db-wal"], house.path());
    let sum = books::audit(&house, &ids(0..cuts * EACH + 1));
    println!("{sum:?}; boot {boot:?}, {cuts} cuts {killed:?}, all {:?}", began.elapsed());
    assert!(sum.unknown <= ((cuts + 1) * 32) as usize, "more than what was in flight at the cuts: {sum:?}");
}

/// The disk is one that can lose something: what the guest wrote and did not flush is gone after a cut, what it flushed is there.
#[test]
#[ignore = "takes minutes: tests/power-cut"]
fn what_was_not_flushed_is_lost() {
    let parts = Parts::found(&[]).unwrap_or_else(|missing| panic!("{missing}: tests/power-cut --prepare"));
    let mut board = Board::new(&crate::house::House::new(""), parts);
    board.start_for(true, "write");
    board.wait_for("both are on their way");
    board.cut();
    board.start_for(true, "read");
    board.wait_for("both were read");
    let console = board.console();
    assert!(console.contains("this was flushed"), "{console}");
    assert!(!console.contains("this was written"), "{console}");
}

/// Two cuts, where the emulator is installed.
#[test]
fn the_power_is_cut_twice() {
    cut(2);
}

/// As many as `BRANCHLINE_CUTS` says.
#[test]
#[ignore = "takes minutes: tests/power-cut"]
fn the_power_is_cut() {
    cut(std::env::var("BRANCHLINE_CUTS").expect("tests/power-cut sets it").parse().unwrap());
}
