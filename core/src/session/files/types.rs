//! The nouns of file transfer, as the application meets them.

use std::fmt;
use std::ops::Range;

use super::hash::Hash;
use super::meter::Shares;
use super::name::Names;
use crate::code::Code;
use crate::error::Violation;
use crate::limits;

/// The name of a transfer, drawn at random by whoever starts it. It stays the same when the
/// transfer is taken up again on another connection, so that it can be listed, paused, resumed
/// and cancelled from elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub [u8; 16]);

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A file with bytes.
    File,
    /// A folder.
    Folder,
}

/// When something was last modified, since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Modified {
    /// Whole seconds, negative before 1970.
    pub seconds: i64,
    /// And so many nanoseconds, below 1 000 000 000.
    pub nanos: u32,
}

/// A file or folder to transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The path below the receiver's folder, its components separated by `/`.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Its size in bytes. `None`: not known before its end (standard input).
    pub size: Option<u64>,
    /// The size of its pieces, a power of two: see [`piece_size`].
    pub piece: u32,
    /// Permission bits (the lowest twelve).
    pub mode: Option<u16>,
    /// When it was last modified.
    pub modified: Option<Modified>,
    /// Its content id, the root hash, where that is known beforehand.
    pub root: Option<Hash>,
    /// The bytes mean nothing to the receiver (reserved for encryption from end to end).
    pub opaque: bool,
}

impl Entry {
    /// A file.
    #[must_use]
    pub fn file(name: &str, size: Option<u64>) -> Self {
        Self {
            name: name.to_owned(),
            kind: Kind::File,
            size,
            piece: piece_size(size.unwrap_or(0)),
            mode: None,
            modified: None,
            root: None,
            opaque: false,
        }
    }

    /// A folder.
    #[must_use]
    pub fn folder(name: &str) -> Self {
        Self { kind: Kind::Folder, size: Some(0), ..Self::file(name, Some(0)) }
    }

    /// How many pieces it has, where that is known.
    #[must_use]
    pub fn pieces(&self) -> Option<u64> {
        Some(self.size?.div_ceil(u64::from(self.piece.max(1))))
    }

    /// The bytes of a piece: where they start, and how many there are. `None`: it has no such
    /// piece. Of a file of unknown size, each piece is a whole one.
    #[must_use]
    pub fn span(&self, piece: u64) -> Option<(u64, u32)> {
        let offset = piece.checked_mul(u64::from(self.piece))?;
        let whole = u64::from(self.piece);
        let len = self.size.map_or(Some(whole), |size| size.checked_sub(offset))?.min(whole);
        (len > 0).then(|| (offset, u32::try_from(len).unwrap_or(self.piece)))
    }

    /// What tells one version of a file from another, for a journal beside a partial file: size,
    /// time of modification, size of the pieces, content id. Not the name.
    #[must_use]
    pub fn fingerprint(&self) -> Hash {
        let mut hasher = blake3::Hasher::new();
        let modified = self.modified.unwrap_or(Modified { seconds: i64::MIN, nanos: 0 });
        hasher.update(b"anabranch fingerprint 1");
        hasher.update(&self.size.unwrap_or(u64::MAX).to_be_bytes());
        hasher.update(&self.piece.to_be_bytes());
        hasher.update(&modified.seconds.to_be_bytes()).update(&modified.nanos.to_be_bytes());
        hasher.update(&self.root.unwrap_or_default()).update(&[u8::from(self.opaque)]);
        *hasher.finalize().as_bytes()
    }
}

/// The size of the pieces of a file of this size: a mebibyte, or more where a file would
/// otherwise have more than [`limits::MAX_PIECES`].
#[must_use]
pub fn piece_size(size: u64) -> u32 {
    let mut piece = limits::DEFAULT_PIECE;
    while size.div_ceil(u64::from(piece)) > limits::MAX_PIECES && piece < limits::MAX_PIECE {
        piece *= 2;
    }
    piece
}

/// What a sender would like to be done with a file that exists with other content at the
/// receiver. It is a wish: the receiver decides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Existing {
    /// The entry fails.
    #[default]
    Refuse,
    /// The new file takes its place.
    Overwrite,
    /// The entry is skipped.
    Skip,
    /// The new file gets another name.
    Rename,
}

impl Existing {
    /// The wish with this number; one that this version does not know is the default.
    pub(crate) const fn from_wire(number: u64) -> Self {
        match number {
            1 => Self::Overwrite,
            2 => Self::Skip,
            3 => Self::Rename,
            _ => Self::Refuse,
        }
    }

    /// Its number: a varint of one byte.
    pub(crate) const fn to_wire(self) -> u8 {
        match self {
            Self::Refuse => 0,
            Self::Overwrite => 1,
            Self::Skip => 2,
            Self::Rename => 3,
        }
    }
}

/// What a sender offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Which transfer it is.
    pub token: Token,
    /// For people: what it is.
    pub label: String,
    /// Where the receiver should put it, below its folder; empty: there.
    pub target: String,
    /// How many entries there will be, where that is known.
    pub entries: Option<u64>,
    /// How many bytes, where that is known.
    pub bytes: Option<u64>,
    /// What it would like to be done with files that exist.
    pub existing: Existing,
    /// Among the transfers of a connection, lower ones go first; at most
    /// [`limits::MAX_TRANSFER_RANK`]. Not told to the peer.
    pub rank: u8,
}

