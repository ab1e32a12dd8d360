//! The soak: the built binary between mosquitto and the simulated API for half an hour, 200 events a second, with everything
//! going wrong now and then. Memory, descriptors, threads and the store stay flat, no limit drifts, nothing is lost, and
//! every repeat is told. `tests/soak` runs it whole; the short form is among the usual tests, so that it does not rot.
//!
//! Two thirds of the time are one life of the daemon, with faults of the uplink and the broker: by it memory is judged. In the
//! last third the daemon is killed again and again; there the books are what matters.

mod books;
mod traffic;
mod watch;

use crate::house::House;
use crate::mosquitto::Port;
use crate::trials::ear::Ear;
use books::Books;
use branchline::demo::api::Scenario;
use std::time::{Duration, Instant};
use traffic::Traffic;
use watch::{Sample, Watch};

/// What goes wrong at the platform.
const SCENARIO: &str = include_str!("../../../config/trials/soak.toml");
/// What the daemon keeps to, as `limits.sender_per_second`.
const SENDER_PER_SECOND: usize = 250;
/// What the simulator refuses beyond. Its second begins when a request has come, ours when it left: what was delayed on the way
/// is at most what is in flight (32, the default).
const PLATFORM_PER_SECOND: usize = SENDER_PER_SECOND + 32;

/// Retention so short that a plateau is reached within minutes (what is settled is kept for as long as any rule looks back for
/// repeats); an unknown is decided on quickly.
fn configuration(page: u16) -> String {
    format!(
        r#"
[limits]
sender_per_second = {SENDER_PER_SECOND}
daily_recipients = "off"
daily_reserve = "off"
daily_messages = "off"
[outbox]
keep_content = "1m"
keep_settled = "2m"
keep_audit = "2m"
[policy]
unknown_wait = "2s"
[uplink]
timeout = "3s"
connect_timeout = "2s"
[operate]
listen = "127.0.0.1:{page}"
[base.order]
dedupe_window = "1m"
[rules.alarm]
dedupe_window = "1m"
[rules.quiet]
inherit = "order"
topic = "pos/{{till}}/quiet"
when = "payload.total > 1000"
message = {{ template = "order_ready", body = ["{{{{ payload.customer.name | first_name }}}}", "quiet"] }}
[rules.stop]
topic = "pos/{{till}}/stop"
to = "{{{{ payload.phone }}}}"
revokes = "all"
dedupe_window = "1m"
"#
    )
}

/// How long, how much, and what is asked of it.
struct Plan {
    /// Of one life, by which memory is judged.
    steady: Duration,
    /// With kills.
    killing: Duration,
    kill_every: Duration,
    /// Between two restarts of the broker, all along.
    broker_restarts: Duration,
    events_per_second: u32,
    /// Between two lines of the table.
    line: Duration,
    /// The slope of own memory that still counts as flat, in KiB an hour; none where the time is too short to tell.
    slope: Option<f64>,
}

impl Plan {
    fn whole(minutes: u32) -> Plan {
        let all = Duration::from_secs(60) * minutes;
        Plan {
            steady: all * 2 / 3,
            killing: all / 3,
            kill_every: Duration::from_secs(40),
            broker_restarts: Duration::from_secs(100),
            events_per_second: 200,
            line: Duration::from_secs(60),
            slope: (minutes >= 15).then_some(512.0),
        }
    }

    fn short() -> Plan {
        Plan {
            steady: Duration::from_secs(20),
            killing: Duration::from_secs(12),
            kill_every: Duration::from_secs(4),
            broker_restarts: Duration::from_secs(9),
            events_per_second: 100,
            line: Duration::from_secs(10),
            slope: None,
        }
    }
}

#[test]
fn a_soak_in_short() {
    run(&Plan::short());
}

#[test]
#[ignore = "half an hour: tests/soak"]
fn soak() {
    let minutes = std::env::var("BRANCHLINE_SOAK").ok().map_or(30, |minutes| minutes.parse().unwrap());
    run(&Plan::whole(minutes));
}

