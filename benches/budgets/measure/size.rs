//! The binary's size.

use super::Size;
use crate::report::{Report, Verdict};
use std::path::{Path, PathBuf};

/// The binary of this run.
const BUILT: &str = env!("CARGO_BIN_EXE_branchline");
/// How to get the programs that boards get.
pub const HOW: &str = "build it with `boards/build all`";
/// What is built for boards, in the words of the compiler.
const TARGETS: [&str; 4] = [
    "aarch64-unknown-linux-musl",
    "armv7-unknown-linux-musleabihf",
    "arm-unknown-linux-musleabihf",
    "x86_64-unknown-linux-musl",
];

/// Where `boards/build` puts the program of `target`.
fn built(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/boards").join(target).join("branchline")
}

/// The program for boards that runs on this machine.
pub fn board_binary() -> PathBuf {
    built(&format!("{}-unknown-linux-musl", std::env::consts::ARCH))
}

pub fn size(_: Size, report: &mut Report) {
    let bytes = |path: &Path| std::fs::metadata(path).map(|file| file.len() as f64 / f64::from(1 << 20));
    for target in TARGETS {
        let what = format!("the program for boards, {target}");
        match bytes(&built(target)) {
            Ok(mib) => report.add(what, "≤ 6 MiB", format!("{mib:.2} MiB"), Verdict::of(mib <= 6.0)),
            Err(_) => report.add(what, "≤ 6 MiB", HOW, Verdict::Absent),
        }
    }
    report.show("the release build", format!("{:.2} MiB", bytes(Path::new(BUILT)).unwrap()));
}
