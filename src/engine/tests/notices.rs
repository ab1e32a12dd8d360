//! Reports of the platform: how messages go on, in any order and more than once.

use super::kit::*;
use crate::engine::{Action, BrokerLink, Input, Link};
use crate::message::{Epoch, Notice, Notices, Outcome, Progress, Reason, Status, Who};
use crate::operate::{Reply, Request, Target};
use Outcome::{Accepted, Delivered, Failed, Read, Refused, Stored, Unknown};
use Reason::{Reported, Taken};

fn failed(code: i64) -> Progress {
    Progress::Failed { code: Some(code), said: String::new() }
}

/// A box that sent one message, which the platform took as wamid.A.
fn accepted() -> Kit {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "first");
    kit.answer_last(ok_as("wamid.A"));
    kit
}

/// The outcomes of message 1 that were told by receipt, once each.
fn receipts(kit: &mut Kit) -> Vec<(String, String)> {
    let query = "SELECT outcome, reason FROM receipt WHERE message = 1 ORDER BY id";
    let mut statement = kit.engine().outbox.raw().prepare(query).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// A broker that lost the notices' session (an expiry, a restart without persistence) kept no stop for the box, and nobody knew.
#[test]
fn a_box_whose_session_of_notices_is_gone_says_that_stops_may_be_missing() {
    let missed = |kit: &mut Kit| {
        let Reply::Data(status) = kit.ask(Request::Status) else { panic!("no data") };
        let problems = status["problems"].as_array().unwrap().iter();
        let mut shown =
            problems.filter(|problem| problem["what"].as_str().unwrap().starts_with("STOPS MAY BE MISSING"));
        let at = shown.next().map(|problem| problem["since"].clone());
        let state = kit.published.iter().rev().find(|publish| publish.topic.ends_with("/state")).unwrap();
        assert_eq!(state.payload.contains("stops-missed"), at.is_some(), "{}", state.payload);
        assert!(!status.to_string().contains("hears"), "a mark is nothing to look at");
        at
    };
    let connect = |kit: &mut Kit, session_present: bool| {
        for link in [
            BrokerLink::Connected { epoch: Epoch(1), session_present },
            BrokerLink::Subscribed { epoch: Epoch(1), refused: vec![] },
        ] {
            kit.give(vec![Input::Link(Link::Notice(link))]);
        }
        kit.run(1_000);
    };
    let lose = |kit: &mut Kit| kit.give(vec![Input::Link(Link::Notice(BrokerLink::Lost { why: "gone".into() }))]);
    let told = |kit: &Kit| kit.told.iter().filter(|told| told.reason == Reason::StopsMissed && told.loud).count();

    let mut kit = Kit::new();
    connect(&mut kit, false);
    assert_eq!(missed(&mut kit), None, "the first session lost nothing");
    kit.run(60_000);
    lose(&mut kit);
    let lost = serde_json::to_value(kit.engine().moment.wall.reading()).unwrap();
    kit.run(60_000);
    connect(&mut kit, true);
    assert_eq!((missed(&mut kit), told(&kit)), (None, 0));
    lose(&mut kit);
    kit.run(60_000);
    connect(&mut kit, false);
    assert_eq!(told(&kit), 1);
    let since = missed(&mut kit).unwrap();
    assert_ne!(since, lost, "the later loss is the one");
    kit.order("pos/1/ready", BIA, "first");
    assert_eq!(kit.texts(), ["first"], "nothing waits for it");
    kit.restart();
    connect(&mut kit, false);
    assert_eq!((missed(&mut kit), told(&kit)), (Some(since.clone()), 2), "kept, and since the first time");
    // A resume was said to end it: who resumed after something else, a payment perhaps, never knew.
    kit.ask(Request::Resume { target: Target::All, reason: "the bill is paid".into() });
    assert_eq!(missed(&mut kit), Some(since));
    kit.ask(Request::AcceptLoss { reason: "nothing was missed".into() });
    assert_eq!(missed(&mut kit), None);
    assert!(matches!(kit.ask(Request::AcceptLoss { reason: "twice".into() }), Reply::Refused(_)));
    kit.restart();
    connect(&mut kit, false);
    assert!(missed(&mut kit).is_some(), "a crash says no good-bye");
    kit.ask(Request::ConsentImport { rows: vec![], more: false, releases: false });
    assert_eq!(missed(&mut kit), None, "somebody brought what there is");
    connect(&mut kit, true);
    assert_eq!(missed(&mut kit), None);
}

#[test]
fn a_message_only_goes_up_whatever_the_order_of_reports() {
    use Progress::{Delivered as D, Read as R, Sent as S};
    let refused = || failed(131026);
    let table: [(Vec<Progress>, (Outcome, Reason)); 11] = [
        (vec![S], (Accepted, Taken)),
        (vec![S, D], (Delivered, Reported)),
        (vec![D, S, D], (Delivered, Reported)),
        (vec![R], (Read, Reported)),
        (vec![R, D, S], (Read, Reported)),
        (vec![S, D, R, R], (Read, Reported)),
        (vec![refused()], (Failed, Reason::Undeliverable)),
        (vec![S, refused(), refused()], (Failed, Reason::Undeliverable)),
        (vec![refused(), D, R], (Failed, Reason::Undeliverable)),
        (vec![D, refused()], (Delivered, Reported)),
        (vec![R, refused(), D], (Read, Reported)),
    ];
    for (reports, stands) in table {
        let mut kit = accepted();
        let before = receipts(&mut kit).len();
        for report in &reports {
            kit.report(1, "wamid.A", report.clone());
        }
        assert_eq!(kit.stands(1), stands, "{reports:?}");
        let told = receipts(&mut kit).len() - before;
        let mut steps = reports.clone();
        steps.retain(|report| *report != S);
        assert!(told <= steps.len().min(2), "told once per change: {reports:?}");
        kit.run(60_000);
        assert_eq!(kit.sent.len(), 1, "nothing is sent again: {reports:?}");
    }
}

#[test]
fn an_unknown_message_is_settled_by_a_report_and_its_followers_go() {
    for (progress, outcome) in [(Progress::Sent, Accepted), (Progress::Delivered, Delivered), (Progress::Read, Read)] {
        let mut kit = Kit::new();
        kit.order("pos/1/ready", BIA, "first");
        kit.order("pos/1/ready", BIA, "second");
        kit.answer_last(lost());
        assert_eq!((kit.stands(1).0, kit.texts()), (Unknown, vec!["first"]));
        kit.run(2_000);
        kit.report(1, "wamid.A", progress);
        assert_eq!(kit.stands(1), (outcome, Reported));
        assert_eq!(kit.texts(), ["first", "second"], "nothing holds the person any more");
        kit.answer_last(taken());
        kit.run(120_000);
        assert_eq!(kit.texts(), ["first", "second"], "no repeat");
        let told: Vec<String> = receipts(&mut kit).into_iter().map(|told| format!("{} {}", told.0, told.1)).collect();
        assert_eq!(told, ["unknown no-answer".to_owned(), format!("{outcome} reported")], "both facts are told");
        let Reply::Data(shown) = kit.ask(Request::OutboxShow { id: "1".into() }) else { panic!() };
        assert!(shown.to_string().contains("no-answer"), "and both can be seen: {shown}");
    }
}

#[test]
fn a_late_report_of_the_first_try_withdraws_the_repeat_that_has_not_left() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "first");
    kit.answer_last(lost());
    kit.ask(Request::Pause { target: Target::Rule("ready".into()), reason: "test".into() });
    kit.run(31_000);
    assert_eq!(kit.stands(1).0, Stored, "to be repeated");
    kit.report(1, "wamid.A", Progress::Delivered);
    assert_eq!(kit.stands(1), (Delivered, Reported));
    kit.ask(Request::Resume { target: Target::Rule("ready".into()), reason: "test".into() });
    kit.run(120_000);
    assert_eq!(kit.texts(), ["first"]);
}

