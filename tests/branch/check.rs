//! `branchline check --online` against real brokers and the simulated platform: what works, what does not, and what to do.

use crate::house::{API_NAMES, House, RULES, TEMPLATES, TOKEN, now, order};
use crate::mosquitto::{Mosquitto, Port};
use branchline::demo::api::Health;
use branchline::demo::certs::{Authority, Identity, Validity};
use branchline::time::Wall;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

const DAY: i64 = 24 * 60 * 60 * 1000;

/// Runs it: the exit code, and each line by part and step.
struct Checked {
    code: i32,
    text: String,
    lines: Vec<Value>,
}

fn check(house: &House) -> Checked {
    house.configure();
    let output = house.command(&["check", "--online", "--json"]);
    let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert!(!text.contains(TOKEN) && !text.contains("s3cret"), "{text}");
    let all: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(all["ok"], Value::from(output.status.success()), "{text}");
    let lines = all["online"].as_array().unwrap().clone();
    let text = lines.iter().map(|line| format!("{line}\n")).collect();
    Checked { code: output.status.code().unwrap(), lines, text }
}

impl Checked {
    /// The outcome of one step, and what was found with what to do.
    fn step(&self, part: &str, step: &str) -> (String, String) {
        let line = self.lines.iter().find(|line| line["part"] == part && line["step"] == step);
        let line = line.unwrap_or_else(|| panic!("no {part} {step}: {}", self.text));
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        assert_eq!(line["took_ms"].is_null(), text("outcome") == "not tried", "{line}");
        (text("outcome"), text("found") + ". " + &text("fix"))
    }

    /// The steps that are not "ok", in their order.
    /// A disk that is slow or nearly full is this machine's.
    fn odd(&self) -> Vec<String> {
        let ours = |line: &&Value| {
            line["part"] == "box"
                && ["disk", "space"].iter().any(|step| line["step"] == *step)
                && line["outcome"] == "warning"
        };
        let odd = self.lines.iter().filter(|line| line["outcome"] != "ok" && !ours(line));
        odd.map(|line| [&line["part"], &line["step"], &line["outcome"]].map(|word| word.as_str().unwrap()).join(" "))
            .collect()
    }

    fn expect(&self, code: i32, odd: &[&str], part: &str, step: &str, words: &[&str]) {
        assert_eq!(self.odd(), odd, "{}", self.text);
        assert_eq!(self.code, code, "{}", self.text);
        let (_, said) = self.step(part, step);
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
    }
}

