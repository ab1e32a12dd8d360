//! Whole payloads but templates and interactive ones: what is taken of each kind, and a row for each rule of facts 1.1, 1.2, 1.6
//! and 1.7.

use crate::kit::*;
use crate::templates::{list, order};
use branchline::demo::api::{Answer, MarketingBy, Settings};
use serde_json::{Value, json};

#[tokio::test]
async fn accepts_in_the_documented_shape() {
    for http2 in [true, false] {
        let world = world(http2, Settings { templates: Some(list()), ..Settings::default() }).await;
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
        assert_eq!((seen.person.as_str(), seen.category.as_deref()), ("553187654321", Some("UTILITY")));
        assert_eq!(seen.path, "/v25.0/106540352242922/messages");
        let debug = format!("{seen:?} {:?}", world.control());
        assert!(!debug.contains("98765") && !debug.contains("Ana") && !debug.contains(wamid), "{debug}");
    }
}

#[tokio::test]
async fn envelope() {
    let world = unpaced(Some(list())).await;
    world.control().open_window(ANA);
    let inbound = world.control().wrote(ANA);
    let whole = json!({
        "messaging_product": "whatsapp", "recipient_type": "individual", "to": ANA, "type": "text",
        "text": { "body": "Bom dia", "preview_url": true }, "context": { "message_id": inbound },
        "biz_opaque_callback_data": "é".repeat(512), "messaging_account_id": "1234567890",
        "recipient_identity_key_hash": "DF2lS5v2W6x=",
    });
    assert_read(&world, vec![("Bom dia", whole.clone()), ("Bom dia", words("Bom dia"))]).await;
    let set = |pointer: &str, value: Value| with(whole.clone(), pointer, value);
    let to = |number: &str| order(number);
    let rows: Vec<Row> = vec![
        ("no product", 131008, "messaging_product is required", without(whole.clone(), "/messaging_product")),
        ("other product", 131009, "messaging_product must be one of whatsapp", set("/messaging_product", "sms".into())),
        ("a group", 131009, "recipient_type must be one of individual", set("/recipient_type", "group".into())),
        ("unknown member", 100, "unexpected key \"priority\" in request", set("/priority", "high".into())),
        ("Direct Send", 100, "unexpected key \"ttl_seconds\"", set("/ttl_seconds", 60.into())),
        ("not an object", 131009, "request must be an object", json!([])),
        ("no recipient", 131008, "request.to is required", without(whole.clone(), "/to")),
        ("a number as a number", 131009, "to must be a string", set("/to", 5511987654321_i64.into())),
        ("no plus", 131009, "must begin with +", to("5511987654321")),
        ("letters in the number", 131009, "is not a phone number", to("+5511abc87654")),
        ("two plus", 131009, "is not a phone number", to("++5511987654321")),
        ("too short", 131009, "7 to 15 digits", to("+55119")),
        ("too long", 131009, "7 to 15 digits", to("+5511987654321999")),
        ("country code 0", 131009, "7 to 15 digits", to("+0511987654321")),
        ("to the sender", 131021, "sender's own number", to("+5511900000000")),
        ("no type", 131008, "request.type is required", without(whole.clone(), "/type")),
        (
            "unknown type with its object",
            131051,
            "type is not supported",
            with(set("/type", "poll".into()), "/poll", json!({ "name": "Oi" })),
        ),
        ("unknown type", 131051, "type is not supported", without(set("/type", "poll".into()), "/text")),
        ("object of another type", 100, "unexpected key \"image\"", set("/image", json!({ "id": "1" }))),
        ("no object of its type", 131008, "request.text is required", without(whole.clone(), "/text")),
        (
            "callback data 513",
            100,
            "has 513 characters, at most 512",
            set("/biz_opaque_callback_data", "x".repeat(513).into()),
        ),
        ("callback data empty", 131008, "is empty", set("/biz_opaque_callback_data", "".into())),
        ("quoted by another id", 131009, "must be the id of a message", set("/context/message_id", "42".into())),
        ("quoted with more", 100, "unexpected key \"from\"", set("/context/from", ANA.into())),
        ("messaging account", 131009, "must be an id", set("/messaging_account_id", "abc".into())),
    ];
    assert_refused(&world, rows).await;
}

