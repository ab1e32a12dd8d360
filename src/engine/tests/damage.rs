//! Damage: a store with everything in it, mutated by seed, and what the engine makes of it. Nobody who said no is written to,
//! what is lost is told and held, and somebody releases it. `tests/damage 5000` for more; a failing seed is played again by
//! `DAMAGE_SEED=n`.

use super::kit::*;
use crate::engine::loss::LIMITS;
use crate::engine::{Input, Link};
use crate::message::{NotSent, Outcome, Reason};
use crate::operate::{LedgerLine, Reply, Request, Target};
use crate::outbox::{LIFT_ALL, LOSS};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

/// Seeds that once failed, and what they found.
///
/// 204: a salvage that was cut short believed its own half of a list. 1095, 2435: woken for ever by an index that names whom there
/// is not. 2266: a damaged line is a revocation, of an own person too. 2800: an index of the ledger lost its lines. 3822: a header of
/// a newer version without a mark. 3897: sent again after its end. What they hit moves whenever the store's layout does: each has a
/// test of its own in `contradictions`.
const KEPT: &[u64] = &[204, 1095, 2266, 2435, 2800, 3822, 3897];

/// Salvages in the middle of which the power went.
static CUT_SHORT: AtomicUsize = AtomicUsize::new(0);

/// Bytes of the store's pages.
const PAGE: usize = 512;
/// Of every other store.
const KEY: &str = "0123456789abcdef0123456789abcdef";

/// What makes a text long, and is no part of how its event is called.
const LONG: &str = "x";

/// How the event of such a text is called.
fn event(text: &str) -> &str {
    text.trim_end_matches(LONG).trim_end()
}

fn customer(n: usize) -> String {
    format!("+55219{:08}", 80_000_000 + n * 137)
}

/// A store at one instant, and what is true about it.
struct Image {
    files: BTreeMap<String, Vec<u8>>,
    now: u64,
}

struct Base {
    /// With its log, and after it was closed.
    images: [Image; 2],
    /// Who said no to what: to everything, or to `orders` or `offers`.
    stopped: BTreeSet<(String, &'static str)>,
    /// What was taken by the platform, or refused.
    settled: BTreeSet<String>,
}

fn files(kit: &Kit) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for file in std::fs::read_dir(kit.folder.path()).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        if name.starts_with("outbox.db") {
            files.insert(name, std::fs::read(file.path()).unwrap());
        }
    }
    files
}

fn revoke(kit: &mut Kit, to: &str, purpose: Option<&str>) {
    kit.ask(Request::ConsentRevoke { number: to.into(), purpose: purpose.map(str::to_owned) });
}

fn grant_again(kit: &mut Kit, to: &str, purpose: &str) {
    let reply = kit.ask(Request::ConsentGrant(crate::operate::Grant {
        number: to.into(),
        purpose: purpose.into(),
        source: "counter".into(),
        wording: None,
        expires: None,
        after_revocation: true,
    }));
    assert!(matches!(reply, Reply::Data(_)), "{reply:?}");
}

