//! One step of a trial: what is to happen, and when. The words of the scenario file and of the control endpoint alike.
//!
//! Floor: demo. Reads and checks; `obey` does it. Everything that is wrong is told at once, each with its place.

use super::account::{self, AccountChange};
use super::fault::{Aim, Fault};
use super::table::{Table, Wrong, nearest};
use super::webhook::{Between, Inbound, Said};
use serde_json::Value;
use std::time::Duration;

/// What is to happen, and when.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// From the start of the scenario, or from when the control endpoint heard it.
    pub at: Duration,
    /// Again after each such time.
    pub every: Option<Duration>,
    /// So many times in all; without, for ever where there is an `every`, else once.
    pub times: Option<u32>,
    /// Not after this time, counted like `at`.
    pub until: Option<Duration>,
    /// What.
    pub order: Order,
}

/// What can be asked of the simulator.
#[expect(clippy::large_enum_variant, reason = "a step is read one at a time and kept nowhere in numbers")]
#[derive(Clone, PartialEq, Debug)]
pub enum Order {
    /// Something goes wrong.
    Fault(Fault, Aim),
    /// It goes wrong no longer.
    Clear(Clear),
    /// Every connection is reset, as by a router that restarts; but for those to the control endpoint.
    Cut,
    /// Other settings.
    Settings(Change),
    /// A template stands otherwise; reported.
    Template(TemplateChange),
    /// The service window of a number is open, or is not.
    Window {
        /// Whose.
        number: String,
        /// Open from now on.
        open: bool,
    },
    /// A person says something; reported. It opens their window for a day.
    Inbound(Inbound),
    /// A person wants no marketing any more, or again; reported, and marketing to them is refused with 131050.
    Preference {
        /// Whose.
        number: String,
        /// No more.
        stop: bool,
    },
    /// How a person stands from now on, but for [`Order::Preference`], which stays.
    Person {
        /// Whose.
        number: String,
        /// No message arrives, for this code; without, they arrive.
        undeliverable: Option<i64>,
        /// The hash of the person's identity key.
        identity_key_hash: Option<String>,
    },
    /// News of the account (`account_update`): it is so from then on, and reported.
    Account {
        /// `ACCOUNT_RESTRICTION`, `DISABLED_UPDATE`, …
        event: String,
        /// `RESTRICTED_BIZ_INITIATED_MESSAGING`, …
        restrictions: Vec<String>,
        /// How long they hold.
        lasts: Option<Duration>,
        /// Members that the platform adds for some events: `violation_info`, `ban_info`.
        more: Value,
    },
    /// News of the number (`phone_number_quality_update`): it is so from then on, and reported.
    Number {
        /// `THROUGHPUT_UPGRADE`, `FLAGGED`, …
        event: String,
        /// A tier like `TIER_2K`, or a number.
        limit: Option<Value>,
    },
    /// Another portfolio limit (`business_capability_update`): it holds from then on, and is reported. A tier or a number.
    Capability(Value),
    /// Anything else that the platform reports, as it writes it.
    Report {
        /// `account_alerts`, …
        field: String,
        /// Its value.
        value: Value,
    },
    /// The simulator's own time jumps ahead: windows end, limits are repaid.
    Skip(Duration),
    /// Everything as at the start.
    Reset,
}

/// How a template stands from now on. What is none stays.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TemplateChange {
    /// Its name.
    pub name: String,
    /// In this language; in all without.
    pub language: Option<String>,
    /// `APPROVED`, `PAUSED`, `DISABLED`, …
    pub status: Option<String>,
    /// Why, as the platform words it: `FIRST_PAUSE`, `RATE_LIMITING_PAUSE`, …
    pub title: Option<String>,
    /// `GREEN`, `YELLOW`, `RED`, `UNKNOWN`.
    pub quality: Option<String>,
    /// `UTILITY`, `MARKETING`, `AUTHENTICATION`.
    pub category: Option<String>,
}

/// Which faults are over.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Clear {
    /// All.
    All,
    /// Those of this name.
    Name(&'static str),
    /// The one with this id.
    Id(u64),
}

