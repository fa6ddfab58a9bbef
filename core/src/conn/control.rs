//! The control stream of `anabranch/1`: HELLO, ping, catalogue listing, GOAWAY
//! (`docs/protocol.md`, rules AB-C*).

pub mod message;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use crate::conn::streams::kind;
use crate::error::{Misuse, Violation};
use crate::event::{Event, Listing};
use crate::id::{RequestId, Side, StreamId};
use crate::limits;
use crate::session::Cx;
use crate::time::Instant;
use crate::transport::{Read, Transport, Wrote};
use crate::wire::varint;
use message::{Message, Parsed};

/// The version of the protocol that this code speaks.
pub const VERSION: u64 = 1;

/// A request of ours that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pending {
    Ping { sent: Instant },
    List,
}

/// What the control stream wants of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing.
    Go,
    /// The peer is shutting down.
    PeerGoesAway,
}

/// One end of the control stream.
#[derive(Debug)]
pub(crate) struct Control {
    side: Side,
    /// `None`: not opened yet.
    stream: Option<StreamId>,
    /// The peer's HELLO has come.
    greeted: bool,
    /// Bytes of a message that is not complete.
    inbox: Vec<u8>,
    /// Encoded messages that the transport has not taken.
    outbox: VecDeque<Bytes>,
    queued: usize,
    pending: BTreeMap<RequestId, Pending>,
    next_request: u64,
    /// The inbox may hold more messages than were handled.
    more: bool,
}

impl Control {
    /// Queues HELLO: after the stream type on the client, which opens the stream.
    pub(crate) fn new(side: Side, agent: &str) -> Self {
        let mut control = Self {
            side,
            stream: None,
            greeted: false,
            inbox: Vec::new(),
            outbox: VecDeque::new(),
            queued: 0,
            pending: BTreeMap::new(),
            next_request: 0,
            more: false,
        };
        if side == Side::Client {
            let mut prefix = Vec::new();
            varint::put(&mut prefix, kind::CONTROL);
            control.queue(prefix.into());
        }
        let mut agent = agent.to_owned();
        while agent.len() > limits::MAX_AGENT {
            agent.pop();
        }
        control.send(&Message::Hello { min_version: VERSION, max_version: VERSION, agent });
        control
    }

    /// The stream has been opened.
    pub(crate) const fn attach(&mut self, stream: StreamId) {
        self.stream = Some(stream);
    }

    /// Whether [`Control::attach`] has been called.
    pub(crate) const fn is_attached(&self) -> bool {
        self.stream.is_some()
    }

    /// Everything queued has been taken by the transport.
    pub(crate) fn is_flushed(&self) -> bool {
        self.outbox.is_empty()
    }

    fn queue(&mut self, bytes: Bytes) {
        self.queued += bytes.len();
        self.outbox.push_back(bytes);
    }

    fn send(&mut self, message: &Message) {
        let mut out = Vec::new();
        message.encode(&mut out);
        self.queue(out.into());
    }

    fn request(&mut self, pending: Pending) -> Result<RequestId, Misuse> {
        if self.pending.len() >= limits::MAX_REQUESTS {
            return Err(Misuse::TooMuch {
                what: "unanswered requests",
                limit: limits::MAX_REQUESTS,
            });
        }
        let id = RequestId(self.next_request);
        self.next_request += 1;
        self.pending.insert(id, pending);
        Ok(id)
    }

    /// Measures a round trip.
    pub(crate) fn ping(&mut self, now: Instant) -> Result<RequestId, Misuse> {
        let id = self.request(Pending::Ping { sent: now })?;
        self.send(&Message::Ping(id.0));
        Ok(id)
    }

    /// Asks for a page of the catalogue.
    pub(crate) fn list(&mut self, after: Option<&str>) -> Result<RequestId, Misuse> {
        let after = after.unwrap_or_default();
        if self.side == Side::Server {
            return Err(Misuse::WrongRole("listing the peer's catalogue"));
        }
        if after.len() > limits::MAX_NAME {
            return Err(Misuse::TooMuch { what: "bytes of a name", limit: limits::MAX_NAME });
        }
        let id = self.request(Pending::List)?;
        let max = limits::MAX_LISTING_PAGE as u64;
        self.send(&Message::List { request: id.0, after: after.to_owned(), max });
        Ok(id)
    }

    /// Tells the peer that nothing new is welcome.
    pub(crate) fn go_away(&mut self, left: Duration) {
        let left = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        self.send(&Message::GoAway { left: left.min(varint::MAX) });
    }

