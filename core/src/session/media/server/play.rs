//! What a server plays in one session: the grant, the bytes, and the pace.

use std::time::Duration;

use bytes::Bytes;

use super::super::pace::Pace as Pacer;
use super::super::pdu::{ChunkHead, DISCONTINUITY};
use super::super::source::{Ready, Source};
use super::super::{Grant, Pace, PausePolicy};
use crate::event::Dialect;
use crate::id::MediaId;
use crate::time::Instant;

/// What to send next.
#[derive(Debug)]
pub(super) enum Next {
    /// This chunk, now.
    Chunk(ChunkHead, Vec<Bytes>),
    /// Nothing yet.
    Wait,
    /// Nothing more.
    End,
    /// The media is longer than sequence numbers reach.
    Unnumbered,
}

/// A granted session.
#[derive(Debug)]
pub(super) struct Play {
    pub(super) media: MediaId,
    pub(super) grant: Grant,
    pub(super) source: Source,
    pace: Pacer,
    /// Chunks have been skipped in front of the next one.
    gap: bool,
    pub(super) bytes: u64,
    pub(super) chunks: u64,
    pub(super) missed: u64,
}

impl Play {
    /// `burst`: the playing time to send ahead. To a classic client no more than two chunks are
    /// sent ahead: it pauses after its third chunk and drops what comes after that, so its
    /// PAUSE_STREAM has to be here before the fourth leaves.
    pub(super) fn new(media: MediaId, grant: Grant, burst: Duration, dialect: Dialect) -> Self {
        let burst = match dialect {
            Dialect::V1 => burst,
            Dialect::Classic => burst.min(chunk_time(&grant)),
        };
        let paced = grant.pace == Pace::Bitrate;
        let pace = Pacer::new(grant.bitrate, burst, paced);
        let source = Source::new(grant.start, grant.chunk, grant.size, !paced);
        Self { media, grant, source, pace, gap: false, bytes: 0, chunks: 0, missed: 0 }
    }

    /// When the next chunk may leave, if it is there and has to wait for its time.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.source.ready() {
            Ready::Chunk(_) => self.pace.due(),
            Ready::Starved | Ready::End => None,
        }
    }

    /// Whether all of the next chunk is here.
    pub(super) fn has_chunk(&self) -> bool {
        matches!(self.source.ready(), Ready::Chunk(_))
    }

    /// The next thing to send at `now`. A chunk that is given out counts as sent.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        let len = match self.source.ready() {
            Ready::End => return Next::End,
            Ready::Starved => return Next::Wait,
            Ready::Chunk(len) => len,
        };
        if self.pace.due().is_some_and(|due| now < due) {
            return Next::Wait;
        }
        let Some(sequence) = self.source.sequence() else { return Next::Unnumbered };
        self.pace.sent(now, self.source.offset(), u64::from(len));
        let flags = if std::mem::take(&mut self.gap) { DISCONTINUITY } else { 0 };
        self.bytes += u64::from(len);
        self.chunks += 1;
        Next::Chunk(ChunkHead { sequence, len, flags }, self.source.take(len))
    }

    /// The last chunk given out was not sent after all.
    pub(super) fn take_back(&mut self, len: u32) {
        self.bytes = self.bytes.saturating_sub(u64::from(len));
        self.chunks = self.chunks.saturating_sub(1);
    }

    /// The client resumes after a pause of this length: how many chunks are skipped.
    ///
    /// With `live` the media has gone on: sending rejoins it at the chunk that plays now, but
    /// not behind what was sent and not beyond the last chunk.
    pub(super) fn resume(&mut self, now: Instant, pause: Duration) -> u32 {
        if self.grant.pause == PausePolicy::Hold {
            self.pace.held(pause);
            return 0;
        }
        let chunk = u64::from(self.grant.chunk.max(1));
        let last = self.source.end().map_or(u64::MAX, |end| end.saturating_sub(1));
        let edge = self.pace.live_edge(now).min(last) / chunk * chunk;
        let from = self.source.offset();
        let mut skipped = 0;
        if edge > from {
            skipped = edge / chunk - from / chunk;
            self.source.jump(edge);
            self.gap = true;
            self.missed += skipped;
        }
        self.pace.rejoin(self.source.offset());
        u32::try_from(skipped).unwrap_or(u32::MAX)
    }
}

/// How long one chunk plays.
fn chunk_time(grant: &Grant) -> Duration {
    let nanos = u64::from(grant.chunk) * 8_000_000_000 / u64::from(grant.bitrate.max(1));
    Duration::from_nanos(nanos)
}
