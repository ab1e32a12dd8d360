//! The filters beside MiniJinja's: money, dates, durations, first names, digits; and instants as events write them.
//!
//! Floor: rooms. Pure functions; errors say what is wrong without quoting the value.

use crate::time::Wall;
use jiff::civil;
use jiff::tz::TimeZone;
use minijinja::value::Value;

/// A number, or none.
pub(super) fn number(value: &Value) -> Option<f64> {
    if value.is_number() { f64::try_from(value.clone()).ok() } else { None }
}

/// A number, or a text that is one; finite.
fn numeric(value: &Value) -> Result<f64, String> {
    let read = match value.as_str() {
        Some(text) => text.trim().parse().ok(),
        None => number(value),
    };
    read.filter(|number: &f64| number.is_finite()).ok_or_else(|| "needs a number".to_owned())
}

/// How a language writes amounts: (decimal, group, symbol behind, space before a symbol in front).
fn amounts(language: &str) -> (char, char, bool, bool) {
    match language {
        "es_ES" | "es" | "pt_PT" | "de" | "de_DE" | "it" | "ca" | "nl" | "el" | "da" | "tr" => (',', '.', true, true),
        "es_MX" | "es_US" | "es_GT" | "es_HN" | "es_NI" | "es_SV" | "es_PA" | "es_DO" | "es_PR" | "es_PE" => {
            ('.', ',', false, false)
        }
        "fr" | "fr_FR" | "pl" | "cs" | "sv" | "nb" | "fi" | "ru" | "uk" => (',', ' ', true, true),
        "es_CL" => (',', '.', false, false),
        _ if language.starts_with("en") || language.starts_with("hi") => ('.', ',', false, false),
        _ => (',', '.', false, true),
    }
}

/// The sign of a currency in a language; a currency that is at home elsewhere says whose it is.
fn sign<'a>(currency: &'a str, language: &str) -> Option<&'a str> {
    let home = language.split_once('_').map_or("", |(_, region)| region);
    Some(match (currency, home) {
        ("BRL", _) => "R$",
        ("EUR", _) => "€",
        ("GBP", _) => "£",
        ("INR", _) => "₹",
        ("PEN", _) => "S/",
        ("PYG", _) => "₲",
        ("USD", "US" | "PR" | "SV" | "EC") => "$",
        ("USD", _) if language == "en" => "$",
        ("USD", _) => "US$",
        ("MXN", "MX") | ("ARS", "AR") | ("CLP", "CL") | ("COP", "CO") | ("UYU", "UY") => "$",
        ("MXN", _) => "MX$",
        _ => return None,
    })
}

/// `1234.5` → `R$ 1.234,50` as people of `language` write it.
pub(super) fn money(value: &Value, currency: &str, language: &str) -> Result<String, String> {
    if currency.len() != 3 || !currency.bytes().all(|byte| byte.is_ascii_uppercase()) {
        return Err("needs a currency code such as 'BRL'".into());
    }
    let amount = numeric(value)?;
    if amount.abs() >= 1e15 {
        return Err("needs a number below a thousand million million".into());
    }
    let places = if matches!(currency, "CLP" | "PYG" | "JPY" | "KRW") { 0 } else { 2 };
    let written = format!("{:.places$}", amount.abs());
    let (whole, fraction) = written.split_once('.').unwrap_or((&written, ""));
    let (decimal, group, behind, space) = amounts(language);
    let mut figure = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            figure.push(group);
        }
        figure.push(digit);
    }
    if places > 0 {
        figure.push(decimal);
        figure.push_str(fraction);
    }
    let minus = if amount < 0.0 && written.bytes().any(|byte| matches!(byte, b'1'..=b'9')) { "-" } else { "" };
    Ok(match sign(currency, language) {
        Some(sign) if behind => format!("{minus}{figure} {sign}"),
        Some(sign) if space => format!("{minus}{sign} {figure}"),
        Some(sign) => format!("{minus}{sign}{figure}"),
        None => format!("{minus}{currency} {figure}"),
    })
}

/// RFC 3339, a date or date and time without offset (as of `zone`), or unix seconds or milliseconds.
pub(super) fn instant(text: &str, zone: &TimeZone) -> Option<Wall> {
    let text = text.trim();
    if text.starts_with('+') {
        return None; // a phone number, not a time
    }
    if let Ok(number) = text.parse::<f64>() {
        // Seconds reach 10^11 in the year 5138; milliseconds passed it in 1973.
        let millis = if number.abs() < 1e11 { number * 1000.0 } else { number };
        let stamp = jiff::Timestamp::from_millisecond(millis as i64).ok()?;
        return (millis.is_finite()).then(|| Wall(stamp.as_millisecond()));
    }
    if let Ok(stamp) = text.parse::<jiff::Timestamp>() {
        return Some(Wall(stamp.as_millisecond()));
    }
    let local: civil::DateTime = text.parse().ok()?;
    Some(Wall(local.to_zoned(zone.clone()).ok()?.timestamp().as_millisecond()))
}

/// `2026-11-22T03:00:00Z` with `%d/%m` → `22/11`, on the branch's clock.
pub(super) fn date(value: &Value, format: &str, zone: &TimeZone) -> Result<String, String> {
    let at = instant(&value.to_string(), zone).ok_or("needs RFC 3339 or unix time")?;
    let stamp = jiff::Timestamp::from_millisecond(at.0).map_err(|_| "needs a time within reach")?;
    jiff::fmt::strtime::format(format, &stamp.to_zoned(zone.clone()))
        .map_err(|_| "needs a format such as '%d/%m'".into())
}

