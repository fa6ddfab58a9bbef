//! What carries the streams of a connection. Two object-safe traits: [`Stack`], one for each
//! endpoint, for what exists before and between connections, and [`Transport`], one for each
//! connection. Sessions do not know which implementation carries them.

mod both;
mod cid;
pub mod dquic;
#[cfg(feature = "quic")]
pub mod quic;
mod reason;
mod resets;
mod routes;
mod token;

pub use both::Both;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::code::Code;
use crate::error::{Misuse, Why};
use crate::id::{ConnId, Dir, StreamId};
use crate::io::{Path, Transmit};
use crate::time::Instant;

/// Opaque bytes of a connection id, at most 20 (RFC 9000 section 17.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CidBytes {
    len: u8,
    bytes: [u8; 20],
}

impl CidBytes {
    /// `None` if there are more than 20 bytes.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let mut out = [0; 20];
        out.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self { len: u8::try_from(bytes.len()).ok()?, bytes: out })
    }

    /// The id without bytes.
    pub(crate) const fn empty() -> Self {
        Self { len: 0, bytes: [0; 20] }
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Debug for CidBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A first datagram that may open a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The client has proved its address (a valid Retry token).
    pub validated: bool,
    /// The version it speaks.
    pub version: u32,
    /// The id it sent to.
    pub dcid: CidBytes,
    /// Its own id.
    pub scid: CidBytes,
    /// With a valid token: the id of its very first datagram.
    pub original_dcid: Option<CidBytes>,
}

/// Why a datagram was dropped. Counted, never fatal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dropped {
    /// Not a packet of this transport.
    Malformed,
    /// An Initial in a datagram that is too short.
    ShortInitial,
    /// For a connection that is not there, and no reset may be sent.
    UnknownConnection,
    /// A token that is forged, expired or of another address.
    BadToken,
    /// Stateless answers are at their limit.
    AnswersLimited,
    /// Too many half-open connections.
    HalfOpenLimited,
    /// Too many connections.
    ConnectionsLimited,
    /// The endpoint is shutting down, or is no server.
    NotAccepting,
    /// From port 0, or with an empty body.
    Impossible,
}

/// Whose a datagram is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Give it to this connection (if that is still there).
    To(ConnId),
    /// It may open a connection.
    New(Offer),
    /// The answer of this many bytes has been appended to `out`, and no state is kept.
    Answer(usize),
    /// Nothing to do.
    Drop(Dropped),
}

/// Whose key or certificate a client accepts.
#[derive(Clone, PartialEq, Eq)]
pub enum Trust {
    /// A chain to one of these roots (DER), valid for the server name.
    Roots(Arc<[Vec<u8>]>),
    /// This key: SHA-256 of the certificate's SPKI.
    Pin([u8; 32]),
    /// Any. The caller checks the key in [`Facts::peer_key`] itself, or knowingly does not.
    Any,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Roots(roots) => write!(f, "Roots({})", roots.len()),
            Self::Pin(pin) => write!(f, "Pin({:02x}{:02x}..)", pin[0], pin[1]),
            Self::Any => f.write_str("Any"),
        }
    }
}

/// Which protocols a client offers (ALPN), best first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Offered {
    /// `anabranch/1`, and `quic-stream-proto` for classic servers.
    #[default]
    Both,
    /// Only `anabranch/1`.
    V1,
    /// Only `quic-stream-proto`.
    Classic,
}

/// `anabranch/1` and the classic protocol, by their names in a handshake (ALPN).
pub(crate) static PROTOCOLS: [&[u8]; 2] = [b"anabranch/1", b"quic-stream-proto"];

impl Offered {
    /// The names of the protocols, best first.
    pub(crate) fn protocols(self) -> &'static [&'static [u8]] {
        match self {
            Self::Both => &PROTOCOLS,
            Self::V1 => &PROTOCOLS[..1],
            Self::Classic => &PROTOCOLS[1..],
        }
    }
}

