//! A stick with a folder `branchline/`: finding it, reading it, whose it is, wiping it, and what is written back.
//!
//! Floor: doors. Reads regular files of bounded size only, follows no link, and never judges what they say: that is the check's.
//!
//! ```text
//! STICK/branchline/
//!     branchline.toml, conf.d/*.toml, boards/*.toml      the configuration
//!     templates.json, ca.pem, ...                        what it names
//!     whatsapp-token, relay.key, ...                     secrets: everything that is none of the above
//!     MANIFEST, MANIFEST.sig                             `sha256sum` of all of these, and head office's signature of it
//!     RESULT.txt                                         what came of it, in three languages
//! ```

use crate::message::hex;
use ring::digest::{SHA256, digest};
use ring::signature::{ED25519, UnparsedPublicKey};
use rustls_pki_types::SubjectPublicKeyInfoDer;
use rustls_pki_types::pem::PemObject;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The folder on a stick.
const FOLDER: &str = "branchline";
/// What makes a folder one of ours.
const CONFIGURATION: &str = "branchline.toml";
const MANIFEST: &str = "MANIFEST";
const SIGNATURE: &str = "MANIFEST.sig";
/// What came of it.
const RESULT: &str = "RESULT.txt";
/// Folders inside of it that are read.
const WITHIN: [&str; 2] = ["conf.d", "boards"];
/// Files on a stick: some rules by table, their certificates, and room.
const FILES: usize = 128;
/// Bytes of all of them: the largest list of templates (8 MiB) and as much again.
const BYTES: u64 = 16 * 1024 * 1024;
/// The head of an ed25519 public key in DER (RFC 8410, 4); its 32 bytes follow.
const ED25519_HEAD: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// File systems that sticks and boot partitions have.
const KINDS: [&str; 3] = ["vfat", "exfat", "msdos"];

/// The public half of head office's key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key(Vec<u8>);

impl Key {
    /// From PEM, as `openssl pkey -pubout` writes it; `None` if it is no ed25519 key.
    pub fn of_pem(pem: &[u8]) -> Option<Key> {
        let der = SubjectPublicKeyInfoDer::from_pem_slice(pem).ok()?;
        let key = der.as_ref().strip_prefix(&ED25519_HEAD)?;
        (key.len() == 32).then(|| Key(key.to_vec()))
    }
}

/// What is wrong with a stick, in the words of people.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refusal {
    /// It cannot be read, or holds what is not read.
    #[error("{0}")]
    Unreadable(String),
    /// The box is set up, and its configuration names no key.
    #[error("this box is set up, and its configuration names no key of head office (stick.key_file): no stick is read")]
    NoKey,
    /// No signature, or one that does not fit.
    #[error("{0}")]
    Unsigned(String),
}

/// A folder of ours, read whole.
pub struct Stick {
    folder: PathBuf,
    /// Contents by name, `conf.d/10-a.toml`.
    files: BTreeMap<String, Vec<u8>>,
}

/// Where file systems of sticks are mounted now.
pub fn mounted() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts.lines().filter_map(mount_point).collect()
}

