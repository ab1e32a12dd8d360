//! What the daemon takes of the box, life by life: memory, descriptors, threads, store; and what its page says.

use super::SENDER_PER_SECOND;
use super::books::Books;
use crate::house::{House, MEMORY_KIB};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const MIB: f64 = 1024.0 * 1024.0;
/// Between two samples.
const EVERY: Duration = Duration::from_secs(2);
/// Of the judged life: caches fill, and the store grows until retention takes as much as comes.
const WARM: f64 = 0.4;

/// One look.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// Seconds since the life began.
    at: f64,
    /// KiB resident, and of them the daemon's own (not pages of its file).
    resident: u64,
    own: u64,
    descriptors: usize,
    threads: u64,
    store: u64,
}

impl Sample {
    pub const HEAD: &str =
        "   time    events  accepted   waits  resident KiB (own)  files  threads  store MiB  repeats  lives";
}

/// What the page counts.
#[derive(Clone, Copy, Default, Debug)]
pub struct Counts {
    pub accepted: u64,
    pub unknown: u64,
}

pub struct Watch {
    page: u16,
    life: Instant,
    lives: u32,
    last: Instant,
    /// Of the life that is judged.
    judged: Vec<Sample>,
    latest: Option<Sample>,
    /// The most that any life took of its own, in KiB.
    most_own: u64,
    /// What the status thought of the last second, less what the simulator saw of it.
    drift: Vec<f64>,
}

impl Watch {
    pub fn new(page: u16) -> Watch {
        let now = Instant::now();
        Watch { page, life: now, lives: 1, last: now, judged: Vec::new(), latest: None, most_own: 0, drift: Vec::new() }
    }

    pub fn new_life(&mut self) {
        self.life = Instant::now();
        self.lives += 1;
    }

    /// A sample, if one is due.
    pub fn look(&mut self, house: &House, books: &Books, judged: bool) {
        if self.last.elapsed() < EVERY {
            return;
        }
        self.last = Instant::now();
        let Some(sample) = self.sample(house) else { return };
        self.latest = Some(sample);
        self.most_own = self.most_own.max(sample.own);
        if judged {
            self.judged.push(sample);
            // As the page is asked over a second is looked back at; later, when the simulator's requests of it are read.
            if let Some(used) = self.metrics().get("branchline_limit_used_ratio{limit=\"sender\"}") {
                let seen = books.last_second(Instant::now());
                self.drift.push(used * SENDER_PER_SECOND as f64 - seen as f64);
            }
        }
    }

    fn sample(&self, house: &House) -> Option<Sample> {
        let proc = format!("/proc/{}", house.pid());
        let field = |text: &str, name: &str| -> Option<u64> {
            text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
        };
        let memory = std::fs::read_to_string(format!("{proc}/smaps_rollup")).ok()?;
        let status = std::fs::read_to_string(format!("{proc}/status")).ok()?;
        let size = |name: &str| std::fs::metadata(house.path().join(name)).map_or(0, |file| file.len());
        Some(Sample {
            at: self.life.elapsed().as_secs_f64(),
            resident: field(&memory, "Rss:")?,
            own: field(&memory, "Anonymous:")?,
            descriptors: std::fs::read_dir(format!("{proc}/fd")).ok()?.count(),
            threads: field(&status, "Threads:")?,
            store: size("outbox.db") + size("outbox.db-wal"),
        })
    }

