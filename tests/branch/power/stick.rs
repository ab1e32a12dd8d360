//! A stick in the emulated board, behind USB and with a FAT file system that nobody mounts: a box is set up by it, without anybody
//! logging in, and then only by head office. `tests/stick` prepares what this needs.
//!
//! The box is laid out as `boards/install.sh` leaves one without systemd: BusyBox, a user for the daemon, `boards/trial run`.

use super::board::{Board, Parts, run};
use crate::house::{House, TOKEN, order};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// For an event through an emulated processor, with all that a start takes.
const REST: Duration = Duration::from_secs(240);

const NEEDED: [&str; 3] = ["mkfs.vfat", "mcopy", "openssl"];

/// Configuration and store are on the disk, behind links, as on boxes whose system is read-only. A box has found its stick long before
/// its services start.
const BOX: &str = r#"
$b --install -s /bin
export PATH=/bin:/usr/bin
mount -t ext4 /dev/vda /data
mkdir -p /data/etc /data/var/lib/branchline
ln -s /run /data/var/run 2>/dev/null
chown branchline:branchline /data/var/lib/branchline
case "$words" in
*for=stick*) until grep -qs 08 /sys/bus/usb/devices/*/bInterfaceClass; do sleep 0.1; done ;;
esac
echo "the board is up"
/usr/lib/branchline/trial run 2>&1 &
daemon=$!
while read -r line && [ "$line" != stop ]; do
    echo "$(eval "$line" 2>&1 | tr '\n' ' ') is the answer"
done
kill -TERM $daemon
wait $daemon
echo "it ended with $?"
umount /data
echo "the daemon ended with 0"
poweroff -f
"#;

/// A board, and a stick that would set it up.
struct Box {
    house: House,
    board: Board,
    /// What is put on the stick next.
    folder: TempDir,
    published: u32,
}

impl Box {
    fn new(parts: Parts) -> Box {
        let house = House::new("");
        let board = Board::with(parts, BOX, |root| {
            for folder in ["usr/bin", "usr/lib/branchline", "etc/default"] {
                fs::create_dir_all(root.join(folder)).unwrap();
            }
            run(Command::new("ln").args(["-s", "busybox"]).arg(root.join("bin/sh")));
            fs::rename(root.join("bin/branchline"), root.join("usr/bin/branchline")).unwrap();
            let scripts = ["-m", "755", "boards/trial", "boards/board"];
            run(Command::new("install").args(scripts).arg(root.join("usr/lib/branchline")));
            run(Command::new("ln").args(["-s", "/data/var"]).arg(root.join("var")));
            run(Command::new("ln").args(["-s", "/data/etc/branchline"]).arg(root.join("etc/branchline")));
            fs::write(root.join("etc/passwd"), "root:x:0:0::/:/bin/sh\nbranchline:x:880:880::/:/bin/false\n").unwrap();
            fs::write(root.join("etc/group"), "root:x:0:\nbranchline:x:880:\n").unwrap();
            fs::write(root.join("etc/default/branchline"), "BRANCHLINE_BOARD=qemu-virt\n").unwrap();
        });
        let it = Box { house, board, folder: tempfile::tempdir().unwrap(), published: 0 };
        let text = it.house.configuration().replace("127.0.0.1", "localhost");
        let text = text.replace("path = \"outbox.db\"", "").replace("socket = \"socket\"", "");
        it.put("branchline.toml", &text);
        for name in ["templates.json", "api-ca.pem"] {
            it.put(name, &fs::read_to_string(it.house.path().join(name)).unwrap());
        }
        it.put("token", TOKEN);
        for name in ["head-office", "somebody"] {
            let (key, public) = (it.file(&format!("{name}.key")), it.file(&format!("{name}.pub")));
            run(Command::new("openssl").args(["genpkey", "-algorithm", "ed25519", "-out"]).arg(&key));
            run(Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(&key).arg("-out").arg(&public));
        }
        it.put("head-office.pub", &fs::read_to_string(it.file("head-office.pub")).unwrap());
        it.put("conf.d/50-stick.toml", "[stick]\nkey_file = \"head-office.pub\"\n");
        it
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.file("branchline").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// As README says, with a key.
    fn sign(&self, key: &str) {
        let lines = format!(
            "find . -type f ! -path '*/.*' ! -name 'MANIFEST*' ! -name RESULT.txt -exec sha256sum {{}} + > ../M && mv ../M MANIFEST
            openssl pkeyutl -sign -rawin -inkey ../{key}.key -in MANIFEST -out MANIFEST.sig"
        );
        run(Command::new("sh").current_dir(self.file("branchline")).args(["-ec", &lines]));
    }

    /// A stick with `folder` is plugged in, and the board gets power; it has no clock.
    fn start(&mut self, folder: &Path) {
        let (files, stick) = (self.file("files.img"), self.file("stick.img"));
        fs::remove_file(&files).ok();
        run(Command::new("mkfs.vfat").arg("-C").arg(&files).arg("16384"));
        run(Command::new("mcopy").arg("-s").arg("-i").arg(&files).arg(folder).arg("::/"));
        fs::write(&stick, [first_mebibyte(), fs::read(&files).unwrap()].concat()).unwrap();
        self.board.stick = Some(stick);
        self.board.start_for(false, "stick");
        self.board.wait_for("the board is up");
    }

    /// What is on the stick, afterwards: the file's content.
    fn on_stick(&self, name: &str) -> Option<String> {
        let out = self.file("out");
        fs::remove_file(&out).ok();
        let copied = Command::new("mcopy")
            .args(["-n", "-i"])
            .arg(format!("{}@@1M", self.board.stick.as_ref().unwrap().display()))
            .arg(format!("::/{name}"))
            .arg(&out)
            .output();
        copied.unwrap().status.success().then(|| fs::read_to_string(&out).unwrap())
    }

    /// The configuration in force works: an event becomes a message.
    fn works(&mut self) {
        // It has subscribed by then: what comes before the first subscription of a box is nobody's.
        self.board.wait_for("the uplink works");
        self.house.publish([order(self.published)]);
        self.published += 1;
        self.house.wait_for_accepted(u64::from(self.published), REST);
    }

    /// The stick is refused for that, which it says in three languages, and what was in force is.
    fn refused(&mut self, why: &str) {
        let before = self.start_signed_by_nobody();
        self.board.wait_for("refused, and nothing was changed");
        self.works();
        assert_eq!(self.in_force(), before);
        self.board.stop();
        let result = self.on_stick("branchline/RESULT.txt").unwrap();
        for words in [why, "Nothing was changed", "Nada foi alterado", "No se cambió nada"] {
            assert!(result.contains(words), "{result}");
        }
    }

    fn start_signed_by_nobody(&mut self) -> String {
        let folder = self.file("branchline");
        // What is in force is asked of a board that has no stick, for the stick acts at once.
        self.board.stick = None;
        self.board.start_for(false, "box");
        self.board.wait_for("started");
        let before = self.in_force();
        self.board.stop();
        self.start(&folder);
        before
    }

    /// Whoever pulls it out harms nothing.
    fn is_unmounted(&mut self) {
        assert_eq!(
            self.board.ask("grep -c sda /proc/mounts; ls -d /var/run/branchline-stick*").trim(),
            "0 ls: /var/run/branchline-stick*: No such file or directory"
        );
    }

    fn in_force(&mut self) -> String {
        self.board.ask("cd /etc/branchline/ && find . -type f -exec sha256sum {} + | sort && cd /")
    }
}

