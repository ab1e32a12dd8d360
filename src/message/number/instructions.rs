//! What the matcher's programs are written in: `build.rs` writes them, `plan` runs them, and both read these names here.
//!
//! Floor: words. Numbers and nothing else.

/// The pattern is through.
pub(super) const MATCH: u8 = 0;
/// Nothing may follow.
pub(super) const END: u8 = 1;
/// A group begins (even) or ends (odd) here: its index times two, in one byte.
pub(super) const SAVE: u8 = 2;
/// Try what follows first, then what lies further on by two bytes.
pub(super) const SPLIT: u8 = 3;
/// Go on further by two bytes.
pub(super) const JUMP: u8 = 4;
/// A set of digits: `0x80 | (count - 1) << 2 | two bits of the set`, then the other eight. At most 32 in a row.
pub(super) const DIGITS: u8 = 0x80;
/// In a transform rule: a captured group, instead of a digit.
pub(super) const GROUP: u8 = 0x80;
/// Groups that a pattern may have, the whole included.
pub(super) const GROUPS: usize = 8;
