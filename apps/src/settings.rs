//! The server's settings: flags, environment, file and defaults made into one.

pub mod files;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anabranch_core::config::{self, Config, MediaPolicy};
use anabranch_core::limits;

use crate::cert::Files;
use crate::cli::server::{Args, Congestion, Listen, Pacing, Retry, Settings};
use crate::exit::{Exit, Failure};
use crate::plaintext::Leave;
use crate::recording::{self, Place, Wanted};

/// The media file that is made if none is given and none is there.
pub const SAMPLE: &str = "sample_media.bin";
/// Bytes of the media file that is made.
pub const SAMPLE_SIZE: u64 = 512 << 10;
const DEFAULT_PORT: u16 = 9000;

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// On these addresses, all of them.
    Given(Vec<SocketAddr>),
    /// On every address, over IPv6 too if the machine has it.
    Any(u16),
}

/// What a server runs with.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where to listen.
    pub addresses: Addresses,
    /// The media file or folder. `None`: only files are served.
    pub media: Option<PathBuf>,
    /// Nobody chose what to serve: a sample may be made.
    pub media_is_default: bool,
    /// Certificate and key.
    pub identity: Files,
    /// For the endpoint.
    pub config: Config,
    /// How long a drain may take.
    pub drain: Duration,
    /// Look for the largest datagram the path takes.
    pub mtu_discovery: bool,
    /// The largest datagram to send.
    pub max_datagram: Option<usize>,
    /// How the sending rate adapts.
    pub congestion: Congestion,
    /// Accept DQUIC too.
    pub dquic: bool,
    /// Where to write the port.
    pub port_file: Option<PathBuf>,
    /// The folder for recordings, and what to record.
    pub trace: Option<Place>,
    /// Files, if they are served.
    pub files: Option<files::Files>,
}

/// Reads the settings file, if there is one.
///
/// # Errors
/// If it cannot be read, with the place of the mistake.
pub fn file(path: Option<&Path>) -> Result<Settings, Failure> {
    let Some(path) = path else { return Ok(Settings::default()) };
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure { exit: Exit::Config, ..Failure::reading(path, &error) })?;
    toml::from_str(&text).map_err(|error| {
        let what = format!("{} is not right: {}", path.display(), error.to_string().trim_end());
        Failure::new(Exit::Config, what)
            .hint("every setting has the name of its flag without the dashes in front")
    })
}

impl Server {
    /// Makes one of everything: flags (and environment) over the file over the defaults.
    ///
    /// # Errors
    /// If the file is wrong, or a value cannot work.
    pub fn new(args: &Args) -> Result<Self, Failure> {
        let file = file(args.config.as_deref())?;
        Self::merge(args.settings.clone(), file)
    }

    /// Looks at the folders of files, if files are served: see [`files::Files::check`].
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check_files(&mut self) -> Result<(), Failure> {
        let Some(files) = &mut self.files else { return Ok(()) };
        let mut secrets = vec![("the private key", self.identity.key.as_path())];
        if let Some(trace) = &self.trace {
            secrets.push(("the folder of recordings", &trace.path));
        }
        files.check(&secrets)
    }

    fn merge(flags: Settings, file: Settings) -> Result<Self, Failure> {
        let media = flags.media.clone().or(file.media.clone());
        let chosen = over(flags, file);
        let port = chosen.port.unwrap_or(DEFAULT_PORT);
        let addresses = match &chosen.listen {
            Some(list) if !list.is_empty() => Addresses::Given(
                list.iter()
                    .map(|Listen { ip, port: own }| (*ip, own.unwrap_or(port)).into())
                    .collect(),
            ),
            _ => Addresses::Any(port),
        };
        let wanted = Wanted {
            payloads: chosen.trace_payloads.unwrap_or(false),
            limit: chosen.trace_limit.unwrap_or(recording::DEFAULT_LIMIT),
        };
        let trace = chosen.trace.clone().map(|path| Place { path, wanted });
        let dquic = chosen.dquic.unwrap_or(false);
        if dquic {
            let leave = chosen.i_know_this_is_plaintext.unwrap_or(false);
            addresses.check(Leave { i_know_this_is_plaintext: leave })?;
        }
        let files = files::Files::new(chosen.files.clone())?;
        let media_is_default = media.is_none() && files.is_none();
        Ok(Self {
            addresses,
            dquic,
            media: media.or_else(|| media_is_default.then(|| SAMPLE.into())),
            media_is_default,
            identity: Files {
                cert: chosen.cert.clone().unwrap_or_else(|| "quic_cert.pem".into()),
                key: chosen.key.clone().unwrap_or_else(|| "quic_key.pem".into()),
            },
            config: endpoint(&chosen)?,
            drain: chosen.drain_timeout.unwrap_or(Duration::from_secs(30)),
            mtu_discovery: !chosen.no_mtu_discovery.unwrap_or(false),
            max_datagram: chosen
                .max_datagram
                .map(|size| usize::try_from(size).unwrap_or(usize::MAX)),
            congestion: chosen.congestion.unwrap_or(Congestion::Cubic),
            port_file: chosen.port_file,
            trace,
            files,
        })
    }
}

