//! What happens later: the end of a fault, a step of a scenario, a report to the callback.
//!
//! Floor: demo. Chores end with the simulator.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

type Chore = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Takes chores, from any thread.
pub(super) struct Chores(UnboundedSender<Chore>);

impl Chores {
    /// The taker, and the one that does them when it runs.
    pub(super) fn new() -> (Chores, Worker) {
        let (sender, receiver) = unbounded_channel();
        (Chores(sender), Worker(receiver))
    }

    /// Does it beside all others.
    pub(super) fn start(&self, chore: impl Future<Output = ()> + Send + 'static) {
        // Without a worker the simulator has ended, and nothing is to happen any more.
        let _ = self.0.send(Box::pin(chore));
    }

    /// Does it after this time.
    pub(super) fn later(&self, after: Duration, what: impl FnOnce() + Send + 'static) {
        self.start(async move {
            tokio::time::sleep(after).await;
            what();
        });
    }
}

/// Does the chores. When it is dropped, they end.
pub(super) struct Worker(UnboundedReceiver<Chore>);

impl Worker {
    pub(super) async fn run(mut self) {
        let mut chores = JoinSet::new();
        loop {
            tokio::select! {
                chore = self.0.recv() => match chore {
                    Some(chore) => drop(chores.spawn(chore)),
                    None => return,
                },
                Some(_) = chores.join_next() => {}
            }
        }
    }
}
