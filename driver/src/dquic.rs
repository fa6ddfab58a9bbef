//! Classic DQUIC on a blocking socket, with the calls its users know: [`Dquic::bind`],
//! [`Dquic::send_to`], [`Dquic::receive_from`], [`Dquic::close`].
//!
//! Nothing is encrypted, and nobody is who they say they are: for loopback and laboratories.
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::thread;
//!
//! use anabranch_driver::dquic::Dquic;
//!
//! # fn main() -> std::io::Result<()> {
//! let mut server = Dquic::bind("127.0.0.1:0")?;
//! let address = server.local_addr();
//! let echo = thread::spawn(move || {
//!     let (peer, streams) = server.receive_from(65_536)?;
//!     server.send_to(peer, &streams)
//! });
//!
//! let mut client = Dquic::bind("127.0.0.1:0")?;
//! let streams = BTreeMap::from([(1, b"one".to_vec()), (2, b"two".to_vec())]);
//! assert_eq!(client.send_to(address, &streams)?, 6);
//! let (peer, answer) = client.receive_from(65_536)?;
//! assert_eq!((peer, answer), (address, streams));
//!
//! let connection = client.connection(address).expect("an address we have met");
//! assert_eq!(connection.stream_bytes_sent(1), 3);
//! assert_eq!(connection.received_packet_number(), 1);
//! client.close();
//! # echo.join().expect("the server's thread")?;
//! # Ok(())
//! # }
//! ```

mod runner;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::time::{Duration, Instant};

use anabranch_core::Misuse;
use anabranch_core::limits::MAX_CLASSIC_WAITING;
use anabranch_core::transport::dquic::classic::{
    Config, Connection, Counters, End, Endpoint, Event, Layout, Refused, Report, Why,
};

pub use runner::{Event as Happened, Runner};

/// A socket for classic DQUIC.
#[derive(Debug)]
pub struct Dquic {
    runner: Runner,
    layout: Layout,
    timeout: Option<Duration>,
    waiting: VecDeque<(SocketAddr, BTreeMap<u32, Vec<u8>>)>,
}

impl Dquic {
    /// A socket at an address; port 0 lets the system choose the port.
    ///
    /// # Errors
    /// What the system says: the port is taken, for example.
    pub fn bind(address: impl ToSocketAddrs) -> io::Result<Self> {
        let endpoint = Endpoint::new(Config::default(), &crate::seed()?);
        let runner = Runner::new(UdpSocket::bind(address)?, endpoint, None)?;
        let (layout, timeout, waiting) = (Layout::default(), None, VecDeque::new());
        Ok(Self { runner, layout, timeout, waiting })
    }

