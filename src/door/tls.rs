//! TLS for whoever goes out: one configuration for broker and uplink, from files that people wrote.
//!
//! Floor: doors. Opens no connection; never verifies against the bare system clock (see `door::clock`).

use super::clock::SystemClock;
use crate::limits::NAMED_FILE;
use crate::time::Wall;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// TLS sessions that are kept for resumption. One server per configuration; the default of 256 is memory for nothing.
const SESSIONS: usize = 4;

/// A file that TLS cannot use: which one, what is wrong in it, what to do.
#[derive(Debug, thiserror::Error)]
pub enum TlsProblem {
    /// It cannot be opened or read.
    #[error("cannot read {}: {why}; check the path and that the daemon's user may read it", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        why: std::io::Error,
    },
    /// It holds no certificate.
    #[error("{} holds no certificate: {found}", file.display())]
    NoCertificate {
        /// The file.
        file: PathBuf,
        /// What it holds instead, and what to do.
        found: &'static str,
    },
    /// One of its certificates is damaged.
    #[error("certificate {number} in {} is damaged: {why}; get the file again from whoever issued it", file.display())]
    BadCertificate {
        /// The file.
        file: PathBuf,
        /// Which one, counted from 1.
        number: usize,
        /// What the parser said.
        why: String,
    },
    /// It holds no private key that can be used.
    #[error("{} holds no usable private key: {found}", file.display())]
    BadKey {
        /// The file.
        file: PathBuf,
        /// What it holds instead, and what to do.
        found: String,
    },
    /// Certificate and key are each fine and not for each other.
    #[error(
        "the key in {} does not belong to the first certificate in {}; put the device's own certificate first and give the \
         key it was issued for",
        key.display(), certificate.display()
    )]
    NotAPair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// What the library refuses for another reason.
    #[error("TLS cannot be set up: {0}")]
    Library(String),
}

impl TlsProblem {
    /// The file that has to be put right; none where no file is to blame.
    pub fn file(&self) -> Option<&Path> {
        match self {
            TlsProblem::Unreadable { file, .. }
            | TlsProblem::NoCertificate { file, .. }
            | TlsProblem::BadCertificate { file, .. }
            | TlsProblem::BadKey { file, .. }
            | TlsProblem::NotAPair { key: file, .. } => Some(file),
            TlsProblem::Library(_) => None,
        }
    }
}

/// A client's configuration: ring, TLS 1.2 and 1.3, verified against [`SystemClock::verification_time`].
///
/// Trusts the certificates in `ca_file` alone, or the bundled public roots without one. `identity` is the file of the client
/// certificate (with its chain) and the file of its key, both PEM. `alpn` is offered in this order.
///
/// # Errors
/// [`TlsProblem`], naming the file.
pub fn client_config(
    ca_file: Option<&Path>,
    identity: Option<&(PathBuf, PathBuf)>,
    alpn: &[&[u8]],
    clock: &SystemClock,
) -> Result<ClientConfig, TlsProblem> {
    configure(ca_file, identity, alpn, clock, None)
}

/// As [`client_config`], for a client that may dial an address of `host` instead of its name: whatever it dials, the
/// certificate must be for `host`.
///
/// # Errors
/// [`TlsProblem`], naming the file; also when `host` is no name or address.
pub fn client_config_for(
    host: &str,
    ca_file: Option<&Path>,
    identity: Option<&(PathBuf, PathBuf)>,
    clock: &SystemClock,
) -> Result<ClientConfig, TlsProblem> {
    let host = ServerName::try_from(host.to_owned())
        .map_err(|_| TlsProblem::Library(format!("\"{host}\" is neither a host name nor an address")))?;
    configure(ca_file, identity, &[], clock, Some(host))
}

/// A server as it is verified.
#[derive(Clone, Copy, Debug)]
pub struct ServerAsked<'a> {
    /// The name or address that its certificate must be for.
    pub host: &'a str,
    /// Who is trusted; the bundled public roots without.
    pub ca_file: Option<&'a Path>,
}

/// Until when a chain that is right today will be: the end of whichever of its certificates ends first. The library tells it
/// when it is asked about later times. `None` where the chain is not right at all.
pub fn valid_until(server: &ServerAsked<'_>, chain: &[CertificateDer<'_>]) -> Option<Wall> {
    /// The last second of the year 9999, which certificates without an end have (RFC 5280, 4.1.2.5).
    const NEVER: Duration = Duration::from_secs(253_402_300_799);
    let (own, others) = chain.split_first()?;
    let host = ServerName::try_from(server.host.to_owned()).ok()?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = Arc::new(roots(server.ca_file).ok()?);
    let library = WebPkiServerVerifier::builder_with_provider(roots, provider).build().ok()?;
    let mut at = UnixTime::since_unix_epoch(NEVER);
    // Each answer is earlier than the one before; a certificate may be part of several paths.
    for _ in 0..=2 * chain.len() {
        match library.verify_server_cert(own, others, &host, &[], at) {
            Ok(_) => return i64::try_from(at.as_secs()).ok().map(|seconds| Wall(seconds * 1000)),
            Err(rustls::Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. }))
                if not_after < at =>
            {
                at = not_after;
            }
            Err(_) => return None,
        }
    }
    None
}

