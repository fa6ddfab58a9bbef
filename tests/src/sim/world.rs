//! The world: who is in it, and what is known of the run.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anabranch_core::trace::{self, Entry};
use anabranch_core::{Instant, Seed, Side};
use bytes::Bytes;

use super::agenda::Agenda;
use super::draw::Draw;
use super::errands::Errands;
use super::process::Process;
use super::saver::Saver;
use super::swarm::Swarm;
use super::trail::{Step, Trail};
use crate::apps::{FilesApp, ServerApp, Supply};
use crate::cert::{self, Identity};
use crate::disk::Disk;
use crate::link::LinkConfig;
use crate::network::{Fates, LinkId, NatConfig, NatId, Network};
use crate::oracle::Ends;
use crate::pair::host::{Node, Outgoing};
use crate::pair::substream;
use crate::recording::{Recording, assert_identical};
use crate::rogue::Rogue;
use crate::rolling::Rolling;
use crate::virtual_clock::{START, Virtual};
use crate::{content, network, stack};

/// A host's number: servers first, then clients, then those who mean ill.
pub(super) type HostId = usize;

/// Hosts of people who mean ill.
pub(super) const ROGUES: usize = 2;

/// What a host is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Server,
    Client,
    Rogue,
}

/// What runs on a host.
pub(super) enum Inside {
    /// Nothing: it has crashed, or has not started.
    Nothing,
    Process(Box<Process>),
    Rogue(Box<Rogue>),
}

/// A host. It stays when its process dies.
pub(super) struct Host {
    pub(super) role: Role,
    /// Where it is in the network.
    pub(super) place: network::HostId,
    /// The links of its own: what it sends passes the first, what it gets the second.
    pub(super) links: (LinkId, LinkId),
    pub(super) nat: Option<NatId>,
    /// Its address, as it sees it.
    pub(super) home: SocketAddr,
    /// Addresses it had.
    pub(super) moves: u8,
    /// Its decisions.
    pub(super) draw: Draw,
    pub(super) inside: Inside,
    /// How often a process was started.
    pub(super) starts: u64,
    /// What its application keeps.
    pub(super) saver: Option<Saver>,
    /// The newest ticket for each server, as a client would keep it on a disk.
    pub(super) tickets: BTreeMap<HostId, Bytes>,
    /// What it does with files, and the disk that has them.
    pub(super) files: FilesApp,
}

impl Inside {
    pub(super) fn process(&mut self) -> Option<&mut Process> {
        match self {
            Self::Process(process) => Some(process),
            Self::Nothing | Self::Rogue(_) => None,
        }
    }
}

impl Host {
    pub(super) fn process(&mut self) -> Option<&mut Process> {
        self.inside.process()
    }
}

/// Something that will happen in the world.
#[derive(Clone, Debug)]
pub(super) enum Plan {
    /// The application of a host does something.
    Act(HostId),
    /// A fault begins.
    Fault(super::faults::Fault),
    /// A fault is over.
    Mend(super::faults::Mend),
}

/// What happened in a run, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Datagrams that hosts sent.
    pub datagrams: u64,
    /// Events that endpoints told.
    pub events: u64,
    /// Commands and faults, by name.
    pub done: BTreeMap<&'static str, u64>,
    /// Steps of state machines that changed something, or were illegal: machine, state, input.
    pub steps: BTreeMap<(String, String, String), u64>,
}

/// A simulated world.
pub struct World {
    pub(super) clock: Virtual,
    pub(super) now: Instant,
    pub(super) seed: Seed,
    pub(super) swarm: Swarm,
    pub(super) identity: Identity,
    pub(super) network: Network,
    pub(super) hosts: Vec<Host>,
    pub(super) held: Agenda<(HostId, Outgoing)>,
    pub(super) agenda: Agenda<Plan>,
    /// Hosts that may have something to do at the present time.
    pub(super) touched: BTreeSet<HostId>,
    pub(super) woken: BTreeSet<HostId>,
    pub(super) rolling: Rolling,
    pub(super) trail: Trail,
    pub(super) tally: Tally,
    pub(super) ends: Ends,
    pub(super) errands: Errands,
    /// Decisions of the world itself.
    pub(super) draw: Draw,
    pub(super) healing: bool,
    pub(super) next_tag: u32,
    /// Bytes of media that were asked for, all together.
    pub(super) asked: u64,
    /// How often each client has moved, or was seen to move.
    pub(super) moves: BTreeMap<HostId, u32>,
    /// Datagrams that somebody has recorded on their way.
    pub(super) overheard: Vec<(HostId, anabranch_core::Path, Vec<u8>)>,
}

