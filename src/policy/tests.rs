//! Decision tables, one row per rule with its reason, and the promise that a revocation stands.

use super::*;
use crate::message::{
    ALL, Body, Category, Content, Draft, LedgerAction, LedgerEntry, MessageId, Number, PersonId, Priority, Reason,
    Source, Stored, Template, Terms, Window,
};
use crate::operate::Grant;
use crate::time::{BoxTime, Clock, Moment, Wall, millis};
use proptest::prelude::*;
use std::time::Duration;

const NOW: i64 = 1_000_000;
const TRUSTED: Clock = Clock::Trusted(Wall(NOW));
const UNSYNCED: Clock = Clock::Unsynced(Wall(7));

fn settings() -> Settings {
    let lasting = |expires| Purpose { wording: "till-2026-03".into(), expires };
    let purposes = [("orders", lasting(Some(Duration::from_secs(730 * 86_400)))), ("staff", lasting(None))];
    Settings {
        purposes: purposes.into_iter().map(|(name, purpose)| (name.to_owned(), purpose)).collect(),
        on_unknown: [OnUnknown::Repeat(3), OnUnknown::Repeat(1), OnUnknown::Repeat(1), OnUnknown::Stop],
        ..Settings::default()
    }
}

fn moment(wall: Clock) -> Moment {
    Moment { boxed: BoxTime(5_000), wall }
}

fn content(category: Category) -> Content {
    if category == Category::Service {
        return Content::Text("hello".into());
    }
    Content::Template(Template {
        name: "order_ready".into(),
        language: "pt_BR".into(),
        category,
        header: None,
        body: Body::Positional(Vec::new()),
        buttons: Vec::new(),
        preview: String::new(),
    })
}

fn number() -> Number {
    Number::of_digits("5511987654321").unwrap()
}

fn draft(category: Category) -> Draft {
    let source = Source { rule: "r".into(), event: None, topic: "t".into(), print: None };
    let terms = Terms {
        purpose: "orders".into(),
        stated: false,
        opt_in: false,
        priority: Priority::Normal,
        subject: None,
        at: None,
        expires: Duration::from_secs(60),
        message_expiry: None,
        dedupe_window: Duration::from_secs(60),
        cut: false,
    };
    Draft::by_rules(source, number(), content(category), terms)
}

fn stored(category: Category, priority: Priority, expires_wall: Option<Wall>) -> Stored {
    Stored {
        id: MessageId(1),
        person: PersonId(1),
        to: number(),
        content: content(category),
        rule: "r".into(),
        event: None,
        purpose: "orders".into(),
        priority,
        arrived: BoxTime(0),
        expires_boxed: BoxTime(60_000),
        expires_wall,
        tries: 0,
    }
}

fn granted(expires: Option<i64>) -> Standing {
    let grant = GrantFact { seq: 5, at: Some(Wall(1)), expires: expires.map(Wall) };
    Standing { grant: Some(grant), ..Standing::default() }
}

