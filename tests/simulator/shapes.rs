//! Whole payloads: a row per rule of the facts.

use crate::kit::*;
use branchline::demo::api::{Answer, Settings};
use serde_json::{Value, json};

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
