//! Which branch a platform's update is for: at head office a body is taken apart, and put together again for each branch.
//!
//! Floor: rooms. Copies what it hands on byte by byte; reads no more of it than where it belongs.

use super::envelope::{Change, Entry, OBJECT, Unreadable, entries};
use super::news::WATCHED;
use super::reached::Reached;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// A body for one branch, or for all. Each is one as the platform sends them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Routed {
    /// `branch.id`; `None`: nobody knows which branch it concerns, so every branch hears it.
    pub branch: Option<String>,
    /// JSON.
    pub body: String,
    /// How many updates are in it.
    pub updates: usize,
}

/// A body, taken apart.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Parted {
    /// What goes to the boxes.
    pub bodies: Vec<Routed>,
    /// Parts that have no shape, or changes of a field, that is known. A box reads with the same eyes as this does, so no stop is lost with them; and whose
    /// people they are about nobody knows, so they go nowhere.
    pub unread: usize,
}

/// Takes a body apart: statuses go to the branch that their callback data names (`<branch>/<message>/<event>`), everything else
/// (what people write and wish, news of account, number and templates) to all; what people write with the branch that answers it,
/// where `reached` knows whose message it is about, or who wrote to the person last. The updates for one branch stay in their order;
/// a body grows to `most` bytes, unless one update alone is larger.
///
/// # Errors
/// It is not a body of the platform.
pub fn route(body: &[u8], most: usize, reached: &mut Reached) -> Result<Parted, Unreadable> {
    let entries = entries(body)?;
    let mut bodies = Bodies { most, done: Vec::new(), open: Vec::new(), unread: 0, reached };
    for raw in entries {
        let Some(entry) = bodies.part::<Entry<'_>>(raw) else { continue };
        entry.changes.iter().for_each(|change| bodies.change(&entry, change));
    }
    Ok(bodies.end())
}

/// What a change about people holds: of each member what it is, for one that is odd says nothing about the others.
#[derive(Deserialize)]
struct People<'a> {
    #[serde(borrow)]
    messaging_product: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    contacts: Option<&'a RawValue>,
    #[serde(borrow)]
    statuses: Option<&'a RawValue>,
    #[serde(borrow)]
    messages: Option<&'a RawValue>,
    #[serde(borrow)]
    user_preferences: Option<&'a RawValue>,
}

/// What says where a status belongs, and whom an update is about.
#[derive(Deserialize, Default)]
struct Head {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    context: Value,
    #[serde(default)]
    biz_opaque_callback_data: Value,
    #[serde(default)]
    recipient_id: Value,
    #[serde(default)]
    recipient_user_id: Value,
    #[serde(default)]
    from: Value,
    #[serde(default)]
    from_user_id: Value,
    #[serde(default)]
    wa_id: Value,
    #[serde(default)]
    user_id: Value,
}

struct Bodies<'r> {
    most: usize,
    done: Vec<Routed>,
    /// One for each branch.
    open: Vec<Routed>,
    unread: usize,
    reached: &'r mut Reached,
}

