//! A box that is set up by a stick, and what a set-up box makes of others: the real binary, a broker and the API.

use crate::house::{House, TOKEN};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

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

    fn on_stick(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path("stick/branchline").join(name)).ok()
    }

    fn in_force(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path("etc").join(name)).ok()
    }

    /// The box starts.
    fn plug(&self) -> Output {
        Command::new(env!("CARGO_BIN_EXE_branchline"))
            .args(["stick", "--from"])
            .arg(self.path("stick"))
            .arg("--config")
            .arg(self.path("etc/branchline.toml"))
            .output()
            .unwrap()
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
    let made = Command::new("sh")
        .current_dir(it.house.path())
        .args([
            "-ec",
            "openssl genpkey -algorithm ed25519 -out head-office.key
            openssl pkey -in head-office.key -pubout -out head-office.pub",
        ])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    it.put("head-office.pub", &fs::read_to_string(it.path("head-office.pub")).unwrap());
    it.put("conf.d/50-stick.toml", "[stick]\nkey_file = \"head-office.pub\"\n");
    assert!(it.taken().contains("taken over, for branch t-1"));

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

#[test]
fn a_stick_without_a_folder_of_ours_changes_nothing_and_is_not_written_to() {
    let it = Box::new();
    fs::rename(it.path("stick/branchline/branchline.toml"), it.path("stick/branchline/other.toml")).unwrap();
    assert_eq!(it.taken(), "");
    assert!(!it.path("etc").exists() && it.on_stick("RESULT.txt").is_none());
    assert_eq!(it.on_stick("token").as_deref(), Some(TOKEN));
}
