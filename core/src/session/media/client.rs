//! The receiving side of a media session (`docs/protocol.md`, rules AB-M*).
//!
//! Payload is never buffered here: a chunk stays in the transport until the application pulls
//! it, so an application that stops pulling stops the server. What stands behind a chunk is
//! not looked at before the chunk has been pulled.

mod end;
mod pull;
mod receive;
pub(crate) mod state;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::outbox::Outbox;
use super::pdu::{OpenStream, Pdu};
use super::reader::Reader;
use super::timers::{Liveness, Prod};
use super::{EndReason, Event, Grant, Request, Stats};
use crate::code::Code;
use crate::error::Misuse;
use crate::event::Dialect;
use crate::id::{SessionId, StreamId};
use crate::machine::{Machine, Step};
use crate::session::Cx;
use crate::time::{Deadline, Instant, Reason};
use crate::trace::Story;
pub(crate) use state::{Input, State};

/// PDUs handled in one call, so that no peer keeps the others waiting.
const PDUS_PER_CALL: usize = 64;
/// How long the server's end mark is waited for after this side has closed.
const LINGER: Duration = Duration::from_secs(5);

/// The chunk that is being pulled.
#[derive(Clone, Copy, Debug)]
struct Chunk {
    sequence: u32,
    len: u32,
    offset: u32,
}

/// Who has to act before anything more is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// The server: nothing is there.
    Server,
    /// The application: it has been told that chunks can be pulled.
    Application,
}

/// What looking for the next chunk gave.
enum Found {
    Chunk,
    Blocked,
    Over,
    /// Enough for one call.
    Later,
}

/// One media session, on the client.
#[derive(Debug)]
pub(crate) struct Client {
    id: SessionId,
    stream: StreamId,
    story: Story,
    session: u32,
    state: State,
    dialect: Dialect,
    reader: Reader,
    outbox: Outbox,
    grant: Option<Grant>,
    turn: Turn,
    chunk: Option<Chunk>,
    /// The lowest sequence that may come next; `None` before the first chunk.
    next_sequence: Option<u64>,
    /// Where in the media the newest chunk ends.
    position: u64,
    bytes: u64,
    chunks: u64,
    missed: u64,
    ignored: u32,
    liveness: Liveness,
    prod: Prod,
    paused_at: Option<Instant>,
    paused: Duration,
    /// [`Event::Ended`] has been emitted.
    ended: bool,
    /// The server's half of the stream has ended, or is of no interest any more.
    read_done: bool,
    /// Until when the end of the stream is waited for.
    linger: Instant,
    /// There may be more to read although no signal will come.
    more: bool,
}

impl Client {
    /// Asks for a session. `prefix` goes in front of everything (the stream type of
    /// `anabranch/1`). The request must have passed [`Request::check`].
    pub(crate) fn new(
        id: SessionId,
        stream: StreamId,
        request: Request,
        prefix: &[u8],
        cx: &mut Cx<'_>,
    ) -> Self {
        let mut client = Self {
            id,
            stream,
            story: cx.story.of_session(id),
            session: 0,
            state: State::Idle,
            dialect: cx.dialect,
            reader: Reader::new(&[]),
            outbox: Outbox::default(),
            grant: None,
            turn: Turn::Server,
            chunk: None,
            next_sequence: None,
            position: 0,
            bytes: 0,
            chunks: 0,
            missed: 0,
            ignored: 0,
            liveness: Liveness::new(cx.now),
            prod: Prod::new(cx.now),
            paused_at: None,
            paused: Duration::ZERO,
            ended: false,
            read_done: false,
            linger: cx.now,
            more: false,
        };
        client.apply(Input::Open);
        if !prefix.is_empty() {
            client.outbox.push(prefix.to_vec());
        }
        client.say(&Pdu::OpenStream(OpenStream { request, encryption: 0, delivery: 0 }));
        client.flush(cx);
        client
    }

    /// The stream the session runs on.
    pub(crate) fn stream(&self) -> StreamId {
        self.stream
    }

    /// What was granted.
    pub(crate) fn grant(&self) -> Option<&Grant> {
        self.grant.as_ref()
    }

    /// [`Event::Ended`] has been emitted: for the application it is gone.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Over: [`Event::Ended`] has been emitted, and nothing is left to do on the stream.
    pub(crate) fn is_over(&self) -> bool {
        self.ended && self.read_done && self.outbox.is_finished()
    }

    /// [`Client::on_readable`] has to be called again although no signal will come.
    pub(crate) fn is_runnable(&self) -> bool {
        self.more && !self.is_over()
    }

    /// Numbers of the session.
    pub(crate) fn stats(&self, now: Instant) -> Stats {
        let current = self.paused_at.map_or(Duration::ZERO, |at| now.since(at));
        Stats {
            state: self.state.name(),
            bytes: self.bytes,
            chunks: self.chunks,
            missed: self.missed,
            ignored: self.ignored,
            paused: self.paused + current,
        }
    }

    /// When [`Client::on_timer`] is to be called.
    pub(crate) fn deadline(&self) -> Option<Deadline> {
        if self.is_over() {
            return None;
        }
        if self.ended || self.state == State::Closing {
            let mut first = Some(Deadline { at: self.linger, why: Reason::SessionTimeout });
            if self.is_prodding() {
                first = Deadline::earliest(first, Some(self.prod.deadline()));
            }
            return first;
        }
        let mut first = Some(self.liveness.beat_deadline());
        if self.is_listening() {
            first = Deadline::earliest(first, Some(self.liveness.timeout_deadline()));
        }
        if self.is_prodding() {
            first = Deadline::earliest(first, Some(self.prod.deadline()));
        }
        first
    }

