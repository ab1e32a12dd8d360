//! `[webhook]`.
//!
//! Floor: config. Reads; never listens.

use super::super::reader::Reader;
use super::links;
use crate::door::tls;
use crate::door::webhook::Settings;

/// `[webhook]`; `None` where it is off, and where something is wrong with it. `needed`: it may not be off.
pub(super) fn webhook(r: &mut Reader<'_, '_>, needed: bool) -> Option<Settings> {
    r.within("webhook", |r| {
        if needed {
            r.require("listen", "Name where the platform reaches this program, as in listen = \"0.0.0.0:8443\".");
        }
        let listen = r.parsed("listen", "an address and port like \"0.0.0.0:8443\"", |node| node.as_text()?.parse().ok());
        let identity = links::identity(r);
        if let Some(Err(wrong)) = identity.as_ref().map(tls::server_config) {
            let is_key = identity.as_ref().is_some_and(|(cert, key)| wrong.file() == Some(key) && wrong.file() != Some(cert));
            let problem = r.problem(if is_key { "key_file" } else { "cert_file" }, wrong.to_string());
            r.tell(problem);
        }
        let app_secret = links::secret_file(r, "app_secret_file");
        let verify_token = links::secret_file(r, "verify_token_file");
        if !r.has("listen") {
            if needed {
                return None;
            }
            if let Some(key) = ["app_secret_file", "verify_token_file", "cert_file", "key_file"].iter().find(|key| r.has(key)) {
                let problem = r.problem(key, "has no effect: without webhook.listen nothing listens");
                r.warn(problem.fix("Set webhook.listen, or remove this key."));
            }
            return None;
        }
        r.require("app_secret_file", "Put the app secret into a file and name it here: it proves that a notice is the platform's.");
        r.require("verify_token_file", "Put a word of your own into a file, name it here, and give the same word to the platform.");
        let listen: std::net::SocketAddr = listen?;
        if !r.has("cert_file") && !r.has("key_file") && !listen.ip().is_loopback() {
            let problem = r.problem("listen", "is not encrypted, and not only for this machine");
            r.tell(problem.fix(
                "Set webhook.cert_file and webhook.key_file, or listen on 127.0.0.1 behind a TLS proxy or tunnel on this machine.",
            ));
        }
        Some(Settings {
            listen,
            identity,
            app_secret: app_secret?,
            verify_token: verify_token?,
        })
    })
}
