//! The place in a text that an error is about: the line as it was written, and a caret under it.
//!
//! Floor: rooms. Pure. Phone numbers lose their middle, character by character, so that the caret stays where it belongs.

use crate::message::dotted;

/// Characters of a line that are shown; longer ones are shown around the place.
const WIDTH: usize = 96;

/// The line that `at` (bytes: start, end) begins on with a caret under it, indented; without `at`, the first line alone.
pub(super) fn under(source: &str, at: Option<(usize, usize)>) -> String {
    let lines = source.trim_end().lines().count();
    // What is missing at the end is missing after the last letter, not on an empty line below it.
    let last = source.trim_end().len();
    let start = floor(source, at.map_or(0, |(start, _)| start).min(last));
    let end = floor(source, at.map_or(start, |(_, end)| end).max(start));
    let line_start = source[..start].rfind('\n').map_or(0, |newline| newline + 1);
    let line_end = source[start..].find('\n').map_or(source.len(), |newline| start + newline);
    let line = source[line_start..line_end].trim_end_matches('\r');
    let shown = dotted(&line.replace(char::is_control, " "));
    let column = source[line_start..start].chars().count();
    let marked = source[start..end.clamp(start, line_end)].chars().count().max(1);

    let number = source[..start].matches('\n').count() + 1;
    let (head, blank) = match lines {
        0 | 1 => ("    ".to_owned(), "    ".to_owned()),
        _ => (format!("    {number} | "), format!("    {} | ", " ".repeat(number.to_string().len()))),
    };
    let (text, column) = window(&shown, column, marked);
    if at.is_none() {
        return format!("{head}{}", text.trim_end());
    }
    let caret = "^".repeat(marked.min(text.chars().count().saturating_sub(column)).max(1));
    format!("{head}{}\n{blank}{}{caret}", text.trim_end(), " ".repeat(column))
}

/// The nearest character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// At most [`WIDTH`] characters around the place, and its column in them.
fn window(line: &str, column: usize, marked: usize) -> (String, usize) {
    let letters: Vec<char> = line.chars().collect();
    if letters.len() <= WIDTH {
        return (line.to_owned(), column);
    }
    let from = column.saturating_sub(WIDTH.saturating_sub(marked.min(WIDTH / 2)) / 2).min(letters.len() - WIDTH);
    let to = from + WIDTH;
    let mut text: Vec<char> = letters[from..to].to_vec();
    if let (true, Some(first)) = (from > 0, text.first_mut()) {
        *first = '…';
    }
    if let (true, Some(last)) = (to < letters.len(), text.last_mut()) {
        *last = '…';
    }
    (text.into_iter().collect(), column - from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_under_the_place() {
        type Row<'a> = (&'a str, Option<(usize, usize)>, &'a str);
        #[rustfmt::skip]
        let table: &[Row<'_>] = &[
            ("payload.n > 'a'", Some((8, 9)), "    payload.n > 'a'\n            ^"),
            ("payload.total >", Some((15, 15)), "    payload.total >\n                   ^"),
            ("é é {{ x }}", Some((9, 10)), "    é é {{ x }}\n           ^"),
            ("a\n{{ totl }}\nb", Some((5, 9)), "    2 | {{ totl }}\n      |    ^^^^"),
            ("a\r\nb {{\r\n", Some((99, 120)), "    2 | b {{\n      |     ^"),
            ("two\nlines", Some((1, 7)), "    1 | two\n      |  ^^"),
            ("+5511987654321", Some((0, 1)), "    +55•••••••••21\n    ^"),
            ("no place", None, "    no place"),
            ("no\nplace", None, "    1 | no"),
            ("", Some((0, 0)), "    \n    ^"),
            ("a\tb\u{1b}[2J", Some((2, 3)), "    a b [2J\n      ^"),
        ];
        for (source, at, expected) in table {
            let shown = under(source, *at);
            let shown: Vec<&str> = shown.lines().map(str::trim_end).collect();
            let expected: Vec<&str> = expected.lines().map(str::trim_end).collect();
            assert_eq!(shown, expected, "{source:?}");
        }
    }

    #[test]
    fn a_long_line_is_shown_around_the_place() {
        let source = format!("{}here{}", "a".repeat(300), "b".repeat(300));
        let shown = under(&source, Some((300, 304)));
        let (line, caret) = shown.split_once('\n').unwrap();
        assert_eq!(line.chars().count(), WIDTH + 4);
        let column = caret.chars().count() - 4;
        assert_eq!(line.chars().skip(column).take(4).collect::<String>(), "here");
        assert!(line.contains('…') && caret.ends_with("^^^^"));
    }

    #[test]
    fn no_bytes_make_it_panic() {
        for source in ["", "é", "\n\n", "é\né", &"👩‍👧".repeat(4)] {
            for start in 0..=source.len() + 2 {
                for end in 0..=source.len() + 2 {
                    let _ = under(source, Some((start, end)));
                }
            }
        }
    }
}
