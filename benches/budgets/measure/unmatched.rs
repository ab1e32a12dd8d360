//! Events that concern nobody: by the engine alone on one core, and through the broker.

use super::Size;
use crate::inside::Inside;
use crate::report::{Report, Verdict};
use crate::world::{Bench, PATIENCE};
use branchline::limits;
use std::time::{Duration, Instant};

const BUDGET: f64 = 100_000.0;

/// An order that is below what the rule asks for.
fn quiet(number: u32) -> (String, String) {
    let (_, payload) = crate::house::order(number);
    ("pos/1/quiet".to_owned(), payload)
}

/// A topic that no rule is about.
fn foreign(number: u32) -> (String, String) {
    let (_, payload) = crate::house::order(number);
    (format!("shelf/{number}/stock"), payload)
}

fn alone(size: Size, event: fn(u32) -> (String, String)) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let mut inside = Inside::fresh(folder.path(), limits::IN_FLIGHT, false);
    let arrivals: Vec<_> = (0..limits::BATCH as u32).map(|number| inside.arrival(event(number))).collect();
    let batches = size.of(2_000, 5);
    let started = Instant::now();
    for _ in 0..batches {
        assert!(inside.batch(&arrivals).len() >= limits::BATCH, "all are acknowledged");
    }
    (batches * limits::BATCH) as f64 / started.elapsed().as_secs_f64()
}

pub fn unmatched(size: Size, report: &mut Report) {
    let rate = alone(size, foreign);
    report.add(
        "no rule for the topic, the engine alone",
        "≥ 100,000/s",
        format!("{rate:.0}/s"),
        Verdict::of(rate >= BUDGET),
    );
    let rate = alone(size, quiet);
    let figure = format!("{rate:.0}/s");
    report.add("the rule's `when` says no, the engine alone", "≥ 100,000/s", figure, Verdict::of(rate >= BUDGET));

    let count = size.of(50_000, 300);
    let mut bench = Bench::started();
    let started = Instant::now();
    bench.house.publish((0..count).map(quiet));
    let result = loop {
        let events =
            bench.metrics().into_iter().filter(|(name, _)| name.starts_with("branchline_events_total{rule=\"quiet\""));
        if events.map(|(_, value)| value).sum::<f64>() >= f64::from(count) {
            break f64::from(count) / started.elapsed().as_secs_f64();
        }
        assert!(started.elapsed() < PATIENCE, "not all were handled");
        bench.house.wait_for("a moment has passed", PATIENCE, |_| {
            std::thread::sleep(Duration::from_millis(5));
            true
        });
    };
    report.show("the same through mosquitto, QoS 1", format!("{result:.0}/s"));
}
