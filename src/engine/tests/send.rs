//! Operators' messages: on the way of all others, by the same policy and limits.

use super::kit::*;
use crate::message::{Outcome, Priority, Reason};
use crate::operate::{Basis, Explanation, Grant, Reply, Request, SendOrder, SendReport, Target};

fn order(to: &str, n: &str) -> SendOrder {
    SendOrder {
        to: to.into(),
        template: "order_ready".into(),
        language: "pt_BR".into(),
        purpose: "orders".into(),
        params: vec![n.into()],
        header: None,
        filename: None,
        buttons: vec![],
        priority: Priority::Normal,
        dry_run: false,
    }
}

fn dry(to: &str) -> SendOrder {
    SendOrder { dry_run: true, ..order(to, "A-1") }
}

fn agree(kit: &mut Kit, number: &str) {
    let grant = Grant {
        number: number.into(),
        purpose: "orders".into(),
        source: "till".into(),
        wording: None,
        expires: None,
        after_revocation: false,
    };
    assert!(matches!(kit.ask(Request::ConsentGrant(grant)), Reply::Data(_)));
}

fn report(reply: Reply) -> SendReport {
    let Reply::Data(value) = reply else { panic!("{reply:?}") };
    serde_json::from_value(value).unwrap()
}

fn send(kit: &mut Kit, order: SendOrder) -> SendReport {
    report(kit.ask(Request::Send(order)))
}

fn stands(report: &SendReport) -> (Outcome, Reason) {
    (report.message.outcome, report.message.reason)
}

fn refused(kit: &mut Kit, order: SendOrder) -> String {
    match kit.ask(Request::Send(order)) {
        Reply::Refused(why) => why,
        other => panic!("{other:?}"),
    }
}

/// The receipts that were published, as (rule, outcome).
fn receipts(kit: &Kit) -> Vec<(String, String)> {
    let receipts = kit.published.iter().filter(|publish| publish.topic.contains("/receipt/"));
    receipts
        .map(|publish| {
            let json: serde_json::Value = serde_json::from_str(&publish.payload).unwrap();
            let rule = publish.topic.rsplit('/').next().unwrap().to_owned();
            assert_eq!(json["rule"], rule);
            (rule, json["outcome"].as_str().unwrap().to_owned())
        })
        .collect()
}

#[test]
fn an_order_is_stored_posted_and_told_like_every_message() {
    let mut kit = Kit::new();
    agree(&mut kit, BIA);
    let sent = send(&mut kit, order(BIA, "A-1"));
    assert_eq!((stands(&sent), sent.basis), ((Outcome::Stored, Reason::Due), Basis::Daemon));
    assert_eq!((kit.sent.len(), kit.sent[0].to.as_str(), kit.sent[0].text.as_str()), (1, BIA, "A-1"));
    kit.answer_last(taken());
    assert_eq!(kit.outcomes(), [(Outcome::Stored, Reason::Due), (Outcome::Accepted, Reason::Taken)]);
    assert_eq!(receipts(&kit), [("operator".to_owned(), "accepted".to_owned())]);
    let Reply::Data(shown) = kit.ask(Request::OutboxShow { id: sent.id.unwrap() }) else { panic!() };
    assert_eq!((&shown["rule"], &shown["outcome"]), (&"operator".into(), &"accepted".into()));
}

#[test]
fn the_same_order_again_is_a_new_message() {
    let mut kit = Kit::new_with(BIA);
    send(&mut kit, order(BIA, "A-0"));
    kit.answer_last(taken());
    let (one, two) = (send(&mut kit, order(BIA, "A-1")), send(&mut kit, order(BIA, "A-1")));
    assert_ne!(one.id, two.id);
    assert_eq!(stands(&two), (Outcome::Stored, Reason::PersonBusy), "one in flight per person");
    kit.answer_last(taken());
    assert_eq!(kit.texts(), ["A-0", "A-1", "A-1"]);
}

