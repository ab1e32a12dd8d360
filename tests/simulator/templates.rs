//! Templates: what a send must have, by the account's list and without one; a row for each rule of facts 1.4 and 2.5.

use crate::kit::*;
use branchline::demo::api::{Api, Settings};
use serde_json::{Value, json};

/// One template of each kind, as the platform lists them.
pub fn list() -> Value {
    let body = |text: &str| json!({ "type": "BODY", "text": text });
    let entry = |name: &str, language: &str, components: Value| {
        json!({ "name": name, "language": language, "status": "APPROVED", "category": "UTILITY",
            "components": components, "id": format!("59{:04}", name.len() * 7 + language.len()) })
    };
    let is = |mut entry: Value, member: &str, value: &str| {
        entry[member] = value.into();
        entry
    };
    let one = |name: &str| entry(name, "pt_BR", json!([body("Olá.")]));
    let header = |format: &str| json!({ "type": "HEADER", "format": format });
    let buttons = |buttons: Value| json!({ "type": "BUTTONS", "buttons": buttons });
    json!({ "data": [
        is(entry("order_ready", "pt_BR", json!([
            body("Olá {{1}}, seu pedido {{2}} está pronto."),
            { "type": "FOOTER", "text": "Loja Centro" },
            buttons(json!([
                { "type": "URL", "text": "Ver", "url": "https://loja.example/{{1}}" },
                { "type": "QUICK_REPLY", "text": "Parar" },
                { "type": "COPY_CODE", "text": "Copiar" } ])) ])), "parameter_format", "POSITIONAL"),
        is(entry("receipt", "es_MX", json!([header("DOCUMENT"), body("Total: {{total}} del {{day}}.")])),
            "parameter_format", "NAMED"),
        is(entry("greeting", "pt_BR", json!([
            { "type": "HEADER", "format": "TEXT", "text": "Oi {{name}}" }, body("Tudo bem?") ])),
            "parameter_format", "NAMED"),
        entry("node_alarm", "pt_BR", json!([
            { "type": "HEADER", "format": "TEXT", "text": "Alarme {{1}}" }, body("Verifique o equipamento.") ])),
        entry("place", "pt_BR", json!([header("LOCATION"), body("Aqui.")])),
        entry("picture", "pt_BR", json!([header("IMAGE"), body("Veja.")])),
        entry("film", "pt_BR", json!([header("VIDEO"), body("Veja.")])),
        entry("call", "pt_BR", json!([body("Ligue."), buttons(json!([
            { "type": "PHONE_NUMBER", "text": "Ligar", "phone_number": "+551133334444" },
            { "type": "URL", "text": "Site", "url": "https://loja.example" } ])) ])),
        entry("survey", "pt_BR", json!([body("Responda."), buttons(json!([{ "type": "FLOW", "text": "Abrir" }])) ])),
        entry("shelf", "pt_BR", json!([body("Compre."), buttons(json!([{ "type": "CATALOG", "text": "Abrir" }])) ])),
        is(entry("login", "pt_BR", json!([body("{{1}} é seu código."), buttons(json!([
            { "type": "OTP", "otp_type": "COPY_CODE", "text": "Copiar" }])) ])), "category", "AUTHENTICATION"),
        is(one("offer"), "category", "MARKETING"),
        is(one("paused"), "status", "PAUSED"),
        is(one("gone"), "status", "DISABLED"),
        is(one("new"), "status", "PENDING"),
        is(one("redone"), "status", "REJECTED"),
        one("redone"),
        entry("cards", "pt_BR", json!([body("Veja."), { "type": "CAROUSEL", "cards": [] }])),
    ]})
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

fn button(sub_type: &str, index: &str, parameter: Value) -> Value {
    json!({ "type": "button", "sub_type": sub_type, "index": index, "parameters": [parameter] })
}

fn header(parameter: Value) -> Value {
    json!([{ "type": "header", "parameters": [parameter] }])
}

fn media(kind: &str, object: Value) -> Value {
    let mut parameter = json!({ "type": kind });
    parameter[kind] = object;
    parameter
}

fn named(name: &str, value: &str) -> Value {
    json!({ "type": "text", "parameter_name": name, "text": value })
}

fn receipt(header: Value, body: Value) -> Value {
    let components = json!([{ "type": "header", "parameters": header }, { "type": "body", "parameters": body }]);
    template("receipt", "es_MX", components)
}

/// What is right of each kind, and what the person reads.
#[tokio::test]
async fn fills_in() {
    let world = unpaced(Some(list())).await;
    let place = json!({ "latitude": "-23.5", "longitude": -46.6, "name": "Loja", "address": "Rua A" });
    let document = json!({ "link": "https://loja.example/42.pdf", "filename": "42.pdf" });
    let money = media("currency", json!({ "fallback_value": "R$ 5", "code": "BRL", "amount_1000": 5000 }));
    let date = media("date_time", json!({ "fallback_value": "hoje" }));
    let action = |object: Value| json!({ "type": "action", "action": object });
    let survey = |object: Value| template("survey", "pt_BR", json!([button("flow", "0", action(object))]));
    let shelf = action(json!({ "thumbnail_product_retailer_id": "2lc20305pt" }));
    let mixed = with(
        with(order(ANA), "/template/components/0/parameters/0", date),
        "/template/components/0/parameters/1",
        money,
    );
    let code = json!([
        { "type": "body", "parameters": [text("123456")] }, button("url", "0", text("123456")) ]);
    let policy = with(template("redone", "pt_BR", json!([])), "/template/language/policy", "deterministic".into());
    let rows = vec![
        (
            "Olá Ana, seu pedido 42 está pronto.\nLoja Centro\n[Ver: https://loja.example/42]\n[Parar]\n[Copiar: A42]",
            order(ANA),
        ),
        (
            "Olá hoje, seu pedido R$ 5 está pronto.\nLoja Centro\n[Ver: https://loja.example/42]\n[Parar]\n[Copiar: A42]",
            mixed,
        ),
        (
            "[document: https://loja.example/42.pdf 42.pdf]\nTotal: $5 del lunes.",
            receipt(json!([media("document", document)]), json!([named("day", "lunes"), named("total", "$5")])),
        ),
        ("Oi Ana\nTudo bem?", template("greeting", "pt_BR", header(named("name", "Ana")))),
        ("Alarme n7\nVerifique o equipamento.", template("node_alarm", "pt_BR", header(text("n7")))),
        ("[location: -23.5, -46.6 Loja Rua A]\nAqui.", template("place", "pt_BR", header(media("location", place)))),
        ("[image: 1]\nVeja.", template("picture", "pt_BR", header(media("image", json!({ "id": "1" }))))),
        ("[video: 1]\nVeja.", template("film", "pt_BR", header(media("video", json!({ "id": "1" }))))),
        ("Ligue.\n[Ligar]\n[Site: https://loja.example]", template("call", "pt_BR", json!([]))),
        ("Responda.\n[Abrir]", survey(json!({ "flow_token": "t", "flow_action_data": { "a": 1 } }))),
        ("Responda.\n[Abrir]", survey(json!({}))),
        ("Compre.\n[Abrir]", template("shelf", "pt_BR", json!([button("catalog", "0", shelf)]))),
        ("Compre.\n[Abrir]", without(template("shelf", "pt_BR", json!([])), "/template/components")),
        ("123456 é seu código.\n[Copiar: 123456]", template("login", "pt_BR", code)),
        ("Olá.", template("offer", "pt_BR", json!([]))),
        // The approved one of two.
        ("Olá.", policy),
    ];
    assert_read(&world, rows).await;
}

#[tokio::test]
async fn refuses_what_the_list_does_not_allow() {
    let world = unpaced(Some(list())).await;
    let body = "/template/components/0/parameters";
    let plain = |value: Value| with(order(ANA), &format!("{body}/0"), value);
    let document = || json!([media("document", json!({ "id": "1" }))]);
    let image = media("image", json!({ "id": "1" }));
    let (total, day) = (named("total", "x"), named("day", "x"));
    let both = || json!([total, day]);
    let three = json!([text("a"), text("b"), text("c")]);
    let order_with = |place: usize, value: Value| with(order(ANA), &format!("/template/components/{place}"), value);
    let reply = json!({ "type": "payload", "payload": "x" });
    let code = |body: &str, button: &str| {
        let pressed = json!({ "type": "button", "sub_type": "url", "index": "0", "parameters": [text(button)] });
        template("login", "pt_BR", json!([{ "type": "body", "parameters": [text(body)] }, pressed]))
    };
    let bare = |name: &str| template(name, "pt_BR", json!([]));
    let site = template("call", "pt_BR", json!([button("url", "1", text("x"))]));
    let phone = template("call", "pt_BR", json!([button("url", "0", text("x"))]));
    let rows: Vec<Row> = vec![
        ("unknown template", 132001, "template name (nothing) does not exist in pt_BR", bare("nothing")),
        (
            "unknown language",
            132001,
            "does not exist in en_US",
            with(order(ANA), "/template/language/code", "en_US".into()),
        ),
        ("pending", 132001, "is PENDING, not approved", bare("new")),
        ("paused", 132015, "template paused is paused", bare("paused")),
        ("disabled", 132016, "template gone is disabled", bare("gone")),
        ("a carousel", 132012, "cannot fill in a component of the type CAROUSEL", bare("cards")),
        (
            "one parameter short",
            132000,
            "params (1) does not match the expected number of params (2)",
            with(order(ANA), body, json!([text("Ana")])),
        ),
        ("one too many", 132000, "params (3)", with(order(ANA), body, three)),
        ("none at all", 132000, "body: number of localizable_params (0)", bare("order_ready")),
        (
            "a header where none is",
            132000,
            "header: number of localizable_params (2)",
            with(order(ANA), "/template/components/0/type", "header".into()),
        ),
        ("header short", 132000, "header: number of localizable_params (0)", bare("node_alarm")),
        (
            "named for positional",
            132012,
            "no named parameters",
            with(order(ANA), body, json!([named("a", "x"), named("b", "x")])),
        ),
        ("mixed", 132012, "named and positional parameters are mixed", plain(named("name", "x"))),
        (
            "positional for named",
            132012,
            "parameter_name is missing or unknown",
            receipt(document(), json!([text("a"), text("b")])),
        ),
        (
            "unknown name",
            132012,
            "parameter_name is missing or unknown",
            receipt(document(), json!([named("totals", "x"), day])),
        ),
        ("a name twice", 132012, "one parameter twice", receipt(document(), json!([total, total]))),
        ("a picture in the body", 132012, "body: image is not allowed here", plain(image.clone())),
        (
            "money in the header",
            132012,
            "header: currency is not allowed",
            template(
                "node_alarm",
                "pt_BR",
                header(media("currency", json!({ "fallback_value": "x", "code": "BRL", "amount_1000": 1 }))),
            ),
        ),
        ("image for document", 132012, "header: expected DOCUMENT, got image", receipt(json!([image]), both())),
        ("text for image", 132012, "header: expected IMAGE, got text", template("picture", "pt_BR", header(text("x")))),
        ("no header", 132012, "header: expected one DOCUMENT", receipt(json!([]), both())),
        (
            "two headers",
            132012,
            "header: expected one DOCUMENT",
            receipt(json!([document()[0], document()[0]]), both()),
        ),
        ("body over 1024", 132005, "body: 1", plain(text(&"é".repeat(1000)))),
        (
            "header over 60",
            132005,
            "header: 61 characters when filled in, at most 60",
            template("node_alarm", "pt_BR", header(text(&"x".repeat(54)))),
        ),
        (
            "URL over 2000",
            132005,
            "url: 2021 characters",
            with(order(ANA), "/template/components/1/parameters/0/text", "x".repeat(2000).into()),
        ),
        (
            "no such button",
            132012,
            "button 3: the template has no copy_code there",
            with(order(ANA), "/template/components/3/index", "3".into()),
        ),
        (
            "another kind of button",
            132012,
            "button 2: the template has no quick_reply",
            order_with(3, button("quick_reply", "2", reply)),
        ),
        ("a phone button", 132012, "button 0: the template has no url", phone),
        (
            "URL without a parameter",
            131008,
            "button at index 0 requires a parameter",
            template("order_ready", "pt_BR", json!([{ "type": "body", "parameters": [text("a"), text("b")] }])),
        ),
        ("URL that takes none", 132000, "button at index 1 takes no parameter", site),
        (
            "white space in a URL",
            132012,
            "white space in a URL",
            with(order(ANA), "/template/components/1/parameters/0/text", "4 2".into()),
        ),
        ("Flow without its button", 131008, "button at index 0 requires", bare("survey")),
        (
            "password without its button",
            131008,
            "button at index 0 requires",
            template("login", "pt_BR", json!([{ "type": "body", "parameters": [text("1")] }])),
        ),
        ("two passwords", 132012, "not the code that the body has", code("123456", "654321")),
        ("password of 16", 132005, "body: 16 characters", code(&"1".repeat(16), &"1".repeat(16))),
    ];
    assert_refused(&world, rows).await;
    // At the limits themselves it is taken: 1,024 and 60 characters, 15 of a password.
    let fits = 1024 - "Olá , seu pedido 42 está pronto.".chars().count();
    for body in [
        plain(text(&"é".repeat(fits))),
        template("node_alarm", "pt_BR", header(text(&"x".repeat(53)))),
        code(&"1".repeat(15), &"1".repeat(15)),
    ] {
        assert_eq!(world.answer(&body).await.0, 200, "{body}");
    }
    assert_eq!(world.answer(&plain(text(&"é".repeat(fits + 1)))).await.1, 132005);
}

/// Rules of the form: they hold without a list too.
#[tokio::test]
async fn refuses_what_no_template_could_have() {
    let world = unpaced(None).await;
    let first = |value: Value| with(order(ANA), "/template/components/0/parameters/0", value);
    let set = |pointer: &str, value: Value| with(order(ANA), &format!("/template{pointer}"), value);
    let code = |code: &str| set("/components/3/parameters/0/coupon_code", code.into());
    let money = |object: Value| first(media("currency", object));
    let action = |sub_type: &str, object: Value| {
        set("/components/1", button(sub_type, "0", json!({ "type": "action", "action": object })))
    };
    let place = json!({ "latitude": 1, "longitude": 1, "name": "Loja" });
    let rows: Vec<Row> = vec![
        ("no name", 131008, "template.name is required", without(order(ANA), "/template/name")),
        ("name in capitals", 131009, "name may have a-z", set("/name", "Order".into())),
        ("name of 513", 100, "at most 512", set("/name", "x".repeat(513).into())),
        ("no language", 131008, "template.language is required", without(order(ANA), "/template/language")),
        ("no code", 131008, "language.code is required", set("/language", json!({}))),
        ("no language at all", 131009, "must be a language like", set("/language/code", "banana".into())),
        ("a country in small letters", 131009, "must be a language like", set("/language/code", "pt_br".into())),
        ("policy", 131009, "policy must be one of deterministic", set("/language/policy", "fallback".into())),
        ("namespace", 100, "unexpected key \"namespace\"", set("/namespace", "x".into())),
        ("components", 131009, "components must be an array", set("/components", json!({}))),
        (
            "a carousel",
            131009,
            "type must be one of header, body, button",
            set("/components/0/type", "carousel".into()),
        ),
        ("two bodies", 100, "a second body", set("/components/1", json!({ "type": "body", "parameters": [] }))),
        ("index of a body", 100, "sub_type and index belong to buttons", set("/components/0/index", "0".into())),
        ("no parameters", 131008, "parameters is required", without(order(ANA), "/template/components/0/parameters")),
        ("a kind that is none", 132012, "type is unknown or missing", first(json!({ "type": "html" }))),
        ("number as text", 131009, "text must be a string", first(json!({ "type": "text", "text": 42 }))),
        ("empty", 131008, "text is empty", first(text(""))),
        ("newline", 132018, "no new-line/tab", first(text("a\nb"))),
        ("carriage return", 132018, "no new-line/tab", first(text("a\rb"))),
        ("line separator", 132018, "no new-line/tab", first(text("a\u{2028}b"))),
        ("tab", 132018, "no new-line/tab", first(text("a\tb"))),
        ("five spaces", 132018, "more than 4 consecutive spaces", first(text("a     b"))),
        ("five, one of them wide", 132018, "more than 4 consecutive", first(text("a  \u{a0}  b"))),
        (
            "newline in a name of money",
            132018,
            "no new-line/tab",
            money(json!({ "fallback_value": "a\nb", "code": "BRL", "amount_1000": 1 })),
        ),
        ("32,769", 100, "at most 32768", first(text(&"x".repeat(32_769)))),
        (
            "parameter name",
            131009,
            "parameter_name may have",
            with(order(ANA), "/template/components/0/parameters", json!([named("Total", "x")])),
        ),
        ("mixed", 132012, "mixed", first(named("a", "x"))),
        ("no fallback", 131008, "fallback_value is required", money(json!({ "code": "BRL", "amount_1000": 1 }))),
        ("currency", 131009, "three capitals", money(json!({ "fallback_value": "x", "code": "R$", "amount_1000": 1 }))),
        (
            "amount",
            131009,
            "amount_1000 must be a whole number",
            money(json!({ "fallback_value": "x", "code": "BRL", "amount_1000": "1" })),
        ),
        ("date", 131008, "fallback_value is required", first(media("date_time", json!({})))),
        (
            "date with parts",
            100,
            "unexpected key \"day_of_month\"",
            first(media("date_time", json!({ "fallback_value": "x", "day_of_month": 1 }))),
        ),
        (
            "place without an address",
            131008,
            "address is required",
            template("place", "pt_BR", header(media("location", place))),
        ),
        (
            "media from nowhere",
            131008,
            "either id or link",
            template("picture", "pt_BR", header(media("image", json!({})))),
        ),
        (
            "media with a caption",
            100,
            "unexpected key \"caption\"",
            template("picture", "pt_BR", header(media("image", json!({ "id": "1", "caption": "x" })))),
        ),
        ("index as a number", 131009, "index must be one of 0", set("/components/1/index", 0.into())),
        ("index 10", 131009, "index must be one of 0", set("/components/1/index", "10".into())),
        ("index twice", 100, "a second button 0", set("/components/2/index", "0".into())),
        ("no index", 131008, "index is required", without(order(ANA), "/template/components/1/index")),
        (
            "unknown button",
            131009,
            "sub_type must be one of quick_reply",
            set("/components/1/sub_type", "phone".into()),
        ),
        ("no parameter", 132000, "a button takes one parameter", set("/components/1/parameters", json!([]))),
        (
            "two parameters",
            132000,
            "a button takes one parameter",
            set("/components/1/parameters", json!([text("a"), text("b")])),
        ),
        (
            "payload for a URL",
            132012,
            "url takes one text",
            set("/components/1/parameters/0", json!({ "type": "payload", "payload": "x" })),
        ),
        ("payload 257", 100, "at most 256", set("/components/2/parameters/0/payload", "x".repeat(257).into())),
        ("code 21", 100, "at most 20", code(&"A".repeat(21))),
        ("code with a dash", 131009, "letters and digits only", code("A-1")),
        ("code with an accent", 131009, "letters and digits only", code("Á1")),
        ("Flow data", 131009, "something in it", action("flow", json!({ "flow_action_data": {} }))),
        ("Flow with more", 100, "unexpected key \"flow_id\"", action("flow", json!({ "flow_id": "1" }))),
        (
            "catalogue without a product",
            131008,
            "thumbnail_product_retailer_id is required",
            action("catalog", json!({})),
        ),
    ];
    assert_refused(&world, rows).await;
    for body in [order(ANA), code(&"A".repeat(20)), first(text("a    b")), template("any", "pt_BR", json!([]))] {
        assert_eq!(world.answer(&body).await.0, 200, "{body}");
    }
}

/// A list says at the start what is wrong with it.
#[tokio::test]
async fn a_list_is_the_platforms_or_refused() {
    let entry = |member: &str, value: Value| {
        let mut entry = list()["data"][0].clone();
        entry[member] = value;
        json!([entry])
    };
    let rows = [
        ("no list", json!({ "templates": [] }), "neither data nor array"),
        ("no name", entry("name", Value::Null), "number 1 (without a name): it lacks \"name\""),
        ("no status", entry("status", Value::Null), "number 1 (order_ready): it lacks \"status\""),
        ("category", entry("category", "SERVICE".into()), "its category is SERVICE"),
        ("components", entry("components", Value::Null), "no array \"components\""),
        ("no body", entry("components", json!([])), "it has no BODY"),
        (
            "a gap",
            entry("components", json!([{ "type": "BODY", "text": "{{1}} a {{3}} b" }])),
            "parameter_format POSITIONAL",
        ),
        (
            "names",
            entry("components", json!([{ "type": "BODY", "text": "{{name}} a" }])),
            "parameter_format POSITIONAL",
        ),
        ("numbers", entry("parameter_format", "NAMED".into()), "parameter_format NAMED"),
    ];
    for (what, list, wanted) in rows {
        let settings = Settings { templates: Some(list), ..Settings::default() };
        let error = Api::start(settings).await.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(wanted), "{what}: {error}");
    }
}

/// Statuses change while it runs: facts 2.5.
#[tokio::test]
async fn a_template_is_paused_and_comes_back() {
    let world = unpaced(Some(list())).await;
    let control = world.control();
    for (status, code) in [("PAUSED", 132015), ("APPROVED", 0), ("DISABLED", 132016), ("REJECTED", 132001)] {
        assert_eq!(control.set_template_status("order_ready", Some("pt_BR"), status), 1);
        assert_eq!(world.answer(&order(ANA)).await.1, code, "{status}");
    }
    assert_eq!(control.set_template_status("redone", None, "PAUSED"), 2);
    assert_eq!(control.set_template_status("redone", Some("es_MX"), "PAUSED"), 0);
}
