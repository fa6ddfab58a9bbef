//! What the peer says about streams and credit.

use super::Streams;
use super::recv::RecvHalf;
use super::send::SendHalf;
use crate::code::Code;
use crate::id::{Dir, StreamId};
use crate::transport::dquic::error::TransportError;
use crate::transport::dquic::frame::{Frame, StreamFrame};

type Outcome = Result<(), TransportError>;

impl Streams {
    /// Takes a frame. Frames that are not about streams or credit are left alone.
    ///
    /// # Errors
    /// The rule that the peer broke, for which the connection is to be closed.
    pub(crate) fn on_frame(&mut self, frame: &Frame<'_>) -> Outcome {
        match *frame {
            Frame::Stream(ref frame) => self.on_stream(frame),
            Frame::ResetStream { id, code, final_size } => self.on_reset(id, code, final_size),
            Frame::StopSending { id, code } => self.on_stop(id, Code::from_wire(code)),
            Frame::MaxData(max) => {
                self.peer.max_data = self.peer.max_data.max(max);
                self.look = true;
                Ok(())
            }
            Frame::MaxStreamData { id, max } => {
                if let Some(send) = self.named_send_half(id)? {
                    send.credit = send.credit.max(max);
                    self.look = true;
                }
                Ok(())
            }
            Frame::MaxStreams { dir, max } => {
                self.openings.raise(dir, max);
                Ok(())
            }
            // What is missing is sent without being asked for.
            Frame::DataBlocked(_) => Ok(()),
            Frame::StreamDataBlocked { id, .. } => self.named_recv_half(id).map(|_| ()),
            Frame::StreamsBlocked { dir, max } => {
                self.openings.on_blocked(dir, max);
                Ok(())
            }
            Frame::Padding(_)
            | Frame::Ping
            | Frame::Ack(_)
            | Frame::NewConnectionId { .. }
            | Frame::RetireConnectionId(_)
            | Frame::PathChallenge(_)
            | Frame::PathResponse(_)
            | Frame::ConnectionClose { .. } => Ok(()),
        }
    }

    /// A frame names a stream: it has to be one that was opened, or that the peer may open now.
    fn name(&mut self, id: StreamId) -> Outcome {
        if id.opener() == self.setup.side {
            let was_opened = self.openings.was_opened(id);
            return if was_opened { Ok(()) } else { Err(TransportError::StreamState) };
        }
        let new = self.openings.reach(id).map_err(|_| TransportError::StreamLimit)?;
        new.for_each(|id| self.insert(id));
        Ok(())
    }

    /// The sending half of a stream that a frame names. `None`: it is over.
    fn named_send_half(&mut self, id: StreamId) -> Result<Option<&mut SendHalf>, TransportError> {
        if id.dir() == Dir::Uni && id.opener() != self.setup.side {
            return Err(TransportError::StreamState);
        }
        self.name(id)?;
        Ok(self.send_half(id))
    }

    /// The receiving half of a stream that a frame names. `None`: it is over.
    fn named_recv_half(&mut self, id: StreamId) -> Result<Option<&mut RecvHalf>, TransportError> {
        if id.dir() == Dir::Uni && id.opener() == self.setup.side {
            return Err(TransportError::StreamState);
        }
        self.name(id)?;
        Ok(self.recv_half(id))
    }

    /// Counts what a frame adds to a stream against both windows. `None`: the stream is over.
    fn count(
        &mut self,
        id: StreamId,
        end: u64,
        is_final: bool,
    ) -> Result<Option<&mut RecvHalf>, TransportError> {
        let Some(recv) = self.named_recv_half(id)? else { return Ok(None) };
        let received = recv.check(end, is_final)?;
        self.received += received;
        if self.received > self.window.told() {
            return Err(TransportError::FlowControl);
        }
        Ok(self.recv_half(id))
    }

    fn on_stream(&mut self, frame: &StreamFrame<'_>) -> Outcome {
        let end = frame.offset + frame.data.len() as u64;
        let Some(recv) = self.count(frame.id, end, frame.fin)? else { return Ok(()) };
        let credit = recv.on_data(frame)?;
        self.received_on(frame.id, credit);
        Ok(())
    }

    fn on_reset(&mut self, id: StreamId, code: u64, final_size: u64) -> Outcome {
        let Some(recv) = self.count(id, final_size, true)? else { return Ok(()) };
        let credit = recv.on_reset(code, final_size);
        self.received_on(id, credit);
        Ok(())
    }

    /// Something has come on a stream, and the connection's window gets `credit` back.
    fn received_on(&mut self, id: StreamId, credit: u64) {
        self.window.consume(credit);
        let Some(recv) = self.recv_half(id) else { return };
        let is_news = recv.queue();
        if !recv.takes_credit() {
            self.pending.max_stream_data.remove(&id);
        }
        if is_news {
            self.readable.push_back(id);
        }
        self.remove_if_over(id);
    }

    /// The peer wants no more of a stream: it gets none (RFC 9000 section 3.5).
    fn on_stop(&mut self, id: StreamId, code: Code) -> Outcome {
        let Some(send) = self.named_send_half(id)? else { return Ok(()) };
        if send.can_stop() {
            send.stopped = Some(code);
            self.abandon(id, code);
        }
        Ok(())
    }
}
