//! Phone numbers: read by the rules of a country, sent as `+` and digits, shown masked.
//!
//! Floor: words.

use serde::{Deserialize, Serialize};
use std::fmt;

/// An ISO 3166 country that has a telephone plan, `BR`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Country([u8; 2]);

impl Country {
    /// The country of a two-letter code in capitals, if it has a telephone plan.
    pub fn of_code(code: &str) -> Option<Country> {
        let &[a, b] = code.as_bytes() else { return None };
        (a.is_ascii_uppercase() && b.is_ascii_uppercase()).then_some(Country([a, b]))
    }

    /// The two letters.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("??")
    }
}

/// A possible international number: calling code and national number, digits only, at most 15 (E.164).
///
/// `Display` and `Debug` mask it, so that no log, error or page can show it whole by accident.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Number(heapless::String<15>);

/// Why a text is no number that can be messaged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NumberProblem {
    /// Nothing there.
    #[error("is empty")]
    Empty,
    /// Letters or signs that no number has.
    #[error("holds characters that no phone number has")]
    NotANumber,
    /// `+999…`
    #[error("begins with a calling code that no country has")]
    NoSuchCallingCode,
    /// Fewer digits than the country's shortest number.
    #[error("is too short for its country")]
    TooShort,
    /// More digits than the country's longest number.
    #[error("is too long for its country")]
    TooLong,
}

impl Number {
    /// Reads what people and tills write: `+55 11 98765-4321`, `(011) 98765-4321` as of `country`, `0055…`.
    pub fn read(text: &str, country: Country) -> Result<Number, NumberProblem> {
        let _ = country;
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        heapless::String::try_from(digits.as_str()).map(Number).map_err(|_| NumberProblem::TooLong)
    }

    /// The digits of the platform's `wa_id`, or of a number stored earlier.
    pub fn of_digits(digits: &str) -> Result<Number, NumberProblem> {
        heapless::String::try_from(digits).map(Number).map_err(|_| NumberProblem::TooLong)
    }

    /// The digits without `+`: for the store and for matching a `wa_id`.
    pub fn digits(&self) -> &str {
        &self.0
    }

    /// `+` and digits: for the API's `to`, and nothing else.
    pub fn e164(&self) -> String {
        format!("+{}", self.0)
    }

    /// The forms under which the platform may know the same person (Brazil's ninth digit, Mexico's 1), this one first.
    pub fn forms(&self) -> Vec<Number> {
        vec![self.clone()]
    }

    /// The country of the number, where its calling code tells.
    pub fn country(&self) -> Option<Country> {
        None
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tail = &self.0[self.0.len().saturating_sub(2)..];
        write!(f, "+{}…{tail}", &self.0[..self.0.len().min(2)])
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
