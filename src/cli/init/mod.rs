//! `branchline init`: six questions, a configuration that works, and the first message to whoever answered them.
//!
//! Floor: roof. Never overwrites a configuration unless it is told to, and then keeps the one before; never shows the token.
//!
//! ```text
//! questions ─► branchline.toml, templates.json ─► check ─► check --online ─► the daemon for a minute: consent, hello_world
//! ```

mod words;

pub use words::Tongue;

use super::check;
use super::failure::{Exit, Failure};
use super::house::{runtime, start_failure};
use super::unwritten;
use crate::app::{self, Daemon};
use crate::config::{self, Loaded};
use crate::message::{Country, Number, Outcome};
use crate::operate::{ConsentReport, Grant, OutboxDetail, Reply, Request, SendOrder, SendReport};
use clap::Args;
use jiff::tz::TimeZone;
use serde::de::DeserializeOwned;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use words::{Question, Words};

/// How long the first message may take: a box without a clock chip first hears the time from the platform.
const FIRST_MESSAGE: Duration = Duration::from_secs(60);
/// Between two looks at what became of it.
const LOOK: Duration = Duration::from_millis(250);
/// Wrong answers to one question, after which nobody reads what is said.
const PATIENCE: usize = 5;
/// The platform's sample, which every account has. [`TEMPLATES`] is its text.
const TEMPLATE: (&str, &str) = ("hello_world", "en_US");
/// The list with nothing but the sample, as the platform tells it.
const TEMPLATES: &str = r#"{"data": [
 {"name": "hello_world", "language": "en_US", "status": "APPROVED", "category": "UTILITY", "parameter_format": "POSITIONAL",
  "components": [
   {"type": "HEADER", "format": "TEXT", "text": "Hello World"},
   {"type": "BODY", "text": "Welcome and congratulations!! This message demonstrates your ability to send a WhatsApp message notification from the Cloud API, hosted by Meta. Thank you for taking the time to test with us."},
   {"type": "FOOTER", "text": "WhatsApp Business Platform sample message"}]}
]}
"#;

/// `branchline init`
#[derive(Args, Clone, Copy, Debug)]
pub struct Init {
    /// The language of the questions; without, the system's.
    #[arg(long, value_enum, value_name = "L")]
    pub language: Option<Tongue>,
    /// Write a configuration although there is one: it is kept beside the new one, its name ending in .before.
    #[arg(long)]
    pub replace: bool,
}

/// The token's name where it is brought to.
const TOKEN: &str = "whatsapp-token";

/// What was answered.
struct Answers {
    branch: String,
    broker: String,
    number_id: String,
    token: PathBuf,
    zone: String,
    technician: Number,
    country: Country,
}

/// Asks, writes, tries, sends.
pub(super) fn run(
    file: &Path,
    board: Option<&str>,
    init: Init,
    input: &mut dyn Read,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    if file.exists() && !init.replace {
        let text = format!("{} is there already: --replace writes a new one and keeps it", file.display());
        return Err(Failure::new(Exit::No, text));
    }
    let lang = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(|name| std::env::var(name).ok());
    let words = Words::of(init.language.unwrap_or_else(|| Tongue::of(lang.as_deref())));
    let answers = Dialog { input: BufReader::new(input), out, words }.all()?;
    let brought = write(file, &answers, words)?;
    say(out, &format!("\n{} {}\n", words.written, file.display()))?;
    if let Some(token) = brought {
        say(out, &format!("{} {}\n", words.brought, token.display()))?;
    }
    let loaded = config::load(file, board, &app::environment());
    let Ok(loaded) = loaded else {
        say(out, &check::Checked::of(&loaded).text(file))?;
        return Err(Failure::new(Exit::No, words.not_online));
    };
    say(out, &format!("{}\n", words.checking))?;
    let runtime = runtime()?;
    let tried = Ok(loaded);
    let online = runtime.block_on(check::online(&tried, false, out));
    let Ok(loaded) = tried else { return Err(Failure::new(Exit::Bug, "a configuration without problems has some")) };
    if let Err(failure) = online {
        return Err(Failure::new(failure.exit, words.not_online));
    }
    let store = loaded.config.rooms.outbox.path.clone();
    // systemd makes the socket's folder when the service starts, and nobody asks this daemon anything by it.
    let scratch = Scratch::new()?;
    let mut loaded = loaded;
    loaded.config.operate.socket = scratch.folder.join("socket");
    // A watchdog that is armed here resets the box when somebody ends this with Ctrl-C.
    loaded.config.board = None;
    let told = runtime.block_on(first_message(loaded, &answers, words, out));
    give_away(&store);
    runtime.shutdown_background();
    told?;
    say(out, &format!("{}\n", words.next))
}

