//! One connection from the inside: the order in which things happen to it.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::carrier::{Carrier, Shared};
use super::control::{Control, Outcome};
use super::state::{Input, State};
use super::streams::{Owner, kind};
use crate::code::Code;
use crate::error::{Lost, Violation, Why};
use crate::event::{Dialect, Event};
use crate::id::{ConnId, Dir, SessionId, Side, StreamId};
use crate::io::{Path, Transmit};
use crate::limits;
use crate::machine::{Machine as _, Step};
use crate::session::{Session, media};
use crate::time::Instant;
use crate::trace::Story;
use crate::transport::{Facts, Signal, Transport};

/// One connection.
pub(crate) struct Connection {
    pub(super) id: ConnId,
    pub(super) side: Side,
    pub(super) state: State,
    pub(super) remote: SocketAddr,
    pub(super) carrier: Carrier,
    /// The control stream; only with [`Dialect::V1`].
    pub(super) control: Option<Control>,
    pub(super) streams: BTreeMap<StreamId, Owner>,
    pub(super) sessions: BTreeMap<SessionId, Session>,
    pub(super) next_session: u32,
    pub(super) handshake_by: Instant,
    /// When [`State::Draining`] is over.
    pub(super) drain_by: Option<Instant>,
    pub(super) last_heard: Instant,
    /// The client's address while its handshake counts as half-open.
    half_open: Option<IpAddr>,
}

impl Connection {
    /// The server's end, from the first datagram of a client.
    pub(crate) fn accepted(
        id: ConnId,
        transport: Box<dyn Transport>,
        remote: SocketAddr,
        shared: &Shared<'_>,
    ) -> Self {
        Self::new(id, Side::Server, transport, remote, shared)
    }

    /// The client's end. `ticket`: the dialect of the connection that the ticket is from, if
    /// one is used.
    pub(crate) fn dialled(
        id: ConnId,
        transport: Box<dyn Transport>,
        remote: SocketAddr,
        ticket: Option<Dialect>,
        shared: &Shared<'_>,
    ) -> Self {
        let mut conn = Self::new(id, Side::Client, transport, remote, shared);
        if ticket == Some(Dialect::V1) {
            conn.control = Some(Control::new(Side::Client, &shared.config.agent));
        }
        conn
    }

    fn new(
        id: ConnId,
        side: Side,
        transport: Box<dyn Transport>,
        remote: SocketAddr,
        shared: &Shared<'_>,
    ) -> Self {
        Self {
            id,
            side,
            state: State::Handshaking,
            remote,
            carrier: Carrier::new(transport, Story::new(shared.trace.clone(), id)),
            control: None,
            streams: BTreeMap::new(),
            sessions: BTreeMap::new(),
            next_session: 0,
            handshake_by: shared.now + shared.config.handshake_timeout,
            drain_by: None,
            last_heard: shared.now,
            half_open: (side == Side::Server).then(|| remote.ip()),
        }
    }

    /// Takes an input of the connection's own state machine. `true`: the state has changed.
    pub(super) fn step(&mut self, input: Input) -> bool {
        self.carrier.story.step("connection", self.state, input);
        match self.state.next(input) {
            Step::Go(next) => {
                log::debug!("{} {:?} x {input:?} -> {next:?}", self.id, self.state);
                self.state = next;
                true
            }
            Step::Stay => false,
            Step::Illegal => {
                debug_assert!(false, "{} {:?} x {input:?}", self.id, self.state);
                false
            }
        }
    }

    /// The client's address, once, when a handshake that counted as half-open is over.
    pub(crate) fn take_half_open(&mut self) -> Option<IpAddr> {
        if self.state == State::Handshaking { None } else { self.half_open.take() }
    }

    /// Its end has not been told, nor is it about to be.
    pub(crate) const fn is_live(&self) -> bool {
        self.state.is_live()
    }

    /// Nothing is left of it.
    pub(crate) fn is_closed(&self) -> bool {
        self.state == State::Closed && self.carrier.events.is_empty()
    }

    /// Numbers of a media session.
    pub(crate) fn media_stats(&self, id: SessionId, now: Instant) -> Option<media::Stats> {
        let session = self.sessions.get(&id).filter(|session| !session.has_ended())?;
        Some(session.media_stats(now))
    }

    /// The next event for the application.
    pub(crate) fn next_event(&mut self) -> Option<Event> {
        self.carrier.events.pop_front()
    }

