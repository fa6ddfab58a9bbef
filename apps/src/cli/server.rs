//! The command line of `anabranchd`.

pub mod files;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Parser;

use super::{Help, Verbosity};
use crate::units;

/// Serve media and files over QUIC
///
/// Settings come from the command line, from ANABRANCH_* variables, from the file of --config,
/// and from the defaults, in this order.
#[derive(Clone, Debug, Parser)]
#[command(name = "anabranchd", version, args_conflicts_with_subcommands = true)]
#[command(
    after_help = "SIGTERM or Ctrl-C finishes what runs and stops; a second one stops at once.
SIGHUP reads the certificate, the media folder and the settings of files again.
Exit codes and the settings file: docs/operations.md"
)]
pub struct Args {
    /// The settings that the file can give too.
    #[command(flatten)]
    pub settings: Settings,
    /// A file with settings (TOML)
    #[arg(long, value_name = "FILE", env = "ANABRANCH_CONFIG")]
    pub config: Option<PathBuf>,
    /// Check settings, certificate and media, and stop
    #[arg(long)]
    pub check_config: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "would show up in the help text")]
    pub verbosity: Verbosity,
    #[command(subcommand)]
    #[expect(missing_docs, reason = "would show up in the help text")]
    pub help: Option<Help>,
}

/// An address to listen on, with or without a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The address.
    pub ip: IpAddr,
    /// The port, if it is not that of `--port`.
    pub port: Option<u16>,
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(Self { ip: address.ip(), port: Some(address.port()) });
        }
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
        let ip = bare.parse::<IpAddr>().map_err(|_| {
            format!(
                "{text:?} is not an address; write 0.0.0.0, [::]:9000 or 192.0.2.1, for example"
            )
        })?;
        Ok(Self { ip, port: None })
    }
}

/// When a client has to prove its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Retry {
    /// Always: one round trip more for everybody.
    Always,
    /// While many handshakes are under way.
    UnderLoad,
    /// Never.
    Never,
}

/// Who decides whether media is sent at its bitrate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pacing {
    /// At its bitrate, unless the client asks for all speed.
    ByClient,
    /// Always at its bitrate.
    On,
    /// Always as fast as the network allows.
    Off,
}

/// How the sending rate adapts to the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Congestion {
    /// CUBIC (RFC 9438).
    Cubic,
    /// New Reno (RFC 9002).
    Reno,
    /// BBR version 2.
    Bbr2,
}

/// Settings, each of which may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args, serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Settings {
    /// The UDP port [default: 9000]
    #[arg(long, short, env = "ANABRANCH_PORT")]
    pub port: Option<u16>,
    /// An address to listen on; may be given several times [default: 0.0.0.0 and ::]
    #[arg(long, value_name = "ADDR[:PORT]", env = "ANABRANCH_LISTEN", value_delimiter = ',')]
    #[serde(deserialize_with = "parsed::list")]
    pub listen: Option<Vec<Listen>>,
    /// The media file, or a folder of them [default: sample_media.bin, made if it is not there]
    #[arg(long, short, value_name = "FILE|DIR", env = "ANABRANCH_MEDIA")]
    pub media: Option<PathBuf>,
    /// The certificate (PEM), made if it is not there [default: quic_cert.pem]
    #[arg(long, value_name = "FILE", env = "ANABRANCH_CERT")]
    pub cert: Option<PathBuf>,
    /// Its private key (PEM), made if it is not there [default: quic_key.pem]
    #[arg(long, value_name = "FILE", env = "ANABRANCH_KEY")]
    pub key: Option<PathBuf>,
    /// When clients have to prove their address first [default: under-load]
    #[arg(long, value_name = "WHEN", env = "ANABRANCH_RETRY")]
    pub retry: Option<Retry>,
    /// Who decides whether media is sent at its bitrate [default: by-client]
    #[arg(long, value_name = "WHO", env = "ANABRANCH_PACING")]
    pub pacing: Option<Pacing>,
    /// The highest bitrate granted, and that of media whose own is unknown: 500k, 2.5M
    /// [default: 50M, and 500k for unknown ones]
    #[arg(long, value_name = "RATE", env = "ANABRANCH_MAX_BITRATE", value_parser = units::bitrate)]
    #[serde(deserialize_with = "parsed::bitrate")]
    pub max_bitrate: Option<u32>,
    /// The largest chunk granted [default: 64KiB]
    #[arg(long, value_name = "SIZE", env = "ANABRANCH_CHUNK", value_parser = units::size)]
    #[serde(deserialize_with = "parsed::size")]
    pub chunk: Option<u64>,
    /// Time between heartbeats, in whole seconds [default: 5s]
    #[arg(long, value_name = "TIME", env = "ANABRANCH_KEEPALIVE", value_parser = units::duration)]
    #[serde(deserialize_with = "parsed::duration")]
    pub keepalive: Option<Duration>,
    /// Silence that ends a session, in whole seconds [default: 30s]
    #[arg(long, value_name = "TIME", env = "ANABRANCH_SESSION_TIMEOUT")]
    #[arg(value_parser = units::duration)]
    #[serde(deserialize_with = "parsed::duration")]
    pub session_timeout: Option<Duration>,
    /// Connections at once [default: 65536]
    #[arg(long, value_name = "COUNT", env = "ANABRANCH_MAX_CONNECTIONS")]
    pub max_connections: Option<usize>,
    /// How long sessions may go on after SIGTERM [default: 30s]
    #[arg(long, value_name = "TIME", env = "ANABRANCH_DRAIN_TIMEOUT")]
    #[arg(value_parser = units::duration)]
    #[serde(deserialize_with = "parsed::duration")]
    pub drain_timeout: Option<Duration>,
    /// Do not look for the largest datagram that the path takes
    #[arg(long, env = "ANABRANCH_NO_MTU_DISCOVERY", num_args = 0..=1)]
    #[arg(default_missing_value = "true", require_equals = true)]
    pub no_mtu_discovery: Option<bool>,
    /// The largest datagram to send, in bytes
    #[arg(long, value_name = "SIZE", env = "ANABRANCH_MAX_DATAGRAM", value_parser = units::size)]
    #[serde(deserialize_with = "parsed::size")]
    pub max_datagram: Option<u64>,
    /// How the sending rate adapts to the network [default: cubic]
    #[arg(long, value_name = "WAY", env = "ANABRANCH_CONGESTION")]
    pub congestion: Option<Congestion>,
    /// Record every run in a file of its own in this folder
    #[arg(long, value_name = "DIR", env = "ANABRANCH_TRACE")]
    pub trace: Option<PathBuf>,
    /// Record the media that are sent too, not only their length and hash
    #[arg(long, env = "ANABRANCH_TRACE_PAYLOADS", num_args = 0..=1)]
    #[arg(default_missing_value = "true", require_equals = true)]
    pub trace_payloads: Option<bool>,
    /// How long a recording may become [default: 1GiB]
    #[arg(long, value_name = "SIZE", env = "ANABRANCH_TRACE_LIMIT", value_parser = units::size)]
    #[serde(deserialize_with = "parsed::size")]
    pub trace_limit: Option<u64>,
    /// Accept DQUIC too, which is plaintext: for loopback, laboratories and simulation
    #[arg(long, env = "ANABRANCH_DQUIC", num_args = 0..=1)]
    #[arg(default_missing_value = "true", require_equals = true)]
    pub dquic: Option<bool>,
    /// Accept DQUIC on addresses that are not loopback addresses
    #[arg(long, env = "ANABRANCH_I_KNOW_THIS_IS_PLAINTEXT", num_args = 0..=1)]
    #[arg(default_missing_value = "true", require_equals = true)]
    pub i_know_this_is_plaintext: Option<bool>,
    /// A file to write the port to once it is open
    #[arg(long, value_name = "FILE", env = "ANABRANCH_PORT_FILE")]
    pub port_file: Option<PathBuf>,
    /// Those about files.
    #[command(flatten)]
    pub files: files::Files,
}

