//! Media, places and interactive messages (facts 1.2, 1.3): what the API takes, and what the person sees of it.
//!
//! Floor: demo.

use super::json::{Checked, Object};
use super::refusal::Refusal;

/// The object of a media message or parameter, `id` or `link`; a caption only where it is a message of its own.
pub(super) fn media(of: &Object, kind: &str, message: bool) -> Checked<String> {
    let mut known = vec!["id", "link"];
    if message && matches!(kind, "image" | "video" | "document") {
        known.push("caption");
    }
    if kind == "document" {
        known.push("filename");
    }
    if kind == "audio" {
        known.push("voice");
    }
    let media = of.object(kind, &known)?;
    media.maybe_flag("voice")?;
    let caption = media.maybe_text("caption", 1024)?;
    let filename = media.maybe_text("filename", 240)?;
    let source = match (media.maybe_text("id", 512)?, media.maybe_text("link", 2048)?) {
        (Some(id), None) => id,
        (None, Some(link)) if link.starts_with("https://") || link.starts_with("http://") => link,
        (None, Some(_)) => return Err(media.invalid("link", "must be a URL")),
        _ => return Err(Refusal::new(131008, format!("{}: either id or link", media.at))),
    };
    Ok([Some(source), filename, caption].into_iter().flatten().collect::<Vec<_>>().join(" "))
}

/// The object of a location message or parameter. In a template's header name and address must be there.
pub(super) fn location(of: &Object, header: bool) -> Checked<String> {
    let place = of.object("location", &["latitude", "longitude", "name", "address"])?;
    let (latitude, longitude) = (place.degrees("latitude", 90.0)?, place.degrees("longitude", 180.0)?);
    let (name, address) = if header {
        (Some(place.text("name", 1000)?), Some(place.text("address", 1000)?))
    } else {
        (place.maybe_text("name", 1000)?, place.maybe_text("address", 1000)?)
    };
    Ok(format!("{latitude}, {longitude} {} {}", name.unwrap_or_default(), address.unwrap_or_default()).trim().into())
}

/// The `interactive` object: reply buttons, a list, a link, a request for a place. Returns the body's text.
pub(super) fn interactive(request: &Object) -> Checked<String> {
    let whole = request.object("interactive", &["type", "header", "body", "footer", "action"])?;
    let kind = whole.word("type", &["button", "list", "cta_url", "location_request_message"])?;
    let body = whole.object("body", &["text"])?.text("text", if kind == "list" { 4096 } else { 1024 })?;
    if whole.get("footer").is_some() {
        whole.object("footer", &["text"])?.text("text", 60)?;
    }
    if whole.get("header").is_some() {
        let header = whole.object("header", &["type", "text", "image", "video", "document"])?;
        match header.word("type", &["text", "image", "video", "document"])? {
            "text" => drop(header.text("text", 60)?),
            _ if kind == "list" => return Err(header.invalid("type", "must be text for a list")),
            other => drop(media(&header, other, false)?),
        }
    }
    match kind {
        "button" => buttons(&whole.object("action", &["buttons"])?)?,
        "list" => sections(&whole.object("action", &["button", "sections"])?)?,
        "cta_url" => {
            let action = whole.object("action", &["name", "parameters"])?;
            action.word("name", &["cta_url"])?;
            let link = action.object("parameters", &["display_text", "url"])?;
            link.text("display_text", 20)?;
            link.text("url", 2000)?;
        }
        _ => drop(whole.object("action", &["name"])?.word("name", &["send_location"])?),
    }
    Ok(body.to_owned())
}

fn buttons(action: &Object) -> Checked<()> {
    let buttons = action.array("buttons")?;
    if !(1..=3).contains(&buttons.len()) {
        return Err(action.invalid("buttons", "must have one to three"));
    }
    let mut titles = Vec::new();
    for (place, button) in buttons.iter().enumerate() {
        let button = Object::of(button, format!("{}.buttons[{place}]", action.at), &["type", "reply"])?;
        button.word("type", &["reply"])?;
        let reply = button.object("reply", &["id", "title"])?;
        reply.text("id", 256)?;
        let title = reply.text("title", 20)?;
        if titles.contains(&title) {
            return Err(reply.invalid("title", "must be unique"));
        }
        titles.push(title);
    }
    Ok(())
}

fn sections(action: &Object) -> Checked<()> {
    action.text("button", 20)?;
    let sections = action.array("sections")?;
    let mut total = 0;
    for (place, section) in sections.iter().enumerate() {
        let section = Object::of(section, format!("{}.sections[{place}]", action.at), &["title", "rows"])?;
        if sections.len() > 1 {
            section.need("title")?;
        }
        section.maybe_text("title", 24)?;
        let rows = section.array("rows")?;
        total += rows.len();
        for (place, row) in rows.iter().enumerate() {
            let row = Object::of(row, format!("{}.rows[{place}]", section.at), &["id", "title", "description"])?;
            row.text("id", 200)?;
            row.text("title", 24)?;
            row.maybe_text("description", 72)?;
        }
    }
    if !(1..=10).contains(&sections.len()) || !(1..=10).contains(&total) {
        return Err(action.invalid("sections", "must be one to ten, with one to ten rows in total"));
    }
    Ok(())
}
