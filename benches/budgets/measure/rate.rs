//! Flat out, through to the API over TLS: the daemon and, in turn, the floor with both kinds of acknowledgement.

use super::Size;
use crate::floor::Acks;
use crate::report::{Report, Verdict, median};
use crate::world::{Bench, orders};
use std::collections::HashMap;

/// Messages a second between the first and the last that the API accepted.
fn flat_out(bench: &mut Bench, count: u32) -> f64 {
    bench.house.publish(orders(0..count));
    bench.accepted(u64::from(count));
    let at: Vec<_> = bench.house.control().accepted().iter().map(|seen| seen.at.as_secs_f64()).collect();
    let (first, last) = (at.iter().copied().fold(f64::MAX, f64::min), at.iter().copied().fold(0.0, f64::max));
    f64::from(count - 1) / (last - first)
}

fn floor(acks: Acks, count: u32) -> f64 {
    let mut bench = Bench::new();
    let bridge = bench.floor(acks);
    let rate = flat_out(&mut bench, count);
    drop(bridge);
    rate
}

fn daemon(count: u32) -> (f64, HashMap<String, f64>) {
    let mut bench = Bench::started();
    let rate = flat_out(&mut bench, count);
    let metrics = bench.metrics();
    (rate, metrics)
}

pub fn rate(size: Size, report: &mut Report) {
    let count = size.of(10_000, 300);
    let (mut ours, mut automatic, mut manual) = (Vec::new(), Vec::new(), Vec::new());
    let mut metrics = HashMap::new();
    for _ in 0..size.of(5, 1) {
        automatic.push(floor(Acks::Automatic, count));
        let (rate, told) = daemon(count);
        ours.push(rate);
        metrics = told;
        manual.push(floor(Acks::Manual, count));
    }
    let ratios = |floor: &[f64]| ours.iter().zip(floor).map(|(ours, floor)| ours / floor).collect::<Vec<_>>();
    let (to_automatic, to_manual) = (median(&ratios(&automatic)), median(&ratios(&manual)));
    report.show("flat out: the daemon", format!("{:.0} messages/s", median(&ours)));
    for (acks, rates, ratio) in [("manual", manual, to_manual), ("automatic", automatic, to_automatic)] {
        let figure = format!("{ratio:.2} of {:.0}/s", median(&rates));
        report.add(format!("flat out: to the floor, {acks} acks"), "≥ 0.5", figure, Verdict::of(ratio >= 0.5));
    }
    report.show("inputs a commit, flat out", batches(&metrics));
}

/// The histogram in words.
fn batches(metrics: &HashMap<String, f64>) -> String {
    let of = |name: &str| metrics.get(name).copied().unwrap_or_default();
    let count = of("branchline_batch_size_count").max(1.0);
    let mut buckets: Vec<(f64, f64)> = metrics
        .iter()
        .filter_map(|(name, value)| {
            let bound = name.strip_prefix("branchline_batch_size_bucket{le=\"")?.strip_suffix("\"}")?;
            Some((bound.parse().ok()?, *value))
        })
        .filter(|(bound, _): &(f64, f64)| bound.is_finite())
        .collect();
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    let shares: Vec<String> =
        buckets.iter().map(|(bound, below)| format!("≤{bound}: {:.0} %", 100.0 * below / count)).collect();
    let commit = 1e3 * of("branchline_commit_seconds_sum") / of("branchline_commit_seconds_count").max(1.0);
    let mean = of("branchline_batch_size_sum") / count;
    format!("mean {mean:.1} ({}), {commit:.2} ms a batch", shares.join(", "))
}
