//! From publish to the request at the API, at 50 events a second, each for a customer of its own; the floor beside it.

use super::Size;
use crate::floor::Acks;
use crate::report::{Report, Verdict, percentile, sorted};
use crate::world::{Bench, orders, publish_at, syncs};
use std::time::Duration;

pub fn latency(size: Size, report: &mut Report) {
    let counts = size.of((100, 1_500), (5, 50));
    let mut bench = Bench::new();
    let bridge = bench.floor(Acks::Manual);
    let floor = paced(&mut bench, counts);
    drop(bridge);

    let mut bench = Bench::started();
    let mut sync = syncs(bench.house.path(), 200);
    let times = paced(&mut bench, counts);
    sync.extend(syncs(bench.house.path(), 200));
    let sync = sorted(sync);

    let (half, most) = (percentile(&times, 50.0), percentile(&times, 99.0));
    let (one, slow) = (percentile(&sync, 50.0), percentile(&sync, 99.0));
    let budget = format!("≤ 2 ms + one sync ({:.1} ms)", 2.0 + one);
    report.add("publish to request, 50/s: p50", &budget, format!("{half:.2} ms"), Verdict::of(half <= 2.0 + one));
    report.add("publish to request, 50/s: p99", "≤ 10 ms", format!("{most:.2} ms"), Verdict::of(most <= 10.0));
    let (half, most) = (percentile(&floor, 50.0), percentile(&floor, 99.0));
    report.show("publish to request, the floor", format!("p50 {half:.2} ms, p99 {most:.2} ms"));
    report.show("one sync of the same disk", format!("p50 {one:.2} ms, p99 {slow:.2} ms"));
}

/// Milliseconds from publish to request, ascending. The first `warm` events open the connection and fill caches.
fn paced(bench: &mut Bench, (warm, count): (u32, u32)) -> Vec<f64> {
    let every = Duration::from_millis(20);
    publish_at(bench.house.broker.port(), orders(0..warm), every);
    bench.accepted(u64::from(warm));
    let requests = bench.requests();
    let sent = publish_at(bench.house.broker.port(), orders(warm..warm + count), every);
    bench.accepted(u64::from(warm + count));
    let times = (warm..).zip(&sent).map(|(number, sent)| {
        let read = requests.of(&format!("e{number}")).unwrap();
        read.saturating_duration_since(*sent).as_secs_f64() * 1e3
    });
    sorted(times.collect())
}
