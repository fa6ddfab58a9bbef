//! Sending to a classic receiver.

use std::net::SocketAddr;

use anabranch_core::limits::CLASSIC_ANSWER_TIMEOUT;
use anabranch_core::transport::dquic::classic::{self, Event, Layout, Why};
use anabranch_driver::dquic::{Happened, Runner};

use super::Sent;
use crate::dial::{self, Interrupts};
use crate::dquic::progress::Progress;
use crate::dquic::sources::Sources;
use crate::exit::{Exit, Failure};
use crate::report::Report;

/// Sends every file, and says how far that came.
pub(super) fn transfer(
    runner: &mut Runner,
    to: SocketAddr,
    layout: Layout,
    sources: &mut Sources,
    report: &Report,
    interrupts: &Interrupts,
) -> Sent {
    let ids: Vec<u32> = sources.iter().map(|(id, _)| id).collect();
    let (endpoint, now) = runner.classic_with_time();
    // Nobody is told of this port but the receiver, and nothing is expected from it.
    endpoint.set_accepting(false);
    if let Err(refused) = endpoint.send(now, to, layout, &ids) {
        return Sent::failed(Failure::new(Exit::Usage, refused.to_string()));
    }
    let mut progress = Progress::start(report, sources.total());
    let mut cause: Option<Failure> = None;
    loop {
        if let Ok(signal) = interrupts.try_recv() {
            cause.get_or_insert(dial::interrupted(signal));
        }
        if cause.is_some() {
            let (endpoint, now) = runner.classic_with_time();
            endpoint.cancel(now, to);
        }
        let event = match runner.step(crate::dquic::next_tick()) {
            Ok(event) => event,
            Err(error) => return Sent::failed(crate::dquic::network(&error)),
        };
        match event {
            Some(Happened::Classic(Event::Wanted { stream, offset, len, .. })) => {
                if let Err(failure) = supply(runner, to, sources, stream, offset, len) {
                    cause.get_or_insert(failure);
                }
            }
            Some(Happened::Classic(Event::Sent { report, .. })) => return sent(&report, None),
            Some(Happened::Classic(Event::Failed { why, report, .. })) => {
                let failure = cause.unwrap_or_else(|| failed(why, to, layout));
                return sent(&report, Some(failure));
            }
            Some(Happened::Classic(_) | Happened::Plain(..)) | None => {}
        }
        let connection = runner.classic().connection(&to);
        let done = connection.map_or(0, classic::Connection::bytes_sending);
        progress.tell(done, || format!("to {to}"));
    }
}

fn supply(
    runner: &mut Runner,
    to: SocketAddr,
    sources: &mut Sources,
    stream: u32,
    offset: u64,
    len: usize,
) -> Result<(), Failure> {
    let piece = sources.read(stream, offset, len)?;
    let (endpoint, now) = runner.classic_with_time();
    let given = endpoint.supply(now, to, stream, offset, piece.into());
    given.map_err(|misuse| Failure::new(Exit::Internal, misuse.to_string()))
}

fn sent(report: &classic::Report, failure: Option<Failure>) -> Sent {
    let streams = report.streams.iter().map(|(id, stats)| (*id, (*stats).into()));
    let (packets, repeated) = (report.packets, Some(report.repeated));
    Sent { streams: streams.collect(), packets, repeated, failure }
}

fn failed(why: Why, to: SocketAddr, layout: Layout) -> Failure {
    match why {
        Why::Silent { tries } => {
            let seconds = CLASSIC_ANSWER_TIMEOUT.as_secs() * u64::from(tries);
            let what = format!("nobody answers at {to}: {tries} tries in {seconds} s");
            let other = match layout {
                Layout::Classic => "20-byte frames needs --layout wide",
                Layout::Wide => "16-byte frames needs --layout classic",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_code_and_says_what_to_do() {
        let to = "127.0.0.1:9".parse().unwrap();
        let failed = |why| failed(why, to, Layout::Classic);
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