/// Whom to dial, and how.
#[derive(Clone, Debug)]
pub struct Target {
    /// The server's address.
    pub remote: SocketAddr,
    /// Our address, as the socket has it.
    pub local: SocketAddr,
    /// The name the server's certificate is checked for, and told to it (SNI).
    pub server_name: String,
    /// Which server to accept.
    pub trust: Trust,
    /// Which protocols to offer.
    pub offered: Offered,
    /// A ticket of an earlier connection to the same server, for resumption and 0-RTT.
    pub ticket: Option<Bytes>,
}

impl Target {
    /// Whether a datagram can go from one address to the other.
    pub(crate) fn check_addresses(&self) -> Result<(), Misuse> {
        if self.remote.port() == 0 || self.remote.ip().is_unspecified() {
            return Err(Misuse::Config("the server's address cannot be dialled"));
        }
        if self.remote.is_ipv4() != self.local.is_ipv4() {
            return Err(Misuse::Config("both addresses have to be of one family"));
        }
        Ok(())
    }
}

/// What is known once a handshake is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The negotiated protocol (ALPN).
    pub alpn: Vec<u8>,
    /// SHA-256 of the SPKI of the peer's certificate, where it has one.
    pub peer_key: Option<[u8; 32]>,
    /// The handshake resumed an earlier session.
    pub resumed: bool,
    /// The peer's address.
    pub remote: SocketAddr,
}

/// What a transport tells its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signal {
    /// 0-RTT is possible: replay-safe messages may be sent (client) or have come (server).
    Early {
        /// The protocol (ALPN) they are in.
        alpn: Vec<u8>,
    },
    /// The handshake is complete.
    Up(Facts),
    /// The stream has something to read: bytes, an end, or a reset. Edge-triggered: comes
    /// again only after a read was [`Read::Blocked`].
    Readable(StreamId),
    /// A stream whose write was [`Wrote::Blocked`] takes bytes again.
    Writable(StreamId),
    /// A stream could not be opened, and now one can.
    Openable,
    /// The peer is at a new address, and has proved it.
    Moved(Path),
    /// The end. Nothing comes after it.
    Down(Why),
}

/// The outcome of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrote {
    /// Everything was taken, the end mark too if one was given.
    All,
    /// The rest is still in the caller's `Bytes`. [`Signal::Writable`] will come, or
    /// [`Signal::Down`] if the connection is at its end.
    Blocked,
}

/// The outcome of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// So many bytes were read; more may be there.
    Bytes(usize),
    /// Nothing is there. [`Signal::Readable`] will come.
    Blocked,
    /// Everything has been read. `Read::Bytes` before it carried the last bytes.
    Finished,
}

/// A stream that ended in another way than by its end mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamEnd {
    /// The peer reset it (reading), or wants no more of it (writing).
    ByPeer(Code),
    /// It is not there: never opened, or already over on both sides.
    Gone,
}

/// Numbers of one connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Smoothed round-trip time.
    pub rtt: Duration,
    /// The lowest round-trip time seen.
    pub min_rtt: Duration,
    /// Congestion window in bytes.
    pub cwnd: u64,
    /// Packets and bytes sent and received, on the wire without UDP and IP headers.
    pub packets_sent: u64,
    /// See `packets_sent`.
    pub packets_received: u64,
    /// Packets declared lost.
    pub packets_lost: u64,
    /// See `packets_sent`.
    pub bytes_sent: u64,
    /// See `packets_sent`.
    pub bytes_received: u64,
    /// The datagram size in use.
    pub datagram: usize,
}

/// One for each endpoint: what exists before and between connections.
pub trait Stack: Send {
    /// Says whose a datagram is. Stateless answers are appended to `out` (which is empty, and
    /// the answer may only be sent if the caller's rate limit has room). Total: any bytes.
    fn classify(&mut self, now: Instant, path: Path, bytes: &[u8], out: &mut Vec<u8>) -> Route;

    /// Appends the datagram to `out` that asks the client to prove its address.
    fn challenge(&mut self, now: Instant, path: Path, offer: &Offer, out: &mut Vec<u8>) -> Route;

