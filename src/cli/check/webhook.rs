//! The platform's door: whether its address can be had. What it needs from files the configuration's own check has tried.
//!
//! Floor: roof. Never asks the public address: only the platform's own question there tells whether it leads here.

use super::online::{Said, Trial};
use crate::config::Config;
use std::io::{self, ErrorKind};
use std::time::Duration;
use tokio::net::{TcpListener, UnixStream};

const PART: &str = "webhook";
/// Both are local.
const LOCAL: Duration = Duration::from_secs(5);

pub(super) async fn attempt(trial: &mut Trial<'_>, config: &Config) {
    let Some(door) = &config.webhook else { return };
    let on = door.listen;
    let speaks = if door.identity.is_some() { "with TLS" } else { "plain HTTP, for something in front" };
    let late = "The system does not answer: see its load.";
    trial
        .step((PART, "address"), LOCAL, late, async {
            match TcpListener::bind(on).await {
                Ok(_) => Ok(((), Said::fine(format!("{on} is free, {speaks}")))),
                Err(why) if why.kind() == ErrorKind::AddrInUse => {
                    match UnixStream::connect(&config.operate.socket).await {
                        Ok(_) => Ok(((), Said::fine(format!("{on} is in use, {speaks}, while a daemon runs")))),
                        Err(_) => Err(taken(format!("{on} is in use, and no daemon of this configuration runs"))),
                    }
                }
                Err(why) => Err(refused(&format!("{on}: {why}"), &why)),
            }
        })
        .await;
}

fn taken(found: String) -> Said {
    Said::no(found, "Stop what listens there (ss -ltnp tells its name), or choose another port in webhook.listen.")
}

fn refused(found: &str, why: &io::Error) -> Said {
    let fix = match why.kind() {
        ErrorKind::AddrNotAvailable => {
            "This box has no such address: write one of its own in webhook.listen, or 0.0.0.0."
        }
        ErrorKind::PermissionDenied => {
            "Ports below 1024 are the system's: choose a higher one, or run the check as the daemon's user."
        }
        _ => "See webhook.listen.",
    };
    Said::no(found, fix)
}
