//! The daemon's start and end, with a broker and an uplink that are not there.

use super::*;
use crate::door::notice;
use crate::door::secret::Secret;
use rustix::process::{Signal as Sent, getpid, kill_process};

/// A branch in a folder of its own.
struct Branch(tempfile::TempDir);

impl Branch {
    fn new() -> Branch {
        let branch = Branch(tempfile::tempdir().unwrap());
        std::fs::write(branch.0.path().join("whatsapp-token"), "EAAG\n").unwrap();
        branch.write("relay");
        branch
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("branchline.toml")
    }

    /// The configuration with this user of the broker, which only a restart changes.
    fn write(&self, username: &str) {
        let text = format!(
            "[branch]\nid = \"x\"\ntimezone = \"UTC\"\ncountry = \"BR\"\n\
             [mqtt]\nurl = \"mqtt://127.0.0.1:1\"\nusername = \"{username}\"\n\
             [uplink]\nbase_url = \"http://127.0.0.1:1\"\nphone_number_id = \"1\"\ntoken_file = \"whatsapp-token\"\n\
             [outbox]\npath = \"outbox.db\"\n[operate]\nsocket = \"socket\"\nlisten = \"off\"\n"
        );
        std::fs::write(self.file(), text).unwrap();
    }

    fn load(&self) -> Loaded {
        config::load(&self.file(), None, &[]).unwrap()
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A service manager that reloads at once must not kill the daemon: unheard, the signal ends this very process.
#[test]
fn signals_during_the_start_wait_for_its_end() {
    let branch = Branch::new();
    let loaded = branch.load();
    // The start waits for whoever has the store.
    let busy = Outbox::open(loaded.config.rooms.outbox.clone(), 1).unwrap();
    let file = branch.file();
    block_on(async {
        let signals = async {
            kill_process(getpid(), Sent::HUP).unwrap();
            kill_process(getpid(), Sent::TERM).unwrap();
            drop(busy);
        };
        let (ended, ()) = tokio::join!(run(&file, None, loaded), signals);
        ended.unwrap();
    });
}

#[test]
fn a_restart_that_is_due_is_named_by_every_reload_until_it_is_not() {
    let branch = Branch::new();
    block_on(async {
        let mut daemon = Daemon::start(branch.load()).await.unwrap();
        for (username, due) in
            [("relay", &[][..]), ("another", &["mqtt.username"]), ("another", &["mqtt.username"]), ("relay", &[])]
        {
            branch.write(username);
            // The engine takes one reload after the other.
            while !daemon.reloads.is_empty() {
                tokio::task::yield_now().await;
            }
            assert_eq!(daemon.reload(&branch.file(), None).await, due, "{username}");
        }
        daemon.stop().await;
    });
}

#[test]
fn an_engine_that_ends_by_itself_is_our_bug() {
    let branch = Branch::new();
    block_on(async {
        let mut signals = Signals::new().unwrap();
        let mut daemon = Daemon::start(branch.load()).await.unwrap();
        daemon.inbox.stop();
        let ended = stay(&mut daemon, &mut signals, &branch.file(), None).await;
        assert!(matches!(ended, Err(StartError::Ended)), "{ended:?}");
        daemon.stop().await;
    });
}

/// Found by reading: a newer version brought the store forward and then found a port taken; the older one, which came back, refused
/// that store.
#[test]
fn a_door_that_refuses_leaves_the_store_as_the_older_version_knows_it() {
    let gone = || PathBuf::from("/nowhere/file");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap();
    let secret = || Secret::new("0123456789abcdef");
    type Spoil<'a> = &'a dyn Fn(&mut Config);
    let doors: [(&str, Spoil<'_>); 6] = [
        ("operate.socket", &|config| config.operate.socket = gone()),
        ("operate.listen", &|config| config.operate.listen = Some(taken)),
        ("webhook.listen", &|config| {
            let (app_secret, verify_token) = (secret(), secret());
            config.webhook = Some(webhook::Settings { listen: taken, identity: None, app_secret, verify_token });
        }),
        ("uplink.ca_file", &|config| config.uplink.ca_file = Some(gone())),
        ("notice", &|config| {
            let mqtt = mqtt::Settings { tls: true, ca_file: Some(gone()), ..config.mqtt.clone() };
            config.notice = Some(notice::Settings { mqtt, branch: "x".to_owned(), key: secret() });
        }),
        ("mqtt.ca_file", &|config| (config.mqtt.tls, config.mqtt.ca_file) = (true, Some(gone()))),
    ];
    for (door, spoil) in doors {
        let branch = Branch::new();
        let mut loaded = branch.load();
        spoil(&mut loaded.config);
        let refused = block_on(Daemon::start(loaded));
        assert!(refused.is_err(), "{door}");
        assert!(!branch.0.path().join("outbox.db").exists(), "{door}: the store was opened first");
    }
}
