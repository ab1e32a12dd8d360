//! A scenario: the steps of a trial in a TOML file, each with its time.
//!
//! Floor: demo. All that is wrong with a file is told at once, each with its line. What a step may say: `step`.

use super::Control;
use super::step::Step;
use super::table::{Table, Wrong};
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::time::Instant;
use toml::de::{DeTable, DeValue};

/// The steps of a trial.
#[derive(Clone, PartialEq, Debug)]
pub struct Scenario(Vec<Step>);

impl Scenario {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// Everything that is wrong: lines counted from 1, and texts for a person.
    pub fn read(text: &str) -> Result<Scenario, Vec<(usize, String)>> {
        let line = |offset: usize| text.get(..offset).unwrap_or(text).matches('\n').count() + 1;
        let (table, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            let told = |error: &toml::de::Error| {
                let at = error.span().map_or(0, |span| span.start);
                (line(at), format!("not TOML: {}", error.message().replace('\n', ", ")))
            };
            return Err(errors.iter().map(told).collect());
        }
        let mut lines = Lines { line: &line, of: HashMap::new() };
        let whole = lines.table(table.get_ref(), "");
        Self::of(&whole).map_err(|wrong| {
            let mut told: Vec<(usize, String)> =
                wrong.into_iter().map(|wrong| (lines.nearest(&wrong.at), wrong.text)).collect();
            told.sort();
            told
        })
    }

    fn of(whole: &Value) -> Result<Scenario, Vec<Wrong>> {
        let (mut wrong, mut steps) = (Vec::new(), Vec::new());
        if let Some(mut table) = Table::of(whole, "", &mut wrong) {
            match table.get("step") {
                Some(Value::Array(list)) => {
                    for (place, step) in list.iter().enumerate() {
                        match Step::read(step, &format!("/step/{place}")) {
                            Ok(step) => steps.push(step),
                            Err(more) => more.into_iter().for_each(|wrong| table.tell(wrong)),
                        }
                    }
                }
                _ => table.wrong("", "a scenario has steps, each under [[step]]"),
            }
            table.end();
        }
        if wrong.is_empty() { Ok(Scenario(steps)) } else { Err(wrong) }
    }

    /// Its steps, in the order of the file.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Plays it from now on, beside everything else.
    pub fn play(&self, control: &Control) {
        let start = Instant::now();
        for step in &self.0 {
            control.follow(step, start);
        }
    }
}

/// TOML as JSON, with the line of every value by its pointer.
struct Lines<'l> {
    line: &'l dyn Fn(usize) -> usize,
    of: HashMap<String, usize>,
}

