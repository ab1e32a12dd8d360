//! The built binary from outside: exit codes, and what goes to which stream.

use std::process::{Command, Output, Stdio};

fn branchline(typed: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_branchline"))
        .args(typed)
        .stdin(Stdio::null())
        .output()
        .expect("cargo built the binary")
}

#[test]
fn exit_codes_and_streams() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("branchline.sock");
    let nowhere = nowhere.to_str().unwrap();
    #[rustfmt::skip]
    let table: &[(&[&str], i32, &str, &str)] = &[
        (&["--help"], 0, "Example:\n  branchline demo", ""),
        (&["--version"], 0, env!("CARGO_PKG_VERSION"), ""),
        (&["outbox", "show", "--help"], 0, "branchline outbox show k3f9-1042", ""),
        (&["pause"], 64, "", "--reason"),
        (&["statu"], 64, "", "'status'"),
        (&["status", "--socket", nowhere], 69, "", "no daemon answers on"),
    ];
    for (typed, code, out, err) in table {
        let ended = branchline(typed);
        let (said, complained) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        assert_eq!(ended.status.code(), Some(*code), "{typed:?}: {complained}");
        assert!(said.contains(out) && said.is_empty() == out.is_empty(), "{typed:?}: {said}");
        assert!(complained.contains(err) && complained.is_empty() == err.is_empty(), "{typed:?}: {complained}");
    }
}

/// A full disk is told with the storage's code, as by every other command; an unknown board before anything else is read.
#[test]
fn check_tells_that_its_output_was_not_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("branchline.toml");
    std::fs::write(&file, "[branch]\n").unwrap();
    let check = |out: Stdio| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_branchline"));
        command.args(["check", "--config"]).arg(&file).env("BRANCHLINE_BOARD", "nowhere").stdout(out).output().unwrap()
    };
    let ended = check(Stdio::piped());
    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ended.stdout).contains("no board is called \"nowhere\""), "{ended:?}");
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ended = check(full.into());
    assert_eq!(ended.status.code(), Some(74), "{ended:?}");
    assert!(String::from_utf8_lossy(&ended.stderr).contains("cannot write the output"), "{ended:?}");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ended = check(writer.into());
    assert_eq!((ended.status.code(), ended.stderr.len()), (Some(0), 0), "{ended:?}");
}

#[test]
fn output_that_nobody_reads_is_no_failure() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_branchline"))
        .arg("--help")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), ended.stderr.len()), (Some(0), 0));
}
