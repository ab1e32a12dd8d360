//! The operators' door: orders over a Unix socket, and a read-only status page with `/metrics` on the loopback.
//!
//! Floor: doors. Knows no rules: it hands a `Request` to whoever answers (`Ask`) and shows the `Reply`. Nothing can be
//! changed over TCP, and a page of the internet cannot read it through a browser (see `guard`).

mod bounded;
mod desk;
mod guard;
mod http;
mod page;
mod socket;

pub use desk::Desk;
pub use http::{listen, serve_page, serve_socket};
pub use socket::{SocketProblem, bind};

use crate::operate::{Reply, Request};
use std::future::Future;

/// Where `Request`s go as JSON by POST, answered by a `Reply` as JSON.
pub const PATH: &str = "/v1/operate";

/// Bytes of a request: 500 ledger lines (`Request::ConsentImport`) of 2 KiB.
pub const BODY: usize = 1024 * 1024;

/// Whoever answers: the engine, through `Desk`; a fake in tests.
pub trait Ask: Clone + Send + Sync + 'static {
    /// One question, one answer. Bounded: `Busy` instead of a queue.
    fn ask(&self, request: Request) -> impl Future<Output = Result<Reply, Busy>> + Send;
}

/// Why there is no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Busy {
    /// `limits::OPERATORS` requests wait already.
    #[error("too many requests wait already: nothing was done, try again")]
    Full,
    /// The engine has not answered in time.
    #[error("no answer within 30 s: the order may still be carried out, look before repeating it")]
    Late,
    /// The engine ended.
    #[error("the daemon is ending: nothing was done")]
    Ending,
}

#[cfg(test)]
mod tests;
