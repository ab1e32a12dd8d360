//! What the platform tells by itself: how messages went on, early, late and more than once; and what people write. What is not
//! acknowledged comes again.

use super::books::Ended;
use super::news::Held;
use super::platform::Request;
use super::steps::NUMBERS;
use super::world::World;
use crate::engine::Input;
use crate::message::{By, Inbound, Notice, Notices, Progress, Status, Who};
use crate::time::Wall;

/// What follows for the books once the box has it for certain.
#[derive(Clone, Debug)]
pub enum Follows {
    Nothing,
    /// This attempt arrived: the message never leaves again.
    Arrived(i64),
    /// This attempt did not, for now or with a fault: the message may leave again.
    Failed(i64, Ended),
    /// The person wrote a stop word, or a start word.
    Word(String, bool),
    /// News of number or templates, and what they hold.
    News(Option<Held>),
}

/// One update, until the box has acknowledged it.
#[derive(Clone, Debug)]
pub struct Report {
    pub notice: Notice,
    pub follows: Follows,
}

/// Codes that a report of failure brings, and what the message may do then.
const FAILURES: [(i64, Option<Ended>); 4] =
    [(131053, None), (130472, None), (131056, Some(Ended::Later)), (131000, Some(Ended::Unknown(None)))];

impl World {
    /// What will be reported of a request that the platform took.
    pub fn will_report(&mut self, request: &Request) {
        let data = Some(request.data.clone());
        let status = |progress| {
            let (wamid, who) = (format!("wamid.{}", request.attempt), Who::default());
            Notice::Status(Status { wamid, progress, at: None, who, data: data.clone() })
        };
        let arrived = Follows::Arrived(request.attempt);
        let all = match self.random.u8(0..8) {
            0 | 1 => return,
            2 => {
                let (code, ended) = FAILURES[self.random.usize(0..FAILURES.len())];
                let follows = ended.map_or(Follows::Nothing, |ended| Follows::Failed(request.attempt, ended));
                vec![(Progress::Failed { code: Some(code), said: String::new() }, follows)]
            }
            3 => vec![(Progress::Sent, arrived)],
            4 => vec![(Progress::Read, arrived.clone()), (Progress::Delivered, arrived)],
            _ => vec![(Progress::Sent, arrived.clone()), (Progress::Delivered, arrived)],
        };
        for (progress, follows) in all {
            let report = Report { notice: status(progress), follows };
            let place = self.random.usize(0..=self.reports.len());
            if self.random.u8(0..4) == 0 {
                self.reports.insert(place, report.clone());
            }
            self.reports.push(report);
        }
    }

    /// A body with some of it; all of it is told again until it is acknowledged.
    pub fn tell_reports(&mut self) {
        let many = self.random.usize(1..4).min(self.reports.len());
        if many == 0 {
            return;
        }
        let body: Vec<Report> = (0..many)
            .map(|_| {
                let which = self.random.usize(0..self.reports.len());
                self.reports.swap_remove(which)
            })
            .collect();
        for report in &body {
            match &report.follows {
                // From now on the box may know it, whether or not it says so.
                Follows::Failed(attempt, ended) => self.books.failed_after_all(*attempt, *ended),
                Follows::Word(number, true) => self.books.consent(number, "word", true),
                _ => {}
            }
        }
        self.say(|| format!("reports {body:?}"));
        let notices = body.iter().map(|report| report.notice.clone().into()).collect();
        self.tickets += 1;
        self.told.insert(self.tickets, body);
        self.tell(Input::Notice(self.tickets, Notices { notices, ..Notices::default() }));
        self.reach.did("bodies of reports");
    }

    /// The box answered a body.
    pub fn heard(&mut self, ticket: u64, kept: bool) {
        let Some(body) = self.told.remove(&ticket) else { return };
        if !kept {
            self.reports.extend(body);
            return;
        }
        for report in body {
            match report.follows {
                Follows::Arrived(attempt) => self.books.arrived(attempt),
                Follows::Word(number, false) => self.books.consent(&number, "word", false),
                Follows::News(held) => self.books.held.extend(held),
                _ => {}
            }
        }
    }

    /// Nobody answered: the platform sends it again.
    pub fn unheard(&mut self) {
        for (_, body) in std::mem::take(&mut self.told) {
            self.reports.extend(body);
        }
    }

    /// Somebody writes: mostly something, now and then a stop or a start word. One word at a time, so that their order is theirs.
    pub fn inbound(&mut self) {
        let from = NUMBERS[self.random.usize(0..NUMBERS.len())][1..].to_owned();
        let person = self.books.person(&from);
        self.books.wrote.insert((person, self.real));
        let waiting = self.reports.iter().chain(self.told.values().flatten());
        let word = waiting.filter(|report| matches!(report.follows, Follows::Word(..))).count() == 0;
        let (text, follows) = match self.random.u8(0..4) {
            0 if word => ("Parar, por favor", Follows::Word(from.clone(), false)),
            1 if word => ("retomar", Follows::Word(from.clone(), true)),
            _ => ("oi, can you stop by at 5?", Follows::Nothing),
        };
        let inbound = Inbound {
            wamid: format!("wamid.in{}", self.tickets * 1_000 + self.reports.len() as u64 + self.real),
            who: Who { digits: Some(from), user: None },
            at: Some(Wall(super::world::MONDAY + self.real as i64)),
            kind: "text".to_owned(),
            text: Some(text.to_owned()),
            by: By::Person,
            payload: None,
            context: None,
            answers: None,
        };
        self.reports.push(Report { notice: Notice::Inbound(inbound), follows });
        self.reach.did("messages of people");
    }
}
