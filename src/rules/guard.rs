//! The guards that strict expressions and templates call (see `strict`): comparisons of like with like, sums of numbers,
//! filters with bounded results, output of what a person can read.
//!
//! Floor: rooms. Their errors name kinds and places, never what the payload holds.

use super::filters;
use crate::limits;
use minijinja::value::{Rest, Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State};

/// Marks the errors that are ours, and therefore fit to be shown.
#[derive(Debug, thiserror::Error)]
#[error("{what}")]
pub(super) struct Ours {
    what: String,
    /// The bytes of the text, as it was written, that it is about.
    pub(super) at: Option<(usize, usize)>,
}

/// `place` is the text's bytes and what stands there, as `strict` writes it: `8-9 payload.n`.
fn failed(place: &str, what: impl FnOnce(&str) -> String) -> Error {
    let read = place.split_once(' ').and_then(|(at, text)| {
        let (start, end) = at.split_once('-')?;
        Some(((start.parse().ok()?, end.parse().ok()?), text))
    });
    let ours = match read {
        Some((at, text)) => Ours { what: what(text), at: Some(at) },
        None => Ours { what: what(place), at: None },
    };
    Error::new(ErrorKind::InvalidOperation, "refused by a guard").with_source(ours)
}

/// Puts the guards into an environment that holds nothing else to call.
pub(super) fn install(environment: &mut Environment<'static>, zone: jiff::tz::TimeZone) {
    environment.add_function("VERDICT", verdict);
    environment.add_function("BOOL", truth);
    environment.add_function("CMP", compare);
    environment.add_function("ARITH", arithmetic);
    environment.add_function("CONCAT", concat);
    environment.add_function("LIST", list);
    environment.add_function("TEXT", text);
    environment.add_function("TEST", test);
    environment.add_function(
        "FILTER",
        move |state: &mut State, strict: bool, name: &str, place: &str, args: Rest<Value>| {
            filter(state, &zone, strict, name, place, &args)
        },
    );
}

/// What a value is, in a word; `None` for a missing one.
fn kind(value: &Value) -> Option<&'static str> {
    Some(match value.kind() {
        ValueKind::Undefined => return None,
        ValueKind::None => "null",
        ValueKind::Bool => "true or false",
        ValueKind::Number => "a number",
        ValueKind::String => "a text",
        ValueKind::Seq | ValueKind::Iterable => "a list",
        ValueKind::Map => "a table",
        _ => "something else",
    })
}

fn missing(place: &str) -> Error {
    failed(place, |place| format!("a field is missing in: {place}"))
}

fn finite(value: &Value) -> bool {
    value.is_integer() || filters::number(value).is_some_and(f64::is_finite)
}

fn verdict(value: &Value, place: &str) -> Result<&'static str, Error> {
    truth(false, value, place).map(word)
}

/// As JSON and TOML write it; MiniJinja writes Python's `True`.
fn word(truth: bool) -> &'static str {
    if truth { "true" } else { "false" }
}

/// What a person reads of a text, number or truth.
fn written(value: &Value) -> String {
    if value.kind() == ValueKind::Bool { word(value.is_true()).to_owned() } else { value.to_string() }
}

fn truth(strict: bool, value: &Value, place: &str) -> Result<bool, Error> {
    match kind(value) {
        None if strict => Err(missing(place)),
        None => Ok(false),
        Some("true or false") => Ok(value.is_true()),
        Some(other) => Err(failed(place, |place| format!("neither true nor false but {other}: {place}"))),
    }
}

fn compare(strict: bool, op: &str, place: &str, a: &Value, b: &Value) -> Result<bool, Error> {
    let (Some(left), Some(right)) = (kind(a), kind(b)) else {
        return if strict { Err(missing(place)) } else { Ok(false) };
    };
    for value in [a, b] {
        if value.is_number() && !finite(value) {
            return Err(failed(place, |place| format!("no finite number in: {place}")));
        }
    }
    let unlike = || failed(place, |place| format!("{left} compared with {right}: {place}"));
    if left == "null" || right == "null" {
        return Err(unlike());
    }
    if let "in" | "not in" = op {
        return Ok(contains(a, b).ok_or_else(unlike)? == (op == "in"));
    }
    if left != right {
        return Err(unlike());
    }
    if !matches!(op, "==" | "!=") && !matches!(left, "a number" | "a text") {
        return Err(failed(place, |place| format!("{left} has no order: {place}")));
    }
    Ok(match op {
        "==" => a == b,
        "!=" => a != b,
        "<" => a < b,
        "<=" => a <= b,
        ">" => a > b,
        _ => a >= b,
    })
}

