//! Replies as people read them: aligned, in the branch's time, worst news first, with what to do next.
//!
//! Floor: roof. Numbers came in masked. What an event or a till wrote cannot steer the terminal: see `clean`.

mod explain;
mod rights;

pub use explain::{explanation, sent};
pub use rights::{audit, erased, faults};

use crate::door::led::Sign;
use crate::operate::{
    AttemptRow, ConsentNow, ConsentReport, Hold, LossReport, NumberTold, OutboxDetail, OutboxPage, PauseReport,
    StatusReport, StoreCheck, Target,
};
use crate::rules::OPERATOR;
use crate::status::show;
use crate::time::Wall;
use jiff::tz::TimeZone;

/// `branchline status`
pub fn status(report: &StatusReport) -> String {
    let gauges = &report.gauges;
    let (zone, now) = (&show::zone(&gauges.timezone), gauges.at);
    let since = |at: Option<Wall>| at.map(|at| format!("since {}", show::since(at, now, zone))).unwrap_or_default();
    let mut text = format!(
        "{} · {} {} · Branchline {} · store {}\n",
        gauges.branch,
        show::local(now, zone),
        gauges.timezone,
        gauges.version,
        gauges.store
    );
    for problem in &report.problems {
        text.push_str(format!("\n!! {} {}", clean(&problem.what), since(problem.since)).trim_end());
        text.push_str(&format!("\n   -> {}\n", problem.remedy));
    }
    let links = gauges.links.iter().map(|link| {
        vec![link.link.clone(), if link.up { "up" } else { "down" }.into(), since(link.since), link.why.clone()]
    });
    let clock = if gauges.clock_trusted { "confirmed" } else { "not confirmed" };
    section(&mut text, "Links", links.chain([vec!["clock".into(), clock.into()]]));
    section(&mut text, "The number, as the platform says", number(&gauges.number, since).into_iter());
    let reports = gauges.reports.iter().map(|reports| {
        let last = if reports.last.is_some() {
            since(reports.last).replacen("since", "last", 1)
        } else {
            "nothing yet".into()
        };
        let unsigned =
            if reports.unsigned > 0 { format!("{} with a wrong signature", reports.unsigned) } else { String::new() };
        vec![reports.way.clone(), last, format!("{} bodies", reports.bodies), unsigned]
    });
    section(&mut text, "What the platform reported since the start", reports);
    let oldest = gauges.oldest_seconds.map_or("none".into(), show::age);
    let backlog = gauges.backlog.iter().map(|row| vec![row.state.to_string(), row.messages.to_string()]);
    let rest = [vec!["in flight".into(), gauges.in_flight.to_string()], vec!["oldest that waits".into(), oldest]];
    section(&mut text, "Messages", backlog.chain(rest));
    let board = gauges.board.as_ref().map(|board| {
        let light = if board.lights && gauges.running {
            format!("; its lights say {}", Sign::of(gauges).code())
        } else {
            String::new()
        };
        vec!["board".into(), format!("{}{light}", board.name)]
    });
    let store = vec!["on disk".into(), format!("{} of {}", show::bytes(gauges.bytes), show::bytes(gauges.max_bytes))];
    let free = gauges.free_bytes.map(|free| vec!["free on the disk".into(), show::bytes(free)]);
    let written = gauges.written.as_ref().map(|written| {
        let budget = written.budget.map_or(String::new(), |budget| format!(", of {} a day", show::bytes(budget)));
        let since = show::local(written.since, zone);
        vec!["written".into(), format!("{}{budget}, since {since}", show::bytes(written.bytes))]
    });
    section(&mut text, "The box", board.into_iter().chain([store]).chain(free).chain(written));
    section(&mut text, "Holds", holds(&gauges.holds, zone));
    let limits = show::limits(&gauges.limits).into_iter().map(|limit| {
        let (taken, free) = show::used(&limit);
        vec![limit.limit.clone(), format!("{:.0} %", limit.used * 100.0), taken, free, limit.note.clone()]
    });
    section(&mut text, "Limits used", limits);
    let last = report.last.iter().map(|line| {
        let outcome = line.outcome.map_or(String::new(), |outcome| format!("{outcome}: "));
        let known = |text: &Option<String>| text.clone().unwrap_or_default();
        let decided = format!("{outcome}{}", line.reason);
        vec![
            show::local(line.at, zone),
            known(&line.rule),
            known(&line.to),
            decided,
            known(&line.message),
            line.detail.clone(),
        ]
    });
    section(&mut text, "Last events", last);
    let counts = report.counts.iter().map(|count| {
        vec![count.category.clone(), count.outcome.to_string(), count.reason.to_string(), count.messages.to_string()]
    });
    section(&mut text, "Since the start", counts);
    text
}

