//! The platform as the box sees it: requests that reach it or do not, and answers of every kind. Its table of codes is written
//! from the facts (3.3) and not from the daemon's own.

use super::books::Ended;
use crate::message::{Answer, Lost, NotSent};
use bytes::Bytes;

/// One request that left the box, as it reads on the wire.
#[derive(Clone, Debug)]
pub struct Request {
    pub attempt: i64,
    /// When it left, in real time.
    pub at: u64,
    /// Digits, without the plus.
    pub to: String,
    /// The event that it tells of.
    pub label: String,
    /// The box's own id of the message.
    pub message: i64,
    /// Whether it reached the platform, which alone knows.
    pub reached: bool,
    /// The token that it went with.
    pub token: u8,
    /// `biz_opaque_callback_data`
    pub data: String,
    /// The platform took it, whatever its answer, or nobody's, says.
    pub took: bool,
}

/// What follows beyond the message itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    None,
    /// Nothing leaves until a person, or another token, says so.
    StopByPerson,
    StopByToken,
    /// The person's country is closed.
    Country,
    /// No marketing to this person any more.
    NoMarketing,
    /// The person is not on WhatsApp.
    Unreachable,
    /// It waits until somebody confirmed who the person is.
    Identity,
}

/// What an error code says about its message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Says {
    /// Refused for now, nothing was sent.
    Later,
    /// Refused for good.
    Never,
    /// Perhaps sent; repeated at most so often, where the code says so.
    Perhaps(Option<u32>),
}

use Effect::*;
use Says::*;

/// Code, HTTP status, what it says about the message, what else follows. Those that stop everything come once each, others as
/// often as they are common.
#[rustfmt::skip]
const CODES: &[(i64, u16, Says, Effect)] = &[
    (0, 401, Later, StopByToken), (190, 401, Later, StopByToken), (3, 500, Later, StopByToken), (10, 403, Later, StopByToken),
    (200, 403, Later, StopByToken), (131005, 403, Later, StopByToken),
    (368, 403, Later, StopByPerson), (131031, 403, Later, StopByPerson), (131042, 400, Later, StopByPerson),
    (33, 400, Later, StopByPerson), (133010, 400, Later, StopByPerson), (131048, 400, Later, None),
    (4, 400, Later, None), (613, 400, Later, None), (80007, 400, Later, None), (130429, 400, Later, None),
    (131056, 400, Later, None), (131056, 400, Later, None), (131056, 400, Later, None),
    (1, 400, Perhaps(Some(1)), None), (1, 400, Perhaps(Some(1)), None), (131000, 500, Perhaps(Option::None), None),
    (2, 503, Perhaps(Option::None), None), (131016, 500, Perhaps(Option::None), None), (133004, 503, Perhaps(Option::None), None),
    (131057, 500, Perhaps(Option::None), None), (2494100, 400, Perhaps(Option::None), None),
    (100, 400, Never, None), (131008, 400, Never, None), (131009, 400, Never, None), (135000, 400, Never, None),
    (131021, 400, Never, None), (131030, 400, Never, None), (130403, 400, Never, None), (131051, 400, Never, None),
    (131053, 400, Never, None), (134011, 400, Never, None), (130472, 400, Never, None), (131047, 400, Never, None),
    (131026, 400, Never, Unreachable), (131049, 400, Never, None), (131049, 400, Never, None),
    (131050, 400, Never, NoMarketing), (137000, 400, Later, Identity), (130497, 403, Never, Country),
    (132000, 400, Never, None), (132001, 404, Later, None), (132005, 400, Never, None), (132007, 400, Later, None),
    (132012, 400, Never, None), (132015, 400, Later, None), (132016, 400, Later, None), (132069, 400, Later, None),
    (131064, 400, Later, None), (131055, 400, Never, None), (134101, 400, Later, None), (133016, 400, Never, None),
    (987654, 400, Never, None),
];

