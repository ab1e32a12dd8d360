//! The books: what the simulator saw of each event, and what the receipts told about it. The store forgets within minutes here.

use super::PLATFORM_PER_SECOND;
use super::traffic::{Kind, kind};
use crate::trials::ear::Ear;
use branchline::demo::api::{Answer, Control};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Requests that the simulator keeps: several seconds of them, and they are read several times a second.
pub const KEEP: usize = 2_000;

/// What became of one event's message.
#[derive(Clone, Copy, Default, Debug)]
struct Fate {
    /// So often the API accepted it.
    accepted: u8,
    /// A receipt said that nobody knows whether it arrived.
    unknown: bool,
    told: Option<Told>,
}

/// How it ended, by its receipts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Told {
    Accepted,
    NotRepeated,
    Withheld,
    /// Nothing here should end so.
    Otherwise,
}

#[derive(Default)]
pub struct Books {
    fates: Vec<Fate>,
    accepted: u64,
    refused: Vec<i64>,
    receipts: u64,
    /// The last request that was read, and when the last ones came, by the simulator's clock.
    last: Duration,
    recent: VecDeque<Duration>,
    /// The most that came within any second.
    most: usize,
    /// The simulator's clock began then, as far as is known.
    origin: Option<Instant>,
    strange: Vec<String>,
    /// All below are complete.
    complete: usize,
}

impl Books {
    /// What is new since the last look.
    pub fn read(&mut self, control: &Control, ear: &Ear) {
        let seen = control.seen();
        if seen.len() == KEEP && seen.first().is_some_and(|first| first.at > self.last) {
            self.strange.push("the simulator forgot requests before they were read here".to_owned());
        }
        let last = self.last;
        for seen in seen.into_iter().filter(|seen| seen.at > last) {
            self.last = seen.at;
            let origin = Instant::now() - seen.at;
            self.origin = Some(self.origin.map_or(origin, |known| known.min(origin)));
            match &seen.answer {
                Answer::Accepted(_) => {
                    self.accepted += 1;
                    self.in_time(seen.at);
                    let data = seen.data.unwrap_or_default();
                    match data.rsplit('/').next().and_then(number) {
                        Some(number) => {
                            let fate = self.fate(number);
                            fate.accepted = fate.accepted.saturating_add(1);
                        }
                        None => self.strange.push(format!("accepted without an event: {data}")),
                    }
                }
                Answer::Refused(code) => self.refused.push(*code),
                Answer::Status(_) | Answer::Nothing => {}
            }
        }
        for receipt in ear.take() {
            let receipt = receipt.json();
            self.receipts += 1;
            let Some(number) = receipt["event"].as_str().and_then(number) else { continue };
            let (outcome, reason) = (receipt["outcome"].as_str(), receipt["reason"].as_str());
            let told = match (outcome, reason) {
                (Some("accepted"), _) => Told::Accepted,
                (Some("unknown"), Some("not-repeated")) => Told::NotRepeated,
                (Some("unknown"), _) => {
                    self.fate(number).unknown = true;
                    continue;
                }
                (Some("withheld"), Some("consent-revoked")) => Told::Withheld,
                _ => {
                    self.strange.push(format!("e{number} ended as {outcome:?}, {reason:?}"));
                    Told::Otherwise
                }
            };
            self.fate(number).told = Some(told);
        }
    }

    fn fate(&mut self, number: u32) -> &mut Fate {
        let place = number as usize;
        if self.fates.len() <= place {
            self.fates.resize(place + 1, Fate::default());
        }
        &mut self.fates[place]
    }

    fn in_time(&mut self, at: Duration) {
        self.recent.push_back(at);
        while self.recent.front().is_some_and(|first| *first + Duration::from_secs(1) <= at) {
            self.recent.pop_front();
        }
        self.most = self.most.max(self.recent.len());
    }

    /// Messages that came within the second before `now`, as far as they are read.
    pub fn last_second(&self, now: Instant) -> usize {
        let Some(now) = self.origin.map(|origin| now.saturating_duration_since(origin)) else { return 0 };
        self.recent.iter().filter(|at| **at <= now && **at + Duration::from_secs(1) > now).count()
    }

    /// Messages that the API accepted, repeats included.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Messages that the API accepted more than once, each time after the first.
    pub fn repeats(&self) -> u64 {
        self.fates.iter().map(|fate| u64::from(fate.accepted.saturating_sub(1))).sum()
    }

    /// Whether the end of each of these events is told.
    pub fn complete(&mut self, published: u32) -> bool {
        while self.complete < published as usize {
            let wanted = matches!(kind(self.complete as u32), Kind::Order | Kind::Gone);
            if wanted && self.fates.get(self.complete).is_none_or(|fate| fate.told.is_none()) {
                return false;
            }
            self.complete += 1;
        }
        true
    }

    pub fn figures(&self) -> String {
        let unknown = self.fates.iter().filter(|fate| fate.unknown).count();
        let not_repeated = self.fates.iter().filter(|fate| fate.told == Some(Told::NotRepeated)).count();
        format!(
            "{} accepted by the simulator, at most {} in any second of its clock; {} refused; {} receipts\n\
             {unknown} were unknown for a while: {} of them repeated what had arrived, {not_repeated} were given up",
            self.accepted,
            self.most,
            self.refused.len(),
            self.receipts,
            self.repeats(),
        )
    }

    /// What is wrong.
    pub fn verdict(&self, published: u32) -> Vec<String> {
        let mut wrong = self.strange.clone();
        if !self.refused.is_empty() {
            let (limit, mut codes) = (PLATFORM_PER_SECOND, self.refused.clone());
            codes.sort_unstable();
            codes.dedup();
            wrong.push(format!("{} refused by the platform's rules ({codes:?}; limit {limit}/s)", self.refused.len()));
        }
        for number in 0..published {
            let fate = self.fates.get(number as usize).copied().unwrap_or_default();
            let sound = match (kind(number), fate.told) {
                (Kind::Order, Some(Told::Accepted)) => fate.accepted >= 1,
                (Kind::Order, Some(Told::NotRepeated)) => fate.unknown,
                (Kind::Gone, Some(Told::Withheld)) => fate.accepted == 0,
                (Kind::Quiet | Kind::Repeat, None) => fate.accepted == 0,
                _ => false,
            };
            if !sound || (fate.accepted > 1 && !fate.unknown) {
                wrong.push(format!("e{number} ({:?}): {fate:?}", kind(number)));
            }
        }
        let all = wrong.len();
        wrong.truncate(20);
        if all > 20 {
            wrong.push(format!("and {} more", all - 20));
        }
        wrong
    }
}

fn number(event: &str) -> Option<u32> {
    event.strip_prefix('e')?.parse().ok()
}
