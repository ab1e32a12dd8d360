//! Faults on request, over HTTP/2 and HTTP/1.1: how each feels, and what the control says of it.

use crate::kit::*;
use crate::templates::order;
use branchline::demo::api::{Account, Api, Fault, Repeat, Settings};
use branchline::demo::certs::{Authority, Validity};
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::Duration;

/// Each fault: how it feels, how many requests were read whole, how many accepted. Then all is well again.
#[tokio::test]
async fn faults_strike_as_told() {
    let slow = Fault::SlowAnswer(PATIENCE * 4);
    let rows = [
        (Fault::RefuseConnections, Felt::Connect, 0, 0),
        (Fault::MuteTls, Felt::Connect, 0, 0),
        (Fault::ResetBeforeRead, Felt::Broken, 0, 0),
        (Fault::RefusedStream, Felt::Broken, 0, 0),
        (Fault::GoAway, Felt::Broken, 0, 0),
        (Fault::ResetAfterRead, Felt::Broken, 1, 0),
        (Fault::Hang, Felt::Timeout, 1, 0),
        (Fault::AcceptWithoutAnswer, Felt::Broken, 1, 1),
        (Fault::AcceptThenHang, Felt::Timeout, 1, 1),
        (Fault::Status(503, None), Felt::Http(503, 0), 1, 0),
        (Fault::Status(502, Some("<html>".into())), Felt::Http(502, 0), 1, 0),
        (Fault::Code(131048), Felt::Http(400, 131048), 1, 0),
        (Fault::Code(2), Felt::Http(503, 2), 1, 0),
        (slow, Felt::Timeout, 1, 1),
        (Fault::SlowAnswer(Duration::from_millis(1)), Felt::Http(200, 0), 1, 1),
        (Fault::GarbageBody, Felt::Garbage, 1, 1),
        (Fault::Redirect307, Felt::Http(307, 0), 1, 0),
    ];
    let mut trials = tokio::task::JoinSet::new();
    for (fault, wanted, whole, accepted) in rows {
        trials.spawn(trial(true, fault.clone(), wanted, whole, accepted));
        trials.spawn(trial(false, fault, wanted, whole, accepted));
    }
    trials.join_all().await;
}

async fn trial(http2: bool, fault: Fault, wanted: Felt, whole: u64, accepted: u64) {
    let what = format!("{fault:?}, http2 {http2}");
    let mut world = world(http2, Settings::default()).await;
    // Short patience only for what never comes.
    if wanted == Felt::Timeout || fault == Fault::MuteTls {
        let builder = builder(&world.authority, http2, None).retry(reqwest::retry::never());
        let builder =
            if fault == Fault::MuteTls { builder.connect_timeout(PATIENCE) } else { builder.timeout(PATIENCE) };
        world.client = builder.build().unwrap();
    }
    let control = world.control();
    control.fault(fault, Some(1));
    assert_eq!(feel(&world, &order(ANA)).await, wanted, "{what}");
    let counters = control.counters();
    assert_eq!((counters.whole, counters.accepted), (whole, accepted), "{what}: read whole, accepted");
    control.clear_faults().unwrap();
    world.client = client(&world.authority, http2, None);
    assert_eq!(feel(&world, &order(LUIS)).await, Felt::Http(200, 0), "{what}: afterwards");
}

/// The same faults against a client that resends on its own: it is caught.
#[tokio::test]
async fn a_client_that_resends_by_itself_is_seen() {
    for fault in [Fault::RefusedStream, Fault::GoAway] {
        let mut world = world(true, Settings::default()).await;
        world.client = builder(&world.authority, true, None).build().unwrap();
        world.control().fault(fault.clone(), Some(1));
        assert_eq!(feel(&world, &order(ANA)).await, Felt::Http(200, 0), "{fault:?}");
        assert_eq!((world.control().counters().heads, world.control().counters().whole), (2, 1), "{fault:?}");
    }
}