fn configure(
    ca_file: Option<&Path>,
    identity: Option<&(PathBuf, PathBuf)>,
    alpn: &[&[u8]],
    clock: &SystemClock,
    host: Option<ServerName<'static>>,
) -> Result<ClientConfig, TlsProblem> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = Arc::new(roots(ca_file)?);
    let library = WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
        .build()
        .map_err(|why| TlsProblem::Library(why.to_string()))?;
    let verifier: Arc<dyn ServerCertVerifier> = match host {
        None => library,
        Some(host) => Arc::new(Named { host, library }),
    };
    let builder = ClientConfig::builder_with_details(provider, Arc::new(clock.clone()))
        .with_safe_default_protocol_versions()
        .map_err(|why| TlsProblem::Library(why.to_string()))?
        .dangerous() // the library's name for a verifier of one's own; `Named` asks the library's
        .with_custom_certificate_verifier(verifier);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate)?;
            builder.with_client_auth_cert(chain, private_key(key)?).map_err(|why| not_usable(why, certificate, key))?
        }
    };
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config.resumption = Resumption::in_memory_sessions(SESSIONS);
    Ok(config)
}

/// A server's configuration: TLS 1.2 and 1.3, no client certificates, HTTP/1.1. `identity` is the file of the certificate (with
/// its chain) and the file of its key, both PEM.
///
/// # Errors
/// [`TlsProblem`], naming the file.
pub fn server_config(identity: &(PathBuf, PathBuf)) -> Result<ServerConfig, TlsProblem> {
    let (certificate, key) = identity;
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|why| TlsProblem::Library(why.to_string()))?
        .with_no_client_auth()
        .with_single_cert(certificates(certificate)?, private_key(key)?)
        .map_err(|why| not_usable(why, certificate, key))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Why the library does not take two files that can each be read.
fn not_usable(why: rustls::Error, certificate: &Path, key: &Path) -> TlsProblem {
    let (certificate, key) = (certificate.to_owned(), key.to_owned());
    match why {
        rustls::Error::InconsistentKeys(_) => TlsProblem::NotAPair { certificate, key },
        rustls::Error::InvalidCertificate(_) => {
            TlsProblem::BadCertificate { file: certificate, number: 1, why: why.to_string() }
        }
        _ => TlsProblem::BadKey {
            file: key,
            found: format!("{why}; use an RSA (2048 bits or more), P-256, P-384 or Ed25519 key"),
        },
    }
}

/// The library's verifier, asked about one name whatever was dialled.
#[derive(Debug)]
struct Named {
    host: ServerName<'static>,
    library: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _dialled: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.library.verify_server_cert(end_entity, intermediates, &self.host, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.library.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.library.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.library.supported_verify_schemes()
    }
}

fn roots(ca_file: Option<&Path>) -> Result<RootCertStore, TlsProblem> {
    let Some(file) = ca_file else {
        return Ok(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() });
    };
    let mut roots = RootCertStore::empty();
    for (number, certificate) in (1..).zip(certificates(file)?) {
        roots.add(certificate).map_err(|why| TlsProblem::BadCertificate {
            file: file.to_owned(),
            number,
            why: why.to_string(),
        })?;
    }
    Ok(roots)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsProblem> {
    let text = read(file)?;
    let mut found = Vec::new();
    for (number, certificate) in (1..).zip(CertificateDer::pem_slice_iter(&text)) {
        found.push(certificate.map_err(|why| TlsProblem::BadCertificate {
            file: file.to_owned(),
            number,
            why: why.to_string(),
        })?);
    }
    if found.is_empty() {
        let found = match &text[..] {
            [] => "it is empty",
            // ASN.1 SEQUENCE with a two-byte length: a bare certificate or key.
            [0x30, 0x82, ..] => "it is DER; convert it with `openssl x509 -inform der -in FILE -out FILE.pem`",
            _ if contains(&text, b"PRIVATE KEY-----") => "it holds a private key; are the two files swapped?",
            _ => "a PEM block `-----BEGIN CERTIFICATE-----` is wanted",
        };
        return Err(TlsProblem::NoCertificate { file: file.to_owned(), found });
    }
    Ok(found)
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsProblem> {
    let text = read(file)?;
    let bad = |found: &str| TlsProblem::BadKey { file: file.to_owned(), found: found.to_owned() };
    // The two ways in which OpenSSL writes a passphrase's key: PKCS #8, and the header of the old form.
    if contains(&text, b"BEGIN ENCRYPTED PRIVATE KEY") || contains(&text, b"Proc-Type: 4,ENCRYPTED") {
        return Err(bad(
            "it is locked by a passphrase, which nobody could type at night; unlock it with `openssl pkey -in \
                        FILE -out FILE.key` and let only the daemon's user read it",
        ));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|why| match why {
        rustls_pki_types::pem::Error::NoItemsFound if contains(&text, b"BEGIN CERTIFICATE") => {
            bad("it holds a certificate; are the two files swapped?")
        }
        rustls_pki_types::pem::Error::NoItemsFound => bad("a PEM block `-----BEGIN PRIVATE KEY-----` is wanted"),
        // The parser's own words may quote the line, which would be key material.
        _ => bad("its PEM block is damaged; get the file again"),
    })
}

fn read(file: &Path) -> Result<Vec<u8>, TlsProblem> {
    let mut content = Vec::new();
    std::fs::File::open(file)
        .and_then(|opened| opened.take(NAMED_FILE as u64 + 1).read_to_end(&mut content))
        .and_then(|read| if read > NAMED_FILE { Err(ErrorKind::FileTooLarge.into()) } else { Ok(content) })
        .map_err(|why| TlsProblem::Unreadable { file: file.to_owned(), why })
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
#[cfg(feature = "demo")] // certificates are made by rcgen
mod tests;
