//! The sending side of a media session (`docs/protocol.md`, rules AB-M*).
//!
//! The stream names the session: session ids that come are ignored. After an OPEN_STREAM that
//! is malformed or refused the session stays in IDLE, so a better one may follow.

mod end;
mod play;
mod receive;
pub(crate) mod state;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;

use super::outbox::Outbox;
use super::pdu::Pdu;
use super::reader::Reader;
use super::timers::{Liveness, Prod};
use super::{EndReason, Event, Grant, Stats};
use crate::code::Code;
use crate::error::Misuse;
use crate::event::Dialect;
use crate::id::{SessionId, StreamId};
use crate::machine::{Machine, Step};
use crate::planted::{self, Bug};
use crate::session::Cx;
use crate::time::{Deadline, Instant, Reason};
use crate::trace::Story;
use play::{Next, Play};
pub(crate) use state::{Input, State};

/// PDUs handled in one call, so that no peer keeps the others waiting.
const PDUS_PER_CALL: usize = 64;
/// How long the client's end mark is waited for after everything has been sent.
const LINGER: Duration = Duration::from_secs(5);

/// One media session, on the server.
#[derive(Debug)]
pub(crate) struct Server {
    id: SessionId,
    stream: StreamId,
    story: Story,
    state: State,
    dialect: Dialect,
    reader: Reader,
    outbox: Outbox,
    play: Option<Play>,
    /// Payload bytes of the chunk that was queued last.
    last_chunk: u32,
    liveness: Liveness,
    prod: Prod,
    paused_at: Option<Instant>,
    paused: Duration,
    ignored: u32,
    /// Why it is closing.
    reason: Option<EndReason>,
    /// [`Event::Ended`] has been emitted.
    ended: bool,
    /// The client's half of the stream has ended, or is of no interest any more.
    read_done: bool,
    /// Until when the client's end mark is waited for.
    linger: Instant,
    /// There may be more to read although no signal will come.
    more: bool,
}

impl Server {
    /// A session on a stream whose type has been read. `leftover` was read with it.
    pub(crate) fn new(id: SessionId, stream: StreamId, leftover: &[u8], cx: &mut Cx<'_>) -> Self {
        Self {
            id,
            stream,
            story: cx.story.of_session(id),
            state: State::Idle,
            dialect: cx.dialect,
            reader: Reader::new(leftover),
            outbox: Outbox::default(),
            play: None,
            last_chunk: 0,
            liveness: Liveness::new(cx.now),
            prod: Prod::new(cx.now),
            paused_at: None,
            paused: Duration::ZERO,
            ignored: 0,
            reason: None,
            ended: false,
            read_done: false,
            linger: cx.now,
            more: true,
        }
    }

    /// The stream the session runs on.
    pub(crate) fn stream(&self) -> StreamId {
        self.stream
    }

    /// What was granted.
    pub(crate) fn grant(&self) -> Option<&Grant> {
        self.play.as_ref().map(|play| &play.grant)
    }

    /// [`Event::Ended`] has been emitted: for the application it is gone.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Over: [`Event::Ended`] has been emitted, and nothing is left to do on the stream.
    pub(crate) fn is_over(&self) -> bool {
        self.ended && self.read_done
    }

    /// [`Server::on_readable`] has to be called again although no signal will come.
    pub(crate) fn is_runnable(&self) -> bool {
        self.more && !self.is_over()
    }

    /// Numbers of the session.
    pub(crate) fn stats(&self, now: Instant) -> Stats {
        let current = self.paused_at.map_or(Duration::ZERO, |at| now.since(at));
        let (bytes, chunks, missed) = self.counts();
        Stats {
            state: self.state.name(),
            bytes,
            chunks,
            missed,
            ignored: self.ignored,
            paused: self.paused + current,
        }
    }