#[test]
fn what_withholds_in_the_order_of_the_contract() {
    use Category::*;
    let everything = Standing {
        revoked: Some(6),
        marketing_stopped: true,
        undeliverable_until: Some(BoxTime(5_001)),
        ..granted(Some(NOW))
    };
    let unrevoked = Standing { revoked: None, ..everything.clone() };
    let deliverable = Standing { undeliverable_until: Some(BoxTime(5_000)), ..unrevoked.clone() };
    let window =
        |until| Standing { window: Some(Window { until: Wall(until), since: BoxTime(5_000) }), ..granted(None) };
    let day = millis(Window::LASTS);
    let aged =
        |since| Standing { window: Some(Window { until: Wall(NOW + day), since: BoxTime(since) }), ..granted(None) };
    let table = [
        (Marketing, everything.clone(), TRUSTED, Some(Reason::ConsentRevoked)), // wins over all others
        (Marketing, everything.clone(), UNSYNCED, Some(Reason::ConsentRevoked)), // and needs no clock
        (Utility, Standing { grant: None, ..everything.clone() }, TRUSTED, Some(Reason::ConsentRevoked)),
        (Utility, Standing { revoked: Some(5), ..granted(None) }, TRUSTED, Some(Reason::ConsentRevoked)), // no later grant
        (Utility, Standing { revoked: Some(4), ..granted(None) }, TRUSTED, None), // granted after the revocation
        (Marketing, unrevoked.clone(), TRUSTED, Some(Reason::MarketingStopped)),
        (Utility, unrevoked.clone(), TRUSTED, Some(Reason::Undeliverable)), // the stop is about marketing only
        (Service, unrevoked.clone(), TRUSTED, Some(Reason::Undeliverable)),
        (Utility, deliverable.clone(), TRUSTED, Some(Reason::ConsentExpired)), // undeliverable is over in its last instant
        (Service, deliverable.clone(), TRUSTED, Some(Reason::ConsentExpired)), // before the closed window
        (Authentication, deliverable, UNSYNCED, None),                         // nobody can say that it has expired
        (Utility, Standing::default(), TRUSTED, Some(Reason::NoConsent)),
        (Utility, Standing::default(), UNSYNCED, Some(Reason::NoConsent)),
        (Utility, granted(Some(NOW + 1)), TRUSTED, None), // the last instant
        (Utility, granted(None), TRUSTED, None),
        (Service, granted(None), TRUSTED, Some(Reason::WindowClosed)), // never wrote
        (Service, granted(None), UNSYNCED, Some(Reason::WindowClosed)),
        (Service, window(NOW), TRUSTED, Some(Reason::WindowClosed)),
        (Service, window(NOW + 1), TRUSTED, None),
        (Service, window(NOW), UNSYNCED, None), // stored; asked again
        (Service, aged(5_000 - day), TRUSTED, Some(Reason::WindowClosed)), // a day of box time, whatever the wall clock says
        (Service, aged(5_000 - day), UNSYNCED, Some(Reason::WindowClosed)),
        (Service, aged(5_001 - day), TRUSTED, None),
    ];
    for (row, (category, standing, clock, reason)) in table.into_iter().enumerate() {
        let draft = draft(category);
        let got = permit(&settings(), draft.clone(), &standing, moment(clock));
        match reason {
            None => assert_eq!(got.unwrap().draft(), &draft, "row {row}"),
            Some(reason) => assert_eq!(got.unwrap_err(), (draft, reason), "row {row}"),
        }
        let verdict = confirm(&settings(), &stored(category, Priority::Critical, None), &standing, moment(clock));
        assert_eq!(
            verdict.err(),
            reason.map(Verdict::Withhold),
            "row {row}: critical is withheld alike, and never waits"
        );
    }
}

#[test]
fn what_waits_for_the_clock() {
    use Category::*;
    use Priority::*;
    let clock = Some(Verdict::Wait { reason: Reason::ClockUnsynced, until: None });
    let capped = Some(Verdict::Wait { reason: Reason::PlatformCap, until: Some(BoxTime(5_001)) });
    let window = Standing { window: Some(Window { until: Wall(1), since: BoxTime(5_000) }), ..granted(None) };
    let cap = |until| Standing { not_before: Some(BoxTime(until)), ..granted(None) };
    let table = [
        (stored(Utility, Normal, None), granted(None), UNSYNCED, None), // depends on nothing
        (stored(Utility, Normal, None), granted(Some(1)), UNSYNCED, clock), // consent with an end
        (stored(Utility, High, Some(Wall(9))), granted(None), UNSYNCED, clock), // the event's own time
        (stored(Service, Low, None), window.clone(), UNSYNCED, clock),
        (
            stored(Service, Critical, Some(Wall(9))),
            Standing { grant: granted(Some(1)).grant, ..window },
            UNSYNCED,
            None,
        ),
        (stored(Utility, High, Some(Wall(9))), granted(None), TRUSTED, None), // expiry is not decided here
        (stored(Marketing, Normal, None), cap(5_001), TRUSTED, capped),
        (stored(Marketing, Normal, None), cap(5_000), TRUSTED, None),
        (stored(Utility, Normal, None), cap(5_001), TRUSTED, None), // marketing only
    ];
    for (row, (message, standing, wall, verdict)) in table.into_iter().enumerate() {
        assert_eq!(confirm(&settings(), &message, &standing, moment(wall)).err(), verdict, "row {row}");
    }
}

