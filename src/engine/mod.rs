//! The engine: a synchronous value that owns the store and all rules of conduct. It joins the rooms and decides nothing itself.
//!
//! Floor: engine (above the rooms, below the roof). It knows no network, no async and no clock: inputs and time come in,
//! actions go out, and an action leaves only after the commit of the step that asked for it.

mod io;

pub use io::{Action, BrokerLink, Input, Link, Post, Publish, Told};