impl Bodies<'_> {
    fn change(&mut self, entry: &Entry<'_>, raw: &RawValue) {
        let Some(change) = self.part::<Change<'_>>(raw) else { return };
        if !matches!(&*change.field, "messages" | "user_preferences") {
            if !WATCHED.contains(&&*change.field) {
                // No box reads it, and it may hold people of any branch (what a telephone sent, an account's history).
                self.unread += 1;
                return;
            }
            return self.put(None, entry.with(raw.get()));
        }
        let Some(value) = self.part::<People<'_>>(change.value) else { return };
        let contacts = value.contacts.and_then(|list| serde_json::from_str::<Vec<&RawValue>>(list.get()).ok());
        let contacts: Vec<(Head, &RawValue)> = contacts.into_iter().flatten().map(|raw| (head(raw), raw)).collect();
        if change.field == "user_preferences" {
            if value.user_preferences.is_none() {
                // The facts (4.5) have the members of one alone.
                return self.put(None, entry.with(raw.get()));
            }
            for wish in self.list(value.user_preferences) {
                let head = head(wish);
                let whom = contact(&contacts, &head.wa_id, &head.user_id);
                self.put(None, entry.with(&value.with(&change.field, "user_preferences", wish, whom, None)));
            }
            return;
        }
        for status in self.list(value.statuses) {
            let head = head(status);
            let branch = head.biz_opaque_callback_data.as_str().and_then(branch_of);
            let whom = contact(&contacts, &head.recipient_id, &head.recipient_user_id);
            if let Some(branch) = branch {
                let names = [&head.id, &head.recipient_id, &head.recipient_user_id];
                names.into_iter().filter_map(Value::as_str).for_each(|name| self.reached.learn(name, branch));
            }
            self.put(branch, entry.with(&value.with(&change.field, "statuses", status, whom, None)));
        }
        for message in self.list(value.messages) {
            let head = head(message);
            let whom = contact(&contacts, &head.from, &head.from_user_id);
            let names = [head.context.get("id"), Some(&head.from), Some(&head.from_user_id)];
            let answers = self.reached.by(names.into_iter().flatten().filter_map(Value::as_str));
            let whole = entry.with(&value.with(&change.field, "messages", message, whom, answers));
            self.put(None, whole);
        }
    }

    /// One part of the body; counted where it is not what it should be.
    fn part<'a, T: Deserialize<'a>>(&mut self, part: &'a RawValue) -> Option<T> {
        let part = serde_json::from_str(part.get()).ok();
        self.unread += usize::from(part.is_none());
        part
    }

    /// The items of a member that is there.
    fn list<'a>(&mut self, list: Option<&'a RawValue>) -> Vec<&'a RawValue> {
        list.and_then(|list| self.part(list)).unwrap_or_default()
    }

    /// Adds an entry of one update.
    fn put(&mut self, branch: Option<&str>, entry: String) {
        let place = self.open.iter().position(|open| open.branch.as_deref() == branch);
        if let Some(place) = place {
            if self.open[place].body.len() + entry.len() < self.most {
                let open = &mut self.open[place];
                open.body.push(',');
                open.body.push_str(&entry);
                open.updates += 1;
                return;
            }
            self.done.push(self.open.swap_remove(place));
        }
        let body = format!(r#"{{"object":"{OBJECT}","entry":[{entry}"#);
        self.open.push(Routed { branch: branch.map(str::to_owned), body, updates: 1 });
    }

    fn end(self) -> Parted {
        let close = |routed: Routed| Routed { body: routed.body + "]}", ..routed };
        Parted { bodies: self.done.into_iter().chain(self.open).map(close).collect(), unread: self.unread }
    }
}

/// `<branch>/<message id>/<event id>`, as a box writes it.
fn branch_of(data: &str) -> Option<&str> {
    let mut parts = data.splitn(3, '/');
    let (branch, message, _) = (parts.next()?, parts.next()?, parts.next()?);
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    // "all" is no branch: its topic is everybody's.
    (branch != "all" && (1..=32).contains(&branch.len()) && branch.bytes().all(is_name) && message.contains('-'))
        .then_some(branch)
}

fn head(update: &RawValue) -> Head {
    serde_json::from_str(update.get()).unwrap_or_default()
}

/// The contact of the person whom an update is about: others are nobody's business there.
fn contact<'a>(contacts: &[(Head, &'a RawValue)], number: &Value, user: &Value) -> Option<&'a RawValue> {
    let same = |one: &Value, other: &Value| one.is_string() && one == other;
    let of = |(contact, _): &&(Head, &RawValue)| same(&contact.wa_id, number) || same(&contact.user_id, user);
    contacts.iter().find(of).map(|(_, raw)| *raw)
}

