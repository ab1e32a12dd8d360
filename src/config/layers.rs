//! The layers, lowest first: built-in defaults, board, file, `conf.d`, environment.
//!
//! Floor: config. Reads files; decides nothing about what is in them.

use super::board::{self, Board};
use super::problem::{Origin, Problem, Source};
use super::tree::{self, Node, Table, Value};
use super::units;
use crate::limits;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Every key of this version with its default.
pub(super) const DEFAULTS: &str = include_str!("../../config/default.toml");
/// Every key of `branchline forward` with its default.
pub(super) const FORWARD: &str = include_str!("../../config/forward.toml");
/// Tables whose keys are names that people choose.
const NAMED: [&str; 5] = ["RULES", "BASE", "PEOPLE", "CONTACTS", "PURPOSES"];
/// What environment variables that set a key begin with.
const PREFIX: &str = "BRANCHLINE__";

/// All layers as one tree, and the board's facts. Every file is read, so that what is wrong with the last one is told together with
/// the first.
pub(super) fn read(
    file: &Path,
    board: Option<&str>,
    env: &[(String, String)],
) -> Result<(Table, Option<Board>), Vec<Problem>> {
    let mut problems = Vec::new();
    let mut root = Table::new();
    let mut lay = |layer: Result<Table, Vec<Problem>>| match layer {
        Ok(table) => tree::merge(&mut root, table),
        Err(more) => problems.extend(more),
    };
    lay(tree::parse(DEFAULTS, &Source::BuiltIn));
    let mut facts = None;
    if let Some(name) = board {
        lay(board::read(name, file).map(|(layer, board)| {
            facts = Some(board);
            layer
        }));
    }
    lay(read_file(file));
    match drop_ins(file) {
        Ok(files) => files.iter().for_each(|file| lay(read_file(file))),
        Err(problems) => lay(Err(problems)),
    }
    problems.extend(environment(&mut root, env));
    if problems.is_empty() { Ok((root, facts)) } else { Err(problems) }
}

/// The layers of `branchline forward`: its defaults, the file, the environment.
pub(super) fn read_forward(file: &Path, env: &[(String, String)]) -> Result<Table, Vec<Problem>> {
    let mut root = tree::parse(FORWARD, &Source::BuiltIn)?;
    tree::merge(&mut root, read_file(file)?);
    let problems = environment(&mut root, env);
    if problems.is_empty() { Ok(root) } else { Err(problems) }
}

/// Sets what the variables say; the problems with them.
fn environment(root: &mut Table, env: &[(String, String)]) -> Vec<Problem> {
    let mut variables: Vec<_> = env.iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    variables.sort();
    variables.into_iter().filter_map(|(name, value)| set(root, name, value).err().map(|problem| *problem)).collect()
}

pub(super) fn read_file(path: &Path) -> Result<Table, Vec<Problem>> {
    let content = read_up_to(path, limits::CONFIG_FILE);
    let no_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is no text (UTF-8)");
    let text = content.and_then(|content| String::from_utf8(content).map_err(no_text)).map_err(|error| {
        let problem = Problem::new("", Origin::file(path), format!("cannot be read: {error}"));
        vec![problem.fix("Check the path (--config), and that the user who runs this may read it.")]
    })?;
    tree::parse(&text, &Source::File(path.into()))
}

/// What a file holds. One of more than `most` bytes is an error of the kind `FileTooLarge`: a disk or a log, named by mistake, is not
/// read into memory.
pub(super) fn read_up_to(path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(most as u64 + 1).read_to_end(&mut content)?;
    if content.len() > most {
        let why = format!("it is larger than {}", units::show_size(most as u64));
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(content)
}

/// `conf.d/*.toml` beside the file, by name.
fn drop_ins(file: &Path) -> Result<Vec<PathBuf>, Vec<Problem>> {
    let folder = file.parent().unwrap_or(Path::new("")).join("conf.d");
    let unreadable = |error: std::io::Error| {
        let problem = Problem::new("", Origin::file(&folder), format!("cannot be read: {error}"));
        vec![problem.fix("It is a folder with *.toml files that the user who runs this may read, or it is not there.")]
    };
    let entries = match std::fs::read_dir(&folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(unreadable)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Sets what one variable says: `BRANCHLINE__RULES__ORDER_READY__EXPIRES=2h`.
fn set(root: &mut Table, variable: &str, raw: &str) -> Result<(), Box<Problem>> {
    let source = Source::Environment(variable.into());
    let origin = Origin { source: source.clone(), line: 0, column: 0 };
    let parts: Vec<&str> = variable[PREFIX.len()..].split("__").collect();
    let wrong = |found: &str| {
        let problem = Problem::new("", origin.clone(), found);
        Box::new(problem.fix("Variables are BRANCHLINE__TABLE__KEY, as in BRANCHLINE__MQTT__URL."))
    };
    let [tables @ .., key] = parts.as_slice() else { return Err(wrong("names no key")) };
    if tables.is_empty() || parts.iter().any(|part| part.is_empty()) {
        return Err(wrong("names no key"));
    }
    let mut here = root;
    for (depth, part) in tables.iter().enumerate() {
        let name = name_of(here, part, depth == 1 && NAMED.contains(&parts[0]));
        let node = here.entry(name).or_insert_with(|| Node::table(origin.clone()));
        let Value::Table(table) = &mut node.value else { return Err(wrong("leads through a key that is no table")) };
        here = table;
    }
    let name = name_of(here, key, false);
    let node = tree::parse_value(raw, &source);
    match (here.get_mut(&name), node) {
        (Some(Node { value: Value::Table(below), .. }), Node { value: Value::Table(above), .. }) => {
            tree::merge(below, above)
        }
        (_, node) => {
            here.insert(name, node);
        }
    }
    Ok(())
}

/// The name that is there already, whatever its case and dashes; else in lower case, with dashes where people choose the
/// names (`[rules.NAME]`).
fn name_of(table: &Table, part: &str, named: bool) -> String {
    let plain = |name: &str| name.to_lowercase().replace('-', "_");
    let wanted = plain(part);
    match table.keys().find(|name| plain(name) == wanted) {
        Some(name) => name.clone(),
        None if named => wanted.replace('_', "-"),
        None => wanted,
    }
}
