//! The broker: name, connection, TLS, sign-in, what may be heard, and whether strangers are let in.
//!
//! Floor: roof.

use super::online::{self, Place, Said, Trial};
use crate::door::clock::SystemClock;
use crate::door::mqtt::{self, Settings, ShutKind, Who};
use crate::door::tls::{self, ServerAsked};
use crate::message::Filter;
use std::time::Duration;

const PART: &str = "broker";
const STEPS: [&str; 6] = ["name", "connection", "TLS", "sign-in", "subscriptions", "strangers"];
/// A connection with its CONNACK, or the answers to all subscriptions.
const PATIENCE: Duration = Duration::from_secs(10);
/// The client's own patience with a mute broker ends first: that tells us nothing, and is no broker that is away.
const AFTER: Duration = Duration::from_secs(2);
const LATE: &str = "Look at the broker: it takes connections and does not answer.";

pub(super) async fn attempt(trial: &mut Trial<'_>, settings: &Settings, filters: &[Filter], clock: &SystemClock) {
    if attempt_all(trial, settings, filters, clock).await.is_none() {
        trial.rest(PART, &STEPS);
    }
}

async fn attempt_all(
    trial: &mut Trial<'_>,
    settings: &Settings,
    filters: &[Filter],
    clock: &SystemClock,
) -> Option<()> {
    let place = Place { part: PART, key: "mqtt.url", host: &settings.host, port: settings.port };
    let line = place.reach(trial).await?;
    if settings.tls {
        let server = ServerAsked { host: &settings.host, ca_file: settings.ca_file.as_deref() };
        let config = tls::client_config_for(server.host, server.ca_file, settings.identity.as_ref(), clock);
        let words = (mqtt::tls_words as fn(&_) -> _, clock.verification_time());
        online::handshake(trial, PART, Box::new(line), server, config, words).await?;
    } else {
        trial.not_tried((PART, "TLS"), "mqtt.url begins with mqtt://, which is without TLS");
    }
    let mut visit = trial
        .step((PART, "sign-in"), PATIENCE, LATE, async {
            let visit = mqtt::visit(settings, clock, Who::Ourselves).await.map_err(|shut| match shut.kind {
                ShutKind::Away | ShutKind::Closed => Said::unreachable(shut.why, ""),
                ShutKind::ClientId => Said::no(
                    shut.why,
                    "The check needs a client id of its own beside the daemon's: allow ids that begin with mqtt.client_id.",
                ),
                ShutKind::Refused | ShutKind::Wrong => Said::no(shut.why, ""),
            })?;
            Ok((visit, Said::fine(who(settings))))
        })
        .await?;
    trial
        .step((PART, "subscriptions"), PATIENCE, LATE, async {
            let refused = visit.rights(filters).await.map_err(|shut| Said::unreachable(shut.why, ""))?;
            visit.leave().await;
            rights(filters, &refused).map(|said| ((), said))
        })
        .await?;
    trial
        .step((PART, "strangers"), PATIENCE + AFTER, "Look at the broker: nobody without a name should wait there.", async {
            let said = match mqtt::visit(settings, clock, Who::Nobody).await {
                Ok(visit) => {
                    visit.leave().await;
                    Said::warning(
                        "the broker admits clients without a name: whoever reaches it and publishes there can send WhatsApp \
                         messages in your name",
                        "mosquitto: allow_anonymous false, and a user for each till; see README, Who may publish.",
                    )
                }
                // Some brokers just close the line.
                Err(shut) if matches!(shut.kind, ShutKind::Refused | ShutKind::Closed) => {
                    Said::fine("clients without a name are turned away")
                }
                Err(shut) => Said::warning(format!("cannot be told: {}", shut.why), "Try again; until then take it that it admits them."),
            };
            Ok(((), said))
        })
        .await
}

/// How we signed in.
fn who(settings: &Settings) -> String {
    match (&settings.username, &settings.identity) {
        (Some(user), Some(_)) => format!("as {user:?} and by certificate"),
        (Some(user), None) => format!("as {user:?}"),
        (None, Some(_)) => "by certificate".to_owned(),
        (None, None) => "without a name".to_owned(),
    }
}

fn rights(filters: &[Filter], refused: &[(String, &str)]) -> Result<Said, Said> {
    if !refused.is_empty() {
        let list: Vec<_> = refused.iter().map(|(filter, why)| format!("{filter} {why}")).collect();
        let fix =
            "Allow this user to read these topics at the broker, or correct the rules: their events will not come.";
        return Err(Said::no(list.join("; "), fix));
    }
    Ok(Said::fine(match filters.len() {
        0 => "no rule wants anything".to_owned(),
        // mosquitto 2 answers "granted" to every SUBSCRIBE when rights stand in its acl_file.
        count => format!(
            "{count} granted (a mosquitto with acl_file grants all and then keeps back what it does not allow: see that file)"
        ),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::check::online::Outcome;

    #[test]
    fn refused_subscriptions_are_named_with_what_to_do() {
        let filter = |filter: &str| Filter { filter: filter.to_owned(), identifier: 1, retained: false };
        let wanted = [filter("pos/#"), filter("node/+")];
        let told = rights(&wanted, &[("node/+".to_owned(), "is not allowed to this user")]).unwrap_err();
        assert_eq!(told.outcome, Outcome::No);
        assert!(told.found == "node/+ is not allowed to this user" && told.fix.contains("Allow this user to read"));
        assert!(rights(&wanted, &[]).unwrap().found.starts_with("2 granted"));
        assert_eq!(rights(&[], &[]).unwrap().found, "no rule wants anything");
    }
}
