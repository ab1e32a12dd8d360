//! The binary's size.

use super::Size;
use crate::report::{Report, Verdict};
use std::path::Path;

pub fn size(_: Size, report: &mut Report) {
    let built = Path::new(env!("CARGO_BIN_EXE_branchline"));
    let target = built.parent().and_then(Path::parent).unwrap();
    let board = target.join("board/branchline");
    let bytes = |path: &Path| std::fs::metadata(path).map(|file| file.len() as f64 / f64::from(1 << 20));
    let what = "stripped binary, x86-64 glibc, as for boards";
    match bytes(&board) {
        Ok(mib) => report.add(what, "≤ 6 MiB", format!("{mib:.2} MiB"), Verdict::of(mib <= 6.0)),
        Err(_) => {
            let how = "build it with `cargo build --profile board --no-default-features`";
            report.add(what, "≤ 6 MiB", how, Verdict::Absent);
        }
    }
    report.show("the binary that was measured here", format!("{:.2} MiB", bytes(built).unwrap()));
}
