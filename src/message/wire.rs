//! What comes back from the platform and what is asked of the broker, as the doors hand it over.
//!
//! Floor: words.

use crate::time::Wall;
use bytes::Bytes;

/// How a post ended.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    /// The API, or something between, answered.
    Http {
        /// The HTTP status.
        status: u16,
        /// At most `limits::ANSWER` bytes of the body.
        body: Bytes,
        /// The `Date` header, if the connection was verified.
        date: Option<Wall>,
    },
    /// Surely not sent: no byte of the request can have left.
    NotSent(NotSent),
    /// Perhaps sent.
    Lost(Lost),
}

/// Why a request surely did not leave.
#[derive(Clone, PartialEq, Debug)]
pub enum NotSent {
    /// No address, connection refused or timed out, proxy refused.
    NoConnection(String),
    /// The TLS handshake failed: certificate expired, not yet valid, wrong name, unknown issuer.
    Tls(String),
    /// The server refused the stream before it read it (REFUSED_STREAM, GOAWAY below our stream).
    StreamRefused,
}

/// Why it is unknown whether a request arrived.
#[derive(Clone, PartialEq, Debug)]
pub enum Lost {
    /// `uplink.timeout` passed.
    Timeout,
    /// The connection or stream ended.
    Broken(String),
}

/// A topic filter with its subscription identifier (1 to 268,435,455).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Filter {
    /// `pos/+/order/+/ready`
    pub filter: String,
    /// Comes back with each publish that matches it.
    pub identifier: u32,
    /// A rule on this filter wants retained messages (`retained = "accept"`).
    pub retained: bool,
}
