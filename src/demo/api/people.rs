//! What the platform knows of each person: the service window, what was sent outside it, marketing, and whether messages
//! arrive at all (facts 2.3, 2.5, 2.6).
//!
//! Floor: demo. Knows no clock: time is an argument (since the start of the simulator).

use super::account::Account;
use super::json::Checked;
use super::refusal::Refusal;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

/// The service window after a person's last message, and the span that the messaging limit and the marketing cap move over.
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Messages may be marked as read, or reacted to, so long (facts 1.2, 1.6).
const MONTH: Duration = Duration::from_secs(30 * 24 * 60 * 60);
const MARKETING: Option<&str> = Some("MARKETING");
/// Inbound messages that are remembered for that.
const INBOUND: usize = 10_000;

/// What may be set of a person. The default is somebody on WhatsApp who takes everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// No message arrives, for this code: 131026 not on WhatsApp, 130403 blocked by us, 130472 in an experiment, …
    pub undeliverable: Option<i64>,
    /// The person told the platform to stop marketing: 131050.
    pub no_marketing: bool,
    /// The hash of the person's identity key. A message with another `recipient_identity_key_hash` is refused by 137000.
    pub identity: Option<String>,
}

#[derive(Default)]
struct Person {
    standing: Standing,
    /// When the person last wrote.
    wrote: Option<Duration>,
    /// Marketing of the last 24 hours.
    marketing: VecDeque<Duration>,
}

/// Everybody, by wa_id or user id.
#[derive(Default)]
pub(super) struct People {
    known: HashMap<String, Person>,
    /// Who was last sent to outside a window, and when. Kept for 24 hours, and only where there is a limit.
    outside: HashMap<String, Duration>,
    /// Id, sender and time of what people wrote.
    inbound: VecDeque<(String, String, Duration)>,
}

/// A message, as far as people and the portfolio are concerned.
pub(super) struct Ask<'a> {
    pub(super) person: &'a str,
    pub(super) template: bool,
    pub(super) category: Option<&'a str>,
    pub(super) identity: Option<&'a str>,
    /// The message that it reacts to.
    pub(super) reacts_to: Option<&'a str>,
}

impl People {
    /// Why the message would not reach its person; `None`: it does.
    ///
    /// # Errors
    /// What is always refused at once.
    pub(super) fn judge(&mut self, now: Duration, ask: &Ask, account: &Account) -> Checked<Option<Refusal>> {
        let open = self.known.get(ask.person).is_some_and(|person| person.window(now));
        if let Some(refusal) = account.forbids(now, open, ask.category) {
            return Err(refusal);
        }
        if self.known.get(ask.person).is_some_and(|known| ask.identity.is_some_and(|id| known.is_not(id))) {
            return Err(Refusal::new(137000, "recipient_identity_key_hash is not that of the recipient"));
        }
        Ok(self.withhold(now, ask, account))
    }

    fn withhold(&mut self, now: Duration, ask: &Ask, account: &Account) -> Option<Refusal> {
        let person = self.known.entry(ask.person.to_owned()).or_default();
        if let Some(code) = person.standing.undeliverable {
            return Some(Refusal::new(code, "the message cannot be delivered to this person"));
        }
        let open = person.window(now);
        if !ask.template && !open {
            return Some(Refusal::new(131047, "more than 24 hours have passed since the customer last wrote"));
        }
        if ask.category == MARKETING
            && let Some(refusal) = person.withhold_marketing(now, ask.person, account)
        {
            return Some(refusal);
        }
        if let Some(target) = ask.reacts_to
            && !self.received(now, Some(ask.person), target)
        {
            return Some(Refusal::new(131009, "the message to react to is unknown or older than 30 days"));
        }
        if open || self.has_room(now, ask.person, account.messaging_limit) {
            return None;
        }
        let details = "the portfolio's messaging limit: too many people outside a service window within 24 hours";
        Some(Refusal::new(account.messaging_limit_code, details))
    }

