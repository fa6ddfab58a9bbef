//! [`Transport`]: one end of one connection of the extension.

mod handshake;
mod receive;
mod send;
mod timing;

use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::Bytes;

use self::handshake::Handshake;
use self::timing::Timing;
use super::config::{self, DquicConfig};
use super::error::TransportError;
use super::ids::{OwnIds, PeerIds};
use super::mtu::Mtu;
use super::paths::Paths;
use super::recovery::{Outcome, ReceivedPackets, Recovery};
use super::state::{Input, State};
use super::streams::Streams;
use super::why::Close;
use crate::code::Code;
use crate::error::{Misuse, Why};
use crate::id::{ConnId, Dir, Side, StreamId};
use crate::io::{Path, Transmit};
use crate::machine::{Machine as _, Step};
use crate::rng::Rng;
use crate::time::Instant;
use crate::transport::cid::Cids;
use crate::transport::resets::Resets;
use crate::transport::token::Tokens;
use crate::transport::{
    CidBytes, Offer, Offered, Read, Signal, Stats, StreamEnd, Transport, Wrote,
};

/// What every connection is made with.
pub(super) struct Make {
    pub(super) id: ConnId,
    pub(super) side: Side,
    pub(super) now: Instant,
    pub(super) path: Path,
    pub(super) config: DquicConfig,
    pub(super) cids: Cids,
    pub(super) tokens: Tokens,
    pub(super) resets: Resets,
    pub(super) rng: Rng,
}

/// One end of one connection.
pub(super) struct Connection {
    id: ConnId,
    side: Side,
    state: State,
    config: DquicConfig,
    own: OwnIds,
    peer: PeerIds,
    resets: Resets,
    /// The reset token that the stack believes for this connection.
    believed: Option<[u8; 16]>,
    paths: Paths,
    /// The path that the connection was last told of.
    told: Path,
    mtu: Mtu,
    recovery: Recovery,
    received: ReceivedPackets,
    streams: Streams,
    handshake: Handshake,
    timing: Timing,
    /// The id of ours that the peer's newest packet was sent to.
    used: Option<u32>,
    /// Something has to go out that the peer must acknowledge.
    ping: bool,
    /// What we say at the end, and whether it has to be said now.
    close: Option<Close>,
    close_owed: bool,
    /// Packets that came after our close.
    late: u64,
    signals: VecDeque<Signal>,
    /// Why it is over. Told once everything else is.
    down: Option<Why>,
    /// The application has closed it, and wants to hear nothing more.
    is_local_end: bool,
    stats: Stats,
}

impl Connection {
    /// The client's end.
    pub(super) fn dial(make: Make, offered: Offered) -> Self {
        let mut make = make;
        let first: [u8; 16] = make.rng.array();
        let peer = CidBytes::new(&first).unwrap_or_else(CidBytes::empty);
        let handshake = Handshake::client(make.now, make.config.carries.offered(offered));
        let mut this = Self::new(make, peer, handshake);
        this.step(Input::Dial);
        this
    }

    /// The server's end. Its first HELLO is still to be received.
    pub(super) fn accept(make: Make, offer: &Offer) -> Self {
        let mut this = Self::new(make, offer.scid, Handshake::default());
        if offer.validated {
            this.paths.set_validated();
        }
        this
    }

    fn new(make: Make, peer: CidBytes, handshake: Handshake) -> Self {
        let mtu = Mtu::new(make.config.datagram(), make.config.discover_mtu);
        Self {
            id: make.id,
            side: make.side,
            state: State::Idle,
            own: OwnIds::new(make.id, make.cids, make.tokens),
            peer: PeerIds::new(peer),
            resets: make.resets,
            believed: None,
            paths: Paths::new(make.side, make.path, make.rng),
            told: make.path,
            recovery: Recovery::new(make.now, mtu.current()),
            mtu,
            received: ReceivedPackets::default(),
            streams: Streams::new(config::setup(make.side, make.config.carries)),
            handshake,
            timing: Timing::new(make.now, make.config.idle_timeout),
            config: make.config,
            used: None,
            ping: false,
            close: None,
            close_owed: false,
            late: 0,
            signals: VecDeque::new(),
            down: None,
            is_local_end: false,
            stats: Stats::default(),
        }
    }

    /// Takes an input of the state machine. `true`: the state has changed, or was entered again.
    fn step(&mut self, input: Input) -> bool {
        match self.state.next(input) {
            Step::Go(next) => {
                log::trace!("{} dquic {:?} x {input:?} -> {next:?}", self.id, self.state);
                self.state = next;
                true
            }
            Step::Stay => false,
            Step::Illegal => {
                debug_assert!(false, "{} dquic {:?} x {input:?}", self.id, self.state);
                false
            }
        }
    }

    /// It is over without a word to the peer.
    fn end(&mut self, input: Input, why: Why) {
        if self.step(input) {
            self.down.get_or_insert(why);
        }
    }

    /// It is over, and the peer is told.
    fn end_with(&mut self, now: Instant, input: Input, close: Close) {
        if !self.step(input) {
            return;
        }
        self.is_local_end = close.is_app;
        self.down.get_or_insert(close.why_here());
        self.close = Some(close);
        self.close_owed = true;
        self.timing.drain(now, self.recovery.pto());
    }

    /// The peer broke a rule.
    fn violated(&mut self, now: Instant, error: TransportError) {
        log::debug!("{} {}: {error}", self.id, self.paths.current().remote);
        self.end_with(now, Input::Violation, Close::violation(error));
    }

