//! What every trial needs: a simulator over TLS, a plain client, and bodies to send.

use branchline::demo::api::{Api, Control, Settings};
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
pub const PATIENCE: Duration = Duration::from_secs(2);
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

pub fn templates() -> Value {
    json!({ "data": [
        { "name": "order_ready", "language": "pt_BR", "status": "APPROVED", "category": "UTILITY",
          "parameter_format": "POSITIONAL", "components": [
            { "type": "BODY", "text": "Olá {{1}}, seu pedido {{2}} está pronto." },
            { "type": "FOOTER", "text": "Loja Centro" },
            { "type": "BUTTONS", "buttons": [
                { "type": "URL", "text": "Ver", "url": "https://loja.example/{{1}}" },
                { "type": "QUICK_REPLY", "text": "Parar" },
                { "type": "COPY_CODE", "text": "Copiar" } ] } ] },
        { "name": "receipt", "language": "es_MX", "status": "APPROVED", "category": "UTILITY",
          "parameter_format": "NAMED", "components": [
            { "type": "HEADER", "format": "DOCUMENT" },
            { "type": "BODY", "text": "Total: {{total}} del {{day}}." } ] },
        { "name": "node_alarm", "language": "pt_BR", "status": "APPROVED", "category": "UTILITY", "components": [
            { "type": "HEADER", "format": "TEXT", "text": "Alarme {{1}}" },
            { "type": "BODY", "text": "Verifique o equipamento." } ] },
        { "name": "place", "language": "pt_BR", "status": "APPROVED", "category": "UTILITY", "components": [
            { "type": "HEADER", "format": "LOCATION" }, { "type": "BODY", "text": "Aqui." } ] },
        { "name": "paused", "language": "pt_BR", "status": "PAUSED", "components": [{ "type": "BODY", "text": "x" }] },
        { "name": "gone", "language": "pt_BR", "status": "DISABLED", "components": [{ "type": "BODY", "text": "x" }] },
        { "name": "new", "language": "pt_BR", "status": "PENDING", "components": [{ "type": "BODY", "text": "x" }] },
    ]})
}

pub fn text(value: &str) -> Value {
    json!({ "type": "text", "text": value })
}

pub fn template(name: &str, language: &str, components: Value) -> Value {
    json!({ "messaging_product": "whatsapp", "recipient_type": "individual", "to": ANA, "type": "template",
        "template": { "name": name, "language": { "code": language }, "components": components } })
}

pub fn order(to: &str) -> Value {
    let mut body = template(
        "order_ready",
        "pt_BR",
        json!([
            { "type": "body", "parameters": [text("Ana"), text("42")] },
            { "type": "button", "sub_type": "url", "index": "0", "parameters": [text("42")] },
            { "type": "button", "sub_type": "quick_reply", "index": "1",
              "parameters": [{ "type": "payload", "payload": "stop" }] },
            { "type": "button", "sub_type": "copy_code", "index": "2",
              "parameters": [{ "type": "coupon_code", "coupon_code": "A42" }] },
        ]),
    );
    body["to"] = to.into();
    body
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
