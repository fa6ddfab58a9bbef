//! How a session ends on the server.

use super::{Input, LINGER, Server, State};
use crate::code::Code;
use crate::error::Violation;
use crate::session::Cx;
use crate::session::media::pdu::Pdu;
use crate::session::media::{EndReason, Ended, Event};
use crate::transport::StreamEnd;

impl Server {
    /// Enters CLOSING: CLOSE_STREAM and the end mark, behind a chunk that is being written.
    pub(super) fn say_close(&mut self, cx: &mut Cx<'_>, input: Input, reason: EndReason) {
        let before = self.state;
        self.apply(input);
        if before == State::Closing || self.state != State::Closing {
            return;
        }
        self.reason = Some(reason);
        let dropped = self.outbox.drop_unwritten_chunk();
        if let Some(play) = &mut self.play {
            play.source.close();
            if dropped {
                play.take_back(self.last_chunk);
            }
        }
        self.say(&Pdu::CloseStream);
        self.outbox.finish();
        self.liveness.hear(cx.now);
    }

    pub(super) fn violation(&mut self, cx: &mut Cx<'_>, rule: Violation) {
        log::warn!("{}: ended, the client broke a rule: {rule}", self.id);
        self.cut(cx, Input::Violation, rule.code(), EndReason::Violation(rule));
    }

    /// The client reset its half, or wants no more of ours.
    pub(super) fn on_stream_end(&mut self, cx: &mut Cx<'_>, end: StreamEnd) {
        let code = match end {
            StreamEnd::ByPeer(code) => code,
            StreamEnd::Gone => Code::None,
        };
        let reason = match self.reason {
            Some(reason) if reason != EndReason::Complete => reason,
            _ => EndReason::Reset(code),
        };
        self.cut(cx, Input::Reset, Code::Cancelled, reason);
    }

    /// Ends both halves of the stream at once.
    pub(super) fn cut(&mut self, cx: &mut Cx<'_>, input: Input, code: Code, reason: EndReason) {
        self.apply(input);
        if self.ended {
            return;
        }
        cx.transport.reset(self.stream, code);
        cx.transport.stop(self.stream, code);
        self.outbox.abandon();
        self.read_done = true;
        self.end(cx, reason);
    }

    /// Emits [`Event::Ended`], once.
    pub(super) fn end(&mut self, cx: &mut Cx<'_>, reason: EndReason) {
        debug_assert_eq!(self.state, State::Closed);
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if let Some(play) = &mut self.play {
            play.source.close();
        }
        self.linger = cx.now + LINGER;
        let (bytes, chunks, missed) = self.counts();
        let ended = Event::Ended(Ended { reason, bytes, chunks, missed });
        cx.events.push_back(crate::Event::Media(self.id, ended));
    }

    /// Reads on to the client's end mark, so that the transport can forget the stream.
    pub(super) fn drain_reader(&mut self, cx: &mut Cx<'_>) {
        if self.read_done {
            return;
        }
        match self.reader.drain(cx.transport, self.stream) {
            Some(done) => self.read_done = done,
            None => self.more = true,
        }
    }
}
