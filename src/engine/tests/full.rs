//! A store that is full: outcomes of what left always find room, and what they do not find room for waits.

use super::drive::Loop;
use super::kit::*;
use crate::engine::Input;
use crate::message::{
    By, Inbound, LedgerAction, Lost, Notice, Notices, Number, Outcome, Progress, Reason, ReceiptId, Status, Update, Who,
};
use crate::operate::{LedgerLine, Reply, Request, Target};
use crate::time::Wall;

fn customer(n: usize) -> String {
    format!("+55219{:08}", 80_000_000 + n * 137)
}

/// A paused box with a store of 1 MiB, filled with ordinary messages to so many people and then with urgent ones until one is held.
fn filled_to_the_brim(extra: &str) -> Kit {
    let mut kit = Kit::cold("1 MiB", "hold");
    kit.extra = extra.to_owned();
    kit.start();
    kit.ask(Request::Pause { target: Target::All, reason: "test".into() });
    for topic in ["pos/1/ready", "pos/1/urgent"] {
        for n in 0.. {
            assert!(n < 5_000, "it is never full");
            let before = kit.told_times(Outcome::Stored, Reason::Due);
            kit.order(topic, &customer(n), &format!("{topic} {n}"));
            // Something urgent displaces what is not, so "full" is when it had to.
            let gone = kit.told_times(Outcome::Displaced, Reason::GaveWay);
            if kit.told_times(Outcome::Stored, Reason::Due) == before || gone > 0 {
                break;
            }
        }
    }
    kit
}

fn used(kit: &mut Kit) -> u64 {
    kit.engine().outbox.used_bytes().unwrap()
}

fn on_its_way(kit: &mut Kit) -> usize {
    kit.engine().soft.in_flight.len()
}

/// Answers all that is on its way, time and again.
fn answer_all(kit: &mut Kit, from: &mut usize, rounds: usize) {
    for _ in 0..rounds {
        while *from < kit.sent.len() {
            let attempt = kit.sent[*from].attempt;
            *from += 1;
            kit.answer(attempt, taken());
        }
        kit.run(2_000);
    }
}

/// The broker takes no receipts: each outcome adds some, until no further outcome would fit. What left is settled all the same, and
/// nothing leaves of which that is not sure; and when the broker takes them, it goes on.
#[test]
fn in_a_full_store_what_left_is_settled_and_nothing_leaves_whose_outcome_would_not_fit() {
    let mut kit = filled_to_the_brim("");
    kit.ask(Request::Resume { target: Target::All, reason: "test".into() });
    let mut from = 0;
    answer_all(&mut kit, &mut from, 400);
    assert_eq!(on_its_way(&mut kit), 0);
    let accepted = kit.told_times(Outcome::Accepted, Reason::Taken);
    assert_eq!(accepted, kit.sent.len(), "each answer was kept");
    let most = 1024 * 1024;
    assert!(used(&mut kit) <= most);
    // What does not leave expires, if there is room to say so.
    kit.run(13 * 3_600_000);
    for _ in 0..400 {
        let last = kit.published.iter().filter_map(|publish| publish.receipt).max().unwrap_or(ReceiptId(0));
        kit.give(vec![Input::ReceiptTaken(last)]);
        answer_all(&mut kit, &mut from, 1);
    }
    let open: i64 = kit
        .engine()
        .outbox
        .raw()
        .query_row("SELECT count(*) FROM message WHERE state < 4", [], |row| row.get(0))
        .unwrap();
    assert_eq!((open, kit.engine().soft.held.len()), (0, 0), "everything came to its end");
    assert!(!kit.engine().soft.cramped);
}

/// The broker takes its receipts, a rule is held, and all that is left of the room is the reserve of outcomes: the audit record of
/// what left must not be what stops the next alarm.
#[test]
fn in_a_full_store_the_audit_record_gives_way_before_an_alarm_waits() {
    let mut kit = filled_to_the_brim("[limits]\ndaily_recipients = \"off\"\n");
    kit.ask(Request::Resume { target: Target::All, reason: "test".into() });
    let mut from = 0;
    for _ in 0..60 {
        let last = kit.published.iter().filter_map(|publish| publish.receipt).max().unwrap_or(ReceiptId(0));
        kit.give(vec![Input::ReceiptTaken(last)]);
        answer_all(&mut kit, &mut from, 1);
    }
    assert!(kit.engine().soft.holds.iter().any(|hold| hold.reason == Reason::RuleSurge));
    assert!(!kit.engine().soft.cramped);
    kit.order("pos/1/urgent", &customer(9_000), "alarm");
    kit.run(10_000);
    assert!(kit.texts().contains(&"alarm"), "{:?}", kit.told.last());
    let verdict = kit.engine().judge_record(None, &mut |_, _| {});
    assert!(verdict.is_good(), "and the record says what it forgot: {verdict:?}");
}

