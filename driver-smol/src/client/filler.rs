//! From pulls to pieces.

use std::ops::Range;

use anabranch_core::media::Pulled;
use bytes::Bytes;

use super::pool::{Buffer, Pool};

/// Where some bytes of a [`Piece`] belong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The chunk.
    pub sequence: u32,
    /// Where in the chunk the bytes begin.
    pub offset: u32,
    /// They complete the chunk.
    pub last: bool,
    /// Which bytes of the piece.
    pub range: Range<usize>,
}

/// A run of media bytes: of one chunk, or of several that follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The payload bytes, in order.
    pub bytes: Bytes,
    /// Where they belong: at least one part, in order, together all of `bytes`.
    pub parts: Vec<Part>,
}

impl Piece {
    /// The sequence number of the first chunk.
    #[must_use]
    pub fn sequence(&self) -> Option<u32> {
        self.parts.first().map(|part| part.sequence)
    }

    /// Each part with its bytes.
    pub fn iter(&self) -> impl Iterator<Item = (&Part, &[u8])> {
        self.parts.iter().map(|part| (part, &self.bytes[part.range.clone()]))
    }
}

/// Parts of one piece, at most: chunks may be empty, and must not grow a piece without end.
const PARTS: usize = 1_024;

/// Why filling stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// Nothing more is there, and an event will say when there is.
    Blocked,
    /// Every buffer is out. The pool wakes the loop when one is back.
    NoBuffer,
}

/// Fills buffers of one stream as far as they go.
pub(super) struct Filler {
    pool: Pool,
    buffer: Option<Buffer>,
    parts: Vec<Part>,
}

impl Filler {
    pub(super) const fn new(pool: Pool) -> Self {
        Self { pool, buffer: None, parts: Vec::new() }
    }

    /// Pulls until nothing more is there or no buffer is left. Each buffer goes to `give` when it
    /// is full, and the last one as it is, so that nothing waits for bytes that may not come.
    pub(super) fn fill(
        &mut self,
        mut pull: impl FnMut(&mut [u8]) -> Pulled,
        mut give: impl FnMut(Piece),
    ) -> Stopped {
        loop {
            let Some(buffer) = self.buffer.take().or_else(|| self.pool.take()) else {
                return Stopped::NoBuffer;
            };
            let buffer = self.buffer.insert(buffer);
            match pull(buffer.room()) {
                Pulled::Bytes { len, sequence, offset, last } => {
                    let start = buffer.len();
                    buffer.fill(len);
                    let range = start..buffer.len();
                    self.note(Part { sequence, offset, last, range });
                    let full = self.buffer.as_ref().is_some_and(Buffer::is_full);
                    if full || self.parts.len() == PARTS {
                        self.give(&mut give);
                    }
                }
                // What the end was like comes as an event.
                Pulled::Blocked | Pulled::End => {
                    self.give(&mut give);
                    return Stopped::Blocked;
                }
            }
        }
    }

    /// Joins a part to the one before it where it goes on with the same chunk.
    fn note(&mut self, part: Part) {
        if let Some(before) = self.parts.last_mut()
            && before.sequence == part.sequence
            && !before.last
        {
            before.range.end = part.range.end;
            before.last = part.last;
        } else {
            self.parts.push(part);
        }
    }