/// Settings that may change while it runs. What is none stays.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Change {
    /// The only token that is taken.
    pub token: Option<String>,
    /// Messages a second.
    pub sender_per_second: Option<usize>,
    /// The largest burst to one person.
    pub pair_burst: Option<u32>,
    /// How much too early a message to one person may come.
    pub pair_slack: Option<Duration>,
    /// The `Date` header's error in seconds.
    pub date_skew: Option<i64>,
    /// Whether answers have a `Date` header.
    pub date: Option<bool>,
    /// What is behind the number.
    pub account: AccountChange,
    /// When and how often is reported.
    pub reports: Reports,
}

/// Another [`super::Manner`]. What is none stays.
#[allow(missing_docs)] // the members of Manner
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Reports {
    pub sent: Option<Between>,
    pub delivered: Option<Between>,
    pub read: Option<Between>,
    pub read_share: Option<f64>,
    pub disorder: Option<f64>,
    pub repeats: Option<f64>,
    pub gather: Option<Duration>,
    pub retry_first: Option<Duration>,
    pub retry_most: Option<Duration>,
    pub give_up: Option<Duration>,
}

/// What a step may ask for; exactly one of them.
const KINDS: &[&str] = &[
    "fault",
    "clear",
    "cut",
    "settings",
    "template",
    "window",
    "inbound",
    "preference",
    "person",
    "account",
    "number",
    "capability",
    "report",
    "skip",
    "reset",
];

impl Step {
    /// Reads a step; `at` is its place.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(value: &Value, at: &str) -> Result<Step, Vec<Wrong>> {
        let mut wrong = Vec::new();
        let step = Table::of(value, at, &mut wrong).and_then(|mut table| {
            let step = read(&mut table);
            table.end();
            step
        });
        match step {
            Some(step) if wrong.is_empty() => Ok(step),
            // What made it none was told.
            _ => Err(wrong),
        }
    }

    /// When it happens: `at`, and again as often as it says.
    pub fn times(&self) -> impl Iterator<Item = Duration> + Send + use<> {
        let Step { at, every, times, until, .. } = *self;
        let most = times.unwrap_or(if every.is_some() { u32::MAX } else { 1 });
        let time = move |n: u32| at.saturating_add(every.unwrap_or_default().saturating_mul(n));
        (0..most).map(time).take_while(move |time| until.is_none_or(|until| *time <= until))
    }
}

fn read(step: &mut Table) -> Option<Step> {
    let at = step.duration("at").unwrap_or_default();
    let (every, times, until) = (step.duration("every"), step.whole("times", 1..=1_000_000), step.duration("until"));
    if every == Some(Duration::ZERO) {
        step.wrong("every", "must be longer than nothing");
    }
    if every.is_none() && (times.is_some() || until.is_some()) {
        step.wrong("", "times and until go with every");
    }
    let kinds: Vec<&str> = KINDS.iter().copied().filter(|kind| step.members.contains_key(*kind)).collect();
    let [kind] = kinds[..] else {
        let meant = step.members.keys().find_map(|key| nearest(key, KINDS));
        let said = match (kinds.is_empty(), meant) {
            (false, _) => format!("says more than one thing to do: {}. Write a step for each", kinds.join(", ")),
            (true, Some(meant)) => format!("says nothing to do. Did you mean {meant}?"),
            (true, None) => format!("says nothing to do; one of {}", KINDS.join(", ")),
        };
        step.known.extend(KINDS);
        step.wrong("", said);
        return None;
    };
    let order = order(step, kind)?;
    let times = times.and_then(|times| u32::try_from(times).ok());
    Some(Step { at, every, times, until, order })
}

