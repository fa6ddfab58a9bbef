//! What a sender does of its own accord: asks, sends, comes to an end.

use super::lanes::Owner;
use super::{
    Event, FileInput, Input, Message, Party, PieceInput, PieceOut, PieceState, Sender, State,
    limits, tell,
};
use crate::session::Cx;
use crate::session::files::meter::LimitedBy;

/// Entries are asked for in batches, so that a page is worth sending.
const BATCH: usize = 256;
/// So many bytes are worth a write of their own.
const RUN: usize = 64 << 10;

impl Sender {
    /// Does all that can be done now.
    pub(super) fn pump(&mut self, cx: &mut Cx<'_>) {
        if self.line.has_ended() {
            return;
        }
        if self.is_going() {
            self.ask_entries(cx);
            self.ask_pieces(cx);
        }
        if let Err(code) = self.write(cx) {
            return self.on_reset(cx, code);
        }
        if self.is_going() && self.no_more_entries && self.files.is_empty() {
            self.apply(Input::Settled);
            let digest = self.tally.finish();
            self.line.say(&Message::Done { entries: self.next_file, digest });
        }
        if self.state == State::Finishing {
            self.lanes.finish(cx);
        }
        if let Err(code) = self.line.flush(cx) {
            return self.on_reset(cx, code);
        }
        let cause = self.cause();
        self.meter.wait_for(cx.now, cause);
    }

    /// A pause stops new pieces; one that is half written has to be brought to its end.
    fn write(&mut self, cx: &mut Cx<'_>) -> Result<(), crate::Code> {
        // Small pieces wait for others while the application is still being asked for them.
        let ready: usize = self.ready.iter().take(RUN).map(|block| block.bytes.len()).sum();
        if self.asked > 0 && ready < RUN && !cx.events.is_empty() {
            return Ok(());
        }
        let owner = Owner { session: self.line.id, control: self.line.stream, rank: self.rank };
        let mut nothing = std::collections::VecDeque::new();
        let (ready, most) = match self.state {
            State::Sending => (&mut self.ready, self.tuner.lanes()),
            State::Paused => (&mut nothing, self.tuner.lanes()),
            State::Idle | State::Requested | State::Offered | State::Finishing | State::Closed => {
                return Ok(());
            }
        };
        let sent = self.lanes.write(cx, owner, most, ready, &mut self.bucket)?;
        for (file, piece) in sent {
            let len = self.step_piece(file, piece, PieceInput::Send).map_or(0, u64::from);
            self.counts.moved += len;
            let again = self.pieces.get(&(file, piece)).is_some_and(|out| out.tries > 0);
            self.counts.again += if again { len } else { 0 };
        }
        if self.state == State::Sending {
            // What has left makes room to ask for more.
            self.ask_pieces(cx);
        }
        Ok(())
    }

    /// Tells the receiver of files of which everything was supplied.
    pub(super) fn end_file(&mut self, file: u32) {
        if let Some(out) = self.files.get_mut(&file)
            && let Some((size, root)) = out.is_supplied()
            && out.step(FileInput::Supplied)
        {
            self.line.say(&Message::FileEnd { file, size, root });
        }
    }

    fn ask_entries(&mut self, cx: &mut Cx<'_>) {
        let used = self.files.len() + self.entries_asked;
        let room = limits::MAX_OPEN_ENTRIES.saturating_sub(used);
        let idle = self.entries_asked == 0 && !self.no_more_entries;
        // Not for the last few places: a page for each file that ends would be many pages.
        let worth = room >= BATCH || self.files.is_empty();
        if idle && worth && room > 0 && self.line.queued() < limits::MAX_FILE_QUEUED {
            self.entries_asked = room.min(BATCH);
            tell(cx, self.line.id, Event::WantedEntries { most: self.entries_asked });
        }
    }

    /// Asks for pieces while the receiver and the tuner have room for them, but not for more
    /// than the streams soon need.
    pub(super) fn ask_pieces(&mut self, cx: &mut Cx<'_>) {
        if self.state != State::Sending {
            return;
        }
        let most_ahead = (self.tuner.lanes() as u64 + 1) * u64::from(limits::DEFAULT_PIECE);
        loop {
            if cx.events.len() >= limits::MAX_EVENTS_QUEUED {
                self.line.more = true;
                return;
            }
            // What was wrong has its room already.
            if self.ask_again(cx) {
                continue;
            }
            if self.pieces.len() >= limits::MAX_OPEN_PIECES {
                return;
            }
            if self.outstanding >= self.tuner.window() {
                self.tuner.full();
                return;
            }
            if self.ahead >= most_ahead || !self.ask_one(cx) {
                return;
            }
        }
    }

    /// Asks for a piece that the receiver found wrong. False: there is none.
    fn ask_again(&mut self, cx: &mut Cx<'_>) -> bool {
        let Some((file, piece)) = self.retries.pop_front() else { return false };
        let entry = self.files.get(&file).map(|out| &out.entry);
        if let Some((offset, len)) = entry.and_then(|entry| entry.span(piece)) {
            tell(cx, self.line.id, Event::Wanted { file, piece, offset, len });
        }
        true
    }

    /// Asks for one piece. False: there is none to ask for.
    fn ask_one(&mut self, cx: &mut Cx<'_>) -> bool {
        while let Some(file) = self.order.front().copied() {
            let Some(out) = self.files.get_mut(&file) else {
                self.order.pop_front();
                continue;
            };
            let Some((piece, len)) = out.next_piece() else {
                // It comes back when there is more of it.
                self.order.pop_front();
                continue;
            };
            let offset = piece * u64::from(out.entry.piece);
            let asked = PieceOut { state: PieceState::Asked, len, hash: None, tries: 0 };
            self.pieces.insert((file, piece), asked);
            self.outstanding += u64::from(len);
            self.ahead += u64::from(len);
            self.asked += 1;
            tell(cx, self.line.id, Event::Wanted { file, piece, offset, len });
            return true;
        }
        false
    }

    /// What keeps it from being faster just now.
    fn cause(&self) -> Option<LimitedBy> {
        match self.state {
            State::Idle | State::Closed => return None,
            State::Requested | State::Offered | State::Finishing => return Some(LimitedBy::Peer),
            State::Paused => return Some(LimitedBy::Paused),
            State::Sending => {}
        }
        let busy_sink = self.backlog > 0 && self.backlog * 2 >= self.outstanding;
        Some(if self.lanes.is_limited() {
            LimitedBy::Limit
        } else if self.lanes.are_blocked() {
            if busy_sink { LimitedBy::FlowControl } else { LimitedBy::Network }
        } else if self.asked > 0 || self.entries_asked > 0 && self.files.is_empty() {
            LimitedBy::Source
        } else if self.outstanding > 0 {
            if busy_sink { LimitedBy::Sink } else { LimitedBy::Network }
        } else if self.files.values().any(|out| !out.haves.is_empty()) {
            LimitedBy::Source
        } else {
            LimitedBy::Peer
        })
    }
}
