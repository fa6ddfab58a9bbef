//! Moves time from one thing that happens to the next.

use std::time::Duration;

use anabranch_core::{ConnId, Event, Instant};

use super::host::{Outgoing, Step};
use super::{Pair, SERVER};
use crate::network::Delivery;
use crate::oracle::Who;
use crate::sim::agenda::Agenda;

/// Datagrams whose pacing time has not come, and who sends them.
pub(super) type Held = Agenda<(Sender, Outgoing)>;

/// Who sent a datagram: the server, or the client behind a wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sender {
    Server,
    Wire(usize),
}

impl Sender {
    pub(super) const fn of(who: Who) -> Self {
        match who {
            Who::Server => Self::Server,
            Who::Client(n) => Self::Wire(n),
        }
    }
}

/// More outputs of one host at one point in time are taken for an endless loop.
const MAX_OUTPUTS: usize = 200_000;
/// More wake-ups in a row without time passing are taken for an endless loop.
const MAX_WAKES: usize = 1_000;

impl Pair {
    /// Runs until `done`, for `limit` of virtual time at most. Says whether it is done.
    pub fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + limit;
        let mut stuck = 0;
        self.settle();
        while !done(self) {
            let Some(next) = self.next_time().filter(|next| *next <= end) else {
                self.now = end;
                self.clock.set(end);
                return done(self);
            };
            stuck = if next > self.now { 0 } else { stuck + 1 };
            assert!(stuck < MAX_WAKES, "time stands still at {:?}", self.now);
            self.now = next.max(self.now);
            self.advance();
            self.settle();
        }
        true
    }

    /// Runs until `done`.
    ///
    /// # Panics
    /// If that takes longer than `limit`, with what was waited for.
    #[track_caller]
    pub fn must(&mut self, what: &str, limit: Duration, done: impl FnMut(&Self) -> bool) {
        let start = self.now;
        if !self.run_until(limit, done) {
            let told: Vec<_> = self.told(Who::Client(0)).iter().rev().take(5).collect();
            panic!("{what}: not within {limit:?} from {start:?}. Client 0 last told {told:?}");
        }
    }

    /// Runs for this long.
    pub fn run_for(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// When something happens next.
    fn next_time(&self) -> Option<Instant> {
        let clients = self.clients.iter().map(|node| node.wake);
        let rogues = self.rogues.iter().map(|rogue| rogue.deadline());
        let server = [self.server.wake, self.server_app.next()];
        clients
            .chain(rogues)
            .chain(server)
            .chain([self.held.next(), self.network.next_time()])
            .flatten()
            .min()
    }

    /// Everything that is due at the present time happens.
    fn advance(&mut self) {
        let now = self.now;
        self.clock.set(now);
        while let Some((sender, outgoing)) = self.held.take(now) {
            self.put_on_wire(sender, outgoing);
        }
        while let Some(delivery) = self.network.poll(now) {
            self.deliver(delivery);
        }
        for node in self.clients.iter_mut().chain([&mut self.server]) {
            if node.wake.is_some_and(|wake| wake <= now) {
                node.endpoint.handle_timeout(now);
            }
        }
        for rogue in &mut self.rogues {
            rogue.expire(now);
        }
        self.server_app.on_time(&mut self.server.endpoint, now);
    }

    /// Every host does all it can do at the present time.
    pub fn settle(&mut self) {
        self.clock.set(self.now);
        self.drain(Who::Server);
        for n in 0..self.clients.len() {
            self.drain(Who::Client(n));
        }
        for n in 0..self.rogues.len() {
            let mut out = Vec::new();
            self.rogues[n].drain(self.now, &mut out);
            self.dispatch(Sender::Wire(self.clients.len() + n), out);
        }
        self.server_app.check(&self.server.endpoint);
    }

    fn drain(&mut self, who: Who) {
        let sender = Sender::of(who);
        let mut out = Vec::new();
        for outputs in 0.. {
            assert!(outputs < MAX_OUTPUTS, "{who:?} never waits");
            match self.node(who).step(&mut out) {
                Step::Sent => self.dispatch(sender, std::mem::take(&mut out)),
                Step::Told(conn, event) => self.tell(who, conn, &event),
                Step::Waits => return,
            }
        }
    }

    fn tell(&mut self, who: Who, conn: ConnId, event: &Event) {
        let now = self.now;
        let node = self.node(who);
        node.lifecycle.event(conn, event);
        node.told.push((now, conn, event.clone()));
        match who {
            Who::Server => {
                self.server_app.on_event(&mut self.server.endpoint, now, conn, event);
            }
            Who::Client(n) => {
                let endpoint = &mut self.clients[n].endpoint;
                self.client_apps[n].on_event(endpoint, now, conn, event);
            }
        }
    }

    fn dispatch(&mut self, sender: Sender, out: Vec<Outgoing>) {
        for outgoing in out {
            match outgoing.at.filter(|at| *at > self.now) {
                Some(at) => self.held.put(at, (sender, outgoing)),
                None => self.put_on_wire(sender, outgoing),
            }
        }
    }

    fn put_on_wire(&mut self, sender: Sender, outgoing: Outgoing) {
        let Outgoing { path, ecn, bytes, .. } = outgoing;
        let host = match sender {
            Sender::Wire(n) => self.wires[n].host,
            Sender::Server => {
                assert_eq!(path.local, SERVER, "the server sends from its address");
                if self.network.receiver(self.now, SERVER, path.remote).is_none() {
                    self.strays.entry(path.remote).or_default().datagrams.push(bytes.clone());
                }
                self.server_host
            }
        };
        self.network.send(self.now, host, path, ecn, bytes);
    }

    fn deliver(&mut self, delivery: Delivery) {
        let Delivery { to, path, ecn, mut bytes, .. } = delivery;
        let now = self.now;
        if to == self.server_host {
            return self.server.receive(now, path, ecn, &mut bytes);
        }
        let n = self.wires.iter().position(|wire| wire.host == to).expect("a host of the network");
        match n.checked_sub(self.clients.len()) {
            None => self.clients[n].receive(now, path, ecn, &mut bytes),
            Some(rogue) => self.rogues[rogue].receive(now, path, &mut bytes),
        }
    }
}
