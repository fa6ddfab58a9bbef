//! The PDUs of a media stream, as bytes and as values (`docs/protocol.md`, rules AB-M*).
//!
//! Both dialects carry the same PDUs. A header of 12 bytes (version, type, flags, a reserved
//! byte, session id, body length) is followed by the body. All numbers are in network order.

mod open;
mod tlv;

pub use open::{OpenStream, parse_ack, put_ack};

use super::Nack;
use crate::error::Violation;
use crate::limits;
use crate::time::UnixMillis;
use crate::wire::varint::Cursor;

/// The length of a header in bytes.
pub const HEADER: usize = 12;
/// What a chunk has between its header and its payload: sequence and payload length.
pub const CHUNK_HEAD: usize = 8;
/// The only version.
pub const VERSION: u8 = 1;
/// Chunk flag: chunks were skipped just in front of this one (AB-M14). Flags 0x01 (key chunk),
/// 0x02 (discardable) and 0x04 (last) are reserved; unknown flags are ignored.
pub const DISCONTINUITY: u8 = 0x08;

/// The type of a PDU that this version knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// 1: a client asks for a session.
    OpenStream,
    /// 2: the server grants it.
    OpenAck,
    /// 3: the server refuses it.
    OpenNack,
    /// 4: media.
    StreamChunk,
    /// 5: the client wants no chunks for now.
    PauseStream,
    /// 6: the client wants chunks again.
    ResumeStream,
    /// 7: the sender ends the session.
    CloseStream,
    /// 8: the sender is alive.
    Heartbeat,
}

impl Kind {
    /// Every type.
    pub const ALL: [Self; 8] = [
        Self::OpenStream,
        Self::OpenAck,
        Self::OpenNack,
        Self::StreamChunk,
        Self::PauseStream,
        Self::ResumeStream,
        Self::CloseStream,
        Self::Heartbeat,
    ];

    /// The number on the wire.
    #[must_use]
    pub const fn to_wire(self) -> u8 {
        match self {
            Self::OpenStream => 1,
            Self::OpenAck => 2,
            Self::OpenNack => 3,
            Self::StreamChunk => 4,
            Self::PauseStream => 5,
            Self::ResumeStream => 6,
            Self::CloseStream => 7,
            Self::Heartbeat => 8,
        }
    }

    /// The type with this number, if this version knows it.
    #[must_use]
    pub fn from_wire(wire: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.to_wire() == wire)
    }
}

/// A PDU's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The type's number; may be one that this version does not know.
    pub kind: u8,
    /// Flags, whose meaning depends on the type.
    pub flags: u8,
    /// The sender's session id. Receivers ignore it: the stream names the session.
    pub session: u32,
    /// Bytes of body that follow.
    pub len: u32,
}

impl Header {
    /// Reads a header and checks what can be checked without the body.
    ///
    /// # Errors
    /// [`Violation::PduVersion`] (AB-M2), [`Violation::PduTooLong`] (AB-M3),
    /// [`Violation::ChunkLength`] for a chunk too short for its own fields (AB-M5).
    pub fn parse(bytes: &[u8; HEADER]) -> Result<Self, Violation> {
        let [version, kind, flags, _reserved, s0, s1, s2, s3, l0, l1, l2, l3] = *bytes;
        let session = u32::from_be_bytes([s0, s1, s2, s3]);
        let len = u32::from_be_bytes([l0, l1, l2, l3]);
        if version != VERSION {
            return Err(Violation::PduVersion(version));
        }
        let is_chunk = kind == Kind::StreamChunk.to_wire();
        let most = if is_chunk {
            CHUNK_HEAD as u64 + u64::from(limits::MAX_CHUNK)
        } else {
            limits::MAX_PDU_BODY as u64
        };
        if u64::from(len) > most {
            return Err(Violation::PduTooLong { kind, len });
        }
        if is_chunk && (len as usize) < CHUNK_HEAD {
            return Err(Violation::ChunkLength);
        }
        Ok(Self { kind, flags, session, len })
    }

    /// The header as bytes.
    #[must_use]
    pub const fn encode(self) -> [u8; HEADER] {
        let (s, l) = (self.session.to_be_bytes(), self.len.to_be_bytes());
        [VERSION, self.kind, self.flags, 0, s[0], s[1], s[2], s[3], l[0], l[1], l[2], l[3]]
    }
}

/// What stands in front of a chunk's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkHead {
    /// The chunk's number, from 1. It names a place in the media: chunk n starts at byte
    /// (n - 1) x chunk size.
    pub sequence: u32,
    /// Bytes of payload.
    pub len: u32,
    /// The header's flags.
    pub flags: u8,
}

impl ChunkHead {
    /// Reads the fields that follow a chunk's header.
    ///
    /// # Errors
    /// [`Violation::ChunkLength`] if the two lengths differ (AB-M5).
    pub fn parse(header: Header, bytes: [u8; CHUNK_HEAD]) -> Result<Self, Violation> {
        let [s0, s1, s2, s3, l0, l1, l2, l3] = bytes;
        let sequence = u32::from_be_bytes([s0, s1, s2, s3]);
        let len = u32::from_be_bytes([l0, l1, l2, l3]);
        if header.len.checked_sub(CHUNK_HEAD as u32) != Some(len) {
            return Err(Violation::ChunkLength);
        }
        Ok(Self { sequence, len, flags: header.flags })
    }

