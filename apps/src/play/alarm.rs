//! When to look at the clock while playing.

use std::time::{Duration, Instant};

use smol::Timer;

/// How often the numbers are looked at when nothing else happens.
const TICK: Duration = Duration::from_millis(200);

/// One timer for everything, set anew only when the time changes: each setting wakes the
/// reactor's thread, and pieces come thousands of times a second.
pub(super) struct Alarm {
    pub(super) timer: Timer,
    at: Instant,
    tick: Instant,
}

impl Alarm {
    pub(super) fn new() -> Self {
        let at = Instant::now() + TICK;
        Self { timer: Timer::at(at), at, tick: at }
    }

    /// Goes off at one of these times, or at the next tick.
    pub(super) fn set(&mut self, times: [Option<Instant>; 2]) {
        let now = Instant::now();
        if self.tick <= now {
            self.tick = now + TICK;
        }
        let at = times.into_iter().flatten().fold(self.tick, Instant::min);
        if at != self.at {
            self.at = at;
            self.timer.set_at(at);
        }
    }
}
