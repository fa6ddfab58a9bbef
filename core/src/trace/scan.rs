//! What of a stream's bytes is payload. Everything that a session parses is kept; what it only
//! passes on is not.

use std::collections::BTreeMap;

use super::data::Data;
use crate::conn::streams::kind;
use crate::event::Dialect;
use crate::id::{Dir, Side, StreamId};
use crate::limits;
use crate::session::media::pdu::{CHUNK_HEAD, ChunkHead, HEADER, Header, Kind};
use crate::wire::varint;

/// How the bytes of a stream are cut into messages. A service of another framing is one more
/// variant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// Everything is parsed.
    Messages,
    /// PDUs of the media protocol: the payload of chunks is not parsed.
    Media,
    /// Nothing is parsed.
    Unknown,
}

impl Framing {
    /// The framing of a stream type of `anabranch/1`.
    const fn of(stream_kind: u64) -> Self {
        match stream_kind {
            kind::CONTROL => Self::Messages,
            kind::MEDIA => Self::Media,
            _ => Self::Unknown,
        }
    }
}

/// Where in the PDUs of one direction the next byte is.
#[derive(Clone, Copy, Debug)]
enum Place {
    Header([u8; HEADER], usize),
    ChunkHead(Header, [u8; CHUNK_HEAD], usize),
    /// So many bytes of a body, which is kept or not.
    Body(usize, bool),
    /// Behind something that is no PDU: nobody reads on.
    Lost,
}

/// One direction of a stream.
#[derive(Clone, Copy, Debug)]
struct Way {
    /// The bytes of the stream type; `None` behind them, or where there are none.
    prefix: Option<([u8; 8], usize)>,
    place: Place,
}

impl Way {
    const fn new(prefixed: bool) -> Self {
        let prefix = if prefixed { Some(([0; 8], 0)) } else { None };
        Self { prefix, place: Place::Header([0; HEADER], 0) }
    }
}

/// A stream: the framing, once it is known, and the directions, that of its opener first.
#[derive(Clone, Copy, Debug)]
struct Stream {
    framing: Option<Framing>,
    ways: [Way; 2],
}

/// The streams of one connection.
#[derive(Debug)]
pub(super) struct Scanner {
    side: Side,
    dialect: Option<Dialect>,
    streams: BTreeMap<StreamId, Stream>,
}

impl Scanner {
    pub(super) const fn new(side: Side) -> Self {
        Self { side, dialect: None, streams: BTreeMap::new() }
    }

    /// The connection speaks this from now on.
    pub(super) fn speak(&mut self, alpn: &[u8]) {
        self.dialect = Dialect::from_alpn(alpn);
    }

    /// The stream is over.
    pub(super) fn forget(&mut self, id: StreamId) {
        self.streams.remove(&id);
    }

    /// The bytes that come next on a stream, `sent` or received, without the payload.
    pub(super) fn cut(&mut self, id: StreamId, sent: bool, bytes: &[u8]) -> Data {
        let by_opener = (id.opener() == self.side) == sent;
        let Some(stream) = self.stream(id) else { return Data::new(bytes, false) };
        let mut pieces = Pieces::default();
        stream.scan(usize::from(!by_opener), bytes, &mut pieces);
        Data::cut(bytes, &pieces.0)
    }

    fn stream(&mut self, id: StreamId) -> Option<&mut Stream> {
        let dialect = self.dialect?;
        if !self.streams.contains_key(&id) && self.streams.len() >= limits::MAX_TRACE_STREAMS {
            return None;
        }
        Some(self.streams.entry(id).or_insert_with(|| {
            let framing = match dialect {
                Dialect::Classic if id.dir() == Dir::Bidi => Some(Framing::Media),
                Dialect::Classic => Some(Framing::Unknown),
                Dialect::V1 => None,
            };
            Stream { framing, ways: [Way::new(framing.is_none()), Way::new(false)] }
        }))
    }
}

/// Lengths of pieces that are kept or not, in turn.
#[derive(Default)]
struct Pieces(Vec<(bool, usize)>);

impl Pieces {
    fn add(&mut self, keep: bool, len: usize) {
        let full = self.0.len() >= limits::MAX_TRACE_PARTS;
        match self.0.last_mut() {
            // At the limit nothing more is kept.
            Some((kept, sum)) if *kept == keep || full => {
                *sum += len;
                *kept &= keep;
            }
            _ if len > 0 => self.0.push((keep, len)),
            _ => {}
        }
    }
}

/// Takes bytes off the front of `from` until `have` has `want`.
fn collect(have: &mut [u8], filled: &mut usize, from: &mut &[u8]) -> usize {
    let len = from.len().min(have.len() - *filled);
    let (taken, rest) = from.split_at(len);
    have[*filled..*filled + len].copy_from_slice(taken);
    *filled += len;
    *from = rest;
    len
}

impl Stream {
    fn scan(&mut self, way: usize, bytes: &[u8], pieces: &mut Pieces) {
        let mut rest = bytes;
        if let Some((have, filled)) = &mut self.ways[way].prefix {
            while self.framing.is_none() && !rest.is_empty() {
                let want = if *filled == 0 { 1 } else { 1 << (have[0] >> 6) };
                pieces.add(true, collect(&mut have[..want], filled, &mut rest));
                let stream_kind = varint::peek(&have[..*filled]);
                self.framing = stream_kind.map(|(stream_kind, _)| Framing::of(stream_kind));
            }
        }
        match self.framing {
            Some(Framing::Messages) => pieces.add(true, rest.len()),
            Some(Framing::Media) => self.ways[way].scan_pdus(rest, pieces),
            Some(Framing::Unknown) | None => pieces.add(false, rest.len()),
        }
    }
}

impl Way {
    fn scan_pdus(&mut self, mut rest: &[u8], pieces: &mut Pieces) {
        while !rest.is_empty() {
            match &mut self.place {
                Place::Header(have, filled) => {
                    pieces.add(true, collect(have, filled, &mut rest));
                    if *filled == HEADER {
                        self.place = after_header(have);
                    }
                }
                Place::ChunkHead(header, have, filled) => {
                    pieces.add(true, collect(have, filled, &mut rest));
                    if *filled == CHUNK_HEAD {
                        self.place = match ChunkHead::parse(*header, *have) {
                            Ok(head) => body(head.len, false),
                            Err(_) => Place::Lost,
                        };
                    }
                }
                Place::Body(left, keep) => {
                    let len = rest.len().min(*left);
                    pieces.add(*keep, len);
                    rest = &rest[len..];
                    self.place = match *left - len {
                        0 => Place::Header([0; HEADER], 0),
                        left => Place::Body(left, *keep),
                    };
                }
                Place::Lost => {
                    pieces.add(false, rest.len());
                    return;
                }
            }
        }
    }
}

fn body(len: u32, keep: bool) -> Place {
    match len {
        0 => Place::Header([0; HEADER], 0),
        len => Place::Body(len as usize, keep),
    }
}

/// What follows a header. Sessions do not parse the body of a type they do not know.
fn after_header(bytes: &[u8; HEADER]) -> Place {
    let Ok(header) = Header::parse(bytes) else { return Place::Lost };
    match Kind::from_wire(header.kind) {
        Some(Kind::StreamChunk) => Place::ChunkHead(header, [0; CHUNK_HEAD], 0),
        Some(_) => body(header.len, true),
        None => body(header.len, false),
    }
}

#[cfg(test)]
mod tests;
