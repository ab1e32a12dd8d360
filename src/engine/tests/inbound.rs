//! What people write and wish: the service window, stop and start words, and what is published of it.

use super::kit::*;
use crate::engine::Input;
use crate::message::{By, Inbound, Notice, Notices, Outcome, Reason, Who};
use crate::operate::{ConsentReport, Grant, Reply, Request};
use crate::time::Wall;
use serde_json::Value;

const BIA_DIGITS: &str = "5521987650001";
const ANA_DIGITS: &str = "5511987654321";

/// The branch with a rule that sends free text, and somebody who speaks Spanish.
fn branch() -> Kit {
    let mut kit = Kit::cold("64 MiB", "hold");
    kit.extra = "\n[people.juan]\nnumber = \"+525512345678\"\nlanguage = \"es_MX\"\n[rules.hello]\ninherit = \"customer\"\ntopic = \"pos/{till}/hello\"\n\
                 message = { text = \"{{ payload.n }}\" }\n"
        .into();
    kit.start();
    kit
}

fn says(kit: &mut Kit, digits: &str, text: &str) {
    let at = MONDAY + kit.now as i64;
    kit.hear(vec![wrote(digits, at, text)]);
}

/// What was published of what people wrote.
fn published(kit: &Kit) -> Vec<(String, Value)> {
    let inbound = kit.published.iter().filter(|publish| publish.topic.contains("/inbound/"));
    inbound.map(|publish| (publish.topic.clone(), serde_json::from_str(&publish.payload).unwrap())).collect()
}

fn state(kit: &Kit) -> Value {
    let state = kit.published.iter().rev().find(|publish| publish.topic.ends_with("/state")).unwrap();
    serde_json::from_str(&state.payload).unwrap()
}

/// All that is on its way is accepted, for a while.
fn minutes(kit: &mut Kit, minutes: u64) {
    for _ in 0..minutes * 6 {
        // An answer counts once.
        for attempt in kit.sent.iter().map(|sent| sent.attempt).collect::<Vec<_>>() {
            kit.answer(attempt, taken());
        }
        kit.run(10_000);
    }
}

#[test]
fn free_text_goes_only_while_the_window_is_open() {
    let mut kit = branch();
    kit.order("pos/1/hello", BIA, "before");
    assert_eq!(kit.told_times(Outcome::Withheld, Reason::WindowClosed), 1);
    says(&mut kit, BIA_DIGITS, "oi");
    kit.order("pos/1/hello", BIA, "inside");
    minutes(&mut kit, 1);
    assert_eq!(kit.texts().last(), Some(&"inside"));
    kit.run(24 * 3_600_000);
    kit.order("pos/1/hello", BIA, "after");
    minutes(&mut kit, 1);
    assert_eq!((kit.texts().len(), kit.told_times(Outcome::Withheld, Reason::WindowClosed)), (1, 2));
    // An older message, sent again late, opens nothing; nor does a time in the future make it longer.
    kit.hear(vec![wrote(BIA_DIGITS, MONDAY, "old"), wrote("5521987650002", MONDAY + 400 * 86_400_000, "future")]);
    kit.order("pos/1/hello", BIA, "long after");
    kit.run(24 * 3_600_000 + 60_000);
    kit.order("pos/1/hello", CAIO, "after");
    minutes(&mut kit, 1);
    assert_eq!(kit.told_times(Outcome::Withheld, Reason::WindowClosed), 4);
    // A reaction is no message.
    let Notice::Inbound(thumb) = wrote(BIA_DIGITS, MONDAY + kit.now as i64, "👍") else { panic!() };
    kit.hear(vec![Notice::Inbound(Inbound { kind: "reaction".into(), ..thumb })]);
    kit.order("pos/1/hello", BIA, "after a thumb");
    assert_eq!(kit.told_times(Outcome::Withheld, Reason::WindowClosed), 5);
}

