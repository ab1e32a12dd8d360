//! The health of the number: what the platform says holds and lowers, when it is asked, and what lifts it.

use super::kit::*;
use crate::engine::Input;
use crate::message::{
    CanSend, Category, Closed, News, Notice, Notices, Origin, Outcome, Quality, Reason, TemplateName, UNLIMITED,
    Update, Who,
};
use crate::operate::{Explanation, Reply, Request, StatusReport, Target};
use crate::time::Wall;
use serde_json::{Value, json};
use std::time::Duration;

const HOUR: u64 = 60 * 60 * 1000;

fn number(quality: &str, can: &str) -> Value {
    json!({ "quality_rating": quality, "status": "CONNECTED", "throughput": { "level": "STANDARD" },
        "whatsapp_business_manager_messaging_limit": "TIER_2K",
        "health_status": { "can_send_message": can, "entities": [{ "entity_type": "WABA", "id": "42" }] } })
}

fn templates(status: &str, category: &str) -> Value {
    json!({ "data": [
        { "name": "order_ready", "language": "pt_BR", "status": status, "category": category },
        { "name": "receipt", "language": "pt_BR", "status": "APPROVED", "category": "UTILITY" },
        { "name": "strange", "language": "pt_BR", "status": "REJECTED", "category": "UTILITY" }] })
}

impl Kit {
    /// What the next questions are answered.
    fn will_answer(&mut self, bodies: &[Value]) {
        self.healths.extend(bodies.iter().map(|body| http(200, &body.to_string())));
    }

    /// Until the platform was asked once more.
    fn until_asked(&mut self) {
        let (before, most) = (self.looks.len(), self.now + 8 * HOUR);
        while self.looks.len() == before && self.now < most {
            self.run(60_000);
        }
        assert!(self.looks.len() > before, "the platform is asked");
    }

    /// As if the platform reported it by itself.
    fn news(&mut self, news: News) {
        let engine = self.engine();
        engine.stirred = true;
        engine.news(&news, None).unwrap();
        self.give(vec![Input::Woke]);
    }

    /// The platform takes whatever left and is not answered yet.
    fn take_all(&mut self) {
        while let Some(flight) = self.engine().soft.in_flight.first().copied() {
            self.answer(flight.attempt, taken());
        }
    }

