//! What a sender and a receiver have in common: how they hear, and how they end.

use std::collections::VecDeque;

use super::hash::Settled;
use super::line::{Item, Line, MESSAGES_PER_CALL};
use super::message::Message;
use super::types::{Channel, ChannelStats, End, Stats};
use crate::code::Code;
use crate::error::{Misuse, Violation};
use crate::id::StreamId;
use crate::machine::{Machine, Step};
use crate::session::Cx;
use crate::time::Instant;

/// Streams that are over, of which the numbers are kept.
const KEPT: usize = 32;

/// A sender or a receiver.
pub(super) trait Party {
    /// Its end of the control stream.
    fn line(&mut self) -> &mut Line;

    /// The peer has said this.
    fn on_message(&mut self, cx: &mut Cx<'_>, message: Message) -> Result<(), Violation>;

    /// Ends the transfer for the application, once, and lets go of the data streams.
    fn close(&mut self, cx: &mut Cx<'_>, how: End);

    /// The peer has ended its half.
    fn on_fin(&mut self, cx: &mut Cx<'_>) {
        self.violation(cx, Violation::FileTruncated);
    }

    /// Listens to what the peer says, as long as there is room for the answers.
    fn hear(&mut self, cx: &mut Cx<'_>) {
        self.line().more = false;
        for turn in 0.. {
            if turn == MESSAGES_PER_CALL || !self.line().has_room(cx) {
                self.line().more = true;
                break;
            }
            match self.line().next(cx) {
                Item::Message(message) => {
                    if let Err(rule) = self.on_message(cx, message) {
                        self.violation(cx, rule);
                    }
                }
                Item::Skipped => {}
                Item::Blocked => break,
                Item::Finished => self.on_fin(cx),
                Item::Ended(code) => self.on_reset(cx, code),
                Item::Broken(rule) => self.violation(cx, rule),
            }
            if self.line().has_ended() {
                break;
            }
        }
    }

    /// The peer broke a rule.
    fn violation(&mut self, cx: &mut Cx<'_>, rule: Violation) {
        log::info!("{}: ended, the peer broke a rule: {rule}", self.line().id);
        self.line().cut(cx, rule.code());
        self.close(cx, End::Violation(rule));
    }

    /// The peer has reset a stream, or wants no more of one.
    fn on_reset(&mut self, cx: &mut Cx<'_>, code: Code) {
        self.line().cut(cx, Code::Cancelled);
        self.close(cx, End::Peer(code, String::new()));
    }

    /// The peer cancels, or refuses.
    fn on_cancel(&mut self, cx: &mut Cx<'_>, code: Code, reason: String) {
        self.line().finish();
        self.close(cx, End::Peer(code, reason));
    }

    /// Cancels, or refuses.
    fn cancel_now(&mut self, cx: &mut Cx<'_>, code: Code, reason: &str) {
        let reason = super::shorten(reason);
        self.line().say(&Message::Cancel { code, reason });
        self.line().finish();
        self.close(cx, End::Local(code));
    }
}

/// Takes an input of a state machine. False: not legal.
pub(super) fn advance<M: Machine>(state: &mut M, input: M::Input) -> bool {
    match state.next(input) {
        Step::Go(to) => {
            *state = to;
            true
        }
        Step::Stay => true,
        Step::Illegal => false,
    }
}

/// Whether a command means anything in a state.
///
/// # Errors
/// [`Misuse::WrongState`].
pub(super) fn legal<M: Machine>(
    state: M,
    input: M::Input,
    command: &'static str,
    name: &'static str,
) -> Result<(), Misuse> {
    match state.next(input) {
        Step::Go(_) | Step::Stay => Ok(()),
        Step::Illegal => Err(Misuse::WrongState { command, state: name }),
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) done: u64,
    pub(super) skipped: u64,
    pub(super) failed: u64,
    pub(super) acked: u64,
    pub(super) kept: u64,
    pub(super) moved: u64,
    pub(super) again: u64,
    pub(super) pieces: u64,
}

impl Counts {
    /// An entry is dealt with.
    pub(super) fn settle(&mut self, how: Settled) {
        match how {
            Settled::Done(_) | Settled::Folder => self.done += 1,
            Settled::Skipped => self.skipped += 1,
            Settled::Failed => self.failed += 1,
        }
    }

    /// A piece is stored.
    pub(super) fn stored(&mut self, len: u32) {
        self.acked += u64::from(len);
        self.pieces += 1;
    }

    /// As the application sees it, without what is counted elsewhere.
    pub(super) fn stats(self) -> Stats {
        let Self { done, skipped, failed, acked, kept, moved, again, pieces } = self;
        Stats { done, skipped, failed, acked, kept, moved, again, pieces, ..Stats::default() }
    }
}

/// What is counted of one data stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ledger {
    pub(super) stream: StreamId,
    pub(super) channel: Channel,
    opened: Instant,
    pub(super) bytes: u64,
    pub(super) pieces: u64,
    pub(super) operations: u64,
}

impl Ledger {
    /// Of a stream that is open from now on.
    pub(super) const fn new(now: Instant, stream: StreamId, channel: Channel) -> Self {
        Self { stream, channel, opened: now, bytes: 0, pieces: 0, operations: 0 }
    }

    /// As the application sees it.
    pub(super) fn stats(&self, now: Instant, is_open: bool) -> ChannelStats {
        ChannelStats {
            channel: self.channel,
            stream: self.stream.0,
            bytes: self.bytes,
            pieces: self.pieces,
            operations: self.operations,
            open: now.since(self.opened),
            is_open,
        }
    }
}

/// Numbers of the last streams that are over.
#[derive(Clone, Debug, Default)]
pub(super) struct Archive(VecDeque<ChannelStats>);

impl Archive {
    /// A stream is over.
    pub(super) fn keep(&mut self, stats: ChannelStats) {
        self.0.push_back(stats);
        if self.0.len() > KEPT {
            self.0.pop_front();
        }
    }

    /// They, and those that are open.
    pub(super) fn with(&self, open: impl Iterator<Item = ChannelStats>) -> Vec<ChannelStats> {
        self.0.iter().copied().chain(open).collect()
    }
}
