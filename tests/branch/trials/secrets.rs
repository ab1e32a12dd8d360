//! No output holds a secret or a whole phone number: the ledger's own export is the only exception.

use crate::house::{House, TOKEN, alarm, customer, order, order_for};
use crate::mosquitto::{Mosquitto, Port};
use crate::trials::ear::Ear;
use crate::trials::operate::get;
use branchline::demo::api::Fault;
use std::process::Command;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);
const PASSWORD: &str = "mosquito-net-42";
const APP_SECRET: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

/// Everything that was said, where, and what must not be in it.
struct Search {
    said: Vec<(String, String)>,
}

impl Search {
    fn add(&mut self, place: &str, text: impl Into<String>) {
        self.said.push((place.to_owned(), text.into()));
    }

    fn command(&mut self, house: &House, arguments: &[&str]) {
        let output = house.command(arguments);
        let text = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).join("\n");
        self.add(&format!("branchline {}", arguments.join(" ")), text);
    }

    fn ends_clean(&self, forbidden: &[String]) {
        for (place, text) in &self.said {
            assert!(!text.trim().is_empty(), "{place} said nothing");
            for words in forbidden {
                assert!(!text.contains(words), "{place} shows {words}:\n{text}");
            }
        }
    }
}

/// Everything that we say and, with `LIBRARIES`, everything that those say who carry the secrets, as far as it is in the program:
/// down to debug (Cargo.toml).
const ALL: &str = "trace";
const LIBRARIES: &str = "trace,h2=trace,rustls=trace,rumqttc=trace,hyper=trace,hyper_util=trace,reqwest=trace";