#[tokio::test]
async fn user_ids() {
    let world = unpaced(Some(list())).await;
    let to = |id: &str| with(without(order(ANA), "/to"), "/recipient", id.into());
    let (status, _, answer) = world.answer(&to("BR.13491208655302741918")).await;
    assert_eq!(status, 200, "{answer}");
    let contact = json!({ "input": "BR.13491208655302741918", "user_id": "BR.13491208655302741918" });
    assert_eq!(answer["contacts"], json!([contact]));
    // The number wins where both are there.
    let (_, _, answer) = world.answer(&with(to("BR.1"), "/to", ANA.into())).await;
    assert_eq!(answer["contacts"][0]["wa_id"], "5511987654321");
    let code = json!([
        { "type": "body", "parameters": [text("123456")] },
        { "type": "button", "sub_type": "url", "index": "0", "parameters": [text("123456")] },
    ]);
    let password = with(without(template("login", "pt_BR", code), "/to"), "/recipient", "BR.1".into());
    let rows: Vec<Row> = vec![
        ("no country", 131009, "business-scoped user id", to("13491208655302741918")),
        ("small letters", 131009, "business-scoped user id", to("br.1")),
        ("too long", 100, "at most 131", to(&format!("BR.{}", "1".repeat(129)))),
        ("one-time password", 131062, "phone numbers", password),
    ];
    assert_refused(&world, rows).await;
}

#[tokio::test]
async fn text_messages() {
    let world = unpaced(None).await;
    world.control().open_window(ANA);
    let long = "é".repeat(4096);
    assert_read(&world, vec![("a\n\tb", words("a\n\tb")), (&long, words(&long))]).await;
    let rows: Vec<Row> = vec![
        ("4097", 100, "text.body has 4097 characters", words(&"é".repeat(4097))),
        ("empty", 131008, "text.body is empty", words("")),
        ("no body", 131008, "text.body is required", kind("text", json!({}))),
        ("number", 131009, "text.body must be a string", kind("text", json!({ "body": 42 }))),
        ("preview", 131009, "preview_url must be true or false", with(words("x"), "/text/preview_url", "yes".into())),
        ("more", 100, "unexpected key \"footer\" in request.text", with(words("x"), "/text/footer", "x".into())),
        ("a string", 131009, "request.text must be an object", kind("text", "x".into())),
    ];
    assert_refused(&world, rows).await;
}

#[tokio::test]
async fn media() {
    let world = unpaced(None).await;
    world.control().open_window(ANA);
    let link = "https://a.example/b.jpg";
    let accepted = vec![
        ("https://a.example/b.jpg Foto", kind("image", json!({ "link": link, "caption": "Foto" }))),
        ("1013859600285441", kind("image", json!({ "id": "1013859600285441" }))),
        ("https://a.example/b.jpg x", kind("video", json!({ "link": link, "caption": "x" }))),
        ("1", kind("audio", json!({ "id": "1", "voice": true }))),
        ("1 42.pdf Nota", kind("document", json!({ "id": "1", "filename": "42.pdf", "caption": "Nota" }))),
        ("1", kind("sticker", json!({ "id": "1" }))),
    ];
    assert_read(&world, accepted).await;
    let from = |link: &str| kind("image", json!({ "link": link }));
    let id = |name: &str, more: &str, value: Value| {
        let mut object = json!({ "id": "1" });
        object[more] = value;
        kind(name, object)
    };
    let mut rows: Vec<Row> = vec![
        ("neither", 131008, "either id or link", kind("image", json!({}))),
        ("both", 131008, "either id or link", kind("image", json!({ "id": "1", "link": link }))),
        ("id", 131009, "must be an id", kind("image", json!({ "id": "abc" }))),
        ("id as a number", 131009, "must be a string", kind("image", json!({ "id": 1 }))),
        ("http", 131009, "must be a URL that begins with https://", from("http://a.example/b.jpg")),
        ("no scheme", 131009, "must be a URL", from("a.example/b.jpg")),
        ("a space", 131009, "must be a URL", from("https://a.example/b c.jpg")),
        ("too long", 100, "at most 2000", from(&format!("{link}?{}", "x".repeat(2000)))),
        ("caption 1025", 100, "at most 1024", id("image", "caption", "é".repeat(1025).into())),
        ("caption of audio", 100, "unexpected key \"caption\"", id("audio", "caption", "x".into())),
        ("caption of a sticker", 100, "unexpected key \"caption\"", id("sticker", "caption", "x".into())),
        ("filename of an image", 100, "unexpected key \"filename\"", id("image", "filename", "x".into())),
        ("filename with a path", 131009, "a name without a path", id("document", "filename", "a/b.pdf".into())),
        ("voice", 131009, "voice must be true or false", id("audio", "voice", "yes".into())),
        ("voice of a video", 100, "unexpected key \"voice\"", id("video", "voice", true.into())),
    ];
    let private = ["10.0.0.1", "127.0.0.1", "192.168.1.4", "[::1]", "[fd00::1]", "till", "box.local", "x.localhost"];
    rows.extend(private.map(|host| ("private", 131053, "no public address", from(&format!("https://{host}/a.jpg")))));
    assert_refused(&world, rows).await;
}

