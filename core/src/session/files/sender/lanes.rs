//! The streams that carry a sender's pieces.

use std::collections::VecDeque;

use bytes::Bytes;

use super::Block;
use crate::code::Code;
use crate::conn::streams::{kind, rank};
use crate::id::{Dir, SessionId, StreamId};
use crate::session::files::bucket::Bucket;
use crate::session::files::line::write_parts;
use crate::session::files::party::{Archive, Ledger};
use crate::session::files::types::{Channel, ChannelStats};
use crate::session::{Claim, Cx};
use crate::time::Instant;
use crate::transport::Wrote;
use crate::wire::varint;

/// Pieces up to this size are copied together, so that a thousand small files are not two
/// thousand writes.
const SMALL: usize = 16 << 10;
/// How much is copied together.
const RUN: usize = 64 << 10;

#[derive(Debug)]
struct Lane {
    ledger: Ledger,
    /// What is being written: at the end of it a block ends.
    parts: VecDeque<Bytes>,
    blocked: bool,
}

impl Lane {
    /// Puts the next block on it, with those behind it if they are small. Says which.
    fn load(&mut self, ready: &mut VecDeque<Block>, sent: &mut Vec<(u32, u64)>) {
        let mut run = Vec::new();
        while let Some(block) = ready.pop_front() {
            self.ledger.bytes += block.bytes.len() as u64;
            self.ledger.pieces += 1;
            sent.push((block.head.file, block.head.piece));
            block.head.encode(&mut run);
            if block.bytes.len() > SMALL {
                self.parts.push_back(run.into());
                self.parts.push_back(block.bytes);
                return;
            }
            run.extend_from_slice(&block.bytes);
            if run.len() >= RUN {
                break;
            }
        }
        if !run.is_empty() {
            self.parts.push_back(run.into());
        }
    }
}

/// The streams that carry a sender's pieces.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: Vec<Lane>,
    closed: Archive,
    next_channel: u32,
    /// The peer allows no more streams for now.
    starved: bool,
    /// The rate limit has stopped them.
    limited: bool,
}

impl Lanes {
    pub(super) const fn is_limited(&self) -> bool {
        self.limited
    }

    /// Something has not been taken by the transport.
    pub(super) fn are_blocked(&self) -> bool {
        self.lanes.iter().any(|lane| lane.blocked)
    }

    pub(super) fn unblock(&mut self, stream: StreamId) {
        if let Some(lane) = self.lanes.iter_mut().find(|lane| lane.ledger.stream == stream) {
            lane.blocked = false;
        }
    }

    pub(super) fn openable(&mut self) {
        self.starved = false;
    }

    /// Numbers of all streams that are open, and of the last ones that were.
    pub(super) fn stats(&self, now: Instant) -> Vec<ChannelStats> {
        self.closed.with(self.lanes.iter().map(|lane| lane.ledger.stats(now, true)))
    }

    /// Writes what can be written of what is ready, over so many streams. Answers with the
    /// pieces that streams have taken.
    ///
    /// # Errors
    /// The peer wants no more of a stream.
    pub(super) fn write(
        &mut self,
        cx: &mut Cx<'_>,
        owner: Owner,
        most: usize,
        ready: &mut VecDeque<Block>,
        bucket: &mut Bucket,
    ) -> Result<Vec<(u32, u64)>, Code> {
        let mut sent = Vec::new();
        self.limited = false;
        // Each stream gets one block at a time, or the first one would get them all.
        loop {
            self.open_more(cx, owner, most, ready.len());
            let mut progress = false;
            for lane in self.lanes.iter_mut().take(most).filter(|lane| !lane.blocked) {
                if lane.parts.is_empty() {
                    lane.load(ready, &mut sent);
                }
                progress |= write_one(cx, lane, bucket, &mut self.limited)?;
            }
            for lane in self.lanes.iter_mut().skip(most).filter(|lane| !lane.blocked) {
                progress |= write_one(cx, lane, bucket, &mut self.limited)?;
            }
            if !progress || self.limited {
                break;
            }
        }
        self.close_idle(cx, most)?;
        Ok(sent)
    }

    /// Opens streams while there are blocks for them and every one that is open is busy.
    fn open_more(&mut self, cx: &mut Cx<'_>, owner: Owner, most: usize, blocks: usize) {
        let idle = self.lanes.iter().filter(|lane| lane.parts.is_empty()).count();
        let mut wanted = most.saturating_sub(self.lanes.len()).min(blocks.saturating_sub(idle));
        while wanted > 0 && !self.starved {
            let Some(stream) = cx.transport.open(Dir::Uni) else {
                self.starved = true;
                return;
            };
            cx.streams.push(Claim::Own(stream, owner.session));
            cx.transport.prioritize(stream, rank::FILES + owner.rank);
            let mut prefix = Vec::new();
            varint::put(&mut prefix, kind::FILE_DATA);
            varint::put(&mut prefix, owner.control.0);
            self.lanes.push(Lane {
                ledger: Ledger::new(cx.now, stream, Channel(self.next_channel)),
                parts: VecDeque::from([prefix.into()]),
                blocked: false,
            });
            self.next_channel += 1;
            wanted -= 1;
        }
    }

    /// Ends streams that are too many and have nothing to write.
    fn close_idle(&mut self, cx: &mut Cx<'_>, most: usize) -> Result<(), Code> {
        let mut n = most;
        while n < self.lanes.len() {
            let lane = &mut self.lanes[n];
            if lane.blocked || !lane.parts.is_empty() {
                n += 1;
                continue;
            }
            match cx.transport.write(lane.ledger.stream, &mut Bytes::new(), true) {
                Ok(Wrote::Blocked) => {
                    lane.blocked = true;
                    n += 1;
                }
                Ok(Wrote::All) | Err(_) => self.forget(cx, n),
            }
        }
        Ok(())
    }

    fn forget(&mut self, cx: &mut Cx<'_>, n: usize) {
        let lane = self.lanes.remove(n);
        cx.streams.push(Claim::Free(lane.ledger.stream));
        self.closed.keep(lane.ledger.stats(cx.now, false));
    }

    /// Ends all of them, when nothing is left to write.
    pub(super) fn finish(&mut self, cx: &mut Cx<'_>) {
        // Fails only where the peer wants no more, which is the same now.
        let _ = self.close_idle(cx, 0);
    }

    /// Ends all of them now, in the middle of a block if need be.
    pub(super) fn reset(&mut self, cx: &mut Cx<'_>, code: Code) {
        self.finish(cx);
        while !self.lanes.is_empty() {
            cx.transport.reset(self.lanes[0].ledger.stream, code);
            self.forget(cx, 0);
        }
    }
}

/// Whose streams they are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) session: SessionId,
    pub(super) control: StreamId,
    pub(super) rank: u8,
}

/// Writes to one stream. Says whether that came to an end of what was on it.
fn write_one(
    cx: &mut Cx<'_>,
    lane: &mut Lane,
    bucket: &mut Bucket,
    limited: &mut bool,
) -> Result<bool, Code> {
    let len: usize = lane.parts.iter().map(Bytes::len).sum();
    if len == 0 {
        return Ok(false);
    }
    let room = bucket.room(cx.now, len);
    if room == 0 {
        *limited = true;
        return Ok(false);
    }
    let (taken, wrote) = write_parts(cx, lane.ledger.stream, &mut lane.parts, room)?;
    bucket.take(taken);
    lane.ledger.operations += 1;
    lane.blocked = wrote == Wrote::Blocked;
    *limited |= wrote == Wrote::All && taken < len;
    Ok(lane.parts.is_empty())
}
