//! The table: each budget against its figure.

use std::fmt::{Display, Write};

/// How a figure compares with its budget.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Within.
    Met,
    /// Beyond.
    Missed,
    /// Shown beside a budget, none of its own.
    Shown,
    /// Could not be measured here.
    Absent,
}

impl Verdict {
    /// Within the budget, or not.
    pub fn of(met: bool) -> Verdict {
        if met { Verdict::Met } else { Verdict::Missed }
    }
}

impl Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Verdict::Met => "met",
            Verdict::Missed => "MISSED",
            Verdict::Shown => "",
            Verdict::Absent => "not measured",
        })
    }
}

/// One line of the table.
pub struct Row {
    what: String,
    budget: String,
    figure: String,
    verdict: Verdict,
}

/// All lines so far.
#[derive(Default)]
pub struct Report(Vec<Row>);

impl Report {
    /// One more figure, told at once.
    pub fn add(&mut self, what: impl Into<String>, budget: &str, figure: impl Into<String>, verdict: Verdict) {
        let row = Row { what: what.into(), budget: budget.to_owned(), figure: figure.into(), verdict };
        println!("  {}: {} [{}] {}", row.what, row.figure, row.budget, row.verdict);
        self.0.push(row);
    }

    /// Something that is shown beside a budget.
    pub fn show(&mut self, what: impl Into<String>, figure: impl Into<String>) {
        self.add(what, "", figure, Verdict::Shown);
    }

    /// As a Markdown table, padded so that it reads well in a terminal too.
    pub fn table(&self) -> String {
        let heads = ["what", "budget", "figure", "verdict"].map(str::to_owned);
        let rows: Vec<[String; 4]> = std::iter::once(heads)
            .chain(
                self.0
                    .iter()
                    .map(|row| [row.what.clone(), row.budget.clone(), row.figure.clone(), row.verdict.to_string()]),
            )
            .collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths = [0, 1, 2, 3].map(width);
        let mut table = String::new();
        for (number, row) in rows.iter().enumerate() {
            for (cell, width) in row.iter().zip(widths) {
                write!(table, "| {cell:width$} ").unwrap();
            }
            table.push_str("|\n");
            if number == 0 {
                for width in widths {
                    write!(table, "|{}", "-".repeat(width + 2)).unwrap();
                }
                table.push_str("|\n");
            }
        }
        table
    }
}

/// The value below which so many hundredths of the sorted `values` lie.
pub fn percentile(values: &[f64], hundredths: f64) -> f64 {
    let place = (values.len() as f64 * hundredths / 100.0).ceil() as usize;
    values[place.clamp(1, values.len()) - 1]
}

/// Ascending.
pub fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// The middle of values in any order.
pub fn median(values: &[f64]) -> f64 {
    percentile(&sorted(values.to_vec()), 50.0)
}
