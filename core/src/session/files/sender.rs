//! The sending side of a transfer.

mod commands;
mod file;
mod lanes;
mod pump;
mod receive;
pub(crate) mod state;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;

use super::block::Head;
use super::bucket::Bucket;
use super::hash::{Hash, Settled, Tally};
use super::line::Line;
use super::message::Message;
use super::meter::Meter;
use super::party::{Counts, Party, advance};
use super::tune::Tuner;
use super::types::{End, Ended, Kind, Stats, Token};
use super::{Event, Hold, tell};
use crate::code::Code;
use crate::error::Violation;
use crate::id::StreamId;
use crate::limits;
use crate::machine::{Machine, Step};
use crate::session::Cx;
use crate::time::{Deadline, Instant, Reason};
pub(crate) use commands::check_offer;
use file::FileOut;
use lanes::Lanes;
use state::{FileInput, FileState, Input, PieceInput, PieceState, State};

/// A piece that was asked for, and is not acknowledged.
#[derive(Debug)]
pub(super) struct PieceOut {
    state: PieceState,
    len: u32,
    /// Known once it was supplied.
    hash: Option<Hash>,
    /// How often the receiver found it wrong.
    tries: u32,
}

/// A piece that waits for a stream.
#[derive(Debug)]
pub(super) struct Block {
    head: Head,
    bytes: Bytes,
}

/// The sending side of one transfer.
#[derive(Debug)]
pub(crate) struct Sender {
    line: Line,
    state: State,
    token: Token,
    /// The streams' rank below [`crate::conn::streams::rank::FILES`].
    rank: u8,
    hold: Hold,
    /// Entries that were announced and are not dealt with.
    files: BTreeMap<u32, FileOut>,
    next_file: u32,
    /// Entries that the application was asked for.
    entries_asked: usize,
    no_more_entries: bool,
    /// Files with pieces that were never asked for, in the order in which they are sent.
    order: VecDeque<u32>,
    /// Pieces that the receiver found wrong.
    retries: VecDeque<(u32, u64)>,
    pieces: BTreeMap<(u32, u64), PieceOut>,
    /// Bytes of all of `pieces`.
    outstanding: u64,
    /// Bytes, and number, of those of them that the application was asked for or has supplied,
    /// but that no stream has.
    ahead: u64,
    asked: usize,
    ready: VecDeque<Block>,
    lanes: Lanes,
    tally: Tally,
    tuner: Tuner,
    bucket: Bucket,
    /// Limits, here and at the peer, in bytes for each second.
    limits: [Option<u64>; 2],
    /// Bytes that have reached the receiver, and that it has not stored, as it says.
    backlog: u64,
    meter: Meter,
    counts: Counts,
}

impl Sender {
    /// One that has said nothing. `prefix` goes in front of what it says.
    pub(super) fn new(line: Line, token: Token, now: Instant) -> Self {
        Self {
            line,
            state: State::Idle,
            token,
            rank: 0,
            hold: Hold::default(),
            files: BTreeMap::new(),
            next_file: 0,
            entries_asked: 0,
            no_more_entries: false,
            order: VecDeque::new(),
            retries: VecDeque::new(),
            pieces: BTreeMap::new(),
            outstanding: 0,
            ahead: 0,
            asked: 0,
            ready: VecDeque::new(),
            lanes: Lanes::default(),
            tally: Tally::new(),
            tuner: Tuner::new(now, 0),
            bucket: Bucket::new(now),
            limits: [None; 2],
            backlog: 0,
            meter: Meter::new(now),
            counts: Counts::default(),
        }
    }

    /// One whose peer has asked for files.
    pub(super) fn requested(line: Line, token: Token, now: Instant) -> Self {
        let mut sender = Self::new(line, token, now);
        sender.apply(Input::Request);
        sender
    }

    /// The control stream.
    pub(super) fn stream(&self) -> StreamId {
        self.line.stream
    }

    /// The application was told of the end.
    pub(super) const fn has_ended(&self) -> bool {
        self.line.has_ended()
    }

    /// Over: the application was told, and nothing is left to do on the streams.
    pub(super) fn is_over(&self) -> bool {
        self.line.is_over()
    }

    /// Wants to be called again although no signal will come.
    pub(super) fn is_runnable(&self) -> bool {
        self.line.more && !self.is_over()
    }

    /// When [`Sender::on_timer`] is to be called.
    pub(super) fn deadline(&self) -> Option<Deadline> {
        let limited = self.lanes.is_limited() && self.state == State::Sending;
        let next = if limited { self.bucket.next() } else { None };
        let limit = next.map(|at| Deadline { at, why: Reason::Pacing });
        Deadline::earliest(self.line.deadline(), limit)
    }

    /// Something has come on the control stream, or there is more to do.
    pub(super) fn on_readable(&mut self, cx: &mut Cx<'_>) {
        if self.line.has_ended() {
            return self.line.wind_down(cx);
        }
        self.hear(cx);
        self.pump(cx);
    }

