//! What a network is made of, and how that changes under way.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Host, HostId, LinkId, Nat, NatConfig, NatId, Network};
use crate::link::{Link, LinkConfig};

impl Network {
    /// A host with these addresses, up.
    ///
    /// # Panics
    /// If an address is taken.
    pub fn add_host(&mut self, addresses: &[IpAddr]) -> HostId {
        self.push_host(addresses, None)
    }

    /// A host behind a translator. Its addresses are its own only behind that translator.
    ///
    /// # Panics
    /// If an address is taken.
    pub fn add_host_behind(&mut self, nat: NatId, addresses: &[IpAddr]) -> HostId {
        self.push_host(addresses, Some(nat))
    }

    fn push_host(&mut self, addresses: &[IpAddr], nat: Option<NatId>) -> HostId {
        let id = HostId(self.hosts.len());
        self.hosts.push(Host { nat, ..Host::default() });
        for address in addresses {
            self.add_address(id, *address);
        }
        id
    }

    /// A translator.
    ///
    /// # Panics
    /// If it has no outside address.
    pub fn add_nat(&mut self, config: NatConfig) -> NatId {
        self.nats.push(Nat::new(config));
        NatId(self.nats.len() - 1)
    }

    /// A translator, to rebind it or to ask it.
    pub fn nat(&mut self, nat: NatId) -> &mut Nat {
        &mut self.nats[nat.0]
    }

    /// A host gets one more address.
    ///
    /// # Panics
    /// If it is taken.
    pub fn add_address(&mut self, host: HostId, address: IpAddr) {
        let nat = self.hosts[host.0].nat;
        let taken = self.hosts.iter().any(|h| h.nat == nat && h.addresses.contains(&address));
        let outside = nat.is_none() && self.nats.iter().any(|nat| nat.has(address));
        assert!(!taken && !outside, "{address} is taken");
        self.hosts[host.0].addresses.insert(address);
    }

    /// A host loses an address: nothing gets in or out there.
    pub fn remove_address(&mut self, host: HostId, address: IpAddr) {
        self.hosts[host.0].addresses.remove(&address);
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
