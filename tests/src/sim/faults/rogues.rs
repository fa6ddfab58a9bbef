//! People who mean ill: strangers who send garbage, forgeries and replays, and clients that do
//! not keep to the protocol.

use std::net::{Ipv4Addr, SocketAddr};

use anabranch_core::id::Dir;
use anabranch_core::transport::{Offered, Target, Trust};
use anabranch_core::wire::varint;
use anabranch_core::{Code, Path, limits};

use super::Mend;
use crate::rogue::Rogue;
use crate::sim::draw::Draw;
use crate::sim::world::{Host, HostId, Inside, Role, World};
use crate::stack;

impl World {
    /// A few datagrams that nobody has asked for reach an honest host.
    pub(super) fn send_garbage(&mut self) {
        for _ in 0..self.draw.range(1, 5) {
            let honest = self.swarm.servers + self.swarm.clients;
            let host = self.draw.index(honest);
            let kept = self.overheard.clone();
            let from = SocketAddr::from((Ipv4Addr::new(100, 127, 0, 1), self.draw.pick(&[0, 7])));
            let (host, remote, mut bytes) = match self.draw.any(&kept) {
                Some((_, path, bytes)) if self.draw.percent(80) => {
                    let server = self.honest(path.remote).filter(|to| *to < self.swarm.servers);
                    let source = self.draw.pick(&[path.local, from]);
                    (server.unwrap_or(host), source, bytes)
                }
                _ => {
                    let len = self.draw.pick(&[0, 1, 20, 1_200, 1_500, 60_000]);
                    (host, from, self.draw.bytes(len))
                }
            };
            let kind = damage(&mut self.draw, &mut bytes);
            let path = Path { local: self.hosts[host].home, remote };
            self.count(kind);
            self.note(format!("{kind} of {} bytes for {host} from {remote}", bytes.len()));
            self.forge(host, path, bytes);
        }
    }

    /// A client that does not keep to the protocol connects to a server.
    pub(super) fn send_rogue(&mut self) {
        let rogues = self.role(Role::Rogue);
        let host = self.draw.pick(&rogues);
        if matches!(self.hosts[host].inside, Inside::Rogue(_)) {
            return;
        }
        let servers = self.role(Role::Server);
        let server = self.draw.pick(&servers);
        let target = Target {
            remote: self.hosts[server].home,
            local: self.hosts[host].home,
            server_name: "localhost".to_owned(),
            trust: Trust::Any,
            offered: self.draw.pick(&[Offered::V1, Offered::V1, Offered::Classic]),
            ticket: None,
        };
        self.clock.set(self.now);
        let starts = self.hosts[host].starts;
        self.hosts[host].starts += 1;
        let seed = crate::pair::substream(&self.seed, &format!("rogue {host}.{starts}"));
        let stack = stack::client(&self.swarm.stack, &seed);
        let mut rogue = Rogue::dial(self.now, stack, &target);
        rogue.mute = self.draw.percent(10);
        self.hosts[host].inside = Inside::Rogue(Box::new(rogue));
        self.touched.insert(host);
        self.count("rogue");
        self.note(format!("rogue {host} dials {server}"));
        self.act_soon(host);
        self.soon(10_000, Mend::Dismiss(host));
    }

    /// A rogue does something that the protocol does not know, or forbids.
    pub(in crate::sim) fn act_as_rogue(&mut self, host: HostId) {
        self.clock.set(self.now);
        let now = self.now;
        let Host { draw, inside: Inside::Rogue(rogue), .. } = &mut self.hosts[host] else { return };
        if !rogue.up || rogue.down.is_some() {
            return;
        }
        for _ in 0..draw.range(1, 4) {
            offend(draw, rogue);
        }
        if draw.percent(5) {
            rogue.transport.close(now, Code::Other(draw.number() >> 8), "enough");
        }
        self.touched.insert(host);
        self.count("rogue acts");
    }
}

/// What becomes of a datagram in the hands of somebody who means ill.
fn damage(draw: &mut Draw, bytes: &mut Vec<u8>) -> &'static str {
    let len = bytes.len();
    if len == 0 {
        return "empty datagram";
    }
    match draw.index(5) {
        0 => "replay",
        1 => {
            bytes.truncate(draw.index(len));
            "truncated datagram"
        }
        2 => {
            let at = draw.index(len);
            bytes[at] ^= 1 << draw.index(8);
            "corrupted datagram"
        }
        3 => {
            let keep = draw.pick(&[1, 5, 7, 25]).min(len);
            let rest = draw.bytes(len - keep);
            bytes[keep..].copy_from_slice(&rest);
            "forged datagram"
        }
        _ => {
            let more = draw.bytes(100);
            bytes.extend(more);
            "lengthened datagram"
        }
    }
}

/// One offence on one stream.
fn offend(draw: &mut Draw, rogue: &mut Rogue) {
    let known: Vec<_> = rogue.received.keys().copied().collect();
    if let Some(id) = draw.any(&known).filter(|_| draw.percent(30)) {
        match draw.percent(50) {
            true => rogue.transport.reset(id, Code::Other(5)),
            false => rogue.transport.stop(id, Code::Limit),
        }
        return;
    }
    let dir = draw.pick(&[Dir::Bidi, Dir::Bidi, Dir::Bidi, Dir::Uni]);
    let Some(id) = rogue.transport.open(dir) else { return };
    let mut bytes = Vec::new();
    varint::put(&mut bytes, draw.pick(&[0, 1, 1, 1, 1, 2, 5, 27, 58, 1 << 40]));
    for _ in 0..draw.pick(&[0, 1, 3, 10]) {
        bytes.extend(pdu(draw));
    }
    if draw.percent(10) {
        // More PDUs that mean nothing than anybody has to bear.
        let skipped =
            [1, 77, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0].repeat(limits::MAX_IGNORED as usize + 2);
        bytes.extend(skipped);
    }
    rogue.write(id, &bytes, draw.percent(30));
}

/// A PDU, more or less.
fn pdu(draw: &mut Draw) -> Vec<u8> {
    let kind = draw.pick(&[1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 99]);
    let body = match (kind, draw.index(4)) {
        (1, 1..) => b"\0\x03any\0\0\0\0\0".to_vec(),
        (4, 1..) => [0u32, 4, 0].iter().flat_map(|n| n.to_be_bytes()).collect(),
        (8, 1..) => vec![0; 8],
        (5..=7, 1..) => Vec::new(),
        (_, _) => {
            let len = draw.pick(&[0, 1, 8, 300]);
            draw.bytes(len)
        }
    };
    let claimed = match draw.index(12) {
        0 => u32::MAX,
        1 => u32::try_from(limits::MAX_PDU_BODY).expect("small") + 1,
        _ => u32::try_from(body.len()).expect("small"),
    };
    let version = if draw.percent(3) { 2 } else { 1 };
    let mut out = vec![version, kind, 0, 0, 0, 0, 0x30, 0x39];
    out.extend(claimed.to_be_bytes());
    out.extend(body);
    out
}