/// A day of a branch: people, consent given and taken back, messages in every state, long ones among them. `sealed`: under a key.
fn base(sealed: bool) -> &'static Base {
    static BASES: [OnceLock<Base>; 2] = [const { OnceLock::new() }; 2];
    BASES[usize::from(sealed)].get_or_init(|| {
        let mut kit = Kit::with_key(sealed.then_some(KEY));
        let mut stopped = BTreeSet::new();
        for n in 0..90 {
            let (to, long) = (customer(n), if n % 9 == 0 { LONG.repeat(900) } else { String::new() });
            let payload = format!(r#"{{"to": "{to}", "opt_in": true, "id": "orders {n}", "n": "orders {n} {long}"}}"#);
            kit.arrive("pos/1/ready", &payload);
            kit.answer_last(taken());
            kit.run(400);
            if n % 3 == 0 {
                kit.order("pos/1/offer", &customer(n), &format!("offers {n}"));
                kit.run(7_000);
                let stops = n % 18 == 0;
                kit.answer_last(if stops { code(131050) } else { taken() });
                if stops {
                    stopped.insert((customer(n), "offers"));
                }
            }
        }
        for n in (1..90).step_by(8) {
            revoke(&mut kit, &customer(n), None);
            stopped.extend([(customer(n), "orders"), (customer(n), "offers")]);
        }
        for n in (3..90).step_by(12) {
            revoke(&mut kit, &customer(n), Some("orders"));
            stopped.insert((customer(n), "orders"));
        }
        // Everything taken back, and one purpose given again.
        grant_again(&mut kit, &customer(9), "orders");
        stopped.remove(&(customer(9), "orders"));
        // One of the own people wants none either.
        revoke(&mut kit, "+5511987654322", None);
        stopped.insert(("+5511987654322".into(), "staff"));
        // Events are called as their texts begin: by that it is judged what is said again.
        kit.arrive("node/1/state", r#"{"n": 70, "event_id": "70"}"#);
        kit.answer_last(taken());
        let settled = kit.texts().into_iter().map(str::to_owned).collect();
        // What has not ended: on its way, unknown, held by its rule, waiting for the uplink.
        kit.run(20_000);
        kit.order("pos/1/ready", &customer(100), "orders 100 unknown");
        kit.answer_last(lost());
        kit.order("pos/1/ready", &customer(101), "orders 101 open");
        kit.ask(Request::Pause { target: Target::Rule("low".into()), reason: "test".into() });
        for n in 102..112 {
            kit.order("pos/1/low", &customer(n), &format!("orders {n} parked"));
        }
        kit.line = false;
        kit.give(vec![Input::Link(Link::UplinkDown(NotSent::NoConnection("test".into())))]);
        for n in 112..130 {
            kit.order("pos/1/ready", &customer(n), &format!("orders {n} waiting"));
        }
        // Of somebody who then says no, as of two others whose messages wait.
        for n in [115, 120] {
            revoke(&mut kit, &customer(n), None);
            stopped.extend([(customer(n), "orders"), (customer(n), "offers")]);
        }
        let open = Image { files: files(&kit), now: kit.now };
        kit.crash();
        let closed = Image { files: files(&kit), now: kit.now };
        assert!(open.files.contains_key("outbox.db-wal") && !closed.files.contains_key("outbox.db-wal"));
        Base { images: [open, closed], stopped, settled }
    })
}

/// What was done to the files, in words.
fn mutate(files: &mut BTreeMap<String, Vec<u8>>, random: &mut fastrand::Rng) -> String {
    const DB: &str = "outbox.db";
    const WAL: &str = "outbox.db-wal";
    const LIST: &str = "outbox.db.stops";
    let size = files[DB].len();
    let flip = |bytes: &mut Vec<u8>, random: &mut fastrand::Rng, from: usize, to: usize| {
        let place = random.usize(from..to);
        let bit = 1 << random.u8(0..8);
        bytes[place] ^= bit;
        format!("bit {bit} of byte {place} flipped")
    };
    let done = match random.u32(0..22) {
        0 => {
            let left = random.usize(0..size);
            files.get_mut(DB).unwrap().truncate(left);
            format!("cut to {left}")
        }
        1..=6 => {
            // Anywhere: leaf, interior, overflow, index, freelist.
            let times = random.usize(1..4);
            let bytes = files.get_mut(DB).unwrap();
            (0..times).map(|_| flip(bytes, random, 0, size)).collect::<Vec<_>>().join(", ")
        }
        7 | 8 => flip(files.get_mut(DB).unwrap(), random, 0, 100),
        9 => flip(files.get_mut(DB).unwrap(), random, 100, PAGE),
        10 => {
            // The head of a page: its kind, its cells.
            let page = random.usize(1..size / PAGE);
            flip(files.get_mut(DB).unwrap(), random, page * PAGE, page * PAGE + 12)
        }
        11 | 12 => {
            let (page, pages) = (random.usize(0..size / PAGE), random.usize(1..4));
            let end = (page + pages).min(size / PAGE) * PAGE;
            files.get_mut(DB).unwrap()[page * PAGE..end].fill(if random.bool() { 0 } else { random.u8(..) });
            format!("pages {page}..{} overwritten", end / PAGE)
        }
        13 => {
            // One page in the place of another, as a flash translation layer does it.
            let (from, to) = (random.usize(1..size / PAGE), random.usize(1..size / PAGE));
            files.get_mut(DB).unwrap().copy_within(from * PAGE..(from + 1) * PAGE, to * PAGE);
            format!("page {from} lies also at {to}")
        }
        14 | 15 if files.contains_key(WAL) => {
            let wal = files.get_mut(WAL).unwrap();
            let left = random.usize(0..wal.len());
            wal.truncate(left);
            format!("log cut to {left}")
        }
        16 | 17 if files.contains_key(WAL) => {
            let end = files[WAL].len();
            format!("log: {}", flip(files.get_mut(WAL).unwrap(), random, 0, end))
        }
        18 => {
            let what = ["empty", "zeros", "gone", "foreign", "schema"][random.usize(0..5)];
            match what {
                "empty" => files.get_mut(DB).unwrap().clear(),
                "zeros" => files.get_mut(DB).unwrap().fill(0),
                "gone" => drop(files.remove(DB)),
                "foreign" => drop(files.insert(DB.into(), foreign())),
                _ => files.get_mut(DB).unwrap()[..PAGE].fill(0),
            }
            if random.bool() {
                files.remove(WAL);
            }
            what.to_owned()
        }
        19 => {
            let left = random.usize(0..=files[LIST].len());
            match random.u32(0..3) {
                0 => files.get_mut(LIST).unwrap().truncate(left),
                1 => drop(files.remove(LIST)),
                _ => drop(files.remove("outbox.db.stops.key")),
            }
            format!("list cut to {left}, or it or its key gone")
        }
        20 => {
            // The list and the store: nobody knows who said no.
            files.remove(LIST);
            let left = random.usize(0..size / 2);
            files.get_mut(DB).unwrap().truncate(left);
            format!("list gone, store cut to {left}")
        }
        _ => {
            files.insert("outbox.db-journal".into(), vec![random.u8(..); 2048]);
            files.insert("outbox.db.salvaging".into(), vec![7; 999]);
            files.insert("outbox.db.stops.new".into(), vec![7; 99]);
            if random.bool() {
                files.remove("outbox.db.lock");
            }
            "leftovers".to_owned()
        }
    };
    // The mark may be older, or lost, besides.
    if random.u32(0..4) == 0 {
        files.remove("outbox.db.lock");
        return format!("{done}, no mark");
    }
    done
}

/// Bits of rows and of an index's entries alone: what SQLite believes most.
fn rows(files: &mut BTreeMap<String, Vec<u8>>, random: &mut fastrand::Rng) -> String {
    let bytes = files.get_mut("outbox.db").unwrap();
    let leaves: Vec<usize> =
        (1..bytes.len() / PAGE).map(|page| page * PAGE).filter(|at| [10, 13].contains(&bytes[*at])).collect();
    let two = |bytes: &[u8], at: usize| usize::from(bytes[at]) << 8 | usize::from(bytes[at + 1]);
    let mut done = Vec::new();
    while done.len() < 2 {
        let page = leaves[random.usize(0..leaves.len())];
        let cells = two(bytes, page + 3);
        if cells == 0 {
            continue;
        }
        // Lengths, types, and the numbers in front.
        let cell = page + two(bytes, page + 8 + 2 * random.usize(0..cells));
        let at = (cell + random.usize(0..48)).min(page + 1023);
        let bit = 1 << random.u8(0..8);
        bytes[at] ^= bit;
        done.push(format!("bit {bit} of a row at byte {at} flipped"));
    }
    done.join(", ")
}

fn foreign() -> Vec<u8> {
    let folder = folder();
    let path = folder.path().join("theirs");
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)").unwrap();
    drop(db);
    std::fs::read(path).unwrap()
}

