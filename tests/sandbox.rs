//! `branchline sandbox`, the built binary: started as a stranger would, steered over HTTP, its files read back.
#![cfg(feature = "demo")]
#![allow(clippy::unwrap_used)] // a failed test shows where

use reqwest::{Certificate, Client, ClientBuilder, Identity};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// For conditions that come true in milliseconds.
const SOON: Duration = Duration::from_secs(20);
const ANA: &str = "+5511987654321";
const LUIS: &str = "+525512345678";

fn branchline(typed: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_branchline"));
    command.args(typed).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn builder() -> ClientBuilder {
    // The process has one provider; another test of it may have set it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().no_proxy().timeout(SOON)
}

/// A running sandbox. Killed when dropped.
struct Sandbox {
    child: Child,
    out: BufReader<ChildStdout>,
    told: Value,
    client: Client,
}

impl Sandbox {
    fn start(typed: &[&str]) -> Sandbox {
        let mut child = branchline(&["sandbox", "--listen", "127.0.0.1:0", "--json"]).args(typed).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        if line.is_empty() {
            let mut complained = String::new();
            child.stderr.take().unwrap().read_to_string(&mut complained).unwrap();
            panic!("it does not start: {complained}");
        }
        let client = builder().build().unwrap();
        Sandbox { child, out, told: serde_json::from_str(&line).unwrap(), client }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.told["url"].as_str().unwrap())
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.client.get(self.url(path)).send().await.unwrap();
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap()
    }

    /// Status and body of a step.
    async fn step(&self, step: Value) -> (u16, Value) {
        let answer = self.client.post(self.url("/sandbox/step")).body(step.to_string()).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
    }

    /// A step that is done.
    async fn done(&self, step: Value) {
        let (status, answer) = self.step(step.clone()).await;
        assert_eq!(status, 200, "{step}: {answer}");
    }

    async fn send(&self, token: &str, body: &Value) -> reqwest::Result<(u16, Value)> {
        let url = self.url("/v25.0/106540352242922/messages");
        let request = self.client.post(url).bearer_auth(token).header("content-type", "application/json");
        let answer = request.body(body.to_string()).send().await?;
        let status = answer.status().as_u16();
        Ok((status, serde_json::from_slice(&answer.bytes().await?).unwrap_or_default()))
    }

    /// Status and error code of a message, 0 without an answer.
    async fn says(&self, body: &Value) -> (u16, i64) {
        match self.send("sandbox-token", body).await {
            Ok((status, answer)) => (status, answer["error"]["code"].as_i64().unwrap_or_default()),
            Err(_) => (0, 0),
        }
    }

    /// Asks for its state until it is as wanted.
    async fn until(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + SOON;
        loop {
            let state = self.get("/sandbox/state").await;
            if wanted(&state) {
                return state;
            }
            assert!(Instant::now() < end, "never: {state:#}");
            tokio::task::yield_now().await;
        }
    }

    fn end(mut self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "", "with --json nothing but the first line");
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // Fails where it has ended, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn hello(to: &str) -> Value {
    json!({ "messaging_product": "whatsapp", "to": to, "type": "template",
        "template": { "name": "hello_world", "language": { "code": "en_US" } } })
}

fn words(to: &str) -> Value {
    json!({ "messaging_product": "whatsapp", "to": to, "type": "text", "text": { "body": "Oi, Ana" } })
}

