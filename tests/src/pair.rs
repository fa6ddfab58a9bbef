//! One server and any number of clients over emulated links, in virtual time.
//!
//! Everything that happens is decided by the seed: [`Pair::run_until`] and its kin move time from
//! one datagram or deadline to the next, hand events to the [applications](crate::apps) and
//! everything to the [oracles](crate::oracle).

mod command;
pub(crate) mod host;
mod options;
mod run;
mod wire;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};

use anabranch_core::transport::{Offered, Target, Trust};
use anabranch_core::{Conn, ConnId, Endpoint, Event, Instant, Misuse, Path, Seed, Side, media};

use crate::apps::{ClientApp, ServerApp};
use crate::cert::{self, Identity};
use crate::link::LinkConfig;
use crate::network::{HostId, Network};
use crate::oracle::Who;
use crate::rogue::Rogue;
use crate::virtual_clock::{START, Virtual};
use crate::{content, stack};
use host::Node;
pub use options::Options;
use run::{Held, Sender};
pub use wire::Wire;

/// Where the server is.
pub const SERVER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9_000);

/// What a host told, and when.
pub type Told = (Instant, ConnId, Event);

/// What went out to an address where nobody is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stray {
    /// Datagrams.
    pub datagrams: Vec<Vec<u8>>,
}

impl Stray {
    /// Bytes in all.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.datagrams.iter().map(Vec::len).sum()
    }
}

/// A server and its clients.
pub struct Pair {
    clock: Virtual,
    now: Instant,
    seed: Seed,
    options: Options,
    identity: Identity,
    server: Node,
    /// What the server's application does.
    pub server_app: ServerApp,
    clients: Vec<Node>,
    /// What the clients' applications do.
    pub client_apps: Vec<ClientApp>,
    /// Clients without an endpoint.
    pub rogues: Vec<Rogue>,
    /// What lies between them.
    pub network: Network,
    server_host: HostId,
    /// The places of the clients in the network, then of the rogues.
    pub wires: Vec<Wire>,
    /// What went out to addresses where nobody is.
    pub strays: BTreeMap<SocketAddr, Stray>,
    held: Held,
    restarts: u64,
}

impl Pair {
    /// A server with its catalogue, and clients that have not dialled.
    ///
    /// # Panics
    /// If the options cannot work.
    #[must_use]
    pub fn new(seed: u64, options: Options) -> Self {
        let clock = Virtual::start();
        let seed = Seed::from_u64(seed);
        let identity = cert::fixed();
        let server = Self::make_server(&seed, &options, &identity, 0);
        let server_app = ServerApp::new(&options.clips);
        let mut network = Network::new(&seed, LinkConfig::default());
        let server_host = network.add_host(&[SERVER.ip()]);
        let mut pair = Self {
            clock,
            now: START,
            seed,
            options,
            identity,
            server,
            server_app,
            clients: Vec::new(),
            client_apps: Vec::new(),
            rogues: Vec::new(),
            network,
            server_host,
            wires: Vec::new(),
            strays: BTreeMap::new(),
            held: Held::default(),
            restarts: 0,
        };
        for _ in 0..pair.options.clients {
            pair.add_client();
        }
        pair
    }

    /// A pair that differs from the default only in its catalogue.
    #[must_use]
    pub fn with_clip(seed: u64, len: u64) -> Self {
        Self::new(seed, Options::with_clip(len))
    }

    fn make_server(seed: &Seed, options: &Options, identity: &Identity, restarts: u64) -> Node {
        let stack = stack::server(&options.stack, identity, seed, restarts);
        let mut node = Node::new(&options.server, stack, Side::Server, SERVER, options.record);
        node.endpoint.listen(true);
        let catalogue = content::catalogue(&options.clips);
        node.endpoint.hub().set_catalogue(catalogue, None).expect("a catalogue within its limits");
        node
    }

    fn add_client(&mut self) {
        let n = self.clients.len();
        let wire = self.make_wire(n);
        let seed = substream(&self.seed, &format!("client {n}"));
        let stack = stack::client(&self.options.stack, &seed);
        let (config, record) = (&self.options.client, self.options.record);
        let node = Node::new(config, stack, Side::Client, wire.home(), record);
        self.clients.push(node);
        self.client_apps.push(ClientApp::default());
        self.wires.push(wire);
    }

    fn make_wire(&mut self, n: usize) -> Wire {
        let (up, down) = (&self.options.up, &self.options.down);
        Wire::new(&mut self.network, self.server_host, n, up, down)
    }

    /// Adds a client that is only a transport, and dials the server.
    ///
    /// # Panics
    /// If the transport cannot dial.
    pub fn add_rogue(&mut self, offered: Offered) -> usize {
        self.add_rogue_with(offered, |_| {})
    }