fn put(kit: &Kit, files: &BTreeMap<String, Vec<u8>>) {
    for (name, bytes) in files {
        std::fs::write(kit.folder.path().join(name), bytes).unwrap();
    }
}

/// How many people and lines of the ledger SQLite itself still reads of a mutated store, its schema taken as far as it goes: salvage
/// keeps no fewer.
fn readable(files: &BTreeMap<String, Vec<u8>>) -> [i64; 2] {
    let folder = folder();
    for (name, bytes) in files.iter().filter(|(name, _)| ["outbox.db", "outbox.db-wal"].contains(&name.as_str())) {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let open = || -> rusqlite::Result<rusqlite::Connection> {
        let db = rusqlite::Connection::open(folder.path().join("outbox.db"))?;
        db.execute_batch("PRAGMA writable_schema = ON; PRAGMA locking_mode = EXCLUSIVE")?;
        let _ = db.prepare("SELECT 1 FROM sqlite_schema").map(drop);
        Ok(db)
    };
    let Ok(db) = open() else { return [0; 2] };
    // Each row once, and as it should be: what is read twice or holds something else is nothing that could be kept.
    let count = |sql: &str| db.query_row(sql, [], |row| row.get(0)).unwrap_or(0);
    [
        count(
            "SELECT count(DISTINCT id) FROM person NOT INDEXED
             WHERE id > 0 AND typeof(number) = 'text' AND number GLOB '[1-9]*' AND length(number) BETWEEN 11 AND 13
                 AND number NOT GLOB '*[^0-9]*'",
        ),
        count(
            "SELECT count(DISTINCT id) FROM ledger NOT INDEXED
             WHERE id > 0 AND sender = 1 AND typeof(person) = 'integer' AND person BETWEEN 1 AND 200
                 AND typeof(purpose) = 'text' AND typeof(action) = 'text' AND typeof(source) = 'text'
                 AND typeof(wording) = 'text' AND typeof(event) IN ('text', 'null')
                 AND typeof(at_wall) IN ('integer', 'null') AND typeof(boxed) = 'integer'
                 AND typeof(expires_wall) IN ('integer', 'null')",
        ),
    ]
}

/// Mutations of a kind that set a store aside; people and lines of the ledger that SQLite read of them, and that were kept.
type Yield = BTreeMap<&'static str, (usize, [i64; 2], [i64; 2])>;
static YIELD: Mutex<Yield> = Mutex::new(BTreeMap::new());

/// What a mutation is told as in the line about all.
fn kind(what: &str) -> &'static str {
    let header = what.starts_with("bit ") && !what.contains("row") && what.contains("of byte") && {
        let byte = what.split(' ').nth(4).and_then(|byte| byte.parse().ok());
        byte.is_some_and(|byte: usize| byte < 100)
    };
    let kinds = [
        ("of a row", "rows"),
        ("log", "log"),
        ("list", "list"),
        ("lies also", "pages exchanged"),
        ("overwritten", "pages overwritten"),
        ("cut to", "file cut"),
        ("flipped", "bits"),
    ];
    let found = kinds.iter().find(|(part, _)| what.contains(part)).map_or("file", |(_, kind)| kind);
    if header { "header bits" } else { found }
}

