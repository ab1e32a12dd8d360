//! The people of a branch at the command line, the status page and the configuration.

use crate::house::{House, alarm, customer, order, order_for};
use crate::mosquitto::Port;
use crate::trials::ear::Ear;
use branchline::demo::api::Fault;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);

/// A page of the daemon over HTTP.
pub fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn rows(house: &House, outcome: &str) -> Vec<Value> {
    let page = house.data(&["outbox", "list", "--outcome", outcome, "--limit", "200"]);
    page["rows"].as_array().unwrap().clone()
}

#[test]
fn what_is_withdrawn_between_storing_and_sending_is_withheld() {
    let mut house = House::new("");
    house.control().fault(Fault::RefuseConnections, None);
    house.launch();
    house.wait("a daemon answers", |house| house.status().is_some());
    house.publish([order(1), order(2)]);
    house.wait("two are stored", |house| house.backlog() == 2);
    let text = house.said(&["consent", "show", &customer(1)]);
    assert!(text.starts_with("+55…01\n") && text.contains("orders  yes") && text.contains("rule ready"), "{text}");
    let text = house.said(&["consent", "revoke", &customer(1)]);
    assert!(text.contains("orders  no: consent-revoked") && text.contains("revoke"), "{text}");
    // The till says opt_in again: it never lifts a revocation.
    house.publish([order_for(3, &customer(1))]);
    house.wait("the third is withheld", |house| rows(house, "withheld").len() == 1);
    house.control().clear_faults().unwrap();
    house.wait("the first is withheld", |house| rows(house, "withheld").len() == 2);
    house.wait_for_accepted(1, LONG);
    house.wait("nothing waits", |house| house.backlog() == 0);
    assert!(rows(&house, "withheld").iter().all(|row| row["reason"] == "consent-revoked"));
    assert_eq!(house.control().counters().accepted, 1);

    let why = house.refused(1, &["consent", "grant", &customer(1), "--purpose", "orders", "--source", "counter 2"]);
    assert!(why.contains("--after-revocation"), "{why}");
    let again =
        ["consent", "grant", &customer(1), "--purpose", "orders", "--source", "counter 2", "--after-revocation"];
    let text = house.said(&again);
    assert!(text.contains("orders  yes") && text.contains("counter 2"), "{text}");
    house.publish([order_for(4, &customer(1))]);
    house.wait_for_accepted(2, LONG);
    assert!(house.stop().success());
}

#[test]
fn the_ledger_goes_out_and_in_with_and_without_a_daemon() {
    let mut house = House::new("");
    house.configure();
    let csv = "number,purpose,action,at,source,wording,expires\n\
               +5511980000001,orders,grant,2026-01-02,form 1,till-1,\n\
               +525512345678,orders,grant,2026-01-02,form 2,till-1,2031-01-01\n\
               +5511980000002,all,revoke,2026-01-03,letter,,\n";
    let file = house.write("ledger.csv", csv);
    let file = file.to_str().unwrap();
    assert_eq!(house.said(&["consent", "import", file]), "3 recorded, 0 known already\n");
    assert!(house.said(&["status"]).contains("NO DAEMON RUNS"));
    house.start();
    assert_eq!(house.said(&["consent", "import", file]), "0 recorded, 3 known already\n");
    let export = house.said(&["consent", "export"]);
    assert!(export.starts_with("number,purpose,action,at,source,wording,expires\n"), "{export}");
    // And what the configuration states of its contact.
    assert_eq!(export.lines().count(), 5, "{export}");
    assert!(export.contains("+525512345678,orders,grant,2026-01-02"), "{export}");
    // One bad line: nothing of the file is recorded, and the number is not repeated.
    let bad = house
        .write("bad.csv", &format!("{csv}+5511980000009,orders,grant,2026-01-02,form 9,,\n12,orders,grant,,x,,\n"));
    let why = house.refused(1, &["consent", "import", bad.to_str().unwrap()]);
    assert!(why.contains("line 6"), "{why}");
    assert_eq!(house.said(&["consent", "export"]), export);
    // Without an opt_in of its own the event lives on the ledger.
    let event = |number: u32| {
        let phone = customer(number);
        (
            format!("pos/1/order/{number}/ready"),
            json!({"event_id": number, "customer": {"name": "Eva", "phone": phone}}).to_string(),
        )
    };
    house.publish([event(1), event(2)]);
    house.wait("one of each", |house| rows(house, "withheld").len() == 1 && rows(house, "accepted").len() == 1);
    assert!(house.stop().success());
    assert_eq!(house.said(&["consent", "export"]), export, "the same without a daemon");
}