    /// Adds a client that is only a transport, and dials a changed target.
    ///
    /// # Panics
    /// If the transport cannot dial.
    pub fn add_rogue_with(&mut self, offered: Offered, change: impl FnOnce(&mut Target)) -> usize {
        let n = self.wires.len();
        let wire = self.make_wire(n);
        let mut target = self.target(wire.home(), offered);
        change(&mut target);
        let rogue = self.make_rogue(&format!("rogue {n}"), &target);
        self.rogues.push(rogue);
        self.wires.push(wire);
        self.rogues.len() - 1
    }

    fn make_rogue(&self, name: &str, target: &Target) -> Rogue {
        self.clock.set(self.now);
        let stack = stack::client(&self.options.stack, &substream(&self.seed, name));
        Rogue::dial(self.now, stack, target)
    }

    /// The first datagrams of `count` clients, each enough to begin a handshake.
    ///
    /// # Panics
    /// If a transport sends nothing.
    #[must_use]
    pub fn first_flights(&self, count: usize) -> Vec<Vec<u8>> {
        let local = SocketAddr::from((Ipv4Addr::new(10, 255, 255, 255), 1));
        let target = self.target(local, Offered::Both);
        let first = |n| {
            let mut out = Vec::new();
            self.make_rogue(&format!("first flight {n}"), &target).drain(self.now, &mut out);
            out.into_iter().next().expect("a first datagram").bytes
        };
        (0..count).map(first).collect()
    }

    /// What a client at `local` dials.
    #[must_use]
    pub fn target(&self, local: SocketAddr, offered: Offered) -> Target {
        let trust = match self.options.stack.kind {
            stack::Kind::Quic => Trust::Pin(self.identity.pin),
            // Nobody can prove anything.
            stack::Kind::Dquic => Trust::Any,
        };
        Target {
            remote: SERVER,
            local,
            server_name: "localhost".to_owned(),
            trust,
            offered,
            ticket: None,
        }
    }

    /// The time.
    #[must_use]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// The server's certificate.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// A host's endpoint, for commands. Use it with [`Pair::now`].
    pub fn endpoint(&mut self, who: Who) -> &mut Endpoint {
        self.clock.set(self.now);
        &mut self.node(who).endpoint
    }

    fn node(&mut self, who: Who) -> &mut Node {
        match who {
            Who::Server => &mut self.server,
            Who::Client(n) => &mut self.clients[n],
        }
    }

    /// A handle to a host's connection.
    ///
    /// # Errors
    /// [`Misuse::Gone`].
    pub fn conn(&mut self, who: Who, id: ConnId) -> Result<Conn<'_>, Misuse> {
        let now = self.now;
        self.endpoint(who).conn(now, id)
    }

    /// Everything a host has told.
    #[must_use]
    pub fn told(&self, who: Who) -> &[Told] {
        match who {
            Who::Server => &self.server.told,
            Who::Client(n) => &self.clients[n].told,
        }
    }

    /// Ends a host's recording, and gives it all.
    ///
    /// # Panics
    /// If it does not record.
    pub fn trace(&mut self, who: Who) -> Vec<u8> {
        self.node(who).recording.take().expect("a host that records").finish()
    }

    /// Events of one connection.
    pub fn events(&self, who: Who, conn: ConnId) -> impl Iterator<Item = &Event> {
        self.told(who).iter().filter(move |told| told.1 == conn).map(|told| &told.2)
    }

    /// The server's process ends and a new one starts with the same certificate and keys, at the
    /// same address. Nothing is said to the clients.
    pub fn restart_server(&mut self) {
        self.restarts += 1;
        self.clock.set(self.now);
        self.server = Self::make_server(&self.seed, &self.options, &self.identity, self.restarts);
        self.server_app = ServerApp::new(&self.options.clips);
        self.held.retain(|(sender, _)| *sender != Sender::of(Who::Server));
    }

    /// A datagram from anywhere reaches the server, past all links.
    pub fn inject(&mut self, from: SocketAddr, bytes: &[u8]) {
        self.clock.set(self.now);
        let path = Path { local: SERVER, remote: from };
        self.server.receive(self.now, path, None, &mut bytes.to_vec());
    }
}

/// A request for all there is, as fast as it goes.
#[must_use]
pub fn unpaced() -> media::Request {
    media::Request { pace: media::Pace::Unpaced, ..media::Request::default() }
}

/// A request for a clip by name, as fast as it goes.
#[must_use]
pub fn named(name: &str) -> media::Request {
    media::Request { name: Some(name.to_owned()), ..unpaced() }
}

/// An independent seed for one part of a test network.
pub(crate) fn substream(seed: &Seed, name: &str) -> Seed {
    Seed(seed.stream(name).array())
}
