//! Boxes that nothing can reach: the simulated platform's webhooks to `branchline forward`, head office's mosquitto, the example's
//! bridges, the branches' mosquittos, and the daemons.

use crate::house::{House, customer, now, order, order_for, runtime};
use crate::mosquitto::{Mosquitto, PATIENCE, Port};
use crate::trials::ear::Ear;
use branchline::demo::api::{Between, Callback, Inbound, Manner, Order, Said};
use branchline::demo::certs::{Authority, Validity};
use serde_json::{Value, json};
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const BRIDGE: &str = include_str!("../../config/examples/bridge.conf");
const ACCESS: &str = include_str!("../../config/examples/head-office.acl");
const SECRET: &str = "the-app-secret";
const KEY: &str = "5f4dcc3b5aa765d61d8327deb882cf99";
const BRANCHES: [&str; 2] = ["sp-042", "rj-7"];

/// Head office: its broker, by the rules of the example, and `branchline forward`.
struct HeadOffice {
    broker: Mosquitto,
    folder: TempDir,
    port: Port,
    forward: Option<Child>,
    /// Who vouches for broker and webhook, and where the broker speaks TLS.
    tls: Option<(Authority, Port)>,
}

/// Another instance, which ends with this value.
struct Beside(Child, Port);

impl Drop for Beside {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

impl HeadOffice {
    fn new() -> HeadOffice {
        HeadOffice::with(None)
    }

    /// Broker and webhook with certificates.
    fn over_tls() -> HeadOffice {
        HeadOffice::with(Some((Authority::new(Validity::around(now())).unwrap(), Port::reserve())))
    }

    fn with(tls: Option<(Authority, Port)>) -> HeadOffice {
        let mut lines =
            "allow_anonymous false\npassword_file {folder}/passwd\nacl_file {folder}/head-office.acl\n".to_owned();
        if let Some((_, port)) = &tls {
            let listener = format!("listener {} 127.0.0.1\n", port.number());
            lines += &(listener + "certfile {folder}/server.pem\nkeyfile {folder}/server.key\n");
        }
        let identity =
            tls.as_ref().map(|(authority, _)| authority.server(&["127.0.0.1"], Validity::around(now())).unwrap());
        let present = |folder: &Path| {
            if let Some(identity) = &identity {
                std::fs::write(folder.join("server.pem"), identity.certificate_pem()).unwrap();
                std::fs::write(folder.join("server.key"), identity.key_pem()).unwrap();
            }
        };
        let broker = Mosquitto::start_with(&lines, |folder| {
            present(folder);
            std::fs::write(folder.join("head-office.acl"), ACCESS).unwrap();
            let passwords = folder.join("passwd");
            std::fs::write(&passwords, "").unwrap();
            for user in BRANCHES.into_iter().chain(["forward"]) {
                let done =
                    Command::new("mosquitto_passwd").arg("-b").arg(&passwords).args([user, "secret"]).output().unwrap();
                assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            }
        });
        let head =
            HeadOffice { broker, folder: tempfile::tempdir().unwrap(), port: Port::reserve(), forward: None, tls };
        present(head.folder.path());
        let write = |name: &str, text: &str| std::fs::write(head.folder.path().join(name), text).unwrap();
        write("app-secret", SECRET);
        write("verify-token", "a word of ours");
        write("notice-key", KEY);
        write("password", "secret");
        write("forward.toml", &head.settings(&head.port));
        if let Some((authority, _)) = &head.tls {
            write("ca.pem", authority.certificate_pem());
        }
        head
    }

    /// The configuration of an instance that listens there.
    fn settings(&self, port: &Port) -> String {
        let (url, ca, identity) = match &self.tls {
            Some((_, port)) => (
                format!("mqtts://127.0.0.1:{}", port.number()),
                "ca_file = \"ca.pem\"\n",
                "cert_file = \"server.pem\"\nkey_file = \"server.key\"\n",
            ),
            None => (format!("mqtt://127.0.0.1:{}", self.broker.port()), "", ""),
        };
        format!(
            "[mqtt]\nurl = \"{url}\"\nusername = \"forward\"\npassword_file = \"password\"\n{ca}\
             [webhook]\nlisten = \"127.0.0.1:{}\"\napp_secret_file = \"app-secret\"\nverify_token_file = \"verify-token\"\n\
             {identity}[notice]\nkey_file = \"notice-key\"\n",
            port.number()
        )
    }

