//! Runs a classic endpoint on a blocking socket.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anabranch_core::limits::MAX_SEGMENTED;
use anabranch_core::transport::dquic::classic::{Endpoint, Event, Output};

use crate::Clock;

/// The longest datagram there is, so that none is cut off.
const BUFFER: usize = 65_536;

/// A socket, an endpoint, and a clock.
#[derive(Debug)]
pub struct Runner {
    socket: UdpSocket,
    endpoint: Endpoint,
    clock: Clock,
    buffer: Box<[u8]>,
}

impl Runner {
    /// Takes a blocking socket.
    #[must_use]
    pub fn new(socket: UdpSocket, endpoint: Endpoint) -> Self {
        let buffer = vec![0; BUFFER.max(MAX_SEGMENTED)].into_boxed_slice();
        Self { socket, endpoint, clock: Clock::start(), buffer }
    }

    /// The socket.
    #[must_use]
    pub const fn socket(&self) -> &UdpSocket {
        &self.socket
    }

    /// The endpoint, to ask.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The endpoint, to tell it something, and the time to give to it.
    pub fn with_time(&mut self) -> (&mut Endpoint, anabranch_core::Instant) {
        (&mut self.endpoint, self.clock.now())
    }

    /// Sends and receives until there is an event, or until a point in time: `None` is returned
    /// then. In the past, it sends what is waiting, and receives nothing.
    ///
    /// A datagram that answers an event is sent by the next call, so what is acknowledged has been
    /// seen by the caller.
    ///
    /// # Errors
    /// What the system says about the socket. Datagrams that cannot be sent are errors only while
    /// something is being sent to their address: other peers are none of the caller's business.
    pub fn step(&mut self, until: Option<Instant>) -> io::Result<Option<Event>> {
        loop {
            let deadline = match self.endpoint.poll_output(&mut self.buffer) {
                Output::Event(event) => return Ok(Some(event)),
                Output::Transmit { peer, len } => {
                    self.transmit(peer, len)?;
                    continue;
                }
                Output::Wait(deadline) => deadline,
            };
            let now = Instant::now();
            let deadline = deadline.and_then(|at| self.clock.to_std(at));
            if deadline.is_some_and(|at| at <= now) {
                self.endpoint.handle_timeout(self.clock.now());
                continue;
            }
            if until.is_some_and(|at| at <= now) {
                return Ok(None);
            }
            let wake = [deadline, until].into_iter().flatten().min();
            self.receive(wake.map(|at| at.saturating_duration_since(now)))?;
        }
    }

    /// Waits for a datagram, for so long.
    fn receive(&mut self, wait: Option<Duration>) -> io::Result<()> {
        // A socket takes no timeout of zero.
        self.socket.set_read_timeout(wait.map(|wait| wait.max(Duration::from_micros(1))))?;
        match self.socket.recv_from(&mut self.buffer) {
            Ok((len, peer)) => {
                self.endpoint.handle_datagram(self.clock.now(), peer, &self.buffer[..len]);
                Ok(())
            }
            Err(error) if is_passing(error.kind()) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn transmit(&self, peer: SocketAddr, len: usize) -> io::Result<()> {
        match self.socket.send_to(&self.buffer[..len], peer) {
            Ok(_) => Ok(()),
            Err(error) => {
                let wanted = self.endpoint.connection(&peer).is_some_and(|peer| peer.is_sending());
                if wanted && !is_passing(error.kind()) {
                    return Err(error);
                }
                log::debug!("nothing was sent to {peer}: {error}");
                Ok(())
            }
        }
    }
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
