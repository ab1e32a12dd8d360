//! Box time: what limits, holds, back-off and expiry run on.
//!
//! Floor: engine. It continues from the last committed value and advances with the monotonic clock. Time spent off is added
//! only when the wall clock was trusted at both ends, or, within one boot, from the monotonic clock. Never backward.

use super::Engine;
use super::soft::Soft;
use crate::outbox::{BoxRow, StoreError};
use crate::pace::Recent;
use crate::time::{BoxTime, Moment, Mono, Now, Wall};

/// The clock of the box.
#[derive(Clone, Debug)]
pub(super) struct BoxClock {
    /// Box time at `since`.
    base: BoxTime,
    since: Mono,
    /// The last commit's trusted wall clock and box time, until a trusted clock here tells how long the box was off.
    before: Option<(i64, BoxTime)>,
    /// What the wall clock said at box time 0, and whether it was trusted, as of the start or the last jump.
    zero: Wall,
    trusted: bool,
    /// Every reading was trusted, from the last commit before the start on.
    unbroken: bool,
    /// The wall clock jumped, and nobody took account of it yet.
    jumped: bool,
    /// Time off that was learned late, and nobody took account of yet.
    late: Option<Late>,
    /// The clock, trusted at both ends, went back while the box was off, and nobody took account of it yet.
    unmeasured: bool,
}

/// Time off that only a clock trusted after a while told: what happened since the start is younger than its box time says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Late {
    /// Box time at the start, as long as nobody knew better.
    pub since: BoxTime,
    /// Milliseconds that were added.
    pub off: i64,
}

/// Milliseconds by which wall clock and box time may drift apart before it is a jump, however slowly they did: quiet hours are off
/// by no more, and no limit is shortened by more.
const JUMP: u64 = 1_000;

impl BoxClock {
    /// Continues where the store's last commit was.
    pub fn start(row: &BoxRow, now: Now, boot: &str) -> BoxClock {
        let before = row.wall.trusted().filter(|_| row.boot != boot).map(|wall| (wall.0, row.boxed));
        let base = if row.boot == boot { row.boxed + now.mono.since(row.mono) } else { row.boxed };
        let zero = Wall(now.wall.reading().0 - base.0);
        let unbroken = row.wall.trusted().is_some();
        BoxClock {
            base,
            since: now.mono,
            before,
            zero,
            trusted: false,
            unbroken,
            jumped: false,
            late: None,
            unmeasured: false,
        }
    }

    /// The moment of this batch.
    pub fn read(&mut self, now: Now) -> Moment {
        let mut boxed = self.base + now.mono.since(self.since);
        if let Some(wall) = now.wall.trusted()
            && let Some((wall_before, boxed_before)) = self.before.take()
        {
            // What passed on the wall clock beyond what box time has counted since.
            let off = (wall.0 - wall_before) - (boxed.0 - boxed_before.0);
            boxed.0 += off.max(0);
            self.base.0 += off.max(0);
            self.unmeasured = off < -(JUMP as i64);
            // With the first reading nothing has happened yet.
            let first = now.mono == self.since;
            self.late = (off > 0 && !first).then_some(Late { since: boxed_before, off });
        }
        let (zero, trusted) = (Wall(now.wall.reading().0 - boxed.0), now.wall.trusted().is_some());
        self.unbroken &= trusted;
        if trusted != self.trusted || zero.0.abs_diff(self.zero.0) > JUMP {
            (self.zero, self.trusted) = (zero, trusted);
            self.jumped |= trusted;
        }
        Moment { boxed, wall: now.wall }
    }

    /// Whether nobody knows for how long the box was off, since this was asked last.
    pub fn is_unmeasured(&mut self) -> bool {
        std::mem::take(&mut self.unmeasured)
    }

    /// Time off that was learned late, since this was asked last.
    pub fn late(&mut self) -> Option<Late> {
        self.late.take()
    }

    /// Whether the wall clock jumped since this was asked last, or is trusted only since then. It must be committed: were the power
    /// cut before, the jump would be taken for time spent off, and the limits would forgive as much.
    pub fn jumped(&mut self) -> bool {
        std::mem::take(&mut self.jumped)
    }

    /// Whether box time counted all that passed since the last commit before the start: no expiry is behind then, however the wall
    /// clock jumped.
    pub fn is_unbroken(&self) -> bool {
        self.unbroken
    }

    /// What goes by the wall clock is looked at as after a jump.
    pub fn look_again(&mut self) {
        self.jumped = true;
    }

    /// What the wall clock says at this box time, unless it jumps. The same answer each time.
    pub fn wall_of(&self, at: BoxTime) -> Wall {
        Wall(self.zero.0.saturating_add(at.0))
    }
}

