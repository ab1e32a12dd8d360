//! What may be typed.
//!
//! Floor: roof. Every command has an example in its help (a test reads them all); commands of later versions are not here.

mod outbox;
mod rights;

pub use outbox::Outbox;
pub use rights::{Audit, Contact};

use super::init::Init;
use super::stick::FromStick;

use crate::message::{Category, Priority};
use crate::operate::{SendOrder, Target};
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Turns a branch's MQTT events into WhatsApp messages, losing none.
#[derive(Parser, Debug)]
#[command(name = "branchline", version, arg_required_else_help = true)]
#[command(after_help = "Example:\n  branchline demo\n\nExit codes: 0 done, 1 the answer is no, 64 usage, \
    69 a service is unreachable, 70 our bug, 74 storage, 78 configuration.")]
pub struct Cli {
    /// The configuration.
    #[arg(long, global = true, value_name = "FILE", default_value = "/etc/branchline/branchline.toml")]
    pub config: PathBuf,
    /// The board's facts, by the name of its file in boards/; without, the environment's BRANCHLINE_BOARD.
    #[arg(long, global = true, value_name = "NAME")]
    pub board: Option<String>,
    /// The daemon's socket; without, the configuration's operate.socket.
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// The daemon, in the foreground.
    #[command(after_help = "BRANCHLINE_LOG sets the level: error, warn, info, debug, trace, or \
        info,h2=debug for one library.\n\n\
        Example:\n  branchline run --config /etc/branchline/branchline.toml --log json")]
    Run(Run),
    /// Six questions, a configuration that works, and the first message to whoever answered them.
    #[command(
        after_help = "Asks for branch, broker, number ID, token file, time zone and the technician's number, in English, Portuguese \
        or Spanish; writes a commented configuration; tries all of it (branchline check --online); records the technician's \
        consent, and sends the platform's hello_world template there. Ends with 1 where somebody says no, 69 where nobody \
        answers, 64 where the answers end before the questions.\n\n\
        Example:\n  branchline init --language pt"
    )]
    Init(Init),
    /// Take over the configuration of a stick: for the start of the box, as root, before the daemon.
    #[command(
        after_help = "A stick counts that is mounted, has a FAT file system (or is named by --from) and a folder branchline/ with a \
        branchline.toml. What it holds is laid over the configuration, checked and tried (branchline check --online), and takes \
        its place as a whole or not at all. Secrets become files for the daemon alone and are wiped from the stick; RESULT.txt on \
        it says in three languages what came of it. On a box that is set up it must be signed by head office (stick.key_file). \
        Ends with 0 where there is none or it was taken over, 1 where it is refused.\n\n\
        Example:\n  branchline stick --from /media/usb"
    )]
    Stick(FromStick),
    /// At head office: the platform's webhooks in, signed notices to the boxes by MQTT.
    #[command(
        after_help = "For boxes that nothing can reach. Its configuration is a file of its own, with the tables [mqtt], [webhook] \
        and [notice] (README, Boxes that nothing can reach). It keeps nothing: the platform is answered when the broker has \
        acknowledged, and repeats what was not answered, so several may run side by side.\n\n\
        Example:\n  branchline forward --config /etc/branchline/forward.toml"
    )]
    Forward(Forward),
    /// All problems of a configuration at once, and the effective values with their origin.
    #[command(
        after_help = "--online tries name, connection, proxy and TLS of broker and platform; sign-in and subscriptions; \
        token, number and templates; disk and clock. It sends no message and may run beside the daemon, as its user. Ends \
        with 1 where somebody says no or the configuration has problems, 69 where nobody answers.\n\n\
        Example:\n  branchline check --online --config branchline.toml"
    )]
    Check(Check),
    /// Whether this program can take over the box as it is: before an upgrade, by the new program.
    #[command(
        after_help = "Reads the configuration, copies the store (a daemon may run meanwhile), opens the copy and brings it \
        forward to this program's version, lets the engine step on it, looks into every table, and removes the copy. Sends \
        nothing. Ends with 1 where this program must not take over, 78 where the configuration has problems for it.\n\n\
        Example:\n  branchline self-test --json"
    )]
    SelfTest(Output),
    /// A branch's day in about 20 s, without any set-up: embedded broker, simulated API.
    #[command(after_help = "Example:\n  branchline demo --serve")]
    Demo {
        /// Stay up afterwards, for trials of one's own.
        #[arg(long)]
        serve: bool,
    },
    /// The simulated WhatsApp Cloud API alone, for trials of one's own: strict, with faults on request. Until Ctrl-C.
    #[command(
        after_help = "What goes wrong and when: a scenario (config/trials/bad-day.toml is one), or while it runs the \
        control endpoint, which tells what it takes:\n  curl -s http://127.0.0.1:8089/sandbox\n\n\
        Example:\n  branchline sandbox --templates templates.json --record requests.jsonl"
    )]
    Sandbox(Sandbox),
    /// Which rules match an event and why not, the message, its lengths, consent, and what it would wait for; sends and
    /// stores nothing.
    #[command(
        after_help = "Answered by the daemon; while none runs on the store; without a store by the configuration \
        alone. The answer says which. What fails is shown with file, line and place; phone numbers are masked, in the \
        message's text too, whose lengths stay those of the true text.\n\nExample:\n  branchline explain --topic pos/3/order/42/ready --payload event.json"
    )]
    Explain(Explain),
    /// Say something to one person: an approved template, through the same consent and limits as the rules' messages.
    #[command(
        after_help = "Every call is a new message with an id of its own (see branchline outbox show); its rule is \
        called \"operator\". The category is the template's; what has not left after policy.expires of its --priority is dropped. While no \
        daemon runs it is stored, and leaves when one does. Exit code 1: withheld, or something is wrong with it. \
        Phone numbers are masked in what is printed, lengths are those of the true text.\n\n\
        Example:\n  branchline send --to +5511987654321 --template order_ready --language pt_BR --purpose orders \
        --param Ana --param 42 --dry-run"
    )]
    Send(Send),
    /// One look: problems, links, backlog, limits, holds, last outcomes, clock.
    #[command(after_help = "Example:\n  branchline status")]
    Status(Output),
    /// Hold what has not left: everything, a rule, a category or a template. It survives a restart.
    #[command(after_help = "Example:\n  branchline pause --rule order-ready --reason \"wrong price in the till\"")]
    Pause(Hold),
    /// Lift a hold; without a target: of everything, and whatever stopped the number.
    #[command(after_help = "Example:\n  branchline resume --rule order-ready --reason \"till corrected\"")]
    Resume(Hold),
    /// The messages in the store.
    #[command(subcommand, after_help = "Example:\n  branchline outbox list --outcome stored")]
    Outbox(Outbox),
    /// Who agreed to what: the ledger.
    #[command(subcommand, after_help = "Example:\n  branchline consent show +5511987654321")]
    Consent(Consent),
    /// A person's rights: what is held on somebody, and its removal.
    #[command(subcommand, after_help = "Example:\n  branchline contact export +5511987654321")]
    Contact(Contact),
    /// The record of every decision that touches a person: whether it is whole, and what it says.
    #[command(subcommand, after_help = "Example:\n  branchline audit verify")]
    Audit(Audit),
}

