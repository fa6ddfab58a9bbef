//! What was written to a stream and has not arrived: kept as the application's own slices.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;

use crate::planted::{self, Bug};
use crate::transport::dquic::out::Out;
use crate::transport::dquic::recovery::ranges::RangeSet;

/// The bytes of a stream from the first one that has not arrived.
#[derive(Debug, Default)]
pub(super) struct SendBuffer {
    /// Slices and where they begin, without gaps.
    pieces: VecDeque<(u64, Bytes)>,
    /// Everything below has arrived.
    start: u64,
    /// Everything below has been sent at least once.
    sent: u64,
    /// Everything below has been written.
    end: u64,
    /// What has arrived above `start`.
    acked: RangeSet,
    /// What has to be sent again.
    lost: RangeSet,
}

impl SendBuffer {
    /// Adds bytes at the end.
    pub(super) fn push(&mut self, data: Bytes) {
        if data.is_empty() {
            return;
        }
        let at = self.end;
        self.end += data.len() as u64;
        self.pieces.push_back((at, data));
    }

    /// How many bytes have been written in all.
    pub(super) const fn end(&self) -> u64 {
        self.end
    }

    /// How many bytes have been sent at least once.
    pub(super) const fn sent(&self) -> u64 {
        self.sent
    }

    /// How many bytes are kept (or stand for bytes that are).
    pub(super) const fn held(&self) -> u64 {
        self.end - self.start
    }

    /// Everything that was written has arrived.
    pub(super) const fn is_all_acked(&self) -> bool {
        self.start == self.end
    }

    /// The next bytes to send: what was lost first.
    pub(super) fn next(&self) -> Option<Range<u64>> {
        self.lost.first().or_else(|| (self.sent < self.end).then_some(self.sent..self.end))
    }

    /// These bytes (the beginning of [`SendBuffer::next`]) are sent now.
    pub(super) fn on_sent(&mut self, range: Range<u64>) {
        self.sent = self.sent.max(range.end);
        self.lost.remove(range);
    }

    /// Copies bytes that have been written and have not arrived. False if they do not fit.
    pub(super) fn copy(&self, range: Range<u64>, out: &mut Out<'_>) -> bool {
        let first = self.pieces.partition_point(|(at, data)| at + data.len() as u64 <= range.start);
        self.pieces.range(first..).take_while(|(at, _)| *at < range.end).all(|(at, data)| {
            let from = range.start.saturating_sub(*at);
            let until = (range.end - at).min(data.len() as u64);
            // Both are within a slice, so they fit.
            let index = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
            data.get(index(from)..index(until)).is_some_and(|bytes| out.put(bytes))
        })
    }

    /// These bytes have arrived. Answers how many more are not kept any longer.
    pub(super) fn on_acked(&mut self, range: Range<u64>) -> u64 {
        let range = range.start.max(self.start)..range.end.min(self.sent);
        self.lost.remove(range.clone());
        self.acked.insert(range);
        let before = self.start;
        if let Some(first) = self.acked.first()
            && first.start == self.start
        {
            self.start = first.end;
            self.acked.pop_first();
        }
        while self.pieces.front().is_some_and(|(at, data)| at + data.len() as u64 <= self.start) {
            self.pieces.pop_front();
        }
        self.start - before
    }

    /// These bytes have to be sent again, except for those that have arrived by another packet.
    pub(super) fn on_lost(&mut self, range: Range<u64>) {
        let mut range = range.start.max(self.start)..range.end.min(self.sent);
        if planted::is(Bug::RetransmitRange) {
            range.end = range.end.saturating_sub(1);
        }
        if range.is_empty() {
            return;
        }
        for missing in self.acked.missing(range) {
            self.lost.insert(missing);
        }
    }

    /// Drops everything. Answers how many bytes were kept, and how many had never been sent:
    /// those were never written, as it seems to the peer.
    pub(super) fn abandon(&mut self) -> (u64, u64) {
        let (held, unsent) = (self.held(), self.end - self.sent);
        self.pieces = VecDeque::new();
        self.acked.clear();
        self.lost.clear();
        self.end = self.sent;
        self.start = self.sent;
        (held, unsent)
    }
}