#[test]
fn without_consent_it_is_withheld_and_told() {
    let mut kit = Kit::new();
    let sent = send(&mut kit, order(BIA, "A-1"));
    assert_eq!(stands(&sent), (Outcome::Withheld, Reason::NoConsent));
    assert!(sent.id.is_some(), "it is recorded, as every decision");
    agree(&mut kit, BIA);
    kit.ask(Request::ConsentRevoke { number: BIA.into(), purpose: None });
    assert_eq!(stands(&send(&mut kit, order(BIA, "A-2"))), (Outcome::Withheld, Reason::ConsentRevoked));
    let offer = SendOrder { template: "offer".into(), purpose: "offers".into(), ..order(CAIO, "A-3") };
    assert_eq!(stands(&send(&mut kit, offer)), (Outcome::Withheld, Reason::NoConsent));
    assert!(kit.sent.is_empty());
    assert_eq!(receipts(&kit).len(), 3);
}

#[test]
fn who_agreed_to_news_of_orders_has_not_agreed_to_offers() {
    let mut kit = Kit::new();
    for (template, purpose, says) in [
        ("offer", "orders", "orders is asked for other messages"),
        ("order_ready", "offers", "offers is asked for marketing"),
    ] {
        let order = SendOrder { template: template.into(), purpose: purpose.into(), ..order(BIA, "A-1") };
        let reply = kit.ask(Request::Send(order));
        assert!(matches!(&reply, Reply::Refused(why) if why.contains("--purpose") && why.contains(says)), "{reply:?}");
    }
}

/// Policy is asked again in the instant of sending.
#[test]
fn consent_that_is_taken_back_while_it_waits_withholds_it() {
    let mut kit = Kit::new();
    agree(&mut kit, BIA);
    kit.ask(Request::Pause { target: Target::All, reason: "test".into() });
    let sent = send(&mut kit, order(BIA, "A-1"));
    assert_eq!(stands(&sent), (Outcome::Stored, Reason::Paused));
    kit.ask(Request::ConsentRevoke { number: BIA.into(), purpose: None });
    kit.ask(Request::Resume { target: Target::All, reason: "test".into() });
    kit.run(1000);
    assert!(kit.sent.is_empty());
    assert_eq!(kit.told_times(Outcome::Withheld, Reason::ConsentRevoked), 1);
}

#[test]
fn limits_and_holds_are_named_and_kept() {
    let mut kit = Kit::new();
    agree(&mut kit, BIA);
    let mut from = 0;
    for n in ["1", "2", "3"] {
        send(&mut kit, order(BIA, n));
    }
    while from < kit.sent.len() {
        let attempt = kit.sent[from].attempt;
        from += 1;
        kit.answer(attempt, taken());
    }
    assert_eq!(kit.texts(), ["1", "2", "3"]);
    let fourth = send(&mut kit, order(BIA, "4"));
    assert_eq!(stands(&fourth), (Outcome::Stored, Reason::PairLimit));
    let ready = fourth.message.until.unwrap().0 - MONDAY;
    assert!((17_900..=18_100).contains(&ready), "{ready}");
    kit.at(17.0);
    assert_eq!(kit.sent.len(), 3);
    kit.at(18.2);
    assert_eq!(kit.texts(), ["1", "2", "3", "4"]);
    kit.answer_last(taken());

    let hold = Target::Rule("operator".into());
    kit.ask(Request::Pause { target: hold.clone(), reason: "test".into() });
    agree(&mut kit, CAIO);
    assert_eq!(stands(&send(&mut kit, order(CAIO, "5"))), (Outcome::Stored, Reason::RulePaused));
    kit.order("pos/1/ready", ANA, "6");
    assert_eq!(kit.texts().last(), Some(&"6"), "rules go on");
    kit.ask(Request::Resume { target: hold, reason: "test".into() });
    kit.run(1);
    assert_eq!(kit.texts().last(), Some(&"5"));
}

#[test]
fn it_expires_by_its_priority() {
    let mut kit = Kit::new();
    agree(&mut kit, BIA);
    kit.ask(Request::Pause { target: Target::All, reason: "test".into() });
    let sent = send(&mut kit, order(BIA, "A-1"));
    assert_eq!(sent.message.expires.unwrap().0 - MONDAY, 4 * 3_600_000 + kit.now as i64);
    kit.at(4.0 * 3600.0 + 60.0);
    assert_eq!(kit.told_times(Outcome::Expired, Reason::TooOld), 1);
    assert!(kit.sent.is_empty());
}

