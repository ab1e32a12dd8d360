//! The simulated Cloud API against a plain client: a row per rule, a row per fault, over HTTP/2 and HTTP/1.1.
#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used)] // a failed test shows where

use branchline::demo::api::{Answer, Api, Control, Fault, Repeat, Settings, Tls};
use branchline::demo::certs::{Authority, Identity, Validity};
use branchline::time::Wall;
use reqwest::{Client, ClientBuilder, Response};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// For conditions that come true in milliseconds.
const SOON: Duration = Duration::from_secs(10);
/// How long a client waits for what never comes; long beside a handshake on a busy machine.
const PATIENCE: Duration = Duration::from_secs(2);
const TOKEN: &str = "sandbox-token";
const ANA: &str = "+5511987654321";
const LUIS: &str = "+525512345678";

fn now() -> Wall {
    Wall(jiff::Timestamp::now().as_millisecond())
}

struct World {
    authority: Authority,
    api: Api,
    client: Client,
}

/// As the facts want it: it never retries, never redirects, asks no environment.
fn client(authority: &Authority, http2: bool, identity: Option<&Identity>) -> Client {
    builder(authority, http2, identity).retry(reqwest::retry::never()).build().unwrap()
}

fn builder(authority: &Authority, http2: bool, identity: Option<&Identity>) -> ClientBuilder {
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

async fn world(http2: bool, settings: Settings) -> World {
    let authority = Authority::new(Validity::around(now())).unwrap();
    let api = Api::start_tls(&authority, now(), settings).await.unwrap();
    World { client: client(&authority, http2, None), authority, api }
}

impl World {
    fn control(&self) -> Control {
        self.api.control()
    }

    fn url(&self) -> String {
        format!("{}/v25.0/106540352242922/messages", self.api.url())
    }

    async fn post(&self, body: &Value) -> reqwest::Result<Response> {
        self.post_to(&self.url(), body).await
    }

    async fn post_to(&self, url: &str, body: &Value) -> reqwest::Result<Response> {
        let request = self.client.post(url).bearer_auth(TOKEN).header("content-type", "application/json");
        request.body(body.to_string()).send().await
    }

    /// Status, error code (0: none) and body.
    async fn answer(&self, body: &Value) -> (u16, i64, Value) {
        read(self.post(body).await.unwrap()).await
    }
}

async fn read(response: Response) -> (u16, i64, Value) {
    let status = response.status().as_u16();
    let body: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    (status, body["error"]["code"].as_i64().unwrap_or(0), body)
}

fn templates() -> Value {
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

fn text(value: &str) -> Value {
    json!({ "type": "text", "text": value })
}

fn template(name: &str, language: &str, components: Value) -> Value {
    json!({ "messaging_product": "whatsapp", "recipient_type": "individual", "to": ANA, "type": "template",
        "template": { "name": name, "language": { "code": language }, "components": components } })
}

fn order(to: &str) -> Value {
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

fn words(body: &str) -> Value {
    json!({ "messaging_product": "whatsapp", "to": ANA, "type": "text", "text": { "body": body } })
}

fn with(mut body: Value, pointer: &str, value: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match body.pointer_mut(parent).unwrap() {
        Value::Object(members) => drop(members.insert(name.into(), value)),
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = value,
        other => panic!("{other} has no members"),
    }
    body
}

fn without(mut body: Value, pointer: &str) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    body.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name).unwrap();
    body
}

#[tokio::test]
async fn accepts_in_the_documented_shape() {
    for http2 in [true, false] {
        let settings = Settings { templates: Some(templates()), ..Settings::default() };
        let world = world(http2, settings).await;
        let body = with(order("+55 (31) 98765-4321"), "/biz_opaque_callback_data", "sp-042/7/till-9".into());
        let response = world.post(&body).await.unwrap();
        let version = if http2 { reqwest::Version::HTTP_2 } else { reqwest::Version::HTTP_11 };
        assert_eq!(response.version(), version);
        let date = response.headers()["date"].to_str().unwrap().to_owned();
        assert!(date.ends_with(" GMT") && date.contains(", "), "{date}");
        let (status, _, answer) = read(response).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["messaging_product"], "whatsapp");
        // The ninth digit is gone, as the platform has it outside 11 to 28.
        assert_eq!(answer["contacts"], json!([{ "input": "+55 (31) 98765-4321", "wa_id": "553187654321" }]));
        let wamid = answer["messages"][0]["id"].as_str().unwrap();
        assert!(wamid.starts_with("wamid."), "{wamid}");
        assert_eq!(answer["messages"][0]["message_status"], "accepted");

        let [seen] = &world.control().seen()[..] else { panic!("one request") };
        assert_eq!(seen.answer, Answer::Accepted(wamid.to_owned()));
        assert_eq!(
            seen.text,
            "Olá Ana, seu pedido 42 está pronto.\nLoja Centro\n[Ver: https://loja.example/42]\n[Parar]\n[Copiar: A42]"
        );
        assert_eq!(seen.parameters, ["Ana", "42", "42", "stop", "A42"]);
        assert_eq!((seen.template.as_deref(), seen.language.as_deref()), (Some("order_ready"), Some("pt_BR")));
        assert_eq!((seen.data.as_deref(), seen.http2), (Some("sp-042/7/till-9"), http2));
        assert_eq!(seen.path, "/v25.0/106540352242922/messages");
        let debug = format!("{seen:?} {:?}", world.control());
        assert!(!debug.contains("98765") && !debug.contains("Ana") && !debug.contains(wamid), "{debug}");
    }
}

