//! The boards are files of facts: each says what it must, nothing else, and what is built and packaged agrees with them.
#![allow(clippy::unwrap_used)]

#[path = "boards/install.rs"]
mod install;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use toml::{Table, Value};

/// What a box can say with its lights, as `boards/generic.toml` lists it.
const STATES: [&str; 8] =
    ["number-stopped", "no-uplink", "no-broker", "clock-unsynced", "backlog", "healthy", "stick-read", "stick-refused"];

/// The targets of the issue, in the words of the compiler.
const TARGETS: [&str; 4] = [
    "aarch64-unknown-linux-musl",
    "arm-unknown-linux-musleabihf",
    "armv7-unknown-linux-musleabihf",
    "x86_64-unknown-linux-musl",
];

/// Every board by its name, as written.
fn written() -> BTreeMap<String, Table> {
    let files = fs::read_dir("boards").unwrap().map(|entry| entry.unwrap().path());
    let boards = files.filter(|path| path.extension().is_some_and(|ending| ending == "toml"));
    let read = |path: &std::path::Path| fs::read_to_string(path).unwrap().parse().unwrap();
    boards.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), read(&path))).collect()
}

fn facts(board: &Table) -> &Table {
    board["board"].as_table().unwrap()
}

fn merge(below: &mut Table, above: &Table) {
    for (key, value) in above {
        match (below.get_mut(key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => merge(below, above),
            _ => drop(below.insert(key.clone(), value.clone())),
        }
    }
}

/// Every board with what it inherits.
fn whole() -> BTreeMap<String, Table> {
    let written = written();
    let resolved = written.iter().map(|(name, own)| {
        let mut board = match facts(own).get("inherit") {
            Some(from) => written[from.as_str().unwrap()].clone(),
            None => Table::new(),
        };
        merge(&mut board, own);
        (name.clone(), board)
    });
    resolved.collect()
}

/// What is wrong with `board`, as a person would tell it.
fn wrong(name: &str, board: &Table, generic: &Table) -> Vec<String> {
    let mut wrong = Vec::new();
    let board = facts(board);
    same_keys(name, board, facts(generic), &mut wrong);
    let target = board.get("target").and_then(Value::as_str).unwrap_or_default();
    if !TARGETS.contains(&target) {
        wrong.push(format!("{name}: {target:?} is none of the targets"));
    }
    for (state, lights) in board.get("leds").and_then(Value::as_table).into_iter().flatten() {
        if !STATES.contains(&state.as_str()) {
            wrong.push(format!("{name}: no state is called {state:?}"));
        }
        for (led, light) in lights.as_table().into_iter().flatten() {
            let light = light.as_str().unwrap_or_default();
            let blinks = light.split_once('/').is_some_and(|(on, off)| {
                [on, off].into_iter().all(|part| part.parse::<u16>().is_ok_and(|milliseconds| milliseconds > 0))
            });
            if !blinks && !["on", "off"].contains(&light) {
                wrong.push(format!(
                    "{name}: {state} makes {led} {light:?}: \"on\", \"off\" or \"ON/OFF\" in milliseconds"
                ));
            }
        }
    }
    wrong
}

/// `board` has every key of `like` and no other, with values of the same kind; `[board.leds]` holds states, not keys.
fn same_keys(name: &str, board: &Table, like: &Table, wrong: &mut Vec<String>) {
    for key in like.keys().filter(|key| !board.contains_key(*key)) {
        wrong.push(format!("{name}: {key} is missing"));
    }
    for (key, value) in board {
        match (like.get(key), value) {
            (None, _) if key == "inherit" => {}
            (None, _) => wrong.push(format!("{name}: {key} is no fact of boards/generic.toml")),
            (Some(Value::Table(_)), Value::Table(_)) if key == "leds" => {}
            (Some(Value::Table(like)), Value::Table(table)) => same_keys(name, table, like, wrong),
            (Some(like), value) if like.type_str() != value.type_str() => {
                wrong.push(format!("{name}: {key} is a {}, here a {}", like.type_str(), value.type_str()));
            }
            _ => {}
        }
    }
}

#[test]
fn every_board_says_what_it_must_and_nothing_else() {
    let boards = whole();
    let generic = &boards["generic"];
    let wrong: Vec<_> = boards.iter().flat_map(|(name, board)| wrong(name, board, generic)).collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
    for asked in [
        "raspberrypi-zero",
        "raspberrypi-4",
        "beaglebone-black",
        "armv7-gateway",
        "aarch64-gateway",
        "openwrt-router",
        "qemu-virt",
    ] {
        assert!(boards.contains_key(asked), "{asked}");
    }
}

#[test]
fn a_spoiled_board_is_found() {
    let boards = whole();
    let spoiled = |change: &str| {
        let mut board = boards["raspberrypi-zero"].clone();
        merge(&mut board, &change.parse().unwrap());
        wrong("x", &board, &boards["generic"]).join("\n")
    };
    assert_eq!(spoiled(""), "");
    assert!(spoiled("board.watchdgo = 1").contains("watchdgo is no fact"));
    assert!(spoiled("board.target = 'sparc'").contains("none of the targets"));
    assert!(spoiled("board.memory = 512").contains("memory is a string, here a integer"));
    assert!(spoiled("board.leds.haelthy = { ACT = 'on' }").contains("no state is called"));
    assert!(spoiled("board.leds.healthy = { ACT = '100/0' }").contains("milliseconds"));
}

#[test]
fn a_board_inherits_one_level_deep() {
    let boards = written();
    for (name, board) in &boards {
        let from = facts(board).get("inherit").map(|from| from.as_str().unwrap());
        assert_eq!(from.is_none(), name == "generic", "{name} inherits");
        let further = from.and_then(|from| facts(&boards[from]).get("inherit"));
        assert!(further.is_none(), "{name} inherits from a board that inherits");
    }
}

/// Two kinds of board that are recognised by the same word would be chosen by chance.
#[test]
fn a_board_is_recognised_by_its_own_words() {
    let mut seen = BTreeMap::new();
    for (name, board) in whole() {
        for word in facts(&board)["compatible"].as_array().unwrap() {
            let word = word.as_str().unwrap().to_owned();
            let before = seen.insert(word.clone(), name.clone());
            assert_eq!(before, None, "{word} is {name} too");
        }
    }
    assert!(seen.len() >= 4);
}

#[test]
fn cross_builds_what_the_boards_need() {
    let cross: Table = fs::read_to_string("cross.toml").unwrap().parse().unwrap();
    let there: BTreeSet<_> = cross["target"].as_table().unwrap().keys().cloned().collect();
    let boards = whole();
    let needed: BTreeSet<_> =
        boards.values().map(|board| facts(board)["target"].as_str().unwrap().to_owned()).collect();
    assert_eq!(there, needed, "cross.toml and boards/*.toml name other targets");
    assert_eq!(there, TARGETS.map(str::to_owned).into());
}

/// Building takes minutes and has a command of its own; that it would build the right things does not.
#[test]
fn each_board_is_built_for_its_target_and_nothing_else_is_built_or_packaged() {
    let listed = |name: &str| {
        let output = Command::new("boards/build").args(["--list", name]).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    for (name, board) in whole() {
        assert_eq!(listed(&name), (Some(0), format!("{}\n", facts(&board)["target"].as_str().unwrap())), "{name}");
    }
    let all = listed("all").1;
    assert_eq!(all.lines().collect::<BTreeSet<_>>(), TARGETS.into());
    assert_eq!(listed("sparc-unknown-linux-musl"), (Some(64), String::new()));
    for script in ["boards/build", "boards/package", "boards/install.sh", "tests/arm", "tests/packages"] {
        let text = fs::read_to_string(script).unwrap();
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "-_".contains(c)));
        let named: BTreeSet<_> = words.filter(|word| word.contains("-linux-musl") && !word.starts_with('-')).collect();
        let unknown: Vec<_> = named.iter().filter(|target| !TARGETS.contains(target)).collect();
        assert!(!named.is_empty() && unknown.is_empty(), "{script} names {unknown:?}, which no board has");
        assert!(script != "boards/install.sh" || named == TARGETS.into(), "{script} leaves out a target: {named:?}");
    }
}

