//! Streams: edges, back-pressure, ends.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::{Buf, Bytes};
use quiche::{Error, Shutdown};

use super::buffers::{Chunks, Held};
use crate::code::Code;
use crate::conn::streams::rank;
use crate::id::{Dir, Side, StreamId};
use crate::transport::{Read, StreamEnd, Wrote};

type Connection = quiche::Connection<Chunks>;

/// What may be handed over beyond two congestion windows, so that a small window does not
/// starve the connection.
const SLACK: usize = 256 << 10;
/// Bytes are only given back once a whole chunk is acknowledged, so a chunk is a small part of
/// what may be handed over, but not so small that there are many of them.
const MIN_CHUNK: usize = 64 << 10;
/// Rank of a stream that nobody ranked.
const RANK: u8 = 127;
/// Stops remembered for streams that nobody writes to any more.
const MAX_STOPPED: usize = 64;

/// An end that was found, and not reported yet.
#[derive(Clone, Copy, Debug)]
enum Found {
    /// The end mark.
    Mark,
    /// It was reset; the code is lost.
    Reset,
}

/// What is remembered about streams besides what quiche knows. Every set is bounded by the
/// number of streams that are open.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// Of streams in the foreground, and of those in the background: bulk takes no room from
    /// others.
    held: [Held; 2],
    /// As they were ranked.
    ranks: BTreeMap<StreamId, u8>,
    /// Streams that have been seen, and are not over in both directions.
    open: BTreeSet<StreamId>,
    /// Readable has been signalled, and not yet read to the end of what is there.
    told: BTreeSet<StreamId>,
    /// The end has come, and is still to be reported.
    ended: BTreeMap<StreamId, Found>,
    /// Nothing that comes is of interest any more: the end has been found, or was not waited for.
    deaf: BTreeSet<StreamId>,
    /// Ends that quiche has not told, and that are still to be signalled.
    silent: BTreeSet<StreamId>,
    /// Resets of the peer that quiche has counted.
    resets: u64,
    /// A write was blocked.
    blocked: BTreeSet<StreamId>,
    /// Codes of stops that have not been reported yet.
    stopped: BTreeMap<StreamId, Code>,
    /// An open was refused.
    wants_bidi: bool,
    wants_uni: bool,
    /// How many streams have been opened.
    next_bidi: u64,
    next_uni: u64,
    /// Blocked streams may be writable now.
    look: bool,
    /// The one that was told so last.
    last_writable: StreamId,
}

impl Streams {
    /// Something has happened on the connection.
    pub(super) fn changed(&mut self, conn: &mut Connection) {
        self.look = true;
        self.find_ends(conn);
        // quiche drops what it knows about a stream when all of it is acknowledged. Of a stream
        // that the peer has stopped, it does so when it is asked, and tells the code only once.
        let stopped = &mut self.stopped;
        self.open.retain(|id| {
            if !conn.stream_closed(id.0) {
                return true;
            }
            match conn.stream_capacity(id.0) {
                Err(Error::StreamStopped(code)) => {
                    stopped.insert(*id, Code::from_wire(code));
                    true
                }
                Err(Error::InvalidStreamState(_)) => false,
                Ok(_) | Err(_) => true,
            }
        });
        let open = &self.open;
        self.ranks.retain(|id, _| open.contains(id));
        self.deaf.retain(|id| open.contains(id));
        while stopped.len() > MAX_STOPPED {
            stopped.pop_first();
        }
    }

    /// Finds ends that quiche knows of and tells nobody: an end mark that comes with nothing but
    /// bytes that were read before, as when both are sent again in one frame; and a reset of a
    /// stream of which the end mark has come before some of its bytes. It cannot be asked which
    /// it is, but it counts the resets.
    fn find_ends(&mut self, conn: &Connection) {
        let resets = conn.stats().reset_stream_count_remote;
        let before = std::mem::replace(&mut self.resets, resets);
        let found = if resets == before { Found::Mark } else { Found::Reset };
        for id in self.open.difference(&self.deaf) {
            if conn.stream_finished(id.0) && !conn.stream_readable(id.0) {
                self.ended.insert(*id, found);
                self.silent.insert(*id);
            }
        }
        self.deaf.extend(&self.silent);
    }

    /// Whether both halves are over, and everything is acknowledged.
    pub(super) fn is_over(&self, id: StreamId) -> bool {
        !self.open.contains(&id)
    }

    /// The next stream with a new reason to read it.
    pub(super) fn readable(&mut self, conn: &mut Connection) -> Option<StreamId> {
        while let Some(id) = conn.stream_readable_next() {
            // quiche repeats itself after a partial read.
            self.open.insert(StreamId(id));
            if self.told.insert(StreamId(id)) {
                return Some(StreamId(id));
            }
        }
        while let Some(id) = self.silent.pop_first() {
            if self.ended.contains_key(&id) && self.told.insert(id) {
                return Some(id);
            }
        }
        None
    }

    /// The next stream that was blocked and is not any more.
    pub(super) fn writable(&mut self, conn: &mut Connection) -> Option<StreamId> {
        if !self.look || self.blocked.is_empty() {
            return None;
        }
        // By rank, and in turn among equals: whoever comes first takes the room there is.
        let after = (Bound::Excluded(self.last_writable), Bound::Unbounded);
        let behind = self.blocked.range(after).chain(self.blocked.range(..=self.last_writable));
        // An error is something to write for as well: the write tells which.
        let free = behind
            .copied()
            .filter(|id| self.room(conn, *id) > 0 && conn.stream_capacity(id.0) != Ok(0));
        if let Some(id) = free.min_by_key(|id| self.rank(*id)) {
            self.blocked.remove(&id);
            self.last_writable = id;
            return Some(id);
        }
        self.look = false;
        None
    }

