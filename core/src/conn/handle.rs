//! Borrowed handles: the commands an application can give.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::carrier::Shared;
use super::command::{Answer, Command};
use super::connection::Connection;
use super::control::Control;
use super::media::Media;
use super::state::State;
use super::streams::{kind, rank};
use crate::code::Code;
use crate::error::Misuse;
use crate::event::Dialect;
use crate::id::{Dir, RequestId, SessionId, Side};
use crate::limits;
use crate::session::{Session, media};
use crate::trace::{Data, Entry};
use crate::transport;
use crate::wire::varint;

/// A borrowed handle to one connection, for commands. Made by [`crate::Endpoint::conn`].
pub struct Conn<'a> {
    conn: &'a mut Connection,
    shared: Shared<'a>,
}

impl<'a> Conn<'a> {
    pub(crate) const fn new(conn: &'a mut Connection, shared: Shared<'a>) -> Self {
        Self { conn, shared }
    }

    /// Does what a command says: the one place where commands to a connection take effect. The
    /// other methods are the same with types of their own.
    ///
    /// # Errors
    /// Those of the method that the command is named after.
    pub fn apply(&mut self, command: Command) -> Result<Answer, Misuse> {
        self.shared.trace.say(|_| Entry::Command(command.clone()));
        let result = self.execute(command);
        self.shared.trace.say(|_| Entry::answer(&result, Data::default()));
        result
    }

    fn execute(&mut self, command: Command) -> Result<Answer, Misuse> {
        let now = self.shared.now;
        match command {
            Command::OpenMedia(request) => self.start_media(request).map(Answer::Session),
            Command::List { after } => {
                let request = self.control("catalogue listing")?.list(after.as_deref())?;
                Ok(Answer::Request(request))
            }
            Command::Ping => self.control("ping")?.ping(now).map(Answer::Request),
            Command::Close { code, reason } => {
                self.conn.close(code, reason, &mut self.shared);
                Ok(Answer::Done)
            }
            Command::Drain { left } => {
                self.conn.drain(now + left, &mut self.shared);
                Ok(Answer::Done)
            }
            Command::Rebind { local } => {
                self.conn.carrier.transport.rebind(now, local)?;
                Ok(Answer::Done)
            }
        }
    }

    /// Which end this is.
    #[must_use]
    pub const fn side(&self) -> Side {
        self.conn.side
    }

    /// Which protocol it speaks; `None` before the handshake is complete.
    #[must_use]
    pub const fn dialect(&self) -> Option<Dialect> {
        match self.conn.state {
            State::Handshaking => None,
            State::Open | State::Draining | State::Closing | State::Closed => {
                self.conn.carrier.dialect
            }
        }
    }

    /// The peer's address.
    #[must_use]
    pub const fn remote(&self) -> SocketAddr {
        self.conn.remote
    }