impl Offer {
    /// An offer that says nothing but its token.
    #[must_use]
    pub const fn new(token: Token) -> Self {
        Self {
            token,
            label: String::new(),
            target: String::new(),
            entries: None,
            bytes: None,
            existing: Existing::Refuse,
            rank: 0,
        }
    }
}

/// How a receiver takes a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accept {
    /// Bytes that may be on their way or waiting to be stored, at most
    /// [`limits::MAX_FILE_WINDOW`].
    pub window: u64,
    /// Which names it takes.
    pub names: Names,
}

impl Default for Accept {
    fn default() -> Self {
        Self { window: limits::DEFAULT_FILE_WINDOW, names: Names::default() }
    }
}

/// What a receiver asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Which transfer it will be.
    pub token: Token,
    /// Files and folders of the sender's, at most [`limits::MAX_REQUEST_NAMES`].
    pub names: Vec<String>,
    /// How it takes them.
    pub accept: Accept,
}

/// Pieces that a receiver has already, one after another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Have {
    /// The number of the first one.
    pub first: u64,
    /// The hash of each, of bytes that were looked at.
    pub hashes: Vec<Hash>,
}

impl Have {
    /// The numbers of the pieces.
    #[must_use]
    pub fn range(&self) -> Range<u64> {
        self.first..self.first.saturating_add(self.hashes.len() as u64)
    }
}

/// One stream that carries bytes of a transfer, numbered in the order they were opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel(pub u32);

/// Numbers of one such stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelStats {
    /// Which one.
    pub channel: Channel,
    /// The stream of the transport, as in RFC 9000 section 2.1.
    pub stream: u64,
    /// Bytes of files.
    pub bytes: u64,
    /// Pieces that it has carried to their end.
    pub pieces: u64,
    /// Writes to the transport, or reads from it.
    pub operations: u64,
    /// For how long it has been, or was, open.
    pub open: std::time::Duration,
    /// It is open.
    pub is_open: bool,
}

/// Numbers of one transfer, on this connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// The name of the state.
    pub state: &'static str,
    /// Entries that were announced.
    pub entries: u64,
    /// Of these: files and folders that the receiver has.
    pub done: u64,
    /// That the receiver did not want.
    pub skipped: u64,
    /// That failed.
    pub failed: u64,
    /// Bytes of files that the receiver has stored and acknowledged.
    pub acked: u64,
    /// Bytes that the receiver had before, and that were not sent.
    pub kept: u64,
    /// Bytes of files that were sent or received, repetitions included.
    pub moved: u64,
    /// Of these: bytes that had to be moved again.
    pub again: u64,
    /// Pieces that were acknowledged.
    pub pieces: u64,
    /// Bytes asked for, supplied, or on their way, and not acknowledged.
    pub outstanding: u64,
    /// How many of those there may be.
    pub window: u64,
    /// The streams that carry the bytes.
    pub channels: Vec<ChannelStats>,
    /// What it was limited by.
    pub limited: Shares,
}

/// How a transfer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Every entry was dealt with, and both sides know how.
    Complete,
    /// This side's application cancelled or refused it.
    Local(Code),
    /// The peer cancelled or refused it, with a reason for people.
    Peer(Code, String),
    /// The peer broke a rule.
    Violation(Violation),
    /// The connection was lost. What was acknowledged is there.
    ConnectionLost,
}

/// The end of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub how: End,
    /// The last numbers.
    pub stats: Stats,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_few_enough_up_to_the_largest_file() {
        let mib = u64::from(limits::DEFAULT_PIECE);
        for (size, piece) in [
            (0, 1),
            (mib * limits::MAX_PIECES, 1),
            (mib * limits::MAX_PIECES + 1, 2),
            (limits::MAX_FILE, u64::from(limits::MAX_PIECE) / mib),
        ] {
            assert_eq!(u64::from(piece_size(size)), piece * mib, "{size}");
            assert!(Entry::file("a", Some(size)).pieces().unwrap() <= limits::MAX_PIECES);
        }
    }

    #[test]
    fn the_spans_of_a_file_cover_it_once() {
        for size in 0..70u64 {
            let entry = Entry { piece: 16, ..Entry::file("a", Some(size)) };
            let count = entry.pieces().unwrap();
            let mut at = 0;
            for piece in 0..count {
                let (offset, len) = entry.span(piece).unwrap();
                assert_eq!(offset, at);
                at += u64::from(len);
            }
            assert_eq!((at, entry.span(count), entry.span(u64::MAX)), (size, None, None));
        }
        let open = Entry { piece: 16, ..Entry::file("a", None) };
        assert_eq!((open.pieces(), open.span(3)), (None, Some((48, 16))));
    }

    #[test]
    fn a_fingerprint_is_of_everything_but_the_name() {
        let entry = Entry::file("a", Some(5));
        let other = Entry { name: "b".into(), mode: Some(0o600), ..entry.clone() };
        assert_eq!(entry.fingerprint(), other.fingerprint());
        let versions = [
            Entry { size: Some(6), ..entry.clone() },
            Entry { size: None, ..entry.clone() },
            Entry { modified: Some(Modified { seconds: 0, nanos: 0 }), ..entry.clone() },
            Entry { piece: 1 << 16, ..entry.clone() },
            Entry { root: Some([1; 32]), ..entry.clone() },
            Entry { opaque: true, ..entry.clone() },
        ];
        for version in versions {
            assert_ne!(version.fingerprint(), entry.fingerprint(), "{version:?}");
        }
    }
}
