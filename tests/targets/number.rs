//! Any text in any country: a number that can be messaged, or why not.

use branchline::message::{Country, Number};

/// Two letters of a country (any two bytes are made such), then the text.
pub fn run(data: &[u8]) {
    let Some((country, text)) = data.split_at_checked(2) else { return };
    let letters: String =
        country.iter().map(|byte| char::from(b'A' + byte.to_ascii_uppercase().wrapping_sub(b'A') % 26)).collect();
    let brazil = Country::of_code("BR").unwrap();
    let country = Country::of_code(&letters);
    assert!(country.is_none_or(|country| country.code() == letters));
    let country = country.unwrap_or(brazil);
    let text = String::from_utf8_lossy(text);

    match Number::read(&text, country) {
        Ok(number) => {
            sound(&number);
            for home in [country, brazil, Country::of_code("US").unwrap(), Country::of_code("MX").unwrap()] {
                assert_eq!(Number::read(&number.e164(), home).as_ref(), Ok(&number), "read again in {}", home.code());
            }
        }
        Err(problem) => {
            let said = problem.to_string();
            assert!(!said.is_empty() && !said.contains(|sign: char| sign.is_ascii_digit()), "{said}");
        }
    }
    if let Ok(number) = Number::of_digits(&text) {
        assert_eq!(number.digits(), text);
        sound(&number);
    }
}

fn sound(number: &Number) {
    let digits = number.digits();
    assert!((5..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()), "{digits}");
    assert!(!digits.starts_with('0'), "{digits}: no calling code begins with 0");
    assert_eq!(number.e164(), format!("+{digits}"));
    assert_eq!(Number::of_digits(digits).as_ref(), Ok(number));
    // Shown: calling code and the last two digits, never all of it.
    for shown in [number.to_string(), format!("{number:?}")] {
        assert!(shown.chars().filter(char::is_ascii_digit).count() <= 5 && !shown.contains(digits), "{shown}");
    }
    assert_eq!(serde_json::from_str::<Number>(&serde_json::to_string(number).unwrap()).unwrap(), *number);
    let forms = number.forms();
    assert_eq!(forms[0], *number);
    for (at, form) in forms.iter().enumerate() {
        assert!(!forms[..at].contains(form), "{digits}: a form twice");
        assert!(form.forms().contains(number), "{digits}: is no form of its form {}", form.digits());
        assert_eq!(Number::of_digits(form.digits()).as_ref(), Ok(form));
    }
    if let Some(country) = number.country() {
        assert_eq!(Country::of_code(country.code()), Some(country));
    }
}
