//! A board whose power can be cut: QEMU's machine "virt" with Debian's kernel for 64-bit ARM, the static program, and a disk.
//!
//! The disk is what a power cut leaves of one: each life writes into a fresh overlay (qcow2) whose map QEMU keeps in its own
//! memory until the guest flushes. Killed, it leaves what was flushed; of what was written after the last flush it leaves what happened
//! to lie in clusters that were mapped before. A disk that lies about its flushes is not modelled.

use crate::house::House;
use serde_json::Value;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// From power-on to the program: 4 s on an idle machine.
const BOOT: Duration = Duration::from_secs(90);

/// What stands behind an answer on the console.
const END: &str = " is the answer";

/// What `tests/power-cut` prepares: kernel, modules, busybox; and the program.
pub struct Parts {
    emulator: PathBuf,
    program: PathBuf,
}

impl Parts {
    /// Or what is missing, with further tools.
    pub fn found(more: &[&str]) -> Result<Parts, String> {
        let target = Path::new("target/boards");
        let parts =
            Parts { emulator: target.join("emulator"), program: target.join("aarch64-unknown-linux-musl/branchline") };
        for tool in ["qemu-system-aarch64", "qemu-img", "mkfs.ext4", "debugfs", "e2fsck", "cpio"].iter().chain(more) {
            if !tool_path().split(':').any(|folder| Path::new(folder).join(tool).exists()) {
                return Err(format!("{tool} is not installed"));
            }
        }
        let missing = [parts.emulator.join("kernel"), parts.program.clone()].into_iter().find(|path| !path.exists());
        missing.map_or(Ok(parts), |path| Err(format!("{} is missing", path.display())))
    }
}

/// Between two cuts it has no power.
pub struct Board {
    folder: TempDir,
    parts: Parts,
    /// Lives so far.
    lives: u32,
    on: Option<On>,
    /// A disk behind USB.
    pub stick: Option<PathBuf>,
}

struct On {
    qemu: Child,
    keys: ChildStdin,
    console: PathBuf,
}

impl Board {
    /// With an empty disk, and the configuration of `house`, whose broker and API it reaches at the emulator's gateway.
    pub fn new(house: &House, parts: Parts) -> Board {
        Board::with(parts, DAEMON, |root| {
            fs::create_dir(root.join("branch")).unwrap();
            let text = house.configuration().replace("127.0.0.1", "localhost");
            let text = text.replace("path = \"outbox.db\"", "path = \"/data/outbox.db\"");
            fs::write(root.join("branch/branchline.toml"), text.replace("\"socket\"", "\"/run/socket\"")).unwrap();
            for name in ["api-ca.pem", "token", "templates.json"] {
                fs::copy(house.path().join(name), root.join("branch").join(name)).unwrap();
            }
        })
    }

