//! From what a disk says to what a peer and a person are told.

use anabranch_core::Code;
use anabranch_storage::Error;

/// Something went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// For the peer.
    pub(crate) code: Code,
    /// For people.
    pub(crate) reason: String,
    /// It is not about one file: nothing more can be stored.
    pub(crate) general: bool,
}

impl Trouble {
    /// About one file.
    pub(crate) fn new(code: Code, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), general: false }
    }

    /// About everything.
    pub(crate) fn general(code: Code, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), general: true }
    }

    /// Of something that was tried on a file that is received.
    pub(crate) fn storing(what: &str, error: Error) -> Self {
        let reason = format!("{what}: {error}");
        match error {
            Error::Full => Self::general(Code::NoSpace, reason),
            Error::ReadOnly => Self::general(Code::Denied, reason),
            Error::NotFound => Self::general(Code::Io, reason),
            Error::Denied => Self::new(Code::Denied, reason),
            Error::Busy => Self::new(Code::Exists, "another transfer is receiving this file"),
            Error::Exists
            | Error::IsADirectory
            | Error::NotADirectory
            | Error::NotAFile
            | Error::NotEmpty => Self::new(Code::Exists, reason),
            Error::OtherDirectory | Error::NotOpen => Self::new(Code::Internal, reason),
            Error::Failed(_) => Self::new(Code::Io, reason),
        }
    }

    /// Of something that was tried on a file that is sent.
    pub(crate) fn reading(error: Error) -> Self {
        let code = match error {
            // It was there when it was announced.
            Error::NotFound | Error::NotADirectory | Error::IsADirectory | Error::NotAFile => {
                Code::SourceChanged
            }
            Error::Denied => Code::Denied,
            Error::Exists
            | Error::NotEmpty
            | Error::OtherDirectory
            | Error::NotOpen
            | Error::Busy
            | Error::Full
            | Error::ReadOnly
            | Error::Failed(_) => Code::SourceFailed,
        };
        Self::new(code, format!("cannot be read: {error}"))
    }
}
