//! Where a test takes the power away: between two steps of a salvage.
//!
//! Floor: rooms, in tests alone.

use std::cell::Cell;

thread_local! {
    static LEFT: Cell<Option<u32>> = const { Cell::new(None) };
}

/// From now on the power goes after so many steps of a salvage of this thread, once; or never.
pub(crate) fn goes_after(steps: Option<u32>) {
    LEFT.set(steps);
}

/// A step was done.
pub(super) fn step() -> std::io::Result<()> {
    match LEFT.take() {
        Some(0) => Err(std::io::Error::other("the power went")),
        left => {
            LEFT.set(left.map(|left| left - 1));
            Ok(())
        }
    }
}