    /// `/metrics` by sample name with labels; empty while nobody answers.
    fn metrics(&self) -> HashMap<String, f64> {
        let mut text = String::new();
        let asked = TcpStream::connect(("127.0.0.1", self.page)).and_then(|mut page| {
            page.set_read_timeout(Some(Duration::from_secs(20)))?;
            write!(page, "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
            page.read_to_string(&mut text)
        });
        if asked.is_err() {
            return HashMap::new();
        }
        let samples = text.lines().filter(|line| line.starts_with("branchline_"));
        samples
            .filter_map(|line| line.rsplit_once(' '))
            .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
            .collect()
    }

    /// What the page of this life counts.
    pub fn counts(&self) -> Counts {
        let metrics = self.metrics();
        let of = |outcome: &str| {
            let label = format!("outcome=\"{outcome}\"");
            let of_outcome =
                |(name, _): &(&String, &f64)| name.starts_with("branchline_messages_total{") && name.contains(&label);
            metrics.iter().filter(of_outcome).map(|(_, value)| *value as u64).sum()
        };
        Counts { accepted: of("accepted"), unknown: of("unknown") }
    }

    /// One line of the table.
    pub fn line(&self, done: Duration, published: u32, books: &Books) -> String {
        let Some(sample) = self.latest else { return String::new() };
        let waits: f64 = self
            .metrics()
            .iter()
            .filter(|(name, _)| name.starts_with("branchline_outbox_messages{") && !name.contains("accepted"))
            .map(|(_, value)| value)
            .sum();
        let (minutes, seconds) = (done.as_secs() / 60, done.as_secs() % 60);
        let Sample { resident, own, descriptors, threads, .. } = sample;
        format!(
            "  {minutes:>2}:{seconds:02} {published:>9} {:>9} {waits:>7} {resident:>12} {:>7} {descriptors:>6} {threads:>8} {:>10.1} {:>8} {:>6}",
            books.accepted(),
            format!("({own})"),
            sample.store as f64 / MIB,
            books.repeats(),
            self.lives,
        )
    }

    /// The judged life after it is warm.
    fn warm(&self) -> &[Sample] {
        let from = (self.judged.len() as f64 * WARM) as usize;
        &self.judged[from..]
    }

    pub fn figures(&self) -> String {
        let warm = self.warm();
        let (own, resident) = (slope(warm, |sample| sample.own as f64), slope(warm, |sample| sample.resident as f64));
        let most = |of: fn(&Sample) -> u64| warm.iter().map(of).max().unwrap_or_default();
        format!(
            "{} lives; over {:.0} s of the first: own memory {own:+.0} KiB/h, resident {resident:+.0} KiB/h; \
             at most {} KiB own, {} KiB resident, {} descriptors, {} threads, {:.1} MiB of store\n\
             what the status counted of the last second, less the simulator's count: {:+.0} (middle)",
            self.lives,
            warm.last().zip(warm.first()).map_or(0.0, |(last, first)| last.at - first.at),
            most(|sample| sample.own),
            most(|sample| sample.resident),
            most(|sample| sample.descriptors as u64),
            most(|sample| sample.threads),
            most(|sample| sample.store) as f64 / MIB,
            middle(self.drift.clone()),
        )
    }

    /// What is not flat in the judged life.
    pub fn verdict(&self, bound: Option<f64>) -> Vec<String> {
        let warm = self.warm();
        let mut wrong = Vec::new();
        if warm.len() < 4 {
            wrong.push("too few samples to judge anything by".to_owned());
            return wrong;
        }
        // However short the time is: a malloc that keeps what another thread frees took 13 MiB within minutes.
        if self.most_own > MEMORY_KIB {
            wrong.push(format!(
                "own memory came to {} KiB, and {MEMORY_KIB} is the budget of the whole daemon",
                self.most_own
            ));
        }
        let own = slope(warm, |sample| sample.own as f64);
        if bound.is_some_and(|bound| own > bound) {
            wrong.push(format!("own memory grows by {own:.0} KiB an hour"));
        }
        let third = warm.len() / 3;
        let (early, late) = (&warm[..third.max(1)], &warm[warm.len() - third.max(1)..]);
        let of = |samples: &[Sample], what: fn(&Sample) -> f64| middle(samples.iter().map(what).collect());
        let descriptors = |sample: &Sample| sample.descriptors as f64;
        if of(late, descriptors) > of(early, descriptors) + 1.0 {
            wrong.push(format!("descriptors: {} became {}", of(early, descriptors), of(late, descriptors)));
        }
        if warm.iter().any(|sample| sample.threads != warm[0].threads) {
            wrong.push("the number of threads changed".to_owned());
        }
        let most = |samples: &[Sample]| samples.iter().map(|sample| sample.store).max().unwrap_or_default() as f64;
        // Only where the time is long enough for a plateau.
        if bound.is_some() && most(late) > most(early) * 1.1 {
            wrong.push(format!("the store grew from {:.1} to {:.1} MiB", most(early) / MIB, most(late) / MIB));
        }
        let drift = middle(self.drift.clone());
        if drift.abs() > 32.0 {
            wrong.push(format!("the status counts {drift:+.0} messages a second beside what the simulator counts"));
        }
        wrong
    }
}

/// KiB an hour: the middle of the slopes between every two samples (Theil and Sen), which no single lump moves.
fn slope(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
    let pairs =
        samples.iter().enumerate().flat_map(|(place, one)| samples[place + 1..].iter().map(move |two| (one, two)));
    middle(pairs.map(|(one, two)| (of(two) - of(one)) / (two.at - one.at) * 3600.0).collect())
}

fn middle(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