impl Command {
    /// What it does to the store when no daemon runs.
    pub fn wants(&self) -> Wants {
        match self {
            Command::Explain(_) => Wants::ToTry,
            Command::Send(send) if send.dry_run => Wants::ToTry,
            Command::Status(_)
            | Command::Audit(_)
            | Command::Outbox(
                Outbox::List { .. } | Outbox::Show { .. } | Outbox::Export { .. } | Outbox::Check { .. },
            )
            | Command::Consent(Consent::Show { .. } | Consent::Export { .. })
            | Command::Contact(Contact::Export { .. }) => Wants::ToLook,
            _ => Wants::ToOrder,
        }
    }
}

/// What a command does to the store when no daemon runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wants {
    /// Tries something out: it needs no store.
    ToTry,
    /// Reads it: none is made, and a damaged one is left as it lies.
    ToLook,
    /// Changes it, and may make or salvage it.
    ToOrder,
}

/// `branchline check`
#[derive(Args, Clone, Copy, Debug)]
pub struct Check {
    /// Also try broker, uplink, token, templates, clock and store: a minute at most.
    #[arg(long)]
    pub online: bool,
    /// How it is written.
    #[command(flatten)]
    pub output: Output,
}

/// `branchline forward`
#[derive(Args, Clone, Copy, Debug)]
pub struct Forward {
    /// Only tell all problems of the configuration, and the effective values with their origin.
    #[arg(long)]
    pub check: bool,
    /// With --check: print JSON.
    #[arg(long, requires = "check")]
    pub json: bool,
    /// How the log is written.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log: LogFormat,
}

