//! The frames of the DQUIC extension: those of RFC 9000 section 19 without what belongs to
//! encryption, and with acknowledgement delays in microseconds.

mod ack;
mod encode;
#[cfg(test)]
mod tests;

pub use ack::{Ack, AckRanges};
pub(crate) use encode::{stream_header, write_ack};

use super::error::TransportError;
use crate::id::{Dir, StreamId};
use crate::transport::CidBytes;
use crate::wire::varint::{self, Cursor};

/// The numbers of the frame types (RFC 9000 section 19).
pub mod kind {
    /// PADDING.
    pub const PADDING: u64 = 0x00;
    /// PING.
    pub const PING: u64 = 0x01;
    /// ACK, without counts of ECN marks.
    pub const ACK: u64 = 0x02;
    /// `RESET_STREAM`.
    pub const RESET_STREAM: u64 = 0x04;
    /// `STOP_SENDING`.
    pub const STOP_SENDING: u64 = 0x05;
    /// STREAM; the lowest three bits are flags.
    pub const STREAM: u64 = 0x08;
    /// The end mark follows the data.
    pub const STREAM_FIN: u64 = 0x01;
    /// A length is there; without it, the data reaches to the end of the packet.
    pub const STREAM_LEN: u64 = 0x02;
    /// An offset is there; without it, it is 0.
    pub const STREAM_OFF: u64 = 0x04;
    /// `MAX_DATA`.
    pub const MAX_DATA: u64 = 0x10;
    /// `MAX_STREAM_DATA`.
    pub const MAX_STREAM_DATA: u64 = 0x11;
    /// `MAX_STREAMS`, bidirectional.
    pub const MAX_STREAMS_BIDI: u64 = 0x12;
    /// `MAX_STREAMS`, unidirectional.
    pub const MAX_STREAMS_UNI: u64 = 0x13;
    /// `DATA_BLOCKED`.
    pub const DATA_BLOCKED: u64 = 0x14;
    /// `STREAM_DATA_BLOCKED`.
    pub const STREAM_DATA_BLOCKED: u64 = 0x15;
    /// `STREAMS_BLOCKED`, bidirectional.
    pub const STREAMS_BLOCKED_BIDI: u64 = 0x16;
    /// `STREAMS_BLOCKED`, unidirectional.
    pub const STREAMS_BLOCKED_UNI: u64 = 0x17;
    /// `NEW_CONNECTION_ID`.
    pub const NEW_CONNECTION_ID: u64 = 0x18;
    /// `RETIRE_CONNECTION_ID`.
    pub const RETIRE_CONNECTION_ID: u64 = 0x19;
    /// `PATH_CHALLENGE`.
    pub const PATH_CHALLENGE: u64 = 0x1a;
    /// `PATH_RESPONSE`.
    pub const PATH_RESPONSE: u64 = 0x1b;
    /// `CONNECTION_CLOSE` with a code of the transport.
    pub const CONNECTION_CLOSE: u64 = 0x1c;
    /// `CONNECTION_CLOSE` with a code of the application.
    pub const CONNECTION_CLOSE_APP: u64 = 0x1d;
}

/// The most streams that can ever be opened in a direction (RFC 9000 section 4.6).
pub const MAX_STREAMS: u64 = 1 << 60;

