//! Certificates that are wrong: nothing is sent, nothing is lost, the status says which and what to do.

use crate::house::{API_NAMES, House, alarm, now, order};
use crate::mosquitto::{Mosquitto, Port};
use branchline::demo::certs::{Authority, Identity, Validity};
use branchline::time::Wall;
use std::path::Path;
use std::time::Duration;

const DAY: i64 = 24 * 60 * 60 * 1000;
const LONG: Duration = Duration::from_secs(60);

/// A server whose certificate is bad in one way; `told` is in the words for the technician.
fn refuses_until_replaced(bad: impl FnOnce(&Authority) -> Identity, told: &[&str]) {
    let mut house = House::new("");
    let bad = bad(&house.authority);
    house.replace_api(&bad);
    house.launch();
    house.wait("the broker is up", |house| {
        house.status().is_some_and(|status| status["links"][0]["up"] == serde_json::json!(true))
    });
    house.publish((1..=5).map(order).chain([alarm(1)]));
    house.wait("six are stored", |house| house.backlog() == 6);
    house.wait("the problem is told", |house| {
        let problems = house.problems();
        problems.contains("UPLINK DOWN") && told.iter().all(|words| problems.contains(words))
    });
    let text = house.said(&["status"]);
    assert!(told.iter().all(|words| text.contains(words)), "{text}");
    assert!(told.iter().all(|words| house.whole_log().contains(words)), "{}", house.log());
    let page = house.data(&["outbox", "list"]);
    for row in page["rows"].as_array().unwrap() {
        assert_eq!(row["outcome"], "stored", "surely not sent, so never unknown: {page:#}");
    }
    let counters = house.control().counters();
    assert!(counters.whole == 0 && counters.failed_handshakes > 0, "{counters:?}");

    let good = house.authority.server(API_NAMES, Validity::around(now())).unwrap();
    house.replace_api(&good);
    house.wait_for_accepted(6, LONG);
    house.wait("nothing waits", |house| house.backlog() == 0);
    assert_eq!((house.control().counters().accepted, house.control().repeats().len()), (6, 0));
    assert!(house.whole_log().contains("the uplink works"), "{}", house.log());
    assert!(house.stop().success());
}

#[test]
fn another_authority() {
    let other = |_: &Authority| {
        Authority::new(Validity::around(now())).unwrap().server(API_NAMES, Validity::around(now())).unwrap()
    };
    refuses_until_replaced(other, &["an issuer that is not trusted", "uplink.ca_file"]);
}

#[test]
fn expired() {
    let past = Validity { from: Wall(now().0 - 20 * DAY), until: Wall(now().0 - 10 * DAY) };
    refuses_until_replaced(
        |authority| authority.server(API_NAMES, past).unwrap(),
        &["expired on", "is its clock right?"],
    );
}

#[test]
fn not_yet_valid() {
    let future = Validity { from: Wall(now().0 + 10 * DAY), until: Wall(now().0 + 20 * DAY) };
    let told = &["is not valid before", "is its clock right?"];
    refuses_until_replaced(|authority| authority.server(API_NAMES, future).unwrap(), told);
}

#[test]
fn another_name() {
    let told = &["is not for 127.0.0.1", "uplink.base_url"];
    let names = &["graph.example"];
    refuses_until_replaced(|authority| authority.server(names, Validity::around(now())).unwrap(), told);
}

/// A house whose broker speaks TLS beside its plain port, with this certificate; the daemon trusts `trusted`, a PEM.
fn tls_broker(house: &mut House, identity: &Identity, trusted: &str) -> Port {
    let port = Port::reserve();
    let number = port.number();
    let lines = format!(
        "allow_anonymous true\nlistener {number} 127.0.0.1\ncertfile {{folder}}/broker.pem\nkeyfile {{folder}}/broker.key\n"
    );
    house.broker = Mosquitto::start_with(&lines, |folder| present(folder, identity));
    house.write("broker-ca.pem", trusted);
    house.layer("broker", &format!("[mqtt]\nurl = \"mqtts://127.0.0.1:{number}\"\nca_file = \"broker-ca.pem\"\n"));
    port
}

/// What the broker shows from its next start on.
fn present(folder: &Path, identity: &Identity) {
    std::fs::write(folder.join("broker.pem"), identity.certificate_pem()).unwrap();
    std::fs::write(folder.join("broker.key"), identity.key_pem()).unwrap();
}

fn wait_until_refused(house: &mut House, told: &[&str]) {
    house.wait(&format!("the broker's certificate is refused: {told:?}"), |house| {
        let problems = house.problems();
        problems.contains("BROKER DOWN") && told.iter().all(|words| problems.contains(words))
    });
    let text = house.said(&["status"]);
    assert!(told.iter().all(|words| text.contains(words)), "{text}");
    assert!(told.iter().all(|words| house.whole_log().contains(words)), "{}", house.log());
}

/// Each is told with what to do; once the broker has a good one, the daemon finds it by itself.
#[test]
fn a_brokers_bad_certificate_is_told_and_a_renewed_one_connects() {
    let past = Validity { from: Wall(now().0 - 20 * DAY), until: Wall(now().0 - 10 * DAY) };
    let future = Validity { from: Wall(now().0 + 10 * DAY), until: Wall(now().0 + 20 * DAY) };
    let good = Validity::around(now());
    let own = &["127.0.0.1"][..];
    let table = [
        (own, past, &["certificate expired", "renew the broker's certificate"][..]),
        (own, future, &["certificate not valid yet", "check the clock of this box"]),
        (&["broker.example"], good, &["certificate not valid for name", "use the name in the certificate in mqtt.url"]),
    ];
    std::thread::scope(|scope| {
        for (names, validity, told) in table {
            scope.spawn(move || {
                let mut house = House::new("");
                let bad = house.authority.server(names, validity).unwrap();
                let authority = house.authority.certificate_pem().to_owned();
                let _port = tls_broker(&mut house, &bad, &authority);
                house.launch();
                wait_until_refused(&mut house, told);
                house.broker.pause();
                present(house.broker.folder(), &house.authority.server(own, good).unwrap());
                house.broker.resume();
                house.wait_until_up();
                house.publish([order(1)]);
                house.wait_for_accepted(1, LONG);
                assert!(house.stop().success());
            });
        }
    });
}

#[test]
fn a_broker_of_another_authority_is_told_and_a_corrected_file_connects() {
    let mut house = House::new("");
    let identity = house.authority.server(&["127.0.0.1"], Validity::around(now())).unwrap();
    let other = Authority::new(Validity::around(now())).unwrap();
    let _port = tls_broker(&mut house, &identity, other.certificate_pem());
    house.launch();
    wait_until_refused(&mut house, &["set mqtt.ca_file to the authority that issued"]);
    let authority = house.authority.certificate_pem().to_owned();
    house.write("broker-ca.pem", &authority);
    assert!(house.stop().success(), "a daemon without a broker stops in order");
    house.start();
    house.publish([order(1)]);
    house.wait_for_accepted(1, LONG);
    assert!(house.stop().success());
}
