//! Any JSON as what operators send over the socket, one request a line, carried out on a real store: what is not understood
//! changes nothing, an opt-out wins, and no answer shows a number where it should not.

use branchline::engine::Engine;
use branchline::operate::{ConsentReport, Grant, ImportReport, Reply, Request, StatusReport};
use branchline::outbox::{self, Outbox};
use branchline::rules::Rules;
use branchline::time::{Clock, Mono, Now, Wall};
use std::cell::RefCell;

const NOW: Now = Now { mono: Mono(1_000), wall: Clock::Trusted(Wall(1_772_452_800_000)) };

/// Requests that are carried out, at most.
const MOST: usize = 8;

/// A line for each request.
pub fn run(data: &[u8]) {
    let requests: Vec<Request> =
        data.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).take(MOST).collect();
    if requests.is_empty() {
        return;
    }
    ENGINE.with_borrow_mut(|kept| {
        let (folder, mut engine) = kept.take().unwrap_or_else(fresh);
        let ordered = requests.iter().any(|request| !request.only_looks());
        requests.iter().for_each(|request| carry_out(&mut engine, request));
        // Orders leave something behind; the next input shall find nothing.
        if !ordered {
            *kept = Some((folder, engine));
        }
    });
}

type Kept = Option<(tempfile::TempDir, Engine)>;
thread_local!(static ENGINE: RefCell<Kept> = const { RefCell::new(None) });

fn fresh() -> (tempfile::TempDir, Engine) {
    let folder = super::folder();
    let rooms = super::branch().rooms.clone();
    let outbox = outbox::Settings { path: folder.path().join("outbox.db"), ..rooms.outbox.clone() };
    let outbox = Outbox::open(outbox, 7).unwrap();
    let rules = Rules::compile(&rooms.rules).unwrap();
    let engine = Engine::new(rooms, rules, outbox, NOW, "boot", 7).unwrap();
    (folder, engine)
}

fn carry_out(engine: &mut Engine, request: &Request) {
    let json = serde_json::to_string(request).unwrap();
    assert!(serde_json::from_str::<Request>(&json).unwrap() == *request, "{json}");
    assert!(json.contains(&format!("{:?}", request.name())), "{json}");
    assert_eq!(format!("{request:?}"), format!("Request({})", request.name()), "a log shows nothing of it");

    assert_eq!(engine.look(NOW, request).is_some(), request.only_looks());
    let reply = engine.ask(NOW, request.clone()).unwrap_or_else(|failure| panic!("{request:?}: {failure}"));
    let sent = serde_json::to_string(&reply).unwrap();
    assert!(serde_json::from_str::<Reply>(&sent).unwrap() == reply, "{sent}");
    let data = match &reply {
        Reply::Refused(why) => return assert!(!why.is_empty(), "{request:?}"),
        Reply::Text(text) => return assert!(matches!(request, Request::Metrics) && text.ends_with('\n')),
        Reply::Data(data) => data.clone(),
    };
    match request {
        Request::Status => {
            let report: StatusReport = serde_json::from_value(data).unwrap();
            assert!(report.gauges.limits.iter().all(|limit| (0.0..=1.0).contains(&limit.used)));
        }
        Request::ConsentRevoke { number, purpose: None } => out(engine, number),
        Request::ConsentImport { rows, .. } => {
            let report: ImportReport = serde_json::from_value(data).unwrap();
            let counted = (report.recorded + report.unchanged) as usize;
            assert!(report.problems.is_empty() && counted == rows.len() || counted == 0, "all or nothing");
        }
        Request::Explain { .. } | Request::Send(_) => super::no_number_in(&data),
        _ => {}
    }
}

/// Whoever took everything back has agreed to nothing, and no grant that does not say "after the revocation" changes it.
fn out(engine: &mut Engine, number: &str) {
    let nothing_left = |engine: &mut Engine| {
        let shown = engine.ask(NOW, Request::ConsentShow { number: number.to_owned() }).unwrap();
        let Reply::Data(data) = shown else { panic!("a number that could be revoked can be shown") };
        let report: ConsentReport = serde_json::from_value(data).unwrap();
        assert!(report.now.iter().all(|purpose| purpose.withheld.is_some()), "{:?}", report.now);
        assert!(super::digits_together(&report.number) < 8, "{}", report.number);
    };
    nothing_left(engine);
    let grant = Grant {
        number: number.to_owned(),
        purpose: "orders".into(),
        source: "counter".into(),
        wording: None,
        expires: None,
        after_revocation: false,
    };
    let granted = engine.ask(NOW, Request::ConsentGrant(grant)).unwrap();
    assert!(matches!(granted, Reply::Refused(_)), "a grant lifted a revocation");
    nothing_left(engine);
}
