//! Sessions: what runs inside a connection. A closed enum, each kind with the same entry points
//! and one concrete context.

pub mod media;

use std::collections::VecDeque;

use media::client::Client;
use media::server::Server;

use crate::config::MediaPolicy;
use crate::event::{Dialect, Event};
use crate::hub::Hub;
use crate::id::{SessionId, StreamId};
use crate::time::{Deadline, Instant, UnixMillis};
use crate::trace::Story;
use crate::transport::Transport;

/// What a session may touch while it handles one input.
pub(crate) struct Cx<'a> {
    /// The time of the input.
    pub(crate) now: Instant,
    /// The wall-clock time of the input.
    pub(crate) wall: UnixMillis,
    /// Which protocol the connection speaks.
    pub(crate) dialect: Dialect,
    /// What carries the session's streams.
    pub(crate) transport: &'a mut dyn Transport,
    /// Events for the application.
    pub(crate) events: &'a mut VecDeque<Event>,
    /// The server's shared state.
    pub(crate) hub: &'a mut Hub,
    /// What may be granted.
    pub(crate) policy: &'a MediaPolicy,
    /// Where steps are told.
    pub(crate) story: &'a Story,
    /// The endpoint is shutting down: refuse what is new.
    pub(crate) draining: bool,
}

/// A command to a session of any service: one variant for each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// To a media session.
    Media(media::Command),
}

impl Command {
    /// The payload that goes with it, which is not part of the command's record.
    pub(crate) fn payload(&mut self) -> Option<&mut bytes::Bytes> {
        match self {
            Self::Media(media::Command::Supply { bytes, .. }) => Some(bytes),
            Self::Media(
                media::Command::Pause
                | media::Command::Resume
                | media::Command::Close
                | media::Command::Pull { .. }
                | media::Command::SourceFailed,
            ) => None,
        }
    }
}

impl From<media::Command> for Command {
    fn from(command: media::Command) -> Self {
        Self::Media(command)
    }
}

/// A session of any service, in any role. A new service is one folder, and one arm in each of
/// the matches below and in [`crate::conn::Media`]'s counterpart.
pub(crate) enum Session {
    /// Receives media.
    MediaClient(Box<Client>),
    /// Sends media.
    MediaServer(Box<Server>),
}

impl Session {
    /// Asks for media on a stream that was just opened. `prefix` goes in front.
    pub(crate) fn media_client(
        id: SessionId,
        stream: StreamId,
        request: media::Request,
        prefix: &[u8],
        cx: &mut Cx<'_>,
    ) -> Self {
        Self::MediaClient(Box::new(Client::new(id, stream, request, prefix, cx)))
    }

    /// Answers a client on a stream that it opened.
    pub(crate) fn media_server(id: SessionId, stream: StreamId, cx: &mut Cx<'_>) -> Self {
        Self::MediaServer(Box::new(Server::new(id, stream, &[], cx)))
    }

    /// Its stream has something to read.
    pub(crate) fn on_readable(&mut self, cx: &mut Cx<'_>) {
        match self {
            Self::MediaClient(client) => client.on_readable(cx),
            Self::MediaServer(server) => server.on_readable(cx),
        }
    }

    /// Its stream takes bytes again.
    pub(crate) fn on_writable(&mut self, cx: &mut Cx<'_>) {
        match self {
            Self::MediaClient(client) => client.on_writable(cx),
            Self::MediaServer(server) => server.on_writable(cx),
        }
    }

    /// Its deadline has come.
    pub(crate) fn on_timer(&mut self, cx: &mut Cx<'_>) {
        match self {
            Self::MediaClient(client) => client.on_timer(cx),
            Self::MediaServer(server) => server.on_timer(cx),
        }
    }

    /// The connection is gone.
    pub(crate) fn on_connection_lost(&mut self, cx: &mut Cx<'_>) {
        match self {
            Self::MediaClient(client) => client.on_connection_lost(cx),
            Self::MediaServer(server) => server.on_connection_lost(cx),
        }
    }

    /// When to call [`Session::on_timer`].
    pub(crate) fn deadline(&self) -> Option<Deadline> {
        match self {
            Self::MediaClient(client) => client.deadline(),
            Self::MediaServer(server) => server.deadline(),
        }
    }

    /// Reading was cut short to stay fair: [`Session::on_readable`] wants to be called again.
    pub(crate) fn is_runnable(&self) -> bool {
        match self {
            Self::MediaClient(client) => client.is_runnable(),
            Self::MediaServer(server) => server.is_runnable(),
        }
    }

    /// Its end has been told, or is about to be: for the application it is gone.
    pub(crate) fn has_ended(&self) -> bool {
        match self {
            Self::MediaClient(client) => client.has_ended(),
            Self::MediaServer(server) => server.has_ended(),
        }
    }

    /// The application has been told of the end, and nothing is left to do on the stream.
    pub(crate) fn is_over(&self) -> bool {
        match self {
            Self::MediaClient(client) => client.is_over(),
            Self::MediaServer(server) => server.is_over(),
        }
    }

    /// Numbers of a media session.
    pub(crate) fn media_stats(&self, now: Instant) -> media::Stats {
        match self {
            Self::MediaClient(client) => client.stats(now),
            Self::MediaServer(server) => server.stats(now),
        }
    }

    /// Its stream.
    pub(crate) fn stream(&self) -> StreamId {
        match self {
            Self::MediaClient(client) => client.stream(),
            Self::MediaServer(server) => server.stream(),
        }
    }
}
