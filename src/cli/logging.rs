//! The log: text or JSON lines on standard error, without colours, so that journald and people read the same.
//!
//! Floor: roof. Numbers and secrets mask themselves; a test reads every format for both.

use super::args::LogFormat;
use super::failure::{Exit, Failure};
use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry;

/// Starts it, once per process, down to the level that `BRANCHLINE_LOG` names.
pub fn start(format: LogFormat) -> Result<(), Failure> {
    let level = std::env::var("BRANCHLINE_LOG").ok();
    let subscriber = subscriber(format, filter(level.as_deref())?, std::io::stderr);
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|error| Failure::new(Exit::Bug, format!("the log was started twice: {error}")))
}

/// One level for us (libraries then only warn), or `target=level` pairs for whoever hunts in a library.
fn filter(level: Option<&str>) -> Result<Targets, Failure> {
    let level = level.filter(|level| !level.is_empty()).unwrap_or("info");
    if let Ok(ours) = level.parse::<LevelFilter>() {
        let theirs = if ours < LevelFilter::WARN { ours } else { LevelFilter::WARN };
        return Ok(Targets::new().with_default(theirs).with_target("branchline", ours));
    }
    // A mistyped level would be taken for the name of a library, and the log be silent.
    let pairs = level.contains('=').then(|| level.parse().ok()).flatten();
    pairs.ok_or_else(|| {
        let known = "error, warn, info, debug, or info,h2=debug";
        Failure::new(Exit::Usage, format!("BRANCHLINE_LOG={level} is no level: say {known}"))
    })
}

fn subscriber<W>(format: LogFormat, filter: Targets, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    match format {
        LogFormat::Text => {
            let lines = fmt::layer().with_ansi(false).with_target(false).with_writer(writer);
            Box::new(registry().with(lines.with_filter(filter)))
        }
        LogFormat::Json => {
            let lines = fmt::layer().json().flatten_event(true).with_writer(writer);
            Box::new(registry().with(lines.with_filter(filter)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::secret::Secret;
    use crate::message::Number;
    use crate::operate::{Reply, Request};
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, level: &str, say: impl FnOnce()) -> String {
        let kept = Kept::default();
        let writer = kept.clone();
        let subscriber = subscriber(format, filter(Some(level)).unwrap(), move || writer.clone());
        tracing::subscriber::with_default(subscriber, say);
        String::from_utf8(kept.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn no_format_shows_a_secret_or_a_whole_number() {
        for format in [LogFormat::Text, LogFormat::Json] {
            let text = logged(format, "trace", || {
                let number = Number::of_digits("5511987654321").unwrap();
                let secret = Secret::new("EAAG-token");
                let show = Request::ConsentShow { number: number.e164() };
                let reply = Reply::Data(serde_json::json!({ "number": number.e164() }));
                tracing::info!(%number, to = ?number, ?secret, ?show, ?reply, "told {number} {number:?} {secret:?}");
                tracing::error!(pair = ?(&number, &secret), some = ?Some(&number), "nested");
            });
            assert!(!text.contains("987654321") && !text.contains("EAAG"), "{text}");
            assert!(text.contains("(secret)") && text.contains("nested"), "{text}");
            assert!(!text.contains('\u{1b}'), "no colours: {text}");
        }
    }

    #[test]
    fn json_lines_are_json() {
        let text = logged(LogFormat::Json, "info", || tracing::info!(rule = "order-ready", "stored"));
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!((&line["message"], &line["rule"]), (&"stored".into(), &"order-ready".into()));
    }

    #[test]
    fn levels_are_ours_and_libraries_only_warn() {
        #[rustfmt::skip]
        let table = [
            ("info", "ours-info ours-warn lib-warn"),
            ("debug", "ours-debug ours-info ours-warn lib-warn"),
            ("error", ""),
            ("info,lib=debug", "ours-info ours-warn lib-debug lib-warn"),
        ];
        for (level, expected) in table {
            let text = logged(LogFormat::Text, level, || {
                tracing::debug!(target: "branchline::x", "ours-debug");
                tracing::info!(target: "branchline::x", "ours-info");
                tracing::warn!(target: "branchline::x", "ours-warn");
                tracing::debug!(target: "lib", "lib-debug");
                tracing::warn!(target: "lib", "lib-warn");
            });
            let said: Vec<&str> = text.lines().filter_map(|line| line.split_whitespace().last()).collect();
            assert_eq!(said.join(" "), expected, "{level}");
        }
        for wrong in ["inof", "info,h2=loud"] {
            let refused = filter(Some(wrong)).unwrap_err();
            assert!(refused.exit == Exit::Usage && refused.text.contains("BRANCHLINE_LOG"), "{refused}");
        }
    }
}