#[test]
fn holds_of_every_kind() {
    let mut house = House::new("");
    house.start();
    let mut number = 0;
    let mut accepted = 0;
    let reason = ["--reason", "wrong price"];
    for (words, shown) in [
        (&["--rule", "ready"][..], "rule ready"),
        (&["--category", "utility"], "category utility"),
        (&["--template", "order_ready"], "template order_ready"),
        (&[], "everything"),
    ] {
        number += 1;
        let text = house.said(&[&["pause"], words, &reason[..]].concat());
        assert!(text.contains(&format!("{shown}: held")), "{text}");
        house.publish([order(number)]);
        house.wait("it waits", |house| house.backlog() == 1);
        let text = house.said(&["status"]);
        assert!(text.contains(shown) && text.contains("wrong price"), "{text}");
        let id = rows(&house, "stored")[0]["id"].as_str().unwrap().to_owned();
        house.wait("it says why", |house| house.said(&["outbox", "show", &id]).contains("paused"));
        // A repeat by the way: the second pause says so.
        assert!(house.said(&[&["pause"], words, &reason[..]].concat()).contains("was held already"));
        assert_eq!(house.control().counters().accepted, accepted, "{shown}: nothing leaves");
        // What is held survives a restart.
        house.kill();
        house.start();
        assert_eq!(house.backlog(), 1);
        let text = house.said(&[&["resume"], words, &["--reason", "corrected"][..]].concat());
        assert!(text.contains(&format!("{shown}: goes on")), "{text}");
        accepted += 1;
        house.wait_for_accepted(accepted, LONG);
        house.wait("nothing waits", |house| house.backlog() == 0);
    }
    let why = house.refused(1, &["pause", "--rule", "redy", "--reason", "x"]);
    assert!(why.contains("no rule redy") && why.contains("ready"), "{why}");
    let why = house.refused(64, &["pause", "--rule", "ready"]);
    assert!(why.contains("--reason"), "{why}");
    assert!(house.stop().success());
}

#[test]
fn explain_tells_what_would_become_of_an_event_and_does_nothing() {
    let mut house = House::new("");
    house.start();
    let (topic, payload) = order(7);
    let file = house.write("event.json", &payload);
    let asked = ["explain", "--topic", &topic, "--payload", file.to_str().unwrap()];
    let text = house.said(&asked);
    for words in [
        "1 of 2 rules match",
        "Olá Ana, seu pedido 7 está pronto",
        "+55…07",
        "consent orders  yes",
        "would be",
        "stored: due",
    ] {
        assert!(text.contains(words), "{words:?} is missing in\n{text}");
    }
    house.said(&["pause", "--category", "utility", "--reason", "x"]);
    assert!(house.said(&asked).contains("stored: category-paused"));
    house.said(&["consent", "revoke", &customer(7)]);
    assert!(house.said(&asked).contains("withheld: consent-revoked"));
    assert!(house.said(&["explain", "--topic", "nobody/listens"]).contains("0 of 2 rules match"));
    assert_eq!(house.said(&["outbox", "list"]), "no message\n");
    assert_eq!(house.control().seen().len(), 0);
    // The same without a daemon, but for who answers and when.
    let json = |house: &House| {
        let mut json = house.data(&[&asked[..], &["--at", "2026-03-02T12:00:00Z"]].concat());
        let told = json.as_object_mut().unwrap();
        told.remove("basis").unwrap();
        told.remove("configuration").unwrap();
        json
    };
    let by_daemon = json(&house);
    house.stop();
    assert!(house.said(&asked).contains("withheld: consent-revoked"), "the same without a daemon");
    assert_eq!(json(&house), by_daemon);
}