#[test]
fn when_an_event_or_the_configuration_adds_consent() {
    let undated = Standing { grant: Some(GrantFact { seq: 1, at: None, expires: None }), ..Standing::default() };
    let end = Some(Wall(NOW + 730 * 86_400_000));
    // standing, purpose, clock, and the end of what is recorded (None: nothing is)
    let table = [
        (Standing::default(), "orders", TRUSTED, Some(end)),
        (Standing::default(), "orders", UNSYNCED, Some(None)), // an end counted from a wrong clock would be a wrong end
        (Standing::default(), "staff", TRUSTED, Some(None)),
        (granted(Some(NOW)), "orders", TRUSTED, Some(end)),
        (granted(Some(NOW)), "orders", UNSYNCED, None), // nobody knows that it has expired
        (granted(Some(NOW + 1)), "orders", TRUSTED, None),
        (granted(None), "orders", TRUSTED, None), // an operator's grant without an end
        (undated.clone(), "orders", TRUSTED, Some(end)), // written again, so that it ends
        (undated.clone(), "orders", UNSYNCED, None),
        (undated, "staff", TRUSTED, None),
        (Standing { revoked: Some(1), ..Standing::default() }, "orders", TRUSTED, None),
        (Standing { revoked: Some(6), ..granted(Some(NOW)) }, "orders", TRUSTED, None),
    ];
    for (row, (standing, purpose, clock, recorded)) in table.into_iter().enumerate() {
        let expected = |source: &str| {
            recorded.map(|expires| LedgerEntry {
                purpose: purpose.into(),
                action: LedgerAction::Grant,
                source: source.into(),
                wording: "till-2026-03".into(),
                expires,
            })
        };
        let now = moment(clock);
        assert_eq!(opt_in(&settings(), &standing, purpose, "rule r", now), expected("rule r"), "row {row}");
        assert_eq!(stated(&settings(), &standing, purpose, now), expected("configuration"), "row {row}");
    }
}

fn order(purpose: &str) -> Grant {
    Grant {
        number: "+5511987654321".into(),
        purpose: purpose.into(),
        source: "form".into(),
        wording: None,
        expires: None,
        after_revocation: false,
    }
}

#[test]
fn what_an_operator_is_refused() {
    let revoked = Standing { revoked: Some(6), ..granted(None) };
    let clear = Standing::default();
    let table = [
        (order("order"), &clear, "did you mean \"orders\"?"),
        (order("weather"), &clear, "there are: orders, staff"),
        (order("all"), &clear, "name the purpose"),
        (Grant { source: " ".into(), ..order("orders") }, &clear, "add --source"),
        (Grant { expires: Some(Wall(NOW)), ..order("orders") }, &clear, "1970-01-01T00:16:40.000Z"),
        (order("orders"), &revoked, "--after-revocation"),
    ];
    for (order, standing, says) in table {
        let refusal = grant(&settings(), standing, &order, moment(TRUSTED)).unwrap_err().to_string();
        assert!(refusal.contains(says) && !refusal.contains("98765"), "{refusal}");
    }
    let refusal = revoke(&settings(), Some("ordres"), "operator").unwrap_err().to_string();
    assert!(refusal.contains("did you mean \"orders\"?"), "{refusal}");
    let none = Settings::default();
    let refusal = revoke(&none, Some("orders"), "operator").unwrap_err().to_string();
    assert!(refusal.contains("[purposes.NAME]"), "{refusal}");
}

#[test]
fn what_an_operator_records() {
    let revoked = Standing { revoked: Some(6), ..granted(None) };
    let wanted =
        Grant { after_revocation: true, wording: Some("v2".into()), expires: Some(Wall(NOW + 1)), ..order("orders") };
    let entry = grant(&settings(), &revoked, &wanted, moment(TRUSTED)).unwrap();
    assert_eq!((entry.wording.as_str(), entry.expires, entry.source.as_str()), ("v2", Some(Wall(NOW + 1)), "form"));
    let entry = revoke(&settings(), None, "operator").unwrap();
    assert_eq!((entry.purpose.as_str(), entry.action), (ALL, LedgerAction::Revoke));
    assert_eq!(revoke(&settings(), Some("orders"), "operator").unwrap().purpose, "orders");
}