#[test]
fn a_report_for_a_message_that_ended_as_unknown_is_believed() {
    let mut kit = Kit::new();
    kit.order("pos/1/low", BIA, "first");
    kit.answer_last(lost());
    kit.run(31_000);
    assert_eq!(kit.stands(1), (Unknown, Reason::NotRepeated));
    kit.report(1, "wamid.A", Progress::Sent);
    assert_eq!(kit.stands(1), (Accepted, Reported));
    kit.report(1, "wamid.A", failed(131026));
    assert_eq!(kit.stands(1), (Failed, Reason::Undeliverable));

    let mut kit = Kit::new();
    kit.order("pos/1/low", BIA, "first");
    kit.answer_last(lost());
    kit.run(31_000);
    kit.report(1, "wamid.A", failed(131000));
    assert_eq!(kit.stands(1), (Failed, Reason::PlatformFault), "it was told to have ended: it does not begin anew");
}

#[test]
fn a_report_may_come_before_the_answer() {
    for answer in [ok_as("wamid.A"), lost(), code(131026), unsent()] {
        let mut kit = Kit::new();
        kit.order("pos/1/ready", BIA, "first");
        kit.report(1, "wamid.A", Progress::Delivered);
        assert_eq!(kit.stands(1), (Delivered, Reported));
        kit.answer_last(answer.clone());
        assert_eq!(kit.stands(1), (Delivered, Reported), "{answer:?}");
        kit.order("pos/1/ready", BIA, "second");
        kit.run(60_000);
        assert_eq!(kit.texts(), ["first", "second"], "{answer:?}");
    }
    // And the daemon may end before the answer.
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "first");
    kit.report(1, "wamid.A", Progress::Delivered);
    kit.restart();
    kit.run(120_000);
    assert_eq!((kit.stands(1).0, kit.texts()), (Delivered, vec!["first"]));
}

