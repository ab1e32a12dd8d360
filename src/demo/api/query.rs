//! Query strings, read in one way by everybody who reads one.
//!
//! Floor: demo. As forms are written: a plus is a space, and %XX a byte. Never knows what a name means.

use reqwest::Url;

/// The members of a query in their order: name and value, and the value as it came.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = (String, String, &str)> {
    query.split('&').filter(|pair| !pair.is_empty()).filter_map(|pair| {
        let url = Url::parse(&format!("http://localhost/?{pair}")).ok()?;
        let (name, value) = url.query_pairs().next()?;
        let raw = pair.split_once('=').map_or("", |(_, raw)| raw);
        Some((name.into_owned(), value.into_owned(), raw))
    })
}

/// The first value of a name; an empty one counts as none.
pub(super) fn value(query: &str, name: &str) -> Option<String> {
    pairs(query).find(|(key, value, _)| key == name && !value.is_empty()).map(|(_, value, _)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_as_forms_are_written() {
        let read: Vec<_> = pairs("to=%2B55+11&&access%5Ftoken=a%20b&empty=&alone&x=1=2").collect();
        let expected = [
            ("to", "+55 11", "%2B55+11"),
            ("access_token", "a b", "a%20b"),
            ("empty", "", ""),
            ("alone", "", ""),
            ("x", "1=2", "1=2"),
        ];
        assert_eq!(read.iter().map(|(n, v, raw)| (n.as_str(), v.as_str(), *raw)).collect::<Vec<_>>(), expected);
        assert_eq!(value("a=&a=2&a=3", "a").as_deref(), Some("2"));
        assert_eq!(value("", "a"), None);
    }
}