#[tokio::test]
async fn what_it_prints_works() {
    let mut child = branchline(&["sandbox", "--listen", "127.0.0.1:0"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let said: Vec<String> = lines.by_ref().take_while(|line| line != "Ctrl-C ends it.").collect();
    let url = said[0].strip_prefix("The simulated WhatsApp Cloud API listens on ").unwrap();
    let lack = "Without --templates: no categories and no list; check --online will miss them.";
    assert!(said.iter().any(|line| line.starts_with(lack)), "{said:?}");
    let curls: Vec<&str> = said.iter().filter_map(|line| line.trim().strip_prefix("curl ")).collect();
    assert_eq!(curls.len(), 4, "{said:?}");
    let client = builder().build().unwrap();
    for line in curls {
        // The words of a shell: in quotes, or between spaces.
        let mut words: Vec<String> = Vec::new();
        let mut rest = line.trim();
        while let Some(first) = rest.chars().next() {
            let (word, more) = match first {
                '"' | '\'' => rest[1..].split_once(first).unwrap(),
                _ => rest.split_once(' ').unwrap_or((rest, "")),
            };
            words.push(word.to_owned());
            rest = more.trim_start();
        }
        let after = |option: &str| {
            let place = |place: usize| words.get(place + 1).cloned();
            words.iter().enumerate().filter(|(_, word)| *word == option).filter_map(|(at, _)| place(at)).collect()
        };
        let (headers, data): (Vec<String>, Vec<String>) = (after("-H"), after("-d"));
        let address = words.iter().find(|word| word.starts_with(url)).unwrap();
        let mut request =
            if data.is_empty() { client.get(address) } else { client.post(address).body(data[0].clone()) };
        for header in headers {
            let (name, value) = header.split_once(": ").unwrap();
            request = request.header(name, value);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{line}: {}", answer.text().await.unwrap());
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(lines.next(), None);
}

#[tokio::test]
async fn it_is_steered_over_http() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("templates.json");
    std::fs::write(
        &list,
        json!({ "data": [{ "name": "hello_world", "language": "en_US", "status": "APPROVED",
        "category": "UTILITY", "components": [{ "type": "BODY", "text": "Hello World" }] }] })
        .to_string(),
    )
    .unwrap();
    let sandbox = Sandbox::start(&["--templates", list.to_str().unwrap()]);
    assert_eq!(sandbox.says(&hello(ANA)).await, (200, 0));

    sandbox.done(json!({ "fault": "code", "code": 131026, "only": { "to": "+55 (11) 98765-4321" } })).await;
    assert_eq!(sandbox.says(&hello(ANA)).await, (400, 131026));
    assert_eq!(sandbox.says(&hello(LUIS)).await, (200, 0), "somebody else");
    let state = sandbox.get("/sandbox/state").await;
    assert_eq!((&state["faults"][0]["struck"], &state["faults"][0]["fault"]), (&json!(1), &json!("code 131026")));
    sandbox.done(json!({ "clear": state["faults"][0]["id"] })).await;
    assert_eq!(sandbox.says(&hello(ANA)).await, (200, 0));

    sandbox.done(json!({ "fault": "status", "status": 503, "count": 2 })).await;
    assert_eq!(sandbox.says(&hello(ANA)).await, (503, 0));
    assert_eq!(sandbox.says(&hello(ANA)).await, (503, 0));
    assert_eq!(sandbox.says(&hello(ANA)).await, (200, 0));
    sandbox.done(json!({ "fault": "reset-after-read", "count": 1 })).await;
    assert_eq!(sandbox.says(&hello(ANA)).await, (0, 0));
    sandbox.done(json!({ "fault": "reset-before-read", "count": 1 })).await;
    sandbox.get("/sandbox/state").await; // never strikes the desk
    assert_eq!(sandbox.says(&hello(ANA)).await, (0, 0));

    assert_eq!(sandbox.says(&words(ANA)).await, (400, 131047));
    sandbox.done(json!({ "window": { "number": ANA, "open": true } })).await;
    assert_eq!(sandbox.says(&words(ANA)).await, (200, 0));
    sandbox.done(json!({ "template": { "name": "hello_world", "status": "PAUSED" } })).await;
    assert_eq!(sandbox.says(&hello(ANA)).await, (400, 132015));
    sandbox.done(json!({ "template": { "name": "hello_world", "language": "en_US", "status": "APPROVED" } })).await;
    assert_eq!(sandbox.says(&hello(ANA)).await, (200, 0));
    let unknown = json!({ "template": { "name": "hello_world", "language": "pt_BR", "status": "PAUSED" } });
    assert_eq!(sandbox.step(unknown).await.0, 409);

    sandbox.done(json!({ "settings": { "token": "another", "pair_burst": 1 } })).await;
    assert_eq!(sandbox.says(&hello("+5511900000001")).await, (401, 190));
    assert_eq!(sandbox.send("another", &hello("+5511900000001")).await.unwrap().0, 200);
    let (_, pair) = sandbox.send("another", &hello("+5511900000001")).await.unwrap();
    assert_eq!(pair["error"]["code"], 131056);

    let shown = sandbox.get("/sandbox/messages?accepted=true&limit=1").await;
    assert_eq!(shown["messages"][0]["text"], "Hello World");
    assert_eq!((&shown["messages"][0]["to"], &shown["messages"][0]["number"]), (&json!(ANA), &json!(1)));
    let all = sandbox.get("/sandbox/messages").await["messages"].as_array().unwrap().len();
    let rest = sandbox.get("/sandbox/messages?after=2").await;
    assert_eq!((rest["messages"].as_array().unwrap().len(), &rest["messages"][0]["number"]), (all - 2, &json!(3)));
    let luis = sandbox.get("/sandbox/messages?to=%2B525512345678").await;
    assert_eq!(luis["messages"].as_array().unwrap().len(), 1);

    // The port closes and opens by itself; who steers keeps his connection, and hears that it was done.
    let stranger = builder().build().unwrap();
    sandbox.done(json!({ "fault": "refuse-connections", "for": "4s" })).await;
    assert_eq!(sandbox.get("/sandbox/state").await["port"], "closed");
    assert!(stranger.get(sandbox.url("/sandbox")).send().await.unwrap_err().is_connect());
    sandbox.until(|state| state["port"] == "open").await;
    assert_eq!(stranger.get(sandbox.url("/sandbox")).send().await.unwrap().status().as_u16(), 200);

    sandbox.done(json!({ "fault": "hang" })).await;
    sandbox.done(json!({ "reset": true })).await;
    let state = sandbox.get("/sandbox/state").await;
    assert_eq!((&state["faults"], &state["counters"]["accepted"]), (&json!([]), &json!(0)));
    assert_eq!(sandbox.says(&hello("+5511900000001")).await, (200, 0), "token and pace are as at the start");
    sandbox.end(Signal::TERM);
}

#[tokio::test]
async fn a_step_that_is_wrong_says_all_of_it() {
    let sandbox = Sandbox::start(&[]);
    #[rustfmt::skip]
    let table = [
        (json!({ "fualt": "hang" }), 400, "Did you mean fault?"),
        (json!({ "fault": "hagn" }), 400, "Did you mean hang?"),
        (json!({ "fault": "code", "cuont": 1 }), 400, "Did you mean count?"),
        (json!({ "fault": "code", "cuont": 1 }), 400, "code is missing"),
        (json!({ "fault": "refuse-connections" }), 400, "needs \\\"for\\\""),
        (json!({ "fault": "mute-tls", "count": 1 }), 400, "needs \\\"for\\\""),
        (json!({ "fault": "certificate-expired", "count": 1 }), 409, "--tls"),
        (json!({ "fault": "go-away", "only": { "to": ANA } }), 409, "before a request is read"),
        (json!({ "clear": 99 }), 409, "there is no fault 99"),
        (json!({ "template": { "name": "a", "status": "PAUSED" } }), 409, "template list has no a"),
        (json!([]), 400, "must be a table"),
    ];
    for (step, status, said) in table {
        let (got, answer) = sandbox.step(step.clone()).await;
        assert!(got == status && answer.to_string().contains(said), "{step}: {got} {answer}");
    }
    assert!(sandbox.get("/sandbox/nothing").await["error"].as_str().unwrap().contains("no GET /sandbox/nothing here"));
    assert!(sandbox.get("/sandbox/messages?limt=1").await["error"].as_str().unwrap().contains("limt: unknown"));
    assert_eq!(sandbox.get("/sandboxes").await["error"]["code"], 100, "a path of the platform's own");
}

#[tokio::test]
async fn every_request_is_recorded_and_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let (record, token) = (folder.path().join("requests.jsonl"), folder.path().join("token"));
    std::fs::write(&record, "{\"earlier\":true}\n").unwrap();
    std::fs::write(&token, "s3cret-token\n").unwrap();
    let files = ["--record", record.to_str().unwrap(), "--token-file", token.to_str().unwrap()];
    let sandbox = Sandbox::start(&files);
    let lines = || -> Vec<Value> {
        let text = std::fs::read_to_string(&record).unwrap();
        assert!(text.ends_with('\n') && !text.contains("s3cret"), "{text}");
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    assert_eq!(sandbox.send("s3cret-token", &hello(ANA)).await.unwrap().0, 200);
    // Written before the answer, so whoever has the answer finds the line.
    let first = lines();
    let line = &first[1];
    assert_eq!((first.len(), &first[0]["earlier"]), (2, &json!(true)), "what was there stays");
    assert_eq!((&line["method"], &line["path"]), (&json!("POST"), &json!("/v25.0/106540352242922/messages")));
    assert_eq!((&line["body"], &line["headers"]["authorization"]), (&hello(ANA), &json!("Bearer [token]")));
    assert_eq!((&line["answer"]["status"], &line["http"]), (&json!(200), &json!(1)));
    assert!(line["answer"]["body"]["messages"][0]["id"].as_str().unwrap().starts_with("wamid."));
    let age = jiff::Timestamp::now().duration_since(line["time"].as_str().unwrap().parse().unwrap());
    assert!(age < jiff::SignedDuration::from_secs(20) && line["at_ms"].is_u64(), "{line}");

    sandbox.send("wr0ng-token", &hello(ANA)).await.unwrap();
    let mut odd = hello(ANA);
    odd["access_token"] = "s3cret-token".into();
    sandbox.send("s3cret-token", &odd).await.unwrap();
    let url = sandbox.url("/v25.0/106540352242922?fields=id&access_token=s3cret-token&appsecret_proof=abc123");
    sandbox.client.get(url).send().await.unwrap();
    for (fault, none) in [("hang", "hang"), ("reset-after-read", "reset"), ("reset-before-read", "reset-before-read")] {
        sandbox.done(json!({ "fault": fault, "count": 1 })).await;
        let request = sandbox.client.post(sandbox.url("/v25.0/1/messages")).timeout(Duration::from_secs(3));
        request.body("{ not\njson").send().await.unwrap_err();
        let last = lines().pop().unwrap();
        assert_eq!(last["answer"]["none"], none);
        assert_eq!(last["body"], if fault == "reset-before-read" { Value::Null } else { json!("{ not\njson") });
    }
    let lines = lines();
    assert_eq!(lines.len(), 8, "the control endpoint's own are left out");
    assert_eq!(lines[2]["headers"]["authorization"], "[another token]");
    assert_eq!(lines[3]["body"]["access_token"], "[token]");
    assert_eq!(lines[4]["path"], "/v25.0/106540352242922?fields=id&access_token=[token]&appsecret_proof=[proof]");
}

#[tokio::test]
async fn a_scenario_is_played() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("scenario.toml");
    let text = "[[step]]\nfault = 'hang'\n[[step]]\nat = '50ms'\nclear = 'all'\n\
        [[step]]\nat = '60ms'\nevery = '20ms'\ntimes = 3\nfault = 'code'\ncode = 4\ncount = 1\n\
        [[step]]\nat = '150ms'\nsettings = { sender_per_second = 7 }\n";
    std::fs::write(&file, text).unwrap();
    let sandbox = Sandbox::start(&["--scenario", file.to_str().unwrap()]);
    let state = sandbox.until(|state| state["limits"]["sender_per_second"] == 7).await;
    assert_eq!(state["faults"].as_array().unwrap().len(), 3, "{state:#}");
    let mut said = Vec::new();
    for _ in 0..4 {
        said.push(sandbox.says(&hello(ANA)).await);
    }
    assert_eq!(said, [(400, 4), (400, 4), (400, 4), (200, 0)]);
}

/// What the daemon needs of a trial's folder is printed, and the daemon takes it: its first look at the number arrives.
#[tokio::test]
async fn the_daemon_takes_what_it_prints() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let tls = path("tls");
    let typed = ["--tls", &tls, "--client-ca", &path("tls/ca.pem"), "--require-proof"];
    // The authority must be there before it is named.
    assert_eq!(ended(&["--tls", &tls, "--client-ca", &path("tls/nothing.pem")]).0, 78);
    let made = std::fs::read(path("tls/ca.pem")).unwrap();

    let mut child = branchline(&["sandbox", "--listen", "127.0.0.1:0"]).args(typed).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let said: Vec<String> = lines.take_while(|line| line != "Ctrl-C ends it.").collect();
    assert!(!said.iter().any(|line| line.starts_with("Made just now")), "made once: {said:?}");
    assert_eq!(std::fs::read(path("tls/ca.pem")).unwrap(), made);
    let snippet: Vec<&str> = said
        .iter()
        .skip_while(|line| *line != "For the daemon:")
        .skip(2)
        .take_while(|line| !line.is_empty())
        .map(String::as_str)
        .collect();
    let config = format!(
        "[branch]\nid = \"sp-042\"\ntimezone = \"America/Sao_Paulo\"\ncountry = \"BR\"\n\
         [mqtt]\nurl = \"mqtt://127.0.0.1:9\"\n[outbox]\npath = \"outbox.db\"\n\
         [operate]\nsocket = \"branchline.sock\"\nlisten = \"off\"\n{}\n",
        snippet.join("\n")
    );
    std::fs::write(path("branchline.toml"), config).unwrap();
    for line in snippet.iter().filter_map(|line| line.split_once("# echo ")).map(|(_, echo)| echo) {
        let (text, file) = line.split_once(" > ").unwrap();
        std::fs::write(path(file), format!("{text}\n")).unwrap();
    }
    let checked = branchline(&["check", "--config", &path("branchline.toml")]).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));

    let mut daemon = branchline(&["run", "--config", "branchline.toml"])
        .current_dir(folder.path())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let pem = |name: &str| std::fs::read(path(name)).unwrap();
    let identity = Identity::from_pem(&[pem("tls/client.pem"), pem("tls/client.key")].concat()).unwrap();
    let client = builder().identity(identity).tls_certs_only([Certificate::from_pem(&made).unwrap()]);
    let client = client.build().unwrap();
    let url = said[0].rsplit(' ').next().unwrap();
    let end = Instant::now() + SOON;
    let state = loop {
        let answer = client.get(format!("{url}/sandbox/state")).send().await.unwrap();
        let state: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        if state["counters"]["whole"] != 0 || Instant::now() > end {
            break state;
        }
        tokio::task::yield_now().await;
    };
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(state["counters"]["whole"].as_u64() > Some(0) && state["counters"]["failed_handshakes"] == 0, "{state:#}");
}