    /// Gives the transport what it takes.
    pub(crate) fn flush(&mut self, transport: &mut dyn Transport) -> Result<(), Violation> {
        let Some(stream) = self.stream else { return Ok(()) };
        while let Some(bytes) = self.outbox.front_mut() {
            let before = bytes.len();
            let wrote = transport.write(stream, bytes, false);
            self.queued -= before - bytes.len();
            match wrote {
                Ok(Wrote::All) => self.outbox.pop_front(),
                Ok(Wrote::Blocked) => return Ok(()),
                Err(_) => return Err(Violation::ControlClosed),
            };
        }
        Ok(())
    }

    /// Reads and handles what has come, as far as there is room for the answers.
    pub(crate) fn receive(&mut self, cx: &mut Cx<'_>) -> Result<Outcome, Violation> {
        self.more = false;
        let mut outcome = Outcome::Go;
        loop {
            let mut used = 0;
            loop {
                if !self.has_room(cx) {
                    self.more = true;
                    break;
                }
                match Message::parse(&self.inbox[used..])? {
                    Parsed::Message(message, len) => {
                        used += len;
                        if self.handle(message, cx)? == Outcome::PeerGoesAway {
                            outcome = Outcome::PeerGoesAway;
                        }
                    }
                    // AB-C4: HELLO is first; even what nobody knows comes after it.
                    Parsed::Skip(_) if !self.greeted => return Err(Violation::HelloOrder),
                    Parsed::Skip(len) => used += len,
                    Parsed::More => break,
                }
            }
            self.inbox.drain(..used);
            if self.more || !self.fill(cx)? {
                return Ok(outcome);
            }
        }
    }

    /// There is more to handle than there was room for.
    pub(crate) fn is_runnable(&self) -> bool {
        self.more && self.queued < limits::MAX_CONTROL_QUEUED / 2
    }

    fn has_room(&self, cx: &Cx<'_>) -> bool {
        self.queued + limits::MAX_CONTROL_MESSAGE <= limits::MAX_CONTROL_QUEUED
            && cx.events.len() < limits::MAX_EVENTS_QUEUED
    }

    /// Reads one piece into the inbox, which never holds more than one message and one piece.
    /// `false`: nothing there.
    fn fill(&mut self, cx: &mut Cx<'_>) -> Result<bool, Violation> {
        let Some(stream) = self.stream else { return Ok(false) };
        let mut piece = [0; 2048];
        match cx.transport.read(stream, &mut piece) {
            Ok(Read::Bytes(len)) => {
                self.inbox.extend_from_slice(&piece[..len]);
                Ok(true)
            }
            Ok(Read::Blocked) => Ok(false),
            Ok(Read::Finished) | Err(_) => Err(Violation::ControlClosed),
        }
    }

    fn handle(&mut self, message: Message, cx: &mut Cx<'_>) -> Result<Outcome, Violation> {
        let is_hello = matches!(message, Message::Hello { .. });
        if is_hello == self.greeted {
            return Err(Violation::HelloOrder);
        }
        match message {
            Message::Hello { min_version, max_version, agent } => {
                if !(min_version..=max_version).contains(&VERSION) {
                    return Err(Violation::NoCommonVersion);
                }
                self.greeted = true;
                cx.events.push_back(Event::Hello { agent });
            }
            Message::Ping(number) => self.send(&Message::Pong(number)),
            Message::Pong(number) => self.pong(RequestId(number), cx),
            Message::GoAway { left } => {
                cx.events.push_back(Event::GoAway { left: Duration::from_millis(left) });
                return Ok(Outcome::PeerGoesAway);
            }
            Message::List { request, after, max } => self.answer_list(request, &after, max, cx),
            Message::Listing { request, next, entries } => {
                let request = RequestId(request);
                if self.pending.get(&request) == Some(&Pending::List) {
                    self.pending.remove(&request);
                    let next = (!next.is_empty()).then_some(next);
                    cx.events.push_back(Event::Listing(Listing { request, entries, next }));
                }
            }
        }
        Ok(Outcome::Go)
    }

    fn pong(&mut self, request: RequestId, cx: &mut Cx<'_>) {
        if let Some(Pending::Ping { sent }) = self.pending.get(&request).copied() {
            self.pending.remove(&request);
            cx.events.push_back(Event::Pong { request, rtt: cx.now.since(sent) });
        }
    }

    /// A client that asks for a listing of a client gets an empty one.
    fn answer_list(&mut self, request: u64, after: &str, max: u64, cx: &Cx<'_>) {
        let max = usize::try_from(max).unwrap_or(usize::MAX).clamp(1, limits::MAX_LISTING_PAGE);
        let after = (!after.is_empty()).then_some(after);
        let (entries, next) = cx.hub.page(after, max);
        let next = next.unwrap_or_default();
        self.send(&Message::Listing { request, next, entries });
    }
}