#[test]
fn a_failure_that_is_reported_before_the_answer_waits_for_it() {
    for (answer, stands) in [
        (ok_as("wamid.A"), (Failed, Reason::Undeliverable)),
        (lost(), (Failed, Reason::Undeliverable)),
        (code(132000), (Refused, Reason::TemplateParameters)),
    ] {
        let mut kit = Kit::new();
        kit.order("pos/1/ready", BIA, "first");
        kit.report(1, "wamid.A", failed(131026));
        assert_eq!(kit.stands(1).0, Stored, "the attempt is open");
        kit.answer_last(answer);
        assert_eq!(kit.stands(1), stands);
    }
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "first");
    kit.report(1, "wamid.A", failed(131026));
    kit.restart();
    assert_eq!(kit.stands(1), (Failed, Reason::Undeliverable), "also after a restart");
}

#[test]
fn a_reported_failure_acts_by_the_table_of_answers() {
    // The person cannot be reached: nothing further is tried.
    let mut kit = accepted();
    kit.report(1, "wamid.A", failed(131026));
    kit.order("pos/1/ready", BIA, "second");
    assert_eq!(kit.texts(), ["first"]);
    assert_eq!(kit.told_times(Outcome::Withheld, Reason::Undeliverable), 1);

    // Too fast to this person: again after a second.
    let mut kit = accepted();
    kit.report(1, "wamid.A", failed(131056));
    assert_eq!(kit.stands(1), (Stored, Reason::PlatformPairLimit));
    kit.run(30_000);
    assert_eq!(kit.texts(), ["first", "first"]);
    kit.answer_last(ok_as("wamid.B"));
    // A report on the attempt that failed before says nothing about the one that was taken.
    kit.report(1, "wamid.A", failed(131056));
    assert_eq!(kit.stands(1), (Accepted, Taken));
    kit.report(1, "wamid.B", Progress::Delivered);
    assert_eq!(kit.stands(1), (Delivered, Reported));

    // Each repeat was taken at first: the wait grows nevertheless, 1, 4, 16, 64 s.
    let mut kit = accepted();
    for (tries, wait) in [(1, 1_000), (2, 4_000), (3, 16_000), (4, 64_000)] {
        let wamid = format!("wamid.{}", ["A", "B", "C", "D"][tries - 1]);
        kit.report(1, &wamid, failed(131056));
        let since = kit.now;
        kit.run(200_000);
        assert_eq!(kit.texts().len(), tries + 1);
        let waited = kit.sent.last().unwrap().at - since;
        assert!((wait..wait + 15_000).contains(&waited), "try {tries}: {waited} ms");
        kit.answer_last(ok_as(["wamid.B", "wamid.C", "wamid.D", "wamid.E"][tries - 1]));
    }

    // The template is paused: the message waits for it, and others by it.
    let mut kit = accepted();
    kit.report(1, "wamid.A", failed(132015));
    kit.order("pos/1/ready", CAIO, "second");
    kit.order("pos/1/high", CAIO, "by another");
    assert_eq!(kit.texts(), ["first", "by another"]);
    kit.answer_last(taken());
    kit.run(3 * 3_600_000 + 60_000);
    assert!(kit.texts().contains(&"second") && kit.texts().iter().filter(|text| **text == "first").count() == 2);

    // A fault of the platform: as often as after an unknown, and marketing not at all.
    let mut kit = accepted();
    kit.report(1, "wamid.A", failed(131000));
    assert_eq!(kit.texts(), ["first"], "not at once");
    kit.run(60_000);
    assert_eq!(kit.texts(), ["first", "first"]);
    kit.answer_last(ok_as("wamid.B"));
    kit.report(1, "wamid.B", failed(131000));
    assert_eq!((kit.stands(1), kit.texts().len()), ((Failed, Reason::PlatformFault), 2));
    let mut kit = Kit::new();
    kit.arrive("pos/1/offer", &format!(r#"{{"to": "{BIA}", "opt_in": true, "id": "1", "n": "offer"}}"#));
    kit.answer_last(ok_as("wamid.A"));
    kit.report(1, "wamid.A", failed(131000));
    assert_eq!(kit.stands(1), (Failed, Reason::PlatformFault));

    // A code that nobody knows, and none.
    for progress in [failed(999_999), Progress::Failed { code: None, said: "no".into() }] {
        let mut kit = accepted();
        kit.report(1, "wamid.A", progress);
        assert_eq!(kit.stands(1), (Failed, Reason::UnknownCode));
    }
}

#[test]
fn a_message_is_found_by_the_platforms_id_where_our_own_does_not_come_back() {
    let mut kit = accepted();
    let status = |wamid: &str, data: Option<&str>| {
        let (wamid, data) = (wamid.to_owned(), data.map(str::to_owned));
        Notice::Status(Status { wamid, progress: Progress::Delivered, at: None, who: Who::default(), data })
    };
    for data in [None, Some("sp-042"), Some("sp-043/aaaa-1/e"), Some("sp-042/aaaa-1/e"), Some("sp-042/-/"), Some("")] {
        kit.hear(vec![status("wamid.Z", data)]);
        assert_eq!(kit.stands(1).0, Accepted, "another box's, or nobody's: {data:?}");
    }
    kit.hear(vec![status("wamid.Z", Some("x")), status("wamid.A", None)]);
    assert_eq!(kit.stands(1).0, Delivered, "one that nobody knows fails no others");
}

/// Simulation, seed 40: the first try is unknown for ever, the second was taken and then failed.
#[test]
fn a_failure_of_the_second_try_leaves_the_first_unknown() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "first");
    kit.answer_last(lost());
    kit.run(31_000);
    assert_eq!(kit.texts(), ["first", "first"]);
    kit.answer_last(ok_as("wamid.B"));
    kit.report(1, "wamid.B", failed(131000));
    assert_eq!(kit.stands(1), (Unknown, Reason::NotRepeated));
}

