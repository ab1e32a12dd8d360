//! Certificates made on the spot, good and bad ones: for the demo, the tests and anyone's own trials.
//!
//! Floor: demo. Touches no disk and reads no clock: whoever asks says from when to when a certificate holds.

use crate::time::Wall;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::{fmt, time::Duration};

/// From when to when a certificate holds, both ends included. In the past: expired; in the future: not yet valid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Validity {
    /// The first instant.
    pub from: Wall,
    /// The last instant.
    pub until: Wall,
}

impl Validity {
    /// From a day before `now` (clocks differ) to a year after it.
    pub fn around(now: Wall) -> Validity {
        const DAY: i64 = 24 * 60 * 60 * 1000;
        Validity { from: Wall(now.0 - DAY), until: Wall(now.0 + 365 * DAY) }
    }
}

/// A certificate with its key.
pub struct Identity {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    key: KeyPair,
}

impl Identity {
    /// The certificate in PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The private key in PEM (PKCS #8).
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// The certificate in DER.
    pub fn certificate_der(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    /// The private key in DER (PKCS #8).
    pub fn key_der(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.serialize_der()).into()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(..)")
    }
}

/// An authority that issues the others.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    certificate_pem: String,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority(..)")
    }
}

impl Authority {
    /// A new authority with a key of its own.
    ///
    /// # Errors
    /// The system gave no randomness.
    pub fn new(validity: Validity) -> Result<Authority, rcgen::Error> {
        let key = KeyPair::generate()?;
        let params = Authority::params(validity)?;
        let certificate = params.self_signed(&key)?;
        Ok(Authority {
            certificate: certificate.der().clone(),
            certificate_pem: certificate.pem(),
            issuer: Issuer::new(params, key),
        })
    }

    /// One that was made by [`Authority::new`] and kept: what [`Authority::certificate_pem`] and [`Authority::key_pem`] gave.
    ///
    /// # Errors
    /// The key is none of ours.
    pub fn from_pem(certificate_pem: &str, key_pem: &str) -> Result<Authority, rcgen::Error> {
        let key = KeyPair::from_pem(key_pem)?;
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes());
        let certificate = certificate.map_err(|_| rcgen::Error::CouldNotParseCertificate)?;
        // What it issues names it by its name, which is the same for all of them, and is signed by its key.
        let params = Authority::params(Validity { from: Wall(0), until: Wall(0) })?;
        let certificate_pem = certificate_pem.to_owned();
        Ok(Authority { issuer: Issuer::new(params, key), certificate, certificate_pem })
    }

    fn params(validity: Validity) -> Result<CertificateParams, rcgen::Error> {
        let mut params = params(Vec::new(), "Branchline trial authority", validity)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(params)
    }

    /// Its private key in PEM (PKCS #8).
    pub fn key_pem(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// The authority's own certificate in PEM: what a `ca_file` holds.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The authority's own certificate in DER.
    pub fn certificate_der(&self) -> CertificateDer<'static> {
        self.certificate.clone()
    }

    /// A certificate for a server with these host names or IP addresses.
    ///
    /// # Errors
    /// A name is not ASCII, or the system gave no randomness.
    pub fn server(&self, names: &[&str], validity: Validity) -> Result<Identity, rcgen::Error> {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        self.issue(params(names, "Branchline trial server", validity)?, ExtendedKeyUsagePurpose::ServerAuth)
    }

    /// A certificate for a client (mTLS) with this common name.
    ///
    /// # Errors
    /// The system gave no randomness.
    pub fn client(&self, name: &str, validity: Validity) -> Result<Identity, rcgen::Error> {
        self.issue(params(Vec::new(), name, validity)?, ExtendedKeyUsagePurpose::ClientAuth)
    }

    fn issue(&self, mut params: CertificateParams, usage: ExtendedKeyUsagePurpose) -> Result<Identity, rcgen::Error> {
        let key = KeyPair::generate()?;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity { certificate: certificate.der().clone(), certificate_pem: certificate.pem(), key })
    }
}

fn params(names: Vec<String>, common: &str, validity: Validity) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, common);
    // X.509 counts in whole seconds from 1950; an instant before 1970 is no use to a trial.
    let at = |wall: Wall| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs((wall.0.max(0) / 1000) as u64);
    params.not_before = at(validity.from);
    params.not_after = at(validity.until);
    Ok(params)
}