    fn offer(&mut self, to: &str, n: &str) {
        let payload = format!(r#"{{"to": "{to}", "opt_in": true, "id": "{n}", "n": "{n}"}}"#);
        self.arrive("pos/1/offer", &payload);
    }

    fn hold_reasons(&mut self) -> Vec<(String, Reason)> {
        let mut holds: Vec<_> = self.status().gauges.holds.into_iter().map(|hold| (hold.what, hold.reason)).collect();
        holds.sort();
        holds
    }

    fn status(&mut self) -> StatusReport {
        let Reply::Data(status) = self.ask(Request::Status) else { panic!("a status") };
        serde_json::from_value(status).unwrap()
    }

    fn foretold(&mut self, topic: &str) -> (Outcome, Reason) {
        let payload = format!(r#"{{"to": "{CAIO}", "opt_in": true, "id": "x", "n": "x"}}"#);
        let Reply::Data(told) = self.ask(Request::Explain { topic: topic.into(), payload, at: None }) else {
            panic!("an explanation")
        };
        let told: Explanation = serde_json::from_value(told).unwrap();
        let draft = &told.rules[0].drafts[0];
        (draft.outcome, draft.reason)
    }
}

fn template(name: &str) -> TemplateName {
    TemplateName { name: name.into(), language: Some("pt_BR".into()) }
}

#[test]
fn the_platform_is_asked_every_six_hours_or_so_and_page_by_page() {
    let mut kit = Kit::new();
    let first = json!({ "data": [], "paging": { "cursors": { "after": "NEXT" }, "next": "https://x" } });
    kit.will_answer(&[number("GREEN", "AVAILABLE"), first, templates("APPROVED", "UTILITY")]);
    kit.at(31.0);
    let paths: Vec<_> = kit.looks.iter().map(|(_, look)| look.path.as_str()).collect();
    assert_eq!(paths, ["/v25.0/106540352242922", "/v25.0/42/message_templates", "/v25.0/42/message_templates"]);
    assert!(kit.looks[2].1.query.ends_with("&after=NEXT"));
    let told = kit.status().gauges.number;
    assert_eq!((told.quality.as_deref(), told.people, told.per_second), (Some("GREEN"), Some(2_000), Some(80)));
    assert_eq!((told.status.as_str(), told.trouble.as_str()), ("CONNECTED", ""));

    // With jitter: not all boxes at once.
    let asked = kit.now;
    let waits: Vec<u64> = (0..6)
        .map(|_| {
            let before = kit.looks.last().unwrap().0;
            kit.until_asked();
            kit.looks.last().unwrap().0 - before
        })
        .collect();
    assert!(waits.iter().all(|wait| (48 * HOUR / 10..=72 * HOUR / 10).contains(wait)), "{waits:?}");
    assert!(waits.iter().any(|wait| *wait != waits[0]) && asked < kit.now, "{waits:?}");

    // Kept: a restart asks no sooner.
    let (asked, due) = (kit.looks.len(), kit.engine().soft.health.due);
    kit.restart();
    kit.run(60_000);
    assert_eq!((kit.looks.len(), kit.engine().soft.health.due), (asked, due));
    assert_eq!(kit.status().gauges.number.people, Some(2_000));
}

/// Found by reading: where one app serves several accounts, what befell one of them held the numbers of all.
#[test]
fn news_of_another_account_or_number_change_nothing_once_ours_are_known() {
    let origin = |account: &str, number: &str| {
        let named = |name: &str| (!name.is_empty()).then(|| name.to_owned());
        Origin { account: named(account), number: named(number) }
    };
    let table = [
        // What the update says; what is known of us; whether it counts.
        (origin("", ""), origin("42", "551155550000"), true),
        (origin("42", ""), origin("42", "551155550000"), true),
        (origin("43", ""), origin("42", "551155550000"), false),
        (origin("43", ""), origin("", ""), true),
        (origin("42", "551155550000"), origin("42", "551155550000"), true),
        (origin("42", "551155550001"), origin("42", "551155550000"), false),
        (origin("42", "551155550001"), origin("42", ""), true),
        (origin("", "551155550001"), origin("42", "551155550000"), false),
        // Brazil's ninth digit.
        (origin("42", "551187654321"), origin("42", "5511987654321"), true),
    ];
    for (of, ours, counts) in table {
        let mut kit = Kit::new();
        let mut told = number("GREEN", "AVAILABLE");
        match &ours.account {
            Some(account) => told["health_status"]["entities"][0]["id"] = json!(account),
            None => told["health_status"] = json!({ "can_send_message": "AVAILABLE" }),
        }
        if let Some(number) = &ours.number {
            told["display_phone_number"] = json!(format!("+{number}"));
        }
        kit.will_answer(&[told, templates("APPROVED", "UTILITY")]);
        kit.at(31.0);
        // What is known is kept.
        kit.restart();
        let closed = News::Account { closed: Some(Closed::All), until: None, said: "gone".into() };
        let who = Who { digits: Some(BIA[1..].into()), user: None };
        let stop = Notice::Marketing { who, stop: true, at: None };
        let notices = [Notice::News(closed), stop].map(|notice| Update { of: of.clone(), notice });
        kit.give(vec![Input::Notice(1, Notices { notices: notices.into(), ..Notices::default() })]);
        assert_eq!(kit.heard.pop(), Some((1, true)), "to refuse it would bring it back for a week");
        assert_eq!(!kit.hold_reasons().is_empty(), counts, "{of:?} {ours:?}");
        kit.news(News::Account { closed: None, until: None, said: "back".into() });
        kit.offer(BIA, "offer");
        assert_eq!(kit.told_times(Outcome::Withheld, Reason::MarketingStopped), usize::from(counts), "{of:?} {ours:?}");
        let Reply::Text(metrics) = kit.ask(Request::Metrics) else { panic!() };
        let skipped = metrics.contains(r#"branchline_notices_total{kind="skipped"} 2"#);
        assert_eq!(skipped, !counts, "{metrics}");
        if !counts {
            // The limit of people is the portfolio's, to which the other may belong as well.
            let (asked, notice) = (kit.looks.len(), Notice::News(News::People(250)));
            let notices = vec![Update { of, notice }];
            kit.give(vec![Input::Notice(2, Notices { notices, ..Notices::default() })]);
            kit.run(11 * 60_000);
            assert!(kit.looks.len() > asked, "the platform is asked");
        }
    }
}

#[test]
fn yellow_holds_marketing_and_red_all_but_critical_and_answers() {
    let mut kit = Kit::new();
    kit.will_answer(&[number("YELLOW", "AVAILABLE"), templates("APPROVED", "UTILITY")]);
    kit.at(31.0);
    kit.offer(BIA, "offer");
    kit.order("pos/1/ready", CAIO, "order");
    assert_eq!(kit.texts(), ["order"]);
    kit.answer_last(taken());
    assert_eq!(kit.hold_reasons(), [("marketing".to_owned(), Reason::QualityYellow)]);
    assert_eq!(kit.foretold("pos/1/offer"), (Outcome::Stored, Reason::QualityYellow));

    kit.news(News::Quality(Quality::Red));
    assert_eq!(kit.hold_reasons()[0].1, Reason::QualityRed);
    kit.order("pos/1/ready", BIA, "waits");
    kit.order("pos/1/urgent", BIA, "alarm");
    assert_eq!(kit.texts(), ["order", "alarm"], "critical passes");
    kit.answer_last(taken());
    assert_eq!(kit.foretold("pos/1/ready"), (Outcome::Stored, Reason::QualityRed));
    // Who wrote is answered; advertising is no answer.
    let person = kit.engine().outbox.person(&crate::message::Number::of_digits(&CAIO[1..]).unwrap()).unwrap();
    let window = crate::message::Window::of(Wall(MONDAY + kit.now as i64), kit.engine().moment);
    kit.engine().outbox.open_window(person, window).unwrap();
    kit.order("pos/1/ready", CAIO, "answer");
    kit.offer(CAIO, "offer 2");
    assert_eq!(kit.texts(), ["order", "alarm", "answer"]);
    kit.answer_last(taken());

    // It survives a restart, and goes when the platform says so.
    kit.restart();
    assert_eq!(kit.hold_reasons()[0].1, Reason::QualityRed);
    kit.news(News::Quality(Quality::Yellow));
    kit.run(20_000);
    assert_eq!(kit.texts().last(), Some(&"waits"));
    kit.answer_last(taken());
    kit.will_answer(&[number("GREEN", "AVAILABLE"), templates("APPROVED", "UTILITY")]);
    kit.news(News::Ask { said: "the number's quality changed".into() });
    kit.until_asked();
    assert_eq!(kit.hold_reasons(), []);
    let mut offers = kit.texts().split_off(4);
    offers.sort_unstable();
    assert_eq!(offers, ["offer", "offer 2"]);
}

/// What waited before she wrote is an answer as well as what comes after it.
#[test]
fn what_red_holds_goes_when_the_person_writes() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", ANA, "ana's");
    kit.answer_last(taken());
    kit.news(News::Quality(Quality::Red));
    kit.order("pos/1/ready", BIA, "bia's");
    kit.order("pos/1/ready", CAIO, "caio's");
    kit.offer(BIA, "offer");
    assert_eq!(kit.texts(), ["ana's"]);
    kit.hear(vec![wrote(&BIA[1..], MONDAY + kit.now as i64, "E o meu pedido?")]);
    kit.run(20_000);
    assert_eq!(kit.texts(), ["ana's", "bia's"], "no offer is one, and nobody else wrote");
    kit.answer_last(taken());
    kit.news(News::Quality(Quality::Green));
    kit.run(20_000);
    assert_eq!(kit.texts().len(), 4);
}

#[test]
fn a_template_is_held_while_the_platform_does_not_take_it() {
    let mut kit = Kit::new();
    kit.will_answer(&[number("GREEN", "AVAILABLE"), templates("PAUSED", "UTILITY")]);
    kit.at(31.0);
    let held = ("template order_ready/pt_BR".to_owned(), Reason::TemplatePausedByPlatform);
    assert_eq!(kit.hold_reasons(), [held], "what is not in our list is none of our business");
    kit.order("pos/1/ready", BIA, "waits");
    kit.order("pos/1/high", CAIO, "goes");
    assert_eq!(kit.texts(), ["goes"]);
    kit.answer_last(taken());
    let said = |held| News::Template { template: template("order_ready"), held, said: "x".into() };
    kit.news(said(Some(Reason::TemplateDisabled)));
    assert_eq!(kit.hold_reasons()[0].1, Reason::TemplateDisabled);
    kit.will_answer(&[number("GREEN", "AVAILABLE"), templates("APPROVED", "UTILITY")]);
    kit.news(News::Ask { said: "something about templates changed".into() });
    kit.until_asked();
    assert_eq!((kit.hold_reasons(), kit.texts()), (vec![], vec!["goes", "waits"]));
}

/// What a refusal found out after the question was asked is newer than the answer.
#[test]
fn an_answer_lifts_nothing_that_began_after_the_question() {
    let mut kit = Kit::new();
    kit.at(31.0);
    kit.order("pos/1/ready", BIA, "1");
    let attempt = kit.sent[0].attempt;
    let (now, mut actions) = (kit.now(), Vec::new());
    kit.engine().soft.health.due = Some(crate::time::BoxTime(0));
    kit.engine().stirred = true;
    actions.extend(kit.engine().batch(now, &[Input::Woke]).unwrap());
    assert!(actions.iter().any(|action| matches!(action, crate::engine::Action::Look(_))), "{actions:?}");
    kit.answer(attempt, code(132015));
    let read = |kit: &mut Kit, body: Value| {
        let now = kit.now();
        kit.engine().batch(now, &[Input::Looked(http(200, &body.to_string()))]).unwrap();
    };
    read(&mut kit, number("GREEN", "AVAILABLE"));
    read(&mut kit, templates("APPROVED", "UTILITY"));
    assert_eq!(kit.hold_reasons()[0].1, Reason::TemplatePausedByPlatform);
    kit.will_answer(&[number("GREEN", "AVAILABLE"), templates("APPROVED", "UTILITY")]);
    kit.news(News::Ask { said: String::new() });
    kit.until_asked();
    assert_eq!(kit.hold_reasons(), [], "the next answer does");
}

/// Its hold says what is wrong with our request, which no state of the platform mends.
#[test]
fn approval_does_not_lift_what_is_wrong_with_the_parameters() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "1");
    kit.answer_last(code(132000));
    kit.news(News::Template { template: template("order_ready"), held: None, said: "APPROVED".into() });
    assert_eq!(kit.hold_reasons()[0].1, Reason::TemplateParameters);
}

