//! Streams that the peer opens: finding out what they are, and giving them to their owner.

use super::carrier::Shared;
use super::connection::Connection;
use super::control::Control;
use super::streams::{self, Owner, Prefix, Typed, kind, rank};
use crate::code::Code;
use crate::error::Violation;
use crate::event::Dialect;
use crate::id::{Dir, SessionId, Side, StreamId};
use crate::limits;
use crate::planted::{self, Bug};
use crate::session::files::Transfer;
use crate::session::{Claim, Session};
use crate::transport::Read;

impl Connection {
    /// Something can be read from a stream.
    pub(super) fn on_readable(&mut self, id: StreamId, shared: &mut Shared<'_>) {
        self.note_claims();
        match self.streams.get(&id) {
            None => self.adopt(id, shared),
            Some(Owner::Untyped(_)) => self.type_stream(id, shared),
            Some(Owner::Control) => self.receive_control(shared),
            Some(Owner::Session(session)) => {
                if let Some(session) = self.sessions.get_mut(session) {
                    session.on_readable(id, &mut self.carrier.cx(shared));
                }
            }
            Some(Owner::FileData(_)) => self.find_transfer(id, shared),
            Some(Owner::Nobody) => self.discard(id),
        }
    }

    /// A stream takes bytes again.
    pub(super) fn on_writable(&mut self, id: StreamId, shared: &mut Shared<'_>) {
        self.note_claims();
        if planted::is(Bug::LostWakeUp) && !self.carrier.events.is_empty() {
            return;
        }
        if let Some(Owner::Session(session)) = self.streams.get(&id)
            && let Some(session) = self.sessions.get_mut(session)
        {
            session.on_writable(id, &mut self.carrier.cx(shared));
        }
    }

    /// Notes what sessions have done with streams.
    pub(super) fn note_claims(&mut self) {
        for claim in std::mem::take(&mut self.carrier.claims) {
            match claim {
                Claim::Own(stream, session) => {
                    self.streams.insert(stream, Owner::Session(session));
                }
                Claim::Free(stream) => {
                    self.streams.insert(stream, Owner::Nobody);
                    if stream.opener() != self.side || stream.dir() == Dir::Bidi {
                        self.discard(stream);
                    }
                }
            }
        }
    }

    /// A stream that is new here.
    fn adopt(&mut self, id: StreamId, shared: &mut Shared<'_>) {
        if id.opener() == self.side {
            return; // One of ours that is over already.
        }
        match self.carrier.dialect {
            Some(Dialect::V1) => {
                let untyped =
                    |owner: &&Owner| matches!(owner, Owner::Untyped(_) | Owner::FileData(_));
                if self.streams.values().filter(untyped).count() >= limits::MAX_UNTYPED_STREAMS {
                    self.refuse(id, Code::Limit);
                    return;
                }
                self.streams.insert(id, Owner::Untyped(Prefix::default()));
                self.type_stream(id, shared);
            }
            Some(Dialect::Classic) if id.opener() == Side::Client && id.dir() == Dir::Bidi => {
                self.start_media(id, shared);
            }
            Some(Dialect::Classic) | None => self.refuse(id, Code::UnknownStream),
        }
    }

    /// After the handshake: the streams that had to wait for it.
    pub(super) fn type_waiting(&mut self, shared: &mut Shared<'_>) {
        let waiting = |owner: &Owner| matches!(owner, Owner::Untyped(_));
        let ids: Vec<StreamId> =
            self.streams.iter().filter(|(_, o)| waiting(o)).map(|(id, _)| *id).collect();
        for id in ids {
            self.type_stream(id, shared);
        }
    }

    /// Reads a stream's type, and finds its owner when it is complete.
    fn type_stream(&mut self, id: StreamId, shared: &mut Shared<'_>) {
        let Some(Owner::Untyped(prefix)) = self.streams.get_mut(&id) else { return };
        let stream_kind = match prefix.read(id, self.carrier.transport.as_mut()) {
            Typed::Wait => return,
            Typed::Ended => {
                self.refuse(id, Code::None);
                return;
            }
            Typed::Kind(stream_kind) => stream_kind,
        };
        if !self.may_handle(stream_kind) {
            return;
        }
        match streams::is_allowed(stream_kind, id.opener(), id.dir()) {
            Some(true) if stream_kind == kind::CONTROL => self.start_control(id, shared),
            Some(true) if stream_kind == kind::FILE_CONTROL => self.start_transfer(id, shared),
            Some(true) if stream_kind == kind::FILE_DATA => {
                self.streams.insert(id, Owner::FileData(Prefix::default()));
                self.find_transfer(id, shared);
            }
            Some(true) => self.start_media(id, shared),
            Some(false) if stream_kind == kind::CONTROL => {
                self.violated(Violation::ControlStream, shared);
            }
            Some(false) => self.violated(Violation::StreamDirection, shared),
            None if kind::is_reserved(stream_kind) => self.refuse(id, Code::None),
            None => {
                log::info!("{} {id} has unknown type {stream_kind}", self.id);
                self.refuse(id, Code::UnknownStream);
            }
        }
    }

