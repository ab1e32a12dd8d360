//! boards/install.sh on images that are no boxes: what it puts where, what it takes back, and when.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What lies below a folder: mode and content of each file. What install.sh keeps for itself is left out.
fn tree(root: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let (mut files, mut folders) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (path, data) = (entry.path(), entry.metadata().unwrap());
            match () {
                () if path.ends_with("var/lib/branchline-upgrade") => {}
                () if data.is_dir() => folders.push(path),
                () => drop(files.insert(path.clone(), (data.permissions().mode(), fs::read(&path).unwrap()))),
            }
        }
    }
    files
}

/// An image of a box with systemd, and versions to install there.
struct Image {
    /// `root` is the image; beside it lie the versions.
    folder: tempfile::TempDir,
}

impl Image {
    fn new() -> Image {
        let image = Image { folder: tempfile::tempdir().unwrap() };
        fs::create_dir_all(image.at("root/usr/lib/systemd")).unwrap();
        fs::create_dir_all(image.at("bin")).unwrap();
        // As root on a PC, whoever runs the test and on what.
        let machine = "case $1 in -m) echo x86_64 ;; -s) echo Linux ;; *) echo 6.1 ;; esac";
        for (name, text) in [
            ("id", "echo 0"),
            ("uname", machine),
            ("dpkg-query", "exit 1"),
            ("systemctl", "exit 1"),
            ("setpriv", "shift 3; exec \"$@\""),
        ] {
            image.executable(&format!("bin/{name}"), &format!("#!/bin/sh\n{text}\n"));
        }
        image
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn executable(&self, path: &str, text: &str) {
        fs::write(self.at(path), text).unwrap();
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// What belongs beside install.sh. The program says yes to all but what `no` names; byte 18 says that it is for a PC.
    fn version(&self, name: &str, no: &str) {
        let folder = self.at(name);
        fs::create_dir(&folder).unwrap();
        let pieces = ["boards", "boards/openwrt"].map(|folder| fs::read_dir(folder).unwrap().map(Result::unwrap));
        for piece in pieces.into_iter().flatten().filter(|piece| piece.path().is_file()) {
            fs::copy(piece.path(), folder.join(piece.file_name())).unwrap();
        }
        let program =
            format!("#!/bin/sh\n#       >\n# {name}\n[ \"$1 $2\" = '{no} --help' ] || [ \"$1\" != '{no}' ]\n");
        self.executable(&format!("{name}/branchline"), &program);
        let sum = Command::new("sha256sum").arg("branchline").current_dir(&folder).output().unwrap();
        fs::write(folder.join("branchline.sha256"), sum.stdout).unwrap();
    }

    fn change(&self, path: &str, change: &str) {
        let text = fs::read_to_string(self.at(path)).unwrap();
        fs::write(self.at(path), format!("{text}{change}\n")).unwrap();
    }

    fn install(&self, version: &str, arguments: &[&str]) -> (Option<i32>, String) {
        let path = format!("{}:{}", self.at("bin").display(), std::env::var("PATH").unwrap());
        let output = Command::new("sh")
            .arg(self.at(version).join("install.sh"))
            .args(arguments)
            .env("PATH", path)
            .env("BRANCHLINE_ROOT", self.at("root"))
            .output()
            .unwrap();
        let told = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        (output.status.code(), told)
    }
}

/// The program alone came back, to a newer unit and newer scripts; and a new box kept what an installation in vain had brought.
#[test]
fn an_installation_that_fails_leaves_the_box_as_it_was() {
    let image = Image::new();
    image.version("whole", "-");
    image.version("no-board", "-");
    fs::remove_file(image.at("no-board/board")).unwrap();
    let empty = tree(&image.at("root"));
    let (code, told) = image.install("no-board", &[]);
    assert_eq!(code, Some(69), "{told}");
    assert!(told.contains("missing, for /usr/lib/branchline/board"), "{told}");
    assert_eq!(tree(&image.at("root")), empty, "{told}");
    assert!(!image.at("root/var/lib/branchline-upgrade").exists() && !image.at("root/usr/lib/branchline").exists());

    let (code, told) = image.install("whole", &["--board", "raspberrypi-4"]);
    assert_eq!(code, Some(0), "{told}");
    fs::write(image.at("root/etc/branchline/branchline.toml"), "").unwrap();
    let old = tree(&image.at("root"));
    assert!(old.len() > 10, "{old:?}");

    // One that refuses the store, with a unit, a script and a board of its own.
    image.version("refuses", "self-test");
    for file in ["refuses/branchline.service", "refuses/trial", "refuses/generic.toml"] {
        image.change(file, "# newer");
    }
    fs::write(image.at("refuses/new.toml"), "[board]").unwrap();
    let (code, told) = image.install("refuses", &[]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("failed its self-test") && told.contains("in place as it was"), "{told}");
    assert_eq!(tree(&image.at("root")), old);
    assert!(!image.at("root/var/lib/branchline-upgrade/installing").exists());

    // A power cut when the unit is exchanged: whoever installs next takes back first.
    image.executable(
        "bin/mv",
        "#!/bin/sh\ncase \"$2\" in *branchline.service) kill -KILL $PPID ;; esac\nexec /bin/mv \"$@\"\n",
    );
    image.install("refuses", &[]);
    fs::remove_file(image.at("bin/mv")).unwrap();
    assert_ne!(tree(&image.at("root")), old);
    let (code, told) = image.install("no-board", &[]);
    assert_eq!(code, Some(69), "{told}");
    assert!(told.contains("half-way"), "{told}");
    assert_eq!(tree(&image.at("root")), old, "{told}");
}

#[test]
fn undo_takes_back_an_upgrade_with_its_unit_and_scripts_and_then_all() {
    let image = Image::new();
    image.version("old", "-");
    image.version("new", "--");
    image.change("new/branchline.service", "# newer");
    image.change("new/board", "# newer");
    fs::write(image.at("new/new.toml"), "[board]").unwrap();
    let empty = tree(&image.at("root"));
    assert_eq!(image.install("old", &[]).0, Some(0));
    let old = tree(&image.at("root"));
    let (code, told) = image.install("new", &[]);
    assert_eq!(code, Some(0), "{told}");
    let new = tree(&image.at("root"));
    let changed = new.iter().filter(|(path, file)| old.get(*path) != Some(file)).count();
    assert_eq!(changed, 4, "program, unit, script, board");
    // The same again is nothing to take back.
    assert_eq!(image.install("new", &[]).0, Some(0));
    let (code, told) = image.install("new", &["--undo"]);
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(tree(&image.at("root")), old, "{told}");
    let (code, told) = image.install("new", &["--undo"]);
    assert_eq!(code, Some(0), "{told}");
    let left: Vec<_> = tree(&image.at("root")).into_keys().filter(|path| !empty.contains_key(path)).collect();
    assert_eq!(left, [image.at("root/etc/default/branchline")]);
}

/// Found by reading: after an upgrade that brought the store forward it brought a program back which refuses that store.
#[test]
fn undo_brings_no_program_back_that_would_not_run() {
    let image = Image::new();
    image.version("old", "self-test");
    image.version("new", "-");
    assert_eq!(image.install("old", &[]).0, Some(0));
    fs::create_dir_all(image.at("root/etc/branchline")).unwrap();
    fs::write(image.at("root/etc/branchline/branchline.toml"), "").unwrap();
    let (code, told) = image.install("new", &["--no-check"]);
    assert_eq!(code, Some(0), "{told}");
    let new = tree(&image.at("root"));
    let (code, told) = image.install("new", &["--undo"]);
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("would not run here") && told.contains("Nothing was changed"), "{told}");
    assert_eq!(tree(&image.at("root")), new);
    assert_eq!(image.install("new", &["--undo", "--no-check"]).0, Some(0));
    let back = fs::read_to_string(image.at("root/usr/bin/branchline")).unwrap();
    assert!(back.contains("# old"), "{back}");
}

/// Found by reading: a board of one's own was installed where the program does not look, and one that was named later changed nothing.
#[test]
fn a_board_of_ones_own_is_installed_where_it_is_looked_for_and_another_one_is_taken() {
    let image = Image::new();
    image.version("box", "-");
    let facts = fs::read_to_string("boards/armv7-gateway.toml").unwrap();
    fs::write(image.at("box/mine.toml"), &facts).unwrap();
    // The built-in ones are known to it.
    let program =
        "#!/bin/sh\n#       >\n[ \"$1 $2 $3\" != 'check --board mine' ] || echo 'no board is called \"mine\"'\n";
    image.executable("box/branchline", program);
    let sum = Command::new("sha256sum").arg("branchline").current_dir(image.at("box")).output().unwrap();
    fs::write(image.at("box/branchline.sha256"), sum.stdout).unwrap();
    let set = || fs::read_to_string(image.at("root/etc/default/branchline")).unwrap();
    let unit = || fs::read_to_string(image.at("root/etc/systemd/system/branchline.service.d/board.conf")).unwrap();
    let install = |arguments: &[&str]| {
        let (code, told) = image.install("box", arguments);
        assert_eq!(code, Some(0), "{told}");
    };
    install(&["--board", "raspberrypi-zero"]);
    assert!(!image.at("root/etc/branchline/boards").exists());
    install(&["--board", "mine"]);
    assert_eq!(fs::read_to_string(image.at("root/etc/branchline/boards/mine.toml")).unwrap(), facts);
    assert!(set().ends_with("\nBRANCHLINE_BOARD=mine\n") && !set().contains("zero"), "{}", set());
    assert!(unit().contains("\nEnvironment=BRANCHLINE_BOARD=mine\n"), "{}", unit());
    // It is configuration now: it is known without the file beside the script, and keeps what somebody changed; as the drop-in does.
    fs::remove_file(image.at("box/mine.toml")).unwrap();
    image.change("root/etc/branchline/boards/mine.toml", "# changed");
    install(&["--board", "raspberrypi-4"]);
    install(&["--board", "mine"]);
    assert!(fs::read_to_string(image.at("root/etc/branchline/boards/mine.toml")).unwrap().ends_with("# changed\n"));
    install(&[]);
    assert!(set().contains("=mine\n") && unit().contains("=mine\n"), "not named, it stays");
    fs::write(image.at("root/etc/systemd/system/branchline.service.d/board.conf"), "[Service]\n").unwrap();
    install(&["--board", "raspberrypi-4"]);
    assert_eq!(unit(), "[Service]\n", "somebody's own");
}
