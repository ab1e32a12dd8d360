//! The world's own books: what was published, what left, who took consent back. The promises are judged from them by plain
//! counting; nothing here asks the box what it thinks, except the rows of its file, read as any technician would.

use super::news::Held;
use super::platform::{Effect, Request};
use super::setup;
use crate::message::Anchor;
use crate::time::Clock;
use std::collections::{BTreeMap, BTreeSet};

/// The platform's pair limit: one message each 6 s, at most three ahead.
const PAIR_MS: u64 = 6_000;
const PAIR_BURST: usize = 3;

/// How an attempt ended, as far as the box can know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    Open,
    /// Surely not sent.
    Nothing,
    /// Refused for now: not sent, but counted by the platform.
    Later,
    Refused,
    Taken,
    /// Perhaps sent; the code may allow fewer repeats than the rule.
    Unknown(Option<u32>),
}

/// What an event asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A message to the number it names.
    Message,
    /// A message to each on call.
    Alarm,
    /// Nothing: no rule, or one that does not hold.
    Nothing,
    /// Consent, and no message.
    Effect,
    /// It cannot be handled, and that is told.
    Bad,
}

#[derive(Clone, Debug)]
pub struct Event {
    pub rule: &'static str,
    pub to: String,
    pub kind: Kind,
    pub has_id: bool,
    /// Deliveries that nothing marks as repeats.
    pub fresh: usize,
    /// Configurations in force while it was on its way.
    pub versions: BTreeSet<usize>,
    pub acked: bool,
    /// So often the till said it again, and its rule forgets after an hour.
    pub again: usize,
    pub opt_in: bool,
}

/// What the platform may have received: when it left, and when that exchange ended.
struct Gone {
    attempt: i64,
    at: u64,
    until: Option<u64>,
    to: String,
    rule: &'static str,
}

/// The platform's account of one person, read strictly.
#[derive(Clone, Copy, Default)]
struct Burst {
    start: u64,
    last: u64,
    count: usize,
    /// While its first exchange lasts, nobody knows when the burst began for the platform; beyond half an interval a third
    /// message may be refused, as the limit's own description says.
    first_took: u64,
}

impl Burst {
    fn is_repaid(&self, now: u64) -> bool {
        now >= self.last + PAIR_MS * self.count as u64
    }

    fn takes(&mut self, at: u64, until: u64) {
        if self.is_repaid(at) {
            *self = Burst { start: at, last: at, count: 1, first_took: until - at };
        } else {
            (self.last, self.count) = (at, self.count + 1);
        }
    }

    fn and(self, other: Burst) -> Burst {
        let later = if self.start > other.start { self } else { other };
        Burst { last: self.last.max(other.last), count: self.count + other.count, ..later }
    }
}

struct Try {
    attempt: i64,
    ended: Ended,
    /// The box's file holds the answer: a crash cannot take it back.
    kept: bool,
    /// The platform reported, and the box has it, that this one arrived.
    arrived: bool,
    /// It reported that it failed, for now or with a fault.
    failed: bool,
}

impl Try {
    /// Its answer, if one came, went with the power.
    fn forget(&mut self) {
        if !std::mem::replace(&mut self.kept, true)
            && !self.arrived
            && !matches!(self.ended, Ended::Nothing | Ended::Later)
        {
            self.ended = Ended::Unknown(None);
        }
    }
}

