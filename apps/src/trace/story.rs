//! The story of a trace: what people want to know of its entries, in words.

use anabranch_core::conn::{Answer, Command};
use anabranch_core::media::{self, Grant};
use anabranch_core::session;
use anabranch_core::trace::{Entry, Record, StackCall, Step};
use anabranch_core::{ConnId, Dialect, Event, SessionId};

use crate::units::{show_bitrate, show_duration, show_size};

/// An entry in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) conn: Option<ConnId>,
    pub(super) session: Option<SessionId>,
    pub(super) text: String,
    /// It belongs to the story; otherwise it is a detail.
    pub(super) in_story: bool,
}

/// Tells entry after entry.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Teller {
    /// Whom the commands are for that come now.
    handle: Option<ConnId>,
    /// Of which connection a datagram is, from its classification on.
    datagram: Option<ConnId>,
}

impl Teller {
    /// The connection that an entry is about, as far as it is known from those before it.
    pub(super) fn conn(&mut self, entry: &Entry) -> Option<ConnId> {
        match entry {
            Entry::Handle(conn) => self.handle = Some(*conn),
            Entry::Stack(call) => self.datagram = call.conn(),
            Entry::Transport(conn, _) => self.datagram = Some(*conn),
            _ => {}
        }
        match entry {
            Entry::Command(_) | Entry::Session { .. } | Entry::Answer { .. } => {
                entry.conn().or(self.handle)
            }
            Entry::Transmit { .. } => self.datagram,
            _ => entry.conn(),
        }
    }

    pub(super) fn tell(&mut self, record: &Record) -> Told {
        let entry = &record.entry;
        let conn = self.conn(entry);
        let session = session_of(entry);
        match words(entry) {
            Some(text) => Told { conn, session, text, in_story: true },
            None => Told { conn, session, text: entry.to_string(), in_story: false },
        }
    }
}

fn session_of(entry: &Entry) -> Option<SessionId> {
    match entry {
        Entry::Step(step) => step.session,
        Entry::Session { session, .. } | Entry::Event(_, Event::Media(session, _)) => {
            Some(*session)
        }
        Entry::Answer { result: Ok(Answer::Session(session)), .. } => Some(*session),
        _ => None,
    }
}

/// The entry as a part of the story. `None`: it is a detail.
fn words(entry: &Entry) -> Option<String> {
    let text = match entry {
        Entry::Step(step) => self::step(step),
        Entry::Event(_, event) => self::event(event)?,
        Entry::Connect(_)
        | Entry::Listen(_)
        | Entry::Drain { .. }
        | Entry::CloseAll
        | Entry::Catalogue { .. }
        | Entry::Identity
        | Entry::Dropped(_)
        | Entry::End { .. }
        | Entry::Truncated(_) => entry.to_string(),
        Entry::Command(command) => self::command(command),
        Entry::Session { command: session::Command::Media(command), .. } => match command {
            media::Command::Pull { .. } | media::Command::Supply { .. } => return None,
            media::Command::Pause
            | media::Command::Resume
            | media::Command::Close
            | media::Command::SourceFailed => entry.to_string(),
        },
        Entry::Answer { result: Err(_), .. } => entry.to_string(),
        Entry::Stack(StackCall::Admit { .. } | StackCall::Dial { result: Err(_), .. }) => {
            entry.to_string().trim_start().trim_start_matches("stack ").to_owned()
        }
        Entry::Answer { result: Ok(_), .. }
        | Entry::Datagram { .. }
        | Entry::Timeout
        | Entry::WallClock(_)
        | Entry::Handle(_)
        | Entry::Transmit { .. }
        | Entry::Wait(_)
        | Entry::Stack(_)
        | Entry::Transport(..) => return None,
    };
    Some(text)
}

fn step(step: &Step) -> String {
    let Step { machine, from, input, to, .. } = step;
    match to {
        Some(to) => format!("{machine}: {from} -> {to} ({input})"),
        None => format!("{machine}: {input} is out of place in {from}"),
    }
}

fn command(command: &Command) -> String {
    match command {
        Command::OpenMedia(request) => match &request.name {
            Some(name) => format!("<- open {name:?}, starting at {:?}", request.start),
            None => format!("<- open the default media, starting at {:?}", request.start),
        },
        other => format!("<- {other}"),
    }
}

fn event(event: &Event) -> Option<String> {
    let text = match event {
        Event::Connected { dialect, remote, resumed, .. } => {
            let dialect = match dialect {
                Dialect::Classic => "the classic protocol",
                Dialect::V1 => "anabranch/1",
            };
            let resumed = if *resumed { ", resumed" } else { "" };
            format!("connected with {remote} over {dialect}{resumed}")
        }
        Event::Hello { agent } => format!("the peer is {agent:?}"),
        Event::Moved(path) => format!("the peer is at {} now", path.remote),
        Event::GoAway { left } => {
            format!("the peer shuts down within {}", show_duration(*left))
        }
        Event::Pong { rtt, .. } => format!("pong after {}", show_duration(*rtt)),
        Event::Listing(listing) => {
            let entries = listing.entries.len();
            let more = if listing.next.is_some() { ", and there are more" } else { "" };
            format!("a listing of {entries}{more}")
        }
        Event::Media(_, event) => return media(event),
        Event::Closed(why) => format!("{why}"),
    };
    Some(format!("-> {text}"))
}

fn media(event: &media::Event) -> Option<String> {
    let text = match event {
        media::Event::Opened(grant) => opened(grant),
        media::Event::Refused(nack) => format!("refused: {nack:?}"),
        media::Event::Paused => "paused".to_owned(),
        media::Event::Resumed { skipped: 0 } => "resumed".to_owned(),
        media::Event::Resumed { skipped } => format!("resumed, {skipped} chunks further on"),
        media::Event::Ended(ended) => {
            let how = crate::serve::how(ended.reason);
            let size = show_size(ended.bytes);
            let missed =
                if ended.missed > 0 { format!(", {} missed", ended.missed) } else { String::new() };
            format!("{how}: {size} in {} chunks{missed}", ended.chunks)
        }
        media::Event::Readable | media::Event::Wanted { .. } => return None,
    };
    Some(format!("-> {text}"))
}

fn opened(grant: &Grant) -> String {
    let name = grant.name.as_deref().unwrap_or("media");
    let size = grant.size.map(|size| format!(", {}", show_size(size))).unwrap_or_default();
    let pace = match grant.pace {
        media::Pace::Bitrate => show_bitrate(u64::from(grant.bitrate)),
        media::Pace::Unpaced => "all speed".to_owned(),
    };
    let chunk = show_size(u64::from(grant.chunk));
    let from = match grant.start {
        0 => String::new(),
        byte => format!(", from byte {byte}"),
    };
    format!("opened {name:?}{size} at {pace}, chunks of {chunk}{from}")
}
