//! One order or question without the loop: on the store alone when no daemon runs, or while the store takes nothing.
//!
//! Floor: engine. Posts nothing and judges no attempt.

use super::{Action, Engine, Failure};
use crate::operate::{Reply, Request};
use crate::time::Now;

impl Engine {
    /// Answers one operator on the store alone, when no daemon runs: nothing is posted, no attempt is judged.
    pub fn ask(&mut self, now: Now, request: Request) -> Result<Reply, Failure> {
        match self.try_ask(now, &request) {
            Err(failure) => {
                let Some(why) = self.damage(&failure) else { return Err(failure) };
                self.salvage(&why)?;
                self.try_ask(now, &request)
            }
            done => done,
        }
    }

    fn try_ask(&mut self, now: Now, request: &Request) -> Result<Reply, Failure> {
        self.running = false;
        self.mono = now.mono;
        self.moment = self.soft.time.read(now);
        if let Err(error) = self.operated(0, request).and_then(|()| self.record()) {
            return Err(self.give_up(error));
        }
        self.commit()?;
        let reply = self.finish().into_iter().find_map(|action| match action {
            Action::Done(_, reply) => Some(reply),
            _ => None,
        });
        Ok(reply.unwrap_or_else(|| Reply::Refused("nothing was answered".to_owned())))
    }

    /// Answers who only wants to look, while the store takes nothing. `None`: it is an order, or the store cannot be read.
    pub fn look(&mut self, now: Now, request: &Request) -> Option<Reply> {
        if !request.only_looks() {
            return None;
        }
        self.mono = now.mono;
        self.moment = self.soft.time.read(now);
        self.answer_operator(request).ok()
    }

    /// For one order without a daemon.
    fn commit(&mut self) -> Result<(), Failure> {
        let Err(error) = self.outbox.commit(self.moment, self.mono, &self.boot) else { return Ok(()) };
        if self.outbox.reopen()? { Ok(()) } else { Err(error.into()) }
    }
}
