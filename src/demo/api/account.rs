//! The account behind the sender number: what people may set of it, and what of it the platform tells.
//!
//! Floor: demo.

use super::control::Control;
use super::message::Edge;
use super::people::Standing;
use super::refusal::Refusal;
use super::{json::Checked, lock};
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
        lock(&self.0.templates).set_status(name, language, status)
    }

    /// Lets the simulator's own time jump ahead: windows end, limits are repaid. The `Date` header stays what it is.
    pub fn skip(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.0.skipped.fetch_add(millis, Ordering::SeqCst);
    }
}
