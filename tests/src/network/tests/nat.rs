//! What translators do.

use super::*;

#[test]
fn a_translator_hides_and_rebinds() {
    let mut network = new();
    let server = network.add_host(&[SERVER.ip()]);
    let nat = network.add_nat(NatConfig::new(vec![outside(1), outside(2)]));
    let clients = [1, 2].map(|n| network.add_host_behind(nat, &[own(n).ip()]));
    let mut world = World::new(network);
    let out = |world: &mut World, n: u8| {
        let client = clients[usize::from(n) - 1];
        world.try_send(client, path(own(n), SERVER)).unwrap().path.remote
    };
    let first = out(&mut world, 1);
    assert_eq!((first.ip(), out(&mut world, 1)), (outside(1), first));
    let other = out(&mut world, 2);
    assert_eq!(other.ip(), outside(1));
    assert_ne!(other, first);
    for (seen, n) in [(first, 1), (other, 2)] {
        let back = world.try_send(server, path(SERVER, seen)).unwrap();
        assert_eq!((back.to, back.path), (clients[usize::from(n) - 1], path(own(n), SERVER)));
        assert_eq!(world.network.seen_as(nat, own(n), SERVER), Some(seen));
    }
    // A port is as good as gone at once, even for what is on its way.
    world.send(server, path(SERVER, first), 1);
    world.network.nat(nat).rebind_port();
    assert!(world.settle().is_empty());
    let second = out(&mut world, 1);
    assert_eq!(second.ip(), outside(1));
    assert_ne!(second, first);
    world.network.nat(nat).rebind_address();
    let third = out(&mut world, 1);
    assert_eq!(third.ip(), outside(2));
    assert!(world.try_send(server, path(SERVER, second)).is_none());
    assert!(world.try_send(server, path(SERVER, third)).is_some());
    // The inside address means nothing outside, and the outside one is not the server's.
    assert!(world.try_send(server, path(SERVER, own(1))).is_none());
    let fates = world.network.fates();
    assert_eq!((fates.unmapped, fates.no_host), (2, 1));
}

#[test]
fn filters_let_in_whom_they_should() {
    use Filtering::{AddressAndPortDependent, AddressDependent, EndpointIndependent};
    // Is one from another port of the same host let in, and one from another host?
    let expected = [
        (EndpointIndependent, true, true),
        (AddressDependent, true, false),
        (AddressAndPortDependent, false, false),
    ];
    for (filtering, port, host) in expected {
        let mut network = new();
        let server = network.add_host(&[SERVER.ip()]);
        let stranger = network.add_host(&[outside(9)]);
        let config = NatConfig { filtering, ..NatConfig::new(vec![outside(1)]) };
        let nat = network.add_nat(config);
        let client = network.add_host_behind(nat, &[own(1).ip()]);
        let mut world = World::new(network);
        let seen = world.try_send(client, path(own(1), SERVER)).unwrap().path.remote;
        let mut gets_in = |from, source| world.try_send(from, path(source, seen)).is_some();
        assert!(gets_in(server, SERVER));
        assert_eq!(gets_in(server, at(Ipv4Addr::new(192, 0, 2, 1), 1)), port, "{filtering:?}");
        assert_eq!(gets_in(stranger, SocketAddr::new(outside(9), 9)), host, "{filtering:?}");
        let kept_out = u64::from(!port) + u64::from(!host);
        assert_eq!(world.network.fates().filtered, kept_out);
    }
}

#[test]
fn a_symmetric_translator_shows_each_peer_another_port() {
    let mut network = new();
    let other = SocketAddr::new(outside(9), 9);
    let hosts = [SERVER, other].map(|address| network.add_host(&[address.ip()]));
    let mapping = Mapping::AddressAndPortDependent;
    let nat = network.add_nat(NatConfig { mapping, ..NatConfig::new(vec![outside(1)]) });
    let client = network.add_host_behind(nat, &[own(1).ip()]);
    let mut world = World::new(network);
    let mut seen = |peer| world.try_send(client, path(own(1), peer)).unwrap().path.remote;
    let ports = [seen(SERVER), seen(other)];
    assert_ne!(ports[0], ports[1]);
    assert_eq!([seen(SERVER), seen(other)], ports);
    assert!(world.try_send(hosts[0], path(SERVER, ports[0])).is_some());
    assert!(world.try_send(hosts[0], path(SERVER, ports[1])).is_none());
}

#[test]
fn mappings_time_out_unless_something_goes_out() {
    let timeout = Some(Duration::from_secs(30));
    let mut network = new();
    let server = network.add_host(&[SERVER.ip()]);
    let nat = network.add_nat(NatConfig { timeout, ..NatConfig::new(vec![outside(1)]) });
    let client = network.add_host_behind(nat, &[own(1).ip()]);
    let mut world = World::new(network);
    let seen = world.try_send(client, path(own(1), SERVER)).unwrap().path.remote;
    for _ in 0..3 {
        world.pass(Duration::from_secs(20));
        let again = world.try_send(client, path(own(1), SERVER)).unwrap().path.remote;
        assert_eq!(again, seen, "kept alive");
    }
    world.pass(Duration::from_secs(20));
    assert!(world.try_send(server, path(SERVER, seen)).is_some());
    world.pass(Duration::from_secs(11));
    assert!(world.try_send(server, path(SERVER, seen)).is_none(), "incoming keeps nothing alive");
    let new = world.try_send(client, path(own(1), SERVER)).unwrap().path.remote;
    assert_ne!(new, seen);
}

#[test]
fn hosts_behind_one_translator_meet_by_its_outside() {
    let mut network = new();
    let _server = network.add_host(&[SERVER.ip()]);
    let filtering = Filtering::EndpointIndependent;
    let nat = network.add_nat(NatConfig { filtering, ..NatConfig::new(vec![outside(1)]) });
    let clients = [1, 2].map(|n| network.add_host_behind(nat, &[own(n).ip()]));
    let mut world = World::new(network);
    let seen = [(clients[0], 1), (clients[1], 2)]
        .map(|(id, n)| world.try_send(id, path(own(n), SERVER)).unwrap().path.remote);
    let there = world.try_send(clients[0], path(own(1), seen[1])).unwrap();
    assert_eq!((there.to, there.path), (clients[1], path(own(2), seen[0])));
}
