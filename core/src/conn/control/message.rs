//! The messages of the control stream (`docs/protocol.md`, rules AB-C*).

use crate::error::Violation;
use crate::event::Entry;
use crate::limits;
use crate::wire::varint::{self, Cursor};

/// The type numbers.
pub mod kind {
    /// Versions, and who speaks.
    pub const HELLO: u64 = 0;
    /// Asks for a PONG.
    pub const PING: u64 = 1;
    /// Answers a PING.
    pub const PONG: u64 = 2;
    /// Nothing new, please.
    pub const GOAWAY: u64 = 3;
    /// Asks for a page of the catalogue.
    pub const LIST: u64 = 4;
    /// A page of the catalogue.
    pub const LISTING: u64 = 5;
}

/// Extension types inside messages.
mod tlv {
    pub(super) const AGENT: u64 = 1;
}

/// A message of the control stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// The first message each way.
    Hello {
        /// The lowest version of `anabranch` spoken.
        min_version: u64,
        /// The highest one.
        max_version: u64,
        /// Program and version, for logs; at most [`limits::MAX_AGENT`] bytes.
        agent: String,
    },
    /// Asks for a [`Message::Pong`] with the same number.
    Ping(u64),
    /// Answers a [`Message::Ping`].
    Pong(u64),
    /// The sender is shutting down: nothing new, and what runs may go on for so long.
    GoAway {
        /// In milliseconds.
        left: u64,
    },
    /// Asks for a page of the catalogue.
    List {
        /// Comes back in the answer.
        request: u64,
        /// The name after which the page starts; empty for the first page.
        after: String,
        /// Entries wanted at most.
        max: u64,
    },
    /// A page of the catalogue.
    Listing {
        /// From the request.
        request: u64,
        /// The last name of the page if there are more; empty on the last page.
        next: String,
        /// The entries, in order of name.
        entries: Vec<Entry>,
    },
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

impl Message {
    /// Appends the message: type, length, body.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut body = Vec::new();
        let kind = self.encode_body(&mut body);
        varint::put(out, kind);
        varint::put_bytes(out, &body);
    }

    fn encode_body(&self, out: &mut Vec<u8>) -> u64 {
        match self {
            Self::Hello { min_version, max_version, agent } => {
                varint::put(out, *min_version);
                varint::put(out, *max_version);
                varint::put(out, tlv::AGENT);
                varint::put_bytes(out, agent.as_bytes());
                kind::HELLO
            }
            Self::Ping(number) => {
                varint::put(out, *number);
                kind::PING
            }
            Self::Pong(number) => {
                varint::put(out, *number);
                kind::PONG
            }
            Self::GoAway { left } => {
                varint::put(out, *left);
                kind::GOAWAY
            }
            Self::List { request, after, max } => {
                varint::put(out, *request);
                varint::put(out, *max);
                varint::put_bytes(out, after.as_bytes());
                kind::LIST
            }
            Self::Listing { request, next, entries } => {
                varint::put(out, *request);
                varint::put_bytes(out, next.as_bytes());
                varint::put(out, entries.len() as u64);
                entries.iter().for_each(|entry| encode_entry(entry, out));
                kind::LISTING
            }
        }
    }

    /// Parses the front of `bytes`. Never allocates more than the message is long.
    ///
    /// # Errors
    /// The rule that the bytes break.
    pub fn parse(bytes: &[u8]) -> Result<Parsed, Violation> {
        let Some((kind, kind_len)) = varint::peek(bytes) else { return Ok(Parsed::More) };
        let Some((len, len_len)) = varint::peek(&bytes[kind_len..]) else {
            return Ok(Parsed::More);
        };
        let Some(body_len) =
            usize::try_from(len).ok().filter(|len| *len <= limits::MAX_CONTROL_MESSAGE)
        else {
            return Err(Violation::ControlTooLong(len));
        };
        let start = kind_len + len_len;
        let Some(body) = bytes.get(start..start + body_len) else { return Ok(Parsed::More) };
        let message = match kind {
            kind::HELLO => parse_hello(body),
            kind::PING => number(body).map(Self::Ping),
            kind::PONG => number(body).map(Self::Pong),
            kind::GOAWAY => number(body).map(|left| Self::GoAway { left }),
            kind::LIST => parse_list(body),
            kind::LISTING => parse_listing(body),
            _ => return Ok(Parsed::Skip(start + body_len)),
        };
        match message {
            Ok(message) => Ok(Parsed::Message(message, start + body_len)),
            Err(why) => Err(Violation::ControlMalformed { kind, why }),
        }
    }
}

