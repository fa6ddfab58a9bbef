//! Credit that is given to the peer, for a stream or for the connection (RFC 9000 section 4).

use std::time::Duration;

use crate::time::Instant;

/// A window that grows while the application reads it empty faster than credit can travel.
#[derive(Debug)]
pub(super) struct Window {
    /// Bytes ahead of what was read.
    size: u64,
    largest: u64,
    /// What the peer was told, in bytes from the beginning.
    told: u64,
    /// What was read or dropped.
    consumed: u64,
    /// When the peer was told last.
    at: Option<Instant>,
}

impl Window {
    /// The peer knows of `size` bytes; the window may grow to `largest`.
    pub(super) const fn new(size: u64, largest: u64) -> Self {
        Self { size, largest, told: size, consumed: 0, at: None }
    }

    /// What the peer may send, in bytes from the beginning.
    pub(super) const fn told(&self) -> u64 {
        self.told
    }

    /// So many more bytes were read or dropped.
    pub(super) const fn consume(&mut self, bytes: u64) {
        self.consumed += bytes;
    }

    /// Half of the window has been used.
    pub(super) const fn is_low(&self) -> bool {
        self.consumed + self.size - self.told > self.size / 2
    }

    /// The limit to tell the peer. Moves it if the window is low, and lets the window grow if it
    /// was low within two round trips before as well.
    pub(super) fn renew(&mut self, now: Instant, rtt: Duration) -> u64 {
        if self.is_low() {
            if self.at.is_some_and(|at| now.since(at) < rtt * 2) {
                self.size = self.size.saturating_mul(2).min(self.largest.max(self.size));
            }
            self.at = Some(now);
            self.told = self.consumed + self.size;
        }
        self.told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RTT: Duration = Duration::from_millis(10);

    #[test]
    fn credit_comes_back_when_half_of_it_was_used() {
        let mut window = Window::new(100, 100);
        window.consume(50);
        assert!(!window.is_low());
        assert_eq!(window.renew(Instant::ZERO, RTT), 100);
        window.consume(1);
        assert!(window.is_low());
        assert_eq!(window.renew(Instant::ZERO, RTT), 151);
        assert!(!window.is_low());
    }

    #[test]
    fn it_grows_to_its_limit_only_when_it_is_used_up_quickly() {
        let mut window = Window::new(100, 300);
        let mut now = Instant::ZERO;
        let mut sizes = Vec::new();
        for pause in [1, 19, 20, 19, 1, 1] {
            now = now + Duration::from_millis(pause);
            let before = window.told();
            window.consume(before - window.consumed);
            assert_eq!(window.renew(now, RTT), window.told());
            sizes.push(window.told() - before);
        }
        assert_eq!(sizes, [100, 200, 200, 300, 300, 300]);
    }

    #[test]
    fn a_window_of_nothing_stays_shut() {
        let mut window = Window::new(0, 0);
        assert!(!window.is_low());
        assert_eq!(window.renew(Instant::ZERO, RTT), 0);
    }
}
