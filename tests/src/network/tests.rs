//! Who reaches whom, through what, and what became of every datagram.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anabranch_core::{Instant, Path, Seed};

use super::*;
use crate::link::LinkConfig;

mod nat;
mod storm;

const LATENCY: Duration = Duration::from_millis(10);
const SERVER: SocketAddr = at(Ipv4Addr::new(192, 0, 2, 1), 9_000);

const fn at(ip: Ipv4Addr, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(ip), port)
}

fn own(n: u8) -> SocketAddr {
    at(Ipv4Addr::new(10, 0, 0, n), 4_000)
}

fn outside(n: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, n))
}

const fn path(local: SocketAddr, remote: SocketAddr) -> Path {
    Path { local, remote }
}

fn new() -> Network {
    Network::new(&Seed::from_u64(1), LinkConfig::default())
}

/// A network in which time passes by itself.
struct World {
    network: Network,
    now: Instant,
}

impl World {
    fn new(network: Network) -> Self {
        Self { network, now: Instant::ZERO }
    }

    fn send(&mut self, from: HostId, path: Path, byte: u8) {
        self.network.send(self.now, from, path, None, vec![byte; 100]);
    }

    /// Runs until nothing flies.
    fn settle(&mut self) -> Vec<Delivery> {
        let mut out = Vec::new();
        while let Some(next) = self.network.next_time() {
            assert!(next >= self.now, "never back in time");
            self.now = next;
            out.extend(std::iter::from_fn(|| self.network.poll(next)));
        }
        let fates = self.network.fates();
        assert_eq!((fates.unaccounted(), fates.flying), (0, 0), "{fates:?}");
        out
    }

    fn pass(&mut self, by: Duration) {
        self.now = self.now + by;
    }

    /// What arrives if this is sent now.
    fn try_send(&mut self, from: HostId, path: Path) -> Option<Delivery> {
        self.send(from, path, 7);
        let mut out = self.settle();
        assert!(out.len() < 2);
        out.pop()
    }
}

#[test]
fn datagrams_reach_the_host_that_has_the_address() {
    let mut network = new();
    let server = network.add_host(&[SERVER.ip()]);
    let client = network.add_host(&[own(1).ip(), own(2).ip()]);
    let mut world = World::new(network);
    for local in [own(1), own(2)] {
        let there = world.try_send(client, path(local, SERVER)).unwrap();
        assert_eq!((there.to, there.from, there.path), (server, client, path(SERVER, local)));
        let back = world.try_send(server, path(SERVER, local)).unwrap();
        assert_eq!((back.to, back.path), (client, path(local, SERVER)));
    }
    assert_eq!(world.now, Instant::ZERO + LATENCY * 4);
    // An address that the sender does not have, and one that nobody has.
    assert_eq!(world.try_send(client, path(own(3), SERVER)), None);
    assert_eq!(world.try_send(client, path(own(1), own(9))), None);
    let fates = world.network.fates();
    assert_eq!((fates.sent, fates.delivered, fates.foreign, fates.no_host), (6, 4, 1, 1));
}

#[test]
fn addresses_come_and_go() {
    let mut network = new();
    let server = network.add_host(&[SERVER.ip()]);
    let client = network.add_host(&[own(1).ip()]);
    let mut world = World::new(network);
    world.send(server, path(SERVER, own(1)), 1);
    world.network.add_address(client, own(2).ip(), None);
    world.network.remove_address(client, own(1).ip());
    assert!(world.settle().is_empty(), "it was gone when the datagram came");
    assert!(world.try_send(client, path(own(1), SERVER)).is_none());
    assert!(world.try_send(client, path(own(2), SERVER)).is_some());
    assert_eq!(world.network.fates().no_host, 1);
}

#[test]
#[should_panic(expected = "is taken")]
fn an_address_belongs_to_one_host() {
    let mut network = new();
    network.add_host(&[SERVER.ip()]);
    network.add_host(&[SERVER.ip()]);
}

#[test]
#[should_panic(expected = "is taken")]
fn a_translators_address_is_its_own() {
    let mut network = new();
    network.add_nat(NatConfig::new(vec![outside(1)]));
    network.add_host(&[outside(1)]);
}

#[test]
fn directions_and_pairs_have_links_of_their_own() {
    let mut network = new();
    let server = network.add_host(&[SERVER.ip()]);
    let clients = [1, 2].map(|n| network.add_host(&[own(n).ip()]));
    let up = network.between(clients[0], server);
    let slow = LinkConfig { latency: LATENCY * 5, ..LinkConfig::default() };
    network.configure(up, slow.clone());
    assert_eq!(network.config(up), &slow);
    let mut world = World::new(network);
    let mut takes = |from, path| {
        let start = world.now;
        world.try_send(from, path).unwrap();
        world.now.since(start)
    };
    assert_eq!(takes(clients[0], path(own(1), SERVER)), LATENCY * 5);
    assert_eq!(takes(server, path(SERVER, own(1))), LATENCY);
    assert_eq!(takes(clients[1], path(own(2), SERVER)), LATENCY);
    world.network.set_blackhole(up, true);
    assert!(world.try_send(clients[0], path(own(1), SERVER)).is_none());
    assert!(world.try_send(server, path(SERVER, own(1))).is_some());
    assert!(world.try_send(clients[1], path(own(2), SERVER)).is_some());
    assert_eq!((world.network.counts(up).sent, world.network.counts(up).swallowed), (2, 1));
}

