//! Any bytes as the file of `branchline consent import`: recorded whole, or not begun and each problem told without a number.

use branchline::cli::{Exit, Failure, Setting, ledger};
use branchline::message::Name;
use branchline::operate::{LedgerLine, LedgerRow};
use branchline::time::Wall;

/// The file.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let lines = match import(text) {
        Ok(lines) => lines,
        Err(failure) => {
            assert!(failure.exit == Exit::No && failure.text.starts_with("nothing is recorded:"), "{failure:?}");
            assert!(super::digits_together(&failure.text) < 8, "{failure}");
            return;
        }
    };
    lines.iter().for_each(sound);
    let feeds = data.iter().filter(|byte| **byte == b'\n').count() as u64;
    assert!(lines.windows(2).all(|pair| pair[0].line < pair[1].line), "lines are counted forward");
    assert!(lines.iter().all(|line| (2..=feeds + 1).contains(&line.line)), "lines that the file has");

    // What was read is exported as a file that reads alike.
    let again = import(&export(&lines)).unwrap_or_else(|failure| panic!("the export is refused: {failure}"));
    let plain = |line: &LedgerLine| LedgerLine { line: 0, ..line.clone() };
    let (first, second): (Vec<_>, Vec<_>) = (lines.iter().map(plain).collect(), again.iter().map(plain).collect());
    assert!(first == second, "exported and imported, it reads differently");
}

fn sound(line: &LedgerLine) {
    let rules = &super::branch().rooms.rules;
    assert!(Name::read(&line.number, rules.country).is_ok());
    let known = rules.purposes.contains(&line.purpose) || line.purpose == "staff";
    match line.action.as_str() {
        "grant" if line.purpose == "all" => assert!(line.source == "start word"),
        "grant" => assert!(known && !line.source.is_empty()),
        "revoke" => assert!(known || line.purpose == "all"),
        other => panic!("{other}"),
    }
    let [at, expires] = [&line.at, &line.expires].map(|text| {
        let moment = (!text.is_empty()).then(|| text.parse::<jiff::Timestamp>().unwrap());
        assert!(moment.is_none_or(|moment| Wall(moment.as_millisecond()).rfc3339() == *text), "{text}");
        moment
    });
    assert!(at.zip(expires).is_none_or(|(at, expires)| at < expires));
}

fn import(text: &str) -> Result<Vec<LedgerLine>, Failure> {
    ledger::read(text, &Setting::of(super::branch()))
}

fn export(lines: &[LedgerLine]) -> String {
    let mut out = Vec::new();
    let mut writer = ledger::writer(&mut out, true).unwrap();
    lines.iter().for_each(|line| ledger::write(&mut writer, &row(line)).unwrap());
    drop(writer);
    String::from_utf8(out).unwrap()
}

fn row(line: &LedgerLine) -> LedgerRow {
    let moment = |text: &str| text.parse::<jiff::Timestamp>().ok().map(|at| Wall(at.as_millisecond()));
    LedgerRow {
        row: 1,
        number: line.number.clone(),
        purpose: line.purpose.clone(),
        action: line.action.clone(),
        at: moment(&line.at),
        source: line.source.clone(),
        wording: line.wording.clone(),
        expires: moment(&line.expires),
    }
}
