//! The platform's limits over the wire; their timetables are beside `pace`.

use crate::kit::*;
use branchline::demo::api::Settings;

#[tokio::test]
async fn limits_strike_over_the_wire() {
    // The timetables are beside `pace`; here the strictest pair pace and a small sender, all within one second.
    let settings = Settings { pair_burst: 1, sender_per_second: 3, ..Settings::default() };
    let world = world(true, settings).await;
    assert_eq!(world.answer(&order("+5531987654321")).await.1, 0);
    // With and without the ninth digit it is one person.
    assert_eq!(world.answer(&order("+553187654321")).await.0, 400);
    assert_eq!(world.answer(&order("+553187654321")).await.1, 131056);
    let people = futures(20, |n| order(&format!("+52551234{n:04}")));
    let codes = world.answers(people).await;
    let taken = codes.iter().filter(|code| **code == 0).count();
    assert!(codes.iter().all(|code| matches!(code, 0 | 130429)), "{codes:?}");
    assert!((2..20).contains(&taken), "{taken}");
    assert_eq!(world.control().counters().accepted, 1 + taken as u64);
}
