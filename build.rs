//! Three things that are known when the program is built and not when it runs: every country's telephone plan as a compact
//! table (`message::number`), the boards' files (`config::board`), and the build time, below which no clock is believed (`door::clock`).
//!
//! The crate `phonenumber` carries libphonenumber's metadata. At run time it would cost 8 MB of memory and 150 ms at start
//! (measured), so it is asked here, once, and what remains of it are two small files in `OUT_DIR`:
//!
//! - `regions.rs`: an array of `Region`, sorted by calling code, the main region of a code first;
//! - `programs.bin`: the patterns of the metadata as programs of a matcher that only ever moves forward.
//!
//! A pattern that uses anything the matcher does not know ends the build: a wrong table is never written.

#[path = "src/message/number/instructions.rs"]
mod instructions;

use instructions::*;
use phonenumber::metadata::{DATABASE, Descriptor, Descriptors};
use phonenumber::{Metadata, Type};
use regex_syntax::hir::{Class, Hir, HirKind, Look};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// What the count of an instruction of digits has room for.
const DIGITS_IN_A_ROW: usize = 32;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/message/number/instructions.rs");
    build_time();
    telephone_plans();
    boards();
}

/// The files of `boards/` as one array of names and texts: a box that has only the program knows them too.
fn boards() {
    println!("cargo:rerun-if-changed=boards");
    let found =
        fs::read_dir("boards").expect("the boards lie beside Cargo.toml").map(|entry| entry.expect("listed").path());
    let mut boards: Vec<_> = found.filter(|path| path.extension().is_some_and(|ending| ending == "toml")).collect();
    boards.sort();
    let mut out = String::from("[");
    for path in boards {
        println!("cargo:rerun-if-changed={}", path.display());
        let name = path.file_stem().and_then(|name| name.to_str()).expect("names of boards are plain");
        let text = fs::read_to_string(&path).expect("a board is a text");
        write!(out, "({name:?}, {text:?}),").expect("writing to a string cannot fail");
    }
    out.push(']');
    let folder = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&folder).join("boards.rs"), out).expect("OUT_DIR is writable");
}

/// Seconds since 1970 of this commit: reproducible, and never later than the truth.
fn build_time() {
    println!("cargo:rerun-if-env-changed=SOURCE_DATE_EPOCH");
    let given = env::var("SOURCE_DATE_EPOCH").ok().and_then(|text| text.trim().parse::<u64>().ok());
    let seconds = given.or_else(commit_time).unwrap_or_else(manifest_time);
    println!("cargo:rustc-env=BRANCHLINE_BUILD_TIME={seconds}");
}

