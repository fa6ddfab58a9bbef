//! The messages of a file control stream (`docs/protocol.md`, rules AB-F3 to AB-F5).

pub mod entries;
mod parse;
pub(crate) mod queries;
#[cfg(test)]
mod tests;

use super::hash::Hash;
use super::types::{Entry, Existing, Token};
use crate::code::Code;
use crate::error::Violation;
use crate::limits;
use crate::wire::varint::{self, Cursor};
pub(crate) use parse::{array, each_tlv, index, list, number, text};
pub use queries::{Listed, Order, Query, Reply, TransferState, Transferring};

/// The type numbers.
pub mod kind {
    /// A sender says what it has.
    pub const OFFER: u64 = 0;
    /// A receiver says what it wants.
    pub const REQUEST: u64 = 1;
    /// The receiver takes the offer.
    pub const ACCEPT: u64 = 2;
    /// A page of the manifest.
    pub const ENTRIES: u64 = 3;
    /// What becomes of an entry.
    pub const ANSWER: u64 = 4;
    /// Whether the sender's file agrees with what the receiver has.
    pub const CHECKED: u64 = 5;
    /// Pieces that are stored.
    pub const STORED: u64 = 6;
    /// A piece that is wrong.
    pub const AGAIN: u64 = 7;
    /// Everything of a file has been sent.
    pub const FILE_END: u64 = 8;
    /// Files that are complete.
    pub const FILE_DONE: u64 = 9;
    /// A file that comes to nothing.
    pub const FILE_FAILED: u64 = 10;
    /// Nothing new for now.
    pub const PAUSE: u64 = 11;
    /// Go on.
    pub const RESUME: u64 = 12;
    /// How fast the sender may be.
    pub const LIMIT: u64 = 13;
    /// How much may be on its way.
    pub const WINDOW: u64 = 14;
    /// The end, before its time.
    pub const CANCEL: u64 = 15;
    /// The sender is through.
    pub const DONE: u64 = 16;
    /// The receiver has it all.
    pub const GOT: u64 = 17;
    /// One question.
    pub const QUERY: u64 = 32;
    /// One page of its answer.
    pub const REPLY: u64 = 33;
}

/// Extension types inside messages.
mod tlv {
    pub(super) const LABEL: u64 = 1;
    pub(super) const TARGET: u64 = 2;
    pub(super) const EXISTING: u64 = 4;
    pub(super) const REASON: u64 = 1;
}

/// What becomes of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is wanted, but for the pieces that are there already: first, count, digest.
    Take(Vec<(u64, u64, Hash)>),
    /// It is not wanted.
    Skip,
}

/// A message of a file control stream. Entries and pieces go by their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// From the sender: what it has.
    Offer {
        /// Which transfer.
        token: Token,
        /// How many entries, if known.
        entries: Option<u64>,
        /// How many bytes, if known.
        bytes: Option<u64>,
        /// For people.
        label: String,
        /// Where to put it.
        target: String,
        /// What the sender would like to be done with files that exist.
        existing: Existing,
    },
    /// From the receiver: what it wants.
    Request {
        /// Which transfer.
        token: Token,
        /// Bytes that may be on their way.
        window: u64,
        /// What.
        names: Vec<String>,
    },
    /// From the receiver: it takes the offer.
    Accept {
        /// Bytes that may be on their way.
        window: u64,
    },
    /// From the sender: a page of the manifest.
    Entries {
        /// The number of the first one.
        first: u32,
        /// It is the last page.
        last: bool,
        /// The entries.
        entries: Vec<entries::Parsed>,
    },
    /// From the receiver: what becomes of an entry.
    Answer {
        /// Which.
        file: u32,
        /// What.
        verdict: Verdict,
    },
    /// From the sender: whether its file agrees with what the receiver has.
    Checked {
        /// Which.
        file: u32,
        /// The number of the range in the answer.
        have: u64,
        /// It does.
        same: bool,
    },
    /// From the receiver: pieces that are stored.
    Stored {
        /// Bytes that have come and are not stored.
        backlog: u64,
        /// File, first piece, count.
        ranges: Vec<(u32, u64, u64)>,
    },
    /// From the receiver: a piece is wrong.
    Again {
        /// Which file.
        file: u32,
        /// Which piece.
        piece: u64,
    },
    /// From the sender: everything of a file has been sent.
    FileEnd {
        /// Which.
        file: u32,
        /// Its size.
        size: u64,
        /// Its root.
        root: Hash,
    },
    /// From the receiver: files that are complete.
    FileDone {
        /// First, count.
        ranges: Vec<(u32, u32)>,
    },
    /// A file comes to nothing.
    FileFailed {
        /// Which.
        file: u32,
        /// Why.
        code: Code,
        /// Why, for people.
        reason: String,
    },
    /// Nothing new for now.
    Pause {
        /// Why, for people.
        reason: String,
    },
    /// Go on.
    Resume,
    /// From the receiver: how fast the sender may be.
    Limit {
        /// Bytes for each second; 0: no limit.
        rate: u64,
    },
    /// From the receiver: how much may be on its way.
    Window {
        /// In bytes.
        window: u64,
    },
    /// The end, before its time.
    Cancel {
        /// Why.
        code: Code,
        /// Why, for people.
        reason: String,
    },
    /// From the sender: every entry was dealt with.
    Done {
        /// How many there were.
        entries: u32,
        /// How each was dealt with.
        digest: Hash,
    },
    /// From the receiver: it has it all, durably.
    Got {
        /// How each entry was dealt with.
        digest: Hash,
    },
    /// A question.
    Query(Query),
    /// Its answer.
    Reply(Reply),
}