#[test]
fn the_window_of_an_unsynced_box_goes_by_the_platforms_time() {
    let mut kit = branch();
    kit.trusted = false;
    kit.wall_shift = -MONDAY;
    kit.hear(vec![wrote(BIA_DIGITS, MONDAY, "oi")]);
    kit.order("pos/1/hello", BIA, "waits");
    assert_eq!(kit.texts(), [""; 0], "nobody knows whether the window is open");
    (kit.trusted, kit.wall_shift) = (true, 0);
    kit.run(1_000);
    assert_eq!(kit.texts(), ["waits"]);

    let mut kit = branch();
    kit.trusted = false;
    let Notice::Inbound(undated) = wrote(BIA_DIGITS, 0, "oi") else { panic!() };
    kit.hear(vec![Notice::Inbound(Inbound { at: None, ..undated })]);
    kit.order("pos/1/hello", BIA, "no");
    assert_eq!(kit.told_times(Outcome::Withheld, Reason::WindowClosed), 1, "without any time there is no window");
}

#[test]
fn a_stop_word_suppresses_at_once_and_is_confirmed_once_in_the_persons_language() {
    let mut kit = branch();
    kit.order("pos/1/ready", BIA, "first");
    kit.order("pos/1/ready", BIA, "waits");
    says(&mut kit, BIA_DIGITS, "Parar, por favor!");
    minutes(&mut kit, 2);
    assert_eq!(kit.texts(), ["first", "Pronto, não enviaremos mais mensagens."]);
    assert_eq!(kit.told_times(Outcome::Withheld, Reason::ConsentRevoked), 1, "also what waited");
    says(&mut kit, BIA_DIGITS, "PARAR");
    says(&mut kit, BIA_DIGITS, "stop");
    kit.order("pos/1/urgent", BIA, "an alarm");
    kit.order("pos/1/ready", BIA, "another");
    minutes(&mut kit, 2);
    assert_eq!(kit.texts().len(), 2, "once");
    let Reply::Data(shown) = kit.ask(Request::ConsentShow { number: BIA.into() }) else { panic!() };
    let shown: ConsentReport = serde_json::from_value(shown).unwrap();
    let last = shown.entries.last().unwrap();
    assert_eq!((last.action.as_str(), last.purpose.as_str(), last.source.as_str()), ("revoke", "all", "stop word"));
    // And somebody who never got a message.
    says(&mut kit, "525512345678", "baja");
    assert_eq!(kit.texts().last(), Some(&"Listo, no enviaremos más mensajes."));
}

#[test]
fn what_only_holds_the_word_suppresses_nobody() {
    let mut kit = branch();
    for text in ["Can you stop by at 5?", "cancelar", "Quero parar o pedido 42"] {
        says(&mut kit, BIA_DIGITS, text);
    }
    kit.order("pos/1/ready", BIA, "first");
    assert_eq!(kit.texts(), ["first"]);
}

