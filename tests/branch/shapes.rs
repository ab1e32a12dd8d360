//! Every shape of a template that a rule can make, sent by the built binary to the simulator, which reads the facts for
//! itself: what either has wrong is refused here.

use crate::house::House;
use branchline::demo::api::Settings;
use serde_json::{Value, json};
use std::time::Duration;

const SHAPES: &str = r#"
[rules.written]
inherit = "order"
topic = "shape/written"
[rules.written.message]
template = "written"
header = "{{ payload.title }}"
body = ["{{ payload.text }}", "{{ payload.total | money('BRL') }}"]
buttons = [{ url = "{{ payload.path }}" }, { reply = "stop" }, { copy_code = "{{ payload.code }}" }]

[rules.named]
inherit = "order"
topic = "shape/named"
[rules.named.message]
template = "named"
header = "{{ payload.title }}"
body = { total = "{{ payload.total | money('BRL') }}", text = "{{ payload.text }}" }

[rules.paper]
inherit = "order"
topic = "shape/paper"
[rules.paper.message]
template = "paper"
header = { document = "{{ payload.link }}", filename = "{{ payload.code }}.pdf" }

[rules.sheet]
inherit = "order"
topic = "shape/sheet"
[rules.sheet.message]
template = "paper"
header = { document = "{{ payload.link }}" }

[rules.picture]
inherit = "order"
topic = "shape/picture"
[rules.picture.message]
template = "picture"
header = { image = "{{ payload.link }}" }

[rules.film]
inherit = "order"
topic = "shape/film"
[rules.film.message]
template = "film"
header = { video = "{{ payload.link }}" }

[rules.place]
inherit = "order"
topic = "shape/place"
[rules.place.message]
template = "place"
header = { location = { latitude = "{{ payload.latitude }}", longitude = "-46.6", name = "{{ payload.title }}", address = "Rua A" } }
"#;

fn templates() -> Value {
    let mut list: Value = serde_json::from_str(crate::house::TEMPLATES).unwrap();
    let mut add = |name: &str, format: &str, components: Value| {
        list["data"].as_array_mut().unwrap().push(json!({ "name": name, "language": "pt_BR", "status": "APPROVED",
            "category": "UTILITY", "parameter_format": format, "components": components }));
    };
    let media = |format: &str| json!([{ "type": "HEADER", "format": format }, { "type": "BODY", "text": "Veja." }]);
    add(
        "written",
        "POSITIONAL",
        json!([
        { "type": "HEADER", "format": "TEXT", "text": "Pedido {{1}}" },
        { "type": "BODY", "text": "Olá {{1}}, custa {{2}} hoje." },
        { "type": "BUTTONS", "buttons": [
            { "type": "URL", "text": "Ver", "url": "https://loja.example/{{1}}" },
            { "type": "QUICK_REPLY", "text": "Parar" },
            { "type": "COPY_CODE", "text": "Copiar" } ] } ]),
    );
    add(
        "named",
        "NAMED",
        json!([
        { "type": "HEADER", "format": "TEXT", "text": "Pedido {{title}}" },
        { "type": "BODY", "text": "Custa {{total}}, {{text}}." } ]),
    );
    add("paper", "POSITIONAL", media("DOCUMENT"));
    add("picture", "POSITIONAL", media("IMAGE"));
    add("film", "POSITIONAL", media("VIDEO"));
    add("place", "POSITIONAL", media("LOCATION"));
    list
}

/// What a till may write: lines, tabs, runs of spaces, a path with a space, emoji.
#[test]
fn what_rules_can_make_the_platform_takes() {
    let mut house = House::with_api(SHAPES, |settings| Settings { templates: Some(templates()), ..settings });
    house.write("templates.json", &templates().to_string());
    house.start();
    let names = ["written", "named", "paper", "sheet", "picture", "film", "place"];
    let events = names.iter().zip(1..).map(|(name, number)| {
        let payload = json!({
            "event_id": format!("s{number}"), "title": "A\n7 🚀", "text": "Ana\t\r\n   e      Rui\u{2028}!", "total": 1234.5,
            "path": "pedido 7/é?a=1", "code": "A7", "link": "https://loja.example/a7.pdf", "latitude": -23.5,
            "customer": { "name": "Ana", "phone": crate::house::customer(number), "whatsapp_opt_in": true },
        });
        (format!("shape/{name}"), payload.to_string())
    });
    house.publish(events.collect::<Vec<_>>());
    house.wait_for_accepted(names.len() as u64, Duration::from_secs(30));
    let mut texts: Vec<String> = house.control().accepted().into_iter().map(|seen| seen.text).collect();
    texts.sort();
    assert_eq!(
        texts,
        [
            "Pedido A 7 🚀\nCusta R$ 1.234,50, Ana e Rui !.",
            "Pedido A 7 🚀\nOlá Ana e Rui !, custa R$ 1.234,50 hoje.\n[Ver: https://loja.example/pedido%207/%C3%A9?a=1]\n[Parar]\n[Copiar: A7]",
            "[document: https://loja.example/a7.pdf A7.pdf]\nVeja.",
            "[document: https://loja.example/a7.pdf]\nVeja.",
            "[image: https://loja.example/a7.pdf]\nVeja.",
            "[location: -23.5, -46.6 A 7 🚀 Rua A]\nVeja.",
            "[video: https://loja.example/a7.pdf]\nVeja.",
        ]
    );
    assert_eq!(house.control().counters().refused, 0);
    assert!(house.stop().success(), "{}", house.log());
}
