//! What the application can tell a receiver.

use super::lanes::{Got, Phase};
use super::{
    Accept, Code, Cx, Event, FileInput, FileState, Hash, Input, Message, Party, PieceInput,
    Receiver, Settled, State, limits, tell,
};
use crate::error::Misuse;
use crate::session::files::hash::Digest;
use crate::session::files::message::{Verdict, queries};
use crate::session::files::types::{Channel, Have, Kind, Request};
use crate::session::files::{Pulled, party, shorten};

impl Receiver {
    /// Asks for files. The offer that comes is accepted with this.
    pub(crate) fn request(&mut self, request: &Request) {
        self.asked = true;
        self.line.say(&Message::Request {
            token: request.token,
            window: request.accept.window,
            names: request.names.clone(),
        });
    }

    /// Accepts the offer.
    pub(crate) fn accept(&mut self, accept: Accept) -> Result<(), Misuse> {
        self.legal("accepting", Input::Accept)?;
        check_accept(&accept)?;
        self.accept = accept;
        self.line.say(&Message::Accept { window: accept.window });
        self.apply(Input::Accept);
        self.hold_or_go();
        self.line.more = true;
        Ok(())
    }

    /// Wants an entry, but for what it has.
    pub(crate) fn take(&mut self, file: u32, haves: Vec<Have>) -> Result<(), Misuse> {
        let own = self.files.get_mut(&file).ok_or(Misuse::Gone)?;
        if own.state != FileState::Announced {
            return Err(Misuse::WrongState { command: "taking a file", state: "taken" });
        }
        if !own.can_have(&haves) {
            return Err(Misuse::Config("pieces that such a file has not"));
        }
        let digest = |have: &Have| {
            let mut digest = Digest::new(have.first, have.hashes.len() as u64);
            have.hashes.iter().for_each(|hash| digest.put(hash));
            (have.first, have.hashes.len() as u64, digest.finish())
        };
        let verdict = Verdict::Take(haves.iter().map(digest).collect());
        self.line.say(&Message::Answer { file, verdict });
        if own.entry.kind == Kind::Folder {
            own.step(FileInput::TakeFolder);
            self.settle(file, Settled::Folder);
        } else {
            own.step(FileInput::Take);
            own.take(haves);
        }
        self.line.more = true;
        Ok(())
    }

    /// Does not want an entry.
    pub(crate) fn skip(&mut self, file: u32) -> Result<(), Misuse> {
        let own = self.files.get_mut(&file).ok_or(Misuse::Gone)?;
        if !own.step(FileInput::Skip) {
            return Err(Misuse::WrongState { command: "skipping a file", state: "taken" });
        }
        self.line.say(&Message::Answer { file, verdict: Verdict::Skip });
        self.settle(file, Settled::Skipped);
        self.line.more = true;
        Ok(())
    }

    /// Takes bytes of a piece into `buf`.
    pub(crate) fn pull(&mut self, cx: &mut Cx<'_>, channel: Channel, buf: &mut [u8]) -> Pulled {
        match self.try_pull(cx, channel, buf) {
            Ok(pulled) => pulled,
            Err(rule) => {
                self.violation(cx, rule);
                Pulled::Blocked
            }
        }
    }

    fn try_pull(
        &mut self,
        cx: &mut Cx<'_>,
        channel: Channel,
        buf: &mut [u8],
    ) -> Result<Pulled, crate::error::Violation> {
        while !buf.is_empty()
            && let Some(lane) = self.lanes.by_channel(channel)
        {
            let stream = lane.ledger.stream;
            let Phase::Payload { file, piece, offset, left } = lane.phase else {
                if self.pass(cx, stream)? {
                    continue;
                }
                break;
            };
            let len = match lane.read_bytes(cx, buf, left)? {
                Got::Bytes(len) => len,
                Got::Reset => {
                    self.lose(cx, stream);
                    break;
                }
                Got::Head(_) | Got::Blocked | Got::Finished => break,
            };
            let left = left - u32::try_from(len).unwrap_or(left);
            let last = left == 0;
            let next = offset + len as u64;
            lane.phase =
                if last { Phase::Head } else { Phase::Payload { file, piece, offset: next, left } };
            if last {
                self.step_piece(file, piece, PieceInput::Pull);
            }
            return Ok(Pulled::Bytes { file, piece, offset, len, last });
        }
        if let Some(lane) = self.lanes.by_channel(channel) {
            lane.told = false;
        }
        self.line.more = true;
        Ok(Pulled::Blocked)
    }

