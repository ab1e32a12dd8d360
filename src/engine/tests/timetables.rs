//! What happens when: "at 0 s this, at 9 s nothing, at 10 s that".

use super::kit::*;
use crate::engine::{Action, Input};
use crate::message::{Outcome, Reason};

#[test]
fn an_event_is_acknowledged_and_posted_in_one_batch() {
    let mut kit = Kit::new();
    let commits = kit.engine().outbox.row().commits;
    let arrival = kit.arrival("pos/1/ready", r#"{"to": "+5521987650001", "opt_in": true, "id": "e1", "n": "A-1"}"#);
    let actions = kit.try_give(&[Input::Arrived(arrival)]).unwrap();
    eprintln!("{actions:?} {:?}", kit.engine().may_post());
    let acks = actions.iter().filter(|action| matches!(action, Action::Ack(_))).count();
    let posts = actions.iter().filter(|action| matches!(action, Action::Post(_))).count();
    assert_eq!((acks, posts), (1, 1));
    assert_eq!(kit.engine().outbox.row().commits, commits + 1, "one sync for both");
    let _ = kit.take(actions);
    assert_eq!((kit.sent[0].to.as_str(), kit.sent[0].text.as_str()), (BIA, "A-1"));
    kit.answer_last(taken());
    assert_eq!(kit.outcomes(), [(Outcome::Stored, Reason::Due), (Outcome::Accepted, Reason::Taken)]);
    kit.answer_last(taken());
    assert_eq!(kit.outcomes().len(), 2, "an answer counts once");
}