/// One frame. What is long is borrowed from the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// So many bytes of PADDING (at least one).
    Padding(usize),
    /// Asks for an acknowledgement.
    Ping,
    /// What has arrived.
    Ack(Ack<'a>),
    /// The sending half was abandoned.
    ResetStream {
        /// The stream.
        id: StreamId,
        /// The application's code.
        code: u64,
        /// How many bytes it had.
        final_size: u64,
    },
    /// No more of the stream is wanted.
    StopSending {
        /// The stream.
        id: StreamId,
        /// The application's code.
        code: u64,
    },
    /// Bytes of a stream.
    Stream(StreamFrame<'a>),
    /// Credit for the connection, in bytes from its beginning.
    MaxData(u64),
    /// Credit for a stream, in bytes from its beginning.
    MaxStreamData {
        /// The stream.
        id: StreamId,
        /// The new limit.
        max: u64,
    },
    /// How many streams may be opened in the life of the connection.
    MaxStreams {
        /// Which ones.
        dir: Dir,
        /// The new limit.
        max: u64,
    },
    /// The connection's credit is used up.
    DataBlocked(u64),
    /// A stream's credit is used up.
    StreamDataBlocked {
        /// The stream.
        id: StreamId,
        /// The limit that was met.
        max: u64,
    },
    /// No more streams may be opened.
    StreamsBlocked {
        /// Which ones.
        dir: Dir,
        /// The limit that was met.
        max: u64,
    },
    /// Another id for the sender of this frame.
    NewConnectionId {
        /// Its number.
        sequence: u64,
        /// Ids below this number are to be retired.
        retire_prior_to: u64,
        /// The id.
        cid: CidBytes,
        /// What a stateless reset to this id ends with.
        token: [u8; 16],
    },
    /// An id that will not be used any more.
    RetireConnectionId(u64),
    /// Asks for a response on the same path.
    PathChallenge([u8; 8]),
    /// The answer to a challenge.
    PathResponse([u8; 8]),
    /// The end of the connection.
    ConnectionClose {
        /// The transport's code, or the application's.
        code: u64,
        /// For a code of the transport: the type of the frame that caused it, or 0.
        frame_type: Option<u64>,
        /// For people.
        reason: &'a [u8],
    },
}

/// Bytes of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamFrame<'a> {
    /// The stream.
    pub id: StreamId,
    /// Where in the stream the data belongs.
    pub offset: u64,
    /// The data, which may be empty.
    pub data: &'a [u8],
    /// The stream ends after the data.
    pub fin: bool,
}

impl Frame<'_> {
    /// Whether the peer has to acknowledge a packet with this frame (RFC 9002 section 2).
    #[must_use]
    pub const fn is_ack_eliciting(&self) -> bool {
        match self {
            Self::Padding(_) | Self::Ack(_) | Self::ConnectionClose { .. } => false,
            Self::Ping
            | Self::ResetStream { .. }
            | Self::StopSending { .. }
            | Self::Stream(_)
            | Self::MaxData(_)
            | Self::MaxStreamData { .. }
            | Self::MaxStreams { .. }
            | Self::DataBlocked(_)
            | Self::StreamDataBlocked { .. }
            | Self::StreamsBlocked { .. }
            | Self::NewConnectionId { .. }
            | Self::RetireConnectionId(_)
            | Self::PathChallenge(_)
            | Self::PathResponse(_) => true,
        }
    }

    /// Whether the frame only asks whether a path works, and so may come on one that is not in
    /// use yet (RFC 9000 section 9.1).
    #[must_use]
    pub const fn is_probing(&self) -> bool {
        matches!(
            self,
            Self::Padding(_)
                | Self::PathChallenge(_)
                | Self::PathResponse(_)
                | Self::NewConnectionId { .. }
        )
    }
}

/// The frames of a packet's payload, in order. After an error nothing follows.
#[derive(Clone, Debug)]
pub struct Frames<'a>(Cursor<'a>);

impl<'a> Frames<'a> {
    /// Starts at the front of a payload.
    #[must_use]
    pub const fn new(payload: &'a [u8]) -> Self {
        Self(Cursor::new(payload))
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, TransportError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let frame = parse(&mut self.0).ok_or(TransportError::FrameEncoding);
        if frame.is_err() {
            self.0 = Cursor::new(&[]);
        }
        Some(frame)
    }
}