/// What is right in every kind: 200, and what the person reads.
#[tokio::test]
async fn accepts_each_kind() {
    let document = json!({ "link": "https://loja.example/42.pdf", "filename": "42.pdf" });
    let place = json!({ "latitude": "-23.5", "longitude": -46.6, "name": "Loja", "address": "Rua A" });
    let named = |name: &str, value: &str| json!({ "type": "text", "parameter_name": name, "text": value });
    let kind = |kind: &str, object: Value| with(without(words("x"), "/text"), &format!("/{kind}"), object);
    let kind = |name: &str, object: Value| with(kind(name, object), "/type", name.into());
    let rows = [
        ("Bom dia", words("Bom dia")),
        (
            "[document: https://loja.example/42.pdf 42.pdf]\nTotal: $5 del lunes.",
            template(
                "receipt",
                "es_MX",
                json!([
                    { "type": "header", "parameters": [{ "type": "document", "document": document }] },
                    { "type": "body", "parameters": [named("day", "lunes"), named("total", "$5")] },
                ]),
            ),
        ),
        (
            "Alarme n7\nVerifique o equipamento.",
            template("node_alarm", "pt_BR", json!([{ "type": "header", "parameters": [text("n7")] }])),
        ),
        (
            "[location: -23.5, -46.6 Loja Rua A]\nAqui.",
            template(
                "place",
                "pt_BR",
                json!([{ "type": "header", "parameters": [{ "type": "location", "location": place }] }]),
            ),
        ),
        (
            "https://a.example/b.jpg Foto",
            kind("image", json!({ "link": "https://a.example/b.jpg", "caption": "Foto" })),
        ),
        ("-23.5, -46.6 Loja Rua A", kind("location", place.clone())),
        (
            "Tudo certo?",
            kind(
                "interactive",
                json!({ "type": "button", "body": { "text": "Tudo certo?" },
                    "action": { "buttons": [{ "type": "reply", "reply": { "id": "y", "title": "Sim" } }] } }),
            ),
        ),
    ];
    let world = world(true, Settings { templates: Some(templates()), ..Settings::default() }).await;
    world.control().open_window(ANA);
    for (wanted, body) in rows {
        let (status, code, answer) = world.answer(&body).await;
        assert_eq!((status, code), (200, 0), "{body}: {answer}");
        assert_eq!(world.control().seen().last().unwrap().text, wanted);
    }
}

