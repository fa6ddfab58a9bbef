//! Which stream belongs to whom: the type in front of every stream of `anabranch/1`
//! (`docs/protocol.md`, rules AB-S*). Kept apart from the transport, so that a prefix of another
//! protocol can be taken off in front of it.

use crate::id::{Dir, SessionId, Side, StreamId};
use crate::transport::{Read, StreamEnd, Transport};
use crate::wire::varint;

/// The stream types of `anabranch/1`.
pub mod kind {
    /// HELLO, ping, listing, GOAWAY.
    pub const CONTROL: u64 = 0;
    /// One media session.
    pub const MEDIA: u64 = 1;
    /// One file transfer, or one question about files.
    pub const FILE_CONTROL: u64 = 3;
    /// Pieces of files.
    pub const FILE_DATA: u64 = 4;

    /// Reserved values of the form 31n + 27: they mean nothing, and peers send them so that
    /// ignoring the unknown stays a habit.
    #[must_use]
    pub const fn is_reserved(kind: u64) -> bool {
        kind % 31 == 27
    }
}

/// Who gets the signals of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Its type has not arrived.
    Untyped(Prefix),
    /// The control stream.
    Control,
    /// A session.
    Session(SessionId),
    /// It carries pieces of files; of which transfer has not arrived.
    FileData(Prefix),
    /// Nobody any more: what comes is read and dropped, until both halves are over.
    Nobody,
}

/// The bytes of a stream type that have arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Prefix {
    bytes: [u8; 8],
    len: usize,
}

/// What a stream turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// The rest of the type has not arrived.
    Wait,
    /// It ended before its type was complete.
    Ended,
    /// It may be this, opened this way.
    Kind(u64),
}

impl Prefix {
    /// Reads on, never beyond the type.
    pub(crate) fn read(&mut self, id: StreamId, transport: &mut dyn Transport) -> Typed {
        loop {
            if let Some((kind, _)) = varint::peek(&self.bytes[..self.len]) {
                return Typed::Kind(kind);
            }
            let wanted = if self.len == 0 { 1 } else { 1 << (self.bytes[0] >> 6) };
            match transport.read(id, &mut self.bytes[self.len..wanted]) {
                Ok(Read::Bytes(len)) => self.len += len,
                Ok(Read::Blocked) => return Typed::Wait,
                Ok(Read::Finished) | Err(StreamEnd::ByPeer(_) | StreamEnd::Gone) => {
                    return Typed::Ended;
                }
            }
        }
    }
}

/// Whether `opener` may open a stream of this type in this direction. `None`: unknown type.
pub(crate) fn is_allowed(kind: u64, opener: Side, dir: Dir) -> Option<bool> {
    match kind {
        kind::CONTROL | kind::MEDIA => Some(opener == Side::Client && dir == Dir::Bidi),
        kind::FILE_CONTROL => Some(dir == Dir::Bidi),
        kind::FILE_DATA => Some(dir == Dir::Uni),
        _ => None,
    }
}

/// The one ranking of everything that is sent: lower goes first.
pub mod rank {
    /// Control messages.
    pub const CONTROL: u8 = 0;
    /// What is said about files.
    pub const FILE_CONTROL: u8 = 16;
    /// Media chunks.
    pub const MEDIA: u8 = 32;
    /// Streams from here on are in the background: they leave room for all others.
    pub const BACKGROUND: u8 = 128;
    /// Pieces of files, of transfers that have nobody in front.
    pub const FILES: u8 = BACKGROUND;
}
