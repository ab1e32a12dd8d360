//! A disk without space, and a store that has reached its own bound.

use crate::house::{House, alarm, customer, order};
use branchline::demo::api::{Account, Fault, Settings};
use serde_json::json;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(90);

/// What the daemon keeps free, for 32 posts in flight.
const RESERVE: u64 = 32 * 32 * 1024 + 1024 * 1024;

/// A small file system of its own; gone when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Where mounting is not permitted the test fails: a full disk that nobody has seen proves nothing.
    fn mount(at: &Path, size: &str) -> SmallDisk {
        std::fs::create_dir_all(at).unwrap();
        let owner = rustix::process::getuid().as_raw();
        let options = format!("size={size},uid={owner},mode=700");
        let done = as_root("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(at).output();
        assert!(
            done.as_ref().is_ok_and(|output| output.status.success()),
            "this test fills a small disk of its own and cannot mount one ({done:?}): run it as root, or as a user for whom \
             `sudo -n mount` works (\"NOPASSWD\" in sudoers); in a container, with the capability SYS_ADMIN",
        );
        SmallDisk(at.to_owned())
    }

    /// Takes all space but so many bytes.
    fn fill_but(&self, left: u64) {
        let free = self.free();
        let mut ballast = File::options().create(true).append(true).open(self.ballast()).unwrap();
        let mut still = free.saturating_sub(left);
        let block = vec![0x55; 4096];
        while still > 0 {
            let part = still.min(4096) as usize;
            match ballast.write_all(&block[..part]) {
                Ok(()) => still -= part as u64,
                Err(error) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
                    break;
                }
            }
        }
    }

    fn empty(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    fn free(&self) -> u64 {
        let stat = rustix::fs::statvfs(&self.0).unwrap();
        stat.f_bavail * stat.f_frsize
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let done = as_root("umount").arg("-l").arg(&self.0).status();
        assert!(std::thread::panicking() || done.unwrap().success());
    }
}

/// The command itself for root, else by way of sudo that asks nothing.
fn as_root(program: &str) -> Command {
    if rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.args(["-n", program]);
    command
}

/// A house whose API takes messages to any number of people: a full store needs many.
fn crowded(more: &str) -> House {
    House::with_api(more, |settings| Settings { account: Account::unlimited(), ..settings })
}

#[test]
fn a_full_disk_holds_events_and_loses_none() {
    let mut house = crowded("");
    let disk = SmallDisk::mount(&house.path().join("small"), "12m");
    house.layer("disk", "[outbox]\npath = \"small/outbox.db\"\n");
    house.start();
    house.publish((1..=20).map(order));
    house.wait_for_accepted(20, LONG);
    house.wait("twenty have left", |house| house.backlog() == 0);

    // Eight posts are on their way when the space goes: no more is left than the reserve that their answers need (32 KiB for
    // each post that may be on its way, and a MiB), and a little less.
    house.control().fault(Fault::SlowAnswer(Duration::from_secs(3)), Some(8));
    house.publish((21..=28).map(order));
    house.wait("eight are on their way", |house| house.control().counters().accepted >= 28);
    disk.fill_but(RESERVE - 64 * 1024);
    let crowd = 400;
    house.publish((29..=crowd).map(order).chain([alarm(1)]));
    house.wait_for("the full disk is told", LONG, |house| {
        house.problems().contains("free space on the file system of outbox.path")
            && house.whole_log().contains("events wait at the broker until it has space")
    });
    let text = house.said(&["status"]);
    assert!(text.contains("disk"), "{text}");
    house.wait_for("the eight are settled", LONG, |house| {
        house.data(&["outbox", "list", "--outcome", "accepted", "--limit", "200"])["rows"].as_array().unwrap().len()
            == 28
    });
    assert_eq!(house.control().counters().accepted, 28, "nothing new leaves");
    assert_eq!(house.backlog(), 0, "and nothing new is stored");

    disk.empty();
    house.wait_for_accepted(u64::from(crowd) + 1, LONG);
    house.wait_for("nothing waits", LONG, |house| house.backlog() == 0);
    assert_eq!(house.same_again(), 0);
    assert_eq!(house.control().counters().accepted, u64::from(crowd) + 1);
    // The disk of this trial is small for good, and that is told besides.
    house.wait("the problem is over", |house| {
        let problems = house.problems();
        !problems.contains("events wait")
            && problems.matches("\"what\"").count() == problems.matches("DISK NEARLY FULL").count()
    });
    assert!(house.stop().success());
}

