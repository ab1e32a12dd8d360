//! The ledger as a file: a CSV that is read whole and checked whole before its first line is recorded, and written page by page.
//!
//! Floor: roof.

use super::Setting;
use super::failure::{Exit, Failure};
use crate::message::{Number, START_WORD, is_user_id};
use crate::operate::{ImportReport, LedgerLine, LedgerRow, LineProblem, moment};
use crate::time::Wall;
use std::io::Write;

/// The columns, in the order in which they are written.
const COLUMNS: [&str; 7] = ["number", "purpose", "action", "at", "source", "wording", "expires"];

/// Lines that the engine takes at once, each batch all or nothing (`Request::ConsentImport`).
pub const BATCH: usize = 500;

/// Problems that are shown; a file with the wrong separator would have thousands.
const SHOWN: usize = 20;

/// Reads and checks the whole file.
///
/// # Errors
/// Every problem with its line (the first twenty); numbers are not repeated in it.
pub fn read(text: &str, setting: &Setting) -> Result<Vec<LedgerLine>, Failure> {
    // Spreadsheets begin a file with a byte order mark, and separate by semicolons where the comma is decimal.
    let text = text.trim_start_matches('\u{feff}');
    let header = text.lines().next().unwrap_or_default();
    let separator = if header.contains(';') { b';' } else { b',' };
    let mut reader = csv::ReaderBuilder::new().delimiter(separator).trim(csv::Trim::All).from_reader(text.as_bytes());
    let places = places(reader.headers().map_err(|error| refused(&[problem(1, error.to_string())]))?)?;
    let mut lines = Vec::new();
    let mut problems = Vec::new();
    let mut place = Place { text: text.as_bytes(), byte: 0, line: 1 };
    for record in reader.records() {
        let checked = match record {
            Ok(record) => line(&record, place.of(record.position()), &places, setting),
            Err(error) => Err(torn(&error, place.of(error.position()))),
        };
        match checked {
            Ok(line) => lines.push(line),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(lines) } else { Err(refused(&problems)) }
}

/// What the engine found wrong, or what the file check did.
pub fn refused(problems: &[LineProblem]) -> Failure {
    let mut text = String::from("nothing is recorded:");
    for LineProblem { line, problem } in problems.iter().take(SHOWN) {
        text.push_str(&format!("\n  line {line}: {problem}"));
    }
    if problems.len() > SHOWN {
        text.push_str(&format!("\n  and {} more", problems.len() - SHOWN));
    }
    Failure::new(Exit::No, text)
}

/// Adds one batch to the sum.
pub fn add(sum: &mut ImportReport, batch: &ImportReport) {
    sum.recorded += batch.recorded;
    sum.unchanged += batch.unchanged;
    sum.released |= batch.released;
    sum.held = batch.held;
}

/// A CSV on `out`; with `head`, its first line.
pub fn writer<W: Write>(out: W, head: bool) -> Result<csv::Writer<W>, csv::Error> {
    let mut writer = csv::Writer::from_writer(out);
    if head {
        writer.write_record(COLUMNS)?;
    }
    Ok(writer)
}

/// Writes one entry.
pub fn write<W: Write>(writer: &mut csv::Writer<W>, row: &LedgerRow) -> Result<(), csv::Error> {
    let expires = row.expires.map(Wall::rfc3339).unwrap_or_default();
    let at = row.at.map(Wall::rfc3339).unwrap_or_default();
    writer.write_record([&row.number, &row.purpose, &row.action, &at, &row.source, &row.wording, &expires])
}

/// Where each column of `COLUMNS` stands in the file.
fn places(header: &csv::StringRecord) -> Result<[usize; COLUMNS.len()], Failure> {
    let mut places = [0; COLUMNS.len()];
    let mut problems = Vec::new();
    for (place, column) in places.iter_mut().zip(COLUMNS) {
        match header.iter().position(|name| name == column) {
            Some(found) => *place = found,
            None => problems.push(problem(1, format!("the column {column} is missing"))),
        }
    }
    for unknown in header.iter().filter(|name| !COLUMNS.contains(name)) {
        let known = COLUMNS.join(",");
        problems.push(problem(1, format!("no column has the name {}; the first line holds {known}", shown(unknown))));
    }
    if problems.is_empty() { Ok(places) } else { Err(refused(&problems)) }
}

/// Where a record begins, as an editor counts. The reader's own count stands before the line end that it skips first:
/// wrong after an empty line, and by one everywhere where lines end with CR and LF.
struct Place<'a> {
    text: &'a [u8],
    byte: usize,
    line: u64,
}

