use super::*;

fn number(digits: &str) -> Number {
    Number::of_digits(digits).unwrap()
}

#[test]
fn the_table_stays_small() {
    let bytes = plan::bytes();
    println!("telephone plans: {bytes} bytes");
    assert!((10_000..=150_000).contains(&bytes), "{bytes} bytes");
}

#[test]
fn shows_calling_code_and_last_two_digits_only() {
    for (digits, shown) in [
        ("5511987654321", "+55…21"),
        ("12025550123", "+1…23"),
        ("351912345678", "+351…78"),
        ("2901234", "+290…34"),
        ("88213300001", "+882…01"),
        ("24712", "+247…12"),
    ] {
        assert_eq!(number(digits).to_string(), shown);
        assert_eq!(format!("{:?}", number(digits)), shown);
        assert_eq!(format!("{:?}", Some(number(digits))), format!("Some({shown})"));
    }
    assert_eq!(format!("{:>8}|", number("5511987654321")), "  +55…21|");
}

#[test]
fn every_form_of_a_person_leads_to_the_others() {
    for forms in [
        // Brazil's mobile numbers with and without the ninth digit; fixed lines have one form.
        &["5511987654321", "551187654321"][..],
        &["5555991234567", "555591234567"],
        &["552132211234"],
        &["5521932211234"],
        &["558001234567"],
        // Mexico with and without the 1 of before 2019.
        &["525512345678", "5215512345678"],
        // Argentina with and without the 9 of mobile numbers.
        &["5491123456789", "541123456789"],
        // Nobody else has two.
        &["34612345678"],
        &["351912345678"],
        &["919876543210"],
        &["12025550123"],
    ] {
        for form in forms {
            let mut found = number(form).forms();
            assert_eq!(found[0], number(form), "this one first");
            found.sort();
            let mut expected: Vec<_> = forms.iter().map(|form| number(form)).collect();
            expected.sort();
            assert_eq!(found, expected, "{form}");
        }
    }
}

#[test]
fn takes_what_the_platform_and_older_releases_wrote() {
    for (digits, expected) in [
        ("5511987654321", Ok(())),
        ("551187654321", Ok(())),
        ("5215512345678", Ok(())),
        ("390612345678", Ok(())),
        ("87077123456", Ok(())),
        ("", Err(NumberProblem::Empty)),
        ("+5511987654321", Err(NumberProblem::NotANumber)),
        ("55 11", Err(NumberProblem::NotANumber)),
        ("５５１１９８７６５", Err(NumberProblem::NotANumber)),
        ("5511", Err(NumberProblem::TooShort)),
        ("9991234567", Err(NumberProblem::NoSuchCallingCode)),
        ("05511987654", Err(NumberProblem::NoSuchCallingCode)),
        ("551198765432101", Ok(())),
        ("5511987654321012", Err(NumberProblem::TooLong)),
    ] {
        assert_eq!(Number::of_digits(digits).map(|number| assert_eq!(number.digits(), digits)), expected, "{digits}");
    }
}

#[test]
fn is_stored_as_digits_and_checked_when_it_comes_back() {
    let one = number("5511987654321");
    assert_eq!(serde_json::to_string(&one).unwrap(), "\"5511987654321\"");
    assert_eq!(serde_json::from_str::<Number>("\"5511987654321\"").unwrap(), one);
    assert_eq!(one.e164(), "+5511987654321");
    for bad in ["\"\"", "\"+5511987654321\"", "\"999\"", "5511987654321"] {
        assert!(serde_json::from_str::<Number>(bad).is_err(), "{bad}");
    }
}

/// Found by the fuzzer: what was left of zeros too many was no number, and was taken for another one when it was read again.
#[test]
fn a_number_with_zeros_too_many_reads_as_itself() {
    let brazil = Country::of_code("BR").unwrap();
    assert_eq!(Number::read("000976899234", brazil), Err(NumberProblem::TooShort));
    let read = Number::read("0085 2123-4567", brazil).unwrap();
    assert_eq!(read.digits(), "558521234567");
    assert_eq!(Number::read(&read.e164(), brazil), Ok(read));
}

#[test]
fn only_countries_with_a_plan_are_countries() {
    for code in ["BR", "MX", "AR", "US", "CA", "GB", "GG", "XK", "AX"] {
        assert_eq!(Country::of_code(code).unwrap().code(), code);
    }
    for code in ["", "B", "BRA", "br", "ZZ", "AQ", "00", "001", "B1", "É"] {
        assert_eq!(Country::of_code(code), None, "{code}");
    }
}

#[test]
fn tells_the_country_where_the_digits_do() {
    for (digits, country) in [
        ("5511987654321", Some("BR")),
        // Forms that the plan no longer has are still the country's.
        ("5215512345678", Some("MX")),
        ("12025550123", Some("US")),
        ("16135550199", Some("CA")),
        ("18764123456", Some("JM")),
        ("447912345678", Some("GB")),
        ("447781123456", Some("GG")),
        ("77012345678", Some("KZ")),
        ("79123456789", Some("RU")),
        ("87077123456", None),
        ("10000000000", None),
    ] {
        assert_eq!(number(digits).country().as_ref().map(Country::code), country, "{digits}");
    }
}

/// The matcher never steps outside its table, whatever it is given.
#[test]
fn reads_any_digits_without_trouble() {
    let mut rng = fastrand::Rng::with_seed(1);
    for _ in 0..50_000 {
        let text: String =
            (0..rng.usize(0..34)).map(|_| char::from(*rng.choice(b"00112345678999+ -").unwrap())).collect();
        let country = *rng.choice(&["BR", "AR", "GG", "HK", "CO", "CL", "JP", "AG"]).unwrap();
        if let Ok(number) = Number::read(&text, Country::of_code(country).unwrap()) {
            assert!((5..=15).contains(&number.digits().len()), "{}", number.e164());
            let again = Number::read(&number.e164(), Country::of_code("BR").unwrap());
            assert_eq!(again.as_ref(), Ok(&number), "{text} in {country}");
            assert!(Number::of_digits(number.digits()).is_ok() && number.forms().iter().all(|form| !form.0.is_empty()));
        }
    }
}
