//! What can go wrong.

use std::fmt;
use std::io;

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Error {
    /// There is no such name, or a directory on the way to it is missing.
    NotFound,
    /// The name is taken.
    Exists,
    /// A directory is not what was asked for.
    IsADirectory,
    /// A directory is what was asked for.
    NotADirectory,
    /// Neither a file nor a directory: a symbolic link, a device.
    NotAFile,
    /// The directory is not empty.
    NotEmpty,
    /// Files are renamed within one directory.
    OtherDirectory,
    /// No such file is open.
    NotOpen,
    /// Somebody else has it open, and wants to be alone.
    Busy,
    /// Not permitted: by the system, or the file is open for reading only.
    Denied,
    /// No space is left.
    Full,
    /// Nothing can be changed here.
    ReadOnly,
    /// The storage failed: the system's error code, if it has one.
    Failed(Option<i32>),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::NotFound => "no such file or directory",
            Self::Exists => "the name is taken",
            Self::IsADirectory => "it is a directory",
            Self::NotADirectory => "it is not a directory",
            Self::NotAFile => "it is neither a file nor a directory",
            Self::NotEmpty => "the directory is not empty",
            Self::OtherDirectory => "files are renamed within one directory",
            Self::NotOpen => "no such file is open",
            Self::Busy => "it is in use",
            Self::Denied => "permission denied",
            Self::Full => "no space is left",
            Self::ReadOnly => "the file system is read-only",
            Self::Failed(None) => "the storage failed",
            Self::Failed(Some(code)) => {
                return io::Error::from_raw_os_error(*code).fmt(f);
            }
        };
        f.write_str(text)
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind as K;
        match error.kind() {
            K::NotFound => Self::NotFound,
            K::AlreadyExists => Self::Exists,
            K::IsADirectory => Self::IsADirectory,
            K::NotADirectory => Self::NotADirectory,
            K::DirectoryNotEmpty => Self::NotEmpty,
            K::PermissionDenied => Self::Denied,
            K::StorageFull | K::QuotaExceeded | K::FileTooLarge => Self::Full,
            K::ReadOnlyFilesystem => Self::ReadOnly,
            // Opening a symbolic link that must not be followed.
            _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
                Self::NotAFile
            }
            _ => Self::Failed(error.raw_os_error()),
        }
    }
}
