//! `anabranch dquic send`.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};

use anabranch_core::transport::dquic::classic::{self, Config, Event, Report as Sent, Why};
use anabranch_driver::dquic::Runner;
use serde_json::json;

use super::progress::Progress;
use super::sources::Sources;
use super::stats::{self, Row, Totals};
use crate::cli::dquic::{Layout, Send};
use crate::dial::{self, Interrupts};
use crate::exit::{Exit, Failure, plain};
use crate::plaintext;
use crate::report::Report;
use crate::units::{count, show_size};

/// Sends the files.
///
/// # Errors
/// Whatever is in the way.
pub(super) fn run(args: &Send, report: &Report, interrupts: &Interrupts) -> Result<(), Failure> {
    let to = resolve(&args.to)?;
    report.warning(plaintext::WARNING);
    args.plaintext.check(to)?;
    let mut sources = Sources::open(&args.files, args.first_stream)?;
    let layout = match args.layout {
        Layout::Classic => classic::Layout::Classic,
        Layout::Wide => classic::Layout::Wide,
    };
    check_sizes(&sources, layout, report)?;
    let any: SocketAddr = match to {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let mut runner = super::bind(args.bind.unwrap_or(any), Config::default())?;
    let total = sources.total();
    let size = total.map_or_else(String::new, |total| format!(", {}", show_size(total)));
    let words = format!("sending {}{size} to {to}", count(args.files.len(), "file"));
    let fields =
        json!({"to": to.to_string(), "files": args.files, "bytes": total, "layout": layout.name()});
    report.phase("sending", fields, &words);
    let outcome = transfer(&mut runner, to, layout, &mut sources, report, interrupts);
    let (sent, ended) = match outcome {
        Ok(sent) => (sent, Ok(())),
        Err(Stopped { sent, failure }) => (sent, Err(failure)),
    };
    tell(&sent, ended.is_ok(), to, &sources, report);
    ended
}

/// How far a sending came that did not come to its end.
struct Stopped {
    sent: Sent,
    failure: Failure,
}

fn transfer(
    runner: &mut Runner,
    to: SocketAddr,
    layout: classic::Layout,
    sources: &mut Sources,
    report: &Report,
    interrupts: &Interrupts,
) -> Result<Sent, Stopped> {
    let stopped = |failure| Stopped { sent: Sent::default(), failure };
    let ids: Vec<u32> = sources.iter().map(|(id, _)| id).collect();
    let (endpoint, now) = runner.with_time();
    // Nobody is told of this port but the receiver, and nothing is expected from it.
    endpoint.set_accepting(false);
    let started = endpoint.send(now, to, layout, &ids);
    started.map_err(|refused| stopped(Failure::new(Exit::Usage, refused.to_string())))?;
    let mut progress = Progress::start(report, sources.total());
    let mut cause: Option<Failure> = None;
    loop {
        if let Ok(signal) = interrupts.try_recv() {
            cause.get_or_insert(dial::interrupted(signal));
        }
        if cause.is_some() {
            let (endpoint, now) = runner.with_time();
            endpoint.cancel(now, to);
        }
        let event = runner.step(super::next_tick());
        match event.map_err(|error| stopped(super::network(&error)))? {
            Some(Event::Wanted { stream, offset, len, .. }) => {
                let given = sources.read(stream, offset, len).and_then(|piece| {
                    let (endpoint, now) = runner.with_time();
                    let given = endpoint.supply(now, to, stream, offset, piece.into());
                    given.map_err(|misuse| Failure::new(Exit::Internal, misuse.to_string()))
                });
                if let Err(failure) = given {
                    cause.get_or_insert(failure);
                }
            }
            Some(Event::Sent { report, .. }) => return Ok(report),
            Some(Event::Failed { why, report: sent, .. }) => {
                let failure = cause.unwrap_or_else(|| failed(why, to, layout));
                return Err(Stopped { sent, failure });
            }
            Some(
                Event::Received(_)
                | Event::Quiet { .. }
                | Event::Broken { .. }
                | Event::Forgotten { .. },
            ) => {}
            None => {}
        }
        let done = runner.endpoint().connection(&to).map_or(0, classic::Connection::bytes_sending);
        progress.tell(done, || format!("to {to}"));
    }
}

/// What a stream cannot carry.
fn check_sizes(sources: &Sources, layout: classic::Layout, report: &Report) -> Result<(), Failure> {
    for (stream, source) in sources.iter() {
        let path = source.path.display();
        match source.size {
            Some(0) => report.warning(&format!(
                "{path} is empty: a stream without bytes is not sent, so it will not arrive"
            )),
            Some(size) if size > layout.max_offset() => {
                let hint = "send it with --layout wide, if the receiver knows that";
                return Err(Failure::new(Exit::Usage, too_long(stream, &path)).hint(hint));
            }
            Some(_) | None => {}
        }
    }
    Ok(())
}

fn too_long(stream: u32, path: &dyn std::fmt::Display) -> String {
    format!("{path}: {}", Why::TooLong { stream })
}

fn failed(why: Why, to: SocketAddr, layout: classic::Layout) -> Failure {
    match why {
        Why::Silent { tries } => {
            let seconds =
                anabranch_core::limits::CLASSIC_ANSWER_TIMEOUT.as_secs() * u64::from(tries);
            let what = format!("nobody answers at {to}: {tries} tries in {seconds} s");
            let other = match layout {
                classic::Layout::Classic => "20-byte frames needs --layout wide",
                classic::Layout::Wide => "16-byte frames needs --layout classic",
            };
            Failure::new(Exit::Unavailable, what)
                .hint(format!("is a receiver running there? One that has {other}"))
        }
        Why::AlreadyThere { .. } => Failure::new(Exit::Protocol, why.to_string())
            .hint("send from another port (leave out --bind), or use another --first-stream"),
        Why::TooLong { .. } => Failure::new(Exit::Usage, why.to_string()).hint("use --layout wide"),
        Why::Stuck => Failure::new(Exit::Protocol, format!("{to}: {why}")),
        Why::Cancelled => Failure::new(Exit::Other, why.to_string()),
    }
}

/// The numbers at the end.
fn tell(sent: &Sent, complete: bool, to: SocketAddr, sources: &Sources, report: &Report) {
    let row = |(stream, source): (u32, &super::sources::Source)| {
        let stats = *sent.streams.get(&stream)?;
        let whole = complete || source.size.is_some_and(|size| size == stats.bytes);
        let end = if whole { "acknowledged" } else { "unfinished" };
        let (peer, file) = (to.to_string(), source.path.display().to_string());
        Some(Row { stream, peer, file, end, stats })
    };
    let rows: Vec<Row> = sources.iter().filter_map(row).collect();
    rows.iter().for_each(|row| row.tell(report));
    let totals = Totals { packets: sent.packets, repeated: Some(sent.repeated) };
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

    #[test]
    fn each_reason_has_its_code_and_says_what_to_do() {
        let to = "127.0.0.1:9".parse().unwrap();
        let failed = |why| failed(why, to, classic::Layout::Classic);
        let silent = failed(Why::Silent { tries: 5 });
        assert_eq!(silent.exit, Exit::Unavailable);
        assert!(silent.to_string().contains("5 tries in 10 s"), "{silent}");
        assert!(silent.to_string().contains("--layout wide"), "{silent}");
        let there = failed(Why::AlreadyThere { stream: 3, bytes: 7 });
        assert_eq!(there.exit, Exit::Protocol);
        assert!(there.to_string().contains("already 7 bytes of stream 3"), "{there}");
        assert_eq!(failed(Why::TooLong { stream: 1 }).exit, Exit::Usage);
    }
}