    /// Whether the portfolio may send to one person more.
    fn has_room(&mut self, now: Duration, person: &str, limit: Option<usize>) -> bool {
        let Some(limit) = limit else { return true };
        let young = |at: &Duration| *at + DAY > now;
        if self.outside.get(person).is_some_and(young) || self.outside.len() < limit {
            return true;
        }
        self.outside.retain(|_, at| young(at));
        self.outside.len() < limit
    }

    /// Counts a message that reaches its person. [?] The platform counts when it is delivered; here when it is accepted.
    pub(super) fn count(&mut self, now: Duration, ask: &Ask, account: &Account) {
        let person = self.known.entry(ask.person.to_owned()).or_default();
        if ask.category == MARKETING {
            person.marketing.push_back(now);
        }
        if account.messaging_limit.is_some() && !person.window(now) {
            self.outside.insert(ask.person.to_owned(), now);
        }
    }

    pub(super) fn set_standing(&mut self, person: &str, standing: Standing) {
        self.known.entry(person.to_owned()).or_default().standing = standing;
    }

    /// The standing of a person, whom nobody may have met.
    pub(super) fn standing(&self, person: &str) -> Standing {
        self.known.get(person).map(|known| known.standing.clone()).unwrap_or_default()
    }

    /// Whoever is not like anybody else, by wa_id.
    pub(super) fn special(&self) -> BTreeMap<&str, &Standing> {
        let all = self.known.iter().map(|(person, known)| (person.as_str(), &known.standing));
        all.filter(|(_, standing)| **standing != Standing::default()).collect()
    }

    /// How many people the messaging limit counts now.
    pub(super) fn counted(&self, now: Duration) -> usize {
        self.outside.values().filter(|at| **at + DAY > now).count()
    }

    /// The person wants no marketing any more, or again.
    pub(super) fn set_marketing(&mut self, person: &str, stop: bool) {
        self.known.entry(person.to_owned()).or_default().standing.no_marketing = stop;
    }

    /// The person wrote: the window is open.
    pub(super) fn wrote(&mut self, person: &str, now: Duration, wamid: String) {
        self.known.entry(person.to_owned()).or_default().wrote = Some(now);
        if self.inbound.len() >= INBOUND {
            self.inbound.pop_front();
        }
        self.inbound.push_back((wamid, person.to_owned(), now));
    }

    pub(super) fn close_window(&mut self, person: &str) {
        self.known.entry(person.to_owned()).or_default().wrote = None;
    }

    /// Whether this message came, from this person or from anybody, within 30 days.
    pub(super) fn received(&self, now: Duration, person: Option<&str>, wamid: &str) -> bool {
        self.inbound
            .iter()
            .any(|(id, from, at)| id == wamid && person.is_none_or(|person| person == from) && *at + MONTH > now)
    }
}

impl Person {
    fn window(&self, now: Duration) -> bool {
        self.wrote.is_some_and(|at| now < at + DAY)
    }

    fn is_not(&self, identity: &str) -> bool {
        self.standing.identity.as_deref().is_some_and(|own| own != identity)
    }

