use super::*;

const PAYLOAD: &str = r#"{
    "n": 46, "f": 4.5, "neg": -3, "big": 18446744073709551615, "huge": 1e308, "s": "abc", "num": "46", "empty": "",
    "yes": true, "no": false, "nul": null, "list": [1, 2, 3], "words": ["a", "b"], "mixed": [1, "a"], "none": [],
    "map": {"a": 1, "b": null}, "phone": "+5511987654321"
}"#;

fn scope() -> Value {
    let payload: Value = serde_json::from_str(PAYLOAD).unwrap();
    Value::from_pairs([("payload", payload), ("till", Value::from("7")), ("LANGUAGE", Value::from("pt_BR"))])
}

fn texts() -> Texts {
    Texts::new(jiff::tz::TimeZone::UTC)
}

fn written(source: &str) -> Written {
    Written { source: source.to_owned(), ..Written::default() }
}

/// `Ok(bool)` of the expression, or what its error says.
fn holds(source: &str) -> Result<bool, String> {
    let mut texts = texts();
    let text =
        texts.add(written(source), Mode::Expression, &["payload", "till"]).map_err(|found| found[0].message.clone())?;
    texts.holds(&text, &scope()).map_err(|failure| {
        assert_eq!(failure.reason, Reason::ExpressionFailed);
        failure.detail
    })
}

fn render(source: &str) -> Result<String, String> {
    let mut texts = texts();
    let text =
        texts.add(written(source), Mode::Text, &["payload", "till"]).map_err(|found| found[0].message.clone())?;
    texts.render(&text, &scope()).map_err(|failure| failure.detail)
}

#[test]
fn odd_comparisons() {
    let table: &[(&str, Result<bool, &str>)] = &[
        // Like with like.
        ("payload.n > 45", Ok(true)),
        ("payload.n > 45.5", Ok(true)),
        ("payload.n == 46.0", Ok(true)),
        ("payload.f < payload.n", Ok(true)),
        ("payload.neg < 0", Ok(true)),
        ("-payload.neg == 3", Ok(true)),
        ("payload.big > 5", Ok(true)),
        ("payload.s == 'abc'", Ok(true)),
        ("payload.s < 'abd'", Ok(true)),
        ("payload.yes == true", Ok(true)),
        ("payload.yes != payload.no", Ok(true)),
        ("payload.list == [1, 2, 3]", Ok(true)),
        ("0 < payload.n < 100", Ok(true)),
        ("0 < payload.n < 10", Ok(false)),
        ("payload.n + 4 >= 50", Ok(true)),
        ("payload.n % 2 == 0 and payload.n // 2 == 23", Ok(true)),
        ("till == '7'", Ok(true)),
        ("till | int > 5", Ok(true)),
        // Missing is false, also for != and not in.
        ("payload.x > 1", Ok(false)),
        ("payload.x != 1", Ok(false)),
        ("payload.x.y.z == 1", Ok(false)),
        ("payload.x + 1 > 0", Ok(false)),
        ("payload.x | lower == 'a'", Ok(false)),
        ("payload.nul | lower == 'a'", Err("null compared with a text: payload.nul | lower == \"a\"")),
        ("payload.x in [1]", Ok(false)),
        ("payload.x not in [1]", Ok(false)),
        ("payload.x", Ok(false)),
        ("not payload.x", Ok(true)),
        ("1 < payload.x < 3", Ok(false)),
        ("payload.x is defined and payload.x > 3", Ok(false)),
        ("payload.x | default(50) > 3", Ok(true)),
        // Null and unlike kinds are errors.
        ("payload.nul < 40", Err("null compared with a number: payload.nul < 40")),
        ("payload.nul == none", Err("null compared with null: payload.nul == none")),
        ("payload.nul is none", Ok(true)),
        ("payload.x is none", Ok(false)),
        ("payload.map.b == 1", Err("null compared with a number: payload.map.b == 1")),
        ("payload.s > 45", Err("a text compared with a number: payload.s > 45")),
        ("payload.num > 100", Err("a text compared with a number: payload.num > 100")),
        ("payload.num == 46", Err("a text compared with a number: payload.num == 46")),
        ("payload.num != 46", Err("a text compared with a number: payload.num != 46")),
        ("payload.num | int == 46", Ok(true)),
        ("payload.yes > 0", Err("true or false compared with a number: payload.yes > 0")),
        ("payload.yes > false", Err("true or false has no order: payload.yes > false")),
        ("payload.list > 1", Err("a list compared with a number: payload.list > 1")),
        ("payload.list < [9]", Err("a list has no order: payload.list < [9]")),
        ("payload.map == 'a'", Err("a table compared with a text: payload.map == \"a\"")),
        ("0 < payload.s < 9", Err("a number compared with a text: 0 < payload.s")),
        ("payload.f < 1 < payload.s", Ok(false)),
        // `in` only where it can match.
        ("2 in payload.list", Ok(true)),
        ("'2' in payload.list", Err("a text compared with a list: \"2\" in payload.list")),
        ("'a' in payload.mixed", Err("a text compared with a list: \"a\" in payload.mixed")),
        ("'a' not in payload.words", Ok(false)),
        ("'z' in payload.none", Ok(false)),
        ("'b' in payload.s", Ok(true)),
        ("1 in payload.s", Err("a number compared with a text: 1 in payload.s")),
        ("'a' in payload.map", Ok(true)),
        ("1 in payload.n", Err("a number compared with a number: 1 in payload.n")),
        ("payload.nul in payload.list", Err("null compared with a list: payload.nul in payload.list")),
        // Conditions are true or false, and short-circuit.
        ("payload.s", Err("neither true nor false but a text: payload.s")),
        ("payload.n", Err("neither true nor false but a number: payload.n")),
        ("not payload.s", Err("neither true nor false but a text: payload.s")),
        ("payload.yes and payload.s", Err("neither true nor false but a text: payload.s")),
        ("payload.no and payload.s > 1", Ok(false)),
        ("payload.yes or payload.s > 1", Ok(true)),
        ("payload.nul", Err("neither true nor false but null: payload.nul")),
        ("payload.s > 1 if payload.no else payload.n > 1", Ok(true)),
        // Numbers without end.
        ("payload.huge * 10 > 1", Err("no finite result: payload.huge * 10")),
        ("payload.n / 0 > 1", Err("no finite result: payload.n / 0")),
        ("payload.n // 0 > 1", Err("no finite result: payload.n // 0")),
        ("payload.s * 3 == 'x'", Err("no number but a text (texts are joined by ~): payload.s * 3")),
        ("payload.list + payload.list == 1", Err("no number but a list: payload.list + payload.list")),
        // Comparisons inside arguments are as strict.
        ("payload.x | default(payload.s > 1)", Err("a text compared with a number: payload.s > 1")),
        // Refused when the configuration is read.
        ("paylod.n > 1", Err("paylod is not known here")),
        ("payload.n.upper() > 1", Err("nothing can be called here")),
        ("range(9) | length > 1", Err("range is not known here")),
        ("payload.n is gt(4)", Err("there is no test gt")),
        ("payload.s | tojson == ''", Err("there is no filter tojson")),
    ];
    for (source, expected) in table {
        assert_eq!(holds(source), expected.map_err(str::to_owned), "{source}");
    }
}

