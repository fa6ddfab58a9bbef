//! When a connection wants to be woken, and what happens then.

use super::carrier::Shared;
use super::connection::Connection;
use super::state::{Input, State};
use crate::code::Code;
use crate::error::{Lost, Why};
use crate::id::Side;
use crate::time::{Deadline, Instant, Reason};

impl Connection {
    /// When to call [`Connection::expire`].
    pub(crate) fn deadline(&self, shared: &Shared<'_>) -> Option<Deadline> {
        let transport = self.carrier.transport.deadline();
        let mut first = transport.map(|at| Deadline { at, why: Reason::Transport });
        let mut also = |at: Option<Instant>, why| {
            first = Deadline::earliest(first, at.map(|at| Deadline { at, why }));
        };
        match self.state {
            State::Handshaking => also(Some(self.handshake_by), Reason::Handshake),
            State::Open => also(self.keep_alive_at(shared), Reason::KeepAlive),
            State::Draining => also(self.drain_by, Reason::Drain),
            State::Closing | State::Closed => {}
        }
        self.sessions.values().fold(first, |first, s| Deadline::earliest(first, s.deadline()))
    }

    fn keep_alive_at(&self, shared: &Shared<'_>) -> Option<Instant> {
        match self.side {
            Side::Client => shared.config.keep_alive.map(|after| self.last_heard + after),
            Side::Server => None,
        }
    }

    /// The deadline has come.
    pub(crate) fn expire(&mut self, shared: &mut Shared<'_>) {
        let now = shared.now;
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if due(self.carrier.transport.deadline()) {
            self.carrier.transport.expire(now);
        }
        match self.state {
            State::Handshaking if due(Some(self.handshake_by)) => {
                let why = Why::Lost(Lost::HandshakeTimeout);
                self.end(Input::HandshakeDeadline, Code::Timeout, why, shared);
            }
            State::Draining if due(self.drain_by) => {
                let why = Why::Local(Code::GoingAway);
                self.end(Input::DrainDeadline, Code::GoingAway, why, shared);
            }
            State::Open if due(self.keep_alive_at(shared)) => {
                self.last_heard = now;
                self.carrier.transport.ping();
            }
            State::Handshaking | State::Open | State::Draining | State::Closing | State::Closed => {
            }
        }
        for session in self.sessions.values_mut() {
            if due(session.deadline().map(|deadline| deadline.at)) {
                session.on_timer(&mut self.carrier.cx(shared));
            }
        }
    }
}