#[test]
fn a_template_that_became_marketing_waits_for_a_list_that_says_so() {
    let mut kit = Kit::new();
    kit.news(News::TemplateCategory { template: template("order_ready"), category: Category::Marketing });
    kit.order("pos/1/ready", BIA, "1");
    assert!(kit.sent.is_empty());
    assert_eq!(kit.hold_reasons(), [("template order_ready/pt_BR".to_owned(), Reason::TemplateCategory)]);
    let (mut rooms, _) = kit.config();
    let list = include_str!("templates.json").replacen("\"UTILITY\"", "\"MARKETING\"", 1);
    rooms.rules.templates = Some(list);
    // What is asked for offers is asked for nothing else.
    for rule in rooms.rules.rules.iter_mut().filter(|rule| ["high", "urgent"].contains(&&*rule.name)) {
        rule.consent = Some("other".to_owned());
    }
    rooms.rules.purposes.push("other".to_owned());
    let rules = crate::rules::Rules::compile(&rooms.rules).unwrap();
    let now = kit.now();
    kit.engine().reload(now, rooms, rules);
    kit.give(vec![Input::Woke]);
    assert_eq!((kit.hold_reasons(), kit.texts()), (vec![], vec!["1"]));
}

#[test]
fn a_template_that_people_block_goes_only_when_critical() {
    let mut kit = Kit::new();
    let rated = |quality| News::TemplateQuality { template: template("receipt"), quality };
    kit.news(rated(Quality::Red));
    kit.order("pos/1/high", BIA, "waits");
    kit.order("pos/1/urgent", CAIO, "alarm");
    assert_eq!(kit.texts(), ["alarm"]);
    kit.answer_last(taken());
    kit.news(rated(Quality::Yellow));
    assert_eq!(kit.texts(), ["alarm", "waits"]);
}

