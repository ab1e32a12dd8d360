//! The binary's size.

use super::Size;
use crate::report::{Report, Verdict};
use std::path::{Path, PathBuf};

/// The binary of this run.
const BUILT: &str = env!("CARGO_BIN_EXE_branchline");
/// How to get the binary that boards get.
pub const HOW: &str = "build it with `cargo build --profile board --no-default-features`";

/// Where cargo puts the binary that boards get.
pub fn board_binary() -> PathBuf {
    let target = Path::new(BUILT).parent().and_then(Path::parent).expect("target/<profile>/branchline");
    target.join("board/branchline")
}

pub fn size(_: Size, report: &mut Report) {
    let bytes = |path: &Path| std::fs::metadata(path).map(|file| file.len() as f64 / f64::from(1 << 20));
    let what = "stripped binary, x86-64 glibc, as for boards";
    match bytes(&board_binary()) {
        Ok(mib) => report.add(what, "≤ 6 MiB", format!("{mib:.2} MiB"), Verdict::of(mib <= 6.0)),
        Err(_) => report.add(what, "≤ 6 MiB", HOW, Verdict::Absent),
    }
    report.show("the release build", format!("{:.2} MiB", bytes(Path::new(BUILT)).unwrap()));
}