/// What became of a mutation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Seen {
    AtStart,
    Later,
    ListOnly,
    Never,
}

struct Trial {
    kit: Kit,
    base: &'static Base,
    seed: u64,
    what: String,
    random: fastrand::Rng,
    from: usize,
    times: BTreeMap<String, usize>,
    was_held: bool,
    cut_short: bool,
    /// See [`readable`].
    readable: [i64; 2],
}

impl Trial {
    fn new(seed: u64) -> Trial {
        let mut random = fastrand::Rng::with_seed(seed);
        let base = base(seed % 2 == 1);
        let image = &base.images[random.usize(0..2)];
        let mut files = image.files.clone();
        // What no seed that was kept is.
        let what = if seed % 8 == 5 { rows(&mut files, &mut random) } else { mutate(&mut files, &mut random) };
        let mut kit = Kit::cold("64 MiB", "hold");
        kit.key = (seed % 2 == 1).then_some(KEY);
        put(&kit, &files);
        let readable = readable(&files);
        kit.now = image.now + 60_000;
        kit.boot = if random.bool() { "boot-1".into() } else { "boot-2".into() };
        let (times, was_held, cut_short) = (BTreeMap::new(), false, false);
        Trial { kit, base, seed, what, random, from: 0, times, was_held, cut_short, readable }
    }

    fn context(&self) -> String {
        format!("seed {} ({})", self.seed, self.what)
    }

    fn loss(&mut self) -> Option<crate::outbox::Hold> {
        self.kit.engine().soft.holds.iter().find(|hold| hold.key == LOSS).cloned()
    }

    /// Answers what left, and looks at all of it.
    fn live(&mut self, millis: u64) {
        let end = self.kit.now + millis;
        while self.kit.now < end {
            self.judge();
            self.kit.run(2_000);
        }
        self.judge();
    }

    fn judge(&mut self) {
        while self.from < self.kit.sent.len() {
            let sent = self.kit.sent[self.from].clone();
            self.from += 1;
            let context = self.context();
            let purpose = sent.text.split(' ').next().unwrap_or_default();
            // A text whose first word is damaged too may be anything.
            let purposes: Vec<&str> =
                if ["orders", "offers"].contains(&purpose) { vec![purpose] } else { vec!["orders", "offers", "staff"] };
            let said_no = purposes.iter().any(|purpose| self.base.stopped.contains(&(sent.to.clone(), purpose)));
            assert!(!said_no, "{context}: {} said no to {:?}", sent.to, sent.text);
            let left = |loss: &crate::outbox::Hold| MONDAY + sent.at as i64 > loss.since.0;
            if let Some(loss) = self.loss().filter(left) {
                let alarm = [ANA, "+5511987654322"].contains(&sent.to.as_str());
                assert!(alarm, "{context}: {:?} left while everything was held", sent.text);
                assert!(loss.lift != LIFT_ALL, "{context}: {:?} left though nobody knows who said no", sent.text);
            }
            let told = self.kit.told.iter().any(|told| {
                told.event.as_deref() == Some(event(&sent.text)) && told.detail.contains("nothing was heard")
            });
            let again = self.base.settled.contains(&sent.text) || self.times.contains_key(&sent.text);
            let of_it = || {
                self.kit.told.iter().filter(|told| told.event.as_deref() == Some(event(&sent.text))).collect::<Vec<_>>()
            };
            assert!(!again || told, "{context}: {:?} was settled and is sent again: {:?}", sent.text, of_it());
            *self.times.entry(sent.text.clone()).or_default() += 1;
            self.kit.answer(sent.attempt, taken());
        }
    }

