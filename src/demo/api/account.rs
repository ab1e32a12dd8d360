//! The account behind the sender number: what people may set of it, and what of it the platform tells.
//!
//! Floor: demo.

use super::control::Control;
use super::message::Edge;
use super::people::Standing;
use super::refusal::Refusal;
use super::table::Table;
use super::{json::Checked, lock};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// The number, its WhatsApp business account and the portfolio that owns it. `Account::default()` is a young one in good
/// standing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The WhatsApp business account: `GET /{version}/{waba_id}/message_templates`.
    pub waba_id: String,
    /// The portfolio.
    pub business_id: String,
    /// The app whose token is used.
    pub app_id: String,
    /// The name that people see.
    pub verified_name: String,
    /// `GREEN`, `YELLOW`, `RED` or `UNKNOWN`.
    pub quality_rating: String,
    /// Whether the number may send.
    pub health: Health,
    /// Whether the business account may: `DISABLED_UPDATE`, `ACCOUNT_DELETED` and the like change it.
    pub waba_health: Health,
    /// What an `ACCOUNT_RESTRICTION` forbids, and until when since the start of the simulator; for good without.
    pub restrictions: Vec<(String, Option<Duration>)>,
    /// Unique people to whom messages may go outside a service window within 24 hours, over all numbers of the portfolio
    /// (facts 2.3); none: unlimited. The platform tells it as the lowest of its levels that holds it.
    pub messaging_limit: Option<usize>,
    /// [?] What comes of a message beyond it: no code is documented (facts 2.3). 131048, the spam restriction, is what most
    /// people report.
    pub messaging_limit_code: i64,
    /// Marketing templates to one person in 24 hours; more are withheld by 131049. [?] The platform's own cap is of all
    /// businesses together, moves, and is not documented; one is the strict end. None: no cap.
    pub marketing_per_day: Option<usize>,
    /// By which endpoint marketing templates may be sent.
    pub marketing_by: MarketingBy,
    /// When the sender hears that a message does not reach its person.
    pub told: Told,
    /// A test number reaches these numbers only, five at most (facts 2.6); others are refused by 131030. None: a number like
    /// any other.
    pub test_recipients: Option<Vec<String>>,
    /// Look-ups within an hour; more are refused by 80007. [?] 200 an hour, or 5,000 for an active account (facts 2.4).
    pub lookups_per_hour: usize,
}

/// `can_send_message` of the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It may send.
    Available,
    /// It may send, with restrictions that the platform names.
    Limited,
    /// It may not: every message is refused by 131031.
    Blocked,
}

/// Which endpoint takes marketing templates (facts 1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarketingBy {
    /// Both.
    Either,
    /// `/messages`; `/marketing_messages` answers 131055.
    Messages,
    /// `/marketing_messages`; `/messages` answers 131063.
    MarketingMessages,
}

/// When the sender hears what only shows at the person: not on WhatsApp (131026), window closed (131047), withheld marketing
/// (131049, 131050), people beyond the messaging limit. The platform does it either way, or both (facts 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// In the answer.
    AtOnce,
    /// The message is accepted; a `failed` status with the code follows ([`super::Seen::fails`]).
    Later,
}

impl Default for Account {
    fn default() -> Account {
        Account {
            // The ids of Meta's own examples.
            waba_id: "102290129340398".into(),
            business_id: "506914307656634".into(),
            app_id: "634974688087057".into(),
            verified_name: "Loja Centro".into(),
            quality_rating: "GREEN".into(),
            health: Health::Available,
            waba_health: Health::Available,
            restrictions: Vec::new(),
            messaging_limit: Some(250),
            messaging_limit_code: 131048,
            marketing_per_day: Some(1),
            marketing_by: MarketingBy::Either,
            told: Told::AtOnce,
            test_recipients: None,
            lookups_per_hour: 200,
        }
    }
}

impl Account {
    /// One without a messaging limit: for trials of something else, with many people.
    pub fn unlimited() -> Account {
        Account { messaging_limit: None, ..Account::default() }
    }

    /// Whether the business account may send now.
    pub(super) fn waba_health(&self, now: Duration) -> Health {
        let limited = self.waba_health == Health::Available && self.restrictions(now).next().is_some();
        if limited { Health::Limited } else { self.waba_health }
    }

    /// The restrictions that hold now.
    pub(super) fn restrictions(&self, now: Duration) -> impl Iterator<Item = &str> {
        self.restrictions.iter().filter(move |(_, end)| end.is_none_or(|end| now < end)).map(|(kind, _)| kind.as_str())
    }

