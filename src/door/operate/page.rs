//! The status page: one small file, readable on a phone, without a script; it reloads by itself.
//!
//! Floor: doors. Every value is escaped, every number came in masked.

use crate::operate::StatusReport;
use crate::status::show;
use crate::time::Wall;
use minijinja::value::Serde;
use minijinja::{Environment, Error};
use std::sync::LazyLock;

/// The report as HTML.
pub fn render(report: &StatusReport) -> Result<String, Error> {
    let mut shown = report.clone();
    shown.gauges.limits = show::limits(&report.gauges.limits);
    PAGES.get_template("status.html")?.render(Serde(shown))
}

static PAGES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut pages = Environment::new();
    pages.add_filter("local", |at: i64, zone: &str| show::local(Wall(at), &show::zone(zone)));
    pages.add_filter("since", |at: i64, now: i64, zone: &str| show::since(Wall(at), Wall(now), &show::zone(zone)));
    pages.add_filter("age", show::age);
    pages.add_filter("bytes", show::bytes);
    pages.add_filter("percent", |ratio: f64| format!("{:.0} %", ratio * 100.0));
    // By its name it is HTML, so every value is escaped.
    pages.add_template("status.html", include_str!("status.html")).expect("the page is a template (a test renders it)");
    pages
});
