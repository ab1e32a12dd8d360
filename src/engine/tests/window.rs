//! The 24-hour service window by both clocks: whatever the wall clock does and however long the box is off, it is open for 24 true
//! hours at most.

use super::kit::*;
use crate::engine::Input;
use crate::message::{Outcome, Reason};
use crate::operate::{LimitRow, Reply, Request};
use serde::Deserialize;
use std::time::Duration;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const BACK: i64 = 12 * HOUR as i64;

/// One place among the day's people, a rule that sends free text, and no quiet hours.
fn branch() -> Kit {
    let mut kit = Kit::cold("64 MiB", "hold");
    kit.extra = "\n[rules.hello]\ninherit = \"customer\"\ntopic = \"pos/{till}/hello\"\nmessage = { text = \"{{ payload.n }}\" }\n\
                 [limits]\ndaily_recipients = 1\ndaily_reserve = \"off\"\n\
                 [policy.quiet_hours]\nmarketing = \"off\"\nutility = \"off\"\n"
        .into();
    kit.start();
    kit
}

fn says(kit: &mut Kit, from: &str, at: i64, text: &str) {
    kit.hear(vec![wrote(&from[1..], at, text)]);
}

/// An event; what leaves of it is taken. Whether it left.
fn goes(kit: &mut Kit, rule: &str, to: &str, n: &str) -> bool {
    let before = kit.sent.len();
    kit.order(&format!("pos/1/{rule}"), to, n);
    let left = kit.sent.len() > before;
    if left {
        kit.answer_last(taken());
    }
    kit.run(10_000);
    left
}

/// The clock is right, and somebody vouches for it.
fn synced(kit: &mut Kit) {
    kit.trusted = true;
    kit.give(vec![Input::Woke]);
}

/// The clock, trusted, jumps back; `off` hours of the `hours` since the beginning the box was off. In the last ten minutes the
/// window is open, and nobody in it is counted; then it is shut, and everybody is.
fn shuts_at(what: &str, mut kit: Kit, off: u64, hours: u64) {
    kit.wall_shift -= BACK;
    kit.run((hours - off) * HOUR - 10 * MINUTE - kit.now);
    assert!(goes(&mut kit, "hello", BIA, "inside"), "{what}: open");
    assert!(goes(&mut kit, "ready", BIA, "not counted"), "{what}: open");
    assert!(goes(&mut kit, "ready", CAIO, "the only place"), "{what}: who writes takes no place");
    assert_eq!(kit.told_times(Outcome::Withheld, Reason::WindowClosed), 0, "{what}");
    kit.run((hours - off) * HOUR - kit.now);
    assert!(!goes(&mut kit, "hello", BIA, "outside"), "{what}: shut");
    assert_eq!(kit.told_times(Outcome::Withheld, Reason::WindowClosed), 1, "{what}");
    assert!(!goes(&mut kit, "ready", BIA, "counted"), "{what}: there is no place");
    let waiting = kit.count("SELECT count(*) FROM message WHERE hold = 'people'");
    assert_eq!(waiting, 1, "{what}: it waits for one");
}

