//! Captures made for tests.

use std::net::{IpAddr, SocketAddr};

use etherparse::{IpFragOffset, Ipv4Header, Ipv6FragmentHeader, Ipv6Header, UdpHeader};

/// A frame of this link type around an IP packet.
pub(crate) fn frame(link: u32, ip: &[u8]) -> Vec<u8> {
    let kind: [u8; 2] = if ip[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] };
    let front = match link {
        0 => vec![2, 0, 0, 0],
        108 => vec![0, 0, 0, 2],
        1 => [&[0; 12][..], &kind].concat(),
        113 => [&[0, 0, 3, 4, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0][..], &kind].concat(),
        276 => [&kind[..], &[0; 18]].concat(),
        _ => Vec::new(),
    };
    [&front[..], ip].concat()
}

/// An Ethernet frame with a VLAN tag.
pub(crate) fn vlan(ip: &[u8]) -> Vec<u8> {
    [&[0; 12][..], &[0x81, 0x00, 0x00, 0x07, 0x08, 0x00], ip].concat()
}

/// The UDP datagram of a payload.
pub(crate) fn udp(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len() + 8).unwrap();
    let (source_port, destination_port) = (from.port(), to.port());
    let header = UdpHeader { source_port, destination_port, length, checksum: 0 };
    [&header.to_bytes(), payload].concat()
}

/// An IP packet around (a part of) a UDP datagram.
fn ip(from: IpAddr, to: IpAddr, id: u16, part: &[u8], at: usize, more: bool) -> Vec<u8> {
    let offset = IpFragOffset::try_new(u16::try_from(at / 8).unwrap()).unwrap();
    match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let length = u16::try_from(part.len()).unwrap();
            let (from, to) = (from.octets(), to.octets());
            let mut header =
                Ipv4Header::new(length, 64, etherparse::IpNumber::UDP, from, to).unwrap();
            header.identification = id;
            header.fragment_offset = offset;
            header.more_fragments = more;
            header.dont_fragment = false;
            header.header_checksum = header.calc_header_checksum();
            [&header.to_bytes()[..], part].concat()
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let fragment = Ipv6FragmentHeader {
                next_header: etherparse::IpNumber::UDP,
                fragment_offset: offset,
                more_fragments: more,
                identification: u32::from(id),
            };
            let is_part = at > 0 || more;
            let extra = if is_part { fragment.to_bytes().to_vec() } else { Vec::new() };
            let next = if is_part { 44 } else { 17 };
            let header = Ipv6Header {
                payload_length: u16::try_from(extra.len() + part.len()).unwrap(),
                next_header: etherparse::IpNumber(next),
                source: from.octets(),
                destination: to.octets(),
                ..Ipv6Header::default()
            };
            [&header.to_bytes()[..], &extra, part].concat()
        }
        _ => panic!("addresses of two kinds"),
    }
}

/// The IP packet of a payload.
pub(crate) fn packet(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    ip(from.ip(), to.ip(), 1, &udp(from, to, payload), 0, false)
}

/// The IP packets of a payload, in pieces of `size` bytes (a multiple of 8).
pub(crate) fn fragments(
    from: SocketAddr,
    to: SocketAddr,
    id: u16,
    payload: &[u8],
    size: usize,
) -> Vec<Vec<u8>> {
    let whole = udp(from, to, payload);
    let parts = whole.len().div_ceil(size);
    let part =
        |(n, part): (usize, &[u8])| ip(from.ip(), to.ip(), id, part, n * size, n + 1 < parts);
    whole.chunks(size).enumerate().map(part).collect()
}

/// A pcapng file that grows.
pub(crate) struct Pcapng {
    pub(crate) bytes: Vec<u8>,
    big_endian: bool,
}

impl Pcapng {
    pub(crate) fn new(big_endian: bool) -> Self {
        let mut new = Self { bytes: Vec::new(), big_endian };
        let head = [new.u32(0x1a2b_3c4d), new.pair(1, 0), [0xff; 4], [0xff; 4]].concat();
        new.block(0x0a0d_0d0a, &head);
        new
    }

    fn u32(&self, value: u32) -> [u8; 4] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    fn pair(&self, a: u16, b: u16) -> [u8; 4] {
        let bytes = |n: u16| if self.big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
        let ([a, b], [c, d]) = (bytes(a), bytes(b));
        [a, b, c, d]
    }

    /// A block of any type.
    pub(crate) fn block(&mut self, kind: u32, body: &[u8]) {
        let padding = body.len().next_multiple_of(4) - body.len();
        let length = self.u32(u32::try_from(body.len() + padding + 12).unwrap());
        let kind = self.u32(kind);
        self.bytes.extend([&kind[..], &length, body, &[0; 3][..padding], &length].concat());
    }

    /// Describes an interface: `resolution` is the option `if_tsresol`, `offset` `if_tsoffset`.
    pub(crate) fn interface(&mut self, link: u16, resolution: Option<u8>, offset: Option<i64>) {
        let mut body = [self.pair(link, 0), self.u32(0)].concat();
        if let Some(resolution) = resolution {
            body.extend([self.pair(9, 1), [resolution, 0, 0, 0]].concat());
        }
        if let Some(offset) = offset {
            body.extend(self.pair(14, 8));
            let big = self.big_endian;
            body.extend(if big { offset.to_be_bytes() } else { offset.to_le_bytes() });
        }
        body.extend([0; 4]);
        self.block(1, &body);
    }

    /// A packet that was `length` bytes long.
    pub(crate) fn packet(&mut self, interface: u32, ticks: u64, bytes: &[u8], length: usize) {
        let (high, low) = ((ticks >> 32) as u32, ticks as u32);
        let sizes = [bytes.len(), length].map(|n| self.u32(u32::try_from(n).unwrap()));
        let head = [self.u32(interface), self.u32(high), self.u32(low)].concat();
        self.block(6, &[&head[..], &sizes.concat(), bytes].concat());
    }

    /// A packet without interface and time.
    pub(crate) fn simple(&mut self, bytes: &[u8]) {
        let length = self.u32(u32::try_from(bytes.len()).unwrap());
        self.block(3, &[&length[..], bytes].concat());
    }
}

/// A pcap file of packets with their times in nanoseconds, kept in micro- or nanoseconds.
pub(crate) fn pcap(link: u32, nanos: bool, packets: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let magic: u32 = if nanos { 0xa1b2_3c4d } else { 0xa1b2_c3d4 };
    let mut bytes = [magic, 0x0004_0002, 0, 0, 65_535, link].map(u32::to_le_bytes).concat();
    for (time, packet) in packets {
        let part = time % 1_000_000_000 / if nanos { 1 } else { 1_000 };
        let length = u32::try_from(packet.len()).unwrap();
        let head = [(time / 1_000_000_000) as u32, part as u32, length, length];
        bytes.extend(head.map(u32::to_le_bytes).concat());
        bytes.extend(packet);
    }
    bytes
}
