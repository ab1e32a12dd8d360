//! Hashes by which repeats and reports are recognised: by a key, gone with an erasure, and worked out again when the key is lost.

use super::kit::*;
use crate::message::{Notice, Number, Outcome, Progress, Reason, Status, Who, unhex};
use crate::operate::{Reply, Request};
use ring::{digest, hmac};

const WAMID: &str = "wamid.HBgNNTUyMTk4NzY1MDAwMRUCABEYEjlBN0Y";
const AT: i64 = MONDAY + 60_000;

/// Somebody who was written to, and who wrote.
fn conversation() -> Kit {
    let mut kit = Kit::new();
    kit.order("pos/1/ready", BIA, "first");
    kit.answer_last(http(200, &format!(r#"{{"messages": [{{"id": "{WAMID}"}}]}}"#)));
    kit.hear(vec![wrote(&BIA[1..], AT, "obrigada")]);
    kit
}

/// Every way in which SQLite may hold a hash of 8 bytes: as a number of a row, and as its key.
fn encoded(first: [u8; 8]) -> [Vec<u8>; 2] {
    let number = i64::from_le_bytes(first);
    let (mut left, mut varint) = (number as u64, Vec::new());
    if left >> 56 > 0 {
        varint.push(left as u8);
        left >>= 8;
        while varint.len() < 9 {
            varint.push(left as u8 & 0x7f | 0x80);
            left >>= 7;
        }
    } else {
        while left > 0 || varint.is_empty() {
            varint.push(left as u8 & 0x7f | if varint.is_empty() { 0 } else { 0x80 });
            left >>= 7;
        }
    }
    varint.reverse();
    // A small one is kept in six bytes.
    [number.to_be_bytes()[2..].to_vec(), varint]
}

/// Of what was sent, of what was written and of the event, all that may stand in a file, as `hash` makes it of a kind and its parts.
fn prints(person: i64, hash: impl Fn(u8, &[&[u8]]) -> Vec<u8>) -> Vec<Vec<u8>> {
    let heard = format!("wamid.{}.{AT}.obrigada", &BIA[1..]);
    let eight = |wamid: &str| encoded(*hash(18, &[wamid.as_bytes()]).first_chunk().unwrap());
    let event = hash(17, &[b"ready", b"\0", b"first", b"\0", &person.to_le_bytes()]);
    eight(WAMID).into_iter().chain(eight(&heard)).chain([event[..16].to_vec()]).collect()
}

fn keyed(kit: &Kit) -> impl Fn(u8, &[&[u8]]) -> Vec<u8> + use<> {
    let key = std::fs::read_to_string(kit.folder.path().join("outbox.db.stops.key")).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &unhex(key.trim()).unwrap());
    move |kind, parts| hmac::sign(&key, &[&[kind][..], &parts.concat()].concat()).as_ref().to_vec()
}

/// How many of them stand in any file of the store.
fn found(kit: &Kit, prints: &[Vec<u8>]) -> usize {
    let files = std::fs::read_dir(kit.folder.path()).unwrap().map(|file| file.unwrap());
    let ours = files.filter(|file| file.file_name().to_string_lossy().starts_with("outbox.db"));
    let files: Vec<Vec<u8>> = ours.map(|file| std::fs::read(file.path()).unwrap()).collect();
    let stands = |print: &&Vec<u8>| files.iter().any(|file| file.windows(print.len()).any(|part| part == &print[..]));
    prints.iter().filter(stands).count()
}

#[test]
fn nobody_can_test_a_guess_without_the_key_and_an_erased_person_leaves_none_for_whoever_has_it() {
    let mut kit = conversation();
    let person = kit.engine().outbox.people_of(&Number::of_digits(&BIA[1..]).unwrap()).unwrap()[0].0;
    let plain = prints(person, |_, parts| digest::digest(&digest::SHA256, &parts.concat()).as_ref().to_vec());
    let keyed = prints(person, keyed(&kit));
    assert_eq!(found(&kit, &plain), 0);
    // The id of what was sent is no key of a row.
    assert!(found(&kit, &keyed) >= 3, "the search finds what is there: {}", found(&kit, &keyed));
    let reply = kit.ask(Request::ContactErase { numbers: vec![BIA.into()] });
    assert!(matches!(reply, Reply::Data(_)), "{reply:?}");
    assert_eq!(found(&kit, &keyed), 0);
    kit.restart();
    assert_eq!(found(&kit, &keyed), 0);
}

/// Found by reading: what recognises a repeat of an event without an id hashes all that the event said.
#[test]
fn of_events_without_an_id_an_erased_person_leaves_no_print_either() {
    let mut kit = Kit::new();
    let order = |kit: &mut Kit, to: &str, n: &str| {
        kit.arrive("pos/1/ready", &format!(r#"{{"to": "{to}", "opt_in": true, "n": "{n}"}}"#));
        kit.answer_last(taken());
        kit.run(60_000);
    };
    order(&mut kit, BIA, "hers");
    order(&mut kit, CAIO, "his");
    kit.arrive("pos/1/stop", &format!(r#"{{"to": "{BIA}"}}"#));
    let prints = |kit: &mut Kit| kit.count("SELECT count(*) FROM repeat");
    let before = prints(&mut kit);
    assert!(before >= 2);
    let theirs: Vec<u8> = kit
        .engine()
        .outbox
        .raw()
        .query_row("SELECT print FROM repeat ORDER BY serial LIMIT 1", [], |row| row.get(0))
        .unwrap();
    assert_eq!(found(&kit, std::slice::from_ref(&theirs)), 1, "the search finds what is there");
    let reply = kit.ask(Request::ContactErase { numbers: vec![BIA.into()] });
    assert!(matches!(reply, Reply::Data(_)), "{reply:?}");
    assert_eq!(prints(&mut kit), 1, "his alone is left");
    assert_eq!(found(&kit, &[theirs]), 0);
    kit.restart();
    order(&mut kit, BIA, "new");
    assert_eq!(prints(&mut kit), 2);
}

#[test]
fn with_a_lost_key_events_are_still_known_reports_still_find_their_message_and_a_stop_stands() {
    for gone in ["outbox.db.stops.key", "outbox.db.stops"] {
        let mut kit = conversation();
        kit.hear(vec![wrote(&BIA[1..], AT + 1_000, "quero receber mensagens")]);
        kit.hear(vec![wrote(&BIA[1..], AT + 2_000, "parar")]);
        kit.crash();
        std::fs::remove_file(kit.folder.path().join(gone)).unwrap();
        kit.start();
        kit.order("pos/1/ready", BIA, "first");
        kit.run(60_000);
        let times = kit.texts().iter().filter(|text| **text == "first").count();
        assert_eq!((times, kit.told_times(Outcome::Withheld, Reason::ConsentRevoked)), (1, 0), "{gone}: a repeat");
        let status =
            Status { wamid: WAMID.into(), progress: Progress::Delivered, at: None, who: Who::default(), data: None };
        kit.hear(vec![Notice::Status(status)]);
        assert_eq!(kit.stands(1).0, Outcome::Delivered, "{gone}");
        // What was heard before counts as new, and is older than the stop.
        kit.hear(vec![wrote(&BIA[1..], AT + 1_000, "quero receber mensagens")]);
        kit.order("pos/1/ready", BIA, "second");
        assert_eq!(kit.told_times(Outcome::Withheld, Reason::ConsentRevoked), 1, "{gone}");
    }
}

#[test]
fn what_a_person_writes_is_heard_once() {
    let mut kit = conversation();
    let published = kit.published.len();
    kit.hear(vec![wrote(&BIA[1..], AT, "obrigada")]);
    kit.restart();
    kit.hear(vec![wrote(&BIA[1..], AT, "obrigada")]);
    assert!(
        kit.published[published..]
            .iter()
            .all(|publish| !publish.payload.contains("obrigada") || publish.receipt.is_some())
    );
    assert_eq!(kit.count("SELECT count(*) FROM heard"), 1);
}