#[tokio::test]
async fn places() {
    let world = unpaced(None).await;
    world.control().open_window(ANA);
    let place = json!({ "latitude": "-23.5", "longitude": -46.6, "name": "Loja", "address": "Rua A" });
    let at =
        |latitude: Value, longitude: Value| kind("location", json!({ "latitude": latitude, "longitude": longitude }));
    let accepted =
        vec![("-23.5, -46.6 Loja Rua A", kind("location", place.clone())), ("-90, 180", at("-90".into(), 180.into()))];
    assert_read(&world, accepted).await;
    let rows: Vec<Row> = vec![
        ("no longitude", 131008, "longitude is required", kind("location", json!({ "latitude": 1 }))),
        ("beyond the pole", 131009, "latitude must be degrees from -90 to 90", at(91.into(), 0.into())),
        ("beyond the date line", 131009, "longitude must be degrees from -180", at(0.into(), "181".into())),
        ("words", 131009, "latitude must be degrees", at("north".into(), 0.into())),
        ("no number", 131009, "latitude must be degrees", at("nan".into(), 0.into())),
        ("more", 100, "unexpected key \"url\"", with(kind("location", place), "/location/url", "x".into())),
    ];
    assert_refused(&world, rows).await;
}

#[tokio::test]
async fn contacts() {
    let world = unpaced(None).await;
    world.control().open_window(ANA);
    let whole = json!({
        "addresses": [{ "street": "1 Rua", "city": "SP", "state": "SP", "zip": "01000", "country": "Brasil",
            "country_code": "BR", "type": "Home" }],
        "birthday": "1999-01-23",
        "emails": [{ "email": "ana@loja.example", "type": "Work" }],
        "name": { "formatted_name": "Ana Lima", "first_name": "Ana", "last_name": "Lima", "prefix": "Dra." },
        "org": { "company": "Loja", "department": "Caixa", "title": "Gerente" },
        "phones": [{ "phone": "+55 11 98765-4321", "type": "Cell", "wa_id": "5511987654321" }],
        "urls": [{ "url": "https://loja.example", "type": "Company" }],
    });
    let bare = json!({ "name": { "formatted_name": "Luis" } });
    let many = vec![bare.clone(); 257];
    let names = vec!["Luis"; 257].join(", ");
    let accepted = vec![
        ("Ana Lima, Luis", kind("contacts", json!([whole, bare]))),
        (names.as_str(), kind("contacts", many.clone().into())),
    ];
    assert_read(&world, accepted).await;
    let one = |pointer: &str, value: Value| kind("contacts", json!([with(whole.clone(), pointer, value)]));
    let rows: Vec<Row> = vec![
        ("none", 131009, "must have 1 to 257 items, and has 0", kind("contacts", json!([]))),
        ("258", 131009, "and has 258", kind("contacts", [many, vec![bare]].concat().into())),
        ("no array", 131009, "contacts must be an array", kind("contacts", whole.clone())),
        ("no name", 131008, "contacts[0].name is required", kind("contacts", json!([without(whole.clone(), "/name")]))),
        ("no formatted name", 131008, "formatted_name is required", one("/name", json!({ "first_name": "Ana" }))),
        ("unknown member", 100, "unexpected key \"nick\"", one("/nick", "A".into())),
        ("unknown part", 100, "unexpected key \"nick\" in request.contacts[0].name", one("/name/nick", "A".into())),
        ("birthday", 131009, "birthday must be a date", one("/birthday", "23-01-1999".into())),
        ("no such day", 131009, "birthday must be a date", one("/birthday", "1999-02-30".into())),
        ("e-mail", 131009, "must be an e-mail address", one("/emails/0/email", "ana".into())),
        ("no e-mail", 131008, "email is required", one("/emails", json!([{ "type": "Work" }]))),
        ("country", 131009, "must be two letters", one("/addresses/0/country_code", "B1".into())),
        ("wa_id", 131009, "must be an id", one("/phones/0/wa_id", "+5511".into())),
        ("phones", 131009, "phones must be an array", one("/phones", json!({}))),
    ];
    assert_refused(&world, rows).await;
}

