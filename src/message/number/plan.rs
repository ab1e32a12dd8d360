//! Every country's telephone plan, as `build.rs` wrote it from libphonenumber's metadata, and the matcher for its patterns.
//!
//! Floor: words. Constant data in the binary: nothing is allocated, compiled or read at start.

use super::instructions::*;

/// A country's plan, or that of a calling code without a country (`00`, satellites and the like).
#[derive(Debug)]
pub(super) struct Region {
    /// ISO 3166, two capitals.
    pub id: [u8; 2],
    /// 1 to 999.
    pub code: u16,
    /// Bit n: a national number of some kind has n digits.
    pub lengths: u32,
    /// Bit n: n digits are enough within an area, and nowhere else.
    pub local: u32,
    /// Bit n: a person's line (fixed, mobile, VoIP, personal) has n digits.
    pub lines: u32,
    general: u16,
    abroad: u16,
    prefix: u16,
    transform: u16,
    leading: u16,
    own: u16,
}

/// Sorted by calling code; of those who share one, the main region comes first.
static REGIONS: &[Region] = &include!(concat!(env!("OUT_DIR"), "/regions.rs"));
static PROGRAMS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/programs.bin"));

/// What one match took: the whole, then each group.
type Taken = [Option<(usize, usize)>; GROUPS];

impl Region {
    pub fn of_id(id: [u8; 2]) -> Option<&'static Region> {
        // `00` is no country: two capitals cannot ask for it.
        REGIONS.iter().find(|region| region.id == id)
    }

    /// All that share a calling code, the main one first; empty if nobody has it.
    pub fn of_code(code: u16) -> &'static [Region] {
        let from = REGIONS.partition_point(|region| region.code < code);
        let to = REGIONS.partition_point(|region| region.code <= code);
        &REGIONS[from..to]
    }

    /// The digits after the calling code, and the main region of that code. No code is the beginning of another, and none
    /// begins with 0.
    pub fn split(international: &str) -> Option<(&'static Region, &str)> {
        if international.starts_with('0') {
            return None;
        }
        (1..=3).find_map(|length| {
            let (code, rest) = international.split_at_checked(length)?;
            Some((Self::of_code(code.parse().ok()?).first()?, rest))
        })
    }

    /// The whole number fits the country's pattern: known to exist, not merely long enough.
    pub fn fits(&self, national: &str) -> bool {
        matches(self.general, national, true).is_some()
    }

    /// Of those who share a calling code, this is the number's own.
    pub fn owns(&self, national: &str) -> bool {
        match (self.leading, self.own) {
            (0, 0) => true,
            (0, own) => matches(own, national, true).is_some() && self.fits(national),
            (leading, _) => matches(leading, national, false).is_some(),
        }
    }

    /// Without the prefix that leads abroad (`00`, `011`, a carrier's `0014`), if it has one.
    pub fn without_prefix_abroad<'a>(&self, dialled: &'a str) -> Option<&'a str> {
        let (_, end) = matches(self.abroad, dialled, false)?[0]?;
        // No calling code begins with 0: then it was something else.
        Some(&dialled[end..]).filter(|rest| !rest.starts_with('0'))
    }

    /// Without trunk prefix and carrier code, and with what the country puts in their place, whether or not it makes sense.
    pub fn without_trunk_prefix(&self, dialled: &str) -> Option<String> {
        let taken = matches(self.prefix, dialled, false)?;
        let rest = &dialled[taken[0]?.1..];
        let last_group = taken[usize::from(PROGRAMS[usize::from(self.prefix)])];
        if self.transform == 0 || last_group.is_none() {
            return Some(rest.to_owned());
        }
        let mut national = String::new();
        let at = usize::from(self.transform);
        for &part in &PROGRAMS[at + 1..at + 1 + usize::from(PROGRAMS[at])] {
            if part & GROUP == 0 {
                national.push(char::from(part));
            } else if let Some((from, to)) = taken[usize::from(part & !GROUP)] {
                national.push_str(&dialled[from..to]);
            }
        }
        Some(national + rest)
    }
}

/// Whether a set of lengths, bit n for n digits, has that of a number.
pub(super) fn has(lengths: u32, digits: &str) -> bool {
    u32::try_from(digits.len()).ok().and_then(|length| lengths.checked_shr(length)).is_some_and(|rest| rest & 1 == 1)
}

/// The bytes of the table, for the test that bounds them.
#[cfg(test)]
pub(super) fn bytes() -> usize {
    size_of_val(REGIONS) + PROGRAMS.len()
}

/// Runs a pattern at the beginning of `digits`, as a regular expression would: the first way that succeeds wins.
fn matches(program: u16, digits: &str, whole: bool) -> Option<Taken> {
    if program == 0 {
        return None;
    }
    let mut taken = [None; GROUPS];
    let end = run(usize::from(program) + 1, digits.as_bytes(), 0, whole, &mut taken)?;
    taken[0] = Some((0, end));
    Some(taken)
}

/// Every instruction moves forward in the program, so it ends, and `SPLIT` nests no deeper than the pattern is long.
fn run(mut pc: usize, digits: &[u8], mut at: usize, whole: bool, taken: &mut Taken) -> Option<usize> {
    loop {
        let operand = |of: usize| usize::from(PROGRAMS[pc + of]);
        match PROGRAMS[pc] {
            MATCH => return (!whole || at == digits.len()).then_some(at),
            END if at == digits.len() => pc += 1,
            SAVE => {
                let group = &mut taken[operand(1) / 2];
                *group = if operand(1) % 2 == 0 { Some((at, at)) } else { group.map(|(from, _)| (from, at)) };
                pc += 2;
            }
            SPLIT => {
                // What a way that fails has captured must not remain.
                let before = *taken;
                if let Some(end) = run(pc + 3, digits, at, whole, taken) {
                    return Some(end);
                }
                *taken = before;
                pc += 3 + operand(1) * 256 + operand(2);
            }
            JUMP => pc += 3 + operand(1) * 256 + operand(2),
            set if set & DIGITS != 0 => {
                let times = usize::from((set >> 2) & 0x1f) + 1;
                let allowed = usize::from(set & 3) * 256 + operand(1);
                let here = digits.get(at..at + times)?;
                if !here.iter().all(|digit| (allowed >> (digit - b'0')) & 1 == 1) {
                    return None;
                }
                at += times;
                pc += 2;
            }
            _ => return None,
        }
    }
}
