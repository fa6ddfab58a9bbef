//! Seam B: the calls of a [`crate::transport::Stack`] and of its transports, with their answers.

use std::net::SocketAddr;

use super::data::Data;
use super::entry::Aim;
use crate::code::Code;
use crate::id::{ConnId, Dir, StreamId};
use crate::io::{Path, Transmit};
use crate::time::Instant;
use crate::transport::{Dropped, Offer, Read, Route, Signal, StreamEnd, Wrote};

/// A call of a [`crate::transport::Stack`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StackCall {
    /// Whose is the datagram that came?
    Classify {
        /// The answer.
        route: Route,
        /// The stateless answer to the peer.
        out: Data,
    },
    /// Ask for proof of address.
    Challenge {
        /// Of what was offered.
        offer: Offer,
        /// The answer.
        route: Route,
        /// The stateless answer to the peer.
        out: Data,
    },
    /// Make a server's end.
    Admit {
        /// Which connection.
        conn: ConnId,
        /// On which path.
        path: Path,
        /// Of what was offered.
        offer: Offer,
        /// The answer.
        result: Result<(), Dropped>,
    },
    /// Make a client's end.
    Dial {
        /// Which connection.
        conn: ConnId,
        /// To where.
        aim: Aim,
        /// The answer; why not, in words.
        result: Result<(), String>,
    },
    /// The connection is gone.
    Forget(ConnId),
    /// Take a new certificate, which is not recorded.
    SetIdentity {
        /// The answer; why not, in words.
        result: Result<(), String>,
    },
}

impl StackCall {
    /// Which connection it is about.
    #[must_use]
    pub const fn conn(&self) -> Option<ConnId> {
        match self {
            Self::Admit { conn, .. } | Self::Dial { conn, .. } | Self::Forget(conn) => Some(*conn),
            Self::Classify { route: Route::To(conn), .. } => Some(*conn),
            Self::Classify { .. } | Self::Challenge { .. } | Self::SetIdentity { .. } => None,
        }
    }
}

/// A call of a [`crate::transport::Transport`], on the connection that the entry names.
///
/// Calls of `poll` and `transmit` that give nothing are not recorded. The questions `deadline`
/// and `is_early` are recorded only when the answer is another one than the last time (no
/// deadline, not early at first), `is_over` and `is_finished` only when the answer is yes, and
/// `ticket` and `stats` never: no session looks at those.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// `receive`, of the datagram of the last [`super::Entry::Datagram`].
    Receive,
    /// `transmit` gave this.
    Transmit(Transmit),
    /// `deadline` has changed.
    Deadline(Option<Instant>),
    /// `expire`.
    Expire,
    /// `poll` gave this.
    Signal(Signal),
    /// `open`.
    Open {
        /// In which direction.
        dir: Dir,
        /// The stream.
        stream: Option<StreamId>,
    },
    /// `write`.
    Write {
        /// To this stream.
        stream: StreamId,
        /// So many bytes could be taken.
        offered: usize,
        /// The stream ends after them.
        fin: bool,
        /// What was taken.
        data: Data,
        /// The answer.
        result: Result<Wrote, StreamEnd>,
    },
    /// `read`.
    Read {
        /// From this stream.
        stream: StreamId,
        /// So many bytes at most.
        room: usize,
        /// What was read.
        data: Data,
        /// The answer.
        result: Result<Read, StreamEnd>,
    },
    /// `reset`.
    Reset {
        /// This stream.
        stream: StreamId,
        /// With this code.
        code: Code,
    },
    /// `stop`.
    Stop {
        /// This stream.
        stream: StreamId,
        /// With this code.
        code: Code,
    },
    /// `prioritize`.
    Prioritize {
        /// This stream.
        stream: StreamId,
        /// To this rank.
        rank: u8,
    },
    /// `ping`.
    Ping,
    /// `close`.
    Close {
        /// With this code.
        code: Code,
        /// In words.
        reason: String,
    },
    /// `rebind`.
    Rebind {
        /// The socket's new address.
        local: SocketAddr,
        /// The answer; why not, in words.
        result: Result<(), String>,
    },
    /// `is_early` has changed.
    Early(bool),
    /// `is_over` is true.
    Over(StreamId),
    /// `is_finished` is true.
    Finished,
}

impl Call {
    /// Forgets the hashes of what was left out.
    pub(super) fn blur(&mut self) {
        if let Self::Write { data, .. } | Self::Read { data, .. } = self {
            data.blur();
        }
    }

    /// Which stream it is about.
    #[must_use]
    pub const fn stream(&self) -> Option<StreamId> {
        match self {
            Self::Write { stream, .. }
            | Self::Read { stream, .. }
            | Self::Reset { stream, .. }
            | Self::Stop { stream, .. }
            | Self::Prioritize { stream, .. }
            | Self::Over(stream)
            | Self::Signal(Signal::Readable(stream) | Signal::Writable(stream)) => Some(*stream),
            Self::Open { stream, .. } => *stream,
            Self::Receive
            | Self::Transmit(_)
            | Self::Deadline(_)
            | Self::Expire
            | Self::Signal(_)
            | Self::Ping
            | Self::Close { .. }
            | Self::Rebind { .. }
            | Self::Early(_)
            | Self::Finished => None,
        }
    }
}