    /// When [`Server::on_timer`] is to be called.
    pub(crate) fn deadline(&self) -> Option<Deadline> {
        if self.ended {
            let linger = Deadline { at: self.linger, why: Reason::SessionTimeout };
            return (!self.read_done).then_some(linger);
        }
        let mut first = Some(self.liveness.timeout_deadline());
        if matches!(self.state, State::Streaming | State::Paused) {
            first = Deadline::earliest(first, Some(self.liveness.beat_deadline()));
        }
        if self.is_prodding() {
            first = Deadline::earliest(first, Some(self.prod.deadline()));
        }
        if self.state == State::Streaming && self.outbox.is_empty() {
            let due = self.play.as_ref().and_then(Play::due);
            let due = due.map(|at| Deadline { at, why: Reason::Pacing });
            first = Deadline::earliest(first, due);
        }
        first
    }

    /// Bytes, an end or a reset have come.
    pub(crate) fn on_readable(&mut self, cx: &mut Cx<'_>) {
        self.more = false;
        if self.ended {
            return self.drain_reader(cx);
        }
        for turn in 0.. {
            if turn == PDUS_PER_CALL {
                self.more = true;
                break;
            }
            if self.read_done || self.ended {
                break;
            }
            let item = self.reader.next(cx.transport, self.stream);
            if self.reader.take_heard() {
                self.liveness.hear(cx.now);
                self.prod.restart(cx.now);
            }
            if !self.on_item(cx, item) {
                break;
            }
        }
        self.pump(cx);
    }

    /// The transport takes bytes again.
    pub(crate) fn on_writable(&mut self, cx: &mut Cx<'_>) {
        self.outbox.unblock();
        self.pump(cx);
    }

    /// A deadline has come.
    pub(crate) fn on_timer(&mut self, cx: &mut Cx<'_>) {
        if self.ended {
            if !self.read_done && cx.now >= self.linger {
                cx.transport.stop(self.stream, Code::None);
                self.read_done = true;
            }
            return;
        }
        if self.liveness.is_timed_out(cx.now) {
            match self.state {
                State::Idle | State::Streaming | State::Paused => {
                    self.say_close(cx, Input::Timeout, EndReason::Timeout);
                }
                // Nobody takes what is left.
                State::Closing | State::Closed => {
                    self.cut(cx, Input::Timeout, Code::Timeout, EndReason::Timeout);
                }
            }
        }
        let open = matches!(self.state, State::Streaming | State::Paused);
        // While something is being written the peer will hear that; a heartbeat behind it would
        // tell it nothing more.
        if open && self.liveness.take_beat(cx.now) && self.outbox.is_empty() {
            self.say(&Pdu::Heartbeat(cx.wall));
        }
        if self.is_prodding() && self.prod.take(cx.now) {
            cx.transport.ping();
        }
        self.pump(cx);
    }

    /// The connection is gone.
    pub(crate) fn on_connection_lost(&mut self, cx: &mut Cx<'_>) {
        self.apply(Input::ConnectionLost);
        self.read_done = true;
        self.end(cx, EndReason::ConnectionLost);
    }

    /// Bytes that were asked for.
    ///
    /// # Errors
    /// [`Misuse::NotWanted`].
    pub(crate) fn supply(
        &mut self,
        cx: &mut Cx<'_>,
        offset: u64,
        bytes: Bytes,
        end: bool,
    ) -> Result<(), Misuse> {
        let nothing = Misuse::NotWanted { wanted: 0, supplied: offset };
        self.play.as_mut().ok_or(nothing)?.source.supply(offset, bytes, end)?;
        self.pump(cx);
        Ok(())
    }

    /// The bytes that were asked for cannot be had.
    pub(crate) fn source_failed(&mut self, cx: &mut Cx<'_>) {
        if matches!(self.state, State::Streaming | State::Paused) {
            self.cut(cx, Input::SourceFailed, Code::SourceFailed, EndReason::SourceFailed);
        }
    }

