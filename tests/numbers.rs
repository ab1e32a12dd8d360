//! Numbers against libphonenumber, all regions: `Number::read` accepts what it accepts and writes the same E.164 form.
//!
//! The oracle is the crate `phonenumber` with libphonenumber's metadata. Four things that libphonenumber does and the
//! crate does not are put right first, or it would be wrong about ordinary numbers (`(55) 99123-4567` in Brazil, whose
//! area code is also the calling code, loses the area code; `91 98765 43210` in India is refused):
//!
//! - the general possible lengths are those of all kinds of number (the crate leaves them empty);
//! - a pattern must match the whole number (the crate looks at its beginning), and the trunk prefix is taken off
//!   once (the crate takes it off again where it is written twice);
//! - the trunk prefix stays where the number fits its plan with it and not without (the crate compares the number with
//!   itself, and takes the 90 off Brazilian numbers that begin with it);
//! - a number with a calling code is read by the rules of its own country (the crate uses those of the default country).
//!
//! Both read again what they have read until it means itself: libphonenumber leaves a trunk prefix in it where two were written.
//!
//! `BRANCHLINE_NUMBERS_SEED` chooses other cases than the usual ones.
// What the tests call may unwrap as they do.
#![allow(missing_docs, clippy::unwrap_used)]

use branchline::message::{Country, Number};
use phonenumber::country::Source;
use phonenumber::metadata::{DATABASE, Database, Descriptor, loader};
use phonenumber::{Metadata, Type, country};
use std::collections::BTreeMap;

const KINDS: [Type; 10] = [
    Type::FixedLine,
    Type::Mobile,
    Type::TollFree,
    Type::PremiumRate,
    Type::SharedCost,
    Type::PersonalNumber,
    Type::Voip,
    Type::Pager,
    Type::Uan,
    Type::Voicemail,
];
/// What a person has: whoever is messaged has one of these lengths.
const LINES: [Type; 4] = [Type::FixedLine, Type::Mobile, Type::Voip, Type::PersonalNumber];

/// Cases that show every tolerated difference.
const SEED: u64 = 8;

/// Where no difference at all is tolerated.
const EXACT: [&str; 6] = ["BR", "MX", "AR", "ES", "PT", "IN"];

/// Where `read` may refuse what the oracle accepts, and why. A row that no case needs any more fails the test.
const TOLERATED: [(&str, Because); 1] = [("DE", Because::LongerThanE164)];

#[derive(Clone, Copy, PartialEq, Debug)]
enum Because {
    /// The plan has national numbers of 15 digits; E.164 ends at 15 with the calling code, and so does a `wa_id`.
    LongerThanE164,
}

