//! How the day is told: lines of at most 100 columns, times in front, colours only on a terminal and never needed.
//!
//! Floor: beside the roof. Whoever reads may leave early (`| head`): what cannot be written is let go.

use std::io::{self, IsTerminal, Write};
use std::time::Instant;

/// Columns of a line.
pub(super) const WIDTH: usize = 100;
/// Columns in front of what follows from an event: the time, and an arrow.
const UNDER: usize = 13;

/// How a line looks on a terminal.
#[derive(Clone, Copy)]
pub(super) enum Look {
    Plain,
    Good,
    Bad,
    Faint,
    Strong,
}

/// The terminal, or whatever takes its place.
pub(super) struct Say {
    out: Box<dyn Write>,
    colours: bool,
    started: Instant,
}

impl Say {
    pub(super) fn on_stdout(started: Instant) -> Say {
        let colours = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Say { out: Box::new(io::stdout()), colours, started }
    }

    pub(super) fn title(&mut self) {
        self.look(Look::Strong, "Branchline: a branch's day in about 20 seconds");
        self.line("");
        for line in wrap(
            "The tills and the network node of a shop publish events by MQTT; the daemon turns those that matter into \
             WhatsApp messages. The daemon is the real one. The broker is real, too, and runs in this process; so does \
             the WhatsApp Cloud API, which is simulated (over TLS, with a certificate made just now). The people are \
             invented: nobody is messaged, nothing leaves this machine.",
            WIDTH,
        ) {
            self.line(&line);
        }
    }

    pub(super) fn line(&mut self, text: &str) {
        self.look(Look::Plain, text);
    }

    pub(super) fn look(&mut self, look: Look, text: &str) {
        let code = match look {
            _ if !self.colours => "",
            Look::Plain => "",
            Look::Good => "32",
            Look::Bad => "31",
            Look::Faint => "2",
            Look::Strong => "1",
        };
        let line = if code.is_empty() { format!("{text}\n") } else { format!("\u{1b}[{code}m{text}\u{1b}[0m\n") };
        let _ = self.out.write_all(line.as_bytes()).and_then(|()| self.out.flush());
    }

    /// A new part of the day.
    pub(super) fn chapter(&mut self, title: &str) {
        let rule = "─".repeat(WIDTH.saturating_sub(title.chars().count() + 4));
        self.line("");
        self.look(Look::Strong, &format!("── {title} {rule}"));
    }

    /// Something happens to the branch: an event arrives, the uplink is cut.
    pub(super) fn happens(&mut self, what: &str, meaning: &str) {
        let text = if what.is_empty() { meaning.to_owned() } else { format!("{what:<33} {meaning}") };
        self.told(Look::Strong, &format!("{}  ", self.clock()), &text, 8 + if what.is_empty() { 0 } else { 34 });
    }

    /// What follows from it.
    pub(super) fn follows(&mut self, look: Look, text: &str) {
        self.told(look, &format!("{}    └─ ", self.clock()), text, UNDER);
    }

    fn clock(&self) -> String {
        format!("{:>4.1} s", self.started.elapsed().as_secs_f64())
    }

    fn told(&mut self, look: Look, front: &str, text: &str, indent: usize) {
        let used = front.chars().count();
        let mut lines = wrap_from(text, WIDTH, used, indent).into_iter();
        self.look(look, &format!("{front}{}", lines.next().unwrap_or_default()));
        lines.for_each(|line| self.look(look, &format!("{}{line}", " ".repeat(indent))));
    }
}

/// Breaks between words, so that no line has more than `width` columns (a word that is longer stays whole).
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    wrap_from(text, width, 0, 0)
}

/// The same where `first` columns of the first line and `others` of the others are taken.
fn wrap_from(text: &str, width: usize, first: usize, others: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = first;
    for word in text.split(' ') {
        let length = word.chars().count();
        let last = lines.last_mut().expect("there is always a line");
        if last.is_empty() {
            last.push_str(word);
            used += length;
        } else if used + 1 + length <= width {
            last.push(' ');
            last.push_str(word);
            used += 1 + length;
        } else {
            lines.push(word.to_owned());
            used = others + length;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words() {
        #[rustfmt::skip]
        let table: &[(&str, &[&str])] = &[
            ("", &[""]),
            ("one two", &["one two"]),
            ("one two three", &["one two", "three"]),
            ("açaí está só", &["açaí", "está só"]),
            ("longerthanaline one", &["longerthanaline", "one"]),
        ];
        for (text, lines) in table {
            assert_eq!(wrap(text, 8), *lines, "{text}");
        }
        assert_eq!(wrap_from("one two three", 8, 4, 1), ["one", "two", "three"]);
    }
}
