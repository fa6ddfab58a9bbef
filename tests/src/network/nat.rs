//! Network address translation, with the words of RFC 4787.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anabranch_core::{Instant, Path};

/// Which datagrams of an inside address share a mapping (RFC 4787 section 4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mapping {
    /// All of them: the whole world sees the inside address at one port.
    #[default]
    EndpointIndependent,
    /// Those to the same address and port: each peer sees another port.
    AddressAndPortDependent,
}

/// What comes in through a mapping (RFC 4787 section 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filtering {
    /// Everything.
    EndpointIndependent,
    /// What comes from an address that something was sent to.
    AddressDependent,
    /// What comes from an address and port that something was sent to.
    #[default]
    AddressAndPortDependent,
}

/// What a translator is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatConfig {
    /// The addresses that the world sees, one after the other: [`Nat::rebind_address`] goes to
    /// the next.
    pub outside: Vec<IpAddr>,
    /// What shares a mapping.
    pub mapping: Mapping,
    /// What comes in.
    pub filtering: Filtering,
    /// A mapping that nothing was sent through for so long is forgotten, and so is a peer of it.
    /// `None`: never.
    pub timeout: Option<Duration>,
}

impl NatConfig {
    /// Endpoint-independent mapping, address- and port-dependent filtering, no timeout.
    #[must_use]
    pub const fn new(outside: Vec<IpAddr>) -> Self {
        Self {
            outside,
            mapping: Mapping::EndpointIndependent,
            filtering: Filtering::AddressAndPortDependent,
            timeout: None,
        }
    }
}

/// Why nothing comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Unmapped,
    Filtered,
}

/// Whose a mapping is: the inside address, and with address- and port-dependent mapping the
/// peer.
type Key = (SocketAddr, Option<SocketAddr>);

#[derive(Debug)]
struct Mapped {
    outside: SocketAddr,
    /// When something was last sent through it.
    used: Instant,
    /// To whom something was sent through it, and when last.
    peers: BTreeMap<SocketAddr, Instant>,
}

/// A translator.
#[derive(Debug)]
pub struct Nat {
    config: NatConfig,
    /// Which of the outside addresses new mappings get.
    current: usize,
    /// Ports are given out in turn: an old one leads nowhere for a long time.
    next_port: u16,
    mapped: BTreeMap<Key, Mapped>,
    /// Whose each outside address is, or was.
    owners: BTreeMap<SocketAddr, Key>,
}

/// The first port that a translator gives out.
const FIRST_PORT: u16 = 20_000;

impl Nat {
    pub(super) fn new(config: NatConfig) -> Self {
        assert!(!config.outside.is_empty(), "a translator needs an address");
        Self {
            config,
            current: 0,
            next_port: FIRST_PORT,
            mapped: BTreeMap::new(),
            owners: BTreeMap::new(),
        }
    }

    /// Forgets every mapping: whoever sends next is seen at another port, and the old port leads
    /// nowhere.
    pub fn rebind_port(&mut self) {
        self.mapped.clear();
        self.owners.clear();
    }

    /// As [`Nat::rebind_port`], with the next outside address too.
    pub fn rebind_address(&mut self) {
        self.rebind_port();
        self.current = (self.current + 1) % self.config.outside.len();
    }

    /// As [`super::Network::seen_as`].
    pub(super) fn seen_as(&self, inside: SocketAddr, peer: SocketAddr) -> Option<SocketAddr> {
        self.mapped.get(&self.key(inside, peer)).map(|entry| entry.outside)
    }

    fn key(&self, inside: SocketAddr, peer: SocketAddr) -> Key {
        match self.config.mapping {
            Mapping::EndpointIndependent => (inside, None),
            Mapping::AddressAndPortDependent => (inside, Some(peer)),
        }
    }

    fn is_fresh(&self, now: Instant, used: Instant) -> bool {
        self.config.timeout.is_none_or(|timeout| now.since(used) < timeout)
    }

    /// Something is sent: the outside address that takes the place of `path.local`.
    pub(super) fn outward(&mut self, now: Instant, path: Path) -> SocketAddr {
        let key = self.key(path.local, path.remote);
        let known = self.mapped.get(&key).map(|entry| (entry.outside, entry.used));
        let outside = match known.filter(|(_, used)| self.is_fresh(now, *used)) {
            Some((outside, _)) => outside,
            None => {
                if let Some((stale, _)) = known {
                    self.mapped.remove(&key);
                    self.owners.remove(&stale);
                }
                self.allocate(key)
            }
        };
        let entry = self.mapped.entry(key).or_insert_with(|| Mapped {
            outside,
            used: now,
            peers: BTreeMap::new(),
        });
        entry.used = now;
        entry.peers.insert(path.remote, now);
        outside
    }

    fn allocate(&mut self, key: Key) -> SocketAddr {
        assert!(self.owners.len() < usize::from(u16::MAX - FIRST_PORT), "no port is left");
        loop {
            let outside = SocketAddr::new(self.config.outside[self.current], self.next_port);
            self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_PORT);
            if let Entry::Vacant(free) = self.owners.entry(outside) {
                free.insert(key);
                return outside;
            }
        }
    }

    /// Something comes in from `source` for `outside`: the inside address it is for. Incoming
    /// datagrams do not keep a mapping alive (RFC 4787 section 4.3).
    pub(super) fn inward(
        &self,
        now: Instant,
        source: SocketAddr,
        outside: SocketAddr,
    ) -> Result<SocketAddr, Refused> {
        let key = self.owners.get(&outside).ok_or(Refused::Unmapped)?;
        let entry = self.mapped.get(key).filter(|entry| self.is_fresh(now, entry.used));
        let entry = entry.ok_or(Refused::Unmapped)?;
        let mut fresh = entry.peers.iter().filter(|(_, used)| self.is_fresh(now, **used));
        let may = match self.config.filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => fresh.any(|(peer, _)| peer.ip() == source.ip()),
            Filtering::AddressAndPortDependent => fresh.any(|(peer, _)| *peer == source),
        };
        if may { Ok(key.0) } else { Err(Refused::Filtered) }
    }
}