/// The metadata as libphonenumber's own build completes it.
fn oracle_metadata(meta: &Metadata) -> loader::Metadata {
    let of = meta.descriptors();
    let descriptor = |of: &Descriptor| loader::Descriptor {
        national_number: Some(format!("^(?:{})$", of.national_number().as_str())),
        possible_length: of.possible_length().to_vec(),
        possible_local_length: of.possible_local_length().to_vec(),
        example: None,
    };
    let of_all_kinds = |lengths: fn(&Descriptor) -> &[u16]| {
        let mut all: Vec<u16> = KINDS.iter().filter_map(|kind| of.get(*kind)).flat_map(lengths).copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    let possible_length = of_all_kinds(Descriptor::possible_length);
    let mut possible_local_length = of_all_kinds(Descriptor::possible_local_length);
    possible_local_length.retain(|length| !possible_length.contains(length));
    let general = loader::Descriptor { possible_length, possible_local_length, ..descriptor(of.general()) };
    let prefix = meta.national_prefix_for_parsing().map(|regex| regex.as_str()).or(meta.national_prefix());
    loader::Metadata {
        id: Some(meta.id().to_owned()),
        country_code: Some(meta.country_code()),
        main_country_for_code: meta.is_main_country_for_code(),
        international_prefix: meta.international_prefix().map(|regex| regex.as_str().to_owned()),
        national_prefix_for_parsing: prefix.map(str::to_owned),
        national_prefix_transform_rule: meta.national_prefix_transform_rule().map(str::to_owned),
        general: Some(general),
        fixed_line: of.fixed_line().map(descriptor),
        mobile: of.mobile().map(descriptor),
        toll_free: of.toll_free().map(descriptor),
        premium_rate: of.premium_rate().map(descriptor),
        shared_cost: of.shared_cost().map(descriptor),
        personal_number: of.personal_number().map(descriptor),
        voip: of.voip().map(descriptor),
        pager: of.pager().map(descriptor),
        uan: of.uan().map(descriptor),
        voicemail: of.voicemail().map(descriptor),
        leading_digits: meta.leading_digits().map(|regex| regex.as_str().to_owned()),
        ..Default::default()
    }
}

struct Oracle(Database);

impl Oracle {
    fn new() -> Oracle {
        let all = (1..=999_u16).flat_map(|code| DATABASE.by_code(&code).unwrap_or_default()).map(oracle_metadata);
        Oracle(Database::from(all.collect()).unwrap())
    }

    /// The E.164 form, if the text is a possible number of a person's line; read again as it was written, as ours is.
    fn read(&self, text: &str, home: &Metadata) -> Option<String> {
        let mut number = self.once(text, home)?;
        loop {
            let again = self.once(&number, home)?;
            if again == number {
                return Some(number);
            }
            number = again;
        }
    }

    fn once(&self, text: &str, home: &Metadata) -> Option<String> {
        let mut number = phonenumber::parse_with(&self.0, Some(id(home)), text).ok()?;
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let (code, source) = (number.code().value(), number.code().source());
        let (main, code_digits) = (main_region(code), code.to_string().len());
        let (rules, written) = match source {
            Source::Default => (home, &digits[..]),
            Source::Number => (home, &digits[code_digits..]),
            Source::Plus | Source::Idd => {
                let abroad = if text.starts_with('+') { 0 } else { home.international_prefix()?.find(&digits)?.end() };
                let plain = format!("+{}", &digits[abroad..]);
                number = phonenumber::parse_with(&self.0, main.id().parse().ok(), plain).ok()?;
                (main, &digits[abroad + code_digits..])
            }
        };
        let mut national = number.national().to_string();
        if self.fits(written, rules) && !self.fits(&national, rules) {
            national = written.to_owned();
        }
        // A calling code of no country has kinds of its own.
        let lines = if main.id() == "001" { &KINDS[..] } else { &LINES };
        let mut lengths =
            lines.iter().filter_map(|kind| main.descriptors().get(*kind)).flat_map(Descriptor::possible_length);
        let possible = lengths.any(|length| usize::from(*length) == national.len());
        possible.then(|| format!("+{code}{national}"))
    }

    fn fits(&self, national: &str, rules: &Metadata) -> bool {
        let completed = self.0.by_id(rules.id()).unwrap();
        completed.descriptors().general().national_number().find(national).is_some()
    }
}

fn id(region: &Metadata) -> country::Id {
    region.id().parse().unwrap()
}

fn main_region(code: u16) -> &'static Metadata {
    DATABASE.by_code(&code).unwrap()[0]
}

fn regions() -> Vec<&'static Metadata> {
    let mut regions: Vec<_> = DATABASE.iter().filter(|region| region.id() != "001").collect();
    regions.sort_by_key(|region| region.id().to_owned());
    regions
}

fn examples(region: &Metadata) -> Vec<&str> {
    KINDS.iter().filter_map(|kind| region.descriptors().get(*kind)?.example()).collect()
}

/// National numbers, real and nearly real: every example, each with its tail replaced from every digit on, and every
/// length from 1 to 16, beginning with the calling code, the trunk prefix, an example or anything.
fn national_numbers(region: &Metadata, rng: &mut fastrand::Rng) -> Vec<String> {
    let mut numbers = Vec::new();
    let mut push = |begin: &str, length: usize, rng: &mut fastrand::Rng| {
        let mut number: String = begin.chars().take(length).collect();
        while number.len() < length {
            number.push(rng.digit(10));
        }
        numbers.push(number);
    };
    let examples = examples(region);
    for example in &examples {
        (1..=example.len()).for_each(|kept| push(&example[..kept], example.len(), rng));
    }
    let code = region.country_code().to_string();
    for length in (1..=16).flat_map(|length| [length; 8]) {
        let example = rng.choice(&examples).copied().unwrap_or("");
        let kept = &example[..rng.usize(0..=example.len())];
        let begin = [&code, region.national_prefix().unwrap_or(""), kept, ""][rng.usize(0..4)];
        push(begin, length, rng);
    }
    numbers
}

