//! Interactive messages (facts 1.3): reply buttons, a list, a link, a Flow, a request for a place.
//!
//! Floor: demo. Products, catalogues, carousels, calls and addresses are refused: the facts state no limits of theirs.

use super::json::{Checked, Object};
use super::media::{Place, media};
use super::refusal::Refusal;

/// The `interactive` object. Returns the body's text.
pub(super) fn interactive(request: &Object) -> Checked<String> {
    let kinds = &["button", "list", "cta_url", "flow", "location_request_message"];
    let kind = request.object("interactive", &["type", "header", "body", "footer", "action"])?.word("type", kinds)?;
    // A request for a place is its body and the button (facts 1.3): there is no place for more.
    let known: &[&str] = match kind {
        "location_request_message" => &["type", "body", "action"],
        _ => &["type", "header", "body", "footer", "action"],
    };
    let whole = request.object("interactive", known)?;
    let body = whole.object("body", &["text"])?.text("text", if kind == "list" { 4096 } else { 1024 })?;
    if let Some(footer) = whole.maybe_object("footer", &["text"])? {
        footer.text("text", 60)?;
    }
    if whole.get("header").is_some() {
        header(&whole, kind)?;
    }
    match kind {
        "button" => buttons(&whole.object("action", &["buttons"])?)?,
        "list" => sections(&whole.object("action", &["button", "sections"])?)?,
        "cta_url" => {
            let action = whole.object("action", &["name", "parameters"])?;
            action.word("name", &["cta_url"])?;
            let link = action.object("parameters", &["display_text", "url"])?;
            link.text("display_text", 20)?;
            link.url("url", &["https", "http"])?;
        }
        "flow" => flow(&whole.object("action", &["name", "parameters"])?)?,
        _ => drop(whole.object("action", &["name"])?.word("name", &["send_location"])?),
    }
    Ok(body.to_owned())
}

fn header(whole: &Object, kind: &str) -> Checked<()> {
    let header = whole.object("header", &["type", "text", "image", "video", "document"])?;
    let sort = header.word("type", &["text", "image", "video", "document"])?;
    if kind == "list" && sort != "text" {
        return Err(header.invalid("type", "must be text for a list"));
    }
    let header = whole.object("header", &["type", sort])?;
    match sort {
        "text" => drop(header.text("text", 60)?),
        sort => drop(media(&header, sort, Place::Header)?),
    }
    Ok(())
}

fn buttons(action: &Object) -> Checked<()> {
    let (mut titles, mut ids) = (Vec::new(), Vec::new());
    for button in action.objects("buttons", 3, &["type", "reply"])? {
        button.word("type", &["reply"])?;
        let reply = button.object("reply", &["id", "title"])?;
        // [?] Only the titles are said to be unique; two equal ids could not be told apart when one is pressed.
        unique(&reply, "id", reply.text("id", 256)?, &mut ids)?;
        unique(&reply, "title", reply.text("title", 20)?, &mut titles)?;
    }
    Ok(())
}

fn sections(action: &Object) -> Checked<()> {
    action.text("button", 20)?;
    let sections = action.objects("sections", 10, &["title", "rows"])?;
    let mut ids = Vec::new();
    for section in &sections {
        if sections.len() > 1 {
            section.need("title")?;
        }
        section.maybe_text("title", 24)?;
        for row in section.objects("rows", 10, &["id", "title", "description"])? {
            // [?] As with buttons.
            unique(&row, "id", row.text("id", 200)?, &mut ids)?;
            row.text("title", 24)?;
            row.maybe_text("description", 72)?;
        }
    }
    if ids.len() > 10 {
        return Err(action.invalid("sections", &format!("must have 1 to 10 rows in total, and have {}", ids.len())));
    }
    Ok(())
}

fn flow(action: &Object) -> Checked<()> {
    action.word("name", &["flow"])?;
    let known = [
        "flow_message_version",
        "flow_id",
        "flow_name",
        "flow_cta",
        "mode",
        "flow_token",
        "flow_action",
        "flow_action_payload",
    ];
    let flow = action.object("parameters", &known)?;
    flow.word("flow_message_version", &["3"])?;
    match (flow.get("flow_id"), flow.get("flow_name")) {
        (Some(_), None) => drop(flow.id("flow_id")?),
        (None, Some(_)) => drop(flow.text("flow_name", 200)?),
        _ => return Err(Refusal::new(131008, format!("{}: either flow_id or flow_name is required", flow.at))),
    }
    // [?] 30 characters and no emoji are advised; here they are the rule.
    let label = flow.text("flow_cta", 30)?;
    if label.chars().any(pictured) {
        return Err(flow.invalid("flow_cta", "must have no emoji"));
    }
    if flow.get("mode").is_some() {
        flow.word("mode", &["draft", "published"])?;
    }
    flow.maybe_text("flow_token", 1000)?;
    let navigates =
        flow.get("flow_action").is_none() || flow.word("flow_action", &["navigate", "data_exchange"])? == "navigate";
    match flow.maybe_object("flow_action_payload", &["screen", "data"])? {
        Some(_) if !navigates => Err(flow.invalid("flow_action_payload", "belongs to flow_action navigate")),
        Some(payload) => {
            payload.maybe_text("screen", 200)?;
            match payload.get("data") {
                None => Ok(()),
                Some(data) if data.as_object().is_some_and(|data| !data.is_empty()) => Ok(()),
                Some(_) => Err(payload.invalid("data", "must be an object with something in it")),
            }
        }
        None => Ok(()),
    }
}

/// Whether a sign is an emoji or part of one, as far as the Unicode blocks tell.
pub(super) fn pictured(sign: char) -> bool {
    matches!(sign, '\u{2190}'..='\u{21ff}' | '\u{2300}'..='\u{27bf}' | '\u{2900}'..='\u{297f}' | '\u{2b00}'..='\u{2bff}'
        | '\u{fe0f}' | '\u{1f000}'..='\u{1faff}')
}

fn unique<'t>(of: &Object, name: &str, text: &'t str, known: &mut Vec<&'t str>) -> Checked<()> {
    if known.contains(&text) {
        return Err(of.invalid(name, "must be unique"));
    }
    known.push(text);
    Ok(())
}
