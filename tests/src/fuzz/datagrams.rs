//! The door for datagrams: a client and a server over QUIC or DQUIC, and a network that delivers,
//! drops, repeats, damages and invents datagrams as the input says. Over QUIC, unlike the others,
//! this is not repeatable to the byte: its own randomness and clock are the real ones.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::Duration;

use anabranch_core::limits;
use anabranch_core::media;
use anabranch_core::transport::dquic::out::Out;
use anabranch_core::transport::dquic::packet::{self, Packet, TAG};
use anabranch_core::transport::dquic::{self, DquicConfig};
use anabranch_core::transport::quic::{self, Identity, QuicConfig};
use anabranch_core::transport::{Offered, Stack, Target, Trust};
use anabranch_core::{Config, ConnId, Endpoint, Event, Instant, Output, Path, Seed};

use super::input::Input;
use crate::cert;

/// More outputs than this for one step means that the drain never ends.
const MAX_OUTPUTS: usize = 4_096;
/// Datagrams on their way in one direction; more are lost.
const MAX_IN_FLIGHT: usize = 128;

/// The server's port.
const SERVER: u16 = 9_000;

/// One end, and what is on its way to it.
struct End {
    endpoint: Endpoint,
    address: SocketAddr,
    inbound: VecDeque<Vec<u8>>,
    conn: Option<ConnId>,
    /// The newest datagram that was sent to it.
    newest: Vec<u8>,
}

struct Net {
    over_dquic: bool,
    /// The client and the server.
    ends: [End; 2],
    now: Instant,
    buf: Vec<u8>,
}

fn identity() -> Identity {
    static IDENTITY: OnceLock<cert::Identity> = OnceLock::new();
    let made = IDENTITY.get_or_init(cert::self_signed);
    Identity { chain_pem: made.chain_pem.clone(), key_pem: made.key_pem.clone() }
}

fn quic_stack(port: u16) -> Box<dyn Stack> {
    let config = QuicConfig {
        identity: (port == SERVER).then(identity),
        static_key: [7; 32],
        discover_mtu: false,
        ..QuicConfig::default()
    };
    quic::stack(config, &Seed::from_u64(u64::from(port))).expect("a stack")
}

fn dquic_stack(port: u16) -> Box<dyn Stack> {
    let config =
        DquicConfig { serves: port == SERVER, static_key: [7; 32], ..DquicConfig::default() };
    dquic::stack(config, &Seed::from_u64(u64::from(port))).expect("a stack")
}

/// Two endpoints over QUIC, and a network that does what the input says.
pub fn datagrams(data: &[u8]) {
    run(data, false);
}

/// The same over DQUIC, where what is invented can be a packet.
pub fn dquic_datagrams(data: &[u8]) {
    run(data, true);
}

fn run(data: &[u8], over_dquic: bool) {
    let mut input = Input::new(data);
    let mut net = Net::new(input.u8(), over_dquic);
    let mut steps = 0;
    while !input.is_empty() && steps < 500 {
        steps += 1;
        net.step(&mut input);
        net.drain();
    }
    for end in &mut net.ends {
        end.endpoint.close_all(net.now);
    }
    net.drain();
}

impl Net {
    fn new(setup: u8, over_dquic: bool) -> Self {
        let end = |port: u16| {
            let stack = if over_dquic { dquic_stack(port) } else { quic_stack(port) };
            End {
                endpoint: Endpoint::new(Config::default(), stack),
                address: SocketAddr::from(([127, 0, 0, 1], port)),
                inbound: VecDeque::new(),
                conn: None,
                newest: Vec::new(),
            }
        };
        let mut ends = [end(2), end(SERVER)];
        ends[1].endpoint.listen(true);
        let target = Target {
            remote: ends[1].address,
            local: ends[0].address,
            server_name: "localhost".to_owned(),
            trust: Trust::Any,
            offered: [Offered::Both, Offered::V1, Offered::Classic][usize::from(setup % 3)],
            ticket: None,
        };
        let now = Instant::from_nanos(1_000_000_000);
        ends[0].conn = Some(ends[0].endpoint.connect(now, &target).expect("a connection"));
        let mut net = Self { over_dquic, ends, now, buf: vec![0; limits::MAX_SEGMENTED] };
        net.drain();
        net
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let op = input.u8();
        let to = usize::from(op & 1);
        match (op >> 1) % 9 {
            0 => self.rounds(usize::from(input.u8() % 16)),
            1 => self.next(to, |_| {}),
            2 => drop(self.ends[to].inbound.pop_front()),
            3 => {
                if let Some(copy) = self.ends[to].inbound.front().cloned() {
                    self.ends[to].inbound.push_back(copy);
                }
            }
            4 => {
                let (at, flip) = (usize::from(input.u16()), input.u8());
                self.next(to, |datagram| {
                    let len = datagram.len();
                    datagram[at % len] ^= flip;
                });
            }
            5 => {
                let len = usize::from(input.u16());
                self.next(to, |datagram| datagram.resize(len % 2_048, 0));
            }
            6 => {
                let len = usize::from(input.u16()) % 2_048;
                let mut datagram = input.take(len).to_vec();
                if op & 0x80 != 0 {
                    datagram.resize(limits::MIN_INITIAL_DATAGRAM.max(datagram.len()), 0);
                }
                if self.over_dquic {
                    datagram = invent(&datagram, &self.ends[to].newest, input.u8());
                }
                self.deliver(to, &mut datagram, input.u8());
            }
            7 => {
                self.now = self.now + Duration::from_millis(1 << (input.u8() % 16));
                self.ends.iter_mut().for_each(|end| end.endpoint.handle_timeout(self.now));
            }
            _ => self.command(input.u8()),
        }
    }