#[test]
fn access_links_come_first_and_last() {
    let mut network = new();
    let server = network.add_host(&[SERVER.ip()]);
    let client = network.add_host(&[own(1).ip()]);
    let after = |factor| LinkConfig { latency: LATENCY * factor, ..LinkConfig::default() };
    let (up, down) = network.set_access(client, after(2), after(4));
    let (_, server_down) = network.set_access(server, after(8), after(16));
    let mut world = World::new(network);
    world.try_send(client, path(own(1), SERVER)).unwrap();
    assert_eq!(world.now.since(Instant::ZERO), LATENCY * (2 + 1 + 16));
    let start = world.now;
    let back = world.try_send(server, path(SERVER, own(1))).unwrap();
    assert_eq!(world.now.since(start), LATENCY * (8 + 1 + 4));
    assert_eq!(back.sent, start, "the time of the first link");
    for link in [up, down, server_down] {
        assert_eq!(world.network.counts(link).delivered, 1);
    }
    // What is lost on the first link does not come to the others.
    world.network.set_blackhole(up, true);
    world.send(client, path(own(1), SERVER), 1);
    let between = world.network.between(client, server);
    let sent = [up, between, server_down].map(|link| world.network.counts(link).sent);
    assert_eq!(sent, [2, 1, 1]);
}

#[test]
fn a_bottleneck_is_shared() {
    let mut network = new();
    let server = network.add_host(&[SERVER.ip()]);
    let clients = [1, 2].map(|n| network.add_host(&[own(n).ip()]));
    // 100 bytes take a second.
    let narrow = LinkConfig {
        latency: Duration::ZERO,
        bytes_per_second: Some(100),
        queue_bytes: 300,
        ..LinkConfig::default()
    };
    let bottleneck = network.add_link("bottleneck", narrow);
    for client in clients {
        let last = network.between(client, server);
        network.set_route(client, server, &[bottleneck, last]);
    }
    let mut world = World::new(network);
    for (n, client) in (1..).zip(clients).cycle().take(6) {
        world.send(client, path(own(n), SERVER), n);
    }
    let out = world.settle();
    let from: Vec<u8> = out.iter().map(|delivery| delivery.bytes[0]).collect();
    assert_eq!(from, [1, 2, 1], "one goes, two wait, and the rest finds the queue full");
    assert_eq!(world.now.since(Instant::ZERO), Duration::from_secs(3) + LATENCY);
    assert_eq!(world.network.fates().overflowed, 3);
}

#[test]
fn partitions_have_directions_and_heal() {
    let mut network = new();
    let addresses = [own(1), own(2), own(3)];
    let hosts = addresses.map(|address| network.add_host(&[address.ip()]));
    let mut world = World::new(network);
    let reach = |world: &mut World| -> Vec<(usize, usize)> {
        let pairs = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)];
        let reaches = |(a, b): &(usize, usize)| {
            world.try_send(hosts[*a], path(addresses[*a], addresses[*b])).is_some()
        };
        pairs.into_iter().filter(reaches).collect()
    };
    assert_eq!(reach(&mut world).len(), 6);
    world.network.part_one_way(hosts[0], hosts[1]);
    assert_eq!(reach(&mut world), [(1, 0), (0, 2), (2, 0), (1, 2), (2, 1)]);
    world.network.join_one_way(hosts[0], hosts[1]);
    world.network.part(&hosts[..1], &hosts);
    assert_eq!(reach(&mut world), [(1, 2), (2, 1)]);
    world.network.heal();
    assert_eq!(reach(&mut world).len(), 6);
    // What is on its way when the partition begins still arrives.
    world.send(hosts[0], path(addresses[0], addresses[1]), 1);
    world.network.part(&hosts[..1], &hosts[1..]);
    assert_eq!(world.settle().len(), 1);
    assert_eq!(world.network.fates().partitioned, 1 + 4);
}

#[test]
fn a_host_that_is_down_is_silent_and_deaf() {
    let mut network = new();
    let hosts = [1, 2].map(|n| network.add_host(&[own(n).ip()]));
    let mut world = World::new(network);
    world.send(hosts[0], path(own(1), own(2)), 1);
    world.send(hosts[1], path(own(2), own(1)), 2);
    world.network.set_down(hosts[0], true);
    let out = world.settle();
    assert_eq!(out.iter().map(|d| d.bytes[0]).collect::<Vec<_>>(), [1], "sent before it fell");
    assert!(world.try_send(hosts[0], path(own(1), own(2))).is_none());
    world.network.set_down(hosts[0], false);
    assert!(world.try_send(hosts[0], path(own(1), own(2))).is_some());
    let fates = world.network.fates();
    assert_eq!((fates.sender_down, fates.receiver_down), (1, 1));
}
