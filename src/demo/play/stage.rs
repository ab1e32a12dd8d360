//! Everything that runs for the demo: broker, simulated API over TLS, the daemon, and a folder that goes when they go.
//!
//! Floor: beside the roof.

use crate::app::Daemon;
use crate::config;
use crate::demo::api::{Api, Control, Settings};
use crate::demo::broker::Broker;
use crate::demo::certs::{Authority, Validity};
use crate::door::clock::SystemClock;
use crate::time::Wall;
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry;

const CONFIG: &str = include_str!("../../../config/demo.toml");
const TEMPLATES: &str = include_str!("../../../config/demo-templates.json");

/// The running house.
pub(super) struct Stage {
    daemon: Daemon,
    api: Api,
    broker: Broker,
    folder: Folder,
    /// When the API's own clock began, within a millisecond or so.
    pub(super) api_started: Instant,
    pub(super) started: Instant,
}

impl Stage {
    /// Starts everything; the daemon is not connected yet.
    pub(super) async fn set_up(started: Instant) -> Result<Stage, String> {
        let folder =
            Folder::new().map_err(|error| format!("no temporary folder: {error}; set TMPDIR to a usable one"))?;
        log_to(&folder.path("daemon.log"))?;
        let now = SystemClock::start(None).now().wall.reading();
        let broker = Broker::start().map_err(|error| format!("the embedded broker does not start: {error}"))?;
        let token = format!("demo-{:016x}", fastrand::u64(..));
        let api_started = Instant::now();
        let (api, authority) = api(now, &token).await?;
        folder.write("demo.toml", CONFIG)?;
        folder.write("demo-templates.json", TEMPLATES)?;
        folder.write("whatsapp-token", &token)?;
        folder.write("simulated-api.pem", authority.certificate_pem())?;
        let set = |name: &str, value: String| (format!("BRANCHLINE__{name}"), value);
        let addresses = [
            set("MQTT__URL", broker.url()),
            set("UPLINK__BASE_URL", api.url()),
            set("OPERATE__LISTEN", "127.0.0.1:0".to_owned()),
        ];
        let loaded = config::load(&folder.path("demo.toml"), None, &addresses).map_err(|problems| {
            let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
            format!("the demo's own configuration has problems: {}", lines.join("; "))
        })?;
        let daemon = Daemon::start(loaded).await.map_err(|error| format!("the daemon does not start: {error}"))?;
        Ok(Stage { daemon, api, broker, folder, api_started, started })
    }

    pub(super) fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    pub(super) fn control(&self) -> Control {
        self.api.control()
    }

    pub(super) fn api_url(&self) -> String {
        self.api.url()
    }

    pub(super) fn broker(&self) -> &Broker {
        &self.broker
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path(name)
    }

    /// By the daemon's clock.
    pub(super) fn now(&self) -> Wall {
        self.daemon.clock().now().wall.reading()
    }

    /// Ends in order: the daemon first, the folder last.
    pub(super) async fn strike(self) {
        self.daemon.stop().await;
        self.api.stop().await;
    }
}

async fn api(now: Wall, token: &str) -> Result<(Api, Authority), String> {
    let authority =
        Authority::new(Validity::around(now)).map_err(|error| format!("no certificate could be made: {error}"))?;
    let templates = serde_json::from_str(TEMPLATES).map_err(|error| format!("the demo's templates: {error}"))?;
    let settings = Settings { token: token.to_owned(), templates: Some(templates), keep: 1000, ..Settings::default() };
    let api = Api::start_tls(&authority, now, settings)
        .await
        .map_err(|error| format!("the simulated API does not start: {error}"))?;
    Ok((api, authority))
}

/// The terminal belongs to the story. rumqttd calls every lost connection an error, so it is left out.
fn log_to(path: &Path) -> Result<(), String> {
    let file = File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let filter = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("branchline", LevelFilter::INFO)
        .with_target("rumqttd", LevelFilter::OFF);
    let lines = fmt::layer().with_ansi(false).with_target(false).with_writer(Arc::new(file)).with_filter(filter);
    // Somebody who started a log before us keeps it.
    let _ = tracing::subscriber::set_global_default(registry().with(lines));
    Ok(())
}

/// A folder for this user alone: it holds a token and the socket. Gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> std::io::Result<Folder> {
        let path = std::env::temp_dir().join(format!("branchline-demo-{:08x}", fastrand::u32(..)));
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Folder(path))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), String> {
        let path = self.path(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Nothing can be done about a folder that does not want to go.
        let _ = fs::remove_dir_all(&self.0);
    }
}
