mod rights;

use super::*;
use crate::door::operate::{Ask, Busy, bind, serve_socket};
use crate::message::{Category, Outcome, Priority, Reason};
use crate::operate::{ConsentNow, LedgerRow, LineProblem, OutboxRow, SendOrder, Target};
use crate::status::Status;
use crate::time::Wall;
use clap::CommandFactory;
use std::sync::{Arc, Mutex};

/// What the fake engine was asked.
type Asked = Arc<Mutex<Vec<Request>>>;

#[derive(Clone)]
struct Engine {
    asked: Asked,
    answer: fn(&Request) -> Reply,
}

impl Ask for Engine {
    async fn ask(&self, request: Request) -> Result<Reply, Busy> {
        let reply = (self.answer)(&request);
        self.asked.lock().unwrap().push(request);
        Ok(reply)
    }
}

/// Answers like an engine in which all goes well.
fn well(request: &Request) -> Reply {
    match request {
        Request::Status => Reply::data(&Status::default().report(crate::operate::Gauges {
            branch: "sp-042".into(),
            timezone: "America/Sao_Paulo".into(),
            running: true,
            clock_trusted: true,
            ..Default::default()
        })),
        Request::OutboxList { .. } => Reply::data(&OutboxPage { rows: vec![row()], next: Some(1042) }),
        Request::Pause { target, .. } | Request::Resume { target, .. } => {
            Reply::data(&PauseReport { target: target.clone(), changed: true, messages: 3, holds: vec![] })
        }
        Request::ConsentGrant(_) | Request::ConsentRevoke { .. } | Request::ConsentShow { .. } => {
            let now =
                vec![ConsentNow { purpose: "orders".into(), withheld: Some(Reason::ConsentRevoked), until: None }];
            Reply::data(&ConsentReport { number: "+55…21".into(), changed: true, now, entries: vec![] })
        }
        Request::LimitsImport { rows } => {
            Reply::data(&ImportReport { recorded: rows.len() as u64, ..ImportReport::default() })
        }
        Request::ConsentImport { rows, .. } => {
            Reply::data(&ImportReport { recorded: rows.len() as u64, ..ImportReport::default() })
        }
        Request::ConsentExport { after: 0 } => Reply::data(&LedgerPage { rows: vec![ledger_row(1)], next: Some(1) }),
        Request::ConsentExport { .. } => Reply::data(&LedgerPage { rows: vec![ledger_row(2)], next: None }),
        Request::Explain { topic, .. } => Reply::data(&Explanation { topic: topic.clone(), ..Explanation::default() }),
        Request::OutboxShow { id } => Reply::Refused(format!("there is no message {id}")),
        Request::Send(order) => Reply::data(&sent(order)),
        Request::AcceptLoss { .. } => Reply::data(&LossReport {
            note: "salvaged: ledger 3".into(),
            since: Wall(1_795_366_925_000),
            messages: 2,
            unknown: 1,
        }),
        Request::OutboxExport { table, .. } => {
            let row = serde_json::json!({"table": table});
            Reply::data(&ExportPage { rows: vec![row], next: None })
        }
        Request::AuditPage { .. } | Request::ContactExport { .. } | Request::ContactErase { .. } => {
            rights::well(request)
        }
        Request::Metrics => Reply::Text(String::new()),
    }
}

/// Withheld for the purpose "offers", stored for any other.
fn sent(order: &SendOrder) -> SendReport {
    let withheld = (order.purpose == "offers").then_some(Reason::NoConsent);
    let message = crate::operate::DraftExplained {
        to: "+55…21".into(),
        country: Some("BR".into()),
        template: Some(format!("{} {}", order.template, order.language)),
        category: Category::Utility,
        priority: order.priority,
        subject: None,
        text: "Olá".into(),
        parts: vec![],
        parameters: vec![],
        cut: false,
        lengths: vec![],
        consent: ConsentNow { purpose: order.purpose.clone(), withheld, until: None },
        expires: None,
        outcome: if withheld.is_some() { Outcome::Withheld } else { Outcome::Stored },
        reason: withheld.unwrap_or(Reason::Due),
        until: None,
    };
    let id = (!order.dry_run).then(|| "k3f9-7".to_owned());
    SendReport { id, dry_run: order.dry_run, basis: crate::operate::Basis::Daemon, message }
}