fn over(flags: Settings, file: Settings) -> Settings {
    Settings {
        port: flags.port.or(file.port),
        listen: flags.listen.or(file.listen),
        media: flags.media.or(file.media),
        cert: flags.cert.or(file.cert),
        key: flags.key.or(file.key),
        retry: flags.retry.or(file.retry),
        pacing: flags.pacing.or(file.pacing),
        max_bitrate: flags.max_bitrate.or(file.max_bitrate),
        chunk: flags.chunk.or(file.chunk),
        keepalive: flags.keepalive.or(file.keepalive),
        session_timeout: flags.session_timeout.or(file.session_timeout),
        max_connections: flags.max_connections.or(file.max_connections),
        drain_timeout: flags.drain_timeout.or(file.drain_timeout),
        no_mtu_discovery: flags.no_mtu_discovery.or(file.no_mtu_discovery),
        max_datagram: flags.max_datagram.or(file.max_datagram),
        congestion: flags.congestion.or(file.congestion),
        trace: flags.trace.or(file.trace),
        trace_payloads: flags.trace_payloads.or(file.trace_payloads),
        trace_limit: flags.trace_limit.or(file.trace_limit),
        dquic: flags.dquic.or(file.dquic),
        i_know_this_is_plaintext: flags.i_know_this_is_plaintext.or(file.i_know_this_is_plaintext),
        port_file: flags.port_file.or(file.port_file),
        files: flags.files.over(file.files),
    }
}

fn endpoint(chosen: &Settings) -> Result<Config, Failure> {
    let default = Config::default();
    let chunk = chosen.chunk.map_or(Ok(limits::DEFAULT_CHUNK), |chunk| {
        between("--chunk", chunk, limits::MIN_CHUNK, limits::MAX_CHUNK)
    })?;
    let keepalive = seconds("--keepalive", chosen.keepalive, limits::DEFAULT_KEEPALIVE)?;
    let timeout =
        seconds("--session-timeout", chosen.session_timeout, limits::DEFAULT_SESSION_TIMEOUT)?;
    if timeout < 2 * keepalive {
        let what =
            format!("--session-timeout {timeout}s is too short for --keepalive {keepalive}s");
        return Err(Failure::new(Exit::Config, what).hint("make it at least twice as long"));
    }
    let connections = chosen.max_connections.unwrap_or(default.max_connections);
    let most = u32::try_from(limits::MAX_CONNECTIONS).unwrap_or(u32::MAX);
    between("--max-connections", connections as u64, 1, most)?;
    Ok(Config {
        agent: concat!("anabranchd/", env!("CARGO_PKG_VERSION")).to_owned(),
        max_connections: connections,
        retry: match chosen.retry {
            Some(Retry::Always) => config::Retry::Always,
            Some(Retry::Never) => config::Retry::Never,
            Some(Retry::UnderLoad) | None => config::Retry::UnderLoad,
        },
        media: MediaPolicy {
            max_bitrate: chosen.max_bitrate.unwrap_or(limits::DEFAULT_MAX_BITRATE),
            default_bitrate: chosen.max_bitrate.unwrap_or(limits::DEFAULT_BITRATE),
            max_chunk: chunk,
            keepalive,
            timeout,
            pacing: match chosen.pacing {
                Some(Pacing::On) => config::Pacing::On,
                Some(Pacing::Off) => config::Pacing::Off,
                Some(Pacing::ByClient) | None => config::Pacing::ByClient,
            },
            ..default.media.clone()
        },
        ..default
    })
}