const SHORT: &str = "ends too early";

fn number(body: &[u8]) -> Result<u64, &'static str> {
    Cursor::new(body).varint().ok_or(SHORT)
}

fn text(bytes: &[u8], max: usize) -> Result<String, &'static str> {
    if bytes.len() > max {
        return Err("text too long");
    }
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| "text is not UTF-8")
}

fn parse_hello(body: &[u8]) -> Result<Message, &'static str> {
    let mut cursor = Cursor::new(body);
    let min_version = cursor.varint().ok_or(SHORT)?;
    let max_version = cursor.varint().ok_or(SHORT)?;
    if min_version > max_version {
        return Err("empty version range");
    }
    let mut agent = String::new();
    while !cursor.is_empty() {
        let kind = cursor.varint().ok_or(SHORT)?;
        let value = cursor.prefixed().ok_or(SHORT)?;
        if kind == tlv::AGENT {
            agent = text(value, limits::MAX_AGENT)?;
        }
    }
    Ok(Message::Hello { min_version, max_version, agent })
}

fn parse_list(body: &[u8]) -> Result<Message, &'static str> {
    let mut cursor = Cursor::new(body);
    let request = cursor.varint().ok_or(SHORT)?;
    let max = cursor.varint().ok_or(SHORT)?;
    let after = text(cursor.prefixed().ok_or(SHORT)?, limits::MAX_NAME)?;
    Ok(Message::List { request, after, max })
}

fn parse_listing(body: &[u8]) -> Result<Message, &'static str> {
    let mut cursor = Cursor::new(body);
    let request = cursor.varint().ok_or(SHORT)?;
    let next = text(cursor.prefixed().ok_or(SHORT)?, limits::MAX_NAME)?;
    let count = cursor.varint().ok_or(SHORT)?;
    let count = usize::try_from(count)
        .ok()
        .filter(|count| *count <= limits::MAX_LISTING_PAGE)
        .ok_or("too many entries")?;
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        entries.push(parse_entry(cursor.prefixed().ok_or(SHORT)?)?);
    }
    Ok(Message::Listing { request, next, entries })
}

/// An entry: name, kind, size + 1 (0: unknown), bitrate (0: unknown), and whatever later
/// versions append.
fn encode_entry(entry: &Entry, out: &mut Vec<u8>) {
    let mut body = Vec::new();
    varint::put_bytes(&mut body, entry.name.as_bytes());
    varint::put_bytes(&mut body, entry.kind.as_bytes());
    varint::put(&mut body, entry.size.map_or(0, |size| size.saturating_add(1)));
    varint::put(&mut body, entry.bitrate.map_or(0, u64::from));
    varint::put_bytes(out, &body);
}