#[test]
fn what_follows_an_unknown() {
    use Category::*;
    use Priority::*;
    let table = [
        (Critical, Utility, 1, Next::Repeat),
        (Critical, Utility, 3, Next::Repeat),
        (Critical, Utility, 4, Next::Stop), // sent four times: three repeats
        (High, Utility, 1, Next::Repeat),
        (Normal, Service, 2, Next::Stop),
        (Low, Utility, 1, Next::Stop),
        (High, Marketing, 1, Next::Stop), // never, whatever is configured
        (Normal, Marketing, 1, Next::Stop),
    ];
    for (priority, category, unknowns, next) in table {
        let got = after_unknown(&settings(), priority, category, unknowns);
        assert_eq!(got, next, "{priority:?} {category:?} {unknowns}");
    }
}

/// The ledger as `outbox` keeps it, reduced to the one purpose that is asked about.
#[derive(Default)]
struct Ledger(Vec<(Option<Wall>, LedgerEntry)>);

impl Ledger {
    fn standing(&self, purpose: &str) -> Standing {
        let latest = |action, with_all: bool| {
            self.0.iter().rposition(|(_, row)| {
                row.action == action && (row.purpose == purpose || with_all && row.purpose == ALL)
            })
        };
        let grant = latest(LedgerAction::Grant, false).map(|place| {
            let (at, row) = &self.0[place];
            GrantFact { seq: place as i64, at: *at, expires: row.expires }
        });
        let revoked = latest(LedgerAction::Revoke, true).map(|place| place as i64);
        let window = Some(Window { until: Wall(i64::MAX), since: BoxTime(i64::MAX) });
        Standing { grant, revoked, window, ..Standing::default() }
    }
}

proptest! {
    /// While the latest explicit act on a purpose is a revocation, nothing passes, whatever events and configuration say.
    #[test]
    fn a_revocation_stands(acts in prop::collection::vec((0..7u8, 0..2usize, any::<bool>(), 0..4i64), 1..60)) {
        let settings = settings();
        let names = ["orders", "staff"];
        let mut ledger = Ledger::default();
        let mut revoked = [false; 2];
        let mut wall = NOW;
        for (act, purpose, trusted, years) in acts {
            wall += years * 365 * 86_400_000;
            let now = moment(if trusted { Clock::Trusted(Wall(wall)) } else { UNSYNCED });
            let name = names[purpose];
            let standing = ledger.standing(name);
            let entry = match act {
                0 => opt_in(&settings, &standing, name, "rule r", now),
                1 => stated(&settings, &standing, name, now),
                2 => {
                    let entry = grant(&settings, &standing, &order(name), now).ok();
                    prop_assert_eq!(entry.is_none(), revoked[purpose]);
                    entry
                }
                3 => {
                    revoked[purpose] = false;
                    grant(&settings, &standing, &Grant { after_revocation: true, ..order(name) }, now).ok()
                }
                4 => {
                    revoked[purpose] = true;
                    revoke(&settings, Some(name), "operator").ok()
                }
                5 => {
                    let last = ledger.0.iter().rev().find(|(_, row)| row.purpose == name);
                    last.and_then(|(_, last)| no_longer_stated(&standing, last, now))
                }
                _ => {
                    revoked = [true; 2];
                    revoke(&settings, None, "operator").ok()
                }
            };
            ledger.0.extend(entry.map(|entry| (now.wall.trusted(), entry)));
            for (purpose, name) in names.into_iter().enumerate() {
                let standing = ledger.standing(name);
                for category in Category::ALL {
                    let stored_now = permit(&settings, draft(category), &standing, now);
                    let sent = confirm(&settings, &stored(category, Priority::Critical, None), &standing, now);
                    if revoked[purpose] {
                        prop_assert_eq!(stored_now.err().map(|(_, reason)| reason), Some(Reason::ConsentRevoked));
                        prop_assert_eq!(sent.err(), Some(Verdict::Withhold(Reason::ConsentRevoked)));
                    } else {
                        prop_assert_ne!(sent.err(), Some(Verdict::Withhold(Reason::ConsentRevoked)));
                    }
                }
            }
        }
    }
}
