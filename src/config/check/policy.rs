//! `[policy]` and `[purposes.NAME]`.
//!
//! Floor: config.

use super::super::reader::Reader;
use super::super::tree::Value;
use super::super::units;
use super::Branch;
use crate::limits;
use crate::message::{By, Priority};
use crate::policy::{self, Hours, OnUnknown, Purpose, Quiet, Wish};
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What quiet hours look like.
const QUIET: &str = "a list like [\"20:00-09:00\", \"sun\"], or \"off\"";
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// Minutes.
const DAY: usize = 24 * 60;
const WEEK: usize = 7 * DAY;

/// What `[policy]` gives to the policy room and to rules.
pub(super) struct Policy {
    pub settings: policy::Settings,
    pub expires: [Duration; 4],
}

/// Minutes of a week that begins on Monday; `until` may lie in the next one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Stretch {
    pub from: usize,
    pub until: usize,
}

/// `[policy]` and `[purposes]`. `heard`: the platform's reports come, so that there is something to wait for.
pub(super) fn policy(r: &mut Reader<'_, '_>, branch: &Branch, heard: bool) -> Option<Policy> {
    let purposes = r.each("purposes", |_, r| Purpose {
        wording: r.text("wording").unwrap_or_default(),
        expires: r.duration("expires"),
    });
    r.within("policy", |r| {
        let expires = r.within("expires", |r| by_priority(r, |r, key| r.duration(key)));
        let on_unknown = r.within("on_unknown", |r| {
            by_priority(r, |r, key| {
                r.parsed(key, "\"stop\", \"repeat\" or \"repeat 3\" (1 to 9)", |node| on_unknown(node.as_text()?))
            })
        });
        let wait = r.duration_or_zero("unknown_wait");
        if !heard && r.origin("unknown_wait").is_own() && wait.is_some_and(|wait| !wait.is_zero()) {
            let problem = r.problem("unknown_wait", "has no effect");
            r.warn(problem.fix(
                "Without [webhook] and [notice] nobody reports what became of a message: nothing can be waited for.",
            ));
        }
        let undeliverable = r.duration("undeliverable");
        let [marketing, utility] = quiet_hours(r);
        let (stop_words, farewell) = opt_out(r);
        let settings = policy::Settings {
            purposes,
            stated: BTreeSet::new(),
            on_unknown: on_unknown?,
            unknown_wait: if heard { wait? } else { Duration::ZERO },
            stop_words,
            farewell,
            undeliverable: undeliverable?,
            hours: Hours {
                zone: branch.timezone.clone().unwrap_or(TimeZone::UTC),
                marketing,
                utility,
                rules: BTreeMap::new(),
            },
        };
        Some(Policy { settings, expires: expires? })
    })
}

/// One value for each priority, by rank.
fn by_priority<'t, T>(
    r: &mut Reader<'t, '_>,
    mut read: impl FnMut(&mut Reader<'t, '_>, &str) -> Option<T>,
) -> Option<[T; 4]> {
    let [a, b, c, d] = Priority::ALL.map(|priority| read(r, priority.code()));
    Some([a?, b?, c?, d?])
}

fn on_unknown(text: &str) -> Option<OnUnknown> {
    match text.split_once(' ') {
        None if text == "stop" => Some(OnUnknown::Stop),
        None if text == "repeat" => Some(OnUnknown::Repeat(1)),
        Some(("repeat", times)) => {
            units::digits(times).filter(|times| (1..=9).contains(times)).map(|times| OnUnknown::Repeat(times as u32))
        }
        _ => None,
    }
}

/// Of marketing and of utility messages.
fn quiet_hours(r: &mut Reader<'_, '_>) -> [Vec<Quiet>; 2] {
    r.within("quiet_hours", |r| {
        ["marketing", "utility"].map(|key| {
            let times = r.parsed(key, QUIET, |node| match &node.value {
                Value::List(list) => list.iter().map(|node| quiet(node.as_text()?)).collect(),
                _ => (node.as_text()? == "off").then(Vec::new),
            });
            let times = times.unwrap_or_default();
            if Week::of(&times).is_full() {
                let problem = r.problem(key, format!("cover the whole week: no {key} message would ever go out"));
                r.tell(problem.fix("Leave a time in which they may go."));
            }
            times
        })
    })
}

/// One entry: a weekday, or a time of every day.
fn quiet(text: &str) -> Option<Quiet> {
    let day = WEEKDAYS.iter().position(|day| *day == text);
    match day.and_then(|day| Weekday::from_monday_zero_offset(day as i8).ok()) {
        Some(day) => Some(Quiet::Day(day)),
        None => span(text).map(|(from, to)| Quiet::Daily { from, to }),
    }
}

/// `20:00-09:00`: two different times of day.
pub(super) fn span(text: &str) -> Option<(Time, Time)> {
    let (from, to) = text.split_once('-')?;
    let (from, to) = (clock(from)?, clock(to)?);
    (from != to).then_some((from, to))
}

