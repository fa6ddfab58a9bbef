//! What a network is made of, and how that changes under way.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use super::{Host, HostId, LinkId, Nat, NatConfig, NatId, Network};
use crate::link::{Link, LinkConfig};

impl Network {
    /// A host with these addresses, up.
    ///
    /// # Panics
    /// If an address is taken.
    pub fn add_host(&mut self, addresses: &[IpAddr]) -> HostId {
        let id = HostId(self.hosts.len());
        self.hosts.push(Host::default());
        addresses.iter().for_each(|address| self.add_address(id, *address, None));
        id
    }

    /// A host behind a translator.
    ///
    /// # Panics
    /// If an address is taken.
    pub fn add_host_behind(&mut self, nat: NatId, addresses: &[IpAddr]) -> HostId {
        let id = self.add_host(&[]);
        addresses.iter().for_each(|address| self.add_address(id, *address, Some(nat)));
        id
    }

    /// A translator.
    ///
    /// # Panics
    /// If it has no outside address, or one that is taken.
    pub fn add_nat(&mut self, config: NatConfig) -> NatId {
        let id = NatId(self.nats.len());
        for address in &config.outside {
            let host = self.owners.contains_key(&(None, *address));
            let nat = self.outsides.insert(*address, id);
            assert!(!host && nat.is_none(), "{address} is taken");
        }
        self.nats.push(Nat::new(config));
        id
    }

    /// A translator, to rebind it.
    pub fn nat(&mut self, nat: NatId) -> &mut Nat {
        &mut self.nats[nat.0]
    }

    /// What a peer sees in place of an address behind a translator at present, if there is a
    /// mapping.
    #[must_use]
    pub fn seen_as(&self, nat: NatId, inside: SocketAddr, peer: SocketAddr) -> Option<SocketAddr> {
        self.nats[nat.0].seen_as(inside, peer)
    }

    /// A host gets one more address, perhaps behind a translator: hosts behind different
    /// translators may have the same.
    ///
    /// # Panics
    /// If it is taken.
    pub fn add_address(&mut self, host: HostId, address: IpAddr, behind: Option<NatId>) {
        let owner = self.owners.insert((behind, address), host);
        let outside = behind.is_none() && self.outsides.contains_key(&address);
        assert!(owner.is_none() && !outside, "{address} is taken");
        let other = self.hosts[host.0].addresses.insert(address, behind);
        assert!(other.is_none(), "the host has {address} behind another translator");
    }

    /// A host loses an address: nothing gets in or out there.
    pub fn remove_address(&mut self, host: HostId, address: IpAddr) {
        if let Some(behind) = self.hosts[host.0].addresses.remove(&address) {
            self.owners.remove(&(behind, address));
        }
    }

    /// A host goes down or comes up. While it is down nothing gets in or out. What it has sent
    /// before still arrives.
    pub fn set_down(&mut self, host: HostId, down: bool) {
        self.hosts[host.0].down = down;
    }

    /// Everything that a host sends passes its link `up` first, and everything it receives passes
    /// its link `down` last, before and after the links that lie between hosts.
    pub fn set_access(
        &mut self,
        host: HostId,
        up: LinkConfig,
        down: LinkConfig,
    ) -> (LinkId, LinkId) {
        let up = self.add_link(&format!("host {} up", host.0), up);
        let down = self.add_link(&format!("host {} down", host.0), down);
        let host = &mut self.hosts[host.0];
        (host.access_up, host.access_down) = (Some(up), Some(down));
        (up, down)
    }

    /// A link for routes. The name picks its stream of the seed.
    pub fn add_link(&mut self, name: &str, config: LinkConfig) -> LinkId {
        let id = LinkId(self.links.len());
        self.links.push(Link::new(config, self.seed.stream(&format!("link {name}"))));
        id
    }

    /// The link that lies between two hosts, in this direction.
    pub fn between(&mut self, from: HostId, to: HostId) -> LinkId {
        if let Some(id) = self.pairs.get(&(from, to)) {
            return *id;
        }
        let id = self.add_link(&format!("{} to {}", from.0, to.0), self.between.clone());
        self.pairs.insert((from, to), id);
        id
    }

    /// What `from` sends to `to` takes this way from now on, and no other link. A link may be
    /// part of many routes: a shared bottleneck.
    ///
    /// # Panics
    /// If the way has no links.
    pub fn set_route(&mut self, from: HostId, to: HostId, links: &[LinkId]) {
        assert!(!links.is_empty(), "a way has links");
        self.routes.insert((from, to), links.into());
    }

    pub(super) fn route(&mut self, from: HostId, to: HostId) -> Arc<[LinkId]> {
        if let Some(route) = self.routes.get(&(from, to)) {
            return Arc::clone(route);
        }
        let between = self.between(from, to);
        let (up, down) = (self.hosts[from.0].access_up, self.hosts[to.0].access_down);
        [up, Some(between), down].into_iter().flatten().collect()
    }

    /// Changes what a link does to datagrams that enter it from now on.
    pub fn configure(&mut self, link: LinkId, config: LinkConfig) {
        self.links[link.0].configure(config);
    }

    /// What a link does to datagrams.
    #[must_use]
    pub fn config(&self, link: LinkId) -> &LinkConfig {
        self.links[link.0].config()
    }

    /// While on, everything that enters a link is lost. What is on it still arrives.
    pub fn set_blackhole(&mut self, link: LinkId, on: bool) {
        self.links[link.0].set_blackhole(on);
    }

    /// Loses everything on a link.
    pub fn clear(&mut self, link: LinkId) {
        let before = self.links[link.0].next();
        self.links[link.0].clear();
        self.reschedule(link, before, None);
    }

    /// All links, in the order they came to be.
    pub fn links(&self) -> impl Iterator<Item = LinkId> + use<> {
        (0..self.links.len()).map(LinkId)
    }

    /// Nothing that `from` sends reaches `to` any more. What is on its way still does.
    pub fn part_one_way(&mut self, from: HostId, to: HostId) {
        self.apart.insert((from, to));
    }

    /// None of these hosts reaches any of those, nor the other way round.
    pub fn part(&mut self, these: &[HostId], those: &[HostId]) {
        for a in these {
            for b in those.iter().filter(|b| *b != a) {
                self.part_one_way(*a, *b);
                self.part_one_way(*b, *a);
            }
        }
    }

    /// `from` reaches `to` again.
    pub fn join_one_way(&mut self, from: HostId, to: HostId) {
        self.apart.remove(&(from, to));
    }

    /// Everybody reaches everybody again.
    pub fn heal(&mut self) {
        self.apart.clear();
    }
}
