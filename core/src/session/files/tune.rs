//! How many streams carry a transfer, and how many bytes may be on their way: both grow while
//! that makes it faster, and shrink again when it did not.

use std::time::Duration;

use crate::limits;
use crate::time::Instant;

/// A round shorter than this says more about the timer than about the network.
const SHORTEST_ROUND: Duration = Duration::from_millis(5);
/// Rounds to stay with what was found to be best, before more is tried again.
const HOLD: u32 = 16;
/// A step has to gain this much to be kept: a part of so many.
const GAIN: u64 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The round that is measured has the settings of `tried`.
    Trying,
    /// For so many rounds yet.
    Holding(u32),
}

/// Which of the two is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Knob {
    Window,
    Lanes,
}

/// A hill climber. A round is the time in which as many bytes were acknowledged as may be on
/// their way.
#[derive(Clone, Debug)]
pub(super) struct Tuner {
    lanes: usize,
    window: u64,
    /// The number of streams, if the application has fixed it.
    fixed: Option<usize>,
    /// What the receiver allows.
    most: u64,
    phase: Phase,
    knob: Knob,
    /// The settings and the rate (bytes for each second) before what is being tried.
    before: (usize, u64, u64),
    round_start: Instant,
    round_bytes: u64,
    /// The window, not the source, kept this round from being faster.
    round_full: bool,
}

impl Tuner {
    /// With a receiver that allows `most` bytes.
    pub(super) fn new(now: Instant, most: u64) -> Self {
        let window = limits::FIRST_FILE_WINDOW.min(most);
        Self {
            lanes: 1,
            window,
            fixed: None,
            most,
            phase: Phase::Trying,
            knob: Knob::Window,
            before: (1, window, 0),
            round_start: now,
            round_bytes: 0,
            round_full: false,
        }
    }

    /// How many streams to use.
    pub(super) fn lanes(&self) -> usize {
        self.fixed.unwrap_or(self.lanes)
    }

    /// How many bytes may be asked for and not acknowledged.
    pub(super) fn window(&self) -> u64 {
        self.window
    }

    /// The application wants so many streams, or leaves it to us.
    pub(super) fn fix_lanes(&mut self, lanes: Option<usize>) {
        self.fixed = lanes.map(|lanes| lanes.clamp(1, limits::MAX_DATA_STREAMS));
    }

    /// The receiver allows this much from now on.
    pub(super) fn allow(&mut self, most: u64) {
        // At the beginning, nothing was allowed.
        let first = if self.most == 0 { limits::FIRST_FILE_WINDOW } else { self.window };
        self.most = most;
        self.window = first.min(most);
        self.before.1 = self.before.1.max(self.window).min(most);
        self.phase = Phase::Trying;
    }

    /// The window was full: more could have been sent.
    pub(super) fn full(&mut self) {
        self.round_full = true;
    }

    /// What comes next is measured from now on.
    pub(super) fn restart(&mut self, now: Instant) {
        (self.round_start, self.round_bytes, self.round_full) = (now, 0, false);
    }

    /// The receiver has acknowledged so many bytes.
    pub(super) fn acked(&mut self, now: Instant, bytes: u64) {
        self.round_bytes += bytes;
        let time = now.since(self.round_start);
        if self.round_bytes < self.window || time < SHORTEST_ROUND {
            return;
        }
        let nanos = time.as_nanos().max(1);
        let rate = u128::from(self.round_bytes) * 1_000_000_000 / nanos;
        let rate = u64::try_from(rate).unwrap_or(u64::MAX);
        // A round that the source or a limit slowed down says nothing about the settings.
        if self.round_full {
            self.judge(rate);
        }
        self.restart(now);
    }

    fn judge(&mut self, rate: u64) {
        match self.phase {
            Phase::Trying => {
                let (lanes, window, before) = self.before;
                if rate > before.saturating_add(before / GAIN) {
                    self.before = (self.lanes, self.window, rate);
                    self.step();
                    return;
                }
                (self.lanes, self.window) = (lanes, window);
                self.before.2 = rate.max(before);
                if self.knob == Knob::Window && self.fixed.is_none() {
                    self.knob = Knob::Lanes;
                    self.step();
                } else {
                    self.phase = Phase::Holding(HOLD);
                }
            }
            Phase::Holding(left) => match left.checked_sub(1) {
                Some(left) => self.phase = Phase::Holding(left),
                None => {
                    // The network may have changed.
                    self.before = (self.lanes, self.window, rate);
                    self.knob = Knob::Window;
                    self.step();
                }
            },
        }
    }

