//! A client's place in the network: its links to the server and back, and the network address
//! translation (NAT) in front of it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::link::LinkConfig;
use crate::network::{HostId, LinkId, NatConfig, NatId, Network};

/// A client's way to the server and back.
#[derive(Clone, Debug)]
pub struct Wire {
    /// The client.
    pub host: HostId,
    /// To the server.
    pub up: LinkId,
    /// To the client.
    pub down: LinkId,
    number: u8,
    /// Its own addresses, the newest last, and the translator that each is behind.
    homes: Vec<(SocketAddr, NatId)>,
    moves: u8,
}

impl Wire {
    pub(super) fn new(
        network: &mut Network,
        server: HostId,
        number: usize,
        up: &LinkConfig,
        down: &LinkConfig,
    ) -> Self {
        let host = network.add_host(&[]);
        let (to, from) = (network.between(host, server), network.between(server, host));
        network.configure(to, up.clone());
        network.configure(from, down.clone());
        let number = u8::try_from(number).expect("fewer than 256 clients");
        let mut wire = Self { host, up: to, down: from, number, homes: Vec::new(), moves: 0 };
        wire.move_on(network);
        wire
    }

    /// The client's newest own address.
    #[must_use]
    pub fn home(&self) -> SocketAddr {
        self.homes.last().expect("it has one").0
    }

    /// The translator in front of the newest own address.
    #[must_use]
    pub fn nat(&self) -> NatId {
        self.homes.last().expect("it has one").1
    }

    /// The client is in another network now, where it has another address. The old one still
    /// works.
    pub(super) fn move_on(&mut self, network: &mut Network) -> SocketAddr {
        let nth = self.moves;
        self.moves = nth.checked_add(1).expect("fewer than 256 moves");
        let outside = |block| IpAddr::V4(Ipv4Addr::new(198, block, self.number, nth));
        let nat = network.add_nat(NatConfig::new(vec![outside(18), outside(19)]));
        let ip = IpAddr::V4(Ipv4Addr::new(10, self.number, nth, 1));
        network.add_address(self.host, ip, Some(nat));
        let home = SocketAddr::new(ip, 40_000);
        self.homes.push((home, nat));
        home
    }

    /// Every own address but the newest stops working.
    pub(super) fn cut(&mut self, network: &mut Network) {
        let old = self.homes.len() - 1;
        for (home, _) in self.homes.drain(..old) {
            network.remove_address(self.host, home.ip());
        }
    }
}
