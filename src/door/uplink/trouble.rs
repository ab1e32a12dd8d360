//! What a failed exchange means: surely not sent, or perhaps.
//!
//! Floor: doors. When in doubt it is "perhaps": a needless `Unknown` costs a wait, a wrong "not sent" costs a person a second
//! message.

use crate::message::{Answer, Lost, NotSent};
use crate::time::Wall;
use rustls::{AlertDescription, CertificateError};
use rustls_pki_types::UnixTime;
use std::error::Error;

/// The answer that a failed exchange amounts to. Its texts hold neither the address with its query nor a header.
pub(super) fn of_error(error: reqwest::Error) -> Answer {
    let error = error.without_url();
    if error.is_connect()
        && let Some(tls) = chain(&error).find_map(|cause| cause.downcast_ref::<rustls::Error>())
    {
        return Answer::NotSent(NotSent::Tls(tls_words(tls)));
    }
    if let Some(alert) = chain(&error).find_map(handshake_alert) {
        return Answer::NotSent(NotSent::Tls(tls_words(&rustls::Error::AlertReceived(alert))));
    }
    if error.is_connect() {
        let why =
            if error.is_timeout() { "no connection within uplink.connect_timeout".to_owned() } else { text(&error) };
        return Answer::NotSent(NotSent::NoConnection(why));
    }
    if chain(&error).filter_map(|cause| cause.downcast_ref::<h2::Error>()).any(never_processed) {
        return Answer::NotSent(NotSent::StreamRefused);
    }
    of_body(&error)
}

/// The same for an error after the status had come: whatever it says, the request had arrived.
pub(super) fn of_body(error: &reqwest::Error) -> Answer {
    Answer::Lost(if error.is_timeout() { Lost::Timeout } else { Lost::Broken(text(error)) })
}

/// The two ways in which an HTTP/2 server says that it did not touch a request (RFC 9113, 8.7). h2 gives a stream the
/// server's GOAWAY only if its id is above the last one that the server named; the others end as a broken pipe.
fn never_processed(error: &h2::Error) -> bool {
    let refused = error.is_reset() && error.reason() == Some(h2::Reason::REFUSED_STREAM);
    error.is_remote() && (refused || error.is_go_away())
}

/// In TLS 1.3 the client is done before the server has looked at its certificate, so the refusal comes as an alert on what looks
/// like an open connection. These alerts are sent during a handshake only, and a server that has not finished it reads no request.
///
/// h2 keeps nothing of an I/O error but its text, so it is recognised by the text that rustls gives the alert; should they no longer
/// agree, the answer is "perhaps", and a test says so.
fn handshake_alert(cause: &(dyn Error + 'static)) -> Option<AlertDescription> {
    use AlertDescription::*;
    const ALERTS: [AlertDescription; 8] = [
        CertificateRequired,
        BadCertificate,
        UnsupportedCertificate,
        CertificateRevoked,
        CertificateExpired,
        CertificateUnknown,
        UnknownCA,
        HandshakeFailure,
    ];
    let of_h2 = cause.downcast_ref::<h2::Error>().and_then(h2::Error::get_io);
    let text = of_h2.or_else(|| cause.downcast_ref::<std::io::Error>())?.to_string();
    ALERTS.into_iter().find(|alert| text == rustls::Error::AlertReceived(*alert).to_string())
}

/// What went wrong in a handshake with the API, and what to do.
pub fn tls_words(error: &rustls::Error) -> String {
    use CertificateError::*;
    match error {
        rustls::Error::InvalidCertificate(ExpiredContext { time, not_after }) => format!(
            "the server's certificate expired on {}; this box takes it to be {}: is its clock right?",
            instant(not_after),
            instant(time)
        ),
        rustls::Error::InvalidCertificate(NotValidYetContext { time, not_before }) => format!(
            "the server's certificate is not valid before {}; this box takes it to be {}: is its clock right?",
            instant(not_before),
            instant(time)
        ),
        rustls::Error::InvalidCertificate(NotValidForNameContext { expected, .. }) => format!(
            "the server's certificate is not for {}: check uplink.base_url, or who answers under that name",
            expected.to_str()
        ),
        // The second where an authority was made anew under its old name.
        rustls::Error::InvalidCertificate(UnknownIssuer | BadSignature) => {
            "the server's certificate comes from an issuer that is not trusted: \
            a network that inspects TLS, or a gateway with a CA of its own, needs uplink.ca_file"
                .to_owned()
        }
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "the server wants a client certificate: set uplink.cert_file and uplink.key_file".to_owned()
        }
        rustls::Error::AlertReceived(alert) => format!("the server broke the handshake off: {alert:?}"),
        rustls::Error::InvalidMessage(_) => "what answers there does not speak TLS: check uplink.base_url".to_owned(),
        other => other.to_string(),
    }
}

fn instant(at: &UnixTime) -> String {
    Wall(i64::try_from(at.as_secs()).unwrap_or(i64::MAX).saturating_mul(1000)).rfc3339()
}

/// The causes, outermost first; into `io::Error` as well, whose `source` skips what it wraps.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&cause| {
        match cause.downcast_ref::<std::io::Error>().and_then(|io| io.get_ref()) {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => cause.source(),
        }
    })
}

/// What the libraries say, without what the outer layers only repeat.
fn text(error: &reqwest::Error) -> String {
    let mut said: Vec<String> = Vec::new();
    for cause in chain(error).skip(1) {
        let text = cause.to_string();
        // hyper's "client error (Connect)" tells a person nothing that its cause does not.
        if !text.starts_with("client error (") && !said.iter().any(|earlier| earlier.contains(&text)) {
            said.push(text);
        }
    }
    if said.is_empty() { error.to_string() } else { said.join(": ") }
}
