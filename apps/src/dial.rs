//! From a host name to a connection that is trusted.

mod failure;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anabranch_core::transport::dquic::{self, DquicConfig};
use anabranch_core::transport::quic::{self, QuicConfig};
use anabranch_core::transport::{Offered, Target};
use anabranch_core::{Code, Config, Dialect, Endpoint, Side};
use anabranch_driver_smol::client::{ConnectError, Connection};
use anabranch_driver_smol::{Client, Clock, SocketOptions, Sockets, seed};
use etcetera::BaseStrategy as _;
use serde_json::json;
use smol::channel::{self, Receiver};
use smol::{Task, Timer};

use crate::cli::client::{Protocol, Server};
use crate::exit::{Exit, Failure};
use crate::known_hosts::{Fingerprint, KnownHosts, host_key};
use crate::next::next;
use crate::recording::{self, Place as File, Recording};
use crate::report::Report;
use crate::signals::Signal;
use crate::tickets::Tickets;
use crate::trust::{Decision, Mode, Policy, Verdict};
use crate::{key_log, plaintext, units};

pub use failure::{lost, request};

/// The next address of a host is tried after so much silence from the one before (RFC 8305).
const STAGGER: Duration = Duration::from_millis(250);
/// How long the last datagrams may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// A connection to a server that is trusted, and what is needed to end it well.
#[derive(Debug)]
pub struct Link {
    /// The connection.
    pub connection: Connection,
    /// The server, as the user called it.
    pub name: String,
    driver: Task<std::io::Result<()>>,
    tickets: Option<Tickets>,
    binding: Option<[u8; 32]>,
    host: String,
    port: u16,
    recording: Option<Recording>,
}

/// What a user can do while a command runs.
pub type Interrupts = Receiver<Signal>;

/// Runs the network loop in the thread of the command. A thread of its own would cost a wake-up
/// for each piece of media, which on small machines is most of what there is to gain.
pub type Executor = smol::LocalExecutor<'static>;

/// The failure of a command that was interrupted.
#[must_use]
pub fn interrupted(signal: Signal) -> Failure {
    Failure::new(signal.exit(), "interrupted")
}

/// Does `work` unless it is interrupted.
///
/// # Errors
/// Those of the work, and the interruption.
pub async fn unless<T>(
    interrupts: &Interrupts,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let stop = async { Err(interrupted(next(Some(interrupts)).await)) };
    smol::future::or(stop, work).await
}

/// Connects to a server, and makes sure that it is the right one.
///
/// # Errors
/// Whatever is in the way.
pub async fn dial(
    server: &Server,
    report: &Arc<Report>,
    interrupts: &Interrupts,
    executor: &Executor,
) -> Result<Link, Failure> {
    let host = server.host().to_owned();
    let name = host_key(&host, server.port);
    let policy = policy(server, report)?;
    let decision = policy.decide(&host, server.port)?;
    let tickets = folder(Place::State).map(|folder| Tickets::new(folder.join("tickets")));
    report.event("phase", json!({"phase": "connecting", "server": name}));

    let (client, driver, recording) = client(server, report)?;
    let driver = executor.spawn(driver);
    let addresses = unless(interrupts, resolve(&host, server.port)).await?;
    if server.dquic {
        addresses.iter().try_for_each(|address| server.plaintext.check(*address))?;
    }
    let ticket = tickets.as_ref().and_then(|tickets| {
        tickets.take(&host, server.port, bound(decision.ticket_binding(), offered(server)))
    });
    let target = |remote, local| Target {
        remote,
        local,
        server_name: host.clone(),
        trust: decision.for_handshake(),
        offered: offered(server),
        ticket: ticket.clone(),
    };
    let race = race(executor, &client, &addresses, server.connect_timeout, target);
    let made = unless(interrupts, async { Ok(race.await) }).await?;
    let connection = made.map_err(|error| failure::connect(&error, &name, server, &decision))?;
    let port = server.port;
    let link = Link { connection, name, driver, tickets, binding: None, host, port, recording };
    link.verify(&decision, offered(server), report).await
}

