//! The first five steps of a turn.

use std::io;
use std::net::UdpSocket;
use std::time::Duration;

use anabranch_core::{App, Endpoint, Instant, Output, limits};

use crate::bind::Sockets;
use crate::clock::Clock;
use crate::counters::Counters;
use crate::outbox::{Outbox, Sent};
use crate::port::{Datagrams, Port};
use crate::receive::Receiver;

/// Bytes received in one turn before acknowledgements go out: enough to make receive calls and
/// acknowledgements rare, little enough to stay in the processor's cache.
const RECEIVE_BYTES_PER_TURN: usize = 256 << 10;
/// Commands taken in one turn.
const COMMANDS_PER_TURN: usize = 128;
/// Events given to the application in one turn.
const EVENTS_PER_TURN: usize = 1_024;
/// Sockets of one driver. One more, and the oldest is closed.
const MAX_SOCKETS: usize = 16;
/// How often the endpoint's wall-clock time is corrected.
const WALL_CLOCK_EVERY: Duration = Duration::from_secs(60);

/// What a driver does after the first five steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Look at the sockets without sleeping, and make the next turn: a bound was reached, and
    /// there is more to do.
    Again,
    /// Sleep until a socket is readable, a socket that [`Port::is_blocked`] is writable, a command
    /// comes, or this point in time.
    Sleep(Option<Instant>),
    /// The application is done, and nothing is left to send.
    Done,
}

/// What [`Turn::drain`] came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Drained {
    Dry,
    More,
    Blocked,
}

/// An application on an endpoint on some sockets.
pub struct Turn<A: App, S> {
    clock: Clock,
    endpoint: Endpoint,
    app: A,
    ports: Vec<Port<S>>,
    /// Where receiving begins, so that no socket is always last.
    first: usize,
    receiver: Receiver,
    outbox: Outbox,
    deadline: Option<Instant>,
    wall_clock_due: Instant,
    counters: Counters,
}

impl<A: App, S: Datagrams> Turn<A, S> {
    /// Takes everything over. `wrap` makes the runtime's socket of each bound one.
    ///
    /// # Errors
    /// A socket does not do what is needed, as the system says.
    pub fn new(
        clock: Clock,
        endpoint: Endpoint,
        sockets: Sockets,
        app: A,
        mut wrap: impl FnMut(UdpSocket) -> io::Result<S>,
    ) -> io::Result<Self> {
        let ports = sockets.list.into_iter().map(|socket| Port::new(socket, &mut wrap));
        Ok(Self {
            clock,
            endpoint,
            app,
            ports: ports.collect::<io::Result<_>>()?,
            first: 0,
            receiver: Receiver::new(),
            outbox: Outbox::new(),
            deadline: None,
            wall_clock_due: clock.now() + WALL_CLOCK_EVERY,
            counters: Counters::default(),
        })
    }

    /// Steps 1 to 5. `inbox` gives the next command, if there is one.
    pub fn run(&mut self, mut inbox: impl FnMut() -> Option<A::Command>) -> Next {
        self.counters.turns += 1;
        self.receive();
        let commands_left = self.take_commands(&mut inbox);
        self.expire();
        let drained = self.drain();
        let more = commands_left || self.ports.iter().any(Port::is_readable);
        match drained {
            Drained::More => Next::Again,
            Drained::Dry | Drained::Blocked if more => Next::Again,
            Drained::Dry if self.is_done() => Next::Done,
            Drained::Dry | Drained::Blocked => Next::Sleep(self.wake_at()),
        }
    }

