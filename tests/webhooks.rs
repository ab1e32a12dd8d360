//! What the simulated platform reports by itself, against a receiver that trusts nothing: signature, shapes, order, repeats,
//! tries.
#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used)] // a failed test shows where

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use branchline::demo::api::{Aim, Api, Between, Callback, Fault, Manner, Scenario, Settings};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// For conditions that come true in a second or two.
const SOON: Duration = Duration::from_secs(30);
const ANA: &str = "+5511987654321";
const NUMBER: &str = "106540352242922";
const SECRET: &str = "app-secret";
/// The id of the template `offer` in the list.
const OFFER: u64 = 1_407_680_676_729_941;
const VERIFY: &str = "verify me & more";

/// One post that came.
#[derive(Clone)]
struct Got {
    at: Instant,
    raw: Bytes,
    body: Value,
}

#[derive(Default)]
struct Desk {
    got: Vec<Got>,
    /// Statuses that the next requests are answered with; 200 when they are used up.
    answers: Vec<u16>,
    asked: u32,
    wrong: Vec<String>,
}

/// The callback.
struct Receiver {
    desk: Arc<Mutex<Desk>>,
    news: watch::Sender<u64>,
    url: String,
    task: tokio::task::JoinHandle<()>,
}

type Shared = State<(Arc<Mutex<Desk>>, watch::Sender<u64>)>;

async fn ask(State((desk, news)): Shared, Query(query): Query<HashMap<String, String>>) -> (StatusCode, String) {
    let mut desk = desk.lock().unwrap();
    desk.asked += 1;
    news.send_modify(|epoch| *epoch += 1);
    if let Some(status) = desk.answers.pop() {
        return (StatusCode::from_u16(status).unwrap(), String::new());
    }
    if query["hub.mode"] != "subscribe" || query["hub.verify_token"] != VERIFY {
        desk.wrong.push(format!("{query:?}"));
    }
    (StatusCode::OK, query["hub.challenge"].clone())
}

async fn take(State((desk, news)): Shared, headers: HeaderMap, raw: Bytes) -> StatusCode {
    let mut desk = desk.lock().unwrap();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature =
        headers.get("x-hub-signature-256").map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    let hex = signature.strip_prefix("sha256=").unwrap_or_default();
    let tag: Vec<u8> = (0..hex.len() / 2).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap()).collect();
    if ring::hmac::verify(&key, &raw, &tag).is_err() || headers["content-type"] != "application/json" {
        desk.wrong.push(format!("{headers:?}"));
    }
    let body = serde_json::from_slice(&raw).unwrap();
    desk.got.push(Got { at: Instant::now(), raw, body });
    news.send_modify(|epoch| *epoch += 1);
    StatusCode::from_u16(desk.answers.pop().unwrap_or(200)).unwrap()
}

impl Receiver {
    /// The first requests are answered by these statuses.
    async fn start(answers: &[u16]) -> Receiver {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/whatsapp?box=7", listener.local_addr().unwrap());
        let desk = Desk { answers: answers.iter().rev().copied().collect(), ..Desk::default() };
        let (desk, news) = (Arc::new(Mutex::new(desk)), watch::Sender::new(0));
        let router = Router::new().route("/whatsapp", get(ask).post(take)).with_state((desk.clone(), news.clone()));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Receiver { desk, news, url, task }
    }

    /// Waits until it was asked, and answered right.
    async fn verified(&self) {
        let mut news = self.news.subscribe();
        tokio::time::timeout(SOON, news.wait_for(|epoch| *epoch > 0)).await.unwrap().unwrap();
    }

