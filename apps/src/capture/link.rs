//! From the link layer's frame to the UDP datagram in it.

use std::net::{IpAddr, SocketAddr};

use etherparse::{EtherType, IpNumber, LaxNetSlice, LaxSlicedPacket, UdpSlice};

/// What a packet holds.
pub(super) enum Found<'a> {
    /// A whole datagram, or the beginning of one.
    Udp { from: SocketAddr, to: SocketAddr, payload: &'a [u8], length: usize },
    /// A part of one.
    Fragment(Fragment<'a>),
    /// Another protocol, or nothing that can be understood.
    Other,
    /// This link type is not known here.
    UnknownLink,
}

/// A part of an IP packet with UDP in it (RFC 791 section 3.2, RFC 8200 section 4.5).
pub(super) struct Fragment<'a> {
    pub(super) from: IpAddr,
    pub(super) to: IpAddr,
    pub(super) id: u32,
    pub(super) offset: etherparse::IpFragOffset,
    pub(super) more: bool,
    pub(super) bytes: &'a [u8],
    /// The capture has cut it off.
    pub(super) cut: bool,
}

/// A UDP header, and what follows.
pub(super) struct Udp<'a> {
    pub(super) from: u16,
    pub(super) to: u16,
    pub(super) payload: &'a [u8],
    /// How long the payload was on the wire.
    pub(super) length: usize,
}

impl<'a> Udp<'a> {
    /// `length` is that of the IP payload on the wire, of which `bytes` is the beginning.
    pub(super) fn parse(bytes: &'a [u8], length: usize) -> Option<Self> {
        let header = UdpSlice::from_slice_lax(bytes).ok()?;
        // The length may be 0 where a network card was to fill it in.
        let told = usize::from(header.length()).checked_sub(8).unwrap_or(length.checked_sub(8)?);
        let payload = bytes.get(8..)?;
        let payload = &payload[..payload.len().min(told)];
        let (from, to) = (header.source_port(), header.destination_port());
        Some(Self { from, to, payload, length: told })
    }
}

/// Looks for UDP in a frame of this link type (<https://www.tcpdump.org/linktypes.html>).
pub(super) fn udp(link: u32, frame: &[u8]) -> Found<'_> {
    let sliced = match link {
        // Ethernet, and Linux's loopback, which looks the same.
        1 => LaxSlicedPacket::from_ethernet(frame).ok(),
        // BSD's loopback: four bytes for the address family.
        0 | 108 => ip(frame.get(4..)),
        // IP without anything in front: as numbered in files, and on BSD and OpenBSD.
        12 | 14 | 101 | 228 | 229 => ip(Some(frame)),
        // Linux's "any" interface.
        113 => cooked(frame, 14, 16),
        276 => cooked(frame, 0, 20),
        _ => return Found::UnknownLink,
    };
    sliced.as_ref().and_then(|sliced| found(sliced.net.as_ref()?)).unwrap_or(Found::Other)
}

fn ip(bytes: Option<&[u8]>) -> Option<LaxSlicedPacket<'_>> {
    LaxSlicedPacket::from_ip(bytes?).ok()
}

/// A cooked header of `size` bytes with the protocol, an Ethernet type, at `at`.
fn cooked(frame: &[u8], at: usize, size: usize) -> Option<LaxSlicedPacket<'_>> {
    let kind = frame.get(at..at + 2)?.first_chunk()?;
    let kind = EtherType(u16::from_be_bytes(*kind));
    Some(LaxSlicedPacket::from_ether_type(kind, frame.get(size..)?))
}

fn found<'a>(net: &LaxNetSlice<'a>) -> Option<Found<'a>> {
    let payload = net.ip_payload_ref()?;
    if payload.ip_number != IpNumber::UDP {
        return None;
    }
    let (from, to, length, id) = match net {
        LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            let length = usize::from(header.total_len()).checked_sub(header.slice().len())?;
            let id = u32::from(header.identification());
            let place = (id, header.fragments_offset(), header.more_fragments());
            (header.source_addr().into(), header.destination_addr().into(), length, Some(place))
        }
        LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            let fragment = ip.extensions().clone().into_iter().find_map(|extension| {
                let etherparse::Ipv6ExtensionSlice::Fragment(found) = extension else {
                    return None;
                };
                Some((found.identification(), found.fragment_offset(), found.more_fragments()))
            });
            let before = ip.extensions().slice().len();
            let length = usize::from(header.payload_length()).checked_sub(before)?;
            (header.source_addr().into(), header.destination_addr().into(), length, fragment)
        }
        LaxNetSlice::Arp(_) => return None,
    };
    let bytes = payload.payload;
    if payload.fragmented {
        let (id, offset, more) = id?;
        let cut = payload.incomplete;
        return Some(Found::Fragment(Fragment { from, to, id, offset, more, bytes, cut }));
    }
    let udp = Udp::parse(bytes, length.max(bytes.len()))?;
    Some(Found::Udp {
        from: SocketAddr::new(from, udp.from),
        to: SocketAddr::new(to, udp.to),
        payload: udp.payload,
        length: udp.length,
    })
}