fn commit_time() -> Option<u64> {
    // HEAD changes with a checkout. A commit on the same branch does not build everything again for a newer lower bound;
    // a build that must be exact starts clean or sets SOURCE_DATE_EPOCH.
    let head = Path::new(&git(&["rev-parse", "--git-dir"])?).join("HEAD");
    println!("cargo:rerun-if-changed={}", head.display());
    git(&["log", "-1", "--format=%ct"])?.parse().ok()
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

fn manifest_time() -> u64 {
    println!("cargo:rerun-if-changed=Cargo.toml");
    let changed = fs::metadata("Cargo.toml").and_then(|of| of.modified()).expect("cargo runs this beside Cargo.toml");
    changed.duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Patterns and transform rules, each stored once; 0 stands for "none".
struct Programs {
    bytes: Vec<u8>,
    at: HashMap<Vec<u8>, u16>,
}

fn telephone_plans() {
    let mut programs = Programs { bytes: vec![MATCH], at: HashMap::new() };
    let mut regions = String::from("[\n");
    for code in 1..=999_u16 {
        let sharing = DATABASE.by_code(&code).unwrap_or_default();
        for meta in &sharing {
            region(&mut regions, &mut programs, meta, sharing.len() > 1);
        }
    }
    regions.push_str("]\n");
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    fs::write(Path::new(&out).join("regions.rs"), regions).expect("OUT_DIR is writable");
    fs::write(Path::new(&out).join("programs.bin"), programs.bytes).expect("OUT_DIR is writable");
}

fn region(out: &mut String, programs: &mut Programs, meta: &Metadata, shares_code: bool) {
    let of = meta.descriptors();
    // `001` is what libphonenumber calls the codes that belong to no country.
    let id = if meta.id() == "001" { "00" } else { meta.id() };
    // As libphonenumber's own build does: the general lengths are those of all kinds, and a local length that is a
    // whole number's for another kind is no local one.
    let lengths = lengths(kinds(of), Descriptor::possible_length);
    let local = self::lengths(kinds(of), Descriptor::possible_local_length) & !lengths;
    // A person's line; a code of no country has no kinds of its own that we could tell apart.
    let lines = [of.fixed_line(), of.mobile(), of.voip(), of.personal_number()].into_iter().flatten();
    let lines = if id == "00" { lengths } else { self::lengths(lines, Descriptor::possible_length) };

    let prefix = meta.national_prefix_for_parsing().map(|regex| regex.as_str()).or(meta.national_prefix());
    let own = if shares_code && meta.leading_digits().is_none() {
        let patterns: Vec<_> = kinds(of).map(|kind| format!("(?:{})", kind.national_number().as_str())).collect();
        programs.pattern(Some(&patterns.join("|")))
    } else {
        0
    };
    let (a, b) = (id.as_bytes()[0] as char, id.as_bytes()[1] as char);
    writeln!(
        out,
        "Region {{ id: *b\"{a}{b}\", code: {code}, lengths: {lengths:#x}, local: {local:#x}, lines: {lines:#x}, \
         general: {general}, abroad: {abroad}, prefix: {prefix}, transform: {transform}, leading: {leading}, own: {own} }},",
        code = meta.country_code(),
        general = programs.pattern(Some(of.general().national_number().as_str())),
        abroad = programs.pattern(meta.international_prefix().map(|regex| regex.as_str())),
        prefix = programs.pattern(prefix),
        transform = programs.transform(meta.national_prefix_transform_rule()),
        leading = programs.pattern(meta.leading_digits().map(|regex| regex.as_str()).filter(|_| shares_code)),
    )
    .expect("a string takes all that is written to it");
}

/// The kinds of number that a plan knows; those that cannot be dialled from abroad are a mark, not a kind.
fn kinds(of: &Descriptors) -> impl Iterator<Item = &Descriptor> {
    use Type::*;
    [FixedLine, Mobile, TollFree, PremiumRate, SharedCost, PersonalNumber, Voip, Pager, Uan, Voicemail]
        .into_iter()
        .filter_map(|kind| of.get(kind))
}

fn lengths<'a>(kinds: impl Iterator<Item = &'a Descriptor>, of: fn(&Descriptor) -> &[u16]) -> u32 {
    kinds.flat_map(of).fold(0, |mask, length| mask | 1_u32.checked_shl(u32::from(*length)).expect("below 32 digits"))
}

impl Programs {
    fn pattern(&mut self, pattern: Option<&str>) -> u16 {
        let Some(pattern) = pattern else { return 0 };
        let mut parser = regex_syntax::ParserBuilder::new().ignore_whitespace(true).unicode(false).utf8(false).build();
        let hir = parser.parse(pattern).expect("libphonenumber's patterns are regular expressions");
        let mut program = Vec::new();
        // How many groups there are tells the matcher which is the last.
        let groups = hir.properties().explicit_captures_len();
        assert!(groups < GROUPS, "{groups} groups in {pattern}");
        program.push(groups as u8);
        compile(&hir, &mut program);
        program.push(MATCH);
        self.store(program)
    }

    fn transform(&mut self, rule: Option<&str>) -> u16 {
        let Some(rule) = rule else { return 0 };
        let mut parts = vec![0];
        let mut signs = rule.chars();
        while let Some(sign) = signs.next() {
            let group = if sign == '$' { signs.next() } else { None };
            let digit = group.unwrap_or(sign).to_digit(10).expect("a transform rule is digits and groups") as u8;
            parts.push(if group.is_some() { GROUP | digit } else { b'0' + digit });
        }
        parts[0] = u8::try_from(parts.len() - 1).expect("a rule is short");
        self.store(parts)
    }

    fn store(&mut self, program: Vec<u8>) -> u16 {
        *self.at.entry(program).or_insert_with_key(|program| {
            let at = u16::try_from(self.bytes.len()).expect("all programs together are below 64 KiB");
            self.bytes.extend(program);
            at
        })
    }
}

fn compile(hir: &Hir, out: &mut Vec<u8>) {
    match hir.kind() {
        HirKind::Empty => {}
        HirKind::Literal(text) => text.0.iter().for_each(|byte| digits(1 << digit(*byte), 1, out)),
        HirKind::Class(class) => digits(mask(class), 1, out),
        HirKind::Look(Look::End) => out.push(END),
        HirKind::Capture(group) => {
            let group_index = u8::try_from(group.index).expect("a few groups");
            out.extend([SAVE, 2 * group_index]);
            compile(&group.sub, out);
            out.extend([SAVE, 2 * group_index + 1]);
        }
        HirKind::Concat(parts) => parts.iter().for_each(|part| compile(part, out)),
        HirKind::Alternation(parts) => alternation(parts, out),
        HirKind::Repetition(repetition) => {
            assert!(repetition.greedy, "a lazy repetition: {hir:?}");
            let most = repetition.max.expect("an unbounded repetition");
            match repetition.sub.kind() {
                HirKind::Class(class) => digits(mask(class), repetition.min as usize, out),
                _ => (0..repetition.min).for_each(|_| compile(&repetition.sub, out)),
            }
            optional(&repetition.sub, most - repetition.min, out);
        }
        other => panic!("the matcher does not know {other:?}"),
    }
}

/// `x{0,times}`, greedy: `(x(x(…)?)?)?`.
fn optional(hir: &Hir, times: u32, out: &mut Vec<u8>) {
    if times == 0 {
        return;
    }
    let mut inner = Vec::new();
    compile(hir, &mut inner);
    optional(hir, times - 1, &mut inner);
    forward(SPLIT, inner.len(), out);
    out.extend(inner);
}

fn alternation(parts: &[Hir], out: &mut Vec<u8>) {
    let [first, rest @ ..] = parts else { return };
    let mut one = Vec::new();
    compile(first, &mut one);
    if rest.is_empty() {
        return out.extend(one);
    }
    let mut others = Vec::new();
    alternation(rest, &mut others);
    forward(JUMP, others.len(), &mut one);
    forward(SPLIT, one.len(), out);
    out.extend(one);
    out.extend(others);
}

/// `SPLIT` tries what follows first, then what lies `over` bytes further on; `JUMP` only the latter.
fn forward(instruction: u8, over: usize, out: &mut Vec<u8>) {
    let [high, low] = u16::try_from(over).expect("a program is short").to_be_bytes();
    out.extend([instruction, high, low]);
}

fn digits(set: u16, mut times: usize, out: &mut Vec<u8>) {
    while times > 0 {
        let now = times.min(DIGITS_IN_A_ROW);
        let [high, low] = set.to_be_bytes();
        out.extend([DIGITS | ((now as u8 - 1) << 2) | high, low]);
        times -= now;
    }
}

fn mask(class: &Class) -> u16 {
    let Class::Bytes(class) = class else { panic!("a class beyond ASCII: {class:?}") };
    class.ranges().iter().flat_map(|range| range.start()..=range.end()).fold(0, |mask, byte| mask | 1 << digit(byte))
}

fn digit(byte: u8) -> u8 {
    assert!(byte.is_ascii_digit(), "a pattern with something else than digits: {byte}");
    byte - b'0'
}
