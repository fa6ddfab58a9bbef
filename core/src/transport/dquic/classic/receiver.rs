//! The receiving side alone, for whoever has the packets of one sender already: from a capture,
//! or from a socket of their own.

use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;

use super::inbound::{Inbound, Reading};
use super::packet::{Header, SHORT};
use super::{IdleMap, Layout};
use crate::limits::MAX_CLASSIC_STREAMS;
use crate::time::Instant;

/// What one receiver knows of one sender. It answers exactly as [`super::Endpoint`] does.
#[derive(Clone, Debug)]
pub struct Receiver {
    layout: Layout,
    max_bytes: u64,
    streams: IdleMap<u32, Inbound>,
}

impl Receiver {
    /// Of a sender from which nothing has come. `max_bytes` is the data taken of one packet.
    #[must_use]
    pub const fn new(layout: Layout, max_bytes: u64) -> Self {
        Self { layout, max_bytes, streams: IdleMap::new(MAX_CLASSIC_STREAMS) }
    }

    /// Takes a datagram. The datagram that acknowledges it, if it gets one.
    pub fn receive(&mut self, datagram: &[u8]) -> Option<Vec<u8>> {
        let (header, payload) = Header::split(datagram).ok()?;
        if header.packet_type != SHORT {
            return None;
        }
        let reading = Reading {
            now: Instant::ZERO,
            peer: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            header,
            layout: self.layout,
            payload: &Bytes::copy_from_slice(payload),
            max_bytes: self.max_bytes,
        };
        reading.receive(&mut self.streams).answer
    }

    /// The streams that have come, and the bytes of each that are acknowledged.
    pub fn acknowledged(&self) -> impl Iterator<Item = (u32, u64)> {
        self.streams.iter().map(|(id, stream)| (*id, stream.acknowledged()))
    }

    /// Goes on with a stream of which so many bytes have come before.
    pub fn resume(&mut self, stream: u32, bytes: u64) {
        let (stream, _) = self.streams.touch(stream, || Inbound::new(Instant::ZERO));
        *stream = Inbound::resumed(Instant::ZERO, bytes);
    }
}
