//! Plain streams between two machines in virtual time.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::error::{Lost, Why};
use crate::id::{Dir, StreamId};
use crate::limits::{
    MAX_PLAIN_STREAMS, MAX_SEGMENTED, PLAIN_CONNECTION_WINDOW, PLAIN_STREAM_WINDOW,
};
use crate::transport::{Read, Wrote};

const LATENCY: Duration = Duration::from_millis(5);

fn addr(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn plain(serves: bool, seed: u64) -> Plain {
    let config = DquicConfig { serves, static_key: [7; 32], ..DquicConfig::default() };
    Plain::new(&config, &Seed::from_u64(seed)).unwrap()
}

/// A server at port 1, clients at the ports after it, and what flies between them.
struct World {
    now: Instant,
    hosts: Vec<Plain>,
    flying: BTreeMap<(Instant, u64), (Path, Vec<u8>)>,
    sent: u64,
    /// Every so many datagrams one is lost.
    lose: Option<u64>,
    signals: Vec<(usize, ConnId, Signal)>,
}

impl World {
    fn new(clients: usize) -> Self {
        let hosts = (0..=clients).map(|host| plain(host == 0, host as u64)).collect();
        let (flying, signals) = (BTreeMap::new(), Vec::new());
        Self { now: Instant::ZERO, hosts, flying, sent: 0, lose: None, signals }
    }

    fn connect(&mut self, client: usize) -> ConnId {
        let local = addr(u16::try_from(client).unwrap() + 1);
        self.hosts[client].connect(self.now, local, addr(1)).unwrap()
    }

    fn conn(&mut self, host: usize, id: ConnId) -> &mut dyn Transport {
        self.hosts[host].conn(id).expect("a connection")
    }

    /// Everything until the next arrival or deadline, and that. False: nothing is left to do.
    fn turn(&mut self) -> bool {
        let mut buf = vec![0; MAX_SEGMENTED];
        let mut wake = None;
        for (number, host) in self.hosts.iter_mut().enumerate() {
            let wait = loop {
                match host.poll_output(&mut buf) {
                    Output::Wait(wait) => break wait,
                    Output::Signal(id, signal) => self.signals.push((number, id, signal)),
                    Output::Transmit(transmit) => {
                        let Transmit { path, len, segment, at, .. } = transmit;
                        for bytes in buf[..len].chunks(segment.unwrap_or(len)) {
                            self.sent += 1;
                            if self.lose.is_none_or(|lose| !self.sent.is_multiple_of(lose)) {
                                let arrives = at.unwrap_or(self.now).max(self.now) + LATENCY;
                                let flight = (path, bytes.to_vec());
                                self.flying.insert((arrives, self.sent), flight);
                            }
                        }
                    }
                }
            };
            wake = [wake, wait].into_iter().flatten().min();
        }
        let arrival = self.flying.first_key_value().map(|((at, _), _)| *at);
        let Some(next) = [arrival, wake].into_iter().flatten().min() else { return false };
        self.now = self.now.max(next);
        while let Some(entry) = self.flying.first_entry().filter(|entry| entry.key().0 <= next) {
            let (path, mut bytes) = entry.remove();
            let host = usize::from(path.remote.port()) - 1;
            let path = Path { local: path.remote, remote: path.local };
            self.hosts[host].handle_datagram(self.now, path, &mut bytes);
        }
        for host in &mut self.hosts {
            host.handle_timeout(self.now);
        }
        true
    }

    /// Runs until there is a signal like this.
    fn until(&mut self, mut is_it: impl FnMut(usize, &Signal) -> bool) -> (usize, ConnId, Signal) {
        let mut idle = 0;
        for _ in 0..100_000 {
            let found = self.signals.iter().position(|(host, _, signal)| is_it(*host, signal));
            if let Some(at) = found {
                return self.signals.remove(at);
            }
            // The last turn may tell something too.
            idle += u32::from(!self.turn());
            assert!(idle < 2, "nothing happens any more: {:?}", self.signals);
        }
        panic!("it takes too long: {:?}", self.signals)
    }

    /// A connection of the first client, up on both sides: its ids there.
    fn pair() -> (Self, ConnId, ConnId) {
        let mut world = Self::new(1);
        let client = world.connect(1);
        world.until(|host, signal| host == 1 && matches!(signal, Signal::Up(_)));
        let up = world.until(|host, signal| host == 0 && matches!(signal, Signal::Up(_)));
        let (_, server, Signal::Up(facts)) = up else { unreachable!() };
        assert_eq!(facts.alpn, b"dquic-streams");
        assert_eq!(facts.remote, addr(2));
        (world, client, server)
    }
}

fn content(id: StreamId) -> Vec<u8> {
    let len = usize::try_from(id.0).unwrap() * 517 % 70_000;
    (0..len).map(|place| u8::try_from((place * 3 + len) % 253).unwrap()).collect()
}

#[test]
fn more_streams_than_may_be_open_arrive_whole_through_loss() {
    let (mut world, client, server) = World::pair();
    world.lose = Some(11);
    let wanted = 3 * MAX_PLAIN_STREAMS;
    let mut unsent: BTreeMap<StreamId, Bytes> = BTreeMap::new();
    let mut received: BTreeMap<StreamId, Vec<u8>> = BTreeMap::new();
    let (mut opened, mut finished) = (0, 0);
    let mut buf = vec![0; 10_000];
    for _ in 0..1_000_000 {
        while opened < wanted
            && let Some(id) = world.conn(1, client).open(Dir::Uni)
        {
            unsent.insert(id, content(id).into());
            opened += 1;
        }
        let conn = world.conn(1, client);
        unsent.retain(|id, data| conn.write(*id, data, true) != Ok(Wrote::All));
        for (host, _, signal) in std::mem::take(&mut world.signals) {
            let (0, Signal::Readable(id)) = (host, &signal) else { continue };
            let bytes = received.entry(*id).or_default();
            loop {
                match world.conn(0, server).read(*id, &mut buf).unwrap() {
                    Read::Bytes(len) => bytes.extend(&buf[..len]),
                    Read::Blocked => break,
                    Read::Finished => {
                        assert!(*bytes == content(*id), "{id}");
                        finished += 1;
                        break;
                    }
                }
            }
        }
        if finished == wanted {
            assert_eq!(received.len() as u64, wanted);
            return;
        }
        assert!(world.turn(), "nothing happens any more");
    }
    panic!("only {finished} of {wanted}");
}

#[test]
fn a_client_may_have_so_many_streams_open_and_so_many_bytes_unread() {
    let (mut world, client, server) = World::pair();
    let conn = world.conn(1, client);
    assert_eq!(conn.open(Dir::Bidi), None);
    let ids: Vec<StreamId> = std::iter::from_fn(|| conn.open(Dir::Uni)).collect();
    assert_eq!(ids.len() as u64, MAX_PLAIN_STREAMS);
    assert_eq!(world.conn(0, server).open(Dir::Uni), None, "streams go one way");
    // Nobody reads: no stream gets further than its window, nor all of them than theirs.
    let mut left: Vec<Bytes> = ids.iter().map(|_| vec![1; 2 << 20].into()).collect();
    let end = world.now + Duration::from_secs(10);
    while world.now < end && world.turn() {
        let conn = world.conn(1, client);
        for (id, data) in ids.iter().zip(&mut left) {
            conn.write(*id, data, false).unwrap();
        }
    }
    let mut buf = vec![0; 3 << 20];
    let mut held = 0;
    for id in &ids {
        let mut of_this = 0;
        while let Ok(Read::Bytes(len)) = world.conn(0, server).read(*id, &mut buf) {
            of_this += len as u64;
        }
        assert!(of_this <= PLAIN_STREAM_WINDOW, "{of_this}");
        held += of_this;
    }
    assert!(held > PLAIN_CONNECTION_WINDOW / 2 && held <= PLAIN_CONNECTION_WINDOW, "{held}");
}

#[test]
fn connections_are_limited_and_make_place_when_they_end() {
    let mut world = World::new(MAX_PLAIN_CONNECTIONS + 1);
    let up = |host| move |at: usize, signal: &Signal| at == host && matches!(signal, Signal::Up(_));
    let ids: Vec<ConnId> = (1..=MAX_PLAIN_CONNECTIONS)
        .map(|client| {
            let id = world.connect(client);
            world.until(up(client));
            id
        })
        .collect();
    let last = MAX_PLAIN_CONNECTIONS + 1;
    world.connect(last);
    let deadline = world.now + Duration::from_secs(5);
    while world.now < deadline {
        assert!(world.turn());
    }
    assert!(!world.signals.iter().any(|(host, _, signal)| up(last)(*host, signal)));
    let now = world.now;
    world.conn(1, ids[0]).close(now, Code::None, "done");
    world.until(up(last));
}

#[test]
fn a_close_is_told_and_silence_is_noticed() {
    let (mut world, client, _) = World::pair();
    let now = world.now;
    world.hosts[0].close(now, Code::Internal, "the disk is full");
    let (_, _, down) = world.until(|host, signal| host == 1 && matches!(signal, Signal::Down(_)));
    assert_eq!(down, Signal::Down(Why::Peer(Code::Internal, "the disk is full".to_owned())));
    while world.turn() {}
    assert!(world.hosts[1].conn(client).is_none(), "it is forgotten at its end");

    let mut world = World::new(1);
    world.lose = Some(1);
    world.connect(1);
    let (_, _, down) = world.until(|host, signal| host == 1 && matches!(signal, Signal::Down(_)));
    assert_eq!(down, Signal::Down(Why::Lost(Lost::HandshakeTimeout)));
}

#[test]
fn strangers_leave_nothing_behind() {
    let mut server = plain(true, 1);
    let mut client = plain(false, 2);
    client.connect(Instant::ZERO, addr(2), addr(1)).unwrap();
    let mut buf = vec![0; MAX_SEGMENTED];
    let Output::Transmit(hello) = client.poll_output(&mut buf) else { panic!("no hello") };
    let path = Path { local: addr(1), remote: addr(2) };
    for _ in 0..10 {
        server.handle_datagram(Instant::ZERO, path, &mut buf[..hello.len].to_vec());
        server.handle_datagram(Instant::ZERO, path, &mut [0x14; 50]);
        server.handle_datagram(Instant::ZERO, path, &mut []);
    }
    assert!(server.slots.is_empty(), "an address has to be proved first");
    client.handle_datagram(Instant::ZERO, path, &mut buf[..hello.len].to_vec());
    assert_eq!(client.slots.len(), 1, "a client takes no connections");
    for _ in 0..2 * MAX_STATELESS_QUEUED {
        server.handle_datagram(Instant::ZERO, path, &mut buf[..hello.len].to_vec());
    }
    assert_eq!(server.answers.len(), MAX_STATELESS_QUEUED);
}