#[test]
fn a_restriction_closes_what_it_says_and_ends_with_it() {
    let mut kit = Kit::new();
    let close = |closed, until| News::Account { closed, until, said: "RESTRICTED".into() };
    let end = Wall(MONDAY + 3_600_000);
    kit.news(close(Some(Closed::Utility), Some(end)));
    kit.order("pos/1/ready", BIA, "utility");
    kit.offer(CAIO, "offer");
    assert_eq!(kit.texts(), ["offer"]);
    kit.answer_last(taken());
    kit.at(3599.0);
    assert_eq!(kit.texts(), ["offer"]);
    kit.at(3601.0);
    assert_eq!((kit.hold_reasons(), kit.texts()), (vec![], vec!["offer", "utility"]));
    kit.answer_last(taken());

    kit.news(close(Some(Closed::All), None));
    kit.order("pos/1/urgent", BIA, "alarm");
    assert_eq!(kit.hold_reasons(), [("the number".to_owned(), Reason::PolicyRestricted)]);
    assert_eq!(kit.texts().len(), 2, "the platform takes nothing");
    kit.news(close(None, None));
    assert_eq!(kit.texts().last(), Some(&"alarm"));
    kit.answer_last(taken());
    kit.news(close(Some(Closed::Templates), Some(Wall(MONDAY))));
    assert_eq!(kit.hold_reasons(), [], "news of what is over");
}

