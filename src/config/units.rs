//! Durations and sizes as people write them.
//!
//! Floor: config.

use std::time::Duration;

/// What a duration looks like, for errors.
pub(super) const DURATION: &str = "a time like \"30s\", \"5m\", \"12h\" or \"7d\"";
/// What a size looks like, for errors.
pub(super) const SIZE: &str = "a size like \"512 B\", \"16 KiB\", \"64 MiB\" or \"1 GiB\"";
/// The longest duration that is read: ten years, so that no sum of times overflows.
const LONGEST: u64 = 3650 * 24 * 3600;

/// `30s`, `5m`, `12h`, `7d`: whole numbers, at most ten years.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let unit = text.chars().next_back()?;
    let scale = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    let seconds = digits(text.strip_suffix(unit)?)?.checked_mul(scale)?;
    (seconds <= LONGEST).then(|| Duration::from_secs(seconds))
}

/// `512 B`, `16 KiB`, `64 MiB`, `1 GiB`, with or without the space.
pub(super) fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let (number, scale) = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("B", 1)]
        .into_iter()
        .find_map(|(unit, scale)| Some((text.strip_suffix(unit)?, scale)))?;
    digits(number.trim_end())?.checked_mul(scale)
}

/// In the largest unit that leaves no rest.
pub(super) fn show_size(bytes: u64) -> String {
    let (unit, scale) = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
        .into_iter()
        .find(|(_, scale)| bytes.is_multiple_of(*scale))
        .unwrap_or(("B", 1));
    format!("{} {unit}", bytes / scale)
}

/// In the largest unit of hours, minutes and seconds that leaves no rest.
pub(super) fn show_duration(time: Duration) -> String {
    let seconds = time.as_secs();
    let (unit, scale) =
        [("h", 3600), ("m", 60)].into_iter().find(|(_, scale)| seconds.is_multiple_of(*scale)).unwrap_or(("s", 1));
    format!("{}{unit}", seconds / scale)
}

/// Digits and nothing else (`u64::from_str` would take a plus sign).
pub(super) fn digits(text: &str) -> Option<u64> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, seconds) in
            [("30s", 30), ("5m", 300), ("1h", 3600), ("7d", 604_800), (" 6s ", 6), ("0s", 0), ("3650d", LONGEST)]
        {
            assert_eq!(duration(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "s", "30", "30 s", "-1s", "+1s", "1.5h", "1h30m", "1w", "3651d", "99999999999999999999d", "9é"]
        {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn durations_are_shown_as_they_are_written() {
        for text in ["30s", "90m", "37h", "0h"] {
            assert_eq!(show_duration(duration(text).unwrap()), text);
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [("64 MiB", 64 << 20), ("16KiB", 16 << 10), ("1 GiB", 1 << 30), ("7 B", 7)] {
            assert_eq!(size(text), Some(bytes), "{text}");
        }
        for text in
            ["", "64", "64 MB", "64 mib", "-1 B", "1.5 MiB", "MiB", "99999999999999999999 GiB", "99999999999 GiB"]
        {
            assert_eq!(size(text), None, "{text}");
        }
    }
}