    /// Its address.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.runner.local_addr()
    }

    /// The form of the frames that [`Dquic::send_to`] sends. Frames that come may have either,
    /// and are answered in the same.
    pub const fn set_layout(&mut self, layout: Layout) {
        self.layout = layout;
    }

    /// How long [`Dquic::receive_from`] waits. `None`, the default: for ever.
    pub const fn set_receive_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
    }

    /// What is known of an address: packet numbers, and the bytes of each stream.
    #[must_use]
    pub fn connection(&self, address: SocketAddr) -> Option<&Connection> {
        self.runner.classic().connection(&address)
    }

    /// What came and led to nothing.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.runner.classic().counters()
    }

    /// Sends the bytes of each stream, and returns when all of them have been acknowledged, with
    /// their number. Packets that come meanwhile are acknowledged, and wait for
    /// [`Dquic::receive_from`].
    ///
    /// Each call sends its streams from byte 0, so a peer takes a stream from the same socket
    /// once.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] if nobody answers (after 10 s),
    /// [`io::ErrorKind::AlreadyExists`] if the peer has bytes of such a stream already,
    /// [`io::ErrorKind::InvalidInput`] for too many streams or too long ones, and what the system
    /// says. The first three have a [`Why`] or [`Refused`] inside.
    pub fn send_to(
        &mut self,
        address: SocketAddr,
        streams: &BTreeMap<u32, Vec<u8>>,
    ) -> io::Result<u64> {
        let ids: Vec<u32> = streams.keys().copied().collect();
        let (endpoint, now) = self.runner.classic_with_time();
        endpoint.send(now, address, self.layout, &ids).map_err(refused)?;
        let sent = self.send_all(address, streams);
        if sent.is_err() {
            let (endpoint, now) = self.runner.classic_with_time();
            endpoint.cancel(now, address);
        }
        self.settle()?;
        sent.map(|report| report.bytes())
    }

    fn send_all(
        &mut self,
        address: SocketAddr,
        streams: &BTreeMap<u32, Vec<u8>>,
    ) -> io::Result<Report> {
        loop {
            let room = self.waiting.len() < MAX_CLASSIC_WAITING;
            self.runner.classic_with_time().0.set_accepting(room);
            match self.step(None)? {
                Some(Event::Wanted { peer, stream, offset, len }) => {
                    let all = streams.get(&stream).map(Vec::as_slice).unwrap_or_default();
                    let piece = piece(all, offset, len);
                    let (endpoint, now) = self.runner.classic_with_time();
                    let given = endpoint.supply(now, peer, stream, offset, piece.to_vec().into());
                    given.map_err(misused)?;
                }
                Some(Event::Sent { peer, report }) if peer == address => return Ok(report),
                Some(Event::Failed { peer, why, .. }) if peer == address => {
                    return Err(failed(why));
                }
                Some(event) => self.note(event),
                None => {}
            }
        }
    }

    /// Waits for a packet, acknowledges it, and returns who sent it and its data by stream. A
    /// stream's data come as they are in the packet: a repetition is returned again, and what is
    /// too early is returned too, though only the next bytes in order count as received. A packet
    /// that declares more than `max_bytes` is returned up to there, and not acknowledged.
    ///
    /// # Errors
    /// [`io::ErrorKind::TimedOut`] after [`Dquic::set_receive_timeout`], and what the system says.
    pub fn receive_from(
        &mut self,
        max_bytes: usize,
    ) -> io::Result<(SocketAddr, BTreeMap<u32, Vec<u8>>)> {
        let until = self.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let (endpoint, _) = self.runner.classic_with_time();
        endpoint.set_max_bytes(u64::try_from(max_bytes).unwrap_or(u64::MAX));
        endpoint.set_accepting(true);
        loop {
            if let Some(packet) = self.waiting.pop_front() {
                return Ok(packet);
            }
            let Some(event) = self.step(until)? else {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "nothing has come"));
            };
            self.note(event);
            self.settle()?;
        }
    }

    /// Closes the socket. The peers are not told: the protocol has no way to.
    pub fn close(self) {}

    /// One event, or `None` if there is none until then.
    fn step(&mut self, until: Option<Instant>) -> io::Result<Option<Event>> {
        Ok(match self.runner.step(until)? {
            Some(Happened::Classic(event)) => Some(event),
            Some(Happened::Plain(..)) | None => None,
        })
    }

    /// Sends what waits to be sent, and receives nothing.
    fn settle(&mut self) -> io::Result<()> {
        while let Some(event) = self.step(Some(Instant::now()))? {
            self.note(event);
        }
        Ok(())
    }

    /// Keeps a packet that has come for [`Dquic::receive_from`].
    fn note(&mut self, event: Event) {
        match event {
            Event::Received(packet) => match packet.end {
                End::Complete | End::TooMuch => self.waiting.push_back((packet.peer, packet.map())),
                End::Cut | End::Overflow => {
                    log::debug!("a packet of {} is passed over: {:?}", packet.peer, packet.end);
                }
            },
            Event::Quiet { .. }
            | Event::Broken { .. }
            | Event::Forgotten { .. }
            | Event::Wanted { .. }
            | Event::Sent { .. }
            | Event::Failed { .. } => {}
        }
    }
}

/// At most `len` bytes from a place on.
fn piece(all: &[u8], offset: u64, len: usize) -> &[u8] {
    let from = usize::try_from(offset).unwrap_or(usize::MAX).min(all.len());
    let end = from.saturating_add(len).min(all.len());
    &all[from..end]
}

fn failed(why: Why) -> io::Error {
    let kind = match why {
        Why::Silent { .. } => io::ErrorKind::TimedOut,
        Why::AlreadyThere { .. } => io::ErrorKind::AlreadyExists,
        Why::Stuck => io::ErrorKind::InvalidData,
        Why::TooLong { .. } => io::ErrorKind::InvalidInput,
        Why::Cancelled => io::ErrorKind::Interrupted,
    };
    io::Error::new(kind, why)
}

fn refused(refused: Refused) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, refused)
}

fn misused(misuse: Misuse) -> io::Error {
    io::Error::other(misuse)
}
