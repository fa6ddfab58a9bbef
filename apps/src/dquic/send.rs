//! `anabranch dquic send`.

mod classic;
mod extended;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};

use anabranch_core::transport::dquic::classic::{Config, Layout, Why};
use serde_json::json;

use super::Plain;
use super::sources::{Source, Sources};
use super::stats::{self, Numbers, Row, Totals};
use crate::cli::dquic::{self as cli, Send};
use crate::dial::Interrupts;
use crate::exit::{Exit, Failure, plain};
use crate::plaintext;
use crate::report::Report;
use crate::units::{count, show_size};

/// What to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Classic(Layout),
    Extended,
}

impl Mode {
    fn new(args: &Send) -> Self {
        match (args.extended, args.layout) {
            (true, _) => Self::Extended,
            (false, cli::Layout::Classic) => Self::Classic(Layout::Classic),
            (false, cli::Layout::Wide) => Self::Classic(Layout::Wide),
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Classic(layout) => layout.name(),
            Self::Extended => "extended",
        }
    }
}

/// What was sent.
struct Sent {
    streams: BTreeMap<u32, Numbers>,
    packets: u64,
    repeated: Option<u64>,
    /// Why it is not everything.
    failure: Option<Failure>,
}

impl Sent {
    /// Nothing.
    const fn failed(failure: Failure) -> Self {
        Self { streams: BTreeMap::new(), packets: 0, repeated: None, failure: Some(failure) }
    }
}

/// Sends the files.
///
/// # Errors
/// Whatever is in the way.
pub(super) fn run(args: &Send, report: &Report, interrupts: &Interrupts) -> Result<(), Failure> {
    let to = resolve(&args.to)?;
    report.warning(plaintext::WARNING);
    args.plaintext.check(to)?;
    let mut sources = Sources::open(&args.files, args.first_stream)?;
    let mode = Mode::new(args);
    check_sizes(&sources, mode, report)?;
    let any: SocketAddr = match to {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let side = if mode == Mode::Extended { Plain::Client } else { Plain::None };
    let mut runner = super::bind(args.bind.unwrap_or(any), Config::default(), side)?;
    let total = sources.total();
    let size = total.map_or_else(String::new, |total| format!(", {}", show_size(total)));
    let words = format!("sending {}{size} to {to}", count(args.files.len(), "file"));
    let fields =
        json!({"to": to.to_string(), "files": args.files, "bytes": total, "layout": mode.name()});
    report.phase("sending", fields, &words);
    let runner = &mut runner;
    let sent = match mode {
        Mode::Classic(layout) => {
            classic::transfer(runner, to, layout, &mut sources, report, interrupts)
        }
        Mode::Extended => extended::transfer(runner, to, &mut sources, report, interrupts),
    };
    tell(&sent, to, &sources, report);
    sent.failure.map_or(Ok(()), Err)
}

/// What a classic stream cannot carry.
fn check_sizes(sources: &Sources, mode: Mode, report: &Report) -> Result<(), Failure> {
    let Mode::Classic(layout) = mode else { return Ok(()) };
    for (stream, source) in sources.iter() {
        let path = source.path.display();
        match source.size {
            Some(0) => report.warning(&format!(
                "{path} is empty: a classic stream without bytes is not sent, so it will not arrive"
            )),
            Some(size) if size > layout.max_offset() => {
                let what = format!("{path}: {}", Why::TooLong { stream });
                let hint = "send it with --layout wide, if the receiver knows that";
                return Err(Failure::new(Exit::Usage, what).hint(hint));
            }
            Some(_) | None => {}
        }
    }
    Ok(())
}

/// The numbers at the end.
fn tell(sent: &Sent, to: SocketAddr, sources: &Sources, report: &Report) {
    let row = |(stream, source): (u32, &Source)| {
        let stats = *sent.streams.get(&stream)?;
        let end = if sent.failure.is_none() { "acknowledged" } else { "unfinished" };
        let (peer, file) = (to.to_string(), source.path.display().to_string());
        Some(Row { stream, peer, file, end, stats })
    };
    let rows: Vec<Row> = sources.iter().filter_map(row).collect();
    rows.iter().for_each(|row| row.tell(report));
    let totals = Totals { packets: sent.packets, repeated: sent.repeated };
    stats::tell(&rows, &totals, report);
}

/// Where `HOST:PORT` is. IPv4 first: existing receivers have nothing else.
fn resolve(text: &str) -> Result<SocketAddr, Failure> {
    let port = text.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
    if port.is_none_or(|port| port == 0) {
        let what = format!("{text:?} is not HOST:PORT");
        return Err(Failure::new(Exit::Usage, what).hint("127.0.0.1:9400, for example"));
    }
    let unknown = |why: String| Failure::new(Exit::HostUnknown, format!("{text}: {why}"));
    let all: Vec<SocketAddr> =
        text.to_socket_addrs().map_err(|error| unknown(plain(&error)))?.collect();
    let first = all.iter().find(|address| address.is_ipv4()).or(all.first());
    first.copied().ok_or_else(|| unknown("it has no address".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_have_a_host_and_a_port() {
        assert_eq!(resolve("127.0.0.1:9").unwrap(), "127.0.0.1:9".parse().unwrap());
        assert_eq!(resolve("[::1]:9").unwrap(), "[::1]:9".parse().unwrap());
        for wrong in ["127.0.0.1", "127.0.0.1:0", "127.0.0.1:x", "127.0.0.1:70000", ""] {
            assert_eq!(resolve(wrong).unwrap_err().exit, Exit::Usage, "{wrong:?}");
        }
    }
}
