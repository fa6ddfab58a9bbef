//! What waits to be written to a stream: whole PDUs in order, and at most one chunk.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::id::StreamId;
use crate::transport::{StreamEnd, Transport, Wrote};

#[derive(Debug)]
struct Part {
    bytes: Bytes,
    /// The PDU that this piece belongs to is a chunk.
    chunk: bool,
    /// It is the first piece of its PDU, and nothing of it has been written.
    fresh: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Fin {
    #[default]
    Open,
    Wanted,
    Written,
}

/// The writing half of a session.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    parts: VecDeque<Part>,
    fin: Fin,
    blocked: bool,
}

impl Outbox {
    /// Appends a PDU that is no chunk. Nothing can be appended after the end.
    pub(super) fn push(&mut self, pdu: Vec<u8>) {
        debug_assert_eq!(self.fin, Fin::Open);
        if self.fin == Fin::Open {
            self.parts.push_back(Part { bytes: pdu.into(), chunk: false, fresh: true });
        }
    }

    /// Appends a chunk: its head and its payload, which is not copied.
    pub(super) fn push_chunk(&mut self, head: &[u8], payload: impl Iterator<Item = Bytes>) {
        debug_assert!(self.fin == Fin::Open && self.is_empty());
        let bytes = Bytes::copy_from_slice(head);
        self.parts.push_back(Part { bytes, chunk: true, fresh: true });
        self.parts.extend(payload.map(|bytes| Part { bytes, chunk: true, fresh: false }));
    }

    /// Takes a chunk out again of which nothing has been written. Says whether there was one.
    pub(super) fn drop_unwritten_chunk(&mut self) -> bool {
        let found = self.parts.iter().any(|part| part.chunk && part.fresh);
        if found {
            self.parts.retain(|part| !part.chunk);
        }
        found
    }

    /// Ends the stream after what is queued.
    pub(super) fn finish(&mut self) {
        if self.fin == Fin::Open {
            self.fin = Fin::Wanted;
        }
    }

    /// Whether the end is queued or written.
    pub(super) fn is_finishing(&self) -> bool {
        self.fin != Fin::Open
    }

    /// Everything has been written, but not necessarily the end.
    pub(super) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Everything has been written, the end too.
    pub(super) fn is_finished(&self) -> bool {
        self.is_empty() && self.fin == Fin::Written
    }

    /// Forgets everything: nobody reads it.
    pub(super) fn abandon(&mut self) {
        self.parts.clear();
        self.fin = Fin::Written;
    }

    /// The transport takes bytes again.
    pub(super) fn unblock(&mut self) {
        self.blocked = false;
    }

    /// Writes as much as the transport takes. Says whether it took anything.
    ///
    /// # Errors
    /// The peer wants no more.
    pub(super) fn flush(
        &mut self,
        transport: &mut dyn Transport,
        id: StreamId,
    ) -> Result<bool, StreamEnd> {
        let mut progress = false;
        while !self.blocked {
            let Some(part) = self.parts.front_mut() else { break };
            let before = part.bytes.len();
            let wrote = transport.write(id, &mut part.bytes, false)?;
            let taken = before - part.bytes.len();
            progress |= taken > 0;
            match wrote {
                Wrote::All => drop(self.parts.pop_front()),
                Wrote::Blocked => {
                    part.fresh &= taken == 0;
                    self.blocked = true;
                }
            }
        }
        if !self.blocked && self.fin == Fin::Wanted {
            match transport.write(id, &mut Bytes::new(), true)? {
                Wrote::All => {
                    self.fin = Fin::Written;
                    progress = true;
                }
                Wrote::Blocked => self.blocked = true,
            }
        }
        Ok(progress)
    }
}
