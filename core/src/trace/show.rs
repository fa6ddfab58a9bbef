//! Entries in words, one line each, for people.

use std::fmt::{Display, Formatter, Result};

use super::call::{Call, StackCall};
use super::data::{Data, Part};
use super::entry::{Aim, Cause, Entry, Record, Step};
use crate::conn;
use crate::io::Transmit;
use crate::session;
use crate::session::media;

/// Number, time, and what happened.
impl Display for Record {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { number, offset: _, at, entry } = self;
        let nanos = at.as_nanos();
        let (secs, micros) = (nanos / 1_000_000_000, nanos / 1_000 % 1_000_000);
        write!(f, "#{number} {secs}.{micros:06} {entry}")
    }
}

/// How many bytes, and how many of them are left out.
impl Display for Data {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let left = |part: &Part| matches!(part, Part::Left { .. });
        let out: usize = self.0.iter().filter(|part| left(part)).map(Part::len).sum();
        match (self.len(), out) {
            (len, out) if len == out => write!(f, "{len} bytes"),
            (len, 0) => write!(f, "{len} bytes, kept"),
            (len, out) => write!(f, "{len} bytes, {} of them kept", len - out),
        }
    }
}

struct Sending<'a>(&'a Transmit);

impl Display for Sending<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Transmit { path, ecn, len, segment, at } = self.0;
        write!(f, "{len} bytes {} -> {}", path.local, path.remote)?;
        if let Some(segment) = segment {
            write!(f, " in datagrams of {segment}")?;
        }
        if let Some(ecn) = ecn {
            write!(f, " {ecn:?}")?;
        }
        match at {
            Some(at) => write!(f, " not before {at:?}"),
            None => Ok(()),
        }
    }
}

impl Display for Aim {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { remote, local, server_name, trust, offered, ticket } = self;
        write!(f, "{local} -> {remote} ({server_name}), offering {offered:?}, ")?;
        write!(f, "trusting {trust:?}{}", if ticket.is_some() { ", with a ticket" } else { "" })
    }
}

impl Display for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Self { conn, session, machine, from, input, to } = self;
        write!(f, "{conn} ")?;
        if let Some(session) = session {
            write!(f, "{session} ")?;
        }
        match to {
            Some(to) => write!(f, "{machine}: {from} -> {to} ({input})"),
            None => write!(f, "{machine}: {input} is out of place in {from}"),
        }
    }
}

impl Display for Entry {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Datagram { path, ecn, data } => {
                write!(f, "<- datagram {} -> {}, {data}", path.remote, path.local)?;
                ecn.map_or(Ok(()), |ecn| write!(f, ", {ecn:?}"))
            }
            Self::Timeout => f.write_str("<- timeout"),
            Self::Connect(aim) => write!(f, "<- connect {aim}"),
            Self::Listen(on) => f.write_str(if *on { "<- listen" } else { "<- do not listen" }),
            Self::Drain { left } => write!(f, "<- drain within {left:?}"),
            Self::CloseAll => f.write_str("<- close everything"),
            Self::WallClock(wall) => write!(f, "<- the wall clock says {} ms", wall.0),
            Self::Catalogue { entries, default } => {
                write!(f, "<- a catalogue of {}", entries.len())?;
                default.as_ref().map_or(Ok(()), |name| write!(f, ", by default {name:?}"))
            }
            Self::Identity => f.write_str("<- a certificate and its key (not recorded)"),
            Self::Handle(conn) => write!(f, "<- {conn}"),
            Self::Command(command) => write!(f, "<- {command}"),
            Self::Session { session, command, data } => match data.0.is_empty() {
                true => write!(f, "<- {session} {command}"),
                false => write!(f, "<- {session} {command}, {data}"),
            },
            Self::Answer { result: Ok(conn::Answer::Done), .. } => f.write_str("-> done"),
            Self::Answer { result: Ok(answer), .. } => write!(f, "-> {answer:?}"),
            Self::Answer { result: Err(why), .. } => write!(f, "-> not possible: {why}"),
            Self::Transmit { transmit, .. } => write!(f, "-> transmit {}", Sending(transmit)),
            Self::Event(conn, event) => write!(f, "-> {conn} {event:?}"),
            Self::Wait(None) => f.write_str("-> wait"),
            Self::Wait(Some(deadline)) => {
                write!(f, "-> wait until {:?} ({:?})", deadline.at, deadline.why)
            }
            Self::Step(step) => step.fmt(f),
            Self::Dropped(why) => write!(f, "datagram dropped: {why:?}"),
            Self::Stack(call) => write!(f, "   stack {call}"),
            Self::Transport(conn, call) => write!(f, "   {conn} {call}"),
            Self::End { entries } => write!(f, "the end, after {entries} entries"),
            Self::Truncated(Cause::Buffer) => {
                f.write_str("the recording ends: what was recorded was not taken away in time")
            }
            Self::Truncated(Cause::Length) => {
                f.write_str("the recording ends: the trace is as long as it may be")
            }
        }
    }
}