impl Link {
    async fn verify(
        mut self,
        decision: &Decision,
        offered: Offered,
        report: &Report,
    ) -> Result<Self, Failure> {
        let facts = self.connection.established().clone();
        let verdict = match decision.check(facts.peer_key) {
            Ok(verdict) => verdict,
            Err(failure) => {
                if let Some(tickets) = &self.tickets {
                    tickets.forget(&self.host, self.port);
                }
                self.connection.close(Code::Refused, "the key is not trusted").await;
                self.gone().await;
                return Err(failure);
            }
        };
        // A ticket is good only under the trust it was issued under, and the next connection
        // pins the key that this one has learned.
        self.binding = bound(decision.ticket_binding(), offered);
        let dialect = match facts.dialect {
            Dialect::Classic => "classic",
            Dialect::V1 => "anabranch/1",
        };
        let key = facts.peer_key.map(|key| Fingerprint(key).to_string());
        report.event(
            "phase",
            json!({
                "phase": "connected", "server": self.name, "remote": facts.remote.to_string(),
                "protocol": dialect, "resumed": facts.resumed, "key": key,
            }),
        );
        log::info!("connected to {} over {dialect}, resumed: {}", facts.remote, facts.resumed);
        if let Verdict::Learned(key) = verdict {
            let words = format!(
                "first contact with {}: its key is {key}\n  \
                 (remembered; compare it with the one that anabranchd prints at its start)",
                self.name
            );
            report.phase("trusted", json!({"server": self.name, "key": key.to_string()}), &words);
        }
        Ok(self)
    }

    /// Ends the connection politely, and keeps its ticket for the next one.
    pub async fn close(self) {
        if let (Some(tickets), Some(binding)) = (&self.tickets, self.binding)
            && let Some(ticket) = self.connection.ticket().await
        {
            tickets.keep(&self.host, self.port, binding, &ticket);
        }
        self.connection.close(Code::None, "").await;
        self.gone().await;
    }

    /// Lets the loop send what it has.
    async fn gone(self) {
        let Self { connection, driver, recording, .. } = self;
        drop(connection);
        let timeout = async {
            Timer::after(GOODBYE).await;
            Ok(())
        };
        if let Err(error) = smol::future::or(driver, timeout).await {
            log::debug!("the loop: {error}");
        }
        drop(recording);
    }
}

fn offered(server: &Server) -> Offered {
    match (server.classic, server.protocol) {
        (true, _) | (_, Protocol::Classic) => Offered::Classic,
        (_, Protocol::Anabranch) => Offered::V1,
        (_, Protocol::Auto) => Offered::Both,
    }
}

/// A ticket belongs to a protocol as well: it is good only where the same ones are offered.
fn bound(binding: Option<[u8; 32]>, offered: Offered) -> Option<[u8; 32]> {
    let scope = match offered {
        Offered::Both => 0,
        Offered::V1 => 1,
        Offered::Classic => 2,
    };
    binding.map(|binding| *blake3::keyed_hash(&binding, &[scope]).as_bytes())
}

fn policy(server: &Server, report: &Report) -> Result<Policy, Failure> {
    if server.dquic {
        report.warning(plaintext::WARNING);
        return Ok(Policy::Insecure);
    }
    if server.insecure || (server.trust == Mode::Off && server.ca.is_none()) {
        report.warning(
            "INSECURE: the server's key is not checked, so anybody on the way can listen in and \
             change what you get",
        );
        return Ok(Policy::Insecure);
    }
    if let Some(ca) = &server.ca {
        return Policy::from_ca(ca);
    }
    let path = match &server.known_hosts {
        Some(path) => path.clone(),
        None => {
            folder(Place::Config).map(|folder| folder.join("known_hosts")).ok_or_else(|| {
                Failure::new(Exit::Config, "there is no home directory to keep known servers in")
                    .hint("set HOME, or give a file with --known-hosts")
            })?
        }
    };
    Ok(Policy::Known(KnownHosts::new(path), server.trust))
}

/// A kind of folder.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// What the user has set.
    Config,
    /// What this program remembers.
    State,
}

/// Where this program keeps something of its user's.
pub(crate) fn folder(place: Place) -> Option<PathBuf> {
    let base = etcetera::base_strategy::Xdg::new().ok()?;
    let folder = match place {
        Place::Config => base.config_dir(),
        Place::State => base.state_dir()?,
    };
    Some(folder.join("anabranch"))
}

/// The future that drives a client.
type Looping = std::pin::Pin<Box<dyn Future<Output = std::io::Result<()>> + Send>>;