/// One row of the box's file.
#[derive(Clone, Debug)]
pub struct Row {
    pub label: String,
    pub number: Option<String>,
    pub state: i64,
    pub seen: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Receipt {
    pub message: i64,
    pub to: Option<String>,
    pub outcome: String,
    pub reason: String,
}

/// What a receipt told: the message, its outcome, the reason.
pub type Told = (i64, String, String);

#[derive(Default)]
pub struct Books {
    pub seed: u64,
    /// `limits.sender_per_second` of this seed.
    pub per_second: usize,
    pub in_flight: usize,
    /// `limits.daily_recipients` for staff and critical messages, and for all others.
    pub people: Option<(usize, usize)>,
    /// `limits.daily_messages`
    pub messages: Option<usize>,
    /// They wrote to us, and when, by true time: for a day messages to them may not count, and free text may go.
    pub wrote: BTreeSet<(String, u64)>,
    pub events: BTreeMap<String, Event>,
    pub rows: BTreeMap<i64, Row>,
    pub receipts: BTreeMap<i64, Receipt>,
    /// What head office was told, and where the audit record stood then, as it was told too.
    pub told: Vec<(Told, Anchor)>,
    attempts: BTreeSet<i64>,
    /// Confirmations of stop words: message, to whom.
    farewells: BTreeMap<i64, String>,
    tries: BTreeMap<i64, Vec<Try>>,
    /// What may have reached the platform: attempt, when, to whom.
    left: Vec<Gone>,
    /// Recorded, and the box was gone before it left: to the box it may have left. When, to whom.
    recorded: Vec<(u64, String)>,
    crashed_at: u64,
    /// Since when the box knows that two numbers are one person's.
    united_at: Option<u64>,
    /// (number or its person, purpose, granted), in order.
    ledger: Vec<(String, String, bool)>,
    no_marketing: BTreeSet<String>,
    unreachable: BTreeSet<String>,
    /// Stopped by the platform, by a person, or by the disk: what may not leave now, each with why.
    pub stops: BTreeSet<String>,
    /// What news of the platform hold.
    pub held: BTreeSet<Held>,
    /// They were, or are being, erased: the box may have forgotten what it counted and compared for them.
    erasing: BTreeSet<String>,
    /// Messages that are nobody's any more.
    nobodys: BTreeSet<i64>,
    /// Events handed over by the broker.
    pub deliveries: usize,
    /// What follows from answers that the box may not have kept yet.
    unkept: Vec<(i64, Ended, Effect, String, bool)>,
    /// Box time is real time: the wall clock was trusted whenever the power was lost. Expiry can be judged then.
    pub steady: bool,
}

/// One person whatever the form of the number; two where the box cannot know.
fn plain(digits: &str) -> &str {
    match digits.trim_start_matches('+') {
        "552187650011" => "5521987650011",
        "5215512345612" => "525512345612",
        other => other,
    }
}

/// The calling code and the last two digits.
pub fn masked(digits: &str) -> String {
    let digits = digits.trim_start_matches('+');
    let code = if digits.starts_with('1') { 1 } else { 2 };
    format!("+{}…{}", &digits[..code], &digits[digits.len() - 2..])
}

fn purpose(rule: &str) -> &'static str {
    match rule {
        "offer" => "offers",
        "brief" => "brief",
        "alarm" => "staff",
        _ => "orders",
    }
}

/// `policy.on_unknown` as documented: repeats of the rule's priority; an offer is marketing and never repeats.
fn repeats(rule: &str) -> u32 {
    match rule {
        "urgent" | "alarm" => 3,
        "offer" | "low" => 0,
        _ => 1,
    }
}

/// `policy.expires` as documented, in hours.
fn hours(rule: &str) -> u64 {
    match rule {
        "urgent" | "alarm" | "offer" | "low" => 12,
        "high" | "swing" => 6,
        _ => 4,
    }
}

/// Whether more may follow: the platform may still say something, or the box decides later.
fn is_open(outcome: &str, reason: &str) -> bool {
    let undecided = [
        "no-answer",
        "connection-lost",
        "restarted",
        "platform-fault",
        "answer-unreadable",
        "number-maintenance",
        "number-limit",
    ];
    outcome == "unknown" && undecided.contains(&reason)
}

impl Books {
    pub fn new(seed: u64, per_second: usize, in_flight: usize) -> Books {
        Books { seed, per_second, in_flight, steady: true, ..Books::default() }
    }

    pub fn person(&self, digits: &str) -> String {
        let plain = plain(digits);
        if self.united_at.is_some() && plain == "5531987650014" { "5521987650013" } else { plain }.to_owned()
    }

    /// The broker hands an event over.
    pub fn delivered(&mut self, label: &str, fresh: bool, version: usize) {
        self.deliveries += 1;
        let event = self.events.get_mut(label).expect("it was published");
        event.fresh += usize::from(fresh);
        event.versions.insert(version);
        let event = event.clone();
        match event.kind {
            Kind::Message if event.opt_in => self.agreed(&event.to, purpose(event.rule)),
            Kind::Effect if event.rule == "agree" => self.agreed(&event.to, "orders"),
            Kind::Alarm => setup::STAFF.iter().for_each(|who| self.agreed(who, "staff")),
            _ => {}
        }
    }

