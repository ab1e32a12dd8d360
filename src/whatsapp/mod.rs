//! The platform's language: a cleared message becomes a request, and an answer becomes a verdict.
//!
//! Floor: rooms. Sends nothing, stores nothing, knows no network. What a code means stands in [`row`], once;
//! what a verdict says is applied by the engine.

mod codes;
mod envelope;
pub mod health;
mod news;
mod notice;
mod reached;
mod read;
mod request;
mod route;
mod seal;
mod settings;
#[cfg(test)]
mod tests;
mod verdict;

pub use codes::{Class, Row, row};
pub use envelope::Unreadable;
pub use notice::{is_signature, notices, signed};
pub use reached::Reached;
pub use read::{failed, read};
pub use request::{Request, request};
pub use route::{Parted, Routed, route};
pub use seal::{seal, unseal};
pub use settings::*;
pub use verdict::{BackOffClass, Circuit, Fate, KnownAs, Lift, OnAccount, OnNumber, OnPerson, OnTemplate, Verdict};