    /// Everything on its way arrives, and what that causes, so many times.
    fn rounds(&mut self, count: usize) {
        for _ in 0..count {
            for to in [1, 0] {
                for _ in 0..self.ends[to].inbound.len() {
                    self.next(to, |_| {});
                }
            }
            self.drain();
        }
    }

    fn next(&mut self, to: usize, change: impl FnOnce(&mut Vec<u8>)) {
        let Some(mut datagram) = self.ends[to].inbound.pop_front() else { return };
        change(&mut datagram);
        self.deliver(to, &mut datagram, 0);
    }

    /// `from` moves the sender to another port.
    fn deliver(&mut self, to: usize, datagram: &mut [u8], from: u8) {
        let mut remote = self.ends[1 - to].address;
        remote.set_port(remote.port() ^ u16::from(from));
        let path = Path { local: self.ends[to].address, remote };
        self.ends[to].endpoint.handle_datagram(self.now, path, None, datagram);
    }

    fn command(&mut self, what: u8) {
        let end = &mut self.ends[0];
        let Some(Ok(mut conn)) = end.conn.map(|id| end.endpoint.conn(self.now, id)) else { return };
        // Refusals are answers, too.
        match what & 3 {
            0 => drop(conn.open_media(media::Request::default())),
            1 => drop(conn.ping()),
            2 => drop(conn.list(None)),
            _ => {
                let mut moved = end.address;
                moved.set_port(u16::from(what) + 10);
                if conn.rebind(moved).is_ok() {
                    end.address = moved;
                }
            }
        }
    }

    fn drain(&mut self) {
        for at in 0..2 {
            let mut outputs = 0;
            loop {
                match self.ends[at].endpoint.poll_output(&mut self.buf) {
                    Output::Wait(_) => break,
                    Output::Event(id, Event::Closed(_)) if self.ends[at].conn == Some(id) => {
                        self.ends[at].conn = None;
                    }
                    Output::Event(..) => {}
                    Output::Transmit(sent) => {
                        assert!((1..=self.buf.len()).contains(&sent.len), "{sent:?}");
                        let segment = sent.segment.unwrap_or(sent.len);
                        let End { inbound, newest, .. } = &mut self.ends[1 - at];
                        for datagram in self.buf[..sent.len].chunks(segment) {
                            newest.clear();
                            newest.extend_from_slice(datagram);
                            if inbound.len() < MAX_IN_FLIGHT {
                                inbound.push_back(datagram.to_vec());
                            }
                        }
                    }
                }
                outputs += 1;
                assert!(outputs < MAX_OUTPUTS, "more than {MAX_OUTPUTS} outputs for one step");
            }
        }
    }
}

/// Makes a packet of bytes: with a good tag, or as the frames of a packet that follows another.
fn invent(bytes: &[u8], newest: &[u8], how: u8) -> Vec<u8> {
    let mut packet = vec![0; bytes.len() + packet::DATA_OVERHEAD];
    let len = match Packet::read(newest) {
        Some(Packet::Data { dcid, number, .. }) if how & 1 == 0 => {
            let mut out = Out::new(&mut packet);
            let next = number + 1 + u64::from(how >> 1);
            assert!(packet::begin_data(&mut out, dcid, next) && out.put(bytes), "there is room");
            out.len()
        }
        _ if how & 2 == 0 => return bytes.to_vec(),
        _ => {
            packet[..bytes.len()].copy_from_slice(bytes);
            bytes.len()
        }
    };
    packet.truncate(len + TAG);
    packet::seal(&mut packet, len);
    packet
}
