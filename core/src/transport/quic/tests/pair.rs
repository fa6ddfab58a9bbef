//! A server's stack, a client's stack, and what goes between them.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "quiche reads the real clock, so its tests wait for it"
)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant as System};

use bytes::Bytes;

use super::certificates::{self, Made};
use crate::id::{ConnId, StreamId};
use crate::io::Path;
use crate::limits::MAX_SEGMENTED;
use crate::rng::Seed;
use crate::time::Instant;
use crate::transport::quic::{QuicConfig, stack};
use crate::transport::{
    Facts, Offer, Offered, Read, Route, Signal, Stack, Target, Transport, Trust, Wrote,
};

pub(super) const SERVER: ConnId = ConnId { slot: 3, generation: 9 };
pub(super) const CLIENT: ConnId = ConnId { slot: 0, generation: 1 };

pub(super) fn addr(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
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

    pub(super) fn poll(&mut self) {
        while let Some(signal) = self.conn.as_mut().and_then(|conn| conn.poll()) {
            self.said.push(signal);
        }
    }

    pub(super) fn take(&mut self) -> Vec<Signal> {
        self.poll();
        std::mem::take(&mut self.said)
    }

    pub(super) fn facts(&self) -> Option<&Facts> {
        self.said.iter().find_map(|signal| match signal {
            Signal::Up(facts) => Some(facts),
            _ => None,
        })
    }
}

pub(super) struct Pair {
    pub(super) root: Made,
    pub(super) leaf: Made,
    pub(super) server: End,
    pub(super) client: End,
    /// Where the client's datagrams seem to come from, and what it takes them to be from.
    pub(super) client_addr: SocketAddr,
    pub(super) client_local: SocketAddr,
    pub(super) server_addr: SocketAddr,
    pub(super) retry: bool,
    /// The longest datagram that gets through.
    pub(super) mtu: usize,
    /// Every datagram that was sent, newest last.
    pub(super) wire: Vec<Vec<u8>>,
    /// Stateless answers of the server.
    pub(super) answers: usize,
    pub(super) longest_run: usize,
    start: System,
}

pub(super) fn server_config(leaf: &Made) -> QuicConfig {
    QuicConfig {
        identity: Some(leaf.identity()),
        worker: 5,
        static_key: [42; 32],
        ticket_key: Some([7; 48]),
        ..QuicConfig::default()
    }
}

impl Pair {
    pub(super) fn new() -> Self {
        Self::with(QuicConfig::default(), |_| {})
    }

    pub(super) fn with(client: QuicConfig, change: impl Fn(&mut QuicConfig)) -> Self {
        let root = certificates::root();
        let leaf = certificates::leaf(&root, &["media.example", "127.0.0.1"]);
        let mut config = server_config(&leaf);
        change(&mut config);
        let end = |config, seed, id| End {
            stack: stack(config, &Seed::from_u64(seed)).unwrap(),
            id,
            conn: None,
            said: Vec::new(),
        };
        Self {
            server: end(config, 1, SERVER),
            client: end(client, 2, CLIENT),
            root,
            leaf,
            client_addr: addr(5000),
            client_local: addr(5000),
            server_addr: addr(9000),
            retry: false,
            mtu: MAX_SEGMENTED,
            wire: Vec::new(),
            answers: 0,
            longest_run: 0,
            start: System::now(),
        }
    }

    pub(super) fn now(&self) -> Instant {
        let nanos = self.start.elapsed().as_nanos();
        Instant::from_nanos(u64::try_from(nanos).unwrap()) + Duration::from_secs(1000)
    }

    pub(super) fn target(&self) -> Target {
        Target {
            remote: self.server_addr,
            local: self.client_local,
            server_name: "media.example".to_owned(),
            trust: Trust::Roots(Arc::from([self.root.der()])),
            offered: Offered::Both,
            ticket: None,
        }
    }

    pub(super) fn dial(&mut self, target: &Target) {
        let now = self.now();
        self.client.conn = Some(self.client.stack.dial(now, CLIENT, target).unwrap());
    }

    /// A pair that is connected.
    pub(super) fn up() -> Self {
        let mut pair = Self::new();
        pair.connect();
        pair
    }

    pub(super) fn connect(&mut self) {
        let target = self.target();
        self.dial(&target);
        self.settle();
        assert!(self.client.facts().is_some(), "{:?}", self.client.said);
        assert!(self.server.facts().is_some(), "{:?}", self.server.said);
        self.client.said.clear();
        self.server.said.clear();
    }