/// A broker with users, rights and TLS, as README recommends it.
fn guarded(house: &mut House, identity: &Identity, acl: &str) -> Port {
    let port = Port::reserve();
    let number = port.number();
    let lines = format!(
        "allow_anonymous false\npassword_file {{folder}}/passwd\nacl_file {{folder}}/acl\nlistener {number} 127.0.0.1\n\
         certfile {{folder}}/broker.pem\nkeyfile {{folder}}/broker.key\n"
    );
    house.broker = Mosquitto::start_with(&lines, |folder| {
        present(folder, identity);
        std::fs::write(folder.join("acl"), acl).unwrap();
        let passwords = folder.join("passwd");
        std::fs::write(&passwords, "").unwrap();
        for user in ["relay", "till"] {
            let made =
                Command::new("mosquitto_passwd").arg("-b").arg(&passwords).args([user, "s3cret"]).output().unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
    });
    house.write("broker-ca.pem", house.authority.certificate_pem());
    house.write("mqtt-password", "s3cret\n");
    house.layer(
        "broker",
        &format!(
            "[mqtt]\nurl = \"mqtts://127.0.0.1:{number}\"\nusername = \"relay\"\npassword_file = \"mqtt-password\"\n\
             ca_file = \"broker-ca.pem\"\n"
        ),
    );
    port
}

fn present(folder: &Path, identity: &Identity) {
    std::fs::write(folder.join("broker.pem"), identity.certificate_pem()).unwrap();
    std::fs::write(folder.join("broker.key"), identity.key_pem()).unwrap();
}

fn good(authority: &Authority) -> Identity {
    authority.server(API_NAMES, Validity::around(now())).unwrap()
}

const ACL: &str =
    "user relay\ntopic read pos/#\ntopic read node/#\ntopic write branchline/#\nuser till\ntopic write pos/#\n";

#[test]
fn all_is_well_and_a_running_daemon_notices_nothing() {
    let mut house = House::new("");
    let identity = good(&house.authority);
    let _port = guarded(&mut house, &identity, ACL);
    house.start();
    let before = house.data(&["outbox", "list"]);
    let checked = check(&house);
    checked.expect(0, &[], "uplink", "templates", &["2 in use, all as in the file"]);
    assert!(
        checked.step("broker", "TLS").1.contains("365 days left")
            || checked.step("broker", "TLS").1.contains("364 days")
    );
    assert!(checked.step("broker", "sign-in").1.contains("as \"relay\""));
    assert!(checked.step("broker", "subscriptions").1.contains("2 granted"));
    assert!(checked.step("broker", "strangers").1.contains("turned away"));
    assert!(checked.step("uplink", "number").1.contains("quality GREEN, can send: AVAILABLE"));
    assert!(checked.step("box", "clock").1.contains("agrees"));
    let text = house.said(&["check", "--online"]);
    // The warnings are of limits that this house has switched off.
    // But for a disk of this machine that is slow, or nearly full.
    let online = ["online: 15 ok", "online: 14 ok, 1 warning", "online: 13 ok, 2 warning"];
    assert!(text.contains("no problems, 7 warnings") && online.iter().any(|sum| text.contains(sum)), "{text}");
    assert_eq!(house.data(&["outbox", "list"]), before, "nothing was stored or sent");
    assert!(!house.whole_log().contains("no broker"), "{}", house.log());
    assert_eq!(house.control().counters().accepted, 0);
    assert!(house.stop().success());
}

/// The address of `[webhook]`: free, the running daemon's, or somebody else's.
#[test]
fn the_address_of_the_webhook_is_tried() {
    let port = Port::reserve();
    let on = port.number();
    let mut house = House::new(&format!(
        "[webhook]\nlisten = \"127.0.0.1:{on}\"\napp_secret_file = \"app-secret\"\nverify_token_file = \"verify-token\"\n"
    ));
    house.write("app-secret", "the-app-secret");
    house.write("verify-token", "a word of ours");
    let checked = check(&house);
    assert_eq!(checked.step("webhook", "address").0, "ok", "{}", checked.text);
    assert!(checked.step("webhook", "address").1.contains("is free, plain HTTP"), "{}", checked.text);
    house.start();
    let checked = check(&house);
    assert!(
        checked
            .step("webhook", "address")
            .1
            .contains("is in use, plain HTTP, for something in front, while a daemon runs"),
        "{}",
        checked.text
    );
    assert!(house.stop().success());
    let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    house.layer("elsewhere", &format!("[webhook]\nlisten = \"{}\"\n", socket.local_addr().unwrap()));
    let checked = check(&house);
    let (outcome, said) = checked.step("webhook", "address");
    assert!(outcome == "no" && checked.code == 1 && said.contains("no daemon of this configuration runs"), "{said}");
}

/// Events that come while the check is subscribed are the daemon's all the same; so are those that wait in its session.
#[test]
fn events_are_the_daemons_alone() {
    let mut house = House::new("");
    house.start();
    assert!(house.stop().success());
    house.publish((1..=3).map(order)); // queued in the session of a daemon that is away
    for _ in 0..2 {
        let checked = check(&house);
        checked.expect(
            0,
            &["broker TLS not tried", "broker strangers warning"],
            "broker",
            "strangers",
            &["allow_anonymous false"],
        );
    }
    house.start();
    house.publish((4..=6).map(order));
    check(&house);
    house.wait_for_accepted(6, std::time::Duration::from_secs(30));
    assert_eq!(house.control().repeats().len(), 0);
    assert!(house.stop().success());
}

#[test]
fn brokers_that_are_not_there_or_say_no() {
    let mut house = House::new("");
    house.broker.pause();
    let rest = [
        "broker TLS not tried",
        "broker sign-in not tried",
        "broker subscriptions not tried",
        "broker strangers not tried",
    ];
    let odd = [&["broker connection unreachable"][..], &rest].concat();
    check(&house).expect(69, &odd, "broker", "connection", &["refuses the connection", "mqtt.url", "nothing listens"]);

    house.layer("name", "[mqtt]\nurl = \"mqtt://no-such-host.invalid\"\n");
    let odd = [&["broker name unreachable", "broker connection not tried"][..], &rest].concat();
    check(&house).expect(69, &odd, "broker", "name", &["cannot be looked up", "mqtt.url", "resolv.conf"]);
    std::fs::remove_file(house.path().join("conf.d/name.toml")).unwrap();

    let identity = good(&house.authority);
    let _port = guarded(&mut house, &identity, ACL);
    house.write("mqtt-password", "wrong\n");
    let odd = ["broker sign-in no", "broker subscriptions not tried", "broker strangers not tried"];
    check(&house).expect(1, &odd, "broker", "sign-in", &["mqtt.username, mqtt.password_file"]);
}

#[test]
fn bad_certificates_of_a_broker() {
    let span =
        |from: i64, until: i64| Validity { from: Wall(now().0 + from * DAY), until: Wall(now().0 + until * DAY) };
    let own = API_NAMES;
    let rest = ["broker sign-in not tried", "broker subscriptions not tried", "broker strangers not tried"];
    let no = [&["broker TLS no"][..], &rest].concat();
    for (names, validity, code, odd, words) in [
        (own, span(-20, -10), 1, &no[..], &["expired", "renew the broker's certificate"][..]),
        (own, span(10, 20), 1, &no, &["not valid yet", "check the clock of this box"]),
        (&["broker.example"][..], span(-1, 90), 1, &no, &["not valid for name", "mqtt.url"]),
        (own, span(-1, 5), 0, &["broker TLS warning"], &["days left", "Have it renewed"]),
    ] {
        let mut house = House::new("");
        let identity = house.authority.server(names, validity).unwrap();
        let _port = guarded(&mut house, &identity, ACL);
        check(&house).expect(code, odd, "broker", "TLS", words);
    }
    let mut house = House::new("");
    let identity = good(&Authority::new(Validity::around(now())).unwrap());
    let _port = guarded(&mut house, &identity, ACL);
    check(&house).expect(1, &no, "broker", "TLS", &["mqtt.ca_file"]);
}

/// What is not tried where the platform cannot be reached.
const AWAY: [&str; 5] = [
    "uplink TLS not tried",
    "uplink token not tried",
    "uplink number not tried",
    "uplink templates not tried",
    "box clock not tried",
];

const OPEN: [&str; 2] = ["broker TLS not tried", "broker strangers warning"];

fn with_open<'a>(odd: &[&'a str]) -> Vec<&'a str> {
    [&OPEN, odd].concat()
}

