//! The hot paths, each alone: `cargo bench --bench hot`, with words to run only the cases whose names hold one of them.
//!
//! Times are for a look at this machine. What stands in review are instructions, which hardly depend on it:
//! `cargo bench --bench hot -- --instructions` counts them under callgrind and compares them with `benches/instructions.txt`,
//! `--instructions --write` writes that file.
#![allow(clippy::unwrap_used)]

mod cases;
#[path = "../../tests/branch/house.rs"]
#[expect(dead_code, reason = "the kit serves several programs, each of which uses a part of it")]
mod house;
mod instructions;
#[path = "../../tests/branch/mosquitto.rs"]
#[expect(dead_code, reason = "as above")]
mod mosquitto;

use cases::{CASES, Case, Crowd, Kind};
use divan::Bencher;
use divan::counter::ItemsCount;
use std::sync::OnceLock;
use tempfile::TempDir;

/// The crowded stores of this run.
static CROWD: OnceLock<(TempDir, Crowd)> = OnceLock::new();

fn main() {
    // Cargo adds "--bench".
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["--instructions"] => std::process::exit(instructions::compare()),
        ["--instructions", "--write"] => instructions::write(),
        ["--once", name, runs, crowd] => instructions::once(name, runs.parse().unwrap(), crowd.as_ref()),
        _ => divan::main(),
    }
}

#[divan::bench(args = CASES, max_time = 2, sample_count = 100)]
fn hot(bencher: Bencher, case: &Case) {
    let (_, crowd) = CROWD.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let crowd = Crowd::at(folder.path());
        (folder, crowd)
    });
    let bencher = bencher.counter(ItemsCount::new(case.items));
    match case.kind {
        Kind::Again => {
            let mut run = (case.prepare)(crowd);
            bencher.bench_local(&mut run);
        }
        Kind::Once => bencher.with_inputs(|| (case.prepare)(crowd)).bench_local_refs(|run| run()),
    }
}
