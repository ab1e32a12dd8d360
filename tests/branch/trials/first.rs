//! The first ten minutes: `branchline init` in the three languages, and the self-test of a program that shall take over.

use crate::house::{House, TEMPLATES, TOKEN, customer, order, order_for};
use crate::mosquitto::PATIENCE;
use branchline::demo::api::Seen;
use serde_json::{Value, json};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The platform's sample, as every account has it.
const SAMPLE: &str = r#"{"name": "hello_world", "language": "en_US", "status": "APPROVED", "category": "UTILITY",
    "parameter_format": "POSITIONAL", "components": [{"type": "HEADER", "format": "TEXT", "text": "Hello World"},
    {"type": "BODY", "text": "Welcome and congratulations!! This message demonstrates your ability to send a WhatsApp message notification from the Cloud API, hosted by Meta. Thank you for taking the time to test with us."},
    {"type": "FOOTER", "text": "WhatsApp Business Platform sample message"}]}"#;

fn house() -> House {
    House::with_api("", |settings| {
        let mut list: Value = serde_json::from_str(TEMPLATES).unwrap();
        list["data"].as_array_mut().unwrap().push(serde_json::from_str(SAMPLE).unwrap());
        branchline::demo::api::Settings { templates: Some(list), ..settings }
    })
}

fn accepted(house: &House) -> Vec<Seen> {
    house.control().accepted()
}

