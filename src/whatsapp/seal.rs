//! How head office vouches for a notice on its way to the boxes: `{"signature","body"}`, the signature as the platform's own.
//!
//! Floor: rooms. Reads nothing of the body.

use super::notice::signed;
use crate::message::hex;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

#[derive(Serialize, Deserialize)]
struct Sealed<'a> {
    /// `sha256=` and the hex HMAC-SHA256 of the body's bytes under `notice.key_file`.
    #[serde(borrow)]
    signature: Cow<'a, str>,
    #[serde(borrow)]
    body: Cow<'a, str>,
}

/// A body with its signature.
pub fn seal(key: &[u8], body: &str) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key);
    let signature = format!("sha256={}", hex(ring::hmac::sign(&key, body.as_bytes()).as_ref()));
    // Two texts: there is nothing in it that JSON could not hold.
    serde_json::to_string(&Sealed { signature: signature.into(), body: body.into() }).unwrap_or_default()
}

/// The body, if it was sealed with this key. In constant time.
pub fn unseal(key: &[u8], payload: &[u8]) -> Option<Vec<u8>> {
    let sealed: Sealed<'_> = serde_json::from_slice(payload).ok()?;
    signed(key, &sealed.signature, sealed.body.as_bytes()).then(|| sealed.body.into_owned().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_read_by_whoever_has_the_key() {
        let body = "{\"text\": \"Parar, por favor! \u{1F64F} \\\"\n\"}";
        let sealed = seal(b"key", body);
        assert_eq!(unseal(b"key", sealed.as_bytes()).as_deref(), Some(body.as_bytes()));
        assert_eq!(unseal(b"other", sealed.as_bytes()), None);
        // Meta's own form: the vector of the facts (4.1).
        let known = r#"{"signature":"sha256=dec6a680679a968e7e0319355b23599cbfc54502c0784668e9618baa0c633756","body":"{\"object\":\"whatsapp_business_account\",\"entry\":[]}"}"#;
        assert_eq!(seal(b"test_app_secret", r#"{"object":"whatsapp_business_account","entry":[]}"#), known);
        for wrong in
            ["", "{}", "null", "\u{0}", r#"{"signature":"","body":""}"#, r#"{"body":"x"}"#, &sealed[..sealed.len() - 2]]
        {
            assert_eq!(unseal(b"key", wrong.as_bytes()), None, "{wrong}");
        }
        for place in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[place] ^= 1;
            let read = unseal(b"key", &changed);
            assert!(read.is_none() || read.as_deref() == Some(body.as_bytes()), "{place}");
        }
    }
}