fn order(step: &mut Table, kind: &'static str) -> Option<Order> {
    Some(match kind {
        "fault" => return fault(step),
        "clear" => {
            let value = step.get("clear")?;
            let name = value.as_str().unwrap_or_default();
            let known = Fault::names();
            match (value.as_u64(), known.clone().find(|known| *known == name)) {
                (Some(id), _) => Order::Clear(Clear::Id(id)),
                (None, Some(name)) => Order::Clear(Clear::Name(name)),
                (None, None) if name == "all" => Order::Clear(Clear::All),
                _ => {
                    step.no_such("clear", "\"all\", the name of a fault, or its id", known);
                    return None;
                }
            }
        }
        "settings" => Order::Settings(step.table("settings", settings)??),
        "template" => step.table("template", |table| {
            let (name, language) = (table.need("name"), table.text("language"));
            let status = table.one_of("status", STANDINGS).map(str::to_owned);
            let quality = table.one_of("quality", QUALITIES).map(str::to_owned);
            let category = table.one_of("category", CATEGORIES).map(str::to_owned);
            if !["status", "quality", "category"].iter().any(|key| table.members.contains_key(*key)) {
                table.wrong("", "changes nothing: say status, quality or category");
            }
            Some(Order::Template(TemplateChange {
                name: name?,
                language,
                status,
                title: table.text("title"),
                quality,
                category,
            }))
        })??,
        "window" => step.table("window", |table| {
            let (number, open) = (table.number("number"), table.yes("open"));
            Some(Order::Window { number: number?, open: open.unwrap_or(true) })
        })??,
        "inbound" => Order::Inbound(step.table("inbound", inbound)??),
        "preference" => step.table("preference", |table| {
            let number = table.number("number");
            let value = table.one_of("value", &["stop", "resume"]);
            Some(Order::Preference { number: number?, stop: table.demand("value", value)? == "stop" })
        })??,
        "person" => step.table("person", |table| {
            let (number, code) = (table.number("number"), table.whole("undeliverable", 1..=9_999_999));
            Some(Order::Person {
                identity_key_hash: table.text("identity_key_hash"),
                undeliverable: code.and_then(|code| i64::try_from(code).ok()),
                number: number?,
            })
        })??,
        "skip" => Order::Skip(step.duration("skip")?),
        "account" => step.table("account", |table| {
            let event = table.need("event");
            let restrictions = table.texts("restrictions").unwrap_or_default();
            let (lasts, more) = (table.duration("for"), table.get("more").cloned().unwrap_or_default());
            Some(Order::Account { event: event?, restrictions, lasts, more })
        })??,
        "number" => step.table("number", |table| {
            let event = table.need("event");
            let limit = table.get("limit").cloned();
            Some(Order::Number { event: event?, limit })
        })??,
        "capability" => step.table("capability", |table| {
            let limit = table.get("limit").cloned();
            let limit = table.demand("limit", limit)?;
            if account::tier(&limit).is_none() {
                table.wrong("limit", format!("{limit} is not a whole number, or a tier like \"TIER_2K\""));
            }
            Some(Order::Capability(limit))
        })??,
        "report" => step.table("report", |table| {
            let (field, value) = (table.need("field"), table.get("value").cloned());
            Some(Order::Report { field: field?, value: table.demand("value", value)? })
        })??,
        kind => {
            if step.yes(kind) != Some(true) {
                step.wrong(kind, "can only be true");
            }
            if kind == "cut" { Order::Cut } else { Order::Reset }
        }
    })
}

/// How a template may stand (facts 4.5, without those that are only steps on the way).
const STANDINGS: &[&str] = &["APPROVED", "PAUSED", "DISABLED", "PENDING", "REJECTED"];
pub(super) const QUALITIES: &[&str] = &["GREEN", "YELLOW", "RED", "UNKNOWN"];
const CATEGORIES: &[&str] = &["UTILITY", "MARKETING", "AUTHENTICATION"];

