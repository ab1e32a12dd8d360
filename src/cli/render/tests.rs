use super::*;
use crate::message::{Category, Outcome, Priority, Reason};
use crate::operate::{
    Backlog, Basis, DraftExplained, Explanation, Gauges, InForce, LastLine, Length, LimitUse, LinkState, OnBoard,
    OutboxRow, Part, Reports, RuleExplained, Trouble, Wait, Written,
};
use crate::status::{Status, THE_NUMBER};

/// 2026-11-22T17:02:05Z
const NOW: Wall = Wall(1_795_366_925_000);

fn zone() -> TimeZone {
    TimeZone::get("America/Sao_Paulo").unwrap()
}

#[test]
fn the_status_tells_the_worst_first_and_everything_at_one_look() {
    let hour = |hours: i64| Some(Wall(NOW.0 - hours * 3_600_000));
    let gauges = Gauges {
        version: "0.1.0".into(),
        branch: "sp-042".into(),
        timezone: "America/Sao_Paulo".into(),
        store: "k3f9".into(),
        running: true,
        at: NOW,
        clock_trusted: true,
        links: vec![
            LinkState { link: "broker".into(), up: true, since: hour(30), why: String::new() },
            LinkState { link: "uplink".into(), up: true, since: hour(3), why: String::new() },
        ],
        reports: vec![
            Reports { way: "webhook".into(), last: hour(1), bodies: 17, unsigned: 3 },
            Reports { way: "notice topic".into(), ..Reports::default() },
        ],
        backlog: vec![Backlog { state: Outcome::Stored, messages: 12 }],
        oldest_seconds: Some(200),
        in_flight: 2,
        board: Some(OnBoard { name: "raspberrypi-4".into(), lights: true }),
        bytes: 1 << 20,
        max_bytes: 256 << 20,
        free_bytes: Some(52_290_000_000),
        written: Some(Written { bytes: 5 << 20, since: Wall(NOW.0 - 6 * 3_600_000), budget: Some(400 << 20) }),
        limits: vec![LimitUse { limit: "sender".into(), used: 0.25, taken: 5, free: 15, note: "a second".into() }],
        holds: vec![Hold {
            what: THE_NUMBER.into(),
            reason: Reason::TokenInvalid,
            since: hour(3),
            until: None,
            note: "190: expired\u{1b}[2J".into(),
            loud: true,
        }],
        ..Gauges::default()
    };
    let mut counted = Status::default();
    counted.message(Category::Utility, Outcome::Withheld, Reason::NoConsent);
    counted.last(LastLine {
        at: NOW,
        rule: Some("order-ready".into()),
        event: None,
        message: Some("k3f9-7".into()),
        to: Some("+55…21".into()),
        outcome: Some(Outcome::Withheld),
        reason: Reason::NoConsent,
        detail: String::new(),
    });
    let text = status(&counted.report(gauges));
    let expected = "\
sp-042 · 2026-11-22 14:02:05 America/Sao_Paulo · Branchline 0.1.0 · store k3f9

!! NUMBER STOPPED: token invalid (190: expired\u{fffd}[2J) since 2026-11-22 11:02:05 (3 h ago)
   -> replace the file of uplink.token_file by a valid token: sending resumes by itself

Links
  broker  up         since 2026-11-21 08:02:05 (30 h ago)
  uplink  up         since 2026-11-22 11:02:05 (3 h ago)
  clock   confirmed

What the platform reported since the start
  webhook       last 2026-11-22 13:02:05 (60 min ago)  17 bodies  3 with a wrong signature
  notice topic  nothing yet                            0 bodies

Messages
  stored             12
  in flight          2
  oldest that waits  3 min

The box
  board             raspberrypi-4; its lights say number-stopped
  on disk           1 MiB of 256 MiB
  free on the disk  48.6 GiB
  written           5 MiB, of 400 MiB a day, since 2026-11-22 08:02:05

Holds
  the number  token-invalid  since 2026-11-22 11:02:05  190: expired\u{fffd}[2J

Limits used
  sender  25 %  5 used  15 free  a second

Last events
  2026-11-22 14:02:05  order-ready  +55…21  withheld: no-consent  k3f9-7

Since the start
  utility  withheld  no-consent  1
";
    assert_eq!(text, expected, "\n{text}");
}

fn row() -> OutboxRow {
    OutboxRow {
        id: "k3f9-1042".into(),
        at: NOW,
        rule: "order-ready".into(),
        to: "+55…21".into(),
        priority: Priority::Normal,
        category: Category::Utility,
        outcome: Outcome::Stored,
        reason: Reason::UplinkDown,
        tries: 1,
    }
}

#[test]
fn a_list_is_aligned_and_says_how_to_go_on() {
    let page = OutboxPage { rows: vec![row()], next: Some(1042) };
    let expected = "\
ID         ARRIVED              RULE         TO      PRIORITY  OUTCOME  REASON       TRIES
k3f9-1042  2026-11-22 14:02:05  order-ready  +55…21  normal    stored   uplink-down  1
more: --before 1042
";
    assert_eq!(outbox(&page, &zone()), expected);
    assert_eq!(outbox(&OutboxPage::default(), &zone()), "no message\n");
}

#[test]
fn a_message_shows_its_text_and_every_attempt() {
    let detail = OutboxDetail {
        cut: false,
        detail: String::new(),
        row: row(),
        event: Some("e-1".into()),
        topic: "pos/3/order/42/ready".into(),
        purpose: "orders".into(),
        subject: None,
        template: Some("order_ready pt_BR".into()),
        text: Some("Olá Ana,\npronto".into()),
        expires: Some(Wall(NOW.0 + 3_600_000)),
        waits: Some(Wait { reason: Reason::UplinkDown, until: None }),
        platform_id: None,
        attempts: vec![AttemptRow {
            number: 1,
            at: NOW,
            ended: Some(Wall(NOW.0 + 42)),
            reason: Some(Reason::NoConnection),
            detail: "refused".into(),
        }],
    };
    let text = message(&detail, &zone());
    for part in [
        "stands at  stored: uplink-down\n",
        "waits for  uplink-down\n",
        "    | Olá Ana,\n    | pronto\n",
        "1  2026-11-22 14:02:05  42 ms  no-connection  refused\n",
    ] {
        assert!(text.contains(part), "lacks {part}:\n{text}");
    }
    let forgotten = message(&OutboxDetail { text: None, ..detail }, &zone());
    assert!(forgotten.contains("the text is forgotten"), "{forgotten}");
}

fn part(what: &str, text: &str) -> Part {
    Part { what: what.into(), text: text.into() }
}

#[test]
fn an_explanation_ends_with_what_would_happen() {
    let draft = DraftExplained {
        to: "+55…21".into(),
        country: Some("BR".into()),
        template: Some("order_ready pt_BR".into()),
        category: Category::Utility,
        priority: Priority::Normal,
        subject: Some("order/42".into()),
        text: "Olá Ana\nLoja\u{1b} 42".into(),
        parts: vec![part("body", "Olá Ana,\npronto"), part("footer", "Loja\u{1b} 42")],
        parameters: vec![("body 1".into(), "Ana".into())],
        cut: false,
        lengths: vec![Length { what: "body".into(), characters: 7, limit: 1024 }],
        consent: ConsentNow { purpose: "orders".into(), withheld: Some(Reason::NoConsent), until: None },
        expires: None,
        outcome: Outcome::Withheld,
        reason: Reason::NoConsent,
        until: None,
    };
    let trouble = Trouble {
        key: "rules.broken.when".into(),
        origin: "shop.toml:14".into(),
        detail: "a text compared with a number: payload.n > 1".into(),
        excerpt: "    payload.n > 1\n    ^^^^^^^^^^^^^".into(),
    };
    let broken = RuleExplained {
        rule: "broken".into(),
        pattern: "pos/{till}/ready".into(),
        reason: Some(Reason::ExpressionFailed),
        detail: format!("when: {}", trouble.detail),
        troubles: vec![trouble.clone()],
        ..RuleExplained::default()
    };
    let missed = RuleExplained {
        rule: "paid".into(),
        pattern: "pos/{till}/paid".into(),
        detail: "level 3 is \"ready\", the rule has \"paid\"".into(),
        ..RuleExplained::default()
    };
    let matching = RuleExplained {
        rule: "order-ready".into(),
        pattern: "pos/{till}/ready".into(),
        matched: true,
        captures: [("till".to_owned(), "3".to_owned())].into(),
        values: vec![("when".into(), "true".into())],
        drafts: vec![draft],
        ..RuleExplained::default()
    };
    let other = RuleExplained { rule: "other".into(), reason: Some(Reason::WhenFalse), ..RuleExplained::default() };
    let of = Explanation {
        topic: "pos/3/ready".into(),
        at: NOW,
        basis: Basis::Store,
        configuration: None,
        rules: vec![matching, broken, other, missed],
    };
    let expected = "\
pos/3/ready at 2026-11-22 14:02:05: 1 of 4 rules match
No daemon runs: answered from the store.

order-ready (pos/{till}/ready): matches
  {till}  3
  when    true
  to +55…21 (BR): order_ready pt_BR, utility, normal
    body   | Olá Ana,
           | pronto
    footer | Loja\u{fffd} 42
    body 1          Ana
    body length     7 of 1024 characters
    subject         order/42
    consent orders  no: no-consent
    would be        withheld: no-consent
                    nobody recorded that this person agreed to orders: opt_in of a rule does, or branchline consent grant

broken (pos/{till}/ready): expression-failed
  shop.toml:14: rules.broken.when: a text compared with a number: payload.n > 1
      payload.n > 1
      ^^^^^^^^^^^^^

other (): when-false

Not for this topic, the nearest first
  paid  pos/{till}/paid  level 3 is \"ready\", the rule has \"paid\"
";
    let text = explanation(&of, &zone());
    assert_eq!(text, expected, "\n{text}");
    let nothing = explanation(&Explanation { rules: vec![], ..of.clone() }, &zone());
    assert!(nothing.contains("nobody messaged"), "{nothing}");
    for (differs, says) in [
        (Some(false), None),
        (
            Some(true),
            Some(
                "NOT by the configuration as it is written now: the daemon goes by the one that it read at 2026-11-22 14:02:05.\nSIGHUP makes",
            ),
        ),
        (
            None,
            Some(
                "By the configuration that the daemon read at 2026-11-22 14:02:05; this command cannot read the files",
            ),
        ),
    ] {
        let configuration = InForce { differs, ..InForce::new(NOW, "f".into()) };
        let told = explanation(
            &Explanation { basis: Basis::Daemon, configuration: Some(configuration), ..of.clone() },
            &zone(),
        );
        assert!(says.map_or(!told.contains("configuration"), |says| told.contains(says)), "{told}");
    }
}

#[test]
fn a_hold_says_what_it_does() {
    let report = PauseReport { target: Target::Rule("order-ready".into()), changed: true, messages: 3, holds: vec![] };
    assert!(paused(&report, false, &zone()).starts_with("rule order-ready: held. 3 messages wait"));
    let again = PauseReport { changed: false, ..report };
    assert_eq!(paused(&again, true, &zone()), "rule order-ready: was not held.\n");
}