pub struct Platform {
    /// Requests without an answer, of the box's present life.
    pub open: Vec<Request>,
    /// Answers that come too late: their daemon is gone.
    pub ghosts: Vec<(i64, Answer)>,
    /// Whether a probe gets through.
    pub line: bool,
    /// The code that this seed's first refusal brings: so each comes, however many there are. Later ones are drawn.
    first: Option<usize>,
}

impl Platform {
    pub fn new(seed: u64, line: bool) -> Platform {
        let first = usize::try_from(seed).map_or(0, |seed| seed % CODES.len());
        Platform { open: Vec::new(), ghosts: Vec::new(), line, first: Some(first) }
    }

    /// One answer that the truth of the request allows, what the box may take it for, and what else follows from it.
    pub fn answer(&mut self, random: &mut fastrand::Rng, request: &Request) -> (Answer, Ended, Effect) {
        if !request.reached {
            // Nobody heard it: the box learns that, or nothing.
            let why = match random.u8(0..4) {
                0 => NotSent::NoConnection("refused".into()),
                1 => NotSent::Tls("expired".into()),
                2 => NotSent::StreamRefused,
                _ => return lost(random),
            };
            return (Answer::NotSent(why), Ended::Nothing, None);
        }
        if request.took {
            return if random.bool() { (taken(request), Ended::Taken, None) } else { lost(random) };
        }
        match random.u8(0..20) {
            0..=8 => (taken(request), Ended::Taken, None),
            9..=11 => lost(random),
            12..=13 => by_status(random),
            _ => {
                let drawn = self.first.take().unwrap_or_else(|| random.usize(0..CODES.len()));
                let (code, status, says, effect) = CODES[drawn];
                let ended = match says {
                    Later => Ended::Later,
                    Never => Ended::Refused,
                    Perhaps(most) => Ended::Unknown(most),
                };
                (error(status, code), ended, effect)
            }
        }
    }
}

/// The plain 200.
pub fn taken(request: &Request) -> Answer {
    let attempt = request.attempt;
    let known = known_as(&request.to).map(|id| format!(r#""contacts": [{{"wa_id": "{id}"}}],"#)).unwrap_or_default();
    http(200, &format!(r#"{{{known} "messages": [{{"id": "wamid.{attempt}"}}]}}"#))
}

/// What the platform calls a person: Brazil's old form, Mexico's 1, and one person with two numbers.
pub fn known_as(to: &str) -> Option<&str> {
    match to {
        "5521987650011" | "552187650011" => Some("552187650011"),
        "525512345612" | "5215512345612" => Some("5215512345612"),
        "5531987650014" => Some("5521987650013"),
        _ if to.starts_with('1') => Option::None,
        _ => Some(to),
    }
}

fn http(status: u16, body: &str) -> Answer {
    Answer::Http { status, body: Bytes::copy_from_slice(body.as_bytes()), date: Option::None }
}

fn error(status: u16, code: i64) -> Answer {
    http(status, &format!(r#"{{"error": {{"message": "no", "code": {code}}}}}"#))
}

fn lost(random: &mut fastrand::Rng) -> (Answer, Ended, Effect) {
    let how = if random.bool() { Lost::Timeout } else { Lost::Broken("reset".into()) };
    (Answer::Lost(how), Ended::Unknown(Option::None), None)
}

fn by_status(random: &mut fastrand::Rng) -> (Answer, Ended, Effect) {
    let unknown = Ended::Unknown(Option::None);
    match random.u8(0..8) {
        0 => (http(503, ""), unknown, None),
        1 => (http(429, ""), unknown, None),
        2 => (http(408, ""), unknown, None),
        3 => (http(401, r#"{"error": {"message": "no"}}"#), Ended::Later, StopByToken),
        // A portal or a proxy answered: it took nothing.
        4 => (http(302, ""), Ended::Later, None),
        5 => (http(403, "<html>"), Ended::Later, None),
        6 => (http(200, "<html>"), unknown, None),
        _ => (http(400, r#"{"error": {"message": "new", "code": 77777}}"#), Ended::Refused, None),
    }
}
