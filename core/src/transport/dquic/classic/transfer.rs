//! Sending: one packet after the other, each with a frame of every stream that has bytes left
//! (or of as many as fit), and nothing sent before its answer has come.

pub mod state;
mod stream;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;

use bytes::Bytes;

use self::state::{Input, State};
use self::stream::{Outgoing, Slot};
use super::packet::{ACK, Frames, HEADER_LEN, Header, SHORT};
use super::{Layout, Report};
use crate::error::Misuse;
use crate::limits::{CLASSIC_ANSWER_TIMEOUT, CLASSIC_TRIES, MAX_CLASSIC_STALLS, MAX_SEGMENTED};
use crate::machine::{Machine as _, Step};
use crate::rng::Rng;
use crate::time::Instant;

/// The least data of a frame, unless the stream ends: each stream of a sending draws a size once.
pub const MIN_FRAME: u32 = 1_000;
/// The most data of a frame.
pub const MAX_FRAME: u32 = 2_000;
/// Frames in a packet of wide frames, as the existing senders have it.
const WIDE_FRAMES: usize = 3;

/// Why a sending failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// No answer to a packet, however often it was sent.
    Silent {
        /// How often that was.
        tries: u32,
    },
    /// The peer has counted bytes of the stream that were not sent in this sending.
    AlreadyThere {
        /// The stream.
        stream: u32,
        /// The bytes it has counted.
        bytes: u64,
    },
    /// The peer answers again and again without taking anything, or takes back what it had.
    Stuck,
    /// The stream is longer than the offsets of the layout can say.
    TooLong {
        /// The stream.
        stream: u32,
    },
    /// The application gave it up.
    Cancelled,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent { tries } => write!(f, "no answer to {tries} tries"),
            Self::AlreadyThere { stream, bytes } => {
                write!(f, "the peer has already {bytes} bytes of stream {stream} from this address")
            }
            Self::Stuck => f.write_str("the peer answers, but takes nothing"),
            Self::TooLong { stream } => {
                write!(f, "stream {stream} is longer than 16-byte frames can say (4 GiB - 1)")
            }
            Self::Cancelled => f.write_str("given up"),
        }
    }
}

impl std::error::Error for Why {}

/// What the endpoint has to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Ask the application for bytes of these.
    Ask,
    /// Send the packet, and wait.
    Send,
    /// Nothing: it goes on when the rest of the bytes, or the answer, comes.
    Nothing,
    /// Tell the application that it is done.
    Done,
    /// Tell the application that it is not.
    Failed(Why),
}

/// One sending to one address.
#[derive(Debug)]
pub(super) struct Transfer {
    state: State,
    layout: Layout,
    streams: BTreeMap<u32, Outgoing>,
    slots: Vec<Slot>,
    /// The stream after which the next packet begins, so that all get their turn.
    turn: Option<u32>,
    packet: Vec<u8>,
    number: u32,
    tries: u32,
    deadline: Option<Instant>,
    stalls: u32,
    report: Report,
}

impl Transfer {
    /// Of these streams; `before` tells what the peer has of one.
    pub(super) fn new(
        layout: Layout,
        ids: &[u32],
        before: impl Fn(u32) -> u64,
        rng: &mut Rng,
    ) -> Self {
        let mut outgoing = |id: u32| {
            let drawn = rng.below(u64::from(MAX_FRAME - MIN_FRAME + 1));
            let size = MIN_FRAME + u32::try_from(drawn).unwrap_or(0);
            let before = before(id);
            Outgoing { size, offset: 0, before, end: None, steps_back: 0, stats: None }
        };
        Self {
            state: State::Gathering,
            layout,
            streams: ids.iter().map(|id| (*id, outgoing(*id))).collect(),
            slots: Vec::new(),
            turn: None,
            packet: Vec::new(),
            number: 0,
            tries: 0,
            deadline: None,
            stalls: 0,
            report: Report::default(),
        }
    }

    /// When [`Transfer::expire`] has to be called.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The packet under way.
    pub(super) fn packet(&self) -> &[u8] {
        &self.packet
    }

