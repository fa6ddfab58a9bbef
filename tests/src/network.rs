//! A network of hosts, as a machine without input or output.
//!
//! Hosts have addresses. Between each two of them lies a link for each direction; a host may
//! have an access link of its own for each direction, and a route through any links, shared ones
//! too, can be laid for any two hosts. In front of hosts there may be network address translators
//! ([`Nat`]), and any two hosts may be kept apart in one direction or both.
//!
//! Datagrams go in with [`Network::send`] and come out of [`Network::poll`] at the host that
//! their destination leads to when they get there. What became of every one of them is counted.
//! Everything is decided by the seed, and each link draws from a stream of its own: what
//! happens on one of them changes nothing on the others.

mod counts;
mod nat;
mod topology;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use anabranch_core::{Ecn, Instant, Path, Seed};

use crate::link::{Counts, Link, LinkConfig};
use crate::rolling::Rolling;

pub use counts::Fates;
pub use nat::{Filtering, Mapping, Nat, NatConfig};

/// A host of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub usize);

/// One direction of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub usize);

/// A network address translator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NatId(pub usize);

/// A datagram that reaches a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Whom it reaches.
    pub to: HostId,
    /// Who sent it, whatever its addresses say.
    pub from: HostId,
    /// Its path as the receiver sees it: `local` is the receiver's own address.
    pub path: Path,
    /// Its ECN bits.
    pub ecn: Option<Ecn>,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// When it was sent.
    pub sent: Instant,
}

/// What travels with a datagram and is beyond the reach of faults.
#[derive(Clone, Debug)]
struct Header {
    from: HostId,
    /// Both addresses as they are between the translators.
    source: SocketAddr,
    destination: SocketAddr,
    sent: Instant,
    /// The links to pass, and how many have been.
    route: Arc<[LinkId]>,
    passed: usize,
}

#[derive(Debug, Default)]
struct Host {
    /// Its addresses, and the translator that each is behind.
    addresses: BTreeMap<IpAddr, Option<NatId>>,
    access_up: Option<LinkId>,
    access_down: Option<LinkId>,
    down: bool,
}

/// Hosts, and what lies between them.
#[derive(Debug)]
pub struct Network {
    seed: Seed,
    /// The configuration of a link between two hosts that has none of its own.
    between: LinkConfig,
    hosts: Vec<Host>,
    /// Who has an address, outside or behind a translator.
    owners: BTreeMap<(Option<NatId>, IpAddr), HostId>,
    nats: Vec<Nat>,
    /// The translators' addresses on the outside.
    outsides: BTreeMap<IpAddr, NatId>,
    links: Vec<Link<Header>>,
    /// Links on which something flies, by the time of the next arrival.
    due: BTreeSet<(Instant, LinkId)>,
    /// The link between two hosts, in this direction.
    pairs: BTreeMap<(HostId, HostId), LinkId>,
    routes: BTreeMap<(HostId, HostId), Arc<[LinkId]>>,
    /// Who cannot reach whom.
    apart: BTreeSet<(HostId, HostId)>,
    fates: Fates,
    rolling: Rolling,
}

/// Where an address leads.
enum Place {
    /// To this host, at this own address of it.
    Host(HostId, SocketAddr),
    /// Nobody has it.
    Nowhere,
    /// A translator has it, with no mapping for it.
    Unmapped,
    /// A translator has it, and lets nothing in from this source.
    Filtered,
}

impl Network {
    /// No hosts. Links between hosts do this to datagrams unless something else is said.
    #[must_use]
    pub fn new(seed: &Seed, between: LinkConfig) -> Self {
        Self {
            seed: *seed,
            between,
            hosts: Vec::new(),
            owners: BTreeMap::new(),
            nats: Vec::new(),
            outsides: BTreeMap::new(),
            links: Vec::new(),
            due: BTreeSet::new(),
            pairs: BTreeMap::new(),
            routes: BTreeMap::new(),
            apart: BTreeSet::new(),
            fates: Fates::default(),
            rolling: Rolling::default(),
        }
    }

    /// A host sends a datagram on a path: `local` is its own address, `remote` whom it is for.
    pub fn send(
        &mut self,
        now: Instant,
        from: HostId,
        path: Path,
        ecn: Option<Ecn>,
        bytes: Vec<u8>,
    ) {
        self.fates.sent += 1;
        self.rolling.datagram("sent", now, path, ecn, &bytes);
        let host = &self.hosts[from.0];
        if host.down {
            self.fates.sender_down += 1;
            return;
        }
        let source = match host.addresses.get(&path.local.ip()) {
            Some(Some(nat)) => self.nats[nat.0].outward(now, path),
            Some(None) => path.local,
            None => {
                self.fates.foreign += 1;
                return;
            }
        };
        let destination = path.remote;
        let to = match self.place(now, source, destination) {
            Place::Host(to, _) => to,
            other => return self.misses(&other),
        };
        if self.apart.contains(&(from, to)) {
            self.fates.partitioned += 1;
            return;
        }
        let route = self.route(from, to);
        let header = Header { from, source, destination, sent: now, route, passed: 0 };
        self.forward(now, header, ecn, bytes);
    }