fn order(params: &[&str]) -> SendOrder {
    SendOrder {
        to: "011 98765-4321".into(),
        template: "order_ready".into(),
        language: "pt_BR".into(),
        purpose: "orders".into(),
        params: params.iter().map(|param| (*param).to_owned()).collect(),
        header: None,
        filename: None,
        buttons: vec![],
        priority: Priority::Normal,
        dry_run: false,
    }
}

const SEND: [&str; 9] =
    ["send", "--to", "011 98765-4321", "--template", "order_ready", "--language", "pt_BR", "--purpose", "orders"];

#[test]
fn send_ends_with_no_when_it_is_withheld_and_says_so_either_way() {
    let (ended, out, _) = asked(well, &SEND, "");
    assert_eq!(ended, Ok(()));
    assert!(out.starts_with("k3f9-7: stored for +55…21 (BR)"), "{out}");
    let mut offers = SEND;
    offers[8] = "offers";
    let (ended, out, _) = asked(well, &offers, "");
    assert_eq!(ended, Err(Failure::new(Exit::No, "")));
    assert!(out.contains("withheld: no-consent") && out.contains("k3f9-7"), "{out}");
    let (ended, out, _) = asked(well, &[&offers[..], &["--json"]].concat(), "");
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (ended.unwrap_err().exit, &json["outcome"], &json["id"]),
        (Exit::No, &"withheld".into(), &"k3f9-7".into())
    );
    let (ended, out, _) = asked(well, &[&SEND[..], &["--dry-run"]].concat(), "");
    assert!(ended.is_ok() && out.starts_with("would be stored for") && out.contains("nothing was stored"), "{out}");
}

fn row() -> OutboxRow {
    OutboxRow {
        id: "k3f9-1042".into(),
        at: Wall(1_795_366_925_000),
        rule: "order-ready".into(),
        to: "+55…21".into(),
        priority: Priority::Normal,
        category: Category::Utility,
        outcome: Outcome::Stored,
        reason: Reason::UplinkDown,
        tries: 0,
    }
}

fn ledger_row(row: i64) -> LedgerRow {
    LedgerRow {
        row,
        number: format!("+551198765432{row}"),
        purpose: "orders".into(),
        action: "grant".into(),
        at: Some(Wall(0)),
        source: "till".into(),
        wording: "v1".into(),
        expires: None,
    }
}

/// No other part of the program: every command that needs one fails as the part would.
struct Alone;

impl Commands for Alone {
    fn load(&self, file: &Path, board: Option<&str>) -> Result<Loaded, Failure> {
        Err(Failure::new(Exit::Config, format!("cannot read {} for {board:?}", file.display())))
    }
    fn offline(&self, _: Loaded, _: Wants) -> Result<Box<dyn Backend>, Failure> {
        Err(Failure::new(Exit::Storage, "no store"))
    }
    fn run(&self, _: &Path, board: Option<&str>, _: Run) -> Result<(), Failure> {
        Err(Failure::new(Exit::Unavailable, format!("run for {board:?}")))
    }
    fn check(&self, _: &Path, board: Option<&str>, check: Check, out: &mut dyn Write) -> Result<(), Failure> {
        let json = check.output.json;
        writeln!(out, "checked, json: {json}, for {board:?}").map_err(|error| unwritten(&error))
    }
    fn init(&self, file: &Path, _: Option<&str>, _: Init, _: &mut dyn Read, _: &mut dyn Write) -> Result<(), Failure> {
        Err(Failure::new(Exit::No, format!("init for {}", file.display())))
    }
    fn stick(&self, file: &Path, _: Option<&str>, from: FromStick, _: &mut dyn Write) -> Result<(), Failure> {
        Err(Failure::new(Exit::No, format!("stick {:?} for {}", from.from, file.display())))
    }
    fn forward(&self, file: &Path, forward: Forward, _: &mut dyn Write) -> Result<(), Failure> {
        Err(Failure::new(Exit::No, format!("forward by {}, check: {}", file.display(), forward.check)))
    }
    fn demo(&self, serve: bool) -> Result<(), Failure> {
        Err(Failure::new(Exit::No, format!("demo, serve: {serve}")))
    }
    fn sandbox(&self, sandbox: &Sandbox) -> Result<(), Failure> {
        Err(Failure::new(Exit::No, format!("sandbox at {}", sandbox.listen)))
    }
}

