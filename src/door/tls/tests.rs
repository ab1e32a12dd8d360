use super::*;
use crate::time::Wall;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{CertificateError, ClientConnection, ServerConfig, ServerConnection};

/// 2100-01-01, in days after 1970: in nobody's past.
const IN_2100: i64 = 4_102_444_800_000;
const DAY: i64 = 86_400_000;

fn clock() -> SystemClock {
    SystemClock::start_with(None, Path::new("/nonexistent/synchronized"))
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn leaf(issuer: &CertifiedIssuer<'static, KeyPair>, from: i32, until: i32) -> (rcgen::Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["broker.branch".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(from, 1, 1);
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    (params.signed_by(&key, issuer).unwrap(), key)
}

/// Both ends in memory, until they agree or one refuses.
fn handshake(client: ClientConfig, server: ServerConfig) -> Result<ClientConnection, rustls::Error> {
    let name = "broker.branch".try_into().unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut wire = Vec::new();
        client.write_tls(&mut wire).unwrap();
        server.read_tls(&mut &wire[..]).unwrap();
        let at_server = server.process_new_packets();
        wire.clear();
        server.write_tls(&mut wire).unwrap();
        client.read_tls(&mut &wire[..]).unwrap();
        client.process_new_packets()?;
        at_server?;
    }
    Ok(client)
}

fn server(certificate: &rcgen::Certificate, key: &KeyPair) -> ServerConfig {
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

#[test]
fn the_clock_decides_what_is_valid() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let issuer = authority();
    std::fs::write(&ca, issuer.pem()).unwrap();
    let clock = clock();
    let (certificate, key) = leaf(&issuer, 2100, 2101);
    let client = || client_config(Some(&ca), None, &[b"h2"], &clock).unwrap();

    // At a wall clock of today the certificate is not yet valid; the same configuration finds it valid once the store knows better.
    let refused = handshake(client(), server(&certificate, &key)).unwrap_err();
    assert!(
        matches!(refused, rustls::Error::InvalidCertificate(CertificateError::NotValidYetContext { .. })),
        "{refused:?}"
    );
    clock.stored(Wall(IN_2100 + DAY));
    let done = handshake(client(), server(&certificate, &key)).unwrap();
    assert_eq!(done.alpn_protocol(), Some(&b"h2"[..]));
    // An expired one stays refused.
    let (old, key) = leaf(&issuer, 2020, 2021);
    let refused = handshake(client(), server(&old, &key)).unwrap_err();
    assert!(
        matches!(refused, rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { .. })),
        "{refused:?}"
    );
}

#[test]
fn the_certificate_must_be_for_the_host_whatever_is_dialled() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    let issuer = authority();
    std::fs::write(&ca, issuer.pem()).unwrap();
    let (certificate, key) = leaf(&issuer, 2020, 2100);
    // `handshake` dials broker.branch, which the certificate is for; the host decides.
    let client = |host| client_config_for(host, Some(&ca), None, &clock()).unwrap();
    let mut plain = server(&certificate, &key);
    plain.alpn_protocols.clear();
    assert!(handshake(client("broker.branch"), plain.clone()).is_ok());
    let refused = handshake(client("other.branch"), plain).unwrap_err();
    assert!(
        matches!(refused, rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { .. })),
        "{refused:?}"
    );
    let problem = client_config_for("no name", Some(&ca), None, &clock()).unwrap_err();
    assert!(problem.to_string().contains("no name"), "{problem}");
}

#[test]
fn only_the_given_authority_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, authority().pem()).unwrap();
    let (certificate, key) = leaf(&authority(), 2020, 2100);
    let client = client_config(Some(&ca), None, &[b"h2"], &clock()).unwrap();
    let refused = handshake(client, server(&certificate, &key)).unwrap_err();
    assert!(matches!(refused, rustls::Error::InvalidCertificate(_)), "{refused:?}");
    assert!(client_config(None, None, &[], &clock()).is_ok(), "the bundled roots need no file");
}

#[test]
fn wrong_files_are_named_with_what_is_wrong_in_them() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let issuer = authority();
    let (certificate, key) = leaf(&issuer, 2020, 2100);
    let (_, other_key) = leaf(&issuer, 2020, 2100);
    let good = put("box.pem", certificate.pem().as_bytes());
    let good_key = put("box.key", key.serialize_pem().as_bytes());
    let other_key = put("other.key", other_key.serialize_pem().as_bytes());
    let der = put("ca.der", certificate.der());
    let empty = put("empty.pem", b"");
    let text = put("notes.txt", b"the certificate is on the old box");
    let locked =
        put("locked.key", b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    let torn = put("torn.pem", &certificate.pem().as_bytes()[..200]);
    let junk = put("junk.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    let missing = folder.path().join("missing.pem");

    let ca = |file: &PathBuf| (Some(file.clone()), None);
    let pair = |certificate: &PathBuf, key: &PathBuf| (None, Some((certificate.clone(), key.clone())));
    let table = [
        (ca(&missing), "missing.pem", "check the path"),
        (ca(&empty), "empty.pem", "it is empty"),
        (ca(&text), "notes.txt", "BEGIN CERTIFICATE"),
        (ca(&der), "ca.der", "openssl x509 -inform der"),
        (ca(&torn), "torn.pem", "certificate 1"),
        (ca(&junk), "junk.pem", "certificate 1"),
        (ca(&good_key), "box.key", "swapped"),
        (pair(&good, &good), "box.pem", "swapped"),
        (pair(&good, &text), "notes.txt", "BEGIN PRIVATE KEY"),
        (pair(&good, &locked), "locked.key", "passphrase"),
        (pair(&good, &other_key), "other.key", "does not belong"),
        (pair(&junk, &good_key), "junk.pem", "certificate 1"),
    ];
    for ((ca_file, identity), file, wanted) in table {
        let problem = client_config(ca_file.as_deref(), identity.as_ref(), &[], &clock()).unwrap_err().to_string();
        assert!(problem.contains(file) && problem.contains(wanted), "{file}: {problem}");
    }
    assert!(client_config(Some(&good), Some(&(good.clone(), good_key)), &[], &clock()).is_ok());
}
