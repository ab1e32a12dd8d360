//! What the platform said about the number, as the status shows it.
//!
//! Floor: words. Holds nothing about a person, and never a number.

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
