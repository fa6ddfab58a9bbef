//! A scripted transport with two connected ends, and both roles running against each other (or
//! against bytes written by hand) in virtual time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;

mod link;

use super::client::Client;
use super::pdu::{CHUNK_HEAD, HEADER, Header, Kind};
use super::server::Server;
use super::{EndReason, Ended, Event, Pulled, Request};
use crate::code::Code;
use crate::config::MediaPolicy;
use crate::error::Misuse;
use crate::event::{Dialect, Entry};
use crate::hub::Hub;
use crate::id::{ConnId, MediaId, SessionId, StreamId};
use crate::session::Cx;
use crate::time::{Deadline, Instant, UnixMillis};
use crate::trace::{Story, Trace};

pub(crate) use link::{End, Link, Pipe};

pub(crate) const STREAM: StreamId = StreamId(8);
/// The wall clock at virtual time zero.
pub(crate) const EPOCH: u64 = 1_700_000_000_000;

/// Fails with the whole actual text, ready to be copied.
pub(crate) fn assert_snapshot(actual: &str, recorded: &str) {
    assert!(actual == recorded, "the table is now:\n{actual}");
}

/// A chunk that a client's application has pulled to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) ms: u64,
    pub(crate) sequence: u32,
    pub(crate) len: usize,
}

/// A PDU as it stood on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Raw {
    pub(crate) kind: Kind,
    pub(crate) flags: u8,
    pub(crate) session: u32,
    pub(crate) body: Vec<u8>,
}

/// Both roles, the link between them, and an application on each side. A role that is missing
/// is played by the test, with bytes.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) dialect: Dialect,
    pub(crate) policy: MediaPolicy,
    pub(crate) story: Story,
    pub(crate) hub: Hub,
    pub(crate) draining: bool,
    pub(crate) client: Option<Client>,
    pub(crate) server: Option<Server>,
    pub(crate) ends: [End; 2],
    pub(crate) queues: [VecDeque<crate::Event>; 2],
    /// Events in the order in which they came, without those that the harness answers.
    pub(crate) client_events: Vec<Event>,
    pub(crate) server_events: Vec<Event>,
    /// Requests that nobody has answered (unless `supplying`).
    pub(crate) wanted: VecDeque<(u64, usize)>,
    pub(crate) media: Vec<u8>,
    pub(crate) supplying: bool,
    pub(crate) pulling: bool,
    /// A chunk was said to be there, and has not been pulled.
    pub(crate) readable: bool,
    pub(crate) received: Vec<u8>,
    pub(crate) got: Vec<Got>,
    pub(crate) steps: usize,
}

/// The context of one role (0: client, 1: server), from the world's own fields.
macro_rules! cx {
    ($world:expr, $role:expr) => {
        &mut Cx {
            now: $world.now,
            wall: UnixMillis(EPOCH + $world.now.as_nanos() / 1_000_000),
            dialect: $world.dialect,
            transport: &mut $world.ends[$role],
            events: &mut $world.queues[$role],
            hub: &mut $world.hub,
            policy: &$world.policy,
            story: &$world.story,
            draining: $world.draining,
        }
    };
}
pub(crate) use cx;

pub(crate) fn media(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes()[1]).collect()
}

impl World {
    /// No role yet. The catalogue holds one entry, `clip`, of this length.
    pub(crate) fn new(dialect: Dialect, len: usize) -> Self {
        let pipe = || Pipe { window: 1 << 20, reader_waits: true, ..Pipe::default() };
        let link = Arc::new(Mutex::new(Link { up: pipe(), down: pipe() }));
        let end = |is_client| End { link: link.clone(), is_client, pings: 0 };
        let mut hub = Hub::default();
        let entry = Entry {
            name: "clip".into(),
            size: Some(len as u64),
            bitrate: Some(80_000),
            kind: "audio/wav".into(),
        };
        hub.set_catalogue(vec![(MediaId(3), entry)], None).unwrap();
        let policy = MediaPolicy {
            max_chunk: 1_024,
            startup_burst: Duration::ZERO,
            ..MediaPolicy::default()
        };
        Self {
            now: Instant::from_nanos(1_000_000_000),
            dialect,
            policy,
            story: Story::new(Trace::default(), ConnId { slot: 0, generation: 0 }),
            hub,
            draining: false,
            client: None,
            server: None,
            ends: [end(true), end(false)],
            queues: [VecDeque::new(), VecDeque::new()],
            client_events: Vec::new(),
            server_events: Vec::new(),
            wanted: VecDeque::new(),
            media: media(len),
            supplying: true,
            pulling: true,
            readable: false,
            received: Vec::new(),
            got: Vec::new(),
            steps: 0,
        }
    }

    /// Without the length in the catalogue: only the application knows where the end is.
    pub(crate) fn of_unknown_size(mut self) -> Self {
        let entry =
            Entry { name: "clip".into(), size: None, bitrate: Some(80_000), kind: String::new() };
        self.hub.set_catalogue(vec![(MediaId(3), entry)], None).unwrap();
        self
    }

