//! From publish to the request at the API, at 50 events a second, each for a customer of its own.

use super::Size;
use crate::report::{Report, Verdict, percentile, sorted};
use crate::world::{Bench, orders, publish_at, syncs};
use std::time::Duration;

pub fn latency(size: Size, report: &mut Report) {
    let count = size.of(1_500, 50);
    let mut bench = Bench::started();
    // The first ones open the connection and fill caches.
    let warm = size.of(100, 5);
    publish_at(bench.house.broker.port(), orders(0..warm), Duration::from_millis(20));
    bench.accepted(u64::from(warm));

    let requests = bench.requests();
    let mut sync = syncs(bench.house.path(), 200);
    let sent = publish_at(bench.house.broker.port(), orders(warm..warm + count), Duration::from_millis(20));
    bench.accepted(u64::from(warm + count));
    sync.extend(syncs(bench.house.path(), 200));
    let sync = sorted(sync);

    let times = (warm..).zip(&sent).map(|(number, sent)| {
        let read = requests.of(&format!("e{number}")).unwrap();
        read.saturating_duration_since(*sent).as_secs_f64() * 1e3
    });
    let times = sorted(times.collect());
    let (half, most) = (percentile(&times, 50.0), percentile(&times, 99.0));
    let (one, slow) = (percentile(&sync, 50.0), percentile(&sync, 99.0));
    let budget = format!("p50 ≤ 2 ms + one sync ({:.1} ms)", 2.0 + one);
    report.add("publish to request, 50/s: p50", &budget, format!("{half:.2} ms"), Verdict::of(half <= 2.0 + one));
    report.add("publish to request, 50/s: p99", "≤ 10 ms", format!("{most:.2} ms"), Verdict::of(most <= 10.0));
    report.show("one sync of the same disk", format!("p50 {one:.2} ms, p99 {slow:.2} ms"));
}
