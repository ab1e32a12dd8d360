//! What the limits beyond pair and sender let go, and when: own caps.

use super::kit::*;
use crate::message::{Outcome, Reason};
use crate::operate::{Reply, Request, Target};
use std::time::Duration;

const HOUR: u64 = 3_600_000;

fn kit(limits: &str) -> Kit {
    let mut kit = Kit::cold("64 MiB", "hold");
    kit.extra = format!("\n[limits]\npair_interval = \"off\"\n{limits}");
    kit.start();
    kit
}

/// An order that the platform takes at once, if it leaves.
fn order(kit: &mut Kit, topic: &str, to: &str, n: &str) {
    let sent = kit.sent.len();
    kit.order(&format!("pos/1/{topic}"), to, n);
    take_from(kit, sent);
}

fn take_from(kit: &mut Kit, mut from: usize) {
    while from < kit.sent.len() {
        let attempt = kit.sent[from].attempt;
        kit.answer(attempt, taken());
        from += 1;
    }
}

/// Lets time go by in steps; what leaves is taken.
fn pass(kit: &mut Kit, millis: u64) {
    let end = kit.now + millis;
    while kit.now < end {
        let sent = kit.sent.len();
        kit.run((end - kit.now).min(60_000));
        take_from(kit, sent);
    }
}

#[test]
fn a_cap_holds_one_kind_of_one_person_until_it_frees_across_restarts() {
    let mut kit = kit("[limits.caps]\nutility = [\"2 per 1h\", \"3 per 1d\"]\nmarketing = [\"1 per 2d\"]\n");
    for n in ["1", "2", "3", "4"] {
        order(&mut kit, "ready", BIA, n);
    }
    assert_eq!(kit.texts(), ["1", "2"]);
    order(&mut kit, "offer", BIA, "offer");
    order(&mut kit, "ready", CAIO, "other");
    order(&mut kit, "urgent", BIA, "now");
    assert_eq!(kit.texts(), ["1", "2", "offer", "other", "now"], "other kinds, other people, and what is critical");
    kit.restart();
    // The critical one counts, as the third of the day: 3 comes back in an hour of it and finds the day full.
    pass(&mut kit, HOUR - 2_000);
    assert_eq!(kit.sent.len(), 5);
    pass(&mut kit, 3 * HOUR);
    assert_eq!(kit.sent.len(), 5);
    assert_eq!(kit.told_times(Outcome::Withheld, Reason::OwnCap), 2, "both would be too old tomorrow");
}

#[test]
fn what_a_cap_holds_leaves_in_order_as_soon_as_it_may() {
    let mut kit = kit("[limits.caps]\nutility = [\"2 per 1h\"]\n");
    for n in ["1", "2", "3", "4", "5"] {
        order(&mut kit, "ready", BIA, n);
    }
    pass(&mut kit, HOUR - 5_000);
    assert_eq!(kit.texts(), ["1", "2"]);
    order(&mut kit, "ready", BIA, "6");
    pass(&mut kit, 10_000);
    assert_eq!(kit.texts(), ["1", "2", "3", "4"], "in an hour, to the second");
    pass(&mut kit, HOUR + 60_000);
    assert_eq!(kit.texts(), ["1", "2", "3", "4", "5", "6"]);
}

#[test]
fn what_surely_did_not_arrive_is_no_message_of_a_cap() {
    let mut kit = kit("[limits.caps]\nutility = [\"1 per 1d\"]\n");
    kit.order("pos/1/ready", BIA, "1");
    kit.answer_last(unsent());
    kit.run(5_000);
    assert_eq!(kit.texts(), ["1", "1"], "the same again");
    kit.answer_last(code(131009));
    order(&mut kit, "ready", BIA, "2");
    assert_eq!(kit.texts(), ["1", "1", "2"], "a refused one reached nobody");
    kit.order("pos/1/ready", CAIO, "3");
    kit.answer_last(lost());
    order(&mut kit, "ready", CAIO, "4");
    kit.run(120_000);
    let ends = [Outcome::Withheld, Outcome::Unknown].map(|outcome| kit.told_times(outcome, Reason::OwnCap));
    assert_eq!(ends, [1, 1], "one of which nobody knows counts, for its repeat too");
}

#[test]
fn explain_foretells_a_cap() {
    let mut kit = kit("[limits.caps]\nutility = [\"1 per 1h\"]\n");
    order(&mut kit, "ready", BIA, "1");
    let payload = format!(r#"{{"to": "{BIA}", "opt_in": true, "id": "2", "n": "2"}}"#);
    let explain = Request::Explain { topic: "pos/1/ready".into(), payload, at: None };
    let Reply::Data(told) = kit.ask(explain) else { panic!("no data") };
    let draft = &told["rules"][0]["drafts"][0];
    assert_eq!((draft["outcome"].as_str(), draft["reason"].as_str()), (Some("stored"), Some("own-cap")), "{told}");
    assert!(draft["until"].is_number(), "{told}");
    kit.reboot(Duration::from_secs(3_601));
    order(&mut kit, "ready", BIA, "2");
    assert_eq!(kit.texts(), ["1", "2"], "time spent off counts where the clock is trusted");
}

/// Found while caps were built: a flood to one person in a full store, parked or withheld message by message, needed more space
/// than the reserve has, and no batch could be committed any more.
#[test]
fn a_flood_that_a_cap_stops_needs_no_space_that_a_full_store_has_not() {
    for (cap, sent) in [("1 per 2h", vec!["first", "0"]), ("1 per 1d", vec!["first"])] {
        let mut kit = Kit::cold("1 MiB", "hold");
        kit.extra = format!("\n[limits]\npair_interval = \"off\"\n[limits.caps]\nutility = [\"{cap}\"]\n");
        kit.start();
        order(&mut kit, "ready", BIA, "first");
        kit.ask(Request::Pause { target: Target::All, reason: "test".into() });
        for n in 0.. {
            assert!(n < 5_000, "it is never full");
            order(&mut kit, "ready", BIA, &n.to_string());
            if !kit.engine().soft.held.is_empty() {
                break;
            }
        }
        kit.ask(Request::Resume { target: Target::All, reason: "test".into() });
        pass(&mut kit, 2 * HOUR + 60_000);
        assert_eq!(kit.texts(), sent, "{cap}");
    }
}
