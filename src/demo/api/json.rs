//! Reading a request's JSON as strictly as can be: every member is known, present where it must be, and of its kind.
//!
//! Floor: demo. Facts 3.3: an unknown or over-long member is 100, a missing one 131008, a wrong value 131009.

use super::refusal::Refusal;
use reqwest::Url;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

pub(super) type Checked<T> = Result<T, Refusal>;

/// JSON in which every object has each of its members once. What the platform makes of a second one is not documented; what
/// `serde_json` would make of it, the last one alone, hides the first.
///
/// # Errors
/// It is no JSON, or (`is_data`) a member is given twice.
pub(super) fn read(bytes: &[u8]) -> Result<Value, serde_json::Error> {
    serde_json::from_slice(bytes).map(|Once(value)| value)
}

/// A value whose objects have each member once.
struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Once, D::Error> {
        from.deserialize_any(OnceVisitor).map(Once)
    }
}

struct OnceVisitor;

impl<'de> Visitor<'de> for OnceVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }
    fn visit_bool<E>(self, yes: bool) -> Result<Value, E> {
        Ok(yes.into())
    }
    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }
    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }
    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(number.into())
    }
    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(text.into())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Once(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }
    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Once(value))) = members.next_entry::<String, Once>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(format!("the member \"{name}\" is given twice")));
            }
            object.insert(name, value);
        }
        Ok(object.into())
    }
}

/// A JSON object with its place in the request, for the details of a refusal.
pub(super) struct Object<'a> {
    members: &'a Map<String, Value>,
    pub(super) at: String,
}

impl<'a> Object<'a> {
    /// `value` as an object that has no members but `known`.
    pub(super) fn of(value: &'a Value, at: impl Into<String>, known: &[&str]) -> Checked<Object<'a>> {
        let at = at.into();
        let Value::Object(members) = value else {
            return Err(Refusal::new(131009, format!("{at} must be an object")));
        };
        match members.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(Refusal::new(100, format!("unexpected key \"{name}\" in {at}"))),
            None => Ok(Object { members, at }),
        }
    }

