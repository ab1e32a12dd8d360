//! Clocks that are wrong: a box that wakes in 1970, and jumps of hours while it runs.

use crate::house::{API_NAMES, House, alarm, customer, now, order, order_for};
use branchline::demo::api::Fault;
use branchline::demo::certs::{Authority, Validity};
use branchline::time::Wall;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);
/// 2020-01-01: before any build, so that a build that is months old still finds its certificates valid.
const EARLY: Wall = Wall(1_577_836_800_000);

/// Events with a time of their own, which expire by the wall clock.
const TIMED: &str = r#"
[rules.timed]
inherit = "order"
topic = "timed/{order}"
at = "{{ payload.time }}"
[rules.timed.message]
template = "order_ready"
body = ["{{ payload.customer.name | first_name }}", "{{ order }}"]
"#;

fn timed(number: u32) -> (String, String) {
    let payload = json!({
        "event_id": format!("t{number}"), "time": now().rfc3339(),
        "customer": {"name": "Eva", "phone": customer(500 + number), "whatsapp_opt_in": true},
    });
    (format!("timed/{number}"), payload.to_string())
}

/// Debian's libfaketime for threads. The monotonic clock stays true, as on a box.
fn libfaketime() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let library = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|path| path.exists());
    library.expect("faketime is installed (Debian: apt install faketime)")
}

fn faked(setting: &str) -> Vec<String> {
    let preload = format!("LD_PRELOAD={}", libfaketime().display());
    ["env", &preload, "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1", "FAKETIME_NO_CACHE=1", setting]
        .map(str::to_owned)
        .to_vec()
}

fn trusted(house: &House) -> Option<bool> {
    house.status()?["clock_trusted"].as_bool()
}

fn only_row(house: &House, rule: &str) -> Value {
    let page = house.data(&["outbox", "list"]);
    page["rows"].as_array().unwrap().iter().find(|row| row["rule"] == rule).cloned().unwrap()
}

#[test]
fn a_box_that_wakes_in_1970_alarms_at_once_and_holds_what_needs_the_time() {
    let mut house = House::new(TIMED);
    let authority = Authority::new(Validity { from: EARLY, until: Validity::around(now()).until }).unwrap();
    let identity = authority.server(API_NAMES, Validity { from: EARLY, until: Validity::around(now()).until }).unwrap();
    house.write("api-ca.pem", authority.certificate_pem());
    house.replace_api(&identity);
    house.wrapper = faked("FAKETIME=@1970-01-02 00:00:00");
    // The link is there before the time is: answers carry none.
    house.control().hide_date(true);
    house.start();
    assert!(house.whole_log().starts_with("1970-01-02T"), "the box believes it: {}", house.log());
    house.publish([timed(1), alarm(1), order(1)]);
    house.wait_for_accepted(2, LONG);
    let texts: Vec<String> = house.control().accepted().into_iter().map(|seen| seen.text).collect();
    assert!(texts.iter().any(|text| text.contains("Alarme no nó n1")), "{texts:?}");
    house.wait("the third waits for the time", |house| only_row(house, "timed")["reason"] == "clock-unsynced");
    assert_eq!((trusted(&house), house.backlog()), (Some(false), 1));
    assert!(house.problems().contains("CLOCK NOT CONFIRMED"));
    let id = only_row(&house, "timed")["id"].as_str().unwrap().to_owned();
    let text = house.said(&["outbox", "show", &id]);
    assert!(text.contains("waits for") && text.contains("clock-unsynced"), "{text}");

    // The next verified answer brings the time, and with it the rest.
    house.control().hide_date(false);
    house.publish([alarm(2)]);
    house.wait_for_accepted(4, LONG);
    house.wait("nothing waits", |house| house.backlog() == 0);
    assert_eq!((trusted(&house), house.same_again()), (Some(true), 0));
    let at = house.status().unwrap()["at"].as_i64().unwrap();
    assert!((at - now().0).abs() < 60_000, "{at}: the box knows the time now");
    assert!(house.stop().success());
}

