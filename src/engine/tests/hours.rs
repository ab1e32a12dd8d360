//! Quiet hours and the hours of rules, by timetable: what waits, until when, what passes, and what a clock that jumps changes.

use super::kit::*;
use crate::message::{Outcome, Reason};
use crate::operate::{Request, Target};
use crate::outbox::Outbox;
use std::time::Duration;

const HOUR: i64 = 3_600_000;

/// Quiet for marketing from 20:00 to 09:00 and on Sundays, for utility from 22:00 to 07:00, and a rule with hours of its own.
/// The test begins on a Monday at 09:00 of the branch.
const QUIET: &str = r#"
[limits]
daily_recipients = "off"
daily_reserve = "off"
[limits.caps]
marketing = "off"
rule = "off"
[policy.quiet_hours]
marketing = ["20:00-09:00", "sun"]
utility = ["22:00-07:00"]
[policy.expires]
low = "72h"
normal = "72h"
[rules.lunch]
inherit = "customer"
topic = "pos/{till}/lunch"
hours = "11:30-14:00"
[rules.lunch.message]
template = "order_ready"
body = ["{{ payload.n }}"]
"#;

fn kit() -> Kit {
    let mut kit = Kit::cold("64 MiB", "hold");
    kit.extra = QUIET.to_owned();
    kit.start();
    kit
}

/// Lets the clock go to an hour of the branch's time, 9 being the beginning. Requests are taken as soon as they leave.
fn until(kit: &mut Kit, hour: f64) {
    let end = ((hour - 9.0) * HOUR as f64).round() as u64;
    while kit.now < end {
        kit.run((end - kit.now).min(60_000));
        take(kit);
    }
}

fn take(kit: &mut Kit) {
    let known = kit.told_times(Outcome::Accepted, Reason::Taken);
    let attempts: Vec<_> = kit.sent[known.min(kit.sent.len())..].iter().map(|sent| sent.attempt).collect();
    for attempt in attempts {
        kit.answer(attempt, taken());
    }
}

fn holds(kit: &mut Kit) -> Vec<(String, Option<i64>)> {
    let reply = kit.ask(Request::Status);
    let crate::operate::Reply::Data(data) = reply else { panic!("{reply:?}") };
    let holds = data["holds"].as_array().unwrap().clone();
    let quiet = holds.iter().filter(|hold| hold["reason"] == "quiet-hours");
    quiet.map(|hold| (hold["what"].as_str().unwrap().to_owned(), hold["until"].as_i64())).collect()
}

#[test]
fn a_day_with_quiet_hours() {
    let mut kit = kit();
    kit.order("pos/1/offer", ANA, "monday");
    kit.order("pos/1/lunch", BIA, "breakfast");
    assert_eq!(kit.texts(), ["monday"], "09:00 is no longer quiet, and lunch is later");
    take(&mut kit);
    kit.run(1_000);
    assert_eq!(holds(&mut kit), [("rule lunch (utility)".to_owned(), Some(MONDAY + 5 * HOUR / 2))]);
    until(&mut kit, 11.49);
    assert_eq!(kit.texts(), ["monday"]);
    until(&mut kit, 11.51);
    assert_eq!(kit.texts(), ["monday", "breakfast"]);
    until(&mut kit, 20.0);
    kit.order("pos/1/offer", ANA, "evening");
    kit.order("pos/1/ready", BIA, "utility goes until 22:00");
    kit.order("pos/1/lunch", BIA, "tomorrow's lunch");
    take(&mut kit);
    until(&mut kit, 22.0);
    kit.order("pos/1/ready", BIA, "night");
    kit.order("pos/1/urgent", BIA, "alarm");
    take(&mut kit);
    assert_eq!(kit.texts()[2..], ["utility goes until 22:00", "alarm"]);
    until(&mut kit, 24.0 + 6.99);
    assert_eq!(kit.texts().len(), 4, "nothing else leaves by night");
    until(&mut kit, 24.0 + 7.01);
    assert_eq!(kit.texts()[4..], ["night"]);
    until(&mut kit, 24.0 + 9.01);
    assert_eq!(kit.texts()[5..], ["evening"]);
    until(&mut kit, 24.0 + 11.51);
    assert_eq!(kit.texts()[6..], ["tomorrow's lunch"]);
    assert_eq!(holds(&mut kit), []);
}

