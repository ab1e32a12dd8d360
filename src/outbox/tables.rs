//! The tables of a store as salvage reads them, in the order in which they are copied.
//!
//! Floor: rooms. As of the newest schema: whoever appends a step adds its columns here (a test compares). A column of box time is
//! marked as such: salvage keeps it within what can be, and what is learned late of time off is added to it (`redate`).

use super::rows::{Is, Table};
use Is::{Blob, BlobOrNull, Number, NumberOrNull, Since, SinceOrNull, Text, TextOrNull, Until, UntilOrNull};

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
        ("worn_since", Number),
        ("worn", Number),
        ("key_print", BlobOrNull),
    ],
};

pub(super) const SENDER: Table = Table {
    name: "sender",
    key: "id",
    from: "sender WHERE",
    columns: &[("id", Number), ("phone_number_id", Text), ("rate", NumberOrNull), ("rate_since", SinceOrNull)],
};

pub(super) const PERSON: Table =
    Table { name: "person", key: "id", from: "person WHERE", columns: &[("id", Number), ("number", Text)] };

/// Where there is no key its index holds all of it once more.
pub(super) const ALIAS: [Table; 2] = [
    Table {
        name: "alias",
        key: "person",
        from: "alias NOT INDEXED WHERE",
        columns: &[("value", Text), ("kind", Number), ("person", Number), ("rest", BlobOrNull)],
    },
    // By its own key, a text, it can only be read up to the first gap.
    Table {
        name: "alias_value",
        key: "length('')",
        from: "alias INDEXED BY alias_value WHERE",
        columns: &[("value", Text), ("kind", Number), ("person", Number)],
    },
];

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
        ("due", UntilOrNull),
        ("pair_started", Since),
        ("pair_last", Since),
        ("pair_count", Number),
        ("strikes", Number),
        ("held_until", Until),
        ("held_rank", Number),
        ("window_wall", NumberOrNull),
        ("window_since", SinceOrNull),
        ("undeliverable", UntilOrNull),
        ("not_before", UntilOrNull),
        ("marketing_stopped", Number),
        ("wish_wall", NumberOrNull),
        ("stopped_wall", NumberOrNull),
        ("started_wall", NumberOrNull),
        ("recent", Blob),
        ("reached", SinceOrNull),
        ("seen", Since),
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
        ("boxed", Since),
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
        ("due", Until),
        ("tries", Number),
        ("expires", Until),
        ("expires_wall", NumberOrNull),
        ("hold", TextOrNull),
        ("rule", Text),
        ("event", TextOrNull),
        ("topic", Text),
        ("dedupe", NumberOrNull),
        ("subject", TextOrNull),
        ("purpose", Text),
        ("category", Text),
        ("template", Text),
        ("arrived", Since),
        ("arrived_wall", Number),
        ("at_wall", NumberOrNull),
        ("outcome", Text),
        ("reason", Text),
        ("detail", Text),
        ("changed", Since),
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
        ("boxed", Since),
        ("wall", Number),
        ("boot", Text),
        ("spent", Number),
        ("answered", SinceOrNull),
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
        ("boxed", SinceOrNull),
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
        ("since", Since),
        ("since_wall", Number),
        ("until", UntilOrNull),
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
        ("due", UntilOrNull),
        ("account", TextOrNull),
        ("number", TextOrNull),
    ],
};
pub(super) const HEARD: Table = Table {
    name: "heard",
    key: "print",
    from: "heard WHERE",
    columns: &[("print", Number), ("boxed", Since), ("person", Number)],
};

pub(super) const REPEAT: Table = Table {
    name: "repeat",
    key: "slot",
    from: "repeat WHERE",
    columns: &[("slot", Number), ("serial", Number), ("print", Blob), ("oldest", Number), ("newest", Number)],
};

pub(super) const AUDIT: Table = Table {
    name: "audit",
    key: "first",
    from: "audit WHERE",
    columns: &[("first", Number), ("count", Number), ("boxed", Since), ("before", Is::Blob), ("rows", Is::Blob)],
};

/// SQL for a row of each table that holds box time, `time` in each of its columns.
#[cfg(test)]
pub(super) fn rows_at(time: i64) -> String {
    let row = |table: &&Table| {
        let value = |(_, is): &(&str, Is)| match is {
            Number => "1".to_owned(),
            Since | SinceOrNull | Until | UntilOrNull => time.to_string(),
            NumberOrNull | TextOrNull | BlobOrNull => "NULL".to_owned(),
            Text => "''".to_owned(),
            Blob => "x''".to_owned(),
        };
        let values: Vec<String> = table.columns.iter().map(value).collect();
        format!("INSERT OR REPLACE INTO {} ({}) VALUES ({});", table.name, table.names(), values.join(", "))
    };
    super::salvage::tables().iter().filter(|table| table.times().next().is_some()).map(row).collect()
}

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