/// As sticks are sold: the first sector says that behind this mebibyte there is one partition, with a FAT file system of 16 MiB.
fn first_mebibyte() -> Vec<u8> {
    let mut disk = vec![0; 1 << 20];
    disk[446 + 4] = 0x0c;
    disk[446 + 8..446 + 12].copy_from_slice(&2048_u32.to_le_bytes());
    disk[446 + 12..446 + 16].copy_from_slice(&(2 * 16384_u32).to_le_bytes());
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}

/// It changes nothing, and not one byte of it changes.
fn a_stick_with_photographs(it: &mut Box) {
    println!("a stick with photographs");
    let photos = it.file("photos");
    fs::create_dir(&photos).unwrap();
    fs::write(photos.join("beach.jpg"), "sand").unwrap();
    it.start(&photos);
    let plugged_in = fs::read(it.file("stick.img")).unwrap();
    it.board.wait_for("branchline.toml");
    assert!(!it.board.console().contains("taken over"), "{}", it.board.console());
    assert!(it.board.ask("ls /data/etc").trim().is_empty());
    it.is_unmounted();
    it.board.stop();
    assert_eq!(it.on_stick("photos/beach.jpg").as_deref(), Some("sand"));
    assert!(fs::read(it.file("stick.img")).unwrap() == plugged_in, "it was written to");
}