    /// Why the account may not send this at all. [?] Which code a restriction gets is not documented: the one of a locked
    /// account, and for utility templates the one of misclassification (facts 2.5).
    pub(super) fn forbids(&self, now: Duration, open: bool, category: Option<&str>) -> Option<Refusal> {
        if self.health == Health::Blocked || self.waba_health == Health::Blocked {
            return Some(Refusal::new(131031, "the number may not send: see its health_status"));
        }
        let code = self.restrictions(now).find_map(|kind| match kind {
            "RESTRICTED_BIZ_INITIATED_MESSAGING" if !open => Some((131031, kind)),
            "RESTRICTED_CUSTOMER_INITIATED_MESSAGING" if open => Some((131031, kind)),
            "RESTRICTED_UTILITY_TEMPLATES" if category == Some("UTILITY") => Some((131064, kind)),
            _ => None,
        });
        code.map(|(code, kind)| Refusal::new(code, format!("the account is restricted: {kind}")))
    }

    /// What an `account_update` means for it (facts 4.5).
    pub(super) fn update(&mut self, event: &str, restrictions: &[String], end: Option<Duration>, more: &Value) {
        match (event, more["ban_info"]["waba_ban_state"].as_str()) {
            ("ACCOUNT_RESTRICTION", _) => self.restrictions.extend(restrictions.iter().map(|kind| (kind.clone(), end))),
            ("DISABLED_UPDATE", Some("SCHEDULE_FOR_DISABLE")) => {}
            ("DISABLED_UPDATE", Some("REINSTATE")) | ("ACCOUNT_RECONNECTED", _) => self.waba_health = Health::Available,
            ("DISABLED_UPDATE" | "ACCOUNT_DELETED" | "ACCOUNT_OFFBOARDED", _) => self.waba_health = Health::Blocked,
            _ => {}
        }
    }

    /// As the control endpoint shows it.
    pub(super) fn shown(&self, now: Duration) -> Value {
        json!({
            "quality_rating": self.quality_rating,
            "can_send_message": self.health.word(),
            "waba_can_send_message": self.waba_health(now).word(),
            "restrictions": self.restrictions(now).collect::<Vec<_>>(),
            "messaging_limit": self.messaging_limit,
            "messaging_limit_code": self.messaging_limit_code,
            "marketing_per_day": self.marketing_per_day,
            "marketing_by": MARKETING_BY.iter().find(|(_, by)| *by == self.marketing_by).map(|(word, _)| *word),
            "told": TOLD.iter().find(|(_, told)| *told == self.told).map(|(word, _)| *word),
            "test_recipients": self.test_recipients,
            "lookups_per_hour": self.lookups_per_hour,
        })
    }

    /// What cannot be.
    pub(super) fn check(&self) -> Result<(), String> {
        let count = self.test_recipients.as_ref().map_or(0, Vec::len);
        if count > 5 {
            return Err(format!("a test number reaches at most five numbers, and {count} are given"));
        }
        Ok(())
    }

    /// `TIER_250`, …
    pub(super) fn tier(&self) -> &'static str {
        match self.messaging_limit {
            Some(0..=250) => "TIER_250",
            Some(251..=2_000) => "TIER_2K",
            Some(2_001..=10_000) => "TIER_10K",
            Some(10_001..=100_000) => "TIER_100K",
            _ => "TIER_UNLIMITED",
        }
    }

    /// Whether an endpoint takes templates of a category. One that no list tells of may be any.
    pub(super) fn takes(&self, edge: Edge, category: Option<&str>) -> Checked<()> {
        match (edge, self.marketing_by) {
            (Edge::Marketing, MarketingBy::Messages) => {
                Err(Refusal::new(131055, "this account is not set up for marketing_messages"))
            }
            (Edge::Messages, MarketingBy::MarketingMessages) if category == Some("MARKETING") => {
                Err(Refusal::new(131063, "this account sends marketing templates by marketing_messages only"))
            }
            _ => Ok(()),
        }
    }
}

impl Health {
    /// As the platform writes it.
    pub(super) fn word(self) -> &'static str {
        HEALTH.iter().find(|(_, health)| *health == self).map_or("AVAILABLE", |(word, _)| *word)
    }
}

const HEALTH: &[(&str, Health)] =
    &[("AVAILABLE", Health::Available), ("LIMITED", Health::Limited), ("BLOCKED", Health::Blocked)];
const MARKETING_BY: &[(&str, MarketingBy)] = &[
    ("either", MarketingBy::Either),
    ("messages", MarketingBy::Messages),
    ("marketing_messages", MarketingBy::MarketingMessages),
];
const TOLD: &[(&str, Told)] = &[("at-once", Told::AtOnce), ("later", Told::Later)];

