//! From a command line to a running server.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;

use anabranch_core::transport::dquic::{self, DquicConfig};
use anabranch_core::transport::quic::{self, QuicConfig};
use anabranch_core::transport::{Both, Stack};
use anabranch_core::{Config, Endpoint, Seed, Side};
use anabranch_driver_mio::{Clock, Driver, SocketOptions, Sockets, seed};
use sd_notify::NotifyState;

use super::files::{Files, Mail, Policy};
use super::{Command, Server, config, upkeep};
use crate::catalogue::Catalogue;
use crate::cert::{self, Identity, Made};
use crate::cli::server::{Args, Congestion};
use crate::exit::{Exit, Failure, plain};
use crate::generate::{self, Amount, Kind};
use crate::reader::Readers;
use crate::recording::{self, Place, Recording};
use crate::settings::{self, Addresses, SAMPLE_SIZE};
use crate::units::{count, show_bitrate, show_size};
use crate::{key_log, plaintext};

const READERS: usize = 4;
/// A receive buffer below this loses datagrams of a single fast connection.
const SMALL_BUFFER: usize = 1 << 20;
/// How often another port is tried, if the one that IPv4 got is taken on IPv6.
const PORT_ATTEMPTS: usize = 16;

/// Serves until it is told to stop.
///
/// # Errors
/// Whatever keeps it from serving.
pub fn run(args: &Args) -> Result<Exit, Failure> {
    let mut server = settings::Server::new(args)?;
    server.check_files()?;
    make_sample(&server)?;
    let catalogue = Catalogue::read(server.media.as_deref(), &Catalogue::default())?;
    let identity = identity(&server)?;
    let files = server.files.clone().map(Policy::new).transpose()?;
    if args.check_config {
        log::info!("the settings are good: {}", offer(&server, &catalogue));
        return Ok(Exit::Ok);
    }
    let clock = Clock::start();
    let (endpoint, recording) = endpoint(&server, &catalogue, &identity, clock)?;
    raise_file_limit();
    let sockets = bind(&server.addresses)?;
    // The readers and workers have to be there before the loop that they report to.
    let mail = Mail(Arc::default());
    let files = match (files, &server.files) {
        (Some(policy), Some(settings)) => {
            log::info!("files: {}", policy.describe());
            Some(Files::start(policy, &settings.store, clock, mail.clone())?)
        }
        (Some(_) | None, _) => None,
    };
    announce(&server, &catalogue, &identity, &sockets)?;
    let parts = (catalogue, files);
    let served = serve(args, &server, parts, (clock, endpoint, sockets), &mail);
    drop(recording);
    served
}

fn serve(
    args: &Args,
    server: &settings::Server,
    (catalogue, files): (Catalogue, Option<Files>),
    (clock, endpoint, sockets): (Clock, Endpoint, Sockets),
    mail: &Mail,
) -> Result<Exit, Failure> {
    let reports = Arc::clone(&mail.0);
    let deliver = move |done| {
        if let Some(handle) = reports.get() {
            drop(handle.send(Command::Read(done)));
        }
    };
    let system = |error: io::Error| Failure::new(Exit::Temporary, format!("cannot start: {error}"));
    let readers = Readers::start(READERS, deliver).map_err(system)?;
    let app = Server::new(readers, catalogue.clone(), files, server.drain);
    let (mut driver, handle) = Driver::new(clock, endpoint, sockets, app).map_err(system)?;
    upkeep::start(args, server, catalogue, clock, &handle)?;
    drop(mail.0.set(handle));
    upkeep::notify(&[NotifyState::Ready]);
    driver.run().map_err(|error| Failure::new(Exit::Internal, format!("the loop: {error}")))?;
    log::info!("stopped");
    Ok(driver.into_app().exit())
}

fn make_sample(server: &settings::Server) -> Result<(), Failure> {
    let wanted = server.media.as_deref().filter(|path| server.media_is_default && !path.exists());
    let Some(path) = wanted else { return Ok(()) };
    let mut seed = [0; 8];
    boring::rand::rand_bytes(&mut seed)
        .map_err(|_| Failure::new(Exit::Temporary, "no random bytes to be had"))?;
    let amount = Amount::Bytes(SAMPLE_SIZE);
    let mut source = generate::Source::new(Kind::Random, amount, u64::from_le_bytes(seed))?;
    let mut file = generate::create(path, false)?;
    generate::write(&mut source, &mut file, |_| {})
        .map_err(|error| Failure::writing(&path.display().to_string(), &error))?;
    let size = show_size(SAMPLE_SIZE);
    log::warn!(
        "no media given: made {} with {size} of random bytes (--media FILE|DIR)",
        path.display()
    );
    Ok(())
}