impl Place<'_> {
    /// Only forward.
    fn of(&mut self, position: Option<&csv::Position>) -> u64 {
        let skipped = position.and_then(|position| usize::try_from(position.byte()).ok()).unwrap_or(self.byte);
        while let Some(byte) = self.text.get(self.byte) {
            if self.byte >= skipped && !matches!(byte, b'\r' | b'\n') {
                break;
            }
            self.line += u64::from(*byte == b'\n');
            self.byte += 1;
        }
        self.line
    }
}

fn line(
    record: &csv::StringRecord,
    at_line: u64,
    places: &[usize; COLUMNS.len()],
    setting: &Setting,
) -> Result<LedgerLine, LineProblem> {
    let wrong = |what: String| problem(at_line, what);
    let [number, purpose, action, at, source, wording, expires] =
        places.map(|place| record.get(place).unwrap_or_default());
    check_number(number, setting).map_err(|what| wrong(format!("number {what}")))?;
    match (action, purpose) {
        (_, "") => return Err(wrong("purpose is empty".into())),
        ("grant", "all") if source == START_WORD => {}
        ("grant", "all") => return Err(wrong("purpose all goes with revoke only: a grant is for one purpose".into())),
        ("grant", purpose) | ("revoke", purpose) if purpose == "all" || setting.knows(purpose) => {}
        ("grant" | "revoke", purpose) => {
            return Err(wrong(format!("no purpose has the name {} (see [purposes])", shown(purpose))));
        }
        (other, _) => return Err(wrong(format!("action is {}, and must be grant or revoke", shown(other)))),
    }
    if action == "grant" && source.is_empty() {
        return Err(wrong("source is empty: a grant says where it was given".into()));
    }
    let time = |name: &str, text: &str| match text {
        "" => Ok(None),
        text => moment(text, &setting.zone).map(Some).map_err(|what| wrong(format!("{name} {what}"))),
    };
    let (at, expires) = (time("at", at)?, time("expires", expires)?);
    if at.zip(expires).is_some_and(|(at, expires)| expires <= at) {
        return Err(wrong("expires is not after at".into()));
    }
    Ok(LedgerLine {
        line: at_line,
        number: number.to_owned(),
        purpose: purpose.to_owned(),
        action: action.to_owned(),
        at: at.map(Wall::rfc3339).unwrap_or_default(),
        source: source.to_owned(),
        wording: wording.to_owned(),
        expires: expires.map(Wall::rfc3339).unwrap_or_default(),
    })
}

/// A cell for an error, unless it may be somebody's number: columns get mixed up, and a file without a header begins with one.
fn shown(cell: &str) -> &str {
    let digits = cell.chars().filter(char::is_ascii_digit).count();
    if digits < 5 { cell } else { "(a cell with many digits)" }
}

/// A number, or the platform's id of who has none here.
fn check_number(number: &str, setting: &Setting) -> Result<(), String> {
    match setting.country {
        _ if is_user_id(number) => Ok(()),
        Some(country) => Number::read(number, country).map(drop).map_err(|problem| problem.to_string()),
        None if number.chars().any(|c| c.is_ascii_digit()) => Ok(()),
        None => Err("holds no digit".into()),
    }
}

/// A record that is no record; without its content.
fn torn(error: &csv::Error, line: u64) -> LineProblem {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            problem(line, format!("has {len} columns, and the first line {expected_len}"))
        }
        _ => problem(line, error.to_string()),
    }
}