    /// With an empty disk, what it does when it has power beyond `INIT`, and what `fill` puts into its memory disk.
    pub fn with(parts: Parts, then: &str, fill: impl FnOnce(&Path)) -> Board {
        let board = Board { folder: tempfile::tempdir().unwrap(), parts, lives: 0, on: None, stick: None };
        board.pack(then, fill);
        let disk = board.path("disk-0.raw");
        File::create(&disk).unwrap().set_len(64 << 20).unwrap();
        run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&disk));
        run(Command::new("qemu-img").args(["convert", "-O", "qcow2"]).args([&disk, &board.disk(0)]));
        board
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn disk(&self, life: u32) -> PathBuf {
        self.path(&format!("disk-{life}.qcow2"))
    }

    /// The memory disk that it starts from: the emulator's parts, the program, and what `fill` adds.
    fn pack(&self, then: &str, fill: impl FnOnce(&Path)) {
        let root = self.path("root");
        run(Command::new("cp").arg("-a").arg(self.parts.emulator.join("initramfs")).arg(&root));
        for folder in ["bin", "data", "dev", "etc", "proc", "run", "sys", "tmp"] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::copy(&self.parts.program, root.join("bin/branchline")).unwrap();
        fill(&root);
        fs::write(root.join("etc/hosts"), "10.0.2.2 localhost\n").unwrap();
        fs::write(root.join("init"), format!("{INIT}{then}")).unwrap();
        run(Command::new("chmod").arg("755").arg(root.join("init")));
        let names = run(Command::new("find").arg(".").current_dir(&root));
        let mut packing = Command::new("cpio")
            .args(["--create", "--format=newc", "--quiet", "--owner=0:0"])
            .current_dir(&root)
            .stdin(Stdio::piped())
            .stdout(File::create(self.path("initramfs")).unwrap())
            .spawn()
            .unwrap();
        packing.stdin.take().unwrap().write_all(&names).unwrap();
        assert!(packing.wait().unwrap().success(), "cpio");
    }

    /// Power on. Without a clock it wakes in 1970.
    pub fn start(&mut self, clock: bool) {
        self.start_for(clock, "branch");
    }

    /// As [`start`](Self::start), with another word for what it is to do: see `INIT`.
    pub fn start_for(&mut self, clock: bool, what: &str) {
        assert!(self.on.is_none(), "it is on");
        self.lives += 1;
        let (below, disk) = (self.disk(self.lives - 1), self.disk(self.lives));
        run(Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2", "-F", "qcow2", "-o", "cluster_size=4k", "-b"])
            .args([&below, &disk]));
        let console = self.path(&format!("console-{}", self.lives));
        let drive = format!("file={},if=none,format=qcow2,id=disk,cache=writeback", disk.display());
        let mut qemu = Command::new("qemu-system-aarch64")
            .args([
                "-M",
                "virt",
                "-cpu",
                "cortex-a53",
                "-m",
                "256",
                "-display",
                "none",
                "-monitor",
                "none",
                "-no-reboot",
            ])
            .args(["-serial", "stdio", "-rtc", if clock { "base=utc" } else { "base=1970-01-01" }])
            .args(["-append", &format!("console=ttyAMA0 quiet panic=1 for={what}")])
            .arg("-kernel")
            .arg(self.parts.emulator.join("kernel"))
            .arg("-initrd")
            .arg(self.path("initramfs"))
            .args(["-drive", &drive, "-device", "virtio-blk-pci,drive=disk"])
            .args(self.stick.iter().flat_map(|stick| {
                let drive = format!("file={},if=none,format=raw,id=stick", stick.display());
                ["-drive", &drive, "-device", "qemu-xhci", "-device", "usb-storage,drive=stick"].map(str::to_owned)
            }))
            .args(["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="])
            .stdin(Stdio::piped())
            .stdout(File::create(&console).unwrap())
            .stderr(File::create(self.path("qemu.log")).unwrap())
            .spawn()
            .unwrap();
        let keys = qemu.stdin.take().unwrap();
        self.on = Some(On { qemu, keys, console });
    }

    /// What it wrote to its console in this life.
    pub fn console(&self) -> String {
        let path = self.path(&format!("console-{}", self.lives));
        String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
    }

    /// Waits until the console shows `word`; panics with the console where it does not.
    pub fn wait_for(&mut self, word: &str) {
        self.wait_until(word, |console| console.contains(word));
    }

    fn wait_until(&mut self, word: &str, came: impl Fn(&str) -> bool) {
        let until = Instant::now() + BOOT;
        while !came(&self.console()) {
            let on = self.on.as_mut().expect("it is on");
            let ended = on.qemu.try_wait().unwrap();
            let shown = fs::read_to_string(&on.console).unwrap_or_default();
            let said = || fs::read_to_string(self.folder.path().join("qemu.log")).unwrap_or_default();
            assert!(ended.is_none(), "the emulator ended ({ended:?}) before {word:?}\n{shown}\n{}", said());
            assert!(Instant::now() < until, "{word:?} does not come within {BOOT:?}\n{shown}");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// The power is cut.
    pub fn cut(&mut self) {
        let mut on = self.on.take().expect("it is on");
        on.qemu.kill().unwrap();
        on.qemu.wait().unwrap();
    }

    /// `branchline status --json` on the board; null where it is not understood.
    pub fn status(&mut self) -> Value {
        let answer = self.ask("status");
        let begin = answer.find('{').unwrap_or_default();
        // While no daemon answers yet there is none to be read.
        serde_json::from_str(&answer[begin..]).unwrap_or_default()
    }

    /// Types a line, and returns what stands on the console in the line of its answer's end.
    pub fn ask(&mut self, line: &str) -> String {
        let before = self.console().matches(END).count();
        self.type_line(line);
        self.wait_until("its answer", |console| console.matches(END).count() > before);
        let console = self.console();
        let answer = console.lines().rev().find_map(|line| line.trim_end().strip_suffix(END));
        answer.unwrap_or_default().to_owned()
    }

    fn type_line(&mut self, line: &str) {
        let keys = &mut self.on.as_mut().expect("it is on").keys;
        keys.write_all(format!("{line}\n").as_bytes()).unwrap();
        keys.flush().unwrap();
    }

    /// The daemon is told to stop, the disk is taken out in order, and the power goes.
    pub fn stop(&mut self) -> ExitStatus {
        self.type_line("stop");
        self.wait_for("the daemon ended with 0");
        let mut on = self.on.take().expect("it is on");
        let until = Instant::now() + BOOT;
        loop {
            if let Some(status) = on.qemu.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < until, "it does not turn itself off\n{}", self.console());
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// Copies files from the disk's root to `folder`, those that are there.
    pub fn take_out(&self, names: &[&str], folder: &Path) {
        let disk = self.path("disk-out.raw");
        run(Command::new("qemu-img").args(["convert", "-O", "raw"]).args([&self.disk(self.lives), &disk]));
        run(Command::new("e2fsck").args(["-fn"]).arg(&disk));
        for name in names {
            let command = format!("dump /{name} {}", folder.join(name).display());
            run(Command::new("debugfs").args(["-R", &command]).arg(&disk));
        }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        if let Some(mut on) = self.on.take() {
            on.qemu.kill().ok();
            on.qemu.wait().ok();
        }
        if std::thread::panicking() {
            let console = self.console();
            let lines: Vec<&str> = console.lines().filter(|line| !line.contains(END)).collect();
            println!("life {}:\n{}", self.lives, lines[lines.len().saturating_sub(60)..].join("\n"));
        }
    }
}

/// Debian keeps some tools where only root looks.
fn tool_path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

/// Runs a tool that must succeed: what it wrote.
pub fn run(command: &mut Command) -> Vec<u8> {
    let output = command.env("PATH", tool_path()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What every board does when it has power: modules in their order, network.
const INIT: &str = r#"#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sys /sys
$b mount -t devtmpfs dev /dev
while read -r module; do $b insmod "/modules/$module"; done < /modules/order
$b ip link set lo up
$b ip link set eth0 up
$b ip addr add 10.0.2.15/24 dev eth0
$b ip route add default via 10.0.2.2
read -r words < /proc/cmdline
"#;

/// Then: what shows that the disk forgets, disk, the daemon, and a clean end when it is told.
const DAEMON: &str = r#"
case "$words" in
*for=write*)
    echo this was flushed | $b dd of=/dev/vda bs=4096 seek=8000 conv=sync,fsync status=none
    echo this was written | $b dd of=/dev/vda bs=4096 seek=9000 conv=sync oflag=direct status=none
    echo "both are on their way"
    ;;
*for=read*)
    $b dd if=/dev/vda bs=4096 skip=8000 count=1 status=none | $b strings
    $b dd if=/dev/vda bs=4096 skip=9000 count=1 status=none | $b strings
    echo "both were read"
    ;;
esac
$b mount -t ext4 /dev/vda /data || echo "the disk cannot be mounted"
echo "the board is up"
/bin/branchline run --config /branch/branchline.toml --log text 2>&1 &
daemon=$!
while read -r word && [ "$word" = status ]; do
    /bin/branchline status --json --config /branch/branchline.toml | $b tr -d '\n'
    echo " is the answer"
done
kill -TERM $daemon
wait $daemon
ended=$?
$b umount /data
echo "the daemon ended with $ended"
$b poweroff -f
"#;