/// Values of the settings file, written as on the command line or as numbers.
mod parsed {
    use std::time::Duration;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer};

    use super::Listen;
    use super::files::Quota;
    pub(super) use super::files::values::{inbox, shares};
    use crate::units;

    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a number, or text with a unit")]
    enum Value {
        Number(u64),
        Float(f64),
        Text(String),
    }

    fn text<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
        Ok(match Value::deserialize(from)? {
            Value::Number(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Text(text) => text,
        })
    }

    pub(super) fn size<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
        units::size(&text(from)?).map(Some).map_err(D::Error::custom)
    }

    pub(super) fn quota<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Quota>, D::Error> {
        text(from)?.parse().map(Some).map_err(D::Error::custom)
    }

    pub(super) fn bitrate<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
        units::bitrate(&text(from)?).map(Some).map_err(D::Error::custom)
    }

    pub(super) fn duration<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Duration>, D::Error> {
        units::duration(&text(from)?).map(Some).map_err(D::Error::custom)
    }

    pub(super) fn list<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Vec<Listen>>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        let all: Result<Vec<Listen>, String> = texts.iter().map(|text| text.parse()).collect();
        all.map(Some).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn addresses_may_have_a_port() {
        let listen = |text: &str| text.parse::<Listen>().map(|l| (l.ip.to_string(), l.port));
        assert_eq!(listen("0.0.0.0"), Ok(("0.0.0.0".into(), None)));
        assert_eq!(listen("127.0.0.1:80"), Ok(("127.0.0.1".into(), Some(80))));
        assert_eq!(listen("::1"), Ok(("::1".into(), None)));
        assert_eq!(listen("[::1]"), Ok(("::1".into(), None)));
        assert_eq!(listen("[::1]:0"), Ok(("::1".into(), Some(0))));
        assert!(listen("localhost").is_err());
    }

    #[test]
    fn a_file_gives_the_same_settings_as_flags() {
        let file: Settings = toml::from_str(
            "port = 1\nlisten = ['::1']\nmax-bitrate = '2M'\nchunk = 2048\nkeepalive = 2\n\
             drain-timeout = '1m'\nretry = 'always'\nno-mtu-discovery = true\ntrace = 't'\n\
             trace-payloads = true\ntrace-limit = '1MB'",
        )
        .unwrap();
        let flags = [
            "anabranchd",
            "--port=1",
            "--listen=::1",
            "--max-bitrate=2M",
            "--chunk=2KiB",
            "--keepalive=2s",
            "--drain-timeout=60",
            "--retry=always",
            "--no-mtu-discovery",
            "--trace=t",
            "--trace-payloads",
            "--trace-limit=1000000",
        ];
        assert_eq!(Args::try_parse_from(flags).unwrap().settings, file);
    }

    #[test]
    fn mistakes_in_the_file_are_shown_where_they_are() {
        for (text, place) in [("prot = 1", "line 1"), ("\nchunk = 'big'", "line 2")] {
            let error = toml::from_str::<Settings>(text).unwrap_err().to_string();
            assert!(error.contains(place), "{error}");
        }
    }
}