fn identity(server: &settings::Server) -> Result<Identity, Failure> {
    let (identity, made) = cert::load_or_make(&server.identity)?;
    let (cert, key) = (server.identity.cert.display(), server.identity.key.display());
    match made {
        Made::Nothing => {}
        Made::New => log::info!("made a certificate, {cert}, and its key, {key}"),
        Made::Renewed => log::info!("renewed the certificate {cert} with the same key"),
    }
    match identity.days_left {
        ..0 => log::warn!("the certificate {cert} HAS EXPIRED; clients with --ca refuse it"),
        0..=14 => log::warn!("the certificate {cert} expires in {} days", identity.days_left),
        _ => {}
    }
    Ok(identity)
}

fn endpoint(
    server: &settings::Server,
    catalogue: &Catalogue,
    identity: &Identity,
    clock: Clock,
) -> Result<(Endpoint, Option<Recording>), Failure> {
    let seed = seed().map_err(|error| {
        Failure::new(Exit::Temporary, format!("no random bytes to be had: {error}"))
    })?;
    let mut stack = quic::stack(quic_config(server, identity)?, &seed).map_err(|m| config(&m))?;
    if server.dquic {
        log::warn!("{}", plaintext::WARNING);
        let own = Seed(seed.stream("dquic").array());
        let dquic = dquic::stack(dquic_config(server, identity), &own).map_err(|m| config(&m))?;
        stack = Box::new(Both::new(stack, dquic));
    }
    let settings = Config { epoch: clock.epoch(), ..server.config.clone() };
    let (mut endpoint, recording) = match &server.trace {
        None => (Endpoint::new(settings, stack), None),
        Some(place) => record(server, place, settings, stack)?,
    };
    endpoint
        .hub()
        .set_catalogue(catalogue.entries.clone(), catalogue.default.as_deref())
        .map_err(|misuse| config(&misuse))?;
    endpoint.listen(true);
    Ok((endpoint, recording))
}

fn record(
    server: &settings::Server,
    Place { path, wanted }: &Place,
    config: Config,
    stack: Box<dyn Stack>,
) -> Result<(Endpoint, Option<Recording>), Failure> {
    let (file, name) = recording::create_in(path, "anabranchd")?;
    let content = if wanted.payloads { "with" } else { "without" };
    log::info!("recording to {name}, {content} the media, {} at most", show_size(wanted.limit));
    let settings = format!(
        "congestion={:?} max-datagram={:?} mtu-discovery={}",
        server.congestion, server.max_datagram, server.mtu_discovery
    );
    let about = recording::about("anabranchd", Side::Server, &settings);
    let warn = |text: &str| log::warn!("{text}");
    let file = (file, name);
    let (endpoint, recording) = Recording::start(file, wanted, config, stack, about, warn)?;
    Ok((endpoint, Some(recording)))
}

fn dquic_config(server: &settings::Server, identity: &Identity) -> DquicConfig {
    let default = DquicConfig::default();
    DquicConfig {
        serves: true,
        static_key: identity.derive("anabranch 2026 DQUIC stateless resets and tokens"),
        max_datagram: server.max_datagram.unwrap_or(default.max_datagram),
        discover_mtu: server.mtu_discovery,
        ..default
    }
}

fn quic_config(server: &settings::Server, identity: &Identity) -> Result<QuicConfig, Failure> {
    let default = QuicConfig::default();
    let mut ticket_key = [0; 48];
    ticket_key[..32].copy_from_slice(&identity.derive("anabranch 2026 ticket key, encryption"));
    ticket_key[32..].copy_from_slice(
        &identity.derive("anabranch 2026 ticket key, name and authentication")[..16],
    );
    Ok(QuicConfig {
        identity: Some(quic::Identity {
            chain_pem: identity.chain.clone(),
            key_pem: identity.key.clone(),
        }),
        // The same after a restart, so that clients of before learn that they are forgotten.
        static_key: identity.derive("anabranch 2026 stateless resets and tokens"),
        ticket_key: Some(ticket_key),
        max_datagram: server.max_datagram.unwrap_or(default.max_datagram),
        discover_mtu: server.mtu_discovery,
        congestion: match server.congestion {
            Congestion::Cubic => quic::Congestion::Cubic,
            Congestion::Reno => quic::Congestion::Reno,
            Congestion::Bbr2 => quic::Congestion::Bbr2,
        },
        key_log: key_log::from_env(|text| log::warn!("{text}"))?,
        ..default
    })
}

