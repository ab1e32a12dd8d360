//! Resident memory: idle, with a backlog that came while the uplink was away, and after it has left.

use super::Size;
use crate::report::{Report, Verdict};
use crate::world::{Bench, PATIENCE, orders};
use branchline::demo::api::Fault;
use std::time::Duration;

const MIB: f64 = 1024.0;

fn resident(bench: &Bench) -> (f64, String) {
    let field = |name| bench.memory(name) as f64 / MIB;
    let (all, own, mapped, most) = (field("VmRSS"), field("RssAnon"), field("RssFile"), field("VmHWM"));
    (all, format!("{all:.1} MiB ({own:.1} own, {mapped:.1} of the file; at most {most:.1})"))
}

pub fn memory(size: Size, report: &mut Report) {
    let count = size.of(50_000, 500);
    let mut bench = Bench::started();
    // Whatever the start needed for a moment is given back by now, or never.
    std::thread::sleep(Duration::from_secs(size.of(3, 0)));
    let (all, figure) = resident(&bench);
    report.add("resident memory, idle", "≤ 8 MiB", figure, Verdict::of(all <= 8.0));

    let control = bench.house.control();
    control.fault(Fault::RefuseConnections, None);
    bench.house.publish(orders(0..count));
    bench.house.wait_for("all is stored", PATIENCE, |house| {
        std::thread::sleep(Duration::from_millis(200));
        house.backlog() == u64::from(count)
    });
    let (all, figure) = resident(&bench);
    let what = format!("resident memory, {count} stored messages");
    report.add(what, "≤ 12 MiB", figure, Verdict::of(all <= 12.0));

    control.clear_faults().unwrap();
    bench.accepted(u64::from(count));
    report.show("resident memory, after they have left", resident(&bench).1);
}