#[test]
fn bad_certificates_of_the_platform() {
    let span =
        |from: i64, until: i64| Validity { from: Wall(now().0 + from * DAY), until: Wall(now().0 + until * DAY) };
    let no = with_open(&[
        "uplink TLS no",
        "uplink token not tried",
        "uplink number not tried",
        "uplink templates not tried",
        "box clock not tried",
    ]);
    let mut house = House::new("");
    for (names, validity, code, odd, words) in [
        (API_NAMES, span(-20, -10), 1, no.clone(), &["expired on", "is its clock right?"][..]),
        (&["graph.example"][..], span(-1, 90), 1, no.clone(), &["is not for 127.0.0.1", "uplink.base_url"]),
        (API_NAMES, span(-1, 5), 0, with_open(&["uplink TLS warning"]), &["4 days left", "renewed"]),
    ] {
        let identity = house.authority.server(names, validity).unwrap();
        house.replace_api(&identity);
        check(&house).expect(code, &odd, "uplink", "TLS", words);
    }
    let other = Authority::new(Validity::around(now())).unwrap();
    house.replace_api(&good(&other));
    check(&house).expect(1, &no, "uplink", "TLS", &["an issuer that is not trusted", "uplink.ca_file"]);
}

#[test]
fn what_the_platform_says_of_token_number_and_templates() {
    let mut house = House::new("");
    house.write("token", "another-token");
    let after = ["uplink number not tried", "uplink templates not tried"];
    let odd = with_open(&[&["uplink token no"][..], &after].concat());
    check(&house).expect(1, &odd, "uplink", "token", &["code 190", "eplace the token file"]);
    house.write("token", TOKEN);

    house.layer("number", "[uplink]\nphone_number_id = \"4711\"\n");
    check(&house).expect(1, &odd, "uplink", "token", &["uplink.phone_number_id is the ID"]);
    std::fs::remove_file(house.path().join("conf.d/number.toml")).unwrap();

    // The file says what the platform does not.
    let no = with_open(&["uplink templates no"]);
    for (from, to, code, odd, words) in [
        (
            "Olá {{1}}, seu",
            "Oi {{1}}, seu",
            0,
            with_open(&["uplink templates warning"]),
            "order_ready pt_BR has other words",
        ),
        (
            "Alarme no nó {{1}}: {{2}}. Verifique",
            "Alarme: {{2}}, nó {{1}}. Verifique",
            1,
            no.clone(),
            "node_alarm pt_BR takes body 1, 2, not body 2, 1",
        ),
        ("\"UTILITY\"", "\"AUTHENTICATION\"", 1, no.clone(), "is utility, not authentication"),
    ] {
        house.write("templates.json", &TEMPLATES.replace(from, to));
        check(&house).expect(code, &odd, "uplink", "templates", &[words, "Fetch the list again"]);
    }
    house.write("templates.json", &TEMPLATES.replace("node_alarm", "rack_alarm"));
    let rules = RULES.replace("node_alarm", "rack_alarm");
    assert_ne!(rules, RULES);
    house.layer("rules", "[rules.alarm.message]\ntemplate = \"rack_alarm\"\n");
    check(&house).expect(1, &no, "uplink", "templates", &["rack_alarm pt_BR is not there"]);
    assert!(!house.control().seen().iter().any(|seen| seen.accepted()));
    house.broker.pause();
    let checked = check(&house);
    assert_eq!(checked.code, 1, "a no weighs more than nobody there: {}", checked.text);
}

