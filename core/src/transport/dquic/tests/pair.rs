//! A server's stack, a client's stack, and what goes between them, in virtual time.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use crate::code::Code;
use crate::error::Why;
use crate::id::{ConnId, Dir, StreamId};
use crate::io::Path;
use crate::limits::MAX_SEGMENTED;
use crate::rng::Seed;
use crate::time::Instant;
use crate::transport::dquic::{DquicConfig, stack};
use crate::transport::{
    Facts, Offer, Offered, Read, Route, Signal, Stack, Target, Transport, Trust, Wrote,
};

pub(super) const SERVER: ConnId = ConnId { slot: 3, generation: 9 };
pub(super) const CLIENT: ConnId = ConnId { slot: 0, generation: 1 };
/// From one end to the other.
pub(super) const LATENCY: Duration = Duration::from_millis(10);

pub(super) fn addr(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], port))
}

pub(super) fn server_config() -> DquicConfig {
    DquicConfig { serves: true, static_key: [42; 32], ..DquicConfig::default() }
}

pub(super) fn target(local: SocketAddr, offered: Offered) -> Target {
    Target {
        remote: addr(9_000),
        local,
        server_name: "localhost".to_owned(),
        trust: Trust::Any,
        offered,
        ticket: None,
    }
}

/// An end, and what it has told.
pub(super) struct End {
    pub(super) stack: Box<dyn Stack>,
    pub(super) id: ConnId,
    pub(super) conn: Option<Box<dyn Transport>>,
    pub(super) said: Vec<Signal>,
}

impl End {
    pub(super) fn conn(&mut self) -> &mut dyn Transport {
        self.conn.as_deref_mut().expect("no connection")
    }

    fn poll(&mut self) {
        while let Some(signal) = self.conn.as_mut().and_then(|conn| conn.poll()) {
            self.said.push(signal);
        }
    }

    pub(super) fn facts(&self) -> Option<&Facts> {
        self.said.iter().find_map(|signal| match signal {
            Signal::Up(facts) => Some(facts),
            _ => None,
        })
    }

    pub(super) fn down(&self) -> Option<&Why> {
        self.said.iter().find_map(|signal| match signal {
            Signal::Down(why) => Some(why),
            _ => None,
        })
    }
}

/// A datagram on its way.
#[derive(Clone, Debug)]
pub(super) struct Flying {
    pub(super) at: Instant,
    pub(super) to_server: bool,
    pub(super) path: Path,
    pub(super) bytes: Vec<u8>,
}

pub(super) struct Pair {
    pub(super) now: Instant,
    pub(super) server: End,
    pub(super) client: End,
    /// Where the client's datagrams seem to come from, if not from where it is.
    pub(super) nat: Option<SocketAddr>,
    /// Ask for proof of address.
    pub(super) retry: bool,
    /// The longest datagram that gets through.
    pub(super) mtu: usize,
    /// What is lost, besides.
    pub(super) lose: Box<dyn FnMut(&Flying) -> bool>,
    pub(super) flying: Vec<Flying>,
    /// Every datagram that was sent, newest last.
    pub(super) wire: Vec<Flying>,
}

impl Pair {
    pub(super) fn new() -> Self {
        Self::with(server_config(), DquicConfig::default(), Offered::Both)
    }

    /// With a client that has dialled.
    pub(super) fn with(server: DquicConfig, client: DquicConfig, offered: Offered) -> Self {
        let now = Instant::from_nanos(1_000_000_000);
        let end = |config, id, seed| End {
            stack: stack(config, &Seed::from_u64(seed)).unwrap(),
            id,
            conn: None,
            said: Vec::new(),
        };
        let (server, mut client) = (end(server, SERVER, 1), end(client, CLIENT, 2));
        client.conn = Some(client.stack.dial(now, CLIENT, &target(addr(1), offered)).unwrap());
        Self {
            now,
            server,
            client,
            nat: None,
            retry: false,
            mtu: usize::MAX,
            lose: Box::new(|_| false),
            flying: Vec::new(),
            wire: Vec::new(),
        }
    }

    /// With a connection that is up, and quiet.
    pub(super) fn up() -> Self {
        let mut pair = Self::new();
        pair.run(Duration::from_secs(1));
        assert!(pair.client.facts().is_some() && pair.server.facts().is_some());
        pair
    }