impl Lines<'_> {
    fn table(&mut self, table: &DeTable<'_>, at: &str) -> Value {
        let entry = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
            let key_text: &std::borrow::Cow<'_, str> = key.get_ref();
            let at = format!("{at}/{key_text}");
            self.of.insert(at.clone(), (self.line)(key.span().start));
            (key_text.to_string(), self.value(value.get_ref(), &at))
        };
        Value::Object(table.iter().map(entry).collect::<Map<_, _>>())
    }

    fn value(&mut self, value: &DeValue<'_>, at: &str) -> Value {
        match value {
            DeValue::String(text) => text.as_ref().into(),
            DeValue::Integer(whole) => match i64::from_str_radix(whole.as_str(), whole.radix()) {
                Ok(whole) => whole.into(),
                Err(_) => whole.to_string().into(),
            },
            DeValue::Float(real) => real.as_str().parse::<f64>().map_or_else(|_| real.to_string().into(), Value::from),
            DeValue::Boolean(yes) => (*yes).into(),
            DeValue::Datetime(time) => time.to_string().into(),
            DeValue::Array(list) => {
                let mut items = Vec::new();
                for (place, item) in list.iter().enumerate() {
                    let at = format!("{at}/{place}");
                    self.of.insert(at.clone(), (self.line)(item.span().start));
                    items.push(self.value(item.get_ref(), &at));
                }
                Value::Array(items)
            }
            DeValue::Table(table) => self.table(table, at),
        }
    }

    /// The line of a value; of what is around it, where it is missing.
    fn nearest(&self, mut at: &str) -> usize {
        loop {
            match (self.of.get(at), at.rsplit_once('/')) {
                (Some(line), _) => return *line,
                (None, Some((around, _))) => at = around,
                (None, None) => return 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::api::{
        AccountChange, Aim, Between, Change, Clear, Fault, Inbound, Order, Reports, Said, TemplateChange, Told,
    };
    use std::time::Duration;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn each_step_means_what_it_says() {
        let fault = |fault, aim| Order::Fault(fault, aim);
        #[rustfmt::skip]
        let table = [
            ("fault = 'hang'\ncount = 5", fault(Fault::Hang, Aim { count: Some(5), ..Aim::default() })),
            ("fault = 'code'\ncode = 4\nfor = '2s'\nonly = { to = '+5511987654321', template = 'a' }",
                fault(Fault::Code(4), Aim { lasts: Some(2 * SECOND), to: Some("+5511987654321".into()),
                    template: Some("a".into()), ..Aim::default() })),
            ("fault = 'status'\nstatus = 503\nbody = 'busy'\nshare = 0.25",
                fault(Fault::Status(503, Some("busy".into())), Aim { share: Some(0.25), ..Aim::default() })),
            ("fault = 'slow-answer'\ndelay = '1500ms'", fault(Fault::SlowAnswer(SECOND * 3 / 2), Aim::default())),
            ("clear = 'all'", Order::Clear(Clear::All)),
            ("clear = 'code'", Order::Clear(Clear::Name("code"))),
            ("clear = 7", Order::Clear(Clear::Id(7))),
            ("cut = true", Order::Cut),
            ("settings = { pair_burst = 1, date = false, date_skew = -60 }",
                Order::Settings(Change { pair_burst: Some(1), date: Some(false), date_skew: Some(-60), ..Change::default() })),
            ("template = { name = 'a', status = 'PAUSED' }",
                Order::Template(TemplateChange { name: "a".into(), status: Some("PAUSED".into()), ..TemplateChange::default() })),
            ("window = { number = '+5511987654321' }", Order::Window { number: "+5511987654321".into(), open: true }),
            ("fault = 'fail-later'\ncode = 131026", fault(Fault::FailLater(131026), Aim::default())),
            ("settings = { reports = { sent = '1s', read = '1s..2s', repeats = 0, disorder = 0.5 } }",
                Order::Settings(Change { reports: Reports { sent: Some(Between(SECOND, SECOND)), repeats: Some(0.0),
                    read: Some(Between(SECOND, 2 * SECOND)), disorder: Some(0.5), ..Reports::default() }, ..Change::default() })),
            ("inbound = { from = '+5511987654321', button = 'Sim' }", Order::Inbound(Inbound { from: "+5511987654321".into(),
                name: "Sandbox".into(), context: None, said: Said::Button { text: "Sim".into(), payload: "Sim".into() } })),
            ("preference = { number = '+5511987654321', value = 'resume' }",
                Order::Preference { number: "+5511987654321".into(), stop: false }),
            ("person = { number = '+5511987654321', undeliverable = 131026 }", Order::Person {
                number: "+5511987654321".into(), undeliverable: Some(131026), identity_key_hash: None }),
            ("settings = { account = { messaging_limit = 'unlimited', told = 'later' } }",
                Order::Settings(Change { account: AccountChange { messaging_limit: Some(None), told: Some(Told::Later),
                    ..AccountChange::default() }, ..Change::default() })),
            ("skip = '1s'", Order::Skip(SECOND)),
            ("reset = true", Order::Reset),
        ];
        for (text, order) in table {
            let read = Scenario::read(&format!("[[step]]\n{text}\n"));
            let steps = read.unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"));
            assert_eq!(
                steps.steps(),
                [Step { at: Duration::ZERO, every: None, times: None, until: None, order }],
                "{text}"
            );
        }
        for fault in Fault::PLAIN {
            let read = Scenario::read(&format!("[[step]]\nfault = '{}'\n", fault.name())).unwrap();
            assert_eq!(read.steps()[0].order, Order::Fault(fault.clone(), Aim::default()));
        }
    }

    #[test]
    fn all_mistakes_are_told_at_once_with_their_lines() {
        let text = include_str!("tests/wrong.toml");
        let told: String =
            Scenario::read(text).unwrap_err().iter().map(|(line, text)| format!("{line}: {text}\n")).collect();
        assert_eq!(told, include_str!("tests/wrong.expected"));
        // Each line of the file that is wrong says so itself.
        for (number, line) in text.lines().enumerate().filter(|(_, line)| line.contains("# wrong")) {
            assert!(told.contains(&format!("{}: ", number + 1)), "nothing told of line {}: {line}", number + 1);
        }
        let told = Scenario::read("[[step]]\nat = \n[[step]]\ncut = yes\n").unwrap_err();
        assert_eq!(told.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 4], "{told:?}");
        assert!(told.iter().all(|(_, text)| text.starts_with("not TOML: ")), "{told:?}");
    }

    #[test]
    fn a_step_comes_as_often_as_it_says() {
        #[rustfmt::skip]
        let table: &[(&str, &[u64])] = &[
            ("", &[0]),
            ("at = '5s'", &[5]),
            ("at = '5s'\nevery = '10s'\ntimes = 3", &[5, 15, 25]),
            ("every = '10s'\nuntil = '30s'", &[0, 10, 20, 30]),
            ("at = '1s'\nevery = '10s'\nuntil = '30s'\ntimes = 2", &[1, 11]),
        ];
        for (text, wanted) in table {
            let read = Scenario::read(&format!("[[step]]\n{text}\ncut = true\n")).unwrap();
            let times: Vec<u64> = read.steps()[0].times().map(|at| at.as_secs()).collect();
            assert_eq!(times, *wanted, "{text}");
        }
        let for_ever = Scenario::read("[[step]]\nevery = '1d'\ncut = true").unwrap();
        assert_eq!(for_ever.steps()[0].times().take(5000).count(), 5000);
    }

    #[test]
    fn the_example_is_one() {
        let read = Scenario::read(include_str!("../../../config/trials/bad-day.toml")).unwrap();
        assert!(read.steps().len() > 10);
    }
}