/// `/dev/sda1 /media/a\040stick vfat rw 0 0`
fn mount_point(line: &str) -> Option<PathBuf> {
    let mut words = line.split(' ').skip(1);
    let (at, kind) = (words.next()?, words.next()?);
    KINDS.contains(&kind).then(|| at.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\").into())
}

impl Stick {
    /// The folder below `root`; `None` where there is none of ours, or nothing changed since it was taken over.
    ///
    /// # Errors
    /// There is one, and it cannot be read.
    pub fn find(root: &Path) -> Option<Result<Stick, (PathBuf, Refusal)>> {
        let folder = root.join(FOLDER);
        if !fs::symlink_metadata(&folder).is_ok_and(|found| found.is_dir()) || !is_file(&folder.join(CONFIGURATION)) {
            return None;
        }
        match read(&folder) {
            Err(why) => Some(Err((folder, Refusal::Unreadable(why)))),
            Ok(files) => {
                let stick = Stick { folder, files };
                (!stick.is_done()).then_some(Ok(stick))
            }
        }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Every file that belongs to the configuration, and whether it is a secret.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8], bool)> {
        self.files
            .iter()
            .filter(|(name, _)| !is_signature(name))
            .map(|(name, content)| (name.as_str(), content.as_slice(), is_secret(name, content)))
    }

    /// Whether head office signed exactly what is on it.
    ///
    /// # Errors
    /// What does not fit.
    pub fn verify(&self, key: Option<&Key>) -> Result<(), Refusal> {
        let key = key.ok_or(Refusal::NoKey)?;
        let unsigned = |why: String| Refusal::Unsigned(why);
        let part = |name: &str| {
            self.files.get(name).ok_or_else(|| {
                unsigned(format!("{name} is missing: this box is set up, and reads only what head office signed"))
            })
        };
        let (manifest, signature) = (part(MANIFEST)?, part(SIGNATURE)?);
        UnparsedPublicKey::new(&ED25519, &key.0)
            .verify(manifest, signature)
            .map_err(|_| unsigned(format!("{SIGNATURE} is not head office's signature of {MANIFEST}")))?;
        let mut listed = BTreeMap::new();
        for line in String::from_utf8_lossy(manifest).lines() {
            let (sum, name) = line
                .split_once(' ')
                .ok_or_else(|| unsigned(format!("{MANIFEST} has a line that is none of sha256sum's")))?;
            // sha256sum puts a star before the name of a file that it read as binary.
            let name = name.trim_start_matches([' ', '*']);
            listed.insert(name.strip_prefix("./").unwrap_or(name).to_owned(), sum.to_owned());
        }
        for (name, content, _) in self.files() {
            match listed.remove(name) {
                Some(sum) if sum.eq_ignore_ascii_case(&hex(digest(&SHA256, content).as_ref())) => {}
                Some(_) => return Err(unsigned(format!("{name} is not what head office signed"))),
                None => return Err(unsigned(format!("{name} is not among what head office signed"))),
            }
        }
        match listed.into_keys().next() {
            Some(name) => Err(unsigned(format!("{name} is signed and missing"))),
            None => Ok(()),
        }
    }

    /// Overwrites the secrets and the list that says their SHA-256, and removes them, as many as can be. On flash a copy may stay in cells that the stick no longer shows:
    /// whoever is done with it destroys it, or keeps it like a key.
    ///
    /// # Errors
    /// One cannot be written to, the first of them: it is on the stick still.
    pub fn wipe(&self) -> io::Result<()> {
        let mut wiped = Ok(());
        let signed = self.files.iter().filter(|(name, _)| is_signature(name));
        let signed = signed.map(|(name, content)| (name.as_str(), content.as_slice()));
        let secrets = self.files().filter_map(|(name, content, secret)| secret.then_some((name, content)));
        for (name, content) in signed.chain(secrets) {
            wiped = wiped.and(wipe(&self.folder.join(name), content.len()));
        }
        // The names too, in whatever folder of it they were.
        rustix::fs::syncfs(File::open(&self.folder)?)?;
        wiped
    }

    /// What is on it, secrets too, in the lines of sha256sum: the box keeps them, for a stick that nobody can write to, or that lost its
    /// power while it was wiped, says nothing itself.
    pub fn list(&self) -> String {
        self.files().map(|(name, content, _)| line(name, content)).collect()
    }

    /// Whether nothing is on it but what `list` says, or what was overwritten.
    pub fn holds_only(&self, list: &str) -> bool {
        let known = |line: &str| list.lines().any(|known| known == line.trim_end());
        self.files().all(|(name, content, _)| known(&line(name, content)) || content.iter().all(|byte| *byte == 0))
    }

    /// What stands in the first line of a result, so that a stick that stays plugged in is taken over once.
    fn seal(&self) -> String {
        let public = self.files().filter(|(.., secret)| !secret);
        let lines: String = public.map(|(name, content, _)| line(name, content)).collect();
        format!("OK {}", hex(digest(&SHA256, lines.as_bytes()).as_ref()))
    }

    fn is_done(&self) -> bool {
        let told = read_bounded(&self.folder.join(RESULT)).unwrap_or_default();
        told.starts_with(self.seal().as_bytes()) && !self.files().any(|(.., secret)| secret)
    }

    /// Says that it was taken over.
    ///
    /// # Errors
    /// It cannot be written to.
    pub fn taken(&self, text: &str) -> io::Result<()> {
        tell(&self.folder, &format!("{}\n\n{text}", self.seal()))
    }
}

