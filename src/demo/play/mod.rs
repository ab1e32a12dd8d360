//! A branch's day, played: the real daemon between an embedded broker and the simulated API, and a table of what must come
//! of each event.
//!
//! Floor: beside the roof. What is expected is written by hand in [`scenario`]; nothing in it is taken from what was seen.
//!
//! ```text
//! scenario   who, which event, what must come of it      stage    broker, API, daemon, folder
//!        └──────────► day: publishes, waits for conditions, tells ◄──────────┘
//!                      │ watch: receipts, the API's record, counters
//!                      └─► verdict: expected against seen ─► sum: the table
//! ```

mod day;
mod say;
mod scenario;
mod stage;
mod sum;
mod verdict;
mod watch;
mod words;

use day::Day;
use say::Say;
use stage::Stage;
use std::cell::Cell;
use std::time::Instant;
use tokio::signal::unix::{SignalKind, signal};

/// Plays the day; whether every event had its expected outcome. With `serve` everything stays up afterwards, until SIGINT or
/// SIGTERM.
///
/// # Errors
/// What kept it from being played.
pub async fn play(serve: bool) -> Result<bool, String> {
    let started = Instant::now();
    let mut say = Say::on_stdout(started);
    say.title();
    let stage = tokio::select! {
        stage = Stage::set_up(started) => stage?,
        () = told_to_end() => return Err(INTERRUPTED.to_owned()),
    };
    // What the day came to, once it only serves.
    let serving = Cell::new(None);
    let played = tokio::select! {
        played = on(&stage, &mut say, serve, &serving) => Some(played),
        () = told_to_end() => None,
    };
    let played = match (played, serving.get()) {
        (Some(played), _) => played,
        (None, None) => Err(INTERRUPTED.to_owned()),
        (None, Some(right)) => {
            say.line("");
            say.line("Ending in order.");
            Ok(right)
        }
    };
    stage.strike().await;
    played
}

async fn on(stage: &Stage, say: &mut Say, serve: bool, serving: &Cell<Option<bool>>) -> Result<bool, String> {
    let mut day = Day::dawn(stage, say).await?;
    let right = day.play().await?;
    if serve {
        serving.set(Some(right));
        day.serve().await?;
    } else {
        sum::hints(say);
    }
    Ok(right)
}

const INTERRUPTED: &str = "the day was interrupted; nothing is left behind";

/// Ctrl-C, or a service manager's wish.
pub(super) async fn told_to_end() {
    match (signal(SignalKind::interrupt()), signal(SignalKind::terminate())) {
        (Ok(mut interrupt), Ok(mut terminate)) => {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        }
        // Unheard, the signals end the process as ever.
        _ => std::future::pending().await,
    }
}