#[test]
fn what_an_operator_sends_goes_the_way_of_every_message() {
    let mut house = House::new("");
    let ear = Ear::new(house.broker.port(), "branchline/+/receipt/#");
    house.start();
    let send = |to: &str, more: &[&'static str]| {
        let typed = ["send", "--to", to, "--template", "order_ready", "--language", "pt_BR", "--purpose", "orders"];
        let typed =
            [&typed.map(str::to_owned)[..], &["--param", "Ana", "--param", "42"].map(str::to_owned)[..]].concat();
        typed.into_iter().chain(more.iter().map(|word| (*word).to_owned())).collect::<Vec<String>>()
    };
    fn words(typed: &[String]) -> Vec<&str> {
        typed.iter().map(String::as_str).collect()
    }
    let ana = send(&customer(7), &[]);
    let ended = house.command(&words(&ana));
    let said = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert_eq!((ended.status.code(), ended.stderr.len()), (Some(1), 0), "{said}");
    assert!(said.contains("withheld: no-consent"), "{said}");
    house.said(&["consent", "grant", &customer(7), "--purpose", "orders", "--source", "counter 2"]);
    let dry = house.said(&words(&send(&customer(7), &["--dry-run"])));
    assert!(dry.contains("would be        stored: due") && dry.contains("seu pedido 42 está pronto"), "{dry}");
    assert_eq!((house.control().seen().len(), rows(&house, "accepted").len()), (0, 0), "a dry run does nothing");

    let sent = house.data(&words(&ana));
    assert_eq!((&sent["outcome"], &sent["to"]), (&json!("stored"), &json!("+55…07")));
    house.wait_for_accepted(1, LONG);
    let id = sent["id"].as_str().unwrap().to_owned();
    house.wait("it is accepted", |house| rows(house, "accepted").iter().any(|row| row["id"] == id.as_str()));
    assert_eq!(rows(&house, "accepted")[0]["rule"], "operator");
    house.wait("both are told", |_| {
        let told: Vec<Value> = ear.heard().iter().map(|heard| heard.json()).collect();
        ["withheld", "accepted"]
            .iter()
            .all(|outcome| told.iter().any(|told| told["outcome"] == *outcome && told["rule"] == "operator"))
    });
    let why = house.refused(1, &words(&send(&customer(7), &["--param", "43"])));
    assert!(why.contains("--param: the template (pt_BR) takes 2 parameters, found 3"), "{why}");

    // Without a daemon a dry run changes no byte of the store; an order is stored, and leaves when one runs.
    assert!(house.stop().success());
    let store = house.path().join("outbox.db");
    let before = std::fs::read(&store).unwrap();
    house.said(&words(&send(&customer(7), &["--dry-run"])));
    house.said(&["explain", "--topic", "pos/1/order/2/ready"]);
    assert!(std::fs::read(&store).unwrap() == before, "the store was written to");
    let said = house.said(&words(&ana));
    assert!(said.contains("no daemon runs here; it leaves when one does"), "{said}");
    house.start();
    house.wait_for_accepted(2, LONG);
    assert!(house.stop().success());
}

#[test]
fn metrics_and_page_have_what_others_rely_on() {
    let mut house = House::new("");
    let reserved = Port::reserve();
    let port = reserved.number();
    house.layer("page", &format!("[operate]\nlisten = \"127.0.0.1:{port}\"\n"));
    house.start();
    house.publish([order(1), alarm(1)]);
    house.wait_for_accepted(2, LONG);
    house.wait("both are settled", |house| house.backlog() == 0);
    let metrics = get(port, "/metrics");
    for name in [
        "branchline_events_total{rule=\"ready\",result=\"matched\"} 1",
        "branchline_messages_total{category=\"utility\",outcome=\"accepted\",reason=\"taken\"} 2",
        "branchline_outbox_messages{state=",
        "branchline_outbox_bytes ",
        "branchline_oldest_message_seconds",
        "branchline_link_up{link=\"broker\"} 1",
        "branchline_link_up{link=\"uplink\"} 1",
        "branchline_send_seconds_bucket{",
        "branchline_commit_seconds_count",
        "branchline_limit_used_ratio{limit=",
        "branchline_clock_trusted 1",
        "branchline_build_info{",
    ] {
        assert!(metrics.contains(name), "{name} is missing in\n{metrics}");
    }
    let page = get(port, "/");
    assert!(page.contains("All well.") && page.contains("accepted: taken") && page.contains("t-1"), "{page}");
    assert!(house.stop().success());
}

