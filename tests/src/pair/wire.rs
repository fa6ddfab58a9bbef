//! A client's two links, and the network address translation (NAT) between them and the world.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};

use anabranch_core::{Path, Seed};

use crate::link::{Link, LinkConfig};

/// A client's way to the server and back.
#[derive(Debug)]
pub struct Wire {
    /// To the server.
    pub up: Link<Path>,
    /// To the client.
    pub down: Link<Path>,
    number: u8,
    /// The client's own addresses, and what the world sees in their place.
    outside: BTreeMap<SocketAddr, SocketAddr>,
    /// Own addresses that no longer reach anything.
    dead: BTreeSet<SocketAddr>,
    home: SocketAddr,
    next_port: u16,
}

impl Wire {
    pub(crate) fn new(n: usize, up: &LinkConfig, down: &LinkConfig, seed: &Seed) -> Self {
        let number = u8::try_from(n).expect("fewer than 256 clients");
        let home = SocketAddr::from((Ipv4Addr::new(198, 51, 100, number), 40_000));
        Self {
            up: Link::new(up.clone(), seed.stream(&format!("link {n} up"))),
            down: Link::new(down.clone(), seed.stream(&format!("link {n} down"))),
            number,
            outside: [(home, home)].into(),
            dead: BTreeSet::new(),
            home,
            next_port: 40_001,
        }
    }

    /// The client's newest own address.
    #[must_use]
    pub const fn home(&self) -> SocketAddr {
        self.home
    }

    /// The client has moved to another network, where it has this address. The old one still
    /// works, until [`Wire::cut`].
    pub fn new_home(&mut self) -> SocketAddr {
        let ip = Ipv4Addr::new(203, 0, 113, self.number);
        self.home = SocketAddr::from((ip, self.port()));
        self.outside.insert(self.home, self.home);
        self.home
    }

    /// What the world sees in place of the client's newest address.
    #[must_use]
    pub fn seen_as(&self) -> SocketAddr {
        self.outside[&self.home]
    }

    /// Every own address but the newest stops working.
    pub fn cut(&mut self) {
        self.dead = self.outside.keys().copied().filter(|own| *own != self.home).collect();
    }

    /// The NAT forgets its mapping: the world sees the client at another port from now on, and
    /// the old port leads nowhere.
    pub fn rebind_port(&mut self) {
        let mut seen = self.seen_as();
        seen.set_port(self.port());
        self.outside.insert(self.home, seen);
    }

    /// As [`Wire::rebind_port`], with another address too.
    pub fn rebind_address(&mut self) {
        let last = u8::try_from(self.next_port % 200).expect("below 200");
        let ip = Ipv4Addr::new(198, 18, self.number, last);
        let seen = SocketAddr::from((ip, self.port()));
        self.outside.insert(self.home, seen);
    }

    fn port(&mut self) -> u16 {
        self.next_port += 1;
        self.next_port
    }

    /// What the world sees in place of an own address. `None`: nothing gets out.
    pub(crate) fn outward(&self, own: SocketAddr) -> Option<SocketAddr> {
        self.outside.get(&own).copied().filter(|_| !self.dead.contains(&own))
    }

    /// The own address behind one that the world sees. `None`: not one of this client's.
    pub(crate) fn inward(&self, seen: SocketAddr) -> Option<SocketAddr> {
        let own = self.outside.iter().find(|(_, outside)| **outside == seen).map(|(own, _)| *own);
        own.filter(|own| !self.dead.contains(own))
    }
}
