//! As operators and files name a person: by number, or by the platform's id of who hides it.
//!
//! Floor: words.

use super::{Country, Number, NumberProblem};
use std::fmt;

/// What a person is called by.
#[derive(Clone, PartialEq, Eq)]
pub enum Name {
    /// The number.
    Number(Number),
    /// The platform's business-scoped user id: there are people of whom nothing else is known.
    User(String),
}

impl Name {
    /// A user id, or a number as it is dialled in `country`.
    pub fn read(text: &str, country: Country) -> Result<Name, NumberProblem> {
        if is_user_id(text) { Ok(Name::User(text.to_owned())) } else { Number::read(text, country).map(Name::Number) }
    }
}

impl fmt::Display for Name {
    /// Masked.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Name::Number(number) => number.fmt(f),
            Name::User(user) => write!(f, "{}…{}", &user[..3], &user[user.len() - 2..]),
        }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `BR.13491208655302741918`: the letters of a country, a dot, and what tells people apart (facts 0). No number is written so.
pub fn is_user_id(text: &str) -> bool {
    let Some((country, rest)) = text.split_once('.') else { return false };
    let is_rest = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.';
    let is_country = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_uppercase());
    is_country && (2..=125).contains(&rest.len()) && rest.bytes().all(is_rest)
}
