//! What the platform said about the number, and that it reported at all, as the status shows it.
//!
//! Floor: words. Holds nothing about a person, and never a number of one.

use crate::time::Wall;
use serde::{Deserialize, Serialize};

/// What the platform said last about the number, when it was asked or by itself.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct NumberTold {
    /// `GREEN`, `YELLOW`, `RED`, `UNKNOWN`: how people take its messages.
    pub quality: Option<String>,
    /// `CONNECTED` …; empty where it was not told.
    pub status: String,
    /// People that may be written to in 24 hours, of the whole portfolio.
    pub people: Option<u64>,
    /// Any number of them.
    pub unlimited: bool,
    /// Messages a second.
    pub per_second: Option<u32>,
    /// When it was answered last.
    pub told: Option<Wall>,
    /// Why the last question was not answered; empty when it was.
    pub trouble: String,
}

/// What the platform reported since the start, by one way.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Reports {
    /// `webhook` or `notice topic`
    pub way: String,
    /// When a body was stored last.
    pub last: Option<Wall>,
    /// Bodies that were stored.
    pub bodies: u64,
    /// Bodies with a wrong signature, of which nothing was read.
    pub unsigned: u64,
}
