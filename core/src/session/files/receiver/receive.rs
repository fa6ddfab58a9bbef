//! What the sender says, and what it sends.

use super::file::Whole;
use super::lanes::{Got, Phase};
use super::{
    Code, Cx, Event, FileIn, FileInput, Hash, Head, Input, Message, Party, PieceIn, PieceInput,
    PieceState, Receiver, Settled, State, StreamId, Violation, limits, tell,
};
use crate::session::files::message::entries::Parsed;
use crate::session::files::name::{self, Names};
use crate::session::files::types::Offer;

/// Reads of bytes that nobody wants, in one call.
const DISCARDS: usize = 16;

impl Receiver {
    pub(crate) fn on_word(&mut self, cx: &mut Cx<'_>, message: Message) -> Result<(), Violation> {
        let out_of_place = Violation::FileOrder(message.kind());
        match message {
            Message::Offer { token, entries, bytes, label, target, existing } => {
                let offer = Offer { token, entries, bytes, label, target, existing, rank: 0 };
                return self.on_offer(cx, offer);
            }
            Message::Cancel { code, reason } => {
                self.on_cancel(cx, code, reason);
            }
            Message::Pause { reason } => {
                if !std::mem::replace(&mut self.hold.there, true) {
                    tell(cx, self.line.id, Event::Paused { reason });
                }
                self.hold_or_go();
            }
            Message::Resume => {
                if std::mem::replace(&mut self.hold.there, false) {
                    tell(cx, self.line.id, Event::Resumed);
                }
                self.hold_or_go();
            }
            Message::Entries { first, last, entries } if self.is_going() => {
                return self.on_entries(cx, first, last, entries);
            }
            Message::Checked { file, have, same } if self.is_going() => {
                return self.on_checked(cx, file, have, same);
            }
            Message::FileEnd { file, size, root } if file < self.next_file => {
                if let Some(own) = self.files.get_mut(&file) {
                    own.end(size, root)?;
                    self.look_whole(cx, file);
                }
            }
            Message::FileFailed { file, code, reason } if file < self.next_file => {
                self.on_failed(cx, file, code, reason);
            }
            Message::Done { entries, digest } => return self.on_done(cx, entries, digest),
            Message::Request { .. }
            | Message::Accept { .. }
            | Message::Entries { .. }
            | Message::Answer { .. }
            | Message::Checked { .. }
            | Message::Stored { .. }
            | Message::Again { .. }
            | Message::FileEnd { .. }
            | Message::FileDone { .. }
            | Message::FileFailed { .. }
            | Message::Limit { .. }
            | Message::Window { .. }
            | Message::Got { .. }
            | Message::Query(_)
            | Message::Reply(_) => return Err(out_of_place),
        }
        Ok(())
    }

    /// The sender has given a file up. That is said again, so that the sender knows that nothing
    /// else was said before.
    fn on_failed(&mut self, cx: &mut Cx<'_>, file: u32, code: Code, reason: String) {
        if let Some(own) = self.files.get_mut(&file) {
            own.step(FileInput::Fail);
            self.line.say(&Message::FileFailed { file, code, reason: String::new() });
            self.settle(file, Settled::Failed);
            tell(cx, self.line.id, Event::Failed { file, code, reason, by_peer: true });
        }
    }

    fn on_offer(&mut self, cx: &mut Cx<'_>, offer: Offer) -> Result<(), Violation> {
        if self.state != State::Waiting {
            return Err(Violation::FileOrder(crate::session::files::message::kind::OFFER));
        }
        if self.asked {
            if offer.token != self.token {
                return Err(Violation::FileToken);
            }
            self.apply(Input::Grant);
            self.hold_or_go();
        } else {
            self.token = offer.token;
            self.apply(Input::Offer);
        }
        tell(cx, self.line.id, Event::Offered(offer));
        Ok(())
    }