/// Everything that runs.
struct Soak {
    house: House,
    traffic: Traffic,
    books: Books,
    watch: Watch,
    ear: Ear,
    began: Instant,
    restarted: Instant,
    restarts: Duration,
    rate: u32,
    line: Duration,
    last_line: Instant,
    last_look: Instant,
}

fn run(plan: &Plan) {
    let page = Port::reserve();
    let mut house = House::with_api("", |settings| branchline::demo::api::Settings {
        sender_per_second: PLATFORM_PER_SECOND,
        // 20,000 customers: the portfolio's limit is not what is tried here.
        account: branchline::demo::api::Account::unlimited(),
        keep: books::KEEP,
        ..settings
    });
    house.layer("soak", &configuration(page.number()));
    house.level = "warn".to_owned();
    let ear = Ear::new(house.broker.port(), "branchline/t-1/receipt/#");
    house.start();
    let traffic = Traffic::new(&house);
    let mut soak = Soak {
        traffic,
        books: Books::default(),
        watch: Watch::new(page.number()),
        ear,
        began: Instant::now(),
        restarted: Instant::now(),
        restarts: plan.broker_restarts,
        rate: plan.events_per_second,
        line: plan.line,
        last_line: Instant::now(),
        last_look: Instant::now(),
        house,
    };
    let scenario = Scenario::read(SCENARIO).unwrap_or_else(|wrong| panic!("{wrong:?}"));
    scenario.play(&soak.house.control());
    println!("{}", Sample::HEAD);
    soak.go_on(plan.steady, None);
    soak.drain();
    let counted = soak.watch.counts();
    let (accepted, seen) = (soak.books.accepted(), counted.accepted..=counted.accepted + counted.unknown);
    let mut verdict = soak.watch.verdict(plan.slope);
    if !seen.contains(&accepted) {
        verdict.push(format!("the status counts {counted:?}, the simulator {accepted} accepted"));
    }
    soak.go_on(plan.killing, Some(plan.kill_every));
    soak.drain();
    let status = soak.house.stop();
    if !status.success() {
        verdict.push(format!("the daemon ended with {status}"));
    }
    println!("\n{}", soak.watch.figures());
    println!("{}", soak.books.figures());
    verdict.extend(soak.books.verdict(soak.traffic.published()));
    assert!(verdict.is_empty(), "\nnot sound:\n  {}\n{}", verdict.join("\n  "), soak.house.log());
    println!("sound");
}

impl Soak {
    /// Events at their rate, faults as they come, for so long; SIGKILL every so often.
    fn go_on(&mut self, long: Duration, kill_every: Option<Duration>) {
        let began = Instant::now();
        let mut killed = began;
        let before = self.traffic.published();
        while began.elapsed() < long {
            if self.restarted.elapsed() >= self.restarts {
                self.restarted = Instant::now();
                self.house.broker.pause();
                self.house.broker.resume();
            }
            if kill_every.is_some_and(|every| killed.elapsed() >= every) {
                killed = Instant::now();
                self.house.kill();
                self.house.launch();
                self.watch.new_life();
            }
            let due = (began.elapsed().as_secs_f64() * f64::from(self.rate)) as u32;
            self.traffic.publish(&self.house, due - (self.traffic.published() - before));
            self.look(kill_every.is_none());
            // The next handful in a moment: events come in small lumps, as from several tills.
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    fn look(&mut self, judged: bool) {
        if self.last_look.elapsed() < Duration::from_millis(250) {
            return;
        }
        self.last_look = Instant::now();
        self.books.read(&self.house.control(), &self.ear);
        self.watch.look(&self.house, &self.books, judged);
        if self.last_line.elapsed() >= self.line {
            self.last_line = Instant::now();
            println!("{}", self.watch.line(self.began.elapsed(), self.traffic.published(), &self.books));
        }
    }

    /// No further events; until everything has left and is told.
    fn drain(&mut self) {
        let until = Instant::now() + Duration::from_secs(120);
        while !self.books.complete(self.traffic.published()) && Instant::now() < until {
            self.look(false);
            std::thread::park_timeout(Duration::from_millis(100));
        }
    }
}
