//! One file for each budget, or for two that need the same set-up.

pub mod device;
pub mod latency;
pub mod memory;
pub mod rate;
pub mod size;
pub mod start;
pub mod unmatched;
pub mod webhook;

/// How much is measured.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Size {
    /// The figures.
    Full,
    /// Everything once, to see that it runs.
    Short,
}

impl Size {
    /// `full`, or `short` where it is only tried.
    pub fn of<T>(self, full: T, short: T) -> T {
        if self == Size::Full { full } else { short }
    }
}

/// What it was measured on.
pub fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("an unnamed processor");
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    format!("{cores} cores of {}, load {load} at the end of the run.", model.trim_start_matches([' ', '\t', ':']))
}
