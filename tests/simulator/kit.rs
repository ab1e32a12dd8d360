//! What every trial needs: a simulator over TLS, a plain client, and bodies to send.

use branchline::demo::api::{Account, Answer, Api, Control, Settings};
use branchline::demo::certs::{Authority, Identity, Validity};
use branchline::time::Wall;
use reqwest::{Client, ClientBuilder, Response};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// For conditions that come true in milliseconds.
pub const SOON: Duration = Duration::from_secs(10);
/// How long a client waits for what never comes; long beside a handshake on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(8);
pub const TOKEN: &str = "sandbox-token";
pub const ANA: &str = "+5511987654321";
pub const LUIS: &str = "+525512345678";

pub fn now() -> Wall {
    Wall(jiff::Timestamp::now().as_millisecond())
}

pub struct World {
    pub authority: Authority,
    pub api: Api,
    pub client: Client,
}

/// As the facts want it: it never retries, never redirects, asks no environment.
pub fn client(authority: &Authority, http2: bool, identity: Option<&Identity>) -> Client {
    builder(authority, http2, identity).retry(reqwest::retry::never()).build().unwrap()
}

pub fn builder(authority: &Authority, http2: bool, identity: Option<&Identity>) -> ClientBuilder {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate_der()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut tls = match identity {
        None => builder.with_no_client_auth(),
        Some(own) => builder.with_client_auth_cert(vec![own.certificate_der()], own.key_der()).unwrap(),
    };
    tls.alpn_protocols = vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(SOON)
        .timeout(SOON)
}

pub async fn world(http2: bool, settings: Settings) -> World {
    let authority = Authority::new(Validity::around(now())).unwrap();
    let api = Api::start_tls(&authority, now(), settings).await.unwrap();
    World { client: client(&authority, http2, None), authority, api }
}

impl World {
    pub fn control(&self) -> Control {
        self.api.control()
    }

    pub fn url(&self) -> String {
        format!("{}/v25.0/106540352242922/messages", self.api.url())
    }

    pub async fn post(&self, body: &Value) -> reqwest::Result<Response> {
        self.post_to(&self.url(), body).await
    }

    pub async fn post_to(&self, url: &str, body: &Value) -> reqwest::Result<Response> {
        let request = self.client.post(url).bearer_auth(TOKEN).header("content-type", "application/json");
        request.body(body.to_string()).send().await
    }

    /// Status, error code (0: none) and body.
    pub async fn answer(&self, body: &Value) -> (u16, i64, Value) {
        read(self.post(body).await.unwrap()).await
    }
}

pub async fn read(response: Response) -> (u16, i64, Value) {
    let status = response.status().as_u16();
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    (status, body["error"]["code"].as_i64().unwrap_or(0), body)
}

pub fn text(value: &str) -> Value {
    json!({ "type": "text", "text": value })
}

pub fn template(name: &str, language: &str, components: Value) -> Value {
    json!({ "messaging_product": "whatsapp", "recipient_type": "individual", "to": ANA, "type": "template",
        "template": { "name": name, "language": { "code": language }, "components": components } })
}

pub fn words(body: &str) -> Value {
    json!({ "messaging_product": "whatsapp", "to": ANA, "type": "text", "text": { "body": body } })
}

pub fn with(mut body: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match body.pointer_mut(parent).unwrap() {
        Value::Object(members) => drop(members.insert(name.into(), value)),
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
        other => panic!("{other} has no members"),
    }
    body
}

pub fn without(mut body: Value, pointer: &str) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name).unwrap();
    body
}
/// How a fault looks from the other side.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Felt {
    /// HTTP status and error code.
    Http(u16, i64),
    /// 200 and no JSON.
    Garbage,
    /// Surely not sent.
    Connect,
    Timeout,
    /// The connection or stream ended.
    Broken,
}

