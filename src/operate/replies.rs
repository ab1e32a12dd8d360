//! What `Reply::Data` holds for each request: one set of types for the engine, which fills them, and for the command
//! line and the status page, which show them.
//!
//! Floor: words. Numbers in it are masked, except in `LedgerPage`, which is the ledger itself. Times are
//! instants; whoever shows them puts them into the branch's zone.
//!
//! | request | `Reply::Data` |
//! |---|---|
//! | `Status` | [`StatusReport`] (`Metrics` is `Reply::Text`) |
//! | `OutboxList`, `OutboxShow` | [`OutboxPage`], [`OutboxDetail`] |
//! | `Pause`, `Resume` | [`PauseReport`] |
//! | `ConsentGrant`, `ConsentRevoke`, `ConsentShow` | [`ConsentReport`] |
//! | `ConsentImport`, `ConsentExport` | [`ImportReport`], [`LedgerPage`] |
//! | `LimitsImport` | [`ImportReport`] |
//! | `Explain`, `Send` | [`Explanation`], [`SendReport`] |
//! | `AcceptLoss`, `OutboxExport` | [`LossReport`], [`ExportPage`] |

use crate::message::{Category, Outcome, Priority, Reason};
use crate::operate::{NumberTold, OnBoard, Reports, Target, Written};
use crate::time::Wall;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// What the engine knows about the box right now. Answers `status` and feeds the gauges of `/metrics`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Gauges {
    /// Of the program.
    pub version: String,
    /// `branch.id`
    pub branch: String,
    /// `branch.timezone`, an IANA name: for whoever shows the times.
    pub timezone: String,
    /// The store's id: the first half of every message id.
    pub store: String,
    /// False when the store was read without a daemon: links and posts in flight are then unknown.
    pub running: bool,
    /// When the daemon started, by the clock of that time.
    pub started: Option<Wall>,
    /// When this was read.
    pub at: Wall,
    /// Whether `at` may be believed.
    pub clock_trusted: bool,
    /// `broker` and `uplink`.
    pub links: Vec<LinkState>,
    /// Messages whose outcome may still change: `stored` (waiting, or on their way) and `unknown`.
    pub backlog: Vec<Backlog>,
    /// Age of the oldest message that has not left, in whole seconds; none without one.
    pub oldest_seconds: Option<u64>,
    /// Posts without an answer yet.
    pub in_flight: u32,
    /// Which board this is, where that was said.
    #[serde(default)]
    pub board: Option<OnBoard>,
    /// Bytes that the store takes on the disk.
    pub bytes: u64,
    /// `outbox.max_bytes`
    pub max_bytes: u64,
    /// Bytes free on the store's file system, where known.
    pub free_bytes: Option<u64>,
    /// What was written today, where the kernel tells.
    #[serde(default)]
    pub written: Option<Written>,
    /// How much of each limit is used, 0 to 1. Names come from the program, never from events.
    pub limits: Vec<LimitUse>,
    /// What is held, by whom, until when.
    pub holds: Vec<Hold>,
    /// What the platform said about the number.
    #[serde(default)]
    pub number: NumberTold,
    /// What it reported since the start, by each way that is configured.
    #[serde(default)]
    pub reports: Vec<Reports>,
}

/// One connection.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LinkState {
    /// `broker` or `uplink`
    pub link: String,
    /// Set up and usable.
    pub up: bool,
    /// Since when it is so; none when it was never different since the start.
    pub since: Option<Wall>,
    /// Why it is down, or what is wrong though it is up (refused filters); empty when all is well.
    pub why: String,
}

/// How many messages stand at one outcome.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Backlog {
    /// Where they stand.
    pub state: Outcome,
    /// How many.
    pub messages: u64,
}

/// How much of one limit is used.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LimitUse {
    /// `sender`, `in-flight`, `daily-recipients`, `daily-reserve`, `daily-messages`, `pair` and `person:KIND CAP` (of the person who
    /// had most of it), `rule:NAME`, `store`.
    pub limit: String,
    /// 0 to 1.
    pub used: f64,
    /// How many are used.
    pub taken: u64,
    /// How many are left.
    pub free: u64,
    /// Of what, for people.
    pub note: String,
}

