//! Whether the files that a stick's configuration names are the ones that lie on it.
//!
//! Floor: roof. Judges names alone, before anything is copied; what the files hold is the check's. Repeats no path: where a file
//! is meant, people write the secret itself.

use crate::door::stick::{self, Stick};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path};
use toml::{Table, Value};

/// A key that names a file.
struct Named {
    /// Of the stick's own files.
    written_in: String,
    /// Dotted.
    key: String,
    text: String,
}

/// Nothing, or every key that names what is not on the stick, with what to write instead. `here` is where the configuration will be,
/// `credentials` where bare names are looked for first.
pub(super) fn judge(stick: &Stick, here: &Path, credentials: Option<&Path>) -> Result<(), String> {
    let on_it: BTreeSet<&str> = stick.files().map(|(name, ..)| name).collect();
    let named = named(stick);
    let unnamed: Vec<&str> =
        on_it.iter().copied().filter(|name| named.iter().all(|named| plain(&named.text) != *name)).collect();
    let problems: Vec<String> = named
        .iter()
        .filter_map(|named| {
            let name = plain(&named.text);
            let why = if leads_away(&named.text) {
                (!is_public_of_the_box(&here.join(&named.text), stick, here)).then(|| away(named, &on_it))
            } else if is_secret_key(&named.key) && passes_for_public(stick, name) {
                Some(format!(
                    "names {name}, and what ends in .toml, .json, .crt, .pub or .pem is taken for no secret: it would stay on the \
                     stick. Give the file a name without such an ending"
                ))
            } else if on_it.contains(name) {
                let hidden = credentials.is_some_and(|folder| !name.contains('/') && folder.join(name).exists());
                hidden.then(|| {
                    "is taken from the box's own credentials, and not from the stick: give the stick's file another name, or \
                     remove the credential"
                        .to_owned()
                })
            } else {
                unnamed.iter().find(|other| is_like(name, other)).map(|other| {
                    format!(
                        "names {name}, and the stick has {other} instead: rename that file to {name} exactly, small and large \
                         letters too (Windows hides endings like .txt until it is told to show them)"
                    )
                })
            };
            why.map(|why| format!("{}: {} {why}", named.written_in, named.key))
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

/// Whether the file that this key names holds a secret.
fn is_secret_key(key: &str) -> bool {
    const SECRETS: [&str; 5] = ["token_file", "password_file", "app_secret_file", "verify_token_file", "key_file"];
    // The stick's key is head office's public one.
    key != "stick.key_file" && SECRETS.contains(&key.rsplit('.').next().unwrap_or_default())
}

fn passes_for_public(stick: &Stick, name: &str) -> bool {
    stick.files().any(|(file, _, secret)| file == name && !secret)
}

fn away(named: &Named, on_it: &BTreeSet<&str>) -> String {
    let key = named.key.rsplit('.').next().unwrap_or_default();
    let last = Path::new(&named.text).file_name().and_then(|name| name.to_str()).filter(|name| on_it.contains(name));
    let write = match last {
        Some(name) => format!("write {key} = \"{name}\""),
        None => format!("put the file beside branchline.toml, and write its name alone, {key} = \"NAME\""),
    };
    format!("leads away from the stick's folder, from which alone files come to the box: {write}")
}

/// What every key of the stick says that names a file (`config/default.toml`). What is no TOML is the check's.
fn named(stick: &Stick) -> Vec<Named> {
    let mut found = Vec::new();
    for (name, content, _) in stick.files().filter(|(name, ..)| name.ends_with(".toml")) {
        let text = String::from_utf8_lossy(content);
        if let Ok(table) = text.parse::<Table>() {
            walk(name, "", &table, &mut found);
        }
    }
    found
}

fn walk(written_in: &str, above: &str, table: &Table, found: &mut Vec<Named>) {
    for (name, value) in table {
        let key = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        match value {
            Value::Table(table) => walk(written_in, &key, table, found),
            Value::String(text) if name.ends_with("_file") || key == "templates.file" => {
                found.push(Named { written_in: written_in.to_owned(), key, text: text.clone() });
            }
            _ => {}
        }
    }
}

/// As the stick lists it.
fn plain(text: &str) -> &str {
    text.strip_prefix("./").unwrap_or(text)
}

fn leads_away(text: &str) -> bool {
    Path::new(text).components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir))
}

/// A certificate that the system has, and that stays there when the stick is pulled out.
fn is_public_of_the_box(path: &Path, stick: &Stick, here: &Path) -> bool {
    let plugged_in = stick.folder().parent().and_then(|root| fs::canonicalize(root).ok());
    let Ok(path) = fs::canonicalize(path) else { return false };
    let ours = path.starts_with(here) || plugged_in.is_none_or(|root| path.starts_with(root));
    !ours && stick::is_public(&path).unwrap_or(false)
}

/// The same but for capitals, or for what stands behind a dot.
fn is_like(name: &str, other: &str) -> bool {
    let (name, other) = (name.to_ascii_lowercase(), other.to_ascii_lowercase());
    let stem = |name: &str| Path::new(name).with_extension("");
    name == other || stem(&name) == stem(&other) || stem(&other) == Path::new(&name)
}
