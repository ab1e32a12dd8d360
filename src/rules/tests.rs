use super::*;
use crate::limits;
use crate::message::{Body, Button, Category, Content, Country, Delivery, Header, Payload};
use bytes::Bytes;
use proptest::prelude::*;
use std::time::Duration;

const TEMPLATES: &str = r#"{"data": [
    {"name": "order_ready", "language": "pt_BR", "status": "APPROVED", "category": "UTILITY", "components": [
        {"type": "BODY", "text": "Olá {{1}}, seu pedido {{2}} está pronto: {{3}}."},
        {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "Ver", "url": "https://loja.example/{{1}}"}]}]},
    {"name": "order_ready", "language": "es_MX", "status": "APPROVED", "category": "UTILITY", "components": [
        {"type": "BODY", "text": "Hola {{1}}, tu pedido {{2}} está listo: {{3}}."},
        {"type": "BUTTONS", "buttons": [{"type": "URL", "text": "Ver", "url": "https://loja.example/{{1}}"}]}]},
    {"name": "receipt", "language": "pt_BR", "status": "APPROVED", "category": "UTILITY", "components": [
        {"type": "HEADER", "format": "DOCUMENT"}, {"type": "BODY", "text": "Total {{total}} de {{shop}}"}]},
    {"name": "where", "language": "pt_BR", "status": "APPROVED", "category": "UTILITY", "components": [
        {"type": "HEADER", "format": "LOCATION"}, {"type": "BODY", "text": "Estamos aqui"}]},
    {"name": "titled", "language": "pt_BR", "status": "APPROVED", "category": "UTILITY", "components": [
        {"type": "HEADER", "format": "TEXT", "text": "Pedido {{1}}"}, {"type": "BODY", "text": "Pronto"},
        {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Parar"}, {"type": "COPY_CODE", "text": "Código"}]}]},
    {"name": "node_alarm", "language": "pt_BR", "status": "APPROVED", "category": "UTILITY", "components": [
        {"type": "BODY", "text": "Alarme {{1}}: {{2}}"}]},
    {"name": "node_alarm", "language": "es_MX", "status": "PENDING", "category": "UTILITY", "components": [
        {"type": "BODY", "text": "Alarma {{1}}: {{2}}"}]},
    {"name": "flow", "language": "pt_BR", "status": "APPROVED", "category": "UTILITY", "components": [
        {"type": "BODY", "text": "Oi"}, {"type": "BUTTONS", "buttons": [{"type": "FLOW", "text": "Abrir"}]}]},
    {"name": "offer", "language": "pt_BR", "status": "APPROVED", "category": "MARKETING", "components": [
        {"type": "BODY", "text": "Só hoje!"}]}
]}"#;

const ANA: &str = "+5511987654321";
const EVENT: &str = r#"{"event_id": "e-1", "total": 1234.5, "time": "2026-11-22T03:00:00Z",
    "customer": {"name": "MARIA DA SILVA", "phone": "+5511987654321", "lang": "pt", "whatsapp_opt_in": true}}"#;

fn number(text: &str) -> Number {
    Number::read(text, Country::of_code("BR").unwrap()).unwrap()
}

