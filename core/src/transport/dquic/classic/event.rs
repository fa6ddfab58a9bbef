//! What a classic endpoint tells and takes: its settings, outputs and counters.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Received, Report, StreamStats, Why};
use crate::limits::{DEFAULT_CLASSIC_MAX_BYTES, MAX_CLASSIC_STREAMS, MAX_CLASSIC_TRANSFERS};
use crate::time::Instant;

/// How a classic endpoint behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// A packet that declares more bytes than this is not acknowledged (AB-K7).
    pub max_bytes: u64,
    /// A stream that was silent for so long is reported as quiet. `None`: never.
    pub quiet_after: Option<Duration>,
}

impl Default for Config {
    fn default() -> Self {
        Self { max_bytes: DEFAULT_CLASSIC_MAX_BYTES, quiet_after: None }
    }
}

/// What an endpoint tells its application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A data packet has come.
    Received(Received),
    /// A stream has been silent for the configured time: what came of it is taken to be all.
    /// It may go on nevertheless.
    Quiet {
        /// Who sent it.
        peer: SocketAddr,
        /// The stream.
        stream: u32,
        /// Its numbers.
        stats: StreamStats,
    },
    /// A frame declared more data than it had. It counts as declared, so bytes are missing in
    /// the stream for good, and nothing more of it is handed on.
    Broken {
        /// Who sent it.
        peer: SocketAddr,
        /// The stream.
        stream: u32,
        /// Its numbers.
        stats: StreamStats,
    },
    /// Counts of streams were dropped to make place. If the streams come again, they start anew.
    Forgotten {
        /// Who sent them.
        peer: SocketAddr,
        /// The streams, with their numbers.
        streams: Vec<(u32, StreamStats)>,
    },
    /// Bytes are wanted with [`super::Endpoint::supply`], for the next packet.
    Wanted {
        /// To whom they go.
        peer: SocketAddr,
        /// The stream.
        stream: u32,
        /// The place of the first of them.
        offset: u64,
        /// How many. Fewer than that are the last ones of the stream.
        len: usize,
    },
    /// A sending is complete: everything has been acknowledged.
    Sent {
        /// Where it went.
        peer: SocketAddr,
        /// Its numbers.
        report: Report,
    },
    /// A sending has failed.
    Failed {
        /// Where it should have gone.
        peer: SocketAddr,
        /// Why.
        why: Why,
        /// Its numbers so far.
        report: Report,
    },
}

/// What [`super::Endpoint::poll_output`] gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send the first `len` bytes of the buffer there.
    Transmit {
        /// The address.
        peer: SocketAddr,
        /// How many bytes.
        len: usize,
    },
    /// Something the application should know.
    Event(Event),
    /// Nothing more before a datagram or a command comes, or this time has come.
    Wait(Option<Instant>),
}

/// Why a sending is not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Something is being sent to that address: one at a time.
    Busy,
    /// As many sendings as there may be.
    Transfers,
    /// More streams than there may be.
    Streams,
    /// Nobody can be there: port 0.
    Address,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("something is being sent to that address already"),
            Self::Transfers => write!(f, "more than {MAX_CLASSIC_TRANSFERS} sendings at once"),
            Self::Streams => write!(f, "more than {MAX_CLASSIC_STREAMS} streams at once"),
            Self::Address => f.write_str("nobody is at port 0"),
        }
    }
}

impl std::error::Error for Refused {}

/// What an endpoint has seen that led to nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Datagrams that are no packets, or come from port 0.
    pub malformed: u64,
    /// Packets of an unknown type, and acknowledgements that nobody waits for.
    pub ignored: u64,
    /// Data packets that are not acknowledged: cut off, or declaring too much.
    pub unanswered: u64,
    /// Data packets dropped because the application did not take the outputs.
    pub overflowed: u64,
    /// Streams whose counts were dropped to make place.
    pub forgotten: u64,
}