/// Writes `RESULT.txt`.
///
/// # Errors
/// The stick cannot be written to.
pub fn tell(folder: &Path, text: &str) -> io::Result<()> {
    // Editors of other systems know the line's end by both signs.
    let text = text.replace('\n', "\r\n");
    let path = folder.join(RESULT);
    let mut file = File::create(&path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn line(name: &str, content: &[u8]) -> String {
    format!("{}  {name}\n", hex(digest(&SHA256, content).as_ref()))
}

fn wipe(secret: &Path, length: usize) -> io::Result<()> {
    let mut file = File::options().write(true).open(secret)?;
    file.write_all(&vec![0; length])?;
    file.sync_all()?;
    fs::remove_file(secret)
}

fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

fn is_signature(name: &str) -> bool {
    [MANIFEST, SIGNATURE].contains(&name)
}

/// Whether a file of the box, in another place, would be no secret on a stick.
///
/// # Errors
/// It cannot be read.
pub fn is_public(path: &Path) -> io::Result<bool> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(!is_secret(&name, &read_bounded(path)?))
}

/// Whatever is not plainly public. A certificate may have its key in the same file.
fn is_secret(name: &str, content: &[u8]) -> bool {
    let public = [".toml", ".json", ".crt", ".pub", ".pem"].iter().any(|ending| name.ends_with(ending));
    !public || content.windows(16).any(|words| words == b"PRIVATE KEY-----")
}

/// Every file of the folder and of those within it that are read.
fn read(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let mut files = BTreeMap::new();
    let mut bytes = 0;
    let within = WITHIN.iter().map(|name| (folder.join(name), format!("{name}/")));
    for (folder, prefix) in [(folder.to_owned(), String::new())].into_iter().chain(within) {
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !prefix.is_empty() => continue,
            entries => entries.map_err(|error| format!("{} cannot be read: {error}", folder.display()))?,
        };
        for entry in entries {
            let entry = entry.map_err(|error| format!("{} cannot be read: {error}", folder.display()))?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            // Desktops leave such files; nothing of ours begins with a dot.
            if entry.file_name().to_string_lossy().starts_with('.') || name == RESULT {
                continue;
            }
            let kind = entry.file_type().map_err(|error| format!("{name}: {error}"))?;
            if kind.is_dir() && WITHIN.contains(&name.as_str()) {
                continue;
            }
            if !kind.is_file() {
                return Err(format!("{name} is no file: only files are read, and the folders conf.d and boards"));
            }
            let content = read_bounded(&entry.path()).map_err(|error| format!("{name} cannot be read: {error}"))?;
            bytes += content.len() as u64;
            if files.len() == FILES || bytes > BYTES {
                return Err(format!("there is more on it than {FILES} files of together 16 MiB"));
            }
            files.insert(name, content);
        }
    }
    Ok(files)
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)?.take(BYTES + 1).read_to_end(&mut content)?;
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{Ed25519KeyPair, KeyPair};

    fn stick(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = root.path().join(FOLDER).join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    const FILES: [(&str, &str); 9] = [
        ("branchline.toml", "[branch]"),
        ("conf.d/10-a.toml", "a"),
        ("whatsapp-token", "EAAG"),
        ("ca.pem", "-----BEGIN CERTIFICATE-----"),
        ("box.pem", "-----BEGIN PRIVATE KEY-----"),
        ("relay.crt", "-----BEGIN CERTIFICATE-----\n-----BEGIN EC PRIVATE KEY-----"),
        ("MANIFEST", "e3b0c442  whatsapp-token"),
        ("MANIFEST.sig", "of head office"),
        (".hidden", "of a desktop"),
    ];

    fn find(root: &tempfile::TempDir) -> Stick {
        Stick::find(root.path()).unwrap().map_err(|(_, why)| why.to_string()).unwrap()
    }

    #[test]
    fn secrets_are_wiped_and_what_was_taken_over_is_not_taken_twice() {
        let root = stick(&FILES);
        let found = find(&root);
        let told: Vec<_> = found.files().map(|(name, _, secret)| (name, secret)).collect();
        let wanted = [
            ("box.pem", true),
            ("branchline.toml", false),
            ("ca.pem", false),
            ("conf.d/10-a.toml", false),
            ("relay.crt", true),
            ("whatsapp-token", true),
        ];
        assert_eq!(told, wanted);
        found.wipe().unwrap();
        found.taken("It works.\n").unwrap();
        let folder = root.path().join(FOLDER);
        // A short secret can be found by its SHA-256: the list goes too.
        for gone in ["whatsapp-token", "box.pem", "relay.crt", "MANIFEST", "MANIFEST.sig"] {
            assert!(!folder.join(gone).exists(), "{gone}");
        }
        assert!(fs::read_to_string(folder.join(RESULT)).unwrap().ends_with("It works.\r\n"));
        assert!(Stick::find(root.path()).is_none(), "it stays plugged in, and that is all");
        fs::write(folder.join("conf.d/10-a.toml"), "b").unwrap();
        assert!(Stick::find(root.path()).is_some(), "something new is on it");
    }

    #[test]
    fn a_secret_that_cannot_be_wiped_keeps_no_other_one_on_the_stick() {
        let root = stick(&FILES);
        let found = find(&root);
        let folder = root.path().join(FOLDER);
        fs::remove_file(folder.join("box.pem")).unwrap();
        fs::create_dir(folder.join("box.pem")).unwrap();
        assert!(found.wipe().is_err(), "box.pem is the first, and no file any more");
        assert!(!folder.join("whatsapp-token").exists());
    }

    #[test]
    fn a_stick_that_was_taken_over_is_known_however_much_of_it_was_wiped() {
        let root = stick(&FILES);
        let token = root.path().join(FOLDER).join("whatsapp-token");
        let list = find(&root).list();
        let known = || find(&root).holds_only(&list);
        assert!(known(), "nothing could be wiped");
        fs::write(&token, [0; 4]).unwrap();
        assert!(known(), "the power went between overwriting and removing");
        fs::remove_file(&token).unwrap();
        assert!(known(), "the power went before the next secret");
        fs::write(&token, "EAAH").unwrap();
        assert!(!known(), "another secret is another stick");
        assert!(!find(&root).holds_only(""));
    }

    #[test]
    fn what_is_no_folder_of_ours_is_left_alone_and_what_is_no_file_refused() {
        assert!(Stick::find(stick(&[("readme.txt", "x")]).path()).is_none());
        assert!(Stick::find(tempfile::tempdir().unwrap().path()).is_none());
        let root = stick(&FILES);
        std::os::unix::fs::symlink("/etc/shadow", root.path().join("branchline/more")).unwrap();
        let (_, why) = Stick::find(root.path()).unwrap().err().unwrap();
        assert!(why.to_string().contains("more is no file"), "{why}");
        let linked = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(root.path().join(FOLDER), linked.path().join(FOLDER)).unwrap();
        assert!(Stick::find(linked.path()).is_none(), "a link is no folder");
    }

    #[test]
    fn only_what_head_office_signed_whole_counts() {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let key = Key(pair.public_key().as_ref().to_vec());
        let sum = |text: &str| hex(digest(&SHA256, text.as_bytes()).as_ref());
        let signed = |lines: &str, files: &[(&str, &str)]| {
            let root = stick(files);
            fs::write(root.path().join("branchline/MANIFEST"), lines).unwrap();
            fs::write(root.path().join("branchline/MANIFEST.sig"), pair.sign(lines.as_bytes()).as_ref()).unwrap();
            find(&root).verify(Some(&key)).map_err(|why| why.to_string())
        };
        let files = [("branchline.toml", "[branch]"), ("conf.d/a.toml", "a")];
        let whole = format!("{}  branchline.toml\n{} *./conf.d/a.toml\n", sum("[branch]"), sum("a"));
        assert_eq!(signed(&whole, &files), Ok(()));
        let refused = |lines: &str, files: &[(&str, &str)], why: &str| {
            let told = signed(lines, files).unwrap_err();
            assert!(told.contains(why), "{told}");
        };
        refused(&whole, &[("branchline.toml", "[brunch]"), ("conf.d/a.toml", "a")], "branchline.toml is not what");
        refused(
            &whole,
            &[("branchline.toml", "[branch]"), ("conf.d/a.toml", "a"), ("conf.d/b.toml", "")],
            "conf.d/b.toml is not among",
        );
        refused(&whole, &[("branchline.toml", "[branch]")], "conf.d/a.toml is signed and missing");
        refused("nothing", &files, "none of sha256sum's");
        let root = stick(&files);
        assert_eq!(find(&root).verify(None), Err(Refusal::NoKey));
        assert!(find(&root).verify(Some(&key)).unwrap_err().to_string().contains("MANIFEST is missing"));
        fs::write(root.path().join("branchline/MANIFEST"), &whole).unwrap();
        fs::write(root.path().join("branchline/MANIFEST.sig"), [0; 64]).unwrap();
        assert!(find(&root).verify(Some(&key)).unwrap_err().to_string().contains("not head office's signature"));
    }

    #[test]
    fn keys_are_read_as_openssl_writes_them() {
        // openssl genpkey -algorithm ed25519 | openssl pkey -pubout
        let pem = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
        assert_eq!(Key::of_pem(pem.as_bytes()).unwrap().0.len(), 32);
        for wrong in
            ["", "MCow", "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n"]
        {
            assert_eq!(Key::of_pem(wrong.as_bytes()), None);
        }
    }

    #[test]
    fn sticks_are_looked_for_where_they_are_mounted() {
        assert_eq!(mount_point("/dev/sda1 /media/a\\040stick vfat rw 0 0"), Some("/media/a stick".into()));
        assert_eq!(mount_point("/dev/sda2 / ext4 rw 0 0"), None);
    }
}