#[test]
fn contacts_have_the_consent_that_the_configuration_states() {
    let mut kit = Kit::new();
    let alarm = SendOrder { template: "node_alarm".into(), purpose: "staff".into(), ..order("people:luis", "rack 3") };
    assert_eq!(stands(&send(&mut kit, SendOrder { dry_run: true, ..alarm.clone() })), (Outcome::Stored, Reason::Due));
    assert_eq!(stands(&send(&mut kit, alarm)), (Outcome::Stored, Reason::Due));
    assert_eq!(kit.texts(), ["rack 3"]);
    let Reply::Data(shown) = kit.ask(Request::ConsentShow { number: "+5511987654322".into() }) else { panic!() };
    assert_eq!(shown["entries"][0]["source"], "configuration");
}

fn files(kit: &Kit) -> Vec<(std::ffi::OsString, Vec<u8>)> {
    let entries = std::fs::read_dir(kit.folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        entries.map(|path| (path.file_name().unwrap().to_owned(), std::fs::read(&path).unwrap())).collect();
    files.sort();
    files
}

#[test]
fn a_dry_run_says_the_same_and_changes_no_byte() {
    let mut kit = Kit::new();
    agree(&mut kit, BIA);
    for to in [BIA, CAIO] {
        let before = (files(&kit), kit.engine().outbox.row().commits, kit.told.len());
        let foretold = send(&mut kit, dry(to));
        assert_eq!((&foretold.id, foretold.dry_run), (&None, true));
        assert!(kit.sent.is_empty());
        assert!((files(&kit), kit.engine().outbox.row().commits, kit.told.len()) == before, "something was written");
        assert!(Request::Send(dry(to)).only_looks() && !Request::Send(order(to, "1")).only_looks());
        if to == CAIO {
            assert_eq!(send(&mut kit, order(to, "A-1")).message, foretold.message);
        }
    }
    let sent = send(&mut kit, order(BIA, "A-1"));
    assert_eq!(stands(&sent), stands(&send(&mut Kit::new_with(BIA), dry(BIA))));
}

impl Kit {
    /// A box on which this person agreed.
    fn new_with(number: &str) -> Kit {
        let mut kit = Kit::new();
        agree(&mut kit, number);
        kit
    }
}

#[test]
fn mistakes_are_refused_and_nothing_is_stored() {
    let mut kit = Kit::new_with(BIA);
    let why = refused(&mut kit, SendOrder { params: vec![], template: "order_redy".into(), ..order("12", "") });
    assert!(why.contains("--to: ") && why.contains("--template: the template list has no order_redy"), "{why}");
    let why = refused(&mut kit, SendOrder { params: vec![], ..order(BIA, "") });
    assert!(why.starts_with("--param: the template (pt_BR) takes 1 parameters, found 0"), "{why}");
    let Reply::Data(page) = kit.ask(Request::OutboxList { outcome: None, before: None, limit: 10 }) else { panic!() };
    assert_eq!(page["rows"], serde_json::json!([]));
}

#[test]
fn a_full_store_refuses_it() {
    let mut kit = Kit::cold("1 MiB", "hold");
    kit.start();
    agree(&mut kit, BIA);
    kit.ask(Request::Pause { target: Target::All, reason: "test".into() });
    let why = (0..5000).find_map(|_| match kit.ask(Request::Send(order(BIA, "A-1"))) {
        Reply::Refused(why) => Some(why),
        _ => None,
    });
    assert!(why.unwrap().starts_with("the store is full"));
    assert!(kit.engine().soft.held.is_empty(), "nothing is kept for later: the operator was told");
}

/// What was promised to an operator is there after a power cut.
#[test]
fn what_was_stored_survives_a_crash() {
    let mut kit = Kit::new_with(BIA);
    kit.ask(Request::Pause { target: Target::All, reason: "test".into() });
    send(&mut kit, order(BIA, "A-1"));
    kit.restart();
    kit.ask(Request::Resume { target: Target::All, reason: "test".into() });
    kit.run(1000);
    assert_eq!(kit.texts(), ["A-1"]);
}

#[test]
fn without_a_daemon_it_is_stored_and_leaves_when_one_runs() {
    let mut kit = Kit::new_with(BIA);
    kit.crash();
    kit.line = false;
    kit.open();
    let now = kit.now();
    let sent = report(kit.engine().ask(now, Request::Send(order(BIA, "A-1"))).unwrap());
    assert_eq!((stands(&sent), sent.basis), ((Outcome::Stored, Reason::Due), Basis::Store));
    kit.line = true;
    kit.restart();
    assert_eq!(kit.texts(), ["A-1"]);
}

/// But for what only a daemon has: its links.
#[test]
fn explain_says_the_same_with_a_daemon_and_on_the_store() {
    let mut kit = Kit::new();
    kit.ask(Request::Pause { target: Target::Rule("ready".into()), reason: "test".into() });
    let payload = format!(r#"{{"to": "{BIA}", "opt_in": true, "id": "e1", "n": "A-1"}}"#);
    let request = Request::Explain { topic: "pos/1/ready".into(), payload, at: None };
    let read = |reply: Reply| -> Explanation {
        let Reply::Data(value) = reply else { panic!("{reply:?}") };
        serde_json::from_value(value).unwrap()
    };
    let by_daemon = read(kit.ask(request.clone()));
    kit.crash();
    kit.open();
    let now = kit.now();
    let on_store = read(kit.engine().ask(now, request.clone()).unwrap());
    assert_eq!((by_daemon.basis, on_store.basis), (Basis::Daemon, Basis::Store));
    assert_eq!(on_store, Explanation { basis: Basis::Store, configuration: None, ..by_daemon });
    let draft = &on_store.rules[0].drafts[0];
    assert_eq!((draft.outcome, draft.reason), (Outcome::Stored, Reason::RulePaused));

    // An engine on nothing says so.
    let engine = kit.engine.take().unwrap().imagined();
    kit.engine = Some(engine);
    let now = kit.now();
    assert_eq!(read(kit.engine().ask(now, request).unwrap()).basis, Basis::Configuration);
}

/// The answer on the store was always `uplink-down`, whatever else held the message.
#[test]
fn a_limit_is_told_without_a_daemon_too() {
    let mut kit = Kit::new_with(BIA);
    for n in ["1", "2", "3"] {
        send(&mut kit, order(BIA, n));
        kit.answer_last(taken());
    }
    let by_daemon = send(&mut kit, dry(BIA));
    assert_eq!(stands(&by_daemon), (Outcome::Stored, Reason::PairLimit));
    kit.crash();
    kit.line = false;
    kit.open();
    let now = kit.now();
    let on_store = report(kit.engine().ask(now, Request::Send(dry(BIA))).unwrap());
    assert_eq!((stands(&on_store), on_store.message.until), (stands(&by_daemon), by_daemon.message.until));
}

/// `outbox show` gave the text as it was stored.
#[test]
fn a_number_in_a_stored_text_topic_or_detail_is_masked_when_it_is_shown() {
    let mut kit = Kit::new_with(BIA);
    kit.order(&format!("pos/{CAIO}/ready"), BIA, CAIO);
    assert_eq!(kit.texts(), [CAIO], "the person reads it whole");
    let details = format!("{CAIO} is not on WhatsApp");
    let error = serde_json::json!({ "error": { "code": 131026, "message": "", "error_data": { "details": details } } });
    kit.answer_last(http(400, &error.to_string()));
    let id = kit.told.iter().find_map(|told| told.message).unwrap().to_string();
    let Reply::Data(shown) = kit.ask(Request::OutboxShow { id }) else { panic!() };
    let hidden = crate::message::masked(CAIO);
    assert_eq!(shown["text"], format!("Pedido {hidden} pronto, obrigado."));
    assert_eq!(shown["topic"], format!("pos/{hidden}/ready"));
    assert!(shown["detail"].as_str().unwrap().contains(&format!("{hidden} is not on WhatsApp")), "{shown}");
    assert!(!shown.to_string().replace(&format!("\"event\":\"{CAIO}\""), "").contains(&CAIO[1..]), "{shown}");
}

/// It stood whole in the text above its masked parameter.
#[test]
fn a_number_in_the_text_is_masked_and_counts_whole() {
    let mut kit = Kit::new_with(BIA);
    let payload = format!(r#"{{"to": "{BIA}", "opt_in": true, "id": "e1", "n": "{CAIO}"}}"#);
    for request in [
        Request::Explain { topic: format!("pos/{CAIO}/ready"), payload, at: None },
        Request::Send(SendOrder { dry_run: true, ..order(BIA, CAIO) }),
    ] {
        let Reply::Data(value) = kit.ask(request) else { panic!("no answer") };
        let printed = value.to_string();
        assert!(!printed.contains(&CAIO[1..]) && !printed.contains(&BIA[1..]), "{printed}");
        let draft = value.pointer("/rules/0/drafts/0").unwrap_or(&value);
        let hidden = crate::message::masked(CAIO);
        let body = draft["parts"].as_array().unwrap().iter().find(|part| part["what"] == "body").unwrap();
        let shown = body["text"].as_str().unwrap();
        assert!(shown.contains(&hidden) && draft["text"].as_str().unwrap().contains(&hidden), "{draft}");
        let length = draft["lengths"].as_array().unwrap().iter().find(|length| length["what"] == "body").unwrap();
        let lost = CAIO.chars().count() - hidden.chars().count();
        assert_eq!(length["characters"], shown.chars().count() + lost, "{draft}");
    }
}

/// What is left of the disk is for the outcomes of what is on its way: an operator's message, stored or withheld, takes none of it.
#[test]
fn below_the_reserve_of_the_disk_nothing_is_sent_by_hand() {
    let mut kit = Kit::new();
    agree(&mut kit, BIA);
    let reserve = kit.engine().reserve();
    for (free, goes) in [(reserve - 1, false), (reserve, true)] {
        kit.engine().free_space(Some(free));
        for to in [BIA, CAIO] {
            let before = kit.engine().outbox.list(None, None, 200).unwrap().len();
            if goes {
                send(&mut kit, order(to, "A-1"));
            } else {
                assert!(refused(&mut kit, order(to, "A-1")).contains("make space"));
            }
            assert_eq!(kit.engine().outbox.list(None, None, 200).unwrap().len() - before, usize::from(goes), "{to}");
        }
        // Only to look costs nothing.
        assert!(send(&mut kit, dry(BIA)).dry_run);
    }
}

/// The store holds why a message was put there; what it waits for is worked out when somebody looks, in the list as by itself.
#[test]
fn the_list_says_what_each_message_waits_for() {
    let mut kit = Kit::new();
    for n in 1..=5 {
        kit.order("pos/1/ready", BIA, &n.to_string());
        if n == 1 {
            kit.answer_last(taken());
        }
    }
    let Reply::Data(page) = kit.ask(Request::OutboxList { outcome: Some("stored".into()), before: None, limit: 10 })
    else {
        panic!()
    };
    let rows = page["rows"].as_array().unwrap();
    let mut waiting = 0;
    for row in rows {
        let Reply::Data(one) = kit.ask(Request::OutboxShow { id: row["id"].as_str().unwrap().into() }) else {
            panic!()
        };
        if !one["waits"].is_null() {
            assert_eq!((&row["reason"], row["reason"] == "due"), (&one["waits"]["reason"], false), "{row}");
            waiting += 1;
        }
    }
    assert_eq!((rows.len(), waiting), (4, 3), "one is on its way: {page}");
}

#[test]
fn a_filter_is_no_topic_to_explain() {
    for topic in ["pos/+/ready", "pos/#"] {
        let why = Kit::new().ask(Request::Explain { topic: topic.into(), payload: "{}".into(), at: None });
        assert!(matches!(&why, Reply::Refused(why) if why.contains("no event has the topic")), "{topic}: {why:?}");
    }
}