    /// Tries more of one thing. If there is no more of it: of the other, or holds.
    fn step(&mut self) {
        self.phase = Phase::Trying;
        let before = (self.lanes, self.window);
        match self.knob {
            Knob::Window => self.window = self.window.saturating_mul(2).min(self.most),
            Knob::Lanes => self.lanes = (self.lanes * 2).min(limits::MAX_AUTO_STREAMS),
        }
        if (self.lanes, self.window) != before {
            return;
        }
        if self.knob == Knob::Window && self.fixed.is_none() {
            self.knob = Knob::Lanes;
            self.step();
        } else {
            self.phase = Phase::Holding(HOLD);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs rounds over a path whose rate is a function of the settings, in bytes a second.
    fn run(tuner: &mut Tuner, rounds: usize, rate: impl Fn(usize, u64) -> u64) -> (usize, u64) {
        let mut now = Instant::from_nanos(1);
        tuner.restart(now);
        for _ in 0..rounds {
            tuner.full();
            let bytes = tuner.window();
            let rate = rate(tuner.lanes(), tuner.window()).max(1);
            let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate);
            let time = Duration::from_nanos(u64::try_from(nanos).unwrap()).max(SHORTEST_ROUND);
            now = now + time;
            tuner.acked(now, bytes.max(rate * time.as_nanos() as u64 / 1_000_000_000));
        }
        (tuner.lanes(), tuner.window())
    }

    fn tuner() -> Tuner {
        Tuner::new(Instant::ZERO, 64 << 20)
    }

    #[test]
    fn the_window_grows_to_the_path_and_not_far_beyond() {
        // 100 ms of round trip, 100 MB/s: 10 MB fill it.
        let path = |_: usize, window: u64| (window * 10).min(100_000_000);
        let (_, window) = run(&mut tuner(), 12, path);
        assert!((10_000_000..=40_000_000).contains(&window), "{window}");
        let slow = |_: usize, window: u64| (window * 10).min(1_000_000);
        let (_, window) = run(&mut tuner(), 12, slow);
        assert_eq!(window, limits::FIRST_FILE_WINDOW);
    }

    #[test]
    fn streams_are_added_while_that_helps() {
        // Each stream carries 10 MB/s, and four are the most that make a difference.
        let path = |lanes: usize, _: u64| 10_000_000 * lanes.min(4) as u64;
        assert_eq!(run(&mut tuner(), 12, path).0, 4);
        let one = |_: usize, _: u64| 50_000_000;
        assert_eq!(run(&mut tuner(), 12, one).0, 1);
        let all = |lanes: usize, _: u64| 1_000_000 * lanes as u64;
        assert_eq!(run(&mut tuner(), 40, all).0, limits::MAX_AUTO_STREAMS);
    }

    #[test]
    fn a_path_that_gets_better_is_noticed() {
        let mut tuner = tuner();
        let slow = |_: usize, window: u64| (window * 10).min(1_000_000);
        run(&mut tuner, 10, slow);
        let fast = |_: usize, window: u64| (window * 10).min(200_000_000);
        let (_, window) = run(&mut tuner, 60, fast);
        assert!(window >= 16 << 20, "{window}");
    }

    #[test]
    fn what_is_fixed_stays_and_what_is_allowed_is_the_most() {
        let mut tuner = tuner();
        tuner.fix_lanes(Some(3));
        tuner.allow(5 << 20);
        let (lanes, window) = run(&mut tuner, 40, |lanes, window| lanes as u64 * window);
        assert_eq!((lanes, window), (3, 5 << 20));
        tuner.fix_lanes(Some(1_000));
        assert_eq!(tuner.lanes(), limits::MAX_DATA_STREAMS);
        tuner.allow(1 << 20);
        assert_eq!(tuner.window(), 1 << 20);
    }

    #[test]
    fn a_slow_source_changes_nothing() {
        let mut tuner = tuner();
        let mut now = Instant::ZERO;
        for _ in 0..50 {
            now = now + Duration::from_millis(100);
            tuner.acked(now, tuner.window());
        }
        assert_eq!((tuner.lanes(), tuner.window()), (1, limits::FIRST_FILE_WINDOW));
    }

    #[test]
    fn it_begins_when_something_is_allowed() {
        let mut tuner = Tuner::new(Instant::ZERO, 0);
        assert_eq!(tuner.window(), 0);
        tuner.allow(64 << 20);
        assert_eq!(tuner.window(), limits::FIRST_FILE_WINDOW);
        let path = |_: usize, window: u64| (window * 10).min(100_000_000);
        assert!(run(&mut tuner, 12, path).1 >= 10_000_000);
    }
}