/// What is at the front of the bytes that have arrived.
#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A message, and how many bytes it took.
    Message(Message, usize),
    /// Something this version skips, and how many bytes it took.
    Skip(usize),
    /// More bytes are needed.
    More,
}

/// What is wrong with a body.
pub(crate) type Malformed = &'static str;

pub(crate) const SHORT: Malformed = "ends too early";

impl Message {
    /// The message: type, length, body.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        self.encode_body(&mut body);
        let mut out = Vec::with_capacity(body.len() + 10);
        varint::put(&mut out, self.kind());
        varint::put_bytes(&mut out, &body);
        out
    }

    /// The type number.
    #[must_use]
    pub const fn kind(&self) -> u64 {
        match self {
            Self::Offer { .. } => kind::OFFER,
            Self::Request { .. } => kind::REQUEST,
            Self::Accept { .. } => kind::ACCEPT,
            Self::Entries { .. } => kind::ENTRIES,
            Self::Answer { .. } => kind::ANSWER,
            Self::Checked { .. } => kind::CHECKED,
            Self::Stored { .. } => kind::STORED,
            Self::Again { .. } => kind::AGAIN,
            Self::FileEnd { .. } => kind::FILE_END,
            Self::FileDone { .. } => kind::FILE_DONE,
            Self::FileFailed { .. } => kind::FILE_FAILED,
            Self::Pause { .. } => kind::PAUSE,
            Self::Resume => kind::RESUME,
            Self::Limit { .. } => kind::LIMIT,
            Self::Window { .. } => kind::WINDOW,
            Self::Cancel { .. } => kind::CANCEL,
            Self::Done { .. } => kind::DONE,
            Self::Got { .. } => kind::GOT,
            Self::Query(_) => kind::QUERY,
            Self::Reply(_) => kind::REPLY,
        }
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        let numbers = |out: &mut Vec<u8>, numbers: &[u64]| {
            numbers.iter().for_each(|number| varint::put(out, *number));
        };
        match self {
            Self::Offer { token, entries, bytes, label, target, existing } => {
                out.extend_from_slice(&token.0);
                numbers(out, &[plus_one(*entries), plus_one(*bytes)]);
                put_text(out, tlv::LABEL, label);
                put_text(out, tlv::TARGET, target);
                put_existing(out, *existing);
            }
            Self::Request { token, window, names } => {
                out.extend_from_slice(&token.0);
                numbers(out, &[*window, names.len() as u64]);
                names.iter().for_each(|name| varint::put_bytes(out, name.as_bytes()));
            }
            Self::Accept { window } | Self::Window { window } => varint::put(out, *window),
            Self::Entries { first, last, entries } => {
                numbers(out, &[u64::from(*first), u64::from(*last), entries.len() as u64]);
                entries.iter().for_each(|entry| entry.encode(out));
            }
            Self::Answer { file, verdict } => encode_answer(out, *file, verdict),
            Self::Checked { file, have, same } => {
                numbers(out, &[u64::from(*file), *have, u64::from(*same)]);
            }
            Self::Stored { backlog, ranges } => {
                numbers(out, &[*backlog, ranges.len() as u64]);
                for (file, first, count) in ranges {
                    numbers(out, &[u64::from(*file), *first, *count]);
                }
            }
            Self::Again { file, piece } => numbers(out, &[u64::from(*file), *piece]),
            Self::FileEnd { file, size, root } => {
                numbers(out, &[u64::from(*file), *size]);
                out.extend_from_slice(root);
            }
            Self::FileDone { ranges } => {
                varint::put(out, ranges.len() as u64);
                for (first, count) in ranges {
                    numbers(out, &[u64::from(*first), u64::from(*count)]);
                }
            }
            Self::FileFailed { file, code, reason } => {
                numbers(out, &[u64::from(*file), code.to_wire()]);
                put_text(out, tlv::REASON, reason);
            }
            Self::Pause { reason } => put_text(out, tlv::REASON, reason),
            Self::Resume => {}
            Self::Limit { rate } => varint::put(out, *rate),
            Self::Cancel { code, reason } => {
                varint::put(out, code.to_wire());
                put_text(out, tlv::REASON, reason);
            }
            Self::Done { entries, digest } => {
                varint::put(out, u64::from(*entries));
                out.extend_from_slice(digest);
            }
            Self::Got { digest } => out.extend_from_slice(digest),
            Self::Query(query) => query.encode(out),
            Self::Reply(reply) => reply.encode(out),
        }
    }

    /// Parses the front of `bytes`. Never allocates much more than the message is long.
    ///
    /// # Errors
    /// The rule that the bytes break.
    pub fn parse(bytes: &[u8]) -> Result<Parsed, Violation> {
        let Some((kind, kind_len)) = varint::peek(bytes) else { return Ok(Parsed::More) };
        let Some((len, len_len)) = varint::peek(&bytes[kind_len..]) else {
            return Ok(Parsed::More);
        };
        let Some(body_len) =
            usize::try_from(len).ok().filter(|len| *len <= limits::MAX_FILE_MESSAGE)
        else {
            return Err(Violation::FileTooLong(len));
        };
        let start = kind_len + len_len;
        let Some(body) = bytes.get(start..start + body_len) else { return Ok(Parsed::More) };
        match parse::parse_body(kind, &mut Cursor::new(body)) {
            Ok(Some(message)) => Ok(Parsed::Message(message, start + body_len)),
            Ok(None) => Ok(Parsed::Skip(start + body_len)),
            Err(why) => Err(Violation::FileMalformed { kind, why }),
        }
    }
}

