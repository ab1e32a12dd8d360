//! Every bound of the house, each with its derivation and, where it depends on another, an assertion.
//!
//! Floor: words. Nothing here is configuration: these are the constants by which memory stays bounded.

/// Bytes of the largest payload that is read (`mqtt.max_payload`, default). Larger ones are recorded by size and hash.
pub const PAYLOAD: usize = 16 * 1024;
/// Bytes of one configuration file: some thousand rules, at below 1 KiB each as in the examples.
pub const CONFIG_FILE: usize = 1024 * 1024;
/// Bytes of a file that the configuration names, a certificate, key or secret: all public authorities together are some 220 KiB.
pub const NAMED_FILE: usize = 1024 * 1024;
/// Bytes of `templates.file`: the 6,000 templates of a verified business (facts 1.4), at 1.3 KiB each as the platform lists them.
pub const TEMPLATE_LIST: usize = 8 * 1024 * 1024;
/// Unacknowledged QoS 1 arrivals (`mqtt.receive_maximum`, default): with `PAYLOAD`, at most 4 MiB wait in memory.
pub const RECEIVE: usize = 256;
const _: () = assert!(RECEIVE * PAYLOAD <= 4 * 1024 * 1024);
/// The most that `mqtt.receive_maximum` may be set to: the packet identifier's room halved, so that DUP records stay apart.
pub const RECEIVE_MAX: usize = 4096;
/// QoS 0 arrivals that may wait: a quarter of the QoS 1 room; more are dropped and counted.
pub const RECEIVE_QOS0: usize = RECEIVE / 4;
/// Posts in flight (`uplink.max_in_flight`, default).
pub const IN_FLIGHT: usize = 32;
/// The most that `uplink.max_in_flight` may be set to: HTTP/2 servers commonly allow 100 to 256 streams.
pub const IN_FLIGHT_MAX: usize = 256;
/// Operator requests that may wait for the engine; more are answered "busy".
pub const OPERATORS: usize = 16;
/// Receipts that are published and not yet acknowledged by the broker.
pub const RECEIPTS_IN_FLIGHT: usize = 16;
/// Inputs that one commit takes: at 7 KiB a message (facts: device bytes at 20 to 100 a commit) about 2 MiB of write-ahead log.
pub const BATCH: usize = 256;
/// Bytes that a message may write on its way from arrival to its outcome: the design's budget.
pub const MESSAGE_WRITES: u64 = 32 * 1024;
/// Bytes of the store that one message may take: a body of `RENDERED` and as much again in its topic, its subject, its rows and their
/// indexes. Whatever `mqtt.max_payload` is: of a payload only the texts that rules made of it are kept.
pub const MESSAGE_ROWS: u64 = 4 * RENDERED as u64;
/// Bytes of the store that an attempt and its outcome may add. Rows of the message and the attempt grow, a receipt, two names of the
/// person and a hold are new, and the turn moves: eight trees, of which each may split a page or two of 512 bytes.
pub const OUTCOME: u64 = 8 * 1024;
/// Bytes of the store without any message: its tables, and what is remembered of `REPEATS` arrivals.
pub const EMPTY_STORE: u64 = 128 * 1024;
/// Bytes that the write-ahead log's file keeps between checkpoints. A checkpoint writes each page once that was touched since the last
/// one, and with it the whole block of the file system: measured on blocks of 4 KiB, 2 MiB instead of 1 take 1 to 2 KiB less of device a
/// message. 4 take half a KiB less where many come together and as much more singly, while the file grows; and what a start has
/// to read, and a bad sector of the log can spoil, is twice as much.
pub const JOURNAL: u64 = 2 * 1024 * 1024;
/// Bytes of log after which a checkpoint is due: the commit that reaches them ends before `JOURNAL`, unless many messages come
/// together, so that the file is neither made longer nor cut, of which the file system would keep a record with each commit.
pub const CHECKPOINT: u64 = JOURNAL / 8 * 7;
/// Bytes of an answer body that are read; the API's own are below 2 KiB.
pub const ANSWER: usize = 64 * 1024;
/// Bytes of the answer to a question about the number or its templates: a page of 100 templates has some 20 KB, or 100 KB where every
/// name is of the platform's longest, 512 characters.
pub const LOOK: usize = 128 * 1024;
/// Bytes of a webhook's body (facts 4.1: 3 MB, with up to 1,000 updates).
pub const NOTICE: usize = 3_000_000;
/// Bodies of notices that may wait for the engine, of each way that they come by: 32 small ones and a large one at a time.
pub const NOTICES: usize = 33;
/// Bytes of a packet of the notice topic: what is larger the broker keeps away. Head office makes bodies of `FORWARDED` bytes, which
/// JSON inside JSON at most doubles; one update alone may be larger.
pub const NOTICE_PACKET: usize = 256 * 1024;
/// Bytes to which a body for a branch grows at head office.
pub const FORWARDED: usize = 64 * 1024;
const _: () = assert!(2 * FORWARDED < NOTICE_PACKET);
/// Notices of the notice topic that are with the engine at once: with `NOTICE_PACKET`, 2 MiB.
pub const NOTICE_WINDOW: usize = 8;
/// Bytes of an event id; longer ones are replaced by their hash.
pub const EVENT_ID: usize = 128;
/// Arrivals without an id that are remembered, to recognise what the broker marks as a repeat.
pub const REPEATS: usize = 1024;
/// `limits.sender_per_second` at the most: the platform's highest level (facts 2.1).
pub const SENDER_PER_SECOND_MAX: usize = 1000;
/// Recipients that one rule may name for one event (a contact group and lists together).
pub const RECIPIENTS: usize = 256;
/// Steps that one expression or template may take.
pub const FUEL: u64 = 20_000;
/// Bytes that one rendered text may have: the API's longest text is 4,096 characters of at most 4 bytes.
pub const RENDERED: usize = 16 * 1024;
/// Characters of a text message (facts 1.2).
pub const TEXT: usize = 4096;
/// Characters of a filled-in template body (facts 1.4).
pub const TEMPLATE_BODY: usize = 1024;
/// Characters of a filled-in template header text (facts 1.4).
pub const TEMPLATE_HEADER: usize = 60;
/// Characters of `biz_opaque_callback_data` (facts 1.1).
pub const CALLBACK_DATA: usize = 512;
/// `branch.id` (32) + two slashes + message id (≤ 32) + event id must fit the callback data.
const _: () = assert!(32 + 1 + 32 + 1 + EVENT_ID <= CALLBACK_DATA);
/// Lines of "last events" that the status shows.
pub const LAST_EVENTS: usize = 32;
/// The longest window of an own cap: for so long it is kept when a person was written to.
pub const CAP_WINDOW: std::time::Duration = std::time::Duration::from_secs(31 * 24 * 60 * 60);
