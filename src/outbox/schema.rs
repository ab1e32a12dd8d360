//! The tables, their versions, and the way forward from one version to the next.
//!
//! Floor: rooms. To change the schema: append a step; never edit one that was released.

/// `PRAGMA application_id`: "BrLn", so that `file` and technicians recognise the store.
pub(super) const APPLICATION: i32 = 0x4272_4C6E;

/// One step of the schema each; the version is the number of steps.
pub(super) const STEPS: &[&str] = &[V1];

/// `message.state`
pub(super) mod state {
    /// In the queue of its person.
    pub const WAITING: i64 = 0;
    /// On its way.
    pub const POSTED: i64 = 1;
    /// An attempt ended and nobody knows how; waits until `due`.
    pub const UNKNOWN: i64 = 2;
    /// Set aside for the hold in `hold`, so that it holds nobody else.
    pub const PARKED: i64 = 3;
    /// Ended.
    pub const SETTLED: i64 = 4;
}

/// All times are milliseconds: box time, unless the column says `wall`.
///
/// Indexes are partial, so that a settled message costs nothing but its row: device bytes per message are a budget of the design.
const V1: &str = "
CREATE TABLE box (                      -- one row: what the box knows about itself
    one INTEGER PRIMARY KEY CHECK (one = 1),
    store TEXT NOT NULL,                -- random: message ids of two stores never meet
    commits INTEGER NOT NULL,           -- grows by one with each commit: tells after a failed one whether it happened
    boxed INTEGER NOT NULL,             -- box time of the last commit
    mono INTEGER NOT NULL,              -- monotonic clock of the last commit, of boot `boot`
    boot TEXT NOT NULL,
    wall INTEGER NOT NULL,              -- wall clock of the last commit
    trusted INTEGER NOT NULL,           -- whether `wall` was trusted
    receipts_taken INTEGER NOT NULL,    -- receipts up to here were acknowledged by the broker
    filters TEXT NOT NULL,              -- JSON: filters that the broker's session may hold
    audit_rows INTEGER NOT NULL, audit_head BLOB NOT NULL,  -- where the audit record stands
    tail_rows INTEGER NOT NULL, tail BLOB NOT NULL,         -- its last rows, behind the head before them
    worn_since INTEGER NOT NULL, worn INTEGER NOT NULL,     -- bytes that were written to the storage since that wall clock, within its day
    key_print BLOB                      -- of the key that values are sealed with (`seal`); null: none
);
CREATE TABLE sender (
    id INTEGER PRIMARY KEY, phone_number_id TEXT NOT NULL UNIQUE,
    rate INTEGER, rate_since INTEGER    -- messages a second that the platform's last refusal left, and when it was
);
CREATE TABLE person (id INTEGER PRIMARY KEY, number TEXT NOT NULL);
CREATE TABLE alias (                    -- every name a person is known by; kind 0: digits, 1: the platform's user id, 2: somebody
                                        -- who was erased, a hash of the digits for as long as what was sent is counted
                                        -- With a key `value` is what it is found by, and `rest` what makes a name of it (`seal`):
                                        -- what is sealed lies in the order of arrival, and only the index of the former in none
    value TEXT NOT NULL, kind INTEGER NOT NULL, person INTEGER NOT NULL, rest BLOB, PRIMARY KEY (person, kind, value)
) WITHOUT ROWID;
CREATE UNIQUE INDEX alias_value ON alias (value, kind);
CREATE INDEX alias_spent ON alias (person) WHERE kind = 2;
CREATE TABLE lane (                     -- what hangs on one (sender, person)
    sender INTEGER NOT NULL, person INTEGER NOT NULL,
    rank INTEGER NOT NULL DEFAULT 0,    -- priority of the message whose turn is next
    rule TEXT NOT NULL DEFAULT '',      -- its rule: rules take turns
    due INTEGER,                        -- when its turn comes; null: nothing waits, or one is on its way
    pair_started INTEGER NOT NULL DEFAULT 0, pair_last INTEGER NOT NULL DEFAULT 0,
    pair_count INTEGER NOT NULL DEFAULT 0, strikes INTEGER NOT NULL DEFAULT 0,
    held_until INTEGER NOT NULL DEFAULT 0, held_rank INTEGER NOT NULL DEFAULT 0,   -- holds messages of this rank and below
    window_wall INTEGER,                -- end of the 24-hour service window
    window_since INTEGER,               -- when it was opened: at most 24 hours of box time before now, whatever the wall clock says
    undeliverable INTEGER, not_before INTEGER, marketing_stopped INTEGER NOT NULL DEFAULT 0,
    wish_wall INTEGER,                  -- when the person last told the platform to stop or to resume marketing; 9999-12-30: nobody knows when
    stopped_wall INTEGER, started_wall INTEGER,     -- when the person last wrote a stop word, and a start word
    recent BLOB NOT NULL DEFAULT x'',   -- what left lately, as the caps count it
    reached INTEGER,                    -- when a template left last outside the service window
    seen INTEGER NOT NULL DEFAULT 0,    -- when something last happened here, as of the commit before
    PRIMARY KEY (sender, person)
) WITHOUT ROWID;
CREATE INDEX lane_due ON lane (sender, rank, rule, due) WHERE due IS NOT NULL;
CREATE INDEX lane_reached ON lane (sender, reached) WHERE reached IS NOT NULL;
CREATE TABLE ledger (                   -- every grant and revocation, in order
    id INTEGER PRIMARY KEY, sender INTEGER NOT NULL, person INTEGER NOT NULL,
    purpose TEXT NOT NULL,              -- 'all' with a revocation: everything
    action TEXT NOT NULL,               -- grant | revoke
    source TEXT NOT NULL, wording TEXT NOT NULL, event TEXT,
    at_wall INTEGER, boxed INTEGER NOT NULL, expires_wall INTEGER
);
CREATE INDEX ledger_person ON ledger (sender, person);
CREATE INDEX ledger_stated ON ledger (person, purpose) WHERE source = 'configuration';
CREATE INDEX ledger_undated ON ledger (id) WHERE at_wall IS NULL;
CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    state INTEGER NOT NULL,
    sender INTEGER NOT NULL, person INTEGER,    -- no person: an event that could not be handled
    rank INTEGER NOT NULL, due INTEGER NOT NULL, tries INTEGER NOT NULL,
    expires INTEGER NOT NULL, expires_wall INTEGER,
    hold TEXT,
    rule TEXT NOT NULL, event TEXT, topic TEXT NOT NULL,
    dedupe INTEGER, subject TEXT, purpose TEXT NOT NULL, category TEXT NOT NULL, template TEXT NOT NULL,
    arrived INTEGER NOT NULL, arrived_wall INTEGER NOT NULL, at_wall INTEGER,
    outcome TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL,
    changed INTEGER NOT NULL, changed_wall INTEGER NOT NULL, wamid TEXT,
    wamid_hash INTEGER,                 -- by a key (`prints`), of the latest attempt that the platform took: its reports, and answers
                                        -- to it, are found by it
    cut INTEGER NOT NULL DEFAULT 0,     -- something was cut to the platform's length
    print INTEGER                       -- beside dedupe, likewise: the delivery, should the broker send it again after the window
);
CREATE INDEX message_waiting ON message (sender, person, rank, id) WHERE state = 0;
CREATE INDEX message_expiry ON message (state, expires) WHERE state IN (0, 1, 3);
CREATE INDEX message_unknown ON message (due) WHERE state = 2;
CREATE INDEX message_parked ON message (hold, due) WHERE state = 3;
CREATE INDEX message_aside ON message (person) WHERE state = 3;
CREATE INDEX message_gate ON message (hold, due, rule) WHERE state = 3 AND hold IN ('people', 'people:urgent');
CREATE INDEX message_dedupe ON message (person, dedupe) WHERE dedupe IS NOT NULL;
CREATE INDEX message_wamid ON message (person, wamid_hash) WHERE wamid_hash IS NOT NULL;
CREATE INDEX message_subject ON message (person, subject) WHERE subject IS NOT NULL;
CREATE TABLE content (message INTEGER PRIMARY KEY, number TEXT NOT NULL, body TEXT NOT NULL);
CREATE TABLE attempt (
    id INTEGER PRIMARY KEY, message INTEGER NOT NULL, try INTEGER NOT NULL,
    boxed INTEGER NOT NULL, wall INTEGER NOT NULL, boot TEXT NOT NULL,
    spent INTEGER NOT NULL,             -- 0: refunded; 1: spent; 2: spent, and nobody knows whether it arrived; 3: refused, so that
                                        -- only pair and sender are spent
    answered INTEGER, reason TEXT, code INTEGER,
    wamid_hash INTEGER                  -- of the platform's id, as far as an answer or a report told it
);
CREATE INDEX attempt_message ON attempt (message);
CREATE TABLE receipt (
    id INTEGER PRIMARY KEY, message INTEGER, masked TEXT,   -- to whom: the number may be forgotten before it is published
    outcome TEXT NOT NULL, reason TEXT NOT NULL, wall INTEGER NOT NULL,
    person INTEGER, kind TEXT, payload TEXT, boxed INTEGER  -- instead of message: what a person wrote, as it is published
);
CREATE INDEX receipt_inbound ON receipt (boxed) WHERE message IS NULL;
CREATE TABLE heard (                    -- what people wrote, hashed (`prints`): the platform may send it again
    print INTEGER PRIMARY KEY, boxed INTEGER NOT NULL, person INTEGER NOT NULL
);
CREATE INDEX heard_boxed ON heard (boxed);
CREATE TABLE hold (                     -- what stops messages: the number, a template, a rule, a category, a country
    key TEXT PRIMARY KEY, reason TEXT NOT NULL, since INTEGER NOT NULL, since_wall INTEGER NOT NULL,
    until INTEGER, strikes INTEGER NOT NULL, lift TEXT NOT NULL, note TEXT NOT NULL,
    loud INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE audit (                    -- the audit record, in pieces of some rows each; what is newest is `box.tail`
    first INTEGER PRIMARY KEY, count INTEGER NOT NULL, boxed INTEGER NOT NULL, before BLOB NOT NULL, rows BLOB NOT NULL
);
CREATE TABLE health (                   -- what the platform said last about the number
    sender INTEGER PRIMARY KEY, quality TEXT, people INTEGER,   -- people in 24 hours; -1: no limit
    per_second INTEGER, status TEXT NOT NULL, told_wall INTEGER, trouble TEXT NOT NULL,
    due INTEGER,                        -- when it is asked again
    account TEXT, number TEXT           -- what tells our news from another's: the account's id, our number's digits
);
CREATE TABLE repeat (                   -- arrivals without an id (`prints`), and the messages that each made: none, if it made none
    slot INTEGER PRIMARY KEY, serial INTEGER NOT NULL, print BLOB NOT NULL, oldest INTEGER NOT NULL, newest INTEGER NOT NULL
);
";