/// `systemd-analyze security` of what is shipped, where the tool is: 0 is no way out, 10 none shut. tests/packages asks it too, in a
/// Debian of its own.
#[test]
fn the_services_are_hardened() {
    for unit in ["boards/branchline.service", "boards/branchline-forward.service"] {
        let asked =
            Command::new("systemd-analyze").args(["security", "--offline=true", "--threshold=20", unit]).output();
        match asked {
            Ok(said) => assert!(said.status.success(), "{unit}: {}", String::from_utf8_lossy(&said.stdout)),
            Err(error) => println!("not asked: systemd-analyze: {error}"),
        }
    }
}

/// Found by reading: a board that inherits from itself was followed without end, one shell in the other.
#[test]
fn a_board_says_what_it_has_or_inherits_one_level_deep() {
    let root = tempfile::tempdir().unwrap();
    let own = root.path().join("etc/branchline/boards");
    fs::create_dir_all(&own).unwrap();
    fs::write(own.join("raspberrypi-4.toml"), "inherit = \"raspberrypi-4\"\n").unwrap();
    fs::write(own.join("mine.toml"), "inherit = \"raspberrypi-zero\"\n").unwrap();
    fs::write(own.join("other.toml"), "  device=\"/dev/watchdog\"\n").unwrap();
    for (board, device) in [("raspberrypi-4", ""), ("mine", "/dev/watchdog0"), ("other", "/dev/watchdog"), ("none", "")]
    {
        let set = [("BRANCHLINE_ROOT", root.path()), ("BRANCHLINE_BOARDS", Path::new("boards"))];
        let output = sh("boards/board", &["watchdog", board], &set);
        assert_eq!(
            (output.status.code(), String::from_utf8(output.stdout).unwrap().trim()),
            (Some(0), device),
            "{board}"
        );
    }
}

/// Found on a whole Debian (tests/box): PrivateDevices= shuts disks for the whole control group, and no stick could be mounted.
#[test]
fn what_mounts_a_stick_for_the_service_may_open_disks() {
    let unit = fs::read_to_string("boards/branchline.service").unwrap();
    assert!(unit.contains("trial stick\n") && unit.contains("\nPrivateDevices=yes\n"));
    assert!(unit.contains("\nDeviceAllow=block-* rw\n"), "{unit}");
}

