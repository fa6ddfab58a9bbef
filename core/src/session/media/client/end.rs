//! How a session ends on the client.

use super::{Client, Input, LINGER, State};
use crate::code::Code;
use crate::error::Violation;
use crate::session::Cx;
use crate::session::media::{EndReason, Ended, Event};
use crate::transport::StreamEnd;

impl Client {
    /// Both sides have said the end: the bare end mark, and [`Event::Ended`].
    pub(super) fn finish(&mut self, cx: &mut Cx<'_>, reason: EndReason) {
        self.outbox.finish();
        self.flush(cx);
        self.end(cx, reason);
        self.drain_reader(cx);
    }

    pub(super) fn violation(&mut self, cx: &mut Cx<'_>, rule: Violation) {
        log::warn!("{}: ended, the server broke a rule: {rule}", self.id);
        self.cut(cx, Input::Violation, rule.code(), EndReason::Violation(rule));
    }

    pub(super) fn on_stream_end(&mut self, cx: &mut Cx<'_>, end: StreamEnd) {
        let code = match end {
            StreamEnd::ByPeer(code) => code,
            StreamEnd::Gone => Code::None,
        };
        let local = self.state == State::Closing;
        let reason = if local { EndReason::Local } else { EndReason::Reset(code) };
        self.cut(cx, Input::Reset, Code::Cancelled, reason);
    }

    /// Ends both halves of the stream at once, as far as they have not ended.
    pub(super) fn cut(&mut self, cx: &mut Cx<'_>, input: Input, code: Code, reason: EndReason) {
        self.apply(input);
        if !self.outbox.is_finished() {
            cx.transport.reset(self.stream, code);
            self.outbox.abandon();
        }
        if !std::mem::replace(&mut self.read_done, true) {
            cx.transport.stop(self.stream, code);
        }
        self.end(cx, reason);
    }

    /// Emits [`Event::Ended`], once.
    pub(super) fn end(&mut self, cx: &mut Cx<'_>, reason: EndReason) {
        debug_assert_eq!(self.state, State::Closed);
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.chunk = None;
        self.linger = cx.now + LINGER;
        let (bytes, chunks, missed) = (self.bytes, self.chunks, self.missed);
        let ended = Event::Ended(Ended { reason, bytes, chunks, missed });
        cx.events.push_back(crate::Event::Media(self.id, ended));
    }

    /// Reads on to the server's end mark, so that the transport can forget the stream.
    pub(super) fn drain_reader(&mut self, cx: &mut Cx<'_>) {
        if !self.read_done {
            match self.reader.drain(cx.transport, self.stream) {
                Some(done) => self.read_done = done,
                None => self.more = true,
            }
        }
    }
}