    /// A piece is stored, and this is the hash of what was stored.
    pub(crate) fn stored(
        &mut self,
        cx: &mut Cx<'_>,
        file: u32,
        piece: u64,
        hash: Hash,
    ) -> Result<(), Misuse> {
        let own = self.files.get_mut(&file).ok_or(Misuse::Gone)?;
        let announced = self.pieces.get(&(file, piece)).map(|known| known.hash);
        let not_wanted = Misuse::NotWanted { wanted: 0, supplied: piece };
        let announced = announced.ok_or(not_wanted)?;
        let right = announced == hash;
        if right {
            let len = self.step_piece(file, piece, PieceInput::Store).ok_or(not_wanted)?;
            let own = self.files.get_mut(&file).ok_or(Misuse::Gone)?;
            own.stored(piece, len, hash);
            self.counts.stored(len);
            self.stored.entry(file).or_default().insert(piece..piece + 1);
            self.untold += 1;
            self.look_whole(cx, file);
        } else {
            let goes_on = own.wrong(piece);
            self.step_piece(file, piece, PieceInput::Wrong).ok_or(not_wanted)?;
            tell(cx, self.line.id, Event::Wrong { file, piece });
            if goes_on {
                self.line.say(&Message::Again { file, piece });
            } else {
                let reason = "a piece arrives wrong again and again";
                self.fail_here(cx, file, Code::Integrity, reason, false);
            }
        }
        self.line.more = true;
        Ok(())
    }

    /// A complete file is in its place.
    pub(crate) fn committed(&mut self, file: u32) -> Result<(), Misuse> {
        let own = self.files.get_mut(&file).ok_or(Misuse::Gone)?;
        let root = own.root();
        if !own.step(FileInput::Commit) {
            return Err(Misuse::WrongState { command: "committing a file", state: "incomplete" });
        }
        self.settle(file, Settled::Done(root));
        self.completed.insert(u64::from(file)..u64::from(file) + 1);
        self.line.more = true;
        Ok(())
    }

    /// Everything is durable.
    pub(crate) fn finish(&mut self) -> Result<(), Misuse> {
        self.legal("finishing", Input::Finish)?;
        self.apply(Input::Finish);
        self.line.say(&Message::Got { digest: self.tally.finish() });
        self.line.finish();
        self.line.more = true;
        Ok(())
    }

    /// Gives up one file; the others go on.
    pub(crate) fn fail(
        &mut self,
        cx: &mut Cx<'_>,
        file: u32,
        code: Code,
        reason: &str,
    ) -> Result<(), Misuse> {
        if !self.files.contains_key(&file) {
            return Err(Misuse::Gone);
        }
        self.fail_here(cx, file, code, reason, false);
        self.line.more = true;
        Ok(())
    }

    /// Has the sender start no piece until it is resumed.
    pub(crate) fn pause(&mut self, reason: &str) -> Result<(), Misuse> {
        self.legal("pausing", Input::Pause)?;
        if !std::mem::replace(&mut self.hold.here, true) {
            self.line.say(&Message::Pause { reason: shorten(reason) });
        }
        self.hold_or_go();
        self.line.more = true;
        Ok(())
    }

    /// Has the sender go on.
    pub(crate) fn resume(&mut self) -> Result<(), Misuse> {
        self.legal("resuming", Input::Resume)?;
        if std::mem::replace(&mut self.hold.here, false) {
            self.line.say(&Message::Resume);
        }
        self.hold_or_go();
        self.line.more = true;
        Ok(())
    }

    /// Cancels the transfer, or refuses the offer.
    pub(crate) fn cancel(
        &mut self,
        cx: &mut Cx<'_>,
        code: Code,
        reason: &str,
    ) -> Result<(), Misuse> {
        self.legal("cancelling", Input::Cancel)?;
        self.cancel_now(cx, code, reason);
        Ok(())
    }

    /// Has the sender send at most so many bytes for each second.
    pub(crate) fn set_limit(&mut self, rate: Option<u64>) {
        if !matches!(self.state, State::Closing | State::Closed) {
            let rate = rate.unwrap_or(0).min(crate::wire::varint::MAX);
            self.line.say(&Message::Limit { rate });
            self.line.more = true;
        }
    }

    /// Has the sender have so much on its way.
    pub(crate) fn set_window(&mut self, window: u64) -> Result<(), Misuse> {
        check_accept(&Accept { window, ..self.accept })?;
        self.accept.window = window;
        if self.is_going() {
            self.line.say(&Message::Window { window });
            self.line.more = true;
        }
        Ok(())
    }

    fn legal(&self, command: &'static str, input: Input) -> Result<(), Misuse> {
        party::legal(self.state, input, command, self.state.name())
    }
}

/// Whether what a receiver allows is within the limits.
pub(crate) fn check_accept(accept: &Accept) -> Result<(), Misuse> {
    if !(limits::MIN_FILE_WINDOW..=limits::MAX_FILE_WINDOW).contains(&accept.window) {
        return Err(Misuse::Config("a window outside of its limits"));
    }
    Ok(())
}

/// Whether a request keeps to the limits.
pub(crate) fn check_request(request: &Request) -> Result<(), Misuse> {
    check_accept(&request.accept)?;
    if !queries::fit_one_message(&request.names) {
        return Err(Misuse::Config("no names, or too many to ask for at once"));
    }
    Ok(())
}
