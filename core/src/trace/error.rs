//! Why a trace cannot be read.

use std::fmt;

use super::file::VERSION;

/// Why a trace cannot be read, or not on. What came before is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TraceError {
    /// It does not begin like a trace.
    NotATrace,
    /// It was recorded by a newer version.
    Newer {
        /// The version of its format.
        version: u16,
    },
    /// It ends in the middle.
    CutOff {
        /// The end of what is whole, in bytes from the beginning.
        offset: u64,
    },
    /// A block is not what was recorded: bytes have changed.
    Damaged {
        /// Where the block begins, in bytes from the beginning.
        offset: u64,
        /// Which one it is; the header is block 0.
        block: u64,
    },
    /// A block claims a length that no block has.
    BlockLength {
        /// Where the block begins, in bytes from the beginning.
        offset: u64,
        /// The length it claims.
        len: u32,
    },
    /// What it holds is whole and makes no sense.
    Malformed {
        /// Where, in bytes from the beginning.
        offset: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// Something comes after its end.
    AfterEnd {
        /// Where the end is, in bytes from the beginning.
        offset: u64,
    },
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotATrace => f.write_str("this is not a trace: it does not begin like one"),
            Self::Newer { version } => write!(
                f,
                "this trace has version {version} of the format, and this program knows \
                 versions up to {VERSION}: read it with the program that recorded it"
            ),
            Self::CutOff { offset } => write!(
                f,
                "the trace is cut off: it is whole up to byte {offset}, and its end is missing"
            ),
            Self::Damaged { offset, block } => write!(
                f,
                "the trace is damaged: the checksum of block {block} at byte {offset} is wrong"
            ),
            Self::BlockLength { offset, len } => write!(
                f,
                "the trace is damaged: the block at byte {offset} claims {len} bytes, more than \
                 any block has"
            ),
            Self::Malformed { offset, why } => {
                write!(f, "the trace is malformed at byte {offset}: {why}")
            }
            Self::AfterEnd { offset } => {
                write!(f, "something follows the end of the trace at byte {offset}")
            }
        }
    }
}

impl std::error::Error for TraceError {}
