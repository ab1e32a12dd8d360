//! Phone numbers: read by the rules of a country, sent as `+` and digits, shown masked.
//!
//! Floor: words. Knows no person: who hides behind several numbers is the outbox's to learn.
//!
//! ```text
//! text, country ─read─► digits ─plan─► calling code + national number ─► Number ─► forms
//! ```

mod instructions;
mod plan;
mod read;
#[cfg(test)]
mod tests;

use plan::Region;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Digits of an international number, calling code included (ITU-T E.164).
const E164_MAX: usize = 15;

/// An ISO 3166 country that has a telephone plan, `BR`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Country([u8; 2]);

impl Country {
    /// The country of a two-letter code in capitals, if it has a telephone plan.
    pub fn of_code(code: &str) -> Option<Country> {
        let &[a, b] = code.as_bytes() else { return None };
        let country = a.is_ascii_uppercase() && b.is_ascii_uppercase();
        country.then(|| Region::of_id([a, b])).flatten().map(|region| Country(region.id))
    }

    /// The two letters.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("??")
    }

    fn plan(self) -> &'static Region {
        Region::of_id(self.0).expect("a country is made of a plan only")
    }
}

/// A possible international number: calling code and national number, digits only, at most 15 (E.164).
///
/// `Display` and `Debug` mask it, so that no log, error or page can show it whole by accident. It is stored and sent as
/// its digits.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Number(heapless::String<E164_MAX>);

/// Why a text is no number that can be messaged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NumberProblem {
    /// Nothing there.
    #[error("is empty")]
    Empty,
    /// Letters or signs that no number has.
    #[error("holds characters that no phone number has")]
    NotANumber,
    /// `… ext. 12`: WhatsApp knows no extensions, and the number before it would be somebody else's.
    #[error("names an extension, and no message can be sent to one: give a number of its own")]
    Extension,
    /// `+999…`
    #[error("begins with a calling code that no country has")]
    NoSuchCallingCode,
    /// Fewer digits than the country's shortest number, or the area code is missing.
    #[error("is too short for its country: is the area code missing?")]
    TooShort,
    /// More digits than the country's longest number.
    #[error("is too long for its country")]
    TooLong,
    /// Between the shortest and the longest, and still no number has so many digits.
    #[error("has a number of digits that no number of its country has")]
    WrongLength,
}

impl Number {
    /// Reads what people and tills write: `+55 11 98765-4321`, `(011) 98765-4321` as of `country`, `0055…`, `tel:…`.
    ///
    /// By libphonenumber's rules: spaces, dots, dashes, brackets and slashes are skipped; after `+` or the country's
    /// prefix abroad comes a calling code; trunk prefix and carrier code go, and come back as what stands for them
    /// abroad (Argentina's 0…15 becomes 9, Italy keeps its 0). The result has the length of a person's line (fixed,
    /// mobile, VoIP, personal) of its country: a number without its area code is [`TooShort`](NumberProblem::TooShort).
    /// Whether somebody has it, nobody can tell from its digits.
    pub fn read(text: &str, country: Country) -> Result<Number, NumberProblem> {
        Number::exact(&read::read(text, country.plan())?)
    }

    /// The digits of the platform's `wa_id`, or of a number stored earlier.
    ///
    /// Checks the calling code and E.164's bounds only: the platform keeps forms that plans have dropped (Mexico's 521),
    /// and what one release stored, the next must be able to read.
    pub fn of_digits(digits: &str) -> Result<Number, NumberProblem> {
        /// Saint Helena's calling code and four digits: the shortest there is, less two for what plans may become.
        const SHORTEST: usize = 5;
        match digits.len() {
            0 => Err(NumberProblem::Empty),
            _ if !digits.bytes().all(|byte| byte.is_ascii_digit()) => Err(NumberProblem::NotANumber),
            length if length < SHORTEST => Err(NumberProblem::TooShort),
            _ => {
                Region::split(digits).ok_or(NumberProblem::NoSuchCallingCode)?;
                Number::exact(digits)
            }
        }
    }

    fn exact(digits: &str) -> Result<Number, NumberProblem> {
        heapless::String::try_from(digits).map(Number).map_err(|_| NumberProblem::TooLong)
    }

    /// The digits without `+`: for the store and for matching a `wa_id`.
    pub fn digits(&self) -> &str {
        &self.0
    }

    /// `+` and digits: for the API's `to`, and nothing else. Without the plus the platform would put the business
    /// number's own calling code in front (facts 1.1).
    pub fn e164(&self) -> String {
        format!("+{}", self.0)
    }

    /// The forms under which the platform may know the same person, this one first, none twice.
    ///
    /// The platform rewrites Brazilian and Mexican prefixes, so that a `wa_id` can differ from the number that was asked
    /// for (facts 1.1). What can differ is known from the plans:
    ///
    /// - Brazil put a 9 before all mobile numbers (Anatel, 2012 to 2016); people registered earlier keep their old form.
    ///   A subscriber's number that begins with 6 to 9 is a mobile's; 2 to 5 are fixed lines, which have one form.
    /// - Mexico put a 1 between 52 and a mobile number until August 2019 (IFT); it is the same number without.
    /// - Argentina puts a 9 between 54 and a mobile number when called from abroad; the platform keeps it, customer lists
    ///   often do not. Fixed and mobile numbers share one space, so the 9 alone never tells two people apart.
    pub fn forms(&self) -> Vec<Number> {
        let mut forms = vec![self.clone()];
        forms.extend(self.other_form().and_then(|digits| Number::exact(&digits).ok()));
        forms
    }

    fn other_form(&self) -> Option<String> {
        let (region, national) = Region::split(&self.0)?;
        let mobile = |subscriber: &str| subscriber.starts_with(['6', '7', '8', '9']);
        match (&region.id, national.len()) {
            (b"BR", 10) => {
                let (area, subscriber) = national.split_at(2);
                mobile(subscriber).then(|| format!("55{area}9{subscriber}"))
            }
            (b"BR", 11) => {
                let (area, subscriber) = national.split_at(2);
                let subscriber = subscriber.strip_prefix('9').filter(|short| mobile(short))?;
                Some(format!("55{area}{subscriber}"))
            }
            (b"MX", 10) => Some(format!("521{national}")),
            (b"MX", 11) => national.strip_prefix('1').map(|rest| format!("52{rest}")),
            (b"AR", 10) => Some(format!("549{national}")),
            (b"AR", 11) => national.strip_prefix('9').map(|rest| format!("54{rest}")),
            _ => None,
        }
    }

    /// The country of the number, where calling code and leading digits tell: `None` for satellites and for numbers that
    /// countries with one calling code (`+1`) have not given out.
    pub fn country(&self) -> Option<Country> {
        let (main, national) = Region::split(&self.0)?;
        let sharing = Region::of_code(main.code);
        let own = sharing.iter().find(|region| region.owns(national))?;
        Country::of_code(std::str::from_utf8(&own.id).ok()?)
    }
}

impl TryFrom<String> for Number {
    type Error = NumberProblem;
    fn try_from(digits: String) -> Result<Number, NumberProblem> {
        Number::of_digits(&digits)
    }
}

impl From<Number> for String {
    fn from(number: Number) -> String {
        number.0.as_str().to_owned()
    }
}

/// Calling code and the last two digits: enough to recognise one's own, too little to call anybody.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = Region::split(&self.0).map_or(String::new(), |(region, _)| region.code.to_string());
        let tail = self.0.len().saturating_sub(2).max(code.len());
        f.pad(&format!("+{code}…{}", &self.0[tail..]))
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
