//! Frames to bytes.

use super::{Ack, Frame, StreamFrame, kind};
use crate::id::{Dir, StreamId};
use crate::limits::DQUIC_ACK_RANGES;
use crate::transport::dquic::out::{Out, varint_len};
use crate::transport::dquic::recovery::ranges::RangeSet;

impl Frame<'_> {
    /// How many bytes the frame takes.
    #[must_use]
    pub fn len(&self) -> usize {
        let varints = |values: &[u64]| 1 + values.iter().map(|v| varint_len(*v)).sum::<usize>();
        match *self {
            Self::Padding(len) => len,
            Self::Ping => 1,
            Self::Ack(Ack { largest, delay_us, more, first, rest }) => {
                varints(&[largest, delay_us, more, first]) + rest.len()
            }
            Self::ResetStream { id, code, final_size } => varints(&[id.0, code, final_size]),
            Self::StopSending { id, code } => varints(&[id.0, code]),
            Self::Stream(StreamFrame { id, offset, data, .. }) => {
                let offset_len = if offset == 0 { 0 } else { varint_len(offset) };
                varints(&[id.0, data.len() as u64]) + offset_len + data.len()
            }
            Self::MaxData(max)
            | Self::MaxStreams { max, .. }
            | Self::DataBlocked(max)
            | Self::StreamsBlocked { max, .. }
            | Self::RetireConnectionId(max) => varints(&[max]),
            Self::MaxStreamData { id, max } | Self::StreamDataBlocked { id, max } => {
                varints(&[id.0, max])
            }
            Self::NewConnectionId { sequence, retire_prior_to, cid, .. } => {
                varints(&[sequence, retire_prior_to]) + 1 + cid.as_slice().len() + 16
            }
            Self::PathChallenge(_) | Self::PathResponse(_) => 1 + 8,
            Self::ConnectionClose { code, frame_type, reason } => {
                let frame_type = frame_type.map_or(0, varint_len);
                varints(&[code, reason.len() as u64]) + frame_type + reason.len()
            }
        }
    }

    /// No frame is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        false
    }

    /// Appends the frame. False, and nothing is written, if it does not fit.
    pub fn write(&self, out: &mut Out<'_>) -> bool {
        if self.len() > out.room() {
            return false;
        }
        match *self {
            Self::Padding(len) => out.pad_to(out.len() + len),
            Self::Ping => varints(out, &[kind::PING]),
            Self::Ack(Ack { largest, delay_us, more, first, rest }) => {
                varints(out, &[kind::ACK, largest, delay_us, more, first]);
                out.put(rest);
            }
            Self::ResetStream { id, code, final_size } => {
                varints(out, &[kind::RESET_STREAM, id.0, code, final_size]);
            }
            Self::StopSending { id, code } => varints(out, &[kind::STOP_SENDING, id.0, code]),
            Self::Stream(StreamFrame { id, offset, data, fin }) => {
                stream_header(out, id, offset, data.len(), fin);
                out.put(data);
            }
            Self::MaxData(max) => varints(out, &[kind::MAX_DATA, max]),
            Self::MaxStreamData { id, max } => varints(out, &[kind::MAX_STREAM_DATA, id.0, max]),
            Self::MaxStreams { dir, max } => {
                varints(out, &[by(dir, kind::MAX_STREAMS_BIDI, kind::MAX_STREAMS_UNI), max]);
            }
            Self::DataBlocked(max) => varints(out, &[kind::DATA_BLOCKED, max]),
            Self::StreamDataBlocked { id, max } => {
                varints(out, &[kind::STREAM_DATA_BLOCKED, id.0, max]);
            }
            Self::StreamsBlocked { dir, max } => {
                let kind = by(dir, kind::STREAMS_BLOCKED_BIDI, kind::STREAMS_BLOCKED_UNI);
                varints(out, &[kind, max]);
            }
            Self::NewConnectionId { sequence, retire_prior_to, cid, token } => {
                let cid = cid.as_slice();
                varints(out, &[kind::NEW_CONNECTION_ID, sequence, retire_prior_to]);
                varints(out, &[cid.len() as u64]);
                out.put(cid);
                out.put(&token);
            }
            Self::RetireConnectionId(sequence) => {
                varints(out, &[kind::RETIRE_CONNECTION_ID, sequence]);
            }
            Self::PathChallenge(data) => data8(out, kind::PATH_CHALLENGE, &data),
            Self::PathResponse(data) => data8(out, kind::PATH_RESPONSE, &data),
            Self::ConnectionClose { code, frame_type, reason } => {
                match frame_type {
                    Some(cause) => varints(out, &[kind::CONNECTION_CLOSE, code, cause]),
                    None => varints(out, &[kind::CONNECTION_CLOSE_APP, code]),
                }
                varints(out, &[reason.len() as u64]);
                out.put(reason);
            }
        }
        true
    }
}

fn varints(out: &mut Out<'_>, values: &[u64]) {
    for value in values {
        out.put_varint(*value);
    }
}

fn data8(out: &mut Out<'_>, kind: u64, data: &[u8; 8]) {
    out.put_varint(kind);
    out.put(data);
}

const fn by(dir: Dir, bidi: u64, uni: u64) -> u64 {
    match dir {
        Dir::Bidi => bidi,
        Dir::Uni => uni,
    }
}

/// Writes what is in front of the data of a STREAM frame, always with a length. The caller has
/// seen to the room, and puts `len` bytes after it.
pub(crate) fn stream_header(out: &mut Out<'_>, id: StreamId, offset: u64, len: usize, fin: bool) {
    let off = if offset == 0 { 0 } else { kind::STREAM_OFF };
    let fin = if fin { kind::STREAM_FIN } else { 0 };
    varints(out, &[kind::STREAM | kind::STREAM_LEN | off | fin, id.0]);
    if offset > 0 {
        out.put_varint(offset);
    }
    out.put_varint(len as u64);
}

/// Appends an ACK frame with the highest of these packets, as many ranges as fit. False, and
/// nothing is written, if there are none or not even one range fits.
pub(crate) fn write_ack(out: &mut Out<'_>, received: &RangeSet, delay_us: u64) -> bool {
    let mut ranges = received.iter().rev();
    let Some(top) = ranges.next() else { return false };
    let (largest, first) = (top.end - 1, top.end - 1 - top.start);
    let fixed = [kind::ACK, largest, delay_us, DQUIC_ACK_RANGES as u64, first];
    let Some(mut room) = out.room().checked_sub(fixed.iter().map(|v| varint_len(*v)).sum()) else {
        return false;
    };
    let mut smallest = top.start;
    let mut pairs = Vec::new();
    for range in ranges.take(DQUIC_ACK_RANGES - 1) {
        let pair = [smallest - range.end - 1, range.end - 1 - range.start];
        let Some(left) = room.checked_sub(varint_len(pair[0]) + varint_len(pair[1])) else { break };
        room = left;
        smallest = range.start;
        pairs.push(pair);
    }
    varints(out, &[kind::ACK, largest, delay_us, pairs.len() as u64, first]);
    for pair in pairs {
        varints(out, &pair);
    }
    true
}