    /// A stream takes bytes again, or one can be opened.
    pub(super) fn on_writable(&mut self, cx: &mut Cx<'_>, stream: Option<StreamId>) {
        match stream {
            Some(stream) if stream == self.line.stream => self.line.unblock(),
            Some(stream) => self.lanes.unblock(stream),
            None => self.lanes.openable(),
        }
        if self.line.has_ended() {
            return self.line.wind_down(cx);
        }
        self.pump(cx);
    }

    /// The deadline has come.
    pub(super) fn on_timer(&mut self, cx: &mut Cx<'_>) {
        self.line.expire(cx);
        self.pump(cx);
    }

    /// The connection is gone.
    pub(super) fn on_connection_lost(&mut self, cx: &mut Cx<'_>) {
        self.line.drop_all();
        self.close(cx, End::ConnectionLost);
    }

    /// The only place where the state changes. False: not legal in this state.
    fn apply(&mut self, input: Input) -> bool {
        self.line.story.step("file-sender", self.state, input);
        advance(&mut self.state, input)
    }

    /// As if so many entries had been dealt with.
    #[cfg(test)]
    pub(super) fn skip_to(&mut self, entries: u32) {
        self.next_file = entries;
    }

    fn is_going(&self) -> bool {
        matches!(self.state, State::Sending | State::Paused)
    }

    /// Numbers of the transfer.
    pub(super) fn stats(&self, now: Instant) -> Stats {
        Stats {
            state: self.state.name(),
            entries: u64::from(self.next_file),
            outstanding: self.outstanding,
            window: self.tuner.window(),
            channels: self.lanes.stats(now),
            limited: self.meter.shares(now),
            ..self.counts.stats()
        }
    }
}

impl Party for Sender {
    fn line(&mut self) -> &mut Line {
        &mut self.line
    }

    fn on_message(&mut self, cx: &mut Cx<'_>, message: Message) -> Result<(), Violation> {
        self.on_word(cx, message)
    }

    fn close(&mut self, cx: &mut Cx<'_>, how: End) {
        let input = match &how {
            End::Complete => Input::Got,
            End::Local(_) => Input::Cancel,
            End::Peer(..) => Input::PeerCancel,
            End::Violation(_) => Input::Violation,
            End::ConnectionLost => Input::ConnectionLost,
        };
        if self.line.has_ended() || !self.apply(input) {
            return;
        }
        debug_assert_eq!(self.state, State::Closed);
        let stats = self.stats(cx.now);
        self.lanes.reset(cx, Code::Cancelled);
        self.files.clear();
        self.pieces.clear();
        self.ready.clear();
        self.retries.clear();
        self.line.end(cx.now);
        tell(cx, self.line.id, Event::Ended(Box::new(Ended { how, stats })));
        self.line.wind_down(cx);
    }
}

/// What becomes of entries and pieces.
impl Sender {
    /// An entry is dealt with, and the receiver sees it so. One that was given up here counts as
    /// failed here, whatever became of it there.
    fn settle(&mut self, file: u32, how: Settled) {
        let gone = self.files.remove(&file);
        let given_up = gone.is_some_and(|out| out.given_up);
        self.drop_pieces(file);
        self.counts.settle(if given_up { Settled::Failed } else { how });
        self.tally.put(file, how);
    }

    /// Nothing more of a file is sent, but for a block that is half written.
    fn drop_pieces(&mut self, file: u32) {
        let pieces: BTreeSet<u64> =
            self.pieces.range((file, 0)..=(file, u64::MAX)).map(|((_, piece), _)| *piece).collect();
        for piece in pieces {
            self.step_piece(file, piece, PieceInput::Drop);
        }
        self.ready.retain(|block| block.head.file != file);
        self.retries.retain(|(of, _)| *of != file);
    }

    /// Takes an input of a piece's own state machine, and keeps the sums. `None`: there is no
    /// such piece, or that is not legal.
    fn step_piece(&mut self, file: u32, piece: u64, input: PieceInput) -> Option<u32> {
        let out = self.pieces.get_mut(&(file, piece))?;
        let Step::Go(to) = out.state.next(input) else { return None };
        let (from, len) = (std::mem::replace(&mut out.state, to), out.len);
        if from == PieceState::Asked {
            self.asked -= 1;
        }
        let is_ahead = |state| matches!(state, PieceState::Asked | PieceState::Ready);
        match (is_ahead(from), is_ahead(to)) {
            (true, false) => self.ahead -= u64::from(len),
            (false, true) => self.ahead += u64::from(len),
            (true, true) | (false, false) => {}
        }
        match to {
            PieceState::Asked => self.asked += 1,
            PieceState::Gone => {
                self.outstanding -= u64::from(len);
                self.pieces.remove(&(file, piece));
            }
            PieceState::Ready | PieceState::Sent => {}
        }
        Some(len)
    }

    /// Gives a file up, and tells the peer.
    fn fail_here(&mut self, cx: &mut Cx<'_>, file: u32, code: Code, reason: &str) {
        let Some(out) = self.files.get_mut(&file) else { return };
        if out.given_up || !out.step(FileInput::Fail) {
            return;
        }
        out.given_up = true;
        let reason = super::shorten(reason);
        self.line.say(&Message::FileFailed { file, code, reason: reason.clone() });
        self.drop_pieces(file);
        tell(cx, self.line.id, Event::Failed { file, code, reason, by_peer: false });
    }
}