#[tokio::test]
async fn reactions() {
    let world = unpaced(None).await;
    let message = world.control().wrote(ANA);
    let react = |emoji: &str| kind("reaction", json!({ "message_id": message, "emoji": emoji }));
    let accepted =
        vec![("😀", react("😀")), ("👩‍👩‍👧‍👦", react("👩‍👩‍👧‍👦")), ("🇧🇷", react("🇧🇷")), ("❤️", react("❤️")), ("", react(""))];
    assert_read(&world, accepted).await;
    let rows: Vec<Row> = vec![
        ("words", 131009, "must be an emoji", react("ok")),
        ("a space", 131009, "must be an emoji", react("😀 ")),
        ("null", 131009, "emoji must be a string", with(react(""), "/reaction/emoji", Value::Null)),
        ("no emoji", 131008, "emoji is required", without(react(""), "/reaction/emoji")),
        ("to nothing", 131008, "message_id is required", without(react("😀"), "/reaction/message_id")),
        ("another id", 131009, "must be the id of a message", with(react("😀"), "/reaction/message_id", "1".into())),
        ("unknown message", 131009, "unknown or older", with(react("😀"), "/reaction/message_id", "wamid.x".into())),
        ("somebody else's", 131047, "24 hours", with(react("😀"), "/to", LUIS.into())),
        (
            "quoting",
            100,
            "does not go with a reaction",
            with(react("😀"), "/context", json!({ "message_id": message })),
        ),
    ];
    assert_refused(&world, rows).await;
}

/// Facts 1.6: no message, so that no limit counts it and no list holds it.
#[tokio::test]
async fn marks_as_read() {
    let world = unpaced(None).await;
    let control = world.control();
    let message = control.wrote(ANA);
    let read = json!({ "messaging_product": "whatsapp", "status": "read", "message_id": message });
    let typing = with(read.clone(), "/typing_indicator", json!({ "type": "text" }));
    for body in [&read, &typing] {
        let (status, _, answer) = world.answer(body).await;
        assert_eq!((status, answer), (200, json!({ "success": true })));
    }
    let rows = [
        ("unknown message", 131009, "no message that came", with(read.clone(), "/message_id", "wamid.x".into())),
        ("another status", 131009, "status must be one of read", with(read.clone(), "/status", "delivered".into())),
        (
            "another indicator",
            131009,
            "type must be one of text",
            with(typing, "/typing_indicator/type", "voice".into()),
        ),
        ("a recipient", 100, "unexpected key \"to\"", with(read.clone(), "/to", ANA.into())),
        ("no product", 131008, "messaging_product", without(read.clone(), "/messaging_product")),
    ];
    for (what, code, details, body) in rows {
        let (status, got, answer) = world.answer(&body).await;
        assert_eq!((status, got), (400, code), "{what}");
        assert_error(what, code, details, &answer);
    }
    control.skip(std::time::Duration::from_secs(31 * 86_400));
    assert_eq!(world.answer(&read).await.1, 131009, "31 days later");
    assert!(control.seen().is_empty());
}

/// Facts 1.7.
#[tokio::test]
async fn marketing_messages() {
    let world = unpaced(Some(list())).await;
    let url = format!("{}/v25.0/106540352242922/marketing_messages", world.api.url());
    let offer = |to: &str| with(template("offer", "pt_BR", json!([])), "/to", to.into());
    let whole = with(with(offer(ANA), "/product_policy", "STRICT".into()), "/message_activity_sharing", true.into());
    let post = async |body: &Value| read(world.post_to(&url, body).await.unwrap()).await;
    let (status, _, answer) = post(&whole).await;
    assert_eq!(status, 200, "{answer}");
    let rows = [
        ("a text", 134100, "only marketing templates", words("x")),
        ("a utility template", 134100, "category is not MARKETING", order(ANA)),
        ("policy", 131009, "product_policy must be one of", with(whole.clone(), "/product_policy", "LAX".into())),
        ("sharing", 131009, "true or false", with(whole.clone(), "/message_activity_sharing", 1.into())),
        (
            "read",
            134100,
            "only marketing",
            json!({ "messaging_product": "whatsapp", "status": "read", "message_id": "wamid.x" }),
        ),
    ];
    for (what, code, details, body) in rows {
        let (status, got, answer) = post(&body).await;
        assert_eq!((status, got), (400, code), "{what}: {answer}");
        assert_error(what, code, details, &answer);
    }
    // The other endpoint does not know these members.
    assert_eq!(world.answer(&whole).await.1, 100);
    assert_eq!(world.answer(&offer(LUIS)).await.0, 200);
    world.control().change_account(|account| account.marketing_by = MarketingBy::MarketingMessages);
    assert_eq!(world.answer(&offer("+525512345679")).await.1, 131063);
    assert_eq!(world.answer(&order("+525512345679")).await.0, 200);
    world.control().change_account(|account| account.marketing_by = MarketingBy::Messages);
    assert_eq!(post(&offer("+525512345679")).await.1, 131055);
}
