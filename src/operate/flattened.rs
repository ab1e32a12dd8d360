//! Answers whose fields stand beside those of a part of them, read.
//!
//! Floor: words. What serde makes of `flatten` when it reads is 30 KB more of the program; what it writes is the same.

use super::replies::{Basis, Count, LastLine, Problem, SendReport, StatusReport};
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};

impl<'de> Deserialize<'de> for StatusReport {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<StatusReport, D::Error> {
        #[derive(Deserialize)]
        struct Own {
            problems: Vec<Problem>,
            last: Vec<LastLine>,
            counts: Vec<Count>,
        }
        let (Own { problems, last, counts }, gauges) = flattened(deserializer)?;
        Ok(StatusReport { problems, gauges, last, counts })
    }
}

impl<'de> Deserialize<'de> for SendReport {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SendReport, D::Error> {
        #[derive(Deserialize)]
        struct Own {
            id: Option<String>,
            dry_run: bool,
            basis: Basis,
        }
        let (Own { id, dry_run, basis }, message) = flattened(deserializer)?;
        Ok(SendReport { id, dry_run, basis, message })
    }
}

/// Two structures whose fields stand side by side.
fn flattened<'de, D: Deserializer<'de>, A: DeserializeOwned, B: DeserializeOwned>(
    deserializer: D,
) -> Result<(A, B), D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok((A::deserialize(&value).map_err(D::Error::custom)?, B::deserialize(&value).map_err(D::Error::custom)?))
}