#[test]
fn texts_are_strict_too() {
    let table: &[(&str, Result<&str, &str>)] = &[
        ("plain { text } & <b>", Ok("plain { text } & <b>")),
        ("a {{ payload.s }}\n{{- payload.n }}!", Ok("a abc46!")),
        ("{{ payload.f }} {{ payload.yes }} {{ till }}", Ok("4.5 true 7")),
        ("{{ payload.x }}", Err("missing: payload.x (if it may be, write | default('…'))")),
        ("{{ payload.a.b }}", Err("missing: payload.a.b (if it may be, write | default('…'))")),
        ("{{ payload.a.b | default('-') }}", Ok("-")),
        ("{{ payload.nul }}", Err("null: payload.nul (if it may be, write | default('…'))")),
        ("{{ payload.nul | default('-') }}", Ok("-")),
        ("{{ payload.x | upper | default('-') }}{{ payload.nul | date('%d') | default('-') }}", Ok("--")),
        ("{{ payload.x | upper }}", Err("missing: payload.x | upper (if it may be, write | default('…'))")),
        ("{{ payload.nul | upper }}", Err("null: payload.nul | upper (if it may be, write | default('…'))")),
        ("{{ payload.s | replace('a', payload.x) }}", Err("a field is missing in: payload.s")),
        ("{{ payload.empty | default('-') }}", Ok("")),
        ("{{ payload.empty | default('-', true) }}", Ok("-")),
        ("{{ payload.list }}", Err("a list has no text: payload.list")),
        ("{{ payload.map }}", Err("a table has no text: payload.map")),
        ("{{ payload.words | join(', ') }}", Ok("a, b")),
        ("{{ payload.list[0] }}{{ payload['s'] }}{{ payload.s[:2] }}{{ payload.list[-1] }}", Ok("1abcab3")),
        ("{% for w in payload.words %}{{ loop.index }}{{ w }};{% endfor %}", Ok("1a;2b;")),
        ("{% for w in payload.words if w != 'a' %}{{ w }}{% else %}none{% endfor %}", Ok("b")),
        ("{% for w in payload.x %}{{ w }}{% endfor %}", Err("a field is missing in: payload.x")),
        ("{% if payload.n > 40 %}hot{% elif payload.yes %}b{% else %}c{% endif %}", Ok("hot")),
        ("{% if payload.x > 40 %}hot{% endif %}", Err("a field is missing in: payload.x > 40")),
        ("{% if payload.s > 40 %}hot{% endif %}", Err("a text compared with a number: payload.s > 40")),
        ("{{ payload.s | upper ~ '-' ~ payload.n }}", Ok("ABC-46")),
        ("{{ payload.s | replace('b', 'xx') }}", Ok("axxc")),
        ("{{ payload.f | round }} {{ payload.n | money('BRL') }}", Ok("4.0 R$ 46,00")),
        ("{{ payload.s | money('BRL') }}", Err("money needs a number: payload.s")),
        ("{{ payload.s | int }}", Err("int cannot take this value (a text): payload.s")),
        ("{{ payload.phone | digits }}", Ok("5511987654321")),
        ("{{ 'x' * 50000000 }}", Err("no number but a text (texts are joined by ~): \"x\" * 50000000")),
        ("{% set a = 1 %}", Err("only {{ … }}, {% if %} and {% for %} may be used")),
        (
            "{% for TEXT in payload.list %}{{ till }}{% endfor %}",
            Err("the loop's name is not one word in small letters"),
        ),
        ("{% for a, b in payload.list %}{{ a }}{% endfor %}", Err("the loop's name is not one word in small letters")),
        ("{% macro a() %}{% endmacro %}", Err("unknown statement macro")),
        ("{% include 'a' %}", Err("unknown statement include")),
        ("{{ paylod.x }}", Err("paylod is not known here")),
        ("{{ payload.x", Err("unexpected end of input, expected end of variable block")),
        ("{{ '{{ x }}' }}{% raw %}{{ y }}{% endraw %}", Ok("{{ x }}{{ y }}")),
        ("“quotes” \\ \"and\" 'more' \t 😀", Ok("“quotes” \\ \"and\" 'more' \t 😀")),
    ];
    for (source, expected) in table {
        assert_eq!(render(source), expected.map(str::to_owned).map_err(str::to_owned), "{source}");
    }
}