    /// Makes the server's end of a connection that a first datagram offers. The datagram itself
    /// is given to [`Transport::receive`] afterwards.
    ///
    /// # Errors
    /// The reason why nothing came of it.
    fn admit(
        &mut self,
        now: Instant,
        id: ConnId,
        path: Path,
        offer: &Offer,
    ) -> Result<Box<dyn Transport>, Dropped>;

    /// Makes the client's end of a connection.
    ///
    /// # Errors
    /// [`Misuse::Config`] for a target that cannot work.
    fn dial(
        &mut self,
        now: Instant,
        id: ConnId,
        target: &Target,
    ) -> Result<Box<dyn Transport>, Misuse>;

    /// The connection with this id is gone.
    fn forget(&mut self, id: ConnId);

    /// Takes a new certificate chain and key (PEM) for connections admitted from now on.
    /// On an error the old ones stay.
    ///
    /// # Errors
    /// [`Misuse::Config`] with what is wrong.
    fn set_identity(&mut self, chain_pem: &[u8], key_pem: &[u8]) -> Result<(), Misuse>;
}

/// One end of one connection.
///
/// No call fails because of what a peer sent: that shows as [`Signal::Down`], or as a
/// [`StreamEnd`] of one stream.
pub trait Transport: Send {
    /// Takes a datagram that came for this connection.
    fn receive(&mut self, now: Instant, path: Path, bytes: &mut [u8]);

    /// Writes datagrams to `buf` (at least [`crate::limits::MAX_SEGMENTED`] bytes), as a run of
    /// equal segments where that is possible. `None`: nothing to send now.
    fn transmit(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit>;

    /// When to call [`Transport::expire`].
    fn deadline(&self) -> Option<Instant>;

    /// The deadline has come.
    fn expire(&mut self, now: Instant);

    /// The next thing the connection should know.
    fn poll(&mut self) -> Option<Signal>;

    /// Opens a stream. `None`: the peer allows no more now; [`Signal::Openable`] will come.
    fn open(&mut self, dir: Dir) -> Option<StreamId>;

    /// Takes bytes from the front of `data`, without copying where the transport can. With
    /// `fin` the stream ends after the last of them.
    ///
    /// # Errors
    /// The stream has ended; the rest of `data` is of no use.
    fn write(&mut self, id: StreamId, data: &mut Bytes, fin: bool) -> Result<Wrote, StreamEnd>;

    /// Reads into `buf`, which must not be empty.
    ///
    /// # Errors
    /// The stream has ended without its end mark.
    fn read(&mut self, id: StreamId, buf: &mut [u8]) -> Result<Read, StreamEnd>;

    /// Abandons the sending half, dropping what was not sent.
    fn reset(&mut self, id: StreamId, code: Code);

    /// Wants no more of the receiving half.
    fn stop(&mut self, id: StreamId, code: Code);

    /// Streams with a lower rank are sent first; equal ranks share.
    fn prioritize(&mut self, id: StreamId, rank: u8);

    /// Sends something that the peer has to acknowledge.
    fn ping(&mut self);

    /// Ends the connection now. Unsent stream data is dropped.
    fn close(&mut self, now: Instant, code: Code, reason: &str);

    /// The client's socket has a new address; the connection moves there.
    ///
    /// # Errors
    /// [`Misuse::WrongState`] if the peer has given us no id to use there, or before the
    /// handshake is complete.
    fn rebind(&mut self, now: Instant, local: SocketAddr) -> Result<(), Misuse>;

    /// Whether what is read now came in 0-RTT and may be a replay.
    fn is_early(&self) -> bool;

    /// The newest ticket for a later connection to the same server.
    fn ticket(&self) -> Option<Bytes>;

    /// Both halves of the stream are over, and everything sent on it has been acknowledged.
    fn is_over(&self, id: StreamId) -> bool;

    /// Nothing is left to send or to wait for: the connection can be dropped.
    fn is_finished(&self) -> bool;

    /// Numbers. Not cheap: at most a few times a second.
    fn stats(&self) -> Stats;
}
