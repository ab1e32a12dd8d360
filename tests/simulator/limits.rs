//! The platform's limits over the wire; their timetables are beside `pace` and `people`.

use crate::kit::*;
use crate::templates::{list, order};
use branchline::demo::api::{Account, Api, Health, Settings, Standing, Told};
use serde_json::json;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

fn person(number: u32) -> serde_json::Value {
    order(&format!("+52551234{number:04}"))
}

#[tokio::test]
async fn pair_and_sender() {
    // The strictest pair pace and a small sender, all within one second.
    let settings = Settings { pair_burst: 1, sender_per_second: 3, ..Settings::default() };
    let world = world(true, settings).await;
    assert_eq!(world.answer(&order("+5531987654321")).await.1, 0);
    // With and without the ninth digit it is one person.
    let rows = vec![("too soon", 131056, "to the same person in a short time", order("+553187654321"))];
    assert_refused(&world, rows).await;
    let people = futures(20, person);
    let codes = world.answers(people).await;
    let taken = codes.iter().filter(|code| **code == 0).count();
    assert!(codes.iter().all(|code| matches!(code, 0 | 130429)), "{codes:?}");
    assert!((2..20).contains(&taken), "{taken}");
    assert_eq!(world.control().counters().accepted, 1 + taken as u64);
    // Six seconds later, by the simulator's own time.
    world.control().skip(Duration::from_secs(6));
    assert_eq!(world.answer(&order("+5531987654321")).await.1, 0);
}

#[tokio::test]
async fn the_service_window() {
    let world = unpaced(Some(list())).await;
    let control = world.control();
    let closed = || vec![("closed", 131047, "more than 24 hours", words("x"))];
    assert_refused(&world, closed()).await;
    assert_eq!(world.answer(&order(ANA)).await.0, 200, "templates go at any time");
    control.wrote("+55 11 98765-4321");
    assert_eq!(world.answer(&words("x")).await.0, 200);
    control.skip(DAY);
    assert_refused(&world, closed()).await;
    control.wrote(ANA);
    assert_eq!(world.answer(&words("x")).await.0, 200);
    control.close_window(ANA);
    assert_refused(&world, closed()).await;
}

#[tokio::test]
async fn the_messaging_limit() {
    let account = account(|account| account.messaging_limit = Some(2));
    let world = world(true, Settings { account, templates: Some(list()), ..unpaced_settings() }).await;
    let control = world.control();
    for number in [1, 2, 1] {
        assert_eq!(world.answer(&person(number)).await.0, 200);
    }
    let third = || vec![("the third", 131048, "too many people outside a service window", person(3))];
    assert_refused(&world, third()).await;
    // Within a window it does not count.
    control.wrote("+525512340003");
    assert_eq!(world.answer(&person(3)).await.0, 200);
    control.close_window("+525512340003");
    assert_refused(&world, third()).await;
    control.skip(DAY);
    assert_eq!(world.answer(&person(3)).await.0, 200);
    // The code is a setting, and so is whether it is told at once.
    assert_eq!(world.answer(&person(4)).await.0, 200);
    control.change_account(|account| account.messaging_limit_code = 131049);
    assert_eq!(world.answer(&person(5)).await.1, 131049);
    control.change_account(|account| account.told = Told::Later);
    let (status, _, answer) = world.answer(&person(5)).await;
    assert_eq!(status, 200, "{answer}");
    let seen = control.seen().pop().unwrap();
    assert!(seen.accepted() && seen.fails == Some(131049) && seen.details.contains("too many people"), "{seen:?}");
    control.change_account(|account| account.messaging_limit = Some(3));
    assert_eq!(world.answer(&person(5)).await.0, 200);
    assert_eq!(control.seen().pop().unwrap().fails, None, "what failed did not count");
}

#[tokio::test]
async fn people_who_take_no_messages() {
    let world = unpaced(Some(list())).await;
    let control = world.control();
    let offer = || template("offer", "pt_BR", json!([]));
    let to = |body, number: &str| with(body, "/to", number.into());
    control.set_standing(LUIS, Standing { undeliverable: Some(131026), ..Standing::default() });
    control.set_standing("525512345679", Standing { undeliverable: Some(130403), ..Standing::default() });
    control.set_standing("525512345670", Standing { no_marketing: true, ..Standing::default() });
    control.set_standing("525512345671", Standing { identity: Some("old".into()), ..Standing::default() });
    let identity = |hash: &str| with(order("+525512345671"), "/recipient_identity_key_hash", hash.into());
    assert_eq!(world.answer(&offer()).await.0, 200);
    assert_eq!(world.answer(&identity("old")).await.0, 200);
    let rows: Vec<Row> = vec![
        ("not on WhatsApp", 131026, "cannot be delivered", order(LUIS)),
        ("blocked by us", 130403, "cannot be delivered", order("+525512345679")),
        ("stopped marketing", 131050, "stopped marketing", to(offer(), "+525512345670")),
        ("a second offer", 131049, "too many marketing messages", offer()),
        ("to the United States", 131049, "United States", to(offer(), "+15551234567")),
        ("another identity", 137000, "recipient_identity_key_hash", identity("new")),
    ];
    assert_refused(&world, rows).await;
    for number in ["+525512345670", ANA, "+15551234567"] {
        assert_eq!(world.answer(&order(number)).await.0, 200, "utility to {number}");
    }
    control.skip(DAY);
    assert_eq!(world.answer(&offer()).await.0, 200, "a day later");
    // The same, told by webhook: accepted, and bound to fail.
    control.change_account(|account| account.told = Told::Later);
    for (body, code) in [(order(LUIS), 131026), (offer(), 131049), (words("x"), 131047)] {
        assert_eq!(world.answer(&body).await.0, 200);
        assert_eq!(control.seen().pop().unwrap().fails, Some(code));
    }
    assert_eq!(world.answer(&identity("new")).await.1, 137000, "never later");
    // Back in good standing.
    control.set_standing(LUIS, Standing::default());
    assert_eq!(world.answer(&order(LUIS)).await.0, 200);
    assert_eq!(control.seen().pop().unwrap().fails, None);
}

#[tokio::test]
async fn a_test_number_and_a_blocked_one() {
    let account = account(|account| account.test_recipients = Some(vec![ANA.into()]));
    let world = world(true, Settings { account, ..unpaced_settings() }).await;
    assert_eq!(world.answer(&order(ANA)).await.0, 200);
    assert_refused(&world, vec![("not on the list", 131030, "on its list", order(LUIS))]).await;
    world.control().change_account(|account| {
        account.test_recipients = None;
        account.health = Health::Blocked;
    });
    assert_refused(&world, vec![("blocked", 131031, "health_status", order(LUIS))]).await;
    let six = Account { test_recipients: Some(vec![ANA.into(); 6]), ..Account::default() };
    let error = Api::start(Settings { account: six, ..Settings::default() }).await.err().unwrap();
    assert!(error.to_string().contains("at most five"), "{error}");
}
