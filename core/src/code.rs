//! Error codes on the wire, of connections and of streams (`docs/protocol.md`, rules AB-E*).

/// Why a connection or a stream is ended. The numbers are QUIC application error codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// Nothing went wrong.
    None,
    /// A fault of the sender's own.
    Internal,
    /// The peer broke a rule of the protocol.
    Violation,
    /// A stream began with a type nobody here knows.
    UnknownStream,
    /// A limit was passed.
    Limit,
    /// The peer was silent for too long.
    Timeout,
    /// The endpoint is shutting down.
    GoingAway,
    /// Not wanted, or not permitted.
    Refused,
    /// The application does not want the rest.
    Cancelled,
    /// The source of the bytes failed.
    SourceFailed,
    /// A file has changed while it was sent.
    SourceChanged,
    /// Bytes are not what their hash says.
    Integrity,
    /// A name that cannot be used.
    BadName,
    /// The disk is full, or a quota is used up.
    NoSpace,
    /// No such file.
    NotFound,
    /// The file is there, and must not be replaced.
    Exists,
    /// A lack of permission.
    Denied,
    /// Reading or writing a file failed.
    Io,
    /// Something that this version cannot do.
    Unsupported,
    /// Larger than can be.
    TooLarge,
    /// A code that this version does not know.
    Other(u64),
}

impl Code {
    /// Every code with a name.
    pub const ALL: [Self; 20] = [
        Self::None,
        Self::Internal,
        Self::Violation,
        Self::UnknownStream,
        Self::Limit,
        Self::Timeout,
        Self::GoingAway,
        Self::Refused,
        Self::Cancelled,
        Self::SourceFailed,
        Self::SourceChanged,
        Self::Integrity,
        Self::BadName,
        Self::NoSpace,
        Self::NotFound,
        Self::Exists,
        Self::Denied,
        Self::Io,
        Self::Unsupported,
        Self::TooLarge,
    ];

    /// The number on the wire.
    #[must_use]
    pub const fn to_wire(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Internal => 1,
            Self::Violation => 2,
            Self::UnknownStream => 3,
            Self::Limit => 4,
            Self::Timeout => 5,
            Self::GoingAway => 6,
            Self::Refused => 7,
            Self::Cancelled => 8,
            Self::SourceFailed => 9,
            Self::SourceChanged => 32,
            Self::Integrity => 33,
            Self::BadName => 34,
            Self::NoSpace => 35,
            Self::NotFound => 36,
            Self::Exists => 37,
            Self::Denied => 38,
            Self::Io => 39,
            Self::Unsupported => 40,
            Self::TooLarge => 41,
            Self::Other(code) => code,
        }
    }

    /// The meaning of a number from the wire.
    #[must_use]
    pub fn from_wire(wire: u64) -> Self {
        Self::ALL.into_iter().find(|code| code.to_wire() == wire).unwrap_or(Self::Other(wire))
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = match self {
            Self::None => "no error",
            Self::Internal => "internal error",
            Self::Violation => "protocol violation",
            Self::UnknownStream => "unknown stream type",
            Self::Limit => "limit exceeded",
            Self::Timeout => "timed out",
            Self::GoingAway => "going away",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
            Self::SourceFailed => "source failed",
            Self::SourceChanged => "source changed",
            Self::Integrity => "integrity error",
            Self::BadName => "unusable name",
            Self::NoSpace => "no space left",
            Self::NotFound => "not found",
            Self::Exists => "exists already",
            Self::Denied => "permission denied",
            Self::Io => "input or output failed",
            Self::Unsupported => "not supported",
            Self::TooLarge => "too large",
            Self::Other(code) => return write!(f, "error code {code}"),
        };
        f.write_str(words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_wire() {
        for code in Code::ALL {
            assert_eq!(Code::from_wire(code.to_wire()), code);
        }
        assert_eq!(Code::from_wire(4242), Code::Other(4242));
        assert_eq!(Code::Other(4242).to_wire(), 4242);
    }
}
