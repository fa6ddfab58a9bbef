//! Errors by who is to blame: the caller ([`Misuse`], [`Gone`]), the peer ([`Violation`]),
//! or the world ([`Lost`]). A bug of ours is an assertion, not an error value.

use std::fmt;

use crate::code::Code;

/// The caller asked for something that is not possible. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misuse {
    /// No connection or session with that id: it has ended, or never was.
    Gone,
    /// The session is not in a state in which that command means anything.
    WrongState {
        /// The command.
        command: &'static str,
        /// The state it met.
        state: &'static str,
    },
    /// Only the other role (client or server) can do that.
    WrongRole(&'static str),
    /// The peer speaks the classic protocol, which has no such thing.
    ClassicPeer(&'static str),
    /// More than the limit allows.
    TooMuch {
        /// Of what.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Bytes were supplied that nobody asked for, or for another place than asked.
    NotWanted {
        /// The place that is wanted next.
        wanted: u64,
        /// The place that was supplied.
        supplied: u64,
    },
    /// The connection or the endpoint is shutting down and starts nothing new.
    Draining,
    /// A setting that cannot work, with the reason.
    Config(&'static str),
    /// A feature that this build leaves out.
    NotBuilt(&'static str),
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("no such connection or session (it has ended)"),
            Self::WrongState { command, state } => {
                write!(f, "{command} is not possible in state {state}")
            }
            Self::WrongRole(what) => write!(f, "{what} belongs to the other role"),
            Self::ClassicPeer(what) => write!(f, "the peer speaks the classic protocol: no {what}"),
            Self::TooMuch { what, limit } => write!(f, "too much {what}: the limit is {limit}"),
            Self::NotWanted { wanted, supplied } => {
                write!(f, "bytes at {supplied} were supplied, bytes at {wanted} are wanted")
            }
            Self::Draining => f.write_str("shutting down: nothing new is started"),
            Self::Config(why) => write!(f, "configuration: {why}"),
            Self::NotBuilt(what) => write!(f, "this build has no {what}"),
        }
    }
}

impl std::error::Error for Misuse {}

/// The peer broke a rule of `docs/protocol.md`: one variant for each rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A media PDU header with a version other than 1 (AB-M2).
    PduVersion(u8),
    /// A PDU body longer than its type allows (AB-M3).
    PduTooLong {
        /// The PDU's type.
        kind: u8,
        /// The length it claimed, in bytes.
        len: u32,
    },
    /// A PDU body that cannot be parsed (AB-M4).
    PduMalformed {
        /// The PDU's type.
        kind: u8,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A chunk whose payload length is not what its PDU length says (AB-M5).
    ChunkLength,
    /// A chunk with a sequence number that was already passed (AB-M6).
    ChunkSequence {
        /// The lowest sequence that could have come.
        expected: u32,
        /// The one that came.
        got: u32,
    },
    /// A stream that ended in the middle of a PDU (AB-M7).
    PduTruncated,
    /// Too many PDUs that had to be ignored (AB-M8).
    TooManyIgnored,
    /// A control message longer than allowed (AB-C2).
    ControlTooLong(u64),
    /// A control message that cannot be parsed (AB-C3).
    ControlMalformed {
        /// The message's type.
        kind: u64,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A second control stream, or one from the server (AB-C1).
    ControlStream,
    /// The control stream was closed or reset while the connection was open (AB-C1).
    ControlClosed,
    /// No version in common (AB-C4).
    NoCommonVersion,
    /// A second HELLO, or anything else in front of the first (AB-C4).
    HelloOrder,
    /// A stream of a kind that its opener may not open (AB-S2).
    StreamDirection,
    /// A message of a file control stream that is longer than allowed (AB-F4).
    FileTooLong(u64),
    /// A message of a file control stream that cannot be parsed (AB-F4).
    FileMalformed {
        /// The message's type.
        kind: u64,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A message of this type that has no place where it came (AB-F5).
    FileOrder(u64),
    /// A file control stream or a block that ends too early (AB-F5).
    FileTruncated,
    /// Another transfer than was asked for (AB-F14).
    FileToken,
    /// A file or piece that was not announced, not wanted, not sent, or that is there (AB-F5).
    FileRange,
    /// The head of a block that cannot be parsed (AB-F9).
    FileBlock(&'static str),
    /// More at once than allowed (AB-F5).
    FileLimit(&'static str),
    /// Both sides do not agree on what was transferred (AB-F27).
    FileDigest,
}

impl Violation {
    /// The code that goes to the peer.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::PduTooLong { .. }
            | Self::TooManyIgnored
            | Self::ControlTooLong(_)
            | Self::FileTooLong(_)
            | Self::FileLimit(_) => Code::Limit,
            Self::PduVersion(_)
            | Self::PduMalformed { .. }
            | Self::ChunkLength
            | Self::ChunkSequence { .. }
            | Self::PduTruncated
            | Self::ControlMalformed { .. }
            | Self::ControlStream
            | Self::ControlClosed
            | Self::NoCommonVersion
            | Self::HelloOrder
            | Self::StreamDirection
            | Self::FileMalformed { .. }
            | Self::FileOrder(_)
            | Self::FileTruncated
            | Self::FileToken
            | Self::FileRange
            | Self::FileBlock(_)
            | Self::FileDigest => Code::Violation,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PduVersion(v) => write!(f, "PDU version {v}, not 1"),
            Self::PduTooLong { kind, len } => write!(f, "PDU type {kind} of {len} bytes"),
            Self::PduMalformed { kind, why } => write!(f, "malformed PDU type {kind}: {why}"),
            Self::ChunkLength => f.write_str("chunk length differs from its PDU length"),
            Self::ChunkSequence { expected, got } => {
                write!(f, "chunk {got} after chunk {} was passed", expected.saturating_sub(1))
            }
            Self::PduTruncated => f.write_str("stream ended in the middle of a PDU"),
            Self::TooManyIgnored => f.write_str("too many PDUs out of place"),
            Self::ControlTooLong(len) => write!(f, "control message of {len} bytes"),
            Self::ControlMalformed { kind, why } => {
                write!(f, "malformed control message type {kind}: {why}")
            }
            Self::ControlStream => f.write_str("misplaced control stream"),
            Self::ControlClosed => f.write_str("control stream closed early"),
            Self::NoCommonVersion => f.write_str("no protocol version in common"),
            Self::HelloOrder => f.write_str("HELLO missing or repeated"),
            Self::StreamDirection => f.write_str("stream of a kind its opener may not open"),
            Self::FileTooLong(len) => write!(f, "file message of {len} bytes"),
            Self::FileMalformed { kind, why } => {
                write!(f, "malformed file message type {kind}: {why}")
            }
            Self::FileOrder(kind) => write!(f, "file message type {kind} out of place"),
            Self::FileTruncated => f.write_str("file stream ended too early"),
            Self::FileToken => f.write_str("another transfer than was asked for"),
            Self::FileRange => f.write_str("a file or piece that has no place there"),
            Self::FileBlock(why) => write!(f, "malformed block: {why}"),
            Self::FileLimit(what) => write!(f, "too many {what}"),
            Self::FileDigest => f.write_str("the transfer's digest differs"),
        }
    }
}

/// The connection was lost, and nobody's program is to blame for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// No answer to the first datagrams in time.
    HandshakeTimeout,
    /// The peer was silent for the idle timeout.
    IdleTimeout,
    /// The peer has forgotten the connection (stateless reset, RFC 9000 section 10.3).
    StatelessReset,
    /// The peer's key is not the pinned one. Its SHA-256 (of the SPKI) is given.
    WrongKey([u8; 32]),
    /// The peer's certificate does not verify.
    Untrusted,
    /// TLS failed with this alert (RFC 8446 section 6).
    Tls {
        /// The alert's number.
        alert: u8,
        /// Whether the peer sent it (otherwise we did).
        by_peer: bool,
    },
    /// The peer speaks none of our protocols (ALPN).
    NoProtocol,
    /// The peer speaks no QUIC version of ours.
    NoVersion,
    /// A QUIC transport error (RFC 9000 section 20.1).
    Transport {
        /// The error code.
        code: u64,
        /// Whether the peer found it (otherwise we did).
        by_peer: bool,
    },
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = |by_peer: &bool| if *by_peer { "the peer" } else { "this side" };
        match self {
            Self::HandshakeTimeout => f.write_str("no answer"),
            Self::IdleTimeout => f.write_str("the peer went silent"),
            Self::StatelessReset => f.write_str("the peer has forgotten the connection"),
            Self::WrongKey(_) => f.write_str("the peer's key is not the known one"),
            Self::Untrusted => f.write_str("the peer's certificate does not verify"),
            Self::Tls { alert, by_peer } => write!(f, "TLS alert {alert} from {}", who(by_peer)),
            Self::NoProtocol => f.write_str("no application protocol in common"),
            Self::NoVersion => f.write_str("no QUIC version in common"),
            Self::Transport { code, by_peer } => {
                write!(f, "transport error {code:#x} found by {}", who(by_peer))
            }
        }
    }
}

/// Why a connection is down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// The application closed it.
    Local(Code),
    /// The peer's application closed it, with a reason of at most
    /// [`crate::limits::MAX_REASON`] bytes.
    Peer(Code, String),
    /// The peer broke a rule, and we closed it.
    Violation(Violation),
    /// It was lost.
    Lost(Lost),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(code) => write!(f, "closed here: {code}"),
            Self::Peer(code, reason) if reason.is_empty() => {
                write!(f, "closed by the peer: {code}")
            }
            Self::Peer(code, reason) => write!(f, "closed by the peer: {code} ({reason})"),
            Self::Violation(rule) => write!(f, "the peer broke a rule: {rule}"),
            Self::Lost(lost) => lost.fmt(f),
        }
    }
}
