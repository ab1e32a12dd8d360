//! The desk between operators and the engine: hands out tickets, waits for `Action::Done`, never queues more than
//! `limits::OPERATORS`.
//!
//! Floor: doors.

use super::{Ask, Busy};
use crate::limits;
use crate::operate::{Reply, Request};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// Longer than any commit: twice what an SD card was seen to stall is 10 s.
const PATIENCE: Duration = Duration::from_secs(30);

type Send = dyn Fn(u64, Request) -> Result<(), Busy> + std::marker::Send + Sync;

/// Cheap to clone; all clones are one desk.
#[derive(Clone)]
pub struct Desk {
    send: Arc<Send>,
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Default)]
struct Waiting {
    next: u64,
    tickets: HashMap<u64, oneshot::Sender<Reply>>,
}

impl Desk {
    /// `send` puts `Input::Operator(ticket, request)` into the engine's channel without waiting, and says `Ending` when
    /// the engine is gone.
    pub fn new(send: impl Fn(u64, Request) -> Result<(), Busy> + std::marker::Send + Sync + 'static) -> Desk {
        Desk { send: Arc::new(send), waiting: Arc::default() }
    }

    /// `Action::Done`: hands the reply to whoever waits for it. A ticket that nobody waits for any more is let go.
    pub fn done(&self, ticket: u64, reply: Reply) {
        if let Some(waiting) = self.waiting().tickets.remove(&ticket) {
            // The operator may have hung up: then nobody reads it, and the order is done all the same.
            let _ = waiting.send(reply);
        }
    }

    /// A place stays taken until the engine is done with it, even if the operator hangs up: so what waits in the
    /// engine's channel is bounded too.
    fn take_ticket(&self) -> Result<(u64, oneshot::Receiver<Reply>), Busy> {
        let mut waiting = self.waiting();
        if waiting.tickets.len() >= limits::OPERATORS {
            return Err(Busy::Full);
        }
        let (answer, answered) = oneshot::channel();
        waiting.next += 1;
        let ticket = waiting.next;
        waiting.tickets.insert(ticket, answer);
        Ok((ticket, answered))
    }

    // A std mutex: held for a map operation, never across an await.
    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ask for Desk {
    async fn ask(&self, request: Request) -> Result<Reply, Busy> {
        let (ticket, answered) = self.take_ticket()?;
        if let Err(busy) = (self.send)(ticket, request) {
            self.waiting().tickets.remove(&ticket);
            return Err(busy);
        }
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(_)) => Err(Busy::Ending),
            Err(_) => Err(Busy::Late),
        }
    }
}
