//! The day summed up: the table, the totals, and how to go on.
//!
//! Floor: beside the roof.

use super::say::{Look, Say, WIDTH, wrap};
use super::scenario::{COUNTERS, CUT, EXPECTED, rows_of};
use super::stage::Stage;
use super::verdict::{self, Line};
use super::watch::{Message, Record};
use super::words::who;
use crate::message::Outcome;
use std::time::Duration;

/// The table and the totals; whether all was as expected.
///
/// `longest` is the message that waited longest, from its event's publish until the API took it.
pub(super) fn up(
    say: &mut Say,
    record: &Record,
    events: usize,
    took: Duration,
    longest: Option<(Duration, &Message)>,
) -> bool {
    let rows = verdict::rows(EXPECTED, record);
    let promises = verdict::promises(EXPECTED, COUNTERS, CUT, record);
    say.chapter("What came of each event");
    say.look(Look::Faint, &format!("{:<5}{:<17}{:<16}{:<30}seen (texts word by word)", "", "about", "who", "expected"));
    rows.iter().for_each(|line| table_row(say, line));
    say.line("");
    for line in &promises {
        if line.ok() {
            let figure = if line.expected.len() < 10 { line.expected.as_str() } else { "as expected" };
            say.line(&format!("{:<84} {figure:>11}  ok", line.what));
        } else {
            say.look(Look::Bad, &format!("{:<97} NO", line.what));
            differs(say, line);
        }
    }
    let right = rows.iter().chain(&promises).all(Line::ok);
    totals(say, record, events, took, longest);
    say.line("");
    if right {
        say.look(Look::Good, "Every event had exactly the expected outcome.");
    } else {
        say.look(Look::Bad, "Not every event had the expected outcome: see the lines with NO.");
    }
    right
}

fn table_row(say: &mut Say, line: &Line) {
    let text = ", text as expected";
    let (expected, seen) = (line.expected.replace(text, ""), line.seen.replace(text, ""));
    if line.ok() {
        let Line { event, what, who, .. } = line;
        say.line(&format!("{event:<5}{what:<17}{who:<16}{expected:<30}{seen:<30}ok"));
    } else {
        say.look(Look::Bad, &format!("{:<5}{:<17}{:<76}NO", line.event, line.what, line.who));
        differs(say, line);
    }
}

fn differs(say: &mut Say, line: &Line) {
    for (label, text) in [("expected", &line.expected), ("seen", &line.seen)] {
        for part in wrap(&format!("{label}: {text}"), WIDTH - 10) {
            say.look(Look::Bad, &format!("          {part}"));
        }
    }
}

fn totals(say: &mut Say, record: &Record, events: usize, took: Duration, longest: Option<(Duration, &Message)>) {
    let count = |outcome: Outcome| record.receipts.iter().filter(|receipt| receipt.outcome == outcome).count();
    let repeats = record.messages.iter().filter(|message| message.repeat.is_some()).count();
    say.line("");
    say.line(&format!(
        "{events} events, {} messages, {} withheld, {} withdrawn, {} unreadable, {repeats} repeats; {:.0} s in all.",
        record.messages.len(),
        count(Outcome::Withheld),
        count(Outcome::Withdrawn),
        count(Outcome::Unreadable),
        took.as_secs_f64(),
    ));
    if let Some((waited, message)) = longest {
        let what = rows_of(&message.event).next().map_or("", |row| row.what);
        let cut = CUT.iter().any(|event| event.id == message.event);
        let text = format!(
            "The longest wait was {:.1} s: “{what}” to {}{}.",
            waited.as_secs_f64(),
            who(Some(&message.to)),
            if cut { ", published while the uplink was away" } else { "" },
        );
        wrap(&text, WIDTH).iter().for_each(|line| say.line(line));
    }
}

/// Where everything is, for whoever goes on by hand.
pub(super) fn addresses(say: &mut Say, stage: &Stage) {
    let page = stage.daemon().page().map_or("off".to_owned(), |page| format!("http://{page}/"));
    let broker = stage.broker().addr();
    let socket = stage.file("branchline.sock");
    let rows = [
        ("broker", stage.broker().url()),
        ("simulated API", stage.api_url()),
        ("status page", page),
        ("operators' socket", socket.display().to_string()),
        ("configuration", stage.file("demo.toml").display().to_string()),
        ("daemon's log", stage.file("daemon.log").display().to_string()),
    ];
    say.chapter("Everything stays up until Ctrl-C; what comes of your events is told below");
    for (name, address) in rows {
        say.line(&format!("{name:<20}{address}"));
    }
    say.line("");
    say.line("Another order (give each event an event_id of its own, or it is taken for a repeat):");
    say.line("");
    let (host, port, now) = (broker.ip(), broker.port(), stage.now().rfc3339());
    say.line(&format!("mosquitto_pub -V mqttv5 -h {host} -p {port} -q 1 -t pos/1/order/B-1/placed -m '"));
    say.line(&format!(r#"  {{"event_id": "mine-1", "time": "{now}", "total": 42.5, "currency": "BRL","#));
    say.line(r#"   "customer": {"name": "Joana Reis", "phone": "(11) 95555-0100", "country": "BR", "lang": "pt","#);
    say.line(r#"                "whatsapp_opt_in": true}}'"#);
    say.line("");
    say.line("What an operator sees:");
    say.line("");
    say.line(&format!("branchline status --socket {}", socket.display()));
    say.line("");
}

/// What to do next, for whoever watched.
pub(super) fn hints(say: &mut Say) {
    say.line("");
    for (what, text) in [
        ("branchline demo --serve", "the same, then everything stays up for events of your own"),
        ("config/demo.toml", "the rules that made these messages"),
        ("config/examples/", "configurations by trade: a shop, a network node, both"),
        ("README.md", "installing on a box, the first rule, connecting a real number"),
    ] {
        say.line(&format!("  {what:<26}{text}"));
    }
}