#[test]
fn what_is_held_by_night_leaves_in_the_morning_spread_by_the_limits() {
    let mut kit = kit();
    until(&mut kit, 23.0);
    for n in 0..200 {
        kit.order("pos/1/ready", &format!("+55119876{n:05}"), &n.to_string());
    }
    for n in 200..203 {
        kit.order("pos/1/ready", "+5511987600000", &n.to_string());
    }
    assert_eq!(kit.texts().len(), 0);
    until(&mut kit, 24.0 + 6.999);
    assert_eq!(kit.texts().len(), 0);
    let morning = (22 * HOUR) as u64;
    while kit.now < morning + 120_000 {
        kit.run(50);
        take(&mut kit);
    }
    assert_eq!(kit.texts().len(), 203);
    let mut per_second = [0; 120];
    kit.sent.iter().for_each(|sent| per_second[((sent.at - morning) / 1_000) as usize] += 1);
    assert!(per_second.iter().all(|sent| *sent <= 20), "limits.sender_per_second: {per_second:?}");
    let chatty: Vec<_> = kit.sent.iter().filter(|sent| sent.to == "+5511987600000").map(|sent| &*sent.text).collect();
    assert_eq!(chatty, ["0", "200", "201", "202"], "in their order");
}

#[test]
fn what_expires_by_night_ends_as_expired() {
    let mut kit = Kit::cold("64 MiB", "hold");
    kit.extra = QUIET.replace("72h", "4h");
    kit.start();
    until(&mut kit, 21.0);
    kit.order("pos/1/offer", ANA, "too early");
    until(&mut kit, 24.0 + 6.0);
    kit.order("pos/1/offer", BIA, "in time");
    assert_eq!(kit.told_times(Outcome::Expired, Reason::TooOld), 1);
    until(&mut kit, 24.0 + 9.01);
    assert_eq!(kit.texts(), ["in time"]);
    assert_eq!(kit.told_times(Outcome::Expired, Reason::TooOld), 1);
}

#[test]
fn without_a_trusted_clock_what_has_quiet_hours_waits_for_it_and_then_for_them() {
    let mut kit = Kit::cold("64 MiB", "hold");
    kit.extra = QUIET.to_owned();
    (kit.trusted, kit.wall_shift) = (false, -MONDAY);
    kit.start();
    kit.order("pos/1/ready", ANA, "1");
    kit.order("pos/1/offer", BIA, "2");
    kit.order("pos/1/urgent", CAIO, "alarm");
    assert_eq!(kit.texts(), ["alarm"]);
    take(&mut kit);
    kit.run(60_000);
    // It is 21:00, says somebody who knows.
    (kit.trusted, kit.wall_shift) = (true, 12 * HOUR);
    kit.give(vec![crate::engine::Input::Woke]);
    take(&mut kit);
    assert_eq!(kit.texts(), ["alarm", "1"], "marketing is quiet, utility is not yet");
    kit.run(12 * HOUR as u64);
    assert_eq!(kit.texts(), ["alarm", "1", "2"]);
}

/// The night is an hour of the wall clock, the hold is box time: whoever moves the first moves the end of the second.
#[test]
fn a_clock_that_jumps_moves_the_end_of_quiet_hours() {
    for (jump, waits) in [(0, 12 * HOUR), (5 * HOUR, 7 * HOUR), (-5 * HOUR, 0), (13 * HOUR, 0), (24 * HOUR, 12 * HOUR)]
    {
        let mut kit = kit();
        until(&mut kit, 21.0);
        kit.order("pos/1/offer", ANA, "1");
        assert_eq!(kit.texts().len(), 0);
        kit.wall_shift += jump;
        // Nobody says that it jumped: it is noticed within the minute of housekeeping.
        kit.run(61_000);
        let before = kit.texts().len();
        assert_eq!(before, usize::from(waits == 0), "jump by {} h", jump / HOUR);
        kit.at((12 * HOUR + waits - 1_000) as f64 / 1_000.0);
        assert_eq!(kit.texts().len(), before, "jump by {} h: not before the end", jump / HOUR);
        kit.run(61_000);
        assert_eq!(kit.texts(), ["1"], "jump by {} h", jump / HOUR);
        assert_eq!(holds(&mut kit), []);
    }
}