/// One hold.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Hold {
    /// `everything`, `the number`, `rule order-ready`, `category marketing`, `template order_ready`, `+55…21`.
    pub what: String,
    /// Why, as a code.
    pub reason: Reason,
    /// Since when.
    pub since: Option<Wall>,
    /// Until when, if it ends by itself.
    pub until: Option<Wall>,
    /// The operator's reason, or what the platform said (`190: …`); may be empty.
    pub note: String,
    /// Somebody has to do something: shown first.
    pub loud: bool,
}

/// Something that a person should look at, in words.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Problem {
    /// What is wrong: `NUMBER STOPPED: token invalid (190: …)`.
    pub what: String,
    /// Since when, where known.
    pub since: Option<Wall>,
    /// What to do about it.
    pub remedy: String,
}

/// One line of "last events".
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LastLine {
    /// When, by the clock of that time.
    pub at: Wall,
    /// The rule, where one matched.
    pub rule: Option<String>,
    /// The event's id.
    pub event: Option<String>,
    /// The id that people see, `k3f9-1042`.
    pub message: Option<String>,
    /// The number, masked.
    pub to: Option<String>,
    /// Where the message stands now.
    pub outcome: Option<Outcome>,
    /// Why.
    pub reason: Reason,
    /// Anything else worth reading.
    pub detail: String,
}

/// How many messages came to one outcome since the start.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Count {
    /// Of the message; empty for what never became one.
    pub category: String,
    /// How.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
    /// How many.
    pub messages: u64,
}

/// Answers `status`.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct StatusReport {
    /// What somebody should look at, worst first; empty when all is well.
    pub problems: Vec<Problem>,
    /// What the engine knows.
    #[serde(flatten)]
    pub gauges: Gauges,
    /// The last events, newest first.
    pub last: Vec<LastLine>,
    /// Counts since the start.
    pub counts: Vec<Count>,
}

/// One message in a list.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct OutboxRow {
    /// The id that people see, `k3f9-1042`.
    pub id: String,
    /// When its event arrived, by the clock of that time.
    pub at: Wall,
    /// The rule.
    pub rule: String,
    /// The number, masked; empty once forgotten.
    pub to: String,
    /// Its priority.
    pub priority: Priority,
    /// What limits and policy go by.
    pub category: Category,
    /// Where it stands.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
    /// Tries so far.
    pub tries: u32,
}

/// Answers `outbox list`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct OutboxPage {
    /// Newest first.
    pub rows: Vec<OutboxRow>,
    /// `before` of the next page; none at the end.
    pub next: Option<i64>,
}

/// One try at sending.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AttemptRow {
    /// The first is 1.
    pub number: u32,
    /// When it was recorded, just before it left.
    pub at: Wall,
    /// When it ended; none while it is in flight.
    pub ended: Option<Wall>,
    /// How it ended.
    pub reason: Option<Reason>,
    /// What the platform or the network said, `131047: Re-engagement message`; may be empty.
    pub detail: String,
}

/// Answers `outbox show`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct OutboxDetail {
    /// As in the list.
    #[serde(flatten)]
    pub row: OutboxRow,
    /// The event's id.
    pub event: Option<String>,
    /// The topic it came on. Numbers masked.
    pub topic: String,
    /// The purpose of the consent it needs.
    pub purpose: String,
    /// What newer messages replace it by. Numbers masked.
    pub subject: Option<String>,
    /// The template and its language, `order_ready pt_BR`; none for free text.
    pub template: Option<String>,
    /// As the person reads it, numbers masked; none after `outbox.keep_content`.
    pub text: Option<String>,
    /// Something was cut to the platform's length.
    #[serde(default)]
    pub cut: bool,
    /// What the platform, or the box, said about it last; may be empty. Numbers masked.
    #[serde(default)]
    pub detail: String,
    /// When it is of no use any more.
    pub expires: Option<Wall>,
    /// What it waits for and until when, where that is known.
    pub waits: Option<Wait>,
    /// The platform's id, once it took the message; masked.
    pub platform_id: Option<String>,
    /// Every try, first to last.
    pub attempts: Vec<AttemptRow>,
}

/// What a message waits for.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Wait {
    /// A hold or a limit.
    pub reason: Reason,
    /// Until when, where known.
    pub until: Option<Wall>,
}

/// Answers `pause` and `resume`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PauseReport {
    /// What was named.
    pub target: Target,
    /// False when it was so before.
    pub changed: bool,
    /// Messages that wait for it (pause), or that may leave now (resume).
    pub messages: u64,
    /// Every hold that is left.
    pub holds: Vec<Hold>,
}

