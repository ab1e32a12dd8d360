//! What comes back, whole: the simulated platform reports by signed webhooks over TLS, and the built binary acts on it.

use crate::house::{House, customer, now, order_for};
use crate::mosquitto::Port;
use crate::trials::ear::Ear;
use branchline::demo::api::{Callback, Fault, Scenario};
use branchline::demo::certs::{Authority, Validity};
use serde_json::{Value, json};
use std::time::Duration;

const SECRET: &str = "trial-app-secret";
const VERIFY: &str = "trial-verify-token";

/// A house whose platform reports to its box.
struct Heard {
    house: House,
    ear: Ear,
    _port: Port,
}

impl Heard {
    fn new() -> Heard {
        let port = Port::reserve();
        let authority = Authority::new(Validity::around(now())).unwrap();
        let url = format!("https://127.0.0.1:{}/whatsapp", port.number());
        let callback = Callback {
            url,
            app_secret: SECRET.to_owned(),
            verify_token: VERIFY.to_owned(),
            authorities: vec![authority.certificate_der()],
            account: "102290129340398".to_owned(),
        };
        let more = format!(
            "[webhook]\nlisten = \"127.0.0.1:{}\"\ncert_file = \"webhook.pem\"\nkey_file = \"webhook.key\"\n\
             app_secret_file = \"app-secret\"\nverify_token_file = \"verify-token\"\n[rules.hello]\ninherit = \"order\"\n\
             topic = \"pos/{{till}}/hello\"\nmessage = {{ text = \"{{{{ payload.text }}}}\" }}\n",
            port.number()
        );
        let mut house =
            House::with_api(&more, |settings| branchline::demo::api::Settings { callback: Some(callback), ..settings });
        let identity = authority.server(&["127.0.0.1"], Validity::around(now())).unwrap();
        house.write("webhook.pem", identity.certificate_pem());
        house.write("webhook.key", &identity.key_pem());
        house.write("app-secret", SECRET);
        house.write("verify-token", &format!("{VERIFY}\n"));
        let ear = Ear::new(house.broker.port(), "branchline/#");
        house.start();
        Heard { house, ear, _port: port }
    }

    /// The platform does something.
    fn does(&self, step: &str) {
        let scenario =
            Scenario::read(&format!("[[step]]\n{step}\n")).unwrap_or_else(|wrong| panic!("{step}: {wrong:?}"));
        self.house.control().obey(&scenario.steps()[0].order).unwrap();
    }

    fn says(&self, number: &str, text: &str) {
        self.does(&format!("inbound = {{ from = '{number}', name = 'Bia', text = '{text}' }}"));
    }

    /// What was published below a topic so far.
    fn published(&self, topic: &str) -> Vec<Value> {
        let heard = self.ear.heard().into_iter();
        heard
            .filter(|heard| heard.topic.starts_with(&format!("branchline/t-1/{topic}")))
            .map(|heard| heard.json())
            .collect()
    }

    fn wait(&mut self, what: &str, done: impl Fn(&House, &[(String, Value)]) -> bool) {
        let ear = &self.ear;
        self.house.wait(what, |house| {
            let heard: Vec<(String, Value)> =
                ear.heard().into_iter().map(|one| (one.topic.clone(), one.json())).collect();
            done(house, &heard)
        });
    }

    fn hello(&self, number: u32, text: &str) {
        let customer = json!({"phone": customer(1), "whatsapp_opt_in": true});
        let payload = json!({"event_id": format!("h{number}"), "text": text, "customer": customer});
        self.house.publish([("pos/1/hello".to_owned(), payload.to_string())]);
    }
}

fn receipt(heard: &[(String, Value)], outcome: &str) -> usize {
    heard.iter().filter(|(topic, told)| topic.contains("/receipt/") && told["outcome"] == outcome).count()
}

