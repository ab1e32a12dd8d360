//! `branchline check --online`: each step towards broker and platform in the order in which the daemon needs them, one line each.
//!
//! Floor: roof. Sends no message, writes nothing to the store, and works beside a running daemon. The whole is bounded.

use super::{broker, machine, platform, webhook};
use crate::config::Loaded;
use crate::door::clock::SystemClock;
use crate::door::tls::{ServerAsked, TlsProblem};
use crate::door::trial::{self, Bound};
use crate::time::Wall;
use rustls::ClientConfig;
use serde_json::{Value, json};
use std::fmt;
use std::future::Future;
use std::io;
use std::time::Duration;

/// The whole, whatever answers or does not.
const WHOLE: Duration = Duration::from_secs(60);
/// Looking up a name.
const NAME: Duration = Duration::from_secs(5);
/// TCP to all addresses of a name.
const CONNECTION: Duration = Duration::from_secs(8);
/// A handshake, or a proxy's answer.
const HANDSHAKE: Duration = Duration::from_secs(8);
/// Certificates that end sooner are warned of: time to have one issued and brought on site. Automatic renewal comes before.
const RENEW_DAYS: i64 = 14;

/// How a step ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Outcome {
    Fine,
    /// It works, and somebody should look at it.
    Warning,
    /// Whoever answered says no, or is not who it should be.
    No,
    /// Nobody answered.
    Unreachable,
    /// It needs another step that failed, or there is nothing to try.
    NotTried,
}

impl Outcome {
    fn word(self) -> &'static str {
        match self {
            Outcome::Fine => "ok",
            Outcome::Warning => "warning",
            Outcome::No => "no",
            Outcome::Unreachable => "unreachable",
            Outcome::NotTried => "not tried",
        }
    }
}

/// What a step found, and what to do about it.
#[derive(Debug)]
pub(super) struct Said {
    pub outcome: Outcome,
    pub found: String,
    /// A sentence, or empty.
    pub fix: String,
}

impl Said {
    pub fn fine(found: impl Into<String>) -> Said {
        Said { outcome: Outcome::Fine, found: found.into(), fix: String::new() }
    }
    pub fn warning(found: impl Into<String>, fix: impl Into<String>) -> Said {
        Said { outcome: Outcome::Warning, found: found.into(), fix: fix.into() }
    }
    pub fn no(found: impl Into<String>, fix: impl Into<String>) -> Said {
        Said { outcome: Outcome::No, found: found.into(), fix: fix.into() }
    }
    pub fn unreachable(found: impl Into<String>, fix: impl Into<String>) -> Said {
        Said { outcome: Outcome::Unreachable, found: found.into(), fix: fix.into() }
    }
}

/// One line.
#[derive(Debug)]
pub(super) struct Line {
    part: &'static str,
    step: &'static str,
    took: Option<Duration>,
    said: Said,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let took = match self.took {
            Some(took) if took >= Duration::from_secs(1) => format!("{:.1} s", took.as_secs_f64()),
            Some(took) => format!("{} ms", took.as_millis()),
            None => String::new(),
        };
        let (part, step, word) = (self.part, self.step, self.said.outcome.word());
        if self.said.outcome == Outcome::NotTried {
            return write!(f, "{part:<7} {step:<13} {word}: {}", self.said.found);
        }
        write!(f, "{part:<7} {step:<13} {word:<11} {took:>7}  {}", self.said.found)?;
        if self.said.fix.is_empty() { Ok(()) } else { write!(f, ". {}", self.said.fix) }
    }
}

impl Line {
    pub fn json(&self) -> Value {
        json!({
            "part": self.part,
            "step": self.step,
            "outcome": self.said.outcome.word(),
            "took_ms": self.took.map(|took| took.as_secs_f64() * 1000.0),
            "found": self.said.found,
            "fix": self.said.fix,
        })
    }
}

/// The trial so far.
pub(super) struct Trial<'a> {
    bound: Bound,
    tell: &'a mut dyn FnMut(&Line),
    lines: Vec<Line>,
}