fn encode_answer(out: &mut Vec<u8>, file: u32, verdict: &Verdict) {
    varint::put(out, u64::from(file));
    match verdict {
        Verdict::Take(haves) => {
            varint::put(out, 0);
            varint::put(out, haves.len() as u64);
            for (first, count, digest) in haves {
                varint::put(out, *first);
                varint::put(out, *count);
                out.extend_from_slice(digest);
            }
        }
        Verdict::Skip => varint::put(out, 1),
    }
}

/// An extension field, left out where it is empty.
pub(crate) fn put_text(out: &mut Vec<u8>, kind: u64, text: &str) {
    if !text.is_empty() {
        varint::put(out, kind);
        varint::put_bytes(out, text.as_bytes());
    }
}

/// The extension field of an offer, left out for the default.
fn put_existing(out: &mut Vec<u8>, existing: Existing) {
    if existing != Existing::default() {
        varint::put(out, tlv::EXISTING);
        varint::put_bytes(out, &[existing.to_wire()]);
    }
}

/// A number that may be unknown: 0 for that.
pub(crate) fn plus_one(number: Option<u64>) -> u64 {
    number.map_or(0, |number| number.saturating_add(1).min(varint::MAX))
}

/// A page of entries and nothing else, for tests and senders.
pub(crate) fn page(first: u32, last: bool, entries: Vec<Entry>) -> Message {
    let entries = entries.into_iter().map(entries::Parsed::Known).collect();
    Message::Entries { first, last, entries }
}
