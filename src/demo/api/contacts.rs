//! Contacts messages (facts 1.2): vCards as JSON.
//!
//! Floor: demo.

use super::json::{Checked, Object};

/// The documents state no lengths; an address book holds no longer ones.
const LONG: usize = 1000;

/// The `contacts` array: their names.
pub(super) fn contacts(request: &Object) -> Checked<String> {
    let known = ["addresses", "birthday", "emails", "name", "org", "phones", "urls"];
    let contacts = request.objects("contacts", 257, &known)?;
    let names: Checked<Vec<&str>> = contacts.iter().map(contact).collect();
    Ok(names?.join(", "))
}

fn contact<'a>(contact: &Object<'a>) -> Checked<&'a str> {
    for address in
        contact.maybe_objects("addresses", &["street", "city", "state", "zip", "country", "country_code", "type"])?
    {
        texts(&address, &["street", "city", "state", "zip", "country", "type"])?;
        if let Some(code) = address.maybe_text("country_code", 2)?
            && !(code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_alphabetic()))
        {
            return Err(address.invalid("country_code", "must be two letters"));
        }
    }
    if let Some(birthday) = contact.maybe_text("birthday", 10)?
        && birthday.parse::<jiff::civil::Date>().ok().map(|date| date.to_string()).as_deref() != Some(birthday)
    {
        return Err(contact.invalid("birthday", "must be a date, YYYY-MM-DD"));
    }
    for email in contact.maybe_objects("emails", &["email", "type"])? {
        email.maybe_text("type", LONG)?;
        if !email.text("email", 320)?.split_once('@').is_some_and(|(who, host)| !who.is_empty() && !host.is_empty()) {
            return Err(email.invalid("email", "must be an e-mail address"));
        }
    }
    if let Some(org) = contact.maybe_object("org", &["company", "department", "title"])? {
        texts(&org, &["company", "department", "title"])?;
    }
    for phone in contact.maybe_objects("phones", &["phone", "type", "wa_id"])? {
        texts(&phone, &["phone", "type"])?;
        if phone.get("wa_id").is_some() {
            phone.id("wa_id")?;
        }
    }
    for url in contact.maybe_objects("urls", &["url", "type"])? {
        texts(&url, &["url", "type"])?;
    }
    let parts = ["first_name", "last_name", "middle_name", "suffix", "prefix"];
    let name = contact.object("name", &[&["formatted_name"], &parts[..]].concat())?;
    texts(&name, &parts)?;
    name.text("formatted_name", LONG)
}

fn texts(of: &Object, names: &[&str]) -> Checked<()> {
    names.iter().try_for_each(|name| of.maybe_text(name, LONG).map(drop))
}