impl Trial<'_> {
    /// Runs a step and tells its line; `late` is what to do when nothing comes of it in time. `None`: what depends on it is void.
    pub async fn step<T>(
        &mut self,
        (part, step): (&'static str, &'static str),
        within: Duration,
        late: &str,
        what: impl Future<Output = Result<(T, Said), Said>>,
    ) -> Option<T> {
        if self.bound.is_up() {
            self.not_tried((part, step), format!("the whole check has taken {} s", WHOLE.as_secs()));
            return None;
        }
        let (took, ended) = self.bound.step(within, what).await;
        let (value, said) = match ended {
            Some(Ok((value, said))) => (Some(value), said),
            Some(Err(said)) => (None, said),
            None => (None, Said::unreachable(format!("nothing within {} s", took.as_secs_f64().round()), late)),
        };
        self.tell(Line { part, step, took: Some(took), said });
        value
    }

    pub fn not_tried(&mut self, (part, step): (&'static str, &'static str), why: impl Into<String>) {
        let said = Said { outcome: Outcome::NotTried, found: why.into(), fix: String::new() };
        self.tell(Line { part, step, took: None, said });
    }

    /// Tells that what is left of a part's steps was not tried, because of the last that was.
    pub fn rest(&mut self, part: &'static str, steps: &[&'static str]) {
        let done: Vec<_> = self.lines.iter().filter(|line| line.part == part).map(|line| line.step).collect();
        let why = format!("needs the step before it ({})", done.last().copied().unwrap_or(part));
        for step in steps.iter().filter(|step| !done.contains(step)) {
            self.not_tried((part, step), why.clone());
        }
    }

    fn tell(&mut self, line: Line) {
        (self.tell)(&line);
        self.lines.push(line);
    }
}

/// Somebody to be reached.
pub(super) struct Place<'a> {
    pub part: &'static str,
    /// Where its address is written.
    pub key: &'static str,
    pub host: &'a str,
    pub port: u16,
}

impl Place<'_> {
    /// The steps `name` and `connection`.
    pub async fn reach(&self, trial: &mut Trial<'_>) -> Option<tokio::net::TcpStream> {
        let Place { part, key, host, port } = *self;
        let late = format!(
            "Check the name servers of this box (/etc/resolv.conf) and the line, or write an address in {key}."
        );
        let addresses = trial
            .step((part, "name"), NAME, &late, async {
                let found = trial::look_up(host, port).await.map_err(|why| unknown(key, host, &why))?;
                let list: Vec<_> = found.iter().map(|address| address.ip().to_string()).collect();
                let list = list.join(", ");
                let said = if list == host { format!("{host} is an address") } else { format!("{host} is {list}") };
                Ok((found, Said::fine(said)))
            })
            .await?;
        let late = format!("Check {key}, the line, and firewalls on the way to port {port}.");
        trial
            .step((part, "connection"), CONNECTION, &late, async {
                match trial::connect(&addresses).await {
                    Ok((line, address, silent)) if silent.is_empty() => {
                        Ok((line, Said::fine(format!("{address} answers"))))
                    }
                    Ok((line, address, silent)) => {
                        let said = format!("{address} answers, and {}", each(&silent));
                        let fix = "The daemon tries them in turn and loses time by it: correct the name's addresses.";
                        Ok((line, Said::warning(said, fix)))
                    }
                    Err(silent) => {
                        let refused = silent.iter().all(|(_, why)| why.kind() == io::ErrorKind::ConnectionRefused);
                        let fix = if refused {
                            format!(
                                "The machine is there and nothing listens: check the port in {key}, and that it runs."
                            )
                        } else {
                            late.clone()
                        };
                        Err(Said::unreachable(each(&silent), fix))
                    }
                }
            })
            .await
    }
}