/// The same with answers that are lost: an unknown outcome takes room as well, and so does its end.
#[test]
fn in_a_full_store_unknown_outcomes_are_kept_too() {
    let mut kit = filled_to_the_brim("");
    kit.ask(Request::Resume { target: Target::All, reason: "test".into() });
    let mut from = 0;
    for _ in 0..300 {
        while from < kit.sent.len() {
            let attempt = kit.sent[from].attempt;
            from += 1;
            kit.answer(attempt, crate::message::Answer::Lost(Lost::Timeout));
        }
        kit.run(40_000);
    }
    // What left in the last round was not answered yet.
    let open = kit.sent.len() - from;
    assert_eq!(on_its_way(&mut kit), open);
    let unanswered: i64 = kit
        .engine()
        .outbox
        .raw()
        .query_row("SELECT count(*) FROM attempt WHERE answered IS NULL", [], |row| row.get(0))
        .unwrap();
    assert_eq!(unanswered, open as i64);
}

/// One alarm to a dozen people asks for more than the reserve of urgent messages has: it waits whole, and takes nothing of what is
/// kept for outcomes.
#[test]
fn an_event_that_asks_for_more_than_is_left_waits_and_takes_no_part_of_it() {
    let numbers: Vec<String> = (0..12).map(|n| format!("\"+5521970{n:06}\"")).collect();
    let extra = format!(
        "[contacts.all]\nconsent = \"staff\"\nnumbers = [{}]\n[rules.everybody]\ntopic = \"all/{{what}}\"\n\
         to = \"contacts:all\"\npriority = \"critical\"\nmessage = {{ template = \"node_alarm\", body = [\"{{{{ payload.n }}}}\"] }}\n",
        numbers.join(", ")
    );
    let mut kit = filled_to_the_brim(&extra);
    let reserve = 1024 * 1024 / 100 * 98;
    assert!(used(&mut kit) <= reserve);
    let before = kit.engine().soft.held.len();
    kit.arrive("all/fire", &format!(r#"{{"n": "{}"}}"#, "x".repeat(900)));
    assert_eq!(kit.engine().soft.held.len(), before + 1);
    assert!(used(&mut kit) <= reserve, "also what gave way for it made no room for a part of it");
    kit.ask(Request::Resume { target: Target::All, reason: "test".into() });
    let mut from = 0;
    for _ in 0..1_000 {
        let last = kit.published.iter().filter_map(|publish| publish.receipt).max().unwrap_or(ReceiptId(0));
        kit.give(vec![Input::ReceiptTaken(last)]);
        answer_all(&mut kit, &mut from, 1);
    }
    let told = kit.sent.iter().filter(|sent| sent.text.starts_with("xxx")).count();
    assert_eq!((told, kit.engine().soft.held.len()), (12, 0), "and told when there was room");
}

/// An order of an operator that does not fit is refused: a batch that cannot be committed would take the answers with it.
#[test]
fn an_import_into_a_full_store_is_refused_and_a_revocation_is_not() {
    let mut kit = filled_to_the_brim("");
    let rows = (0..500).map(|n| LedgerLine {
        line: n,
        number: format!("+5521960{n:06}"),
        purpose: "orders".into(),
        action: "grant".into(),
        source: "form".into(),
        at: String::new(),
        wording: String::new(),
        expires: String::new(),
    });
    let reply = kit.ask(Request::ConsentImport { rows: rows.collect(), more: false, releases: false });
    assert!(matches!(&reply, Reply::Refused(why) if why.contains("outbox.max_bytes")), "{reply:?}");
    let reply = kit.ask(Request::ConsentRevoke { number: customer(1), purpose: None });
    assert!(matches!(reply, Reply::Data(_)), "{reply:?}");
}

/// Whether their last word was a stop word.
fn has_stopped(kit: &mut Kit, number: &str) -> bool {
    let store = &kit.engine().outbox;
    let person = store.find_person(&Number::of_digits(&number[1..]).unwrap()).unwrap().unwrap();
    matches!(store.last_word(person).unwrap(), Some((LedgerAction::Revoke, _)))
}

/// A body of a thousand reports asked for more room than a small store has at all, and its stop was refused with it for days.
#[test]
fn a_stop_among_many_reports_is_kept_in_a_store_that_has_room_for_few() {
    let mut kit = Kit::cold("1 MiB", "hold");
    kit.start();
    kit.ask(Request::Pause { target: Target::All, reason: "test".into() });
    for n in 0.. {
        kit.order("pos/1/ready", &customer(n), &format!("order {n}"));
        if used(&mut kit) > 1024 * 1024 / 10 * 7 {
            break;
        }
    }
    let report = |n| {
        Notice::Status(Status {
            wamid: format!("wamid.{n}"),
            progress: Progress::Delivered,
            at: None,
            who: Who::default(),
            data: Some("sp-042/other-1/e".into()),
        })
    };
    let stopped = customer(1);
    let stop = wrote(&stopped[1..], MONDAY, "PARAR");
    let notices = (0..500).map(report).chain([stop]).chain((500..999).map(report)).map(Update::from).collect();
    kit.give(vec![Input::Notice(1, Notices { notices, ..Notices::default() })]);
    assert_eq!(kit.heard, [(1, true)], "reports of strangers take no room");
    assert_eq!(kit.told_times(Outcome::Displaced, Reason::GaveWay), 0, "and no message gave way to them");
    assert!(has_stopped(&mut kit, &stopped));
}

/// Nothing may be forgotten or give way: what a person takes back is kept all the same, the rest of its body comes again.
#[test]
fn a_stop_is_kept_in_a_store_that_is_full_of_what_may_not_be_forgotten() {
    let mut kit = filled_to_the_brim("");
    let notice = |kit: &mut Kit, notices: Vec<Notice>| {
        let notices = notices.into_iter().map(Update::from).collect();
        kit.give(vec![Input::Notice(1, Notices { notices, ..Notices::default() })]);
        kit.heard.pop()
    };
    for n in 0.. {
        let said = wrote(&customer(7_000 + n)[1..], MONDAY, &"a".repeat(2_000));
        if notice(&mut kit, vec![said]) == Some((1, false)) {
            break;
        }
    }
    let (first, second) = (customer(1), customer(2));
    let (chat, stop) = (wrote("5521970000001", MONDAY, "bom dia!"), wrote(&first[1..], MONDAY, "PARAR"));
    let ads = Notice::Marketing {
        who: Who { digits: Some(second[1..].into()), user: None },
        stop: true,
        at: Some(Wall(MONDAY)),
    };
    assert_eq!(notice(&mut kit, vec![chat, stop, ads]), Some((1, false)), "what was left out comes again");
    assert_eq!(kit.count("SELECT count(*) FROM lane WHERE marketing_stopped"), 1);
    assert!(has_stopped(&mut kit, &first));
    kit.ask(Request::Resume { target: Target::All, reason: "test".into() });
    let mut from = 0;
    answer_all(&mut kit, &mut from, 400);
    let to_first: Vec<&str> = kit.sent.iter().filter(|sent| sent.to == first).map(|sent| &*sent.text).collect();
    assert!(to_first.iter().all(|text| text.starts_with("Pronto")), "but for the confirmation: {to_first:?}");
    assert!(kit.sent.len() > to_first.len(), "others go on");
}

/// Whatever else finds no room, answers are committed alone.
#[test]
fn answers_are_kept_though_the_news_beside_them_find_no_room() {
    let mut it = Loop::new(true);
    let db = it.engine.outbox.raw();
    db.execute_batch("PRAGMA max_page_count = 200; CREATE TABLE junk (x)").unwrap();
    while db.execute("INSERT INTO junk VALUES (randomblob(900))", []).is_ok() {}
    db.execute("DELETE FROM junk WHERE rowid <= 8", []).unwrap();
    for n in 0..200 {
        let from = format!("5521970{n:06}");
        let inbound = Inbound {
            by: By::Person,
            wamid: format!("wamid.{n}"),
            who: Who { digits: Some(from), user: None },
            at: Some(Wall(MONDAY)),
            kind: "text".into(),
            text: None,
            payload: None,
            context: None,
            answers: None,
        };
        let body = Notices { notices: vec![Notice::Inbound(inbound).into()], ..Notices::default() };
        assert!(it.inbox.tell(Input::Notice(n, body)));
    }
    assert!(it.inbox.tell(it.answer()));
    it.round();
    assert_eq!(it.seen().1.first(), Some(&Outcome::Accepted));
    assert_eq!(it.desk.troubles, [true], "and the rest is told as a trouble");
    it.engine.outbox.raw().execute_batch("DROP TABLE junk").unwrap();
    it.round();
    assert_eq!(it.desk.troubles, [true, false]);
    let known: i64 = it.engine.outbox.raw().query_row("SELECT count(*) FROM person", [], |row| row.get(0)).unwrap();
    assert!(known >= 200, "the news waited and are kept");
}
