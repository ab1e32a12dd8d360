//! Instructions of each case under callgrind: the same from run to run, so that a change shows in review.

use crate::cases::{CASES, Case, Crowd, Kind};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Beyond this a difference is told, and the comparison fails. Run to run they differ by less than a tenth of it (addresses, and with
/// them hash tables, are laid out anew); what is smaller cannot be told from the linker's mood, and a change worth a review is larger.
const PERCENT: f64 = 3.0;
/// Before anything is counted, caches and prepared statements are warm.
const WARM: u32 = 20;
/// Runs that are counted, of cases that can be run again.
const RUNS: u32 = 50;

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.txt")
}

/// Runs one case so many times, after it is warm: what callgrind looks at.
pub fn once(name: &str, runs: u32, crowd: &Path) {
    let case = CASES.iter().find(|case| case.name == name).unwrap();
    let mut run = (case.prepare)(&Crowd::at(crowd));
    (0..runs).for_each(|_| run());
}

/// Instructions for one item of each case.
fn count() -> Vec<(&'static Case, u64)> {
    let folder = tempfile::tempdir().unwrap();
    // Filled here: under callgrind it would take an hour.
    Crowd::at(folder.path()).fill();
    CASES
        .iter()
        .map(|case| {
            let figure = match case.kind {
                Kind::Once => callgrind(case, 1, folder.path()),
                // The difference of two runs: what only the first runs need falls out.
                Kind::Again => {
                    let (warm, all) =
                        (callgrind(case, WARM, folder.path()), callgrind(case, WARM + RUNS, folder.path()));
                    (all - warm) / u64::from(RUNS)
                }
            };
            let figure = figure / u64::from(case.items);
            println!("{:>12}  {}", grouped(figure), case.name);
            (case, figure)
        })
        .collect()
}

fn callgrind(case: &Case, runs: u32, crowd: &Path) -> u64 {
    let out = crowd.join("callgrind.out");
    let output = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg("--collect-atstart=no")
        .arg("--toggle-collect=*cases::measured*")
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(std::env::current_exe().unwrap())
        .args(["--once", case.name, &runs.to_string()])
        .arg(crowd)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|why| {
            eprintln!(
                "instructions are counted by valgrind, and it does not run: {why} (Debian: apt install valgrind)"
            );
            std::process::exit(69);
        });
    assert!(output.status.success(), "{}: {}", case.name, String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(&out).unwrap();
    let total = text.lines().find_map(|line| line.strip_prefix("summary: ")).unwrap();
    total.trim().parse().unwrap()
}

/// Writes the file anew.
pub fn write() {
    let mut text = format!(
        "# Instructions for one event, choice or start, by callgrind on {}, {}.\n\
         # Written by `cargo bench --bench hot -- --instructions --write`; without `--write` it compares.\n\n",
        std::env::consts::ARCH,
        compiler()
    );
    for (case, figure) in count() {
        text += &format!("{:>12}  {}\n", grouped(figure), case.name);
    }
    std::fs::write(file(), text).unwrap();
}

/// Compares with the file: 0 if all is as it was, 1 if anything differs by more than [`PERCENT`], or is missing in it.
pub fn compare() -> i32 {
    let text = std::fs::read_to_string(file()).unwrap();
    let known: BTreeMap<&str, u64> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.trim().split_once("  "))
        .map(|(figure, name)| (name, figure.replace(',', "").parse().unwrap()))
        .collect();
    let found = count();
    println!();
    let made = text.lines().find_map(|line| line.strip_prefix("# Instructions ")).unwrap_or_default();
    if !made.ends_with(&format!("on {}, {}.", std::env::consts::ARCH, compiler())) {
        println!("The file is of another machine or compiler ({made}); here it is {}.", compiler());
    }
    let gone = known.keys().filter(|name| found.iter().all(|(case, _)| case.name != **name));
    let mut differ = gone.inspect(|name| println!("{name}: in the file alone")).count();
    for (case, figure) in &found {
        match known.get(case.name) {
            Some(known) => {
                let percent = 100.0 * (*figure as f64 / *known as f64 - 1.0);
                if percent.abs() > PERCENT {
                    differ += 1;
                    println!("{}: {} instead of {} ({percent:+.1} %)", case.name, grouped(*figure), grouped(*known));
                }
            }
            None => {
                differ += 1;
                println!("{}: not in the file", case.name);
            }
        }
    }
    match differ {
        0 => println!("all within {PERCENT} % of {}", file().display()),
        _ => println!("{differ} of {} differ; if that is meant: --instructions --write", found.len()),
    }
    i32::from(differ > 0)
}

fn compiler() -> String {
    let output = Command::new("rustc").arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.split(" (").next().unwrap_or_default().trim().to_owned()
}

fn grouped(figure: u64) -> String {
    let digits = figure.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
