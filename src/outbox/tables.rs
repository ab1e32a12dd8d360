//! The tables of a store as salvage reads them, in the order in which they are copied.
//!
//! Floor: rooms. As of the newest schema: whoever appends a step adds its columns here (a test compares).

use super::rows::{Is, Table};
use Is::{Blob, BlobOrNull, Number, NumberOrNull, Text, TextOrNull};

pub(super) const BOX: Table = Table {
    name: "box",
    key: "one",
    from: "box WHERE",
    columns: &[
        ("one", Number),
        ("store", Text),
        ("commits", Number),
        ("boxed", Number),
        ("mono", Number),
        ("boot", Text),
        ("wall", Number),
        ("trusted", Number),
        ("receipts_taken", Number),
        ("filters", Text),
        ("audit_rows", Number),
        ("audit_head", Is::Blob),
        ("tail_rows", Number),
        ("tail", Is::Blob),
        ("key_print", BlobOrNull),
    ],
};

pub(super) const SENDER: Table = Table {
    name: "sender",
    key: "id",
    from: "sender WHERE",
    columns: &[("id", Number), ("phone_number_id", Text), ("rate", NumberOrNull), ("rate_since", NumberOrNull)],
};

pub(super) const PERSON: Table =
    Table { name: "person", key: "id", from: "person WHERE", columns: &[("id", Number), ("number", Text)] };

/// Its index holds all of it once more.
pub(super) const ALIAS: [Table; 2] = [
    Table { name: "alias", key: "person", from: "alias INDEXED BY alias_person WHERE", columns: ALIAS_COLUMNS },
    // By its own key, a text, it can only be read up to the first gap.
    Table { name: "alias", key: "length('')", from: "alias NOT INDEXED WHERE", columns: ALIAS_COLUMNS },
];
const ALIAS_COLUMNS: &[(&str, Is)] = &[("value", Text), ("kind", Number), ("person", Number)];

pub(super) const LANE: Table = Table {
    name: "lane",
    key: "person",
    // The sender comes before it in the key, and there is one.
    from: "lane WHERE sender = 1 AND",
    columns: &[
        ("sender", Number),
        ("person", Number),
        ("rank", Number),
        ("rule", Text),
        ("due", NumberOrNull),
        ("pair_started", Number),
        ("pair_last", Number),
        ("pair_count", Number),
        ("strikes", Number),
        ("held_until", Number),
        ("held_rank", Number),
        ("window_wall", NumberOrNull),
        ("undeliverable", NumberOrNull),
        ("not_before", NumberOrNull),
        ("marketing_stopped", Number),
        ("wish_wall", NumberOrNull),
        ("recent", Blob),
        ("reached", NumberOrNull),
        ("seen", Number),
    ],
};

pub(super) const LEDGER: Table = Table {
    name: "ledger",
    key: "id",
    from: "ledger WHERE",
    columns: &[
        ("id", Number),
        ("sender", Number),
        ("person", Number),
        ("purpose", Text),
        ("action", Text),
        ("source", Text),
        ("wording", Text),
        ("event", TextOrNull),
        ("at_wall", NumberOrNull),
        ("boxed", Number),
        ("expires_wall", NumberOrNull),
    ],
};

pub(super) const MESSAGE: Table = Table {
    name: "message",
    key: "id",
    from: "message WHERE",
    columns: &[
        ("id", Number),
        ("state", Number),
        ("sender", Number),
        ("person", NumberOrNull),
        ("rank", Number),
        ("due", Number),
        ("tries", Number),
        ("expires", Number),
        ("expires_wall", NumberOrNull),
        ("hold", TextOrNull),
        ("rule", Text),
        ("event", TextOrNull),
        ("topic", Text),
        ("dedupe", BlobOrNull),
        ("subject", TextOrNull),
        ("purpose", Text),
        ("category", Text),
        ("template", Text),
        ("arrived", Number),
        ("arrived_wall", Number),
        ("at_wall", NumberOrNull),
        ("outcome", Text),
        ("reason", Text),
        ("detail", Text),
        ("changed", Number),
        ("changed_wall", Number),
        ("wamid", TextOrNull),
        ("wamid_hash", NumberOrNull),
        ("cut", Number),
        ("print", NumberOrNull),
    ],
};