fn bind(addresses: &Addresses) -> Result<Sockets, Failure> {
    let options = SocketOptions::default();
    let mut last = None;
    for attempt in addresses.attempts() {
        match bind_all(&attempt, options) {
            Ok(sockets) => return Ok(sockets),
            // A machine without IPv6 serves IPv4. A port that is taken stays taken.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied
                ) =>
            {
                last = Some(error);
                break;
            }
            Err(error) => last = Some(error),
        }
    }
    let error = last.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into());
    let text = plain(&error);
    Err(match error.kind() {
        io::ErrorKind::AddrInUse => {
            Failure::new(Exit::Unavailable, format!("the port is taken: {text}"))
                .hint("is another anabranchd running? Look with `ss -ulpn`, or take another --port")
        }
        io::ErrorKind::PermissionDenied => {
            Failure::new(Exit::Refused, format!("cannot listen: {text}")).hint(
                "ports below 1024 need the capability CAP_NET_BIND_SERVICE; take another --port",
            )
        }
        io::ErrorKind::AddrNotAvailable => {
            Failure::new(Exit::Config, format!("cannot listen: {text}"))
                .hint("this machine has no such address; look with `ip address`")
        }
        _ => Failure::new(Exit::Unavailable, format!("cannot listen: {text}")),
    })
}

/// Binds all addresses. Those that leave the port to the system get the same one.
fn bind_all(addresses: &[SocketAddr], options: SocketOptions) -> io::Result<Sockets> {
    let open = addresses.iter().filter(|address| address.port() == 0).count();
    if open < 2 {
        return Sockets::bind(addresses, options);
    }
    let mut outcome = Err(io::ErrorKind::AddrInUse.into());
    for _ in 0..PORT_ATTEMPTS {
        let first = addresses.iter().find(|address| address.port() == 0).copied();
        let port = first.map_or(Ok(0), |a| UdpSocket::bind(a)?.local_addr().map(|a| a.port()))?;
        let mut with_port = addresses.to_vec();
        with_port.iter_mut().filter(|a| a.port() == 0).for_each(|a| a.set_port(port));
        outcome = Sockets::bind(&with_port, options);
        match &outcome {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
            _ => return outcome,
        }
    }
    outcome
}

fn announce(
    server: &settings::Server,
    catalogue: &Catalogue,
    identity: &Identity,
    sockets: &Sockets,
) -> Result<(), Failure> {
    let addresses = sockets
        .local_addrs()
        .map_err(|error| Failure::new(Exit::Internal, format!("no local address: {error}")))?;
    if let (Some(path), Some(address)) = (&server.port_file, addresses.first()) {
        write_port(path, address.port()).map_err(|error| Failure::creating(path, &error))?;
    }
    let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    log::info!("listening on UDP {}", list.join(" and "));
    log::info!("{}", offer(server, catalogue));
    log::info!("key: {} (clients see the same)", identity.fingerprint);
    let granted = sockets.granted().0;
    if granted < SMALL_BUFFER {
        let size = show_size(granted as u64);
        log::warn!(
            "the system grants a UDP receive buffer of only {size}, so bursts will be lost; as \
             root: sysctl -w net.core.rmem_max=8388608 net.core.wmem_max=8388608"
        );
    }
    Ok(())
}

fn offer(server: &settings::Server, catalogue: &Catalogue) -> String {
    let Some(place) = &server.media else { return "media: none (--media FILE|DIR)".to_owned() };
    let place = place.display();
    let most = show_bitrate(u64::from(server.config.media.max_bitrate));
    match catalogue.entries.as_slice() {
        [(_, entry)] => {
            let size = show_size(entry.size.unwrap_or(0));
            format!("media: {place}, {size}, at up to {most}")
        }
        entries => {
            let total = show_size(catalogue.total());
            format!("media: {} in {place}, {total}, at up to {most}", count(entries.len(), "file"))
        }
    }
}

fn write_port(path: &Path, port: u16) -> io::Result<()> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    crate::known_hosts::replace(
        path,
        folder.unwrap_or(Path::new(".")),
        format!("{port}\n").as_bytes(),
    )
}

/// Each session has its file open.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        log::debug!("the limit of open files stays: {error}");
    }
}
