//! Phone numbers in any text, and the two ways in which they are shown: `+55…21`, or as many signs as before.
//!
//! Floor: words. Pure. One rule of what looks like a number, for whatever a person or a script gets to read.

use std::ops::Range;

/// Digits in a run that are taken for a phone number (own figure: dates apart, tills and orders count in less).
const NUMBER: usize = 8;

/// Hides what looks like a phone number: two signs at each end are left, `+55…21`.
pub fn masked(text: &str) -> String {
    masked_from(text, NUMBER)
}

/// The same where a phone number is expected: runs of `least` digits and more.
pub fn masked_from(text: &str, least: usize) -> String {
    shown(text, least, |out, _| out.push('…'))
}

/// As many characters as before, for what points at a place in the text: all digits but two at each end are dots.
pub fn dotted(text: &str) -> String {
    let dot = |sign: char| if sign.is_numeric() { '•' } else { sign };
    shown(text, NUMBER, |out, middle| out.extend(middle.chars().map(dot)))
}

/// The text, with what `hide` makes of the middle of each run.
fn shown(text: &str, least: usize, hide: impl Fn(&mut String, &str)) -> String {
    let mut out = String::with_capacity(text.len());
    let mut told = 0;
    for run in runs(text, least) {
        let signs = &text[run.clone()];
        let two: usize = signs.chars().take(2).map(char::len_utf8).sum();
        let last: usize = signs.chars().rev().take(2).map(char::len_utf8).sum();
        let middle = run.start + two..run.end - last;
        out.push_str(&text[told..middle.start]);
        hide(&mut out, &text[middle.clone()]);
        told = middle.end;
    }
    out + &text[told..]
}

/// Where `least` digits or more (5 at least) follow each other, of whatever script, with nothing between but what people write in
/// numbers. Each run begins and ends with a digit. A date as machines write it, `2026-11-22`, is none.
fn runs(text: &str, least: usize) -> Vec<Range<usize>> {
    let within = |sign: char| sign.is_numeric() || " \u{a0}\u{202f}-.()/".contains(sign);
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        if !first.is_numeric() {
            at += first.len_utf8();
            continue;
        }
        if is_date(&text.as_bytes()[at..]) && !text[..at].ends_with('+') {
            at += DATE;
            continue;
        }
        let reach = text[at..].find(|sign| !within(sign)).map_or(text.len(), |end| at + end);
        let run = text[at..reach].trim_end_matches(|sign: char| !sign.is_numeric());
        if run.chars().filter(|sign| sign.is_numeric()).count() >= least.max(5) {
            found.push(at..at + run.len());
        }
        at = reach;
    }
    found
}

/// Bytes of a date.
const DATE: usize = "2026-11-22".len();

/// Whether `text` begins with a date of this or the last century that no digit follows.
fn is_date(text: &[u8]) -> bool {
    let Some(date) = text.get(..DATE).and_then(|date| std::str::from_utf8(date).ok()) else { return false };
    let mut parts = date.split('-').map(|part| (part.len(), part.parse::<u32>().unwrap_or(0)));
    let mut next = |length, range: Range<u32>| parts.next().is_some_and(|(is, n)| is == length && range.contains(&n));
    next(4, 1900..2100) && next(2, 1..13) && next(2, 1..32) && !text.get(DATE).is_some_and(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_rule_and_two_ways_to_show_it() {
        for (text, short, long) in [
            ("+5511987654321", "+55…21", "+55•••••••••21"),
            ("call (11) 98765-4321, now", "call (11…21, now", "call (11) •••••-••21, now"),
            ("order 1234567", "order 1234567", "order 1234567"),
            ("order 12345678", "order 12…78", "order 12••••78"),
            ("5.50 of 12 on 22/11", "5.50 of 12 on 22/11", "5.50 of 12 on 22/11"),
            ("é 98765 4321 é", "é 98…21 é", "é 98••• ••21 é"),
            ("2026-11-22T03:00:00.000Z", "2026-11-22T03:00:00.000Z", "2026-11-22T03:00:00.000Z"),
            ("2026-11-22 11987654321", "2026-11-22 11…21", "2026-11-22 11•••••••21"),
            ("2026-11-2298765", "20…65", "20••-••-•••••65"),
            ("+2026-11-22", "+20…22", "+20••-••-22"),
            ("2026-13-22", "20…22", "20••-••-22"),
            ("11 / 98765.4321.", "11…21.", "11 / •••••.••21."),
            ("1) 2345678", "1)…78", "1) •••••78"),
            ("55\u{a0}11\u{202f}98765", "55…65", "55\u{a0}••\u{202f}•••65"),
            ("٠٥٥١١٩٨٧٦٥", "٠٥…٦٥", "٠٥••••••٦٥"),
            ("", "", ""),
        ] {
            assert_eq!((masked(text).as_str(), dotted(text).as_str()), (short, long), "{text}");
            assert_eq!(dotted(text).chars().count(), text.chars().count(), "{text}");
        }
        assert_eq!(masked_from("\"123456\"", 6), "\"12…56\"");
    }
}