    fn withhold_marketing(&mut self, now: Duration, id: &str, account: &Account) -> Option<Refusal> {
        if self.standing.no_marketing {
            return Some(Refusal::new(131050, "this person has stopped marketing messages from this business"));
        }
        // Facts 2.5: none to the United States since April 2025. [?] All of +1 here, though it is shared with Canada and others.
        if (id.len() == 11 && id.starts_with('1')) || id.starts_with("US.") {
            return Some(Refusal::new(131049, "no marketing templates go to numbers of the United States"));
        }
        while self.marketing.front().is_some_and(|at| *at + DAY <= now) {
            self.marketing.pop_front();
        }
        let full = account.marketing_per_day.is_some_and(|most| self.marketing.len() >= most);
        full.then(|| Refusal::new(131049, "too many marketing messages to this person within 24 hours"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn ask(person: &str, template: bool, marketing: bool) -> Ask<'_> {
        Ask { person, template, category: marketing.then_some("MARKETING"), identity: None, reacts_to: None }
    }

    /// The code by which it is withheld, 0 for none; what passes counts.
    fn send(people: &mut People, account: &Account, hours: f64, ask: &Ask) -> i64 {
        let now = HOUR.mul_f64(hours);
        let refusal = people.judge(now, ask, account).unwrap_or_else(Some);
        if refusal.is_none() {
            people.count(now, ask, account);
        }
        refusal.map_or(0, |refusal| refusal.code)
    }

    #[test]
    fn a_window_ends_after_24_hours() {
        let (mut people, account) = (People::default(), Account::default());
        people.wrote("5511", HOUR, "wamid.1".into());
        for (at, wanted) in [(1.0, 0), (24.99, 0), (25.0, 131047)] {
            assert_eq!(send(&mut people, &account, at, &ask("5511", false, false)), wanted, "at {at} h");
        }
        people.wrote("5511", HOUR * 26, "wamid.2".into());
        assert_eq!(send(&mut people, &account, 27.0, &ask("5511", false, false)), 0);
        people.close_window("5511");
        assert_eq!(send(&mut people, &account, 27.0, &ask("5511", false, false)), 131047);
    }

    #[test]
    fn the_messaging_limit_counts_people_outside_a_window_in_a_moving_day() {
        let account = Account { messaging_limit: Some(2), ..Account::default() };
        let mut people = People::default();
        people.wrote("9", Duration::ZERO, "wamid.1".into());
        let rows = [
            (0.0, "1", 0),
            (1.0, "2", 0),
            (1.0, "3", 131048),
            // Whoever is counted already may get more, and then stays counted for longer.
            (2.0, "1", 0),
            // An open window is outside the limit.
            (2.0, "9", 0),
            (24.5, "3", 131048),
            (25.0, "3", 0),
            (25.0, "9", 131048),
            (26.0, "9", 0),
        ];
        for (at, person, wanted) in rows {
            assert_eq!(send(&mut people, &account, at, &ask(person, true, false)), wanted, "{person} at {at} h");
        }
        let unlimited = Account { messaging_limit: None, ..account };
        assert_eq!(send(&mut people, &unlimited, 26.0, &ask("4", true, false)), 0);
    }

    #[test]
    fn marketing_has_a_cap_of_its_own() {
        let (mut people, account) = (People::default(), Account::default());
        let rows = [
            (0.0, "55", true, 0),
            (23.9, "55", true, 131049),
            (23.9, "55", false, 0),
            (24.0, "55", true, 0),
            (0.0, "15551234567", true, 131049),
            (0.0, "15551234567", false, 0),
            (0.0, "US.1", true, 131049),
        ];
        for (at, person, marketing, wanted) in rows {
            assert_eq!(send(&mut people, &account, at, &ask(person, true, marketing)), wanted, "{person} at {at} h");
        }
        people.set_standing("55", Standing { no_marketing: true, ..Standing::default() });
        assert_eq!(send(&mut people, &account, 90.0, &ask("55", true, true)), 131050);
        assert_eq!(send(&mut people, &account, 90.0, &ask("55", true, false)), 0);
        let free = Account { marketing_per_day: None, ..Account::default() };
        for _ in 0..3 {
            assert_eq!(send(&mut people, &free, 0.0, &ask("56", true, true)), 0);
        }
    }

    #[test]
    fn what_was_received_is_known_for_30_days() {
        let mut people = People::default();
        people.wrote("55", HOUR, "wamid.1".into());
        assert!(people.received(HOUR + MONTH - HOUR, Some("55"), "wamid.1"));
        assert!(!people.received(HOUR + MONTH, None, "wamid.1"));
        assert!(!people.received(HOUR, Some("56"), "wamid.1"));
        assert!(!people.received(HOUR, None, "wamid.2"));
    }
}
