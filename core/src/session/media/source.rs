//! The bytes of the media on the sending side: what is asked of the application, what it has
//! given, and what is sent next. Holds at most [`limits::MAX_SUPPLIED`] bytes, never a file.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::error::Misuse;
use crate::limits;

/// Requests under way at once: one is read while the other is sent.
const MAX_OUTSTANDING: usize = 2;

/// A request that the application has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Want {
    offset: u64,
    len: usize,
    /// Sending has moved on to another place: the answer will be dropped.
    stale: bool,
}

/// What can be sent next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ready {
    /// So many bytes, all there.
    Chunk(u32),
    /// The application has to supply first.
    Starved,
    /// Nothing is left.
    End,
}

/// The sending side's view of the media.
#[derive(Debug)]
pub(super) struct Source {
    chunk: u32,
    /// The next byte to send.
    offset: u64,
    held: VecDeque<Bytes>,
    held_len: usize,
    outstanding: VecDeque<Want>,
    /// Where the media ends, where that is known.
    end: Option<u64>,
    /// Ask far ahead, for a sender that is not paced.
    eager: bool,
    closed: bool,
}

impl Source {
    pub(super) fn new(offset: u64, chunk: u32, size: Option<u64>, eager: bool) -> Self {
        Self {
            chunk: chunk.max(1),
            offset,
            held: VecDeque::new(),
            held_len: 0,
            outstanding: VecDeque::new(),
            end: size,
            eager,
            closed: false,
        }
    }

    /// The next byte to send.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The number of the chunk that holds the next byte, from 1.
    /// `None`: further on than sequence numbers reach.
    pub(super) fn sequence(&self) -> Option<u32> {
        u32::try_from(self.offset / u64::from(self.chunk)).ok()?.checked_add(1)
    }

    /// Where the media ends, where that is known.
    pub(super) fn end(&self) -> Option<u64> {
        self.end
    }

    /// The request to make next: place and length.
    pub(super) fn ask(&mut self) -> Option<(u64, usize)> {
        if self.closed || self.outstanding.len() >= MAX_OUTSTANDING {
            return None;
        }
        let under_way: usize =
            self.outstanding.iter().filter(|want| !want.stale).map(|want| want.len).sum();
        let ahead = self.held_len + under_way;
        let from = self.offset.checked_add(ahead as u64)?;
        let left = self.end.map_or(u64::MAX, |end| end.saturating_sub(from));
        let most = if self.eager {
            let piece = limits::WANTED_UNPACED.max(self.chunk as usize).min(limits::MAX_WANTED);
            (2 * piece).checked_sub(ahead).filter(|room| *room >= piece)?;
            piece as u64
        } else {
            let chunk = u64::from(self.chunk);
            let needed = (self.offset / chunk + 2).saturating_mul(chunk);
            needed.saturating_sub(from).min(limits::MAX_WANTED as u64)
        };
        let len = usize::try_from(most.min(left)).ok().filter(|len| *len > 0)?;
        self.outstanding.push_back(Want { offset: from, len, stale: false });
        Some((from, len))
    }

    /// The application answers the oldest request. No bytes at all, or `end`, mean that the
    /// media ends there; fewer bytes than asked for mean that the rest is asked for again.
    pub(super) fn supply(&mut self, offset: u64, bytes: Bytes, end: bool) -> Result<(), Misuse> {
        let Some(want) = self.outstanding.front().copied() else {
            return Err(Misuse::NotWanted { wanted: self.offset, supplied: offset });
        };
        if want.offset != offset || bytes.len() > want.len {
            return Err(Misuse::NotWanted { wanted: want.offset, supplied: offset });
        }
        self.outstanding.pop_front();
        if want.stale || self.closed {
            return Ok(());
        }
        let short = bytes.len() < want.len;
        let end = end || bytes.is_empty();
        let reached = offset.saturating_add(bytes.len() as u64);
        self.held_len += bytes.len();
        if !bytes.is_empty() {
            self.held.push_back(bytes);
        }
        if end {
            self.end = Some(reached);
        }
        if end || short {
            self.outstanding.iter_mut().for_each(|want| want.stale = true);
        }
        Ok(())
    }

    /// What can be sent next.
    pub(super) fn ready(&self) -> Ready {
        let chunk = u64::from(self.chunk);
        let left = self.end.map_or(u64::MAX, |end| end.saturating_sub(self.offset));
        if left == 0 {
            return Ready::End;
        }
        let len = (chunk - self.offset % chunk).min(left);
        if len > self.held_len as u64 {
            return Ready::Starved;
        }
        u32::try_from(len).map_or(Ready::Starved, Ready::Chunk)
    }

    /// Takes `len` bytes off the front, in as many slices as they were supplied in.
    pub(super) fn take(&mut self, len: u32) -> Vec<Bytes> {
        let mut left = (len as usize).min(self.held_len);
        self.held_len -= left;
        self.offset = self.offset.saturating_add(left as u64);
        let mut out = Vec::with_capacity(2);
        while left > 0 {
            let Some(mut front) = self.held.pop_front() else { break };
            if front.len() > left {
                out.push(front.split_to(left));
                self.held.push_front(front);
                break;
            }
            left -= front.len();
            out.push(front);
        }
        out
    }

    /// Nothing will be sent for a while: what is held is dropped, and asked for again later.
    pub(super) fn rest(&mut self) {
        self.drop_all();
    }

    /// Goes on at another place: what is held is dropped, what is under way will be.
    pub(super) fn jump(&mut self, offset: u64) {
        self.drop_all();
        self.offset = offset;
    }