#[tokio::test]
async fn repeats_are_reported() {
    let world = world(true, Settings::default()).await;
    let data = |to: &str, data: &str| with(order(to), "/biz_opaque_callback_data", data.into());
    let other = with(data(ANA, "c"), "/template/name", "other".into());
    let rows = [
        (data(ANA, "a"), None),
        (data(LUIS, "b"), None),
        (data(ANA, "a"), Some(Repeat::Data)),
        (data(ANA, "d"), Some(Repeat::Content)),
        (order(ANA), Some(Repeat::Content)),
        (other.clone(), None),
        (with(other, "/to", LUIS.into()), Some(Repeat::Data)),
    ];
    for (body, wanted) in &rows {
        assert_eq!(world.answer(body).await.0, 200);
        assert_eq!(world.control().seen().last().unwrap().repeat, *wanted, "{body}");
    }
    assert_eq!(world.control().repeats().len(), 4);
    assert_eq!(world.control().counters().repeats, 4);
    // What was not taken is no repeat.
    world.control().fault(Fault::Status(503, None), Some(1));
    world.answer_status(&data(LUIS, "z")).await;
    world.answer_status(&data(LUIS, "b")).await;
    assert_eq!(world.control().counters().repeats, 5);
    assert_eq!(world.control().seen().last().unwrap().data.as_deref(), Some("b"));
}

#[tokio::test]
async fn control_does_as_told() {
    let world = world(true, Settings { keep: 3, ..Settings::default() }).await;
    let control = world.control();
    // Faults count down, first come first served, and can be for some only.
    control.fault(Fault::Status(500, None), Some(2));
    control.fault_if(Fault::Code(131026), None, |seen| seen.to == LUIS);
    let mut statuses = Vec::new();
    for to in [LUIS, ANA, LUIS, ANA, LUIS] {
        statuses.push(world.answer_status(&order(to)).await);
    }
    assert_eq!(statuses, [500, 500, 400, 200, 400]);
    control.clear_faults().unwrap();
    assert_eq!(world.answer_status(&order(LUIS)).await, 200);
    // Only the last are kept; the counters know all.
    assert_eq!((control.seen().len(), control.accepted().len()), (3, 2));
    assert_eq!((control.counters().whole, control.counters().accepted), (6, 2));
    // Tokens change at once.
    control.set_token("new");
    assert_eq!(world.answer_status(&order(ANA)).await, 401);
    control.set_token(TOKEN);
    // Windows open and close, however the number is written.
    let free = with(words("Oi"), "/to", "+553187654321".into());
    for (open, wanted) in [(true, 200), (false, 400)] {
        if open {
            control.open_window("+55 31 98765-4321")
        } else {
            control.close_window("5531987654321")
        }
        assert_eq!(world.answer_status(&free).await, wanted, "window open: {open}");
    }
    // The clock of the platform is not the box's.
    control.skew_date(-400 * 24 * 60 * 60);
    let date = world.post(&order(ANA)).await.unwrap().headers()["date"].to_str().unwrap().to_owned();
    let year = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).year();
    assert!(!date.contains(&year.to_string()), "{date}");
}

#[tokio::test]
async fn waits_for_conditions() {
    let world = world(true, Settings::default()).await;
    let control = world.control();
    assert!(!control.wait_for_accepted(1, Duration::from_millis(1)).await);
    let waiter = tokio::spawn({
        let control = control.clone();
        async move {
            let ana = control.wait_for(SOON, |seen| seen.iter().any(|seen| seen.to == ANA)).await;
            ana && control.wait_for_accepted(2, SOON).await && control.accepted().len() >= 2
        }
    });
    world.answer(&order(LUIS)).await;
    world.answer(&order(ANA)).await;
    assert!(waiter.await.unwrap());
}

#[tokio::test]
async fn a_closed_port_refuses_at_once_and_opens_again() {
    let world = world(true, Settings::default()).await;
    let control = world.control();
    for round in 0..5 {
        control.fault(Fault::RefuseConnections, None);
        let refused = tokio::net::TcpStream::connect(world.api.addr()).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused, "round {round}");
        control.clear_faults().unwrap();
        tokio::net::TcpStream::connect(world.api.addr()).await.unwrap();
    }
    let addr = world.api.addr();
    world.api.stop().await;
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn a_cut_breaks_what_is_in_flight() {
    let world = world(true, Settings::default()).await;
    let control = world.control();
    control.fault(Fault::Hang, None);
    let cut = async {
        assert!(control.wait_for(SOON, |seen| !seen.is_empty()).await);
        control.cut();
    };
    let body = order(ANA);
    let (felt, ()) = tokio::join!(feel(&world, &body), cut);
    assert_eq!(felt, Felt::Broken);
    assert_eq!(control.accepted().len(), 0);
}