fn a_stick_that_sets_the_box_up(it: &mut Box) {
    println!("a stick that sets the box up");
    it.start(&it.file("branchline"));
    it.board.wait_for("/sda1/branchline: taken over, for branch t-1");
    it.works();
    it.is_unmounted();
    let modes =
        it.board.ask("cd /etc/branchline/ && stat -c %a=%U=%n token branchline.toml conf.d/50-stick.toml && cd /");
    assert!(modes.contains("600=branchline=token 640=root=branchline.toml 640=root=conf.d/50-stick.toml"), "{modes}");
    it.board.stop();
    let result = it.on_stick("branchline/RESULT.txt").unwrap();
    for words in
        ["is now set up as branch t-1", "está configurada como filial t-1", "está configurada como sucursal t-1"]
    {
        assert!(result.contains(words), "{result}");
    }
    assert_eq!(it.on_stick("branchline/token"), None);
    let raw = fs::read(it.board.stick.as_ref().unwrap()).unwrap();
    assert!(!raw.windows(TOKEN.len()).any(|bytes| bytes == TOKEN.as_bytes()), "the token is on the stick still");
}

fn a_stick_that_nobody_signed(it: &mut Box) {
    println!("somebody's");
    it.put("conf.d/60-more.toml", "[mqtt]\nreceive_maximum = 100\n");
    it.refused("MANIFEST is missing");
}

fn the_first_three(parts: Parts) -> Box {
    let mut it = Box::new(parts);
    a_stick_with_photographs(&mut it);
    a_stick_that_sets_the_box_up(&mut it);
    a_stick_that_nobody_signed(&mut it);
    it
}

/// Three sticks, where the emulator is installed.
#[test]
fn a_box_is_set_up_by_a_stick_that_nobody_mounts() {
    match Parts::found(&NEEDED) {
        Err(missing) => println!("not run: {missing}; tests/stick --help says what it takes"),
        Ok(parts) => drop(the_first_three(parts)),
    }
}

#[test]
#[ignore = "takes minutes: tests/stick"]
fn a_box_is_set_up_by_a_stick() {
    let parts = Parts::found(&NEEDED).unwrap_or_else(|missing| panic!("{missing}: tests/stick"));
    let mut it = the_first_three(parts);

    println!("signed by somebody");
    it.sign("somebody");
    it.refused("MANIFEST.sig is not head office's signature of MANIFEST");

    println!("head office's, with a token that the platform refuses");
    it.put("token", "EAAG-of-somebody-else");
    it.sign("head-office");
    it.refused("token");
    assert_eq!(it.on_stick("branchline/token").as_deref(), Some("EAAG-of-somebody-else"));

    println!("head office's");
    it.put("token", TOKEN);
    it.sign("head-office");
    it.start(&it.file("branchline"));
    it.board.wait_for("/sda1/branchline: taken over, for branch t-1");
    it.works();
    assert!(it.board.ask("ls /etc/branchline/conf.d").contains("60-more.toml"));
    it.board.stop();
}
