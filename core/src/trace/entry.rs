//! What a trace is made of: one entry for everything that crosses a seam.

use std::net::SocketAddr;
use std::time::Duration;

use super::call::{Call, StackCall};
use super::data::Data;
use super::file::Contents;
use crate::conn::{self, Answer};
use crate::error::Misuse;
use crate::event::{self, Event};
use crate::id::{ConnId, MediaId, SessionId, StreamId};
use crate::io::{Ecn, Output, Path, Transmit};
use crate::session;
use crate::time::{Deadline, Instant, UnixMillis};
use crate::transport::{Dropped, Offered, Target, Trust};

/// An entry and its place in the trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Counts from 1.
    pub number: u64,
    /// Where in the file it begins, in bytes.
    pub offset: u64,
    /// The time of the endpoint.
    pub at: Instant,
    /// What happened.
    pub entry: Entry,
}

/// Everything that can be in a trace, in the order in which it happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Input: [`crate::Endpoint::handle_datagram`].
    Datagram {
        /// From where to where.
        path: Path,
        /// Its ECN bits.
        ecn: Option<Ecn>,
        /// Its bytes.
        data: Data,
    },
    /// Input: [`crate::Endpoint::handle_timeout`].
    Timeout,
    /// Input: [`crate::Endpoint::connect`]. An [`Entry::Answer`] follows.
    Connect(Aim),
    /// Input: [`crate::Endpoint::listen`].
    Listen(bool),
    /// Input: [`crate::Endpoint::drain`].
    Drain {
        /// How long what runs may go on.
        left: Duration,
    },
    /// Input: [`crate::Endpoint::close_all`].
    CloseAll,
    /// Input: [`crate::Endpoint::set_wall_clock`].
    WallClock(UnixMillis),
    /// Input: [`crate::hub::Hub::set_catalogue`]. An [`Entry::Answer`] follows.
    Catalogue {
        /// What is in it.
        entries: Vec<(MediaId, event::Entry)>,
        /// What is served to who asks for no name.
        default: Option<String>,
    },
    /// Input: [`crate::Endpoint::set_identity`], without what was set. An [`Entry::Answer`]
    /// follows.
    Identity,
    /// Input: [`crate::Endpoint::conn`]. The commands that follow are for this connection.
    Handle(ConnId),
    /// Input: a command to the connection of the last [`Entry::Handle`]. An [`Entry::Answer`]
    /// follows.
    Command(conn::Command),
    /// Input: a command to a session of the connection of the last [`Entry::Handle`]. An
    /// [`Entry::Answer`] follows.
    Session {
        /// Which session.
        session: SessionId,
        /// The command, without payload.
        command: session::Command,
        /// Its payload.
        data: Data,
    },
    /// Output: what a command gave, or why it was refused, in words.
    Answer {
        /// The answer.
        result: Result<Answer, String>,
        /// The payload that was pulled.
        data: Data,
    },
    /// Output: datagrams to send.
    Transmit {
        /// Where, and how.
        transmit: Transmit,
        /// The bytes.
        data: Data,
    },
    /// Output: an event for the application.
    Event(ConnId, Event),
    /// Output: nothing left to do before the deadline.
    Wait(Option<Deadline>),
    /// A state machine took an input.
    Step(Step),
    /// A datagram was dropped.
    Dropped(Dropped),
    /// A call of a [`crate::transport::Stack`].
    Stack(StackCall),
    /// A call of a [`crate::transport::Transport`].
    Transport(ConnId, Call),
    /// The recording ended here because somebody ended it.
    End {
        /// How many entries came before this one.
        entries: u64,
    },
    /// The recording ended here although there was more to record.
    Truncated(Cause),
}

/// Why a recording ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The buffer was full: what was recorded was not taken away in time.
    Buffer,
    /// The trace has reached the length that was allowed.
    Length,
}

/// A state machine took an input that changed its state, or that was illegal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Of which connection.
    pub conn: ConnId,
    /// Of which session, if it is not the connection's own.
    pub session: Option<SessionId>,
    /// The machine's name in `docs/protocol.md`.
    pub machine: String,
    /// The state before.
    pub from: String,
    /// The input.
    pub input: String,
    /// The state after. `None`: the input was illegal.
    pub to: Option<String>,
}

/// What is recorded of a [`Target`]. Of a ticket only what is no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aim {
    /// The server's address.
    pub remote: SocketAddr,
    /// Our address.
    pub local: SocketAddr,
    /// The server's name.
    pub server_name: String,
    /// Which server to accept.
    pub trust: Trusting,
    /// Which protocols to offer.
    pub offered: Offered,
    /// The first byte of the ticket, which says the dialect. In [`StackCall::Dial`], where the
    /// ticket is the transport's own, always 0.
    pub ticket: Option<u8>,
}