#[test]
fn without_any_uplink_a_box_of_1970_keeps_everything() {
    let mut house = House::new(TIMED);
    house.wrapper = faked("FAKETIME=@1970-01-02 00:00:00");
    house.control().fault(Fault::RefuseConnections, None);
    house.launch();
    house.wait("a daemon answers", |house| house.status().is_some());
    house.publish([timed(1), alarm(1)]);
    house.wait("both are stored", |house| house.backlog() == 2);
    let (topic, payload) = timed(2);
    let file = house.write("event.json", &payload);
    let text = house.said(&["explain", "--topic", &topic, "--payload", file.to_str().unwrap()]);
    assert!(text.contains("stored: clock-unsynced"), "{text}");
    assert!(house.stop().success());
    // A restart, still in 1970: nothing has expired meanwhile.
    house.launch();
    house.wait("a daemon answers", |house| house.status().is_some());
    assert_eq!(house.backlog(), 2);
    assert!(house.stop().success());
}

/// Sets the clock of a running daemon, as an offset from the true one.
fn set(file: &Path, offset: &str) {
    let next = file.with_extension("next");
    std::fs::write(&next, offset).unwrap();
    std::fs::rename(next, file).unwrap();
}

#[test]
fn jumps_of_hours_expire_nothing_double_nothing_and_break_no_limit() {
    let mut house = House::new(TIMED);
    let clock = house.path().join("clock");
    set(&clock, "+0");
    house.wrapper = faked(&format!("FAKETIME_TIMESTAMP_FILE={}", clock.display()));
    house.start();
    house.publish([order(1)]);
    house.wait_for_accepted(1, LONG);
    assert_eq!(trusted(&house), Some(true));

    let mut number = 1;
    let mut lines = 0;
    // A day ahead is beyond what any priority lives (12 h); a day back is before everything that is stored.
    for (offset, hours) in [("+30h", 30), ("-30h", -30), ("+0", 0)] {
        house.control().fault(Fault::RefuseConnections, None);
        house.control().cut();
        // Five for one person, of which three may go at once; one for another; one with a time of its own.
        house.publish((0..2).map(|more| order_for(number + 1 + more, &customer(900))));
        house.publish([order(number + 3), timed(number)]);
        number += 3;
        house.wait("four wait", |house| house.backlog() == 4);
        set(&clock, offset);
        house.publish([alarm(number)]);
        house.wait("five wait", |house| house.backlog() == 5);
        let log = house.whole_log();
        let stamp = log.lines().skip(lines).last().unwrap().split('Z').next().unwrap().to_owned() + "Z";
        lines = log.lines().count();
        let told: jiff::Timestamp = stamp.parse().unwrap();
        let ahead = told.as_millisecond() - now().0;
        assert!((ahead - hours * 3_600_000).abs() < 600_000, "the daemon's system clock did jump: {stamp}");
        let accepted = house.control().counters().accepted;
        house.control().clear_faults().unwrap();
        house.wait_for_accepted(accepted + 5, LONG);
        house.wait("nothing waits", |house| house.backlog() == 0);
        let at = house.status().unwrap()["at"].as_i64().unwrap();
        assert!((at - now().0).abs() < 60_000, "{at}: what the uplink vouched for stands");
    }
    let refused: Vec<_> = house.control().seen().into_iter().filter(|seen| !seen.accepted()).collect();
    assert_eq!(refused.len(), 0, "the API is strict about pace: {refused:?}\n{}", house.log());
    assert_eq!((house.control().counters().accepted, house.same_again()), (16, 0));
    assert!(house.stop().success());
}

/// Messages that leave between noon and two at the branch, and live long enough for any jump of this test.
const LUNCH: &str = r#"
[rules.lunch]
inherit = "order"
topic = "lunch/{order}"
hours = "12:00-14:00"
expires = "7d"
[rules.lunch.message]
template = "order_ready"
body = ["{{ payload.customer.name | first_name }}", "{{ order }}"]
"#;