    /// The application ends the session, after the chunk that is being written.
    ///
    /// # Errors
    /// [`Misuse::WrongState`] if it is ending already.
    pub(crate) fn close(&mut self, cx: &mut Cx<'_>) -> Result<(), Misuse> {
        if self.state.next(Input::Close) == Step::Illegal {
            return Err(Misuse::WrongState { command: "close", state: self.state.name() });
        }
        self.say_close(cx, Input::Close, EndReason::Local);
        self.pump(cx);
        Ok(())
    }

    /// The only place where the state changes. False: not legal in this state.
    fn apply(&mut self, input: Input) -> bool {
        self.story.step("media-server", self.state, input);
        match self.state.next(input) {
            Step::Go(to) => {
                log::trace!("{} {}: {:?} x {input:?} -> {to:?}", self.id, self.stream, self.state);
                self.state = to;
                true
            }
            Step::Stay => true,
            Step::Illegal => false,
        }
    }

    fn say(&mut self, pdu: &Pdu) {
        if !self.outbox.is_finishing() {
            let session = u32::try_from(self.stream.0 / 4).unwrap_or(0).saturating_add(1);
            self.outbox.push(pdu.encode(session, self.dialect == Dialect::V1));
        }
    }
}

/// How chunks leave.
impl Server {
    /// Writes what can be written, chunk after chunk, and asks for what is needed next. A chunk
    /// is queued only when the transport has taken everything before it: a pause takes effect
    /// at the next chunk boundary.
    fn pump(&mut self, cx: &mut Cx<'_>) {
        while !self.ended {
            match self.outbox.flush(cx.transport, self.stream) {
                Err(end) => return self.on_stream_end(cx, end),
                Ok(progress) if progress && self.state == State::Closing => {
                    self.liveness.hear(cx.now);
                }
                Ok(_) => {}
            }
            if self.outbox.is_finished() {
                self.apply(Input::Drained);
                self.end(cx, self.reason.unwrap_or(EndReason::Peer));
                return self.drain_reader(cx);
            }
            if !self.outbox.is_empty() || !self.may_send() || !self.queue_next(cx) {
                break;
            }
        }
        if self.state != State::Paused {
            self.ask(cx);
        }
    }

    /// Whether chunks may leave.
    fn may_send(&self) -> bool {
        let leaks = planted::is(Bug::PauseLeaks)
            && self.state == State::Paused
            && self.play.as_ref().is_some_and(Play::has_chunk);
        self.state == State::Streaming || leaks
    }

    /// Queues the next chunk, or the end. False: nothing to send now.
    fn queue_next(&mut self, cx: &mut Cx<'_>) -> bool {
        let Some(play) = &mut self.play else { return false };
        match play.next(cx.now) {
            Next::Chunk(head, payload) => {
                let session = u32::try_from(self.stream.0 / 4).unwrap_or(0).saturating_add(1);
                self.last_chunk = head.len;
                self.outbox.push_chunk(&head.encode(session), payload.into_iter());
                if self.state == State::Paused {
                    play.source.rest();
                }
                self.prod.restart(cx.now);
            }
            Next::Wait => return false,
            Next::End => self.say_close(cx, Input::MediaEnd, EndReason::Complete),
            Next::Unnumbered => {
                self.cut(cx, Input::SourceFailed, Code::Limit, EndReason::SourceFailed);
            }
        }
        true
    }

    fn ask(&mut self, cx: &mut Cx<'_>) {
        let Some(play) = &mut self.play else { return };
        while let Some((offset, len)) = play.source.ask() {
            let wanted = Event::Wanted { media: play.media, offset, len };
            cx.events.push_back(crate::Event::Media(self.id, wanted));
        }
    }

    /// Whether a classic client is to be prodded: it may have a PAUSE_STREAM or RESUME_STREAM
    /// queued that it sends only when a datagram comes.
    fn is_prodding(&self) -> bool {
        let open = matches!(self.state, State::Streaming | State::Paused);
        self.dialect == Dialect::Classic && open
    }

    fn counts(&self) -> (u64, u64, u64) {
        self.play.as_ref().map_or((0, 0, 0), |play| (play.bytes, play.chunks, play.missed))
    }
}