/// Whether `b` holds `a`; `None` where it cannot, by kind.
fn contains(a: &Value, b: &Value) -> Option<bool> {
    match (kind(a)?, kind(b)?) {
        ("a text", "a text") => Some(b.as_str()?.contains(a.as_str()?)),
        ("a text", "a table") => Some(b.get_item(a).is_ok_and(|found| !found.is_undefined())),
        (wanted, "a list") => {
            let mut found = false;
            for item in b.try_iter().ok()? {
                if kind(&item) != Some(wanted) {
                    return None;
                }
                found |= item == *a;
            }
            Some(found)
        }
        _ => None,
    }
}

fn arithmetic(strict: bool, op: &str, place: &str, operands: Rest<Value>) -> Result<Value, Error> {
    if operands.iter().any(Value::is_undefined) {
        return if strict { Err(missing(place)) } else { Ok(Value::UNDEFINED) };
    }
    if let Some(operand) = operands.iter().find(|operand| !operand.is_number()) {
        let hint = if operand.as_str().is_some() { " (texts are joined by ~)" } else { "" };
        return Err(failed(place, |place| {
            format!("no number but {}{hint}: {place}", kind(operand).unwrap_or("nothing"))
        }));
    }
    let result = match operands.as_slice() {
        [one] => calculate("-", &Value::from(0), one),
        [a, b] => calculate(op, a, b),
        _ => None,
    };
    result.filter(finite).ok_or_else(|| failed(place, |place| format!("no finite result: {place}")))
}

/// Whole numbers stay whole; `/` and everything with a fraction goes by floating point.
fn calculate(op: &str, a: &Value, b: &Value) -> Option<Value> {
    if let (true, true, Some(x), Some(y)) = (a.is_integer(), b.is_integer(), a.as_i64(), b.as_i64()) {
        let whole = match op {
            "+" => x.checked_add(y),
            "-" => x.checked_sub(y),
            "*" => x.checked_mul(y),
            "//" if y == 0 => return None,
            "//" => x.checked_div_euclid(y),
            "%" => return x.checked_rem_euclid(y).map(Value::from),
            "**" => u32::try_from(y).ok().and_then(|y| x.checked_pow(y)),
            _ => None,
        };
        if let Some(whole) = whole {
            return Some(Value::from(whole));
        }
    }
    let (x, y) = (filters::number(a)?, filters::number(b)?);
    Some(Value::from(match op {
        "+" => x + y,
        "-" => x - y,
        "*" => x * y,
        "/" => x / y,
        "//" => x.div_euclid(y),
        "%" => x.rem_euclid(y),
        _ => x.powf(y),
    }))
}

/// What has a text of its own; lists and tables do not.
fn scalar(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::String | ValueKind::Number | ValueKind::Bool)
}

fn concat(strict: bool, _op: &str, place: &str, a: &Value, b: &Value) -> Result<Value, Error> {
    if a.is_undefined() || b.is_undefined() {
        return if strict { Err(missing(place)) } else { Ok(Value::UNDEFINED) };
    }
    match [a, b].into_iter().find(|value| !scalar(value)) {
        Some(other) => {
            Err(failed(place, |place| format!("{} cannot be joined: {place}", kind(other).unwrap_or("nothing"))))
        }
        None => bounded(written(a) + &written(b), place),
    }
}

fn bounded(text: String, place: &str) -> Result<Value, Error> {
    if text.len() > limits::RENDERED { Err(too_long(place)) } else { Ok(Value::from(text)) }
}

fn too_long(place: &str) -> Error {
    failed(place, |place| format!("longer than {} bytes: {place}", limits::RENDERED))
}

fn list(value: &Value, place: &str) -> Result<Value, Error> {
    match kind(value) {
        Some("a list" | "a table") => Ok(value.clone()),
        Some(other) => Err(failed(place, |place| format!("no list but {other}: {place}"))),
        None => Err(missing(place)),
    }
}

fn text(value: &Value, place: &str) -> Result<Value, Error> {
    match kind(value) {
        None => Err(failed(place, |place| format!("missing: {place} (if it may be, write | default('…'))"))),
        Some("null") => Err(failed(place, |place| format!("null: {place} (if it may be, write | default('…'))"))),
        Some("a number") if !finite(value) => Err(failed(place, |place| format!("no finite number: {place}"))),
        Some(other) if !scalar(value) => Err(failed(place, |place| format!("{other} has no text: {place}"))),
        Some("true or false") => Ok(Value::from(word(value.is_true()))),
        Some(_) => Ok(value.clone()),
    }
}