fn lunch(number: u32) -> (String, String) {
    let payload = json!({
        "event_id": format!("l{number}"),
        "customer": {"name": "Eva", "phone": customer(700 + number), "whatsapp_opt_in": true},
    });
    (format!("lunch/{number}"), payload.to_string())
}

/// Seconds from now to an hour of the branch's clock, so many days ahead.
fn to(hour: i8, days: i64) -> i64 {
    let now = jiff::Timestamp::from_millisecond(now().0).unwrap().in_tz("America/Sao_Paulo").unwrap();
    let then = now.date().at(hour, 0, 0, 0).in_tz("America/Sao_Paulo").unwrap();
    then.timestamp().as_second() - now.timestamp().as_second() + days * 86_400
}

/// Quiet hours go by the clock that an uplink vouched for, wherever the box's own stands and however either jumps.
#[test]
fn hours_of_a_rule_hold_through_1970_and_jumps_of_hours() {
    let mut house = House::new(LUNCH);
    let wide = Validity { from: EARLY, until: now() + Duration::from_secs(30 * 86_400) };
    let authority = Authority::new(wide).unwrap();
    let identity = authority.server(API_NAMES, wide).unwrap();
    house.write("api-ca.pem", authority.certificate_pem());
    house.replace_api(&identity);
    let clock = house.path().join("clock");
    set(&clock, "@1970-01-02 00:00:00");
    house.wrapper = faked(&format!("FAKETIME_TIMESTAMP_FILE={}", clock.display()));
    house.control().hide_date(true);
    house.start();

    // In 1970 nobody knows whether it is noon: only the alarm goes.
    house.publish([lunch(1), alarm(1)]);
    let mut accepted = 1;
    house.wait_for_accepted(accepted, LONG);
    let why = |house: &House| only_row(house, "lunch")["reason"].clone();
    house.wait("it waits for the time", |house| why(house) == "clock-unsynced");
    house.control().hide_date(false);

    // (what the uplink says the hour is, how many days ahead, the box's own clock meanwhile)
    let (mut orders, mut lunches) = (0, 1);
    for (hour, days, own) in
        [(3, 1, "+0"), (12, 1, "+30h"), (9, 1, "+30h"), (20, 1, "-30h"), (7, 1, "+0"), (13, 3, "+2h"), (11, 3, "+0")]
    {
        let told = format!("{hour}:01 of day {days}, own clock {own}");
        house.control().skew_date(to(hour, days) + 60);
        set(&clock, own);
        // An answer brings the time.
        orders += 1;
        house.publish([order(orders)]);
        accepted += 1;
        if (12..14).contains(&hour) {
            accepted += 1;
            house.wait_for_accepted(accepted, LONG);
            // What comes now leaves at once.
            lunches += 1;
            house.publish([lunch(lunches)]);
            accepted += 1;
            house.wait_for_accepted(accepted, LONG);
            house.wait(&told, |house| house.backlog() == 0);
            // For the hours to come.
            continue;
        }
        house.wait_for_accepted(accepted, LONG);
        if house.backlog() == 0 {
            lunches += 1;
            house.publish([lunch(lunches)]);
        }
        house.wait(&told, |house| house.backlog() == 1 && why(house) == "quiet-hours");
        let status = house.said(&["status"]);
        assert!(status.contains("quiet-hours") && status.contains("12:00"), "{told}: {status}");
    }
    let seen = house.control().seen();
    assert_eq!(seen.iter().filter(|seen| !seen.accepted()).count(), 0, "no limit was broken: {seen:?}");
    assert_eq!(house.same_again(), 0);
    let page = house.data(&["outbox", "list"]);
    assert!(page["rows"].as_array().unwrap().iter().all(|row| row["outcome"] != "expired"), "{page}");
    assert!(house.stop().success());
}