/// The ways in which such a number is written.
fn writings(national: &str, region: &Metadata, rng: &mut fastrand::Rng) -> Vec<String> {
    let (code, trunk) = (region.country_code(), region.national_prefix().unwrap_or(""));
    let (head, tail) = national.split_at(national.len() / 2);
    let sign = rng.choice([" ", "-", ".", "/", ") ", " - ", "\u{a0}"]).unwrap();
    let mut writings = vec![
        national.to_owned(),
        format!("+{code}{national}"),
        format!("+{code} ({trunk}) {head}{sign}{tail}"),
        format!("{code}{national}"),
        format!("{trunk}{head}{sign}{tail}"),
    ];
    let leads_abroad = |prefix: &&str| region.international_prefix().is_some_and(|regex| regex.find(prefix).is_some());
    if let Some(prefix) = ["00", "011", "0011", "810", "00155"].into_iter().find(leads_abroad) {
        writings.push(format!("{prefix} {code} {head}{sign}{tail}"));
    }
    writings
}

/// What we read on purpose and libphonenumber does not (or reads as somebody else's): asked without what is in the way, it
/// must give the same number.
///
/// - Mexico's prefixes until 2019;
/// - `00` and the own calling code where abroad is not dialled so, or where a carrier's code swallows digits.
fn ours_alone(ours: Option<&str>, text: &str, home: &Metadata, oracle: &Oracle) -> bool {
    let Some(ours) = ours else { return false };
    let same = |plain: &str| oracle.read(plain, main_region(home.country_code())).as_deref() == Some(ours);
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let old_mexican = ours.strip_prefix("+52").is_some_and(|national| {
        let prefix = digits.strip_suffix(national).unwrap_or("");
        ["1", "01", "044", "045"].iter().any(|old| prefix.ends_with(old)) && same(ours)
    });
    let own_after_00 = digits.strip_prefix("00").is_some_and(|rest| {
        rest.starts_with(&home.country_code().to_string()) && !text.starts_with('+') && same(&format!("+{rest}"))
    });
    old_mexican || own_after_00
}

fn tolerated(ours: Option<&str>, theirs: Option<&str>) -> Option<(&'static str, Because)> {
    TOLERATED.into_iter().find(|(region, because)| {
        let code = format!("+{}", DATABASE.by_id(*region).unwrap().country_code());
        let theirs = theirs.filter(|number| number.starts_with(&code));
        match because {
            Because::LongerThanE164 => ours.is_none() && theirs.is_some_and(|number| number.len() > "+".len() + 15),
        }
    })
}

#[test]
fn reads_what_libphonenumber_reads_everywhere() {
    let chosen = std::env::var("BRANCHLINE_NUMBERS_SEED").ok().map(|seed| seed.parse().unwrap());
    let seed = chosen.unwrap_or(SEED);
    let mut rng = fastrand::Rng::with_seed(seed);
    let oracle = Oracle::new();
    let (mut cases, mut accepted) = (0, 0);
    let mut seen = Vec::new();
    let mut wrong: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for region in regions() {
        let country = Country::of_code(region.id()).unwrap();
        for national in national_numbers(region, &mut rng) {
            for text in writings(&national, region, &mut rng) {
                let ours = Number::read(&text, country).ok().map(|number| number.e164());
                let theirs = oracle.read(&text, region);
                cases += 1;
                accepted += usize::from(ours.is_some());
                if ours == theirs || ours_alone(ours.as_deref(), &text, region, &oracle) {
                    continue;
                }
                match tolerated(ours.as_deref(), theirs.as_deref()) {
                    Some(row) => seen.push(row),
                    None => wrong.entry(region.id()).or_default().push(format!("{text}: {ours:?}, not {theirs:?}")),
                }
            }
        }
    }
    let told: Vec<_> = wrong
        .iter()
        .map(|(id, all)| format!("{id}: {} wrong, such as {}", all.len(), all[..all.len().min(3)].join("; ")))
        .collect();
    assert!(wrong.is_empty(), "seed {seed}\n{}", told.join("\n"));
    assert!(cases > 150_000 && accepted > cases / 5, "{accepted} accepted of {cases}: too few to mean anything");
    for row in TOLERATED {
        assert!(!EXACT.contains(&row.0), "{row:?} must be exact");
        assert!(chosen.is_some() || seen.contains(&row), "{row:?} is no longer needed");
    }
}

