//! From what people and tills write to the digits of an international number, by libphonenumber's rules.
//!
//! Floor: words. Where a rule is not libphonenumber's, it says so.

use super::NumberProblem;
use super::plan::{Region, has};

/// Digits that a text may have: a carrier's prefix abroad (7), a calling code (3), trunk prefix and carrier (4) and the
/// longest national number of any plan (17), rounded up.
const DIGITS_MAX: usize = 32;
/// The fewest that mean anything at all, here and after a calling code (libphonenumber's `MIN_LENGTH_FOR_NSN`).
const DIGITS_MIN: usize = 2;
/// What stands between digits and says nothing. Those from the soft hyphen (`\u{ad}`) on are invisible: address books put
/// them around numbers to keep them left to right.
const BETWEEN: &[char] = &[
    ' ', '.', '-', '/', '(', ')', '[', ']', '\t', '\u{a0}', '\u{2007}', '\u{2009}', '\u{202f}', '\u{3000}', '\u{2010}',
    '\u{2011}', '\u{2012}', '\u{2013}', '\u{2014}', '\u{2015}', '\u{2212}', '\u{ad}', '\u{200b}', '\u{200e}',
    '\u{200f}', '\u{202a}', '\u{202c}', '\u{202d}', '\u{2060}', '\u{2066}', '\u{2068}', '\u{2069}', '\u{feff}',
];
/// How an extension begins, in the languages of libphonenumber and in Portuguese.
const EXTENSION: &[&str] =
    &[";ext=", "extension", "extensión", "extn", "ext", "xtn", "anexo", "ramal", "interno", "int", "x", "#", "~"];

/// The calling code and the national number of a text, as one row of digits; E.164's bound is left to the caller.
///
/// Read until it reads as itself, for that is what is sent, stored and shown. Not libphonenumber's: of `0085 2123-4567` in
/// Brazil, with a 0 too many, it leaves `+55 0 85…`, which nobody has.
pub(super) fn read(text: &str, home: &'static Region) -> Result<String, NumberProblem> {
    let mut number = once(text, home)?;
    // Each time a prefix goes, so it ends; the bound is for plans that would put back what they take.
    for _ in 0..DIGITS_MAX {
        let again = once(&format!("+{number}"), home)?;
        if again == number {
            return Ok(number);
        }
        number = again;
    }
    Err(NumberProblem::WrongLength)
}

fn once(text: &str, home: &'static Region) -> Result<String, NumberProblem> {
    let (plus, dialled) = digits(text)?;
    let (region, code, national) = if plus {
        abroad(&dialled, home)?
    } else if let Some(own) = own_after_00(&dialled, home) {
        own
    } else if let Some(rest) = home.without_prefix_abroad(&dialled) {
        international(rest)?
    } else {
        (home, home.code, without_own_code(&dialled, home))
    };
    let national = without_old_prefix(without_trunk_prefix(national, region), region);
    // Whoever shares a calling code shares its lengths: libphonenumber asks the main region.
    let main = Region::of_code(code).first().unwrap_or(home);
    check_length(main, &national)?;
    Ok(format!("{code}{national}"))
}

/// Whether there is a `+`, and the digits.
fn digits(text: &str) -> Result<(bool, String), NumberProblem> {
    let text =
        text.trim_matches(|sign: char| sign.is_whitespace() || BETWEEN.contains(&sign) && !"()[]".contains(sign));
    let text = match text.get(..4) {
        Some(scheme) if scheme.eq_ignore_ascii_case("tel:") => &text[4..],
        _ => text,
    };
    if text.is_empty() {
        return Err(NumberProblem::Empty);
    }
    let (mut plus, mut digits) = (false, String::new());
    for (at, sign) in text.char_indices() {
        match sign {
            '0'..='9' if digits.len() == DIGITS_MAX => return Err(NumberProblem::TooLong),
            '0'..='9' => digits.push(sign),
            '+' if digits.is_empty() && !plus => plus = true,
            sign if BETWEEN.contains(&sign) => {}
            _ if !digits.is_empty() && is_extension(&text[at..]) => return Err(NumberProblem::Extension),
            _ => return Err(NumberProblem::NotANumber),
        }
    }
    match digits.len() {
        0 => Err(NumberProblem::NotANumber),
        few if few < DIGITS_MIN => Err(NumberProblem::TooShort),
        _ => Ok((plus, digits)),
    }
}