/// Seconds as the two largest units: `3900` → `1 h 5 min`.
pub(super) fn duration(value: &Value) -> Result<String, String> {
    let seconds = numeric(value)?;
    if !(0.0..1e12).contains(&seconds) {
        return Err("needs seconds, not negative".into());
    }
    let seconds = seconds.round() as u64;
    let parts = [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
    let first = parts.iter().position(|(count, _)| *count > 0).unwrap_or(3);
    let shown = parts[first..].iter().take(2).enumerate().filter(|(place, (count, _))| *place == 0 || *count > 0);
    Ok(shown.map(|(_, (count, unit))| format!("{count} {unit}")).collect::<Vec<_>>().join(" "))
}

/// `MARIA DA SILVA` → `Maria`; a name that is written in both cases stays as it is.
pub(super) fn first_name(name: &str) -> String {
    let first = name.split_whitespace().next().unwrap_or_default();
    let shouted = !first.chars().any(char::is_lowercase) && first.chars().count() > 1;
    if !shouted && first.chars().any(char::is_uppercase) {
        return first.to_owned();
    }
    let mut letters = first.chars();
    letters
        .next()
        .map(|initial| initial.to_uppercase().chain(letters.flat_map(char::to_lowercase)).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_as_each_language_writes_it() {
        for (value, currency, language, written) in [
            (Value::from(1234.5), "BRL", "pt_BR", "R$ 1.234,50"),
            (Value::from("1234.5"), "BRL", "pt_BR", "R$ 1.234,50"),
            (Value::from(7), "BRL", "pt_BR", "R$ 7,00"),
            (Value::from(-0.004), "BRL", "pt_BR", "R$ 0,00"),
            (Value::from(-12.5), "BRL", "pt_BR", "-R$ 12,50"),
            (Value::from(1234.5), "MXN", "es_MX", "$1,234.50"),
            (Value::from(1234.5), "EUR", "es_ES", "1.234,50 €"),
            (Value::from(1234567.891), "EUR", "pt_PT", "1.234.567,89 €"),
            (Value::from(1234.5), "USD", "en_US", "$1,234.50"),
            (Value::from(1234.5), "USD", "pt_BR", "US$ 1.234,50"),
            (Value::from(1234.5), "GBP", "en_GB", "£1,234.50"),
            (Value::from(1234.5), "ARS", "es_AR", "$ 1.234,50"),
            (Value::from(1500), "CLP", "es_CL", "$1.500"),
            (Value::from(1234.5), "XTS", "pt_BR", "XTS 1.234,50"),
        ] {
            assert_eq!(money(&value, currency, language).as_deref(), Ok(written));
        }
        for (value, currency) in
            [(Value::from("1.234,50"), "BRL"), (Value::from(1), "real"), (Value::from("inf"), "BRL")]
        {
            assert!(money(&value, currency, "pt_BR").is_err());
        }
    }

    #[test]
    fn dates_on_the_branchs_clock() {
        let zone = TimeZone::get("America/Sao_Paulo").unwrap();
        for (value, format, written) in [
            (Value::from("2026-11-22T01:30:00Z"), "%d/%m %H:%M", "21/11 22:30"),
            (Value::from("2026-11-22T01:30:00-05:00"), "%H:%M", "03:30"),
            (Value::from("2026-11-22T01:30:00"), "%H:%M", "01:30"),
            (Value::from("2026-11-22"), "%d/%m/%Y", "22/11/2026"),
            (Value::from(1_790_000_000), "%Y-%m-%d", "2026-09-21"),
            (Value::from(1_790_000_000_000_i64), "%Y-%m-%d", "2026-09-21"),
            (Value::from("1790000000"), "%Y", "2026"),
        ] {
            assert_eq!(date(&value, format, &zone).as_deref(), Ok(written), "{value}");
        }
        for (value, format) in
            [(Value::from("soon"), "%d"), (Value::from(1), "%"), (Value::from(1e300), "%d"), (Value::from(true), "%d")]
        {
            assert!(date(&value, format, &zone).is_err(), "{value} {format}");
        }
    }

    #[test]
    fn durations_in_two_units() {
        for (seconds, written) in [
            (Value::from(0), "0 s"),
            (Value::from(45), "45 s"),
            (Value::from(300), "5 min"),
            (Value::from(3900), "1 h 5 min"),
            (Value::from("3600"), "1 h"),
            (Value::from(90061), "1 d 1 h"),
            (Value::from(59.6), "1 min"),
        ] {
            assert_eq!(duration(&seconds).as_deref(), Ok(written));
        }
        assert!(duration(&Value::from(-1)).is_err() && duration(&Value::from("long")).is_err());
    }

    #[test]
    fn first_names() {
        for (name, first) in [
            ("Ana Souza", "Ana"),
            ("MARIA DA SILVA", "Maria"),
            ("joão", "João"),
            ("  McAdam X", "McAdam"),
            ("", ""),
            ("ÉRICA", "Érica"),
            ("J Silva", "J"),
        ] {
            assert_eq!(first_name(name), first);
        }
    }
}