    pub(crate) fn with_server(mut self) -> Self {
        self.server = Some(Server::new(SessionId(1), STREAM, &[], cx!(self, 1)));
        self
    }

    pub(crate) fn with_client(mut self, request: Request) -> Self {
        self.client = Some(Client::new(SessionId(0), STREAM, request, &[], cx!(self, 0)));
        self
    }

    /// Both roles, after the negotiation.
    pub(crate) fn pair(dialect: Dialect, len: usize, request: Request) -> Self {
        let mut world = Self::new(dialect, len).with_server().with_client(request);
        world.settle();
        world
    }

    pub(crate) fn link(&self) -> MutexGuard<'_, Link> {
        self.ends[0].link.lock().unwrap()
    }

    /// The test plays the client.
    pub(crate) fn feed_server(&mut self, bytes: &[u8]) {
        self.link().up.flying.extend(bytes);
        self.settle();
    }

    /// The test plays the server.
    pub(crate) fn feed_client(&mut self, bytes: &[u8]) {
        self.link().down.flying.extend(bytes);
        self.settle();
    }

    pub(crate) fn fin_to_server(&mut self) {
        self.link().up.fin = true;
        self.settle();
    }

    pub(crate) fn fin_to_client(&mut self) {
        self.link().down.fin = true;
        self.settle();
    }

    pub(crate) fn reset_to_server(&mut self, code: Code) {
        self.link().up.reset = Some(code);
        self.settle();
    }

    pub(crate) fn reset_to_client(&mut self, code: Code) {
        self.link().down.reset = Some(code);
        self.settle();
    }

    /// What the server has written, whole PDUs only; the last one may still be on its way.
    pub(crate) fn take_from_server(&mut self) -> Vec<Raw> {
        let pdus = Self::split(&mut self.link().down);
        self.settle();
        pdus
    }

    /// What the client has written.
    pub(crate) fn take_from_client(&mut self) -> Vec<Raw> {
        let pdus = Self::split(&mut self.link().up);
        self.settle();
        pdus
    }

    fn split(pipe: &mut Pipe) -> Vec<Raw> {
        pipe.deliver();
        let mut out = Vec::new();
        loop {
            let bytes = pipe.arrived.make_contiguous();
            let Some(head) = bytes.first_chunk::<HEADER>() else { break };
            let header = Header::parse(head).unwrap();
            let len = header.len as usize;
            let Some(body) = bytes.get(HEADER..HEADER + len) else { break };
            out.push(Raw {
                kind: Kind::from_wire(header.kind).unwrap(),
                flags: header.flags,
                session: header.session,
                body: body.to_vec(),
            });
            pipe.arrived.drain(..HEADER + len);
        }
        out
    }

    pub(crate) fn server_is_finished(&self) -> bool {
        self.link().down.fin
    }

    pub(crate) fn client_is_finished(&self) -> bool {
        self.link().up.fin
    }

    /// What the server's transport was told to reset its half with, and stop the other.
    pub(crate) fn server_cut(&self) -> (Option<Code>, Option<Code>) {
        let link = self.link();
        (link.down.reset, link.up.stop)
    }

    /// The same of the client.
    pub(crate) fn client_cut(&self) -> (Option<Code>, Option<Code>) {
        let link = self.link();
        (link.up.reset, link.down.stop)
    }

    /// Runs until nothing happens any more at this point in time.
    pub(crate) fn settle(&mut self) {
        loop {
            self.steps += 1;
            assert!(self.steps < 1_000_000, "it spins");
            if !(self.turn_of_server() | self.turn_of_client() | self.turn_of_applications()) {
                return;
            }
        }
    }

    fn turn_of_server(&mut self) -> bool {
        let Some(server) = &mut self.server else { return false };
        let mut link = self.ends[1].link.lock().unwrap();
        let readable = link.up.take_readable() | server.is_runnable();
        let writable = link.down.take_writable();
        drop(link);
        if readable {
            server.on_readable(cx!(self, 1));
        }
        if writable {
            server.on_writable(cx!(self, 1));
        }
        readable | writable
    }

    fn turn_of_client(&mut self) -> bool {
        let Some(client) = &mut self.client else { return false };
        let mut link = self.ends[0].link.lock().unwrap();
        let readable = link.down.take_readable() | client.is_runnable();
        let writable = link.up.take_writable();
        drop(link);
        if readable {
            client.on_readable(cx!(self, 0));
        }
        if writable {
            client.on_writable(cx!(self, 0));
        }
        readable | writable
    }

    fn turn_of_applications(&mut self) -> bool {
        let mut busy = false;
        while let Some(event) = self.queues[1].pop_front() {
            busy = true;
            let crate::Event::Media(SessionId(1), event) = event else { panic!("{event:?}") };
            match event {
                Event::Wanted { media, offset, len } => {
                    assert_eq!(media, MediaId(3));
                    self.wanted.push_back((offset, len));
                }
                other => self.server_events.push(other),
            }
        }
        while self.supplying && self.supply_next(usize::MAX) {
            busy = true;
        }
        while let Some(event) = self.queues[0].pop_front() {
            busy = true;
            let crate::Event::Media(SessionId(0), event) = event else { panic!("{event:?}") };
            match event {
                Event::Readable => {
                    assert!(!std::mem::replace(&mut self.readable, true), "said twice");
                }
                other => self.client_events.push(other),
            }
        }
        if self.readable && self.pulling {
            busy = true;
            while self.pull(999) {}
        }
        busy
    }

    /// Answers the oldest request, with at most `most` bytes.
    pub(crate) fn supply_next(&mut self, most: usize) -> bool {
        let Some((offset, len)) = self.wanted.pop_front() else { return false };
        let rest = usize::try_from(offset).ok().and_then(|at| self.media.get(at..)).unwrap_or(&[]);
        let piece = &rest[..rest.len().min(len).min(most)];
        let end = piece.len() == rest.len();
        let bytes = Bytes::copy_from_slice(piece);
        let Some(server) = &mut self.server else { return false };
        let answer = server.supply(cx!(self, 1), offset, bytes, end);
        assert_eq!(answer, Ok(()));
        true
    }

    /// One pull; false once there is nothing.
    pub(crate) fn pull(&mut self, most: usize) -> bool {
        let mut buf = vec![0; most];
        let Some(client) = &mut self.client else { return false };
        let pulled = client.pull(cx!(self, 0), &mut buf);
        match pulled {
            Pulled::Bytes { len, sequence, offset, last } => {
                self.received.extend_from_slice(&buf[..len]);
                if last {
                    let ms = self.ms();
                    self.got.push(Got { ms, sequence, len: offset as usize + len });
                }
                true
            }
            Pulled::Blocked | Pulled::End => {
                self.readable = false;
                false
            }
        }
    }

    /// Lets time pass, from deadline to deadline.
    pub(crate) fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        self.settle();
        while let Some(next) = self.deadline().filter(|next| next.at <= until) {
            self.now = self.now.max(next.at);
            let due = |deadline: Option<Deadline>| deadline.is_some_and(|d| d.at <= self.now);
            let both = [
                due(self.client.as_ref().and_then(Client::deadline)),
                due(self.server.as_ref().and_then(Server::deadline)),
            ];
            if let (true, Some(client)) = (both[0], &mut self.client) {
                client.on_timer(cx!(self, 0));
            }
            if let (true, Some(server)) = (both[1], &mut self.server) {
                server.on_timer(cx!(self, 1));
            }
            self.settle();
        }
        self.now = until;
    }

    pub(crate) fn run_for_ms(&mut self, ms: u64) {
        self.run_for(Duration::from_millis(ms));
    }

    fn deadline(&self) -> Option<Deadline> {
        let client = self.client.as_ref().and_then(Client::deadline);
        Deadline::earliest(client, self.server.as_ref().and_then(Server::deadline))
    }

    /// Milliseconds since the start.
    pub(crate) fn ms(&self) -> u64 {
        self.now.as_nanos() / 1_000_000 - 1_000
    }

    pub(crate) fn pause(&mut self) -> Result<(), Misuse> {
        let answer = self.client.as_mut().unwrap().pause(cx!(self, 0));
        self.settle();
        answer
    }

    pub(crate) fn resume(&mut self) -> Result<(), Misuse> {
        let answer = self.client.as_mut().unwrap().resume(cx!(self, 0));
        self.settle();
        answer
    }

    pub(crate) fn close_client(&mut self) -> Result<(), Misuse> {
        let answer = self.client.as_mut().unwrap().close(cx!(self, 0));
        self.settle();
        answer
    }

    pub(crate) fn close_server(&mut self) -> Result<(), Misuse> {
        let answer = self.server.as_mut().unwrap().close(cx!(self, 1));
        self.settle();
        answer
    }

    /// How the session ended on each side; emitted at most once.
    pub(crate) fn ended(events: &[Event]) -> Option<Ended> {
        let mut ends = events.iter().filter_map(|event| match event {
            Event::Ended(ended) => Some(*ended),
            _ => None,
        });
        let first = ends.next();
        assert_eq!(ends.next(), None, "ended twice");
        first
    }

    pub(crate) fn client_end(&self) -> Option<EndReason> {
        Self::ended(&self.client_events).map(|ended| ended.reason)
    }

    pub(crate) fn server_end(&self) -> Option<EndReason> {
        Self::ended(&self.server_events).map(|ended| ended.reason)
    }

    pub(crate) fn sequences(&self) -> Vec<u32> {
        self.got.iter().map(|got| got.sequence).collect()
    }
}

/// A chunk PDU by hand.
pub(crate) fn chunk(sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap();
    let head = super::pdu::ChunkHead { sequence, len, flags };
    let mut out = head.encode(77).to_vec();
    assert_eq!(out.len(), HEADER + CHUNK_HEAD);
    out.extend_from_slice(payload);
    out
}