fn problem(line: u64, problem: String) -> LineProblem {
    LineProblem { line, problem }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Country;
    use jiff::tz::TimeZone;

    const HEADER: &str = "number,purpose,action,at,source,wording,expires\n";

    fn setting() -> Setting {
        Setting {
            zone: TimeZone::get("America/Sao_Paulo").unwrap(),
            country: Country::of_code("BR"),
            purposes: Some(vec!["orders".into()]),
            fingerprint: None,
        }
    }

    #[test]
    fn good_lines_keep_their_place_and_get_whole_times() {
        let text = format!(
            "{HEADER}+5511987654321,orders,grant,2026-01-02,till 3,v1,2027-01-02\n\n+5511987654322,all,revoke,,,,\n"
        );
        let lines = read(&text, &setting()).unwrap();
        assert_eq!(lines.iter().map(|line| line.line).collect::<Vec<_>>(), [2, 4]);
        assert_eq!(lines[0].at, "2026-01-02T03:00:00.000Z");
        assert_eq!(lines[0].expires, "2027-01-02T03:00:00.000Z");
        assert_eq!((lines[1].purpose.as_str(), lines[1].at.as_str()), ("all", ""));
    }

    #[test]
    fn spreadsheets_separators_marks_and_order_of_columns() {
        let text =
            "\u{feff}purpose;number;action;source;at;expires;wording\r\norders;+5511987654321;grant;\"till; 3\";;;\r\n";
        let lines = read(text, &setting()).unwrap();
        assert_eq!((lines[0].source.as_str(), lines[0].purpose.as_str()), ("till; 3", "orders"));
    }

    #[test]
    fn every_bad_line_is_named_and_nobodys_number() {
        #[rustfmt::skip]
        let table = [
            ("+5511987654321,orders,grant,,,,", "line 2: source is empty: a grant says where it was given"),
            ("+5511987654321,orders,agree,,till,,", "line 2: action is agree, and must be grant or revoke"),
            ("+5511987654321,,grant,,till,,", "line 2: purpose is empty"),
            ("+5511987654321,all,grant,,till,,", "line 2: purpose all goes with revoke only"),
            ("+5511987654321,offers,grant,,till,,", "line 2: no purpose has the name offers"),
            ("+5511987654321,orders,grant,02/01/2026,till,,", "line 2: at is no time"),
            ("+5511987654321,orders,grant,2026-01-02,till,,2026-01-02", "line 2: expires is not after at"),
            ("+5511987654321,orders,+5511987654321,,till,,", "line 2: action is (a cell with many digits), and must be"),
            ("+5511987654321,+5511987654321,grant,,till,,", "line 2: no purpose has the name (a cell with many digits)"),
            ("+5511987654321,orders,grant,+5511987654321,till,,", "line 2: at is no time"),
            ("+5511987654321,orders,grant,,till", "line 2: has 5 columns, and the first line 7"),
        ];
        for (line, expected) in table {
            let failure = read(&format!("{HEADER}{line}\n"), &setting()).unwrap_err();
            assert!(failure.text.contains(expected), "{line}: {failure}");
            assert!(failure.text.starts_with("nothing is recorded") && failure.exit == Exit::No, "{failure}");
            assert!(!failure.text.contains("987654321"), "{failure}");
        }
        let nowhere = Setting { country: None, purposes: None, ..setting() };
        let failure = read(&format!("{HEADER}ana,orders,grant,,till,,\n"), &nowhere).unwrap_err();
        assert!(failure.text.contains("number holds no digit"), "{failure}");
    }

    #[test]
    fn all_problems_at_once_up_to_twenty() {
        let failure =
            read(&format!("{HEADER}{}", "x,orders,agree,,,,\n".repeat(30)), &Setting { country: None, ..setting() });
        let failure = failure.unwrap_err();
        assert_eq!(failure.text.lines().count(), 1 + SHOWN + 1);
        assert!(failure.text.ends_with("and 10 more"), "{failure}");
    }

    #[test]
    fn a_file_without_its_first_line_is_refused_and_shows_nothing_of_it() {
        let failure = read("+5511987654321,orders,grant,,till,,\n", &setting()).unwrap_err();
        assert!(failure.text.contains("line 1: the column number is missing"), "{failure}");
        assert!(!failure.text.contains("987654321"), "{failure}");
    }

    #[test]
    fn what_is_written_can_be_read_again() {
        let row = LedgerRow {
            row: 1,
            number: "+5511987654321".into(),
            purpose: "orders".into(),
            action: "grant".into(),
            at: Some(Wall(1_700_000_000_000)),
            source: "counter \"2\", form".into(),
            wording: "v1".into(),
            expires: None,
        };
        let mut out = Vec::new();
        let mut writer = writer(&mut out, true).unwrap();
        write(&mut writer, &row).unwrap();
        writer.flush().unwrap();
        drop(writer);
        let lines = read(std::str::from_utf8(&out).unwrap(), &setting()).unwrap();
        assert_eq!(
            (&lines[0].number, &lines[0].source, &lines[0].at),
            (&row.number, &row.source, &row.at.map(Wall::rfc3339).unwrap_or_default())
        );
    }
}
