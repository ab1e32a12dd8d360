//! A branch for one test: mosquitto, the simulated Cloud API over TLS, and the built binary between them.

use crate::mosquitto::{Mosquitto, PATIENCE};
use branchline::demo::api::{Api, Control, Repeat, Settings as ApiSettings, Tls};
use branchline::demo::certs::{Authority, Identity, Validity};
use branchline::time::Wall;
use serde_json::{Value, json};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// What the API takes for a valid token.
pub const TOKEN: &str = "EAAG-test-token";

/// How long a command may take that does not stay: it waits for a daemon's answer 30 s at the most.
const COMMAND: Duration = Duration::from_secs(60);

/// Own memory at its highest, in the dev profile: 3.5 to 5.3 MiB over all trials, measured, and the budget of the whole daemon bounds
/// it. The pages of the unoptimised program, 27 MiB and another number with each tool chain, say nothing of what the daemon holds.
pub const MEMORY_KIB: u64 = 8 * 1024;

/// Everything that runs for a test; dropped in order: the daemon first.
pub struct House {
    daemon: Option<Child>,
    pub broker: Mosquitto,
    pub folder: TempDir,
    pub authority: Authority,
    api: ApiThread,
    runtime: Runtime,
    /// Lines of configuration beyond the usual ones.
    pub more: String,
    /// Words in front of the binary: `faketime …`.
    pub wrapper: Vec<String>,
    /// Words behind `branchline run`.
    pub arguments: Vec<String>,
    /// `BRANCHLINE_LOG`, unless the environment sets it.
    pub level: String,
}

/// What is tried: the program of this build, or what `BRANCHLINE_PROGRAM` says, words apart by spaces: an emulator and a program for
/// another processor (`tests/arm`).
fn program() -> Vec<String> {
    match std::env::var(PROGRAM) {
        Ok(words) => words.split_whitespace().map(str::to_owned).collect(),
        Err(_) => vec![env!("CARGO_BIN_EXE_branchline").to_owned()],
    }
}

/// Whether an emulator stands between: its memory says nothing about the daemon's.
pub fn emulated() -> bool {
    std::env::var_os(PROGRAM).is_some()
}

/// How many times longer a thing may take under an emulator.
fn patience() -> u32 {
    if emulated() { 5 } else { 1 }
}

const PROGRAM: &str = "BRANCHLINE_PROGRAM";

impl House {
    /// Broker and API, and a configuration for a daemon that is not started yet.
    pub fn new(more: &str) -> House {
        House::with_api(more, |settings| settings)
    }

    /// As [`new`](Self::new), with other settings of the API.
    pub fn with_api(more: &str, change: impl FnOnce(ApiSettings) -> ApiSettings) -> House {
        let runtime = runtime();
        let authority = Authority::new(Validity::around(now())).unwrap();
        let templates: Value = serde_json::from_str(TEMPLATES).unwrap();
        let settings = change(ApiSettings {
            token: TOKEN.to_owned(),
            templates: Some(templates),
            keep: 100_000,
            ..ApiSettings::default()
        });
        let identity = authority.server(API_NAMES, Validity::around(now())).unwrap();
        let api = ApiThread::start(&identity, settings);
        let house = House {
            daemon: None,
            broker: Mosquitto::start(),
            folder: tempfile::tempdir().unwrap(),
            authority,
            api,
            runtime,
            more: more.to_owned(),
            wrapper: Vec::new(),
            arguments: Vec::new(),
            level: "info".to_owned(),
        };
        house.write("api-ca.pem", house.authority.certificate_pem());
        house.write("token", TOKEN);
        house.write("templates.json", TEMPLATES);
        house
    }

    /// A file in the folder of the configuration.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The API's strings.
    pub fn control(&self) -> Control {
        self.api.control.clone()
    }

    /// Where the API answers.
    pub fn api_url(&self) -> &str {
        &self.api.url
    }

    /// The configuration as the daemon reads it.
    pub fn configure(&self) -> PathBuf {
        self.write("branchline.toml", &self.configuration())
    }

