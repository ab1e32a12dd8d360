//! Faults on the way to the API: each for some seconds, with a hundred events for as many people, then gone.

use crate::faults::{FAST, books, fast_house, ids, wait_until_drained};
use crate::house::{emulated, order};
use branchline::demo::api::Fault;
use std::time::{Duration, Instant};

/// Posts at a time: what a link that dies can take with it.
const IN_FLIGHT: usize = 8;
/// How long a fault lasts.
const LASTS: Duration = Duration::from_secs(3);
/// Events before it, so that the connection is warm, and during it.
const BEFORE: u32 = 5;
const DURING: u32 = 100;
/// What the daemon's memory may grow by in all of it: well below what a queue in memory or a connection for each try would take.
const GROWTH_KIB: u64 = 2 * 1024;

/// One fault and what it may cost.
struct Row {
    fault: Fault,
    /// Open connections are reset when it begins: it shows only on new ones.
    cut: bool,
    /// Attempts that may end as unknown, of a hundred and more.
    unknown: usize,
    /// Whether the API takes the messages though nobody hears of it: then each repeat is a second message.
    takes: bool,
}

/// Surely not sent, every time: nothing is unknown, nothing is repeated. (Where open connections are reset when it begins, posts
/// on them may lose their answer.)
#[test]
fn surely_not_sent() {
    let row = |fault, cut| Row { fault, cut, unknown: if cut { IN_FLIGHT } else { 0 }, takes: cut };
    weather([
        row(Fault::RefuseConnections, true),
        row(Fault::MuteTls, true),
        row(Fault::RefusedStream, false),
        row(Fault::GoAway, false),
        row(Fault::Redirect307, false),
    ]);
}

/// Perhaps sent: those that were in flight when the link died, and one trial for each time that the link seemed to be back.
#[test]
fn perhaps_sent() {
    let row = |fault, takes| Row { fault, cut: false, unknown: IN_FLIGHT + TRIALS, takes };
    weather([
        row(Fault::Hang, false),
        row(Fault::ResetBeforeRead, false),
        row(Fault::ResetAfterRead, false),
        row(Fault::Status(503, None), false),
        row(Fault::AcceptWithoutAnswer, true),
        row(Fault::AcceptThenHang, true),
        row(Fault::GarbageBody, true),
    ]);
}

/// Trials while a fault lasts: waits begin at 0.1 s and their bound doubles from 1 s, so more are less than likely in a million.
const TRIALS: usize = 16;

/// All rows side by side: each is mostly waiting.
fn weather<const N: usize>(rows: [Row; N]) {
    std::thread::scope(|scope| {
        let running = rows.map(|row| scope.spawn(move || one(&row)));
        for thread in running {
            thread.join().unwrap();
        }
    });
}

fn one(row: &Row) {
    let fault = &row.fault;
    let mut house =
        fast_house(&format!("timeout = \"2s\"\nconnect_timeout = \"1s\"\nmax_in_flight = {IN_FLIGHT}\n{FAST}"));
    let control = house.control();
    house.start();
    house.publish((0..BEFORE).map(order));
    house.wait_for_accepted(BEFORE.into(), Duration::from_secs(20));
    let (warm, _) = house.memory();

    control.fault(fault.clone(), None);
    if row.cut {
        control.cut();
    }
    let began = Instant::now();
    house.publish((BEFORE..BEFORE + DURING).map(order));
    house.wait(&format!("{fault:?} lasts"), |_| began.elapsed() >= LASTS);
    house.wait("the backlog is kept", |house| house.backlog() > DURING as u64 / 2);
    control.clear_faults().unwrap();
    wait_until_drained(&mut house, Duration::from_secs(90));
    let (_, highest) = house.memory();
    let took = began.elapsed();
    assert!(house.stop().success(), "{}", house.log());

    let sum = books::audit(&house, &ids(0..BEFORE + DURING));
    println!("{fault:?}: {sum:?}, {warm} KiB, at most {highest} KiB, {took:?}");
    assert!(sum.unknown <= row.unknown, "{fault:?}: {sum:?}");
    assert!(row.takes || sum.repeats == 0, "{fault:?}: {sum:?}");
    assert_eq!(control.repeats().len(), sum.repeats, "{fault:?}: the API counts as the books do");
    assert_eq!(
        sum.accepted + sum.not_repeated * usize::from(!row.takes),
        (BEFORE + DURING) as usize,
        "{fault:?}: {sum:?}"
    );
    assert!(highest.saturating_sub(warm) <= GROWTH_KIB || emulated(), "{fault:?}: {warm} KiB, then {highest} KiB");
}