#[test]
fn a_start_word_lifts_what_a_stop_word_took_and_nothing_else() {
    let mut kit = branch();
    kit.order("pos/1/ready", BIA, "1");
    minutes(&mut kit, 1);
    kit.arrive("pos/1/offer", &format!(r#"{{"to": "{BIA}", "opt_in": true, "id": "o", "n": "2"}}"#));
    minutes(&mut kit, 1);
    kit.ask(Request::ConsentRevoke { number: BIA.into(), purpose: Some("offers".into()) });
    says(&mut kit, BIA_DIGITS, "parar");
    minutes(&mut kit, 1);
    kit.restart();
    kit.order("pos/1/ready", BIA, "stopped");
    kit.run(60_000);
    says(&mut kit, BIA_DIGITS, "voltar a receber");
    kit.restart();
    kit.order("pos/1/ready", BIA, "3");
    kit.arrive("pos/1/offer", &format!(r#"{{"to": "{BIA}", "opt_in": true, "id": "p", "n": "no offers"}}"#));
    minutes(&mut kit, 1);
    assert_eq!(kit.texts(), ["1", "2", "Pronto, não enviaremos mais mensagens.", "3"]);
    // Stopped again, it is confirmed again.
    says(&mut kit, BIA_DIGITS, "parar");
    minutes(&mut kit, 1);
    assert_eq!(kit.texts().len(), 5);

    // What an operator took back is an operator's to give; and who never agreed gets nothing by a start word.
    kit.ask(Request::ConsentRevoke { number: CAIO.into(), purpose: None });
    for digits in ["5521987650002", "5521987650003"] {
        says(&mut kit, digits, "parar");
        says(&mut kit, digits, "start");
    }
    let before = kit.texts().len();
    kit.order("pos/1/ready", CAIO, "no");
    kit.arrive("pos/1/ready", r#"{"to": "+5521987650003", "opt_in": false, "id": "q", "n": "no"}"#);
    minutes(&mut kit, 1);
    assert!(!kit.texts()[before..].contains(&"no"));
}

/// Whose words count: the person's; a button's, which are ours, only to stop; and a caption's not at all.
#[test]
fn a_button_stops_and_starts_nothing_and_a_title_does_neither() {
    let mut kit = branch();
    let by = |kit: &mut Kit, by: By, text: &str| {
        let Notice::Inbound(wrote) = wrote(BIA_DIGITS, MONDAY + kit.now as i64, text) else { panic!() };
        kit.hear(vec![Notice::Inbound(Inbound { by, ..wrote })]);
        minutes(kit, 1);
    };
    let order = |kit: &mut Kit, n: &str| {
        let before = kit.texts().len();
        kit.order("pos/1/ready", BIA, n);
        minutes(kit, 1);
        kit.texts()[before..].contains(&n)
    };
    let offer = |kit: &mut Kit, n: &str| {
        let before = kit.texts().len();
        kit.arrive("pos/1/offer", &format!(r#"{{"to": "{BIA}", "opt_in": true, "id": "{n}", "n": "{n}"}}"#));
        minutes(kit, 1);
        kit.texts()[before..].contains(&n)
    };
    assert!(order(&mut kit, "1"));
    by(&mut kit, By::Title, "Parar");
    assert!(order(&mut kit, "2"), "the name of a place");
    by(&mut kit, By::Button, "Parar promoções");
    assert_eq!(published(&kit).last().unwrap().1["wish"], "stop-marketing");
    assert!(order(&mut kit, "3") && !offer(&mut kit, "4"), "advertising alone is stopped");
    assert_eq!(kit.told_times(Outcome::Withheld, Reason::MarketingStopped), 1);
    by(&mut kit, By::Button, "Parar mensagens");
    assert!(!order(&mut kit, "5"));
    by(&mut kit, By::Button, "Retomar");
    by(&mut kit, By::Title, "Retomar");
    assert!(!order(&mut kit, "6"), "\"Retomar\" on a button goes on in some menu");
    by(&mut kit, By::Person, "Voltar");
    assert!(!order(&mut kit, "6"), "and \"voltar\" leads back in one, also by hand");
    by(&mut kit, By::Person, "Retomar");
    assert!(order(&mut kit, "7") && offer(&mut kit, "8"), "one word gives back both");
}

/// Found by reading: a start word that came before the stop it answers was forgotten, and the person stayed without messages.
#[test]
fn of_words_in_the_wrong_order_the_last_by_its_time_counts() {
    // What was written when, as it was heard, and whether messages go afterwards.
    let table: [(&[(i64, &str)], bool); 9] = [
        (&[(2_000, "retomar"), (1_000, "parar")], true),
        (&[(1_000, "parar"), (2_000, "retomar")], true),
        (&[(1_000, "parar"), (3_000, "parar"), (2_000, "retomar")], false),
        (&[(3_000, "parar"), (2_000, "retomar"), (1_000, "parar")], false),
        (&[(2_000, "retomar"), (3_000, "parar"), (1_000, "parar")], false),
        (&[(1_000, "parar"), (4_000, "retomar"), (3_000, "retomar"), (2_000, "parar")], true),
        (&[(4_000, "retomar"), (1_000, "parar"), (5_000, "parar"), (3_000, "retomar")], false),
        (&[(4_000, "retomar"), (4_000, "parar")], false),
        (&[(4_000, "parar"), (4_000, "retomar")], false),
    ];
    for (heard, go) in table {
        for restart in [false, true] {
            let mut kit = branch();
            kit.order("pos/1/ready", BIA, "first");
            minutes(&mut kit, 1);
            for (at, text) in heard {
                kit.hear(vec![wrote(BIA_DIGITS, MONDAY + 60_000 + at, text)]);
                if restart {
                    kit.restart();
                }
            }
            minutes(&mut kit, 1);
            kit.order("pos/1/ready", BIA, "second");
            minutes(&mut kit, 1);
            assert_eq!(kit.texts().contains(&"second"), go, "{heard:?}");
        }
    }
}

#[test]
fn words_count_in_the_order_of_their_times_and_each_once() {
    let mut kit = branch();
    kit.order("pos/1/ready", BIA, "1");
    minutes(&mut kit, 1);
    let at = MONDAY + kit.now as i64;
    let (stop, start) = (wrote(BIA_DIGITS, at, "parar"), wrote(BIA_DIGITS, at + 1_000, "retomar"));
    kit.run(5_000);
    let refused = |kit: &mut Kit| {
        let before = kit.told_times(Outcome::Withheld, Reason::ConsentRevoked);
        kit.run(100);
        let n = kit.now.to_string();
        kit.order("pos/1/ready", BIA, &n);
        kit.told_times(Outcome::Withheld, Reason::ConsentRevoked) > before
    };
    kit.hear(vec![stop.clone()]);
    assert!(refused(&mut kit));
    kit.hear(vec![start.clone(), stop.clone(), start.clone()]);
    assert!(!refused(&mut kit), "the stop was heard before: it comes again and counts no more");
    kit.hear(vec![wrote(BIA_DIGITS, at - 5_000, "sair")]);
    assert!(!refused(&mut kit), "written before the start");
    kit.hear(vec![wrote(BIA_DIGITS, at + 3_000, "parar"), wrote(BIA_DIGITS, at + 3_000, "retomar")]);
    assert!(refused(&mut kit), "of the same second the stop counts");
    kit.hear(vec![wrote(BIA_DIGITS, at + 2_000, "quero voltar a receber")]);
    assert!(refused(&mut kit), "written before the stop");
    assert!(kit.texts().iter().filter(|text| text.contains("enviaremos")).count() <= 2);
}

#[test]
fn an_operators_grant_after_a_stop_word_stands_until_the_next_one() {
    let mut kit = branch();
    says(&mut kit, BIA_DIGITS, "stop");
    minutes(&mut kit, 1);
    let grant = Grant {
        number: BIA.into(),
        purpose: "orders".into(),
        source: "form 7".into(),
        wording: None,
        expires: None,
        after_revocation: true,
    };
    assert!(matches!(kit.ask(Request::ConsentGrant(grant)), Reply::Data(_)));
    kit.order("pos/1/ready", BIA, "as agreed");
    minutes(&mut kit, 1);
    assert!(kit.texts().contains(&"as agreed"));
    says(&mut kit, BIA_DIGITS, "stop");
    kit.order("pos/1/ready", BIA, "no more");
    minutes(&mut kit, 1);
    assert!(!kit.texts().contains(&"no more"));
}

#[test]
fn a_stop_of_staff_is_honoured_and_shouted() {
    let mut kit = branch();
    let refusing = |kit: &Kit| -> Vec<String> {
        let holds = state(kit)["holds"].as_array().unwrap().clone();
        let of =
            |hold: &Value| (hold["reason"] == "consent-revoked").then(|| hold["note"].as_str().unwrap().to_owned());
        holds.iter().filter_map(of).collect()
    };
    assert_eq!(refusing(&kit), [""; 0]);
    says(&mut kit, ANA_DIGITS, "STOP");
    let masked = crate::message::Number::of_digits(ANA_DIGITS).unwrap().to_string();
    let shouted = |kit: &Kit| refusing(kit).len() == 1 && refusing(kit)[0].starts_with(&masked);
    assert!(shouted(&kit), "{}", state(&kit));
    assert_eq!(kit.told.iter().filter(|told| told.loud && told.reason == Reason::ConsentRevoked).count(), 1, "once");
    kit.arrive("node/7/state", r#"{"n": 50}"#);
    minutes(&mut kit, 1);
    let to: Vec<&str> = kit.sent.iter().filter(|sent| sent.text == "50").map(|sent| sent.to.as_str()).collect();
    assert_eq!(to, ["+5511987654322"], "the others are told");
    kit.restart();
    assert!(shouted(&kit), "also after a restart");
    says(&mut kit, ANA_DIGITS, "start");
    assert_eq!(refusing(&kit), [""; 0]);
}

#[test]
fn wishes_about_marketing_act_on_marketing_and_an_older_one_changes_nothing() {
    let mut kit = branch();
    let wish = |stop, at: Option<i64>| {
        let who = Who { digits: Some(BIA_DIGITS.into()), user: None };
        Notice::Marketing { who, stop, at: at.map(|at| Wall(MONDAY + at)) }
    };
    let goes = |kit: &mut Kit| {
        let before = kit.told_times(Outcome::Withheld, Reason::MarketingStopped);
        let n = kit.now.to_string();
        kit.arrive("pos/1/offer", &format!(r#"{{"to": "{BIA}", "opt_in": true, "id": "{n}", "n": "{n}"}}"#));
        minutes(kit, 1);
        kit.told_times(Outcome::Withheld, Reason::MarketingStopped) == before
    };
    assert!(goes(&mut kit));
    kit.hear(vec![wish(true, Some(5_000))]);
    assert!(!goes(&mut kit));
    kit.hear(vec![wish(false, Some(4_000)), wish(false, Some(5_000)), wish(false, None)]);
    assert!(!goes(&mut kit), "older than the stop, or of no known time");
    kit.hear(vec![wish(false, Some(9_000)), wish(true, Some(5_000))]);
    assert!(goes(&mut kit), "and an old stop that comes again");
    kit.hear(vec![wish(true, None)]);
    assert!(!goes(&mut kit), "a stop counts in any case");
    kit.order("pos/1/ready", BIA, "an order");
    minutes(&mut kit, 1);
    assert!(kit.texts().contains(&"an order"), "it is about marketing only");
}

#[test]
fn what_people_write_is_published_once_with_what_it_answers() {
    let mut kit = branch();
    kit.order("pos/1/ready", BIA, "first");
    kit.answer_last(ok_as("wamid.A"));
    let shown = kit.engine().outbox.shown(crate::message::MessageId(1));
    let Notice::Inbound(pressed) = wrote(BIA_DIGITS, MONDAY + 2_000, "Sim, retiro hoje") else { panic!() };
    let pressed =
        Inbound { kind: "button".into(), payload: Some("ack-7".into()), context: Some("wamid.A".into()), ..pressed };
    for _ in 0..3 {
        kit.hear(vec![Notice::Inbound(pressed.clone())]);
    }
    says(&mut kit, "5521987650002", "parar");
    let heard = published(&kit);
    assert_eq!(heard.len(), 2, "{heard:?}");
    let (topic, payload) = &heard[0];
    assert_eq!(topic, "branchline/sp-042/inbound/button");
    assert_eq!(payload["from"], "+55…01");
    assert_eq!((&payload["text"], &payload["payload"]), (&"Sim, retiro hoje".into(), &"ack-7".into()));
    assert_eq!((&payload["context"], &payload["rule"]), (&shown.into(), &"ready".into()));
    assert_eq!(payload["at"], Wall(MONDAY + 2_000).rfc3339());
    assert_eq!((heard[1].1["wish"].as_str(), heard[1].1["rule"].as_str()), (Some("stop"), None));
    assert!(!heard[1].1.to_string().contains("87650002"), "masked");

    let mut kit = Kit::cold("64 MiB", "hold");
    kit.extra = "\n[inbound]\nnumbers = \"full\"\n".into();
    kit.start();
    says(&mut kit, BIA_DIGITS, "oi");
    assert_eq!(published(&kit)[0].1["from"], BIA);
}

#[test]
fn what_people_write_waits_for_the_broker_and_survives_a_restart() {
    let mut kit = branch();
    kit.crash();
    kit.open();
    says(&mut kit, BIA_DIGITS, "oi");
    assert_eq!(published(&kit).len(), 0, "no broker");
    kit.restart();
    assert_eq!(published(&kit).len(), 1);
    kit.published.clear();
    kit.restart();
    assert_eq!(published(&kit).len(), 1, "until the broker acknowledges it");
    let last = kit.published.iter().filter_map(|publish| publish.receipt).max().unwrap();
    kit.give(vec![crate::engine::Input::ReceiptTaken(last)]);
    kit.run(2_000);
    kit.published.clear();
    kit.restart();
    assert_eq!(published(&kit).len(), 0);
}

#[test]
fn people_may_be_known_by_a_user_id_alone() {
    let mut kit = branch();
    kit.order("pos/1/ready", BIA, "first");
    let by_user = |text: &str, at: i64| {
        let Notice::Inbound(inbound) = wrote("user", MONDAY + at, text) else { panic!() };
        Notice::Inbound(Inbound { who: Who { digits: None, user: Some("BR.1a".into()) }, ..inbound })
    };
    kit.hear(vec![by_user("oi", 1_000), by_user("parar", 2_000)]);
    assert_eq!(published(&kit)[0].1["from"], Value::Null);
    // The answer tells whose user id it is: the stop counts from here on, and survives a look over the whole store.
    kit.answer_last(http(
        200,
        r#"{"contacts": [{"wa_id": "5521987650001", "user_id": "BR.1a"}], "messages": [{"id": "wamid.A"}]}"#,
    ));
    kit.order("pos/1/ready", BIA, "second");
    minutes(&mut kit, 2);
    assert_eq!(kit.texts(), ["first"]);
    kit.hear(vec![by_user("retomar", 200_000)]);
    kit.order("pos/1/ready", BIA, "third");
    minutes(&mut kit, 1);
    assert_eq!(kit.texts(), ["first", "third"]);
    // The whole check finds nothing strange about people without a number.
    kit.run(10_000);
    assert!(kit.told.iter().all(|told| told.reason != Reason::StoreDamaged));
    let nobody = Who::default();
    kit.hear(vec![Notice::Marketing { who: nobody.clone(), stop: true, at: None }]);
    let Notice::Inbound(inbound) = wrote("nobody", MONDAY, "oi") else { panic!() };
    kit.hear(vec![Notice::Inbound(Inbound { who: nobody, ..inbound })]);
}

#[test]
fn a_person_who_moves_keeps_what_was_said() {
    let mut kit = branch();
    says(&mut kit, BIA_DIGITS, "parar");
    let who = |digits: &str| Who { digits: Some(digits.into()), user: None };
    kit.hear(vec![Notice::Moved { from: who(BIA_DIGITS), to: who("5521987650009") }]);
    kit.hear(vec![Notice::Moved { from: who("5521987650077"), to: who("5521987650008") }]);
    minutes(&mut kit, 1);
    let before = kit.texts().len();
    kit.order("pos/1/ready", "+5521987650009", "no");
    kit.order("pos/1/ready", "+5521987650008", "yes");
    minutes(&mut kit, 1);
    assert_eq!(kit.texts()[before..], ["yes"]);
}

/// Where head office forwards, every box hears what people write: strangers are another branch's, but a stop counts everywhere.
#[test]
fn what_every_branch_hears_concerns_strangers_by_their_stops_alone() {
    let mut kit = branch();
    kit.order("pos/1/ready", BIA, "first");
    minutes(&mut kit, 1);
    let at = MONDAY + kit.now as i64;
    let hears = |kit: &mut Kit, notice: Notice| {
        let body = crate::message::Notices { notices: vec![notice.into()], to_all: true, ..Default::default() };
        kit.give(vec![crate::engine::Input::Notice(1, body)]);
        assert_eq!(kit.heard.pop(), Some((1, true)));
    };
    hears(&mut kit, wrote("5521987650002", at, "oi"));
    hears(&mut kit, wrote("5521987650002", at + 1, "retomar"));
    hears(&mut kit, wrote("5521987650003", at, "parar"));
    assert_eq!(
        published(&kit).len(),
        0,
        "a stranger's stop is recorded here, and published by the branch that knows the person"
    );
    hears(&mut kit, wrote(BIA_DIGITS, at, "parar"));
    assert_eq!(published(&kit).len(), 1);
    minutes(&mut kit, 1);
    assert_eq!(
        kit.texts(),
        ["first", "Pronto, não enviaremos mais mensagens."],
        "answered by the branch that wrote to her"
    );
    kit.order("pos/1/ready", "+5521987650003", "no");
    kit.order("pos/1/ready", CAIO, "yes");
    minutes(&mut kit, 1);
    assert_eq!(kit.texts().last(), Some(&"yes"));
    let offer = |n: &str| format!(r#"{{"to": "+5521987650004", "opt_in": true, "id": "{n}", "n": "offer {n}"}}"#);
    let who = Who { digits: Some("5521987650004".into()), user: None };
    hears(&mut kit, Notice::Marketing { who: who.clone(), stop: true, at: Some(Wall(at)) });
    kit.arrive("pos/1/offer", &offer("1"));
    assert_eq!(kit.told_times(Outcome::Withheld, Reason::MarketingStopped), 1);
}

/// Each box hears a stop and honours it; one of them confirms it, wherever that can be known.
#[test]
fn of_the_boxes_that_wrote_lately_one_confirms_a_stop() {
    let of = |answers: Option<&str>, context: Option<&str>, wrote_lately: bool| {
        let mut kit = branch();
        if wrote_lately {
            kit.order("pos/1/ready", BIA, "first");
            kit.answer_last(ok_as("wamid.A"));
        }
        let Notice::Inbound(stop) = wrote(BIA_DIGITS, MONDAY + 1_000, "Parar") else { panic!() };
        let stop = Inbound { answers: answers.map(str::to_owned), context: context.map(str::to_owned), ..stop };
        kit.give(vec![Input::Notice(
            1,
            Notices { notices: vec![Notice::Inbound(stop).into()], to_all: true, ..Notices::default() },
        )]);
        minutes(&mut kit, 1);
        let confirmed = kit.texts().iter().filter(|text| text.contains("enviaremos")).count();
        kit.order("pos/1/ready", BIA, "no");
        assert_eq!(kit.told_times(Outcome::Withheld, Reason::ConsentRevoked), 1, "honoured by all");
        confirmed
    };
    for (answers, context, wrote, confirmed) in [
        (None, None, true, 1),
        (None, None, false, 0),
        (None, Some("wamid.A"), true, 1),
        (None, Some("wamid.of another box"), true, 0),
        (None, Some("wamid.A"), false, 0),
        (Some("sp-042"), None, true, 1),
        (Some("sp-042"), Some("wamid.of nobody"), true, 1),
        (Some("sp-042"), None, false, 1),
        (Some("rj-7"), None, true, 0),
        (Some("rj-7"), Some("wamid.A"), true, 0),
    ] {
        assert_eq!(of(answers, context, wrote), confirmed, "{answers:?} {context:?} wrote: {wrote}");
    }
}

/// The list of stops is what a damaged store leaves: a start word must take the stop off it, and only its own.
#[test]
fn the_list_of_stops_follows_words() {
    let mut kit = branch();
    kit.order("pos/1/ready", BIA, "1");
    minutes(&mut kit, 1);
    says(&mut kit, BIA_DIGITS, "parar");
    says(&mut kit, "5521987650002", "parar");
    kit.run(1_000);
    says(&mut kit, BIA_DIGITS, "voltar a receber");
    minutes(&mut kit, 1);
    // The ledger forgets; the list does not.
    kit.engine().outbox.raw().execute_batch("DELETE FROM ledger WHERE source IN ('stop word', 'start word')").unwrap();
    kit.restart();
    let before = kit.texts().len();
    kit.order("pos/1/ready", BIA, "goes");
    kit.order("pos/1/ready", CAIO, "does not");
    minutes(&mut kit, 1);
    assert_eq!(kit.texts()[before..], ["goes"]);
}

/// What went to every branch concerns one of them: the others pass over it, but for a stop.
#[test]
fn of_what_goes_to_all_strangers_leave_only_their_stop() {
    let mut kit = branch();
    let to_all = |kit: &mut Kit, notice: Notice| {
        kit.give(vec![Input::Notice(1, Notices { notices: vec![notice.into()], to_all: true, ..Notices::default() })]);
    };
    kit.order("pos/1/ready", BIA, "1");
    kit.answer_last(taken());
    let hers = |text: &str| wrote(BIA_DIGITS, MONDAY + 1000, text);
    to_all(&mut kit, hers("Obrigada!"));
    assert_eq!(published(&kit).len(), 1, "she is known here");
    let stranger = "5521999990000";
    let people = |kit: &mut Kit| -> i64 {
        let db = kit.engine().outbox.raw();
        db.query_row("SELECT count(*) FROM person", [], |row| row.get(0)).unwrap()
    };
    let before = people(&mut kit);
    to_all(&mut kit, wrote(stranger, MONDAY + 2000, "Oi, tudo bem?"));
    to_all(
        &mut kit,
        Notice::Marketing { who: Who { digits: Some(stranger.into()), user: None }, stop: false, at: None },
    );
    assert_eq!((published(&kit).len(), people(&mut kit)), (1, before), "nothing of a stranger is kept");

    let (sent, shown) = (kit.sent.len(), published(&kit).len());
    to_all(&mut kit, wrote(stranger, MONDAY + 3000, "Parar"));
    minutes(&mut kit, 1);
    assert_eq!((kit.sent.len(), published(&kit).len()), (sent, shown), "another box confirms it");
    kit.order("pos/1/ready", "+5521999990000", "2");
    assert_eq!(kit.told_times(Outcome::Withheld, Reason::ConsentRevoked), 1);
    to_all(&mut kit, hers("Parar"));
    minutes(&mut kit, 1);
    assert_eq!(kit.sent.len(), sent + 1, "the box that wrote to her lately does");
}

/// Found by reading: after eight messages in a day the confirmation of a stop waited for the person's own cap.
#[test]
fn no_own_cap_keeps_the_confirmation_of_a_stop() {
    let mut kit = Kit::cold("64 MiB", "hold");
    kit.extra = "\n[limits.caps]\nutility = [\"1 per 1d\"]\n".into();
    kit.start();
    kit.order("pos/1/ready", BIA, "1");
    kit.answer_last(taken());
    says(&mut kit, BIA_DIGITS, "parar");
    minutes(&mut kit, 2);
    let confirmed = kit.texts().iter().filter(|text| text.contains("enviaremos")).count();
    assert_eq!(confirmed, 1, "{:?} {:#?}", kit.texts(), kit.told);
}

/// Found by reading: with `limits.daily_messages` used up the confirmation of a stop waited for a day, and was too old then. It counts
/// as all messages do, and the platform's limits hold it as they hold an alarm.
#[test]
fn the_brake_on_cost_does_not_keep_the_confirmation_of_a_stop() {
    let mut kit = Kit::cold("64 MiB", "hold");
    kit.extra = "\n[limits]\ndaily_messages = 3\n".into();
    kit.start();
    for n in ["1", "2", "3", "waits"] {
        kit.order("pos/1/ready", BIA, n);
        kit.answer_last(taken());
    }
    assert_eq!(kit.texts(), ["1", "2", "3"]);
    says(&mut kit, BIA_DIGITS, "parar");
    kit.run(17_000);
    assert_eq!(kit.texts().len(), 3, "three at once are repaid first");
    kit.run(2_000);
    assert!(kit.texts().len() == 4 && kit.texts()[3].contains("enviaremos"), "{:?}", kit.texts());
    kit.answer_last(lost());
    minutes(&mut kit, 5);
    assert_eq!(kit.texts().len(), 5, "repeated as anything else: {:?}", kit.texts());
    let Reply::Data(status) = kit.ask(Request::Status) else { panic!("no data") };
    let limits = status["limits"].as_array().unwrap();
    let brake = limits.iter().find(|limit| limit["limit"] == "daily-messages").unwrap();
    assert_eq!((brake["taken"].as_u64(), brake["free"].as_u64()), (Some(5), Some(0)), "it counts");
    kit.order("pos/1/ready", CAIO, "other");
    kit.run(60_000);
    assert_eq!(kit.texts().len(), 5, "nothing else passes");
}
