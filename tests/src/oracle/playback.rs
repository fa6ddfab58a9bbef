//! What a client received: every byte once, in order, and right.

use std::time::Duration;

use anabranch_core::Instant;
use anabranch_core::media::{EndReason, Ended, Grant, Pulled, Start};

use crate::content::Clip;

/// One session as its client's application sees it.
#[derive(Clone, Debug)]
pub struct Playback {
    /// What should arrive.
    pub clip: Clip,
    /// Where it was asked to start: a classic server does what it is asked and does not say so.
    pub asked: Start,
    /// What was granted.
    pub grant: Option<Grant>,
    /// Payload bytes pulled.
    pub bytes: u64,
    /// Complete chunks pulled.
    pub chunks: u64,
    /// When the last bytes were pulled.
    pub last_pull: Option<Instant>,
    /// Chunks may be left out (after a `live` resume).
    pub may_skip: bool,
    /// The server's application may end it: a classic client cannot tell that from the media's end.
    pub may_be_cut: bool,
    /// Nothing may be pulled from then on (a pause has had its time).
    pub silent_from: Option<Instant>,
    /// How it ended.
    pub ended: Option<Ended>,
    /// The next chunk; `None` before the first.
    sequence: Option<u32>,
    /// Bytes of it that have been pulled.
    within: u32,
    /// Where the next byte belongs in the clip.
    position: u64,
}

impl Playback {
    /// A session that plays this clip and has not been granted.
    #[must_use]
    pub const fn new(clip: Clip) -> Self {
        Self {
            clip,
            asked: Start::Beginning,
            grant: None,
            bytes: 0,
            chunks: 0,
            last_pull: None,
            may_skip: false,
            may_be_cut: false,
            silent_from: None,
            ended: None,
            sequence: None,
            within: 0,
            position: 0,
        }
    }

    /// The server has granted it.
    ///
    /// # Panics
    /// If the grant does not fit the clip.
    pub fn opened(&mut self, grant: &Grant) {
        assert!(self.grant.is_none(), "opened twice");
        if let Some(name) = &grant.name {
            assert_eq!(*name, self.clip.name, "another clip was granted");
        }
        if let Some(size) = grant.size {
            assert_eq!(size, self.clip.len, "size of {}", self.clip.name);
        }
        self.position = match (grant.name.is_some(), self.asked) {
            (true, _) | (false, Start::Beginning) => grant.start,
            (false, Start::Byte(byte)) => byte,
            (false, Start::Sequence(n)) => (u64::from(n) - 1) * u64::from(grant.chunk),
        };
        self.grant = Some(grant.clone());
    }

    /// Bytes were pulled.
    ///
    /// # Panics
    /// If they are not the next ones.
    pub fn pulled(&mut self, now: Instant, answer: Pulled, buf: &[u8]) {
        let Pulled::Bytes { len, sequence, offset, last } = answer else { return };
        let chunk = self.grant.as_ref().expect("bytes came before the grant").chunk;
        assert!(self.ended.is_none(), "bytes came after the end");
        assert!(len > 0 || last, "an empty pull");
        if let Some(silent) = self.silent_from {
            assert!(now <= silent, "chunk {sequence} at {now:?}, silence from {silent:?}");
        }
        self.follow(sequence, chunk);
        let begin = if self.sequence.is_none() { offset } else { self.within };
        assert_eq!(offset, begin, "bytes within chunk {sequence}");
        self.within = begin;
        if let Some(wrong) = self.clip.first_difference(self.position, &buf[..len]) {
            panic!("{}: byte {wrong} (chunk {sequence}) is wrong", self.clip.name);
        }
        let len = u32::try_from(len).expect("a pull is smaller than a chunk");
        self.within += len;
        assert!(self.within <= chunk, "chunk {sequence} is longer than granted");
        self.position += u64::from(len);
        self.bytes += u64::from(len);
        self.last_pull = Some(now);
        self.sequence = Some(sequence);
        if last {
            self.sequence = Some(sequence + 1);
            self.within = 0;
            self.chunks += 1;
        }
    }

    /// The next bytes are of this chunk. A sequence number always names the same place of the
    /// media (AB-M13).
    fn follow(&mut self, sequence: u32, chunk: u32) {
        let first = u32::try_from(self.position / u64::from(chunk)).expect("a sequence") + 1;
        let next = self.sequence.unwrap_or(first);
        let may_skip = self.may_skip && self.within == 0 && sequence > next;
        assert!(sequence == next || may_skip, "{sequence} for {next}: missing or came again");
        let place = (u64::from(sequence) - 1) * u64::from(chunk);
        if may_skip {
            self.position = place;
        }
        if self.within == 0 && self.sequence.is_some() {
            assert_eq!(self.position, place, "the place of chunk {sequence}");
        }
    }