    /// Whether the application is done and nothing is left to send.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.app.is_done(&self.endpoint) && self.endpoint.is_idle() && self.outbox.is_empty()
    }

    /// Step 1.
    fn receive(&mut self) {
        let (mut calls, mut bytes) = (0, 0);
        self.first = (self.first + 1) % self.ports.len().max(1);
        let (back, front) = self.ports.split_at_mut(self.first);
        for port in front.iter_mut().chain(back) {
            while port.is_readable()
                && calls < limits::RECEIVE_BATCHES_PER_TURN
                && bytes < RECEIVE_BYTES_PER_TURN
            {
                calls += 1;
                let now = self.clock.now();
                let endpoint = &mut self.endpoint;
                let take = |path, ecn, datagram: &mut [u8]| {
                    endpoint.handle_datagram(now, path, ecn, datagram);
                };
                bytes += self.receiver.receive(now, port, &mut self.counters, take).unwrap_or(0);
            }
        }
    }

    /// Step 2. Answers whether there may be more.
    fn take_commands(&mut self, inbox: &mut impl FnMut() -> Option<A::Command>) -> bool {
        for _ in 0..COMMANDS_PER_TURN {
            let Some(command) = inbox() else { return false };
            self.counters.commands += 1;
            self.app.on_command(&mut self.endpoint, self.clock.now(), command);
        }
        true
    }

    /// Step 3.
    fn expire(&mut self) {
        let now = self.clock.now();
        if self.deadline.is_some_and(|at| at <= now) {
            // The next one is known when the output has been drained.
            self.deadline = None;
            self.endpoint.handle_timeout(now);
        }
        if now >= self.wall_clock_due {
            self.wall_clock_due = now + WALL_CLOCK_EVERY;
            self.endpoint.set_wall_clock(now, self.clock.wall());
        }
    }

    /// Steps 4 and 5.
    fn drain(&mut self) -> Drained {
        let mut now = self.clock.now();
        if self.outbox.flush(now, &mut self.ports, &mut self.counters) == Sent::Blocked {
            return Drained::Blocked;
        }
        let (mut runs, mut events) = (0, 0);
        while runs < limits::SENDS_PER_TURN && events < EVENTS_PER_TURN {
            match self.endpoint.poll_output(self.outbox.buffer()) {
                Output::Transmit(transmit) => {
                    runs += 1;
                    let (ports, counters) = (&mut self.ports, &mut self.counters);
                    if self.outbox.put(now, transmit, ports, counters) == Sent::Blocked {
                        return Drained::Blocked;
                    }
                }
                Output::Event(conn, event) => {
                    events += 1;
                    now = self.clock.now();
                    self.counters.events += 1;
                    self.app.on_event(&mut self.endpoint, now, conn, event);
                }
                Output::Wait(deadline) => {
                    self.deadline = deadline.map(|deadline| deadline.at);
                    return Drained::Dry;
                }
            }
        }
        Drained::More
    }

    fn wake_at(&self) -> Option<Instant> {
        let due = self.outbox.due();
        self.deadline.into_iter().chain(due).min()
    }

    /// Takes more sockets. Those in use stay until there are too many.
    ///
    /// # Errors
    /// As [`Turn::new`]; the sockets taken before the one that failed stay.
    pub fn adopt(
        &mut self,
        sockets: Sockets,
        mut wrap: impl FnMut(UdpSocket) -> io::Result<S>,
    ) -> io::Result<()> {
        for socket in sockets.list {
            let port = Port::new(socket, &mut wrap)?;
            if self.ports.len() == MAX_SOCKETS {
                self.ports.remove(0);
            }
            self.ports.push(port);
        }
        Ok(())
    }

    /// The clock.
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// The sockets.
    pub fn ports(&self) -> &[Port<S>] {
        &self.ports
    }

    /// The sockets, to tell them what the runtime knows.
    pub fn ports_mut(&mut self) -> &mut [Port<S>] {
        &mut self.ports
    }

    /// The endpoint and the application, to look at or to command between turns.
    pub const fn parts_mut(&mut self) -> (&mut Endpoint, &mut A) {
        (&mut self.endpoint, &mut self.app)
    }

    /// The application, at the end.
    pub fn into_app(self) -> A {
        self.app
    }

    /// What has been done so far.
    pub const fn counters(&self) -> Counters {
        self.counters
    }
}
