//! What the documents name is there: codes, dependencies, links, keys of the configuration.

use super::source::File;
use branchline::message::{Outcome, Reason};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

fn text<'a>(files: &'a [File], path: &str) -> &'a str {
    files.iter().find(|file| file.path == path).map_or("", |file| &file.text)
}

/// The first cells of the tables whose head begins with `head`, with the number of filled cells.
fn rows(text: &str, head: &str) -> BTreeMap<String, usize> {
    let row = |line: &str| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let code = cells[0].strip_prefix('`')?.strip_suffix('`')?;
        Some((code.to_owned(), cells.iter().filter(|cell| !cell.is_empty()).count()))
    };
    let lines = text.lines().skip_while(|line| !line.starts_with(&format!("| {head} |")));
    lines.take_while(|line| line.starts_with('|')).filter_map(row).collect()
}

/// Rows that are wanted and missing, or there and unknown.
fn compare(
    rows: &BTreeMap<String, usize>,
    columns: usize,
    wanted: &BTreeSet<&str>,
    head: &str,
    table: &str,
) -> Vec<String> {
    let missing = wanted.iter().filter(|name| rows.get(**name) != Some(&columns));
    let missing = missing.map(|name| format!("README, {table}: {head} {name} has no row with {columns} filled cells"));
    let unknown = rows.keys().filter(|row| !wanted.contains(row.as_str()));
    let unknown = unknown.map(|row| format!("README, {table}: {head} {row}: the program knows none of that name"));
    missing.chain(unknown).collect()
}

pub fn reasons(files: &[File]) -> Vec<String> {
    let readme = text(files, "README.md");
    let outcomes = Outcome::ALL.iter().map(|outcome| outcome.code()).collect();
    let reasons = Reason::ALL.iter().map(|reason| reason.code()).collect();
    let mut broken = compare(&rows(readme, "outcome"), 2, &outcomes, "outcome", "\"Reading outcomes\"");
    broken.extend(compare(&rows(readme, "reason"), 3, &reasons, "reason", "\"Reading outcomes\""));
    broken
}

pub fn dependencies(files: &[File]) -> Vec<String> {
    let manifest: toml::Table = include_str!("../../Cargo.toml").parse().unwrap();
    let sections = ["dependencies", "dev-dependencies", "build-dependencies"];
    let tables = sections.iter().filter_map(|section| manifest.get(*section)?.as_table());
    let wanted: BTreeSet<&str> = tables.flat_map(|table| table.keys().map(String::as_str)).collect();
    compare(&rows(text(files, "README.md"), "crate"), 2, &wanted, "crate", "\"Built on\"")
}

fn anchor(heading: &str) -> String {
    let kept = heading
        .to_lowercase()
        .chars()
        .filter(|sign| sign.is_alphanumeric() || " -_".contains(*sign))
        .collect::<String>();
    kept.replace(' ', "-")
}

pub fn links(files: &[File]) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut broken = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".md")) {
        let folder = root.join(&file.path).parent().unwrap().to_owned();
        let headings = file.text.lines().filter(|line| line.starts_with('#'));
        let anchors: Vec<String> = headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect();
        for target in file.text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let found = match target.strip_prefix('#') {
                Some(wanted) => anchors.iter().any(|known| known == wanted),
                None => target.starts_with("https://") || folder.join(target).exists(),
            };
            if !found {
                broken.push(format!("{}: the link {target} leads nowhere", file.path));
            }
        }
    }
    broken
}

/// Every key of `config/default.toml`, those that are switched off by `#` included.
fn known_keys() -> BTreeSet<String> {
    let (mut table, mut keys) = (String::new(), BTreeSet::new());
    for line in include_str!("../../config/default.toml").lines() {
        let line = line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line);
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            table = name.to_owned();
            keys.insert(table.clone());
        } else if let Some((key, _)) = line.split_once(" = ") {
            keys.insert(format!("{table}.{}", key.trim()));
        }
    }
    keys
}

/// A key between backticks, in documents and comments, is one of `config/default.toml`.
pub fn keys(files: &[File]) -> Vec<String> {
    let known = known_keys();
    let tables: BTreeSet<&str> = known.iter().filter_map(|key| key.split('.').next()).collect();
    let mut broken = Vec::new();
    for file in files.iter().filter(|file| file.path.ends_with(".md") || file.is_rust("src/")) {
        for (number, line) in file.text.lines().enumerate() {
            if file.path.ends_with(".rs") && !line.trim_start().starts_with("//") {
                continue;
            }
            for name in line.split('`').skip(1).step_by(2) {
                let plain =
                    name.contains('.') && name.bytes().all(|byte| byte.is_ascii_lowercase() || b"._".contains(&byte));
                let table = name.split('.').next().unwrap();
                let file_name =
                    [".toml", ".rs", ".json", ".md", ".sock", ".db"].iter().any(|ending| name.contains(ending));
                if !plain || file_name || !tables.contains(table) {
                    continue;
                }
                let parts: Vec<&str> = name.split('.').collect();
                let there =
                    (1..=parts.len()).rev().take(2).any(|count| known.contains(&parts[..count].join(".")) && count > 1);
                if !there {
                    broken.push(format!("{}:{}: config/default.toml has no key {name}", file.path, number + 1));
                }
            }
        }
    }
    broken
}
