//! `branchline demo`, the built binary: a stranger's first look.
#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used)]

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn demo(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_branchline"));
    command.arg("demo").env("TMPDIR", folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn is_empty(folder: &Path) -> bool {
    folder.read_dir().unwrap().next().is_none()
}

/// No whole phone number: the shortest of them has ten digits. No token: they begin with `demo-` and a hexadecimal number.
fn assert_discreet(text: &str) {
    let digits: String = text.chars().map(|c| if c.is_ascii_digit() { c } else { ' ' }).collect();
    let longest = digits.split(' ').map(str::len).max().unwrap_or(0);
    assert!(longest < 8, "a number with {longest} digits:\n{text}");
    let hexadecimal = |part: &str| part.chars().take_while(char::is_ascii_hexdigit).count();
    assert!(text.split("demo-").skip(1).all(|part| hexadecimal(part) < 16), "a token:\n{text}");
}

/// What the example command does.
fn publish(port: u16, topic: &str, payload: &str) {
    use rumqttc::v5::mqttbytes::{QoS, v5::Packet};
    use rumqttc::v5::{AsyncClient, Event, MqttOptions};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, mut events) = AsyncClient::new(MqttOptions::new("stranger", "127.0.0.1", port), 8);
        client.publish(topic, QoS::AtLeastOnce, false, payload.to_owned()).await.unwrap();
        while !matches!(events.poll().await.unwrap(), Event::Incoming(Packet::PubAck(_))) {}
    });
}

#[test]
fn a_day_goes_as_it_should() {
    let folder = tempfile::tempdir().unwrap();
    let started = Instant::now();
    // An own configuration of whoever tries the demo does not change the day.
    let ended = demo(folder.path()).env("BRANCHLINE__UPLINK__PAUSE", "true").output().unwrap();
    let (said, complained) = (String::from_utf8(ended.stdout).unwrap(), String::from_utf8_lossy(&ended.stderr));
    assert_eq!(ended.status.code(), Some(0), "{complained}\n{said}");
    assert!(started.elapsed() < Duration::from_secs(180), "{:?}", started.elapsed());
    assert_eq!(complained, "");
    #[rustfmt::skip]
    let story = [
        "Ana +55…21 reads: “Alarme no nó loja-3", "Luis +52…78 reads: “Alarma en el nodo loja-3",
        "e02 pos/1/order/A-1042/placed", "“Oi, Beatriz! Recebemos seu pedido A-1042",
        "“¡Hola, Mateo! Recibimos tu pedido A-1043",
        "Carla +55…63 gets nothing: never agreed", "Diego +52…58 gets nothing: wrote STOP",
        "nobody is messaged: the payload is no JSON", "known already: nobody is messaged twice",
        "The uplink is cut", "the uplink is down (uplink-down)", "“A-1047 placed” is withdrawn",
        "The uplink is back", "The backlog has left",
        "What came of each event", "18 events, 14 messages, 2 withheld, 1 withdrawn, 1 unreadable, 0 repeats",
        "Every event had exactly the expected outcome.",
    ];
    let mut rest = said.as_str();
    for part in story {
        let at = rest.find(part).unwrap_or_else(|| panic!("{part:?} is missing, or not in its place:\n{said}"));
        rest = &rest[at..];
    }
    assert!(said.lines().all(|line| line.chars().count() <= 100), "wider than 100 columns:\n{said}");
    assert!(!said.contains('\u{1b}'), "colours in a pipe");
    assert!(!said.contains(" NO\n"), "{said}");
    assert_discreet(&said);
    assert!(is_empty(folder.path()), "the temporary folder is left behind");
}

#[test]
fn with_serve_it_stays_up_and_ends_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = demo(folder.path()).arg("--serve").spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let socket = lines.find_map(|line| Some(line.strip_prefix("operators' socket")?.trim().to_owned())).unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_branchline")).args(["status", "--socket", &socket]).output().unwrap();
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    let command = lines.find(|line| line.starts_with("mosquitto_pub")).unwrap();
    let port = command.split(" -p ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    let example: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
    publish(port, "pos/1/order/B-1/placed", example.join("").trim_end_matches('\''));
    assert!(lines.any(|line| line.contains("+55…00 reads: “Oi, Joana! Recebemos seu pedido B-1")));
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(lines.any(|line| line == "Ending in order."));
    assert!(is_empty(folder.path()), "the temporary folder is left behind");
}

#[test]
fn interrupted_it_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = demo(folder.path()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("e02 ")), "the day began");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(69));
    assert!(is_empty(folder.path()), "the temporary folder is left behind");
}

#[test]
fn whoever_reads_may_leave_early() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = demo(folder.path()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), String::from_utf8_lossy(&ended.stderr).as_ref()), (Some(0), ""));
}
