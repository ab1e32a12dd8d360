use super::*;
use crate::message::{Body, Category, Content, Country, Header, Priority};
use crate::rules::{Contact, Languages, Person};

const TEMPLATES: &str = r#"{"data": [
    {"name": "ready", "language": "pt_BR", "status": "APPROVED", "category": "UTILITY", "components": [
        {"type": "BODY", "text": "Olá {{1}}, pedido {{2}}."}, {"type": "FOOTER", "text": "Loja 42"},
        {"type": "BUTTONS", "buttons": [{"type": "QUICK_REPLY", "text": "Parar"},
            {"type": "URL", "text": "Ver", "url": "https://loja.example/{{1}}"}]}]},
    {"name": "ready", "language": "es_MX", "status": "PAUSED", "category": "UTILITY", "components": [
        {"type": "BODY", "text": "Hola {{1}}, pedido {{2}}."}]},
    {"name": "receipt", "language": "pt_BR", "status": "APPROVED", "category": "UTILITY", "components": [
        {"type": "HEADER", "format": "DOCUMENT"}, {"type": "BODY", "text": "Total {{total}} de {{shop}}"}]},
    {"name": "where", "language": "pt_BR", "status": "APPROVED", "category": "UTILITY", "components": [
        {"type": "HEADER", "format": "LOCATION"}, {"type": "BODY", "text": "Estamos aqui"}]},
    {"name": "offer", "language": "pt_BR", "status": "APPROVED", "category": "MARKETING", "components": [
        {"type": "HEADER", "format": "TEXT", "text": "Para {{1}}"}, {"type": "BODY", "text": "Só hoje!"},
        {"type": "BUTTONS", "buttons": [{"type": "COPY_CODE", "text": "Código"}]}]}
]}"#;

const ANA: &str = "+5511987654321";

fn rules() -> Rules {
    let country = Country::of_code("BR").unwrap();
    let number = Number::read(ANA, country).unwrap();
    let oncall = Contact { consent: "staff".into(), members: vec!["ana".into()], numbers: vec![] };
    let settings = Settings {
        branch: "sp-042".into(),
        country,
        timezone: jiff::tz::TimeZone::UTC,
        languages: Languages {
            default: "es_MX".into(),
            aliases: [("pt".to_owned(), "pt_BR".to_owned())].into(),
            by_country: BTreeMap::new(),
        },
        purposes: vec!["orders".into()],
        people: [("ana".to_owned(), Person { number, language: None })].into(),
        contacts: [("oncall".to_owned(), oncall)].into(),
        rules: vec![],
        templates: Some(TEMPLATES.into()),
        expires: [4, 3, 2, 1].map(|hours| Duration::from_secs(hours * 3600)),
        origins: BTreeMap::new(),
    };
    Rules::compile(&settings).unwrap()
}

fn order(template: &str, params: &[&str]) -> SendOrder {
    SendOrder {
        to: ANA.into(),
        template: template.into(),
        language: "pt_BR".into(),
        purpose: "orders".into(),
        params: params.iter().map(|param| (*param).to_owned()).collect(),
        header: None,
        filename: None,
        buttons: vec![],
        priority: Priority::Normal,
        dry_run: false,
    }
}

fn ready(params: &[&str]) -> SendOrder {
    SendOrder { buttons: vec!["A 7".into()], ..order("ready", params) }
}

fn text(order: &SendOrder) -> String {
    rules().send(order).unwrap_or_else(|problems| panic!("{problems:?}")).0.content().preview().to_owned()
}

#[test]
fn what_is_typed_becomes_a_draft_of_the_operator() {
    let (draft, preview) = rules().send(&ready(&["{{ payload.x }} {% if %}", "a=\"b\"\\ 42\n{#"])).unwrap();
    assert_eq!(
        draft.content().preview(),
        "Olá {{ payload.x }} {% if %}, pedido a=\"b\"\\ 42 {#.\nLoja 42\n[Parar]\n[Ver → https://loja.example/A%207]",
        "what was typed is text, whatever it looks like"
    );
    let (source, terms) = (draft.source(), draft.terms());
    assert_eq!((&*source.rule, &source.event, &*source.topic), (crate::rules::OPERATOR, &None, ""));
    assert_eq!((&*terms.purpose, terms.stated, terms.opt_in), ("orders", false, false));
    assert_eq!((terms.priority, terms.expires), (Priority::Normal, Duration::from_secs(2 * 3600)));
    let parts: Vec<&str> = preview.parts.iter().map(|(what, _)| *what).collect();
    assert_eq!(parts, ["body", "footer", "button", "button"]);

    let urgent = rules().send(&SendOrder { priority: Priority::Critical, ..ready(&["a", "b"]) }).unwrap().0;
    assert_eq!(urgent.terms().expires, Duration::from_secs(4 * 3600));
}

