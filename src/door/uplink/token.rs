//! The token, from its file: read again when it is due, so that a replaced file is used without a restart.
//!
//! Floor: doors. Never prints it; what others see is a fingerprint.

use crate::door::secret::Secret;
use ring::digest;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a reading is good. The file is small: reading it is as cheap as asking for its date, and misses no change.
const GOOD_FOR: Duration = Duration::from_secs(1);
/// Bytes of the largest file that is taken for a token's; the platform's have 200 to 300.
const LARGEST: u64 = 8 * 1024;

/// The token in use, and what people are told where there is none.
type Reading = Result<Option<Secret>, String>;

/// The first 8 bytes of the token's SHA-256; `None` where there is no token.
pub(super) type Fingerprint = Option<[u8; 8]>;

/// The file and what was last read from it.
pub(super) struct Tokens {
    file: Option<PathBuf>,
    last: Mutex<Last>,
}

struct Last {
    at: Instant,
    reading: Reading,
}

impl Tokens {
    /// Reads the file; without one, requests go out without a token (a client certificate stands for it).
    pub(super) fn new(file: Option<PathBuf>) -> Tokens {
        let reading = read(file.as_deref());
        Tokens { file, last: Mutex::new(Last { at: Instant::now(), reading }) }
    }

    /// The fingerprint of what was last read.
    pub(super) fn look(&self) -> Fingerprint {
        fingerprint(&self.last.lock().unwrap_or_else(PoisonError::into_inner).reading)
    }

    /// The token to use now, at most `GOOD_FOR` old; `changed` is told the fingerprint if it is another one.
    ///
    /// # Errors
    /// A text for a person, naming the file.
    pub(super) fn current(&self, changed: impl FnOnce(Fingerprint)) -> Reading {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.at.elapsed() >= GOOD_FOR {
            let reading = read(self.file.as_deref());
            let (before, after) = (fingerprint(&last.reading), fingerprint(&reading));
            *last = Last { at: Instant::now(), reading };
            if before != after {
                changed(after);
            }
        }
        last.reading.clone()
    }
}

fn read(file: Option<&Path>) -> Reading {
    let Some(file) = file else { return Ok(None) };
    let told = |what: &str| format!("token file {}: {what}", file.display());
    let mut content = Vec::new();
    std::fs::File::open(file)
        .and_then(|opened| opened.take(LARGEST + 1).read_to_end(&mut content))
        .map_err(|why| told(&format!("cannot be read: {why}; check the path and who may read it")))?;
    token(&content).map(Some).map_err(told)
}

/// The token that a file with this content holds: for the door, and for whoever checks a configuration before it is used.
///
/// # Errors
/// What is wrong and what to do, to be read after the name of the file.
pub fn token(content: &[u8]) -> Result<Secret, &'static str> {
    // What a header may hold (RFC 6750): anything else is a file of another kind.
    match content.trim_ascii() {
        [] => Err("is empty; put the token there"),
        token if content.len() as u64 <= LARGEST && token.iter().all(u8::is_ascii_graphic) => {
            Ok(Secret::new(&String::from_utf8_lossy(token)))
        }
        _ => Err("holds no token: one word is wanted, as the platform shows it"),
    }
}

fn fingerprint(reading: &Reading) -> Fingerprint {
    let token = reading.as_ref().ok()?.as_ref()?;
    let hash = digest::digest(&digest::SHA256, token.reveal().as_bytes());
    hash.as_ref().first_chunk::<8>().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_files_hold() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let large = "x".repeat(LARGEST as usize + 1);
        let table: &[(&str, Result<&str, &str>)] = &[
            ("EAAG1\n", Ok("EAAG1")),
            ("  EAAG2\r\n\n", Ok("EAAG2")),
            ("", Err("is empty")),
            ("\n", Err("is empty")),
            ("two words", Err("holds no token")),
            ("line\nline", Err("holds no token")),
            ("caf\u{e9}", Err("holds no token")),
            (&large, Err("holds no token")),
        ];
        for (text, wanted) in table {
            std::fs::write(&file, text).unwrap();
            match (read(Some(&file)), wanted) {
                (Ok(Some(token)), Ok(wanted)) => assert_eq!(token.reveal(), *wanted),
                (Err(told), Err(wanted)) => {
                    assert!(told.contains(wanted) && told.contains(&file.display().to_string()), "{told}")
                }
                (read, _) => panic!("{text:?}: {read:?}"),
            }
        }
        let missing = read(Some(&folder.path().join("missing"))).unwrap_err();
        assert!(missing.contains("cannot be read"), "{missing}");
        assert_eq!(read(None), Ok(None));
    }

    #[test]
    fn a_fingerprint_is_the_beginning_of_sha_256() {
        // sha256("abc") = ba7816bf 8f01cfea …
        let wanted = [0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea];
        assert_eq!(fingerprint(&Ok(Some(Secret::new("abc")))), Some(wanted));
        assert_eq!((fingerprint(&Ok(None)), fingerprint(&Err("x".into()))), (None, None));
    }

    #[test]
    fn a_change_is_seen_when_the_reading_is_due_and_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "first").unwrap();
        let tokens = Tokens::new(Some(file.clone()));
        let reveal = |reading: Reading| reading.unwrap().unwrap().reveal().to_owned();
        let age = || tokens.last.lock().unwrap().at -= GOOD_FOR;

        std::fs::write(&file, "other").unwrap();
        tokens.last.lock().unwrap().at = Instant::now() + GOOD_FOR;
        assert_eq!(reveal(tokens.current(|_| panic!("nothing was read"))), "first");
        tokens.last.lock().unwrap().at = Instant::now();
        age();
        let mut told = None;
        assert_eq!(reveal(tokens.current(|token| told = Some(token))), "other");
        assert_eq!(told, Some(tokens.look()));
        age();
        assert_eq!(reveal(tokens.current(|_| panic!("nothing changed"))), "other");
        std::fs::remove_file(&file).unwrap();
        age();
        let mut told = None;
        assert!(tokens.current(|token| told = Some(token)).is_err());
        assert_eq!(told, Some(None), "no token any more");
    }
}
