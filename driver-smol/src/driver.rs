//! The loop: five steps of [`Turn`], and the sixth, awaiting.

use std::future::{Future as _, poll_fn};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use anabranch_core::{App, Endpoint, Instant};
use anabranch_driver::{Clock, Counters, Datagrams, Message, Next, SocketOptions, Sockets, Turn};
use quinn_udp::UdpSockRef;
use smol::channel::Receiver;
use smol::future::yield_now;
use smol::stream::Stream as _;
use smol::{Async, Timer};

use crate::inbox::{Handle, inbox};

/// A socket on smol's reactor.
struct Socket(Async<UdpSocket>);

impl Datagrams for Socket {
    fn try_io<R>(&self, io: impl FnOnce(UdpSockRef<'_>) -> io::Result<R>) -> io::Result<R> {
        io(self.0.get_ref().into())
    }
}

fn wrap(socket: UdpSocket) -> io::Result<Socket> {
    Async::new_nonblocking(socket).map(Socket)
}

/// Runs an application on an endpoint, in the task that awaits [`Driver::run`].
pub struct Driver<A: App> {
    turn: Turn<A, Socket>,
    inbox: Inbox<A::Command>,
    alarm: Alarm,
}

/// The loop's end of the inbox.
struct Inbox<C> {
    receiver: Pin<Box<Receiver<Message<C>>>>,
    /// Taken out by waiting for it.
    first: Option<Message<C>>,
    /// Every handle is gone: there is nothing to wait for.
    closed: bool,
}

/// One timer, set anew only when the deadline changes.
struct Alarm {
    timer: Timer,
    at: Option<Instant>,
}

impl<A: App> Driver<A> {
    /// Binds sockets; the same as [`Sockets::bind`].
    ///
    /// # Errors
    /// As [`Sockets::bind`].
    pub fn bind(addresses: &[SocketAddr], options: SocketOptions) -> io::Result<Sockets> {
        Sockets::bind(addresses, options)
    }

    /// A driver, and the way into it. The endpoint's
    /// [`Config::epoch`](anabranch_core::Config::epoch) must come from this clock.
    ///
    /// # Errors
    /// The system cannot do with a socket what is needed.
    pub fn new(
        clock: Clock,
        endpoint: Endpoint,
        sockets: Sockets,
        app: A,
    ) -> io::Result<(Self, Handle<A::Command>)> {
        let (handle, receiver) = inbox();
        let turn = Turn::new(clock, endpoint, sockets, app, wrap)?;
        let inbox = Inbox { receiver: Box::pin(receiver), first: None, closed: false };
        let alarm = Alarm { timer: Timer::never(), at: None };
        Ok((Self { turn, inbox, alarm }, handle))
    }

    /// Makes turns until the application is done and nothing is left to send. Dropping the
    /// future stops between two turns, and running again goes on from there.
    ///
    /// # Errors
    /// smol's reactor failed. A failing socket is no reason: that is counted, and logged.
    pub async fn run(&mut self) -> io::Result<()> {
        loop {
            match self.step() {
                Next::Done => return Ok(()),
                Next::Again => {
                    // A try costs less than asking the reactor. Where there is nothing after
                    // all, the turn after this sleeps.
                    for port in self.turn.ports_mut() {
                        port.set_readable();
                        port.set_writable();
                    }
                    yield_now().await;
                }
                Next::Sleep(until) => {
                    self.alarm.set(self.turn.clock(), until);
                    poll_fn(|cx| self.poll_work(cx)).await?;
                }
            }
        }
    }

    /// Steps 1 to 5.
    fn step(&mut self) -> Next {
        let mut adopted = None;
        let inbox = &mut self.inbox;
        // A command may count on sockets that were sent before it: those end the turn's commands.
        let next = self.turn.run(|| match inbox.take()? {
            Message::Command(command) => Some(command),
            Message::Adopt(sockets) => {
                adopted = Some(sockets);
                None
            }
        });
        let Some(sockets) = adopted else { return next };
        if let Err(e) = self.turn.adopt(sockets, wrap) {
            log::error!("new sockets cannot be used: {e}");
        }
        Next::Again
    }

    /// Step 6: ready when there is something to do.
    fn poll_work(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut woken = false;
        for port in self.turn.ports_mut() {
            if !port.is_readable()
                && let Poll::Ready(answer) = port.socket().0.poll_readable(cx)
            {
                answer?;
                port.set_readable();
                woken = true;
            }
            if port.is_blocked()
                && let Poll::Ready(answer) = port.socket().0.poll_writable(cx)
            {
                answer?;
                port.set_writable();
                woken = true;
            }
        }
        woken |= self.inbox.poll(cx).is_ready();
        woken |= self.alarm.poll(cx).is_ready();
        if woken { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// The time on the driver's clock.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.turn.clock().now()
    }

    /// The endpoint and the application, to look at or to command before it runs.
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

impl<C> Inbox<C> {
    fn take(&mut self) -> Option<Message<C>> {
        self.first.take().or_else(|| self.receiver.try_recv().ok())
    }

    /// Ready when there is a message, and once when every handle is gone.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.closed {
            return Poll::Pending;
        }
        self.first = ready!(self.receiver.as_mut().poll_next(cx));
        self.closed = self.first.is_none();
        Poll::Ready(())
    }
}

impl Alarm {
    fn set(&mut self, clock: Clock, at: Option<Instant>) {
        if self.at == at {
            return;
        }
        self.at = at;
        match at.and_then(|at| clock.to_std(at)) {
            Some(at) => self.timer.set_at(at),
            None => self.timer = Timer::never(),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.at.is_none() {
            return Poll::Pending;
        }
        ready!(Pin::new(&mut self.timer).poll(cx));
        self.at = None;
        Poll::Ready(())
    }
}