    /// Whether somebody's event that takes back consent was handed over, and is not acknowledged.
    pub fn is_stop_on_its_way(&self, number: &str) -> bool {
        let who = self.person(number);
        let open = |event: &&Event| event.rule == "stop" && !event.versions.is_empty() && !event.acked;
        self.events.values().filter(open).any(|event| self.person(&event.to) == who)
    }

    /// Another configuration is in force, also for what is on its way.
    pub fn reloaded(&mut self, version: usize) {
        for event in self.events.values_mut().filter(|event| !event.acked && !event.versions.is_empty()) {
            event.versions.insert(version);
        }
    }

    pub fn consent(&mut self, number: &str, purpose: &str, granted: bool) {
        self.ledger.push((number.trim_start_matches('+').to_owned(), purpose.to_owned(), granted));
    }

    /// Consent brought by an event or stated by the configuration: never lifts what was taken back.
    pub fn agreed(&mut self, number: &str, purpose: &str) {
        if self.standing(number, purpose).is_none() {
            self.consent(number, purpose, true);
        }
    }

    /// The last word about a purpose; a stop word stands until a start word, or until somebody agrees once more.
    fn standing(&self, number: &str, purpose: &str) -> Option<bool> {
        let who = self.person(number);
        let about = |entry: &&(String, String, bool)| self.person(&entry.0) == who;
        let last =
            self.ledger.iter().rev().filter(about).find(|entry| entry.1 == "word" || entry.1 == purpose && entry.2);
        if self.stop_word_stands(number) && last.is_some_and(|entry| entry.1 == "word" && !entry.2) {
            return Some(false);
        }
        let about = |entry: &&(String, String, bool)| {
            self.person(&entry.0) == who && (entry.1 == purpose || (entry.1 == "all" && !entry.2))
        };
        self.ledger.iter().rev().find(about).map(|entry| entry.2)
    }

    /// Whether the person's last word was a stop.
    fn stop_word_stands(&self, number: &str) -> bool {
        let who = self.person(number);
        let word = |entry: &&(String, String, bool)| entry.1 == "word" && self.person(&entry.0) == who;
        self.ledger.iter().rev().find(word).is_some_and(|entry| !entry.2)
    }

    /// What confirms a stop leaves: only to who wrote one, once for each.
    pub fn farewell(&mut self, request: &Request, open: &[Request]) {
        let (seed, at) = (self.seed, request.at);
        let what = format!("seed {seed} at {at}: a farewell to +{}", request.to);
        assert!(self.stops.is_empty(), "{what} leaves though it is stopped: {:?}", self.stops);
        assert!(self.attempts.insert(request.attempt), "{what} leaves twice");
        let who = self.person(&request.to);
        let said =
            self.ledger.iter().filter(|entry| entry.1 == "word" && !entry.2 && self.person(&entry.0) == who).count();
        self.farewells.entry(request.message).or_insert_with(|| who.clone());
        let sent = self.farewells.values().filter(|whom| self.person(whom) == who).count();
        // One stop may be told to the box and not yet entered here.
        assert!(sent <= said + 1, "{what}: the {sent}th, for {said} stops");
        self.judge_limits(&what, request, open);
        self.left.push(Gone { attempt: request.attempt, at, until: None, to: request.to.clone(), rule: "opt-out" });
    }

    /// The box has it for certain that this attempt arrived.
    pub fn arrived(&mut self, attempt: i64) {
        if let Some(one) = self.the_try(attempt) {
            (one.ended, one.arrived) = (Ended::Taken, true);
        }
    }

    /// The box may know that this attempt failed after all.
    pub fn failed_after_all(&mut self, attempt: i64, ended: Ended) {
        if let Some(one) = self.the_try(attempt) {
            (one.ended, one.arrived, one.failed) = (ended, true, true);
        }
    }

    /// Whether something that had ended failed after all.
    pub fn may_begin_anew(&self, message: i64) -> bool {
        self.tries.get(&message).is_some_and(|tries| tries.iter().any(|one| one.failed))
    }

    /// Who this is, as the box may take people for one.
    fn one(&self, who: &str) -> String {
        // Who turns out to be somebody else is one person to the box as soon as the answer says so, and so is who wrote.
        let united = self.united_at.is_some()
            || self.unkept.iter().any(|(_, ended, _, to, _)| *ended == Ended::Taken && to == "5531987650014");
        match plain(who) {
            "5531987650014" if united => "5521987650013".to_owned(),
            other => other.to_owned(),
        }
    }