/// `branchline run`
#[derive(Args, Clone, Copy, Debug)]
pub struct Run {
    /// How the log is written.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log: LogFormat,
}

/// How the log is written.
#[derive(ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LogFormat {
    /// For people and journald.
    #[default]
    Text,
    /// One object per line.
    Json,
}

/// `branchline sandbox`
#[derive(Args, Debug)]
pub struct Sandbox {
    /// Where to listen; port 0 takes a free one. Beyond this machine only on a network of your own: whoever reaches it
    /// reads everything and steers it.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8089")]
    pub listen: SocketAddr,
    /// TLS by the certificates of this folder; what it lacks is made: ca, server and client, each .pem and .key.
    #[arg(long, value_name = "DIR")]
    pub tls: Option<PathBuf>,
    /// Clients must show a certificate by this authority, DIR/ca.pem for the one of --tls.
    #[arg(long, value_name = "FILE", requires = "tls")]
    pub client_ca: Option<PathBuf>,
    /// The account's templates, in the platform's own list; without, any template is taken, its parameters checked for form.
    #[arg(long, value_name = "FILE")]
    pub templates: Option<PathBuf>,
    /// What goes wrong and when.
    #[arg(long, value_name = "FILE")]
    pub scenario: Option<PathBuf>,
    /// Add every request to this file, as a line of JSON; the token is left out.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// The access token that is taken; "sandbox-token" without.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// The app secret; "sandbox-app-secret" without.
    #[arg(long, value_name = "FILE")]
    pub app_secret_file: Option<PathBuf>,
    /// Where to report statuses, replies and news of the account to, signed by the app secret.
    #[arg(long, value_name = "URL")]
    pub callback: Option<String>,
    /// What the callback is asked for first; "sandbox-verify-token" without.
    #[arg(long, value_name = "FILE")]
    pub verify_token_file: Option<PathBuf>,
    /// Trust the callback's certificate by this authority too, beside the public ones and that of --tls.
    #[arg(long, value_name = "FILE")]
    pub callback_ca: Option<PathBuf>,
    /// Refuse requests without the appsecret_proof of the app secret.
    #[arg(long)]
    pub require_proof: bool,
    /// The id of the number, as in the daemon's uplink.phone_number_id.
    #[arg(long, value_name = "ID", default_value = "106540352242922")]
    pub phone_number_id: String,
    /// What the dice begin with: the same seed, the same trial.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// One line of JSON on standard output when it listens, and nothing else.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Clone, Copy, Debug)]
pub struct Output {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

#[derive(Args, Debug)]
pub struct Explain {
    /// The topic of the event.
    #[arg(long, value_name = "T", value_parser = NonEmptyStringValueParser::new())]
    pub topic: String,
    /// A file with its payload, "-" for standard input; empty without.
    #[arg(long, value_name = "FILE")]
    pub payload: Option<PathBuf>,
    /// As if it were this time: 2026-11-22T21:30, with or without an offset; now without.
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Args, Debug)]
pub struct Send {
    /// The person's number, a national one read as of branch.country; or people:NAME of the configuration.
    #[arg(long, value_name = "NUMBER")]
    pub to: String,
    /// A template of the platform's list (templates.file).
    #[arg(long, value_name = "NAME")]
    pub template: String,
    /// The language of the template.
    #[arg(long, value_name = "L")]
    pub language: String,
    /// The purpose that the person agreed to.
    #[arg(long, value_name = "P")]
    pub purpose: String,
    /// A parameter of the body, once for each in their order; NAME=VALUE where the template names them.
    #[arg(long = "param", value_name = "VALUE", allow_hyphen_values = true)]
    pub params: Vec<String>,
    /// What the header takes: a text, the URL of an image, video or document, or "LATITUDE,LONGITUDE,NAME,ADDRESS".
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    pub header: Option<String>,
    /// The file name that the person sees of a document.
    #[arg(long, value_name = "NAME", requires = "header")]
    pub filename: Option<String>,
    /// What a button takes (the end of its URL, or a code), once for each such button in their order.
    #[arg(long = "button", value_name = "VALUE", allow_hyphen_values = true)]
    pub buttons: Vec<String>,
    /// What it may overtake; marketing is never critical.
    #[arg(long, value_name = "P", default_value = "normal",
        value_parser = PossibleValuesParser::new(Priority::ALL.map(Priority::code)))]
    pub priority: String,
    /// Say what would become of it; store and send nothing.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub output: Output,
}

