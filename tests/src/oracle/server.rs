//! What a server's session asks of its application and sends: within limits, in order, and
//! nothing while it is paused.

use std::collections::VecDeque;

use anabranch_core::limits;
use anabranch_core::media::{Grant, Stats};

/// One session as its server's application sees it.
#[derive(Clone, Debug)]
pub struct Sending {
    chunk: u64,
    /// The next byte that may be asked for.
    wanted_to: u64,
    /// The next byte that is to be supplied.
    supplied_to: u64,
    start: u64,
    live: bool,
    /// Payload bytes sent when the pause began.
    paused_at: Option<u64>,
    /// It was paused, and may ask once more for what it has not sent: nothing is held meanwhile.
    may_ask_again: bool,
    /// Requests that are not answered: where, and whether the answer still counts.
    open: VecDeque<(u64, bool)>,
}

impl Sending {
    /// A session that was granted.
    #[must_use]
    pub fn new(grant: &Grant) -> Self {
        Self {
            chunk: u64::from(grant.chunk),
            wanted_to: grant.start,
            supplied_to: grant.start,
            start: grant.start,
            live: grant.pause == anabranch_core::media::PausePolicy::Live,
            paused_at: None,
            may_ask_again: false,
            open: VecDeque::new(),
        }
    }

    /// It asks for bytes, when it has sent `sent` payload bytes.
    ///
    /// # Panics
    /// If it asks for too much, or not for the next ones.
    pub fn wanted(&mut self, offset: u64, len: usize, sent: u64) {
        assert!((1..=limits::MAX_WANTED).contains(&len), "{len} bytes wanted at once");
        let again = std::mem::take(&mut self.may_ask_again) && offset != self.wanted_to;
        if self.live && (offset > self.wanted_to || again) {
            self.move_to(offset);
        } else if again {
            assert_eq!(offset, self.start + sent, "not the next bytes after a pause");
            self.move_to(offset);
        } else {
            assert_eq!(offset, self.wanted_to, "bytes wanted out of order");
        }
        self.open.push_back((offset, true));
        self.wanted_to = offset + len as u64;
        let open = self.wanted_to - self.supplied_to;
        assert!(open <= limits::MAX_SUPPLIED as u64, "{open} bytes are wanted at once");
    }

    /// It goes on at another place than it has asked for: answers on their way do not count.
    fn move_to(&mut self, offset: u64) {
        self.supplied_to = offset;
        self.open.iter_mut().for_each(|(_, counts)| *counts = false);
    }

    /// The application supplies bytes.
    ///
    /// # Panics
    /// If the test's own application is wrong.
    pub fn supplied(&mut self, offset: u64, len: usize) {
        let (asked, counts) = self.open.pop_front().expect("somebody asked for it");
        assert_eq!(offset, asked, "the application supplies the wrong bytes");
        if !counts {
            return;
        }
        self.supplied_to = offset + len as u64;
        assert!(self.supplied_to <= self.wanted_to, "the application supplies too much");
    }

    /// Looks at its numbers, at any time.
    ///
    /// # Panics
    /// If it holds more than it may, or sends while it is paused.
    pub fn check(&self, stats: &Stats) {
        if !self.live {
            let held = (self.supplied_to - self.start).saturating_sub(stats.bytes);
            let limit = limits::MAX_SUPPLIED as u64;
            assert!(held <= limit, "{held} supplied bytes are held, the limit is {limit}");
        }
        if let Some(before) = self.paused_at {
            let since = stats.bytes.saturating_sub(before);
            // The chunk that was being written when the pause came has to be completed.
            assert!(since <= self.chunk, "{since} bytes were sent while paused");
        }
    }

    /// The client has paused it.
    pub fn paused(&mut self, stats: &Stats) {
        self.paused_at = Some(stats.bytes);
        self.may_ask_again = true;
    }

    /// The client has resumed it.
    pub fn resumed(&mut self) {
        self.paused_at = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anabranch_core::media::{Pace, PausePolicy};

    use super::*;

    fn sending() -> Sending {
        Sending::new(&Grant {
            bitrate: 1,
            chunk: 1_000,
            keepalive: 1,
            timeout: 1,
            name: None,
            size: None,
            kind: String::new(),
            start: 0,
            pause: PausePolicy::Hold,
            pace: Pace::Unpaced,
        })
    }

    fn stats(bytes: u64) -> Stats {
        let paused = Duration::ZERO;
        Stats { state: "Streaming", bytes, chunks: 0, missed: 0, ignored: 0, paused }
    }

    #[test]
    #[should_panic(expected = "out of order")]
    fn a_gap_in_what_is_wanted_is_caught() {
        let mut sending = sending();
        sending.wanted(0, 10, 0);
        sending.wanted(11, 10, 0);
    }

    #[test]
    #[should_panic(expected = "are wanted at once")]
    fn too_many_requests_are_caught() {
        let mut sending = sending();
        (0..3).for_each(|n| sending.wanted(n * limits::MAX_WANTED as u64, limits::MAX_WANTED, 0));
    }

    #[test]
    #[should_panic(expected = "are held")]
    fn a_hoard_is_caught() {
        let mut sending = sending();
        for n in 0..3 {
            sending.wanted(n * limits::MAX_WANTED as u64, limits::MAX_WANTED, 0);
            sending.supplied(n * limits::MAX_WANTED as u64, limits::MAX_WANTED);
        }
        sending.check(&stats(0));
    }

    #[test]
    #[should_panic(expected = "sent while paused")]
    fn sending_in_a_pause_is_caught() {
        let mut sending = sending();
        sending.paused(&stats(500));
        sending.check(&stats(1_500));
        sending.check(&stats(1_501));
    }

    #[test]
    fn a_pause_may_ask_again_for_what_was_not_sent() {
        let mut sending = sending();
        sending.wanted(0, 2_000, 0);
        sending.wanted(2_000, 2_000, 0);
        sending.supplied(0, 2_000);
        sending.paused(&stats(1_000));
        sending.resumed();
        sending.wanted(1_000, 2_000, 1_000);
        sending.supplied(2_000, 2_000);
        sending.supplied(1_000, 2_000);
    }

    #[test]
    #[should_panic(expected = "not the next bytes after a pause")]
    fn a_gap_after_a_pause_is_caught() {
        let mut sending = sending();
        sending.wanted(0, 2_000, 0);
        sending.paused(&stats(1_000));
        sending.wanted(1_500, 2_000, 1_000);
    }
}
