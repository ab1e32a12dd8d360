//! Who may ask: path, version, token, proof, certificates.

use crate::kit::*;
use crate::templates::order;
use branchline::demo::api::{Api, Settings, Tls};
use branchline::demo::certs::{Authority, Identity, Validity};
use branchline::time::Wall;

#[tokio::test]
async fn checks_path_token_proof_and_size_first() {
    let settings = Settings { app_secret: Some("secret".into()), ..unpaced_settings() };
    let world = world(true, settings).await;
    // printf sandbox-token | openssl dgst -sha256 -hmac secret
    let proof = "fe3111d098157750e393b2f5a002c240cebedadba26ec649c0bb4e1d8f0264b4";
    let base = world.api.url();
    let good = format!("{base}/v25.0/106540352242922/messages?appsecret_proof={proof}");
    let bearer = format!("Bearer {TOKEN}");
    let order = order(ANA).to_string();
    let wrong = format!("{}?appsecret_proof={}", world.url(), proof.to_uppercase());
    let rows = [
        ("another media type", good.clone(), "jsonp", order.clone(), 400, 100, "must be application/json"),
        ("no proof", world.url(), bearer.as_str(), order.clone(), 400, 100, "require an appsecret_proof"),
        ("wrong proof", wrong, &bearer, order.clone(), 400, 100, "Invalid appsecret_proof"),
        ("other token", good.clone(), "Bearer other", order.clone(), 401, 190, "token is invalid"),
        ("no token", good.clone(), "", order.clone(), 401, 104, "no access token"),
        ("empty token", good.clone(), "Bearer ", order.clone(), 401, 104, "no access token"),
        ("another scheme", good.clone(), "Basic dTpw", order.clone(), 401, 104, "after \"Bearer \""),
        ("expired version", good.replace("v25.0", "v20.0"), &bearer, order.clone(), 400, 100, "v20.0 has expired"),
        ("version to come", good.replace("v25.0", "v99.0"), &bearer, order.clone(), 400, 100, "v99.0 is not known"),
        (
            "malformed version",
            good.replace("v25.0", "25.0"),
            &bearer,
            order.clone(),
            400,
            100,
            "must begin with an API version",
        ),
        (
            "half a version",
            good.replace("v25.0", "v25"),
            &bearer,
            order.clone(),
            400,
            100,
            "must begin with an API version",
        ),
        ("no version", good.replace("/v25.0", ""), &bearer, order.clone(), 400, 100, "must begin with an API version"),
        ("other number", good.replace("1065", "1066"), &bearer, order.clone(), 400, 100, "does not exist"),
        ("other edge", good.replace("/messages", "/message"), &bearer, order.clone(), 400, 100, "does not exist"),
        ("deeper", good.replace("/messages", "/messages/1"), &bearer, order.clone(), 400, 100, "does not exist"),
        ("to the number itself", good.replace("/messages", ""), &bearer, order.clone(), 400, 100, "does not support"),
        ("no JSON", good.clone(), &bearer, "{".into(), 400, 100, "is not JSON"),
        (
            "a member twice",
            good.clone(),
            &bearer,
            order.replacen('{', "{\"to\": \"+5511987654399\", ", 1),
            400,
            100,
            "the member \"to\" is given twice",
        ),
        ("an upload", good.replace("/messages", "/media"), &bearer, order.clone(), 400, 131053, "keeps no files"),
        ("513 KiB", good.clone(), &bearer, " ".repeat(513 * 1024), 400, 100, "too large"),
    ];
    for (what, url, authorization, body, status, code, details) in rows {
        let (authorization, kind) = match authorization {
            "jsonp" => (bearer.as_str(), "application/jsonp"),
            authorization => (authorization, "application/json; charset=utf-8"),
        };
        let mut request = world.client.post(&url).header("content-type", kind).body(body);
        if !authorization.is_empty() {
            request = request.header("authorization", authorization);
        }
        let (got, got_code, answer) = read(request.send().await.unwrap()).await;
        assert_eq!((got, got_code), (status, code), "{what}: {answer}");
        assert_error(what, code, details, &answer);
    }
    assert_eq!(read(world.post_to(&good, &crate::templates::order(ANA)).await.unwrap()).await.0, 200);
    // A form instead of JSON, and the proof inside the body.
    let form = world.client.post(&good).bearer_auth(TOKEN).body(order.clone()).send().await.unwrap();
    assert_eq!(read(form).await.1, 100);
    let inside = with(crate::templates::order(LUIS), "/appsecret_proof", proof.into());
    assert_eq!(world.answer(&inside).await.0, 200);
    // An object that does not exist, or cannot do it, has a subcode.
    let other = world.post_to(&good.replace("1065", "1066"), &inside).await.unwrap();
    assert_eq!(read(other).await.2["error"]["error_subcode"], 33);
    for method in [reqwest::Method::PUT, reqwest::Method::DELETE, reqwest::Method::GET] {
        let request = world.client.request(method.clone(), &good).bearer_auth(TOKEN);
        assert_eq!(read(request.send().await.unwrap()).await.1, 100, "{method}");
    }
    assert_eq!(world.control().counters().accepted, 2);
}

#[tokio::test]
async fn all_living_versions_are_taken() {
    let world = unpaced(None).await;
    for version in ["v21.0", "v22.0", "v23.0", "v24.0", "v25.0", "v26.0"] {
        let url = world.url().replace("v25.0", version);
        assert_eq!(read(world.post_to(&url, &order(ANA)).await.unwrap()).await.0, 200, "{version}");
    }
}

#[tokio::test]
async fn a_token_that_was_replaced_has_expired() {
    let world = unpaced(None).await;
    let post = async || read(world.post(&order(ANA)).await.unwrap()).await;
    world.control().set_token("new");
    let (status, code, answer) = post().await;
    assert_eq!((status, code, &answer["error"]["error_subcode"]), (401, 190, &463.into()), "{answer}");
    assert_error("expired", 190, "the access token has expired", &answer);
    world.control().set_token(TOKEN);
    assert_eq!(post().await.0, 200);
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

/// Not required, and still no lie is taken.
#[tokio::test]
async fn a_proof_that_is_sent_must_be_right() {
    let settings = Settings { app_secret: Some("secret".into()), require_proof: false, ..unpaced_settings() };
    let world = world(true, settings).await;
    let right = "fe3111d098157750e393b2f5a002c240cebedadba26ec649c0bb4e1d8f0264b4";
    let wrong = right.replace('f', "e");
    for (query, code) in
        [(String::new(), 0), (format!("?appsecret_proof={right}"), 0), (format!("?appsecret_proof={wrong}"), 100)]
    {
        let url = format!("{}{query}", world.url());
        let got = read(world.post_to(&url, &order(ANA)).await.unwrap()).await.1;
        assert_eq!(got, code, "{query}");
    }
}