    /// Whether a stream can be opened that could not be.
    pub(super) fn openable(&mut self, conn: &Connection) -> bool {
        let bidi = self.wants_bidi && conn.peer_streams_left_bidi() > 0;
        let uni = self.wants_uni && conn.peer_streams_left_uni() > 0;
        self.wants_bidi &= !bidi;
        self.wants_uni &= !uni;
        bidi || uni
    }

    pub(super) fn open(&mut self, conn: &mut Connection, side: Side, dir: Dir) -> Option<StreamId> {
        let (left, wants, next, kind) = match dir {
            Dir::Bidi => {
                (conn.peer_streams_left_bidi(), &mut self.wants_bidi, &mut self.next_bidi, 0)
            }
            Dir::Uni => (conn.peer_streams_left_uni(), &mut self.wants_uni, &mut self.next_uni, 2),
        };
        let id = (*next << 2) | kind | u64::from(side == Side::Server);
        // Ranking a stream makes it.
        if left == 0 || conn.stream_priority(id, RANK, true).is_err() {
            *wants = true;
            return None;
        }
        *next += 1;
        self.open.insert(StreamId(id));
        Some(StreamId(id))
    }

    pub(super) fn write(
        &mut self,
        conn: &mut Connection,
        id: StreamId,
        data: &mut Bytes,
        fin: bool,
    ) -> Result<Wrote, StreamEnd> {
        if let Some(code) = self.stopped.remove(&id) {
            self.changed(conn);
            return Err(StreamEnd::ByPeer(code));
        }
        loop {
            let capacity = conn.stream_capacity(id.0).map_err(end)?;
            let room = self.room(conn, id).min(MIN_CHUNK.max(limit(conn) / 16));
            let len = data.len().min(capacity).min(room);
            if len == 0 && !data.is_empty() {
                return self.block(conn, id, room);
            }
            let last = len == data.len();
            let chunk = self.held[self.class(id)].chunk(data.slice(..len));
            match conn.stream_send_zc(id.0, chunk, fin && last) {
                Ok((sent, _)) => {
                    data.advance(sent);
                    if last && sent == len {
                        return Ok(Wrote::All);
                    }
                    if sent == 0 {
                        return self.block(conn, id, room);
                    }
                }
                Err(Error::Done) => return self.block(conn, id, room),
                Err(error) => return Err(end(error)),
            }
        }
    }

    fn block(
        &mut self,
        conn: &mut Connection,
        id: StreamId,
        room: usize,
    ) -> Result<Wrote, StreamEnd> {
        if room > 0 {
            // Has quiche tell the peer that it is the peer's window that is full, if it is.
            conn.stream_writable(id.0, 1).map_err(end)?;
        }
        self.blocked.insert(id);
        Ok(Wrote::Blocked)
    }

    pub(super) fn read(
        &mut self,
        conn: &mut Connection,
        id: StreamId,
        buf: &mut [u8],
    ) -> Result<Read, StreamEnd> {
        if let Some(found) = self.ended.remove(&id) {
            self.told.remove(&id);
            return match found {
                Found::Mark => Ok(Read::Finished),
                Found::Reset => Err(StreamEnd::Gone),
            };
        }
        let (answer, more) = match conn.stream_recv(id.0, buf) {
            Ok((0, true)) => {
                self.deaf.insert(id);
                (Ok(Read::Finished), false)
            }
            Ok((len, true)) => {
                self.deaf.insert(id);
                self.ended.insert(id, Found::Mark);
                (Ok(Read::Bytes(len)), false)
            }
            Ok((len, false)) => (Ok(Read::Bytes(len)), true),
            Err(Error::Done) => (Ok(Read::Blocked), false),
            Err(error) => {
                self.deaf.insert(id);
                (Err(end(error)), false)
            }
        };
        if !more {
            self.told.remove(&id);
        }
        answer
    }

    pub(super) fn reset(&mut self, conn: &mut Connection, id: StreamId, code: Code) {
        self.blocked.remove(&id);
        self.stopped.remove(&id);
        // Fails only for streams that are over.
        let _ = conn.stream_shutdown(id.0, Shutdown::Write, code.to_wire());
        self.look = true;
    }

    pub(super) fn stop(&mut self, conn: &mut Connection, id: StreamId, code: Code) {
        self.told.remove(&id);
        self.ended.remove(&id);
        self.deaf.insert(id);
        // Fails only for streams that are over.
        let _ = conn.stream_shutdown(id.0, Shutdown::Read, code.to_wire());
    }

    /// Lower ranks are told first that they can write.
    pub(super) fn set_rank(&mut self, id: StreamId, rank: u8) {
        if self.open.contains(&id) {
            self.ranks.insert(id, rank);
        }
    }

    fn rank(&self, id: StreamId) -> u8 {
        self.ranks.get(&id).copied().unwrap_or(RANK)
    }

    /// Which of the counters a stream's bytes are in.
    fn class(&self, id: StreamId) -> usize {
        usize::from(self.rank(id) >= rank::BACKGROUND)
    }

    fn room(&self, conn: &Connection, id: StreamId) -> usize {
        limit(conn).saturating_sub(self.held[self.class(id)].bytes())
    }
}

/// What may be handed over and not acknowledged: what is on its way, as much again to send
/// next, and a little.
fn limit(conn: &Connection) -> usize {
    let window = conn.path_stats().find(|path| path.active).map_or(0, |path| path.cwnd);
    window.saturating_mul(2).saturating_add(SLACK)
}

fn end(error: Error) -> StreamEnd {
    match error {
        Error::StreamStopped(code) | Error::StreamReset(code) => {
            StreamEnd::ByPeer(Code::from_wire(code))
        }
        _ => StreamEnd::Gone,
    }
}
