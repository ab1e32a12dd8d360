//! The configuration as people meet it: layers, stored texts of every kind of mistake, the examples, the demo.

#![cfg(test)]

use branchline::config::{Loaded, Problem, load, restart_needed};
use branchline::{limits, rules};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{problem}\n")).collect()
}

fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.filter(|path| path.extension().is_some_and(|name| name == ending)).collect();
    files.sort();
    files
}

/// A branch that works, in a folder of its own.
struct Branch(tempfile::TempDir);

const BRANCH: &str = r#"[branch]
id = "sp-042"
timezone = "America/Sao_Paulo"
country = "BR"
[mqtt]
username = "relay"
url = "mqtts://broker.branch"
[uplink]
phone_number_id = "106540352242922"
token_file = "whatsapp-token"
"#;

/// Templates of one branch.
const LIST: &str = r#"{"data": [
    {"name": "base", "language": "pt_BR", "status": "APPROVED", "category": "UTILITY",
     "components": [{"type": "HEADER", "format": "TEXT", "text": "Pedido {{1}}"}, {"type": "BODY", "text": "Oi {{1}}!"}]},
    {"name": "named", "language": "pt_BR", "status": "APPROVED", "category": "UTILITY",
     "components": [{"type": "HEADER", "format": "TEXT", "text": "Pedido {{y}}"}, {"type": "BODY", "text": "Oi {{x}}!"}]},
    {"name": "a", "language": "pt_BR", "status": "APPROVED", "category": "UTILITY",
     "components": [{"type": "BODY", "text": "Oi!"}]}]}"#;

impl Branch {
    fn new(more: &str) -> Branch {
        let branch = Branch(tempfile::tempdir().unwrap());
        branch.write("branchline.toml", &format!("{BRANCH}{more}"));
        branch.write("whatsapp-token", "EAAG-the-token\n");
        branch
    }