    /// The packet under way has this number, and is sent for the first time.
    pub(super) const fn is_new(&self, number: u32) -> bool {
        self.number == number && self.tries == 1
    }

    pub(super) fn report(&self) -> Report {
        let streams = self.streams.iter().filter_map(|(id, stream)| Some((*id, stream.stats?)));
        Report { streams: streams.collect(), ..self.report.clone() }
    }

    /// What the peer has of each stream.
    pub(super) fn acknowledged(&self) -> impl Iterator<Item = (u32, u64)> {
        self.streams.iter().map(|(id, stream)| (*id, stream.offset))
    }

    /// What to ask the application for: stream, offset, at most so many bytes.
    pub(super) fn wanted(&self) -> impl Iterator<Item = (u32, u64, usize)> {
        let missing = self.slots.iter().filter(|slot| slot.data.is_none());
        missing.map(|slot| (slot.stream, slot.offset, slot.want as usize))
    }

    /// Takes a step. Illegal inputs are bugs of this file: see [`state`].
    fn step(&mut self, input: Input) {
        match self.state.next(input) {
            Step::Go(state) => self.state = state,
            Step::Stay => {}
            Step::Illegal => debug_assert!(false, "{input:?} in {:?}", self.state),
        }
    }

    /// Chooses the streams of the next packet.
    pub(super) fn gather(&mut self) -> Next {
        self.slots.clear();
        let from = self.turn.map_or(Bound::Unbounded, Bound::Excluded);
        let upto = self.turn.map_or(Bound::Excluded(0), Bound::Included);
        let later = self.streams.range((from, Bound::Unbounded));
        let earlier = self.streams.range((Bound::Unbounded, upto));
        let mut room = MAX_SEGMENTED - HEADER_LEN;
        let most = if self.layout == Layout::Wide { WIDE_FRAMES } else { usize::MAX };
        for (id, stream) in later.chain(earlier) {
            if stream.end == Some(stream.offset) {
                continue;
            }
            let want = stream.size;
            let needed = self.layout.frame_len() + want as usize;
            if needed > room || self.slots.len() == most {
                break;
            }
            room -= needed;
            self.slots.push(Slot { stream: *id, offset: stream.offset, want, data: None });
        }
        match self.slots.last() {
            Some(last) => {
                self.turn = Some(last.stream);
                Next::Ask
            }
            None => {
                self.step(Input::Exhausted);
                Next::Done
            }
        }
    }

    /// Takes bytes that were asked for. Fewer than that are the last ones of the stream.
    pub(super) fn supply(
        &mut self,
        now: Instant,
        number: u32,
        stream: u32,
        offset: u64,
        data: Bytes,
    ) -> Result<Next, Misuse> {
        let wrong = Misuse::WrongState { command: "supply", state: "not asked" };
        let slot = self.slots.iter_mut().find(|slot| slot.stream == stream).ok_or(wrong)?;
        if slot.data.is_some() {
            return Err(wrong);
        }
        if slot.offset != offset {
            return Err(Misuse::NotWanted { wanted: slot.offset, supplied: offset });
        }
        if data.len() > slot.want as usize {
            return Err(Misuse::TooMuch { what: "bytes supplied", limit: slot.want as usize });
        }
        let end = offset.saturating_add(data.len() as u64);
        let is_last = data.len() < slot.want as usize;
        slot.data = Some(data);
        if let Some(outgoing) = self.streams.get_mut(&stream)
            && is_last
        {
            outgoing.end = Some(end);
        }
        if self.slots.iter().any(|slot| slot.data.is_none()) {
            return Ok(Next::Nothing);
        }
        self.slots.retain(|slot| slot.data.as_ref().is_some_and(|data| !data.is_empty()));
        if self.slots.is_empty() { Ok(self.gather()) } else { Ok(self.encode(now, number)) }
    }

