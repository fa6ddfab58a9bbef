//! The machine of one socket: it receives from any number of addresses, and sends to some.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;

use bytes::Bytes;

use super::event::{Config, Counters, Event, Output, Refused};
use super::inbound::state::{Input, State};
use super::inbound::{Inbound, Reading, Receipt};
use super::packet::{ACK, Header, SHORT};
use super::transfer::{Next, Transfer};
use super::{Connection, IdleMap, Layout, StreamStats, Why};
use crate::error::Misuse;
use crate::limits::{
    MAX_CLASSIC_PEERS, MAX_CLASSIC_QUEUED, MAX_CLASSIC_STREAMS, MAX_CLASSIC_STREAMS_IN_ALL,
    MAX_CLASSIC_TRANSFERS,
};
use crate::rng::{Rng, Seed};
use crate::time::Instant;

/// Something that waits to be taken.
#[derive(Debug)]
enum Queued {
    Event(Event),
    Transmit(SocketAddr, Vec<u8>),
}

/// A classic DQUIC endpoint. After each call that puts something in, take outputs until
/// [`Output::Wait`] comes.
#[derive(Debug)]
pub struct Endpoint {
    config: Config,
    accepting: bool,
    rng: Rng,
    now: Instant,
    peers: IdleMap<SocketAddr, Connection>,
    /// Streams of all peers together.
    streams: usize,
    /// When open streams become quiet.
    quiet: BTreeSet<(Instant, SocketAddr, u32)>,
    /// When sendings have waited for long enough.
    timers: BTreeSet<(Instant, SocketAddr)>,
    transfers: usize,
    queue: VecDeque<Queued>,
    counters: Counters,
}

