//! Borrowed handles: the commands an application can give.

use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};

use super::carrier::Shared;
use super::connection::Connection;
use super::control::Control;
use super::state::{Input, State};
use super::streams::{kind, rank};
use crate::code::Code;
use crate::error::{Misuse, Why};
use crate::event::Dialect;
use crate::id::{Dir, RequestId, SessionId, Side};
use crate::limits;
use crate::session::{Session, media};
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
        let session = self.conn.sessions.get_mut(&id).ok_or(Misuse::Gone)?;
        let cx = self.conn.carrier.cx(&mut self.shared);
        Ok(Media { session, cx })
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
        self.control("catalogue listing")?.list(after)
    }

    /// Measures a round trip through the peer's application layer; the answer is
    /// [`crate::Event::Pong`].
    ///
    /// # Errors
    /// [`Misuse::ClassicPeer`], [`Misuse::TooMuch`], [`Misuse::WrongState`].
    pub fn ping(&mut self) -> Result<RequestId, Misuse> {
        let now = self.shared.now;
        self.control("ping")?.ping(now)
    }

    /// Closes the connection at once: what was not sent is dropped.
    pub fn close(&mut self, code: Code, reason: &str) {
        self.conn.carrier.reason = Some(reason.to_owned());
        self.conn.end(Input::Close, code, Why::Local(code), &mut self.shared);
    }

    /// Closes the connection when what runs has ended, and at once if that takes longer than
    /// `left`. The peer is told to start nothing new.
    pub fn drain(&mut self, left: std::time::Duration) {
        let by = self.shared.now + left;
        self.conn.drain(by, &mut self.shared);
    }

    /// Client: the socket has a new address; the connection moves there.
    ///
    /// # Errors
    /// As [`transport::Transport::rebind`].
    pub fn rebind(&mut self, local: SocketAddr) -> Result<(), Misuse> {
        self.conn.carrier.transport.rebind(self.shared.now, local)
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

/// A borrowed handle to one media session, for commands.
pub struct Media<'a> {
    session: &'a mut Session,
    cx: crate::session::Cx<'a>,
}

impl Media<'_> {
    /// Client: asks the server to stop sending. Chunks on their way still arrive.
    ///
    /// # Errors
    /// [`Misuse::WrongState`], [`Misuse::WrongRole`].
    pub fn pause(&mut self) -> Result<(), Misuse> {
        match self.session {
            Session::MediaClient(client) => client.pause(&mut self.cx),
            Session::MediaServer(_) => Err(Misuse::WrongRole("pausing")),
        }
    }

    /// Client: asks the server to go on.
    ///
    /// # Errors
    /// [`Misuse::WrongState`], [`Misuse::WrongRole`].
    pub fn resume(&mut self) -> Result<(), Misuse> {
        match self.session {
            Session::MediaClient(client) => client.resume(&mut self.cx),
            Session::MediaServer(_) => Err(Misuse::WrongRole("resuming")),
        }
    }

    /// Ends the session.
    ///
    /// # Errors
    /// [`Misuse::WrongState`] if it is ending already.
    pub fn close(&mut self) -> Result<(), Misuse> {
        match self.session {
            Session::MediaClient(client) => client.close(&mut self.cx),
            Session::MediaServer(server) => server.close(&mut self.cx),
        }
    }

    /// Client: takes payload bytes into `buf`, at most to the end of a chunk. What is pulled
    /// gives the server room to send more.
    ///
    /// # Errors
    /// [`Misuse::WrongRole`].
    pub fn pull(&mut self, buf: &mut [u8]) -> Result<media::Pulled, Misuse> {
        match self.session {
            Session::MediaClient(client) => Ok(client.pull(&mut self.cx, buf)),
            Session::MediaServer(_) => Err(Misuse::WrongRole("pulling")),
        }
    }

    /// Server: gives the bytes that [`media::Event::Wanted`] asked for. `end`: the media ends
    /// after them.
    ///
    /// # Errors
    /// [`Misuse::NotWanted`], [`Misuse::WrongRole`].
    pub fn supply(&mut self, offset: u64, bytes: Bytes, end: bool) -> Result<(), Misuse> {
        match self.session {
            Session::MediaClient(_) => Err(Misuse::WrongRole("supplying")),
            Session::MediaServer(server) => server.supply(&mut self.cx, offset, bytes, end),
        }
    }

    /// Server: the bytes cannot be had. The session is ended with [`Code::SourceFailed`].
    ///
    /// # Errors
    /// [`Misuse::WrongRole`].
    pub fn source_failed(&mut self) -> Result<(), Misuse> {
        match self.session {
            Session::MediaClient(_) => Err(Misuse::WrongRole("supplying")),
            Session::MediaServer(server) => {
                server.source_failed(&mut self.cx);
                Ok(())
            }
        }
    }

    /// What was granted; `None` before that.
    #[must_use]
    pub fn grant(&self) -> Option<&media::Grant> {
        match &*self.session {
            Session::MediaClient(client) => client.grant(),
            Session::MediaServer(server) => server.grant(),
        }
    }

    /// Numbers of the session.
    #[must_use]
    pub fn stats(&self) -> media::Stats {
        self.session.media_stats(self.cx.now)
    }
}
