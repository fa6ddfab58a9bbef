//! Error codes of the transport (RFC 9000 section 20.1).

use std::fmt;

/// Why the transport closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransportError {
    /// NO_ERROR: closed without one.
    NoError,
    /// INTERNAL_ERROR: our own fault.
    Internal,
    /// CONNECTION_REFUSED: the server takes no more connections.
    ConnectionRefused,
    /// FLOW_CONTROL_ERROR: more data than was permitted.
    FlowControl,
    /// STREAM_LIMIT_ERROR: more streams than were permitted.
    StreamLimit,
    /// STREAM_STATE_ERROR: a frame for a stream that cannot have it.
    StreamState,
    /// FINAL_SIZE_ERROR: a stream's end has changed, or data lies beyond it.
    FinalSize,
    /// FRAME_ENCODING_ERROR: a frame that cannot be parsed.
    FrameEncoding,
    /// TRANSPORT_PARAMETER_ERROR: transport parameters that cannot be.
    TransportParameter,
    /// CONNECTION_ID_LIMIT_ERROR: more connection ids than were permitted.
    ConnectionIdLimit,
    /// PROTOCOL_VIOLATION: something that has no code of its own.
    ProtocolViolation,
    /// INVALID_TOKEN: a token that is not ours.
    InvalidToken,
    /// APPLICATION_ERROR: the application's code may not be told yet.
    Application,
}

impl TransportError {
    /// The number on the wire.
    #[must_use]
    pub const fn to_wire(self) -> u64 {
        match self {
            Self::NoError => 0x00,
            Self::Internal => 0x01,
            Self::ConnectionRefused => 0x02,
            Self::FlowControl => 0x03,
            Self::StreamLimit => 0x04,
            Self::StreamState => 0x05,
            Self::FinalSize => 0x06,
            Self::FrameEncoding => 0x07,
            Self::TransportParameter => 0x08,
            Self::ConnectionIdLimit => 0x09,
            Self::ProtocolViolation => 0x0a,
            Self::InvalidToken => 0x0b,
            Self::Application => 0x0c,
        }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::NoError => "no error",
            Self::Internal => "internal error",
            Self::ConnectionRefused => "connection refused",
            Self::FlowControl => "more data than was permitted",
            Self::StreamLimit => "more streams than were permitted",
            Self::StreamState => "a frame that the stream cannot have",
            Self::FinalSize => "the end of a stream has changed",
            Self::FrameEncoding => "malformed frame",
            Self::TransportParameter => "impossible transport parameters",
            Self::ConnectionIdLimit => "more connection ids than were permitted",
            Self::ProtocolViolation => "protocol violation",
            Self::InvalidToken => "invalid token",
            Self::Application => "application error",
        };
        f.write_str(words)
    }
}
