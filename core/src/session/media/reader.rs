//! Reads PDUs off a stream, however the stream cuts them. Exactly the bytes of one PDU are
//! taken at a time: a chunk's payload stays in the transport until somebody wants it, so flow
//! control is the back-pressure, and it is copied once, to where it is wanted.

use super::pdu::{CHUNK_HEAD, ChunkHead, HEADER, Header, Kind, Pdu};
use crate::error::Violation;
use crate::id::StreamId;
use crate::limits;
use crate::transport::{Read, StreamEnd, Transport};

/// What is thrown away in one step.
const SCRATCH: usize = 16 << 10;

/// The next thing on a stream.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A whole PDU.
    Pdu(Pdu),
    /// A whole PDU of a known type whose body cannot be parsed.
    Malformed(Kind, &'static str),
    /// A chunk begins: read its payload or skip it.
    Chunk(ChunkHead),
    /// A PDU of a type that this version does not know begins; it is being skipped.
    Unknown(u8),
    /// Something was skipped, and there may be more: ask again.
    Skipped,
    /// Nothing more is there for now.
    Blocked,
    /// The stream has ended, between two PDUs.
    Finished,
    /// The peer broke a rule. Nothing comes after it.
    Broken(Violation),
    /// The stream ended without its end mark.
    Ended(StreamEnd),
}

#[derive(Debug)]
enum Phase {
    /// Collecting a header.
    Header,
    /// Collecting a body in one piece.
    Body(Header, Kind),
    /// Collecting what stands in front of a chunk's payload.
    ChunkHead(Header),
    /// So many bytes of payload are left for the caller.
    Payload(u32),
    /// So many bytes are to be thrown away.
    Skip(u32),
}

/// The reading half of a session.
#[derive(Debug)]
pub(super) struct Reader {
    phase: Phase,
    /// What has been collected of a header or a body.
    have: Vec<u8>,
    /// Read off the stream by somebody else before we came.
    leftover: Vec<u8>,
    /// Something has come since this was last asked.
    heard: bool,
    /// The session id of the newest header.
    session: u32,
}

/// Why a piece is not complete.
enum Short {
    Blocked,
    Finished,
    Ended(StreamEnd),
}

impl Reader {
    pub(super) fn new(leftover: &[u8]) -> Self {
        let leftover = leftover.to_vec();
        Self { phase: Phase::Header, have: Vec::new(), leftover, heard: false, session: 0 }
    }

    /// The session id of the newest PDU.
    pub(super) fn session(&self) -> u32 {
        self.session
    }

    /// Whether anything has come since the last call.
    pub(super) fn take_heard(&mut self) -> bool {
        std::mem::take(&mut self.heard)
    }

    /// The next thing. Bounded work: reads one piece of one PDU.
    pub(super) fn next(&mut self, transport: &mut dyn Transport, id: StreamId) -> Item {
        loop {
            let want = match &self.phase {
                Phase::Header => HEADER,
                Phase::Body(header, _) => header.len as usize,
                Phase::ChunkHead(_) => CHUNK_HEAD,
                Phase::Payload(left) | Phase::Skip(left) => {
                    let left = *left;
                    return self.discard(transport, id, left);
                }
            };
            match self.collect(transport, id, want) {
                Ok(()) => {}
                Err(Short::Blocked) => return Item::Blocked,
                Err(Short::Ended(end)) => return Item::Ended(end),
                Err(Short::Finished) => {
                    let between = matches!(self.phase, Phase::Header) && self.have.is_empty();
                    return match between {
                        true => Item::Finished,
                        false => Item::Broken(Violation::PduTruncated),
                    };
                }
            }
            if let Some(item) = self.complete() {
                return item;
            }
        }
    }

    /// What was collected is complete: what it means. `None`: collect the next piece.
    fn complete(&mut self) -> Option<Item> {
        let have = std::mem::take(&mut self.have);
        match std::mem::replace(&mut self.phase, Phase::Header) {
            Phase::Header => {
                let bytes = have.first_chunk::<HEADER>()?;
                let header = match Header::parse(bytes) {
                    Ok(header) => header,
                    Err(rule) => return Some(Item::Broken(rule)),
                };
                self.session = header.session;
                match Kind::from_wire(header.kind) {
                    None => {
                        self.skip(header.len);
                        Some(Item::Unknown(header.kind))
                    }
                    Some(Kind::StreamChunk) => {
                        self.phase = Phase::ChunkHead(header);
                        None
                    }
                    Some(kind) => {
                        self.phase = Phase::Body(header, kind);
                        None
                    }
                }
            }
            Phase::Body(_, kind) => Some(match Pdu::parse(kind, &have) {
                Ok(pdu) => Item::Pdu(pdu),
                Err(why) => Item::Malformed(kind, why),
            }),
            Phase::ChunkHead(header) => {
                let bytes = have.first_chunk::<CHUNK_HEAD>()?;
                Some(match ChunkHead::parse(header, *bytes) {
                    Err(rule) => Item::Broken(rule),
                    Ok(head) => {
                        if head.len > 0 {
                            self.phase = Phase::Payload(head.len);
                        }
                        Item::Chunk(head)
                    }
                })
            }
            Phase::Payload(_) | Phase::Skip(_) => None,
        }
    }

