//! The streams of a connection (RFC 9000 sections 2 to 4).

mod buffer;
mod input;
mod openings;
mod output;
mod reassembly;
mod recv;
pub(crate) mod recv_state;
mod schedule;
mod send;
pub(crate) mod send_state;
#[cfg(test)]
mod tests;
mod window;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use openings::Openings;
use recv::RecvHalf;
use schedule::Schedule;
use send::SendHalf;
use window::Window;

use crate::code::Code;
use crate::id::{Dir, Side, StreamId};
use crate::limits::{DQUIC_SEND_SLACK, DQUIC_STOPS_KEPT, DQUIC_STREAM_RESERVE};
use crate::transport::{Read, Signal, StreamEnd, Wrote};

/// Rank of a stream that nobody ranked.
const RANK: u8 = 127;
/// Room that is worth waking a writer for, in bytes.
const WORTH_WAKING: u64 = 16 << 10;

/// What one side lets the other send, as its transport parameters say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Credit {
    /// Bytes on all streams together.
    pub(crate) max_data: u64,
    /// Bytes on each stream.
    pub(crate) max_stream_data: u64,
    /// Bidirectional streams.
    pub(crate) max_streams_bidi: u64,
    /// Unidirectional streams.
    pub(crate) max_streams_uni: u64,
}

/// How the streams of one end are set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setup {
    /// Which end this is.
    pub(crate) side: Side,
    /// What the peer may send at first.
    pub(crate) credit: Credit,
    /// How far the window of a stream may grow, in bytes.
    pub(crate) max_stream_window: u64,
    /// How far the window of the connection may grow, in bytes.
    pub(crate) max_window: u64,
}

/// Every stream of a connection. No method fails because of order: what is not there is
/// [`StreamEnd::Gone`], or ignored.
#[derive(Debug)]
pub(crate) struct Streams {
    setup: Setup,
    peer: Credit,
    streams: BTreeMap<StreamId, Stream>,
    openings: Openings,
    /// What the peer may send on all streams together.
    window: Window,
    /// What it has sent, counted up to the highest byte of each stream.
    received: u64,
    /// What was written on all streams together, as far as it was or will be sent.
    written: u64,
    /// Bytes that are kept because they have not arrived.
    held: u64,
    /// How many may be kept.
    budget: u64,
    schedule: Schedule,
    pending: Pending,
    /// Streams of which the application is to be told that they can be read.
    readable: VecDeque<StreamId>,
    /// Streams whose writer was blocked, in the order of their waiting.
    blocked: VecDeque<StreamId>,
    /// Some of them may not be blocked any more.
    look: bool,
    /// Codes of stops on streams that are over, for writers that do not know yet.
    stopped: BTreeMap<StreamId, Code>,
}

/// One stream. A half is missing where the stream's direction has none.
#[derive(Debug)]
struct Stream {
    rank: u8,
    send: Option<SendHalf>,
    recv: Option<RecvHalf>,
    /// It is in the schedule.
    is_scheduled: bool,
}

impl Stream {
    fn is_over(&self) -> bool {
        self.send.as_ref().is_none_or(SendHalf::is_over)
            && self.recv.as_ref().is_none_or(RecvHalf::is_over)
    }
}

/// What is to be sent besides data.
#[derive(Debug, Default)]
struct Pending {
    max_data: bool,
    max_stream_data: BTreeSet<StreamId>,
    resets: BTreeSet<StreamId>,
    stops: BTreeSet<StreamId>,
    data_blocked: bool,
    /// The connection's limit that the peer was told to be too little.
    told_blocked: Option<u64>,
    stream_data_blocked: BTreeSet<StreamId>,
}

impl Pending {
    fn forget(&mut self, id: StreamId) {
        let Self { max_stream_data, resets, stops, stream_data_blocked, .. } = self;
        for set in [max_stream_data, resets, stops, stream_data_blocked] {
            set.remove(&id);
        }
    }
}

impl Streams {
    /// No streams, and no credit from the peer yet.
    pub(crate) fn new(setup: Setup) -> Self {
        let Credit { max_data, max_streams_bidi, max_streams_uni, .. } = setup.credit;
        Self {
            setup,
            peer: Credit::default(),
            streams: BTreeMap::new(),
            openings: Openings::new(setup.side, max_streams_bidi, max_streams_uni),
            window: Window::new(max_data, setup.max_window),
            received: 0,
            written: 0,
            held: 0,
            budget: DQUIC_SEND_SLACK,
            schedule: Schedule::default(),
            pending: Pending::default(),
            readable: VecDeque::new(),
            blocked: VecDeque::new(),
            look: false,
            stopped: BTreeMap::new(),
        }
    }