fn test(name: &str, place: &str, value: &Value, args: Rest<Value>) -> Result<bool, Error> {
    let text_and = |check: fn(&str, &str) -> bool| match (value.as_str(), args.first().and_then(Value::as_str)) {
        (Some(text), Some(part)) => Ok(check(text, part)),
        (None, _) if value.is_undefined() => Ok(false),
        _ => Err(failed(place, |_| format!("the test {name} compares texts"))),
    };
    Ok(match name {
        "defined" => !value.is_undefined(),
        "undefined" => value.is_undefined(),
        "none" => value.is_none(),
        "string" => value.kind() == ValueKind::String,
        "number" => value.is_number(),
        "integer" => value.is_integer(),
        "float" => value.is_number() && !value.is_integer(),
        "boolean" => value.kind() == ValueKind::Bool,
        "true" => value.kind() == ValueKind::Bool && value.is_true(),
        "false" => value.kind() == ValueKind::Bool && !value.is_true(),
        "sequence" => value.kind() == ValueKind::Seq,
        "mapping" => value.kind() == ValueKind::Map,
        "empty" => value.len() == Some(0),
        "startingwith" => return text_and(|text, part| text.starts_with(part)),
        _ => return text_and(|text, part| text.ends_with(part)),
    })
}

/// One filter. `default` also stands in for null, and with `true` as second argument for an empty text, as Jinja has it.
fn filter(
    state: &mut State,
    zone: &jiff::tz::TimeZone,
    strict: bool,
    name: &str,
    place: &str,
    args: &[Value],
) -> Result<Value, Error> {
    let (value, rest) = args.split_first().ok_or_else(|| missing(place))?;
    if let "default" | "d" = name {
        let stand_in = value.is_undefined()
            || value.is_none()
            || (rest.get(1).is_some_and(Value::is_true) && value.as_str().is_some_and(|text| text.trim().is_empty()));
        return Ok(if stand_in { rest.first().cloned().unwrap_or_else(|| Value::from("")) } else { value.clone() });
    }
    // Missing and null go through, so that a default may stand at the end: x | date('%H:%M') | default('-').
    if value.is_undefined() || value.is_none() {
        return Ok(value.clone());
    }
    if rest.iter().any(Value::is_undefined) {
        return if strict { Err(missing(place)) } else { Ok(Value::UNDEFINED) };
    }
    let taken = match name {
        "length" | "count" | "first" | "last" => value.len().is_some(),
        "join" => {
            matches!(value.kind(), ValueKind::Seq)
                && value.try_iter().is_ok_and(|mut items| items.all(|item| scalar(&item)))
        }
        _ => scalar(value),
    };
    if !taken || !rest.iter().all(scalar) {
        let odd = if taken { "an argument that is no text or number" } else { kind(value).unwrap_or("nothing") };
        return Err(failed(place, |place| format!("{name} cannot take {odd}: {place}")));
    }
    let language = state.lookup("LANGUAGE");
    let language = language.as_ref().and_then(Value::as_str).unwrap_or_default();
    let argument = rest.first().and_then(Value::as_str);
    let own = match name {
        "money" => filters::money(value, argument.unwrap_or_default(), language),
        "date" => filters::date(value, argument.unwrap_or("%Y-%m-%d %H:%M"), zone),
        "duration" => filters::duration(value),
        "first_name" => Ok(filters::first_name(&written(value))),
        "digits" => Ok(value.to_string().chars().filter(char::is_ascii_digit).collect()),
        "join" => return join(value, argument.unwrap_or_default(), place),
        "replace" => return replace(value, rest, place),
        _ => return library(state, name, place, args),
    };
    own.map_err(|why| failed(place, |place| format!("{name} {why}: {place}"))).and_then(|text| bounded(text, place))
}

/// MiniJinja's own filter; its message may quote the payload, so it is replaced.
fn library(state: &mut State, name: &str, place: &str, args: &[Value]) -> Result<Value, Error> {
    let result = state.apply_filter(name, args);
    let kinds = args.first().and_then(kind).unwrap_or("nothing");
    let result =
        result.map_err(|_| failed(place, |place| format!("{name} cannot take this value ({kinds}): {place}")))?;
    if result.as_str().is_some_and(|text| text.len() > limits::RENDERED) { Err(too_long(place)) } else { Ok(result) }
}

fn join(value: &Value, between: &str, place: &str) -> Result<Value, Error> {
    let mut text = String::new();
    for (index, item) in value.try_iter()?.enumerate() {
        if index > 0 {
            text.push_str(between);
        }
        text.push_str(&written(&item));
        if text.len() > limits::RENDERED {
            return Err(too_long(place));
        }
    }
    Ok(Value::from(text))
}

fn replace(value: &Value, rest: &[Value], place: &str) -> Result<Value, Error> {
    let [from, to] = rest else { return Err(failed(place, |place| format!("replace takes two texts: {place}"))) };
    let (value, from, to) = (written(value), written(from), written(to));
    let grown = value.len().saturating_add(value.matches(&from).count().saturating_mul(to.len()));
    if from.is_empty() || grown > limits::RENDERED.saturating_mul(2) {
        return Err(too_long(place));
    }
    bounded(value.replace(&from, &to), place)
}