    /// Header and fields, everything in front of the payload.
    #[must_use]
    pub fn encode(self, session: u32) -> [u8; HEADER + CHUNK_HEAD] {
        debug_assert!(self.len <= limits::MAX_CHUNK);
        let kind = Kind::StreamChunk.to_wire();
        let len = self.len.saturating_add(CHUNK_HEAD as u32);
        let header = Header { kind, flags: self.flags, session, len };
        let mut out = [0; HEADER + CHUNK_HEAD];
        out[..HEADER].copy_from_slice(&header.encode());
        out[HEADER..HEADER + 4].copy_from_slice(&self.sequence.to_be_bytes());
        out[HEADER + 4..].copy_from_slice(&self.len.to_be_bytes());
        out
    }
}

/// Any PDU but a chunk, whose payload is never held in one piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pdu {
    /// A client asks for a session.
    OpenStream(OpenStream),
    /// The server grants it.
    OpenAck(super::Grant),
    /// The server refuses it.
    OpenNack(Nack),
    /// The client wants no chunks for now.
    PauseStream,
    /// The client wants chunks again.
    ResumeStream,
    /// The sender ends the session.
    CloseStream,
    /// The sender is alive, and this is its wall-clock time.
    Heartbeat(UnixMillis),
}

impl Pdu {
    /// Its type.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::OpenStream(_) => Kind::OpenStream,
            Self::OpenAck(_) => Kind::OpenAck,
            Self::OpenNack(_) => Kind::OpenNack,
            Self::PauseStream => Kind::PauseStream,
            Self::ResumeStream => Kind::ResumeStream,
            Self::CloseStream => Kind::CloseStream,
            Self::Heartbeat(_) => Kind::Heartbeat,
        }
    }

    /// Reads a body. Bytes after the fields that a type has are skipped, so that later versions
    /// can add some; after OPEN_STREAM and OPEN_ACK they are extension TLVs.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(kind: Kind, body: &[u8]) -> Result<Self, &'static str> {
        let mut cursor = Cursor::new(body);
        match kind {
            Kind::OpenStream => OpenStream::parse(body).map(Self::OpenStream),
            Kind::OpenAck => parse_ack(body).map(Self::OpenAck),
            Kind::OpenNack => {
                let code = cursor.u16().ok_or("ends early")?;
                Ok(Self::OpenNack(Nack::from_wire(code)))
            }
            Kind::StreamChunk => Err("a chunk is not read in one piece"),
            Kind::PauseStream => Ok(Self::PauseStream),
            Kind::ResumeStream => Ok(Self::ResumeStream),
            Kind::CloseStream => Ok(Self::CloseStream),
            Kind::Heartbeat => {
                let millis = cursor.u64().ok_or("ends early")?;
                Ok(Self::Heartbeat(UnixMillis(millis)))
            }
        }
    }

    /// The whole PDU as bytes. A grant is written with its extensions only if `extended`:
    /// a classic client rejects an OPEN_ACK of more than 16 bytes.
    #[must_use]
    pub fn encode(&self, session: u32, extended: bool) -> Vec<u8> {
        let mut out = vec![0; HEADER];
        match self {
            Self::OpenStream(open) => open.put(&mut out),
            Self::OpenAck(grant) => put_ack(grant, extended, &mut out),
            Self::OpenNack(nack) => out.extend(nack.to_wire().to_be_bytes()),
            Self::PauseStream | Self::ResumeStream | Self::CloseStream => {}
            Self::Heartbeat(wall) => out.extend(wall.0.to_be_bytes()),
        }
        let len = u32::try_from(out.len() - HEADER).unwrap_or(u32::MAX);
        debug_assert!(len as usize <= limits::MAX_PDU_BODY);
        let header = Header { kind: self.kind().to_wire(), flags: 0, session, len };
        out[..HEADER].copy_from_slice(&header.encode());
        out
    }
}

impl Nack {
    /// The number on the wire.
    #[must_use]
    pub const fn to_wire(self) -> u16 {
        match self {
            Self::UnsupportedCodec => 1,
            Self::UnsupportedEncryption => 2,
            Self::MulticastUnsupported => 3,
            Self::NoSuchMedia => 4,
            Self::StartOutOfRange => 5,
            Self::Busy => 6,
            Self::GoingAway => 7,
            Self::ProtocolViolation => 99,
            Self::Other(code) => code,
        }
    }

    /// The meaning of a number from the wire.
    #[must_use]
    pub const fn from_wire(wire: u16) -> Self {
        match wire {
            1 => Self::UnsupportedCodec,
            2 => Self::UnsupportedEncryption,
            3 => Self::MulticastUnsupported,
            4 => Self::NoSuchMedia,
            5 => Self::StartOutOfRange,
            6 => Self::Busy,
            7 => Self::GoingAway,
            99 => Self::ProtocolViolation,
            other => Self::Other(other),
        }
    }
}

#[cfg(test)]
mod tests;