fn parse_entry(body: &[u8]) -> Result<Entry, &'static str> {
    let mut cursor = Cursor::new(body);
    let name = text(cursor.prefixed().ok_or(SHORT)?, limits::MAX_NAME)?;
    let kind = text(cursor.prefixed().ok_or(SHORT)?, limits::MAX_KIND)?;
    let size = cursor.varint().ok_or(SHORT)?.checked_sub(1);
    let bitrate = cursor.varint().ok_or(SHORT)?;
    let bitrate = u32::try_from(bitrate).map_err(|_| "bitrate too high")?;
    Ok(Entry { name, kind, size, bitrate: (bitrate != 0).then_some(bitrate) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<Message> {
        let entry = |name: &str, size, bitrate| Entry {
            name: name.to_owned(),
            size,
            bitrate,
            kind: "audio/wav".to_owned(),
        };
        vec![
            Message::Hello { min_version: 1, max_version: 3, agent: "peer/1".to_owned() },
            Message::Ping(0),
            Message::Pong(varint::MAX),
            Message::GoAway { left: 30_000 },
            Message::List { request: 5, after: "a".to_owned(), max: 64 },
            Message::Listing {
                request: 5,
                next: "c".to_owned(),
                entries: vec![entry("b", Some(0), None), entry("c", None, Some(9))],
            },
        ]
    }

    #[test]
    fn every_message_round_trips() {
        for message in samples() {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            let len = bytes.len();
            bytes.push(7);
            assert_eq!(Message::parse(&bytes), Ok(Parsed::Message(message, len)));
        }
    }

    #[test]
    fn a_truncated_message_waits_for_more() {
        for message in samples() {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            for cut in 0..bytes.len() {
                assert_eq!(Message::parse(&bytes[..cut]), Ok(Parsed::More), "{message:?} {cut}");
            }
        }
    }

    #[test]
    fn every_flipped_bit_gives_a_value_or_an_error() {
        for message in samples() {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            for bit in 0..bytes.len() * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                if let Ok(Parsed::Message(other, _)) = Message::parse(&bytes) {
                    let mut again = Vec::new();
                    other.encode(&mut again);
                    assert!(
                        matches!(Message::parse(&again), Ok(Parsed::Message(m, _)) if m == other)
                    );
                }
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    #[test]
    fn a_shortened_body_is_malformed() {
        // Same type, a length one less, one byte less: the fields no longer fit.
        for message in samples() {
            let mut body = Vec::new();
            let kind = message.encode_body(&mut body);
            body.pop();
            let mut bytes = Vec::new();
            varint::put(&mut bytes, kind);
            varint::put_bytes(&mut bytes, &body);
            let answer = Message::parse(&bytes);
            assert!(
                matches!(answer, Err(Violation::ControlMalformed { kind: k, .. }) if k == kind),
                "{message:?}: {answer:?}"
            );
        }
    }

    #[test]
    fn the_longest_message_is_capped_before_it_is_stored() {
        let mut bytes = Vec::new();
        varint::put(&mut bytes, kind::HELLO);
        varint::put(&mut bytes, limits::MAX_CONTROL_MESSAGE as u64 + 1);
        let too_long = Violation::ControlTooLong(limits::MAX_CONTROL_MESSAGE as u64 + 1);
        assert_eq!(Message::parse(&bytes), Err(too_long));
    }

    #[test]
    fn unknown_and_reserved_types_are_skipped() {
        for kind in [6, 27, 58, 4242] {
            let mut bytes = Vec::new();
            varint::put(&mut bytes, kind);
            varint::put_bytes(&mut bytes, b"whatever");
            assert_eq!(Message::parse(&bytes), Ok(Parsed::Skip(bytes.len())));
        }
    }

    #[test]
    fn texts_and_pages_are_capped() {
        let long = "x".repeat(limits::MAX_AGENT + 1);
        let hello = Message::Hello { min_version: 1, max_version: 1, agent: long };
        let name = "n".repeat(limits::MAX_NAME + 1);
        let list = Message::List { request: 0, after: name, max: 1 };
        let entry = Entry { name: String::new(), size: None, bitrate: None, kind: String::new() };
        let entries = vec![entry; limits::MAX_LISTING_PAGE + 1];
        let listing = Message::Listing { request: 0, next: String::new(), entries };
        let kind = "k".repeat(limits::MAX_KIND + 1);
        let entry = Entry { name: String::new(), size: None, bitrate: None, kind };
        let typed = Message::Listing { request: 0, next: String::new(), entries: vec![entry] };
        for message in [hello, list, listing, typed] {
            let mut bytes = Vec::new();
            message.encode(&mut bytes);
            assert!(matches!(Message::parse(&bytes), Err(Violation::ControlMalformed { .. })));
        }
    }
}