/// A restriction has an end; an answer about the number that says otherwise may be older than the news of it.
#[test]
fn a_restriction_with_an_end_outlasts_an_answer_that_the_number_may_send() {
    let mut kit = Kit::new();
    let end = Wall(MONDAY + 7 * 86_400_000);
    kit.news(News::Account { closed: Some(Closed::Templates), until: Some(end), said: "RESTRICTED".into() });
    kit.will_answer(&[number("GREEN", "AVAILABLE"), templates("APPROVED", "UTILITY")]);
    kit.news(News::Ask { said: String::new() });
    kit.until_asked();
    assert_eq!(kit.hold_reasons()[0].1, Reason::PolicyRestricted);
    kit.news(News::Account { closed: None, until: None, said: "lifted".into() });
    assert_eq!(kit.hold_reasons(), [], "news that it is over are");
}

#[test]
fn a_stop_for_the_account_ends_when_the_platform_says_that_it_may_send() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "1");
    kit.answer_last(code(131031));
    assert_eq!(kit.hold_reasons()[0].1, Reason::AccountLocked);
    let asks = |kit: &mut Kit, can: &str| {
        kit.will_answer(&[number("GREEN", can), templates("APPROVED", "UTILITY")]);
        kit.news(News::Ask { said: String::new() });
        kit.until_asked();
        kit.hold_reasons().len()
    };
    assert_eq!(asks(&mut kit, "BLOCKED"), 2);
    assert_eq!(asks(&mut kit, "LIMITED"), 1, "what the health closed it opens, what a refusal closed stays");
    assert_eq!(asks(&mut kit, "AVAILABLE"), 0);
    assert_eq!(kit.sent.len(), 2);
    // By its number of calls the platform says nothing about the token.
    kit.answer_last(code(190));
    kit.news(News::CanSend { can: CanSend::Available, said: String::new() });
    assert_eq!(kit.hold_reasons()[0].1, Reason::TokenInvalid);
}

#[test]
fn a_lower_speed_lowers_ours_and_a_higher_one_never_raises_it() {
    let mut kit = Kit::new();
    kit.extra = "\n[limits]\nsender_per_second = 200\nshare = \"1/4\"\n".into();
    kit.restart();
    assert_eq!(kit.engine().pace.sender_per_second, Some(50));
    kit.news(News::Speed(80));
    assert_eq!(kit.engine().pace.sender_per_second, Some(20), "this box's share of it");
    kit.restart();
    assert_eq!(kit.engine().pace.sender_per_second, Some(20), "kept");
    kit.news(News::Speed(1000));
    assert_eq!(kit.engine().pace.sender_per_second, Some(50));
    kit.news(News::People(UNLIMITED));
    assert!(kit.status().gauges.number.unlimited);
}

