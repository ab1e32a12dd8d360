//! What the platform reports by itself: how messages went on, what people write and wish, news of the account.
//!
//! Floor: engine. Read by `whatsapp`; a body may come more than once, in any order, and for what of it there was no room it comes again.
//!
//! ```text
//!              sent, delivered, read                         failed
//!   waiting    the repeat is withdrawn, settled              for good: failed; else the repeat goes on
//!   posted     settled; the answer changes nothing any more  kept with the attempt until the answer comes
//!   unknown    settled                                       by the table of codes: again, or failed
//!   accepted   goes up: accepted < delivered < read          the same
//!   delivered  goes up                                       nothing: it was there
//! ```
//!
//! A message may have left more than once. A report is about one try, and a message has failed when all its tries have: as long as
//! another was taken it stands as that one does, and as long as nobody knows of another nobody knows.

use super::{Action, Engine, Tally};
use crate::limits;
use crate::message::{
    Inbound, MessageId, News, Notice, Notices, Number, Origin, Outcome, Priority, Progress, Reason, Status, Update,
};
use crate::outbox::{Found, Known, Settling, Spent, State, StoreError, Tried, Try};
use crate::pace;
use crate::policy::{self, Next, Wish};
use crate::time::Wall;
use crate::whatsapp::{self, Fate, KnownAs, OnPerson};

/// Stands for a report of failure without a code, while it waits for the answer.
const NO_CODE: i64 = -1;
/// Too many messages to one person (facts 2.2).
const PAIR_LIMIT: i64 = 131056;

impl Engine {
    /// One body, whichever way it came.
    pub(super) fn heard(&mut self, ticket: u64, body: &Notices) -> Result<(), StoreError> {
        let (mut taken, mut left_out) = (0, false);
        for Update { of, notice } in &body.notices {
            if (left_out || !self.fits(notice, taken + 1)?) && !(self.takes_back(notice) && self.room_for_stop()?) {
                left_out = true;
                continue;
            }
            taken += 1;
            let kind = match notice {
                // The limit of people is the whole portfolio's (facts 2.3), to which the other number may belong: the platform knows.
                Notice::News(News::People(_)) if !self.is_ours(of) => {
                    self.ask_soon()?;
                    "skipped"
                }
                _ if !self.is_ours(of) => "skipped",
                Notice::Status(status) => self.status_of(status)?,
                Notice::Inbound(inbound) => self.inbound(inbound, body.to_all)?,
                Notice::Marketing { who, stop, at } => self.wishes(who, *stop, *at, body.to_all)?,
                Notice::Moved { from, to } => self.moved(from, to)?,
                Notice::News(news) => {
                    self.news(news, None)?;
                    "news"
                }
            };
            self.tally.push(Tally::Notice(kind, 1));
        }
        if left_out {
            // What cannot be kept is not acknowledged: the body comes again, and what was taken of it changes nothing then.
            self.out.push(Action::Heard(ticket, false));
            return Ok(());
        }
        if body.skipped > 0 {
            self.tally.push(Tally::Notice("skipped", body.skipped));
        }
        self.tally.push(Tally::Heard(body.way));
        self.out.push(Action::Heard(ticket, true));
        Ok(())
    }

