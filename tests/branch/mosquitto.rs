//! Debian's mosquitto, started for one test: on a free port of loopback, in a folder of its own, ended by its pid.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::net::TcpSocket;

/// How long anything that a test waits for may take. Generous: the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running broker.
pub struct Mosquitto {
    child: Option<Child>,
    folder: tempfile::TempDir,
    port: Port,
}

/// A port of loopback that is this test's alone until it is dropped, whether somebody listens on it or not: the socket is bound
/// and never listens, so the kernel gives the port to nobody who asks for any, refuses connections, and lets a server listen that
/// names it and allows reuse, as mosquitto and Tokio do.
pub struct Port {
    number: u16,
    _reserved: TcpSocket,
}

impl Port {
    pub fn reserve() -> Port {
        let reserved = TcpSocket::new_v4().unwrap();
        reserved.set_reuseaddr(true).unwrap();
        reserved.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        Port { number: reserved.local_addr().unwrap().port(), _reserved: reserved }
    }

    pub fn number(&self) -> u16 {
        self.number
    }
}

impl Mosquitto {
    /// Anonymous, persistent, nothing dropped from queues.
    pub fn start() -> Mosquitto {
        Mosquitto::start_with("allow_anonymous true\n", |_| {})
    }

    /// With lines of its configuration beside port and persistence; `prepare` puts files into its folder, where `{folder}` in
    /// the lines points.
    pub fn start_with(lines: &str, prepare: impl FnOnce(&Path)) -> Mosquitto {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        let port = Port::reserve();
        // As root it would change to a user who may not read the folder. A queue without bound (0) makes 2.0.11 drop a client
        // whose publish it has just refused, so it is a large number instead.
        let config = format!(
            "listener {port} 127.0.0.1\npersistence true\npersistence_location {folder}/\nuser root\n\
             max_queued_messages 100000\nlog_type all\n{lines}",
            port = port.number(),
            folder = folder.path().display(),
        );
        let config = config.replace("{folder}", &folder.path().display().to_string());
        std::fs::write(folder.path().join("mosquitto.conf"), config).unwrap();
        let mut broker = Mosquitto { child: None, folder, port };
        broker.resume();
        broker
    }

    pub fn port(&self) -> u16 {
        self.port.number()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends it in order: it writes its sessions down.
    pub fn pause(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let pid = rustix::process::Pid::from_child(&child);
        let until = Instant::now() + PATIENCE;
        // Told until it ends: a signal that comes between its listening and its main loop is forgotten.
        while child.try_wait().unwrap().is_none() {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
            assert!(Instant::now() < until, "mosquitto does not end: {}", self.log());
            std::thread::yield_now();
        }
    }

    /// SIGKILL: what it had not written down is gone.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Starts it again on the same port with the same sessions.
    pub fn resume(&mut self) {
        let config = self.folder.path().join("mosquitto.conf");
        let errors = std::fs::File::create(self.folder.path().join("stderr")).unwrap();
        let child = Command::new(program())
            .arg("-c")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .expect("mosquitto is installed (Debian: apt install mosquitto)");
        self.child = Some(child);
        let until = Instant::now() + PATIENCE;
        // Its own word, not a connection, which anybody who listens there would take: it says so when it listens on every port
        // that it was given, and ends if it cannot have one.
        while !self.log().contains(" running\n") {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            assert!(ended.is_none() && Instant::now() < until, "mosquitto does not listen: {}", self.log());
            std::thread::park_timeout(Duration::from_millis(1));
        }
    }

    /// What it wrote down, for a failed test.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder().join("stderr")).unwrap_or_default()
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

fn program() -> PathBuf {
    // Debian keeps it where a user's PATH does not look.
    ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"]
        .map(PathBuf::from)
        .into_iter()
        .find(|path| path.exists())
        .unwrap_or_else(|| "mosquitto".into())
}
