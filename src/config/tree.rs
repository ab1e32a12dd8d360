//! TOML as a tree in which every value knows the file and the line it comes from, and the merging of such trees.
//!
//! Floor: config. Knows no key by name. The `config` crate would merge layers too, but it remembers only the source
//! of a value, not the line; the spans of the `toml` crate give both.

use super::problem::{Origin, Problem, Source};
use std::collections::BTreeMap;
use toml::de::{DeTable, DeValue};

/// A table: names to values.
pub(super) type Table = BTreeMap<String, Node>;

/// One value.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub value: Value,
    /// Of the key; of the value itself inside a list.
    pub origin: Origin,
    /// As it stood in the environment, where `12` may be meant as a text.
    pub raw: Option<String>,
}

/// What a value is.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Text(String),
    Whole(i64),
    /// Fractions, and whole numbers beyond 64 bits, as written.
    Real(String),
    Yes(bool),
    Time(String),
    List(Vec<Node>),
    Table(Table),
}

impl Node {
    pub fn table(origin: Origin) -> Node {
        Node { value: Value::Table(Table::new()), origin, raw: None }
    }

    pub fn as_table(&self) -> Option<&Table> {
        match &self.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The text; from the environment also what looks like something else.
    pub fn as_text(&self) -> Option<&str> {
        match (&self.value, &self.raw) {
            (Value::Text(text), _) => Some(text),
            (Value::List(_) | Value::Table(_), _) => None,
            (_, raw) => raw.as_deref(),
        }
    }

    /// What kind of thing it is, for errors.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Text(_) => "a text",
            Value::Whole(_) | Value::Real(_) => "a number",
            Value::Yes(_) => "true or false",
            Value::Time(_) => "a date",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    /// As TOML on one line.
    pub fn render(&self) -> String {
        match &self.value {
            Value::Text(text) => format!("{text:?}"),
            Value::Whole(number) => number.to_string(),
            Value::Real(text) | Value::Time(text) => text.clone(),
            Value::Yes(yes) => yes.to_string(),
            Value::List(list) => format!("[{}]", list.iter().map(Node::render).collect::<Vec<_>>().join(", ")),
            Value::Table(table) => {
                let entries: Vec<_> = table.iter().map(|(name, node)| format!("{name} = {}", node.render())).collect();
                format!("{{ {} }}", entries.join(", "))
            }
        }
    }
}

/// Reads a TOML file. Everything that is no TOML is told at once, with line and column.
pub(super) fn parse(text: &str, source: &Source) -> Result<Table, Vec<Problem>> {
    let lines = Lines { text, source };
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(lines.table(table.get_ref()));
    }
    Err(errors
        .iter()
        .map(|error| {
            let origin = lines.origin(error.span().map_or(0, |span| span.start));
            let message = error.message().replace('\n', ", ");
            let twice = message == "duplicate key";
            let problem = Problem::new("", origin, format!("not TOML: {message}"));
            problem.fix(if twice { "It stands further up already: make one of the two." } else { "" })
        })
        .collect())
}

/// Reads one value as it stands in an environment variable: TOML, else a text.
pub(super) fn parse_value(raw: &str, source: &Source) -> Node {
    let lines = Lines { text: raw, source };
    let origin = Origin { source: source.clone(), line: 0, column: 0 };
    let value = DeValue::parse(raw).map_or_else(|_| Value::Text(raw.to_owned()), |value| lines.value(value.get_ref()));
    Node { value, origin, raw: Some(raw.to_owned()) }
}

/// Turns byte offsets of one text into origins.
struct Lines<'a> {
    text: &'a str,
    source: &'a Source,
}

impl Lines<'_> {
    fn origin(&self, offset: usize) -> Origin {
        if matches!(self.source, Source::Environment(_)) {
            return Origin { source: self.source.clone(), line: 0, column: 0 };
        }
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.matches('\n').count() as u32 + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() as u32 + 1;
        Origin { source: self.source.clone(), line, column }
    }

    fn table(&self, table: &DeTable<'_>) -> Table {
        table
            .iter()
            .map(|(key, value)| {
                let origin = self.origin(key.span().start);
                (key.get_ref().to_string(), Node { value: self.value(value.get_ref()), origin, raw: None })
            })
            .collect()
    }

    fn value(&self, value: &DeValue<'_>) -> Value {
        match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or(Value::Real(number.to_string()), Value::Whole),
            DeValue::Float(number) => Value::Real(number.to_string()),
            DeValue::Boolean(yes) => Value::Yes(*yes),
            DeValue::Datetime(time) => Value::Time(time.to_string()),
            DeValue::Array(list) => Value::List(
                list.iter()
                    .map(|item| {
                        let origin = self.origin(item.span().start);
                        Node { value: self.value(item.get_ref()), origin, raw: None }
                    })
                    .collect(),
            ),
            DeValue::Table(table) => Value::Table(self.table(table)),
        }
    }
}

/// Lays `upper` over `lower`: tables merge key by key, all else is replaced whole.
pub(super) fn merge(lower: &mut Table, upper: Table) {
    for (name, node) in upper {
        match (lower.get_mut(&name), node) {
            (
                Some(Node { value: Value::Table(below), origin, .. }),
                Node { value: Value::Table(above), origin: at, .. },
            ) => {
                *origin = at;
                merge(below, above);
            }
            (_, node) => {
                lower.insert(name, node);
            }
        }
    }
}

/// Where the value at a dotted key was written; the nearest table around it where the key itself is not there.
/// `body.0` and `body[0]` name the first entry of a list.
pub(super) fn origin_of(root: &Table, key: &str) -> Option<Origin> {
    let mut found = None;
    let mut here: Option<&Node> = None;
    for part in key.split(['.', '[']).map(|part| part.trim_end_matches(']')).filter(|part| !part.is_empty()) {
        let next = match here.map(|node| &node.value) {
            None => root.get(part),
            Some(Value::Table(table)) => table.get(part),
            Some(Value::List(list)) => part.parse::<usize>().ok().and_then(|index| list.get(index)),
            Some(_) => None,
        };
        let Some(next) = next else { break };
        found = Some(next.origin.clone());
        here = Some(next);
    }
    found
}