/// The window was kept by the wall clock alone: set back by twelve hours it stayed open for thirty-six.
#[test]
fn a_clock_that_jumps_back_keeps_no_window_open() {
    type Trouble = (&'static str, u64, fn(&mut Kit));
    let troubles: [Trouble; 5] = [
        ("nothing else", 0, |_| {}),
        ("a restart", 0, Kit::restart),
        ("off, by a clock that is trusted at both ends", 10, |kit| kit.reboot(Duration::from_secs(36_000))),
        ("off without a clock, and told later for how long", 10, |kit| {
            kit.trusted = false;
            kit.reboot(Duration::from_secs(36_000));
            kit.run(HOUR);
            synced(kit);
        }),
        ("off twice without a clock: box time will never know", 10, |kit| {
            kit.trusted = false;
            for n in ["1", "2"] {
                kit.reboot(Duration::from_secs(18_000));
                kit.arrive("pos/1/agree", &format!(r#"{{"to": "{ANA}", "id": "{n}"}}"#));
                kit.run(MINUTE);
            }
            synced(kit);
        }),
    ];
    for (what, off, trouble) in troubles {
        let mut kit = branch();
        kit.run(HOUR - kit.now);
        says(&mut kit, BIA, MONDAY + HOUR as i64, "oi");
        kit.run(HOUR);
        trouble(&mut kit);
        shuts_at(what, kit, off, 25);
    }
}

/// A clock that went back while the box was off hides for how long it was.
#[test]
fn time_off_that_nobody_can_measure_shuts_every_window() {
    let mut kit = branch();
    says(&mut kit, BIA, MONDAY, "oi");
    kit.run(HOUR);
    kit.wall_shift -= BACK;
    kit.reboot(Duration::from_secs(36_000));
    assert!(!goes(&mut kit, "hello", BIA, "perhaps inside"));
    let now = kit.now().wall.reading();
    says(&mut kit, BIA, now.0, "oi again");
    assert!(goes(&mut kit, "hello", BIA, "inside"));
}

#[test]
fn a_message_heard_late_opens_the_window_for_what_is_left_of_it() {
    let hours_ago = MONDAY - 18 * HOUR as i64;
    let mut kit = branch();
    says(&mut kit, BIA, hours_ago, "oi");
    shuts_at("by a trusted clock", kit, 0, 6);

    // How late it was is learned with the clock.
    let mut kit = branch();
    kit.trusted = false;
    says(&mut kit, BIA, hours_ago, "oi");
    kit.run(HOUR);
    synced(&mut kit);
    shuts_at("without a clock", kit, 0, 6);

    // Heard in the wrong order: the later one counts, as it was written.
    let mut kit = branch();
    says(&mut kit, BIA, hours_ago, "oi");
    says(&mut kit, BIA, hours_ago - HOUR as i64, "before");
    kit.restart();
    shuts_at("in the wrong order", kit, 0, 6);
}

#[test]
fn of_two_people_who_are_one_the_window_that_was_opened_later_counts() {
    for first in [BIA, CAIO] {
        let mut kit = branch();
        // CAIO wrote, too: an hour before.
        kit.run(HOUR - kit.now);
        goes(&mut kit, "agree", first, "whose row is older");
        says(&mut kit, CAIO, MONDAY, "oi");
        says(&mut kit, BIA, MONDAY + HOUR as i64, "oi");
        kit.order("pos/1/ready", CAIO, "is BIA");
        kit.answer_last(ok(&BIA[1..]));
        kit.wall_shift -= BACK;
        kit.run(25 * HOUR - MINUTE - kit.now);
        assert!(goes(&mut kit, "hello", CAIO, "inside"));
        kit.run(25 * HOUR - kit.now);
        assert!(!goes(&mut kit, "hello", CAIO, "outside") && !goes(&mut kit, "hello", BIA, "outside"));
    }
}

/// What another box exported lacked the times of a person's words, and told the window by the wall clock alone.
#[test]
fn windows_and_the_times_of_words_move_to_the_box_that_replaces_another() {
    // An hour lies between the boxes: it counts as none where the clock of the new one does not tell it.
    for (what, behind, hours) in [("a clock that is right", 0, 13), ("one that is behind", BACK, 14)] {
        let mut old = branch();
        says(&mut old, BIA, MONDAY, "oi");
        old.run(3_000);
        says(&mut old, ANA, MONDAY + 1_000, "parar");
        says(&mut old, ANA, MONDAY + 2_000, "retomar");
        old.run(10 * HOUR + 2_000 - old.now);
        goes(&mut old, "agree", ANA, "the latest that the store knows");
        let Reply::Data(page) = old.ask(Request::OutboxExport { table: "limits".into(), after: 0 }) else { panic!() };
        let rows = page["rows"].as_array().unwrap().iter().map(|row| LimitRow::deserialize(row).unwrap()).collect();

        let mut new = branch();
        new.wall_shift = 11 * HOUR as i64 - behind;
        new.run(1_000);
        let Reply::Data(report) = new.ask(Request::LimitsImport { rows }) else { panic!() };
        assert_eq!(report["recorded"], 2, "{report}");
        let words = |kit: &mut Kit| -> [i64; 3] {
            let sql = "SELECT wish_wall, stopped_wall, started_wall FROM lane WHERE stopped_wall IS NOT NULL";
            let row = |row: &rusqlite::Row<'_>| Ok([row.get(0)?, row.get(1)?, row.get(2)?]);
            kit.engine().outbox.raw().query_row(sql, [], row).unwrap()
        };
        assert_eq!(words(&mut old), [MONDAY + 2_000, MONDAY + 1_000, MONDAY + 2_000]);
        assert_eq!(words(&mut new), words(&mut old));
        shuts_at(what, new, 0, hours);
    }
}