    /// The peer's transport parameters are known.
    pub(crate) fn set_peer(&mut self, credit: Credit) {
        self.peer.max_stream_data = credit.max_stream_data;
        self.peer.max_data = self.peer.max_data.max(credit.max_data);
        self.openings.raise(Dir::Bidi, credit.max_streams_bidi);
        self.openings.raise(Dir::Uni, credit.max_streams_uni);
        for send in self.streams.values_mut().filter_map(|stream| stream.send.as_mut()) {
            send.credit = send.credit.max(credit.max_stream_data);
        }
        self.look = true;
    }

    /// The congestion window in bytes: twice as much, and a little, may be written and not have
    /// arrived, on all streams together.
    pub(crate) fn set_window(&mut self, cwnd: u64) {
        self.set_budget(cwnd.saturating_mul(2).saturating_add(DQUIC_SEND_SLACK));
    }

    fn set_budget(&mut self, bytes: u64) {
        self.look |= bytes > self.budget;
        self.budget = bytes;
    }

    /// See [`crate::transport::Transport::open`].
    pub(crate) fn open(&mut self, dir: Dir) -> Option<StreamId> {
        let id = self.openings.open(dir)?;
        self.insert(id);
        Some(id)
    }

    fn insert(&mut self, id: StreamId) {
        let ours = id.opener() == self.setup.side;
        let sends = ours || id.dir() == Dir::Bidi;
        let receives = !ours || id.dir() == Dir::Bidi;
        let window = Window::new(self.setup.credit.max_stream_data, self.setup.max_stream_window);
        let stream = Stream {
            rank: RANK,
            send: sends.then(|| SendHalf::new(self.peer.max_stream_data)),
            recv: receives.then(|| RecvHalf::new(window)),
            is_scheduled: false,
        };
        self.streams.insert(id, stream);
    }

    fn send_half(&mut self, id: StreamId) -> Option<&mut SendHalf> {
        self.streams.get_mut(&id)?.send.as_mut()
    }

    fn recv_half(&mut self, id: StreamId) -> Option<&mut RecvHalf> {
        self.streams.get_mut(&id)?.recv.as_mut()
    }

    /// See [`crate::transport::Transport::write`].
    pub(crate) fn write(
        &mut self,
        id: StreamId,
        data: &mut Bytes,
        fin: bool,
    ) -> Result<Wrote, StreamEnd> {
        let Some(send) = self.streams.get_mut(&id).and_then(|stream| stream.send.as_mut()) else {
            return Err(self.stopped.remove(&id).map_or(StreamEnd::Gone, StreamEnd::ByPeer));
        };
        if let Err(end) = send.check_open() {
            self.blocked.retain(|other| *other != id);
            return Err(end);
        }
        let reserve = DQUIC_STREAM_RESERVE.saturating_sub(send.held());
        let room = self.budget.saturating_sub(self.held).max(reserve);
        let credit = send.credit_left().min(self.peer.max_data - self.written);
        let room = usize::try_from(room.min(credit)).unwrap_or(usize::MAX);
        let taken = data.split_to(room.min(data.len()));
        self.written += taken.len() as u64;
        self.held += taken.len() as u64;
        send.push(taken);
        let is_all = data.is_empty();
        if is_all && fin {
            send.finish();
        }
        if !is_all {
            self.block(id);
        }
        self.schedule_pending(id);
        Ok(if is_all { Wrote::All } else { Wrote::Blocked })
    }

    /// A writer has to wait. If it is for the peer's credit, the peer is told.
    fn block(&mut self, id: StreamId) {
        let max_data = self.peer.max_data;
        let is_exhausted = self.written >= max_data;
        let Some(send) = self.send_half(id) else { return };
        let was_blocked = std::mem::replace(&mut send.is_blocked, true);
        let lacks_credit = send.credit_left() == 0 && send.told_blocked != Some(send.credit);
        if lacks_credit {
            self.pending.stream_data_blocked.insert(id);
        }
        self.pending.data_blocked |= is_exhausted && self.pending.told_blocked != Some(max_data);
        if !was_blocked {
            self.blocked.push_back(id);
        }
    }

