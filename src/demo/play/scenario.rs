//! Who lives in the demo's branch, what happens there, and what must come of it: written by hand, never copied from output.
//!
//! Floor: beside the roof. The texts are what a person must read, word by word: `config/demo-templates.json` filled in.

use crate::time::Wall;
use serde_json::{Value, json};

/// Somebody who may be messaged.
pub(super) struct Person {
    pub(super) name: &'static str,
    /// `+` and digits: what the API must be asked for. Shown masked only.
    pub(super) number: &'static str,
    /// As the till has it; technicians are in the configuration.
    written: &'static str,
    region: &'static str,
    language: &'static str,
    /// What the till says.
    opt_in: bool,
}

const fn brazilian(name: &'static str, number: &'static str, written: &'static str) -> Person {
    Person { name, number, written, region: "BR", language: "pt", opt_in: true }
}

const fn mexican(name: &'static str, number: &'static str, written: &'static str) -> Person {
    Person { name, number, written, region: "MX", language: "es", opt_in: true }
}

const BEATRIZ: Person = brazilian("Beatriz", "+5511987650142", "(11) 98765-0142");
// The platform knows numbers of this area without the ninth digit.
const RAFAEL: Person = brazilian("Rafael", "+5541998760137", "(41) 99876-0137");
const CARLA: Person = Person { opt_in: false, ..brazilian("Carla", "+5511977770163", "(011) 97777-0163") };
const MATEO: Person = mexican("Mateo", "+525512340115", "55 1234 0115");
const XIMENA: Person = mexican("Ximena", "+523312340126", "33 1234 0126");
pub(super) const DIEGO: Person = mexican("Diego", "+528112340158", "81 1234 0158");
const ANA: Person = brazilian("Ana", "+5511987654321", "");
const LUIS: Person = mexican("Luis", "+525512345678", "");

/// Everybody.
pub(super) static PEOPLE: [Person; 8] = [BEATRIZ, RAFAEL, CARLA, MATEO, XIMENA, DIEGO, ANA, LUIS];

/// One publish.
pub(super) struct Event {
    /// As the table names it.
    pub(super) number: &'static str,
    /// Its id, carried as the user property `event-id`, and in the payload where there is one: the number, but for repeats.
    pub(super) id: &'static str,
    pub(super) topic: &'static str,
    /// What it means, for whoever watches.
    pub(super) meaning: &'static str,
    says: Says,
}