    /// Whether there is room for one more update, with `rows` of its body by then. Contents of what is settled go for it before their
    /// time; no message gives way to it, for it comes again.
    fn fits(&mut self, notice: &Notice, rows: u64) -> Result<bool, StoreError> {
        let texts = match notice {
            Notice::Inbound(said) => [&said.text, &said.payload].into_iter().flatten().map(String::len).sum(),
            _ => 0,
        };
        while !self.outbox.has_room(Priority::Critical, rows, || limits::OUTCOME + texts as u64)? {
            if self.outbox.forget_early()? == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether it takes messages back: that is kept as long as anything leaves, for every message until then would be against it.
    fn takes_back(&self, notice: &Notice) -> bool {
        let wish = |said: &Inbound| policy::wish(said.text.as_deref()?, said.by, &self.policy.stop_words);
        match notice {
            Notice::Marketing { stop, .. } => *stop,
            Notice::Inbound(said) => matches!(wish(said), Some(Wish::Stop | Wish::StopMarketing)),
            _ => false,
        }
    }

    /// Room for one stop: messages give way to it, and where none may, it takes of what is kept for outcomes. When not even that is
    /// left, nothing leaves either.
    fn room_for_stop(&mut self) -> Result<bool, StoreError> {
        Ok(self.make_room(Priority::Critical, 1, || limits::OUTCOME)? || self.spare_outcomes()? > 0)
    }

    /// Whether it is not known to be another account's or number's, whom the same app serves. As long as ours are not known either
    /// everything counts: nobody's stop is lost.
    fn is_ours(&self, of: &Origin) -> bool {
        let known = &self.soft.health;
        let other_account = matches!((&of.account, &known.account), (Some(of), Some(ours)) if of != ours);
        let form = |of: &String, ours: &String| {
            Number::of_digits(of).is_ok_and(|number| number.forms().iter().any(|form| form.digits() == ours))
        };
        let same = |of: &String, ours: &String| of == ours || form(of, ours);
        let other_number = matches!((&of.number, &known.number), (Some(of), Some(ours)) if !same(of, ours));
        !other_account && !other_number
    }

    /// What it was, for the counters.
    fn status_of(&mut self, status: &Status) -> Result<&'static str, StoreError> {
        let id = match self.message_named(status) {
            None => match self.known_person(&status.who)? {
                None if status.who.digits.is_none() => self.outbox.of_wamid_lately(&status.wamid)?,
                person => person.map_or(Ok(None), |person| self.outbox.of_wamid(person, &status.wamid))?,
            },
            named => named,
        };
        let Some(id) = id else { return Ok("foreign") };
        let (Some(found), Some(known)) = (self.outbox.found(id)?, self.outbox.known(id)?) else {
            return Ok("foreign");
        };
        // Nobody's any more: the report holds the number of somebody who was erased.
        let Some(person) = found.person else { return Ok("foreign") };
        let person =
            self.learn(person, &KnownAs { wa_id: status.who.digits.clone(), user_id: status.who.user.clone() })?;
        let wamid = self.outbox.wamid_hash(&status.wamid);
        let mut one = Try::named(&self.outbox.tries(id)?, wamid);
        if let Some(one) = one.as_mut().filter(|one| one.wamid.is_none()) {
            self.outbox.name_attempt(one.id, wamid)?;
            one.wamid = Some(wamid);
        }
        let changed = match &status.progress {
            Progress::Sent => self.went_on(&found, known, one, status, Outcome::Accepted)?,
            Progress::Delivered => self.went_on(&found, known, one, status, Outcome::Delivered)?,
            Progress::Read => self.went_on(&found, known, one, status, Outcome::Read)?,
            Progress::Failed { code, said } => match one {
                Some(one) => self.failed(id, one, *code, said, status.at)?,
                None => false,
            },
        };
        // What came before may be told again, of a time when the person was still there.
        if changed && matches!(status.progress, Progress::Delivered | Progress::Read) {
            self.is_reachable(person)?;
        }
        Ok(if changed { "status" } else { "repeated" })
    }

    /// The message that `biz_opaque_callback_data` names, if it is one of this store.
    fn message_named(&self, status: &Status) -> Option<MessageId> {
        let mut parts = status.data.as_deref()?.splitn(3, '/');
        let (branch, id) = (parts.next()?, parts.next()?);
        (branch == self.branch).then(|| self.outbox.read_shown(id))?
    }

    /// One try was taken, or came further: a message only ever goes up. Whether that was news.
    fn went_on(
        &mut self,
        found: &Found,
        known: Known,
        one: Option<Try>,
        status: &Status,
        outcome: Outcome,
    ) -> Result<bool, StoreError> {
        match one.map(|one| (one.id, one.tried)) {
            Some((_, Tried::Failed)) => return Ok(false),
            Some((attempt, Tried::Open)) => {
                self.outbox.close(attempt, Reason::Reported, None, Spent::Kept, self.moment)?;
            }
            // That no answer came stays true: it has a name now.
            Some((_, Tried::Unknown | Tried::Taken)) | None => {}
        }
        let open = matches!(known.outcome, Outcome::Unknown | Outcome::Accepted | Outcome::Delivered);
        if known.state == State::Settled && !(open && known.outcome < outcome) {
            return Ok(false);
        }
        let detail = match known.state {
            State::Waiting => "the report came late: the repeat that had not left is withdrawn",
            State::Unknown => "no answer came, and then this report",
            State::Posted => "the report came before the answer",
            State::Settled => "",
        };
        let wamid = known.wamid.is_none().then_some(status.wamid.as_str());
        let told = Settling { detail, wamid, ..Settling::new(outcome, Reason::Reported) };
        self.outbox.settle(found.id, &told, self.moment)?;
        self.tell(found, outcome, Reason::Reported, detail, false);
        if known.state == State::Settled {
            return Ok(true);
        }
        self.number_works()?;
        if let Some(person) = self.outbox.found(found.id)?.and_then(|found| found.person) {
            let mut lane = self.outbox.lane(person)?;
            pace::pair_succeeded(&mut lane.pair);
            // The wait for this very word; a back-off that lasts longer stays.
            if known.state == State::Unknown && lane.held_until == known.due {
                lane.held_until = self.moment.boxed;
            }
            self.settle(lane)?;
        }
        Ok(true)
    }

    /// One try did not arrive, and that is certain: what a code asks for is what it asks for in an answer. Whether that was news.
    pub(super) fn failed(
        &mut self,
        id: MessageId,
        one: Try,
        code: Option<i64>,
        said: &str,
        told: Option<Wall>,
    ) -> Result<bool, StoreError> {
        let (Some(found), Some(known)) = (self.outbox.found(id)?, self.outbox.known(id)?) else { return Ok(false) };
        let may_have_failed =
            known.state != State::Settled || matches!(known.outcome, Outcome::Unknown | Outcome::Accepted);
        if one.tried == Tried::Failed || !may_have_failed {
            return Ok(false);
        }
        if one.tried == Tried::Open {
            self.outbox.failed_early(one.id, code.unwrap_or(NO_CODE))?;
            return Ok(true);
        }
        let attempt = one.id;
        let verdict = whatsapp::failed(code, said);
        self.outbox.close(attempt, verdict.reason, verdict.code, Spent::Kept, self.moment)?;
        if let Some(wamid) = one.wamid {
            // There may be another try of the message now.
            self.outbox.name_attempt(attempt, wamid)?;
        }
        self.hold_as_told(id, None, &verdict)?;
        let others = self.outbox.tries(id)?;
        let other = |tried| others.iter().any(|other| other.id != attempt && other.tried == tried);
        let again = self.may_go_again(&found, known, &verdict.message)?;
        match known.state {
            // Another is on its way, or was taken: what becomes of it is told by itself.
            State::Posted => {}
            State::Settled if other(Tried::Taken) => {}
            State::Waiting if again => {}
            // It waits for a word of that one, or has ended so already.
            State::Unknown if again && other(Tried::Unknown) => {}
            State::Settled if other(Tried::Unknown) && known.outcome == Outcome::Unknown => {}
            // One that ended as unknown was told so: it does not begin anew.
            State::Unknown | State::Settled
                if again && !(known.state == State::Settled && known.outcome == Outcome::Unknown) =>
            {
                let due = self.due_again(id, &verdict)?;
                self.back_to_queue(id, due, verdict.reason, &verdict.detail, true)?;
            }
            // Of an earlier try nobody knows to this day: then it ends as unknown, with the reason of an end.
            _ if other(Tried::Unknown) => {
                self.end(id, Outcome::Unknown, Reason::NotRepeated, &verdict.detail, verdict.loud)?;
            }
            _ => self.end(id, Outcome::Failed, verdict.reason, &verdict.detail, verdict.loud)?,
        }
        let Some(person) = found.person else { return Ok(true) };
        if let Some(effect) = verdict.person {
            self.on_person(person, found.category, effect, told)?;
        }
        let mut lane = self.outbox.lane(person)?;
        if verdict.person == Some(OnPerson::PairLimit) {
            // Each try was taken at first, which forgave what the reports of those before it had said.
            lane.pair.strikes = lane.pair.strikes.max(self.outbox.refused_by(id, PAIR_LIMIT)?.saturating_sub(1));
            self.strike(&mut lane);
        }
        self.settle(lane)?;
        Ok(true)
    }

    /// Whether what surely did not arrive is sent again: where the platform refused it for now; where it had a fault, as often as
    /// after an unknown; while it is of use and its text is there.
    fn may_go_again(&self, found: &Found, known: Known, fate: &Fate) -> Result<bool, StoreError> {
        let asked = match fate {
            Fate::Refused | Fate::Accepted { .. } => false,
            Fate::Again | Fate::Unsent => true,
            Fate::Unknown { repeats } => {
                let next = found
                    .category
                    .map(|category| self.after_unknown(&found.rule, found.priority, category, known.tries));
                next == Some(Next::Repeat) && repeats.is_none_or(|most| known.tries <= most)
            }
        };
        Ok(asked && self.outbox.load(found.id)?.is_some_and(|message| message.expires_boxed() > self.moment.boxed))
    }
}