    fn play(mut self) -> Seen {
        // Of every fifth the power goes in the middle of a salvage, if there is one: what it had done so far is there.
        if self.seed % 5 == 4 {
            crate::outbox::power::goes_after(Some(fastrand::Rng::with_seed(self.seed).u32(0..12)));
            let (rooms, _) = self.kit.config();
            let opened = crate::outbox::Outbox::open(rooms.outbox, 7);
            crate::outbox::power::goes_after(None);
            if let Err(error) = opened {
                assert!(error.to_string().contains("the power went"), "{}: {error}", self.context());
                self.cut_short = true;
            }
        }
        self.kit.open();
        let mut seen = Seen::Never;
        if self.loss().is_some() {
            seen = Seen::AtStart;
            self.compare();
        }
        self.kit.line = true;
        self.kit.broker_up();
        self.kit.give(vec![Input::Link(Link::UplinkUp(None))]);
        // New events: to somebody who agrees, to somebody who said no and whose till says yes, to the own people.
        let (before, acked) = (self.kit.told.len(), self.kit.acked.len());
        self.kit.order("pos/1/ready", &customer(500), "orders 500 new");
        self.kit.order("pos/1/ready", &customer(1), "orders 1 new");
        self.kit.order("pos/1/urgent", &customer(25), "orders 25 new");
        self.kit.order("pos/1/offer", &customer(18), "offers 18 new");
        self.kit.arrive("node/1/state", r#"{"n": 71, "id": "staff 2"}"#);
        assert_eq!(self.kit.acked.len(), acked + 5, "{}: every event is acknowledged", self.context());
        let told = &self.kit.told[before..];
        let became = |rule: &str, outcome: Outcome| {
            told.iter().any(|told| told.rule.as_deref() == Some(rule) && told.outcome == Some(outcome))
        };
        // A damaged line of the ledger is read as a revocation, of one of the own people as of anybody.
        let (stored, withheld) = (became("state", Outcome::Stored), became("state", Outcome::Withheld));
        let all = became("ready", Outcome::Stored) && (stored || withheld);
        assert!(all, "{}: new events are stored: {told:?}", self.context());
        self.live(60_000);
        let loss = self.loss();
        assert!(stored || loss.is_some(), "{}: why is ana not written to?", self.context());
        if loss.is_some() && seen == Seen::Never {
            seen = Seen::Later;
        }
        let listed = self.kit.told.iter().any(|told| told.detail.contains("made again from the store"));
        if seen == Seen::Never && listed {
            seen = Seen::ListOnly;
        }
        match loss {
            Some(loss) => self.release(loss, seen),
            None => assert!(self.times.contains_key("orders 500 new"), "{}: it works as ever", self.context()),
        }
        CUT_SHORT.fetch_add(usize::from(self.cut_short), Ordering::Relaxed);
        seen
    }

    /// Salvage keeps what SQLite reads. Not each row: one whose key is damaged, or whose person nobody knows, is given up.
    fn compare(&mut self) {
        let count = |table: &str, kit: &mut Kit| -> i64 {
            let sql = format!("SELECT count(*) FROM {table}");
            kit.engine().outbox.raw().query_row(&sql, [], |row| row.get(0)).unwrap()
        };
        let kept = [count("person", &mut self.kit), count("ledger", &mut self.kit)];
        for (kept, readable) in kept.iter().zip(self.readable) {
            assert!(kept * 10 >= (readable - 6) * 9, "{}: {kept} of {readable} are kept", self.context());
        }
        let mut all = YIELD.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let (times, of, sum) = all.entry(kind(&self.what)).or_default();
        *times += 1;
        for place in 0..2 {
            of[place] += self.readable[place];
            sum[place] += kept[place];
        }
    }

    fn release(&mut self, loss: crate::outbox::Hold, seen: Seen) {
        let context = self.context();
        self.was_held = true;
        assert!(self.kit.told.iter().any(|told| told.reason == Reason::StoreDamaged && told.loud), "{context}: told");
        assert!(loss.note.contains("salvaged:"), "{context}: {}", loss.note);
        let verdict = self.kit.engine().judge_record(None, &mut |_, _| {});
        assert!(
            verdict.is_good(),
            "{context}: what is left of the record is whole, or says itself what is lost: {verdict:?}"
        );
        let left = self.times.contains_key("orders 500 new");
        assert!(seen == Seen::Later || !left, "{context}: held");
        let status = self.kit.ask(Request::Status);
        let Reply::Data(status) = status else { panic!("{context}: {status:?}") };
        assert!(status["problems"].to_string().contains("STORE WAS DAMAGED"), "{context}: {status}");
        assert!(self.kit.published.iter().any(|state| state.payload.contains("store-damaged")), "{context}: state");
        // It survives a restart, and a resume does not lift it.
        if self.random.bool() {
            self.kit.restart();
            self.from = self.kit.sent.len().min(self.from);
        }
        self.kit.ask(Request::Resume { target: Target::All, reason: "test".into() });
        assert!(self.loss().is_some(), "{context}: a resume lifts no loss");
        self.live(10_000);
        if loss.lift == LIFT_ALL || self.random.bool() {
            let named = |purpose: &'static str| if purpose == "staff" { "all" } else { purpose };
            let rows = self.base.stopped.iter().map(|(number, purpose)| line(number, named(purpose))).collect();
            let reply = self.kit.ask(Request::ConsentImport { rows, more: false, releases: true });
            assert!(matches!(&reply, Reply::Data(data) if data["released"] == true), "{context}: {reply:?}");
        } else {
            let reply = self.kit.ask(Request::AcceptLoss { reason: "test".into() });
            assert!(matches!(reply, Reply::Data(_)), "{context}: {reply:?}");
        }
        assert!(self.loss().is_none());
        self.kit.order("pos/1/ready", &customer(501), "orders 501 new");
        self.kit.order("pos/1/ready", &customer(17), "orders 17 new");
        self.live(60_000);
        let unknown = self.times.contains_key("orders 501 new") && self.times.contains_key("orders 500 new");
        assert!(unknown, "{context}: it works as ever, {:?}", self.kit.engine().soft.holds);
        self.kit.restart();
        assert!(self.loss().is_none(), "{context}: damaged again: {:?}", self.loss());
    }
}

fn line(number: &str, purpose: &str) -> LedgerLine {
    LedgerLine {
        line: 1,
        number: number.into(),
        purpose: purpose.into(),
        action: "revoke".into(),
        at: String::new(),
        source: "the ledger at head office".into(),
        wording: String::new(),
        expires: String::new(),
    }
}

#[test]
fn damage_of_every_kind_writes_to_nobody_who_said_no() {
    if let Ok(seed) = std::env::var("DAMAGE_SEED") {
        println!("{:?}", Trial::new(seed.parse().unwrap()).play());
        return;
    }
    let seeds: u64 = std::env::var("DAMAGE_SEEDS").map_or(200, |seeds| seeds.parse().unwrap());
    let mut seen: BTreeMap<Seen, usize> = BTreeMap::new();
    let mut failed = Vec::new();
    let first: u64 = std::env::var("DAMAGE_FIRST").map_or(0, |first| first.parse().unwrap());
    for seed in KEPT.iter().copied().chain(first..first + seeds) {
        match std::panic::catch_unwind(|| Trial::new(seed).play()) {
            Ok(how) => *seen.entry(how).or_default() += 1,
            Err(_) => {
                println!("DAMAGE_SEED={seed} failed");
                failed.push(seed);
            }
        }
    }
    let cut_short = CUT_SHORT.load(Ordering::Relaxed);
    println!("{seeds} mutations: {seen:?}; of {cut_short} the power went in the middle of the salvage");
    for (kind, (times, [people, lines], [kept_people, kept_lines])) in YIELD.lock().unwrap().iter() {
        println!(
            "  {kind}, {times} times set aside: people kept {kept_people} of {people} that SQLite reads, lines of the ledger \
             {kept_lines} of {lines}"
        );
    }
    assert!(failed.is_empty(), "failed: DAMAGE_SEED={failed:?} cargo test --lib damage_of_every_kind");
    assert!(seen[&Seen::AtStart] > 0 && seen[&Seen::Later] > 0 && seen[&Seen::ListOnly] > 0 && cut_short > 0);
}

/// What is on the disk when the power goes at each step of a swap: the next start ends it.
#[test]
fn a_salvage_that_is_stopped_anywhere_is_ended_by_the_next_start() {
    let image = &base(false).images[0];
    let mut damaged = image.files.clone();
    damaged.get_mut("outbox.db").unwrap()[..PAGE].fill(0);
    // The whole of it once, to have what it makes.
    let mut kit = Kit::cold("64 MiB", "hold");
    put(&kit, &damaged);
    kit.now = image.now + 60_000;
    kit.open();
    let engine = kit.engine.take();
    drop(engine);
    let ended = files(&kit);
    let aside = ended.keys().find(|name| name.starts_with("outbox.db.damaged-") && !name.ends_with("-wal")).unwrap();
    let finished = aside.replace(".damaged-", ".salvaged-damaged-");
    let (db, wal) = ("outbox.db".to_owned(), "outbox.db-wal".to_owned());
    let made = ended[&db].clone();
    assert_eq!(ended[aside], damaged[&db], "the damaged file is as it was");
    assert_eq!(ended[&format!("{aside}-wal")], damaged[&wal]);
    type Step<'a> = &'a dyn Fn(&mut BTreeMap<String, Vec<u8>>);
    let steps: [Step<'_>; 5] = [
        &|files| drop(files.insert("outbox.db.salvaging".into(), made[..made.len() / 2].to_vec())),
        &|files| drop(files.insert("outbox.db.salvaging".into(), made.clone())),
        &|files| {
            let whole = files.remove("outbox.db.salvaging").unwrap();
            files.insert(finished.clone(), whole);
        },
        &|files| {
            let old = files.remove(&db).unwrap();
            files.insert(aside.clone(), old);
        },
        &|files| {
            let old = files.remove(&wal).unwrap();
            files.insert(format!("{aside}-wal"), old);
        },
    ];
    let mut at = damaged.clone();
    for (place, step) in steps.iter().enumerate() {
        step(&mut at);
        let mut kit = Kit::cold("64 MiB", "hold");
        put(&kit, &at);
        kit.now = image.now + 60_000;
        kit.start();
        kit.run(60_000);
        let held = kit.engine().soft.holds.iter().any(|hold| hold.key == LOSS);
        assert!(held, "step {place}");
        let left = files(&kit);
        assert!(!left.keys().any(|name| name.contains("salvag")), "step {place}: {:?}", left.keys());
        assert_eq!(left[aside], damaged[&db], "step {place}");
        let stopped = |to: &str| base(false).stopped.iter().any(|(number, _)| number == to);
        assert!(kit.sent.iter().all(|sent| !stopped(&sent.to)), "step {place}");
    }
}

#[test]
fn a_store_that_breaks_while_it_works_is_salvaged_and_the_batch_goes_on() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "1");
    revoke(&mut kit, CAIO, None);
    let flight = kit.sent[0].attempt;
    // A row that SQLite takes and that we never wrote.
    let path = kit.folder.path().join("outbox.db");
    kit.engine().outbox.break_rows().unwrap();
    kit.order("pos/1/ready", CAIO, "2");
    kit.order("pos/1/ready", "+5521987650003", "3");
    kit.run(30_000);
    assert_eq!(kit.acked.len(), 3);
    assert!(kit.engine().soft.holds.iter().any(|hold| hold.key == LOSS));
    assert_eq!(kit.texts(), ["1"]);
    // The answer to what was on its way is still one.
    kit.answer(flight, taken());
    assert_eq!(kit.told_times(Outcome::Accepted, Reason::Taken), 1);
    assert_eq!(crate::outbox::set_aside(&path).unwrap().len(), 1);
    kit.ask(Request::AcceptLoss { reason: "test".into() });
    kit.run(60_000);
    assert_eq!(kit.texts(), ["1"], "nobody knows whom the last day reached: nobody new, for a day");
    kit.ask(Request::Resume { target: Target::All, reason: "test".into() });
    kit.run(60_000);
    assert_eq!(kit.texts(), ["1", "3"]);
    assert_eq!(
        kit.ask(Request::AcceptLoss { reason: "twice".into() }),
        Reply::Refused(
            "there is no loss to accept: neither store nor notices lost anything, or it was accepted before".into()
        )
    );
}