/// What is wrong: one row per rule of facts 1.1 to 1.4, 2.6, each with code and HTTP status of facts 3.3.
#[tokio::test]
async fn refuses_what_breaks_a_rule() {
    let window = words("x");
    let body = "/template/components/0/parameters";
    let first = "/template/components/0/parameters/0";
    let receipt = |header: Value, body: Value| {
        template(
            "receipt",
            "es_MX",
            json!([{ "type": "header", "parameters": header }, { "type": "body", "parameters": body }]),
        )
    };
    let named = |name: &str| json!({ "type": "text", "parameter_name": name, "text": "x" });
    let document = json!([{ "type": "document", "document": { "id": "1" } }]);
    let image = json!([{ "type": "image", "image": { "id": "1" } }]);
    let both = json!([{ "type": "document", "document": { "id": "1", "link": "https://a.example" } }]);
    let (total, day) = (named("total"), named("day"));
    let plain = |value: &str| with(order(ANA), first, text(value));
    let rows: Vec<(&str, i64, u16, Value)> = vec![
        ("no product", 131008, 400, without(order(ANA), "/messaging_product")),
        ("other product", 131009, 400, with(order(ANA), "/messaging_product", "sms".into())),
        ("a group", 131009, 400, with(order(ANA), "/recipient_type", "group".into())),
        ("unknown member", 100, 400, with(order(ANA), "/priority", "high".into())),
        ("unknown member inside", 100, 400, with(order(ANA), "/template/namespace", "x".into())),
        ("not an object", 131009, 400, json!([])),
        ("no recipient", 131008, 400, without(order(ANA), "/to")),
        ("no plus", 131009, 400, order("5511987654321")),
        ("letters in the number", 131009, 400, order("+5511abc87654")),
        ("too short", 131009, 400, order("+55119")),
        ("too long", 131009, 400, order("+5511987654321999")),
        ("country code 0", 131009, 400, order("+0511987654321")),
        ("to the sender", 131021, 400, order("+5511900000000")),
        ("no type", 131008, 400, without(order(ANA), "/type")),
        ("unknown type", 131051, 400, with(without(order(ANA), "/template"), "/type", "poll".into())),
        ("object of another type", 100, 400, with(order(ANA), "/text", json!({ "body": "x" }))),
        ("no object of its type", 131008, 400, without(window.clone(), "/text")),
        ("callback data 513", 100, 400, with(order(ANA), "/biz_opaque_callback_data", "x".repeat(513).into())),
        ("window closed", 131047, 400, window.clone()),
        ("text 4097", 100, 400, words(&"é".repeat(4097))),
        ("text empty", 131008, 400, words("")),
        ("preview not a flag", 131009, 400, with(window.clone(), "/text/preview_url", "yes".into())),
        ("unknown template", 132001, 404, template("nothing", "pt_BR", json!([]))),
        ("unknown language", 132001, 404, with(order(ANA), "/template/language/code", "en_US".into())),
        ("pending template", 132001, 404, template("new", "pt_BR", json!([]))),
        ("paused template", 132015, 400, template("paused", "pt_BR", json!([]))),
        ("disabled template", 132016, 400, template("gone", "pt_BR", json!([]))),
        ("name in capitals", 131009, 400, with(order(ANA), "/template/name", "Order".into())),
        ("one parameter short", 132000, 400, with(order(ANA), body, json!([text("Ana")]))),
        ("one too many", 132000, 400, with(order(ANA), body, json!([text("a"), text("b"), text("c")]))),
        ("none at all", 132000, 400, template("order_ready", "pt_BR", json!([]))),
        ("named for positional", 132012, 400, with(order(ANA), first, named("name"))),
        ("positional for named", 132012, 400, receipt(document.clone(), json!([text("a"), text("b")]))),
        ("unknown name", 132012, 400, receipt(document.clone(), json!([named("totals"), day]))),
        ("a name twice", 132012, 400, receipt(document.clone(), json!([total, total]))),
        ("image for document", 132012, 400, receipt(image, json!([total, day]))),
        ("no header", 132012, 400, receipt(json!([]), json!([total, day]))),
        ("id and link", 131008, 400, receipt(both, json!([total, day]))),
        ("header text without variable", 132000, 400, with(order(ANA), "/template/components/0/type", "header".into())),
        ("parameter of an unknown kind", 132012, 400, with(order(ANA), first, json!({ "type": "html" }))),
        ("number as text", 131009, 400, with(order(ANA), first, json!({ "type": "text", "text": 42 }))),
        ("empty parameter", 131008, 400, plain("")),
        ("newline", 132018, 400, plain("a\nb")),
        ("tab", 132018, 400, plain("a\tb")),
        ("five spaces", 132018, 400, plain("a     b")),
        ("body over 1024", 132005, 400, plain(&"é".repeat(1000))),
        (
            "header over 60",
            132005,
            400,
            template("node_alarm", "pt_BR", json!([{ "type": "header", "parameters": [text(&"x".repeat(54))] }])),
        ),
        ("index as a number", 131009, 400, with(order(ANA), "/template/components/1/index", 0.into())),
        ("index twice", 100, 400, with(order(ANA), "/template/components/2/index", "0".into())),
        ("no such button", 132012, 400, with(order(ANA), "/template/components/3/index", "3".into())),
        ("unknown button", 131009, 400, with(order(ANA), "/template/components/1/sub_type", "phone".into())),
        (
            "button of another kind",
            132012,
            400,
            with(
                order(ANA),
                "/template/components/3",
                json!({ "type": "button",
            "sub_type": "quick_reply", "index": "2", "parameters": [{ "type": "payload", "payload": "x" }] }),
            ),
        ),
        (
            "code 21",
            100,
            400,
            with(order(ANA), "/template/components/3/parameters/0/coupon_code", "A".repeat(21).into()),
        ),
        (
            "code with a dash",
            131009,
            400,
            with(order(ANA), "/template/components/3/parameters/0/coupon_code", "A-1".into()),
        ),
        (
            "url button without its parameter",
            131008,
            400,
            template("order_ready", "pt_BR", json!([{ "type": "body", "parameters": [text("a"), text("b")] }])),
        ),
        ("image without source", 131008, 400, {
            with(with(without(window.clone(), "/text"), "/image", json!({})), "/type", "image".into())
        }),
    ];
    let world = world(true, Settings { templates: Some(templates()), ..Settings::default() }).await;
    for (rule, code, status, body) in rows {
        let (got_status, got, answer) = world.answer(&body).await;
        assert_eq!((got, got_status), (code, status), "{rule}: {answer}");
        let error = &answer["error"];
        assert!(error["message"].as_str().unwrap().starts_with(&format!("(#{code}) ")), "{error}");
        assert_eq!(error["type"], "OAuthException");
        assert_eq!(error["error_data"]["messaging_product"], "whatsapp");
        assert!(!error["error_data"]["details"].as_str().unwrap().is_empty(), "{error}");
        assert!(!error["fbtrace_id"].as_str().unwrap().is_empty(), "{error}");
        let seen = world.control().seen().pop().unwrap();
        assert_eq!(seen.answer, Answer::Refused(code), "{rule}");
    }
    assert_eq!(world.control().counters().accepted, 0);
    // At the limits themselves it is taken.
    world.control().open_window(ANA);
    for body in [
        words(&"é".repeat(4096)),
        with(order(ANA), "/biz_opaque_callback_data", "é".repeat(512).into()),
        with(order(ANA), "/template/components/3/parameters/0/coupon_code", "A".repeat(20).into()),
        plain("a    b"),
        template("node_alarm", "pt_BR", json!([{ "type": "header", "parameters": [text(&"x".repeat(53))] }])),
    ] {
        assert_eq!(world.answer(&body).await.0, 200, "{body}");
    }
}