    /// Whether a person's service window was open then: by true time, whatever the clocks of the box said.
    fn wrote_lately(&self, who: &str, then: u64) -> bool {
        let who = self.one(who);
        self.wrote.iter().any(|(wrote, at)| (*at..*at + 86_400_000).contains(&then) && self.one(wrote) == who)
    }

    /// A request leaves the box.
    ///
    /// `clock` is what the box read when it decided; `None` where that was earlier, in a batch whose commit was in doubt.
    pub fn leaves(&mut self, request: &Request, open: &[Request], version: usize, clock: Option<Clock>) {
        let (seed, at) = (self.seed, request.at);
        let what = format!("seed {seed} at {at}: {} to +{}", request.label, request.to);
        assert!(self.stops.is_empty(), "{what} leaves though it is stopped: {:?}", self.stops);
        assert!(self.attempts.insert(request.attempt), "{what}: attempt {} leaves twice", request.attempt);
        let event = self.events.get(&request.label).unwrap_or_else(|| panic!("{what}: nobody published that")).clone();
        assert!(!event.versions.is_empty(), "{what} leaves before it came");
        match event.kind {
            Kind::Message => assert_eq!(plain(&event.to), plain(&request.to), "{what}"),
            Kind::Alarm => {
                let on_call = |version: &usize| setup::on_call(*version).iter().any(|who| who[1..] == request.to);
                assert!(event.versions.iter().any(on_call), "{what}: not on call");
            }
            _ => panic!("{what}: {:?} asks for no message", event.kind),
        }
        let wrote = self.wrote_lately(&request.to, at);
        assert!(event.rule != "hello" || wrote, "{what} is free text outside the service window");
        let held = self.held.iter().find(|held| held.stops(event.rule, wrote));
        assert!(held.is_none(), "{what} leaves though the platform's news hold it: {held:?}");
        assert!(!self.nobodys.contains(&request.message), "{what} leaves though the person was erased");
        self.judge_consent(&what, &event, request);
        self.judge_repeat(&what, &event, request);
        self.judge_limits(&what, request, open);
        self.judge_day(&what, event.rule, request);
        self.judge_hours(&what, event.rule, version, clock);
        if self.steady
            && event.rule != "order"
            && let Some(row) = self.rows.get(&request.message)
        {
            let until = row.seen + hours(event.rule) * 3_600_000;
            assert!(at < until, "{what} leaves though it expired at {until}");
        }
        self.tries.entry(request.message).or_default().push(Try {
            attempt: request.attempt,
            ended: Ended::Open,
            kept: false,
            arrived: false,
            failed: false,
        });
        self.left.push(Gone { attempt: request.attempt, at, until: None, to: request.to.clone(), rule: event.rule });
    }

    fn judge_consent(&self, what: &str, event: &Event, request: &Request) {
        let standing = self.standing(&request.to, purpose(event.rule));
        assert!(standing == Some(true), "{what} leaves with consent {standing:?}");
        let person = self.person(&request.to);
        assert!(!self.unreachable.contains(&person), "{what}: the person is not on WhatsApp");
        assert!(!(event.rule == "offer" && self.no_marketing.contains(&person)), "{what}: marketing is stopped");
    }

    /// A repeat is a decision: never of what is taken, refused or on its way, and of the unknown only as often as allowed.
    fn judge_repeat(&self, what: &str, event: &Event, request: &Request) {
        let before = self.tries.get(&request.message).map_or(&[][..], Vec::as_slice);
        let mut unknown = 0;
        let mut most = repeats(event.rule);
        for earlier in before {
            match earlier.ended {
                Ended::Nothing | Ended::Later => {}
                // Surely not there: another try repeats nothing, and has a bound of its own.
                Ended::Unknown(_) if earlier.failed => {}
                // "Once" is what the last answer says, about what may come of another try.
                Ended::Unknown(limit) => {
                    unknown += 1;
                    most = repeats(event.rule).min(limit.unwrap_or(u32::MAX));
                }
                ended => panic!("{what} leaves again though attempt {} is {ended:?}", earlier.attempt),
            }
        }
        assert!(unknown <= most, "{what} is repeated {unknown} times, {most} are allowed");
        let gone: Vec<&Try> = before.iter().filter(|earlier| earlier.ended != Ended::Nothing).collect();
        if let Some(Try { failed: true, ended: Ended::Unknown(_), .. }) = gone.last() {
            // Of several of which nobody knows the box cannot tell which one failed: then it is one more unknown.
            let fit = gone.len() <= repeats(event.rule) as usize || unknown > 0 && unknown < most;
            assert!(fit, "{what} goes on after a fault in spite of {} tries", gone.len());
        }
    }