#[test]
fn unknown_names_are_found_with_a_suggestion_and_a_place() {
    let found = texts()
        .add(written("Hello {{ paylod.x }}, {{ till }}, {{ peson }}"), Mode::Text, &["payload", "till"])
        .unwrap_err();
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].fix, "did you mean payload?");
    assert_eq!(found[0].at, Some((9, 15)));
    let found = texts().add(written("payload.n | lenght > 3"), Mode::Expression, &["payload"]).unwrap_err();
    assert_eq!(found[0].fix, "did you mean length?");
    let found = texts().add(written("person.name == 'a'"), Mode::Expression, &["payload"]).unwrap_err();
    assert!(found[0].fix.contains("not known yet"));
}

#[test]
fn nothing_grows_beyond_its_bounds() {
    let big = serde_json::json!({"s": "a".repeat(15_000), "l": vec!["ab"; 4000], "n": vec![0; 4000]});
    let scope = Value::from_pairs([("payload", serde_json::from_value::<Value>(big).unwrap())]);
    for source in [
        "{{ payload.s ~ payload.s }}",
        "{{ payload.s }}{{ payload.s }}",
        "{{ payload.s | replace('a', payload.s) }}",
        "{{ payload.s | replace('', payload.s) }}",
        "{{ payload.l | join(payload.s) }}",
        "{% for a in payload.n %}{% for b in payload.n %}{% endfor %}{% endfor %}",
        "{% for a in payload.n %}{{ payload.s }}{% endfor %}",
        "{{ 9 ** 9 ** 9 ** 9 }}",
    ] {
        let mut texts = texts();
        let text = texts.add(written(source), Mode::Text, &["payload"]).unwrap();
        let failure = texts.render(&text, &scope).unwrap_err();
        assert_eq!(failure.reason, Reason::TemplateFailed, "{source}");
        assert!(failure.detail.len() < 300, "{source}");
    }
}