fn number(told: &NumberTold, since: impl Fn(Option<Wall>) -> String) -> Vec<Vec<String>> {
    let people = if told.unlimited { Some("unlimited".into()) } else { told.people.map(|people| people.to_string()) };
    let as_of = since(told.told).replacen("since", "as of", 1);
    let rows = [
        ("quality", told.quality.clone()),
        ("status", Some(told.status.clone()).filter(|status| !status.is_empty())),
        ("people in 24 h", people),
        ("messages a second", told.per_second.map(|rate| rate.to_string())),
        ("asked", Some(as_of).filter(|as_of| !as_of.is_empty())),
        ("not answered", Some(told.trouble.clone()).filter(|why| !why.is_empty())),
    ];
    rows.into_iter().filter_map(|(name, value)| Some(vec![name.into(), value?])).collect()
}

/// `branchline outbox accept-loss`
pub fn loss(report: &LossReport, zone: &TimeZone) -> String {
    let mut text = format!("the loss of {} is accepted\n  {}\n", show::local(report.since, zone), clean(&report.note));
    if report.messages + report.unknown > 0 {
        text.push_str(&format!(
            "{} messages go on; {} of which nobody knows whether they were sent go by policy.on_unknown\n",
            report.messages, report.unknown
        ));
    }
    text
}

/// `branchline outbox check`
pub fn store(report: &StoreCheck) -> String {
    let mut text = format!("{} ({})\n", report.file, show::bytes(report.bytes));
    for wrong in &report.wrong {
        text.push_str(&format!("!! {}\n", clean(wrong)));
    }
    let rows = report.tables.iter().map(|table| {
        let lost = match (table.unreadable, table.gaps) {
            (0, 0) => String::new(),
            (rows, gaps) => format!("{rows} rows unreadable, {gaps} damaged stretches"),
        };
        vec![table.table.clone(), table.rows.to_string(), lost]
    });
    section(&mut text, "Rows that can be read", rows);
    if let Some(stops) = report.stops {
        text.push_str(&format!("\nThe list of who took consent back: {stops} entries\n"));
    }
    section(&mut text, "Set aside before", report.aside.iter().map(|file| vec![file.clone()]));
    text.push_str(if report.wrong.is_empty() {
        "\nNothing is damaged.\n"
    } else {
        "\nDAMAGED. The daemon sets it aside at its next start, keeps what can be read, and holds what it would send\n\
         until somebody accepts the loss. To see what can be read: branchline outbox export --all --file PATH\n"
    });
    text
}

/// `branchline outbox list`
pub fn outbox(page: &OutboxPage, zone: &TimeZone) -> String {
    if page.rows.is_empty() {
        return "no message\n".into();
    }
    let head = ["ID", "ARRIVED", "RULE", "TO", "PRIORITY", "OUTCOME", "REASON", "TRIES"].map(String::from).to_vec();
    let rows = page.rows.iter().map(|row| {
        vec![
            row.id.clone(),
            show::local(row.at, zone),
            row.rule.clone(),
            row.to.clone(),
            row.priority.code().into(),
            row.outcome.to_string(),
            row.reason.to_string(),
            row.tries.to_string(),
        ]
    });
    let mut text = table("", std::iter::once(head).chain(rows));
    if let Some(next) = page.next {
        text.push_str(&format!("more: --before {next}\n"));
    }
    text
}

/// `branchline outbox show`
pub fn message(detail: &OutboxDetail, zone: &TimeZone) -> String {
    let row = &detail.row;
    let mut facts = vec![
        ("to", row.to.clone()),
        ("stands at", format!("{}: {}", row.outcome, row.reason)),
        ("rule", row.rule.clone()),
        ("topic", if row.rule == OPERATOR { "(branchline send)".into() } else { detail.topic.clone() }),
        ("event", detail.event.clone().unwrap_or_else(|| "(no id)".into())),
        ("arrived", show::local(row.at, zone)),
        ("priority", row.priority.code().into()),
        ("category", row.category.code().into()),
        ("purpose", detail.purpose.clone()),
        ("template", detail.template.clone().unwrap_or_else(|| "(free text)".into())),
    ];
    let wait = detail.waits.as_ref().map(|wait| format!("{}{}", wait.reason, until(wait.until, zone)));
    let more = [
        ("subject", detail.subject.clone()),
        ("expires", detail.expires.map(|at| show::local(at, zone))),
        ("waits for", wait),
        ("platform id", detail.platform_id.clone()),
        ("cut", detail.cut.then(|| "something was too long for the platform: the end is missing".to_owned())),
        ("said last", Some(detail.detail.clone()).filter(|said| !said.is_empty())),
    ];
    facts.extend(more.into_iter().filter_map(|(name, value)| Some((name, value?))));
    let mut text = format!("{}\n", row.id);
    text.push_str(&table("  ", facts.into_iter().map(|(name, value)| vec![name.to_owned(), value])));
    match &detail.text {
        Some(said) => text.push_str(&quoted(said)),
        None => text.push_str("  (the text is forgotten: outbox.keep_content)\n"),
    }
    section(&mut text, "Attempts", detail.attempts.iter().map(|attempt| attempted(attempt, zone)));
    text
}

