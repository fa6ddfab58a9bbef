//! Media sessions: one stream of chunks from server to client, with pause and resume
//! (`docs/protocol.md`, rules AB-M*).

pub(crate) mod client;
mod outbox;
mod pace;
pub mod pdu;
mod reader;
pub(crate) mod server;
mod source;
#[cfg(test)]
pub(crate) mod testing;
mod timers;

use std::time::Duration;

use bytes::Bytes;

use crate::code::Code;
use crate::error::Violation;
use crate::id::MediaId;

/// Where a session starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At the beginning.
    #[default]
    Beginning,
    /// At the first byte of this chunk (from 1), in chunks of the granted size.
    Sequence(u32),
    /// At this byte.
    Byte(u64),
}

/// What a pause does to the time that passes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PausePolicy {
    /// The media waits: nothing is skipped.
    #[default]
    Hold,
    /// The media goes on: resuming rejoins it where it would be without the pause.
    Live,
}

/// How fast chunks are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// At the granted bitrate, after a burst at the start.
    #[default]
    Bitrate,
    /// As fast as the network takes them.
    Unpaced,
}

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The catalogue entry. `None`: the server's default.
    pub name: Option<String>,
    /// The codec the client can play; servers accept any.
    pub codec: String,
    /// The codec's profile.
    pub profile: String,
    /// Bitrates the client can take, in bit/s. Empty: any.
    pub bitrates: Vec<u32>,
    /// Where to start.
    pub start: Start,
    /// What a pause does.
    pub pause: PausePolicy,
    /// How fast to send.
    pub pace: Pace,
    /// The largest chunk the client wants, in bytes. `None`: the server's choice.
    pub max_chunk: Option<u32>,
    /// Seconds between heartbeats. `None`: the server's choice.
    pub keepalive: Option<u32>,
    /// Seconds of silence that end the session. `None`: the server's choice.
    pub timeout: Option<u32>,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            name: None,
            codec: "any".to_owned(),
            profile: String::new(),
            bitrates: Vec::new(),
            start: Start::default(),
            pause: PausePolicy::default(),
            pace: Pace::default(),
            max_chunk: None,
            keepalive: None,
            timeout: None,
        }
    }
}

/// What a server grants: the outcome of the negotiation, the same on both sides. A classic
/// server tells only the first four.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// In bit/s.
    pub bitrate: u32,
    /// Payload bytes of a chunk, at most.
    pub chunk: u32,
    /// Seconds between heartbeats.
    pub keepalive: u32,
    /// Seconds of silence that end the session.
    pub timeout: u32,
    /// The entry's name.
    pub name: Option<String>,
    /// The media's length in bytes, where it is known.
    pub size: Option<u64>,
    /// What it is, as a media type; may be empty.
    pub kind: String,
    /// The byte the session starts at.
    pub start: u64,
    /// What a pause does.
    pub pause: PausePolicy,
    /// How fast chunks are sent.
    pub pace: Pace,
}

/// Why a server refuses a session (the error of OPEN_NACK).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nack {
    /// 1: it has nothing in that codec.
    UnsupportedCodec,
    /// 2: it cannot encrypt in that way.
    UnsupportedEncryption,
    /// 3: it does not multicast.
    MulticastUnsupported,
    /// 4: it has no media of that name.
    NoSuchMedia,
    /// 5: the media does not reach to the start that was asked for.
    StartOutOfRange,
    /// 6: too many sessions.
    Busy,
    /// 7: it is shutting down.
    GoingAway,
    /// 99: the request broke the protocol.
    ProtocolViolation,
    /// A code that this version does not know.
    Other(u16),
}

/// Why a session is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The media is at its end, and everything has been delivered.
    Complete,
    /// This side's application closed it.
    Local,
    /// The peer closed it before the end.
    Peer,
    /// The peer reset the stream, with this code.
    Reset(Code),
    /// The peer broke a rule.
    Violation(Violation),
    /// The peer was silent for the session's timeout.
    Timeout,
    /// The server's source of the bytes failed.
    SourceFailed,
    /// The connection is gone.
    ConnectionLost,
}

/// How a session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Why.
    pub reason: EndReason,
    /// Payload bytes sent or received.
    pub bytes: u64,
    /// Chunks sent or received.
    pub chunks: u64,
    /// Chunks skipped by a `live` resume.
    pub missed: u64,
}

/// What happened in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Client: the server grants the session. Server: it has been granted.
    Opened(Grant),
    /// Client: the server refuses.
    Refused(Nack),
    /// Client: chunks can be pulled. Comes again only after a pull was [`Pulled::Blocked`].
    Readable,
    /// Server: supply these bytes: from `offset` on, at most `len`. If they are fewer and not
    /// the last, the rest is asked for again. No bytes at all mean the end of the media.
    /// Requests are answered in the order in which they came, one by one.
    Wanted {
        /// Of which catalogue entry.
        media: MediaId,
        /// From this byte.
        offset: u64,
        /// So many bytes.
        len: usize,
    },
    /// Server: the client paused the session.
    Paused,
    /// Server: the client resumed it, `skipped` chunks further on.
    Resumed {
        /// Chunks left out (`live` only).
        skipped: u32,
    },
    /// The session is over; its id is gone.
    Ended(Ended),
}

/// A command to a session. What each means, the method of the same name of [`crate::Media`]
/// says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// [`crate::Media::pause`].
    Pause,
    /// [`crate::Media::resume`].
    Resume,
    /// [`crate::Media::close`].
    Close,
    /// [`crate::Media::pull`].
    Pull {
        /// Bytes at most.
        room: usize,
    },
    /// [`crate::Media::supply`].
    Supply {
        /// Where in the media they belong.
        offset: u64,
        /// The bytes.
        bytes: Bytes,
        /// The media ends after them.
        end: bool,
    },
    /// [`crate::Media::source_failed`].
    SourceFailed,
}

/// What a pull gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pulled {
    /// Payload bytes, all of one chunk.
    Bytes {
        /// Bytes written to the caller's buffer. 0 only for a chunk without payload, which is
        /// told once.
        len: usize,
        /// The chunk.
        sequence: u32,
        /// Where in the chunk the bytes belong.
        offset: u32,
        /// They complete the chunk.
        last: bool,
    },
    /// Nothing is there. [`Event::Readable`] will come.
    Blocked,
    /// The session is over; [`Event::Ended`] says how.
    End,
}

/// Numbers of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// The name of the control state.
    pub state: &'static str,
    /// Payload bytes sent or received.
    pub bytes: u64,
    /// Chunks sent or received.
    pub chunks: u64,
    /// Chunks skipped by `live` resumes.
    pub missed: u64,
    /// PDUs that had to be ignored.
    pub ignored: u32,
    /// How long the session has been paused, in all.
    pub paused: Duration,
}

#[cfg(test)]
mod tests;
