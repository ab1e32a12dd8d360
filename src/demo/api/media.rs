//! Media and places (facts 1.2): what the API takes, and what the person sees of it.
//!
//! Floor: demo. Files are never fetched: kind, size and whether the address answers remain unchecked.

use super::json::{Checked, Object};
use super::refusal::Refusal;
use reqwest::Url;
use std::net::IpAddr;

/// Where media stands in a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// A message of its own.
    Message,
    /// The header of a template or of an interactive message: no caption.
    Header,
}

/// The object of a media message or parameter: `id` or `link`, and what else its kind has.
pub(super) fn media(of: &Object, kind: &str, place: Place) -> Checked<String> {
    let mut known = vec!["id", "link"];
    if place == Place::Message && matches!(kind, "image" | "video" | "document") {
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
    // [?] 240 characters and no path: nobody documents what a file's name may be.
    if filename.is_some_and(|name| name.contains(|sign: char| matches!(sign, '/' | '\\') || sign.is_control())) {
        return Err(media.invalid("filename", "must be a name without a path"));
    }
    let source = match (media.get("id"), media.get("link")) {
        (Some(_), None) => media.id("id")?.to_owned(),
        (None, Some(_)) => {
            // [?] https only: the documents say "on a public server", and all their examples are https.
            let url = media.url("link", &["https"])?;
            if !public(&url) {
                return Err(Refusal::new(131053, format!("{}.link is no public address", media.at)));
            }
            media.text("link", 2000)?.to_owned()
        }
        _ => return Err(Refusal::new(131008, format!("{}: either id or link is required", media.at))),
    };
    Ok([Some(source.as_str()), filename, caption].into_iter().flatten().collect::<Vec<_>>().join(" "))
}

/// Whether the platform could reach the host (facts 1.2: the link must be public). Names are not looked up.
fn public(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    match host.parse() {
        Ok(IpAddr::V4(ip)) => !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified()),
        Ok(IpAddr::V6(ip)) => {
            !(ip.is_loopback() || ip.is_unspecified() || ip.is_unique_local() || ip.is_unicast_link_local())
        }
        Err(_) => {
            let last = host.rsplit('.').next().unwrap_or_default();
            host.contains('.') && !["local", "localhost", "internal", "lan", "home", "test"].contains(&last)
        }
    }
}

/// The object of a location message or parameter. In a template's header name and address must be there.
pub(super) fn location(of: &Object, place: Place) -> Checked<String> {
    let spot = of.object("location", &["latitude", "longitude", "name", "address"])?;
    let (latitude, longitude) = (spot.degrees("latitude", 90.0)?, spot.degrees("longitude", 180.0)?);
    let (name, address) = if place == Place::Header {
        (Some(spot.text("name", 1000)?), Some(spot.text("address", 1000)?))
    } else {
        (spot.maybe_text("name", 1000)?, spot.maybe_text("address", 1000)?)
    };
    Ok(format!("{latitude}, {longitude} {} {}", name.unwrap_or_default(), address.unwrap_or_default()).trim().into())
}
