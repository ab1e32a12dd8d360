//! The operators' door: orders over a Unix socket, and a read-only status page with `/metrics` on the loopback.
//!
//! Floor: doors. Knows no rules: it hands a `Request` to whoever answers (`Ask`) and shows the `Reply`. Nothing can be
//! changed over TCP, and a page of the internet cannot read it through a browser (see `guard`).

mod guard;
mod http;
mod page;
mod socket;

pub use crate::door::desk::{Busy, Desk};
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

impl Ask for Desk<Request, Reply> {
    async fn ask(&self, request: Request) -> Result<Reply, Busy> {
        let patience = request.patience();
        self.put(request, patience).await
    }
}

#[cfg(test)]
mod tests;
