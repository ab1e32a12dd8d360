//! One request opens the connection; the others wait for it.
//!
//! Floor: doors. After the start or an outage every waiting request would open a connection of its own (a TLS handshake
//! each), and, where the server is mute, each would end as unknown. Here the first one finds out: if it succeeds the others follow
//! at once on its connection; if not, they surely were not sent.

use crate::message::{Answer, NotSent};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What is believed about the connection.
pub(super) struct Gate {
    /// Held by the request that opens the connection.
    opening: tokio::sync::Mutex<()>,
    seen: Mutex<Seen>,
    /// For how long after an answer the connection is believed to be open.
    open_for: Duration,
}

#[derive(Default)]
struct Seen {
    answered: Option<Instant>,
    failed: Option<(Instant, NotSent)>,
}

impl Gate {
    /// Nothing is open yet. `open_for` is the pool's idle time.
    pub(super) fn new(open_for: Duration) -> Gate {
        Gate { opening: tokio::sync::Mutex::new(()), seen: Mutex::default(), open_for }
    }

    /// Runs the exchange when it may go.
    pub(super) async fn pass(&self, exchange: impl Future<Output = Answer>) -> Answer {
        let asked = Instant::now();
        if self.is_open() {
            return self.note(exchange.await);
        }
        let opening = self.opening.lock().await;
        if self.is_open() {
            drop(opening);
            return self.note(exchange.await);
        }
        if let Some(why) = self.failed_since(asked) {
            return Answer::NotSent(why);
        }
        self.note(exchange.await)
    }

    fn is_open(&self) -> bool {
        self.seen().answered.is_some_and(|at| at.elapsed() < self.open_for)
    }

    fn failed_since(&self, asked: Instant) -> Option<NotSent> {
        self.seen().failed.as_ref().filter(|(at, _)| *at >= asked).map(|(_, why)| why.clone())
    }

    fn note(&self, answer: Answer) -> Answer {
        let now = Instant::now();
        *self.seen() = match &answer {
            Answer::Http { .. } => Seen { answered: Some(now), failed: None },
            // The server is there and takes no more on this connection: the next one opens another.
            Answer::NotSent(NotSent::StreamRefused) => Seen::default(),
            Answer::NotSent(why) => Seen { answered: None, failed: Some((now, why.clone())) },
            Answer::Lost(_) => {
                let why = "the request before it, which opened the connection, had no answer".to_owned();
                Seen { answered: None, failed: Some((now, NotSent::NoConnection(why))) }
            }
        };
        answer
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Lost;
    use bytes::Bytes;
    use std::cell::Cell;
    use tokio::sync::Notify;

    fn taken() -> Answer {
        Answer::Http { status: 200, body: Bytes::new(), date: None }
    }

    /// Five ask at once; the first ends as `first` when all others have asked. How many ran, and how the others ended.
    async fn five(first: Answer) -> (u32, Vec<Answer>) {
        let gate = Gate::new(Duration::from_secs(3600));
        let (ran, go) = (Cell::new(0), Notify::new());
        let opener = gate.pass(async {
            ran.set(ran.get() + 1);
            go.notified().await;
            first.clone()
        });
        let other = || {
            gate.pass(async {
                ran.set(ran.get() + 1);
                taken()
            })
        };
        let last = async {
            assert_eq!(ran.get(), 1, "the others wait");
            go.notify_one();
        };
        // `join` polls in order: when `last` runs, all have asked.
        let (opened, a, b, c, d, ()) = tokio::join!(biased; opener, other(), other(), other(), other(), last);
        assert_eq!(opened, first);
        (ran.get(), vec![a, b, c, d])
    }

    #[tokio::test]
    async fn the_others_follow_the_first_or_share_its_failure() {
        let no_way = Answer::NotSent(NotSent::NoConnection("refused".into()));
        assert_eq!(five(taken()).await, (5, vec![taken(); 4]));
        assert_eq!(five(no_way.clone()).await, (1, vec![no_way; 4]));
        assert_eq!(five(Answer::NotSent(NotSent::StreamRefused)).await, (5, vec![taken(); 4]));
        let (ran, others) = five(Answer::Lost(Lost::Timeout)).await;
        assert_eq!(ran, 1, "one unknown, not five");
        assert!(others.iter().all(|answer| matches!(answer, Answer::NotSent(_))), "{others:?}");
    }

    #[tokio::test]
    async fn a_failure_is_not_held_against_those_who_ask_later() {
        let gate = Gate::new(Duration::from_secs(3600));
        gate.pass(async { Answer::Lost(Lost::Timeout) }).await;
        assert_eq!(gate.pass(async { taken() }).await, taken());
    }
}