fn parse<'a>(cursor: &mut Cursor<'a>) -> Option<Frame<'a>> {
    // Every known type fits into one byte, and has to be written in its shortest form.
    let kind = u64::from(cursor.u8()?);
    Some(match kind {
        kind::PADDING => padding(cursor),
        kind::PING => Frame::Ping,
        kind::ACK => Frame::Ack(Ack::parse(cursor)?),
        kind::RESET_STREAM => Frame::ResetStream {
            id: StreamId(cursor.varint()?),
            code: cursor.varint()?,
            final_size: cursor.varint()?,
        },
        kind::STOP_SENDING => {
            Frame::StopSending { id: StreamId(cursor.varint()?), code: cursor.varint()? }
        }
        kind::STREAM..=0x0f => Frame::Stream(stream(cursor, kind)?),
        kind::MAX_DATA => Frame::MaxData(cursor.varint()?),
        kind::MAX_STREAM_DATA => {
            Frame::MaxStreamData { id: StreamId(cursor.varint()?), max: cursor.varint()? }
        }
        kind::MAX_STREAMS_BIDI => Frame::MaxStreams { dir: Dir::Bidi, max: streams(cursor)? },
        kind::MAX_STREAMS_UNI => Frame::MaxStreams { dir: Dir::Uni, max: streams(cursor)? },
        kind::DATA_BLOCKED => Frame::DataBlocked(cursor.varint()?),
        kind::STREAM_DATA_BLOCKED => {
            Frame::StreamDataBlocked { id: StreamId(cursor.varint()?), max: cursor.varint()? }
        }
        kind::STREAMS_BLOCKED_BIDI => {
            Frame::StreamsBlocked { dir: Dir::Bidi, max: streams(cursor)? }
        }
        kind::STREAMS_BLOCKED_UNI => Frame::StreamsBlocked { dir: Dir::Uni, max: streams(cursor)? },
        kind::NEW_CONNECTION_ID => new_connection_id(cursor)?,
        kind::RETIRE_CONNECTION_ID => Frame::RetireConnectionId(cursor.varint()?),
        kind::PATH_CHALLENGE => Frame::PathChallenge(cursor.bytes(8)?.try_into().ok()?),
        kind::PATH_RESPONSE => Frame::PathResponse(cursor.bytes(8)?.try_into().ok()?),
        kind::CONNECTION_CLOSE => Frame::ConnectionClose {
            code: cursor.varint()?,
            frame_type: Some(cursor.varint()?),
            reason: cursor.prefixed()?,
        },
        kind::CONNECTION_CLOSE_APP => Frame::ConnectionClose {
            code: cursor.varint()?,
            frame_type: None,
            reason: cursor.prefixed()?,
        },
        _ => return None,
    })
}

/// The rest of a run of zeros.
fn padding<'a>(cursor: &mut Cursor<'a>) -> Frame<'a> {
    let rest = cursor.rest();
    let len = rest.iter().take_while(|byte| **byte == 0).count();
    *cursor = Cursor::new(&rest[len..]);
    Frame::Padding(1 + len)
}

fn stream<'a>(cursor: &mut Cursor<'a>, kind: u64) -> Option<StreamFrame<'a>> {
    let id = StreamId(cursor.varint()?);
    let offset = if kind & kind::STREAM_OFF == 0 { 0 } else { cursor.varint()? };
    let data = if kind & kind::STREAM_LEN == 0 {
        cursor.bytes(cursor.rest().len())?
    } else {
        cursor.prefixed()?
    };
    let end = offset.checked_add(data.len() as u64)?;
    let fin = kind & kind::STREAM_FIN != 0;
    (end <= varint::MAX).then_some(StreamFrame { id, offset, data, fin })
}

fn streams(cursor: &mut Cursor<'_>) -> Option<u64> {
    cursor.varint().filter(|max| *max <= MAX_STREAMS)
}

fn new_connection_id<'a>(cursor: &mut Cursor<'a>) -> Option<Frame<'a>> {
    let sequence = cursor.varint()?;
    let retire_prior_to = cursor.varint()?;
    let len = usize::from(cursor.u8()?);
    let cid = CidBytes::new(cursor.bytes(len)?)?;
    let token = cursor.bytes(16)?.try_into().ok()?;
    (len > 0 && retire_prior_to <= sequence).then_some(Frame::NewConnectionId {
        sequence,
        retire_prior_to,
        cid,
        token,
    })
}