#[tokio::test]
async fn checks_path_token_proof_and_size_first() {
    let settings = Settings { app_secret: Some("secret".into()), ..Settings::default() };
    let world = world(true, settings).await;
    // printf sandbox-token | openssl dgst -sha256 -hmac secret
    let proof = "fe3111d098157750e393b2f5a002c240cebedadba26ec649c0bb4e1d8f0264b4";
    let base = world.api.url();
    let good = format!("{base}/v25.0/106540352242922/messages?appsecret_proof={proof}");
    let rows = [
        ("fine", good.clone(), TOKEN, order(ANA).to_string(), 200, 0),
        ("no proof", world.url(), TOKEN, order(ANA).to_string(), 400, 100),
        ("wrong proof", format!("{}?appsecret_proof=00", world.url()), TOKEN, order(ANA).to_string(), 400, 100),
        ("other token", good.clone(), "old-token", order(ANA).to_string(), 401, 190),
        ("no token", good.clone(), "", order(ANA).to_string(), 401, 190),
        ("dead version", good.replace("v25.0", "v19.0"), TOKEN, order(ANA).to_string(), 400, 100),
        ("no version", good.replace("/v25.0", ""), TOKEN, order(ANA).to_string(), 400, 100),
        ("other number", good.replace("1065", "1066"), TOKEN, order(ANA).to_string(), 400, 100),
        ("other edge", good.replace("/messages", "/message"), TOKEN, order(ANA).to_string(), 400, 100),
        ("no JSON", good.clone(), TOKEN, "{".into(), 400, 100),
        ("65 KiB", good.clone(), TOKEN, words(&"x".repeat(65 * 1024)).to_string(), 400, 100),
    ];
    for (what, url, token, body, status, code) in rows {
        let mut request = world.client.post(&url).header("content-type", "application/json").body(body);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        let (got, got_code, answer) = read(request.send().await.unwrap()).await;
        assert_eq!((got, got_code), (status, code), "{what}: {answer}");
    }
    // A form instead of JSON, and the proof inside the body.
    let form = world.client.post(&good).bearer_auth(TOKEN).body(order(ANA).to_string()).send().await.unwrap();
    assert_eq!(read(form).await.1, 100);
    let inside = with(order(LUIS), "/appsecret_proof", proof.into());
    assert_eq!(world.answer(&inside).await.0, 200);
    // Another number in the path is answered as an object that does not exist.
    let other = world.post_to(&good.replace("1065", "1066"), &order(ANA)).await.unwrap();
    assert_eq!(read(other).await.2["error"]["error_subcode"], 33);
}

#[tokio::test]
async fn looks_up_the_number() {
    let world = world(true, Settings::default()).await;
    let get = |fields: &str| {
        let url = format!("{}/v25.0/106540352242922?fields={fields}", world.api.url());
        world.client.get(url).bearer_auth(TOKEN).send()
    };
    let (status, _, found) = read(get("quality_rating,throughput%2Chealth_status").await.unwrap()).await;
    assert_eq!(status, 200, "{found}");
    assert_eq!(found["id"], "106540352242922");
    assert_eq!(found["quality_rating"], "GREEN");
    assert_eq!(found["throughput"]["level"], "STANDARD");
    assert_eq!(found["health_status"]["can_send_message"], "AVAILABLE");
    assert_eq!(read(get("quality").await.unwrap()).await.1, 100);
    assert!(world.control().seen().is_empty(), "a look-up is no message");
}

/// How a fault looks from the other side.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Felt {
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