/// Found by reading: Debian 11's systemd ends a service for which a secret of its unit is not there, and none is there on a new box.
#[test]
fn a_systemd_that_misses_secrets_is_given_none() {
    for (version, taken_out) in [("systemd 247 (247.3-7+deb11u5)", true), ("systemd 252 (252.39-1~deb12u1)", false)] {
        let root = tempfile::tempdir().unwrap();
        let bin = root.path().join("bin");
        fs::create_dir(&bin).unwrap();
        fs::write(bin.join("systemctl"), format!("#!/bin/sh\necho '{version}'\necho +PAM\n")).unwrap();
        fs::set_permissions(bin.join("systemctl"), fs::Permissions::from_mode(0o755)).unwrap();
        let path = PathBuf::from(format!("{}:{}", bin.display(), std::env::var("PATH").unwrap()));
        let output = sh("boards/board", &["secrets"], &[("BRANCHLINE_ROOT", root.path()), ("PATH", &path)]);
        assert!(output.status.success(), "{output:?}");
        for unit in ["branchline", "branchline-forward"] {
            assert!(fs::read_to_string(format!("boards/{unit}.service")).unwrap().contains("\nLoadCredential="));
            let drop_in = root.path().join(format!("etc/systemd/system/{unit}.service.d/no-secrets.conf"));
            let written = fs::read_to_string(drop_in).ok();
            assert_eq!(
                written.is_some_and(|text| text.ends_with("[Service]\nLoadCredential=\n")),
                taken_out,
                "{version}"
            );
        }
    }
}

