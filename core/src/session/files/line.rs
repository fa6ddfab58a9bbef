//! One end of a file control stream: messages in, messages out, and how it ends.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Buf, Bytes};

use super::message::{Message, Parsed};
use crate::code::Code;
use crate::error::Violation;
use crate::id::{SessionId, StreamId};
use crate::limits;
use crate::session::Cx;
use crate::time::{Deadline, Instant, Reason};
use crate::trace::Story;
use crate::transport::{Read, StreamEnd, Wrote};

/// How long the peer's end mark is waited for after the session has ended.
const LINGER: Duration = Duration::from_secs(5);
/// Messages handled in one call, so that no peer keeps the others waiting.
pub(super) const MESSAGES_PER_CALL: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fin {
    Open,
    Wanted,
    Written,
}

/// What is next on the stream.
#[derive(Debug)]
pub(super) enum Item {
    Message(Message),
    /// Nothing has come.
    Blocked,
    /// Something that this version passes over.
    Skipped,
    /// The peer's end mark.
    Finished,
    /// The peer has reset its half.
    Ended(Code),
    /// The peer broke a rule.
    Broken(Violation),
}

/// One end of a file control stream.
#[derive(Debug)]
pub(crate) struct Line {
    pub(super) id: SessionId,
    pub(super) stream: StreamId,
    inbox: Vec<u8>,
    outbox: VecDeque<Bytes>,
    queued: usize,
    blocked: bool,
    fin: Fin,
    /// The peer's half has ended, or is of no interest any more.
    read_done: bool,
    /// There may be more to do although no signal will come.
    pub(super) more: bool,
    /// The application has been told of the end.
    ended: bool,
    linger: Instant,
    /// Where steps are told.
    pub(super) story: Story,
}

impl Line {
    /// `prefix` goes in front of everything.
    pub(super) fn new(id: SessionId, stream: StreamId, prefix: &[u8], cx: &Cx<'_>) -> Self {
        let mut line = Self {
            id,
            stream,
            inbox: Vec::new(),
            outbox: VecDeque::new(),
            queued: 0,
            blocked: false,
            fin: Fin::Open,
            read_done: false,
            more: true,
            ended: false,
            linger: cx.now,
            story: cx.story.of_session(id),
        };
        line.queue(prefix.to_vec());
        line
    }

    fn queue(&mut self, bytes: Vec<u8>) {
        if !bytes.is_empty() {
            self.queued += bytes.len();
            self.outbox.push_back(bytes.into());
        }
    }

    /// Queues a message. Nothing follows the end mark.
    pub(super) fn say(&mut self, message: &Message) {
        if self.fin == Fin::Open {
            log::trace!("{} {}: says {message:?}", self.id, self.stream);
            self.queue(message.encode());
        }
    }

    /// Bytes that the transport has not taken.
    pub(super) const fn queued(&self) -> usize {
        self.queued
    }

    /// Whether another message may be handled: its answers have room, and so have its events.
    pub(super) fn has_room(&self, cx: &Cx<'_>) -> bool {
        self.queued < limits::MAX_FILE_QUEUED && cx.events.len() < limits::MAX_EVENTS_QUEUED
    }

    /// Ends our half after what is queued.
    pub(super) fn finish(&mut self) {
        if self.fin == Fin::Open {
            self.fin = Fin::Wanted;
        }
    }

    /// The transport takes bytes again.
    pub(super) fn unblock(&mut self) {
        self.blocked = false;
    }

    /// Writes as much as the transport takes.
    ///
    /// # Errors
    /// The peer wants no more.
    pub(super) fn flush(&mut self, cx: &mut Cx<'_>) -> Result<(), Code> {
        while !self.blocked {
            let Some(front) = self.outbox.front_mut() else { break };
            let before = front.len();
            let wrote = cx.transport.write(self.stream, front, false);
            self.queued -= before - front.len();
            match wrote.map_err(code_of)? {
                Wrote::All => drop(self.outbox.pop_front()),
                Wrote::Blocked => self.blocked = true,
            }
        }
        if !self.blocked && self.fin == Fin::Wanted {
            match cx.transport.write(self.stream, &mut Bytes::new(), true).map_err(code_of)? {
                Wrote::All => self.fin = Fin::Written,
                Wrote::Blocked => self.blocked = true,
            }
        }
        Ok(())
    }