/// What a person says: `from` and one thing.
fn inbound(table: &mut Table) -> Option<Inbound> {
    const WAYS: &[&str] = &["text", "button", "reply", "row", "reaction", "moved_to", "message"];
    let (from, name, context) = (table.number("from"), table.text("name"), table.text("context"));
    let ways: Vec<&str> = WAYS.iter().copied().filter(|way| table.members.contains_key(*way)).collect();
    let [way] = ways[..] else {
        table.known.extend(WAYS);
        table.known.extend(["payload", "title", "description"]);
        table.wrong("", format!("a person says one thing: one of {}", WAYS.join(", ")));
        return None;
    };
    let said = match way {
        "text" => Said::Text(table.need("text")?),
        "button" => {
            let (text, payload) = (table.need("button")?, table.text("payload"));
            Said::Button { payload: payload.unwrap_or_else(|| text.clone()), text }
        }
        "reply" => {
            let (id, title) = (table.need("reply")?, table.text("title"));
            Said::Reply { title: title.unwrap_or_else(|| id.clone()), id }
        }
        "row" => {
            let (id, title) = (table.need("row")?, table.text("title"));
            Said::Row { title: title.unwrap_or_else(|| id.clone()), id, description: table.text("description") }
        }
        "reaction" => Said::Reaction(table.get("reaction")?.as_str().unwrap_or_default().to_owned()),
        "moved_to" => Said::Moved(table.number("moved_to")?),
        _ => {
            let message = table.get("message").filter(|message| message["type"].is_string());
            if message.is_none() {
                table.wrong("message", "must be a table with a type, and a member of that name");
            }
            Said::Other(message?.clone())
        }
    };
    Some(Inbound { from: from?, name: name.unwrap_or_else(|| "Sandbox".into()), context, said })
}

fn fault(step: &mut Table) -> Option<Order> {
    let name = step.text("fault")?;
    let fault = match name.as_str() {
        "status" => {
            let (status, body) = (step.whole("status", 200..=599), step.text("body"));
            step.demand("status", status).and_then(|status| Some(Fault::Status(u16::try_from(status).ok()?, body)))
        }
        "code" => {
            let code = step.whole("code", 0..=9_999_999);
            step.demand("code", code).and_then(|code| Some(Fault::Code(i64::try_from(code).ok()?)))
        }
        "fail-later" => {
            let code = step.whole("code", 0..=9_999_999);
            step.demand("code", code).and_then(|code| Some(Fault::FailLater(i64::try_from(code).ok()?)))
        }
        "slow-answer" => {
            let delay = step.duration("delay");
            step.demand("delay", delay).map(Fault::SlowAnswer)
        }
        name => match Fault::PLAIN.iter().find(|fault| fault.name() == name) {
            Some(fault) => Some(fault.clone()),
            None => {
                step.no_such("fault", "a fault", Fault::names());
                None
            }
        },
    };
    let count = step.whole("count", 1..=u64::from(u32::MAX)).and_then(|count| u32::try_from(count).ok());
    let (lasts, share) = (step.duration("for"), step.share("share"));
    let only = step.table("only", |only| (only.number("to"), only.text("template")));
    let (to, template) = only.unwrap_or_default();
    let aim = Aim { count, lasts, share, to, template };
    let fault = fault?;
    if fault == Fault::RefuseConnections && (aim.count.is_some() || aim.share.is_some()) {
        step.wrong("fault", "refuse-connections closes the port: it has no count and no share, only for");
    }
    Some(Order::Fault(fault, aim))
}

fn settings(table: &mut Table) -> Option<Change> {
    let small = |whole: Option<u64>| whole.and_then(|whole| u32::try_from(whole).ok());
    let change = Change {
        token: table.text("token"),
        sender_per_second: small(table.whole("sender_per_second", 1..=1_000_000)).map(|rate| rate as usize),
        pair_burst: small(table.whole("pair_burst", 1..=1_000_000)),
        pair_slack: table.duration("pair_slack"),
        date_skew: table.signed("date_skew"),
        date: table.yes("date"),
        account: table.table("account", AccountChange::read).unwrap_or_default(),
        reports: table.table("reports", reports).unwrap_or_default(),
    };
    if change == Change::default() && table.members.is_empty() {
        table.wrong("", "changes nothing");
    }
    Some(change)
}

fn reports(table: &mut Table) -> Reports {
    Reports {
        sent: table.between("sent"),
        delivered: table.between("delivered"),
        read: table.between("read"),
        read_share: table.part("read_share"),
        disorder: table.part("disorder"),
        repeats: table.part("repeats"),
        gather: table.duration("gather"),
        retry_first: table.duration("retry_first"),
        retry_most: table.duration("retry_most"),
        give_up: table.duration("give_up"),
    }
}
