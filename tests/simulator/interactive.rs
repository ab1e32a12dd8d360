//! Interactive messages: what is taken of each kind, and a row for each rule of facts 1.3.

use crate::kit::*;
use serde_json::{Value, json};

fn button(id: &str, title: &str) -> Value {
    json!({ "type": "reply", "reply": { "id": id, "title": title } })
}

fn row(id: usize) -> Value {
    json!({ "id": format!("r{id}"), "title": "t".repeat(24), "description": "d".repeat(72) })
}

fn interactive(sort: &str, action: Value) -> Value {
    kind("interactive", json!({ "type": sort, "body": { "text": "Tudo certo?" }, "action": action }))
}

#[tokio::test]
async fn buttons_and_links() {
    let world = unpaced(None).await;
    world.control().open_window(ANA);
    let buttons = |buttons: Value| interactive("button", json!({ "buttons": buttons }));
    let three = buttons(json!([button("y", "Sim"), button("n", "Não"), button(&"x".repeat(256), &"é".repeat(20))]));
    let set = |pointer: &str, value: Value| with(three.clone(), &format!("/interactive{pointer}"), value);
    let header = |object: Value| set("/header", object);
    let link = interactive(
        "cta_url",
        json!({ "name": "cta_url", "parameters": { "display_text": "é".repeat(20), "url": "https://loja.example/?a=1" } }),
    );
    let set_link = |pointer: &str, value: Value| with(link.clone(), &format!("/interactive/action{pointer}"), value);
    let place = interactive("location_request_message", json!({ "name": "send_location" }));
    let long = "é".repeat(1024);
    let accepted = vec![
        ("Tudo certo?", three.clone()),
        ("Tudo certo?", header(json!({ "type": "text", "text": "é".repeat(60) }))),
        ("Tudo certo?", header(json!({ "type": "image", "image": { "id": "1" } }))),
        ("Tudo certo?", header(json!({ "type": "document", "document": { "id": "1", "filename": "a.pdf" } }))),
        ("Tudo certo?", set("/footer", json!({ "text": "é".repeat(60) }))),
        (long.as_str(), set("/body/text", long.clone().into())),
        ("Tudo certo?", link.clone()),
        ("Tudo certo?", with(link.clone(), "/interactive/header", json!({ "type": "video", "video": { "id": "1" } }))),
        ("Tudo certo?", place.clone()),
    ];
    assert_read(&world, accepted).await;
    let rows: Vec<Row> = vec![
        ("another type", 131009, "interactive.type must be one of", set("/type", "product".into())),
        ("no body", 131008, "interactive.body is required", without(three.clone(), "/interactive/body")),
        ("body 1025", 100, "at most 1024", set("/body/text", "é".repeat(1025).into())),
        ("footer 61", 100, "at most 60", set("/footer", json!({ "text": "é".repeat(61) }))),
        ("header 61", 100, "at most 60", header(json!({ "type": "text", "text": "é".repeat(61) }))),
        ("header of audio", 131009, "header.type must be one of", header(json!({ "type": "audio" }))),
        (
            "two headers",
            100,
            "unexpected key \"image\"",
            header(json!({ "type": "text", "text": "x", "image": { "id": "1" } })),
        ),
        (
            "header with a caption",
            100,
            "unexpected key \"caption\"",
            header(json!({ "type": "image", "image": { "id": "1", "caption": "x" } })),
        ),
        ("no buttons", 131009, "must have 1 to 3 items, and has 0", buttons(json!([]))),
        (
            "four",
            131009,
            "and has 4",
            buttons(json!([button("1", "1"), button("2", "2"), button("3", "3"), button("4", "4")])),
        ),
        ("title 21", 100, "at most 20", buttons(json!([button("1", &"é".repeat(21))]))),
        ("no title", 131008, "title is empty", buttons(json!([button("1", "")]))),
        ("id 257", 100, "at most 256", buttons(json!([button(&"x".repeat(257), "1")]))),
        ("title twice", 131009, "title must be unique", buttons(json!([button("1", "x"), button("2", "x")]))),
        ("id twice", 131009, "id must be unique", buttons(json!([button("1", "x"), button("1", "y")]))),
        ("a URL button", 131009, "type must be one of reply", set("/action/buttons/0/type", "url".into())),
        ("label 21", 100, "at most 20", set_link("/parameters/display_text", "é".repeat(21).into())),
        ("no URL", 131009, "must be a URL", set_link("/parameters/url", "loja.example".into())),
        ("another name", 131009, "name must be one of cta_url", set_link("/name", "url".into())),
        (
            "place with a header",
            100,
            "unexpected key \"header\"",
            with(place.clone(), "/interactive/header", json!({ "type": "text", "text": "x" })),
        ),
        (
            "place by another name",
            131009,
            "must be one of send_location",
            with(place, "/interactive/action/name", "x".into()),
        ),
    ];
    assert_refused(&world, rows).await;
}