    /// The next thing that has come.
    pub(super) fn next(&mut self, cx: &mut Cx<'_>) -> Item {
        loop {
            if self.read_done {
                return Item::Blocked;
            }
            match Message::parse(&self.inbox) {
                Ok(Parsed::Message(message, len)) => {
                    log::trace!("{} {}: hears {message:?}", self.id, self.stream);
                    self.inbox.drain(..len);
                    return Item::Message(message);
                }
                Ok(Parsed::Skip(len)) => {
                    self.inbox.drain(..len);
                    return Item::Skipped;
                }
                Ok(Parsed::More) => {}
                Err(rule) => return Item::Broken(rule),
            }
            // The inbox never holds more than one message and one read.
            let mut piece = [0; 2048];
            match cx.transport.read(self.stream, &mut piece) {
                Ok(Read::Bytes(len)) => self.inbox.extend_from_slice(&piece[..len]),
                Ok(Read::Blocked) => return Item::Blocked,
                Ok(Read::Finished) => {
                    self.read_done = true;
                    if !self.inbox.is_empty() {
                        return Item::Broken(Violation::FileTruncated);
                    }
                    return Item::Finished;
                }
                Err(end) => {
                    self.read_done = true;
                    return Item::Ended(code_of(end));
                }
            }
        }
    }

    /// The application is told of the end now: what follows is only for the transport.
    pub(super) fn end(&mut self, now: Instant) {
        self.ended = true;
        self.linger = now + LINGER;
        self.more = !self.read_done;
    }

    /// Ends both halves at once.
    pub(super) fn cut(&mut self, cx: &mut Cx<'_>, code: Code) {
        cx.transport.reset(self.stream, code);
        cx.transport.stop(self.stream, code);
        self.drop_all();
    }

    /// Nothing is left to send or to read.
    pub(super) fn drop_all(&mut self) {
        self.outbox.clear();
        self.queued = 0;
        self.fin = Fin::Written;
        self.read_done = true;
    }

    /// After the end: sends what is queued and reads on to the peer's end mark, so that the
    /// transport can forget the stream.
    pub(super) fn wind_down(&mut self, cx: &mut Cx<'_>) {
        self.more = false;
        if self.flush(cx).is_err() {
            self.drop_all();
        }
        let mut scratch = [0; 2048];
        for _ in 0..MESSAGES_PER_CALL {
            if self.read_done {
                return;
            }
            match cx.transport.read(self.stream, &mut scratch) {
                Ok(Read::Bytes(_)) => {}
                Ok(Read::Blocked) => return,
                Ok(Read::Finished) | Err(_) => self.read_done = true,
            }
        }
        self.more = true;
    }

    /// After the end: when a peer that does not end its half is left alone.
    pub(super) fn deadline(&self) -> Option<Deadline> {
        let waits = self.ended && !self.is_over();
        waits.then_some(Deadline { at: self.linger, why: Reason::SessionTimeout })
    }

    /// The deadline has come.
    pub(super) fn expire(&mut self, cx: &mut Cx<'_>) {
        if self.ended && !self.is_over() && cx.now >= self.linger {
            self.cut(cx, Code::Timeout);
        }
    }

    /// The application has been told of the end.
    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Nothing is left to do on the stream.
    pub(super) fn is_over(&self) -> bool {
        self.ended && self.read_done && self.fin == Fin::Written
    }
}

fn code_of(end: StreamEnd) -> Code {
    match end {
        StreamEnd::ByPeer(code) => code,
        StreamEnd::Gone => Code::None,
    }
}

/// Writes from the front of `parts`, at most `most` bytes. Says how many the transport took, and
/// whether it takes no more.
///
/// # Errors
/// The peer wants no more.
pub(super) fn write_parts(
    cx: &mut Cx<'_>,
    stream: StreamId,
    parts: &mut VecDeque<Bytes>,
    most: usize,
) -> Result<(usize, Wrote), Code> {
    let mut taken = 0;
    while let Some(front) = parts.front_mut() {
        let len = front.len().min(most - taken);
        if len == 0 {
            break;
        }
        let mut slice = front.slice(..len);
        let wrote = cx.transport.write(stream, &mut slice, false).map_err(code_of)?;
        let took = len - slice.len();
        taken += took;
        front.advance(took);
        if front.is_empty() {
            parts.pop_front();
        }
        if wrote == Wrote::Blocked {
            return Ok((taken, Wrote::Blocked));
        }
    }
    Ok((taken, Wrote::All))
}
