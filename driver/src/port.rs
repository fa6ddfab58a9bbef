//! One socket, and what is known about it.
//!
//! Segmentation offload (several datagrams in one call) is what makes bulk transfer fast, and
//! the socket layer gives it up for good at the first EINVAL or EIO from *any* send. One
//! datagram from port 0, answered, is enough. So nothing is ever sent to port 0 or from an
//! address that is none ([`crate::receive`] drops what would cause it), and when offload is given
//! up all the same (an address of ours was removed, say), it is tried again after a while.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use anabranch_core::{Ecn, Instant, Transmit};
use quinn_udp::{EcnCodepoint, UdpSockRef, UdpSocketState};
use socket2::SockRef;

use crate::address;
use crate::counters::Counters;

/// How often offload is tried again, and how often one kind of trouble is logged.
const ONCE_IN: Duration = Duration::from_secs(60);
/// Receive calls that may fail in a row before the socket is left alone until the runtime calls
/// it readable again. Each takes one error off the socket's queue; a socket that only fails must
/// not keep the loop busy.
const MAX_FAILURES: u8 = 16;

/// A non-blocking UDP socket of some runtime.
pub trait Datagrams {
    /// Calls `io` with the socket. What it answers is passed on; a runtime that has to know
    /// about [`io::ErrorKind::WouldBlock`] sees it here.
    ///
    /// # Errors
    /// Those of `io`.
    fn try_io<R>(&self, io: impl FnOnce(UdpSockRef<'_>) -> io::Result<R>) -> io::Result<R>;
}

impl Datagrams for UdpSocket {
    fn try_io<R>(&self, io: impl FnOnce(UdpSockRef<'_>) -> io::Result<R>) -> io::Result<R> {
        io(self.into())
    }
}

/// A socket of a [`Turn`](crate::Turn), with its readiness.
#[derive(Debug)]
pub struct Port<S> {
    socket: S,
    state: UdpSocketState,
    local: SocketAddr,
    is_v6: bool,
    only_v6: bool,
    readable: bool,
    blocked: bool,
    failures: u8,
    offload: usize,
    retry_offload: Instant,
    send_trouble: Muted,
    receive_trouble: Muted,
}

impl<S: Datagrams> Port<S> {
    /// Takes over a bound socket. `wrap` makes the runtime's socket of it.
    pub(crate) fn new(
        socket: UdpSocket,
        wrap: impl FnOnce(UdpSocket) -> io::Result<S>,
    ) -> io::Result<Self> {
        let bound = socket.local_addr()?;
        let only_v6 = bound.is_ipv6() && SockRef::from(&socket).only_v6().unwrap_or(true);
        let state = UdpSocketState::new((&socket).into())?;
        Ok(Self {
            offload: state.max_gso_segments(),
            state,
            local: address::normal(bound),
            is_v6: bound.is_ipv6(),
            only_v6,
            // Something may have come before the runtime looked.
            readable: true,
            blocked: false,
            failures: 0,
            retry_offload: Instant::ZERO,
            send_trouble: Muted::default(),
            receive_trouble: Muted::default(),
            socket: wrap(socket)?,
        })
    }

    /// The runtime's socket.
    pub const fn socket(&self) -> &S {
        &self.socket
    }

    /// The runtime's socket, to register it.
    pub const fn socket_mut(&mut self) -> &mut S {
        &mut self.socket
    }

    /// The address it is bound to.
    pub const fn local(&self) -> SocketAddr {
        self.local
    }

    /// Whether it may have something to read. True until a receive call would block.
    pub const fn is_readable(&self) -> bool {
        self.readable
    }

    /// Whether a send call would have blocked, and it has not been writable since.
    pub const fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// The runtime says that it is readable.
    pub const fn set_readable(&mut self) {
        self.readable = true;
    }

    /// The runtime says that it is writable.
    pub const fn set_writable(&mut self) {
        self.blocked = false;
    }

    /// How well it suits a local address: lower is better, `None` is not at all.
    pub(crate) fn suits(&self, local: SocketAddr) -> Option<u8> {
        if self.local.port() != local.port() {
            return None;
        }
        match (self.local.ip() == local.ip(), self.local.ip().is_unspecified()) {
            (true, _) => Some(0),
            (false, true) if self.local.is_ipv4() == local.is_ipv4() => Some(1),
            (false, true) if self.is_v6 && !self.only_v6 => Some(2),
            (false, _) => None,
        }
    }

    /// The real local address of a datagram, from where the system says it was sent to.
    pub(crate) fn local_of(&self, sent_to: Option<std::net::IpAddr>) -> SocketAddr {
        match sent_to {
            Some(ip) if self.local.ip().is_unspecified() => {
                address::normal(SocketAddr::new(ip, self.local.port()))
            }
            Some(_) | None => self.local,
        }
    }

    /// One receive call. `None` if there is nothing more, for now.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        buffers: &mut [io::IoSliceMut<'_>],
        meta: &mut [quinn_udp::RecvMeta],
        counters: &mut Counters,
    ) -> Option<usize> {
        match self.socket.try_io(|socket| self.state.recv(socket, buffers, meta)) {
            Ok(count) => {
                self.failures = 0;
                Some(count)
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                None
            }
            // An error that came back from the network for something sent before. It has been
            // taken off the socket by being told, and the next call goes on.
            Err(e) => {
                counters.receive_errors += 1;
                self.failures += 1;
                if self.failures >= MAX_FAILURES {
                    self.failures = 0;
                    self.readable = false;
                }
                let local = self.local;
                self.receive_trouble.say(now, || format!("receiving on {local}: {e}"));
                Some(0)
            }
        }
    }

    /// Sends `bytes` from `done` on, in as few calls as possible. Returns how far it came: to
    /// the end, or to where the socket's buffer was full.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        transmit: &Transmit,
        bytes: &[u8],
        mut done: usize,
        counters: &mut Counters,
    ) -> usize {
        let segment = transmit.segment.unwrap_or(bytes.len()).max(1);
        while done < bytes.len() {
            self.restore_offload(now, counters);
            let offload = self.state.max_gso_segments().max(1);
            let end = bytes.len().min(done.saturating_add(segment.saturating_mul(offload)));
            let piece = &bytes[done..end];
            match self.send_once(transmit, piece, segment) {
                Ok(()) => {
                    counters.sends += 1;
                    counters.datagrams_sent += piece.len().div_ceil(segment) as u64;
                    counters.bytes_sent += piece.len() as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    counters.blocked += 1;
                    self.blocked = true;
                    return done;
                }
                // Offload was given up in this very call: the same bytes, one by one.
                Err(_) if piece.len() > segment && self.state.max_gso_segments() < offload => {
                    continue;
                }
                Err(e) => self.lost(now, transmit, &e, counters),
            }
            done = end;
        }
        done
    }

    fn send_once(&self, transmit: &Transmit, piece: &[u8], segment: usize) -> io::Result<()> {
        let wildcard = self.local.ip().is_unspecified();
        let out = quinn_udp::Transmit {
            destination: address::for_socket(transmit.path.remote, self.is_v6),
            ecn: transmit.ecn.map(|ecn| match ecn {
                Ecn::Ect0 => EcnCodepoint::Ect0,
                Ecn::Ect1 => EcnCodepoint::Ect1,
                Ecn::Ce => EcnCodepoint::Ce,
            }),
            contents: piece,
            segment_size: (piece.len() > segment).then_some(segment),
            src_ip: wildcard.then_some(transmit.path.local.ip()),
        };
        self.socket.try_io(|socket| self.state.try_send(socket, &out))
    }

    /// UDP loses datagrams, and the transport lives with that: nothing here is fatal.
    fn lost(&mut self, now: Instant, transmit: &Transmit, e: &io::Error, counters: &mut Counters) {
        if quinn_udp::is_msg_size_err(e) {
            counters.too_big += 1;
            return;
        }
        counters.send_errors += 1;
        let path = transmit.path;
        self.send_trouble.say(now, || format!("sending on {path:?}: {e}"));
    }

    fn restore_offload(&mut self, now: Instant, counters: &mut Counters) {
        if self.state.max_gso_segments() >= self.offload || now < self.retry_offload {
            return;
        }
        self.retry_offload = now + ONCE_IN;
        counters.offload_retried += 1;
        match self.socket.try_io(UdpSocketState::new) {
            Ok(state) => self.state = state,
            Err(e) => log::warn!("segmentation offload on {} stays off: {e}", self.local),
        }
    }
}

/// Says the same thing at most once a minute.
#[derive(Debug, Default)]
pub(crate) struct Muted {
    until: Option<Instant>,
    unsaid: u64,
}

impl Muted {
    pub(crate) fn say(&mut self, now: Instant, text: impl FnOnce() -> String) {
        if self.until.is_some_and(|until| now < until) {
            self.unsaid += 1;
            return;
        }
        match self.unsaid {
            0 => log::warn!("{}", text()),
            more => log::warn!("{} (and {more} more since the last report)", text()),
        }
        *self = Self { until: Some(now + ONCE_IN), unsaid: 0 };
    }
}

#[cfg(test)]
pub(crate) mod tests;