impl Send {
    /// What the engine is asked, and how the answer is shown.
    pub fn order(self) -> (SendOrder, Output) {
        let priority = Priority::ALL.into_iter().find(|priority| priority.code() == self.priority);
        let order = SendOrder {
            to: self.to,
            template: self.template,
            language: self.language,
            purpose: self.purpose,
            params: self.params,
            header: self.header,
            filename: self.filename,
            buttons: self.buttons,
            priority: priority.unwrap_or_default(),
            dry_run: self.dry_run,
        };
        (order, self.output)
    }
}

#[derive(Args, Debug)]
pub struct Hold {
    #[command(flatten)]
    pub what: What,
    /// Why: shown in the status, kept in the store.
    #[arg(long, value_name = "TEXT", value_parser = not_blank)]
    pub reason: String,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Args, Debug)]
#[group(multiple = false)]
pub struct What {
    /// Only this rule.
    #[arg(long, value_name = "R")]
    pub rule: Option<String>,
    /// Only this category.
    #[arg(long, value_name = "C", value_parser = PossibleValuesParser::new(Category::ALL.map(Category::code)))]
    pub category: Option<String>,
    /// Only this template, in all languages.
    #[arg(long, value_name = "T")]
    pub template: Option<String>,
}

impl What {
    /// The one that was named; everything when none was.
    pub fn target(self) -> Target {
        let Self { rule, category, template } = self;
        let named = rule.map(Target::Rule).or(category.map(Target::Category)).or(template.map(Target::Template));
        named.unwrap_or(Target::All)
    }
}

#[derive(Subcommand, Debug)]
pub enum Consent {
    /// Record that a person agreed.
    #[command(after_help = "Example:\n  branchline consent grant +5511987654321 --purpose orders \
        --source \"form 118, counter 2\" --expires 2028-11-22")]
    Grant(Grant),
    /// Record that a person took it back; it takes effect at once, for what waits too.
    #[command(after_help = "Example:\n  branchline consent revoke +5511987654321 --purpose orders")]
    Revoke {
        /// The person's number; a national one is read as of branch.country.
        number: String,
        /// Only this purpose; everything without.
        #[arg(long, value_name = "P")]
        purpose: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// What the ledger holds on a person.
    #[command(after_help = "Example:\n  branchline consent show +5511987654321")]
    Show {
        /// The person's number; a national one is read as of branch.country.
        number: String,
        #[command(flatten)]
        output: Output,
    },
    /// Record the lines of a CSV file; nothing is recorded unless every line is good.
    #[command(after_help = "Columns: number,purpose,action,at,source,wording,expires (a first line with these names; \
        comma or semicolon).\naction is grant or revoke; purpose may be all with revoke; at and expires are a date or \
        a time, at may be empty for now, expires for the purpose's own.\nAn entry is never recorded twice: after an \
        interruption run it again.\n\nExample:\n  branchline consent import customers.csv")]
    Import {
        /// The file, "-" for standard input.
        #[arg(value_name = "FILE.csv")]
        file: PathBuf,
        /// It is the whole ledger: what is held since the store was damaged goes on with it.
        #[arg(long)]
        releases: bool,
        #[command(flatten)]
        output: Output,
    },
    /// The whole ledger as CSV on standard output. Numbers are whole in it: keep it like the ledger itself.
    #[command(after_help = "Example:\n  branchline consent export > ledger.csv")]
    Export {
        /// One JSON object per line instead of CSV.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args, Debug)]
pub struct Grant {
    /// The person's number; a national one is read as of branch.country.
    pub number: String,
    /// A purpose of the configuration.
    #[arg(long, value_name = "P")]
    pub purpose: String,
    /// Where and how the consent was given.
    #[arg(long, value_name = "TEXT", value_parser = not_blank)]
    pub source: String,
    /// The wording that the person saw; the purpose's own without.
    #[arg(long, value_name = "V")]
    pub wording: Option<String>,
    /// When it ends: a date (its first moment) or a time; the purpose's own without.
    #[arg(long, value_name = "D")]
    pub expires: Option<String>,
    /// Lift an earlier revocation: only when the person asked for it again.
    #[arg(long)]
    pub after_revocation: bool,
    #[command(flatten)]
    pub output: Output,
}

fn not_blank(text: &str) -> Result<String, String> {
    match text.trim() {
        "" => Err("must say something: it is kept and shown".into()),
        text => Ok(text.to_owned()),
    }
}