    /// A datagram has come.
    pub(crate) fn receive(&mut self, now: Instant, path: Path, bytes: &mut [u8]) {
        self.last_heard = now;
        self.carrier.transport.receive(now, path, bytes);
    }

    /// Datagrams to send.
    pub(crate) fn transmit(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit> {
        self.carrier.transport.transmit(now, buf)
    }

    /// Everything that follows from what has come in, up to what can be sent now.
    pub(crate) fn drive(&mut self, shared: &mut Shared<'_>) {
        self.run_control(shared); // Ahead of media: AB-S5.
        while self.has_room()
            && let Some(signal) = self.carrier.transport.poll()
        {
            self.on_signal(signal, shared);
        }
        self.run_sessions(shared);
        self.run_control(shared);
        self.reap();
        if self.state == State::Draining && self.is_quiet() {
            let code = self.farewell();
            self.end(Input::Quiet, code, Why::Local(code), shared);
        }
        if self.state != State::Closed && self.carrier.transport.is_finished() {
            self.on_down(Why::Lost(Lost::IdleTimeout), shared);
            self.step(Input::Finished);
        }
    }

    /// The code of a close after draining.
    fn farewell(&self) -> Code {
        match self.side {
            Side::Server => Code::GoingAway,
            Side::Client => Code::None,
        }
    }

    fn has_room(&self) -> bool {
        self.carrier.events.len() < limits::MAX_EVENTS_QUEUED
    }

    /// Work is left that needs no input: [`Connection::drive`] wants to be called again.
    pub(crate) fn is_runnable(&self) -> bool {
        self.state.is_live()
            && (self.sessions.values().any(Session::is_runnable)
                || self.control.as_ref().is_some_and(Control::is_runnable))
    }

    fn on_signal(&mut self, signal: Signal, shared: &mut Shared<'_>) {
        match signal {
            Signal::Early { alpn } => self.on_early(&alpn, shared),
            Signal::Up(facts) => self.on_up(&facts, shared),
            Signal::Readable(id) if self.state.is_live() => self.on_readable(id, shared),
            Signal::Writable(id) if self.state.is_live() => self.on_writable(id, shared),
            // A peer may allow no stream at first: the control stream waits for that. Sessions
            // are asked for again by the application.
            Signal::Openable if self.side == Side::Client && self.state.is_live() => {
                self.open_control(shared);
            }
            Signal::Readable(_) | Signal::Writable(_) | Signal::Openable => {}
            Signal::Moved(path) => {
                self.remote = path.remote;
                if self.state.is_live() {
                    self.carrier.events.push_back(Event::Moved(path));
                }
            }
            Signal::Down(why) => self.on_down(why, shared),
        }
    }

    fn on_early(&mut self, alpn: &[u8], shared: &mut Shared<'_>) {
        self.carrier.dialect = Dialect::from_alpn(alpn);
        if self.side == Side::Client {
            self.open_control(shared);
        }
    }

    fn on_up(&mut self, facts: &Facts, shared: &mut Shared<'_>) {
        let dialect = Dialect::from_alpn(&facts.alpn);
        let early = self.carrier.dialect.filter(|early| *early == Dialect::V1);
        let (Some(dialect), true) = (dialect, early.is_none() || early == dialect) else {
            self.end(Input::Close, Code::Refused, Why::Lost(Lost::NoProtocol), shared);
            return;
        };
        if !self.step(Input::Up) {
            return;
        }
        self.remote = facts.remote;
        self.carrier.dialect = Some(dialect);
        self.carrier.events.push_back(Event::Connected {
            dialect,
            remote: facts.remote,
            peer_key: facts.peer_key,
            resumed: facts.resumed,
        });
        match (self.side, dialect) {
            (Side::Client, Dialect::V1) => {
                self.open_control(shared);
            }
            (Side::Client, Dialect::Classic) => self.control = None,
            (Side::Server, Dialect::V1 | Dialect::Classic) => self.type_waiting(shared),
        }
    }

    /// The client opens the control stream, before any other.
    ///
    /// `false`: it is needed, and the peer does not allow it yet.
    pub(super) fn open_control(&mut self, shared: &Shared<'_>) -> bool {
        if self.carrier.dialect != Some(Dialect::V1) {
            return true;
        }
        let agent = &shared.config.agent;
        let control = self.control.get_or_insert_with(|| Control::new(Side::Client, agent));
        if !control.is_attached()
            && let Some(stream) = self.carrier.transport.open(Dir::Bidi)
        {
            control.attach(stream);
            self.streams.insert(stream, Owner::Control);
            self.carrier.transport.prioritize(stream, super::streams::rank::CONTROL);
        }
        self.control.as_ref().is_some_and(Control::is_attached)
    }

    fn on_down(&mut self, why: Why, shared: &mut Shared<'_>) {
        if self.step(Input::Down) {
            self.tell_end(why, shared);
        }
    }

    /// Ends the connection from this side, if it has not ended.
    pub(super) fn end(&mut self, input: Input, code: Code, why: Why, shared: &mut Shared<'_>) {
        if !self.step(input) {
            return;
        }
        let reason = match &why {
            Why::Violation(rule) => rule.to_string(),
            Why::Local(_) | Why::Peer(..) | Why::Lost(_) => String::new(),
        };
        self.carrier.close(shared.now, code, &reason);
        self.tell_end(why, shared);
    }

    /// The application closes it.
    pub(crate) fn close(&mut self, code: Code, reason: String, shared: &mut Shared<'_>) {
        self.carrier.reason = Some(reason);
        self.end(Input::Close, code, Why::Local(code), shared);
    }

    /// The peer broke a rule.
    pub(super) fn violated(&mut self, rule: Violation, shared: &mut Shared<'_>) {
        log::info!("{} {}: {rule}", self.id, self.remote);
        self.end(Input::Violation, rule.code(), Why::Violation(rule), shared);
    }

    /// No session outlives its connection.
    fn tell_end(&mut self, why: Why, shared: &mut Shared<'_>) {
        for session in self.sessions.values_mut() {
            session.on_connection_lost(&mut self.carrier.cx(shared));
        }
        self.sessions.clear();
        self.streams.clear();
        self.control = None;
        self.carrier.events.push_back(Event::Closed(why));
    }

    fn run_sessions(&mut self, shared: &mut Shared<'_>) {
        if !self.state.is_live() {
            return;
        }
        for session in self.sessions.values_mut() {
            if session.is_runnable() {
                session.on_readable(&mut self.carrier.cx(shared));
            }
        }
    }

    fn run_control(&mut self, shared: &mut Shared<'_>) {
        if self.control.as_ref().is_some_and(Control::is_runnable) {
            self.receive_control(shared);
        }
        let flushed = match &mut self.control {
            Some(control) => control.flush(self.carrier.transport.as_mut()),
            None => Ok(()),
        };
        if let Err(rule) = flushed {
            self.violated(rule, shared);
        }
    }

    pub(super) fn receive_control(&mut self, shared: &mut Shared<'_>) {
        let Some(control) = &mut self.control else { return };
        match control.receive(&mut self.carrier.cx(shared)) {
            Ok(Outcome::Go) => {}
            Ok(Outcome::PeerGoesAway) => self.carrier.draining = true,
            Err(rule) => self.violated(rule, shared),
        }
    }

    /// Forgets sessions and streams that are over.
    fn reap(&mut self) {
        let over: Vec<SessionId> =
            self.sessions.iter().filter(|(_, s)| s.is_over()).map(|(id, _)| *id).collect();
        for id in over {
            if let Some(session) = self.sessions.remove(&id) {
                self.streams.insert(session.stream(), Owner::Nobody);
                self.discard(session.stream());
            }
        }
        let transport = &self.carrier.transport;
        self.streams.retain(|id, owner| *owner != Owner::Nobody || !transport.is_over(*id));
    }

    fn is_quiet(&self) -> bool {
        self.sessions.is_empty()
            && self.control.as_ref().is_none_or(Control::is_flushed)
            && !self.streams.values().any(|owner| *owner == Owner::Nobody)
    }

    /// Starts nothing new, and ends when what runs has ended, at `by` at the latest.
    pub(crate) fn drain(&mut self, by: Instant, shared: &mut Shared<'_>) {
        if self.state == State::Handshaking {
            self.end(Input::Drain, Code::GoingAway, Why::Local(Code::GoingAway), shared);
        } else if self.step(Input::Drain) {
            self.carrier.draining = true;
            self.drain_by = Some(by);
            if let Some(control) = &mut self.control {
                control.go_away(by.since(shared.now));
            }
        }
    }

    /// A stream that begins with this type may be given to whoever handles that type.
    pub(super) fn may_handle(&self, stream_kind: u64) -> bool {
        // What comes in 0-RTT may be a replay: only control messages are safe to repeat.
        stream_kind == kind::CONTROL || !self.carrier.transport.is_early()
    }
}
