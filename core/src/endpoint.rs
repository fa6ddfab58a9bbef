//! The endpoint: one door in, one door out.

mod admission;
mod counters;
mod recorded;
mod table;

use std::collections::VecDeque;
use std::time::Duration;

use crate::code::Code;
use crate::config::Config;
use crate::conn::{Answer, Conn, Connection, Shared, split_ticket};
use crate::error::Misuse;
use crate::event::Dialect;
use crate::hub::Hub;
use crate::id::{ConnId, SessionId};
use crate::io::{Ecn, Output, Path, Transmit};
use crate::limits;
use crate::session::media;
use crate::time::{Instant, UnixMillis};
use crate::trace::{Aim, Data, Entry, Trace};
use crate::transport::{Dropped, Offer, Offered, Route, Stack, Target};
pub(crate) use admission::RateLimit;
use admission::{Admission, Verdict};
pub use counters::Counters;
use table::Table;

/// Any number of connections, as server, client or both.
///
/// Give it what happens ([`Endpoint::handle_datagram`], [`Endpoint::handle_timeout`], and
/// commands through [`Endpoint::connect`] and [`Endpoint::conn`]), then call
/// [`Endpoint::poll_output`] until it answers [`Output::Wait`]. Several inputs may be given
/// before that; it is cheaper so.
pub struct Endpoint {
    config: Config,
    stack: Box<dyn Stack>,
    table: Table,
    hub: Hub,
    admission: Admission,
    listening: bool,
    /// The latest time seen. Time does not go back.
    now: Instant,
    /// Stateless answers on their way out.
    answers: VecDeque<(Path, Vec<u8>)>,
    answer_rate: RateLimit,
    counters: Counters,
    /// Where everything that happens is told.
    trace: Trace,
}

/// Lends the parts of an endpoint that are not its connections.
macro_rules! shared {
    ($endpoint:ident) => {
        Shared {
            now: $endpoint.now,
            wall: wall($endpoint.config.epoch, $endpoint.now),
            hub: &mut $endpoint.hub,
            config: &$endpoint.config,
            trace: &$endpoint.trace,
        }
    };
}

/// The wall-clock time at `now`, if it is `epoch` at the origin.
fn wall(epoch: UnixMillis, now: Instant) -> UnixMillis {
    UnixMillis(epoch.0.saturating_add(now.as_nanos() / 1_000_000))
}

impl Endpoint {
    /// An endpoint without connections, over the stack that carries them.
    #[must_use]
    pub fn new(config: Config, stack: Box<dyn Stack>) -> Self {
        Self::traced(config, stack, Trace::default())
    }

    /// An endpoint that tells everything that happens to it.
    pub(crate) fn traced(config: Config, stack: Box<dyn Stack>, trace: Trace) -> Self {
        Self {
            config,
            stack,
            table: Table::default(),
            hub: Hub::recorded(trace.clone()),
            trace,
            admission: Admission::default(),
            listening: false,
            now: Instant::ZERO,
            answers: VecDeque::new(),
            answer_rate: RateLimit::new(limits::STATELESS_ANSWERS_PER_SECOND),
            counters: Counters::default(),
        }
    }

    fn advance(&mut self, now: Instant) {
        debug_assert!(now >= self.now, "time goes back: {now:?} after {:?}", self.now);
        self.now = self.now.max(now);
        self.trace.advance(self.now);
    }

    fn dropped(&mut self, why: Dropped) {
        self.trace.say(|_| Entry::Dropped(why));
        self.counters.dropped(why);
    }

    /// A datagram has come in. `bytes` are decrypted in place. Never fails: what cannot be
    /// used is dropped and counted ([`Endpoint::counters`]).
    ///
    /// `ecn` is for transports that use it; QUIC through quiche does not.
    pub fn handle_datagram(
        &mut self,
        now: Instant,
        path: Path,
        ecn: Option<Ecn>,
        bytes: &mut [u8],
    ) {
        self.advance(now);
        self.trace.say(|contents| {
            let data = Data::new(bytes, contents.datagrams);
            Entry::Datagram { path, ecn, data }
        });
        self.counters.received(bytes.len(), ecn);
        if bytes.is_empty() || path.remote.port() == 0 {
            self.dropped(Dropped::Impossible);
            return;
        }
        let mut answer = Vec::new();
        match self.stack.classify(self.now, path, bytes, &mut answer) {
            Route::To(id) => self.deliver(id, path, bytes),
            Route::New(offer) => self.offered(path, &offer, bytes),
            Route::Answer(_) => self.answer(path, answer),
            Route::Drop(why) => self.dropped(why),
        }
    }

