//! Writes entries down as they happen, into a bounded buffer that the application empties.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Sink;
use super::codec::{Field as _, Writer};
use super::entry::{Cause, Entry};
use super::file::{self, BLOCK_HEAD, Header};
use crate::limits;
use crate::time::Instant;
use crate::wire::varint;

/// A block is closed when it has so many bytes.
const BLOCK: usize = 64 << 10;
/// Room that is left for the last block, which says how the recording ended.
const RESERVE: usize = 2 * BLOCK_HEAD + 64;

/// How much may be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes that wait to be taken away, at most.
    pub buffer: usize,
    /// Bytes of the whole trace, at most.
    pub length: u64,
}

impl Default for Room {
    fn default() -> Self {
        Self { buffer: limits::TRACE_BUFFER, length: limits::MAX_TRACE_LENGTH }
    }
}

/// Whether a recording goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It does.
    Recording,
    /// [`Recorder::finish`] has ended it.
    Finished,
    /// It had to end early. The trace says so too.
    Truncated(Cause),
}

/// The other end of a recording: takes away what was recorded. All clones are the same one.
///
/// The endpoint never waits for it: if what was recorded is not taken away in time, the recording
/// ends with a mark that says so, and the endpoint goes on without.
#[derive(Clone)]
pub struct Recorder(Arc<Mutex<Inner>>);

struct Inner {
    room: Room,
    status: Status,
    writer: Writer,
    /// The body of the block that is being written.
    block: Vec<u8>,
    blocks: u64,
    /// Whole blocks, to be taken away.
    ready: Vec<u8>,
    taken: u64,
    entries: u64,
    /// The present time.
    now: Instant,
    /// The time of the last entry.
    last: Instant,
}

impl Recorder {
    /// Begins with the header.
    pub(crate) fn new(header: &Header, room: Room) -> Self {
        let mut ready = Vec::new();
        file::put_preamble(&mut ready);
        file::put_block(&mut ready, 0, &header.encode());
        Self(Arc::new(Mutex::new(Inner {
            room,
            status: Status::Recording,
            writer: Writer::new(),
            block: Vec::new(),
            blocks: 1,
            ready,
            taken: 0,
            entries: 0,
            now: Instant::ZERO,
            last: Instant::ZERO,
        })))
    }

    /// Nothing is left half-done by a panic elsewhere: every change is whole.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends everything that was recorded since the last time to `out`, in whole blocks.
    /// The results, one after the other, are the trace.
    pub fn take(&self, out: &mut Vec<u8>) {
        let mut inner = self.lock();
        inner.close_block();
        inner.taken += inner.ready.len() as u64;
        if out.is_empty() {
            std::mem::swap(out, &mut inner.ready);
        } else {
            out.append(&mut inner.ready);
        }
    }

    /// Bytes that wait to be taken away.
    #[must_use]
    pub fn waiting(&self) -> usize {
        let inner = self.lock();
        inner.ready.len() + inner.block.len()
    }

    /// Whether it goes on.
    #[must_use]
    pub fn status(&self) -> Status {
        self.lock().status
    }

    /// Ends the recording, between two inputs of the endpoint. The mark of the end is still to be
    /// taken away.
    pub fn finish(&self) {
        let mut inner = self.lock();
        if inner.status == Status::Recording {
            let entries = inner.entries;
            inner.end(&Entry::End { entries }, Status::Finished);
        }
    }
}

/// A trace of these entries and their times, which do not go back: for programs that change
/// traces, and for tests. Without [`Entry::End`] or [`Entry::Truncated`] as the last of them it
/// is cut off.
#[must_use]
pub fn write(header: &Header, entries: impl IntoIterator<Item = (Instant, Entry)>) -> Vec<u8> {
    let mut out = Vec::new();
    let recorder = Recorder::new(header, Room { buffer: usize::MAX, length: u64::MAX });
    for (at, entry) in entries {
        recorder.advance(at);
        Sink::take(&recorder, entry);
    }
    recorder.take(&mut out);
    out
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Recorder({:?})", self.status())
    }
}

impl Inner {
    fn close_block(&mut self) {
        if !self.block.is_empty() {
            file::put_block(&mut self.ready, self.blocks, &self.block);
            self.blocks += 1;
            self.block.clear();
        }
    }

    /// Writes an entry to the writer's buffer: the time that has passed since the entry before,
    /// its kind, its fields.
    fn encode(&mut self, entry: &Entry) {
        self.writer.now = self.now;
        self.writer.out.clear();
        self.writer.number(self.now.as_nanos().saturating_sub(self.last.as_nanos()));
        entry.put(&mut self.writer);
    }

    fn append(&mut self) {
        if self.block.len() + self.writer.out.len() + 8 > limits::MAX_TRACE_BLOCK {
            self.close_block();
        }
        varint::put_bytes(&mut self.block, &self.writer.out);
        self.entries += 1;
        self.last = self.now;
        if self.block.len() >= BLOCK {
            self.close_block();
        }
    }

    fn take_entry(&mut self, entry: &Entry) {
        if self.status != Status::Recording {
            return;
        }
        self.encode(entry);
        let more = self.writer.out.len() + BLOCK_HEAD + RESERVE;
        let waiting = self.ready.len() + self.block.len() + more;
        let length = self.taken + waiting as u64;
        let full = waiting > self.room.buffer || more > limits::MAX_TRACE_BLOCK;
        let cause = match (full, length > self.room.length) {
            (_, true) => Some(Cause::Length),
            (true, false) => Some(Cause::Buffer),
            (false, false) => None,
        };
        match cause {
            None => self.append(),
            Some(cause) => self.end(&Entry::Truncated(cause), Status::Truncated(cause)),
        }
    }

    fn end(&mut self, entry: &Entry, status: Status) {
        self.encode(entry);
        self.append();
        self.close_block();
        self.status = status;
        self.writer = Writer::new();
        self.block = Vec::new();
    }
}

impl Sink for Recorder {
    fn advance(&self, now: Instant) {
        self.lock().now = now;
    }

    fn take(&self, entry: Entry) {
        self.lock().take_entry(&entry);
    }
}
