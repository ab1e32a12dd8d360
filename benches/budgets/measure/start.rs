//! From the start to the subscription, and with a large backlog to the first request.

use super::Size;
use crate::house;
use crate::inside::Inside;
use crate::report::{Report, Verdict, median, percentile, sorted};
use crate::world::{Bench, PATIENCE};
use branchline::limits;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::Receiver;
use std::time::Instant;

/// The state "online" is published after SUBACK for all filters, so its arrival here is a little later than what is measured.
fn until_online(states: &Receiver<(Instant, String)>, started: Instant) -> f64 {
    loop {
        let (at, state) = states.recv_timeout(PATIENCE).unwrap();
        if at > started && state.contains("\"online\"") {
            return (at - started).as_secs_f64() * 1e3;
        }
    }
}

pub fn start(size: Size, report: &mut Report) {
    let mut bench = Bench::started();
    let states = bench.states();
    let times: Vec<f64> = (0..size.of(21, 2))
        .map(|_| {
            assert!(bench.house.stop().success());
            while states.try_recv().is_ok() {}
            let started = Instant::now();
            bench.house.launch();
            until_online(&states, started)
        })
        .collect();
    let times = sorted(times);
    let (middle, most) = (median(&times), percentile(&times, 100.0));
    let figure = format!("{middle:.0} ms (at most {most:.0})");
    report.add("start to subscribed", "≤ 50 ms", figure, Verdict::of(middle <= 50.0));
}

/// A store that a crash left, then a start with everything there.
pub fn recovery(size: Size, report: &mut Report) {
    let count = size.of(100_000, 1_000);
    let mut bench = Bench::new();
    let filling = Instant::now();
    let configuration = bench.house.configure();
    let filled = Command::new(std::env::current_exe().unwrap())
        .arg("--fill")
        .arg(&configuration)
        .arg(count.to_string())
        .status()
        .unwrap();
    assert!(!filled.success(), "it ends as in a crash");
    let filled = f64::from(count) / filling.elapsed().as_secs_f64();
    let store = std::fs::metadata(bench.house.path().join("outbox.db")).unwrap().len();
    let states = bench.states();
    let requests = bench.requests();
    let started = Instant::now();
    bench.house.launch();
    let online = until_online(&states, started);
    bench.accepted(1);
    let posted = (requests.first().unwrap() - started).as_secs_f64() * 1e3;
    let what = format!("recovery with {count} stored messages ({} MiB)", store >> 20);
    let figure = format!("{online:.0} ms to subscribed, {posted:.0} ms to the first request");
    report.add(what, "≤ 1 s", figure, Verdict::of(online.max(posted) <= 1000.0));
    report.show("storing alone, 256 a commit", format!("{filled:.0} events/s"));
}

/// Stores so many messages, and ends without a goodbye.
pub fn fill(configuration: &Path, count: u32) {
    let mut inside = Inside::open(configuration);
    let events: Vec<_> = (0..count).map(house::order).collect();
    for events in events.chunks(limits::BATCH) {
        let arrivals: Vec<_> = events.iter().map(|event| inside.arrival(event.clone())).collect();
        inside.batch(&arrivals);
    }
    std::process::abort();
}