    /// The number of sessions that run.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.conn.sessions.len()
    }

    /// Client: asks for a media session. Possible once the connection is
    /// [`crate::Event::Connected`]: a request is not safe to repeat, so it never goes in 0-RTT.
    ///
    /// # Errors
    /// [`Misuse::TooMuch`] at the limit of sessions or of streams that the peer allows,
    /// [`Misuse::Draining`], [`Misuse::WrongRole`], [`Misuse::WrongState`].
    pub fn open_media(&mut self, request: media::Request) -> Result<SessionId, Misuse> {
        self.apply(Command::OpenMedia(request)).map(Answer::session)
    }

    fn start_media(&mut self, request: media::Request) -> Result<SessionId, Misuse> {
        if self.conn.side == Side::Server {
            return Err(Misuse::WrongRole("asking for media"));
        }
        match self.conn.state {
            State::Open if !self.conn.carrier.draining => {}
            State::Open | State::Draining => return Err(Misuse::Draining),
            State::Handshaking | State::Closing | State::Closed => {
                let state = self.conn.state.name();
                return Err(Misuse::WrongState { command: "asking for media", state });
            }
        }
        if self.conn.sessions.len() >= limits::MAX_SESSIONS {
            return Err(Misuse::TooMuch { what: "sessions", limit: limits::MAX_SESSIONS });
        }
        request.check()?;
        // The control stream is the first one, even if the peer made it wait.
        let greeted = self.conn.open_control(&self.shared);
        let stream = greeted.then(|| self.conn.carrier.transport.open(Dir::Bidi)).flatten();
        let Some(stream) = stream else {
            return Err(Misuse::TooMuch { what: "streams for the peer", limit: 0 });
        };
        self.conn.carrier.transport.prioritize(stream, rank::MEDIA);
        let mut prefix = Vec::new();
        if self.conn.carrier.dialect == Some(Dialect::V1) {
            varint::put(&mut prefix, kind::MEDIA);
        }
        let id = self.conn.new_session(stream);
        let mut cx = self.conn.carrier.cx(&mut self.shared);
        let session = Session::media_client(id, stream, request, &prefix, &mut cx);
        self.conn.sessions.insert(id, session);
        Ok(id)
    }

    /// A handle to a media session.
    ///
    /// # Errors
    /// [`Misuse::Gone`].
    pub fn media(&mut self, id: SessionId) -> Result<Media<'_>, Misuse> {
        let session = self.conn.sessions.get_mut(&id).filter(|session| !session.has_ended());
        let session = session.ok_or(Misuse::Gone)?;
        let cx = self.conn.carrier.cx(&mut self.shared);
        Ok(Media::new(id, session, cx))
    }

    fn control(&mut self, command: &'static str) -> Result<&mut Control, Misuse> {
        let state = self.conn.state.name();
        match (&mut self.conn.control, self.conn.carrier.dialect) {
            (Some(control), _) => Ok(control),
            (None, Some(Dialect::Classic)) => Err(Misuse::ClassicPeer(command)),
            (None, Some(Dialect::V1) | None) => Err(Misuse::WrongState { command, state }),
        }
    }

    /// Client: asks for a page of the server's catalogue, from the name `after` on (exclusive);
    /// the answer is [`crate::Event::Listing`]. With a ticket it may be asked before
    /// the connection is [`crate::Event::Connected`], and then goes in 0-RTT where possible.
    ///
    /// # Errors
    /// [`Misuse::ClassicPeer`], [`Misuse::TooMuch`], [`Misuse::WrongRole`],
    /// [`Misuse::WrongState`].
    pub fn list(&mut self, after: Option<&str>) -> Result<RequestId, Misuse> {
        let after = after.map(str::to_owned);
        self.apply(Command::List { after }).map(Answer::request)
    }

    /// Measures a round trip through the peer's application layer; the answer is
    /// [`crate::Event::Pong`].
    ///
    /// # Errors
    /// [`Misuse::ClassicPeer`], [`Misuse::TooMuch`], [`Misuse::WrongState`].
    pub fn ping(&mut self) -> Result<RequestId, Misuse> {
        self.apply(Command::Ping).map(Answer::request)
    }

    /// Closes the connection at once: what was not sent is dropped.
    pub fn close(&mut self, code: Code, reason: &str) {
        let done = self.apply(Command::Close { code, reason: reason.to_owned() });
        debug_assert_eq!(done, Ok(Answer::Done));
    }

    /// Closes the connection when what runs has ended, and at once if that takes longer than
    /// `left`. The peer is told to start nothing new.
    pub fn drain(&mut self, left: Duration) {
        let done = self.apply(Command::Drain { left });
        debug_assert_eq!(done, Ok(Answer::Done));
    }

    /// Client: the socket has a new address; the connection moves there.
    ///
    /// # Errors
    /// As [`transport::Transport::rebind`].
    pub fn rebind(&mut self, local: SocketAddr) -> Result<(), Misuse> {
        self.apply(Command::Rebind { local }).map(Answer::done)
    }

    /// The newest ticket, for a later connection to the same server. Opaque.
    #[must_use]
    pub fn ticket(&self) -> Option<Bytes> {
        let dialect = self.dialect()?;
        let ticket = self.conn.carrier.transport.ticket()?;
        let mut out = BytesMut::with_capacity(ticket.len() + 1);
        out.put_u8(ticket_mark(dialect));
        out.extend_from_slice(&ticket);
        Some(out.freeze())
    }

    /// Numbers of the transport.
    #[must_use]
    pub fn stats(&self) -> transport::Stats {
        self.conn.carrier.transport.stats()
    }
}

/// What is put in front of a ticket, so that 0-RTT speaks the dialect that the server knows.
const fn ticket_mark(dialect: Dialect) -> u8 {
    match dialect {
        Dialect::Classic => 0,
        Dialect::V1 => 1,
    }
}

/// Takes a ticket of [`Conn::ticket`] apart. `None`: it is not one.
pub(crate) fn split_ticket(ticket: &Bytes) -> Option<(Dialect, Bytes)> {
    let dialect = [Dialect::Classic, Dialect::V1]
        .into_iter()
        .find(|dialect| ticket.first() == Some(&ticket_mark(*dialect)))?;
    Some((dialect, ticket.slice(1..)))
}
