//! The budgets of the design, each against its figure: `cargo bench --bench budgets`, or with names of single measurements.
//!
//! mosquitto and the simulated API over TLS stand on both sides of the built daemon and, in turn, of `floor`, a bridge on the
//! same client libraries that keeps nothing; what is compared is measured in one run. The table is printed and written to
//! `benches/figures.md`. Nothing here asserts a time: figures are for people to judge.
//!
//! `BENCH_SHORT=1` runs everything with small numbers in some seconds, so that none of it rots, and writes no file.
#![allow(clippy::unwrap_used)]

#[path = "../floor/bridge.rs"]
mod floor;
#[path = "../../tests/branch/house.rs"]
#[expect(dead_code, reason = "the kit serves several programs, each of which uses a part of it")]
mod house;
mod inside;
mod measure;
#[path = "../../tests/branch/mosquitto.rs"]
#[expect(dead_code, reason = "as above")]
mod mosquitto;
mod report;
mod world;

use floor::{Acks, Floor};
use measure::Size;
use report::Report;
use std::path::Path;

type Measurement = fn(Size, &mut Report);

const MEASUREMENTS: &[(&str, Measurement)] = &[
    ("start", measure::start::start),
    ("memory", measure::memory::memory),
    ("latency", measure::latency::latency),
    ("rate", measure::rate::rate),
    ("unmatched", measure::unmatched::unmatched),
    ("webhook", measure::webhook::webhook),
    ("forward", measure::webhook::forward),
    ("recovery", measure::start::recovery),
    ("device", measure::device::device),
    ("size", measure::size::size),
];

fn main() {
    // Cargo adds "--bench".
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["--floor", port, url, token, acks, ca] => {
            let acks = if acks == format!("{:?}", Acks::Manual) { Acks::Manual } else { Acks::Automatic };
            let floor = Floor { port: port.parse().unwrap(), url: url.to_owned(), token: token.to_owned(), acks };
            floor.run(Path::new(ca));
        }
        ["--fill", configuration, count] => measure::start::fill(Path::new(configuration), count.parse().unwrap()),
        _ => run(&words),
    }
}

fn run(names: &[&str]) {
    let known = |name: &&str| MEASUREMENTS.iter().any(|(known, _)| known == name);
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        let all: Vec<_> = MEASUREMENTS.iter().map(|(name, _)| *name).collect();
        eprintln!("no measurement is called \"{unknown}\"; there are: {}", all.join(" "));
        std::process::exit(64);
    }
    let size = if std::env::var_os("BENCH_SHORT").is_some() { Size::Short } else { Size::Full };
    let mut report = Report::default();
    for (name, measure) in MEASUREMENTS.iter().filter(|(name, _)| names.is_empty() || names.contains(name)) {
        println!("{name}");
        measure(size, &mut report);
    }
    let table = report.table();
    println!("\n{}\n\n{table}", measure::machine());
    if size == Size::Full && names.is_empty() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/figures.md");
        let text = format!(
            "# Figures\n\nWritten by `cargo bench --bench budgets`; the budgets are those of the design.\n\n{}\n\n{table}",
            measure::machine()
        );
        std::fs::write(file, text).unwrap();
    }
}