/// `branchline pause` and `resume`
pub fn paused(report: &PauseReport, resume: bool, zone: &TimeZone) -> String {
    let what = match &report.target {
        Target::All => "everything".to_owned(),
        Target::Rule(rule) => format!("rule {rule}"),
        Target::Category(category) => format!("category {category}"),
        Target::Template(template) => format!("template {template}"),
    };
    let n = report.messages;
    let mut text = match (resume, report.changed) {
        (false, true) => format!("{what}: held. {n} messages wait; new ones are received and stored.\n"),
        (false, false) => format!("{what}: was held already. {n} messages wait.\n"),
        (true, true) => format!("{what}: goes on. {n} messages may leave, as fast as the limits allow.\n"),
        (true, false) => format!("{what}: was not held.\n"),
    };
    section(&mut text, if resume { "Still held" } else { "Held now" }, holds(&report.holds, zone));
    text
}

/// `branchline consent grant`, `revoke` and `show`
pub fn consent(report: &ConsentReport, zone: &TimeZone) -> String {
    let mut text = format!("{}\n", report.number);
    section(&mut text, "Now", report.now.iter().map(|now| vec![now.purpose.clone(), agreed(now, zone)]));
    let entries = report.entries.iter().map(|row| {
        let expires = row.expires.map(|at| format!("until {}", show::local(at, zone))).unwrap_or_default();
        let at = row.at.map_or_else(|| "time not confirmed".to_owned(), |at| show::local(at, zone));
        vec![at, row.action.clone(), row.purpose.clone(), row.source.clone(), row.wording.clone(), expires]
    });
    if report.entries.is_empty() {
        text.push_str("\nThe ledger holds nothing on this number.\n");
    }
    section(&mut text, "Ledger", entries);
    text
}

fn agreed(now: &ConsentNow, zone: &TimeZone) -> String {
    match now.withheld {
        Some(reason) => format!("no: {reason}"),
        None => format!("yes{}", until(now.until, zone)),
    }
}

fn attempted(attempt: &AttemptRow, zone: &TimeZone) -> Vec<String> {
    let took = attempt.ended.map(|ended| format!("{} ms", ended.0.saturating_sub(attempt.at.0)));
    let reason = attempt.reason.map_or("in flight".to_owned(), |reason| reason.to_string());
    let at = show::local(attempt.at, zone);
    vec![attempt.number.to_string(), at, took.unwrap_or_default(), reason, attempt.detail.clone()]
}

fn holds(holds: &[Hold], zone: &TimeZone) -> impl Iterator<Item = Vec<String>> {
    holds.iter().map(|hold| {
        let since = hold.since.map(|at| format!("since {}", show::local(at, zone))).unwrap_or_default();
        vec![hold.what.clone(), hold.reason.to_string(), since + &until(hold.until, zone), hold.note.clone()]
    })
}

fn until(at: Option<Wall>, zone: &TimeZone) -> String {
    at.map(|at| format!(" until {}", show::local(at, zone))).unwrap_or_default()
}

fn quoted(said: &str) -> String {
    said.lines().map(|line| format!("    | {}\n", clean(line))).collect()
}

/// A heading and its table; nothing at all without rows.
fn section(text: &mut String, heading: &str, rows: impl Iterator<Item = Vec<String>>) {
    let table = table("  ", rows);
    if !table.is_empty() {
        text.push_str(&format!("\n{heading}\n{table}"));
    }
}

/// Columns as wide as their widest cell, two spaces apart.
fn table(indent: &str, rows: impl Iterator<Item = Vec<String>>) -> String {
    let rows: Vec<Vec<String>> = rows.map(|row| row.iter().map(|cell| clean(cell)).collect()).collect();
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell: &String| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = indent.to_owned();
        for (cell, &width) in row.iter().zip(&widths).filter(|&(_, &width)| width > 0) {
            line.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Without control characters: an event's text must not move the cursor, hide a line or recolour the terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests;
