//! What becomes of a message of which nobody knows whether it arrived.
//!
//! Floor: rooms.

use super::{OnUnknown, Settings};
use crate::message::{Category, Priority};

/// What happens after `unknown_wait` passed without news.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// It is sent again.
    Repeat,
    /// It ends as unknown.
    Stop,
}

/// The decision of `policy.on_unknown`. Marketing never repeats.
///
/// `unknowns` counts the message's attempts of which nothing was heard, the latest included (1 and more): tries that
/// surely were not sent repeat nothing.
pub fn after_unknown(settings: &Settings, priority: Priority, category: Category, unknowns: u32) -> Next {
    match settings.on_unknown[priority as usize] {
        OnUnknown::Repeat(times) if category != Category::Marketing && unknowns <= times => Next::Repeat,
        _ => Next::Stop,
    }
}