    fn schedule_pending(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id)
            && !stream.is_scheduled
            && stream.send.as_ref().is_some_and(SendHalf::is_pending)
        {
            stream.is_scheduled = true;
            self.schedule.push(stream.rank, id);
        }
    }

    fn unschedule(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id)
            && std::mem::take(&mut stream.is_scheduled)
        {
            self.schedule.remove(stream.rank, id);
        }
    }

    /// See [`crate::transport::Transport::read`].
    pub(crate) fn read(&mut self, id: StreamId, buf: &mut [u8]) -> Result<Read, StreamEnd> {
        let recv = self.recv_half(id).ok_or(StreamEnd::Gone)?;
        let answer = recv.read(buf);
        let wants_credit = recv.wants_credit();
        if let Ok(Read::Bytes(len)) = answer {
            self.window.consume(len as u64);
        }
        if wants_credit {
            self.pending.max_stream_data.insert(id);
        }
        self.remove_if_over(id);
        answer
    }

    /// See [`crate::transport::Transport::reset`].
    pub(crate) fn reset(&mut self, id: StreamId, code: Code) {
        self.abandon(id, code);
        // Whoever resets does not wait any more, and need not be told of a stop.
        self.stopped.remove(&id);
        if let Some(send) = self.send_half(id) {
            send.stopped = None;
            send.is_blocked = false;
        }
        self.blocked.retain(|other| *other != id);
    }

    /// Ends the sending half early.
    fn abandon(&mut self, id: StreamId, code: Code) {
        let Some((held, unsent)) = self.send_half(id).and_then(|send| send.reset(code)) else {
            return;
        };
        self.held -= held;
        self.written -= unsent;
        self.look = true;
        self.unschedule(id);
        self.pending.stream_data_blocked.remove(&id);
        self.pending.resets.insert(id);
    }

    /// See [`crate::transport::Transport::stop`].
    pub(crate) fn stop(&mut self, id: StreamId, code: Code) {
        let Some(recv) = self.recv_half(id) else { return };
        let credit = recv.stop(code);
        if recv.stop_frame(id).is_some() {
            self.pending.stops.insert(id);
        }
        self.window.consume(credit);
        self.pending.max_stream_data.remove(&id);
        self.remove_if_over(id);
    }

    /// See [`crate::transport::Transport::prioritize`].
    pub(crate) fn prioritize(&mut self, id: StreamId, rank: u8) {
        self.unschedule(id);
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.rank = rank;
        }
        self.schedule_pending(id);
    }

    /// See [`crate::transport::Transport::is_over`].
    pub(crate) fn is_over(&self, id: StreamId) -> bool {
        !self.streams.contains_key(&id)
    }

    fn remove_if_over(&mut self, id: StreamId) {
        if !self.streams.get(&id).is_some_and(Stream::is_over) {
            return;
        }
        let stopped = self.streams.remove(&id).and_then(|stream| stream.send?.stopped);
        if let Some(code) = stopped {
            self.stopped.insert(id, code);
            if self.stopped.len() > DQUIC_STOPS_KEPT {
                self.stopped.pop_first();
            }
        }
        self.pending.forget(id);
        if id.opener() != self.setup.side {
            self.openings.close(id.dir());
        }
    }

    /// The next [`Signal::Readable`], [`Signal::Writable`] or [`Signal::Openable`].
    pub(crate) fn poll(&mut self) -> Option<Signal> {
        while let Some(id) = self.readable.pop_front() {
            if self.recv_half(id).is_some_and(RecvHalf::tell) {
                return Some(Signal::Readable(id));
            }
        }
        if self.openings.tell() {
            return Some(Signal::Openable);
        }
        self.writable().map(Signal::Writable)
    }

    /// The next stream whose writer need not wait any more: the lowest rank first, and within a
    /// rank who has waited longest.
    fn writable(&mut self) -> Option<StreamId> {
        if !self.look {
            return None;
        }
        let waiting = self.blocked.iter().enumerate();
        let ready = waiting.filter(|(_, id)| self.is_worth_waking(**id));
        let rank = |id: &StreamId| self.streams.get(id).map_or(0, |stream| stream.rank);
        let Some((place, _)) = ready.min_by_key(|(_, id)| rank(id)) else {
            self.look = false;
            return None;
        };
        let id = self.blocked.remove(place)?;
        if let Some(send) = self.send_half(id) {
            send.is_blocked = false;
        }
        Some(id)
    }

    /// Whether a writer that was blocked should try again, if only to learn of the end.
    fn is_worth_waking(&self, id: StreamId) -> bool {
        let Some(send) = self.streams.get(&id).and_then(|stream| stream.send.as_ref()) else {
            return true;
        };
        let reserve = DQUIC_STREAM_RESERVE.saturating_sub(send.held());
        let room = self.budget.saturating_sub(self.held).max(reserve);
        let credit = send.credit_left().min(self.peer.max_data - self.written);
        send.stopped.is_some() || (credit > 0 && room >= WORTH_WAKING.min(self.budget / 2))
    }
}