async fn feel(world: &World, body: &Value) -> Felt {
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

/// Each fault: how it feels, how many requests were read whole, how many accepted. Then all is well again.
#[tokio::test]
async fn faults_strike_as_told() {
    let slow = Fault::SlowAnswer(PATIENCE * 4);
    let rows = [
        (Fault::RefuseConnections, Felt::Connect, 0, 0),
        (Fault::MuteTls, Felt::Connect, 0, 0),
        (Fault::ResetBeforeRead, Felt::Broken, 0, 0),
        (Fault::RefusedStream, Felt::Broken, 0, 0),
        (Fault::GoAway, Felt::Broken, 0, 0),
        (Fault::ResetAfterRead, Felt::Broken, 1, 0),
        (Fault::Hang, Felt::Timeout, 1, 0),
        (Fault::AcceptWithoutAnswer, Felt::Broken, 1, 1),
        (Fault::AcceptThenHang, Felt::Timeout, 1, 1),
        (Fault::Status(503, None), Felt::Http(503, 0), 1, 0),
        (Fault::Status(502, Some("<html>".into())), Felt::Http(502, 0), 1, 0),
        (Fault::Code(131048), Felt::Http(400, 131048), 1, 0),
        (Fault::Code(2), Felt::Http(503, 2), 1, 0),
        (slow, Felt::Timeout, 1, 1),
        (Fault::SlowAnswer(Duration::from_millis(1)), Felt::Http(200, 0), 1, 1),
        (Fault::GarbageBody, Felt::Garbage, 1, 1),
        (Fault::Redirect307, Felt::Http(307, 0), 1, 0),
    ];
    let mut trials = tokio::task::JoinSet::new();
    for (fault, wanted, whole, accepted) in rows {
        trials.spawn(trial(true, fault.clone(), wanted, whole, accepted));
        trials.spawn(trial(false, fault, wanted, whole, accepted));
    }
    trials.join_all().await;
}

async fn trial(http2: bool, fault: Fault, wanted: Felt, whole: u64, accepted: u64) {
    let what = format!("{fault:?}, http2 {http2}");
    let mut world = world(http2, Settings::default()).await;
    // Short patience only for what never comes.
    if wanted == Felt::Timeout || fault == Fault::MuteTls {
        let builder = builder(&world.authority, http2, None).retry(reqwest::retry::never());
        let builder =
            if fault == Fault::MuteTls { builder.connect_timeout(PATIENCE) } else { builder.timeout(PATIENCE) };
        world.client = builder.build().unwrap();
    }
    let control = world.control();
    control.fault(fault, Some(1));
    assert_eq!(feel(&world, &order(ANA)).await, wanted, "{what}");
    let counters = control.counters();
    assert_eq!((counters.whole, counters.accepted), (whole, accepted), "{what}: read whole, accepted");
    control.clear_faults().unwrap();
    world.client = client(&world.authority, http2, None);
    assert_eq!(feel(&world, &order(LUIS)).await, Felt::Http(200, 0), "{what}: afterwards");
}

/// The same faults against a client that resends on its own: it is caught.
#[tokio::test]
async fn a_client_that_resends_by_itself_is_seen() {
    for fault in [Fault::RefusedStream, Fault::GoAway] {
        let mut world = world(true, Settings::default()).await;
        world.client = builder(&world.authority, true, None).build().unwrap();
        world.control().fault(fault.clone(), Some(1));
        assert_eq!(feel(&world, &order(ANA)).await, Felt::Http(200, 0), "{fault:?}");
        assert_eq!((world.control().counters().heads, world.control().counters().whole), (2, 1), "{fault:?}");
    }
}

#[tokio::test]
async fn limits_strike_over_the_wire() {
    // The timetables are beside `pace`; here the strictest pair pace and a small sender, all within one second.
    let settings = Settings { pair_burst: 1, sender_per_second: 3, ..Settings::default() };
    let world = world(true, settings).await;
    assert_eq!(world.answer(&order("+5531987654321")).await.1, 0);
    // With and without the ninth digit it is one person.
    assert_eq!(world.answer(&order("+553187654321")).await.0, 400);
    assert_eq!(world.answer(&order("+553187654321")).await.1, 131056);
    let people = futures(20, |n| order(&format!("+52551234{n:04}")));
    let codes = world.answers(people).await;
    let taken = codes.iter().filter(|code| **code == 0).count();
    assert!(codes.iter().all(|code| matches!(code, 0 | 130429)), "{codes:?}");
    assert!((2..20).contains(&taken), "{taken}");
    assert_eq!(world.control().counters().accepted, 1 + taken as u64);
}

fn futures(count: u32, body: impl Fn(u32) -> Value) -> Vec<Value> {
    (0..count).map(body).collect()
}

impl World {
    /// All at once; the codes of their answers.
    async fn answers(&self, bodies: Vec<Value>) -> Vec<i64> {
        let mut posts = tokio::task::JoinSet::new();
        for body in bodies {
            let post = self.client.post(self.url()).bearer_auth(TOKEN).header("content-type", "application/json");
            posts.spawn(async move { read(post.body(body.to_string()).send().await.unwrap()).await.1 });
        }
        posts.join_all().await
    }
}

#[tokio::test]
async fn repeats_are_reported() {
    let world = world(true, Settings::default()).await;
    let data = |to: &str, data: &str| with(order(to), "/biz_opaque_callback_data", data.into());
    let other = with(data(ANA, "c"), "/template/name", "other".into());
    let rows = [
        (data(ANA, "a"), None),
        (data(LUIS, "b"), None),
        (data(ANA, "a"), Some(Repeat::Data)),
        (data(ANA, "d"), Some(Repeat::Content)),
        (order(ANA), Some(Repeat::Content)),
        (other.clone(), None),
        (with(other, "/to", LUIS.into()), Some(Repeat::Data)),
    ];
    for (body, wanted) in &rows {
        assert_eq!(world.answer(body).await.0, 200);
        assert_eq!(world.control().seen().last().unwrap().repeat, *wanted, "{body}");
    }
    assert_eq!(world.control().repeats().len(), 4);
    assert_eq!(world.control().counters().repeats, 4);
    // What was not taken is no repeat.
    world.control().fault(Fault::Status(503, None), Some(1));
    world.answer_status(&data(LUIS, "z")).await;
    world.answer_status(&data(LUIS, "b")).await;
    assert_eq!(world.control().counters().repeats, 5);
    assert_eq!(world.control().seen().last().unwrap().data.as_deref(), Some("b"));
}

impl World {
    async fn answer_status(&self, body: &Value) -> u16 {
        self.post(body).await.unwrap().status().as_u16()
    }
}

#[tokio::test]
async fn control_does_as_told() {
    let world = world(true, Settings { keep: 3, ..Settings::default() }).await;
    let control = world.control();
    // Faults count down, first come first served, and can be for some only.
    control.fault(Fault::Status(500, None), Some(2));
    control.fault_if(Fault::Code(131026), None, |seen| seen.to == LUIS);
    let mut statuses = Vec::new();
    for to in [LUIS, ANA, LUIS, ANA, LUIS] {
        statuses.push(world.answer_status(&order(to)).await);
    }
    assert_eq!(statuses, [500, 500, 400, 200, 400]);
    control.clear_faults().unwrap();
    assert_eq!(world.answer_status(&order(LUIS)).await, 200);
    // Only the last are kept; the counters know all.
    assert_eq!((control.seen().len(), control.accepted().len()), (3, 2));
    assert_eq!((control.counters().whole, control.counters().accepted), (6, 2));
    // Tokens change at once.
    control.set_token("new");
    assert_eq!(world.answer_status(&order(ANA)).await, 401);
    control.set_token(TOKEN);
    // Windows open and close, however the number is written.
    let free = with(words("Oi"), "/to", "+553187654321".into());
    for (open, wanted) in [(true, 200), (false, 400)] {
        if open {
            control.open_window("+55 31 98765-4321")
        } else {
            control.close_window("5531987654321")
        }
        assert_eq!(world.answer_status(&free).await, wanted, "window open: {open}");
    }
    // The clock of the platform is not the box's.
    control.skew_date(-400 * 24 * 60 * 60);
    let date = world.post(&order(ANA)).await.unwrap().headers()["date"].to_str().unwrap().to_owned();
    let year = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).year();
    assert!(!date.contains(&year.to_string()), "{date}");
}