/// Each of 300 boxes took one place of a portfolio that has 250.
#[test]
fn a_share_of_less_than_one_person_is_nobody_and_told_loudly() {
    let mut kit = Kit::new();
    kit.extra = "\n[limits]\nshare = \"1/300\"\ndaily_recipients = 30000\ndaily_reserve = \"off\"\n".into();
    kit.restart();
    kit.news(News::People(250));
    kit.news(News::Speed(80));
    let loud = |kit: &Kit| -> Vec<String> {
        let news = kit.told.iter().filter(|told| told.loud && told.reason == Reason::PlatformNews);
        news.map(|told| told.detail.clone()).collect()
    };
    let told = loud(&kit);
    assert!(
        told.len() == 2 && told.iter().all(|said| said.contains("1/300") && said.contains("limits.share")),
        "{told:?}"
    );
    kit.order("pos/1/ready", BIA, "1");
    kit.arrive("node/1/state", r#"{"n": 50}"#);
    kit.run(25 * 3_600_000);
    assert!(kit.sent.is_empty(), "staff have no place either");
    assert!(
        kit.told
            .iter()
            .any(|told| told.reason == Reason::DailyLimit && told.loud && told.detail.contains("limits.share"))
    );
    kit.news(News::People(250));
    kit.news(News::Speed(80));
    assert_eq!(loud(&kit).len(), 2, "told once");
    kit.news(News::People(600));
    kit.order("pos/1/ready", BIA, "2");
    assert!(!kit.sent.is_empty());
}

/// "off" is no limit of our own: what the platform tells is one.
#[test]
fn a_limit_that_is_off_is_what_the_platform_tells() {
    let mut kit = Kit::new();
    kit.extra =
        "\n[limits]\nsender_per_second = \"off\"\ndaily_recipients = \"off\"\ndaily_messages = \"off\"\nshare = \"1/4\"\n".into();
    kit.restart();
    assert_eq!((kit.engine().pace.sender_per_second, kit.engine().pace.daily), (None, None));
    kit.news(News::Speed(80));
    kit.news(News::People(8));
    for n in 0..4 {
        kit.arrive("pos/1/ready", &format!(r#"{{"to": "+552198765000{n}", "opt_in": true, "id": "{n}", "n": "{n}"}}"#));
        kit.take_all();
    }
    assert_eq!((kit.texts().len(), kit.engine().pace.sender_per_second), (2, Some(20)));
    kit.restart();
    kit.run(60_000);
    assert_eq!(kit.texts().len(), 2, "kept");
    kit.news(News::People(UNLIMITED));
    kit.run(60_000);
    kit.take_all();
    assert_eq!(kit.texts().len(), 4);
}

#[test]
fn without_an_answer_what_was_known_stays_and_it_is_asked_again_sooner() {
    let mut kit = Kit::new();
    kit.will_answer(&[number("RED", "AVAILABLE"), templates("APPROVED", "UTILITY")]);
    kit.at(31.0);
    kit.healths.push_back(code(10));
    kit.until_asked();
    let told = kit.status().gauges.number;
    assert_eq!((told.quality.as_deref(), kit.hold_reasons()[0].1), (Some("RED"), Reason::QualityRed));
    assert!(told.trouble.contains("refused with code 10"), "{}", told.trouble);
    let asked = kit.looks.last().unwrap().0;
    kit.until_asked();
    let wait = Duration::from_millis(kit.looks.last().unwrap().0 - asked);
    assert!(wait < Duration::from_secs(30 * 60), "{wait:?}");
}

#[test]
fn an_operator_lifts_what_the_platform_set() {
    let mut kit = Kit::new();
    kit.news(News::Quality(Quality::Red));
    kit.news(News::Account { closed: Some(Closed::All), until: None, said: "x".into() });
    kit.news(News::TemplateQuality { template: template("receipt"), quality: Quality::Red });
    kit.ask(Request::Resume { target: Target::All, reason: "head office says so".into() });
    assert_eq!(kit.hold_reasons().len(), 1);
    kit.ask(Request::Resume { target: Target::Template("receipt".into()), reason: "x".into() });
    assert_eq!(kit.hold_reasons(), []);
}