/// What is recorded of a [`Trust`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trusting {
    /// So many roots.
    Roots(usize),
    /// This key.
    Pin([u8; 32]),
    /// Any key.
    Any,
}

impl Aim {
    /// What is recorded of a target. `mark`: the first byte of the ticket too.
    #[must_use]
    pub(crate) fn of(target: &Target, mark: bool) -> Self {
        let Target { remote, local, server_name, trust, offered, ticket } = target;
        Self {
            remote: *remote,
            local: *local,
            server_name: server_name.clone(),
            trust: match trust {
                Trust::Roots(roots) => Trusting::Roots(roots.len()),
                Trust::Pin(pin) => Trusting::Pin(*pin),
                Trust::Any => Trusting::Any,
            },
            offered: *offered,
            ticket: match ticket {
                Some(ticket) if mark => ticket.first().copied(),
                Some(_) => Some(0),
                None => None,
            },
        }
    }

    /// A target that does the same over a scripted stack.
    #[must_use]
    pub(crate) fn target(&self) -> Target {
        Target {
            remote: self.remote,
            local: self.local,
            server_name: self.server_name.clone(),
            trust: match self.trust {
                Trusting::Roots(count) => Trust::Roots(vec![Vec::new(); count].into()),
                Trusting::Pin(pin) => Trust::Pin(pin),
                Trusting::Any => Trust::Any,
            },
            offered: self.offered,
            ticket: self.ticket.map(|mark| bytes::Bytes::copy_from_slice(&[mark])),
        }
    }
}

/// Which way something crossed a seam.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Into the endpoint.
    Input,
    /// Out of the endpoint.
    Output,
    /// Inside: a step of a state machine, a dropped datagram.
    Step,
    /// Between the sessions and what carries them.
    Transport,
    /// The end of the recording.
    End,
}

impl Entry {
    /// A command to a session.
    pub(crate) fn session(
        session: SessionId,
        mut command: session::Command,
        contents: Contents,
    ) -> Self {
        let payload = command.payload().map(std::mem::take).unwrap_or_default();
        Self::Session { session, command, data: Data::new(&payload, contents.payload) }
    }

    /// What a command gave.
    pub(crate) fn answer(result: &Result<Answer, Misuse>, data: Data) -> Self {
        let result = result.as_ref().map(|answer| *answer).map_err(ToString::to_string);
        Self::Answer { result, data }
    }

    /// An output, and the bytes of what is to be sent.
    pub(crate) fn output(output: &Output, bytes: &[u8], contents: Contents) -> Self {
        match output {
            Output::Transmit(transmit) => {
                let bytes = &bytes[..transmit.len.min(bytes.len())];
                let data = Data::new(bytes, contents.datagrams);
                Self::Transmit { transmit: *transmit, data }
            }
            Output::Event(conn, event) => Self::Event(*conn, event.clone()),
            Output::Wait(deadline) => Self::Wait(*deadline),
        }
    }

    /// Which way it crossed a seam.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Datagram { .. }
            | Self::Timeout
            | Self::Connect(_)
            | Self::Listen(_)
            | Self::Drain { .. }
            | Self::CloseAll
            | Self::WallClock(_)
            | Self::Catalogue { .. }
            | Self::Identity
            | Self::Handle(_)
            | Self::Command(_)
            | Self::Session { .. } => Class::Input,
            Self::Answer { .. } | Self::Transmit { .. } | Self::Event(..) | Self::Wait(_) => {
                Class::Output
            }
            Self::Step(_) | Self::Dropped(_) => Class::Step,
            Self::Stack(_) | Self::Transport(..) => Class::Transport,
            Self::End { .. } | Self::Truncated(_) => Class::End,
        }
    }

    /// Which connection it is about, where that is known from the entry alone.
    #[must_use]
    pub const fn conn(&self) -> Option<ConnId> {
        match self {
            Self::Handle(id) | Self::Event(id, _) | Self::Transport(id, _) => Some(*id),
            Self::Answer { result: Ok(Answer::Connection(id)), .. } => Some(*id),
            Self::Step(step) => Some(step.conn),
            Self::Stack(call) => call.conn(),
            _ => None,
        }
    }

    /// Which stream it is about.
    #[must_use]
    pub const fn stream(&self) -> Option<StreamId> {
        match self {
            Self::Transport(_, call) => call.stream(),
            _ => None,
        }
    }
}