#[test]
fn an_uplink_that_is_not_there_and_a_configuration_with_problems() {
    let house = House::new("");
    house.layer("away", &format!("[uplink]\nbase_url = \"https://127.0.0.1:{}\"\n", Port::reserve().number()));
    let odd = with_open(&[&["uplink connection unreachable"][..], &AWAY].concat());
    check(&house).expect(69, &odd, "uplink", "connection", &["refuses the connection", "uplink.base_url"]);
    house.layer("away", "[uplnk]\n");
    let said = house.refused(1, &["check", "--online"]);
    assert!(said.contains("not tried, the configuration has problems"), "{said}");
    house.refused(1, &["check"]);
}

#[test]
fn a_clock_that_is_off_and_a_store_without_a_folder() {
    let house = House::new("");
    // The platform's clock has whole seconds, and a busy machine takes some of its own.
    house.control().skew_date(-3_630);
    check(&house).expect(0, &with_open(&["box clock warning"]), "box", "clock", &["is 60 min fast", "timedatectl"]);
    house.control().skew_date(0);
    house.layer("store", "[outbox]\npath = \"absent/outbox.db\"\n");
    check(&house).expect(
        1,
        &with_open(&["box disk no", "box space no"]),
        "box",
        "disk",
        &["absent", "Make the folder"],
    );
}

/// mosquitto grants every subscription and keeps back what its acl_file does not allow: the line says that this is not seen here.
#[test]
fn what_mosquittos_acl_file_forbids_does_not_show_in_its_answers() {
    let mut house = House::new("");
    let identity = good(&house.authority);
    let _port = guarded(&mut house, &identity, "user relay\ntopic read pos/#\ntopic write branchline/#\n");
    check(&house).expect(0, &[], "broker", "subscriptions", &["2 granted", "acl_file"]);
}