    /// Asks the server for silence. What is on its way still comes.
    ///
    /// # Errors
    /// [`Misuse::WrongState`].
    pub(crate) fn pause(&mut self, cx: &mut Cx<'_>) -> Result<(), Misuse> {
        self.command(Input::Pause, "pause")?;
        self.paused_at = Some(cx.now);
        self.liveness.hear(cx.now);
        self.prod.restart(cx.now);
        self.say(&Pdu::PauseStream);
        self.flush(cx);
        Ok(())
    }

    /// Asks the server to go on.
    ///
    /// # Errors
    /// [`Misuse::WrongState`].
    pub(crate) fn resume(&mut self, cx: &mut Cx<'_>) -> Result<(), Misuse> {
        self.command(Input::Resume, "resume")?;
        self.paused += self.paused_at.take().map_or(Duration::ZERO, |at| cx.now.since(at));
        self.liveness.hear(cx.now);
        self.prod.restart(cx.now);
        self.say(&Pdu::ResumeStream);
        self.flush(cx);
        Ok(())
    }

    /// Ends the session. What still comes is thrown away.
    ///
    /// # Errors
    /// [`Misuse::WrongState`] if it is ending already.
    pub(crate) fn close(&mut self, cx: &mut Cx<'_>) -> Result<(), Misuse> {
        self.command(Input::Close, "close")?;
        self.say(&Pdu::CloseStream);
        self.outbox.finish();
        self.flush(cx);
        self.chunk = None;
        self.reader.skip_payload();
        self.turn = Turn::Server;
        self.linger = cx.now + LINGER.min(self.liveness.timeout());
        self.prod.restart(cx.now);
        // Something may be there that was left to the application.
        self.more = true;
        Ok(())
    }

    /// Bytes, an end or a reset have come.
    pub(crate) fn on_readable(&mut self, cx: &mut Cx<'_>) {
        self.more = false;
        if self.ended {
            return self.drain_reader(cx);
        }
        if self.turn == Turn::Application {
            return;
        }
        let found = if self.chunk.is_some() { Found::Chunk } else { self.find(cx) };
        match found {
            Found::Chunk => {
                self.turn = Turn::Application;
                cx.events.push_back(crate::Event::Media(self.id, Event::Readable));
            }
            Found::Blocked | Found::Over => {}
            Found::Later => self.more = true,
        }
        self.flush(cx);
    }

    /// The transport takes bytes again.
    pub(crate) fn on_writable(&mut self, cx: &mut Cx<'_>) {
        self.outbox.unblock();
        self.flush(cx);
    }

    /// A deadline has come.
    pub(crate) fn on_timer(&mut self, cx: &mut Cx<'_>) {
        if self.is_over() {
            return;
        }
        if self.is_prodding() && self.prod.take(cx.now) {
            cx.transport.ping();
        }
        if self.ended || self.state == State::Closing {
            if cx.now >= self.linger {
                self.cut(cx, Input::Timeout, Code::Cancelled, EndReason::Local);
            }
            return;
        }
        if self.is_listening() && self.liveness.is_timed_out(cx.now) {
            self.say(&Pdu::CloseStream);
            self.outbox.finish();
            self.flush(cx);
            self.cut(cx, Input::Timeout, Code::Timeout, EndReason::Timeout);
            return;
        }
        if self.liveness.take_beat(cx.now) && self.outbox.is_empty() {
            self.say(&Pdu::Heartbeat(cx.wall));
            self.flush(cx);
        }
    }

    /// The connection is gone.
    pub(crate) fn on_connection_lost(&mut self, cx: &mut Cx<'_>) {
        self.apply(Input::ConnectionLost);
        self.outbox.abandon();
        self.read_done = true;
        self.end(cx, EndReason::ConnectionLost);
    }

    /// The only place where the state changes. False: not legal in this state.
    fn apply(&mut self, input: Input) -> bool {
        self.story.step("media-client", self.state, input);
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

    fn command(&mut self, input: Input, command: &'static str) -> Result<(), Misuse> {
        let state = self.state.name();
        self.apply(input).then_some(()).ok_or(Misuse::WrongState { command, state })
    }

    fn say(&mut self, pdu: &Pdu) {
        if !self.outbox.is_finishing() {
            self.outbox.push(pdu.encode(self.session, true));
        }
    }

    /// Writes what the transport takes. That the server wants no more of our half says nothing
    /// about its own: what it has sent is still read.
    fn flush(&mut self, cx: &mut Cx<'_>) {
        if self.outbox.flush(cx.transport, self.stream).is_err() {
            self.outbox.abandon();
        }
    }

    /// Whether the server's silence counts: not while it is our application that is awaited,
    /// and not while a classic server is paused, which then sends nothing at all.
    fn is_listening(&self) -> bool {
        let silent = self.dialect == Dialect::Classic && self.state == State::Paused;
        self.turn == Turn::Server && !silent
    }

    /// Whether a classic server is to be prodded: it sends what it has queued only when a
    /// datagram comes.
    fn is_prodding(&self) -> bool {
        let open = !matches!(self.state, State::Idle | State::Closed);
        self.dialect == Dialect::Classic && open && self.turn == Turn::Server
    }
}
