//! A disk that gives a part of the store no more: the system's own EIO, made by a library that is preloaded into the daemon.

use crate::house::{House, alarm, customer, order, order_for};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);
/// SQLite's page of a store.
const PAGE: usize = 512;

/// Built once for a test. The compiler is there: the store itself is C.
fn library(folder: &Path) -> PathBuf {
    let library = folder.join("bad-sector.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/branch/trials/bad-sector.c");
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).arg("-ldl").output();
    assert!(built.as_ref().is_ok_and(|output| output.status.success()), "cc: {built:?}");
    library
}

/// From the next start on these bytes of the store cannot be read, wherever the file is moved.
fn fails(house: &mut House, library: &Path, from: usize, to: usize) -> u64 {
    let inode = std::fs::metadata(house.path().join("outbox.db")).unwrap().ino();
    house.wrapper = vec![
        "env".into(),
        format!("LD_PRELOAD={}", library.display()),
        format!("BAD_INODE={inode}"),
        format!("BAD_FROM={from}"),
        format!("BAD_TO={to}"),
    ];
    inode
}

/// Told, set aside, held but for the alarm, and released.
fn lives_through(house: &mut House, inode: u64, number: u32, says: &str) {
    house.wait("it is found", |house| house.status().is_some_and(|status| status.to_string().contains("DAMAGED")));
    let log = house.whole_log();
    assert!(log.contains("was damaged and is set aside") && log.contains(says), "{says:?} is missing in {log}");
    let aside = std::fs::read_dir(house.path()).unwrap().map(|file| file.unwrap());
    let aside: Vec<_> = aside.filter(|file| file.file_name().to_string_lossy().contains(".damaged-")).collect();
    assert!(aside.iter().any(|file| file.metadata().unwrap().ino() == inode), "{aside:?}");
    let went = |house: &House, to: &str| house.control().accepted().iter().filter(|seen| seen.to == to).count();
    let before = house.control().accepted().len();
    house.publish([alarm(number), order(number), order_for(number + 1, &customer(2))]);
    house
        .wait_for("the alarm goes, once the limits are whole", LONG, |house| house.control().accepted().len() > before);
    assert_eq!(went(house, &customer(number)), 0, "everything else is held");
    house.said(&["outbox", "accept-loss", "--reason", "a new card is in the box"]);
    house.wait_for("the order goes", LONG, |house| went(house, &customer(number)) == 1);
    house.wait_for("nothing waits", LONG, |house| house.backlog() == 0);
    assert_eq!(went(house, &customer(2)), 1, "who said no got what came before, and nothing after");
}

#[test]
fn what_the_disk_does_not_give_any_more_is_salvaged_around() {
    // A program that holds its own libc cannot be given another `read`.
    if !cfg!(all(target_os = "linux", target_env = "gnu")) {
        eprintln!("SKIPPED: no library can be preloaded into a static program");
        return;
    }
    let mut house = House::new("");
    let library = library(house.path());
    house.start();
    house.publish((1..=40).map(order));
    house.wait_for_accepted(40, LONG);
    house.said(&["consent", "revoke", &customer(2)]);
    house.wait("all are settled", |house| house.backlog() == 0);
    assert!(house.stop().success());

    // One page with messages in it, the way a worn card loses them.
    let bytes = std::fs::read(house.path().join("outbox.db")).unwrap();
    let topic = b"pos/1/order/20/ready";
    let place = bytes.windows(topic.len()).position(|window| window == topic).unwrap() / PAGE * PAGE;
    let inode = fails(&mut house, &library, place, place + PAGE);
    house.start();
    // SQLite calls the system's EIO so.
    lives_through(&mut house, inode, 50, "database disk image is malformed");
    let kept = house.data(&["outbox", "list", "--limit", "200"]);
    let kept = kept["rows"].as_array().unwrap().len();
    assert!((30..46).contains(&kept), "of 40 messages and what came since, {kept} are known");
    assert!(house.stop().success());

    // All of it: the list of who said no lies beside it.
    let inode = fails(&mut house, &library, 0, usize::MAX >> 1);
    house.start();
    lives_through(&mut house, inode, 60, "cannot be read");
    assert!(house.stop().success());
}