    /// By night, and while nobody knows whether it is night, only critical messages leave, and free text inside the window.
    fn judge_hours(&self, what: &str, rule: &str, version: usize, clock: Option<Clock>) {
        let Some(clock) = clock.filter(|_| !matches!(rule, "urgent" | "alarm" | "hello")) else { return };
        let wall =
            clock.trusted().unwrap_or_else(|| panic!("{what}: {rule} leaves by a clock that nobody vouched for"));
        let local = jiff::Timestamp::from_millisecond(wall.0).unwrap().in_tz("America/Sao_Paulo").unwrap();
        let hour = local.hour();
        let [from, to] = setup::low_hours(version);
        let quiet = match rule {
            "offer" => !(9..20).contains(&hour) || local.weekday() == jiff::civil::Weekday::Sunday,
            "low" => !(from..to).contains(&hour),
            _ => !(7..22).contains(&hour),
        };
        assert!(!quiet, "{what}: {rule} leaves at {local}");
    }

    fn judge_limits(&self, what: &str, request: &Request, open: &[Request]) {
        let person = self.person(&request.to);
        assert!(open.len() < self.in_flight, "{what}: {} are on their way", open.len());
        // Of what is on its way to somebody who was erased the box does not know to whom.
        let known = |other: &&Request| !self.nobodys.contains(&other.message);
        let busy = open.iter().filter(known).find(|other| self.person(&other.to) == person);
        assert!(busy.is_none(), "{what}: {busy:?} is on its way to the same person");
        let now = request.at;
        let second = self.left.iter().rev().filter(|gone| gone.at + 1_000 > now).count();
        assert!(second < self.per_second, "{what}: {second} left within the last second");
        let bursts = self.bursts(&person, now);
        assert!(bursts.is_ok(), "{what}: too soon after {:?}", bursts.unwrap_err());
    }

    /// What the last 24 hours took, by plain counting. A reboot may let box time stand still, or catch up with a clock that lied.
    fn judge_day(&self, what: &str, rule: &str, request: &Request) {
        if !self.steady {
            return;
        }
        // What was taken and failed after all counts: nobody says that the platform takes it back.
        let refused = |one: &&Try| !one.failed && matches!(one.ended, Ended::Refused | Ended::Later);
        let was_refused =
            |attempt: i64| self.tries.values().flatten().filter(refused).any(|one| one.attempt == attempt);
        let counts = |gone: &&Gone| gone.at + 86_400_000 > request.at && !was_refused(gone.attempt);
        let day: Vec<&Gone> = self.left.iter().filter(counts).collect();
        let critical = matches!(rule, "urgent" | "alarm");
        let person = self.person(&request.to);
        let outside = |(at, to): &(u64, &String)| !self.wrote_lately(to, *at);
        let whom = self.one(&request.to);
        if let Some((all, free)) = self.people.filter(|_| outside(&(request.at, &request.to))) {
            let recorded =
                self.recorded.iter().map(|(at, to)| (*at, to)).filter(|(at, _)| at + 86_400_000 > request.at);
            let reached = day.iter().map(|gone| (gone.at, &gone.to)).chain(recorded).filter(outside);
            let people: BTreeSet<String> = reached.map(|(_, to)| self.one(to)).collect();
            let room = if critical { all } else { free };
            assert!(people.contains(&whom) || people.len() < room, "{what}: {} people in a day", people.len());
        }
        if let Some(most) = self.messages.filter(|_| !critical) {
            assert!(day.len() < most, "{what}: {} messages in a day", day.len());
        }
        let kind = |rule: &str| match rule {
            "offer" => 0,
            "alarm" => 2,
            _ => 1,
        };
        let (same, most) =
            (|gone: &&&Gone| self.person(&gone.to) == person && kind(gone.rule) == kind(rule), [1, 8, 30]);
        let had = day.iter().filter(same).count();
        assert!(critical || had < most[kind(rule)], "{what}: {had} of its kind in a day");
    }