fn say(out: &mut dyn Write, text: &str) -> Result<(), Failure> {
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| unwritten(&error))
}

/// Questions and answers, a line each.
struct Dialog<'a, R> {
    input: R,
    out: &'a mut dyn Write,
    words: &'static Words,
}

impl<R: BufRead> Dialog<'_, R> {
    fn all(&mut self) -> Result<Answers, Failure> {
        let words = self.words;
        say(self.out, &format!("{}\n", words.begin))?;
        let branch = self.ask(&words.branch, None, |text| {
            let fits = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
            (!text.is_empty() && text.len() <= 32 && text.bytes().all(fits)).then(|| text.to_owned())
        })?;
        let broker = self.ask(&words.broker, None, |text| {
            let url = if text.contains("://") { text.to_owned() } else { format!("mqtts://{text}") };
            let host = url.strip_prefix("mqtts://").or_else(|| url.strip_prefix("mqtt://"))?;
            (!host.is_empty() && !host.contains(['/', ' ', '"', '\\', '@'])).then_some(url.clone())
        })?;
        let number_id = self.ask(&words.number_id, None, |text| {
            (!text.is_empty() && text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_digit()))
                .then(|| text.to_owned())
        })?;
        let token = self.ask(&words.token, None, |text| {
            let path = std::path::absolute(text).ok()?;
            let content = std::fs::metadata(&path).ok().filter(|file| file.is_file() && file.len() > 0);
            // Readable to whoever asks here; the check says the same of the daemon.
            (content.is_some() && std::fs::File::open(&path).is_ok() && path.to_str().is_some()).then_some(path)
        })?;
        let system = TimeZone::system().iana_name().filter(|name| name.contains('/')).map(str::to_owned);
        let zone =
            self.ask(&words.zone, system.as_deref(), |text| TimeZone::get(text).ok()?.iana_name().map(str::to_owned))?;
        let (technician, country) = self.ask(&words.technician, None, |text| {
            let number = text.starts_with('+').then(|| Number::read(text, Country::of_code("BR")?).ok())??;
            let country = number.country()?;
            Some((number, country))
        })?;
        Ok(Answers { branch, broker, number_id, token, zone, technician, country })
    }

    fn ask<T>(
        &mut self,
        question: &Question,
        default: Option<&str>,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<T, Failure> {
        let brackets = default.map_or(String::new(), |default| format!(" [{default}]"));
        for _ in 0..PATIENCE {
            say(self.out, &format!("{}{brackets}: ", question.asked))?;
            let mut line = String::new();
            let read_so_far = self.input.read_line(&mut line);
            let unread = |error| Failure::new(Exit::Usage, format!("the answer cannot be read: {error}"));
            if read_so_far.map_err(unread)? == 0 {
                return Err(Failure::new(Exit::Usage, "the answers end before the questions; nothing was written"));
            }
            let answer = match line.trim() {
                "" => default.unwrap_or_default(),
                text => text,
            };
            match read(answer) {
                Some(value) => return Ok(value),
                None => say(self.out, &format!("    {}\n", question.wrong))?,
            }
        }
        Err(Failure::new(Exit::Usage, "nothing was written"))
    }
}

/// The configuration with its comments, the list of templates, and the token, if it lay elsewhere: then this says where it is now.
fn write(file: &Path, answers: &Answers, words: &Words) -> Result<Option<PathBuf>, Failure> {
    let folder = file.parent().unwrap_or(Path::new(""));
    let failed = |path: &Path, error: std::io::Error| {
        Failure::new(Exit::Config, format!("cannot write {}: {error}", path.display()))
    };
    if !folder.as_os_str().is_empty() {
        std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    }
    let list = folder.join("templates.json");
    if !list.exists() {
        put(&list, TEMPLATES.as_bytes()).map_err(|error| failed(&list, error))?;
    }
    let brought = lies_elsewhere(&answers.token, folder).then(|| folder.join(TOKEN));
    if let Some(brought) = &brought {
        let token = std::fs::read(&answers.token).map_err(|error| failed(brought, error))?;
        replace(brought, &token).map_err(|error| failed(brought, error))?;
    } else if rustix::process::geteuid().is_root() {
        // The daemon is another user.
        let token = std::fs::File::open(&answers.token);
        token.and_then(|file| open_to_group(&file, &answers.token)).map_err(|error| failed(&answers.token, error))?;
    }
    let token = if brought.is_some() { Path::new(TOKEN) } else { &answers.token };
    replace(file, text(answers, token, words).as_bytes()).map_err(|error| failed(file, error))?;
    Ok(brought)
}