/// So many that 1 MiB cannot hold them.
const MANY: u32 = 600;

const LONG_TEXTS: &str = r#"
[rules.long]
inherit = "order"
topic = "long/{order}"
[rules.long.message]
template = "order_ready"
body = ["{{ payload.name }}", "{{ order }}"]
"#;

/// An order with a text that fills the template.
fn long(number: u32) -> (String, String) {
    let payload = json!({
        "event_id": format!("l{number}"), "name": "Ana ".repeat(200),
        "customer": {"phone": customer(number), "whatsapp_opt_in": true},
    });
    (format!("long/{number}"), payload.to_string())
}

#[test]
fn a_full_store_holds_the_rest_at_the_broker_and_critical_ones_pass() {
    let mut house = crowded(LONG_TEXTS);
    house.layer("full", "[outbox]\nmax_bytes = \"1 MiB\"\n[limits]\nsender_per_second = 40\n");
    house.control().fault(Fault::RefuseConnections, None);
    house.launch();
    house
        .wait("the broker is up", |house| house.status().is_some_and(|status| status["links"][0]["up"] == json!(true)));
    // Until the first one waits; what the broker may send unacknowledged has room for a few more.
    let mut published = 0;
    while !house.problems().contains("store full") {
        assert!(published < MANY, "it is never full");
        house.publish((published + 1..=published + 16).map(long));
        published += 16;
        let told = |house: &House| house.backlog() == u64::from(published) || house.problems().contains("store full");
        house.wait("stored, or the store is full", told);
    }
    let ordinary = house.backlog();
    house.publish([alarm(1)]);
    house.wait("the alarm is in the reserve", |house| {
        let page = house.data(&["outbox", "list", "--outcome", "stored"]);
        page["rows"].as_array().unwrap().iter().any(|row| row["rule"] == "alarm")
    });
    assert_eq!(house.backlog(), ordinary + 1, "it, and nothing that is not critical");
    house.publish((published + 1..=MANY).map(long));
    let text = house.said(&["status"]);
    assert!(text.contains("wait unacknowledged") && text.contains("STORE"), "{text}");
    let stored = house.backlog();
    assert!(stored > 100 && stored < u64::from(MANY), "{stored}");
    let bytes = house.status().unwrap()["bytes"].as_u64().unwrap();
    assert!(bytes <= 1 << 20, "{bytes}");
    house.control().clear_faults().unwrap();
    house.wait_for_accepted(u64::from(MANY) + 1, LONG);
    house.wait_for("nothing waits", LONG, |house| house.backlog() == 0);
    assert_eq!((house.control().counters().accepted, house.same_again()), (u64::from(MANY) + 1, 0));
    assert!(house.stop().success());
}

#[test]
fn a_full_store_displaces_the_oldest_when_told_to_and_never_a_critical_one() {
    let mut house = crowded(LONG_TEXTS);
    house
        .layer("full", "[outbox]\nmax_bytes = \"1 MiB\"\nwhen_full = \"displace\"\n[limits]\nsender_per_second = 40\n");
    house.control().fault(Fault::RefuseConnections, None);
    house.launch();
    house
        .wait("the broker is up", |house| house.status().is_some_and(|status| status["links"][0]["up"] == json!(true)));
    house.publish([alarm(1)]);
    house.publish((1..=MANY).map(long));
    house.publish([alarm(2)]);
    let displaced = |house: &House| -> u64 {
        let counts = house.status().unwrap()["counts"].as_array().cloned().unwrap();
        counts
            .iter()
            .filter(|count| count["outcome"] == "displaced")
            .filter_map(|count| count["messages"].as_u64())
            .sum()
    };
    house.wait("every event has its outcome", |house| displaced(house) + house.backlog() == u64::from(MANY) + 2);
    let kept = house.backlog();
    assert!(displaced(&house) > 10);
    house.control().clear_faults().unwrap();
    house.wait_for_accepted(kept, LONG);
    let accepted = house.control().accepted();
    assert_eq!(accepted.iter().filter(|seen| seen.template.as_deref() == Some("node_alarm")).count(), 2);
    assert!(accepted.iter().any(|seen| seen.text.contains(&format!("pedido {MANY} "))), "the newest were kept");
    assert!(!accepted.iter().any(|seen| seen.text.contains("pedido 1 ")), "the oldest gave way");
    house.wait_for("nothing waits", LONG, |house| house.backlog() == 0);
    assert_eq!(house.same_again(), 0);
    assert!(house.stop().success());
}