impl Engine {
    /// Box time goes forward by time off that nobody knew at the start. What happened since is redated: no limit is forgiven, no
    /// wait shortened and nothing expires by it.
    pub(super) fn redate(&mut self, late: Late) -> Result<(), StoreError> {
        let later = |at: BoxTime| if at >= late.since { BoxTime(at.0 + late.off) } else { at };
        for person in self.outbox.redate(late.since, late.off, self.soft.known_at_start)? {
            let mut lane = self.outbox.lane(person)?;
            (lane.pair.started, lane.pair.last) = (later(lane.pair.started), later(lane.pair.last));
            (lane.held_until, lane.reached) = (later(lane.held_until), lane.reached.map(later));
            lane.recent = Recent::of_bytes(&lane.recent).redated(late.since, late.off).to_bytes();
            self.settle(lane)?;
        }
        self.outbox.seen_later(late.since, late.off)?;
        for flight in &mut self.soft.in_flight {
            (flight.at, flight.reached) = (later(flight.at), flight.reached.map(|before| before.map(later)));
        }
        self.soft.circuit.redate(later);
        // The platform is asked as late as it would have been.
        self.soft.health.due = self.soft.health.due.map(later);
        self.soft.sender = Soft::window(&self.outbox, self.moment.boxed)?;
        (self.soft.holds, self.soft.releasing) = Soft::of_store(&self.outbox)?;
        self.soft.limits.reconfigured(self.moment.boxed);
        self.soft.staff_due = true;
        self.stirred = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Clock;

    fn row(boot: &str, wall: Clock) -> BoxRow {
        BoxRow {
            store: "bcdf".into(),
            commits: 7,
            boxed: BoxTime(100_000),
            mono: Mono(5_000),
            boot: boot.into(),
            wall,
            receipts_taken: 0,
            filters: Vec::new(),
            audit: Default::default(),
            tail: Default::default(),
            worn: (Wall(0), 0),
        }
    }

    fn trusted(ms: i64) -> Clock {
        Clock::Trusted(Wall(ms))
    }

    fn unsynced(ms: i64) -> Clock {
        Clock::Unsynced(Wall(ms))
    }

    fn at(mono: u64, wall: Clock) -> Now {
        Now { mono: Mono(mono), wall }
    }

    #[test]
    fn a_timetable_of_boots_and_jumps() {
        // (what, boot of the row, its wall, readings (mono, wall) -> box time)
        let off_an_hour = [(10, trusted(4_600_000), 3_700_000), (1_010, trusted(4_601_000), 3_701_000)];
        let time_comes_later =
            [(10, unsynced(0), 100_000), (2_010, unsynced(2_000), 102_000), (3_010, trusted(4_603_000), 3_703_000)];
        let never_trusted = [(10, trusted(4_600_000), 100_000), (1_010, trusted(9_999_999), 101_000)];
        let same_boot = [(8_000, unsynced(0), 103_000), (9_000, trusted(9_000_000), 104_000)];
        let wall_went_back = [(10, trusted(500_000), 100_000), (1_010, trusted(100), 101_000)];
        let jump_while_running = [(10, trusted(1_000_000), 100_000), (1_010, trusted(90_000_000), 101_000)];
        for (what, boot, wall, readings) in [
            ("off for an hour, trusted at both ends", "a", trusted(1_000_000), &off_an_hour[..]),
            ("trusted again only after a while", "a", trusted(1_000_000), &time_comes_later[..]),
            ("the last commit was not trusted", "a", unsynced(1_000_000), &never_trusted[..]),
            ("the daemon restarted within one boot", "b", unsynced(0), &same_boot[..]),
            ("the wall clock went back", "a", trusted(1_000_000), &wall_went_back[..]),
            ("the wall clock jumps while running", "a", trusted(1_000_000), &jump_while_running[..]),
        ] {
            let mut clock = BoxClock::start(&row(boot, wall), at(readings[0].0, readings[0].1), "b");
            for (mono, wall, expected) in readings {
                assert_eq!(clock.read(at(*mono, *wall)).boxed, BoxTime(*expected), "{what} at {mono}");
            }
        }
    }

    #[test]
    fn a_timetable_of_jumps() {
        let mut clock = BoxClock::start(&row("b", trusted(0)), at(5_000, unsynced(50)), "b");
        // (monotonic clock, wall clock, whether that is a jump, what it says of box time 200,000)
        for (what, mono, wall, jumped, then) in [
            ("not trusted", 5_000, unsynced(50), false, 100_050),
            ("set while it is not", 6_000, unsynced(501_000), false, 600_000),
            ("trusted from now on", 7_000, trusted(1_002_000), true, 1_100_000),
            ("as before", 8_000, trusted(1_003_000), false, 1_100_000),
            ("a little fast", 9_000, trusted(1_004_600), false, 1_100_000),
            ("a little more: a second in all", 10_000, trusted(1_006_000), false, 1_100_000),
            ("however slowly, it is a jump", 11_000, trusted(1_007_001), true, 1_101_001),
            ("at once", 12_000, trusted(8_001), true, 101_001),
            ("no longer trusted", 13_000, unsynced(9_001), false, 101_001),
            ("again", 14_000, trusted(10_001), true, 101_001),
        ] {
            clock.read(at(mono, wall));
            assert_eq!((clock.jumped(), clock.wall_of(BoxTime(200_000))), (jumped, Wall(then)), "{what}");
        }
        clock.look_again();
        assert!(clock.jumped() && !clock.jumped());
    }
}