/// A messaging limit as the platform tells it: a tier or a number (facts 2.3); the inner none is unlimited.
#[allow(clippy::option_option)] // unreadable, unlimited, or so many
pub(super) fn tier(limit: &Value) -> Option<Option<usize>> {
    let Some(text) = limit.as_str() else {
        return limit.as_u64().and_then(|most| usize::try_from(most).ok()).map(Some);
    };
    let tier = text.strip_prefix("TIER_")?;
    if tier == "UNLIMITED" {
        return Some(None);
    }
    let (digits, scale) = tier.strip_suffix('K').map_or((tier, 1), |thousands| (thousands, 1_000));
    digits.parse::<usize>().ok()?.checked_mul(scale).map(Some)
}

/// Another [`Account`]. What is none stays.
#[allow(missing_docs, clippy::option_option)] // the members of Account
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AccountChange {
    pub quality_rating: Option<String>,
    /// Available: of the business account too, and its restrictions are over.
    pub can_send_message: Option<Health>,
    pub messaging_limit: Option<Option<usize>>,
    pub messaging_limit_code: Option<i64>,
    pub marketing_per_day: Option<Option<usize>>,
    pub marketing_by: Option<MarketingBy>,
    pub told: Option<Told>,
    /// Empty: a number like any other.
    pub test_recipients: Option<Vec<String>>,
    pub lookups_per_hour: Option<usize>,
}

impl AccountChange {
    pub(super) fn read(table: &mut Table) -> AccountChange {
        let code = table.whole("messaging_limit_code", 1..=9_999_999);
        AccountChange {
            quality_rating: table.one_of("quality_rating", super::step::QUALITIES).map(str::to_owned),
            can_send_message: table.word("can_send_message", HEALTH),
            messaging_limit: table.limit("messaging_limit"),
            messaging_limit_code: code.and_then(|code| i64::try_from(code).ok()),
            marketing_per_day: table.limit("marketing_per_day"),
            marketing_by: table.word("marketing_by", MARKETING_BY),
            told: table.word("told", TOLD),
            test_recipients: table.numbers("test_recipients", 5),
            lookups_per_hour: table.whole("lookups_per_hour", 0..=1_000_000).map(|most| most as usize),
        }
    }

    pub(super) fn apply(self, account: &mut Account) {
        if self.can_send_message == Some(Health::Available) {
            account.waba_health = Health::Available;
            account.restrictions.clear();
        }
        account.health = self.can_send_message.unwrap_or(account.health);
        if let Some(quality) = self.quality_rating {
            account.quality_rating = quality;
        }
        account.messaging_limit = self.messaging_limit.unwrap_or(account.messaging_limit);
        account.messaging_limit_code = self.messaging_limit_code.unwrap_or(account.messaging_limit_code);
        account.marketing_per_day = self.marketing_per_day.unwrap_or(account.marketing_per_day);
        account.marketing_by = self.marketing_by.unwrap_or(account.marketing_by);
        account.told = self.told.unwrap_or(account.told);
        if let Some(numbers) = self.test_recipients {
            account.test_recipients = Some(numbers).filter(|numbers| !numbers.is_empty());
        }
        account.lookups_per_hour = self.lookups_per_hour.unwrap_or(account.lookups_per_hour);
    }
}

/// What is changed while it runs, beside faults.
impl Control {
    /// The account as it is now.
    pub fn account(&self) -> Account {
        self.0.lock().account.clone()
    }

    /// Changes the account.
    pub fn change_account(&self, change: impl FnOnce(&mut Account)) {
        self.0.change(|inner| change(&mut inner.account));
    }

    /// What the platform knows of the person with this number, however it is written.
    pub fn set_standing(&self, number: &str, standing: Standing) {
        let person = self.0.person(number);
        self.0.change(|inner| inner.people.set_standing(&person, standing));
    }

    /// The person wrote, or called, just now: the service window is open for 24 hours. The message's id.
    pub fn wrote(&self, number: &str) -> String {
        let (person, now) = (self.0.person(number), self.0.now());
        self.0.change(|inner| {
            inner.serial += 1;
            let wamid = format!("wamid.SIN{:020}", inner.serial);
            inner.sender.heard(now);
            inner.people.wrote(&person, now, wamid.clone());
            wamid
        })
    }

    /// Gives a template another status (`PAUSED`, …; only `APPROVED` ones are sent), in one language or in all that it has. How
    /// many were changed.
    pub fn set_template_status(&self, name: &str, language: Option<&str>, status: &str) -> usize {
        lock(&self.0.templates).meant(name, language).map(|template| template.set_status(status)).count()
    }

    /// Lets the simulator's own time jump ahead: windows end, limits are repaid. The `Date` header stays what it is.
    pub fn skip(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.0.skipped.fetch_add(millis, Ordering::SeqCst);
    }
}