    /// Everything that happens within a time.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        for turn in 0.. {
            assert!(turn < 200_000, "time stands still at {:?}", self.now);
            self.drain();
            let next = self.next().filter(|at| *at <= end);
            self.now = next.unwrap_or(end).max(self.now);
            if next.is_none() {
                return;
            }
            self.deliver();
            for side in [&mut self.server, &mut self.client] {
                if let Some(conn) = &mut side.conn
                    && conn.deadline().is_some_and(|at| at <= self.now)
                {
                    conn.expire(self.now);
                }
            }
        }
    }

    fn next(&self) -> Option<Instant> {
        let ends = [&self.server, &self.client];
        let deadlines = ends.into_iter().filter_map(|end| end.conn.as_ref()?.deadline());
        self.flying.iter().map(|flying| flying.at).chain(deadlines).min()
    }

    /// Both ends do all they can do now.
    fn drain(&mut self) {
        let mut buf = vec![0; MAX_SEGMENTED];
        for to_server in [true, false] {
            let end = if to_server { &mut self.client } else { &mut self.server };
            end.poll();
            let Some(conn) = &mut end.conn else { continue };
            let mut sent = Vec::new();
            while let Some(transmit) = conn.transmit(self.now, &mut buf) {
                assert!(transmit.at.is_none() && transmit.len > 0);
                let size = transmit.segment.unwrap_or(transmit.len);
                for bytes in buf[..transmit.len].chunks(size) {
                    sent.push((transmit.path, bytes.to_vec()));
                }
                assert!(sent.len() < 10_000, "it never stops sending");
            }
            for (path, bytes) in sent {
                self.send(to_server, path, bytes);
            }
        }
    }

    /// A datagram leaves an end.
    pub(super) fn send(&mut self, to_server: bool, path: Path, bytes: Vec<u8>) {
        let mut path = Path { local: path.remote, remote: path.local };
        if to_server {
            path.remote = self.nat.unwrap_or(path.remote);
        }
        let flying = Flying { at: self.now + LATENCY, to_server, path, bytes };
        self.wire.push(flying.clone());
        let here = to_server || self.nat.is_none_or(|nat| nat == path.local);
        if here && flying.bytes.len() <= self.mtu && !(self.lose)(&flying) {
            self.flying.push(flying);
        }
    }

    fn deliver(&mut self) {
        let now = self.now;
        let due: Vec<Flying> = self.flying.extract_if(.., |flying| flying.at <= now).collect();
        for mut flying in due {
            if !flying.to_server && self.nat.is_some() {
                // The NAT leads home.
                flying.path.local = addr(1);
            }
            self.arrive(flying);
        }
    }

    fn arrive(&mut self, mut flying: Flying) {
        let end = if flying.to_server { &mut self.server } else { &mut self.client };
        let mut answer = Vec::new();
        let route = end.stack.classify(self.now, flying.path, &flying.bytes, &mut answer);
        match route {
            Route::To(id) if id == end.id => {
                if let Some(conn) = &mut end.conn {
                    conn.receive(self.now, flying.path, &mut flying.bytes);
                }
            }
            Route::New(offer) if end.conn.is_none() => self.offered(&offer, flying),
            Route::Answer(len) => {
                assert_eq!(len, answer.len());
                let path = Path { local: flying.path.local, remote: flying.path.remote };
                self.send(!flying.to_server, path, answer);
            }
            Route::To(_) | Route::New(_) | Route::Drop(_) => {}
        }
    }

    fn offered(&mut self, offer: &Offer, mut flying: Flying) {
        if self.retry && !offer.validated {
            let mut answer = Vec::new();
            self.server.stack.challenge(self.now, flying.path, offer, &mut answer);
            self.send(false, flying.path, answer);
            return;
        }
        let made = self.server.stack.admit(self.now, SERVER, flying.path, offer);
        let mut conn = made.expect("a server");
        conn.receive(self.now, flying.path, &mut flying.bytes);
        self.server.conn = Some(conn);
    }

    /// The client opens a stream, and both ends send all of `len` bytes on it, within a time.
    pub(super) fn exchange(&mut self, len: usize, limit: Duration) {
        if self.client.facts().is_none() {
            self.run(Duration::from_secs(1));
        }
        let id = self.client.conn().open(Dir::Bidi).expect("a stream");
        let end = self.now + limit;
        let content: Bytes = (0..len).map(|n| (n % 251) as u8).collect();
        let mut unsent = [Some(content.clone()), Some(content.clone())];
        let mut got = [Vec::new(), Vec::new()];
        let mut over = [false; 2];
        while over != [true; 2] || unsent != [None, None] {
            assert!(self.now < end, "not within {limit:?}: {} {}", got[0].len(), got[1].len());
            for (n, end) in [&mut self.client, &mut self.server].into_iter().enumerate() {
                // The server's half is there once the client has been heard.
                if n == 0 || !got[1].is_empty() {
                    write(end.conn(), id, &mut unsent[n]);
                }
                over[n] |= read(end.conn(), id, &mut got[n]);
            }
            self.run(Duration::from_millis(5));
        }
        assert!(got.iter().all(|got| *got == content), "the bytes that were sent");
    }
}

fn write(conn: &mut dyn Transport, id: StreamId, unsent: &mut Option<Bytes>) {
    if let Some(bytes) = unsent
        && conn.write(id, bytes, true) == Ok(Wrote::All)
    {
        *unsent = None;
    }
}

fn read(conn: &mut dyn Transport, id: StreamId, got: &mut Vec<u8>) -> bool {
    let mut buf = [0; 4_096];
    loop {
        match conn.read(id, &mut buf) {
            Ok(Read::Bytes(len)) => got.extend_from_slice(&buf[..len]),
            Ok(Read::Finished) => return true,
            Ok(Read::Blocked) | Err(_) => return false,
        }
    }
}

pub(super) fn local(code: Code) -> Option<Why> {
    Some(Why::Local(code))
}
