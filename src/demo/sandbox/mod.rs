//! `branchline sandbox`: the simulated Cloud API alone, in the foreground, for trials of one's own.
//!
//! Floor: beside the roof. Files, words and signals only: it knows no rule of the platform, which is all in [`super::api`].

mod folder;
mod say;

use super::api::{Account, Api, Callback, Scenario, Settings};
use super::play::told_to_end;
use crate::door::clock::SystemClock;
use crate::door::secret::Secret;
use folder::Folder;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use std::fs::OpenOptions;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Requests that the control endpoint can still show: some 10 MiB. The record has all.
const KEEP: usize = 20_000;
/// The token that is taken where no file says another.
const TOKEN: &str = "sandbox-token";
/// What the callback is asked for where no file says another.
const VERIFY_TOKEN: &str = "sandbox-verify-token";
/// The app secret where no file says another.
const APP_SECRET: &str = "sandbox-app-secret";

/// What was asked for; `branchline sandbox --help` says what each means.
#[allow(missing_docs)]
pub struct Options {
    pub listen: SocketAddr,
    pub tls: Option<PathBuf>,
    pub client_ca: Option<PathBuf>,
    pub templates: Option<PathBuf>,
    pub scenario: Option<PathBuf>,
    pub record: Option<PathBuf>,
    pub token_file: Option<PathBuf>,
    pub app_secret_file: Option<PathBuf>,
    pub callback: Option<String>,
    pub verify_token_file: Option<PathBuf>,
    pub callback_ca: Option<PathBuf>,
    pub require_proof: bool,
    pub phone_number_id: String,
    pub seed: u64,
    pub json: bool,
}

/// Why it does not start: for a person.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Trouble {
    /// A file that was named cannot be used.
    File(String),
    /// Something cannot be written.
    Write(String),
    /// It cannot listen.
    Listen(String),
}

/// Serves until SIGINT or SIGTERM.
///
/// # Errors
/// What keeps it from starting.
pub async fn serve(options: Options) -> Result<(), Trouble> {
    let now = SystemClock::start(None).now().wall.reading();
    let scenario = options.scenario.as_deref().map(read_scenario).transpose()?;
    let folder = options.tls.as_deref().map(|path| Folder::open(path, options.listen.ip(), now)).transpose()?;
    let settings = settings(&options, folder.as_ref())?;
    let api = Api::start(settings).await.map_err(|error| unstarted(&options, &error))?;
    // Everywhere is no address to go to.
    let url = api.url().replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:");
    say::hello(&options, folder.as_ref(), &url);
    if let Some(scenario) = &scenario {
        scenario.play(&api.control());
    }
    told_to_end().await;
    api.stop().await;
    Ok(())
}

fn unstarted(options: &Options, error: &std::io::Error) -> Trouble {
    match error.kind() {
        std::io::ErrorKind::InvalidInput => Trouble::File(error.to_string()),
        _ => Trouble::Listen(format!("cannot listen on {}: {error}; --listen takes another", options.listen)),
    }
}

fn settings(options: &Options, folder: Option<&Folder>) -> Result<Settings, Trouble> {
    let client_ca = options.client_ca.as_deref().map(certificate).transpose()?;
    let templates = options.templates.as_deref().map(|path| {
        let wrong = |error| Trouble::File(format!("{} is not JSON: {error}", path.display()));
        serde_json::from_slice(&read(path)?).map_err(wrong)
    });
    let app_secret = secret(options.app_secret_file.as_deref(), APP_SECRET)?;
    let callback = callback(options, folder, &app_secret)?;
    Ok(Settings {
        callback,
        listen: options.listen,
        tls: folder.map(|folder| folder.server.clone()),
        bad_certificates: folder.map(|folder| folder.bad.clone()).unwrap_or_default(),
        client_ca,
        token: secret(options.token_file.as_deref(), TOKEN)?,
        app_secret: Some(app_secret),
        require_proof: options.require_proof,
        phone_number_id: options.phone_number_id.clone(),
        templates: templates.transpose()?,
        record: options.record.as_deref().map(open_record).transpose()?,
        seed: options.seed,
        keep: KEEP,
        tell: if options.json { say::on_stderr } else { say::on_stdout },
        ..Settings::default()
    })
}

fn callback(options: &Options, folder: Option<&Folder>, app_secret: &str) -> Result<Option<Callback>, Trouble> {
    let Some(url) = &options.callback else { return Ok(None) };
    let wrong =
        |why: &str| Err(Trouble::File(format!("--callback {url} {why}: write http://HOST:PORT/PATH, or https")));
    match reqwest::Url::parse(url) {
        Ok(read) if matches!(read.scheme(), "http" | "https") && read.has_host() => {}
        Ok(_) => return wrong("is no web address"),
        Err(error) => return wrong(&format!("is no address ({error})")),
    }
    let own = folder.map(|folder| folder.file("ca.pem")).filter(|own| own.exists());
    let authorities = own.iter().chain(&options.callback_ca).map(|path| certificate(path));
    Ok(Some(Callback {
        url: url.clone(),
        app_secret: app_secret.to_owned(),
        verify_token: secret(options.verify_token_file.as_deref(), VERIFY_TOKEN)?,
        authorities: authorities.collect::<Result<_, _>>()?,
        account: Account::default().waba_id,
    }))
}

fn certificate(path: &Path) -> Result<CertificateDer<'static>, Trouble> {
    CertificateDer::from_pem_slice(&read(path)?)
        .map_err(|error| Trouble::File(format!("{} holds no certificate in PEM: {error}", path.display())))
}

/// The first line of a file, or what stands for it.
fn secret(file: Option<&Path>, default: &str) -> Result<String, Trouble> {
    let Some(path) = file else { return Ok(default.to_owned()) };
    let text = String::from_utf8_lossy(&read(path)?).into_owned();
    match Secret::new(&text).reveal() {
        "" => Err(Trouble::File(format!("{} is empty", path.display()))),
        text => Ok(text.to_owned()),
    }
}

/// It holds numbers and texts, so it is for its owner alone; what is there already stays.
fn open_record(path: &Path) -> Result<std::fs::File, Trouble> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    file.map_err(|error| Trouble::Write(format!("cannot write {}: {error}", path.display())))
}

fn read_scenario(path: &Path) -> Result<Scenario, Trouble> {
    let text = String::from_utf8_lossy(&read(path)?).into_owned();
    Scenario::read(&text).map_err(|wrong| {
        let told = wrong.iter().map(|(line, text)| format!("\n{}:{line}: {text}", path.display()));
        Trouble::File(format!("the scenario has problems:{}", told.collect::<String>()))
    })
}

fn read(path: &Path) -> Result<Vec<u8>, Trouble> {
    std::fs::read(path).map_err(|error| Trouble::File(format!("cannot read {}: {error}", path.display())))
}