impl Display for conn::Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::OpenMedia(request) => write!(f, "open media: {request:?}"),
            Self::List { after: None } => f.write_str("list"),
            Self::List { after: Some(name) } => write!(f, "list what follows {name:?}"),
            Self::Ping => f.write_str("ping"),
            Self::Close { code, reason } if reason.is_empty() => write!(f, "close: {code}"),
            Self::Close { code, reason } => write!(f, "close: {code} ({reason})"),
            Self::Drain { left } => write!(f, "drain within {left:?}"),
            Self::Rebind { local } => write!(f, "rebind to {local}"),
        }
    }
}

impl Display for session::Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Media(command) => command.fmt(f),
        }
    }
}

impl Display for media::Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Pause => f.write_str("pause"),
            Self::Resume => f.write_str("resume"),
            Self::Close => f.write_str("close"),
            Self::Pull { room } => write!(f, "pull at most {room} bytes"),
            Self::Supply { offset, bytes: _, end: false } => write!(f, "supply from byte {offset}"),
            Self::Supply { offset, bytes: _, end: true } => {
                write!(f, "supply the last from byte {offset}")
            }
            Self::SourceFailed => f.write_str("the source failed"),
        }
    }
}

impl Display for StackCall {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Classify { route, .. } => write!(f, "classify: {route:?}"),
            Self::Challenge { route, .. } => write!(f, "challenge: {route:?}"),
            Self::Admit { conn, path, result: Ok(()), .. } => {
                write!(f, "admit {conn} from {}", path.remote)
            }
            Self::Admit { path, result: Err(why), .. } => {
                write!(f, "does not admit {}: {why:?}", path.remote)
            }
            Self::Dial { conn, aim, result: Ok(()) } => write!(f, "dial {conn} {aim}"),
            Self::Dial { aim, result: Err(why), .. } => write!(f, "does not dial {aim}: {why}"),
            Self::Forget(conn) => write!(f, "forget {conn}"),
            Self::SetIdentity { result: Ok(()) } => f.write_str("takes the certificate"),
            Self::SetIdentity { result: Err(why) } => {
                write!(f, "does not take the certificate: {why}")
            }
        }
    }
}

impl Display for Call {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Receive => f.write_str("receive"),
            Self::Transmit(transmit) => write!(f, "transmit: {}", Sending(transmit)),
            Self::Deadline(None) => f.write_str("has no deadline"),
            Self::Deadline(Some(at)) => write!(f, "deadline {at:?}"),
            Self::Expire => f.write_str("expire"),
            Self::Signal(signal) => write!(f, "signal {signal:?}"),
            Self::Open { dir, stream: Some(stream) } => write!(f, "open {dir:?}: {stream}"),
            Self::Open { dir, stream: None } => write!(f, "open {dir:?}: not now"),
            Self::Write { stream, offered, fin, data, result } => {
                let fin = if *fin { " and the end" } else { "" };
                write!(f, "write {stream} {offered} bytes{fin}: {result:?}, took {data}")
            }
            Self::Read { stream, room, data, result: Ok(_) } if !data.is_empty() => {
                write!(f, "read {stream} up to {room}: {data}")
            }
            Self::Read { stream, room, data: _, result } => {
                write!(f, "read {stream} up to {room}: {result:?}")
            }
            Self::Reset { stream, code } => write!(f, "reset {stream}: {code}"),
            Self::Stop { stream, code } => write!(f, "stop {stream}: {code}"),
            Self::Prioritize { stream, rank } => write!(f, "rank of {stream}: {rank}"),
            Self::Ping => f.write_str("ping"),
            Self::Close { code, reason } => write!(f, "close: {code} ({reason})"),
            Self::Rebind { local, result: Ok(()) } => write!(f, "rebind to {local}"),
            Self::Rebind { local, result: Err(why) } => {
                write!(f, "does not rebind to {local}: {why}")
            }
            Self::Early(true) => f.write_str("what comes now is early"),
            Self::Early(false) => f.write_str("what comes now is not early"),
            Self::Over(stream) => write!(f, "{stream} is over"),
            Self::Finished => f.write_str("is finished"),
        }
    }
}
