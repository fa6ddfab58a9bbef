//! The sending half of a stream: its data, its end, and what of it has arrived.

use std::ops::Range;

use bytes::Bytes;

use super::buffer::SendBuffer;
use super::send_state::{Input, State};
use crate::code::Code;
use crate::id::StreamId;
use crate::machine;
use crate::transport::StreamEnd;
use crate::transport::dquic::frame::{Frame, stream_header};
use crate::transport::dquic::out::{Out, varint_len};
use crate::transport::dquic::recovery::Item;

/// Data is not cut into smaller pieces than this at the end of a packet.
const MIN_PIECE: u64 = 32;

/// What has become of the end mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fin {
    /// The application may write more.
    Open,
    /// It has to be sent.
    Wanted,
    /// It is on its way.
    Sent,
    /// It has arrived.
    Acked,
}

/// The sending half.
#[derive(Debug)]
pub(super) struct SendHalf {
    state: State,
    buffer: SendBuffer,
    fin: Fin,
    /// What the peer lets us send, in bytes from the beginning.
    pub(super) credit: u64,
    /// The credit that the peer was told to be too little.
    pub(super) told_blocked: Option<u64>,
    /// The code of our RESET_STREAM.
    code: u64,
    /// The peer wants no more, and the application does not know yet.
    pub(super) stopped: Option<Code>,
    /// A write was blocked, and [`crate::transport::Signal::Writable`] has not been told since.
    pub(super) is_blocked: bool,
}

impl SendHalf {
    /// Nothing has been written.
    pub(super) fn new(credit: u64) -> Self {
        Self {
            state: State::Ready,
            buffer: SendBuffer::default(),
            fin: Fin::Open,
            credit,
            told_blocked: None,
            code: 0,
            stopped: None,
            is_blocked: false,
        }
    }

    /// Nothing is left to do.
    pub(super) const fn is_over(&self) -> bool {
        self.state.is_over()
    }

    /// Bytes that are kept because they have not arrived.
    pub(super) const fn held(&self) -> u64 {
        self.buffer.held()
    }

    /// How many bytes the peer's credit for this stream has left.
    pub(super) const fn credit_left(&self) -> u64 {
        self.credit.saturating_sub(self.buffer.end())
    }

    /// A writer waits for more of it.
    pub(super) const fn lacks_credit(&self) -> bool {
        self.is_blocked && self.credit_left() == 0
    }

    /// Whether a stop of the peer's still changes anything.
    pub(super) const fn can_stop(&self) -> bool {
        match self.state {
            State::Ready | State::Send | State::DataSent => true,
            State::ResetSent | State::DataRecvd | State::ResetRecvd => false,
        }
    }

    /// Whether the application may write.
    ///
    /// # Errors
    /// The half has ended.
    pub(super) fn check_open(&mut self) -> Result<(), StreamEnd> {
        if let Some(code) = self.stopped.take() {
            return Err(StreamEnd::ByPeer(code));
        }
        match (self.state, self.fin) {
            (State::Ready | State::Send, Fin::Open) => Ok(()),
            _ => Err(StreamEnd::Gone),
        }
    }

    /// Takes bytes, for which the caller has found room.
    pub(super) fn push(&mut self, data: Bytes) {
        self.buffer.push(data);
    }

    /// The stream ends here.
    pub(super) const fn finish(&mut self) {
        self.fin = Fin::Wanted;
    }

    /// Whether something has to be sent.
    pub(super) fn is_pending(&self) -> bool {
        match self.state {
            State::Ready | State::Send | State::DataSent => {
                self.fin == Fin::Wanted || self.buffer.next().is_some()
            }
            State::ResetSent | State::DataRecvd | State::ResetRecvd => false,
        }
    }

    /// Writes one STREAM frame with what is to be sent next. `None`: it does not fit, or nothing
    /// is to be sent.
    pub(super) fn write_frame(&mut self, id: StreamId, out: &mut Out<'_>) -> Option<Item> {
        if !self.is_pending() {
            return None;
        }
        let end = self.buffer.end();
        let next = self.buffer.next().unwrap_or(end..end);
        let offset_len = if next.start == 0 { 0 } else { varint_len(next.start) };
        let room = out.room().checked_sub(1 + varint_len(id.0) + offset_len)?;
        let wanted = next.end - next.start;
        let len = fitting(room, wanted)?;
        if len < wanted.min(MIN_PIECE) {
            return None;
        }
        let range = next.start..next.start + len;
        let fin = self.fin == Fin::Wanted && range.end == end;
        stream_header(out, id, range.start, usize::try_from(len).ok()?, fin);
        let copied = self.buffer.copy(range.clone(), out);
        debug_assert!(copied, "there was room for {range:?}");
        self.buffer.on_sent(range.clone());
        if fin {
            self.fin = Fin::Sent;
        }
        machine::advance(&mut self.state, if fin { Input::SendFin } else { Input::SendData });
        Some(Item::Stream { id, range, fin })
    }

    /// This has arrived. Answers how many bytes are not kept any longer.
    pub(super) fn on_acked(&mut self, range: Range<u64>, fin: bool) -> u64 {
        let freed = self.buffer.on_acked(range);
        if fin {
            self.fin = Fin::Acked;
        }
        if self.fin == Fin::Acked && self.buffer.is_all_acked() {
            machine::advance(&mut self.state, Input::AllAcked);
        }
        freed
    }

    /// This has to be sent again.
    pub(super) fn on_lost(&mut self, range: Range<u64>, fin: bool) {
        self.buffer.on_lost(range);
        if fin && self.fin == Fin::Sent {
            self.fin = Fin::Wanted;
        }
    }

    /// Abandons the half. Answers how many bytes were kept, and how many of them had never been
    /// sent; `None` if it had ended before.
    pub(super) fn reset(&mut self, code: Code) -> Option<(u64, u64)> {
        match self.state {
            State::Ready | State::Send | State::DataSent => {}
            State::ResetSent | State::DataRecvd | State::ResetRecvd => return None,
        }
        machine::advance(&mut self.state, Input::Reset);
        self.code = code.to_wire();
        Some(self.buffer.abandon())
    }

    /// The frame that tells the peer of the reset, as long as the peer does not know.
    pub(super) const fn reset_frame(&self, id: StreamId) -> Option<Frame<'static>> {
        match self.state {
            State::ResetSent => {
                let (code, final_size) = (self.code, self.buffer.sent());
                Some(Frame::ResetStream { id, code, final_size })
            }
            State::Ready | State::Send | State::DataSent | State::DataRecvd | State::ResetRecvd => {
                None
            }
        }
    }

    /// The peer knows of the reset.
    pub(super) fn on_reset_acked(&mut self) {
        machine::advance(&mut self.state, Input::ResetAcked);
    }
}

/// How many of `wanted` bytes fit into `room` with their length in front.
fn fitting(room: usize, wanted: u64) -> Option<u64> {
    [1, 2, 4, 8].into_iter().find_map(|prefix| {
        let len = wanted.min(room.checked_sub(prefix)? as u64);
        (varint_len(len) <= prefix).then_some(len)
    })
}