#[tokio::test]
async fn waits_for_conditions() {
    let world = world(true, Settings::default()).await;
    let control = world.control();
    assert!(!control.wait_for_accepted(1, Duration::from_millis(1)).await);
    let waiter = tokio::spawn({
        let control = control.clone();
        async move {
            let ana = control.wait_for(SOON, |seen| seen.iter().any(|seen| seen.to == ANA)).await;
            ana && control.wait_for_accepted(2, SOON).await && control.accepted().len() >= 2
        }
    });
    world.answer(&order(LUIS)).await;
    world.answer(&order(ANA)).await;
    assert!(waiter.await.unwrap());
}

#[tokio::test]
async fn a_closed_port_refuses_at_once_and_opens_again() {
    let world = world(true, Settings::default()).await;
    let control = world.control();
    for round in 0..5 {
        control.fault(Fault::RefuseConnections, None);
        let refused = tokio::net::TcpStream::connect(world.api.addr()).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused, "round {round}");
        control.clear_faults().unwrap();
        tokio::net::TcpStream::connect(world.api.addr()).await.unwrap();
    }
    let addr = world.api.addr();
    world.api.stop().await;
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn a_cut_breaks_what_is_in_flight() {
    let world = world(true, Settings::default()).await;
    let control = world.control();
    control.fault(Fault::Hang, None);
    let cut = async {
        assert!(control.wait_for(SOON, |seen| !seen.is_empty()).await);
        control.cut();
    };
    let body = order(ANA);
    let (felt, ()) = tokio::join!(feel(&world, &body), cut);
    assert_eq!(felt, Felt::Broken);
    assert_eq!(control.accepted().len(), 0);
}

/// One HTTP/2 connection without a pool or a client's cleverness above it.
async fn raw_http2(api: &Api, authority: &Authority) -> h2::client::SendRequest<bytes::Bytes> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate_der()).unwrap();
    let mut tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = tokio::net::TcpStream::connect(api.addr()).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(tls));
    let tls = connector.connect("localhost".try_into().unwrap(), tcp).await.unwrap();
    let (send, connection) = h2::client::handshake(tls).await.unwrap();
    tokio::spawn(connection);
    send
}

/// Sends at once; the answer within [`SOON`].
fn raw_post(
    send: &mut h2::client::SendRequest<bytes::Bytes>,
    api: &Api,
    to: &str,
) -> impl Future<Output = Result<http::Response<h2::RecvStream>, h2::Error>> + use<> {
    let request = http::Request::post(format!("{}/v25.0/106540352242922/messages", api.url()))
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json")
        .body(())
        .unwrap();
    let (response, mut body) = send.send_request(request, false).unwrap();
    body.send_data(order(to).to_string().into(), true).unwrap();
    async move { tokio::time::timeout(SOON, response).await.expect("an answer that never came") }
}

#[tokio::test]
async fn refused_stream_and_goaway_say_surely_not_read() {
    let authority = Authority::new(Validity::around(now())).unwrap();
    let api = Api::start_tls(&authority, now(), Settings::default()).await.unwrap();
    let control = api.control();
    let mut send = raw_http2(&api, &authority).await.ready().await.unwrap();
    control.fault(Fault::RefusedStream, Some(1));
    let refused = raw_post(&mut send, &api, LUIS).await.unwrap_err();
    assert!(refused.is_remote() && refused.is_reset(), "{refused:?}");
    assert_eq!(refused.reason(), Some(h2::Reason::REFUSED_STREAM));
    assert_eq!(raw_post(&mut send, &api, LUIS).await.unwrap().status(), 200, "the connection lives on");

    // GOAWAY denies the stream it strikes and all later ones, and still answers the earlier ones.
    control.fault(Fault::SlowAnswer(Duration::from_millis(100)), Some(1));
    let earlier = raw_post(&mut send, &api, ANA);
    assert!(control.wait_for(SOON, |seen| seen.iter().any(|seen| seen.to == ANA)).await);
    control.fault(Fault::GoAway, Some(1));
    let denied = [raw_post(&mut send, &api, LUIS), raw_post(&mut send, &api, LUIS)];
    for denied in denied {
        let error = denied.await.unwrap_err();
        assert!(error.is_go_away() && error.is_remote(), "{error:?}");
        assert_eq!(error.reason(), Some(h2::Reason::NO_ERROR));
    }
    assert_eq!(earlier.await.unwrap().status(), 200);
    assert_eq!(control.counters().whole, 2, "no denied stream was read");

    // On a fresh connection the last stream is 0: nothing at all was read.
    let mut send = raw_http2(&api, &authority).await.ready().await.unwrap();
    control.fault(Fault::GoAway, Some(1));
    assert!(raw_post(&mut send, &api, LUIS).await.unwrap_err().is_go_away());
    assert_eq!(control.counters().whole, 2);
}

#[tokio::test]
async fn accepted_without_answer_is_one_reset_stream() {
    let authority = Authority::new(Validity::around(now())).unwrap();
    let api = Api::start_tls(&authority, now(), Settings::default()).await.unwrap();
    let mut send = raw_http2(&api, &authority).await.ready().await.unwrap();
    api.control().fault(Fault::AcceptWithoutAnswer, Some(1));
    let lost = raw_post(&mut send, &api, ANA).await.unwrap_err();
    assert_eq!(lost.reason(), Some(h2::Reason::INTERNAL_ERROR));
    assert_eq!(api.control().counters().accepted, 1);
    assert_eq!(raw_post(&mut send, &api, LUIS).await.unwrap().status(), 200, "the connection lives on");
}

