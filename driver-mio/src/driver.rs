//! The loop: five steps of [`Turn`], and the sixth, sleeping.

use std::io;
use std::time::Duration;

use anabranch_core::{App, Endpoint, Instant};
use anabranch_driver::{Clock, Counters, Datagrams, Message, Next, SocketOptions, Sockets, Turn};
use mio::event::Event;
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Registry, Token, Waker};
use quinn_udp::UdpSockRef;

use crate::inbox::{Handle, Inbox};

/// The inbox's waker. Sockets count up from 0.
const INBOX: Token = Token(usize::MAX);
/// Readiness taken from the system at once.
const EVENTS: usize = 64;

/// A socket on the poll.
struct Socket {
    socket: UdpSocket,
    token: Token,
    /// Registered for writability as well, because a send was blocked.
    for_writing: bool,
}

impl Datagrams for Socket {
    fn try_io<R>(&self, io: impl FnOnce(UdpSockRef<'_>) -> io::Result<R>) -> io::Result<R> {
        // mio has to see `WouldBlock` where readiness is not the system's (Windows).
        self.socket.try_io(|| io((&self.socket).into()))
    }
}

/// Runs an application on an endpoint, in the thread that calls it.
pub struct Driver<A: App> {
    turn: Turn<A, Socket>,
    poll: Poll,
    events: Events,
    inbox: Inbox<A::Command>,
    next: Next,
    next_token: usize,
}

impl<A: App> Driver<A> {
    /// Binds sockets; the same as [`Sockets::bind`].
    ///
    /// # Errors
    /// As [`Sockets::bind`].
    pub fn bind(addresses: &[std::net::SocketAddr], options: SocketOptions) -> io::Result<Sockets> {
        Sockets::bind(addresses, options)
    }

    /// A driver, and the way into it. The endpoint's
    /// [`Config::epoch`](anabranch_core::Config::epoch) must come from this clock.
    ///
    /// # Errors
    /// The system gives no poll, or cannot do with a socket what is needed.
    pub fn new(
        clock: Clock,
        endpoint: Endpoint,
        sockets: Sockets,
        app: A,
    ) -> io::Result<(Self, Handle<A::Command>)> {
        let poll = Poll::new()?;
        let (inbox, handle) = Inbox::new(Waker::new(poll.registry(), INBOX)?)?;
        let mut next_token = 0;
        let wrap = |socket| register(poll.registry(), socket, &mut next_token);
        let turn = Turn::new(clock, endpoint, sockets, app, wrap)?;
        let events = Events::with_capacity(EVENTS);
        let driver = Self { turn, poll, events, inbox, next: Next::Again, next_token };
        Ok((driver, handle))
    }

    /// Makes turns until the application is done and nothing is left to send.
    ///
    /// # Errors
    /// The poll failed. A failing socket is no reason: that is counted, and logged.
    pub fn run(&mut self) -> io::Result<()> {
        while self.turn(None)? {}
        Ok(())
    }

    /// Makes one turn, for a program that has a loop of its own. It sleeps first, if there is
    /// nothing to do, at most for `max_wait` (`None`: as long as it takes). Answers false when
    /// the application is done and nothing is left to send.
    ///
    /// # Errors
    /// The poll failed.
    pub fn turn(&mut self, max_wait: Option<Duration>) -> io::Result<bool> {
        self.sleep(max_wait)?;
        let Self { turn, inbox, poll, next_token, .. } = self;
        let mut adopted = None;
        // A command may count on sockets that were sent before it: those end the turn's commands.
        self.next = turn.run(|| match inbox.take()? {
            Message::Command(command) => Some(command),
            Message::Adopt(sockets) => {
                adopted = Some(sockets);
                None
            }
        });
        if let Some(sockets) = adopted {
            let adopt = turn.adopt(sockets, |socket| register(poll.registry(), socket, next_token));
            if let Err(e) = adopt {
                log::error!("new sockets cannot be used: {e}");
            }
            self.next = Next::Again;
        }
        if self.inbox.has_taken() {
            self.next = Next::Again;
        }
        Ok(self.next != Next::Done)
    }

    /// Step 6.
    fn sleep(&mut self, max_wait: Option<Duration>) -> io::Result<()> {
        self.watch_blocked()?;
        let wait = match self.next {
            Next::Again | Next::Done => Some(Duration::ZERO),
            Next::Sleep(None) => max_wait,
            Next::Sleep(Some(at)) => {
                let left = at.since(self.turn.clock().now());
                Some(max_wait.map_or(left, |max| max.min(left)))
            }
        };
        match self.poll.poll(&mut self.events, wait) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return Ok(()),
            Err(e) => return Err(e),
        }
        for event in &self.events {
            mark(&mut self.turn, event);
        }
        Ok(())
    }

    /// Asks for writability only where a send is blocked: a socket that is registered for it
    /// wakes the loop with every datagram that leaves.
    fn watch_blocked(&mut self) -> io::Result<()> {
        for port in self.turn.ports_mut() {
            let blocked = port.is_blocked();
            let socket = port.socket_mut();
            if socket.for_writing != blocked {
                let interest = Interest::READABLE;
                let interest = if blocked { interest | Interest::WRITABLE } else { interest };
                self.poll.registry().reregister(&mut socket.socket, socket.token, interest)?;
                socket.for_writing = blocked;
            }
        }
        Ok(())
    }

    /// The time on the driver's clock.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.turn.clock().now()
    }

    /// The endpoint and the application, to look at or to command between turns.
    pub const fn parts_mut(&mut self) -> (&mut Endpoint, &mut A) {
        self.turn.parts_mut()
    }

    /// The application, at the end.
    #[must_use]
    pub fn into_app(self) -> A {
        self.turn.into_app()
    }

    /// What has been done so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.turn.counters()
    }
}

fn register(
    registry: &Registry,
    socket: std::net::UdpSocket,
    next_token: &mut usize,
) -> io::Result<Socket> {
    let mut socket = UdpSocket::from_std(socket);
    let token = Token(*next_token);
    *next_token += 1;
    registry.register(&mut socket, token, Interest::READABLE)?;
    Ok(Socket { socket, token, for_writing: false })
}

fn mark<A: App>(turn: &mut Turn<A, Socket>, event: &Event) {
    let port = turn.ports_mut().iter_mut().find(|port| port.socket().token == event.token());
    let Some(port) = port else { return };
    // An error is told by the next call.
    if event.is_readable() || event.is_error() {
        port.set_readable();
    }
    if event.is_writable() || event.is_error() {
        port.set_writable();
    }
}
