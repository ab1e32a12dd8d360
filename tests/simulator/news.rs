//! What is announced of account, number, people and templates is so from then on; each by a step, as a scenario has it.

use crate::kit::*;
use crate::templates::{list, order};
use branchline::demo::api::{Scenario, Settings};
use serde_json::{Value, json};

const NUMBER: &str =
    "106540352242922?fields=quality_rating,throughput,health_status,whatsapp_business_manager_messaging_limit";

impl World {
    fn step(&self, text: &str) {
        let scenario = Scenario::read(&format!("[[step]]\n{text}\n")).unwrap_or_else(|why| panic!("{text}: {why:?}"));
        self.control().obey(&scenario.steps()[0].order).unwrap_or_else(|why| panic!("{text}: {why}"));
    }

    async fn told(&self, path: &str) -> Value {
        let url = format!("{}/{path}", self.api.url());
        read(self.client.get(url).bearer_auth(TOKEN).send().await.unwrap()).await.2
    }
}

#[tokio::test]
async fn what_is_announced_of_the_account_is_so() {
    let world = world(true, Settings { templates: Some(list()), ..unpaced_settings() }).await;
    let limit = "/whatsapp_business_manager_messaging_limit";
    let health = "/health_status/can_send_message";
    let kinds = "['RESTRICTED_BIZ_INITIATED_MESSAGING']";
    let restriction = format!("account = {{ event = 'ACCOUNT_RESTRICTION', restrictions = {kinds}, for = '1h' }}");
    #[rustfmt::skip]
    let table = [
        ("capability = { limit = 'TIER_2K' }", limit, "TIER_2K", 0),
        ("capability = { limit = 10000 }", limit, "TIER_10K", 0),
        ("settings = { account = { messaging_limit = 'unlimited' } }", limit, "TIER_UNLIMITED", 0),
        ("settings = { sender_per_second = 20 }", "/throughput/level", "STANDARD", 0),
        ("number = { event = 'THROUGHPUT_UPGRADE' }", "/throughput/level", "HIGH", 0),
        ("number = { event = 'FLAGGED' }", "/quality_rating", "RED", 0),
        ("settings = { account = { quality_rating = 'YELLOW' } }", "/quality_rating", "YELLOW", 0),
        (restriction.as_str(), health, "LIMITED", 131031),
        ("skip = '1h'", health, "AVAILABLE", 0),
        ("account = { event = 'DISABLED_UPDATE', more = { ban_info = { waba_ban_state = 'SCHEDULE_FOR_DISABLE' } } }", health, "AVAILABLE", 0),
        ("account = { event = 'DISABLED_UPDATE', more = { ban_info = { waba_ban_state = 'DISABLE' } } }", health, "BLOCKED", 131031),
        ("account = { event = 'DISABLED_UPDATE', more = { ban_info = { waba_ban_state = 'REINSTATE' } } }", health, "AVAILABLE", 0),
        ("settings = { account = { can_send_message = 'BLOCKED' } }", health, "BLOCKED", 131031),
        ("settings = { account = { can_send_message = 'AVAILABLE' } }", health, "AVAILABLE", 0),
        ("settings = { account = { test_recipients = ['+5511900000000'] } }", health, "AVAILABLE", 131030),
        ("settings = { account = { test_recipients = [] } }", health, "AVAILABLE", 0),
        ("person = { number = '+5511987654321', undeliverable = 131026 }", health, "AVAILABLE", 131026),
        ("settings = { account = { told = 'later' } }", health, "AVAILABLE", 0),
        ("person = { number = '+5511987654321' }", health, "AVAILABLE", 0),
    ];
    for (step, field, wanted, code) in table {
        world.step(step);
        let told = world.told(&format!("v25.0/{NUMBER}")).await;
        assert_eq!(told.pointer(field), Some(&json!(wanted)), "{step}: {told}");
        let (_, got, answer) = world.answer(&order(ANA)).await;
        assert_eq!(got, code, "{step}: {answer}");
    }
    // Whoever wrote may still be answered while only what begins with us is forbidden.
    world.step(&restriction);
    world.step(&format!("window = {{ number = '{ANA}' }}"));
    assert_eq!(world.answer(&words("oi")).await.1, 0);
}

/// The 251st person is refused, and a step lifts that.
#[tokio::test]
async fn the_messaging_limit_is_shown_and_lifted() {
    let world = world(true, Settings { templates: Some(list()), ..unpaced_settings() }).await;
    world.step("settings = { account = { messaging_limit = 1 } }");

    assert_eq!(world.answer(&order(ANA)).await.1, 0);
    assert_eq!(world.answer(&order(LUIS)).await.1, 131048);
    world.step(&format!("person = {{ number = '{LUIS}', identity_key_hash = 'abc' }}"));
    let state = world.told("sandbox/state").await;
    assert_eq!(
        (&state["account"]["messaging_limit"], &state["limits"]["messaging_limit_counted"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(state["people"][LUIS.trim_start_matches('+')]["identity_key_hash"], "abc", "{state}");
    world.step("settings = { account = { messaging_limit_code = 131026 } }");
    assert_eq!(world.answer(&order(LUIS)).await.1, 131026);
    world.step("skip = '1d'");
    assert_eq!(world.answer(&order(LUIS)).await.1, 0, "the first is a day ago");
    assert_eq!(world.told("sandbox/state").await["skipped_ms"], 86_400_000);
}

#[tokio::test]
async fn what_is_announced_of_a_template_is_so() {
    let world = world(true, Settings { templates: Some(list()), ..unpaced_settings() }).await;
    world.step("template = { name = 'order_ready', language = 'pt_BR', quality = 'RED', category = 'MARKETING' }");
    let fields = "fields=name,category,previous_category,quality_score&name=order_ready&language=pt_BR";
    let told = world.told(&format!("v25.0/102290129340398/message_templates?{fields}")).await;
    let entry = &told["data"][0];
    assert_eq!((&entry["category"], &entry["previous_category"]), (&json!("MARKETING"), &json!("UTILITY")), "{told}");
    assert_eq!(entry["quality_score"]["score"], "RED");
    // It counts as marketing from now on: one in 24 hours.
    for code in [0, 131049] {
        assert_eq!(world.answer(&order(ANA)).await.1, code);
    }
}