fn alone(typed: &[&str]) -> (Result<(), Failure>, String) {
    let mut out = Vec::new();
    let typed = std::iter::once(&"branchline").chain(typed);
    let ended = execute(typed, &Alone, &mut io::empty(), &mut out);
    (ended, String::from_utf8(out).unwrap())
}

/// Runs a command against an engine behind a real socket.
fn asked(answer: fn(&Request) -> Reply, typed: &[&str], input: &str) -> (Result<(), Failure>, String, Vec<Request>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("branchline.sock");
    let engine = Engine { asked: Asked::default(), answer };
    let asked = engine.asked.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(async { bind(&path)?.listen() }).unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! { _ = serve_socket(listener, engine) => (), _ = stopped => () }
        });
    });
    let mut out = Vec::new();
    let typed = ["branchline", "--socket", path.to_str().unwrap()].into_iter().chain(typed.iter().copied());
    let ended = execute(typed, &Alone, &mut input.as_bytes(), &mut out);
    drop(stop);
    serving.join().unwrap();
    let requests = asked.lock().unwrap().clone();
    (ended, String::from_utf8(out).unwrap(), requests)
}

#[test]
fn what_is_typed_becomes_one_request() {
    let target = |target| Request::Pause { target, reason: "why".into() };
    let grant = |expires, after_revocation| {
        Request::ConsentGrant(Grant {
            number: "+5511987654321".into(),
            purpose: "orders".into(),
            source: "till".into(),
            wording: Some("v2".into()),
            expires,
            after_revocation,
        })
    };
    let rest = ["--param", "-1", "--param", "a=b", "--header", "-23.5,-46,a,b", "--filename", "a.pdf", "--button", "x"];
    let full = [&SEND[..], &rest, &["--priority", "high", "--dry-run"]].concat();
    #[rustfmt::skip]
    let table: Vec<(&[&str], Request)> = vec![
        (&["status"], Request::Status),
        (&["pause", "--reason", " why "], target(Target::All)),
        (&["pause", "--rule", "order-ready", "--reason", "why"], target(Target::Rule("order-ready".into()))),
        (&["pause", "--category", "marketing", "--reason", "why"], target(Target::Category("marketing".into()))),
        (&["pause", "--template", "order_ready", "--reason", "why"], target(Target::Template("order_ready".into()))),
        (&["resume", "--reason", "why"], Request::Resume { target: Target::All, reason: "why".into() }),
        (&["outbox", "list"], Request::OutboxList { outcome: None, before: None, limit: 50 }),
        (&["outbox", "list", "--outcome", "stored", "--limit", "200", "--before", "7"], Request::OutboxList { outcome: Some("stored".into()), before: Some(7), limit: 200 }),
        (&["consent", "grant", "+5511987654321", "--purpose", "orders", "--source", "till", "--wording", "v2"], grant(None, false)),
        (&["consent", "grant", "+5511987654321", "--purpose", "orders", "--source", "till", "--wording", "v2", "--expires", "1970-01-02T00:00Z", "--after-revocation"], grant(Some(Wall(86_400_000)), true)),
        (&["consent", "revoke", "011 98765-4321", "--purpose", "orders"], Request::ConsentRevoke { number: "011 98765-4321".into(), purpose: Some("orders".into()) }),
        (&["consent", "show", "+5511987654321"], Request::ConsentShow { number: "+5511987654321".into() }),
        (&["explain", "--topic", "pos/3", "--payload", "-", "--at", "1970-01-01T00:00:01Z"], Request::Explain { topic: "pos/3".into(), payload: "typed in".into(), at: Some(Wall(1_000)) }),
        (&SEND, Request::Send(order(&[]))),
        (&full,
         Request::Send(SendOrder { header: Some("-23.5,-46,a,b".into()), filename: Some("a.pdf".into()), buttons: vec!["x".into()], priority: Priority::High, dry_run: true, ..order(&["-1", "a=b"]) })),
    ];
    for (typed, expected) in table {
        let (ended, out, requests) = asked(well, typed, "typed in");
        assert_eq!(ended, Ok(()), "{typed:?}");
        assert!(requests == [expected], "{typed:?}");
        assert!(!out.is_empty() && !out.contains("987654321"), "{typed:?}: {out}");
    }
}