    /// Its text.
    pub fn configuration(&self) -> String {
        let api = &self.api.url;
        let daily = if self.more.contains("[limits]") { "" } else { DAILY };
        format!(
            "{RULES}\n{daily}\n{CAPS}\n[mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\n[uplink]\nbase_url = \"{api}\"\n{UPLINK}\n{}",
            self.broker.port(),
            self.more
        )
    }

    /// Starts the daemon and waits until it has subscribed.
    pub fn start(&mut self) {
        self.launch();
        self.wait_until_up();
    }

    /// Starts the daemon.
    pub fn launch(&mut self) {
        assert!(self.daemon.is_none(), "it runs already");
        let config = self.configure();
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let mut words = self.wrapper.clone();
        words.extend(program());
        let child = Command::new(&words[0])
            .args(&words[1..])
            .args(["run", "--config"])
            .arg(config)
            .args(&self.arguments)
            .env("BRANCHLINE_LOG", std::env::var("BRANCHLINE_LOG").unwrap_or_else(|_| self.level.clone()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.daemon = Some(child);
    }

    /// Waits until broker and uplink are up.
    pub fn wait_until_up(&mut self) {
        self.wait("broker and uplink are up", |house| {
            let Some(status) = house.status() else { return false };
            status["links"].as_array().is_some_and(|links| links.iter().all(|link| link["up"] == json!(true)))
        });
    }

    /// SIGKILL, as a power cut does it.
    pub fn kill(&mut self) {
        let mut child = self.daemon.take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM, and its exit status. Whatever the test did to it, its memory has kept the bound.
    pub fn stop(&mut self) -> ExitStatus {
        let (_, highest) = self.memory();
        assert!(highest <= MEMORY_KIB || emulated(), "{highest} KiB at its highest\n{}", self.log());
        let mut child = self.daemon.take().expect("it runs");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        child.wait().unwrap()
    }

    /// A signal to the daemon.
    pub fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(self.daemon.as_ref().expect("it runs"));
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// The daemon's process id.
    pub fn pid(&self) -> u32 {
        self.daemon.as_ref().expect("it runs").id()
    }

    /// Own memory of the daemon in KiB, without the pages of its program: now, and the highest so far.
    pub fn memory(&self) -> (u64, u64) {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let field = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        (field("RssAnon:"), field("VmHWM:").saturating_sub(field("RssFile:")))
    }

    /// `branchline …` with this house's configuration.
    pub fn command(&self, arguments: &[&str]) -> Output {
        let words = program();
        let child = Command::new(&words[0])
            .args(&words[1..])
            .args(arguments)
            .arg("--config")
            .arg(self.folder.path().join("branchline.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = rustix::process::Pid::from_child(&child);
        let (ended, waits) = std::sync::mpsc::channel::<()>();
        // What should have ended and stays must not hold the test for ever.
        let guard = std::thread::spawn(move || {
            if waits.recv_timeout(COMMAND) == Err(RecvTimeoutError::Timeout) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        });
        let output = child.wait_with_output().unwrap();
        drop(ended);
        guard.join().unwrap();
        output
    }

    /// `branchline status --json`, if it is answered by a daemon.
    pub fn status(&self) -> Option<Value> {
        let output = self.command(&["status", "--json"]);
        let status: Value = serde_json::from_slice(&output.stdout).ok()?;
        (status["running"] == json!(true)).then_some(status)
    }

    /// Messages that wait or are unknown.
    pub fn backlog(&self) -> u64 {
        let Some(status) = self.status() else { return u64::MAX };
        let states = status["backlog"].as_array().cloned().unwrap_or_default();
        states.iter().filter_map(|state| state["messages"].as_u64()).sum()
    }

    /// Waits for a condition, with a deadline; shows the log if it does not come.
    pub fn wait(&mut self, what: &str, done: impl FnMut(&House) -> bool) {
        self.wait_for(what, PATIENCE * 2, done);
    }

    /// As [`wait`](Self::wait), with a deadline of its own.
    pub fn wait_for(&mut self, what: &str, within: Duration, mut done: impl FnMut(&House) -> bool) {
        let within = within * patience();
        let until = Instant::now() + within;
        while !done(self) {
            if let Some(ended) = self.daemon.as_mut().and_then(|child| child.try_wait().unwrap()) {
                panic!("the daemon ended ({ended}) before {what}:\n{}", self.log());
            }
            assert!(
                Instant::now() < until,
                "{what}: not within {within:?}; status {:#?}\n{}",
                self.status(),
                self.log()
            );
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Waits until the API has accepted so many messages in all.
    pub fn wait_for_accepted(&mut self, count: u64, within: Duration) {
        let (control, within) = (self.control(), within * patience());
        let came = self.runtime.block_on(control.wait_for_accepted(count, within));
        assert!(came, "{:?} instead of {count} accepted\n{}", control.counters(), self.log());
    }

    /// The end of what the daemon logged.
    pub fn log(&self) -> String {
        let text = std::fs::read_to_string(self.log_path()).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(80)..].join("\n")
    }

    /// Where the daemon logs.
    pub fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// The folder of the configuration and the store.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Publishes each event at QoS 1 and returns when the broker has all.
    pub fn publish(&self, events: impl IntoIterator<Item = (String, String)>) {
        self.runtime.block_on(publish(self.broker.port(), events.into_iter().collect()));
    }
}

// What the trials of faults and of operating need besides.
impl House {
    /// A later layer of the configuration: `conf.d/NAME.toml`.
    pub fn layer(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.path().join("conf.d")).unwrap();
        self.write(&format!("conf.d/{name}.toml"), text);
    }

    /// Ends the API and starts another at its address, with this certificate; its counters begin anew.
    pub fn replace_api(&mut self, identity: &Identity) {
        let listen = self.api.url.trim_start_matches("https://").parse().unwrap();
        self.api.end();
        let templates = serde_json::from_str(TEMPLATES).unwrap();
        let settings = ApiSettings {
            listen,
            token: TOKEN.to_owned(),
            templates: Some(templates),
            keep: 100_000,
            ..ApiSettings::default()
        };
        self.api = ApiThread::start(identity, settings);
    }

    /// `branchline …`, which must succeed: what it wrote.
    pub fn said(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments);
        let (text, errors) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {} {text} {errors}\n{}", output.status, self.log());
        text
    }

    /// The same with `--json`, read.
    pub fn data(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.said(&[arguments, &["--json"]].concat())).unwrap()
    }

    /// `branchline …`, which must end with this code: what it wrote to standard error.
    pub fn refused(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.command(arguments);
        let (said, errors) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said} {errors}");
        errors
    }

    /// Messages that the API accepted twice. Two alarms with the same words are not one message.
    pub fn same_again(&self) -> usize {
        self.control().repeats().iter().filter(|seen| seen.repeat == Some(Repeat::Data)).count()
    }

    /// All problems of the status, as one text.
    pub fn problems(&self) -> String {
        self.status().map(|status| status["problems"].to_string()).unwrap_or_default()
    }

    /// The whole log.
    pub fn whole_log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

impl Drop for House {
    fn drop(&mut self) {
        if let Some(mut child) = self.daemon.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// The API on a thread and a runtime of its own, so that it answers while the test waits for something else.
struct ApiThread {
    control: Control,
    url: String,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl ApiThread {
    fn start(identity: &Identity, settings: ApiSettings) -> ApiThread {
        let settings = ApiSettings { tls: Some(Tls::from(identity)), ..settings };
        let (started, ready) = std::sync::mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime().block_on(async {
                let api = Api::start(settings).await.unwrap();
                started.send((api.control(), api.url())).unwrap();
                stopped.await.ok();
                api.stop().await;
            });
        });
        let (control, url) = ready.recv().unwrap();
        ApiThread { control, url, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for ApiThread {
    fn drop(&mut self) {
        self.end();
    }
}

impl ApiThread {
    fn end(&mut self) {
        if let (Some(stop), Some(thread)) = (self.stop.take(), self.thread.take()) {
            stop.send(()).ok();
            thread.join().ok();
        }
    }
}

/// A runtime for one thread.
pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Publishes each event at QoS 1; done when the broker has acknowledged all.
pub async fn publish(port: u16, events: Vec<(String, String)>) {
    use rumqttc::v5::mqttbytes::{QoS, v5::Packet};
    use rumqttc::v5::{AsyncClient, Event, MqttOptions};
    let mut options = MqttOptions::new(format!("publisher-{:x}", fastrand::u64(..)), "127.0.0.1", port);
    options.set_outgoing_inflight_upper_limit(64);
    let (client, mut connection) = AsyncClient::new(options, 64);
    let count = events.len();
    let sender = tokio::spawn(async move {
        for (topic, payload) in events {
            client.publish(topic, QoS::AtLeastOnce, false, payload).await.unwrap();
        }
        client
    });
    let mut acknowledged = 0;
    while acknowledged < count {
        if let Event::Incoming(Packet::PubAck(_)) = connection.poll().await.unwrap() {
            acknowledged += 1;
        }
    }
    drop(sender.await.unwrap());
}

/// The present, for certificates.
#[allow(clippy::disallowed_methods, reason = "a test reads the clock to date its certificates")]
pub fn now() -> Wall {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Wall(since.as_millis() as i64)
}

/// An order that is ready, for a customer of its own.
pub fn order(number: u32) -> (String, String) {
    order_for(number, &customer(number))
}

/// An order that is ready.
pub fn order_for(number: u32, phone: &str) -> (String, String) {
    let payload = json!({
        "event_id": format!("e{number}"), "total": 89.9,
        "customer": {"name": "Ana Souza", "phone": phone, "whatsapp_opt_in": true},
    });
    (format!("pos/1/order/{number}/ready"), payload.to_string())
}

/// A number of Brazil for each customer.
pub fn customer(number: u32) -> String {
    format!("+55119{:08}", 80_000_000 + number)
}

/// An alarm to the technicians on call.
pub fn alarm(number: u32) -> (String, String) {
    let payload = json!({"event_id": format!("a{number}"), "alarm": "rack too hot", "value": "47 °C"});
    ("node/n1/alarm".to_owned(), payload.to_string())
}

/// What the API's certificate is for.
pub const API_NAMES: &[&str] = &["127.0.0.1", "localhost"];

/// And many people a little, in a day.
const DAILY: &str = "[limits]\ndaily_recipients = \"off\"\ndaily_reserve = \"off\"\ndaily_messages = \"off\"\n";

/// These tests tell few people much: own caps have tests of their own.
const CAPS: &str = "[limits.caps]\nmarketing = \"off\"\nutility = \"off\"\nstaff = \"off\"\nrule = \"off\"\n";

/// The rules of every house.
pub const RULES: &str = r#"
[branch]
id = "t-1"
timezone = "America/Sao_Paulo"
country = "BR"
[outbox]
path = "outbox.db"
[operate]
socket = "socket"
listen = "off"
[templates]
file = "templates.json"
[languages]
default = "pt_BR"
[purposes.orders]
wording = "till-1"
[people.ana]
number = "+5511987654321"
[contacts.oncall]
consent = "staff"
members = ["ana"]
[base.order]
to = "{{ payload.customer.phone }}"
consent = "orders"
opt_in = "payload.customer.whatsapp_opt_in"
id = "{{ payload.event_id }}"
[rules.ready]
inherit = "order"
topic = "pos/{till}/order/{order}/ready"
[rules.ready.message]
template = "order_ready"
body = ["{{ payload.customer.name | first_name }}", "{{ order }}"]
[rules.alarm]
topic = "node/{node}/alarm"
to = "contacts:oncall"
id = "{{ payload.event_id }}"
priority = "critical"
[rules.alarm.message]
template = "node_alarm"
body = ["{{ node }}", "{{ payload.alarm }} {{ payload.value }}"]
"#;

/// The rest of `[uplink]`.
pub const UPLINK: &str = r#"
phone_number_id = "106540352242922"
token_file = "token"
ca_file = "api-ca.pem"
"#;

/// The platform's list, as the API and the daemon read it.
pub const TEMPLATES: &str = r#"{"data": [
 {"name": "order_ready", "language": "pt_BR", "status": "APPROVED", "category": "UTILITY", "parameter_format": "POSITIONAL",
  "components": [{"type": "BODY", "text": "Olá {{1}}, seu pedido {{2}} está pronto. Até já!"}]},
 {"name": "node_alarm", "language": "pt_BR", "status": "APPROVED", "category": "UTILITY", "parameter_format": "POSITIONAL",
  "components": [{"type": "BODY", "text": "Alarme no nó {{1}}: {{2}}. Verifique agora."}]}
]}"#;