    /// The next datagram that has reached a host by now.
    pub fn poll(&mut self, now: Instant) -> Option<Delivery> {
        loop {
            let (at, id) = self.due.first().copied().filter(|(at, _)| *at <= now)?;
            let link = &mut self.links[id.0];
            let arrived = link.poll(at).expect("what is due arrives");
            let next = link.next();
            self.reschedule(id, Some(at), next);
            let (header, ecn, bytes) = (arrived.header, arrived.ecn, arrived.bytes);
            if header.passed < header.route.len() {
                self.forward(at, header, ecn, bytes);
            } else if let Some(delivery) = self.arrive(at, &header, ecn, bytes) {
                return Some(delivery);
            }
        }
    }

    /// When the next datagram gets anywhere. It may still have further to go, and
    /// [`Network::poll`] may have nothing to tell then.
    #[must_use]
    pub fn next_time(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Onto the next link of the route.
    fn forward(&mut self, now: Instant, mut header: Header, ecn: Option<Ecn>, bytes: Vec<u8>) {
        let id = header.route[header.passed];
        header.passed += 1;
        let link = &mut self.links[id.0];
        let before = link.next();
        link.send(now, header, ecn, bytes);
        let after = link.next();
        self.reschedule(id, before, after);
    }

    /// The end of the route: addresses are translated, and doors may be closed.
    fn arrive(
        &mut self,
        now: Instant,
        header: &Header,
        ecn: Option<Ecn>,
        bytes: Vec<u8>,
    ) -> Option<Delivery> {
        match self.place(now, header.source, header.destination) {
            Place::Host(to, _) if self.hosts[to.0].down => {
                self.fates.receiver_down += 1;
                None
            }
            Place::Host(to, local) => {
                self.fates.delivered += 1;
                let path = Path { local, remote: header.source };
                self.rolling.datagram("delivered", now, path, ecn, &bytes);
                Some(Delivery { to, from: header.from, path, ecn, bytes, sent: header.sent })
            }
            other => {
                self.misses(&other);
                None
            }
        }
    }

    const fn misses(&mut self, place: &Place) {
        match place {
            Place::Host(..) => {}
            Place::Nowhere => self.fates.no_host += 1,
            Place::Unmapped => self.fates.unmapped += 1,
            Place::Filtered => self.fates.filtered += 1,
        }
    }

    /// Where a datagram from `source` (outside) to `destination` (outside) ends up.
    fn place(&self, now: Instant, source: SocketAddr, destination: SocketAddr) -> Place {
        let own = |inside: SocketAddr, behind: Option<NatId>| match self
            .owners
            .get(&(behind, inside.ip()))
        {
            Some(host) => Place::Host(*host, inside),
            None => Place::Nowhere,
        };
        let Some(nat) = self.outsides.get(&destination.ip()) else { return own(destination, None) };
        match self.nats[nat.0].inward(now, source, destination) {
            Ok(inside) => own(inside, Some(*nat)),
            Err(nat::Refused::Unmapped) => Place::Unmapped,
            Err(nat::Refused::Filtered) => Place::Filtered,
        }
    }

    /// Whom something would reach if it came from this address at this moment, both as they
    /// are between the translators.
    #[must_use]
    pub fn receiver(
        &self,
        now: Instant,
        source: SocketAddr,
        destination: SocketAddr,
    ) -> Option<HostId> {
        match self.place(now, source, destination) {
            Place::Host(to, _) => Some(to),
            Place::Nowhere | Place::Unmapped | Place::Filtered => None,
        }
    }

    fn reschedule(&mut self, id: LinkId, before: Option<Instant>, after: Option<Instant>) {
        if before != after {
            if let Some(at) = before {
                self.due.remove(&(at, id));
            }
            self.due.extend(after.map(|at| (at, id)));
        }
    }

    /// What became of every datagram so far.
    #[must_use]
    pub fn fates(&self) -> Fates {
        let mut fates = self.fates;
        for link in &self.links {
            fates.add(&link.counts());
            fates.flying += link.flying() as u64;
        }
        fates
    }

    /// A hash over every datagram that was sent and delivered so far: addresses, times and bytes.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.rolling.value()
    }

    /// What one link has done so far.
    ///
    /// # Panics
    /// If the network has no such link.
    #[must_use]
    pub fn counts(&self, link: LinkId) -> Counts {
        self.links[link.0].counts()
    }
}

#[cfg(test)]
mod tests;
