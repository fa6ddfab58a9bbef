//! Numbers of streams and of whole sendings.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::time::Instant;

/// What one stream has seen, in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamStats {
    /// Packets with at least one frame of it: sent (without repetitions) or received.
    pub packets: u64,
    /// Frames in them.
    pub frames: u64,
    /// Frames that were not the next ones: received again, or too early. Of a sender: frames
    /// whose bytes the peer did not take.
    pub misplaced: u64,
    /// Bytes that were acknowledged, or handed on in order.
    pub bytes: u64,
    /// When its first frame was sent, or came.
    pub first: Instant,
    /// When its last frame was acknowledged, or came.
    pub last: Instant,
}

impl StreamStats {
    /// A stream that begins.
    #[must_use]
    pub const fn starting(now: Instant) -> Self {
        Self { packets: 0, frames: 0, misplaced: 0, bytes: 0, first: now, last: now }
    }

    /// From its first frame to its last.
    #[must_use]
    pub const fn elapsed(&self) -> Duration {
        self.last.since(self.first)
    }
}

/// What one sending has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Its streams. One without bytes has never been on the wire.
    pub streams: BTreeMap<u32, StreamStats>,
    /// Packets, each counted once however often it was sent.
    pub packets: u64,
    /// Datagrams that repeated one.
    pub repeated: u64,
    /// Bytes of all datagrams, without UDP and IP headers.
    pub wire_bytes: u64,
}

impl Report {
    /// Bytes of all streams that were acknowledged.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.streams.values().map(|stats| stats.bytes).sum()
    }
}