fn unknown(key: &str, host: &str, why: &io::Error) -> Said {
    let fix = if host.ends_with(".local") {
        format!("Names that end in .local need mDNS, which this program does not speak: write the address in {key}.")
    } else {
        format!("Check the name in {key}, and the name servers of this box (/etc/resolv.conf).")
    };
    Said::unreachable(format!("{host} cannot be looked up: {why}"), fix)
}

fn each(silent: &[(std::net::SocketAddr, io::Error)]) -> String {
    let all = silent.iter().map(|(address, why)| match why.kind() {
        io::ErrorKind::TimedOut => format!("{address} does not answer"),
        io::ErrorKind::ConnectionRefused => format!("{address} refuses the connection"),
        _ => format!("{address}: {why}"),
    });
    all.collect::<Vec<_>>().join(", ")
}

/// The step `TLS`: chain, name, clock and end of the certificate. `words` tells a failure in the words of its door.
pub(super) async fn handshake(
    trial: &mut Trial<'_>,
    part: &'static str,
    line: Box<dyn trial::Line>,
    server: ServerAsked<'_>,
    config: Result<ClientConfig, TlsProblem>,
    (words, now): (fn(&rustls::Error) -> String, Wall),
) -> Option<Box<dyn trial::Line>> {
    let late = "Whatever listens there does not speak TLS, or something on the way swallows it: check the port.";
    trial
        .step((part, "TLS"), HANDSHAKE, late, async {
            let config = config.map_err(|problem| Said::no(problem.to_string(), ""))?;
            let shaken = trial::handshake(line, config, &server).await.map_err(|why| {
                match why.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                    Some(tls) => Said::no(words(tls), ""),
                    None => Said::no(
                        format!("the connection ended within the handshake: {why}"),
                        "Check the port, and whether something on the way breaks up TLS.",
                    ),
                }
            })?;
            let said = certificate(shaken.version, server.host, shaken.valid_until, now);
            Ok((shaken.line, said))
        })
        .await
}

fn certificate(version: &str, host: &str, until: Option<Wall>, now: Wall) -> Said {
    let said = format!("{version}; the certificate is for {host} and of an authority that is trusted");
    let Some(until) = until else { return Said::fine(said) };
    let days = (until.0 - now.0) / 86_400_000;
    let date = until.rfc3339();
    let date = date.split('T').next().unwrap_or_default();
    let said = format!("{said}; {days} days left, until {date}");
    if days < RENEW_DAYS {
        Said::warning(said, "Have it renewed: from that day on nothing goes over this line.")
    } else {
        Said::fine(said)
    }
}

/// Tries everything; `tell` gets each line when it is there.
pub(super) async fn run(loaded: &Loaded, tell: &mut dyn FnMut(&Line)) -> Vec<Line> {
    let config = &loaded.config;
    // As the daemon's: no earlier than what the store was last written at, which a box without a clock chip needs.
    let clock = SystemClock::start(machine::last_written(&config.rooms.outbox.path));
    let mut trial = Trial { bound: Bound::of(WHOLE), tell, lines: Vec::new() };
    let notices = config.notice.iter().flat_map(crate::door::notice::filters);
    let filters: Vec<_> = loaded.rules.filters().into_iter().chain(notices).collect();
    broker::attempt(&mut trial, &config.mqtt, &filters, &clock).await;
    let ahead = platform::attempt(&mut trial, loaded, &clock).await;
    webhook::attempt(&mut trial, config).await;
    machine::attempt(&mut trial, config, ahead).await;
    trial.lines
}

/// The last line, and how the command ends.
pub(super) fn sum(lines: &[Line]) -> (String, Outcome) {
    use Outcome::*;
    let count = |outcome: Outcome| lines.iter().filter(|line| line.said.outcome == outcome).count();
    let parts = [Fine, Warning, No, Unreachable, NotTried].map(|outcome| (count(outcome), outcome.word()));
    let parts = parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}"));
    let ended = [No, Unreachable].into_iter().find(|outcome| count(*outcome) > 0).unwrap_or(Fine);
    (format!("online: {}", parts.collect::<Vec<_>>().join(", ")), ended)
}