    fn deliver(&mut self, id: ConnId, path: Path, bytes: &mut [u8]) {
        match self.table.get(id) {
            Some(slot) => {
                slot.conn.receive(self.now, path, bytes);
                self.table.wake(id.slot as usize);
            }
            None => self.dropped(Dropped::UnknownConnection),
        }
    }

    fn answer(&mut self, path: Path, bytes: Vec<u8>) {
        if self.answers.len() < limits::MAX_STATELESS_QUEUED && self.answer_rate.take(self.now) {
            self.answers.push_back((path, bytes));
        } else {
            self.dropped(Dropped::AnswersLimited);
        }
    }

    fn offered(&mut self, path: Path, offer: &Offer, bytes: &mut [u8]) {
        if !self.listening {
            self.dropped(Dropped::NotAccepting);
            return;
        }
        let ip = path.remote.ip();
        match self.admission.judge(ip, offer.validated, self.table.len(), &self.config) {
            Verdict::Admit => {}
            Verdict::Challenge => {
                let mut answer = Vec::new();
                match self.stack.challenge(self.now, path, offer, &mut answer) {
                    Route::Answer(_) => self.answer(path, answer),
                    Route::Drop(why) => self.dropped(why),
                    Route::To(_) | Route::New(_) => {}
                }
                return;
            }
            Verdict::Drop(why) => {
                self.dropped(why);
                return;
            }
        }
        let id = self.table.next_id();
        match self.stack.admit(self.now, id, path, offer) {
            Ok(transport) => {
                let conn = Connection::accepted(id, transport, path.remote, &shared!(self));
                self.admission.begin(ip);
                self.counters.accepted += 1;
                self.table.insert(id, conn);
                self.deliver(id, path, bytes);
            }
            Err(why) => self.dropped(why),
        }
    }