#[test]
fn how_commands_end() {
    let urgent = [&SEND[..], &["--priority", "urgent"]].concat();
    let nameless = [&SEND[..], &["--filename", "a.pdf"]].concat();
    #[rustfmt::skip]
    let table: &[(&[&str], Exit)] = &[
        (&["nothing-like-it"], Exit::Usage),
        (&["pause"], Exit::Usage),
        (&["pause", "--reason", "  "], Exit::Usage),
        (&["pause", "--rule", "a", "--category", "utility", "--reason", "b"], Exit::Usage),
        (&["pause", "--category", "offers", "--reason", "b"], Exit::Usage),
        (&["outbox", "list", "--limit", "201"], Exit::Usage),
        (&["outbox", "list", "--outcome", "lost"], Exit::Usage),
        (&["consent", "grant", "+55", "--purpose", "orders"], Exit::Usage),
        (&["outbox", "retry", "k3f9-1"], Exit::Usage),
        (&["status"], Exit::Config),
        (&["status", "--socket", "/nonexistent/branchline.sock"], Exit::Unavailable),
        (&SEND[..8], Exit::Usage),
        (&urgent, Exit::Usage),
        (&nameless, Exit::Usage),
        (&["run"], Exit::Unavailable),
        (&["demo", "--serve"], Exit::No),
        (&["sandbox", "--listen", "127.0.0.1:0"], Exit::No),
        (&["sandbox", "--listen", "here"], Exit::Usage),
        (&["sandbox", "--client-ca", "ca.pem"], Exit::Usage),
    ];
    for (typed, exit) in table {
        let (ended, out) = alone(typed);
        let failure = ended.unwrap_err();
        assert_eq!((failure.exit, out.as_str()), (*exit, ""), "{typed:?}: {failure}");
        assert!(!failure.text.is_empty());
    }
    assert_eq!(alone(&["check", "--json"]), (Ok(()), "checked, json: true, for None\n".into()));
    let (ended, out, _) = asked(well, &["outbox", "show", "k3f9-9"], "");
    assert_eq!((ended, out.as_str()), (Err(Failure::new(Exit::No, "there is no message k3f9-9")), ""));
    let (ended, _, _) = asked(|_| Reply::Data(serde_json::json!({"a": 1})), &["outbox", "list"], "");
    assert_eq!(ended.unwrap_err().exit, Exit::Bug);
}

/// A service manager and a person both see a failure, not an orderly stop.
#[test]
fn an_engine_that_ends_by_itself_ends_the_program_as_our_bug() {
    assert_eq!(house::start_failure(crate::app::StartError::Ended).exit, Exit::Bug);
    for (code, exit) in [
        (rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE, Exit::Bug),
        (rusqlite::ffi::SQLITE_CORRUPT, Exit::Storage),
        (rusqlite::ffi::SQLITE_IOERR_FSYNC, Exit::Storage),
    ] {
        let error = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None).into();
        let failure = house::start_failure(crate::engine::Failure::Store(error).into());
        assert_eq!(failure.exit, exit, "{failure}");
        assert_eq!(failure.text.contains("bug of Branchline"), exit == Exit::Bug, "{failure}");
    }
}