fn is_extension(tail: &str) -> bool {
    let tail = tail.to_lowercase();
    EXTENSION.iter().filter_map(|mark| tail.strip_prefix(mark)).any(|rest| {
        let digits = rest.trim_matches(|sign: char| " .:-#\u{a0}".contains(sign));
        (1..=7).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Whose rules apply, the calling code, and what is left of the digits.
type Parts = (&'static Region, u16, String);

/// After a `+`: a calling code; failing that, people write `+00 55 …`, so the home country's prefix abroad is tried.
fn abroad(dialled: &str, home: &'static Region) -> Result<Parts, NumberProblem> {
    international(dialled).or_else(|problem| match (problem, home.without_prefix_abroad(dialled)) {
        (NumberProblem::NoSuchCallingCode, Some(rest)) => international(rest),
        _ => Err(problem),
    })
}

fn international(digits: &str) -> Result<Parts, NumberProblem> {
    if digits.len() <= DIGITS_MIN {
        return Err(NumberProblem::TooShort);
    }
    let (region, national) = Region::split(digits).ok_or(NumberProblem::NoSuchCallingCode)?;
    Ok((region, region.code, national.to_owned()))
}

/// `00` and the own calling code stand for `+` in every country's lists, and win where the number then fits the plan. Not
/// libphonenumber's: in Brazil it takes 0055 for the prefix abroad of carrier 55, and a São Paulo number (`0055 11 …`)
/// goes to the United States; in Hong Kong 008 takes the first digit of 852.
fn own_after_00(dialled: &str, home: &'static Region) -> Option<Parts> {
    let (region, code, national) = international(dialled.strip_prefix("00")?).ok()?;
    (code == home.code && region.fits(&candidate(&national, region))).then_some((region, code, national))
}

/// Some write the own calling code without `+`. It is taken for one if the number makes no sense with it.
fn without_own_code(dialled: &str, home: &'static Region) -> String {
    match dialled.strip_prefix(&home.code.to_string()) {
        Some(rest) if !home.fits(dialled) || !has(home.lengths | home.local, dialled) => rest.to_owned(),
        _ => dialled.to_owned(),
    }
}

/// The trunk prefix stays where the number would be too short without.
fn without_trunk_prefix(national: String, region: &Region) -> String {
    let candidate = candidate(&national, region);
    let too_short = !has(region.local, &candidate) && is_below(region.lengths, &candidate);
    if too_short { national } else { candidate }
}

/// Without trunk prefix, unless the number made sense with it and makes none without.
fn candidate(national: &str, region: &Region) -> String {
    match region.without_trunk_prefix(national) {
        Some(without) if !region.fits(national) || region.fits(&without) => without,
        _ => national.to_owned(),
    }
}

/// Mexico dropped the prefixes 01, 044, 045 and the 1 after +52 in August 2019 (IFT), and libphonenumber with it; the
/// customer lists of tills still have them, and the platform still knows people under 521.
fn without_old_prefix(national: String, region: &Region) -> String {
    let old = ["1", "01", "044", "045"].iter().find_map(|prefix| national.strip_prefix(prefix));
    match old {
        Some(rest) if &region.id == b"MX" && region.fits(rest) => rest.to_owned(),
        _ => national,
    }
}

/// A person's line, whole: what is enough only within an area is too short.
fn check_length(main: &Region, national: &str) -> Result<(), NumberProblem> {
    let longest = main.lines.checked_ilog2().unwrap_or(0) as usize;
    if has(main.lines, national) {
        Ok(())
    } else if has(main.local, national) || is_below(main.lines, national) {
        Err(NumberProblem::TooShort)
    } else if national.len() > longest {
        Err(NumberProblem::TooLong)
    } else {
        Err(NumberProblem::WrongLength)
    }
}

fn is_below(lengths: u32, national: &str) -> bool {
    national.len() < lengths.trailing_zeros() as usize
}