enum Says {
    Order(&'static Person, f64, &'static str),
    Alarm(&'static str, &'static str),
    Raw(&'static str),
}

impl Event {
    /// What the till or the node publishes at this time.
    pub(super) fn payload(&self, now: Wall) -> String {
        let body: Value = match self.says {
            Says::Raw(text) => return text.to_owned(),
            Says::Alarm(alarm, value) => {
                json!({"event_id": self.id, "time": now.rfc3339(), "alarm": alarm, "value": value})
            }
            Says::Order(person, total, currency) => json!({
                "event_id": self.id, "time": now.rfc3339(), "total": total, "currency": currency,
                "customer": {"name": person.name, "phone": person.written, "country": person.region,
                             "lang": person.language, "whatsapp_opt_in": person.opt_in},
            }),
        };
        body.to_string()
    }
}

const fn event(number: &'static str, topic: &'static str, meaning: &'static str, says: Says) -> Event {
    Event { number, id: number, topic, meaning, says }
}

use Says::{Alarm, Order, Raw};

/// Before the uplink is cut. The technicians' alarm comes first: when the line is back, the pair limit holds nothing of
/// theirs any more.
#[rustfmt::skip]
pub(super) const MORNING: &[Event] = &[
    event("e01", "node/loja-3/alarm", "the rack in the cellar is too hot", Alarm("temperatura", "47 °C")),
    event("e02", "pos/1/order/A-1042/placed", "Beatriz, in Brazil, orders for R$ 89,90", Order(&BEATRIZ, 89.9, "BRL")),
    event("e03", "pos/1/order/A-1043/placed", "Mateo, in Mexico, orders for MX$1,349.00", Order(&MATEO, 1349.0, "MXN")),
    event("e04", "pos/2/order/A-1044/placed", "Carla orders; the till says opt_in: false", Order(&CARLA, 32.5, "BRL")),
    event("e05", "pos/2/order/A-1045/placed", "Diego orders; the till says opt_in: true", Order(&DIEGO, 210.0, "MXN")),
    event("e06", "pos/2/order/A-1046/placed", "a till dies in the middle of its event",
          Raw(r#"{"event_id": "e06", "total": 54.0, "customer": {"name": "Raf"#)),
    event("e07", "pos/1/order/A-1046/placed", "Rafael, in Brazil, orders right behind it", Order(&RAFAEL, 54.0, "BRL")),
    Event { id: "e03", ..event("e08", "pos/1/order/A-1043/placed", "the till publishes Mateo's order once more",
                               Order(&MATEO, 1349.0, "MXN")) },
    event("e09", "pos/2/order/TEST/ready", "a till in training mode: a total of 0", Order(&BEATRIZ, 0.0, "BRL")),
    event("e10", "pos/1/order/A-1042/ready", "Beatriz's order is ready", Order(&BEATRIZ, 89.9, "BRL")),
];

/// While the API cannot be reached.
#[rustfmt::skip]
pub(super) const CUT: &[Event] = &[
    event("e11", "pos/1/order/A-1047/placed", "Ximena, in Mexico, orders for MX$99.50", Order(&XIMENA, 99.5, "MXN")),
    event("e12", "pos/1/order/A-1043/ready", "Mateo's order is ready", Order(&MATEO, 1349.0, "MXN")),
    event("e13", "pos/1/order/A-1047/ready", "Ximena's order is ready already", Order(&XIMENA, 99.5, "MXN")),
    event("e14", "pos/2/order/A-1048/placed", "Mateo orders something more", Order(&MATEO, 75.0, "MXN")),
    event("e15", "node/loja-3/alarm", "the node runs on battery", Alarm("UPS", "38 %")),
    event("e16", "pos/1/order/A-1042/delivered", "Beatriz's order is delivered", Order(&BEATRIZ, 89.9, "BRL")),
];

/// After the uplink is back.
#[rustfmt::skip]
pub(super) const EVENING: &[Event] = &[
    event("e17", "pos/1/order/A-1046/ready", "Rafael's order is ready", Order(&RAFAEL, 54.0, "BRL")),
    event("e18", "pos/1/order/A-1047/delivered", "Ximena's order is delivered", Order(&XIMENA, 99.5, "MXN")),
];

/// What must come of an event for one person, or for the event as a whole.
pub(super) struct Row {
    pub(super) event: &'static str,
    /// In a word or two.
    pub(super) what: &'static str,
    pub(super) to: Option<&'static Person>,
    /// The last outcome and its reason; `counted` where an event makes no message, with the counter's result.
    pub(super) ends: (&'static str, &'static str),
    /// What the person reads, where something is sent.
    pub(super) text: &'static str,
}

/// Of events that make no message and no receipt: the metrics say what came of them.
pub(super) const COUNTED: &str = "counted";

const TAKEN: (&str, &str) = ("accepted", "taken");

const fn sent(event: &'static str, what: &'static str, to: &'static Person, text: &'static str) -> Row {
    Row { event, what, to: Some(to), ends: TAKEN, text }
}

const fn not_sent(
    event: &'static str,
    what: &'static str,
    to: &'static Person,
    ends: (&'static str, &'static str),
) -> Row {
    Row { event, what, to: Some(to), ends, text: "" }
}

/// The day, row by row. Of one person, in the order in which the texts must come.
#[rustfmt::skip]
pub(super) const EXPECTED: &[Row] = &[
    sent("e01", "alarm", &ANA, "Alarme no nó loja-3: temperatura, 47 °C. Verifique assim que possível."),
    sent("e01", "alarm", &LUIS, "Alarma en el nodo loja-3: temperatura, 47 °C. Revísalo lo antes posible."),
    sent("e02", "A-1042 placed", &BEATRIZ,
         "Oi, Beatriz! Recebemos seu pedido A-1042, no total de R$ 89,90. Avisamos por aqui assim que estiver pronto."),
    sent("e03", "A-1043 placed", &MATEO,
         "¡Hola, Mateo! Recibimos tu pedido A-1043 por $1,349.00. Te avisamos por aquí en cuanto esté listo."),
    not_sent("e04", "A-1044 placed", &CARLA, ("withheld", "no-consent")),
    not_sent("e05", "A-1045 placed", &DIEGO, ("withheld", "consent-revoked")),
    Row { event: "e06", what: "no JSON", to: None, ends: ("unreadable", "payload-unreadable"), text: "" },
    sent("e07", "A-1046 placed", &RAFAEL,
         "Oi, Rafael! Recebemos seu pedido A-1046, no total de R$ 54,00. Avisamos por aqui assim que estiver pronto."),
    Row { event: "e08", what: "e03 once more", to: None, ends: (COUNTED, "duplicate"), text: "" },
    Row { event: "e09", what: "a total of 0", to: None, ends: (COUNTED, "when-false"), text: "" },
    sent("e10", "A-1042 ready", &BEATRIZ,
         "Oi, Beatriz! Seu pedido A-1042 está prontinho. É só passar no balcão quando puder."),
    not_sent("e11", "A-1047 placed", &XIMENA, ("withdrawn", "superseded")),
    sent("e12", "A-1043 ready", &MATEO,
         "¡Hola, Mateo! Tu pedido A-1043 ya está listo. Pasa por él al mostrador cuando gustes."),
    sent("e13", "A-1047 ready", &XIMENA,
         "¡Hola, Ximena! Tu pedido A-1047 ya está listo. Pasa por él al mostrador cuando gustes."),
    sent("e14", "A-1048 placed", &MATEO,
         "¡Hola, Mateo! Recibimos tu pedido A-1048 por $75.00. Te avisamos por aquí en cuanto esté listo."),
    sent("e15", "alarm", &ANA, "Alarme no nó loja-3: UPS, 38 %. Verifique assim que possível."),
    sent("e15", "alarm", &LUIS, "Alarma en el nodo loja-3: UPS, 38 %. Revísalo lo antes posible."),
    sent("e16", "A-1042 delivered", &BEATRIZ,
         "Tudo certo, Beatriz: seu pedido A-1042 foi entregue. Obrigado pela preferência!"),
    sent("e17", "A-1046 ready", &RAFAEL,
         "Oi, Rafael! Seu pedido A-1046 está prontinho. É só passar no balcão quando puder."),
    sent("e18", "A-1047 delivered", &XIMENA,
         "Todo en orden, Ximena: tu pedido A-1047 fue entregado. ¡Gracias por tu compra!"),
];

/// What must come of one event.
pub(super) fn rows_of(event: &str) -> impl Iterator<Item = &'static Row> {
    EXPECTED.iter().filter(move |row| row.event == event)
}

/// `branchline_events_total` at the end: every event is heard by one rule, once. An event is `matched` also when what it
/// says to a person is a repeat.
#[rustfmt::skip]
pub(super) const COUNTERS: &[(&str, &str, u64)] = &[
    ("node-alarm", "matched", 2),
    ("order-delivered", "matched", 2),
    ("order-placed", "duplicate", 1),
    ("order-placed", "matched", 8),
    ("order-placed", "payload-unreadable", 1),
    ("order-ready", "matched", 4),
    ("order-ready", "when-false", 1),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Country, Number};
    use std::collections::BTreeSet;

    #[test]
    fn people_are_told_apart_by_what_is_shown_of_them() {
        let shown: BTreeSet<String> =
            PEOPLE.iter().map(|person| Number::of_digits(&person.number[1..]).unwrap().to_string()).collect();
        assert_eq!(shown.len(), PEOPLE.len(), "{shown:?}");
        for person in PEOPLE.iter().filter(|person| !person.written.is_empty()) {
            let country = Country::of_code(person.region).unwrap();
            assert_eq!(Number::read(person.written, country).unwrap().e164(), person.number, "{}", person.name);
        }
    }

    #[test]
    fn every_event_has_its_row() {
        let events: BTreeSet<&str> = [MORNING, CUT, EVENING].into_iter().flatten().map(|event| event.number).collect();
        let rows: BTreeSet<&str> = EXPECTED.iter().map(|row| &row.event[..3]).collect();
        assert_eq!(events, rows);
    }
}
