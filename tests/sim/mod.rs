//! The simulation: the engine and its loop on a real store, in a world in virtual time that loses, repeats, delays, lies and
//! crashes; and the promises of the design, judged after every step by the world's own books.
//!
//! A module of the library's tests (`src/engine/mod.rs` includes it), because what it breaks, commits and the opening of the
//! store, can be broken only where `cfg(test)` put a handle: nothing of it is in the daemon. It drives the engine's real loop
//! ([`drive`](super::drive)) round by round, so that batches, their order, failed commits and doubts are those of the daemon.
//!
//! ```text
//!   seed ─► steps ─► world ─► loop + engine + SQLite ─► actions ─► broker, platform, operators ─► books: is it as promised?
//! ```
//!
//! - `tests/simulate 50000` plays as many seeds in release mode; `tests/simulate --seed 17` one, telling what happens.
//! - `cargo test --lib sim` plays those of every test run, and those in `kept.txt`: a seed that failed once is kept there, with
//!   a word about what it found.
//!
//! One test with a thread for each core instead of several tests: the run must reach every outcome, every reason and every way
//! from state to state that the engine has, and only all seeds together do.

mod books;
mod broker;
mod doors;
mod erase;
mod news;
mod orders;
mod platform;
mod power;
mod reach;
mod record;
mod reports;
mod setup;
mod steps;
mod world;

use reach::Reach;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use world::World;

/// Seeds of every test run.
const SEEDS: u64 = 2_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text}: a whole number is needed")))
}

/// Seeds that failed once: the first word of each line.
fn kept() -> Vec<u64> {
    let lines = include_str!("kept.txt").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_whitespace().next()).map(|seed| seed.parse().unwrap()).collect()
}

/// Plays one seed; what it reached, or that it failed.
fn play(seed: u64) -> Option<Reach> {
    let played = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new(seed);
        world.play();
        world.reach
    }));
    played.ok()
}

#[test]
fn promises_hold_in_a_world_that_keeps_none() {
    if let Some(seed) = number("SIM_SEED") {
        assert!(play(seed).is_some(), "seed {seed} fails");
        return;
    }
    let usual = 0..number("SIM_SEEDS").unwrap_or(SEEDS);
    let seeds: Vec<u64> = kept().into_iter().chain(usual).collect();
    let (next, reached, failed) = (AtomicU64::new(0), Mutex::new(Reach::default()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(|| {
                while let Some(&seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    match play(seed) {
                        Some(reach) => reached.lock().unwrap().add(reach),
                        None => failed.lock().unwrap().push(seed),
                    }
                }
            });
        }
    });
    let (reached, mut failed) = (reached.into_inner().unwrap(), failed.into_inner().unwrap());
    failed.sort_unstable();
    println!("{} seeds: {}", seeds.len(), reached.summary());
    assert!(
        failed.is_empty(),
        "{} seeds failed: {failed:?}. See one with tests/simulate --seed {}, and add it to tests/sim/kept.txt",
        failed.len(),
        failed[0]
    );
    let missing = reached.missing();
    assert!(missing.is_empty(), "not reached, though the engine knows it (or the other way round): {missing:#?}");
}