    fn start_control(&mut self, id: StreamId, shared: &mut Shared<'_>) {
        if self.control.is_some() {
            self.violated(Violation::ControlStream, shared);
            return;
        }
        let mut control = Control::new(self.side, &shared.config.agent);
        control.attach(id);
        self.control = Some(control);
        self.streams.insert(id, Owner::Control);
        self.carrier.transport.prioritize(id, rank::CONTROL);
        self.receive_control(shared);
    }

    fn start_media(&mut self, id: StreamId, shared: &mut Shared<'_>) {
        if self.sessions.len() - self.transfers() >= limits::MAX_SESSIONS {
            self.refuse(id, Code::Limit);
            return;
        }
        let session = self.new_session(id);
        self.carrier.transport.prioritize(id, rank::MEDIA);
        let mut server = Session::media_server(session, id, &mut self.carrier.cx(shared));
        server.on_readable(id, &mut self.carrier.cx(shared));
        self.sessions.insert(session, server);
    }

    /// A file transfer, or a question about files.
    fn start_transfer(&mut self, id: StreamId, shared: &mut Shared<'_>) {
        if self.transfers() >= limits::MAX_TRANSFERS {
            self.refuse(id, Code::Limit);
            return;
        }
        let session = self.new_session(id);
        self.carrier.transport.prioritize(id, rank::FILE_CONTROL);
        let mut transfer =
            Session::Files(Transfer::accepted(session, id, &self.carrier.cx(shared)));
        transfer.on_readable(id, &mut self.carrier.cx(shared));
        self.sessions.insert(session, transfer);
    }

    /// How many file transfers and questions there are.
    pub(super) fn transfers(&self) -> usize {
        self.sessions.values().filter(|session| matches!(session, Session::Files(_))).count()
    }

    /// Reads which transfer a data stream belongs to, and gives it to that.
    fn find_transfer(&mut self, id: StreamId, shared: &mut Shared<'_>) {
        let Some(Owner::FileData(prefix)) = self.streams.get_mut(&id) else { return };
        let control = match prefix.read(id, self.carrier.transport.as_mut()) {
            Typed::Wait => return,
            Typed::Ended => {
                self.refuse(id, Code::None);
                return;
            }
            Typed::Kind(control) => StreamId(control),
        };
        let session = match self.streams.get(&control) {
            Some(Owner::Session(session)) => *session,
            // It may have ended before its streams have come.
            _ => {
                self.refuse(id, Code::Cancelled);
                return;
            }
        };
        match self.sessions.get_mut(&session).and_then(Session::transfer) {
            Some(transfer) if transfer.stream() == control => {
                self.streams.insert(id, Owner::Session(session));
                transfer.adopt(id, &mut self.carrier.cx(shared));
                self.note_claims();
            }
            Some(_) | None => self.refuse(id, Code::Cancelled),
        }
    }

    /// A number for a new session, which owns the stream from now on.
    pub(super) fn new_session(&mut self, stream: StreamId) -> SessionId {
        let session = SessionId(self.next_session);
        self.next_session += 1;
        self.streams.insert(stream, Owner::Session(session));
        session
    }

    /// Wants nothing of a stream, in either direction.
    fn refuse(&mut self, id: StreamId, code: Code) {
        self.carrier.transport.stop(id, code);
        if id.dir() == Dir::Bidi {
            self.carrier.transport.reset(id, code);
        }
        self.streams.insert(id, Owner::Nobody);
    }

    /// Reads what nobody wants, so that the stream can end.
    pub(super) fn discard(&mut self, id: StreamId) {
        let mut scratch = [0; 1024];
        // A peer that goes on sending is told to stop instead.
        for _ in 0..16 {
            match self.carrier.transport.read(id, &mut scratch) {
                Ok(Read::Bytes(_)) => {}
                Ok(Read::Blocked | Read::Finished) | Err(_) => return,
            }
        }
        self.carrier.transport.stop(id, Code::None);
    }
}
