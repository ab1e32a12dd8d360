//! The built binary with mosquitto and the simulated Cloud API: an event becomes a message.

use crate::house::House;
use std::time::Duration;

#[test]
fn an_event_becomes_a_message() {
    let mut house = House::new("");
    house.start();
    house.publish([crate::house::order(1), crate::house::alarm(1)]);
    house.wait_for_accepted(2, Duration::from_secs(20));
    let seen = house.control().accepted();
    let texts: Vec<_> = seen.iter().map(|seen| seen.text.clone()).collect();
    assert!(texts.iter().any(|text| text.contains("Olá Ana, seu pedido 1 está pronto")), "{texts:?}");
    assert!(texts.iter().any(|text| text.contains("Alarme no nó n1: rack too hot 47 °C")), "{texts:?}");
    assert!(seen.iter().all(|seen| seen.http2), "HTTP/2");
    assert_eq!(house.control().repeats().len(), 0);
    assert!(house.stop().success(), "{}", house.log());
}