/// Else an offline command would open another store than the daemon's.
#[test]
fn every_command_that_reads_the_configuration_takes_the_board() {
    for typed in [
        &["status", "--board", "tiny"][..],
        &["--board", "tiny", "outbox", "list"],
        &["consent", "show", "+5511987654321", "--board", "tiny"],
        &["run", "--board", "tiny"],
        &["check", "--board", "tiny"],
    ] {
        let (ended, out) = alone(typed);
        let told = ended.err().map_or(out, |failure| failure.text);
        assert!(told.contains("for Some(\"tiny\")"), "{typed:?}: {told}");
    }
}

#[test]
fn codes_are_the_promised_numbers() {
    use Exit::{Bug, Config, Done, No, Storage, Unavailable, Usage};
    assert_eq!([Done, No, Usage, Unavailable, Bug, Storage, Config].map(|exit| exit as u8), [0, 1, 64, 69, 70, 74, 78]);
}

#[test]
fn every_command_has_help_with_an_example_of_itself() {
    fn visit(path: &str, command: &clap::Command, seen: &mut Vec<String>) {
        let typed: Vec<&str> = path.split(' ').skip(1).chain(["--help"]).collect();
        let (ended, help) = alone(&typed);
        assert_eq!(ended, Ok(()), "{path}");
        let example = help.split("Example:\n").nth(1).unwrap_or_default();
        assert!(example.trim_start().starts_with(path), "{path}: {help}");
        let example = example.lines().next().unwrap_or_default();
        seen.push(example.trim().to_owned());
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            visit(&format!("{path} {}", sub.get_name()), sub, seen);
        }
    }
    let mut examples = Vec::new();
    visit("branchline", &Cli::command(), &mut examples);
    assert!(examples.len() >= 16, "{examples:?}");
    for example in examples {
        // As a shell takes it apart, apart from the redirection.
        let line = example.split(" >").next().unwrap_or_default().replace("\"form 118, counter 2\"", "form");
        let words: Vec<&str> = line
            .split('"')
            .enumerate()
            .flat_map(|(i, part)| match i % 2 {
                0 => part.split_whitespace().collect(),
                _ => vec![part],
            })
            .collect();
        assert!(Cli::try_parse_from(&words).is_ok(), "{example}");
    }
}

#[test]
fn json_is_what_the_engine_said() {
    let (ended, out, _) = asked(well, &["outbox", "list", "--json"], "");
    assert_eq!(ended, Ok(()));
    let page: OutboxPage = serde_json::from_str(&out).unwrap();
    assert_eq!(page, OutboxPage { rows: vec![row()], next: Some(1042) });
}

const HEADER: &str = "number,purpose,action,at,source,wording,expires\n";

#[test]
fn an_import_goes_out_in_batches_only_when_all_of_it_is_good() {
    let good = |n: u32| format!("+55119{n:08},orders,grant,,till,,\n");
    let text = HEADER.to_owned() + &(0..1_001).map(good).collect::<String>();
    let (ended, out, requests) = asked(well, &["consent", "import", "-"], &text);
    assert_eq!((ended, out.as_str()), (Ok(()), "1001 recorded, 0 known already\n"));
    let sizes: Vec<usize> = requests.iter().map(batch).collect();
    assert_eq!(sizes, [500, 500, 1]);

    let (ended, out, requests) = asked(well, &["consent", "import", "-"], &(text + "+5511,orders,agree,,till,,\n"));
    let failure = ended.unwrap_err();
    assert!(failure.exit == Exit::No && failure.text.contains("line 1003: action"), "{failure}");
    assert!(out.is_empty() && requests.is_empty());
}

