//! Any body of a webhook: read within its bounds, or refused; and nothing of a person in what could be logged.

use branchline::limits;
use branchline::message::{News, Notice, Progress, Who};
use branchline::whatsapp::{is_signature, notices, signed};

const NUMBER: &str = "106540352242922";

/// The first line is the value of the signature's header, the rest the body.
pub fn run(data: &[u8]) {
    let (header, body) = super::split(data);
    let header = String::from_utf8_lossy(header);
    // Nobody can sign: a good signature here would be one that anybody finds.
    assert!(!signed(b"a secret that no input knows", &header, body));
    assert!(is_signature(&header) || !signed(b"", &header, body));

    let Ok(read) = notices(body, NUMBER) else {
        let whole = serde_json::from_slice::<serde_json::Value>(body);
        let platform =
            whole.is_ok_and(|body| body["object"] == "whatsapp_business_account" && body["entry"].is_array());
        // One that says twice what it is about is none of the platform's: which of the two counts is nobody's guess.
        let twice = ["\"entry\"", "\"object\""]
            .into_iter()
            .any(|name| body.windows(name.len()).filter(|part| *part == name.as_bytes()).count() > 1);
        assert!(!platform || twice, "a body of the platform is never refused as a whole");
        return;
    };
    assert_eq!(Ok(&read), notices(body, NUMBER).as_ref(), "reading decides by the bytes alone");
    // Each update takes at least a brace and a comma.
    assert!(read.notices.len() as u64 + read.skipped <= body.len() as u64);
    read.notices.iter().for_each(|update| sound(&update.notice));
}

fn sound(notice: &Notice) {
    let shown = format!("{notice:?}");
    assert!(!shown.contains(super::PRIVATE) || matches!(notice, Notice::News(_) | Notice::Status(_)), "{shown}");
    match notice {
        Notice::Status(status) => {
            assert!((1..=512).contains(&status.wamid.chars().count()));
            assert!(status.wamid.len() < 8 || !shown.contains(&status.wamid), "{shown}");
            who(&status.who);
            if let Progress::Failed { said, .. } = &status.progress {
                assert!(said.chars().count() <= 256);
            }
        }
        Notice::Inbound(inbound) => {
            assert!((1..=512).contains(&inbound.wamid.chars().count()));
            // A level of a topic.
            let kind = &inbound.kind;
            assert!(
                (1..=32).contains(&kind.len()) && kind.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_')),
                "{kind}"
            );
            assert!(inbound.text.as_ref().is_none_or(|text| text.chars().count() <= limits::TEXT));
            assert!(inbound.payload.as_ref().is_none_or(|payload| payload.len() <= limits::RENDERED));
            assert!(inbound.context.as_ref().is_none_or(|context| context.chars().count() <= 512));
            who(&inbound.who);
        }
        Notice::Marketing { who: whose, .. } => who(whose),
        Notice::Moved { from, to } => [from, to].into_iter().for_each(who),
        Notice::News(News::Alert { said }) => assert!(said.chars().count() <= 256, "{said}"),
        Notice::News(_) => {}
    }
}

fn who(who: &Who) {
    let digits = who.digits.as_deref().unwrap_or("0");
    assert!((1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()), "{digits}");
    assert!(who.user.as_ref().is_none_or(|user| (1..=128).contains(&user.len())));
}
