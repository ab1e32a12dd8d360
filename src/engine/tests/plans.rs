//! What keeps the engine quick: each statement that runs often uses an index, and held messages cost the others nothing.

use super::kit::*;
use crate::engine::Input;
use crate::operate::{Request, Target};
use std::time::{Duration, Instant};

#[test]
fn hot_statements_use_their_index() {
    let mut kit = Kit::new();
    kit.crash();
    let db = rusqlite::Connection::open(kit.folder.path().join("outbox.db")).unwrap();
    crate::outbox::Seal::default().teach(&db).unwrap();
    // Read from the sources, so that no statement is forgotten when one is added.
    let sources = [
        include_str!("../../outbox/message.rs"),
        include_str!("../../outbox/lane.rs"),
        include_str!("../../outbox/hold.rs"),
        include_str!("../../outbox/receipt.rs"),
        include_str!("../../outbox/person.rs"),
    ];
    let mut looked_at = 0;
    for source in sources {
        for text in source.split('"').filter(|text| {
            (text.starts_with("SELECT") || text.starts_with("UPDATE") || text.starts_with("DELETE"))
                && !text.contains('{')
        }) {
            let mut plan =
                db.prepare(&format!("EXPLAIN QUERY PLAN {text}")).unwrap_or_else(|why| panic!("{why}: {text}"));
            let parameters = plan.parameter_count();
            let nothing = vec![rusqlite::types::Null; parameters];
            let steps: Vec<String> = plan
                .query_map(rusqlite::params_from_iter(nothing), |row| row.get(3))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            looked_at += 1;
            for step in steps.iter().filter(|step| step.starts_with("SCAN")) {
                let allowed = [
                    // One row, a handful of rows, or a ring of 1,024 that is asked only about marked repeats.
                    "box",
                    "hold",
                    "repeat",
                    "sender",
                    "CONSTANT ROW",
                    // Rare: when room is made (256 are found at once), when somebody counts, when two people become one.
                    "message USING INDEX message_expiry",
                    "message USING COVERING INDEX",
                    "message",
                    "lane",
                    // From one end, and ended by LIMIT.
                    "attempt",
                    "receipt",
                ];
                let rest = step.trim_start_matches("SCAN ");
                // As long as what it is made of, whose own steps are judged here as well: one row.
                if rest.starts_with("(subquery-") && text.contains("LIMIT 1)") {
                    continue;
                }
                assert!(allowed.contains(&rest) || rest.starts_with("message USING"), "{step}: {text}");
                if rest == "message" {
                    assert!(
                        text.contains("max(rank)") || text.contains("person = ?1") || text.contains("LIMIT 256"),
                        "{text}"
                    );
                }
            }
        }
    }
    assert!(looked_at > 30, "{looked_at}");
}

/// The quickest of several: whatever else the machine does only makes one slower.
fn quickest(times: usize, mut what: impl FnMut()) -> Duration {
    (0..times)
        .map(|_| {
            let begin = Instant::now();
            what();
            begin.elapsed()
        })
        .min()
        .unwrap()
}

#[test]
fn the_next_message_is_found_as_quickly_among_many_that_are_held() {
    let mut kit = Kit::new();
    let mut serial = 0;
    let mut one = |kit: &mut Kit| {
        serial += 1;
        let to = format!("+55219{:08}", 70_000_000 + serial);
        kit.order("pos/1/urgent", &to, &format!("u{serial}"));
        kit.answer_last(taken());
        kit.run(100);
    };
    let alone = quickest(30, || one(&mut kit));
    kit.ask(Request::Pause { target: Target::Rule("ready".into()), reason: "test".into() });
    for block in 0..12 {
        let arrivals: Vec<Input> = (0..250)
            .map(|n| {
                let to = format!("+55218{:08}", 70_000_000 + block * 250 + n);
                let payload = format!(r#"{{"to": "{to}", "opt_in": true, "id": "{to}", "n": "x"}}"#);
                Input::Arrived(kit.arrival("pos/1/ready", &payload))
            })
            .collect();
        kit.give(arrivals);
    }
    kit.run(100);
    let crowded = quickest(30, || one(&mut kit));
    // Deeper trees cost a little; a scan of 3,000 would cost thirty times as much.
    assert!(crowded < alone * 10 + Duration::from_millis(1), "{alone:?} alone, {crowded:?} among 3,000 held");
}

#[test]
fn events_that_match_no_rule_write_nothing_and_ask_the_store_nothing() {
    let mut kit = Kit::new();
    let commits = kit.engine().outbox.row().commits;
    let wake = kit.engine().wake_at();
    for _ in 0..3 {
        let arrivals = (0..100).map(|_| Input::Arrived(kit.arrival("nobody/cares", "{}"))).collect();
        kit.give(arrivals);
    }
    assert_eq!(kit.acked.len(), 300);
    assert_eq!(kit.engine().outbox.row().commits, commits);
    assert_eq!(kit.engine().wake_at(), wake);
}