    fn config(&self) -> std::path::PathBuf {
        self.folder.path().join("forward.toml")
    }

    fn spawn(&self, config: &Path) -> Child {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        Command::new(env!("CARGO_BIN_EXE_branchline"))
            .arg("forward")
            .arg("--config")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    fn start(&mut self) {
        self.forward = Some(self.spawn(&self.config()));
        self.wait("it listens and has a broker", |log| log.contains("forwarding") && log.contains("connected"));
    }

    /// One more instance, beside the first.
    fn beside(&self) -> Beside {
        let port = Port::reserve();
        let config = self.folder.path().join("beside.toml");
        std::fs::write(&config, self.settings(&port)).unwrap();
        let beside = Beside(self.spawn(&config), port);
        self.wait("both listen and have a broker", |log| {
            log.matches("forwarding").count() == 2 && log.matches("connected").count() == 2
        });
        beside
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn wait(&self, what: &str, done: impl Fn(&str) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !done(&self.log()) {
            assert!(Instant::now() < until, "{what}: not within {PATIENCE:?}\n{}", self.log());
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    fn stop(&mut self) {
        let mut child = self.forward.take().expect("it runs");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(child.wait().unwrap().success(), "{}", self.log());
    }

    /// The callback of a simulated platform.
    fn callback(&self) -> Callback {
        Callback {
            url: format!(
                "{}://127.0.0.1:{}/hook",
                if self.tls.is_some() { "https" } else { "http" },
                self.port.number()
            ),
            app_secret: SECRET.into(),
            verify_token: "a word of ours".into(),
            authorities: self.tls.iter().map(|(authority, _)| authority.certificate_der()).collect(),
            account: "102290129340398".into(),
        }
    }

    /// Posts a body as the platform does; the status of the answer.
    fn post(&self, body: &Value, secret: &str) -> u16 {
        self.post_at(&self.port, body, secret)
    }

    fn post_at(&self, port: &Port, body: &Value, secret: &str) -> u16 {
        let body = body.to_string();
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
        let signature: String =
            ring::hmac::sign(&key, body.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\nX-Hub-Signature-256: sha256={signature}\r\n\r\n",
            body.len()
        );
        runtime().block_on(async {
            let mut stream = TcpStream::connect(("127.0.0.1", port.number())).await.unwrap();
            stream.write_all((head + &body).as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer.split(' ').nth(1).unwrap().parse().unwrap()
        })
    }
}

impl Drop for HeadOffice {
    fn drop(&mut self) {
        if let Some(mut child) = self.forward.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// The example's bridge as this branch would write it; without TLS where head office's broker speaks none.
fn bridge(branch: &str, head: &HeadOffice) -> String {
    let mut text = BRIDGE.replace("sp-042", branch);
    let (port, authority) = match &head.tls {
        Some((_, port)) => (port.number(), format!("bridge_cafile {}\n", head.folder.path().join("ca.pem").display())),
        None => (head.broker.port(), String::new()),
    };
    for (line, ours) in [
        ("address broker.head-office:8883", format!("address 127.0.0.1:{port}")),
        ("bridge_cafile /etc/mosquitto/head-office-ca.pem\n", authority),
        ("remote_password change-me", "remote_password secret".to_owned()),
        ("restart_timeout 5 60", "restart_timeout 1".to_owned()),
    ] {
        assert!(text.contains(line), "{line}");
        text = text.replace(line, &ours);
    }
    text
}

/// A branch whose broker fetches its notices; its messages are reported to head office.
fn branch(name: &str, head: &HeadOffice) -> House {
    let callback = head.callback();
    let quick = Between(Duration::ZERO, Duration::from_millis(50));
    let manner = Manner { sent: quick, delivered: quick, read: quick, read_share: 1.0, ..Manner::default() };
    let mut house = House::with_api("[notice]\nkey_file = \"notice-key\"\n", |settings| {
        branchline::demo::api::Settings { callback: Some(callback), manner, ..settings }
    });
    house.broker = Mosquitto::start_with(&format!("allow_anonymous true\n{}", bridge(name, head)), |_: &Path| {});
    house.write("notice-key", KEY);
    house.layer("branch", &format!("[branch]\nid = \"{name}\"\n"));
    house
}

fn outcomes(house: &House) -> Vec<String> {
    let page = house.data(&["outbox", "list"]);
    page["rows"].as_array().unwrap().iter().map(|row| row["outcome"].as_str().unwrap().to_owned()).collect()
}

fn withheld(house: &House, number: &str) -> bool {
    let report = house.data(&["consent", "show", number]);
    report["now"].as_array().unwrap().iter().any(|now| now["withheld"] == json!("consent-revoked"))
}

/// Head office and two boxes.
fn two_boxes() -> (HeadOffice, House, House) {
    let mut head = HeadOffice::new();
    head.start();
    let (mut sao_paulo, mut rio) = (branch("sp-042", &head), branch("rj-7", &head));
    sao_paulo.start();
    rio.start();
    (head, sao_paulo, rio)
}

/// The box is off, its broker too.
fn off(house: &mut House) {
    house.stop();
    house.broker.pause();
}

#[test]
fn a_stop_reaches_every_box_also_one_that_was_off() {
    let (mut head, mut sao_paulo, mut rio) = two_boxes();
    // Both wrote to her, São Paulo last: São Paulo answers.
    rio.publish([order_for(6, &customer(1))]);
    rio.wait("the report of its delivery", |house| outcomes(house) == ["read"]);
    off(&mut rio);
    sao_paulo.publish([order(1)]);
    sao_paulo.wait("the report of its delivery", |house| outcomes(house) == ["read"]);

    // Who writes STOP is stopped everywhere: where she is known …
    let stop = Order::Inbound(Inbound {
        from: customer(1),
        name: "Ana".into(),
        context: None,
        said: Said::Text("Parar, por favor!".into()),
    });
    sao_paulo.control().obey(&stop).unwrap();
    sao_paulo.wait("her stop", |house| withheld(house, &customer(1)));
    sao_paulo.wait("its confirmation", |house| outcomes(house) == ["read", "read"]);

    // … and where she is not, by a box that was off, its broker too.
    rio.broker.resume();
    rio.start();
    rio.wait("her stop, after the box came back", |house| withheld(house, &customer(1)));
    rio.publish([order_for(7, &customer(1)), order_for(8, &customer(2))]);
    rio.wait("one goes, the other is withheld, and the stop was confirmed by one box", |house| {
        let mut all = outcomes(house);
        all.sort();
        all == ["read", "read", "withheld"]
    });
    assert_eq!((rio.control().counters().accepted, sao_paulo.control().counters().accepted), (2, 2));

    head.stop();
    assert!(sao_paulo.stop().success() && rio.stop().success());
}

#[test]
fn a_report_reaches_its_own_box_and_news_every_one_also_one_that_was_off() {
    let (mut head, mut sao_paulo, mut rio) = two_boxes();
    off(&mut rio);
    // What became of its message comes back to the box that sent it.
    sao_paulo.publish([order(1)]);
    sao_paulo.wait("the report of its delivery", |house| outcomes(house) == ["read"]);

    // News are everybody's: also of a box that was off, its broker too.
    let kind = "RESTRICTED_BIZ_INITIATED_MESSAGING";
    rio.control().change_account(|account| account.restrictions.push((kind.into(), None)));
    let event = "ACCOUNT_RESTRICTION".to_owned();
    let news = Order::Account { event, restrictions: vec![kind.into()], lasts: None, more: Value::Null };
    sao_paulo.control().obey(&news).unwrap();
    sao_paulo.wait("the restriction", |house| house.problems().contains("all templates: policy restricted"));
    rio.broker.resume();
    rio.start();
    rio.wait("the restriction, after the box came back", |house| {
        house.problems().contains("all templates: policy restricted")
    });
    rio.publish([order(7)]);
    rio.wait("the order", |house| outcomes(house) == ["stored"]);

    // What nobody signed is counted and holds nothing up.
    sao_paulo.publish([
        ("branchline/sp-042/notice".to_owned(), "junk".to_owned()),
        ("branchline/all/notice".to_owned(), json!({ "signature": "sha256=00", "body": "{}" }).to_string()),
    ]);
    sao_paulo.wait("the wrong signatures", |house| house.problems().contains("2 NOTICES WITH A WRONG SIGNATURE"));
    let reports = sao_paulo.status().unwrap()["reports"][0].clone();
    assert_eq!((&reports["way"], &reports["unsigned"]), (&json!("notice topic"), &json!(2)));
    assert!(reports["bodies"].as_u64().unwrap() >= 2 && !reports["last"].is_null(), "{reports}");
    rio.control().change_account(|account| account.restrictions.clear());
    let event = "ACCOUNT_RECONNECTED".to_owned();
    let over = Order::Account { event, restrictions: vec![], lasts: None, more: Value::Null };
    sao_paulo.control().obey(&over).unwrap();
    rio.wait("its end", |house| outcomes(house) != ["stored"]);
    sao_paulo.wait("its end", |house| !house.problems().contains("restricted"));
    head.stop();
    assert!(sao_paulo.stop().success() && rio.stop().success());
}

/// Both doors of `forward` and the example's bridge with certificates, from the platform's report to the box.
#[test]
fn over_tls_a_report_comes_from_the_platform_to_the_box() {
    let mut head = HeadOffice::over_tls();
    head.start();
    let mut sao_paulo = branch("sp-042", &head);
    sao_paulo.start();
    sao_paulo.publish([order(1)]);
    sao_paulo.wait("the report of its delivery", |house| outcomes(house) == ["read"]);
    head.stop();
    // A broker whose certificate nobody whom it trusts vouches for is none.
    let stranger = Authority::new(Validity::around(now())).unwrap();
    std::fs::write(head.folder.path().join("ca.pem"), stranger.certificate_pem()).unwrap();
    let before = head.log().len();
    head.forward = Some(head.spawn(&head.config()));
    head.wait("it says why", |log| log[before..].contains("no broker") && log[before..].contains("authority"));
    assert!(!head.log()[before..].contains("connected"), "{}", head.log());
    head.stop();
    assert!(sao_paulo.stop().success());
}

/// The platform's reports come to either of two instances, or to both: each is one report, and either may end.
#[test]
fn what_two_instances_forward_is_taken_once() {
    let mut head = HeadOffice::new();
    head.start();
    let beside = head.beside();
    let mut sao_paulo = branch("sp-042", &head);
    sao_paulo.start();
    let ear = Ear::new(sao_paulo.broker.port(), "branchline/sp-042/#");
    sao_paulo.publish([order(1)]);
    sao_paulo.wait("the report of its delivery", |house| outcomes(house) == ["read"]);
    let from = &customer(1)[1..];
    let at = now().0 / 1000;
    let says = |id: &str, text: &str| {
        let message =
            json!({ "from": from, "id": id, "timestamp": at.to_string(), "type": "text", "text": { "body": text } });
        let value = json!({ "metadata": { "phone_number_id": "106540352242922" }, "messages": [message] });
        json!({ "object": "whatsapp_business_account", "entry": [{ "id": "1", "changes": [{ "field": "messages", "value": value }] }] })
    };
    for (id, text) in [("in-1", "Oi"), ("in-2", "Parar, por favor!")] {
        for port in [&head.port, &beside.1, &head.port, &beside.1] {
            assert_eq!(head.post_at(port, &says(id, text), SECRET), 200, "{}", head.log());
        }
    }
    sao_paulo.wait("the stop's confirmation", |house| outcomes(house).len() == 2);
    head.stop();
    assert_eq!(head.post_at(&beside.1, &says("in-3", "fim"), SECRET), 200, "{}", head.log());
    let heard = || -> Vec<String> {
        let inbound = ear.heard().into_iter().filter(|heard| heard.topic.contains("/inbound/"));
        inbound.map(|heard| heard.json()["text"].as_str().unwrap().to_owned()).collect()
    };
    sao_paulo.wait("the last words", |_| heard().contains(&"fim".to_owned()));
    assert_eq!(heard(), ["Oi", "Parar, por favor!", "fim"], "each once");
    assert_eq!(outcomes(&sao_paulo).len(), 2, "one order, one confirmation");
    assert!(sao_paulo.stop().success());
}

/// What head office's broker has not acknowledged the platform is not told to be taken.
#[test]
fn the_platform_is_answered_when_the_broker_has_acknowledged() {
    let mut head = HeadOffice::new();
    head.start();
    let news = json!({ "object": "whatsapp_business_account", "entry": [{ "id": "1", "changes": [
        { "field": "account_alerts", "value": { "alert_info": { "alert_type": "x", "alert_description": "y" } } }] }] });
    assert_eq!(head.post(&news, "not the app secret"), 401);
    assert_eq!(head.post(&news, SECRET), 503, "nobody hears branchline/all/notice yet");
    let house = branch("sp-042", &head);
    let until = Instant::now() + PATIENCE;
    while head.post(&news, SECRET) != 200 {
        assert!(Instant::now() < until, "the bridge never comes\n{}\n{}", head.log(), house.broker.log());
    }
    let gone = json!({ "object": "whatsapp_business_account", "entry": [{ "id": "1", "changes": [{ "field": "messages", "value": {
        "metadata": {}, "statuses": [{ "id": "w", "status": "sent", "biz_opaque_callback_data": "closed-1/abcd-1/e" }] } }] }] });
    assert_eq!(head.post(&gone, SECRET), 200, "a branch that is gone holds nobody up");
    assert_eq!(head.post(&json!({ "object": "page", "entry": [] }), SECRET), 200, "nor does what is not ours");
    head.broker.pause();
    head.wait("the end of the connection", |log| log.contains("no broker"));
    assert_eq!(head.post(&news, SECRET), 503);
    head.broker.resume();
    while head.post(&news, SECRET) != 200 {
        assert!(Instant::now() < until + PATIENCE, "the broker never comes back\n{}", head.log());
    }
    head.stop();
    assert!(!head.log().contains("closed-1/abcd-1"), "ids of messages are in no log");
}

/// What no box would take is not called taken, and what lies beside it arrives.
#[test]
fn an_update_larger_than_a_box_takes_is_refused_and_the_rest_of_its_body_arrives() {
    let mut head = HeadOffice::new();
    head.start();
    let house = branch("sp-042", &head);
    let ear = Ear::new(house.broker.port(), "branchline/sp-042/notice");
    let status = |id: &str, more: usize| {
        json!({ "id": id, "status": "sent", "timestamp": "1", "recipient_id": "5511", "biz_opaque_callback_data": "sp-042/abcd-1/e",
            "errors": [{ "code": 1, "title": "x".repeat(more) }] })
    };
    let body = |statuses: Vec<Value>| {
        json!({ "object": "whatsapp_business_account", "entry": [{ "id": "1", "changes": [{ "field": "messages",
            "value": { "messaging_product": "whatsapp", "metadata": {}, "statuses": statuses } }] }] })
    };
    let news = json!({ "object": "whatsapp_business_account", "entry": [{ "id": "1", "changes": [{ "field": "security", "value": {} }] }] });
    let until = Instant::now() + PATIENCE;
    while head.post(&news, SECRET) != 200 {
        assert!(Instant::now() < until, "the bridge never comes\n{}", house.broker.log());
    }
    assert_eq!(head.post(&body(vec![status("large", 260 * 1024), status("small", 1)]), SECRET), 503);
    head.wait("what is too large is told", |log| log.contains("more than the boxes take"));
    assert_eq!(head.post(&body(vec![status("alone", 1)]), SECRET), 200);
    let mut heard = String::new();
    while !(heard.contains("small") && heard.contains("alone")) {
        assert!(Instant::now() < until + PATIENCE, "{heard}");
        heard.extend(ear.take().into_iter().map(|heard| heard.payload));
        std::thread::park_timeout(Duration::from_millis(10));
    }
    assert!(!heard.contains("large"), "{heard}");
    head.stop();
}

#[test]
fn the_configuration_of_head_office_is_checked_like_the_daemons() {
    let head = HeadOffice::new();
    let check = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_branchline"));
        let output =
            command.args(["forward", "--check", "--config"]).arg(head.config()).args(arguments).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, text) = check(&[]);
    assert!(code == 0 && text.contains("no problems"), "{text}");
    assert!(text.contains("mqtt.url") && !text.contains(SECRET) && !text.contains(KEY), "{text}");
    std::fs::write(
        head.config(),
        "[mqtt]\nclient_id = \"x\"\n[webhook]\nlisten = \"0.0.0.0:1\"\n[notice]\nkey_file = \"short\"\n[rules.x]\ntopic = \"a\"\n",
    )
    .unwrap();
    std::fs::write(head.folder.path().join("short"), "too short\n").unwrap();
    let (code, text) = check(&[]);
    assert_eq!(code, 1, "{text}");
    for words in [
        "mqtt.url",
        "client_id",
        "webhook.app_secret_file",
        "not encrypted",
        "holds 9 characters",
        "rules",
        "forward.toml:2",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let (code, text) = check(&["--json"]);
    let read: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, &read["ok"]), (1, &json!(false)));
}

/// Events and notices have a session each: a thousand of one do not keep the others waiting.
#[test]
fn a_flood_of_notices_and_a_flood_of_events_do_not_starve_each_other() {
    let mut house = House::new("[notice]\nkey_file = \"notice-key\"\n");
    house.write("notice-key", KEY);
    house.start();
    let topic = || "branchline/all/notice".to_owned();
    let sealed = |n: u32| {
        let status = json!({ "id": format!("w{n}"), "status": "sent", "biz_opaque_callback_data": "rj-7/abcd-1/e" });
        let value = json!({ "metadata": { "phone_number_id": "106540352242922" }, "statuses": [status] });
        let change = json!({ "field": "messages", "value": value });
        let body = json!({ "object": "whatsapp_business_account", "entry": [{ "changes": [change] }] });
        branchline::whatsapp::seal(KEY.as_bytes(), &body.to_string())
    };
    let red = json!({ "object": "whatsapp_business_account", "entry": [{ "changes": [
        { "field": "phone_number_quality_update", "value": { "event": "FLAGGED" } }] }] });
    // Notices of another branch's messages and junk, and one order among them.
    let flood = (0..1000).map(|n| (topic(), if n % 2 == 0 { sealed(n) } else { "junk".to_owned() }));
    house.publish(flood.chain([order(1)]));
    house.wait_for_accepted(1, PATIENCE);
    // A thousand events that cost a commit each, and one notice among them.
    let mut events: Vec<(String, String)> = (0..1000).map(|n| order_for(100 + n, &customer(1))).collect();
    events.insert(900, (topic(), branchline::whatsapp::seal(KEY.as_bytes(), &red.to_string())));
    house.publish(events);
    house.wait("the notice", |house| house.problems().contains("quality red"));
    house.wait_for("all junk", PATIENCE * 3, |house| house.problems().contains("500 NOTICES WITH A WRONG SIGNATURE"));
    assert!(house.stop().success());
}

/// The platform's rating is asked for, holds what it should, and lets it go.
#[test]
fn the_health_of_the_number_holds_and_lets_go() {
    let mut house = House::new("");
    house.layer("health", "[uplink]\nhealth_every = \"2s\"\n");
    house.start();
    house.control().change_account(|account| account.quality_rating = "RED".into());
    house.wait("the hold", |house| house.problems().contains("quality red"));
    house.publish([order(1)]);
    house.wait("the order", |house| outcomes(house) == ["stored"]);
    house.control().change_account(|account| account.quality_rating = "GREEN".into());
    house.wait_for_accepted(1, PATIENCE);
    house.control().set_template_status("order_ready", None, "PAUSED");
    house.wait("the template's hold", |house| house.problems().contains("template paused by platform"));
    house.control().set_template_status("order_ready", None, "APPROVED");
    house.wait("its end", |house| !house.problems().contains("template paused by platform"));
    let status = house.status().unwrap();
    assert_eq!((&status["number"]["quality"], &status["number"]["people"]), (&json!("GREEN"), &json!(250)));
}