/// Found by reading: a firmware upgrade of OpenWrt keeps what it is told of, and all of Branchline was gone, who said STOP too.
#[test]
fn what_is_installed_on_openwrt_is_kept_by_its_upgrades() {
    let keep = fs::read_to_string("boards/openwrt/branchline.keep").unwrap();
    let keep: Vec<&str> = keep.lines().collect();
    let script = fs::read_to_string("boards/install.sh").unwrap();
    let places = script.lines().filter(|line| line.contains("put 755") || line.contains("put 644"));
    let places: Vec<&str> = places
        .filter_map(|line| {
            line.rsplit(' ').map(|word| word.trim_matches(['"', ';'])).find(|word| word.starts_with('/'))
        })
        .filter(|place| !place.contains("/systemd/") && !place.contains("/udev/"))
        .collect();
    assert!(places.len() >= 5, "{places:?}");
    let init = fs::read_to_string("boards/openwrt/branchline.init").unwrap();
    let links = [("START=", 'S'), ("STOP=", 'K')].map(|(word, letter)| {
        let number = init.lines().find_map(|line| line.strip_prefix(word)).unwrap();
        format!("/etc/rc.d/{letter}{number}branchline")
    });
    let router = fs::read_to_string("boards/openwrt-router.toml").unwrap();
    let store = router.lines().find_map(|line| line.strip_prefix("path = \"")).unwrap();
    let besides = ["/etc/branchline", "/etc/default/branchline", "/srv/branchline-upgrade"];
    for place in places.into_iter().chain(links.iter().map(String::as_str)).chain(besides).chain([store]) {
        let kept = keep
            .iter()
            .any(|kept| place.strip_prefix(kept).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')));
        assert!(kept, "{place} is not in boards/openwrt/branchline.keep");
    }
}

fn sh(script: &str, arguments: &[&str], set: &[(&str, &Path)]) -> Output {
    Command::new("sh").arg(script).args(arguments).envs(set.iter().copied()).output().unwrap()
}

/// A box whose programs are words in a file.
struct Trial {
    root: tempfile::TempDir,
}

impl Trial {
    /// The program there says "old".
    fn new() -> Trial {
        let trial = Trial { root: tempfile::tempdir().unwrap() };
        for folder in ["dev", "usr/bin", "sys/class/block", "proc/self"] {
            fs::create_dir_all(trial.at(folder)).unwrap();
        }
        fs::write(trial.at("proc/uptime"), "100.00 99.00\n").unwrap();
        trial.write("old");
        trial
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    /// As packages do it: under another name first.
    fn write(&self, text: &str) {
        let new = self.at("usr/bin/branchline.dpkg-new");
        fs::write(&new, text).unwrap();
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(new, self.at("usr/bin/branchline")).unwrap();
    }

    fn program(&self) -> String {
        fs::read_to_string(self.at("usr/bin/branchline")).unwrap()
    }

    fn kept(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.at("var/lib/branchline-upgrade").join(name)).ok()
    }

    fn run(&self, word: &str) {
        let output = sh("boards/trial", &[word], &[("BRANCHLINE_ROOT", self.root.path())]);
        assert!(output.status.success(), "{word}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// With commands that are not the system's.
    fn run_with(&self, word: &str, commands: &[(&str, &str)], set: &[(&str, &str)]) -> Output {
        let output = self.command(word, commands).envs(set.iter().copied()).output().unwrap();
        fs::remove_dir_all(self.at("bin")).unwrap();
        output
    }

    fn command(&self, word: &str, commands: &[(&str, &str)]) -> Command {
        let bin = self.at("bin");
        fs::create_dir_all(&bin).unwrap();
        for (name, text) in commands {
            fs::write(bin.join(name), format!("#!/bin/sh\n{text}\n")).unwrap();
            fs::set_permissions(bin.join(name), fs::Permissions::from_mode(0o755)).unwrap();
        }
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("sh");
        command.arg("boards/trial").args(word.split(' ')).env("PATH", path).env("BRANCHLINE_ROOT", self.root.path());
        command
    }

    /// The kernel has found a disk, or a partition of one that it has.
    fn found(&self, path: &str, number: &str) {
        let (folder, name) = (self.at("sys/devices").join(path), Path::new(path).file_name().unwrap());
        fs::create_dir_all(folder.join("holders")).unwrap();
        let kind = if folder.parent().unwrap().join("dev").exists() { ("partition", "1") } else { ("removable", "0") };
        for (file, text) in [("dev", number), kind] {
            fs::write(folder.join(file), format!("{text}\n")).unwrap();
        }
        std::os::unix::fs::symlink(&folder, self.at("sys/class/block").join(name)).unwrap();
        fs::write(self.at("dev").join(name), "").unwrap();
    }

    /// `boards/trial stick` of a box on which sticks of these names hold what is ours, and sdx and sdx1 no FAT; `more` are further
    /// commands. It notes what it is asked for, and a second goes by for each tenth that it waits.
    fn stick(&self, ours: &str, more: &[(&str, &str)]) -> Command {
        let root = self.root.path().display();
        let note = format!("| sed 's#{root}[^ ]*/##g' >>{root}/calls");
        let mount = format!(
            "echo \"mount $*\" {note}
            for at; do :; done
            case $2-${{at##*/}} in *-sdx*) exit 32 ;; vfat-sde1) exit 32 ;; esac
            case ' {ours} ' in *\" ${{at##*/}} \"*) mkdir -p $at/branchline && : >$at/branchline/branchline.toml ;; esac"
        );
        let umount = format!("echo \"umount $*\" {note}\nfor at; do :; done\nrm -rf $at/*");
        let program =
            format!("echo branchline $* beside $(ls {root}/var/run/branchline-stick.* 2>/dev/null) {note}\nexit 1");
        // Renamed into place, for others read it meanwhile; and it waits, so that what runs meanwhile is not overtaken on a busy machine.
        let clock = format!(
            "/bin/sleep 0.05
            read -r now rest <{root}/proc/uptime
            echo $((${{now%.*}} + 1)).0 $rest >{root}/proc/uptime.new && mv {root}/proc/uptime.new {root}/proc/uptime"
        );
        self.write(&format!("#!/bin/sh\n{program}\n"));
        let commands =
            [("id", "echo 0"), ("mount", &*mount), ("umount", &*umount), ("udevadm", "exit 0"), ("sleep", &*clock)];
        self.command("stick", &[&commands, more].concat())
    }

    /// Seconds.
    fn uptime(&self) -> u32 {
        fs::read_to_string(self.at("proc/uptime")).unwrap().split('.').next().unwrap().parse().unwrap()
    }

    fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.at("calls")).unwrap_or_default();
        fs::remove_file(self.at("calls")).ok();
        calls.lines().map(str::to_owned).collect()
    }
}

#[test]
fn the_old_program_comes_back_after_three_starts_in_vain() {
    let trial = Trial::new();
    // No trial: starts are not counted.
    (0..5).for_each(|_| trial.run("starting"));
    trial.run("keep");
    trial.write("new");
    trial.run("begin");
    (0..3).for_each(|_| trial.run("starting"));
    assert_eq!(trial.program(), "new");
    trial.run("starting");
    assert_eq!(trial.program(), "old");
    assert_eq!(trial.kept("failed").as_deref(), Some("new"));
    // One that has started is not sent back, however often it starts.
    trial.write("new");
    trial.run("begin");
    trial.run("starting");
    trial.run("started");
    (0..5).for_each(|_| trial.run("starting"));
    assert_eq!(trial.program(), "new");
}

/// Found by reading: where a new version brought the store forward and then failed, the old one came back, which refuses that store for
/// ever.
#[test]
fn an_old_program_that_refuses_the_store_does_not_come_back() {
    // 74: it could not try, on a full disk.
    for (code, stays) in [(1, true), (74, false), (0, false)] {
        let trial = Trial::new();
        fs::create_dir_all(trial.at("etc/branchline")).unwrap();
        fs::write(trial.at("etc/branchline/branchline.toml"), "").unwrap();
        let old = format!("#!/bin/sh\n[ \"$2\" = --help ] || exit {code}\n");
        trial.write(&old);
        trial.run("keep");
        trial.write("new");
        trial.run("begin");
        let user = [("setpriv", "shift 3; exec \"$@\"")];
        (0..4).for_each(|_| assert!(trial.run_with("starting", &user, &[]).status.success()));
        assert_eq!(trial.program() == "new", stays, "{code}");
        // Either way the trial is over: the store is not copied again at each start.
        assert_eq!(trial.kept("starts"), None);
        assert!(trial.kept("branchline").is_some());
    }
}

/// Found by reading: the board that the package had recognised was the service's alone.
#[test]
fn a_command_as_the_daemon_has_the_board_of_its_service() {
    let trial = Trial::new();
    let drop_in = trial.at("etc/systemd/system/branchline.service.d/board.conf");
    let board = |trial: &Trial| {
        let output = trial.run_with("as printenv BRANCHLINE_BOARD", &[("setpriv", "shift 3; exec \"$@\"")], &[]);
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(board(&trial), "");
    fs::create_dir_all(drop_in.parent().unwrap()).unwrap();
    fs::write(&drop_in, "[Service]\nMemoryMax=96M\n").unwrap();
    assert_eq!(board(&trial), "");
    fs::write(&drop_in, "[Service]\nEnvironment=BRANCHLINE_BOARD=raspberrypi-4\n").unwrap();
    assert_eq!(board(&trial), "raspberrypi-4");
    fs::create_dir_all(trial.at("etc/default")).unwrap();
    fs::write(trial.at("etc/default/branchline"), "BRANCHLINE_BOARD=mine\n").unwrap();
    assert_eq!(board(&trial), "mine", "somebody says otherwise");
}

/// The second kept the first, which had proved nothing, and the good one was lost.
#[test]
fn two_bad_upgrades_in_a_row_lose_no_good_program() {
    let trial = Trial::new();
    for bad in ["bad", "worse"] {
        trial.run("keep");
        trial.write(bad);
        trial.run("begin");
        trial.run("starting");
    }
    (0..3).for_each(|_| trial.run("starting"));
    assert_eq!(trial.program(), "old");
    // One that has started is good.
    trial.run("keep");
    trial.write("newer");
    trial.run("begin");
    trial.run("started");
    trial.run("keep");
    assert_eq!(trial.kept("branchline").as_deref(), Some("newer"));
}

#[test]
fn a_program_that_a_power_cut_left_unjudged_is_on_trial() {
    let trial = Trial::new();
    trial.run("keep");
    trial.write("half an upgrade");
    (0..4).for_each(|_| trial.run("starting"));
    assert_eq!(trial.program(), "old");
}

#[test]
fn going_back_is_whole_or_begins_again() {
    let trial = Trial::new();
    trial.run("keep");
    trial.write("new");
    trial.run("begin");
    (0..3).for_each(|_| trial.run("starting"));
    // The old program cannot be put into place: the next start tries again.
    let output = trial.run_with("starting", &[("mv", "exit 1")], &[]);
    assert!(!output.status.success());
    assert_eq!((trial.program().as_str(), trial.kept("starts").as_deref()), ("new", Some("3\n")));
    // Full flash: a copy has no room, and there is nowhere to put the failed one.
    let full =
        [("cp", "printf half >\"$3\"; exit 1"), ("mv", "case \"$3\" in */failed) exit 1 ;; esac\nexec /bin/mv \"$@\"")];
    let output = trial.run_with("starting", &full, &[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(trial.program(), "old");
    assert_eq!((trial.kept("starts"), trial.kept("failed")), (None, None));
    let left = fs::read_dir(trial.at("usr/bin")).unwrap().count();
    assert_eq!(left, 1, "nothing half lies beside it");

    // The power went after the old program was back: the failed one stays what it was.
    trial.write("new");
    trial.run("begin");
    trial.run("back");
    fs::write(trial.at("var/lib/branchline-upgrade/starts"), "3\n").unwrap();
    trial.run("starting");
    assert_eq!((trial.program().as_str(), trial.kept("failed").as_deref()), ("old", Some("new")));
    assert_eq!(trial.kept("starts"), None);
}

/// It refused what only the service has: systemd starts it no second time, and so it never came to the fourth.
#[test]
fn a_new_program_that_refuses_its_configuration_is_sent_back_at_once() {
    let trial = Trial::new();
    let systemctl = format!("echo \"$@\" >>{}", trial.at("asked").display());
    let failed = |status: &str| {
        let output = trial.run_with("failed", &[("systemctl", &systemctl)], &[("EXIT_STATUS", status)]);
        assert!(output.status.success(), "{status}: {}", String::from_utf8_lossy(&output.stderr));
        fs::read_to_string(trial.at("asked")).unwrap_or_default()
    };
    assert_eq!(failed("78"), "", "it is not on trial: a person mends its configuration");
    trial.run("keep");
    trial.write("new");
    trial.run("begin");
    for status in ["0", "70", "KILL"] {
        assert_eq!(failed(status), "", "{status} is started again");
        assert_eq!(trial.program(), "new");
    }
    for status in ["64", "78"] {
        trial.write("new");
        trial.run("begin");
        assert!(failed(status).ends_with("--no-block restart branchline.service\n"));
        assert_eq!((trial.program().as_str(), trial.kept("failed").as_deref()), ("old", Some("new")));
    }
    assert_eq!(failed("78").lines().count(), 2, "the old one refuses it too: that is for a person");
}

/// They belonged to root where no udev gives them to the daemon: no light, and no watchdog.
#[test]
fn without_udev_lights_and_watchdog_are_given_to_the_daemon() {
    let trial = Trial::new();
    let light = trial.at("sys/class/leds/green:status");
    fs::create_dir_all(&light).unwrap();
    let files =
        [light.join("brightness"), light.join("trigger"), trial.at("dev/watchdog"), light.join("max_brightness")];
    for file in &files {
        fs::write(file, "").unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
    }
    let given = format!("echo \"$@\" >>{}", trial.at("given").display());
    // As root, whoever runs the test; and nothing runs on when it ends.
    let commands =
        [("id", "echo 0"), ("chgrp", &*given), ("chown", "exit 0"), ("setpriv", "exit 0"), ("sleep", "exit 1")];
    let modes = || files.each_ref().map(|file| fs::metadata(file).unwrap().permissions().mode() & 0o777);
    assert!(trial.run_with("run", &commands, &[("BRANCHLINE_BOARD", "")]).status.success());
    assert_eq!(modes(), [0o600; 4], "it is no board that has any");
    assert!(trial.run_with("run", &commands, &[("BRANCHLINE_BOARD", "openwrt-router")]).status.success());
    assert_eq!(modes(), [0o660, 0o660, 0o660, 0o600]);
    let given = fs::read_to_string(trial.at("given")).unwrap();
    let group: Vec<_> = given.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(group, ["branchline"; 3]);
}

/// Found by reading: a daemon that crashed left the watchdog armed, and a stick that was refused again took longer than it waits.
#[test]
fn an_armed_watchdog_is_petted_for_the_daemon_while_a_stick_is_read() {
    let trial = Trial::new();
    let (dog, state) = (trial.at("dev/watchdog0"), trial.at("sys/class/watchdog/watchdog0/state"));
    fs::create_dir_all(state.parent().unwrap()).unwrap();
    let open = trial.at("open");
    // A stick that takes a while, and may hang: it must not have the device.
    let refuses = format!(
        "#!/bin/sh\n[ $1 = stick ] || exit 0\nls -l /proc/self/fd >{}\ni=0\nwhile [ $i -lt 5 ]; do i=$((i + 1)); sleep 0.1; done\nexit 1\n",
        open.display()
    );
    trial.write(&refuses);
    let sleep = "[ $1 != 60 ] || exit 1\nexec /bin/sleep $1";
    let commands =
        [("id", "echo 0"), ("chgrp", "exit 0"), ("chown", "exit 0"), ("setpriv", "exit 0"), ("sleep", sleep)];
    let petted = |board: &str, says: &str| {
        fs::write(&dog, "").unwrap();
        fs::write(&state, says).unwrap();
        let output = trial.run_with("run", &commands, &[("BRANCHLINE_BOARD", board), ("BRANCHLINE_BOARDS", "boards")]);
        assert!(output.status.success(), "{output:?}");
        let held = fs::read_to_string(&open).unwrap();
        assert!(!held.contains("watchdog0"), "{held}");
        fs::read_to_string(&dog).unwrap()
    };
    let seen = petted("raspberrypi-4", "active\n");
    assert!(seen.len() >= 3 && seen.chars().all(|byte| byte == '.'), "petted, and armed for the daemon: {seen:?}");
    assert_eq!(petted("raspberrypi-4", "inactive\n"), "", "it would be armed by that");
    assert_eq!(petted("qemu-virt", "active\n"), "", "no daemon would pet it");
    assert_eq!(petted("", "active\n"), "");

    // Stopped by a person meanwhile: nobody will pet it.
    let fifo = trial.at("begun");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    trial.write(&format!("#!/bin/sh\necho begun >{0}\nread -r never <{0}\n", fifo.display()));
    fs::write(&state, "active\n").unwrap();
    let mut command = trial.command("run", &commands);
    let mut shell =
        command.envs([("BRANCHLINE_BOARD", "raspberrypi-4"), ("BRANCHLINE_BOARDS", "boards")]).spawn().unwrap();
    assert_eq!(fs::read_to_string(&fifo).unwrap(), "begun\n");
    assert!(Command::new("kill").arg(shell.id().to_string()).status().unwrap().success());
    assert_eq!(shell.wait().unwrap().code(), Some(143));
    let seen = fs::read_to_string(&dog).unwrap();
    assert!(seen.ends_with('V'), "{seen}");
}

const USB: &str = "pci0000:00/usb1/1-1/1-1:1.0/host0/target0:0:0/0:0:0:0/block";

/// Nothing mounts a stick on a box without a desktop: it was plugged in, and nobody looked at it.
#[test]
fn a_stick_that_nobody_mounted_is_mounted_while_it_is_read() {
    let trial = Trial::new();
    trial.found(&format!("{USB}/sda"), "8:0");
    trial.found(&format!("{USB}/sda/sda1"), "8:1");
    trial.found(&format!("{USB}/sda/sda2"), "8:2");
    let output = trial.stick("sda2", &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "as branchline ended: {output:?}");
    let calls = [
        "mount -t vfat -o ro,nosuid,nodev,noexec sda1 sda1",
        "umount sda1",
        "mount -t vfat -o ro,nosuid,nodev,noexec sda2 sda2",
        "mount -o remount,rw,nosuid,nodev,noexec sda2 sda2",
        "branchline stick beside sda2",
        "umount sda2",
    ];
    assert_eq!(trial.calls(), calls, "{output:?}");
    assert_eq!(fs::read_dir(trial.at("var/run")).unwrap().count(), 0);
    assert!(output.stderr.is_empty(), "{output:?}");

    // One that cannot be written to is read all the same.
    let locked = "case $* in *remount*) exit 32 ;; esac; for at; do :; done; mkdir $at/branchline; : >$at/branchline/branchline.toml";
    let output = trial.stick("", &[("mount", locked)]).output().unwrap();
    assert!(trial.calls().contains(&"branchline stick beside sda1 sda2".to_owned()), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("sda1 can only be read"), "{output:?}");
}

/// The kernel waits a second before it makes a disk of a stick, and a small box has started by then.
#[test]
fn a_stick_that_is_no_disk_yet_is_waited_for() {
    let trial = Trial::new();
    trial.found(&format!("{USB}/sda"), "8:0");
    let interface = trial.at("sys/devices/pci0000:00/usb1/1-1/1-1:1.0");
    fs::create_dir(interface.join("driver")).unwrap();
    fs::write(interface.join("bInterfaceClass"), "08\n").unwrap();
    fs::create_dir_all(trial.at("sys/bus/usb/devices")).unwrap();
    std::os::unix::fs::symlink(&interface, trial.at("sys/bus/usb/devices/1-1:1.0")).unwrap();
    fs::rename(interface.join("host0"), trial.at("host0")).unwrap();
    let appears = format!("mv {} {}", trial.at("host0").display(), interface.display());
    trial.stick("sda", &[("sleep", &appears)]).output().unwrap();
    assert!(trial.calls().contains(&"branchline stick beside sda".to_owned()));

    // A modem shows a CD with its drivers, and no disk comes of it.
    fs::remove_dir_all(interface.join("host0/target0:0:0/0:0:0:0/block")).unwrap();
    fs::remove_file(trial.at("sys/class/block/sda")).unwrap();
    fs::write(interface.join("host0/target0:0:0/0:0:0:0/type"), "5\n").unwrap();
    let before = trial.uptime();
    // What runs afterwards takes seconds of its own.
    let (uptime, then) = (trial.at("proc/uptime"), trial.at("then"));
    let looks = format!("cp {} {}", uptime.display(), then.display());
    trial.stick("", &[("udevadm", &looks)]).output().unwrap();
    fs::rename(then, uptime).unwrap();
    assert!(trial.uptime() - before < 5, "it was waited for");
}

#[test]
fn only_what_was_plugged_in_and_nobody_uses_is_mounted() {
    let trial = Trial::new();
    for (path, number) in [
        ("platform/mmc/block/mmcblk0", "179:0"),
        ("platform/mmc/block/mmcblk0/mmcblk0p1", "179:1"),
        ("virtual/block/loop0", "7:0"),
        ("platform/floppy.0/block/fd0", "2:0"),
        ("pci/usb1/1-1/block/sr0", "11:0"),
        ("platform/reader/block/sdc", "8:32"),
        ("pci/usb2/2-1/block/sdd", "8:48"),
        ("pci/usb2/2-1/block/sdd/sdd1", "8:49"),
        ("pci/usb2/2-1/block/sdd/sdd2", "8:50"),
        ("pci/usb2/2-1/block/sdd/sdd3", "8:51"),
        ("pci/usb2/2-1/block/sdd/sdd4", "8:52"),
        ("pci/usb2/2-2/block/sde", "8:64"),
        ("pci/usb2/2-2/block/sde/sde1", "8:65"),
        ("pci/usb2/2-3/block/sdx", "65:112"),
    ] {
        trial.found(path, number);
    }
    for removable in ["platform/reader/block/sdc", "platform/floppy.0/block/fd0"] {
        fs::write(trial.at("sys/devices").join(removable).join("removable"), "1\n").unwrap();
    }
    // Mounted under another name, and under its own; swap; of a volume group.
    fs::write(trial.at("proc/self/mountinfo"), "31 1 8:49 / /mnt rw - vfat /dev/root rw\n").unwrap();
    fs::write(trial.at("proc/self/mounts"), "/dev/sdd2 /srv btrfs rw 0 0\n").unwrap();
    fs::write(trial.at("proc/swaps"), "Filename\tType\n/dev/sdd3          partition\n").unwrap();
    fs::create_dir(trial.at("sys/devices/pci/usb2/2-1/block/sdd/sdd4/holders/dm-0")).unwrap();
    let output = trial.stick("sdc sde1", &[]).output().unwrap();
    let calls = trial.calls();
    let mounted: Vec<_> = calls.iter().filter(|call| call.starts_with("mount -t")).collect();
    let kinds = |name: &str, kinds: &[&str]| -> Vec<String> {
        kinds.iter().map(|kind| format!("mount -t {kind} -o ro,nosuid,nodev,noexec {name} {name}")).collect()
    };
    let wanted = [kinds("sdc", &["vfat"]), kinds("sde1", &["vfat", "exfat"]), kinds("sdx", &["vfat", "exfat"])];
    assert_eq!(mounted, wanted.concat().iter().collect::<Vec<_>>(), "{output:?}");
    assert!(calls.contains(&"branchline stick beside sdc sde1".to_owned()), "{calls:?}");
}

/// It would have kept the daemon from starting.
#[test]
fn a_stick_that_hangs_is_left_behind() {
    let trial = Trial::new();
    trial.found(&format!("{USB}/sda"), "8:0");
    let fifo = trial.at("never");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let hangs = format!("read -r line <{}", fifo.display());
    let output = trial.stick("", &[("mount", &hangs)]).output().unwrap();
    assert_eq!((output.status.code(), trial.calls()), (Some(1), vec!["branchline stick beside".to_owned()]));
    assert!(String::from_utf8_lossy(&output.stderr).contains("sda does not answer"), "{output:?}");
    let mut command = trial.stick("sda", &[("umount", &hangs)]);
    trial.write(&format!("#!/bin/sh\n{hangs}\n"));
    let (before, output) = (trial.uptime(), command.output().unwrap());
    assert_eq!(output.status.code(), Some(124), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("the stick does not answer"), "{output:?}");
    assert!(trial.uptime() - before <= 240, "the unit's time is for the store");
}

/// Told to stop, and killed: whoever comes next finds nothing mounted.
#[test]
fn no_stick_stays_mounted() {
    let trial = Trial::new();
    trial.found(&format!("{USB}/sda"), "8:0");
    // No process has this number: the kernel's highest is 4194304.
    fs::create_dir_all(trial.at("var/run/branchline-stick.4194305/sdb1/branchline")).unwrap();
    let mut command = trial.stick("sda", &[]);
    let fifo = trial.at("begun");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    trial.write(&format!("#!/bin/sh\necho begun >{0}\nread -r never <{0}\n", fifo.display()));
    let mut shell = command.spawn().unwrap();
    assert_eq!(fs::read_to_string(&fifo).unwrap(), "begun\n");
    assert!(Command::new("kill").arg(shell.id().to_string()).status().unwrap().success());
    assert_eq!(shell.wait().unwrap().code(), Some(143));
    let calls = trial.calls();
    assert_eq!((calls[0].as_str(), calls.last().unwrap().as_str()), ("umount sdb1", "umount sda"), "{calls:?}");
    assert_eq!(fs::read_dir(trial.at("var/run")).unwrap().count(), 0);
}

#[test]
fn a_box_that_can_mount_no_stick_says_so_and_goes_on() {
    let trial = Trial::new();
    trial.found("pci/usb1/1-1/block/sdx", "8:0");
    let mut command = trial.stick("", &[]);
    let told = |output: &Output| String::from_utf8(output.stderr.clone()).unwrap();
    let output = command.output().unwrap();
    assert_eq!(told(&output).matches("sdx is plugged in and not read").count(), 1, "{output:?}");
    assert!(told(&output).contains("kmod-fs-vfat") && trial.calls().contains(&"branchline stick beside".to_owned()));

    let bin = trial.at("bin");
    for name in ["cat", "grep", "ls", "mkdir", "mv", "readlink", "rmdir", "sed", "sh"] {
        let found = std::env::var("PATH")
            .unwrap()
            .split(':')
            .map(|folder| Path::new(folder).join(name))
            .find(|file| file.exists());
        std::os::unix::fs::symlink(found.unwrap(), bin.join(name)).unwrap();
    }
    for name in ["mount", "umount"] {
        fs::remove_file(bin.join(name)).unwrap();
    }
    let output = command.env("PATH", &bin).output().unwrap();
    assert!(told(&output).contains("there is no command mount"), "{output:?}");
    assert_eq!(trial.calls(), ["branchline stick beside"]);
    // Nothing is plugged in, or a reader without a card: nothing is said.
    fs::remove_file(trial.at("sys/class/block/sdx")).unwrap();
    assert_eq!(told(&command.output().unwrap()), "");
    trial.found("pci/usb1/1-2/block/sdx", "8:0");
    fs::write(trial.at("sys/class/block/sdx/size"), "0\n").unwrap();
    assert_eq!(told(&trial.stick("", &[]).output().unwrap()), "");
}

/// Without room the old program cannot be kept: the upgrade ends before it began.
#[test]
fn a_program_that_cannot_be_kept_is_not_exchanged() {
    let trial = Trial::new();
    trial.run("keep");
    trial.run("started");
    trial.write("newer");
    let output = trial.run_with("keep", &[("cp", "printf half >\"$3\"; exit 1")], &[]);
    assert!(!output.status.success());
    assert_eq!((trial.kept("branchline").as_deref(), trial.kept("branchline.new")), (Some("old"), None));
}

#[test]
fn a_board_is_recognised_by_its_device_tree() {
    let folder = tempfile::tempdir().unwrap();
    let (words, drop_in) = (folder.path().join("compatible"), folder.path().join("service.d/board.conf"));
    let set = [
        ("BRANCHLINE_BOARDS", Path::new("boards")),
        ("BRANCHLINE_COMPATIBLE", words.as_path()),
        ("BRANCHLINE_DROP_IN", drop_in.as_path()),
    ];
    let recognised = || String::from_utf8(sh("boards/board", &[], &set).stdout).unwrap();
    assert_eq!(recognised(), "", "no device tree, as on a PC");
    fs::write(&words, "raspberrypi,model-zero-w\0brcm,bcm2835\0").unwrap();
    assert_eq!(recognised(), "raspberrypi-zero\n");
    fs::write(&words, "somebody,else\0").unwrap();
    assert_eq!(recognised(), "");
    fs::write(&words, "raspberrypi,4-model-b\0brcm,bcm2711\0").unwrap();
    assert!(sh("boards/board", &["apply"], &set).status.success());
    let written = fs::read_to_string(&drop_in).unwrap();
    assert!(written.contains("Environment=BRANCHLINE_BOARD=raspberrypi-4\nMemoryMax=96M\n"), "{written}");
    fs::write(&drop_in, "mine").unwrap();
    assert!(sh("boards/board", &["apply"], &set).status.success());
    assert_eq!(fs::read_to_string(&drop_in).unwrap(), "mine", "what somebody wrote stays");
}
