//! How values are shown: phone numbers without their middle, secrets not at all.
//!
//! Floor: config. Everything that reaches a person's eyes from a configuration goes through here.

use super::tree::{Node, Value};
use crate::message::masked_from;

/// Digits that are taken for a phone number where one is expected: shorter ones than in any text.
const NUMBER: usize = 6;

/// A key that would hold a secret.
pub(super) fn is_secret_word(name: &str) -> bool {
    let plain = name.to_lowercase();
    ["token", "password", "passwd", "passphrase", "secret", "api_key", "apikey", "private_key"]
        .iter()
        .any(|word| plain.contains(word))
        && !plain.ends_with("_file")
}

/// A token or a key where the name of a file was expected; shown nowhere.
pub(super) fn looks_secret(text: &str) -> bool {
    let long_word = text.len() >= 40 && !text.contains(['/', '.']);
    long_word || text.starts_with("EAA") || text.contains("-----BEGIN") || text.contains('\n')
}

/// What is there, for an error: the value where it is short and nobody's number, else its kind.
pub(super) fn describe(key: &str, node: &Node) -> String {
    let text = match &node.value {
        Value::Text(text) if text.trim().is_empty() => return "is empty".to_owned(),
        Value::Table(_) => return format!("is {}", node.kind()),
        _ => mask(key, &node.render()),
    };
    if text.chars().count() > 60 || looks_secret(text.trim_matches('"')) {
        return format!("is {} that does not fit here", node.kind());
    }
    format!("is {text}")
}

/// Phone numbers (under the keys that hold them) without their middle, passwords in addresses not at all.
pub(super) fn mask(key: &str, shown: &str) -> String {
    match key {
        "number" | "numbers" | "to" => masked_from(shown, NUMBER),
        _ if shown.contains("://") => mask_userinfo(shown),
        _ if shown.split('+').skip(1).any(|tail| tail.starts_with(|c: char| c.is_ascii_digit())) => {
            masked_from(shown, NUMBER)
        }
        _ => shown.to_owned(),
    }
}

fn mask_userinfo(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let authority = rest.find(['/', '"']).unwrap_or(rest.len());
    match rest[..authority].rfind('@') {
        Some(at) => format!("{scheme}://…{}", &rest[at..]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::mask;

    #[test]
    fn numbers_and_passwords_are_never_shown() {
        for (key, text, shown) in [
            ("number", "\"+5511987654321\"", "\"+55…21\""),
            ("number", "\"(011) 98765-4321\"", "\"(01…21\""),
            ("numbers", "[\"+5511987654321\", \"+525512345678\"]", "[\"+55…21\", \"+52…78\"]"),
            ("to", "\"{{ payload.customer.phone }}\"", "\"{{ payload.customer.phone }}\""),
            ("url", "\"mqtt://relay:s3cret@broker\"", "\"mqtt://…@broker\""),
            ("url", "\"mqtts://broker.branch:8883\"", "\"mqtts://broker.branch:8883\""),
            ("phone_number_id", "\"106540352242922\"", "\"106540352242922\""),
        ] {
            assert_eq!(mask(key, text), shown, "{key} {text}");
        }
    }
}
