//! The receiving side of a transfer.

mod commands;
mod file;
mod lanes;
mod receive;
pub(crate) mod state;

use std::collections::BTreeMap;

use super::block::Head;
use super::hash::{Hash, Settled, Tally};
use super::line::Line;
use super::message::Message;
use super::meter::{LimitedBy, Meter};
use super::party::{Counts, Party, advance};
use super::ranges::Ranges;
use super::types::{Accept, End, Ended, Stats, Token};
use super::{Event, Hold, tell};
use crate::code::Code;
use crate::error::Violation;
use crate::id::StreamId;
use crate::limits;
use crate::machine::{Machine, Step};
use crate::session::Cx;
use crate::time::{Deadline, Instant};
pub(crate) use commands::check_request;
use file::FileIn;
use lanes::Lanes;
use state::{FileInput, FileState, Input, PieceInput, PieceState, State};

/// A backlog that the sender is told of although nothing was stored.
const BACKLOG: u64 = 512 << 10;
/// Ranges in one STORED or FILE_DONE.
const RANGES: usize = 512;

/// A piece of which the head has come, and that is not stored.
#[derive(Debug)]
struct PieceIn {
    state: PieceState,
    len: u32,
    /// As the sender announced it.
    hash: Hash,
}

/// The receiving side of one transfer.
#[derive(Debug)]
pub(crate) struct Receiver {
    line: Line,
    state: State,
    token: Token,
    accept: Accept,
    /// It has asked for the files.
    asked: bool,
    hold: Hold,
    /// Entries that were announced and are not dealt with.
    files: BTreeMap<u32, FileIn>,
    next_file: u32,
    /// The last entry was announced.
    all_announced: bool,
    pieces: BTreeMap<(u32, u64), PieceIn>,
    /// Bytes of all of `pieces`.
    backlog: u64,
    /// As the sender was told.
    backlog_told: u64,
    lanes: Lanes,
    /// Pieces that are stored, and files that are complete, and of which the sender was not
    /// told.
    stored: BTreeMap<u32, Ranges>,
    /// How many pieces are in `stored`.
    untold: usize,
    completed: Ranges,
    tally: Tally,
    meter: Meter,
    counts: Counts,
}

impl Receiver {
    /// One that waits for an offer.
    pub(super) fn new(line: Line, token: Token, accept: Accept, now: Instant) -> Self {
        Self {
            line,
            state: State::Waiting,
            token,
            accept,
            asked: false,
            hold: Hold::default(),
            files: BTreeMap::new(),
            next_file: 0,
            all_announced: false,
            pieces: BTreeMap::new(),
            backlog: 0,
            backlog_told: 0,
            lanes: Lanes::default(),
            stored: BTreeMap::new(),
            untold: 0,
            completed: Ranges::default(),
            tally: Tally::new(),
            meter: Meter::new(now),
            counts: Counts::default(),
        }
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

    /// When [`Receiver::on_timer`] is to be called.
    pub(super) fn deadline(&self) -> Option<Deadline> {
        self.line.deadline()
    }

    /// Something has come on a stream, or there is more to do.
    pub(super) fn on_readable(&mut self, cx: &mut Cx<'_>, stream: StreamId) {
        if stream != self.line.stream {
            self.on_data(cx, stream);
            return self.pump(cx);
        }
        if self.line.has_ended() {
            return self.line.wind_down(cx);
        }
        self.hear(cx);
        self.look_again(cx);
        self.pump(cx);
    }

    /// The control stream takes bytes again.
    pub(super) fn on_writable(&mut self, cx: &mut Cx<'_>) {
        self.line.unblock();
        if self.line.has_ended() {
            return self.line.wind_down(cx);
        }
        self.pump(cx);
    }

    /// The deadline has come.
    pub(super) fn on_timer(&mut self, cx: &mut Cx<'_>) {
        self.line.expire(cx);
    }

    /// The connection is gone. If the sender had only to take notice, all is there.
    pub(super) fn on_connection_lost(&mut self, cx: &mut Cx<'_>) {
        self.line.drop_all();
        let complete = self.state == State::Closing;
        self.close(cx, if complete { End::Complete } else { End::ConnectionLost });
    }

    /// The only place where the state changes. False: not legal in this state.
    fn apply(&mut self, input: Input) -> bool {
        self.line.story.step("file-receiver", self.state, input);
        advance(&mut self.state, input)
    }

    /// As if so many entries had been dealt with.
    #[cfg(test)]
    pub(super) fn skip_to(&mut self, entries: u32) {
        self.next_file = entries;
    }

    /// Another message would be read.
    #[cfg(test)]
    pub(super) fn is_listening(&self, cx: &Cx<'_>) -> bool {
        self.line.has_room(cx)
    }

    fn is_going(&self) -> bool {
        matches!(self.state, State::Receiving | State::Paused)
    }

    /// Numbers of the transfer.
    pub(super) fn stats(&self, now: Instant) -> Stats {
        Stats {
            state: self.state.name(),
            entries: u64::from(self.next_file),
            outstanding: self.backlog,
            window: self.accept.window,
            channels: self.lanes.stats(now),
            limited: self.meter.shares(now),
            ..self.counts.stats()
        }
    }

    /// Says what there is to say.
    fn pump(&mut self, cx: &mut Cx<'_>) {
        if self.line.has_ended() {
            return;
        }
        self.tell_stored();
        if let Err(code) = self.line.flush(cx) {
            return self.on_reset(cx, code);
        }
        let busy = || self.pieces.values().any(|piece| piece.state == PieceState::Pulled);
        let cause = match self.state {
            State::Waiting | State::Closing => Some(LimitedBy::Peer),
            State::Offered | State::Finishing => Some(LimitedBy::Sink),
            State::Paused => Some(LimitedBy::Paused),
            State::Receiving if self.lanes.are_told() || busy() => Some(LimitedBy::Sink),
            State::Receiving => Some(LimitedBy::Network),
            State::Closed => None,
        };
        self.meter.wait_for(cx.now, cause);
    }

    /// Acknowledgements go together: what was stored since the last time.
    fn tell_stored(&mut self) {
        while !self.stored.is_empty() && self.line.queued() < limits::MAX_FILE_QUEUED {
            let mut ranges = Vec::new();
            while ranges.len() < RANGES
                && let Some(mut first) = self.stored.first_entry()
            {
                match first.get_mut().pop_range(u64::MAX) {
                    Some(range) => {
                        ranges.push((*first.key(), range.start, range.end - range.start));
                    }
                    None => drop(first.remove()),
                }
            }
            if ranges.is_empty() {
                break;
            }
            self.backlog_told = self.backlog;
            self.line.say(&Message::Stored { backlog: self.backlog, ranges });
        }
        if !self.stored.is_empty() {
            return; // A file is complete only after its pieces are.
        }
        // A sender that waits should know for whom.
        if self.backlog > 2 * self.backlog_told + BACKLOG {
            self.backlog_told = self.backlog;
            self.line.say(&Message::Stored { backlog: self.backlog, ranges: Vec::new() });
        }
        self.untold = 0;
        while !self.completed.is_empty() {
            let mut ranges = Vec::new();
            while ranges.len() < RANGES
                && let Some(range) = self.completed.pop_range(u64::MAX)
            {
                let number = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
                ranges.push((number(range.start), number(range.end - range.start)));
            }
            self.line.say(&Message::FileDone { ranges });
        }
    }
}

impl Party for Receiver {
    fn line(&mut self) -> &mut Line {
        &mut self.line
    }

