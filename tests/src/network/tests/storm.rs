//! Everything at once.

use anabranch_core::rng::Rng;

use super::*;
use crate::link::{Burst, Ratio};

fn percent(rng: &mut Rng, most: u64) -> Ratio {
    Ratio::percent(rng.below(most + 1))
}

fn any_link(rng: &mut Rng) -> LinkConfig {
    let burst = Burst { enter: percent(rng, 10), leave: percent(rng, 90), loss: percent(rng, 100) };
    LinkConfig {
        latency: Duration::from_micros(rng.below(50_000)),
        jitter: Duration::from_micros(rng.below(20_000)),
        loss: percent(rng, 20),
        burst: rng.chance(1, 2).then_some(burst),
        duplicate: percent(rng, 20),
        reorder: percent(rng, 20),
        corrupt: percent(rng, 20),
        truncate: percent(rng, 20),
        bytes_per_second: rng.chance(1, 2).then_some(50_000),
        queue_bytes: rng.below(5_000),
        mtu: rng.chance(1, 2).then_some(1_000),
        drop_list: (0..rng.below(5)).collect(),
        ..LinkConfig::default()
    }
}

/// Everything at once, with changes under way. What came out, and the network.
fn storm(seed: u64) -> (Vec<Delivery>, Network) {
    let seed = Seed::from_u64(seed);
    let mut rng = seed.stream("storm");
    let mut network = Network::new(&seed, any_link(&mut rng));
    let config = NatConfig {
        timeout: Some(Duration::from_millis(200)),
        ..NatConfig::new(vec![outside(1), outside(2)])
    };
    let nat = network.add_nat(config);
    let mut hosts = vec![network.add_host(&[SERVER.ip()])];
    hosts.push(network.add_host(&[outside(9)]));
    hosts.extend([1, 2, 3].map(|n| network.add_host_behind(nat, &[own(n).ip()])));
    let addresses = [SERVER, SocketAddr::new(outside(9), 9), own(1), own(2), own(3)];
    network.set_access(hosts[2], any_link(&mut rng), any_link(&mut rng));
    let mut known = vec![SERVER, addresses[1]];
    let (mut out, mut now) = (Vec::<Delivery>::new(), Instant::ZERO);
    for _ in 0..3_000 {
        now = now + Duration::from_micros(rng.below(2_000));
        let pick = |rng: &mut Rng, len: usize| usize::try_from(rng.below(len as u64)).unwrap();
        let (a, b) = (pick(&mut rng, 5), pick(&mut rng, 5));
        match rng.below(60) {
            0 => network.part_one_way(hosts[a], hosts[b]),
            1 | 2 => network.heal(),
            3 => network.set_down(hosts[a], rng.chance(1, 3)),
            4 => network.nat(nat).rebind_port(),
            5 => network.nat(nat).rebind_address(),
            6 => {
                let links: Vec<LinkId> = network.links().collect();
                if let Some(link) = links.get(pick(&mut rng, links.len() + 1)) {
                    network.configure(*link, any_link(&mut rng));
                    network.set_blackhole(*link, rng.chance(1, 4));
                }
            }
            7 => network.links().take(2).for_each(|link| network.clear(link)),
            _ => {
                let remote = known[pick(&mut rng, known.len())];
                let bytes = vec![0; pick(&mut rng, 1_400)];
                network.send(now, hosts[a], path(addresses[a], remote), None, bytes);
            }
        }
        while let Some(delivery) = network.poll(now) {
            known.push(delivery.path.remote);
            out.push(delivery);
        }
        assert_eq!(network.fates().unaccounted(), 0, "{:?}", network.fates());
    }
    (out, network)
}

#[test]
fn every_datagram_is_accounted_for_in_a_storm() {
    crate::seeds::each(20, |seed| drop(storm(seed)));
}

#[test]
fn a_storm_has_all_weathers() {
    let met: [fn(&Fates) -> u64; 15] = [
        |fates| fates.delivered,
        |fates| fates.sender_down,
        |fates| fates.receiver_down,
        |fates| fates.partitioned,
        |fates| fates.unmapped,
        |fates| fates.filtered,
        |fates| fates.lost,
        |fates| fates.lost_in_burst,
        |fates| fates.listed,
        |fates| fates.too_big,
        |fates| fates.overflowed,
        |fates| fates.swallowed,
        |fates| fates.duplicated,
        |fates| fates.corrupted,
        |fates| fates.truncated,
    ];
    let all: Vec<Fates> = (0..20).map(|seed| storm(seed).1.fates()).collect();
    for (n, field) in met.into_iter().enumerate() {
        let sum: u64 = all.iter().map(field).sum();
        assert!(sum > 20, "fate {n} was met {sum} times");
    }
}

#[test]
fn a_seed_says_everything() {
    let (first, second, other) = (storm(3), storm(3), storm(4));
    assert_eq!(first.0, second.0);
    assert_eq!(first.1.hash(), second.1.hash());
    assert_ne!(first.1.hash(), other.1.hash());
}

#[test]
fn what_happens_on_one_link_changes_nothing_on_another() {
    let arrivals = |noise: bool| {
        let mut network = Network::new(&Seed::from_u64(5), LinkConfig::rough(20));
        let hosts = [1, 2, 3].map(|n| network.add_host(&[own(n).ip()]));
        let mut world = World::new(network);
        for n in 0..200 {
            world.send(hosts[0], path(own(1), own(2)), n);
            if noise {
                world.send(hosts[2], path(own(3), own(2)), n);
            }
        }
        let mut got: Vec<u8> =
            world.settle().iter().filter(|d| d.from == hosts[0]).map(|d| d.bytes[0]).collect();
        got.sort_unstable();
        got
    };
    assert_eq!(arrivals(false), arrivals(true));
}