#[test]
fn a_message_is_followed_to_the_phone_and_people_are_heard() {
    let mut heard = Heard::new();
    let bia = customer(1);
    // Reports of both, doubled and in any order as the platform sends them.
    heard.house.publish([order_for(1, &bia), order_for(2, &customer(2))]);
    heard.wait("both are delivered", |_, heard| receipt(heard, "delivered") + receipt(heard, "read") >= 2);

    // Free text has no window, then the person writes, then it has.
    heard.hello(1, "nobody asked");
    heard.wait("it is withheld", |_, heard| {
        heard.iter().any(|(_, told)| told["reason"] == "window-closed" && told["outcome"] == "withheld")
    });
    heard.says(&bia, "Oi, tudo bem?");
    heard.wait("what she wrote is published", |_, heard| {
        heard.iter().any(|(topic, _)| topic == "branchline/t-1/inbound/text")
    });
    let said = heard.published("inbound/text").remove(0);
    assert_eq!((said["text"].as_str(), said["kind"].as_str()), (Some("Oi, tudo bem?"), Some("text")));
    assert!(!said.to_string().contains(&bia[3..]), "masked: {said}");
    heard.hello(2, "bom dia");
    heard.house.wait_for_accepted(3, Duration::from_secs(30));

    // She wants no more, and is told so once.
    heard.says(&bia, "Parar, por favor!");
    heard.house.wait_for_accepted(4, Duration::from_secs(60));
    heard.says(&bia, "PARAR");
    heard.house.publish([order_for(3, &bia), order_for(4, &customer(4))]);
    heard.house.wait_for_accepted(5, Duration::from_secs(30));
    heard.wait("it is withheld", |_, heard| heard.iter().any(|(_, told)| told["reason"] == "consent-revoked"));
    let texts: Vec<String> = heard.house.control().accepted().iter().map(|seen| seen.text.clone()).collect();
    assert_eq!(texts.iter().filter(|text| text.contains("não enviaremos mais")).count(), 1, "{texts:?}");
    let shown = heard.house.said(&["consent", "show", &bia]);
    assert!(shown.contains("stop word"), "{shown}");

    // The technician too: honoured, and shouted.
    heard.says("+5511987654321", "STOP");
    heard.wait("the state says so", |_, heard| {
        heard.iter().any(|(topic, told)| {
            let refuses = |hold: &Value| hold["what"] == "contact:oncall" && hold["reason"] == "consent-revoked";
            topic.ends_with("/state") && told["holds"].as_array().is_some_and(|holds| holds.iter().any(refuses))
        })
    });
    let metrics = heard.house.status().unwrap();
    assert_eq!(metrics["running"], json!(true));
    let reports = &metrics["reports"][0];
    assert_eq!((&reports["way"], &reports["unsigned"]), (&json!("webhook"), &json!(0)));
    assert!(reports["bodies"].as_u64().unwrap() > 5 && !reports["last"].is_null(), "{reports}");
    assert!(heard.house.stop().success());
}

#[test]
fn an_unknown_message_is_settled_by_its_report_and_not_repeated() {
    let mut heard = Heard::new();
    heard.house.control().fault(Fault::AcceptWithoutAnswer, Some(1));
    heard.house.publish([order_for(1, &customer(1))]);
    heard.wait("nobody knows, then the report tells", |_, heard| {
        receipt(heard, "unknown") == 1 && heard.iter().any(|(_, told)| told["reason"] == "reported")
    });
    heard.house.wait("it has ended", |house| house.backlog() == 0);
    assert_eq!((heard.house.control().accepted().len(), heard.house.same_again()), (1, 0), "no repeat");
    assert!(heard.house.stop().success());
}

#[test]
fn reports_survive_that_the_box_is_killed_before_it_answers() {
    let mut heard = Heard::new();
    heard.house.publish((1..=20).map(|n| order_for(n, &customer(n))));
    heard.house.wait_for_accepted(20, Duration::from_secs(60));
    heard.house.kill();
    heard.says(&customer(1), "parar");
    heard.house.start();
    heard.wait("every message is followed, and the stop is heard", |_, heard| {
        let of = |outcome: &str| {
            let ids = heard.iter().filter(|(topic, told)| topic.contains("/receipt/") && told["outcome"] == outcome);
            ids.map(|(_, told)| told["message"].to_string()).collect::<std::collections::BTreeSet<_>>()
        };
        let followed: std::collections::BTreeSet<_> = of("delivered").union(&of("read")).cloned().collect();
        followed.len() == 20 && heard.iter().any(|(topic, _)| topic.ends_with("/inbound/text"))
    });
    heard.house.publish([order_for(21, &customer(1))]);
    heard.wait("she is left alone", |_, heard| heard.iter().any(|(_, told)| told["reason"] == "consent-revoked"));
    assert!(heard.house.stop().success());
}
