//! The streams that carry pieces to a receiver.

use super::{Head, Violation, limits};
use crate::code::Code;
use crate::id::StreamId;
use crate::session::files::block::MAX_HEAD;
use crate::session::files::party::{Archive, Ledger};
use crate::session::files::types::{Channel, ChannelStats};
use crate::session::{Claim, Cx};
use crate::time::Instant;
use crate::transport::Read;

/// Where a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// In front of a head, or in one.
    Head,
    /// In the bytes of a piece.
    Payload { file: u32, piece: u64, offset: u64, left: u32 },
    /// In bytes that nobody wants.
    Discard { left: u32 },
}

/// One stream.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) ledger: Ledger,
    pub(super) phase: Phase,
    head: [u8; MAX_HEAD],
    have: usize,
    /// The application was told that there is something.
    pub(super) told: bool,
    /// There may be more although no signal will come.
    pub(super) more: bool,
}

/// What reading a stream gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Got {
    Head(Head),
    Bytes(usize),
    Blocked,
    Finished,
    Reset,
}

impl Lane {
    /// Reads on in a head.
    pub(super) fn read_head(&mut self, cx: &mut Cx<'_>) -> Result<Got, Violation> {
        loop {
            let least = match Head::parse(&self.head[..self.have]) {
                Ok(Ok(head)) => {
                    self.have = 0;
                    return Ok(Got::Head(head));
                }
                Ok(Err(least)) => least.min(MAX_HEAD),
                Err(why) => return Err(Violation::FileBlock(why)),
            };
            match cx.transport.read(self.ledger.stream, &mut self.head[self.have..least]) {
                Ok(Read::Bytes(len)) => self.have += len,
                Ok(Read::Blocked) => return Ok(Got::Blocked),
                Ok(Read::Finished) if self.have == 0 => return Ok(Got::Finished),
                Ok(Read::Finished) => return Err(Violation::FileTruncated),
                Err(_) => return Ok(Got::Reset),
            }
        }
    }

    /// Reads on in the bytes of a piece.
    pub(super) fn read_bytes(
        &mut self,
        cx: &mut Cx<'_>,
        buf: &mut [u8],
        left: u32,
    ) -> Result<Got, Violation> {
        let most = buf.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.ledger.operations += 1;
        match cx.transport.read(self.ledger.stream, &mut buf[..most]) {
            Ok(Read::Bytes(len)) => {
                self.ledger.bytes += len as u64;
                self.ledger.pieces += u64::from(len as u64 == u64::from(left));
                Ok(Got::Bytes(len))
            }
            Ok(Read::Blocked) => Ok(Got::Blocked),
            Ok(Read::Finished) => Err(Violation::FileTruncated),
            Err(_) => Ok(Got::Reset),
        }
    }
}

/// The streams that carry pieces to a receiver.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    lanes: Vec<Lane>,
    closed: Archive,
    next_channel: u32,
}

impl Lanes {
    /// Takes a stream on. False: there are too many.
    pub(super) fn open(&mut self, now: Instant, stream: StreamId) -> bool {
        if self.lanes.len() >= limits::MAX_DATA_STREAMS {
            return false;
        }
        self.lanes.push(Lane {
            ledger: Ledger::new(now, stream, Channel(self.next_channel)),
            phase: Phase::Head,
            head: [0; MAX_HEAD],
            have: 0,
            told: false,
            more: false,
        });
        self.next_channel += 1;
        true
    }

    pub(super) fn by_stream(&mut self, stream: StreamId) -> Option<&mut Lane> {
        self.lanes.iter_mut().find(|lane| lane.ledger.stream == stream)
    }

    pub(super) fn by_channel(&mut self, channel: Channel) -> Option<&mut Lane> {
        self.lanes.iter_mut().find(|lane| lane.ledger.channel == channel)
    }

    /// One that wants to be read although no signal will come.
    pub(super) fn take_more(&mut self) -> Option<StreamId> {
        let lane = self.lanes.iter_mut().find(|lane| lane.more)?;
        lane.more = false;
        Some(lane.ledger.stream)
    }

    /// Something waits for the application.
    pub(super) fn are_told(&self) -> bool {
        self.lanes.iter().any(|lane| lane.told)
    }

    /// Nobody wants what comes of this file.
    pub(super) fn discard(&mut self, file: u32) {
        for lane in &mut self.lanes {
            if let Phase::Payload { file: of, left, .. } = lane.phase
                && of == file
            {
                lane.phase = Phase::Discard { left };
            }
        }
    }

    /// A stream is over.
    pub(super) fn forget(&mut self, cx: &mut Cx<'_>, stream: StreamId) {
        let Some(n) = self.lanes.iter().position(|lane| lane.ledger.stream == stream) else {
            return;
        };
        let lane = self.lanes.remove(n);
        cx.streams.push(Claim::Free(stream));
        self.closed.keep(lane.ledger.stats(cx.now, false));
    }

    /// Wants no more of any.
    pub(super) fn stop(&mut self, cx: &mut Cx<'_>, code: Code) {
        while let Some(lane) = self.lanes.first() {
            let stream = lane.ledger.stream;
            cx.transport.stop(stream, code);
            self.forget(cx, stream);
        }
    }

    /// Numbers of all streams that are open, and of the last ones that were.
    pub(super) fn stats(&self, now: Instant) -> Vec<ChannelStats> {
        self.closed.with(self.lanes.iter().map(|lane| lane.ledger.stats(now, true)))
    }
}