#[test]
fn a_broker_that_asks_for_a_certificate() {
    let mut house = House::new("");
    let (identity, client) =
        (good(&house.authority), house.authority.client("relay", Validity::around(now())).unwrap());
    let authority = house.authority.certificate_pem().to_owned();
    let port = Port::reserve();
    let number = port.number();
    let lines = format!(
        "allow_anonymous false\nlistener {number} 127.0.0.1\ncertfile {{folder}}/broker.pem\nkeyfile {{folder}}/broker.key\n\
         cafile {{folder}}/ca.pem\nrequire_certificate true\nuse_identity_as_username true\n"
    );
    house.broker = Mosquitto::start_with(&lines, |folder| {
        present(folder, &identity);
        std::fs::write(folder.join("ca.pem"), &authority).unwrap();
    });
    house.write("ca.pem", &authority);
    house.write("relay.pem", client.certificate_pem());
    house.write("relay.key", &client.key_pem());
    let mqtt = format!("[mqtt]\nurl = \"mqtts://127.0.0.1:{number}\"\nca_file = \"ca.pem\"\n");
    house.layer("broker", &format!("{mqtt}cert_file = \"relay.pem\"\nkey_file = \"relay.key\"\n"));
    let checked = check(&house);
    checked.expect(0, &[], "broker", "strangers", &["turned away"]);
    assert!(checked.step("broker", "sign-in").1.contains("by certificate"));

    house.layer("broker", &mqtt);
    let odd = ["broker sign-in no", "broker subscriptions not tried", "broker strangers not tried"];
    check(&house).expect(1, &odd, "broker", "sign-in", &["mqtt.cert_file, mqtt.key_file"]);
}

/// Whatever listens there takes connections and says nothing: the check ends all the same, and the rest is tried.
#[test]
fn a_broker_that_is_mute() {
    let house = House::new("");
    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    house.layer("mute", &format!("[mqtt]\nurl = \"mqtt://{}\"\n", mute.local_addr().unwrap()));
    let odd = [
        "broker TLS not tried",
        "broker sign-in unreachable",
        "broker subscriptions not tried",
        "broker strangers not tried",
    ];
    check(&house).expect(69, &odd, "broker", "sign-in", &[]);
}