#[test]
fn an_import_that_the_engine_stops_says_what_is_recorded() {
    fn stops(request: &Request) -> Reply {
        let Request::ConsentImport { rows, .. } = request else { return well(request) };
        let bad = LineProblem { line: 777, problem: "number is too short for its country".into() };
        let problems = if rows.iter().any(|row| row.line == 777) { vec![bad] } else { vec![] };
        let recorded = if problems.is_empty() { rows.len() as u64 } else { 0 };
        Reply::data(&ImportReport { recorded, unchanged: 0, problems, ..ImportReport::default() })
    }
    let text = HEADER.to_owned() + &"+5511987654321,orders,grant,,till,,\n".repeat(1_000);
    let failure = asked(stops, &["consent", "import", "-"], &text).0.unwrap_err();
    assert_eq!(failure.exit, Exit::No);
    assert!(failure.text.contains("the 500 entries before line 502 are recorded"), "{failure}");
    assert!(failure.text.contains("line 777: number is too short"), "{failure}");
}

fn batch(request: &Request) -> usize {
    match request {
        Request::ConsentImport { rows, .. } => rows.len(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_export_pages_through_and_has_one_heading() {
    let (ended, out, requests) = asked(well, &["consent", "export"], "");
    assert_eq!((ended, requests.len()), (Ok(()), 2));
    let first = "+5511987654321,orders,grant,1970-01-01T00:00:00.000Z,till,v1,\n";
    let second = "+5511987654322,orders,grant,1970-01-01T00:00:00.000Z,till,v1,\n";
    assert_eq!(out, format!("{HEADER}{first}{second}"));
    let (_, out, _) = asked(well, &["consent", "export", "--json"], "");
    let rows: Vec<LedgerRow> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rows == [ledger_row(1), ledger_row(2)]);
}

#[test]
fn an_empty_ledger_is_still_a_csv() {
    fn empty(_: &Request) -> Reply {
        Reply::data(&LedgerPage::default())
    }
    assert_eq!(asked(empty, &["consent", "export"], "").1, HEADER);
}

#[test]
fn a_reader_that_stops_early_is_no_failure() {
    struct Head;
    impl Write for Head {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let ended = execute(["branchline", "--help"], &Alone, &mut io::empty(), &mut Head);
    assert_eq!(ended, Err(Failure::new(Exit::Done, "")));
}

#[test]
fn without_a_daemon_the_store_answers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("branchline.sock");
    let nobody = || Err(Failure::new(Exit::Storage, "offline"));
    assert_eq!(backend::backend(&path, nobody).err().unwrap().exit, Exit::Storage, "nothing there");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert_eq!(backend::backend(&path, nobody).err().unwrap().exit, Exit::Storage, "left by a dead daemon");
    let _living = std::os::unix::net::UnixListener::bind(folder.path().join("living.sock")).unwrap();
    assert!(backend::backend(&folder.path().join("living.sock"), nobody).is_ok());
}

/// Runs itself as a child that panics.
#[test]
fn a_panic_ends_as_our_bug_and_shows_no_data() {
    if std::env::var_os("BRANCHLINE_TEST_PANICS").is_some() {
        end_as_a_bug_on_panic();
        panic!("+5511987654321");
    }
    let child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "cli::tests::a_panic_ends_as_our_bug_and_shows_no_data", "--nocapture"])
        .env("BRANCHLINE_TEST_PANICS", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stderr);
    assert_eq!(child.status.code(), Some(70), "{said}");
    assert!(said.contains("src/cli/tests.rs") && !said.contains("987654321"), "{said}");
}

/// A topic or a cell that holds a terminal's commands shall not carry them out on whoever looks at it.
#[test]
fn what_is_printed_obeys_nobody() {
    let mut out = Vec::new();
    print(&mut out, "topic\tpos/\u{1b}[2J\u{9b}é\r\n").unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), "topic\tpos/\\u{1b}[2J\\u{9b}é\\r\n");
}