fn client(
    server: &Server,
    report: &Arc<Report>,
) -> Result<(Client, Looping, Option<Recording>), Failure> {
    let system = |error: std::io::Error| {
        Failure::new(Exit::Temporary, format!("cannot use the network: {error}"))
    };
    let internal =
        |misuse: anabranch_core::Misuse| Failure::new(Exit::Internal, misuse.to_string());
    let any = |text: &str| text.parse::<SocketAddr>().ok();
    let (v4, v6) = (any("0.0.0.0:0"), any("[::]:0"));
    let both: Vec<SocketAddr> = v4.into_iter().chain(v6).collect();
    let options = SocketOptions::default();
    let sockets = Sockets::bind(&both, options)
        .or_else(|_| Sockets::bind(&both[..1], options))
        .or_else(|_| Sockets::bind(&both[1..], options))
        .map_err(system)?;
    let clock = Clock::start();
    let seed = seed().map_err(system)?;
    let stack = if server.dquic {
        dquic::stack(DquicConfig::default(), &seed)
    } else {
        let key_log = key_log::from_env(|text| report.warning(text))?;
        quic::stack(QuicConfig { key_log, ..QuicConfig::default() }, &seed)
    };
    let config = Config {
        agent: concat!("anabranch/", env!("CARGO_PKG_VERSION")).to_owned(),
        epoch: clock.epoch(),
        handshake_timeout: server.connect_timeout,
        ..Config::default()
    };
    let stack = stack.map_err(internal)?;
    let (endpoint, recording) = match server.record.place() {
        None => (Endpoint::new(config, stack), None),
        Some(File { path, wanted }) => {
            let file = recording::create(&path)?;
            let about = recording::about("anabranch", Side::Client, "");
            let report = Arc::clone(report);
            let warn = move |text: &str| report.warning(text);
            let (endpoint, recording) =
                Recording::start(file, &wanted, config, stack, about, warn)?;
            (endpoint, Some(recording))
        }
    };
    let (client, looping) = Client::new(clock, endpoint, sockets).map_err(system)?;
    Ok((client, Box::pin(looping), recording))
}

async fn resolve(host: &str, port: u16) -> Result<Vec<SocketAddr>, Failure> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![(ip, port).into()]);
    }
    let unknown = |error: String| {
        Failure::new(
            Exit::HostUnknown,
            format!("the host {} is unknown{error}", units::clean(host)),
        )
        .hint("check its spelling, and that this machine can look up names")
    };
    let found = smol::net::resolve((host, port)).await;
    let found = found.map_err(|error| unknown(format!(": {}", crate::exit::plain(&error))))?;
    if found.is_empty() { Err(unknown(String::new())) } else { Ok(found) }
}

/// Tries every address, one a little after the other. The first answer wins.
async fn race(
    executor: &Executor,
    client: &Client,
    addresses: &[SocketAddr],
    timeout: Duration,
    target: impl Fn(SocketAddr, SocketAddr) -> Target,
) -> Result<Connection, Attempt> {
    let (sender, outcomes) = channel::unbounded();
    let mut attempts = Vec::new();
    let mut last = Attempt::Silent;
    for remote in addresses {
        let local = match client.local_for(*remote) {
            Ok(local) => local,
            Err(error) => {
                log::info!("no way to {remote}: {error}");
                last = Attempt::Unreachable(error.to_string());
                continue;
            }
        };
        let wait = STAGGER * u32::try_from(attempts.len()).unwrap_or(u32::MAX);
        let (client, sender, target) = (client.clone(), sender.clone(), target(*remote, local));
        attempts.push(executor.spawn(async move {
            Timer::after(wait).await;
            log::info!("trying {}", target.remote);
            // Nobody listens any more once another attempt has won.
            drop(sender.send(client.connect(target).await).await);
        }));
    }
    drop(sender);
    let first = async {
        while let Ok(outcome) = outcomes.recv().await {
            match outcome {
                Ok(connection) => return Ok(connection),
                Err(error) => last = Attempt::Failed(error),
            }
        }
        Err(last)
    };
    // The endpoint's own time limit comes first; this one is for the case that it does not.
    let limit = async {
        let stagger = STAGGER * u32::try_from(addresses.len()).unwrap_or(u32::MAX);
        Timer::after(timeout + stagger + GOODBYE).await;
        Err(Attempt::Silent)
    };
    smol::future::or(first, limit).await
}

/// Why no address answered.
#[derive(Debug)]
enum Attempt {
    Silent,
    Unreachable(String),
    Failed(ConnectError),
}