    fn write(&self, name: &str, text: &str) -> &Branch {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn load(&self, board: Option<&str>, variables: &[(&str, &str)]) -> Result<Loaded, String> {
        let loaded = load(&self.0.path().join("branchline.toml"), board, &env(variables));
        let folder = format!("{}/", self.0.path().display());
        loaded.map_err(|problems| lines(&problems).replace(&folder, ""))
    }
}

fn origin(loaded: &Loaded, key: &str) -> String {
    let value = loaded.effective.iter().find(|value| value.key == key).unwrap_or_else(|| panic!("no {key}"));
    let origin = value.origin.to_string();
    format!("{} ({})", value.value, origin.rsplit('/').next().unwrap())
}

#[test]
fn later_layers_win_key_by_key_and_each_value_knows_where_it_is_from() {
    let branch = Branch::new(
        "[limits]\npair_burst = 2\n[policy]\nexpires = { high = \"1h\" }\n[limits.caps]\nstaff = [\"1 per 1h\"]\n",
    );
    branch
        .write("boards/small.toml", "[board]\ninherit = \"generic\"\n[outbox]\nmax_bytes = \"8 MiB\"\n[limits]\npair_burst = 1\nsender_per_second = 5\n")
        .write("conf.d/20-b.toml", "[uplink]\ntimeout = \"20s\"\n")
        .write("conf.d/10-a.toml", "[uplink]\ntimeout = \"30s\"\nconnect_timeout = \"4s\"\n")
        .write("conf.d/readme.txt", "no configuration");
    let loaded = branch.load(Some("small"), &[("BRANCHLINE__LIMITS__PAIR_INTERVAL", "7s"), ("PATH", "/bin")]).unwrap();
    let config = &loaded.config;
    for (key, shown) in [
        ("outbox.max_bytes", "\"8 MiB\" (small.toml:4)"),
        ("limits.sender_per_second", "5 (small.toml:7)"),
        ("limits.pair_burst", "2 (branchline.toml:12)"),
        ("limits.pair_interval", "\"7s\" (environment BRANCHLINE__LIMITS__PAIR_INTERVAL)"),
        ("uplink.timeout", "\"20s\" (20-b.toml:2)"),
        ("uplink.connect_timeout", "\"4s\" (10-a.toml:3)"),
        ("uplink.max_in_flight", "32 (built-in)"),
        ("policy.expires.high", "\"1h\" (branchline.toml:14)"),
        ("policy.expires.low", "\"12h\" (built-in)"),
        ("mqtt.client_id", "\"branchline-sp-042\" (built-in)"),
    ] {
        assert_eq!(origin(&loaded, key), shown);
    }
    assert_eq!(config.rooms.pace.pair_interval, Some(Duration::from_secs(7)));
    assert_eq!(config.rooms.rules.expires[1..3], [Duration::from_secs(3600), Duration::from_secs(4 * 3600)]);
    assert_eq!(config.uplink.timeout, Duration::from_secs(20));
    let warned: Vec<_> = loaded.warnings.iter().map(|warning| format!("{}: {}", warning.key, warning.found)).collect();
    assert_eq!(warned, [""; 0]);
}

#[test]
fn the_environment_reaches_every_key() {
    let rule = "[purposes.orders]\n[templates]\nfile = \"t.json\"\n[languages]\ndefault = \"pt_BR\"\n[rules.order-ready]\ntopic = \"a\"\n\
                to = \"{{ payload.to }}\"\nconsent = \"orders\"\nmessage = { template = \"a\" }\n";
    let branch = Branch::new(rule);
    branch.write("t.json", LIST);
    let loaded = branch
        .load(
            None,
            &[
                ("BRANCHLINE__RULES__ORDER_READY__EXPIRES", "2h"),
                ("BRANCHLINE__RULES__ORDER_READY__PRIORITY", "\"high\""),
                ("BRANCHLINE__UPLINK__PHONE_NUMBER_ID", "12345"),
                ("BRANCHLINE__UPLINK__PAUSE", "true"),
                ("BRANCHLINE__LIMITS__SENDER_PER_SECOND", "off"),
                ("BRANCHLINE__PEOPLE__ANA_MARIA__NUMBER", "+5511987654321"),
                ("BRANCHLINE__LIMITS__CAPS", "{ staff = \"off\" }"),
                ("BRANCHLINE__LANGUAGES__BY_COUNTRY", "{ MX = \"pt_BR\" }"),
            ],
        )
        .unwrap();
    let rooms = &loaded.config.rooms;
    assert_eq!(rooms.rules.rules[0].expires, Some(Duration::from_secs(7200)));
    assert_eq!(rooms.rules.rules[0].priority.code(), "high");
    assert_eq!(rooms.whatsapp.phone_number_id, "12345");
    assert_eq!(rooms.outbox.sender, "12345");
    assert!(rooms.pace.pause && rooms.pace.sender_per_second.is_none());
    assert_eq!(rooms.rules.people["ana-maria"].number.digits(), "5511987654321");
    assert_eq!(rooms.rules.languages.by_country["MX"], "pt_BR");
    assert_eq!(origin(&loaded, "limits.caps.utility"), "[\"8 per 1d\", \"25 per 7d\"] (built-in)");
    for (name, says) in [
        ("BRANCHLINE__MQTT", "names no key"),
        ("BRANCHLINE____URL", "names no key"),
        ("BRANCHLINE__MQTT__URL__HOST", "leads through a key that is no table"),
        ("BRANCHLINE__MQTT__PASSWORD", "secrets do not stand in the configuration"),
        ("BRANCHLINE__MQTT__SESION_EXPIRY", "Did you mean session_expiry?"),
    ] {
        let told = branch.load(None, &[(name, "hunter2")]).unwrap_err();
        assert!(told.starts_with(&format!("environment {name}: ")) && told.contains(says), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn a_file_or_board_that_is_not_there_is_told() {
    let branch = Branch::new("");
    let told = lines(&load(&branch.0.path().join("other.toml"), None, &[]).unwrap_err());
    assert!(told.contains("other.toml: cannot be read: No such file"), "{told}");
    for name in ["rasbery", "../etc"] {
        let told = branch.load(Some(name), &[]).unwrap_err();
        assert!(told.contains(&format!("no board is called {name:?}")), "{told}");
    }
    branch.write("conf.d/1.toml", "a = \n").write("conf.d/2.toml", "b\n");
    let told = branch.load(None, &[]).unwrap_err();
    assert!(told.contains("conf.d/1.toml:1:") && told.contains("conf.d/2.toml:1:"), "both are told: {told}");
}

/// A disk or a log that is named by mistake was read into memory.
#[test]
fn a_configuration_file_that_is_far_too_large_is_not_read() {
    let branch = Branch::new("");
    branch.write("conf.d/most.toml", &" ".repeat(limits::CONFIG_FILE));
    branch.load(None, &[]).unwrap();
    branch.write("conf.d/most.toml", &" ".repeat(limits::CONFIG_FILE + 1));
    let told = branch.load(None, &[]).unwrap_err();
    assert!(told.starts_with("conf.d/most.toml: cannot be read: it is larger than 1 MiB. Check the path"), "{told}");
    std::os::unix::fs::symlink("/dev/zero", branch.0.path().join("conf.d/endless.toml")).unwrap();
    let told = branch.load(None, &[]).unwrap_err();
    assert!(told.contains("conf.d/endless.toml: cannot be read: it is larger than 1 MiB"), "{told}");
}

#[test]
fn secrets_are_read_from_credentials_first_and_shown_nowhere() {
    let branch = Branch::new("app_secret_file = \"app-secret\"\n");
    branch.write("app-secret", "beside the file\n").write("credentials/app-secret", "from the credentials\n");
    let credentials = branch.0.path().join("credentials");
    let loaded = branch.load(None, &[("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap())]).unwrap();
    assert_eq!(loaded.config.uplink.app_secret.as_ref().unwrap().reveal(), "from the credentials");
    assert_eq!(loaded.config.uplink.token_file.as_deref(), Some(branch.0.path().join("whatsapp-token").as_path()));
    let shown = format!("{loaded:?}");
    assert!(!shown.contains("from the credentials") && !shown.contains("EAAG-the-token"));
    let loaded = branch.load(None, &[]).unwrap();
    assert_eq!(loaded.config.uplink.app_secret.unwrap().reveal(), "beside the file");
}

#[test]
fn phone_numbers_are_masked_among_the_effective_values() {
    let branch = Branch::new(
        "[people.ana]\nnumber = \"+5511987654321\"\n[contacts.oncall]\nconsent = \"staff\"\nnumbers = [\"+5511987654321\"]\n",
    );
    let loaded = branch.load(None, &[]).unwrap();
    assert_eq!(origin(&loaded, "people.ana.number"), "\"+55…21\" (branchline.toml:12)");
    assert!(!format!("{:?}", loaded.effective).contains("987654"));
    assert!(!format!("{loaded:?}").contains("5511987654321"));
}

#[test]
fn a_share_that_leaves_nothing_is_one_a_second_and_warned_of() {
    for (limits, per_second, warned) in [
        ("share = \"1/4\"", Some(5), false),
        ("share = \"1/3\"", Some(6), false),
        ("share = \"1/100\"", Some(1), true),
        ("share = \"1/1\"\nsender_per_second = 1000", Some(1000), false),
    ] {
        let loaded = Branch::new(&format!("[limits]\n{limits}\n")).load(None, &[]).unwrap();
        assert_eq!(loaded.config.rooms.pace.sender_per_second, per_second, "{limits}");
        assert_eq!(loaded.warnings.iter().any(|warning| warning.key == "limits.share"), warned, "{limits}");
    }
}

#[test]
fn what_refines_a_limit_that_is_off_is_warned_of() {
    for (limits, warned) in [
        // Of what the platform tells the box has its share all the same.
        ("share = \"1/20\"\nsender_per_second = \"off\"\ndaily_recipients = \"off\"\ndaily_messages = \"off\"", vec![]),
        ("pair_burst = 3\npair_interval = \"off\"", vec!["limits.pair_burst"]),
        ("pair_burst = 3", vec![]),
        ("sender_per_second = \"off\"\npair_interval = \"off\"", vec![]),
    ] {
        let loaded = Branch::new(&format!("[limits]\n{limits}\n")).load(None, &[]).unwrap();
        let idle = loaded.warnings.iter().filter(|warning| warning.found.contains("has no effect"));
        assert_eq!(idle.map(|warning| warning.key.as_str()).collect::<Vec<_>>(), warned, "{limits}");
    }
}

#[test]
fn rules_take_what_they_lack_from_their_base() {
    let branch = Branch::new(
        r#"[purposes.orders]
[templates]
file = "t.json"
[languages]
default = "pt_BR"
[base.order]
to = "{{ payload.to }}"
consent = "orders"
priority = "high"
message = { template = "base", body = ["a"], header = "h" }
[rules.b]
inherit = "order"
topic = "b"
priority = "low"
message = { template = "named", body = { x = "y" } }
[rules.a]
inherit = "order"
topic = "a"
[rules.c]
inherit = "order"
topic = "c"
message = { text = "words" }
"#,
    );
    branch.write("t.json", LIST);
    let loaded = branch.load(None, &[]).unwrap();
    let rules = &loaded.config.rooms.rules.rules;
    let told: Vec<_> = rules.iter().map(|rule| (rule.name.as_str(), rule.priority.code())).collect();
    assert_eq!(told, [("a", "high"), ("b", "low"), ("c", "high")]);
    let template = |name: &str, body| rules::Message::Template {
        name: name.to_owned(),
        header: Some(rules::HeaderText::Text("h".to_owned())),
        body,
        buttons: Vec::new(),
    };
    assert_eq!(rules[0].message, Some(template("base", rules::BodyTexts::Positional(vec!["a".to_owned()]))));
    let named = [("x".to_owned(), "y".to_owned())].into();
    assert_eq!(rules[1].message, Some(template("named", rules::BodyTexts::Named(named))));
    assert_eq!(rules[2].message, Some(rules::Message::Text("words".to_owned())));
    assert_eq!(origin(&loaded, "rules.a.priority"), "\"high\" (branchline.toml:19)");
}

#[test]
fn a_reload_that_needs_a_restart_names_the_keys() {
    let old = Branch::new("").load(None, &[]).unwrap().config;
    let branch = Branch::new("");
    let load = |variables: &[(&str, &str)]| {
        let mut new = branch.load(None, variables).unwrap().config;
        new.uplink.token_file.clone_from(&old.uplink.token_file);
        new
    };
    assert!(
        restart_needed(
            &old,
            &load(&[("BRANCHLINE__LIMITS__PAIR_BURST", "1"), ("BRANCHLINE__OUTBOX__MAX_BYTES", "2 MiB")])
        )
        .is_empty()
    );
    for (variable, value, keys) in [
        ("BRANCHLINE__BRANCH__ID", "rj-1", vec!["branch.id", "mqtt.client_id"]),
        ("BRANCHLINE__MQTT__URL", "mqtt://h", vec!["mqtt.url"]),
        ("BRANCHLINE__UPLINK__PROXY", "http://p:1", vec!["uplink.proxy"]),
        ("BRANCHLINE__UPLINK__API_VERSION", "v26.0", vec!["uplink.api_version"]),
        ("BRANCHLINE__OUTBOX__PATH", "/elsewhere.db", vec!["outbox.path"]),
        ("BRANCHLINE__OPERATE__LISTEN", "off", vec!["operate.listen"]),
    ] {
        assert_eq!(restart_needed(&old, &load(&[(variable, value)])), keys, "{variable}");
    }
}

#[test]
fn addresses_of_brokers() {
    for (url, host, port, tls) in [
        ("mqtts://broker.branch", "broker.branch", 8883, true),
        ("mqtt://10.0.0.7", "10.0.0.7", 1883, false),
        ("mqtt://[fd00::7]:1884/", "fd00::7", 1884, false),
        ("mqtts://broker.branch:443", "broker.branch", 443, true),
    ] {
        let mqtt = Branch::new("").load(None, &[("BRANCHLINE__MQTT__URL", url)]).unwrap().config.mqtt;
        assert_eq!((mqtt.host.as_str(), mqtt.port, mqtt.tls), (host, port, tls), "{url}");
    }
    for (url, right) in
        [("http://127.0.0.1:9", true), ("http://[::1]:9", true), ("http://localhost", true), ("http://10.0.0.1", false)]
    {
        let loaded = Branch::new("").load(None, &[("BRANCHLINE__UPLINK__BASE_URL", url)]);
        assert_eq!(loaded.is_ok(), right, "{url}");
    }
}

/// A certificate and its key, in PEM.
fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["relay".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// Names of files with their text, or keys with what is said of them.
type Pairs<'a> = &'a [(&'a str, &'a str)];

/// What keeps the daemon from starting is told by the check, by key and file.
#[test]
fn files_that_tls_cannot_use_are_told() {
    let ((pem, key), (_, other)) = (certificate(), certificate());
    let rotten = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let right = [("ca.pem", pem.as_str()), ("box.pem", &pem), ("box.key", &key)];
    #[rustfmt::skip]
    let table: &[(Pairs, Pairs)] = &[
        (&[], &[]),
        (&[("ca.pem", "garbage")], &[("ca_file", "ca.pem holds no certificate")]),
        (&[("ca.pem", rotten)], &[("ca_file", "certificate 1 in ca.pem is damaged")]),
        (&[("box.pem", "garbage")], &[("cert_file", "box.pem holds no certificate")]),
        (&[("box.pem", rotten)], &[("cert_file", "certificate 1 in box.pem is damaged")]),
        (&[("box.key", "garbage")], &[("key_file", "box.key holds no usable private key")]),
        (&[("box.key", &other)], &[("key_file", "the key in box.key does not belong")]),
        (&[("ca.pem", "garbage"), ("box.pem", &key)], &[("ca_file", "ca.pem holds no"), ("cert_file", "are the two files swapped?")]),
    ];
    for (wrong, told) in table {
        let files = "ca_file = \"ca.pem\"\ncert_file = \"box.pem\"\nkey_file = \"box.key\"\n";
        let branch = Branch::new(&format!("{files}\n"));
        let text = fs::read_to_string(branch.0.path().join("branchline.toml")).unwrap();
        branch.write("branchline.toml", &text.replace("[uplink]", &format!("{files}[uplink]")));
        for (name, text) in right.iter().chain(*wrong) {
            branch.write(name, text);
        }
        let all = branch.load(None, &[]).err().unwrap_or_default();
        assert_eq!(all.lines().count(), 2 * told.len(), "{all}");
        for (table, (key, says)) in
            ["mqtt", "uplink"].iter().flat_map(|table| told.iter().map(move |told| (table, told)))
        {
            let found = all.lines().any(|line| line.contains(&format!(": {table}.{key}: ")) && line.contains(says));
            assert!(found, "{table}.{key} {says}: {all}");
        }
        // Without TLS nobody reads them, and that is told.
        let plain = branch.load(None, &[("BRANCHLINE__MQTT__URL", "mqtt://broker.branch")]).unwrap_err();
        assert!(plain.contains("mqtt.ca_file: has no effect"), "{plain}");
    }
    let told = Branch::new("").load(None, &[("BRANCHLINE__MQTT__URL", "mqtts://broker%20branch")]).unwrap_err();
    assert!(told.contains("mqtt.url: ") && told.contains("neither a host name nor an address"), "{told}");
}

#[test]
fn a_token_that_the_door_would_refuse_is_told() {
    for (text, right) in [
        ("EAAG1\n", true),
        ("  EAAG2\r\n\n", true),
        ("two words", false),
        ("line\nline", false),
        ("caf\u{e9}", false),
        (" \n", false),
        (&"x".repeat(10_000), false),
    ] {
        let told = Branch::new("").write("whatsapp-token", text).load(None, &[]).err();
        assert_eq!(told.is_none(), right, "{text:?}");
        assert!(told.is_none_or(|told| told.contains("branchline.toml:10: uplink.token_file: the file ")), "{text:?}");
    }
}

#[test]
fn a_certificate_that_was_replaced_needs_a_restart() {
    let files = "ca_file = \"ca.pem\"\ncert_file = \"box.pem\"\nkey_file = \"box.key\"\n";
    let branch = Branch::new(files);
    let issue = || {
        let (pem, key) = certificate();
        branch.write("ca.pem", &pem).write("box.pem", &pem).write("box.key", &key);
        branch.load(None, &[]).unwrap().config
    };
    let old = issue();
    assert!(restart_needed(&old, &branch.load(None, &[]).unwrap().config).is_empty());
    assert_eq!(restart_needed(&old, &issue()), ["uplink.cert_file", "uplink.key_file", "uplink.ca_file"]);
}

/// Every file that an example may name.
fn credentials() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let (pem, key) = certificate();
    for name in [
        "mqtt-password",
        "whatsapp-token",
        "app-secret",
        "broker-ca.pem",
        "isp-ca.pem",
        "box.pem",
        "box.key",
        "relay.pem",
        "relay.key",
        "simulated-api.pem",
    ] {
        let text = match name.rsplit('.').next() {
            Some("pem") => &pem,
            Some("key") => &key,
            _ => "x\n",
        };
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// Whatever a slip of the hand does to a line, it is told or harmless, and numbers stay masked.
#[test]
fn slips_of_the_hand_never_break_the_reader() {
    let credentials = credentials();
    let variables = env(&[("CREDENTIALS_DIRECTORY", credentials.path().to_str().unwrap())]);
    let text = fs::read_to_string("config/examples/mixed.toml").unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::copy("config/examples/mixed-templates.json", folder.path().join("mixed-templates.json")).unwrap();
    let file = folder.path().join("mixed.toml");
    let lines: Vec<&str> = text.lines().collect();
    let mut refused = 0;
    for (at, line) in lines.iter().enumerate() {
        let slips = [
            String::new(),
            line.replace('"', ""),
            line.replace('=', "= 0 #"),
            line.replacen('e', "é", 1),
            format!("{line}\n{line}"),
        ];
        for slip in slips {
            let mut slipped: Vec<&str> = lines.clone();
            slipped[at] = &slip;
            fs::write(&file, slipped.join("\n")).unwrap();
            let Err(problems) = load(&file, None, &variables) else { continue };
            refused += 1;
            let told = self::lines(&problems);
            assert!(!problems.is_empty() && !told.contains("5512345678"), "{told}");
            assert!(problems.iter().all(|problem| !problem.found.is_empty()));
        }
    }
    assert!(refused > lines.len(), "only {refused} were refused");
}

#[test]
fn the_examples_and_the_demo_are_right() {
    let credentials = credentials();
    let variables = env(&[("CREDENTIALS_DIRECTORY", credentials.path().to_str().unwrap())]);
    let examples = files("config/examples", "toml");
    assert_eq!(examples.len(), 3);
    for file in examples.iter().map(PathBuf::as_path).chain([Path::new("config/demo.toml")]) {
        let loaded = load(file, None, &variables).unwrap_or_else(|problems| panic!("{}", lines(&problems)));
        assert!(!loaded.config.rooms.rules.rules.is_empty());
        assert!(loaded.config.rooms.rules.templates.is_some());
        // The demo's broker lives and dies with it, on loopback.
        let demo = |warning: &&Problem| file.ends_with("demo.toml") && warning.key == "mqtt.username";
        let warned: Vec<_> = loaded.warnings.iter().filter(|warning| !demo(warning)).collect();
        assert!(warned.is_empty(), "{warned:#?}");
    }
}

/// What the demo relies on: its overrides reach, and the branch's rules are what its scenario plays.
#[test]
fn the_demo_plays_this_branch() {
    let credentials = credentials();
    let variables = env(&[
        ("CREDENTIALS_DIRECTORY", credentials.path().to_str().unwrap()),
        ("BRANCHLINE__MQTT__URL", "mqtt://127.0.0.1:40001"),
        ("BRANCHLINE__UPLINK__BASE_URL", "https://127.0.0.1:40002"),
        ("BRANCHLINE__UPLINK__CA_FILE", "broker-ca.pem"),
        ("BRANCHLINE__OUTBOX__PATH", "/somewhere/outbox.db"),
        ("BRANCHLINE__OPERATE__SOCKET", "/somewhere/socket"),
    ]);
    let config = load(Path::new("config/demo.toml"), None, &variables).unwrap().config;
    assert_eq!((config.mqtt.port, config.uplink.base_url.as_str()), (40001, "https://127.0.0.1:40002"));
    assert_eq!(config.rooms.outbox.path, Path::new("/somewhere/outbox.db"));
    let told: Vec<_> = config
        .rooms
        .rules
        .rules
        .iter()
        .map(|rule| (rule.name.as_str(), rule.topic.as_str(), rule.priority.code()))
        .collect();
    assert_eq!(
        told,
        [
            ("node-alarm", "node/{node}/alarm", "critical"),
            ("order-delivered", "pos/{till}/order/{order}/delivered", "normal"),
            ("order-placed", "pos/{till}/order/{order}/placed", "normal"),
            ("order-ready", "pos/{till}/order/{order}/ready", "high"),
        ]
    );
    for rule in &config.rooms.rules.rules[1..] {
        assert_eq!(rule.id.as_deref(), Some("{{ payload.event_id }}"));
        assert_eq!(rule.opt_in.as_deref(), Some("payload.customer.whatsapp_opt_in"));
        assert_eq!(rule.subject.as_deref(), Some("order/{{ order }}"));
    }
    assert_eq!(config.rooms.rules.contacts["oncall"].members, ["ana", "luis"]);
}