/// Whether `token` is not in the configuration's `folder`. Elsewhere it may be root's alone, in a home that the service does not see, or on
/// a stick that is pulled out.
fn lies_elsewhere(token: &Path, folder: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    real(token).parent() != Some(&*real(folder))
}

/// What was there before stays beside it.
fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    if path.exists() {
        let mut before = path.as_os_str().to_owned();
        before.push(".before");
        std::fs::rename(path, PathBuf::from(before))?;
    }
    put(path, content)
}

/// A file for its owner and the folder's group: who installs as root leaves it readable to the daemon.
fn put(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = std::fs::File::options().write(true).create_new(true).mode(0o640).open(path)?;
    file.write_all(content)?;
    file.sync_all()?;
    // Whoever is not root and not of the group keeps its own.
    let _ = open_to_group(&file, path);
    Ok(())
}

/// `file`, which lies at `path`, becomes readable to the group of its folder.
fn open_to_group(file: &std::fs::File, path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::os::unix::fs::fchown(file, None, Some(std::fs::metadata(folder)?.gid()))?;
    let mode = file.metadata()?.permissions().mode();
    file.set_permissions(std::fs::Permissions::from_mode(mode & 0o777 | 0o040))
}

/// A folder for this process alone, gone when dropped.
struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    fn new() -> Result<Scratch, Failure> {
        let folder = std::env::temp_dir().join(format!("branchline-init-{}", std::process::id()));
        // One that is there is not ours: this one must be made here.
        let made = std::fs::DirBuilder::new().mode(0o700).create(&folder);
        let failed = |error| {
            let text = format!("cannot make the folder {}: {error}; TMPDIR names another place", folder.display());
            Failure::new(Exit::Storage, text)
        };
        made.map_err(failed)?;
        Ok(Scratch { folder })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What a first message made in the store's folder belongs to whom the folder belongs to: after root, to the daemon.
fn give_away(store: &Path) {
    let Some(folder) = store.parent() else { return };
    let (Ok(owner), Ok(files)) = (std::fs::metadata(folder), std::fs::read_dir(folder)) else { return };
    // The store and what lies beside it, and no link's goal: the folder's owner may have put one there for root to follow.
    let name = store.file_name().unwrap_or_default().to_string_lossy();
    for file in files.flatten().filter(|file| file.file_name().to_string_lossy().starts_with(&*name)) {
        // Not root: they are the right one's already, or nobody's to give.
        let _ = std::os::unix::fs::lchown(file.path(), Some(owner.uid()), Some(owner.gid()));
    }
}

fn text(answers: &Answers, token: &Path, words: &Words) -> String {
    let Answers { branch, broker, number_id, zone, technician, country, .. } = answers;
    let file = &words.file;
    let toml = |text: &str| format!("{text:?}");
    format!(
        r#"# {head}

[branch]
id = {branch}
timezone = {zone}
# {country_words}
country = {country}

[mqtt]
# {broker_words}
url = {broker}

[uplink]
# {number_words}
phone_number_id = {number_id}
token_file = {token}

[templates]
# {templates}
file = "templates.json"
[languages]
default = "{language}"

# {people}
[people.technician]
number = {technician}
[contacts.oncall]
consent = "staff"
members = ["technician"]

# {rule}
[rules.hello]
topic = "test/hello"
to = "contacts:oncall"
format = "text"
[rules.hello.message]
template = "{template}"
"#,
        head = file.head,
        branch = toml(branch),
        zone = toml(zone),
        country_words = file.country,
        country = toml(country.code()),
        broker_words = file.broker,
        broker = toml(broker),
        number_words = file.number,
        number_id = toml(number_id),
        token = toml(&token.display().to_string()),
        templates = file.templates,
        language = TEMPLATE.1,
        people = file.people,
        technician = toml(&technician.e164()),
        rule = file.rule,
        template = TEMPLATE.0,
    )
}

/// Runs the daemon until the platform has answered for the first message.
async fn first_message(loaded: Loaded, answers: &Answers, words: &Words, out: &mut dyn Write) -> Result<(), Failure> {
    let daemon = Daemon::start(loaded).await.map_err(start_failure)?;
    let sent = send(&daemon, answers, words, out).await;
    daemon.stop().await;
    sent
}

async fn send(daemon: &Daemon, answers: &Answers, words: &Words, out: &mut dyn Write) -> Result<(), Failure> {
    let number = answers.technician.e164();
    let grant = Grant {
        number: number.clone(),
        purpose: "staff".to_owned(),
        source: "branchline init".to_owned(),
        wording: None,
        expires: None,
        after_revocation: false,
    };
    let _: ConsentReport = ask(daemon, Request::ConsentGrant(grant)).await?;
    say(out, &format!("{}\n", words.sending))?;
    let order = SendOrder {
        to: number,
        template: TEMPLATE.0.to_owned(),
        language: TEMPLATE.1.to_owned(),
        purpose: "staff".to_owned(),
        ..SendOrder::default()
    };
    let report: SendReport = ask(daemon, Request::Send(order)).await?;
    let Some(id) = report.id else {
        let told = &report.message;
        return Err(Failure::new(Exit::No, format!("{} {}: {}", words.not_sent, told.outcome, told.reason)));
    };
    let show = || Request::OutboxShow { id: id.clone() };
    // What came of it by then is looked at once more.
    let _ = tokio::time::timeout(FIRST_MESSAGE, async {
        while ask::<OutboxDetail>(daemon, show()).await.is_ok_and(|detail| waits(detail.row.outcome)) {
            tokio::time::sleep(LOOK).await;
        }
    })
    .await;
    let detail: OutboxDetail = ask(daemon, show()).await?;
    let row = &detail.row;
    if matches!(row.outcome, Outcome::Accepted | Outcome::Delivered | Outcome::Read) {
        return say(out, &format!("{} {}.\n", words.sent, row.to));
    }
    let why = format!("{} {}, {} {}", words.not_sent, row.outcome, row.reason, detail.detail);
    let exit = if waits(row.outcome) { Exit::Unavailable } else { Exit::No };
    Err(Failure::new(exit, why.trim_end()))
}

fn waits(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Stored | Outcome::Unknown)
}