/// A callback with a certificate of a trial's own: one request a connection, until it is dropped. What was posted, with its
/// signature.
async fn callback(chain: Vec<u8>, key: Vec<u8>) -> (String, tokio::sync::mpsc::UnboundedReceiver<(String, Vec<u8>)>) {
    use rustls_pki_types::pem::PemObject;
    use rustls_pki_types::{CertificateDer, PrivateKeyDer};
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(&chain).unwrap()],
            PrivateKeyDer::from_pem_slice(&key).unwrap(),
        )
        .unwrap();
    let tls = tokio_rustls::TlsAcceptor::from(Arc::new(tls));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/hook", listener.local_addr().unwrap());
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let mut line = tokio::io::BufReader::new(tls.accept(tcp).await.unwrap());
            let mut head = Vec::new();
            while head.last().is_none_or(|last: &String| last.trim() != "") {
                let mut text = String::new();
                line.read_line(&mut text).await.unwrap();
                head.push(text);
            }
            let header = |name: &str| {
                head.iter()
                    .filter_map(|line| line.split_once(": "))
                    .find(|(key, _)| key.eq_ignore_ascii_case(name))
                    .map(|(_, value)| value.trim().to_owned())
            };
            let mut body = vec![0; header("content-length").map_or(0, |length| length.parse().unwrap())];
            line.read_exact(&mut body).await.unwrap();
            let asked = head[0].split(['?', '&', ' ']).find_map(|pair| pair.strip_prefix("hub.challenge="));
            let answer = asked.filter(|_| head[0].contains("hub.verify_token=s3same")).unwrap_or_default().to_owned();
            if head[0].starts_with("POST") {
                sender.send((header("x-hub-signature-256").unwrap(), body)).unwrap();
            }
            let answer =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{answer}", answer.len());
            line.write_all(answer.as_bytes()).await.unwrap();
            line.shutdown().await.unwrap();
        }
    });
    (url, receiver)
}