#[test]
fn after_a_loss_all_limits_are_spent_and_alarms_to_the_own_people_go() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "1");
    kit.answer_last(taken());
    kit.crash();
    cut(&kit.folder.path().join("outbox.db"), 3_000);
    kit.start();
    let from = kit.now;
    kit.arrive("node/1/state", r#"{"n": 70, "id": "1"}"#);
    kit.order("pos/1/urgent", BIA, "a customer's, however urgent");
    let limits = kit.engine().soft.holds.iter().find(|hold| hold.key == LIMITS).cloned().unwrap();
    assert_eq!(limits.reason, Reason::PairLimit);
    kit.run(17_000);
    assert_eq!(kit.texts(), ["1"], "6 s for each of a burst of 3");
    kit.run(2_000);
    kit.answer_last(taken());
    assert_eq!(kit.sent.len(), 3, "ana and luis");
    assert!(kit.sent[1].at >= from + 17_000);
    let page = kit.ask(Request::OutboxList { outcome: Some("unreadable".into()), before: None, limit: 5 });
    let Reply::Data(page) = page else { panic!() };
    assert_eq!(page["rows"][0]["reason"], "store-damaged", "the loss has a line of its own: {page}");
}

#[test]
fn ids_are_not_given_twice_after_a_loss() {
    let mut kit = Kit::new();
    for n in 0..20 {
        kit.order("pos/1/ready", &customer(n), &n.to_string());
        kit.answer_last(taken());
        kit.run(1_000);
    }
    let last = kit.sent.last().unwrap().attempt;
    let store = kit.engine().outbox.row().store.clone();
    let newest = kit.told.iter().filter_map(|told| told.message).max().unwrap();
    kit.crash();
    std::fs::write(kit.folder.path().join("outbox.db"), b"").unwrap();
    kit.start();
    assert_eq!(kit.engine().outbox.row().store, store);
    kit.arrive("node/1/state", r#"{"n": 70, "id": "1"}"#);
    kit.run(30_000);
    let holds = kit.engine().soft.holds.clone();
    assert!(kit.sent.last().unwrap().attempt > last, "{:?} {holds:?}", kit.told.last());
    assert!(kit.told.iter().filter_map(|told| told.message).max().unwrap() > newest);
}

#[test]
fn a_store_in_the_place_of_another_programs_is_refused_and_ours_is_not() {
    let mut kit = Kit::new();
    kit.crash();
    let path = kit.folder.path().join("outbox.db");
    std::fs::write(&path, foreign()).unwrap();
    kit.start();
    assert!(kit.engine().soft.holds.iter().any(|hold| hold.key == LOSS));
    let theirs = std::fs::read_dir(kit.folder.path())
        .unwrap()
        .filter_map(|file| file.ok())
        .find(|file| file.file_name().to_string_lossy().starts_with("outbox.db.replaced-"));
    assert_eq!(std::fs::read(theirs.unwrap().path()).unwrap(), foreign(), "and nobody deletes it");
    kit.run(Duration::from_secs(40 * 86_400).as_millis() as u64);
    assert_eq!(crate::outbox::set_aside(&path).unwrap(), []);
}

#[test]
fn what_was_set_aside_is_forgotten_in_time() {
    let mut kit = Kit::new();
    let path = kit.folder.path().join("outbox.db");
    let mut all = Vec::new();
    for _ in 0..4 {
        kit.crash();
        cut(&path, 2_000);
        kit.start();
        all.extend(crate::outbox::set_aside(&path).unwrap().pop());
        kit.run(120_000);
    }
    let kept = [all[0].clone(), all[3].clone()];
    assert_eq!(crate::outbox::set_aside(&path).unwrap(), kept, "the oldest, which has the lost rows, and the newest");
    kit.run(Duration::from_secs(31 * 86_400).as_millis() as u64);
    assert_eq!(crate::outbox::set_aside(&path).unwrap(), []);
}

/// The list of stops and its commit: whichever of them the power leaves, nobody who said no is written to.
#[test]
fn a_crash_between_list_and_commit_leaves_a_stop_too_many_and_never_one_too_few() {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "1");
    kit.answer_last(taken());
    let before = files(&kit);
    revoke(&mut kit, BIA, None);
    let revoked = files(&kit);
    grant_again(&mut kit, BIA, "orders");
    let given = files(&kit);
    kit.crash();
    let with = |store: &BTreeMap<String, Vec<u8>>, list: &BTreeMap<String, Vec<u8>>| {
        let mut all = store.clone();
        for name in ["outbox.db.stops", "outbox.db.stops.key"] {
            all.insert(name.into(), list[name].clone());
        }
        all
    };
    // The list is written before a commit that makes it stricter, and after one that makes it milder.
    for (what, files, goes) in [
        ("nothing yet", with(&before, &before), true),
        ("the list, not the commit", with(&before, &revoked), false),
        ("both", with(&revoked, &revoked), false),
        ("given again, the list not yet", with(&given, &revoked), false),
        ("given again", with(&given, &given), true),
    ] {
        let mut kit = Kit::cold("64 MiB", "hold");
        put(&kit, &files);
        kit.now = 60_000;
        kit.start();
        kit.order("pos/1/ready", BIA, "2");
        kit.run(20_000);
        let loss = kit.engine().soft.holds.iter().find(|hold| hold.key == LOSS).cloned();
        assert_eq!(loss, None, "{what}");
        assert_eq!(kit.sent.len(), usize::from(goes), "{what}");
    }
}

fn cut(path: &Path, bytes: u64) {
    std::fs::File::options().write(true).open(path).unwrap().set_len(bytes).unwrap();
}
