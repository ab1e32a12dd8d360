//! What the box's storage bears, as the status tells it.
//!
//! Floor: words.

use crate::time::Wall;
use serde::{Deserialize, Serialize};

/// What the daemon wrote to the box's storage, in whole pages of the kernel as the device gets them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Written {
    /// So many bytes,
    pub bytes: u64,
    /// since midnight of the branch, or since the daemon's start if that was later.
    pub since: Wall,
    /// `wear_per_day` of the board, where it has one.
    pub budget: Option<u64>,
}