pub async fn feel(world: &World, body: &Value) -> Felt {
    match world.post(body).await {
        Ok(response) => {
            let status = response.status().as_u16();
            let bytes = response.bytes().await.unwrap();
            match serde_json::from_slice::<Value>(&bytes) {
                Err(_) if status == 200 => Felt::Garbage,
                body => Felt::Http(status, body.map_or(0, |body| body["error"]["code"].as_i64().unwrap_or(0))),
            }
        }
        Err(error) if error.is_connect() => Felt::Connect,
        Err(error) if error.is_timeout() => Felt::Timeout,
        Err(_) => Felt::Broken,
    }
}
pub fn futures(count: u32, body: impl Fn(u32) -> Value) -> Vec<Value> {
    (0..count).map(body).collect()
}

impl World {
    /// All at once; the codes of their answers.
    pub async fn answers(&self, bodies: Vec<Value>) -> Vec<i64> {
        let mut posts = tokio::task::JoinSet::new();
        for body in bodies {
            let post = self.client.post(self.url()).bearer_auth(TOKEN).header("content-type", "application/json");
            posts.spawn(async move { read(post.body(body.to_string()).send().await.unwrap()).await.1 });
        }
        posts.join_all().await
    }
}

impl World {
    pub async fn answer_status(&self, body: &Value) -> u16 {
        self.post(body).await.unwrap().status().as_u16()
    }
}

/// A simulator whose pace strikes nobody: for rules that have nothing to do with it.
pub async fn unpaced(templates: Option<Value>) -> World {
    world(true, Settings { templates, ..unpaced_settings() }).await
}

pub fn unpaced_settings() -> Settings {
    Settings { sender_per_second: 100_000, pair_slack: Duration::from_secs(3600), ..Settings::default() }
}

pub fn account(change: impl FnOnce(&mut Account)) -> Account {
    let mut account = Account::default();
    change(&mut account);
    account
}

/// What is wrong, the code, what the details say, and the body.
pub type Row = (&'static str, i64, &'static str, Value);

/// The HTTP status of a code in Meta's table of December 2025 (facts 3.3).
pub fn status_of(code: i64) -> u16 {
    match code {
        104 | 190 => 401,
        131031 => 403,
        132001 => 404,
        _ => 400,
    }
}

/// Each body is refused by its code, and the answer has the documented shape (facts 3.1).
pub async fn assert_refused(world: &World, rows: Vec<Row>) {
    for (what, code, details, body) in rows {
        let (status, got, answer) = world.answer(&body).await;
        assert_eq!((got, status), (code, status_of(code)), "{what}: {answer}");
        assert_error(what, code, details, &answer);
        let seen = world.control().seen().pop().unwrap();
        assert_eq!(seen.answer, Answer::Refused(code), "{what}");
        assert_eq!(seen.details, answer["error"]["error_data"]["details"], "{what}");
    }
}

pub fn assert_error(what: &str, code: i64, details: &str, answer: &Value) {
    let error = &answer["error"];
    let mut members: Vec<&str> = error.as_object().unwrap().keys().map(String::as_str).collect();
    members.retain(|member| *member != "error_subcode");
    members.sort_unstable();
    assert_eq!(members, ["code", "error_data", "fbtrace_id", "message", "type"], "{what}");
    assert!(error["message"].as_str().unwrap().starts_with(&format!("(#{code}) ")), "{what}: {error}");
    assert!(["OAuthException", "GraphMethodException"].contains(&error["type"].as_str().unwrap()), "{what}: {error}");
    assert_eq!(error["error_data"]["messaging_product"], "whatsapp", "{what}");
    assert!(error["error_data"]["details"].as_str().unwrap().contains(details), "{what}: {error}");
    assert!(!error["fbtrace_id"].as_str().unwrap().is_empty(), "{what}: {error}");
}

/// Each body is taken, and the person reads this.
pub async fn assert_read(world: &World, rows: Vec<(&str, Value)>) {
    for (wanted, body) in rows {
        let (status, code, answer) = world.answer(&body).await;
        assert_eq!((status, code), (200, 0), "{body}: {answer}");
        assert_eq!(world.control().seen().last().unwrap().text, wanted);
    }
}

/// A message of one kind.
pub fn kind(name: &str, object: Value) -> Value {
    let mut body = json!({ "messaging_product": "whatsapp", "to": ANA, "type": name });
    body[name] = object;
    body
}
