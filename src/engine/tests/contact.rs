//! A person's rights: what is exported is everything, and what is erased is nowhere in any file.

use super::kit::*;
use crate::engine::{Input, Link};
use crate::message::{Inbound, NotSent, Notice, Outcome, Progress, Reason, Who};
use crate::operate::{ErasureReport, Grant, LedgerLine, LedgerPage, LedgerRow, LimitRow, Reply, Request, Target};
use crate::outbox::power;
use crate::time::Wall;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

const NAME: &str = "Maria Quiteria";
/// What holds with and without `outbox.key_file`.
const KEYS: [Option<&str>; 2] = [None, Some("0123456789abcdef0123456789abcdef")];

/// Base64 of some bytes, as the platform's ids hold it.
fn base64(bytes: &[u8]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = (0..3).fold(0u32, |word, place| word << 8 | u32::from(*chunk.get(place).unwrap_or(&0)));
        for place in 0..=chunk.len() {
            text.push(char::from(SIGNS[(word >> (18 - 6 * place)) as usize & 63]));
        }
    }
    text
}

/// Base64 of the digits wherever they stand in what was encoded: the signs that depend on nothing else.
fn alignments(digits: &str) -> [String; 3] {
    [0, 1, 2].map(|shift| {
        let encoded = base64(&[&vec![b'x'; shift][..], digits.as_bytes()].concat());
        let whole = (shift + digits.len()) / 3 * 4;
        encoded[[0, 2, 3][shift]..whole].to_owned()
    })
}

fn wamid(to: &str) -> String {
    format!("wamid.{}==", base64(format!("\u{1c}\u{1}\u{e}{}\u{15}\u{2}", &to[1..]).as_bytes()))
}