#[test]
fn a_restart_by_night_keeps_the_hold_and_a_reload_without_quiet_hours_ends_it() {
    let mut kit = kit();
    until(&mut kit, 21.0);
    kit.order("pos/1/offer", ANA, "1");
    kit.restart();
    assert_eq!(kit.texts().len(), 0);
    assert_eq!(holds(&mut kit), [("category marketing".to_owned(), Some(MONDAY + 24 * HOUR))]);
    // Off for the rest of the night, with a clock that is right again after the boot.
    kit.reboot(Duration::from_secs(13 * 3600));
    assert_eq!(kit.texts(), ["1"]);

    let mut kit = self::kit();
    until(&mut kit, 21.0);
    kit.order("pos/1/offer", ANA, "1");
    kit.extra = QUIET.replace(r#"["20:00-09:00", "sun"]"#, "\"off\"");
    let (rooms, rules) = kit.config();
    let now = kit.now();
    kit.engine().reload(now, rooms, rules);
    kit.give(vec![crate::engine::Input::Woke]);
    assert_eq!(kit.texts(), ["1"]);
}

#[test]
fn resume_does_not_wake_people_and_a_pause_outlasts_the_night() {
    let mut kit = kit();
    until(&mut kit, 21.0);
    kit.order("pos/1/offer", ANA, "1");
    let target = Target::Category("marketing".into());
    kit.ask(Request::Resume { target: target.clone(), reason: "try".into() });
    kit.ask(Request::Resume { target: Target::All, reason: "try".into() });
    assert_eq!(kit.texts().len(), 0);
    kit.ask(Request::Pause { target: target.clone(), reason: "inventory".into() });
    until(&mut kit, 24.0 + 10.0);
    assert_eq!(kit.texts().len(), 0);
    kit.ask(Request::Resume { target, reason: "done".into() });
    assert_eq!(kit.texts(), ["1"]);
}

/// Another time zone than the box's own, and the night when its clocks are put back.
#[test]
fn the_branch_s_time_zone_decides_also_in_the_night_that_has_an_hour_more() {
    let mut kit = Kit::cold("64 MiB", "hold");
    kit.extra = QUIET.to_owned();
    let october: jiff::Timestamp = "2026-10-24T21:30:00Z".parse().unwrap();
    kit.wall_shift = october.as_millisecond() - MONDAY;
    let (mut rooms, rules) = kit.config();
    rooms.policy.hours.zone = jiff::tz::TimeZone::get("Europe/Berlin").unwrap();
    let outbox = Outbox::open(rooms.outbox.clone(), 7).unwrap();
    kit.engine = Some(crate::engine::Engine::new(rooms, rules, outbox, kit.now(), "boot-1", 7).unwrap());
    kit.give(vec![crate::engine::Input::Woke]);
    kit.broker_up();
    kit.order("pos/1/ready", ANA, "1");
    // 23:30 in Berlin; the night to 07:00 has eight and a half hours.
    assert_eq!(holds(&mut kit), [("category utility".to_owned(), Some(october.as_millisecond() + 17 * HOUR / 2))]);
    kit.run((17 * HOUR / 2 - 1_000) as u64);
    assert_eq!(kit.texts().len(), 0);
    kit.run(2_000);
    assert_eq!(kit.texts(), ["1"]);
}

#[test]
fn people_are_told_beforehand_and_afterwards_until_when() {
    let mut kit = kit();
    until(&mut kit, 21.0);
    let payload = format!(r#"{{"to": "{ANA}", "opt_in": true, "id": "1", "n": "1"}}"#);
    let reply = kit.ask(Request::Explain { topic: "pos/1/offer".into(), payload, at: None });
    let crate::operate::Reply::Data(data) = reply else { panic!("{reply:?}") };
    let rules = data["rules"].as_array().unwrap();
    let draft = &rules.iter().find(|rule| rule["rule"] == "offer").unwrap()["drafts"][0];
    assert_eq!((&draft["reason"], &draft["until"]), (&"quiet-hours".into(), &(MONDAY + 24 * HOUR).into()));
    kit.order("pos/1/offer", ANA, "1");
    let id = kit.engine().outbox.list(None, None, 1).unwrap()[0].1.id.clone();
    let reply = kit.ask(Request::OutboxShow { id });
    let crate::operate::Reply::Data(data) = reply else { panic!("{reply:?}") };
    assert_eq!(data["waits"], serde_json::json!({"reason": "quiet-hours", "until": MONDAY + 24 * HOUR}));
}

/// The end by the wall clock of what had arrived was looked at again at each start: after a jump it had come too early.
#[test]
fn a_jump_of_the_clock_and_a_restart_expire_nothing() {
    for while_down in [false, true] {
        let mut kit = Kit::new();
        kit.ask(Request::Pause { target: Target::All, reason: "test".into() });
        kit.order("pos/1/ready", BIA, "1");
        let expires = kit.count("SELECT expires FROM message");
        if while_down {
            kit.crash();
        }
        kit.wall_shift += 72 * 3_600_000;
        if !while_down {
            kit.run(60_000);
            kit.crash();
        }
        kit.start();
        kit.run(60_000);
        assert_eq!(kit.count("SELECT expires FROM message"), expires, "while down: {while_down}");
        assert_eq!(kit.stands(1).0, Outcome::Stored);
    }
}

/// Found by reading: what the storage bore today began anew with each start, so that a box that loses power daily kept every budget.
#[test]
fn what_was_written_today_is_known_after_a_power_cut_and_forgotten_at_midnight() {
    let mut kit = Kit::new();
    let today = |kit: &mut Kit| {
        let crate::operate::Reply::Data(status) = kit.ask(Request::Status) else { panic!("a status") };
        status["written"]["bytes"].as_u64()
    };
    kit.engine().written(7_000);
    kit.order("pos/1/ready", ANA, "1");
    assert_eq!(today(&mut kit), Some(7_000));
    kit.reboot(Duration::from_secs(600));
    assert_eq!(today(&mut kit), None, "of this process nothing is known yet");
    kit.engine().written(50);
    assert_eq!(today(&mut kit), Some(7_050));
    kit.reboot(Duration::from_secs(24 * 3600));
    kit.engine().written(80);
    assert_eq!(today(&mut kit), Some(80));
}