    /// Whether one more message may go to a person now: a burst of three within an interval, repaid by as much silence.
    ///
    /// What went to two numbers before anybody knew that they are one person's is nobody's fault: both debts are added up then.
    fn bursts(&self, person: &str, now: u64) -> Result<(), Vec<u64>> {
        let mut own: BTreeMap<&str, Burst> = BTreeMap::new();
        let mut times = Vec::new();
        for gone in self.left.iter().filter(|gone| self.person(&gone.to) == person) {
            let apart = self.united_at.is_none_or(|united| gone.at < united);
            let who = if apart { plain(&gone.to) } else { person };
            if !apart && own.len() > 1 {
                let both = std::mem::take(&mut own).into_values().filter(|burst| !burst.is_repaid(gone.at));
                own.insert(person, both.reduce(Burst::and).unwrap_or_default());
            }
            own.entry(who).or_default().takes(gone.at, gone.until.unwrap_or(gone.at));
            times.push(gone.at);
        }
        let both = own.into_values().filter(|burst| !burst.is_repaid(now));
        let burst = both.reduce(Burst::and).unwrap_or_default();
        let quick = burst.first_took <= PAIR_MS / 2;
        let open = burst.count < PAIR_BURST && (!quick || now < burst.start + PAIR_MS);
        if burst.is_repaid(now) || open { Ok(()) } else { Err(times) }
    }

    /// The platform, or nobody, answered; the box is being told.
    pub fn answered(&mut self, now: u64, request: &Request, ended: Ended, effect: Effect, same_token: bool) {
        if let Some(one) = self.the_try(request.attempt)
            && !one.arrived
        {
            one.ended = ended;
        }
        if ended == Ended::Nothing {
            self.left.retain(|gone| gone.attempt != request.attempt);
        }
        if let Some(gone) = self.left.iter_mut().find(|gone| gone.attempt == request.attempt) {
            gone.until = Some(now);
        }
        self.unkept.push((request.attempt, ended, effect, request.to.clone(), same_token));
    }

    fn the_try(&mut self, attempt: i64) -> Option<&mut Try> {
        self.tries.values_mut().flatten().find(|one| one.attempt == attempt)
    }

    /// The box has committed all that it was given.
    pub fn kept(&mut self, now: u64) {
        for (attempt, ended, effect, to, same_token) in std::mem::take(&mut self.unkept) {
            let Some(one) = self.the_try(attempt) else { continue };
            if std::mem::replace(&mut one.kept, true) {
                continue;
            }
            if ended == Ended::Taken && to == "5531987650014" {
                self.unite(now);
            }
            let person = self.person(&to);
            // Of whom the box forgot it cannot learn anything by an answer to what it sent before.
            let forgotten = self.erasing.contains(&person);
            match effect {
                Effect::NoMarketing | Effect::Unreachable if forgotten => {}
                Effect::NoMarketing => drop(self.no_marketing.insert(person)),
                Effect::Unreachable => drop(self.unreachable.insert(person)),
                Effect::StopByPerson => drop(self.stops.insert("the platform".to_owned())),
                Effect::StopByToken if same_token => drop(self.stops.insert("the token".to_owned())),
                _ => {}
            }
        }
    }

    /// Two numbers are one person's from now on: what was taken back by one of them is taken back, whatever the other agreed to
    /// in the meantime.
    fn unite(&mut self, now: u64) {
        if self.united_at.is_some() {
            return;
        }
        let numbers = ["5521987650013", "5531987650014"];
        // What a stop word took is taken by the word, below.
        let own = |number: &str, purpose: &str| {
            !self.stop_word_stands(number) && self.standing(number, purpose) == Some(false)
        };
        let revoked = |purpose: &&str| numbers.iter().any(|number| own(number, purpose));
        let revoked: Vec<&str> = ["orders", "offers", "brief"].into_iter().filter(revoked).collect();
        let stopped = numbers.iter().any(|number| self.stop_word_stands(number));
        self.united_at = Some(now);
        revoked.into_iter().for_each(|purpose| self.consent(numbers[0], purpose, false));
        if stopped {
            self.consent(numbers[0], "word", false);
        }
    }

