//! What a service manager hears of the daemon: a stand-in for systemd's socket, and the real binary.

use crate::house::House;
use crate::mosquitto::PATIENCE;
use std::os::unix::net::UnixDatagram;
use std::time::Instant;

/// What was heard until `enough`.
fn until(socket: &UnixDatagram, heard: &mut Vec<String>, enough: impl Fn(&[String]) -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !enough(heard) {
        let left = deadline.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "heard only {heard:#?}");
        socket.set_read_timeout(Some(left)).unwrap();
        let mut buffer = [0; 4096];
        if let Ok(length) = socket.recv(&mut buffer) {
            heard.push(String::from_utf8_lossy(&buffer[..length]).trim().to_owned());
        }
    }
}

#[test]
fn systemd_hears_that_it_is_ready_how_it_does_that_it_goes_on_and_that_it_stops() {
    let mut house = House::new("");
    let path = house.folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    house.wrapper =
        vec!["env".to_owned(), format!("NOTIFY_SOCKET={}", path.display()), "WATCHDOG_USEC=800000".to_owned()];
    house.launch();
    let mut heard = Vec::new();
    let said = |heard: &[String], what: &str| heard.iter().filter(|line| line.contains(what)).count();
    until(&socket, &mut heard, |heard| said(heard, "READY=1") == 1 && said(heard, "WATCHDOG=1") >= 3);
    // Links come up, and the line says so at the next look.
    until(&socket, &mut heard, |heard| said(heard, "STATUS=all is well; 0 messages wait") > 0);
    // An uplink that is gone is no reason to end the daemon: it goes on being petted, and says what is wrong.
    let petted = said(&heard, "WATCHDOG=1");
    house.command(&["pause", "--reason", "a trial"]);
    until(&socket, &mut heard, |heard| {
        said(heard, "STATUS=HELD: everything") > 0 && said(heard, "WATCHDOG=1") > petted
    });
    assert!(house.stop().success());
    until(&socket, &mut heard, |heard| said(heard, "STOPPING=1") == 1);
    assert_eq!(said(&heard, "READY=1"), 1, "{heard:#?}");
}
