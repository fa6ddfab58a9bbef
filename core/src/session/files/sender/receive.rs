//! What the receiver says.

use super::{
    Code, Cx, End, Event, FileInput, Hash, Input, Kind, Message, Party, PieceInput, Sender,
    Settled, State, Violation, limits, tell,
};
use crate::session::files::message::Verdict;

impl Sender {
    pub(crate) fn on_word(&mut self, cx: &mut Cx<'_>, message: Message) -> Result<(), Violation> {
        let out_of_place = Violation::FileOrder(message.kind());
        match message {
            Message::Accept { window } => {
                if self.state != State::Offered {
                    return Err(out_of_place);
                }
                self.apply(Input::Accept);
                self.begin(cx, window);
                tell(cx, self.line.id, Event::Accepted);
            }
            Message::Cancel { code, reason } => {
                self.on_cancel(cx, code, reason);
            }
            Message::Pause { reason } => {
                if !std::mem::replace(&mut self.hold.there, true) {
                    tell(cx, self.line.id, Event::Paused { reason });
                }
                self.hold_or_go(cx);
            }
            Message::Resume => {
                if std::mem::replace(&mut self.hold.there, false) {
                    tell(cx, self.line.id, Event::Resumed);
                }
                self.hold_or_go(cx);
            }
            Message::Limit { rate } => {
                self.limits[1] = (rate > 0).then_some(rate);
                self.limit(cx);
            }
            Message::Window { window } => self.tuner.allow(window.min(limits::MAX_FILE_WINDOW)),
            Message::Got { digest } => return self.on_got(cx, digest),
            Message::Answer { .. }
            | Message::Stored { .. }
            | Message::Again { .. }
            | Message::FileDone { .. }
            | Message::FileFailed { .. }
                if self.is_going() =>
            {
                return self.on_file_message(cx, message);
            }
            Message::Offer { .. }
            | Message::Request { .. }
            | Message::Entries { .. }
            | Message::Checked { .. }
            | Message::FileEnd { .. }
            | Message::Done { .. }
            | Message::Query(_)
            | Message::Reply(_)
            | Message::Answer { .. }
            | Message::Stored { .. }
            | Message::Again { .. }
            | Message::FileDone { .. }
            | Message::FileFailed { .. } => return Err(out_of_place),
        }
        Ok(())
    }

    fn on_file_message(&mut self, cx: &mut Cx<'_>, message: Message) -> Result<(), Violation> {
        match message {
            Message::Answer { file, verdict } => self.on_answer(cx, file, verdict),
            Message::Stored { backlog, ranges } => {
                self.backlog = backlog;
                ranges.into_iter().try_for_each(|range| self.on_stored(cx, range))
            }
            Message::Again { file, piece } => self.on_again(cx, file, piece),
            Message::FileDone { ranges } => {
                for (first, count) in ranges {
                    let end = first.checked_add(count).filter(|end| *end <= self.next_file);
                    let end = end.ok_or(Violation::FileRange)?;
                    for file in first..end {
                        self.on_done(cx, file)?;
                    }
                }
                Ok(())
            }
            Message::FileFailed { file, code, reason } => {
                if file >= self.next_file {
                    return Err(Violation::FileRange);
                }
                let Some(out) = self.files.get_mut(&file) else {
                    return Err(Violation::FileRange);
                };
                let known = out.given_up;
                out.step(FileInput::PeerFail);
                self.settle(file, Settled::Failed);
                if !known {
                    let failed = Event::Failed { file, code, reason, by_peer: true };
                    tell(cx, self.line.id, failed);
                }
                Ok(())
            }
            _ => Err(Violation::FileOrder(message.kind())),
        }
    }