    /// Has the stack believe the reset token of the peer's id in use (RFC 9000 section 10.3.1).
    /// Only servers reset.
    fn believe(&mut self) {
        let token = self.peer.current().token;
        if self.side == Side::Server || token == self.believed {
            return;
        }
        let remote = self.paths.current().remote;
        if let Some(old) = self.believed {
            self.resets.remove(remote, &old);
        }
        if let Some(new) = token {
            self.resets.add(remote, &new, self.id);
        }
        self.believed = token;
    }

    /// The path in use has changed: what was learned about another network is void
    /// (RFC 9000 section 9.4). A NAT that only picked another port leads to the same one.
    fn path_changed(&mut self, now: Instant, from: SocketAddr, to: SocketAddr) {
        if from.ip() != to.ip() {
            self.recovery.on_migrated(now);
            self.mtu.restart(self.mtu.most());
            self.recovery.set_mtu(self.mtu.current());
        }
    }

    /// What became of packets.
    fn apply(&mut self, now: Instant, outcome: &Outcome) {
        let before = self.mtu.current();
        for packet in &outcome.acked {
            self.mtu.acked(now, packet.size);
            self.streams.on_acked(&packet.carried);
            self.ids_acked(&packet.carried);
            if let Some(largest) = packet.carried.ack {
                self.received.on_ack_acked(largest);
            }
        }
        for packet in &outcome.lost {
            if packet.is_probe {
                self.mtu.probe_lost(now, packet.size);
            } else {
                self.mtu.lost(now, packet.size);
            }
            self.streams.on_lost(&packet.carried);
            self.ids_lost(&packet.carried);
        }
        for carried in &outcome.again {
            self.streams.on_lost(carried);
            self.ids_lost(carried);
        }
        if self.mtu.current() != before {
            self.recovery.set_mtu(self.mtu.current());
        }
        self.streams.set_window(self.recovery.cwnd());
    }
}

impl Transport for Connection {
    fn receive(&mut self, now: Instant, path: Path, bytes: &mut [u8]) {
        self.take_datagram(now, path, bytes);
    }

    fn transmit(&mut self, now: Instant, buf: &mut [u8]) -> Option<Transmit> {
        let transmit = self.next_run(now, buf)?;
        self.stats.bytes_sent += transmit.len as u64;
        self.stats.packets_sent +=
            transmit.segment.map_or(1, |size| transmit.len.div_ceil(size)) as u64;
        self.paths.sent(transmit.path, transmit.len);
        Some(transmit)
    }

    fn deadline(&self) -> Option<Instant> {
        self.next_deadline()
    }

    fn expire(&mut self, now: Instant) {
        self.on_deadline(now);
    }

    fn poll(&mut self) -> Option<Signal> {
        if let Some(signal) = self.signals.pop_front() {
            return Some(signal);
        }
        let over = self.state.is_over();
        // What came before the peer's close can still be read; after our own nobody wants it.
        while !self.is_local_end
            && let Some(signal) = self.streams.poll()
        {
            if !over || matches!(signal, Signal::Readable(_)) {
                return Some(signal);
            }
        }
        if !over {
            return None;
        }
        self.down.take().map(Signal::Down)
    }

    fn open(&mut self, dir: Dir) -> Option<StreamId> {
        if self.state == State::Established { self.streams.open(dir) } else { None }
    }

    fn write(&mut self, id: StreamId, data: &mut Bytes, fin: bool) -> Result<Wrote, StreamEnd> {
        // The connection's end is told by Down, and is no stream's fault.
        if self.state.is_over() {
            return Ok(Wrote::Blocked);
        }
        self.streams.write(id, data, fin)
    }

    fn read(&mut self, id: StreamId, buf: &mut [u8]) -> Result<Read, StreamEnd> {
        self.streams.read(id, buf)
    }

    fn reset(&mut self, id: StreamId, code: Code) {
        self.streams.reset(id, code);
    }

    fn stop(&mut self, id: StreamId, code: Code) {
        self.streams.stop(id, code);
    }

    fn prioritize(&mut self, id: StreamId, rank: u8) {
        self.streams.prioritize(id, rank);
    }

    fn ping(&mut self) {
        self.ping = true;
    }

    fn close(&mut self, now: Instant, code: Code, reason: &str) {
        if !self.state.is_over() {
            self.end_with(now, Input::Close, Close::local(code, reason));
        }
    }

    fn rebind(&mut self, now: Instant, local: SocketAddr) -> Result<(), Misuse> {
        if self.side == Side::Server {
            return Err(Misuse::WrongRole("rebind"));
        }
        if self.state != State::Established {
            return Err(Misuse::WrongState { command: "rebind", state: self.state.name() });
        }
        let last = self.paths.current();
        // Without a spare id the one in use goes on, as if a NAT had moved us.
        if self.peer.advance() {
            self.believe();
        }
        self.paths.rebind(Path { local, ..last });
        self.path_changed(now, last.local, local);
        // The server learns of the new address by a packet from there.
        self.ping = true;
        Ok(())
    }

    fn is_early(&self) -> bool {
        false
    }

    fn ticket(&self) -> Option<Bytes> {
        None
    }

    fn is_over(&self, id: StreamId) -> bool {
        self.streams.is_over(id)
    }

    fn is_finished(&self) -> bool {
        self.state == State::Closed
    }

    fn stats(&self) -> Stats {
        Stats {
            rtt: self.recovery.smoothed_rtt(),
            min_rtt: self.recovery.min_rtt(),
            cwnd: self.recovery.cwnd(),
            packets_lost: self.recovery.packets_lost(),
            datagram: self.mtu.current(),
            ..self.stats
        }
    }
}
