//! What hangs on a person: standing in the ledger, and the pair limit's account. Kept by `outbox`, judged by `policy` and `pace`.
//!
//! Floor: words.

use crate::time::{BoxTime, Moment, Wall, millis};
use std::time::Duration;

/// The purpose of a revocation of everything; of a grant only with [`START_WORD`], which takes back what a stop word took.
pub const ALL: &str = "all";
/// The source of a revocation that the person wrote.
pub const STOP_WORD: &str = "stop word";
/// The source of the line by which the person asked for messages again.
pub const START_WORD: &str = "start word";
/// The purpose of the one message that confirms a stop. No configuration can name it, and it needs no consent but an open window.
pub const FAREWELL: &str = "(opt-out)";

/// The purpose of the branch's own people: what limits know them by.
pub const STAFF: &str = "staff";

/// What the ledger says about one person and one purpose, and what the platform said about the person.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// The latest grant of the purpose.
    pub grant: Option<GrantFact>,
    /// The place in the ledger of the latest revocation of the purpose or of everything.
    pub revoked: Option<i64>,
    /// The person told the platform to stop marketing (131050).
    pub marketing_stopped: bool,
    /// The person cannot be reached on WhatsApp (131026) until then.
    pub undeliverable_until: Option<BoxTime>,
    /// The platform protects the person from marketing (131049) until then.
    pub not_before: Option<BoxTime>,
    /// The service window, if the person ever wrote.
    pub window: Option<Window>,
}

/// The platform's 24-hour service window of a person: open only while both clocks say so, for a wall clock may jump and box time
/// may stand still while the box is off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// Its end by the wall clock.
    pub until: Wall,
    /// When the person wrote, by box time: before the box's own beginning it is negative.
    pub since: BoxTime,
}

impl Window {
    /// How long it is open (facts 2.6).
    pub const LASTS: Duration = Duration::from_secs(24 * 60 * 60);

    /// Of what was written `at`, and is heard now. Nothing was written in the future; how long ago it was is known by a trusted
    /// clock alone.
    pub fn of(at: Wall, now: Moment) -> Window {
        let wall = now.wall.trusted().unwrap_or(at);
        let ago = wall.0.saturating_sub(at.0).max(0);
        Window { until: at.min(wall) + Window::LASTS, since: BoxTime(now.boxed.0.saturating_sub(ago)) }
    }

    /// Whether it is still open `ahead` of now. `None`: by box time it is, and nobody vouches for the wall clock.
    pub fn is_open(self, now: Moment, ahead: Duration) -> Option<bool> {
        if self.since + Window::LASTS <= now.boxed + ahead {
            return Some(false);
        }
        now.wall.trusted().map(|wall| wall + ahead < self.until)
    }

    /// The same window as a clock tells that is trusted from now on: never open for longer than before.
    pub fn judged_by(self, wall: Wall, now: BoxTime) -> Window {
        let ago = wall.0.saturating_sub(self.until.0).saturating_add(millis(Window::LASTS));
        Window { since: self.since.min(BoxTime(now.0.saturating_sub(ago))), ..self }
    }
}

impl Standing {
    /// What was said last is a revocation. Equal places do not occur in one ledger; if they did, the revocation would win.
    pub fn is_revoked(&self) -> bool {
        self.revoked.is_some_and(|seq| self.grant.is_none_or(|grant| grant.seq <= seq))
    }

    /// As if the last line of the ledger were a revocation: for what is known from elsewhere.
    pub fn revoke(&mut self) {
        if !self.is_revoked() {
            self.revoked = Some(self.grant.map_or(0, |grant| grant.seq) + 1);
        }
    }
}

/// One grant in the ledger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GrantFact {
    /// Its place in the ledger: a later place wins.
    pub seq: i64,
    /// When it was given, if the clock was trusted.
    pub at: Option<Wall>,
    /// When it ends.
    pub expires: Option<Wall>,
}

/// One line for the ledger.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LedgerEntry {
    /// A purpose, or `all` with a revocation.
    pub purpose: String,
    /// What happened to it.
    pub action: LedgerAction,
    /// Where it was given: `event`, `configuration`, `operator: …`.
    pub source: String,
    /// The version of the wording that the person saw.
    pub wording: String,
    /// When a grant ends.
    pub expires: Option<Wall>,
}

/// What a line of the ledger says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LedgerAction {
    /// The person agreed.
    Grant,
    /// The person took it back.
    Revoke,
}

impl LedgerAction {
    /// As stored and in the CSV.
    pub fn code(self) -> &'static str {
        match self {
            LedgerAction::Grant => "grant",
            LedgerAction::Revoke => "revoke",
        }
    }

    /// The inverse of [`code`](Self::code).
    pub fn of_code(code: &str) -> Option<LedgerAction> {
        [LedgerAction::Grant, LedgerAction::Revoke].into_iter().find(|action| action.code() == code)
    }
}

/// The pair limit's account of one (sender, person).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Pair {
    /// When the current burst began.
    pub started: BoxTime,
    /// When its latest message was received at the latest.
    pub last: BoxTime,
    /// Messages of the current burst.
    pub count: u32,
    /// Refusals by 131056 in a row.
    pub strikes: u32,
}
