//! Bytes that reach the device for one message from arrival to accepted: on a file system of its own, counted by the kernel.

use super::Size;
use crate::house;
use crate::inside::Inside;
use crate::report::{Report, Verdict};
use crate::world::proc_field;
use std::path::{Path, PathBuf};
use std::process::Command;

const KIB: f64 = 1024.0;
/// Of `/sys/block/*/stat`, whatever the device's own sectors are.
const SECTOR: u64 = 512;
const FILE_SYSTEM: u64 = 256 << 20;
/// Bytes of the file system's blocks, each of which is written whole: as mkfs makes them from 512 MiB on, and on what is smaller.
const BLOCKS: [u32; 2] = [4096, 1024];

/// An ext4 on a file, mounted; given back when it is dropped.
struct Disk {
    device: String,
    mounted: PathBuf,
    _folder: tempfile::TempDir,
}

impl Disk {
    /// Needs root and a kernel with loop devices.
    fn new(block: u32) -> Option<Disk> {
        let folder = tempfile::tempdir().unwrap();
        let (image, mounted) = (folder.path().join("image"), folder.path().join("disk"));
        std::fs::File::create(&image).unwrap().set_len(FILE_SYSTEM).unwrap();
        std::fs::create_dir(&mounted).unwrap();
        // Nothing of its own may be written later: inode tables and journal are made now.
        let lazy = "lazy_itable_init=0,lazy_journal_init=0";
        run(&["mkfs.ext4", "-q", "-b", &block.to_string(), "-E", lazy, image.to_str()?])?;
        let device = run(&["losetup", "--find", "--show", image.to_str()?])?;
        let disk = Disk { device: device.trim().to_owned(), mounted, _folder: folder };
        run(&["mount", &disk.device, disk.mounted.to_str()?])?;
        Some(disk)
    }

    fn written(&self) -> u64 {
        rustix::fs::sync();
        let name = self.device.trim_start_matches("/dev/");
        let stat = std::fs::read_to_string(format!("/sys/block/{name}/stat")).unwrap();
        stat.split_whitespace().nth(6).unwrap().parse::<u64>().unwrap() * SECTOR
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        run(&["umount", &self.mounted.to_string_lossy()]);
        run(&["losetup", "--detach", &self.device]);
    }
}

fn run(command: &[&str]) -> Option<String> {
    let output = Command::new(command[0]).args(&command[1..]).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

pub fn device(size: Size, report: &mut Report) {
    let mut counted = false;
    for block in BLOCKS {
        let Some(disk) = Disk::new(block) else { break };
        on(Some(&disk), &format!(", blocks of {} KiB", block / 1024), size, report);
        counted = true;
    }
    if !counted {
        on(None, "", size, report);
    }
    let how = if counted {
        "sectors of a loop device with ext4"
    } else {
        "write_bytes of /proc/self/io: no loop device here"
    };
    report.show("device bytes are", how);
}

fn on(disk: Option<&Disk>, blocks: &str, size: Size, report: &mut Report) {
    let folder = tempfile::tempdir().unwrap();
    let place = disk.map_or(folder.path(), |disk| disk.mounted.as_path());
    let written = || match disk {
        Some(disk) => disk.written(),
        None => proc_field("/proc/self/io", "write_bytes"),
    };
    for (sealed, with) in [(false, ""), (true, ", with key_file")] {
        for (together, how, count, bound) in
            [(1, "singly", size.of(2_000, 20), 32.0), (64, "64 a commit", size.of(6_400, 128), 8.0)]
        {
            let folder = place.join(format!("{together}{sealed}"));
            let bytes = bytes(&folder, together, count, sealed, written);
            let what = format!("device bytes a message, {how}{with}{blocks}");
            report.add(what, &format!("≤ {bound} KiB"), format!("{bytes:.1} KiB"), Verdict::of(bytes <= bound));
        }
    }
}

/// KiB for each of `count` messages, so many to a commit, checkpoints included: each to somebody new, who consents with the event.
fn bytes(folder: &Path, together: usize, count: u32, sealed: bool, written: impl Fn() -> u64) -> f64 {
    std::fs::create_dir(folder).unwrap();
    let mut inside = Inside::fresh(folder, together, sealed);
    inside.connect();
    // Numbers of people come in no order: consecutive ones would lie side by side in the index of names.
    let customer = |number: u32| house::customer((u64::from(number) * 7_919_993 % 10_000_000) as u32);
    let events: Vec<_> = (1..=count).map(|number| house::order_for(number, &customer(number))).collect();
    let before = written();
    for events in events.chunks(together) {
        inside.through(events);
    }
    (written() - before) as f64 / f64::from(count) / KIB
}