    /// It is over.
    ///
    /// # Panics
    /// If it claims to be complete and is not, or counts differently.
    pub fn ended(&mut self, ended: Ended) {
        assert!(self.ended.is_none(), "ended twice");
        let sized = self.grant.as_ref().is_some_and(|grant| grant.size.is_some());
        if ended.reason == EndReason::Complete && (sized || !self.may_be_cut) {
            assert_eq!(self.position, self.clip.len, "complete, but not at the end of the clip");
            assert_eq!(self.within, 0, "complete in the middle of a chunk");
            assert_eq!((ended.bytes, ended.chunks), (self.bytes, self.chunks), "counts");
        }
        self.ended = Some(ended);
    }

    /// Whether it has ended with everything delivered.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.ended.is_some_and(|ended| ended.reason == EndReason::Complete)
    }

    /// The client has asked for a pause: after `grace` nothing may come.
    pub fn paused(&mut self, now: Instant, grace: Duration) {
        self.silent_from = Some(now + grace);
    }

    /// The client has asked to go on.
    pub fn resumed(&mut self) {
        self.silent_from = None;
    }
}

#[cfg(test)]
mod tests {
    use anabranch_core::media::{Pace, PausePolicy};

    use super::*;

    const CHUNK: u32 = 10;

    fn playback() -> Playback {
        let mut playback = Playback::new(Clip::new("a", 1, 25));
        playback.opened(&Grant {
            bitrate: 1,
            chunk: CHUNK,
            keepalive: 1,
            timeout: 1,
            name: None,
            size: None,
            kind: String::new(),
            start: 0,
            pause: PausePolicy::Hold,
            pace: Pace::Unpaced,
        });
        playback
    }

    fn chunk(playback: &mut Playback, sequence: u32, at: u64) {
        let bytes = playback.clip.read(at, CHUNK as usize);
        let answer = Pulled::Bytes { len: bytes.len(), sequence, offset: 0, last: true };
        playback.pulled(Instant::ZERO, answer, &bytes);
    }

    fn complete(bytes: u64, chunks: u64) -> Ended {
        Ended { reason: EndReason::Complete, bytes, chunks, missed: 0 }
    }

    #[test]
    fn every_byte_once_and_in_order_is_fine() {
        let mut playback = playback();
        (1..=3).zip([0, 10, 20]).for_each(|(n, at)| chunk(&mut playback, n, at));
        playback.ended(complete(25, 3));
        assert!(playback.is_complete());
    }

    #[test]
    #[should_panic(expected = "missing or came again")]
    fn a_missing_chunk_is_caught() {
        let mut playback = playback();
        chunk(&mut playback, 1, 0);
        chunk(&mut playback, 3, 20);
    }

    #[test]
    #[should_panic(expected = "missing or came again")]
    fn a_repeated_chunk_is_caught() {
        let mut playback = playback();
        chunk(&mut playback, 1, 0);
        chunk(&mut playback, 1, 0);
    }

    #[test]
    #[should_panic(expected = "byte 10 (chunk 2) is wrong")]
    fn wrong_bytes_are_caught() {
        let mut playback = playback();
        chunk(&mut playback, 1, 0);
        chunk(&mut playback, 2, 0);
    }

    #[test]
    #[should_panic(expected = "not at the end of the clip")]
    fn an_early_end_is_caught() {
        let mut playback = playback();
        chunk(&mut playback, 1, 0);
        playback.ended(complete(10, 1));
    }

    #[test]
    #[should_panic(expected = "silence from")]
    fn a_chunk_in_the_silence_is_caught() {
        let mut playback = playback();
        playback.paused(Instant::ZERO, Duration::ZERO);
        let bytes = playback.clip.read(0, 10);
        let answer = Pulled::Bytes { len: 10, sequence: 1, offset: 0, last: true };
        playback.pulled(Instant::from_nanos(1), answer, &bytes);
    }

    #[test]
    fn a_live_resume_may_leave_chunks_out() {
        let mut playback = playback();
        playback.may_skip = true;
        chunk(&mut playback, 1, 0);
        chunk(&mut playback, 3, 20);
        playback.ended(complete(15, 2));
    }
}
