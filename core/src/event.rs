//! What the application is told. Events carry ids and small facts; payload bytes are pulled.

use std::net::SocketAddr;
use std::time::Duration;

use crate::error::Why;
use crate::id::{RequestId, SessionId};
use crate::io::Path;
use crate::session::{files, media};

/// Which protocol a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// `quic-stream-proto`: each stream is a media session, nothing else.
    Classic,
    /// `anabranch/1`.
    V1,
}

impl Dialect {
    /// The name in ALPN (RFC 7301).
    #[must_use]
    pub const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Classic => b"quic-stream-proto",
            Self::V1 => b"anabranch/1",
        }
    }

    /// The dialect of a negotiated name.
    #[must_use]
    pub fn from_alpn(alpn: &[u8]) -> Option<Self> {
        [Self::Classic, Self::V1].into_iter().find(|dialect| dialect.alpn() == alpn)
    }
}

/// One line of a catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name to ask for.
    pub name: String,
    /// Length in bytes, where it is known.
    pub size: Option<u64>,
    /// The bitrate at which it plays in real time, in bit/s, where it is known.
    pub bitrate: Option<u32>,
    /// What it is, as a media type (`audio/wav`); may be empty.
    pub kind: String,
}

/// A page of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Which request it answers.
    pub request: RequestId,
    /// The entries, in order of name.
    pub entries: Vec<Entry>,
    /// Where the next page starts; `None` on the last page.
    pub next: Option<String>,
}

/// What happened on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The handshake is complete.
    Connected {
        /// Which protocol it speaks.
        dialect: Dialect,
        /// The peer's address.
        remote: SocketAddr,
        /// SHA-256 of the SPKI of the peer's certificate. A client with
        /// [`crate::transport::Trust::Any`] checks it now.
        peer_key: Option<[u8; 32]>,
        /// An earlier session was resumed (its certificate was checked then).
        resumed: bool,
    },
    /// The peer's HELLO: which program it is.
    Hello {
        /// Program and version, as it says.
        agent: String,
    },
    /// The peer is at a new address.
    Moved(Path),
    /// The peer is shutting down: nothing new, and what runs may run for `left`.
    GoAway {
        /// How long what runs may go on.
        left: Duration,
    },
    /// The answer to a ping.
    Pong {
        /// Which ping.
        request: RequestId,
        /// From our request to its answer.
        rtt: Duration,
    },
    /// The answer to a listing.
    Listing(Listing),
    /// Something happened in a media session.
    Media(SessionId, media::Event),
    /// Something happened in a file transfer, or in a question about files.
    Files(SessionId, files::Event),
    /// The connection is over. Its id and its sessions are gone.
    Closed(Why),
}