impl Endpoint {
    /// One that knows nobody.
    #[must_use]
    pub fn new(config: Config, seed: &Seed) -> Self {
        Self {
            config,
            accepting: true,
            rng: seed.stream("dquic-classic"),
            now: Instant::ZERO,
            peers: IdleMap::new(MAX_CLASSIC_PEERS),
            streams: 0,
            quiet: BTreeSet::new(),
            timers: BTreeSet::new(),
            transfers: 0,
            queue: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Takes another limit for the packets that come from now on.
    pub const fn set_max_bytes(&mut self, max_bytes: u64) {
        self.config.max_bytes = max_bytes;
    }

    /// Whether data packets are taken. While they are not, they count as lost on the way: an
    /// application says so that has no room for what they carry.
    pub const fn set_accepting(&mut self, accepting: bool) {
        self.accepting = accepting;
    }

    /// What led to nothing so far.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        self.counters
    }

    /// What is known of an address.
    #[must_use]
    pub fn connection(&self, peer: &SocketAddr) -> Option<&Connection> {
        self.peers.get(peer)
    }

    /// Every address that something is known of, in order.
    pub fn connections(&self) -> impl Iterator<Item = &Connection> {
        self.peers.iter().map(|(_, connection)| connection)
    }

    /// A datagram has come. Any bytes are allowed.
    pub fn handle_datagram(&mut self, now: Instant, peer: SocketAddr, bytes: &[u8]) {
        self.now = self.now.max(now);
        let Ok((header, payload)) = Header::split(bytes) else {
            self.counters.malformed += 1;
            return;
        };
        match header.packet_type {
            // Port 0 is an address that nothing can be sent to.
            _ if peer.port() == 0 => self.counters.malformed += 1,
            SHORT => self.receive(peer, header, payload),
            ACK => self.acknowledged(peer, header, payload),
            _ => self.counters.ignored += 1,
        }
    }

    /// The time of an [`Output::Wait`] has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = self.now.max(now);
        while let Some((at, peer)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, peer));
            self.with_transfer(peer, |transfer, _| transfer.expire(now));
        }
    }

    /// Starts to send streams to an address, each from its byte 0 (AB-K10). Their bytes are asked
    /// for with [`Event::Wanted`]. A stream named twice is one stream.
    ///
    /// # Errors
    /// Why nothing was started.
    pub fn send(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        layout: Layout,
        streams: &[u32],
    ) -> Result<(), Refused> {
        self.now = self.now.max(now);
        if peer.port() == 0 {
            return Err(Refused::Address);
        }
        if self.peers.get(&peer).is_some_and(Connection::is_sending) {
            return Err(Refused::Busy);
        }
        if self.transfers >= MAX_CLASSIC_TRANSFERS {
            return Err(Refused::Transfers);
        }
        if streams.len() > MAX_CLASSIC_STREAMS {
            return Err(Refused::Streams);
        }
        self.admit(peer);
        let Some(connection) = self.peers.get_mut(&peer) else { return Err(Refused::Transfers) };
        let before = |id| connection.stream_bytes_sent(id);
        let transfer = Transfer::new(layout, streams, before, &mut self.rng);
        connection.transfer = Some(transfer);
        self.transfers += 1;
        self.with_transfer(peer, |transfer, _| transfer.gather());
        Ok(())
    }

    /// Gives bytes that [`Event::Wanted`] asked for.
    ///
    /// # Errors
    /// If nobody asked for them, or not for so many.
    pub fn supply(
        &mut self,
        now: Instant,
        peer: SocketAddr,
        stream: u32,
        offset: u64,
        data: Bytes,
    ) -> Result<(), Misuse> {
        self.now = self.now.max(now);
        let now = self.now;
        let mut refused = Err(Misuse::Gone);
        self.with_transfer(peer, |transfer, number| {
            let next = transfer.supply(now, number, stream, offset, data);
            refused = next.map(drop);
            next.unwrap_or(Next::Nothing)
        });
        refused
    }

    /// Gives up what is being sent to an address. [`Event::Failed`] tells how far it came.
    pub fn cancel(&mut self, now: Instant, peer: SocketAddr) {
        self.now = self.now.max(now);
        self.with_transfer(peer, |transfer, _| transfer.cancel());
    }

    /// What to do next. A datagram to send is put into `buf`, which has room for
    /// [`crate::limits::MAX_SEGMENTED`] bytes; one that does not fit is dropped, as if lost.
    pub fn poll_output(&mut self, buf: &mut [u8]) -> Output {
        while let Some(queued) = self.queue.pop_front() {
            match queued {
                Queued::Event(event) => return Output::Event(event),
                Queued::Transmit(peer, bytes) => {
                    let Some(room) = buf.get_mut(..bytes.len()) else { continue };
                    room.copy_from_slice(&bytes);
                    return Output::Transmit { peer, len: bytes.len() };
                }
            }
        }
        if let Some(event) = self.next_quiet() {
            return Output::Event(event);
        }
        let quiet = self.quiet.first().map(|(at, ..)| *at);
        let answer = self.timers.first().map(|(at, _)| *at);
        Output::Wait([quiet, answer].into_iter().flatten().min())
    }

    /// A data packet has come.
    fn receive(&mut self, peer: SocketAddr, header: Header, payload: &[u8]) {
        if !self.accepting || self.queue.len() >= MAX_CLASSIC_QUEUED {
            self.counters.overflowed += 1;
            return;
        }
        let layout = match self.peers.get_mut(&peer) {
            Some(connection) => connection.recognise(payload),
            None => Layout::recognise(payload, None),
        };
        if layout == Layout::Classic && payload.len() < layout.frame_len() {
            // Not one frame: nothing to answer, and nothing to keep of a stranger.
            self.counters.unanswered += 1;
            return;
        }
        self.admit(peer);
        let Some(connection) = self.peers.get_mut(&peer) else { return };
        connection.remember(layout, payload);
        connection.received_packet_number = connection.received_packet_number.wrapping_add(1);
        let streams = connection.streams();
        let payload = &Bytes::copy_from_slice(payload);
        let (now, max_bytes) = (self.now, self.config.max_bytes);
        let reading = Reading { now, peer, header, layout, payload, max_bytes };
        let receipt = reading.receive(&mut connection.inbound);
        if receipt.answer.is_some() {
            connection.sent_packet_number = connection.sent_packet_number.wrapping_add(1);
        } else {
            self.counters.unanswered += 1;
        }
        self.streams = self.streams + connection.streams() - streams;
        self.deliver(peer, receipt);
        self.make_place(peer);
    }

    /// Tells the application what a data packet led to, and answers it.
    fn deliver(&mut self, peer: SocketAddr, receipt: Receipt) {
        let Receipt { received, answer, broken, evicted } = receipt;
        let touched: BTreeSet<u32> = received.pieces.iter().map(|piece| piece.stream).collect();
        self.forget(peer, evicted);
        for id in touched {
            self.rearm(peer, id);
        }
        self.queue.push_back(Queued::Event(Event::Received(received)));
        for stream in broken {
            let inbound = self.peers.get(&peer).and_then(|peer| peer.inbound.get(&stream));
            if let Some(stats) = inbound.map(Inbound::stats) {
                self.queue.push_back(Queued::Event(Event::Broken { peer, stream, stats }));
            }
        }
        if let Some(answer) = answer {
            self.queue.push_back(Queued::Transmit(peer, answer));
        }
    }

    /// A frame of a stream has come: its silence begins anew.
    fn rearm(&mut self, peer: SocketAddr, id: u32) {
        let connection = self.peers.get_mut(&peer);
        let Some(stream) = connection.and_then(|peer| peer.inbound.get_mut(&id)) else { return };
        if let Some(at) = stream.quiet_at.take() {
            self.quiet.remove(&(at, peer, id));
        }
        if stream.state() == State::Open
            && let Some(after) = self.config.quiet_after
        {
            let at = self.now + after;
            stream.quiet_at = Some(at);
            self.quiet.insert((at, peer, id));
        }
    }

    /// The next stream whose silence has lasted for long enough.
    fn next_quiet(&mut self) -> Option<Event> {
        let due = |(at, ..): &(Instant, SocketAddr, u32)| *at <= self.now;
        let (at, peer, stream) = self.quiet.first().copied().filter(due)?;
        self.quiet.remove(&(at, peer, stream));
        let inbound = self.peers.get_mut(&peer)?.inbound.get_mut(&stream)?;
        inbound.quiet_at = None;
        inbound.step(Input::Silence);
        Some(Event::Quiet { peer, stream, stats: inbound.stats() })
    }

    /// Makes sure that an address is known, as the last one used.
    fn admit(&mut self, peer: SocketAddr) {
        if self.peers.get(&peer).is_none() && self.peers.is_full() {
            // There are fewer sendings than peers, so one of them can go.
            self.evict(|_, connection| !connection.is_sending());
        }
        self.peers.touch(peer, || Connection::new(peer));
    }

    /// Keeps all streams together within their limit.
    fn make_place(&mut self, used: SocketAddr) {
        while self.streams > MAX_CLASSIC_STREAMS_IN_ALL {
            let gone = self.evict(|peer, connection| *peer != used && !connection.is_sending());
            if !gone {
                break;
            }
        }
    }

    /// Forgets the address that was idle for the longest among those that `may` go.
    fn evict(&mut self, may: impl Fn(&SocketAddr, &Connection) -> bool) -> bool {
        let Some((peer, mut connection)) = self.peers.pop_if(may) else { return false };
        self.streams -= connection.streams();
        let streams = std::iter::from_fn(|| connection.inbound.pop()).collect();
        self.forget(peer, streams);
        true
    }

    /// Streams of an address have had to make place.
    fn forget(&mut self, peer: SocketAddr, gone: Vec<(u32, Inbound)>) {
        if gone.is_empty() {
            return;
        }
        self.counters.forgotten += gone.len() as u64;
        let mut leave = |(id, mut stream): (u32, Inbound)| -> (u32, StreamStats) {
            if let Some(at) = stream.quiet_at.take() {
                self.quiet.remove(&(at, peer, id));
            }
            stream.step(Input::Forget);
            (id, stream.stats())
        };
        let streams = gone.into_iter().map(&mut leave).collect();
        self.queue.push_back(Queued::Event(Event::Forgotten { peer, streams }));
    }

    /// An acknowledgement has come.
    fn acknowledged(&mut self, peer: SocketAddr, header: Header, payload: &[u8]) {
        let transfer = self.peers.get(&peer).and_then(|peer| peer.transfer.as_ref());
        if !transfer.is_some_and(|transfer| transfer.expects(header.packet_number)) {
            self.counters.ignored += 1;
            return;
        }
        let now = self.now;
        self.with_transfer(peer, |transfer, _| transfer.answer(now, header, payload));
    }

    /// Gives something to the sending to an address, with the number of its next packet, and
    /// does what comes of it.
    fn with_transfer(&mut self, peer: SocketAddr, step: impl FnOnce(&mut Transfer, u32) -> Next) {
        let Some(connection) = self.peers.get_mut(&peer) else { return };
        let Some(transfer) = &mut connection.transfer else { return };
        if let Some(at) = transfer.deadline() {
            self.timers.remove(&(at, peer));
        }
        let number = connection.sent_packet_number;
        let next = step(transfer, number);
        if let Some(at) = transfer.deadline() {
            self.timers.insert((at, peer));
        }
        match next {
            Next::Ask => {
                let wanted = transfer.wanted().map(|(stream, offset, len)| {
                    Queued::Event(Event::Wanted { peer, stream, offset, len })
                });
                self.queue.extend(wanted);
            }
            Next::Send => {
                if transfer.is_new(number) {
                    connection.sent_packet_number = number.wrapping_add(1);
                }
                let packet = transfer.packet().to_vec();
                self.queue.push_back(Queued::Transmit(peer, packet));
            }
            Next::Nothing => {}
            Next::Done => self.end(peer, None),
            Next::Failed(why) => self.end(peer, Some(why)),
        }
    }

    /// A sending is over.
    fn end(&mut self, peer: SocketAddr, why: Option<Why>) {
        let Some(connection) = self.peers.get_mut(&peer) else { return };
        let Some(transfer) = connection.transfer.take() else { return };
        self.transfers -= 1;
        let streams = connection.streams();
        let known = match why {
            Some(Why::AlreadyThere { stream, bytes }) => Some((stream, bytes)),
            None | Some(_) => None,
        };
        let sent = transfer.acknowledged().filter(|(_, bytes)| *bytes > 0);
        for (stream, bytes) in sent.chain(known) {
            *connection.outbound.touch(stream, || 0).0 = bytes;
        }
        self.streams = self.streams + connection.streams() - streams;
        let report = transfer.report();
        self.queue.push_back(Queued::Event(match why {
            None => Event::Sent { peer, report },
            Some(why) => Event::Failed { peer, why, report },
        }));
        self.make_place(peer);
    }
}