/// Simulation, seed 8690: the first try turned out to have arrived after all, and the repeat that was taken failed: it was sent a
/// third time, and read twice.
#[test]
fn a_repeat_that_failed_is_not_sent_again_where_the_first_try_arrived() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "first");
    kit.answer_last(lost());
    kit.run(31_000);
    kit.answer_last(ok_as("wamid.B"));
    for _ in 0..2 {
        kit.report(1, "wamid.A", Progress::Sent);
    }
    for _ in 0..2 {
        kit.report(1, "wamid.B", failed(131056));
        kit.run(120_000);
    }
    assert_eq!((kit.stands(1), kit.texts()), ((Accepted, Taken), vec!["first", "first"]));
}

/// A report came before the answer, and another after it: what was known by a report alone may fail like all else.
#[test]
fn what_was_reported_before_its_answer_may_fail_after_all() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "first");
    kit.report(1, "wamid.A", Progress::Sent);
    kit.answer_last(ok_as("wamid.A"));
    assert_eq!(kit.stands(1), (Accepted, Reported));
    kit.report(1, "wamid.A", failed(131026));
    assert_eq!(kit.stands(1), (Failed, Reason::Undeliverable));
}

/// The text of a settled message may be forgotten early; not that of one that goes again.
#[test]
fn a_message_that_failed_and_goes_again_keeps_its_text_in_a_full_store() {
    let mut kit = accepted();
    kit.report(1, "wamid.A", failed(131056));
    assert_eq!(kit.engine().outbox.forget_early().unwrap(), 0);
    kit.run(60_000);
    assert_eq!(kit.texts(), ["first", "first"]);
}