impl World {
    /// A world in which nothing has happened.
    ///
    /// # Panics
    /// If this binary does not answer the clocks, or the options cannot work.
    #[must_use]
    pub fn new(seed: Seed, swarm: Swarm) -> Self {
        let clock = Virtual::start();
        let between = LinkConfig { latency: Duration::from_millis(1), ..LinkConfig::default() };
        let mut world = Self {
            clock,
            now: START,
            seed,
            identity: cert::fixed(),
            network: Network::new(&seed, between),
            hosts: Vec::new(),
            held: Agenda::default(),
            agenda: Agenda::default(),
            touched: BTreeSet::new(),
            woken: BTreeSet::new(),
            rolling: Rolling::default(),
            trail: Trail::default(),
            tally: Tally::default(),
            ends: Ends::default(),
            errands: Errands::default(),
            draw: Draw::new(seed.stream("world")),
            healing: false,
            next_tag: 0,
            asked: 0,
            moves: BTreeMap::new(),
            overheard: Vec::new(),
            swarm,
        };
        for host in 0..world.swarm.servers + world.swarm.clients + ROGUES {
            world.add_host(host);
        }
        world
    }

    /// Every step is printed as it happens.
    pub fn set_loud(&mut self, on: bool) {
        self.trail.loud = on;
    }

    /// The time.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// A hash over everything so far: every datagram that was sent and delivered, every event,
    /// every command and its answer, every fault.
    #[must_use]
    pub fn hash(&self) -> u64 {
        let mut all = self.rolling.clone();
        all.add("network", self.now, &self.network.hash().to_le_bytes());
        all.value()
    }

    /// What happened so far.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What became of every datagram.
    #[must_use]
    pub fn fates(&self) -> Fates {
        self.network.fates()
    }

    /// The last steps, as text.
    #[must_use]
    pub fn last_steps(&self) -> String {
        self.trail.to_string()
    }