    /// Writes the packet.
    fn encode(&mut self, now: Instant, number: u32) -> Next {
        let header = Header { packet_type: SHORT, packet_number: number };
        self.packet.clear();
        self.packet.extend_from_slice(&header.to_bytes());
        for slot in &mut self.slots {
            let written = match self.streams.get_mut(&slot.stream) {
                Some(stream) => slot.put(now, self.layout, stream, &mut self.packet),
                None => Ok(()),
            };
            if let Err(why) = written {
                return self.fail(Input::Cancel, why);
            }
        }
        self.step(Input::Gathered);
        (self.number, self.tries) = (number, 0);
        self.report.packets += 1;
        self.send(now)
    }

    /// The packet leaves, for the first time or again.
    fn send(&mut self, now: Instant) -> Next {
        self.report.repeated += u64::from(self.tries > 0);
        self.report.wire_bytes += self.packet.len() as u64;
        self.tries += 1;
        self.deadline = Some(now + CLASSIC_ANSWER_TIMEOUT);
        Next::Send
    }

    /// The deadline has come.
    pub(super) fn expire(&mut self, now: Instant) -> Next {
        if self.tries < CLASSIC_TRIES {
            self.step(Input::Timeout);
            return self.send(now);
        }
        let why = Why::Silent { tries: self.tries };
        self.fail(Input::Silence, why)
    }

    /// The application gives it up.
    pub(super) fn cancel(&mut self) -> Next {
        self.fail(Input::Cancel, Why::Cancelled)
    }

    fn fail(&mut self, input: Input, why: Why) -> Next {
        self.step(input);
        self.deadline = None;
        Next::Failed(why)
    }

    /// Whether an acknowledgement is that of the packet under way (AB-K11).
    pub(super) fn expects(&self, number: u32) -> bool {
        self.state == State::Waiting && self.number == number
    }

    /// Takes an acknowledgement. What is not that of the packet under way, or cannot be read,
    /// changes nothing: the wait for the answer goes on.
    pub(super) fn answer(&mut self, now: Instant, header: Header, payload: &[u8]) -> Next {
        // Receivers of wide frames pass over a piece at the end, so it is passed over here too.
        let items = Frames::new(self.layout, payload);
        let items = items.filter(|item| self.layout == Layout::Classic || item.is_ok());
        let items: Result<Vec<_>, _> = items.collect();
        let Some(frames) = items.ok().filter(|_| self.expects(header.packet_number)) else {
            self.step(Input::Stray);
            return Next::Nothing;
        };
        let mut moved = false;
        for (frame, _) in frames {
            if frame.frame_type != u32::from(ACK) {
                continue;
            }
            match self.acknowledge(now, frame.stream_id, frame.offset) {
                Ok(progress) => moved |= progress,
                Err(why) => return self.fail(Input::Contradicted, why),
            }
        }
        self.stalls = if moved { 0 } else { self.stalls + 1 };
        if self.stalls >= MAX_CLASSIC_STALLS {
            return self.fail(Input::Contradicted, Why::Stuck);
        }
        self.step(Input::Answered);
        self.deadline = None;
        self.gather()
    }

    /// The peer has `count` bytes of a stream. True if it took the frame under way.
    fn acknowledge(&mut self, now: Instant, id: u32, count: u64) -> Result<bool, Why> {
        let sent = self.slots.iter().find(|slot| slot.stream == id);
        let (Some(slot), Some(stream)) = (sent, self.streams.get_mut(&id)) else {
            return Ok(false);
        };
        let length = slot.data.as_ref().map_or(0, Bytes::len) as u64;
        if count == slot.offset + length {
            stream.took(now, count);
            return Ok(true);
        }
        if let Some(stats) = &mut stream.stats {
            stats.misplaced += 1;
        }
        if count > slot.offset {
            return Err(Why::AlreadyThere { stream: id, bytes: count });
        }
        if count < slot.offset {
            stream.steps_back += 1;
            if stream.steps_back > MAX_CLASSIC_STALLS {
                return Err(Why::Stuck);
            }
            stream.back(count);
        }
        Ok(false)
    }
}
