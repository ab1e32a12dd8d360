//! What can be looked up: the number, the account, its templates in pages, one template.

use crate::kit::*;
use crate::templates::list;
use branchline::demo::api::{Health, Settings};
use serde_json::{Value, json};

const NUMBER: &str = "106540352242922";
const WABA: &str = "102290129340398";

impl World {
    async fn get(&self, path: &str) -> (u16, i64, Value) {
        self.get_url(&format!("{}/v25.0/{path}", self.api.url())).await
    }

    async fn get_url(&self, url: &str) -> (u16, i64, Value) {
        read(self.client.get(url).bearer_auth(TOKEN).send().await.unwrap()).await
    }
}

fn members(value: &Value) -> Vec<&str> {
    let mut members: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    members.sort_unstable();
    members
}

#[tokio::test]
async fn the_number() {
    let world = world(true, Settings::default()).await;
    let (status, _, found) = world.get(NUMBER).await;
    let basic = json!({ "id": NUMBER, "display_phone_number": "+5511900000000", "verified_name": "Loja Centro",
        "quality_rating": "GREEN" });
    assert_eq!((status, found), (200, basic));
    let (_, _, found) = world.get(&format!("{NUMBER}?fields=throughput%2Cquality_rating")).await;
    assert_eq!(found, json!({ "id": NUMBER, "quality_rating": "GREEN", "throughput": { "level": "STANDARD" } }));
    let limit = "whatsapp_business_manager_messaging_limit";
    for (most, wanted) in [
        (Some(250), "TIER_250"),
        (Some(2_000), "TIER_2K"),
        (Some(10_000), "TIER_10K"),
        (Some(100_000), "TIER_100K"),
        (None, "TIER_UNLIMITED"),
    ] {
        world.control().change_account(|account| account.messaging_limit = most);
        let (_, _, found) = world.get(&format!("{NUMBER}?fields={limit}")).await;
        assert_eq!(found, json!({ "id": NUMBER, limit: wanted }));
    }
    let (status, code, answer) = world.get(&format!("{NUMBER}?fields=id,quality")).await;
    assert_eq!((status, code), (400, 100));
    assert_error("unknown field", 100, "nonexisting field (quality) on node type", &answer);
    assert!(world.control().seen().is_empty(), "a look-up is no message");
}