/// What consent comes to for one purpose, now.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConsentNow {
    /// The purpose.
    pub purpose: String,
    /// None: messages may be sent. Otherwise `no-consent`, `consent-revoked` or `consent-expired`.
    pub withheld: Option<Reason>,
    /// When a grant ends.
    pub until: Option<Wall>,
}

/// One entry of the ledger.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// Its place in the ledger.
    pub row: i64,
    /// `+` and digits in an export; empty in `ConsentReport`, whose heading names it masked.
    pub number: String,
    /// A purpose, or `all`.
    pub purpose: String,
    /// `grant` or `revoke`.
    pub action: String,
    /// When it was given or taken back; none until the clock of that time is confirmed.
    pub at: Option<Wall>,
    /// Where.
    pub source: String,
    /// The wording that the person saw.
    pub wording: String,
    /// When it ends.
    pub expires: Option<Wall>,
}

impl fmt::Debug for LedgerRow {
    /// Without the number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LedgerRow({} {} {})", self.row, self.action, self.purpose)
    }
}

/// Answers `consent grant`, `revoke` and `show`: what the ledger holds on a person after it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ConsentReport {
    /// Masked.
    pub number: String,
    /// False when the order changed nothing, and for `show`.
    pub changed: bool,
    /// What it comes to, purpose by purpose.
    pub now: Vec<ConsentNow>,
    /// How it came about, oldest first.
    pub entries: Vec<LedgerRow>,
}

/// Answers `consent export`: a page, oldest first, numbers whole.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LedgerPage {
    /// At most 500.
    pub rows: Vec<LedgerRow>,
    /// `after` of the next page; none at the end.
    pub next: Option<i64>,
}

/// Answers `consent import`.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ImportReport {
    /// New entries.
    pub recorded: u64,
    /// Lines that the ledger held already.
    pub unchanged: u64,
    /// What is wrong; unless it is empty nothing was recorded.
    pub problems: Vec<LineProblem>,
    /// It also ended the hold after a damaged store.
    #[serde(default)]
    pub released: bool,
    /// What is held since the store was damaged stays held: nobody said that this is the whole ledger.
    #[serde(default)]
    pub held: bool,
}

/// Answers `outbox accept-loss`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LossReport {
    /// What was lost.
    pub note: String,
    /// Since when it was held.
    pub since: Wall,
    /// Messages that may leave now.
    pub messages: u64,
    /// Messages of which nobody knows whether they were sent: `policy.on_unknown` says what happens to them.
    pub unknown: u64,
}

/// What `outbox check` found.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct StoreCheck {
    /// The file.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// Everything that is wrong, in words; empty when all is well.
    pub wrong: Vec<String>,
    /// Every table.
    pub tables: Vec<TableCheck>,
    /// Entries on the list of who took consent back; none without a list.
    pub stops: Option<u64>,
    /// Damaged stores that were set aside.
    pub aside: Vec<String>,
}

/// How much of a table can be read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TableCheck {
    /// Its name.
    pub table: String,
    /// Rows that can be read.
    pub rows: u64,
    /// Rows that hold what no such row can hold.
    pub unreadable: u64,
    /// Stretches of unknown length that cannot be read.
    pub gaps: u32,
}

/// The tables of `outbox export`, in its order; those of people come only with `--all`.
pub const EXPORTED: [(&str, bool); 5] =
    [("message", false), ("attempt", false), ("ledger", true), ("limits", true), ("hold", false)];

/// Answers `outbox export`: a page of one table.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ExportPage {
    /// One object each, with the table's name in `table`.
    pub rows: Vec<serde_json::Value>,
    /// `after` of the next page; none at the end.
    pub next: Option<i64>,
}

/// What is wrong with a line of a file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LineProblem {
    /// The first line of the file is 1.
    pub line: u64,
    /// For a person; without the number.
    pub problem: String,
}

/// What an explanation rests on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// The daemon: its links, holds and limits as they are now.
    #[default]
    Daemon,
    /// The store, while no daemon runs.
    Store,
    /// The configuration alone: there is no store, so nobody agreed to anything yet and nothing came before.
    Configuration,
}

/// The configuration that a daemon goes by.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct InForce {
    /// Since when: the daemon's start, or its last reload.
    pub since: Wall,
    /// Tells it from another one.
    pub fingerprint: String,
    /// Whether the files hold another one by now; none where the command could not read them.
    pub differs: Option<bool>,
}