#[test]
fn every_kind_of_template_can_be_filled_in() {
    let receipt = SendOrder {
        header: Some("https://loja.example/1.pdf".into()),
        filename: Some("42.pdf".into()),
        ..order("receipt", &["shop=Centro = 1", "total=R$ 5"])
    };
    assert_eq!(text(&receipt), "[document: 42.pdf]\nTotal R$ 5 de Centro = 1");
    let place = SendOrder { header: Some("-23.5, -46.6, Loja, Rua Um, 1".into()), ..order("where", &[]) };
    let (draft, _) = rules().send(&place).unwrap();
    let Content::Template(template) = draft.content() else { panic!("a template") };
    let expected =
        Header::Location { latitude: -23.5, longitude: -46.6, name: "Loja".into(), address: "Rua Um, 1".into() };
    assert_eq!((&template.header, &template.body), (&Some(expected), &Body::Positional(vec![])));
    let offer = SendOrder { header: Some("Ana".into()), buttons: vec!["ABC".into()], ..order("offer", &[]) };
    assert_eq!(text(&offer), "Para Ana\nSó hoje!\n[Código: ABC]");
    assert_eq!(rules().send(&offer).unwrap().0.content().category(), Category::Marketing);
}

#[test]
fn people_of_the_configuration_and_their_stated_consent() {
    let to_ana = |purpose: &str| SendOrder { to: "people:ana".into(), purpose: purpose.into(), ..ready(&["a", "b"]) };
    let (draft, _) = rules().send(&to_ana("staff")).unwrap();
    assert_eq!((draft.to().e164().as_str(), draft.terms().stated), (ANA, true));
    assert!(!rules().send(&to_ana("orders")).unwrap().0.terms().stated);
    let stranger = SendOrder { to: "+5511912345678".into(), ..to_ana("staff") };
    assert!(rules().send(&stranger).unwrap_err()[0].line().contains("there is no purpose staff"));
    let alias = SendOrder { language: "pt".into(), ..to_ana("orders") };
    assert!(rules().send(&alias).is_ok());
}

#[test]
fn mistakes_are_told_by_the_option_in_the_words_of_check() {
    let with = |change: fn(&mut SendOrder)| {
        let mut order = ready(&["a", "b"]);
        change(&mut order);
        order
    };
    #[rustfmt::skip]
    let table: Vec<(SendOrder, &[&str])> = vec![
        (ready(&["a"]), &["--param: the template (pt_BR) takes 2 parameters, found 1. Give --param once"]),
        (ready(&["a", " "]), &["--param: body 2 is empty. Write something"]),
        (order("receipt", &["R$ 5", "x"]), &["--param: the template has named parameters: total, shop. Write --param NAME=VALUE"]),
        (SendOrder { header: Some("https://x/1".into()), ..order("receipt", &["total=1", "shp=2"]) }, &["--param: the template (pt_BR) takes shop, total, found shp, total."]),
        (SendOrder { header: Some("https://x/1".into()), ..order("receipt", &["total=1", "total=2", "shop=3"]) }, &["--param: total is given twice."]),
        (order("receipt", &["total=1", "shop=2"]), &["--header: the template's header (pt_BR) takes document, found none."]),
        (SendOrder { header: Some("1.pdf".into()), ..order("receipt", &["total=1", "shop=2"]) }, &["--header: the header's address is no http(s) URL"]),
        (SendOrder { header: Some("Rua Um".into()), ..order("where", &[]) }, &["--header: the template's header takes location. Write --header"]),
        (with(|order| order.header = Some("x".into())), &["--header: the template's header (pt_BR) takes none, found text."]),
        (with(|order| order.filename = Some("x".into())), &["--filename: only a document has a file name."]),
        (with(|order| order.buttons.clear()), &["--button: the template (pt_BR) needs url for button 2."]),
        (with(|order| order.buttons.push("x".into())), &["--button: the template (pt_BR) has no further button that takes url."]),
        (with(|order| order.template = "redy".into()), &["--template: the template list has no redy. Did you mean ready?"]),
        (with(|order| order.language = "es_MX".into()), &["--template: ready in es_MX is paused. Choose another language (there are: es_MX, pt_BR)"]),
        (with(|order| order.language = "de".into()), &["--template: ready in de is not there. Choose"]),
        (with(|order| order.purpose = "order".into()), &["--purpose: there is no purpose order. Did you mean orders?"]),
        (with(|order| order.to = "12".into()), &["--to: the number is too short for its country"]),
        (with(|order| order.to = "people:anna".into()), &["--to: people has no anna. Did you mean ana?"]),
        (with(|order| order.to = "contacts:oncall".into()), &["--to: a message goes to one person."]),
        (SendOrder { priority: Priority::Critical, header: Some("Ana".into()), buttons: vec!["ABC".into()], ..order("offer", &[]) }, &["--priority: offer is marketing, and marketing is never critical."]),
        (SendOrder { header: Some("Ana".into()), buttons: vec!["A-B".into()], ..order("offer", &[]) }, &["--button: a copy code has"]),
        (SendOrder { to: "1".into(), purpose: "x".into(), language: "fr".into(), ..order("ready", &[]) }, &["--to: ", "--purpose: ", "--template: "]),
    ];
    for (order, expected) in table {
        let problems = rules().send(&order).err().unwrap_or_else(|| panic!("{expected:?} was sent"));
        let lines: Vec<String> = problems.iter().map(Problem::line).collect();
        assert_eq!(lines.len(), expected.len(), "{lines:?}");
        for (line, expected) in lines.iter().zip(expected) {
            assert!(line.starts_with(expected), "{line} is not {expected}");
            assert!(!line.contains("body = ") && !line.contains("header = "), "no words of a file: {line}");
        }
    }
}