    /// Waits until `done` says so of all posts.
    async fn until(&self, done: impl Fn(&[Got]) -> bool) -> Vec<Got> {
        let mut news = self.news.subscribe();
        let wait = async {
            loop {
                news.borrow_and_update();
                {
                    let desk = self.desk.lock().unwrap();
                    assert_eq!(desk.wrong, Vec::<String>::new());
                    if done(&desk.got) {
                        return desk.got.clone();
                    }
                }
                news.changed().await.unwrap();
            }
        };
        match tokio::time::timeout(SOON, wait).await {
            Ok(got) => got,
            Err(_) => {
                let got = self.desk.lock().unwrap().got.clone();
                panic!("never; came: {:#?}", got.iter().map(|got| &got.body).collect::<Vec<_>>());
            }
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// All values of a field, in the order in which they came.
fn values(got: &[Got], field: &str) -> Vec<Value> {
    let entries = got.iter().flat_map(|got| got.body["entry"].as_array().unwrap().clone());
    let changes = entries.flat_map(|entry| entry["changes"].as_array().unwrap().clone());
    changes.filter(|change| change["field"] == field).map(|change| change["value"].clone()).collect()
}

fn list(got: &[Got], member: &str) -> Vec<Value> {
    let lists = values(got, "messages").into_iter().filter_map(|value| value[member].as_array().cloned());
    lists.flatten().collect()
}

fn statuses(got: &[Got]) -> Vec<Value> {
    list(got, "statuses")
}

/// At once, in order, once each, all read.
fn plain() -> Manner {
    let ms = |ms| Between(Duration::from_millis(ms), Duration::from_millis(ms));
    Manner {
        sent: ms(0),
        delivered: ms(20),
        read: ms(20),
        read_share: 1.0,
        disorder: 0.0,
        repeats: 0.0,
        gather: Duration::ZERO,
        retry_first: Duration::from_millis(50),
        ..Manner::default()
    }
}

struct World {
    receiver: Receiver,
    api: Api,
    client: reqwest::Client,
}

async fn world(answers: &[u16], manner: Manner) -> World {
    let receiver = Receiver::start(answers).await;
    let callback = Callback {
        url: receiver.url.clone(),
        app_secret: SECRET.into(),
        verify_token: VERIFY.into(),
        authorities: Vec::new(),
        account: "102290129340398".into(),
    };
    let entry = |name: &str, category: &str| {
        let id = if name == "offer" { OFFER.to_string() } else { "900".to_owned() };
        json!({ "name": name, "id": id, "language": "pt_BR", "status": "APPROVED", "category": category,
            "components": [{ "type": "BODY", "text": "Oi" }] })
    };
    let templates = json!({ "data": [entry("order_ready", "UTILITY"), entry("offer", "MARKETING")] });
    let settings =
        Settings { callback: Some(callback), manner, templates: Some(templates), seed: 3, ..Settings::default() };
    let api = Api::start(settings).await.unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    World { receiver, api, client: reqwest::Client::builder().no_proxy().build().unwrap() }
}

impl World {
    /// Sends; error code, or 0, and the wamid.
    async fn send(&self, body: &Value) -> (i64, String) {
        let url = format!("{}/v25.0/{NUMBER}/messages", self.api.url());
        let request = self.client.post(url).bearer_auth("sandbox-token").header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        let wamid = answer["messages"][0]["id"].as_str().unwrap_or_default().to_owned();
        (answer["error"]["code"].as_i64().unwrap_or_default(), wamid)
    }

    async fn wamid(&self, body: &Value) -> String {
        let (code, wamid) = self.send(body).await;
        assert_eq!(code, 0);
        wamid
    }

    /// Does a step as a scenario has it.
    fn step(&self, text: &str) -> Result<String, String> {
        let scenario =
            Scenario::read(&format!("[[step]]\n{text}\n")).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"));
        self.api.control().obey(&scenario.steps()[0].order)
    }
}

fn message(template: &str, to: &str) -> Value {
    json!({ "messaging_product": "whatsapp", "to": to, "type": "template", "biz_opaque_callback_data": "sp-042/a-1/e-1",
        "template": { "name": template, "language": { "code": "pt_BR" } } })
}

fn words(to: &str) -> Value {
    json!({ "messaging_product": "whatsapp", "to": to, "type": "text", "text": { "body": "Oi" } })
}

/// A time of just now, as the platform writes it; replaced, so that the rest can be compared whole.
fn timeless(mut value: Value, member: &str) -> Value {
    let now = jiff::Timestamp::now().as_second();
    let said = &value[member];
    let seconds = said.as_i64().unwrap_or_else(|| said.as_str().unwrap().parse().unwrap());
    assert!((now - 60..=now + 60).contains(&seconds), "{value}");
    value[member] = "now".into();
    value
}

#[tokio::test]
async fn a_message_is_sent_delivered_and_read() {
    let world = world(&[], plain()).await;
    let wamid = world.wamid(&message("order_ready", ANA)).await;
    let got = world.receiver.until(|got| statuses(got).len() == 3).await;
    assert_eq!(world.receiver.desk.lock().unwrap().asked, 1, "one handshake, before anything else");
    let pricing = json!({ "billable": true, "pricing_model": "PMP", "type": "regular", "category": "utility" });
    let status = |status: &str| {
        json!({ "id": wamid, "status": status, "timestamp": "now", "recipient_id": "5511987654321",
            "biz_opaque_callback_data": "sp-042/a-1/e-1" })
    };
    let with = |mut status: Value| {
        status["pricing"] = pricing.clone();
        status
    };
    let seen: Vec<Value> = statuses(&got).into_iter().map(|status| timeless(status, "timestamp")).collect();
    assert_eq!(seen, [with(status("sent")), with(status("delivered")), status("read")]);
    assert!(statuses(&got)[0]["timestamp"].is_string());
    let whole = json!({ "object": "whatsapp_business_account", "entry": [{ "id": "102290129340398", "changes": [{
        "field": "messages", "value": {
            "messaging_product": "whatsapp",
            "metadata": { "display_phone_number": "5511900000000", "phone_number_id": NUMBER },
            "contacts": [{ "profile": { "name": "Sandbox" }, "wa_id": "5511987654321" }],
            "statuses": [statuses(&got)[0]],
        } }] }] });
    assert_eq!(got[0].body, whole);
}

#[tokio::test]
async fn failures_say_why_and_silence_is_possible() {
    let world = world(&[], plain()).await;
    let (control, once) = (world.api.control(), Aim { count: Some(1), ..Aim::default() });
    control.fault_at(Fault::FailLater(131026), Aim { to: Some(ANA.into()), ..Aim::default() }).unwrap();
    control.fault_at(Fault::NotDelivered, once.clone()).unwrap();
    control.fault_at(Fault::NoReport, once).unwrap();
    let failed = world.wamid(&message("order_ready", ANA)).await;
    let off = world.wamid(&message("order_ready", "+5511900000001")).await;
    let silent = world.wamid(&message("order_ready", "+5511900000002")).await;
    let last = world.wamid(&message("order_ready", "+5511900000003")).await;
    let is = |status: &Value, wamid: &str, what: &str| status["id"] == wamid && status["status"] == what;
    let got = world
        .receiver
        .until(|got| {
            let all = statuses(got);
            all.iter().any(|status| is(status, &last, "read")) && all.iter().any(|status| is(status, &failed, "failed"))
        })
        .await;
    let of = |wamid: &str| statuses(&got).into_iter().filter(|status| status["id"] == wamid).collect::<Vec<_>>();
    let why = of(&failed).pop().unwrap();
    assert_eq!(
        why["errors"],
        json!([{ "code": 131026, "title": "Message Undeliverable", "message": "Message Undeliverable",
            "error_data": { "details": "as the simulator was told" },
            "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/" }])
    );
    assert!(why.get("pricing").is_none() && of(&failed).iter().all(|status| status["status"] != "delivered"));
    let frame = values(&got, "messages").into_iter().find(|value| value["statuses"][0]["status"] == "failed").unwrap();
    assert!(frame.get("contacts").is_none(), "no contact with a failed one: {frame}");
    assert_eq!(of(&off).iter().map(|status| &status["status"]).collect::<Vec<_>>(), ["sent"]);
    assert_eq!(of(&silent), Vec::<Value>::new());
}

#[tokio::test]
async fn order_may_be_wrong_and_reports_may_come_twice() {
    let world = world(&[], Manner { disorder: 1.0, repeats: 1.0, read_share: 0.0, ..plain() }).await;
    let wamid = world.wamid(&message("order_ready", ANA)).await;
    let got = world.receiver.until(|got| statuses(got).len() == 4).await;
    let said: Vec<Value> = statuses(&got).into_iter().map(|status| status["status"].clone()).collect();
    assert_eq!(said[0], "delivered", "before sent");
    for what in ["sent", "delivered"] {
        assert_eq!(said.iter().filter(|said| *said == what).count(), 2, "{said:?}");
    }
    assert!(statuses(&got).iter().all(|status| status["id"] == wamid.as_str()));
    // The times in them are right all the same: whoever goes by them is not misled.
    let stamp =
        |what: &str| statuses(&got).iter().find(|status| status["status"] == what).unwrap()["timestamp"].clone();
    assert!(stamp("sent").as_str() <= stamp("delivered").as_str());
}

#[tokio::test]
async fn what_is_not_taken_comes_again_with_growing_pauses() {
    let world = world(&[], Manner { read_share: 0.0, delivered: Between(SOON, SOON), ..plain() }).await;
    world.receiver.verified().await;
    world.receiver.desk.lock().unwrap().answers = vec![404, 302, 500];
    world.wamid(&message("order_ready", ANA)).await;
    let got = world.receiver.until(|got| got.len() == 4).await;
    assert!(got.iter().all(|again| again.raw == got[0].raw), "the same bytes each time");
    let pauses: Vec<Duration> = got.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    for (pause, least) in pauses.iter().zip([45, 90, 180]) {
        assert!(*pause >= Duration::from_millis(least), "{pauses:?}");
    }
}

#[tokio::test]
async fn nothing_is_reported_before_the_callback_is_verified() {
    let world = world(&[403, 500], plain()).await;
    let wamid = world.wamid(&message("order_ready", ANA)).await;
    let got = world.receiver.until(|got| statuses(got).len() == 3).await;
    assert_eq!(world.receiver.desk.lock().unwrap().asked, 3, "refused twice, then right");
    assert!(statuses(&got).iter().all(|status| status["id"] == wamid.as_str()), "and nothing is lost");
}

#[tokio::test]
async fn many_go_together() {
    let manner = Manner { gather: Duration::from_millis(300), batch: 40, read_share: 0.0, ..plain() };
    let world = world(&[], manner).await;
    for n in 1..=60 {
        world.wamid(&message("order_ready", &format!("+55119000{n:05}"))).await;
    }
    let got = world.receiver.until(|got| statuses(got).len() == 120).await;
    assert!(got.len() < 40, "{} bodies for 120 reports", got.len());
    let frames: Vec<usize> =
        values(&got, "messages").iter().map(|value| value["statuses"].as_array().unwrap().len()).collect();
    let changes = |got: &Got| got.body["entry"][0]["changes"].as_array().unwrap().len();
    assert!(frames.iter().all(|statuses| *statuses <= 40));
    assert!(
        frames.iter().any(|statuses| *statuses > 1) || got.iter().any(|got| changes(got) > 1),
        "several statuses in one value, or several changes in one body: {frames:?}"
    );
}

#[tokio::test]
async fn people_write_and_press() {
    let world = world(&[], plain()).await;
    assert_eq!(world.send(&words(ANA)).await.0, 131047, "nobody wrote yet");
    let wamid = world.wamid(&message("order_ready", ANA)).await;
    let context = json!({ "from": "5511900000000", "id": wamid });
    #[rustfmt::skip]
    let table = [
        ("text = 'STOP'", json!({ "type": "text", "text": { "body": "STOP" } })),
        ("text = 'ok'\ncontext = 'wamid.X'",
            json!({ "type": "text", "text": { "body": "ok" }, "context": { "from": "5511900000000", "id": "wamid.X" } })),
        ("button = 'Confirmar'\npayload = 'ack/7'",
            json!({ "type": "button", "button": { "payload": "ack/7", "text": "Confirmar" }, "context": context })),
        ("reply = 'yes'\ntitle = 'Sim'", json!({ "type": "interactive", "context": context,
            "interactive": { "type": "button_reply", "button_reply": { "id": "yes", "title": "Sim" } } })),
        ("row = 'r1'\ntitle = 'Um'\ndescription = 'o primeiro'", json!({ "type": "interactive", "context": context,
            "interactive": { "type": "list_reply", "list_reply": { "id": "r1", "title": "Um", "description": "o primeiro" } } })),
        ("reaction = '👍'", json!({ "type": "reaction", "reaction": { "message_id": wamid, "emoji": "👍" } })),
        ("moved_to = '+5511987650000'", json!({ "type": "system", "system": { "type": "user_changed_number",
            "body": "User changed from 5511987654321 to 5511987650000", "wa_id": "5511987650000" } })),
        ("message = { type = 'location', location = { latitude = -23.5, longitude = -46.6 } }",
            json!({ "type": "location", "location": { "latitude": -23.5, "longitude": -46.6 } })),
    ];
    for (count, (said, wanted)) in table.iter().enumerate() {
        let said = said.replace('\n', ", ");
        world.step(&format!("inbound = {{ from = '{ANA}', name = 'Ana', {said} }}")).unwrap();
        let got = world.receiver.until(|got| list(got, "messages").len() == count + 1).await;
        let mut came = timeless(list(&got, "messages").pop().unwrap(), "timestamp");
        let id = came.as_object_mut().unwrap().remove("id").unwrap();
        assert!(id.as_str().unwrap().starts_with("wamid."), "{id}");
        let mut wanted = wanted.clone();
        wanted["from"] = "5511987654321".into();
        wanted["timestamp"] = "now".into();
        assert_eq!(came, wanted, "{said}");
        let frame = values(&got, "messages").into_iter().rfind(|value| value.get("messages").is_some()).unwrap();
        let contacts = json!([{ "profile": { "name": "Ana" }, "wa_id": "5511987654321" }]);
        assert_eq!(frame.get("contacts"), (wanted["type"] != "system").then_some(&contacts), "{said}");
    }
    assert_eq!(world.send(&words(ANA)).await.0, 0, "the window is open");
    assert_eq!(world.send(&words("+5511900000001")).await.0, 131047, "nobody else's");
}

#[tokio::test]
async fn news_of_people_account_and_templates() {
    let world = world(&[], plain()).await;
    world.step(&format!("preference = {{ number = '{ANA}', value = 'stop' }}")).unwrap();
    let got = world.receiver.until(|got| !values(got, "user_preferences").is_empty()).await;
    let mut value = values(&got, "user_preferences").remove(0);
    let preference = timeless(value["user_preferences"][0].take(), "timestamp");
    assert_eq!(
        preference,
        json!({ "wa_id": "5511987654321", "category": "marketing_messages", "value": "stop",
        "detail": "User requested to stop marketing messages", "timestamp": "now" })
    );
    assert_eq!(
        (&value["contacts"], &value["metadata"]["phone_number_id"]),
        (&json!([{ "wa_id": "5511987654321" }]), &json!(NUMBER))
    );
    assert_eq!(world.send(&message("offer", ANA)).await.0, 131050);
    assert_eq!(world.send(&message("order_ready", ANA)).await.0, 0, "no marketing");
    assert_eq!(world.send(&message("offer", "+5511900000001")).await.0, 0, "somebody else");
    world.step(&format!("preference = {{ number = '{ANA}', value = 'resume' }}")).unwrap();
    assert_eq!(world.send(&message("offer", ANA)).await.0, 0);

    let expires = jiff::Timestamp::now().as_second() + 3600;
    #[rustfmt::skip]
    let table = [
        ("account = { event = 'ACCOUNT_RESTRICTION', restrictions = ['RESTRICTED_BIZ_INITIATED_MESSAGING'], for = '1h' }",
            "account_update", json!({ "event": "ACCOUNT_RESTRICTION",
            "restriction_info": [{ "restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING", "expiration": expires }] })),
        ("account = { event = 'DISABLED_UPDATE', more = { ban_info = { waba_ban_state = 'DISABLE' } } }",
            "account_update", json!({ "event": "DISABLED_UPDATE", "ban_info": { "waba_ban_state": "DISABLE" } })),
        ("number = { event = 'THROUGHPUT_UPGRADE', limit = 'TIER_2K' }", "phone_number_quality_update",
            json!({ "display_phone_number": "5511900000000", "event": "THROUGHPUT_UPGRADE", "current_limit": "TIER_2K",
            "max_daily_conversations_per_business": "TIER_2K" })),
        ("capability = { limit = 2000 }", "business_capability_update", json!({ "max_daily_conversations_per_business": 2000 })),
        ("report = { field = 'account_alerts', value = { entity_type = 'BUSINESS' } }", "account_alerts", json!({ "entity_type": "BUSINESS" })),
        ("template = { name = 'offer', status = 'PAUSED', title = 'FIRST_PAUSE' }", "message_template_status_update",
            json!({ "event": "PAUSED", "reason": "NONE", "other_info": { "title": "FIRST_PAUSE" },
            "message_template_name": "offer", "message_template_language": "pt_BR" })),
        ("template = { name = 'offer', quality = 'RED' }", "message_template_quality_update",
            json!({ "new_quality_score": "RED", "message_template_name": "offer", "message_template_language": "pt_BR" })),
        ("template = { name = 'offer', category = 'MARKETING' }", "template_category_update",
            json!({ "new_category": "MARKETING", "previous_category": "MARKETING", "message_template_name": "offer", "message_template_language": "pt_BR" })),
    ];
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (step, field, wanted) in table {
        world.step(step).unwrap();
        let count = seen.entry(field).and_modify(|count| *count += 1).or_insert(1);
        let got = world.receiver.until(|got| values(got, field).len() == *count).await;
        let mut value = values(&got, field).pop().unwrap();
        if let Some(id) = value.as_object_mut().unwrap().remove("message_template_id") {
            assert_eq!(id, OFFER, "the one of the list");
        }
        if let Some(said) = value["restriction_info"][0]["expiration"].as_i64() {
            assert!((expires..expires + 20).contains(&said), "{said}");
            value["restriction_info"][0]["expiration"] = expires.into();
        }
        assert_eq!(value, wanted, "{step}");
        let entry = got
            .iter()
            .flat_map(|got| got.body["entry"].as_array().unwrap())
            .find(|entry| entry["changes"][0]["field"] == field);
        assert!(entry.unwrap()["time"].is_i64(), "{field}");
    }
    assert_eq!(world.send(&message("offer", ANA)).await.0, 132015, "paused, and not by its name only");
}

/// What is not told yet belongs to the trial that ended.
#[tokio::test]
async fn a_reset_forgets_what_was_not_reported_yet() {
    let late = Between(Duration::from_secs(3), Duration::from_secs(3));
    let world = world(&[], Manner { sent: late, read_share: 0.0, ..plain() }).await;
    world.receiver.verified().await;
    let before = world.wamid(&message("order_ready", ANA)).await;
    world.step("reset = true").unwrap();
    let after = world.wamid(&message("order_ready", ANA)).await;
    let got = world.receiver.until(|got| statuses(got).len() == 2).await;
    assert!(before != after && statuses(&got).iter().all(|status| status["id"] == after.as_str()));
}

/// A receiver that never answers 200 is given up, and one that is gone does not stop the simulator.
#[tokio::test]
async fn a_callback_that_never_takes_anything_is_given_up() {
    let manner = Manner { give_up: Duration::from_secs(2), read_share: 0.0, delivered: Between(SOON, SOON), ..plain() };
    let world = world(&[], manner).await;
    let state = || async {
        let answer = world.client.get(format!("{}/sandbox/state", world.api.url())).send().await.unwrap();
        serde_json::from_slice::<Value>(&answer.bytes().await.unwrap()).unwrap()["callback"].clone()
    };
    let end = Instant::now() + SOON;
    let wait_for = |wanted: fn(&Value) -> bool| async move {
        loop {
            let callback = state().await;
            if wanted(&callback) {
                return callback;
            }
            assert!(Instant::now() < end, "{callback}");
        }
    };
    wait_for(|callback| callback["verified"] == true).await;
    world.receiver.desk.lock().unwrap().answers = vec![500; 100];
    world.wamid(&message("order_ready", ANA)).await;
    let callback = wait_for(|callback| callback["given_up"] == 1).await;
    assert_eq!(callback["trouble"], "it answered with status 500");
    assert!(callback["refused"].as_u64() > Some(1) && callback["delivered"] == 0, "{callback}");
    world.receiver.task.abort();
    assert_eq!(world.send(&message("order_ready", ANA)).await.0, 0);
}

#[tokio::test]
async fn without_a_callback_that_is_said() {
    let api = Api::start(Settings::default()).await.unwrap();
    let control = api.control();
    let why = control.fault_at(Fault::FailLater(131026), Aim::default()).unwrap_err();
    assert!(why.contains("--callback"), "{why}");
    let obey = |text: &str| control.obey(&Scenario::read(&format!("[[step]]\n{text}")).unwrap().steps()[0].order);
    assert!(obey("report = { field = 'account_alerts', value = 1 }").unwrap_err().contains("no callback"));
    assert!(obey("capability = { limit = 250 }").unwrap().contains("no callback"));
    assert!(obey(&format!("inbound = {{ from = '{ANA}', text = 'oi' }}")).unwrap().contains("no callback"));
}

/// Facts 4.3.
#[tokio::test]
async fn a_user_id_is_no_number_in_reports() {
    let world = world(&[], plain()).await;
    let mut body = message("order_ready", ANA);
    body.as_object_mut().unwrap().remove("to");
    body["recipient"] = "BR.13491208655302741918".into();
    world.wamid(&body).await;
    let got = world.receiver.until(|got| statuses(got).len() == 3).await;
    for status in statuses(&got) {
        assert_eq!(
            (&status["recipient_user_id"], status.get("recipient_id")),
            (&json!("BR.13491208655302741918"), None)
        );
    }
    let contacts = json!([{ "profile": { "name": "Sandbox" }, "user_id": "BR.13491208655302741918" }]);
    assert_eq!(values(&got, "messages")[0]["contacts"], contacts);
}

/// A message that a rule failed says which.
#[tokio::test]
async fn a_failure_by_a_rule_names_the_rule() {
    let world = world(&[], plain()).await;
    world.step("settings = { account = { told = 'later' } }").unwrap();
    world.step(&format!("person = {{ number = '{ANA}', undeliverable = 131026 }}")).unwrap();
    world.wamid(&message("order_ready", ANA)).await;
    let is = |status: &Value| status["status"] == "failed";
    let got = world.receiver.until(|got| statuses(got).iter().any(is)).await;
    let failed = statuses(&got).into_iter().find(is).unwrap();
    assert_eq!(failed["errors"][0]["error_data"]["details"], "the message cannot be delivered to this person");
    assert_eq!(
        (&failed["errors"][0]["code"], &failed["errors"][0]["title"]),
        (&json!(131026), &json!("Message Undeliverable"))
    );
}

/// Steps in wait belong to the trial that ended; time and dice begin anew.
#[tokio::test]
async fn a_reset_ends_the_steps_that_wait() {
    let world = world(&[], plain()).await;
    let control = world.api.control();
    let scenario = "[[step]]\nevery = '20ms'\ninbound = { from = '+5511987654321', text = 'old' }";
    Scenario::read(scenario).unwrap().play(&control);
    world.receiver.until(|got| list(got, "messages").len() > 2).await;
    world.step("skip = '1d'").unwrap();
    let shares = || (0..40).map(|_| async { world.send(&message("order_ready", ANA)).await.0 });
    let mut runs = Vec::new();
    for _ in 0..2 {
        world.step("reset = true").unwrap();
        world.step("settings = { pair_slack = '1h' }").unwrap();
        world.step("fault = 'code'\ncode = 4\nshare = 0.5").unwrap();
        let mut run = Vec::new();
        for send in shares() {
            run.push(send.await);
        }
        runs.push(run);
    }
    assert_eq!(runs[0], runs[1], "the same dice");
    assert!(runs[0].contains(&0) && runs[0].contains(&4));
    world.step("clear = 'all'").unwrap();
    // What the steps would have sent by now would be there before this.
    let before = list(&world.receiver.desk.lock().unwrap().got, "messages").len();
    world.step(&format!("inbound = {{ from = '{ANA}', text = 'new' }}")).unwrap();
    let got = world
        .receiver
        .until(|got| list(got, "messages").last().is_some_and(|last| last["text"]["body"] == "new"))
        .await;
    let later = &list(&got, "messages")[before..];
    assert!(later.len() == 1, "{later:?}");
    let state = world.client.get(format!("{}/sandbox/state", world.api.url())).send().await.unwrap();
    let state: Value = serde_json::from_slice(&state.bytes().await.unwrap()).unwrap();
    assert_eq!(state["skipped_ms"], 0);
}