    /// Reads payload of the current chunk straight into `buf`, never beyond its end.
    ///
    /// # Errors
    /// As [`Transport::read`]. `Read::Finished` means that the chunk was cut off.
    pub(super) fn payload(
        &mut self,
        transport: &mut dyn Transport,
        id: StreamId,
        buf: &mut [u8],
    ) -> Result<Read, StreamEnd> {
        let Phase::Payload(left) = self.phase else { return Ok(Read::Bytes(0)) };
        let most = buf.len().min(left as usize);
        if most == 0 {
            return Ok(Read::Bytes(0));
        }
        let read = self.read(transport, id, &mut buf[..most])?;
        if let Read::Bytes(len) = read {
            let left = left.saturating_sub(u32::try_from(len).unwrap_or(u32::MAX));
            self.phase = if left == 0 { Phase::Header } else { Phase::Payload(left) };
        }
        Ok(read)
    }

    /// Throws the rest of the current chunk away as it comes.
    pub(super) fn skip_payload(&mut self) {
        if let Phase::Payload(left) = self.phase {
            self.skip(left);
        }
    }

    /// Throws away whatever comes, PDU or not, until the stream ends. True once it has.
    pub(super) fn drain(&mut self, transport: &mut dyn Transport, id: StreamId) -> Option<bool> {
        let mut scratch = [0; SCRATCH];
        for _ in 0..8 {
            match self.read(transport, id, &mut scratch) {
                Ok(Read::Bytes(_)) => {}
                Ok(Read::Blocked) => return Some(false),
                Ok(Read::Finished) | Err(_) => return Some(true),
            }
        }
        None
    }

    fn skip(&mut self, left: u32) {
        self.phase = if left == 0 { Phase::Header } else { Phase::Skip(left) };
    }

    fn discard(&mut self, transport: &mut dyn Transport, id: StreamId, left: u32) -> Item {
        let mut scratch = [0; SCRATCH];
        let most = SCRATCH.min(left as usize);
        match self.read(transport, id, &mut scratch[..most]) {
            Ok(Read::Bytes(len)) => {
                self.skip(left.saturating_sub(u32::try_from(len).unwrap_or(u32::MAX)));
                Item::Skipped
            }
            Ok(Read::Blocked) => Item::Blocked,
            Ok(Read::Finished) => Item::Broken(Violation::PduTruncated),
            Err(end) => Item::Ended(end),
        }
    }

    /// Collects until there are `want` bytes. Memory grows with what has come, not with what a
    /// header claims.
    fn collect(
        &mut self,
        transport: &mut dyn Transport,
        id: StreamId,
        want: usize,
    ) -> Result<(), Short> {
        debug_assert!(want <= limits::MAX_PDU_BODY);
        let mut piece = [0; 512];
        while self.have.len() < want {
            let most = piece.len().min(want - self.have.len());
            match self.read(transport, id, &mut piece[..most]) {
                Ok(Read::Bytes(len)) => self.have.extend_from_slice(&piece[..len]),
                Ok(Read::Blocked) => return Err(Short::Blocked),
                Ok(Read::Finished) => return Err(Short::Finished),
                Err(end) => return Err(Short::Ended(end)),
            }
        }
        Ok(())
    }

    fn read(
        &mut self,
        transport: &mut dyn Transport,
        id: StreamId,
        buf: &mut [u8],
    ) -> Result<Read, StreamEnd> {
        if !self.leftover.is_empty() {
            let len = buf.len().min(self.leftover.len());
            buf[..len].copy_from_slice(&self.leftover[..len]);
            self.leftover.drain(..len);
            self.heard = true;
            return Ok(Read::Bytes(len));
        }
        let read = transport.read(id, buf)?;
        if let Read::Bytes(len) = read {
            self.heard |= len > 0;
        }
        Ok(read)
    }
}
