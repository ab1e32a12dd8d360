//! Any bytes as the file of `branchline consent import`: recorded whole, or not begun and each problem told without a number.

use branchline::cli::{Backend, Commands, Exit, Failure, execute};
use branchline::config::Config;
use branchline::message::Number;
use branchline::operate::{ImportReport, LedgerLine, LedgerPage, LedgerRow, Reply, Request};
use branchline::time::Wall;
use std::cell::RefCell;
use std::io::Write;
use std::path::Path;
use std::rc::Rc;

/// The file.
pub fn run(data: &[u8]) {
    let Desk { lines, ended } = import(data);
    if let Err(failure) = ended {
        assert!(lines.is_empty(), "begun, and refused: {failure}");
        assert!(matches!(failure.exit, Exit::No | Exit::Usage) && !failure.text.is_empty(), "{failure:?}");
        assert!(super::digits_together(&failure.text) < 8, "{failure}");
        return;
    }
    lines.iter().for_each(sound);
    let feeds = data.iter().filter(|byte| **byte == b'\n').count() as u64;
    assert!(lines.windows(2).all(|pair| pair[0].line < pair[1].line), "lines are counted forward");
    assert!(lines.iter().all(|line| (2..=feeds + 1).contains(&line.line)), "lines that the file has");

    // What was read is exported as a file that reads alike.
    let again = import(&export(&lines));
    again.ended.unwrap_or_else(|failure| panic!("the export is refused: {failure}"));
    let plain = |line: &LedgerLine| LedgerLine { line: 0, ..line.clone() };
    let (first, second): (Vec<_>, Vec<_>) =
        (lines.iter().map(plain).collect(), again.lines.iter().map(plain).collect());
    assert!(first == second, "exported and imported, it reads differently");
}

fn sound(line: &LedgerLine) {
    let rules = &super::branch().rooms.rules;
    assert!(Number::read(&line.number, rules.country).is_ok());
    let known = rules.purposes.contains(&line.purpose) || line.purpose == "staff";
    match line.action.as_str() {
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

struct Desk {
    lines: Vec<LedgerLine>,
    ended: Result<(), Failure>,
}

fn import(mut data: &[u8]) -> Desk {
    let fake = Fake::default();
    let typed = ["branchline", "consent", "import", "-"];
    let ended = execute(typed, &fake, &mut data, &mut Vec::new());
    Desk { lines: fake.lines.take(), ended }
}

fn export(lines: &[LedgerLine]) -> Vec<u8> {
    let fake = Fake { lines: Rc::new(RefCell::new(lines.to_vec())) };
    let mut out = Vec::new();
    execute(["branchline", "consent", "export"], &fake, &mut std::io::empty(), &mut out).unwrap();
    out
}

/// A ledger that takes everything.
#[derive(Clone, Default)]
struct Fake {
    lines: Rc<RefCell<Vec<LedgerLine>>>,
}

impl Backend for Fake {
    fn ask(&mut self, request: Request) -> Result<Reply, Failure> {
        match request {
            Request::ConsentImport { rows } => {
                assert!((1..=500).contains(&rows.len()));
                let report = ImportReport { recorded: rows.len() as u64, ..ImportReport::default() };
                self.lines.borrow_mut().extend(rows);
                Ok(Reply::data(&report))
            }
            Request::ConsentExport { .. } => {
                let rows = self.lines.borrow().iter().map(row).collect();
                Ok(Reply::data(&LedgerPage { rows, next: None }))
            }
            other => panic!("{other:?} was not ordered"),
        }
    }
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

impl Commands for Fake {
    fn config(&self, _: &Path, _: Option<&str>) -> Result<Config, Failure> {
        Ok(super::branch().clone())
    }
    fn offline(&self, _: &Config) -> Result<Box<dyn Backend>, Failure> {
        Ok(Box::new(self.clone()))
    }
    fn run(&self, _: &Path, _: Option<&str>) -> Result<(), Failure> {
        unreachable!("not ordered")
    }
    fn check(&self, _: &Path, _: Option<&str>, _: bool, _: &mut dyn Write) -> Result<(), Failure> {
        unreachable!("not ordered")
    }
    fn demo(&self, _: bool) -> Result<(), Failure> {
        unreachable!("not ordered")
    }
}
