//! The certificates of a folder, made where they lack.
//!
//! Floor: beside the roof. Never replaces a file: whoever wants other certificates deletes them, or puts his own there.

use super::Trouble;
use crate::demo::api::{BadCertificate, Tls, bad_certificates};
use crate::demo::certs::{Authority, Identity, Validity};
use crate::time::Wall;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write;
use std::net::IpAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// For ten years: a trial is not to end by its certificates.
const LASTS: i64 = 3650 * 24 * 60 * 60 * 1000;

/// What the folder holds.
pub(super) struct Folder {
    path: PathBuf,
    pub(super) server: Tls,
    /// Only where the authority's key is there too.
    pub(super) bad: Vec<(BadCertificate, Tls)>,
    /// Files that were made just now.
    pub(super) made: Vec<String>,
}

impl Folder {
    /// Reads the folder, or makes what it lacks: the server's certificate is for this machine and for `listen`.
    pub(super) fn open(path: &Path, listen: IpAddr, now: Wall) -> Result<Folder, Trouble> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|error| Trouble::Write(format!("cannot make {}: {error}", path.display())))?;
        // The same path from wherever the daemon runs.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let mut made = Vec::new();
        let validity = Validity { from: Wall(now.0 - 24 * 60 * 60 * 1000), until: Wall(now.0 + LASTS) };
        let authority = authority(&path, validity, &mut made)?;
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".into(), "::1".into()];
        if !listen.is_unspecified() && !listen.is_loopback() {
            names.push(listen.to_string());
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let server = identity(&path, "server", authority.as_ref(), |by| by.server(&names, validity), &mut made)?;
        identity(&path, "client", authority.as_ref(), |by| by.client("branchline trial", validity), &mut made)?;
        let bad = match &authority {
            Some(authority) => bad_certificates(authority, now).map_err(unmade)?,
            None => Vec::new(),
        };
        let (chain, key) = server;
        let server = Tls::from_pem(chain.as_bytes(), key.as_bytes())
            .map_err(|error| Trouble::File(format!("{}: {error}", path.join("server.pem").display())))?;
        Ok(Folder { path, server, bad, made })
    }

    /// One of its files.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

/// The folder's authority; none if it has the certificate of somebody else's, without the key.
fn authority(folder: &Path, validity: Validity, made: &mut Vec<String>) -> Result<Option<Authority>, Trouble> {
    let (certificate, key) = (folder.join("ca.pem"), folder.join("ca.key"));
    match (certificate.exists(), key.exists()) {
        (true, false) => Ok(None),
        (false, true) => {
            Err(Trouble::File(format!("{} is there without ca.pem: delete it, or bring both", key.display())))
        }
        (true, true) => match Authority::from_pem(&read(&certificate)?, &read(&key)?) {
            Ok(authority) => Ok(Some(authority)),
            Err(error) => {
                Err(Trouble::File(format!("{}: {error}; delete the folder to have all made anew", key.display())))
            }
        },
        (false, false) => {
            let authority = Authority::new(validity).map_err(unmade)?;
            write(&key, &authority.key_pem(), made)?;
            write(&certificate, authority.certificate_pem(), made)?;
            Ok(Some(authority))
        }
    }
}

/// Certificate and key by this name, in PEM.
fn identity(
    folder: &Path,
    name: &str,
    authority: Option<&Authority>,
    make: impl FnOnce(&Authority) -> Result<Identity, rcgen::Error>,
    made: &mut Vec<String>,
) -> Result<(String, String), Trouble> {
    let (certificate, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    match (certificate.exists(), key.exists(), authority) {
        (true, true, _) => Ok((read(&certificate)?, read(&key)?)),
        (false, false, Some(authority)) => {
            let identity = make(authority).map_err(unmade)?;
            write(&key, &identity.key_pem(), made)?;
            write(&certificate, identity.certificate_pem(), made)?;
            Ok((identity.certificate_pem().to_owned(), identity.key_pem()))
        }
        // Whoever brings an authority of his own need not bring a client.
        (false, false, None) if name == "client" => Ok((String::new(), String::new())),
        (false, false, None) => {
            let text =
                format!("{} is missing, and ca.key, which could make it, is not there either", certificate.display());
            Err(Trouble::File(text))
        }
        _ => Err(Trouble::File(format!("of {name}.pem and {name}.key in {} one is missing", folder.display()))),
    }
}

fn unmade(error: rcgen::Error) -> Trouble {
    Trouble::Write(format!("no certificate could be made: {error}"))
}

fn read(path: &Path) -> Result<String, Trouble> {
    fs::read_to_string(path).map_err(|error| Trouble::File(format!("cannot read {}: {error}", path.display())))
}

/// A new file for its owner alone.
fn write(path: &Path, text: &str, made: &mut Vec<String>) -> Result<(), Trouble> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| Trouble::Write(format!("cannot write {}: {error}", path.display())))?;
    made.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
    Ok(())
}
