//! What `policy` is set up with.
//!
//! Floor: rooms. Filled by `config`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Everything that policy needs to know.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// `[purposes.*]`
    pub purposes: BTreeMap<String, Purpose>,
    /// What `[contacts.*]` state consent for: purposes without a section of their own.
    pub stated: BTreeSet<String>,
    /// `policy.on_unknown`, by priority rank.
    pub on_unknown: [OnUnknown; 4],
    /// `policy.unknown_wait`, already zero where nothing can be heard.
    pub unknown_wait: Duration,
    /// `policy.opt_out.words`
    pub stop_words: Vec<String>,
    /// `policy.opt_out.confirm`, by language.
    pub farewell: BTreeMap<String, String>,
    /// `policy.undeliverable`
    pub undeliverable: Duration,
    /// `policy.quiet_hours` and the `hours` of rules.
    pub hours: super::Hours,
}

/// `[purposes.NAME]`
#[derive(Clone, Debug, Default)]
pub struct Purpose {
    /// The version of the wording that people agree to.
    pub wording: String,
    /// How long a grant holds; for ever without.
    pub expires: Option<Duration>,
}

/// What happens to a message of which nobody knows whether it arrived.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum OnUnknown {
    /// It ends as `unknown`.
    #[default]
    Stop,
    /// It is sent again, at most so many times (1 and more).
    Repeat(u32),
}