fn between(flag: &str, value: u64, least: u32, most: u32) -> Result<u32, Failure> {
    u32::try_from(value).ok().filter(|value| (least..=most).contains(value)).ok_or_else(|| {
        Failure::new(Exit::Config, format!("{flag} {value} is not between {least} and {most}"))
    })
}

fn seconds(flag: &str, time: Option<Duration>, default: u32) -> Result<u32, Failure> {
    let Some(time) = time else { return Ok(default) };
    if time.subsec_nanos() != 0 || !(1..=86_400).contains(&time.as_secs()) {
        let what = format!("{flag} has to be in whole seconds, from 1s to 24h");
        return Err(Failure::new(Exit::Config, what));
    }
    Ok(u32::try_from(time.as_secs()).unwrap_or(default))
}

impl Addresses {
    /// Refuses addresses that others can reach, for plaintext without leave.
    fn check(&self, leave: Leave) -> Result<(), Failure> {
        self.attempts().into_iter().flatten().try_for_each(|address| leave.check(address)).map_err(
            |failure| match self {
                Self::Given(_) => failure,
                Self::Any(_) => failure.hint(
                    "add --listen 127.0.0.1 for this machine alone, or \
                     --i-know-this-is-plaintext if everybody on the network may read it",
                ),
            },
        )
    }

    /// Lists of addresses to try, best first.
    #[must_use]
    pub fn attempts(&self) -> Vec<Vec<SocketAddr>> {
        match self {
            Self::Given(list) => vec![list.clone()],
            Self::Any(port) => {
                let v4 = SocketAddr::from((IpAddr::from(Ipv4Addr::UNSPECIFIED), *port));
                let v6 = SocketAddr::from((IpAddr::from(Ipv6Addr::UNSPECIFIED), *port));
                vec![vec![v4, v6], vec![v4]]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn flags_win_over_the_file_and_the_file_over_defaults() {
        let flags = settings("port = 1\nretry = 'never'");
        let file = settings("port = 2\nmax-bitrate = '1M'\nretry = 'always'");
        let server = Server::merge(flags, file).unwrap();
        assert_eq!(server.addresses, Addresses::Any(1));
        assert_eq!(server.config.retry, config::Retry::Never);
        assert_eq!(server.config.media.max_bitrate, 1_000_000);
        assert_eq!(server.config.media.max_chunk, limits::DEFAULT_CHUNK);
        assert!(server.media_is_default);
        assert!(server.mtu_discovery);
    }

    #[test]
    fn addresses_take_the_port() {
        let server = Server::merge(
            settings("listen = ['::1', '127.0.0.1:5']\nport = 7"),
            Settings::default(),
        );
        let want =
            Addresses::Given(vec!["[::1]:7".parse().unwrap(), "127.0.0.1:5".parse().unwrap()]);
        assert_eq!(server.unwrap().addresses, want);
    }

    #[test]
    fn plaintext_is_off_and_stays_on_this_machine_without_leave() {
        let server = |text| Server::merge(settings(text), Settings::default());
        assert!(!server("").unwrap().dquic);
        assert!(server("dquic = true\nlisten = ['127.0.0.1', '::1']").unwrap().dquic);
        assert!(server("dquic = true\ni-know-this-is-plaintext = true").unwrap().dquic);
        for open in ["dquic = true", "dquic = true\nlisten = ['127.0.0.1', '192.0.2.1']"] {
            let failure = server(open).unwrap_err();
            assert_eq!(failure.exit, Exit::Usage, "{open}");
            assert!(failure.to_string().contains("--i-know-this-is-plaintext"), "{failure}");
        }
    }

    #[test]
    fn values_that_cannot_work_are_refused() {
        for text in [
            "chunk = 1",
            "chunk = '1GiB'",
            "keepalive = '1500ms'",
            "keepalive = 20\nsession-timeout = 30",
            "max-connections = 0",
        ] {
            let failure = Server::merge(settings(text), Settings::default()).unwrap_err();
            assert_eq!(failure.exit, Exit::Config, "{text}");
        }
    }
}
