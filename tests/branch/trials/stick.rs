//! A box that is set up by a stick, and what a set-up box makes of others: the real binary, a broker and the API.

use crate::house::{House, TOKEN};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A house, an empty place for a configuration, and a stick that would set it up.
struct Box {
    house: House,
}

impl Box {
    fn new() -> Box {
        let house = House::new("");
        let text = fs::read_to_string(house.configure()).unwrap();
        fs::remove_file(house.path().join("branchline.toml")).unwrap();
        fs::create_dir(house.path().join("store")).unwrap();
        let it = Box { house };
        // What the house has in its own folder comes with the stick here, but for the store.
        let store = it.path("store/outbox.db");
        it.put("branchline.toml", &text.replace("\"outbox.db\"", &format!("{:?}", store.display().to_string())));
        for name in ["templates.json", "api-ca.pem"] {
            it.put(name, &fs::read_to_string(it.path(name)).unwrap());
        }
        it.put("token", TOKEN);
        it
    }

    fn path(&self, name: &str) -> PathBuf {
        self.house.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.path("stick/branchline").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// To other users, or closed to them.
    fn open(&self, mode: u32) {
        fs::set_permissions(self.house.path(), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn on_stick(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path("stick/branchline").join(name)).ok()
    }

    fn in_force(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path("etc").join(name)).ok()
    }

    fn command(&self) -> Command {
        self.command_for("etc")
    }

    /// The configuration lies in that folder.
    fn command_for(&self, folder: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_branchline"));
        command.arg("stick").arg("--config").arg(self.path(folder).join("branchline.toml"));
        command
    }

    /// The box starts.
    fn plug(&self) -> Output {
        self.command().arg("--from").arg(self.path("stick")).output().unwrap()
    }

    fn taken(&self) -> String {
        let output = self.plug();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{said}{}{:?}",
            String::from_utf8_lossy(&output.stderr),
            self.on_stick("RESULT.txt")
        );
        said
    }

    fn refused(&self, why: &str) {
        let output = self.plug();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let result = self.on_stick("RESULT.txt").unwrap();
        assert!(said.contains(why) && result.contains(why), "{said}\n{result}");
        for language in ["Nothing was changed", "Nada foi alterado", "No se cambió nada"] {
            assert!(result.contains(language), "{result}");
        }
        assert!(!result.contains(TOKEN) && !said.contains(TOKEN));
    }

    /// It comes with the key by which head office signs those that follow.
    fn set_up_by_head_office(&self) {
        let made = Command::new("sh")
            .current_dir(self.house.path())
            .args([
                "-ec",
                "openssl genpkey -algorithm ed25519 -out head-office.key
                openssl pkey -in head-office.key -pubout -out head-office.pub",
            ])
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        self.put("head-office.pub", &fs::read_to_string(self.path("head-office.pub")).unwrap());
        self.put("conf.d/50-stick.toml", "[stick]\nkey_file = \"head-office.pub\"\n");
        assert!(self.taken().contains("taken over, for branch t-1"));
    }

