//! One stream of a sending, and its frame in the packet under way.

use bytes::Bytes;

use super::Why;
use crate::time::Instant;
use crate::transport::dquic::classic::{DATA, Frame, Layout, StreamStats};

/// One stream that is sent.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// Data of each frame but the last.
    pub(super) size: u32,
    /// What the peer has.
    pub(super) offset: u64,
    /// What it had of this stream before this sending, as far as we know.
    pub(super) before: u64,
    /// The application has given the last byte, and this is where.
    pub(super) end: Option<u64>,
    /// How often the peer went back.
    pub(super) steps_back: u32,
    pub(super) stats: Option<StreamStats>,
}

/// A frame of the packet that is gathered or under way.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) stream: u32,
    pub(super) offset: u64,
    /// How much to ask for.
    pub(super) want: u32,
    pub(super) data: Option<Bytes>,
}

impl Slot {
    /// Writes the frame, or as much of it as [`Outgoing::telling`] says.
    pub(super) fn put(
        &mut self,
        now: Instant,
        layout: Layout,
        stream: &mut Outgoing,
        packet: &mut Vec<u8>,
    ) -> Result<(), Why> {
        let Self { stream: stream_id, offset, .. } = *self;
        let data = self.data.get_or_insert_default();
        let Some(len) = stream.telling(offset, data.len()) else {
            return Err(Why::AlreadyThere { stream: stream_id, bytes: stream.before });
        };
        data.truncate(len);
        let too_long = Why::TooLong { stream: stream_id };
        let length = u32::try_from(len).map_err(|_| too_long)?;
        if offset.saturating_add(u64::from(length)) > layout.max_offset() {
            return Err(too_long);
        }
        let frame = Frame { stream_id, frame_type: DATA, offset, length };
        frame.put(layout, packet).map_err(|_| too_long)?;
        packet.extend_from_slice(data);
        let stats = stream.stats.get_or_insert(StreamStats::starting(now));
        stats.packets += 1;
        stats.frames += 1;
        Ok(())
    }
}

impl Outgoing {
    /// The peer has taken a frame.
    pub(super) fn took(&mut self, now: Instant, count: u64) {
        self.offset = count;
        if let Some(stats) = &mut self.stats {
            (stats.bytes, stats.last) = (count, now);
        }
    }

    /// The peer has less than it said before: it goes on from there.
    pub(super) fn back(&mut self, count: u64) {
        (self.offset, self.end, self.before) = (count, None, 0);
        if let Some(stats) = &mut self.stats {
            stats.bytes = count;
        }
    }

    /// How much of `length` bytes to send at `offset`, so that the answer tells whether they were
    /// taken. A peer that has `before` bytes already would answer a first frame of that length
    /// as if it had taken it. `None`: there is no such way.
    pub(super) fn telling(&self, offset: u64, length: usize) -> Option<usize> {
        match length {
            0 => Some(0),
            _ if offset > 0 || self.before != length as u64 => Some(length),
            1 => None,
            _ => Some(length - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_ends_where_offsets_of_its_layout_do() {
        let end = u64::from(u32::MAX);
        let put = |offset: u64, len: usize, layout| {
            let mut stream =
                Outgoing { size: 2_000, offset, before: 0, end: None, steps_back: 0, stats: None };
            let data = Some(Bytes::from(vec![0; len]));
            let mut slot = Slot { stream: 7, offset, want: 2_000, data };
            slot.put(Instant::ZERO, layout, &mut stream, &mut Vec::new())
        };
        assert_eq!(put(end - 10, 10, Layout::Classic), Ok(()), "its count is the last one");
        for (offset, len) in [(end - 10, 11), (end, 1), (end + 1, 1)] {
            assert_eq!(put(offset, len, Layout::Classic), Err(Why::TooLong { stream: 7 }));
            assert_eq!(put(offset, len, Layout::Wide), Ok(()));
        }
    }
}
