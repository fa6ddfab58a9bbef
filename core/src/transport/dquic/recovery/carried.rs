//! What a packet carried that has to arrive.

use std::ops::Range;

use crate::id::{Dir, StreamId};

/// What a packet carried: what is done with when it is acknowledged, and has to be sent again
/// if it is lost. What may change until then (limits, states) is only named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Carried {
    /// An ACK frame, with this largest packet number.
    pub(crate) ack: Option<u64>,
    /// Everything else that matters.
    pub(crate) items: Vec<Item>,
}

/// One thing that a packet carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// Bytes of a stream, with or without its end mark.
    Stream {
        /// The stream.
        id: StreamId,
        /// Which bytes.
        range: Range<u64>,
        /// The end mark was there.
        fin: bool,
    },
    /// RESET_STREAM.
    ResetStream(StreamId),
    /// STOP_SENDING.
    StopSending(StreamId),
    /// MAX_DATA.
    MaxData,
    /// MAX_STREAM_DATA.
    MaxStreamData(StreamId),
    /// MAX_STREAMS.
    MaxStreams(Dir),
    /// DATA_BLOCKED.
    DataBlocked,
    /// STREAM_DATA_BLOCKED.
    StreamDataBlocked(StreamId),
    /// STREAMS_BLOCKED.
    StreamsBlocked(Dir),
    /// NEW_CONNECTION_ID with this sequence number.
    NewConnectionId(u64),
    /// RETIRE_CONNECTION_ID with this sequence number.
    RetireConnectionId(u64),
}