fn owned(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// The rule of the interface file.
fn order_ready() -> Rule {
    Rule {
        name: "order-ready".into(),
        topic: "pos/{till}/order/{order}/ready".into(),
        when: owned("payload.total > 0"),
        to: vec![To::Number("{{ payload.customer.phone }}".into())],
        country: None,
        language: owned("{{ payload.customer.lang }}"),
        consent: owned("orders"),
        opt_in: owned("payload.customer.whatsapp_opt_in"),
        id: None,
        at: owned("{{ payload.time }}"),
        subject: owned("order/{{ order }}"),
        priority: Priority::Normal,
        category: Some(Category::Utility),
        expires: None,
        dedupe_window: Duration::from_secs(86_400),
        accept_retained: false,
        format: Format::Json,
        grants: vec![],
        revokes: vec![],
        message: Some(Message::Template {
            name: "order_ready".into(),
            header: None,
            body: BodyTexts::Positional(vec![
                "{{ payload.customer.name | first_name }}".into(),
                "{{ order }}".into(),
                "{{ payload.total | money('BRL') }}".into(),
            ]),
            buttons: vec![ButtonText::Url("{{ order }}".into())],
        }),
    }
}

/// A rule with a text and nothing else of note.
fn plain(name: &str, topic: &str, text: &str) -> Rule {
    let message = Some(Message::Text(text.into()));
    let (name, topic) = (name.to_owned(), topic.to_owned());
    Rule {
        name,
        topic,
        when: None,
        language: None,
        opt_in: None,
        at: None,
        subject: None,
        category: None,
        message,
        ..order_ready()
    }
}

fn template(name: &str, header: Option<HeaderText>, body: BodyTexts, buttons: Vec<ButtonText>) -> Option<Message> {
    Some(Message::Template { name: name.into(), header, body, buttons })
}

fn positional(texts: &[&str]) -> BodyTexts {
    BodyTexts::Positional(texts.iter().map(|text| (*text).to_owned()).collect())
}

fn pairs(all: &[(&str, &str)]) -> std::collections::BTreeMap<String, String> {
    all.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect()
}

fn settings(rules: Vec<Rule>) -> Settings {
    let person = |number_text: &str, language: Option<&str>| Person {
        number: number(number_text),
        language: language.map(str::to_owned),
    };
    let oncall = Contact { consent: "staff".into(), members: vec!["ana".into(), "bia".into()], numbers: vec![] };
    Settings {
        branch: "sp-042".into(),
        country: Country::of_code("BR").unwrap(),
        timezone: jiff::tz::TimeZone::get("America/Sao_Paulo").unwrap(),
        languages: Languages {
            default: "pt_BR".into(),
            aliases: pairs(&[("pt", "pt_BR"), ("es", "es_MX")]),
            by_country: pairs(&[("MX", "es_MX")]),
        },
        purposes: vec!["orders".into(), "offers".into()],
        people: [
            ("ana".to_owned(), person(ANA, None)),
            ("bia".to_owned(), person("+5521912345678", Some("pt"))),
            ("luis".to_owned(), person("+525512345678", Some("es"))),
        ]
        .into(),
        contacts: [("oncall".to_owned(), oncall)].into(),
        rules,
        templates: Some(TEMPLATES.into()),
        expires: [3600, 1800, 900, 600].map(Duration::from_secs),
        origins: [("rules.order-ready.when".to_owned(), "shop.toml:14".to_owned())].into(),
    }
}

fn rules(all: Vec<Rule>) -> Rules {
    Rules::compile(&settings(all)).unwrap()
}

fn arrival(topic: &str, payload: &str) -> Arrival {
    Arrival {
        topic: topic.into(),
        payload: Payload::Whole(Bytes::copy_from_slice(payload.as_bytes())),
        retained: false,
        delivery: Delivery::AtMostOnce,
        subscriptions: vec![],
        event_id: None,
        expiry: None,
    }
}

/// Applies the only rule.
fn run(rule: Rule, payload: &str) -> Applied {
    run_arrival(rule, &arrival("pos/3/order/A-7/ready", payload))
}

fn run_arrival(rule: Rule, arrival: &Arrival) -> Applied {
    let rules = rules(vec![rule]);
    let found = rules.matching(&arrival.topic, &[]).next().expect("the topic matches");
    rules.apply(found, arrival, Some(Wall(1_800_000_000_000)))
}

fn drafts(applied: Applied) -> Vec<Draft> {
    match applied {
        Applied::Made { drafts, failed, .. } if failed.is_empty() => drafts,
        other => panic!("{other:?}"),
    }
}

fn text_of(applied: Applied) -> String {
    drafts(applied)[0].content().preview().to_owned()
}

fn reason_of(applied: &Applied) -> Reason {
    match applied {
        Applied::Passed(reason) | Applied::Unreadable { reason, .. } => *reason,
        Applied::Made { failed, .. } => failed[0].0,
    }
}

#[test]
fn the_example_of_the_interface_file() {
    let applied = run(order_ready(), EVENT);
    let Applied::Made { event, effects, .. } = &applied else { panic!("{applied:?}") };
    assert_eq!((event.as_deref(), effects.len()), (Some("e-1"), 0));
    let drafts = drafts(applied);
    let draft = &drafts[0];
    assert_eq!(draft.to(), &number(ANA));
    assert_eq!(draft.source().event.as_deref(), Some("e-1"));
    let Content::Template(template) = draft.content() else { panic!() };
    assert_eq!((template.name.as_str(), template.language.as_str()), ("order_ready", "pt_BR"));
    assert_eq!(template.body, Body::Positional(vec!["Maria".into(), "A-7".into(), "R$ 1.234,50".into()]));
    assert_eq!(template.buttons, [(0, Button::Url("A-7".into()))]);
    assert_eq!(
        template.preview,
        "Olá Maria, seu pedido A-7 está pronto: R$ 1.234,50.\n[Ver → https://loja.example/A-7]"
    );
    let terms = draft.terms();
    assert_eq!((&*terms.purpose, terms.stated, terms.opt_in, terms.cut), ("orders", false, true, false));
    assert_eq!(terms.subject.as_deref(), Some("order/A-7"));
    assert_eq!(terms.at, Some(Wall(1_795_316_400_000)));
    assert_eq!(terms.expires, Duration::from_secs(900));
}

#[test]
fn the_language_is_the_events_then_the_persons_then_the_countrys_then_the_default() {
    let to = |name: &str, lang: &str| {
        let rule = Rule { to: vec![To::Person(name.into())], ..order_ready() };
        let event = EVENT.replace(r#""lang": "pt""#, lang);
        let draft = drafts(run(rule, &event)).remove(0);
        let Content::Template(template) = draft.content().clone() else { panic!() };
        template.language
    };
    for (name, lang, chosen) in [
        ("ana", r#""lang": "es""#, "es_MX"),
        ("ana", r#""lang": "es-MX""#, "es_MX"),
        ("luis", r#""lang": "pt_BR""#, "pt_BR"),
        ("luis", r#""lang": """#, "es_MX"),
        ("luis", r#""lang": null"#, "es_MX"),
        ("luis", r#""none": 1"#, "es_MX"),
        ("luis", r#""lang": "xx""#, "es_MX"),
        ("ana", r#""lang": "xx""#, "pt_BR"),
    ] {
        assert_eq!(to(name, lang), chosen, "{name} {lang}");
    }
    // The country comes from the number itself.
    let abroad = number("+525587654321");
    let rule = Rule { to: vec![To::Number(abroad.e164())], language: None, ..order_ready() };
    let draft = drafts(run(rule, EVENT)).remove(0);
    assert!(matches!(draft.content(), Content::Template(template) if template.language == "es_MX"));
    let rules = rules(vec![order_ready()]);
    let explained = rules.explain("pos/3/order/A-7/ready", EVENT.replace("\"pt\"", "\"xx\"").as_bytes(), None);
    let why = explained[0].values.iter().find(|step| step.name == "language").unwrap();
    assert_eq!(why.value, "pt_BR (the default; the event's is xx, in which there is no message)");
}

#[test]
fn recipients_of_every_kind_and_each_person_once() {
    let to = vec![
        To::Contacts("oncall".into()),
        To::Person("luis".into()),
        To::Number("{{ payload.customer.phone }}".into()),
        To::Number("{{ payload.other | default('') }}".into()),
    ];
    let all = drafts(run(Rule { to, ..order_ready() }, EVENT));
    let told: Vec<_> = all
        .iter()
        .map(|d| (d.to().clone(), d.terms().purpose.to_string(), d.terms().stated, d.terms().opt_in))
        .collect();
    assert_eq!(
        told,
        [
            (number(ANA), "staff".into(), true, false),
            (number("+5521912345678"), "staff".into(), true, false),
            (number("+525512345678"), "orders".into(), false, true),
        ]
    );
    let person =
        plain("p", "pos/{till}/order/{order}/ready", "{{ person.name | default('you') }} {{ person.language }}");
    assert_eq!(text_of(run(Rule { to: vec![To::Person("bia".into())], ..person.clone() }, EVENT)), "bia pt_BR");
    assert_eq!(text_of(run(person, &EVENT.replace("5511987654321", "5511900000000"))), "you pt_BR");
}

#[test]
fn a_recipient_that_cannot_be_read_does_not_stop_the_others() {
    let to =
        vec![To::Number("{{ payload.bad }}".into()), To::Number("12345678901234567890".into()), To::Number(ANA.into())];
    let Applied::Made { drafts, failed, .. } = run(Rule { to: to.clone(), ..order_ready() }, EVENT) else { panic!() };
    assert_eq!(drafts.len(), 1);
    let reasons: Vec<Reason> = failed.iter().map(|(reason, _)| *reason).collect();
    assert_eq!(reasons, [Reason::TemplateFailed, Reason::NumberUnreadable]);
    assert!(failed.iter().all(|(_, detail)| !detail.contains("4567890")), "{failed:?}");
    for (to, reason) in [
        (to[..1].to_vec(), Reason::TemplateFailed),
        (to[1..2].to_vec(), Reason::NumberUnreadable),
        (vec![To::Number(" {{ payload.bad | default('') }} ".into())], Reason::NobodyToTell),
    ] {
        assert_eq!(reason_of(&run(Rule { to, ..order_ready() }, EVENT)), reason);
    }
}

#[test]
fn a_rule_reaches_no_more_people_than_the_bound() {
    let many =
        |count: usize| (0..count).map(|i| To::Number(format!("+55119{:08}", 10_000_000 + i))).collect::<Vec<_>>();
    let at_most = Rule { to: many(limits::RECIPIENTS), ..order_ready() };
    assert_eq!(drafts(run(at_most, EVENT)).len(), limits::RECIPIENTS);
    let problems =
        Rules::compile(&settings(vec![Rule { to: many(limits::RECIPIENTS + 1), ..order_ready() }])).unwrap_err();
    assert!(problems[0].message.contains("257 people"));
}

#[test]
fn the_id_is_the_rules_then_the_carried_then_the_payloads() {
    let long = "x".repeat(limits::EVENT_ID + 1);
    let hashed = "sha256 of it";
    for (template, carried, payload, expected) in [
        (None, None, "e-1".to_owned(), Some("e-1")),
        (None, Some("mqtt-1"), "e-1".to_owned(), Some("mqtt-1")),
        (None, Some(""), "e-1".to_owned(), Some("e-1")),
        (None, None, String::new(), None),
        (Some("{{ payload.event_id }}/{{ order }}"), Some("mqtt-1"), "e-1".to_owned(), Some("e-1/A-7")),
        (Some("{{ payload.event_id }}"), Some("mqtt-1"), String::new(), None),
        (None, None, long.clone(), Some(hashed)),
        (None, Some(long.as_str()), "e-1".to_owned(), Some(hashed)),
    ] {
        let rule = Rule { id: template.map(str::to_owned), ..order_ready() };
        let mut arrival = arrival("pos/3/order/A-7/ready", &EVENT.replace("e-1", &payload));
        arrival.event_id = carried.map(str::to_owned);
        let Applied::Made { event, .. } = run_arrival(rule, &arrival) else { panic!() };
        match expected {
            Some(text) if text == hashed => {
                let event = event.unwrap();
                assert!(event.len() == 64 && event.bytes().all(|byte| byte.is_ascii_hexdigit()), "{event}");
            }
            expected => assert_eq!(event.as_deref(), expected, "{template:?} {carried:?} {payload}"),
        }
    }
    let numbered = EVENT.replace("\"e-1\"", "42");
    assert!(matches!(run(order_ready(), &numbered), Applied::Made { event: Some(id), .. } if &*id == "42"));
}

#[test]
fn the_time_is_the_events_or_an_error() {
    let at = |template: Option<&str>, time: &str| {
        let rule = Rule { at: template.map(str::to_owned), ..order_ready() };
        match run(rule, &EVENT.replace("\"2026-11-22T03:00:00Z\"", time)) {
            Applied::Made { drafts, .. } => Ok(drafts[0].terms().at.map(|at| at.0)),
            other => Err(reason_of(&other)),
        }
    };
    let field = Some("{{ payload.time }}");
    for (template, time, expected) in [
        (field, "\"2026-11-22T00:00:00-03:00\"", Ok(Some(1_795_316_400_000))),
        (field, "\"2026-11-22T00:00:00\"", Ok(Some(1_795_316_400_000))),
        (field, "1795316400", Ok(Some(1_795_316_400_000))),
        (field, "1795316400123", Ok(Some(1_795_316_400_123))),
        (None, "\"soon\"", Ok(None)),
        (field, "\"soon\"", Err(Reason::TemplateFailed)),
        (field, "null", Err(Reason::TemplateFailed)),
        (Some("{{ payload.when }}"), "1", Err(Reason::TemplateFailed)),
        (Some("{{ payload.when | default('') }}"), "1", Ok(None)),
    ] {
        assert_eq!(at(template, time), expected, "{template:?} {time}");
    }
    let shown =
        plain("p", "pos/{till}/order/{order}/ready", "{{ event.at }} {{ event.id }} {{ event.retained }} {{ branch }}");
    assert_eq!(text_of(run(shown, EVENT)), "2027-01-15T08:00:00.000Z e-1 false sp-042");
}

#[test]
fn conditions_pass_fire_or_fail() {
    for (when, reason) in [
        ("payload.total > 2000", Some(Reason::WhenFalse)),
        ("payload.nothing > 1", Some(Reason::WhenFalse)),
        ("payload.total > '1'", Some(Reason::ExpressionFailed)),
        ("payload.customer.name", Some(Reason::ExpressionFailed)),
        ("event.id == 'e-1' and till == '3' and not event.retained", None),
    ] {
        let applied = run(Rule { when: owned(when), ..order_ready() }, EVENT);
        match reason {
            Some(reason) => assert_eq!(reason_of(&applied), reason, "{when}"),
            None => assert_eq!(drafts(applied).len(), 1, "{when}"),
        }
    }
    // What does not hold needs neither id nor time.
    let other = Rule { when: owned("payload.total > 2000"), id: owned("{{ payload.nothing }}"), ..order_ready() };
    assert_eq!(reason_of(&run(other, EVENT)), Reason::WhenFalse);
}

#[test]
fn retained_messages_are_states() {
    let mut arrival = arrival("pos/3/order/A-7/ready", EVENT);
    arrival.retained = true;
    assert_eq!(reason_of(&run_arrival(order_ready(), &arrival)), Reason::RetainedIgnored);
    assert_eq!(drafts(run_arrival(Rule { accept_retained: true, ..order_ready() }, &arrival)).len(), 1);
}

#[test]
fn formats_of_the_payload() {
    let text = |format, payload: &str| {
        let rule = Rule {
            format,
            to: vec![To::Number(ANA.into())],
            ..plain("p", "pos/{till}/order/{order}/ready", "{{ payload }}")
        };
        match run(rule, payload) {
            Applied::Made { drafts, .. } => Ok(drafts[0].content().preview().to_owned()),
            Applied::Unreadable { reason: Reason::PayloadUnreadable, detail, .. } => Err(detail),
            other => panic!("{other:?}"),
        }
    };
    for (format, payload, expected) in [
        (Format::Json, "\"a\"", Ok("a")),
        (Format::Json, "23.5", Ok("23.5")),
        (Format::Text, "{\"a", Ok("{\"a")),
        (Format::Number, " 23.50 ", Ok("23.5")),
        (Format::Number, "-7", Ok("-7")),
        (Format::Json, "", Err("empty")),
        (Format::Json, "{\"phone\": 5511987654321", Err("JSON that ends too early")),
        (Format::Json, "5511987654321x", Err("no JSON at line 1 column 14")),
        (Format::Json, "1e999", Err("no JSON at line 1 column 5")),
        (Format::Number, "5511987654321x", Err("no number but 14 bytes of something else")),
        (Format::Number, "NaN", Err("no number but 3 bytes of something else")),
        (Format::Number, "1e999", Err("no number but 5 bytes of something else")),
    ] {
        assert_eq!(text(format, payload), expected.map(str::to_owned).map_err(str::to_owned), "{payload}");
    }
    let too_large = Payload::TooLarge { size: 20_000, sha256: [7; 32] };
    let arrival = Arrival { payload: too_large, ..arrival("pos/3/order/A-7/ready", "") };
    let applied = run_arrival(order_ready(), &arrival);
    assert!(
        matches!(&applied, Applied::Unreadable { reason: Reason::PayloadTooLarge, detail, .. } if detail == "20000 bytes, sha256 0707070707070707…")
    );
}

#[test]
fn effects_come_with_or_without_a_message() {
    let consent = Rule {
        topic: "pos/{till}/consent".into(),
        when: owned("not payload.agreed"),
        to: vec![To::Number("{{ payload.phone }}".into())],
        revokes: vec!["all".into()],
        message: None,
        consent: None,
        at: None,
        opt_in: None,
        subject: None,
        category: None,
        ..order_ready()
    };
    let arrival = arrival("pos/3/consent", r#"{"phone": "+5511987654321", "agreed": false}"#);
    let Applied::Made { effects, drafts, .. } = run_arrival(consent.clone(), &arrival) else { panic!() };
    assert_eq!((effects, drafts.len()), (vec![Effect::Revoke { to: number(ANA), purposes: vec![] }], 0));
    let grant = Rule { when: None, revokes: vec!["offers".into()], grants: vec!["orders".into()], ..consent };
    let Applied::Made { effects, .. } = run_arrival(grant, &arrival) else { panic!() };
    let one = |purpose: &str| vec![Arc::from(purpose)];
    assert_eq!(
        effects,
        [
            Effect::Grant { to: number(ANA), purposes: one("orders") },
            Effect::Revoke { to: number(ANA), purposes: one("offers") }
        ]
    );
}

#[test]
fn headers_named_bodies_and_buttons_are_filled_in() {
    let filled = |message: Option<Message>| {
        let rule = Rule { message, to: vec![To::Person("ana".into())], language: None, ..order_ready() };
        match run(rule, &EVENT.replace("\"total\"", "\"pdf\": \"https://x/a.pdf\", \"total\"")) {
            Applied::Made { drafts, .. } => match drafts[0].content() {
                Content::Template(template) => Ok(template.clone()),
                Content::Text(_) => panic!(),
            },
            Applied::Unreadable { reason, detail, .. } => Err((reason, detail)),
            other => panic!("{other:?}"),
        }
    };
    let named = |total: &str| {
        BodyTexts::Named(
            [("total".to_owned(), total.to_owned()), ("shop".to_owned(), "{{ branch }}".to_owned())].into(),
        )
    };
    let document = |url: &str| Some(HeaderText::Document(url.into(), owned("{{ order }}.pdf")));
    let receipt =
        filled(template("receipt", document("{{ payload.pdf }}"), named("{{ payload.total | money('BRL') }}"), vec![]))
            .unwrap();
    assert_eq!(receipt.header, Some(Header::Document("https://x/a.pdf".into(), owned("A-7.pdf"))));
    let order: Vec<(String, String)> = vec![("total".into(), "R$ 1.234,50".into()), ("shop".into(), "sp-042".into())];
    assert_eq!(receipt.body, Body::Named(order));
    assert_eq!(receipt.preview, "[document: A-7.pdf]\nTotal R$ 1.234,50 de sp-042");
    let (reason, detail) = filled(template("receipt", document("{{ order }}"), named("1"), vec![])).unwrap_err();
    assert!(reason == Reason::TemplateFailed && detail.contains("no http(s) URL"), "{detail}");
    let (_, detail) = filled(template("receipt", document("{{ payload.pdf }}"), named(" \n"), vec![])).unwrap_err();
    assert!(detail.contains("body total is empty"), "{detail}");

    let place = |latitude: &str| {
        let address = "Rua A, 1".to_owned();
        Some(HeaderText::Location {
            latitude: latitude.into(),
            longitude: "-46.6".into(),
            name: "Loja".into(),
            address,
        })
    };
    let location = filled(template("where", place("-23.5"), positional(&[]), vec![])).unwrap().header.unwrap();
    let address = "Rua A, 1".to_owned();
    assert_eq!(location, Header::Location { latitude: -23.5, longitude: -46.6, name: "Loja".into(), address });
    assert!(filled(template("where", place("123"), positional(&[]), vec![])).is_err());

    let titled = |title: &str, code: &str| {
        let buttons = vec![ButtonText::Reply("stop".into()), ButtonText::CopyCode(code.into())];
        filled(template("titled", Some(HeaderText::Text(title.into())), positional(&[]), buttons))
    };
    let filled = titled("{{ order }}", "ABC{{ till }}").unwrap();
    assert_eq!(filled.header, Some(Header::Text(None, "A-7".into())));
    assert_eq!(filled.buttons, [(0, Button::Reply("stop".into())), (1, Button::CopyCode("ABC3".into()))]);
    assert_eq!(filled.preview, "Pedido A-7\nPronto\n[Parar]\n[Código: ABC3]");
    assert!(titled("x", "{{ order }}").is_err());
    let long = titled(&"é".repeat(100), "A").unwrap();
    let Some(Header::Text(None, title)) = long.header else { panic!() };
    assert_eq!("Pedido ".chars().count() + title.chars().count(), limits::TEMPLATE_HEADER);
}

#[test]
fn what_is_too_long_is_cut_and_the_cut_recorded() {
    let mut rule = order_ready();
    let texts = ["{{ payload.long }}", "{{ order }}", "a\n\t  b"];
    rule.message = template("order_ready", None, positional(&texts), vec![ButtonText::Url("{{ order }}".into())]);
    let event = EVENT.replace("\"total\"", &format!("\"long\": \"{}\", \"total\"", "ã ".repeat(2000)));
    let draft = drafts(run(rule, &event)).remove(0);
    let Content::Template(template) = draft.content() else { panic!() };
    let Body::Positional(values) = &template.body else { panic!() };
    assert!(draft.terms().cut && values[0].ends_with('…') && values[1] == "A-7" && values[2] == "a b");
    let shown = template.preview.lines().next().unwrap().chars().count();
    assert!((limits::TEMPLATE_BODY - 1..=limits::TEMPLATE_BODY).contains(&shown), "{shown}");

    let long = plain("p", "pos/{till}/order/{order}/ready", "line\r\n{{ payload.long }}");
    let event = EVENT.replace("\"total\"", &format!("\"long\": \"{}\", \"total\"", "é".repeat(5000)));
    let draft = drafts(run(long, &event)).remove(0);
    let text = draft.content().preview();
    assert!(draft.terms().cut && text.starts_with("line\né") && text.chars().count() == limits::TEXT);
    assert_eq!(draft.content().category(), Category::Service);
}

/// Problems as `key: message`.
fn problems(settings: &Settings) -> Vec<String> {
    let problems = Rules::compile(settings).unwrap_err();
    assert!(problems.iter().all(|problem| !problem.fix.is_empty()));
    problems.into_iter().map(|problem| format!("{}: {}", problem.key, problem.message)).collect()
}

#[test]
fn the_configuration_is_refused_with_every_problem() {
    let order = |body: BodyTexts, buttons: Vec<ButtonText>| template("order_ready", None, body, buttons);
    let url = || vec![ButtonText::Url("x".into())];
    let three = || positional(&["a", "b", "c"]);
    let alarm = |to: To| Rule {
        to: vec![to],
        message: template("node_alarm", None, positional(&["a", "b"]), vec![]),
        ..order_ready()
    };
    let named = BodyTexts::Named([("total".to_owned(), "1".to_owned())].into());
    let document = || Some(HeaderText::Document("https://x".into(), None));
    let table: Vec<(Rule, &str)> = vec![
        (Rule { topic: "a/+".into(), ..order_ready() }, "rules.order-ready.topic: + is written as a capture"),
        (Rule { topic: "branchline/x".into(), ..order_ready() }, "rules.order-ready.topic: topics under branchline/"),
        (Rule { when: owned("paylod.x > 1"), ..order_ready() }, "rules.order-ready.when: paylod is not known here"),
        (Rule { when: owned("payload.x >"), ..order_ready() }, "rules.order-ready.when: "),
        (Rule { id: owned("{{ ordre }}"), ..order_ready() }, "rules.order-ready.id: ordre is not known here"),
        (Rule { at: owned("{{ person.name }}"), ..order_ready() }, "rules.order-ready.at: person is not known here"),
        (Rule { to: vec![], ..order_ready() }, "rules.order-ready.to: nobody is named"),
        (Rule { to: vec![To::Person("anna".into())], ..order_ready() }, "rules.order-ready.to: people has no anna"),
        (
            Rule { to: vec![To::Contacts("oncal".into())], ..order_ready() },
            "rules.order-ready.to: contacts has no oncal",
        ),
        (
            Rule { to: vec![To::Number("{{ x }}".into()), To::Person("ana".into())], ..order_ready() },
            "rules.order-ready.to.0: x is not known",
        ),
        (Rule { message: None, ..order_ready() }, "rules.order-ready: the rule says nothing"),
        (Rule { consent: None, ..order_ready() }, "rules.order-ready.consent: a message needs a purpose"),
        (Rule { consent: owned("order"), ..order_ready() }, "rules.order-ready.consent: there is no purpose order"),
        (Rule { grants: vec!["x".into()], ..order_ready() }, "rules.order-ready.grants: there is no purpose x"),
        (
            Rule { grants: vec!["orders".into()], revokes: vec!["all".into()], ..order_ready() },
            "rules.order-ready.grants: orders is granted and revoked",
        ),
        (
            Rule { category: Some(Category::Marketing), ..order_ready() },
            "rules.order-ready.category: order_ready is utility on the platform, not marketing",
        ),
        (
            Rule {
                message: template("offer", None, positional(&[]), vec![]),
                category: None,
                priority: Priority::Critical,
                ..order_ready()
            },
            "rules.order-ready.message.template: offer in es_MX",
        ),
        (
            Rule {
                to: vec![To::Person("ana".into())],
                message: template("offer", None, positional(&[]), vec![]),
                category: None,
                priority: Priority::Critical,
                ..order_ready()
            },
            "rules.order-ready.priority: offer is marketing, and marketing is never critical",
        ),
        (
            Rule { message: template("order_redy", None, three(), url()), ..order_ready() },
            "rules.order-ready.message.template: the template list has no order_redy",
        ),
        (
            alarm(To::Person("luis".into())),
            "rules.order-ready.message.template: node_alarm in es_MX, which this rule can choose, is pending",
        ),
        (alarm(To::Number("{{ payload.x }}".into())), "rules.order-ready.message.template: node_alarm in es_MX"),
        (
            Rule { message: order(positional(&["a", "b"]), url()), ..order_ready() },
            "rules.order-ready.message.body: the template (es_MX) takes 3 parameters, found 2",
        ),
        (
            Rule { message: order(named.clone(), url()), ..order_ready() },
            "rules.order-ready.message.body: the template (es_MX) has 3 parameters by place",
        ),
        (
            Rule { message: order(positional(&["a", "{{ y }}", "c"]), url()), ..order_ready() },
            "rules.order-ready.message.body.1: y is not known here",
        ),
        (
            Rule { message: order(three(), vec![]), ..order_ready() },
            "rules.order-ready.message.buttons: the template (es_MX) needs url for button 1",
        ),
        (
            Rule { message: order(three(), vec![ButtonText::Reply("x".into())]), ..order_ready() },
            "rules.order-ready.message.buttons: the template (es_MX) needs url",
        ),
        (
            Rule {
                message: order(three(), vec![ButtonText::Url("x".into()), ButtonText::Reply("x".into())]),
                ..order_ready()
            },
            "rules.order-ready.message.buttons: the template (es_MX) has no further button that takes reply",
        ),
        (
            Rule { message: template("order_ready", document(), three(), url()), ..order_ready() },
            "rules.order-ready.message.header: the template's header (es_MX) takes none, found document",
        ),
        (
            Rule {
                to: vec![To::Person("ana".into())],
                message: template("receipt", None, named.clone(), vec![]),
                ..order_ready()
            },
            "rules.order-ready.message.header: the template's header (pt_BR) takes document, found none",
        ),
        (
            Rule {
                to: vec![To::Person("ana".into())],
                message: template("receipt", document(), named, vec![]),
                ..order_ready()
            },
            "rules.order-ready.message.body: the template (pt_BR) takes shop, total, found total",
        ),
        (
            Rule {
                to: vec![To::Person("ana".into())],
                message: template("receipt", document(), three(), vec![]),
                ..order_ready()
            },
            "rules.order-ready.message.body: the template (pt_BR) has named parameters",
        ),
        (
            Rule {
                to: vec![To::Person("ana".into())],
                message: template("flow", None, positional(&[]), vec![]),
                ..order_ready()
            },
            "rules.order-ready.message.template: flow (pt_BR) has a FLOW button, which rules cannot fill in",
        ),
        (
            Rule { message: Some(Message::Text("{{ x }}".into())), category: None, ..order_ready() },
            "rules.order-ready.message.text: x is not known here",
        ),
    ];
    for (rule, expected) in table {
        let found = problems(&settings(vec![rule]));
        assert!(found.iter().any(|problem| problem.starts_with(expected)), "{expected}\n{found:#?}");
    }
    // Only who can be reached counts: technicians who read Portuguese need no Spanish alarm.
    assert!(Rules::compile(&settings(vec![alarm(To::Contacts("oncall".into()))])).is_ok());
    let mut none = settings(vec![order_ready()]);
    none.templates = None;
    assert!(problems(&none)[0].starts_with("rules.order-ready.message.template: there is no template list"));
    none.templates = owned("{");
    none.languages.default = String::new();
    let found = problems(&none);
    assert!(
        found[0].starts_with("templates.file: the template list is not JSON")
            && found[1].starts_with("languages.default")
    );
    let two = Rule { name: "b".into(), when: owned("x"), opt_in: owned("y"), ..order_ready() };
    let three = Rule { name: "c".into(), topic: "#".into(), ..order_ready() };
    // The names that a wrong topic does not capture are told as well.
    assert_eq!(problems(&settings(vec![order_ready(), two, three])).len(), 6);
}

#[test]
fn one_filter_for_rules_that_share_it_and_a_lasting_identifier() {
    let rule = |name: &str, topic: &str| plain(name, topic, "x");
    let first = rules(vec![rule("a", "pos/{x}/paid"), rule("b", "pos/{till}/paid"), rule("c", "pos/{all...}")]);
    let filters = first.filters();
    assert_eq!(filters.iter().map(|filter| filter.filter.as_str()).collect::<Vec<_>>(), ["pos/#", "pos/+/paid"]);
    assert!(filters.iter().all(|filter| (1..=IDENTIFIER_MAX).contains(&filter.identifier) && !filter.retained));
    let second = rules(vec![rule("0", "a/b"), Rule { accept_retained: true, ..rule("b", "pos/{till}/paid") }]);
    let kept = second.filters().into_iter().find(|filter| filter.filter == "pos/+/paid").unwrap();
    assert_eq!(kept.identifier, filters[1].identifier);
    assert!(kept.retained);

    let names =
        |topic: &str, ids: &[u32]| first.matching(topic, ids).map(|rule| rule.name().to_string()).collect::<String>();
    for (topic, ids, expected) in [
        ("pos/1/paid", vec![], "abc"),
        ("pos/1/paid", vec![filters[0].identifier], "c"),
        ("pos/1/paid", vec![filters[1].identifier], "ab"),
        ("pos/1/paid", vec![filters[0].identifier, filters[1].identifier], "abc"),
        ("pos/1/open", vec![filters[1].identifier], ""),
        ("pos/1/open", vec![filters[0].identifier], "c"),
        // Marked for a filter of an older configuration: nothing is lost.
        ("pos/1/paid", vec![1], "abc"),
        ("node/1", vec![], ""),
    ] {
        assert_eq!(names(topic, &ids), expected, "{topic} {ids:?}");
    }
}

#[test]
fn explain_shows_each_value_and_masks_numbers() {
    let other = plain("other", "node/{node}", "x");
    let rules = rules(vec![other, order_ready()]);
    let explained = rules.explain("pos/3/order/A-7/ready", EVENT.as_bytes(), None);
    assert_eq!(explained[0].verdict, "made");
    assert_eq!(
        (explained[1].verdict, explained[1].detail.as_deref()),
        ("no-match", Some("level 1 is \"pos\", the rule has \"node\""))
    );
    let names: Vec<&str> = explained[0].values.iter().map(|step| step.name.as_str()).collect();
    let opt_in = "payload.customer.whatsapp_opt_in";
    assert_eq!(names, ["at", "id", "payload.total", "when", opt_in, "opt_in", "to", "language", "subject"]);
    assert_eq!(explained[0].captures, pairs(&[("order", "A-7"), ("till", "3")]));
    let value = |name: &str| explained[0].values.iter().find(|step| step.name == name).map(|step| step.value.as_str());
    assert_eq!((value("payload.total"), value("to")), (Some("1234.5"), Some("+55…21 (BR) from \"+55…21\"")));
    let message = &explained[0].messages[0];
    let named = |steps: &[Step]| steps.iter().map(|s| format!("{}: {}", s.name, s.value)).collect::<Vec<_>>();
    assert_eq!(named(&message.parameters), ["body 1: Maria", "body 2: A-7", "body 3: R$ 1.234,50", "button 1: A-7"]);
    assert_eq!(
        message.parts,
        [
            ("body", "Olá Maria, seu pedido A-7 está pronto: R$ 1.234,50.".to_owned()),
            ("button", "[Ver → https://loja.example/A-7]".to_owned())
        ]
    );
    assert_eq!(message.lengths, [("body".into(), 51, 1024), ("button 1".into(), 24, 2000)]);
    assert_eq!((message.country.as_deref(), explained[0].drafts.len()), (Some("BR"), 1));
    let json = serde_json::to_string(&explained).unwrap();
    assert!(!json.contains("987654321") && json.contains("Maria"), "{json}");
    let failed = rules.explain("pos/3/order/A-7/ready", b"{}", None);
    assert_eq!((failed[0].verdict, failed[0].reason), ("passed", Some(Reason::WhenFalse)));
    assert_eq!(failed[0].detail.as_deref(), Some("payload.total > 0"));
    assert_eq!(named(&failed[0].values)[1..], ["payload.total: (missing)", "when: false"]);
}

#[test]
fn explain_points_at_what_failed() {
    let rules = rules(vec![order_ready()]);
    let trouble = |payload: &str| {
        let explained = rules.explain("pos/3/order/A-7/ready", payload.as_bytes(), None).remove(0);
        let [trouble] = &explained.troubles[..] else { panic!("{payload}: {explained:?}") };
        (trouble.key.clone(), trouble.origin.clone(), trouble.excerpt.clone())
    };
    let customer = r#""customer": {"name": "Ana", "phone": "PHONE", "whatsapp_opt_in": true}"#;
    let event = |more: &str, phone: &str| format!("{{{}, {more}}}", customer.replace("PHONE", phone));
    let time = r#""time": "2026-11-22T03:00:00Z""#;
    #[rustfmt::skip]
    let table = [
        (event(r#""total": "5""#, ANA), "rules.order-ready.when", "shop.toml:14", "payload.total > 0", "^^^^^^^^^^^^^^^^^"),
        (event(r#""total": 5, "time": "soon""#, ANA), "rules.order-ready.at", "", "{{ payload.time }}", ""),
        (event(&format!(r#""total": 5, {time}"#), "12"), "rules.order-ready.to", "", "{{ payload.customer.phone }}", ""),
        (event(&format!(r#""total": 5, {time}"#), ANA).replace(r#""name": "Ana", "#, ""), "rules.order-ready.message.body.0", "",
         "{{ payload.customer.name | first_name }}", "   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^"),
        ("{\n  \"total\": 5,,\n}".to_owned(), "payload", "", "2 |   \"total\": 5,,", "  |              ^"),
    ];
    for (payload, key, origin, text, caret) in table {
        let expected = if caret.is_empty() { format!("    {text}") } else { format!("    {text}\n    {caret}") };
        assert_eq!(trouble(&payload), (key.to_owned(), origin.to_owned(), expected), "{payload}");
    }
}

/// The engine runs on a thread of its own.
const _: fn() = || {
    fn sendable<T: Send + Sync>() {}
    sendable::<Rules>();
};

fn bounds_hold(applied: &Applied) {
    match applied {
        Applied::Passed(_) => {}
        Applied::Unreadable { event, detail, .. } => {
            assert!(detail.len() <= 1024 && event.as_ref().is_none_or(|id| id.len() <= limits::EVENT_ID));
        }
        Applied::Made { event, drafts, failed, .. } => {
            assert!(drafts.len() + failed.len() <= limits::RECIPIENTS);
            assert!(event.as_ref().is_none_or(|id| id.len() <= limits::EVENT_ID));
            for draft in drafts {
                assert!(draft.content().preview().chars().count() <= limits::TEXT);
                assert!(draft.terms().subject.as_ref().is_none_or(|subject| subject.len() <= limits::EVENT_ID));
            }
        }
    }
}

fn poisoned() -> Rules {
    let loops = "{% for a in payload %}{% for b in payload %}{{ a }}{{ b }}{% endfor %}{% endfor %}";
    let text = |name: &str, text: &str, format| Rule {
        format,
        to: vec![To::Number(ANA.into())],
        ..plain(name, "a/{x}", text)
    };
    rules(vec![
        Rule { topic: "a/{order}".into(), to: vec![To::Number("{{ payload }}".into())], ..order_ready() },
        text("loops", loops, Format::Json),
        text("text", "{{ payload | upper }}{{ payload | title }}{{ x }}", Format::Text),
        text(
            "number",
            "{{ payload * payload | round(3) }}{{ payload | money('BRL') }}{{ payload | duration }}",
            Format::Number,
        ),
        Rule {
            when: owned("payload in payload or payload == payload and payload[0] < payload.a"),
            ..text("odd", "{{ payload | date('%c') }}", Format::Json)
        },
        Rule {
            id: owned("{{ payload | default(x) }}"),
            subject: owned("{{ x }}{{ x }}"),
            ..text("ids", "{{ payload | join(',') }}", Format::Json)
        },
    ])
}

fn poison(rules: &Rules, topic: &str, payload: &[u8]) {
    let arrival = Arrival { payload: Payload::Whole(Bytes::copy_from_slice(payload)), ..arrival(topic, "") };
    let mut count = 0;
    for rule in rules.matching(topic, &[]) {
        bounds_hold(&rules.apply(rule, &arrival, None));
        count += 1;
    }
    assert_eq!(count, 6);
}

/// Also on a thread with a small stack, as the engine's may be.
#[test]
fn poison_by_hand_never_panics_and_stays_within_bounds() {
    let small = std::thread::Builder::new().stack_size(512 * 1024);
    small.spawn(poison_by_hand).unwrap().join().unwrap();
}

fn poison_by_hand() {
    let rules = poisoned();
    let deep = |open: &str, close: &str, levels: usize| format!("{}1{}", open.repeat(levels), close.repeat(levels));
    for payload in [
        deep("[", "]", 100_000),
        deep("{\"a\":", "}", 50_000),
        deep("[", "]", 120),
        "[".repeat(200_000),
        format!("\"{}\"", "a".repeat(1_000_000)),
        format!("\"{}\"", "👩‍👧".repeat(4000)),
        format!("[{}1]", "[],".repeat(5000)),
        format!("[{}1]", "\"é\",".repeat(3000)),
        "9".repeat(400),
        format!("0.{}1", "0".repeat(400)),
        "-0".into(),
        "1e308".into(),
        "{\"a\":1,\"a\":2}".into(),
        "\"\\u0000\\ud83d\"".into(),
        "\"\\u0000\\u202e{{ payload }}\"".into(),
    ] {
        poison(&rules, "a/b", payload.as_bytes());
    }
    poison(&rules, &format!("a/{}", "x".repeat(60_000)), b"1");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn poison_by_chance_never_panics_and_stays_within_bounds(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        json in "[\\[\\]{}:,\"a0-9.eE+\\- \\\\un]{0,120}",
        topic in "[^/]{0,40}",
    ) {
        let rules = poisoned();
        let topic = format!("a/{topic}");
        poison(&rules, &topic, &bytes);
        poison(&rules, &topic, json.as_bytes());
        let _ = serde_json::to_string(&rules.explain(&topic, json.as_bytes(), None)).unwrap();
    }
}