impl InForce {
    /// One that is in force from now on. Whether the files differ is for the command to say.
    pub fn new(since: Wall, fingerprint: String) -> InForce {
        InForce { since, fingerprint, differs: None }
    }
}

/// Answers `explain`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Explanation {
    /// As asked. Numbers masked.
    pub topic: String,
    /// The time that was assumed.
    pub at: Wall,
    /// What the answer rests on.
    #[serde(default)]
    pub basis: Basis,
    /// What a running daemon's answer goes by; none without one.
    #[serde(default)]
    pub configuration: Option<InForce>,
    /// Every rule: matching ones first, then the nearest misses.
    pub rules: Vec<RuleExplained>,
}

/// What one rule makes of the event.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct RuleExplained {
    /// Its name.
    pub rule: String,
    /// Its topic pattern.
    pub pattern: String,
    /// Whether the topic matches.
    #[serde(default)]
    pub heard: bool,
    /// Whether topic and `when` match.
    pub matched: bool,
    /// Why it says nothing, or what failed; none when it drafts.
    pub reason: Option<Reason>,
    /// More about `reason`: what failed, the condition that is false, the level of the topic that does not match.
    pub detail: String,
    /// What the topic's names stand for.
    pub captures: BTreeMap<String, String>,
    /// Each expression and template with its value, in the order of evaluation: `("when", "true")`. Numbers masked.
    pub values: Vec<(String, String)>,
    /// Where something went wrong, each with its line.
    #[serde(default)]
    pub troubles: Vec<Trouble>,
    /// One per recipient.
    pub drafts: Vec<DraftExplained>,
}

/// A place in the configuration, or in the payload, at which something went wrong.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Trouble {
    /// `rules.order-ready.message.body.1`, or `payload`.
    pub key: String,
    /// File and line of the key, `shop.toml:14`; may be empty.
    pub origin: String,
    /// What went wrong. Numbers masked.
    pub detail: String,
    /// The text with a caret under the place. Numbers masked.
    pub excerpt: String,
}

/// One part of a message.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Part {
    /// `header`, `body`, `footer`, `button`; `text` for free text.
    pub what: String,
    /// As the person would read it. Numbers masked.
    pub text: String,
}

/// What would become of one message.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DraftExplained {
    /// Masked.
    pub to: String,
    /// The country of the number, two letters.
    #[serde(default)]
    pub country: Option<String>,
    /// The template and its language, `order_ready pt_BR`; none for free text.
    pub template: Option<String>,
    /// What limits and policy go by.
    pub category: Category,
    /// What it may overtake.
    pub priority: Priority,
    /// What newer messages replace it by.
    #[serde(default)]
    pub subject: Option<String>,
    /// As the person would read it. Numbers masked.
    pub text: String,
    /// The same, part by part.
    #[serde(default)]
    pub parts: Vec<Part>,
    /// The template's parameters: `body 1`, `header`, `button 2`. Numbers masked.
    #[serde(default)]
    pub parameters: Vec<(String, String)>,
    /// Something was cut to the platform's length.
    #[serde(default)]
    pub cut: bool,
    /// Lengths against the platform's bounds.
    pub lengths: Vec<Length>,
    /// The purpose of the consent it needs, and what the ledger says now.
    pub consent: ConsentNow,
    /// When it would be of no use any more.
    pub expires: Option<Wall>,
    /// `stored` when it would wait or leave, else how it would end.
    pub outcome: Outcome,
    /// `due` when it would leave at once, else the exact limit, hold or reason.
    pub reason: Reason,
    /// Until when it would wait, where known.
    pub until: Option<Wall>,
}

/// Answers `send`.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct SendReport {
    /// The message's id; none for a dry run.
    pub id: Option<String>,
    /// Nothing was stored.
    pub dry_run: bool,
    /// Who answered: without a daemon it is stored and leaves when one runs.
    pub basis: Basis,
    /// The message, what became of it, and what it waits for.
    #[serde(flatten)]
    pub message: DraftExplained,
}

/// One text against its bound.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Length {
    /// `body`, `header`, `body 1`
    pub what: String,
    /// As the person would get it: not of the masked text.
    pub characters: u32,
    /// At most; 0 without a bound of its own.
    pub limit: u32,
}