#[tokio::test]
async fn lists() {
    let world = unpaced(None).await;
    world.control().open_window(ANA);
    let list = |sections: Value| interactive("list", json!({ "button": "é".repeat(20), "sections": sections }));
    let rows = |from: usize, to: usize| Value::from((from..to).map(row).collect::<Vec<_>>());
    let two = list(json!([{ "title": "é".repeat(24), "rows": rows(0, 5) }, { "title": "b", "rows": rows(5, 10) }]));
    let set = |pointer: &str, value: Value| with(two.clone(), &format!("/interactive{pointer}"), value);
    let first = "/action/sections/0/rows/0";
    let long = "é".repeat(4096);
    let accepted = vec![
        ("Tudo certo?", two.clone()),
        ("Tudo certo?", list(json!([{ "rows": rows(0, 1) }]))),
        (long.as_str(), set("/body/text", long.clone().into())),
        ("Tudo certo?", set("/header", json!({ "type": "text", "text": "x" }))),
    ];
    assert_read(&world, accepted).await;
    let eleven: Vec<Value> = (0..11).map(|n| json!({ "title": "s", "rows": [row(n)] })).collect();
    let rows: Vec<Row> = vec![
        ("body 4097", 100, "at most 4096", set("/body/text", "é".repeat(4097).into())),
        ("label 21", 100, "at most 20", set("/action/button", "é".repeat(21).into())),
        ("no label", 131008, "action.button is required", without(two.clone(), "/interactive/action/button")),
        ("no sections", 131009, "must have 1 to 10 items", list(json!([]))),
        ("eleven sections", 131009, "and has 11", list(eleven.into())),
        ("no rows", 131009, "must have 1 to 10 items", list(json!([{ "rows": [] }]))),
        (
            "eleven rows",
            131009,
            "1 to 10 rows in total, and have 11",
            list(json!([{ "title": "a", "rows": rows(0, 5) }, { "title": "b", "rows": rows(5, 11) }])),
        ),
        (
            "no section title",
            131008,
            "title is required",
            list(json!([{ "rows": rows(0, 1) }, { "title": "b", "rows": rows(1, 2) }])),
        ),
        ("section title 25", 100, "at most 24", set("/action/sections/0/title", "é".repeat(25).into())),
        ("row id 201", 100, "at most 200", set(&format!("{first}/id"), "x".repeat(201).into())),
        ("row id twice", 131009, "id must be unique", set(&format!("{first}/id"), "r9".into())),
        ("row title 25", 100, "at most 24", set(&format!("{first}/title"), "é".repeat(25).into())),
        ("description 73", 100, "at most 72", set(&format!("{first}/description"), "é".repeat(73).into())),
        (
            "picture above",
            131009,
            "must be text for a list",
            set("/header", json!({ "type": "image", "image": { "id": "1" } })),
        ),
    ];
    assert_refused(&world, rows).await;
}

#[tokio::test]
async fn flows() {
    let world = unpaced(None).await;
    world.control().open_window(ANA);
    let flow = interactive(
        "flow",
        json!({ "name": "flow", "parameters": { "flow_message_version": "3", "flow_id": "1", "flow_cta": "é".repeat(30),
            "mode": "draft", "flow_token": "t", "flow_action": "navigate",
            "flow_action_payload": { "screen": "FIRST", "data": { "a": 1 } } } }),
    );
    let set =
        |member: &str, value: Value| with(flow.clone(), &format!("/interactive/action/parameters/{member}"), value);
    let drop = |body: Value, member: &str| without(body, &format!("/interactive/action/parameters/{member}"));
    let named = drop(set("flow_name", "f".into()), "flow_id");
    let least = interactive(
        "flow",
        json!({ "name": "flow", "parameters": { "flow_message_version": "3", "flow_name": "f", "flow_cta": "Abrir" } }),
    );
    let accepted = vec![("Tudo certo?", flow.clone()), ("Tudo certo?", named), ("Tudo certo?", least)];
    assert_read(&world, accepted).await;
    let rows: Vec<Row> = vec![
        ("version", 131009, "flow_message_version must be one of 3", set("flow_message_version", "4".into())),
        ("version as a number", 131009, "flow_message_version", set("flow_message_version", 3.into())),
        ("both ids", 131008, "either flow_id or flow_name", set("flow_name", "f".into())),
        ("no id", 131008, "either flow_id or flow_name", drop(flow.clone(), "flow_id")),
        ("no label", 131008, "flow_cta is required", drop(flow.clone(), "flow_cta")),
        ("label 31", 100, "at most 30", set("flow_cta", "é".repeat(31).into())),
        ("label with an emoji", 131009, "no emoji", set("flow_cta", "Abrir 🚀".into())),
        ("mode", 131009, "mode must be one of draft, published", set("mode", "live".into())),
        ("action", 131009, "must be one of navigate, data_exchange", set("flow_action", "open".into())),
        (
            "payload of an exchange",
            131009,
            "belongs to flow_action navigate",
            set("flow_action", "data_exchange".into()),
        ),
        ("empty data", 131009, "something in it", set("flow_action_payload/data", json!({}))),
        ("more", 100, "unexpected key \"flow\"", set("flow", 1.into())),
    ];
    assert_refused(&world, rows).await;
}
