//! Who may ask, and for what: path, version, token, proof, certificates, look-ups.

use crate::kit::*;
use branchline::demo::api::{Api, Settings, Tls};
use branchline::demo::certs::{Authority, Identity, Validity};
use branchline::time::Wall;

#[tokio::test]
async fn checks_path_token_proof_and_size_first() {
    let settings = Settings { app_secret: Some("secret".into()), ..Settings::default() };
    let world = world(true, settings).await;
    // printf sandbox-token | openssl dgst -sha256 -hmac secret
    let proof = "fe3111d098157750e393b2f5a002c240cebedadba26ec649c0bb4e1d8f0264b4";
    let base = world.api.url();
    let good = format!("{base}/v25.0/106540352242922/messages?appsecret_proof={proof}");
    let rows = [
        ("fine", good.clone(), TOKEN, order(ANA).to_string(), 200, 0),
        ("no proof", world.url(), TOKEN, order(ANA).to_string(), 400, 100),
        ("wrong proof", format!("{}?appsecret_proof=00", world.url()), TOKEN, order(ANA).to_string(), 400, 100),
        ("other token", good.clone(), "old-token", order(ANA).to_string(), 401, 190),
        ("no token", good.clone(), "", order(ANA).to_string(), 401, 190),
        ("dead version", good.replace("v25.0", "v19.0"), TOKEN, order(ANA).to_string(), 400, 100),
        ("no version", good.replace("/v25.0", ""), TOKEN, order(ANA).to_string(), 400, 100),
        ("other number", good.replace("1065", "1066"), TOKEN, order(ANA).to_string(), 400, 100),
        ("other edge", good.replace("/messages", "/message"), TOKEN, order(ANA).to_string(), 400, 100),
        ("no JSON", good.clone(), TOKEN, "{".into(), 400, 100),
        ("65 KiB", good.clone(), TOKEN, words(&"x".repeat(65 * 1024)).to_string(), 400, 100),
    ];
    for (what, url, token, body, status, code) in rows {
        let mut request = world.client.post(&url).header("content-type", "application/json").body(body);
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        let (got, got_code, answer) = read(request.send().await.unwrap()).await;
        assert_eq!((got, got_code), (status, code), "{what}: {answer}");
    }
    // A form instead of JSON, and the proof inside the body.
    let form = world.client.post(&good).bearer_auth(TOKEN).body(order(ANA).to_string()).send().await.unwrap();
    assert_eq!(read(form).await.1, 100);
    let inside = with(order(LUIS), "/appsecret_proof", proof.into());
    assert_eq!(world.answer(&inside).await.0, 200);
    // Another number in the path is answered as an object that does not exist.
    let other = world.post_to(&good.replace("1065", "1066"), &order(ANA)).await.unwrap();
    assert_eq!(read(other).await.2["error"]["error_subcode"], 33);
}

#[tokio::test]
async fn looks_up_the_number() {
    let world = world(true, Settings::default()).await;
    let get = |fields: &str| {
        let url = format!("{}/v25.0/106540352242922?fields={fields}", world.api.url());
        world.client.get(url).bearer_auth(TOKEN).send()
    };
    let (status, _, found) = read(get("quality_rating,throughput%2Chealth_status").await.unwrap()).await;
    assert_eq!(status, 200, "{found}");
    assert_eq!(found["id"], "106540352242922");
    assert_eq!(found["quality_rating"], "GREEN");
    assert_eq!(found["throughput"]["level"], "STANDARD");
    assert_eq!(found["health_status"]["can_send_message"], "AVAILABLE");
    assert_eq!(read(get("quality").await.unwrap()).await.1, 100);
    assert!(world.control().seen().is_empty(), "a look-up is no message");
}

#[tokio::test]
async fn client_certificates_and_dates_are_checked() {
    let around = Validity::around(now());
    let authority = Authority::new(around).unwrap();
    let stranger = Authority::new(around).unwrap();
    let past = Validity { from: Wall(0), until: Wall(86_400_000) };
    let future = Validity { from: Wall(now().0 + 86_400_000), until: Wall(now().0 + 2 * 86_400_000) };
    // The server's own certificate.
    for (what, issuer, validity, name, wanted) in [
        ("good", &authority, around, "127.0.0.1", Felt::Http(200, 0)),
        ("expired", &authority, past, "127.0.0.1", Felt::Connect),
        ("not yet valid", &authority, future, "127.0.0.1", Felt::Connect),
        ("another name", &authority, around, "example.com", Felt::Connect),
        ("unknown issuer", &stranger, around, "127.0.0.1", Felt::Connect),
    ] {
        let identity = issuer.server(&[name], validity).unwrap();
        let tls = Tls::from_pem(identity.certificate_pem().as_bytes(), identity.key_pem().as_bytes()).unwrap();
        let settings = Settings { tls: Some(tls), ..Settings::default() };
        let felt = try_once(&authority, settings, None).await;
        assert_eq!(felt.0, wanted, "server certificate {what}");
        assert_eq!(felt.1, u64::from(wanted == Felt::Connect), "server certificate {what}: failed handshakes");
    }
    assert!(Tls::from_pem(b"", b"").is_err());
    // The client's.
    let server = authority.server(&["127.0.0.1"], around).unwrap();
    for (what, own, good) in [
        ("good", Some(authority.client("box", around).unwrap()), true),
        ("none", None, false),
        ("expired", Some(authority.client("box", past).unwrap()), false),
        ("unknown issuer", Some(stranger.client("box", around).unwrap()), false),
    ] {
        let (tls, client_ca) = (Some(Tls::from(&server)), Some(authority.certificate_der()));
        let settings = Settings { tls, client_ca, ..Settings::default() };
        let (felt, failed) = try_once(&authority, settings, own.as_ref()).await;
        assert_eq!(felt == Felt::Http(200, 0), good, "client certificate {what}: {felt:?}");
        assert_eq!(failed, u64::from(!good), "client certificate {what}: failed handshakes");
    }
}

/// One message to a simulator of its own; how it felt, and the handshakes that failed.
async fn try_once(authority: &Authority, settings: Settings, identity: Option<&Identity>) -> (Felt, u64) {
    let api = Api::start(settings).await.unwrap();
    let spare = Authority::new(Validity::around(now())).unwrap();
    let world = World { client: client(authority, true, identity), authority: spare, api };
    let felt = feel(&world, &order(ANA)).await;
    let control = world.control();
    // With TLS 1.3 the client may know before the server does, or the other way round.
    assert!(control.wait_for_counters(SOON, |seen| seen.whole + seen.failed_handshakes > 0).await);
    (felt, control.counters().failed_handshakes)
}

#[tokio::test]
async fn plain_http_works_too() {
    let authority = Authority::new(Validity::around(now())).unwrap();
    let api = Api::start(Settings::default()).await.unwrap();
    let world = World { client: client(&authority, false, None), authority, api };
    assert!(world.api.url().starts_with("http://127.0.0.1:"));
    assert_eq!(world.answer(&order(ANA)).await.0, 200);
}
