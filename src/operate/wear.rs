//! The box itself, as the status tells it: which board it is, and what its storage bears.
//!
//! Floor: words.

use crate::time::Wall;
use serde::{Deserialize, Serialize};

/// The board whose facts are in force.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OnBoard {
    /// As `--board` names it.
    pub name: String,
    /// Whether it has lights that say how the box does.
    pub lights: bool,
}

/// What the daemon wrote to the box's storage, in whole pages of the kernel as the device gets them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Written {
    /// So many bytes,
    pub bytes: u64,
    /// since midnight of the branch, or since the daemon counted first on that day if that was later.
    pub since: Wall,
    /// `wear_per_day` of the board, where it has one.
    pub budget: Option<u64>,
}