    /// Everything one end has to send now.
    pub(super) fn sent(&mut self, by_client: bool) -> Vec<Vec<u8>> {
        let now = self.now();
        let end = if by_client { &mut self.client } else { &mut self.server };
        let mut buf = vec![0; MAX_SEGMENTED];
        let mut out = Vec::new();
        while let Some(sent) = end.conn.as_mut().and_then(|conn| conn.transmit(now, &mut buf)) {
            assert!(sent.len > 0 && sent.len <= buf.len());
            let segment = sent.segment.unwrap_or(sent.len);
            self.longest_run = self.longest_run.max(sent.len.div_ceil(segment));
            out.extend(buf[..sent.len].chunks(segment).map(<[u8]>::to_vec));
        }
        out.retain(|datagram| datagram.len() <= self.mtu);
        self.wire.extend(out.iter().cloned());
        out
    }

    pub(super) fn give_server(&mut self, datagram: &mut [u8]) {
        let now = self.now();
        let path = Path { local: self.server_addr, remote: self.client_addr };
        let mut answer = Vec::new();
        match self.server.stack.classify(now, path, datagram, &mut answer) {
            Route::To(id) => {
                assert_eq!(id, SERVER);
                if let Some(conn) = &mut self.server.conn {
                    conn.receive(now, path, datagram);
                }
            }
            Route::New(offer) => self.offered(path, &offer, datagram, &mut answer),
            Route::Answer(len) => assert_eq!(len, answer.len()),
            Route::Drop(_) => {}
        }
        if !answer.is_empty() {
            self.answers += 1;
            self.give_client(&mut answer);
        }
        self.server.poll();
    }

    fn offered(&mut self, path: Path, offer: &Offer, datagram: &mut [u8], answer: &mut Vec<u8>) {
        let now = self.now();
        if self.retry && !offer.validated {
            let route = self.server.stack.challenge(now, path, offer, answer);
            assert_eq!(route, Route::Answer(answer.len()));
        } else if self.server.conn.is_none() {
            let mut conn = self.server.stack.admit(now, SERVER, path, offer).unwrap();
            conn.receive(now, path, datagram);
            self.server.conn = Some(conn);
        }
    }

    pub(super) fn give_client(&mut self, datagram: &mut [u8]) {
        let now = self.now();
        let path = Path { local: self.client_local, remote: self.server_addr };
        let mut answer = Vec::new();
        let route = self.client.stack.classify(now, path, datagram, &mut answer);
        assert!(answer.is_empty(), "a client answers nothing");
        if route == Route::To(CLIENT)
            && let Some(conn) = &mut self.client.conn
        {
            conn.receive(now, path, datagram);
        }
        self.client.poll();
    }

    /// One turn of both. Whether anything was sent.
    pub(super) fn turn(&mut self) -> bool {
        let forth = self.sent(true);
        let mut any = !forth.is_empty();
        for mut datagram in forth {
            self.give_server(&mut datagram);
        }
        let back = self.sent(false);
        any |= !back.is_empty();
        for mut datagram in back {
            self.give_client(&mut datagram);
        }
        self.client.poll();
        self.server.poll();
        any
    }

    /// Until nothing is left to say.
    pub(super) fn settle(&mut self) {
        for _ in 0..10_000 {
            if !self.turn() {
                return;
            }
        }
        panic!("no end to it");
    }

    /// Until `done`, with timers. The clock is real, but nothing waits for it on a good link.
    pub(super) fn until(&mut self, mut done: impl FnMut(&mut Self) -> bool) {
        let limit = System::now() + Duration::from_secs(30);
        while !done(self) {
            assert!(System::now() < limit, "it does not happen");
            if !self.turn() {
                let now = self.now();
                for end in [&mut self.client, &mut self.server] {
                    let conn = end.conn();
                    if conn.deadline().is_some_and(|at| at <= now) {
                        conn.expire(now);
                    }
                }
                std::hint::spin_loop();
            }
        }
    }

    pub(super) fn forget_server(&mut self) {
        self.server.conn = None;
        self.server.stack.forget(SERVER);
    }
}

/// Reads what is there; whether the end was reached.
pub(super) fn read_all(end: &mut End, id: StreamId, into: &mut Vec<u8>) -> bool {
    let mut buf = [0; 7000];
    loop {
        match end.conn().read(id, &mut buf).unwrap() {
            Read::Bytes(len) => into.extend_from_slice(&buf[..len]),
            Read::Blocked => return false,
            Read::Finished => return true,
        }
    }
}

pub(super) fn send(end: &mut End, id: StreamId, text: &'static [u8], fin: bool) {
    let mut data = Bytes::from_static(text);
    assert_eq!(end.conn().write(id, &mut data, fin), Ok(Wrote::All));
}