/// What the reports on two tries, in this order, say of their message: by hand, and by nothing that the engine knows. `taken`: the
/// platform's answer to the second try came.
fn by_hand(reports: &[(usize, Progress)], taken: bool) -> Outcome {
    #[derive(Clone, Copy, PartialEq, PartialOrd)]
    enum Is {
        Nothing,
        Sent,
        Delivered,
        Read,
        Failed,
    }
    let mut tries = [Is::Nothing, if taken { Is::Sent } else { Is::Nothing }];
    for (one, report) in reports {
        let says = match report {
            Progress::Sent => Is::Sent,
            Progress::Delivered => Is::Delivered,
            Progress::Read => Is::Read,
            Progress::Failed { .. } => Is::Failed,
        };
        let was = tries[*one];
        // Once it is there no failure is of interest any more, of whichever try.
        let arrived = tries.iter().any(|one| matches!(one, Is::Delivered | Is::Read));
        if was != Is::Failed && says > was && !(arrived && says == Is::Failed) {
            tries[*one] = says;
        }
    }
    let any = |is: Is| tries.contains(&is);
    match () {
        () if any(Is::Read) => Read,
        () if any(Is::Delivered) => Delivered,
        () if any(Is::Sent) => Accepted,
        () if any(Is::Nothing) => Unknown,
        () => Failed,
    }
}

/// Every order of up to four reports on two tries: the first was not answered, the second was taken or not answered either. Found by
/// reading: a late "sent" of the first try counted as its arrival, and where both failed in an odd order the message stood as accepted.
#[test]
fn two_tries_end_as_the_better_of_them_whatever_the_order_of_their_reports() {
    let every = |one: usize| {
        [Progress::Sent, Progress::Delivered, Progress::Read, failed(131026)].map(|progress| (one, progress))
    };
    let every: Vec<(usize, Progress)> = every(0).into_iter().chain(every(1)).collect();
    let mut orders: Vec<Vec<usize>> = (0..8).map(|one| vec![one]).collect();
    for _ in 0..3 {
        let longest = orders.last().unwrap().len();
        let longer: Vec<Vec<usize>> = orders
            .iter()
            .filter(|order| order.len() == longest)
            .flat_map(|order| (0..8).filter(|next| !order.contains(next)).map(|next| [&order[..], &[next]].concat()))
            .collect();
        orders.extend(longer);
    }
    assert_eq!(orders.len(), 8 + 56 + 336 + 1680);
    let mut kit = Kit::cold("64 MiB", "hold");
    kit.extra = "\n[limits]\ndaily_recipients = \"off\"\ndaily_reserve = \"off\"\ndaily_messages = \"off\"\n[limits.caps]\nrule = \"off\"\n"
        .into();
    kit.start();
    let mut id = 0;
    for taken in [true, false] {
        for order in &orders {
            id += 1;
            let before = kit.sent.len();
            kit.order("pos/1/ready", &format!("+55219876{id:05}"), &id.to_string());
            kit.answer_last(lost());
            kit.run(120_000);
            assert_eq!(kit.sent.len(), before + 2);
            kit.answer_last(if taken { ok_as(&format!("wamid.{id}.1")) } else { lost() });
            kit.run(120_000);
            let reports: Vec<(usize, Progress)> = order.iter().map(|report| every[*report].clone()).collect();
            for (told, (one, progress)) in reports.iter().enumerate() {
                kit.report(id, &format!("wamid.{id}.{one}"), progress.clone());
                let expected = by_hand(&reports[..=told], taken);
                let shown = || format!("second taken: {taken}, {:?}", &reports[..=told]);
                assert_eq!(kit.stands(id).0, expected, "{}", shown());
            }
            kit.run(1_000);
            assert_eq!(kit.sent.len(), before + 2, "{reports:?}: nothing is sent again");
        }
    }
}