    /// The lines of README, at head office.
    fn sign(&self) {
        let signed = Command::new("sh")
            .current_dir(self.path("stick/branchline"))
            .args([
                "-ec",
                "find . -type f ! -path '*/.*' ! -name 'MANIFEST*' ! -name RESULT.txt -exec sha256sum {} + > ../M && mv ../M MANIFEST
                openssl pkeyutl -sign -rawin -inkey ../../head-office.key -in MANIFEST -out MANIFEST.sig",
            ])
            .output()
            .unwrap();
        assert!(signed.status.success(), "{signed:?}");
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_box_is_set_up_by_a_stick_and_then_only_by_head_office() {
    let it = Box::new();
    it.set_up_by_head_office();

    // It is set up, by files for the daemon alone, and the secret is gone from the stick.
    assert_eq!(it.in_force("token").as_deref(), Some(TOKEN));
    assert_eq!((mode(&it.path("etc/token")), mode(&it.path("etc/branchline.toml"))), (0o600, 0o640));
    assert_eq!(it.on_stick("token"), None);
    let result = it.on_stick("RESULT.txt").unwrap();
    for language in ["This box is now set up", "Esta caixa está configurada", "Esta caja está configurada"] {
        assert!(result.contains(language), "{result}");
    }
    assert_eq!(it.taken(), "", "it stays plugged in, and nothing happens");

    // Somebody else's stick: the box stays what it is.
    let own = it.in_force("branchline.toml").unwrap();
    let other = format!("# of head office\n{own}");
    it.put("branchline.toml", &other);
    it.refused("MANIFEST is missing");
    it.sign();
    it.put("conf.d/99-more.toml", "[uplink]\npause = true\n");
    it.refused("conf.d/99-more.toml is not among what head office signed");
    assert_eq!(it.in_force("branchline.toml").as_ref(), Some(&own));
    assert_eq!(it.in_force("conf.d/99-more.toml"), None);

    // Head office's: taken over, and what it does not bring stays.
    it.sign();
    assert!(it.taken().contains("taken over"));
    assert_eq!(it.in_force("branchline.toml"), Some(other));
    assert_eq!(it.in_force("token").as_deref(), Some(TOKEN), "what the stick does not bring stays");
    assert!(it.path("etc.before/branchline.toml").exists());
    assert!(!it.path("etc.stick").exists());

    // Signed, but for another branch; and signed, but wrong.
    let ours = it.on_stick("branchline.toml").unwrap();
    it.put("branchline.toml", &ours.replace("id = \"t-1\"", "id = \"t-2\""));
    it.sign();
    it.refused("it is for branch t-2, and this box is branch t-1");
    it.put("branchline.toml", &ours.replace("[operate]", "[oprate]"));
    it.sign();
    it.refused("no such key. Did you mean operate?");
    // Correct in itself, and the platform says no: the old one stays in force.
    it.put("branchline.toml", &ours);
    it.put("token", "EAAG-of-somebody-else");
    it.sign();
    it.refused("token");
    assert_eq!(it.in_force("token").as_deref(), Some(TOKEN));
    assert_eq!(it.on_stick("token").as_deref(), Some("EAAG-of-somebody-else"), "what was not taken over stays on it");
}

/// Found by reading: a box starts before its network has an address, and was refused at the first try, the same at each start.
#[test]
fn a_network_that_comes_late_is_waited_for() {
    let mut it = Box::new();
    it.house.broker.pause();
    let mut command = it.command();
    command.arg("--from").arg(it.path("stick")).stdout(Stdio::piped()).stderr(Stdio::piped());
    let stick = command.spawn().unwrap();
    // The broker is asked before the platform.
    it.house.wait("the first check was in vain", |house| house.control().counters().whole > 0);
    it.house.broker.resume();
    let output = stick.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?} {:?}", it.on_stick("RESULT.txt"));
    assert_eq!(it.in_force("token").as_deref(), Some(TOKEN));
}

#[test]
fn a_stick_without_a_folder_of_ours_changes_nothing_and_is_not_written_to() {
    let it = Box::new();
    fs::rename(it.path("stick/branchline/branchline.toml"), it.path("stick/branchline/other.toml")).unwrap();
    assert_eq!(it.taken(), "");
    assert!(!it.path("etc").exists() && it.on_stick("RESULT.txt").is_none());
    assert_eq!(it.on_stick("token").as_deref(), Some(TOKEN));
}

/// A power cut behind the exchange, or a stick that nobody can write to: both look so at the next start.
#[test]
fn a_stick_that_could_not_be_wiped_is_taken_over_once() {
    let it = Box::new();
    assert!(it.taken().contains("taken over, for branch t-1"));
    it.put("token", TOKEN);
    fs::remove_file(it.path("stick/branchline/RESULT.txt")).unwrap();
    let by_hand = format!("{}# a technician's\n", it.in_force("branchline.toml").unwrap());
    fs::write(it.path("etc/branchline.toml"), &by_hand).unwrap();
    assert!(it.taken().contains("it was taken over before"));
    assert_eq!(it.in_force("branchline.toml"), Some(by_hand), "what was changed since stays");
    assert_eq!(it.on_stick("token"), None, "now it can be wiped");
    assert!(it.on_stick("RESULT.txt").unwrap().contains("Esta caja está configurada"));
    // With another secret it is another stick, and nobody signed it.
    it.put("token", "EAAG-of-somebody-else");
    it.refused("names no key of head office");
    assert_eq!(it.on_stick("token").as_deref(), Some("EAAG-of-somebody-else"));
}

#[test]
fn a_stick_that_was_taken_over_hides_no_other_one() {
    let it = Box::new();
    it.set_up_by_head_office();
    // It stays plugged in and cannot be wiped.
    fs::rename(it.path("stick"), it.path("first")).unwrap();
    fs::create_dir(it.path("stick")).unwrap();
    for name in ["branchline.toml", "templates.json", "api-ca.pem", "head-office.pub", "conf.d/50-stick.toml"] {
        it.put(name, &fs::read_to_string(it.path("first/branchline").join(name)).unwrap());
    }
    fs::write(it.path("first/branchline/token"), TOKEN).unwrap();
    it.put("conf.d/60-more.toml", "[uplink]\npause = true\n");
    it.sign();
    let output = it.command().arg("--from").arg(it.path("first")).arg("--from").arg(it.path("stick")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("first/branchline: it was taken over before"), "{said}");
    assert!(said.contains("stick/branchline: taken over, for branch t-1"), "{said}");
}

/// The copy of a link leads to where the link does: to what is in force, or to somebody else's.
#[test]
fn a_linked_conf_d_is_not_written_through() {
    let it = Box::new();
    it.set_up_by_head_office();
    fs::rename(it.path("etc/conf.d"), it.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(it.path("elsewhere"), it.path("etc/conf.d")).unwrap();
    it.put("conf.d/60-more.toml", "[uplink]\npause = true\n");
    it.sign();
    it.refused("conf.d/50-stick.toml would go through a link");
    assert!(!it.path("elsewhere/60-more.toml").exists());
}

/// What `file.exists()` does not find is not always a new box: an unsigned stick would have set up one that somebody else's disk, or a
/// damaged one, hides the configuration of.
#[test]
fn a_configuration_that_cannot_be_read_makes_no_new_box() {
    let it = Box::new();
    it.set_up_by_head_office();
    it.put("conf.d/60-more.toml", "[uplink]\npause = true\n");
    it.put("token", TOKEN);
    let file = it.path("etc/branchline.toml");
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("gone.toml", &file).unwrap();
    it.refused("hides whose signature counts");
    fs::remove_file(&file).unwrap();
    fs::write(&file, "[branch").unwrap();
    it.refused("hides whose signature counts");
    // A file in the place of the folder, and a disk that is not mounted.
    fs::rename(it.path("etc"), it.path("etc.away")).unwrap();
    fs::write(it.path("etc"), "").unwrap();
    it.refused("whether this box is set up is not known");
    fs::remove_file(it.path("etc")).unwrap();
    std::os::unix::fs::symlink("disk/etc", it.path("etc")).unwrap();
    it.refused("whether this box is set up is not known");
    assert!(!it.path("disk").exists());
    assert_eq!(it.on_stick("token").as_deref(), Some(TOKEN));
}

/// Where a file system exchanges nothing in one step, the power can go while nothing is in force: the box is no new one.
#[test]
fn a_configuration_that_a_power_cut_left_aside_is_back_before_a_stick_is_read() {
    let it = Box::new();
    it.set_up_by_head_office();
    it.put("conf.d/60-more.toml", "[uplink]\npause = true\n");
    fs::rename(it.path("etc"), it.path("etc.before")).unwrap();
    fs::create_dir(it.path("etc.stick")).unwrap();
    it.refused("MANIFEST is missing");
    assert_eq!(it.in_force("token").as_deref(), Some(TOKEN));
    assert!(!it.path("etc.stick").exists() && !it.path("etc.before").exists());
}

/// The system of many boxes is read-only, and what changes lies elsewhere.
#[test]
fn a_linked_folder_is_set_up_where_it_leads() {
    let it = Box::new();
    fs::create_dir(it.path("disk")).unwrap();
    std::os::unix::fs::symlink("disk/etc", it.path("etc")).unwrap();
    it.set_up_by_head_office();
    it.put("conf.d/60-more.toml", "[uplink]\npause = true\n");
    it.sign();
    it.taken();
    assert!(fs::symlink_metadata(it.path("etc")).unwrap().is_symlink());
    assert!(it.path("disk/etc/conf.d/60-more.toml").exists() && it.path("disk/etc.before").exists());
}

/// It was taken over, its token wiped, and the daemon looked for that on the stick; or the check tried the token of before.
#[test]
fn secrets_that_are_named_by_a_path_are_refused_with_what_to_write() {
    let it = Box::new();
    let text = it.on_stick("branchline.toml").unwrap();
    let names = |path: &Path| it.put("branchline.toml", &text.replace("\"token\"", &format!("{path:?}")));
    fs::write(it.path("outside"), TOKEN).unwrap();
    for (path, write) in [
        (it.path("stick/branchline/token"), "write token_file = \"token\""),
        (it.path("etc/token"), "write token_file = \"token\""),
        (it.path("outside"), "put the file beside branchline.toml, and write its name alone, token_file = \"NAME\""),
        ("../outside".into(), "put the file beside branchline.toml"),
    ] {
        names(&path);
        it.refused("branchline.toml: uplink.token_file leads away from the stick's folder");
        it.refused(write);
        assert!(!it.path("etc").exists() && it.on_stick("token").is_some(), "{path:?}");
    }
    // The token in force would have been tried, and another one taken.
    it.put("branchline.toml", &text);
    it.set_up_by_head_office();
    names(&it.path("etc/token"));
    it.put("token", "EAAG-of-somebody-else");
    it.sign();
    it.refused("write token_file = \"token\"");
    assert_eq!(it.in_force("token").as_deref(), Some(TOKEN));
}

/// It was taken for no secret by its ending: readable to all on the box, left on the stick, and the result said that it was wiped.
#[test]
fn a_secret_that_is_named_as_if_it_were_none_is_refused() {
    let it = Box::new();
    let text = it.on_stick("branchline.toml").unwrap();
    it.put("branchline.toml", &text.replace("\"token\"", "\"token.json\""));
    it.put("token.json", TOKEN);
    fs::remove_file(it.path("stick/branchline/token")).unwrap();
    it.refused("branchline.toml: uplink.token_file names token.json");
    assert!(!it.path("etc").exists() && it.on_stick("token.json").as_deref() == Some(TOKEN));
}

/// What everybody may read, and the box has in another place, is no secret: the list of those whom its system trusts.
#[test]
fn a_certificate_of_the_box_may_be_named_by_its_path() {
    let it = Box::new();
    let text = it.on_stick("branchline.toml").unwrap();
    let ca = it.path("api-ca.pem");
    it.put("branchline.toml", &text.replace("\"api-ca.pem\"", &format!("{ca:?}")));
    fs::remove_file(it.path("stick/branchline/api-ca.pem")).unwrap();
    assert!(it.taken().contains("taken over"));
}

/// Windows shows `token` where the file is called `token.txt`.
#[test]
fn a_secret_under_another_name_is_refused_with_the_right_one() {
    let it = Box::new();
    it.set_up_by_head_office();
    for name in ["token.txt", "Token"] {
        it.put(name, "EAAG-of-somebody-else");
        it.sign();
        it.refused(&format!(
            "uplink.token_file names token, and the stick has {name} instead: rename that file to token exactly"
        ));
        assert_eq!((it.in_force(name), it.in_force("token").as_deref()), (None, Some(TOKEN)));
        fs::remove_file(it.path("stick/branchline").join(name)).unwrap();
    }
    // The box would have gone on by the other one.
    it.put("token", "EAAG-of-somebody-else");
    it.sign();
    fs::create_dir(it.path("credentials")).unwrap();
    fs::write(it.path("credentials/token"), TOKEN).unwrap();
    let output =
        it.command().env("CREDENTIALS_DIRECTORY", it.path("credentials")).arg("--from").arg(it.path("stick")).output();
    let said = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(said.contains("uplink.token_file is taken from the box's own credentials"), "{said}");
}

/// Root could read it, so the check was content, and the daemon did not start.
#[test]
fn what_the_daemon_may_not_read_is_refused() {
    let it = Box::new();
    if chown(it.path("store"), Some(1234), Some(1234)).is_err() {
        println!("not run: only root can give files away");
        return;
    }
    it.open(0o700);
    it.refused("the daemon's user (number 1234, whose the store's folder is) cannot use it");
    it.open(0o755);
    assert!(it.taken().contains("taken over"));
}

/// The folder of an image, below an overlay, can be moved by nobody: "Invalid cross-device link" is no word for a person.
#[test]
fn a_folder_that_cannot_be_exchanged_is_told_with_what_helps() {
    let it = Box::new();
    for folder in ["lower/etc", "upper", "work", "image"] {
        fs::create_dir_all(it.path(folder)).unwrap();
    }
    let at = it.path("image");
    let options = "lowerdir=lower,upperdir=upper,workdir=work";
    let mut mount = Command::new("mount");
    mount.current_dir(it.house.path()).args(["-t", "overlay", "-o", options, "overlay", "image"]);
    if !mount.output().is_ok_and(|ended| ended.status.success()) {
        println!("not run: no overlay can be mounted here");
        return;
    }
    let output = it.command_for("image/etc").arg("--from").arg(it.path("stick")).output();
    let unmounted = Command::new("umount").arg(&at).status();
    let said = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(said.contains("make it a link to a folder on the disk that has the data"), "{said}");
    assert!(unmounted.unwrap().success());
}

/// Only root can give files away.
#[test]
fn a_stick_gives_the_daemon_what_it_brought_and_nothing_else() {
    let it = Box::new();
    if chown(it.path("store"), Some(1234), Some(1234)).is_err() {
        println!("not run: only root can give files away");
        return;
    }
    it.open(0o755);
    fs::create_dir(it.path("etc")).unwrap();
    chown(it.path("etc"), Some(0), Some(1234)).unwrap();
    fs::write(it.path("etc/somebodys-key"), "x").unwrap();
    fs::set_permissions(it.path("etc/somebodys-key"), fs::Permissions::from_mode(0o600)).unwrap();
    it.taken();
    let owner = |name: &str| {
        let file = fs::metadata(it.path("etc").join(name)).unwrap();
        (file.uid(), file.gid(), file.mode() & 0o777)
    };
    assert_eq!(owner("token"), (1234, 1234, 0o600));
    assert_eq!(owner("branchline.toml"), (0, 1234, 0o640));
    assert_eq!(owner("somebodys-key"), (0, 0, 0o600), "it was there before");
}
