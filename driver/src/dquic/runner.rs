//! Runs both kinds of DQUIC endpoint on one blocking socket.

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anabranch_core::limits::MAX_SEGMENTED;
use anabranch_core::transport::Signal;
use anabranch_core::transport::dquic::classic::{self, Endpoint};
use anabranch_core::transport::dquic::plain::{self, Plain};
use anabranch_core::{ConnId, Path};

use crate::{Clock, SocketOptions};

/// The longest datagram there is, so that none is cut off.
const BUFFER: usize = 65_536;

/// Something that the caller should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The classic endpoint tells it.
    Classic(classic::Event),
    /// A connection of plain streams tells it.
    Plain(ConnId, Signal),
}

/// A socket, a classic endpoint, perhaps one for plain streams, and a clock. The first byte of a
/// datagram says whose it is.
#[derive(Debug)]
pub struct Runner {
    socket: UdpSocket,
    local: SocketAddr,
    classic: Endpoint,
    plain: Option<Plain>,
    clock: Clock,
    buffer: Box<[u8]>,
    /// Datagrams whose time has not come.
    held: VecDeque<Vec<u8>>,
    held_for: Option<(SocketAddr, Instant)>,
}

impl Runner {
    /// Takes a blocking socket.
    ///
    /// # Errors
    /// If the socket does not know its address.
    pub fn new(socket: UdpSocket, classic: Endpoint, plain: Option<Plain>) -> io::Result<Self> {
        let granted = crate::bind::enlarge(&socket, SocketOptions::default());
        log::debug!("socket buffers of {granted:?} bytes");
        let buffer = vec![0; BUFFER.max(MAX_SEGMENTED)].into_boxed_slice();
        let (local, clock) = (socket.local_addr()?, Clock::start());
        let (held, held_for) = (VecDeque::new(), None);
        Ok(Self { socket, local, classic, plain, clock, buffer, held, held_for })
    }

    /// The socket's address.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The classic endpoint, to ask.
    #[must_use]
    pub const fn classic(&self) -> &Endpoint {
        &self.classic
    }

    /// The classic endpoint, to tell it something, and the time to give to it.
    pub fn classic_with_time(&mut self) -> (&mut Endpoint, anabranch_core::Instant) {
        (&mut self.classic, self.clock.now())
    }

    /// The endpoint of plain streams, if there is one, and the time to give to it.
    pub fn plain_with_time(&mut self) -> (Option<&mut Plain>, anabranch_core::Instant) {
        (self.plain.as_mut(), self.clock.now())
    }

    /// Sends and receives until there is an event, or until a point in time: `None` is returned
    /// then. In the past, it sends what is waiting, and receives nothing.
    ///
    /// A datagram that answers a classic event is sent by the next call, so what is acknowledged
    /// has been seen by the caller.
    ///
    /// # Errors
    /// What the system says about the socket. Datagrams that cannot be sent are errors only while
    /// something is being sent to their address: other peers are none of the caller's business.
    pub fn step(&mut self, until: Option<Instant>) -> io::Result<Option<Event>> {
        loop {
            let classic = match self.classic.poll_output(&mut self.buffer) {
                classic::Output::Event(event) => return Ok(Some(Event::Classic(event))),
                classic::Output::Transmit { peer, len } => {
                    self.transmit(peer, 0..len)?;
                    continue;
                }
                classic::Output::Wait(deadline) => deadline,
            };
            let now = Instant::now();
            let plain = match self.poll_plain(now)? {
                Turn::Event(event) => return Ok(Some(event)),
                Turn::Again => continue,
                Turn::Wait(at) => at,
            };
            let classic = classic.and_then(|at| self.clock.to_std(at));
            let deadline = [classic, plain].into_iter().flatten().min();
            if deadline.is_some_and(|at| at <= now) {
                let now = self.clock.now();
                self.classic.handle_timeout(now);
                if let Some(plain) = &mut self.plain {
                    plain.handle_timeout(now);
                }
                continue;
            }
            if until.is_some_and(|at| at <= now) {
                return Ok(None);
            }
            let wake = [deadline, until].into_iter().flatten().min();
            self.receive(wake.map(|at| at.saturating_duration_since(now)))?;
        }
    }

    /// One output of the plain endpoint. Those that are not to be sent yet hold up the others.
    fn poll_plain(&mut self, now: Instant) -> io::Result<Turn> {
        if let Some((peer, at)) = self.held_for {
            if at > now {
                return Ok(Turn::Wait(Some(at)));
            }
            for bytes in std::mem::take(&mut self.held) {
                self.buffer[..bytes.len()].copy_from_slice(&bytes);
                self.transmit(peer, 0..bytes.len())?;
            }
            self.held_for = None;
        }
        let Some(plain) = &mut self.plain else { return Ok(Turn::Wait(None)) };
        let transmit = match plain.poll_output(&mut self.buffer) {
            plain::Output::Signal(id, signal) => {
                return Ok(Turn::Event(Event::Plain(id, signal)));
            }
            plain::Output::Wait(at) => {
                return Ok(Turn::Wait(at.and_then(|at| self.clock.to_std(at))));
            }
            plain::Output::Transmit(transmit) => transmit,
        };
        let peer = transmit.path.remote;
        let step = transmit.segment.unwrap_or(transmit.len).max(1);
        let starts = (0..transmit.len).step_by(step);
        let mut ranges = starts.map(|start| start..transmit.len.min(start + step));
        match transmit.at.and_then(|at| self.clock.to_std(at)).filter(|at| *at > now) {
            Some(at) => {
                self.held = ranges.map(|range| self.buffer[range].to_vec()).collect();
                self.held_for = Some((peer, at));
            }
            None => ranges.try_for_each(|range| self.transmit(peer, range))?,
        }
        Ok(Turn::Again)
    }

    /// Waits for a datagram, for so long.
    fn receive(&mut self, wait: Option<Duration>) -> io::Result<()> {
        // A socket takes no timeout of zero.
        self.socket.set_read_timeout(wait.map(|wait| wait.max(Duration::from_micros(1))))?;
        let (len, remote) = match self.socket.recv_from(&mut self.buffer) {
            Ok(received) => received,
            Err(error) if is_passing(error.kind()) => return Ok(()),
            Err(error) => return Err(error),
        };
        let (now, bytes) = (self.clock.now(), &mut self.buffer[..len]);
        match (&mut self.plain, bytes.first()) {
            (Some(plain), Some(first)) if plain::is_ours(*first) => {
                plain.handle_datagram(now, Path { local: self.local, remote }, bytes);
            }
            _ => self.classic.handle_datagram(now, remote, bytes),
        }
        Ok(())
    }

    fn transmit(&self, peer: SocketAddr, range: std::ops::Range<usize>) -> io::Result<()> {
        match self.socket.send_to(&self.buffer[range], peer) {
            Ok(_) => Ok(()),
            Err(error) => {
                let wanted = self.classic.connection(&peer).is_some_and(|peer| peer.is_sending());
                if wanted && !is_passing(error.kind()) {
                    return Err(error);
                }
                log::debug!("nothing was sent to {peer}: {error}");
                Ok(())
            }
        }
    }
}

/// What the plain endpoint wants.
enum Turn {
    Event(Event),
    /// To be asked again.
    Again,
    Wait(Option<Instant>),
}

/// Nothing that lasts: the time is over, or an earlier datagram met a closed port.
fn is_passing(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::WouldBlock
            | io::ErrorKind::TimedOut
            | io::ErrorKind::Interrupted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
    )
}