/// The first try's report comes while the second is on its way, and is taken for the second's until the answer names that.
#[test]
fn a_report_that_comes_before_the_answer_may_be_about_the_try_before() {
    let refused = || failed(131026);
    for (before, answer, after, stands) in [
        (vec![Progress::Sent], ok_as("wamid.B"), vec![("wamid.B", refused())], Accepted),
        (vec![Progress::Sent], ok_as("wamid.B"), vec![("wamid.B", refused()), ("wamid.A", refused())], Failed),
        (vec![Progress::Sent], ok_as("wamid.A"), vec![("wamid.A", refused())], Unknown),
        (vec![Progress::Sent], lost(), vec![("wamid.A", refused()), ("wamid.B", refused())], Failed),
        (vec![Progress::Sent], code(132000), vec![("wamid.A", refused())], Failed),
        (vec![refused()], ok_as("wamid.B"), vec![], Accepted),
        (vec![refused()], ok_as("wamid.B"), vec![("wamid.B", refused())], Failed),
        (vec![refused()], ok_as("wamid.A"), vec![], Unknown),
        (vec![refused()], lost(), vec![("wamid.B", refused())], Failed),
        (vec![refused(), refused()], lost(), vec![("wamid.A", refused())], Unknown),
    ] {
        let mut kit = Kit::new();
        kit.order("pos/1/ready", BIA, "first");
        kit.answer_last(lost());
        kit.run(31_000);
        assert_eq!(kit.texts(), ["first", "first"]);
        before.iter().for_each(|report| kit.report(1, "wamid.A", report.clone()));
        kit.answer_last(answer.clone());
        after.iter().for_each(|(wamid, report)| kit.report(1, wamid, report.clone()));
        kit.run(31_000);
        assert_eq!((kit.stands(1).0, kit.texts().len()), (stands, 2), "{before:?} {answer:?} {after:?}");
    }
}

#[test]
fn a_body_that_is_not_stored_is_not_acknowledged_and_may_come_again() {
    let mut kit = accepted();
    let shown = kit.engine().outbox.shown(crate::message::MessageId(1));
    let status = Status {
        wamid: "wamid.A".into(),
        progress: Progress::Delivered,
        at: None,
        who: Who::default(),
        data: Some(format!("sp-042/{shown}/e")),
    };
    let body = || {
        Input::Notice(
            7,
            Notices { notices: vec![Notice::Status(status.clone()).into()], skipped: 2, ..Notices::default() },
        )
    };
    kit.engine().outbox.fault.commit = Some((false, rusqlite::ffi::SQLITE_FULL));
    assert!(kit.try_give(&[body()]).is_err());
    assert_eq!(kit.stands(1).0, Accepted);
    let actions = kit.try_give(&[body()]).unwrap();
    assert!(actions.iter().any(|action| matches!(action, Action::Heard(7, true))));
    let _ = kit.take(actions);
    assert_eq!(kit.stands(1).0, Delivered);
    let Reply::Text(metrics) = kit.ask(Request::Metrics) else { panic!() };
    assert!(metrics.contains(r#"branchline_notices_total{kind="status"} 1"#), "{metrics}");
    assert!(metrics.contains(r#"branchline_notices_total{kind="skipped"} 2"#), "{metrics}");
}