    fn add_host(&mut self, host: HostId) {
        let role = match host {
            n if n < self.swarm.servers => Role::Server,
            n if n < self.swarm.servers + self.swarm.clients => Role::Client,
            _ => Role::Rogue,
        };
        let number = u8::try_from(host).expect("fewer than 256 hosts");
        let public = |last| IpAddr::from(Ipv4Addr::new(198, 51, number, last));
        let nat = self.swarm.nats.get(host).cloned().flatten().map(|style| {
            let outside = (1..=250).map(public).collect();
            self.network.add_nat(NatConfig { outside, ..style })
        });
        let home = match (role, nat) {
            (Role::Server, _) => SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1 + number), 9_000)),
            (_, None) => SocketAddr::new(public(1), 40_000),
            (_, Some(_)) => SocketAddr::from((Ipv4Addr::new(10, 0, number, 1), 40_000)),
        };
        let place = match nat {
            Some(nat) => self.network.add_host_behind(nat, &[home.ip()]),
            None => self.network.add_host(&[home.ip()]),
        };
        let plain = (LinkConfig::default(), LinkConfig::default());
        let disk = self
            .swarm
            .disk
            .clone()
            .filter(|_| role == Role::Client)
            .map(|config| Disk::new(config, self.seed.stream(&format!("disk {host}"))));
        let (up, down) = self.swarm.access.get(host).unwrap_or(&plain).clone();
        self.hosts.push(Host {
            role,
            place,
            links: self.network.set_access(place, up, down),
            nat,
            home,
            moves: 0,
            draw: Draw::new(self.seed.stream(&format!("host {host}"))),
            inside: Inside::Nothing,
            starts: 0,
            saver: disk.map(Saver::new),
            tickets: BTreeMap::new(),
            files: FilesApp::default(),
        });
        self.hosts[host].files.habits.accept.window = self.swarm.file_window;
        if role != Role::Rogue {
            self.start(host);
        }
    }

    /// Starts a process on a server or client that has none.
    pub(super) fn start(&mut self, host: HostId) {
        self.clock.set(self.now);
        let starts = self.hosts[host].starts;
        self.hosts[host].starts += 1;
        let own = substream(&self.seed, &format!("process {host}.{starts}"));
        let home = self.hosts[host].home;
        let knobs = &self.swarm.stack;
        let record = self.swarm.record;
        let node = match self.hosts[host].role {
            Role::Server => {
                let secrets = substream(&self.seed, &format!("server {host}"));
                let stack = stack::server(knobs, &self.identity, &secrets, starts);
                let mut node = Node::new(&self.swarm.server, stack, Side::Server, home, record);
                node.endpoint.listen(true);
                let catalogue = content::catalogue(&self.swarm.clips);
                node.endpoint.hub().set_catalogue(catalogue, None).expect("a good catalogue");
                node
            }
            Role::Client | Role::Rogue => {
                let stack = stack::client(knobs, &own);
                Node::new(&self.swarm.client, stack, Side::Client, home, record)
            }
        };
        let mut app = ServerApp::new(&self.swarm.clips);
        if self.swarm.supply_delay > Duration::ZERO {
            app.supply = Supply::After(self.swarm.supply_delay);
        }
        self.hosts[host].inside = Inside::Process(Box::new(Process::new(node, app)));
        self.touched.insert(host);
    }

    /// A process dies. What it had not handed to the network is gone with it.
    pub(super) fn kill(&mut self, host: HostId) {
        let inside = std::mem::replace(&mut self.hosts[host].inside, Inside::Nothing);
        if let Inside::Process(mut process) = inside {
            self.read_recording(&mut process);
        }
        self.held.retain(|(sender, _)| *sender != host);
        self.ends.forget(host);
        self.hosts[host].files.restart();
        self.hosts[host].files.ended.clear();
        self.hosts[host].files.told.clear();
        self.errands.forget(host);
    }

    /// What a process has recorded replays, and tells which steps its state machines took.
    fn read_recording(&mut self, process: &mut Process) {
        let Some(recording) = process.node.recording.take() else { return };
        let trace = recording.finish();
        for record in trace::entries(&trace) {
            if let Entry::Step(step) = record.expect("a trace that can be read").entry {
                let edge = (step.machine, step.from, step.input);
                *self.tally.steps.entry(edge).or_default() += 1;
            }
        }
        assert_identical(&trace);
        self.count("(replayed traces)");
    }

    /// The recordings of all processes that are left are read.
    pub(super) fn read_recordings(&mut self) {
        for host in 0..self.hosts.len() {
            self.kill(host);
        }
    }

    /// The run has failed: nobody wants the recordings.
    pub fn give_up(&mut self) {
        for process in self.hosts.iter_mut().filter_map(Host::process) {
            drop(process.node.recording.take().map(Recording::finish));
        }
    }

    /// Hosts of a role.
    pub(super) fn role(&self, role: Role) -> Vec<HostId> {
        let fits = |host: &HostId| self.hosts[*host].role == role;
        (0..self.hosts.len()).filter(fits).collect()
    }

    /// The host behind an address that the world sees, if it is an honest one.
    pub(super) fn honest(&self, seen: SocketAddr) -> Option<HostId> {
        let IpAddr::V4(ip) = seen.ip() else { return None };
        let host = match ip.octets() {
            [192, 0, 2, n] => usize::from(n).checked_sub(1)?,
            [198, 51, n, _] => usize::from(n),
            _ => return None,
        };
        (host < self.swarm.servers + self.swarm.clients).then_some(host)
    }

    /// Counts something that was done.
    pub(super) fn count(&mut self, what: &'static str) {
        *self.tally.done.entry(what).or_default() += 1;
    }

    /// A client has moved, or was seen to move.
    pub(super) fn moved(&mut self, client: HostId) {
        *self.moves.entry(client).or_default() += 1;
    }

    /// Notes a fault.
    pub(super) fn note(&mut self, what: String) {
        self.rolling.add("fault", self.now, what.as_bytes());
        self.trail.push(self.now, Step::Fault(what));
    }
}