    /// The member, if it is there.
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        self.members.get(name)
    }

    /// The member, which must be there.
    pub(super) fn need(&self, name: &str) -> Checked<&'a Value> {
        self.get(name).ok_or_else(|| Refusal::new(131008, format!("{}.{name} is required", self.at)))
    }

    /// A member that is an object of `known` members.
    pub(super) fn object(&self, name: &str, known: &[&str]) -> Checked<Object<'a>> {
        Object::of(self.need(name)?, format!("{}.{name}", self.at), known)
    }

    /// The same, where it is there.
    pub(super) fn maybe_object(&self, name: &str, known: &[&str]) -> Checked<Option<Object<'a>>> {
        self.get(name).map(|_| self.object(name, known)).transpose()
    }

    /// A member that is an array of 1 to `most` objects, each with its place.
    pub(super) fn objects(&self, name: &str, most: usize, known: &[&str]) -> Checked<Vec<Object<'a>>> {
        let items = self.array(name)?;
        if !(1..=most).contains(&items.len()) {
            return Err(self.invalid(name, &format!("must have 1 to {most} items, and has {}", items.len())));
        }
        let object = |(place, item)| Object::of(item, format!("{}.{name}[{place}]", self.at), known);
        items.iter().enumerate().map(object).collect()
    }

    /// The same, where it is there. How many the platform takes is not documented: 100.
    pub(super) fn maybe_objects(&self, name: &str, known: &[&str]) -> Checked<Vec<Object<'a>>> {
        Ok(self.get(name).map(|_| self.objects(name, 100, known)).transpose()?.unwrap_or_default())
    }

    /// A member that is an array.
    pub(super) fn array(&self, name: &str) -> Checked<&'a [Value]> {
        match self.need(name)? {
            Value::Array(items) => Ok(items),
            _ => Err(self.invalid(name, "must be an array")),
        }
    }

    /// A member that is a text of 1 to `longest` characters.
    pub(super) fn text(&self, name: &str, longest: usize) -> Checked<&'a str> {
        let Value::String(text) = self.need(name)? else {
            return Err(self.invalid(name, "must be a string"));
        };
        let length = text.chars().count();
        if length == 0 {
            return Err(Refusal::new(131008, format!("{}.{name} is empty", self.at)));
        }
        if length > longest {
            let details = format!("{}.{name} has {length} characters, at most {longest} are allowed", self.at);
            return Err(Refusal::new(100, details));
        }
        Ok(text)
    }

    /// The same, where it is there.
    pub(super) fn maybe_text(&self, name: &str, longest: usize) -> Checked<Option<&'a str>> {
        self.get(name).map(|_| self.text(name, longest)).transpose()
    }

    /// A member that is one of these words.
    pub(super) fn word(&self, name: &str, words: &[&str]) -> Checked<&'a str> {
        match self.need(name)? {
            Value::String(word) if words.contains(&word.as_str()) => Ok(word),
            _ => Err(self.invalid(name, &format!("must be one of {}", words.join(", ")))),
        }
    }

    /// A boolean, where it is there.
    pub(super) fn maybe_flag(&self, name: &str) -> Checked<()> {
        match self.get(name) {
            None | Some(Value::Bool(_)) => Ok(()),
            Some(_) => Err(self.invalid(name, "must be true or false")),
        }
    }

    /// An id of the Graph API: digits, as a string.
    pub(super) fn id(&self, name: &str) -> Checked<&'a str> {
        let id = self.text(name, 64)?;
        let digits = id.bytes().all(|byte| byte.is_ascii_digit());
        if digits { Ok(id) } else { Err(self.invalid(name, "must be an id, of digits only")) }
    }

    /// The id of a message. Opaque (facts 1.5), but for how it begins.
    pub(super) fn wamid(&self, name: &str) -> Checked<&'a str> {
        let id = self.text(name, 512)?;
        if id.starts_with("wamid.") {
            Ok(id)
        } else {
            Err(self.invalid(name, "must be the id of a message, wamid.…"))
        }
    }

    /// An address in the web, at most 2,000 characters (facts 1.4), by one of these schemes.
    pub(super) fn url(&self, name: &str, schemes: &[&str]) -> Checked<Url> {
        let text = self.text(name, 2000)?;
        let spaced = text.contains(|sign: char| sign.is_whitespace() || sign.is_control());
        match Url::parse(text) {
            Ok(url) if !spaced && url.has_host() && schemes.contains(&url.scheme()) => Ok(url),
            _ => Err(self.invalid(name, &format!("must be a URL that begins with {}://", schemes.join(":// or ")))),
        }
    }

    /// Degrees, as a number or a string (facts 1.2: both are seen), within ± `most`.
    pub(super) fn degrees(&self, name: &str, most: f64) -> Checked<f64> {
        let degrees = match self.need(name)? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        match degrees {
            Some(degrees) if (-most..=most).contains(&degrees) => Ok(degrees),
            _ => Err(self.invalid(name, &format!("must be degrees from -{most} to {most}"))),
        }
    }

    /// The value of a member is wrong.
    pub(super) fn invalid(&self, name: &str, why: &str) -> Refusal {
        Refusal::new(131009, format!("{}.{name} {why}", self.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_is_given_twice_is_refused_and_everything_else_is_as_it_was() {
        let text = r#"{"a": [1, -2, 2.5, 1e300, true, null, "é\n", {"b": {}}], "b": {"a": 18446744073709551615}}"#;
        assert_eq!(read(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(text).unwrap());
        for text in [r#"{"a": 1, "a": 1}"#, r#"[{"x": {"a": 1, "b": 2, "\u0061": 3}}]"#] {
            let wrong = read(text.as_bytes()).unwrap_err();
            assert!(
                wrong.is_data() && wrong.to_string().starts_with("the member \"a\" is given twice at line 1"),
                "{wrong}"
            );
        }
        for text in ["", "{", "{} {}", "[1,]", &"[".repeat(1000)] {
            assert!(!read(text.as_bytes()).unwrap_err().is_data(), "{text:.9}");
        }
    }
}