/// Facts 5: the worst of number, account, portfolio and app.
#[tokio::test]
async fn health() {
    let world = world(true, Settings { templates: Some(pages()), ..Settings::default() }).await;
    for (health, word, reason) in [
        (Health::Available, "AVAILABLE", None),
        (Health::Limited, "LIMITED", Some("additional_info")),
        (Health::Blocked, "BLOCKED", Some("errors")),
    ] {
        world.control().change_account(|account| {
            account.health = health;
            account.quality_rating = "RED".into();
        });
        let (_, _, found) = world.get(&format!("{NUMBER}?fields=health_status,quality_rating")).await;
        assert_eq!(found["quality_rating"], "RED");
        assert_eq!(found["health_status"]["can_send_message"], word);
        let entities = found["health_status"]["entities"].as_array().unwrap();
        let kinds: Vec<&str> = entities.iter().map(|entity| entity["entity_type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["PHONE_NUMBER", "WABA", "BUSINESS", "APP"]);
        assert_eq!(entities[0]["can_send_message"], word);
        assert!(reason.is_none_or(|reason| entities[0][reason][0].is_string() || entities[0][reason][0].is_object()));
    }
    let (_, _, found) = world.get(&format!("{WABA}?fields=name,health_status")).await;
    assert_eq!(members(&found), ["health_status", "id", "name"]);
    assert_eq!(found["health_status"]["can_send_message"], "AVAILABLE");
    // A template that is not approved cannot be sent.
    world.control().set_template_status("t02", None, "PAUSED");
    for (id, word) in [("901", "AVAILABLE"), ("902", "BLOCKED")] {
        let (_, _, found) = world.get(&format!("{id}?fields=health_status,name")).await;
        assert_eq!(found["health_status"]["can_send_message"], word, "{found}");
        assert_eq!(found["health_status"]["entities"][0]["entity_type"], "MESSAGE_TEMPLATE");
    }
    assert_eq!(world.get("903").await.2["name"], "t03");
    assert_eq!(world.get("999").await.2["error"]["error_subcode"], 33);
}

/// 27 templates, of which the last is marketing.
fn pages() -> Value {
    let entry = |number: u32| {
        json!({ "name": format!("t{number:02}"), "language": "pt_BR", "status": "APPROVED",
            "category": if number == 27 { "MARKETING" } else { "UTILITY" }, "id": format!("{}", 900 + number),
            "components": [{ "type": "BODY", "text": "Olá." }] })
    };
    json!({ "data": (1..=27).map(entry).collect::<Vec<_>>() })
}

fn names(page: &Value) -> Vec<&str> {
    page["data"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn templates_come_in_pages() {
    for http2 in [true, false] {
        let world = world(http2, Settings { templates: Some(pages()), ..Settings::default() }).await;
        let (status, _, first) = world.get(&format!("{WABA}/message_templates")).await;
        assert_eq!(status, 200, "{first}");
        assert_eq!(names(&first).len(), 25);
        // As it was loaded.
        assert_eq!(first["data"][0], pages()["data"][0]);
        assert!(first["paging"].get("previous").is_none());
        let next = first["paging"]["next"].as_str().unwrap();
        assert!(next.starts_with(&world.api.url()) && !next.contains(TOKEN), "{next}");
        let (_, _, last) = world.get_url(next).await;
        assert_eq!(names(&last), ["t26", "t27"]);
        assert!(last["paging"].get("next").is_none());
        let (_, _, back) = world.get_url(last["paging"]["previous"].as_str().unwrap()).await;
        assert_eq!(names(&back), names(&first));
        assert_eq!(back["paging"]["cursors"], first["paging"]["cursors"]);
    }
}

#[tokio::test]
async fn templates_are_filtered_and_cut() {
    let world = world(true, Settings { templates: Some(pages()), ..Settings::default() }).await;
    let path = |query: &str| format!("{WABA}/message_templates?{query}");
    // Every page of five, as a client follows them.
    let mut all = Vec::new();
    let mut page = world.get(&path("fields=name,status&limit=5")).await.2;
    loop {
        for entry in page["data"].as_array().unwrap() {
            assert_eq!(members(entry), ["id", "name", "status"]);
        }
        all.extend(names(&page).into_iter().map(str::to_owned));
        let Some(next) = page["paging"]["next"].as_str().map(str::to_owned) else { break };
        page = world.get_url(&next).await.2;
    }
    assert_eq!(all, names(&pages()));
    world.control().set_template_status("t03", None, "PAUSED");
    for (query, wanted) in [
        ("name=t03", vec!["t03"]),
        ("status=paused&fields=name,status", vec!["t03"]),
        ("category=MARKETING&fields=name,quality_score", vec!["t27"]),
        ("language=es_MX", vec![]),
    ] {
        let (_, _, page) = world.get(&path(query)).await;
        assert_eq!(names(&page), wanted, "{query}");
        assert!(page.get("paging").is_some() != wanted.is_empty(), "{page}");
    }
    let rows = [
        ("limit=0", 100, "limit must be"),
        ("limit=all", 100, "limit must be"),
        ("after=MjQ", 131059, "cursor is invalid"),
        ("fields=name,colour", 100, "nonexisting field (colour) on node type (WhatsAppMessageTemplate)"),
    ];
    for (query, code, details) in rows {
        let (status, got, answer) = world.get(&path(query)).await;
        assert_eq!((status, got), (400, code), "{query}: {answer}");
        assert_error(query, code, details, &answer);
    }
}

/// Facts 2.4.
#[tokio::test]
async fn look_ups_have_a_limit_too() {
    let account = account(|account| account.lookups_per_hour = 2);
    let world = world(true, Settings { account, templates: Some(list()), ..Settings::default() }).await;
    assert_eq!(world.get(NUMBER).await.0, 200);
    assert_eq!(world.get(&format!("{WABA}/message_templates")).await.0, 200);
    let (status, code, answer) = world.get(WABA).await;
    assert_eq!((status, code), (400, 80007));
    assert_error("third", 80007, "within an hour", &answer);
    world.control().skip(std::time::Duration::from_secs(3600));
    assert_eq!(world.get(NUMBER).await.0, 200);
}
