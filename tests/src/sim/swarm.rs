//! What one simulated world is like: every option is drawn from the seed, so that runs differ in
//! what they do and not only in when.

mod show;

use std::time::Duration;

use anabranch_core::config::{Config, MediaPolicy, Pacing, Retry};
use anabranch_core::trace::Contents;
use anabranch_core::{Instant, Seed, limits};

use super::draw::Draw;
use crate::content::Clip;
use crate::disk::DiskConfig;
use crate::link::{Burst, LinkConfig, Ratio};
use crate::network::{Filtering, Mapping, NatConfig};
use crate::stack::{Kind, Knobs};
use crate::virtual_clock::{EPOCH, START};

/// All options of a world.
#[derive(Clone, Debug)]
pub struct Swarm {
    /// What carries the connections.
    pub transport: Kind,
    /// Servers, all with the same catalogue.
    pub servers: usize,
    /// Clients.
    pub clients: usize,
    /// The catalogue.
    pub clips: Vec<Clip>,
    /// The access of each host, servers first: what it sends, and what it receives.
    pub access: Vec<(LinkConfig, LinkConfig)>,
    /// What stands in front of each host, servers first.
    pub nats: Vec<Option<NatConfig>>,
    /// How long faults and commands go on.
    pub chaos: Duration,
    /// A client's application does something this often, on average.
    pub client_every: Duration,
    /// A server's application does something this often, on average. `None`: never.
    pub server_every: Option<Duration>,
    /// What clients do.
    pub mix: Mix,
    /// Which faults there are.
    pub faults: Faults,
    /// How a server's application answers `Wanted`: after so long, at most.
    pub supply_delay: Duration,
    /// A client's application stops pulling now and then.
    pub slow_readers: bool,
    /// Of the sessions, those that are paced.
    pub paced: Ratio,
    /// Of the sessions, those that rejoin the media after a pause.
    pub live: Ratio,
    /// Of the connections, those that offer only the classic protocol.
    pub classic: Ratio,
    /// Configuration of servers.
    pub server: Config,
    /// Configuration of clients.
    pub client: Config,
    /// Settings of the transport.
    pub stack: Knobs,
    /// Bytes of files that may be on their way.
    pub file_window: u64,
    /// The clients' disks. `None`: they keep nothing.
    pub disk: Option<DiskConfig>,
    /// What every endpoint records. What was recorded has to replay.
    pub record: Option<Contents>,
}

/// How often a client's application does what, in relation to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    /// Dials a server.
    pub connect: u64,
    /// Asks for media.
    pub open: u64,
    /// Pauses or resumes, rightly or wrongly.
    pub pause: u64,
    /// Ends a session.
    pub close: u64,
    /// Closes or drains a connection.
    pub leave: u64,
    /// Lists and pings.
    pub ask: u64,
    /// Does what cannot be done.
    pub misuse: u64,
    /// Moves to another address.
    pub migrate: u64,
    /// Transfers files.
    pub files: u64,
}

/// How often each fault occurs, on average. `None`: never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// A server's process dies and starts again.
    pub crash_server: Option<Duration>,
    /// A client's process dies and starts again.
    pub crash_client: Option<Duration>,
    /// One host cannot reach another one for a while.
    pub partition: Option<Duration>,
    /// A host is cut off for a while.
    pub blackhole: Option<Duration>,
    /// A client's NAT changes its mapping.
    pub rebind: Option<Duration>,
    /// A host's links change what they do to datagrams.
    pub weather: Option<Duration>,
    /// Datagrams of somebody who means ill.
    pub garbage: Option<Duration>,
    /// Connections of somebody who does not keep to the protocol.
    pub rogue: Option<Duration>,
}

impl Swarm {
    /// The options that this seed draws.
    #[must_use]
    pub fn draw(seed: &Seed, transport: Kind) -> Self {
        let mut draw = Draw::new(seed.stream("swarm"));
        let (servers, clients) = (draw.size(1, 3), draw.size(1, 5));
        let stormy = draw.percent(75);
        let access = (0..servers + clients)
            .map(|_| (weather(&mut draw, stormy), weather(&mut draw, stormy)))
            .collect();
        let nats = (0..servers + clients).map(|n| nat(&mut draw, n < servers)).collect();
        let stack = knobs(&mut draw, transport);
        let keep_alive = draw.pick(&[Some(2), Some(10), Some(10), None]);
        let policy = policy(&mut draw);
        let server = Config {
            epoch: EPOCH,
            retry: draw.pick(&[Retry::Always, Retry::UnderLoad, Retry::UnderLoad, Retry::Never]),
            media: policy,
            ..Config::default()
        };
        let client = Config {
            epoch: EPOCH,
            keep_alive: keep_alive.map(Duration::from_secs),
            handshake_timeout: Duration::from_secs(draw.pick(&[3, 10, 10, 30])),
            ..Config::default()
        };
        Self {
            transport,
            servers,
            clients,
            clips: clips(&mut draw),
            access,
            nats,
            chaos: Duration::from_secs(draw.range(3, 40)),
            client_every: Duration::from_millis(draw.pick(&[100, 300, 1_000, 3_000])),
            server_every: draw.pick(&[None, Some(2), Some(8)]).map(Duration::from_secs),
            mix: mix(&mut draw),
            faults: faults(&mut draw),
            supply_delay: Duration::from_millis(draw.pick(&[0, 0, 5, 300])),
            slow_readers: draw.percent(30),
            paced: Ratio::percent(draw.pick(&[0, 30, 70, 100])),
            live: Ratio::percent(draw.pick(&[0, 30, 100])),
            classic: Ratio::percent(draw.pick(&[0, 0, 20, 100])),
            server,
            client,
            stack,
            file_window: draw.pick(&[limits::MIN_FILE_WINDOW, 200_000, 1 << 20]),
            disk: disk(&mut draw),
            record: draw.percent(30).then(Contents::default),
        }
    }

