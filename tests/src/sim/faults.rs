//! What goes wrong in the world.

use std::time::Duration;

use super::swarm;
use super::world::{HostId, Inside, Plan, Role, World};
use anabranch_core::Path;

mod rogues;

/// A kind of fault. It comes again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    CrashServer,
    CrashClient,
    Partition,
    Blackhole,
    Rebind,
    Weather,
    Garbage,
    Rogue,
}

/// How a fault ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mend {
    /// A process starts again.
    Start(HostId),
    /// The first host reaches the second one again.
    Join(HostId, HostId),
    /// A host's links work again.
    Lighten(HostId),
    /// A server takes clients again.
    Listen(HostId),
    /// One who means ill gives up.
    Dismiss(HostId),
}

/// Datagrams that are kept for replays.
const OVERHEARD: usize = 64;

impl World {
    /// How often a kind of fault comes.
    const fn every(&self, fault: Fault) -> Option<Duration> {
        let faults = &self.swarm.faults;
        match fault {
            Fault::CrashServer => faults.crash_server,
            Fault::CrashClient => faults.crash_client,
            Fault::Partition => faults.partition,
            Fault::Blackhole => faults.blackhole,
            Fault::Rebind => faults.rebind,
            Fault::Weather => faults.weather,
            Fault::Garbage => faults.garbage,
            Fault::Rogue => faults.rogue,
        }
    }

    /// Every fault is entered in the agenda.
    pub(super) fn begin_faults(&mut self) {
        use Fault as F;
        for fault in [
            F::CrashServer,
            F::CrashClient,
            F::Partition,
            F::Blackhole,
            F::Rebind,
            F::Weather,
            F::Garbage,
            F::Rogue,
        ] {
            self.fault_soon(fault);
        }
    }

    fn fault_soon(&mut self, fault: Fault) {
        if let Some(every) = self.every(fault) {
            let at = self.now + self.draw.around(every);
            self.agenda.put(at, Plan::Fault(fault));
        }
    }

    /// A fault happens.
    pub(super) fn fault(&mut self, fault: Fault) {
        self.fault_soon(fault);
        match fault {
            Fault::CrashServer => self.crash(Role::Server),
            Fault::CrashClient => self.crash(Role::Client),
            Fault::Partition => self.partition(),
            Fault::Blackhole => self.darken(),
            Fault::Rebind => self.rebind_nat(),
            Fault::Weather => self.change_weather(),
            Fault::Garbage => self.send_garbage(),
            Fault::Rogue => self.send_rogue(),
        }
    }

    /// A fault ends.
    pub(super) fn mend(&mut self, mend: &Mend) {
        self.note(format!("{mend:?}"));
        match *mend {
            Mend::Start(host) => {
                if matches!(self.hosts[host].inside, Inside::Nothing) {
                    self.start(host);
                }
            }
            Mend::Join(from, to) => {
                let place = |host: HostId| self.hosts[host].place;
                self.network.join_one_way(place(from), place(to));
            }
            Mend::Lighten(host) => self.set_dark(host, false),
            Mend::Listen(host) => {
                if let Some(process) = self.hosts[host].process() {
                    process.node.endpoint.listen(true);
                    process.known.leaving = false;
                }
            }
            Mend::Dismiss(host) => self.kill(host),
        }
    }

    fn soon(&mut self, up_to_millis: u64, mend: Mend) {
        let after = Duration::from_millis(self.draw.range(1, up_to_millis));
        self.agenda.put(self.now + after, Plan::Mend(mend));
    }

    fn crash(&mut self, role: Role) {
        let hosts = self.role(role);
        let host = self.draw.pick(&hosts);
        if matches!(self.hosts[host].inside, Inside::Nothing) {
            return;
        }
        self.count(if role == Role::Server { "crash server" } else { "crash client" });
        self.note(format!("{role:?} {host} crashes"));
        self.kill(host);
        let power = self.draw.percent(60);
        if let Some(saver) = &mut self.hosts[host].saver {
            saver.crash(self.now, power);
        }
        let longest = self.draw.pick(&[1, 500, 20_000]);
        self.soon(longest, Mend::Start(host));
    }

    fn partition(&mut self) {
        let (servers, clients) = (self.role(Role::Server), self.role(Role::Client));
        let (server, client) = (self.draw.pick(&servers), self.draw.pick(&clients));
        let directions = match self.draw.index(3) {
            0 => vec![(server, client)],
            1 => vec![(client, server)],
            _ => vec![(server, client), (client, server)],
        };
        self.count(if directions.len() == 1 { "partition, one way" } else { "partition" });
        let longest = self.draw.pick(&[500, 5_000, 60_000]);
        for (from, to) in directions {
            self.note(format!("nothing from {from} reaches {to}"));
            self.network.part_one_way(self.hosts[from].place, self.hosts[to].place);
            self.soon(longest, Mend::Join(from, to));
        }
    }

    fn darken(&mut self) {
        let host = self.draw.index(self.swarm.servers + self.swarm.clients);
        self.count("blackhole");
        self.note(format!("{host} is cut off"));
        self.set_dark(host, true);
        if self.draw.percent(30) {
            let (up, down) = self.hosts[host].links;
            self.network.clear(up);
            self.network.clear(down);
        }
        let longest = self.draw.pick(&[500, 3_000, 20_000]);
        self.soon(longest, Mend::Lighten(host));
    }

    fn set_dark(&mut self, host: HostId, on: bool) {
        let (up, down) = self.hosts[host].links;
        self.network.set_blackhole(up, on);
        self.network.set_blackhole(down, on);
    }

    fn rebind_nat(&mut self) {
        let clients = self.role(Role::Client);
        let host = self.draw.pick(&clients);
        let Some(nat) = self.hosts[host].nat else { return };
        let address = self.draw.percent(40);
        match address {
            true => self.network.nat(nat).rebind_address(),
            false => self.network.nat(nat).rebind_port(),
        }
        self.count(if address { "rebind address" } else { "rebind port" });
        self.moved(host);
        self.note(format!("{host} is seen elsewhere"));
    }

    fn change_weather(&mut self) {
        let host = self.draw.index(self.swarm.servers + self.swarm.clients);
        let (up, down) = self.hosts[host].links;
        let link = self.draw.pick(&[up, down]);
        let weather = swarm::weather(&mut self.draw, true);
        self.count("weather");
        self.note(format!("{host} has {weather:?}"));
        self.network.configure(link, weather);
    }

    /// Somebody on the way may keep a datagram.
    pub(super) fn overhear(&mut self, host: HostId, path: Path, bytes: &[u8]) {
        if self.swarm.faults.garbage.is_none() || !self.draw.percent(2) {
            return;
        }
        if self.overheard.len() == OVERHEARD {
            self.overheard.remove(0);
        }
        self.overheard.push((host, path, bytes.to_vec()));
    }

    /// Somebody sends a datagram, wherever they claim to be.
    pub(super) fn forge(&mut self, host: HostId, path: Path, mut bytes: Vec<u8>) {
        let now = self.now;
        self.clock.set(now);
        self.rolling.add("forged", now, &bytes);
        if let Some(process) = self.hosts[host].process() {
            process.node.receive(now, path, None, &mut bytes);
            self.touched.insert(host);
        }
    }
}
