//! What limits and suppression hold about one person, on its way from a box to the one that replaces it.
//!
//! Floor: words.

use serde::{Deserialize, Serialize};

/// A row of `limits` of `outbox export --all`. Times are box time of the box that it is from, in milliseconds, but where
/// the name says `wall`: milliseconds since 1970.
#[derive(Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LimitRow {
    /// The person's number, whole; empty where only `user_ids` are known.
    pub number: String,
    /// The platform's ids of the person.
    pub user_ids: Vec<String>,
    /// When the row was exported.
    pub exported: i64,
    /// The pair limit's account: when the burst began, its latest message, how many, and refusals in a row.
    pub pair_started: i64,
    /// See there.
    pub pair_last: i64,
    /// See there.
    pub pair_count: u32,
    /// See there.
    pub strikes: u32,
    /// Messages of `held_rank` and below wait until then.
    pub held_until: i64,
    /// See there.
    pub held_rank: i64,
    /// The person cannot be reached on WhatsApp until then.
    pub undeliverable: Option<i64>,
    /// The platform protects the person from marketing until then.
    pub not_before: Option<i64>,
    /// 1: the person told the platform to stop marketing.
    pub marketing_stopped: i64,
    /// What left lately, as `pace` keeps it; hexadecimal.
    pub recent: String,
    /// When a template left last outside the service window.
    pub reached: Option<i64>,
    /// Until when the service window is open.
    pub window_wall: Option<i64>,
    /// When it was opened.
    pub window_since: Option<i64>,
    /// When the person last told the platform to stop or to resume marketing.
    pub wish_wall: Option<i64>,
    /// When the person last wrote a stop word.
    pub stopped_wall: Option<i64>,
    /// When the person last wrote a start word.
    pub started_wall: Option<i64>,
}