    fn on_message(&mut self, cx: &mut Cx<'_>, message: Message) -> Result<(), Violation> {
        self.on_word(cx, message)
    }

    fn on_fin(&mut self, cx: &mut Cx<'_>) {
        if self.state == State::Closing {
            self.close(cx, End::Complete);
        } else {
            self.violation(cx, Violation::FileTruncated);
        }
    }

    fn close(&mut self, cx: &mut Cx<'_>, how: End) {
        let input = match &how {
            End::Complete => Input::Fin,
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
        self.lanes.stop(cx, Code::Cancelled);
        self.files.clear();
        self.pieces.clear();
        self.stored.clear();
        self.line.end(cx.now);
        tell(cx, self.line.id, Event::Ended(Box::new(Ended { how, stats })));
        self.line.wind_down(cx);
    }
}

/// What becomes of entries and pieces.
impl Receiver {
    /// An entry is dealt with.
    fn settle(&mut self, file: u32, how: Settled) {
        self.files.remove(&file);
        let pieces: Vec<u64> =
            self.pieces.range((file, 0)..=(file, u64::MAX)).map(|((_, piece), _)| *piece).collect();
        for piece in pieces {
            self.step_piece(file, piece, PieceInput::Drop);
        }
        self.lanes.discard(file);
        self.counts.settle(how);
        self.tally.put(file, how);
    }

    /// Takes an input of a piece's own state machine, and keeps the sum. `None`: there is no such
    /// piece, or that is not legal.
    fn step_piece(&mut self, file: u32, piece: u64, input: PieceInput) -> Option<u32> {
        let known = self.pieces.get_mut(&(file, piece))?;
        let Step::Go(to) = known.state.next(input) else { return None };
        known.state = to;
        let len = known.len;
        if to == PieceState::Gone {
            self.backlog -= u64::from(len);
            self.pieces.remove(&(file, piece));
        }
        Some(len)
    }

    /// Gives a file up, tells the sender, and tells the application if it does not know.
    fn fail_here(&mut self, cx: &mut Cx<'_>, file: u32, code: Code, reason: &str, known: bool) {
        let Some(own) = self.files.get_mut(&file) else { return };
        if !own.step(FileInput::Fail) {
            return;
        }
        let reason = super::shorten(reason);
        self.line.say(&Message::FileFailed { file, code, reason: reason.clone() });
        self.settle(file, Settled::Failed);
        if !known {
            tell(cx, self.line.id, Event::Failed { file, code, reason, by_peer: false });
        }
    }
}