/// The minutes of a week, and which are quiet.
pub(super) struct Week([bool; WEEK]);

impl Week {
    pub fn of<'q>(quiet: impl IntoIterator<Item = &'q Quiet>) -> Week {
        let mut week = [false; WEEK];
        let minutes = |time: Time| time.hour() as usize * 60 + time.minute() as usize;
        for quiet in quiet {
            match *quiet {
                Quiet::Day(day) => {
                    let day = day.to_monday_zero_offset() as usize;
                    week[day * DAY..(day + 1) * DAY].fill(true);
                }
                Quiet::Daily { from, to } => {
                    let (from, to) = (minutes(from), minutes(to));
                    for day in 0..WEEKDAYS.len() {
                        (0..(to + DAY - from) % DAY).for_each(|minute| week[(day * DAY + from + minute) % WEEK] = true);
                    }
                }
            }
        }
        Week(week)
    }

    pub fn is_full(&self) -> bool {
        self.0.iter().all(|quiet| *quiet)
    }

    /// The longest stretch, across the end of the week too; none where nothing or everything is quiet. A night in which the
    /// clocks are put back is an hour longer.
    pub fn longest(&self) -> Option<Stretch> {
        let quiet = |at: usize| self.0[at % WEEK];
        let begins = (0..WEEK).filter(|at| quiet(*at) && !quiet(at + WEEK - 1));
        let stretches = begins.map(|from| {
            let length = (0..WEEK).take_while(|minutes| quiet(from + minutes)).count();
            Stretch { from, until: from + length }
        });
        stretches.max_by_key(|stretch| stretch.until - stretch.from)
    }
}

impl Stretch {
    pub fn length(self) -> Duration {
        Duration::from_secs((self.until - self.from) as u64 * 60)
    }
}

/// `sat 20:00 to mon 09:00`
impl std::fmt::Display for Stretch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = |at: usize| {
            let (day, minute) = (at / DAY % WEEKDAYS.len(), at % DAY);
            format!("{} {:02}:{:02}", WEEKDAYS[day], minute / 60, minute % 60)
        };
        write!(f, "{} to {}", place(self.from), place(self.until))
    }
}

/// `20:00`
fn clock(text: &str) -> Option<Time> {
    let (hours, minutes) = text.split_once(':').filter(|(hours, minutes)| hours.len() == 2 && minutes.len() == 2)?;
    let (hours, minutes) = (units::digits(hours)?, units::digits(minutes)?);
    Time::new(i8::try_from(hours).ok()?, i8::try_from(minutes).ok()?, 0, 0).ok()
}

/// `[policy.opt_out]`: own stop words, and by language what is answered to one.
fn opt_out(r: &mut Reader<'_, '_>) -> (Vec<String>, BTreeMap<String, String>) {
    r.within("opt_out", |r| {
        let words = r.texts("words");
        if let Some(word) =
            words.iter().find(|word| policy::wish(word, By::Person, std::slice::from_ref(*word)) != Some(Wish::Stop))
        {
            let problem = r.problem("words", format!("\"{word}\" can never be what somebody writes to opt out"));
            r.tell(problem.wanted("a few words, with letters or figures in them"));
        }
        let farewell = r.within("confirm", |r| {
            let languages = r.names().into_iter();
            languages
                .filter_map(|language| {
                    super::people::language_name(r, &language);
                    let text = r.text_of(&language, "a text of at most 4096 characters", |text| {
                        text.chars().count() <= limits::TEXT
                    });
                    Some((language, text?))
                })
                .collect()
        });
        (words, farewell)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_quiet_stretch() {
        for (entries, shown) in [
            (&["20:00-09:00"][..], "mon 20:00 to tue 09:00, 13 h"),
            (&["20:00-09:00", "sun"], "sat 20:00 to mon 09:00, 37 h"),
            (&["12:00-14:00"], "mon 12:00 to mon 14:00, 2 h"),
            (&["sun", "mon"], "sun 00:00 to tue 00:00, 48 h"),
            (&["22:00-06:00", "05:00-08:00"], "mon 22:00 to tue 08:00, 10 h"),
        ] {
            let entries: Vec<_> = entries.iter().map(|entry| quiet(entry).unwrap()).collect();
            let stretch = Week::of(&entries).longest().unwrap();
            // Where several are as long, whichever: the day is no matter then.
            let said = format!("{stretch}, {} h", stretch.length().as_secs() / 3600);
            let same = |text: &str| text.split(' ').filter(|word| !WEEKDAYS.contains(word)).collect::<String>();
            assert_eq!(same(&said), same(shown), "{entries:?}");
            if entries.contains(&Quiet::Day(Weekday::Sunday)) {
                assert_eq!(said, shown);
            }
        }
        assert_eq!(Week::of(&[]).longest(), None);
        let all = WEEKDAYS.map(|day| quiet(day).unwrap());
        assert!(Week::of(&all).is_full() && Week::of(&all).longest().is_none(), "told as a problem");
    }
}
