//! Receiving: what a data packet does to the counts of its sender, and the answer to it.

pub mod state;

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;

use self::state::{Input, State};
use super::packet::{ACK, Frame, Frames, Header, is_whole};
use super::{IdleMap, Layout, StreamStats};
use crate::machine::{Machine as _, Step};
use crate::time::Instant;

/// A frame's data, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Its stream.
    pub stream: u32,
    /// Where it belongs, as its sender says.
    pub offset: u64,
    /// As much of it as there is.
    pub data: Bytes,
    /// It is the next piece of the stream. What is handed on of a stream are these pieces: every
    /// byte once, and in order.
    pub in_order: bool,
}

/// How the reading of a packet ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// At its end. Only then it is acknowledged.
    Complete,
    /// At a frame header that is cut off (AB-K6).
    Cut,
    /// At a frame with which the packet declares more bytes than the caller takes (AB-K7).
    TooMuch,
    /// At a frame whose answer has no room for the count of its stream (AB-K8).
    Overflow,
}

/// A data packet. The counts of its streams have changed even if it is not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Who sent it.
    pub peer: SocketAddr,
    /// Its number.
    pub packet_number: u32,
    /// The form of its frames.
    pub layout: Layout,
    /// Its frames, in order.
    pub pieces: Vec<Piece>,
    /// How its reading ended.
    pub end: End,
}

impl Received {
    /// The data by stream, as the existing receivers give it to their callers: of each stream
    /// the last piece, in order or not, without the one that was too much.
    #[must_use]
    pub fn map(&self) -> BTreeMap<u32, Vec<u8>> {
        let kept = match self.end {
            End::Complete | End::Cut | End::Overflow => self.pieces.len(),
            End::TooMuch => self.pieces.len().saturating_sub(1),
        };
        self.pieces[..kept].iter().map(|piece| (piece.stream, piece.data.to_vec())).collect()
    }
}

/// One stream that is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inbound {
    state: State,
    count: u64,
    stats: StreamStats,
    /// When it counts as quiet, if it is open and that is wanted.
    pub(super) quiet_at: Option<Instant>,
}

impl Inbound {
    pub(super) const fn new(now: Instant) -> Self {
        let stats = StreamStats::starting(now);
        Self { state: State::Open, count: 0, stats, quiet_at: None }
    }

    /// A stream of which so many bytes have come before.
    pub(super) const fn resumed(now: Instant, count: u64) -> Self {
        Self { count, ..Self::new(now) }
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// Bytes that are acknowledged: what was declared, in order.
    #[must_use]
    pub const fn acknowledged(&self) -> u64 {
        self.count
    }

    /// Its numbers.
    #[must_use]
    pub const fn stats(&self) -> StreamStats {
        self.stats
    }

    /// Takes a step. An input that means nothing in a state would be a bug here: inputs come from
    /// this file and the endpoint, never straight from a peer.
    pub(super) fn step(&mut self, input: Input) {
        match self.state.next(input) {
            Step::Go(state) => self.state = state,
            Step::Stay => {}
            Step::Illegal => debug_assert!(false, "{input:?} in {:?}", self.state),
        }
    }

    /// Takes a frame. True if its data is the next piece to hand on.
    fn take(&mut self, now: Instant, frame: Frame, data: &[u8], new_packet: bool) -> bool {
        let is_next = frame.offset == self.count;
        let hand_on = is_next && self.state != State::Broken;
        self.stats.packets += u64::from(new_packet);
        self.stats.frames += 1;
        self.stats.misplaced += u64::from(!is_next);
        self.stats.last = now;
        if is_next {
            self.count = self.count.saturating_add(u64::from(frame.length));
        }
        if hand_on {
            self.stats.bytes += data.len() as u64;
        }
        self.step(match (is_next, is_whole(frame, data)) {
            (true, true) => Input::Next,
            (true, false) => Input::Short,
            (false, _) => Input::Elsewhere,
        });
        hand_on
    }
}

/// What a data packet led to.
#[derive(Debug)]
pub(super) struct Receipt {
    pub(super) received: Received,
    /// The datagram that acknowledges it.
    pub(super) answer: Option<Vec<u8>>,
    /// Streams of it that were whole before, and are not any more.
    pub(super) broken: Vec<u32>,
    /// Streams that had to make place.
    pub(super) evicted: Vec<(u32, Inbound)>,
}

/// What a data packet is read with.
pub(super) struct Reading<'a> {
    pub(super) now: Instant,
    pub(super) peer: SocketAddr,
    pub(super) header: Header,
    pub(super) layout: Layout,
    pub(super) payload: &'a Bytes,
    pub(super) max_bytes: u64,
}

impl Reading<'_> {
    /// Reads the packet frame by frame, each with its effect on the counts, and writes the
    /// answer, exactly as the existing receivers do (AB-K4 to AB-K8).
    pub(super) fn receive(&self, streams: &mut IdleMap<u32, Inbound>) -> Receipt {
        let mut answer = Header { packet_type: ACK, ..self.header }.to_bytes().to_vec();
        let mut pieces: Vec<Piece> = Vec::new();
        let (mut broken, mut evicted) = (Vec::new(), Vec::new());
        let mut seen = std::collections::BTreeSet::new();
        let mut declared = 0_u64;
        let mut end = self.empty_end();
        for item in Frames::new(self.layout, self.payload) {
            let Ok((frame, data)) = item else {
                end = self.cut_end();
                break;
            };
            declared = declared.saturating_add(u64::from(frame.length));
            let (stream, gone) = streams.touch(frame.stream_id, || Inbound::new(self.now));
            evicted.extend(gone);
            let was_broken = stream.state() == State::Broken;
            let in_order = stream.take(self.now, frame, data, seen.insert(frame.stream_id));
            if stream.state() == State::Broken && !was_broken {
                broken.push(frame.stream_id);
            }
            pieces.push(Piece {
                stream: frame.stream_id,
                offset: frame.offset,
                data: self.payload.slice_ref(data),
                in_order,
            });
            let count = Frame {
                frame_type: u32::from(ACK),
                offset: stream.acknowledged(),
                length: 0,
                ..frame
            };
            if count.put(self.layout, &mut answer).is_err() {
                end = End::Overflow;
                break;
            }
            if declared > self.max_bytes {
                end = End::TooMuch;
                break;
            }
        }
        let received = Received {
            peer: self.peer,
            packet_number: self.header.packet_number,
            layout: self.layout,
            pieces,
            end,
        };
        let answer = (end == End::Complete).then_some(answer);
        Receipt { received, answer, broken, evicted }
    }

    /// How a packet without frames ends.
    fn empty_end(&self) -> End {
        match self.layout {
            Layout::Classic if self.payload.is_empty() => End::Cut,
            Layout::Classic | Layout::Wide => End::Complete,
        }
    }

    /// How a packet ends that has less than a frame's header at its end.
    const fn cut_end(&self) -> End {
        match self.layout {
            Layout::Classic => End::Cut,
            Layout::Wide => End::Complete,
        }
    }
}