fn life(json: bool, level: &str) {
    let mut house = House::with_api("", |settings| branchline::demo::api::Settings {
        app_secret: Some(APP_SECRET.to_owned()),
        ..settings
    });
    let reserved = [Port::reserve(), Port::reserve()];
    let [guarded, page] = reserved.each_ref().map(Port::number);
    let lines = format!(
        "per_listener_settings true\nallow_anonymous true\nlistener {guarded} 127.0.0.1\nallow_anonymous false\n\
         password_file {{folder}}/passwords\n"
    );
    house.broker = Mosquitto::start_with(&lines, |folder| {
        let file = folder.join("passwords");
        let made = Command::new("mosquitto_passwd").args(["-b", "-c"]).arg(file).args(["relay", PASSWORD]).status();
        assert!(made.unwrap().success());
    });
    house.write("mqtt-password", PASSWORD);
    house.write("app-secret", APP_SECRET);
    house.layer(
        "secret",
        &format!(
            "[mqtt]\nurl = \"mqtt://127.0.0.1:{guarded}\"\nusername = \"relay\"\npassword_file = \"mqtt-password\"\n\
             [uplink]\napp_secret_file = \"app-secret\"\n[operate]\nlisten = \"127.0.0.1:{page}\"\n"
        ),
    );
    house.level = level.to_owned();
    if json {
        house.arguments = vec!["--log".to_owned(), "json".to_owned()];
    }
    let ear = Ear::new(house.broker.port(), "branchline/#");
    house.control().fault(Fault::Code(131_026), Some(1));
    house.control().fault(Fault::AcceptWithoutAnswer, Some(1));
    house.start();
    house.publish((1..=6).map(order).chain([
        alarm(1),
        order_for(7, "+55119800000077"),
        order_for(8, "not a number 5511980000088"),
    ]));
    house.publish([
        ("pos/1/order/9/ready".to_owned(), "{\"customer\": {\"phone\": \"+5511980000099\"".to_owned()),
        (
            "pos/1/order/10/ready".to_owned(),
            "{\"customer\": {\"phone\": \"+5511980000010\", \"whatsapp_opt_in\": true}}".to_owned(),
        ),
    ]);
    house.wait_for_accepted(6, LONG);
    house.control().set_token("another");
    house.publish([order(11)]);
    house.wait_for("the token is refused", LONG, |house| house.problems().contains("NUMBER STOPPED"));

    let mut search = Search { said: Vec::new() };
    let id = house.data(&["outbox", "list"])["rows"][0]["id"].as_str().unwrap().to_owned();
    let event = house.write("event.json", &order(2).1);
    let event = event.to_str().unwrap();
    // Broken where the number stands, and a number that is none: both are shown with their place.
    let broken = house.write("broken.json", &order(2).1.replace("\"phone\":", "\"phone\" "));
    let broken = broken.to_str().unwrap();
    let unread = house.write("unread.json", &order(2).1.replace(&customer(2), "5511980000088 12345"));
    let unread = unread.to_str().unwrap();
    let (number, nobody) = (customer(2), customer(9));
    let send = |to| {
        [
            "send",
            "--to",
            to,
            "--template",
            "order_ready",
            "--language",
            "pt_BR",
            "--purpose",
            "orders",
            "--param",
            "Ana",
            "--param",
            "2",
        ]
    };
    for arguments in [
        &send(&number)[..],
        &[&send(&number)[..], &["--json"]].concat(),
        &[&send(&nobody)[..], &["--dry-run"]].concat(),
        &[&send(&nobody)[..], &["--dry-run", "--json"]].concat(),
        &send("+551198000009912345"),
        &["explain", "--topic", "pos/1/order/2/ready", "--payload", broken],
        &["explain", "--topic", "pos/1/order/2/ready", "--payload", unread],
        &["explain", "--topic", "pos/1/order/2/ready", "--payload", unread, "--json"],
        &["status"][..],
        &["status", "--json"],
        &["outbox", "list"],
        &["outbox", "list", "--json"],
        &["outbox", "show", &id],
        &["outbox", "show", &id, "--json"],
        &["explain", "--topic", "pos/1/order/2/ready", "--payload", event],
        &["explain", "--topic", "pos/1/order/2/ready", "--payload", event, "--json"],
        &["consent", "show", &customer(1)],
        &["consent", "revoke", &customer(1), "--json"],
        &["consent", "grant", &customer(2), "--purpose", "nothing", "--source", "x"],
        &["consent", "show", "+551198000009912345"],
        &["pause", "--rule", "nobody", "--reason", "x"],
        &["check"],
        &["check", "--json"],
        &["run"],
        &["outbox", "show", "zzzz-1"],
    ] {
        search.command(&house, arguments);
    }
    let bad = house.write("bad.csv", "number,purpose,action,at,source,wording,expires\n+5511980000003,nothing,grant,,x,,\n551198000000,orders,,,,,\n");
    search.command(&house, &["consent", "import", bad.to_str().unwrap()]);
    for path in ["/", "/metrics", "/status.json"] {
        search.add(path, get(page, path));
    }
    house.wait("receipts", |_| ear.heard().len() > 8);
    search.add("MQTT", ear.heard().iter().map(|heard| format!("{heard:?}\n")).collect::<String>());
    assert!(house.stop().success());
    search.command(&house, &["status"]);
    search.command(&house, &["outbox", "list"]);
    search.add("the log", house.whole_log());

    let mut forbidden = vec![TOKEN.to_owned(), PASSWORD.to_owned(), APP_SECRET.to_owned()];
    // Without the plus and the country: however it is written.
    forbidden.extend((1..=11).map(|number| customer(number)[5..].to_owned()));
    forbidden.extend(["987654321", "9800000077", "980000088", "980000099", "80000099"].map(str::to_owned));
    search.ends_clean(&forbidden);
    if level == LIBRARIES {
        assert!(house.whole_log().contains("StreamId("), "the libraries do speak");
    }
    // The search can find: what it looks for is in the ledger's export.
    let export = house.said(&["consent", "export"]);
    assert!(forbidden.iter().any(|words| export.contains(words)), "{export}");
}

#[test]
fn text_log() {
    life(false, ALL);
}

#[test]
fn json_log() {
    life(true, ALL);
}

#[test]
fn text_log_with_the_libraries() {
    life(false, LIBRARIES);
}

#[test]
fn json_log_with_the_libraries() {
    life(true, LIBRARIES);
}