async fn ask<T: DeserializeOwned>(daemon: &Daemon, request: Request) -> Result<T, Failure> {
    let patience = request.patience();
    match daemon.desk().put(request, patience).await {
        Ok(Reply::Data(data)) => serde_json::from_value(data)
            .map_err(|error| Failure::new(Exit::Bug, format!("the engine's answer cannot be read: {error}"))),
        Ok(Reply::Refused(why)) => Err(Failure::new(Exit::No, why)),
        Ok(Reply::Text(_)) => Err(Failure::new(Exit::Bug, "the engine answered a question that was not asked")),
        Err(busy) => Err(Failure::new(Exit::Unavailable, busy.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_lies_elsewhere_is_brought() {
        let etc = Path::new("/etc/branchline");
        for place in ["/opt/token", "/media/usb/token", "/srv/token", "/etc/branchline/more/token", "/tmp/token"] {
            assert!(lies_elsewhere(Path::new(place), etc), "{place}");
        }
        assert!(!lies_elsewhere(Path::new("/etc/branchline/token"), etc));
        assert!(!lies_elsewhere(Path::new("/tmp/../tmp/ana/token"), Path::new("/tmp/../tmp/ana")));
    }

    /// Found by reading: root's token of mode 0600 beside the configuration was tried as root and left to a daemon that cannot read it.
    #[test]
    fn a_file_is_opened_to_the_group_of_its_folder_and_to_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "x").unwrap();
        for (before, after) in [(0o600, 0o640), (0o644, 0o644), (0o400, 0o440)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(before)).unwrap();
            open_to_group(&std::fs::File::open(&path).unwrap(), &path).unwrap();
            let found = std::fs::metadata(&path).unwrap();
            assert_eq!((found.mode() & 0o777, found.gid()), (after, std::fs::metadata(folder.path()).unwrap().gid()));
        }
    }
}
