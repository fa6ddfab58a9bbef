//! What is kept of one address.

use std::net::SocketAddr;

use super::inbound::Inbound;
use super::transfer::Transfer;
use super::{IdleMap, Layout};
use crate::limits::MAX_CLASSIC_STREAMS;

/// One address that packets come from or go to.
///
/// There is no handshake and no end: it begins with the first packet in either direction.
#[derive(Debug)]
pub struct Connection {
    peer: SocketAddr,
    layout: Option<Layout>,
    /// The last packet spoke for the other layout.
    doubtful: bool,
    pub(super) sent_packet_number: u32,
    pub(super) received_packet_number: u32,
    pub(super) inbound: IdleMap<u32, Inbound>,
    /// Bytes of each stream that the peer has acknowledged.
    pub(super) outbound: IdleMap<u32, u64>,
    pub(super) transfer: Option<Transfer>,
}

impl Connection {
    pub(super) const fn new(peer: SocketAddr) -> Self {
        Self {
            peer,
            layout: None,
            doubtful: false,
            sent_packet_number: 0,
            received_packet_number: 0,
            inbound: IdleMap::new(MAX_CLASSIC_STREAMS),
            outbound: IdleMap::new(MAX_CLASSIC_STREAMS),
            transfer: None,
        }
    }

    /// The peer's address.
    #[must_use]
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// The form of the frames that came from it, if that is known.
    #[must_use]
    pub const fn layout(&self) -> Option<Layout> {
        self.layout
    }

    /// The layout to read a packet with. A damaged packet can look like a whole one of the other
    /// layout, so an address changes its layout with the second such packet in a row.
    pub(super) fn recognise(&mut self, payload: &[u8]) -> Layout {
        let seen = Layout::recognise(payload, self.layout);
        let Some(before) = self.layout.filter(|before| *before != seen) else {
            self.doubtful = false;
            return seen;
        };
        self.doubtful = !self.doubtful;
        if self.doubtful { before } else { seen }
    }

    /// Remembers the layout, if the packet is enough to tell it by.
    pub(super) fn remember(&mut self, layout: Layout, payload: &[u8]) {
        if layout.fits(payload) {
            self.layout = Some(layout);
        }
    }

    /// The number of the next packet to this address: how many packets were sent,
    /// acknowledgements included (AB-K9). It starts again at 0 after 2^32 - 1.
    #[must_use]
    pub const fn sent_packet_number(&self) -> u32 {
        self.sent_packet_number
    }

    /// How many data packets have come from this address, repetitions included.
    #[must_use]
    pub const fn received_packet_number(&self) -> u32 {
        self.received_packet_number
    }

    /// Bytes of a stream that this address has acknowledged, as far as is known.
    #[must_use]
    pub fn stream_bytes_sent(&self, stream: u32) -> u64 {
        self.outbound.get(&stream).copied().unwrap_or(0)
    }

    /// Bytes of a stream that came from this address and were acknowledged.
    #[must_use]
    pub fn stream_bytes_acknowledged(&self, stream: u32) -> u64 {
        self.inbound.get(&stream).map_or(0, Inbound::acknowledged)
    }

    /// A stream that has come from this address.
    #[must_use]
    pub fn received_stream(&self, stream: u32) -> Option<&Inbound> {
        self.inbound.get(&stream)
    }

    /// Every stream that has come from this address.
    pub fn received_streams(&self) -> impl Iterator<Item = (u32, &Inbound)> {
        self.inbound.iter().map(|(id, stream)| (*id, stream))
    }

    /// Something is being sent to this address.
    #[must_use]
    pub const fn is_sending(&self) -> bool {
        self.transfer.is_some()
    }

    /// Bytes of the sending under way that were acknowledged.
    #[must_use]
    pub fn bytes_sending(&self) -> u64 {
        let acknowledged = self.transfer.iter().flat_map(Transfer::acknowledged);
        acknowledged.map(|(_, bytes)| bytes).sum()
    }

    /// What the sending under way has done so far.
    #[must_use]
    pub fn report(&self) -> Option<super::Report> {
        self.transfer.as_ref().map(Transfer::report)
    }

    /// What is kept of streams, for the limit on all of them together.
    pub(super) fn streams(&self) -> usize {
        self.inbound.len() + self.outbound.len()
    }
}
