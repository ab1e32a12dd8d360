//! What the sandbox says: where it is, how the daemon and a person reach it, what happens by itself.
//!
//! Floor: beside the roof. Whoever reads may leave early: what cannot be written is let go. Never a token of a file.

use super::folder::Folder;
use super::{Options, TOKEN};
use serde_json::json;
use std::io::{self, Write};
use std::path::Path;

pub(super) fn on_stdout(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}

pub(super) fn on_stderr(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// It listens at `url`.
pub(super) fn hello(options: &Options, folder: Option<&Folder>, url: &str) {
    if options.json {
        let file = |name: &str| folder.map(|folder| folder.file(name).display().to_string());
        on_stdout(
            &json!({
                "url": url,
                "control": format!("{url}/sandbox"),
                "phone_number_id": options.phone_number_id,
                "ca_file": file("ca.pem"),
                "cert_file": file("client.pem"),
                "key_file": file("client.key"),
            })
            .to_string(),
        );
        return;
    }
    on_stdout(&text(options, folder, url));
}

fn text(options: &Options, folder: Option<&Folder>, url: &str) -> String {
    let mut lines = vec![format!("The simulated WhatsApp Cloud API listens on {url}")];
    if !options.listen.ip().is_loopback() {
        lines
            .push("Whoever reaches that address reads everything and steers it: only on a network of your own.".into());
    }
    if let Some(folder) = folder.filter(|folder| !folder.made.is_empty()) {
        lines.push(format!("Made just now in {}: {}", folder.file("").display(), folder.made.join(", ")));
    }
    if options.templates.is_none() {
        lines.push("Without --templates: no categories and no list; check --online will miss them. --templates FILE takes your account's.".into());
    }
    lines.extend(["".into(), "For the daemon:".into(), "".into()]);
    lines.extend(snippet(options, folder, url).into_iter().map(|line| format!("    {line}")));
    lines.extend(["".into(), "Try it, and see what it received:".into(), "".into()]);
    let curl = curl(options, folder);
    lines.push(format!("    {curl} {}", request(options, url)));
    lines.push(format!("    {curl} {url}/sandbox/messages"));
    lines.extend(["".into(), "Steer it; the first tells how:".into(), "".into()]);
    lines.push(format!("    {curl} {url}/sandbox"));
    lines.push(format!("    {curl} {url}/sandbox/step -d '{{\"fault\": \"hang\", \"count\": 1}}'"));
    if let Some(callback) = &options.callback {
        let said = |file: &Option<std::path::PathBuf>, default: &str| match file {
            Some(file) => format!("that of {}", file.display()),
            None => default.to_owned(),
        };
        let (secret, verify) = (&options.app_secret_file, &options.verify_token_file);
        lines.extend(["".into(), format!("It reports to {callback}, once that is verified.")]);
        lines.push(format!("    app secret:   {}", said(secret, super::APP_SECRET)));
        lines.push(format!("    verify token: {}", said(verify, super::VERIFY_TOKEN)));
    }
    lines.extend(["".into(), "Ctrl-C ends it.".into()]);
    lines.join("\n")
}

/// What goes into the daemon's configuration.
fn snippet(options: &Options, folder: Option<&Folder>, url: &str) -> Vec<String> {
    let path = |path: &Path| format!("{:?}", path.display().to_string());
    let mut lines = vec![
        "[uplink]".to_owned(),
        format!("base_url = \"{url}\""),
        format!("phone_number_id = \"{}\"", options.phone_number_id),
        match &options.token_file {
            Some(file) => format!("token_file = {}", path(&absolute(file))),
            None => format!("token_file = \"whatsapp-token\"     # echo {TOKEN} > whatsapp-token"),
        },
    ];
    if options.require_proof {
        lines.push(match &options.app_secret_file {
            Some(file) => format!("app_secret_file = {}", path(&absolute(file))),
            None => format!("app_secret_file = \"app-secret\"    # echo {} > app-secret", super::APP_SECRET),
        });
    }
    if let Some(folder) = folder {
        lines.push(format!("ca_file = {}", path(&folder.file("ca.pem"))));
        if options.client_ca.is_some() {
            lines.push(format!("cert_file = {}", path(&folder.file("client.pem"))));
            lines.push(format!("key_file = {}", path(&folder.file("client.key"))));
        }
    }
    lines
}

fn absolute(path: &Path) -> std::path::PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// The beginning of every curl line.
fn curl(options: &Options, folder: Option<&Folder>) -> String {
    let Some(folder) = folder else { return "curl -sS".to_owned() };
    let file = |name: &str| format!("'{}'", folder.file(name).display());
    match options.client_ca {
        None => format!("curl -sS --cacert {}", file("ca.pem")),
        Some(_) => {
            let (certificate, key) = (file("client.pem"), file("client.key"));
            format!("curl -sS --cacert {} --cert {certificate} --key {key}", file("ca.pem"))
        }
    }
}

/// A request that is taken: a message, or where only listed templates are, a look at the number.
fn request(options: &Options, url: &str) -> String {
    let id = &options.phone_number_id;
    let token = match &options.token_file {
        Some(file) => format!("$(cat '{}')", absolute(file).display()),
        None => TOKEN.to_owned(),
    };
    if options.require_proof {
        let secret = match &options.app_secret_file {
            Some(file) => format!("$(cat '{}')", absolute(file).display()),
            None => super::APP_SECRET.to_owned(),
        };
        let proof = format!("$(printf %s \"{token}\" | openssl dgst -sha256 -hmac \"{secret}\" -r | cut -d' ' -f1)");
        return format!("-H \"Authorization: Bearer {token}\" \"{url}/v25.0/{id}?appsecret_proof={proof}\"");
    }
    if options.templates.is_some() {
        return format!("-H \"Authorization: Bearer {token}\" {url}/v25.0/{id}");
    }
    let body = json!({
        "messaging_product": "whatsapp", "to": "+5511987654321", "type": "template",
        "template": { "name": "hello_world", "language": { "code": "en_US" } },
    });
    format!(
        "-H \"Authorization: Bearer {token}\" -H \"Content-Type: application/json\" {url}/v25.0/{id}/messages -d '{body}'"
    )
}