#[tokio::test]
async fn it_reports_to_a_callback_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    drop(Sandbox::start(&["--tls", &path("tls")])); // makes the certificates
    let pem = |name: &str| std::fs::read(path(&format!("tls/{name}"))).unwrap();
    std::fs::write(path("secret"), "app-s3cret\n").unwrap();
    std::fs::write(path("verify"), "s3same\n").unwrap();
    let (url, mut posts) = callback(pem("server.pem"), pem("server.key")).await;
    let typed = [
        "--callback",
        &url,
        "--callback-ca",
        &path("tls/ca.pem"),
        "--app-secret-file",
        &path("secret"),
        "--verify-token-file",
        &path("verify"),
    ];
    let sandbox = Sandbox::start(&typed);
    sandbox.until(|state| state["callback"]["verified"] == true).await;
    sandbox.done(json!({ "settings": { "reports": { "repeats": 0 } } })).await;
    sandbox.done(json!({ "inbound": { "from": ANA, "text": "PARAR" } })).await;
    let (signature, body) = tokio::time::timeout(SOON, posts.recv()).await.unwrap().unwrap();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"app-s3cret");
    let hex: String = ring::hmac::sign(&key, &body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(signature, format!("sha256={hex}"));
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["entry"][0]["changes"][0]["value"]["messages"][0]["text"]["body"], "PARAR");
    sandbox.until(|state| state["callback"]["delivered"] == 1 && state["callback"]["pending"] == 0).await;
    sandbox.end(Signal::INT);
}