/// `branchline init …` for a new branch in `etc` of the house's folder, answered by `answers`.
fn init(house: &House, arguments: &[&str], answers: &str) -> Output {
    let folder = house.folder.path();
    // As after an installation: systemd has not yet made the socket's folder. Like the default, this is none that can be had.
    let socket = folder.join("run/branchline.sock");
    std::fs::create_dir_all(folder.join("tmp")).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_branchline"))
        .args(["init", "--config"])
        .arg(folder.join("etc/branchline.toml"))
        .args(arguments)
        .env("LANG", "C")
        .env_remove("LC_ALL")
        .env("BRANCHLINE__UPLINK__BASE_URL", house.api_url())
        .env("BRANCHLINE__UPLINK__CA_FILE", folder.join("api-ca.pem"))
        .env("BRANCHLINE__OUTBOX__PATH", folder.join("outbox.db"))
        .env("BRANCHLINE__OPERATE__SOCKET", socket)
        .env("BRANCHLINE__OPERATE__LISTEN", "off")
        .env("TMPDIR", folder.join("tmp"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that refuses before it asks may have ended by now.
    child.stdin.take().unwrap().write_all(answers.as_bytes()).ok();
    child.wait_with_output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// It armed the watchdog of the box, and whoever ended it with Ctrl-C reset the box.
#[test]
fn the_first_message_arms_no_watchdog() {
    let house = house();
    let (etc, device) = (house.folder.path().join("etc"), house.folder.path().join("watchdog"));
    std::fs::create_dir_all(etc.join("boards")).unwrap();
    std::fs::write(&device, "").unwrap();
    let board = format!("[board]\ninherit = \"generic\"\n[board.watchdog]\ndevice = {device:?}\ntimeout = \"15s\"\n");
    std::fs::write(etc.join("boards/watched.toml"), board).unwrap();
    let answers = format!(
        "sp-042\nmqtt://127.0.0.1:{}\n106540352242922\n{}\nAmerica/Sao_Paulo\n+5511987654321\n",
        house.broker.port(),
        house.folder.path().join("token").display()
    );
    let output = init(&house, &["--language", "en", "--board", "watched"], &answers);
    assert!(output.status.success() && accepted(&house).len() == 1, "{}", said(&output));
    assert_eq!(std::fs::read_to_string(&device).unwrap(), "");
}

#[test]
fn six_answers_make_a_box_that_has_sent_its_first_message() {
    for (language, asked, written, number, country) in [
        ("en", "1/6 The branch", "# a first rule, for trying", "+5511987654321", "BR"),
        ("pt", "1/6 A filial", "# uma primeira regra, para testar", "+5511987654321", "BR"),
        ("es", "1/6 La sucursal", "# una primera regla, para probar", "+525512345678", "MX"),
    ] {
        let house = house();
        let (broker, token) = (house.broker.port(), house.folder.path().join("token"));
        // The second and the last are wrong at first, and asked again.
        let answers = format!(
            "sp-042\nhttp://nowhere\nmqtt://127.0.0.1:{broker}\n106540352242922\n{}\nAmerica/Sao_Paulo\n11 98765-4321\n{number}\n",
            token.display()
        );
        let output = init(&house, &["--language", language], &answers);
        let told = said(&output);
        assert!(output.status.success(), "{told}");
        assert!(told.contains(asked) && !told.contains(TOKEN), "{told}");
        assert!(told.contains("the platform takes it") && told.contains("hello_world"), "{told}");
        let requests = accepted(&house);
        assert_eq!(requests.len(), 1, "{requests:#?}\n{told}");
        assert_eq!((requests[0].to.as_str(), requests[0].template.as_deref()), (number, Some("hello_world")));

        assert_eq!(files(&house.folder.path().join("tmp")), [""; 0], "its socket is gone");

        let file = std::fs::read_to_string(house.folder.path().join("etc/branchline.toml")).unwrap();
        assert!(file.contains(written) && file.contains(&format!("country = {country:?}")), "{file}");
        assert!(!file.contains(TOKEN), "the token stays in its file");
        // The house's folder is a temporary one: the service would not see the token there.
        let etc = house.folder.path().join("etc");
        if token.starts_with("/tmp") {
            assert!(told.contains("etc/whatsapp-token"), "{told}");
            assert!(file.contains("token_file = \"whatsapp-token\""), "{file}");
            let (copy, folder) = (etc.join("whatsapp-token").metadata().unwrap(), etc.metadata().unwrap());
            assert_eq!((copy.mode() & 0o777, copy.gid()), (0o640, folder.gid()));
            assert_eq!(std::fs::read_to_string(etc.join("whatsapp-token")).unwrap(), TOKEN);
        }
        // The consent is in the ledger of the store, with where it is from.
        let ledger = Command::new(env!("CARGO_BIN_EXE_branchline"))
            .args(["consent", "export", "--config"])
            .arg(house.folder.path().join("etc/branchline.toml"))
            .env("BRANCHLINE__OUTBOX__PATH", house.folder.path().join("outbox.db"))
            .env("BRANCHLINE__OPERATE__SOCKET", house.folder.path().join("socket"))
            .output()
            .unwrap();
        let ledger = said(&ledger);
        assert!(ledger.contains(number) && ledger.contains("branchline init"), "{ledger}");

        // A second time it leaves everything as it is, unless it is told to; and then keeps the one before.
        let again = init(&house, &["--language", language], &answers);
        assert_eq!(again.status.code(), Some(1), "{}", said(&again));
        let ended = init(&house, &["--replace"], "sp-043\n");
        assert_eq!(ended.status.code(), Some(64), "{}", said(&ended));
        assert_eq!(std::fs::read_to_string(house.folder.path().join("etc/branchline.toml")).unwrap(), file);
    }
}

#[test]
fn a_broker_that_is_not_there_is_told_and_nothing_is_sent() {
    let house = house();
    let token = house.folder.path().join("token");
    let answers = format!(
        "sp-042\nmqtt://127.0.0.1:1\n106540352242922\n{}\nAmerica/Sao_Paulo\n+5511987654321\n",
        token.display()
    );
    let output = init(&house, &["--language", "es"], &answers);
    let told = said(&output);
    assert_eq!(output.status.code(), Some(69), "{told}");
    assert!(told.contains("Algo de lo anterior dice no") && told.contains("unreachable"), "{told}");
    assert_eq!(accepted(&house).len(), 0);
    // What was written stays, to be put right.
    assert!(house.folder.path().join("etc/branchline.toml").exists());
}

#[test]
fn a_box_that_is_replaced_hands_over_ledger_suppression_and_limits() {
    let caps = "[limits.caps]\nutility = [\"1 per 1d\"]\n";
    let mut old = House::new("");
    old.layer("caps", caps);
    old.start();
    old.publish(vec![order(1)]);
    old.wait_for_accepted(1, PATIENCE);
    old.said(&["consent", "revoke", &customer(2)]);
    let exported = old.said(&["outbox", "export", "--all"]);
    assert!(old.stop().success());

    let mut new = House::new("");
    new.layer("caps", caps);
    new.configure();
    let file = new.write("old-box.jsonl", &exported);
    let import = ["outbox", "import", file.to_str().unwrap()];
    let told = new.data(&import);
    assert_eq!(told["ledger"]["recorded"], json!(2), "{told}");
    assert!(told["limits"]["recorded"].as_u64().unwrap() >= 1, "{told}");
    assert_eq!(told["messages_left_out"], json!(1), "{told}");
    let told = new.data(&import);
    assert_eq!(told["ledger"]["recorded"], json!(0), "the same again: {told}");

    // The one who got a message there gets none here today, the one who stopped there gets none at all.
    new.start();
    new.publish(vec![order_for(10, &customer(1)), order(2), order(3)]);
    new.wait_for_accepted(1, PATIENCE);
    let withheld = |house: &House| {
        let list = house.data(&["outbox", "list", "--outcome", "withheld"]);
        let mut reasons: Vec<String> =
            list["rows"].as_array().unwrap().iter().map(|row| row["reason"].as_str().unwrap().to_owned()).collect();
        reasons.sort();
        reasons
    };
    new.wait("two are withheld", |house| withheld(house).len() == 2);
    assert_eq!(withheld(&new), ["consent-revoked", "own-cap"]);
    assert_eq!(accepted(&new).iter().map(|seen| seen.to.clone()).collect::<Vec<_>>(), [customer(3)]);
    assert!(new.refused(1, &import).contains("sent already"));
    assert!(
        new.refused(1, &["outbox", "import", new.path().join("templates.json").to_str().unwrap()]).contains("line 1")
    );
}

fn files(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn a_program_tries_the_box_beside_the_daemon_that_runs_and_leaves_nothing() {
    let mut house = House::new("");
    house.configure();
    let none = house.command(&["self-test"]);
    assert!(none.status.success() && said(&none).contains("a new one was tried"), "{}", said(&none));
    house.start();
    house.publish((0..20).map(order));
    house.wait("all are accepted", |house| accepted(house).len() == 20);
    let before = files(house.folder.path());
    let output = house.command(&["self-test", "--json"]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)));
    assert_eq!((&told["ok"], &told["from"], &told["to"]), (&json!(true), &json!(1), &json!(1)), "{told}");
    assert!(told["bytes"].as_u64().unwrap() > 10_000, "{told}");
    assert_eq!(files(house.folder.path()), before);
    // The daemon noticed nothing: it goes on, and nothing was sent twice.
    house.publish(vec![order(20)]);
    house.wait("the next is accepted", |house| accepted(house).len() == 21);
    assert!(house.stop().success());

    // A store that is damaged is no store to take over.
    let path = house.folder.path().join("outbox.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 1024 * 1024;
    bytes[middle..middle + 1024].fill(0xA5);
    std::fs::write(&path, &bytes).unwrap();
    let output = house.command(&["self-test"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("must not take over"), "{}", said(&output));
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "the store itself is untouched");
    assert_eq!(files(house.folder.path()).iter().filter(|name| name.contains("damaged")).count(), 0);
}