#[test]
fn errors_never_quote_the_payload() {
    for source in ["{{ (payload.phone ~ 'x') | int }}", "{{ payload.phone | date('%d') }}", "{{ payload.phone * 2 }}"] {
        let detail = render(source).unwrap_err();
        assert!(!detail.contains("987654321"), "{detail}");
    }
}

#[test]
fn an_intricate_expression_is_refused_not_expanded() {
    let mut nested = "1 < payload.n < 2".to_owned();
    for _ in 0..14 {
        nested = format!("1 < ({nested}) < 2");
    }
    assert!(holds(&nested).is_err());
}

/// What the bytes that a problem is about hold: of a text that is refused, or of one that fails with the payload above.
fn blamed(source: &str, mode: Mode) -> (String, String) {
    let mut texts = texts();
    let (message, at) = match texts.add(written(source), mode, &["payload", "till"]) {
        Err(found) => (found[0].message.clone(), found[0].at),
        Ok(text) => {
            let failed = match mode {
                Mode::Expression => texts.holds(&text, &scope()).map(|_| ()),
                Mode::Text => texts.render(&text, &scope()).map(|_| ()),
            };
            let failure = failed.expect_err(source);
            (failure.detail, failure.place.and_then(|(_, at)| at))
        }
    };
    let (start, end) = at.unwrap_or_else(|| panic!("{source}: {message}, nowhere"));
    (message, source[start..end].to_owned())
}

#[test]
fn every_kind_of_error_points_at_its_place() {
    use Mode::{Expression, Text};
    #[rustfmt::skip]
    let table: &[(&str, Mode, &str, &str)] = &[
        // Refused when the configuration is read.
        ("payload.n >", Expression, "unexpected end of input", ">"),
        ("payload.n > 1)", Expression, "unexpected input after expression", ")"),
        ("Oi {{ payload.s !", Text, "", "!"),
        ("a\nb {{ payload.s | mony('BRL') }}", Text, "there is no filter mony", "mony('BRL')"),
        ("payload.n is gt(4)", Expression, "there is no test gt", "gt(4)"),
        ("{{ payload.s }} {{ paylod.s }}", Text, "paylod is not known here", "paylod"),
        ("range(9) > 1", Expression, "range is not known here", "range"),
        ("payload.s.upper() == 'A'", Expression, "nothing can be called here", "payload.s.upper()"),
        ("a {% set x = 1 %}", Text, "only {{ … }}", "set x = 1"),
        ("{{ payload.f | round(precision=2) }}", Text, "arguments have no names here", "round(precision=2)"),
        // Failing with an event.
        ("payload.yes and payload.s > 45", Expression, "a text compared with a number", "payload.s > 45"),
        ("(payload.n + payload.s) > 1", Expression, "no number but a text", "payload.n + payload.s"),
        ("payload.yes and payload.s", Expression, "neither true nor false", "payload.s"),
        ("payload.nul in payload.list", Expression, "null compared with a list", "payload.nul in payload.list"),
        ("payload.n is startingwith('a')", Expression, "compares texts", "payload.n is startingwith('a')"),
        ("é {{ payload.s }} {{ payload.map.x }}", Text, "missing: payload.map.x", "payload.map.x"),
        ("{{ payload.nul }}", Text, "null: payload.nul", "payload.nul"),
        ("{{ payload.list }}", Text, "a list has no text", "payload.list"),
        ("{{ payload.s ~ payload.list }}", Text, "a list cannot be joined", "payload.s ~ payload.list"),
        ("{{ payload.s | money('BRL') }}", Text, "money needs a number", "payload.s | money('BRL')"),
        ("{{ payload.n | date('%d') }} {{ payload.s | date('%d') }}", Text, "date needs", "payload.s | date('%d')"),
        ("{% for a in payload.s %}{{ a }}{% endfor %}", Text, "no list but a text", "payload.s"),
        ("{% if payload.s > 1 %}a{% endif %}", Text, "a text compared with a number", "payload.s > 1"),
        ("a {% for a in payload.list %}{% for b in payload.list %}{% for c in payload.list %}{% for d in payload.list %}{% for e in payload.list %}{% for f in payload.list %}{% for g in payload.list %}{% for h in payload.list %}{{ h }}{% endfor %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}",
         Text, "more than 20000 steps", "{% for a in payload.list %}"),
    ];
    for (source, mode, says, place) in table {
        let (message, blamed) = blamed(source, *mode);
        assert!(message.contains(says), "{source}: {message}");
        assert_eq!(blamed, *place, "{source}: {message}");
    }
}