    /// A deadline has come (too early or too late does no harm).
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
        self.trace.say(|_| Entry::Timeout);
        while let Some((key, slot)) = self.table.next_due(self.now) {
            slot.conn.expire(&mut shared!(self));
            self.table.wake(key);
        }
    }

    /// Starts a connection. [`crate::Event::Connected`] or [`crate::Event::Closed`] will come.
    ///
    /// # Errors
    /// [`Misuse::TooMuch`] at the limit of connections, [`Misuse::Config`] for a bad target.
    pub fn connect(&mut self, now: Instant, target: &Target) -> Result<ConnId, Misuse> {
        self.advance(now);
        self.trace.say(|_| Entry::Connect(Aim::of(target, true)));
        let result = self.dial(target);
        self.trace.say(|_| Entry::answer(&result.map(Answer::Connection), Data::default()));
        result
    }

    fn dial(&mut self, target: &Target) -> Result<ConnId, Misuse> {
        let limit = self.config.max_connections;
        if self.table.len() >= limit {
            return Err(Misuse::TooMuch { what: "connections", limit });
        }
        let mut target = target.clone();
        let ticket = target.ticket.take().as_ref().and_then(split_ticket);
        let ticket = ticket.filter(|(dialect, _)| is_offered(target.offered, *dialect));
        target.ticket = ticket.as_ref().map(|(_, ticket)| ticket.clone());
        let dialect = ticket.map(|(dialect, _)| dialect);
        let id = self.table.next_id();
        let transport = self.stack.dial(self.now, id, &target)?;
        let conn = Connection::dialled(id, transport, target.remote, dialect, &shared!(self));
        self.table.insert(id, conn);
        Ok(id)
    }

    /// A handle for commands to one connection.
    ///
    /// # Errors
    /// [`Misuse::Gone`].
    pub fn conn(&mut self, now: Instant, id: ConnId) -> Result<Conn<'_>, Misuse> {
        self.advance(now);
        self.trace.say(|_| Entry::Handle(id));
        self.table.wake(id.slot as usize);
        let slot = self.table.get(id).filter(|slot| slot.conn.is_live()).ok_or(Misuse::Gone)?;
        Ok(Conn::new(&mut slot.conn, shared!(self)))
    }

    /// Numbers of a media session, at the time of the latest input. Looking changes nothing:
    /// the connection gets no turn. `None`: it has ended, or never was.
    #[must_use]
    pub fn media_stats(&self, id: ConnId, session: SessionId) -> Option<media::Stats> {
        self.table.peek(id)?.media_stats(session, self.now)
    }

    /// The next thing to do. `buf` has at least [`limits::MAX_SEGMENTED`] bytes.
    /// Call it until it answers [`Output::Wait`].
    ///
    /// # Panics
    /// If `buf` is too short.
    pub fn poll_output(&mut self, buf: &mut [u8]) -> Output {
        assert!(buf.len() >= limits::MAX_SEGMENTED, "the buffer is too short");
        let output = self.next_output(buf);
        self.trace.say(|contents| Entry::output(&output, buf, contents));
        output
    }

    fn next_output(&mut self, buf: &mut [u8]) -> Output {
        if let Some((path, bytes)) = self.answers.pop_front() {
            buf[..bytes.len()].copy_from_slice(&bytes);
            self.counters.sent(bytes.len());
            let len = bytes.len();
            return Output::Transmit(Transmit { path, ecn: None, len, segment: None, at: None });
        }
        // Whoever has something to do gets one turn: an event, or one run of datagrams.
        while let Some((key, slot)) = self.table.next_ready() {
            let mut shared = shared!(self);
            let id = slot.id;
            slot.conn.drive(&mut shared);
            if let Some(ip) = slot.conn.take_half_open() {
                self.admission.finish(ip);
            }
            if let Some(event) = slot.conn.next_event() {
                self.table.wake(key);
                return Output::Event(id, event);
            }
            if let Some(transmit) = slot.conn.transmit(self.now, buf) {
                self.counters.sent(transmit.len);
                self.table.wake(key);
                return Output::Transmit(transmit);
            }
            self.settle(key);
        }
        Output::Wait(self.table.first_deadline())
    }

    /// A connection has nothing more to do now.
    fn settle(&mut self, key: usize) {
        let Some(slot) = self.table.by_key(key) else { return };
        if slot.conn.is_closed() {
            let id = slot.id;
            self.table.remove(key);
            self.stack.forget(id);
            return;
        }
        let shared = shared!(self);
        let deadline = slot.conn.deadline(&shared);
        let runnable = slot.conn.is_runnable();
        self.table.set_timer(key, deadline);
        if runnable {
            self.table.wake(key);
        }
    }

    /// Accept connections from clients (off at first).
    pub fn listen(&mut self, on: bool) {
        self.trace.say(|_| Entry::Listen(on));
        self.listening = on;
    }

    /// Takes no new connections or sessions, tells peers, lets what runs go on for `left`, then
    /// closes everything. Ended connections are closed as they end.
    pub fn drain(&mut self, now: Instant, left: Duration) {
        self.advance(now);
        self.trace.say(|_| Entry::Drain { left });
        self.listening = false;
        for key in self.table.keys() {
            if let Some(slot) = self.table.by_key(key) {
                slot.conn.drain(self.now + left, &mut shared!(self));
            }
            self.table.wake(key);
        }
    }

    /// Closes every connection at once, with [`Code::GoingAway`].
    pub fn close_all(&mut self, now: Instant) {
        self.advance(now);
        self.trace.say(|_| Entry::CloseAll);
        self.listening = false;
        for key in self.table.keys() {
            if let Some(slot) = self.table.by_key(key) {
                slot.conn.close(Code::GoingAway, String::new(), &mut shared!(self));
            }
            self.table.wake(key);
        }
    }

    /// The number of connections, including those being closed.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.table.len()
    }

    /// Nothing to send, nobody connected.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.table.len() == 0 && self.table.is_quiet() && self.answers.is_empty()
    }

    /// The server's catalogue.
    pub fn hub(&mut self) -> &mut Hub {
        &mut self.hub
    }

    /// What came in and went out, and what was dropped and why.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Takes a new certificate and key (PEM) for connections to come.
    ///
    /// # Errors
    /// [`Misuse::Config`]; the old ones stay.
    pub fn set_identity(&mut self, chain_pem: &[u8], key_pem: &[u8]) -> Result<(), Misuse> {
        self.trace.say(|_| Entry::Identity);
        let result = self.stack.set_identity(chain_pem, key_pem);
        self.trace.say(|_| Entry::answer(&result.map(|()| Answer::Done), Data::default()));
        result
    }

    /// Corrects the wall-clock time: it is `wall` at `now`.
    pub fn set_wall_clock(&mut self, now: Instant, wall: UnixMillis) {
        self.advance(now);
        self.trace.say(|_| Entry::WallClock(wall));
        let since = self.now.as_nanos() / 1_000_000;
        self.config.epoch = UnixMillis(wall.0.saturating_sub(since));
    }
}

/// Whether a client that offers `offered` can end up with `dialect`.
const fn is_offered(offered: Offered, dialect: Dialect) -> bool {
    match (offered, dialect) {
        (Offered::Both, Dialect::Classic | Dialect::V1)
        | (Offered::V1, Dialect::V1)
        | (Offered::Classic, Dialect::Classic) => true,
        (Offered::V1, Dialect::Classic) | (Offered::Classic, Dialect::V1) => false,
    }
}