/// A broker that answers SUBSCRIBEs with these codes in turn, and clients without a name with these bytes, after which it closes;
/// not at all without. Ends with its test.
fn raw_broker(house: &House, codes: &'static [u8], stranger: Option<&'static [u8]>) {
    fn packet(line: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
        let mut byte = [0];
        line.read_exact(&mut byte).ok()?;
        let (kind, mut length) = (byte[0], 0);
        for place in 0..4 {
            line.read_exact(&mut byte).ok()?;
            length |= usize::from(byte[0] & 127) << (7 * place);
            if byte[0] < 128 {
                break;
            }
        }
        let mut body = vec![0; length];
        line.read_exact(&mut body).ok()?;
        Some((kind, body))
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("mqtt://{}", listener.local_addr().unwrap());
    house.write("mqtt-password", "s3cret\n");
    house.layer("raw", &format!("[mqtt]\nurl = \"{url}\"\nusername = \"relay\"\npassword_file = \"mqtt-password\"\n"));
    std::thread::spawn(move || {
        for line in listener.incoming() {
            let mut line = line.unwrap();
            std::thread::spawn(move || {
                // A connection without CONNECT is the step before.
                let Some((0x10, connect)) = packet(&mut line) else { return };
                if connect[7] & 0x80 == 0 {
                    match stranger {
                        Some(answer) => line.write_all(answer).unwrap_or_default(),
                        None => while packet(&mut line).is_some() {},
                    }
                    return;
                }
                line.write_all(&[0x20, 3, 0, 0, 0]).unwrap();
                let mut codes = codes.iter();
                while let Some((kind, body)) = packet(&mut line) {
                    let answer = match kind {
                        0x82 => vec![0x90, 4, body[0], body[1], 0, *codes.next().unwrap_or(&1)],
                        0xa2 => vec![0xb0, 4, body[0], body[1], 0, 0],
                        _ => break,
                    };
                    line.write_all(&answer).unwrap();
                }
            });
        }
    });
}

#[test]
fn subscriptions_that_a_broker_refuses() {
    let house = House::new("");
    let odd = ["broker TLS not tried", "broker subscriptions no", "broker strangers not tried"];
    for (codes, words) in [
        (&[0x87, 1][..], &["is not allowed to this user", "Allow this user to read"][..]),
        (&[0, 1], &["is granted at QoS 0 only"]),
        (&[1, 0xa2], &["has a wildcard"]),
        (&[0x97, 0x80], &["is over the broker's quota", "is refused"]),
    ] {
        raw_broker(&house, codes, None);
        check(&house).expect(1, &odd, "broker", "subscriptions", words);
    }
}

/// Only a no is a no: whoever is mute or busy may admit strangers another time.
#[test]
fn whether_strangers_are_admitted_cannot_always_be_told() {
    let house = House::new("");
    let odd = ["broker TLS not tried"];
    for refusal in [&[0x20, 3, 0, 0x87, 0][..], b""] {
        raw_broker(&house, &[], Some(refusal));
        check(&house).expect(0, &odd, "broker", "strangers", &["turned away"]);
    }
    let odd = ["broker TLS not tried", "broker strangers warning"];
    for other in [None, Some(&[0x20, 3, 0, 0x89, 0][..])] {
        raw_broker(&house, &[], other);
        check(&house).expect(0, &odd, "broker", "strangers", &["cannot be told"]);
    }
}

#[test]
fn a_number_that_the_platform_thinks_little_of() {
    let house = House::new("");
    house.control().change_account(|account| account.quality_rating = "RED".to_owned());
    let warning = with_open(&["uplink number warning"]);
    check(&house).expect(0, &warning, "uplink", "number", &["quality RED", "send less"]);
    house.control().change_account(|account| {
        account.quality_rating = "GREEN".to_owned();
        account.health = Health::Limited;
    });
    check(&house).expect(0, &warning, "uplink", "number", &["can send: LIMITED"]);
    house.control().change_account(|account| account.health = Health::Blocked);
    let no = with_open(&["uplink number no", "uplink templates not tried"]);
    check(&house).expect(1, &no, "uplink", "number", &["can send: BLOCKED"]);
}

/// A proxy that lets everybody through to anywhere, or answers `no`. Ends with its test.
fn proxy(no: Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for near in listener.incoming() {
            let mut near = near.unwrap();
            std::thread::spawn(move || {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    if near.read_exact(&mut byte).is_err() {
                        return;
                    }
                    head.extend(byte);
                }
                if let Some(no) = no {
                    return near.write_all(no.as_bytes()).unwrap_or_default();
                }
                let head = String::from_utf8(head).unwrap();
                let mut far = TcpStream::connect(head.split(' ').nth(1).unwrap()).unwrap();
                near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
                let (mut from, mut to) = (near.try_clone().unwrap(), far.try_clone().unwrap());
                std::thread::spawn(move || std::io::copy(&mut from, &mut to));
                std::io::copy(&mut far, &mut near).ok();
            });
        }
    });
    format!("[uplink]\nproxy = \"http://{address}\"\n")
}

#[test]
fn through_a_proxy_or_not() {
    let house = House::new("");
    house.layer("proxy", &proxy(None));
    let checked = check(&house);
    checked.expect(0, &OPEN, "uplink", "proxy", &["lets us through to 127.0.0.1:"]);
    assert!(checked.step("uplink", "templates").1.contains("all as in the file"));

    let no = with_open(&[&["uplink proxy no"][..], &AWAY].concat());
    house.layer("proxy", &proxy(Some("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")));
    check(&house).expect(1, &no, "uplink", "proxy", &["it answers 407", "a password is not supported"]);
    house.layer("proxy", &proxy(Some("SSH-2.0-OpenSSH_9.2\r\n\r\n")));
    check(&house).expect(1, &no, "uplink", "proxy", &["no HTTP proxy"]);
}