    fn on_answer(&mut self, cx: &mut Cx<'_>, file: u32, verdict: Verdict) -> Result<(), Violation> {
        if file >= self.next_file {
            return Err(Violation::FileRange);
        }
        let out = self.files.get_mut(&file).ok_or(Violation::FileRange)?;
        let known = out.given_up;
        match verdict {
            Verdict::Skip => {
                if !out.step(FileInput::Skip) {
                    return Err(Violation::FileRange);
                }
                self.settle(file, Settled::Skipped);
                if !known {
                    tell(cx, self.line.id, Event::Skipped { file });
                }
            }
            Verdict::Take(haves) => {
                if !out.take(haves) {
                    return Err(Violation::FileRange);
                }
                if out.entry.kind == Kind::Folder {
                    self.settle(file, Settled::Folder);
                    if !known {
                        tell(cx, self.line.id, Event::Done { file, root: None });
                    }
                    return Ok(());
                }
                if known {
                    return Ok(()); // Its refusal is on the way.
                }
                if let Some((first, count)) = out.check() {
                    tell(cx, self.line.id, Event::Check { file, first, count });
                }
                self.order.push_back(file);
                self.end_file(file);
            }
        }
        Ok(())
    }

    /// Whether the pieces of a file still count: it may have been given up here, or there, before
    /// what was said about its pieces.
    fn is_open(&self, file: u32) -> Result<bool, Violation> {
        if file >= self.next_file {
            return Err(Violation::FileRange);
        }
        Ok(self.files.get(&file).is_some_and(|out| !out.given_up))
    }

    /// Only what was sent can be acknowledged.
    fn on_stored(
        &mut self,
        cx: &mut Cx<'_>,
        (file, first, count): (u32, u64, u64),
    ) -> Result<(), Violation> {
        if !self.is_open(file)? {
            return Ok(());
        }
        let end = first.checked_add(count).ok_or(Violation::FileRange)?;
        let found = self.pieces.range((file, first)..(file, end)).count() as u64;
        if found != count {
            return Err(Violation::FileRange);
        }
        for piece in first..end {
            let len = self.step_piece(file, piece, PieceInput::Store);
            let len = len.ok_or(Violation::FileRange)?;
            self.counts.stored(len);
            self.tuner.acked(cx.now, u64::from(len));
        }
        Ok(())
    }

    fn on_again(&mut self, cx: &mut Cx<'_>, file: u32, piece: u64) -> Result<(), Violation> {
        if !self.is_open(file)? {
            return Ok(());
        }
        self.step_piece(file, piece, PieceInput::Again).ok_or(Violation::FileRange)?;
        let tries = self.pieces.get_mut(&(file, piece)).map_or(0, |out| {
            out.tries += 1;
            out.tries
        });
        if tries >= limits::MAX_PIECE_TRIES {
            self.fail_here(cx, file, Code::Integrity, "a piece arrives wrong again and again");
        } else {
            self.retries.push_back((file, piece));
        }
        Ok(())
    }

    fn on_done(&mut self, cx: &mut Cx<'_>, file: u32) -> Result<(), Violation> {
        let out = self.files.get_mut(&file).ok_or(Violation::FileRange)?;
        let root: Hash = out.root.finish(out.entry.size.unwrap_or(0));
        let known = out.given_up;
        let waits = self.pieces.range((file, 0)..=(file, u64::MAX)).next().is_some();
        if waits || !out.step(FileInput::Done) {
            return Err(Violation::FileRange);
        }
        self.settle(file, Settled::Done(root));
        if !known {
            tell(cx, self.line.id, Event::Done { file, root: Some(root) });
        }
        Ok(())
    }

    fn on_got(&mut self, cx: &mut Cx<'_>, digest: Hash) -> Result<(), Violation> {
        if self.state != State::Finishing {
            return Err(Violation::FileOrder(crate::session::files::message::kind::GOT));
        }
        if digest != self.tally.finish() {
            return Err(Violation::FileDigest);
        }
        self.line.finish();
        self.close(cx, End::Complete);
        Ok(())
    }

    /// It can begin, with what the receiver allows.
    pub(super) fn begin(&mut self, cx: &mut Cx<'_>, window: u64) {
        self.tuner.allow(window.min(limits::MAX_FILE_WINDOW));
        self.tuner.restart(cx.now);
        self.hold_or_go(cx);
    }

    /// Pauses and resumes of both sides come to one state.
    pub(super) fn hold_or_go(&mut self, cx: &mut Cx<'_>) {
        self.apply(if self.hold.is_on() { Input::Pause } else { Input::Resume });
        self.tuner.restart(cx.now);
    }

    /// The lower one of both limits counts.
    pub(super) fn limit(&mut self, cx: &mut Cx<'_>) {
        let lowest = self.limits.iter().flatten().min().copied();
        self.bucket.set(cx.now, lowest);
    }
}