    /// When faults and commands stop.
    #[must_use]
    pub fn heal_at(&self) -> Instant {
        START + self.chaos
    }
}

/// What a direction of a link does for some time.
pub(super) fn weather(draw: &mut Draw, stormy: bool) -> LinkConfig {
    let latency = draw.pick(&[0, 1, 5, 10, 20, 60, 150]);
    let mut link = LinkConfig { latency: Duration::from_millis(latency), ..LinkConfig::default() };
    if draw.percent(50) {
        link.bytes_per_second = Some(draw.pick(&[60_000, 250_000, 1_250_000, 12_500_000]));
        link.queue_bytes = draw.pick(&[4_000, 30_000, 256_000, 2_000_000]);
    }
    if !stormy {
        return link;
    }
    link.loss = Ratio::percent(draw.pick(&[0, 0, 1, 3, 10]));
    link.jitter = Duration::from_millis(draw.pick(&[0, 1, 10, 50]));
    link.duplicate = Ratio::percent(draw.pick(&[0, 0, 2, 10]));
    link.reorder = Ratio::percent(draw.pick(&[0, 0, 3, 20]));
    link.reorder_by = Duration::from_millis(draw.pick(&[1, 5, 40]));
    if draw.percent(30) {
        link.burst = Some(Burst {
            enter: Ratio { num: 1, den: draw.pick(&[50, 300]) },
            leave: Ratio { num: 1, den: draw.pick(&[3, 20]) },
            loss: Ratio::percent(draw.pick(&[50, 100])),
        });
    }
    link.corrupt = Ratio::percent(draw.pick(&[0, 0, 1, 5]));
    link.truncate = Ratio::percent(draw.pick(&[0, 0, 1, 5]));
    link
}

fn nat(draw: &mut Draw, server: bool) -> Option<NatConfig> {
    use Filtering as F;
    let behind = draw.percent(60) && !server;
    let style = NatConfig {
        outside: Vec::new(),
        mapping: draw.pick(&[Mapping::EndpointIndependent, Mapping::AddressAndPortDependent]),
        filtering: draw.pick(&[F::EndpointIndependent, F::AddressDependent, F::default()]),
        timeout: draw.pick(&[None, None, Some(30), Some(120)]).map(Duration::from_secs),
    };
    behind.then_some(style)
}

fn disk(draw: &mut Draw) -> Option<DiskConfig> {
    let kind = draw.index(4);
    let failing = draw.pick(&[1, 5, 20]);
    let capacity = draw.pick(&[1 << 30, 400_000]);
    let latency = Duration::from_micros(draw.pick(&[50, 2_000, 100_000]));
    match kind {
        0 | 1 => None,
        2 => Some(DiskConfig { capacity, latency, ..DiskConfig::default() }),
        _ => Some(DiskConfig { capacity, latency, ..DiskConfig::failing(failing) }),
    }
}

fn clips(draw: &mut Draw) -> Vec<Clip> {
    let lengths = [0, 1, 1_024, 65_536, 65_537, 200_000, 700_000, 1_500_000];
    let count = draw.size(1, 4);
    (0..count)
        .map(|n| {
            let mut clip = Clip::new(&format!("clip {n}"), draw.number(), draw.pick(&lengths));
            clip.bitrate = draw.pick(&[None, Some(400_000), Some(2_000_000)]);
            clip
        })
        .collect()
}

fn policy(draw: &mut Draw) -> MediaPolicy {
    MediaPolicy {
        max_chunk: draw.pick(&[1_024, 1_500, 16 << 10, 64 << 10, 1 << 20]),
        keepalive: draw.pick(&[1, 5, 5, 20]),
        timeout: draw.pick(&[4, 10, 30, 30]),
        pacing: draw.pick(&[Pacing::ByClient, Pacing::ByClient, Pacing::On, Pacing::Off]),
        startup_burst: Duration::from_millis(draw.pick(&[0, 500, 2_000])),
        ..MediaPolicy::default()
    }
}

fn knobs(draw: &mut Draw, transport: Kind) -> Knobs {
    Knobs {
        kind: transport,
        idle_timeout: Duration::from_secs(draw.pick(&[5, 10, 30])),
        discover_mtu: draw.percent(40),
        max_datagram: draw.pick(&[1_200, 1_350, 1_350, 1_452]),
    }
}

fn mix(draw: &mut Draw) -> Mix {
    let often = |draw: &mut Draw| draw.pick(&[0, 1, 3, 10]);
    Mix {
        connect: draw.pick(&[1, 3]),
        open: draw.pick(&[3, 10, 20]),
        pause: often(draw),
        close: often(draw),
        leave: draw.pick(&[0, 0, 1]),
        ask: often(draw),
        misuse: often(draw),
        migrate: draw.pick(&[0, 0, 1, 3]),
        files: draw.pick(&[0, 0, 2, 6]),
    }
}

fn faults(draw: &mut Draw) -> Faults {
    if draw.percent(15) {
        return Faults::default();
    }
    let every = |draw: &mut Draw, seconds: &[u64]| {
        let seconds = draw.pick(seconds);
        draw.percent(40).then_some(Duration::from_secs(seconds))
    };
    Faults {
        crash_server: every(draw, &[5, 15]),
        crash_client: every(draw, &[5, 15]),
        partition: every(draw, &[3, 10]),
        blackhole: every(draw, &[3, 10]),
        rebind: every(draw, &[2, 8]),
        weather: every(draw, &[2, 8]),
        garbage: every(draw, &[1, 4]),
        rogue: every(draw, &[2, 8]),
    }
}
