//! The platform's language: a cleared message becomes a request, and an answer becomes a verdict.
//!
//! Floor: rooms. Sends nothing, stores nothing, knows no network. What a code means stands in [`codes`], once;
//! what a verdict says is applied by the engine.

mod codes;
mod read;
mod request;
mod settings;
#[cfg(test)]
mod tests;

pub use codes::{Class, Row, row};
pub use read::{BackOffClass, Circuit, Fate, KnownAs, Lift, OnAccount, OnNumber, OnPerson, OnTemplate, Verdict, read};
pub use request::{Request, request};
pub use settings::*;