    fn give(&mut self, give: &mut impl FnMut(Piece)) {
        // An empty chunk has a part without bytes, and is told as well.
        if !self.parts.is_empty()
            && let Some(buffer) = self.buffer.take()
        {
            let parts = std::mem::take(&mut self.parts);
            give(Piece { bytes: Bytes::from_owner(buffer), parts });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::super::pool::{PIECE, PIECES};
    use super::*;

    fn filler() -> Filler {
        Filler::new(Pool::new(Box::new(|| {})))
    }

    /// A source of chunks of one length, pulled in steps of another, with `n` bytes in all.
    fn source(chunk: usize, step: usize, n: usize) -> impl FnMut(&mut [u8]) -> Pulled {
        let mut at = 0;
        move |buf| {
            if at == n {
                return Pulled::Blocked;
            }
            let offset = at % chunk;
            let len = step.min(buf.len()).min(chunk - offset).min(n - at);
            buf[..len].fill(u8::try_from(at / chunk % 251).unwrap());
            let sequence = u32::try_from(at / chunk).unwrap() + 1;
            at += len;
            let last = at % chunk == 0;
            Pulled::Bytes { len, sequence, offset: u32::try_from(offset).unwrap(), last }
        }
    }

    #[test]
    fn a_piece_holds_several_chunks_and_says_which() {
        let mut pieces = Vec::new();
        let stopped = filler().fill(source(1_000, 300, 2_500), |piece| pieces.push(piece));
        assert_eq!((stopped, pieces.len()), (Stopped::Blocked, 1));
        let part = |sequence, offset, last, range| Part { sequence, offset, last, range };
        let expected = [
            part(1, 0, true, 0..1_000),
            part(2, 0, true, 1_000..2_000),
            part(3, 0, false, 2_000..2_500),
        ];
        assert_eq!(pieces[0].parts, expected);
        assert!(pieces[0].iter().all(|(part, bytes)| {
            bytes.len() == part.range.len()
                && bytes.iter().all(|byte| u32::from(*byte) + 1 == part.sequence)
        }));
    }

    #[test]
    fn a_chunk_that_crosses_pieces_goes_on_at_its_offset() {
        let mut pieces = Vec::new();
        let mut filler = filler();
        filler.fill(source(PIECE - 100, 1 << 20, PIECE + 50), |piece| pieces.push(piece));
        assert_eq!(pieces.len(), 2);
        assert_eq!(pieces[0].bytes.len(), PIECE);
        let second = &pieces[1].parts[0];
        assert_eq!((second.sequence, second.offset, second.range.clone()), (2, 100, 0..50));
    }

    #[test]
    fn a_slow_consumer_stops_the_pulling() {
        let mut queue = VecDeque::new();
        let mut filler = filler();
        let mut source = source(64 << 10, 1 << 20, 3 * PIECES * PIECE);
        let mut total = 0;
        assert_eq!(filler.fill(&mut source, |piece| queue.push_back(piece)), Stopped::NoBuffer);
        assert_eq!(queue.len(), PIECES);
        // Nothing is pulled without a buffer.
        let stopped = filler.fill(|_| unreachable!(), |piece| queue.push_back(piece));
        assert_eq!(stopped, Stopped::NoBuffer);
        loop {
            total += queue.pop_front().map_or(0, |piece| piece.bytes.len());
            if filler.fill(&mut source, |piece| queue.push_back(piece)) == Stopped::Blocked {
                break;
            }
        }
        total += queue.iter().map(|piece| piece.bytes.len()).sum::<usize>();
        assert_eq!(total, 3 * PIECES * PIECE);
    }

    #[test]
    fn empty_chunks_do_not_grow_a_piece_without_end() {
        let mut left = 3 * PARTS;
        let pull = |_: &mut [u8]| {
            let Some(next) = left.checked_sub(1) else { return Pulled::Blocked };
            left = next;
            let sequence = u32::try_from(3 * PARTS - left).unwrap();
            Pulled::Bytes { len: 0, sequence, offset: 0, last: true }
        };
        let mut parts = Vec::new();
        filler().fill(pull, |piece| parts.push(piece.parts.len()));
        assert_eq!(parts, [PARTS; 3]);
    }

    #[test]
    fn bytes_are_handed_over_when_nothing_more_is_there() {
        let mut pieces = Vec::new();
        let mut filler = filler();
        filler.fill(source(1_000, 300, 10), |piece| pieces.push(piece));
        assert_eq!(pieces[0].bytes.len(), 10);
        filler.fill(|_| Pulled::End, |piece| pieces.push(piece));
        assert_eq!(pieces.len(), 1);
    }
}
