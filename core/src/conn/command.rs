//! Commands to a connection as values, and their answers: so that they can be written down, and
//! given again.

use std::net::SocketAddr;
use std::time::Duration;

use crate::code::Code;
use crate::id::{ConnId, RequestId, SessionId};
use crate::session::media;

/// A command to a connection. What each means, the method of the same name of [`super::Conn`]
/// says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// [`super::Conn::open_media`].
    OpenMedia(media::Request),
    /// [`super::Conn::list`].
    List {
        /// From behind this name on.
        after: Option<String>,
    },
    /// [`super::Conn::ping`].
    Ping,
    /// [`super::Conn::close`].
    Close {
        /// What the peer is told.
        code: Code,
        /// What the peer is told in words.
        reason: String,
    },
    /// [`super::Conn::drain`].
    Drain {
        /// How long what runs may go on.
        left: Duration,
    },
    /// [`super::Conn::rebind`].
    Rebind {
        /// The socket's new address.
        local: SocketAddr,
    },
}

/// What a command that was possible gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing but that.
    Done,
    /// A new connection.
    Connection(ConnId),
    /// A new session.
    Session(SessionId),
    /// A request, to match its answer.
    Request(RequestId),
    /// What there was to pull.
    Pulled(media::Pulled),
}

/// The kind of answer that the command has. Another one is a fault of this crate.
impl Answer {
    pub(crate) fn done(self) {
        debug_assert_eq!(self, Self::Done);
    }

    pub(crate) fn session(self) -> SessionId {
        let Self::Session(id) = self else { unreachable!("{self:?} is no session") };
        id
    }

    pub(crate) fn request(self) -> RequestId {
        let Self::Request(id) = self else { unreachable!("{self:?} is no request") };
        id
    }

    pub(crate) fn pulled(self) -> media::Pulled {
        let Self::Pulled(pulled) = self else { unreachable!("{self:?} was not pulled") };
        pulled
    }
}