pub(super) const CONTENT: Table = Table {
    name: "content",
    key: "message",
    from: "content WHERE",
    columns: &[("message", Number), ("number", Text), ("body", Text)],
};

pub(super) const ATTEMPT: Table = Table {
    name: "attempt",
    key: "id",
    from: "attempt WHERE",
    columns: &[
        ("id", Number),
        ("message", Number),
        ("try", Number),
        ("boxed", Number),
        ("wall", Number),
        ("boot", Text),
        ("spent", Number),
        ("answered", NumberOrNull),
        ("reason", TextOrNull),
        ("code", NumberOrNull),
        ("wamid_hash", NumberOrNull),
    ],
};

pub(super) const RECEIPT: Table = Table {
    name: "receipt",
    key: "id",
    from: "receipt WHERE",
    columns: &[
        ("id", Number),
        ("message", NumberOrNull),
        ("outcome", Text),
        ("reason", Text),
        ("wall", Number),
        ("person", NumberOrNull),
        ("kind", TextOrNull),
        ("payload", TextOrNull),
        ("boxed", NumberOrNull),
        ("masked", TextOrNull),
    ],
};

pub(super) const HOLD: Table = Table {
    name: "hold",
    // A text is its key: a handful of rows, on one page.
    key: "length('')",
    from: "hold WHERE",
    columns: &[
        ("key", Text),
        ("reason", Text),
        ("since", Number),
        ("since_wall", Number),
        ("until", NumberOrNull),
        ("strikes", Number),
        ("lift", Text),
        ("note", Text),
        ("loud", Number),
    ],
};

pub(super) const HEALTH: Table = Table {
    name: "health",
    key: "sender",
    from: "health WHERE",
    columns: &[
        ("sender", Number),
        ("quality", TextOrNull),
        ("people", NumberOrNull),
        ("per_second", NumberOrNull),
        ("status", Text),
        ("told_wall", NumberOrNull),
        ("trouble", Text),
        ("due", NumberOrNull),
    ],
};
pub(super) const HEARD: Table = Table {
    name: "heard",
    key: "print",
    from: "heard WHERE",
    columns: &[("print", Number), ("boxed", Number), ("person", Number)],
};

pub(super) const REPEAT: Table = Table {
    name: "repeat",
    key: "slot",
    from: "repeat WHERE",
    columns: &[("slot", Number), ("serial", Number), ("print", Blob)],
};

pub(super) const AUDIT: Table = Table {
    name: "audit",
    key: "first",
    from: "audit WHERE",
    columns: &[("first", Number), ("count", Number), ("boxed", Number), ("before", Is::Blob), ("rows", Is::Blob)],
};

#[cfg(test)]
mod tests {
    use super::super::{salvage, schema};
    use std::collections::BTreeMap;

    #[test]
    fn every_table_and_column_of_the_schema_is_here() {
        let db = rusqlite::Connection::open_in_memory().unwrap();
        db.execute_batch(&schema::STEPS.concat()).unwrap();
        let mut query = db
            .prepare(
                "SELECT m.name, c.name FROM sqlite_schema AS m JOIN pragma_table_info(m.name) AS c WHERE m.type = 'table'",
            )
            .unwrap();
        let mut schema: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for row in query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap() {
            let (table, column) = row.unwrap();
            schema.entry(table).or_default().push(column);
        }
        let here = salvage::tables().into_iter();
        let mut here: BTreeMap<String, Vec<String>> = here
            .map(|table| (table.name.to_owned(), table.columns.iter().map(|(name, _)| (*name).to_owned()).collect()))
            .collect();
        schema.values_mut().chain(here.values_mut()).for_each(|columns| columns.sort_unstable());
        assert_eq!(here, schema);
    }
}