#[tokio::test]
async fn two_hundred_fifty_six_streams_at_once() {
    let settings = Settings { sender_per_second: 100_000, ..Settings::default() };
    let world = world(true, settings).await;
    // One post opens the connection that the others share.
    world.answer(&order(ANA)).await;
    let codes = world.answers(futures(1000, |n| order(&format!("+52551234{n:04}")))).await;
    assert!(codes.iter().all(|code| *code == 0), "{codes:?}");
    assert_eq!(world.control().counters().accepted, 1001);
    assert_eq!(world.control().counters().connections, 1);
    assert_eq!(world.control().counters().repeats, 0);
}

#[tokio::test]
async fn client_certificates_and_dates_are_checked() {
    let around = Validity::around(now());
    let authority = Authority::new(around).unwrap();
    let stranger = Authority::new(around).unwrap();
    let past = Validity { from: Wall(0), until: Wall(86_400_000) };
    let future = Validity { from: Wall(now().0 + 86_400_000), until: Wall(now().0 + 2 * 86_400_000) };
    // The server's own certificate.
    for (what, issuer, validity, name, wanted) in [
        ("good", &authority, around, "127.0.0.1", Felt::Http(200, 0)),
        ("expired", &authority, past, "127.0.0.1", Felt::Connect),
        ("not yet valid", &authority, future, "127.0.0.1", Felt::Connect),
        ("another name", &authority, around, "example.com", Felt::Connect),
        ("unknown issuer", &stranger, around, "127.0.0.1", Felt::Connect),
    ] {
        let identity = issuer.server(&[name], validity).unwrap();
        let tls = Tls::from_pem(identity.certificate_pem().as_bytes(), identity.key_pem().as_bytes()).unwrap();
        let settings = Settings { tls: Some(tls), ..Settings::default() };
        let felt = try_once(&authority, settings, None).await;
        assert_eq!(felt.0, wanted, "server certificate {what}");
        assert_eq!(felt.1, u64::from(wanted == Felt::Connect), "server certificate {what}: failed handshakes");
    }
    assert!(Tls::from_pem(b"", b"").is_err());
    // The client's.
    let server = authority.server(&["127.0.0.1"], around).unwrap();
    for (what, own, good) in [
        ("good", Some(authority.client("box", around).unwrap()), true),
        ("none", None, false),
        ("expired", Some(authority.client("box", past).unwrap()), false),
        ("unknown issuer", Some(stranger.client("box", around).unwrap()), false),
    ] {
        let (tls, client_ca) = (Some(Tls::from(&server)), Some(authority.certificate_der()));
        let settings = Settings { tls, client_ca, ..Settings::default() };
        let (felt, failed) = try_once(&authority, settings, own.as_ref()).await;
        assert_eq!(felt == Felt::Http(200, 0), good, "client certificate {what}: {felt:?}");
        assert_eq!(failed, u64::from(!good), "client certificate {what}: failed handshakes");
    }
}

/// One message to a simulator of its own; how it felt, and the handshakes that failed.
async fn try_once(authority: &Authority, settings: Settings, identity: Option<&Identity>) -> (Felt, u64) {
    let api = Api::start(settings).await.unwrap();
    let spare = Authority::new(Validity::around(now())).unwrap();
    let world = World { client: client(authority, true, identity), authority: spare, api };
    let felt = feel(&world, &order(ANA)).await;
    let control = world.control();
    // With TLS 1.3 the client may know before the server does, or the other way round.
    assert!(control.wait_for_counters(SOON, |seen| seen.whole + seen.failed_handshakes > 0).await);
    (felt, control.counters().failed_handshakes)
}

#[tokio::test]
async fn plain_http_works_too() {
    let authority = Authority::new(Validity::around(now())).unwrap();
    let api = Api::start(Settings::default()).await.unwrap();
    let world = World { client: client(&authority, false, None), authority, api };
    assert!(world.api.url().starts_with("http://127.0.0.1:"));
    assert_eq!(world.answer(&order(ANA)).await.0, 200);
}

mod broker {
    //! What the embedded broker does and does not do; the documentation of `demo::broker` repeats it.

