//! How much this process has written to the box's storage.
//!
//! Floor: doors. Reads `/proc/self/io` and never anything else: what other programs write is not ours to judge.
//!
//! The kernel's count and not SQLite's: it counts whole pages on their way to the device, which is what wears flash out. A commit
//! of 3 KiB touches at least two of them. Kernels without `CONFIG_TASK_IO_ACCOUNTING` do not tell.

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Between two looks: a day is counted in minutes, not in batches.
const LOOK: Duration = Duration::from_secs(10);

/// The count, looked at now and then.
#[derive(Debug)]
pub struct Written {
    file: PathBuf,
    looked: Option<Instant>,
}

impl Default for Written {
    fn default() -> Written {
        Written { file: "/proc/self/io".into(), looked: None }
    }
}

impl Written {
    /// Bytes since the process began; `None` where it was looked at a moment ago, or the kernel does not tell.
    pub fn look(&mut self) -> Option<u64> {
        let now = Instant::now();
        if self.looked.is_some_and(|looked| now - looked < LOOK) {
            return None;
        }
        self.looked = Some(now);
        let text = std::fs::read_to_string(&self.file).ok()?;
        text.lines().find_map(|line| line.strip_prefix("write_bytes:")?.trim().parse().ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_count_is_read_now_and_then() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("io");
        std::fs::write(&file, "rchar: 9\nwrite_bytes: 4096\ncancelled_write_bytes: 7\n").unwrap();
        let mut written = Written { file, looked: None };
        assert_eq!(written.look(), Some(4096));
        assert_eq!(written.look(), None, "a moment ago");
        let mut absent = Written { file: folder.path().join("absent"), looked: None };
        assert_eq!(absent.look(), None);
    }
}