/// What customers, tills and address books write. The third column is the E.164 form, or the complaint.
#[rustfmt::skip]
const WRITINGS: &[(&str, &str, &str)] = &[
    // Brazil: trunk 0 with or without a carrier's code, area codes in brackets, eight and nine digits.
    ("BR", "+55 11 98765-4321", "+5511987654321"),
    ("BR", "(11) 98765-4321", "+5511987654321"),
    ("BR", "011 98765-4321", "+5511987654321"),
    ("BR", "0 15 11 98765-4321", "+5511987654321"),
    ("BR", "0xx11 98765-4321", "holds characters that no phone number has"),
    ("BR", "5511987654321", "+5511987654321"),
    ("BR", "0055 11 98765 4321", "+5511987654321"),
    ("BR", "0055 34 98765-4321", "+5534987654321"),
    ("BR", "0014 1 202 555 0123", "+12025550123"),
    ("BR", "+55 (0) 21 3221-1234", "+552132211234"),
    ("BR", "(55) 99123-4567", "+5555991234567"),
    ("BR", "(55) 3221-1234", "+555532211234"),
    ("BR", "+55 (55) 99123-4567", "+5555991234567"),
    ("BR", "98765-4321", "is too short for its country: is the area code missing?"),
    ("BR", "3221-1234", "is too short for its country: is the area code missing?"),
    ("BR", "\u{202a}+55 11 98765\u{2011}4321\u{202c}", "+5511987654321"),
    // Mexico: ten digits; the prefixes of before 2019 are still in every list.
    ("MX", "55 1234 5678", "+525512345678"),
    ("MX", "+52 55 1234 5678", "+525512345678"),
    ("MX", "+52 1 55 1234 5678", "+525512345678"),
    ("MX", "5215512345678", "+525512345678"),
    ("MX", "044 55 1234 5678", "+525512345678"),
    ("MX", "045 33 1234 5678", "+523312345678"),
    ("MX", "01 (33) 1234-5678", "+523312345678"),
    ("MX", "1 55 1234 5678", "+525512345678"),
    ("MX", "00 54 9 11 2345 6789", "+5491123456789"),
    ("MX", "1234 5678", "is too short for its country: is the area code missing?"),
    ("MX", "+52 55 1234 56789", "is too long for its country"),
    // Argentina: 0 area 15 number is 9 area number from abroad.
    ("AR", "011 15 2345-6789", "+5491123456789"),
    ("AR", "(011) 15-2345-6789", "+5491123456789"),
    ("AR", "11 15 2345 6789", "+5491123456789"),
    ("AR", "+54 9 11 2345-6789", "+5491123456789"),
    ("AR", "+54 11 15 2345-6789", "+5491123456789"),
    ("AR", "9 11 2345 6789", "+5491123456789"),
    ("AR", "011 4321-5678", "+541143215678"),
    ("AR", "0351 15 234-5678", "+5493512345678"),
    ("AR", "4321-5678", "is too short for its country: is the area code missing?"),
    // Spain and Portugal: nine digits, no trunk prefix.
    ("ES", "612 34 56 78", "+34612345678"),
    ("ES", "+34 612.345.678", "+34612345678"),
    ("ES", "0034 612345678", "+34612345678"),
    ("ES", "34612345678", "+34612345678"),
    ("ES", "91 123 45 67", "+34911234567"),
    ("ES", "61234567", "is too short for its country: is the area code missing?"),
    ("ES", "6123456789", "is too long for its country"),
    ("PT", "912 345 678", "+351912345678"),
    ("PT", "+351 21 234 5678", "+351212345678"),
    ("PT", "00351912345678", "+351912345678"),
    ("PT", "351912345678", "+351912345678"),
    // India: ten digits, trunk 0; 91 begins numbers as well.
    ("IN", "98765 43210", "+919876543210"),
    ("IN", "098765-43210", "+919876543210"),
    ("IN", "+91-98765-43210", "+919876543210"),
    ("IN", "919876543210", "+919876543210"),
    ("IN", "91123 45678", "+919112345678"),
    ("IN", "+91 (0) 22 2345 6789", "+912223456789"),
    ("IN", "0091 98765 43210", "+919876543210"),
    // Italy keeps its 0.
    ("IT", "06 1234 5678", "+390612345678"),
    ("IT", "+39 06 1234 5678", "+390612345678"),
    ("IT", "347 123 4567", "+393471234567"),
    ("IT", "393471234567", "+393471234567"),
    ("IT", "0039 02 3661 8300", "+390236618300"),
    // The United States and Canada share a code.
    ("US", "(202) 555-0123", "+12025550123"),
    ("US", "1-202-555-0123", "+12025550123"),
    ("US", "+1 202.555.0123", "+12025550123"),
    ("US", "011 44 7912 345678", "+447912345678"),
    ("US", "555-0123", "is too short for its country: is the area code missing?"),
    ("US", "001 202 555 0123", "+12025550123"),
    ("HK", "00852 2123 4567", "+85221234567"),
    ("CA", "613 555 0199", "+16135550199"),
    ("GB", "07912 345 678", "+447912345678"),
    ("GB", "+44 (0)20 7946 0018", "+442079460018"),
    ("GB", "020 7946 0018", "+442079460018"),
    ("GB", "447912345678", "+447912345678"),
    ("DE", "0171 1234567", "+491711234567"),
    ("DE", "030/123456", "+4930123456"),
    ("DE", "+49 (0) 30 - 12 34 56", "+4930123456"),
    ("DE", "0049 171 1234567", "+491711234567"),
    ("DE", "0043 664 1234567", "+436641234567"),
    // A number abroad is read by its own country's rules, not by those of here.
    ("BR", "+39 06 1234 5678", "+390612345678"),
    ("GB", "+54 11 15 2345-6789", "+5491123456789"),
    ("US", "+00 55 11 98765-4321", "begins with a calling code that no country has"),
    ("DE", "+00 55 11 98765-4321", "+5511987654321"),
    ("BR", "tel:+55-11-98765-4321", "+5511987654321"),
    // What is no number.
    ("BR", "", "is empty"),
    ("BR", "  ", "is empty"),
    ("BR", "+", "holds characters that no phone number has"),
    ("BR", "-", "is empty"),
    ("BR", "CALL-ME", "holds characters that no phone number has"),
    ("US", "1-800-FLOWERS", "holds characters that no phone number has"),
    ("BR", "ana@example.com", "holds characters that no phone number has"),
    ("BR", "11 98765+4321", "holds characters that no phone number has"),
    ("BR", "++55 11 98765-4321", "holds characters that no phone number has"),
    ("BR", "11 98765-4321 / 11 91234-5678", "is too long for its country"),
    ("BR", "12345678901234567890123456789012345", "is too long for its country"),
    ("BR", "1", "is too short for its country: is the area code missing?"),
    ("BR", "+55", "is too short for its country: is the area code missing?"),
    ("BR", "+999 123 456 789", "begins with a calling code that no country has"),
    ("BR", "+0 11 98765 4321", "begins with a calling code that no country has"),
    ("US", "202 555 0123 ext. 12", "names an extension, and no message can be sent to one: give a number of its own"),
    ("US", "202 555 0123 x12", "names an extension, and no message can be sent to one: give a number of its own"),
    ("US", "202-555-0123 #4", "names an extension, and no message can be sent to one: give a number of its own"),
    ("BR", "(11) 3221-1234 ramal 12", "names an extension, and no message can be sent to one: give a number of its own"),
    ("US", "tel:+1-202-555-0123;ext=12", "names an extension, and no message can be sent to one: give a number of its own"),
    ("CL", "+56 2 2345", "is too short for its country: is the area code missing?"),
];

#[test]
fn reads_what_people_write() {
    for (country, text, expected) in WRITINGS {
        let found = Number::read(text, Country::of_code(country).unwrap());
        let found = found.map_or_else(|problem| problem.to_string(), |number| number.e164());
        assert_eq!(&found, expected, "{text} in {country}");
    }
}

#[test]
fn knows_the_country_of_every_example() {
    let oracle = Oracle::new();
    let mut known = 0;
    for region in regions() {
        let main = main_region(region.country_code());
        // The crate forgets the zeros that a national number begins with, and then knows no country.
        for example in examples(region).into_iter().filter(|example| !example.starts_with('0')) {
            let e164 = format!("+{}{example}", region.country_code());
            let Ok(number) = Number::of_digits(&e164[1..]) else { continue };
            let parsed = phonenumber::parse_with(&oracle.0, Some(id(main)), &e164).unwrap();
            let (ours, theirs) = (number.country(), parsed.metadata(&oracle.0).map(Metadata::id));
            assert_eq!(ours.as_ref().map(Country::code), theirs, "{e164}");
            known += usize::from(ours.is_some());
        }
    }
    assert!(known > 800, "{known} examples: too few to mean anything");
}