    /// Nothing more is sent or asked for.
    pub(super) fn close(&mut self) {
        self.drop_all();
        self.closed = true;
    }

    fn drop_all(&mut self) {
        self.held.clear();
        self.held_len = 0;
        self.outstanding.iter_mut().for_each(|want| want.stale = true);
    }

    /// Bytes held and asked for.
    #[cfg(test)]
    pub(super) fn footprint(&self) -> usize {
        self.held_len + self.outstanding.iter().map(|want| want.len).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(len: usize) -> Bytes {
        vec![7; len].into()
    }

    #[test]
    fn a_rest_holds_nothing_and_goes_on_at_the_same_byte() {
        let mut source = Source::new(0, 1_000, Some(1 << 30), false);
        let (offset, len) = source.ask().unwrap();
        source.supply(offset, bytes(len), false).unwrap();
        source.take(500);
        let under_way = source.ask();
        source.rest();
        assert_eq!((source.ready(), source.offset()), (Ready::Starved, 500));
        if let Some((offset, len)) = under_way {
            source.supply(offset, bytes(len), false).unwrap();
        }
        assert_eq!((source.held_len, source.footprint()), (0, 0));
        assert_eq!(source.ask(), Some((500, 1_500)));
    }

    #[test]
    fn paced_asks_for_two_chunks_and_eager_for_the_limit() {
        let mut paced = Source::new(0, 1_000, Some(1 << 30), false);
        assert_eq!((paced.ask(), paced.ask()), (Some((0, 2_000)), None));
        let mut eager = Source::new(5, 1_000, None, true);
        let piece = limits::WANTED_UNPACED;
        assert_eq!(eager.ask(), Some((5, piece)));
        assert_eq!(eager.ask(), Some((5 + piece as u64, piece)));
        assert_eq!(eager.ask(), None);
        let mut eager = Source::new(5, 1 << 20, None, true);
        let max = limits::MAX_WANTED;
        assert_eq!(eager.ask(), Some((5, max)));
        assert_eq!(eager.ask(), Some((5 + max as u64, max)));
        assert_eq!(eager.ask(), None);
        assert_eq!(eager.footprint(), limits::MAX_SUPPLIED);
    }

    #[test]
    fn only_what_is_wanted_can_be_supplied() {
        let mut source = Source::new(0, 1_000, Some(10_000), false);
        let misuse = |wanted, supplied| Err(Misuse::NotWanted { wanted, supplied });
        assert_eq!(source.supply(0, bytes(1), false), misuse(0, 0));
        source.ask();
        assert_eq!(source.supply(1, bytes(1), false), misuse(0, 1));
        assert_eq!(source.supply(0, bytes(2_001), false), misuse(0, 0));
        assert_eq!(source.supply(0, bytes(2_000), false), Ok(()));
        assert_eq!(source.supply(0, bytes(2_000), false), misuse(0, 0));
    }

    #[test]
    fn a_short_answer_is_asked_for_again_and_what_came_after_it_is_dropped() {
        let mut source = Source::new(0, 1_000, None, true);
        let max = limits::WANTED_UNPACED;
        source.ask();
        source.ask();
        assert_eq!(source.supply(0, bytes(10), false), Ok(()));
        assert_eq!(source.ask(), Some((10, max)));
        assert_eq!(source.supply(max as u64, bytes(max), true), Ok(()), "stale");
        assert_eq!(source.supply(10, bytes(max), false), Ok(()));
        assert_eq!(source.ready(), Ready::Chunk(1_000));
        assert_eq!(source.end(), None);
    }

    #[test]
    fn a_chunk_is_cut_from_slices_without_copying() {
        let mut source = Source::new(0, 1_500, Some(3_000), false);
        source.ask();
        let (a, b) = (bytes(1_000), bytes(2_000));
        let pointers = (a.as_ptr(), b.as_ptr());
        source.supply(0, a, false).unwrap();
        assert_eq!(source.ready(), Ready::Starved);
        assert_eq!(source.ask(), Some((1_000, 2_000)));
        source.supply(1_000, b, true).unwrap();
        let parts = source.take(1_500);
        assert_eq!((parts[0].as_ptr(), parts[1].as_ptr()), pointers);
        assert_eq!((parts[0].len(), parts[1].len()), (1_000, 500));
        assert_eq!((source.sequence(), source.offset()), (Some(2), 1_500));
        assert_eq!(source.take(1_500).len(), 1);
        assert_eq!(source.ready(), Ready::End);
    }

    #[test]
    fn jumping_about_never_has_more_than_two_requests_under_way() {
        let mut source = Source::new(0, 1_000, None, true);
        source.ask();
        source.ask();
        for place in 1..100 {
            source.jump(place * 5_000);
            assert_eq!(source.ask(), None);
            assert_eq!(source.outstanding.len(), 2);
        }
        source.supply(0, bytes(5), false).unwrap();
        assert_eq!(source.ask(), Some((99 * 5_000, limits::WANTED_UNPACED)));
    }

    #[test]
    fn the_end_is_where_the_application_says_even_if_the_size_was_larger() {
        let mut source = Source::new(0, 1_000, Some(10_000), false);
        source.ask();
        source.supply(0, bytes(1_200), true).unwrap();
        assert_eq!((source.end(), source.ready()), (Some(1_200), Ready::Chunk(1_000)));
        source.take(1_000);
        assert_eq!(source.ready(), Ready::Chunk(200));
        source.take(200);
        assert_eq!((source.ready(), source.ask()), (Ready::End, None));
    }
}
