//! Judges what two endpoints do, without knowing how they do it.
//!
//! Every rule here follows from the documents, not from the code: each byte is delivered once
//! and in order; nothing is said about a session or a connection after its end; no session
//! outlives its connection; a paused server is silent; nothing is asked for or queued beyond its
//! limit. A broken rule panics with the rule.

mod ends;
mod lifecycle;
mod playback;
mod server;

use std::fmt;

use anabranch_core::{ConnId, SessionId};

pub use ends::Ends;
pub use lifecycle::Lifecycle;
pub use playback::Playback;
pub use server::Sending;

/// Which host of a test network.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// The one server.
    Server,
    /// A client, by number.
    Client(usize),
}

impl fmt::Debug for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server => f.write_str("server"),
            Self::Client(n) => write!(f, "client {n}"),
        }
    }
}

/// A media session of one end of a connection.
pub type Key = (ConnId, SessionId);