fn accepted(to: &str) -> crate::message::Answer {
    let (id, digits) = (wamid(to), &to[1..]);
    http(200, &format!(r#"{{"contacts": [{{"wa_id": "{digits}"}}], "messages": [{{"id": "{id}"}}]}}"#))
}

/// What tells who a person is.
fn traces(to: &str) -> Vec<String> {
    let mut traces = vec![to[1..].to_owned(), NAME.to_owned(), "bia-event".to_owned(), wamid(to)];
    traces.extend(alignments(&to[1..]));
    traces
}

/// Which traces lie in which files of the store, and of a copy of it.
fn found(kit: &Kit, traces: &[String]) -> Vec<(String, String)> {
    found_in(kit.folder.path(), traces)
}

fn found_in(folder: &Path, traces: &[String]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let file = file.unwrap().path();
        if file.is_dir() {
            found.extend(found_in(&file, traces));
            continue;
        }
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        if !name.starts_with("outbox.db") {
            continue;
        }
        let bytes = std::fs::read(&file).unwrap();
        for trace in traces {
            if bytes.windows(trace.len()).any(|window| window == trace.as_bytes()) {
                found.push((name.clone(), trace.clone()));
            }
        }
    }
    found
}

/// A copy of the store, as a self-test leaves one when the power goes; how many files of it hold a trace.
fn leave_a_copy(kit: &Kit, traces: &[String]) -> usize {
    let left = kit.folder.path().join(".branchline-self-test");
    std::fs::create_dir(&left).unwrap();
    for (name, bytes) in power::files(kit.folder.path()).unwrap() {
        std::fs::write(left.join(name), bytes).unwrap();
    }
    found_in(&left, traces).into_iter().map(|(file, _)| file).collect::<BTreeSet<_>>().len()
}

fn order_named(kit: &mut Kit, topic: &str, to: &str, n: &str) {
    let payload = format!(
        r#"{{"to": "{to}", "opt_in": true, "id": "bia-event-{n}", "n": "{NAME} {n}", "order": "bia-event-{n}"}}"#
    );
    kit.arrive(topic, &payload);
}

fn erase(kit: &mut Kit, numbers: &[&str]) -> Reply {
    kit.ask(Request::ContactErase { numbers: numbers.iter().map(|number| (*number).to_owned()).collect() })
}

fn done(reply: Reply) -> ErasureReport {
    match reply {
        Reply::Data(data) => serde_json::from_value(data).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn export(kit: &mut Kit, number: &str, part: &str) -> Vec<Value> {
    let request = Request::ContactExport { number: number.into(), part: part.into(), after: -1 };
    match kit.ask(request) {
        Reply::Data(data) => data["rows"].as_array().unwrap().clone(),
        other => panic!("{other:?}"),
    }
}

/// BIA with a message in every state, among others.
fn busy() -> Kit {
    busy_with(None)
}

fn busy_with(key: Option<&'static str>) -> Kit {
    let mut kit = Kit::with_key(key);
    for n in 0..20 {
        kit.order("pos/1/ready", &format!("+55219876510{n:02}"), &format!("{n}"));
        kit.answer_last(taken());
    }
    kit.run(2_000);
    order_named(&mut kit, "pos/1/ready", BIA, "1");
    kit.answer_last(accepted(BIA));
    kit.run(30_000);
    order_named(&mut kit, "pos/1/ready", BIA, "2");
    kit.answer_last(lost());
    kit.ask(Request::Pause { target: Target::Rule("low".into()), reason: "test".into() });
    order_named(&mut kit, "pos/1/low", BIA, "3");
    kit.run(29_000);
    order_named(&mut kit, "pos/1/urgent", BIA, "4");
    assert_eq!(kit.sent.last().unwrap().to, BIA, "{:?}", kit.sent.last());
    order_named(&mut kit, "pos/1/ready", BIA, "5");
    kit
}

#[test]
fn an_erased_person_is_in_no_file_any_more() {
    KEYS.into_iter().for_each(an_erased_person_is_in_no_file_any_more_with);
}

fn an_erased_person_is_in_no_file_any_more_with(key: Option<&'static str>) {
    let mut kit = busy_with(key);
    // A store that was set aside, with everything in it.
    kit.engine().outbox.break_rows().unwrap();
    kit.run(61_000);
    let reply = erase(&mut kit, &[BIA]);
    assert!(matches!(&reply, Reply::Refused(why) if why.contains("accept-loss")), "{reply:?}");
    assert!(matches!(kit.ask(Request::AcceptLoss { reason: "test".into() }), Reply::Data(_)));
    kit.run(1_000);
    order_named(&mut kit, "pos/1/ready", BIA, "6");
    let before = found(&kit, &traces(BIA));
    let files: BTreeSet<&String> = before.iter().map(|(file, _)| file).collect();
    let told: BTreeSet<&String> = before.iter().map(|(_, trace)| trace).collect();
    let held = if key.is_some() { before.is_empty() } else { files.len() >= 3 && told.len() >= 5 };
    assert!(held, "store, log and what was set aside hold it, unless it is encrypted: {before:?}");
    std::fs::write(kit.folder.path().join("outbox.db.bak"), "by hand").unwrap();
    let copied = leave_a_copy(&kit, &traces(BIA));
    assert!(copied > 0 || key.is_some());
    let rebuilt = kit.engine().outbox.fault.rebuilt;
    let report = done(erase(&mut kit, &["21 98765-0001"]));
    assert_eq!(found(&kit, &traces(BIA)), []);
    assert_eq!(kit.engine().outbox.fault.rebuilt, rebuilt + 1);
    assert!(report.people[0].known && report.people[0].messages >= 5, "{report:?}");
    assert!(!report.people[0].suppressed);
    assert!(report.removed.iter().any(|file| file.starts_with("outbox.db.damaged-")), "{report:?}");
    assert_eq!(report.foreign, ["outbox.db.bak"]);
    assert_eq!(report.people[0].number, "+55…01");
    // What follows writes nothing of it again.
    kit.run(120_000);
    kit.restart();
    kit.run(120_000);
    assert_eq!(found(&kit, &traces(BIA)), []);
    assert!(!kit.folder.path().join("outbox.db.erasing").exists());
}

#[test]
fn no_table_holds_a_row_of_an_erased_person() {
    let mut kit = busy();
    let number = crate::message::Number::of_digits(&BIA[1..]).unwrap();
    let person = kit.engine().outbox.people_of(&number).unwrap()[0];
    done(erase(&mut kit, &[BIA]));
    let db = kit.engine().outbox.raw();
    let mut query = db
        .prepare("SELECT m.name FROM sqlite_schema AS m JOIN pragma_table_info(m.name) AS c WHERE m.type = 'table' AND c.name = 'person'")
        .unwrap();
    let tables: Vec<String> = query.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert!(tables.len() >= 4, "{tables:?}");
    for table in tables {
        let rows: i64 = db
            .query_row(&format!("SELECT count(*) FROM {table} WHERE person = ?1"), [person.0], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, 0, "{table}");
    }
    drop(query);
    // The daemon's own check finds nothing wrong with what is left.
    kit.crash();
    let report = crate::outbox::offline::check(&kit.folder.path().join("outbox.db"), &Default::default()).unwrap();
    assert_eq!(report.wrong, [""; 0]);
}

#[test]
fn what_was_told_of_an_erased_person_names_nobody() {
    let mut kit = busy();
    let (told, published) = (kit.told.len(), kit.published.len());
    let report = done(erase(&mut kit, &[BIA]));
    assert_eq!((report.people[0].in_flight, report.people[0].withdrawn), (1, 3), "{report:?}");
    for told in &kit.told[told..] {
        assert!(told.event.is_none() && told.to.is_none(), "{told:?}");
    }
    let ended = |outcome| {
        kit.told[told..].iter().filter(|told| (told.outcome, told.reason) == (Some(outcome), Reason::Erased)).count()
    };
    assert_eq!((ended(Outcome::Withdrawn), ended(Outcome::Unknown)), (2, 2), "{:?}", &kit.told[told..]);
    // Receipts that nobody acknowledged come again after a restart, and say no more who it was.
    kit.restart();
    for _ in 0..4 {
        let last = kit.published.iter().filter_map(|publish| publish.receipt).max().unwrap();
        kit.give(vec![Input::ReceiptTaken(last)]);
    }
    let again: Vec<Value> = kit.published[published..]
        .iter()
        .filter(|publish| publish.receipt.is_some())
        .map(|publish| serde_json::from_str(&publish.payload).unwrap())
        .collect();
    assert!(again.iter().any(|receipt| receipt["reason"] == "erased"), "{again:?}");
    for receipt in again.iter().filter(|receipt| receipt["reason"] == "erased") {
        assert!(
            receipt["event"].is_null() && receipt["to"].is_null() && receipt["audit"]["rows"].is_u64(),
            "{receipt}"
        );
    }
    assert!(!again.iter().any(|receipt| receipt.to_string().contains("bia-event")), "{again:?}");
    let status = match kit.ask(Request::Status) {
        Reply::Data(data) => data.to_string(),
        other => panic!("{other:?}"),
    };
    assert!(!status.contains("bia-event"), "{status}");
}

#[test]
fn an_answer_after_the_erasure_settles_nothing_personal() {
    let mut kit = busy();
    let attempt = kit.sent.last().unwrap().attempt;
    done(erase(&mut kit, &[BIA]));
    let told = kit.told.len();
    kit.answer(attempt, accepted(BIA));
    kit.run(1_000);
    assert!(kit.told[told..].iter().all(|told| told.outcome.is_none()), "{:?}", &kit.told[told..]);
    assert_eq!(found(&kit, &traces(BIA)), []);
    assert!(kit.engine().is_idle() || kit.engine().soft.in_flight.is_empty());
    assert_eq!(export(&mut kit, BIA, "person")[0]["known"], false);
    // Nor does a report, whatever it says.
    for progress in [Progress::Delivered, Progress::Failed { code: Some(131049), said: String::new() }, Progress::Sent]
    {
        for message in [21, 24] {
            kit.report(message, &wamid(BIA), progress.clone());
        }
    }
    assert!(kit.told[told..].iter().all(|told| told.outcome.is_none()), "{:?}", &kit.told[told..]);
    assert_eq!(found(&kit, &traces(BIA)), []);
    // What the answer says about the number is heard all the same.
    let mut kit = busy();
    let attempt = kit.sent.last().unwrap().attempt;
    done(erase(&mut kit, &[BIA]));
    kit.answer(attempt, code(190));
    assert!(kit.engine().soft.holds.iter().any(|hold| hold.reason == Reason::TokenInvalid));
}

#[test]
fn who_was_suppressed_stays_so_and_who_was_not_needs_new_consent() {
    let mut kit = Kit::new();
    for to in [BIA, CAIO] {
        kit.order("pos/1/ready", to, to);
        kit.answer_last(taken());
    }
    kit.ask(Request::ConsentRevoke { number: CAIO.into(), purpose: None });
    let report = done(erase(&mut kit, &[BIA, CAIO]));
    assert_eq!(report.people.iter().map(|erased| erased.suppressed).collect::<Vec<_>>(), [false, true]);
    kit.run(60_000);
    let grant = |after_revocation| {
        Request::ConsentGrant(Grant {
            number: CAIO.into(),
            purpose: "orders".into(),
            source: "counter".into(),
            wording: None,
            expires: None,
            after_revocation,
        })
    };
    let reply = kit.ask(grant(false));
    assert!(matches!(&reply, Reply::Refused(why) if why.contains("--after-revocation")), "{reply:?}");
    let sent = kit.sent.len();
    // Without consent nobody is written to; with it, only who had not said no.
    for (to, opt_in) in [(BIA, false), (CAIO, false), (CAIO, true), (BIA, true)] {
        kit.arrive(
            "pos/1/ready",
            &format!(r#"{{"to": "{to}", "opt_in": {opt_in}, "id": "again {to} {opt_in}", "n": "x", "order": "x"}}"#),
        );
    }
    let to: Vec<&str> = kit.sent[sent..].iter().map(|sent| sent.to.as_str()).collect();
    assert_eq!(to, [BIA]);
    assert_eq!(kit.told_times(Outcome::Withheld, Reason::ConsentRevoked), 2);
    assert_eq!(kit.told_times(Outcome::Withheld, Reason::NoConsent), 1);
    assert!(matches!(kit.ask(grant(true)), Reply::Data(_)));
    kit.order("pos/1/ready", CAIO, "asked for it again");
    assert_eq!(kit.sent.last().unwrap().to, CAIO);
}

/// Somebody who hides the number: the platform tells a user id, and nothing else is known.
#[test]
fn who_is_known_by_a_user_id_alone_is_exported_and_erased() {
    const USER: &str = "BR.13491208655302741918";
    for key in KEYS {
        let mut kit = Kit::cold("64 MiB", "hold");
        kit.key = key;
        kit.extra = "\n[inbound]\nnumbers = \"full\"\n".into();
        kit.start();
        let hers = [USER.to_owned(), NAME.to_owned()];
        user_says(&mut kit, USER, &format!("Oi, {NAME}"));
        user_says(&mut kit, USER, "parar");
        assert_eq!(found(&kit, &hers).is_empty(), key.is_some());
        let held = export(&mut kit, USER, "person").remove(0);
        assert_eq!((&held["known"], &held["alias"][0]["value"]), (&true.into(), &USER.into()), "{held}");
        assert_eq!(held["suppressed"][USER][0], "all");
        assert!(!held["receipt"].as_array().unwrap().is_empty(), "{held}");
        let acts = |kit: &mut Kit, name: &str| -> Vec<String> {
            export(kit, name, "audit").iter().map(|row| row["act"].as_str().unwrap().to_owned()).collect()
        };
        assert!(acts(&mut kit, USER).contains(&"revoked".to_owned()), "{:?}", acts(&mut kit, USER));
        let report = done(erase(&mut kit, &[USER]));
        let erased = &report.people[0];
        assert_eq!((erased.known, erased.suppressed, erased.number.as_str()), (true, true, "BR.…18"));
        assert_eq!(found(&kit, &hers), []);
        kit.restart();
        assert_eq!(found(&kit, &hers), []);
        assert_eq!(export(&mut kit, USER, "person")[0]["known"], false);
        // The no is kept: as soon as the number is known, it holds there too.
        kit.order("pos/1/ready", BIA, "1");
        taken_and_known_as(&mut kit, BIA, USER);
        kit.order("pos/1/ready", BIA, "2");
        assert_eq!(kit.told_times(Outcome::Withheld, Reason::ConsentRevoked), 1);
        // One person with two names: each leads to all of it, and erases all of it.
        assert!(acts(&mut kit, BIA).contains(&"revoked".to_owned()), "what was recorded by the user id");
        assert_eq!(export(&mut kit, USER, "messages").len(), 2);
        let report = done(erase(&mut kit, &[BIA]));
        assert!(report.people[0].messages == 2 && report.people[0].suppressed, "{report:?}");
        assert_eq!(found(&kit, &[USER.to_owned(), BIA[1..].to_owned()]), []);
    }
    let mut kit = Kit::new();
    for (name, known) in [("BR.1a", true), ("br.1a", false), ("BRA.1a", false), ("BR.1 a", false), ("BR.", false)] {
        let reply = kit.ask(Request::ContactExport { number: name.into(), part: "person".into(), after: -1 });
        assert_eq!(matches!(reply, Reply::Data(_)), known, "{name}: {reply:?}");
    }
}

/// Told without a number.
fn user_says(kit: &mut Kit, user: &str, text: &str) {
    let at = MONDAY + kit.now as i64;
    let Notice::Inbound(wrote) = wrote("nobody", at, text) else { panic!() };
    let who = Who { digits: None, user: Some(user.into()) };
    kit.hear(vec![Notice::Inbound(Inbound { who, wamid: format!("wamid.{user}.{at}"), ..wrote })]);
    kit.run(1_000);
}

/// The platform took the last message, and told by which id it knows the number.
fn taken_and_known_as(kit: &mut Kit, to: &str, user: &str) {
    let known = format!(
        r#"{{"contacts": [{{"wa_id": "{}", "user_id": "{user}"}}], "messages": [{{"id": "w{user}"}}]}}"#,
        &to[1..]
    );
    kit.answer_last(http(200, &known));
    kit.run(60_000);
}

/// Found by hand: `consent export` and `outbox export --all` left out who is known by a user id alone, and whom it means, so that on the
/// box that came after nobody remembered the no.
#[test]
fn what_is_known_by_a_user_id_goes_along_to_the_next_box() {
    const HIDDEN: &str = "BR.13491208655302741918";
    const CAIOS: &str = "BR.9f";
    let start = |key| {
        let mut kit = Kit::cold("64 MiB", "hold");
        kit.key = key;
        kit.extra = "\n[inbound]\nnumbers = \"full\"\n".into();
        kit.start();
        kit
    };
    for key in KEYS {
        let mut old = start(key);
        user_says(&mut old, HIDDEN, "parar");
        old.order("pos/1/ready", CAIO, "1");
        taken_and_known_as(&mut old, CAIO, CAIOS);
        let mut table = |name: &str| -> Vec<Value> {
            let reply = old.ask(Request::OutboxExport { table: name.into(), after: 0 });
            let Reply::Data(page) = reply else { panic!("{reply:?}") };
            page["rows"].as_array().unwrap().clone()
        };
        let rows: Vec<LimitRow> = table("limits").iter().map(|row| LimitRow::deserialize(row).unwrap()).collect();
        let users = |number: &str| -> Vec<String> {
            rows.iter().filter(|row| row.number == number).flat_map(|row| row.user_ids.clone()).collect()
        };
        assert_eq!((users(""), users(CAIO)), (vec![HIDDEN.to_owned()], vec![CAIOS.to_owned()]));
        assert!(table("ledger").iter().any(|row| row["user_ids"][0] == HIDDEN && row["action"] == "revoke"));
        let Reply::Data(page) = old.ask(Request::ConsentExport { after: 0 }) else { panic!() };
        let page: LedgerPage = serde_json::from_value(page).unwrap();
        assert!(page.rows.iter().any(|row| row.number == CAIO));
        let line = |row: &LedgerRow| LedgerLine {
            line: 2,
            number: row.number.clone(),
            purpose: row.purpose.clone(),
            action: row.action.clone(),
            at: row.at.map(Wall::rfc3339).unwrap_or_default(),
            source: row.source.clone(),
            wording: row.wording.clone(),
            expires: String::new(),
        };
        let lines: Vec<LedgerLine> = page.rows.iter().filter(|row| row.number == HIDDEN).map(line).collect();
        assert_eq!(lines.len(), 1, "{page:?}");

        let mut new = start(key);
        let recorded = |reply: Reply| match reply {
            Reply::Data(report) => (report["recorded"].as_u64().unwrap(), report["problems"].as_array().unwrap().len()),
            other => panic!("{other:?}"),
        };
        assert_eq!(recorded(new.ask(Request::LimitsImport { rows: rows.clone() })), (rows.len() as u64, 0));
        let import = || Request::ConsentImport { rows: lines.clone(), more: false, releases: false };
        assert_eq!(recorded(new.ask(import())), (1, 0));
        assert_eq!(recorded(new.ask(import())), (0, 0), "the same again");
        // Whose id it is comes out here: the no of the old box holds.
        new.order("pos/1/ready", BIA, "1");
        taken_and_known_as(&mut new, BIA, HIDDEN);
        new.order("pos/1/ready", BIA, "2");
        assert_eq!(new.told_times(Outcome::Withheld, Reason::ConsentRevoked), 1);
        // Who says no by the id that the old box knew.
        user_says(&mut new, CAIOS, "parar");
        new.order("pos/1/ready", CAIO, "2");
        assert_eq!(new.told_times(Outcome::Withheld, Reason::ConsentRevoked), 2);
    }
}

#[test]
fn an_erasure_gives_back_no_limit() {
    let mut kit = Kit::new();
    for n in 0..3 {
        kit.order("pos/1/ready", BIA, &format!("{n}"));
        kit.answer_last(taken());
    }
    let last = kit.now;
    done(erase(&mut kit, &[BIA]));
    let sent = kit.sent.len();
    kit.order("pos/1/ready", CAIO, "somebody else");
    assert_eq!(kit.sent.len(), sent + 1, "nobody else waits for it");
    let sent = sent + 1;
    kit.order("pos/1/ready", BIA, "new");
    kit.run(17_000);
    assert_eq!(kit.sent.len(), sent, "three at once are repaid by 18 s of silence");
    kit.run(2_000);
    assert_eq!(kit.sent.len(), sent + 1);
    assert!(kit.sent[sent].at >= last + 18_000);
}

/// A row that says no more than that there was somebody.
fn nameless(kit: &mut Kit) -> i64 {
    kit.count(
        "SELECT count(*) FROM person JOIN lane ON lane.person = person.id WHERE opened('person', id, number) = ''",
    )
}

#[test]
fn an_erasure_gives_back_no_place_of_the_day_and_no_cap_until_its_24_hours_are_over() {
    const HOUR: u64 = 3_600_000;
    for key in KEYS {
        let mut kit = Kit::cold("64 MiB", "hold");
        kit.key = key;
        kit.extra = "\n[limits]\npair_interval = \"off\"\ndaily_recipients = 2\ndaily_reserve = \"off\"\n\
                     [limits.caps]\nutility = [\"2 per 1d\"]\n"
            .into();
        kit.start();
        let order = |kit: &mut Kit, to: &str, n: &str| {
            let sent = kit.sent.len();
            if to == BIA {
                order_named(kit, "pos/1/ready", to, n);
            } else {
                kit.order("pos/1/ready", to, &format!("{to} {n}"));
            }
            kit.run(1_000);
            let left = kit.sent.len() > sent;
            if left {
                kit.answer_last(if to == BIA { accepted(to) } else { taken() });
            }
            left
        };
        assert!(order(&mut kit, BIA, "1") && order(&mut kit, BIA, "2") && order(&mut kit, CAIO, "1"));
        // At 0 h: erased. At once and at 23 h the day is full, and the person's cap too; across a restart.
        done(erase(&mut kit, &[BIA]));
        assert_eq!((nameless(&mut kit), found(&kit, &traces(BIA))), (1, vec![]));
        assert_eq!(export(&mut kit, BIA, "person")[0]["known"], false);
        assert!(!order(&mut kit, ANA, "1"), "the day is full");
        assert!(!order(&mut kit, BIA, "3"), "whoever comes back has no cap of one's own anew");
        assert_eq!(nameless(&mut kit), 0, "the number is the person's again");
        done(erase(&mut kit, &[BIA]));
        kit.restart();
        kit.run(22 * HOUR);
        assert!(!order(&mut kit, ANA, "2"), "the day is full");
        assert_eq!((nameless(&mut kit), found(&kit, &traces(BIA))), (1, vec![]));
        // At 24 h and the minute that the day has besides: free, and the row is gone.
        kit.run(2 * HOUR + 60_000);
        assert!(kit.count("SELECT count(*) FROM alias WHERE kind = 2") == 0 && nameless(&mut kit) == 0);
        kit.run(600_000);
        let waited = kit.sent.last().is_some_and(|sent| sent.to == ANA);
        assert!(waited, "the place is free: {:?}", kit.told);
        kit.answer_last(taken());
        done(erase(&mut kit, &[ANA]));
        kit.run(25 * HOUR);
        assert_eq!(nameless(&mut kit), 0);
        // Who was sent nothing lately leaves nothing.
        done(erase(&mut kit, &[CAIO]));
        assert_eq!(nameless(&mut kit), 0);
        kit.crash();
        let (path, seal) = (kit.folder.path().join("outbox.db"), kit.config().0.outbox.seal);
        assert_eq!(crate::outbox::offline::check(&path, &seal).unwrap().wrong, [""; 0]);
    }
}

#[test]
fn without_room_nothing_is_erased() {
    let mut kit = busy();
    power::has_free(Some(100_000));
    let reply = erase(&mut kit, &[BIA]);
    power::has_free(None);
    assert!(
        matches!(&reply, Reply::Refused(why) if why.contains("nothing is erased") && why.contains("make space")),
        "{reply:?}"
    );
    assert_eq!(export(&mut kit, BIA, "person")[0]["known"], true);
    assert!(!kit.folder.path().join("outbox.db.erasing").exists());
    let reply = erase(&mut kit, &[BIA, "no number"]);
    assert!(matches!(&reply, Reply::Refused(_)), "{reply:?}");
    assert_eq!(export(&mut kit, BIA, "person")[0]["known"], true);
}

#[test]
fn wherever_the_power_goes_the_next_start_ends_the_erasure() {
    for step in 0..4 {
        let mut kit = busy();
        power::goes_after(Some(step));
        let reply = erase(&mut kit, &[BIA]);
        power::goes_after(None);
        assert!(matches!(&reply, Reply::Refused(why) if why.contains("the power went")), "{step}: {reply:?}");
        kit.crash();
        assert!(kit.folder.path().join("outbox.db.erasing").exists(), "{step}");
        kit.start();
        kit.run(61_000);
        assert_eq!(found(&kit, &traces(BIA)), [], "{step}");
        assert!(!kit.folder.path().join("outbox.db.erasing").exists(), "{step}");
        kit.order("pos/1/ready", CAIO, "it works on");
        assert_eq!(kit.sent.last().unwrap().to, CAIO, "{step}");
    }
}

#[test]
fn without_a_restart_it_is_tried_again() {
    let mut kit = busy();
    power::goes_after(Some(1));
    assert!(matches!(erase(&mut kit, &[BIA]), Reply::Refused(_)));
    power::goes_after(None);
    assert!(kit.told.iter().any(|told| told.loud && told.reason == Reason::Erased));
    kit.run(130_000);
    assert_eq!(found(&kit, &traces(BIA)), []);
}

/// A self-test that was killed, or that works at that moment for an upgrade: what it copied is a store with everybody in it.
#[test]
fn the_copy_of_a_self_test_holds_nobody_who_was_erased() {
    let mut kit = busy();
    assert!(leave_a_copy(&kit, &traces(BIA)) > 0);
    kit.crash();
    kit.start();
    assert!(!kit.folder.path().join(".branchline-self-test").exists(), "destroyed by the next start");
    let copy = crate::outbox::Duplicate::of(&kit.folder.path().join("outbox.db")).unwrap();
    let reply = erase(&mut kit, &[BIA]);
    assert!(matches!(&reply, Reply::Refused(why) if why.contains("a self-test is at work")), "{reply:?}");
    assert!(copy.path.exists(), "whoever tries a new program is not disturbed");
    kit.run(61_000);
    assert_ne!(found(&kit, &traces(BIA)), []);
    drop(copy);
    kit.run(61_000);
    assert_eq!(found(&kit, &traces(BIA)), []);
    assert!(done(erase(&mut kit, &[BIA])).removed.is_empty());
}

#[test]
fn several_erasures_share_one_copy_and_the_audit_record_is_untouched() {
    KEYS.into_iter().for_each(several_erasures_share_one_copy_and_the_audit_record_is_untouched_with);
}

fn several_erasures_share_one_copy_and_the_audit_record_is_untouched_with(key: Option<&'static str>) {
    let mut kit = busy_with(key);
    let (anchor, rebuilt) = (kit.engine().outbox.anchor(), kit.engine().outbox.fault.rebuilt);
    let numbers: Vec<String> = (0..5).map(|n| format!("+55219876510{n:02}")).collect();
    let erase = |numbers: &[String]| Request::ContactErase { numbers: numbers.to_vec() };
    kit.give(vec![Input::Operator(1, erase(&numbers)), Input::Operator(2, erase(&[BIA.to_owned()]))]);
    assert_eq!(kit.replies.len(), 2);
    assert_eq!(kit.engine().outbox.fault.rebuilt, rebuilt + 1);
    assert_eq!(found(&kit, &traces(BIA)), []);
    let mut rows = Vec::new();
    let verdict = kit.engine().judge_record(Some(anchor), &mut |_, row| rows.push(row.clone()));
    assert!(verdict.is_good(), "{verdict:?}");
    let erased = rows.iter().filter(|row| row.act == crate::message::Act::Erased).count();
    assert_eq!(erased, 6);
    // Whoever knows the number and holds the key can still see what was decided, and no more.
    let audit = export(&mut kit, BIA, "audit");
    assert!(audit.len() > 8 && audit.iter().any(|row| row["act"] == "erased"), "{audit:?}");
    assert!(export(&mut kit, BIA, "messages").is_empty());
}

#[test]
fn an_export_is_everything() {
    KEYS.into_iter().for_each(an_export_is_everything_with);
}

fn an_export_is_everything_with(key: Option<&'static str>) {
    let mut kit = busy_with(key);
    kit.ask(Request::ConsentRevoke { number: BIA.into(), purpose: Some("offers".into()) });
    let held = export(&mut kit, BIA, "person").remove(0);
    assert_eq!(held["known"], true);
    assert_eq!(held["alias"][0]["value"], BIA[1..]);
    assert!(
        held["ledger"]
            .as_array()
            .unwrap()
            .iter()
            .any(|line| line["event"] == "bia-event-1" && line["action"] == "grant")
    );
    assert!(held["lane"][0]["pair_count"].is_i64(), "{held}");
    assert_eq!(held["suppressed"][BIA][0], "offers");
    let messages = export(&mut kit, BIA, "messages");
    assert_eq!(messages.len(), 5);
    assert_eq!(messages[0]["wamid"], wamid(BIA));
    assert!(messages[0]["content"][0]["text"].as_str().unwrap().contains(NAME), "{}", messages[0]);
    assert_eq!(messages[0]["attempt"][0]["reason"], "taken");
    assert!(messages.iter().all(|message| message["shown"].is_string()));
    let audit = export(&mut kit, BIA, "audit");
    assert!(audit.iter().any(|row| row["about"] == "contact-export"), "who asked is recorded: {audit:?}");
    assert!(audit.iter().any(|row| row["act"] == "sent"));
    assert!(matches!(
        kit.ask(Request::ContactExport { number: BIA.into(), part: "x".into(), after: 0 }),
        Reply::Refused(_)
    ));
}

#[test]
fn without_a_daemon_it_is_the_same() {
    let mut kit = busy();
    kit.give(vec![Input::Link(Link::UplinkDown(NotSent::NoConnection("test".into())))]);
    kit.crash();
    let (rooms, rules) = kit.config();
    let outbox = crate::outbox::Outbox::open(rooms.outbox.clone(), 7).unwrap();
    let mut engine = crate::engine::Engine::new(rooms, rules, outbox, kit.now(), "boot-2", 7).unwrap();
    let reply = engine.ask(kit.now(), Request::ContactErase { numbers: vec![BIA.into()] }).unwrap();
    assert!(done(reply).people[0].known);
    drop(engine);
    assert_eq!(found(&kit, &traces(BIA)), []);
}