/// One HTTP/2 connection without a pool or a client's cleverness above it.
async fn raw_http2(api: &Api, authority: &Authority) -> h2::client::SendRequest<bytes::Bytes> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate_der()).unwrap();
    let mut tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = tokio::net::TcpStream::connect(api.addr()).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(tls));
    let tls = connector.connect("localhost".try_into().unwrap(), tcp).await.unwrap();
    let (send, connection) = h2::client::handshake(tls).await.unwrap();
    tokio::spawn(connection);
    send
}

/// Sends at once; the answer within [`SOON`].
fn raw_post(
    send: &mut h2::client::SendRequest<bytes::Bytes>,
    api: &Api,
    to: &str,
) -> impl Future<Output = Result<http::Response<h2::RecvStream>, h2::Error>> + use<> {
    let request = http::Request::post(format!("{}/v25.0/106540352242922/messages", api.url()))
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("content-type", "application/json")
        .body(())
        .unwrap();
    let (response, mut body) = send.send_request(request, false).unwrap();
    body.send_data(order(to).to_string().into(), true).unwrap();
    async move { tokio::time::timeout(SOON, response).await.expect("an answer that never came") }
}

#[tokio::test]
async fn refused_stream_and_goaway_say_surely_not_read() {
    let authority = Authority::new(Validity::around(now())).unwrap();
    let api = Api::start_tls(&authority, now(), Settings::default()).await.unwrap();
    let control = api.control();
    let mut send = raw_http2(&api, &authority).await.ready().await.unwrap();
    control.fault(Fault::RefusedStream, Some(1));
    let refused = raw_post(&mut send, &api, LUIS).await.unwrap_err();
    assert!(refused.is_remote() && refused.is_reset(), "{refused:?}");
    assert_eq!(refused.reason(), Some(h2::Reason::REFUSED_STREAM));
    assert_eq!(raw_post(&mut send, &api, LUIS).await.unwrap().status(), 200, "the connection lives on");

    // GOAWAY denies the stream it strikes and all later ones, and still answers the earlier ones.
    control.fault(Fault::SlowAnswer(Duration::from_millis(100)), Some(1));
    let earlier = raw_post(&mut send, &api, ANA);
    assert!(control.wait_for(SOON, |seen| seen.iter().any(|seen| seen.to == ANA)).await);
    control.fault(Fault::GoAway, Some(1));
    let denied = [raw_post(&mut send, &api, LUIS), raw_post(&mut send, &api, LUIS)];
    for denied in denied {
        let error = denied.await.unwrap_err();
        assert!(error.is_go_away() && error.is_remote(), "{error:?}");
        assert_eq!(error.reason(), Some(h2::Reason::NO_ERROR));
    }
    assert_eq!(earlier.await.unwrap().status(), 200);
    assert_eq!(control.counters().whole, 2, "no denied stream was read");

    // On a fresh connection the last stream is 0: nothing at all was read.
    let mut send = raw_http2(&api, &authority).await.ready().await.unwrap();
    control.fault(Fault::GoAway, Some(1));
    assert!(raw_post(&mut send, &api, LUIS).await.unwrap_err().is_go_away());
    assert_eq!(control.counters().whole, 2);
}

#[tokio::test]
async fn accepted_without_answer_is_one_reset_stream() {
    let authority = Authority::new(Validity::around(now())).unwrap();
    let api = Api::start_tls(&authority, now(), Settings::default()).await.unwrap();
    let mut send = raw_http2(&api, &authority).await.ready().await.unwrap();
    api.control().fault(Fault::AcceptWithoutAnswer, Some(1));
    let lost = raw_post(&mut send, &api, ANA).await.unwrap_err();
    assert_eq!(lost.reason(), Some(h2::Reason::INTERNAL_ERROR));
    assert_eq!(api.control().counters().accepted, 1);
    assert_eq!(raw_post(&mut send, &api, LUIS).await.unwrap().status(), 200, "the connection lives on");
}

#[tokio::test]
async fn two_hundred_fifty_six_streams_at_once() {
    let settings = Settings { sender_per_second: 100_000, account: Account::unlimited(), ..Settings::default() };
    let world = world(true, settings).await;
    // One post opens the connection that the others share.
    world.answer(&order(ANA)).await;
    let codes = world.answers(futures(1000, |n| order(&format!("+52551234{n:04}")))).await;
    assert!(codes.iter().all(|code| *code == 0), "{codes:?}");
    assert_eq!(world.control().counters().accepted, 1001);
    assert_eq!(world.control().counters().connections, 1);
    assert_eq!(world.control().counters().repeats, 0);
}