    fn on_entries(
        &mut self,
        cx: &mut Cx<'_>,
        first: u32,
        last: bool,
        entries: Vec<Parsed>,
    ) -> Result<(), Violation> {
        let open = self.files.len() + entries.len();
        if self.all_announced || first != self.next_file || entries.is_empty() && !last {
            return Err(Violation::FileRange);
        }
        if open > limits::MAX_OPEN_ENTRIES || first as usize + entries.len() > limits::MAX_ENTRIES {
            return Err(Violation::FileLimit("entries"));
        }
        self.all_announced = last;
        let mut usable = Vec::new();
        for parsed in entries {
            let file = self.next_file;
            self.next_file += 1;
            let (mut entry, checked) = match parsed {
                Parsed::Known(entry) => {
                    let checked = self.check_name(&entry.name);
                    (entry, Ok(checked))
                }
                Parsed::Unknown(name) => (crate::files::Entry::file(&name, None), Err(())),
            };
            let (why, code) = match checked {
                Ok(Ok(name)) => {
                    entry.name = name;
                    self.files.insert(file, FileIn::new(entry.clone()));
                    usable.push((file, entry));
                    continue;
                }
                Ok(Err(bad)) => (Some(bad), Code::BadName),
                Err(()) => (None, Code::Unsupported),
            };
            self.files.insert(file, FileIn::new(entry.clone()));
            let reason = why.as_ref().map_or_else(String::new, ToString::to_string);
            self.fail_here(cx, file, code, &reason, true);
            let name = name::make_safe(&entry.name);
            tell(cx, self.line.id, Event::Unusable { file, name, why });
        }
        if !usable.is_empty() {
            tell(cx, self.line.id, Event::Entries { entries: usable });
        }
        Ok(())
    }

    fn check_name(&self, name: &str) -> Result<String, name::BadName> {
        match self.accept.names {
            Names::Portable => name::check_portable(name)?,
            Names::Native => name::check_native(name)?,
            Names::MakeSafe => return Ok(name::make_safe(name)),
        }
        Ok(name.to_owned())
    }

    fn on_checked(
        &mut self,
        cx: &mut Cx<'_>,
        file: u32,
        have: u64,
        same: bool,
    ) -> Result<(), Violation> {
        if file >= self.next_file {
            return Err(Violation::FileRange);
        }
        // It may have been given up here meanwhile.
        let Some(own) = self.files.get_mut(&file) else { return Ok(()) };
        let before = own.bytes();
        let stale = own.checked(have, same)?;
        self.counts.kept += own.bytes() - before;
        if let Some((first, count)) = stale {
            tell(cx, self.line.id, Event::Stale { file, first, count });
        }
        self.look_whole(cx, file);
        Ok(())
    }

    fn on_done(&mut self, cx: &mut Cx<'_>, entries: u32, digest: Hash) -> Result<(), Violation> {
        if !self.is_going() {
            return Err(Violation::FileOrder(crate::session::files::message::kind::DONE));
        }
        let all = self.all_announced && entries == self.next_file && self.files.is_empty();
        if !all || digest != self.tally.finish() {
            return Err(Violation::FileDigest);
        }
        self.apply(Input::Done);
        tell(cx, self.line.id, Event::Finishing);
        Ok(())
    }

    /// Whether a file is complete by now.
    pub(super) fn look_whole(&mut self, cx: &mut Cx<'_>, file: u32) {
        let Some(own) = self.files.get_mut(&file) else { return };
        match own.is_whole() {
            Whole::NotYet => {}
            Whole::Right(size, root) => {
                own.step(FileInput::Complete);
                tell(cx, self.line.id, Event::Complete { file, size, root });
            }
            Whole::Wrong => {
                let reason = "the file is not what its sender says it is";
                self.fail_here(cx, file, Code::Integrity, reason, false);
            }
        }
    }

    /// Pauses and resumes of both sides come to one state.
    pub(super) fn hold_or_go(&mut self) {
        self.apply(if self.hold.is_on() { Input::Pause } else { Input::Resume });
    }
}

/// Data streams.
impl Receiver {
    /// A data stream of this transfer, of which the prefix was read.
    pub(crate) fn adopt(&mut self, cx: &mut Cx<'_>, stream: StreamId) {
        if !self.is_going() || !self.lanes.open(cx.now, stream) {
            let code = if self.is_going() { Code::Limit } else { Code::Cancelled };
            cx.transport.stop(stream, code);
            cx.streams.push(crate::session::Claim::Free(stream));
            return;
        }
        self.on_data(cx, stream);
        self.pump(cx);
    }

    /// Streams that were left for others to have a turn.
    pub(super) fn look_again(&mut self, cx: &mut Cx<'_>) {
        if cx.events.len() < limits::MAX_EVENTS_QUEUED
            && let Some(stream) = self.lanes.take_more()
        {
            self.on_data(cx, stream);
            self.line.more = true;
        }
    }

