//! What goes in and out of the one door: paths, datagrams, outputs.

use std::fmt;
use std::net::SocketAddr;

use crate::event::Event;
use crate::id::ConnId;
use crate::time::{Deadline, Instant};

/// The two addresses of a datagram, as the socket sees them.
///
/// `local` must be the real local address of the datagram (not the wildcard the socket is
/// bound to), and always in the same form: connections are keyed on it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    /// Our address.
    pub local: SocketAddr,
    /// The peer's address.
    pub remote: SocketAddr,
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}<->{}", self.local, self.remote)
    }
}

/// The two ECN bits of a datagram (RFC 3168).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ecn {
    /// ECT(0).
    Ect0,
    /// ECT(1).
    Ect1,
    /// Congestion experienced.
    Ce,
}

/// Datagrams to send, written to the caller's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// From where to where.
    pub path: Path,
    /// ECN bits to set.
    pub ecn: Option<Ecn>,
    /// Bytes written to the caller's buffer.
    pub len: usize,
    /// `Some(n)`: the bytes are several datagrams of `n` bytes, the last may be shorter
    /// (generic segmentation offload). `None`: one datagram.
    pub segment: Option<usize>,
    /// Not to be sent before this point in time. `None`: at once.
    pub at: Option<Instant>,
}

/// What [`crate::Endpoint::poll_output`] answers.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// Send this.
    Transmit(Transmit),
    /// Tell the application this.
    Event(ConnId, Event),
    /// Nothing left to do before the deadline. The only answer that permits sleeping.
    Wait(Option<Deadline>),
}
