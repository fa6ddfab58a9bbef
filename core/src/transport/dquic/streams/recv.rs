//! The receiving half of a stream: what has come, its end, and what the peer may send.

use super::reassembly::Reassembly;
use super::recv_state::{Input, State};
use super::window::Window;
use crate::code::Code;
use crate::id::StreamId;
use crate::machine;
use crate::transport::dquic::error::TransportError;
use crate::transport::dquic::frame::{Frame, StreamFrame};
use crate::transport::{Read, StreamEnd};

/// The receiving half.
#[derive(Debug)]
pub(super) struct RecvHalf {
    state: State,
    data: Reassembly,
    /// What the peer may send.
    pub(super) window: Window,
    /// The end of the last byte that has come, or was announced by a reset.
    highest: u64,
    /// How long the stream is, once that is known.
    size: Option<u64>,
    /// How many bytes the connection's window has got back.
    credited: u64,
    /// The application has been told that there is something to read, and has not read all.
    told: bool,
    /// Telling it is under way.
    is_queued: bool,
    /// The code of the peer's reset, or of our stop.
    code: Code,
}

impl RecvHalf {
    /// Nothing has come.
    pub(super) fn new(window: Window) -> Self {
        Self {
            state: State::Recv,
            data: Reassembly::default(),
            window,
            highest: 0,
            size: None,
            credited: 0,
            told: false,
            is_queued: false,
            code: Code::None,
        }
    }

    /// Nothing is left to do.
    pub(super) const fn is_over(&self) -> bool {
        self.state.is_over()
    }

    /// Whether a frame that reaches to `end` may come, and how many bytes that have not been
    /// counted yet it makes the stream longer by.
    ///
    /// # Errors
    /// Flow control or final size are violated (RFC 9000 sections 4.1 and 4.5).
    pub(super) fn check(&self, end: u64, is_final: bool) -> Result<u64, TransportError> {
        let fits = match self.size {
            Some(size) => end == size || (end < size && !is_final),
            None => !is_final || end >= self.highest,
        };
        if !fits {
            return Err(TransportError::FinalSize);
        }
        if end > self.window.told() {
            return Err(TransportError::FlowControl);
        }
        Ok(end.saturating_sub(self.highest))
    }

    /// Takes data that was [checked](Self::check). Answers how many bytes the connection's
    /// window gets back, because nobody will read them.
    ///
    /// # Errors
    /// There are too many gaps.
    pub(super) fn on_data(&mut self, frame: &StreamFrame<'_>) -> Result<u64, TransportError> {
        let end = frame.offset + frame.data.len() as u64;
        self.highest = self.highest.max(end);
        if frame.fin {
            self.size = Some(end);
        }
        if self.state.keeps_data() {
            let inserted = self.data.insert(frame.offset, frame.data);
            inserted.map_err(|_| TransportError::ProtocolViolation)?;
        }
        let there = self.data.read_so_far() + self.data.readable();
        machine::advance(
            &mut self.state,
            match self.size {
                Some(size) if there == size => Input::All,
                Some(_) => Input::Fin,
                None => Input::Data,
            },
        );
        Ok(if self.state == State::Stopped || self.is_over() { self.drop_data() } else { 0 })
    }

    /// The peer has abandoned the stream, and that was [checked](Self::check). Answers like
    /// [`RecvHalf::on_data`].
    pub(super) fn on_reset(&mut self, code: u64, size: u64) -> u64 {
        self.highest = self.highest.max(size);
        self.size = Some(size);
        machine::advance(&mut self.state, Input::Reset);
        if self.state == State::ResetRecvd {
            self.code = Code::from_wire(code);
        }
        match self.state {
            State::ResetRecvd | State::ResetRead | State::DataRead => self.drop_data(),
            State::Recv | State::SizeKnown | State::Stopped | State::DataRecvd => 0,
        }
    }

    fn drop_data(&mut self) -> u64 {
        self.data.clear();
        let credit = self.highest - self.credited;
        self.credited = self.highest;
        credit
    }

    /// Whether a read would give something else than [`Read::Blocked`] or nothing at all.
    fn is_readable(&self) -> bool {
        match self.state {
            State::Recv | State::SizeKnown => self.data.readable() > 0,
            State::DataRecvd | State::ResetRecvd => true,
            State::Stopped | State::DataRead | State::ResetRead => false,
        }
    }

    /// Something has come. True if the application has to be told that there is something to
    /// read, and that is not under way: once for each time that it has read everything.
    pub(super) fn queue(&mut self) -> bool {
        let is_news = self.is_readable() && !self.told;
        self.told |= is_news;
        is_news && !std::mem::replace(&mut self.is_queued, true)
    }

    /// Its turn to be told has come. True if there still is something to tell.
    pub(super) fn tell(&mut self) -> bool {
        self.is_queued = false;
        self.told && self.is_readable()
    }

    /// The application reads. What was read goes back to both windows, the connection's through
    /// the caller.
    pub(super) fn read(&mut self, buf: &mut [u8]) -> Result<Read, StreamEnd> {
        match self.state {
            State::Recv | State::SizeKnown | State::DataRecvd => {}
            State::ResetRecvd => {
                machine::advance(&mut self.state, Input::ReadReset);
                return Err(StreamEnd::ByPeer(self.code));
            }
            State::Stopped | State::DataRead | State::ResetRead => return Err(StreamEnd::Gone),
        }
        let len = self.data.read(buf);
        if len > 0 {
            self.credited += len as u64;
            self.window.consume(len as u64);
            return Ok(Read::Bytes(len));
        }
        if self.state == State::DataRecvd && self.size == Some(self.data.read_so_far()) {
            machine::advance(&mut self.state, Input::ReadAll);
            return Ok(Read::Finished);
        }
        self.told = false;
        Ok(Read::Blocked)
    }

    /// The application wants no more. Answers like [`RecvHalf::on_data`].
    pub(super) fn stop(&mut self, code: Code) -> u64 {
        if self.state == State::Stopped || self.is_over() {
            return 0;
        }
        machine::advance(&mut self.state, Input::Stop);
        self.code = code;
        self.drop_data()
    }

    /// The frame that asks the peer to stop, as long as that is of use.
    pub(super) fn stop_frame(&self, id: StreamId) -> Option<Frame<'static>> {
        let code = self.code.to_wire();
        (self.state == State::Stopped).then_some(Frame::StopSending { id, code })
    }

    /// Whether the peer may need more credit.
    pub(super) fn wants_credit(&self) -> bool {
        self.state == State::Recv && self.window.is_low()
    }

    /// Whether credit is of use to the peer.
    pub(super) fn takes_credit(&self) -> bool {
        self.state == State::Recv
    }
}