    /// Something has come on a data stream.
    pub(super) fn on_data(&mut self, cx: &mut Cx<'_>, stream: StreamId) {
        if let Err(rule) = self.read_data(cx, stream) {
            self.violation(cx, rule);
        }
    }

    /// Reads up to bytes that the application has to pull.
    fn read_data(&mut self, cx: &mut Cx<'_>, stream: StreamId) -> Result<(), Violation> {
        for _ in 0..DISCARDS {
            let Some(lane) = self.lanes.by_stream(stream) else { return Ok(()) };
            if let Phase::Payload { .. } = lane.phase {
                if !std::mem::replace(&mut lane.told, true) {
                    let channel = lane.ledger.channel;
                    tell(cx, self.line.id, Event::Readable { channel });
                }
                return Ok(());
            }
            if !self.pass(cx, stream)? {
                return Ok(());
            }
        }
        if let Some(lane) = self.lanes.by_stream(stream) {
            lane.more = true;
            self.line.more = true;
        }
        Ok(())
    }

    /// Reads what is not for the application: a head, or bytes that nobody wants. False: nothing
    /// is there, or the stream is over.
    pub(super) fn pass(&mut self, cx: &mut Cx<'_>, stream: StreamId) -> Result<bool, Violation> {
        let Some(lane) = self.lanes.by_stream(stream) else { return Ok(false) };
        let got = match lane.phase {
            Phase::Head => lane.read_head(cx)?,
            Phase::Discard { left } => {
                let mut scratch = [0; 16 << 10];
                let got = lane.read_bytes(cx, &mut scratch, left)?;
                if let Got::Bytes(len) = got {
                    let left = left - u32::try_from(len).unwrap_or(left);
                    lane.phase = if left == 0 { Phase::Head } else { Phase::Discard { left } };
                }
                got
            }
            Phase::Payload { .. } => return Ok(true),
        };
        match got {
            Got::Head(head) => self.begin_piece(cx, stream, &head)?,
            Got::Bytes(_) => {}
            Got::Blocked => return Ok(false),
            Got::Finished => {
                self.lanes.forget(cx, stream);
                return Ok(false);
            }
            Got::Reset => {
                self.lose(cx, stream);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The head of a piece has come.
    fn begin_piece(
        &mut self,
        cx: &mut Cx<'_>,
        stream: StreamId,
        head: &Head,
    ) -> Result<(), Violation> {
        let Head { file, piece, len, hash } = *head;
        if !self.is_going() || file >= self.next_file {
            return Err(Violation::FileRange);
        }
        if len > limits::MAX_PIECE {
            return Err(Violation::FileLimit("bytes of a piece"));
        }
        let again = self.files.get(&file).is_some_and(|own| own.was_wrong(piece));
        let phase = match self.files.get_mut(&file) {
            // Given up, here or there, before the sender could know.
            None => Phase::Discard { left: len },
            Some(own) => {
                if self.pieces.contains_key(&(file, piece)) {
                    return Err(Violation::FileRange);
                }
                if let Some((first, count)) = own.expect(head)? {
                    tell(cx, self.line.id, Event::Stale { file, first, count });
                }
                let offset = piece * u64::from(own.entry.piece);
                self.backlog += u64::from(len);
                self.pieces
                    .insert((file, piece), PieceIn { state: PieceState::Arriving, len, hash });
                Phase::Payload { file, piece, offset, left: len }
            }
        };
        if self.pieces.len() + self.untold > limits::MAX_OPEN_PIECES
            || self.backlog > limits::MAX_FILE_WINDOW + u64::from(limits::MAX_PIECE)
        {
            return Err(Violation::FileLimit("pieces that are not stored"));
        }
        self.counts.moved += u64::from(len);
        self.counts.again += if again { u64::from(len) } else { 0 };
        if let Some(lane) = self.lanes.by_stream(stream) {
            lane.phase = if len == 0 { Phase::Head } else { phase };
        }
        Ok(())
    }

    /// A data stream was reset: what was on its way on it is lost. The sender says why.
    pub(super) fn lose(&mut self, cx: &mut Cx<'_>, stream: StreamId) {
        if let Some(lane) = self.lanes.by_stream(stream)
            && let Phase::Payload { file, piece, .. } = lane.phase
        {
            self.step_piece(file, piece, PieceInput::Drop);
        }
        self.lanes.forget(cx, stream);
    }
}