#[test]
fn a_reload_takes_all_or_nothing() {
    let mut house = House::new("");
    house.start();
    let rule = |name: &str, topic: &str| {
        format!(
            "[rules.{name}]\ninherit = \"order\"\ntopic = \"{topic}\"\n[rules.{name}.message]\ntemplate = \"order_ready\"\n\
             body = [\"{name}\", \"{{{{ order }}}}\"]\n"
        )
    };
    let subscribed = |house: &House, filter: &str| {
        let lines = house.broker.log();
        let place = |what: &str| lines.lines().rev().position(|line| line.contains(what));
        (place(&format!("{filter} (QoS")), place(filter))
    };
    let event = |number: u32| order(number).1;
    house.layer("more", &rule("shipped", "pos/{till}/order/{order}/shipped"));
    house.signal(Signal::HUP);
    house.wait("the new filter", |house| subscribed(house, "pos/+/order/+/shipped").0.is_some());
    house.wait("it is in force", |house| house.whole_log().contains("was read again and is in force"));
    house.publish([("pos/1/order/5/shipped".to_owned(), event(5))]);
    house.wait_for_accepted(1, LONG);
    assert!(house.control().accepted()[0].text.contains("shipped"));

    // Two mistakes: both are told, and nothing of the file is taken.
    let broken = rule("returned", "pos/{till}/order/{order}/returned").replace("order_ready", "no_such_template");
    house.layer("more", &format!("{broken}wen = \"true\"\n"));
    house.signal(Signal::HUP);
    house.wait("the old one stays", |house| house.whole_log().contains("the one before stays in force"));
    let log = house.whole_log();
    assert!(log.contains("no_such_template") && log.contains("wen"), "{log}");
    house.publish([("pos/1/order/6/shipped".to_owned(), event(6))]);
    house.wait_for_accepted(2, LONG);

    // The rule goes, and its filter with it.
    house.layer("more", "");
    house.signal(Signal::HUP);
    house.wait("the filter is gone", |house| {
        let log = house.broker.log();
        log.lines().skip_while(|line| !line.contains("Received UNSUBSCRIBE")).any(|line| line.contains("/shipped"))
    });
    house.publish([("pos/1/order/8/shipped".to_owned(), event(8)), order(9)]);
    house.wait_for_accepted(3, LONG);
    assert!(house.control().accepted()[2].text.contains("pedido 9"), "the eighth reached nobody");
    assert!(house.stop().success());
}

/// It answered by the rules that the daemon had loaded, and did not say so.
#[test]
fn explain_says_when_the_daemon_goes_by_other_rules_than_the_files_hold() {
    let mut house = House::new("");
    house.start();
    let asked = ["explain", "--topic", "pos/1/order/7/ready"];
    let goes_by = |house: &House| house.data(&asked)["configuration"].clone();
    let first = goes_by(&house);
    assert_eq!(first["differs"], false, "{first}");
    assert!(!house.said(&asked).contains("configuration"));

    house.layer("more", "[rules.ready]\nwhen = \"payload.total > 100\"\n");
    let text = house.said(&asked);
    assert!(text.contains("NOT by the configuration as it is written now") && text.contains("SIGHUP"), "{text}");
    let now = goes_by(&house);
    assert_eq!((&now["differs"], &now["since"]), (&json!(true), &first["since"]), "{now}");

    house.signal(Signal::HUP);
    house.wait("the file is in force", |house| goes_by(house)["differs"] == false);
    let second = goes_by(&house);
    assert!(second["since"].as_i64() > first["since"].as_i64(), "{first} {second}");
    house.layer("more", "[rules.ready]\nwhen = \"payload.total > 101\"\n");
    assert_eq!(goes_by(&house)["differs"], true);
    house.layer("more", "# As it was.\n\n[rules.ready]\nwhen = 'payload.total > 100'\n");
    assert_eq!(goes_by(&house)["differs"], false, "another file, and the same rules");
    let list = std::fs::read_to_string(house.path().join("templates.json")).unwrap();
    house.write("templates.json", &format!("{list}\n"));
    assert_eq!(goes_by(&house)["differs"], true, "another list of templates");
    assert!(house.stop().success());
    assert_eq!(goes_by(&house), Value::Null, "without a daemon it is the files that answer");
}

#[test]
fn what_cannot_start_says_why_with_its_exit_code() {
    let mut house = House::new("");
    house.start();
    let why = house.refused(74, &["run"]);
    assert!(why.contains("is in use by another branchline"), "{why}");
    assert!(house.status().is_some(), "the first one runs on");
    assert!(house.stop().success());

    let store = rusqlite::Connection::open(house.path().join("outbox.db")).unwrap();
    let version: i64 = store.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    store.execute_batch(&format!("PRAGMA user_version = {}", version + 1)).unwrap();
    drop(store);
    // A newer one leaves a mark of its own beside it: what this one marked last is gone.
    std::fs::remove_file(house.path().join("outbox.db.lock")).unwrap();
    for command in ["run", "status"] {
        let why = house.refused(74, &[command]);
        assert!(why.contains("written by a newer branchline") && why.contains("outbox.path"), "{why}");
    }

    house.layer("bad", "[mqtt]\nurl = \"broker\"\n[outbox]\nmax_bites = \"1 MiB\"\nwhen_full = \"drop\"\n");
    for command in ["run", "status"] {
        let why = house.refused(78, &[command]);
        for words in ["mqtt.url", "max_bites", "max_bytes", "when_full", "bad.toml:"] {
            assert!(why.contains(words), "{words:?} is missing in {why}");
        }
    }
    for wrong in [&["rnu"][..], &["outbox"], &["consent", "grant", "+5511987654321"], &["status", "--jsn"]] {
        let why = house.refused(64, wrong);
        assert!(why.contains("Usage:") || why.contains("required"), "{why}");
    }
}
