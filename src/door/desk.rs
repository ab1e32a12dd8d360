//! The desk between doors and the engine: hands out tickets, waits for the answer to each, never queues more than it has places.
//!
//! Floor: doors. Knows neither questions nor answers: operators ask with `Action::Done` as the answer, notices with `Action::Heard`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// Why there is no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Busy {
    /// Every place is taken.
    #[error("too many requests wait already: nothing was done, try again")]
    Full,
    /// The engine has not answered in time.
    #[error("no answer in time: the order may still be carried out, look before repeating it")]
    Late,
    /// The engine ended.
    #[error("the daemon is ending: nothing was done")]
    Ending,
}

type Send<Q> = dyn Fn(u64, Q) -> Result<(), Busy> + std::marker::Send + Sync;

/// All clones are one desk.
pub struct Desk<Q, A> {
    send: Arc<Send<Q>>,
    places: usize,
    waiting: Arc<Mutex<Waiting<A>>>,
}

impl<Q, A> Clone for Desk<Q, A> {
    fn clone(&self) -> Desk<Q, A> {
        Desk { send: self.send.clone(), places: self.places, waiting: self.waiting.clone() }
    }
}

struct Waiting<A> {
    next: u64,
    tickets: HashMap<u64, oneshot::Sender<A>>,
}

impl<Q, A> Desk<Q, A> {
    /// `send` puts the question with its ticket into the engine's channel without waiting, and says `Ending` when the engine is
    /// gone.
    pub fn new(
        places: usize,
        send: impl Fn(u64, Q) -> Result<(), Busy> + std::marker::Send + Sync + 'static,
    ) -> Desk<Q, A> {
        let waiting = Waiting { next: 0, tickets: HashMap::new() };
        Desk { send: Arc::new(send), places, waiting: Arc::new(Mutex::new(waiting)) }
    }

    /// Hands the answer to whoever waits for it. A ticket that nobody waits for any more is let go.
    pub fn done(&self, ticket: u64, answer: A) {
        if let Some(waiting) = self.waiting().tickets.remove(&ticket) {
            // Whoever asked may have hung up: then nobody reads it, and what was asked for is done all the same.
            let _ = waiting.send(answer);
        }
    }

    /// One question, one answer, which may take so long.
    ///
    /// # Errors
    /// [`Busy`] instead of a queue.
    pub async fn put(&self, question: Q, patience: Duration) -> Result<A, Busy> {
        let (ticket, answered) = self.take_ticket()?;
        if let Err(busy) = (self.send)(ticket, question) {
            self.waiting().tickets.remove(&ticket);
            return Err(busy);
        }
        match tokio::time::timeout(patience, answered).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(Busy::Ending),
            Err(_) => Err(Busy::Late),
        }
    }

    /// A place stays taken until the engine is done with it, even if whoever asked hangs up: so what waits in the engine's
    /// channel is bounded too.
    fn take_ticket(&self) -> Result<(u64, oneshot::Receiver<A>), Busy> {
        let mut waiting = self.waiting();
        if waiting.tickets.len() >= self.places {
            return Err(Busy::Full);
        }
        let (answer, answered) = oneshot::channel();
        waiting.next += 1;
        let ticket = waiting.next;
        waiting.tickets.insert(ticket, answer);
        Ok((ticket, answered))
    }

    // A std mutex: held for a map operation, never across an await.
    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting<A>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