    /// The box is gone. What it did not keep it cannot know; what it was just told is told by its file.
    pub fn crashed(&mut self, now: u64) {
        self.crashed_at = now;
        self.left.iter_mut().filter(|gone| gone.until.is_none()).for_each(|gone| gone.until = Some(now));
        let told: Vec<i64> = self.unkept.iter().map(|one| one.0).collect();
        self.tries.values_mut().flatten().filter(|one| !told.contains(&one.attempt)).for_each(Try::forget);
    }

    /// The box is back: which of the answers that it was being told stand in its file.
    pub fn found(&mut self, now: u64, answered: impl Fn(i64) -> bool) {
        let (kept, lost): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.unkept).into_iter().partition(|one| answered(one.0));
        lost.into_iter().for_each(|one| self.the_try(one.0).into_iter().for_each(Try::forget));
        self.unkept = kept;
        self.kept(now);
    }

    /// The box is back, and its file says of this attempt only that it was to leave.
    pub fn found_recorded(&mut self, attempt: i64, to: i64) {
        if self.attempts.insert(attempt) {
            self.recorded.push((self.crashed_at, to.to_string()));
        }
    }

    /// Somebody lifts what the platform stopped, also what the box is only being told of.
    pub fn lifted(&mut self, stop: &str, effect: Effect) {
        self.stops.remove(stop);
        self.unkept.iter_mut().filter(|one| one.2 == effect).for_each(|one| one.2 = Effect::None);
    }

    /// The broker has the acknowledgement of an event.
    pub fn acknowledged(&mut self, label: &str) {
        self.events.get_mut(label).expect("it was published").acked = true;
    }

    /// Acknowledged means stored: each event that the broker forgot has its rows in the file, and none has too many.
    pub fn judge_rows(&self) {
        let mut found: BTreeMap<(&str, String), usize> = BTreeMap::new();
        for row in self.rows.values() {
            let own =
                self.events.get(&row.label).filter(|event| event.kind == Kind::Message).map(|event| event.to.as_str());
            let number = row.number.as_deref().or(own).unwrap_or_default();
            *found.entry((&row.label, plain(number).to_owned())).or_default() += 1;
        }
        for (label, event) in &self.events {
            for (person, least, most) in self.asked(event) {
                let count = found.remove(&(label.as_str(), person.clone())).unwrap_or(0);
                // An operator's row without its text does not even tell what it said.
                let unsaid = if event.rule == "operator" { "" } else { label.as_str() };
                let nameless = found.get(&(unsaid, String::new())).copied().unwrap_or(0);
                let seed = self.seed;
                assert!(
                    !event.acked || count + nameless >= least,
                    "seed {seed}: {label} is acknowledged, {count} of {least} rows: {event:?}"
                );
                // Of a full store's rows the number may have been forgotten at once.
                assert!(count <= most, "seed {seed}: {label} has {count} rows for {person}, {most} at most: {event:?}");
            }
        }
        found.retain(|(_, person), _| !person.is_empty());
        assert!(found.is_empty(), "seed {}: rows that nobody asked for: {found:?}", self.seed);
    }

    /// Whom an event asks to tell, with the least and the most rows there may be.
    fn asked(&self, event: &Event) -> Vec<(String, usize, usize)> {
        let forgotten = self.erasing.contains(&self.person(&event.to));
        let most = if forgotten {
            usize::MAX
        } else if event.has_id {
            1 + event.again
        } else {
            event.fresh
        };
        let all = |test: &dyn Fn(&usize) -> bool| event.versions.iter().all(test);
        match event.kind {
            Kind::Nothing | Kind::Effect => Vec::new(),
            Kind::Bad => vec![(String::new(), 1, event.fresh.max(1))],
            Kind::Message => {
                let least = usize::from(event.rule != "extra" || all(&|version| *version != setup::OTHER));
                vec![(plain(&event.to).to_owned(), least, most)]
            }
            Kind::Alarm => {
                let on_call = |who: &str| all(&|version| setup::on_call(*version).contains(&who));
                setup::STAFF.iter().map(|who| (plain(who).to_owned(), usize::from(on_call(who)), most)).collect()
            }
        }
    }

    /// Somebody is to be erased: what the box counted for the person may be forgotten from now on.
    pub fn is_to_be_erased(&mut self, number: &str) {
        let who = self.person(number);
        self.unreachable.remove(&who);
        self.erasing.insert(who);
    }

    /// It is done: no consent of the person's is left, only what was taken back; and no message.
    pub fn erased(&mut self, number: &str) {
        let who = self.person(number);
        for purpose in ["orders", "offers", "brief"] {
            let before = self.ledger.clone();
            let ledger = std::mem::take(&mut self.ledger);
            let is_grant =
                |entry: &(String, String, bool)| entry.1 == purpose && entry.2 && self.person(&entry.0) == who;
            self.ledger = ledger.into_iter().filter(|entry| !is_grant(entry)).collect();
            // What was given again after it had been taken back stands on the list of stops as that: asked for anew, it holds.
            if self.standing(number, purpose).is_some() {
                self.ledger = before;
            }
        }
        let theirs = |row: &Row| row.number.as_deref().is_some_and(|to| self.person(to) == who);
        let ids: Vec<i64> = self.rows.iter().filter(|(_, row)| theirs(row)).map(|(id, _)| *id).collect();
        self.nobodys.extend(ids);
    }

    /// How often each message left.
    pub fn attempts_of(&self) -> BTreeMap<i64, usize> {
        self.tries.iter().map(|(id, tries)| (*id, tries.len())).collect()
    }

    /// A receipt reached the broker: a repeated one says the same.
    pub fn receipt(&mut self, id: i64, receipt: Receipt) {
        let seed = self.seed;
        let row = self.rows.get(&receipt.message);
        if let Some(number) = row.and_then(|row| row.number.as_deref()) {
            let whom = masked(number);
            // Of what ended the number is forgotten in its time; what is reported later is told without.
            let ended = |(_, earlier): (&i64, &Receipt)| {
                earlier.message == receipt.message && !is_open(&earlier.outcome, &earlier.reason)
            };
            let late = receipt.to.is_none() && self.receipts.range(..id).any(ended);
            assert!(
                late || self.erasing.contains(&self.person(number)) || receipt.to.as_deref() == Some(&*whom),
                "seed {seed}: a receipt that does not say to whom: {receipt:?}"
            );
        }
        let nameless =
            row.and_then(|row| row.number.as_deref()).is_some_and(|to| self.erasing.contains(&self.person(to)));
        let known = self.receipts.entry(id).or_insert_with(|| receipt.clone());
        if nameless {
            known.to.clone_from(&receipt.to);
        }
        assert_eq!(*known, receipt, "seed {seed}: a receipt that changes");
    }

    /// The world was kind for long enough: exactly one final outcome for each row, the last that was told, and each event
    /// acknowledged.
    pub fn judge_end(&self, rows: &BTreeMap<i64, (String, String)>) {
        let seed = self.seed;
        let mut told: BTreeMap<i64, Vec<&Receipt>> = BTreeMap::new();
        for receipt in self.receipts.values() {
            told.entry(receipt.message).or_default().push(receipt);
        }
        for (id, row) in &self.rows {
            let history = told.get(id).map_or(&[][..], Vec::as_slice);
            // What was taken, or ended as unknown, may still be reported on; and what failed after all begins anew.
            let open = |receipt: &&&Receipt| {
                let told_of = ["accepted", "delivered", "unknown"].contains(&receipt.outcome.as_str());
                !is_open(&receipt.outcome, &receipt.reason) && !told_of
            };
            let (before, end) = history.split_at(history.len().saturating_sub(1));
            let ends = before.iter().filter(|receipt| open(receipt)).count()
                + end.iter().filter(|receipt| !is_open(&receipt.outcome, &receipt.reason)).count();
            let last = history.last().map(|receipt| (receipt.outcome.clone(), receipt.reason.clone()));
            assert_eq!(ends, 1, "seed {seed}: message {id} ({row:?}) has {ends} final outcomes: {history:?}");
            assert!(
                last.as_ref().is_some_and(|last| !is_open(&last.0, &last.1)),
                "seed {seed}: told after the end: {history:?}"
            );
            if let Some(stored) = rows.get(id) {
                assert_eq!(last.as_ref(), Some(stored), "seed {seed}: message {id} is told as it is stored");
            }
        }
        self.judge_rows();
    }
}