/// A member of an object with its comma, where it is there.
fn member(name: &str, value: Option<&RawValue>) -> String {
    value.map_or_else(String::new, |value| format!(r#""{name}":{value},"#))
}

impl Entry<'_> {
    fn with(&self, change: &str) -> String {
        format!(r#"{{{}{}"changes":[{change}]}}"#, member("id", self.id), member("time", self.time))
    }
}

impl People<'_> {
    fn with(
        &self,
        field: &str,
        kind: &str,
        item: &RawValue,
        contact: Option<&RawValue>,
        answers: Option<&str>,
    ) -> String {
        let contacts = contact.map_or_else(String::new, |contact| format!(r#""contacts":[{contact}],"#));
        // The name of a branch has no character that JSON would write otherwise.
        let answers = answers.map_or_else(String::new, |branch| format!(r#","answers":"{branch}""#));
        format!(
            r#"{{"field":"{field}"{answers},"value":{{{}{}{contacts}"{kind}":[{item}]}}}}"#,
            member("messaging_product", self.messaging_product),
            member("metadata", self.metadata)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Notice;
    use serde_json::json;

    const NUMBER: &str = "106540352242922";

    fn status(id: &str, data: &str, to: &str) -> Value {
        json!({ "id": id, "status": "delivered", "timestamp": "1763800000", "recipient_id": to, "biz_opaque_callback_data": data })
    }

    fn body(changes: &[(&str, Value)]) -> Vec<u8> {
        let changes: Vec<Value> = changes
            .iter()
            .map(|(field, value)| {
                let mut value = value.clone();
                if *field == "messages" {
                    value["messaging_product"] = json!("whatsapp");
                    value["metadata"] = json!({ "phone_number_id": NUMBER });
                }
                json!({ "field": field, "value": value })
            })
            .collect();
        json!({ "object": OBJECT, "entry": [{ "id": "102", "time": 1_763_800_001, "changes": changes }] })
            .to_string()
            .into_bytes()
    }

    fn read(routed: &Routed) -> Vec<Notice> {
        let read = super::super::notices(routed.body.as_bytes(), NUMBER).unwrap();
        assert_eq!((read.skipped, read.notices.len()), (0, routed.updates), "{}", routed.body);
        read.notices.into_iter().map(|update| update.notice).collect()
    }

    #[test]
    fn a_batch_is_split_by_branch_and_nothing_is_lost_or_shared() {
        let contact = |wa_id: &str| json!({ "wa_id": wa_id, "profile": { "name": wa_id } });
        let whole = body(&[
            (
                "messages",
                json!({ "statuses": [
                    status("w1", "sp-042/k3f9-1/e1", "551"),
                    status("w2", "rj-7/zzzz-9/e/with/slashes", "552"),
                    status("w3", "sp-042/k3f9-2/e2", "553"),
                    status("w4", "somebody else's", "554"),
                    { "id": "w5", "status": "sent", "timestamp": 1, "recipient_user_id": "BR.1" },
                ], "contacts": [contact("551"), contact("552"), contact("553")] }),
            ),
            (
                "messages",
                json!({ "messages": [{ "from": "555", "id": "in1", "timestamp": "1", "type": "text", "text": { "body": "PARAR" } }],
                    "contacts": [contact("555")] }),
            ),
            ("user_preferences", json!({ "wa_id": "556", "category": "marketing_messages", "value": "stop" })),
            ("account_update", json!({ "event": "ACCOUNT_DELETED" })),
        ]);
        let routed = route(&whole, 64 * 1024, &mut Reached::default()).unwrap().bodies;
        let of = |branch: Option<&str>| routed.iter().find(|routed| routed.branch.as_deref() == branch).unwrap();
        assert_eq!(routed.len(), 3);
        let ids = |notices: &[Notice]| -> Vec<String> {
            let id = |notice: &Notice| match notice {
                Notice::Status(status) => Some(status.wamid.clone()),
                _ => None,
            };
            notices.iter().filter_map(id).collect()
        };
        assert_eq!(ids(&read(of(Some("sp-042")))), ["w1", "w3"]);
        assert_eq!(ids(&read(of(Some("rj-7")))), ["w2"]);
        assert_eq!((ids(&read(of(None))), of(None).updates), (vec!["w4".to_owned(), "w5".to_owned()], 5));
        let sao_paulo = &of(Some("sp-042")).body;
        assert!(sao_paulo.contains("551") && !sao_paulo.contains("552"), "no branch hears of another's people");
        let entry: Value = serde_json::from_str(sao_paulo).unwrap();
        assert_eq!((&entry["entry"][0]["id"], &entry["entry"][0]["time"]), (&json!("102"), &json!(1_763_800_001)));
        assert_eq!(entry["entry"][0]["changes"][0]["value"]["contacts"], json!([contact("551")]));
    }

    /// Every box hears what people write, and one of them answers it: whose message it answers, else who wrote last.
    #[test]
    fn what_somebody_writes_names_the_branch_that_answers_it() {
        let mut reached = Reached::default();
        let mut route =
            |field: &str, value: Value| super::route(&body(&[(field, value)]), 64 * 1024, &mut reached).unwrap().bodies;
        let mut answers = |says: Value| -> Option<String> {
            let mut message = json!({ "id": "in1", "timestamp": "1", "type": "text", "text": { "body": "PARAR" } });
            says.as_object().unwrap().iter().for_each(|(key, value)| message[key] = value.clone());
            let routed = route(
                "messages",
                json!({ "messages": [message], "statuses": [
                status("w1", "sp-042/k3f9-1/e1", "551"),
                status("w2", "rj-7/zzzz-9/e2", "551"),
                status("w3", "not/a box's", "551"),
                status("w4", "sp-042/k3f9-2/e3", "552"),
                { "id": "w5", "status": "sent", "timestamp": 1, "recipient_user_id": "BR.1",
                    "biz_opaque_callback_data": "rj-7/zzzz-8/e" },
            ] }),
            );
            let [Notice::Inbound(inbound)] = &read(routed.iter().find(|routed| routed.branch.is_none()).unwrap())[1..]
            else {
                panic!("{routed:?}")
            };
            inbound.answers.clone()
        };
        for (says, branch) in [
            (json!({ "from": "551" }), Some("rj-7")),
            (json!({ "from": "552" }), Some("sp-042")),
            (json!({ "from": "551", "context": { "from": "558", "id": "w1" } }), Some("sp-042")),
            (json!({ "from": "551", "context": { "id": "of nobody" } }), Some("rj-7")),
            (json!({ "from": "551", "context": { "forwarded": true } }), Some("rj-7")),
            (json!({ "from_user_id": "BR.1" }), Some("rj-7")),
            (json!({ "from": "553" }), None),
        ] {
            assert_eq!(answers(says.clone()).as_deref(), branch, "{says}");
        }
    }

    #[test]
    fn bodies_stay_below_the_bound_and_keep_their_order() {
        let statuses: Vec<Value> =
            (0..1000).map(|n| status(&format!("w{n}"), &format!("sp-042/k3f9-{n}/e"), "551")).collect();
        let whole = body(&[("messages", json!({ "statuses": statuses }))]);
        let routed = route(&whole, 16 * 1024, &mut Reached::default()).unwrap().bodies;
        assert!(routed.len() > 5 && routed.iter().all(|routed| routed.body.len() <= 16 * 1024 + 2));
        let mut at = 0;
        for notice in routed.iter().flat_map(read) {
            let Notice::Status(status) = notice else { panic!("a status") };
            assert_eq!(status.wamid, format!("w{at}"));
            at += 1;
        }
        assert_eq!(at, 1000);
    }

    #[test]
    fn only_a_boxs_own_callback_data_names_a_branch() {
        for (data, branch) in [
            ("sp-042/k3f9-1042/e-1", Some("sp-042")),
            ("sp-042/k3f9-1042/", Some("sp-042")),
            ("sp-042/k3f9-1042", None),
            ("all/k3f9-1/e", None),
            ("SP/k3f9-1/e", None),
            ("+/k3f9-1/e", None),
            ("a#b/k3f9-1/e", None),
            ("/k3f9-1/e", None),
            ("orders/42/x", None),
            ("", None),
        ] {
            assert_eq!(branch_of(data), branch, "{data}");
        }
        assert_eq!(branch_of(&format!("{}/a-1/e", "x".repeat(33))), None);
    }

    /// A `null` beside the updates sent the people of all branches to every branch, and a body of them that was
    /// large nowhere.
    #[test]
    fn an_odd_member_beside_the_updates_neither_shares_nor_loses_them() {
        let statuses = [status("w1", "sp-042/k3f9-1/e1", "551"), status("w2", "rj-7/zzzz-9/e", "552")];
        let stop =
            json!([{ "from": "555", "id": "in1", "timestamp": "1", "type": "text", "text": { "body": "PARAR" } }]);
        for odd in [json!(null), json!({}), json!("x"), json!(7)] {
            for member in ["contacts", "statuses", "messages"] {
                let mut value = json!({ "contacts": [{ "wa_id": "551" }], "statuses": statuses, "messages": stop });
                value[member] = odd.clone();
                let parted = route(&body(&[("messages", value)]), 64 * 1024, &mut Reached::default()).unwrap();
                let of = |branch: Option<&str>| parted.bodies.iter().find(|part| part.branch.as_deref() == branch);
                assert_eq!(of(Some("sp-042")).is_some(), member != "statuses", "{member}: {odd}");
                if let Some(ours) = of(Some("sp-042")) {
                    assert!(read(ours).len() == 1 && !ours.body.contains("552"), "{}", ours.body);
                }
                match of(None) {
                    Some(all) => assert!(matches!(read(all)[..], [Notice::Inbound(_)]), "{}", all.body),
                    None => assert_eq!(member, "messages"),
                }
                assert_eq!(parted.unread, usize::from(member != "contacts" && !odd.is_null()), "{member}: {odd}");
            }
        }
        let odd = json!({ "id": "w1", "status": "read", "timestamp": 1, "recipient_id": 551, "recipient_user_id": 7, "context": 3,
            "biz_opaque_callback_data": "sp-042/k3f9-1/e1" });
        let parted =
            route(&body(&[("messages", json!({ "statuses": [odd] }))]), 1024, &mut Reached::default()).unwrap();
        assert_eq!(parted.bodies[0].branch.as_deref(), Some("sp-042"), "an odd id sends no status to everybody");
    }

    #[test]
    fn many_wishes_are_split_and_each_reaches_every_branch() {
        let wish = |n: usize| json!({ "wa_id": format!("55{n}"), "category": "marketing_messages", "value": "stop", "timestamp": 1 });
        let wishes: Vec<Value> = (0..1000).map(wish).collect();
        let contacts = json!([{ "wa_id": "551", "profile": { "name": "Ana" } }]);
        let whole = body(&[("user_preferences", json!({ "user_preferences": wishes, "contacts": contacts }))]);
        let parted = route(&whole, 16 * 1024, &mut Reached::default()).unwrap();
        assert!(parted.bodies.iter().all(|part| part.branch.is_none() && part.body.len() <= 16 * 1024 + 2));
        let read: Vec<Notice> = parted.bodies.iter().flat_map(read).collect();
        assert!(read.len() == 1000 && read.iter().all(|wish| matches!(wish, Notice::Marketing { stop: true, .. })));
        assert_eq!(parted.bodies.iter().filter(|part| part.body.contains("Ana")).count(), 1);
    }

    /// The changes of any field went to all branches as they were, with whoever is in them.
    #[test]
    fn changes_of_a_field_that_no_box_reads_go_nowhere() {
        let echo = json!({ "message_echoes": [{ "from": "558", "to": "551", "text": { "body": "Oi Ana" } }] });
        let mut changes = vec![("smb_message_echoes", echo.clone()), ("history", echo), ("flows", json!({}))];
        changes.extend(WATCHED.map(|field| (field, json!({ "event": "x" }))));
        let parted = route(&body(&changes), 64 * 1024, &mut Reached::default()).unwrap();
        assert_eq!(parted.unread, 3);
        assert_eq!(parted.bodies.iter().map(|part| part.updates).sum::<usize>(), WATCHED.len());
        assert!(parted.bodies.iter().all(|part| part.branch.is_none() && !part.body.contains("Ana")));
    }

    #[test]
    fn what_no_box_could_read_goes_nowhere() {
        let odd = json!({ "object": OBJECT, "entry": [7, { "changes": [4, { "field": "messages", "value": "551" },
            { "field": "messages", "value": { "errors": [] } }] }] });
        assert_eq!(super::super::notices(odd.to_string().as_bytes(), NUMBER).unwrap().notices, []);
        let parted = route(odd.to_string().as_bytes(), 1024, &mut Reached::default()).unwrap();
        assert_eq!(parted, Parted { bodies: vec![], unread: 3 });
        for wrong in ["", "{}", "[]", "null", r#"{"object":"page","entry":[]}"#] {
            assert_eq!(route(wrong.as_bytes(), 1024, &mut Reached::default()), Err(Unreadable), "{wrong:?}");
        }
        assert_eq!(
            route(format!(r#"{{"object":"{OBJECT}","entry":[]}}"#).as_bytes(), 1024, &mut Reached::default()),
            Ok(Parted::default())
        );
    }
}
