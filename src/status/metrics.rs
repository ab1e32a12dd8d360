//! `/metrics`: counters and gauges as Prometheus text.
//!
//! Floor: rooms. The names are promised to users; new ones may be added, none changed.

use super::Status;
use super::histogram::Histogram;
use crate::message::{Outcome, Reason};
use crate::operate::Gauges;
use std::fmt::{Display, Write};

/// The whole page.
pub fn text(status: &Status, gauges: &Gauges) -> String {
    let mut page = Page(String::with_capacity(8 * 1024));
    page.family("branchline_events_total", "counter", "Events heard since the start, by rule and result.");
    for (rule, results) in &status.events {
        for (result, count) in results {
            page.sample("branchline_events_total", &[("rule", rule), ("result", result)], count);
        }
    }
    page.family(
        "branchline_messages_total",
        "counter",
        "Changes of messages since the start, by where they came to stand.",
    );
    for ((category, outcome, reason), count) in &status.messages {
        let labels = [("category", *category), ("outcome", outcome.code()), ("reason", reason.code())];
        page.sample("branchline_messages_total", &labels, count);
    }
    page.family("branchline_notices_total", "counter", "Updates that the platform reported since the start, by kind.");
    for (kind, updates) in &status.notices {
        page.sample("branchline_notices_total", &[("kind", kind)], updates);
    }
    outbox(&mut page, gauges);
    page.family("branchline_link_up", "gauge", "1 while the connection is set up.");
    for link in &gauges.links {
        page.sample("branchline_link_up", &[("link", &link.link)], u8::from(link.up));
    }
    page.histogram("branchline_send_seconds", "Time from a request's start to its end.", &status.send_seconds);
    page.histogram("branchline_commit_seconds", "Time of a commit with its sync.", &status.commit_seconds);
    page.histogram("branchline_batch_size", "Inputs that one commit took.", &status.batch_size);
    page.family("branchline_limit_used_ratio", "gauge", "How much of a limit is used, 0 to 1.");
    for limit in &gauges.limits {
        page.sample("branchline_limit_used_ratio", &[("limit", &limit.limit)], limit.used);
    }
    page.family("branchline_store_damaged", "gauge", "1 from a damaged store until its loss is accepted.");
    let damaged = gauges.holds.iter().any(|hold| hold.reason == Reason::StoreDamaged);
    page.sample("branchline_store_damaged", &[], u8::from(damaged));
    page.family("branchline_clock_trusted", "gauge", "1 when the wall clock was confirmed.");
    page.sample("branchline_clock_trusted", &[], u8::from(gauges.clock_trusted));
    page.family("branchline_build_info", "gauge", "Always 1; the version is in the label.");
    page.sample("branchline_build_info", &[("version", &gauges.version)], 1);
    page.0
}

fn outbox(page: &mut Page, gauges: &Gauges) {
    page.family("branchline_outbox_messages", "gauge", "Messages in the store, by where they stand.");
    // What alerts watch is there from the start, also at zero.
    for state in [Outcome::Stored, Outcome::Unknown] {
        if !gauges.backlog.iter().any(|row| row.state == state) {
            page.sample("branchline_outbox_messages", &[("state", state.code())], 0);
        }
    }
    for row in &gauges.backlog {
        page.sample("branchline_outbox_messages", &[("state", row.state.code())], row.messages);
    }
    page.family("branchline_outbox_bytes", "gauge", "Bytes that the store takes on the disk.");
    page.sample("branchline_outbox_bytes", &[], gauges.bytes);
    if let Some(free) = gauges.free_bytes {
        page.family("branchline_disk_free_bytes", "gauge", "Bytes free on the store's file system.");
        page.sample("branchline_disk_free_bytes", &[], free);
    }
    if let Some(written) = &gauges.written {
        page.family(
            "branchline_written_today_bytes",
            "gauge",
            "Bytes written to the storage today, or since the start.",
        );
        page.sample("branchline_written_today_bytes", &[], written.bytes);
    }
    page.family(
        "branchline_oldest_message_seconds",
        "gauge",
        "Age of the oldest message that has not left; 0 without one.",
    );
    page.sample("branchline_oldest_message_seconds", &[], gauges.oldest_seconds.unwrap_or(0));
}

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        self.0.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            self.line(format_args!("{}{label}=\"{}\"", if index == 0 { '{' } else { ',' }, escaped(text)));
        }
        self.line(format_args!("{} {value}\n", if labels.is_empty() { "" } else { "}" }));
    }

    fn histogram(&mut self, name: &str, help: &str, of: &Histogram) {
        self.family(name, "histogram", help);
        let bucket = format!("{name}_bucket");
        for (bound, count) in of.buckets() {
            self.sample(&bucket, &[("le", &bound.to_string())], count);
        }
        self.sample(&bucket, &[("le", "+Inf")], of.count());
        self.sample(&format!("{name}_sum"), &[], of.sum());
        self.sample(&format!("{name}_count"), &[], of.count());
    }

    fn line(&mut self, text: std::fmt::Arguments<'_>) {
        self.0.write_fmt(text).expect("writing into a String never fails");
    }
}

/// As the exposition format wants label values.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
