//! What the simulation found: one test for each bug, named for it.

use super::kit::*;
use crate::engine::{Input, Link};
use crate::message::{Outcome, Reason};
use crate::operate::Request;

#[test]
fn an_opt_in_by_one_number_lifts_no_revocation_by_another_of_the_same_person() {
    let mut kit = Kit::new();
    kit.ask(Request::ConsentRevoke { number: BIA.into(), purpose: None });
    // Nobody knows yet that the two are one person, who agrees at the till under the other number.
    kit.order("pos/1/ready", CAIO, "1");
    kit.answer_last(ok(&BIA[1..]));
    kit.order("pos/1/ready", CAIO, "2");
    kit.order("pos/1/ready", BIA, "3");
    kit.run(60_000);
    assert_eq!(kit.texts(), ["1"], "from then on the revocation wins");
    assert_eq!(kit.told_times(Outcome::Withheld, Reason::ConsentRevoked), 2);
}

#[test]
fn a_consent_that_an_operator_renewed_outlives_that_two_numbers_become_one_person() {
    let mut kit = Kit::new();
    kit.ask(Request::ConsentRevoke { number: BIA.into(), purpose: None });
    let grant = crate::operate::Grant {
        number: BIA.into(),
        purpose: "orders".into(),
        source: "form".into(),
        wording: None,
        expires: None,
        after_revocation: true,
    };
    kit.ask(Request::ConsentGrant(grant));
    kit.order("pos/1/ready", CAIO, "1");
    kit.answer_last(ok(&BIA[1..]));
    kit.order("pos/1/ready", BIA, "2");
    kit.run(60_000);
    assert_eq!(kit.texts(), ["1", "2"]);
}

#[test]
fn an_unknown_that_a_code_lets_repeat_once_ends_with_the_reason_of_an_end() {
    let mut kit = Kit::new();
    kit.order("pos/1/urgent", BIA, "1");
    kit.answer_last(code(1));
    kit.run(40_000);
    kit.answer_last(code(1));
    kit.run(600_000);
    assert_eq!(kit.sent.len(), 2);
    assert_eq!(kit.outcomes().last(), Some(&(Outcome::Unknown, Reason::NotRepeated)), "a reader knows that it is over");
}

#[test]
fn below_the_reserve_of_the_disk_events_wait_and_answers_settle() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "1");
    let reserve = kit.engine().reserve();
    kit.engine().free_space(Some(reserve - 1));
    kit.order("pos/1/urgent", CAIO, "2");
    kit.arrive("nobody/cares", "{}");
    assert_eq!(kit.acked.len(), 1, "what is held holds all later ones");
    assert_eq!(kit.told_times(Outcome::Stored, Reason::Due), 1);
    assert_eq!(kit.told.iter().filter(|told| told.reason == Reason::DiskReserve).count(), 1, "told, once");
    kit.answer_last(taken());
    assert_eq!(kit.told_times(Outcome::Accepted, Reason::Taken), 1, "what is on its way has the reserve");
    assert_eq!(kit.texts(), ["1"]);
    // Each event of a batch claims its part: together they cannot take the reserve either.
    kit.engine().free_space(Some(reserve + crate::limits::MESSAGE_WRITES - 1));
    kit.run(10_000);
    assert_eq!((kit.acked.len(), kit.texts()), (3, vec!["1", "2"]));
    let two = ["3", "4"].map(|n| {
        let payload = format!(r#"{{"to": "{BIA}", "opt_in": true, "id": "{n}", "n": "{n}"}}"#);
        crate::engine::Input::Arrived(kit.arrival("pos/1/ready", &payload))
    });
    let actions = kit.try_give(&two).unwrap();
    let _ = kit.take(actions);
    assert_eq!(kit.acked.len(), 4, "one fits now, the other after the next look at the disk");
    kit.engine().free_space(Some(1 << 30));
    kit.run(60_000);
    assert_eq!(kit.acked.len(), 5);
}

/// Simulation, seed 1632: the account was locked for a person to look at, a late 190 took the place of that hold, and the next
/// token lifted both.
#[test]
fn a_refused_token_does_not_soften_a_lock() {
    for (answers, stays) in [([131031, 190], true), ([190, 131031], true), ([190, 190], false)] {
        let mut kit = Kit::new();
        kit.give(vec![Input::Link(Link::Token(Some([1; 8])))]);
        // The first goes alone: it tries the line.
        kit.order("pos/1/ready", ANA, "0");
        kit.answer_last(taken());
        kit.order("pos/1/ready", BIA, "1");
        kit.order("pos/1/ready", CAIO, "2");
        let attempts: Vec<_> = kit.sent[1..].iter().map(|sent| sent.attempt).collect();
        assert_eq!(attempts.len(), 2, "both are on their way");
        attempts.iter().zip(answers).for_each(|(attempt, number)| kit.answer(*attempt, code(number)));
        let sent = kit.sent.len();
        kit.give(vec![Input::Link(Link::Token(Some([2; 8])))]);
        kit.run(60_000);
        assert_eq!(kit.sent.len() == sent, stays, "{answers:?}");
    }
}