    use super::SOON;
    use branchline::demo::broker::Broker;
    use rumqttc::v5::mqttbytes::QoS;
    use rumqttc::v5::mqttbytes::v5::{
        Filter, LastWill, Packet, Publish, PublishProperties, RetainForwardRule, SubscribeProperties,
    };
    use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};

    struct Peer {
        client: AsyncClient,
        events: EventLoop,
        resumed: bool,
    }

    impl Peer {
        async fn connect(broker: &Broker, id: &str, session: Option<u32>) -> Peer {
            let mut options = MqttOptions::new(id, broker.addr().ip().to_string(), broker.addr().port());
            options.set_clean_start(session.is_none()).set_session_expiry_interval(session).set_manual_acks(true);
            options.set_outgoing_inflight_upper_limit(16);
            let (client, events) = AsyncClient::new(options, 64);
            let mut peer = Peer { client, events, resumed: false };
            let Packet::ConnAck(ack) = peer.until(|packet| matches!(packet, Packet::ConnAck(_))).await else {
                unreachable!("the condition says so")
            };
            peer.resumed = ack.session_present;
            peer
        }

        /// The next packet that matches, within [`SOON`].
        async fn until(&mut self, matches: impl Fn(&Packet) -> bool) -> Packet {
            let next = async {
                loop {
                    if let Event::Incoming(packet) = self.events.poll().await.unwrap()
                        && matches(&packet)
                    {
                        return packet;
                    }
                }
            };
            tokio::time::timeout(SOON, next).await.expect("a packet that never came")
        }

        async fn publish(&mut self, topic: &str, payload: &str, retain: bool, expiry: Option<u32>) {
            let properties = PublishProperties { message_expiry_interval: expiry, ..Default::default() };
            let payload = payload.to_owned();
            self.client.publish_with_properties(topic, QoS::AtLeastOnce, retain, payload, properties).await.unwrap();
            self.until(|packet| matches!(packet, Packet::PubAck(_))).await;
        }

        async fn subscribe(&mut self, filter: Filter, id: usize) {
            let properties = SubscribeProperties { id: Some(id), user_properties: Vec::new() };
            self.client.subscribe_many_with_properties([filter], properties).await.unwrap();
            self.until(|packet| matches!(packet, Packet::SubAck(_))).await;
        }

        async fn message(&mut self) -> Publish {
            match self.until(|packet| matches!(packet, Packet::Publish(_))).await {
                Packet::Publish(publish) => publish,
                _ => unreachable!("the condition says so"),
            }
        }
    }

    fn ids(publish: &Publish) -> Vec<usize> {
        publish.properties.clone().unwrap_or_default().subscription_identifiers
    }

    #[tokio::test]
    async fn two_brokers_at_once_have_ports_of_their_own() {
        let (one, two) = (Broker::start().unwrap(), Broker::start().unwrap());
        assert_ne!(one.addr(), two.addr());
        assert!(!Peer::connect(&two, "a", None).await.resumed);
    }

    #[tokio::test]
    async fn a_session_is_resumed_without_subscription_identifiers_and_without_dup() {
        let broker = Broker::start().unwrap();
        let mut till = Peer::connect(&broker, "till", None).await;
        let mut relay = Peer::connect(&broker, "relay", Some(3600)).await;
        assert!(!relay.resumed);
        relay.subscribe(Filter::new("pos/+/ready", QoS::AtLeastOnce), 7).await;
        till.publish("pos/1/ready", "one", false, Some(60)).await;
        let one = relay.message().await;
        assert_eq!((&one.payload[..], ids(&one), one.dup), (&b"one"[..], vec![7], false));
        assert_eq!(one.properties.unwrap().message_expiry_interval, Some(60));
        // It goes without an acknowledgement; what comes meanwhile is kept.
        drop(relay);
        till.publish("pos/1/ready", "two", false, None).await;
        let mut relay = Peer::connect(&broker, "relay", Some(3600)).await;
        assert!(relay.resumed);
        for payload in ["one", "two"] {
            let message = relay.message().await;
            assert_eq!((&message.payload[..], ids(&message), message.dup), (payload.as_bytes(), vec![], false));
        }
        // After a new SUBSCRIBE the identifiers are back.
        relay.subscribe(Filter::new("pos/+/ready", QoS::AtLeastOnce), 8).await;
        till.publish("pos/1/ready", "three", false, None).await;
        assert_eq!(ids(&relay.message().await), [8]);
    }

    #[tokio::test]
    async fn retain_handling_and_no_local_are_not_obeyed_and_overlaps_come_twice() {
        let broker = Broker::start().unwrap();
        let mut till = Peer::connect(&broker, "till", None).await;
        till.publish("state/1", "kept", true, None).await;
        let mut relay = Peer::connect(&broker, "relay", None).await;
        let never =
            Filter { retain_forward_rule: RetainForwardRule::Never, ..Filter::new("state/+", QoS::AtLeastOnce) };
        relay.subscribe(never, 1).await;
        let kept = relay.message().await;
        assert!(kept.retain, "unasked for, but marked");
        relay.subscribe(Filter { nolocal: true, ..Filter::new("own/+", QoS::AtLeastOnce) }, 2).await;
        relay.client.publish("own/1", QoS::AtLeastOnce, false, "own").await.unwrap();
        assert_eq!(&relay.message().await.payload[..], b"own");
        for (filter, id) in [("pos/+/ready", 3), ("pos/#", 4)] {
            relay.subscribe(Filter::new(filter, QoS::AtLeastOnce), id).await;
        }
        till.publish("pos/1/ready", "both", false, None).await;
        let mut twice = [ids(&relay.message().await), ids(&relay.message().await)];
        twice.sort();
        assert_eq!(twice, [vec![3], vec![4]]);
    }

    #[tokio::test]
    async fn a_last_will_is_published_and_retained() {
        let broker = Broker::start().unwrap();
        let mut options = MqttOptions::new("box", broker.addr().ip().to_string(), broker.addr().port());
        options.set_last_will(LastWill::new("state/box", "offline", QoS::AtLeastOnce, true, None));
        let (_client, mut events) = AsyncClient::new(options, 8);
        assert!(matches!(events.poll().await.unwrap(), Event::Incoming(Packet::ConnAck(_))));
        let mut office = Peer::connect(&broker, "office", None).await;
        office.subscribe(Filter::new("state/+", QoS::AtLeastOnce), 1).await;
        drop(events);
        assert_eq!(&office.message().await.payload[..], b"offline");
        let mut late = Peer::connect(&broker, "late", None).await;
        late.subscribe(Filter::new("state/+", QoS::AtLeastOnce), 1).await;
        assert!(late.message().await.retain);
    }
}