/// Exit code and complaint of a sandbox that does not start.
fn ended(typed: &[&str]) -> (i32, String) {
    let output = branchline(&["sandbox", "--listen", "127.0.0.1:0"]).args(typed).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn what_keeps_it_from_starting_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let scenario = write("scenario.toml", "[[step]]\nat = \"1x\"\nfault = \"hagn\"\n\n[[step]]\nfault = \"code\"\n");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let half = folder.path().join("half");
    std::fs::create_dir(&half).unwrap();
    std::fs::write(half.join("ca.pem"), "x").unwrap();
    let (empty, list) = (write("empty", "\n"), write("list.json", "{\"data\": [{}]}"));
    #[rustfmt::skip]
    let table: &[(&[&str], i32, &[&str])] = &[
        (&["--scenario", &scenario], 78, &["scenario.toml:2: at: ", "scenario.toml:3: fault: ", "scenario.toml:5: code is missing"]),
        (&["--scenario", "nowhere.toml"], 78, &["cannot read nowhere.toml"]),
        (&["--token-file", &empty], 78, &["is empty"]),
        (&["--templates", &list], 78, &["number 1 (without a name): it lacks \"name\""]),
        (&["--templates", &scenario], 78, &["is not JSON"]),
        (&["--record", "/dev/null/x"], 74, &["cannot write /dev/null/x"]),
        (&["--tls", half.to_str().unwrap()], 78, &["server.pem is missing, and ca.key, which could make it"]),
        (&["--client-ca", &empty], 64, &["--tls"]),
        (&["--callback", "box:8443"], 78, &["--callback box:8443 is no web address", "http://HOST:PORT/PATH"]),
        (&["--callback", "http://127.0.0.1:9", "--verify-token-file", &empty], 78, &["is empty"]),
    ];
    for (typed, code, wanted) in table {
        let (got, said) = ended(typed);
        assert!(got == *code && wanted.iter().all(|wanted| said.contains(wanted)), "{typed:?}: {got} {said}");
    }
    let output = branchline(&["sandbox", "--listen", &taken]).output().unwrap();
    assert_eq!(output.status.code(), Some(69));
    assert!(String::from_utf8(output.stderr).unwrap().contains(&format!("cannot listen on {taken}")));
    assert!(!Path::new("whatsapp-token").exists());
}
